package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/rules/ctcae"
	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/timeline"
	"github.com/trialwatch/trialwatch/rules/unit"
)

// doses compares what was given with the regimens of the assigned arm. A dose is given, accounted for but not given, or unaccounted for; only the
// last is missed, and only while the course runs.
//
// Source: the protocol's regimens and holds, each with its citation; importance by ICH E3 Q&A R1.
func doses(c *Case) {
	c.courses = recall(c, "doses", "", c.judgeCourses)
}

func (c *Case) judgeCourses() []course {
	w := c.walk()
	courses := slices.Clone(w.courses)
	if w.dosing != nil {
		c.unreadAmounts()
		c.unknownRoutes()
	}
	for i := range courses {
		k := &courses[i]
		if w.dosing != nil {
			c.amounts(w.dosing, k)
			w.dosing.cumulate(k)
		}
		c.missed(k)
		for i := range k.slots {
			c.judge(k, &k.slots[i])
			c.despiteHold(k, &k.slots[i])
		}
		c.curious(k)
	}
	if w.dosing != nil {
		c.unweighed(w.dosing)
	}
	return courses
}

// walk is what was given, laid over the regimens of the assigned arm.
type walk struct {
	courses []course
	dosing  *dose // nil where amounts are not compared
}

func (c *Case) walk() *walk { return c.walked.get(c, c.walkAll) }

func (c *Case) walkAll() *walk {
	w := &walk{}
	if c.Protocol.Dosing != nil {
		w.dosing = &dose{c: c, weight: c.dosingWeight()}
		w.dosing.surface = c.bodySurface(w.dosing.weight)
		c.dosing = w.dosing
		c.elsewhere = c.wrongArm(w.dosing)
	}
	for _, r := range c.Protocol.RegimensOf(c.Arm) {
		var k course
		switch r.Schedule {
		case "daily":
			k = c.walkDaily(r)
		case "days":
			k = c.walkDays(r)
		case "cycle":
			k = c.walkCycle(r)
		case "given":
			k = c.walkGiven(r)
		default:
			k = c.walkInterval(r)
		}
		c.keepInForce(&k)
		w.courses = append(w.courses, k)
	}
	return w
}

// missed reports every run of consecutive slots without a record as one silence. It ends at the next record or with the course.
func (c *Case) missed(k *course) {
	for i := 0; i < len(k.slots); i++ {
		if k.slots[i].state != slotMissed {
			continue
		}
		first, n := &k.slots[i], i
		f := Finding{Rule: "dev.dose-missed", Key: k.regimen.ID, Onset: first.due, Detected: later(first.missedAt, first.known), Importance: Minor}
		if k.regimen.Missed == "important" {
			f.Importance = Important
		}
		if k.nothing {
			f.Importance = Query
		}
		for ; n < len(k.slots) && k.slots[n].state == slotMissed; n++ {
			f.Evidence = append(f.Evidence, Evidence{Role: "due", At: k.slots[n].due, Value: fmt.Sprintf("dose %d", k.slots[n].number)})
		}
		i = n - 1
		switch {
		case n < len(k.slots) && k.slots[n].record != nil:
			c.endsAt(&f, later(k.slots[n].record.At.Start, first.due))
		case !k.end.IsZero():
			// The course can end before the silence is long enough to be a miss; a finding does not end before it began.
			c.endsAt(&f, later(k.end, first.missedAt))
		}
		what := fmt.Sprintf("dose %d", first.number)
		if last := k.slots[n-1].number; last != first.number {
			what = fmt.Sprintf("doses %d to %d", first.number, last)
		}
		f.Message = fmt.Sprintf("%s %s of %d, due %s: no record.", k.regimen.Title, what, k.regimen.Slots(), c.clock(first.due, k.regimen))
		if k.nothing {
			f.Message = fmt.Sprintf("%s: nothing is recorded, first dose due %s.", k.regimen.Title, c.clock(first.due, k.regimen))
		}
		c.underSilence(&f, first.due, first.missedAt)
		f.Message += " Review."
		c.report(f)
	}
}

// clock is a due time as people say it: a day for a daily regimen.
func (c *Case) clock(t time.Time, r *protocol.Regimen) string {
	if r.Schedule != "interval" {
		return c.local(t).Format(time.DateOnly)
	}
	return c.local(t).Format("2006-01-02 15:04")
}

