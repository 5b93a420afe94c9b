package fhir

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/trialwatch/trialwatch/rules/ctcae"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// The extensions of HL7's guide "Adverse Event Clinical Research R4 Backport" (STU 1) that are read, and those of the draft guide before it, which the extraction
// tools of mCODE write. R4 itself has neither a grade nor a status.
const (
	guide           = "http://hl7.org/fhir/uv/ae-research-backport-ig/StructureDefinition/"
	gradeExtension  = guide + "ae-grade"
	statusExtension = guide + "status"
	endExtension    = guide + "resolve-date"

	draft      = "http://hl7.org/fhir/us/ctcae/StructureDefinition/"
	draftGrade = draft + "ctcae-grade"
	draftEnd   = draft + "adverse-event-resolved-date"
)

// meddra are the names of MedDRA as a code system.
var meddra = []string{
	"http://terminology.hl7.org/CodeSystem/mdr", "http://terminology.hl7.org/CodeSystem/MDRAE", "https://www.meddra.org", "http://www.meddra.org", "urn:oid:2.16.840.1.113883.6.163",
}

const ncit = "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl"

// ncitGrades are the codes of HL7's value set of grades.
var ncitGrades = map[string]int{"C41338": 1, "C41339": 2, "C41340": 3, "C41337": 4, "C48275": 5}

// extension is an Extension as far as we read it.
type extension struct {
	URL                  string   `json:"url"`
	ValueCode            string   `json:"valueCode"`
	ValueDateTime        string   `json:"valueDateTime"`
	ValueCodeableConcept codeable `json:"valueCodeableConcept"`
}

// extensions reads those of an element, none where it cannot be read.
func (h *head) extensions(element string) (list []extension) {
	parse(h.doc.get(element), &list)
	return list
}

// extensionStatus is the status by the guide's extension, "" without one. The guide makes it a modifier; some servers send it as a plain extension.
func (h *head) extensionStatus() string {
	for _, e := range slices.Concat(h.extensions("modifierExtension"), h.extensions("extension")) {
		if e.URL == statusExtension {
			return e.ValueCode
		}
	}
	return ""
}

// onlyStatus reports whether every modifierExtension is the status of an AdverseEvent, which we know.
func (h *head) onlyStatus() bool {
	if h.kind != "AdverseEvent" {
		return false
	}
	list := h.extensions("modifierExtension")
	return len(list) > 0 && !slices.ContainsFunc(list, func(e extension) bool { return e.URL != statusExtension || e.ValueCode == "" })
}

// potential reports whether an AdverseEvent did not happen: a near miss, or what was taken for one. It takes back what was taken for an event.
func (h *head) potential() bool {
	return h.kind == "AdverseEvent" && str(h.doc.get("actuality")) == "potential"
}

// resolved reports whether the outcome of an AdverseEvent says that it is over.
func (h *head) resolved() bool {
	var outcome codeable
	parse(h.doc.get("outcome"), &outcome)
	return slices.ContainsFunc(outcome.Coding, func(k code) bool {
		return k.System == "http://terminology.hl7.org/CodeSystem/adverse-event-outcome" && (k.Code == "resolved" || k.Code == "resolvedWithSequelae")
	})
}

// adverseEvent turns an AdverseEvent into a fact. One without a term or a grade keeps its place on the timeline: it supersedes older versions, and somebody is
// asked. When it was written down says nothing of when it occurred.
func (d *Decoder) adverseEvent(h *head, f *timeline.Fact) *problem {
	if a := str(h.doc.get("actuality")); a != "actual" {
		return refuse(ReasonInvalidCode, "actuality %s", showCode(a, []string{"actual", "potential"}))
	}
	if known := []string{"", "in-progress", "completed", "unknown"}; !slices.Contains(known, h.status) {
		return refuse(ReasonInvalidCode, "status %s", showCode(h.status, known))
	}
	element := "date"
	if h.doc.get(element) == nil {
		element = "detected"
	}
	var p *problem
	if f.At, p = parseTime(element, str(h.doc.get(element)), d.cfg.Zone); p != nil {
		return p
	}
	e := &timeline.AdverseEvent{Over: h.resolved()}
	var grades []codeable
	for _, x := range h.extensions("extension") {
		switch x.URL {
		case gradeExtension, draftGrade:
			grades = append(grades, x.ValueCodeableConcept)
		case endExtension, draftEnd:
			end, p := parseTime("resolve-date", x.ValueDateTime, d.cfg.Zone)
			if p != nil {
				return p
			}
			if f.End = endOf(end, d.cfg.Zone); f.End.Before(f.At.Start) {
				return refuse(ReasonInvalidTime, "resolve-date lies before the event")
			}
		}
	}
	if _, p := d.parseProjection(h); p != nil {
		return p
	}
	var event codeable
	parse(h.doc.get("event"), &event)
	e.Term, e.Grade = termOf(&event), gradeOf(grades)
	switch {
	case h.status == "unknown":
		e.Problem = &timeline.Problem{Reason: timeline.ProblemStatusUnknown}
	case e.Term == "":
		e.Problem = &timeline.Problem{Reason: timeline.ProblemNoTerm}
	case e.Grade == 0:
		e.Problem = &timeline.Problem{Reason: timeline.ProblemNoGrade}
	}
	f.AdverseEvent = e
	return nil
}

// termOf finds the term of the CTCAE that an event names: by MedDRA code, else by its name in full. "" for none, and for two.
func termOf(event *codeable) string {
	var named []string
	add := func(term string) {
		if term != "" && !slices.Contains(named, term) {
			named = append(named, term)
		}
	}
	for _, k := range event.Coding {
		if slices.Contains(meddra, k.System) {
			add(ctcae.TermOfCode(k.Code))
		}
	}
	if len(named) == 0 {
		add(ctcae.TermOfName(event.Text))
		for _, k := range event.Coding {
			add(ctcae.TermOfName(k.Display))
		}
	}
	if len(named) != 1 {
		return ""
	}
	return named[0]
}

// gradeText is a grade in words: "3", "Grade 3", "Grade 3 Severe Adverse Event". Anything else, such as "3 to 4", is none.
var gradeText = regexp.MustCompile(`^(?:ctcae )?(?:grade )?([1-5])(?: (?:mild|moderate|severe|life[- ]threatening(?: or disabling)?|death(?: related to)?|fatal))?(?: adverse event)?$`)

// gradeOf finds the grade that concepts name, 0 if they name none, or two.
func gradeOf(said []codeable) int {
	grade, two := 0, false
	add := func(g int) {
		two = two || g != 0 && grade != 0 && g != grade
		grade = cmp.Or(grade, g)
	}
	words := func(text string) {
		if m := gradeText.FindStringSubmatch(strings.Join(strings.Fields(strings.ToLower(text)), " ")); m != nil {
			add(int(m[1][0] - '0'))
		}
	}
	for i := range said {
		for _, k := range said[i].Coding {
			if k.System == ncit {
				add(ncitGrades[k.Code])
			} else {
				words(k.Code)
			}
			words(k.Display)
		}
		words(said[i].Text)
	}
	if two {
		return 0
	}
	return grade
}
