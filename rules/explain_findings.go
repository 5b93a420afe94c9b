package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/rules/ctcae"
	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/timeline"
	"github.com/trialwatch/trialwatch/rules/unit"
)

// prove says why a finding is true.
func (x *explainer) prove(f *Finding) Proof {
	p := Proof{Finding: *f, Because: []string{}, Steps: []InstantProof{}, Holds: []HoldProof{}, Facts: []FactProof{}}
	for i := range f.Evidence {
		p.Facts = append(p.Facts, x.evidence(&f.Evidence[i]))
	}
	graded := x.proveClinician(&p)
	switch family, _, _ := strings.Cut(f.Rule, "."); {
	case graded == len(f.Evidence) && graded > 0: // the data say nothing of it
	case f.Rule == "tox."+ctcae.FebrileNeutropeniaSlug:
		x.proveFN(&p)
	case family == "tox":
		x.proveTerm(&p)
	case family == "dev" || family == "log":
		x.proveDose(&p)
	case family == "data":
		x.proveData(&p)
	}
	if f.Urgency != "" && x.c.Protocol.Urgency[f.Rule] != "" {
		p.Because = append(p.Because, fmt.Sprintf("Urgency %s is set by the protocol for this rule.", f.Urgency))
	}
	return p
}

// proveClinician shows what clinicians graded of a toxicity, and counts it.
func (x *explainer) proveClinician(p *Proof) (n int) {
	slug, tox := strings.CutPrefix(p.Rule, "tox.")
	if !tox {
		return 0
	}
	for i := range p.Evidence {
		if e := &p.Evidence[i]; e.Role == adverseEventRole {
			n++
			p.Because = append(p.Because, fmt.Sprintf("A clinician's grade goes before what the data give: %s, %s.", e.Ref, e.Value))
		}
	}
	if n > 0 {
		p.Source = ctcae.List(x.c.Protocol.CTCAE, slug).Source()
	}
	return n
}

// proveTerm grades the results of the episode again and shows how.
func (x *explainer) proveTerm(p *Proof) {
	c := x.c
	for i := range c.Protocol.Terms {
		t := &c.Protocol.Terms[i]
		if "tox."+t.Criterion.Slug != p.Rule {
			continue
		}
		p.Source = t.Criterion.Source()
		series := results
		if s, ok := sources[t.Criterion.Key]; ok {
			series = s.series
		}
		for _, g := range series(c, t) {
			end := p.End != nil && g.at.Equal(*p.End) && t.EpisodeGap == 0
			if g.at.Before(p.Onset) || p.End != nil && g.at.After(*p.End) || g.grade.Max == 0 && !end && t.EpisodeGap == 0 {
				continue
			}
			if p.End != nil && g.at.Equal(*p.End) && !end {
				continue // it begins the next episode
			}
			p.Steps = append(p.Steps, x.instant(t, &g, end))
		}
		if t.EpisodeGap > 0 {
			p.Because = append(p.Because, fmt.Sprintf("Readings of grade 1 or more less than %s apart are one episode, which ends so long after the last of them.", span(t.EpisodeGap.D())))
		} else {
			p.Because = append(p.Because, "An episode goes from the first result of grade 1 or more to the first of grade 0.")
		}
		if t.Criterion.Candidate != "" {
			p.Because = append(p.Because, "Proposed only: "+t.Criterion.Candidate+".")
		}
		if t.Criterion.ByRule != "" {
			p.Because = append(p.Because, "By rule: "+t.Criterion.ByRule+".")
		}
		x.expectedness(p, t.Expected)
		if p.TreatmentEmergent != nil {
			p.Because = append(p.Because, x.emergence(p))
		}
	}
}

func (x *explainer) emergence(p *Proof) string {
	base := "no grade before the first study treatment"
	if p.BaselineGrade != nil {
		base = fmt.Sprintf("grade %d before the first study treatment", *p.BaselineGrade)
	}
	if *p.TreatmentEmergent {
		return "Treatment-emergent: worse under treatment than at baseline (" + base + ")."
	}
	return "Not treatment-emergent (" + base + ")."
}