// judge reports what is wrong with a slot that has a record.
func (c *Case) judge(k *course, s *slot) {
	if s.record == nil {
		return
	}
	f := Finding{
		Key: k.regimen.ID, Onset: s.due, Detected: later(s.record.KnownAt(), s.known),
		Evidence:    []Evidence{factEvidence(s.record, "dose", s.record.Dose.Status)},
		NeedsReview: c.Timeline.Doubtful(s.record.Ref),
	}
	name := fmt.Sprintf("%s dose %d of %d", k.regimen.Title, s.number, k.regimen.Slots())
	switch {
	case s.state == slotGiven && s.early:
		f.Rule, f.Importance = "dev.dose-early", Minor
		if s.gap >= 0 && s.gap < k.regimen.MinGap.D() {
			f.Importance = Important
		}
		f.Message = fmt.Sprintf("%s given %s early (due %s). Review.", name, c.off(k, s), c.clock(s.due, k.regimen))
		c.report(f)
	case s.state == slotGiven && s.late:
		f.Rule, f.Importance = "dev.dose-late", Minor
		f.Message = fmt.Sprintf("%s given %s late (due %s). Review.", name, c.off(k, s), c.clock(s.due, k.regimen))
		c.report(f)
	case s.state == slotRefused:
		f.Rule, f.Importance = "dev.dose-refused", Minor
		f.Message = name + " refused by the patient."
		c.report(f)
	case s.state == slotHeld:
		c.held(f, name, s.record)
	}
}

// off is how far a given dose lies from its due time; of one that is due on a day, in days.
func (c *Case) off(k *course, s *slot) string {
	if k.regimen.Schedule != "days" {
		return span(s.record.At.Start.Sub(s.due).Abs())
	}
	given, _ := c.recordDay(s.record)
	due, _ := c.day(s.due)
	if n := abs(given - due); n != 1 {
		return fmt.Sprintf("%d days", n)
	}
	return "1 day"
}

// held reports a dose that was not given for another reason than refusal, with the criterion that supports it, if the data show one.
func (c *Case) held(f Finding, name string, record *timeline.Fact) {
	if met := c.criteria(record, time.Time{}); len(met) > 0 {
		m := met[0]
		f.Rule = "log.dose-held"
		f.Detected = later(f.Detected, m.received())
		f.NeedsReview = f.NeedsReview || m.needsReview()
		f.Message = fmt.Sprintf("%s held, criterion %s.", name, m)
		c.report(f)
		return
	}
	f.Rule, f.Importance = "dev.dose-held-unsupported", Query
	f.Message = name + " not given, and the data show no criterion for holding it. Review."
	if slices.ContainsFunc(record.Dose.Reasons, func(code string) bool { return slices.Contains(c.Protocol.NotGiven.Unavailable, code) }) {
		f.Message = name + " not given: drug unavailable. Review."
	}
	c.report(f)
}

// despiteHold reports a dose that was given although a criterion for holding it stood: an absolute one or three relative ones are important.
func (c *Case) despiteHold(k *course, s *slot) {
	if s.record == nil || s.state != slotGiven || s.record.At.DateOnly() {
		return
	}
	met := c.criteria(s.record, k.before(s.record))
	if len(met) == 0 {
		return
	}
	f := Finding{
		Rule: "dev.dosed-despite-hold", Key: k.regimen.ID, Onset: s.due, Detected: later(s.record.KnownAt(), s.known), Importance: Minor,
		NeedsReview: c.Timeline.Doubtful(s.record.Ref), Evidence: []Evidence{factEvidence(s.record, "dose", s.record.Dose.Status)},
	}
	relative, texts, late := 0, make([]string, 0, len(met)), false
	for _, m := range met {
		if m.kind == "absolute" {
			f.Importance = Important
		} else {
			relative++
		}
		f.Detected = later(f.Detected, m.received())
		f.NeedsReview = f.NeedsReview || m.needsReview()
		for _, p := range m.points {
			f.Evidence = append(f.Evidence, evidence(p, m.hold.ID))
		}
		texts = append(texts, m.String())
		late = late || m.received().After(s.record.At.Start)
	}
	if relative >= 3 {
		f.Importance = Important
	}
	f.Message = fmt.Sprintf("%s dose %d of %d given although: %s. Review.", k.regimen.Title, s.number, k.regimen.Slots(), strings.Join(texts, "; "))
	if late {
		f.Message = strings.TrimSuffix(f.Message, " Review.") + " Not all of this was in the feed at dosing time. Review."
	}
	c.report(f)
}

