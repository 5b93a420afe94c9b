package rules_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trialwatch/trialwatch/deployments/protocols"
	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// The patient of all tests: TIL ends on 2026-02-16 at 10:00 in Chicago, which is day 0.
var zone, _ = time.LoadLocation("America/Chicago")

func shippedText(t testing.TB) string {
	t.Helper()
	data, err := protocols.FS.ReadFile(protocols.Shipped)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// assessmentsOf is the block of assessments of the shipped trial.
func assessmentsOf(text string) string {
	from, to := strings.Index(text, "assessments:\n"), strings.Index(text, "\n# What a dose should have been")
	return text[from:to]
}

// trial is the shipped trial without its assessments, which nearly no patient of these tests has.
func trial(t testing.TB, edits ...string) *protocol.Protocol {
	t.Helper()
	text := shippedText(t)
	text = strings.Replace(text, assessmentsOf(text), "", 1)
	for i := 0; i < len(edits); i += 2 {
		if !strings.Contains(text, edits[i]) {
			t.Fatalf("the protocol has no %q", edits[i])
		}
		text = strings.Replace(text, edits[i], edits[i+1], 1)
	}
	p, err := protocol.Parse("protocol.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// at reads "d+3 14:10" or "d-1 06:00" as a time of the patient's study.
func at(s string) time.Time {
	var day int
	var clock string
	if _, err := fmt.Sscanf(s, "d%d %s", &day, &clock); err != nil {
		panic(s + ": " + err.Error())
	}
	c, err := time.Parse("15:04", clock)
	if err != nil {
		panic(err)
	}
	return time.Date(2026, 2, 16+day, c.Hour(), c.Minute(), 0, 0, zone)
}

// chart builds facts, received five minutes after their clinical time.
type chart struct {
	facts []*timeline.Fact
	n     int
}

func (c *chart) add(ref timeline.Ref, when time.Time) *timeline.Fact {
	c.n++
	f := &timeline.Fact{
		Ref: ref, Version: timeline.Version{ID: "1", Digest: fmt.Sprintf("%03d", c.n)}, ReceivedAt: when.Add(5 * time.Minute), Site: "main",
		Patient: timeline.Patient{Reference: "Patient/p1"}, At: timeline.Time{Start: when},
	}
	c.facts = append(c.facts, f)
	return f
}

func (c *chart) obs(id, analyte, value, when string) *timeline.Fact {
	f := c.add(timeline.RefOf("Observation", id), at(when))
	comparator := value[:len(value)-len(strings.TrimLeft(value, "<>="))]
	text := strings.TrimLeft(value, "<>=")
	f.Results = []timeline.Result{{Analyte: analyte, Value: timeline.Quantity{Value: decimal.Must(text), Comparator: comparator, Text: text}}}
	return f
}

func (c *chart) anc(value, when string) *timeline.Fact {
	return c.obs(fmt.Sprintf("anc-%d", c.n), timeline.Neutrophils, value, when)
}

func (c *chart) temp(value, when string) *timeline.Fact {
	return c.obs(fmt.Sprintf("t-%d", c.n), timeline.Temperature, value, when)
}

func (c *chart) dose(id, status, when string, reasons ...string) *timeline.Fact {
	f := c.add(timeline.RefOf("MedicationAdministration", id), at(when))
	f.Dose = &timeline.Dose{Drug: timeline.Aldesleukin, Status: status, Reasons: reasons}
	return f
}

func enrolled(arm string) *chart {
	c := &chart{}
	f := c.add(timeline.RefOf("ResearchSubject", "rs-1"), at("d-14 08:00"))
	f.Enrolment = &timeline.Enrolment{Study: "ResearchStudy/til-il2", Status: "on-study", Identifiers: []string{"urn:x|S-001"}, AssignedArm: arm, Start: f.At}
	return c
}

func (c *chart) order(id, status, when string) *timeline.Fact {
	f := c.add(timeline.RefOf("MedicationRequest", id), at(when))
	f.Order = &timeline.Order{Drug: timeline.Aldesleukin, Status: status}
	return f
}

func (c *chart) til() *chart {
	f := c.add(timeline.RefOf("Procedure", "til"), at("d0 09:00"))
	f.End = at("d0 10:00")
	f.Procedure = &timeline.Procedure{Kind: timeline.TIL, Status: "completed"}
	return c
}

func (c *chart) evaluate(p *protocol.Protocol, now time.Time) rules.Answer {
	tl := timeline.New()
	for _, f := range c.facts {
		if !f.ReceivedAt.After(now) {
			tl.Apply(f)
		}
	}
	return rules.Evaluate(tl, p, now)
}

// show writes findings of some rules as one line each: rule, status, grade, onset → end.
func show(fs []rules.Finding, prefixes ...string) []string {
	var lines []string
	for _, f := range fs {
		if len(prefixes) > 0 && !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(f.Rule, p) }) {
			continue
		}
		line := f.Rule + " " + string(f.Status)
		if f.Grade != nil {
			line += fmt.Sprintf(" g%d", *f.Grade)
		}
		line += " " + f.Onset.Format("01-02T15:04")
		if f.End != nil {
			line += " → " + f.End.Format("01-02T15:04")
		}
		lines = append(lines, line)
	}
	return lines
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("findings (-want +got):\n%s", d)
	}
}

