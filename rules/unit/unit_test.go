package unit_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/timeline"
	"github.com/trialwatch/trialwatch/rules/unit"
)

func mustFamily(t testing.TB, analyte string) *unit.Family {
	t.Helper()
	f, ok := unit.Of(analyte)
	if !ok {
		t.Fatalf("no family %q", analyte)
	}
	return f
}

// number reads "1/3" as well as decimals.
func number(t testing.TB, text string) decimal.Number {
	t.Helper()
	var n decimal.Number
	if err := n.UnmarshalText([]byte(text)); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return n
}

// groups are analytes with one table of units.
var groups = map[string][]string{
	"cells": {
		timeline.Neutrophils, timeline.Segs, timeline.Bands, timeline.Leukocytes, timeline.Lymphocytes, timeline.CD4, timeline.Platelets,
	},
	"percent":  {timeline.NeutrophilsPercent, timeline.SegsPercent, timeline.BandsPercent, timeline.SpO2, timeline.FiO2, timeline.LVEF},
	"enzyme":   {timeline.ALT, timeline.AST, timeline.ALP, timeline.GGT, timeline.LDH, timeline.Lipase, timeline.Amylase, timeline.CPK},
	"protein":  {timeline.HemoglobinMass, timeline.Albumin, timeline.Fibrinogen, timeline.Haptoglobin},
	"ion":      {timeline.Sodium, timeline.Potassium},
	"pressure": {timeline.Systolic, timeline.Diastolic, timeline.PaO2},
	"mass": {
		timeline.CreatinineMass, timeline.BilirubinMass, timeline.CalciumMass, timeline.CalciumCorrectedMass, timeline.CalciumIonizedMass,
		timeline.MagnesiumMass, timeline.PhosphateMass, timeline.UrateMass,
	},
	"massG": {
		timeline.GlucoseMass, timeline.GlucoseFastingMass, timeline.CholesterolMass, timeline.HDLMass, timeline.LDLMass, timeline.TriglyceridesMass,
	},
	"molar": {
		timeline.HemoglobinMolar, timeline.PhosphateMolar, timeline.GlucoseMolar, timeline.GlucoseFastingMolar, timeline.CholesterolMolar,
		timeline.HDLMolar, timeline.LDLMolar, timeline.TriglyceridesMolar,
	},
	"molar2": {timeline.CalciumMolar, timeline.CalciumCorrectedMolar, timeline.CalciumIonizedMolar, timeline.MagnesiumMolar},
	"micro":  {timeline.CreatinineMolar, timeline.BilirubinMolar, timeline.UrateMolar},
}

// values is every spelling of every family, with what 100 of it is in the canonical unit. The numbers were written by hand: the tables must agree
// with somebody.
var values = []struct{ group, spellings, want string }{
	{"cells", "10*9/L 10*3/uL 10*3/mm3 10*3/mm*3 K/uL K/mm3 K/cumm K/cmm thou/uL thou/mm3 thou/cumm thousand/uL G/L Gpt/L /nL", "100"},
	{"cells", "/uL 1/uL cells/uL /mm3 /mm*3 cells/mm3 /cumm /cmm 10*6/L 10*3/mL", "0.1"},
	{"percent", "%", "100"},
	{"enzyme", "U/L unit/L units/L IU/L [IU]/L", "100"},
	{"enzyme", "ukat/L", "6000"},
	{"enzyme", "nkat/L", "6"},
	{"protein", "g/L", "100"}, // G is gram here
	{"protein", "g/dL gm/dL g% gm%", "1000"},
	{"protein", "mg/dL mg%", "1"},
	{"ion", "mmol/L mEq/L", "100"},
	{"pressure", "mm[Hg] mmHg", "100"},
	{"pressure", "kPa", "750.062"},
	{"mass", "mg/dL mg%", "100"},
	{"mass", "mg/L", "10"},
	{"massG", "mg/dL mg%", "100"},
	{"massG", "g/L", "10000"},
	{"molar", "mmol/L", "100"},
	{"molar2", "mmol/L", "100"},
	{"molar2", "mEq/L", "50"},
	{"micro", "umol/L", "100"},
	{"micro", "mmol/L", "100000"},
	{timeline.CreatinineClearance, "mL/min", "100"},
	{timeline.CreatinineClearance, "mL/s", "6000"},
	{timeline.INR, "1 {INR} INR ratio {ratio}", "100"},
	{timeline.APTT, "s sec seconds", "100"},
	{timeline.PH, "[pH] pH {pH} 1", "100"},
	{timeline.TSH, "m[IU]/L mIU/L mU/L u[IU]/mL uIU/mL uU/mL", "100"},
	{timeline.FreeT4Mass, "ng/dL", "100"},
	{timeline.FreeT4Mass, "pg/mL ng/L", "10"},
	{timeline.FreeT4Molar, "pmol/L", "100"},
	{timeline.Temperature, "Cel degC °C C celsius", "100"},
	{timeline.Temperature, "[degF] degF °F F fahrenheit", "340/9"},
	{timeline.Weight, "kg", "100"},
	{timeline.Weight, "g", "0.1"},
	{timeline.Weight, "[lb_av] lb lbs", "45.359237"},
	{timeline.Height, "cm", "100"},
	{timeline.Height, "m", "10000"},
	{timeline.Height, "mm", "10"},
	{timeline.Height, "[in_i] in inch inches", "254"},
	{timeline.HeartRate, "/min 1/min bpm beats/min beats/minute {beats}/min", "100"},
	{timeline.OxygenFlow, "L/min lpm liters/min", "100"},
	{timeline.OxygenFlow, "mL/min", "0.1"},
	{timeline.UrineOutput, "mL cc", "100"},
	{timeline.UrineOutput, "L", "100000"},
	{timeline.QTc, "ms msec", "100"},
	{timeline.QTc, "s sec", "100000"},
	{timeline.ICEScore, "1 {score} score {points} points", "100"},
}

