package stat

import (
	"cmp"
	"math"
	"slices"
)

// Times is observations of survival that are put in and taken out, kept in order of time. What it says depends on the observations that are in it alone. The zero value is empty.
// Not safe for concurrent use.
type Times struct {
	n       int
	moments []moment
}

// moment is a time at which somebody had the event or was censored.
type moment struct {
	time             float64
	events, censored int
}

// Add puts an observation in. It panics on a time that is not finite.
func (t *Times) Add(o Observation) { t.change(o, 1) }

// Remove takes out an observation that was put in. It panics if there is none.
func (t *Times) Remove(o Observation) { t.change(o, -1) }

func (t *Times) change(o Observation, by int) {
	finite(o.Time)
	i, ok := slices.BinarySearchFunc(t.moments, o.Time, func(m moment, time float64) int { return cmp.Compare(m.time, time) })
	if !ok {
		t.moments = slices.Insert(t.moments, i, moment{time: o.Time})
	}
	m := &t.moments[i]
	if o.Event {
		m.events += by
	} else {
		m.censored += by
	}
	if m.events < 0 || m.censored < 0 {
		panic("stat: an observation that was never put in is taken out")
	}
	if *m == (moment{time: m.time}) {
		t.moments = slices.Delete(t.moments, i, i+1)
	}
	t.n += by
}

// N counts the observations.
func (t *Times) N() int { return t.n }

// KaplanMeier is [KaplanMeier] of the observations.
func (t *Times) KaplanMeier() Curve {
	c := Curve{N: t.n, Steps: make([]Step, 0, len(t.moments))}
	of := make([]float64, 3*len(t.moments)) // standard errors and limits
	left, survival, greenwood := t.n, 1.0, 0.0
	for i := range t.moments {
		m := &t.moments[i]
		s := Step{Time: m.time, AtRisk: left, Events: m.events, Censored: m.censored}
		n, d := float64(left), float64(m.events)
		switch {
		case m.events == 0 && i > 0: // nothing falls
			last := &c.Steps[i-1]
			s.Survival, s.SE, s.Low, s.High = last.Survival, last.SE, last.Low, last.High
		case m.events == left: // nobody is left
		default:
			survival *= (n - d) / n
			greenwood += d / (n * (n - d))
			s.Survival, s.SE = survival, &of[3*i]
			root := math.Sqrt(greenwood)
			*s.SE = survival * root
			if survival < 1 {
				fall := math.Log(survival)
				wider := math.Exp(normal * root / fall) // below 1; the limits are the survival to its power, and to that of its inverse
				s.Low, s.High = &of[3*i+1], &of[3*i+2]
				*s.Low, *s.High = math.Exp(fall/wider), math.Exp(fall*wider)
			}
		}
		left -= m.events + m.censored
		c.Events += m.events
		c.Steps = append(c.Steps, s)
	}
	return c
}

// FollowUp is [FollowUp] of the observations.
func (t *Times) FollowUp() Estimate {
	reverse := Times{t.n, slices.Clone(t.moments)}
	for i := range reverse.moments {
		m := &reverse.moments[i]
		m.events, m.censored = m.censored, m.events
	}
	return reverse.KaplanMeier().Median()
}

// MedianFollowUp is the value of FollowUp without its limits, for less; nil where it is not reached.
func (t *Times) MedianFollowUp() *float64 {
	c := Curve{Steps: make([]Step, 0, len(t.moments))}
	left, share := t.n, 1.0
	for i := range t.moments {
		m := &t.moments[i]
		share *= float64(left-m.censored) / float64(left)
		c.Steps = append(c.Steps, Step{Time: m.time, Survival: share})
		if share < 0.4 { // the median is passed
			break
		}
		left -= m.events + m.censored
	}
	return c.Median().Value
}

func timesOf(observations []Observation) *Times {
	t := &Times{n: len(observations)}
	sorted := slices.Clone(observations)
	for _, o := range sorted {
		finite(o.Time)
	}
	slices.SortFunc(sorted, func(a, b Observation) int { return cmp.Compare(a.Time, b.Time) })
	for _, o := range sorted {
		if last := len(t.moments) - 1; last < 0 || t.moments[last].time != o.Time {
			t.moments = append(t.moments, moment{time: o.Time})
		}
		m := &t.moments[len(t.moments)-1]
		if o.Event {
			m.events++
		} else {
			m.censored++
		}
	}
	return t
}
