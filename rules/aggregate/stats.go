package aggregate

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// Proportion is n of N patients with its exact (Clopper-Pearson) 95 % confidence limits, all in percent with one decimal. Of nobody the percent
// and the limits are null.
type Proportion struct {
	N       int      `json:"n"`
	Of      int      `json:"of"`
	Percent *float64 `json:"percent"`
	Low     *float64 `json:"low"`
	High    *float64 `json:"high"`
}

// NewProportion returns n of N. It panics unless 0 ≤ n ≤ of.
func NewProportion(n, of int) Proportion {
	if n < 0 || n > of {
		panic("aggregate: a part larger than the whole")
	}
	p := Proportion{N: n, Of: of}
	if of == 0 {
		return p
	}
	low, high := clopperPearson(n, of)
	p.Percent, p.Low, p.High = percent(float64(n)/float64(of)), percent(low), percent(high)
	return p
}

// clopperPearson inverts the binomial test: Clopper and Pearson, Biometrika 1934;26:404.
func clopperPearson(n, of int) (low, high float64) {
	const tail = 0.025
	low, high = 0, 1
	if n > 0 {
		low = distuv.Beta{Alpha: float64(n), Beta: float64(of - n + 1)}.Quantile(tail)
	}
	if n < of {
		high = distuv.Beta{Alpha: float64(n + 1), Beta: float64(of - n)}.Quantile(1 - tail)
	}
	return low, high
}

func percent(share float64) *float64 {
	v := math.Round(share*1000) / 10
	return &v
}

// Quantile is the median of a count over patients, its distribution-free 95 % limits (order statistics; null where so few patients
// do not give any, as with fewer than six) and the range. Of nobody all are null.
type Quantile struct {
	Median *float64 `json:"median"`
	Low    *float64 `json:"low"`
	High   *float64 `json:"high"`
	Min    *float64 `json:"min"`
	Max    *float64 `json:"max"`
	Of     int      `json:"of"`
}

// NewQuantile returns the quantile of values, which it sorts. The median of an even number is the mean of the middle two.
func NewQuantile(values []float64) Quantile {
	q := Quantile{Of: len(values)}
	if q.Of == 0 {
		return q
	}
	slices.Sort(values)
	median := (values[(q.Of-1)/2] + values[q.Of/2]) / 2
	q.Median, q.Min, q.Max = &median, &values[0], &values[q.Of-1]
	// The widest symmetric pair of order statistics with at most 2.5 % outside on either side.
	tail, r := 0.0, 0
	for tail += binomialHalf(q.Of, 0); tail <= 0.025; tail += binomialHalf(q.Of, r) {
		r++
	}
	if r > 0 {
		q.Low, q.High = &values[r-1], &values[q.Of-r]
	}
	return q
}

// binomialHalf is the probability of k heads in n throws of a fair coin.
func binomialHalf(n, k int) float64 {
	return distuv.Binomial{N: float64(n), P: 0.5}.Prob(float64(k))
}
