package fhir_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trialwatch/trialwatch/fhir"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// The resources of the tables. Rows say only what they change.
const (
	observation = `{"resourceType":"Observation","id":"o1","meta":{"versionId":"2","lastUpdated":"2026-02-20T12:05:00Z"},"status":"final",` +
		`"code":{"coding":[{"system":"http://loinc.org","code":"751-8"}]},"subject":{"reference":"Patient/p1"},"effectiveDateTime":"2026-02-20T06:00:00-06:00",` +
		`"valueQuantity":{"value":0.45,"system":"http://unitsofmeasure.org","code":"10*3/uL"}}`
	administration = `{"resourceType":"MedicationAdministration","id":"m1","meta":{"lastUpdated":"2026-02-20T12:05:00Z"},"status":"completed",` +
		`"medicationCodeableConcept":{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"70223"}]},"subject":{"reference":"Patient/p1"},` +
		`"effectiveDateTime":"2026-02-20T06:00:00-06:00","dosage":{"route":{"text":"Intravenous"},"dose":{"value":600000,"unit":"IU/kg"}}}`
	tilProcedure = `{"resourceType":"Procedure","id":"t1","meta":{"lastUpdated":"2026-02-20T12:05:00Z"},"status":"completed","code":{"text":"TIL infusion"},` +
		`"subject":{"reference":"Patient/p1"},"performedPeriod":{"start":"2026-02-16T09:00:00-06:00","end":"2026-02-16T10:00:00-06:00"}}`
	enrolment = `{"resourceType":"ResearchSubject","id":"r1","meta":{"lastUpdated":"2026-02-20T12:05:00Z"},"status":"on-study",` +
		`"identifier":[{"system":"urn:trial","value":"S-001"}],"period":{"start":"2026-02-01"},"study":{"reference":"ResearchStudy/til"},` +
		`"individual":{"reference":"Patient/p1"},"assignedArm":"arm-1"}`
	patient = `{"resourceType":"Patient","id":"p1","meta":{"lastUpdated":"2026-02-20T12:05:00Z"},"identifier":[{"system":"urn:mrn","value":"77"}]}`
)

// with changes a resource: pairs of what stands there and what is to stand there.
func with(base string, edits ...string) string {
	for i := 0; i < len(edits); i += 2 {
		if !strings.Contains(base, edits[i]) {
			panic(fmt.Sprintf("%s has no %q", base, edits[i]))
		}
		base = strings.Replace(base, edits[i], edits[i+1], 1)
	}
	return base
}

// add puts members into a resource, before its last brace.
func add(base, members string) string { return strings.TrimSuffix(base, "}") + "," + members + "}" }

// summary is an outcome in one line.
func summary(o *fhir.Outcome) string {
	var b strings.Builder
	switch o.Kind {
	case fhir.NotRelevant:
		return "not relevant"
	case fhir.DeadLetter:
		fmt.Fprintf(&b, "dead letter %s", o.Reason)
		if o.Fact != nil {
			fmt.Fprintf(&b, " marks %s of %q", o.Fact.Ref, o.Fact.Patient.Identity())
			if o.Fact.State != timeline.Refused {
				fmt.Fprintf(&b, " STATE %q", o.Fact.State)
			}
		}
		return b.String()
	}
	f := o.Fact
	if f.State == timeline.Void {
		return fmt.Sprintf("void %s of %q", f.Ref, f.Patient.Identity())
	}
	fmt.Fprintf(&b, "fact of %q", f.Patient.Identity())
	if f.Provisional {
		b.WriteString(" provisional")
	}
	switch {
	case f.At.DateOnly():
		fmt.Fprintf(&b, " on %s from %s", f.At.Date, f.At.Start.UTC().Format(time.RFC3339))
	case !f.At.Start.IsZero():
		fmt.Fprintf(&b, " at %s", f.At.Start.UTC().Format(time.RFC3339Nano))
	}
	if !f.End.IsZero() {
		fmt.Fprintf(&b, " to %s", f.End.UTC().Format(time.RFC3339))
	}
	for i := range f.Results {
		r := &f.Results[i]
		switch {
		case r.Problem != nil:
			fmt.Fprintf(&b, " %s!%s", r.Analyte, r.Problem.Reason)
		default:
			fmt.Fprintf(&b, " %s=%s%s", r.Analyte, r.Value.Comparator, r.Value.Value)
		}
		if r.Low != nil || r.High != nil {
			fmt.Fprintf(&b, " normal %v..%v", r.Low, r.High)
		}
		if r.Specimen != "" {
			fmt.Fprintf(&b, " specimen %s", r.Specimen)
		}
	}
	if d := f.Dose; d != nil {
		fmt.Fprintf(&b, " dose %s %s", d.Drug, d.Status)
		if d.Amount != nil {
			fmt.Fprintf(&b, " %s %s", d.Amount.Value, d.Dimension)
		}
		if p := d.AmountProblem; p != nil {
			fmt.Fprintf(&b, " amount!%s", p.Reason)
		}
		if d.Route != "" {
			fmt.Fprintf(&b, " %s", d.Route)
		}
		if d.RouteUnknown {
			b.WriteString(" route!")
		}
		if d.Medication != "" {
			fmt.Fprintf(&b, " see %s", d.Medication)
		}
		b.WriteString(strengthOf(d.Strength))
		for _, r := range d.Reasons {
			fmt.Fprintf(&b, " because %s", r)
		}
		if d.Problem != nil {
			fmt.Fprintf(&b, " !%s", d.Problem.Reason)
		}
	}
	if p := f.Procedure; p != nil {
		fmt.Fprintf(&b, " procedure %s %s", p.Kind, p.Status)
	}
	if r := f.Response; r != nil {
		fmt.Fprintf(&b, " response %s", r.Category)
		if r.Problem != nil {
			fmt.Fprintf(&b, "!%s", r.Problem.Reason)
		}
	}
	if o := f.Order; o != nil {
		fmt.Fprintf(&b, " order %s %s", o.Drug, o.Status)
		if o.Medication != "" {
			fmt.Fprintf(&b, " see %s", o.Medication)
		}
	}
	if a := f.AdverseEvent; a != nil {
		fmt.Fprintf(&b, " adverse event %s", a.Term)
		if a.Grade > 0 {
			fmt.Fprintf(&b, " grade %d", a.Grade)
		}
		if a.Over {
			b.WriteString(" over")
		}
		if a.Problem != nil {
			b.WriteString("!" + a.Problem.Reason)
		}
	}
	if e := f.Enrolment; e != nil {
		fmt.Fprintf(&b, " enrolled %s %s arm %q/%q ids %v", e.Study, e.Status, e.AssignedArm, e.ActualArm, e.Identifiers)
		if !e.EndsAt.IsZero() {
			fmt.Fprintf(&b, " until %s", e.EndsAt.UTC().Format(time.RFC3339))
		}
	}
	if e := f.Encounter; e != nil {
		fmt.Fprintf(&b, " encounter %s %s", e.Class, e.Status)
		if e.Problem != nil {
			b.WriteString("!" + e.Problem.Reason)
		}
		if e.Stay() {
			b.WriteString(" stay")
		}
		if e.Ended.DateOnly() {
			b.WriteString(" to the end of " + e.Ended.Date)
		}
	}
	if p := f.Person; p != nil {
		fmt.Fprintf(&b, " person %v replaced %q died %q", p.Identifiers, p.ReplacedBy, deathOf(p))
	}
	if p := f.Product; p != nil {
		fmt.Fprintf(&b, " product %s", p.Drug)
		if p.Other {
			b.WriteString("other")
		}
		b.WriteString(strengthOf(p.Strength))
	}
	return b.String()
}

