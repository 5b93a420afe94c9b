package rules_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/site"
	"github.com/trialwatch/trialwatch/rules/timeline"
	"github.com/trialwatch/trialwatch/rules/unit"
)

// A memo says what Evaluate says, whatever comes in whatever order, and wherever the time goes.
func TestMemoSaysWhatEvaluateSays(t *testing.T) {
	recalled := 0
	for seed := range uint64(60) {
		n, diff := memoAgrees(trial(t), seed)
		if diff != "" {
			t.Fatalf("seed %d (-Evaluate +Memo):\n%s", seed, diff)
		}
		recalled += n
	}
	if recalled < 100_000 {
		t.Errorf("only %d parts were recalled: this test sees little", recalled)
	}
}

// A rule that goes around the view of its case rests on something that nobody noted. The comparison must see that.
func TestMemoMissesWhatIsNotNoted(t *testing.T) {
	all := rules.All
	defer func() { rules.All = all }()
	for _, tt := range []struct {
		name  string
		count func(*rules.Case, *timeline.Timeline) int
		same  bool
	}{
		{"read through the view", func(c *rules.Case, _ *timeline.Timeline) int { return len(c.Timeline.Series(timeline.Platelets)) }, true},
		{"read behind its back", func(_ *rules.Case, tl *timeline.Timeline) int { return len(tl.Series(timeline.Platelets)) }, false},
		{"the time, without asking to be woken", func(c *rules.Case, _ *timeline.Timeline) int { return c.Now.Hour() }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rules.All = append(slices.Clone(all), rules.Rule{Eval: func(c *rules.Case) { c.Report(fmt.Sprint(tt.count(c, underMemo))) }})
			same := true
			for seed := range uint64(5) {
				_, diff := memoAgrees(trial(t), seed)
				same = same && diff == ""
			}
			if same != tt.same {
				t.Errorf("memo and Evaluate agree: %v, want %v", same, tt.same)
			}
		})
	}
}

// underMemo is the timeline that memoAgrees is at.
var underMemo *timeline.Timeline

// memoAgrees gives a patient one fact after another and compares, returning how many parts were recalled and the first difference.
func memoAgrees(p *protocol.Protocol, seed uint64) (recalled int, diff string) {
	r := rand.New(rand.NewPCG(seed, 3))
	facts := everything(r, p)
	s := site.New("main")
	memos := map[string]*rules.Memo{}
	now := at("d-14 09:00")
	for i := 0; i < len(facts); {
		for range 1 + r.IntN(3) { // some at once
			if i < len(facts) {
				s.Apply(facts[i])
				i++
			}
		}
		for _, patient := range s.Patients() {
			m := memos[patient.Identity]
			if m == nil {
				m = &rules.Memo{}
				memos[patient.Identity] = m
			}
			underMemo = patient.Timeline
			want := rules.Evaluate(patient.Timeline, p, now)
			got := m.Evaluate(patient.Timeline, p, now)
			if diff := cmp.Diff(want, got); diff != "" {
				return recalled, fmt.Sprintf("after %d facts, at %s:\n%s", i, now, diff)
			}
			recalled += m.Recalled()
			if next := got.Next; !next.IsZero() && r.IntN(4) == 0 {
				now = next
			}
		}
		switch r.IntN(10) {
		case 0:
			now = now.Add(-time.Duration(r.IntN(48)) * time.Hour) // as of an earlier day
		case 1, 2, 3:
			now = now.Add(time.Duration(r.IntN(20)) * time.Hour)
		case 4:
			now = now.Add(time.Nanosecond)
		}
	}
	return recalled, ""
}

