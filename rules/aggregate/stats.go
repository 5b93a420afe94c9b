package aggregate

import (
	"math"

	"github.com/trialwatch/trialwatch/rules/stat"
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
	low, high := stat.ClopperPearson(n, of)
	p.Percent, p.Low, p.High = percent(float64(n)/float64(of)), percent(low), percent(high)
	return p
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

// NewQuantile returns the quantile of values. The median of an even number is the mean of the middle two.
func NewQuantile(values []float64) Quantile {
	v := &stat.Values{}
	for _, x := range values {
		v.Add(x)
	}
	return quantile(v)
}

func quantile(v *stat.Values) Quantile {
	e := v.Median()
	q := Quantile{Median: e.Value, Low: e.Low, High: e.High, Of: v.N()}
	if sorted := v.Sorted(); q.Of > 0 {
		q.Min, q.Max = new(sorted[0]), new(sorted[q.Of-1])
	}
	return q
}
