package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/rules/ctcae"
	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// This file reads the terms that a single result does not grade by itself. Windows that CTCAE does not name are design defaults, each documented
// in docs/rules.md.

// neutrophils grades every neutrophil count, absolute or derived. What is only known to lie below the leukocytes is not graded.
//
// Source: CTCAE 4.03, 5.0 and 6.0, Investigations, Neutrophil count decreased.
func neutrophils(c *Case, t *protocol.Term) []graded {
	l := t.Criterion.Of(timeline.Neutrophils)
	counts := c.counts(false)
	gs := make([]graded, 0, len(counts))
	for _, n := range counts {
		if n.bound {
			continue
		}
		in := ctcae.Input{Value: n.value.Rounded()}
		limits := n.from[0]
		if len(n.from) > 1 {
			limits.Result = &timeline.Result{Analyte: timeline.Neutrophils} // the limits of its parts are not the limits of the count
		}
		in.LLN, in.ULN = c.normal(limits)
		gs = append(gs, graded{at: n.at, limits: l, points: slices.Clip(n.from)})
		gs[len(gs)-1].by(c, &in)
	}
	return gs
}

var calciumConcepts = []string{
	timeline.CalciumMass, timeline.CalciumMolar, timeline.CalciumCorrectedMass, timeline.CalciumCorrectedMolar, timeline.Albumin,
}

// albuminWithin is how far an albumin may lie from the calcium that it corrects.
const albuminWithin = 24 * time.Hour

// calcium grades serum calcium corrected for albumin: as the laboratory corrected it, else corrected here where an albumin below 40 g/L lies within
// 24 h, by 0.8 mg/dL for each 10 g/L (0.02 mmol/L for each g/L) that it is below. A total without an albumin is graded as it is, for review: after IL-2 albumin
// is low, and an uncorrected total looks like a hypocalcemia that is none.
//
// Source: CTCAE 4.03, 5.0 and 6.0, Hypercalcemia and Hypocalcemia (corrected serum calcium); correction by Payne et al., Br Med J 1973;4:643.
func calcium(c *Case, t *protocol.Term) []graded {
	gs := results(c, t)
	corrected := map[time.Time]bool{}
	for _, g := range gs {
		corrected[g.at.UTC()] = true
	}
	for _, pair := range []struct {
		total, graded string
		per           decimal.Number // of the canonical unit, for each g/L of albumin
	}{
		{timeline.CalciumMass, timeline.CalciumCorrectedMass, decimal.New(8, 100)},
		{timeline.CalciumMolar, timeline.CalciumCorrectedMolar, decimal.New(2, 100)},
	} {
		l := t.Criterion.Of(pair.graded)
		for _, p := range c.results(pair.total, false) {
			if corrected[p.Fact.At.Start.UTC()] {
				continue
			}
			g := graded{at: p.Fact.At.Start, limits: l, points: []timeline.Point{p}, review: true}
			v := p.Value.Value
			if a := c.nearest(timeline.Albumin, p.Fact.At.Start, albuminWithin); a != nil && p.Value.Comparator == "" && a.Value.Comparator == "" {
				if low, err := decimal.Int(40).Add(a.Value.Value.Neg()); err == nil {
					g.review = false
					if low.Sign() > 0 {
						add, err := low.Mul(pair.per)
						if err == nil {
							v, err = v.Add(add)
						}
						g.review = err != nil
						g.points = append(g.points, *a)
						g.more().text = fmt.Sprintf("%s, %s corrected for albumin %s", p.Value, v.Round(), a.Value)
					}
				}
			}
			in := ctcae.Input{Value: ctcae.Of(v, p.Value.Comparator).Rounded()}
			in.LLN, in.ULN = c.normal(p)
			g.by(c, &in)
			gs = append(gs, g)
		}
	}
	return worstByInstant(gs)
}

