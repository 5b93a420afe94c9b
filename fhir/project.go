package fhir

import (
	"regexp"

	bundlepb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/resources/bundle_and_contained_resource_go_proto"
)

// parsed are the elements of each type that go through the parser. status, references and times are read by ourselves as well, since the parser
// takes inexact ones; they go through it all the same, so that it judges the resource.
var parsed = map[string][]string{
	"Observation": {
		"status", "code", "subject", "effectiveDateTime", "effectivePeriod", "effectiveInstant", "effectiveTiming",
		"valueQuantity", "valueCodeableConcept", "valueString", "valueBoolean", "valueInteger", "valueRange", "valueRatio", "valueSampledData",
		"valueTime", "valueDateTime", "valuePeriod", "dataAbsentReason", "component", "referenceRange",
	},
	"MedicationAdministration": {
		"status", "statusReason", "medicationCodeableConcept", "medicationReference", "subject", "effectiveDateTime", "effectivePeriod", "dosage",
	},
	"Procedure":       {"status", "code", "subject", "performedDateTime", "performedPeriod", "performedString", "performedAge", "performedRange"},
	"ResearchSubject": {"status", "period", "study", "individual", "assignedArm", "actualArm", "identifier"},
	"Encounter":       {"status", "class", "subject", "period"},
	"AdverseEvent":    {"actuality", "event", "subject", "date", "detected", "outcome"},
	"MedicationRequest": {
		"status", "statusReason", "intent", "medicationCodeableConcept", "medicationReference", "subject", "authoredOn",
	},
	"Patient":    {"identifier", "link", "deceasedBoolean", "deceasedDateTime"},
	"Medication": {"status", "code", "amount", "ingredient"},
}

// parseProjection parses and validates the elements that rules read.
func (d *Decoder) parseProjection(h *head) (*bundlepb.ContainedResource, *problem) {
	names := r4.types[h.kind]
	for i := range h.doc.members {
		if m := &h.doc.members[i]; !names[m.name] {
			return nil, refuse(ReasonInvalidResource, "%s has an element that R4 has not%s", h.kind, showName(m.name))
		}
	}
	room := buffers.Get().(*[]byte)
	defer buffers.Put(room)
	b := (*room)[:0]
	b = append(b, `{"resourceType":"`...)
	b = append(append(b, h.kind...), '"')
	for _, name := range parsed[h.kind] {
		value := h.doc.get(name)
		if value == nil {
			continue
		}
		b = append(append(append(b, `,"`...), name...), `":`...)
		b = append(b, value...)
	}
	b = append(b, '}')
	*room = b
	r, err := d.unmarshal(b) // which keeps no part of it
	if err != nil {
		return nil, refuse(ReasonInvalidResource, "does not validate as R4%s", errorPath(err))
	}
	return r, nil
}

var quotedPath = regexp.MustCompile(`error at "([A-Za-z0-9_.\[\]]{1,120})"`)

// errorPath takes only the element's path out of the parser's error: the rest can quote the resource.
func errorPath(err error) string {
	if m := quotedPath.FindStringSubmatch(err.Error()); m != nil {
		return ": " + m[1]
	}
	return ""
}

// showName shows a name that is an element's of some other resource; any other word may be data.
func showName(name string) string {
	if _, ok := r4.elements[name]; ok {
		return ": " + name
	}
	return ""
}