func strengthOf(s *timeline.Strength) string {
	if s == nil {
		return ""
	}
	return fmt.Sprintf(" with %s %s in %s %s", s.Amount.Value, s.Dimension, s.Per.Value, s.PerDimension)
}

func deathOf(p *timeline.Person) string {
	if p.DiedUndated {
		return "nobody knows when"
	}
	if p.Deceased.DateOnly() || p.Deceased.Start.IsZero() {
		return p.Deceased.Date
	}
	return p.Deceased.Start.UTC().Format(time.RFC3339)
}

// row is one behaviour: a resource and what becomes of it.
type row struct{ name, data, want string }

func runRows(t *testing.T, rows []row) {
	t.Helper()
	d := newDecoder(t)
	for _, tt := range rows {
		t.Run(tt.name, func(t *testing.T) {
			o := one(t, d, tt.data)
			if got := summary(&o); got != tt.want {
				t.Errorf("%s\ngot  %s (%s)\nwant %s", tt.data, got, o.Detail, tt.want)
			}
			if o.Entry != -1 {
				t.Errorf("got entry %d, want -1 for a bare resource", o.Entry)
			}
		})
	}
}

const (
	anc045   = `fact of "Patient/p1" at 2026-02-20T12:00:00Z neutrophils=9/20`
	markO1   = ` marks Observation/o1 of "Patient/p1"`
	markE1   = ` marks Encounter/e1 of "Patient/p1"`
	il2      = `fact of "Patient/p1" at 2026-02-20T12:00:00Z dose aldesleukin `
	infusion = `fact of "Patient/p1" at 2026-02-16T15:00:00Z to 2026-02-16T16:00:00Z procedure til `

	encounter = `{"resourceType":"Encounter","id":"e1","status":"in-progress","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"IMP"},"subject":{"reference":"Patient/p1"},"period":{"start":"2026-02-09T07:30:00-06:00"}}`
	inpatient = `fact of "Patient/p1" at 2026-02-09T13:30:00Z encounter IMP in-progress stay`
)