// A threshold must not depend on the laboratory's spelling, and no spelling is in the tables that nobody looked at.
func TestEverySpellingHasItsValue(t *testing.T) {
	seen := map[string][]string{}
	for _, v := range values {
		analytes := groups[v.group]
		if analytes == nil {
			analytes = []string{v.group}
		}
		for _, analyte := range analytes {
			f := mustFamily(t, analyte)
			for s := range strings.FieldsSeq(v.spellings) {
				seen[analyte] = append(seen[analyte], s)
				u, ok := f.Find(s)
				if !ok {
					t.Errorf("%s does not read %q", analyte, s)
					continue
				}
				got, err := u.Canonical(decimal.Int(100))
				if err != nil || got.Cmp(number(t, v.want)) != 0 {
					t.Errorf("%s: 100 %s: got %s, %v, want %s", analyte, s, got, err, v.want)
				}
			}
		}
	}
	for _, f := range unit.All() {
		if got, want := f.Spellings(), seen[f.Analyte]; !slices.Equal(got, want) {
			t.Errorf("%s reads %v, the table of the test has %v", f.Analyte, got, want)
		}
	}
}

// Each analyte of a timeline has a family, with the canonical unit that its constant promises.
func TestEveryAnalyteHasAFamily(t *testing.T) {
	source, err := os.ReadFile("../timeline/fact.go")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile(`(?s)// Analytes:.*?\n\)`).Find(source)
	named := regexp.MustCompile(`(?m)^\t\w+ += "([a-z0-9-]+)" *//(.*)$`).FindAllSubmatch(block, -1)
	if len(named) < 60 {
		t.Fatalf("found %d analytes in fact.go: the test looks in the wrong place", len(named))
	}
	var names []string
	for _, m := range named {
		name, comment := string(m[1]), strings.TrimSpace(string(m[2]))
		names = append(names, name)
		f, ok := unit.Of(name)
		if !ok {
			t.Errorf("%s has no family", name)
			continue
		}
		if comment == "" { // an enzyme: as the first of them
			comment = "U/L"
		}
		want := f.Canonical
		if f.Bare && want != "1" { // pH
			want = "1"
		}
		if name != timeline.ICEScore && !slices.ContainsFunc(strings.FieldsFunc(comment, func(r rune) bool { return r == ' ' || r == ',' }), func(w string) bool { return w == want }) {
			t.Errorf("%s: fact.go says %q, the family %s", name, comment, f.Canonical)
		}
	}
	slices.Sort(names)
	var families []string
	for _, f := range unit.All() {
		families = append(families, f.Analyte)
	}
	if !slices.Equal(families, names) {
		t.Errorf("families %v\nanalytes %v", families, names)
	}
	if _, ok := unit.Of("hemoglobin"); ok {
		t.Error("a name that is no analyte has a family")
	}
}

