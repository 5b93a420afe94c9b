package aggregate

import (
	"math"
	"slices"
	"time"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/stat"
)

// StoppingEntry is where one arm, or the trial, stands by one stopping boundary.
type StoppingEntry struct {
	Boundary string  `json:"boundary"`
	Title    string  `json:"title"`
	Patients int     `json:"patients"` // with such a toxicity
	Of       int     `json:"of"`
	Limit    float64 `json:"limit"`
	// Posterior is the probability that the share is above the limit, which must not be above Cut.
	Posterior float64 `json:"posterior"`
	Cut       float64 `json:"cut"`
	Stop      *int    `json:"stop"` // so many patients of as many meet the boundary; null while no number does
	Met       bool    `json:"met"`
}

// boundary is a stopping boundary as numbers.
type boundary struct {
	*protocol.Stopping
	prior      stat.Beta
	limit, cut float64
}

func newBoundary(s *protocol.Stopping) boundary {
	return boundary{s, stat.Beta{Alpha: s.Prior.Alpha.Float(), Beta: s.Prior.Beta.Float()}, s.Limit.Float(), s.Cut.Float()}
}

func (b boundary) met(n, of int) bool {
	return of >= b.Minimum && b.prior.Exceeds(b.limit, n, of) > b.cut
}

// counted are the patients who count.
func (b boundary) counted(patients []*rules.Summary) []rules.Counted {
	var all []rules.Counted
	for _, s := range patients {
		for _, c := range s.Stopping {
			if c.Boundary == b.ID {
				all = append(all, c)
			}
		}
	}
	return all
}

// toxicities counts the patients of one boundary.
type toxicities struct{ toxic, of int }

func (t *toxicities) count(n *rules.Counted, by int) {
	t.of += by
	if !n.Toxic.IsZero() {
		t.toxic += by
	}
}

// standings are where an arm, or the trial for "", stands by the boundaries that are for it.
func standings(p *protocol.Protocol, arm string, counted map[string]*toxicities) []StoppingEntry {
	var all []StoppingEntry
	for i := range p.Stopping {
		if b := newBoundary(&p.Stopping[i]); (b.Per == protocol.PerTrial) == (arm == "") {
			n := counted[b.ID]
			if n == nil {
				n = &toxicities{}
			}
			all = append(all, b.entry(n.toxic, n.of))
		}
	}
	return all
}

func (b boundary) entry(toxic, of int) StoppingEntry {
	e := StoppingEntry{
		Boundary: b.ID, Title: b.Title, Patients: toxic, Of: of, Limit: b.limit, Cut: b.cut,
		Posterior: math.Round(b.prior.Exceeds(b.limit, toxic, of)*1000) / 1000, Met: b.met(toxic, of),
	}
	if n, ok := b.prior.Boundary(b.limit, b.cut, of); ok && of >= b.Minimum {
		e.Stop = &n
	}
	return e
}

// stops are the times in which the boundary was met without a break, in order, as patients came into the count and had toxicities.
func (b boundary) stops(arm string, counted []rules.Counted) []Stop {
	type step struct {
		at    time.Time
		toxic bool
	}
	steps := make([]step, 0, 2*len(counted))
	for _, c := range counted {
		steps = append(steps, step{c.From, false})
		if !c.Toxic.IsZero() {
			steps = append(steps, step{c.Toxic, true})
		}
	}
	slices.SortFunc(steps, func(a, b step) int { return a.at.Compare(b.at) })
	var stops []Stop
	met, toxic, of := false, 0, 0
	for i := 0; i < len(steps); {
		now, hadToxic, had := steps[i].at, toxic, of
		for ; i < len(steps) && steps[i].at.Equal(now); i++ {
			if steps[i].toxic {
				toxic++
			} else {
				of++
			}
		}
		// Only a toxicity can meet the boundary, or the patient who makes them enough, and only a patient more can leave it.
		switch {
		case !met && (toxic > hadToxic || had < b.Minimum) && b.met(toxic, of):
			met = true
			stops = append(stops, Stop{Arm: arm, Onset: now, Known: known(counted, now)})
		case met && of > had && !b.met(toxic, of):
			met = false
			stops[len(stops)-1].End = now
			stops[len(stops)-1].StoppingEntry = b.entry(hadToxic, had)
		}
	}
	if met {
		stops[len(stops)-1].StoppingEntry = b.entry(toxic, of)
	}
	return stops
}

// known is when the toxicities up to an instant were known.
func known(counted []rules.Counted, onset time.Time) time.Time {
	known := onset
	for _, c := range counted {
		if !c.Toxic.IsZero() && !c.Toxic.After(onset) && c.Known.After(known) {
			known = c.Known
		}
	}
	return known
}

// Stop is a time in which a stopping boundary was met without a break.
type Stop struct {
	StoppingEntry           // as it stood last in that time
	Arm           string    // "": the trial
	Onset         time.Time // when it was met
	End           time.Time // when it was met no more, because more patients without toxicity had come into the count; zero while it is met
	Known         time.Time // when the toxicities up to the onset were known
}

// Stops are the times in which stopping boundaries were met, by boundary, arm and time.
//
// Source: Thall, Simon and Estey, Stat Med 1995;14:357, with the protocol's numbers.
func Stops(p *protocol.Protocol, patients []*rules.Summary) []Stop {
	if len(p.Stopping) == 0 {
		return nil
	}
	arms, all := make([][]*rules.Summary, len(p.Arms)), []*rules.Summary(nil)
	for _, s := range patients {
		if at := slices.IndexFunc(p.Arms, func(a protocol.Arm) bool { return a.ID == s.Arm }); at >= 0 && s.Enrolled {
			arms[at], all = append(arms[at], s), append(all, s)
		}
	}
	var stops []Stop
	for i := range p.Stopping {
		b := newBoundary(&p.Stopping[i])
		if b.Per == protocol.PerTrial {
			stops = append(stops, b.stops("", b.counted(all))...)
			continue
		}
		for at := range arms {
			stops = append(stops, b.stops(p.Arms[at].ID, b.counted(arms[at]))...)
		}
	}
	return stops
}
