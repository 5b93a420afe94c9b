package rules_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// lab adds a result with its limits of normal: "d3 06:00", "1.8..7.5", "..40", "" for none.
func (c *chart) lab(analyte, value, when, normal string) *timeline.Fact {
	f := c.obs(fmt.Sprintf("lab-%d", c.n), analyte, value, when)
	if low, high, ok := strings.Cut(normal, ".."); ok {
		for _, l := range []struct {
			text string
			to   **decimal.Number
		}{{low, &f.Results[0].Low}, {high, &f.Results[0].High}} {
			if l.text != "" {
				*l.to = new(decimal.Must(l.text))
			}
		}
	}
	return f
}

// drug adds a dose of any drug.
func (c *chart) drug(name, when string) *timeline.Fact {
	f := c.dose(fmt.Sprintf("%s-%d", name, c.n), "completed", when)
	f.Dose.Drug = name
	return f
}

// period adds a urine volume charted from a time for so many hours.
func (c *chart) urine(ml, from string, hours int) *timeline.Fact {
	f := c.obs(fmt.Sprintf("urine-%d", c.n), timeline.UrineOutput, ml, from)
	f.End = f.At.Start.Add(time.Duration(hours) * time.Hour)
	f.ReceivedAt = f.End.Add(5 * time.Minute)
	return f
}

