// Package timeline holds what is known about one patient, in clinical time.
//
// A [Fact] is one version of one resource, reduced to what a rule can read. A [Timeline] takes facts in any order and any number of times and
// always shows the same picture: the greatest version of each resource, ordered by clinical time. How versions are ordered is
// written in docs/adr/0001-identity-and-versions.md.
package timeline

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/rules/decimal"
)

// Ref names a FHIR resource within a site: "Observation/anc-1". The zero value names none.
type Ref string

// RefOf names the resource of a type with an id, either of which may be "".
func RefOf(kind, id string) Ref {
	if kind == "" && id == "" {
		return ""
	}
	return Ref(kind + "/" + id)
}

// Type is the type of the resource, "" where it is not known.
func (r Ref) Type() string {
	kind, _, _ := strings.Cut(string(r), "/")
	return kind
}

// ID is the id of the resource, "" where it has none.
func (r Ref) ID() string {
	_, id, _ := strings.Cut(string(r), "/")
	return id
}

// String writes "Type/id".
func (r Ref) String() string { return string(r) }

// Compare orders references by type, then id.
func (r Ref) Compare(o Ref) int { return strings.Compare(string(r), string(o)) }

// UnmarshalJSON reads "Type/id", and {"type":"Type","id":"id"} as facts were once stored.
func (r *Ref) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '{' {
		var was struct{ Type, ID string }
		if err := json.Unmarshal(data, &was); err != nil {
			return err
		}
		*r = RefOf(was.Type, was.ID)
		return nil
	}
	if n := len(data); n >= 2 && data[0] == '"' && bytes.IndexByte(data, '\\') < 0 { // as all are
		*r = Ref(data[1 : n-1])
		return nil
	}
	return json.Unmarshal(data, (*string)(r))
}

// Version tells one version of a resource from another.
type Version struct {
	ID          string    `json:"id,omitempty"`         // meta.versionId; "" where the feed sends none
	LastUpdated time.Time `json:"lastUpdated,omitzero"` // meta.lastUpdated; zero (absent) is the earliest
	Digest      string    `json:"digest"`               // SHA-256 of the compact resource, hex
}

// State says what a version does to its resource.
type State string

// States of a version. The zero value is [Usable].
const (
	Usable  State = ""        // it says something
	Void    State = "void"    // it takes the resource back: entered-in-error, cancelled, DELETE, an AdverseEvent that is only potential
	Refused State = "refused" // it could not be read; it never wins, but a refused version greater than the winner makes the winner doubtful
)

// Fact is one version of one resource as rules see it. Exactly one of Results, Dose, Procedure, Response, AdverseEvent, Order, Enrolment, Encounter, Person and Product is set in a usable
// fact; none in a void or refused one. Facts are values that nobody changes once built: slices and pointers may be shared.
type Fact struct {
	Ref        Ref       `json:"ref"`
	Version    Version   `json:"version,omitzero"`
	ReceivedAt time.Time `json:"receivedAt"` // the broker's time of the message, never used as clinical time
	Site       string    `json:"site"`
	Patient    Patient   `json:"patient,omitzero"`
	State      State     `json:"state,omitempty"`
	// Provisional marks a preliminary result: graded, flagged needsReview, left out of aggregates.
	Provisional bool `json:"provisional,omitempty"`
	At          Time `json:"at,omitzero"` // clinical time: effective[x] (its start), performed[x] (its start), period.start
	// End is the end of the effective or performed period, or of an Encounter's, zero where there is none.
	End time.Time `json:"end,omitzero"`

	Results      []Result      `json:"results,omitempty"`
	Dose         *Dose         `json:"dose,omitempty"`
	Procedure    *Procedure    `json:"procedure,omitempty"`
	Response     *Response     `json:"response,omitempty"`
	AdverseEvent *AdverseEvent `json:"adverseEvent,omitempty"`
	Order        *Order        `json:"order,omitempty"`
	Enrolment    *Enrolment    `json:"enrolment,omitempty"`
	Encounter    *Encounter    `json:"encounter,omitempty"`
	Person       *Person       `json:"person,omitempty"`
	Product      *Product      `json:"product,omitempty"`
}

