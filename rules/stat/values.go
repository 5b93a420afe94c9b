package stat

import (
	"math"
	"slices"
	"sort"

	"gonum.org/v1/gonum/mathext"
)

// Values is numbers that are put in and taken out, kept in order, so that a quantile of many costs little after one has changed. What it says depends on the numbers that are
// in it alone, not on how they came there. The zero value is empty. It must not be copied once it is used, and is not safe for concurrent use: reading it sorts what has come.
type Values struct {
	sorted    []float64
	come      []float64 // not yet in sorted
	gone      []float64 // still in sorted
	pairs     []*Pair
	rankOf, r int // of the limits of the median: of so many values, this one
}

// few changes are made one by one, each for a search and a move of memory; more are sorted and merged.
const few = 16

// Add puts a number in. It panics on one that is not finite.
func (v *Values) Add(x float64) {
	finite(x)
	x += 0 // no number below zero is zero
	if i := slices.Index(v.gone, x); i >= 0 && len(v.gone) <= few {
		v.gone = slices.Delete(v.gone, i, i+1)
		return
	}
	v.come = append(v.come, x)
	v.limit()
}

// Remove takes out a number that was put in. If there is none, the next reading panics.
func (v *Values) Remove(x float64) {
	x += 0
	if i := slices.Index(v.come, x); i >= 0 && len(v.come) <= few {
		v.come = slices.Delete(v.come, i, i+1)
		return
	}
	v.gone = append(v.gone, x)
	v.limit()
}

// limit keeps what waits, of values that nobody reads, in proportion to what is there.
func (v *Values) limit() {
	if len(v.come)+len(v.gone) > 4*few+len(v.sorted) {
		v.Sorted()
	}
}

// N counts the numbers.
func (v *Values) N() int { return len(v.sorted) + len(v.come) - len(v.gone) }

// Sorted returns the numbers in order. Nobody may change them; they hold until the next change.
func (v *Values) Sorted() []float64 {
	switch waiting := len(v.come) + len(v.gone); {
	case waiting == 0:
		return v.sorted
	case waiting <= few && len(v.sorted) > few:
		for _, x := range v.come {
			v.move(x, 1)
			i, _ := slices.BinarySearch(v.sorted, x)
			v.sorted = slices.Insert(v.sorted, i, x)
		}
		for _, x := range v.gone {
			i, ok := slices.BinarySearch(v.sorted, x)
			if !ok {
				panic("stat: a value that was never put in is taken out")
			}
			v.move(x, -1)
			v.sorted = slices.Delete(v.sorted, i, i+1)
		}
	default:
		for _, p := range v.pairs {
			p.counted, p.tested = false, false
		}
		v.merge()
	}
	v.come, v.gone = v.come[:0], v.gone[:0]
	return v.sorted
}

func (v *Values) merge() {
	slices.Sort(v.come)
	slices.Sort(v.gone)
	merged := make([]float64, 0, len(v.sorted)+len(v.come))
	i, gone := 0, 0
	for _, x := range v.sorted {
		for ; i < len(v.come) && v.come[i] < x; i++ {
			merged = append(merged, v.come[i])
		}
		merged = append(merged, x)
	}
	merged = append(merged, v.come[i:]...)
	v.sorted = merged[:0]
	for _, x := range merged {
		if gone < len(v.gone) && v.gone[gone] == x {
			gone++
			continue
		}
		v.sorted = append(v.sorted, x)
	}
	if gone < len(v.gone) {
		panic("stat: a value that was never put in is taken out")
	}
}

func (v *Values) move(x float64, by int) {
	for _, p := range v.pairs {
		p.move(v, x, by)
	}
}

// equal is where the numbers equal to x are: from low up to, and without, high.
func (v *Values) equal(x float64) (low, high int) {
	low, _ = slices.BinarySearch(v.sorted, x)
	high = low + sort.Search(len(v.sorted)-low, func(i int) bool { return v.sorted[low+i] > x })
	return low, high
}

