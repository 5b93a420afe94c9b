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
func RankSum(a, b []float64) (RankSumTest, bool) {
	finite(a...)
	finite(b...)
	if len(a) == 0 || len(b) == 0 {
		return RankSumTest{}, false
	}
	// Twice the midranks are whole numbers.
	all := slices.Sorted(slices.Values(slices.Concat(a, b)))
	n := len(all)
	ranks, ties := make([]int, 0, n), 0.0
	rankOf := make(map[float64]int)
	for i := 0; i < n; {
		j := i
		for ; j < n && all[j] == all[i]; j++ {
			ranks = append(ranks, 0)
		}
		for k := i; k < j; k++ {
			ranks[k] = i + j + 1
		}
		rankOf[all[i]] = i + j + 1
		t := float64(j - i)
		ties += t*t*t - t
		i = j
	}
	sum := 0
	for _, v := range a {
		sum += rankOf[v]
	}
	na, nb, nn := float64(len(a)), float64(len(b)), float64(n)
	off := sum - len(a)*(n+1) // from its mean, twice
	t := RankSumTest{W: (float64(sum) - na*(na+1)) / 2, P: 1, Exact: len(a) < exactBelow && len(b) < exactBelow}
	switch sd := math.Sqrt(na * nb / 12 * (nn + 1 - ties/(nn*(nn-1)))); {
	case all[0] == all[n-1]:
	case t.Exact:
		t.P = permuted(ranks, min(len(a), len(b)), max(off, -off))
	default:
		z := max(0, (math.Abs(float64(off))-1)/2) / sd
		t.P = math.Erfc(z / math.Sqrt2)
	}
	return t, true
}

// permuted is the share of all choices of k ranks whose sum is at least off away from its mean.
func permuted(ranks []int, k, off int) float64 {
	total := 0
	for _, r := range ranks[len(ranks)-k:] {
		total += r // the largest sum: ranks are in order
	}
	ways := make([][]float64, k+1) // by how many were chosen, and their sum
	for i := range ways {
		ways[i] = make([]float64, total+1)
	}
	ways[0][0] = 1
	top := make([]int, k+1) // the largest sum so far
	for i, r := range ranks {
		for j := min(i+1, k); j > 0; j-- {
			from, to := ways[j-1], ways[j]
			for s := 0; s <= top[j-1] && s+r <= total; s++ {
				to[s+r] += from[s]
			}
			top[j] = min(total, top[j-1]+r)
		}
	}
	mean := k * (len(ranks) + 1)
	extreme, all := 0.0, 0.0
	for s, w := range ways[k] {
		all += w
		if s-mean >= off || mean-s >= off {
			extreme += w
		}
	}
	return extreme / all
}
