package fhir

import (
	"strings"

	dtpb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/datatypes_go_proto"

	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// medication finds what was given: by code, in a contained Medication or its ingredients, or by the words of a reference's display. resolved is
// false for a reference that leads out of the resource and says no word of what it leads to.
func (d *Decoder) medication(h *head, r *resolver) (name string, resolved bool) {
	var code codeable
	if raw := h.doc.get("medicationCodeableConcept"); raw != nil {
		parse(raw, &code)
		return d.concepts.drug(&code), true
	}
	var ref reference
	if !parse(h.doc.get("medicationReference"), &ref) {
		return "", true // neither: the validator will say so, if anything else makes the resource relevant
	}
	if id, ok := strings.CutPrefix(ref.Reference, "#"); ok {
		if m := r.contained(id); m != nil {
			if name := d.containedDrug(m); name != "" {
				return name, true
			}
			code.Text = ref.Display
			return d.concepts.drug(&code), true
		}
	}
	code.Text = ref.Display
	// A display that names another drug is an answer, as the text of a CodeableConcept is. Only where there is none, nobody can tell.
	return d.concepts.drug(&code), strings.TrimSpace(ref.Display) != ""
}

// containedDrug finds the drug of a contained Medication: its own code, else its ingredients'.
func (d *Decoder) containedDrug(m *document) string {
	var code codeable
	parse(m.get("code"), &code)
	if name := d.concepts.drug(&code); name != "" {
		return name
	}
	var ingredients []struct {
		Item codeable `json:"itemCodeableConcept"`
	}
	parse(m.get("ingredient"), &ingredients)
	fluid := len(ingredients) > 0
	for i := range ingredients {
		switch name := d.concepts.drug(&ingredients[i].Item); name {
		case timeline.Crystalloid:
		case "":
			fluid = false
		default:
			return name
		}
	}
	if fluid { // and nothing else: beside a drug it is what the drug is dissolved in
		return timeline.Crystalloid
	}
	return ""
}

// administration turns a MedicationAdministration into a fact.
func (d *Decoder) administration(h *head, drug string, f *timeline.Fact) *problem {
	var p *problem
	if f.At, f.End, p = h.span("effective", d.cfg.Zone); p != nil {
		return p
	}
	resource, p := d.parseProjection(h)
	if p != nil {
		return p
	}
	m := resource.GetMedicationAdministration()
	if drug == timeline.TIL {
		f.Procedure = &timeline.Procedure{Kind: timeline.TIL, Status: h.status}
		return nil
	}
	dose := &timeline.Dose{Drug: drug, Status: h.status}
	for _, reason := range m.GetStatusReason() {
		for _, c := range reason.GetCoding() {
			if code := c.GetCode().GetValue(); code != "" {
				dose.Reasons = append(dose.Reasons, c.GetSystem().GetValue()+"|"+code)
			}
		}
	}
	if h.status == "unknown" {
		dose.Problem = &timeline.Problem{Reason: timeline.ProblemStatusUnknown}
	}
	if dosage := m.GetDosage(); dosage != nil {
		dose.Route = d.concepts.route(concept(dosage.GetRoute()))
		dose.Amount, dose.Dimension, dose.AmountProblem = amount(dosage.GetDose())
	}
	f.Dose = dose
	return nil
}

// amount reads a dose; nil where none was sent, or with a problem where its unit is not known or it cannot be kept exactly.
func amount(q *dtpb.SimpleQuantity) (*timeline.Quantity, string, *timeline.Problem) {
	text := q.GetValue().GetValue()
	if text == "" {
		return nil, "", nil
	}
	n, err := decimal.Parse(text)
	if err != nil {
		return nil, "", &timeline.Problem{Reason: timeline.ProblemValueRange}
	}
	u, dimension, sent, p := doseUnit(q.GetCode().GetValue(), q.GetUnit().GetValue())
	if p != nil {
		return nil, "", p
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
