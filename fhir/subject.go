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

// class says what an Encounter is.
func (d *Decoder) class(h *head) *timeline.Encounter {
	var class code
	parse(h.doc.get("class"), &class)
	return &timeline.Encounter{Class: class.Code, Inpatient: d.concepts.inpatient(&class), Status: h.status}
}

// noStay is an Encounter of another class than inpatient. It is kept, without a time, where it can be the correction of one that was a stay, and is not
// relevant otherwise: nothing is wrong with it that anybody must know.
func (d *Decoder) noStay(h *head, r *resolver, raw []byte, e *timeline.Encounter) (*timeline.Fact, bool, *problem) {
	patient, p := d.patientOf(h, r)
	if p != nil || h.id == "" || h.lookVersion(raw) != nil {
		return nil, false, nil
	}
	return &timeline.Fact{Ref: h.ref(), Version: h.version, Patient: patient, Encounter: e}, true, nil
}

// encounter turns an inpatient Encounter into a fact. One that is only planned need have no time.
func (d *Decoder) encounter(h *head, f *timeline.Fact) *problem {
	e := d.class(h)
	var pd period
	if h.doc.get("period") != nil && !parse(h.doc.get("period"), &pd) {
		return refuse(ReasonInvalidResource, "period cannot be read")
	}
	if e.Stay() && pd.Start == "" {
		e.Problem = &timeline.Problem{Reason: timeline.ProblemValueAbsent, Detail: "no period.start"}
	}
	if e.Stay() {
		var p *problem
		if f.At, p = parseTime("period.start", pd.Start, d.cfg.Zone); p != nil {
			return p
		}
		if pd.End != "" {
			if e.Ended, p = parseTime("period.end", pd.End, d.cfg.Zone); p != nil {
				return p
			}
			if f.End = endOf(e.Ended, d.cfg.Zone); f.End.Before(f.At.Start) {
				return refuse(ReasonInvalidTime, "period ends before it starts")
			}
		}
	}
	if _, p := d.parseProjection(h); p != nil {
		return p
	}
	f.Encounter = e
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
		case p.reason != ReasonNoTime:
			return p
		default:
			who.DiedUndated = true // a death of which only the year is known is no time
		}
	}
	if string(h.doc.get("deceasedBoolean")) == "true" {
		who.DiedUndated = true
	}
	if _, p := d.parseProjection(h); p != nil {
		return p
	}
	f.Person = who
	return nil
}
