package rules_test

import (
	"strings"
	"testing"

	"github.com/trialwatch/trialwatch/rules/timeline"
)

// Where the data can only propose a grade, the finding proposes it: a low pressure alone has no grade, and stays out of the tables.
func TestCandidateIsProposed(t *testing.T) {
	c := enrolled("arm-1").til()
	c.obs("bp", timeline.Systolic, "80", "d1 08:00")
	answer := c.evaluate(trial(t), at("d1 09:00"))
	for _, f := range answer.Findings {
		if f.Rule != "tox.hypotension" {
			continue
		}
		if f.Grade != nil || f.GradeMax == nil || *f.GradeMax != 1 || !f.NeedsReview || !strings.HasPrefix(f.Message, "Possible hypotension grade 1, day 1: worst 80") {
			t.Errorf("got %+v, want a proposal of grade 1 for review", f)
		}
		if len(answer.Summary.Toxicity) != 0 {
			t.Errorf("the tables count %+v", answer.Summary.Toxicity)
		}
		return
	}
	t.Errorf("got %+v, want a possible hypotension", answer.Findings)
}
