package stat_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/trialwatch/trialwatch/rules/stat"
)

// observations are small and often tied.
func observations(t *rapid.T, label string, least int) []stat.Observation {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) stat.Observation {
		return stat.Observation{Time: float64(rapid.IntRange(0, 60).Draw(t, "days")) / 7, Event: rapid.Bool().Draw(t, "event")}
	}), least, 40).Draw(t, label)
}

func values(t *rapid.T, label string, most int) []float64 {
	return rapid.SliceOfN(rapid.Map(rapid.IntRange(-5, 30), func(i int) float64 { return float64(i) / 3 }), 1, most).Draw(t, label)
}

// same fails unless got and want are equal to the bit.
func same(t *rapid.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

func near(t *rapid.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9*max(1, math.Abs(want)) {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
}

func TestOrderOfInputDoesNotMatterAndInputIsNotChanged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, v, w := observations(t, "a", 0), observations(t, "b", 0), values(t, "v", 70), values(t, "w", 70)
		all := func(a, b []stat.Observation, v, w []float64) []any {
			lr, ok := stat.LogRank(a, b)
			rs, _ := stat.RankSum(v, w)
			q, _ := stat.Quantile(v, 0.3)
			return []any{stat.KaplanMeier(a), stat.FollowUp(a), lr, ok, rs, q, stat.Median(v)}
		}
		keep := []any{slices.Clone(a), slices.Clone(v)}
		want := all(a, b, v, w)
		same(t, "input", []any{a, v}, keep)
		r := rand.New(rand.NewPCG(1, rapid.Uint64().Draw(t, "seed")))
		for _, s := range [][]stat.Observation{a, b} {
			r.Shuffle(len(s), func(i, j int) { s[i], s[j] = s[j], s[i] })
		}
		for _, s := range [][]float64{v, w} {
			r.Shuffle(len(s), func(i, j int) { s[i], s[j] = s[j], s[i] })
		}
		same(t, "shuffled", all(a, b, v, w), want)
	})
}

// What is put into a collection and taken out again, in any order and with readings between, leaves no trace: to the bit it says what one says that never had it.
func TestCollectionsForget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var v, w, v2, w2 stat.Values
		var times, times2 stat.Times
		pair := stat.NewPair(&v, &w)
		says := func(v, w *stat.Values, pair *stat.Pair, times *stat.Times) []any {
			q, ok := v.Quantile(0.3)
			rs, compared := pair.RankSum()
			lr, tested := stat.LogRankOf(times, times)
			return []any{v.N(), q, ok, v.Median(), w.Median(), rs, compared, pair.Sizes(), times.N(), times.KaplanMeier(), times.FollowUp(), lr, tested}
		}
		keptV, keptW, kept := values(t, "v", 150), values(t, "w", 150), observations(t, "times", 0)
		brief := rapid.SliceOfN(rapid.IntRange(-5, 30), 0, rapid.SampledFrom([]int{3, 60}).Draw(t, "most")).Draw(t, "brief")
		in := rapid.SliceOfN(rapid.Bool(), 1, 20).Draw(t, "which")
		look := rapid.SliceOfN(rapid.Bool(), 1, 20).Draw(t, "look")
		visit := func(i int, come bool) {
			change, changeTimes := (*stat.Values).Add, times.Add
			if !come {
				change, changeTimes = (*stat.Values).Remove, times.Remove
			}
			into := &v
			if in[i%len(in)] {
				into = &w
			}
			change(into, float64(brief[i])/3)
			changeTimes(stat.Observation{Time: float64(brief[i]+5) / 7, Event: in[(i+1)%len(in)]})
			if look[i%len(look)] {
				says(&v, &w, pair, &times)
			}
		}
		half := len(brief) / 2
		for i := range half {
			visit(i, true)
		}
		for _, x := range keptV {
			v.Add(x)
			v2.Add(x)
		}
		for _, x := range keptW {
			w.Add(x)
			w2.Add(x)
		}
		for _, o := range kept {
			times.Add(o)
			times2.Add(o)
		}
		if look[0] {
			says(&v, &w, pair, &times)
		}
		for i := half; i < len(brief); i++ {
			visit(i, true)
		}
		for i := range brief {
			visit(i, false)
		}
		want := says(&v2, &w2, stat.NewPair(&v2, &w2), &times2)
		same(t, "what is left", says(&v, &w, pair, &times), want)
		rs, _ := stat.RankSum(keptV, keptW)
		same(t, "as functions of lists", []any{v.Median(), w.Median(), rs, times.KaplanMeier(), times.MedianFollowUp()},
			[]any{stat.Median(keptV), stat.Median(keptW), rs, stat.KaplanMeier(kept), stat.FollowUp(kept).Value})
	})
}