// everything is a feed of all that the rules of a protocol read, with corrections, voids, refusals, other patients and the future, in any order.
func everything(r *rand.Rand, p *protocol.Protocol) []*timeline.Fact {
	c := enrolled([]string{"arm-1", "arm-2", ""}[r.IntN(3)])
	reads := slices.Sorted(maps.Keys(rules.Reads(p)))
	analytes := slices.DeleteFunc(slices.Clone(reads), func(name string) bool { _, ok := unit.Of(name); return !ok })
	drugs := slices.DeleteFunc(reads, func(name string) bool { _, ok := unit.Of(name); return ok })
	few := analytes
	if r.IntN(2) == 0 { // a few analytes with many results, or many with few
		r.Shuffle(len(analytes), func(i, j int) { analytes[i], analytes[j] = analytes[j], analytes[i] })
		few = append(slices.Clone(analytes[:4]), timeline.Temperature, timeline.Neutrophils, timeline.Platelets)
	}
	when := func() time.Time { return at("d-10 00:00").Add(time.Duration(r.IntN(24*60)) * 30 * time.Minute) }
	events := 120
	if r.IntN(4) > 0 {
		c.til()
		if r.IntN(2) == 0 { // in hospital on a running course, with long silences
			f := c.add(timeline.RefOf("Encounter", "stay"), at("d-1 08:00"))
			f.Encounter = &timeline.Encounter{Class: "IMP", Inpatient: true, Status: "in-progress"}
			c.dose("first", "completed", "d0 18:00")
			stranger := c.temp("37", "d1 08:00")
			stranger.Patient = timeline.Patient{Reference: "Patient/p3"}
			events = 50
		}
	}
	for i := range events {
		var f *timeline.Fact
		switch r.IntN(20) {
		case 0, 1, 2:
			f = c.add(timeline.RefOf("MedicationAdministration", fmt.Sprint("m", c.n)), when())
			f.Dose = &timeline.Dose{Drug: []string{timeline.Aldesleukin, timeline.Aldesleukin, drugs[r.IntN(len(drugs))], ""}[r.IntN(4)], Status: []string{"completed", "not-done", "on-hold", "stopped"}[r.IntN(4)], Route: []string{"", "IV"}[r.IntN(2)]}
			if f.Dose.Drug == "" {
				f.Dose.Medication = "Medication/none"
			}
		case 3:
			f = c.add(timeline.RefOf("Encounter", fmt.Sprint("e", c.n)), when())
			f.Encounter = &timeline.Encounter{Class: "IMP", Inpatient: true, Status: []string{"in-progress", "finished"}[r.IntN(2)]}
			if r.IntN(2) == 0 {
				f.End = f.At.Start.Add(time.Duration(r.IntN(100)) * time.Hour)
			}
		case 4:
			f = c.add(timeline.RefOf("Observation", fmt.Sprint("r", c.n)), when())
			f.Response = &timeline.Response{Category: timeline.Categories[r.IntN(len(timeline.Categories))]}
		case 5:
			f = c.add(timeline.RefOf("ResearchSubject", fmt.Sprint("rs-", r.IntN(3))), when())
			f.Enrolment = &timeline.Enrolment{Study: "ResearchStudy/til-il2", Status: []string{"on-study", "off-study", "candidate"}[r.IntN(3)], Identifiers: []string{"urn:x|S-001"}, AssignedArm: "arm-1", Start: f.At}
		case 7:
			f = c.add(timeline.RefOf("AdverseEvent", fmt.Sprint("ae", c.n)), when())
			terms := []string{"febrile-neutropenia", "fever", "neutrophil-count-decreased", "nausea", "hypotension", ""}
			f.AdverseEvent = &timeline.AdverseEvent{Term: terms[r.IntN(len(terms))], Grade: r.IntN(6), Over: r.IntN(3) == 0}
		case 6:
			f = c.add(timeline.RefOf("Patient", []string{"p1", "p2"}[r.IntN(2)]), time.Time{})
			f.Person = &timeline.Person{Sex: "female", Born: fmt.Sprint(1950+r.IntN(40), "-05-05")}
		default:
			f = c.add(timeline.RefOf("Observation", fmt.Sprint("o", c.n)), when())
			for range 1 + r.IntN(8)/7 {
				text := fmt.Sprintf("%.1f", math.Pow(10, 3*r.Float64()-0.5))
				name := few[r.IntN(len(few))]
				if name == timeline.Temperature {
					text = fmt.Sprintf("%.1f", 36+5*r.Float64())
				}
				v := timeline.Result{Analyte: name, Value: timeline.Quantity{Value: decimal.Must(text), Comparator: []string{"", "", "", "", "<", ">"}[r.IntN(6)], Text: text}}
				if r.IntN(3) == 0 {
					v.High = new(decimal.Int(int64(1 + r.IntN(100))))
				}
				if r.IntN(15) == 0 {
					v.Problem = &timeline.Problem{Reason: timeline.ProblemUnitMissing}
				}
				f.Results = append(f.Results, v)
			}
			f.Provisional = r.IntN(8) == 0
			if r.IntN(10) == 0 {
				f.End = f.At.Start.Add(8 * time.Hour)
			}
		}
		if i%7 == 0 {
			f.Patient = timeline.Patient{Reference: "Patient/p3"} // the site goes on sending
		}
		switch r.IntN(12) {
		case 0:
			f.At.Date = f.At.Start.Format(time.DateOnly)
		case 1:
			f.ReceivedAt = f.At.Start.Add(-time.Duration(r.IntN(60)) * time.Hour) // of the future
		}
		for v := 2; v < 2+r.IntN(6)/4; v++ {
			g := *f
			c.n++
			g.Version = timeline.Version{ID: fmt.Sprint(v), Digest: fmt.Sprintf("%03d", c.n)}
			switch r.IntN(4) {
			case 0:
				g = timeline.Fact{Ref: f.Ref, Version: g.Version, ReceivedAt: f.ReceivedAt, Site: "main", Patient: f.Patient, State: []timeline.State{timeline.Void, timeline.Refused}[r.IntN(2)]}
			case 1:
				g.Patient = timeline.Patient{Reference: "Patient/p2"}
			default:
				g.At.Start = when()
			}
			c.facts = append(c.facts, &g)
		}
	}
	if r.IntN(3) == 0 {
		f := c.add(timeline.RefOf("Patient", "p2"), time.Time{})
		f.Patient, f.Person = timeline.Patient{Reference: "Patient/p2"}, &timeline.Person{ReplacedBy: "Patient/p1"}
	}
	if r.IntN(2) == 0 {
		r.Shuffle(len(c.facts), func(i, j int) { c.facts[i], c.facts[j] = c.facts[j], c.facts[i] })
	} else {
		slices.SortStableFunc(c.facts, func(a, b *timeline.Fact) int { return a.ReceivedAt.Compare(b.ReceivedAt) })
	}
	return c.facts
}