func (x *explainer) expectedness(p *Proof, w *protocol.Window) {
	switch {
	case w == nil:
		p.Because = append(p.Because, "Unexpected: the protocol expects it at no time.")
	case p.Expected:
		p.Because = append(p.Because, fmt.Sprintf("Expected by the protocol from the first %s to the end of day %d.", w.From, w.ToDay))
	default:
		p.Because = append(p.Because, fmt.Sprintf("Unexpected: the onset is not between the first %s and the end of day %d.", w.From, w.ToDay))
	}
}

func (x *explainer) instant(t *protocol.Term, g *graded, ends bool) InstantProof {
	s := InstantProof{At: x.c.local(g.at), Value: g.said(), Operands: map[string]string{}, Limits: []LimitProof{}, Grade: gradingText(g.grade, t.Criterion.Candidate != ""), Ends: ends}
	if g.derived == nil || g.derived.in == nil || g.limits == nil {
		return s
	}
	in := g.derived.in
	s.Compared = boundsText(in.Value)
	if family, ok := unit.Of(g.limits.Analyte); ok {
		s.Compared += " " + family.Canonical
	}
	for name, o := range map[string]ctcae.Operand{"LLN": in.LLN, "ULN": in.ULN, "baseline": in.Baseline, "change": in.Change, "threshold": in.Threshold} {
		if o.Known {
			s.Operands[name] = o.Number.String()
		}
	}
	steps, baseline := g.limits.Compare(in)
	s.Baseline = baseline
	for _, k := range steps {
		l := LimitProof{Grade: k.Grade, Text: k.Text, Limits: k.Limits, Answer: k.Answer.String(), Assumes: k.Assumes}
		if k.Missing != 0 {
			l.Answer = "unknown: " + k.Missing.String()
		}
		if k.Assumes != "" {
			l.Settled = k.Settled.String()
		}
		s.Limits = append(s.Limits, l)
	}
	return s
}

// gradingText is a grading in words.
func gradingText(g ctcae.Grading, proposed bool) string {
	switch {
	case g.Ungradable:
		return "none: " + g.Why.String()
	case proposed && g.Max > 0:
		return fmt.Sprintf("up to %d, proposed", g.Max)
	case g.Min != g.Max:
		return fmt.Sprintf("%d to %d", g.Min, g.Max)
	}
	return fmt.Sprint(g.Max)
}

func boundsText(b ctcae.Bounds) string {
	switch {
	case b.HasLow && b.HasHigh && b.Low.Cmp(b.High) == 0:
		return b.Low.String()
	case b.HasLow && b.HasHigh:
		return b.Low.String() + " to " + b.High.String()
	case b.HasLow && b.LowOpen:
		return "> " + b.Low.String()
	case b.HasLow:
		return ">= " + b.Low.String()
	case b.HasHigh && b.HighOpen:
		return "< " + b.High.String()
	}
	return "<= " + b.High.String()
}

// proveFN finds the episode again and says which temperature met which criterion, and which count made it qualify.
func (x *explainer) proveFN(p *Proof) {
	c := x.c
	fn := c.Protocol.FN
	p.Source = fn.Cite
	certain, possible := c.feverEpisodes()
	episodes := slices.Concat(certain, possible) // a clinician may have graded what was only possible
	if p.Grade == nil {
		episodes = possible
	}
	for i := range episodes {
		e := &episodes[i]
		if !e.onset.Equal(p.Onset) {
			continue
		}
		for j := range e.instants {
			p.Because = append(p.Because, x.fever(e.instants[j]))
		}
		p.Because = append(p.Because, fmt.Sprintf("The episode ends at the earlier of the first count not below %s %s and %s after the last reading of at least %s Cel that follows in such steps: %s.",
			fn.NeutrophilsBelow.Value.Round(), fn.NeutrophilsBelow.Unit, span(fn.EpisodeGap.D()), fn.Sustained.Value.Round(), x.clock(e.end)))
		break
	}
	if p.Expected {
		p.Because = append(p.Because, "Expected by the protocol; it is urgent all the same.")
	}
}