// nearest is the result of an analyte nearest in time, of two the earlier; nil if none is near enough.
func (c *Case) nearest(analyte string, at time.Time, within time.Duration) *timeline.Point {
	var best *timeline.Point
	for _, p := range c.results(analyte, false) {
		if d := p.Fact.At.Start.Sub(at).Abs(); d <= within && (best == nil || d < best.Fact.At.Start.Sub(at).Abs()) {
			best = &p
		}
	}
	return best
}

// persistence is how an assumption about a run of pressures is settled: every reading since the run's first at or above a limit, gaps of at most gap.
type persistence struct {
	limit  int64
	span   time.Duration
	strict bool // longer than span, not only as long
	gap    time.Duration
}

var persistences = map[string]persistence{
	"at 140 or above for 24 hours":    {140, 24 * time.Hour, false, 12 * time.Hour},
	"at 90 or above for 24 hours":     {90, 24 * time.Hour, false, 12 * time.Hour},
	"at 180 or above for over 1 hour": {180, time.Hour, true, 4 * time.Hour},
	"at 160 or above for over 1 hour": {160, time.Hour, true, 4 * time.Hour},
	"at 110 or above for over 1 hour": {110, time.Hour, true, 4 * time.Hour},
	"at 100 or above for over 1 hour": {100, time.Hour, true, 4 * time.Hour},
}

const recurrent = "recurrent or persistent"

// settle says whether a run that reaches a reading lasts long enough: Undecided while it may, No once a lower reading has cut it short.
func (k persistence) settle(ps []timeline.Point, i int) ctcae.Answer {
	limit := decimal.Int(k.limit)
	first := i
	for first > 0 && !ps[first-1].Value.Value.Less(limit) && ps[first].Fact.At.Start.Sub(ps[first-1].Fact.At.Start) <= k.gap {
		first--
	}
	from := ps[first].Fact.At.Start
	for j := i; j < len(ps); j++ {
		held := ps[j].Fact.At.Start.Sub(from)
		switch {
		case j > i && ps[j].Fact.At.Start.Sub(ps[j-1].Fact.At.Start) > k.gap:
			return ctcae.Undecided
		case ps[j].Value.Value.Less(limit):
			if held <= k.span {
				return ctcae.No
			}
			return ctcae.Undecided
		case held > k.span || held == k.span && !k.strict:
			if j == i {
				return ctcae.Yes
			}
			return ctcae.Undecided // it will last: from that reading on, not before
		}
	}
	return ctcae.Undecided
}

// bloodPressure grades systolic and diastolic pressures, the worse of an instant. What needs a pressure to last is settled by the readings around it; where
// they do not tell, the grade is a range for review.
//
// Source: CTCAE 4.03, 5.0 and 6.0, Vascular disorders, Hypertension, adults.
func bloodPressure(c *Case, t *protocol.Term) []graded {
	var gs []graded
	for i := range t.Criterion.Limits {
		l := &t.Criterion.Limits[i]
		ps := c.results(l.Analyte, true)
		for j, p := range ps {
			in := c.input(t, l, p)
			for _, name := range t.Criterion.Assumptions {
				bit := t.Criterion.Assumption(name)
				answer := persistences[name].settle(ps, j)
				if name == recurrent {
					answer = recurs(ps, j, map[string]int64{timeline.Systolic: 140, timeline.Diastolic: 90}[l.Analyte])
				}
				switch answer {
				case ctcae.Yes:
					in.Holds |= bit
				case ctcae.No:
					in.Fails |= bit
				}
			}
			g := graded{at: p.Fact.At.Start, limits: l, points: ps[j : j+1 : j+1]}
			g.by(c, &in)
			if t.Criterion.Version == ctcae.V6 && l.Analyte == timeline.Systolic && c.meanRose(p) && g.grade.Min < 3 {
				g.grade.Min, g.grade.Worst, g.grade.Max = 3, max(g.grade.Worst, 3), max(g.grade.Max, 3)
			}
			gs = append(gs, g)
		}
	}
	return worstByInstant(gs)
}