var encounterRows = []row{
	{"inpatient", encounter, inpatient},
	{"inpatient acute", with(encounter, "IMP", "ACUTE"), with(inpatient, "IMP", "ACUTE")},
	{"inpatient of HL7 v2", with(encounter, "v3-ActCode", "v2-0004", "IMP", "I"), with(inpatient, "IMP", "I")},
	{"inpatient by the word beside a code of the site", with(encounter, "http://terminology.hl7.org/CodeSystem/v3-ActCode", "urn:local", `"IMP"`, `"7","display":"Hospital Inpatient"`), with(inpatient, "IMP", "7")},
	{"a code of R4 goes before its words", with(encounter, `"IMP"`, `"AMB","display":"Inpatient"`), `fact of "Patient/p1" encounter AMB in-progress`},
	{"a code of the site without a word", with(encounter, "http://terminology.hl7.org/CodeSystem/v3-ActCode", "urn:local"), `fact of "Patient/p1" encounter IMP in-progress`},
	{"an emergency needs no time: it says that it is no stay", with(encounter, "IMP", "EMER", `,"period":{"start":"2026-02-09T07:30:00-06:00"}`, ""), `fact of "Patient/p1" encounter EMER in-progress`},
	{"planned needs none either", with(encounter, "in-progress", "planned", `,"period":{"start":"2026-02-09T07:30:00-06:00"}`, ""), `fact of "Patient/p1" encounter IMP planned`},
	{"a stay without a start", with(encounter, `,"period":{"start":"2026-02-09T07:30:00-06:00"}`, ""), `fact of "Patient/p1" encounter IMP in-progress!value-absent`},
	{"a stay with an end alone", with(encounter, "start", "end"), `fact of "Patient/p1" encounter IMP in-progress!value-absent`},
	{"a stay that is over", with(encounter, "in-progress", "finished", `-06:00"}`, `-06:00","end":"2026-02-18T11:00:00-06:00"}`), with(inpatient, "Z ", "Z to 2026-02-18T17:00:00Z ", "in-progress", "finished")},
	{"a stay in days", with(encounter, "in-progress", "finished", `"2026-02-09T07:30:00-06:00"`, `"2026-02-09","end":"2026-02-18"`), `fact of "Patient/p1" on 2026-02-09 from 2026-02-09T06:00:00Z to 2026-02-19T06:00:00Z encounter IMP finished stay to the end of 2026-02-18`},
	{"a stay of one day", with(encounter, "in-progress", "finished", `"2026-02-09T07:30:00-06:00"`, `"2026-02-09T07:30:00-06:00","end":"2026-02-09"`), `fact of "Patient/p1" at 2026-02-09T13:30:00Z to 2026-02-10T06:00:00Z encounter IMP finished stay to the end of 2026-02-09`},
	{"a stay that ends before it starts", with(encounter, `-06:00"}`, `-06:00","end":"2026-02-08"}`), "dead letter invalid-time" + markE1},
	{"a stay without an offset", with(encounter, "-06:00", ""), "dead letter invalid-time" + markE1},
	{"an Encounter that is cancelled", with(encounter, "in-progress", "cancelled"), `void Encounter/e1 of "Patient/p1"`},
	{"an Encounter in error, blanked", `{"resourceType":"Encounter","id":"e1","status":"entered-in-error"}`, `void Encounter/e1 of ""`},
	{"an Encounter with a status that R4 has not", with(encounter, "in-progress", "completed"), "dead letter invalid-code" + markE1},
	{"an Encounter without a class is no stay", with(encounter, `"class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"IMP"},`, ""), `fact of "Patient/p1" encounter  in-progress`},
	{"nothing is wrong with an outpatient", with(encounter, "IMP", "AMB", "in-progress", "Done", "-06:00", ""), `fact of "Patient/p1" encounter AMB Done`},
	{"not even that he is nobody", with(encounter, "IMP", "AMB", `"subject":{"reference":"Patient/p1"},`, ""), "not relevant"},
	{"a stay with an element that R4 has not", add(encounter, `"colour":1`), "dead letter invalid-resource" + markE1},
	{"an Encounter of R5", with(encounter, `"class":{`, `"class":[{"coding":[{`, `"IMP"},`, `"IMP"}]}],`), "dead letter r5" + markE1},
	{"an Encounter of R5 by its period", with(encounter, "period", "actualPeriod"), "dead letter r5" + markE1},
	{"an Encounter of nobody", with(encounter, `"subject":{"reference":"Patient/p1"},`, ""), `dead letter no-patient marks Encounter/e1 of ""`},
}

