package report

import (
	"fmt"

	"github.com/trialwatch/trialwatch/rules/aggregate"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// counts are what is counted under suppression, in words.
var counts = map[string]string{
	aggregate.CountTreated: "Treated", aggregate.CountEvaluable: "Evaluable for safety", aggregate.CountOffStudy: "Off study", aggregate.CountAnyGrade: "Any grade", aggregate.CountGrade3: "Grade 3 or more",
	aggregate.CountPatients: "Patients", aggregate.CountBegun: "Course begun", aggregate.CountCompleted: "Full course", aggregate.CountStayed: "In hospital", aggregate.CountDischarged: "Discharged",
	aggregate.CountReadmitted: "Readmitted",
}

// suppressed are the tables of an open session under suppression: of every panel but the feed's the bounds.
func suppressed(p *protocol.Protocol, panels []aggregate.PooledPanel) []Table {
	titles := map[string][2]string{ // id and title, as in the other reports
		aggregate.Enrolment: {"disposition", "Disposition"}, aggregate.Toxicity: {"toxicity", "Toxicity by term, worst grade"}, aggregate.Deviations: {"deviations", "Deviations from the protocol"},
		aggregate.Exposure: {"exposure", "Exposure"}, aggregate.Stay: {"stay", "Stay in hospital"},
	}
	m := &maker{p: p}
	var tables []Table
	for i := range panels {
		panel := &panels[i]
		title, ok := titles[panel.Name]
		if !ok {
			continue
		}
		t := m.table(title[0], title[1], fmt.Sprintf("Patients, of all enrolled with a known arm, in steps of %d. What is not listed is too few, or not shown at all.", panel.SuppressBelow))
		if panel.Enrolled != nil {
			t.Rows = append(t.Rows, Row{Label: "Enrolled", Values: []Value{count(*panel.Enrolled)}})
		}
		for j := range panel.Bounds {
			b := &panel.Bounds[j]
			group := b.Group
			switch panel.Name {
			case aggregate.Exposure:
				group = m.regimen(group)
			case aggregate.Deviations:
				group = deviation(group)
			}
			t.Rows = append(t.Rows, Row{Group: group, Label: counts[b.Count], Values: []Value{{Statistic: "at least", N: &b.AtLeast, Of: &b.Of}}})
		}
		tables = append(tables, *t)
	}
	return tables
}
