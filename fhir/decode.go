package fhir

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/trialwatch/trialwatch/rules/timeline"
)

// Decode says what becomes of a message: one outcome for a resource, one for each entry of a Bundle. It never panics and never returns none.
func (d *Decoder) Decode(m Message) []Outcome {
	if here := d.sites[m.Site]; here != nil {
		return here.Decode(m)
	}
	data := bytes.TrimPrefix(m.Data, []byte("\xef\xbb\xbf"))
	doc, p := prescan(data, d.cfg.Limits)
	// What is too much for a resource, or broken within one, may be a Bundle: its entries are judged each by itself.
	if p != nil || str(doc.get("resourceType")) == "Bundle" {
		if out, ok := d.bundle(m, data); ok {
			return out
		}
	}
	if p != nil {
		if o, ok := d.unread(m, p, data, -1, time.Time{}); ok {
			return []Outcome{o}
		}
		return []Outcome{d.deadLetter(&head{}, nil, m, p, data, -1)}
	}
	return []Outcome{d.resource(m, doc, data, -1, &resolver{bases: d.cfg.BaseURLs, systems: d.systems}, time.Time{})}
}

// unread says that a resource is of a type that no rule reads, whatever else is wrong with it: a document of many megabytes is nobody's dead
// letter. Only what is no JSON stays one, for its type cannot be trusted.
func (d *Decoder) unread(m Message, p *problem, raw []byte, entry int, bundle time.Time) (Outcome, bool) {
	if p.reason == ReasonNotJSON || p.reason == ReasonNotFHIR {
		return Outcome{}, false
	}
	doc, p := shallow(raw)
	if p != nil {
		return Outcome{}, false
	}
	h := &head{doc: doc, kind: str(doc.get("resourceType"))}
	if names, known := r4.types[h.kind]; !known || names != nil {
		return Outcome{}, false
	}
	if id := str(doc.get("id")); validID(id) {
		h.id = id
	}
	out := Outcome{Ref: h.ref(), Entry: entry, Raw: raw, ReceivedAt: m.ReceivedAt}
	if out.ReceivedAt.IsZero() {
		out.ReceivedAt = h.receivedAt(bundle, d.cfg.Zone)
	}
	return out, true
}

// resource judges one resource.
func (d *Decoder) resource(m Message, doc *document, raw []byte, entry int, r *resolver, bundle time.Time) Outcome {
	h := &head{doc: doc}
	h.kind = str(doc.get("resourceType"))
	if id := str(doc.get("id")); validID(id) {
		h.id = id
	}
	h.status = str(doc.get("status"))
	out := Outcome{Ref: h.ref(), Entry: entry, Raw: raw, ReceivedAt: m.ReceivedAt}
	if out.ReceivedAt.IsZero() {
		out.ReceivedAt = h.receivedAt(bundle, d.cfg.Zone)
	}
	m.ReceivedAt = out.ReceivedAt
	names, known := r4.types[h.kind]
	if !known {
		// The word may be anything, and a Ref goes into headers: it is not shown.
		h.kind, h.id = "", ""
		return d.deadLetter(h, r, m, refuse(ReasonNotFHIR, "the resourceType is none of R4"), raw, entry)
	}
	if names == nil || h.kind == "Bundle" {
		return out
	}
	r.contained = h.contained
	f, relevant, p := d.judge(h, r, raw)
	switch {
	case p != nil:
		return d.deadLetter(h, r, m, p, raw, entry)
	case !relevant:
		return out
	}
	f.ReceivedAt, f.Site = m.ReceivedAt, m.Site
	out.Kind, out.Fact = Accepted, f
	return out
}

