package rules

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/timeline"
	"github.com/trialwatch/trialwatch/rules/unit"
)

// Case is one patient in one study at one instant: what a rule reads, and where it reports.
//
// What a rule says rests on the timeline, the protocol, the patient and the time, and on nothing that another rule left here: values that several rules read
// are shared.
type Case struct {
	Timeline timeline.View
	Protocol *protocol.Protocol
	Now      time.Time
	patient

	findings []Finding
	next     time.Time
	courses  []course
	examined []examined // only where somebody asks for an explanation
	listens  bool
	// dosing judges amounts, nil where the protocol compares none.
	dosing *dose
	// elsewhere are given doses of another arm's regimen: no slot of the assigned arm's takes them.
	elsewhere map[*timeline.Fact]bool
	summary   Summary

	series       []shared[[]graded]                  // by term of the protocol
	baselines    map[string]*shared[*timeline.Point] // by analyte
	temperatures shared[[]reading]
	neutrophils  [2]shared[[]count] // 0 with those of which only the day is known, 1 without
	walked       shared[*walk]
	silences     shared[[]silence]

	midnights [32]time.Time // of the study days from day 0 on

	// memo is where parts are recalled from, nil where everything is worked out.
	memo *Memo
	// explaining keeps what results were compared with: see [Explain].
	explaining bool
}

// patient is what is read of a patient before the first rule runs. Everything is worked out anew when any of it changes.
type patient struct {
	Enrolment *timeline.Enrolment
	Site      string
	Subject   string
	Arm       string // assigned arm

	// Day0 is the start of the infusion that defines day 0, zero while there is none; Day0Fact is its record.
	Day0     time.Time
	Day0End  time.Time
	Day0Fact *timeline.Fact
	// OffStudy is when the patient left the study, zero while on it; Left is when expectations stop: then, or with death.
	OffStudy time.Time
	Left     time.Time

	// Treated is when the first study treatment was given, zero while none was; baselines lie before it.
	Treated time.Time

	lastTreatment time.Time
	enrolled      *timeline.Fact
}

// enrolledStatus are the states of a ResearchSubject in which a patient is or was in the study; others are candidates.
var enrolledStatus = []string{"on-study", "on-study-intervention", "on-study-observation", "follow-up", "off-study", "withdrawn"}

// enrolment is the ResearchSubject of a study that counts now, nil if there is none: of several the last in clinical time, which is the
// latest period.start.
func enrolment(tl *timeline.Timeline, p *protocol.Protocol, now time.Time) (enrolled *timeline.Fact) {
	for _, f := range tl.Others() {
		if f.Enrolment != nil && p.Names(f.Enrolment.Study) && f.Visible(now) && slices.Contains(enrolledStatus, f.Enrolment.Status) {
			enrolled = f
		}
	}
	return enrolled
}

func newCase(tl *timeline.Timeline, p *protocol.Protocol, now time.Time) *Case {
	c := &Case{Timeline: tl.View(), Protocol: p, Now: now}
	if c.enrolled = enrolment(tl, p, now); c.enrolled == nil {
		return nil
	}
	c.Enrolment, c.Site = c.enrolled.Enrolment, c.enrolled.Site
	c.Subject = subject(c.enrolled, p)
	c.Arm = p.ArmOf(c.Enrolment.AssignedArm)
	if s := c.Enrolment.Status; s == "off-study" || s == "withdrawn" {
		c.OffStudy = cmp.Or(c.Enrolment.EndsAt, c.enrolled.Version.LastUpdated, c.enrolled.ReceivedAt)
		if c.OffStudy.After(now) { // an end that is still to come is an intention
			c.wake(c.OffStudy)
			c.OffStudy = time.Time{}
		}
	}
	c.Left = c.OffStudy
	if died := c.died(); !died.IsZero() && (c.Left.IsZero() || died.Before(c.Left)) {
		c.Left = died
	}
	c.findDay0()
	c.findTreatment()
	c.wakeForFuture()
	return c
}