// before is when the dose before a record was given, zero if there is none.
func (k *course) before(record *timeline.Fact) time.Time {
	var last time.Time
	for _, f := range k.records {
		if f == record {
			break
		}
		if f.Dose.Given() {
			last = f.At.Start
		}
	}
	return last
}

// met is a criterion of holding that stood.
type met struct {
	hold   *protocol.Hold
	kind   string // "absolute" or "relative"
	limits *protocol.Limits
	points []timeline.Point // the last value; of a sum its parts
	text   string
}

func (m met) String() string {
	return fmt.Sprintf("%s %s (%s): %s", m.hold.Title, m.limits.Label, m.kind, m.text)
}

func (m met) received() (t time.Time) {
	for _, p := range m.points {
		t = later(t, p.Fact.ReceivedAt)
	}
	return t
}

func (m met) needsReview() bool { return slices.ContainsFunc(m.points, review) }

// criteria are the criteria of holding that stood when a dose was due to be given, absolute ones first: the last value within the look-back decides. previous
// is when the dose before was given, zero if there was none or it does not matter.
func (c *Case) criteria(record *timeline.Fact, previous time.Time) []met {
	var absolute, relative []met
	for i := range c.Protocol.Holds {
		h := &c.Protocol.Holds[i]
		if !slices.Contains(h.Drugs, record.Dose.Drug) || !h.InForce.At(c.local(record.At.Start)) {
			continue
		}
		from := record.At.Start.Add(-h.Lookback.D())
		if h.SincePrevious && previous.After(from) {
			from = previous
		}
		if m, ok := c.stands(h, "absolute", h.Absolute, from, record.At.Start); ok {
			absolute = append(absolute, m)
		} else if m, ok := c.stands(h, "relative", h.Relative, from, record.At.Start); ok {
			relative = append(relative, m)
		}
	}
	return append(absolute, relative...)
}

// stands reports whether the last value of any analyte of the limits between two instants, both included, meets its limit.
func (c *Case) stands(h *protocol.Hold, kind string, limits *protocol.Limits, from, to time.Time) (m met, ok bool) {
	if limits == nil {
		return m, false
	}
	m = met{hold: h, kind: kind, limits: limits}
	var last time.Time
	limits.Each(func(comparison, _ string, _ int, l *protocol.Limit) {
		value, points, text := c.lastValue(l.Analyte, from, to)
		if len(points) == 0 {
			return
		}
		at := points[len(points)-1].Fact.At.Start
		if at.Before(last) {
			return // another unit family has a newer value
		}
		limit, known := c.limitOf(l, points[0])
		answer := known && holds(value, comparison, limit) == ctcae.Yes
		switch {
		case at.After(last):
			last, ok = at, answer
			m.points, m.text = points, text
		case answer && !ok: // another comparison of the same value
			ok = true
		}
	})
	return m, ok
}

// lastValue is the last result of an analyte between two instants, both included; of the urine of 8 h the sum that was charted up to the last record.
func (c *Case) lastValue(analyte string, from, to time.Time) (v ctcae.Bounds, points []timeline.Point, text string) {
	if analyte == protocol.UrineOutput8h {
		charted := slices.DeleteFunc(c.charted(), func(p timeline.Point) bool { return p.Fact.End.After(to) })
		if len(charted) == 0 || charted[len(charted)-1].Fact.End.Before(from) {
			return v, nil, ""
		}
		sum, used, _ := charting(charted, 8*time.Hour)
		if !sum.HasHigh {
			return v, nil, "" // not charted for 8 h
		}
		text = sum.High.String() + " mL"
		return sum, used, text
	}
	s := c.Timeline.Series(analyte)
	for i := len(s) - 1; i >= 0 && !s[i].Fact.At.Start.Before(from); i-- {
		if p := &s[i]; !p.Fact.At.Start.After(to) && c.gradable(p, true) {
			return ctcae.Of(p.Value.Value, p.Value.Comparator).Rounded(), s[i : i+1 : i+1], p.Value.String()
		}
	}
	return v, nil, ""
}

// limitOf is a limit as a number; known is false where it is a multiple of something that is not known.
func (c *Case) limitOf(l *protocol.Limit, p timeline.Point) (limit decimal.Rounded, known bool) {
	switch l.Of {
	case "ULN":
		_, uln := c.normal(p)
		return l.Value.Round().Mul(uln.Number), uln.Known
	case "baseline":
		b := c.baseline(p.Analyte)
		if b == nil {
			return limit, false
		}
		return l.Value.Round().Mul(b.Value.Value.Round()), true
	}
	return l.Value.Round(), true
}

