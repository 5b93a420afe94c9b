package fhir_test

import (
	"strings"
	"testing"

	"github.com/trialwatch/trialwatch/fhir"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

const (
	assessment = `{"resourceType":"Observation","id":"r1","status":"final","code":{"coding":[{"system":"urn:t","code":"overall"}]},"subject":{"reference":"Patient/p1"},` +
		`"effectiveDateTime":"2026-04-13","valueCodeableConcept":{"coding":[{"system":"urn:t","code":"PR"}]}}`
	flow = `{"resourceType":"Observation","id":"m1","status":"final","code":{"coding":[{"system":"urn:t","code":"treg"}]},"subject":{"reference":"Patient/p1"},` +
		`"effectiveDateTime":"2026-02-20T12:00:00Z","valueQuantity":{"value":6.5,"unit":"%"}}`
)

func outcomes(t *testing.T, more ...fhir.Concept) (*fhir.Decoder, error) {
	t.Helper()
	return fhir.New(fhir.Config{Concepts: append([]fhir.Concept{
		{Name: timeline.TumorResponse, Codes: []string{"urn:t|overall"}},
		{Name: "tumor-response-PR", Codes: []string{"urn:t|PR", "urn:u|PR"}},
		{Name: "tumor-response-PD", Codes: []string{"urn:t|PD"}},
		{Name: "treg", Codes: []string{"urn:t|treg"}, Unit: "%"},
		{Name: "il-6", Codes: []string{"urn:t|il-6"}, Unit: "pg/mL"},
	}, more...)})
}

func TestResponsesAndMarkers(t *testing.T) {
	d, err := outcomes(t)
	if err != nil {
		t.Fatal(err)
	}
	const fact, at = `fact of "Patient/p1" on 2026-04-13 from 2026-04-13T00:00:00Z response `, `fact of "Patient/p1" at 2026-02-20T12:00:00Z `
	for _, tt := range []row{
		{"a category", assessment, fact + "PR"},
		{"two codings of one category", with(assessment, `"code":"PR"}`, `"code":"PR"},{"system":"urn:u","code":"PR"}`), fact + "PR"},
		{"two categories", with(assessment, `"code":"PR"}`, `"code":"PR"},{"system":"urn:t","code":"PD"}`), fact + "!no-category"},
		{"a trend that names none", with(assessment, `"urn:t","code":"PR"`, `"http://snomed.info/sct","code":"268910001"`), fact + "!no-category"},
		{"in words alone", with(assessment, `{"coding":[{"system":"urn:t","code":"PR"}]}`, `{"text":"PR"}`), fact + "!no-category"},
		{"text", with(assessment, `"valueCodeableConcept":{"coding":[{"system":"urn:t","code":"PR"}]}`, `"valueString":"PR"`), fact + "!no-category"},
		{"no value", with(assessment, `,"valueCodeableConcept":{"coding":[{"system":"urn:t","code":"PR"}]}`, ""), fact + "!value-absent"},
		{"preliminary", with(assessment, "final", "preliminary"), with(fact, "p1\"", "p1\" provisional") + "PR"},
		{"status unknown", with(assessment, "final", "unknown"), fact + "!status-unknown"},
		{"taken back", with(assessment, "final", "entered-in-error"), `void Observation/r1 of "Patient/p1"`},
		{"registered", with(assessment, "final", "registered"), "not relevant"},
		{"no day", with(assessment, "2026-04-13", "2026-04"), `dead letter no-time marks Observation/r1 of "Patient/p1"`},
		{"another Observation", with(assessment, "overall", "PR"), "not relevant"},

		{"a share", flow, at + "treg=13/2"},
		{"a share without a unit", with(flow, `,"unit":"%"`, ""), at + "treg!unit-missing"},
		{"a count is no share", with(flow, `"%"`, `"10*9/L"`), at + "treg!unit-missing"},
		{"more than all", with(flow, "6.5", "101"), at + "treg!implausible"},
		{"a concentration", with(flow, "treg", "il-6", `"%"`, `"ng/mL"`), at + "il-6=6500"},
		{"a concentration in the unit of another", with(flow, "treg", "il-6"), at + "il-6!unit-missing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := d.Decode(fhir.Message{Data: []byte(tt.data)})
			if got := summary(&out[0]); got != tt.want {
				t.Errorf("got  %s (%s)\nwant %s", got, out[0].Detail, tt.want)
			}
		})
	}
}

// No protocol reads responses, or markers: they are not relevant.
func TestUnreadResponse(t *testing.T) {
	d, err := fhir.New(fhir.Config{Concepts: []fhir.Concept{{Name: timeline.TumorResponse, Codes: []string{"urn:t|overall"}}}, Reads: map[string]bool{"neutrophils": true}})
	if err != nil {
		t.Fatal(err)
	}
	if out := d.Decode(fhir.Message{Data: []byte(assessment)}); out[0].Kind != fhir.NotRelevant {
		t.Errorf("an assessment that no protocol reads is %s", out[0].Kind)
	}
}

// One code has one meaning: two trials that use it for different things cannot be watched by one process without a word.
func TestCodesOfOutcomesAreClaimedOnce(t *testing.T) {
	for _, tt := range []struct {
		name string
		more fhir.Concept
		want string
	}{
		{"the same marker of another trial", fhir.Concept{Name: "treg", Codes: []string{"urn:t|treg", "urn:v|treg"}, Unit: "%"}, ""},
		{"two markers", fhir.Concept{Name: "cd25", Codes: []string{"urn:t|treg"}, Unit: "%"}, `code "urn:t|treg" is treg and cd25`},
		{"two categories", fhir.Concept{Name: "tumor-response-SD", Codes: []string{"urn:t|PD"}}, `code "urn:t|PD" is tumor-response-PD and tumor-response-SD`},
		{"a drug", fhir.Concept{Name: "aldesleukin", Codes: []string{"urn:t|treg"}}, `code "urn:t|treg" is treg and aldesleukin`},
		{"an analyte that is shipped", fhir.Concept{Name: "anc", Codes: []string{"http://loinc.org|751-8"}, Unit: "10*9/L"}, `is neutrophils and anc`},
		{"one marker in two units", fhir.Concept{Name: "treg", Unit: "10*9/L"}, `treg is not measured in "10*9/L"`},
		{"an unknown unit", fhir.Concept{Name: "new", Unit: "furlong"}, `new is not measured in "furlong"`},
	} {
		_, err := outcomes(t, tt.more)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}
