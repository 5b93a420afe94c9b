package rules_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// inHospital adds a stay from day -7 on; ends "" is one that goes on.
func (c *chart) inHospital(ends string) *chart {
	f := c.add(timeline.RefOf("Encounter", "stay"), at("d-7 07:30"))
	f.Encounter = &timeline.Encounter{Class: "IMP", Inpatient: true, Status: "in-progress"}
	if ends != "" {
		f.Encounter.Status, f.Encounter.Ended.Start, f.End = "finished", at(ends), at(ends)
	}
	return c
}

// answer is what is found at an instant, with a site that sent something at other times too; nil is a site of which nobody knows what it sent.
func (c *chart) answer(p *protocol.Protocol, now time.Time, others []time.Time) rules.Answer {
	tl := timeline.New()
	if others != nil {
		tl.Site = &timeline.Feed{}
		for _, t := range others {
			if !t.After(now) {
				tl.Site.Hear(t)
			}
		}
	}
	for _, f := range c.facts {
		if f.ReceivedAt.After(now) {
			continue
		}
		tl.Apply(f)
		if tl.Site != nil {
			tl.Site.Hear(f.ReceivedAt)
		}
	}
	return rules.Evaluate(tl, p, now)
}

// every is an instant an interval from one time to another, both included.
func every(d time.Duration, from, to string) []time.Time {
	ts := []time.Time{}
	for t := at(from); !t.After(at(to)); t = t.Add(d) {
		ts = append(ts, t)
	}
	return ts
}

func silences(fs []rules.Finding) (lines []string) {
	const clock = "02T15:04"
	for _, f := range fs {
		if f.Rule == rules.FeedStale {
			end := ""
			if f.End != nil {
				end = f.End.Format(clock)
			}
			lines = append(lines, fmt.Sprintf("%s %s %s–%s detected %s", f.Status, f.Urgency, f.Onset.Format(clock), end, f.Detected.Format(clock)))
		}
	}
	return lines
}

// Three doses, the last at midnight of day 2 (February 18), received at 00:05.
func onIL2(arm string) *chart {
	c := enrolled(arm).til()
	c.dose("d1", "completed", "d1 08:00")
	c.dose("d2", "completed", "d1 16:00")
	c.dose("d3", "completed", "d2 00:00")
	return c
}

func TestFeedStale(t *testing.T) {
	busy := every(10*time.Minute, "d-1 00:00", "d5 00:00")
	open := []string{"open prompt 18T00:05– detected 18T12:05"}
	for _, tt := range []struct {
		name   string
		chart  *chart
		others []time.Time
		now    string
		want   []string
	}{
		{"a minute before 12 h", onIL2("arm-1").inHospital(""), busy, "d2 12:04", nil},
		{"at 12 h", onIL2("arm-1").inHospital(""), busy, "d2 12:05", open},
		{"a day later, when the course is over by what is known", onIL2("arm-1").inHospital(""), busy, "d3 12:05", open},
		{"the daily arm", onIL2("arm-2").inHospital(""), busy, "d2 12:05", open},
		{"out of hospital", onIL2("arm-1").inHospital("d2 00:04"), busy, "d2 12:05", nil},
		{"a discharge that was planned for then", onIL2("arm-1").inHospital("d2 12:05"), busy, "d2 12:05", nil},
		{"or a minute later", onIL2("arm-1").inHospital("d2 12:06"), busy, "d2 12:05", open},
		{"nobody says that he is in hospital", onIL2("arm-1"), busy, "d2 12:05", nil},
		{"no arm, no course", onIL2("other").inHospital(""), busy, "d2 12:05", nil},
		{"no dose yet", enrolled("arm-1").til().inHospital(""), busy, "d1 09:00", nil},
		{"the site too: it speaks for him", onIL2("arm-1").inHospital(""), []time.Time{}, "d2 12:05", nil},
		{"the site fell silent within the hours after him", onIL2("arm-1").inHospital(""), every(10*time.Minute, "d2 00:00", "d2 06:00"), "d2 13:00", nil},
		{"the site went on for half of the time", onIL2("arm-1").inHospital(""), append(every(10*time.Minute, "d2 00:00", "d2 06:00"), at("d2 06:05")), "d2 13:00", open},
		{
			"a site that speaks again has as long to tell of everybody",
			onIL2("arm-1").inHospital(""), append(every(10*time.Minute, "d2 00:00", "d2 01:00"), every(10*time.Minute, "d2 14:00", "d2 20:00")...), "d2 19:59", nil,
		},
		{
			"and then it is the patient",
			onIL2("arm-1").inHospital(""), append(every(10*time.Minute, "d2 00:00", "d2 01:00"), every(10*time.Minute, "d2 14:00", "d2 20:00")...), "d2 20:00",
			[]string{"open prompt 18T00:05– detected 18T20:00"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want(t, silences(tt.chart.answer(trial(t), at(tt.now), tt.others).Findings), tt.want...)
		})
	}
}