func (x *explainer) fever(t *instant) string {
	fn := x.c.Protocol.FN
	var parts []string
	for _, q := range t.meets {
		v := ctcae.Of(q.Value.Value, q.Value.Comparator)
		single := v.Above(fn.Single.Value)
		if fn.Single.Comparator == ">=" {
			single = v.AtLeast(fn.Single.Value)
		}
		switch {
		case single == ctcae.Yes:
			parts = append(parts, fmt.Sprintf("%s %s %s %s", q.Value, fn.Single.Comparator, fn.Single.Value.Round(), fn.Single.Unit))
		case t.since != nil:
			parts = append(parts, fmt.Sprintf("%s is at least %s %s since %s, which is more than %s", q.Value, fn.Sustained.Value.Round(), fn.Sustained.Unit, x.clock(t.since.at), span(fn.SustainedFor.D())))
		default:
			parts = append(parts, fmt.Sprintf("%s is at least %s %s, and no reading between says that it lasted", q.Value, fn.Sustained.Value.Round(), fn.Sustained.Unit))
		}
	}
	for _, n := range t.counts {
		is := "below"
		if n.value.Below(fn.NeutrophilsBelow.Value) != ctcae.Yes {
			is = "not known to be below"
		}
		when := fmt.Sprintf("%s before, at most %s", span(t.at.Sub(n.at)), span(fn.Lookback.D()))
		if n.at.After(t.at) {
			when = fmt.Sprintf("%s after, at most %s", span(n.at.Sub(t.at)), span(fn.Lookahead.D()))
		}
		parts = append(parts, fmt.Sprintf("neutrophils %s, %s %s %s (%s)", countText(&n), is, fn.NeutrophilsBelow.Value.Round(), fn.NeutrophilsBelow.Unit, when))
	}
	return x.clock(t.at) + ": " + strings.Join(parts, "; ") + "."
}

// proveDose finds the course and the slot of a finding.
func (x *explainer) proveDose(p *Proof) {
	c := x.c
	p.Source = "the regimens of the protocol"
	switch p.Rule {
	case "dev.til-precondition":
		for i := range c.Protocol.Intervals {
			n := &c.Protocol.Intervals[i]
			if KeyOf(p.ID) != Escape(n.ID) {
				continue
			}
			limit := "more than " + span(n.MoreThan.D())
			if n.AtMost > 0 {
				limit += ", at most " + span(n.AtMost.D())
			}
			p.Because, p.Source = append(p.Because, fmt.Sprintf("%s: %s.", n.Title, limit)), n.Cite
		}
		return
	case "dev.assessment-missed":
		x.proveVisit(p)
		return
	case "dev.conmed-prohibited":
		for i := range c.Protocol.Prohibited {
			n := &c.Protocol.Prohibited[i]
			if !slices.ContainsFunc(p.Evidence, func(e Evidence) bool { return slices.Contains(n.Drugs, e.Role) }) {
				continue
			}
			p.Because, p.Source = append(p.Because, fmt.Sprintf("From study day %d: %s.", n.FromDay, n.Title)), n.Cite
			if len(n.Routes)+len(n.For) > 0 {
				p.Because = append(p.Because, fmt.Sprintf("Exempt would be the routes %s and the reasons %s.", cmp.Or(join(n.Routes), "none"), cmp.Or(join(n.For), "none")))
			}
		}
		return
	}
	for i := range c.courses {
		k := &c.courses[i]
		if key := KeyOf(p.ID); key != Escape(k.regimen.ID) && !strings.HasPrefix(key, Escape(k.regimen.ID)+":") {
			continue
		}
		p.Source = k.regimen.Cite
		if p.Rule == "dev.dose-over" || p.Rule == "dev.dose-wrong" {
			p.Source = c.Protocol.Dosing.Cite
		}
		if p.Rule == "dev.dose-refused" && c.Protocol.NotGiven.Cite != "" {
			p.Source = c.Protocol.NotGiven.Cite
		}
		for j := range k.slots {
			s := &k.slots[j]
			if !s.due.Equal(p.Onset) {
				continue
			}
			from, to := x.window(k.regimen, s)
			p.Because = append(p.Because, fmt.Sprintf("%s dose %d was due %s: in time from %s to %s, missed from %s with no record.", k.regimen.Title, s.number, x.clock(s.due), x.clock(from), x.clock(to), x.clock(s.missedAt)))
			if j > 0 && k.regimen.Schedule == "interval" {
				before := &k.slots[j-1]
				if before.state == slotGiven && before.record != nil {
					p.Because = append(p.Because, fmt.Sprintf("That is %s after dose %d was given (%s).", span(k.regimen.Every.D()), before.number, x.clock(before.record.At.Start)))
				} else {
					p.Because = append(p.Because, fmt.Sprintf("That is %s after dose %d was due (%s), which was not given.", span(k.regimen.Every.D()), before.number, x.clock(before.due)))
				}
			}
			if s.record != nil {
				x.proveHolds(p, k, s.record)
			}
		}
	}
}

