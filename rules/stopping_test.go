package rules_test

import (
	"fmt"
	"testing"

	"github.com/trialwatch/trialwatch/rules/timeline"
)

func TestStoppingCountsPatients(t *testing.T) {
	const limits = "..1.0" // of creatinine: 3.2 is grade 3, 6.2 grade 4
	counts, at4 := "counts: { atLeast: 4 }", []string{}
	febrile := []string{counts, "counts: { terms: [febrile-neutropenia], atLeast: 3 }"}
	within := []string{counts, "counts: { atLeast: 4, within: P28D }"}
	for _, tt := range []struct {
		name  string
		edits []string
		facts func(*chart)
		now   string
		want  string // from, toxic, known
	}{
		{"not treated", at4, func(c *chart) { c.lab(timeline.CreatinineMass, "6.2", "d-9 06:00", limits) }, "d-8 00:00", "-"},
		{"treated", at4, func(c *chart) { c.drug(timeline.Cyclophosphamide, "d-7 08:00") }, "d-6 00:00", "02-09T08:00"},
		{"grade 3", at4, func(c *chart) {
			c.drug(timeline.Cyclophosphamide, "d-7 08:00")
			c.lab(timeline.CreatinineMass, "3.2", "d3 06:00", limits)
		}, "d4 00:00", "02-09T08:00"},
		{"grade 4 after grade 3: from the grade 4 on", at4, func(c *chart) {
			c.drug(timeline.Cyclophosphamide, "d-7 08:00")
			c.lab(timeline.CreatinineMass, "3.2", "d3 06:00", limits)
			c.lab(timeline.CreatinineMass, "6.2", "d4 06:00", limits)
			c.lab(timeline.CreatinineMass, "6.4", "d5 06:00", limits)
		}, "d6 00:00", "02-09T08:00 toxic 02-20T06:00 known 02-20T06:05"},
		{"a clinician's grade 4, on the day", at4, func(c *chart) { c.drug(timeline.Cyclophosphamide, "d-7 08:00"); c.graded("sepsis", 4, "d4") }, "d6 00:00", "02-09T08:00 toxic 02-20T00:00 known 02-20T20:00"},
		{"of the day of the first treatment", at4, func(c *chart) { c.drug(timeline.Cyclophosphamide, "d-7 08:00"); c.graded("sepsis", 4, "d-7") }, "d6 00:00", "02-09T08:00 toxic 02-09T08:00 known 02-09T20:00"},
		{"of the day before", at4, func(c *chart) { c.drug(timeline.Cyclophosphamide, "d-7 08:00"); c.graded("sepsis", 4, "d-8") }, "d6 00:00", "02-09T08:00"},
		{"a clinician's grade 3 where the data say 4", at4, func(c *chart) {
			c.drug(timeline.Cyclophosphamide, "d-7 08:00")
			c.lab(timeline.CreatinineMass, "6.2", "d4 06:00", limits)
			c.graded("creatinine-increased", 3, "d4")
		}, "d6 00:00", "02-09T08:00"},
		{"a clinician's grade 4 where the data say 3: not before the episode", at4, func(c *chart) {
			c.drug(timeline.Cyclophosphamide, "d-7 08:00")
			c.lab(timeline.CreatinineMass, "3.2", "d4 06:00", limits)
			c.graded("creatinine-increased", 4, "d4")
		}, "d6 00:00", "02-09T08:00 toxic 02-20T06:00 known 02-20T20:00"},
		{"a preliminary grade 4", at4, func(c *chart) {
			c.drug(timeline.Cyclophosphamide, "d-7 08:00")
			c.lab(timeline.CreatinineMass, "6.2", "d4 06:00", limits).Provisional = true
		}, "d6 00:00", "02-09T08:00"},
		{"grade 4 before the treatment and no worse under it", at4, func(c *chart) {
			c.lab(timeline.Platelets, "20", "d-9 06:00", "150..400")
			c.drug(timeline.Cyclophosphamide, "d-7 08:00")
			c.lab(timeline.Platelets, "19", "d25 06:00", "150..400")
		}, "d26 00:00", "02-09T08:00"},
		{"a little before the treatment, grade 4 under it", at4, func(c *chart) {
			c.lab(timeline.CreatinineMass, "1.1", "d-9 06:00", limits)
			c.drug(timeline.Cyclophosphamide, "d-7 08:00")
			c.lab(timeline.CreatinineMass, "6.2", "d4 06:00", limits)
		}, "d6 00:00", "02-09T08:00 toxic 02-20T06:00 known 02-20T06:05"},
		{"an expected grade 4", at4, func(c *chart) {
			c.drug(timeline.Cyclophosphamide, "d-7 08:00")
			c.lab(timeline.Platelets, "20", "d3 06:00", "150..400")
		}, "d4 00:00", "02-09T08:00"},
		{"an expected grade 4 where those count", []string{counts, "counts: { atLeast: 4, expected: true }"}, func(c *chart) {
			c.drug(timeline.Cyclophosphamide, "d-7 08:00")
			c.lab(timeline.Platelets, "20", "d3 06:00", "150..400")
		}, "d4 00:00", "02-09T08:00 toxic 02-19T06:00 known 02-19T06:05"},
		{"another term", febrile, func(c *chart) {
			c.drug(timeline.Cyclophosphamide, "d-7 08:00")
			c.lab(timeline.CreatinineMass, "6.2", "d4 06:00", limits)
		}, "d6 00:00", "02-09T08:00"},
		{"febrile neutropenia where it counts, known when the count came", febrile, func(c *chart) {
			c.drug(timeline.Cyclophosphamide, "d-7 08:00")
			c.temp("38.7", "d3 14:10")
			c.anc("0.2", "d3 06:00").ReceivedAt = at("d3 19:40")
		}, "d4 00:00", "02-09T08:00 toxic 02-19T14:10 known 02-19T19:40"},
		{"a candidate is no toxicity", febrile, func(c *chart) {
			c.drug(timeline.Cyclophosphamide, "d-7 08:00")
			c.anc("<1.2", "d3 06:00")
			c.temp("38.7", "d3 14:10")
		}, "d4 00:00", "02-09T08:00"},
		{"febrile neutropenia where grade 4 counts", at4, func(c *chart) {
			c.drug(timeline.Cyclophosphamide, "d-7 08:00")
			c.anc("0.2", "d3 06:00")
			c.temp("38.7", "d3 14:10")
		}, "d4 00:00", "02-09T08:00"},
		{"pending", within, func(c *chart) { c.drug(timeline.Cyclophosphamide, "d-7 08:00") }, "d21 08:59", "- next 03-09T09:00"},
		{"no toxicity in time", within, func(c *chart) { c.drug(timeline.Cyclophosphamide, "d-7 08:00") }, "d21 09:00", "03-09T09:00"},
		{"toxicity before the time is over", within, func(c *chart) {
			c.drug(timeline.Cyclophosphamide, "d-7 08:00")
			c.lab(timeline.CreatinineMass, "6.2", "d4 06:00", limits)
		}, "d6 00:00", "02-20T06:00 toxic 02-20T06:00 known 02-20T06:05"},
		{"toxicity too late", within, func(c *chart) {
			c.drug(timeline.Cyclophosphamide, "d-7 08:00")
			c.lab(timeline.CreatinineMass, "6.2", "d21 09:01", limits)
		}, "d22 00:00", "03-09T09:00"},
		{"at its very end", within, func(c *chart) {
			c.drug(timeline.Cyclophosphamide, "d-7 08:00")
			c.lab(timeline.CreatinineMass, "6.2", "d21 09:00", limits)
		}, "d22 00:00", "03-09T09:00 toxic 03-09T09:00 known 03-09T09:05"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := enrolled("arm-1")
			tt.facts(c)
			answer := c.evaluate(trial(t, tt.edits...), at(tt.now))
			got := "-"
			for _, n := range answer.Summary.Stopping {
				got = n.From.In(zone).Format("01-02T15:04")
				if !n.Toxic.IsZero() {
					got += fmt.Sprintf(" toxic %s known %s", n.Toxic.In(zone).Format("01-02T15:04"), n.Known.In(zone).Format("01-02T15:04"))
				}
			}
			if tt.name == "pending" {
				got += " next " + answer.Next.In(zone).Format("01-02T15:04")
			}
			if got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}
