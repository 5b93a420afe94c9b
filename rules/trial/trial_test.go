package trial_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trialwatch/trialwatch/deployments/protocols"
	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/site"
	"github.com/trialwatch/trialwatch/rules/timeline"
	"github.com/trialwatch/trialwatch/rules/trial"
)

func at(s string) time.Time {
	if s == "" {
		return time.Time{}
	}
	t, err := time.Parse("02T15:04", s)
	if err != nil {
		panic(err)
	}
	return t.AddDate(2026, 1, 0)
}

func found(t *testing.T, s *trial.State, now string) (lines []string) {
	t.Helper()
	p, err := protocols.TIL()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // the order of the parts does not matter
		slices.Reverse(s.Members)
		slices.Reverse(s.Silences)
		var again []string
		for _, f := range trial.Findings(p, s, at(now)) {
			end := ""
			if f.End != nil {
				end = f.End.UTC().Format("02T15:04")
			}
			line := fmt.Sprintf("%s %s %s %s–%s", f.ID, f.Site, f.Status, f.Onset.UTC().Format("02T15:04"), end)
			for _, e := range f.Evidence {
				line += ", " + e.Ref + " " + e.Value
			}
			again = append(again, line)
		}
		if lines != nil && !slices.Equal(lines, again) {
			t.Errorf("another order\ngot  %q\nwas %q", again, lines)
		}
		lines = again
	}
	return lines
}

func TestTwoSites(t *testing.T) {
	member := func(at_, identifier, from, to string) trial.Member {
		return trial.Member{Site: at_, Membership: rules.Membership{
			Subject: "S-001", Identifier: identifier, Ref: "ResearchSubject/at-" + at_, In: timeline.Span{From: at(from), To: at(to)}, Known: at(from),
		}}
	}
	const id, evidence = "urn:x|S-001", ", ResearchSubject/at-north site north, ResearchSubject/at-south site south"
	const head = "data.two-sites/til-il2/S-001/-/2026-02-10T08:00:00Z - "
	for _, tt := range []struct {
		name    string
		members []trial.Member
		want    []string
	}{
		{"one", []trial.Member{member("north", id, "02T08:00", "")}, nil},
		{"two subjects", []trial.Member{member("north", id, "02T08:00", ""), member("south", "urn:x|S-002", "10T08:00", "")}, nil},
		{"one number in two systems", []trial.Member{member("north", id, "02T08:00", ""), member("south", "urn:y|S-001", "10T08:00", "")}, nil},
		{"no number, only ids of resources", []trial.Member{member("north", "", "02T08:00", ""), member("south", "", "10T08:00", "")}, nil},
		{"two records at one site", []trial.Member{member("north", id, "02T08:00", ""), member("north", id, "10T08:00", "")}, nil},
		{"two sites", []trial.Member{member("north", id, "02T08:00", ""), member("south", id, "10T08:00", "")}, []string{head + "open 10T08:00–" + evidence}},
		{"moved", []trial.Member{member("north", id, "02T08:00", "10T08:00"), member("south", id, "10T08:00", "")}, nil},
		{"left one of the two", []trial.Member{member("north", id, "02T08:00", ""), member("south", id, "10T08:00", "12T08:00")}, []string{head + "resolved 10T08:00–12T08:00" + evidence}},
		{"leaves one of the two tomorrow", []trial.Member{member("north", id, "02T08:00", ""), member("south", id, "10T08:00", "21T08:00")}, []string{head + "open 10T08:00–" + evidence}},
		{
			"moved, and then at a third",
			[]trial.Member{member("west", id, "01T08:00", "02T08:00"), member("north", id, "02T08:00", ""), member("south", id, "10T08:00", "")},
			[]string{head + "open 10T08:00–" + evidence},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, found(t, &trial.State{Members: tt.members}, "20T08:00")); d != "" {
				t.Error(d)
			}
		})
	}
}

// Two sites that fall silent at one instant are two findings, and a study hears of its own patients only.
func TestSilentSites(t *testing.T) {
	s := &trial.State{}
	s.Add("north", []site.Silence{
		{Study: "til-il2", Span: timeline.Span{From: at("02T08:00"), To: at("03T08:00")}, Patients: 3},
		{Study: "til-il2", Span: timeline.Span{From: at("10T08:00")}, Patients: 1},
	}, nil)
	s.Add("south", []site.Silence{{Study: "til-il2", Span: timeline.Span{From: at("10T08:00")}, Patients: 2}, {Study: "another", Span: timeline.Span{From: at("11T08:00")}, Patients: 2}}, []site.Gap{{Source: "engine", Numbers: site.Numbers{First: 6, Last: 7, At: at("12T08:00")}}})
	want := []string{
		"data.feed-stale/til-il2/-/north/2026-02-02T08:00:00Z north resolved 02T08:00–03T08:00,  ",
		"data.feed-stale/til-il2/-/north/2026-02-10T08:00:00Z north open 10T08:00–,  ",
		"data.feed-stale/til-il2/-/south/2026-02-10T08:00:00Z south open 10T08:00–,  ",
		"data.gap/til-il2/-/south:engine:6/2026-02-12T08:00:00Z south open 12T08:00–,  8",
	}
	if d := cmp.Diff(want, found(t, s, "20T08:00")); d != "" {
		t.Error(d)
	}
}
