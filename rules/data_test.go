package rules_test

import (
	"fmt"
	"testing"

	"github.com/trialwatch/trialwatch/rules/timeline"
)

// TestFindingsOfOneResourceAreToldApart: an id names one finding, or alerts of two would share a story. One Observation can carry the same
// analyte twice, and neither value have a unit.
func TestFindingsOfOneResourceAreToldApart(t *testing.T) {
	missing := &timeline.Problem{Reason: timeline.ProblemUnitMissing}
	for _, tt := range []struct {
		name    string
		results []timeline.Result
		want    []string
	}{
		{"one value", []timeline.Result{{Analyte: timeline.Temperature, Problem: missing}}, []string{"data.unit-missing/til-il2/S-001/Observation~2Fo/2026-02-19T16:00:00Z"}},
		{
			"two analytes",
			[]timeline.Result{{Analyte: timeline.Temperature, Problem: missing}, {Analyte: timeline.Leukocytes, Problem: missing}},
			[]string{"data.unit-missing/til-il2/S-001/Observation~2Fo:leukocytes/2026-02-19T16:00:00Z", "data.unit-missing/til-il2/S-001/Observation~2Fo:temperature/2026-02-19T16:00:00Z"},
		},
		{
			"one analyte twice",
			[]timeline.Result{{Analyte: timeline.Temperature, Problem: missing}, {Analyte: timeline.Temperature, Problem: missing}},
			[]string{"data.unit-missing/til-il2/S-001/Observation~2Fo:temperature/2026-02-19T16:00:00Z", "data.unit-missing/til-il2/S-001/Observation~2Fo:temperature:2/2026-02-19T16:00:00Z"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := enrolled("arm-1")
			c.add(timeline.RefOf("Observation", "o"), at("d3 10:00")).Results = tt.results
			var got []string
			for _, f := range c.evaluate(trial(t), at("d3 11:00")).Findings {
				got = append(got, f.ID)
			}
			want(t, got, tt.want...)
		})
	}
}

// A stay in hospital that has no place in time is told of, and never counted.
func TestStayWithoutAPlaceInTime(t *testing.T) {
	for _, tt := range []struct {
		name      string
		start     string
		inpatient bool
		want      []string
	}{
		{"with a start", "d-8 08:00", true, nil},
		{"without one", "", true, []string{"data.ungradable routine 02-09T08:05"}},
		{"a day after its receipt", "d-6 08:05", true, nil},
		{"more than a day after its receipt", "d-6 08:06", true, []string{"data.implausible routine 02-10T08:06"}},
		{"an outpatient needs none", "", false, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := enrolled("arm-1")
			f := c.add(timeline.RefOf("Encounter", "e1"), at("d-7 08:00"))
			f.At, f.Encounter = timeline.Time{}, &timeline.Encounter{Class: "IMP", Inpatient: tt.inpatient, Status: "in-progress"}
			switch {
			case tt.start != "":
				f.At.Start = at(tt.start)
			case tt.inpatient:
				f.Encounter.Problem = &timeline.Problem{Reason: timeline.ProblemValueAbsent, Detail: "no period.start"}
			}
			var got []string
			for _, f := range c.evaluate(trial(t), at("d3 11:00")).Findings {
				got = append(got, fmt.Sprintf("%s %s %s", f.Rule, f.Urgency, f.Onset.Format("01-02T15:04")))
			}
			want(t, got, tt.want...)
		})
	}
}