// judge turns a resource of a type that rules read into a fact, or says that no rule reads it.
func (d *Decoder) judge(h *head, r *resolver, raw []byte) (f *timeline.Fact, relevant bool, p *problem) {
	var analytes []measurand
	var dose given
	assessment, drug := false, ""
	switch h.kind {
	case "Observation":
		analytes, relevant = d.analytes(h)
		if !relevant {
			assessment = d.assesses(h)
			relevant = assessment
		}
	case "MedicationAdministration":
		if h.doc.get("medication") != nil && !void(h.status) {
			return nil, false, r5(h, "medication") // what was given cannot be read
		}
		dose = d.medication(h, r)
		if !dose.resolved && !void(h.status) {
			return nil, false, refuse(ReasonMedicationUnresolved, "medicationReference leads to no Medication of this site")
		}
		read := d.read(dose.drug)
		relevant = read != "" || !dose.resolved || dose.elsewhere != "" && dose.drug == ""
		dose.drug = read
	case "MedicationRequest":
		// Only orders say that they end. One that another resource names, or that proposes, says nothing.
		dose = d.medication(h, r)
		read := d.read(dose.drug)
		relevant = (read != "" || dose.elsewhere != "" && dose.drug == "") && slices.Contains(orders, str(h.doc.get("intent")))
		dose.drug = read
	case "Procedure":
		var code codeable
		parse(h.doc.get("code"), &code)
		drug = d.read(d.concepts.drug(&code))
		relevant = drug != ""
	case "Encounter":
		if d.read(timeline.Inpatient) == "" {
			return nil, false, nil
		}
		if stay := d.class(h); !stay.Inpatient && !void(h.status) && r5Shape(h) == "" {
			return d.noStay(h, r, raw, stay)
		}
		relevant = true
	case "AdverseEvent":
		if d.read(timeline.ClinicianGrade) == "" {
			return nil, false, nil
		}
		h.status = cmp.Or(h.status, h.extensionStatus())
		relevant = true
	case "ResearchSubject", "Patient", "Medication":
		relevant = true
	}
	isVoid := void(h.status) && h.kind != "Patient" && h.kind != "ResearchSubject" || h.potential()
	// A void without a code may take back something that had one.
	if isVoid && h.kind != "Encounter" && h.nameless() {
		relevant = true
	}
	if !relevant || h.status == "registered" && h.kind == "Observation" {
		return nil, false, nil
	}
	if h.id == "" {
		return nil, false, refuse(ReasonNoID, "no id, so no version could replace it")
	}
	if p := h.lookVersion(raw); p != nil {
		return nil, false, p
	}
	f = &timeline.Fact{Ref: h.ref(), Version: h.version}
	if isVoid {
		// A void is honoured even if the rest of the resource does not validate: what it takes back was wrong.
		f.State = timeline.Void
		f.Patient, _ = d.patientOf(h, r)
		return f, true, nil
	}
	if e := r5Shape(h); e != "" {
		return nil, false, r5(h, e)
	}
	if codes := codesOf[h.kind]; codes != nil && !slices.Contains(codes, h.status) {
		return nil, false, refuse(ReasonInvalidCode, "status %s", showCode(h.status, codes))
	}
	if h.doc.get("implicitRules") != nil {
		return nil, false, refuse(ReasonImplicitRules, "implicitRules")
	}
	if at := h.modifier(); at != "" {
		return nil, false, refuse(ReasonUnknownModifier, "%s", at)
	}
	if h.kind == "Medication" { // nobody's
		return f, true, d.medicationProduct(h, f)
	}
	if f.Patient, p = d.patientOf(h, r); p != nil {
		return nil, false, p
	}
	switch h.kind {
	case "Observation":
		if assessment {
			p = d.response(h, f)
		} else {
			p = d.observation(h, analytes, f)
		}
	case "MedicationAdministration":
		p = d.administration(h, dose, f)
	case "Procedure":
		p = d.procedure(h, drug, f)
	case "MedicationRequest":
		p = d.order(h, dose, f)
	case "ResearchSubject":
		p = d.enrolment(h, r, f)
	case "Encounter":
		p = d.encounter(h, f)
	case "AdverseEvent":
		p = d.adverseEvent(h, f)
	case "Patient":
		p = d.person(h, r, f)
	}
	return f, true, p
}

// patientOf finds the patient of a resource.
func (d *Decoder) patientOf(h *head, r *resolver) (timeline.Patient, *problem) {
	element := "subject"
	switch h.kind {
	case "Patient":
		return timeline.Patient{Reference: h.ref().String()}, nil
	case "Medication":
		return timeline.Patient{}, nil
	case "ResearchSubject":
		element = "individual"
	}
	var ref reference
	if raw := h.doc.get(element); raw == nil || !parse(raw, &ref) {
		return timeline.Patient{}, refuse(ReasonNoPatient, "no %s", element)
	}
	return r.patient(&ref)
}

// contained finds a contained resource.
func (h *head) contained(id string) *document {
	var list []jsontext.Value
	if !parse(h.doc.get("contained"), &list) {
		return nil
	}
	for _, raw := range list {
		doc, p := prescan(raw, DefaultLimits())
		if p == nil && strings.TrimPrefix(str(doc.get("id")), "#") == id {
			return doc
		}
	}
	return nil
}

// deadLetter refuses a resource. Where type and id are known it says so to the timeline too: what an older version says is now doubtful.
func (d *Decoder) deadLetter(h *head, r *resolver, m Message, p *problem, raw []byte, entry int) Outcome {
	out := Outcome{Kind: DeadLetter, Reason: p.reason, Detail: p.detail, Ref: h.ref(), Entry: entry, Raw: raw, ReceivedAt: m.ReceivedAt}
	if out.ReceivedAt.IsZero() {
		out.ReceivedAt = time.Unix(0, 0).UTC()
	}
	if h.id == "" || r4.types[h.kind] == nil {
		return out
	}
	f := &timeline.Fact{Ref: h.ref(), State: timeline.Refused, ReceivedAt: out.ReceivedAt, Site: m.Site}
	if p := h.lookVersion(raw); p != nil {
		h.version = timeline.Version{Digest: digestOf(raw)}
	}
	f.Version = h.version
	// The patient, where he can be read, keeps the marker with the resource that it is about. He is found in the same way as for a fact: the
	// marker on another timeline would be seen by nobody.
	f.Patient, _ = d.patientOf(h, r)
	out.Fact = f
	return out
}
