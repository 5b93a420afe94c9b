package ctcae_test

import (
	"slices"
	"testing"

	"github.com/trialwatch/trialwatch/rules/ctcae"
)

// The table of all terms agrees with the criteria: every criterion is a term of its version, in its class, with the grades that data or a clinician give it.
func TestEveryCriterionIsListed(t *testing.T) {
	for _, v := range []ctcae.Version{ctcae.V4, ctcae.V5, ctcae.V6} {
		for _, c := range ctcae.All(v) {
			if c.Key == "hyperglycemia-fasting" || c.Key == "hypercalcemia-ionized" || c.Key == "hypocalcemia-ionized" {
				continue // a second ladder of one term
			}
			l := ctcae.List(v, c.Slug)
			if l == nil || l.Term != c.Term || l.SOC != c.SOC {
				t.Errorf("%s %s, %s: listed as %+v", v, c.Term, c.SOC, l)
				continue
			}
			grades := slices.Concat(c.Clinician, c.RuleGrades)
			for i := range c.Limits {
				for _, s := range slices.Concat(c.Limits[i].Steps, c.Limits[i].IfHigh) {
					grades = append(grades, s.Grade)
				}
			}
			for _, g := range grades {
				if !l.Has(g) {
					t.Errorf("%s %s: grade %d is none of %v", v, c.Term, g, l.Grades)
				}
			}
		}
	}
}

func TestListedTerms(t *testing.T) {
	for _, tt := range []struct {
		version ctcae.Version
		slug    string
		term    string // "" for none
		grades  []int
	}{
		{ctcae.V5, "febrile-neutropenia", "Febrile neutropenia", []int{3, 4, 5}},
		{ctcae.V5, "nausea", "Nausea", []int{1, 2, 3}},
		{ctcae.V5, "neutrophil-count-decreased", "Neutrophil count decreased", []int{1, 2, 3, 4}},
		{ctcae.V6, "platelet-count-decreased", "Thrombocytopenia", []int{1, 2, 3, 4, 5}}, // under its new name
		{ctcae.V5, "thrombocytopenia", "Platelet count decreased", []int{1, 2, 3, 4}},
		{ctcae.V4, "hyperglycemia", "Hyperglycemia", []int{1, 2, 3, 4, 5}},
		{ctcae.V6, "hyperglycemia", "Hyperglycemia", []int{1, 2, 3, 4}}, // its grade 5 is gone
		{ctcae.V6, "rash-acneiform", "", nil},                           // and so is this
		{ctcae.V5, "man-flu", "", nil},
	} {
		l := ctcae.List(tt.version, tt.slug)
		if l == nil && tt.term != "" || l != nil && (l.Term != tt.term || !slices.Equal(l.Grades, tt.grades)) {
			t.Errorf("%s in %s: %+v, want %q with %v", tt.slug, tt.version, l, tt.term, tt.grades)
		}
	}
	for name, want := range map[string]string{
		"Febrile neutropenia": "febrile-neutropenia", "  FEBRILE  Neutropenia ": "febrile-neutropenia", "Neutropenic fever": "", "": "",
		"Immune effector cell-associated neurotoxicity syndrome": "immune-effector-cell-associated-neurotoxicity-syndrome",
	} {
		if got := ctcae.TermOfName(name); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
	if got := ctcae.TermOfCode("10016288"); got != "febrile-neutropenia" {
		t.Errorf("10016288 is %q", got)
	}
	if got := ctcae.TermOfCode("10000000"); got != "" {
		t.Errorf("10000000 is %q", got)
	}
}
