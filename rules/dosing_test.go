package rules_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// amount sets what was given: "50.4 MIU IV" as a feed has it, in the base unit of its dimension.
func amount(f *timeline.Fact, value, dimension, route string) *timeline.Fact {
	f.Dose.Amount, f.Dose.Dimension, f.Dose.Route = &timeline.Quantity{Value: decimal.Must(value), Text: value, Unit: dimension}, dimension, route
	return f
}

func deviations(fs []rules.Finding) (lines []string) {
	for _, f := range fs {
		if strings.HasPrefix(f.Rule, "dev.") || f.Rule == "data.ungradable" || f.Rule == "data.unit-missing" {
			lines = append(lines, fmt.Sprintf("%s %s %s %s", f.Rule, f.Importance, f.Urgency, f.Onset.Format("01-02T15:04")))
		}
	}
	return lines
}

// Scenario S17: amounts in every way in which they are charted, for a patient of 70 kg: 50.4 MIU.
func TestAmounts(t *testing.T) {
	over := "dev.dose-over important urgent 02-17T08:00"
	wrong := "dev.dose-wrong important urgent 02-17T08:00"
	for _, tt := range []struct {
		name, value, dimension, route string
		want                          []string
		text                          string
	}{
		{"million units", "50400000", "[iU]", "IV", nil, ""},
		{"milligrams: 1.1 mg are 18 MIU", "3.08", "mg", "IV", nil, ""},
		{"millilitres of 18 MIU", "2.8", "mL", "IV", nil, ""},
		{"per kilogram", "720000", "[iU]/kg", "IV", nil, ""},
		{"exactly 10 % more is inside", "55440000", "[iU]", "IV", nil, ""},
		{"a unit more is not", "55440001", "[iU]", "IV", []string{over}, "10.0 % over"},
		{"11.1 % more", "56000000", "[iU]", "IV", []string{over}, "56000000 [iU] given, 50.4 MIU expected (720000 [iU]/kg × 70 kg): 11.1 % over"},
		{"exactly 10 % less is inside", "45360000", "[iU]", "IV", nil, ""},
		{"a unit less is not", "45359999", "[iU]", "IV", []string{wrong}, "under"},
		{"a dose by the weight of today, 78 kg", "56160000", "[iU]", "IV", []string{over}, "11.4 % over"},
		{"a slip of the unit", "50.4", "[iU]", "IV", []string{wrong}, "unit suspect"},
		{"exactly a thousandth", "50400", "[iU]", "IV", []string{wrong}, "unit suspect"},
		{"a thousandfold is a slip, not an overdose", "50400000000", "[iU]", "IV", []string{wrong}, "unit suspect"},
		{"too much per kilogram", "800000", "[iU]/kg", "IV", []string{over}, "11.1 % over"},
		{"nothing was sent", "", "", "", nil, ""},
		{"by a wrong route", "50400000", "[iU]", "PO", []string{"dev.route-wrong important urgent 02-17T08:00"}, "given PO, planned IV"},
		{"by a wrong route and too much", "60000000", "[iU]", "PO", []string{over, "dev.route-wrong important urgent 02-17T08:00"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := enrolled("arm-1").til()
			c.lab(timeline.Weight, "70", "d-8 06:00", "").Results[0].Value.Unit = "kg"
			c.lymphodepletion()
			c.lab(timeline.Weight, "78", "d1 06:00", "")
			f := c.dose("m1", "completed", "d1 08:00")
			if tt.value != "" {
				amount(f, tt.value, tt.dimension, tt.route)
			}
			fs := c.evaluate(trial(t), at("d1 09:00")).Findings
			want(t, deviations(fs), tt.want...)
			if tt.text != "" && !strings.Contains(fs[0].Message+fs[len(fs)-1].Message, tt.text) && !strings.Contains(fmt.Sprint(fs), tt.text) {
				t.Errorf("no finding says %q: %v", tt.text, fs)
			}
		})
	}
}

