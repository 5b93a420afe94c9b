package aggregate_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/aggregate"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// blinded is the shipped trial as if it were not open-label.
func blinded(t testing.TB, lines ...string) *protocol.Protocol {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "deployments", "protocols", "til-il2", "protocol.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(data) + "\nblinding:\n  unblinded: [safety-board]\n  cite: a test\n"
	for _, l := range lines {
		text += "  " + l + "\n"
	}
	p, err := protocol.Parse("protocol.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func pooled(t testing.TB, p *protocol.Protocol, ps []rules.Summary) string {
	t.Helper()
	data, err := json.MarshalIndent(aggregate.Pool(p, aggregate.Panels(p, ps, []aggregate.SiteRow{{Site: "main", Facts: 3}}, asOf)), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// What is pooled depends on nobody's arm: whoever is in which, the same bytes are shown. Nor does it depend on what only some arms are given.
func TestPooledPanelsDoNotDependOnTheArms(t *testing.T) {
	p := blinded(t)
	crowd := crowd(p, 12)
	rapid.Check(t, func(rt *rapid.T) {
		ps := append(cohort(), crowd...)
		for i := range ps {
			ps[i].Started = []string{"cyclophosphamide", "til"}
			ps[i].Exposure = append(ps[i].Exposure, rules.Exposure{Regimen: "cyclophosphamide", Given: 2})
		}
		want := pooled(t, p, ps)
		for i := range ps {
			if ps[i].Arm == protocol.Unassigned {
				continue
			}
			ps[i].Arm, ps[i].ActualAs = rapid.SampledFrom([]string{"arm-1", "arm-2"}).Draw(rt, "arm"), ""
			if at := slices.IndexFunc(ps[i].Exposure, func(x rules.Exposure) bool { return x.Regimen == "il2" }); at >= 0 {
				ps[i].Exposure = slices.Clone(ps[i].Exposure)
				ps[i].Exposure[at] = rules.Exposure{Regimen: "il2", Given: rapid.IntRange(0, 15).Draw(rt, "given"), Amount: 3, PerKg: 2}
			}
		}
		if diff := cmp.Diff(want, pooled(t, p, ps)); diff != "" {
			rt.Fatalf("other arms (-before +after):\n%s", diff)
		}
	})
}

// No arm, no comparison, nothing of what is expected of one arm, and no hint how much was sent.
func TestPooledPanelsNameNoArm(t *testing.T) {
	p := blinded(t)
	got := pooled(t, p, cohort())
	for _, a := range p.Arms {
		for _, name := range append([]string{a.ID, a.Title}, a.Aliases...) {
			if strings.Contains(got, `"`+name+`"`) {
				t.Errorf("it names arm %q", name)
			}
		}
	}
	for _, key := range []string{`"arm"`, `"arms"`, `"asTreated"`, `"comparison"`, `"through"`, `"il2"`, `"orr"`, `"pfs"`, `"markers"`, "arm-1", "arm-2"} {
		if strings.Contains(got, key) {
			t.Errorf("it has %s", key)
		}
	}
	for _, key := range []string{`"cyclophosphamide"`, `"Febrile neutropenia"`, `"dev.dose-missed"`, `"days"`} {
		if !strings.Contains(got, key) {
			t.Errorf("%s is lost", key)
		}
	}
}

// Where a trial stands by its stopping boundaries is for those who decide, of the whole trial too.
func TestPooledPanelsHaveNoStoppingBoundaries(t *testing.T) {
	for _, per := range []string{protocol.PerArm, protocol.PerTrial} {
		p := blinded(t)
		p.Stopping = []protocol.Stopping{p.Stopping[0]}
		p.Stopping[0].Per = per
		if strings.Contains(pooled(t, p, cohort()), "stopping") {
			t.Errorf("a boundary of each %s is shown", per)
		}
	}
}

// Without blinding nothing but the arms goes: the open session of an open trial shows what it always did.
func TestPoolOfAnOpenTrial(t *testing.T) {
	got := pooled(t, til(t), cohort())
	for _, key := range []string{`"il2"`, `"cyclophosphamide"`, `"aldesleukin"`} {
		if !strings.Contains(got, key) {
			t.Errorf("%s is lost", key)
		}
	}
	if strings.Contains(got, `"arm-1"`) {
		t.Error("it names an arm")
	}
}

// A treatment that every arm has, at whatever dose, says nothing of the arm; one that some arm has not says all.
func TestWhatTellsArms(t *testing.T) {
	p := &protocol.Protocol{Arms: []protocol.Arm{{ID: "a"}, {ID: "b"}}, Regimens: []protocol.Regimen{
		{ID: "drug", Arm: "a", Drug: "drug"},
		{ID: "drug", Arm: "b", Drug: "drug"},
		{ID: "placebo", Arm: "b", Drug: "placebo"},
		{ID: "both", Arm: protocol.AllArms, Drug: "both"},
		{ID: "mixed", Arm: protocol.AllArms, Drug: "mixed"},
		{ID: "mixed", Arm: "a", Drug: "mixed"},
	}}
	for _, tt := range []struct {
		name               string
		regimen, treatment bool
	}{{"drug", true, false}, {"placebo", true, true}, {"both", false, false}, {"mixed", true, false}, {"til", false, false}} {
		if got := p.TellsArms(tt.name); got != tt.regimen {
			t.Errorf("regimen %s tells arms: %t", tt.name, got)
		}
		if got := p.TreatmentTellsArms(tt.name); got != tt.treatment {
			t.Errorf("treatment %s tells arms: %t", tt.name, got)
		}
	}
	e := aggregate.EnrolmentEntry{Flow: []aggregate.StepEntry{{Step: "enrolled", N: 9}, {Step: "drug", N: 8}, {Step: "placebo", N: 4}, {Step: "assessed", N: 2}}}
	p.Study, p.Blinding = "s", &protocol.Blinding{}
	out := aggregate.Pool(p, []aggregate.Panel{{Study: "s", Name: aggregate.Enrolment, All: e}, {Study: "other", Name: aggregate.Enrolment, All: e}})
	want := []aggregate.StepEntry{{Step: "enrolled", N: 9}, {Step: "drug", N: 8}, {Step: "assessed", N: 2}}
	if len(out) != 1 || !slices.Equal(out[0].All.(aggregate.EnrolmentEntry).Flow, want) {
		t.Errorf("%+v", out)
	}
	if len(e.Flow) != 4 || e.Flow[2].Step != "placebo" {
		t.Error("the panel that was given is changed")
	}
}

// A panel that was published is pooled as the one that was not yet.
func TestReadPanelsPoolAlike(t *testing.T) {
	p := blinded(t)
	var read []aggregate.Panel
	all := aggregate.Panels(p, cohort(), []aggregate.SiteRow{{Site: "main", Facts: 3}}, asOf)
	for _, panel := range all {
		data, err := json.Marshal(panel)
		if err != nil {
			t.Fatal(err)
		}
		r, err := aggregate.Read(data)
		if err != nil {
			t.Fatal(err)
		}
		read = append(read, r)
	}
	want, _ := json.Marshal(aggregate.Pool(p, all))
	if got, _ := json.Marshal(aggregate.Pool(p, read)); !bytes.Equal(got, want) {
		t.Errorf("read:\n%s\nwant:\n%s", got, want)
	}
	for _, broken := range []string{"{", `{"panel":"toxicity","all":7}`, `{"panel":"stay"}`} {
		if _, err := aggregate.Read([]byte(broken)); err == nil {
			t.Errorf("%s can be read", broken)
		}
	}
}