// pinned is the shipped trial in another version, with one term in place of all.
func pinned(t testing.TB, version, term string) *protocol.Protocol {
	t.Helper()
	p := trial(t, `ctcae: "5.0"`, `ctcae: "`+version+`"`)
	if term == "" {
		return p
	}
	text := "toxicity:\n  - { term: " + term + " }\n"
	data := shippedText(t)
	data = strings.Replace(data, `ctcae: "5.0"`, `ctcae: "`+version+`"`, 1)
	from := strings.Index(data, "toxicity:")
	to := strings.Index(data, "febrileNeutropenia:")
	p, err := protocol.Parse("protocol.yaml", []byte(data[:from]+text+data[to:]))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// detail writes findings as "rule status g1 (or g1-2, ?2 for a candidate) onset → end, base 0, emergent".
func detail(fs []rules.Finding, prefix string) []string {
	var lines []string
	for _, f := range fs {
		if !strings.HasPrefix(f.Rule, prefix) {
			continue
		}
		line := strings.TrimPrefix(f.Rule, "tox.") + " " + string(f.Status)
		switch {
		case f.Grade == nil && f.GradeMax != nil:
			line += fmt.Sprintf(" ?%d", *f.GradeMax)
		case f.Grade != nil && *f.Grade != *f.GradeMax:
			line += fmt.Sprintf(" g%d-%d", *f.Grade, *f.GradeMax)
		case f.Grade != nil:
			line += fmt.Sprintf(" g%d", *f.Grade)
		}
		line += " " + f.Onset.Format("01-02T15:04")
		if f.End != nil {
			line += " → " + f.End.Format("01-02T15:04")
		}
		if f.BaselineGrade != nil {
			line += fmt.Sprintf(" base %d", *f.BaselineGrade)
		}
		if f.TreatmentEmergent != nil && *f.TreatmentEmergent {
			line += " emergent"
		}
		if f.NeedsReview {
			line += " review"
		}
		lines = append(lines, line)
	}
	return lines
}

// What a term is graded from, what it is compared with, and where an episode begins and ends.
func TestLaboratoryTerms(t *testing.T) {
	const cy = timeline.Cyclophosphamide
	for _, tt := range []struct {
		name   string
		term   string // "": all of the shipped trial
		ctcae  string // "": 5.0
		build  func(*chart)
		now    string
		want   []string
		prefix string
	}{
		{
			"an episode goes from the first grade to the first normal result", "hyponatremia", "", func(c *chart) {
				c.lab(timeline.Sodium, "138", "d1 06:00", "135..145")
				c.lab(timeline.Sodium, "132", "d2 06:00", "135..145")
				c.lab(timeline.Sodium, "126", "d3 06:00", "135..145") // grade 2, or 3 with symptoms
				c.lab(timeline.Sodium, "133", "d4 06:00", "135..145")
				c.lab(timeline.Sodium, "135", "d5 06:00", "135..145")
				c.lab(timeline.Sodium, "134", "d6 06:00", "135..145")
			}, "d7 00:00", []string{"hyponatremia resolved g2-3 02-18T06:00 → 02-21T06:00 emergent review", "hyponatremia open g1 02-22T06:00 emergent"}, "tox.",
		},
		{
			"of two results at one time the worse counts", "hyponatremia", "", func(c *chart) {
				c.lab(timeline.Sodium, "136", "d2 06:00", "135..145")
				c.lab(timeline.Sodium, "119", "d2 06:00", "135..145")
			}, "d3 00:00", []string{"hyponatremia open g4 02-18T06:00 emergent"}, "tox.",
		},
		{
			"without a limit of normal what a number decides is graded, the rest is not grade 0", "hyponatremia", "", func(c *chart) {
				c.lab(timeline.Sodium, "119", "d2 06:00", "")
				c.lab(timeline.Sodium, "133", "d3 06:00", "") // neither ends the episode nor goes on with it
			}, "d4 00:00", []string{"hyponatremia open g4 02-18T06:00 emergent"}, "tox.",
		},
		{
			"results that cannot be graded are one finding a run, which ends with one that can", "alanine-aminotransferase-increased", "", func(c *chart) {
				c.lab(timeline.ALT, "212", "d2 06:00", "") // scenario S23: never grade 0
				c.lab(timeline.ALT, "199", "d3 06:00", "")
				c.lab(timeline.ALT, "30", "d4 06:00", "..40")
				c.lab(timeline.ALT, "50", "d5 06:00", "")
			}, "d6 00:00", []string{"data.ungradable resolved 02-18T06:00 → 02-20T06:00", "data.ungradable open 02-21T06:00"}, "data.",
		},
		{
			"an abnormal baseline: 5.0 grades against it", "alanine-aminotransferase-increased", "", func(c *chart) {
				c.lab(timeline.ALT, "80", "d-8 06:00", "..40") // 2 x ULN, grade 1, before the first treatment: graded by ULN, never against itself
				c.drug(cy, "d-7 08:00")
				c.lab(timeline.ALT, "119", "d-6 06:00", "..40") // below 1.5 x 80
				c.lab(timeline.ALT, "120", "d-5 06:00", "..40") // 1.5 x 80: grade 1, no worse than the baseline
				c.lab(timeline.ALT, "241", "d-4 06:00", "..40") // above 3 x 80: grade 2
			}, "d-3 00:00", []string{
				"alanine-aminotransferase-increased resolved g1 02-08T06:00 → 02-10T06:00 base 1",
				"alanine-aminotransferase-increased open g2 02-11T06:00 base 1 emergent",
			}, "tox.",
		},
		{
			"4.03 knows no abnormal baseline", "alanine-aminotransferase-increased", "4.03", func(c *chart) {
				c.lab(timeline.ALT, "80", "d-8 06:00", "..40")
				c.drug(cy, "d-7 08:00")
				c.lab(timeline.ALT, "241", "d-4 06:00", "..40")
			}, "d-3 00:00", []string{"alanine-aminotransferase-increased open g3 02-08T06:00 base 1 emergent"}, "tox.",
		},
		{
			"6.0 is stricter with an abnormal baseline", "alanine-aminotransferase-increased", "6.0", func(c *chart) {
				c.lab(timeline.ALT, "80", "d-8 06:00", "..40")
				c.drug(cy, "d-7 08:00")
				c.lab(timeline.ALT, "79", "d-6 06:00", "..40")  // below the baseline: grade 0, though above ULN
				c.lab(timeline.ALT, "241", "d-4 06:00", "..40") // above 2 x 80
			}, "d-3 00:00", []string{
				"alanine-aminotransferase-increased resolved g1 02-08T06:00 → 02-10T06:00 base 1",
				"alanine-aminotransferase-increased open g3 02-12T06:00 base 1 emergent",
			}, "tox.",
		},
		{
			"before any treatment everything is baseline", "alanine-aminotransferase-increased", "", func(c *chart) {
				c.lab(timeline.ALT, "80", "d-8 06:00", "..40")
				c.lab(timeline.ALT, "300", "d-3 06:00", "..40")
			}, "d-2 00:00", []string{"alanine-aminotransferase-increased open g3 02-08T06:00"}, "tox.",
		},
		{
			"no baseline: the first result after it stands in, and is not graded against itself", "creatinine-increased", "", func(c *chart) {
				c.drug(cy, "d-7 08:00")
				c.lab(timeline.CreatinineMass, "0.5", "d-6 06:00", "0.6..1.2")
				c.lab(timeline.CreatinineMass, "0.8", "d-5 06:00", "0.6..1.2") // 1.6 x 0.5, within normal
			}, "d-4 00:00", []string{"creatinine-increased open g2 02-11T06:00 emergent"}, "tox.",
		},
		{
			"a baseline in moles is none for a mass, and the first mass no stand-in: a toxicity could hide behind it", "blood-bilirubin-increased", "", func(c *chart) {
				c.lab(timeline.BilirubinMolar, "10", "d-8 06:00", "3..20")
				c.drug(cy, "d-7 08:00")
				c.lab(timeline.BilirubinMass, "1.3", "d-6 06:00", "0.2..1.2")
				c.lab(timeline.BilirubinMass, "1.9", "d-5 06:00", "0.2..1.2") // 1.58 x ULN; 1.46 x what would be an abnormal baseline
			}, "d-4 00:00", []string{"blood-bilirubin-increased open g2 02-10T06:00 base 0 emergent"}, "tox.",
		},
		{
			"a value with a comparator is no baseline", "creatinine-increased", "", func(c *chart) {
				c.lab(timeline.CreatinineMass, "<0.5", "d-8 06:00", "0.6..1.2")
				c.drug(cy, "d-7 08:00")
				c.lab(timeline.CreatinineMass, "0.8", "d-6 06:00", "0.6..1.2")
			}, "d-4 00:00", nil, "tox.",
		},
		{
			"what was worse before the baseline is not emergent", "hyponatremia", "", func(c *chart) {
				c.lab(timeline.Sodium, "119", "d-9 06:00", "135..145")
				c.lab(timeline.Sodium, "134", "d-8 06:00", "135..145")
				c.drug(cy, "d-7 08:00")
				c.lab(timeline.Sodium, "134", "d-6 06:00", "135..145")
			}, "d-4 00:00", []string{"hyponatremia open g4 02-07T06:00 base 1"}, "tox.",
		},
		{
			"30 days after the last dose a toxicity is emergent, later it is not", "hyponatremia", "", func(c *chart) {
				c.drug(cy, "d-7 08:00")
				c.lab(timeline.Sodium, "134", "d23 09:00", "135..145")
				c.lab(timeline.Sodium, "140", "d23 09:01", "135..145")
				c.lab(timeline.Sodium, "134", "d23 09:02", "135..145")
			}, "d24 00:00", []string{"hyponatremia resolved g1 03-11T09:00 → 03-11T09:01 emergent", "hyponatremia open g1 03-11T09:02"}, "tox.",
		},
		{
			"a flag of the laboratory is the baseline's where it has no limits: without an upper limit of normal there is no grade", "alanine-aminotransferase-increased", "", func(c *chart) {
				c.lab(timeline.ALT, "80", "d-8 06:00", "").Results[0].Flag = "H"
				c.drug(cy, "d-7 08:00")
				c.lab(timeline.ALT, "130", "d-6 06:00", "..40") // 3.25 x ULN, 1.6 x baseline
			}, "d-5 00:00", []string{"alanine-aminotransferase-increased open g1 02-10T06:00 emergent"}, "tox.",
		},
		{
			"units of one family are one thing, mass and moles have their own limits", "hypomagnesemia", "", func(c *chart) {
				c.lab(timeline.MagnesiumMass, "0.95", "d2 06:00", "1.6..2.6")   // grade 2 in mg/dL; 0.39 mmol/L would be grade 3
				c.lab(timeline.MagnesiumMolar, "0.39", "d3 06:00", "0.65..1.1") // grade 3 in mmol/L
			}, "d4 00:00", []string{"hypomagnesemia open g3 02-18T06:00 emergent"}, "tox.",
		},
		{
			"phosphate has no numbers in 5.0: proposed, treatment decides", "hypophosphatemia", "", func(c *chart) {
				c.lab(timeline.PhosphateMass, "0.8", "d2 06:00", "2.5..4.5")
			}, "d3 00:00", []string{"hypophosphatemia open ?1 02-18T06:00 review"}, "tox.",
		},
		{
			"and has them in 4.03", "hypophosphatemia", "4.03", func(c *chart) {
				c.lab(timeline.PhosphateMass, "0.8", "d2 06:00", "2.5..4.5")
			}, "d3 00:00", []string{"hypophosphatemia open g4 02-18T06:00 emergent"}, "tox.",
		},
		{
			"glucose in 5.0 is proposed only above baseline", "hyperglycemia", "", func(c *chart) {
				c.lab(timeline.GlucoseMass, "180", "d-8 06:00", "70..110") // a diabetic
				c.drug(cy, "d-7 08:00")
				c.lab(timeline.GlucoseMass, "170", "d-6 06:00", "70..110")
				c.lab(timeline.GlucoseMass, "190", "d-5 06:00", "70..110")
			}, "d-4 00:00", []string{"hyperglycemia open ?1 02-11T06:00 base 0 review"}, "tox.",
		},
		{
			"lipase: symptoms decide between two grades", "lipase-increased", "", func(c *chart) {
				c.lab(timeline.Lipase, "301", "d2 06:00", "..60")
			}, "d3 00:00", []string{"lipase-increased open g3-4 02-18T06:00 emergent review"}, "tox.",
		},
		{
			"a comparator that leaves no doubt is graded", "platelet-count-decreased", "", func(c *chart) {
				c.lab(timeline.Platelets, "<10", "d2 06:00", "150..400")
			}, "d3 00:00", []string{"platelet-count-decreased open g4 02-18T06:00 emergent"}, "tox.",
		},
		{
			"S11: platelets of 20 are grade 4 in 5.0", "platelet-count-decreased", "5.0", func(c *chart) {
				c.lab(timeline.Platelets, "20", "d2 06:00", "150..400")
			}, "d3 00:00", []string{"platelet-count-decreased open g4 02-18T06:00 emergent"}, "tox.",
		},
		{
			"S11: and grade 3 of another term in 6.0", "platelet-count-decreased", "6.0", func(c *chart) {
				c.lab(timeline.Platelets, "20", "d2 06:00", "150..400")
			}, "d3 00:00", []string{"thrombocytopenia open g3 02-18T06:00 emergent"}, "tox.",
		},
		{
			"weight is compared with the baseline, exactly", "weight-gain", "", func(c *chart) {
				c.lab(timeline.Weight, "80", "d-8 06:00", "")
				c.drug(cy, "d-7 08:00")
				c.lab(timeline.Weight, "83.9", "d1 06:00", "")
				c.lab(timeline.Weight, "84", "d2 06:00", "")
				c.lab(timeline.Weight, "88", "d3 06:00", "")
			}, "d4 00:00", []string{"weight-gain open g2 02-18T06:00 base 0 emergent"}, "tox.",
		},
		{
			"a preliminary result is graded for review", "weight-gain", "", func(c *chart) {
				c.lab(timeline.Weight, "80", "d-8 06:00", "")
				c.drug(cy, "d-7 08:00")
				c.lab(timeline.Weight, "96", "d2 06:00", "").Provisional = true
			}, "d4 00:00", []string{"weight-gain open g3 02-18T06:00 base 0 emergent review"}, "tox.",
		},
		{
			"AKI is a term with numbers in 4.03 only", "acute-kidney-injury", "4.03", func(c *chart) {
				c.lab(timeline.CreatinineMass, "1.0", "d-8 06:00", "0.6..1.2")
				c.drug(cy, "d-7 08:00")
				c.lab(timeline.CreatinineMass, "1.3", "d1 06:00", "0.6..1.2")
				c.lab(timeline.CreatinineMass, "1.31", "d2 06:00", "0.6..1.2")
				c.lab(timeline.CreatinineMass, "4.01", "d3 06:00", "0.6..1.2")
			}, "d4 00:00", []string{"acute-kidney-injury open g3 02-18T06:00 base 0 emergent"}, "tox.",
		},
		{
			"a fibrinogen within normal is not graded by its fall", "fibrinogen-decreased", "", func(c *chart) {
				c.lab(timeline.Fibrinogen, "5", "d-8 06:00", "2..4")
				c.drug(cy, "d-7 08:00")
				c.lab(timeline.Fibrinogen, "2.4", "d1 06:00", "2..4") // less than half of the baseline, and normal
				c.lab(timeline.Fibrinogen, "1.9", "d2 06:00", "2..4") // abnormal, and a fall of 62 %
			}, "d3 00:00", []string{"fibrinogen-decreased open g3 02-18T06:00 base 0 emergent"}, "tox.",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := enrolled("arm-1")
			tt.build(c)
			if !strings.Contains(tt.name, "before any treatment") && !slices.ContainsFunc(c.facts, func(f *timeline.Fact) bool { return f.Dose != nil }) {
				c.drug(cy, "d-20 08:00") // treated long before, with nothing measured
				c.facts[0].Enrolment.Start.Start = at("d2 00:00").AddDate(1, 0, 0)
			}
			version := tt.ctcae
			if version == "" {
				version = "5.0"
			}
			want(t, detail(c.evaluate(pinned(t, version, tt.term), at(tt.now)).Findings, tt.prefix), tt.want...)
		})
	}
}