// A dose by volume is what its own product holds: the protocol's strength, 18 MIU in 1 mL, is for products that say nothing.
func TestStrengthOfTheProduct(t *testing.T) {
	strength := func(amount, dimension, per, perDimension string) *timeline.Strength {
		return &timeline.Strength{
			Amount: timeline.Quantity{Value: decimal.Must(amount)}, Dimension: dimension, Per: timeline.Quantity{Value: decimal.Must(per)}, PerDimension: perDimension,
		}
	}
	over := "dev.dose-over important urgent 02-17T08:00"
	for _, tt := range []struct {
		name     string
		mL       string
		strength *timeline.Strength
		want     []string
	}{
		{"none: the protocol's", "2.8", nil, nil},
		{"the same as the protocol's", "2.8", strength("18000000", "[iU]", "1", "mL"), nil},
		{"22 MIU in 1.2 mL: 2.8 mL are 51.33 MIU", "2.8", strength("22000000", "[iU]", "1.2", "mL"), nil},
		{"exactly 10 % more: 55.44 MIU are 3.024 mL of it", "3.024", strength("22000000", "[iU]", "1.2", "mL"), nil},
		{"a microlitre more", "3.025", strength("22000000", "[iU]", "1.2", "mL"), []string{over}},
		{"36 MIU in 1 mL: twice the dose", "2.8", strength("36000000", "[iU]", "1", "mL"), []string{over}},
		{"by mass, and the protocol says what a milligram is", "2.8", strength("1.1", "mg", "1", "mL"), nil},
		{"a strength by mass of the product says nothing of a volume: the protocol's", "2.8", strength("36000000", "[iU]", "1", "mg"), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := enrolled("arm-1").til()
			c.lab(timeline.Weight, "70", "d-8 06:00", "").Results[0].Value.Unit = "kg"
			c.lymphodepletion()
			amount(c.dose("m1", "completed", "d1 08:00"), tt.mL, "mL", "IV").Dose.Strength = tt.strength
			want(t, deviations(c.evaluate(trial(t), at("d1 09:00")).Findings), tt.want...)
		})
	}
}

func TestDosingWeight(t *testing.T) {
	given := func(c *chart) { amount(c.dose("m1", "completed", "d1 08:00"), "50400000", "[iU]", "IV") }
	for _, tt := range []struct {
		name  string
		build func(*chart)
		want  []string
	}{
		{"the last at or before the first cyclophosphamide", func(c *chart) {
			c.lab(timeline.Weight, "60", "d-9 06:00", "")
			c.lab(timeline.Weight, "70", "d-7 08:00", "")
			c.lymphodepletion()
			c.lab(timeline.Weight, "60", "d-7 08:01", "")
			given(c)
		}, nil},
		{"else before the first IL-2", func(c *chart) {
			c.lymphodepletion()
			c.lab(timeline.Weight, "70", "d1 08:00", "")
			given(c)
		}, nil},
		{"none: said once, and no dose is judged", func(c *chart) {
			c.lymphodepletion()
			c.lab(timeline.Weight, "70", "d1 08:01", "")
			amount(c.dose("m1", "completed", "d1 08:00"), "99000000", "[iU]", "IV")
			amount(c.dose("m2", "completed", "d1 16:00"), "99000000", "[iU]", "IV")
		}, []string{"data.ungradable  routine 02-17T08:00"}},
		{"a corrected weight corrects the verdict", func(c *chart) {
			f := c.lab(timeline.Weight, "700", "d-8 06:00", "")
			g := *f
			g.Version = timeline.Version{ID: "2", Digest: "v2"}
			g.Results = []timeline.Result{{Analyte: timeline.Weight, Value: timeline.Quantity{Value: decimal.Int(70), Text: "70"}}}
			c.facts = append(c.facts, &g)
			given(c)
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := enrolled("arm-1").til()
			tt.build(c)
			want(t, deviations(c.evaluate(trial(t), at("d1 17:00")).Findings), tt.want...)
		})
	}
}

