package rules

import (
	"time"
)

// Explanation is everything that [Evaluate] says of a patient in a study, with its proof. Times are shown in the study's zone.
type Explanation struct {
	Kind     string          `json:"kind"` // always "explanation"
	Study    string          `json:"study"`
	Protocol ProtocolVersion `json:"protocol"`
	Site     string          `json:"site"`
	Subject  string          `json:"subject"`
	Arm      string          `json:"arm"`
	AsOf     time.Time       `json:"asOf"`
	// Enrolment is the ResearchSubject that counts; ArmAsSent is its assigned arm in the words of the feed.
	Enrolment FactProof  `json:"enrolment"`
	ArmAsSent string     `json:"armAsSent"`
	OffStudy  *time.Time `json:"offStudy"` // null while on it
	Day0      *Day0Proof `json:"day0"`     // null while there is none
	// Treated and LastTreatment are the first and the last dose of any treatment of the study, null while there is none.
	Treated       *time.Time      `json:"treated"`
	LastTreatment *time.Time      `json:"lastTreatment"`
	DosingWeight  *FactProof      `json:"dosingWeight"` // null where none is known, or the protocol compares no doses
	Baselines     []BaselineProof `json:"baselines"`    // of the analytes that were measured and are compared with theirs
	Courses       []CourseProof   `json:"courses"`      // of the regimens of the assigned arm
	// Assessments are what the protocol asks to be examined, of those whose days are known.
	Assessments []AssessmentProof `json:"assessments"`
	Findings    []Proof           `json:"findings"` // sorted as Evaluate sorts them
}

// ProtocolVersion names a protocol file.
type ProtocolVersion struct {
	Version string `json:"version"`
	Hash    string `json:"hash"`
	CTCAE   string `json:"ctcae"`
}

// FactProof is a record as it counts.
type FactProof struct {
	Ref      string    `json:"ref"`
	Version  string    `json:"version"` // meta.versionId, "" where the feed sends none
	Role     string    `json:"role"`
	At       time.Time `json:"at"`       // clinical time
	Received time.Time `json:"received"` // zero for an instant at which something should have been
	Value    string    `json:"value"`    // as it was sent
	// Canonical is the value in the unit in which it is compared, "" where that is how it was sent.
	Canonical string   `json:"canonical"`
	Notes     []string `json:"notes"` // preliminary, in doubt, …
}

// Day0Proof is the infusion that defines day 0.
type Day0Proof struct {
	Date  string    `json:"date"` // the study's calendar
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	Fact  FactProof `json:"fact"`
}

// BaselineProof is the baseline of an analyte, or why there is none.
type BaselineProof struct {
	Analyte string     `json:"analyte"`
	Fact    *FactProof `json:"fact"`   // null where there is no baseline
	Flag    string     `json:"flag"`   // high, low, normal or unknown: how it lay to its limits of normal
	Normal  string     `json:"normal"` // "7 to 40", "" where no limit is known
	Why     string     `json:"why"`
}

// CourseProof is a regimen as it went.
type CourseProof struct {
	Regimen  string      `json:"regimen"`
	Title    string      `json:"title"`
	Schedule string      `json:"schedule"`
	Cite     string      `json:"cite"`
	InForce  string      `json:"inForce"` // "from 2026-05-01", "" for always: only what was due then is judged by this version of the regimen
	Given    int         `json:"given"`
	Ends     *time.Time  `json:"ends"` // when expectations end, null while that is not known
	Slots    []SlotProof `json:"slots"`
	// Outside are records that fill no slot: beyond the course, second records of one dose, of another arm's regimen.
	Outside []FactProof `json:"outside"`
}

// SlotProof is one dose that was expected, and what filled it.
type SlotProof struct {
	Number     int        `json:"number"`
	Due        time.Time  `json:"due"`
	From       time.Time  `json:"from"`       // in time from
	To         time.Time  `json:"to"`         // to, both included
	MissedFrom time.Time  `json:"missedFrom"` // with no record
	State      string     `json:"state"`      // given, held, refused, missed, pending, or "not judged"
	Timing     string     `json:"timing"`     // of a given dose: in time, early or late, with by how much
	Record     *FactProof `json:"record"`     // null where nothing fills it
	Amount     string     `json:"amount"`     // of a given dose: how it lies to the planned one, "" where that is not compared
}

// AssessmentProof is an assessment as it went.
type AssessmentProof struct {
	Assessment string       `json:"assessment"`
	Title      string       `json:"title"`
	ByHours    bool         `json:"byHours"` // due after hours, not on days
	Start      time.Time    `json:"start"`   // of what its times are counted from
	InForce    string       `json:"inForce"`
	Cite       string       `json:"cite"`
	Times      []VisitProof `json:"times"` // that have come, and the next
}

// VisitProof is one time at which an assessment was due, and what shows that it was made.
type VisitProof struct {
	Label   string      `json:"label"` // "day 3"
	Due     time.Time   `json:"due"`
	From    time.Time   `json:"from"` // in time from
	To      time.Time   `json:"to"`   // to; it is missed from then on
	State   string      `json:"state"`
	Timing  string      `json:"timing"`  // of one that was made: "in time", or by how much not
	Shown   []FactProof `json:"shown"`   // the results
	Missing []string    `json:"missing"` // what is needed and was not sent
}

// Proof is a finding with why it is true.
type Proof struct {
	Finding
	Because []string       `json:"because"` // in sentences
	Steps   []InstantProof `json:"steps"`   // of a graded toxicity: every result of the episode as it was graded
	Holds   []HoldProof    `json:"holds"`   // of a dose that was held, or given all the same: every criterion
	Facts   []FactProof    `json:"facts"`   // the evidence, with when it was received and what was compared
	Source  string         `json:"source"`
}

// InstantProof is one instant of a toxicity: what was graded, by which limits, and what that gave.
type InstantProof struct {
	At       time.Time         `json:"at"`
	Value    string            `json:"value"`    // as sent, or how it was derived
	Compared string            `json:"compared"` // the number that was compared, with its unit
	Operands map[string]string `json:"operands"` // LLN, ULN, baseline, change, threshold: what is known of them
	Baseline string            `json:"baseline"` // by which the limits were picked: "", high, low or above ULN
	Limits   []LimitProof      `json:"limits"`   // worst grade first
	Grade    string            `json:"grade"`    // "3", "2 to 4", "up to 3", or "none: no upper limit of normal"
	Ends     bool              `json:"ends"`     // it ended the episode
}

// LimitProof is one step of a criterion as it came out.
type LimitProof struct {
	Grade  int      `json:"grade"`
	Text   string   `json:"text"`   // "> 3 x ULN"
	Limits []string `json:"limits"` // what that is in numbers: "120"
	Answer string   `json:"answer"` // yes, no, undecided, or unknown with what is missing
	// Assumes is what the data may not tell, "" for nothing, and Settled whether it is known: yes, no or undecided.
	Assumes string `json:"assumes"`
	Settled string `json:"settled"`
}

// HoldProof is a hold criterion as it stood before a dose.
type HoldProof struct {
	Hold   string      `json:"hold"`
	Title  string      `json:"title"`
	From   time.Time   `json:"from"` // values from then
	To     time.Time   `json:"to"`   // to then count, both included
	Value  string      `json:"value"`
	Facts  []FactProof `json:"facts"`  // the last value, none where there is none
	Limits []string    `json:"limits"` // "absolute: creatinine-mass >= 3 mg/dL: no"
	Met    string      `json:"met"`    // absolute, relative, or "" for no
	Cite   string      `json:"cite"`
}
