package rules_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/site"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// permutations calls fn with every order of 0..n-1.
func permutations(n int, fn func([]int)) {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	var walk func(k int)
	walk = func(k int) {
		if k == n {
			fn(order)
			return
		}
		for i := k; i < n; i++ {
			order[k], order[i] = order[i], order[k]
			walk(k + 1)
			order[k], order[i] = order[i], order[k]
		}
	}
	walk(0)
}

// messy is a patient with corrections, a void, a wrong patient, a duplicate and mixed version schemes.
func messy() []*timeline.Fact {
	c := enrolled("arm-1").til()
	c.anc("0.3", "d3 06:00")
	c.temp("39", "d3 10:00")
	v2 := *c.facts[2]
	v2.Version = timeline.Version{ID: "2", Digest: "v2"}
	v2.Results = []timeline.Result{{Analyte: timeline.Neutrophils, Value: timeline.Quantity{Value: decimal.Must("0.9"), Text: "0.9"}}}
	v3 := v2
	v3.Version = timeline.Version{ID: "abc", LastUpdated: at("d2 00:00"), Digest: "v3"} // not a number: lastUpdated decides for the whole set
	void := *c.facts[3]
	void.Version, void.State, void.Results = timeline.Version{ID: "2", Digest: "void"}, timeline.Void, nil
	return append(c.facts, &v2, &v3, &void)
}

func state(t testing.TB, p *protocol.Protocol, facts []*timeline.Fact, now time.Time) string {
	t.Helper()
	s := site.New("main")
	for _, f := range facts {
		s.Apply(f)
	}
	var b strings.Builder
	for _, pat := range s.Patients() {
		a := rules.Evaluate(pat.Timeline, p, now)
		if err := json.NewEncoder(&b).Encode(a.Findings); err != nil {
			t.Fatal(err)
		}
		if err := json.NewEncoder(&b).Encode(a.Summary); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&b, a.Next)
	}
	return b.String()
}

func TestEveryPermutationOfSevenFactsGivesOneAnswer(t *testing.T) {
	facts, p := messy(), trial(t)
	if len(facts) != 7 {
		t.Fatalf("got %d facts, want 7", len(facts))
	}
	want := state(t, p, facts, at("d4 00:00"))
	n := 0
	permutations(len(facts), func(order []int) {
		n++
		var shuffled []*timeline.Fact
		for _, i := range order {
			shuffled = append(shuffled, facts[i])
		}
		if got := state(t, p, shuffled, at("d4 00:00")); got != want {
			t.Fatalf("order %v:\ngot  %s\nwant %s", order, got, want)
		}
	})
	if n != 5040 {
		t.Errorf("%d permutations, want 5040", n)
	}
}

// TestShufflesOfLongFeedsGiveOneAnswer: 2,000 shuffles of random feeds with repetitions, corrections, voids, wrong patients and links.
func TestShufflesOfLongFeedsGiveOneAnswer(t *testing.T) {
	p := trial(t)
	shuffles := 0
	for seed := range uint64(40) {
		facts := randomFeed(rand.New(rand.NewPCG(seed, 1)))
		now := at("d9 00:00")
		want := state(t, p, facts, now)
		r := rand.New(rand.NewPCG(seed, 2))
		for range 50 {
			again := slices.Clone(facts)
			for range len(facts) / 3 {
				again = append(again, facts[r.IntN(len(facts))])
			}
			r.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
			shuffles++
			if got := state(t, p, again, now); got != want {
				t.Fatalf("seed %d:\n%s", seed, cmp.Diff(want, got))
			}
		}
	}
	if shuffles < 2000 {
		t.Errorf("%d shuffles, want 2000", shuffles)
	}
}

