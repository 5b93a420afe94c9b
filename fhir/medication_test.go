package fhir_test

import "testing"

const (
	request = `{"resourceType":"MedicationRequest","id":"q1","meta":{"versionId":"2","lastUpdated":"2026-02-18T15:00:00-06:00"},"status":"stopped","intent":"order","medicationCodeableConcept":{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"70223"}]},"subject":{"reference":"Patient/p1"},"authoredOn":"2026-02-16"}`
	stopped = `fact of "Patient/p1" at 2026-02-18T21:00:00Z order aldesleukin stopped`
	markQ1  = ` marks MedicationRequest/q1 of "Patient/p1"`
)

var orderRows = []row{
	{"stopped", request, stopped},
	{"in force", with(request, `"stopped"`, `"active"`), with(stopped, "stopped", "active")},
	{"a proposal is no order", with(request, `"intent":"order"`, `"intent":"proposal"`), "not relevant"},
	{"of another drug", with(request, "70223", "5640"), "not relevant"},
	{"by a reference with a display", ordered(`"Medication/m","display":"Proleukin"`), stopped + " see Medication/m"},
	{"by a reference alone: a Medication may say it", ordered(`"Medication/m"`), with(stopped, "aldesleukin ", " ") + " see Medication/m"},
	{"in a version of it", ordered(`"Medication/m/_history/2"`), with(stopped, "aldesleukin ", " ") + " see Medication/m"},
	{"a display that names another drug", ordered(`"Medication/m","display":"Aspirin 81 MG"`), "not relevant"},
	{"a proposal by a reference is no order", with(ordered(`"Medication/m"`), `"intent":"order"`, `"intent":"proposal"`), "not relevant"},
	{"a Medication of another server, which nothing here can answer", ordered(`"https://elsewhere.example.org/fhir/Medication/9"`), "not relevant"},
	{"by its identifier only", ordered(`null,"identifier":{"system":"urn:x","value":"9"}`), "not relevant"},
	{"contained", add(ordered(`"#d"`), `"contained":[`+with(vial, `"id":"9"`, `"id":"d"`)+`]`), stopped},
	{"an order by a reference that is taken back", with(ordered(`"Medication/m"`), `"stopped"`, `"entered-in-error"`), `void MedicationRequest/q1 of "Patient/p1"`},
	{"cancelled takes it back", with(request, `"stopped"`, `"cancelled"`), `void MedicationRequest/q1 of "Patient/p1"`},
	{"in error", with(request, `"stopped"`, `"entered-in-error"`), `void MedicationRequest/q1 of "Patient/p1"`},
	{"a status that R4 has not", with(request, `"stopped"`, `"ended"`), "dead letter invalid-code" + markQ1},
	{"of R5", add(request, `"medication":{"concept":{"text":"aldesleukin"}}`), "dead letter r5" + markQ1},
	{"of nobody", with(request, `"subject":{"reference":"Patient/p1"},`, ""), `dead letter no-patient marks MedicationRequest/q1 of ""`},
}

const (
	rxnormIL2  = `"medicationCodeableConcept":{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"70223"}]}`
	waits      = `fact of "Patient/p1" at 2026-02-20T12:00:00Z dose  completed 600000 [iU]/kg IV `
	unresolved = `dead letter medication-unresolved marks MedicationAdministration/m1 of "Patient/p1"`
	perML      = `"strength":{"numerator":{"value":18,"unit":"MIU"},"denominator":{"value":1,"unit":"mL"}}`
	vial       = `{"resourceType":"Medication","id":"9","meta":{"versionId":"1"},"status":"active",` +
		`"code":{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"70223"}]},"ingredient":[{"itemCodeableConcept":{"text":"aldesleukin"},` + perML + `}]}`
)

// elsewhere is an administration whose drug is in another resource.
func elsewhere(reference string) string {
	return with(administration, rxnormIL2, `"medicationReference":{"reference":`+reference+`}`)
}