// Large collections of which a few values change at a time take another way: to the bit the same.
func TestRankSumFollowsFewChanges(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 3))
	for _, kinds := range []int{3, 40, 1 << 20} { // ties of half of all, some, none
		var v [2]stat.Values
		var lists [2][]float64
		pair := stat.NewPair(&v[0], &v[1])
		for i := range 300 {
			x := float64(r.IntN(kinds))
			v[i%2].Add(x)
			lists[i%2] = append(lists[i%2], x)
		}
		for step := range 300 {
			for range r.IntN(6) {
				g := r.IntN(2)
				if i := r.IntN(len(lists[g])); r.IntN(2) == 0 && len(lists[g]) > 60 {
					v[g].Remove(lists[g][i])
					lists[g] = slices.Delete(lists[g], i, i+1)
				} else {
					x := float64(r.IntN(kinds))
					v[g].Add(x)
					lists[g] = append(lists[g], x)
				}
			}
			got, _ := pair.RankSum()
			if want, _ := stat.RankSum(lists[0], lists[1]); got != want {
				t.Fatalf("of %d kinds, step %d: %+v, want %+v", kinds, step, got, want)
			}
			if got, want := v[0].Median(), stat.Median(lists[0]); *got.Value != *want.Value || *got.Low != *want.Low || *got.High != *want.High {
				t.Fatalf("of %d kinds, step %d: median %v, want %v", kinds, step, *got.Value, *want.Value)
			}
		}
	}
}

func TestExchangeOfGroups(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := observations(t, "a", 0), observations(t, "b", 0)
		ab, ok := stat.LogRank(a, b)
		ba, ok2 := stat.LogRank(b, a)
		same(t, "log-rank is estimable", ok2, ok)
		near(t, "log-rank", ba.P, ab.P)
		// Nobody, and somebody who left before the first event, compare with nothing.
		more, ok3 := stat.LogRank(a, nil, b, []stat.Observation{{Time: -1}})
		same(t, "log-rank with a group of nobody is estimable", ok3, ok)
		near(t, "log-rank with a group of nobody", more.P, ab.P)

		v, w := values(t, "v", 70), values(t, "w", 70)
		vw, _ := stat.RankSum(v, w)
		wv, _ := stat.RankSum(w, v)
		near(t, "rank sum", wv.P, vw.P)
		near(t, "pairs", wv.W+vw.W, float64(len(v)*len(w)))

		of1, of2 := rapid.IntRange(0, 60).Draw(t, "of1"), rapid.IntRange(0, 60).Draw(t, "of2")
		n1, n2 := rapid.IntRange(0, of1).Draw(t, "n1"), rapid.IntRange(0, of2).Draw(t, "n2")
		near(t, "Fisher, groups", stat.FisherExact(n2, of2, n1, of1), stat.FisherExact(n1, of1, n2, of2))
		near(t, "Fisher, what is counted", stat.FisherExact(of1-n1, of1, of2-n2, of2), stat.FisherExact(n1, of1, n2, of2))
		odds, inverse := stat.OddsRatio(n1, of1, n2, of2), stat.OddsRatio(n2, of2, n1, of1)
		if odds.High != nil && *odds.Low > 0 {
			near(t, "odds ratio", *inverse.Value**odds.Value, 1)
			near(t, "limit of the odds ratio", *inverse.Low**odds.High, 1)
			if !(*odds.Low <= *odds.Value && *odds.Value <= *odds.High) {
				t.Fatalf("odds ratio %v outside of its limits %v to %v", *odds.Value, *odds.Low, *odds.High)
			}
		}
	})
}

