package alert_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/alert"
)

var midnight = time.Date(2026, 2, 19, 0, 0, 0, 0, time.UTC)

func hour(h int) time.Time { return midnight.Add(time.Duration(h) * time.Hour) }

// finding is one of tox.fever, open from an hour on, or ended if end is not 0.
func finding(onset, end int, change ...func(*rules.Finding)) rules.Finding {
	grade := 2
	f := rules.Finding{
		Kind: "finding", Rule: "tox.fever", Study: "til-il2", Site: "main", Subject: "S-001", Arm: "arm-1", Status: rules.Open, Grade: &grade,
		Onset: hour(onset), Detected: hour(onset), Urgency: rules.Routine, Evidence: []rules.Evidence{}, Message: "Fever grade 2.",
	}
	if end != 0 {
		t := hour(end)
		f.Status, f.End = rules.Resolved, &t
	}
	key := "-"
	for _, c := range change {
		c(&f)
	}
	if f.Key != "" {
		key = f.Key
	}
	f.ID = rules.FindingID(f.Rule, f.Study, f.Subject, key, f.Onset)
	return f
}

func key(k string) func(*rules.Finding)     { return func(f *rules.Finding) { f.Key = k } }
func subject(s string) func(*rules.Finding) { return func(f *rules.Finding) { f.Subject = s } }
func message(m string) func(*rules.Finding) { return func(f *rules.Finding) { f.Message = m } }
func grade(g int) func(*rules.Finding)      { return func(f *rules.Finding) { f.Grade = &g } }
func detected(h int) func(*rules.Finding)   { return func(f *rules.Finding) { f.Detected = hour(h) } }

// tell tells sets of findings one after the other, at hours 100, 101, …, and returns the events of the last.
func tell(sets ...[]rules.Finding) (events []alert.Event, told []alert.Told) {
	for i, fs := range sets {
		events = alert.Diff(told, fs, alert.Cause{Now: hour(100 + i), Reason: "Observation/x version 2", Input: uint64(i + 1)})
		for _, e := range events {
			told = alert.Fold(told, e)
		}
	}
	return events, told
}

// show writes an event as "opened 10 v1 as 10": the hours of the onset and of the alert's name.
func show(events []alert.Event) []string {
	lines := []string{}
	for _, e := range events {
		name, err := time.Parse(time.RFC3339, e.Alert[strings.LastIndex(e.Alert, "/")+1:])
		if err != nil {
			panic(err)
		}
		lines = append(lines, fmt.Sprintf("%s %d v%d as %d", e.Transition, int(e.Onset.Sub(midnight).Hours()), e.Version, int(name.Sub(midnight).Hours())))
	}
	return lines
}

type set = []rules.Finding

