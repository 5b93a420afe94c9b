package fhir_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/trialwatch/trialwatch/fhir"
	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// chicago is the site of all tests: a zone with an offset shows where a date or an instant was read in the wrong one.
var chicago, _ = time.LoadLocation("America/Chicago")

const ownBase = "https://ehr.example.org/fhir"

func newDecoder(t testing.TB) *fhir.Decoder {
	t.Helper()
	d, err := fhir.New(fhir.Config{Zone: chicago, BaseURLs: []string{ownBase}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// lab is an Observation with one LOINC code and the JSON of its value.
func lab(loinc, value string) string {
	return fmt.Sprintf(`{"resourceType":"Observation","id":"o1","meta":{"versionId":"1","lastUpdated":"2026-02-20T12:05:00Z"},"status":"final",`+
		`"code":{"coding":[{"system":"http://loinc.org","code":%q}]},"subject":{"reference":"Patient/p1"},"effectiveDateTime":"2026-02-20T06:00:00-06:00"%s}`, loinc, value)
}

// quantity is the JSON of a valueQuantity with a unit in words, in code, or both.
func quantity(value, unit, code string) string {
	var b strings.Builder
	b.WriteString(`,"valueQuantity":{"value":` + value)
	if unit != "" {
		text, err := json.Marshal(unit)
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(&b, `,"unit":%s`, text)
	}
	if code != "" {
		fmt.Fprintf(&b, `,"system":"http://unitsofmeasure.org","code":%q`, code)
	}
	b.WriteString("}")
	return b.String()
}

// one decodes a message that is a bare resource.
func one(t testing.TB, d *fhir.Decoder, data string) fhir.Outcome {
	t.Helper()
	out := d.Decode(fhir.Message{Data: []byte(data), Site: "main"})
	if len(out) != 1 {
		t.Fatalf("got %d outcomes, want 1: %+v", len(out), out)
	}
	return out[0]
}

// resultOf is the only result of an accepted Observation.
func resultOf(t testing.TB, data string) timeline.Result {
	t.Helper()
	o := one(t, newDecoder(t), data)
	if o.Kind != fhir.Accepted || o.Fact == nil || len(o.Fact.Results) != 1 {
		t.Fatalf("got %s %s %q with fact %+v, want accepted with one result", o.Kind, o.Reason, o.Detail, o.Fact)
	}
	return o.Fact.Results[0]
}

const (
	anc        = "751-8"
	leukocytes = "6690-2"
	percent    = "770-8"
	temp       = "8310-5"
	creatMass  = "2160-0"
	creatMolar = "14682-9"
)

// Every spelling of a unit that the tables know gives exactly the value that the canonical unit gives: a threshold must not depend on the
// laboratory's spelling.
func TestUnitsAreReadExactly(t *testing.T) {
	for _, tt := range []struct {
		loinc, value, unit, code string
		want                     string // canonical
	}{
		// Counts, canonical 10*9/L. The first five are the feeds of scenario S09.
		{anc, "0.45", "", "10*3/uL", "0.45"},
		{anc, "450", "", "/uL", "0.45"},
		{anc, "450", "cells/uL", "", "0.45"},
		{anc, "0.45", "K/uL", "", "0.45"},
		{anc, "0.45", "", "10*9/L", "0.45"},
		{anc, "450", "", "{cells}/uL", "0.45"},
		{anc, "450", "/uL", "/uL{cells}", "0.45"},
		{anc, "450", "cells/mm3", "", "0.45"},
		{anc, "450", "cells/mcL", "", "0.45"},
		{anc, "450", "cells/µL", "", "0.45"}, // U+00B5, the micro sign
		{anc, "450", "cells/μL", "", "0.45"}, // U+03BC, the Greek letter
		{anc, "450", "/mm³", "", "0.45"},
		{anc, "450", "/cumm", "", "0.45"},
		{anc, "450", "10^6/L", "10*6/L", "0.45"},
		{anc, "450", "", "10*6/L", "0.45"},
		{anc, "450", "", "10*3/mL", "0.45"},
		{anc, "0.45", "G/L", "", "0.45"}, // giga per litre of cells, gram per litre of nothing counted here
		{anc, "0.45", "Gpt/L", "", "0.45"},
		{anc, "0.45", "/nL", "/nL", "0.45"},
		{anc, "0.45", "x10*9/L", "", "0.45"},
		{anc, "0.45", "x10^9/L", "", "0.45"},
		{anc, "0.45", "x 10^9/L", "", "0.45"},
		{anc, "0.45", "X10E9/L", "", "0.45"},
		{anc, "0.45", "×10⁹/L", "", "0.45"},
		{anc, "0.45", "10⁹/L", "", "0.45"},
		{anc, "450", "×10⁶/L", "", "0.45"},
		{anc, "0.45", "x10e3/uL", "", "0.45"},
		{anc, "0.45", "10e3/uL", "", "0.45"},
		{anc, "0.45", "x10³/µL", "", "0.45"},
		{anc, "0.45", "10^3/mcL", "", "0.45"},
		{anc, "0.45", "10*3/mm3", "", "0.45"},
		{anc, "0.45", "K/mm3", "", "0.45"},
		{anc, "0.45", "k/cumm", "", "0.45"},
		{anc, "0.45", "Thousand/uL", "", "0.45"},
		{anc, "0.45", " thou / mm3 ", "", "0.45"},
		{anc, "0.450", "K/uL", "10*3/uL", "0.45"}, // trailing zeros are digits sent, not another value
		{anc, "4.5E-1", "K/uL", "10*3/uL", "0.45"},
		{anc, "0.45", "some words of the laboratory", "10*3/uL", "0.45"}, // the code goes first
		{anc, "0.45", "K/uL", "1234", "0.45"},                            // a code that is none: the words are believed
		{anc, "0", "K/uL", "", "0"},
		{leukocytes, "0.2", "K/uL", "", "0.2"},
		{percent, "45", "%", "%", "45"},
		{percent, "45", "% of leukocytes", "%", "45"},

		// Temperature, canonical Cel. 101.0 [degF] has no finite decimal in Cel, 100.4 is 38.0 to the last digit.
		{temp, "38.3", "", "Cel", "38.3"},
		{temp, "38.3", "degC", "", "38.3"},
		{temp, "38.3", "°C", "", "38.3"},
		{temp, "38.3", "C", "", "38.3"},
		{temp, "38.3", "Celsius", "", "38.3"},
		{temp, "100.4", "", "[degF]", "38"},
		{temp, "100.4", "degF", "", "38"},
		{temp, "100.4", "°F", "", "38"},
		{temp, "100.4", "F", "", "38"},
		{temp, "100.4", "deg F", "", "38"},
		{temp, "100.9", "", "[degF]", "689/18"}, // 38.277…: not above 38.3
		{temp, "101.0", "", "[degF]", "115/3"},  // 38.333…: above 38.3
		{temp, "100.3", "", "[degF]", "683/18"}, // 37.944…: below 38.0

		// Creatinine: mass and molar are never converted into each other; the unit says which is meant.
		{creatMass, "1.6", "mg/dL", "mg/dL", "1.6"},
		{creatMolar, "141", "µmol/L", "umol/L", "141"},
		{creatMolar, "141", "mcmol/L", "", "141"},
		{creatMolar, "0.141", "mmol/L", "mmol/L", "141"},
		{creatMass, "141", "umol/L", "umol/L", "141"}, // laboratories send 2160-0 with molar values
		{creatMolar, "1.6", "mg/dL", "mg/dL", "1.6"},
	} {
		r := resultOf(t, lab(tt.loinc, quantity(tt.value, tt.unit, tt.code)))
		name := fmt.Sprintf("%s %s %q|%q", tt.loinc, tt.value, tt.unit, tt.code)
		if r.Problem != nil {
			t.Errorf("%s: got problem %+v, want %s", name, *r.Problem, tt.want)
			continue
		}
		want := decimal.New(0, 1)
		if err := want.UnmarshalText([]byte(tt.want)); err != nil {
			t.Fatal(err)
		}
		if r.Value.Value.Cmp(want) != 0 {
			t.Errorf("%s: got %s, want %s", name, r.Value.Value, want)
		}
		if r.Value.Text != tt.value {
			t.Errorf("%s: got text %q, want the digits as sent", name, r.Value.Text)
		}
	}
}

// 38.0 and 38.3 Cel are the limits of febrile neutropenia: readings in Fahrenheit must fall on the right side of them, exactly.
func TestFahrenheitAtTheLimits(t *testing.T) {
	for _, tt := range []struct {
		fahrenheit     string
		cmp380, cmp383 int
	}{
		{"100.3", -1, -1},
		{"100.4", 0, -1}, // exactly 38.0: a sustained fever starts at "≥ 38.0"
		{"100.5", 1, -1},
		{"100.9", 1, -1}, // rounds to 38.3, is less
		{"100.94", 1, 0}, // exactly 38.3: a single fever is "> 38.3"
		{"100.95", 1, 1},
		{"101.0", 1, 1},
	} {
		v := resultOf(t, lab(temp, quantity(tt.fahrenheit, "degF", "[degF]"))).Value.Value
		if got := v.Cmp(decimal.Must("38.0")); got != tt.cmp380 {
			t.Errorf("%s [degF] against 38.0 Cel: got %d, want %d", tt.fahrenheit, got, tt.cmp380)
		}
		if got := v.Cmp(decimal.Must("38.3")); got != tt.cmp383 {
			t.Errorf("%s [degF] against 38.3 Cel: got %d, want %d", tt.fahrenheit, got, tt.cmp383)
		}
	}
}

// The unit decides whether creatinine is a mass or molar concentration, whatever the LOINC code says.
func TestCreatinineFollowsItsUnit(t *testing.T) {
	for _, tt := range []struct{ loinc, unit, want string }{
		{creatMass, "mg/dL", timeline.CreatinineMass},
		{creatMass, "umol/L", timeline.CreatinineMolar},
		{creatMolar, "umol/L", timeline.CreatinineMolar},
		{creatMolar, "mg/dL", timeline.CreatinineMass},
	} {
		value := "1.6"
		if tt.unit == "umol/L" {
			value = "141"
		}
		if got := resultOf(t, lab(tt.loinc, quantity(value, "", tt.unit))).Analyte; got != tt.want {
			t.Errorf("%s in %s: got %s, want %s", tt.loinc, tt.unit, got, tt.want)
		}
	}
}

// A value that cannot be used keeps its place on the timeline, with the reason, and is never guessed.
func TestUnusableValuesSayWhy(t *testing.T) {
	for _, tt := range []struct{ loinc, value, unit, code, want string }{
		{anc, "0.45", "", "", timeline.ProblemUnitMissing},
		{anc, "0.45", "mg/dL", "mg/dL", timeline.ProblemUnitMissing},
		{anc, "0.45", "10*12/L", "", timeline.ProblemUnitMissing},
		{anc, "0.45", "%", "%", timeline.ProblemUnitMissing},         // a percentage is never a count
		{anc, "0.45", "/uL", "10*3/uL", timeline.ProblemUnitMissing}, // known and a thousandfold apart: neither is believed
		{temp, "38.5", "", "", timeline.ProblemUnitMissing},
		{temp, "311", "", "K", timeline.ProblemUnitMissing}, // kelvin
		{temp, "38.5", "°F", "Cel", timeline.ProblemUnitMissing},
		{percent, "45", "", "", timeline.ProblemUnitMissing},
		{percent, "0.45", "K/uL", "", timeline.ProblemUnitMissing},
		{creatMass, "1.6", "g/L", "g/L", timeline.ProblemUnitMissing},

		{anc, "450", "", "10*3/uL", timeline.ProblemImplausible}, // S09: more than 100
		{anc, "100.1", "", "10*3/uL", timeline.ProblemImplausible},
		{anc, "-0.1", "", "10*3/uL", timeline.ProblemImplausible},
		{leukocytes, "500.1", "", "10*3/uL", timeline.ProblemImplausible},
		{percent, "100.1", "", "%", timeline.ProblemImplausible},
		{temp, "24.9", "", "Cel", timeline.ProblemImplausible},
		{temp, "45.1", "", "Cel", timeline.ProblemImplausible},
		{temp, "101.0", "", "Cel", timeline.ProblemImplausible}, // Fahrenheit labelled Cel
		{temp, "38.5", "", "[degF]", timeline.ProblemImplausible},
		{creatMass, "0.04", "", "mg/dL", timeline.ProblemImplausible},
		{creatMass, "30.1", "", "mg/dL", timeline.ProblemImplausible},
		{creatMolar, "3.9", "", "umol/L", timeline.ProblemImplausible},
		{creatMolar, "2650.1", "", "umol/L", timeline.ProblemImplausible},

		{anc, "0.123456789012345678901234567890", "", "10*3/uL", timeline.ProblemValueRange},
	} {
		name := fmt.Sprintf("%s %s %q|%q", tt.loinc, tt.value, tt.unit, tt.code)
		r := resultOf(t, lab(tt.loinc, quantity(tt.value, tt.unit, tt.code)))
		if r.Problem == nil {
			t.Errorf("%s: got %s, want problem %s", name, r.Value.Value, tt.want)
		} else if r.Problem.Reason != tt.want {
			t.Errorf("%s: got problem %+v, want %s", name, *r.Problem, tt.want)
		}
	}
}

// The limits of plausibility themselves are believed.
func TestPlausibleRangesAreClosed(t *testing.T) {
	for _, tt := range []struct{ loinc, low, top, code string }{
		{anc, "0", "100", "10*3/uL"},
		{leukocytes, "0", "500", "10*3/uL"},
		{percent, "0", "100", "%"},
		{temp, "25", "45", "Cel"},
		{temp, "77", "113", "[degF]"},
		{creatMass, "0.05", "30", "mg/dL"},
		{creatMolar, "4", "2650", "umol/L"},
	} {
		for _, v := range []string{tt.low, tt.top} {
			if r := resultOf(t, lab(tt.loinc, quantity(v, "", tt.code))); r.Problem != nil {
				t.Errorf("%s %s %s: got problem %+v, want none", tt.loinc, v, tt.code, *r.Problem)
			}
		}
	}
}

// What a fact shows of a value stays short and printable, however it was sent: it goes into alerts and terminals.
func TestShownValuesAreShort(t *testing.T) {
	for _, tt := range []struct{ value, unit, wantText, wantUnit string }{
		{"0.45", "10*3/µL", "0.45", "10*3/µL"},
		{"0.45", "K/uL\n", "0.45", `"K/uL?"`},
		{"0.45", "K/uL\u202e", "0.45", `"K/uL???"`}, // turns the direction of what follows
		{"0.45", strings.Repeat("x", 1000), "0.45", strings.Repeat("x", 40)},
		{"0.45", strings.Repeat("µ", 1000), "0.45", strings.Repeat("µ", 20)},
		{"0.45", "x" + strings.Repeat("µ", 1000), "0.45", `"x` + strings.Repeat("?", 39) + `"`},
		{"0.45" + strings.Repeat("0", 1000), "K/uL", "0.45" + strings.Repeat("0", 60) + "…", "K/uL"},
	} {
		v := resultOf(t, lab(anc, quantity(tt.value, tt.unit, ""))).Value
		if v.Text != tt.wantText || v.Unit != tt.wantUnit {
			t.Errorf("%.20s %.20q: got %q %q, want %q %q", tt.value, tt.unit, v.Text, v.Unit, tt.wantText, tt.wantUnit)
		}
	}
}