// The canonical unit changes nothing, and what is shown for it is read.
func TestCanonicalUnits(t *testing.T) {
	for _, f := range unit.All() {
		u, ok := f.Find(f.Canonical)
		if !ok || u != unit.Scaled(1, 1) {
			t.Errorf("%s: %s is %+v, %v", f.Analyte, f.Canonical, u, ok)
		}
		if f.Spellings()[0] != f.Canonical {
			t.Errorf("%s: the first spelling is %s, not %s", f.Analyte, f.Spellings()[0], f.Canonical)
		}
		for _, s := range f.Spellings() {
			u, _ := f.Find(s)
			if got, want := u.Scales(), f.Analyte != timeline.Temperature || u == unit.Scaled(1, 1); got != want {
				t.Errorf("%s in %s: scales %v, want %v", f.Analyte, s, got, want)
			}
		}
	}
}

// A missing unit says something only of what has none.
func TestOnlyQuantitiesWithoutDimensionNeedNoUnit(t *testing.T) {
	var bare []string
	for _, f := range unit.All() {
		_, ok := f.Find("")
		if ok != f.Bare {
			t.Errorf("%s: a missing unit is read %v, bare %v", f.Analyte, ok, f.Bare)
		}
		if f.Bare {
			bare = append(bare, f.Analyte)
		}
	}
	if want := []string{timeline.ICEScore, timeline.INR, timeline.PH}; !slices.Equal(bare, want) {
		t.Errorf("bare are %v, want %v", bare, want)
	}
}

// Siblings name each other, tell apart mass and moles, and share no unit: the unit alone decides which of the two is meant.
func TestSiblings(t *testing.T) {
	pairs := 0
	for _, f := range unit.All() {
		if f.Sibling == "" {
			if f.Counts != "" || strings.HasSuffix(f.Analyte, "-mass") || strings.HasSuffix(f.Analyte, "-molar") {
				t.Errorf("%s counts %q and has no sibling", f.Analyte, f.Counts)
			}
			continue
		}
		pairs++
		s := mustFamily(t, f.Sibling)
		base, isMass := strings.CutSuffix(f.Analyte, "-mass")
		want := map[bool]string{true: "mass", false: "moles"}[isMass]
		base = strings.TrimSuffix(base, "-molar")
		if s.Sibling != f.Analyte || f.Counts != want || s.Counts == f.Counts || !strings.HasPrefix(s.Analyte, base+"-m") {
			t.Errorf("%s (%s) and %s (%s) are no siblings", f.Analyte, f.Counts, s.Analyte, s.Counts)
		}
		for _, spelling := range f.Spellings() {
			if _, ok := s.Find(spelling); ok {
				t.Errorf("%s is a unit of %s and of %s", spelling, f.Analyte, s.Analyte)
			}
		}
	}
	if want := 2 * 16; pairs != want {
		t.Errorf("%d siblings, want %d", pairs, want)
	}
}

// What is not in the table of the analyte is not guessed.
func TestUnitsThatAreNotRead(t *testing.T) {
	for _, tt := range []struct{ analyte, spelling string }{
		{timeline.Neutrophils, "%"},         // a percentage is never a count
		{timeline.Neutrophils, "g/dL"},      //
		{timeline.Neutrophils, "10*12/L"},   // of red cells
		{timeline.Neutrophils, "{cells}"},   // an annotation alone has no dimension
		{timeline.HemoglobinMass, "K/uL"},   //
		{timeline.HemoglobinMass, "mmol/L"}, // the sibling's
		{timeline.GlucoseMass, "mmol/L"},
		{timeline.GlucoseMolar, "mg/dL"},
		{timeline.PhosphateMolar, "mEq/L"},              // its charge depends on pH
		{timeline.CreatinineClearance, "mL/min/1.73m2"}, // a rate of another body
		{timeline.CreatinineClearance, "mL/min/{1.73_m2}"},
		{timeline.FiO2, "1"}, // 0.4 of what?
		{timeline.FiO2, "{fraction}"},
		{timeline.SpO2, ""},
		{timeline.UrineOutput, "mL/h"}, // a rate
		{timeline.INR, "%"},            // Quick's value
		{timeline.INR, "s"},            // the prothrombin time itself
		{timeline.INR, "{pH}"},
		{timeline.PH, "mmol/L"},
		{timeline.Temperature, "K"}, // kelvin
		{timeline.Potassium, "mg/dL"},
		{timeline.Weight, "st"},
		{timeline.TSH, "IU/L"},
		{timeline.CreatinineMass, "g/L"},
		{timeline.Neutrophils, "10*9/L extra"},
	} {
		if u, ok := mustFamily(t, tt.analyte).Find(tt.spelling); ok {
			t.Errorf("%s reads %q as %+v", tt.analyte, tt.spelling, u)
		}
	}
}

