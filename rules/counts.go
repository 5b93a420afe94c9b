package rules

import (
	"slices"
	"time"

	"github.com/trialwatch/trialwatch/rules/ctcae"
	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// countConcepts are the analytes from which a neutrophil count can be read.
var countConcepts = []string{
	timeline.Neutrophils, timeline.Segs, timeline.Bands, timeline.Leukocytes,
	timeline.NeutrophilsPercent, timeline.SegsPercent, timeline.BandsPercent,
}

// count is what is known of the neutrophil count at one instant, in 10*9/L.
type count struct {
	at    time.Time
	value ctcae.Interval
	from  []timeline.Point // the results that say so
	// bound marks a count that is known only to lie below the leukocytes: enough for a threshold, too little for a grade.
	bound bool
}

func (n *count) review() bool { return slices.ContainsFunc(n.from, review) }

func (n *count) provisional() bool {
	return slices.ContainsFunc(n.from, func(p timeline.Point) bool { return p.Fact.Provisional })
}

// received is when the count could be known.
func (n *count) received() time.Time {
	var t time.Time
	for _, p := range n.from {
		t = later(t, p.Fact.ReceivedAt)
	}
	return t
}

// counts returns the neutrophil count at every instant at which something says what it is. timed leaves out those of which only the day is known.
func (c *Case) counts(timed bool) []count {
	memo := &c.neutrophils[0]
	if timed {
		memo = &c.neutrophils[1]
	}
	return memo.get(c, func() []count { return c.readCounts(timed) })
}

// readCounts reads the counts. An absolute count goes first; then segmented and band forms; then leukocytes times their share; then leukocytes alone,
// which neutrophils cannot exceed. Of two counts at one instant the lower one counts.
func (c *Case) readCounts(timed bool) []count {
	abs := c.results(timeline.Neutrophils, timed)
	ns := make([]count, 0, len(abs))
	for i, p := range abs {
		n := count{at: p.Fact.At.Start, value: ctcae.Of(p.Value.Value, p.Value.Comparator), from: abs[i : i+1 : i+1]}
		if last := len(ns) - 1; last >= 0 && ns[last].at.Equal(n.at) {
			if lower(n.value, ns[last].value) {
				ns[last] = n
			}
			continue
		}
		ns = append(ns, n)
	}
	if derived := c.derivedCounts(timed, ns); len(derived) > 0 {
		ns = append(ns, derived...)
		slices.SortFunc(ns, func(a, b count) int { return a.at.Compare(b.at) }) // no two are of one instant
	}
	return ns
}

// derivedCounts are the counts at instants without an absolute one.
func (c *Case) derivedCounts(timed bool, absolute []count) []count {
	panels := map[time.Time]map[string][]timeline.Point{}
	var instants []time.Time
	for _, name := range countConcepts[1:] {
		for _, p := range c.results(name, timed) {
			if _, found := slices.BinarySearchFunc(absolute, p.Fact.At.Start, func(n count, t time.Time) int { return n.at.Compare(t) }); found {
				continue
			}
			at := p.Fact.At.Start.UTC()
			if panels[at] == nil {
				panels[at] = map[string][]timeline.Point{}
				instants = append(instants, at)
			}
			panels[at][name] = append(panels[at][name], p)
		}
	}
	slices.SortFunc(instants, time.Time.Compare)
	var ns []count
	for _, at := range instants {
		if n, ok := derive(panels[at]); ok {
			n.at = at
			ns = append(ns, n)
		}
	}
	return ns
}

// derive reads a count from the parts of one panel.
func derive(panel map[string][]timeline.Point) (count, bool) {
	var best count
	found := false
	take := func(n count) {
		if !found || lower(n.value, best.value) {
			best, found = n, true
		}
	}
	// Segmented and band forms, absolute. Without bands the segmented ones are a lower bound.
	for _, segs := range panel[timeline.Segs] {
		s := ctcae.Of(segs.Value.Value, segs.Value.Comparator)
		n := count{value: ctcae.Interval{Low: s.Low, LowOpen: s.LowOpen}, from: []timeline.Point{segs}}
		for _, bands := range panel[timeline.Bands] {
			if sum, ok := add(s, ctcae.Of(bands.Value.Value, bands.Value.Comparator)); ok && together(segs, bands) {
				n = count{value: sum, from: []timeline.Point{segs, bands}}
				break
			}
		}
		take(n)
	}
	if found && best.value.High != nil {
		return best, true
	}
	for _, wbc := range panel[timeline.Leukocytes] {
		w := ctcae.Of(wbc.Value.Value, wbc.Value.Comparator)
		n := count{value: ctcae.Interval{High: w.High, HighOpen: w.HighOpen}, from: []timeline.Point{wbc}, bound: true}
		for _, total := range panel[timeline.NeutrophilsPercent] {
			if v, ok := share(w, ctcae.Of(total.Value.Value, total.Value.Comparator)); ok && together(wbc, total) {
				n = count{value: v, from: []timeline.Point{wbc, total}}
			}
		}
		for _, segs := range panel[timeline.SegsPercent] {
			s := ctcae.Of(segs.Value.Value, segs.Value.Comparator)
			if !n.bound || !together(wbc, segs) {
				continue
			}
			for _, bands := range panel[timeline.BandsPercent] {
				sum, ok1 := add(s, ctcae.Of(bands.Value.Value, bands.Value.Comparator))
				if v, ok2 := share(w, sum); ok1 && ok2 && together(wbc, bands) {
					n = count{value: v, from: []timeline.Point{wbc, segs, bands}}
				}
			}
			if v, ok := share(w, s); ok && n.bound {
				// No bands: at least the segmented ones, at most all leukocytes.
				n = count{value: ctcae.Interval{Low: v.Low, LowOpen: v.LowOpen, High: w.High, HighOpen: w.HighOpen}, from: []timeline.Point{wbc, segs}, bound: true}
			}
		}
		if n.value.High != nil || n.value.Low != nil {
			take(n)
		}
	}
	return best, found
}

// together reports whether two results may be of one specimen.
func together(a, b timeline.Point) bool {
	return a.Specimen == "" || b.Specimen == "" || a.Specimen == b.Specimen
}

// add adds two non-negative quantities.
func add(a, b ctcae.Interval) (ctcae.Interval, bool) {
	var sum ctcae.Interval
	if a.Low != nil && b.Low != nil {
		v, err := a.Low.Add(*b.Low)
		if err != nil {
			return sum, false
		}
		sum.Low, sum.LowOpen = &v, a.LowOpen || b.LowOpen
	}
	if a.High != nil && b.High != nil {
		v, err := a.High.Add(*b.High)
		if err != nil {
			return sum, false
		}
		sum.High, sum.HighOpen = &v, a.HighOpen || b.HighOpen
	}
	return sum, true
}

// share is a percentage of a count, both non-negative.
func share(whole, percent ctcae.Interval) (ctcae.Interval, bool) {
	var part ctcae.Interval
	ok := true
	times := func(a, b *decimal.Number) *decimal.Number {
		if a == nil || b == nil {
			return nil
		}
		v, err := a.Mul(*b)
		if err == nil {
			v, err = v.Mul(decimal.New(1, 100))
		}
		ok = ok && err == nil
		return &v
	}
	part.Low, part.LowOpen = times(whole.Low, percent.Low), whole.LowOpen || percent.LowOpen
	part.High, part.HighOpen = times(whole.High, percent.High), whole.HighOpen || percent.HighOpen
	return part, ok
}

// lower reports whether a is the lower of two counts: by what they may be at most, then at least.
func lower(a, b ctcae.Interval) bool {
	if c := compareBound(a.High, b.High, 1); c != 0 {
		return c < 0
	}
	if a.HighOpen != b.HighOpen {
		return a.HighOpen
	}
	return compareBound(a.Low, b.Low, -1) < 0
}

// compareBound compares two bounds; a nil one is infinite with the given sign.
func compareBound(a, b *decimal.Number, infinite int) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return infinite
	case b == nil:
		return -infinite
	}
	return a.Cmp(*b)
}
