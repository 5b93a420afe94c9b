package paper_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/trialwatch/trialwatch/internal/offline"
	"github.com/trialwatch/trialwatch/internal/offline/offlinetest"
	"github.com/trialwatch/trialwatch/internal/paper"
	"github.com/trialwatch/trialwatch/internal/sim"
)

// cohort is an evaluator that has read the synthetic cohort.
func cohort(t *testing.T) *offline.Evaluator {
	t.Helper()
	script, err := sim.Published()
	if err != nil {
		t.Fatal(err)
	}
	var lines bytes.Buffer
	for _, e := range sim.Cohort(sim.Config{Script: script}) {
		fmt.Fprintf(&lines, `{"receivedAt":%q,"resource":%s}`+"\n", e.At.Format(time.RFC3339Nano), e.Data)
	}
	e := offlinetest.New(t)
	if err := e.Read("cohort", &lines, nil); err != nil {
		t.Fatal(err)
	}
	return e
}

func panels(t *testing.T, r *offline.Result) map[string][]byte {
	t.Helper()
	m := map[string][]byte{}
	for i := range r.Panels {
		data, err := json.Marshal(&r.Panels[i])
		if err != nil {
			t.Fatal(err)
		}
		m[r.Panels[i].Name] = data
	}
	return m
}

// The synthetic cohort goes through the decoder, the rules and the aggregates, and what comes out is what was published.
func TestSyntheticCohortAgreesWithThePaper(t *testing.T) {
	e := cohort(t)
	r := e.At(e.Latest())
	if len(r.Refused) > 0 {
		t.Errorf("refused: %+v", r.Refused[0])
	}
	abstract, err := paper.Read()
	if err != nil {
		t.Fatal(err)
	}
	rows, err := abstract.Compare(panels(t, &r))
	if err != nil {
		t.Fatal(err)
	}
	counted, unsaid := 0, ""
	for _, row := range rows {
		if row.Unsaid {
			unsaid += row.Here + " "
			continue
		}
		counted++
		if !row.Agrees() {
			t.Errorf("%s, %s: here %q, in the paper %q", row.Figure, row.Arm, row.Here, row.Paper)
		}
	}
	if counted != 18 {
		t.Errorf("%d figures are counted, want 18", counted)
	}
	// The middle two of fourteen were seen last, or died, on days 268 and 291. Of the reverse curve a third is left after day 2200, and more than half before.
	if want := "9.2 72.3 "; unsaid != want {
		t.Errorf("follow-up %s, want %s", unsaid, want)
	}
	for _, f := range r.Findings {
		if f.Rule == "data.ungradable" || f.Rule == "data.implausible" || f.Rule == "data.unit-missing" {
			t.Errorf("the cohort sends what cannot be used: %s", f.Message)
		}
	}
}

// Before anything has happened the table says so, and nothing agrees by chance.
func TestNothingAgreesWithoutPanels(t *testing.T) {
	abstract, err := paper.Read()
	if err != nil {
		t.Fatal(err)
	}
	rows, err := abstract.Compare(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if row.Here != "" || row.Agrees() {
			t.Errorf("%s: %q", row.Figure, row.Here)
		}
	}
}

// A cut-off is by clinical time: what happens later changes nothing of it, though it is known.
func TestWhatComesLaterDoesNotChangeACutoff(t *testing.T) {
	e := cohort(t)
	end := e.Latest()
	first := time.Date(2018, 3, 25, 12, 0, 0, 0, time.UTC)
	for cut := first; cut.Before(end); cut = cut.Add(150 * 24 * time.Hour) {
		soon := e.CutAt(cut, cut.Add(48*time.Hour)) // results take up to 30 hours, and a death is reported the next day
		late := e.CutAt(cut, end)
		a, b := panels(t, &soon), panels(t, &late)
		for name := range a {
			if name != "feed" && !bytes.Equal(a[name], b[name]) {
				t.Errorf("cut-off %s, panel %s:\nknown two days later %s\nknown at the end %s", cut.Format(time.DateOnly), name, a[name], b[name])
			}
		}
	}
}
