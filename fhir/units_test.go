package fhir_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/trialwatch/trialwatch/fhir"
	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/timeline"
	"github.com/trialwatch/trialwatch/rules/unit"
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

// The unit decides whether a value is a mass or moles, whatever the LOINC code says; that the code says otherwise is a doubt, and no more.
func TestTheUnitDecidesBetweenMassAndMoles(t *testing.T) {
	const shared = "35200-5" // cholesterol as a mass or in moles
	for _, tt := range []struct{ loinc, value, code, want, doubt string }{
		{creatMass, "1.6", "mg/dL", timeline.CreatinineMass, ""},
		{creatMass, "141", "umol/L", timeline.CreatinineMolar, "code 2160-0 counts mass, the unit umol/L moles"},
		{creatMass, "0.141", "mmol/l", timeline.CreatinineMolar, "code 2160-0 counts mass, the unit mmol/L moles"},
		{creatMolar, "141", "umol/L", timeline.CreatinineMolar, ""},
		{creatMolar, "1.6", "mg/dL", timeline.CreatinineMass, "code 14682-9 counts moles, the unit mg/dL mass"},
		{"14879-1", "3.5", "mg/dL", timeline.PhosphateMass, "code 14879-1 counts moles, the unit mg/dL mass"},
		{"2777-1", "1.1", "mmol/L", timeline.PhosphateMolar, "code 2777-1 counts mass, the unit mmol/L moles"},
		{"2777-1", "1.1", "mmol/L{Doe}", timeline.PhosphateMolar, "code 2777-1 counts mass, the unit mmol/L moles"}, // an annotation is free text
		{"718-7", "8.1", "mmol/L", timeline.HemoglobinMolar, "code 718-7 counts mass, the unit mmol/L moles"},
		{"718-7", "13.1", "g/dL", timeline.HemoglobinMass, ""},
		{"17861-6", "4.8", "meq/L", timeline.CalciumMolar, "code 17861-6 counts mass, the unit mEq/L moles"},
		{"1995-0", "4.8", "mg/dL", timeline.CalciumIonizedMass, "code 1995-0 counts moles, the unit mg/dL mass"},
		{"29265-6", "9.8", "mg/dL", timeline.CalciumCorrectedMass, "code 29265-6 counts moles, the unit mg/dL mass"},
		{"19123-9", "0.8", "mmol/L", timeline.MagnesiumMolar, "code 19123-9 counts mass, the unit mmol/L moles"},
		{"2345-7", "5.4", "mmol/L", timeline.GlucoseMolar, "code 2345-7 counts mass, the unit mmol/L moles"},
		{"1558-6", "5.4", "mmol/L", timeline.GlucoseFastingMolar, "code 1558-6 counts mass, the unit mmol/L moles"}, // fasting stays fasting
		{"14933-6", "6.1", "mg/dL", timeline.UrateMass, "code 14933-6 counts moles, the unit mg/dL mass"},
		{"1975-2", "17", "umol/L", timeline.BilirubinMolar, "code 1975-2 counts mass, the unit umol/L moles"},
		{"2093-3", "5.2", "mmol/L", timeline.CholesterolMolar, "code 2093-3 counts mass, the unit mmol/L moles"},
		{"2085-9", "1.3", "mmol/L", timeline.HDLMolar, "code 2085-9 counts mass, the unit mmol/L moles"},
		{"13457-7", "3.1", "mmol/L", timeline.LDLMolar, "code 13457-7 counts mass, the unit mmol/L moles"},
		{"2571-8", "1.7", "mmol/L", timeline.TriglyceridesMolar, "code 2571-8 counts mass, the unit mmol/L moles"},
		{"3024-7", "15", "pmol/L", timeline.FreeT4Molar, "code 3024-7 counts mass, the unit pmol/L moles"},
		{shared, "5.2", "mmol/L", timeline.CholesterolMolar, ""},
		{shared, "200", "mg/dL", timeline.CholesterolMass, ""},
	} {
		r := resultOf(t, lab(tt.loinc, quantity(tt.value, "", tt.code)))
		doubt := ""
		if r.Doubt != nil {
			doubt = r.Doubt.Detail
			if r.Doubt.Reason != timeline.ProblemUnitFamily {
				t.Errorf("%s in %s: got the doubt %s", tt.loinc, tt.code, r.Doubt.Reason)
			}
		}
		if r.Problem != nil || r.Analyte != tt.want || doubt != tt.doubt {
			t.Errorf("%s %s %s: got %s, doubt %q, problem %v, want %s, %q", tt.loinc, tt.value, tt.code, r.Analyte, doubt, r.Problem, tt.want, tt.doubt)
		}
	}
	// What names both contradicts neither.
	both := with(lab("2345-7", quantity("5.4", "", "mmol/L")), `"code":"2345-7"}`, `"code":"2345-7"},{"system":"http://loinc.org","code":"14749-6"}`)
	if r := resultOf(t, both); r.Doubt != nil || r.Analyte != timeline.GlucoseMolar {
		t.Errorf("two codes: got %s, doubt %+v, want glucose-molar without", r.Analyte, r.Doubt)
	}
	// A value that is not used is a problem, not a doubt.
	if r := resultOf(t, lab("17861-6", quantity("9.5", "", "mmol/L"))); r.Doubt != nil || r.Problem == nil || r.Analyte != timeline.CalciumMolar {
		t.Errorf("implausible: got %s, doubt %+v, problem %+v, want a problem alone", r.Analyte, r.Doubt, r.Problem)
	}
	if r := resultOf(t, with(lab("2345-7", quantity("5.4", "", "mmol/L")), "final", "unknown")); r.Doubt != nil || r.Problem == nil {
		t.Errorf("status unknown: got doubt %+v, problem %+v, want a problem alone", r.Doubt, r.Problem)
	}
}