// Other ways to write what is in the tables.
func TestSpelling(t *testing.T) {
	for _, tt := range []struct{ spelling, want string }{
		{"x10E3/uL", "10*3/ul"},
		{"X10*3/UL", "10*3/ul"},
		{"x 10^3 / uL", "10*3/ul"},
		{"×10³/µL", "10*3/ul"},
		{"10³/μL", "10*3/ul"},
		{"10e3/uL", "10*3/ul"},
		{"thou/mcL", "thou/ul"},
		{"10^9/L", "10*9/l"},
		{"10⁹/L", "10*9/l"},
		{"10^3/mL", "10*3/ml"},
		{"10⁶/L", "10*6/l"},
		{"10e6/L", "10*6/l"},
		{"{cells}/uL", "/ul"},
		{"/uL{cells}", "/ul"},
		{"cells/mcL", "/ul"},
		{"mm³", "mm3"},
		{"%{WBC}", "%"},
		{"mcmol/L", "umol/l"},
		{"µmol/L", "umol/l"},
		{"μmol/L", "umol/l"},
		{"mcIU/mL", "uiu/ml"},
		{"mckat/L", "ukat/l"},
		{"mcg", "ug"},
		{"mm Hg", "mmhg"},
		{"deg F", "degf"},
		{" K/uL\u00a0", "k/ul"},
		{"{INR}", "{inr}"},
		{"{", "{"},
		{"}{", "}{"},
		{"", ""},
		{" ", ""},
	} {
		if got := unit.Spelling(tt.spelling); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.spelling, got, tt.want)
		}
	}
}

// Plausible ranges are wide, in order, and end at zero or above it: a negative value is always a slip.
func TestPlausibleRanges(t *testing.T) {
	for _, f := range unit.All() {
		if f.Low.Sign() < 0 || !f.Low.Less(f.Top) {
			t.Errorf("%s is believed from %s to %s", f.Analyte, f.Low, f.Top)
		}
	}
	for _, tt := range []struct {
		analyte  string
		low, top string
	}{
		{timeline.Neutrophils, "0", "100"},
		{timeline.Leukocytes, "0", "500"},
		{timeline.Platelets, "0", "3000"},
		{timeline.HemoglobinMass, "10", "300"},
		{timeline.Sodium, "80", "220"},
		{timeline.Potassium, "0.5", "15"},
		{timeline.ALT, "0", "50000"},
		{timeline.PH, "6.3", "8.2"},
		{timeline.SpO2, "10", "100"},
		{timeline.HeartRate, "0", "350"},
		{timeline.Systolic, "0", "350"},
		{timeline.Diastolic, "0", "250"},
		{timeline.Weight, "1", "400"},
		{timeline.Height, "30", "250"},
		{timeline.LVEF, "5", "100"},
		{timeline.QTc, "150", "1000"},
		{timeline.UrineOutput, "0", "20000"},
		{timeline.GlucoseMass, "0", "3000"},
		{timeline.GlucoseMolar, "0", "170"},
		{timeline.CreatinineMass, "0.05", "30"},
		{timeline.CreatinineMolar, "4", "2650"},
		{timeline.Temperature, "25", "45"},
	} {
		f := mustFamily(t, tt.analyte)
		if f.Low.Cmp(number(t, tt.low)) != 0 || f.Top.Cmp(number(t, tt.top)) != 0 {
			t.Errorf("%s is believed from %s to %s, want %s to %s", tt.analyte, f.Low, f.Top, tt.low, tt.top)
		}
	}
	// A slip of the unit lies outside, where the two units are far enough apart.
	for _, tt := range []struct{ analyte, value, slip string }{
		{timeline.Platelets, "250000", "/uL under the name of 10*3/uL"},
		{timeline.HemoglobinMass, "1200", "g/L under the name of g/dL, converted"},
		{timeline.HemoglobinMolar, "140", "g/L under the name of mmol/L"},
		{timeline.CalciumMass, "2.4", "mmol/L under the name of mg/dL"},
		{timeline.CalciumMolar, "9.5", "mg/dL under the name of mmol/L"},
		{timeline.CalciumIonizedMass, "1.2", "mmol/L under the name of mg/dL"},
		{timeline.CalciumIonizedMolar, "4.8", "mg/dL under the name of mmol/L"},
		{timeline.CreatinineMass, "80", "umol/L under the name of mg/dL"},
		{timeline.CreatinineMolar, "1", "mg/dL under the name of umol/L"},
		{timeline.CholesterolMass, "5", "mmol/L under the name of mg/dL"},
		{timeline.TriglyceridesMass, "1.5", "mmol/L under the name of mg/dL"},
		{timeline.Albumin, "4", "g/dL under the name of g/L"},
		{timeline.Fibrinogen, "300", "mg/dL under the name of g/L"},
		{timeline.FiO2, "0.4", "a fraction under the name of %"},
		{timeline.QTc, "0.42", "s under the name of ms"},
		{timeline.UrineOutput, "1500000", "mL under the name of L, converted"},
	} {
		f, v := mustFamily(t, tt.analyte), number(t, tt.value)
		if !v.Less(f.Low) && !f.Top.Less(v) {
			t.Errorf("%s believes %s: %s", tt.analyte, tt.value, tt.slip)
		}
	}
}

