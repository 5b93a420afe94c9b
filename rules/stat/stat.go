// Package stat holds the statistics that a trial's tables and curves need, and no more. Every limit is two-sided at 95 %.
//
// Exact methods are used wherever they exist; each function names its source. What the data do not allow to estimate is a nil pointer or a second
// result of false, never a NaN or an infinity. Results are the same to the bit for any order of the input, and no input is changed. Input that no
// data can give (a negative count, a part larger than the whole, a NaN) panics: it is a mistake of the caller.
//
// Distributions are gonum's. All of it is compared with R (binom.test, fisher.test, wilcox.test, the packages survival and coin) over the 800 data sets
// in testdata/oracle.ndjson, which testdata/oracle.R makes ("make oracle"): everything agrees to 1e-11 of its value.
package stat

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// tail is what lies outside of either limit.
const tail = 0.025

// normal is the standard normal quantile of the upper limit: 1.96.
var normal = mathext.NormalQuantile(1 - tail)

// Estimate is a value with its limits. What is nil cannot be estimated; tables print it as NA. The zero value estimates nothing.
type Estimate struct {
	Value, Low, High *float64
}

// finite panics on what is not a number.
func finite(values ...float64) {
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			panic("stat: not a finite number")
		}
	}
}

// ClopperPearson returns the exact limits of a share of n in of: Clopper and Pearson, Biometrika 1934;26:404, by quantiles of the beta distribution.
// Of nobody nothing is known: 0 to 1.
func ClopperPearson(n, of int) (low, high float64) {
	if n < 0 || n > of {
		panic("stat: a part larger than the whole, or less than nothing")
	}
	low, high = 0, 1
	if n > 0 {
		low = mathext.InvRegIncBeta(float64(n), float64(of-n+1), tail)
	}
	if n < of {
		high = mathext.InvRegIncBeta(float64(n+1), float64(of-n), 1-tail)
	}
	return low, high
}

// Quantile returns the p-quantile of values: R's type 7, a line between the order statistics around (n-1)p (Hyndman and Fan, Am Stat 1996;50:361).
// The median of an even number is thus the mean of the middle two. Of no values there is none.
func Quantile(values []float64, p float64) (float64, bool) { return valuesOf(values).Quantile(p) }

// Median is the median with its distribution-free limits: the widest symmetric pair of order statistics with at most 2.5 % of the binomial
// distribution outside on either side (Conover, Practical Nonparametric Statistics, 3rd ed., section 3.2). Fewer than six values give no limits.
func Median(values []float64) Estimate { return valuesOf(values).Median() }
