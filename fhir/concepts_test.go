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
		"nivolumab":                 "new-anticancer-therapy",
		"ondansetron":               "",

		"Norepinephrine 8 mg in sodium chloride 0.9% 250 mL": "vasopressor",
		"LEVOPHED":                                      "vasopressor",
		"noradrenaline infusion":                        "vasopressor",
		"EPINEPHrine (Adrenalin) 0.1 mg/mL":             "vasopressor",
		"phenylephrine 100 mcg/mL IV push":              "vasopressor",
		"vasopressin 20 units/mL":                       "vasopressor",
		"DOPamine 400 mg/250 mL D5W":                    "vasopressor",
		"sodium chloride 0.9% with norepinephrine 4 mg": "vasopressor",
		"desmopressin":                                  "",
		"dopaminergic":                                  "",
		"lidocaine 1% with epinephrine":                 "",
		"bupivacaine-epinephrine 0.5%":                  "",
		"racemic epinephrine 2.25% nebulized":           "",
		"epinephrine auto-injector 0.3 mg":              "",
		"EpiPen (epinephrine)":                          "",
		"epinephrine 0.3 mg intramuscular":              "",
		"phenylephrine nasal spray":                     "",
		"phenylephrine 2.5% ophthalmic":                 "",
		"tropicamide/phenylephrine eye drops":           "",
		"guaifenesin-phenylephrine tablet":              "",
		"phenylephrine 0.25% rectal ointment":           "",
		"serotonin-norepinephrine reuptake inhibitor":   "",

		"sodium chloride 0.9% bolus 1,000 mL":         "crystalloid",
		"Sodium Chloride 0.9 % infusion":              "crystalloid",
		"sodium chloride 9 MG/ML Injectable Solution": "crystalloid",
		"0.9% sodium chloride":                        "crystalloid",
		"Normal saline":                               "crystalloid",
		"Lactated Ringer's 500 mL":                    "crystalloid",
		"lactated ringers bolus":                      "crystalloid",
		"Plasma-Lyte A":                               "crystalloid",
		"vancomycin 1 g in sodium chloride 0.9%":      "",
		"heparin-0.9% sodium chloride":                "",
		"sodium chloride 0.9% flush 10 mL":            "",
		"sodium chloride 0.9% irrigation":             "",
		"sodium chloride 0.9% nebulizer":              "",
		"sodium chloride 0.9% syringe":                "",
		"saline nasal spray":                          "",
		"sodium chloride 3%":                          "",
		"sodium chloride 0.9%/dextrose":               "crystalloid", // still 0.9 % saline

		"meperidine 25 mg IV":              "meperidine",
		"Pethidine":                        "meperidine",
		"Demerol":                          "meperidine",
		"levothyroxine 50 mcg oral tablet": "levothyroxine",
		"Synthroid":                        "levothyroxine",
		"liothyronine":                     "",
		"":                                 "",
	} {
		if got := c.drug(&codeable{Text: text}); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}
