package aggregate

import (
	"maps"
	"slices"
	"strconv"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/ctcae"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// ToxicityEntry counts a patient once a term, at the worst grade.
type ToxicityEntry struct {
	Arm     string      `json:"arm,omitempty"`
	N       int         `json:"n"` // enrolled with an assigned arm
	Treated int         `json:"treated"`
	Terms   []TermEntry `json:"terms"` // by term; terms with none are left out
	SOCs    []SOCEntry  `json:"bySOC"` // by system organ class
	// Stopping is where the assigned arm, or the trial, stands by the protocol's stopping boundaries.
	Stopping []StoppingEntry `json:"stopping,omitempty"`
}

// TermEntry is one CTCAE term.
type TermEntry struct {
	Term     string                `json:"term"`
	SOC      string                `json:"soc,omitempty"` // system organ class in the protocol's version of CTCAE
	Any      Proportion            `json:"any"`
	Ge3      Proportion            `json:"ge3"`
	ByGrade  map[string]Proportion `json:"byGrade"` // "1" to "5"
	Episodes int                   `json:"episodes"`
	// Emergent are patients with a treatment-emergent episode, and Onset the days from the first study treatment to the first of them.
	Emergent Worst    `json:"emergent"`
	Onset    Quantile `json:"onset"`
	// Duration is the days that a patient spent in episodes that have ended, PatientDays the same of all patients, and Ongoing the episodes that have not: they
	// are in neither.
	Duration    Quantile `json:"duration"`
	PatientDays int      `json:"patientDays"`
	Ongoing     int      `json:"ongoing"`
}

// Worst counts patients by their worst grade.
type Worst struct {
	Any Proportion `json:"any"`
	Ge3 Proportion `json:"ge3"`
}

// SOCEntry is one system organ class: a patient counts once, at the worst grade of its terms.
type SOCEntry struct {
	SOC string     `json:"soc"`
	Any Proportion `json:"any"`
	Ge3 Proportion `json:"ge3"`
}

// ToxicityComparison compares the shares of two arms, term by term.
type ToxicityComparison struct {
	Descriptive bool             `json:"descriptive"` // an arm is smaller than the protocol wants for more than a description
	Terms       []TermComparison `json:"terms"`
}

// TermComparison is one term: the two-sided P of Fisher's exact test. The shares stand in the arms' entries.
type TermComparison struct {
	Term string   `json:"term"`
	Any  *float64 `json:"anyP"`
	Ge3  *float64 `json:"ge3P"`
}

// tally is what a group of patients has of one term.
type tally struct {
	grades, emergent               [6]int
	episodes, patientDays, ongoing int
	onset, duration                []float64
}

func (t *tally) add(g *rules.TermGrade) {
	t.grades[g.Grade]++
	t.episodes += g.Episodes
	t.patientDays += g.Days
	t.ongoing += g.Open
	if g.Emergent > 0 {
		t.emergent[g.Emergent]++
		t.onset = append(t.onset, float64(g.Onset))
	}
	if g.Days > 0 {
		t.duration = append(t.duration, float64(g.Days))
	}
}

// count is how many patients have a grade, and grade 3 or more.
func count(grades *[6]int) (any, ge3 int) {
	for grade := 1; grade <= 5; grade++ {
		any += grades[grade]
		if grade >= 3 {
			ge3 += grades[grade]
		}
	}
	return any, ge3
}

func worst(grades *[6]int, of int) Worst {
	any, ge3 := count(grades)
	return Worst{NewProportion(any, of), NewProportion(ge3, of)}
}

func withStopping(p *protocol.Protocol, entry any, g group) any {
	e := entry.(ToxicityEntry)
	e.Stopping = standings(p, g)
	return e
}

func (c *cohort) toxicity() Panel {
	socs := map[string]string{} // of terms, in the version that the protocol pins
	soc := func(term string) string {
		name, known := socs[term]
		if !known {
			if criterion, err := ctcae.Find(c.p.CTCAE, term); err == nil {
				name = criterion.SOC
			}
			socs[term] = name
		}
		return name
	}
	out := c.panel(Toxicity, func(g group) any {
		e := ToxicityEntry{Arm: g.arm, N: len(g.ps), Terms: []TermEntry{}, SOCs: []SOCEntry{}}
		terms, classes := map[string]*tally{}, map[string]*[6]int{}
		type class struct {
			soc   string
			grade int
		}
		var classesOf []class // of one patient, at the worst grade
		for _, s := range g.ps {
			if s.Treated {
				e.Treated++
			}
			classesOf = classesOf[:0]
			for i := range s.Toxicity {
				t := &s.Toxicity[i]
				if terms[t.Term] == nil {
					terms[t.Term] = &tally{}
				}
				terms[t.Term].add(t)
				name := soc(t.Term)
				at := slices.IndexFunc(classesOf, func(w class) bool { return w.soc == name })
				if at < 0 && name != "" {
					classesOf, at = append(classesOf, class{soc: name}), len(classesOf)
				}
				if at >= 0 {
					classesOf[at].grade = max(classesOf[at].grade, t.Grade)
				}
			}
			for _, w := range classesOf {
				if classes[w.soc] == nil {
					classes[w.soc] = &[6]int{}
				}
				classes[w.soc][w.grade]++
			}
		}
		for _, term := range slices.Sorted(maps.Keys(terms)) {
			t := terms[term]
			w := worst(&t.grades, e.N)
			row := TermEntry{
				Term: term, SOC: soc(term), Any: w.Any, Ge3: w.Ge3, ByGrade: map[string]Proportion{}, Episodes: t.episodes,
				Emergent: worst(&t.emergent, e.N), Onset: NewQuantile(t.onset), Duration: NewQuantile(t.duration), PatientDays: t.patientDays, Ongoing: t.ongoing,
			}
			for grade := 1; grade <= 5; grade++ {
				row.ByGrade[strconv.Itoa(grade)] = NewProportion(t.grades[grade], e.N)
			}
			e.Terms = append(e.Terms, row)
		}
		for _, name := range slices.Sorted(maps.Keys(classes)) {
			w := worst(classes[name], e.N)
			e.SOCs = append(e.SOCs, SOCEntry{name, w.Any, w.Ge3})
		}
		return e
	})
	out.All = withStopping(c.p, out.All, c.all)
	for i, g := range c.assigned {
		out.Arms[i] = withStopping(c.p, out.Arms[i], g)
	}
	if a, b, ok := pair[ToxicityEntry](out); ok {
		cmp := ToxicityComparison{Descriptive: c.descriptive(), Terms: []TermComparison{}}
		none := TermEntry{}
		for _, t := range out.All.(ToxicityEntry).Terms {
			x, y := &none, &none
			for i := range a.Terms {
				if a.Terms[i].Term == t.Term {
					x = &a.Terms[i]
				}
			}
			for i := range b.Terms {
				if b.Terms[i].Term == t.Term {
					y = &b.Terms[i]
				}
			}
			cmp.Terms = append(cmp.Terms, TermComparison{t.Term, fisherP(x.Any.N, a.N, y.Any.N, b.N), fisherP(x.Ge3.N, a.N, y.Ge3.N, b.N)})
		}
		out.Comparison = cmp
	}
	return out
}
