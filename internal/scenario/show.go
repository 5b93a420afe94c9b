package scenario

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/aggregate"
	"github.com/trialwatch/trialwatch/rules/alert"
)

// about are the findings of the rules that a story does not leave aside.
func about(fs []rules.Finding, aside []string) []rules.Finding {
	return slices.DeleteFunc(slices.Clone(fs), func(f rules.Finding) bool { return slices.Contains(aside, f.Rule) })
}

// told are the events of those rules.
func told(events []alert.Event, aside []string) []alert.Event {
	return slices.DeleteFunc(slices.Clone(events), func(ev alert.Event) bool { return slices.Contains(aside, ev.Rule) })
}

// history writes events as a protocol's author reads them:
//
//	2026-02-19 14:15 opened S-001 tox.febrile-neutropenia, onset 2026-02-19 14:10, grade 3, urgent
func history(events []alert.Event, zone *time.Location) string {
	var b strings.Builder
	for _, ev := range events {
		fmt.Fprintf(&b, "%s %s %s", clock(ev.At, zone), ev.Transition, describe(&ev.Finding, zone))
		if ev.Transition == alert.Updated && !ev.Material {
			b.WriteString(", wording or evidence only")
		}
		fmt.Fprintf(&b, " (%s)\n", ev.Reason)
	}
	return b.String()
}

