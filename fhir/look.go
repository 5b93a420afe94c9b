package fhir

import (
	"bytes"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/trialwatch/trialwatch/rules/timeline"
)

// head is what is looked at before anything is parsed in full.
type head struct {
	doc     *document
	kind    string // resourceType
	id      string // "" where there is none that can be one
	status  string
	version timeline.Version

	meta     meta
	metaRead bool
	metaGood bool // it could be read, or there is none
}

func (h *head) ref() timeline.Ref { return timeline.RefOf(h.kind, h.id) }

// readMeta reads meta once.
func (h *head) readMeta() (m *meta, ok bool) {
	if !h.metaRead {
		v := h.doc.get("meta")
		h.metaRead, h.metaGood = true, parse(v, &h.meta) || v == nil
	}
	return &h.meta, h.metaGood
}

// meta is Resource.meta as far as we read it.
type meta struct {
	VersionID   string `json:"versionId"`
	LastUpdated string `json:"lastUpdated"`
}

// str reads a JSON string, "" if the value is none.
func str(raw []byte) string {
	if len(raw) < 2 || raw[0] != '"' {
		return ""
	}
	s, err := jsontext.AppendUnquote(nil, raw)
	if err != nil {
		return ""
	}
	return string(s)
}

// parse reads a member into v; a value of another shape leaves v as it is and is left to the validator.
func parse(raw []byte, v any) bool {
	return raw != nil && json.Unmarshal(raw, v) == nil
}

// identifiers reads an array of identifiers as "system|value", in order.
func identifiers(raw []byte) []string {
	var list []struct {
		System string `json:"system"`
		Value  string `json:"value"`
	}
	if !parse(raw, &list) {
		return nil
	}
	var ids []string
	for _, id := range list {
		if id.Value != "" {
			ids = append(ids, id.System+"|"+id.Value)
		}
	}
	return ids
}

// lookVersion fills in the version. A lastUpdated that cannot be read is a refusal only for what is kept.
func (h *head) lookVersion(raw []byte) *problem {
	m, ok := h.readMeta()
	if !ok {
		return refuse(ReasonInvalidResource, "meta cannot be read")
	}
	h.version.ID = m.VersionID
	if m.LastUpdated != "" {
		t, p := parseTime("meta.lastUpdated", m.LastUpdated, time.UTC)
		if p != nil {
			return p
		}
		h.version.LastUpdated = t.Start
	}
	h.version.Digest = h.doc.digest(raw)
	return nil
}

// receivedAt is the receipt of a resource whose message names none.
func (h *head) receivedAt(bundle time.Time, zone *time.Location) time.Time {
	m, _ := h.readMeta()
	if t, ok := instant(m.LastUpdated, zone); ok {
		return t
	}
	if !bundle.IsZero() {
		return bundle
	}
	for _, name := range []string{"issued", "effectiveDateTime", "effectiveInstant", "performedDateTime", "authoredOn"} {
		if t, ok := instant(str(h.doc.get(name)), zone); ok {
			return t
		}
	}
	for _, name := range []string{"effectivePeriod", "performedPeriod", "period"} {
		var p period
		if parse(h.doc.get(name), &p) {
			if t, ok := instant(p.Start, zone); ok {
				return t
			}
		}
	}
	return time.Unix(0, 0).UTC()
}

// instant reads a time; a date without one is its first instant at the site, as it is in clinical time.
func instant(s string, zone *time.Location) (time.Time, bool) {
	if s == "" {
		return time.Time{}, false
	}
	t, p := parseTime("", s, zone)
	return t.Start, p == nil
}

func r5(h *head, element string) *problem {
	return refuse(ReasonR5, "%s.%s: looks like R5", h.kind, element)
}

