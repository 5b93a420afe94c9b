package site_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trialwatch/trialwatch/rules/site"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// A hospital's worth of people who are in no trial costs an entry each and a hash a resource: no fact, no timeline.
func TestParkedFactsAreNotHeld(t *testing.T) {
	r := startParking(trial(t))
	for i := range 1000 {
		r.apply(temperature(fmt.Sprint("t-", i), 1, fmt.Sprint("Patient/x", i%100), "38.6", 1))
	}
	if got := r.site.Parked(); got != 100 {
		t.Errorf("got %d identities parked, want 100", got)
	}
	if got := len(r.site.Patients()); got != 0 {
		t.Errorf("got %d patients held, want none", got)
	}
	r.apply(enrolled("rs-1", "Patient/x7", "S-001"))
	if got, want := r.findings(), []string{"Patient/x7: S-001 tox.fever"}; !cmp.Equal(got, want) {
		t.Errorf("got findings %v, want %v", got, want)
	}
	if got := r.site.Parked(); got != 99 {
		t.Errorf("got %d identities parked after one was enrolled, want 99", got)
	}
}

// A hospital's Medications cost a hash each, and nothing is read again for an administration of a drug that no rule reads.
func TestParkedMedicationsAreNotHeld(t *testing.T) {
	s := site.New("main")
	loaded := map[string]int{}
	facts := map[string][]*timeline.Fact{}
	s.Park(func(identity string) ([]*timeline.Fact, error) { loaded[identity]++; return facts[identity], nil })
	apply := func(f *timeline.Fact) int {
		facts[f.Owner()] = append(facts[f.Owner()], f)
		return len(s.Apply(f))
	}
	for i := range 1000 {
		apply(product(fmt.Sprint("x", i), 1, "other"))
	}
	apply(product("il2", 1, timeline.Aldesleukin))
	apply(enrolled("rs-1", "Patient/p1", "S-001"))
	for i := range 5 {
		apply(given(fmt.Sprint("a", i), 1, "Patient/p1", fmt.Sprint("x", i), "", 0))
		apply(given(fmt.Sprint("m", i), 1, "Patient/p1", "il2", "", float64(i)))
	}
	if d := cmp.Diff(map[string]int{"Medication/il2": 1}, loaded); d != "" {
		t.Errorf("read again (-want +got):\n%s", d)
	}
	if got := len(s.Patient("Patient/p1").Timeline.Doses()); got != 5 {
		t.Errorf("got %d doses, want 5", got)
	}
	// Another drug's Medication that is corrected to a study drug is read again with its older versions.
	if got := apply(product("x3", 2, timeline.Aldesleukin)); got != 1 {
		t.Errorf("a corrected Medication changes %d patients, want 1", got)
	}
	if got := len(s.Patient("Patient/p1").Timeline.Doses()); got != 6 || loaded["Medication/x3"] != 1 {
		t.Errorf("got %d doses and %d readings of x3, want 6 and 1", got, loaded["Medication/x3"])
	}
	// One that was already held is not read again.
	if got := apply(product("x3", 3, "other")); got != 1 || loaded["Medication/x3"] != 1 {
		t.Errorf("a third version changes %d patients with %d readings, want 1 and 1", got, loaded["Medication/x3"])
	}
}

// What cannot be loaded must not be missing in silence.
func TestErrorOfLoadingStays(t *testing.T) {
	s := site.New("main")
	broken := errors.New("the broker is away")
	s.Park(func(string) ([]*timeline.Fact, error) { return nil, broken })
	s.Apply(temperature("t", 1, "Patient/p1", "38.6", 1))
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	s.Apply(enrolled("rs-1", "Patient/p1", "S-001"))
	if err := s.Err(); !errors.Is(err, broken) {
		t.Errorf("got error %v, want that of loading", err)
	}
}

