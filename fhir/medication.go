package fhir

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	dtpb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/datatypes_go_proto"

	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// given is what an administration or an order says of the drug.
type given struct {
	drug      string             // a concept, "" for none that is known
	strength  *timeline.Strength // of the contained Medication
	elsewhere string             // "Medication/<id>" of a resource of its own that says which drug it is, "" where there is none
	// resolved: the resource itself says which drug it is, if only that it is another one.
	resolved bool
}

// medication finds what was given: by code, in a contained Medication or its ingredients, or by the words of a reference's display. Otherwise a Medication
// of this site says it, whenever that comes; a reference to anything else is unresolved for good.
func (d *Decoder) medication(h *head, r *resolver) given {
	var code codeable
	if raw := h.doc.get("medicationCodeableConcept"); raw != nil {
		parse(raw, &code)
		return given{drug: d.concepts.drug(&code), resolved: true}
	}
	var ref reference
	if !parse(h.doc.get("medicationReference"), &ref) {
		return given{resolved: true} // neither: the validator will say so, if anything else makes the resource relevant
	}
	code.Text = ref.Display
	g := given{drug: d.concepts.drug(&code), resolved: strings.TrimSpace(ref.Display) != ""}
	if id, ok := strings.CutPrefix(ref.Reference, "#"); ok {
		if m := r.contained(id); m != nil {
			g.resolved = true
			if p := d.product(m); p != nil && (p.Drug != "" || p.Other) {
				g.drug, g.strength = p.Drug, p.Strength
			}
		}
		return g
	}
	// A display that names another drug is an answer, as the text of a CodeableConcept is: a hospital's other drugs wait for nothing.
	if g.resolved && g.drug == "" {
		return g
	}
	if lit := r.literal(ref.Reference); strings.HasPrefix(lit, "Medication/") && validID(lit[len("Medication/"):]) {
		g.elsewhere, g.resolved = lit, true
	}
	return g
}

// product reads a Medication: its own code, else its ingredients'. nil is one that names nothing at all.
func (d *Decoder) product(m *document) *timeline.Product {
	var code codeable
	parse(m.get("code"), &code)
	var ingredients []ingredient
	parse(m.get("ingredient"), &ingredients)
	p := &timeline.Product{Drug: d.concepts.drug(&code)}
	names, plain := code.named(d.concepts)
	fluid := len(ingredients) > 0
	var of *ingredient // that is the drug
	for i := range ingredients {
		g := &ingredients[i]
		if g.Reference.Display != "" && g.Item.Text == "" {
			g.Item.Text = g.Reference.Display
		}
		n, pl := g.Item.named(d.concepts)
		names, plain = names || n, plain || pl
		name := d.concepts.drug(&g.Item)
		fluid = fluid && name == timeline.Crystalloid
		if name == "" || name == timeline.Crystalloid || p.Drug != "" && name != p.Drug {
			continue
		}
		if of != nil { // one drug twice: which strength is meant is not guessed
			of = &ingredient{}
			continue
		}
		p.Drug, of = name, g
	}
	if p.Drug == "" && fluid { // and nothing else: beside a drug it is what the drug is dissolved in
		p.Drug = timeline.Crystalloid
	}
	if !names {
		return nil
	}
	if of == nil && len(ingredients) == 1 {
		of = &ingredients[0]
	}
	if of != nil && p.Drug != "" {
		var amount ratio
		parse(m.get("amount"), &amount)
		p.Strength = strength(&of.Strength, &amount)
	}
	if p.Drug = d.read(p.Drug); p.Drug == "" {
		p.Strength, p.Other = nil, plain
	}
	return p
}

// ingredient is one of a Medication's.
type ingredient struct {
	Item      codeable  `json:"itemCodeableConcept"`
	Reference reference `json:"itemReference"`
	Strength  ratio     `json:"strength"`
}