func TestFebrileNeutropenia(t *testing.T) {
	const fn = "tox.febrile-neutropenia"
	for _, tt := range []struct {
		name  string
		build func(c *chart)
		now   string
		want  []string
	}{
		{"count then fever", func(c *chart) { c.anc("0.08", "d3 06:00"); c.temp("38.6", "d3 14:10") }, "d3 14:15", []string{fn + " open g3 02-19T14:10"}},
		{"38.3 is not above 38.3", func(c *chart) { c.anc("0.4", "d3 06:00"); c.temp("38.3", "d3 10:00") }, "d3 14:00", nil},
		{"38.31 is", func(c *chart) { c.anc("0.4", "d3 06:00"); c.temp("38.31", "d3 10:00") }, "d3 14:00", []string{fn + " open g3 02-19T10:00"}},
		{"a count of 1.0 is not below 1.0", func(c *chart) { c.anc("1.0", "d3 06:00"); c.temp("39", "d3 10:00") }, "d3 14:00", nil},
		{"0.999 is", func(c *chart) { c.anc("0.999", "d3 06:00"); c.temp("39", "d3 10:00") }, "d3 14:00", []string{fn + " open g3 02-19T10:00"}},
		{"a count 48 h old still counts", func(c *chart) { c.anc("0.5", "d1 10:00"); c.temp("39", "d3 10:00") }, "d3 14:00", []string{fn + " open g3 02-19T10:00"}},
		{"a count a minute older does not", func(c *chart) { c.anc("0.5", "d1 09:59"); c.temp("39", "d3 10:00") }, "d3 14:00", nil},
		{"fever first, count 4 h later", func(c *chart) { c.anc("1.4", "d2 06:00"); c.temp("39.2", "d3 02:00"); c.anc("0.7", "d3 06:00") }, "d3 07:00", []string{fn + " open g3 02-19T06:00"}},
		{"count exactly 24 h later", func(c *chart) { c.temp("39.2", "d3 02:00"); c.anc("0.7", "d4 02:00") }, "d4 03:00", []string{fn + " open g3 02-20T02:00"}},
		{"count 30 h later", func(c *chart) { c.temp("39.2", "d3 02:00"); c.anc("0.7", "d4 08:00") }, "d4 09:00", nil},
		{"recovered before the fever", func(c *chart) { c.anc("0.6", "d9 06:00"); c.anc("1.0", "d10 06:00"); c.temp("38.9", "d10 18:00") }, "d10 19:00", nil},
		{"sustained 61 min", func(c *chart) { c.anc("0.5", "d3 06:00"); c.temp("38.0", "d3 10:00"); c.temp("38.0", "d3 11:01") }, "d3 12:00", []string{fn + " open g3 02-19T11:01"}},
		{"exactly 60 min is not sustained", func(c *chart) { c.anc("0.5", "d3 06:00"); c.temp("38.0", "d3 10:00"); c.temp("38.0", "d3 11:00") }, "d3 12:00", nil},
		{"a gap of exactly 4 h does not break a run", func(c *chart) { c.anc("0.5", "d3 06:00"); c.temp("38.0", "d3 10:00"); c.temp("38.0", "d3 14:00") }, "d3 15:00", []string{fn + " open g3 02-19T14:00"}},
		{"a longer gap is a candidate for review", func(c *chart) { c.anc("0.5", "d3 06:00"); c.temp("38.0", "d3 10:00"); c.temp("38.0", "d3 14:01") }, "d3 15:00", []string{fn + " open 02-19T14:01"}},
		{"more than 8 h is nothing", func(c *chart) { c.anc("0.5", "d3 06:00"); c.temp("38.0", "d3 10:00"); c.temp("38.0", "d3 18:01") }, "d3 19:00", nil},
		{"a normal reading between breaks the run", func(c *chart) {
			c.anc("0.5", "d3 06:00")
			c.temp("38.2", "d3 10:00")
			c.temp("37.9", "d3 11:00")
			c.temp("38.2", "d3 12:00")
		}, "d3 13:00", nil},
		{"below the limit of detection", func(c *chart) { c.anc("<0.1", "d3 06:00"); c.temp("39", "d3 10:00") }, "d3 14:00", []string{fn + " open g3 02-19T10:00"}},
		{"an undecided count is a candidate", func(c *chart) { c.anc("<1.5", "d3 06:00"); c.temp("39", "d3 10:00") }, "d3 14:00", []string{fn + " open 02-19T10:00"}},
		{"an older decided count holds", func(c *chart) { c.anc("0.3", "d2 06:00"); c.anc("<1.5", "d3 06:00"); c.temp("39", "d3 10:00") }, "d3 14:00", []string{fn + " open g3 02-19T10:00"}},
		{"ends at the first recovered count", func(c *chart) { c.anc("0.3", "d3 06:00"); c.temp("39", "d3 10:00"); c.anc("1.0", "d4 06:00") }, "d4 07:00", []string{fn + " resolved g3 02-19T10:00 → 02-20T06:00"}},
		{"open a minute before 48 h after the last reading", func(c *chart) { c.anc("0.3", "d3 06:00"); c.temp("39", "d3 10:00"); c.temp("38.0", "d4 10:00") }, "d6 09:59", []string{fn + " open g3 02-19T10:00"}},
		{"ended 48 h after the last reading of 38.0", func(c *chart) { c.anc("0.3", "d3 06:00"); c.temp("39", "d3 10:00"); c.temp("38.0", "d4 10:00") }, "d6 10:00", []string{fn + " resolved g3 02-19T10:00 → 02-22T10:00"}},
		{"two counts at one instant: the lower", func(c *chart) { c.anc("1.2", "d3 06:00"); c.anc("0.8", "d3 06:00"); c.temp("39", "d3 10:00") }, "d3 14:00", []string{fn + " open g3 02-19T10:00"}},
		{"leukocytes below 1.0 bound it", func(c *chart) { c.obs("w", timeline.Leukocytes, "0.9", "d3 06:00"); c.temp("39", "d3 10:00") }, "d3 14:00", []string{fn + " open g3 02-19T10:00"}},
		{"leukocytes times segs and bands", func(c *chart) {
			c.obs("w", timeline.Leukocytes, "2.0", "d3 06:00")
			c.obs("s", timeline.SegsPercent, "40", "d3 06:00")
			c.obs("b", timeline.BandsPercent, "9", "d3 06:00")
			c.temp("39", "d3 10:00")
		}, "d3 14:00", []string{fn + " open g3 02-19T10:00"}},
		{"without bands segs only bound from below", func(c *chart) {
			c.obs("w", timeline.Leukocytes, "2.0", "d3 06:00")
			c.obs("s", timeline.SegsPercent, "40", "d3 06:00")
			c.temp("39", "d3 10:00")
		}, "d3 14:00", []string{fn + " open 02-19T10:00"}},
		{"a percentage alone is no count", func(c *chart) { c.obs("s", timeline.NeutrophilsPercent, "45", "d3 06:00"); c.temp("39", "d3 10:00") }, "d3 14:00", nil},
		{"an episode split by recovery", func(c *chart) {
			c.anc("0.3", "d3 06:00")
			c.temp("39", "d3 10:00")
			c.anc("1.1", "d4 06:00")
			c.anc("0.9", "d4 18:00")
			c.temp("39", "d4 20:00")
		}, "d4 21:00", []string{fn + " resolved g3 02-19T10:00 → 02-20T06:00", fn + " open g3 02-20T20:00"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := enrolled("arm-1")
			tt.build(c)
			want(t, show(c.evaluate(trial(t), at(tt.now)).Findings, fn), tt.want...)
		})
	}
}

