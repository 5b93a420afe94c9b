package stat

import "sort"

// FisherExact is the two-sided P of the exact test of a 2×2 table: n1 of of1 against n2 of of2. It sums the hypergeometric probabilities of all tables
// with these margins that are no likelier than the one seen, within a relative 1e-7 as R's fisher.test does (Fisher, Statistical Methods for Research
// Workers, 5th ed., section 21.02; Freeman and Halton, Biometrika 1951;38:141). Where a margin is zero it is 1.
func FisherExact(n1, of1, n2, of2 int) float64 {
	t := newTable(n1, of1, n2, of2)
	weights := t.weights(1)
	seen := weights[n1-t.low] * (1 + 1e-7)
	extreme, all := 0.0, 0.0
	for _, w := range weights {
		all += w
		if w <= seen {
			extreme += w
		}
	}
	return extreme / all
}

// OddsRatio is the conditional maximum likelihood estimate of the odds ratio of n1 of of1 to n2 of of2 with its exact limits: the odds ratios at which
// the noncentral hypergeometric distribution has the count seen as its mean, and 2.5 % on or beyond it (Cornfield, Proc Third Berkeley Symp 1956;4:135):
// what R's fisher.test gives. Nil is an infinite value or limit; where a margin is zero, where nothing is known, all but the lower limit 0 are nil.
func OddsRatio(n1, of1, n2, of2 int) Estimate {
	t := newTable(n1, of1, n2, of2)
	e := Estimate{Low: new(0.0)}
	if n1 > t.low {
		e.Low = new(t.odds(tail, func(x int) float64 { return indicator(x >= n1) }))
	}
	if n1 < t.high {
		e.High = new(t.odds(1-tail, func(x int) float64 { return indicator(x > n1) }))
		e.Value = new(0.0)
		if n1 > t.low {
			e.Value = new(t.odds(float64(n1), func(x int) float64 { return float64(x) }))
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

// weights are in proportion to the probabilities of the counts from low to high; the likeliest has 1. Each follows from its neighbour, so that no
// factorial is needed and nothing overflows.
func (t table) weights(odds float64) []float64 {
	ratio := func(x int) float64 { // of the weight of x+1 to that of x; falls with x
		return odds * float64(t.of1-x) / float64(x+1) * float64(t.n-x) / float64(t.of2-t.n+x+1)
	}
	w := make([]float64, t.high-t.low+1)
	mode := sort.Search(t.high-t.low, func(i int) bool { return ratio(t.low+i) < 1 })
	w[mode] = 1
	for i := mode; i < len(w)-1; i++ {
		w[i+1] = w[i] * ratio(t.low+i)
	}
	for i := mode - 1; i >= 0; i-- {
		w[i] = w[i+1] / ratio(t.low+i)
	}
	return w
}

// odds is the odds ratio at which the mean of a function that rises with the count is as wanted.
func (t table) odds(want float64, of func(x int) float64) float64 {
	below := func(odds float64) bool {
		sum, all := 0.0, 0.0
		for i, w := range t.weights(odds) {
			sum += w * of(t.low+i)
			all += w
		}
		return sum < want*all
	}
	low, high := 1.0, 1.0
	for !below(low) {
		low /= 2
	}
	for below(high) {
		high *= 2
	}
	for {
		middle := (low + high) / 2
		switch {
		case middle <= low || middle >= high:
			return middle
		case below(middle):
			low = middle
		default:
			high = middle
		}
	}
}
