package rules_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/trialwatch/trialwatch/rules/timeline"
)

// of keeps the lines of one rule.
func of(rule string, lines []string) (kept []string) {
	for _, l := range lines {
		if strings.HasPrefix(l, rule) {
			kept = append(kept, l)
		}
	}
	return kept
}

// Scenario S22: fludarabine by body surface, adjusted to the kidneys. 178 cm and 82.4 kg are 2.0185 m2; a man of 58 with a creatinine of 1.6 mg/dL clears 58.65 mL/min.
func TestFludarabineByKidneys(t *testing.T) {
	over, wrong := "dev.dose-over important urgent 02-11T08:00", "dev.dose-wrong important urgent 02-11T08:00"
	for _, tt := range []struct {
		name, creatinine, sex, born, mg string
		want                            []string
		says                            string
	}{
		{"25 mg/m2 where 20 are planned", "1.6", "male", "1968-01-01", "50.5", []string{over}, "50.5 mg given, 40.3694 mg expected (20 mg/m2 × 2.0185 m2, creatinine clearance 58.65 mL/min): 25.1 % over"},
		{"20 mg/m2", "1.6", "male", "1968-01-01", "40.4", nil, ""},
		{"healthy kidneys", "0.9", "male", "1968-01-01", "50.5", nil, ""},
		{"and 20 mg/m2 is too little", "0.9", "male", "1968-01-01", "40.4", []string{wrong}, "% under"},
		{"a woman clears 0.85 of that: 49.85, the next step", "1.6", "female", "1968-01-01", "30.3", nil, ""},
		{"without a date of birth it is not adjusted", "1.6", "male", "", "50.5", nil, ""},
		{"without a creatinine neither", "", "male", "1968-01-01", "50.5", nil, ""},
		{"a day before the birthday one is a year younger", "1.6", "male", "1968-02-12", "40.4", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := enrolled("arm-1").til()
			c.lab(timeline.Weight, "82.4", "d-9 06:00", "")
			c.lab(timeline.Height, "178", "d-9 06:00", "")
			if tt.creatinine != "" {
				c.lab(timeline.CreatinineMass, tt.creatinine, "d-8 06:00", "")
			}
			f := c.add(timeline.RefOf("Patient", "p1"), at("d-14 08:00"))
			f.Person = &timeline.Person{Sex: tt.sex, Born: tt.born}
			c.on(timeline.Cyclophosphamide, -7, -6)
			c.on(timeline.Fludarabine, -4, -3, -2, -1)
			amount(c.drug(timeline.Fludarabine, "d-5 08:00"), tt.mg, "mg", "IV").Dose.Amount.Unit = "mg"
			fs := c.evaluate(trial(t), at("d1 00:00")).Findings
			want(t, of("dev.dose-", deviations(fs)), tt.want...)
			for _, f := range fs {
				if strings.HasPrefix(f.Rule, "dev.dose-") && !strings.Contains(f.Message, tt.says) {
					t.Errorf("%q does not say %q", f.Message, tt.says)
				}
			}
		})
	}
}

func TestTILPrecondition(t *testing.T) {
	for _, tt := range []struct {
		name, last string // fludarabine; TIL starts at d0 09:00
		want       []string
	}{
		{"20 h", "d-1 13:00", []string{"dev.til-precondition important prompt 02-16T09:00"}},
		{"exactly 24 h is not more than 24 h", "d-1 09:00", []string{"dev.til-precondition important prompt 02-16T09:00"}},
		{"a minute more is", "d-1 08:59", nil},
		{"exactly 4 days", "d-4 09:00", nil},
		{"a minute more is too long", "d-4 08:59", []string{"dev.til-precondition important prompt 02-16T09:00"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := enrolled("arm-1").til()
			c.drug(timeline.Fludarabine, "d-5 09:00")
			c.drug(timeline.Fludarabine, tt.last)
			want(t, of("dev.til", deviations(c.evaluate(trial(t), at("d1 00:00")).Findings)), tt.want...)
		})
	}
	c := enrolled("arm-1").til()
	f := c.drug(timeline.Fludarabine, "d-1 08:00")
	f.End = at("d-1 09:30") // the end of the infusion counts
	want(t, of("dev.til", deviations(c.evaluate(trial(t), at("d1 00:00")).Findings)), "dev.til-precondition important prompt 02-16T09:00")
	want(t, of("dev.til", deviations(enrolled("arm-1").til().evaluate(trial(t), at("d1 00:00")).Findings)))
}

func TestProhibitedCoMedication(t *testing.T) {
	told := []string{"dev.conmed-prohibited important prompt 02-18T08:00"}
	for _, tt := range []struct {
		name  string
		build func(*timeline.Fact)
		when  string
		want  []string
	}{
		{"a steroid by mouth", func(f *timeline.Fact) { f.Dose.Route = "PO" }, "d2 08:00", told},
		{"by a route that nobody told", func(*timeline.Fact) {}, "d2 08:00", told},
		{"on the skin", func(f *timeline.Fact) { f.Dose.Route = "local" }, "d2 08:00", nil},
		{"for the adrenals", func(f *timeline.Fact) { f.Dose.For = []string{"adrenal-insufficiency"} }, "d2 08:00", nil},
		{"not given", func(f *timeline.Fact) { f.Dose.Status = "not-done" }, "d2 08:00", nil},
		{"the evening before", func(*timeline.Fact) {}, "d-1 23:59", nil},
		{"on day 0, before the cells", func(*timeline.Fact) {}, "d0 00:00", []string{"dev.conmed-prohibited important prompt 02-16T00:00"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := enrolled("arm-1").til()
			tt.build(c.drug(timeline.Steroid, tt.when))
			want(t, of("dev.conmed", deviations(c.evaluate(trial(t), at("d3 00:00")).Findings)), tt.want...)
		})
	}
}

