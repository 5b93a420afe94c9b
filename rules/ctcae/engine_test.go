package ctcae_test

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/apd/v3"
	"pgregory.net/rapid"

	"github.com/trialwatch/trialwatch/rules/ctcae"
	"github.com/trialwatch/trialwatch/rules/decimal"
)

var versions = []ctcae.Version{ctcae.V4, ctcae.V5, ctcae.V6}

func everyCriterion() (all []*ctcae.Criterion) {
	for _, v := range versions {
		all = append(all, ctcae.All(v)...)
	}
	return all
}

// A criterion must be complete and lead with the worst grade: the engine takes the first step that is met.
func TestCriteriaAreInOrder(t *testing.T) {
	terms := map[string]bool{}
	for _, c := range everyCriterion() {
		name := string(c.Version) + " " + c.Term
		if c.Term == "" || c.Slug == "" || c.SOC == "" || c.Key == "" || !strings.Contains(c.Source(), c.Term) {
			t.Errorf("%s: %+v lacks something", name, c)
		}
		if terms[name] {
			t.Errorf("%s is there twice", name)
		}
		terms[name] = true
		if c.Graded() == (len(c.Limits) == 0 && c.ByRule == "") {
			t.Errorf("%s: graded %v with %d limits and rule %q", name, c.Graded(), len(c.Limits), c.ByRule)
		}
		if !c.Graded() && len(c.Clinician) == 0 {
			t.Errorf("%s: neither data nor a clinician grade it", name)
		}
		for _, l := range c.Limits {
			if l.Criterion() != c {
				t.Errorf("%s: the limits of %s belong to another criterion", name, l.Analyte)
			}
			for _, steps := range [][]ctcae.Step{l.Steps, l.IfHigh, l.IfLow, l.IfAboveULN} {
				if !slices.IsSortedFunc(steps, func(a, b ctcae.Step) int { return b.Grade - a.Grade }) {
					t.Errorf("%s: the worst grade does not lead: %+v", name, steps)
				}
			}
		}
		for _, g := range c.Clinician {
			for _, l := range c.Limits {
				if slices.ContainsFunc(l.Steps, func(s ctcae.Step) bool { return s.Grade == g }) {
					t.Errorf("%s: grade %d is a clinician's and a limit's", name, g)
				}
			}
		}
	}
}

func TestFindAndResolve(t *testing.T) {
	for _, tt := range []struct {
		version ctcae.Version
		name    string
		want    string // the term, or part of the error
	}{
		{ctcae.V5, "Neutrophil count decreased", "Neutrophil count decreased"},
		{ctcae.V5, "neutrophil-count-decreased", "Neutrophil count decreased"},
		{ctcae.V5, " NEUTROPHIL  COUNT DECREASED ", "Neutrophil count decreased"},
		{ctcae.V5, "hypercalcemia (ionized)", "Hypercalcemia (Ionized)"},
		{ctcae.V5, "hypercalcemia-ionized", "Hypercalcemia (Ionized)"},
		{ctcae.V5, "Thrombocytopenia", "it is one of 6.0"},
		{ctcae.V6, "CPK increased", "it is one of 4.03, 5.0"},
		{ctcae.V6, "Headache", "no version of CTCAE"},
		{"7.0", "Anemia", "is not one of 4.03, 5.0, 6.0"},
	} {
		c, err := ctcae.Find(tt.version, tt.name)
		got := fmt.Sprint(err)
		if err == nil {
			got = c.Term
		}
		if !strings.Contains(got, tt.want) {
			t.Errorf("%s in %s: %s, want %s", tt.name, tt.version, got, tt.want)
		}
	}
	for _, tt := range []struct {
		version ctcae.Version
		slug    string
		want    string
		known   bool
	}{
		{ctcae.V5, "platelet-count-decreased", "Platelet count decreased", true},
		{ctcae.V6, "platelet-count-decreased", "Thrombocytopenia", true}, // one measurement, another name
		{ctcae.V5, "thrombocytopenia", "Platelet count decreased", true},
		{ctcae.V6, "lymphocyte-count-decreased", "Lymphopenia", true},
		{ctcae.V6, "ejection-fraction-decreased", "Left ventricular dysfunction", true},
		{ctcae.V6, "cpk-increased", "", true}, // deleted
		{ctcae.V4, "thyroid-stimulating-hormone-increased", "", true},
		{ctcae.V6, "headache", "", false},
	} {
		c, known := ctcae.Resolve(tt.version, tt.slug)
		got := ""
		if c != nil {
			got = c.Term
		}
		if got != tt.want || known != tt.known {
			t.Errorf("%s in %s: %q, known %v; want %q, %v", tt.slug, tt.version, got, known, tt.want, tt.known)
		}
	}
}

