package offline

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/alert"
)

// FindingChange is a finding that two evaluations of the same files do not agree on. Old is nil for one that appears, New for one that vanishes.
type FindingChange struct {
	Change string         `json:"change"` // appears, vanishes or changes
	What   []string       `json:"what"`   // of one that changes, in words: "grade 4 → 3"
	Old    *rules.Finding `json:"old"`
	New    *rules.Finding `json:"new"`
}

// Changes of a finding.
const (
	Appears  = "appears"
	Vanishes = "vanishes"
	Changes  = "changes"
)

// Compare says which findings appear, vanish and change between two answers about the same files at one instant, sorted as findings are, and how many are
// the same. Findings belong together as alerts do; renamed says which old rule goes by which new id, for a term that has another name in another version of
// the CTCAE. One of which only the version, the wording or the evidence differs counts as the same.
func Compare(old, new []rules.Finding, renamed map[string]string, now time.Time) (changes []FindingChange, same int) {
	type patient struct{ study, site, subject string }
	of := func(f *rules.Finding) patient { return patient{f.Study, f.Site, f.Subject} }
	olds, news := map[patient][]rules.Finding{}, map[patient][]rules.Finding{}
	var order []patient
	for _, side := range []struct {
		findings []rules.Finding
		by       map[patient][]rules.Finding
	}{{old, olds}, {new, news}} {
		for i := range side.findings {
			p := of(&side.findings[i])
			if !slices.Contains(order, p) {
				order = append(order, p)
			}
			side.by[p] = append(side.by[p], side.findings[i])
		}
	}
	slices.SortFunc(order, func(a, b patient) int {
		return cmp.Or(strings.Compare(a.subject, b.subject), strings.Compare(a.study, b.study), strings.Compare(a.site, b.site))
	})
	for _, p := range order {
		cs, n := comparePatient(olds[p], news[p], renamed, now)
		changes, same = append(changes, cs...), same+n
	}
	return changes, same
}

// comparePatient takes the old findings as told and asks what there is to tell.
func comparePatient(old, new []rules.Finding, renamed map[string]string, now time.Time) (changes []FindingChange, same int) {
	cause := alert.Cause{Now: now}
	byID := map[string]*rules.Finding{}
	before := slices.Clone(old)
	for i := range before {
		if name, ok := renamed[old[i].Rule]; ok {
			_, rest, _ := strings.Cut(old[i].ID, "/")
			before[i].Rule, before[i].ID = name, rules.Escape(name)+"/"+rest
		}
		byID[before[i].ID] = &old[i]
	}
	var told []alert.Told
	for _, e := range alert.Diff(nil, before, cause) {
		told = alert.Fold(told, e)
	}
	byAlert := map[string]*rules.Finding{} // an alert is named for the finding as which it was first told
	for i := range told {
		byAlert[told[i].Alert] = byID[told[i].Finding.ID]
	}
	last := map[string]alert.Event{}
	var names []string
	for _, e := range alert.Diff(told, new, cause) {
		if _, seen := last[e.Alert]; !seen {
			names = append(names, e.Alert)
		}
		last[e.Alert] = e
	}
	touched := 0
	for _, name := range names {
		e, was := last[name], byAlert[name]
		f := e.Finding
		f.Kind = "finding"
		switch {
		case was == nil:
			changes = append(changes, FindingChange{Change: Appears, New: &f})
		case e.Transition == alert.Retracted:
			changes = append(changes, FindingChange{Change: Vanishes, Old: was})
			touched++
		default:
			if what := differences(was, &f); what != nil {
				changes = append(changes, FindingChange{Change: Changes, What: what, Old: was, New: &f})
				touched++
			}
		}
	}
	slices.SortStableFunc(changes, func(a, b FindingChange) int { return cmp.Or(a.New, a.Old).Compare(cmp.Or(b.New, b.Old)) })
	return changes, len(old) - touched
}

// differences are what two findings say differently, but for wording and evidence, in words.
func differences(a, b *rules.Finding) []string {
	var what []string
	note := func(name, x, y string) {
		if x != y {
			what = append(what, fmt.Sprintf("%s %s → %s", name, cmp.Or(x, "none"), cmp.Or(y, "none")))
		}
	}
	clock := func(t time.Time) string { return t.Format("2006-01-02 15:04") }
	end := func(f *rules.Finding) string {
		if f.End == nil {
			return ""
		}
		return clock(*f.End)
	}
	note("term", a.Term, b.Term)
	note("grade", GradeText(a), GradeText(b))
	note("status", string(a.Status), string(b.Status))
	note("onset", clock(a.Onset), clock(b.Onset))
	note("end", end(a), end(b))
	note("urgency", string(a.Urgency), string(b.Urgency))
	note("importance", string(a.Importance), string(b.Importance))
	note("expected", yesNo(a.Expected), yesNo(b.Expected))
	note("needs review", yesNo(a.NeedsReview), yesNo(b.NeedsReview))
	note("arm", a.Arm, b.Arm)
	note("current grade", number(a.Current), number(b.Current))
	note("baseline grade", number(a.BaselineGrade), number(b.BaselineGrade))
	if a.TreatmentEmergent != nil && b.TreatmentEmergent != nil {
		note("treatment-emergent", yesNo(*a.TreatmentEmergent), yesNo(*b.TreatmentEmergent))
	}
	return what
}

// GradeText is "3", "2 to 4", "up to 3" for a proposal, or "" where a finding has no grade.
func GradeText(f *rules.Finding) string {
	switch {
	case f.Grade != nil && f.GradeMax != nil && *f.Grade != *f.GradeMax:
		return fmt.Sprintf("%d to %d", *f.Grade, *f.GradeMax)
	case f.Grade != nil:
		return number(f.Grade)
	case f.GradeMax != nil:
		return "up to " + number(f.GradeMax)
	}
	return ""
}

func number(n *int) string {
	if n == nil {
		return ""
	}
	return fmt.Sprint(*n)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// MarshalJSON writes a line of JSON with its kind.
func (c FindingChange) MarshalJSON() ([]byte, error) {
	type plain FindingChange
	if c.What == nil {
		c.What = []string{}
	}
	return json.Marshal(struct {
		Kind string `json:"kind"`
		plain
	}{"finding-change", plain(c)})
}
