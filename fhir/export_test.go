package fhir

import (
	"github.com/google/fhir/go/fhirversion"
	"github.com/google/fhir/go/jsonformat"
)

// WithoutFastPath lets google/fhir parse everything.
func (d *Decoder) WithoutFastPath() error {
	google, err := jsonformat.NewUnmarshaller(d.cfg.Zone.String(), fhirversion.R4)
	if err != nil {
		return err
	}
	d.unmarshal = google.UnmarshalR4
	return nil
}

// charted is a neutrophil count as an EHR sends it, with all that no rule reads.
const charted = `{"resourceType":"Observation","id":"anc-2026-02-20","meta":{"versionId":"2","lastUpdated":"2026-02-20T12:05:00.000Z","profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-observation-lab"]},` +
	`"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">Neutrophils 0.45 10*3/uL</div>"},` +
	`"identifier":[{"use":"official","system":"urn:oid:1.2.3.4","value":"L-4711"}],"basedOn":[{"reference":"ServiceRequest/77"}],"status":"final",` +
	`"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory","display":"Laboratory"}],"text":"Laboratory"}],` +
	`"code":{"coding":[{"system":"http://loinc.org","code":"751-8","display":"Neutrophils [#/volume] in Blood by Automated count"},{"system":"urn:oid:1.2.3.5","code":"ANC","display":"ANC"}],"text":"Neutrophils Absolute"},` +
	`"subject":{"reference":"Patient/p1","display":"A Patient"},"encounter":{"reference":"Encounter/e1","display":"Inpatient"},"effectiveDateTime":"2026-02-20T06:00:00-06:00","issued":"2026-02-20T12:04:00.000Z",` +
	`"performer":[{"reference":"Organization/lab","display":"Laboratory"}],"valueQuantity":{"value":0.45,"unit":"10*3/uL","system":"http://unitsofmeasure.org","code":"10*3/uL"},` +
	`"interpretation":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation","code":"LL","display":"Critical low"}],"text":"Critical low"}],` +
	`"note":[{"text":"Checked by smear"}],"specimen":{"reference":"Specimen/s1"},` +
	`"referenceRange":[{"low":{"value":1.5,"unit":"10*3/uL","system":"http://unitsofmeasure.org","code":"10*3/uL"},"high":{"value":8.0,"unit":"10*3/uL","system":"http://unitsofmeasure.org","code":"10*3/uL"},"text":"1.5 - 8.0"}]}`

// ChartedObservation is charted.
const ChartedObservation = charted
