package fhir_test

import (
	"strings"
	"testing"
	"time"

	"github.com/trialwatch/trialwatch/fhir"
	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// What a site file says holds for its site, and for no other.
func TestSite(t *testing.T) {
	chicago, err := time.LoadLocation("America/Chicago")
	if err != nil {
		t.Fatal(err)
	}
	n := func(s string) *decimal.Number { v := decimal.Must(s); return &v }
	d, err := fhir.New(fhir.Config{
		BaseURLs: []string{"https://all.example.org/fhir"},
		Sites: map[string]fhir.Site{"lake": {
			Zone: chicago, BaseURLs: []string{"https://lake.example.org/fhir/"},
			Concepts:    []fhir.Concept{{Name: timeline.Neutrophils, Codes: []string{"urn:lab|N"}}, {Name: timeline.Aldesleukin, Codes: []string{"urn:rx|7"}, Texts: []string{"il2 vial"}}},
			Identifiers: []fhir.IdentifierSystem{{System: "urn:mrn", Aliases: []string{"urn:old-mrn"}}},
			Units:       map[string]map[string]string{timeline.Neutrophils: {"Tsd./ul": "10*3/uL"}, timeline.CreatinineMass: {"mgpct": "mg/dL"}},
			Normal:      map[string]fhir.Range{timeline.Neutrophils: {Low: n("1.8"), High: n("7.7")}, timeline.CreatinineMolar: {High: n("106")}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	local := with(observation, `{"system":"http://loinc.org","code":"751-8"}`, `{"system":"urn:lab","code":"N"}`)
	spelt := with(observation, `"system":"http://unitsofmeasure.org","code":"10*3/uL"`, `"unit":"tsd./µl"`)
	created := with(observation, "751-8", "2160-0", `"value":0.45,"system":"http://unitsofmeasure.org","code":"10*3/uL"`, `"value":141,"unit":"umol/L"`)
	dateOnly := with(observation, "2026-02-20T06:00:00-06:00", "2026-02-20")
	const count = `fact of "Patient/p1" at 2026-02-20T12:00:00Z neutrophils=9/20`
	byID := func(system string) string {
		return with(observation, `{"reference":"Patient/p1"}`, `{"identifier":{"system":"`+system+`","value":"77"}}`)
	}
	for _, tt := range []struct{ name, data, lake, other string }{
		{"a local code", local, count + " normal 9/5..77/10", "not relevant"},
		{"a local unit", spelt, count + " normal 9/5..77/10", `fact of "Patient/p1" at 2026-02-20T12:00:00Z neutrophils!unit-missing`},
		{"a result without limits", observation, count + " normal 9/5..77/10", count},
		{"a result with its own", add(observation, `"referenceRange":[{"low":{"value":2,"code":"10*3/uL"}}]`), count + " normal 2..<nil>", count + " normal 2..<nil>"},
		{"a result whose limits cannot be read", add(observation, `"referenceRange":[{"text":"see comment"}]`), count + " normal 9/5..77/10", count},
		{
			"the unit says which of mass and moles is meant, and so whose limits", created, `fact of "Patient/p1" at 2026-02-20T12:00:00Z creatinine-molar=141 normal <nil>..106`,
			`fact of "Patient/p1" at 2026-02-20T12:00:00Z creatinine-molar=141`,
		},
		{"a local unit of mass", with(created, `"value":141,"unit":"umol/L"`, `"value":1.6,"unit":"MgPct"`), `fact of "Patient/p1" at 2026-02-20T12:00:00Z creatinine-mass=8/5`, `fact of "Patient/p1" at 2026-02-20T12:00:00Z creatinine-mass!unit-missing`},
		{"a date is the site's day", dateOnly, `fact of "Patient/p1" on 2026-02-20 from 2026-02-20T06:00:00Z neutrophils=9/20 normal 9/5..77/10`, `fact of "Patient/p1" on 2026-02-20 from 2026-02-20T00:00:00Z neutrophils=9/20`},
		{"the site's own URL", with(observation, "Patient/p1", "https://lake.example.org/fhir/Patient/p1"), count + " normal 9/5..77/10", with(count, "Patient/p1", "https://lake.example.org/fhir/Patient/p1")},
		{"everybody's URL", with(observation, "Patient/p1", "https://all.example.org/fhir/Patient/p1"), count + " normal 9/5..77/10", count},

		{"an identifier that names a patient", byID("urn:mrn"), with(count, "Patient/p1", "urn:mrn|77") + " normal 9/5..77/10", with(count, "Patient/p1", "urn:mrn|77")},
		{"the same under another name", byID("urn:old-mrn"), with(count, "Patient/p1", "urn:mrn|77") + " normal 9/5..77/10", with(count, "Patient/p1", "urn:old-mrn|77")},
		{"an identifier that names none", byID("urn:insurer"), `dead letter no-patient marks Observation/o1 of ""`, with(count, "Patient/p1", "urn:insurer|77")},
		{"a conditional reference by one that names none", with(observation, "Patient/p1", "Patient?identifier=urn:insurer%7C77"), `dead letter no-patient marks Observation/o1 of ""`, with(count, "Patient/p1", "urn:insurer|77")},
		{
			"a contained patient with several", add(with(observation, "Patient/p1", "#p"), `"contained":[{"resourceType":"Patient","id":"p","identifier":[{"system":"urn:insurer","value":"1"},{"system":"urn:old-mrn","value":"77"}]}]`),
			with(count, "Patient/p1", "urn:mrn|77") + " normal 9/5..77/10", with(count, "Patient/p1", "urn:insurer|1"),
		},
		{
			"a Patient resource joins by those that name one", with(patient, `{"system":"urn:mrn","value":"77"}`, `{"system":"urn:insurer","value":"1"},{"system":"urn:old-mrn","value":"77"}`),
			`fact of "Patient/p1" person [urn:mrn|77] replaced "" died ""`, `fact of "Patient/p1" person [urn:insurer|1 urn:old-mrn|77] replaced "" died ""`,
		},
		{"identifiers of a ResearchSubject are the study's", enrolment, "", ""},

		{"a local drug code", with(administration, "http://www.nlm.nih.gov/research/umls/rxnorm", "urn:rx", "70223", "7"), `fact of "Patient/p1" at 2026-02-20T12:00:00Z dose aldesleukin completed 600000 [iU]/kg IV`, "not relevant"},
		{"a local word for a product", `{"resourceType":"Medication","id":"9","code":{"text":"IL2 Vial 22"}}`, product + "aldesleukin", product + "other"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for site, want := range map[string]string{"lake": tt.lake, "other": tt.other} {
				out := d.Decode(fhir.Message{Data: []byte(tt.data), Site: site})
				got := summary(&out[0])
				if want == "" {
					want = `ids [urn:trial|S-001]`
					_, ids, _ := strings.Cut(got, "ids")
					got = "ids" + ids
				}
				if got != want || len(out) != 1 {
					t.Errorf("site %s\ngot  %s (%s)\nwant %s", site, got, out[0].Detail, want)
				}
				if f := out[0].Fact; f != nil && f.Results != nil {
					if r := f.Results[0]; r.SiteNormal != (site == "lake" && r.Low != nil && r.Low.Cmp(decimal.Must("1.8")) == 0 || r.Analyte == timeline.CreatinineMolar && r.High != nil) {
						t.Errorf("site %s: limits %v..%v, the site's: %v", site, r.Low, r.High, r.SiteNormal)
					}
				}
			}
		})
	}
}

// A unit is never guessed: what a site calls it must be one that the analyte has.
func TestSiteUnitsAreChecked(t *testing.T) {
	for _, tt := range []struct {
		analyte, spelling, known, want string
	}{
		{"neutrophil", "x", "10*3/uL", "no analyte"},
		{timeline.Neutrophils, "x", "mg/dL", "not measured in"},
		{timeline.Neutrophils, "/ul", "10*3/uL", "already another unit"},
		{timeline.CreatinineMass, "umol/l", "mg/dL", "is a unit of creatinine-molar"},
		{timeline.Neutrophils, " ", "10*3/uL", "without a name"},
		{timeline.Neutrophils, "K/UL", "10*3/uL", ""}, // says what the table says
	} {
		_, err := fhir.New(fhir.Config{Sites: map[string]fhir.Site{"lake": {Units: map[string]map[string]string{tt.analyte: {tt.spelling: tt.known}}}}})
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q of %s as %s: got %v, want %q", tt.spelling, tt.analyte, tt.known, err, tt.want)
		}
	}
}
