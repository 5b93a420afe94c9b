package rules

import (
	"fmt"
	"slices"
	"time"

	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// visitState is what became of an assessment that was due.
type visitState string

// A visit is made in its window, early or late outside of it, missed, or pending while its window is open.
const (
	visitMade    visitState = "made"
	visitEarly   visitState = "early"
	visitLate    visitState = "late"
	visitMissed  visitState = "missed"
	visitPending visitState = "pending"
)

// visit is one time at which an assessment was due.
type visit struct {
	time     protocol.AssessmentTime
	due      time.Time
	from, to time.Time // the window: from is in time, to is not
	state    visitState
	made     []*timeline.Fact // what shows it, in the order of the needs; nil where there is nothing
	at       time.Time        // of the fact that completes it, or of the nearest that came too early
}

// examined is an assessment as it went.
type examined struct {
	assessment *protocol.Assessment
	start      time.Time      // of what its days are counted from
	known      time.Time      // receipt of what says so
	of         *timeline.Fact // the record that says so
	visits     []visit
	nothing    bool // no result of it was ever sent
}

// assessments compares what was examined with what the protocol asks for. An examination counts on the day of its result, whether or not the value can be used:
// it was made. Nothing is expected of the time before the enrolment or after the patient has left the study.
//
// Source: the protocol's assessments, each with its citation; importance by ICH E3 Q&A R1.
func assessments(c *Case) {
	for i := range c.Protocol.Assessments {
		a := &c.Protocol.Assessments[i]
		if !a.In(c.Arm) {
			continue
		}
		x := examined{assessment: a}
		if x.start, x.of = c.startOf(a.From); x.start.IsZero() {
			continue
		}
		x.known = x.of.KnownAt()
		c.examine(&x)
		c.missedVisits(&x)
		c.outOfWindow(&x)
		if c.explaining {
			c.examined = append(c.examined, x)
		}
	}
}

// startOf is the instant from which an assessment counts, and the record that says so; zero while there is none.
func (c *Case) startOf(from string) (time.Time, *timeline.Fact) {
	switch from {
	case "", c.Protocol.Day0:
		return c.Day0, c.Day0Fact
	case protocol.Enrolled:
		return c.Enrolment.Start.Start, c.enrolled
	}
	if f := c.firstDose(from); f != nil {
		return f.At.Start, f
	}
	return time.Time{}, nil
}

// examine finds what became of every time that has come. A result within the window makes a visit; one after it, before the window of the next opens, makes it
// late. One before it that no earlier visit takes, and that lies nearer to this one, makes it early, where nothing better comes.
func (c *Case) examine(x *examined) {
	a := x.assessment
	x.nothing = c.firstOf(a) == nil
	judged := c.midnightAfter(c.Enrolment.Start.Start, 0)
	if a.OnceRecorded {
		if x.nothing {
			return
		}
		judged = later(judged, c.midnightAfter(c.firstOf(a).At.Start, 0))
	}
	var taken time.Time // what lies before it belongs to another visit
	next, made := visit{}, make([]*timeline.Fact, len(a.Needs))
	for i := range a.Times {
		v := next
		if i == 0 {
			v = c.window(x, 0)
		}
		if next = (visit{}); i+1 < len(a.Times) {
			next = c.window(x, i+1)
		}
		if v.due.Before(judged) || !a.InForce.At(c.local(v.due)) {
			taken = v.to
			continue
		}
		if c.left(v.to) || x.nothing && len(x.visits) == 1 {
			break // of an assessment of which nothing was ever sent one is asked for, not every one
		}
		until := c.Now.Add(1)
		if !next.from.IsZero() && next.from.Before(until) {
			until = next.from
		}
		v.made = made
		if c.see(x, i, &v, taken, until); v.state != visitMade || c.explaining {
			made = make([]*timeline.Fact, len(a.Needs)) // else nobody asks what shows it
		}
		if taken = v.to; v.state == visitLate {
			taken = v.at.Add(1)
		}
		x.visits = append(x.visits, v)
		if v.state == visitPending {
			c.wake(v.to)
			break
		}
	}
}

// window is a visit with when it is due and when it is in time: from the one instant to before the other; hours are closed on both sides.
func (c *Case) window(x *examined, i int) visit {
	a := x.assessment
	v := visit{time: a.Times[i]}
	if a.ByHours() {
		v.due = x.start.Add(v.time.After.D())
		v.from, v.to = v.due.Add(-a.Window.D()), v.due.Add(a.Window.D())
		return v
	}
	v.due = c.midnightAfter(x.start, v.time.Day)
	if v.from = v.due; a.WindowDays > 0 {
		v.from = c.midnightAfter(x.start, v.time.Day-a.WindowDays)
	}
	v.to = c.midnightAfter(x.start, v.time.Day+a.WindowDays+1)
	return v
}

// earliest is from when a result before the window may make a visit early: where it is nearer to this visit than to the one before; before the first, where it is
// no further from the window than the window is long, and than half the time to the next.
func (c *Case) earliest(x *examined, i int, v *visit) time.Time {
	if i > 0 {
		last := c.window(x, i-1)
		return v.due.Add(-v.due.Sub(last.due)/2 + 1)
	}
	from := v.from.Add(-v.to.Sub(v.from))
	if len(x.assessment.Times) > 1 {
		next := c.window(x, 1)
		from = later(from, v.due.Add(-next.due.Sub(v.due)/2+1))
	}
	return from
}

// see says what became of a visit. Results before one instant are another visit's, and so are those from the other on.
func (c *Case) see(x *examined, n int, v *visit, taken, until time.Time) {
	end := v.to
	if x.assessment.ByHours() {
		end = end.Add(1)
	}
	v.state = visitMade
	worst := time.Duration(-1)
	for i, names := range x.assessment.Needs {
		f := c.firstResult(names, v.from, later(until, end))
		out, state := time.Duration(0), visitMade
		if f == nil || !f.At.Start.Before(end) {
			if f != nil {
				out, state = f.At.Start.Sub(v.to), visitLate
			}
			if before := c.lastResult(names, later(taken, c.earliest(x, n, v)), v.from); before != nil && (f == nil || v.from.Sub(before.At.Start) < out) {
				f, out, state = before, v.from.Sub(before.At.Start), visitEarly
			}
		}
		if v.made[i] = f; f == nil {
			v.state, worst = visitMissed, 1<<62
			continue
		}
		if out > worst || out == worst && f.At.Start.After(v.at) {
			v.at, v.state, worst = f.At.Start, state, out
		}
	}
	if v.state != visitMade && c.Now.Before(v.to) {
		v.state = visitPending
	}
}

// missing are the needs of a visit of which nothing was sent, nil where nothing at all was.
func (v *visit) missing(a *protocol.Assessment) []string {
	var names []string
	for i, f := range v.made {
		if f == nil {
			names = append(names, a.Needs[i][0])
		}
	}
	if len(names) == len(v.made) {
		return nil
	}
	return names
}

// isShown reports whether a result shows that an examination was made: a value that cannot be used does, one that is absent does not.
func (c *Case) isShown(f *timeline.Fact, p *timeline.Problem) bool {
	return c.usable(f) && (p == nil || p.Reason != timeline.ProblemValueAbsent)
}

// firstResult is the first record of any of some concepts at or after one instant and before another, nil if there is none.
func (c *Case) firstResult(names []string, from, to time.Time) (first *timeline.Fact) {
	for _, name := range names {
		if name == timeline.TumorResponse {
			for _, f := range c.Timeline.Others() {
				if f.Response != nil && !f.At.Start.Before(from) && f.At.Start.Before(to) && c.isShown(f, f.Response.Problem) && (first == nil || f.At.Start.Before(first.At.Start)) {
					first = f
				}
			}
			continue
		}
		s := c.Timeline.Series(name)
		for i := since(s, from); i < len(s) && s[i].Fact.At.Start.Before(to); i++ {
			if c.isShown(s[i].Fact, s[i].Problem) {
				if first == nil || s[i].Fact.At.Start.Before(first.At.Start) {
					first = s[i].Fact
				}
				break
			}
		}
	}
	return first
}

// firstOf is the first record of anything that an assessment takes, nil if nothing was ever sent.
func (c *Case) firstOf(a *protocol.Assessment) (first *timeline.Fact) {
	for _, names := range a.Needs {
		if f := c.firstResult(names, time.Time{}, c.Now.Add(1)); f != nil && (first == nil || f.At.Start.Before(first.At.Start)) {
			first = f
		}
	}
	return first
}

// lastResult is the last one.
func (c *Case) lastResult(names []string, from, to time.Time) (last *timeline.Fact) {
	for f := c.firstResult(names, from, to); f != nil; f = c.firstResult(names, f.At.Start.Add(1), to) {
		last = f
	}
	return last
}

// since is the index of the first point at or after an instant.
func since(s []timeline.Point, from time.Time) int {
	i, _ := slices.BinarySearchFunc(s, from, func(p timeline.Point, t time.Time) int {
		if p.Fact.At.Start.Before(t) {
			return -1
		}
		return 1
	})
	return i
}

// missedVisits reports every run of visits of which nothing was sent as one silence. It ends with the next one that is made, or when the patient leaves the study.
func (c *Case) missedVisits(x *examined) {
	a := x.assessment
	for i := 0; i < len(x.visits); i++ {
		if x.visits[i].state != visitMissed {
			continue
		}
		first, n := &x.visits[i], i
		f := Finding{Rule: "dev.assessment-missed", Key: a.ID, Onset: first.due, Detected: later(first.to, x.known), Importance: c.importanceOf(x)}
		for ; n < len(x.visits) && x.visits[n].state == visitMissed; n++ {
			v := &x.visits[n]
			value := v.time.Label()
			if without := v.missing(a); without != nil {
				value += ", no " + join(without)
			}
			f.Evidence = append(f.Evidence, Evidence{Role: "due", At: v.due, Value: value})
			for _, made := range v.made {
				f.NeedsReview = f.NeedsReview || made != nil && c.Timeline.Doubtful(made.Ref)
			}
		}
		last := &x.visits[n-1]
		i = n - 1
		switch {
		case n < len(x.visits) && x.visits[n].state != visitPending:
			c.endsAt(&f, later(x.visits[n].at, first.due))
		case !c.Left.IsZero():
			c.endsAt(&f, later(c.Left, first.to))
		}
		without := first.missing(a)
		switch {
		case x.nothing:
			f.Message = fmt.Sprintf("%s: nothing is recorded, first due %s. Review.", a.Title, c.dueClock(a, first))
		case first != last:
			f.Message = fmt.Sprintf("%s of %s to %s, %d times, first due %s: no record. Review.", a.Title, first.time.Label(), last.time.Label(), len(f.Evidence), c.dueClock(a, first))
		case without != nil:
			f.Message = fmt.Sprintf("%s of %s, due %s: no %s. Review.", a.Title, first.time.Label(), c.dueClock(a, first), join(without))
		default:
			f.Message = fmt.Sprintf("%s of %s, due %s: no record. Review.", a.Title, first.time.Label(), c.dueClock(a, first))
		}
		c.underSilence(&f, first.from, first.to)
		c.report(f)
	}
}

// importanceOf is what the protocol says. Of an assessment of which nothing was ever sent the feed may be to blame: that is a query, unless it is important.
func (c *Case) importanceOf(x *examined) Importance {
	switch {
	case x.assessment.Missed == string(Important):
		return Important
	case x.nothing:
		return Query
	}
	return Minor
}

// outOfWindow reports visits that were made too early or too late, and by how much.
func (c *Case) outOfWindow(x *examined) {
	a := x.assessment
	for i := range x.visits {
		v := &x.visits[i]
		if v.state != visitEarly && v.state != visitLate {
			continue
		}
		f := Finding{Rule: "dev.assessment-missed", Key: a.ID, Onset: v.due, Detected: later(v.to, x.known), Importance: c.importanceOf(x)}
		for j, made := range v.made {
			f.Detected = later(f.Detected, made.KnownAt())
			f.NeedsReview = f.NeedsReview || c.Timeline.Doubtful(made.Ref)
			f.Evidence = append(f.Evidence, shownBy(made, a.Needs[j]))
		}
		f.Message = fmt.Sprintf("%s of %s, due %s: out of window, %s. Review.", a.Title, v.time.Label(), c.dueClock(a, v), c.outBy(a, v))
		c.report(f)
	}
}

// shownBy is the result that shows a need, as evidence.
func shownBy(f *timeline.Fact, names []string) Evidence {
	for i := range f.Results {
		if r := &f.Results[i]; slices.Contains(names, r.Analyte) {
			return factEvidence(f, r.Analyte, r.Value.String())
		}
	}
	return factEvidence(f, timeline.TumorResponse, string(f.Response.Category))
}

// outBy is how far from its window a visit was made: "2 days late".
func (c *Case) outBy(a *protocol.Assessment, v *visit) string {
	if a.ByHours() {
		if v.state == visitEarly {
			return span(v.from.Sub(v.at)) + " early"
		}
		return span(v.at.Sub(v.to)) + " late"
	}
	days := daysBetween(c.local(v.at), c.local(v.from))
	if v.state == visitLate {
		days = daysBetween(c.local(v.to), c.local(v.at)) + 1
	}
	if days == 1 {
		return "1 day " + string(v.state)
	}
	return fmt.Sprintf("%d days %s", days, v.state)
}

// dueClock is when a visit is due as people say it, with its window where that is longer than the day.
func (c *Case) dueClock(a *protocol.Assessment, v *visit) string {
	if a.ByHours() {
		return c.local(v.due).Format("2006-01-02 15:04")
	}
	s := c.local(v.due).Format(time.DateOnly)
	if a.WindowDays > 0 {
		s += fmt.Sprintf(" (in time from %s to %s)", c.local(v.from).Format(time.DateOnly), c.local(v.to).Add(-1).Format(time.DateOnly))
	}
	return s
}
