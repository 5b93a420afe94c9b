package fhir

import (
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/rules/timeline"
)

// enrolment turns a ResearchSubject into a fact. One without a period is on the timeline from the start of time: its study and arm are known.
func (d *Decoder) enrolment(h *head, r *resolver, f *timeline.Fact) *problem {
	e := &timeline.Enrolment{
		Status: h.status, Identifiers: identifiers(h.doc.get("identifier")), AssignedArm: str(h.doc.get("assignedArm")), ActualArm: str(h.doc.get("actualArm")),
	}
	var study reference
	parse(h.doc.get("study"), &study)
	if e.Study = r.literal(study.Reference); e.Study == "" && study.Identifier.Value != "" {
		e.Study = study.Identifier.System + "|" + study.Identifier.Value
	}
	if e.Study == "" {
		return refuse(ReasonNoStudy, "study names no ResearchStudy")
	}
	var pd period
	if parse(h.doc.get("period"), &pd) {
		if pd.Start != "" {
			start, p := parseTime("period.start", pd.Start, d.cfg.Zone)
			if p != nil {
				return p
			}
			e.Start, f.At = start, start
		}
		if pd.End != "" {
			end, p := parseTime("period.end", pd.End, d.cfg.Zone)
			if p != nil {
				return p
			}
			e.EndsAt = endOf(end, d.cfg.Zone)
		}
	}
	if _, p := d.parseProjection(h); p != nil {
		return p
	}
	f.Enrolment = e
	return nil
}

// person reads identifiers, links and death of a Patient resource, and sex and date of birth, and nothing else.
func (d *Decoder) person(h *head, r *resolver, f *timeline.Fact) *problem {
	who := &timeline.Person{Identifiers: r.identities(h.doc.get("identifier"))}
	if sex := str(h.doc.get("gender")); sex == "male" || sex == "female" {
		who.Sex = sex
	}
	if day, err := time.Parse(time.DateOnly, str(h.doc.get("birthDate"))); err == nil {
		who.Born = day.Format(time.DateOnly)
	}
	var links []struct {
		Other reference `json:"other"`
		Type  string    `json:"type"`
	}
	parse(h.doc.get("link"), &links)
	for _, l := range links {
		if to := r.literal(l.Other.Reference); l.Type == "replaced-by" && strings.HasPrefix(to, "Patient/") {
			who.ReplacedBy = to
		}
	}
	if at := str(h.doc.get("deceasedDateTime")); at != "" {
		t, p := parseTime("deceasedDateTime", at, d.cfg.Zone)
		switch {
		case p == nil:
			who.Deceased = t
		case p.reason != ReasonNoTime: // a death of which only the year is known is no time
			return p
		}
	}
	if _, p := d.parseProjection(h); p != nil {
		return p
	}
	f.Person = who
	return nil
}
