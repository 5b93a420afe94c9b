package rules_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// scan is an assessment of a study day, of which only the date is known.
func (c *chart) scan(day int, category timeline.Category) *timeline.Fact {
	f := c.add(timeline.RefOf("Observation", fmt.Sprintf("scan-%d-%d", day, len(c.facts))), time.Date(2026, 2, 16+day, 0, 0, 0, 0, zone))
	f.At.Date = f.At.Start.Format(time.DateOnly)
	f.ReceivedAt = f.At.Start.Add(12 * time.Hour)
	f.Response = &timeline.Response{Category: category}
	return f
}

func (c *chart) died(day int) {
	f := c.add(timeline.RefOf("Patient", "p-1"), time.Time{})
	f.ReceivedAt = at(fmt.Sprintf("d%d 12:00", day+1))
	f.Person = &timeline.Person{Deceased: timeline.Time{Start: at(fmt.Sprintf("d%d 00:00", day)), Date: "day"}}
}

func (c *chart) off(status string, day int) {
	e := *c.facts[0].Enrolment
	e.Status, e.EndsAt = status, at(fmt.Sprintf("d%d 12:00", day))
	c.facts[0].Enrolment = &e
}

// scans reads "PR42 PD84".
func (c *chart) scans(text string) *chart {
	for word := range strings.FieldsSeq(text) {
		var day int
		if _, err := fmt.Sscanf(word[2:], "%d", &day); err != nil {
			panic(err)
		}
		c.scan(day, timeline.Category(word[:2]))
	}
	return c
}

// The rows of RECIST 1.1, table 3, with confirmation after 28 days and stable disease after 42, and their edges.
func TestBestResponse(t *testing.T) {
	p := trial(t)
	for _, tt := range []struct {
		scans, want string
	}{
		{"", "NE"},
		{"CR42 CR70", "CR"},                       // 28 days apart, exactly
		{"CR42 CR69", "SD unconfirmed"},           // 27: not yet confirmed
		{"CR42 CR69 CR70", "CR"},                  // but by a third
		{"PR42 PR70", "PR"},                       //
		{"PR42 CR70", "PR unconfirmed"},           // better confirms; the complete response waits
		{"PR42 CR70 CR98", "CR"},                  //
		{"CR42 PR70", "SD unconfirmed"},           // the complete response is over, the partial one is not confirmed
		{"CR42 PR70 PR98", "PR unconfirmed"},      // now the partial one is
		{"CR42 SD70", "SD unconfirmed"},           //
		{"CR42 PD70", "SD unconfirmed"},           // it lasted 42 days
		{"CR41 PD70", "PD unconfirmed"},           // it did not
		{"PR42 PD70", "SD unconfirmed"},           //
		{"PR41 PD70", "PD unconfirmed"},           //
		{"PR41 NE70", "NE unconfirmed"},           // too early, and nothing after
		{"PR42 NE70", "SD unconfirmed"},           //
		{"PR42 NE56 PR70", "PR"},                  // one that could not be evaluated may lie between
		{"PR42 NE50 NE56 PR70", "SD unconfirmed"}, // two may not
		{"PR42 SD56 PR70", "SD unconfirmed"},      // nor stable disease
		{"SD42", "SD"},                            // exactly 42 days
		{"SD41", "NE"},                            // too early to be stable
		{"SD41 PD80", "PD"},                       //
		{"SD42 PD80", "SD"},                       //
		{"SD41 SD42", "SD"},                       //
		{"PD42", "PD"},                            //
		{"PD42 PR70 PR98", "PD"},                  // nothing counts after progression
		{"PR42 PD56 PR70", "SD unconfirmed"},      //
		{"NE42 NE84", "NE"},                       //
		{"PD0 SD42", "SD"},                        // a progression on the day of the infusion is why he is in the trial
		{"PD-3 PR42 PR70", "PR"},                  //
		{"PR42 PD42 PR70", "PD"},                  // two on one day: the worse
		{"PR42 NE42 PR70", "PR"},                  // what could not be evaluated says nothing beside what could
		{"NE42 PR42 PR70", "PR"},                  //
	} {
		s := enrolled("Arm-1").til().scans(tt.scans).evaluate(p, at("d400 00:00")).Summary
		got := string(s.Best)
		if s.Unconfirmed {
			got += " unconfirmed"
		}
		if got != tt.want {
			t.Errorf("%q: %s, want %s", tt.scans, got, tt.want)
		}
	}
}

// Without a rule of confirmation a response counts as soon as it is seen.
func TestResponseWithoutConfirmation(t *testing.T) {
	p := trial(t, "confirmAfterDays: 28", "confirmAfterDays: 0")
	if got := enrolled("Arm-1").til().scans("PR20 PD40").evaluate(p, at("d400 00:00")).Summary; got.Best != timeline.PR || got.Unconfirmed {
		t.Errorf("best response %+v, want PR", got)
	}
}