// r5Shape reports an element that only R5 has. Such a resource cannot be read, and its author should know why.
func r5Shape(h *head) string {
	switch h.kind {
	case "MedicationAdministration":
		for _, name := range []string{"medication", "occurence", "occurenceDateTime", "occurencePeriod", "occurrenceDateTime", "occurrencePeriod", "encounter"} {
			if h.doc.get(name) != nil {
				return name
			}
		}
	case "MedicationRequest":
		if h.doc.get("medication") != nil {
			return "medication"
		}
	case "ResearchSubject":
		for _, name := range []string{"subject", "assignedComparisonGroup", "actualComparisonGroup", "progress"} {
			if h.doc.get(name) != nil {
				return name
			}
		}
	case "Encounter":
		if class := h.doc.get("class"); class != nil && class[0] == '[' {
			return "class"
		}
		for _, name := range []string{"actualPeriod", "plannedStartDate", "plannedEndDate", "admission", "virtualService", "subjectStatus", "careTeam"} {
			if h.doc.get(name) != nil {
				return name
			}
		}
	case "AdverseEvent":
		for _, name := range []string{"status", "code", "occurrenceDateTime", "occurrencePeriod", "occurrenceTiming", "resultingEffect", "participant"} {
			if h.doc.get(name) != nil {
				return name
			}
		}
	case "Procedure":
		for _, name := range []string{"occurrenceDateTime", "occurrencePeriod"} {
			if h.doc.get(name) != nil {
				return name
			}
		}
	case "Observation":
		for _, name := range []string{"triggeredBy", "instantiatesCanonical", "bodyStructure"} {
			if h.doc.get(name) != nil {
				return name
			}
		}
	}
	return ""
}

// codesOf are the status codes of R4, exact to the letter: "Final" and "entered_in_error" are taken for codes by the parser, and must not be.
var codesOf = map[string][]string{
	"Observation":              {"registered", "preliminary", "final", "amended", "corrected", "cancelled", "entered-in-error", "unknown"},
	"MedicationAdministration": {"in-progress", "not-done", "on-hold", "completed", "entered-in-error", "stopped", "unknown"},
	"MedicationRequest":        {"active", "on-hold", "cancelled", "completed", "entered-in-error", "stopped", "draft", "unknown"},
	"Medication":               {"", "active", "inactive", "entered-in-error"}, // it need have none
	"Procedure":                {"preparation", "in-progress", "not-done", "on-hold", "stopped", "completed", "entered-in-error", "unknown"},
	"Encounter":                {"planned", "arrived", "triaged", "in-progress", "onleave", "finished", "cancelled", "entered-in-error", "unknown"},
	"ResearchSubject": {
		"candidate", "eligible", "follow-up", "ineligible", "not-registered", "off-study", "on-study", "on-study-intervention", "on-study-observation",
		"pending-on-study", "potential-candidate", "screening", "withdrawn",
	},
}

// voids are the statuses that take a resource back.
func void(status string) bool { return status == "entered-in-error" || status == "cancelled" }

// nameless reports whether the code says nothing definite: R4 requires one, so what a server blanks keeps an empty one or a text.
func (h *head) nameless() bool {
	element := "code"
	if h.kind == "MedicationAdministration" || h.kind == "MedicationRequest" {
		element = "medicationCodeableConcept"
		if h.doc.get("medicationReference") != nil {
			return false
		}
	}
	var code codeable
	parse(h.doc.get(element), &code)
	for _, c := range code.Coding {
		if c.Code != "" {
			return false
		}
	}
	return true
}

// modifier finds a modifierExtension, in the resource itself or anywhere in what rules read of it: in a component or a dosage it turns the
// meaning round just as well. Names with escapes have been refused before, so the bytes tell.
func (h *head) modifier() string {
	const name = "modifierExtension"
	if h.doc.get(name) != nil && !h.onlyStatus() {
		return name
	}
	for _, element := range [...]string{"contained", "interpretation", "reasonCode"} {
		if hasName(h.doc.get(element), name) {
			return element + "." + name
		}
	}
	for _, element := range parsed[h.kind] {
		if hasName(h.doc.get(element), name) {
			return element + "." + name
		}
	}
	return ""
}

// hasName reports whether a member of a name stands anywhere in valid JSON whose names have no escapes.
func hasName(data []byte, name string) bool {
	for {
		i := bytes.Index(data, []byte(name))
		if i < 0 {
			return false
		}
		before := i > 0 && data[i-1] == '"'
		data = data[i+len(name):]
		after, quoted := bytes.CutPrefix(data, []byte(`"`))
		if before && quoted && bytes.HasPrefix(bytes.TrimLeft(after, " \t\r\n"), []byte(":")) {
			return true
		}
	}
}