var observationRows = []row{
	{"final", observation, anc045},
	{"amended", with(observation, "final", "amended"), anc045},
	{"corrected", with(observation, "final", "corrected"), anc045},
	{"preliminary is graded, provisionally", with(observation, "final", "preliminary"), with(anc045, `p1"`, `p1" provisional`)},
	{"registered has no result yet", with(observation, "final", "registered"), "not relevant"},
	{"unknown keeps its place, ungraded", with(observation, "final", "unknown"), with(anc045, "=9/20", "!status-unknown")},
	{"entered-in-error", with(observation, "final", "entered-in-error"), `void Observation/o1 of "Patient/p1"`},
	{"cancelled", with(observation, "final", "cancelled"), `void Observation/o1 of "Patient/p1"`},
	{"status of no code", with(observation, "final", "done"), "dead letter invalid-code" + markO1},
	{"status in another case", with(observation, "final", "Final"), "dead letter invalid-code" + markO1},
	{"status with an underscore", with(observation, "final", "entered_in_error"), "dead letter invalid-code" + markO1},
	{"status with a trailing blank", with(observation, "final", "final "), "dead letter invalid-code" + markO1},
	{"status of another type", with(observation, "final", "not-done"), "dead letter invalid-code" + markO1},
	{"no status", with(observation, `"status":"final",`, ""), "dead letter invalid-code" + markO1},
	{"status no string", with(observation, `"final"`, "1"), "dead letter invalid-code" + markO1},

	{"a code that nothing reads", with(observation, "751-8", "1863-0"), "not relevant"},
	{"the code of another system", with(observation, "http://loinc.org", "urn:local"), "not relevant"},
	{"words are no analyte", with(observation, `{"coding":[{"system":"http://loinc.org","code":"751-8"}]}`, `{"text":"Neutrophils"}`), "not relevant"},
	{"one of several codings", with(observation, `[{"system"`, `[{"system":"urn:local","code":"ANC"},{"system"`), anc045},
	{"a percentage is not a count", with(observation, "751-8", "770-8", "0.45", "45", "10*3/uL", "%"), with(anc045, "neutrophils=9/20", "neutrophils-percent=45")},
	{"nothing reads it, so nothing is wrong with it", with(observation, "751-8", "1863-0", "final", "Final", "-06:00", ""), "not relevant"},

	{"date only is the day of the site", with(observation, "2026-02-20T06:00:00-06:00", "2026-02-20"), `fact of "Patient/p1" on 2026-02-20 from 2026-02-20T06:00:00Z neutrophils=9/20`},
	{"zone Z", with(observation, "06:00:00-06:00", "12:00:00Z"), anc045},
	{"zone with minutes", with(observation, "06:00:00-06:00", "17:30:00+05:30"), anc045},
	{"fractions of a second", with(observation, "06:00:00-06:00", "06:00:00.25-06:00"), with(anc045, "00Z", "00.25Z")},
	{"late in the evening", with(observation, "06:00:00-06:00", "23:30:00-06:00"), with(anc045, "20T12:00:00Z", "21T05:30:00Z")}, // S20
	{"no zone", with(observation, "-06:00", ""), "dead letter invalid-time" + markO1},
	{"no seconds", with(observation, "06:00:00-06:00", "06:00-06:00"), "dead letter invalid-time" + markO1},
	{"one digit of the hour", with(observation, "T06:00", "T6:00"), "dead letter invalid-time" + markO1},
	{"a comma before the fraction", with(observation, "06:00:00-", "06:00:00,5-"), "dead letter invalid-time" + markO1},
	{"a blank for T", with(observation, "T06", " 06"), "dead letter invalid-time" + markO1},
	{"hour 24", with(observation, "T06", "T24"), "dead letter invalid-time" + markO1},
	{"offset 25", with(observation, "-06:00", "-25:00"), "dead letter invalid-time" + markO1},
	{"a month only", with(observation, "2026-02-20T06:00:00-06:00", "2026-02"), "dead letter no-time" + markO1},
	{"a year only", with(observation, "2026-02-20T06:00:00-06:00", "2026"), "dead letter no-time" + markO1},
	{"an empty time", with(observation, "2026-02-20T06:00:00-06:00", ""), "dead letter no-time" + markO1},
	{"no such day", with(observation, "2026-02-20T06:00:00-06:00", "2026-02-30"), "dead letter invalid-time" + markO1},
	{"the last day of February in no leap year", with(observation, `Time":"2026-02-20`, `Time":"2026-02-29`), "dead letter invalid-time" + markO1},
	{"year 0000", with(observation, `Time":"2026`, `Time":"0000`), "dead letter invalid-time" + markO1},
	{"year 0000, date only", with(observation, "2026-02-20T06:00:00-06:00", "0000-01-01"), "dead letter invalid-time" + markO1},
	{"year 9999", with(observation, `Time":"2026`, `Time":"9999`), "dead letter invalid-time" + markO1},
	{"the future is for the rules to judge", with(observation, `Time":"2026`, `Time":"2027`), with(anc045, "2026", "2027")},
	{"no time at all", with(observation, `"effectiveDateTime":"2026-02-20T06:00:00-06:00",`, ""), "dead letter no-time" + markO1},
	{"time as a number", with(observation, `"2026-02-20T06:00:00-06:00"`, "1771588800"), "dead letter invalid-resource" + markO1},
	{"instant", with(observation, "effectiveDateTime", "effectiveInstant"), anc045},
	{"period", with(observation, `"effectiveDateTime":"2026-02-20T06:00:00-06:00"`, `"effectivePeriod":{"start":"2026-02-20T06:00:00-06:00","end":"2026-02-20T07:00:00-06:00"}`), with(anc045, "12:00:00Z", "12:00:00Z to 2026-02-20T13:00:00Z")},
	{"period without a start", with(observation, `"effectiveDateTime":"2026-02-20T06:00:00-06:00"`, `"effectivePeriod":{"end":"2026-02-20T06:00:00-06:00"}`), with(anc045, "12:00:00Z", "12:00:00Z to 2026-02-20T12:00:00Z")},
	{"period that ends before it starts", with(observation, `"effectiveDateTime":"2026-02-20T06:00:00-06:00"`, `"effectivePeriod":{"start":"2026-02-20T06:00:00-06:00","end":"2026-02-19T06:00:00-06:00"}`), "dead letter invalid-time" + markO1},
	{"empty period", with(observation, `"effectiveDateTime":"2026-02-20T06:00:00-06:00"`, `"effectivePeriod":{"id":"x"}`), "dead letter no-time" + markO1},
	{"timing", with(observation, `"effectiveDateTime":"2026-02-20T06:00:00-06:00"`, `"effectiveTiming":{"event":["2026-02-20T06:00:00-06:00"]}`), "dead letter no-time" + markO1},
	{"two times", add(observation, `"effectivePeriod":{"start":"2026-02-20T06:00:00-06:00"}`), "dead letter invalid-resource" + markO1},
	{"lastUpdated without a zone", with(observation, "12:05:00Z", "12:05:00"), "dead letter invalid-time" + markO1},
	{"meta no object", with(observation, `{"versionId":"2","lastUpdated":"2026-02-20T12:05:00Z"}`, "[]"), "dead letter invalid-resource" + markO1},

	{"less than", with(observation, `"value":0.45`, `"value":0.1,"comparator":"<"`), with(anc045, "9/20", "<1/10")},
	{"at most", with(observation, `"value":0.45`, `"value":0.1,"comparator":"<="`), with(anc045, "9/20", "<=1/10")},
	{"at least", with(observation, `"value":0.45`, `"value":10,"comparator":">="`), with(anc045, "9/20", ">=10")},
	{"more than", with(observation, `"value":0.45`, `"value":10,"comparator":">"`), with(anc045, "9/20", ">10")},
	{"a comparator that R4 has not", with(observation, `"value":0.45`, `"value":10,"comparator":"~"`), "dead letter invalid-resource" + markO1},
	{"dataAbsentReason", with(observation, `"valueQuantity":{"value":0.45,"system":"http://unitsofmeasure.org","code":"10*3/uL"}`, `"dataAbsentReason":{"text":"clotted"}`), with(anc045, "=9/20", "!value-absent")},
	{"no value", with(observation, `,"valueQuantity":{"value":0.45,"system":"http://unitsofmeasure.org","code":"10*3/uL"}`, ""), with(anc045, "=9/20", "!value-absent")},
	{"a quantity without a number", with(observation, `"value":0.45,`, ""), with(anc045, "=9/20", "!value-absent")},
	{"text for a value", with(observation, `"valueQuantity":{"value":0.45,"system":"http://unitsofmeasure.org","code":"10*3/uL"}`, `"valueString":"0.45"`), with(anc045, "=9/20", "!value-text")},
	{"a code for a value", with(observation, `"valueQuantity":{"value":0.45,"system":"http://unitsofmeasure.org","code":"10*3/uL"}`, `"valueCodeableConcept":{"text":"low"}`), with(anc045, "=9/20", "!value-text")},
	{"no unit", with(observation, `,"system":"http://unitsofmeasure.org","code":"10*3/uL"`, ""), with(anc045, "=9/20", "!unit-missing")},
	{"a thousandfold too much", with(observation, "0.45", "450"), with(anc045, "=9/20", "!implausible")},
	{"a number in quotes", with(observation, "0.45", `"0.45"`), "dead letter invalid-resource" + markO1},
	{"1e999", with(observation, "0.45", "1e999"), "dead letter invalid-resource" + markO1},
	{"too many digits", with(observation, "0.45", "0.45000000000000000000000000000000001"), with(anc045, "=9/20", "!value-range")},
	{"two values", add(observation, `"valueString":"0.45"`), "dead letter invalid-resource" + markO1},
	{"limits of normal", add(observation, `"referenceRange":[{"low":{"value":1500,"unit":"/uL"},"high":{"value":8}}]`), anc045 + " normal 3/2..8"},
	{"limits that the laboratory chose for the patient", add(observation, `"referenceRange":[{"low":{"value":1.5},"appliesTo":[{"text":"men"}]}]`), anc045 + " normal 3/2..<nil>"},
	{"two limits of normal", add(observation, `"referenceRange":[{"low":{"value":1.5}},{"low":{"value":1.8}}]`), anc045},
	{"limits upside down", add(observation, `"referenceRange":[{"low":{"value":8},"high":{"value":1.5}}]`), anc045},
	{"limits of another kind", add(observation, `"referenceRange":[{"low":{"value":0.2},"type":{"coding":[{"code":"critical"}]}}]`), anc045},
	{"interpretation that is none", add(observation, `"interpretation":"high"`), anc045},
	{"modifierExtension of the interpretation", add(observation, `"interpretation":[{"text":"high","modifierExtension":[{"url":"urn:x"}]}]`), "dead letter unknown-modifier" + markO1},
	{"specimen", add(observation, `"specimen":{"reference":"Specimen/s1"}`), anc045 + " specimen Specimen/s1"},

	{
		"components", with(observation, `"valueQuantity":{"value":0.45,"system":"http://unitsofmeasure.org","code":"10*3/uL"}`,
			`"component":[{"code":{"coding":[{"system":"http://loinc.org","code":"1863-0"}]},"valueQuantity":{"value":9}},`+
				`{"code":{"coding":[{"system":"http://loinc.org","code":"6690-2"}]},"valueQuantity":{"value":1.2,"unit":"K/uL"}},`+
				`{"code":{"coding":[{"system":"http://loinc.org","code":"770-8"}]},"dataAbsentReason":{"text":"clotted"}}]`, "751-8", "58410-2"),
		`fact of "Patient/p1" at 2026-02-20T12:00:00Z leukocytes=6/5 neutrophils-percent!value-absent`,
	},
	{"a value beside components", add(observation, `"component":[{"code":{"coding":[{"system":"http://loinc.org","code":"6690-2"}]},"valueQuantity":{"value":1.2,"unit":"K/uL"}}]`), anc045 + " leukocytes=6/5"},
	{"components that nothing reads", with(observation, "751-8", "85354-9") /* blood pressure */, "not relevant"},
	{"component no array", add(observation, `"component":{"code":{"text":"x"}}`), "dead letter invalid-resource" + markO1},

	{"no id", with(observation, `"id":"o1",`, ""), "dead letter no-id"},
	{"an id with a slash", with(observation, `"o1"`, `"o/1"`), "dead letter no-id"},
	{"an id with an underscore is in use", with(observation, `"o1"`, `"o_1"`), anc045},
	{"a malformed element that nothing reads", add(observation, `"performer":"nobody","note":[{"wrong":1}]`), anc045},
	{"an element that R4 has not", add(observation, `"colour":"red"`), "dead letter invalid-resource" + markO1},
	{"an element of a primitive's extension", add(observation, `"_status":{"id":"x"}`), anc045},
	{"malformed code", add(with(observation, `"code":{"coding":[{"system":"http://loinc.org","code":"751-8"}]},`, `"code":{"coding":[{"system":"http://loinc.org","code":"751-8"}],"colour":1},`), `"note":[]`), "dead letter invalid-resource" + markO1},
	{"modifierExtension", add(observation, `"modifierExtension":[{"url":"urn:not","valueBoolean":true}]`), "dead letter unknown-modifier" + markO1},
	{"modifierExtension of a component", add(observation, `"component":[{"modifierExtension" : [{"url":"urn:not","valueBoolean":true}],"code":{"text":"x"}}]`), "dead letter unknown-modifier" + markO1},
	{"the word modifierExtension", with(observation, `"system":"http://unitsofmeasure.org"`, `"unit":"modifierExtension"`), anc045},
	{"implicitRules", add(observation, `"implicitRules":"urn:rules"`), "dead letter implicit-rules" + markO1},
	{"R5 in an Observation", add(observation, `"triggeredBy":[]`), "dead letter r5" + markO1},
	{"R5 in an Observation that nothing reads", add(with(observation, "751-8", "1863-0"), `"bodyStructure":{"reference":"BodyStructure/1"}`), "not relevant"},

	{"a void need not validate otherwise", `{"resourceType":"Observation","id":"o1","status":"entered-in-error","colour":1,"effectiveDateTime":"soon","modifierExtension":[{}]}`, `void Observation/o1 of ""`},
	{"a void whose code was blanked", with(observation, "final", "entered-in-error", `{"coding":[{"system":"http://loinc.org","code":"751-8"}]}`, `{"text":"removed"}`), `void Observation/o1 of "Patient/p1"`},
	{"a void of what nothing reads", with(observation, "final", "entered-in-error", "751-8", "1863-0"), "not relevant"},
	{"a void without an id", with(observation, "final", "entered-in-error", `"id":"o1",`, ""), "dead letter no-id"},
}

