package fhir

import (
	"strings"

	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// A unit means nothing without its analyte: G/L is giga per litre of cells and gram per litre of haemoglobin. So each family of analytes has
// a table of its own, closed: what is not in it is not guessed.

// unit turns a value into the canonical unit of its family: (value + offset) × factor.
type unit struct {
	offset, factor decimal.Number
}

// family is the units of some analytes and the range in which a value is believed.
type family struct {
	units    map[string]unit // by normalised spelling
	low, top decimal.Number  // canonical unit; a value outside is implausible
}

var (
	zero = decimal.Int(0)
	one  = unit{zero, decimal.Int(1)}
)

func scaled(num, den int64) unit { return unit{zero, decimal.New(num, den)} }

func table(units ...any) map[string]unit {
	m := map[string]unit{}
	for i := 0; i < len(units); i += 2 {
		for spelling := range strings.FieldsSeq(units[i].(string)) {
			m[spelling] = units[i+1].(unit)
		}
	}
	return m
}

// Spellings are normalised by [spelling]: lower case, no blanks, no annotations in braces, both micro signs and "mc" as u, ^ as *.
var (
	countUnits = table(
		"10*9/l 10*3/ul 10*3/mm3 10*3/mm*3 k/ul k/mm3 k/cumm k/cmm thou/ul thou/mm3 thou/cumm thousand/ul g/l gpt/l /nl", one, // giga per litre
		"/ul /mm3 /mm*3 /cumm /cmm 10*6/l 10*3/ml", scaled(1, 1000),
	)
	percentUnits     = table("%", one)
	temperatureUnits = table("cel degc °c c celsius", one, "[degf] degf °f f fahrenheit", unit{decimal.Int(-32), decimal.New(5, 9)})
	creatinineMass   = table("mg/dl", one)
	creatinineMolar  = table("umol/l", one, "mmol/l", scaled(1000, 1))
)

// families by analyte. Plausible ranges are wide: they catch a slip of the unit or the keyboard, not a sick patient.
var families = map[string]family{
	timeline.Neutrophils:        {countUnits, zero, decimal.Int(100)},
	timeline.Segs:               {countUnits, zero, decimal.Int(100)},
	timeline.Bands:              {countUnits, zero, decimal.Int(100)},
	timeline.Leukocytes:         {countUnits, zero, decimal.Int(500)},
	timeline.NeutrophilsPercent: {percentUnits, zero, decimal.Int(100)},
	timeline.SegsPercent:        {percentUnits, zero, decimal.Int(100)},
	timeline.BandsPercent:       {percentUnits, zero, decimal.Int(100)},
	timeline.Temperature:        {temperatureUnits, decimal.Int(25), decimal.Int(45)},
	timeline.CreatinineMass:     {creatinineMass, decimal.New(5, 100), decimal.Int(30)},
	timeline.CreatinineMolar:    {creatinineMolar, decimal.Int(4), decimal.Int(2650)},
}

// sibling is the analyte that the same code means in the other family of units: laboratories send 2160-0 with umol/L. The unit is believed.
var sibling = map[string]string{
	timeline.CreatinineMass: timeline.CreatinineMolar, timeline.CreatinineMolar: timeline.CreatinineMass,
}

// doseUnits are the dimensions of a dose, without "/kg" or "/m2". "MU" is not here: written small it is a thousandth.
var doseUnits = map[string]map[string]unit{
	"[iU]": table("[iu] iu unit units u intl_unit", one, "10*6.[iu] 10*6[iu] 10*6iu miu millioniu millionunits millionunit millioninternationalunits", scaled(1_000_000, 1), "10*3.[iu] 10*3[iu] kiu", scaled(1000, 1)),
	"mg":   table("mg", one, "g", scaled(1000, 1), "ug", scaled(1, 1000)),
	"mL":   table("ml", one, "l", scaled(1000, 1)),
}

// spelling normalises a unit for the tables.
func spelling(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	if i := strings.IndexByte(s, '{'); i >= 0 {
		if j := strings.IndexByte(s[i:], '}'); j >= 0 {
			s = s[:i] + s[i+j+1:]
		}
	}
	clean := true
	for i := range len(s) {
		c := s[i]
		clean = clean && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '/' || c == '[' || c == ']' || c == '%' || c == '*' || c == '.')
	}
	if !clean {
		s = unclean.Replace(s)
	}
	s = strings.ReplaceAll(s, "mcl", "ul")
	s = strings.ReplaceAll(s, "mcmol", "umol")
	s = strings.ReplaceAll(s, "mcg", "ug")
	s = strings.TrimPrefix(s, "x10")
	if len(s) > 1 && s[0] == 'e' && s[1] >= '0' && s[1] <= '9' { // x10e3
		s = "*" + s[1:]
	}
	if strings.HasPrefix(s, "*") {
		s = "10" + s
	}
	if rest, ok := strings.CutPrefix(s, "10e"); ok {
		s = "10*" + rest
	}
	if rest, ok := strings.CutPrefix(s, "cells/"); ok {
		s = "/" + rest
	}
	return s
}

// A superscript is an exponent after 10 and a plain digit in mm³.
var unclean = strings.NewReplacer(" ", "", "\u00a0", "", "µ", "u", "μ", "u", "^", "*", "10³", "10*3", "10⁶", "10*6", "10⁹", "10*9", "³", "3", "×", "x")

// lookUnit finds the unit of a quantity. The UCUM code goes first, the text where there is no code that the table knows; if both are known and
// differ, neither is believed.
func lookUnit(units map[string]unit, code, text string) (u unit, sent string, p *timeline.Problem) {
	byCode, okCode := units[spelling(code)]
	byText, okText := units[spelling(text)]
	switch {
	case okCode && okText && byCode != byText:
		return u, text, &timeline.Problem{Reason: timeline.ProblemUnitMissing, Detail: "code " + quote(code) + " and unit " + quote(text) + " differ"}
	case okCode && text == "":
		return byCode, code, nil
	case okCode:
		return byCode, text, nil
	case okText:
		return byText, text, nil
	case code == "" && text == "":
		return u, "", &timeline.Problem{Reason: timeline.ProblemUnitMissing, Detail: timeline.DetailNoUnit}
	case text == "":
		text = code
	}
	return u, text, &timeline.Problem{Reason: timeline.ProblemUnitMissing, Detail: "unit " + quote(text)}
}

// canonical converts a value.
func (u unit) canonical(v decimal.Number) (decimal.Number, error) {
	v, err := v.Add(u.offset)
	if err != nil {
		return v, err
	}
	return v.Mul(u.factor)
}

// doseUnit finds the unit of a dose and its dimension.
func doseUnit(code, text string) (u unit, dimension, sent string, p *timeline.Problem) {
	for _, suffix := range []string{"", "/kg", "/m2"} {
		c, okC := strings.CutSuffix(spelling(code), suffix)
		t, okT := strings.CutSuffix(spelling(text), suffix)
		if !okC {
			c = ""
		}
		if !okT {
			t = ""
		}
		for _, dim := range []string{"[iU]", "mg", "mL"} {
			if u, _, p := lookUnit(doseUnits[dim], c, t); p == nil {
				if text == "" {
					text = code
				}
				return u, dim + suffix, text, nil
			}
		}
	}
	_, sent, p = lookUnit(nil, code, text)
	return u, "", sent, p
}
