package aggregate_test

import (
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
)

// course are patients of an arm who count from day 0, 1, 2, … in turn; those marked x have a toxicity ten days later, known an hour after it began;
// on a blank day nobody comes.
func course(arm, patients string) []rules.Summary {
	var ps []rules.Summary
	for i, what := range patients {
		if what == ' ' {
			continue
		}
		n := rules.Counted{Boundary: "toxicity", From: asOf.AddDate(0, 0, i)}
		if what == 'x' {
			n.Toxic = n.From.AddDate(0, 0, 10)
			n.Known = n.Toxic.Add(time.Hour)
		}
		ps = append(ps, rules.Summary{Enrolled: true, Treated: true, Arm: arm, Stopping: []rules.Counted{n}})
	}
	return ps
}

func stops(p *protocol.Protocol, ps []rules.Summary) []aggregate.Stop {
	list := make([]*rules.Summary, len(ps))
	for i := range ps {
		list[i] = &ps[i]
	}
	return aggregate.Stops(p, list)
}

func perTrial(p *protocol.Protocol) *protocol.Protocol {
	q := *p
	q.Stopping = append([]protocol.Stopping(nil), p.Stopping...)
	q.Stopping[0].Per = protocol.PerTrial
	return &q
}

// The boundaries of P(share > 0.30 | Beta(0.6, 1.4) and the data) > 0.95, both sides of each: 3 of 3, 4 of 4 and 5, 5 of 6 to 8, 6 of 9 and 10, 7 of 11 and 12, 8 of 13
// and 14. Two of two would meet it too late to matter: the minimum is three.
func TestStoppingBoundary(t *testing.T) {
	p := til(t)
	stop := []int{0, 0, 0, 3, 4, 4, 5, 5, 5, 6, 6, 7, 7, 8, 8}
	for of := range stop {
		for toxic := 0; toxic <= of; toxic++ {
			ps := course("arm-1", strings.Repeat("x", toxic)+strings.Repeat(".", of-toxic))
			want := stop[of] > 0 && toxic >= stop[of]
			if got := len(stops(p, ps)) == 1; got != want {
				t.Errorf("%d of %d: stop %v, want %v", toxic, of, got, want)
			}
		}
	}
}

