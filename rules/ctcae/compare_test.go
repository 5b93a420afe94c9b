package ctcae_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/trialwatch/trialwatch/rules/ctcae"
	"github.com/trialwatch/trialwatch/rules/decimal"
)

// TestComparisonsExplainTheGrade: the worst step that is met, with what is not known to fail, is the grade that the engine gives, for every criterion and any input.
func TestComparisonsExplainTheGrade(t *testing.T) {
	all := everyCriterion()
	number := func(t *rapid.T, name string) decimal.Rounded {
		return decimal.New(rapid.Int64Range(0, 4000).Draw(t, name), 10).Round()
	}
	operand := func(t *rapid.T, name string) (o ctcae.Operand) {
		if rapid.Bool().Draw(t, name+" known") {
			o = ctcae.Known(number(t, name))
		}
		return o
	}
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom(all).Draw(t, "criterion")
		for i := range c.Limits {
			l := &c.Limits[i]
			in := ctcae.Input{
				Value: ctcae.Point(number(t, "value")), LLN: operand(t, "lln"), ULN: operand(t, "uln"), Baseline: operand(t, "baseline"), Change: operand(t, "change"),
				Threshold: operand(t, "threshold"), Flag: ctcae.Flag(rapid.IntRange(0, 3).Draw(t, "flag")), AtBaseline: rapid.Bool().Draw(t, "at baseline"),
			}
			in.Holds = ctcae.Assumed(rapid.Uint8().Draw(t, "holds"))
			in.Fails = ctcae.Assumed(rapid.Uint8().Draw(t, "fails")) &^ in.Holds
			g := l.Grade(&in)
			if g.Ungradable {
				continue
			}
			steps, _ := l.Compare(&in)
			worst := 0
			for _, s := range steps {
				if s.Answer == ctcae.Yes && s.Settled != ctcae.No {
					worst = s.Grade
					break
				}
			}
			if worst != int(g.Worst) {
				t.Fatalf("%s %s %s: the comparisons say grade %d, the engine %d:\n%+v", c.Version, c.Term, l.Analyte, worst, g.Worst, steps)
			}
		}
	})
}

func TestComparison(t *testing.T) {
	c, err := ctcae.Find(ctcae.V5, "Alanine aminotransferase increased")
	if err != nil {
		t.Fatal(err)
	}
	known := func(n int64) ctcae.Operand { return ctcae.Known(decimal.Int(n).Round()) }
	in := ctcae.Input{Value: ctcae.Point(decimal.Int(212).Round()), ULN: known(40)}
	steps, baseline := c.Of("alt").Compare(&in)
	if baseline != "" || len(steps) != 4 || steps[1].Text != "> 5 x ULN" || steps[1].Limits[0] != "200" || steps[1].Answer != ctcae.Yes || steps[0].Answer != ctcae.No {
		t.Errorf("a normal baseline: %q %+v", baseline, steps)
	}
	in.Baseline, in.Flag = known(60), ctcae.FlagHigh
	steps, baseline = c.Of("alt").Compare(&in)
	if baseline != "high" || steps[2].Text != "> 3 x baseline" || steps[2].Limits[0] != "180" || steps[2].Answer != ctcae.Yes {
		t.Errorf("a high baseline: %q %+v", baseline, steps)
	}
	in = ctcae.Input{Value: ctcae.Point(decimal.Int(212).Round())}
	if steps, _ = c.Of("alt").Compare(&in); steps[0].Missing != ctcae.NoULN || steps[0].Limits[0] != "" || steps[0].Answer.String() != "undecided" {
		t.Errorf("without a limit of normal: %+v", steps[0])
	}
}
