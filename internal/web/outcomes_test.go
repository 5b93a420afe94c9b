package web_test

import (
	"strings"
	"testing"

	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/deployments/protocols"
	"github.com/trialwatch/trialwatch/internal/web"
	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/aggregate"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// Seven patients an arm, one of each responds: what a safety board reads of them stands on the page, with its limits and with the numbers at risk.
func TestOutcomesAreShown(t *testing.T) {
	p, err := protocols.TIL()
	if err != nil {
		t.Fatal(err)
	}
	var cohort []rules.Summary
	for i, best := range []timeline.Category{"PR", "SD", "SD", "PD", "PD", "PD", "NE", "PR", "SD", "PD", "PD", "PD", "PD", "PD"} {
		cohort = append(cohort, rules.Summary{
			Enrolled: true, Treated: true, Arm: []string{"arm-1", "arm-2"}[i/7], Best: best, Assessed: best != timeline.NE,
			PFS: &rules.Followed{Days: 40 + 10*i, Event: best == timeline.PD}, OS: &rules.Followed{Days: 100 + 20*i, Event: i%2 == 0},
			Stay: &rules.Stay{Days: 14 + i%5}, Markers: []rules.MarkerValue{{Marker: "treg", Window: "baseline", Value: 5 + float64(i)}},
		})
	}
	hub := web.NewHub(web.Options{Studies: []web.Study{{ID: "til-il2"}}})
	for _, panel := range aggregate.Panels(p, cohort, nil, onset) {
		body, err := wire.Encode(panel)
		if err != nil {
			t.Fatal(err)
		}
		if err := hub.Panel(body); err != nil {
			t.Fatal(err)
		}
	}
	page, _ := get(t, hub)
	for _, want := range []string{
		"1/7 (14.3 %)", "95 % CI 0.4–57.9", "2/14 (14.3 %)", "95 % CI 1.8–42.8", "Fisher P = 1.00", "Too few patients to compare: a description only.",
		"Progression-free survival", "Log-rank P = ", "4 of 7", "treg, baseline (%)", "Rank sum P = ",
		`<text class="x" x="64" y="264">7</text>`, // at risk at the start
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if n := strings.Count(page, `<figure class="km">`); n != 2 {
		t.Errorf("%d curves are drawn, want those of PFS and OS", n)
	}
}