func randomFeed(r *rand.Rand) []*timeline.Fact {
	c := enrolled("arm-1").til()
	other := *c.facts[0]
	other.Ref, other.Patient = timeline.RefOf("ResearchSubject", "rs-2"), timeline.Patient{Reference: "Patient/p2"}
	e := *other.Enrolment
	e.Identifiers = []string{"urn:x|S-002"}
	other.Enrolment = &e
	c.facts = append(c.facts, &other)
	for range 30 {
		day, hour := 1+r.IntN(7), r.IntN(24)
		when := fmt.Sprintf("d%d %02d:00", day, hour)
		var f *timeline.Fact
		switch r.IntN(4) {
		case 0:
			f = c.anc(fmt.Sprintf("%d.%d", r.IntN(2), r.IntN(10)), when)
		case 1:
			f = c.temp(fmt.Sprintf("%d.%d", 37+r.IntN(3), r.IntN(10)), when)
		case 2:
			f = c.dose(fmt.Sprintf("m%d", c.n), []string{"completed", "not-done", "on-hold"}[r.IntN(3)], when)
		default:
			f = c.obs(fmt.Sprintf("w%d", c.n), timeline.Leukocytes, fmt.Sprintf("%d.%d", r.IntN(3), r.IntN(10)), when)
		}
		if r.IntN(4) == 0 {
			f.Patient = timeline.Patient{Identifier: "urn:mrn|1"} // joined by a Patient resource below
		}
		for v := 2; v < 2+r.IntN(3); v++ {
			g := *f
			c.n++
			g.Version = timeline.Version{ID: fmt.Sprint(v), LastUpdated: f.ReceivedAt.Add(time.Duration(v) * time.Hour), Digest: fmt.Sprintf("%03d", c.n)}
			g.ReceivedAt = g.ReceivedAt.Add(time.Duration(r.IntN(48)) * time.Hour)
			switch r.IntN(5) {
			case 0:
				g.State, g.Results, g.Dose = timeline.Void, nil, nil
			case 1:
				g.Patient = timeline.Patient{Reference: "Patient/p2"}
			case 2:
				g.Version.ID = "x" + g.Version.ID
			case 3:
				g.State, g.Results, g.Dose, g.Patient = timeline.Refused, nil, nil, timeline.Patient{}
			}
			c.facts = append(c.facts, &g)
		}
	}
	person := func(id string, p timeline.Person) {
		f := c.add(timeline.RefOf("Patient", id), time.Time{})
		f.Patient = timeline.Patient{Reference: "Patient/" + id}
		f.Person = &p
	}
	person("p1", timeline.Person{Identifiers: []string{"urn:mrn|1"}})
	if r.IntN(2) == 0 {
		person("p2", timeline.Person{ReplacedBy: "Patient/p1"})
		person("p3", timeline.Person{Identifiers: []string{"urn:mrn|1"}})
	}
	return c.facts
}

func TestFindingsDoNotDependOnOtherPatients(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		facts := randomFeed(rand.New(rand.NewPCG(seed, 1)))
		p := trial(t)
		a := state(t, p, facts, at("d9 00:00"))
		stranger := (&chart{}).temp("39", "d3 10:00")
		stranger.Ref, stranger.Patient = timeline.RefOf("Observation", "stranger"), timeline.Patient{Reference: "Patient/zz"}
		b := state(t, p, append(facts, stranger), at("d9 00:00"))
		if !strings.HasPrefix(b, a) {
			rt.Fatalf("a stranger's fact changed an answer:\n%s", cmp.Diff(a, b))
		}
	})
}

// stayOf500 is a patient with a full course: 60 doses, 450 temperatures and 50 neutrophil counts.
func stayOf500() *chart {
	c := enrolled("arm-1").til()
	for i := range 450 {
		c.temp(fmt.Sprintf("%d.%d", 37+i%3, i%10), fmt.Sprintf("d%d %02d:%02d", i/24, i%24, i%60))
	}
	for i := range 50 {
		c.anc(fmt.Sprintf("0.%d", 1+i%9), fmt.Sprintf("d%d 05:30", i%20))
	}
	for i := range 60 {
		c.dose(fmt.Sprintf("dose-%d", i), []string{"completed", "not-done"}[i/15%2], fmt.Sprintf("d%d %02d:00", 1+i/3, 8*(i%3)))
	}
	return c
}