// A protocol that reads one of two siblings is sent the codes of both: the unit is known only later.
func TestSiblingsAreReadTogether(t *testing.T) {
	d, err := fhir.New(fhir.Config{Zone: chicago, Reads: map[string]bool{timeline.GlucoseMolar: true}})
	if err != nil {
		t.Fatal(err)
	}
	for loinc, want := range map[string]fhir.Kind{"2345-7": fhir.Accepted, "14749-6": fhir.Accepted, "1558-6": fhir.NotRelevant, "2823-3": fhir.NotRelevant} {
		if o := one(t, d, lab(loinc, quantity("5.4", "", "mmol/L"))); o.Kind != want {
			t.Errorf("%s: got %s, want %s", loinc, o.Kind, want)
		}
	}
}

// Every shipped code is read, in the canonical unit without a doubt, within its plausible range and not beyond.
func TestEveryCode(t *testing.T) {
	source, err := os.ReadFile("codes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, concept := range strings.Split(string(source), "\n  - name: ")[1:] {
		name, _, _ := strings.Cut(concept, "\n")
		name, _, _ = strings.Cut(name, " ")
		f, ok := unit.Of(name)
		if !ok {
			continue
		}
		seen[name] = true
		for _, m := range regexp.MustCompile(`http://loinc\.org\|([0-9-]+)`).FindAllStringSubmatch(concept, -1) {
			for _, tt := range []struct {
				value decimal.Number
				want  string
			}{
				{f.Low, ""}, {f.Top, ""}, {plus(t, f.Top, "0.001"), timeline.ProblemImplausible}, {plus(t, f.Low, "-0.001"), timeline.ProblemImplausible},
			} {
				text := strconv.FormatFloat(tt.value.Float(), 'f', -1, 64)
				r := resultOf(t, lab(m[1], quantity(text, "", f.Canonical)))
				got := ""
				if r.Problem != nil {
					got = r.Problem.Reason
				}
				if r.Analyte != name || got != tt.want || r.Doubt != nil || got == "" && r.Value.Value.Cmp(tt.value) != 0 {
					t.Errorf("%s %s %s: got %s = %s, problem %q, doubt %v, want %s, problem %q", m[1], text, f.Canonical, r.Analyte, r.Value.Value, got, r.Doubt, name, tt.want)
				}
			}
		}
	}
	for _, f := range unit.All() {
		if !seen[f.Analyte] && f.Analyte != timeline.ICEScore {
			t.Errorf("no code for %s", f.Analyte)
		}
	}
}