// nextEnrolment wakes a patient whose enrolment lies in the future.
func nextEnrolment(tl *timeline.Timeline, p *protocol.Protocol, now time.Time) time.Time {
	for _, f := range tl.Others() {
		if f.Enrolment != nil && p.Names(f.Enrolment.Study) && !f.Visible(now) {
			return f.At.Start
		}
	}
	return time.Time{}
}

// subject is the name under which people know the patient in the study.
func subject(f *timeline.Fact, p *protocol.Protocol) string {
	if _, value, ok := strings.Cut(subjectIdentifier(f, p), "|"); ok {
		return value
	}
	return f.Ref.ID()
}

// subjectIdentifier is the identifier of a ResearchSubject that names the subject, "system|value", or "" where there is none.
func subjectIdentifier(f *timeline.Fact, p *protocol.Protocol) string {
	for _, id := range f.Enrolment.Identifiers {
		system, value, ok := strings.Cut(id, "|")
		if ok && value != "" && (p.SubjectSystem == "" || system == p.SubjectSystem) {
			return id
		}
	}
	return ""
}

// findDay0 finds the first start of what defines day 0: a procedure, the first given dose of a drug, or the enrolment.
func (c *Case) findDay0() {
	if c.Protocol.Day0 == protocol.Enrolled {
		if start := c.Enrolment.Start.Start; !start.IsZero() {
			c.Day0, c.Day0End, c.Day0Fact = start, start, c.enrolled
		}
		return
	}
	take := func(f *timeline.Fact) {
		if c.Day0Fact == nil || f.At.Start.Before(c.Day0) {
			c.Day0, c.Day0End, c.Day0Fact = f.At.Start, cmp.Or(f.End, f.At.Start), f
		}
	}
	for _, f := range c.Timeline.Others() {
		if f.Procedure == nil || f.Procedure.Kind != c.Protocol.Day0 || !c.usable(f) {
			continue
		}
		switch f.Procedure.Status {
		case "completed", "in-progress", "stopped":
			take(f)
		}
	}
	if f := c.firstDose(c.Protocol.Day0); f != nil {
		take(f)
	}
}

// left reports whether the patient has left the study, or died, before an instant.
func (c *Case) left(t time.Time) bool { return !c.Left.IsZero() && c.Left.Before(t) }

// findTreatment finds the first and the last dose of any treatment of the study.
func (c *Case) findTreatment() {
	take := func(at time.Time) {
		if c.Treated.IsZero() || at.Before(c.Treated) {
			c.Treated = at
		}
		c.lastTreatment = later(c.lastTreatment, at)
	}
	for _, f := range c.Timeline.Doses() {
		if f.Dose.Problem == nil && f.Dose.Given() && c.usable(f) && slices.Contains(c.Protocol.Treatments, f.Dose.Drug) {
			take(f.At.Start)
		}
	}
	if !c.Day0.IsZero() && slices.Contains(c.Protocol.Treatments, c.Protocol.Day0) {
		take(c.Day0)
	}
}

// wakeForFuture wakes the case when the next fact's time has come.
func (c *Case) wakeForFuture() {
	for _, name := range c.Timeline.Analytes() {
		s := c.Timeline.Series(name)
		at, _ := slices.BinarySearchFunc(s, c.Now, func(p timeline.Point, now time.Time) int {
			if p.Fact.At.Start.After(now) {
				return 1
			}
			return -1
		})
		for ; at < len(s); at++ {
			if !c.fromFuture(s[at].Fact) {
				c.wake(s[at].Fact.At.Start)
				break
			}
		}
	}
	for _, fs := range [][]*timeline.Fact{c.Timeline.Doses(), c.Timeline.Encounters(), c.Timeline.Others()} {
		for _, f := range fs {
			if !f.Visible(c.Now) && !c.fromFuture(f) {
				c.wake(f.At.Start)
				break
			}
		}
	}
}

// wake asks to be evaluated again at t, if t is still to come.
func (c *Case) wake(t time.Time) {
	if t.After(c.Now) && (c.next.IsZero() || t.Before(c.next)) {
		c.next = t
	}
}

