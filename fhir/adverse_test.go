package fhir_test

import (
	"testing"

	"github.com/trialwatch/trialwatch/fhir"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

const (
	adverse = `{"resourceType":"AdverseEvent","id":"a1","actuality":"actual","subject":{"reference":"Patient/p1"},"date":"2026-02-19",` +
		`"event":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/mdr","code":"10016288"}]},` +
		`"extension":[{"url":"http://hl7.org/fhir/uv/ae-research-backport-ig/StructureDefinition/ae-grade","valueCodeableConcept":{"coding":[{"system":"http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl","code":"C41337"}]}}]}`
	graded    = `fact of "Patient/p1" on 2026-02-19 from 2026-02-19T06:00:00Z adverse event febrile-neutropenia grade 4`
	markA1    = ` marks AdverseEvent/a1 of "Patient/p1"`
	statusIs  = `{"url":"http://hl7.org/fhir/uv/ae-research-backport-ig/StructureDefinition/status","valueCode":"completed"}`
	theCode   = `"coding":[{"system":"http://terminology.hl7.org/CodeSystem/mdr","code":"10016288"}]`
	theGrade  = `"coding":[{"system":"http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl","code":"C41337"}]`
	voidedA1  = `void AdverseEvent/a1 of "Patient/p1"`
	ungraded  = `fact of "Patient/p1" on 2026-02-19 from 2026-02-19T06:00:00Z adverse event `
	resolved  = `{"url":"http://hl7.org/fhir/uv/ae-research-backport-ig/StructureDefinition/resolve-date","valueDateTime":"2026-02-21"}`
	adverseRx = `"extension":[`
)

var adverseRows = []row{
	{"a term and a grade by code", adverse, graded},
	{"MedDRA by its own address", with(adverse, "http://terminology.hl7.org/CodeSystem/mdr", "https://www.meddra.org"), graded},
	{"MedDRA by its OID", with(adverse, "http://terminology.hl7.org/CodeSystem/mdr", "urn:oid:2.16.840.1.113883.6.163"), graded},
	{"a number of another system is no term", with(adverse, "http://terminology.hl7.org/CodeSystem/mdr", "urn:local"), ungraded + " grade 4!no-term"},
	{"a term by its name", with(adverse, theCode, `"text":"FEBRILE  neutropenia"`), graded},
	{"a term by the display of a local code", with(adverse, theCode, `"coding":[{"system":"urn:local","code":"FN","display":"Febrile neutropenia"}]`), graded},
	{"a code goes before words", with(adverse, `"code":"10016288"}]`, `"code":"10016288"}],"text":"Fever"`), graded},
	{"other words are no term", with(adverse, theCode, `"text":"neutropenic fever"`), ungraded + " grade 4!no-term"},
	{"two terms", with(adverse, `"code":"10016288"}`, `"code":"10016288"},{"system":"https://www.meddra.org","code":"10016558"}`), ungraded + " grade 4!no-term"},
	{"a term that data do not grade", with(adverse, theCode, `"text":"Nausea"`), with(graded, "febrile-neutropenia", "nausea")},
	{"no event", with(adverse, `"event":{`+theCode+`},`, ""), ungraded + " grade 4!no-term"},

	{"a grade by its number", with(adverse, theGrade, `"coding":[{"system":"urn:local","code":"4"}]`), graded},
	{"a grade in words", with(adverse, theGrade, `"text":"Grade 4"`), graded},
	{"a grade by the display of the guide", with(adverse, theGrade, `"coding":[{"code":"x","display":"Grade 4 Life Threatening or Disabling Adverse Event"}]`), graded},
	{"a grade of the draft guide", with(adverse, "uv/ae-research-backport-ig/StructureDefinition/ae-grade", "us/ctcae/StructureDefinition/ctcae-grade", theGrade, `"coding":[{"system":"http://hl7.org/fhir/us/ctcae/CodeSystem/ctcae-grade-code-system","code":"4","display":"Life Threatening Adverse Event"}]`), graded},
	{"two words of one grade", with(adverse, `"code":"C41337"}]`, `"code":"C41337","display":"Grade 4"}],"text":"4"`), graded},
	{"two grades", with(adverse, `"code":"C41337"}]`, `"code":"C41337"}],"text":"Grade 3"`), ungraded + "febrile-neutropenia!no-grade"},
	{"a range is no grade", with(adverse, theGrade, `"text":"3 to 4"`), ungraded + "febrile-neutropenia!no-grade"},
	{"nor is 0", with(adverse, theGrade, `"text":"0"`), ungraded + "febrile-neutropenia!no-grade"},
	{"nor a severity", with(adverse, theGrade, `"text":"severe"`), ungraded + "febrile-neutropenia!no-grade"},
	{"another code of NCI", with(adverse, "C41337", "C17998"), ungraded + "febrile-neutropenia!no-grade"},
	{"another extension", with(adverse, "ae-grade", "ae-severity"), ungraded + "febrile-neutropenia!no-grade"},
	{"neither", with(adverse, theCode, `"text":"unwell"`, "ae-grade", "ae-severity"), ungraded + "!no-term"},

	{"at a time", with(adverse, `"2026-02-19"`, `"2026-02-19T14:00:00-06:00"`), with(graded, "on 2026-02-19 from 2026-02-19T06:00:00Z", "at 2026-02-19T20:00:00Z")},
	{"when it was detected", with(adverse, `"date"`, `"detected"`), graded},
	{"the date goes first", with(adverse, `"date"`, `"detected":"2026-02-21","date"`), graded},
	{"when it was written down says nothing", with(adverse, `"date"`, `"recordedDate"`), "dead letter no-time" + markA1},
	{"a month is no day", with(adverse, `"2026-02-19"`, `"2026-02"`), "dead letter no-time" + markA1},
	{"no offset", with(adverse, `"2026-02-19"`, `"2026-02-19T14:00:00"`), "dead letter invalid-time" + markA1},
	{"a day of resolution", with(adverse, adverseRx, adverseRx+resolved+","), with(graded, "Z adverse", "Z to 2026-02-22T06:00:00Z adverse")},
	{"a day of resolution of the draft guide", with(adverse, adverseRx, adverseRx+with(resolved, "uv/ae-research-backport-ig/StructureDefinition/resolve-date", "us/ctcae/StructureDefinition/adverse-event-resolved-date")+","), with(graded, "Z adverse", "Z to 2026-02-22T06:00:00Z adverse")},
	{"a resolution before the event", with(adverse, adverseRx, adverseRx+resolved+",", "2026-02-21", "2026-02-17"), "dead letter invalid-time" + markA1},
	{"an outcome", with(adverse, `"actuality"`, `"outcome":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/adverse-event-outcome","code":"resolvedWithSequelae"}]},"actuality"`), graded + " over"},
	{"an outcome that goes on", with(adverse, `"actuality"`, `"outcome":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/adverse-event-outcome","code":"recovering"}]},"actuality"`), graded},

	{"only potential: no event", with(adverse, `"actual"`, `"potential"`), voidedA1},
	{"no actuality", with(adverse, `"actuality":"actual",`, ""), "dead letter invalid-code" + markA1},
	{"actuality in another case", with(adverse, `"actual"`, `"Actual"`), "dead letter invalid-code" + markA1},
	{"a status of the guide", add(adverse, `"modifierExtension":[`+statusIs+`]`), graded},
	{"entered in error", add(adverse, `"modifierExtension":[`+with(statusIs, "completed", "entered-in-error")+`]`), voidedA1},
	{"entered in error, as a plain extension", with(adverse, adverseRx, adverseRx+with(statusIs, "completed", "entered-in-error")+","), voidedA1},
	{"status unknown", add(adverse, `"modifierExtension":[`+with(statusIs, "completed", "unknown")+`]`), graded + "!status-unknown"},
	{"a status that the guide has not", add(adverse, `"modifierExtension":[`+with(statusIs, "completed", "done")+`]`), "dead letter invalid-code" + markA1},
	{"a status that says nothing", add(adverse, `"modifierExtension":[`+with(statusIs, `"completed"`, `""`)+`]`), "dead letter unknown-modifier" + markA1},
	{"another modifier", add(adverse, `"modifierExtension":[`+statusIs+`,{"url":"urn:not"}]`), "dead letter unknown-modifier" + markA1},
	{"a modifier of the event", with(adverse, theCode, `"modifierExtension":[{"url":"urn:not"}],`+theCode), "dead letter unknown-modifier" + markA1},

	{"R5", with(adverse, `"event"`, `"code"`), "dead letter r5" + markA1},
	{"R5 in error", add(adverse, `"status":"entered-in-error"`), voidedA1},
	{"nobody's", with(adverse, `"subject":{"reference":"Patient/p1"},`, ""), `dead letter no-patient marks AdverseEvent/a1 of ""`},
	{"a group's", with(adverse, "Patient/p1", "Group/g1"), `dead letter no-patient marks AdverseEvent/a1 of ""`},
	{"no id", with(adverse, `"id":"a1",`, ""), "dead letter no-id"},
	{"an element that R4 has not", add(adverse, `"colour":1`), "dead letter invalid-resource" + markA1},
	{"what is broken elsewhere loses nothing", add(adverse, `"suspectEntity":[{"instance":5}]`), graded},
}

func TestAdverseEvent(t *testing.T) { runRows(t, adverseRows) }

// No protocol is loaded that reads what clinicians grade: it is not relevant.
func TestUnreadAdverseEvent(t *testing.T) {
	for _, tt := range []struct {
		reads string
		want  fhir.Kind
	}{{timeline.Neutrophils, fhir.NotRelevant}, {timeline.ClinicianGrade, fhir.Accepted}} {
		d, err := fhir.New(fhir.Config{Reads: map[string]bool{tt.reads: true}})
		if err != nil {
			t.Fatal(err)
		}
		if out := d.Decode(fhir.Message{Data: []byte(adverse)}); out[0].Kind != tt.want {
			t.Errorf("where %s is read an AdverseEvent is %s, want %s", tt.reads, out[0].Kind, tt.want)
		}
	}
}
