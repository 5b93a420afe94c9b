package web

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/trialwatch/trialwatch/rules/aggregate"
)

// comparison reads how the arms of a panel compare; ok is false where they are not compared.
func comparison[E any](p aggregateBody) (c E, ok bool) {
	var body struct {
		Comparison json.RawMessage `json:"comparison"`
	}
	if json.Unmarshal(p.data, &body) != nil || body.Comparison == nil {
		return c, false
	}
	return c, json.Unmarshal(body.Comparison, &c) == nil
}

// pValue writes a p-value as it should be read.
func pValue(test string, p *float64, descriptive bool) string {
	if p == nil {
		return ""
	}
	s := fmt.Sprintf("%s P = %.2g.", test, *p)
	if *p >= 0.1 {
		s = fmt.Sprintf("%s P = %.2f.", test, *p)
	}
	if descriptive {
		s += " Too few patients to compare: a description only."
	}
	return s
}

func (v *studyView) response(p aggregateBody) {
	entries := decode[aggregate.ResponseEntry](p)
	if len(entries) == 0 || entries[len(entries)-1].Assessed == 0 {
		return // nobody has been assessed yet
	}
	note := "Best overall response, of all enrolled in the arm: who was never assessed is not evaluable and stays in the denominator."
	if c, ok := comparison[aggregate.ResponseComparison](p); ok {
		note += " " + pValue("Objective response, Fisher", c.ORR.FisherP, c.Descriptive)
	}
	t := newTable("Response", note, len(entries))
	for i, e := range entries {
		t.set("Objective response (CR or PR)", false, i, proportion(e.ORR))
		t.set("Disease control (CR, PR or SD)", false, i, proportion(e.DCR))
		for _, b := range []struct {
			label string
			n     int
		}{{"Complete", e.Best.CR}, {"Partial", e.Best.PR}, {"Stable disease", e.Best.SD}, {"Progressive disease", e.Best.PD}, {"Not evaluable", e.Best.NE}, {"Seen, not confirmed", e.Unconfirmed}} {
			t.set(b.label, true, i, count(b.n))
		}
	}
	v.add(t)
}

func (v *studyView) survival(p aggregateBody) {
	entries := decode[aggregate.SurvivalEntry](p)
	if len(entries) == 0 || entries[len(entries)-1].OS.N == 0 {
		return // nobody is followed yet
	}
	c, compared := comparison[aggregate.SurvivalComparison](p)
	for _, x := range []struct {
		title string
		of    func(*aggregate.SurvivalEntry) *aggregate.SurvivalCurve
		p     *float64
	}{
		{"Progression-free survival", func(e *aggregate.SurvivalEntry) *aggregate.SurvivalCurve { return &e.PFS }, c.PFS.LogRankP},
		{"Overall survival", func(e *aggregate.SurvivalEntry) *aggregate.SurvivalCurve { return &e.OS }, c.OS.LogRankP},
	} {
		note := "Kaplan-Meier, months, with 95 % limits; follow-up by the reverse curve; NA is not reached."
		if compared {
			note += " " + pValue("Log-rank", x.p, c.Descriptive)
		}
		t := newTable(x.title, note, len(entries))
		for i := range entries {
			s := x.of(&entries[i])
			if s.N == 0 {
				t.set("Median", false, i, cell{Main: notKnown, Share: -1})
				continue
			}
			t.set("Median", false, i, cell{Main: limit(s.Median), Sub: "95 % CI " + limit(s.Low) + "–" + limit(s.High), Share: -1})
			t.set("Events", true, i, cell{Main: fmt.Sprintf("%d of %d", s.Events, s.N), Share: -1})
			t.set("Median follow-up", true, i, cell{Main: limit(s.FollowUp), Share: -1})
			for _, r := range s.Rates {
				cl := cell{Main: notKnown, Share: -1}
				if r.Estimate != nil {
					cl = cell{Main: fmt.Sprintf("%.1f %%", *r.Estimate*100), Share: -1}
					if r.Low != nil && r.High != nil {
						cl.Sub = fmt.Sprintf("95 %% CI %.1f–%.1f", *r.Low*100, *r.High*100)
					}
				}
				t.set(fmt.Sprintf("At %d months", r.Months), true, i, cl)
			}
		}
		var arms []*aggregate.SurvivalCurve
		var names []string
		for i := range entries[:len(entries)-1] {
			arms, names = append(arms, x.of(&entries[i])), append(names, entries[i].Arm)
		}
		t.Plot = newPlot(x.title, names, arms)
		v.add(t)
	}
}

func (v *studyView) stay(p aggregateBody) {
	entries := decode[aggregate.StayEntry](p)
	if len(entries) == 0 || entries[len(entries)-1].Days.Of+entries[len(entries)-1].Ongoing == 0 {
		return
	}
	note := "The stay that holds the infusion, from admission to discharge. Stays that go on are counted apart; readmissions are other stays."
	if c, ok := comparison[aggregate.StayComparison](p); ok {
		note += " " + pValue("Rank sum", c.Days.RankSumP, c.Descriptive)
	}
	t := newTable("Days in hospital", note, len(entries))
	for i, e := range entries {
		t.set("Days, median (range)", false, i, quantile(e.Days))
		t.set("Still in hospital", true, i, count(e.Ongoing))
		t.set("Readmitted later", true, i, proportion(e.Readmitted))
	}
	v.add(t)
}

