package rules_test

import (
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
			c.add(timeline.Ref{Type: "Observation", ID: "o"}, at("d3 10:00")).Results = tt.results
			var got []string
			for _, f := range c.evaluate(trial(t), at("d3 11:00")).Findings {
				got = append(got, f.ID)
			}
			want(t, got, tt.want...)
		})
	}
}
