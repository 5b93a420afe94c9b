package rules

import (
	"cmp"
	"slices"
	"time"

	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// slotState is what became of a dose that was due.
type slotState string

// A slot is given, accounted for but not given (held, refused), missed, pending, or not judged because it was due before enrolment.
const (
	slotPending   slotState = "pending"
	slotGiven     slotState = "given"
	slotHeld      slotState = "held"
	slotRefused   slotState = "refused"
	slotMissed    slotState = "missed"
	slotNotJudged slotState = ""
)

// slot is one dose of a regimen.
type slot struct {
	number   int // from 1
	due      time.Time
	missedAt time.Time // from when a slot without a record is missed
	state    slotState
	record   *timeline.Fact // what accounts for it, nil if nothing does
	known    time.Time      // receipt of what fixes the due time
	gap      time.Duration  // since the dose given before, below 0 for the first
	early    bool
	late     bool
}

// course is a regimen as it went.
type course struct {
	regimen    *protocol.Regimen
	slots      []slot
	given      int       // doses given, those outside any slot included
	end        time.Time // when expectations end, zero while that is not known
	nothing    bool      // nothing at all is recorded
	untimed    []*timeline.Fact
	records    []*timeline.Fact // of the regimen's drug, without those of another arm's regimen and second records of one dose
	extra      []*timeline.Fact // doses given beyond the ceiling
	earlier    []*timeline.Fact // doses of an earlier treatment, not counted
	known      time.Time        // receipt of what says that they are, where that is not their own
	duplicates []*timeline.Fact // second records of one dose, not counted
	sameDay    []*timeline.Fact // second doses of one day, counted

	amount     float64 // given in all, in the base unit of the regimen's dose
	perKg      float64 // the same by the dosing weight, 0 where that is not known
	unmeasured int     // given doses whose amount is not known
}

// administrations are the records of a regimen's drug in clinical time, without those that cannot be used or say the same dose twice.
func (c *Case) administrations(r *protocol.Regimen, k *course) []*timeline.Fact {
	var fs []*timeline.Fact
	for _, f := range c.Timeline.Doses() {
		if f.Dose.Drug != r.Drug || f.Dose.Problem != nil || !c.usable(f) || c.elsewhere[f] {
			continue
		}
		if i := c.sameDoseIn(r, fs, f); i >= 0 {
			// The second is the greater of (receipt, id).
			if c := f.ReceivedAt.Compare(fs[i].ReceivedAt); c < 0 || c == 0 && f.Ref.Compare(fs[i].Ref) < 0 {
				f, fs[i] = fs[i], f
			}
			k.duplicates = append(k.duplicates, f)
			continue
		}
		fs = append(fs, f)
	}
	k.records = fs
	return fs
}

// sameDoseIn is the index of a record of the same dose among those that come before in clinical time, -1 where there is none.
func (c *Case) sameDoseIn(r *protocol.Regimen, fs []*timeline.Fact, f *timeline.Fact) int {
	for i, g := range slices.Backward(fs) {
		if f.At.Start.Sub(g.At.Start) >= time.Minute {
			break
		}
		if c.sameDose(r, f, g) {
			return i
		}
	}
	return -1
}

// sameDose reports two records of one given dose: same minute, same amount, in whatever units that the regimen's dose converts.
func (c *Case) sameDose(r *protocol.Regimen, a, b *timeline.Fact) bool {
	if !a.Dose.Given() || !b.Dose.Given() || a.At.DateOnly() || b.At.DateOnly() || a.Ref == b.Ref ||
		!a.At.Start.Truncate(time.Minute).Equal(b.At.Start.Truncate(time.Minute)) {
		return false
	}
	x, y := a.Dose.Amount, b.Dose.Amount
	switch {
	case x == nil || y == nil:
		return false
	case a.Dose.Dimension == b.Dose.Dimension:
		return x.Value.Cmp(y.Value) == 0
	case c.dosing == nil || r.Dose == nil:
		return false
	}
	base, _ := per(r.Dose.Unit)
	p, ok := c.dosing.given(a, base)
	q, also := c.dosing.given(b, base)
	return ok && also && p.value.Cmp(q.value) == 0
}

// walkInterval lays the records of an interval regimen over its slots.
//
// Slot k+1 is due one interval after the dose given in slot k, else one interval after slot k's due. A given dose fills the first open slot
// that was due less than half an interval before it; slots passed over are unaccounted for. A record of not giving accounts for the slot
// nearest to it within half an interval.
func (c *Case) walkInterval(r *protocol.Regimen) course {
	k := course{regimen: r}
	records := c.administrations(r, &k)
	k.nothing = len(records) == 0
	every, half := r.Every.D(), r.Every.D()/2

	var due, known time.Time // of the open slot; zero while nothing fixes it
	if c.Day0Fact != nil {
		due, known = c.Day0End.Add(r.FirstWithin.D()), c.Day0Fact.KnownAt()
	}
	settle := func(s slot) {
		s.number, s.due, s.known, s.missedAt = len(k.slots)+1, due, known, due.Add(r.MissedAfter.D())
		k.slots = append(k.slots, s)
		due = due.Add(every)
	}
	var firstGiven, lastGiven, stopped time.Time
	over := func(t time.Time) bool {
		return !stopped.IsZero() || len(k.slots) >= r.Doses ||
			!lastGiven.IsZero() && (t.Sub(lastGiven) > r.MaxGap.D() || !t.Before(firstGiven.Add(r.Course.D())))
	}
	for _, f := range records {
		t, given := f.At.Start, f.Dose.Given()
		if f.At.DateOnly() {
			k.untimed = append(k.untimed, f)
			continue
		}
		if given {
			k.given++
		}
		if over(t) {
			if given && len(k.slots) >= r.Doses {
				k.extra = append(k.extra, f)
			}
			continue // after the course: counted if given, judged by no slot
		}
		if given && len(k.slots) == 0 && firstGiven.IsZero() {
			// The first dose is due by a time, not at one: before it nothing is early, after it the dose is late and still the first.
			if due.IsZero() || t.Before(due) {
				due, known = t, f.KnownAt()
			}
		}
		if due.IsZero() {
			continue // not given, and nothing says when it should have been
		}
		for len(k.slots) < r.Doses && (given && len(k.slots)+k.given > 1 && !t.Before(due.Add(half)) || !given && t.After(due.Add(half))) {
			settle(slot{state: slotMissed})
		}
		if len(k.slots) >= r.Doses {
			if given {
				k.extra = append(k.extra, f)
			}
			continue
		}
		switch {
		case given:
			s := slot{state: slotGiven, record: f, gap: -1, early: t.Before(due.Add(-r.Tolerance.D())), late: t.After(due.Add(r.Tolerance.D()))}
			if !lastGiven.IsZero() {
				s.gap = t.Sub(lastGiven)
			}
			settle(s)
			due, known, lastGiven = t.Add(every), f.KnownAt(), t
			if firstGiven.IsZero() {
				firstGiven = t
			}
		case !t.Before(due.Add(-half)):
			settle(slot{state: c.notGivenState(f), record: f})
		}
		if f.Dose.Status == "stopped" {
			stopped = t
		}
	}
	c.endInterval(&k, due, firstGiven, lastGiven, stopped)
	for !due.IsZero() && len(k.slots) < r.Doses && (k.end.IsZero() || due.Before(k.end)) {
		if c.asked(&k) {
			break // of a regimen of which nothing is recorded one dose is asked for, not fifteen
		}
		settle(slot{state: slotPending})
		s := &k.slots[len(k.slots)-1]
		if c.Now.Before(s.missedAt) {
			c.wake(s.missedAt)
			break
		}
		s.state = slotMissed
	}
	if n := len(k.slots); n == r.Doses && n > 0 && !c.Now.Before(k.slots[n-1].missedAt) {
		if end := k.slots[n-1].missedAt; k.end.IsZero() || end.Before(k.end) {
			k.end = end
		}
	}
	c.placeUntimed(&k)
	c.forgetBeforeEnrolment(&k)
	return k
}

// endInterval finds when expectations of an interval regimen end: at a stop, so long after the first or last given dose, or with the study.
func (c *Case) endInterval(k *course, due, firstGiven, lastGiven, stopped time.Time) {
	earliest := func(t time.Time) {
		if !t.IsZero() && (k.end.IsZero() || t.Before(k.end)) {
			k.end = t
		}
	}
	earliest(stopped)
	earliest(c.ordersEnd(k.regimen.Drug))
	earliest(c.Left)
	switch {
	case !firstGiven.IsZero():
		earliest(firstGiven.Add(k.regimen.Course.D()))
		earliest(lastGiven.Add(k.regimen.MaxGap.D()))
	case len(k.slots) > 0:
		earliest(k.slots[0].due.Add(k.regimen.Course.D()))
	case !due.IsZero():
		earliest(due.Add(k.regimen.Course.D()))
	}
}

// placeUntimed lets records with a date only account for slots of their day that nothing else accounts for.
func (c *Case) placeUntimed(k *course) {
	for _, f := range k.untimed {
		given := f.Dose.Given()
		if given {
			k.given++
		}
		for i := range k.slots {
			s := &k.slots[i]
			if s.record == nil && c.local(s.due).Format(time.DateOnly) == f.At.Date {
				s.record, s.state = f, slotGiven
				if !given {
					s.state = c.notGivenState(f)
				}
				break
			}
		}
	}
}

// walkDaily lays the records of a daily regimen over its site-local calendar days. A missed day is not made up.
func (c *Case) walkDaily(r *protocol.Regimen) course {
	k := course{regimen: r}
	records := c.administrations(r, &k)
	k.nothing = len(records) == 0
	byDay := map[int][]*timeline.Fact{}
	var stopped time.Time
	for _, f := range records {
		if f.Dose.Given() {
			k.given++
		}
		if day, ok := c.recordDay(f); ok {
			byDay[day] = append(byDay[day], f)
			if f.Dose.Given() && day > r.LastDay {
				k.extra = append(k.extra, f)
			}
		}
		if f.Dose.Status == "stopped" && stopped.IsZero() {
			stopped = f.At.Start
		}
	}
	if c.Day0.IsZero() {
		return k
	}
	k.end = c.midnight(r.LastDay + 1)
	for _, t := range []time.Time{stopped, c.ordersEnd(r.Drug), c.Left} {
		if !t.IsZero() && t.Before(k.end) {
			k.end = t
		}
	}
	for day := r.FirstDay; day <= r.LastDay; day++ {
		s := slot{number: day - r.FirstDay + 1, due: c.midnight(day), missedAt: c.midnight(day + 1), known: c.Day0Fact.KnownAt()}
		for _, f := range byDay[day] {
			switch {
			case s.state == slotGiven && f.Dose.Given():
				k.sameDay = append(k.sameDay, f)
			case f.Dose.Given():
				s.state, s.record = slotGiven, f
			case s.record == nil:
				s.state, s.record = c.notGivenState(f), f
			}
		}
		if s.record == nil {
			if !s.due.Before(k.end) {
				break
			}
			s.state = slotMissed
			if c.Now.Before(s.missedAt) {
				s.state = slotPending
				c.wake(s.missedAt)
			}
		}
		k.slots = append(k.slots, s)
		if s.state == slotPending {
			break
		}
	}
	c.forgetBeforeEnrolment(&k)
	return k
}

// walkGiven takes the records of a regimen of which nothing is expected.
func (c *Case) walkGiven(r *protocol.Regimen) course {
	k := course{regimen: r}
	for _, f := range c.administrations(r, &k) {
		if f.Dose.Given() {
			k.given++
		}
	}
	return k
}

// walkCycle lays the records of a recurring regimen over its cycles, in site-local calendar days. The first dose is due on the first day, each other so many days
// after the dose before, or after the due day of one that was not given. A record belongs to the cycle to which it is nearest, and is early or late beyond the
// window; a cycle is missed at the midnight that ends its window.
func (c *Case) walkCycle(r *protocol.Regimen) course {
	k := course{regimen: r}
	records := c.administrations(r, &k)
	k.nothing = len(records) == 0
	if c.Day0.IsZero() {
		for _, f := range records {
			if f.Dose.Given() {
				k.given++
			}
		}
		return k
	}
	last := r.FirstDay + r.ForDays
	k.end = c.midnight(last + 1)
	for _, t := range []time.Time{c.ordersEnd(r.Drug), c.Left} {
		if !t.IsZero() && t.Before(k.end) {
			k.end = t
		}
	}
	day, known := r.FirstDay, c.Day0Fact.KnownAt()
	settle := func(s slot) {
		s.number, s.due, s.known, s.missedAt = len(k.slots)+1, c.midnight(day), known, c.midnight(day+r.WindowDays+1)
		k.slots = append(k.slots, s)
	}
	for _, f := range records {
		on, ok := c.recordDay(f)
		if f.Dose.Given() {
			k.given++
		}
		if !ok {
			continue
		}
		// A record in the second half of the time to the next cycle belongs to that one.
		for 2*(on-day) > r.EveryDays && day <= last {
			settle(slot{state: slotMissed})
			day += r.EveryDays
		}
		if day > last {
			if f.Dose.Given() {
				k.extra = append(k.extra, f)
			}
			continue
		}
		if f.Dose.Given() {
			settle(slot{state: slotGiven, record: f, early: on < day-r.WindowDays, late: on > day+r.WindowDays})
			day, known = on+r.EveryDays, f.KnownAt()
		} else {
			settle(slot{state: c.notGivenState(f), record: f})
			day += r.EveryDays
		}
		if f.Dose.Status == "stopped" {
			if f.At.Start.Before(k.end) {
				k.end = f.At.Start
			}
			break
		}
	}
	for day <= last && c.midnight(day).Before(k.end) {
		if c.asked(&k) {
			break // of a regimen of which nothing is recorded one dose is asked for
		}
		settle(slot{state: slotPending})
		s := &k.slots[len(k.slots)-1]
		if c.Now.Before(s.missedAt) {
			c.wake(s.missedAt)
			break
		}
		s.state = slotMissed
		day += r.EveryDays
	}
	c.forgetBeforeEnrolment(&k)
	return k
}

// ordersEnd is when the last order for a drug was stopped, zero where none was or another is in force: to change a dose, an order is stopped and a new one
// written.
func (c *Case) ordersEnd(drug string) (end time.Time) {
	for _, f := range c.Timeline.Others() {
		if f.Order == nil || f.Order.Drug != drug || !c.usable(f) {
			continue
		}
		switch f.Order.Status {
		case "stopped":
			end = later(end, cmp.Or(f.At.Start, f.ReceivedAt))
		case "active", "on-hold", "unknown":
			return time.Time{}
		}
	}
	return end
}

// recordDay is the study day of a record.
func (c *Case) recordDay(f *timeline.Fact) (int, bool) {
	if c.Day0.IsZero() {
		return 0, false
	}
	if f.At.DateOnly() {
		d, err := time.Parse(time.DateOnly, f.At.Date)
		return daysBetween(c.local(c.Day0), d), err == nil
	}
	return c.day(f.At.Start)
}

// notGivenState classes a record of not giving by its reasons.
func (c *Case) notGivenState(f *timeline.Fact) slotState {
	if slices.ContainsFunc(f.Dose.Reasons, func(code string) bool { return slices.Contains(c.Protocol.NotGiven.Refused, code) }) {
		return slotRefused
	}
	return slotHeld
}

// forgetBeforeEnrolment takes slots due before the patient was in the study out of judgement: what was given then counts, and is neither early nor late.
func (c *Case) forgetBeforeEnrolment(k *course) {
	for i := range k.slots {
		s := &k.slots[i]
		if !c.beforeEnrolment(s.due) {
			continue
		}
		if s.early, s.late = false, false; s.state != slotGiven {
			s.state = slotNotJudged
		}
	}
}

// asked reports whether a course of which nothing is recorded has come to a slot that is judged.
func (c *Case) asked(k *course) bool {
	return k.nothing && len(k.slots) > 0 && k.regimen.InForce.At(c.local(k.slots[len(k.slots)-1].due))
}

// keepInForce leaves of a course what its regimen judges: slots that were due, and doses that were given, while it was in force. Another version of the
// regimen, if there is one, judges the rest. All doses stay counted.
func (c *Case) keepInForce(k *course) {
	in := k.regimen.InForce
	if in == nil {
		return
	}
	k.slots = slices.DeleteFunc(k.slots, func(s slot) bool { return !in.At(c.local(s.due)) })
	for _, list := range []*[]*timeline.Fact{&k.records, &k.extra, &k.earlier, &k.untimed, &k.duplicates, &k.sameDay} {
		*list = slices.DeleteFunc(*list, func(f *timeline.Fact) bool { return !in.At(c.local(f.At.Start)) })
	}
	if in.Until != "" {
		if until, err := time.ParseInLocation(time.DateOnly, in.Until, c.Protocol.Zone); err == nil && (k.end.IsZero() || until.Before(k.end)) {
			k.end = until
		}
	}
}