// What comes about the patient, and about anybody else of the site, ends silences that a memo remembers.
func TestMemoHearsTheFeed(t *testing.T) {
	p := trial(t)
	c := onIL2("arm-1").inHospital("")
	c.obs("early", timeline.Platelets, "150", "d1 04:00")
	late := c.obs("plt", timeline.Platelets, "150", "d3 04:00")
	tl := timeline.New()
	tl.Site = &timeline.Feed{}
	var m rules.Memo
	stale := 0
	compare := func(now time.Time) {
		t.Helper()
		got := m.Evaluate(tl, p, now)
		if diff := cmp.Diff(rules.Evaluate(tl, p, now), got); diff != "" {
			t.Fatalf("at %s (-Evaluate +Memo):\n%s", now, diff)
		}
		stale += len(silences(got.Findings))
	}
	for _, f := range c.facts {
		if f != late {
			tl.Apply(f)
			tl.Site.Hear(f.ReceivedAt)
			compare(f.ReceivedAt)
		}
	}
	for _, now := range every(time.Hour, "d2 01:00", "d3 03:00") {
		compare(now)
		if now.After(at("d2 12:30")) {
			tl.Site.Hear(now) // somebody else's
			compare(now)
		}
	}
	compare(late.ReceivedAt)
	tl.Apply(late)
	compare(late.ReceivedAt)
	tl.Forget(late.Ref)
	compare(late.ReceivedAt)
	if stale == 0 {
		t.Error("no silence was found: this test sees nothing")
	}
}
