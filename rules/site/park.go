package site

import (
	"hash/fnv"
	"io"
	"slices"

	"github.com/trialwatch/trialwatch/rules/timeline"
)

// parking is what a site keeps of people who are not in a trial: which identities there are facts of, and a hash of each resource. A hospital's
// patients are many and a trial's are few; the facts stay where they were read from until somebody needs them.
type parking struct {
	load  func(identity string) ([]*timeline.Fact, error)
	ids   map[string]bool
	under map[uint64][]string // by resource, the identities under which versions of it are parked
	// products are the Medications of which versions are parked, by resource: true where each of them plainly names a drug that no rule reads, so that
	// an administration which refers to it can be judged without them.
	products map[uint64]bool
	err      error
}

// Park makes the site hold only the facts of patients who are or were enrolled. The others' are forgotten, and asked for by identity when such a
// person is enrolled, is found to be a patient who is, or when a resource of theirs turns out to be such a patient's. load returns every fact
// given to [Site.Apply] that the identity owns ([timeline.Fact.Owner]); facts that it repeats do no harm. What is true of a patient does not depend on Park.
//
// Medications are not held either until something that is held refers to one.
//
// Call it before the first fact. After each Apply look at [Site.Err].
func (s *Site) Park(load func(identity string) ([]*timeline.Fact, error)) {
	s.parking = &parking{load: load, ids: map[string]bool{}, under: map[uint64][]string{}, products: map[uint64]bool{}}
}

// Err is the first error of the function given to [Site.Park]. The site has then missed facts and must not be used.
func (s *Site) Err() error {
	if s.parking == nil {
		return nil
	}
	return s.parking.err
}

// Parked is how many identities have facts that are not held.
func (s *Site) Parked() int {
	if s.parking == nil {
		return 0
	}
	return len(s.parking.ids)
}

// park forgets a fact of somebody who is not in a trial, and reports whether it did. Enrolments and Patient resources are always held: they say
// who is. So is a fact that names nobody, and one of a resource that is held.
func (s *Site) park(f *timeline.Fact) bool {
	if f.Ref.Type() == "Medication" {
		return s.parkProduct(f)
	}
	id := f.Patient.Identity()
	if s.parking == nil || id == "" || f.Ref.Type() == "ResearchSubject" || f.Ref.Type() == "Patient" || s.resources[f.Ref] != nil || s.inTrial(s.resolve(id)) {
		return false
	}
	s.parking.ids[id] = true
	h := hash(f.Ref)
	if !slices.Contains(s.parking.under[h], id) {
		s.parking.under[h] = append(s.parking.under[h], id)
	}
	return true
}

// inTrial reports whether a patient is enrolled in some study, or something was told or counted of them before.
func (s *Site) inTrial(patient string) bool {
	p := s.patients[patient]
	if p == nil {
		return false
	}
	if len(p.Standings) > 0 {
		return true
	}
	for _, f := range p.Timeline.Others() {
		if f.Enrolment != nil {
			return true
		}
	}
	return false
}

// unpark brings in what a fact that was applied makes needed: other versions of its resource, and everything of the patients whom it has brought
// into a trial.
func (s *Site) unpark(f *timeline.Fact, changed map[string]bool) {
	if s.parking == nil || len(s.parking.ids) == 0 {
		return
	}
	for _, id := range s.parking.under[hash(f.Ref)] {
		s.fetch(id, changed)
	}
	if f.Ref.Type() != "ResearchSubject" && f.Ref.Type() != "Patient" {
		return
	}
	entered := false
	for patient := range changed {
		entered = entered || s.inTrial(patient)
	}
	if !entered {
		return
	}
	for id := range s.parking.ids {
		if s.inTrial(s.resolve(id)) {
			s.fetch(id, changed)
		}
	}
}

// fetch applies the parked facts of an identity. They may be versions of resources that are parked under others too.
func (s *Site) fetch(id string, changed map[string]bool) {
	if !s.parking.ids[id] || s.parking.err != nil {
		return
	}
	delete(s.parking.ids, id)
	facts, err := s.parking.load(id)
	if err != nil {
		s.parking.err = err
		return
	}
	for _, f := range facts {
		s.apply(f, changed)
		h := hash(f.Ref)
		others := s.parking.under[h]
		delete(s.parking.under, h)
		for _, other := range others {
			s.fetch(other, changed)
		}
	}
}

func hash(r timeline.Ref) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, r.String())
	return h.Sum64()
}