// holds compares what is known of a value with a limit.
func holds(v ctcae.Bounds, comparison string, limit decimal.Rounded) ctcae.Answer {
	switch comparison {
	case ">=":
		return v.AtLeast(limit)
	case "<=":
		return v.AtMost(limit)
	case ">":
		return v.Above(limit)
	}
	return v.Below(limit)
}

// curious reports records that count but are odd: times that are not known, and doses that may be recorded twice.
func (c *Case) curious(k *course) {
	for _, f := range k.untimed {
		c.report(Finding{
			Rule: "data.timing-unknown", Key: f.Ref.String(), Onset: f.At.Start, Detected: f.KnownAt(), NeedsReview: c.Timeline.Doubtful(f.Ref),
			Evidence: []Evidence{factEvidence(f, "dose", f.At.Date)},
			Message:  k.regimen.Title + " is recorded with a date only: it counts, its timing is not judged. Review.",
		})
	}
	second := func(f *timeline.Fact, why string) {
		c.report(Finding{
			Rule: "data.possible-duplicate", Key: f.Ref.String(), Onset: f.At.Start, Detected: f.KnownAt(), NeedsReview: c.Timeline.Doubtful(f.Ref),
			Evidence: []Evidence{factEvidence(f, "dose", f.Dose.Status)},
			Message:  k.regimen.Title + " " + why + " Review.",
		})
	}
	for _, f := range k.duplicates {
		second(f, "is recorded twice with one time and one amount: counted once.")
	}
	for _, f := range k.sameDay {
		second(f, "is recorded twice on one day: both count.")
	}
}

// span writes a duration as "3 h 40 min".
func span(d time.Duration) string {
	h, m := int(d/time.Hour), int(d%time.Hour/time.Minute)
	switch {
	case h == 0:
		return fmt.Sprintf("%d min", m)
	case m == 0:
		return fmt.Sprintf("%d h", h)
	}
	return fmt.Sprintf("%d h %d min", h, m)
}

// notOnStudy reports study drugs given after the patient left the study.
//
// Source: ICH E6(R3); importance query, since the record or the status may be wrong.
func notOnStudy(c *Case) {
	if c.OffStudy.IsZero() {
		return
	}
	for _, f := range c.Timeline.Doses() {
		if !c.usable(f) || !f.Dose.Given() || f.Dose.Problem != nil || !f.At.Start.After(c.OffStudy) || !slices.Contains(c.Protocol.Treatments, f.Dose.Drug) {
			continue
		}
		c.report(Finding{
			Rule: "data.not-on-study", Key: f.Ref.String(), Onset: f.At.Start, Detected: later(f.KnownAt(), c.enrolled.ReceivedAt),
			Evidence: []Evidence{factEvidence(f, "dose", f.Dose.Status), factEvidence(c.enrolled, "enrolment", c.Enrolment.Status)},
			Message:  fmt.Sprintf("%s given after the patient left the study. Review.", f.Dose.Drug),
		})
	}
}

// dataQuality reports values that could not be used, and those that contradict themselves. The finding goes when the value is corrected.
func dataQuality(c *Case) {
	for _, name := range c.Timeline.Analytes() {
		c.part("quality", name, func() { c.seriesQuality(name) })
	}
	c.part("quality of doses", "", c.doseQuality)
}

func (c *Case) seriesQuality(name string) {
	nth := 0 // value of the analyte in one resource
	ps := c.Timeline.Series(name)
	for i, p := range ps {
		if nth++; i == 0 || ps[i-1].Fact != p.Fact {
			nth = 1
		}
		rule, message, about := "", "", ""
		switch {
		case c.fromFuture(p.Fact):
			rule, message = "data.implausible", "The clinical time lies after the receipt: not used."
		case !p.Fact.Visible(c.Now):
			continue
		case p.Problem != nil:
			rule, message = problemRule(p.Problem), problemText(p.Problem)
		case p.Fact.At.DateOnly() && name == timeline.Temperature:
			rule, message = "data.timing-unknown", "The temperature has a date only: not used."
		case p.Doubt != nil:
			rule, message, about = "data.implausible", doubtText(name), ":"+p.Doubt.Reason
		default:
			continue
		}
		key := p.Fact.Ref.String()
		if len(p.Fact.Results) > 1 {
			key += ":" + name
		}
		if nth > 1 {
			key += fmt.Sprintf(":%d", nth)
		}
		f := Finding{
			Rule: rule, Key: key + about, Onset: p.Fact.At.Start, Detected: p.Fact.ReceivedAt, NeedsReview: p.Doubtful || about != "",
			Evidence: []Evidence{evidence(p, name)}, Message: name + ": " + message + " Review.",
		}
		c.report(f)
	}
}