// named reports whether a concept says anything, and whether it says it so that not knowing it means that it is something else: in words, or by a code of
// a system in which the drugs are known.
func (k *codeable) named(c *concepts) (names, plain bool) {
	plain = k.Text != ""
	for _, code := range k.Coding {
		names = names || code.Code != ""
		plain = plain || code.Display != "" || code.Code != "" && c.systems[code.System]
	}
	return names || plain, plain
}

// ratio is a FHIR Ratio.
type ratio struct {
	Numerator   quantity `json:"numerator"`
	Denominator quantity `json:"denominator"`
}

// quantity is a FHIR Quantity, its number as it was written.
type quantity struct {
	Value      jsontext.Value `json:"value"`
	Comparator string         `json:"comparator"`
	Unit       string         `json:"unit"`
	Code       string         `json:"code"`
}

// dose reads a quantity in a unit of dose, one that is exact and greater than zero.
func (q *quantity) dose() (n timeline.Quantity, dimension string, ok bool) {
	v, err := decimal.Parse(string(q.Value))
	if err != nil || q.Comparator != "" || v.Sign() <= 0 {
		return n, "", false
	}
	u, dimension, sent, p := doseUnit(q.Code, q.Unit)
	if p != nil || strings.Contains(dimension, "/") {
		return n, "", false
	}
	if v, err = u.Canonical(v); err != nil {
		return n, "", false
	}
	return timeline.Quantity{Value: v, Text: digits(string(q.Value)), Unit: safeUnit(sent)}, dimension, true
}

// strength reads how much drug a quantity of the product holds. A strength by the package ("22 MIU in 1 vial") is one by volume where amount says what the
// same package holds ("1.2 mL in 1 vial"). nil is none that can be read.
func strength(s, amount *ratio) *timeline.Strength {
	var out timeline.Strength
	var ok bool
	if out.Amount, out.Dimension, ok = s.Numerator.dose(); !ok {
		return nil
	}
	if out.Per, out.PerDimension, ok = s.Denominator.dose(); ok {
		return &out
	}
	if out.Per, out.PerDimension, ok = amount.Numerator.dose(); !ok || out.PerDimension != "mL" || !s.Denominator.same(&amount.Denominator) {
		return nil
	}
	return &out
}

// same reports two quantities of one number and one unit, whatever that unit is.
func (q *quantity) same(o *quantity) bool {
	a, err1 := decimal.Parse(string(q.Value))
	b, err2 := decimal.Parse(string(o.Value))
	return err1 == nil && err2 == nil && a.Cmp(b) == 0 && a.Sign() > 0 && q.Comparator == "" && o.Comparator == "" && q.Code == o.Code &&
		strings.EqualFold(strings.TrimSpace(q.Unit), strings.TrimSpace(o.Unit))
}

// medicationProduct turns a Medication into a fact. Of another drug nothing more is kept than that it is one: an administration that refers to it must not
// wait for it.
func (d *Decoder) medicationProduct(h *head, f *timeline.Fact) *problem {
	f.Product = d.product(h.doc)
	if f.Product == nil {
		return refuse(ReasonMedicationUnresolved, "the Medication has neither a code nor an ingredient that names anything")
	}
	if f.Product.Drug == "" {
		return nil
	}
	_, p := d.parseProjection(h)
	return p
}

