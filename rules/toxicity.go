package rules

import (
	"cmp"
	"fmt"
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
	at     time.Time
	grade  ctcae.Grading
	limits *ctcae.Limits    // by which it was graded
	points []timeline.Point // the results, those that gave the grade first
	doses  []*timeline.Fact // administrations that the grade rests on
	text   string           // how the value was derived, "" for the first result as it was sent: see [graded.said]
	value  ctcae.Bounds     // in the canonical unit, to tell the worse of two; the zero value cannot be told
	review bool             // beyond what the results themselves ask for
	in     *ctcae.Input     // what it was graded by, kept for [Explain] only
}

func (g *graded) received() time.Time {
	var t time.Time
	for _, p := range g.points {
		t = later(t, p.Fact.ReceivedAt)
	}
	for _, f := range g.doses {
		t = later(t, f.KnownAt())
	}
	return t
}

// said is the value, as it was sent or how it was derived.
func (g *graded) said() string {
	if g.text == "" && len(g.points) > 0 {
		return g.points[0].Value.String()
	}
	return g.text
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

// subjects are the analytes that a term was graded from, and those of them of which some result has no grade.
type subjects struct{ analytes, ungraded []string }

func subjectsOf(gs []graded) (s subjects) {
	for i := range gs {
		g := &gs[i]
		if len(g.points) == 0 {
			continue
		}
		name := g.points[0].Analyte
		if !slices.Contains(s.analytes, name) {
			s.analytes = append(s.analytes, name)
		}
		if g.unsaid() && !slices.Contains(s.ungraded, name) {
			s.ungraded = append(s.ungraded, name)
		}
	}
	return s
}

// unsaid reports whether an instant has no grade: none at all, or one that a comparator leaves between 0 and another.
func (g *graded) unsaid() bool {
	return g.grade.Ungradable || g.grade.Why == ctcae.ByComparator && g.grade.Worst == 0
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
			gs = append(gs, graded{at: p.Fact.At.Start, grade: l.Grade(&in), limits: l, points: ps[j : j+1 : j+1], value: in.Value, in: c.keep(&in)})
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

// episode is a toxicity finding while it is built.
type episode struct {
	Finding
	results   []graded  // from its first to its last of grade ≥ 1, and what lies between
	last      time.Time // its last result of grade ≥ 1
	worst     *graded   // its worst result
	certain   bool      // some result has a certain grade ≥ 1
	emergent  bool
	confirmed int
}

// episodes makes findings of the instants of a term.
func (c *Case) episodes(t *protocol.Term, gs []graded) {
	gap := t.EpisodeGap.D()
	base := c.baselineGrade(gs)
	var e *episode
	first := 0 // of its results
	for i := range gs {
		g := &gs[i]
		if g.unsaid() {
			continue
		}
		if e != nil && gap > 0 && g.at.Sub(e.last) >= gap {
			c.close(t, e, e.last.Add(gap))
			e = nil
		}
		if g.grade.Max == 0 {
			switch {
			case e != nil && gap > 0:
				e.Current = new(0)
			case e != nil:
				c.close(t, e, g.at)
				e = nil
			}
			continue
		}
		if e == nil {
			first = i
			e = &episode{Finding: Finding{Rule: "tox." + t.Criterion.Slug, Term: t.Criterion.Term, Onset: g.at, Detected: g.received(), BaselineGrade: base}}
		}
		e.results = gs[first : i+1]
		c.extend(t, e, g)
	}
	switch {
	case e != nil && gap > 0:
		c.close(t, e, e.last.Add(gap))
	case e != nil:
		c.close(t, e, time.Time{})
	}
}

// extend takes a result of grade ≥ 1 into an episode.
func (c *Case) extend(t *protocol.Term, e *episode, g *graded) {
	e.last = g.at
	candidate := t.Criterion.Candidate != "" || g.grade.Min == 0
	if e.worst == nil || g.worseThan(e.worst, t.Criterion.Direction) {
		e.worst = g
	}
	if e.GradeMax == nil || g.grade.Max > *e.GradeMax {
		e.GradeMax = new(g.grade.Max)
	}
	e.NeedsReview = e.NeedsReview || candidate || g.needsReview() || !g.grade.Certain()
	if candidate {
		return
	}
	e.certain = true
	if e.Grade == nil || g.grade.Min > *e.Grade {
		e.Grade = new(g.grade.Min)
	}
	if e.Current == nil {
		e.Current = new(int)
	}
	*e.Current = g.grade.Min
	if !g.provisional() {
		e.confirmed = max(e.confirmed, g.grade.Min)
	}
	if c.onTreatment(g.at) && (e.BaselineGrade == nil || g.grade.Min > *e.BaselineGrade) {
		e.emergent = true
		if !g.provisional() {
			e.rise(g.grade.Min, g.at, g.received())
		}
	}
}

// evidence is what the results of grade ≥ 1 rest on, in clinical time.
func (e *episode) evidence() []Evidence {
	n := 0
	for i := range e.results {
		n += len(e.results[i].points) + len(e.results[i].doses)
	}
	list := make([]Evidence, 0, n)
	for i := range e.results {
		g := &e.results[i]
		if g.unsaid() || g.grade.Max == 0 {
			continue
		}
		for _, p := range g.points {
			list = append(list, evidence(p, p.Analyte))
		}
		for _, f := range g.doses {
			list = append(list, factEvidence(f, f.Dose.Drug, f.Dose.Status))
		}
	}
	slices.SortStableFunc(list, func(a, b Evidence) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Ref, b.Ref)) })
	return slices.Compact(list) // two instants may rest on one record
}

