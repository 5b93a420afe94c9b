package rules

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

func TestStays(t *testing.T) {
	clock := func(s string) time.Time {
		at, err := time.Parse("2006-01-02T15:04", "2026-02-"+s)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	// An encounter is "status start end": a date-only time is a day, "-" is none.
	encounter := func(id int, line string) *timeline.Fact {
		part := strings.Fields(line)
		e := &timeline.Encounter{Class: "IMP", Inpatient: true, Status: part[0]}
		if e.Status == "outpatient" {
			e = &timeline.Encounter{Class: "AMB", Status: "finished"}
		}
		f := &timeline.Fact{Ref: timeline.RefOf("Encounter", fmt.Sprint(id)), ReceivedAt: clock("01T00:00"), Encounter: e}
		when := func(s string) timeline.Time {
			if len(s) == len("09") {
				return timeline.Time{Start: clock(s + "T00:00"), Date: "2026-02-" + s}
			}
			return timeline.Time{Start: clock(s)}
		}
		f.At = when(part[1])
		if part[2] != "-" {
			e.Ended = when(part[2])
			if f.End = e.Ended.Start; e.Ended.DateOnly() {
				f.End = f.End.AddDate(0, 0, 1)
			}
		}
		return f
	}
	show := func(at timeline.Time) string {
		switch {
		case at.DateOnly():
			return at.Date[len("2026-02-"):]
		case at.Start.IsZero():
			return "?"
		}
		return at.Start.Format("02T15:04")
	}
	for _, tt := range []struct {
		name       string
		encounters []string
		want       string // at the 20th at noon
		wakes      string
	}{
		{name: "none"},
		{name: "one that is over", encounters: []string{"finished 09T07:30 18T11:00"}, want: "09T07:30–18T11:00"},
		{name: "one that goes on", encounters: []string{"in-progress 09T07:30 -"}, want: "09T07:30–"},
		{name: "a transfer", encounters: []string{"finished 09T07:30 12T10:00", "finished 12T10:00 18T11:00"}, want: "09T07:30–18T11:00"},
		{name: "a minute between", encounters: []string{"finished 09T07:30 12T10:00", "finished 12T10:01 18T11:00"}, want: "09T07:30–12T10:00 12T10:01–18T11:00"},
		{name: "one within another", encounters: []string{"finished 09T07:30 18T11:00", "finished 12T10:00 13T10:00"}, want: "09T07:30–18T11:00"},
		{name: "a transfer to where the patient is", encounters: []string{"finished 09T07:30 12T10:00", "onleave 12T09:00 -"}, want: "09T07:30–"},
		{name: "dates", encounters: []string{"finished 09 12", "finished 12 18"}, want: "09–18"},
		{name: "a date and a time of that day", encounters: []string{"finished 09 12", "finished 12T22:00 18T11:00"}, want: "09–18T11:00"},
		{name: "the next day touches: nobody knows that he was not there at midnight", encounters: []string{"finished 09 12", "finished 13 18"}, want: "09–18"},
		{name: "a day between", encounters: []string{"finished 09 12", "finished 14 18"}, want: "09–12 14–18"},
		{name: "planned, and an outpatient", encounters: []string{"planned 09T07:30 -", "outpatient 10T07:30 -"}},
		{name: "a discharge that is planned", encounters: []string{"in-progress 09T07:30 21T11:00"}, want: "09T07:30–", wakes: "21T11:00"},
		{name: "a discharge that has come, whatever the status", encounters: []string{"in-progress 09T07:30 20T12:00"}, want: "09T07:30–20T12:00"},
		{name: "an admission to come", encounters: []string{"in-progress 20T12:01 -"}},
		{name: "finished, nobody knows when", encounters: []string{"finished 09T07:30 -"}, want: "09T07:30–?"},
		{name: "finished, but its parts tell", encounters: []string{"finished 09T07:30 -", "finished 09T07:30 12T10:00", "finished 12T10:00 18T11:00"}, want: "09T07:30–18T11:00"},
		{name: "finished, its parts do not", encounters: []string{"finished 09T07:30 12T10:00", "finished 12T10:00 -"}, want: "09T07:30–?"},
		{name: "and readmitted", encounters: []string{"finished 09T07:30 -", "in-progress 18T11:00 -"}, want: "09T07:30–? 18T11:00–"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for reverse := range 2 { // the order of arrival does not matter
				tl := timeline.New()
				for i, line := range tt.encounters {
					if reverse == 1 {
						i = len(tt.encounters) - 1 - i
						line = tt.encounters[i]
					}
					tl.Apply(encounter(i, line))
				}
				c := &Case{Timeline: tl.View(), Protocol: &protocol.Protocol{FutureTolerance: protocol.Duration(30 * 24 * time.Hour)}, Now: clock("20T12:00")}
				var got []string
				for _, s := range c.stays() {
					end := show(s.end)
					if s.ongoing {
						end = ""
					}
					got = append(got, show(s.start)+"–"+end)
				}
				if got := strings.Join(got, " "); got != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
				wakes := ""
				if !c.next.IsZero() {
					wakes = c.next.Format("02T15:04")
				}
				if wakes != tt.wakes {
					t.Errorf("wakes at %q, want %q", wakes, tt.wakes)
				}
			}
		})
	}
}
