package stat

import "gonum.org/v1/gonum/mathext"

// Beta is a beta distribution of a share: what Alpha with and Beta without would teach. Both are above zero.
type Beta struct {
	Alpha, Beta float64
}

// Exceeds is the probability that the share is above a limit once n of of have been seen: the tail of the beta distribution with the data added to
// the prior (Thall, Simon and Estey, Stat Med 1995;14:357).
func (prior Beta) Exceeds(limit float64, n, of int) float64 {
	finite(prior.Alpha, prior.Beta, limit)
	switch {
	case n < 0 || n > of || prior.Alpha <= 0 || prior.Beta <= 0:
		panic("stat: a part larger than the whole, or a prior without weight")
	case limit <= 0:
		return 1
	case limit >= 1:
		return 0
	}
	return mathext.RegIncBeta(prior.Beta+float64(of-n), prior.Alpha+float64(n), 1-limit)
}

// Boundary is the least n of of for which Exceeds is above cut; false where not even all of them suffice.
func (prior Beta) Boundary(limit, cut float64, of int) (int, bool) {
	low, high := 0, of+1 // Exceeds grows with n
	for low < high {
		if n := (low + high) / 2; n > of || prior.Exceeds(limit, n, of) > cut {
			high = n
		} else {
			low = n + 1
		}
	}
	return low, low <= of
}