func (c *Case) doseQuality() {
	for _, f := range c.Timeline.Doses() {
		if f.Dose.Drug == "" {
			continue // what was given is not known: see unresolvedMedications
		}
		rule, message := c.unusable(f, f.Dose.Problem)
		if rule == "" {
			continue
		}
		c.report(Finding{
			Rule: rule, Key: f.Ref.String(), Onset: f.At.Start, Detected: f.KnownAt(), NeedsReview: c.Timeline.Doubtful(f.Ref),
			Evidence: []Evidence{factEvidence(f, "dose", f.Dose.Status)}, Message: f.Dose.Drug + ": " + message + " Review.",
		})
	}
}

// unusable is the rule by which it is told that a record cannot be used, and why; "" where it can, or its time has not come.
func (c *Case) unusable(f *timeline.Fact, p *timeline.Problem) (rule, message string) {
	switch {
	case c.fromFuture(f):
		return "data.implausible", "The clinical time lies after the receipt: not used."
	case p != nil && f.Visible(c.Now):
		return problemRule(p), problemText(p)
	}
	return "", ""
}

// responseQuality asks about an assessment of the tumour that cannot be used.
//
// Source: as dataQuality.
func responseQuality(c *Case) {
	for _, f := range c.Timeline.Others() {
		if f.Response == nil {
			continue
		}
		rule, message := c.unusable(f, f.Response.Problem)
		if rule == "" {
			continue
		}
		c.report(Finding{
			Rule: rule, Key: f.Ref.String(), Onset: f.At.Start, Detected: f.ReceivedAt, NeedsReview: c.Timeline.Doubtful(f.Ref),
			Evidence: []Evidence{factEvidence(f, "response", string(f.Response.Category))}, Message: "tumour response: " + message + " Review.",
		})
	}
}

// undatedDeath asks for the day of a death, without which the patient seems alive in every survival.
//
// Source: as dataQuality.
func undatedDeath(c *Case) {
	if c.Protocol.Survival == nil || !c.died().IsZero() {
		return
	}
	for _, f := range c.Timeline.Others() {
		if f.Person == nil || !f.Person.DiedUndated {
			continue
		}
		c.report(Finding{
			Rule: "data.ungradable", Key: f.Ref.String(), Onset: f.ReceivedAt, Detected: f.ReceivedAt, NeedsReview: c.Timeline.Doubtful(f.Ref),
			Evidence: []Evidence{{Ref: f.Ref.String(), Version: f.Version.ID, Role: "death", At: f.ReceivedAt}},
			Message:  "death without a day: survival counts the patient as alive. Review.",
		})
	}
}

// doubtText says what contradicts itself in a value of an analyte that is used all the same.
func doubtText(analyte string) string {
	meant, _ := unit.Of(analyte)
	named, ok := unit.Of(meant.Sibling)
	if !ok {
		return "the code and the unit contradict each other: the unit is believed."
	}
	return fmt.Sprintf("the code counts %s, the unit %s: the unit is believed.", named.Counts, meant.Counts)
}

func problemRule(p *timeline.Problem) string {
	switch p.Reason {
	case timeline.ProblemUnitMissing:
		return "data.unit-missing"
	case timeline.ProblemImplausible:
		return "data.implausible"
	}
	return "data.ungradable"
}

func problemText(p *timeline.Problem) string {
	text := map[string]string{
		timeline.ProblemUnitMissing:   "the unit of the value is not known",
		timeline.ProblemImplausible:   "the value is beyond what is plausible",
		timeline.ProblemValueAbsent:   "there is no value",
		timeline.ProblemValueText:     "there is text where a number is needed",
		timeline.ProblemValueRange:    "the value has too many digits to compare exactly",
		timeline.ProblemNoCategory:    "it names no category of the protocol, or two",
		timeline.ProblemStatusUnknown: "the status is unknown",
	}[p.Reason]
	switch {
	case p.Detail == timeline.DetailNoUnit:
		text = "the value has no unit"
	case p.Detail == timeline.DetailRateOnly:
		text = "there is a rate and no dose"
	case p.Reason == timeline.ProblemUnitMissing && p.Detail != "":
		text += " (" + p.Detail + ")"
	}
	return cmp.Or(text, p.Reason) + ", so it is not used."
}
