package fhir

import (
	"unicode"

	codespb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/codes_go_proto"
	dtpb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/datatypes_go_proto"
	obspb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/resources/observation_go_proto"

	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// analytes finds what an Observation measures: its own code, and each component's. The slice runs along the components, the first entry is
// the Observation's own.
func (d *Decoder) analytes(h *head) (names []string, any bool) {
	var code codeable
	parse(h.doc.get("code"), &code)
	names = append(names, d.read(d.concepts.analyte(&code)))
	any = names[0] != ""
	if raw := h.doc.get("component"); raw != nil {
		var components []struct {
			Code codeable `json:"code"`
		}
		parse(raw, &components)
		for i := range components {
			n := d.read(d.concepts.analyte(&components[i].Code))
			names = append(names, n)
			any = any || n != ""
		}
	}
	return names, any
}

// read returns a concept if some protocol reads it, else "". Creatinine is one thing in two families of units.
func (d *Decoder) read(concept string) string {
	if concept == "" || d.cfg.Reads == nil || d.cfg.Reads[concept] || sibling[concept] != "" && d.cfg.Reads[sibling[concept]] {
		return concept
	}
	return ""
}

// observation turns an Observation into a fact.
func (d *Decoder) observation(h *head, names []string, f *timeline.Fact) *problem {
	var p *problem
	if f.At, f.End, p = h.span("effective", d.cfg.Zone); p != nil {
		return p
	}
	resource, p := d.parseProjection(h)
	if p != nil {
		return p
	}
	o := resource.GetObservation()
	f.Provisional = h.status == "preliminary"
	specimen := ""
	if raw := h.doc.get("specimen"); raw != nil {
		var ref reference
		parse(raw, &ref)
		if specimen = ref.Reference; specimen == "" && ref.Identifier.Value != "" {
			specimen = ref.Identifier.System + "|" + ref.Identifier.Value
		}
	}
	add := func(name string, r timeline.Result) {
		r.Specimen = specimen
		if r.Analyte == "" {
			r.Analyte = name
		}
		if h.status == "unknown" {
			r.Problem = &timeline.Problem{Reason: timeline.ProblemStatusUnknown}
		}
		f.Results = append(f.Results, r)
	}
	if names[0] != "" && (o.GetValue() != nil || len(o.GetComponent()) == 0) {
		add(names[0], result(names[0], o.GetValue().GetQuantity(), o.GetValue() != nil, o.GetReferenceRange()))
	}
	for i, c := range o.GetComponent() {
		if i+1 < len(names) && names[i+1] != "" {
			add(names[i+1], result(names[i+1], c.GetValue().GetQuantity(), c.GetValue() != nil, c.GetReferenceRange()))
		}
	}
	if len(f.Results) == 0 {
		add(names[0], timeline.Result{Problem: &timeline.Problem{Reason: timeline.ProblemValueAbsent}})
	}
	return nil
}

// result reads one value. Whatever is wrong with it becomes its Problem: the result keeps its place on the timeline and supersedes older versions.
func result(analyte string, q *dtpb.Quantity, has bool, ranges []*obspb.Observation_ReferenceRange) timeline.Result {
	r := timeline.Result{Analyte: analyte}
	switch {
	case q == nil && has:
		r.Problem = &timeline.Problem{Reason: timeline.ProblemValueText, Detail: "not a quantity"}
		return r
	case q.GetValue().GetValue() == "":
		r.Problem = &timeline.Problem{Reason: timeline.ProblemValueAbsent}
		return r
	}
	r.Value = timeline.Quantity{Text: digits(q.GetValue().GetValue()), Comparator: comparator(q.GetComparator().GetValue())}
	number, err := decimal.Parse(q.GetValue().GetValue())
	if err != nil {
		r.Problem = &timeline.Problem{Reason: timeline.ProblemValueRange}
		return r
	}
	fam := families[analyte]
	u, sent, p := lookUnit(fam.units, q.GetCode().GetValue(), q.GetUnit().GetValue())
	if other := sibling[analyte]; p != nil && other != "" {
		if su, ssent, sp := lookUnit(families[other].units, q.GetCode().GetValue(), q.GetUnit().GetValue()); sp == nil {
			fam, u, sent, p = families[other], su, ssent, nil
			r.Analyte = other
		}
	}
	r.Value.Unit = safeUnit(sent)
	if p != nil {
		r.Problem = p
		return r
	}
	if r.Value.Value, err = u.canonical(number); err != nil {
		r.Problem = &timeline.Problem{Reason: timeline.ProblemValueRange}
		return r
	}
	if r.Value.Value.Less(fam.low) || fam.top.Less(r.Value.Value) {
		r.Problem = &timeline.Problem{Reason: timeline.ProblemImplausible, Detail: "outside the plausible range"}
		return r
	}
	r.Low, r.High = limits(fam, u, ranges)
	return r
}

// digits keeps what is shown of a number short: it may be as long as the resource.
func digits(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}

// safeUnit keeps what is shown of a unit short and printable; µ is.
func safeUnit(s string) string {
	if len(s) > 40 {
		s = s[:40]
	}
	for _, c := range s {
		if !unicode.IsPrint(c) || c > 0x2fff {
			return quote(s)
		}
	}
	return s
}

// limits reads the limits of normal: of several ranges the only one that applies to everybody. A range without a unit has the value's; one in a
// unit that is not known, or upside down, is no range.
func limits(fam family, u unit, ranges []*obspb.Observation_ReferenceRange) (low, high *decimal.Number) {
	var chosen *obspb.Observation_ReferenceRange
	for _, r := range ranges {
		if len(r.GetAppliesTo()) > 0 || r.GetAge() != nil || !normal(r.GetType()) {
			continue
		}
		if chosen != nil {
			return nil, nil // two that apply to everybody: which is meant cannot be told
		}
		chosen = r
	}
	if chosen == nil {
		return nil, nil
	}
	read := func(q *dtpb.SimpleQuantity) *decimal.Number {
		n, err := decimal.Parse(q.GetValue().GetValue())
		if err != nil {
			return nil
		}
		unit := u
		if code, text := q.GetCode().GetValue(), q.GetUnit().GetValue(); code != "" || text != "" {
			var p *timeline.Problem
			if unit, _, p = lookUnit(fam.units, code, text); p != nil {
				return nil
			}
		}
		if n, err = unit.canonical(n); err != nil {
			return nil
		}
		return &n
	}
	low, high = read(chosen.GetLow()), read(chosen.GetHigh())
	if low != nil && high != nil && high.Less(*low) {
		return nil, nil
	}
	return low, high
}

// normal reports whether a range is the normal one, which it is where it does not say.
func normal(k *dtpb.CodeableConcept) bool {
	if k == nil || len(k.GetCoding()) == 0 {
		return true
	}
	for _, c := range k.GetCoding() {
		if c.GetCode().GetValue() == "normal" {
			return true
		}
	}
	return false
}

func comparator(c codespb.QuantityComparatorCode_Value) string {
	switch c {
	case codespb.QuantityComparatorCode_LESS_THAN:
		return "<"
	case codespb.QuantityComparatorCode_LESS_THAN_OR_EQUAL_TO:
		return "<="
	case codespb.QuantityComparatorCode_GREATER_THAN_OR_EQUAL_TO:
		return ">="
	case codespb.QuantityComparatorCode_GREATER_THAN:
		return ">"
	}
	return ""
}