// Quantile is [Quantile] of the numbers.
func (v *Values) Quantile(p float64) (float64, bool) {
	if !(p >= 0 && p <= 1) {
		panic("stat: a quantile below 0 or above 1")
	}
	sorted := v.Sorted()
	if len(sorted) == 0 {
		return 0, false
	}
	at := float64(len(sorted)-1) * p
	i := int(at)
	if i == len(sorted)-1 {
		return sorted[i], true
	}
	part := at - float64(i)
	return (1-part)*sorted[i] + part*sorted[i+1], true
}

// Median is [Median] of the numbers.
func (v *Values) Median() Estimate {
	median, ok := v.Quantile(0.5)
	if !ok {
		return Estimate{}
	}
	e, n := Estimate{Value: &median}, len(v.sorted)
	if v.rankOf != n {
		// The least r with P(X <= r) above 2.5 % for X heads in n throws.
		v.rankOf, v.r = n, sort.Search(n/2, func(r int) bool { return mathext.RegIncBeta(float64(n-r), float64(r+1), 0.5) > tail })
	}
	if v.r > 0 {
		e.Low, e.High = new(v.sorted[v.r-1]), new(v.sorted[n-v.r])
	}
	return e
}

func valuesOf(list []float64) *Values {
	v := &Values{}
	for _, x := range list {
		v.Add(x)
	}
	return v
}

// Pair compares two collections of values by [RankSum], and follows their changes. Use [NewPair].
type Pair struct {
	a, b *Values
	// What the test needs of the values that are sorted, while counted: twice the pairs in which a's is the greater, those that are equal once; and t³ - t
	// of every t equal values. Both are whole numbers, so that no path leaves a trace.
	counted    bool
	wins, tied int
	// The last answer, while it holds.
	tested, ok bool
	test       RankSumTest
}

// NewPair returns the comparison of two collections, which will tell it of their changes from here on.
func NewPair(a, b *Values) *Pair {
	p := &Pair{a: a, b: b}
	a.pairs, b.pairs = append(a.pairs, p), append(b.pairs, p)
	return p
}

func ties(t int) int { return t*t*t - t }

// move counts a value that comes into, or leaves, one of the two, where it still is, or is not.
func (p *Pair) move(v *Values, x float64, by int) {
	p.tested = false
	if !p.counted {
		return
	}
	other := p.b
	if v == p.b {
		other = p.a
	}
	low, high := other.equal(x)
	from, to := v.equal(x)
	t := high - low + to - from
	p.tied += ties(t+by) - ties(t)
	if below := 2*low + high - low; v == p.a {
		p.wins += by * below
	} else {
		p.wins += by * (2*len(other.sorted) - below)
	}
}

func (p *Pair) count() {
	p.counted, p.wins, p.tied = true, 0, 0
	a, b := p.a.sorted, p.b.sorted
	for i, j := 0, 0; i < len(a) || j < len(b); {
		x := math.Inf(1)
		if i < len(a) {
			x = a[i]
		}
		if j < len(b) {
			x = min(x, b[j])
		}
		from, below := i, j
		for ; i < len(a) && a[i] == x; i++ {
		}
		for ; j < len(b) && b[j] == x; j++ {
		}
		p.wins += (i - from) * (below + j)
		p.tied += ties(i - from + j - below)
	}
}

// Sizes counts the values of each.
func (p *Pair) Sizes() [2]int { return [2]int{p.a.N(), p.b.N()} }

// RankSum is [RankSum] of the two.
func (p *Pair) RankSum() (RankSumTest, bool) {
	a, b := p.a.Sorted(), p.b.Sorted()
	if !p.counted {
		p.count()
	}
	if !p.tested {
		p.tested = true
		p.test, p.ok = rankSum(a, b, p.wins, p.tied)
	}
	return p.test, p.ok
}
