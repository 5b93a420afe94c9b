package rules

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/rules/protocol"
)

// Status of a finding.
type Status string

// A finding is open while it is true or stands, resolved once it was true and has ended.
const (
	Open     Status = "open"
	Resolved Status = "resolved"
)

// Urgency says how soon somebody should look. It is not a grade, not seriousness and not importance.
type Urgency string

// Urgencies, most urgent first.
const (
	Urgent  Urgency = "urgent"
	Prompt  Urgency = "prompt"
	Routine Urgency = "routine"
	Log     Urgency = "log"
)

// Importance of a deviation from the protocol (ICH E3 Q&A R1).
type Importance string

// Importances; the zero value is null in JSON: the finding is not a deviation.
const (
	Important Importance = "important"
	Minor     Importance = "minor"
	Query     Importance = "query"
)

// MarshalJSON writes null for an importance that there is none of.
func (i Importance) MarshalJSON() ([]byte, error) {
	if i == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(i))
}

// Finding is one thing that is or was true of one patient in one study. Times are shown in the zone of the site, which is the
// study's where a site has none of its own.
type Finding struct {
	Kind    string `json:"kind,omitempty"` // always "finding"; "" within an alert
	ID      string `json:"id"`
	Rule    string `json:"rule"`
	Study   string `json:"study"`
	Site    string `json:"site"`
	Subject string `json:"subject"`
	Arm     string `json:"arm"` // assigned arm, or "unassigned"
	Status  Status `json:"status"`
	Term    string `json:"term"`  // CTCAE term; "" where the finding is not a toxicity
	CTCAE   string `json:"ctcae"` // version; "" where the finding is not a toxicity
	// Grade is the worst certain grade in the episode and GradeMax the worst possible; Current is the latest result's. nil where
	// there is none: ungradable is not grade 0.
	Grade    *int `json:"grade"`
	GradeMax *int `json:"gradeMax"`
	Current  *int `json:"current"`
	// BaselineGrade is the grade of the last result before the first study treatment, nil where there is none, and TreatmentEmergent says
	// whether the toxicity began or grew worse than it under treatment. Both are left out where the finding is no graded toxicity.
	BaselineGrade     *int       `json:"baselineGrade,omitempty"`
	TreatmentEmergent *bool      `json:"treatmentEmergent,omitempty"`
	NeedsReview       bool       `json:"needsReview"` // a clinician must settle something
	Onset             time.Time  `json:"onset"`       // clinical time
	End               *time.Time `json:"end"`         // clinical time, nil while open
	Detected          time.Time  `json:"detected"`    // when it could first be known: receipt, or the timer's instant
	Urgency           Urgency    `json:"urgency"`
	Expected          bool       `json:"expected"`
	Importance        Importance `json:"importance"`
	Evidence          []Evidence `json:"evidence"`
	Message           string     `json:"message"`
	// Protocol is the file by which this was judged. It is no part of what alerts compare: another file that comes to the same is no news.
	Protocol protocol.Pin `json:"protocol,omitzero"`

	// Key separates findings of one rule that can share an onset; "" is "-". Only a rule sets it: see [KeyOf] for one that was read.
	Key string `json:"-"`
	// Softened says that another finding speaks for this one: it is routine at most, whatever the protocol says of the rule. Only a rule sets it.
	Softened bool `json:"-"`
	// ConfirmedGrade is the worst grade without preliminary results: what aggregates count.
	ConfirmedGrade int `json:"-"`
	// Rises are when the confirmed grade rose under treatment, each to a grade above the one before and above the baseline's.
	Rises []Rise `json:"-"`
}

// Rise is a grade that a toxicity reached.
type Rise struct {
	Grade     int
	At, Known time.Time // clinical time, and when that could first be known
}

// rise notes a confirmed grade under treatment, if it is the highest so far.
func (f *Finding) rise(grade int, at, known time.Time) {
	if n := len(f.Rises); n == 0 || grade > f.Rises[n-1].Grade {
		f.Rises = append(f.Rises, Rise{grade, at, known})
	}
}

// Evidence is one fact that a finding rests on, or one instant at which something should have been.
type Evidence struct {
	Ref     string    `json:"ref"`     // "Observation/anc-1"; "" for an instant such as a due time
	Version string    `json:"version"` // meta.versionId, "" where the feed sends none
	Role    string    `json:"role"`    // what it says: neutrophils, temperature, dose, due, …
	At      time.Time `json:"at"`      // clinical time
	Value   string    `json:"value"`   // as it was sent
}

// FindingID is rule / study / subject / key / onset in UTC, each part escaped.
func FindingID(rule, study, subject, key string, onset time.Time) string {
	return strings.Join([]string{Escape(rule), Escape(study), Escape(subject), Escape(key), onset.UTC().Format(time.RFC3339Nano)}, "/")
}

// KeyOf is the escaped key in a finding's id, or "-".
func KeyOf(id string) string {
	parts := strings.Split(id, "/")
	if len(parts) != 5 {
		return "-"
	}
	return parts[3]
}

// Escape writes every byte outside [A-Za-z0-9._:-] as ~XX. An empty text is "~".
func Escape(s string) string {
	const hex = "0123456789ABCDEF"
	if s == "" {
		return "~"
	}
	clean := true
	for i := range len(s) {
		clean = clean && plainByte(s[i])
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if plainByte(s[i]) {
			b.WriteByte(s[i])
		} else {
			b.WriteByte('~')
			b.WriteByte(hex[s[i]>>4])
			b.WriteByte(hex[s[i]&15])
		}
	}
	return b.String()
}

func plainByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == ':' || c == '-'
}

// Compare orders findings as they are printed: by subject, onset, rule and id.
func (f *Finding) Compare(o *Finding) int {
	if c := strings.Compare(f.Subject, o.Subject); c != 0 {
		return c
	}
	if c := f.Onset.Compare(o.Onset); c != 0 {
		return c
	}
	if c := strings.Compare(f.Rule, o.Rule); c != 0 {
		return c
	}
	return strings.Compare(f.ID, o.ID)
}
