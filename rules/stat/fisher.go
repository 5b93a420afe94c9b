package stat

import "math"

// FisherExact is the two-sided P of the exact test of a 2×2 table: n1 of of1 against n2 of of2. It sums the hypergeometric probabilities of all tables
// with these margins that are no likelier than the one seen, within a relative 1e-7 as R's fisher.test does (Fisher, Statistical Methods for Research
// Workers, 5th ed., section 21.02; Freeman and Halton, Biometrika 1951;38:141). Where a margin is zero it is 1.
func FisherExact(n1, of1, n2, of2 int) float64 {
	low, weights := hypergeometric(n1, of1, n2, of2)
	seen := weights[n1-low]
	extreme, all := 0.0, 0.0
	for _, w := range weights {
		all += w
		if w <= seen*(1+1e-7) {
			extreme += w
		}
	}
	return extreme / all
}

// hypergeometric returns the weights of every count that the first cell can have with these margins, from the least; the likeliest has 1. Each
// follows from its neighbour, so that no factorial is needed.
func hypergeometric(n1, of1, n2, of2 int) (low int, weights []float64) {
	if n1 < 0 || n2 < 0 || n1 > of1 || n2 > of2 {
		panic("stat: a part larger than the whole, or less than nothing")
	}
	n := n1 + n2
	low = max(0, n-of2)
	weights = make([]float64, min(of1, n)-low+1)
	ratio := func(x int) float64 { // of the weight of x+1 to that of x
		return float64(of1-x) * float64(n-x) / (float64(x+1) * float64(of2-n+x+1))
	}
	mode := int(math.Floor(float64(n+1) * float64(of1+1) / float64(of1+of2+2)))
	mode = min(max(mode, low), low+len(weights)-1)
	weights[mode-low] = 1
	for x := mode; x < low+len(weights)-1; x++ {
		weights[x-low+1] = weights[x-low] * ratio(x)
	}
	for x := mode - 1; x >= low; x-- {
		weights[x-low] = weights[x-low+1] / ratio(x)
	}
	return low, weights
}