func plus(t *testing.T, a decimal.Number, b string) decimal.Number {
	t.Helper()
	sum, err := a.Add(decimal.Must(b))
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// What has no dimension needs no unit, and may be a whole number without a quantity; everything else needs both.
func TestQuantitiesWithoutDimension(t *testing.T) {
	d, err := fhir.New(fhir.Config{Zone: chicago, Concepts: []fhir.Concept{{Name: timeline.ICEScore, Codes: []string{"http://loinc.org|ICE"}}}})
	if err != nil {
		t.Fatal(err)
	}
	const inr, ph = "6301-6", "2744-1"
	for _, tt := range []struct{ loinc, value, want string }{
		{inr, quantity("1.4", "", ""), "inr=7/5"},
		{inr, quantity("1.4", "", "{INR}"), "inr=7/5"},
		{inr, quantity("1.4", "INR", "1"), "inr=7/5"},
		{inr, quantity("1.4", "ratio", ""), "inr=7/5"},
		{inr, quantity("70", "%", ""), "inr!unit-missing"}, // Quick's value
		{inr, quantity("13.1", "s", "s"), "inr!unit-missing"},
		{inr, quantity("1.4", "{pH}", ""), "inr!unit-missing"},
		{ph, quantity("7.31", "", ""), "ph=731/100"},
		{ph, quantity("7.31", "pH", "[pH]"), "ph=731/100"},
		{ph, quantity("73.1", "", ""), "ph!implausible"},
		{"ICE", quantity("9", "", ""), "ice-score=9"},
		{"ICE", quantity("9", "score", "{score}"), "ice-score=9"},
		{"ICE", `,"valueInteger":9`, "ice-score=9"},
		{"ICE", `,"valueInteger":11`, "ice-score!implausible"},
		{"ICE", `,"valueInteger":-1`, "ice-score!implausible"},
		{"ICE", `,"valueString":"9"`, "ice-score!value-text"},
		{"ICE", `,"component":[{"code":{"coding":[{"system":"http://loinc.org","code":"ICE"}]},"valueInteger":7}]`, "ice-score=7"},
		{anc, `,"valueInteger":2`, "neutrophils!value-text"},
		{"3150-6", quantity("0.4", "", ""), "fio2!unit-missing"}, // a fraction is not guessed to be one
		{"3150-6", quantity("0.4", "", "1"), "fio2!unit-missing"},
		{"3150-6", quantity("0.4", "", "%"), "fio2!implausible"},
		{"3150-6", quantity("40", "", "%"), "fio2=40"},
		{"8867-4", quantity("88", "", ""), "heart-rate!unit-missing"},
		{"8867-4", quantity("88", "beats/min", "/min"), "heart-rate=88"},
		{"14979-9", quantity("31", "", ""), "aptt!unit-missing"},
	} {
		o := one(t, d, lab(tt.loinc, tt.value))
		if got, want := summary(&o), `fact of "Patient/p1" at 2026-02-20T12:00:00Z `+tt.want; got != want {
			t.Errorf("%s %s: got %s, want %s", tt.loinc, tt.value, got, want)
		}
	}
}

// Below zero is nothing, whatever the analyte.
func TestNegativeValuesAreImplausible(t *testing.T) {
	for _, tt := range []struct{ loinc, code string }{{anc, "/uL"}, {"1742-6", "U/L"}, {"9192-6", "mL"}, {"8867-4", "/min"}, {"2708-6", "%"}, {"8310-5", "Cel"}} {
		r := resultOf(t, lab(tt.loinc, quantity("-0.001", "", tt.code)))
		if r.Problem == nil || r.Problem.Reason != timeline.ProblemImplausible {
			t.Errorf("%s -0.001 %s: got problem %+v, want implausible", tt.loinc, tt.code, r.Problem)
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