// proveHolds shows every hold criterion of the drug as it stood before a dose, where the finding is about holding.
func (x *explainer) proveHolds(p *Proof, k *course, record *timeline.Fact) {
	c := x.c
	if p.Rule != "log.dose-held" && p.Rule != "dev.dose-held-unsupported" && p.Rule != "dev.dosed-despite-hold" {
		return
	}
	var previous time.Time
	if p.Rule == "dev.dosed-despite-hold" {
		previous = k.before(record)
	}
	met := c.criteria(record, previous)
	var cites []string
	for i := range c.Protocol.Holds {
		h := &c.Protocol.Holds[i]
		if !slices.Contains(h.Drugs, record.Dose.Drug) {
			continue
		}
		from := record.At.Start.Add(-h.Lookback.D())
		if h.SincePrevious && previous.After(from) {
			from = previous
		}
		q := HoldProof{Hold: h.ID, Title: h.Title, From: c.local(from), To: c.local(record.At.Start), Facts: []FactProof{}, Limits: []string{}, Cite: h.Cite}
		for _, level := range []struct {
			name   string
			limits *protocol.Limits
		}{{"absolute", h.Absolute}, {"relative", h.Relative}} {
			if level.limits == nil {
				continue
			}
			level.limits.Each(func(comparison, _ string, _ int, l *protocol.Limit) {
				value, points, text := c.lastValue(l.Analyte, from, record.At.Start)
				if len(points) == 0 {
					return
				}
				limit, known := c.limitOf(l, points[0])
				answer := "unknown: no " + l.Of
				if known {
					answer = holds(value, comparison, limit).String()
				}
				what := l.Value.Round().String() + " " + l.Unit
				if l.Of != "" {
					what = l.Value.Round().String() + " x " + l.Of
					if known {
						what += " = " + limit.String()
					}
				}
				q.Limits = append(q.Limits, fmt.Sprintf("%s: %s %s %s: %s", level.name, l.Analyte, comparison, strings.TrimSpace(what), answer))
				q.Value = text
				for _, point := range points {
					f := x.point(point, point.Analyte)
					if !slices.ContainsFunc(q.Facts, func(o FactProof) bool { return o.Ref == f.Ref && o.Role == f.Role }) {
						q.Facts = append(q.Facts, f)
					}
				}
			})
		}
		for _, m := range met {
			if m.hold == h {
				q.Met = m.kind
				cites = append(cites, h.Cite)
			}
		}
		p.Holds = append(p.Holds, q)
	}
	if len(cites) > 0 {
		p.Source = strings.Join(slices.Compact(cites), "; ")
	}
}

// proveData says what is known of the value that could not be used.
func (x *explainer) proveData(p *Proof) {
	p.Source = "docs/rules.md, " + p.Rule
	for i := range p.Evidence {
		for _, q := range x.points[p.Evidence[i].Ref] {
			family, ok := unit.Of(q.Analyte)
			if !ok || q.Problem == nil || q.Analyte != p.Evidence[i].Role {
				continue
			}
			switch q.Problem.Reason {
			case timeline.ProblemImplausible:
				p.Because = append(p.Because, fmt.Sprintf("%s is believed from %s to %s %s.", q.Analyte, family.Low.Round(), family.Top.Round(), family.Canonical))
			case timeline.ProblemUnitMissing:
				p.Because = append(p.Because, fmt.Sprintf("%s is read in %s.", q.Analyte, strings.Join(family.Spellings(), ", ")))
			}
		}
	}
}

// rangeText is limits of normal in words.
func rangeText(low, high *decimal.Number) string {
	var lln, uln ctcae.Operand
	if low != nil {
		lln = ctcae.Known(low.Round())
	}
	if high != nil {
		uln = ctcae.Known(high.Round())
	}
	return operandsText(lln, uln)
}