// findings writes one line a finding, its message and its evidence below.
func findings(fs []rules.Finding, zone *time.Location) string {
	var b strings.Builder
	for i := range fs {
		f := &fs[i]
		fmt.Fprintf(&b, "%s %s, detected %s\n    %s\n", f.Status, describe(f, zone), clock(f.Detected, zone), f.Message)
		for _, e := range f.Evidence {
			who := e.Ref
			if e.Version != "" {
				who += " version " + e.Version
			}
			fmt.Fprintf(&b, "    %s\n", strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s", clock(e.At, zone), e.Role, e.Value, who)), " "))
		}
	}
	return b.String()
}

// describe is what is the same in both: subject, rule, key, onset, end, grade, importance, urgency.
func describe(f *rules.Finding, zone *time.Location) string {
	s := f.Subject + " " + f.Rule
	if key := rules.KeyOf(f.ID); key != "-" {
		s += " of " + strings.ReplaceAll(key, rules.Escape("/"), "/")
	}
	s += ", onset " + clock(f.Onset, zone)
	if f.End != nil {
		s += ", end " + clock(*f.End, zone)
	}
	switch {
	case f.Grade != nil && f.GradeMax != nil && *f.Grade != *f.GradeMax:
		s += fmt.Sprintf(", grade %d to %d", *f.Grade, *f.GradeMax)
	case f.Grade != nil:
		s += fmt.Sprintf(", grade %d", *f.Grade)
	case f.GradeMax != nil:
		s += fmt.Sprintf(", grade up to %d", *f.GradeMax)
	}
	if f.Current != nil && f.Grade != nil && *f.Current != *f.Grade {
		s += fmt.Sprintf(" (now %d)", *f.Current)
	}
	if f.Importance != "" {
		s += ", " + string(f.Importance)
	}
	s += ", " + string(f.Urgency)
	if f.Expected {
		s += ", expected"
	}
	if f.NeedsReview {
		s += ", needs review"
	}
	if f.BaselineGrade != nil && f.TreatmentEmergent != nil && !*f.TreatmentEmergent {
		s += ", not treatment-emergent"
	}
	if f.Arm == "unassigned" {
		s += ", no arm"
	}
	return s
}

func clock(t time.Time, zone *time.Location) string { return t.In(zone).Format("2006-01-02 15:04") }

// aggregates writes the counts of the arms that have patients:
//
//	toxicity arm-1 Febrile neutropenia 1/7
func aggregates(panels []aggregate.Panel, aside []string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	assessed := false
	for _, p := range panels {
		for _, arm := range p.Arms {
			switch e := arm.(type) {
			case aggregate.EnrolmentEntry:
				if e.Enrolled > 0 {
					line("enrolment %s enrolled %d, treated %d", e.Arm, e.Enrolled, e.Treated)
				}
			case aggregate.ToxicityEntry:
				for _, t := range e.Terms {
					line("toxicity %s %s %d/%d, grade 3 or more %d/%d", e.Arm, t.Term, t.Any.N, t.Any.Of, t.Ge3.N, t.Ge3.Of)
				}
			case aggregate.DeviationsEntry:
				for _, r := range e.ByRule {
					if slices.Contains(aside, r.Rule) {
						continue
					}
					line("deviations %s %s %d/%d, events %d", e.Arm, r.Rule, r.Patients.N, r.Patients.Of, r.Events)
				}
			case aggregate.ExposureEntry:
				for _, r := range e.Regimens {
					if r.Given.Of > 0 {
						line("exposure %s %s given %d, held %d, refused %d, missed %d", e.Arm, r.Regimen, r.Total.Given, r.Total.Held, r.Total.Refused, r.Total.Missed)
					}
				}
			case aggregate.StayEntry:
				if e.Days.Of+e.Ongoing > 0 {
					line("stay %s days %s of %d, ongoing %d, readmitted %d", e.Arm, shown(e.Days.Median), e.Days.Of, e.Ongoing, e.Readmitted.N)
				}
			case aggregate.ResponseEntry:
				if e.Assessed > 0 {
					b := e.Best
					line("response %s CR %d, PR %d, SD %d, PD %d, NE %d, ORR %d/%d, DCR %d/%d, unconfirmed %d", e.Arm, b.CR, b.PR, b.SD, b.PD, b.NE, e.ORR.N, e.ORR.Of, e.DCR.N, e.DCR.Of, e.Unconfirmed)
				}
			case aggregate.SurvivalEntry:
				for _, curve := range []struct {
					name string
					c    aggregate.SurvivalCurve
				}{{"pfs", e.PFS}, {"os", e.OS}} {
					if last := curve.c.Curve[len(curve.c.Curve)-1]; len(curve.c.Curve) > 1 && assessed {
						line("survival %s %s events %d/%d, median %s (%s–%s), followed %s months%s", e.Arm, curve.name, curve.c.Events, curve.c.N,
							shown(curve.c.Median), shown(curve.c.Low), shown(curve.c.High), shown(&last.Months), rates(curve.c.Rates))
					}
				}
			case aggregate.BiomarkersEntry:
				for _, m := range e.Markers {
					line("biomarkers %s %s %s n %d, median %s %s", e.Arm, m.Marker, m.Window, m.N, shown(m.Median), m.Unit)
				}
			}
		}
		if e, ok := p.All.(aggregate.ResponseEntry); ok {
			assessed = e.Assessed > 0 // otherwise survival is nothing but how long the story lasts
		}
		if c, ok := p.Comparison.(aggregate.ResponseComparison); ok && bothArms(p.Arms) {
			line("comparison of arms: %s", map[bool]string{true: "described only", false: "tested"}[c.Descriptive])
		}
		if e, ok := p.All.(aggregate.EnrolmentEntry); ok && e.Unassigned > 0 {
			line("enrolment without an arm %d", e.Unassigned)
		}
	}
	return b.String()
}

// bothArms reports whether every arm has a patient: otherwise there is nothing to compare.
func bothArms(arms []any) bool {
	return !slices.ContainsFunc(arms, func(a any) bool { e, ok := a.(aggregate.ResponseEntry); return !ok || e.N == 0 })
}

// rates writes the shares without the event: ", at 6 months 0.5".
func rates(rs []aggregate.Rate) string {
	var b strings.Builder
	for _, r := range rs {
		fmt.Fprintf(&b, ", at %d months %s", r.Months, shown(r.Estimate))
	}
	return b.String()
}

// shown writes what may not be reached.
func shown(v *float64) string {
	if v == nil {
		return "NA"
	}
	return strconv.FormatFloat(*v, 'f', -1, 64)
}
