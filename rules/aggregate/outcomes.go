package aggregate

import (
	"slices"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/stat"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// ResponseEntry counts patients by their best overall response. Who was never assessed is not evaluable and stays in the denominator.
type ResponseEntry struct {
	Arm         string     `json:"arm,omitempty"`
	N           int        `json:"n"`        // enrolled with an assigned arm
	Assessed    int        `json:"assessed"` // with an assessment that counts and could be evaluated
	Best        Best       `json:"best"`
	ORR         Proportion `json:"orr"`         // CR or PR
	DCR         Proportion `json:"dcr"`         // CR, PR or SD
	Unconfirmed int        `json:"unconfirmed"` // a better response was seen, and nothing has confirmed it
}

// Best counts patients by response.
type Best struct {
	CR int `json:"CR"`
	PR int `json:"PR"`
	SD int `json:"SD"`
	PD int `json:"PD"`
	NE int `json:"NE"`
}

// ResponseComparison compares the shares of two arms.
type ResponseComparison struct {
	Descriptive bool       `json:"descriptive"`
	ORR         FisherTest `json:"orr"`
	DCR         FisherTest `json:"dcr"`
}

// SurvivalEntry is the survival of an arm.
type SurvivalEntry struct {
	Arm string        `json:"arm,omitempty"`
	PFS SurvivalCurve `json:"pfs"`
	OS  SurvivalCurve `json:"os"`
	DOR SurvivalCurve `json:"dor"` // duration of response, of those who had one, from the first that counts; arms are not compared by it
}

// SurvivalCurve is a Kaplan-Meier estimate in months. A limit that is not reached is null, shown as NA.
type SurvivalCurve struct {
	N      int      `json:"n"` // followed from the start of survival
	Events int      `json:"events"`
	Median *float64 `json:"median"` // with the limits of Brookmeyer and Crowley
	Low    *float64 `json:"low"`
	High   *float64 `json:"high"`
	// FollowUp is the median time of follow-up (reverse Kaplan-Meier).
	FollowUp *float64 `json:"followUp"`
	Rates    []Rate   `json:"rates"`
	// Curve begins with everybody at 0. Of a large trial neighbouring times are one point: survival at the last of them, events and censored of all.
	Curve []CurvePoint `json:"curve"`
}

// Rate is the share without the event at a month; null after the last one followed.
type Rate struct {
	Months   int      `json:"months"`
	Estimate *float64 `json:"estimate"`
	Low      *float64 `json:"low"`
	High     *float64 `json:"high"`
	AtRisk   int      `json:"atRisk"`
}

// CurvePoint is a time at which somebody had the event or was censored.
type CurvePoint struct {
	Months   float64  `json:"months"`
	Survival float64  `json:"survival"`
	Low      *float64 `json:"low"`
	High     *float64 `json:"high"`
	AtRisk   int      `json:"atRisk"` // just before
	Events   int      `json:"events"`
	Censored int      `json:"censored"`
}

// SurvivalComparison compares the arms.
type SurvivalComparison struct {
	Descriptive bool        `json:"descriptive"`
	PFS         LogRankTest `json:"pfs"`
	OS          LogRankTest `json:"os"`
}

// StayEntry is the stay in hospital that holds day 0, in days.
type StayEntry struct {
	Arm        string     `json:"arm,omitempty"`
	N          int        `json:"n"`
	Days       Quantile   `json:"days"`    // of stays that have ended
	Ongoing    int        `json:"ongoing"` // stays that have not, which are not in Days
	Readmitted Proportion `json:"readmitted"`
}

// StayComparison compares the days of two arms.
type StayComparison struct {
	Descriptive bool        `json:"descriptive"`
	Days        RankSumTest `json:"days"`
}

// BiomarkersEntry is the biomarkers of an arm, those with a value, by marker and window.
type BiomarkersEntry struct {
	Arm     string        `json:"arm,omitempty"`
	N       int           `json:"n"`
	Markers []MarkerEntry `json:"markers"`
}

// MarkerEntry is one marker in one window.
type MarkerEntry struct {
	Marker string   `json:"marker"`
	Window string   `json:"window"`
	Unit   string   `json:"unit,omitempty"`
	N      int      `json:"n"` // patients with a value
	Median *float64 `json:"median"`
	Q1     *float64 `json:"q1"`
	Q3     *float64 `json:"q3"`
}

// BiomarkersComparison compares two arms, marker by marker.
type BiomarkersComparison struct {
	Descriptive bool               `json:"descriptive"`
	Markers     []MarkerComparison `json:"markers"`
}

// MarkerComparison is one marker in one window.
type MarkerComparison struct {
	Marker string `json:"marker"`
	Window string `json:"window"`
	RankSumTest
}

func (c *cohort) response() Panel {
	out := c.panel(Response, func(g group) any {
		e := ResponseEntry{Arm: g.arm, N: len(g.ps)}
		for _, s := range g.ps {
			if s.Assessed {
				e.Assessed++
			}
			if s.Unconfirmed {
				e.Unconfirmed++
			}
			switch s.Best {
			case timeline.CR:
				e.Best.CR++
			case timeline.PR:
				e.Best.PR++
			case timeline.SD:
				e.Best.SD++
			case timeline.PD:
				e.Best.PD++
			default:
				e.Best.NE++
			}
		}
		responded := e.Best.CR + e.Best.PR
		e.ORR, e.DCR = NewProportion(responded, e.N), NewProportion(responded+e.Best.SD, e.N)
		return e
	})
	if a, b, ok := pair[ResponseEntry](out); ok {
		out.Comparison = ResponseComparison{c.descriptive(), fisher(a.ORR.N, a.N, b.ORR.N, b.N), fisher(a.DCR.N, a.N, b.DCR.N, b.N)}
	}
	return out
}

// followed are the observations of a group, in months.
func (c *cohort) followed(g group, of func(*rules.Summary) *rules.Followed) []stat.Observation {
	month := c.p.Survival.MonthDays.Float()
	var list []stat.Observation
	for _, s := range g.ps {
		if f := of(s); f != nil {
			list = append(list, stat.Observation{Time: float64(f.Days) / month, Event: f.Event})
		}
	}
	return list
}

func pfs(s *rules.Summary) *rules.Followed { return s.PFS }

func os(s *rules.Summary) *rules.Followed { return s.OS }

func dor(s *rules.Summary) *rules.Followed { return s.DOR }

func (c *cohort) survival() Panel {
	out := c.panel(Survival, func(g group) any { return SurvivalEntry{g.arm, c.curve(g, pfs), c.curve(g, os), c.curve(g, dor)} })
	if len(c.assigned) < 2 {
		return out
	}
	test := func(of func(*rules.Summary) *rules.Followed) (t LogRankTest) {
		var groups [][]stat.Observation
		for _, g := range c.assigned {
			groups = append(groups, c.followed(g, of))
		}
		if r, ok := stat.LogRank(groups...); ok {
			t.LogRankP = figures(&r.P)
		}
		return t
	}
	out.Comparison = SurvivalComparison{c.descriptive(), test(pfs), test(os)}
	return out
}

// curvePoints is how many points of a curve are published at most: more than a screen shows, and few enough for one message.
const curvePoints = 200

func (c *cohort) curve(g group, of func(*rules.Summary) *rules.Followed) SurvivalCurve {
	observations := c.followed(g, of)
	k := stat.KaplanMeier(observations)
	median, followUp := k.Median(), stat.FollowUp(observations)
	s := SurvivalCurve{
		N: k.N, Events: k.Events, Median: places(median.Value, 2), Low: places(median.Low, 2), High: places(median.High, 2), FollowUp: places(followUp.Value, 2),
		Rates: []Rate{}, Curve: []CurvePoint{{Survival: 1, AtRisk: k.N}},
	}
	for _, m := range c.p.Survival.Months {
		e := k.At(float64(m))
		s.Rates = append(s.Rates, Rate{m, places(e.Value, 3), places(e.Low, 3), places(e.High, 3), k.AtRisk(float64(m))})
	}
	if len(k.Steps) == 0 {
		return s
	}
	width := k.Steps[len(k.Steps)-1].Time / curvePoints
	for i := range k.Steps {
		step := &k.Steps[i]
		p := CurvePoint{*places(&step.Time, 2), *places(&step.Survival, 4), places(step.Low, 4), places(step.High, 4), step.AtRisk, step.Events, step.Censored}
		if last := len(s.Curve) - 1; len(k.Steps) > curvePoints && i > 0 && int(step.Time/width) == int(k.Steps[i-1].Time/width) {
			p.AtRisk, p.Events, p.Censored = s.Curve[last].AtRisk, p.Events+s.Curve[last].Events, p.Censored+s.Curve[last].Censored
			s.Curve[last] = p
			continue
		}
		s.Curve = append(s.Curve, p)
	}
	return s
}

func (c *cohort) stay() Panel {
	days := func(g group) (ended []float64) {
		for _, s := range g.ps {
			if s.Stay != nil && !s.Stay.Ongoing {
				ended = append(ended, float64(s.Stay.Days))
			}
		}
		return ended
	}
	out := c.panel(Stay, func(g group) any {
		e := StayEntry{Arm: g.arm, N: len(g.ps), Days: NewQuantile(days(g))}
		readmitted := 0
		for _, s := range g.ps {
			switch {
			case s.Stay == nil:
			case s.Stay.Ongoing:
				e.Ongoing++
			case s.Stay.Readmissions > 0:
				readmitted++
			}
		}
		e.Readmitted = NewProportion(readmitted, e.Days.Of)
		return e
	})
	if len(c.assigned) == 2 {
		out.Comparison = StayComparison{c.descriptive(), c.tests.of("stay", days(c.assigned[0]), days(c.assigned[1]))}
	}
	return out
}

func (c *cohort) biomarkers() Panel {
	type place struct{ marker, window string }
	var assigned []map[place][]float64 // values of each arm, sorted by the arm's entry
	values := func(g group) map[place][]float64 {
		m := map[place][]float64{}
		for _, s := range g.ps {
			for _, v := range s.Markers {
				at := place{v.Marker, v.Window}
				m[at] = append(m[at], v.Value)
			}
		}
		return m
	}
	// each calls fn for every marker and window in the order of the protocol.
	each := func(fn func(at place, unit string)) {
		for i := range c.p.Biomarkers.Markers {
			for j := range c.p.Biomarkers.Windows {
				m := &c.p.Biomarkers.Markers[i]
				fn(place{m.ID, c.p.Biomarkers.Windows[j].ID}, m.Measured())
			}
		}
	}
	out := c.panel(Biomarkers, func(g group) any {
		e := BiomarkersEntry{Arm: g.arm, N: len(g.ps), Markers: []MarkerEntry{}}
		m := values(g)
		if len(assigned) < len(c.assigned) && g.arm != "" {
			assigned = append(assigned, m)
		}
		each(func(at place, unit string) {
			if vs := m[at]; len(vs) > 0 {
				slices.Sort(vs)
				e.Markers = append(e.Markers, MarkerEntry{at.marker, at.window, unit, len(vs), quantileOf(vs, 0.5), quantileOf(vs, 0.25), quantileOf(vs, 0.75)})
			}
		})
		return e
	})
	if len(c.assigned) == 2 {
		a, b := assigned[0], assigned[1]
		compared := BiomarkersComparison{c.descriptive(), []MarkerComparison{}}
		each(func(at place, _ string) {
			if len(a[at])+len(b[at]) > 0 {
				compared.Markers = append(compared.Markers, MarkerComparison{at.marker, at.window, c.tests.of("biomarkers "+at.marker+" "+at.window, a[at], b[at])})
			}
		})
		out.Comparison = compared
	}
	return out
}

func quantileOf(values []float64, p float64) *float64 {
	if v, ok := stat.Quantile(values, p); ok {
		return figures(&v)
	}
	return nil
}
