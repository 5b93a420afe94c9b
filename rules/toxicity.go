package rules

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/rules/ctcae"
	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// graded is what one instant says of a term: the results of that instant, and their worst grade.
type graded struct {
	at      time.Time
	grade   ctcae.Grading
	limits  *ctcae.Limits    // by which it was graded
	points  []timeline.Point // the results, those that gave the grade first
	derived *derived         // nil for a result as it was sent
	value   decimal.Rounded  // in the canonical unit, to tell the worse of two
	told    bool             // the value is known: without it, it cannot be told
	review  bool             // beyond what the results themselves ask for
}

// derived is what few instants have: patients have thousands of them.
type derived struct {
	doses []*timeline.Fact // administrations that the grade rests on
	text  string           // how the value was derived, "" for the first result as it was sent: see [graded.said]
	in    *ctcae.Input     // what it was graded by, kept for [Explain] only
}

func (g *graded) received() time.Time {
	var t time.Time
	for _, p := range g.points {
		t = later(t, p.Fact.ReceivedAt)
	}
	for _, f := range g.doses() {
		t = later(t, f.KnownAt())
	}
	return t
}

// by grades an instant by a measurement.
func (g *graded) by(c *Case, in *ctcae.Input) {
	g.grade, g.value, g.told = g.limits.Grade(in), in.Value.Low, in.Value.HasLow && in.Value.HasHigh
	if c.explaining {
		kept := *in
		g.more().in = &kept
	}
}

// more is what it is derived from, made if there is none yet.
func (g *graded) more() *derived {
	if g.derived == nil {
		g.derived = &derived{}
	}
	return g.derived
}

func (g *graded) doses() []*timeline.Fact {
	if g.derived == nil {
		return nil
	}
	return g.derived.doses
}

// said is the value, as it was sent or how it was derived.
func (g *graded) said() string {
	if g.derived != nil && g.derived.text != "" || len(g.points) == 0 {
		return g.more().text
	}
	return g.points[0].Value.String()
}

func (g *graded) needsReview() bool { return g.review || slices.ContainsFunc(g.points, review) }

func (g *graded) provisional() bool {
	return slices.ContainsFunc(g.points, func(p timeline.Point) bool { return p.Fact.Provisional })
}

// A source reads the instants of a term in clinical time. Most terms are graded from single results as they are; the others are named in sources.
type source struct {
	reads  []string // concepts beyond the analytes of the criterion
	series func(*Case, *protocol.Term) []graded
}

// sources are the terms that more than one result, or something else than a result, says something of, by the file of their criterion.
var sources = map[string]source{
	"neutrophil-count-decreased": {countConcepts, neutrophils},
	"fever":                      {nil, temperatures},
	"hypercalcemia":              {calciumConcepts, calcium},
	"hypocalcemia":               {calciumConcepts, calcium},
	"hypertension":               {nil, bloodPressure},
	"hypotension":                {[]string{timeline.Vasopressor, timeline.Crystalloid}, lowPressure},
	"urine-output-decreased":     {[]string{timeline.UrineOutput}, urineOutput},
	"electrocardiogram-qt-corrected-interval-prolonged": {nil, correctedQT},
	"hypothyroidism":            {[]string{timeline.TSH, timeline.FreeT4Mass, timeline.FreeT4Molar, timeline.Levothyroxine}, hypothyroidism},
	"cytokine-release-syndrome": {[]string{timeline.Temperature, timeline.Systolic, timeline.SpO2, timeline.Vasopressor}, cytokineRelease},
	"chills":                    {[]string{timeline.Meperidine}, chills},
}

// reads returns the concepts that a term is graded from.
func termReads(t *protocol.Term) []string {
	names := slices.Clone(sources[t.Criterion.Key].reads)
	for i := range t.Criterion.Limits {
		names = append(names, t.Criterion.Limits[i].Analyte)
	}
	return names
}