// ordered is an order whose drug is in another resource.
func ordered(reference string) string {
	return with(request, rxnormIL2, `"medicationReference":{"reference":`+reference+`}`)
}

// productRows are Medications: nobody's, and what administrations that refer to them gave.
var productRows = []row{
	{"by its code", vial, product + "aldesleukin with 18000000 [iU] in 1 mL"},
	{"by its ingredient", with(vial, `"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"70223"}]`, `"text":"IL2 vial"`), product + "aldesleukin with 18000000 [iU] in 1 mL"},
	{"by the display of an ingredient elsewhere", with(vial, `"code":{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"70223"}]},`, ``, `"itemCodeableConcept":{"text":"aldesleukin"}`, `"itemReference":{"reference":"Substance/s","display":"Aldesleukin"}`), product + "aldesleukin with 18000000 [iU] in 1 mL"},
	{"inactive is still a product", with(vial, "active", "inactive"), product + "aldesleukin with 18000000 [iU] in 1 mL"},
	{"no status", with(vial, `"status":"active",`, ``), product + "aldesleukin with 18000000 [iU] in 1 mL"},
	{"entered in error", with(vial, "active", "entered-in-error"), `void Medication/9 of ""`},
	{"a status of something else", with(vial, "active", "completed"), `dead letter invalid-code marks Medication/9 of ""`},
	{"another drug in words", with(vial, `"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"70223"}]`, `"text":"Vancomycin"`, `"aldesleukin"`, `"vancomycin"`), product + "other"},
	{"another drug by a code of a system that is known", with(vial, "70223", "11124", `"text":"aldesleukin"`, `"coding":[{"system":"urn:local","code":"V"}]`), product + "other"},
	{"a local code alone says nothing to us", with(vial, "http://www.nlm.nih.gov/research/umls/rxnorm", "urn:local", `"text":"aldesleukin"`, `"coding":[{"system":"urn:local","code":"V"}]`), product},
	{"nothing at all", `{"resourceType":"Medication","id":"9"}`, `dead letter medication-unresolved marks Medication/9 of ""`},
	{"no id", with(vial, `"id":"9",`, ``), "dead letter no-id"},
	{"a modifierExtension of the ingredient", with(vial, `"ingredient":[{`, `"ingredient":[{"modifierExtension":[{"url":"urn:placebo","valueBoolean":true}],`), `dead letter unknown-modifier marks Medication/9 of ""`},
	{"does not validate", with(vial, `"value":18`, `"value":"18"`), `dead letter invalid-resource marks Medication/9 of ""`},
	{"what is broken of another drug loses nothing", with(vial, `"value":18`, `"value":"18"`, "70223", "11124", "aldesleukin", "vancomycin"), product + "other"},

	{"strength by mass", with(vial, `{"value":18,"unit":"MIU"}`, `{"value":1.1,"code":"mg"}`), product + "aldesleukin with 11/10 mg in 1 mL"},
	{"strength in a unit that is not known", with(vial, "MIU", "puffs"), product + "aldesleukin"},
	{"strength with a comparator", with(vial, `"unit":"MIU"`, `"comparator":"<","unit":"MIU"`), product + "aldesleukin"},
	{"strength a kilogram is none", with(vial, "MIU", "MIU/kg"), product + "aldesleukin"},
	{"strength in nothing", with(vial, `{"value":1,"unit":"mL"}`, `{"value":0,"unit":"mL"}`), product + "aldesleukin"},
	{"strength by the vial alone", with(vial, `"unit":"mL"`, `"unit":"vial"`), product + "aldesleukin"},
	{"strength by the vial, and what a vial holds", add(with(vial, `"unit":"mL"`, `"unit":"vial"`, `18`, `22`), `"amount":{"numerator":{"value":1.2,"unit":"mL"},"denominator":{"value":1,"unit":"Vial"}}`), product + "aldesleukin with 22000000 [iU] in 6/5 mL"},
	{"strength by the vial, and what five vials hold", add(with(vial, `"unit":"mL"`, `"unit":"vial"`), `"amount":{"numerator":{"value":6,"unit":"mL"},"denominator":{"value":5,"unit":"vial"}}`), product + "aldesleukin"},
	{"strength by the vial of another ingredient", with(vial, `"ingredient":[{`, `"ingredient":[{"itemCodeableConcept":{"text":"mannitol"},"strength":{"numerator":{"value":50,"unit":"mg"},"denominator":{"value":1,"unit":"mL"}}},{`), product + "aldesleukin with 18000000 [iU] in 1 mL"},
	{"two strengths of one drug", with(vial, `"ingredient":[`, `"ingredient":[{"itemCodeableConcept":{"text":"aldesleukin"},"strength":{"numerator":{"value":1,"unit":"MIU"},"denominator":{"value":1,"unit":"mL"}}},`), product + "aldesleukin"},
}