// Each arm for itself, or the trial as a whole.
func TestStoppingPerArmAndPerTrial(t *testing.T) {
	p := til(t)
	ps := append(course("arm-1", "xx.x.xx"), course("arm-2", "xx...")...)
	for _, tt := range []struct {
		name     string
		p        *protocol.Protocol
		patients []rules.Summary
		want     string
	}{
		{"5 of 7 and 2 of 5", p, ps, "arm-1 5 of 7 since day 16"},
		{"4 of 7", p, course("arm-1", "xx.x.x."), ""},
		{"in the trial 7 of 12", perTrial(p), ps, " 7 of 12 since day 16"},
		{"patients without an arm do not dilute it", perTrial(p), append(course(protocol.Unassigned, "....."), ps...), " 7 of 12 since day 16"},
	} {
		got := ""
		for _, s := range stops(tt.p, tt.patients) {
			got += fmt.Sprintf("%s %d of %d since day %d", s.Arm, s.Patients, s.Of, int(s.Onset.Sub(asOf)/(24*time.Hour)))
			if known := s.Onset.Add(time.Hour); !s.Known.Equal(known) {
				t.Errorf("%s: known at %v, want %v", tt.name, s.Known, known)
			}
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// From when to when the boundary was met, and how it stood last.
func TestStoppingTimes(t *testing.T) {
	p := til(t)
	for _, tt := range []struct {
		patients, want string
	}{
		{"xxx", "3 of 3 from 12 "},     // the third of three, and nobody else has come
		{"xxxxxxx", "7 of 7 from 14 "}, // day 13: 4 of 7
		{"xxx" + strings.Repeat(".", 14), ""},
		{"xxx......x", ""},                                          // on day 12 nine have come
		{"xxx          .x", "3 of 3 from 12 to 13 4 of 5 from 24 "}, // a fourth on day 13 without, a fifth on day 14 with
	} {
		got := ""
		for _, s := range stops(p, course("arm-1", tt.patients)) {
			got += fmt.Sprintf("%d of %d from %s ", s.Patients, s.Of, day(s.Onset))
			if !s.End.IsZero() {
				got += "to " + day(s.End) + " "
			}
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.patients, got, tt.want)
		}
	}
}

// Where more patients are asked for, the one who makes them enough can meet it without a toxicity of his own.
func TestStoppingMinimum(t *testing.T) {
	p := perTrial(til(t))
	p.Stopping[0].Minimum = 6
	if got := stops(p, course("arm-1", "xxxxx")); len(got) != 0 {
		t.Errorf("5 of 5 where 6 are asked for: %v", got)
	}
	if got := stops(p, course("arm-1", "xxxxx          .")); len(got) != 1 || day(got[0].Onset) != "15" || got[0].Patients != 5 || got[0].Of != 6 {
		t.Errorf("5 of 6: %v, want one from day 15", got)
	}
}

func day(t time.Time) string { return fmt.Sprint(int(t.Sub(asOf) / (24 * time.Hour))) }

func TestStoppingDoesNotDependOnOrder(t *testing.T) {
	p := perTrial(til(t))
	p.Stopping = append(p.Stopping, til(t).Stopping...)
	ps := append(course("arm-1", "xx.xxx.x"), course("arm-2", "xxxx.x")...)
	want := stops(p, ps)
	if len(want) != 3 {
		t.Fatalf("%d findings, want both arms and the trial", len(want))
	}
	r := rand.New(rand.NewPCG(7, 3))
	for range 100 {
		r.Shuffle(len(ps), func(i, j int) { ps[i], ps[j] = ps[j], ps[i] })
		if diff := cmp.Diff(want, stops(p, ps)); diff != "" {
			t.Fatalf("(-in order +shuffled):\n%s", diff)
		}
	}
}

// A toxicity that counts for a boundary may change nothing else of the panel.
func TestBoardSeesStopping(t *testing.T) {
	p := til(t)
	b, ps := aggregate.NewBoard(p), course("arm-1", "...")
	for i := range ps {
		b.Set(fmt.Sprint(i), ps[i])
	}
	b.Panels(nil, asOf)
	ps = course("arm-1", "..x")
	b.Set("2", ps[2])
	if diff := cmp.Diff(aggregate.Panels(p, ps, nil, asOf), b.Panels(nil, asOf)); diff != "" {
		t.Errorf("(-from scratch +board):\n%s", diff)
	}
}

// Ten thousand patients, every third with a toxicity: about as many as the limit allows.
func BenchmarkStops10000(b *testing.B) {
	data, err := os.ReadFile(filepath.Join("..", "..", "deployments", "protocols", "til-il2", "protocol.yaml"))
	if err != nil {
		b.Fatal(err)
	}
	p, err := protocol.Parse("protocol.yaml", data)
	if err != nil {
		b.Fatal(err)
	}
	ps := course("arm-1", strings.Repeat("x..", 3334)[:10_000])
	for b.Loop() {
		stops(p, ps)
	}
}

func TestStoppingStandsInTheToxicityPanel(t *testing.T) {
	for _, tt := range []struct {
		patients, want string
	}{
		{"", "0 of 0, 0.417, boundary none, met false"},
		{"xx", "2 of 2, 0.928, boundary none, met false"},
		{"xx.x.xx", "5 of 7, 0.977, boundary 5, met true"},
		{"xx.x.x.", "4 of 7, 0.901, boundary 5, met false"},
	} {
		for _, panel := range aggregate.Panels(til(t), course("arm-1", tt.patients), nil, asOf) {
			if panel.Name != aggregate.Toxicity {
				continue
			}
			e := panel.Arms[0].(aggregate.ToxicityEntry).Stopping[0]
			stop := "none"
			if e.Stop != nil {
				stop = fmt.Sprint(*e.Stop)
			}
			if got := fmt.Sprintf("%d of %d, %.3f, boundary %s, met %v", e.Patients, e.Of, e.Posterior, stop, e.Met); got != tt.want {
				t.Errorf("%q: %s, want %s", tt.patients, got, tt.want)
			}
			if all := panel.All.(aggregate.ToxicityEntry).Stopping; all != nil {
				t.Errorf("a boundary of each arm stands with all arms: %v", all)
			}
		}
	}
}