// recurs reports a reading at or above the limit at least 24 h before.
func recurs(ps []timeline.Point, i int, limit int64) ctcae.Answer {
	for j := range i {
		if !ps[j].Value.Value.Less(decimal.Int(limit)) && ps[i].Fact.At.Start.Sub(ps[j].Fact.At.Start) >= 24*time.Hour {
			return ctcae.Yes
		}
	}
	return ctcae.Undecided
}

// meanRose reports a systolic pressure above 140 with a mean pressure more than 15 above that of the baseline (CTCAE 6.0). The mean is (systolic + 2 ×
// diastolic) / 3.
func (c *Case) meanRose(p timeline.Point) bool {
	s, d := c.baseline(timeline.Systolic), c.baseline(timeline.Diastolic)
	if s == nil || d == nil || !p.Fact.At.Start.After(s.Fact.At.Start) || p.Value.Comparator != "" || !decimal.Int(140).Less(p.Value.Value) {
		return false
	}
	now := c.nearest(timeline.Diastolic, p.Fact.At.Start, 0)
	if now == nil {
		return false
	}
	three := func(s, d timeline.Point) (decimal.Number, error) {
		twice, err := d.Value.Value.Mul(decimal.Int(2))
		if err != nil {
			return twice, err
		}
		return s.Value.Value.Add(twice)
	}
	a, err1 := three(p, *now)
	b, err2 := three(*s, *d)
	if err1 != nil || err2 != nil {
		return false
	}
	rise, err := a.Add(b.Neg())
	return err == nil && decimal.Int(45).Less(rise)
}

// treatmentWithin is how near a treatment must lie to a low pressure or a fever to be taken for its treatment.
const treatmentWithin = 6 * time.Hour

// lowPressure proposes hypotension: a systolic pressure below the protocol's threshold is grade 1, with intravenous fluid within 6 h after it grade 2,
// with a vasopressor within 6 h of it grade 3.
//
// Source: CTCAE 4.03, 5.0 and 6.0, Vascular disorders, Hypotension, which name no pressure: threshold and windows are the protocol's and design defaults.
func lowPressure(c *Case, t *protocol.Term) []graded {
	l := t.Criterion.Of(timeline.Systolic)
	var gs []graded
	for _, p := range c.results(timeline.Systolic, true) {
		in := c.input(t, l, p)
		g := graded{at: p.Fact.At.Start, limits: l, points: []timeline.Point{p}}
		for _, s := range []struct {
			drug, assumption string
			before           time.Duration
		}{
			{timeline.Vasopressor, "a vasopressor was given", treatmentWithin},
			{timeline.Crystalloid, "intravenous fluid was given", 0},
		} {
			bit := t.Criterion.Assumption(s.assumption)
			if f := c.given(s.drug, g.at.Add(-s.before), g.at.Add(treatmentWithin)); f != nil {
				in.Holds |= bit
				g.more().doses = append(g.doses(), f)
			} else {
				in.Fails |= bit
			}
		}
		g.by(c, &in)
		gs = append(gs, g)
	}
	return gs
}

// given is the first given dose of a drug between two instants, both included; nil if there is none. A vasopressor counts by vein only: phenylephrine
// is also a nasal spray.
func (c *Case) given(drug string, from, to time.Time) *timeline.Fact {
	for _, f := range c.Timeline.Doses() {
		if f.At.Start.After(to) {
			break
		}
		if f.Dose.Drug == drug && f.Dose.Problem == nil && f.Dose.Given() && c.usable(f) && !f.At.Start.Before(from) && (drug != timeline.Vasopressor || f.Dose.Route == "" || f.Dose.Route == "IV") {
			return f
		}
	}
	return nil
}

// replicates is how near ECGs lie that are taken as one.
const replicates = 10 * time.Minute

