package rules

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/trialwatch/trialwatch/rules/ctcae"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

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
		if list == nil {
			list = make([]verdict, 0, len(gs)) // the other terms mostly grade the same results
		}
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
			why := g.grade.Why.String()
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
		n := 1
		for i+n < len(list) && list[i+n].unsaid() {
			n++
		}
		f.Evidence = make([]Evidence, 0, n)
		for end := i + n; i < end; i++ {
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
