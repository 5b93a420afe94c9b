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

// asks is the shipped trial with these assessments alone.
func asks(t *testing.T, assessments string, edits ...string) *protocol.Protocol {
	t.Helper()
	return trial(t, append([]string{"\nregimens:\n", "\nassessments:\n  - { " + assessments + ", cite: a table }\nregimens:\n"}, edits...)...)
}

// exams are the findings about assessments: status, importance, onset → end, detected and what is said.
func exams(fs []rules.Finding) (lines []string) {
	for _, f := range fs {
		if f.Rule != "dev.assessment-missed" {
			continue
		}
		line := fmt.Sprintf("%s %s %s", f.Status, f.Importance, f.Onset.Format("01-02T15:04"))
		if f.End != nil {
			line += " → " + f.End.Format("01-02T15:04")
		}
		_, says, _ := strings.Cut(strings.TrimSuffix(f.Message, " Review."), " ")
		lines = append(lines, line+", "+f.Detected.Format("01-02T15:04")+": "+says)
	}
	return lines
}

const (
	daily  = "id: count, title: Count, any: [platelets], due: [{ firstDay: 1, lastDay: 4 }]"
	weekly = "id: count, title: Count, any: [platelets], windowDays: 1, due: [{ firstDay: 7, lastDay: 21, everyDays: 7 }]"
	whole  = "id: count, title: Count, all: [platelets, hemoglobin-mass], due: [{ firstDay: 1, lastDay: 2 }]"
	scan   = "id: scan, title: Scan, any: [tumor-response], missed: important, windowDays: 7, due: [{ day: 42 }, { day: 84 }]"
	after  = "id: level, title: Level, any: [lipase], window: PT15M, due: [{ after: PT1H }, { after: PT4H }]"
)

// platelets are results at these times.
func (c *chart) platelets(when ...string) {
	for i, w := range when {
		c.obs(fmt.Sprintf("plt-%d-%s", i, w), timeline.Platelets, "100", w)
	}
}