// drawInput is any measurement with anything known or not known of it.
func drawInput(t *rapid.T) ctcae.Input {
	number := rapid.Custom(func(t *rapid.T) decimal.Rounded {
		return decimal.MustRound(fmt.Sprintf("%de%d", rapid.Int64Range(0, 99_999).Draw(t, "digits"), rapid.IntRange(-6, 3).Draw(t, "exponent")))
	})
	operand := rapid.Custom(func(t *rapid.T) ctcae.Operand {
		if rapid.Bool().Draw(t, "known") {
			return ctcae.Known(number.Draw(t, "number"))
		}
		return ctcae.Operand{}
	})
	in := ctcae.Input{
		Value: ctcae.Point(number.Draw(t, "value")), LLN: operand.Draw(t, "LLN"), ULN: operand.Draw(t, "ULN"), Baseline: operand.Draw(t, "baseline"),
		Threshold: operand.Draw(t, "threshold"), Flag: rapid.SampledFrom([]ctcae.Flag{ctcae.FlagUnknown, ctcae.FlagNormal, ctcae.FlagHigh, ctcae.FlagLow}).Draw(t, "flag"),
		AtBaseline: rapid.IntRange(0, 3).Draw(t, "at baseline") == 0, Holds: ctcae.Assumed(rapid.Uint8().Draw(t, "holds")),
	}
	in.Fails = ctcae.Assumed(rapid.Uint8().Draw(t, "fails")) &^ in.Holds
	if rapid.Bool().Draw(t, "change known") {
		in.Change = ctcae.Known(decimal.MustRound(fmt.Sprint(rapid.IntRange(-120, 120).Draw(t, "change"))))
	}
	return in
}

func drawLimits(t *rapid.T) *ctcae.Limits {
	all := everyCriterion()
	all = slices.DeleteFunc(all, func(c *ctcae.Criterion) bool { return len(c.Limits) == 0 })
	c := rapid.SampledFrom(all).Draw(t, "criterion")
	return &c.Limits[rapid.IntRange(0, len(c.Limits)-1).Draw(t, "limits")]
}

// A worse value never has a milder grade, all else equal. Where a grade is missing nothing is compared.
func TestGradesAreMonotoneInTheValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLimits(t)
		a := drawInput(t)
		b := a
		b.Value = drawInput(t).Value
		x, y := l.Grade(&a), l.Grade(&b)
		if x.Ungradable || y.Ungradable {
			return
		}
		if a.Value.Low.Cmp(b.Value.Low) > 0 {
			x, y = y, x
		}
		if l.Criterion().Direction == "low" { // now x is of the worse value
			x, y = y, x
		}
		if x.Worst > y.Worst || x.Min > y.Min || x.Max > y.Max {
			t.Fatalf("%s from %s: %+v has grade %+v, %+v has %+v", l.Criterion().Source(), l.Analyte, a, x, b, y)
		}
	})
}

// A grading is a grade between its bounds or none at all, assumptions that are settled leave no range, and a comparator's range holds every grade of
// the values that it allows.
func TestGradingsAreConsistent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLimits(t)
		in := drawInput(t)
		g := l.Grade(&in)
		if g.Ungradable {
			if g.Why == 0 || g.Min != 0 || g.Max != 0 {
				t.Fatalf("%s: %+v", l.Criterion().Source(), g)
			}
			return
		}
		if g.Min < 0 || g.Min > g.Worst || g.Worst != g.Max || g.Max > 4 {
			t.Fatalf("%s: %+v of an exact value", l.Criterion().Source(), g)
		}
		settled := in
		settled.Holds, settled.Fails = ^in.Fails, in.Fails
		if s := l.Grade(&settled); !s.Certain() || s.Max > g.Max || s.Max < g.Min {
			t.Fatalf("%s: %+v, and %+v once all assumptions are settled", l.Criterion().Source(), g, s)
		}
		for _, comparator := range []string{"<", "<=", ">", ">="} {
			bound := decimal.New(rapid.Int64Range(0, 99_999).Draw(t, "bound"), 100)
			wide := in
			wide.Value = ctcae.Of(bound, comparator).Rounded()
			inside := in.Value.Low.Cmp(bound.Round())
			if ok := map[string]bool{"<": inside < 0, "<=": inside <= 0, ">": inside > 0, ">=": inside >= 0}[comparator]; !ok {
				continue
			}
			if w := l.Grade(&wide); !w.Ungradable && (w.Min > g.Min || w.Max < g.Max) {
				t.Fatalf("%s: %s%s is %+v, %+v is %+v", l.Criterion().Source(), comparator, bound, w, in.Value, g)
			}
		}
	})
}

