// Package offline evaluates files without a broker: the same core as the live path, over NDJSON, in one process.
package offline

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/trialwatch/trialwatch/fhir"
	"github.com/trialwatch/trialwatch/internal/feed"
	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/aggregate"
	"github.com/trialwatch/trialwatch/rules/alert"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/site"
	"github.com/trialwatch/trialwatch/rules/timeline"
	"github.com/trialwatch/trialwatch/rules/trial"
)

// Evaluator takes lines in and says what is true. Use [New].
type Evaluator struct {
	// Zones are those of sites whose clocks are not the protocol's, by site. Set it before the first answer.
	Zones map[string]*time.Location
	// NotRelevantUnknown says that not all that was sent was read: how much of it no rule reads is not known then.
	NotRelevantUnknown bool

	decoder   *fhir.Decoder
	protocols []*protocol.Protocol

	items   []item
	refused []Refused
	latest  time.Time
	seen    map[string]map[[8]byte]bool // by site: what no rule reads, each once
}

// item is one fact and where it came from.
type item struct {
	fact  *timeline.Fact
	file  string
	line  int
	entry int
}

// Refused is a line, or an entry of a Bundle, that could not be used.
type Refused struct {
	Kind   string `json:"kind"` // "refused"
	File   string `json:"file"`
	Line   int    `json:"line"`
	Entry  *int   `json:"entry,omitempty"` // of a Bundle
	Reason string `json:"reason"`
	Detail string `json:"detail"`

	site       string
	receivedAt time.Time
	digest     [8]byte
}

// New returns an evaluator.
func New(decoder *fhir.Decoder, protocols []*protocol.Protocol) *Evaluator {
	return &Evaluator{decoder: decoder, protocols: protocols, seen: map[string]map[[8]byte]bool{}}
}

// Read takes in the lines of a file. progress, if not nil, is called with the number of lines now and then.
func (e *Evaluator) Read(file string, r io.Reader, progress func(lines int)) error {
	type job struct {
		line     feed.Line
		outcomes []fhir.Outcome
	}
	const chunk = 512
	jobs := make([]job, 0, chunk)
	flush := func() {
		var wg sync.WaitGroup
		workers := runtime.GOMAXPROCS(0)
		for w := range workers {
			wg.Go(func() {
				for i := w; i < len(jobs); i += workers {
					if l := &jobs[i].line; l.TooLong == "" && l.Envelope == nil {
						jobs[i].outcomes = e.decoder.Decode(fhir.Message{Data: l.Data, Site: l.Site, ReceivedAt: l.ReceivedAt})
					}
				}
			})
		}
		wg.Wait()
		for i := range jobs {
			e.take(&jobs[i].line, jobs[i].outcomes)
		}
		clear(jobs) // lets the lines go
		jobs = jobs[:0]
	}
	lines := 0
	err := feed.Read(file, r, feed.MaxLine, func(l feed.Line) error {
		jobs = append(jobs, job{line: l})
		lines++
		if len(jobs) == chunk {
			flush()
			if progress != nil {
				progress(lines)
			}
		}
		return nil
	})
	flush()
	return err
}

// Add takes in a fact that somebody else has decoded.
func (e *Evaluator) Add(f *timeline.Fact) {
	if f.ReceivedAt.After(e.latest) {
		e.latest = f.ReceivedAt
	}
	e.items = append(e.items, item{fact: f})
}

// Count takes in a message of which somebody else has decoded the facts: what no rule reads of it, and what cannot be used. file and number say where it is.
func (e *Evaluator) Count(m fhir.Message, file string, number int) {
	outcomes := e.decoder.Decode(m)
	for i := range outcomes {
		outcomes[i].Fact = nil
	}
	latest := e.latest
	e.take(&feed.Line{File: file, Number: number, Site: m.Site, ReceivedAt: m.ReceivedAt, Data: m.Data}, outcomes)
	e.latest = latest // that of the facts
}

