package aggregate_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/aggregate"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestProportion holds the limits against those that R's binom.test prints, and Hasanov et al. report for 14 patients.
func TestProportion(t *testing.T) {
	for _, tt := range []struct {
		n, of int
		want  string
	}{
		{1, 7, "14.3 (0.4-57.9)"},
		{5, 7, "71.4 (29.0-96.3)"},
		{4, 7, "57.1 (18.4-90.1)"},
		{2, 14, "14.3 (1.8-42.8)"},
		{0, 7, "0.0 (0.0-41.0)"}, // nobody: the upper limit is 1 - 0.025^(1/7)
		{7, 7, "100.0 (59.0-100.0)"},
		{0, 1, "0.0 (0.0-97.5)"},
		{1, 1, "100.0 (2.5-100.0)"},
		{0, 0, "NA (NA-NA)"}, // of nobody nothing can be said
	} {
		t.Run(fmt.Sprintf("%d of %d", tt.n, tt.of), func(t *testing.T) {
			p := aggregate.NewProportion(tt.n, tt.of)
			if got := fmt.Sprintf("%s (%s-%s)", number(p.Percent), number(p.Low), number(p.High)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if p.N != tt.n || p.Of != tt.of {
				t.Errorf("got %d of %d, want %d of %d", p.N, p.Of, tt.n, tt.of)
			}
		})
	}
}

func number(f *float64) string {
	if f == nil {
		return "NA"
	}
	return fmt.Sprintf("%.1f", *f)
}

// TestProportionHoldsItself: the limits enclose the share, and exchanging patients with and without mirrors them.
func TestProportionHoldsItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		of := rapid.IntRange(1, 400).Draw(t, "of")
		n := rapid.IntRange(0, of).Draw(t, "n")
		p, mirror := aggregate.NewProportion(n, of), aggregate.NewProportion(of-n, of)
		if *p.Low > *p.Percent || *p.Percent > *p.High || *p.Low < 0 || *p.High > 100 {
			t.Fatalf("%d of %d: %s (%s-%s)", n, of, number(p.Percent), number(p.Low), number(p.High))
		}
		if d := *p.Low + *mirror.High - 100; d > 0.11 || d < -0.11 { // each is rounded
			t.Fatalf("%d of %d: low %v, mirrored high %v", n, of, *p.Low, *mirror.High)
		}
	})
}

func TestQuantile(t *testing.T) {
	for _, tt := range []struct {
		name   string
		values []float64
		want   string // median (low-high), min-max
	}{
		{"nobody", nil, "NA (NA-NA), NA-NA"},
		{"one", []float64{18}, "18.0 (NA-NA), 18.0-18.0"},
		{"an odd number: the middle one", []float64{9, 1, 5}, "5.0 (NA-NA), 1.0-9.0"},
		{"an even number: the mean of the middle two", []float64{4, 1, 9, 6}, "5.0 (NA-NA), 1.0-9.0"},
		// With five, the range covers 1 - 2·0.5^5 = 93.75 %: too little for 95 %. With six it covers 96.9 %.
		{"five give no limits", []float64{1, 2, 3, 4, 5}, "3.0 (NA-NA), 1.0-5.0"},
		{"six give the range", []float64{1, 2, 3, 4, 5, 6}, "3.5 (1.0-6.0), 1.0-6.0"},
		{"eight give the range", []float64{1, 2, 3, 4, 5, 6, 7, 8}, "4.5 (1.0-8.0), 1.0-8.0"},
		// Of nine, the second and the eighth cover 1 - 2·(1+9)/512 = 96.1 %.
		{"nine give the second and the eighth", []float64{1, 2, 3, 4, 5, 6, 7, 8, 9}, "5.0 (2.0-8.0), 1.0-9.0"},
		// Of fifteen, the fourth and the twelfth: 2·(1+15+105+455)/32768 = 3.5 % outside.
		{"fifteen give the fourth and the twelfth", []float64{15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1}, "8.0 (4.0-12.0), 1.0-15.0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := aggregate.NewQuantile(tt.values)
			got := fmt.Sprintf("%s (%s-%s), %s-%s", number(q.Median), number(q.Low), number(q.High), number(q.Min), number(q.Max))
			if got != tt.want || q.Of != len(tt.values) {
				t.Errorf("got %s of %d, want %s of %d", got, q.Of, tt.want, len(tt.values))
			}
		})
	}
}

