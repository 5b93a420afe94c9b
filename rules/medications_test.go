package rules_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// waiting is an administration whose drug is in a Medication that has not come.
func (c *chart) waiting(id, status, when string) *timeline.Fact {
	f := c.dose(id, status, when)
	f.Dose.Drug, f.Dose.Medication = "", "Medication/x"
	return f
}

// TestUnresolvedMedications is the boundary table of administrations whose Medication does not come. Each was received five minutes after its time.
func TestUnresolvedMedications(t *testing.T) {
	for _, tt := range []struct {
		name  string
		chart func(*chart)
		edits []string // of the protocol
		now   string
		want  string // onset, detected, evidence, message; "" for nothing
		next  string // at which time alone changes the answer
	}{
		{"a minute before the day is over", func(c *chart) { c.waiting("m", "completed", "d1 08:00") }, nil, "d2 08:04", "", "d2 08:05"},
		{
			"the day is over", func(c *chart) { c.waiting("m", "completed", "d1 08:00") }, nil, "d2 08:05",
			"02-17T08:00 02-18T08:05 [completed of Medication/x] An administration refers to a Medication that was not sent or was taken back: what was given is not known, and it counts as no dose. Review.", "",
		},
		{
			"two are one finding, from the first in clinical time", func(c *chart) { c.waiting("m2", "completed", "d1 16:00"); c.waiting("m1", "not-done", "d1 08:00") }, nil, "d2 16:05",
			"02-17T08:00 02-18T08:05 [not-done of Medication/x completed of Medication/x] 2 administrations refer to Medications that were not sent or were taken back: what was given is not known, and it counts as no dose. Review.", "",
		},
		{
			"the second joins when its own day is over", func(c *chart) { c.waiting("m1", "completed", "d1 08:00"); c.waiting("m2", "completed", "d1 16:00") }, nil, "d2 16:04",
			"02-17T08:00 02-18T08:05 [completed of Medication/x] An administration refers to a Medication that was not sent or was taken back: what was given is not known, and it counts as no dose. Review.", "d2 16:05",
		},
		{"the Medication came: nothing waits", func(c *chart) { c.dose("m", "completed", "d1 08:00").Dose.Medication = "Medication/x" }, nil, "d3 08:05", "", ""},
		{"before the enrolment nobody asks", func(c *chart) { c.waiting("m", "completed", "d-20 08:00") }, nil, "d3 08:05", "", ""},
		{
			"a charting error waits for nothing", func(c *chart) { c.waiting("m", "completed", "d5 08:00").ReceivedAt = at("d1 08:00") }, nil, "d6 08:05", "", "",
		},
		{"the protocol waits for two hours", func(c *chart) { c.waiting("m", "completed", "d1 08:00") }, []string{"medicationWait: PT24H", "medicationWait: PT2H"}, "d1 10:04", "", "d1 10:05"},
		{
			"the protocol waits for two hours, and they are over", func(c *chart) { c.waiting("m", "completed", "d1 08:00") },
			[]string{"medicationWait: PT24H", "medicationWait: PT2H"},
			"d1 10:05",
			"02-17T08:00 02-17T10:05 [completed of Medication/x] An administration refers to a Medication that was not sent or was taken back: what was given is not known, and it counts as no dose. Review.", "",
		},
		{
			"a protocol that says nothing waits for a day", func(c *chart) { c.waiting("m", "completed", "d1 08:00") }, []string{"medicationWait: PT24H", ""}, "d2 08:04", "", "d2 08:05",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := enrolled("") // without an arm: the dose rules are silent
			tt.chart(c)
			answer := c.evaluate(trial(t, tt.edits...), at(tt.now))
			got := ""
			for _, f := range answer.Findings {
				var evidence []string
				for _, e := range f.Evidence {
					evidence = append(evidence, e.Value)
				}
				got += fmt.Sprintf("%s %s %v %s", f.Onset.Format("01-02T15:04"), f.Detected.Format("01-02T15:04"), evidence, f.Message)
				if f.Rule != "data.ungradable" || f.Urgency != rules.Routine || rules.KeyOf(f.ID) != "medication" {
					t.Errorf("got %s %s of %s, want data.ungradable, routine, of medication", f.Rule, f.Urgency, f.ID)
				}
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			var next time.Time
			if tt.next != "" {
				next = at(tt.next)
			}
			if !answer.Next.Equal(next) {
				t.Errorf("wakes at %v, want %v", answer.Next, next)
			}
		})
	}
}

// A feed that sends no Medication at all is one finding of a bounded size.
func TestUnresolvedMedicationsAreOneFinding(t *testing.T) {
	c := enrolled("")
	for i := range 100 {
		c.waiting(fmt.Sprint("m", i), "completed", fmt.Sprintf("d1 %02d:%02d", i/60, i%60))
	}
	got := c.evaluate(trial(t), at("d3 08:00")).Findings
	if len(got) != 1 || len(got[0].Evidence) != 20 || !strings.HasPrefix(got[0].Message, "100 administrations refer to Medications that were not sent or were taken back (the first 20 are listed): ") {
		t.Errorf("got %+v, want one finding that lists 20 of 100", got)
	}
}

// What a Medication that came later says could not be known before: neither that the dose was late nor that the next one was missed.
func TestDetectedWhenTheMedicationCame(t *testing.T) {
	c := enrolled("arm-1").til()
	d := c.dose("m", "completed", "d1 11:30")
	d.Dose.Medication, d.Dose.Product = "Medication/x", &timeline.Fact{ReceivedAt: at("d1 21:00")}
	for _, f := range c.evaluate(trial(t), at("d1 22:00")).Findings {
		if want := map[string]string{"dev.dose-late": "d1 21:00", "dev.dose-missed": "d1 21:30"}[f.Rule]; want == "" || !f.Detected.Equal(at(want)) {
			t.Errorf("%s detected at %s, want %s", f.Rule, f.Detected, want)
		}
	}
	d.Dose.Doubtful = true
	if got := c.evaluate(trial(t), at("d1 22:00")).Findings; len(got) == 0 || !got[0].NeedsReview {
		t.Errorf("got %+v, want a finding for review where a newer Medication was refused", got)
	}
}