func (e *Evaluator) take(l *feed.Line, outcomes []fhir.Outcome) {
	refuse := func(reason, detail string) {
		e.refused = append(e.refused, Refused{Kind: "refused", File: l.File, Line: l.Number, Reason: reason, Detail: detail, site: l.Site, receivedAt: l.ReceivedAt, digest: digest(l.Data)})
	}
	switch {
	case l.TooLong != "":
		refuse(string(fhir.ReasonTooLarge), l.TooLong)
	case l.Envelope != nil:
		refuse(string(fhir.ReasonNotFHIR), l.Envelope.Error())
	}
	for i := range outcomes {
		o := &outcomes[i]
		if o.ReceivedAt.After(e.latest) {
			e.latest = o.ReceivedAt
		}
		switch o.Kind {
		case fhir.NotRelevant:
			if e.seen[l.Site] == nil {
				e.seen[l.Site] = map[[8]byte]bool{}
			}
			e.seen[l.Site][digest(o.Raw)] = true
		case fhir.DeadLetter:
			r := Refused{Kind: "refused", File: l.File, Line: l.Number, Reason: string(o.Reason), Detail: o.Detail, site: l.Site, receivedAt: o.ReceivedAt, digest: digest(o.Raw)}
			if o.Entry >= 0 {
				r.Entry = &o.Entry
			}
			e.refused = append(e.refused, r)
		}
		if o.Fact != nil {
			e.items = append(e.items, item{o.Fact, l.File, l.Number, o.Entry})
		}
	}
}

// InOrder returns an evaluator that has read lines of the one file that e has read, in another order: numbers of lines from 1, any of them more than once. What
// was decoded is shared: nothing changes a fact.
func (e *Evaluator) InOrder(lines []int) *Evaluator {
	byLine := map[int][]item{}
	for _, it := range e.items {
		byLine[it.line] = append(byLine[it.line], it)
	}
	other := *e
	other.items = make([]item, 0, len(e.items))
	for place, line := range lines {
		for _, it := range byLine[line] {
			it.line = place + 1
			other.items = append(other.items, it)
		}
	}
	return &other
}

func digest(data []byte) (d [8]byte) {
	h := sha256.Sum256(data)
	copy(d[:], h[:])
	return d
}

// Protocols are those by which it evaluates.
func (e *Evaluator) Protocols() []*protocol.Protocol { return e.protocols }

// Latest is the latest receipt read, the zero time if there is none: the default now.
func (e *Evaluator) Latest() time.Time { return e.latest }

// Result is what is true at an instant.
type Result struct {
	Findings []rules.Finding
	Panels   []aggregate.Panel
	Refused  []Refused

	Summaries [][]rules.Summary // what the panels were made of, by protocol
}

// At says what is true at an instant. Lines received after it are ignored. The answer does not depend on the order or repetition of lines, but for
// the places of refused ones.
func (e *Evaluator) At(now time.Time) Result { return e.CutAt(now, now) }

// CutAt is what was true at an instant, as far as it was known at another: what happened after the cut-off is left out, and what had not been received by then.
func (e *Evaluator) CutAt(cutoff, received time.Time) Result {
	a := e.answer(cutoff, received)
	r := Result{Findings: a.Findings, Refused: a.refused, Summaries: a.Summaries}
	for i, proto := range e.protocols {
		r.Panels = append(r.Panels, aggregate.Panels(proto, a.Summaries[i], a.Feed, cutoff)...)
	}
	return r
}

// Answer is a [Result] before the patients are counted.
type Answer struct {
	Findings  []rules.Finding
	Summaries [][]rules.Summary // by protocol, in the order of [New]
	Feed      []aggregate.SiteRow

	refused []Refused
}

// AnswerAt is [Evaluator.At] without the panels, which follow from the rest and cost more than it.
func (e *Evaluator) AnswerAt(now time.Time) Answer { return e.answer(now, now) }