// Scenario S23: pembrolizumab is due on day 21, then every 21 days, 3 days either side.
func TestPembrolizumab(t *testing.T) {
	type given struct{ when, status string }
	for _, tt := range []struct {
		name  string
		doses []given
		now   string
		want  []string
	}{
		{"day 24 is in the window", []given{{"d24 23:59", "completed"}}, "d25 01:00", nil},
		{"day 25 is late", []given{{"d25 00:00", "completed"}}, "d25 12:00", []string{"dev.dose-late minor routine 03-09T00:00"}},
		{"day 18 is in the window", []given{{"d18 00:00", "completed"}}, "d19 00:00", nil},
		{"day 17 is early", []given{{"d17 23:00", "completed"}}, "d19 00:00", []string{"dev.dose-early minor routine 03-09T00:00"}},
		{"nothing by the end of day 24", nil, "d24 23:59", nil},
		{"is missed at the midnight that ends it, as a question while nothing is recorded", nil, "d25 00:00", []string{"dev.dose-missed query prompt 03-09T00:00"}},
		{"the next is due 21 days after the dose, not after the plan", []given{{"d24 10:00", "completed"}, {"d48 10:00", "completed"}}, "d49 00:00", nil},
		{"a day later is late", []given{{"d24 10:00", "completed"}, {"d49 10:00", "completed"}}, "d50 00:00", []string{"dev.dose-late minor routine 04-02T00:00"}},
		{"a cycle without a record is missed, important", []given{{"d21 10:00", "completed"}}, "d46 00:00", []string{"dev.dose-missed important prompt 03-30T00:00"}},
		{"and the next dose belongs to the next cycle", []given{{"d21 10:00", "completed"}, {"d63 10:00", "completed"}}, "d64 00:00", []string{"dev.dose-missed important prompt 03-30T00:00"}},
		{"a record of not giving accounts for it", []given{{"d21 10:00", "completed"}, {"d42 10:00", "not-done"}}, "d46 00:00", []string{"dev.dose-held-unsupported query routine 03-30T00:00"}},
		{"a stop ends expectations", []given{{"d21 10:00", "completed"}, {"d42 10:00", "stopped"}}, "d90 00:00", []string{"dev.dose-held-unsupported query routine 03-30T00:00"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := enrolled("arm-2").til()
			for day := 1; day <= 14; day++ {
				c.dose("il2-"+string(rune('a'+day)), "completed", "d"+strings.TrimLeft("0"+string(rune('0'+day/10))+string(rune('0'+day%10)), "0")+" 10:00")
			}
			for i, d := range tt.doses {
				f := c.dose("p"+string(rune('a'+i)), d.status, d.when)
				f.Dose.Drug = timeline.Pembrolizumab
			}
			want(t, deviations(c.evaluate(trial(t), at(tt.now)).Findings), tt.want...)
		})
	}
}

func TestPembrolizumabOrderStopped(t *testing.T) {
	c := enrolled("arm-2").til()
	c.dose("p", "completed", "d21 10:00").Dose.Drug = timeline.Pembrolizumab
	c.order("o", "stopped", "d41 00:00").Order.Drug = timeline.Pembrolizumab
	if got := of("dev.dose-missed", deviations(c.evaluate(trial(t), at("d90 00:00")).Findings)); slices.ContainsFunc(got, func(line string) bool { return strings.HasSuffix(line, "03-30T00:00") }) {
		t.Errorf("the cycle of day 42 is missed after the order was stopped: %v", got)
	}
}

// Liver values since the dose before, at most 21 days old, hold pembrolizumab. What rose under IL-2 before the first dose is no matter of its rules.
func TestPembrolizumabDespiteHold(t *testing.T) {
	told := []string{"dev.dosed-despite-hold important urgent 03-30T00:00"}
	for _, tt := range []struct {
		name        string
		value, when string
		normal      string
		want        []string
	}{
		{"5.3 x ULN the day before", "212", "d41 06:00", "..40", told},
		{"3 x ULN exactly is not above it", "120", "d41 06:00", "..40", nil},
		{"without a limit of normal nothing can be said", "212", "d41 06:00", "", nil},
		{"before the dose before", "212", "d20 06:00", "..40", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := enrolled("arm-2").til()
			for i, when := range []string{"d21 10:00", "d42 10:00"} {
				c.dose("p"+string(rune('a'+i)), "completed", when).Dose.Drug = timeline.Pembrolizumab
			}
			c.lab(timeline.ALT, tt.value, tt.when, tt.normal)
			got := of("dev.dosed", deviations(c.evaluate(trial(t), at("d43 00:00")).Findings))
			if tt.name == "before the dose before" && len(got) == 1 && strings.HasSuffix(got[0], "03-09T00:00") {
				got = nil // it stands before the first dose, as it should
			}
			want(t, got, tt.want...)
		})
	}
}
