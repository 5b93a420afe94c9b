package stat_test

import (
	"fmt"
	"testing"

	"github.com/trialwatch/trialwatch/rules/stat"
)

func show(e stat.Estimate) string {
	f := func(v *float64) string {
		if v == nil {
			return "NA"
		}
		return fmt.Sprintf("%.6f", *v)
	}
	return f(e.Value) + " (" + f(e.Low) + "–" + f(e.High) + ")"
}

func events(times ...float64) []stat.Observation {
	var out []stat.Observation
	for _, t := range times {
		out = append(out, stat.Observation{Time: max(t, -t), Event: t > 0})
	}
	return out
}

// Two arms of seven, made up; a negative time is one censored. R prints a median of 4.15 for arm 1: the curve lies on one half from 3.9 to 4.4.
var arm1, arm2 = events(-1, 2.04, 2.3, 3.9, 4.4, 6.2, 10.1), events(1.9, 2.04, 2.1, 2.1, 4.2, 8, -76)

func TestSurvivalOfTwoArms(t *testing.T) {
	for _, tt := range []struct {
		name string
		got  stat.Estimate
		want string
	}{
		{"arm 1, median", stat.KaplanMeier(arm1).Median(), "4.150000 (2.040000–NA)"},
		{"arm 2, median", stat.KaplanMeier(arm2).Median(), "2.100000 (1.900000–8.000000)"},
		{"arm 1 before the first event", stat.KaplanMeier(arm1).At(1.5), "1.000000 (NA–NA)"},
		{"arm 1 at an event", stat.KaplanMeier(arm1).At(2.04), "0.833333 (0.273123–0.974712)"},
		{"arm 1 between events", stat.KaplanMeier(arm1).At(6), "0.333333 (0.046082–0.675564)"},
		{"arm 1 after everybody's event", stat.KaplanMeier(arm1).At(60), "0.000000 (NA–NA)"},
		{"arm 2 at the last time followed", stat.KaplanMeier(arm2).At(76), "0.142857 (0.007124–0.464941)"},
		{"arm 2 after it", stat.KaplanMeier(arm2).At(76.1), "NA (NA–NA)"},
		{"nobody", stat.KaplanMeier(nil).At(0), "NA (NA–NA)"},
		{"nobody's median", stat.KaplanMeier(nil).Median(), "NA (NA–NA)"},
		{"all censored", stat.KaplanMeier(events(-1, -2)).Median(), "NA (NA–NA)"},
		{"one of one", stat.KaplanMeier(events(5)).Median(), "5.000000 (NA–NA)"},
		{"on one half to the end", stat.KaplanMeier(events(1, 2, -3, -4)).Median(), "2.000000 (1.000000–NA)"},
		{"follow-up of arm 2", stat.FollowUp(arm2), "76.000000 (NA–NA)"},
	} {
		if got := show(tt.got); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	for _, tt := range []struct {
		at   float64
		want int
	}{{0, 7}, {1, 7}, {1.01, 6}, {4.4, 3}, {10.1, 1}, {11, 0}} {
		if got := stat.KaplanMeier(arm1).AtRisk(tt.at); got != tt.want {
			t.Errorf("at risk at %v: %d, want %d", tt.at, got, tt.want)
		}
	}
}

func TestTestsOfTwoArms(t *testing.T) {
	lr, ok := stat.LogRank(arm1, arm2)
	if got, want := fmt.Sprintf("%v %.6f %d %.6f %d %.6f", ok, lr.ChiSquare, lr.DF, lr.P, lr.Observed[0], lr.Expected[0]), "true 0.002936 1 0.956787 6 6.091300"; got != want {
		t.Errorf("log-rank: %s, want %s", got, want)
	}
	for _, groups := range [][][]stat.Observation{{}, {arm1}, {arm1, nil}, {events(-1, -2), events(-3)}, {events(1, 1), events(1)}} {
		if lr, ok := stat.LogRank(groups...); ok {
			t.Errorf("log-rank of %v: %+v, want none", groups, lr)
		}
	}
	for _, tt := range []struct {
		n1, of1, n2, of2 int
		want             string
	}{
		{5, 7, 4, 7, "1.000000"},
		{1, 7, 1, 7, "1.000000"},
		{3, 7, 2, 7, "1.000000"},
		{7, 7, 2, 7, "0.020979"},
		{0, 7, 0, 7, "1.000000"},
		{0, 7, 7, 7, "0.000583"},
		{0, 0, 3, 7, "1.000000"},
		{0, 0, 0, 0, "1.000000"},
	} {
		if got := fmt.Sprintf("%.6f", stat.FisherExact(tt.n1, tt.of1, tt.n2, tt.of2)); got != tt.want {
			t.Errorf("Fisher %d/%d against %d/%d: %s, want %s", tt.n1, tt.of1, tt.n2, tt.of2, got, tt.want)
		}
	}
	if w, ok := stat.RankSum([]float64{3}, nil); ok {
		t.Errorf("rank sum of an empty group: %+v", w)
	}
	if w, _ := stat.RankSum([]float64{1, 2, 3}, []float64{4, 5, 6}); w != (stat.RankSumTest{W: 0, P: 0.1, Exact: true}) {
		t.Errorf("rank sum: %+v, want 2 of 20", w)
	}
}

// The boundaries of a monitoring rule: stop if P(p > limit) > cut.
func TestBoundaries(t *testing.T) {
	for _, tt := range []struct {
		prior      stat.Beta
		limit, cut float64
		want       string // by patients from 1; - = never
	}{
		{stat.Beta{Alpha: 0.6, Beta: 1.4}, 0.30, 0.95, "- - 3 4 4 5 5 5 6 6 7 7 8 8"},
		{stat.Beta{Alpha: 0.3, Beta: 0.7}, 0.30, 0.90, "- 2 3 3 4 4 4 5 5 6 6 6 7 7"},
		{stat.Beta{Alpha: 1, Beta: 1}, 0.33, 0.95, "- 2 3 3 4 4 5 5 6 6 7 7 8 8"},
	} {
		got := ""
		for of := 1; of <= 14; of++ {
			if n, ok := tt.prior.Boundary(tt.limit, tt.cut, of); ok {
				got += fmt.Sprintf("%d ", n)
			} else {
				got += "- "
			}
		}
		if got != tt.want+" " {
			t.Errorf("%+v: %s, want %s", tt, got, tt.want)
		}
	}
	prior := stat.Beta{Alpha: 0.6, Beta: 1.4}
	if got, want := fmt.Sprintf("%.6f %.6f", prior.Exceeds(0.3, 4, 7), prior.Exceeds(0.3, 5, 7)), "0.901425 0.977018"; got != want {
		t.Errorf("posterior of 4/7 and 5/7: %s, want %s", got, want)
	}
}
