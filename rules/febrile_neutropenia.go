package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/rules/ctcae"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// febrileNeutropenia finds febrile neutropenia and what may be it.
//
// Criterion instants are every single temperature above the protocol's limit, and in a run of readings that are all at least the sustained
// limit with gaps of at most readingGap, every reading more than sustainedFor after the run's first. An instant qualifies if the patient is
// neutropenic: the latest count at or before it, not older than lookback, is below the limit, or the first count after it within lookahead is.
// Qualifying instants not separated by a count at or above the limit nor by more than episodeGap are one episode.
//
// Source: CTCAE 4.03, 5.0 and 6.0, Febrile neutropenia, which has no grade below 3; grade 4 is a clinician's. CTCAE names no
// window between count and temperature: the windows are the protocol's.
func febrileNeutropenia(c *Case) {
	if c.Protocol.FN == nil {
		return
	}
	certain, possible := c.feverEpisodes()
	for i := range certain {
		c.reportFN(&certain[i], false)
	}
	for i := range possible {
		c.reportFN(&possible[i], true)
	}
}

// feverEpisodes are the episodes of febrile neutropenia, and what may be some.
func (c *Case) feverEpisodes() (episodes, candidates []fnEpisode) {
	p := c.Protocol.FN
	n := &neutropenia{p: p}
	for _, x := range c.counts(true) {
		switch x.value.Below(p.NeutrophilsBelow.Value) {
		case ctcae.Yes:
			n.decided, n.below = append(n.decided, x), append(n.below, true)
		case ctcae.No:
			n.decided, n.below = append(n.decided, x), append(n.below, false)
		default:
			n.undecided = append(n.undecided, x)
		}
	}
	rs := c.readings()
	instants := criterionInstants(rs, p)
	certain, possible := make([]*instant, 0, len(instants)), []*instant(nil)
	for i := range instants {
		t := &instants[i]
		if n.qualify(t) {
			certain = append(certain, t)
		} else if t.counts = n.undecidedAt(t.at); t.counts != nil {
			possible = append(possible, t)
		}
	}
	possible = append(possible, n.possiblySustained(rs, certain, p)...)
	slices.SortFunc(possible, func(a, b *instant) int { return a.at.Compare(b.at) })

	episodes = n.group(certain, rs, nil)
	return episodes, n.group(possible, rs, episodes)
}

// instant is a time at which the temperature meets the criterion.
type instant struct {
	*reading
	meets  []timeline.Point // the temperatures that do
	onset  time.Time        // of the reading, or the later count's time where only that one made it qualify
	counts []count          // the counts that make it qualify
	since  *reading         // the first of the run that makes it sustained, nil where it is not
}

// received is when everything was known that makes the instant qualify.
func (t *instant) received() time.Time {
	var known time.Time
	for _, p := range t.meets {
		known = later(known, p.Fact.ReceivedAt)
	}
	for _, x := range t.counts {
		if x.at.After(t.at) == t.onset.After(t.at) { // a count that came after a qualifying one adds nothing
			known = later(known, x.received())
		}
	}
	return known
}

// criterionInstants finds them in readings in clinical time.
func criterionInstants(rs []reading, p *protocol.FebrileNeutro) []instant {
	var found []instant
	var first, last *reading // of the run of sustained readings; nil: no run
	for i := range rs {
		r := &rs[i]
		switch r.value().AtLeast(p.Sustained.Value) {
		case ctcae.No:
			first = nil
		case ctcae.Yes:
			if first == nil || r.at.Sub(last.at) > p.ReadingGap.D() {
				first = r
			}
			last = r
		}
		sustained := first != nil && r == last && r.at.Sub(first.at) > p.SustainedFor.D()
		var points []timeline.Point
		for j, q := range r.points {
			v := ctcae.Of(q.Value.Value, q.Value.Comparator)
			single := v.Above(p.Single.Value)
			if p.Single.Comparator == ">=" {
				single = v.AtLeast(p.Single.Value)
			}
			if single == ctcae.Yes || sustained && v.AtLeast(p.Sustained.Value) == ctcae.Yes {
				if points == nil {
					points = r.points[j : j+1 : j+1] // nearly always that one alone
				} else {
					points = append(points, q)
				}
			}
		}
		if len(points) > 0 {
			if found == nil {
				found = make([]instant, 0, len(rs)-i) // who has a fever has many
			}
			t := instant{reading: r, meets: points}
			if sustained {
				t.since = first
			}
			found = append(found, t)
		}
	}
	return found
}

// neutropenia answers whether the patient is neutropenic. A count that a comparator leaves on both sides of the limit is no count: it neither
// qualifies nor ends, and an older one holds.
type neutropenia struct {
	p         *protocol.FebrileNeutro
	decided   []count
	below     []bool // of decided
	undecided []count
	next      int // what after said last: instants are asked for in their order
}

