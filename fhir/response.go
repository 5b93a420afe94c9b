package fhir

import "github.com/trialwatch/trialwatch/rules/timeline"

// assesses reports whether an Observation is an assessment of the tumour that some protocol reads.
func (d *Decoder) assesses(h *head) bool {
	var said codeable
	return d.read(timeline.TumorResponse) != "" && parse(h.doc.get("code"), &said) && d.concepts.assesses(&said)
}

// response turns an assessment of the tumour into a fact. What names no category keeps its place on the timeline: it supersedes older versions, and
// somebody is asked.
func (d *Decoder) response(h *head, f *timeline.Fact) (p *problem) {
	if f.At, f.End, p = h.span("effective", d.cfg.Zone); p != nil {
		return p
	}
	if _, p = d.parseProjection(h); p != nil {
		return p
	}
	f.Provisional = h.status == "preliminary"
	var value codeable
	parse(h.doc.get("valueCodeableConcept"), &value)
	r := &timeline.Response{Category: d.concepts.category(&value)}
	switch {
	case h.status == "unknown":
		r.Category, r.Problem = "", &timeline.Problem{Reason: timeline.ProblemStatusUnknown}
	case h.doc.get("valueCodeableConcept") == nil && h.doc.get("valueString") == nil:
		r.Problem = &timeline.Problem{Reason: timeline.ProblemValueAbsent}
	case r.Category == "":
		r.Problem = &timeline.Problem{Reason: timeline.ProblemNoCategory}
	}
	f.Response = r
	return nil
}
