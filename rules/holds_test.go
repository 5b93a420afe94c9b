package rules_test

import (
	"strings"
	"testing"

	"github.com/trialwatch/trialwatch/rules/timeline"
)

// Scenario S16 and the limits around it: what stood before the dose of day 3, 08:00.
func TestDosedDespiteHold(t *testing.T) {
	important, minor := "dev.dosed-despite-hold important urgent 02-19T08:00", "dev.dosed-despite-hold minor urgent 02-19T08:00"
	for _, tt := range []struct {
		name  string
		build func(*chart)
		want  []string
		says  string
	}{
		{"nothing stands", func(*chart) {}, nil, ""},
		{"creatinine of 2.4", func(c *chart) { c.lab(timeline.CreatinineMass, "2.4", "d3 05:50", "") }, nil, ""},
		{"creatinine of 2.5 is relative", func(c *chart) { c.lab(timeline.CreatinineMass, "2.5", "d3 05:50", "") }, []string{minor}, "creatinine 2.5–2.9 mg/dL (relative): 2.5"},
		{"creatinine of 3.0 is absolute", func(c *chart) { c.lab(timeline.CreatinineMass, "3.0", "d3 05:50", "") }, []string{important}, "3.0 mg/dL or more (absolute)"},
		{"265 umol/L too", func(c *chart) { c.lab(timeline.CreatinineMolar, "265", "d3 05:50", "") }, []string{important}, ""},
		{"264 umol/L is relative", func(c *chart) { c.lab(timeline.CreatinineMolar, "264", "d3 05:50", "") }, []string{minor}, ""},
		{"the last value decides, whatever its unit", func(c *chart) {
			c.lab(timeline.CreatinineMass, "3.1", "d3 05:50", "")
			c.lab(timeline.CreatinineMolar, "100", "d3 06:50", "")
		}, nil, ""},
		{"exactly 24 h before counts", func(c *chart) { c.lab(timeline.CreatinineMass, "3.1", "d2 08:00", "") }, []string{important}, ""},
		{"a minute more does not", func(c *chart) { c.lab(timeline.CreatinineMass, "3.1", "d2 07:59", "") }, nil, ""},
		{"after the dose does not", func(c *chart) { c.lab(timeline.CreatinineMass, "3.1", "d3 08:01", "") }, nil, ""},
		{"received after the dose: the same, and said", func(c *chart) {
			c.lab(timeline.CreatinineMass, "3.1", "d3 05:50", "").ReceivedAt = at("d3 08:30")
		}, []string{important}, "Not all of this was in the feed at dosing time"},
		{"a comparator that leaves no doubt", func(c *chart) { c.lab(timeline.CreatinineMass, ">3.5", "d3 05:50", "") }, []string{important}, ""},
		{"a heart rate of 130 is relative", func(c *chart) { c.lab(timeline.HeartRate, "130", "d3 07:00", "") }, []string{minor}, ""},
		{"131 is absolute", func(c *chart) { c.lab(timeline.HeartRate, "131", "d3 07:00", "") }, []string{important}, ""},
		{"119 is nothing", func(c *chart) { c.lab(timeline.HeartRate, "119", "d3 07:00", "") }, nil, ""},
		{"vital signs are 4 h old at most", func(c *chart) { c.lab(timeline.HeartRate, "131", "d3 03:59", "") }, nil, ""},
		{"exactly 4 h", func(c *chart) { c.lab(timeline.HeartRate, "131", "d3 04:00", "") }, []string{important}, ""},
		{"platelets of 50 are relative", func(c *chart) { c.lab(timeline.Platelets, "50", "d3 05:50", "") }, []string{minor}, ""},
		{"29 absolute", func(c *chart) { c.lab(timeline.Platelets, "29", "d3 05:50", "") }, []string{important}, ""},
		{"51 nothing", func(c *chart) { c.lab(timeline.Platelets, "51", "d3 05:50", "") }, nil, ""},
		{"79 mL of urine in 8 h are absolute", func(c *chart) { c.urine("79", "d2 23:30", 8) }, []string{important}, "urine of the last 8 h below 80 mL (absolute): 79 mL"},
		{"120 mL relative", func(c *chart) { c.urine("60", "d2 23:30", 4); c.urine("60", "d3 03:30", 4) }, []string{minor}, "120 mL"},
		{"161 mL nothing", func(c *chart) { c.urine("161", "d2 23:30", 8) }, nil, ""},
		{"not charted for 8 h nothing", func(c *chart) { c.urine("10", "d3 03:30", 4) }, nil, ""},
		{"15 % of weight is not more than 15 %", func(c *chart) { c.lab(timeline.Weight, "80.5", "d3 06:00", "") }, nil, ""},
		{"a little more is", func(c *chart) { c.lab(timeline.Weight, "80.6", "d3 06:00", "") }, []string{minor}, ""},
		{"two relative ones are minor", func(c *chart) {
			c.lab(timeline.HeartRate, "125", "d3 07:00", "")
			c.lab(timeline.Platelets, "42", "d3 05:50", "")
		}, []string{minor}, ""},
		{"three are important", func(c *chart) {
			c.lab(timeline.HeartRate, "125", "d3 07:00", "")
			c.lab(timeline.Platelets, "42", "d3 05:50", "")
			c.urine("120", "d2 23:30", 8)
		}, []string{important}, ""},
		{"an older value that was corrected since is forgotten", func(c *chart) {
			f := c.lab(timeline.CreatinineMass, "3.1", "d3 05:50", "")
			g := *f
			g.Version, g.State, g.Results = timeline.Version{ID: "2", Digest: "void"}, timeline.Void, nil
			c.facts = append(c.facts, &g)
		}, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := enrolled("arm-1").til()
			c.lab(timeline.Weight, "70", "d-8 06:00", "")
			c.drug(timeline.Cyclophosphamide, "d-7 08:00")
			c.dose("m0", "completed", "d3 00:00")
			tt.build(c)
			c.dose("m1", "completed", "d3 08:00")
			var got []string
			fs := c.evaluate(trial(t), at("d3 09:00")).Findings
			for _, line := range deviations(fs) {
				if strings.HasPrefix(line, "dev.dosed") && strings.HasSuffix(line, "T08:00") {
					got = append(got, line)
				}
			}
			want(t, got, tt.want...)
			for _, f := range fs {
				if f.Rule == "dev.dosed-despite-hold" && f.Onset.Equal(at("d3 08:00")) && !strings.Contains(f.Message, tt.says) {
					t.Errorf("%q does not say %q", f.Message, tt.says)
				}
			}
		})
	}
}