// fromFuture reports a clinical time so far after its own receipt that it is a charting error, and never counts.
func (c *Case) fromFuture(f *timeline.Fact) bool {
	return f.At.Start.After(f.ReceivedAt) && f.At.Start.Sub(f.ReceivedAt) > c.Protocol.FutureTolerance.D()
}

// usable reports whether a fact counts now.
func (c *Case) usable(f *timeline.Fact) bool { return f.Visible(c.Now) && !c.fromFuture(f) }

// graded reports whether a result is graded: it counts, and the patient had not left the study too long before.
func (c *Case) graded(f *timeline.Fact) bool {
	return c.usable(f) && (c.OffStudy.IsZero() || !f.At.Start.After(c.OffStudy.Add(c.Protocol.AfterOffStudy.D())))
}

// results returns the gradable points of an analyte in clinical time. A date without a time is left out of what depends on hours. They may be the timeline's own:
// nobody changes them, and nobody keeps them beyond this evaluation.
func (c *Case) results(analyte string, timed bool) []timeline.Point {
	s := c.Timeline.Series(analyte)
	n := 0
	for n < len(s) && c.gradable(&s[n], timed) {
		n++
	}
	if n == len(s) || s[n].Fact.At.Start.After(c.Now) {
		return s[:n:n] // nearly always
	}
	ps := append(make([]timeline.Point, 0, len(s)-1), s[:n]...)
	for i := n + 1; i < len(s) && !s[i].Fact.At.Start.After(c.Now); i++ {
		if c.gradable(&s[i], timed) {
			ps = append(ps, s[i])
		}
	}
	return ps
}

func (c *Case) gradable(p *timeline.Point, timed bool) bool {
	return p.Problem == nil && c.graded(p.Fact) && (!timed || !p.Fact.At.DateOnly())
}

// report completes a finding with what every finding of the case shares. The rule has set the rest.
func (c *Case) report(f Finding) {
	f.Kind, f.Protocol = "finding", c.Protocol.Pin()
	f.Study, f.Site, f.Subject, f.Arm = c.Protocol.Study, c.Site, c.Subject, c.Arm
	f.Key = cmp.Or(f.Key, "-")
	f.ID = FindingID(f.Rule, f.Study, f.Subject, f.Key, f.Onset)
	f.Onset = c.local(f.Onset)
	f.Detected = c.local(f.Detected)
	if f.End != nil {
		end := c.local(*f.End)
		f.End = &end
	}
	if f.Evidence == nil {
		f.Evidence = []Evidence{} // [] in JSON, not null
	}
	for i := range f.Evidence {
		f.Evidence[i].At = c.local(f.Evidence[i].At)
	}
	if f.Status == "" {
		f.Status = Open
	}
	f.Urgency = c.urgency(&f)
	if f.Softened && (f.Urgency == Urgent || f.Urgency == Prompt) {
		f.Urgency = Routine
	}
	c.findings = append(c.findings, f)
}

// endsAt sets the end of a finding that ends at t: resolved from the instant now ≥ t, and until then awake for it.
func (c *Case) endsAt(f *Finding, t time.Time) {
	f.Status = Open
	if c.Now.Before(t) {
		c.wake(t)
		return
	}
	f.Status, f.End = Resolved, &t
}

// urgency is the protocol's for the rule, else the default of docs/rules.md, unless the rule has set one.
func (c *Case) urgency(f *Finding) Urgency {
	if u := c.Protocol.Urgency[f.Rule]; u != "" {
		return Urgency(u)
	}
	if f.Urgency != "" {
		return f.Urgency
	}
	switch f.Rule {
	case "tox.febrile-neutropenia", "dev.dose-over", "dev.dose-wrong", "dev.arm-wrong", "dev.route-wrong", "dev.dosed-despite-hold", "data.evaluation-failed", StoppingBoundary:
		return Urgent
	case "dev.dose-missed", "dev.til-precondition", "dev.conmed-prohibited", FeedStale, "data.gap":
		return Prompt
	}
	family, _, _ := strings.Cut(f.Rule, ".")
	switch {
	case family == "log" || family == "tox" && f.Expected:
		return Log
	case family != "tox":
		return Routine
	}
	switch g := *cmp.Or(f.GradeMax, f.Grade, new(int)); {
	case g >= 4:
		return Urgent
	case g == 3:
		return Prompt
	case g == 2:
		return Routine
	}
	return Log
}