func (e *Evaluator) answer(now, received time.Time) Answer {
	sites := map[string]*site.Site{}
	versions := map[string]map[uint64]bool{} // by site: hashes, a tenth of what the names of the versions take
	seed := maphash.MakeSeed()
	last := map[string]time.Time{}
	for i := range e.items {
		f := e.items[i].fact
		if f.ReceivedAt.After(received) {
			continue
		}
		s := sites[f.Site]
		if s == nil {
			s = e.site(f.Site)
			sites[f.Site], versions[f.Site] = s, map[uint64]bool{}
		}
		s.Apply(f)
		if f.State != timeline.Refused {
			versions[f.Site][maphash.Comparable(seed, [4]string{f.Ref.Type(), f.Ref.ID(), f.Version.ID, f.Version.Digest})] = true
		}
		if f.ReceivedAt.After(last[f.Site]) {
			last[f.Site] = f.ReceivedAt
		}
	}
	r := Answer{Summaries: make([][]rules.Summary, len(e.protocols))}
	states := map[*protocol.Protocol]*trial.State{}
	for _, proto := range e.protocols {
		states[proto] = &trial.State{}
	}
	for _, name := range sortedKeys(sites) {
		for _, p := range sites[name].Patients() {
			for i, proto := range e.protocols {
				answer := p.Answer(proto, now)
				r.Findings = append(r.Findings, answer.Findings...)
				if answer.Summary.Enrolled {
					r.Summaries[i] = append(r.Summaries[i], answer.Summary)
					states[proto].Members = append(states[proto].Members, trial.Member{Site: name, Membership: answer.Member, Summary: answer.Summary})
				}
			}
		}
		for _, proto := range e.protocols {
			silences, _ := sites[name].Silences(proto, now)
			states[proto].Add(name, silences, nil)
		}
	}
	for _, proto := range e.protocols {
		r.Findings = append(r.Findings, trial.Findings(proto, states[proto], now)...)
	}
	slices.SortStableFunc(r.Findings, func(a, b rules.Finding) int { return a.Compare(&b) })
	refusedOnce := map[string]map[[8]byte]bool{}
	for _, ref := range e.refused {
		if ref.receivedAt.After(received) {
			continue
		}
		r.refused = append(r.refused, ref)
		if refusedOnce[ref.site] == nil {
			refusedOnce[ref.site] = map[[8]byte]bool{}
		}
		refusedOnce[ref.site][ref.digest] = true
	}
	slices.SortStableFunc(r.refused, func(a, b Refused) int { return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line) })
	rows := map[string]*aggregate.SiteRow{}
	row := func(name string) *aggregate.SiteRow {
		if rows[name] == nil {
			rows[name] = &aggregate.SiteRow{Site: name, NotRelevant: new(uint64)}
		}
		return rows[name]
	}
	for name := range sites {
		row(name).Facts, row(name).LastEvent = uint64(len(versions[name])), last[name].UTC()
	}
	for name, seen := range e.seen {
		*row(name).NotRelevant = uint64(len(seen))
	}
	for name, once := range refusedOnce {
		row(name).DeadLetters = uint64(len(once))
	}
	for _, name := range sortedKeys(rows) {
		if e.NotRelevantUnknown {
			rows[name].NotRelevant = nil
		}
		r.Feed = append(r.Feed, *rows[name])
	}
	return r
}

func (e *Evaluator) site(name string) *site.Site {
	s := site.New(name)
	s.Zone = e.Zones[name]
	return s
}

// History tells the alert events in the order in which they would have been told, had every line been read at its receipt, with the timers in
// between, up to now.
func (e *Evaluator) History(now time.Time, tell func(alert.Event) error) error {
	items := slices.Clone(e.items)
	slices.SortStableFunc(items, func(a, b item) int {
		return cmp.Or(a.fact.ReceivedAt.Compare(b.fact.ReceivedAt), strings.Compare(a.file, b.file), a.line-b.line, a.entry-b.entry)
	})
	h := &history{e: e, tell: tell, sites: map[string]*ward{}, known: map[*site.Patient]bool{}, touched: map[string]*ward{}, told: map[string][]alert.Told{}}
	for _, it := range items {
		f := it.fact
		if f.ReceivedAt.After(now) {
			break
		}
		if err := h.timers(f.ReceivedAt, false); err != nil {
			return err
		}
		h.input++
		w := h.sites[f.Site]
		if w == nil {
			w = &ward{Site: e.site(f.Site)}
			h.sites[f.Site] = w
		}
		for _, p := range w.Apply(f) {
			if err := h.evaluate(p, f.ReceivedAt, f.Reason()); err != nil {
				return err
			}
		}
		if err := h.look(w, f.ReceivedAt); err != nil {
			return err
		}
	}
	return h.timers(now, true)
}

// history is what has been told at some point of it.
type history struct {
	e        *Evaluator
	tell     func(alert.Event) error
	sites    map[string]*ward
	patients []*site.Patient // whose Next may be set
	known    map[*site.Patient]bool
	input    uint64
	at       time.Time               // of the last timer
	touched  map[string]*ward        // of which patients were evaluated at that instant
	told     map[string][]alert.Told // of no single patient, by study
	changed  bool                    // something stands otherwise than when the trial was last looked at
}

// ward is a site and its silences.
type ward struct {
	*site.Site
	silences []site.Silence
	next     time.Time // at which time alone makes one more
}

