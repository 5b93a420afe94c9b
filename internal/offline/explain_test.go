package offline_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trialwatch/trialwatch/internal/offline/offlinetest"
	"github.com/trialwatch/trialwatch/internal/sim"
	"github.com/trialwatch/trialwatch/rules"
)

// TestExplanationsAreTheFindings explains everybody of a simulated cohort with all its mess: the findings are those of the evaluation to the byte, and each
// has a proof that leads to what it says.
func TestExplanationsAreTheFindings(t *testing.T) {
	e := offlinetest.New(t)
	var feed bytes.Buffer
	for _, ev := range sim.Cohort(sim.Config{Seed: 11}) {
		if json.Valid(ev.Data) {
			fmt.Fprintf(&feed, `{"receivedAt":%q,"resource":%s}`+"\n", ev.At.Format(time.RFC3339Nano), ev.Data)
		}
	}
	if err := e.Read("cohort", &feed, nil); err != nil {
		t.Fatal(err)
	}
	now := e.Latest()
	found := map[string][]rules.Finding{}
	for _, f := range e.At(now).Findings {
		found[f.Subject] = append(found[f.Subject], f)
	}
	_, subjects := e.Explain("", now)
	if len(subjects) < 5 {
		t.Fatalf("only %d subjects", len(subjects))
	}
	proofs, steps := 0, 0
	for _, subject := range subjects {
		es, _ := e.Explain(subject, now)
		if len(es) != 1 {
			t.Fatalf("%d explanations of %s", len(es), subject)
		}
		var got []rules.Finding
		for i := range es[0].Findings {
			p := &es[0].Findings[i]
			got = append(got, p.Finding)
			proofs++
			prove(t, p)
			steps += len(p.Steps)
		}
		if d := cmp.Diff(lines(t, found[subject]), lines(t, got)); d != "" {
			t.Errorf("%s (-evaluated +explained)\n%s", subject, d)
		}
	}
	if proofs < 50 || steps < 100 {
		t.Errorf("only %d findings with %d steps: the cohort no longer tests much", proofs, steps)
	}
}

func lines(t *testing.T, fs []rules.Finding) []string {
	t.Helper()
	var out []string
	for _, f := range fs {
		data, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(data))
	}
	return out
}

func prove(t *testing.T, p *rules.Proof) {
	t.Helper()
	if p.Source == "" {
		t.Errorf("%s has no source", p.ID)
	}
	if len(p.Facts) != len(p.Evidence) {
		t.Errorf("%s: %d facts of %d pieces of evidence", p.ID, len(p.Facts), len(p.Evidence))
	}
	for _, f := range p.Facts {
		if f.Ref != "" && f.Received.IsZero() {
			t.Errorf("%s: nothing is known of %s", p.ID, f.Ref)
		}
	}
	if !strings.HasPrefix(p.Rule, "tox.") {
		return
	}
	if len(p.Because) == 0 {
		t.Errorf("%s has no reason", p.ID)
	}
	if p.Rule == "tox.febrile-neutropenia" {
		return
	}
	if len(p.Steps) == 0 {
		t.Errorf("%s shows no result", p.ID)
	}
	worst := false
	for _, s := range p.Steps {
		worst = worst || strings.Contains(s.Grade, fmt.Sprint(*p.GradeMax))
	}
	if !worst {
		t.Errorf("%s: no step gives grade %d", p.ID, *p.GradeMax)
	}
	if first := p.Steps[0]; !first.At.Equal(p.Onset) {
		t.Errorf("%s: the first step is of %s, the onset %s", p.ID, first.At, p.Onset)
	}
}
