package fhir

import (
	"regexp"
	"strings"

	dtpb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/datatypes_go_proto"
	obspb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/resources/observation_go_proto"

	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/unit"
)

// limits reads the limits of normal in the canonical unit of the family; u is the unit of the value. One range of normal is the patient's, whomever it
// says that it applies to: the laboratory chose it for this result. Of several, those that apply to everybody go first, and what remains must agree:
// which is meant is not guessed, and one that cannot be read agrees with none.
func limits(fam *unit.Family, u unit.Unit, ranges []*obspb.Observation_ReferenceRange) (low, high *decimal.Number) {
	var normals, general []*obspb.Observation_ReferenceRange
	for _, r := range ranges {
		if !normal(r.GetType()) || r.GetLow().GetValue() == nil && r.GetHigh().GetValue() == nil && r.GetText().GetValue() == "" {
			continue
		}
		normals = append(normals, r)
		if len(r.GetAppliesTo()) == 0 && r.GetAge() == nil {
			general = append(general, r)
		}
	}
	if len(general) > 0 {
		normals = general
	}
	for i, r := range normals {
		l, h := limitsOf(fam, u, r)
		if i > 0 && !(same(l, low) && same(h, high)) {
			return nil, nil
		}
		low, high = l, h
	}
	return low, high
}

// limitsOf reads one range. Structured limits go before text. A range of which a part cannot be read is no range, nor is one that cannot be true:
// upside down, or beyond what is plausible of the analyte, as 0 to 0 is and as a range of /uL without its unit would be beside a value in 10*3/uL.
func limitsOf(fam *unit.Family, u unit.Unit, r *obspb.Observation_ReferenceRange) (low, high *decimal.Number) {
	ok := false
	if r.GetLow().GetValue() != nil || r.GetHigh().GetValue() != nil {
		var okLow, okHigh bool
		low, okLow = limit(fam, u, r.GetLow())
		high, okHigh = limit(fam, u, r.GetHigh())
		ok = okLow && okHigh
	} else {
		low, high, ok = textLimits(fam, u, r.GetText().GetValue())
	}
	switch {
	case !ok,
		low != nil && (low.Sign() < 0 || fam.Top.Less(*low)),
		high != nil && (high.Sign() <= 0 || high.Less(fam.Low) || fam.Top.Less(*high)),
		low != nil && high != nil && high.Less(*low):
		return nil, nil
	}
	return low, high
}

// limit reads one limit: nil where there is none. One without a unit has the value's; ok is false in a unit that the family does not have.
func limit(fam *unit.Family, u unit.Unit, q *dtpb.SimpleQuantity) (n *decimal.Number, ok bool) {
	if q.GetValue() == nil {
		return nil, true
	}
	if code, words := q.GetCode().GetValue(), q.GetUnit().GetValue(); code != "" || words != "" {
		sent, _, p := lookUnit(fam.Find, code, words)
		if p != nil {
			return nil, false
		}
		u = sent
	}
	return converted(u, q.GetValue().GetValue())
}

func converted(u unit.Unit, text string) (*decimal.Number, bool) {
	n, err := decimal.Parse(text)
	if err != nil {
		return nil, false
	}
	if n, err = u.Canonical(n); err != nil {
		return nil, false
	}
	return &n, true
}

// rangeText is the whole of a range in words: "4.0 - 10.0", "0.2 to 1.2 mg/dL", "<40", "≥ 60 %". A blank stands before the unit, since "4.0-10e3/uL" can
// be read in two ways. What else laboratories write (decimal commas, ranges by sex, remarks) is not understood.
var rangeText = regexp.MustCompile(`^(?:([0-9]+(?:\.[0-9]+)?)(?:[\s\x{a0}]*[-–][\s\x{a0}]*|[\s\x{a0}]+to[\s\x{a0}]+)([0-9]+(?:\.[0-9]+)?)|(<=|>=|[<>≤≥])[\s\x{a0}]*([0-9]+(?:\.[0-9]+)?))(?:[\s\x{a0}]+(\S.*)|(%))?$`)

// textLimits reads a range in words.
func textLimits(fam *unit.Family, u unit.Unit, text string) (low, high *decimal.Number, ok bool) {
	if text = strings.TrimSpace(text); len(text) > 64 {
		return nil, nil, false
	}
	m := rangeText.FindStringSubmatch(text)
	if m == nil {
		return nil, nil, false
	}
	if words := m[5] + m[6]; words != "" {
		if u, ok = fam.Find(words); !ok {
			return nil, nil, false
		}
	}
	if m[3] == "" {
		var okHigh bool
		low, ok = converted(u, m[1])
		high, okHigh = converted(u, m[2])
		return low, high, ok && okHigh
	}
	n, ok := converted(u, m[4])
	if strings.ContainsAny(m[3], "<≤") {
		return nil, n, ok
	}
	return n, nil, ok
}

func same(a, b *decimal.Number) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Cmp(*b) == 0
}

// normal reports whether a range is one of normal, which it is where it does not say what it is. A type in other words may be anything.
func normal(k *dtpb.CodeableConcept) bool {
	for _, c := range k.GetCoding() {
		if c.GetCode().GetValue() == "normal" {
			return true
		}
	}
	if len(k.GetCoding()) > 0 {
		return false
	}
	switch strings.ToLower(strings.TrimSpace(k.GetText().GetValue())) {
	case "", "normal", "normal range":
		return true
	}
	return false
}

// flag reads where the laboratory says that a value lies: "H" above normal, "L" below, "N" within, "" where it does not say or contradicts itself.
func flag(interpretation []codeable) string {
	said := ""
	for _, k := range interpretation {
		for _, c := range k.Coding {
			switch c.System {
			case "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", "http://terminology.hl7.org/CodeSystem/v2-0078", "http://hl7.org/fhir/v2/0078":
			default:
				continue
			}
			f := ""
			switch c.Code {
			case "H", "HH", "HU", ">":
				f = "H"
			case "L", "LL", "LU", "<":
				f = "L"
			case "N":
				f = "N"
			default: // of something else than where it lies
				continue
			}
			if said != "" && said != f {
				return ""
			}
			said = f
		}
	}
	return said
}

// codeables are parsed concepts as they are read here: their codes.
func codeables(list []*dtpb.CodeableConcept) []codeable {
	out := make([]codeable, 0, len(list))
	for _, k := range list {
		out = append(out, *concept(k))
	}
	return out
}
