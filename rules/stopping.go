package rules

import "time"

// StoppingBoundary is the rule of a stopping boundary that is met. It is of no one patient: package trial reports it.
const StoppingBoundary = "trial.stopping-boundary"

// Counted is a patient in the count of one stopping boundary.
type Counted struct {
	Boundary string    `json:"boundary"`
	From     time.Time `json:"from"` // when the patient came into the count
	// Toxic is when the first toxicity that counts was reached, zero where there was none, and Known when that could first be known.
	Toxic time.Time `json:"toxic,omitzero"`
	Known time.Time `json:"known,omitzero"`
}

// Equal reports whether two are the same.
func (n Counted) Equal(o Counted) bool {
	return n.Boundary == o.Boundary && n.From.Equal(o.From) && n.Toxic.Equal(o.Toxic) && n.Known.Equal(o.Known)
}

// counted says for which stopping boundaries the patient counts: from the first treatment on, or, where the protocol gives a toxicity so long to show, from
// the first toxicity or the end of that time. A toxicity counts from the instant at which its confirmed grade rose so high under treatment.
func (c *Case) counted() []Counted {
	var all []Counted
	for i := range c.Protocol.Stopping {
		b := &c.Protocol.Stopping[i]
		if c.Treated.IsZero() {
			return nil
		}
		n, within := Counted{Boundary: b.ID, From: c.Treated.UTC()}, b.Counts.Within.D()
		for j := range c.findings {
			f := &c.findings[j]
			if f.Expected && !b.Counts.Expected || !b.Counts.Has(f.Rule) {
				continue
			}
			for _, r := range f.Rises {
				if r.Grade < b.Counts.AtLeast || within > 0 && r.At.After(c.Treated.Add(within)) {
					continue
				}
				if n.Toxic.IsZero() || r.At.Before(n.Toxic) || r.At.Equal(n.Toxic) && r.Known.Before(n.Known) {
					n.Toxic, n.Known = r.At.UTC(), r.Known.UTC()
				}
				break // later ones are worse, not earlier
			}
		}
		if within > 0 {
			over := c.Treated.Add(within)
			switch {
			case !n.Toxic.IsZero():
				n.From = n.Toxic
			case over.After(c.Now):
				c.wake(over)
				continue
			default:
				n.From = over.UTC()
			}
		}
		all = append(all, n)
	}
	return all
}
