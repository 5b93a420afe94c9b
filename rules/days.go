package rules

import (
	"cmp"
	"slices"
	"time"

	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// walkDays lays the records of a regimen over the study days that it names, each with a window of days either side. A day is missed at the midnight that ends its
// window. Study days hang on day 0, so nothing is judged before that is known, and what is past by then is judged at once.
func (c *Case) walkDays(r *protocol.Regimen) course {
	k := course{regimen: r}
	records := c.administrations(r, &k)
	k.nothing = len(records) == 0
	var stopped time.Time
	var given, notGiven []dosed
	on := map[string]bool{}
	for _, f := range records {
		if f.Dose.Given() {
			k.given++
		}
		if f.Dose.Status == "stopped" && stopped.IsZero() {
			stopped = f.At.Start
		}
		day, _ := c.recordDay(f)
		date := cmp.Or(f.At.Date, c.local(f.At.Start).Format(time.DateOnly))
		switch d := (dosed{day, f, c.beforeEnrolment(f.At.Start)}); {
		case !r.InForce.At(c.local(f.At.Start)): // another version of the regimen takes it
		case !f.Dose.Given():
			notGiven = append(notGiven, d)
		case on[date] && r.Parts:
		case on[date]:
			k.sameDay = append(k.sameDay, f)
		default:
			on[date] = true
			given = append(given, d)
		}
	}
	if r.Parts {
		k.given = len(on)
	}
	if c.Day0.IsZero() {
		return k
	}
	k.end = c.midnight(r.Days[len(r.Days)-1] + r.WindowDays + 1)
	for _, t := range []time.Time{stopped, c.ordersEnd(r.Drug), c.Left} {
		if !t.IsZero() && t.Before(k.end) {
			k.end = t
		}
	}
	since, expected := c.expectedSince(r)
	filled := c.overDays(&k, given, notGiven)
	waiting := false
	for i, day := range r.Days {
		s := slot{number: i + 1, due: c.midnight(day), missedAt: c.midnight(day + r.WindowDays + 1), known: c.Day0Fact.KnownAt(), record: filled[i]}
		judged := !c.beforeEnrolment(s.due)
		switch f := s.record; {
		case f == nil && (!expected || !s.due.Before(k.end)):
			continue
		case f == nil && !judged:
			s.state = slotNotJudged
		case f == nil:
			s.known = later(s.known, since)
			if s.state = slotMissed; c.Now.Before(s.missedAt) {
				if waiting {
					continue // of days to come only the next is shown
				}
				s.state, waiting = slotPending, s.due.After(c.Now)
				c.wake(s.due)
				c.wake(s.missedAt)
			}
		case f.Dose.Given():
			on, _ := c.recordDay(f)
			s.state, s.early, s.late = slotGiven, judged && on < day-r.WindowDays, judged && on > day+r.WindowDays
		case judged:
			s.state = c.notGivenState(f)
		}
		k.slots = append(k.slots, s)
	}
	if k.nothing {
		c.askOnce(&k)
	}
	return k
}

// expectedSince is when a regimen came to be expected: with the first receipt of a given dose of one of the drugs that it is expected with. The zero time of one that
// is expected whatever is recorded.
func (c *Case) expectedSince(r *protocol.Regimen) (since time.Time, expected bool) {
	if r.ExpectedWith == nil {
		return time.Time{}, true
	}
	take := func(t time.Time) {
		if !expected || t.Before(since) {
			since, expected = t, true
		}
	}
	for _, f := range c.Timeline.Doses() {
		if slices.Contains(r.ExpectedWith, f.Dose.Drug) && f.Dose.Problem == nil && f.Dose.Given() && c.usable(f) {
			take(f.KnownAt())
		}
	}
	if c.Day0Fact != nil && slices.Contains(r.ExpectedWith, c.Protocol.Day0) {
		take(c.Day0Fact.KnownAt())
	}
	return since, expected
}

// beforeEnrolment reports an instant before the patient was in the study.
func (c *Case) beforeEnrolment(t time.Time) bool { return t.Before(c.Enrolment.Start.Start) }

// askOnce leaves of a course of which nothing is recorded the first dose that is judged.
func (c *Case) askOnce(k *course) {
	i := slices.IndexFunc(k.slots, func(s slot) bool { return s.state != slotNotJudged && k.regimen.InForce.At(c.local(s.due)) })
	if i < 0 {
		k.slots = nil
		return
	}
	k.slots = k.slots[i : i+1]
}

// dosed is a record on a study day.
type dosed struct {
	day    int // 0 while day 0 is not known
	record *timeline.Fact
	before bool // the enrolment: it may be of another treatment, and belongs here only within the window of a day
}

// overDays says which record accounts for which day of a regimen, nil for none: given doses first, in their order; then records of not giving, each on its day or
// on the nearest within the window that nothing accounts for, of two the earlier. Doses for which no day is left are beyond the ceiling.
func (c *Case) overDays(k *course, given, notGiven []dosed) []*timeline.Fact {
	r := k.regimen
	slices.SortStableFunc(given, func(a, b dosed) int { return cmp.Compare(a.day, b.day) })
	filled := make([]*timeline.Fact, len(r.Days))
	for i, to := range lay(given, r) {
		switch {
		case to >= 0:
			filled[to] = given[i].record
		case given[i].before:
			k.earlier = append(k.earlier, given[i].record)
		case !r.Parts:
			k.extra = append(k.extra, given[i].record)
		}
		k.known = later(k.known, given[i].record.KnownAt())
	}
	k.known = later(k.known, c.Day0Fact.KnownAt())
	k.given -= len(k.earlier)
	k.records = slices.DeleteFunc(slices.Clone(k.records), func(f *timeline.Fact) bool { return slices.Contains(k.earlier, f) })
	for shift := 0; shift <= r.WindowDays; shift++ {
		notGiven = slices.DeleteFunc(notGiven, func(d dosed) bool {
			i := slices.IndexFunc(r.Days, func(day int) bool { return abs(day-d.day) == shift && filled[slices.Index(r.Days, day)] == nil })
			if i >= 0 {
				filled[i] = d.record
			}
			return i >= 0
		})
	}
	return filled
}

// fit is how well doses lie on days: the less of each the better, the first first.
type fit struct{ left, outside, shift int }

func (a fit) compare(b fit) int {
	return cmp.Or(cmp.Compare(a.left, b.left), cmp.Compare(a.outside, b.outside), cmp.Compare(a.shift, b.shift))
}

// lay says for each dose, in the order of their days, which of the days of a regimen it fills, -1 for none. The order of the doses is that of the days, so that a course
// which was given a day later as a whole is a day late in every dose, not nearly a week in one. Of all ways that which leaves the fewest doses over, then has the fewest
// outside of their windows, then the least shift: a dose on its day stays there. Of equal ones the earlier days are filled, and the later doses left over.
func lay(given []dosed, r *protocol.Regimen) []int {
	best := make([][]fit, len(given)+1)
	for i := range best {
		best[i] = make([]fit, len(r.Days)+1)
		for j := range best[i] {
			if best[i][j].left = i; i > 0 && j > 0 {
				best[i][j], _ = step(best, given, r, i, j)
			}
		}
	}
	on := make([]int, len(given))
	for i := range on {
		on[i] = -1
	}
	for i, j := len(given), len(r.Days); i > 0 && j > 0; {
		switch _, how := step(best, given, r, i, j); how {
		case leaveDose:
			i--
		case leaveDay:
			j--
		default:
			i, j = i-1, j-1
			on[i] = j
		}
	}
	return on
}

type move int

const (
	leaveDose move = iota
	leaveDay
	fill
)

// step is the best way to lay the first i doses over the first j days, and what becomes of the last of them.
func step(best [][]fit, given []dosed, r *protocol.Regimen, i, j int) (f fit, how move) {
	f, how = best[i-1][j], leaveDose
	f.left++
	if g := best[i][j-1]; g.compare(f) < 0 {
		f, how = g, leaveDay
	}
	g, shift := best[i-1][j-1], abs(given[i-1].day-r.Days[j-1])
	if g.shift += shift; shift > r.WindowDays {
		if given[i-1].before {
			return f, how
		}
		g.outside++
	}
	if g.compare(f) < 0 {
		f, how = g, fill
	}
	return f, how
}

func abs(n int) int { return max(n, -n) }