// What does not fit is an error, never a rounded number.
func TestCanonicalIsExactOrAnError(t *testing.T) {
	lb, _ := mustFamily(t, timeline.Weight).Find("lb")
	if v, err := lb.Canonical(decimal.Must("123456789012345678")); err == nil {
		t.Errorf("got %s, want an error", v)
	}
	f, _ := mustFamily(t, timeline.Temperature).Find("[degF]")
	if v, err := f.Canonical(decimal.Must("0.123456789012345678")); err == nil {
		t.Errorf("got %s, want an error", v)
	}
}

// However a unit is written, the value is the same.
func TestOneUnitOneValue(t *testing.T) {
	families := unit.All()
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.SampledFrom(families).Draw(t, "family")
		spelling := rapid.SampledFrom(f.Spellings()).Draw(t, "spelling")
		u, ok := f.Find(spelling)
		if !ok {
			t.Fatalf("%s does not read %q", f.Analyte, spelling)
		}
		written := rewrite(t, spelling)
		w, ok := f.Find(written)
		if !ok || w != u {
			t.Fatalf("%s reads %q as %+v, and %q as %+v (%v)", f.Analyte, spelling, u, written, w, ok)
		}
		value := decimal.New(rapid.Int64Range(0, 1_000_000_000).Draw(t, "value"), 1000)
		a, errA := u.Canonical(value)
		b, errB := w.Canonical(value)
		if errA != nil || errB != nil || a.Cmp(b) != 0 {
			t.Fatalf("%s %s is %s (%v), %s %s is %s (%v)", value, spelling, a, errA, value, written, b, errB)
		}
	})
}

// rewrite writes a unit in another of the ways that laboratories write.
func rewrite(t *rapid.T, s string) string {
	if rest, ok := strings.CutPrefix(s, "10*"); ok {
		power := rapid.SampledFrom([]string{"10*", "10^", "x10*", "x10^", "X10E", "10e", "x10e", "×10^", "x 10^"}).Draw(t, "power")
		s = power + rest
	}
	if strings.Contains(s, "u") && !strings.Contains(s, "un") && !strings.Contains(s, "cu") && !strings.Contains(s, "ou") {
		s = strings.Replace(s, "u", rapid.SampledFrom([]string{"u", "µ", "μ"}).Draw(t, "micro"), 1)
	}
	switch rapid.IntRange(0, 2).Draw(t, "case") {
	case 1:
		s = strings.ToUpper(s)
	case 2:
		s = strings.ToLower(s)
	}
	if i := rapid.IntRange(0, len(s)).Draw(t, "blank"); i == len(s) || s[i] < 0x80 {
		s = s[:i] + rapid.SampledFrom([]string{"", " ", "  ", "\u00a0"}).Draw(t, "blanks") + s[i:]
	}
	if !strings.Contains(s, "{") && rapid.Bool().Draw(t, "annotated") {
		s += "{of something}"
	}
	return s
}