// A toxicity is expected by its worst result: from the first cyclophosphamide to the end of day 21.
func TestExpected(t *testing.T) {
	for _, tt := range []struct {
		name    string
		results map[string]string // when → platelets
		want    bool
	}{
		{"in the window", map[string]string{"d3 06:00": "20"}, true},
		{"low before, and worse in the window", map[string]string{"d-9 06:00": "140", "d3 06:00": "20"}, true},
		{"worst before the treatment", map[string]string{"d-9 06:00": "20", "d3 06:00": "140"}, false},
		{"on day 21", map[string]string{"d21 23:59": "20"}, true},
		{"worst on day 22", map[string]string{"d20 06:00": "60", "d22 00:00": "20"}, false},
	} {
		c := enrolled("arm-1").til()
		c.drug(timeline.Cyclophosphamide, "d-7 08:00")
		for when, value := range tt.results {
			c.lab(timeline.Platelets, value, when, "150..400")
		}
		for _, f := range c.evaluate(trial(t), at("d23 00:00")).Findings {
			if f.Rule == "tox.platelet-count-decreased" && f.Expected != tt.want {
				t.Errorf("%s: expected %v, want %v", tt.name, f.Expected, tt.want)
			}
		}
	}
}

// Where the site's limits of normal stand in for those of the result.
func TestSiteLimitsOfNormal(t *testing.T) {
	site := "normal:\n  - { analyte: alt, high: \"0.6667\", unit: ukat/L, cite: a laboratory }\n  - { analyte: creatinine-mass, low: \"0.6\", high: \"1.2\", unit: mg/dL }\nfebrileNeutropenia:"
	p := trial(t, "febrileNeutropenia:", site)
	c := enrolled("arm-1")
	c.lab(timeline.ALT, "212", "d2 06:00", "")    // 40.002 U/L is normal there: 5.3 x
	c.lab(timeline.ALT, "50", "d3 06:00", "..60") // the result's own limit goes first
	c.lab(timeline.CreatinineMass, "1.3", "d2 06:00", "")
	want(t, detail(c.evaluate(p, at("d4 00:00")).Findings, "tox."),
		"alanine-aminotransferase-increased resolved g3 02-18T06:00 → 02-19T06:00", "creatinine-increased open g1 02-18T06:00")
}