var subjectRows = []row{
	{"relative", observation, anc045},
	{"own base URL", with(observation, "Patient/p1", ownBase+"/Patient/p1"), anc045},
	{"own base URL and version", with(observation, "Patient/p1", ownBase+"/Patient/p1/_history/3"), anc045},
	{"version", with(observation, "Patient/p1", "Patient/p1/_history/3"), anc045},
	{"somebody else's server stays whole", with(observation, "Patient/p1", "https://other.example.org/Patient/p1"), with(anc045, "Patient/p1", "https://other.example.org/Patient/p1")},
	{"a server whose name starts alike", with(observation, "Patient/p1", ownBase+"2/Patient/p1"), with(anc045, "Patient/p1", ownBase+"2/Patient/p1")},
	{"contained with an identifier", add(with(observation, "Patient/p1", "#p"), `"contained":[{"resourceType":"Patient","id":"p","identifier":[{"system":"urn:mrn","value":"77"}]}]`), with(anc045, "Patient/p1", "urn:mrn|77")},
	{"contained without an identifier", add(with(observation, "Patient/p1", "#p"), `"contained":[{"resourceType":"Patient","id":"p"}]`), `dead letter no-patient marks Observation/o1 of ""`},
	{"contained and not there", with(observation, "Patient/p1", "#p"), `dead letter no-patient marks Observation/o1 of ""`},
	{"contained of another type", add(with(observation, "Patient/p1", "#p"), `"contained":[{"resourceType":"Group","id":"p","identifier":[{"system":"urn:mrn","value":"77"}]}]`), `dead letter no-patient marks Observation/o1 of ""`},
	{"urn:uuid in no Bundle is a name of its own", with(observation, "Patient/p1", "urn:uuid:6f5b1a3e-0000-4000-8000-000000000001"), with(anc045, "Patient/p1", "urn:uuid:6f5b1a3e-0000-4000-8000-000000000001")},
	{"identifier only", with(observation, `{"reference":"Patient/p1"}`, `{"identifier":{"system":"urn:mrn","value":"77"}}`), with(anc045, "Patient/p1", "urn:mrn|77")},
	{"a reference goes before an identifier", with(observation, `"Patient/p1"`, `"Patient/p1","identifier":{"system":"urn:mrn","value":"77"}`), anc045},
	{"conditional reference", with(observation, "Patient/p1", "Patient?identifier=urn:mrn%7C77"), with(anc045, "Patient/p1", "urn:mrn|77")},
	{"conditional reference by name", with(observation, "Patient/p1", "Patient?name=x"), `dead letter no-patient marks Observation/o1 of ""`},
	{"id and type", with(observation, `"Patient/p1"`, `"p1","type":"Patient"`), anc045},
	{"id only", with(observation, "Patient/p1", "p1"), `dead letter no-patient marks Observation/o1 of ""`},
	{"a group", with(observation, "Patient/p1", "Group/p1"), `dead letter no-patient marks Observation/o1 of ""`},
	{"display only", with(observation, `"reference"`, `"display"`), `dead letter no-patient marks Observation/o1 of ""`},
	{"no subject", with(observation, `"subject":{"reference":"Patient/p1"},`, ""), `dead letter no-patient marks Observation/o1 of ""`},
	{"subject no object", with(observation, `{"reference":"Patient/p1"}`, `"Patient/p1"`), `dead letter no-patient marks Observation/o1 of ""`},
	{"the patient is found for a dead letter too", add(with(observation, "Patient/p1", "#p", "final", "Final"), `"contained":[{"resourceType":"Patient","id":"p","identifier":[{"system":"urn:mrn","value":"77"}]}]`), `dead letter invalid-code marks Observation/o1 of "urn:mrn|77"`},
}

