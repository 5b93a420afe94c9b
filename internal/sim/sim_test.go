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
	messy := evaluator(t, sim.Cohort(sim.Config{Seed: 3}))
	got := map[string]int{}
	for _, r := range messy.At(messy.Latest().Add(365 * 24 * time.Hour)).Refused {
		got[r.Reason]++
	}
	if len(got) != 2 || got["no-time"] != 4 {
		t.Errorf("refused %v, want four cut-off messages and four without a time", got)
	}
}

// A demo should show what the product does: over a few seeds the cohort meets every rule, and something is taken back.
func TestCohortMeetsEveryRule(t *testing.T) {
	for seed := range uint64(4) {
		e := evaluator(t, sim.Cohort(sim.Config{Seed: seed + 1}))
		rules, transitions := map[string]int{}, map[alert.Transition]int{}
		arms := map[string]map[string]bool{}
		if err := e.History(e.Latest(), func(ev alert.Event) error {
			rules[ev.Rule]++
			transitions[ev.Transition]++
			if arms[ev.Rule] == nil {
				arms[ev.Rule] = map[string]bool{}
			}
			arms[ev.Rule][ev.Arm] = true
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for _, rule := range []string{"tox.neutrophil-count-decreased", "tox.fever", "tox.febrile-neutropenia", "dev.dose-missed", "dev.dose-late", "data.unit-missing"} {
			if rules[rule] == 0 {
				t.Errorf("seed %d: no %s in %v", seed+1, rule, rules)
			}
		}
		for _, rule := range []string{"tox.febrile-neutropenia", "dev.dose-missed"} {
			if len(arms[rule]) != 2 {
				t.Errorf("seed %d: %s in arms %v, want both", seed+1, rule, arms[rule])
			}
		}
		if transitions[alert.Retracted] == 0 || transitions[alert.Resolved] == 0 {
			t.Errorf("seed %d: transitions %v, want some resolved and some retracted", seed+1, transitions)
		}
		t.Logf("seed %d: %v %v", seed+1, transitions, rules)
	}
}
