package stat

import (
	"math"
	"sort"
)

// FisherExact is the two-sided P of the exact test of a 2×2 table: n1 of of1 against n2 of of2. It sums the hypergeometric probabilities of all tables
// with these margins that are no likelier than the one seen, within a relative 1e-7 as R's fisher.test does (Fisher, Statistical Methods for Research
// Workers, 5th ed., section 21.02; Freeman and Halton, Biometrika 1951;38:141). Where a margin is zero it is 1.
func FisherExact(n1, of1, n2, of2 int) float64 {
	t := newTable(n1, of1, n2, of2)
	seen := t.weight(n1)
	extreme, all := 0.0, 0.0
	t.weights(1, seen*negligible, func(_ int, w float64) {
		all += w
		if w <= seen*(1+1e-7) {
			extreme += w
		}
	})
	return extreme / all
}

// OddsRatio is the conditional maximum likelihood estimate of the odds ratio of n1 of of1 to n2 of of2 with its exact limits: the odds ratios at which
// the noncentral hypergeometric distribution has the count seen as its mean, and 2.5 % on or beyond it (Cornfield, Proc Third Berkeley Symp 1956;4:135):
// what R's fisher.test gives. Nil is an infinite value or limit; where a margin is zero, where nothing is known, all but the lower limit 0 are nil.
func OddsRatio(n1, of1, n2, of2 int) Estimate {
	t := newTable(n1, of1, n2, of2)
	e := Estimate{Low: new(0.0)}
	if n1 > t.low {
		e.Low = new(t.odds(n1, tail, func(x int) float64 { return indicator(x >= n1) }))
	}
	if n1 < t.high {
		e.High = new(t.odds(n1, 1-tail, func(x int) float64 { return indicator(x > n1) }))
		e.Value = new(0.0)
		if n1 > t.low {
			e.Value = new(t.odds(n1, float64(n1), func(x int) float64 { return float64(x) }))
		}
	}
	return e
}

func indicator(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// table is the margins of a 2×2 table, and the least and the largest count that its first cell can have with them.
type table struct {
	of1, of2, n int
	low, high   int
}

func newTable(n1, of1, n2, of2 int) table {
	if n1 < 0 || n2 < 0 || n1 > of1 || n2 > of2 {
		panic("stat: a part larger than the whole, or less than nothing")
	}
	n := n1 + n2
	return table{of1, of2, n, max(0, n-of2), min(of1, n)}
}

// ratio is that of the weight of x+1 to that of x, but for the odds; it falls with x.
func (t table) ratio(x int) float64 {
	return float64(t.of1-x) / float64(x+1) * float64(t.n-x) / float64(t.of2-t.n+x+1)
}

// mode is the likeliest count.
func (t table) mode(odds float64) int {
	return t.low + sort.Search(t.high-t.low, func(i int) bool { return odds*t.ratio(t.low+i) < 1 })
}

// weight is that of one count where the odds ratio is 1.
func (t table) weight(x int) float64 {
	w, mode := 1.0, t.mode(1)
	for i := mode; i < x; i++ {
		w *= t.ratio(i)
	}
	for i := mode; i > x; i-- {
		w /= t.ratio(i - 1)
	}
	return w
}

// negligible is what a weight is beside another that it cannot change: those beyond it fall at least as fast as it did.
const negligible = 1e-20

// weights calls each with the counts and their weights, which are in proportion to their probabilities, from the likeliest, which has 1, upwards and then downwards, until
// they fall below the least that counts. Each follows from its neighbour, so that no factorial is needed and nothing overflows.
func (t table) weights(odds, least float64, each func(x int, w float64)) {
	mode := t.mode(odds)
	each(mode, 1)
	for x, w := mode, 1.0; x < t.high && w >= least; x++ {
		w *= odds * t.ratio(x)
		each(x+1, w)
	}
	for x, w := mode, 1.0; x > t.low && w >= least; x-- {
		w /= odds * t.ratio(x-1)
		each(x-1, w)
	}
}

// odds is the odds ratio at which the mean of a function that rises with the count, of which seen was seen, is as wanted: by Newton's method in the logarithm of the odds
// ratio, in which the slope is the covariance of function and count, kept between what was found too low and too high.
func (t table) odds(seen int, want float64, of func(x int) float64) float64 {
	half := func(n int) float64 { return float64(n) + 0.5 }
	at := math.Log(half(seen) / half(t.of1-seen) * half(t.of2-t.n+seen) / half(t.n-seen))
	low, high := math.Inf(-1), math.Inf(1)
	for range 200 {
		all, sum, mean, both := 0.0, 0.0, 0.0, 0.0
		t.weights(math.Exp(at), negligible, func(x int, w float64) {
			all += w
			if f := of(x); f != 0 {
				sum += w * f
				both += w * f * float64(x-seen)
			}
			mean += w * float64(x-seen)
		})
		off, slope := sum/all-want, (both-sum*mean/all)/all
		if off < 0 {
			low = at
		} else {
			high = at
		}
		next := at - off/slope
		switch {
		case next > low && next < high && math.Abs(next-at) < 8: // false of a NaN, too
		case math.IsInf(low, -1):
			next = high - 4
		case math.IsInf(high, 1):
			next = low + 4
		default:
			next = (low + high) / 2
		}
		if math.Abs(next-at) <= 1e-14*max(1, math.Abs(at)) {
			return math.Exp(next)
		}
		at = next
	}
	return math.Exp(at)
}
