package rules_test

import (
	"strings"
	"testing"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// A value whose code names moles and whose unit mass is used: it supports holding a dose as any other. Somebody is asked to look at it, and at what
// rests on it, until it is corrected.
func TestContradictingUnitIsUsedAndReviewed(t *testing.T) {
	doubt := &timeline.Problem{Reason: timeline.ProblemUnitFamily, Detail: "code 14682-9 counts moles, the unit mg/dL mass"}
	held := func(doubt *timeline.Problem) (*chart, *timeline.Fact) {
		c := enrolled("arm-1").til()
		c.dose("m1", "completed", "d1 08:00")
		f := c.obs("cr", timeline.CreatinineMass, "2.7", "d1 15:30")
		f.Results[0].Doubt = doubt
		c.dose("m2", "not-done", "d1 16:00")
		return c, f
	}
	find := func(a rules.Answer, rule string) (found []rules.Finding) {
		for _, f := range a.Findings {
			if f.Rule == rule {
				found = append(found, f)
			}
		}
		return found
	}

	c, _ := held(nil)
	plain := c.evaluate(trial(t), at("d1 17:00"))
	if f := find(plain, "log.dose-held"); len(f) != 1 || f[0].NeedsReview {
		t.Errorf("without a doubt: got %+v, want a held dose that needs no review", f)
	}
	if f := find(plain, "data.implausible"); len(f) != 0 {
		t.Errorf("without a doubt: got %+v", f)
	}

	c, obs := held(doubt)
	answer := c.evaluate(trial(t), at("d1 17:00"))
	if f := find(answer, "log.dose-held"); len(f) != 1 || !f[0].NeedsReview {
		t.Errorf("got %+v, want a held dose that needs review", f)
	}
	data := find(answer, "data.implausible")
	if len(data) != 1 {
		t.Fatalf("got %+v, want one finding", data)
	}
	if got, want := data[0].Message, "creatinine-mass: the code counts moles, the unit mass: the unit is believed. Review."; got != want {
		t.Errorf("got message %q, want %q", got, want)
	}
	if !data[0].NeedsReview || data[0].Status != rules.Open || len(data[0].Evidence) != 1 {
		t.Errorf("got %+v, want an open finding for review with its evidence", data[0])
	}
	if !strings.HasSuffix(data[0].Key, ":"+timeline.ProblemUnitFamily) {
		t.Errorf("got key %q, want one of its own", data[0].Key)
	}

	// A clinical time that cannot be true goes first: such a value is not used.
	obs.ReceivedAt = at("d-3 12:00")
	future := find(c.evaluate(trial(t), at("d1 17:00")), "data.implausible")
	if len(future) != 1 || strings.HasSuffix(future[0].Key, timeline.ProblemUnitFamily) {
		t.Errorf("got %+v, want the time alone", future)
	}
}

// The components of one Observation have findings of their own.
func TestDoubtsOfOneObservationAreKeptApart(t *testing.T) {
	c := enrolled("arm-1").til()
	f := c.obs("panel", timeline.CreatinineMass, "1.1", "d1 08:00")
	doubt := &timeline.Problem{Reason: timeline.ProblemUnitFamily}
	f.Results = append(f.Results, f.Results[0], f.Results[0], timeline.Result{Analyte: timeline.Temperature, Problem: &timeline.Problem{Reason: timeline.ProblemImplausible}})
	f.Results[0].Doubt, f.Results[1].Doubt = doubt, doubt
	seen := map[string]bool{}
	n := 0
	for _, f := range c.evaluate(trial(t), at("d1 09:00")).Findings {
		if f.Rule == "data.implausible" {
			n++
			seen[f.ID] = true
		}
	}
	if n != 3 || len(seen) != 3 {
		t.Errorf("got %d findings with %d ids, want 3 of each", n, len(seen))
	}
}
