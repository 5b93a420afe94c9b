package site_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
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

// Random feeds of a ward where records are joined, moved, voided and enrolled in any order: with parking and without, the same is true and told.
func TestParkingChangesNothing(t *testing.T) {
	ps := trial(t)
	for seed := range uint64(600) {
		r := rand.New(rand.NewPCG(seed, 3))
		identities := []string{"Patient/p1", "Patient/p2", "Patient/p3", "Patient/p4", "urn:mrn|1", "urn:mrn|2"}
		pick := func() string { return identities[r.IntN(len(identities))] }
		version := map[string]int{}
		next := func(ref string) int { version[ref]++; return version[ref] }
		var facts []*timeline.Fact
		for range 6 + r.IntN(20) {
			var f *timeline.Fact
			switch n := r.IntN(10); {
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
			if r.IntN(6) == 0 && f.Ref.Type == "Observation" {
				f = void(f)
			}
			facts = append(facts, f)
		}
		r.Shuffle(len(facts), func(i, j int) { facts[i], facts[j] = facts[j], facts[i] })
		all, parks := start(ps), startParking(ps)
		all.apply(facts...)
		parks.apply(facts...)
		if d := cmp.Diff(all.state(), parks.state()); d != "" || parks.err != nil && all.err == nil {
			t.Fatalf("seed %d (-all held +parked):\n%s\n%v", seed, d, parks.err)
		}
	}
}