// Grading does not allocate: it runs for every result of every patient at every fact.
func TestGradingDoesNotAllocate(t *testing.T) {
	rows := benchRows()
	if n := testing.AllocsPerRun(10, func() {
		for i := range rows {
			sink = rows[i].limits.Grade(&rows[i].in)
		}
	}); n != 0 {
		t.Errorf("%v allocations for %d rows", n, len(rows))
	}
}

var sink ctcae.Grading

type benchRow struct {
	limits *ctcae.Limits
	in     ctcae.Input
}

// benchRows are every criterion of every version over values from far below to far above its limits, with all that it can need.
func benchRows() (rows []benchRow) {
	for _, c := range everyCriterion() {
		for i := range c.Limits {
			for _, v := range []string{"0.1", "0.9", "3", "7.36", "40", "66.6", "119.99999999999999", "500"} {
				for _, flag := range []ctcae.Flag{ctcae.FlagNormal, ctcae.FlagHigh} {
					n := ctcae.Known
					rows = append(rows, benchRow{&c.Limits[i], ctcae.Input{
						Value: ctcae.Point(decimal.MustRound(v)), LLN: n(decimal.MustRound("12")), ULN: n(decimal.MustRound("40")), Baseline: n(decimal.MustRound("38.5")), Flag: flag,
						Change: n(decimal.MustRound("-30")), Threshold: n(decimal.MustRound("90")),
					}})
				}
			}
		}
	}
	return rows
}

// BenchmarkGrade grades parsed rows over every criterion of every version, in rows a CPU second of the process. Beside it one criterion, by this engine and with the
// same comparisons in a decimal library of arbitrary precision.
func BenchmarkGrade(b *testing.B) {
	rows := benchRows()
	b.Run("every-criterion", func(b *testing.B) {
		b.ReportAllocs()
		before := cpu(b)
		for b.Loop() {
			for i := range rows {
				sink = rows[i].limits.Grade(&rows[i].in)
			}
		}
		b.ReportMetric(float64(b.N)*float64(len(rows))/(cpu(b)-before), "rows/cpu-s")
	})
	one := limits(b, ctcae.V4, "Alanine aminotransferase increased", "alt")
	b.Run("one-criterion", func(b *testing.B) {
		in := ctcae.Input{Value: ctcae.Point(decimal.MustRound("66.6")), ULN: ctcae.Known(decimal.MustRound("40"))}
		before := cpu(b)
		for b.Loop() {
			sink = one.Grade(&in)
		}
		b.ReportMetric(float64(b.N)/(cpu(b)-before), "rows/cpu-s")
	})
	b.Run("one-criterion-apd", func(b *testing.B) {
		value, uln := apd.New(666, -1), apd.New(40, 0)
		ladder := []*apd.Decimal{apd.New(20, 0), apd.New(5, 0), apd.New(3, 0), apd.New(1, 0)}
		before := cpu(b)
		var limit apd.Decimal
		for b.Loop() {
			sink = ctcae.Grading{}
			for i, times := range ladder {
				if _, err := fifteen.Mul(&limit, times, uln); err != nil {
					b.Fatal(err)
				}
				if value.Cmp(&limit) > 0 {
					worst := int8(4 - i)
					sink = ctcae.Grading{Min: worst, Worst: worst, Max: worst}
					break
				}
			}
		}
		b.ReportMetric(float64(b.N)/(cpu(b)-before), "rows/cpu-s")
	})
}

var fifteen = apd.Context{Precision: decimal.Digits, MaxExponent: apd.MaxExponent, MinExponent: apd.MinExponent, Rounding: apd.RoundHalfEven}

// cpu is the process's CPU time so far, in seconds.
func cpu(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// FuzzGrade: no number makes the engine panic or answer outside 0 to 4.
func FuzzGrade(f *testing.F) {
	f.Add(uint16(0), "0.4", "1.8", "7.5", "3", uint8(1))
	f.Add(uint16(40), "1e308", "1e-308", "999999999999999.9", "0", uint8(255))
	all := everyCriterion()
	f.Fuzz(func(t *testing.T, which uint16, value, lln, uln, base string, bits uint8) {
		c := all[int(which)%len(all)]
		operand := func(s string) ctcae.Operand {
			n, err := decimal.ParseRounded(s)
			if err != nil {
				return ctcae.Operand{}
			}
			return ctcae.Known(n)
		}
		in := ctcae.Input{LLN: operand(lln), ULN: operand(uln), Baseline: operand(base), Threshold: operand(base), Change: operand(lln), Flag: ctcae.Flag(bits & 3), AtBaseline: bits&4 != 0}
		if v := operand(value); v.Known {
			in.Value = ctcae.Point(v.Number)
		}
		for i := range c.Limits {
			if g := c.Limits[i].Grade(&in); g.Min < 0 || g.Max > 4 || g.Ungradable != (g.Why != 0) {
				t.Fatalf("%s: %+v", c.Source(), g)
			}
		}
	})
}
