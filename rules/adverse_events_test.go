package rules_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// graded is what a clinician graded, at a time or, without one, on a day: "d3" is a date alone.
func (c *chart) graded(term string, grade int, when string) *timeline.Fact {
	day, clock, timed := strings.Cut(when, " ")
	if !timed {
		clock = "00:00"
	}
	f := c.add(timeline.RefOf("AdverseEvent", fmt.Sprintf("ae-%d", c.n)), at(day+" "+clock))
	if !timed {
		f.At.Date = f.At.Start.Format(time.DateOnly)
		f.ReceivedAt = f.At.Start.Add(20 * time.Hour)
	}
	f.AdverseEvent = &timeline.AdverseEvent{Term: term, Grade: grade}
	switch {
	case term == "":
		f.AdverseEvent.Problem = &timeline.Problem{Reason: timeline.ProblemNoTerm}
	case grade == 0:
		f.AdverseEvent.Problem = &timeline.Problem{Reason: timeline.ProblemNoGrade}
	}
	return f
}

// toxicities are the findings of toxicity and those about adverse events, a line each.
func toxicities(a rules.Answer) string {
	var lines []string
	for _, f := range a.Findings {
		if !strings.HasPrefix(f.Rule, "tox.") && !strings.Contains(f.ID, "AdverseEvent") {
			continue
		}
		grade := "none"
		switch {
		case f.Grade != nil && *f.Grade == *f.GradeMax:
			grade = fmt.Sprint(*f.Grade)
		case f.Grade != nil:
			grade = fmt.Sprintf("%d-%d", *f.Grade, *f.GradeMax)
		case f.GradeMax != nil:
			grade = fmt.Sprintf("up to %d", *f.GradeMax)
		}
		line := fmt.Sprintf("%s %s %s %s", f.Rule, grade, f.Status, f.Urgency)
		if f.Current != nil {
			line += fmt.Sprintf(" now %d", *f.Current)
		}
		if f.NeedsReview {
			line += " review"
		}
		if n := len(slices.DeleteFunc(slices.Clone(f.Evidence), func(e rules.Evidence) bool { return e.Role != "adverse-event" })); n > 0 {
			line += fmt.Sprintf(" by %d", n)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func grades(s rules.Summary) string {
	var parts []string
	for _, t := range s.Toxicity {
		part := fmt.Sprintf("%s %d×%d", t.Term, t.Grade, t.Episodes)
		if t.Emergent > 0 {
			part += fmt.Sprintf(" emergent %d", t.Emergent)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

func TestCliniciansGrade(t *testing.T) {
	const ungradable = "data.ungradable none open routine by 1"
	fn := func(c *chart) { c.anc("0.08", "d8 06:00"); c.temp("38.6", "d8 14:10") }
	for _, tt := range []struct {
		name    string
		build   func(*chart)
		want    []string // of the toxicities that the row is about
		summary string
		not     []string // rules that nothing is said of
	}{
		{
			"febrile neutropenia is life-threatening", func(c *chart) { fn(c); c.graded("febrile-neutropenia", 4, "d8") },
			[]string{"tox.febrile-neutropenia 4 open urgent now 4 by 1"},
			"Febrile neutropenia 4×1 emergent 4", nil,
		},
		{
			"at a time before the machine's onset, of the same day", func(c *chart) { fn(c); c.graded("febrile-neutropenia", 4, "d8 08:00") },
			[]string{"tox.febrile-neutropenia 4 open urgent now 4 by 1"},
			"Febrile neutropenia 4×1 emergent 4", nil,
		},
		{
			"on the day before: an episode of its own", func(c *chart) { fn(c); c.graded("febrile-neutropenia", 4, "d7") },
			[]string{"tox.febrile-neutropenia 4 open urgent now 4 by 1", "tox.febrile-neutropenia 3 open urgent now 3"},
			"Febrile neutropenia 4×2 emergent 4", nil,
		},
		{
			"a candidate is confirmed", func(c *chart) {
				c.anc("<1.5", "d8 06:00")
				c.temp("38.6", "d8 14:10")
				c.graded("febrile-neutropenia", 3, "d8")
			},
			[]string{"tox.febrile-neutropenia 3 open urgent now 3 by 1"},
			"Febrile neutropenia 3×1 emergent 3", nil,
		},
		{
			"a range is settled, and lower than what the data give at least", func(c *chart) {
				c.obs("lip", timeline.Lipase, "600", "d3 06:00").Results[0].High = new(decimal.Int(100))
				c.graded("lipase-increased", 2, "d3 10:00")
			},
			[]string{"tox.lipase-increased 2 open routine now 2 by 1"},
			"Lipase increased 2×1 emergent 2", nil,
		},
		{
			"later results say how it is now", func(c *chart) {
				c.anc("0.4", "d3 06:00")
				c.anc("0.9", "d5 06:00")
				c.graded("neutrophil-count-decreased", 4, "d3")
			},
			[]string{"tox.neutrophil-count-decreased 4 open urgent now 3 by 1"},
			"Neutrophil count decreased 4×1 emergent 4", nil,
		},
		{
			"the end of an episode is the data's", func(c *chart) {
				c.anc("0.4", "d3 06:00")
				c.anc("4", "d5 06:00").Results[0].Low = new(decimal.Int(2))
				c.graded("neutrophil-count-decreased", 3, "d4")
			},
			[]string{"tox.neutrophil-count-decreased 3 resolved prompt now 0 by 1"},
			"Neutrophil count decreased 3×1 emergent 3", nil,
		},
		{
			"after it: an episode of its own", func(c *chart) {
				c.anc("0.4", "d3 06:00")
				c.anc("4", "d5 06:00").Results[0].Low = new(decimal.Int(2))
				c.graded("neutrophil-count-decreased", 3, "d6")
			},
			[]string{"tox.neutrophil-count-decreased 4 resolved urgent now 0", "tox.neutrophil-count-decreased 3 open prompt now 3 by 1"},
			"Neutrophil count decreased 4×2 emergent 4", nil,
		},
		{
			"a term that data do not grade", func(c *chart) { c.graded("nausea", 3, "d4") },
			[]string{"tox.nausea 3 open prompt now 3 by 1"},
			"Nausea 3×1 emergent 3", nil,
		},
		{
			"before treatment", func(c *chart) { c.graded("nausea", 2, "d-1") },
			[]string{"tox.nausea 2 open routine now 2 by 1"},
			"Nausea 2×1", nil,
		},
		{
			"on the day of the first dose", func(c *chart) { c.graded("nausea", 2, "d0") },
			[]string{"tox.nausea 2 open routine now 2 by 1"},
			"Nausea 2×1 emergent 2", nil,
		},
		{
			"by the name of another version", func(c *chart) { c.graded("thrombocytopenia", 3, "d4") },
			[]string{"tox.platelet-count-decreased 3 open prompt now 3 by 1"},
			"Platelet count decreased 3×1 emergent 3", nil,
		},
		{
			"assessed on several days: the worst, and how it is now", func(c *chart) {
				c.graded("nausea", 2, "d4")
				c.graded("nausea", 3, "d5")
				c.graded("nausea", 1, "d7")
			},
			[]string{"tox.nausea 3 open prompt now 1 by 3"},
			"Nausea 3×1 emergent 3", nil,
		},
		{
			"assessed twice of one day: as it was last updated", func(c *chart) {
				c.graded("nausea", 3, "d4").Version.LastUpdated = at("d4 10:00")
				c.graded("nausea", 1, "d4").Version.LastUpdated = at("d6 10:00")
				c.graded("nausea", 2, "d4").Version.LastUpdated = at("d5 10:00")
			},
			[]string{"tox.nausea 1 open log now 1 by 3"},
			"Nausea 1×1 emergent 1", nil,
		},
		{
			"over, and again", func(c *chart) {
				c.graded("nausea", 2, "d4").End = at("d5 00:00")
				c.graded("nausea", 3, "d6")
			},
			[]string{"tox.nausea 2 resolved routine now 0 by 1", "tox.nausea 3 open prompt now 3 by 1"},
			"Nausea 3×2 emergent 3", nil,
		},
		{
			"the last assessment says that it is over", func(c *chart) {
				c.graded("nausea", 3, "d4")
				c.graded("nausea", 1, "d6").AdverseEvent.Over = true
			},
			[]string{"tox.nausea 3 resolved prompt now 0 by 2"},
			"Nausea 3×1 emergent 3", nil,
		},
		{
			"a newer version was refused", func(c *chart) {
				f := *c.graded("nausea", 3, "d4")
				f.Version, f.State, f.AdverseEvent = timeline.Version{ID: "2", Digest: "r"}, timeline.Refused, nil
				c.facts = append(c.facts, &f)
			},
			[]string{"tox.nausea 3 open prompt now 3 review by 1"},
			"Nausea 3×1 emergent 3", nil,
		},
		{
			"a newer version of a result was refused", func(c *chart) {
				f := *c.anc("0.4", "d3 06:00")
				f.Version, f.State, f.Results = timeline.Version{ID: "2", Digest: "r"}, timeline.Refused, nil
				c.facts = append(c.facts, &f)
				c.graded("neutrophil-count-decreased", 3, "d3")
			},
			[]string{"tox.neutrophil-count-decreased 3 open prompt now 3 review by 1"},
			"Neutrophil count decreased 3×1 emergent 3", nil,
		},
		{
			"the latest version counts", func(c *chart) {
				f := *c.graded("nausea", 3, "d4")
				f.Version, f.AdverseEvent = timeline.Version{ID: "2", Digest: "v"}, &timeline.AdverseEvent{Term: "nausea", Grade: 2}
				c.facts = append(c.facts, &f)
			},
			[]string{"tox.nausea 2 open routine now 2 by 1"},
			"Nausea 2×1 emergent 2", nil,
		},
		{
			"taken back", func(c *chart) {
				fn(c)
				f := *c.graded("febrile-neutropenia", 4, "d8")
				f.Version, f.State, f.AdverseEvent = timeline.Version{ID: "2", Digest: "v"}, timeline.Void, nil
				c.facts = append(c.facts, &f)
			},
			[]string{"tox.febrile-neutropenia 3 open urgent now 3"},
			"Febrile neutropenia 3×1 emergent 3", nil,
		},
		{"no term", func(c *chart) { c.graded("", 4, "d4") }, []string{ungradable}, "", nil},
		{"no grade", func(c *chart) { c.graded("nausea", 0, "d4") }, []string{ungradable}, "", []string{"tox.nausea"}},
		{"a grade that the term has not", func(c *chart) { c.graded("nausea", 4, "d4") }, []string{ungradable}, "", []string{"tox.nausea"}},
		{"no grade 1 of febrile neutropenia", func(c *chart) { fn(c); c.graded("febrile-neutropenia", 1, "d8") }, []string{"tox.febrile-neutropenia 3 open urgent now 3", ungradable}, "Febrile neutropenia 3×1 emergent 3", nil},
		{"a term of another version alone", func(c *chart) { c.graded("diabetes-mellitus", 3, "d4") }, []string{ungradable}, "", nil},
		{"charted in the future", func(c *chart) { c.graded("nausea", 3, "d4").ReceivedAt = at("d1 00:00") }, []string{"data.implausible none open routine by 1"}, "", []string{"tox.nausea"}},
		{"still to come", func(c *chart) { c.graded("nausea", 3, "d30").ReceivedAt = at("d29 12:00") }, nil, "", []string{"tox.nausea"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := enrolled("arm-1").til()
			tt.build(c)
			a := c.evaluate(trial(t), at("d9 00:00"))
			about := map[string]bool{}
			for _, w := range tt.want {
				rule, _, _ := strings.Cut(w, " ")
				about[rule] = true
			}
			for _, rule := range tt.not {
				about[rule] = true
			}
			var got []string
			for line := range strings.Lines(toxicities(a)) {
				if rule, _, _ := strings.Cut(line, " "); about[rule] {
					got = append(got, strings.TrimSpace(line))
				}
			}
			slices.Sort(got)
			slices.Sort(tt.want)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
			term, _, _ := strings.Cut(tt.summary, " ")
			for part := range strings.SplitSeq(grades(a.Summary), ", ") {
				if term != "" && strings.HasPrefix(part, term+" ") && part != tt.summary {
					t.Errorf("contributes %s, want %s", part, tt.summary)
				}
			}
			if tt.summary != "" && !strings.Contains(grades(a.Summary), tt.summary) {
				t.Errorf("contributes %s, want %s", grades(a.Summary), tt.summary)
			}
		})
	}
}

// Grade 5 is a death, on the day that the Patient names where there is one.
func TestDeathByAnAdverseEvent(t *testing.T) {
	p := trial(t)
	for _, tt := range []struct {
		name  string
		build func(*chart)
		days  int // 0: alive
	}{
		{"a term with a grade 5", func(c *chart) { c.graded("sepsis", 5, "d40") }, 40},
		{"of a term that nobody knows", func(c *chart) { c.graded("", 5, "d40") }, 40},
		{"grade 4", func(c *chart) { c.graded("sepsis", 4, "d40") }, 0},
		{"a grade 5 that the term has not", func(c *chart) { c.graded("nausea", 5, "d40") }, 0},
		{"of an unknown status", func(c *chart) {
			c.graded("sepsis", 5, "d40").AdverseEvent.Problem = &timeline.Problem{Reason: timeline.ProblemStatusUnknown}
		}, 0},
		{"the Patient names another day", func(c *chart) { c.graded("sepsis", 5, "d40"); c.died(43) }, 43},
		{"the Patient names none", func(c *chart) {
			c.graded("sepsis", 5, "d40")
			c.died(43)
			c.facts[len(c.facts)-1].Person = &timeline.Person{DiedUndated: true}
		}, 40},
		{"the first of two", func(c *chart) { c.graded("sepsis", 5, "d41"); c.graded("", 5, "d40") }, 40},
		{"charted in the future", func(c *chart) { c.graded("sepsis", 5, "d40").ReceivedAt = at("d30 00:00") }, 0},
		{"taken back", func(c *chart) {
			f := *c.graded("sepsis", 5, "d40")
			f.Version, f.State, f.AdverseEvent = timeline.Version{ID: "2", Digest: "v"}, timeline.Void, nil
			c.facts = append(c.facts, &f)
		}, 0},
	} {
		c := enrolled("arm-1").til()
		tt.build(c)
		a := c.evaluate(p, at("d60 00:00"))
		if got := *a.Summary.OS; got.Event != (tt.days > 0) || tt.days > 0 && got.Days != tt.days {
			t.Errorf("%s: survival %+v, want day %d", tt.name, got, tt.days)
		}
		for _, f := range a.Findings {
			if f.Rule == "data.ungradable" && strings.Contains(f.Message, "without a day") {
				t.Errorf("%s: the day is asked for: %s", tt.name, f.Message)
			}
		}
	}
}

// clinical is a feed of counts, temperatures and what clinicians graded, with corrections and voids.
func clinical(r *rand.Rand) []*timeline.Fact {
	c := enrolled("arm-1").til()
	terms := []string{"febrile-neutropenia", "fever", "neutrophil-count-decreased", "nausea", ""}
	for range 25 {
		when := fmt.Sprintf("d%d %02d:00", r.IntN(6), r.IntN(24))
		var f *timeline.Fact
		switch r.IntN(4) {
		case 0:
			f = c.anc(fmt.Sprintf("%d.%d", r.IntN(2), r.IntN(10)), when)
		case 1:
			f = c.temp(fmt.Sprintf("%d.%d", 37+r.IntN(3), r.IntN(10)), when)
		default:
			f = c.graded(terms[r.IntN(len(terms))], r.IntN(6), when[:2+r.IntN(2)*6])
			f.AdverseEvent.Over = r.IntN(3) == 0
		}
		for v := 2; v < 2+r.IntN(3); v++ {
			g := *f
			c.n++
			g.Version = timeline.Version{ID: fmt.Sprint(v), LastUpdated: f.ReceivedAt.Add(time.Duration(v) * time.Hour), Digest: fmt.Sprintf("%03d", c.n)}
			switch {
			case r.IntN(3) == 0:
				g.State, g.Results, g.AdverseEvent = timeline.Void, nil, nil
			case g.AdverseEvent != nil:
				g.AdverseEvent = &timeline.AdverseEvent{Term: terms[r.IntN(4)], Grade: 1 + r.IntN(5)}
			}
			c.facts = append(c.facts, &g)
		}
	}
	return c.facts
}

// In any order and any number of times, what clinicians graded says one thing; no grading is counted twice, and none in two findings.
func TestCliniciansGradeInAnyOrder(t *testing.T) {
	p := trial(t)
	settled := 0
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 7))
		facts := clinical(r)
		now := at("d9 00:00")
		want := state(t, p, facts, now)
		for range 10 {
			again := append(slices.Clone(facts), facts[:len(facts)/2]...)
			r.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
			if got := state(t, p, again, now); got != want {
				t.Fatalf("seed %d:\ngot  %s\nwant %s", seed, got, want)
			}
		}
		settled += once(t, p, facts, now)
	}
	if settled < 200 {
		t.Errorf("only %d gradings counted: this test sees little", settled)
	}
}

// once counts the gradings that are evidence.
func once(t *testing.T, p *protocol.Protocol, facts []*timeline.Fact, now time.Time) int {
	t.Helper()
	seen := map[string]string{}
	for _, f := range (&chart{facts: facts}).evaluate(p, now).Findings {
		for _, e := range f.Evidence {
			if e.Role != "adverse-event" {
				continue
			}
			if other := seen[e.Ref]; other != "" {
				t.Errorf("%s is evidence of %s and %s", e.Ref, other, f.ID)
			}
			seen[e.Ref] = f.ID
			if strings.HasPrefix(f.Rule, "tox.") && (f.Grade == nil || *f.Grade != *f.GradeMax || f.NeedsReview) {
				t.Errorf("%s was graded by a clinician and is not settled: %+v", f.ID, f)
			}
		}
	}
	return len(seen)
}

// The proof of what a clinician graded names the clinician's record, and shows the data beside it.
func TestExplainClinicians(t *testing.T) {
	c := enrolled("arm-1").til()
	c.anc("0.08", "d3 06:00")
	c.temp("38.6", "d3 14:10")
	c.graded("febrile-neutropenia", 4, "d3")
	c.graded("nausea", 3, "d4")
	tl := timeline.New()
	for _, f := range c.facts {
		tl.Apply(f)
	}
	e := rules.Explain(tl, trial(t), at("d9 00:00"))
	proved := 0
	for _, p := range e.Findings {
		because := strings.Join(p.Because, " ")
		switch p.Rule {
		case "tox.febrile-neutropenia":
			proved++
			if !strings.Contains(because, "A clinician's grade goes before what the data give: AdverseEvent/") || !strings.Contains(because, "38.6") {
				t.Errorf("febrile neutropenia because %s", because)
			}
			if want := "Febrile neutropenia grade 4, day 3, as graded by a clinician. From the data: febrile neutropenia grade 3, day 3: neutrophils 0.08"; !strings.HasPrefix(p.Message, want) {
				t.Errorf("got %s, want %s", p.Message, want)
			}
		case "tox.nausea":
			proved++
			if p.Source != "CTCAE v5.0 (NCI, 2017-11-27), Gastrointestinal disorders, Nausea" || len(p.Steps) > 0 || p.Message != "Nausea grade 3, day 4, as graded by a clinician. Review." {
				t.Errorf("got %+v", p)
			}
		}
	}
	if proved != 2 {
		t.Errorf("%d findings were proved, want 2", proved)
	}
}

// What a clinician graded comes and goes; the episode that it settled is recalled from the memo as the data gave it.
func TestMemoKeepsWhatTheDataGave(t *testing.T) {
	p := trial(t)
	for n := 1; n < 9; n++ { // results of the episode
		c := enrolled("arm-1").til()
		for i := range n {
			c.anc("0.4", fmt.Sprintf("d3 %02d:00", 6+i))
		}
		tl := timeline.New()
		for _, f := range c.facts {
			tl.Apply(f)
		}
		var m rules.Memo
		compare := func(when string) {
			t.Helper()
			got := m.Evaluate(tl, p, at("d9 00:00"))
			if diff := cmp.Diff(rules.Evaluate(tl, p, at("d9 00:00")), got); diff != "" {
				t.Fatalf("%d results, %s (-Evaluate +Memo):\n%s", n, when, diff)
			}
		}
		compare("before")
		g := c.graded("neutrophil-count-decreased", 3, "d3")
		tl.Apply(g)
		compare("graded")
		compare("graded, again")
		tl.Forget(g.Ref)
		compare("forgotten")
	}
}