// correctedQT grades the mean of the corrected QT intervals of ECGs within 10 min of the first. Version 4.03 wants two ECGs for grade 3: another one of at
// least 501 ms, at any other time.
//
// Source: CTCAE 4.03, 5.0 and 6.0, Investigations, Electrocardiogram QT corrected interval prolonged (average QTc).
func correctedQT(c *Case, t *protocol.Term) []graded {
	l := t.Criterion.Of(timeline.QTc)
	ps := c.results(timeline.QTc, false)
	var gs []graded
	for i := 0; i < len(ps); {
		n := i + 1
		for n < len(ps) && ps[n].Fact.At.Start.Sub(ps[i].Fact.At.Start) <= replicates {
			n++
		}
		group := ps[i:n:n]
		p := group[0]
		g := graded{at: p.Fact.At.Start, limits: l, points: group}
		in := c.input(t, l, p)
		if len(group) > 1 {
			if mean, ok := meanOf(group); ok {
				in.Value = ctcae.Point(mean.Round())
				g.more().text = fmt.Sprintf("%s ms, mean of %d ECGs", mean.Round(), len(group))
			}
		}
		in.Holds |= t.Criterion.Assumption("on at least two ECGs") & two(ps, i, n)
		g.by(c, &in)
		gs = append(gs, g)
		i = n
	}
	return gs
}

// two is every assumption if another ECG has at least 501 ms, else none.
func two(ps []timeline.Point, from, to int) ctcae.Assumed {
	for i, p := range ps {
		if (i < from || i >= to) && !p.Value.Value.Less(decimal.Int(501)) {
			return ^ctcae.Assumed(0)
		}
	}
	return 0
}

func meanOf(ps []timeline.Point) (mean decimal.Number, ok bool) {
	sum := decimal.Int(0)
	for _, p := range ps {
		if p.Value.Comparator != "" {
			return mean, false
		}
		var err error
		if sum, err = sum.Add(p.Value.Value); err != nil {
			return mean, false
		}
	}
	mean, err := sum.Quo(decimal.Int(int64(len(ps))))
	return mean, err == nil
}

// urineOutput proposes oliguria (below 80 mL in 8 h) and anuria (below 240 mL in 24 h) at the end of each record, where records without a gap cover the
// window. A volume without a period covers nothing: missing charting is not zero output.
//
// Source: CTCAE 4.03, 5.0 and 6.0, Investigations, Urine output decreased, adults.
func urineOutput(c *Case, t *protocol.Term) []graded {
	charted := c.charted()
	var gs []graded
	for i := range charted {
		for _, w := range []struct {
			analyte string
			window  time.Duration
			hours   int
		}{{"urine-output-8h", 8 * time.Hour, 8}, {"urine-output-24h", 24 * time.Hour, 24}} {
			sum, used, ok := charting(charted[:i+1], w.window)
			if !ok {
				continue
			}
			l := t.Criterion.Of(w.analyte)
			least, most := "", ""
			if sum.HasLow {
				least = sum.Low.String()
			}
			if sum.HasHigh {
				most = sum.High.String()
			}
			text := fmt.Sprintf("%s mL in %d h", most, w.hours)
			if least != most {
				text = fmt.Sprintf("%s to %s mL in %d h", least, most, w.hours)
			}
			if !sum.HasHigh {
				text = fmt.Sprintf("at least %s mL in %d h", least, w.hours)
			}
			in := ctcae.Input{Value: sum}
			g := graded{at: charted[i].Fact.End, limits: l, points: used, derived: &derived{text: text}}
			if g.by(c, &in); g.grade.Why == ctcae.ByComparator {
				continue // the windows do not meet the records: it cannot be told
			}
			g.told = false // the sum may be a range
			gs = append(gs, g)
		}
	}
	return worstByInstant(gs)
}

