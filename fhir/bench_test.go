package fhir_test

import (
	"testing"

	"github.com/google/fhir/go/fhirversion"
	"github.com/google/fhir/go/jsonformat"

	"github.com/trialwatch/trialwatch/fhir"
)

// chartedObservation is a neutrophil count as an EHR sends it, with all that no rule reads.
const chartedObservation = `{"resourceType":"Observation","id":"anc-2026-02-20","meta":{"versionId":"2","lastUpdated":"2026-02-20T12:05:00.000Z","profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-observation-lab"]},` +
	`"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">Neutrophils 0.45 10*3/uL</div>"},` +
	`"identifier":[{"use":"official","system":"urn:oid:1.2.3.4","value":"L-4711"}],"basedOn":[{"reference":"ServiceRequest/77"}],"status":"final",` +
	`"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory","display":"Laboratory"}],"text":"Laboratory"}],` +
	`"code":{"coding":[{"system":"http://loinc.org","code":"751-8","display":"Neutrophils [#/volume] in Blood by Automated count"},{"system":"urn:oid:1.2.3.5","code":"ANC","display":"ANC"}],"text":"Neutrophils Absolute"},` +
	`"subject":{"reference":"Patient/p1","display":"A Patient"},"encounter":{"reference":"Encounter/e1","display":"Inpatient"},"effectiveDateTime":"2026-02-20T06:00:00-06:00","issued":"2026-02-20T12:04:00.000Z",` +
	`"performer":[{"reference":"Organization/lab","display":"Laboratory"}],"valueQuantity":{"value":0.45,"unit":"10*3/uL","system":"http://unitsofmeasure.org","code":"10*3/uL"},` +
	`"interpretation":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation","code":"LL","display":"Critical low"}],"text":"Critical low"}],` +
	`"note":[{"text":"Checked by smear"}],"specimen":{"reference":"Specimen/s1"},` +
	`"referenceRange":[{"low":{"value":1.5,"unit":"10*3/uL","system":"http://unitsofmeasure.org","code":"10*3/uL"},"high":{"value":8.0,"unit":"10*3/uL","system":"http://unitsofmeasure.org","code":"10*3/uL"},"text":"1.5 - 8.0"}]}`

// BenchmarkDecode shows in one run what looking first saves: the same Observation read by a rule, read by none, and given whole to the parser.
func BenchmarkDecode(b *testing.B) {
	for _, bm := range []struct {
		name, data string
		want       fhir.Kind
	}{
		{"relevant", chartedObservation, fhir.Accepted},
		{"notRelevant", with(chartedObservation, "751-8", "1863-0"), fhir.NotRelevant},
	} {
		b.Run(bm.name, func(b *testing.B) {
			d := newDecoder(b)
			m := fhir.Message{Data: []byte(bm.data), Site: "main"}
			b.ReportAllocs()
			b.SetBytes(int64(len(m.Data)))
			for b.Loop() {
				if out := d.Decode(m); out[0].Kind != bm.want {
					b.Fatalf("got %s, want %s", out[0].Kind, bm.want)
				}
			}
		})
	}
	b.Run("googleFHIR", func(b *testing.B) {
		u, err := jsonformat.NewUnmarshaller(chicago.String(), fhirversion.R4)
		if err != nil {
			b.Fatal(err)
		}
		data := []byte(chartedObservation)
		b.ReportAllocs()
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if _, err := u.UnmarshalR4(data); err != nil {
				b.Fatal(err)
			}
		}
	})
}