// wardOf500 is a stay as wards have them: 168 temperatures, of which those of three days are fevers, twelve analytes a day, and pressures and rates. [stayOf500] is a
// fever all the time.
func wardOf500() *chart {
	c := enrolled("arm-1").til()
	for i := range 168 {
		value := "36.8"
		if i/8 >= 4 && i/8 < 7 {
			value = "38.6"
		}
		c.temp(value, fmt.Sprintf("d%d %02d:10", i/8, 3*(i%8)))
	}
	for i, analyte := range []string{
		timeline.Neutrophils, timeline.Lymphocytes, timeline.Leukocytes, timeline.Platelets, timeline.HemoglobinMass, timeline.CreatinineMass,
		timeline.BilirubinMass, timeline.ALT, timeline.AST, timeline.Sodium, timeline.Potassium, timeline.Albumin,
	} {
		for day := range 21 {
			lab := c.obs(fmt.Sprintf("lab-%d-%d", i, day), analyte, []string{"0.3", "0.2", "0.6", "60", "90", "0.9", "0.7", "30", "28", "139", "4.1", "33"}[i], fmt.Sprintf("d%d 05:30", day))
			low, high := decimal.Must([]string{"1.8", "1", "4", "150", "120", "0.6", "0.2", "7", "8", "135", "3.5", "35"}[i]), decimal.Must([]string{"7", "4", "11", "400", "160", "1.2", "1.2", "40", "40", "145", "5", "50"}[i])
			lab.Results[0].Low, lab.Results[0].High = &low, &high
		}
	}
	for i := range 40 {
		c.obs(fmt.Sprint("bp-", i), timeline.Systolic, "118", fmt.Sprintf("d%d %02d:20", i/2, 8+8*(i%2)))
		c.obs(fmt.Sprint("hr-", i), timeline.HeartRate, "88", fmt.Sprintf("d%d %02d:20", i/2, 8+8*(i%2)))
	}
	for i := range 60 {
		c.dose(fmt.Sprintf("dose-%d", i), []string{"completed", "not-done"}[i/15%2], fmt.Sprintf("d%d %02d:00", 1+i/3, 8*(i%3)))
	}
	return c
}

func BenchmarkEvaluate500(b *testing.B) {
	for _, stay := range []struct {
		name string
		of   *chart
	}{{"febrile", stayOf500()}, {"ward", wardOf500()}} {
		b.Run(stay.name, func(b *testing.B) {
			tl := timeline.New()
			for _, f := range stay.of.facts {
				tl.Apply(f)
			}
			p := trial(b)
			b.ReportAllocs()
			for b.Loop() {
				rules.Evaluate(tl, p, at("d21 00:00"))
			}
		})
	}
}

// One more result of a patient of 500, by what a memo has kept.
func BenchmarkMemo500(b *testing.B) {
	for _, analyte := range []string{timeline.Temperature, timeline.Platelets, timeline.Neutrophils} {
		b.Run(analyte, func(b *testing.B) {
			tl := timeline.New()
			c := stayOf500()
			for i := range 20 {
				c.obs(fmt.Sprintf("plt-%d", i), timeline.Platelets, "90", fmt.Sprintf("d%d 05:30", i))
			}
			for _, f := range c.facts {
				tl.Apply(f)
			}
			p := trial(b)
			var m rules.Memo
			corrected := c.obs("again", analyte, "38.5", "d19 12:00")
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				f := *corrected
				f.Version = timeline.Version{ID: fmt.Sprint(i), Digest: fmt.Sprint(i)}
				tl.Forget(f.Ref)
				tl.Apply(&f)
				m.Evaluate(tl, p, at("d21 00:00"))
			}
		})
	}
}