const product = `fact of "" product `

var medicationRows = []row{
	{"code", administration, il2 + "completed 600000 [iU]/kg IV"},
	{"words", with(administration, `{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"70223"}]}`, `{"text":"Proleukin 22 MIU"}`), il2 + "completed 600000 [iU]/kg IV"},
	{"part of a word", with(administration, `{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"70223"}]}`, `{"text":"IL-21"}`), "not relevant"},
	{"another drug", with(administration, "70223", "5640"), "not relevant"},
	{"mesna", with(administration, "70223", "44", `600000,"unit":"IU/kg"`, `350,"unit":"mg"`), with(il2, "aldesleukin", "mesna") + "completed 350 mg IV"},
	{"contained Medication", add(with(administration, `"medicationCodeableConcept":{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"70223"}]}`, `"medicationReference":{"reference":"#d"}`),
		`"contained":[{"resourceType":"Medication","id":"d","code":{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"70223"}]}}]`), il2 + "completed 600000 [iU]/kg IV"},
	{"contained Medication, by ingredient", add(with(administration, `"medicationCodeableConcept":{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"70223"}]}`, `"medicationReference":{"reference":"#d"}`),
		`"contained":[{"resourceType":"Medication","id":"#d","ingredient":[{"itemCodeableConcept":{"text":"water"}},{"itemCodeableConcept":{"text":"aldesleukin"}}]}]`), il2 + "completed 600000 [iU]/kg IV"},
	{"vasopressor dissolved in saline", add(with(administration, `"medicationCodeableConcept":{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"70223"}]}`, `"medicationReference":{"reference":"#d"}`, `600000,"unit":"IU/kg"`, `4,"unit":"mg"`),
		`"contained":[{"resourceType":"Medication","id":"d","ingredient":[{"itemCodeableConcept":{"text":"sodium chloride 0.9%"}},{"itemCodeableConcept":{"text":"norepinephrine"}}]}]`), with(il2, "aldesleukin", "vasopressor") + "completed 4 mg IV"},
	{"another drug dissolved in saline is no crystalloid", add(with(administration, `"medicationCodeableConcept":{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"70223"}]}`, `"medicationReference":{"reference":"#d"}`),
		`"contained":[{"resourceType":"Medication","id":"d","ingredient":[{"itemCodeableConcept":{"text":"sodium chloride 0.9%"}},{"itemCodeableConcept":{"text":"vancomycin"}}]}]`), "not relevant"},
	{"saline alone", add(with(administration, `"medicationCodeableConcept":{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"70223"}]}`, `"medicationReference":{"reference":"#d"}`, `600000,"unit":"IU/kg"`, `500,"unit":"mL"`),
		`"contained":[{"resourceType":"Medication","id":"d","ingredient":[{"itemCodeableConcept":{"text":"sodium chloride 0.9%"}}]}]`), with(il2, "aldesleukin", "crystalloid") + "completed 500 mL IV"},
	{"contained Medication with its strength", add(elsewhere(`"#d"`), `"contained":[`+with(vial, `"id":"9"`, `"id":"d"`)+`]`), il2 + "completed 600000 [iU]/kg IV with 18000000 [iU] in 1 mL"},
	{"contained Medication that says nothing, and a display", add(elsewhere(`"#d","display":"Aldesleukin"`), `"contained":[{"resourceType":"Medication","id":"d"}]`), il2 + "completed 600000 [iU]/kg IV"},
	{"contained Medication of another drug than the display", add(elsewhere(`"#d","display":"Aldesleukin"`), `"contained":[{"resourceType":"Medication","id":"d","code":{"text":"vancomycin"}}]`), "not relevant"},
	{"contained Medication of another drug", add(with(administration, `"medicationCodeableConcept":{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"70223"}]}`, `"medicationReference":{"reference":"#d"}`),
		`"contained":[{"resourceType":"Medication","id":"d","code":{"text":"ibuprofen"}}]`), "not relevant"},
	{"a Medication elsewhere, by its display", with(administration, `"medicationCodeableConcept":{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"70223"}]}`, `"medicationReference":{"reference":"Medication/9","display":"Aldesleukin 18 MIU"}`), il2 + "completed 600000 [iU]/kg IV see Medication/9"},
	{"a Medication elsewhere that is another drug", with(administration, `"medicationCodeableConcept":{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"70223"}]}`, `"medicationReference":{"reference":"Medication/9","display":"Aspirin 81 MG"}`), "not relevant"},
	{"a Medication elsewhere without a name", elsewhere(`"Medication/9"`), waits + "see Medication/9"},
	{"a Medication elsewhere, in a version of it", elsewhere(`"Medication/9/_history/3"`), waits + "see Medication/9"},
	{"a Medication elsewhere, by the site's own URL", elsewhere(`"https://ehr.example.org/fhir/Medication/9"`), waits + "see Medication/9"},
	{"a Medication of another server", elsewhere(`"https://elsewhere.example.org/fhir/Medication/9"`), unresolved},
	{"a Medication that no Bundle explains", elsewhere(`"urn:uuid:6f0a"`), unresolved},
	{"a contained Medication that is not there", elsewhere(`"#9"`), unresolved},
	{"a Medication by its identifier only", elsewhere(`null,"identifier":{"system":"urn:x","value":"9"}`), unresolved},
	{"no Medication", elsewhere(`"Substance/9"`), unresolved},
	{"TIL by the display of a Medication elsewhere", elsewhere(`"Medication/9","display":"Lifileucel"`), with(waits, "dose  ", "dose til ") + "see Medication/9"},
	{"a void of a Medication elsewhere", with(administration, "completed", "entered-in-error", `"medicationCodeableConcept":{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"70223"}]}`, `"medicationReference":{"reference":"Medication/9"}`), `void MedicationAdministration/m1 of "Patient/p1"`},
	{"a void without a medication", `{"resourceType":"MedicationAdministration","id":"m1","status":"entered-in-error","subject":{"reference":"Patient/p1"}}`, `void MedicationAdministration/m1 of "Patient/p1"`},
	{"modifierExtension of a contained Medication", add(with(administration, `"medicationCodeableConcept":{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"70223"}]}`, `"medicationReference":{"reference":"#d"}`),
		`"contained":[{"resourceType":"Medication","id":"d","modifierExtension":[{"url":"urn:placebo","valueBoolean":true}],"code":{"text":"aldesleukin"}}]`), `dead letter unknown-modifier marks MedicationAdministration/m1 of "Patient/p1"`},
	{"modifierExtension of the dosage", with(administration, `"dosage":{`, `"dosage":{"modifierExtension":[{"url":"urn:x","valueBoolean":true}],`), `dead letter unknown-modifier marks MedicationAdministration/m1 of "Patient/p1"`},

	{"in-progress", with(administration, "completed", "in-progress"), il2 + "in-progress 600000 [iU]/kg IV"},
	{"on-hold", with(administration, "completed", "on-hold"), il2 + "on-hold 600000 [iU]/kg IV"},
	{"stopped", with(administration, "completed", "stopped"), il2 + "stopped 600000 [iU]/kg IV"},
	{"unknown", with(administration, "completed", "unknown"), il2 + "unknown 600000 [iU]/kg IV !status-unknown"},
	{"not-done with its reason", with(administration, `"completed"`, `"not-done","statusReason":[{"coding":[{"system":"http://snomed.info/sct","code":"182895007"}],"text":"declined"}]`, `,"dose":{"value":600000,"unit":"IU/kg"}`, ""), il2 + "not-done IV because http://snomed.info/sct|182895007"},
	{"entered-in-error", with(administration, "completed", "entered-in-error"), `void MedicationAdministration/m1 of "Patient/p1"`},
	{"status of an Observation", with(administration, "completed", "final"), `dead letter invalid-code marks MedicationAdministration/m1 of "Patient/p1"`},

	{"million units", with(administration, `600000,"unit":"IU/kg"`, `0.6,"unit":"MIU/kg"`), il2 + "completed 600000 [iU]/kg IV"},
	{"total units", with(administration, `600000,"unit":"IU/kg"`, `48000000,"code":"[iU]"`), il2 + "completed 48000000 [iU] IV"},
	{"milligrams a square metre", with(administration, `600000,"unit":"IU/kg"`, `25,"unit":"mg/m2","code":"mg/m2"`), il2 + "completed 25 mg/m2 IV"},
	{"millilitres", with(administration, `600000,"unit":"IU/kg"`, `1.2,"unit":"mL"`), il2 + "completed 6/5 mL IV"},
	{"a unit of dose that is not known", with(administration, "IU/kg", "vials"), il2 + "completed amount!unit-missing IV"},
	{"a dose without a unit", with(administration, `,"unit":"IU/kg"`, ""), il2 + "completed amount!unit-missing IV"},
	{"a dose without a value", with(administration, `"value":600000,`, ""), il2 + "completed amount!value-absent IV"},
	{"a dose of 0", with(administration, "600000", "0"), il2 + "completed 0 [iU]/kg IV"},
	{"a dose below 0", with(administration, "600000", "-600000"), il2 + "completed amount!implausible IV"},
	{"a dose beyond belief", with(administration, "600000", "6e14"), il2 + "completed 600000000000000 [iU]/kg IV"},
	{"a dose of more digits than can be compared exactly", with(administration, "600000", "600000.1234567890123456789012345678901"), il2 + "completed amount!value-range IV"},
	{"a dose with a comparator", with(administration, `"value":600000`, `"comparator":"<","value":600000`), `dead letter invalid-resource marks MedicationAdministration/m1 of "Patient/p1"`},
	{"a range of doses, which R4 has not", with(administration, `"dose":{"value":600000,"unit":"IU/kg"}`, `"doseRange":{"low":{"value":1,"unit":"mg"}}`), `dead letter invalid-resource marks MedicationAdministration/m1 of "Patient/p1"`},
	{"a rate and no dose", with(administration, `"dose":{"value":600000,"unit":"IU/kg"}`, `"rateQuantity":{"value":10,"unit":"mL/h"}`), il2 + "completed amount!value-absent IV"},
	{"a rate beside the dose", with(administration, `"dose":{`, `"rateQuantity":{"value":10,"unit":"mL/h"},"dose":{`), il2 + "completed 600000 [iU]/kg IV"},
	{"no dosage", with(administration, `,"dosage":{"route":{"text":"Intravenous"},"dose":{"value":600000,"unit":"IU/kg"}}`, ""), il2 + "completed"},
	{"no status", with(administration, `"status":"completed",`, ""), `dead letter invalid-code marks MedicationAdministration/m1 of "Patient/p1"`},
	{"no dose", with(administration, `,"dose":{"value":600000,"unit":"IU/kg"}`, ""), il2 + "completed IV"},
	{"subcutaneous", with(administration, `{"text":"Intravenous"}`, `{"coding":[{"system":"http://snomed.info/sct","code":"34206005"}]}`), il2 + "completed 600000 [iU]/kg SC"},
	{"a route that is not known", with(administration, "Intravenous", "other"), il2 + "completed 600000 [iU]/kg route!"},
	{"date only", with(administration, "2026-02-20T06:00:00-06:00", "2026-02-20"), `fact of "Patient/p1" on 2026-02-20 from 2026-02-20T06:00:00Z dose aldesleukin completed 600000 [iU]/kg IV`},
	{"no time", with(administration, `"effectiveDateTime":"2026-02-20T06:00:00-06:00",`, ""), `dead letter no-time marks MedicationAdministration/m1 of "Patient/p1"`},
	{"no zone", with(administration, "-06:00", ""), `dead letter invalid-time marks MedicationAdministration/m1 of "Patient/p1"`},
	{"R5 medication", with(administration, `"medicationCodeableConcept":{"coding"`, `"medication":{"concept"`), `dead letter r5 marks MedicationAdministration/m1 of "Patient/p1"`},
	{"R5 time", with(administration, "effectiveDateTime", "occurenceDateTime"), `dead letter r5 marks MedicationAdministration/m1 of "Patient/p1"`},
	{"R5 time of a drug that nothing reads", with(administration, "effectiveDateTime", "occurenceDateTime", "70223", "5640"), "not relevant"},

	{"TIL infusion as a Procedure", tilProcedure, infusion + "completed"},
	{"TIL as MedicationAdministration", with(administration, `{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"70223"}]}`, `{"text":"Lifileucel"}`), `fact of "Patient/p1" at 2026-02-20T12:00:00Z procedure til completed`},
	{"Procedure not done", with(tilProcedure, "completed", "not-done"), infusion + "not-done"},
	{"Procedure in preparation", with(tilProcedure, "completed", "preparation"), infusion + "preparation"},
	{"Procedure unknown", with(tilProcedure, "completed", "unknown"), infusion + "unknown"},
	{"Procedure entered in error", with(tilProcedure, "completed", "entered-in-error"), `void Procedure/t1 of "Patient/p1"`},
	{"Procedure of an Observation's status", with(tilProcedure, "completed", "final"), `dead letter invalid-code marks Procedure/t1 of "Patient/p1"`},
	{"a Procedure named for a drug", with(tilProcedure, "TIL infusion", "Pembrolizumab infusion"), with(infusion, "til", "pembrolizumab") + "completed"},
	{"another Procedure", with(tilProcedure, "TIL infusion", "Biopsy"), "not relevant"},
	{"a Procedure whose end is a date lasts through that day", with(tilProcedure, "2026-02-16T10:00:00-06:00", "2026-02-16"), with(infusion, "2026-02-16T16:00:00Z", "2026-02-17T06:00:00Z") + "completed"},
	{"Procedure that ends before it starts", with(tilProcedure, "16T10:00", "15T10:00"), `dead letter invalid-time marks Procedure/t1 of "Patient/p1"`},
	{"Procedure at an age", with(tilProcedure, `"performedPeriod":{"start":"2026-02-16T09:00:00-06:00","end":"2026-02-16T10:00:00-06:00"}`, `"performedString":"last week"`), `dead letter no-time marks Procedure/t1 of "Patient/p1"`},
	{"R5 Procedure", with(tilProcedure, "performedPeriod", "occurrencePeriod"), `dead letter r5 marks Procedure/t1 of "Patient/p1"`},
	{"R5 Procedure that nothing reads", with(tilProcedure, "performedPeriod", "occurrencePeriod", "TIL infusion", "Biopsy"), "not relevant"},
}

func TestOrder(t *testing.T)      { runRows(t, orderRows) }
func TestMedication(t *testing.T) { runRows(t, medicationRows) }
func TestProduct(t *testing.T)    { runRows(t, productRows) }