// worseThan reports whether a result is worse than another of the episode: by its grade, then by its value where both are of one analyte.
func (g *graded) worseThan(o *graded, direction string) bool {
	if d := cmp.Or(cmp.Compare(g.grade.Max, o.grade.Max), cmp.Compare(g.grade.Min, o.grade.Min)); d != 0 {
		return d > 0
	}
	if g.limits == nil || g.limits != o.limits || !g.value.HasLow || !g.value.HasHigh || !o.value.HasLow || !o.value.HasHigh {
		return false
	}
	d := g.value.Low.Cmp(o.value.Low)
	return direction == "low" && d < 0 || direction == "high" && d > 0
}

// onTreatment reports whether a result counts as of the treatment: at or after its first dose, and not longer after the last than the protocol says.
func (c *Case) onTreatment(at time.Time) bool {
	return !c.Treated.IsZero() && !at.Before(c.Treated) && (c.Protocol.EmergentFor == 0 || !at.After(c.lastTreatment.Add(c.Protocol.EmergentFor.D())))
}

// baselineGrade is the grade of the last gradable result before the first study treatment, nil where there is none.
func (c *Case) baselineGrade(gs []graded) (grade *int) {
	for i := range gs {
		if c.Treated.IsZero() || !gs[i].at.Before(c.Treated) {
			break
		}
		if g := gs[i].grade; !g.Ungradable && g.Why == "" {
			grade = new(g.Min)
		}
	}
	return grade
}

// close reports an episode that ends at a time, or stays open if the time is zero.
func (c *Case) close(t *protocol.Term, e *episode, end time.Time) {
	f := e.Finding
	f.CTCAE = string(c.Protocol.CTCAE)
	f.ConfirmedGrade = e.confirmed
	f.TreatmentEmergent = new(e.emergent)
	if !end.IsZero() {
		c.endsAt(&f, end)
	}
	if f.Status == Resolved && e.certain {
		f.Current = new(0)
	}
	// By its worst result, not its onset: a count that was a little low before the treatment is as expected to fall under it as any other.
	f.Expected = c.expectedAt(t.Expected, e.worst.at)
	what := fmt.Sprintf("Possible %s grade %d", lowerFirst(f.Term), *f.GradeMax)
	if e.certain {
		what = f.Term + " " + gradeText(&f)
	}
	worst := e.worst.said()
	if l := e.worst.limits; l != nil && e.worst.grade.Step != nil {
		// What the value was compared with, where that is not a number of the criterion but the patient's or the laboratory's.
		if text := e.worst.grade.Step.Text; strings.Contains(text, "LN") || strings.Contains(text, "baseline") {
			worst += " (" + text + ")"
		} else if assumed := l.Assumes(e.worst.grade); assumed != "" {
			worst += fmt.Sprintf(" (grade %d if %s)", e.worst.grade.Worst, assumed)
		}
	}
	if t.Criterion.Candidate != "" {
		worst += "; " + t.Criterion.Candidate
	}
	f.Evidence = e.evidence()
	f.Message = fmt.Sprintf("%s%s: worst %s. Review.", what, c.dayText(f.Onset), worst)
	c.report(f)
}

