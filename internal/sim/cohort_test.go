package sim_test

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/trialwatch/trialwatch/deployments/protocols"
	"github.com/trialwatch/trialwatch/fhir"
	"github.com/trialwatch/trialwatch/internal/app"
	"github.com/trialwatch/trialwatch/internal/sim"
	"github.com/trialwatch/trialwatch/rules/aggregate"
	"github.com/trialwatch/trialwatch/rules/ctcae"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

func trial(t *testing.T) *protocol.Protocol {
	t.Helper()
	p, err := protocols.TIL()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// facts are what our decoder makes of a cohort, by patient.
func facts(t *testing.T, events []sim.Event) map[string][]*timeline.Fact {
	t.Helper()
	d, err := app.NewDecoder([]*protocol.Protocol{trial(t)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]*timeline.Fact{}
	for _, e := range events {
		for _, o := range d.Decode(fhir.Message{Data: e.Data, Site: "main", ReceivedAt: e.At}) {
			if o.Fact != nil {
				id := o.Fact.Patient.Identity()
				all[id] = append(all[id], o.Fact)
			}
		}
	}
	return all
}

// A term of the protocol that no result of the default cohort can be graded by would never show that it works.
func TestEveryTermIsGraded(t *testing.T) {
	// What is graded from something else than the analyte of the criterion.
	made := map[string]string{
		timeline.CalciumCorrectedMass: timeline.CalciumMass, timeline.CalciumCorrectedMolar: timeline.CalciumMolar,
		"urine-output-8h": timeline.UrineOutput, "urine-output-24h": timeline.UrineOutput,
	}
	all := facts(t, sim.Cohort(sim.Config{}))
	for _, term := range trial(t).Terms {
		graded := 0
		for _, l := range term.Criterion.Limits {
			analyte := l.Analyte
			if from := made[analyte]; from != "" {
				analyte = from
			}
			for _, fs := range all {
				var baseline ctcae.Operand
				for _, f := range fs {
					for _, r := range f.Results {
						if r.Analyte != analyte || r.Problem != nil {
							continue
						}
						in := ctcae.Input{Value: ctcae.Of(r.Value.Value, r.Value.Comparator).Rounded(), Baseline: baseline}
						if r.Low != nil {
							in.LLN = ctcae.Known(r.Low.Round())
						}
						if r.High != nil {
							in.ULN = ctcae.Known(r.High.Round())
						}
						if v := term.ThresholdValue(); v != nil {
							in.Threshold = ctcae.Known(v.Round())
						}
						if !l.Grade(&in).Ungradable {
							graded++
						}
						if !baseline.Known {
							baseline = ctcae.Known(r.Value.Value.Round())
						}
					}
				}
			}
		}
		if graded == 0 {
			t.Errorf("no result of the cohort grades %s", term.Criterion.Term)
		}
	}
}

// worst counts patients by term, arm and worst grade, over some cohorts.
type worst map[string]map[string][6]int

func count(t *testing.T, seeds ...uint64) worst {
	t.Helper()
	w := worst{}
	for _, seed := range seeds {
		e := messy(t, seed)
		for _, p := range e.At(e.Latest()).Panels {
			if p.Name != aggregate.Toxicity {
				continue
			}
			for _, a := range p.Arms {
				arm := a.(aggregate.ToxicityEntry)
				for _, term := range arm.Terms {
					if w[term.Term] == nil {
						w[term.Term] = map[string][6]int{}
					}
					n := w[term.Term][arm.Arm]
					for g, p := range term.ByGrade {
						i, err := strconv.Atoi(g)
						if err != nil {
							t.Fatal(err)
						}
						n[i] += p.N
					}
					w[term.Term][arm.Arm] = n
				}
			}
		}
	}
	return w
}

func atLeast(n [6]int, grade int) (sum int) {
	for _, c := range n[grade:] {
		sum += c
	}
	return sum
}

// What a clinician expects of this treatment: the marrow fails in everybody, high doses of IL-2 make vessels leak and tax kidney and liver, low ones
// hardly, and nothing else is worse than grade 3.
func TestGradesAreBelievable(t *testing.T) {
	w := count(t, 1, 2, 3)
	const n = 3 * 7 // patients an arm
	marrow := []string{"Neutrophil count decreased", "Lymphocyte count decreased", "White blood cell decreased", "Platelet count decreased", "Anemia"}
	for _, term := range marrow {
		for _, arm := range []string{"arm-1", "arm-2"} {
			if got := atLeast(w[term][arm], 1); got < n-2 {
				t.Errorf("%s in %s: %d of %d, want nearly all", term, arm, got, n)
			}
		}
	}
	for term, arms := range w {
		for arm, got := range arms {
			if slices.Contains(marrow[:4], term) {
				continue
			}
			if got[4]+got[5] > 0 {
				t.Errorf("%s in %s: %d patients with grade 4 or 5", term, arm, got[4]+got[5])
			}
			if arm == "arm-2" && term != "Febrile neutropenia" && term != "Anemia" && got[3] > 1 {
				t.Errorf("%s with low doses: %d patients with grade 3", term, got[3])
			}
		}
	}
	for _, tt := range []struct {
		term      string
		low, high int // patients with high doses, of n
		times     int // how many times as many as with low doses, at least
	}{
		{"Creatinine increased", n - 4, n, 4},
		{"Hypoalbuminemia", n - 4, n, 1},
		{"Weight gain", n / 3, n, 4},
		{"Blood bilirubin increased", n / 2, n, 4},
		{"Alanine aminotransferase increased", n / 2, n, 3},
		{"Hyponatremia", n / 4, n - 2, 2},
		{"Hypomagnesemia", 1, n / 2, 2},
		{"Hypokalemia", 1, n / 2, 0}, // fluid washes it out in either arm
		{"Hyperkalemia", 1, n / 2, 2},
		{"CPK increased", n / 4, n, 1},
		{"Ejection fraction decreased", 1, n / 2, 2},
	} {
		high, low := atLeast(w[tt.term]["arm-1"], 1), atLeast(w[tt.term]["arm-2"], 1)
		if high < tt.low || high > tt.high || high < low*tt.times {
			t.Errorf("%s: %d of %d with high doses and %d with low ones, want %d to %d and at least %d times as many", tt.term, high, n, low, tt.low, tt.high, tt.times)
		}
	}
}

// The demo, the pictures and the tests of other packages know the default cohort: what is added to a patient leaves its doses and its fevers alone.
func TestDefaultCohortStays(t *testing.T) {
	w := count(t, 1)["Febrile neutropenia"]
	if high, low := atLeast(w["arm-1"], 1), atLeast(w["arm-2"], 1); high != 4 || low != 3 {
		t.Errorf("febrile neutropenia in %d and %d patients, want 4 and 3", high, low)
	}
	doses := map[string]int{}
	for _, e := range sim.Cohort(sim.Config{Seed: 1}) {
		var r struct {
			Status     string `json:"status"`
			Medication struct {
				Text string `json:"text"`
			} `json:"medicationCodeableConcept"`
		}
		if e.Type == "MedicationAdministration" && json.Unmarshal(e.Data, &r) == nil && r.Medication.Text == "aldesleukin" {
			doses[r.Status]++
		}
	}
	if doses["completed"] != 145 || doses["not-done"] != 14 || doses["stopped"] != 6 {
		t.Errorf("records of IL-2: %v", doses)
	}
}

// Doses fit the weight, the route and the arm, and most are given when nothing forbids it: what the rules find else would be a fault of the cohort.
func TestDosesFitThePatient(t *testing.T) {
	for _, seed := range []uint64{1, 2, 3} {
		e := messy(t, seed)
		despite := 0
		for _, f := range e.At(e.Latest()).Findings {
			switch f.Rule {
			case "dev.dose-wrong", "dev.dose-over", "dev.route-wrong", "dev.arm-wrong":
				t.Errorf("seed %d: %s", seed, f.Message)
			case "dev.dosed-despite-hold":
				despite++
			}
		}
		if despite > 14 { // of about 130: one in ten
			t.Errorf("seed %d: %d doses are given despite a criterion for holding them", seed, despite)
		}
	}
}

// observation is what a reader of the feed sees of a resource.
type observation struct {
	ID      string `json:"id"`
	Status  string `json:"status"`
	Subject struct {
		Reference string `json:"reference"`
	} `json:"subject"`
	Code struct {
		Text string `json:"text"`
	} `json:"code"`
	Effective string `json:"effectiveDateTime"`
	Value     struct {
		Value      float64 `json:"value"`
		Comparator string  `json:"comparator"`
		Unit       string  `json:"unit"`
		Code       string  `json:"code"`
	} `json:"valueQuantity"`
	Range []struct {
		Text string `json:"text"`
	} `json:"referenceRange"`
	Flag []any `json:"interpretation"`
}

func observations(events []sim.Event) (os []observation) {
	for _, e := range events {
		var o observation
		if e.Type == "Observation" && json.Unmarshal(e.Data, &o) == nil {
			os = append(os, o)
		}
	}
	return os
}

// With high doses patients gain some kilograms of fluid and lose them again. Nobody doubles.
func TestWeightFollowsTheLeak(t *testing.T) {
	high := map[string]bool{} // by patient
	var events []sim.Event
	for seed := range uint64(4) {
		part := sim.Cohort(sim.Config{Seed: seed, Clean: true})
		for _, e := range part {
			var r struct {
				Individual struct {
					Reference string `json:"reference"`
				} `json:"individual"`
				Arm string `json:"assignedArm"`
			}
			if e.Type == "ResearchSubject" && json.Unmarshal(e.Data, &r) == nil {
				high[r.Individual.Reference] = r.Arm == "Arm-1"
			}
		}
		events = append(events, part...)
	}
	weights := map[string][]float64{}
	for _, o := range observations(events) {
		if o.Code.Text == "Body weight" {
			weights[o.Subject.Reference] = append(weights[o.Subject.Reference], o.Value.Value)
		}
	}
	var gains []float64
	for patient, w := range weights {
		gain := 100 * (slices.Max(w)/w[0] - 1)
		if last := 100 * (w[len(w)-1]/w[0] - 1); math.Abs(last) > 6.5 {
			t.Errorf("%s ends at %+.1f %% of the weight before treatment", patient, last)
		}
		switch {
		case high[patient]:
			gains = append(gains, gain)
			if gain < 2 || gain > 15 {
				t.Errorf("high doses: %s gains %.1f %%", patient, gain)
			}
		case gain > 5:
			t.Errorf("low doses: %s gains %.1f %%", patient, gain)
		}
	}
	slices.Sort(gains)
	if median := gains[len(gains)/2]; median < 5 || median > 12 {
		t.Errorf("high doses: the median gain is %.1f %%, want 5 to 12", median)
	}
}

// Every patient is somebody else: no two weigh the same.
func TestPatientsDiffer(t *testing.T) {
	first := map[string]float64{} // weight by patient
	for _, o := range observations(sim.Cohort(sim.Config{Clean: true})) {
		if _, ok := first[o.Subject.Reference]; !ok && o.Code.Text == "Body weight" && o.Value.Code == "kg" {
			first[o.Subject.Reference] = o.Value.Value
		}
	}
	seen := map[float64]bool{}
	for patient, w := range first {
		if seen[w] {
			t.Errorf("%s weighs %v kg as somebody else does", patient, w)
		}
		seen[w] = true
	}
	if len(seen) < 5 {
		t.Errorf("only %d patients were weighed in kg", len(seen))
	}
}

// A feed is written in many ways, and each of them is in the default cohort; a clean one has no second version of anything.
func TestFeedVariesAsRealOnesDo(t *testing.T) {
	seen := func(events []sim.Event) map[string]int {
		n := map[string]int{}
		status := map[string]string{}
		for _, o := range observations(events) {
			switch first := status[o.ID]; {
			case first == "preliminary" && o.Status == "final":
				n["preliminary becomes final"]++
			case first == "final" && (o.Status == "amended" || o.Status == "corrected"):
				n[o.Status]++
			case first == o.Status:
				n["again"]++
			}
			status[o.ID] = o.Status
			if o.Value.Comparator != "" {
				n["comparator"]++
			}
			if o.Code.Text == "Creatinine" {
				n["creatinine in "+o.Value.Unit]++
			}
			if o.Value.Unit != "" && o.Value.Code == "" {
				n["unit in words"]++
			}
			if len(o.Range) > 0 && o.Range[0].Text != "" {
				n["range in words"]++
			}
			if o.Code.Text == "Sodium" && len(o.Range) == 0 {
				n["without a range"]++
			}
			if len(o.Flag) > 0 {
				n["flag"]++
			}
		}
		return n
	}
	odd := seen(sim.Cohort(sim.Config{Seed: 1}))
	for _, what := range []string{
		"preliminary becomes final", "amended", "corrected", "again", "comparator", "creatinine in mg/dL", "creatinine in umol/L", "unit in words",
		"range in words", "flag",
	} {
		if odd[what] == 0 {
			t.Errorf("not in the feed: %s (%v)", what, odd)
		}
	}
	clean := seen(sim.Cohort(sim.Config{Seed: 1, Clean: true}))
	for _, what := range []string{"preliminary becomes final", "amended", "corrected", "again", "without a range"} {
		if clean[what] != 0 {
			t.Errorf("in a clean feed: %d times %s", clean[what], what)
		}
	}
}

// What the data rules say of a clean cohort would be our own mistake: a unit that they do not know, a range that they cannot read, a value that cannot be.
func TestCleanCohortHasNothingOdd(t *testing.T) {
	for seed := range uint64(2) {
		e := evaluator(t, sim.Cohort(sim.Config{Seed: seed, Clean: true}))
		for _, f := range e.At(e.Latest()).Findings {
			if strings.HasPrefix(f.Rule, "data.") {
				t.Errorf("seed %d: %s %s", seed, f.ID, f.Message)
			}
		}
	}
}

// The feed stays a size that a minute of demo can carry, and comes in the order of receipt.
func TestFeedIsBoundedAndInOrder(t *testing.T) {
	events := sim.Cohort(sim.Config{})
	if n, size := len(events)/14, 0; n > 1100 {
		t.Errorf("%d messages a patient", n)
	} else {
		for _, e := range events {
			size += len(e.Data)
		}
		if size/len(events) > 1000 {
			t.Errorf("%d bytes a message", size/len(events))
		}
	}
	if !slices.IsSortedFunc(events, func(a, b sim.Event) int { return a.At.Compare(b.At) }) {
		t.Error("the feed is not in the order of receipt")
	}
	if first, last := events[0].At, events[len(events)-1].At; last.Sub(first) > 45*24*time.Hour {
		t.Errorf("the feed runs from %v to %v", first, last)
	}
}