// Owner is the identity under which a fact is filed: the patient's, and for a Medication, which is nobody's, its own reference. "" is nobody.
func (f *Fact) Owner() string {
	if f.Ref.Type() == "Medication" {
		return f.Ref.String()
	}
	return f.Patient.Identity()
}

// Reason names a fact as the reason of what is told because of it.
func (f *Fact) Reason() string {
	s := f.Ref.String()
	if f.Version.ID != "" {
		s += " version " + f.Version.ID
	}
	if f.Person != nil && f.Person.ReplacedBy != "" {
		s += ", replaced by " + f.Person.ReplacedBy
	}
	return s
}

// Medication is the resource that says which drug was given or ordered, "Medication/<id>", "" where the fact says so itself.
func (f *Fact) Medication() string {
	switch {
	case f.Dose != nil:
		return f.Dose.Medication
	case f.Order != nil:
		return f.Order.Medication
	}
	return ""
}

// KnownAt is when what a fact says could first be known: its receipt, or that of the Medication which says what was given, whichever is later.
func (f *Fact) KnownAt() time.Time {
	var product *Fact
	switch {
	case f.Dose != nil:
		product = f.Dose.Product
	case f.Procedure != nil:
		product = f.Procedure.Product
	case f.Order != nil:
		product = f.Order.Product
	}
	if product != nil && product.ReceivedAt.After(f.ReceivedAt) {
		return product.ReceivedAt
	}
	return f.ReceivedAt
}

// Patient is how a resource names its patient.
type Patient struct {
	Reference  string `json:"reference,omitempty"`  // "Patient/<id>", normalised
	Identifier string `json:"identifier,omitempty"` // "system|value"; the identity only where there is no reference
}

// Identity is the reference, or the identifier where there is none, or "" for nobody.
func (p Patient) Identity() string {
	if p.Reference != "" {
		return p.Reference
	}
	return p.Identifier
}

// Time is a clinical time: an instant, or a whole site-local day.
type Time struct {
	Start time.Time `json:"start"`          // the instant, or the day's first in the site's zone
	Date  string    `json:"date,omitempty"` // "2026-02-20" where only the date is known, else ""
}

// DateOnly reports whether only the day is known.
func (t Time) DateOnly() bool { return t.Date != "" }

// Problem says why a value cannot be used. Reason is one of the Problem… constants, Detail a short text that never quotes free text from the
// resource (units and codes are quoted, at most 40 bytes, printable ASCII).
type Problem struct {
	Reason string `json:"reason"`
	Detail string `json:"detail,omitempty"`
}

// Reasons for which a fact's value is not used. The finding that each gives stands beside it.
const (
	ProblemUnitMissing   = "unit-missing"   // no unit, or one that the analyte's table does not know: data.unit-missing
	ProblemImplausible   = "implausible"    // beyond the analyte's plausible range: data.implausible
	ProblemValueAbsent   = "value-absent"   // dataAbsentReason, or no value at all: data.ungradable
	ProblemValueText     = "value-text"     // text or a code where a number is needed: data.ungradable
	ProblemValueRange    = "value-range"    // more digits than can be compared exactly: data.ungradable
	ProblemNoCategory    = "no-category"    // a response that is none of the protocol's categories, or two: data.ungradable
	ProblemNoTerm        = "no-term"        // an AdverseEvent that names no term of the CTCAE, or two: data.ungradable
	ProblemNoGrade       = "no-grade"       // an AdverseEvent without a grade of 1 to 5, or with two: data.ungradable
	ProblemStatusUnknown = "status-unknown" // status "unknown": data.ungradable
	ProblemUnitFamily    = "unit-family"    // only as a Doubt: the code names another family of units than the unit: data.implausible
)

// DetailNoUnit is the detail of a value without any unit.
const DetailNoUnit = "no unit"

// DetailRateOnly is the detail of an amount of which only the rate was sent.
const DetailRateOnly = "rate only"