// ward is a random feed of a site where records are joined, moved, voided and enrolled and Medications come and change, in any order.
func ward(seed uint64) (*rand.Rand, []*timeline.Fact) {
	r := rand.New(rand.NewPCG(seed, 3))
	identities := []string{"Patient/p1", "Patient/p2", "Patient/p3", "Patient/p4", "urn:mrn|1", "urn:mrn|2"}
	pick := func() string { return identities[r.IntN(len(identities))] }
	version := map[string]int{}
	next := func(ref string) int { version[ref]++; return version[ref] }
	var facts []*timeline.Fact
	for range 6 + r.IntN(20) {
		var f *timeline.Fact
		switch n := r.IntN(14); {
		case n > 11:
			id := fmt.Sprint("x", r.IntN(3))
			f = product(id, next("Medication/"+id), []string{timeline.Aldesleukin, timeline.TIL, "other", "other", ""}[r.IntN(5)])
			if r.IntN(8) == 0 {
				f.State, f.Product = timeline.Refused, nil
			}
		case n > 9 && r.IntN(3) == 0:
			id := fmt.Sprint("q-", r.IntN(3))
			f = ordered(id, next(id), pick(), fmt.Sprint("x", r.IntN(4)), []string{"stopped", "stopped", "active"}[r.IntN(3)], float64(r.IntN(12)-40))
		case n > 9:
			id := fmt.Sprint("m-", r.IntN(4))
			f = given(id, next(id), pick(), fmt.Sprint("x", r.IntN(4)), []string{"", "", timeline.Aldesleukin}[r.IntN(3)], float64(r.IntN(7)-24))
		case n < 4:
			id := fmt.Sprint("t-", r.IntN(6))
			f = temperature(id, next(id), pick(), []string{"38.6", "39.4", "36.6"}[r.IntN(3)], float64(r.IntN(7)))
		case n < 7:
			id := fmt.Sprint("n-", r.IntN(4))
			f = count(id, next(id), pick(), []string{"0.4", "1.2", "4.0"}[r.IntN(3)], float64(r.IntN(7)))
		case n == 7:
			id := fmt.Sprint("rs-", r.IntN(2)+1)
			f = enrolled(id, fmt.Sprint("Patient/p", r.IntN(3)+1), fmt.Sprint("S-00", id[3:]))
			f.Version.ID = fmt.Sprint(next(id))
		default:
			id := fmt.Sprint("p", r.IntN(4)+1)
			replaced := ""
			if r.IntN(4) == 0 {
				replaced = fmt.Sprint("Patient/p", r.IntN(4)+1)
			}
			f = person(id, next(id), replaced, identities[4:][:r.IntN(3)]...)
		}
		if r.IntN(6) == 0 && f.State == timeline.Usable && f.Ref.Type() != "ResearchSubject" && f.Ref.Type() != "Patient" {
			f = void(f)
		}
		facts = append(facts, f)
	}
	r.Shuffle(len(facts), func(i, j int) { facts[i], facts[j] = facts[j], facts[i] })
	return r, facts
}

// With parking and without, the same is true and told.
func TestParkingChangesNothing(t *testing.T) {
	ps := trial(t)
	for seed := range uint64(600) {
		_, facts := ward(seed)
		all, parks := start(ps), startParking(ps)
		all.apply(facts...)
		parks.apply(facts...)
		if d := cmp.Diff(all.state(), parks.state()); d != "" || parks.err != nil && all.err == nil {
			t.Fatalf("seed %d (-all held +parked):\n%s\n%v", seed, d, parks.err)
		}
	}
}

// In another order, with repetitions, the same is true.
func TestRandomWardsConverge(t *testing.T) {
	ps := trial(t)
	for seed := range uint64(300) {
		r, facts := ward(seed)
		first := start(ps)
		first.apply(facts...)
		want := first.state()
		again := slices.Clone(facts)
		for range r.IntN(len(facts)) {
			again = append(again, facts[r.IntN(len(facts))])
		}
		r.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
		for name, other := range map[string]*run{"held": start(ps), "parked": startParking(ps)} {
			other.apply(again...)
			if d := cmp.Diff(want, other.state()); d != "" || other.err != nil {
				t.Fatalf("seed %d, facts %s (-in one order +in another):\n%s\n%v", seed, name, d, other.err)
			}
		}
	}
}