// Every spelling of the project's reference table of units is read, with its factor to the last digit.
func TestReferenceUnits(t *testing.T) {
	dir := os.Getenv("TRIALWATCH_SHARED")
	if dir == "" {
		t.Skip("TRIALWATCH_SHARED is not set: it names the directory with ctcae/units.json, reference data that is not copied into the project")
	}
	data, err := os.ReadFile(filepath.Join(dir, "ctcae", "units.json"))
	if err != nil {
		t.Fatal(err)
	}
	var reference struct {
		Families []struct {
			Analyte string                     `json:"analyte"`
			Units   map[string]json.RawMessage `json:"units"`
			MgDLTo  string                     `json:"mg_dl_to"`
			Remark  string                     `json:"remark"`
		} `json:"families"`
	}
	if err := json.Unmarshal(data, &reference); err != nil {
		t.Fatal(err)
	}
	pairs := func(names ...string) []string {
		var all []string
		for _, n := range names {
			all = append(all, n+"-mass", n+"-molar")
		}
		return all
	}
	// Which of our families a line of the reference is. Chloride and bicarbonate are not graded.
	families := map[string][]string{
		"hemoglobin": pairs("hemoglobin"), "bilirubin total": pairs("bilirubin"), "creatinine": pairs("creatinine"), "glucose": pairs("glucose", "glucose-fasting"),
		"calcium total": pairs("calcium", "calcium-corrected"), "calcium ionized": pairs("calcium-ionized"), "magnesium": pairs("magnesium"),
		"phosphate (as P)": pairs("phosphate"), "urate": pairs("urate"), "cholesterol": pairs("cholesterol", "hdl", "ldl"), "triglyceride": pairs("triglycerides"),
		"albumin": {timeline.Albumin}, "fibrinogen": {timeline.Fibrinogen}, "Na, K, Cl, HCO3": groups["ion"], "cell counts": groups["cells"],
		"temperature 8310-5": {timeline.Temperature}, "weight 29463-7": {timeline.Weight},
	}
	read := 0
	for _, r := range reference.Families {
		analytes := families[r.Analyte]
		switch {
		case strings.HasPrefix(r.Analyte, "enzymes"):
			analytes = groups["enzyme"]
		case strings.HasPrefix(r.Analyte, "aPTT"): // names no unit but the codes'
			continue
		case analytes == nil:
			t.Errorf("the reference has %q, which the test does not know", r.Analyte)
		}
		if r.MgDLTo != "" {
			r.Units = map[string]json.RawMessage{"mg/dL": json.RawMessage("1"), r.MgDLTo: json.RawMessage("1")}
		}
		if strings.Contains(r.Remark, "meq/L = 2 x mmol/L") {
			r.Units["meq/L"] = json.RawMessage("0.5")
		}
		for spelling, factor := range r.Units {
			for i := 0; i < len(analytes); i++ {
				f := mustFamily(t, analytes[i])
				u, ok := f.Find(spelling)
				if !ok && f.Sibling != "" { // the unit decides which sibling is meant
					continue
				}
				if !ok {
					t.Errorf("%s does not read %q", f.Analyte, spelling)
					continue
				}
				read++
				if r.Analyte == "hemoglobin" && spelling == "mmol/L" { // a factor between siblings, which are never converted
					factor = json.RawMessage("1")
				}
				want, err := decimal.Parse(string(factor))
				if err != nil { // a formula: temperature
					if a, err := u.Canonical(decimal.Int(212)); spelling == "[degF]" && (err != nil || a.Cmp(decimal.Int(100)) != 0) {
						t.Errorf("212 [degF] is %s, %v", a, err)
					}
					continue
				}
				if u.Factor().Cmp(want) != 0 {
					t.Errorf("%s: %s has the factor %s, the reference %s", f.Analyte, spelling, u.Factor(), factor)
				}
			}
			if !slices.ContainsFunc(analytes, func(a string) bool { _, ok := mustFamily(t, a).Find(spelling); return ok }) {
				t.Errorf("nothing of %q reads %q", r.Analyte, spelling)
			}
		}
	}
	if read < 120 {
		t.Errorf("compared %d units: too few to mean anything", read)
	}
}

func ExampleFamily_Find() {
	potassium, _ := unit.Of(timeline.Potassium)
	calcium, _ := unit.Of(timeline.CalciumMolar)
	for _, f := range []*unit.Family{potassium, calcium} {
		u, _ := f.Find("mEq/L")
		v, _ := u.Canonical(decimal.Must("4.2"))
		fmt.Println(f.Analyte, v.Float(), f.Canonical)
	}
	_, ok := potassium.Find("mg/dL")
	fmt.Println(ok)
	// Output:
	// potassium 4.2 mmol/L
	// calcium-molar 2.1 mmol/L
	// false
}