// Quantity is a number with its unit as it was sent and in the canonical unit of its analyte or dimension.
type Quantity struct {
	Value      decimal.Number `json:"value"`                // in the canonical unit
	Comparator string         `json:"comparator,omitempty"` // "", "<", "<=", ">=", ">": the real value lies there
	Text       string         `json:"text"`                 // the digits as sent: "0.420"
	Unit       string         `json:"unit,omitempty"`       // the unit as sent: "10*3/uL"
}

// String writes the quantity as it was sent: "<0.1 10*3/uL".
func (q Quantity) String() string {
	s := q.Comparator + q.Text
	if q.Unit != "" {
		s += " " + q.Unit
	}
	return s
}

// Analytes: what a result measures, with the canonical unit of [Quantity.Value]. Mass and molar concentrations are different analytes, never
// converted into each other: their limits were rounded apart.
const (
	Neutrophils        = "neutrophils"         // absolute count, 10*9/L
	NeutrophilsPercent = "neutrophils-percent" // of leukocytes, segmented and bands together, %
	Segs               = "segs"                // absolute count of segmented neutrophils, 10*9/L
	SegsPercent        = "segs-percent"        // %
	Bands              = "bands"               // absolute count of band forms, 10*9/L
	BandsPercent       = "bands-percent"       // %
	Leukocytes         = "leukocytes"          // 10*9/L
	Lymphocytes        = "lymphocytes"         // absolute count, 10*9/L
	CD4                = "cd4"                 // CD4+ lymphocytes, absolute count, 10*9/L
	Platelets          = "platelets"           // 10*9/L
	HemoglobinMass     = "hemoglobin-mass"     // g/L
	HemoglobinMolar    = "hemoglobin-molar"    // mmol/L, of the monomer

	ALT     = "alt"     // U/L, as every enzyme
	AST     = "ast"     //
	ALP     = "alp"     //
	GGT     = "ggt"     //
	LDH     = "ldh"     //
	Lipase  = "lipase"  //
	Amylase = "amylase" //
	CPK     = "cpk"     //

	CreatinineMass        = "creatinine-mass"         // mg/dL
	CreatinineMolar       = "creatinine-molar"        // umol/L
	CreatinineClearance   = "creatinine-clearance"    // mL/min
	BilirubinMass         = "bilirubin-mass"          // total, mg/dL
	BilirubinMolar        = "bilirubin-molar"         // total, umol/L
	Sodium                = "sodium"                  // mmol/L
	Potassium             = "potassium"               // mmol/L
	CalciumMass           = "calcium-mass"            // total, mg/dL
	CalciumMolar          = "calcium-molar"           // total, mmol/L
	CalciumCorrectedMass  = "calcium-corrected-mass"  // corrected for albumin by the laboratory, mg/dL
	CalciumCorrectedMolar = "calcium-corrected-molar" // mmol/L
	CalciumIonizedMass    = "calcium-ionized-mass"    // mg/dL
	CalciumIonizedMolar   = "calcium-ionized-molar"   // mmol/L
	MagnesiumMass         = "magnesium-mass"          // mg/dL
	MagnesiumMolar        = "magnesium-molar"         // mmol/L
	PhosphateMass         = "phosphate-mass"          // as phosphorus, mg/dL
	PhosphateMolar        = "phosphate-molar"         // mmol/L
	GlucoseMass           = "glucose-mass"            // not known to be fasting, mg/dL
	GlucoseMolar          = "glucose-molar"           // mmol/L
	GlucoseFastingMass    = "glucose-fasting-mass"    // mg/dL
	GlucoseFastingMolar   = "glucose-fasting-molar"   // mmol/L
	UrateMass             = "urate-mass"              // mg/dL
	UrateMolar            = "urate-molar"             // umol/L
	CholesterolMass       = "cholesterol-mass"        // total, mg/dL
	CholesterolMolar      = "cholesterol-molar"       // mmol/L
	HDLMass               = "hdl-mass"                // mg/dL
	HDLMolar              = "hdl-molar"               // mmol/L
	LDLMass               = "ldl-mass"                // mg/dL
	LDLMolar              = "ldl-molar"               // mmol/L
	TriglyceridesMass     = "triglycerides-mass"      // mg/dL
	TriglyceridesMolar    = "triglycerides-molar"     // mmol/L
	Albumin               = "albumin"                 // g/L
	Fibrinogen            = "fibrinogen"              // g/L
	Haptoglobin           = "haptoglobin"             // g/L
	INR                   = "inr"                     // a ratio, 1
	APTT                  = "aptt"                    // s
	PH                    = "ph"                      // of arterial blood, 1
	TSH                   = "tsh"                     // m[IU]/L
	FreeT4Mass            = "free-t4-mass"            // ng/dL
	FreeT4Molar           = "free-t4-molar"           // pmol/L

	Temperature = "temperature"  // body temperature at any site of measurement, Cel
	Weight      = "weight"       // kg
	Height      = "height"       // cm
	Systolic    = "systolic"     // mm[Hg]
	Diastolic   = "diastolic"    // mm[Hg]
	HeartRate   = "heart-rate"   // /min
	SpO2        = "spo2"         // oxygen saturation of arterial blood, by oximetry or gas analysis, %
	PaO2        = "pao2"         // partial pressure of oxygen in arterial blood, mm[Hg]
	OxygenFlow  = "oxygen-flow"  // inhaled, L/min
	FiO2        = "fio2"         // inhaled oxygen concentration, %
	UrineOutput = "urine-output" // mL between [Fact.At] and [Fact.End]
	LVEF        = "lvef"         // left ventricular ejection fraction, %
	QTc         = "qtc"          // corrected QT interval, ms
	ICEScore    = "ice-score"    // immune effector cell-associated encephalopathy score, 0 to 10
)

