package rules

import (
	"fmt"
)

func (x *explainer) assessments() []AssessmentProof {
	c := x.c
	proofs := []AssessmentProof{}
	for i := range c.examined {
		e := &c.examined[i]
		a := e.assessment
		p := AssessmentProof{Assessment: a.ID, Title: a.Title, ByHours: a.ByHours(), Start: c.local(e.start), InForce: a.InForce.String(), Cite: a.Cite, Times: []VisitProof{}}
		for j := range e.visits {
			p.Times = append(p.Times, x.visit(e, &e.visits[j]))
		}
		proofs = append(proofs, p)
	}
	return proofs
}

func (x *explainer) visit(e *examined, v *visit) VisitProof {
	c := x.c
	q := VisitProof{
		Label: v.time.Label(), Due: c.local(v.due), From: c.local(v.from), To: c.local(v.to), State: string(v.state), Shown: []FactProof{}, Missing: []string{},
	}
	for i, f := range v.made {
		if f == nil {
			q.Missing = append(q.Missing, e.assessment.Needs[i][0])
			continue
		}
		shown := shownBy(f, e.assessment.Needs[i])
		q.Shown = append(q.Shown, x.evidence(&shown))
	}
	switch v.state {
	case visitMade:
		q.Timing = "in time"
	case visitEarly, visitLate:
		q.Timing = c.outBy(e.assessment, v)
	}
	return q
}

// proveVisit says when an assessment was due and in time.
func (x *explainer) proveVisit(p *Proof) {
	c := x.c
	for i := range c.examined {
		e := &c.examined[i]
		if Escape(e.assessment.ID) != KeyOf(p.ID) {
			continue
		}
		for j := range e.visits {
			v := &e.visits[j]
			if !v.due.Equal(p.Onset) {
				continue
			}
			p.Source = e.assessment.Cite
			p.Because = append(p.Because, fmt.Sprintf("%s of %s, counted from %s, was in time from %s to %s, and missed from then on with no record.",
				e.assessment.Title, v.time.Label(), x.clock(e.start), x.clock(v.from), x.clock(v.to)))
		}
	}
}