func TestAssessments(t *testing.T) {
	for _, tt := range []struct {
		name  string
		asked string
		build func(*chart)
		now   string
		want  []string
	}{
		{"the last minute of the day is in time", daily, func(c *chart) { c.platelets("d1 23:59") }, "d2 00:10", nil},
		{"at midnight it is not yet missed while something may come", daily, func(c *chart) { c.platelets("d1 06:00") }, "d2 23:59", nil},
		{"missed at the midnight that ends the day", daily, func(c *chart) { c.platelets("d1 06:00") }, "d3 00:00", []string{"open minor 02-18T00:00, 02-19T00:00: of day 2, due 2026-02-18: no record."}},
		{
			"the first minute of the next day is that day's", daily, func(c *chart) { c.platelets("d1 06:00", "d3 00:00") }, "d3 01:00",
			[]string{"resolved minor 02-18T00:00 → 02-19T00:00, 02-19T00:00: of day 2, due 2026-02-18: no record."},
		},
		{"what was never sent is not judged where it is judged once recorded", daily + ", onceRecorded: true", func(*chart) {}, "d5 00:00", nil},
		{
			"and judged from the day of the first on", daily + ", onceRecorded: true", func(c *chart) { c.platelets("d3 23:59") }, "d5 00:00",
			[]string{"open minor 02-20T00:00, 02-21T00:00: of day 4, due 2026-02-20: no record."},
		},
		{
			"days on end are one silence", daily, func(c *chart) { c.platelets("d1 06:00") }, "d4 12:00",
			[]string{"open minor 02-18T00:00, 02-19T00:00: of day 2 to day 3, 2 times, first due 2026-02-18: no record."},
		},
		{
			"which ends with the next result", daily, func(c *chart) { c.platelets("d1 06:00", "d4 06:00") }, "d5 12:00",
			[]string{"resolved minor 02-18T00:00 → 02-20T06:00, 02-19T00:00: of day 2 to day 3, 2 times, first due 2026-02-18: no record."},
		},
		{
			"the last one stands until it is made", daily, func(c *chart) { c.platelets("d1 06:00", "d2 06:00", "d3 06:00") }, "d9 12:00",
			[]string{"open minor 02-20T00:00, 02-21T00:00: of day 4, due 2026-02-20: no record."},
		},
		{
			"late", daily, func(c *chart) { c.platelets("d1 06:00", "d2 06:00", "d3 06:00", "d6 06:00") }, "d9 12:00",
			[]string{"open minor 02-20T00:00, 02-22T06:05: of day 4, due 2026-02-20: out of window, 2 days late."},
		},
		{"of nothing at all one is asked for", daily, func(*chart) {}, "d9 12:00", []string{"open query 02-17T00:00, 02-18T00:00: nothing is recorded, first due 2026-02-17."}},
		{"nothing before it is over", daily, func(*chart) {}, "d1 23:59", nil},
		{"a value without a unit was measured all the same", daily, func(c *chart) {
			c.platelets("d1 06:00")
			c.obs("x", timeline.Platelets, "100", "d2 06:00").Results[0].Problem = &timeline.Problem{Reason: timeline.ProblemUnitMissing}
		}, "d3 12:00", nil},
		{"a value that is absent was not", daily, func(c *chart) {
			c.platelets("d1 06:00")
			c.obs("x", timeline.Platelets, "100", "d2 06:00").Results[0].Problem = &timeline.Problem{Reason: timeline.ProblemValueAbsent}
		}, "d3 12:00", []string{"open minor 02-18T00:00, 02-19T00:00: of day 2, due 2026-02-18: no record."}},
		{"a date is its day", daily, func(c *chart) {
			c.platelets("d1 06:00")
			c.obs("x", timeline.Platelets, "100", "d2 00:00").At.Date = "2026-02-18"
		}, "d3 12:00", nil},
		{
			"a clinical time of the future shows nothing", daily, func(c *chart) {
				c.platelets("d1 06:00")
				c.obs("x", timeline.Platelets, "100", "d2 23:00").ReceivedAt = at("d1 07:00")
			}, "d2 22:00", nil,
		},

		{"a window closes at the midnight after its last day", weekly, func(c *chart) { c.platelets("d8 23:59") }, "d12 00:00", nil},
		{"and opens at that before its first", weekly, func(c *chart) { c.platelets("d6 00:00") }, "d12 00:00", nil},
		{
			"a minute before is early, which is known when the window closes", weekly, func(c *chart) { c.platelets("d5 23:59") }, "d9 00:00",
			[]string{"open minor 02-23T00:00, 02-25T00:00: of day 7, due 2026-02-23 (in time from 2026-02-22 to 2026-02-24): out of window, 1 day early."},
		},
		{"not before", weekly, func(c *chart) { c.platelets("d5 23:59") }, "d8 23:59", nil},
		{
			"a minute after is late", weekly, func(c *chart) { c.platelets("d9 00:00") }, "d10 00:00",
			[]string{"open minor 02-23T00:00, 02-25T00:05: of day 7, due 2026-02-23 (in time from 2026-02-22 to 2026-02-24): out of window, 1 day late."},
		},
		{"what comes between is nobody's where both were made", weekly, func(c *chart) { c.platelets("d7 08:00", "d10 08:00", "d11 08:00", "d14 08:00") }, "d16 00:00", nil},
		{
			"late until the next window opens, though nearer to that", weekly, func(c *chart) { c.platelets("d12 08:00") }, "d16 00:00",
			[]string{
				"open minor 02-23T00:00, 02-28T08:05: of day 7, due 2026-02-23 (in time from 2026-02-22 to 2026-02-24): out of window, 4 days late.",
				"open minor 03-02T00:00, 03-04T00:00: of day 14, due 2026-03-02 (in time from 2026-03-01 to 2026-03-03): no record.",
			},
		},
		{
			"of two between, one is late and the other early", weekly, func(c *chart) { c.platelets("d9 08:00", "d12 08:00") }, "d16 00:00",
			[]string{
				"open minor 02-23T00:00, 02-25T08:05: of day 7, due 2026-02-23 (in time from 2026-02-22 to 2026-02-24): out of window, 1 day late.",
				"open minor 03-02T00:00, 03-04T00:00: of day 14, due 2026-03-02 (in time from 2026-03-01 to 2026-03-03): out of window, 1 day early.",
			},
		},
		{
			"a week that is too far from the next is not early for it", weekly, func(c *chart) { c.platelets("d7 08:00", "d9 08:00") }, "d16 00:00",
			[]string{"open minor 03-02T00:00, 03-04T00:00: of day 14, due 2026-03-02 (in time from 2026-03-01 to 2026-03-03): no record."},
		},
		{
			"over the change of the clock a day is a day", weekly, func(c *chart) { c.platelets("d7 08:00", "d14 08:00", "d23 00:00") }, "d23 01:00",
			[]string{"open minor 03-09T00:00, 03-11T00:05: of day 21, due 2026-03-09 (in time from 2026-03-08 to 2026-03-10): out of window, 1 day late."},
		},
		{"the window of that week opens at midnight in standard time", weekly, func(c *chart) { c.platelets("d7 08:00", "d14 08:00", "d20 00:00") }, "d23 01:00", nil},

		{"all parts", whole, func(c *chart) { c.platelets("d1 06:00"); c.obs("hb", timeline.HemoglobinMass, "100", "d1 23:59") }, "d2 12:00", nil},
		{"moles count for mass", whole, func(c *chart) { c.platelets("d1 06:00"); c.obs("hb", timeline.HemoglobinMolar, "6", "d1 23:59") }, "d2 12:00", nil},
		{
			"a part is missing", whole, func(c *chart) { c.platelets("d1 06:00") }, "d2 12:00",
			[]string{"open minor 02-17T00:00, 02-18T00:00: of day 1, due 2026-02-17: no hemoglobin-mass."},
		},

		{"a scan that could not be evaluated was made", scan, func(c *chart) { c.response("d40 10:00", timeline.NE) }, "d60 00:00", nil},
		{
			"a scan of which nothing is known stays important", scan, func(*chart) {}, "d50 00:00",
			[]string{"open important 03-30T00:00, 04-07T00:00: nothing is recorded, first due 2026-03-30 (in time from 2026-03-23 to 2026-04-06)."},
		},

		{"by hours the ends of the window are in time", after, func(c *chart) {
			c.obs("a", timeline.Lipase, "1", "d0 10:15")
			c.obs("b", timeline.Lipase, "1", "d0 12:45")
		}, "d1 00:00", nil},
		{"a minute beyond is not", after, func(c *chart) {
			c.obs("a", timeline.Lipase, "1", "d0 10:16")
			c.obs("b", timeline.Lipase, "1", "d0 12:44")
		}, "d1 00:00", []string{
			"open minor 02-16T10:00, 02-16T10:21: of 1 h, due 2026-02-16 10:00: out of window, 1 min late.",
			"open minor 02-16T13:00, 02-16T13:15: of 4 h, due 2026-02-16 13:00: out of window, 1 min early.",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := enrolled("arm-1").til()
			tt.build(c)
			want(t, exams(c.evaluate(asks(t, tt.asked), at(tt.now)).Findings), tt.want...)
		})
	}
}