// charted are the urine volumes with a period that is over, by the ends of their periods.
func (c *Case) charted() []timeline.Point {
	var charted []timeline.Point // by their ends
	for _, p := range c.results(timeline.UrineOutput, true) {
		if p.Fact.End.After(p.Fact.At.Start) && !p.Fact.End.After(c.Now) && p.Value.Comparator == "" {
			charted = append(charted, p)
		} else if p.Fact.End.After(c.Now) {
			c.wake(p.Fact.End)
		}
	}
	slices.SortStableFunc(charted, func(a, b timeline.Point) int { return a.Fact.End.Compare(b.Fact.End) })
	return charted
}

// charting sums the records that end with the last one and follow each other without a gap, back over a window. The sum is exact where the window begins
// with a record, else between what lies within and what reaches beyond. ok is false where nothing can be said.
func charting(charted []timeline.Point, window time.Duration) (sum ctcae.Bounds, used []timeline.Point, ok bool) {
	end := charted[len(charted)-1].Fact.End
	from := end.Add(-window)
	inside, chain := decimal.Int(0), decimal.Int(0)
	next := end
	for _, p := range slices.Backward(charted) {

		if !p.Fact.End.Equal(next) {
			if p.Fact.End.After(next) {
				continue // it overlaps one that was counted
			}
			break
		}
		var err error
		if chain, err = chain.Add(p.Value.Value); err != nil {
			return sum, nil, false
		}
		if !p.Fact.At.Start.Before(from) {
			inside = chain
		}
		used = append(used, p)
		if next = p.Fact.At.Start; !next.After(from) {
			sum.High, sum.HasHigh = chain.Round(), true
			break
		}
	}
	slices.Reverse(used)
	sum.Low, sum.HasLow = inside.Round(), true
	return sum, used, true
}

// thyroidWithin is how far TSH and free thyroxine may lie apart.
const thyroidWithin = 7 * 24 * time.Hour

// hypothyroidism proposes grade 1 where TSH is above normal and free thyroxine below within 7 days, grade 2 once thyroid replacement was given after the
// first study treatment. A TSH that is not above normal ends it.
//
// Source: CTCAE 4.03, 5.0 and 6.0, Endocrine disorders, Hypothyroidism.
func hypothyroidism(c *Case, t *protocol.Term) []graded {
	var gs []graded
	for _, p := range c.results(timeline.TSH, false) {
		_, uln := c.normal(p)
		if !uln.Known {
			continue
		}
		g := graded{at: p.Fact.At.Start, points: []timeline.Point{p}, derived: &derived{text: "TSH " + p.Value.String()}}
		if ctcae.Of(p.Value.Value, p.Value.Comparator).Rounded().High.Cmp(uln.Number) <= 0 && p.Value.Comparator == "" {
			gs = append(gs, g)
			continue
		}
		for _, name := range []string{timeline.FreeT4Mass, timeline.FreeT4Molar} {
			low := c.nearest(name, g.at, thyroidWithin)
			if low == nil || low.Value.Comparator == ">" || low.Value.Comparator == ">=" || p.Value.Comparator == "<" || p.Value.Comparator == "<=" {
				continue
			}
			if lln, _ := c.normal(*low); !lln.Known || low.Value.Value.Round().Cmp(lln.Number) >= 0 {
				continue
			}
			g.points = append(g.points, *low)
			g.derived.text += ", free T4 " + low.Value.String()
			g.at = later(g.at, low.Fact.At.Start)
			g.grade = ctcae.Grading{Worst: 1, Max: 1}
			if f := c.given(timeline.Levothyroxine, c.Treated, g.at); f != nil && !c.Treated.IsZero() {
				g.grade = ctcae.Grading{Worst: 2, Max: 2}
				g.derived.doses = append(g.derived.doses, f)
			}
			gs = append(gs, g)
			break
		}
	}
	return worstByInstant(gs)
}

// cytokineWithin is for how long after the infusion of cells a fever may be a cytokine release syndrome.
const cytokineWithin = 14 * 24 * time.Hour