// A late or corrected baseline changes every grade that rests on it.
func TestLateBaselineRegradesEverything(t *testing.T) {
	p := pinned(t, "5.0", "alanine-aminotransferase-increased")
	c := enrolled("arm-1")
	c.drug(timeline.Cyclophosphamide, "d-7 08:00")
	c.lab(timeline.ALT, "39", "d-6 06:00", "..40")
	c.lab(timeline.ALT, "230", "d-4 06:00", "..40")
	want(t, detail(c.evaluate(p, at("d-3 00:00")).Findings, "tox."), "alanine-aminotransferase-increased open g3 02-12T06:00 emergent")
	b := c.lab(timeline.ALT, "80", "d-8 06:00", "..40")
	b.ReceivedAt = at("d-3 06:00")
	want(t, detail(c.evaluate(p, at("d-3 07:00")).Findings, "tox."),
		"alanine-aminotransferase-increased resolved g1 02-08T06:00 → 02-10T06:00 base 1", "alanine-aminotransferase-increased open g1 02-12T06:00 base 1")
	v2 := *b
	v2.Version = timeline.Version{ID: "2", Digest: "v2"}
	v2.Results = slices.Clone(b.Results)
	v2.Results[0].Value = timeline.Quantity{Value: decimal.Int(30), Text: "30"}
	c.facts = append(c.facts, &v2)
	want(t, detail(c.evaluate(p, at("d-3 07:00")).Findings, "tox."), "alanine-aminotransferase-increased open g3 02-12T06:00 base 0 emergent")
}

