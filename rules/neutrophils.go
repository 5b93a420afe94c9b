package rules

import (
	"fmt"
	"time"

	"github.com/trialwatch/trialwatch/rules/ctcae"
)

// neutrophilCountDecreased grades every neutrophil count by the pinned CTCAE version. An episode goes from the first result of grade ≥ 1 to the
// first of grade 0; an ungradable result neither opens nor closes one.
//
// Source: CTCAE 4.03, 5.0 and 6.0, Investigations, Neutrophil count decreased.
func neutrophilCountDecreased(c *Case) {
	criterion := ctcae.NeutrophilCountDecreased(c.Protocol.CTCAE)
	tox := c.Protocol.Tox(criterion.Slug)
	if tox == nil {
		return
	}
	var e *episode
	for _, n := range c.counts(false) {
		if n.bound {
			continue
		}
		lln := n.from[0].Low
		if len(n.from) > 1 {
			lln = nil // the limits of its parts are not the limits of the count
		}
		if lln == nil && tox.LLN != nil {
			lln = &tox.LLN.Value
		}
		g := criterion.Grade(n.value, lln, nil)
		switch {
		case g.Ungradable || g.Min == 0 && g.Max > 0:
			c.ungradable(&n, g)
		case g.Max == 0:
			if e != nil {
				c.close(e, n.at)
				e = nil
			}
		default:
			if e == nil {
				e = newEpisode(criterion, n.at, n.received())
			}
			for _, p := range n.from {
				e.Evidence = append(e.Evidence, evidence(p, p.Analyte))
			}
			e.add(g, n.review(), n.provisional(), n.from[0].Value.String())
		}
	}
	if e != nil {
		c.close(e, time.Time{})
	}
}

// ungradable reports a count that may or may not be grade 1: the lower limit of normal is missing, or a comparator leaves it open.
func (c *Case) ungradable(n *count, g ctcae.Grading) {
	why := "the result names no lower limit of normal"
	if !g.Ungradable {
		why = fmt.Sprintf("the comparator leaves grades 0 to %d", g.Max)
	}
	p := n.from[0]
	c.report(Finding{
		Rule: "data.ungradable", Key: p.Fact.Ref.String(), Onset: n.at, Detected: n.received(), NeedsReview: review(p),
		Evidence: []Evidence{evidence(p, p.Analyte)},
		Message:  fmt.Sprintf("Neutrophil count %s cannot be graded: %s.", p.Value, why),
	})
}

// episode is a toxicity finding while it is built.
type episode struct {
	Finding
	last string // the worst value, as sent
}

func newEpisode(k ctcae.Criterion, onset, detected time.Time) *episode {
	return &episode{Finding: Finding{Rule: "tox." + k.Slug, Term: k.Term, Onset: onset, Detected: detected}}
}

// add takes a graded result into the episode.
func (e *episode) add(g ctcae.Grading, review, provisional bool, value string) {
	if e.Grade == nil || g.Min > *e.Grade {
		e.Grade, e.last = new(g.Min), value
	}
	if e.GradeMax == nil || g.Max > *e.GradeMax {
		e.GradeMax = new(g.Max)
	}
	e.Current = new(g.Min)
	e.NeedsReview = e.NeedsReview || review || !g.Certain()
	if !provisional {
		e.ConfirmedGrade = max(e.ConfirmedGrade, g.Min)
	}
}

// close reports an episode that ended at a time, or is open if the time is zero.
func (c *Case) close(e *episode, end time.Time) {
	f := e.Finding
	f.CTCAE = string(c.Protocol.CTCAE)
	if !end.IsZero() {
		c.endsAt(&f, end)
	}
	if f.Status == Resolved {
		f.Current = new(0)
	}
	slug := f.Rule[len("tox."):]
	f.Expected = c.expectedAt(c.Protocol.Tox(slug).Expected, f.Onset)
	f.Message = fmt.Sprintf("%s %s%s: worst %s. Review.", f.Term, gradeText(&f), c.dayText(f.Onset), e.last)
	c.report(f)
}

// gradeText is "grade 3", or "grade 2 to 4".
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