const enrolled = `fact of "Patient/p1" on 2026-02-01 from 2026-02-01T06:00:00Z enrolled ResearchStudy/til on-study arm "arm-1"/"" ids [urn:trial|S-001]`

var personRows = []row{
	{"ResearchSubject", enrolment, enrolled},
	{"its end is a date", with(enrolment, `"2026-02-01"`, `"2026-02-01","end":"2026-03-01"`), enrolled + " until 2026-03-02T06:00:00Z"},
	{"its end is an instant", with(enrolment, `"2026-02-01"`, `"2026-02-01","end":"2026-03-01T12:00:00Z"`), enrolled + " until 2026-03-01T12:00:00Z"},
	{"no period", with(enrolment, `"period":{"start":"2026-02-01"},`, ""), with(enrolled, " on 2026-02-01 from 2026-02-01T06:00:00Z", "")},
	{"actual arm", add(enrolment, `"actualArm":"arm-2"`), with(enrolled, `/""`, `/"arm-2"`)},
	{"study by own base URL", with(enrolment, "ResearchStudy/til", ownBase+"/ResearchStudy/til"), enrolled},
	{"study by identifier", with(enrolment, `"reference":"ResearchStudy/til"`, `"identifier":{"system":"urn:nct","value":"NCT1"}`), with(enrolled, "ResearchStudy/til", "urn:nct|NCT1")},
	{"of no study", with(enrolment, `"reference":"ResearchStudy/til"`, `"display":"x"`), `dead letter no-study marks ResearchSubject/r1 of "Patient/p1"`},
	{"study missing", with(enrolment, `"study":{"reference":"ResearchStudy/til"},`, ""), `dead letter no-study marks ResearchSubject/r1 of "Patient/p1"`},
	{"withdrawn", with(enrolment, "on-study", "withdrawn"), with(enrolled, "on-study", "withdrawn")},
	{"a status of R5", with(enrolment, "on-study", "active"), `dead letter invalid-code marks ResearchSubject/r1 of "Patient/p1"`},
	{"R5 subject", with(enrolment, "individual", "subject"), `dead letter r5 marks ResearchSubject/r1 of ""`},
	{"of nobody", with(enrolment, `,"individual":{"reference":"Patient/p1"}`, ""), `dead letter no-patient marks ResearchSubject/r1 of ""`},
	{"period of a month", with(enrolment, "2026-02-01", "2026-02"), `dead letter no-time marks ResearchSubject/r1 of "Patient/p1"`},
	{"period without a zone", with(enrolment, "2026-02-01", "2026-02-01T10:00:00"), `dead letter invalid-time marks ResearchSubject/r1 of "Patient/p1"`},
	{"an arm that is a number", with(enrolment, `"arm-1"`, `7`), `dead letter invalid-resource marks ResearchSubject/r1 of "Patient/p1"`},

	{"Patient", patient, `fact of "Patient/p1" person [urn:mrn|77] replaced "" died ""`},
	{"only identifiers, links and death are read", add(patient, `"name":[{"family":5}],"birthDate":"long ago","contact":"x"`), `fact of "Patient/p1" person [urn:mrn|77] replaced "" died ""`},
	{"replaced", add(patient, `"link":[{"other":{"reference":"`+ownBase+`/Patient/p2"},"type":"replaced-by"}]`), `fact of "Patient/p1" person [urn:mrn|77] replaced "Patient/p2" died ""`},
	{"another link", add(patient, `"link":[{"other":{"reference":"Patient/p2"},"type":"seealso"}]`), `fact of "Patient/p1" person [urn:mrn|77] replaced "" died ""`},
	{"died on a day", add(patient, `"deceasedDateTime":"2026-03-01"`), `fact of "Patient/p1" person [urn:mrn|77] replaced "" died "2026-03-01"`},
	{"died at a time", add(patient, `"deceasedDateTime":"2026-03-01T06:00:00-06:00"`), `fact of "Patient/p1" person [urn:mrn|77] replaced "" died "2026-03-01T12:00:00Z"`},
	{"died in a year", add(patient, `"deceasedDateTime":"2026"`), `fact of "Patient/p1" person [urn:mrn|77] replaced "" died "nobody knows when"`},
	{"died, no zone", add(patient, `"deceasedDateTime":"2026-03-01T06:00:00"`), `dead letter invalid-time marks Patient/p1 of "Patient/p1"`},
	{"dead, nobody knows when", add(patient, `"deceasedBoolean":true`), `fact of "Patient/p1" person [urn:mrn|77] replaced "" died "nobody knows when"`},
	{"alive", add(patient, `"deceasedBoolean":false`), `fact of "Patient/p1" person [urn:mrn|77] replaced "" died ""`},
	{"without an id", with(patient, `"id":"p1",`, ""), "dead letter no-id"},
	{"identifier no array", with(patient, `[{"system":"urn:mrn","value":"77"}]`, `{"system":"urn:mrn","value":"77"}`), `dead letter invalid-resource marks Patient/p1 of "Patient/p1"`},
}