func (h *history) evaluate(p *site.Patient, at time.Time, reason string) error {
	if !h.known[p] {
		h.known[p] = true
		h.patients = append(h.patients, p)
	}
	evaluations := p.Evaluate(h.e.protocols, alert.Cause{Now: at, Reason: reason, Input: h.input})
	for i := range evaluations {
		h.changed = h.changed || evaluations[i].Changed
		for _, ev := range evaluations[i].Events {
			if err := h.tell(ev); err != nil {
				return err
			}
		}
		evaluations[i].Commit(len(evaluations[i].Events))
	}
	return nil
}

// look looks at the feed of a site after its patients, and then at the trial, if anything stands otherwise.
func (h *history) look(w *ward, at time.Time) error {
	var silences []site.Silence
	silences, w.next = w.AllSilences(h.e.protocols, at)
	if !h.changed && site.SameSilences(silences, w.silences) {
		return nil
	}
	w.silences, h.changed = silences, false
	for _, p := range h.e.protocols {
		state := &trial.State{}
		for _, name := range sortedKeys(h.sites) {
			state.Add(name, h.sites[name].silences, nil)
			for _, patient := range h.sites[name].Patients() {
				if st := patient.Standings[p.Study]; st != nil && st.Summary.Enrolled {
					state.Members = append(state.Members, trial.Member{Site: name, Membership: st.Member, Summary: st.Summary})
				}
			}
		}
		for _, ev := range alert.Diff(h.told[p.Study], trial.Findings(p, state, at), alert.Cause{Now: at, Reason: trial.Reason, Input: h.input, Protocol: p.Pin()}) {
			if err := h.tell(ev); err != nil {
				return err
			}
			h.told[p.Study] = alert.Fold(h.told[p.Study], ev)
		}
	}
	return nil
}

// timers fires what is due before an instant, or at it if inclusive: of one instant first the patients, then the sites.
func (h *history) timers(until time.Time, inclusive bool) error {
	due := func(next time.Time) bool {
		return !next.IsZero() && !next.After(until) && (inclusive || !next.Equal(until))
	}
	for {
		var first *site.Patient
		for _, p := range h.patients {
			if due(p.Next) && (first == nil || p.Next.Before(first.Next) || p.Next.Equal(first.Next) && p.Identity < first.Identity) {
				first = p
			}
		}
		if len(h.touched) > 0 && (first == nil || first.Next.After(h.at)) {
			for _, name := range sortedKeys(h.touched) {
				if err := h.look(h.touched[name], h.at); err != nil {
					return err
				}
			}
			clear(h.touched)
			continue // what they are to be looked at next may come before
		}
		var silent *ward
		for _, name := range sortedKeys(h.sites) {
			if w := h.sites[name]; due(w.next) && (silent == nil || w.next.Before(silent.next)) {
				silent = w
			}
		}
		switch {
		case first != nil && (silent == nil || !silent.next.Before(first.Next)):
			h.at = first.Next
			h.touched[first.Site()] = h.sites[first.Site()]
			if err := h.evaluate(first, h.at, "timer"); err != nil {
				return err
			}
		case silent != nil:
			if err := h.look(silent, silent.next); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

// Write prints a result as JSON lines: findings, aggregates, then what was refused.
func (r *Result) Write(w io.Writer) error {
	out := NewPrinter(w)
	for i := range r.Findings {
		out.Print(&r.Findings[i])
	}
	for i := range r.Panels {
		out.Print(&r.Panels[i])
	}
	for i := range r.Refused {
		out.Print(&r.Refused[i])
	}
	return out.Flush()
}

// Printer writes JSON lines. The first error stays and is returned by Flush.
type Printer struct {
	w   *bufio.Writer
	enc *json.Encoder
	err error
}

// NewPrinter returns a printer. Call Flush at the end.
func NewPrinter(w io.Writer) *Printer {
	bw := bufio.NewWriter(w)
	enc := json.NewEncoder(bw)
	enc.SetEscapeHTML(false)
	return &Printer{w: bw, enc: enc}
}

// Print writes one value as one line.
func (p *Printer) Print(v any) {
	if p.err == nil {
		if err := p.enc.Encode(v); err != nil {
			p.err = fmt.Errorf("write: %w", err)
		}
	}
}

// Flush writes what is buffered.
func (p *Printer) Flush() error {
	if p.err != nil {
		return p.err
	}
	return p.w.Flush()
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
