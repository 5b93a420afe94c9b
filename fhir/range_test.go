package fhir_test

import (
	"strings"
	"testing"

	"github.com/trialwatch/trialwatch/rules/decimal"
)

// bounds shows limits of normal as "1.5..8", with nothing where there is none.
func bounds(low, high *decimal.Number) string {
	show := func(n *decimal.Number) string {
		if n == nil {
			return ""
		}
		return n.String()
	}
	return show(low) + ".." + show(high)
}

// Limits of normal decide grades: a range is read where it can be meant in one way only, and otherwise there is none.
func TestReferenceRanges(t *testing.T) {
	const (
		none   = ".."
		normal = `"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/referencerange-meaning","code":"normal"}]}`
		men    = `"appliesTo":[{"text":"men"}]`
		adults = `"age":{"low":{"value":18,"unit":"a"}}`
	)
	kind := func(code string) string {
		return `"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/referencerange-meaning","code":"` + code + `"}]}`
	}
	text := func(s string) string { return `{"text":"` + s + `"}` }
	count, alt, sodium, glucose := lab(anc, quantity("2.5", "K/uL", "10*3/uL")), lab("1742-6", quantity("30", "U/L", "")), lab("2951-2", quantity("140", "mmol/L", "")), lab("2345-7", quantity("90", "mg/dL", ""))
	for _, tt := range []struct{ name, base, ranges, want string }{
		{"both", count, `{"low":{"value":1.5},"high":{"value":8}}`, "3/2..8"},
		{"low alone", count, `{"low":{"value":1.5}}`, "3/2.."},
		{"high alone", alt, `{"high":{"value":40}}`, "..40"},
		{"high alone, low without a number", alt, `{"low":{"unit":"U/L"},"high":{"value":40}}`, "..40"},
		{"none", count, ``, none},
		{"says nothing", count, `{` + normal + `}`, none},

		// Kinds of ranges.
		{"of normal", count, `{"low":{"value":1.5},` + normal + `}`, "3/2.."},
		{"of normal, in words", count, `{"low":{"value":1.5},"type":{"text":"Normal Range"}}`, "3/2.."},
		{"critical", count, `{"low":{"value":0.5},` + kind("critical") + `}`, none},
		{"therapeutic", count, `{"low":{"value":0.5},` + kind("therapeutic") + `}`, none},
		{"treatment", count, `{"low":{"value":0.5},` + kind("treatment") + `}`, none},
		{"recommended", count, `{"low":{"value":0.5},` + kind("recommended") + `}`, none},
		{"of something in words", count, `{"low":{"value":0.5},"type":{"text":"Severe"}}`, none},
		{"normal beside critical", count, `{"low":{"value":0.5},` + kind("critical") + `},{"low":{"value":1.5},"high":{"value":8},` + normal + `}`, "3/2..8"},
		{"untyped beside critical", count, `{"low":{"value":1.5},"high":{"value":8}},{"low":{"value":0.5},` + kind("critical") + `}`, "3/2..8"},

		// Several.
		{"one, of men", count, `{"low":{"value":1.8},` + men + `}`, "9/5.."},
		{"one, of adults", count, `{"low":{"value":1.8},` + adults + `}`, "9/5.."},
		{"of everybody beside men", count, `{"low":{"value":1.8},` + men + `},{"low":{"value":1.5}}`, "3/2.."},
		{"of everybody beside adults", count, `{"low":{"value":1.5}},{"low":{"value":1.8},` + adults + `}`, "3/2.."},
		{"of men and of women", count, `{"low":{"value":1.8},` + men + `},{"low":{"value":1.5},"appliesTo":[{"text":"women"}]}`, none},
		{"of men and of women, the same", count, `{"low":{"value":1.5},` + men + `},{"low":{"value":1500,"unit":"/uL"},"appliesTo":[{"text":"women"}]}`, "3/2.."},
		{"two of everybody", count, `{"low":{"value":1.5}},{"low":{"value":1.8}}`, none},
		{"two of everybody, the same", count, `{"low":{"value":1.5},"high":{"value":8}},{"low":{"value":1.50},"high":{"value":8.0}}`, "3/2..8"},
		{"two of everybody, one open above", count, `{"low":{"value":1.5},"high":{"value":8}},{"low":{"value":1.5}}`, none},
		{"two of everybody, one not understood", count, `{"low":{"value":1.5}},` + text("see comment"), none},
		{"men in numbers, women in words", count, `{"low":{"value":1.8},` + men + `},{"text":"women: from 1.5","appliesTo":[{"text":"women"}]}`, none},
		{"three of everybody, the last differs", count, `{"low":{"value":1.5}},{"low":{"value":1.5}},{"low":{"value":1.8}}`, none},

		// Units.
		{"the value's unit", lab(anc, quantity("2500", "/uL", "")), `{"low":{"value":1500},"high":{"value":8000}}`, "3/2..8"},
		{"another unit of the family", count, `{"low":{"value":1500,"unit":"/uL"},"high":{"value":8000,"code":"/uL"}}`, "3/2..8"},
		{"two units", count, `{"low":{"value":1500,"unit":"/uL"},"high":{"value":8}}`, "3/2..8"},
		{"kilopascal", lab("8480-6", quantity("120", "mmHg", "")), `{"high":{"value":18.6,"unit":"kPa"}}`, "..34877883/250000"},
		{"fahrenheit", lab(temp, quantity("37", "", "Cel")), `{"low":{"value":97,"code":"[degF]"},"high":{"value":100.4,"code":"[degF]"}}`, "325/9..38"},
		{"an unknown unit", count, `{"low":{"value":1.5,"unit":"furlong"},"high":{"value":8}}`, none},
		{"code and unit differ", count, `{"low":{"value":1500,"unit":"/uL","code":"10*3/uL"}}`, none},
		{"moles beside mass", glucose, `{"low":{"value":3.9,"unit":"mmol/L"},"high":{"value":5.5,"unit":"mmol/L"}}`, none},
		{"mass beside moles", lab("14749-6", quantity("5", "", "mmol/L")), `{"low":{"value":70,"unit":"mg/dL"},"high":{"value":99,"unit":"mg/dL"}}`, none},
		{"moles beside moles under the code of mass", lab("2345-7", quantity("5", "", "mmol/L")), `{"low":{"value":3.9,"unit":"mmol/L"},"high":{"value":5.5}}`, "39/10..11/2"},
		{"too many digits", count, `{"low":{"value":1.1234567890123456789012},"high":{"value":8}}`, none},

		// What cannot be true.
		{"upside down", count, `{"low":{"value":8},"high":{"value":1.5}}`, none},
		{"equal", count, `{"low":{"value":8},"high":{"value":8}}`, "8..8"},
		{"0 to 0 is a form not filled in", alt, `{"low":{"value":0},"high":{"value":0}}`, none},
		{"0 to something", alt, `{"low":{"value":0},"high":{"value":40}}`, "0..40"},
		{"below zero", alt, `{"low":{"value":-1},"high":{"value":40}}`, none},
		{"of another unit that it does not name", count, `{"low":{"value":1500},"high":{"value":8000}}`, none},
		{"of another unit that it does not name, low alone", count, `{"low":{"value":1500}}`, none},
		{"no end written as a number", count, `{"low":{"value":1.5},"high":{"value":9999}}`, none},
		{"0 where less is not believed", lab(creatMass, quantity("1", "", "mg/dL")), `{"low":{"value":0},"high":{"value":1.2}}`, "0..6/5"},
		{"normal ends below what is believed", lab(creatMass, quantity("1", "", "mg/dL")), `{"high":{"value":0.01}}`, none},

		// In words.
		{"dash", count, text("4.0-10.0"), "4..10"},
		{"dash with blanks and unit", count, text("4.0 - 10.0 K/uL"), "4..10"},
		{"en dash with blanks and unit", count, text("4.0 – 10.0 K/uL"), "4..10"},
		{"blanks around", count, text("  4.0-10.0 "), "4..10"},
		{"no-break blanks", count, text("4.0\u00a0–\u00a010.0\u00a0K/uL"), "4..10"},
		{"to", lab(creatMass, quantity("1", "", "mg/dL")), text("0.2 to 1.2"), "1/5..6/5"},
		{"to, with unit", lab(creatMass, quantity("1", "", "mg/dL")), text("0.2 to 1.2 mg/dL"), "1/5..6/5"},
		{"less", alt, text("< 40"), "..40"},
		{"less, close", alt, text("<40"), "..40"},
		{"at most", alt, text("<=40"), "..40"},
		{"at most, one sign", alt, text("≤40 U/L"), "..40"},
		{"more", alt, text(">60"), "60.."},
		{"at least", alt, text(">= 60"), "60.."},
		{"at least, one sign", alt, text("≥ 60"), "60.."},
		{"at least, percent", lab("2708-6", quantity("97", "%", "%")), text("≥ 94%"), "94.."},
		{"unit of the family", sodium, text("135-145 mEq/L"), "135..145"},
		{"converted", count, text("1500-8000 /uL"), "3/2..8"},
		{"a power after a blank", count, text("1.5-8.0 x10E3/uL"), "3/2..8"},
		{"of normal", count, `{"text":"1.5-8.0",` + normal + `}`, "3/2..8"},
		{"critical, in words", count, `{"text":"1.5-8.0",` + kind("critical") + `}`, none},
		{"numbers go before words", count, `{"low":{"value":1.5},"high":{"value":8},"text":"2.0-10.0"}`, "3/2..8"},
		{"numbers that cannot be read are not helped by words", count, `{"low":{"value":1.5,"unit":"furlong"},"text":"1.5-8.0"}`, none},
		{"upside down, in words", count, text("10.0-4.0"), none},
		{"moles, in words", glucose, text("3.9-5.5 mmol/L"), none},
		{"an unknown unit, in words", count, text("4.0-10.0 furlongs"), none},
		{"a power right after the number", count, text("4.0-10e3/uL"), none},
		{"a unit right after the number", count, text("<4010*3/uL"), none},
		{"decimal comma", count, text("4,0-10,0"), none},
		{"thousands", count, text("1,500-8,000 /uL"), none},
		{"a leading zero too many", count, text("04.0-10.0"), none},
		{"no digit before the point", count, text(".4-10.0"), none},
		{"no digit after the point", count, text("4.-10.0"), none},
		{"a sign", count, text("-4.0-10.0"), none},
		{"words before", count, text("normal: 4.0-10.0"), none},
		{"words after", count, text("4.0-10.0 (adult)"), none},
		{"brackets", count, text("(4.0-10.0)"), none},
		{"by sex", count, text("M: 4.0-10.0; F: 3.5-9.5"), none},
		{"two ranges", count, text("4.0-10.0, 3.5-9.5"), none},
		{"three numbers", count, text("4.0-7.0-10.0"), none},
		{"both signs", count, text(">4.0 <10.0"), none},
		{"a word", count, text("NEGATIVE"), none},
		{"a number alone", count, text("10"), none},
		{"to without blanks", count, text("4.0to10.0"), none},
		{"other digits", count, text("٤-١٠"), none},
		{"long", count, text("4.0-10.0" + strings.Repeat(" ", 100) + "K/uL"), none},
		{"0-0, in words", alt, text("0-0"), none},
	} {
		r := resultOf(t, add(tt.base, `"referenceRange":[`+tt.ranges+`]`))
		if r.Problem != nil {
			t.Errorf("%s: got problem %+v", tt.name, *r.Problem)
		}
		if got := bounds(r.Low, r.High); got != tt.want {
			t.Errorf("%s: %s: got %s, want %s", tt.name, tt.ranges, got, tt.want)
		}
	}
}

