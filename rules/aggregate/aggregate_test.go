package aggregate_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/aggregate"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// Exact limits after Clopper and Pearson, computed apart from this code; of none of n the upper one is 1 - 0.025^(1/n).
func TestProportion(t *testing.T) {
	for _, tt := range []struct {
		n, of int
		want  string
	}{
		{1, 7, "14.3 (0.4–57.9)"}, // response in one arm
		{5, 7, "71.4 (29.0–96.3)"},
		{4, 7, "57.1 (18.4–90.1)"},
		{2, 14, "14.3 (1.8–42.8)"},
		{1, 6, "16.7 (0.4–64.1)"},
		{0, 7, "0.0 (0.0–41.0)"}, // none seen is not none possible
		{7, 7, "100.0 (59.0–100.0)"},
		{0, 1, "0.0 (0.0–97.5)"},
		{50, 100, "50.0 (39.8–60.2)"},
	} {
		p := aggregate.NewProportion(tt.n, tt.of)
		if got := fmt.Sprintf("%.1f (%.1f–%.1f)", *p.Percent, *p.Low, *p.High); got != tt.want {
			t.Errorf("%d of %d: %s, want %s", tt.n, tt.of, got, tt.want)
		}
	}
	data, err := json.Marshal(aggregate.NewProportion(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(data), `{"n":0,"of":0,"percent":null,"low":null,"high":null}`; got != want {
		t.Errorf("of nobody: %s, want %s", got, want)
	}
}

func TestProportionLargerThanTheWholePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("8 of 7 is a proportion")
		}
	}()
	aggregate.NewProportion(8, 7)
}

func TestQuantile(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   string
	}{
		{nil, `{"median":null,"low":null,"high":null,"min":null,"max":null,"of":0}`},
		{[]float64{9}, `{"median":9,"low":null,"high":null,"min":9,"max":9,"of":1}`},
		{[]float64{3, 1, 2}, `{"median":2,"low":null,"high":null,"min":1,"max":3,"of":3}`},
		{[]float64{4, 1, 3, 2}, `{"median":2.5,"low":null,"high":null,"min":1,"max":4,"of":4}`},                     // mean of the middle two
		{[]float64{1, 2, 3, 4, 5}, `{"median":3,"low":null,"high":null,"min":1,"max":5,"of":5}`},                    // 2/32 outside: too few for limits
		{[]float64{1, 2, 3, 4, 5, 6}, `{"median":3.5,"low":1,"high":6,"min":1,"max":6,"of":6}`},                     // 1/64 on either side
		{[]float64{1, 2, 3, 4, 5, 6, 7, 8, 9}, `{"median":5,"low":2,"high":8,"min":1,"max":9,"of":9}`},              // 10/512
		{[]float64{6, 9, 11, 7, 8, 6, 10}, `{"median":8,"low":6,"high":11,"min":6,"max":11,"of":7}`},                // doses of a high-dose arm
		{[]float64{5, 5, 5, 5, 5, 5, 5, 5}, `{"median":5,"low":5,"high":5,"min":5,"max":5,"of":8}`},                 // ties
		{[]float64{0, 0, 0, 0, 0, 0, 0, 20}, `{"median":0,"low":0,"high":20,"min":0,"max":20,"of":8}`},              // 1/256
		{[]float64{2, 4, 6, 8, 10, 12, 14, 16, 18, 20}, `{"median":11,"low":4,"high":18,"min":2,"max":20,"of":10}`}, // 11/1024
	} {
		data, err := json.Marshal(aggregate.NewQuantile(tt.values))
		if err != nil {
			t.Fatal(err)
		}
		if got := string(data); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.values, got, tt.want)
		}
	}
}