func (c *chart) response(when string, category timeline.Category) {
	c.add(timeline.RefOf("Observation", "scan-"+when), at(when)).Response = &timeline.Response{Category: category}
}

// Expectations have a beginning and an end, and are those of the arm.
func TestAssessmentsThatAreNotExpected(t *testing.T) {
	leave := func(status string, when time.Time) func(*chart) {
		return func(c *chart) {
			f := *c.facts[0]
			e := *f.Enrolment
			e.Status, e.EndsAt = status, when
			f.Enrolment, f.Version.ID = &e, "2"
			c.facts = append(c.facts, &f)
		}
	}
	for _, tt := range []struct {
		name  string
		asked string
		build func(*chart)
		want  []string
	}{
		{"while the window is open the patient leaves", daily, func(c *chart) { c.platelets("d1 06:00"); leave("off-study", at("d2 23:59"))(c) }, nil},
		{
			"at the very end of it", daily, func(c *chart) { c.platelets("d1 06:00"); leave("withdrawn", at("d3 00:00"))(c) },
			[]string{"resolved minor 02-18T00:00 → 02-19T00:00, 02-19T00:00: of day 2, due 2026-02-18: no record."},
		},
		{
			"a silence ends with the study", daily, func(c *chart) { c.platelets("d1 06:00"); leave("off-study", at("d3 09:00"))(c) },
			[]string{"resolved minor 02-18T00:00 → 02-19T09:00, 02-19T00:00: of day 2, due 2026-02-18: no record."},
		},
		{"the patient dies", daily, func(c *chart) {
			c.platelets("d1 06:00")
			c.add(timeline.RefOf("Patient", "p1"), at("d2 12:00")).Person = &timeline.Person{Deceased: timeline.Time{Start: at("d2 11:00")}}
		}, nil},
		{
			"days before the enrolment are not judged, that of the enrolment is", "id: count, title: Count, any: [platelets], due: [{ firstDay: -15, lastDay: -14 }]", func(c *chart) { c.platelets("d0 06:00") },
			[]string{"open minor 02-02T00:00, 02-16T09:05: of day -14, due 2026-02-02: out of window, 14 days late."},
		},
		{"of another arm", daily + ", arms: [arm-2]", func(*chart) {}, nil},
		{"of this arm", daily + ", arms: [arm-1]", func(*chart) {}, []string{"open query 02-17T00:00, 02-18T00:00: nothing is recorded, first due 2026-02-17."}},
		{"before an amendment", daily + ", inForce: { from: 2026-02-20 }", func(*chart) {}, []string{"open query 02-20T00:00, 02-21T00:00: nothing is recorded, first due 2026-02-20."}},
		{"after a drug that was never given", daily + ", from: pembrolizumab", func(*chart) {}, nil},
		{
			"after the first of a drug", daily + ", from: cyclophosphamide", func(c *chart) {
				c.drug(timeline.Cyclophosphamide, "d-7 09:00")
				c.drug(timeline.Cyclophosphamide, "d-6 09:00")
			},
			[]string{"open query 02-10T00:00, 02-11T00:00: nothing is recorded, first due 2026-02-10."},
		},
		{"after the enrolment", daily + ", from: enrolment", func(*chart) {}, []string{"open query 02-03T00:00, 02-04T00:00: nothing is recorded, first due 2026-02-03."}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := enrolled("arm-1").til()
			tt.build(c)
			want(t, exams(c.evaluate(asks(t, tt.asked), at("d9 00:00")).Findings), tt.want...)
		})
	}
	c := enrolled("arm-9").til()
	want(t, exams(c.evaluate(asks(t, daily), at("d9 00:00")).Findings))
}

