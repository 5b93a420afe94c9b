package stat_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/trialwatch/trialwatch/rules/stat"
)

// oracle is one line of testdata/oracle.ndjson: data, and what R says of them. Null is what R cannot estimate, or an infinite limit.
type oracle struct {
	Kind string

	N, Of  int        // share, posterior
	Limits []*float64 // share

	N1, Of1, N2, Of2 int // shares
	Odds             []*float64
	P                *float64 // shares, ranks, posterior

	A, B      []float64 // ranks
	W         *float64
	Exact     bool
	Quantiles []*float64 // of A at 0, 0.1, 0.25, 0.5, 0.75, 1

	Groups            []oracleGroup // times
	LogRank, Expected []*float64    // chi square, degrees of freedom, P

	Alpha, Beta, Limit float64 // posterior
}

type oracleGroup struct {
	Times, Events    []float64
	Steps            [][]*float64 // time, at risk, events, censored, survival, its standard error, low, high
	Median, FollowUp []*float64   // with limits
}

func (g oracleGroup) observations() []stat.Observation {
	out := make([]stat.Observation, len(g.Times))
	for i := range out {
		out[i] = stat.Observation{Time: g.Times[i], Event: g.Events[i] == 1}
	}
	return out
}

// R and this package agree to 1e-11 of the value, where the file holds 13 digits; -v shows the greatest difference of each kind.
func TestAgreesWithR(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "oracle.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	const tolerance = 1e-11
	compared, furthest := map[string]int{}, map[string]float64{}
	for i, line := range bytes.Split(bytes.TrimSpace(data), []byte("\n")) {
		var o oracle
		if err := json.Unmarshal(line, &o); err != nil {
			t.Fatalf("line %d: %v", i+1, err)
		}
		same := func(what string, got, want *float64) {
			t.Helper()
			what = o.Kind + ", " + what
			compared[what]++
			if got == nil || want == nil {
				if got != want {
					t.Errorf("line %d, %s: %v, R says %v", i+1, what, number(got), number(want))
				}
				return
			}
			off := math.Abs(*got - *want)
			if *want != 0 {
				off /= math.Abs(*want)
			}
			furthest[what] = max(furthest[what], off)
			if !(off <= tolerance) {
				t.Errorf("line %d, %s: %.15g, R says %.15g: %.1e off", i+1, what, *got, *want, off)
			}
		}
		all := func(what string, got stat.Estimate, want []*float64) {
			t.Helper()
			same(what, got.Value, want[0])
			same(what+", low", got.Low, want[1])
			same(what+", high", got.High, want[2])
		}
		switch o.Kind {
		case "share":
			low, high := stat.ClopperPearson(o.N, o.Of)
			same("low", &low, o.Limits[0])
			same("high", &high, o.Limits[1])
		case "shares":
			p := stat.FisherExact(o.N1, o.Of1, o.N2, o.Of2)
			same("P", &p, o.P)
			all("odds ratio", stat.OddsRatio(o.N1, o.Of1, o.N2, o.Of2), o.Odds)
		case "ranks":
			test, ok := stat.RankSum(o.A, o.B)
			if !ok || test.Exact != o.Exact {
				t.Errorf("line %d: %v %+v, want exact %v", i+1, ok, test, o.Exact)
			}
			same("W", &test.W, o.W)
			same("P", &test.P, o.P)
			for j, p := range []float64{0, 0.1, 0.25, 0.5, 0.75, 1} {
				q, _ := stat.Quantile(o.A, p)
				same("quantile", &q, o.Quantiles[j])
			}
		case "times":
			groups := make([][]stat.Observation, len(o.Groups))
			for g, group := range o.Groups {
				groups[g] = group.observations()
				curve := stat.KaplanMeier(groups[g])
				all("median", curve.Median(), group.Median)
				all("follow-up", stat.FollowUp(groups[g]), group.FollowUp)
				for _, want := range group.Steps {
					at := *want[0]
					all("share left", curve.At(at), []*float64{want[4], want[6], want[7]})
					n := float64(curve.AtRisk(at))
					same("at risk", &n, want[1])
					for _, s := range curve.Steps {
						if s.Time == at {
							events, censored := float64(s.Events), float64(s.Censored)
							same("events", &events, want[2])
							same("censored", &censored, want[3])
							same("standard error", s.SE, want[5])
						}
					}
				}
			}
			test, ok := stat.LogRank(groups...)
			if !ok {
				same("log-rank P", nil, o.LogRank[2])
				continue
			}
			df := float64(test.DF)
			same("log-rank P", &test.P, o.LogRank[2])
			same("log-rank chi square", &test.ChiSquare, o.LogRank[0])
			same("log-rank degrees of freedom", &df, o.LogRank[1])
			for g := range groups {
				same("log-rank expected", &test.Expected[g], o.Expected[g])
			}
		case "posterior":
			p := stat.Beta{Alpha: o.Alpha, Beta: o.Beta}.Exceeds(o.Limit, o.N, o.Of)
			same("probability", &p, o.P)
		default:
			t.Errorf("line %d: no test for %q", i+1, o.Kind)
		}
	}
	for _, what := range slices.Sorted(maps.Keys(compared)) {
		t.Logf("%-40s %5d compared, at most %.1e off", what, compared[what], furthest[what])
	}
	if n := compared["times, median"]; n < 300 {
		t.Errorf("%d curves were compared, want at least 300", n)
	}
}

func number(v *float64) any {
	if v == nil {
		return "NA"
	}
	return *v
}