var jsonRows = []row{
	{"BOM", "\ufeff" + observation, anc045},
	{"blanks around", "\r\n\t " + observation + " \n", anc045},
	{"nothing", "", "dead letter not-json"},
	{"blanks only", " \n", "dead letter not-json"},
	{"null", "null", "dead letter not-fhir"},
	{"an array", "[" + observation + "]", "dead letter not-fhir"},
	{"a string", `"Observation"`, "dead letter not-fhir"},
	{"cut off", observation[:len(observation)-1], "dead letter not-json"},
	{"two values", observation + observation, "dead letter not-json"},
	{"a comma too many", with(observation, `{"value"`, `{,"value"`), "dead letter not-json"},
	{"a comment", "/* x */" + observation, "dead letter not-json"},
	{"single quotes", strings.ReplaceAll(observation, `"`, `'`), "dead letter not-json"},
	{"NaN", with(observation, "0.45", "NaN"), "dead letter not-json"},
	{"Infinity", with(observation, "0.45", "Infinity"), "dead letter not-json"},
	{"a plus before the number", with(observation, "0.45", "+0.45"), "dead letter not-json"},
	{"a leading zero", with(observation, "0.45", "00.45"), "dead letter not-json"},
	{"no digit before the point", with(observation, "0.45", ".45"), "dead letter not-json"},
	{"NUL", with(observation, "final", "fin\x00al"), "dead letter not-json"},
	{"NUL between", with(observation, `,"status"`, ",\x00\"status\""), "dead letter not-json"},
	{"NUL, escaped", with(observation, "final", `final\u0000`), "dead letter invalid-code" + markO1},
	{"not UTF-8", with(observation, "final", "fin\xffal"), "dead letter not-json"},
	{"half a surrogate pair", with(observation, "final", `fin\ud800al`), "dead letter not-json"},
	{"UTF-16", "\xff\xfe{\x00}\x00", "dead letter not-json"},

	{"no resourceType", "{}", "dead letter not-fhir"},
	{"a type that R4 has not", with(observation, `"Observation"`, `"Observations"`), "dead letter not-fhir"},
	{"resourceType in lower case", with(observation, `"Observation"`, `"observation"`), "dead letter not-fhir"},
	{"resourceType a number", with(observation, `"Observation"`, `1`), "dead letter not-fhir"},
	{"a type that no rule reads", `{"resourceType":"Appointment","id":"e1","status":"nonsense","colour":1}`, "not relevant"},
	{"a document of many bytes", `{"resourceType":"DocumentReference","id":"d1","content":[{"attachment":{"data":"` + strings.Repeat("x", 300<<10) + `"}}]}`, "not relevant"},
	{"a document with a key twice within", `{"resourceType":"DocumentReference","content":[{"a":1,"a":1}]}`, "not relevant"},
	{"two types", `{"resourceType":"DocumentReference","content":[],"resourceType":"Observation"}`, "dead letter duplicate-key"},
	{"a document that is no JSON", `{"resourceType":"DocumentReference","content":[}`, "dead letter not-json"},
	{"a document in another encoding", "{\"resourceType\":\"DocumentReference\",\"description\":\"M\xfcller\"}", "dead letter not-json"},

	{"a key twice", add(observation, `"status":"final"`), "dead letter duplicate-key"},
	{"a key twice within", with(observation, `"value":0.45`, `"value":45,"value":0.45`), "dead letter duplicate-key"},
	{"a key twice, once escaped", add(observation, `"st\u0061tus":"entered-in-error"`), "dead letter duplicate-key"},
	{"a key twice in what nothing reads", with(observation, "751-8", "1863-0", `"value":0.45`, `"value":45,"value":0.45`), "dead letter duplicate-key"},
	{"an escaped name", with(observation, `"status"`, `"st\u0061tus"`), "dead letter bad-name"},
	{"Status", with(observation, `"status"`, `"Status"`), "dead letter bad-name"},
	{"STATUS beside status", add(observation, `"STATUS":"entered-in-error"`), "dead letter bad-name"},
	{"valuequantity", with(observation, "valueQuantity", "valuequantity"), "dead letter bad-name"},
	{"Value within", with(observation, `"value":`, `"Value":`), "dead letter bad-name"},
	{"ResourceType", with(observation, "resourceType", "ResourceType"), "dead letter bad-name"},

	{"33 deep", add(observation, `"extension":`+strings.Repeat("[", 32)+strings.Repeat("]", 32)), "dead letter too-deep"},
	{"32 deep", add(observation, `"extension":`+strings.Repeat("[", 31)+strings.Repeat("]", 31)), anc045},
	{"2,001 elements", add(observation, `"extension":[1`+strings.Repeat(",1", 2000)+`]`), "dead letter too-complex"},
	{"2,000 elements", add(observation, `"note":[1`+strings.Repeat(",1", 1999)+`]`), anc045},
	{"2,001 members", add(observation, `"note":[{"a":0`+manyMembers(2000)+`}]`), "dead letter too-complex"},
	{"2,000 members", add(observation, `"note":[{"a":0`+manyMembers(1999)+`}]`), anc045},
	{"50,001 tokens", add(observation, `"note":[[1`+strings.Repeat(",1", 1998)+`]`+strings.Repeat(`,[1`+strings.Repeat(",1", 1998)+`]`, 25)+`]`), "dead letter too-complex"},
	{"a string of 64 KiB", add(observation, `"language":"`+strings.Repeat("x", 64<<10)+`"`), anc045},
	{"a string of more", add(observation, `"language":"`+strings.Repeat("x", 64<<10+1)+`"`), "dead letter too-large"},
	{"a resource of more than 256 KiB", add(observation, `"note":[`+strings.TrimSuffix(strings.Repeat(`{"text":"`+strings.Repeat("x", 32<<10)+`"},`, 8), ",")+`]`), "dead letter too-large"},
}