// Day 0 need not be an infusion.
func TestDay0(t *testing.T) {
	for _, tt := range []struct {
		day0  string
		build func(*chart)
		want  []string
	}{
		{"enrolment", func(*chart) {}, []string{"open query 02-03T00:00, 02-04T00:00: nothing is recorded, first due 2026-02-03."}},
		{"pembrolizumab", func(c *chart) { c.drug(timeline.Pembrolizumab, "d2 23:59"); c.drug(timeline.Pembrolizumab, "d3 09:00") }, []string{"open query 02-19T00:00, 02-20T00:00: nothing is recorded, first due 2026-02-19."}},
		{"pembrolizumab", func(*chart) {}, nil},
	} {
		c := enrolled("arm-1")
		tt.build(c)
		p := asks(t, daily, "\nday0: til\n", "\nday0: "+tt.day0+"\n", "    before: til\n", "    before: "+tt.day0+"\n")
		want(t, exams(c.evaluate(p, at("d9 00:00")).Findings), tt.want...)
	}
}

// BenchmarkAssessments is what the assessments of the shipped trial add to an evaluation, for a patient who has them all.
func BenchmarkAssessments(b *testing.B) {
	c := enrolled("arm-1").til()
	for day := range 15 {
		for i, analyte := range []string{
			timeline.Leukocytes, timeline.HemoglobinMass, timeline.Platelets, timeline.CreatinineMass, timeline.BilirubinMass, timeline.ALT, timeline.Temperature, timeline.HeartRate,
			timeline.Systolic, timeline.SpO2, timeline.Weight,
		} {
			c.obs(fmt.Sprintf("o-%d-%d", day, i), analyte, "37", fmt.Sprintf("d%d 06:00", day))
		}
	}
	tl := timeline.New()
	for _, f := range c.facts {
		tl.Apply(f)
	}
	without := trial(b)
	with, err := protocol.Parse("protocol.yaml", []byte(shippedText(b)))
	if err != nil {
		b.Fatal(err)
	}
	for _, run := range []struct {
		name string
		p    *protocol.Protocol
	}{{"without", without}, {"with", with}} {
		b.Run(run.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				rules.Evaluate(tl, run.p, at("d15 12:00"))
			}
		})
	}
}