// Scenario S18: the other arm's regimen is one deviation, and the assigned arm's slots run on.
func TestWrongArm(t *testing.T) {
	arm := func(at string) string { return "dev.arm-wrong important urgent " + at }
	for _, tt := range []struct {
		name, arm string
		build     func(*chart)
		now       string
		want      []string
	}{
		{"a high dose by vein in arm-2", "arm-2", func(c *chart) { amount(c.dose("m1", "completed", "d1 09:00"), "50400000", "[iU]", "IV") }, "d1 10:00", []string{arm("02-17T09:00")}},
		{"and the day's own dose is still missed", "arm-2", func(c *chart) { amount(c.dose("m1", "completed", "d1 09:00"), "50400000", "[iU]", "IV") }, "d2 00:00", []string{"dev.dose-missed query prompt 02-17T00:00", arm("02-17T09:00")}},
		{"a low dose under the skin in arm-1", "arm-1", func(c *chart) { amount(c.dose("m1", "completed", "d1 08:00"), "2000000", "[iU]", "SC") }, "d1 09:00", []string{arm("02-17T08:00")}},
		{"the right dose by the other arm's route is a wrong route", "arm-1", func(c *chart) { amount(c.dose("m1", "completed", "d1 08:00"), "50400000", "[iU]", "SC") }, "d1 09:00", []string{"dev.route-wrong important urgent 02-17T08:00"}},
		{"the other arm's dose by the right route is a wrong dose", "arm-1", func(c *chart) { amount(c.dose("m1", "completed", "d1 08:00"), "2000000", "[iU]", "IV") }, "d1 09:00", []string{"dev.dose-wrong important urgent 02-17T08:00"}},
		{"without an amount the other arm's route tells", "arm-1", func(c *chart) { c.dose("m1", "completed", "d1 08:00").Dose.Route = "SC" }, "d1 09:00", []string{arm("02-17T08:00")}},
		{"without amount and route nothing does", "arm-1", func(c *chart) { c.dose("m1", "completed", "d1 08:00") }, "d1 09:00", nil},
		{"a dose that was not given is of no arm", "arm-1", func(c *chart) { amount(c.dose("m1", "not-done", "d1 08:00"), "2000000", "[iU]", "SC") }, "d1 09:00", []string{"dev.dose-held-unsupported query routine 02-17T10:00"}},
		{"nobody is judged without an arm", "", func(c *chart) { amount(c.dose("m1", "completed", "d1 08:00"), "2000000", "[iU]", "SC") }, "d1 09:00", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := enrolled(tt.arm).til()
			c.lab(timeline.Weight, "70", "d-8 06:00", "")
			c.lymphodepletion()
			tt.build(c)
			want(t, deviations(c.evaluate(trial(t), at(tt.now)).Findings), tt.want...)
		})
	}
}

// Beyond the ceiling a dose is one too many.
func TestDosesBeyondTheCeiling(t *testing.T) {
	c := enrolled("arm-1").til()
	for i := range 16 {
		c.dose(fmt.Sprintf("m%02d", i), "completed", fmt.Sprintf("d%d %02d:00", 1+(8+7*i)/24, (8+7*i)%24))
	}
	var got []string
	for _, line := range deviations(c.evaluate(trial(t), at("d8 00:00")).Findings) {
		if strings.HasPrefix(line, "dev.dose-over") {
			got = append(got, line)
		}
	}
	want(t, got, "dev.dose-over important urgent 02-21T17:00")
	c = enrolled("arm-2").til()
	for day := 1; day <= 15; day++ {
		c.dose(fmt.Sprintf("m%02d", day), "completed", fmt.Sprintf("d%d 10:00", day))
	}
	want(t, deviations(c.evaluate(trial(t), at("d16 00:00")).Findings), "dev.dose-over important urgent 03-03T10:00")
	// One that is too large as well is one finding.
	amount(c.facts[len(c.facts)-1], "4000000", "[iU]", "SC")
	want(t, deviations(c.evaluate(trial(t), at("d16 00:00")).Findings), "dev.dose-over important urgent 03-03T10:00")
}

// An amount that was sent and cannot be read is asked for, and the dose counts.
func TestAmountThatCannotBeRead(t *testing.T) {
	c := enrolled("arm-1").til()
	c.dose("m1", "completed", "d1 08:00").Dose.AmountProblem = &timeline.Problem{Reason: timeline.ProblemUnitMissing, Detail: `unit "MU"`}
	want(t, deviations(c.evaluate(trial(t), at("d1 09:00")).Findings), "data.unit-missing  routine 02-17T08:00")
}
