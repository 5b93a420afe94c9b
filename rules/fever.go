package rules

import (
	"slices"
	"time"

	"github.com/trialwatch/trialwatch/rules/ctcae"
	"github.com/trialwatch/trialwatch/rules/decimal"
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

// readings returns the temperatures by instant.
func (c *Case) readings() []reading {
	points := c.results(timeline.Temperature, true)
	rs := make([]reading, 0, len(points))
	for i := range points {
		at := points[i].Fact.At.Start
		if last := len(rs) - 1; last >= 0 && rs[last].at.Equal(at) {
			rs[last].points = append(slices.Clip(rs[last].points), points[i])
			slices.SortStableFunc(rs[last].points, func(a, b timeline.Point) int { return b.Value.Value.Cmp(a.Value.Value) })
			continue
		}
		rs = append(rs, reading{at: at, points: points[i : i+1]})
	}
	return rs
}

// fever grades body temperature. Readings ≥ 38.0 Cel less than the protocol's gap apart are one episode, which ends that gap after the last of
// them. Above 40.0 Cel for more than 24 h without a lower reading is grade 4.
//
// Source: CTCAE 4.03, 5.0 and 6.0, General disorders, Fever.
func fever(c *Case) {
	criterion := ctcae.Fever(c.Protocol.CTCAE)
	tox := c.Protocol.Tox(criterion.Slug)
	if tox == nil {
		return
	}
	gap := tox.EpisodeGap.D()
	var e *episode
	var last, above40 time.Time // the last febrile reading; the first of a run above 40.0
	for _, r := range c.readings() {
		p := r.highest()
		g := criterion.Grade(r.value(), nil, nil)
		switch {
		case r.value().Above(forty) != ctcae.Yes:
			above40 = time.Time{}
		case above40.IsZero():
			above40 = r.at
		case r.at.Sub(above40) > 24*time.Hour:
			g = ctcae.Grading{Min: 4, Max: 4}
		}
		if g.Max > 0 && g.Min == 0 {
			continue // a comparator leaves it open whether this is a fever
		}
		if e != nil && r.at.Sub(last) >= gap {
			c.close(e, last.Add(gap))
			e = nil
		}
		if g.Min == 0 {
			if e != nil {
				e.Current = new(0)
			}
			continue
		}
		if e == nil {
			e = newEpisode(criterion, r.at, p.Fact.ReceivedAt)
		}
		last = r.at
		for _, q := range r.points {
			if ctcae.Of(q.Value.Value, q.Value.Comparator).AtLeast(febrile) == ctcae.Yes {
				e.Evidence = append(e.Evidence, evidence(q, timeline.Temperature))
			}
		}
		e.add(g, review(p), p.Fact.Provisional, p.Value.String())
	}
	if e != nil {
		c.close(e, last.Add(gap))
	}
}

// Limits of CTCAE fever, Cel.
var (
	febrile = decimal.Must("38.0")
	forty   = decimal.Must("40.0")
)
