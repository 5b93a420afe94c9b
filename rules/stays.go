package rules

import (
	"fmt"
	"time"

	"github.com/trialwatch/trialwatch/rules/timeline"
)

// stay is one stay in hospital: a transfer between units, of which each may be an Encounter of its own, does not end it.
type stay struct {
	encounters []*timeline.Fact // by clinical time
	start      timeline.Time
	// end is when the patient left, zero while ongoing and where nothing says when that was.
	end     timeline.Time
	ongoing bool
	endless bool // ongoing, and nobody has said until when
	// reach is the last instant at which the patient is known to have been in hospital: of an end of which only the date is known, the end of that day.
	reach time.Time
}

// stays joins the inpatient Encounters of a patient into stays, in clinical time. Encounters that overlap or touch are one stay; so are one that ends
// on a date and one that starts on that day. One without an end is ongoing, but for one that is finished: it ended at a time that nobody sent. An end
// that is still to come is an intention, and until then the stay is ongoing.
func (c *Case) stays() []stay {
	var all []stay
	for _, f := range c.Timeline.Encounters() {
		if !f.Encounter.Stay() || !c.usable(f) {
			continue
		}
		n := len(all)
		if n == 0 || !all[n-1].ongoing && f.At.Start.After(all[n-1].reach) {
			all = append(all, stay{start: f.At})
			n++
		}
		all[n-1].take(f, c.Now)
		if f.End.After(c.Now) {
			c.wake(f.End)
		}
	}
	return all
}

func (s *stay) take(f *timeline.Fact, now time.Time) {
	s.encounters = append(s.encounters, f)
	s.endless = s.endless || f.End.IsZero() && f.Encounter.Status != "finished"
	switch {
	case s.endless, f.End.After(now):
		s.ongoing, s.end = true, timeline.Time{}
	case s.ongoing:
	case f.End.IsZero() && !f.At.Start.Before(s.reach): // the last that is known of the stay, and it has no end
		s.end = timeline.Time{}
	case !f.End.IsZero() && !f.End.Before(s.reach):
		s.end = f.Encounter.Ended
	}
	s.reach = later(s.reach, later(f.At.Start, f.End))
}

// unplacedStays reports Encounters that say that the patient was in hospital and not when, or a time so far in the future that it must be an error.
//
// Source: design; nothing that was sent may be lost in silence.
func unplacedStays(c *Case) {
	for _, f := range c.Timeline.Encounters() {
		finding := Finding{Key: f.Ref.String(), Onset: f.At.Start, Detected: f.ReceivedAt}
		switch e := f.Encounter; {
		case e.Problem != nil:
			finding.Rule, finding.Onset, finding.Message = problemRule(e.Problem), f.ReceivedAt, e.Problem.Detail+": no stay can be counted"
		case e.Stay() && c.fromFuture(f):
			finding.Rule, finding.Message = "data.implausible", "the start lies after the receipt: not used"
		default:
			continue
		}
		finding.Message = fmt.Sprintf("inpatient Encounter, %s. Review.", finding.Message)
		finding.Evidence = []Evidence{{Ref: f.Ref.String(), Version: f.Version.ID, Role: "encounter", At: finding.Onset, Value: f.Encounter.Status}}
		c.report(finding)
	}
}

// out is when the stay ends as far as anybody knows: the planned end of one that is ongoing, zero where it has none.
func (s *stay) out() time.Time {
	if s.endless {
		return time.Time{}
	}
	return s.reach
}
