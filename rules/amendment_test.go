package rules_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trialwatch/trialwatch/rules/timeline"
)

// Pembrolizumab every six weeks, until an amendment of May 1 (day 74) makes it every three.
const (
	everySix    = "    firstDay: 21\n    everyDays: 42\n"
	everyThree  = "    firstDay: 21\n    everyDays: 21\n"
	important   = "    forDays: 730\n"
	pembrolizer = "    cite: Dose, start, interval and 2 years from the abstract; the window is a design default\n"
)

// amended is the three-weekly version as an entry of its own.
func amended(inForce string) string {
	return pembrolizer + "  - { id: pembrolizumab, title: Pembrolizumab, arm: all, drug: pembrolizumab, route: IV, dose: { value: \"400\", unit: mg }, schedule: cycle, firstDay: 21, everyDays: 21, " +
		"windowDays: 3, forDays: 730, missed: important, inForce: " + inForce + ", cite: Amendment 1 }\n"
}

func inForce(what string) []string {
	return []string{important, important + "    inForce: " + what + "\n"}
}

func TestAmendments(t *testing.T) {
	two := append(inForce("{ until: 2026-05-01 }"), everyThree, everySix, pembrolizer, amended("{ from: 2026-05-01 }"))
	steroidsFrom := func(day string) []string {
		return []string{"    fromDay: 0\n", "    fromDay: 0\n    inForce: { from: " + day + " }\n"}
	}
	pembro := func(c *chart, id, when, milligram string) {
		amount(c.dose(id, "completed", when), milligram, "mg", "IV").Dose.Drug = timeline.Pembrolizumab
	}
	sixWeekly := func(c *chart) { pembro(c, "p1", "d21 10:00", "200"); pembro(c, "p2", "d63 10:00", "200") }
	for _, tt := range []struct {
		name  string
		edits []string
		build func(*chart)
		now   string
		want  []string
	}{
		{"six weeks apart is what was planned", []string{everyThree, everySix}, sixWeekly, "d80 00:00", nil},
		{
			"a shorter interval that does not say from when finds the past missed", nil, sixWeekly, "d80 00:00",
			[]string{"dev.dose-missed important prompt 03-30T00:00"},
		},
		{"with a day it does not", inForce("{ from: 2026-05-01 }"), sixWeekly, "d80 00:00", nil},
		{
			"unless it is retroactive", inForce("{ from: 2026-05-01, retroactive: true }"), sixWeekly, "d80 00:00",
			[]string{"dev.dose-missed important prompt 03-30T00:00"},
		},
		{"and is the plan from that day on", inForce("{ from: 2026-05-01 }"), sixWeekly, "d88 00:00", []string{"dev.dose-missed important prompt 05-11T00:00"}},
		{"a slot due on the day itself is judged", inForce("{ from: 2026-05-11 }"), sixWeekly, "d88 00:00", []string{"dev.dose-missed important prompt 05-11T00:00"}},
		{"one due the day before is not", inForce("{ from: 2026-05-12 }"), sixWeekly, "d88 00:00", nil},
		{"what ends on the day does not judge it", inForce("{ until: 2026-05-11 }"), sixWeekly, "d88 00:00", []string{"dev.dose-missed important prompt 03-30T00:00"}},
		{"of a regimen of which nothing is recorded the first dose of its time is asked for", inForce("{ from: 2026-05-01 }"), func(*chart) {}, "d110 00:00", []string{"dev.dose-missed query prompt 05-11T00:00"}},
		{
			"each version judges its time: a dose that was missed stays missed, and the amounts are those of the day", two,
			func(c *chart) {
				pembro(c, "p1", "d21 10:00", "200")
				pembro(c, "p2", "d63 10:00", "400") // before the amendment: twice too much
				pembro(c, "p3", "d84 10:00", "400") // as amended
				pembro(c, "p4", "d105 10:00", "200")
			},
			"d106 00:00",
			[]string{"dev.dose-over important urgent 04-20T00:00", "dev.dose-wrong important urgent 06-01T00:00"},
		},
		{
			"a silence over the change is one of each version", two,
			func(c *chart) { pembro(c, "p1", "d21 10:00", "200") },
			"d110 00:00",
			[]string{"dev.dose-missed important prompt 04-20T00:00", "dev.dose-missed important prompt 05-11T00:00"},
		},
		{"a drug newly forbidden was not forbidden before", steroidsFrom("2026-02-19"), func(c *chart) { c.drug(timeline.Steroid, "d2 23:59") }, "d4 00:00", nil},
		{"but is from that day on", steroidsFrom("2026-02-19"), func(c *chart) { c.drug(timeline.Steroid, "d3 00:00") }, "d4 00:00", []string{"dev.conmed-prohibited important prompt 02-19T00:00"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := enrolled("arm-1").til()
			amount(c.dose("il2-last", "stopped", "d0 12:00"), "50.4", "[iU]", "IV") // IL-2 is over
			tt.build(c)
			got := deviations(c.evaluate(trial(t, tt.edits...), at(tt.now)).Findings)
			want(t, append(of("dev.dose-missed", got), append(append(of("dev.dose-over", got), of("dev.dose-wrong", got)...), of("dev.conmed", got)...)...), tt.want...)
		})
	}
}

// The versions of a regimen are one exposure, whose doses count once.
func TestVersionsAreOneExposure(t *testing.T) {
	c := enrolled("arm-1").til()
	for id, when := range map[string]string{"p1": "d21 10:00", "p2": "d63 10:00", "p3": "d84 10:00"} {
		c.dose(id, "completed", when).Dose.Drug = timeline.Pembrolizumab
	}
	p := trial(t, append(inForce("{ until: 2026-05-01 }"), everyThree, everySix, pembrolizer, amended("{ from: 2026-05-01 }"))...)
	var lines []string
	for _, e := range c.evaluate(p, at("d90 00:00")).Summary.Exposure {
		if e.Regimen == "pembrolizumab" {
			lines = append(lines, strings.Join(e.Slots, " "))
			if e.Given != 3 || e.Missed != 0 {
				t.Errorf("%d given, %d missed: want 3 and 0", e.Given, e.Missed)
			}
		}
	}
	// By the three-weekly version the dose of day 84 is the fourth; nobody missed a third.
	if d := cmp.Diff([]string{"given given  given pending"}, lines); d != "" {
		t.Errorf("slots (-want +got):\n%s", d)
	}
}
