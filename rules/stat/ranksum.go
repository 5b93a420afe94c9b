package stat

import (
	"math"
	"slices"
)

// exactBelow is the size below which both groups must be for an exact rank-sum test; R's wilcox.test draws the line there too.
const exactBelow = 50

// RankSumTest is a comparison of the place of two groups.
type RankSumTest struct {
	W     float64 // pairs in which the value of the first group is the greater; ties count one half
	P     float64 // two-sided
	Exact bool    // P is that of all permutations; otherwise of the normal approximation
}

// RankSum is the test of Wilcoxon, Mann and Whitney (Biometrics Bull 1945;1:80; Ann Math Stat 1947;18:50). With fewer than 50 values in either
// group it is exact, ties or not: the share of all ways to choose the first group whose rank sum lies at least as far from its mean, with midranks
// (Streitberg and Röhmel's shift algorithm, Stat Software Newsletter 1986;12:10). Without ties that is R's wilcox.test(exact = TRUE); with ties R falls
// back on the normal approximation, and coin's wilcox_test(distribution = "exact") is the same as here. Larger groups get the normal approximation with
// corrections for ties and continuity, as wilcox.test(exact = FALSE). Where all values are equal P is 1. It is false where a group is empty.
func RankSum(a, b []float64) (RankSumTest, bool) { return NewPair(valuesOf(a), valuesOf(b)).RankSum() }

// rankSum tests two groups in order, of which wins is twice the pairs in which the first has the greater, those that are equal once, and tied the sum of t³ - t over the ties.
func rankSum(a, b []float64, wins, tied int) (RankSumTest, bool) {
	if len(a) == 0 || len(b) == 0 {
		return RankSumTest{}, false
	}
	na, nb, n := float64(len(a)), float64(len(b)), float64(len(a)+len(b))
	off := wins - len(a)*len(b) // of the rank sum from its mean, twice
	t := RankSumTest{W: float64(wins) / 2, P: 1, Exact: len(a) < exactBelow && len(b) < exactBelow}
	switch {
	case tied == ties(len(a)+len(b)): // all are equal
	case t.Exact:
		t.P = permuted(ranks(a, b), min(len(a), len(b)), max(off, -off))
	default:
		sd := math.Sqrt(na * nb / 12 * (n + 1 - float64(tied)/(n*(n-1))))
		t.P = math.Erfc(max(0, (math.Abs(float64(off))-1)/2) / sd / math.Sqrt2)
	}
	return t, true
}

// ranks are the midranks of all values, twice, so that they are whole numbers; in order.
func ranks(a, b []float64) []int {
	all := slices.Sorted(slices.Values(slices.Concat(a, b)))
	ranks := make([]int, 0, len(all))
	for i := 0; i < len(all); {
		j := i
		for ; j < len(all) && all[j] == all[i]; j++ {
		}
		for range j - i {
			ranks = append(ranks, i+j+1)
		}
		i = j
	}
	return ranks
}

// permuted is the share of all choices of k ranks, which are in order, whose sum is at least off away from its mean. The sums of either half of the ranks are counted apart, and
// then every choice of one with those of the other that make it k: for 49 of 98 about half of the time that all at once would take.
func permuted(ranks []int, k, off int) float64 {
	if off == 0 {
		return 1
	}
	n, step := len(ranks), 0
	for _, r := range ranks {
		step = gcd(r-ranks[0], step)
	}
	lower, upper := choices(ranks[:n/2], k, step), choices(ranks[n/2:], k, step)
	mean, extreme, all := k*(n+1), 0.0, 0.0
	var upTo []float64
	for j := max(0, k-len(upper)+1); j < len(lower); j++ {
		a, b := &lower[j], &upper[k-j]
		upTo = append(upTo[:0], 0) // the ways of so many of the sums of b
		for i, w := range b.ways {
			upTo = append(upTo, upTo[i]+w)
		}
		whole := upTo[len(b.ways)]
		// Sums of b before low are too small for the first of a, and those from high on too large; for each next of a both are one less.
		from := mean - a.least - b.least
		low, high := floor(from-off, step)+1, -floor(-from-off, step)
		for _, w := range a.ways {
			extreme += w * (upTo[min(max(low, 0), len(b.ways))] + (whole - upTo[min(max(high, 0), len(b.ways))]))
			all += w * whole
			low, high = low-1, high-1
		}
	}
	return extreme / all
}

// choice is in how many ways so many ranks can be chosen, by their sum: from the least in steps.
type choice struct {
	least int
	ways  []float64
}

// choices are those of 0 to k of the ranks, which are in order and a number of steps apart: Streitberg and Röhmel's shift algorithm.
func choices(ranks []int, k, step int) []choice {
	all := make([]choice, min(k, len(ranks))+1)
	least, most := 0, 0
	for j := range all {
		all[j] = choice{least, make([]float64, (most-least)/step+1)}
		if j < len(ranks) {
			least, most = least+ranks[j], most+ranks[len(ranks)-1-j]
		}
	}
	all[0].ways[0] = 1
	width := make([]int, len(all)) // of the sums so far
	for i, r := range ranks {
		for j := min(i+1, len(all)-1); j > 0; j-- {
			shift := (r - ranks[j-1]) / step
			from := all[j-1].ways[:width[j-1]+1]
			to := all[j].ways[shift : shift+len(from)]
			for s, w := range from {
				to[s] += w
			}
			width[j] = max(width[j], shift+width[j-1])
		}
	}
	return all
}

// floor is a/b, rounded down.
func floor(a, b int) int {
	if a < 0 {
		return -((-a + b - 1) / b)
	}
	return a / b
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
