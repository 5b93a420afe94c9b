package aggregate

import (
	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/protocol"
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
	// FollowUp is the median time of follow-up by the reverse Kaplan-Meier curve (Schemper and Smith, Control Clin Trials 1996;17:343): how long patients would have
	// been followed had none had the event. Null where the curve does not fall to one half.
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

// response counts patients by their best response.
type response struct {
	b                     *Board
	assessed, unconfirmed int
	best                  Best
}

func (c *response) change(out, in *rules.Summary) {
	c.count(out, -1)
	c.count(in, 1)
}

func (c *response) count(s *rules.Summary, by int) {
	if !s.Enrolled {
		return
	}
	if s.Assessed {
		c.assessed += by
	}
	if s.Unconfirmed {
		c.unconfirmed += by
	}
	switch s.Best {
	case timeline.CR:
		c.best.CR += by
	case timeline.PR:
		c.best.PR += by
	case timeline.SD:
		c.best.SD += by
	case timeline.PD:
		c.best.PD += by
	default:
		c.best.NE += by
	}
}

func (c *response) entry(g *group) any {
	responded := c.best.CR + c.best.PR
	return ResponseEntry{
		Arm: g.arm, N: g.n, Assessed: c.assessed, Best: c.best, Unconfirmed: c.unconfirmed,
		ORR: c.b.memo.proportion(responded, g.n), DCR: c.b.memo.proportion(responded+c.best.SD, g.n),
	}
}

func (b *Board) compareResponse(l *live) any {
	x, y, ok := pair[ResponseEntry](l.panel)
	if !ok {
		return nil
	}
	return ResponseComparison{b.descriptive(), b.memo.fisher(x.ORR.N, x.N, y.ORR.N, y.N), b.memo.fisher(x.DCR.N, x.N, y.DCR.N, y.N)}
}

// survival is the times of a group.
type survival struct {
	p            *protocol.Protocol
	pfs, os, dor followed
}

// followed is the times to one event, and the curve while it holds.
type followed struct {
	of    func(*rules.Summary) *rules.Followed
	month float64
	times stat.Times
	curve *SurvivalCurve
}

func newSurvival(p *protocol.Protocol) *survival {
	month := p.Survival.MonthDays.Float()
	return &survival{
		p:   p,
		pfs: followed{of: func(s *rules.Summary) *rules.Followed { return s.PFS }, month: month},
		os:  followed{of: func(s *rules.Summary) *rules.Followed { return s.OS }, month: month},
		dor: followed{of: func(s *rules.Summary) *rules.Followed { return s.DOR }, month: month},
	}
}

func (c *survival) change(out, in *rules.Summary) {
	for _, f := range []*followed{&c.pfs, &c.os, &c.dor} {
		was, is := f.of(out), f.of(in)
		if equal(was, is) {
			continue
		}
		f.curve = nil
		if was != nil {
			f.times.Remove(f.observation(was))
		}
		if is != nil {
			f.times.Add(f.observation(is))
		}
	}
}

func (f *followed) observation(o *rules.Followed) stat.Observation {
	return stat.Observation{Time: float64(o.Days) / f.month, Event: o.Event}
}

func (c *survival) entry(g *group) any {
	return SurvivalEntry{g.arm, c.pfs.made(c.p), c.os.made(c.p), c.dor.made(c.p)}
}

func (f *followed) made(p *protocol.Protocol) SurvivalCurve {
	if f.curve == nil {
		f.curve = new(curve(p, &f.times))
	}
	return *f.curve
}

func (b *Board) compareSurvival(l *live) any {
	if len(b.p.Arms) < 2 {
		return nil
	}
	test := func(of func(*survival) *stat.Times) (t LogRankTest) {
		var groups []*stat.Times
		for _, c := range l.counts[:len(b.p.Arms)] {
			groups = append(groups, of(c.(*survival)))
		}
		if r, ok := stat.LogRankOf(groups...); ok {
			t.LogRankP = figures(&r.P)
		}
		return t
	}
	return SurvivalComparison{
		b.descriptive(), test(func(c *survival) *stat.Times { return &c.pfs.times }), test(func(c *survival) *stat.Times { return &c.os.times }),
	}
}

// curvePoints is how many points of a curve are published at most: more than a screen shows, and few enough for one message.
const curvePoints = 200

func curve(p *protocol.Protocol, times *stat.Times) SurvivalCurve {
	k := times.KaplanMeier()
	median := k.Median()
	s := SurvivalCurve{
		N: k.N, Events: k.Events, Median: places(median.Value, 2), Low: places(median.Low, 2), High: places(median.High, 2), FollowUp: places(times.MedianFollowUp(), 2),
		Rates: []Rate{}, Curve: []CurvePoint{{Survival: 1, AtRisk: k.N}},
	}
	for _, m := range p.Survival.Months {
		e := k.At(float64(m))
		s.Rates = append(s.Rates, Rate{m, places(e.Value, 3), places(e.Low, 3), places(e.High, 3), k.AtRisk(float64(m))})
	}
	if len(k.Steps) == 0 {
		return s
	}
	width := k.Steps[len(k.Steps)-1].Time / curvePoints
	bin := func(i int) int { return int(k.Steps[i].Time / width) }
	var pt CurvePoint
	for i := range k.Steps {
		step := &k.Steps[i]
		if pt.Events+pt.Censored == 0 {
			pt.AtRisk = step.AtRisk
		}
		pt.Events, pt.Censored = pt.Events+step.Events, pt.Censored+step.Censored
		if len(k.Steps) > curvePoints && i+1 < len(k.Steps) && bin(i) == bin(i+1) {
			continue
		}
		pt.Months, pt.Survival, pt.Low, pt.High = *places(&step.Time, 2), *places(&step.Survival, 4), places(step.Low, 4), places(step.High, 4)
		s.Curve = append(s.Curve, pt)
		pt = CurvePoint{}
	}
	return s
}

// stay counts days in hospital.
type stay struct {
	b                   *Board
	days                stat.Values // of stays that have ended
	ongoing, readmitted int
}

func (c *stay) change(out, in *rules.Summary) {
	c.count(out.Stay, -1, c.days.Remove)
	c.count(in.Stay, 1, c.days.Add)
}

func (c *stay) count(s *rules.Stay, by int, change func(float64)) {
	switch {
	case s == nil:
	case s.Ongoing:
		c.ongoing += by
	default:
		change(float64(s.Days))
		if s.Readmissions > 0 {
			c.readmitted += by
		}
	}
}

func (c *stay) entry(g *group) any {
	return StayEntry{Arm: g.arm, N: g.n, Days: quantile(&c.days), Ongoing: c.ongoing, Readmitted: c.b.memo.proportion(c.readmitted, c.days.N())}
}

func (b *Board) compareStay() func(*live) any {
	if len(b.p.Arms) != 2 {
		return nil
	}
	var days *stat.Pair
	return func(l *live) any {
		if days == nil {
			days = stat.NewPair(&l.counts[0].(*stay).days, &l.counts[1].(*stay).days)
		}
		return StayComparison{b.descriptive(), rankSum(days)}
	}
}

// place is one marker in one window.
type place struct{ marker, window, unit string }

// placesOf are the markers and windows in the order of the protocol.
func placesOf(p *protocol.Protocol) (places []place) {
	for i := range p.Biomarkers.Markers {
		for j := range p.Biomarkers.Windows {
			m := &p.Biomarkers.Markers[i]
			places = append(places, place{m.ID, p.Biomarkers.Windows[j].ID, m.Measured()})
		}
	}
	return places
}

// biomarkers is the values of a group at each place.
type biomarkers struct {
	places []place
	index  map[[2]string]int // of places, by marker and window
	values []stat.Values
}

func newBiomarkers(places []place) *biomarkers {
	c := &biomarkers{places, map[[2]string]int{}, make([]stat.Values, len(places))}
	for i, at := range places {
		c.index[[2]string{at.marker, at.window}] = i
	}
	return c
}

func (c *biomarkers) change(out, in *rules.Summary) {
	changes(out.Markers, in.Markers, func(v *rules.MarkerValue, by int) {
		at, known := c.index[[2]string{v.Marker, v.Window}]
		switch {
		case !known: // no marker of this protocol
		case by < 0:
			c.values[at].Remove(v.Value)
		default:
			c.values[at].Add(v.Value)
		}
	})
}

func (c *biomarkers) entry(g *group) any {
	e := BiomarkersEntry{Arm: g.arm, N: g.n, Markers: []MarkerEntry{}}
	for i, at := range c.places {
		if v := &c.values[i]; v.N() > 0 {
			e.Markers = append(e.Markers, MarkerEntry{at.marker, at.window, at.unit, v.N(), quantileOf(v, 0.5), quantileOf(v, 0.25), quantileOf(v, 0.75)})
		}
	}
	return e
}

func (b *Board) compareBiomarkers(places []place) func(*live) any {
	if len(b.p.Arms) != 2 {
		return nil
	}
	var pairs []*stat.Pair
	return func(l *live) any {
		x, y := l.counts[0].(*biomarkers), l.counts[1].(*biomarkers)
		if pairs == nil {
			for i := range places {
				pairs = append(pairs, stat.NewPair(&x.values[i], &y.values[i]))
			}
		}
		compared := BiomarkersComparison{b.descriptive(), []MarkerComparison{}}
		for i, at := range places {
			if x.values[i].N()+y.values[i].N() > 0 {
				compared.Markers = append(compared.Markers, MarkerComparison{at.marker, at.window, rankSum(pairs[i])})
			}
		}
		return compared
	}
}

func quantileOf(values *stat.Values, p float64) *float64 {
	if v, ok := values.Quantile(p); ok {
		return figures(&v)
	}
	return nil
}