func (c *Case) local(t time.Time) time.Time { return t.In(c.Protocol.Zone) }

// day is the study day of an instant: site-local calendar days since day 0. ok is false while there is no day 0.
func (c *Case) day(t time.Time) (day int, ok bool) {
	if c.Day0.IsZero() {
		return 0, false
	}
	return daysBetween(c.local(c.Day0), c.local(t)), true
}

// midnight is the first instant of a study day in the site's zone.
func (c *Case) midnight(day int) time.Time { return c.midnightAfter(c.Day0, day) }

// midnightAfter is the first instant of the site-local day so many days after that of an instant.
func (c *Case) midnightAfter(t time.Time, day int) time.Time {
	if day < 0 || day >= len(c.midnights) || !t.Equal(c.Day0) {
		return c.startOfDay(t, day)
	}
	if c.midnights[day].IsZero() {
		c.midnights[day] = c.startOfDay(t, day)
	}
	return c.midnights[day]
}

func (c *Case) startOfDay(t time.Time, day int) time.Time {
	d := c.local(t)
	return time.Date(d.Year(), d.Month(), d.Day()+day, 0, 0, 0, 0, c.Protocol.Zone)
}

// daysBetween counts calendar days, so that a day of 23 or 25 hours is one.
func daysBetween(a, b time.Time) int {
	x := time.Date(a.Year(), a.Month(), a.Day(), 0, 0, 0, 0, time.UTC)
	y := time.Date(b.Year(), b.Month(), b.Day(), 0, 0, 0, 0, time.UTC)
	return int(y.Sub(x) / (24 * time.Hour))
}

// firstGiven is the clinical time of the first given dose of a drug, or of the first procedure of that kind; zero if there is none.
func (c *Case) firstGiven(concept string) time.Time {
	if f := c.firstDose(concept); f != nil {
		return f.At.Start
	}
	if concept == c.Protocol.Day0 {
		return c.Day0
	}
	return time.Time{}
}

// firstDose is the first given dose of a drug, nil if there is none.
func (c *Case) firstDose(drug string) *timeline.Fact {
	for _, f := range c.Timeline.Doses() {
		if f.Dose.Drug == drug && f.Dose.Problem == nil && f.Dose.Given() && c.usable(f) {
			return f
		}
	}
	return nil
}

// expectedAt reports whether a toxicity with this onset is one that the protocol expects.
func (c *Case) expectedAt(w *protocol.Window, onset time.Time) bool {
	if w == nil {
		return false
	}
	from := c.firstGiven(w.From)
	if from.IsZero() || onset.Before(from) {
		return false
	}
	day, ok := c.day(onset)
	return !ok || day <= w.ToDay // before day 0 the window is still open
}

// evidence is a result as evidence.
func evidence(p timeline.Point, role string) Evidence {
	return Evidence{Ref: p.Fact.Ref.String(), Version: p.Fact.Version.ID, Role: role, At: p.Fact.At.Start, Value: p.Value.String()}
}

// factEvidence is a record as evidence.
func factEvidence(f *timeline.Fact, role, value string) Evidence {
	return Evidence{Ref: f.Ref.String(), Version: f.Version.ID, Role: role, At: f.At.Start, Value: value}
}

// review reports whether a clinician must look because of how a result was sent.
func review(p timeline.Point) bool { return p.Doubtful || p.Fact.Provisional || p.Doubt != nil }

// siblingOf is the analyte that is the same quantity in the other of mass and moles, "" if there is none.
func siblingOf(analyte string) string {
	if f, ok := unit.Of(analyte); ok {
		return f.Sibling
	}
	return ""
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
