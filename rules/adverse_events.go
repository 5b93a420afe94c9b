package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/rules/ctcae"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// listedIDs are the ids of all terms of all versions of the CTCAE: a clinician can grade any of them.
func listedIDs() []string {
	names := ctcae.Names()
	for i := range names {
		names[i] = "tox." + names[i]
	}
	return names
}

// gradedBy is a term as a clinician graded it.
type gradedBy struct {
	fact     *timeline.Fact
	term     *ctcae.Listed // in the pinned version
	grade    int
	from, to time.Time // its day
	used     bool      // some finding has it
}

// listedTerm is what the pinned version has of the term of an adverse event, nil for nothing.
func (c *Case) listedTerm(e *timeline.AdverseEvent) *ctcae.Listed {
	return ctcae.List(c.Protocol.CTCAE, e.Term)
}

// gradings are the adverse events that can be used, by day, of one day in the order in which they were last updated.
func (c *Case) gradings() (all []*gradedBy) {
	for _, f := range c.Timeline.Others() {
		if f.AdverseEvent == nil || f.AdverseEvent.Problem != nil || !c.graded(f) {
			continue
		}
		l := c.listedTerm(f.AdverseEvent)
		if l == nil || !l.Has(f.AdverseEvent.Grade) {
			continue
		}
		day := c.local(f.At.Start)
		from := time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, c.Protocol.Zone)
		all = append(all, &gradedBy{fact: f, term: l, grade: f.AdverseEvent.Grade, from: from, to: from.AddDate(0, 0, 1)})
	}
	slices.SortFunc(all, func(a, b *gradedBy) int {
		return cmp.Or(a.from.Compare(b.from), a.fact.Version.LastUpdated.Compare(b.fact.Version.LastUpdated), a.fact.At.Start.Compare(b.fact.At.Start), a.fact.Ref.Compare(b.fact.Ref))
	})
	return all
}

// end is when the event was over, zero where nobody says: its date of resolution, else when the record of its outcome was last updated.
func (g *gradedBy) end() time.Time {
	end := g.fact.End
	if end.IsZero() && g.fact.AdverseEvent.Over {
		end = cmp.Or(g.fact.Version.LastUpdated, g.fact.ReceivedAt)
	}
	if !end.IsZero() && !end.After(g.fact.At.Start) {
		return g.to // it was there on its day
	}
	return end
}

// settle gives a toxicity the grade of the clinicians who assessed it on a day of its episode, once a grading.
func (c *Case) settle(f *Finding, all []*gradedBy) {
	if !strings.HasPrefix(f.Rule, "tox.") {
		return
	}
	term, _, _ := strings.Cut(f.Term, " (") // on which of two ladders of one term the data were is none of the clinician's business
	var gs []*gradedBy
	for _, g := range all {
		if !g.used && (g.term.Term == f.Term || g.term.Term == term) && g.to.After(f.Onset) && (f.End == nil || g.from.Before(*f.End)) {
			gs = append(gs, g)
		}
	}
	if len(gs) == 0 {
		return
	}
	worst, last := 0, gs[len(gs)-1]
	emergent, known := f.TreatmentEmergent != nil && *f.TreatmentEmergent, time.Time{}
	f.NeedsReview = false // a clinician has looked, but perhaps not at what was refused
	for _, e := range f.Evidence {
		known = later(known, e.At)
		kind, id, _ := strings.Cut(e.Ref, "/")
		f.NeedsReview = f.NeedsReview || c.Timeline.Doubtful(timeline.RefOf(kind, id))
	}
	f.Evidence = slices.Clone(f.Evidence)
	f.Rises = nil
	for i, g := range gs {
		g.used = true
		at, treated := c.reached(g, f.Onset)
		emergent = emergent || treated
		if i+1 == len(gs) || !gs[i+1].from.Equal(g.from) { // of one day the last counts
			worst = max(worst, g.grade)
			if treated && (f.BaselineGrade == nil || g.grade > *f.BaselineGrade) {
				f.rise(g.grade, at, g.fact.ReceivedAt)
			}
		}
		f.NeedsReview = f.NeedsReview || c.Timeline.Doubtful(g.fact.Ref)
		e := factEvidence(g.fact, adverseEventRole, "grade "+strconv.Itoa(g.grade))
		e.At = c.local(e.At)
		f.Evidence = append(f.Evidence, e)
	}
	slices.SortStableFunc(f.Evidence, func(a, b Evidence) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Ref, b.Ref)) })
	f.Grade, f.GradeMax, f.ConfirmedGrade = new(worst), new(worst), worst
	switch {
	case f.Status == Resolved:
		f.Current = new(0)
	case f.Current == nil || !known.After(last.to) || last.term.Slug == ctcae.FebrileNeutropeniaSlug: // later results say more of how it is now
		f.Current = new(last.grade)
	}
	if f.TreatmentEmergent != nil {
		f.TreatmentEmergent = new(emergent && (f.BaselineGrade == nil || worst > *f.BaselineGrade))
	}
	f.Urgency = "" // by the grade
	f.Urgency = c.urgency(f)
	said := f.Message
	f.Message = fmt.Sprintf("%s grade %d%s, as graded by a clinician. ", f.Term, worst, c.dayText(f.Onset))
	if said == "" {
		f.Message += "Review."
	} else {
		f.Message += "From the data: " + lowerFirst(said)
	}
}

