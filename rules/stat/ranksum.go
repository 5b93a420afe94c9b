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

// permuted is the share of all choices of k ranks, which are in order, whose sum is at least off away from its mean.
//
// Sums are counted from the least that so many ranks can have, in steps of what all ranks differ by; and a choice that has too few ranks left to become one of k is not followed.
func permuted(ranks []int, k, off int) float64 {
	n, step, first := len(ranks), 0, ranks[0]
	for _, r := range ranks {
		step = gcd(r-first, step)
	}
	ways := make([][]float64, k+1) // by how many were chosen, and their sum
	least, most := 0, 0
	for j := range ways {
		if ways[j] = make([]float64, (most-least)/step+1); j < k {
			least, most = least+ranks[j], most+ranks[n-1-j]
		}
	}
	ways[0][0] = 1
	width := make([]int, k+1) // of the sums so far
	for i, r := range ranks {
		for j := min(i+1, k); j > max(0, k-n+i); j-- {
			shift := (r - ranks[j-1]) / step
			from := ways[j-1][:width[j-1]+1]
			to := ways[j][shift : shift+len(from)]
			for s, w := range from {
				to[s] += w
			}
			width[j] = max(width[j], shift+width[j-1])
		}
	}
	mean, extreme, all := k*(n+1), 0.0, 0.0
	for s, w := range ways[k] {
		all += w
		if sum := least + s*step; sum-mean >= off || mean-sum >= off {
			extreme += w
		}
	}
	return extreme / all
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