// A component has limits and a flag of its own.
func TestComponentsHaveTheirOwnLimits(t *testing.T) {
	o := one(t, newDecoder(t), with(observation, "751-8", "85354-9", `"valueQuantity":{"value":0.45,"system":"http://unitsofmeasure.org","code":"10*3/uL"}`,
		`"referenceRange":[{"high":{"value":1}}],"interpretation":[{"coding":[{"system":"http://hl7.org/fhir/v2/0078","code":"L"}]}],"component":[`+
			`{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},"valueQuantity":{"value":150,"unit":"mmHg"},"referenceRange":[{"high":{"value":140}}],`+
			`"interpretation":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation","code":"H"}]}]},`+
			`{"code":{"coding":[{"system":"http://loinc.org","code":"8462-4"}]},"valueQuantity":{"value":10,"unit":"kPa"},"referenceRange":[{"text":"<90 mm Hg"}]}]`))
	if o.Fact == nil || len(o.Fact.Results) != 2 {
		t.Fatalf("got %s %s, want two results", o.Kind, o.Reason)
	}
	for i, want := range []string{"systolic 150 ..140 H", "diastolic 375031/5000 ..90 "} {
		r := o.Fact.Results[i]
		if got := r.Analyte + " " + r.Value.Value.String() + " " + bounds(r.Low, r.High) + " " + r.Flag; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// The laboratory's flag is read in its code systems, and only as far as it says where the value lies.
func TestFlags(t *testing.T) {
	const v3, v2, v2r4 = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", "http://hl7.org/fhir/v2/0078", "http://terminology.hl7.org/CodeSystem/v2-0078"
	code := func(system, code string) string { return `{"system":"` + system + `","code":"` + code + `"}` }
	concept := func(codings ...string) string { return `{"coding":[` + strings.Join(codings, ",") + `]}` }
	for _, tt := range []struct{ list, want string }{
		{concept(code(v3, "H")), "H"},
		{concept(code(v3, "HH")), "H"},
		{concept(code(v3, "HU")), "H"},
		{concept(code(v3, ">")), "H"},
		{concept(code(v3, "L")), "L"},
		{concept(code(v3, "LL")), "L"},
		{concept(code(v3, "LU")), "L"},
		{concept(code(v3, "<")), "L"},
		{concept(code(v3, "N")), "N"},
		{concept(code(v2, "H")), "H"},
		{concept(code(v2r4, "LL")), "L"},
		{concept(code(v3, "A")), ""},   // abnormal: which way?
		{concept(code(v3, "POS")), ""}, // of another kind of result
		{concept(code(v3, "h")), ""},
		{concept(code("urn:local", "H")), ""},
		{concept(`{"code":"H"}`), ""},
		{`{"text":"High"}`, ""},
		{concept(code(v3, "H"), code(v2, "HH")), "H"},
		{concept(code(v3, "A"), code(v3, "H")), "H"},
		{concept(code(v3, "H"), code(v3, "A")), "H"},
		{concept(code(v3, "H")) + "," + concept(code(v3, "HH")), "H"},
		{concept(code(v3, "H"), code(v3, "L")), ""},
		{concept(code(v3, "H")) + "," + concept(code(v3, "N")), ""},
		{concept(code(v3, "L"), code(v3, "H"), code(v3, "L")), ""},
		{concept(code("urn:local", "L"), code(v3, "H")), "H"},
	} {
		if r := resultOf(t, add(observation, `"interpretation":[`+tt.list+`]`)); r.Flag != tt.want || r.Problem != nil {
			t.Errorf("%s: got %q, problem %v, want %q", tt.list, r.Flag, r.Problem, tt.want)
		}
	}
	if r := resultOf(t, observation); r.Flag != "" {
		t.Errorf("without interpretation: got %q", r.Flag)
	}
}
