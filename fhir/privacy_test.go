package fhir_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/trialwatch/trialwatch/fhir"
)

// planter hands out distinct words that occur nowhere else, one for each place where a feed can hold something about a person.
type planter struct{ words []string }

func (p *planter) word(what string) string {
	w := fmt.Sprintf("%sCanary%03d", what, len(p.words))
	p.words = append(p.words, w)
	return w
}

// fill replaces every ‹what› in a resource by a canary.
func (p *planter) fill(s string) string {
	for {
		before, rest, ok := strings.Cut(s, "‹")
		if !ok {
			return s
		}
		what, after, _ := strings.Cut(rest, "›")
		s = before + p.word(what) + after
	}
}

// The resources of this test are good as they stand; each has something about a person wherever an EHR could put it.
const (
	plantedObservation = `{"resourceType":"Observation","id":"‹id›","meta":{"versionId":"‹version›","lastUpdated":"2026-02-20T12:05:00Z","source":"‹source›"},"status":"final",
		"text":{"status":"generated","div":"<div>‹narrative›</div>"},"identifier":[{"system":"urn:‹system›","value":"‹accession›"}],
		"code":{"coding":[{"system":"http://loinc.org","code":"751-8","display":"‹display›"}],"text":"‹codetext›"},
		"subject":{"reference":"Patient/‹patient›","display":"‹name›","identifier":{"system":"urn:mrn","value":"‹mrn›"}},
		"effectiveDateTime":"2026-02-20T06:00:00-06:00","performer":[{"display":"‹doctor›"}],"note":[{"text":"‹note›"}],
		"specimen":{"reference":"Specimen/‹specimen›","display":"‹specimenname›"},"referenceRange":[{"text":"‹range›"}],
		"extension":[{"url":"urn:x","valueString":"‹extension›"}],
		"valueQuantity":{"value":0.45,"unit":"10*3/uL","system":"http://unitsofmeasure.org","code":"10*3/uL"}}`
	plantedAdministration = `{"resourceType":"MedicationAdministration","id":"‹id›","meta":{"lastUpdated":"2026-02-20T12:05:00Z"},"status":"completed",
		"contained":[{"resourceType":"Medication","id":"d","code":{"text":"aldesleukin ‹drug›"},"batch":{"lotNumber":"‹lot›"}}],
		"medicationReference":{"reference":"#d","display":"‹drugname›"},"subject":{"reference":"Patient/‹patient›","display":"‹name›"},
		"statusReason":[{"text":"‹reason›"}],"effectiveDateTime":"2026-02-20T06:00:00-06:00","performer":[{"actor":{"display":"‹nurse›"}}],
		"dosage":{"text":"‹dosagetext›","route":{"text":"iv ‹route›"},"dose":{"value":600000,"unit":"IU/kg"}},"note":[{"text":"‹note›"}]}`
	plantedSubject = `{"resourceType":"ResearchSubject","id":"‹id›","meta":{"lastUpdated":"2026-02-20T12:05:00Z"},"status":"on-study",
		"identifier":[{"system":"urn:trial","value":"‹subjectnumber›"}],"period":{"start":"2026-02-01"},"study":{"reference":"ResearchStudy/‹study›","display":"‹title›"},
		"individual":{"reference":"Patient/‹patient›","display":"‹name›"},"assignedArm":"‹arm›","actualArm":"‹arm›"}`
	plantedPatient = `{"resourceType":"Patient","id":"‹id›","meta":{"lastUpdated":"2026-02-20T12:05:00Z"},"identifier":[{"system":"urn:mrn","value":"‹mrn›","assigner":{"display":"‹assigner›"}}],
		"name":[{"family":"‹family›","given":["‹given›"],"text":"‹name›"}],"telecom":[{"value":"‹phone›"}],"address":[{"line":["‹street›"],"city":"‹city›","postalCode":"‹zip›"}],
		"birthDate":"1970-01-01","contact":[{"name":{"text":"‹relative›"}}],"link":[{"other":{"reference":"Patient/‹other›"},"type":"replaced-by"}]}`
	plantedProcedure = `{"resourceType":"Procedure","id":"‹id›","meta":{"lastUpdated":"2026-02-20T12:05:00Z"},"status":"completed","code":{"text":"TIL infusion ‹words›"},
		"subject":{"reference":"Patient/‹patient›","display":"‹name›"},"performedDateTime":"2026-02-16T09:00:00-06:00","note":[{"text":"‹note›"}],"complication":[{"text":"‹complication›"}]}`
	plantedMedication = `{"resourceType":"Medication","id":"‹id›","meta":{"lastUpdated":"2026-02-20T12:05:00Z"},"status":"active","code":{"text":"aldesleukin ‹drug›"},
		"manufacturer":{"display":"‹maker›"},"batch":{"lotNumber":"‹lot›"},"ingredient":[{"itemReference":{"reference":"Substance/‹substance›","display":"‹substance›"},
		"strength":{"numerator":{"value":18,"unit":"‹unit›"},"denominator":{"value":1,"unit":"‹package›"}}}]}`
)

