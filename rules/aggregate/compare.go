package aggregate

import (
	"math"

	"github.com/trialwatch/trialwatch/rules/stat"
)

// FisherTest compares two shares: the two-sided P of Fisher's exact test and the odds ratio with its exact limits, null where nothing can be said or the limit
// is infinite. The shares stand in the arms' entries.
type FisherTest struct {
	FisherP *float64 `json:"fisherP"`
	Odds    Limits   `json:"oddsRatio"`
}

// Limits are an estimate with its 95 % limits; null is what the data do not reach.
type Limits struct {
	Value *float64 `json:"value"`
	Low   *float64 `json:"low"`
	High  *float64 `json:"high"`
}

// RankSumTest compares two groups of values by the two-sided test of Wilcoxon, Mann and Whitney; P is null where a group has none.
type RankSumTest struct {
	RankSumP *float64 `json:"rankSumP"`
	Of       [2]int   `json:"of"` // values of each arm
}

// LogRankTest compares the survival of the arms; P is null where nothing can be compared.
type LogRankTest struct {
	LogRankP *float64 `json:"logRankP"`
}

// pair is the entries of two arms; ok is false where the protocol has more or fewer.
func pair[E any](p Panel) (a, b E, ok bool) {
	if len(p.Arms) != 2 {
		return a, b, false
	}
	return p.Arms[0].(E), p.Arms[1].(E), true
}

// fisherP is nil where an arm is empty.
func fisherP(n1, of1, n2, of2 int) *float64 {
	if of1 == 0 || of2 == 0 {
		return nil
	}
	p := stat.FisherExact(n1, of1, n2, of2)
	return figures(&p)
}

func rankSum(pair *stat.Pair) RankSumTest {
	r, ok := pair.RankSum()
	test := RankSumTest{Of: pair.Sizes()}
	if ok {
		test.RankSumP = figures(&r.P)
	}
	return test
}

func limits(e stat.Estimate) Limits { return Limits{figures(e.Value), figures(e.Low), figures(e.High)} }

// figures keeps four significant figures, as many as anybody reads. nil stays nil.
func figures(v *float64) *float64 {
	if v == nil || *v == 0 {
		return v
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(*v))))
	r := math.Round(*v*scale) / scale
	return &r
}

// places keeps some decimal places. nil stays nil.
func places(v *float64, n int) *float64 {
	if v == nil {
		return nil
	}
	scale := [...]float64{1, 10, 100, 1000, 10_000}[n]
	r := math.Round(*v*scale) / scale
	return &r
}
