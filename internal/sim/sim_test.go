package sim_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/trialwatch/trialwatch/internal/offline"
	"github.com/trialwatch/trialwatch/internal/offline/offlinetest"
	"github.com/trialwatch/trialwatch/internal/sim"
	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/alert"
)

func evaluator(t *testing.T, events []sim.Event) *offline.Evaluator {
	t.Helper()
	e := offlinetest.New(t)
	var feed bytes.Buffer
	for _, ev := range events {
		line, err := json.Marshal(map[string]any{"receivedAt": ev.At.Format(time.RFC3339Nano), "resource": json.RawMessage(ev.Data)})
		if err != nil { // broken on purpose: as it is
			line = ev.Data
		}
		feed.Write(line)
		feed.WriteByte('\n')
	}
	if err := e.Read("cohort", &feed, nil); err != nil {
		t.Fatal(err)
	}
	return e
}

var read = map[uint64]*offline.Evaluator{}

// messy is an evaluator that has read a cohort with all its mess. It is read once: most of the time of these tests would go into reading.
func messy(t *testing.T, seed uint64) *offline.Evaluator {
	t.Helper()
	if read[seed] == nil {
		read[seed] = evaluator(t, sim.Cohort(sim.Config{Seed: seed}))
	}
	return read[seed]
}

func TestSameSeedSameBytes(t *testing.T) {
	a, b, other := sim.Cohort(sim.Config{Seed: 1}), sim.Cohort(sim.Config{Seed: 1}), sim.Cohort(sim.Config{Seed: 2})
	if fmt.Sprintf("%s", a) != fmt.Sprintf("%s", b) {
		t.Error("two cohorts of seed 1 differ")
	}
	if fmt.Sprintf("%s", a) == fmt.Sprintf("%s", other) {
		t.Error("seeds 1 and 2 give the same cohort")
	}
}

// Without the mess everything is usable; with it, what is broken is refused with a reason and nothing else is.
func TestOnlyBrokenMessagesAreRefused(t *testing.T) {
	clean := evaluator(t, sim.Cohort(sim.Config{Seed: 3, Clean: true}))
	if r := clean.At(clean.Latest()).Refused; len(r) != 0 {
		t.Errorf("a clean cohort has %d refused lines, the first is %+v", len(r), r[0])
	}
	e := messy(t, 3)
	got := map[string]int{}
	for _, r := range e.At(e.Latest().Add(365 * 24 * time.Hour)).Refused {
		got[r.Reason]++
	}
	if len(got) != 2 || got["no-time"] != 4 {
		t.Errorf("refused %v, want four cut-off messages and four without a time", got)
	}
}

// A demo should show what the product does: every cohort meets every rule, and over a few of them so does either arm.
func TestCohortMeetsEveryRule(t *testing.T) {
	either := map[string]map[string]bool{} // arms by rule
	for _, seed := range []uint64{1, 2, 3} {
		e := messy(t, seed)
		arms := map[string]map[string]bool{}
		for _, f := range e.At(e.Latest()).Findings {
			if arms[f.Rule] == nil {
				arms[f.Rule] = map[string]bool{}
			}
			arms[f.Rule][f.Arm] = true
			if either[f.Rule] == nil {
				either[f.Rule] = map[string]bool{}
			}
			either[f.Rule][f.Arm] = true
		}
		for _, rule := range []string{
			"tox.neutrophil-count-decreased", "tox.fever", "tox.febrile-neutropenia", "tox.creatinine-increased", "tox.hypotension", "dev.dose-missed",
			"dev.dose-late", "dev.assessment-missed", "data.unit-missing", "data.ungradable",
		} {
			if len(arms[rule]) == 0 {
				t.Errorf("seed %d: no %s", seed, rule)
			}
		}
	}
	for _, rule := range []string{"tox.febrile-neutropenia", "dev.dose-missed"} {
		if len(either[rule]) != 2 {
			t.Errorf("%s in arms %v, want both", rule, either[rule])
		}
	}
}

// What the protocol asks to be examined is examined, but for what is forgotten now and then: one silence is one alert, not one a day.
func TestCohortIsExamined(t *testing.T) {
	for _, seed := range []uint64{1, 2, 3} {
		e := messy(t, seed)
		n := 0
		for _, f := range e.At(e.Latest()).Findings {
			if f.Rule == "dev.assessment-missed" {
				n++
			}
		}
		if n < 2 || n > 14 {
			t.Errorf("seed %d: %d assessments missed of 14 patients: want some, and no more than one a patient", seed, n)
		}
	}
}

// And it tells every kind of transition: what was told of a haemolysed specimen, of a charted dose and of another patient's fever is taken back.
func TestCohortTakesBack(t *testing.T) {
	e := evaluator(t, sim.Cohort(sim.Config{Seed: 1, PatientsPerArm: 2}))
	told := map[alert.Transition]int{}
	if err := e.History(e.Latest(), func(ev alert.Event) error {
		told[ev.Transition]++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, tr := range []alert.Transition{alert.Opened, alert.Updated, alert.Resolved, alert.Retracted} {
		if told[tr] == 0 {
			t.Errorf("nothing is %s: %v", tr, told)
		}
	}
}

// Every simulated patient is given lymphodepletion on its days: what is told of it is a day whose message was broken on purpose, and of a clean cohort nothing.
func TestLymphodepletionIsOnItsDays(t *testing.T) {
	told := func(e *offline.Evaluator) (n, given int) {
		answer := e.At(e.Latest())
		for _, f := range answer.Findings {
			if key := rules.KeyOf(f.ID); (key == "cyclophosphamide" || key == "fludarabine") && f.Rule != "dev.til-precondition" {
				t.Logf("%s: %s", f.ID, f.Message)
				n++
			}
		}
		return n, len(answer.Refused)
	}
	script, err := sim.Published()
	if err != nil {
		t.Fatal(err)
	}
	for name, events := range map[string][]sim.Event{"clean": sim.Cohort(sim.Config{Seed: 3, Clean: true}), "published": sim.Cohort(sim.Config{Script: script})} {
		if n, _ := told(evaluator(t, events)); n != 0 {
			t.Errorf("%s: %d findings of lymphodepletion, want none", name, n)
		}
	}
	for _, seed := range []uint64{1, 2, 3} {
		if n, refused := told(messy(t, seed)); n > refused {
			t.Errorf("seed %d: %d findings of lymphodepletion, and only %d messages were broken", seed, n, refused)
		}
	}
}
