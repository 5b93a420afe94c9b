// Package site holds the patients of one site: it gives every fact to the timelines that it belongs to, joins patients that the site says
// are one, and remembers what was told of each.
//
// The order in which facts arrive does not matter: after the same facts, every timeline is the same.
package site

import (
	"maps"
	"slices"
	"time"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/alert"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// Site is the patients of one site. Use [New]; not safe for concurrent use.
type Site struct {
	Name string
	// Zone is that of the site's clocks: its days, midnights and the times of what is told. nil is the protocol's. Set it before the first evaluation.
	Zone *time.Location

	resources map[timeline.Ref]*resource
	patients  map[string]*Patient                       // by the identity that stands for the patient
	refs      map[string]map[*resource]bool             // resources that some version says are of an identity
	claims    map[string]map[string]struct{}            // identifier → references of the Patient resources that carry it
	links     map[string]string                         // "Patient/old" → "Patient/new"
	uses      map[string]map[*resource]bool             // "Medication/x" → administrations and orders of which some version refers to it
	holders   map[subjectKey]*Patient                   // in whose standing the alerts of a subject are
	parking   *parking                                  // nil: every fact is held
	feed      timeline.Feed                             // what was sent about anybody
	sources   map[string][]Numbers                      // what came of each source that numbers its messages
	listening map[*Patient]bool                         // whose answer the next fact may change, whomever it is about
	here      map[*protocol.Protocol]*protocol.Protocol // protocols on the site's clocks
}

type resource struct {
	timeline.Resource
	ref      timeline.Ref
	attached []string // patients whose timeline holds the versions: nearly always one
}

// Patient is one patient of a site.
type Patient struct {
	Identity string
	Timeline *timeline.Timeline
	// Standings are what stands of the patient, by study.
	Standings map[string]*Standing
	// watched is when the patient was in hospital on a running course of a study, as last answered.
	watched map[string][]timeline.Span

	// Next is the first instant at which time alone can change an answer, zero if there is none.
	Next time.Time

	site *Site
}

// Standing is what stands of a patient in a study: what was told, and the contribution to the aggregates.
type Standing struct {
	Study    string        `json:"study"`
	Protocol string        `json:"protocol"`       // hash of the protocol that it was evaluated by
	Told     []alert.Told  `json:"told,omitempty"` // sorted by alert
	Summary  rules.Summary `json:"summary"`
	// Member is the zero value for somebody who is enrolled no more.
	Member rules.Membership `json:"member,omitzero"`

	moved bool // alerts came from or went to another patient, and that is not committed
	// found is what was found when Told was last brought up to date, nil where that is not known; memo recalls it.
	found []rules.Finding
	memo  rules.Memo
}

// subjectKey is a subject of a study.
type subjectKey struct{ study, subject string }

// New returns a site without patients.
func New(name string) *Site {
	return &Site{
		Name: name, resources: map[timeline.Ref]*resource{}, patients: map[string]*Patient{},
		refs: map[string]map[*resource]bool{}, claims: map[string]map[string]struct{}{}, links: map[string]string{}, uses: map[string]map[*resource]bool{},
		holders: map[subjectKey]*Patient{}, listening: map[*Patient]bool{}, sources: map[string][]Numbers{},
	}
}

// protocol is a protocol on the site's clocks.
func (s *Site) protocol(p *protocol.Protocol) *protocol.Protocol {
	if s.Zone == nil {
		return p
	}
	here := s.here[p]
	if here == nil {
		if s.here == nil {
			s.here = map[*protocol.Protocol]*protocol.Protocol{}
		}
		here = p.In(s.Zone)
		s.here[p] = here
	}
	return here
}

// Apply takes a fact in and returns the patients whose answer may have changed, sorted. A repetition returns none.
func (s *Site) Apply(f *timeline.Fact) []*Patient {
	changed := map[string]bool{}
	if f.State != timeline.Refused {
		s.hear(f.ReceivedAt, changed)
	}
	if !s.park(f) {
		s.apply(f, changed)
		s.unpark(f, changed)
	}
	return s.sorted(changed)
}

func (s *Site) apply(f *timeline.Fact, changed map[string]bool) {
	r := s.resources[f.Ref]
	if f.Ref.Type() == "Medication" {
		s.applyProduct(f, changed)
		return
	}
	if r == nil {
		r = &resource{ref: f.Ref}
		s.resources[f.Ref] = r
	}
	before := r.Latest()
	if !r.Add(f) {
		return
	}
	if m := f.Medication(); m != "" {
		s.use(r, m, changed)
	}
	if id := f.Patient.Identity(); id != "" {
		if s.refs[id] == nil {
			s.refs[id] = map[*resource]bool{}
		}
		s.refs[id][r] = true
	}
	if f.Ref.Type() == "Patient" && (person(before) != nil || person(r.Latest()) != nil) {
		s.rejoin(f.Ref, person(before), person(r.Latest()), changed)
	}
	s.place(r, f, changed)
}

func person(f *timeline.Fact) *timeline.Person {
	if f == nil || f.State != timeline.Usable {
		return nil
	}
	return f.Person
}

// place gives a new version of a resource to the timelines that hold it, and all versions to one that newly does. A timeline sees a version
// that names somebody else as a void, and an administration or an order as its Medication completes it.
func (s *Site) place(r *resource, f *timeline.Fact, changed map[string]bool) {
	if id := f.Patient.Identity(); id != "" {
		if to := s.resolve(id); !slices.Contains(r.attached, to) {
			s.attach(r, to, changed)
		}
	}
	for _, to := range r.attached {
		if s.patient(to).Timeline.Apply(s.asSeenBy(f, to)) {
			changed[to] = true
		}
	}
}

func (s *Site) attach(r *resource, to string, changed map[string]bool) {
	r.attached = append(r.attached, to)
	for _, v := range r.Versions() {
		if s.patient(to).Timeline.Apply(s.asSeenBy(v, to)) {
			changed[to] = true
		}
	}
}

func (s *Site) asSeenBy(f *timeline.Fact, patient string) *timeline.Fact {
	id := f.Patient.Identity()
	if f.State != timeline.Usable || id == "" || s.resolve(id) == patient {
		return s.joined(f)
	}
	return asVoid(f)
}

// asVoid is a version that says nothing here.
func asVoid(f *timeline.Fact) *timeline.Fact {
	return &timeline.Fact{Ref: f.Ref, Version: f.Version, ReceivedAt: f.ReceivedAt, Site: f.Site, Patient: f.Patient, State: timeline.Void}
}

func (s *Site) timeline() *timeline.Timeline {
	tl := timeline.New()
	tl.Site = &s.feed
	return tl
}

func (s *Site) patient(identity string) *Patient {
	p := s.patients[identity]
	if p == nil {
		p = &Patient{Identity: identity, Timeline: s.timeline(), Standings: map[string]*Standing{}, watched: map[string][]timeline.Span{}, site: s}
		s.patients[identity] = p
	}
	return p
}

// Patient returns the patient that an identity stands for now, nil if nothing is known of one.
func (s *Site) Patient(identity string) *Patient { return s.patients[s.resolve(identity)] }

// Site is the name of the patient's site.
func (p *Patient) Site() string { return p.site.Name }

// Restore puts back what was told of a patient before a restart. Standings come in the order in which they were committed: of an alert that went
// from one patient to another between two commits, the later one has the story.
func (s *Site) Restore(identity string, standings []*Standing) {
	p := s.patient(identity)
	for _, st := range standings {
		p.Standings[st.Study] = st
		for i := range st.Told {
			t := &st.Told[i]
			key := subjectKey{st.Study, t.Finding.Subject}
			if h := s.holders[key]; h != nil && h != p {
				from := h.Standings[st.Study]
				from.found = nil
				from.Told = slices.DeleteFunc(from.Told, func(o alert.Told) bool { return o.Alert == t.Alert && o.Version <= t.Version })
			}
			s.holders[key] = p
		}
	}
}

// Patients returns all patients, sorted by identity.
func (s *Site) Patients() []*Patient {
	return slices.SortedFunc(maps.Values(s.patients), func(a, b *Patient) int { return compare(a.Identity, b.Identity) })
}

func (s *Site) sorted(ids map[string]bool) []*Patient {
	ps := make([]*Patient, 0, len(ids))
	for id := range ids {
		ps = append(ps, s.patient(id))
	}
	slices.SortFunc(ps, func(a, b *Patient) int { return compare(a.Identity, b.Identity) })
	return ps
}

// resolve follows the site's own words about who is who: an identifier to the Patient that carries it (the smallest reference of several),
// and links to the record that replaced one. A circle of links ends at its smallest member.
func (s *Site) resolve(id string) string {
	if claims := s.claims[id]; len(claims) > 0 {
		least := ""
		for ref := range claims {
			if least == "" || ref < least {
				least = ref
			}
		}
		id = least
	}
	if len(s.links) == 0 {
		return id
	}
	seen := map[string]bool{}
	for at := id; ; {
		next, ok := s.links[at]
		if !ok {
			return at
		}
		if seen[at] {
			least := at
			for m := s.links[at]; m != at; m = s.links[m] {
				least = min(least, m)
			}
			return least
		}
		seen[at] = true
		at = next
	}
}

// rejoin takes a new version of a Patient resource in: the identities that it touches may now stand for others.
func (s *Site) rejoin(ref timeline.Ref, before, after *timeline.Person, changed map[string]bool) {
	self := ref.String()
	touched := map[string]bool{self: true}
	if before != nil {
		for _, id := range before.Identifiers {
			touched[id] = true
			if c := s.claims[id]; c != nil {
				for ref := range c {
					touched[ref] = true
				}
			}
		}
		touched[before.ReplacedBy] = true
	}
	if after != nil {
		for _, id := range after.Identifiers {
			touched[id] = true
			for ref := range s.claims[id] {
				touched[ref] = true
			}
		}
		touched[after.ReplacedBy] = true
	}
	delete(touched, "")
	old := map[string]bool{}
	for id := range touched {
		old[s.resolve(id)] = true
	}
	// A resource hangs on those that the identities of its versions stand for: so these are all that hang on one of the old.
	moved := map[*resource]bool{}
	move := func(of func(id string) bool) {
		for id, rs := range s.refs {
			if of(id) {
				maps.Copy(moved, rs)
			}
		}
	}
	move(func(id string) bool { return old[s.resolve(id)] })
	if before != nil {
		for _, id := range before.Identifiers {
			delete(s.claims[id], self)
		}
		delete(s.links, self)
	}
	if after != nil {
		for _, id := range after.Identifiers {
			if s.claims[id] == nil {
				s.claims[id] = map[string]struct{}{}
			}
			s.claims[id][self] = struct{}{}
		}
		if after.ReplacedBy != "" && after.ReplacedBy != self {
			s.links[self] = after.ReplacedBy
		}
	}
	// Every identity that stood or now stands for one of these patients is laid out anew.
	affected := maps.Clone(old)
	for id := range touched {
		affected[s.resolve(id)] = true
	}
	move(func(id string) bool { return affected[s.resolve(id)] || touched[id] || old[id] })
	for id := range affected {
		s.patient(id).Timeline = s.timeline()
		changed[id] = true
	}
	for r := range moved {
		r.attached = slices.DeleteFunc(r.attached, func(id string) bool { return affected[id] })
		for _, v := range r.Versions() {
			if id := v.Patient.Identity(); id != "" {
				if to := s.resolve(id); !slices.Contains(r.attached, to) {
					s.attach(r, to, changed)
				}
			}
		}
	}
	for id := range old {
		if heir := s.resolve(id); heir != id {
			for study := range s.patient(id).Standings {
				s.hand(s.patient(id), s.patient(heir), study, func(string) bool { return true })
			}
		}
	}
}

// follow moves what was told of a subject to the patient who now is that subject, if it was told of another: an alert is the subject's, so its story
// and its versions go on when records are joined, parted or corrected.
func (p *Patient) follow(proto *protocol.Protocol, subject string, now time.Time) {
	key := subjectKey{proto.Study, subject}
	holder := p.site.holders[key]
	p.site.holders[key] = p
	if holder == nil || holder == p || holder.Standings[proto.Study] == nil {
		return
	}
	if holder.Answer(proto, now).Subject == subject {
		p.site.holders[key] = holder // two patients under one name: each keeps its own
		return
	}
	p.site.hand(holder, p, proto.Study, func(of string) bool { return of == subject })
}

// hand gives what was told of some subjects of a study from one patient to another.
func (s *Site) hand(from, to *Patient, study string, of func(subject string) bool) {
	giver := from.Standings[study]
	var moved, rest []alert.Told
	for _, t := range giver.Told {
		if !of(t.Finding.Subject) {
			rest = append(rest, t)
			continue
		}
		moved = append(moved, t)
		s.holders[subjectKey{study, t.Finding.Subject}] = to
	}
	if len(moved) == 0 {
		return
	}
	taker := to.Standing(study)
	taker.Told, giver.Told = union(taker.Told, moved), rest
	taker.moved, giver.moved = true, true
	taker.found, giver.found = nil, nil
}

// union merges two sorted lists; of one alert the greater version stands.
func union(a, b []alert.Told) []alert.Told {
	all := append(slices.Clone(a), b...)
	slices.SortFunc(all, func(x, y alert.Told) int {
		if c := compare(x.Alert, y.Alert); c != 0 {
			return c
		}
		return y.Version - x.Version
	})
	return slices.CompactFunc(all, func(x, y alert.Told) bool { return x.Alert == y.Alert })
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Standing is what stands of a patient in a study, made if nothing does.
func (p *Patient) Standing(study string) *Standing {
	st := p.Standings[study]
	if st == nil {
		st = &Standing{Study: study}
		p.Standings[study] = st
	}
	return st
}

// Evaluation is the answer for one patient in one study and the events that lead to it from what was told.
type Evaluation struct {
	Standing *Standing // as it was
	Answer   rules.Answer
	Events   []alert.Event
	// Changed: there is something to commit, an event, another contribution or another protocol.
	Changed bool
	// Protocol is the hash of the one that judged.
	Protocol string
}

// Answer is what is true of a patient in a study at an instant, on the clocks of the site.
func (p *Patient) Answer(proto *protocol.Protocol, now time.Time) rules.Answer {
	answer := rules.Evaluate(p.Timeline, p.site.protocol(proto), now)
	p.watched[proto.Study] = answer.Watched
	return answer
}

// recall is Answer, from what is remembered of the last one.
func (p *Patient) recall(proto *protocol.Protocol, now time.Time) rules.Answer {
	st := p.Standings[proto.Study]
	if st == nil {
		return p.Answer(proto, now) // nobody of ours, or the first time
	}
	answer := st.memo.Evaluate(p.Timeline, p.site.protocol(proto), now)
	p.watched[proto.Study] = answer.Watched
	return answer
}

// Explain is the answer with its proof, nil for somebody who is not enrolled.
func (p *Patient) Explain(proto *protocol.Protocol, now time.Time) *rules.Explanation {
	return rules.Explain(p.Timeline, p.site.protocol(proto), now)
}

// Evaluate answers for a patient in every study and sets [Patient.Next]. It does not change the standings: [Evaluation.Commit] does.
func (p *Patient) Evaluate(protocols []*protocol.Protocol, cause alert.Cause) []Evaluation {
	p.Next = time.Time{}
	delete(p.site.listening, p)
	var es []Evaluation
	for _, proto := range protocols {
		answer := p.recall(proto, cause.Now)
		if !answer.Next.IsZero() && (p.Next.IsZero() || answer.Next.Before(p.Next)) {
			p.Next = answer.Next
		}
		if answer.Listens {
			p.site.listening[p] = true
		}
		if answer.Subject != "" {
			p.follow(proto, answer.Subject, cause.Now)
		}
		if p.Standings[proto.Study] == nil && !answer.Summary.Enrolled {
			continue // nobody of ours
		}
		st := p.Standing(proto.Study)
		why := cause
		why.Protocol, why.Reason = proto.Pin(), reason(cause.Reason, st.Protocol, proto.Hash)
		e := Evaluation{Standing: st, Answer: answer, Protocol: proto.Hash, Events: alert.DiffSince(st.found, st.Told, answer.Findings, why)}
		e.Changed = len(e.Events) > 0 || !st.Summary.Equal(&answer.Summary) || st.Member != answer.Member || st.Protocol != proto.Hash || st.moved
		es = append(es, e)
	}
	return es
}

// Timer is the reason of an evaluation that only time has made due.
const Timer = "timer"

// reason says with why a patient is evaluated that the protocol of the study is another than before.
func reason(why, before, now string) string {
	if before == "" || before == now {
		return why
	}
	short := func(hash string) string { return hash[:min(8, len(hash))] }
	change := "protocol " + short(before) + " → " + short(now)
	if why == Timer {
		return change // nothing but the protocol may be new
	}
	return why + ", " + change
}

// Commit takes the first n events, and with the last of them the contribution and the protocol, into the standing.
func (e *Evaluation) Commit(n int) {
	if n > 0 {
		e.Standing.found = nil
	}
	for _, ev := range e.Events[:n] {
		e.Standing.Told = alert.Fold(e.Standing.Told, ev)
	}
	if n == len(e.Events) {
		st := e.Standing
		st.Summary, st.Member, st.Protocol, st.moved, st.found = e.Answer.Summary, e.Answer.Member, e.Protocol, false, e.Answer.Findings
	}
}