// Result is one measured value of an Observation or of one of its components.
type Result struct {
	Analyte string   `json:"analyte"`
	Value   Quantity `json:"value,omitzero"` // meaningless where Problem is set
	// Low and High are the limits of normal in the analyte's canonical unit, nil where the resource gives none that can be read.
	Low  *decimal.Number `json:"low,omitempty"`
	High *decimal.Number `json:"high,omitempty"`
	// SiteNormal says that Low and High are the site's own: the resource names no limits of normal.
	SiteNormal bool `json:"siteNormal,omitempty"`
	// Flag is Observation.interpretation as far as it says where the value lies: "H" above normal, "L" below, "N" normal, "" unknown.
	Flag     string   `json:"flag,omitempty"`
	Specimen string   `json:"specimen,omitempty"` // reference or identifier of the specimen, "" if not named
	Problem  *Problem `json:"problem,omitempty"`
	// Doubt says what contradicts itself in a value that is used all the same, nil where nothing does: its LOINC code names moles and its unit
	// mass, say. What rests on it needs review.
	Doubt *Problem `json:"doubt,omitempty"`
}

// Drugs and procedures that rules name.
const (
	Aldesleukin      = "aldesleukin"
	Cyclophosphamide = "cyclophosphamide"
	Fludarabine      = "fludarabine"
	Mesna            = "mesna" // with cyclophosphamide, for the bladder
	Pembrolizumab    = "pembrolizumab"
	TIL              = "til" // infusion of tumour-infiltrating lymphocytes, as Procedure or MedicationAdministration

	Steroid = "steroid" // systemic or local glucocorticoids: methylprednisolone, dexamethasone, prednisone, prednisolone, hydrocortisone

	// Read for what treatment says of a grade.
	Vasopressor   = "vasopressor"   // norepinephrine, epinephrine, phenylephrine, vasopressin, dopamine
	Crystalloid   = "crystalloid"   // intravenous fluid: saline, lactated Ringer's, balanced solutions
	Meperidine    = "meperidine"    // pethidine
	Levothyroxine = "levothyroxine" // thyroid replacement

	// NewTherapy is treatment of the cancer outside the trial: a response after it is not the trial's.
	NewTherapy = "new-anticancer-therapy"
)

// TumorResponse is the concept of an Observation that says how the tumour has responded. Each category is a concept as well, "tumor-response-CR".
const TumorResponse = "tumor-response"

