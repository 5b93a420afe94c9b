package fhir

import "testing"

// A drug that is known by its words only: whole words, and none that make it another drug.
func TestDrugByWord(t *testing.T) {
	c, err := newConcepts(nil)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"Aldesleukin 22 MIU vial":         "aldesleukin",
		"PROLEUKIN":                       "aldesleukin",
		"interleukin-2 (IL-2), high dose": "aldesleukin",
		"IL-2":                            "aldesleukin",
		"IL-21":                           "",
		"anti-IL-2 antibody":              "",
		"basiliximab (interleukin-2 receptor antagonist)": "",
		"soluble interleukin-2 receptor":                  "",
		"denileukin diftitox (IL-2 fusion protein)":       "",
		"Tumor infiltrating lymphocytes, autologous":      "til",
		"TIL infusion":              "til",
		"until infusion":            "",
		"cyclophosphamide 60 mg/kg": "cyclophosphamide",
		"pembrolizumab":             "pembrolizumab",
		"nivolumab":                 "",
		"":                          "",
	} {
		if got := c.drug(&codeable{Text: text}); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}