// qualify fills in the onset and the counts of an instant, and reports whether it qualifies.
func (n *neutropenia) qualify(t *instant) bool {
	next := n.after(t.at)
	if prev := next - 1; prev >= 0 && n.below[prev] && t.at.Sub(n.decided[prev].at) <= n.p.Lookback.D() {
		t.onset = t.at
		t.counts = n.decided[prev:next:next]
	}
	if next < len(n.decided) && n.below[next] && n.decided[next].at.Sub(t.at) <= n.p.Lookahead.D() {
		if t.onset.IsZero() {
			t.onset = n.decided[next].at
		}
		t.counts = n.decided[next-len(t.counts) : next+1 : next+1] // with the one before it
	}
	return !t.onset.IsZero()
}

// undecidedAt returns the latest count at or before t if it is undecided and not too old.
func (n *neutropenia) undecidedAt(t time.Time) []count {
	var last []count
	for i := range n.undecided {
		if !n.undecided[i].at.After(t) {
			last = n.undecided[i : i+1 : i+1]
		}
	}
	if last == nil || t.Sub(last[0].at) > n.p.Lookback.D() {
		return nil
	}
	for i := range n.decided {
		if n.decided[i].at.After(last[0].at) && !n.decided[i].at.After(t) {
			return nil
		}
	}
	return last
}

// possiblySustained finds two sustained readings of a neutropenic patient with no reading between, too far apart to be a run and near enough
// that the fever may have lasted.
func (n *neutropenia) possiblySustained(rs []reading, certain []*instant, p *protocol.FebrileNeutro) []*instant {
	var found []*instant
	for i := 1; i < len(rs); i++ {
		a, b := &rs[i-1], &rs[i]
		gap := b.at.Sub(a.at)
		if gap <= p.ReadingGap.D() || gap > p.PossibleSustainedGap.D() ||
			a.value().AtLeast(p.Sustained.Value) != ctcae.Yes || b.value().AtLeast(p.Sustained.Value) != ctcae.Yes {
			continue
		}
		if slices.ContainsFunc(certain, func(t *instant) bool { return t.at.Equal(b.at) }) {
			continue
		}
		t := &instant{reading: b, meets: []timeline.Point{a.highest(), b.highest()}}
		if n.qualify(t) {
			found = append(found, t)
		}
	}
	return found
}

// fnEpisode is a span of qualifying instants.
type fnEpisode struct {
	instants []*instant
	onset    time.Time
	end      time.Time
}

// group makes episodes of instants in clinical time. Instants that lie within one of the episodes in known are left out: what is certain
// needs no candidate.
func (n *neutropenia) group(ts []*instant, rs []reading, known []fnEpisode) []fnEpisode {
	for _, t := range ts {
		if t.onset.IsZero() {
			t.onset = t.at
		}
	}
	ts = slices.DeleteFunc(ts, func(t *instant) bool {
		return slices.ContainsFunc(known, func(k fnEpisode) bool { return !t.onset.Before(k.onset) && t.at.Before(k.end) })
	})
	var es []fnEpisode
	from := 0 // of the episode
	for i, t := range ts {
		if i+1 < len(ts) && ts[i+1].at.Sub(t.at) <= n.p.EpisodeGap.D() && !n.recoveredBetween(t.at, ts[i+1].at) {
			continue
		}
		es = append(es, fnEpisode{instants: ts[from : i+1], onset: ts[from].onset})
		from = i + 1
	}
	for i := range es {
		es[i].end = n.end(&es[i], rs)
		for _, others := range [][]fnEpisode{es[i+1:], known} {
			for j := range others {
				if next := others[j].onset; next.After(es[i].onset) && next.Before(es[i].end) {
					es[i].end = next
				}
			}
		}
	}
	return es
}

// recoveredBetween reports a count at or above the limit after a and not after b.
func (n *neutropenia) recoveredBetween(a, b time.Time) bool {
	for i := n.after(a); i < len(n.decided) && !n.decided[i].at.After(b); i++ {
		if !n.below[i] {
			return true
		}
	}
	return false
}

// after is the index of the first decided count after an instant.
func (n *neutropenia) after(t time.Time) int {
	if i := n.next; (i == 0 || !n.decided[i-1].at.After(t)) && (i == len(n.decided) || n.decided[i].at.After(t)) {
		return i
	}
	n.next, _ = slices.BinarySearchFunc(n.decided, t, func(x count, t time.Time) int {
		if x.at.After(t) {
			return 1
		}
		return -1
	})
	return n.next
}

// end is the first recovered count after the last qualifying instant, or episodeGap after the last sustained reading that is reached from
// it by steps of at most that gap, whichever comes first.
func (n *neutropenia) end(e *fnEpisode, rs []reading) time.Time {
	from := e.instants[len(e.instants)-1].at
	last := from
	for i := range rs {
		if rs[i].at.After(last) && rs[i].value().AtLeast(n.p.Sustained.Value) == ctcae.Yes {
			if rs[i].at.Sub(last) > n.p.EpisodeGap.D() {
				break
			}
			last = rs[i].at
		}
	}
	end := last.Add(n.p.EpisodeGap.D())
	for i := range n.decided {
		if !n.below[i] && n.decided[i].at.After(from) && n.decided[i].at.Before(end) {
			return n.decided[i].at
		}
	}
	return end
}

