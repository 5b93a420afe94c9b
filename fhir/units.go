package fhir

import (
	"strings"

	"github.com/trialwatch/trialwatch/rules/timeline"
	"github.com/trialwatch/trialwatch/rules/unit"
)

// The units of what is measured stand in rules/unit. Those of doses are a matter of FHIR's dosage alone.

// doseUnits are the dimensions of a dose, without "/kg" or "/m2". "MU" is not here: written small it is a thousandth.
var doseUnits = map[string]map[string]unit.Unit{
	"[iU]": doseTable("[iu] iu unit units u intl_unit", unit.Scaled(1, 1),
		"10*6.[iu] 10*6[iu] 10*6iu miu millioniu millionunits millionunit millioninternationalunits", unit.Scaled(1_000_000, 1),
		"10*3.[iu] 10*3[iu] kiu", unit.Scaled(1000, 1)),
	"mg": doseTable("mg", unit.Scaled(1, 1), "g", unit.Scaled(1000, 1), "ug", unit.Scaled(1, 1000)),
	"mL": doseTable("ml", unit.Scaled(1, 1), "l", unit.Scaled(1000, 1)),
}

// doseTable is a table by normalised spelling.
func doseTable(units ...any) map[string]unit.Unit {
	m := map[string]unit.Unit{}
	for i := 0; i < len(units); i += 2 {
		for spelling := range strings.FieldsSeq(units[i].(string)) {
			m[spelling] = units[i+1].(unit.Unit)
		}
	}
	return m
}

// lookUnit finds the unit of a quantity with find. The UCUM code goes first, the text where there is no code that the table knows; if both are known
// and differ, neither is believed. Where both are missing, find is asked for "".
func lookUnit(find func(spelling string) (unit.Unit, bool), code, text string) (u unit.Unit, sent string, p *timeline.Problem) {
	if code == "" && text == "" {
		if u, ok := find(""); ok {
			return u, "", nil
		}
		return u, "", &timeline.Problem{Reason: timeline.ProblemUnitMissing, Detail: timeline.DetailNoUnit}
	}
	var byText unit.Unit
	var okCode, okText bool
	if code != "" {
		u, okCode = find(code)
	}
	if text != "" {
		byText, okText = find(text)
	}
	switch {
	case okCode && okText && u != byText:
		return u, text, &timeline.Problem{Reason: timeline.ProblemUnitMissing, Detail: "code " + quote(code) + " and unit " + quote(text) + " differ"}
	case okCode && text == "":
		return u, code, nil
	case okCode:
		return u, text, nil
	case okText:
		return byText, text, nil
	case text == "":
		text = code
	}
	return u, text, &timeline.Problem{Reason: timeline.ProblemUnitMissing, Detail: "unit " + quote(text)}
}

// doseUnit finds the unit of a dose and its dimension.
func doseUnit(code, text string) (u unit.Unit, dimension, sent string, p *timeline.Problem) {
	for _, suffix := range []string{"", "/kg", "/m2"} {
		c, okC := strings.CutSuffix(unit.Spelling(code), suffix)
		t, okT := strings.CutSuffix(unit.Spelling(text), suffix)
		if !okC {
			c = ""
		}
		if !okT {
			t = ""
		}
		for _, dim := range []string{"[iU]", "mg", "mL"} {
			find := func(s string) (unit.Unit, bool) { u, ok := doseUnits[dim][s]; return u, ok }
			if u, _, p := lookUnit(find, c, t); p == nil {
				if text == "" {
					text = code
				}
				return u, dim + suffix, text, nil
			}
		}
	}
	_, sent, p = lookUnit(func(string) (unit.Unit, bool) { return u, false }, code, text)
	return u, "", sent, p
}
