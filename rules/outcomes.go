package rules

import (
	"cmp"
	"slices"
	"time"

	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// This file says what a patient contributes to response, survival, stays and biomarkers. Days are site-local calendar days.

// Followed is how long a patient was followed from the start of survival, and whether that ended in the event.
type Followed struct {
	Days  int  `json:"days"`
	Event bool `json:"event,omitempty"`
}

// Stay is the stay in hospital that holds day 0, or the first study treatment of a patient without one.
type Stay struct {
	Days    int  `json:"days"` // from the day of admission to that of discharge, 0 while ongoing
	Ongoing bool `json:"ongoing,omitempty"`
	// Readmissions are later stays; they are no part of this one.
	Readmissions int `json:"readmissions,omitempty"`
}

// MarkerValue is a patient's value of a biomarker in a window.
type MarkerValue struct {
	Marker string  `json:"marker"`
	Window string  `json:"window"`
	Value  float64 `json:"value"` // in the canonical unit
}

// assessment is the response of one day.
type assessment struct {
	day      int // since the start
	category timeline.Category
}

func (a assessment) better(b assessment) bool {
	return slices.Index(timeline.Categories, a.category) < slices.Index(timeline.Categories, b.category)
}

// outcomes fills the contribution with what the protocol asks for.
func (c *Case) outcomes(s *Summary) {
	s.Stay = c.indexStay()
	s.Markers = c.markerValues()
	r := c.Protocol.Response
	if r == nil {
		return
	}
	as := c.assessments(c.firstGiven(r.From))
	s.Best = bestResponse(r, as)
	s.Assessed = slices.ContainsFunc(as, func(a assessment) bool { return a.category != timeline.NE })
	s.Unconfirmed = slices.ContainsFunc(as, func(a assessment) bool {
		return a.better(assessment{category: s.Best}) && a.better(assessment{category: timeline.SD})
	})
	if v := c.Protocol.Survival; v != nil {
		start := c.enrolled.At.Start
		if v.From != protocol.Enrolled {
			start = c.firstGiven(v.From)
		}
		if !start.IsZero() {
			s.PFS, s.OS = c.survival(start)
			if day, ok := responded(r, as); ok { // a response lasts for as long as the patient is without progression and alive
				s.DOR = &Followed{max(0, s.PFS.Days-day-c.daysSince(start, c.firstGiven(r.From))), s.PFS.Event}
			}
		}
	}
}

// assessments are the responses that count after the day of start, one a day, the worst of several: none after the first progression, after the first
// dose of what ends them, or after the end of the study. Without a start there is none.
//
// Source: RECIST 1.1, Eisenhauer et al., Eur J Cancer 2009;45:228.
func (c *Case) assessments(start time.Time) []assessment {
	if start.IsZero() {
		return nil
	}
	last := c.responsesEnd()
	var as []assessment
	for _, f := range c.Timeline.Others() {
		if f.Response == nil || f.Response.Problem != nil || f.Provisional || !c.usable(f) || !last.IsZero() && f.At.Start.After(last) && c.daysSince(last, f.At.Start) > 0 {
			continue
		}
		a := assessment{c.daysSince(start, f.At.Start), f.Response.Category}
		n := len(as)
		switch {
		case a.day <= 0: // a baseline
		case n > 0 && as[n-1].day == a.day:
			// What could not be evaluated says nothing beside what could.
			if as[n-1].category == timeline.NE || a.category != timeline.NE && as[n-1].better(a) {
				as[n-1] = a
			}
		case n > 0 && as[n-1].category == timeline.PD:
			return as
		default:
			as = append(as, a)
		}
	}
	return as
}

// responsesEnd is after when no assessment counts, zero while there is no such time.
func (c *Case) responsesEnd() time.Time {
	last := c.OffStudy
	for _, drug := range c.Protocol.Response.EndedBy {
		if at := c.firstGiven(drug); !at.IsZero() && (last.IsZero() || at.Before(last)) {
			last = at
		}
	}
	return last
}

// bestResponse is the best overall response. A response must be confirmed where the protocol says so; one that is not is stable disease if it lasted long enough,
// and so is stable disease itself. Without anything that counts it is not evaluable.
//
// Source: RECIST 1.1, table 3, with the protocol's numbers.
func bestResponse(r *protocol.Response, as []assessment) timeline.Category {
	best := assessment{category: timeline.NE}
	for i, a := range as {
		switch a.category {
		case timeline.CR, timeline.PR:
			if !confirmed(r, as[i:]) {
				a.category = timeline.SD
				if a.day < r.StableAfterDays {
					continue
				}
			}
		case timeline.SD:
			if a.day < r.StableAfterDays {
				continue
			}
		}
		if a.better(best) {
			best = a
		}
	}
	return best.category
}

// responded is the day of the first response that counts as one, ok false where there is none.
func responded(r *protocol.Response, as []assessment) (day int, ok bool) {
	for i, a := range as {
		if a.better(assessment{category: timeline.SD}) && confirmed(r, as[i:]) {
			return a.day, true
		}
	}
	return 0, false
}

// confirmed reports whether the response at the head of a list is seen again in time, with nothing worse between but assessments that could not be
// evaluated, as many as the protocol allows.
func confirmed(r *protocol.Response, as []assessment) bool {
	if r.ConfirmAfterDays == 0 {
		return true
	}
	unknown := 0
	for _, a := range as[1:] {
		switch {
		case a.category == timeline.NE:
			if unknown++; unknown > r.NotEvaluableBetween {
				return false
			}
		case as[0].better(a):
			return false
		case a.day-as[0].day >= r.ConfirmAfterDays:
			return true
		}
	}
	return false
}

// survival is how long a patient was followed without progression and alive. Progression-free survival ends with progression or death and is censored at the
// last assessment that could be evaluated; what comes after the last that counts (a new therapy, the end of the study) is no event. Overall survival ends
// with death and is censored when the patient was last known alive; only a withdrawn consent ends it earlier.
//
// Source: FDA, Clinical Trial Endpoints for the Approval of Cancer Drugs and Biologics, 2018.
func (c *Case) survival(start time.Time) (pfs, os *Followed) {
	withdrawn := time.Time{}
	if c.Enrolment.Status == "withdrawn" {
		withdrawn = c.OffStudy
	}
	died := c.died()
	if !withdrawn.IsZero() && died.After(withdrawn) {
		died = time.Time{}
	}
	pfs, os = &Followed{}, &Followed{Days: c.daysSince(start, c.lastAlive(withdrawn))}
	if !died.IsZero() {
		*os = Followed{c.daysSince(start, died), true}
	}
	for _, a := range c.assessments(start) {
		if a.category != timeline.NE {
			*pfs = Followed{a.day, a.category == timeline.PD}
		}
	}
	if last := c.responsesEnd(); !pfs.Event && !died.IsZero() && (last.IsZero() || !died.After(last)) {
		*pfs = *os
	}
	// A death charted before the start is somebody's slip: nobody is followed for less than no time.
	pfs.Days, os.Days = max(pfs.Days, 0), max(os.Days, 0)
	return pfs, os
}

// died is when the patient died, zero while alive: the day that a Patient resource names, else that of an adverse event of grade 5, whose date may be that on
// which the event began.
func (c *Case) died() time.Time {
	var named, fatal time.Time
	for _, f := range c.Timeline.Others() {
		switch {
		case f.Person != nil:
			if at := f.Person.Deceased.Start; !at.IsZero() && !at.After(c.Now) && (named.IsZero() || at.Before(named)) {
				named = at
			}
		case f.AdverseEvent != nil && c.usable(f) && c.fatal(f.AdverseEvent) && fatal.IsZero():
			fatal = f.At.Start
		}
	}
	return cmp.Or(named, fatal)
}

// lastAlive is the latest time at which something was measured, given or seen, up to a limit.
func (c *Case) lastAlive(limit time.Time) time.Time {
	last := c.enrolled.At.Start
	see := func(at time.Time) bool {
		if at.After(c.Now) || !limit.IsZero() && at.After(limit) {
			return false
		}
		last = later(last, at)
		return true
	}
	for _, name := range c.Timeline.Analytes() {
		for _, p := range slices.Backward(c.Timeline.Series(name)) {
			if !c.fromFuture(p.Fact) && see(p.Fact.At.Start) {
				break
			}
		}
	}
	for _, f := range slices.Backward(c.Timeline.Doses()) {
		if f.Dose.Given() && c.usable(f) && see(f.At.Start) {
			break
		}
	}
	for _, f := range c.Timeline.Others() {
		if (f.Procedure != nil || f.Response != nil || f.AdverseEvent != nil) && c.usable(f) {
			see(f.At.Start)
		}
	}
	for _, f := range c.Timeline.Encounters() {
		if f.Encounter.Stay() && c.usable(f) {
			see(f.At.Start)
			see(f.Encounter.Ended.Start)
		}
	}
	return last
}

// indexStay is the stay that holds the day of day 0, or of the first treatment, nil if there is none or nobody knows when it ended.
func (c *Case) indexStay() *Stay {
	at := c.Day0
	if at.IsZero() {
		at = c.Treated
	}
	if at.IsZero() {
		return nil
	}
	all := c.stays()
	for i := range all {
		s := &all[i]
		if c.daysSince(s.start.Start, at) < 0 || !s.ongoing && (s.end.Start.IsZero() || c.daysSince(at, s.end.Start) < 0) {
			continue
		}
		if s.ongoing {
			return &Stay{Ongoing: true}
		}
		return &Stay{Days: c.daysSince(s.start.Start, s.end.Start), Readmissions: len(all) - 1 - i}
	}
	return nil
}

// markerValues are the patient's values by window, in the order of the protocol.
func (c *Case) markerValues() []MarkerValue {
	b := c.Protocol.Biomarkers
	if b == nil || c.Day0.IsZero() {
		return nil
	}
	var values []MarkerValue
	for i := range b.Markers {
		m := &b.Markers[i]
		var points []timeline.Point
		for _, p := range c.results(m.Reads(), false) {
			if !p.Fact.Provisional {
				points = append(points, p)
			}
		}
		for j := range b.Windows {
			w := &b.Windows[j]
			var taken *timeline.Point
			for k := range points {
				p := &points[k]
				switch day, _ := c.day(p.Fact.At.Start); {
				case day < w.FromDay || day > w.ToDay:
				case taken == nil, w.Take == "highest" && taken.Value.Value.Less(p.Value.Value), w.Take == "" || w.Take == "last":
					taken = p
				}
			}
			if taken != nil {
				values = append(values, MarkerValue{m.ID, w.ID, taken.Value.Value.Float()})
			}
		}
	}
	return values
}

// daysSince counts site-local calendar days.
func (c *Case) daysSince(a, b time.Time) int { return daysBetween(c.local(a), c.local(b)) }
