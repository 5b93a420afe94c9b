package ctcae

import "github.com/trialwatch/trialwatch/rules/decimal"

// Criterion is how one term is graded from one measurement in one version.
type Criterion struct {
	Term   string // the CTCAE term, as published
	Slug   string // the term in kebab case, as in rule ids
	Unit   string // of the limits: the canonical unit of the analyte
	Source string
	Steps  []Step // worst grade first: the first that the value crosses gives the grade
}

// Step is one grade of a criterion: value Comparator Limit.
type Step struct {
	Grade      int
	Comparator string          // "<", ">" or ">="
	Limit      *decimal.Number // nil where Times names the limit
	Times      string          // "LLN" or "ULN": the limit of normal of the result itself
}

func limit(s string) *decimal.Number { n := decimal.Must(s); return &n }

// NeutrophilCountDecreased returns the criterion of a version, in 10*9/L. Versions 4.03 and 5.0 share one, version 6.0 moved every grade by
// one step and no longer reads the lower limit of normal.
func NeutrophilCountDecreased(v Version) Criterion {
	c := Criterion{
		Term: "Neutrophil count decreased", Slug: "neutrophil-count-decreased", Unit: "10*9/L",
		Source: "CTCAE v" + string(v) + ", Investigations, Neutrophil count decreased",
	}
	if v == V6 {
		c.Steps = []Step{
			{Grade: 4, Comparator: "<", Limit: limit("0.1")},
			{Grade: 3, Comparator: "<", Limit: limit("0.5")},
			{Grade: 2, Comparator: "<", Limit: limit("1.0")},
			{Grade: 1, Comparator: "<", Limit: limit("1.5")},
		}
		return c
	}
	c.Steps = []Step{
		{Grade: 4, Comparator: "<", Limit: limit("0.5")},
		{Grade: 3, Comparator: "<", Limit: limit("1.0")},
		{Grade: 2, Comparator: "<", Limit: limit("1.5")},
		{Grade: 1, Comparator: "<", Times: "LLN"},
	}
	return c
}

// Fever returns the criterion of a version, in Cel; the numbers are the same in all three. Grade 4 is grade 3 for more than 24 h, which one
// reading cannot tell: the rule raises it.
func Fever(v Version) Criterion {
	return Criterion{
		Term: "Fever", Slug: "fever", Unit: "Cel",
		Source: "CTCAE v" + string(v) + ", General disorders and administration site conditions, Fever",
		Steps: []Step{
			{Grade: 3, Comparator: ">", Limit: limit("40.0")},
			{Grade: 2, Comparator: ">", Limit: limit("39.0")},
			{Grade: 1, Comparator: ">=", Limit: limit("38.0")},
		},
	}
}

// Febrile neutropenia has the same criterion in all three versions: a neutrophil count below 1.0 with one temperature above 38.3 Cel or a
// sustained one of at least 38.0 Cel for more than an hour is grade 3; grade 4 is a clinician's.
const (
	FebrileNeutropeniaTerm  = "Febrile neutropenia"
	FebrileNeutropeniaSlug  = "febrile-neutropenia"
	FebrileNeutropeniaGrade = 3
)