// breaks are ways in which a feed is wrong, each with something about a person in the very place that is wrong.
var breaks = [][]string{
	{},
	{`"status":"`, `"status":"‹status›`},
	{`"status":"`, `"Status":"`},
	{`"status":"`, `"st\u0061tus":"`},
	{`"resourceType":"`, `"resourceType":"‹type›`},
	{`"lastUpdated":"`, `"lastUpdated":"‹time›`},
	{`"id":"`, `"id":"‹id› /`},
	{`"meta":`, `"‹name›":1,"meta":`},
	{`"meta":`, `"‹name›":1,"‹name›":1,"status":"‹status›","meta":`},
	{`"meta":`, `"modifierExtension":[{"url":"‹url›","valueString":"‹value›"}],"meta":`},
	{`"meta":`, `"implicitRules":"‹url›","meta":`},
	{`"meta":`, `"triggeredBy":"‹r5›","occurenceDateTime":"‹r5›","occurrencePeriod":"‹r5›","progress":"‹r5›","meta":`},
	{`"meta":`, `"language":"‹open`},
	{`"meta":`, `"‹a›":‹b›,"meta":`},
	{"2026-02-20T06:00:00-06:00", "‹time›"},
	{"2026-02-16T09:00:00-06:00", "2026-02-16T09:00:00 ‹time›"},
	{`{"start":"2026-02-01"}`, `{"start":"‹time›"}`},
	{`"reference":"Patient/`, `"reference":"Group/`},
	{`"reference":"Patient/`, `"reference":"‹free› `},
	{`"reference":"Patient/`, `"reference":"#`},
	{`"reference":"Patient/`, `"reference":"Patient?name=‹name›&identifier=`},
	{`"subject":{`, `"subject":["‹list›",{`},
	{`"coding":[{`, `"coding":[{"‹name›":"‹value›",`},
	{`"value":0.45`, `"value":"‹value›"`},
	{`"value":0.45`, `"value":1e999,"comparator":"‹comparator›"`},
	{`"value":600000`, `"value":"‹value›"`},
	{`"10*3/uL"`, `"‹unit›"`},
	{`"statusReason":[{`, `"statusReason":[{"coding":"‹coding›",`},
	{`"reference":"#d"`, `"reference":"Medication/‹drug›"`},
	{`"study":{"reference":"ResearchStudy/`, `"study":{"display":"`},
	{`"assignedArm":"`, `"assignedArm":{"a":"‹arm›"},"link":"`},
	{`"identifier":[{"system":"urn:mrn"`, `"deceasedDateTime":"‹time›","identifier":[{"system":"urn:mrn"`},
	{`"identifier":[{"system":"urn:mrn"`, `"identifier":[{"‹name›":"‹value›","system":"urn:mrn"`},
}