func lowerFirst(s string) string {
	if len(s) > 1 && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'a' && s[1] <= 'z' {
		return string(s[0]+'a'-'A') + s[1:]
	}
	return s
}

// gradeText is "grade 3", or "grade 2 to 4", of a finding that has a grade.
func gradeText(f *Finding) string {
	if *f.Grade == *f.GradeMax {
		return fmt.Sprintf("grade %d", *f.Grade)
	}
	return fmt.Sprintf("grade %d to %d", *f.Grade, *f.GradeMax)
}

// dayText is ", day 3", or nothing while there is no day 0.
func (c *Case) dayText(t time.Time) string {
	if day, ok := c.day(t); ok {
		return fmt.Sprintf(", day %d", day)
	}
	return ""
}

// verdict is a result with what the monitored terms make of it.
type verdict struct {
	at    time.Time
	point timeline.Point
	why   []string // why some term has no grade for it
	no    bool     // some term has none
	toxic bool     // some term gives it a grade of at least 1
}

// unsaid reports whether it should be told that a grade is missing. A sodium that is low enough for a grade is not asked whether it is too high.
func (v *verdict) unsaid() bool { return v.no && !v.toxic }

// verdicts collects what terms make of the results of one analyte, in clinical time.
func (c *Case) verdicts(terms []int, analyte string) []verdict {
	var list []verdict
	for _, term := range terms {
		gs := c.seriesOf(term)
		for i := range gs {
			g := &gs[i]
			if len(g.points) == 0 || g.points[0].Analyte != analyte {
				continue
			}
			at, found := slices.BinarySearchFunc(list, g, func(v verdict, g *graded) int {
				return cmp.Or(v.at.Compare(g.at), v.point.Fact.Ref.Compare(g.points[0].Fact.Ref))
			})
			if !found {
				list = slices.Insert(list, at, verdict{at: g.at, point: g.points[0]})
			}
			v := &list[at]
			if !g.unsaid() {
				v.toxic = v.toxic || g.grade.Min > 0
				continue
			}
			why := string(g.grade.Why)
			if g.grade.Why == ctcae.ByComparator {
				why = fmt.Sprintf("the comparator leaves grades 0 to %d of %s", g.grade.Max, c.Protocol.Terms[term].Criterion.Term)
			}
			v.no = true
			if !slices.Contains(v.why, why) {
				v.why = append(v.why, why)
			}
		}
	}
	return list
}

// reportUngraded reports results that have no grade in some term, by analyte.
func (c *Case) reportUngraded(all []subjects) {
	for _, analyte := range c.Timeline.Analytes() {
		var terms []int
		missing := false
		for i := range all {
			if slices.Contains(all[i].analytes, analyte) {
				terms = append(terms, i)
				missing = missing || slices.Contains(all[i].ungraded, analyte)
			}
		}
		if missing {
			c.part("ungraded", fmt.Sprint(analyte, terms), func() { c.reportUngradedOf(analyte, terms) })
		}
	}
}

// reportUngradedOf reports runs of results of one analyte that have no grade in some term: one finding a run, which ends with the next result that has all.
func (c *Case) reportUngradedOf(analyte string, terms []int) {
	list := c.verdicts(terms, analyte)
	for i := 0; i < len(list); i++ {
		if !list[i].unsaid() {
			continue
		}
		first := &list[i]
		f := Finding{Rule: "data.ungradable", Key: analyte, Onset: first.at, Detected: first.point.Fact.ReceivedAt}
		var why []string
		n := 0
		for ; i < len(list) && list[i].unsaid(); i++ {
			n++
			f.Evidence = append(f.Evidence, evidence(list[i].point, analyte))
			f.NeedsReview = f.NeedsReview || review(list[i].point)
			for _, w := range list[i].why {
				if !slices.Contains(why, w) {
					why = append(why, w)
				}
			}
		}
		if i < len(list) {
			c.endsAt(&f, list[i].at)
		}
		slices.Sort(why)
		what := fmt.Sprintf("%s %s cannot be graded", analyte, first.point.Value)
		if n > 1 {
			what = fmt.Sprintf("%s: %d results cannot be graded, the first %s", analyte, n, first.point.Value)
		}
		f.Message = what + ": " + join(why) + "."
		c.report(f)
	}
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