// A silence ends with the next word, and is remembered. A dead letter is no word; what was sent about the stay, or taken back, is one.
func TestFeedSpeaksAgain(t *testing.T) {
	ended := "resolved prompt 18T00:05–18T15:00 detected 18T12:05"
	for _, tt := range []struct {
		name string
		word func(*timeline.Fact)
		want string
	}{
		{"a temperature", func(f *timeline.Fact) {
			f.Results = []timeline.Result{{Analyte: timeline.Temperature, Problem: &timeline.Problem{Reason: timeline.ProblemValueAbsent}}}
		}, ended},
		{"a void", func(f *timeline.Fact) { f.State = timeline.Void }, ended},
		{"what could not be read", func(f *timeline.Fact) { f.State = timeline.Refused }, "open prompt 18T00:05– detected 18T12:05"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := onIL2("arm-1").inHospital("")
			f := c.add(timeline.RefOf("Observation", "t"), at("d2 14:55"))
			tt.word(f)
			want(t, silences(c.answer(trial(t), at("d2 18:00"), nil).Findings), tt.want)
		})
	}
}

// What seems missed under a silence is routine at most and says why; what was missed before it is not.
func TestMissesUnderASilence(t *testing.T) {
	for _, tt := range []struct {
		name  string
		edits []string
		last  string // the last word before the silence
		next  string // those after it, "" where it lasts
		want  string
	}{
		{name: "before it is stale", last: "d2 01:00", next: "d2 12:30", want: "prompt"},
		{name: "stale", last: "d2 00:10", want: "routine review: nothing has come about the patient since 2026-02-18 00:10"},
		{name: "however urgent the protocol has it", edits: []string{"\nemergentFor:", "\nurgency: { dev.dose-missed: urgent }\nemergentFor:"}, last: "d2 00:10", want: "routine review: nothing has come about the patient since 2026-02-18 00:10"},
		{name: "but no more than the protocol has it", edits: []string{"\nemergentFor:", "\nurgency: { dev.dose-missed: log }\nemergentFor:"}, last: "d2 00:10", want: "log review: nothing has come about the patient since 2026-02-18 00:10"},
		{name: "afterwards too", last: "d2 00:10", next: "d2 13:00", want: "routine review: nothing came about the patient from 2026-02-18 00:10 to 2026-02-18 13:00"},
		{name: "a miss of before", last: "d2 10:00", want: "prompt"},
		{name: "a record could have come in the last minute", last: "d2 09:59", want: "routine review: nothing has come about the patient since 2026-02-18 09:59"},
		{name: "a silence of before", last: "d1 17:00", next: "d2 07:00,d2 12:00,d2 20:00", want: "prompt"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := enrolled("arm-1").til().inHospital("")
			for i, when := range []string{"d1 08:00", "d1 16:00", "d2 00:00"} {
				c.dose(fmt.Sprint(i), "completed", when).ReceivedAt = at("d1 16:05")
			}
			if tt.last > "d2" {
				for w := at("d1 17:00"); w.Before(at(tt.last)); w = w.Add(time.Hour) {
					c.add(timeline.RefOf("Observation", w.String()), w).ReceivedAt = w
				}
			}
			for _, when := range append(strings.Split(tt.next, ","), tt.last) {
				if when != "" {
					c.add(timeline.RefOf("Observation", when), at(when)).ReceivedAt = at(when)
				}
			}
			now := at("d2 23:00")
			got := ""
			for _, f := range c.answer(trial(t, tt.edits...), now, nil).Findings {
				if f.Rule == "dev.dose-missed" {
					got += string(f.Urgency)
					if f.NeedsReview {
						got += " review"
					}
					if _, why, ok := strings.Cut(f.Message, "no record. The feed "); ok {
						_, why, _ = strings.Cut(why, ": ")
						got += ": " + strings.TrimSuffix(why, ". Review.")
					}
				}
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// A silence comes true by time alone, so the case wakes for it at the very instant; where the site must speak first it listens.
func TestSilenceWakes(t *testing.T) {
	c := onIL2("arm-1").inHospital("")
	now := at("d2 00:05")
	for range 20 {
		a := c.answer(trial(t), now, nil)
		if a.Next.IsZero() || !a.Next.After(now) {
			t.Fatalf("at %s next is %s", now, a.Next)
		}
		if now = a.Next; now.Equal(at("d2 12:05")) {
			if got := silences(c.answer(trial(t), now, nil).Findings); len(got) != 1 {
				t.Errorf("at 12 h: %v", got)
			}
			if a := c.answer(trial(t), now, []time.Time{}); !a.Listens {
				t.Error("a patient whose site is silent does not listen for it")
			}
			return
		}
		if now.After(at("d2 12:05")) {
			break
		}
	}
	t.Error("nothing woke at 12:05")
}

// What a feed remembers does not depend on the order in which it heard, and is what a list of all receipts says.
func TestFeedIsAFunctionOfItsReceipts(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		var receipts []time.Time
		for range rnd.IntN(30) {
			receipts = append(receipts, at("d0 00:00").Add(time.Duration(rnd.IntN(60*72))*time.Minute))
		}
		var f timeline.Feed
		for _, t := range receipts {
			f.Hear(t)
		}
		now := at("d3 12:00")
		slices.SortFunc(receipts, time.Time.Compare)
		var want []timeline.Span
		for i, from := range receipts {
			if i+1 == len(receipts) {
				if now.Sub(from) >= 2*time.Hour {
					want = append(want, timeline.Span{From: from})
				}
			} else if to := receipts[i+1]; to.Sub(from) >= 2*time.Hour {
				want = append(want, timeline.Span{From: from, To: to})
			}
		}
		if got := f.Silences(2*time.Hour, now); !slices.Equal(got, want) {
			t.Fatalf("receipts %v\ngot  %v\nwant %v", receipts, got, want)
		}
	}
}