func TestProbabilitiesAreProbabilities(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lr, _ := stat.LogRank(observations(t, "a", 0), observations(t, "b", 0), observations(t, "c", 0))
		rs, _ := stat.RankSum(values(t, "v", 70), values(t, "w", 70))
		of1, of2 := rapid.IntRange(0, 2000).Draw(t, "of1"), rapid.IntRange(0, 2000).Draw(t, "of2")
		fisher := stat.FisherExact(rapid.IntRange(0, of1).Draw(t, "n1"), of1, rapid.IntRange(0, of2).Draw(t, "n2"), of2)
		for _, p := range []float64{lr.P, rs.P, fisher} {
			if !(p >= 0 && p <= 1+1e-12) {
				t.Fatalf("a probability of %v", p)
			}
		}
	})
}

// Among every choice of the first group, a test at any level rejects no more often than it says.
func TestRankSumRejectsNoMoreThanItSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := values(t, "v", 9)
		var ps []float64
		for choice := 1; choice < 1<<len(v)-1; choice++ {
			var a, b []float64
			for i, x := range v {
				if choice>>i&1 == 1 {
					a = append(a, x)
				} else {
					b = append(b, x)
				}
			}
			if len(a) == (len(v)+1)/2 {
				rs, _ := stat.RankSum(a, b)
				ps = append(ps, rs.P)
			}
		}
		slices.Sort(ps)
		for i, p := range ps {
			// Those up to the last with this P are as extreme as P says, neither more nor fewer.
			if i+1 == len(ps) || ps[i+1] > p+1e-12 {
				near(t, "share at least as extreme", float64(i+1)/float64(len(ps)), p)
			}
		}
	})
}

func TestCurveWithoutCensoringIsTheShareLeft(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		obs := observations(t, "obs", 1)
		for i := range obs {
			obs[i].Event = true
		}
		for _, s := range stat.KaplanMeier(obs).Steps {
			left := 0
			for _, o := range obs {
				if o.Time > s.Time {
					left++
				}
			}
			share := float64(left) / float64(len(obs))
			near(t, "share left", s.Survival, share)
			if s.SE != nil {
				near(t, "standard error", *s.SE, math.Sqrt(share*(1-share)/float64(len(obs))))
			}
		}
	})
}

func TestCurveFallsWithinItsLimits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		obs := observations(t, "obs", 0)
		c := stat.KaplanMeier(obs)
		last, events, censored := 1.0, 0, 0
		for _, s := range c.Steps {
			if s.Survival > last || (s.Events > 0) != (s.Survival < last) {
				t.Fatalf("from %v to %v with %d events", last, s.Survival, s.Events)
			}
			if s.AtRisk != c.N-events-censored || s.AtRisk != c.AtRisk(s.Time) {
				t.Fatalf("%d at risk of %d after %d events and %d censored", s.AtRisk, c.N, events, censored)
			}
			if (s.Low == nil) != (s.High == nil) || s.Low != nil && !(0 <= *s.Low && *s.Low < s.Survival && s.Survival < *s.High && *s.High <= 1) {
				t.Fatalf("%v outside of its limits %v to %v", s.Survival, s.Low, s.High)
			}
			last, events, censored = s.Survival, events+s.Events, censored+s.Censored
		}
		if events != c.Events || events+censored != c.N || c.N != len(obs) {
			t.Fatalf("%d events and %d censored of %d", events, censored, c.N)
		}
		if m := c.Median(); m.Low != nil && (m.Value != nil && *m.Low > *m.Value || m.High != nil && *m.Low > *m.High) {
			t.Fatalf("median %v, limits from %v to %v", m.Value, *m.Low, m.High)
		}
	})
}

// Whatever the true share, at most 2.5 % of what can be seen has it beyond either limit.
func TestLimitsOfAShareCover(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		of, share := rapid.IntRange(1, 80).Draw(t, "of"), rapid.Float64Range(0.001, 0.999).Draw(t, "share")
		above, below, p := 0.0, 0.0, math.Pow(1-share, float64(of))
		lastLow, lastHigh := -1.0, 0.0
		for n := 0; n <= of; n++ {
			low, high := stat.ClopperPearson(n, of)
			if low < lastLow || high < lastHigh || low > float64(n)/float64(of) || high < float64(n)/float64(of) {
				t.Fatalf("%d of %d: limits %v to %v after %v to %v", n, of, low, high, lastLow, lastHigh)
			}
			if share < low {
				above += p
			}
			if share > high {
				below += p
			}
			p *= float64(of-n) / float64(n+1) * share / (1 - share)
			lastLow, lastHigh = low, high
		}
		if above > 0.025+1e-9 || below > 0.025+1e-9 {
			t.Fatalf("of %d with share %v: %v above, %v below", of, share, above, below)
		}
	})
}

func TestPosteriorGrowsWithWhatIsSeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		share := rapid.Float64Range(0.01, 0.99)
		prior := stat.Beta{Alpha: 5 * share.Draw(t, "alpha"), Beta: 5 * share.Draw(t, "beta")}
		limit, cut, of := share.Draw(t, "limit"), share.Draw(t, "cut"), rapid.IntRange(0, 200).Draw(t, "of")
		boundary, ok := prior.Boundary(limit, cut, of)
		last := -1.0
		for n := 0; n <= of; n++ {
			p := prior.Exceeds(limit, n, of)
			if p < last || p > 1 {
				t.Fatalf("%d of %d: %v after %v", n, of, p, last)
			}
			if (p > cut) != (ok && n >= boundary) {
				t.Fatalf("%d of %d: %v, boundary %d %v", n, of, p, boundary, ok)
			}
			last = p
		}
	})
}

func TestMistakesOfTheCallerPanic(t *testing.T) {
	for name, call := range map[string]func(){
		"8 of 7":             func() { stat.ClopperPearson(8, 7) },
		"-1 of 7":            func() { stat.ClopperPearson(-1, 7) },
		"8 of 7 in a table":  func() { stat.FisherExact(8, 7, 0, 7) },
		"odds of 8 of 7":     func() { stat.OddsRatio(0, 7, 8, 7) },
		"a NaN":              func() { stat.Quantile([]float64{1, math.NaN()}, 0.5) },
		"a quantile of 2":    func() { stat.Quantile([]float64{1}, 2) },
		"an infinite rank":   func() { stat.RankSum([]float64{math.Inf(1)}, []float64{1}) },
		"a time of NaN":      func() { stat.KaplanMeier([]stat.Observation{{Time: math.NaN()}}) },
		"a time of no end":   func() { stat.LogRank([]stat.Observation{{Time: math.Inf(1)}}) },
		"no prior":           func() { stat.Beta{}.Exceeds(0.3, 1, 7) },
		"an infinite value":  func() { new(stat.Values).Add(math.Inf(1)) },
		"a value not there":  func() { v := new(stat.Values); v.Add(1); v.Remove(2); v.Sorted() },
		"a time not there":   func() { new(stat.Times).Remove(stat.Observation{Time: 1}) },
		"8 of 7 and a prior": func() { stat.Beta{Alpha: 1, Beta: 1}.Exceeds(0.3, 8, 7) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s is taken", name)
				}
			}()
			call()
		}()
	}
}

// Ten thousand patients, ten years in days.
func cohort(n int) []stat.Observation {
	r := rand.New(rand.NewPCG(20, 26))
	out := make([]stat.Observation, n)
	for i := range out {
		out[i] = stat.Observation{Time: float64(r.IntN(3650)), Event: r.IntN(3) == 0}
	}
	return out
}

func BenchmarkKaplanMeier10000(b *testing.B) {
	all := cohort(10_000)
	for b.Loop() {
		stat.KaplanMeier(all)
	}
}

func BenchmarkLogRank10000(b *testing.B) {
	all := cohort(10_000)
	for b.Loop() {
		stat.LogRank(all[:5000], all[5000:])
	}
}

func BenchmarkRankSum(b *testing.B) {
	v := make([]float64, 10_000)
	for i, o := range cohort(len(v)) {
		v[i] = o.Time
	}
	b.Run("exact 7+7", func(b *testing.B) {
		for b.Loop() {
			stat.RankSum(v[:7], v[7:14])
		}
	})
	b.Run("exact 49+49", func(b *testing.B) {
		for b.Loop() {
			stat.RankSum(v[:49], v[49:98])
		}
	})
	b.Run("approximate 5000+5000", func(b *testing.B) {
		for b.Loop() {
			stat.RankSum(v[:5000], v[5000:])
		}
	})
}

func BenchmarkFisherExact5000(b *testing.B) {
	for b.Loop() {
		stat.FisherExact(1500, 5000, 1600, 5000)
	}
}

func BenchmarkOddsRatio5000(b *testing.B) {
	for b.Loop() {
		stat.OddsRatio(1500, 5000, 1600, 5000)
	}
}
