package stat

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// LogRankTest is a comparison of survival between groups. The zero value compares nothing.
type LogRankTest struct {
	ChiSquare float64
	DF        int // groups in which an event could be expected, less one
	P         float64
	Observed  []int     // events, by group
	Expected  []float64 // events by group if there were no difference
}

// LogRank compares two or more groups: Mantel, Cancer Chemother Rep 1966;50:163, with the hypergeometric variance at ties, two-sided: R's
// survdiff(rho = 0). A group in which no event could be expected (nobody in it, or none at risk at any event) is left out. It is false where no
// two groups are left or nothing could have varied.
func LogRank(groups ...[]Observation) (LogRankTest, bool) {
	times := make([]*Times, len(groups))
	for g := range groups {
		times[g] = timesOf(groups[g])
	}
	return LogRankOf(times...)
}

// LogRankOf is [LogRank] of collected observations.
func LogRankOf(groups ...*Times) (LogRankTest, bool) {
	atRisk, total := make([]float64, len(groups)), 0
	for g := range groups {
		atRisk[g] = float64(groups[g].n)
		total += groups[g].n
	}
	t := LogRankTest{Observed: make([]int, len(groups)), Expected: make([]float64, len(groups))}
	variance := make([][]float64, len(groups))
	for g := range variance {
		variance[g] = make([]float64, len(groups))
	}
	left := make([]float64, len(groups)) // the risk set at one time
	at := make([]int, len(groups))
	for total > 0 {
		n, events, now := float64(total), 0, math.Inf(1)
		for g := range groups {
			if at[g] < len(groups[g].moments) {
				now = min(now, groups[g].moments[at[g]].time)
			}
		}
		for g := range groups {
			left[g] = 0
			if at[g] < len(groups[g].moments) && groups[g].moments[at[g]].time == now {
				m := &groups[g].moments[at[g]]
				left[g] = float64(m.events + m.censored)
				events += m.events
				t.Observed[g] += m.events
				total -= m.events + m.censored
				at[g]++
			}
		}
		if d := float64(events); d > 0 {
			for g := range groups {
				share := atRisk[g] / n
				t.Expected[g] += d * share
				for h := range groups {
					if n > 1 {
						same := 0.0
						if g == h {
							same = 1
						}
						variance[g][h] += d * (n - d) / (n - 1) * share * (same - atRisk[h]/n)
					}
				}
			}
		}
		for g := range groups {
			atRisk[g] -= left[g]
		}
	}
	var compared []int
	for g, e := range t.Expected {
		if e > 0 {
			compared = append(compared, g)
		}
	}
	if len(compared) < 2 {
		return LogRankTest{}, false
	}
	compared = compared[1:] // the differences sum to zero
	t.DF = len(compared)
	m, difference := make([][]float64, t.DF), make([]float64, t.DF)
	for i, g := range compared {
		difference[i] = float64(t.Observed[g]) - t.Expected[g]
		m[i] = make([]float64, t.DF)
		for j, h := range compared {
			m[i][j] = variance[g][h]
		}
	}
	chi, ok := quadratic(m, difference)
	if !ok {
		return LogRankTest{}, false
	}
	t.ChiSquare = max(0, chi)
	t.P = mathext.GammaIncRegComp(float64(t.DF)/2, t.ChiSquare/2)
	return t, true
}

// quadratic is v' m⁻¹ v of a positive definite m by the Cholesky factor, which it leaves in m; false where m is singular.
func quadratic(m [][]float64, v []float64) (float64, bool) {
	const singular = 1e-12
	sum, solved := 0.0, make([]float64, len(v))
	for i := range m {
		diagonal := m[i][i]
		for j := range i {
			for k := range j {
				m[i][j] -= m[i][k] * m[j][k]
			}
			m[i][j] /= m[j][j]
			m[i][i] -= m[i][j] * m[i][j]
		}
		if m[i][i] <= singular*diagonal || diagonal <= 0 {
			return 0, false
		}
		m[i][i] = math.Sqrt(m[i][i])
		solved[i] = v[i]
		for k := range i {
			solved[i] -= m[i][k] * solved[k]
		}
		solved[i] /= m[i][i]
		sum += solved[i] * solved[i]
	}
	return sum, true
}