// administration turns a MedicationAdministration into a fact.
func (d *Decoder) administration(h *head, g given, f *timeline.Fact) *problem {
	var p *problem
	if f.At, f.End, p = h.span("effective", d.cfg.Zone); p != nil {
		return p
	}
	resource, p := d.parseProjection(h)
	if p != nil {
		return p
	}
	m := resource.GetMedicationAdministration()
	if g.drug == timeline.TIL && g.elsewhere == "" { // else package site says so, when it knows the Medication
		f.Procedure = &timeline.Procedure{Kind: timeline.TIL, Status: h.status}
		return nil
	}
	dose := &timeline.Dose{Drug: g.drug, Status: h.status, Medication: g.elsewhere, Strength: g.strength}
	for _, reason := range m.GetStatusReason() {
		for _, c := range reason.GetCoding() {
			if code := c.GetCode().GetValue(); code != "" {
				dose.Reasons = append(dose.Reasons, c.GetSystem().GetValue()+"|"+code)
			}
		}
	}
	var given []codeable
	parse(h.doc.get("reasonCode"), &given)
	for i := range given {
		if name := given[i].byWord(d.concepts.indications); name != "" && !slices.Contains(dose.For, name) {
			dose.For = append(dose.For, name)
		}
	}
	if h.status == "unknown" {
		dose.Problem = &timeline.Problem{Reason: timeline.ProblemStatusUnknown}
	}
	if dosage := m.GetDosage(); dosage != nil {
		route := concept(dosage.GetRoute())
		names, _ := route.named(d.concepts)
		dose.Route = d.concepts.route(route)
		dose.RouteUnknown = names && dose.Route == ""
		dose.Amount, dose.Dimension, dose.AmountProblem = amount(dosage.GetDose())
		if dosage.GetDose() == nil && dosage.GetRate() != nil {
			dose.AmountProblem = &timeline.Problem{Reason: timeline.ProblemValueAbsent, Detail: timeline.DetailRateOnly}
		}
	}
	f.Dose = dose
	return nil
}

// amount reads a dose; nil where none was sent, or with a problem where it has no number, its unit is not known, it is below zero or it cannot be kept exactly.
func amount(q *dtpb.SimpleQuantity) (*timeline.Quantity, string, *timeline.Problem) {
	if q == nil {
		return nil, "", nil
	}
	text := q.GetValue().GetValue()
	if text == "" {
		return nil, "", &timeline.Problem{Reason: timeline.ProblemValueAbsent}
	}
	n, err := decimal.Parse(text)
	if err != nil {
		return nil, "", &timeline.Problem{Reason: timeline.ProblemValueRange}
	}
	u, dimension, sent, p := doseUnit(q.GetCode().GetValue(), q.GetUnit().GetValue())
	if p != nil {
		return nil, "", p
	}
	if n.Sign() < 0 {
		return nil, "", &timeline.Problem{Reason: timeline.ProblemImplausible}
	}
	if n, err = u.Canonical(n); err != nil {
		return nil, "", &timeline.Problem{Reason: timeline.ProblemValueRange}
	}
	return &timeline.Quantity{Value: n, Text: digits(text), Unit: safeUnit(sent)}, dimension, nil
}

// concept turns a parsed CodeableConcept into ours.
func concept(k *dtpb.CodeableConcept) *codeable {
	var c codeable
	c.Text = k.GetText().GetValue()
	for _, from := range k.GetCoding() {
		c.Coding = append(c.Coding, code{from.GetSystem().GetValue(), from.GetCode().GetValue(), from.GetDisplay().GetValue()})
	}
	return &c
}

// procedure turns a Procedure that a protocol names into a fact.
func (d *Decoder) procedure(h *head, kind string, f *timeline.Fact) *problem {
	var p *problem
	if f.At, f.End, p = h.span("performed", d.cfg.Zone); p != nil {
		return p
	}
	if _, p = d.parseProjection(h); p != nil {
		return p
	}
	f.Procedure = &timeline.Procedure{Kind: kind, Status: h.status}
	return nil
}

// orders are the intents of a MedicationRequest by which something is to be given.
var orders = []string{"order", "original-order", "reflex-order", "filler-order", "instance-order"}

// order turns a MedicationRequest into a fact. R4 has no time at which one was stopped: that is when it was last updated.
func (d *Decoder) order(h *head, g given, f *timeline.Fact) *problem {
	if _, p := d.parseProjection(h); p != nil {
		return p
	}
	f.At.Start = f.Version.LastUpdated
	f.Order = &timeline.Order{Drug: g.drug, Status: h.status, Medication: g.elsewhere}
	return nil
}