func (v *studyView) biomarkers(p aggregateBody) {
	entries := decode[aggregate.BiomarkersEntry](p)
	if len(entries) == 0 {
		return
	}
	note := "Median (quartiles) of patients with a value in the window."
	tests := map[string]*float64{}
	if c, ok := comparison[aggregate.BiomarkersComparison](p); ok {
		note += " P by rank sum."
		if c.Descriptive {
			note += " Too few patients to compare: a description only."
		}
		for _, m := range c.Markers {
			tests[m.Marker+" "+m.Window] = m.RankSumP
		}
	}
	t := newTable("Biomarkers", note, len(entries))
	for _, m := range entries[len(entries)-1].Markers { // the total names every marker
		label := m.Marker + ", " + m.Window
		if unit := m.Unit; unit != "" && unit != "1" {
			label += " (" + unit + ")"
		}
		for i, e := range entries {
			c := cell{Main: notKnown, Share: -1}
			for _, x := range e.Markers {
				if x.Marker == m.Marker && x.Window == m.Window {
					c = cell{Main: fmt.Sprintf("%s (%s–%s)", limit(x.Median), limit(x.Q1), limit(x.Q3)), Sub: fmt.Sprintf("of %d", x.N), Share: -1}
				}
			}
			if p := tests[m.Marker+" "+m.Window]; i == len(entries)-1 && p != nil {
				c.Sub += fmt.Sprintf(", P = %.2g", *p)
			}
			t.set(label, false, i, c)
		}
	}
	v.add(t)
}

// limit writes what may not be reached.
func limit(v *float64) string {
	if v == nil {
		return notKnown
	}
	return fmt.Sprintf("%g", *v)
}

// plot is the curves of one endpoint, ready to draw: coordinates of a box of plotWidth by plotHeight with the axes at its left and below.
type plot struct {
	Title string
	Said  string // for who does not see it
	Lines []line
	X     []tick
	Y     []tick
	Risk  []risk
}

// line is one arm's curve.
type line struct {
	Name, Path, Marks string // Marks are where patients were censored
	Label             tick   // of the key
}

type tick struct {
	At    float64
	Label string
}

// risk are the numbers at risk of one arm, one a tick of X.
type risk struct {
	Name string
	Y    int
	N    []tick
}

const (
	plotLeft, plotTop     = 64.0, 12.0
	plotWidth, plotHeight = 540.0, 190.0
)

// Height is that of the whole drawing.
func (p *plot) Height() int { return int(plotTop+plotHeight) + 56 + 16*len(p.Risk) }

// newPlot draws curves, nil if nobody is followed.
func newPlot(title string, names []string, curves []*aggregate.SurvivalCurve) *plot {
	months := 0.0
	for _, c := range curves {
		months = max(months, c.Curve[len(c.Curve)-1].Months)
	}
	if months == 0 {
		return nil
	}
	step := 1.0
	for _, s := range []float64{1, 2, 3, 6, 12, 24, 60, 120, 600} {
		if step = s; months/s <= 8 {
			break
		}
	}
	x := func(t float64) float64 { return plotLeft + plotWidth*t/months }
	y := func(share float64) float64 { return plotTop + plotHeight*(1-share) }
	p := &plot{Title: title}
	for t := 0.0; t <= months; t += step {
		p.X = append(p.X, tick{x(t), fmt.Sprintf("%g", t)})
	}
	for _, share := range []float64{0, 0.25, 0.5, 0.75, 1} {
		p.Y = append(p.Y, tick{y(share), fmt.Sprintf("%g", share*100)})
	}
	var said []string
	for i, c := range curves {
		var path, marks strings.Builder
		fmt.Fprintf(&path, "M%.1f %.1f", x(0), y(1))
		for _, pt := range c.Curve {
			fmt.Fprintf(&path, "H%.1fV%.1f", x(pt.Months), y(pt.Survival))
			if pt.Censored > 0 {
				fmt.Fprintf(&marks, "M%.1f %.1fv8", x(pt.Months), y(pt.Survival)-4)
			}
		}
		r := risk{Name: names[i], Y: int(plotTop+plotHeight) + 62 + 16*i}
		for _, t := range p.X {
			r.N = append(r.N, tick{t.At, fmt.Sprint(atRisk(c, (t.At-plotLeft)*months/plotWidth))})
		}
		p.Risk = append(p.Risk, r)
		p.Lines = append(p.Lines, line{Name: names[i], Path: path.String(), Marks: marks.String(), Label: tick{plotTop + 10 + 16*float64(i), names[i]}})
		said = append(said, fmt.Sprintf("%s median %s months, %d events of %d", cmp.Or(names[i], "all"), limit(c.Median), c.Events, c.N))
	}
	p.Said = title + ": " + strings.Join(said, "; ")
	return p
}

// atRisk counts those followed and without the event just before a time.
func atRisk(c *aggregate.SurvivalCurve, months float64) int {
	n := c.N
	for _, pt := range c.Curve {
		if pt.Months < months-0.005 { // months are rounded to two places
			n -= pt.Events + pt.Censored
		}
	}
	return n
}
