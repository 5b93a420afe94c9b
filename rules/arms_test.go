package rules_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/trialwatch/trialwatch/rules/timeline"
)

func TestArmChanged(t *testing.T) {
	type version struct{ id, resource, arm, actual string }
	const head = "data.arm-changed routine 02-0"
	for _, tt := range []struct {
		name     string
		versions []version // made a day after the other, from February 2 on
		want     []string
	}{
		{"one arm", []version{{"1", "rs", "arm-1", ""}}, nil},
		{"other names of one arm", []version{{"1", "rs", "arm-1", ""}, {"2", "rs", "HD", ""}}, nil},
		{"an arm where none was", []version{{"1", "rs", "", ""}, {"2", "rs", "arm-1", ""}}, nil},
		{"as treated", []version{{"1", "rs", "arm-1", ""}, {"2", "rs", "arm-1", "arm-2"}}, nil},
		{"another arm", []version{{"1", "rs", "arm-1", ""}, {"2", "rs", "arm-2", ""}}, []string{head + "3T08:00: 1 arm-1, 2 arm-2"}},
		{"which stays", []version{{"1", "rs", "arm-1", ""}, {"2", "rs", "arm-2", ""}, {"3", "rs", "arm-2", "arm-1"}}, []string{head + "3T08:00: 1 arm-1, 2 arm-2"}},
		{"and back", []version{{"1", "rs", "arm-1", ""}, {"2", "rs", "arm-2", ""}, {"3", "rs", "arm-1", ""}}, []string{head + "4T08:00: 2 arm-2, 3 arm-1"}},
		{"an arm that the protocol does not know", []version{{"1", "rs", "Arm X", ""}, {"2", "rs", "arm-1", ""}}, []string{head + "3T08:00: 1 Arm X, 2 arm-1"}},
		{"an older version by its number", []version{{"2", "rs", "arm-2", ""}, {"1", "rs", "arm-1", ""}}, []string{head + "2T08:00: 1 arm-1, 2 arm-2"}},
		{"two records, one arm", []version{{"1", "rs", "arm-1", ""}, {"1", "rs-2", "HD", ""}}, nil},
		{"two records, two arms", []version{{"1", "rs", "arm-1", ""}, {"1", "rs-2", "arm-2", ""}}, []string{head + "3T08:00: 1 arm-1, 1 arm-2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for turn := range 2 { // the order of arrival does not matter
				c := &chart{}
				for i, v := range tt.versions {
					made := at("d-14 08:00").AddDate(0, 0, i)
					f := c.add(timeline.RefOf("ResearchSubject", v.resource), made)
					f.Version = timeline.Version{ID: v.id, Digest: fmt.Sprint(i), LastUpdated: made}
					f.Enrolment = &timeline.Enrolment{Study: "ResearchStudy/til-il2", Status: "on-study", Identifiers: []string{"urn:x|S-001"}, AssignedArm: v.arm, ActualArm: v.actual, Start: f.At}
				}
				if turn == 1 {
					c.facts[0], c.facts[len(c.facts)-1] = c.facts[len(c.facts)-1], c.facts[0]
				}
				var got []string
				for _, f := range c.evaluate(trial(t), at("d-1 08:00").Add(time.Hour)).Findings {
					line := fmt.Sprintf("%s %s %s:", f.Rule, f.Urgency, f.Onset.Format("01-02T15:04"))
					for i, e := range f.Evidence {
						line += map[bool]string{true: ",", false: ""}[i > 0] + " " + e.Version + " " + e.Value
					}
					got = append(got, line)
				}
				want(t, got, tt.want...)
			}
		})
	}
}
