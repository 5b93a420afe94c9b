package rules

import (
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/timeline"
	"github.com/trialwatch/trialwatch/rules/unit"
)

// Explain says what [Evaluate] says of a patient in a study at an instant, with the proof of each finding: the facts, what they were compared with, the
// doses that were expected and what filled them. It is nil for somebody who is not enrolled. Like Evaluate it is a pure function.
func Explain(tl *timeline.Timeline, p *protocol.Protocol, now time.Time) *Explanation {
	c := newCase(tl, p, now)
	if c == nil {
		return nil
	}
	c.explaining = true
	c.evaluate()
	x := explainer{c: c}
	x.index()
	e := &Explanation{
		Kind: "explanation", Study: p.Study, Protocol: ProtocolVersion{p.Version, p.Hash, string(p.CTCAE)}, Site: c.Site, Subject: c.Subject, Arm: c.Arm, AsOf: c.local(now),
		Enrolment: x.fact(c.enrolled, "enrolment", c.Enrolment.Status), ArmAsSent: c.Enrolment.AssignedArm,
		OffStudy: x.time(c.OffStudy), Treated: x.time(c.Treated), LastTreatment: x.time(c.lastTreatment),
		Baselines: x.baselines(), Courses: x.courses(), Assessments: x.assessments(), Findings: []Proof{},
	}
	if c.Day0Fact != nil {
		day := c.local(c.Day0)
		e.Day0 = &Day0Proof{day.Format(time.DateOnly), day, c.local(c.Day0End), x.fact(c.Day0Fact, p.Day0, "")}
	}
	if p.Dosing != nil {
		if w := c.dosingWeight(); w != nil {
			f := x.point(*w, "dosing-weight")
			e.DosingWeight = &f
		}
	}
	for i := range c.findings {
		e.Findings = append(e.Findings, x.prove(&c.findings[i]))
	}
	return e
}

// explainer builds the explanation of one case.
type explainer struct {
	c      *Case
	points map[string][]timeline.Point // by reference
	facts  map[string]*timeline.Fact   // administrations, procedures, enrolments, by reference
}

func (x *explainer) index() {
	x.points, x.facts = map[string][]timeline.Point{}, map[string]*timeline.Fact{}
	for _, name := range x.c.Timeline.Analytes() {
		for _, p := range x.c.Timeline.Series(name) {
			x.points[p.Fact.Ref.String()] = append(x.points[p.Fact.Ref.String()], p)
		}
	}
	for _, fs := range [][]*timeline.Fact{x.c.Timeline.Doses(), x.c.Timeline.Others()} {
		for _, f := range fs {
			x.facts[f.Ref.String()] = f
		}
	}
}

func (x *explainer) time(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = x.c.local(t)
	return &t
}

func (x *explainer) fact(f *timeline.Fact, role, value string) FactProof {
	p := FactProof{Ref: f.Ref.String(), Version: f.Version.ID, Role: role, At: x.c.local(f.At.Start), Received: x.c.local(f.ReceivedAt), Value: value, Notes: []string{}}
	if f.At.DateOnly() {
		p.Notes = append(p.Notes, "date only")
	}
	if f.Provisional {
		p.Notes = append(p.Notes, "preliminary")
	}
	if x.c.Timeline.Doubtful(f.Ref) {
		p.Notes = append(p.Notes, "a newer version was refused")
	}
	if d := f.Dose; d != nil {
		if value == "" {
			p.Value = doseText(d)
		}
		if d.Medication != "" {
			p.Notes = append(p.Notes, "the drug is that of "+d.Medication)
		}
	}
	return p
}

// doseText is an administration in words: "completed 50.4 MIU IV".
func doseText(d *timeline.Dose) string {
	parts := []string{d.Status}
	if d.Amount != nil {
		parts = append(parts, d.Amount.String())
	}
	if d.Route != "" {
		parts = append(parts, d.Route)
	}
	return strings.Join(parts, " ")
}

func (x *explainer) point(p timeline.Point, role string) FactProof {
	f := x.fact(p.Fact, role, p.Value.String())
	family, ok := unit.Of(p.Analyte)
	switch {
	case p.Problem != nil:
		f.Notes = append(f.Notes, problemText(p.Problem))
	case ok:
		// 38.6 Cel is compared as it was sent; 101 [degF] is not.
		if text := p.Value.Comparator + p.Value.Value.Round().String() + " " + family.Canonical; text != f.Value {
			if u, known := family.Find(p.Value.Unit); !known || u.Factor().Cmp(one) != 0 || !u.Scales() {
				f.Canonical = text
			}
		}
	}
	if p.Doubt != nil {
		f.Notes = append(f.Notes, doubtText(p.Analyte))
	}
	if low, high := p.Low, p.High; low != nil || high != nil {
		f.Notes = append(f.Notes, "own limits of normal "+rangeText(low, high))
	}
	return f
}

// evidence is the evidence of a finding with what is known of its record.
func (x *explainer) evidence(e *Evidence) FactProof {
	for _, p := range x.points[e.Ref] {
		if (p.Analyte == e.Role || len(x.points[e.Ref]) == 1) && p.Value.String() == e.Value {
			f := x.point(p, e.Role)
			return f
		}
	}
	if f := x.facts[e.Ref]; f != nil {
		return x.fact(f, e.Role, e.Value)
	}
	return FactProof{Ref: e.Ref, Version: e.Version, Role: e.Role, At: e.At, Value: e.Value, Notes: []string{}}
}

func (x *explainer) clock(t time.Time) string { return x.c.local(t).Format("2006-01-02 15:04") }

var one = decimal.Int(1)