// Category is an overall response by RECIST 1.1 at one time point.
type Category string

// Categories, the best first. The zero value is none.
const (
	CR Category = "CR" // complete response
	PR Category = "PR" // partial response
	SD Category = "SD" // stable disease
	PD Category = "PD" // progressive disease
	NE Category = "NE" // not evaluable
)

// Categories are all categories, the best first.
var Categories = []Category{CR, PR, SD, PD, NE}

// Concept is the name under which codes of a category are known.
func (c Category) Concept() string { return TumorResponse + "-" + string(c) }

// Response is one assessment of the tumour. Its clinical time is that of the assessment: of a progression it is the date of progression.
type Response struct {
	Category Category `json:"category,omitempty"` // "" where Problem is set
	Problem  *Problem `json:"problem,omitempty"`
}

// Dose is one MedicationAdministration.
type Dose struct {
	Drug   string `json:"drug"`   // "" where only Medication can tell, and that has not come
	Status string `json:"status"` // FHIR code: completed, in-progress, not-done, on-hold, stopped, unknown
	// Medication is the resource that says what was given, "Medication/<id>", or "" where the administration says so itself. Drug is then what the
	// reference's display says, until package site has joined the two.
	Medication string `json:"medication,omitempty"`
	// Reasons are the codes of statusReason as "system|code".
	Reasons []string `json:"reasons,omitempty"`
	// Amount is the dose in the canonical unit of Dimension, nil where none was sent or it could not be read.
	Amount *Quantity `json:"amount,omitempty"`
	// AmountProblem says why an amount that was sent is not in Amount, nil where none was sent or it is.
	AmountProblem *Problem `json:"amountProblem,omitempty"`
	// Dimension of Amount: "[iU]", "mg", "mL", or one of them with "/kg" or "/m2".
	Dimension string `json:"dimension,omitempty"`
	// RouteUnknown says that a route was sent and is none that is known.
	RouteUnknown bool   `json:"routeUnknown,omitempty"`
	Route        string `json:"route,omitempty"` // "IV", "SC", "PO", "local" for one that hardly reaches the blood, or "" where not sent or not known
	// For are the concepts of reasonCode that rules name, such as "adrenal-insufficiency".
	For     []string `json:"for,omitempty"`
	Problem *Problem `json:"problem,omitempty"`
	// Strength is what the product holds of the drug, nil where that is not known.
	Strength *Strength `json:"strength,omitempty"`

	// Product is the version of the Medication that Drug and Strength come from, nil while there is none, and Doubtful says that a newer version of
	// it was refused. Package site sets both; they are never stored.
	Product  *Fact `json:"-"`
	Doubtful bool  `json:"-"`
}

// Product is one Medication: what administrations that refer to it gave.
type Product struct {
	Drug string `json:"drug,omitempty"` // "" for none that rules read
	// Other says, where Drug is "", that the resource plainly names another drug: in words, or by a code of a system that rules know. Otherwise its
	// codes mean nothing here, and the display of a reference to it may know better.
	Other    bool      `json:"other,omitempty"`
	Strength *Strength `json:"strength,omitempty"`
}

// Strength is how much of a drug a quantity of a product holds: 18 MIU in 1 mL. The ratio is not divided, so that it stays exact.
type Strength struct {
	Amount    Quantity `json:"amount"`    // in the canonical unit of Dimension
	Dimension string   `json:"dimension"` // as [Dose.Dimension], without "/kg" and "/m2"
	// Per is the quantity of the product that holds Amount, greater than zero.
	Per          Quantity `json:"per"`
	PerDimension string   `json:"perDimension"`
}

// String writes a strength as it was sent: "18 MIU in 1 mL".
func (s *Strength) String() string { return s.Amount.String() + " in " + s.Per.String() }

// Given reports whether some of the drug went into the patient: completed or in progress, or stopped after a dose greater than zero.
func (d *Dose) Given() bool {
	switch d.Status {
	case "completed", "in-progress":
		return true
	case "stopped":
		return d.Amount != nil && d.Amount.Value.Sign() > 0
	}
	return false
}