func TestFebrileNeutropeniaThresholdIsTheProtocols(t *testing.T) {
	c := enrolled("arm-1")
	c.anc("0.4", "d3 06:00")
	c.temp("38.3", "d3 10:00")
	idsa := trial(t, `comparator: ">"`, `comparator: ">="`)
	want(t, show(c.evaluate(idsa, at("d3 11:00")).Findings, "tox.febrile"), "tox.febrile-neutropenia open g3 02-19T10:00")
}

func TestNeutrophilGrades(t *testing.T) {
	for _, tt := range []struct{ version, value, lln, want string }{
		{"4.03", "0.49", "", "g4"},
		{"4.03", "0.5", "", "g3"}, // a value on the boundary belongs to the lower grade
		{"5.0", "0.499", "", "g4"},
		{"5.0", "0.5", "", "g3"},
		{"5.0", "0.999", "", "g3"},
		{"5.0", "1.0", "", "g2"},
		{"5.0", "1.499", "", "g2"},
		{"5.0", "1.5", "1.8", "g1"},
		{"5.0", "1.8", "1.8", "none"},
		{"5.0", "1.8", "2.0", "g1"},
		{"5.0", "1.5", "", "ungradable"}, // without a lower limit 1.5 may be normal or grade 1
		{"5.0", "<0.1", "", "g4"},
		{"5.0", ">1.2", "1.0", "ungradable"}, // grade 0 to 2
		{"6.0", "0.099", "", "g4"},
		{"6.0", "0.1", "", "g3"},
		{"6.0", "0.40", "", "g3"}, // the same value is grade 4 in 5.0
		{"6.0", "0.5", "", "g2"},
		{"6.0", "1.0", "", "g1"},
		{"6.0", "1.5", "", "none"}, // 6.0 does not read the lower limit
	} {
		t.Run(tt.version+" "+tt.value+" lln "+tt.lln, func(t *testing.T) {
			c := enrolled("arm-1")
			f := c.anc(tt.value, "d3 06:00")
			if tt.lln != "" {
				n := decimal.Must(tt.lln)
				f.Results[0].Low = &n
			}
			got := "none"
			for _, f := range c.evaluate(trial(t, `ctcae: "5.0"`, `ctcae: "`+tt.version+`"`), at("d3 07:00")).Findings {
				switch f.Rule {
				case "tox.neutrophil-count-decreased":
					got = fmt.Sprintf("g%d", *f.Grade)
				case "data.ungradable":
					got = "ungradable"
				}
			}
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestFeverGrades(t *testing.T) {
	for _, tt := range []struct {
		values []string // hourly from d3 06:00, "" leaves an hour out
		want   string
	}{
		{[]string{"37.9"}, "none"},
		{[]string{"38.0"}, "g1"},
		{[]string{"39.0"}, "g1"},
		{[]string{"39.1"}, "g2"},
		{[]string{"40.0"}, "g2"},
		{[]string{"40.1"}, "g3"},
	} {
		c := enrolled("arm-1")
		for i, v := range tt.values {
			c.temp(v, fmt.Sprintf("d3 %02d:00", 6+i))
		}
		got := "none"
		for _, f := range c.evaluate(trial(t), at("d3 20:00")).Findings {
			got = fmt.Sprintf("g%d", *f.Grade)
		}
		if got != tt.want {
			t.Errorf("%v: got %s, want %s", tt.values, got, tt.want)
		}
	}
	// Above 40.0 for more than 24 h is grade 4, for exactly 24 h it is not.
	for last, want := range map[string]int{"d4 06:00": 3, "d4 06:01": 4} {
		c := enrolled("arm-1")
		c.temp("40.5", "d3 06:00")
		c.temp("40.5", "d3 18:00")
		c.temp("40.5", last)
		if got := *c.evaluate(trial(t), at("d4 08:00")).Findings[0].Grade; got != want {
			t.Errorf("until %s: grade %d, want %d", last, got, want)
		}
	}
	// Readings less than 24 h apart are one episode.
	for second, want := range map[string]int{"d4 05:59": 1, "d4 06:00": 2} {
		c := enrolled("arm-1")
		c.temp("38.5", "d3 06:00")
		c.temp("38.5", second)
		if got := len(c.evaluate(trial(t), at("d4 08:00")).Findings); got != want {
			t.Errorf("second reading %s: %d episodes, want %d", second, got, want)
		}
	}
}

func TestIntervalDoses(t *testing.T) {
	three := func(c *chart) {
		c.dose("m1", "completed", "d1 08:00")
		c.dose("m2", "completed", "d1 16:00")
		c.dose("m3", "completed", "d2 00:00")
	}
	for _, tt := range []struct {
		name  string
		build func(c *chart)
		now   string
		want  []string
	}{
		{"a minute before 2 h nothing is missed", three, "d2 09:59", nil},
		{"missed at due + 2 h", three, "d2 10:00", []string{"dev.dose-missed open 02-18T08:00"}},
		{"the next dose ends the silence", func(c *chart) { three(c); c.dose("m5", "completed", "d2 16:00") }, "d2 17:00", []string{"dev.dose-missed resolved 02-18T08:00 → 02-18T16:00"}},
		{"late charting leaves no miss", func(c *chart) {
			three(c)
			c.dose("m5", "completed", "d2 16:00")
			c.dose("m4", "completed", "d2 08:05").ReceivedAt = at("d2 20:00")
		}, "d2 20:00", nil},
		{"late after 60 min", func(c *chart) { three(c); c.dose("m4", "completed", "d2 09:01") }, "d2 09:30", []string{"dev.dose-late open 02-18T08:00"}},
		{"exactly 60 min is in time", func(c *chart) { three(c); c.dose("m4", "completed", "d2 09:00") }, "d2 09:30", nil},
		{"early before 60 min", func(c *chart) { three(c); c.dose("m4", "completed", "d2 06:59") }, "d2 07:30", []string{"dev.dose-early open 02-18T08:00"}},
		{"3 h 40 late is late, not missed", func(c *chart) { three(c); c.dose("m4", "completed", "d2 11:40") }, "d2 12:00", []string{"dev.dose-late open 02-18T08:00"}},
		{"4 h late fills the next slot", func(c *chart) { three(c); c.dose("m4", "completed", "d2 12:00") }, "d2 12:30", []string{"dev.dose-missed resolved 02-18T08:00 → 02-18T12:00", "dev.dose-early open 02-18T16:00"}},
		{"held with a criterion", func(c *chart) {
			three(c)
			c.obs("cr", timeline.CreatinineMass, "2.7", "d2 07:30")
			c.dose("m4", "not-done", "d2 08:00", "http://snomed.info/sct|373147003")
		}, "d2 10:30", []string{"log.dose-held open 02-18T08:00"}},
		{"held without one", func(c *chart) {
			three(c)
			c.obs("cr", timeline.CreatinineMass, "1.1", "d2 07:30")
			c.dose("m4", "not-done", "d2 08:00", "http://snomed.info/sct|373147003")
		}, "d2 10:30", []string{"dev.dose-held-unsupported open 02-18T08:00"}},
		{"a creatinine of the day before yesterday supports nothing", func(c *chart) {
			three(c)
			c.obs("cr", timeline.CreatinineMass, "2.7", "d1 07:59")
			c.dose("m4", "not-done", "d2 08:00")
		}, "d2 10:30", []string{"dev.dose-held-unsupported open 02-18T08:00"}},
		{"molar creatinine has its own limit", func(c *chart) {
			three(c)
			c.obs("cr", timeline.CreatinineMolar, "221", "d2 07:30")
			c.dose("m4", "not-done", "d2 08:00")
		}, "d2 10:30", []string{"log.dose-held open 02-18T08:00"}},
		{"refused", func(c *chart) { three(c); c.dose("m4", "not-done", "d2 08:00", "http://snomed.info/sct|182895007") }, "d2 10:30", []string{"dev.dose-refused open 02-18T08:00"}},
		{"on hold is accounted for", func(c *chart) { three(c); c.dose("m4", "on-hold", "d2 08:00") }, "d2 10:30", []string{"dev.dose-held-unsupported open 02-18T08:00"}},
		{"a stop ends expectations", func(c *chart) { three(c); c.dose("m4", "stopped", "d2 08:00") }, "d5 10:30", []string{"dev.dose-held-unsupported open 02-18T08:00"}},
		{"so does a stopped order", func(c *chart) { three(c); c.order("o1", "stopped", "d2 08:00") }, "d5 10:30", nil},
		{"a dose that was due before is expected", func(c *chart) { three(c); c.order("o1", "stopped", "d2 08:01") }, "d2 10:30", []string{"dev.dose-missed resolved 02-18T08:00 → 02-18T10:00"}},
		{"not while another order is in force", func(c *chart) {
			three(c)
			c.order("o1", "stopped", "d2 04:00")
			c.order("o2", "active", "d1 04:00")
		}, "d2 10:30", []string{"dev.dose-missed open 02-18T08:00"}},
		{"the last order that is stopped counts", func(c *chart) {
			three(c)
			c.order("o1", "stopped", "d-1 04:00")
			c.order("o2", "stopped", "d2 08:01")
			c.order("o3", "completed", "d-1 05:00")
		}, "d2 10:30", []string{"dev.dose-missed resolved 02-18T08:00 → 02-18T10:00"}},
		{"one that does not say when counts from its receipt", func(c *chart) {
			three(c)
			c.order("o1", "stopped", "d-1 04:00")
			c.order("o2", "stopped", "d2 08:01").At = timeline.Time{}
		}, "d2 10:30", []string{"dev.dose-missed resolved 02-18T08:00 → 02-18T10:00"}},
		{"silence ends with the course, 24 h after the last dose", three, "d3 00:00", []string{"dev.dose-missed resolved 02-18T08:00 → 02-19T00:00"}},
		{"nothing at all is one finding at 26 h", func(*chart) {}, "d1 12:00", []string{"dev.dose-missed open 02-17T10:00"}},
		{"not before 26 h", func(*chart) {}, "d1 11:59", nil},
		{"the first dose after 24 h is late", func(c *chart) { c.dose("m1", "completed", "d1 15:00") }, "d1 16:00", []string{"dev.dose-late open 02-17T10:00"}},
		{"a date only counts and is never missed", func(c *chart) {
			three(c)
			f := c.dose("m4", "completed", "d2 00:00")
			f.At.Date, f.ReceivedAt = "2026-02-18", at("d2 10:00")
		}, "d2 10:30", []string{"data.timing-unknown open 02-18T00:00"}},
		{"one dose recorded twice counts once", func(c *chart) {
			for _, id := range []string{"m1", "m1b"} {
				v := timeline.Quantity{Value: decimal.Int(50), Text: "50"}
				f := c.dose(id, "completed", "d1 08:00")
				f.Dose.Amount, f.Dose.Dimension = &v, "[iU]"
			}
		}, "d1 09:00", []string{"data.possible-duplicate open 02-17T08:00"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := enrolled("arm-1").til()
			tt.build(c)
			want(t, show(c.evaluate(trial(t), at(tt.now)).Findings, "dev.dose-", "log.", "data.timing", "data.possible"), tt.want...)
		})
	}
}

func TestDailyDoses(t *testing.T) {
	for _, tt := range []struct {
		name  string
		build func(c *chart)
		now   string
		want  []string
	}{
		{"the day is not over", func(c *chart) { c.dose("m1", "completed", "d1 09:00") }, "d2 23:59", nil},
		{"missed at local midnight", func(c *chart) { c.dose("m1", "completed", "d1 09:00") }, "d3 00:00", []string{"dev.dose-missed open 02-18T00:00"}},
		{"a missed day is over with the next dose", func(c *chart) { c.dose("m1", "completed", "d1 09:00"); c.dose("m3", "completed", "d3 09:00") }, "d3 10:00", []string{"dev.dose-missed resolved 02-18T00:00 → 02-19T09:00"}},
		{"an order that is stopped ends what is expected", func(c *chart) { c.dose("m1", "completed", "d1 09:00"); c.order("o1", "stopped", "d1 12:00") }, "d5 00:00", nil},
		{"23:30 local belongs to its local day", func(c *chart) {
			c.dose("m1", "completed", "d1 09:00")
			c.dose("m2", "completed", "d2 23:30")
			c.dose("m3", "completed", "d3 09:00")
		}, "d3 10:00", nil},
		{"a date only fills its day", func(c *chart) {
			c.dose("m1", "completed", "d1 09:00")
			c.dose("m2", "completed", "d2 00:00").At.Date = "2026-02-18"
			c.dose("m3", "completed", "d3 09:00")
		}, "d3 10:00", nil},
		{"two on one day", func(c *chart) { c.dose("m1", "completed", "d1 09:00"); c.dose("m1b", "completed", "d1 19:00") }, "d1 20:00", []string{"data.possible-duplicate open 02-17T19:00"}},
		{"nothing is expected after day 14", func(c *chart) {
			for d := 1; d <= 14; d++ {
				c.dose(fmt.Sprintf("m%d", d), "completed", fmt.Sprintf("d%d 09:00", d))
			}
		}, "d20 10:00", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := enrolled("arm-2").til()
			tt.build(c)
			want(t, show(c.evaluate(trial(t), at(tt.now)).Findings), tt.want...)
		})
	}
}

func TestNobodyIsJudgedWithoutEnrolment(t *testing.T) {
	c := enrolled("arm-1")
	c.facts = c.facts[1:]
	c.til()
	c.anc("0.1", "d3 06:00")
	c.temp("39", "d3 10:00")
	if a := c.evaluate(trial(t), at("d4 10:00")); len(a.Findings) != 0 || a.Summary.Enrolled {
		t.Errorf("got %v, want nothing of a patient who is not in the study", show(a.Findings))
	}
}

func TestUnknownArmRunsToxicityOnly(t *testing.T) {
	c := enrolled("arm-7").til()
	c.temp("39.5", "d3 10:00")
	a := c.evaluate(trial(t), at("d3 11:00"))
	want(t, show(a.Findings), "tox.fever open g2 02-19T10:00")
	if got, want := a.Findings[0].Arm, protocol.Unassigned; got != want {
		t.Errorf("arm = %s, want %s", got, want)
	}
}

func TestOffStudyStopsExpectationsAndGradesForThirtyDays(t *testing.T) {
	c := enrolled("arm-2").til()
	e := *c.facts[0].Enrolment
	e.Status, e.EndsAt = "off-study", at("d3 00:00")
	c.facts[0].Enrolment = &e
	c.temp("38.5", "d32 23:00")
	c.temp("38.5", "d34 23:00")
	want(t, show(c.evaluate(trial(t), at("d40 00:00")).Findings, "tox", "dev"), "dev.dose-missed resolved 02-17T00:00 → 02-19T00:00", "tox.fever resolved g1 03-20T23:00 → 03-21T23:00")
}

// TestNextIsWhenTimeAloneChangesTheAnswer steps from one Next to the following and compares with a minute-by-minute evaluation.
func TestNextIsWhenTimeAloneChangesTheAnswer(t *testing.T) {
	c := enrolled("arm-1").til()
	c.anc("0.3", "d3 06:00")
	c.temp("39", "d3 10:00")
	c.dose("m1", "completed", "d1 08:00")
	p := trial(t)
	tl := timeline.New()
	for _, f := range c.facts {
		tl.Apply(f)
	}
	answer := func(now time.Time) string {
		b, _ := json.Marshal(rules.Evaluate(tl, p, now).Findings)
		return string(b)
	}
	last := answer(at("d0 00:00"))
	next := rules.Evaluate(tl, p, at("d0 00:00")).Next
	for now := at("d0 00:01"); now.Before(at("d9 00:00")); now = now.Add(time.Minute) {
		got := answer(now)
		if got != last && !now.Equal(next) {
			t.Fatalf("the answer changed at %v, Next said %v", now, next)
		}
		if now.Equal(next) {
			next = rules.Evaluate(tl, p, now).Next
		}
		last = got
	}
	if want := at("d25 00:00"); !next.Equal(want) { // when the first pembrolizumab is missed
		t.Errorf("Next = %v after the end of the course, want %v", next, want)
	}
}
