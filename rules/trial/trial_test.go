package trial_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trialwatch/trialwatch/deployments/protocols"
	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/protocol"
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

// Of an arm and of the trial, in one instant: the arm stands in the key.
func TestStoppingBoundary(t *testing.T) {
	p, err := protocols.TIL()
	if err != nil {
		t.Fatal(err)
	}
	whole := p.Stopping[0]
	whole.ID, whole.Per = "whole", protocol.PerTrial
	p.Stopping = append(p.Stopping, whole)
	s := &trial.State{}
	for i, toxic := range []bool{true, true, true, true, true, false, false} {
		m := trial.Member{Site: "north", Summary: rules.Summary{Enrolled: true, Treated: true, Arm: "arm-1"}}
		for _, id := range []string{"toxicity", "whole"} {
			n := rules.Counted{Boundary: id, From: at("01T08:00")}
			if toxic {
				n.Toxic, n.Known = at(fmt.Sprintf("%02dT08:00", 10+i)), at(fmt.Sprintf("%02dT09:00", 10+i))
			}
			m.Stopping = append(m.Stopping, n)
		}
		s.Members = append(s.Members, m)
	}
	var got []string
	for _, f := range trial.Findings(p, s, at("20T08:00")) {
		got = append(got, fmt.Sprintf("%s %s %s %s %s detected %s: %s", f.ID, f.Site, f.Arm, f.Status, f.Urgency, f.Detected.UTC().Format("02T15:04"), f.Message))
	}
	const says = "Unexpected toxicity of grade 4 or 5 in 5 of 7 patients. The probability that its rate is above 30 % is 0.977, more than 0.95; the boundary is 5 of 7. Pause and review."
	want := []string{
		"trial.stopping-boundary/til-il2/-/toxicity.arm-1/2026-02-14T08:00:00Z - arm-1 open urgent detected 14T09:00: Stopping boundary met in arm-1: " + says,
		"trial.stopping-boundary/til-il2/-/whole/2026-02-14T08:00:00Z - - open urgent detected 14T09:00: Stopping boundary met in the trial: " + says,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if fs := trial.Findings(p, &trial.State{Members: s.Members[1:]}, at("20T08:00")); len(fs) != 0 {
		t.Errorf("4 of 6: %v", fs)
	}
}