// A vasopressor within the episode proposes grade 4, which is a clinician's.
func TestFebrileNeutropeniaProposesGrade4(t *testing.T) {
	for when, most := range map[string]int{"d3 09:59": 3, "d3 10:00": 4, "d4 10:00": 4, "d5 10:01": 3} {
		c := enrolled("arm-1").til()
		c.anc("0.3", "d3 06:00")
		c.temp("39", "d3 10:00")
		c.drug(timeline.Vasopressor, when)
		for _, f := range c.evaluate(trial(t), at("d6 00:00")).Findings {
			if f.Rule == "tox.febrile-neutropenia" && (*f.Grade != 3 || *f.GradeMax != most || f.NeedsReview != (most == 4)) {
				t.Errorf("vasopressor at %s: grade %d to %d, review %v; want 3 to %d", when, *f.Grade, *f.GradeMax, f.NeedsReview, most)
			}
		}
	}
}

// Everything that the shipped trial monitors, at random times around the treatment, with and without limits: one answer whatever the order.
func TestShufflesOfLaboratoryFeedsGiveOneAnswer(t *testing.T) {
	p := trial(t)
	analytes := map[string]bool{}
	for i := range p.Terms {
		for _, l := range p.Terms[i].Criterion.Limits {
			analytes[l.Analyte] = true
		}
	}
	names := []string{timeline.CalciumMass, timeline.CalciumMolar, timeline.Albumin, timeline.UrineOutput}
	for name := range analytes {
		names = append(names, name)
	}
	slices.Sort(names)
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 7))
		c := enrolled("arm-1").til()
		c.drug(timeline.Cyclophosphamide, "d-7 08:00")
		for range 120 {
			name := names[r.IntN(len(names))]
			when := fmt.Sprintf("d%d %02d:00", r.IntN(16)-9, r.IntN(4)*6)
			normal := []string{"", "1..5", "..40", "100..200"}[r.IntN(4)]
			f := c.lab(name, fmt.Sprintf("%d.%d", []int{r.IntN(5), r.IntN(50), 30 + r.IntN(400)}[r.IntN(3)], r.IntN(10)), when, normal)
			f.Results[0].Flag = []string{"", "H", "L", "N"}[r.IntN(4)]
			if name == timeline.UrineOutput {
				f.End = f.At.Start.Add(time.Duration(1+r.IntN(12)) * time.Hour)
			}
			if r.IntN(6) == 0 {
				g := *f
				g.Version = timeline.Version{ID: "2", Digest: fmt.Sprint(c.n, "v2")}
				g.At.Start = g.At.Start.Add(time.Duration(r.IntN(48)) * time.Hour)
				c.facts = append(c.facts, &g)
			}
		}
		for range 6 {
			c.drug([]string{timeline.Vasopressor, timeline.Crystalloid, timeline.Aldesleukin}[r.IntN(3)], fmt.Sprintf("d%d %02d:00", r.IntN(7), r.IntN(24)))
		}
		now := at("d8 00:00")
		want := state(t, p, c.facts, now)
		for range 20 {
			again := append(slices.Clone(c.facts), c.facts[r.IntN(len(c.facts))], c.facts[r.IntN(len(c.facts))])
			r.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
			if got := state(t, p, again, now); got != want {
				t.Fatalf("seed %d:\n%s", seed, cmp.Diff(want, got))
			}
		}
	}
}
