// Package alert turns the difference between what was told and what is found into what to tell.
//
// An alert is the story of a finding: opened, updated, resolved, retracted, and opened again if it comes back, under one name and with versions
// 1, 2, 3 … without a gap. [Diff] is pure, and folding its events over what was told gives exactly what is found, so a crash between two
// commits costs nothing: evaluate again and tell what is still missing.
package alert

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// Transition is what an event tells.
type Transition string

// Transitions. Opened is told again for an alert that comes back after it was resolved or retracted.
const (
	Opened    Transition = "opened"
	Updated   Transition = "updated"
	Resolved  Transition = "resolved"
	Retracted Transition = "retracted"
)

// Event is one transition of one alert, with the finding as it stands.
type Event struct {
	Kind       string     `json:"kind"` // always "alert"
	Alert      string     `json:"alert"`
	Transition Transition `json:"transition"`
	Version    int        `json:"version"` // from 1
	At         time.Time  `json:"at"`      // the evaluating now
	Reason     string     `json:"reason"`
	Material   bool       `json:"material"` // false: only evidence or wording changed
	Input      uint64     `json:"input"`    // how much of the input had been read
	rules.Finding
}

// Told is what was last told of an alert. The zero value is an alert of which nothing was told.
type Told struct {
	Alert      string     `json:"alert"`
	Transition Transition `json:"transition"` // the last one
	Version    int        `json:"version"`
	Digest     string     `json:"digest"`    // of the finding without detected and protocol
	Substance  string     `json:"substance"` // of the finding without detected, protocol, evidence and message
	// Finding as last told, without its evidence.
	Finding rules.Finding `json:"finding"`
}

// Cause says why an evaluation took place.
type Cause struct {
	Now    time.Time
	Reason string // "Observation/anc-1 version 2", "timer", "protocol 1a2b → 3c4d"
	Input  uint64
	// Protocol judged; a retraction names it, since what is retracted was judged by another one perhaps.
	Protocol protocol.Pin
}

// Diff compares what was told of one patient with what is found and returns the events to tell, in a fixed order: retractions first, then by
// finding. [Fold] over them gives the new state.
func Diff(told []Told, findings []rules.Finding, cause Cause) []Event {
	return DiffSince(nil, told, findings, cause)
}

// DiffSince is Diff where told is known to be what was found before, all of it and no more, in the order of [rules.Finding.Compare]: of a finding that
// is still the same no fingerprint is taken. before is nil where that is not known.
func DiffSince(before []rules.Finding, told []Told, findings []rules.Finding, cause Cause) []Event {
	pairs, merged := pair(told, findings, cause.Now)
	var events []Event
	for i := range told {
		if _, paired := pairs[i]; paired || told[i].Transition == Retracted {
			continue
		}
		reason := "no longer supported"
		if name, ok := merged[i]; ok {
			reason = "merged into " + name
		}
		if cause.Reason != "" {
			reason += ": " + cause.Reason
		}
		f := told[i].Finding
		f.Evidence, f.Protocol = []rules.Evidence{}, cause.Protocol
		events = append(events, event(told[i].Alert, told[i].Version+1, Retracted, f, true, reason, cause))
	}
	byFinding := make(map[int]int, len(pairs))
	for i, j := range pairs {
		byFinding[j] = i
	}
	for j := range findings {
		f := findings[j]
		var was Told
		if i, paired := byFinding[j]; paired {
			was = told[i]
			if was.Finding.ID == f.ID && was.Transition != Retracted && stands(before, &findings[j]) {
				continue
			}
		} else {
			was = Told{Alert: f.ID}
		}
		events = append(events, transitions(was, f, cause)...)
	}
	return events
}

// transitions leads from what was told of one alert to a finding.
func transitions(was Told, f rules.Finding, cause Cause) []Event {
	version := was.Version
	next := func(t Transition, f rules.Finding, material bool, reason string) Event {
		version++
		return event(was.Alert, version, t, f, material, reason, cause)
	}
	over := was.Version == 0 || was.Transition == Retracted || was.Finding.Status == rules.Resolved
	switch {
	case over && (was.Version == 0 || was.Transition == Retracted || f.Status == rules.Open):
		if f.Status == rules.Open {
			return []Event{next(Opened, f, true, cause.Reason)}
		}
		// Opened already ended: both are told, so that nobody sees an end without a beginning.
		open := f
		open.Status, open.End = rules.Open, nil
		return []Event{next(Opened, open, true, cause.Reason), next(Resolved, f, true, cause.Reason)}
	case f.Status == rules.Resolved && was.Finding.Status == rules.Open:
		return []Event{next(Resolved, f, true, cause.Reason)}
	}
	if digest, substance := digests(f); digest != was.Digest {
		return []Event{next(Updated, f, substance != was.Substance, cause.Reason)}
	}
	return nil
}

func event(name string, version int, t Transition, f rules.Finding, material bool, reason string, cause Cause) Event {
	e := Event{Kind: "alert", Alert: name, Transition: t, Version: version, At: cause.Now.In(f.Onset.Location()), Reason: reason, Material: material, Input: cause.Input, Finding: f}
	e.Finding.Kind = ""
	return e
}

// Fold takes an event into what was told, keeping it sorted by alert. It returns the new slice; the old one must not be used again.
func Fold(told []Told, e Event) []Told {
	f := e.Finding
	f.Kind = "finding"
	digest, substance := digests(f)
	f.Evidence = nil
	t := Told{Alert: e.Alert, Transition: e.Transition, Version: e.Version, Digest: digest, Substance: substance, Finding: f}
	i, found := slices.BinarySearchFunc(told, e.Alert, func(t Told, name string) int { return strings.Compare(t.Alert, name) })
	if found {
		told[i] = t
		return told
	}
	return slices.Insert(told, i, t)
}