func til(t testing.TB) *protocol.Protocol {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "deployments", "protocols", "til-il2", "protocol.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := protocol.Parse("protocol.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// cohort is a hand-made trial: seven patients an arm, one whose arm nobody knows, and somebody who is not enrolled.
func cohort() []rules.Summary {
	patient := func(arm string, fn, episodes, given, missed int) rules.Summary {
		s := rules.Summary{Enrolled: true, Treated: true, Evaluable: true, Arm: arm}
		if fn > 0 {
			s.Toxicity = []rules.TermGrade{{Term: "Febrile neutropenia", Grade: fn, Episodes: episodes}}
		}
		x := rules.Exposure{Regimen: "il2", Given: given, Missed: missed}
		for range given {
			x.Slots = append(x.Slots, "given")
		}
		for range missed {
			x.Slots = append(x.Slots, "missed")
		}
		s.Exposure = []rules.Exposure{x}
		if missed > 0 {
			s.Events = []rules.RuleEvents{{Rule: "dev.dose-missed", Importance: rules.Minor, Events: missed}}
		}
		return s
	}
	ps := []rules.Summary{
		patient("arm-1", 3, 2, 6, 1), patient("arm-1", 3, 1, 9, 0), patient("arm-1", 3, 1, 7, 0), patient("arm-1", 3, 1, 8, 2),
		patient("arm-1", 3, 1, 11, 0), patient("arm-1", 0, 0, 10, 0), patient("arm-1", 0, 0, 6, 0),
		patient("arm-2", 3, 1, 14, 0), patient("arm-2", 3, 1, 13, 1), patient("arm-2", 3, 3, 14, 0), patient("arm-2", 3, 1, 14, 0),
		patient("arm-2", 0, 0, 12, 0), patient("arm-2", 0, 0, 14, 0),
		{Enrolled: true, Arm: "arm-2", OffStudy: true}, // left before treatment: stays in the denominator
		{Enrolled: true, Treated: true, Arm: protocol.Unassigned, Toxicity: []rules.TermGrade{{Term: "Febrile neutropenia", Grade: 3, Episodes: 1}}},
		{Arm: "arm-1", Toxicity: []rules.TermGrade{{Term: "Febrile neutropenia", Grade: 4, Episodes: 1}}},
	}
	ps[7].ActualAs = "arm-1" // assigned to arm 2, treated as in arm 1
	// The responses of the two arms, one patient of each off study or not evaluable; survival and stays made for this test.
	for i, best := range []timeline.Category{"PR", "SD", "SD", "PD", "PD", "PD", "NE", "PR", "SD", "PD", "PD", "PD", "PD", "PD"} {
		s := &ps[i]
		s.Site, s.Best, s.Assessed = []string{"main", "north"}[i%2], best, best != timeline.NE
		s.Started = []string{"til"}
		s.PFS, s.OS = &rules.Followed{Days: 42 + 30*i%200, Event: best == timeline.PD}, &rules.Followed{Days: 200 + 50*i%700, Event: i%3 != 0}
		s.Stay = &rules.Stay{Days: 16 + i%5, Readmissions: i % 2}
		s.Markers = []rules.MarkerValue{{Marker: "treg", Window: "baseline", Value: 5 + float64(i%4)}}
	}
	ps[1].Unconfirmed = true
	ps[6].Stay = &rules.Stay{Ongoing: true}
	ps[13].Stay, ps[13].PFS, ps[13].OS, ps[13].Markers, ps[13].Started = nil, nil, nil, nil, nil
	return ps
}

var asOf = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func panels(t *testing.T, ps []rules.Summary) []string {
	t.Helper()
	irrelevant := uint64(7)
	feed := []aggregate.SiteRow{{Site: "north", LastEvent: asOf, Facts: 3, DeadLetters: 1}, {Site: "main", Facts: 12, NotRelevant: &irrelevant}}
	var lines []string
	for _, p := range aggregate.Panels(til(t), ps, feed, asOf) {
		p.Protocol.Hash = "" // changes with every word of the protocol
		data, err := json.MarshalIndent(p, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(data))
	}
	return lines
}

// The golden file is the published contract: a change to it is a change of a message that other programs read.
func TestPanelsAreTheContract(t *testing.T) {
	golden := filepath.Join("testdata", "panels.json")
	got := strings.Join(panels(t, cohort()), "\n") + "\n"
	if os.Getenv("UPDATE") != "" {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("(-golden +got; UPDATE=1 rewrites it):\n%s", diff)
	}
}

func TestOrderOfPatientsDoesNotMatter(t *testing.T) {
	want := panels(t, cohort())
	r := rand.New(rand.NewPCG(4, 2))
	for range 30 {
		ps := cohort()
		r.Shuffle(len(ps), func(i, j int) { ps[i], ps[j] = ps[j], ps[i] })
		if diff := cmp.Diff(want, panels(t, ps)); diff != "" {
			t.Fatalf("(-in order +shuffled):\n%s", diff)
		}
	}
}

// The counts that a safety board would check by hand.
func TestCountsOfTheCohort(t *testing.T) {
	got := map[string]any{}
	for _, p := range aggregate.Panels(til(t), cohort(), nil, asOf) {
		got[p.Name] = p
	}
	tox := got[aggregate.Toxicity].(aggregate.Panel)
	for i, want := range []string{"5/7", "4/7"} {
		e := tox.Arms[i].(aggregate.ToxicityEntry)
		if p := e.Terms[0].Any; fmt.Sprintf("%d/%d", p.N, p.Of) != want {
			t.Errorf("febrile neutropenia in %s: %d/%d, want %s", e.Arm, p.N, p.Of, want)
		}
	}
	all := got[aggregate.Enrolment].(aggregate.Panel).All.(aggregate.EnrolmentEntry)
	if all.Enrolled != 14 || all.Unassigned != 1 || all.OffStudy != 1 || all.Treated != 13 {
		t.Errorf("enrolment of all: %+v, want 14 enrolled, 13 treated, 1 off study, 1 unassigned beside them", all)
	}
	if as := got[aggregate.Enrolment].(aggregate.Panel).Arms[0].(aggregate.EnrolmentEntry).AsTreated; as != 1 {
		t.Errorf("%d treated as in arm 1 though assigned to another, want 1", as)
	}
	response := got[aggregate.Response].(aggregate.Panel)
	for i, want := range []string{"1/7 14.3 (0.4–57.9)", "1/7 14.3 (0.4–57.9)", "2/14 14.3 (1.8–42.8)"} {
		e := append(response.Arms, response.All)[i].(aggregate.ResponseEntry)
		if got := fmt.Sprintf("%d/%d %.1f (%.1f–%.1f)", e.ORR.N, e.ORR.Of, *e.ORR.Percent, *e.ORR.Low, *e.ORR.High); got != want {
			t.Errorf("response of %q: %s, want %s", e.Arm, got, want)
		}
	}
	if e := response.Arms[0].(aggregate.ResponseEntry); e.Best != (aggregate.Best{PR: 1, SD: 2, PD: 3, NE: 1}) || e.DCR.N != 3 || e.Assessed != 6 || e.Unconfirmed != 1 {
		t.Errorf("response of arm 1: %+v, want 1 PR, 2 SD, 3 PD, 1 NE, who stays in the denominator", e)
	}
	compared := tox.Comparison.(aggregate.ToxicityComparison)
	if p := *compared.Terms[0].Any; !compared.Descriptive || p != 1 {
		t.Errorf("5/7 against 4/7: P = %v, want 1, as a description of arms of 7", p)
	}
	if tox.AsTreated == nil || tox.AsTreated[0].(aggregate.ToxicityEntry).N != 8 || tox.Arms[0].(aggregate.ToxicityEntry).N != 7 {
		t.Errorf("as treated: %+v, want 8 patients beside the 7 as assigned", tox.AsTreated)
	}
	exposure := got[aggregate.Exposure].(aggregate.Panel).Arms[0].(aggregate.ExposureEntry).Regimens[0]
	if exposure.Total.Given != 57 || exposure.Total.Missed != 3 || *exposure.Given.Median != 8 {
		t.Errorf("exposure of arm 1: %+v, want 57 given, 3 missed, median 8", exposure)
	}
	if got, want := exposure.Slots[0].Given+exposure.Slots[0].Missed, 7; got != want {
		t.Errorf("slot 1 counts %d patients, want %d", got, want)
	}
}

// A regimen of every arm stands in each of them; one of a single arm in that arm only.
func TestRegimenOfEveryArm(t *testing.T) {
	ps := cohort()
	for i := range ps {
		ps[i].Exposure = append(ps[i].Exposure, rules.Exposure{Regimen: "cyclophosphamide", Given: 2})
	}
	for _, p := range aggregate.Panels(til(t), ps, nil, asOf) {
		if p.Name != aggregate.Exposure {
			continue
		}
		for i, want := range []int{14, 14, 28} {
			e := append(p.Arms, p.All)[i].(aggregate.ExposureEntry)
			given := map[string]int{}
			for _, r := range e.Regimens {
				given[r.Regimen] += r.Total.Given
			}
			if given["cyclophosphamide"] != want || given["il2"] == 0 {
				t.Errorf("arm %q: %v given, want %d of cyclophosphamide and some IL-2", e.Arm, given, want)
			}
		}
	}
}

// However large a trial is, each panel is one message on NATS, which may be 1 MiB.
func TestPanelsOfALargeTrialFitAMessage(t *testing.T) {
	p := til(t)
	ps := crowd(p, 10_000)
	for i := range ps[:100] {
		ps[i].ActualAs = p.Arms[(i+1)%len(p.Arms)].ID // as treated stands beside as assigned
	}
	for _, panel := range aggregate.Panels(p, ps, nil, asOf) {
		data, err := json.Marshal(panel)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > 512<<10 {
			t.Errorf("%s has %d bytes", panel.Name, len(data))
		}
		if s, ok := panel.All.(aggregate.SurvivalEntry); ok {
			events, censored := 0, 0
			for _, pt := range s.OS.Curve {
				events, censored = events+pt.Events, censored+pt.Censored
			}
			if events != s.OS.Events || events+censored != 10_000 || len(s.OS.Curve) > 203 || s.OS.Curve[0].AtRisk != 10_000 {
				t.Errorf("a curve of %d points counts %d events and %d censored of %d", len(s.OS.Curve), events, censored, s.OS.N)
			}
		}
		t.Logf("%s %d bytes", panel.Name, len(data))
	}
}
