package fhir

import (
	"fmt"
	"strconv"
	"unicode"

	codespb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/codes_go_proto"
	dtpb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/datatypes_go_proto"
	obspb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/resources/observation_go_proto"

	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/timeline"
	"github.com/trialwatch/trialwatch/rules/unit"
)

// analytes finds what an Observation measures: its own code, and each component's. The slice runs along the components, the first entry is
// the Observation's own.
func (d *Decoder) analytes(h *head) (list []measurand, any bool) {
	var code codeable
	parse(h.doc.get("code"), &code)
	list = append(list, d.measurand(&code))
	any = list[0].analyte != ""
	if raw := h.doc.get("component"); raw != nil {
		var components []struct {
			Code codeable `json:"code"`
		}
		parse(raw, &components)
		for i := range components {
			m := d.measurand(&components[i].Code)
			list = append(list, m)
			any = any || m.analyte != ""
		}
	}
	return list, any
}

// measurand is what a code measures, if some protocol reads it.
func (d *Decoder) measurand(code *codeable) measurand {
	m := d.concepts.analyte(code)
	m.analyte = d.read(m.analyte)
	return m
}

// read returns a concept if some protocol reads it, else "". Siblings are one quantity, and the unit is yet to say which of them is meant.
func (d *Decoder) read(concept string) string {
	if concept == "" || d.cfg.Reads == nil || d.cfg.Reads[concept] {
		return concept
	}
	if f, ok := unit.Of(concept); ok && f.Sibling != "" && d.cfg.Reads[f.Sibling] {
		return concept
	}
	return ""
}

// observation turns an Observation into a fact.
func (d *Decoder) observation(h *head, list []measurand, f *timeline.Fact) *problem {
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
	add := func(r timeline.Result) {
		r.Specimen = specimen
		if h.status == "unknown" {
			r.Problem, r.Doubt = &timeline.Problem{Reason: timeline.ProblemStatusUnknown}, nil
		}
		f.Results = append(f.Results, r)
	}
	if list[0].analyte != "" && (o.GetValue() != nil || len(o.GetComponent()) == 0) {
		// The flag is read here and not by the parser: it is long, and one that is malformed must not lose the value.
		var said []codeable
		parse(h.doc.get("interpretation"), &said)
		add(d.result(list[0], &reading{o.GetValue().GetQuantity(), o.GetValue().GetInteger(), o.GetValue() != nil, o.GetReferenceRange(), flag(said)}))
	}
	for i, c := range o.GetComponent() {
		if i+1 < len(list) && list[i+1].analyte != "" {
			add(d.result(list[i+1], &reading{c.GetValue().GetQuantity(), c.GetValue().GetInteger(), c.GetValue() != nil, c.GetReferenceRange(), flag(codeables(c.GetInterpretation()))}))
		}
	}
	if len(f.Results) == 0 {
		add(timeline.Result{Analyte: list[0].analyte, Problem: &timeline.Problem{Reason: timeline.ProblemValueAbsent}})
	}
	return nil
}

// reading is one value with what is said of it, of an Observation or of a component.
type reading struct {
	quantity *dtpb.Quantity
	integer  *dtpb.Integer
	has      bool // a value of any kind
	ranges   []*obspb.Observation_ReferenceRange
	flag     string // [timeline.Result.Flag]
}

// result reads one value. Whatever is wrong with it becomes its Problem: the result keeps its place on the timeline and supersedes older versions.
func (d *Decoder) result(m measurand, v *reading) timeline.Result {
	r := timeline.Result{Analyte: m.analyte}
	fam := d.family(m.analyte)
	text, code, words := v.quantity.GetValue().GetValue(), v.quantity.GetCode().GetValue(), v.quantity.GetUnit().GetValue()
	switch {
	case v.integer != nil && fam.Bare: // a score needs no quantity
		text = strconv.Itoa(int(v.integer.GetValue()))
	case v.quantity == nil && v.has:
		r.Problem = &timeline.Problem{Reason: timeline.ProblemValueText, Detail: "not a quantity"}
		return r
	case text == "":
		r.Problem = &timeline.Problem{Reason: timeline.ProblemValueAbsent}
		return r
	}
	r.Value = timeline.Quantity{Text: digits(text), Comparator: comparator(v.quantity.GetComparator().GetValue())}
	number, err := decimal.Parse(text)
	if err != nil {
		r.Problem = &timeline.Problem{Reason: timeline.ProblemValueRange}
		return r
	}
	u, sent, p := lookUnit(fam.Find, code, words)
	if p != nil && fam.Sibling != "" {
		other := d.family(fam.Sibling)
		if su, ssent, sp := lookUnit(other.Find, code, words); sp == nil {
			// The code says one of mass and moles and the unit the other. Laboratories keep a code when they change the unit, so the unit is believed.
			if !m.either {
				r.Doubt = contradiction(m.code, fam, other, code, words)
			}
			fam, u, sent, p = other, su, ssent, nil
			r.Analyte = other.Analyte
		}
	}
	r.Value.Unit = safeUnit(sent)
	if p != nil {
		r.Problem = p
		return r
	}
	if r.Value.Value, err = u.Canonical(number); err != nil {
		r.Problem, r.Doubt = &timeline.Problem{Reason: timeline.ProblemValueRange}, nil
		return r
	}
	if r.Value.Value.Less(fam.Low) || fam.Top.Less(r.Value.Value) {
		r.Problem, r.Doubt = &timeline.Problem{Reason: timeline.ProblemImplausible, Detail: "outside the plausible range"}, nil
		return r
	}
	if r.Low, r.High = limits(fam, u, v.ranges); r.Low == nil && r.High == nil {
		if normal, ok := d.normal[r.Analyte]; ok {
			r.Low, r.High, r.SiteNormal = normal.Low, normal.High, true
		}
	}
	r.Flag = v.flag
	return r
}

// contradiction says that a code names one of two siblings and the unit the other. It shows the table's own spelling of the unit: what was sent may
// carry an annotation.
func contradiction(code string, named, meant *unit.Family, sent ...string) *timeline.Problem {
	if quote(code) != `"`+code+`"` {
		code = quote(code)
	}
	shown := meant.Canonical
	for _, s := range sent {
		for _, known := range meant.Spellings() {
			if s != "" && unit.Spelling(known) == unit.Spelling(s) {
				shown = known
			}
		}
	}
	return &timeline.Problem{
		Reason: timeline.ProblemUnitFamily, Detail: fmt.Sprintf("code %s counts %s, the unit %s %s", code, named.Counts, shown, meant.Counts),
	}
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