// pair matches what was told with what is found, within the same study, subject, rule and key: first the finding that has an alert's very name
// (an alert that was retracted comes back so), then the one that it was last told as, then the longest overlap in time, then the earliest onset. merged names, for what stays
// unmatched though it overlaps a finding, the alert that took it.
func pair(told []Told, findings []rules.Finding, now time.Time) (pairs map[int]int, merged map[int]string) {
	pairs, merged = map[int]int{}, map[int]string{}
	taken := map[int]string{}
	byName := make(map[string]int, len(told))
	for i := range told {
		byName[told[i].Alert] = i
	}
	for j := range findings {
		if i, ok := byName[findings[j].ID]; ok {
			pairs[i], taken[j] = j, told[i].Alert
		}
	}
	byID := make(map[string]int, len(told)) // an alert whose onset has moved keeps its name; its finding has another id
	for i := range told {
		if _, done := pairs[i]; !done && told[i].Transition != Retracted {
			byID[told[i].Finding.ID] = i
		}
	}
	for j := range findings {
		if _, gone := taken[j]; gone {
			continue
		}
		if i, ok := byID[findings[j].ID]; ok {
			pairs[i], taken[j] = j, told[i].Alert
		}
	}
	type overlap struct {
		i, j   int
		length time.Duration
	}
	var overlaps []overlap
	for i := range told {
		if told[i].Transition == Retracted {
			continue
		}
		if _, done := pairs[i]; done {
			continue
		}
		for j := range findings {
			if !sameStory(&told[i].Finding, &findings[j]) {
				continue
			}
			if d := common(&told[i].Finding, &findings[j], now); d >= 0 {
				overlaps = append(overlaps, overlap{i, j, d})
			}
		}
	}
	slices.SortFunc(overlaps, func(a, b overlap) int {
		return cmp.Or(
			cmp.Compare(b.length, a.length),
			told[a.i].Finding.Onset.Compare(told[b.i].Finding.Onset),
			findings[a.j].Onset.Compare(findings[b.j].Onset),
			strings.Compare(told[a.i].Alert, told[b.i].Alert),
			strings.Compare(findings[a.j].ID, findings[b.j].ID),
		)
	})
	for _, o := range overlaps {
		_, done := pairs[o.i]
		name, gone := taken[o.j]
		switch {
		case !done && !gone:
			pairs[o.i], taken[o.j] = o.j, told[o.i].Alert
			delete(merged, o.i)
		case !done && merged[o.i] == "":
			merged[o.i] = name
		}
	}
	return pairs, merged
}

func sameStory(a, b *rules.Finding) bool {
	return a.Study == b.Study && a.Subject == b.Subject && a.Rule == b.Rule && rules.KeyOf(a.ID) == rules.KeyOf(b.ID)
}

// common is how long two findings overlap, negative if they do not meet.
func common(a, b *rules.Finding, now time.Time) time.Duration {
	from, to := a.Onset, until(a, now)
	if b.Onset.After(from) {
		from = b.Onset
	}
	if t := until(b, now); t.Before(to) {
		to = t
	}
	return to.Sub(from)
}

func until(f *rules.Finding, now time.Time) time.Time {
	if f.End != nil {
		return *f.End
	}
	if now.Before(f.Onset) {
		return f.Onset
	}
	return now
}

// digests are the fingerprints of a finding: all of it but detected and the protocol's pin, and its substance.
func digests(f rules.Finding) (digest, substance string) {
	f.Kind, f.Detected, f.Protocol = "finding", time.Time{}, protocol.Pin{}
	digest = sum(f)
	f.Evidence, f.Message = nil, ""
	return digest, sum(f)
}

// stands reports whether a finding was found before just so.
func stands(before []rules.Finding, f *rules.Finding) bool {
	i, found := slices.BinarySearchFunc(before, f, func(a rules.Finding, f *rules.Finding) int { return a.Compare(f) })
	return found && same(&before[i], f)
}

// same reports whether two findings have the same fingerprint, and may say no where they have.
func same(a, b *rules.Finding) bool {
	//nolint:staticcheck // instants in two zones are written differently, so they are not the same here
	return a.ID == b.ID && a.Rule == b.Rule && a.Study == b.Study && a.Site == b.Site && a.Subject == b.Subject && a.Arm == b.Arm && a.Status == b.Status &&
		a.Term == b.Term && a.CTCAE == b.CTCAE && equal(a.Grade, b.Grade) && equal(a.GradeMax, b.GradeMax) && equal(a.Current, b.Current) &&
		equal(a.BaselineGrade, b.BaselineGrade) && equal(a.TreatmentEmergent, b.TreatmentEmergent) && a.NeedsReview == b.NeedsReview && a.Onset == b.Onset &&
		equal(a.End, b.End) && a.Urgency == b.Urgency && a.Expected == b.Expected && a.Importance == b.Importance && a.Message == b.Message &&
		sameEvidence(a.Evidence, b.Evidence)
}

func equal[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }

func sameEvidence(a, b []rules.Evidence) bool {
	if len(a) != len(b) || (a == nil) != (b == nil) {
		return false
	}
	return len(a) == 0 || &a[0] == &b[0] || slices.Equal(a, b)
}

func sum(f rules.Finding) string {
	h := sha256.New()
	if err := json.NewEncoder(h).Encode(f); err != nil {
		panic("alert: a finding is plain data: " + err.Error())
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