func TestProportionPanicsOnNonsense(t *testing.T) {
	for _, p := range [][2]int{{-1, 7}, {8, 7}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d of %d: no panic", p[0], p[1])
				}
			}()
			aggregate.NewProportion(p[0], p[1])
		}()
	}
}

var trial = &protocol.Protocol{
	Study: "til-il2", Version: "1.0.0", Hash: "1a2b", Zone: time.FixedZone("CST", -6*3600),
	Arms:     []protocol.Arm{{ID: "arm-1"}, {ID: "arm-2"}},
	Regimens: []protocol.Regimen{{ID: "il2", Arm: "arm-1", Schedule: "interval"}, {ID: "il2", Arm: "arm-2", Schedule: "daily"}},
}

const fn = "Febrile neutropenia"

// cohort is nine people: four in arm-1, three in arm-2, one without an arm and one who is known but not enrolled.
func cohort() []rules.Summary {
	return []rules.Summary{
		{
			Enrolled: true, Arm: "arm-1", Treated: true, Evaluable: true,
			Toxicity: []rules.TermGrade{{Term: fn, Grade: 3, Episodes: 2}, {Term: "Fever", Grade: 2, Episodes: 3}}, // once a term
			Exposure: []rules.Exposure{{Regimen: "il2", Given: 2, Missed: 1, Slots: []string{"given", "missed", "given", "pending"}}},
			Events:   []rules.RuleEvents{{Rule: "dev.dose-missed", Importance: rules.Minor, Events: 1}},
		},
		{
			Enrolled: true, Arm: "arm-1", Treated: true, Evaluable: true, OffStudy: true,
			Toxicity: []rules.TermGrade{{Term: "Fever", Grade: 1, Episodes: 1}},
			Exposure: []rules.Exposure{{Regimen: "il2", Given: 1, Held: 1, Refused: 1, Slots: []string{"given", "held", "refused"}}},
			Events: []rules.RuleEvents{ // one patient, one rule, two importances
				{Rule: "dev.dose-early", Importance: rules.Important, Events: 2}, {Rule: "dev.dose-early", Importance: rules.Minor, Events: 1},
				{Rule: "dev.dose-refused", Importance: rules.Minor, Events: 1},
			},
		},
		{Enrolled: true, Arm: "arm-1", ActualAs: "arm-2", Treated: true},
		{Enrolled: true, Arm: "arm-1", Exposure: []rules.Exposure{{Regimen: "il2", Slots: []string{"pending"}}}}, // the course has not begun
		{Enrolled: true, Arm: "arm-2", Treated: true, Evaluable: true, Toxicity: []rules.TermGrade{{Term: fn, Grade: 4, Episodes: 1}}},
		{Enrolled: true, Arm: "arm-2", Treated: true, Evaluable: true, Exposure: []rules.Exposure{{Regimen: "il2", Given: 14, Slots: []string{"given", ""}}}},
		{Enrolled: true, Arm: "arm-2"},
		{Enrolled: true, Arm: protocol.Unassigned, Treated: true, Toxicity: []rules.TermGrade{{Term: fn, Grade: 3, Episodes: 1}}},
		{},
	}
}

func feed() []aggregate.SiteRow {
	n := uint64(3)
	at := time.Date(2026, 2, 20, 12, 0, 0, 0, time.UTC)
	return []aggregate.SiteRow{{Site: "north", LastEvent: at, Facts: 12}, {Site: "main", LastEvent: at, Facts: 80, NotRelevant: &n, DeadLetters: 1}}
}

var asOf = time.Date(2026, 2, 20, 18, 0, 0, 0, time.UTC)

func lines(t testing.TB, patients []rules.Summary) string {
	t.Helper()
	var b strings.Builder
	for _, p := range aggregate.Panels(trial, patients, feed(), asOf) {
		data, err := json.MarshalIndent(p, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(data, '\n'))
	}
	return b.String()
}

// TestPanels compares every panel of the cohort with a file that was checked by hand.
func TestPanels(t *testing.T) {
	const golden = "testdata/panels.json"
	got := lines(t, cohort())
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("panels (-want +got):\n%s", d)
	}
}