// Procedure is one Procedure that the protocol names.
type Procedure struct {
	Kind   string `json:"kind"`   // [TIL]
	Status string `json:"status"` // FHIR code: completed, in-progress, not-done, …

	// Product and Doubtful are those of [Dose], where an administration of cells is one of a Medication.
	Product  *Fact `json:"-"`
	Doubtful bool  `json:"-"`
}

// AdverseEvent is one AdverseEvent: a toxicity as a clinician graded it. [Fact.At] is when it occurred, and [Fact.End] when it was over, zero where nobody says so.
type AdverseEvent struct {
	Term    string   `json:"term,omitempty"`  // of some version of the CTCAE, in kebab case; "" where the resource names none, or two
	Grade   int      `json:"grade,omitempty"` // 1 to 5; 0 where the resource gives none, or two
	Over    bool     `json:"over,omitempty"`  // the outcome says that it has resolved; when, only [Fact.End] tells
	Problem *Problem `json:"problem,omitempty"`
}

// Order is one MedicationRequest. [Fact.At] is when it was last updated, zero where the resource does not say.
type Order struct {
	Drug   string `json:"drug"`   // "" where only Medication can tell, and that has not come
	Status string `json:"status"` // FHIR code: active, on-hold, completed, stopped, draft, unknown
	// Medication, Product and Doubtful are those of [Dose].
	Medication string `json:"medication,omitempty"`
	Product    *Fact  `json:"-"`
	Doubtful   bool   `json:"-"`
}

// ClinicianGrade is the concept of an AdverseEvent.
const ClinicianGrade = "clinician-grade"

// Enrolment is one ResearchSubject.
type Enrolment struct {
	Study       string   `json:"study"`                 // "ResearchStudy/<id>" normalised, or "system|value"
	Status      string   `json:"status"`                // FHIR code
	Identifiers []string `json:"identifiers,omitempty"` // "system|value" in the order sent
	AssignedArm string   `json:"assignedArm,omitempty"`
	ActualArm   string   `json:"actualArm,omitempty"`
	// Start and End of ResearchSubject.period; Start is zero where the resource gives none.
	Start Time `json:"start,omitzero"`
	// EndsAt is the start of the day after a date-only end, else the end itself.
	EndsAt time.Time `json:"endsAt,omitzero"`
}

// Inpatient is the concept of an Encounter's class that is a stay in hospital.
const Inpatient = "inpatient"

// Encounter is one Encounter. [Fact.At] is the start of its period and [Fact.End] the end: the start of the day after a date-only end, zero where the
// resource gives none. An Encounter that is no stay in hospital has neither: it is kept because a later version, or an earlier one, may be a stay. One
// whose Problem is set is a stay whose start nobody sent.
type Encounter struct {
	Class     string   `json:"class"` // code as sent: "IMP"
	Inpatient bool     `json:"inpatient,omitempty"`
	Problem   *Problem `json:"problem,omitempty"`
	Status    string   `json:"status"`         // FHIR code: planned, arrived, triaged, in-progress, onleave, finished, unknown
	Ended     Time     `json:"ended,omitzero"` // the end of the period as it was sent
}

// Stay reports whether the patient is or was in hospital by what the Encounter says: a planned one is only an intention.
func (e *Encounter) Stay() bool { return e.Inpatient && e.Status != "planned" && e.Problem == nil }

// Person is what is read of a Patient resource: identifiers, links and death; and sex and date of birth, from which creatinine clearance is
// calculated. Nothing else.
type Person struct {
	Identifiers []string `json:"identifiers,omitempty"` // "system|value"
	ReplacedBy  string   `json:"replacedBy,omitempty"`  // "Patient/<id>" of the surviving record
	Sex         string   `json:"sex,omitempty"`         // "male", "female", or "" where it is another word or not known
	Born        string   `json:"born,omitempty"`        // "1968-02-29", "" where the day is not known
	Deceased    Time     `json:"deceased,omitzero"`
	// DiedUndated says that the patient has died and the resource names no day.
	DiedUndated bool `json:"diedUndated,omitempty"`
}
