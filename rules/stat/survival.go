package stat

import (
	"cmp"
	"slices"
)

// Observation is how long somebody was followed, in any unit, and whether that ended in the event. Where it did not, it is censored: the event
// would have come later than Time. Times are tied where they are exactly equal.
type Observation struct {
	Time  float64
	Event bool
}

// Step is a time at which somebody had the event or was censored. Those censored at a time were at risk of what happened at it.
type Step struct {
	Time     float64
	AtRisk   int // just before
	Events   int
	Censored int
	Survival float64  // after the events
	SE       *float64 // of Survival; nil once nobody is left
	Low      *float64 // limits; nil where Survival is 1 or 0
	High     *float64
}

// Curve is a Kaplan-Meier curve. The zero value is that of nobody.
type Curve struct {
	N      int
	Events int
	Steps  []Step // one for each time at which anything happened, in order of time
}

// KaplanMeier returns the product-limit estimate (Kaplan and Meier, J Am Stat Assoc 1958;53:457) with Greenwood's variance and limits from the
// log(-log) transformation, which never leave 0 to 1 (Kalbfleisch and Prentice, 2nd ed., section 1.4): R's survfit(conf.type = "log-log").
func KaplanMeier(observations []Observation) Curve { return timesOf(observations).KaplanMeier() }

// Median returns the median time to the event with limits after Brookmeyer and Crowley (Biometrics 1982;38:29): the times at which the curve and
// its limits fall to one half. Where one of them lies on one half from one fall to the next, it is the middle between the two; where it lies on it to
// the end, the first. So does R's print(survfit(conf.type = "log-log")); R's quantile() differs in the last case.
func (c Curve) Median() Estimate {
	return Estimate{
		Value: c.half(func(s *Step) *float64 { return &s.Survival }),
		Low:   c.half(func(s *Step) *float64 { return s.Low }),
		High:  c.half(func(s *Step) *float64 { return s.High }),
	}
}

// half is when a level falls to one half; nil where it does not.
func (c Curve) half(level func(*Step) *float64) *float64 {
	const near = 1.0 / (1 << 26) // R's: a product of fractions that is one half is seldom exactly so in floats
	var first *Step              // of a stretch on one half
	for i := range c.Steps {
		s := &c.Steps[i]
		switch v := level(s); {
		case v == nil || *v >= 0.5+near:
		case first == nil && *v <= 0.5-near:
			return &s.Time
		case first == nil:
			first = s
		case *v < *level(first):
			return new((first.Time + s.Time) / 2)
		}
	}
	if first == nil {
		return nil
	}
	return &first.Time
}

// At returns the share without the event at a time, with its limits; all nil after the last one followed, unless nobody is left without it.
func (c Curve) At(t float64) Estimate {
	finite(t)
	i, exact := slices.BinarySearchFunc(c.Steps, t, func(s Step, t float64) int { return cmp.Compare(s.Time, t) })
	if exact {
		i++
	}
	switch {
	case len(c.Steps) == 0:
		return Estimate{}
	case i == 0:
		return Estimate{Value: new(1.0)}
	}
	s := c.Steps[i-1]
	if i == len(c.Steps) && !exact && s.Survival > 0 {
		return Estimate{}
	}
	return Estimate{Value: &s.Survival, Low: s.Low, High: s.High}
}

// AtRisk counts those still followed and without the event just before a time.
func (c Curve) AtRisk(t float64) int {
	finite(t)
	i, _ := slices.BinarySearchFunc(c.Steps, t, func(s Step, t float64) int { return cmp.Compare(s.Time, t) })
	if i == len(c.Steps) {
		return 0
	}
	return c.Steps[i].AtRisk
}

// FollowUp returns the median time of follow-up with its limits: the curve with events and censoring exchanged, so that whoever had the event counts
// as somebody who would have been followed longer (Schemper and Smith, Control Clin Trials 1996;17:343).
func FollowUp(observations []Observation) Estimate { return timesOf(observations).FollowUp() }