func TestSurvivalOfOnePatient(t *testing.T) {
	p := trial(t)
	for _, tt := range []struct {
		name    string
		build   func(*chart)
		pfs, os string
	}{
		{"only the infusion", func(c *chart) {}, "0", "0"},
		{"seen alive by a temperature", func(c *chart) { c.temp("37.0", "d80 06:00") }, "0", "80"},
		{"progression", func(c *chart) { c.scans("SD42 PD84") }, "84 event", "84"},
		{"stable", func(c *chart) { c.scans("SD42 SD84") }, "84", "84"},
		{"a scan that could not be evaluated follows nobody", func(c *chart) { c.scans("SD42 NE84") }, "42", "84"},
		{"death without progression", func(c *chart) { c.scans("SD42"); c.died(60) }, "60 event", "60 event"},
		{"death after progression", func(c *chart) { c.scans("PD42"); c.died(60) }, "42 event", "60 event"},
		{"a result after the death", func(c *chart) { c.died(60); c.temp("37.0", "d80 06:00") }, "60 event", "60 event"},
		{"a new therapy before the progression", func(c *chart) { c.scans("SD42 PD84"); c.drug(timeline.NewTherapy, "d60 09:00") }, "42", "84"},
		{"the scan of the day of the new therapy counts", func(c *chart) { c.scans("SD42 PD84"); c.drug(timeline.NewTherapy, "d84 09:00") }, "84 event", "84"},
		{"death after a new therapy", func(c *chart) { c.scans("SD42"); c.drug(timeline.NewTherapy, "d60 09:00"); c.died(90) }, "42", "90 event"},
		{"off study", func(c *chart) { c.scans("SD42 PD84"); c.off("off-study", 60) }, "42", "84"},
		{"death off study", func(c *chart) { c.scans("SD42"); c.off("off-study", 60); c.died(90) }, "42", "90 event"},
		{"consent withdrawn", func(c *chart) { c.scans("SD42 PD84"); c.off("withdrawn", 60); c.died(90) }, "42", "42"},
	} {
		c := enrolled("Arm-1").til()
		tt.build(c)
		s := c.evaluate(p, at("d400 00:00")).Summary
		for _, x := range []struct {
			name, want string
			got        *rules.Followed
		}{{"pfs", tt.pfs, s.PFS}, {"os", tt.os, s.OS}} {
			got := "none"
			if x.got != nil {
				got = fmt.Sprint(x.got.Days)
				if x.got.Event {
					got += " event"
				}
			}
			if got != x.want {
				t.Errorf("%s: %s %s, want %s", tt.name, x.name, got, x.want)
			}
		}
	}
	if s := enrolled("Arm-1").scans("SD42").evaluate(p, at("d400 00:00")).Summary; s.PFS != nil || s.OS != nil || s.Best != timeline.NE {
		t.Errorf("nobody is followed before the infusion: %+v", s)
	}
}

// A death of which nobody knows the day is asked about, until some record of the patient names it.
func TestUndatedDeath(t *testing.T) {
	p := trial(t)
	c := enrolled("Arm-1").til()
	f := c.add(timeline.RefOf("Patient", "p-2"), time.Time{})
	f.ReceivedAt = at("d60 12:00")
	f.Person = &timeline.Person{DiedUndated: true}
	asked := func(p *protocol.Protocol) int {
		n := 0
		for _, f := range c.evaluate(p, at("d80 00:00")).Findings {
			if f.Rule == "data.ungradable" && strings.HasPrefix(f.Message, "death without a day") {
				n++
			}
		}
		return n
	}
	if asked(p) != 1 {
		t.Errorf("asked %d times for the day of a death, want once", asked(p))
	}
	without := *p
	without.Survival = nil
	if asked(&without) != 0 {
		t.Error("a trial without survival asks for the day of a death")
	}
	c.died(58)
	if asked(p) != 0 {
		t.Error("the day is known and asked for")
	}
}

// A response lasts from the first assessment that counts as one to progression or death, and is censored where progression-free survival is.
func TestDurationOfResponse(t *testing.T) {
	p := trial(t)
	for _, tt := range []struct {
		name, scans string
		died        int
		want        string
	}{
		{"progression", "PR42 PR84 PD140", 0, "98 event"},
		{"ongoing", "SD42 PR84 CR140 CR168", 0, "84"},
		{"death without progression", "PR42 PR84", 100, "58 event"},
		{"not confirmed", "PR42 PD84", 0, "none"},
		{"the confirmed one begins, not the first seen", "PR42 SD56 PR84 PR126", 0, "42"},
		{"no response", "SD42 SD84", 0, "none"},
	} {
		c := enrolled("Arm-1").til().scans(tt.scans)
		if tt.died > 0 {
			c.died(tt.died)
		}
		got := "none"
		if d := c.evaluate(p, at("d400 00:00")).Summary.DOR; d != nil {
			got = fmt.Sprint(d.Days)
			if d.Event {
				got += " event"
			}
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// An end of the study that was sent in advance, or lies after a cut-off, has not come: the patient is on study until then, and is looked at again when it comes.
func TestEndOfStudyThatIsStillToCome(t *testing.T) {
	p := trial(t)
	c := enrolled("Arm-1").til()
	c.off("off-study", 60)
	before := c.evaluate(p, at("d59 00:00"))
	if before.Summary.OffStudy {
		t.Error("off study a day before it ends")
	}
	if !c.evaluate(p, at("d61 00:00")).Summary.OffStudy {
		t.Error("on study after it has ended")
	}
	end := before.Next
	for last := at("d59 00:00"); !c.evaluate(p, end).Summary.OffStudy; last = end {
		if end = c.evaluate(p, end).Next; !end.After(last) || end.After(at("d61 00:00")) {
			t.Fatalf("the timers never come to the end of the study: %v", end)
		}
	}
}
