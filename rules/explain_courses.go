package rules

import (
	"cmp"
	"slices"
	"time"

	"github.com/trialwatch/trialwatch/rules/ctcae"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

func (x *explainer) baselines() []BaselineProof {
	c := x.c
	proofs := []BaselineProof{}
	var analytes []string
	for i := range c.Protocol.Terms {
		for j := range c.Protocol.Terms[i].Criterion.Limits {
			if l := &c.Protocol.Terms[i].Criterion.Limits[j]; l.ReadsBaseline() {
				analytes = append(analytes, l.Analyte)
			}
		}
	}
	for i := range c.Protocol.Holds {
		for _, l := range []*protocol.Limits{c.Protocol.Holds[i].Relative, c.Protocol.Holds[i].Absolute} {
			if l != nil {
				l.Each(func(_, _ string, _ int, limit *protocol.Limit) {
					if limit.Of == "baseline" {
						analytes = append(analytes, limit.Analyte)
					}
				})
			}
		}
	}
	analytes = slices.DeleteFunc(analytes, func(name string) bool { return len(c.Timeline.Series(name)) == 0 })
	slices.Sort(analytes)
	for _, name := range slices.Compact(analytes) {
		b := BaselineProof{Analyte: name, Flag: "unknown"}
		p := c.baseline(name)
		switch {
		case p != nil && c.Treated.IsZero(), p != nil && p.Fact.At.Start.Before(c.Treated):
			b.Why = "the last before the first study treatment"
		case p != nil:
			b.Why = "nothing before the first study treatment: the first after it"
		case c.Treated.IsZero():
			b.Why = "no study treatment was given yet"
		case c.hasSibling(name):
			b.Why = "measured before the first study treatment in the other of mass and moles only"
		default:
			b.Why = "no value that can be one"
		}
		if p != nil {
			f := x.point(*p, name)
			b.Fact = &f
			b.Flag = map[ctcae.Flag]string{ctcae.FlagHigh: "high", ctcae.FlagLow: "low", ctcae.FlagNormal: "normal"}[c.flag(*p)]
			b.Flag = cmp.Or(b.Flag, "unknown")
			lln, uln := c.normal(*p)
			b.Normal = operandsText(lln, uln)
		}
		proofs = append(proofs, b)
	}
	return proofs
}

func operandsText(lln, uln ctcae.Operand) string {
	switch {
	case lln.Known && uln.Known:
		return lln.Number.String() + " to " + uln.Number.String()
	case lln.Known:
		return "from " + lln.Number.String()
	case uln.Known:
		return "up to " + uln.Number.String()
	}
	return ""
}

// window is when a slot's dose is in time, both included.
func (x *explainer) window(r *protocol.Regimen, s *slot) (from, to time.Time) {
	switch r.Schedule {
	case "interval":
		return s.due.Add(-r.Tolerance.D()), s.due.Add(r.Tolerance.D())
	case "cycle", "days":
		day, _ := x.c.day(s.due)
		return x.c.midnight(day - r.WindowDays), x.c.midnight(day + r.WindowDays + 1).Add(-time.Second)
	}
	return s.due, s.missedAt.Add(-time.Second)
}

func (x *explainer) courses() []CourseProof {
	c := x.c
	proofs := []CourseProof{}
	var d *dose
	if c.Protocol.Dosing != nil {
		w := c.dosingWeight()
		d = &dose{c: c, weight: w, surface: c.bodySurface(w)}
	}
	for i := range c.courses {
		k := &c.courses[i]
		r := k.regimen
		p := CourseProof{Regimen: r.ID, Title: r.Title, Schedule: r.Schedule, Cite: r.Cite, InForce: r.InForce.String(), Given: k.given, Ends: x.time(k.end), Slots: []SlotProof{}, Outside: []FactProof{}}
		placed := map[*timeline.Fact]bool{}
		for j := range k.slots {
			s := &k.slots[j]
			from, to := x.window(r, s)
			q := SlotProof{
				Number: s.number, Due: c.local(s.due), From: c.local(from), To: c.local(to), MissedFrom: c.local(s.missedAt),
				State: cmp.Or(string(s.state), "not judged: due before the enrolment"),
			}
			if s.record != nil {
				placed[s.record] = true
				f := x.fact(s.record, r.Drug, "")
				q.Record = &f
				q.Timing = x.timing(k, s)
				if d != nil && s.state == slotGiven {
					is, text := d.compare(s.record, r)
					if q.Amount = text; is == asPlanned {
						q.Amount = "as planned: " + text
					}
				}
			}
			p.Slots = append(p.Slots, q)
		}
		for _, list := range []struct {
			facts []*timeline.Fact
			why   string
		}{{k.extra, "beyond the course"}, {k.earlier, "before the enrolment, of an earlier treatment: not counted"}, {k.duplicates, "a second record of one dose: not counted"}, {k.sameDay, "a second dose of one day: counted"}, {k.records, "fills no slot"}} {
			for _, f := range list.facts {
				if placed[f] {
					continue
				}
				placed[f] = true
				proof := x.fact(f, r.Drug, "")
				switch {
				case r.Schedule == "days" && c.Day0.IsZero():
					proof.Notes = append(proof.Notes, "its day is not known before day 0 is")
				case r.Schedule != "given":
					proof.Notes = append(proof.Notes, list.why)
				case d != nil && f.Dose.Given():
					if _, text := d.compare(f, r); text != "" {
						proof.Notes = append(proof.Notes, text)
					}
				}
				p.Outside = append(p.Outside, proof)
			}
		}
		for _, f := range c.Timeline.Doses() {
			if c.elsewhere[f] && f.Dose.Drug == r.Drug {
				proof := x.fact(f, r.Drug, "")
				proof.Notes = append(proof.Notes, "of another arm's regimen")
				p.Outside = append(p.Outside, proof)
			}
		}
		proofs = append(proofs, p)
	}
	return proofs
}

// timing says how a given dose lies to its due time.
func (x *explainer) timing(k *course, s *slot) string {
	switch {
	case s.state != slotGiven || s.record == nil:
		return ""
	case s.record.At.DateOnly() && k.regimen.Schedule != "days":
		return "date only: not judged"
	case k.regimen.Schedule == "days" && x.c.beforeEnrolment(s.due):
		return "not judged: due before the enrolment"
	case s.early:
		return x.c.off(k, s) + " early"
	case s.late:
		return x.c.off(k, s) + " late"
	}
	return "in time"
}