// reached is when a grading says that its grade was there, and whether that was under treatment. A date alone is no earlier than the onset of the episode, nor on the
// day of the first treatment than that.
func (c *Case) reached(g *gradedBy, onset time.Time) (at time.Time, treated bool) {
	at = g.fact.At.Start
	if g.fact.At.DateOnly() {
		at = later(at, onset)
		if c.Treated.Before(g.to) {
			at = later(at, c.Treated)
		}
	}
	return at, c.onTreatment(at)
}

// adverseEventRole is the role of an adverse event as evidence.
const adverseEventRole = "adverse-event"

// clinicians gives the toxicities that the data show the grades of clinicians, and makes findings of what was graded on a day of no such episode. An episode of
// a clinician's own begins with the event and ends when the last assessment of it says so; what is assessed before that belongs to it.
func (c *Case) clinicians() {
	all := c.gradings()
	if len(all) == 0 { // nearly always
		return
	}
	for i := range c.findings {
		c.settle(&c.findings[i], all)
	}
	for i, g := range all {
		if g.used {
			continue
		}
		end, first := g.end(), g.fact
		for _, h := range all[i+1:] {
			if !h.used && h.term == g.term && (end.IsZero() || h.from.Before(end)) {
				end = h.end()
				if h.fact.At.Start.Before(first.At.Start) { // of the same day
					first = h.fact
				}
			}
		}
		f := Finding{
			Rule: "tox." + g.term.Slug, Term: g.term.Term, CTCAE: string(c.Protocol.CTCAE), Onset: first.At.Start, Detected: first.ReceivedAt,
			TreatmentEmergent: new(false), Expected: c.expectsTerm(g.term.Slug, first.At.Start),
		}
		if !end.IsZero() {
			c.endsAt(&f, end)
		}
		c.report(f)
		c.settle(&c.findings[len(c.findings)-1], all)
	}
}

// expectsTerm reports whether the protocol expects a term at a time.
func (c *Case) expectsTerm(slug string, at time.Time) bool {
	if slug == ctcae.FebrileNeutropeniaSlug {
		return c.Protocol.FN != nil && c.Protocol.FN.Expected
	}
	for i := range c.Protocol.Terms {
		if t := &c.Protocol.Terms[i]; t.Criterion.Slug == slug {
			return c.expectedAt(t.Expected, at)
		}
	}
	return false
}

// adverseEvents asks about what clinicians graded and cannot be used, and says what is missing. What can be used is laid over the findings of all rules: an adverse
// event of a day on which the data show an episode of its term sets the grade of that episode, any other makes a finding of its own.
//
// Source: ICH E6(R3): the investigator assesses adverse events. CTCAE gives the terms and the grades that they have.
func adverseEvents(c *Case) {
	for _, f := range c.Timeline.Others() {
		if f.AdverseEvent == nil {
			continue
		}
		rule, why := "data.ungradable", ""
		switch {
		case c.fromFuture(f):
			rule, why = "data.implausible", "the clinical time lies after the receipt"
		case c.graded(f):
			why = c.whyUngradable(f.AdverseEvent)
		}
		if why == "" {
			continue
		}
		if rule == "data.ungradable" && c.Protocol.Survival != nil && c.fatal(f.AdverseEvent) {
			why += "; its grade 5 counts as a death in survival, but in no term"
		}
		c.report(Finding{
			Rule: rule, Key: f.Ref.String(), Onset: f.At.Start, Detected: f.ReceivedAt, NeedsReview: c.Timeline.Doubtful(f.Ref),
			Evidence: []Evidence{factEvidence(f, adverseEventRole, eventText(f.AdverseEvent))}, Message: "Adverse event: " + why + ". Not used. Review.",
		})
	}
}

// whyUngradable says why an adverse event has no grade of a term, "" where it has.
func (c *Case) whyUngradable(e *timeline.AdverseEvent) string {
	l := c.listedTerm(e)
	var why []string
	if e.Problem != nil && e.Problem.Reason == timeline.ProblemStatusUnknown {
		why = append(why, "its status is unknown")
	}
	switch {
	case e.Term == "":
		why = append(why, "it names no term of the CTCAE, or two")
	case l == nil:
		why = append(why, fmt.Sprintf("CTCAE %s has no term %s", c.Protocol.CTCAE, e.Term))
	}
	switch {
	case e.Grade == 0:
		why = append(why, "it gives no grade of 1 to 5, or two")
	case l != nil && !l.Has(e.Grade):
		why = append(why, fmt.Sprintf("CTCAE %s has no grade %d of %s", c.Protocol.CTCAE, e.Grade, l.Term))
	}
	return join(why)
}

// fatal reports whether an adverse event says that the patient died of it. A grade 5 that its term does not have contradicts itself, and says nothing.
func (c *Case) fatal(e *timeline.AdverseEvent) bool {
	l := c.listedTerm(e)
	return e.Grade == 5 && (l == nil || l.Has(5)) && (e.Problem == nil || e.Problem.Reason != timeline.ProblemStatusUnknown)
}

// eventText is an adverse event as evidence shows it: "nausea grade 3".
func eventText(e *timeline.AdverseEvent) string {
	if e.Grade == 0 {
		return e.Term
	}
	return strings.TrimSpace(fmt.Sprintf("%s grade %d", e.Term, e.Grade))
}