// Detail and Reason go into headers, logs, subjects and metrics, which many may read: nothing of a person may stand in them, whatever is wrong
// with the resource. Nor may it in the type of the Ref, which goes into a header too.
func TestNothingOfAPersonIsShown(t *testing.T) {
	d := newDecoder(t)
	planted := &planter{}
	kinds := map[fhir.Kind]int{}
	reasons := map[fhir.Reason]int{}
	var resources []string
	for _, base := range []string{plantedObservation, plantedAdministration, plantedSubject, plantedPatient, plantedProcedure, plantedMedication} {
		for _, edits := range breaks {
			if len(edits) > 0 && !strings.Contains(base, edits[0]) {
				continue
			}
			resources = append(resources, planted.fill(with(base, edits...)))
		}
	}
	check := func(data string) {
		for _, o := range d.Decode(fhir.Message{Data: []byte(data), Site: "main"}) {
			kinds[o.Kind]++
			reasons[o.Reason]++
			shown := fmt.Sprintf("%s|%s|%s", o.Reason, o.Detail, o.Ref.Type())
			for _, w := range planted.words {
				if strings.Contains(data, w) && strings.Contains(shown, w) {
					t.Errorf("%s\nshows %s in %q", data, w, shown)
				}
			}
			if strings.Contains(shown, "Canary") {
				t.Errorf("%s\nshows a part of a canary in %q", data, shown)
			}
			if _, err := json.Marshal(o.Fact); err != nil {
				t.Errorf("%s\nthe fact cannot be written: %v", data, err)
			}
		}
	}
	for _, r := range resources {
		check(r)
		check(bundleOf(`{"fullUrl":"urn:uuid:`+planted.word("url")+`","resource":`+r+`}`, planted.fill(`{"‹name›":1,"‹name›":2,"request":{"method":"DELETE","url":"‹url›/‹id›"}}`)))
		// Published by itself, a part says what is wrong with it in the same words.
		parts, err := fhir.Split([]byte(bundleOf(entryOf(r))), fhir.Limits{})
		for _, p := range append(parts, fhir.Part{Err: err}) {
			if p.Err != nil && strings.Contains(p.Err.Error(), "Canary") {
				t.Errorf("%s\nSplit shows %q", r, p.Err)
			}
		}
	}
	if len(planted.words) < 40 {
		t.Errorf("planted %d canaries, want at least 40", len(planted.words))
	}
	if kinds[fhir.Accepted] == 0 || len(reasons) < 12 {
		t.Errorf("the resources end as %v with reasons %v: too few of them to mean anything", kinds, reasons)
	}
	t.Logf("%d canaries in %d resources; %v", len(planted.words), len(resources), reasons)
}

// A word that is wrong only in its writing is shown: an engineer must see "Final" to correct the feed.
func TestDetailShowsWhatHelps(t *testing.T) {
	d := newDecoder(t)
	for _, tt := range []struct{ data, want string }{
		{with(observation, "final", "Final"), `status "Final"`},
		{with(observation, "final", "entered_in_error"), `status "entered_in_error"`},
		{with(observation, "final", "final "), `status "final "`},
		{with(observation, "final", `final\u0000`), "status is none of R4"},
		{with(observation, "final", "Jane Doe"), "status is none of R4"},
		{with(observation, `"status":"final",`, ""), "status is missing"},
		{add(observation, `"dosage":1`), "Observation has an element that R4 has not: dosage"},
		{add(observation, `"Jane Doe":1`), "Observation has an element that R4 has not"},
		{with(observation, `"status"`, `"STATUS"`), `an element name in another case than "status"`},
		{with(observation, "0.45", `"0.45"`), "does not validate as R4: Observation.valueQuantity.value"},
	} {
		if got := one(t, d, tt.data).Detail; got != tt.want {
			t.Errorf("%s\ngot  %q\nwant %q", tt.data, got, tt.want)
		}
	}
}
