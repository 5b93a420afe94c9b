package site

import (
	"strings"

	"github.com/trialwatch/trialwatch/rules/timeline"
)

// This file joins administrations and orders with the Medications that say which drug it was. A Medication is nobody's: it stands beside the patients, and every
// timeline sees what refers to it as it completes it. Whichever of the two comes first, or is corrected or voided later, the timelines end
// the same.

// use notes that a version of an administration or an order refers to a Medication, and brings that in if it is parked and needed.
func (s *Site) use(r *resource, medication string, changed map[string]bool) {
	if s.uses[medication] == nil {
		s.uses[medication] = map[*resource]bool{}
	}
	s.uses[medication][r] = true
	ref := refOf(medication)
	if s.resources[ref] != nil || s.parking == nil {
		return
	}
	if other, parked := s.parking.products[hash(ref)]; parked && !other {
		s.resources[ref] = &resource{ref: ref}
		s.fetchProduct(ref, changed)
	}
}

// applyProduct takes a version of a Medication in: everything that refers to it is seen anew.
func (s *Site) applyProduct(f *timeline.Fact, changed map[string]bool) {
	r := s.resources[f.Ref]
	if r == nil {
		r = &resource{ref: f.Ref}
		s.resources[f.Ref] = r
		s.fetchProduct(f.Ref, changed)
	}
	before, wasDoubtful := r.Current()
	if !r.Add(f) {
		return
	}
	if after, doubtful := r.Current(); after == before && doubtful == wasDoubtful {
		return
	}
	for u := range s.uses[f.Ref.String()] {
		for _, to := range u.attached {
			tl := s.patient(to).Timeline
			tl.Forget(u.ref)
			for _, v := range u.Versions() {
				tl.Apply(s.asSeenBy(v, to))
			}
			changed[to] = true
		}
	}
}

// joined is an administration or an order as its Medication completes it. What that names goes before the display of the reference, which goes before nothing:
// while the Medication has not come, or was taken back, it waits. One of another drug is nothing that a rule reads.
func (s *Site) joined(f *timeline.Fact) *timeline.Fact {
	medication := f.Medication()
	if medication == "" {
		return f
	}
	g := *f
	if f.Order != nil {
		o := *f.Order
		product, doubtful, other := s.product(medication, &o.Drug)
		if other {
			return asVoid(f)
		}
		o.Product, o.Doubtful = product, doubtful
		g.Order = &o
		return &g
	}
	d := *f.Dose
	product, doubtful, other := s.product(medication, &d.Drug)
	if other {
		return asVoid(f)
	}
	if d.Product, d.Doubtful = product, doubtful; product != nil && product.Product.Drug != "" {
		d.Strength = product.Product.Strength
	}
	if g.Dose = &d; d.Drug == timeline.TIL {
		g.Dose, g.Procedure = nil, &timeline.Procedure{Kind: timeline.TIL, Status: d.Status, Product: d.Product, Doubtful: d.Doubtful}
	}
	return &g
}

// product is the version of a Medication that says which drug it is, nil where it has not come or was taken back, and whether that is in doubt; other says that it
// is a drug which no rule reads. drug, what the display of the reference names, becomes what the Medication names.
func (s *Site) product(medication string, drug *string) (product *timeline.Fact, doubtful, other bool) {
	ref := refOf(medication)
	r := s.resources[ref]
	if r == nil {
		return nil, false, s.parking != nil && s.parking.products[hash(ref)]
	}
	product, doubtful = r.Current()
	if product == nil || product.Product == nil {
		return nil, false, false
	}
	switch p := product.Product; {
	case p.Drug != "":
		*drug = p.Drug
	case p.Other || *drug == "":
		return nil, false, true
	}
	return product, doubtful, false
}

// parkProduct forgets a version of a Medication to which nothing that is held refers, and reports whether it did.
func (s *Site) parkProduct(f *timeline.Fact) bool {
	if s.parking == nil || s.resources[f.Ref] != nil || len(s.uses[f.Ref.String()]) > 0 {
		return false
	}
	h := hash(f.Ref)
	other, parked := s.parking.products[h]
	s.parking.products[h] = f.State == timeline.Usable && f.Product != nil && f.Product.Drug == "" && f.Product.Other && (other || !parked)
	return true
}

// fetchProduct applies the parked versions of a Medication. They stay noted as parked: another Medication may have the same hash.
func (s *Site) fetchProduct(ref timeline.Ref, changed map[string]bool) {
	if s.parking == nil || s.parking.err != nil {
		return
	}
	if _, parked := s.parking.products[hash(ref)]; !parked {
		return
	}
	facts, err := s.parking.load(ref.String())
	if err != nil {
		s.parking.err = err
		return
	}
	for _, f := range facts {
		if f.Ref == ref {
			s.apply(f, changed)
		}
	}
}

// refOf is the resource that "Medication/<id>" names.
func refOf(medication string) timeline.Ref {
	return timeline.RefOf("Medication", strings.TrimPrefix(medication, "Medication/"))
}