// toxicity grades every term that the protocol monitors by the pinned CTCAE version. An episode of a term goes from the first result of grade ≥ 1 to the
// first of grade 0; with an episodeGap, readings less than that gap apart are one episode, which ends so long after the last of them.
// What cannot be graded neither opens nor closes an episode.
//
// Source: the criteria under rules/ctcae, tabulated in docs/ctcae.md.
func toxicity(c *Case) {
	terms := c.Protocol.Terms
	c.series = make([]shared[[]graded], len(terms))
	all := make([]subjects, len(terms))
	missing := false
	for i := range terms {
		all[i] = recall(c, "toxicity", strconv.Itoa(i), func() subjects {
			gs := c.seriesOf(i)
			c.episodes(&terms[i], gs)
			return subjectsOf(gs)
		})
		missing = missing || len(all[i].ungraded) > 0
	}
	if missing {
		c.reportUngraded(all)
	}
}

// seriesOf is what the results say of a term of the protocol.
func (c *Case) seriesOf(term int) []graded {
	return c.series[term].get(c, func() []graded {
		t := &c.Protocol.Terms[term]
		if s, ok := sources[t.Criterion.Key]; ok {
			return s.series(c, t)
		}
		return results(c, t)
	})
}

// results grades single results as they are.
func results(c *Case, t *protocol.Term) []graded {
	var gs []graded
	for i := range t.Criterion.Limits {
		l := &t.Criterion.Limits[i]
		ps := c.results(l.Analyte, false)
		gs = slices.Grow(gs, len(ps))
		for j, p := range ps {
			in := c.input(t, l, p)
			gs = append(gs, graded{at: p.Fact.At.Start, limits: l, points: ps[j : j+1 : j+1]})
			gs[len(gs)-1].by(c, &in)
		}
	}
	return worstByInstant(gs)
}

// worstByInstant sorts by time, and keeps of each instant the worse grade: two results of one instant are one.
func worstByInstant(gs []graded) []graded {
	slices.SortStableFunc(gs, func(a, b graded) int { return a.at.Compare(b.at) })
	kept := gs[:0]
	for _, g := range gs {
		last := len(kept) - 1
		if last < 0 || !kept[last].at.Equal(g.at) {
			kept = append(kept, g)
			continue
		}
		if worse(g.grade, kept[last].grade) {
			kept[last], g = g, kept[last]
		}
		if g.grade.Max > 0 && !g.grade.Ungradable {
			kept[last].points = append(slices.Clip(kept[last].points), g.points...)
		}
	}
	return kept
}

// worse reports whether a says worse of an instant than b: any grade says more than none.
func worse(a, b ctcae.Grading) bool {
	if a.Ungradable || b.Ungradable {
		return !a.Ungradable
	}
	return cmp.Or(cmp.Compare(a.Max, b.Max), cmp.Compare(a.Worst, b.Worst), cmp.Compare(a.Min, b.Min)) > 0
}

// input is a result with what it is compared with.
func (c *Case) input(t *protocol.Term, l *ctcae.Limits, p timeline.Point) ctcae.Input {
	in := ctcae.Input{Value: ctcae.Of(p.Value.Value, p.Value.Comparator).Rounded()}
	in.LLN, in.ULN = c.normal(p)
	if t.Threshold != nil {
		in.Threshold = ctcae.Known(t.Threshold.Value.Round())
	}
	b := c.baseline(p.Analyte)
	if b == nil || !p.Fact.At.Start.After(b.Fact.At.Start) || !c.Treated.IsZero() && p.Fact.At.Start.Before(c.Treated) {
		in.AtBaseline = b != nil || c.Treated.IsZero() || p.Fact.At.Start.Before(c.Treated)
		return in
	}
	c.compareWith(&in, l, p, b)
	return in
}