func (c *Case) reportFN(e *fnEpisode, candidate bool) {
	f := Finding{
		Rule: "tox." + ctcae.FebrileNeutropeniaSlug, Term: ctcae.FebrileNeutropeniaTerm, CTCAE: string(c.Protocol.CTCAE),
		Onset: e.onset, GradeMax: new(ctcae.FebrileNeutropeniaGrade), Expected: c.Protocol.FN.Expected,
	}
	c.endsAt(&f, e.end)
	pressor := c.given(timeline.Vasopressor, e.onset, e.end)
	if candidate {
		f.NeedsReview, f.Urgency = true, Prompt
	} else {
		f.Grade, f.Current = new(ctcae.FebrileNeutropeniaGrade), new(ctcae.FebrileNeutropeniaGrade)
		if f.Status == Resolved {
			f.Current = new(0)
		}
	}
	var lowest *count
	var highest *timeline.Point
	var seen map[*count]bool
	f.Evidence = make([]Evidence, 0, len(e.instants)+len(e.instants)/8) // most are one temperature, and many share a count
	for i, t := range e.instants {
		for j := range t.meets {
			p := &t.meets[j]
			if i == 0 {
				f.Detected = later(f.Detected, p.Fact.ReceivedAt)
			}
			f.NeedsReview = f.NeedsReview || review(*p)
			if j == 0 || p.Fact != t.meets[j-1].Fact {
				f.Evidence = append(f.Evidence, evidence(*p, timeline.Temperature))
			}
			if highest == nil || p.Value.Value.Cmp(highest.Value.Value) > 0 {
				highest = p
			}
		}
		if i == 0 && len(t.counts) > 0 {
			f.Detected = later(f.Detected, t.counts[0].received()) // the count that fixes the onset
		}
		if i == 0 || !sameCounts(t.counts, e.instants[i-1].counts) {
			for j := range t.counts {
				x := &t.counts[j]
				if seen[x] {
					continue
				}
				if seen == nil {
					seen = map[*count]bool{}
				}
				seen[x] = true
				for _, p := range x.from {
					f.Evidence = append(f.Evidence, evidence(p, p.Analyte))
				}
				f.NeedsReview = f.NeedsReview || x.review()
				if lowest == nil || lower(x.value, lowest.value) {
					lowest = x
				}
			}
		}
		if !candidate && len(f.Rises) == 0 && !slices.ContainsFunc(t.meets, func(p timeline.Point) bool { return p.Fact.Provisional }) &&
			slices.ContainsFunc(t.counts, func(x count) bool { return !x.provisional() }) {
			f.ConfirmedGrade = ctcae.FebrileNeutropeniaGrade
			if c.onTreatment(t.onset) {
				f.rise(f.ConfirmedGrade, t.onset, t.received())
			}
		}
	}
	if pressor != nil && !candidate {
		// Grade 4 is a clinician's: a vasopressor within the episode asks for one.
		f.GradeMax, f.NeedsReview = new(ctcae.FebrileNeutropeniaGrade+1), true
		f.Evidence = append(f.Evidence, factEvidence(pressor, timeline.Vasopressor, pressor.Dose.Status))
	}
	f.Evidence = inTime(f.Evidence)
	what := fmt.Sprintf("Febrile neutropenia grade %d", ctcae.FebrileNeutropeniaGrade)
	if candidate {
		what = "Possible febrile neutropenia"
		if lowest != nil && lowest.value.Below(c.Protocol.FN.NeutrophilsBelow.Value) == ctcae.Yes {
			what = "Possible febrile neutropenia (possible sustained fever)"
		}
	}
	if pressor != nil && !candidate {
		what = gradeMessage(&f)
	}
	f.Message = fmt.Sprintf("%s%s: neutrophils %s, %s. Review.", what, c.dayText(f.Onset), countText(lowest), highest.Value)
	c.report(f)
}

// gradeMessage says that a vasopressor may make it grade 4.
func gradeMessage(f *Finding) string {
	return fmt.Sprintf("Febrile neutropenia grade %d (a vasopressor was given: grade %d if life-threatening)", *f.Grade, *f.GradeMax)
}

// countText is a count as it was sent, or how it was derived.
func countText(n *count) string {
	if n == nil {
		return "unknown"
	}
	if len(n.from) == 1 && n.from[0].Analyte == timeline.Neutrophils {
		return n.from[0].Value.String()
	}
	var text strings.Builder
	text.WriteString("from")
	for i, p := range n.from {
		if i > 0 {
			text.WriteString(",")
		}
		text.WriteString(" " + p.Analyte + " " + p.Value.String())
	}
	return text.String()
}

// sameCounts reports whether two instants qualify by the same counts: instants that follow each other nearly always do.
func sameCounts(a, b []count) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}