// entry returns the entry of an arm in a panel, or that of all.
func entry[E any](t *testing.T, name string, arm int) E {
	t.Helper()
	for _, p := range aggregate.Panels(trial, cohort(), nil, asOf) {
		switch {
		case p.Name != name:
		case arm < 0:
			return p.All.(E)
		default:
			return p.Arms[arm].(E)
		}
	}
	t.Fatalf("no panel %s", name)
	panic("unreachable")
}

func TestAPatientCountsOnceATerm(t *testing.T) {
	arm1 := entry[aggregate.ToxicityEntry](t, aggregate.Toxicity, 0)
	i := slices.IndexFunc(arm1.Terms, func(e aggregate.TermEntry) bool { return e.Term == fn })
	if got := arm1.Terms[i]; got.Any.N != 1 || got.Any.Of != 4 || got.Episodes != 2 || got.Ge3.N != 1 {
		t.Errorf("two episodes of one patient: got %d of %d patients, %d episodes, %d of grade 3 or more; want 1 of 4, 2, 1", got.Any.N, got.Any.Of, got.Episodes, got.Ge3.N)
	}
	early := entry[aggregate.DeviationsEntry](t, aggregate.Deviations, 0).ByRule[0]
	if early.Rule != "dev.dose-early" || early.Events != 3 || early.Patients.N != 1 {
		t.Errorf("one patient with two importances of one rule: got %s, %d events of %d patients; want dev.dose-early, 3 of 1", early.Rule, early.Events, early.Patients.N)
	}
}

// TestWithoutAnArm: a patient without an arm is in no arm and not in all, and is counted as such.
func TestWithoutAnArm(t *testing.T) {
	if got := entry[aggregate.EnrolmentEntry](t, aggregate.Enrolment, -1); got.Enrolled != 7 || got.Unassigned != 1 {
		t.Errorf("got %d enrolled and %d without an arm, want 7 and 1", got.Enrolled, got.Unassigned)
	}
	if got := entry[aggregate.EnrolmentEntry](t, aggregate.Enrolment, 1); got.AsTreated != 1 {
		t.Errorf("arm-2 as treated: got %d, want the one who is assigned to arm-1", got.AsTreated)
	}
	if got := entry[aggregate.ToxicityEntry](t, aggregate.Toxicity, -1); got.N != 7 || got.Terms[0].Any.N != 2 {
		t.Errorf("febrile neutropenia of all: got %d of %d, want 2 of 7", got.Terms[0].Any.N, got.N)
	}
}

func TestOrderOfPatientsDoesNotMatter(t *testing.T) {
	want := lines(t, cohort())
	rapid.Check(t, func(rt *rapid.T) {
		if got := lines(t, rapid.Permutation(cohort()).Draw(rt, "order")); got != want {
			rt.Fatalf("(-in order +shuffled):\n%s", cmp.Diff(want, got))
		}
	})
}

// TestNobodyIsNamed: a summary has no place for a name, so a panel cannot hold one. The test looks for any text in a summary that is not one
// of the words that it is made of.
func TestNobodyIsNamed(t *testing.T) {
	var c any
	data, err := json.Marshal(cohort())
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	known := []string{
		"arm-1", "arm-2", protocol.Unassigned, fn, "Fever", "il2", "given", "held", "refused", "missed", "pending", "",
		"dev.dose-missed", "dev.dose-early", "dev.dose-refused", "minor", "important",
	}
	keys := []string{
		"enrolled", "arm", "actualAs", "treated", "offStudy", "evaluable", "toxicity", "term", "grade", "episodes", "exposure", "regimen", "given",
		"held", "refused", "missed", "slots", "events", "rule", "importance",
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			if !slices.Contains(known, v) {
				t.Errorf("a summary holds the text %q", v)
			}
		case []any:
			for _, x := range v {
				walk(x)
			}
		case map[string]any:
			for k, x := range v {
				if !slices.Contains(keys, k) {
					t.Errorf("a summary has a new field %q: make sure that it names nobody, then list it here", k)
				}
				walk(x)
			}
		}
	}
	walk(c)
	if got := lines(t, cohort()); strings.Contains(got, "subject") || strings.Contains(got, "patientId") {
		t.Error("a panel speaks of a subject")
	}
}