func TestDiff(t *testing.T) {
	for _, tt := range []struct {
		name string
		sets []set
		want []string
	}{
		{"something new is opened", []set{{finding(10, 0)}}, []string{"opened 10 v1 as 10"}},
		{"nothing changed, nothing told", []set{{finding(10, 0)}, {finding(10, 0)}}, []string{}},
		{"it ends", []set{{finding(10, 0)}, {finding(10, 20)}}, []string{"resolved 10 v2 as 10"}},
		{"what opens already ended is told twice, so that nobody sees an end without a beginning", []set{{finding(10, 20)}}, []string{"opened 10 v1 as 10", "resolved 10 v2 as 10"}},
		{"it was never true", []set{{finding(10, 0)}, {}}, []string{"retracted 10 v2 as 10"}},
		{"a retraction is told once", []set{{finding(10, 0)}, {}, {}}, []string{}},
		{"it comes back after a retraction: the same alert, the next version", []set{{finding(10, 0)}, {}, {finding(10, 0)}}, []string{"opened 10 v3 as 10"}},
		{"it comes back already ended", []set{{finding(10, 0)}, {}, {finding(10, 20)}}, []string{"opened 10 v3 as 10", "resolved 10 v4 as 10"}},
		{"it goes on after it had ended", []set{{finding(10, 20)}, {finding(10, 0)}}, []string{"opened 10 v3 as 10"}},
		{"it ended at another time", []set{{finding(10, 20)}, {finding(10, 21)}}, []string{"updated 10 v3 as 10"}},
		{"an earlier onset is the same story under its first name", []set{{finding(10, 0)}, {finding(8, 0)}}, []string{"updated 8 v2 as 10"}},
		{"an ended one does not meet a later one", []set{{finding(10, 12)}, {finding(20, 0)}}, []string{"retracted 10 v3 as 10", "opened 20 v1 as 20"}},
		{"touching is meeting", []set{{finding(10, 12)}, {finding(12, 0)}}, []string{"opened 12 v3 as 10"}},
		{"another key is another story", []set{{finding(10, 0, key("a"))}, {finding(10, 0, key("b"))}}, []string{"retracted 10 v2 as 10", "opened 10 v1 as 10"}},
		{"another subject is another story", []set{{finding(10, 0)}, {finding(10, 0, subject("S-002"))}}, []string{"retracted 10 v2 as 10", "opened 10 v1 as 10"}},
		{
			"the same id goes before a longer overlap", // told 10–40; found 10–11 and 9–40
			[]set{{finding(10, 40)}, {finding(9, 40), finding(10, 11)}},
			[]string{"opened 9 v1 as 9", "resolved 9 v2 as 9", "updated 10 v3 as 10"},
		},
		{
			"the id that was last told goes before a longer overlap, too",
			[]set{{finding(10, 0)}, {finding(12, 40)}, {finding(11, 40), finding(12, 13)}},
			[]string{"opened 11 v1 as 11", "resolved 11 v2 as 11", "updated 12 v3 as 10"},
		},
		{
			"then the longest overlap: told 10–40, found 8–15 and 16–40",
			[]set{{finding(10, 40)}, {finding(8, 15), finding(16, 40)}},
			[]string{"opened 8 v1 as 8", "resolved 8 v2 as 8", "updated 16 v3 as 10"},
		},
		{
			"of equal overlaps the earliest onset: told 10–40, found 8–20 and 30–50",
			[]set{{finding(10, 40)}, {finding(8, 20), finding(30, 50)}},
			[]string{"updated 8 v3 as 10", "opened 30 v1 as 30", "resolved 30 v2 as 30"},
		},
		{
			"two become one: the longer overlap goes on, the other is retracted",
			[]set{{finding(10, 12), finding(20, 40)}, {finding(9, 40)}},
			[]string{"retracted 10 v3 as 10", "updated 9 v3 as 20"},
		},
		{
			"one becomes two under a new name for the second",
			[]set{{finding(10, 40)}, {finding(10, 20), finding(25, 40)}},
			[]string{"updated 10 v3 as 10", "opened 25 v1 as 25", "resolved 25 v2 as 25"},
		},
		{
			"a retracted alert is only woken by its very name",
			[]set{{finding(10, 0)}, {}, {finding(11, 0)}},
			[]string{"opened 11 v1 as 11"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			events, _ := tell(tt.sets...)
			if d := cmp.Diff(tt.want, show(events)); d != "" {
				t.Errorf("events (-want +got):\n%s", d)
			}
		})
	}
}

func TestReasons(t *testing.T) {
	merged, _ := tell(set{finding(10, 12), finding(20, 40)}, set{finding(9, 40)})
	if got, want := merged[0].Reason, "merged into tox.fever/til-il2/S-001/-/2026-02-19T20:00:00Z: Observation/x version 2"; got != want {
		t.Errorf("reason of what was merged: got %q, want %q", got, want)
	}
	gone, _ := tell(set{finding(10, 0)}, set{})
	if got, want := gone[0].Reason, "no longer supported: Observation/x version 2"; got != want {
		t.Errorf("reason of what was retracted: got %q, want %q", got, want)
	}
	if gone[0].Evidence == nil || len(gone[0].Evidence) != 0 {
		t.Errorf("evidence of what was retracted: got %v, want [] (it supports nothing any more)", gone[0].Evidence)
	}
	opened, _ := tell(set{finding(10, 0)})
	if e := opened[0]; e.Reason != "Observation/x version 2" || !e.At.Equal(hour(100)) || e.Input != 1 || e.Kind != "alert" {
		t.Errorf("the cause of an event: got %q at %s, input %d, kind %q", e.Reason, e.At, e.Input, e.Kind)
	}
}

