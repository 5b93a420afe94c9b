package rules

import (
	"slices"
	"time"

	"github.com/trialwatch/trialwatch/rules/ctcae"
	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// reading is every temperature of one instant, the highest first.
type reading struct {
	at     time.Time
	points []timeline.Point
}

// highest is the reading that counts where two were taken at one instant.
func (r *reading) highest() timeline.Point { return r.points[0] }

func (r *reading) value() ctcae.Interval {
	p := r.highest()
	return ctcae.Of(p.Value.Value, p.Value.Comparator)
}

// readings returns the temperatures by instant, the highest of an instant first. Febrile neutropenia, fever and cytokine release share them.
func (c *Case) readings() []reading {
	return c.temperatures.get(c, c.readReadings)
}

func (c *Case) readReadings() []reading {
	points := c.results(timeline.Temperature, true)
	rs := make([]reading, 0, len(points))
	for i := range points {
		at := points[i].Fact.At.Start
		if last := len(rs) - 1; last >= 0 && rs[last].at.Equal(at) {
			rs[last].points = append(rs[last].points, points[i])
			slices.SortStableFunc(rs[last].points, func(a, b timeline.Point) int { return b.Value.Value.Cmp(a.Value.Value) })
			continue
		}
		rs = append(rs, reading{at: at, points: points[i : i+1 : i+1]})
	}
	return rs
}

// temperatures grades body temperature. Above 40.0 Cel for more than 24 h without a lower reading is grade 4.
//
// Source: CTCAE 4.03, 5.0 and 6.0, General disorders, Fever.
func temperatures(c *Case, t *protocol.Term) []graded {
	l := t.Criterion.Of(timeline.Temperature)
	rs := c.readings()
	gs := make([]graded, 0, len(rs))
	var above40 time.Time // the first of a run above 40.0
	for i := range rs {
		r := &rs[i]
		v := r.value()
		gs = append(gs, graded{at: r.at, limits: l, points: r.points[:1:1]})
		g := &gs[i]
		g.by(c, &ctcae.Input{Value: v.Rounded()})
		switch {
		case v.Above(forty) != ctcae.Yes:
			above40 = time.Time{}
		case above40.IsZero():
			above40 = r.at
		case r.at.Sub(above40) > 24*time.Hour:
			g.grade = ctcae.Grading{Min: 4, Worst: 4, Max: 4}
		}
		for _, q := range r.points[1:] {
			if ctcae.Of(q.Value.Value, q.Value.Comparator).AtLeast(febrile) == ctcae.Yes {
				g.points = append(g.points, q)
			}
		}
	}
	return gs
}

// Limits of CTCAE fever, Cel.
var (
	febrile = decimal.Must("38.0")
	forty   = decimal.Must("40.0")
)
