package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// The FHIR R4 resources that the simulated EHR sends, with the few elements that it fills in. They are written here and not with the decoder's
// model: a feed made by the code that reads it would never surprise it.
type resource struct {
	ResourceType string       `json:"resourceType"`
	ID           string       `json:"id"`
	Meta         meta         `json:"meta"`
	Identifier   []identifier `json:"identifier,omitempty"`
	Status       string       `json:"status,omitempty"`
	StatusReason []concept    `json:"statusReason,omitempty"`
	Class        *coding      `json:"class,omitempty"`
	Code         *concept     `json:"code,omitempty"`
	Medication   *concept     `json:"medicationCodeableConcept,omitempty"`
	Subject      *reference   `json:"subject,omitempty"`
	Individual   *reference   `json:"individual,omitempty"`
	Study        *reference   `json:"study,omitempty"`
	AssignedArm  string       `json:"assignedArm,omitempty"`
	Effective    string       `json:"effectiveDateTime,omitempty"`
	During       *period      `json:"effectivePeriod,omitempty"`
	Issued       string       `json:"issued,omitempty"`
	Performed    *period      `json:"performedPeriod,omitempty"`
	Period       *period      `json:"period,omitempty"`
	Value        *quantity    `json:"valueQuantity,omitempty"`
	Category     *concept     `json:"valueCodeableConcept,omitempty"`
	Deceased     string       `json:"deceasedDateTime,omitempty"`
	Flag         []concept    `json:"interpretation,omitempty"`
	Range        []limits     `json:"referenceRange,omitempty"`
	Components   []component  `json:"component,omitempty"`
	Dosage       *dosage      `json:"dosage,omitempty"`
}

type meta struct {
	VersionID   string `json:"versionId"`
	LastUpdated string `json:"lastUpdated"`
}

type identifier struct {
	System string `json:"system"`
	Value  string `json:"value"`
}

type reference struct {
	Reference string `json:"reference"`
}

type coding struct {
	System  string `json:"system"`
	Code    string `json:"code"`
	Display string `json:"display,omitempty"`
}

type concept struct {
	Coding []coding `json:"coding,omitempty"`
	Text   string   `json:"text,omitempty"`
}

type period struct {
	Start string `json:"start,omitempty"`
	End   string `json:"end,omitempty"`
}

type quantity struct {
	Value      json.Number `json:"value"`
	Comparator string      `json:"comparator,omitempty"`
	Unit       string      `json:"unit,omitempty"`
	System     string      `json:"system,omitempty"`
	Code       string      `json:"code,omitempty"`
}

type limits struct {
	Low  *quantity `json:"low,omitempty"`
	High *quantity `json:"high,omitempty"`
	Text string    `json:"text,omitempty"`
}

type component struct {
	Code  concept  `json:"code"`
	Value quantity `json:"valueQuantity"`
}

type dosage struct {
	Route *concept `json:"route,omitempty"`
	Dose  quantity `json:"dose"`
}

const (
	loinc  = "http://loinc.org"
	rxNorm = "http://www.nlm.nih.gov/research/umls/rxnorm"
	snomed = "http://snomed.info/sct"
	ucum   = "http://unitsofmeasure.org"
)

func code(system, code, display string) *concept {
	return &concept{Coding: []coding{{system, code, display}}, Text: display}
}

// number writes a value with a fixed number of decimals, as a laboratory does.
func number(v float64, decimals int) json.Number {
	return json.Number(fmt.Sprintf("%.*f", decimals, v))
}

func stamp(t time.Time) string { return t.Format("2006-01-02T15:04:05-07:00") }

// encode writes a resource as one line. HTML characters stay themselves: "<" is a comparator.
func encode(r resource) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(r); err != nil {
		panic(err) // strings and numbers that we made: cannot fail
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