// TestMaterial: sinks stay silent where only evidence or wording changed.
func TestMaterial(t *testing.T) {
	supported := func(f *rules.Finding) { f.Evidence = []rules.Evidence{{Ref: "Observation/t-2"}} }
	for _, tt := range []struct {
		name   string
		change []func(*rules.Finding)
		want   []string
	}{
		{"more evidence", []func(*rules.Finding){supported}, []string{"updated false"}},
		{"another wording", []func(*rules.Finding){message("Fever, grade 2.")}, []string{"updated false"}},
		{"another grade", []func(*rules.Finding){grade(3), supported}, []string{"updated true"}},
		{"to be reviewed", []func(*rules.Finding){func(f *rules.Finding) { f.NeedsReview = true }}, []string{"updated true"}},
		{"another urgency", []func(*rules.Finding){func(f *rules.Finding) { f.Urgency = rules.Urgent }}, []string{"updated true"}},
		{"another arm", []func(*rules.Finding){func(f *rules.Finding) { f.Arm = "arm-2" }}, []string{"updated true"}},
		{"known earlier: no event", []func(*rules.Finding){detected(1)}, []string{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			events, _ := tell(set{finding(10, 0)}, set{finding(10, 0, tt.change...)})
			got := []string{}
			for _, e := range events {
				got = append(got, fmt.Sprintf("%s %t", e.Transition, e.Material))
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// TestStory tells random sets of findings one after the other. Folding the events always reaches exactly what is found, versions of an alert run
// 1, 2, 3 … for ever, and to look again says nothing, now or later.
func TestStory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var told []alert.Told
		versions := map[string]int{}
		for step := range rapid.IntRange(1, 8).Draw(t, "steps") {
			found := randomSet(t)
			cause := alert.Cause{Now: hour(40 + step), Input: uint64(step)}
			for _, e := range alert.Diff(told, found, cause) {
				if versions[e.Alert]++; e.Version != versions[e.Alert] {
					t.Fatalf("%s: got version %d, want %d", e.Alert, e.Version, versions[e.Alert])
				}
				told = alert.Fold(told, e)
			}
			if d := cmp.Diff(standing(found), stands(told)); d != "" {
				t.Fatalf("told is not what is found (-found +told):\n%s", d)
			}
			if !slices.IsSortedFunc(told, func(a, b alert.Told) int { return strings.Compare(a.Alert, b.Alert) }) {
				t.Fatal("told is not sorted by alert")
			}
			for _, later := range []int{0, 1, 50} {
				cause.Now = hour(40 + step + later)
				if again := alert.Diff(told, found, cause); len(again) > 0 {
					t.Fatalf("looking again %d h later tells %v", later, show(again))
				}
			}
		}
	})
}

// randomSet draws findings of two rules and two keys over a day and a half: they overlap, touch, repeat and share onsets.
func randomSet(t *rapid.T) set {
	var fs set
	seen := map[string]bool{}
	for range rapid.IntRange(0, 6).Draw(t, "findings") {
		onset := rapid.IntRange(1, 30).Draw(t, "onset")
		end := 0
		if rapid.Bool().Draw(t, "ended") {
			end = onset + rapid.IntRange(0, 10).Draw(t, "hours")
		}
		f := finding(onset, end,
			key(rapid.SampledFrom([]string{"a", "b"}).Draw(t, "key")),
			func(f *rules.Finding) {
				f.Rule = rapid.SampledFrom([]string{"tox.fever", "dev.dose-missed"}).Draw(t, "rule")
			},
			grade(rapid.IntRange(1, 3).Draw(t, "grade")), message(rapid.SampledFrom([]string{"one", "two"}).Draw(t, "message")))
		if !seen[f.ID] {
			fs = append(fs, f)
		}
		seen[f.ID] = true
	}
	slices.SortFunc(fs, func(a, b rules.Finding) int { return a.Compare(&b) })
	return fs
}

func standing(fs []rules.Finding) []string {
	lines := []string{}
	for _, f := range fs {
		lines = append(lines, fmt.Sprintf("%s %s %v grade %d %s", f.ID, f.Status, f.End, *f.Grade, f.Message))
	}
	slices.Sort(lines)
	return lines
}

func stands(told []alert.Told) []string {
	var fs []rules.Finding
	for _, t := range told {
		if t.Transition != alert.Retracted {
			fs = append(fs, t.Finding)
		}
	}
	return standing(fs)
}