// cytokineRelease proposes the syndrome for fevers within 14 days after the infusion of cells: fever alone grade 1; with a systolic pressure below the
// protocol's threshold or a saturation below 90 % within 6 h grade 2; with a vasopressor within 6 h grade 3, which is grade 4 in version 4.03.
//
// Source: CTCAE 4.03, 5.0 and 6.0, Immune system disorders, Cytokine release syndrome.
func cytokineRelease(c *Case, t *protocol.Term) []graded {
	if c.Day0.IsZero() {
		return nil
	}
	var gs []graded
	rs := c.readings()
	for i := range rs {
		r := &rs[i]
		if r.at.Before(c.Day0) || r.at.After(c.Day0.Add(cytokineWithin)) {
			continue
		}
		p := r.highest()
		g := graded{at: r.at, points: []timeline.Point{p}}
		if r.value().AtLeast(febrile) != ctcae.Yes {
			gs = append(gs, g)
			continue
		}
		grade, texts := int8(1), []string{p.Value.String()}
		for _, s := range []struct {
			analyte string
			below   *decimal.Number
		}{{timeline.Systolic, t.ThresholdValue()}, {timeline.SpO2, new(decimal.Int(90))}} {
			if q := c.lowest(s.analyte, r.at, treatmentWithin); q != nil && s.below != nil && q.Value.Value.Less(*s.below) {
				grade = 2
				g.points = append(g.points, *q)
				texts = append(texts, s.analyte+" "+q.Value.String())
			}
		}
		if f := c.given(timeline.Vasopressor, r.at.Add(-treatmentWithin), r.at.Add(treatmentWithin)); f != nil {
			grade = 3
			g.more().doses = append(g.doses(), f)
			texts = append(texts, "vasopressor")
		}
		if t.Criterion.Version == ctcae.V4 {
			// Its scale is another one: of all this only a vasopressor stands in it, as grade 4.
			if grade < 3 {
				continue
			}
			grade = 4
		}
		g.grade = ctcae.Grading{Worst: grade, Max: grade}
		g.more().text = strings.Join(texts, ", ")
		gs = append(gs, g)
	}
	return gs
}

// lowest is the lowest result of an analyte within a span around an instant, of equals the earliest.
func (c *Case) lowest(analyte string, at time.Time, within time.Duration) *timeline.Point {
	var low *timeline.Point
	for _, p := range c.results(analyte, true) {
		if p.Fact.At.Start.Sub(at).Abs() <= within && (low == nil || p.Value.Value.Less(low.Value.Value)) {
			low = &p
		}
	}
	return low
}

// chillsWithin is how long after a study drug a narcotic is taken to be for chills.
const chillsWithin = 4 * time.Hour

// chills proposes grade 2 for meperidine within 4 h after a dose of a study treatment.
//
// Source: CTCAE 4.03, 5.0 and 6.0, General disorders, Chills: narcotics indicated.
func chills(c *Case, _ *protocol.Term) []graded {
	var gs []graded
	for _, f := range c.Timeline.Doses() {
		if f.Dose.Drug != timeline.Meperidine || f.Dose.Problem != nil || !f.Dose.Given() || !c.usable(f) {
			continue
		}
		for _, drug := range c.Protocol.Treatments {
			cause := c.given(drug, f.At.Start.Add(-chillsWithin), f.At.Start)
			if cause == nil && drug == c.Protocol.Day0 && !c.Day0.IsZero() && !f.At.Start.Before(c.Day0) && !f.At.Start.After(c.Day0.Add(chillsWithin)) {
				cause = c.Day0Fact
			}
			if cause == nil {
				continue
			}
			g := graded{
				at: f.At.Start, grade: ctcae.Grading{Worst: 2, Max: 2},
				derived: &derived{doses: []*timeline.Fact{f}, text: timeline.Meperidine + " after " + drug},
			}
			if cause.Dose != nil {
				g.derived.doses = append(g.derived.doses, cause)
			}
			gs = append(gs, g)
			break
		}
	}
	return gs
}