// compareWith sets a baseline, its flag and the change from it.
func (c *Case) compareWith(in *ctcae.Input, l *ctcae.Limits, p timeline.Point, b *timeline.Point) {
	in.Baseline = ctcae.Known(b.Value.Value.Round())
	in.Flag = c.flag(*b)
	if p.Value.Comparator != "" || !l.ReadsChange() {
		return
	}
	difference, err := p.Value.Value.Add(b.Value.Value.Neg())
	if err == nil {
		difference, err = difference.Mul(decimal.Int(100))
	}
	if err == nil {
		difference, err = difference.Quo(b.Value.Value)
	}
	if err == nil {
		in.Change = ctcae.Known(difference.Round())
	}
}

// normal is the limits of normal of a result: its own, else the protocol's for the analyte.
func (c *Case) normal(p timeline.Point) (lln, uln ctcae.Operand) {
	low, high := p.Low, p.High
	if n := c.Protocol.NormalOf(p.Analyte); n != nil {
		low, high = cmp.Or(low, n.LowValue), cmp.Or(high, n.HighValue)
	}
	if low != nil {
		lln = ctcae.Known(low.Round())
	}
	if high != nil {
		uln = ctcae.Known(high.Round())
	}
	return lln, uln
}

// flag says how a baseline lies to its limits of normal; where it has none, what the laboratory said of it.
func (c *Case) flag(p timeline.Point) ctcae.Flag {
	lln, uln := c.normal(p)
	v := p.Value.Value.Round()
	switch {
	case uln.Known && v.Cmp(uln.Number) > 0:
		return ctcae.FlagHigh
	case lln.Known && v.Cmp(lln.Number) < 0:
		return ctcae.FlagLow
	case uln.Known && lln.Known:
		return ctcae.FlagNormal
	case p.Flag == "H" && !uln.Known:
		return ctcae.FlagHigh
	case p.Flag == "L" && !lln.Known:
		return ctcae.FlagLow
	case p.Flag != "" || uln.Known || lln.Known:
		return ctcae.FlagNormal
	}
	return ctcae.FlagUnknown
}

// baseline is the last value of an analyte before the first study treatment; where there is none, the first after the enrolment. nil: none. A
// value with a comparator is no baseline. While nothing has been given, every sample precedes the baseline.
func (c *Case) baseline(analyte string) *timeline.Point {
	s := c.baselines[analyte]
	if s == nil {
		if c.baselines == nil {
			c.baselines = map[string]*shared[*timeline.Point]{}
		}
		s = &shared[*timeline.Point]{}
		c.baselines[analyte] = s
	}
	return s.get(c, func() *timeline.Point { return c.findBaseline(analyte) })
}

func (c *Case) findBaseline(analyte string) *timeline.Point {
	var last, first *timeline.Point
	for _, p := range c.results(analyte, false) {
		if p.Value.Comparator != "" || p.Value.Value.Sign() <= 0 {
			continue
		}
		switch at := p.Fact.At.Start; {
		case !c.Treated.IsZero() && at.Before(c.Treated):
			last = &p
		case first == nil && !c.Treated.IsZero() && !at.Before(c.Enrolment.Start.Start):
			first = &p
		}
	}
	if last == nil && !c.hasSibling(analyte) {
		return first
	}
	return last
}

// hasSibling reports whether the analyte was measured before treatment in the other family of units: then the first value after it is no baseline, for a
// toxicity may hide behind it.
func (c *Case) hasSibling(analyte string) bool {
	sibling := siblingOf(analyte)
	if sibling == "" || c.Treated.IsZero() {
		return false
	}
	return slices.ContainsFunc(c.results(sibling, false), func(p timeline.Point) bool { return p.Fact.At.Start.Before(c.Treated) })
}

// join writes a list as people do: "a", "a and b", "a, b and c".
func join(list []string) string {
	switch len(list) {
	case 0:
		return ""
	case 1:
		return list[0]
	}
	var text strings.Builder
	text.WriteString(list[0])
	for _, s := range list[1 : len(list)-1] {
		text.WriteString(", " + s)
	}
	return text.String() + " and " + list[len(list)-1]
}
