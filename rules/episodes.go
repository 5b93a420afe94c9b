package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/rules/protocol"
)

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
	least, most := int(g.grade.Min), int(g.grade.Max)
	if e.GradeMax == nil || most > *e.GradeMax {
		e.GradeMax = new(most)
	}
	e.NeedsReview = e.NeedsReview || candidate || g.needsReview() || !g.grade.Certain()
	if candidate {
		return
	}
	e.certain = true
	if e.Grade == nil || least > *e.Grade {
		e.Grade = new(least)
	}
	if e.Current == nil {
		e.Current = new(int)
	}
	*e.Current = least
	if !g.provisional() {
		e.confirmed = max(e.confirmed, least)
	}
	if c.onTreatment(g.at) && (e.BaselineGrade == nil || least > *e.BaselineGrade) {
		e.emergent = true
		if !g.provisional() {
			e.rise(least, g.at, g.received())
		}
	}
}

// evidence is what the results of grade ≥ 1 rest on, in clinical time.
func (e *episode) evidence() []Evidence {
	n := 0
	for i := range e.results {
		n += len(e.results[i].points) + len(e.results[i].doses())
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
		for _, f := range g.doses() {
			list = append(list, factEvidence(f, f.Dose.Drug, f.Dose.Status))
		}
	}
	return inTime(list)
}

// inTime sorts evidence by clinical time, and leaves out what stands in it twice: two instants may rest on one record.
func inTime(list []Evidence) []Evidence {
	order := func(a, b Evidence) int {
		if d := a.At.Compare(b.At); d != 0 {
			return d
		}
		return strings.Compare(a.Ref, b.Ref)
	}
	if !slices.IsSortedFunc(list, order) { // it mostly is
		slices.SortStableFunc(list, order)
	}
	return slices.Compact(list)
}

// worseThan reports whether a result is worse than another of the episode: by its grade, then by its value where both are of one analyte.
func (g *graded) worseThan(o *graded, direction string) bool {
	if d := cmp.Or(cmp.Compare(g.grade.Max, o.grade.Max), cmp.Compare(g.grade.Min, o.grade.Min)); d != 0 {
		return d > 0
	}
	if g.limits == nil || g.limits != o.limits || !g.told || !o.told {
		return false
	}
	d := g.value.Cmp(o.value)
	return direction == "low" && d < 0 || direction == "high" && d > 0
}

// onTreatment reports whether a result counts as of the treatment: at or after its first dose, and not longer after the last than the protocol says.
func (c *Case) onTreatment(at time.Time) bool {
	return !c.Treated.IsZero() && !at.Before(c.Treated) && (c.Protocol.EmergentFor == 0 || !at.After(c.lastTreatment) || at.Sub(c.lastTreatment) <= c.Protocol.EmergentFor.D())
}

// baselineGrade is the grade of the last gradable result before the first study treatment, nil where there is none.
func (c *Case) baselineGrade(gs []graded) (grade *int) {
	for i := range gs {
		if c.Treated.IsZero() || !gs[i].at.Before(c.Treated) {
			break
		}
		if g := gs[i].grade; !g.Ungradable && g.Why == 0 {
			grade = new(int(g.Min))
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