func TestObservation(t *testing.T) { runRows(t, observationRows) }
func TestSubject(t *testing.T)     { runRows(t, subjectRows) }
func TestEncounter(t *testing.T)   { runRows(t, encounterRows) }
func TestPerson(t *testing.T)      { runRows(t, personRows) }
func TestJSON(t *testing.T)        { runRows(t, jsonRows) }

var allRows = slices.Concat(observationRows, encounterRows, orderRows, adverseRows, subjectRows, medicationRows, productRows, personRows, jsonRows)

// What is hostile must be refused before anything is built of it: google/fhir takes 6 s and 1 GB for 109 KB of nested extensions.
func TestHostileInputIsCheap(t *testing.T) {
	d := newDecoder(t)
	for _, tt := range []struct{ name, data, want string }{
		{"arrays", add(observation, `"extension":`+strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)), "dead letter too-deep"},
		{"arrays at the top", strings.Repeat("[", 200_000), "dead letter not-json"},
		{"objects", strings.Repeat(`{"a":`, 40_000) + "1" + strings.Repeat("}", 40_000), "dead letter too-deep"},
		{"nested extensions", add(observation, `"extension":`+strings.Repeat(`[{"url":"a","extension":`, 4500)+"[]"+strings.Repeat("}]", 4500)), "dead letter too-deep"},
		{"nested extensions in a Bundle", `{"resourceType":"Bundle","entry":[{"resource":` + add(observation, `"extension":`+strings.Repeat(`[{"url":"a","extension":`, 4500)+"[]"+strings.Repeat("}]", 4500)) + `}]}`, "dead letter too-deep"},
		{"many tokens", add(observation, `"extension":[0`+strings.Repeat(",0", 120_000)+"]"), "dead letter too-complex"},
		{"many members", `{"a":0` + manyMembers(20_000) + "}", "dead letter too-complex"},
		{"one string", add(observation, `"language":"`+strings.Repeat("x", 250_000)+`"`), "dead letter too-large"},
		{"one number", with(observation, "0.45", strings.Repeat("9", 200_000)), with(anc045, "=9/20", "!value-range")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var o fhir.Outcome
			best, reading := time.Hour, time.Hour
			var before, after runtime.MemStats
			for range 5 { // the best of five: the machine may be busy with something else
				runtime.ReadMemStats(&before)
				start := time.Now()
				o = one(t, d, tt.data)
				best = min(best, time.Since(start))
				runtime.ReadMemStats(&after)
				start = time.Now()
				json.Valid([]byte(tt.data))
				reading = min(reading, time.Since(start))
			}
			if got := summary(&o); got != tt.want {
				t.Errorf("got %s (%s), want %s", got, o.Detail, tt.want)
			}
			// As a multiple of what it takes to read the bytes as JSON at all: linear, and with a small factor.
			if ratio := float64(best) / float64(reading); ratio > 40 {
				t.Errorf("took %s, %.0f times as long as reading it, want at most 40 times", best, ratio)
			} else {
				t.Logf("%s, %.1f times as long as reading it", best, ratio)
			}
			if got := after.TotalAlloc - before.TotalAlloc; got > 4<<20 {
				t.Errorf("took %d bytes of memory, want less than 4 MiB", got)
			}
		})
	}
}

func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"k%d":0`, i)
	}
	return b.String()
}
