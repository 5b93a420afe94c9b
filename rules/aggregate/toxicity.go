package aggregate

import (
	"maps"
	"slices"
	"strconv"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/ctcae"
	"github.com/trialwatch/trialwatch/rules/stat"
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

// toxicity counts patients by term, class and grade.
type toxicity struct {
	b        *Board
	soc      func(term string) string
	treated  int
	terms    map[string]*tally
	classes  map[string]*[6]int
	stopping map[string]*toxicities // by boundary
}

// tally is what a group of patients has of one term.
type tally struct {
	patients                       int
	grades, emergent               [6]int
	episodes, patientDays, ongoing int
	onset, duration                stat.Values
	entry                          *TermEntry // while it holds: of so many patients
}

func (t *tally) count(g *rules.TermGrade, by int) {
	t.entry = nil
	t.patients += by
	t.grades[g.Grade] += by
	t.episodes += by * g.Episodes
	t.patientDays += by * g.Days
	t.ongoing += by * g.Open
	change := (*stat.Values).Add
	if by < 0 {
		change = (*stat.Values).Remove
	}
	if g.Emergent > 0 {
		t.emergent[g.Emergent] += by
		change(&t.onset, float64(g.Onset))
	}
	if g.Days > 0 {
		change(&t.duration, float64(g.Days))
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

// classes returns what finds the system organ class of a term, "" of one that has none, in the version of CTCAE that the protocol pins.
func (b *Board) classes() func(term string) string {
	socs := map[string]string{}
	return func(term string) string {
		return remember(&socs, term, func() string {
			if criterion, err := ctcae.Find(b.p.CTCAE, term); err == nil {
				return criterion.SOC
			}
			return ""
		})
	}
}

func newToxicity(b *Board, soc func(string) string) *toxicity {
	return &toxicity{b: b, soc: soc, terms: map[string]*tally{}, classes: map[string]*[6]int{}, stopping: map[string]*toxicities{}}
}

func (c *toxicity) change(out, in *rules.Summary) {
	if out.Treated {
		c.treated--
	}
	if in.Treated {
		c.treated++
	}
	changes(out.Toxicity, in.Toxicity, func(g *rules.TermGrade, by int) {
		t := c.terms[g.Term]
		if t == nil {
			t = &tally{}
			c.terms[g.Term] = t
		}
		if t.count(g, by); t.patients == 0 {
			delete(c.terms, g.Term)
		}
	})
	c.worst(out, -1)
	c.worst(in, 1)
	changes(out.Stopping, in.Stopping, func(n *rules.Counted, by int) {
		if c.stopping[n.Boundary] == nil {
			c.stopping[n.Boundary] = &toxicities{}
		}
		c.stopping[n.Boundary].count(n, by)
	})
}

// worst counts a patient once a class, at the worst grade of its terms.
func (c *toxicity) worst(s *rules.Summary, by int) {
	type class struct {
		soc   string
		grade int
	}
	var all []class
	for i := range s.Toxicity {
		t := &s.Toxicity[i]
		name := c.soc(t.Term)
		if name == "" {
			continue
		}
		at := slices.IndexFunc(all, func(w class) bool { return w.soc == name })
		if at < 0 {
			all, at = append(all, class{soc: name}), len(all)
		}
		all[at].grade = max(all[at].grade, t.Grade)
	}
	for _, w := range all {
		if c.classes[w.soc] == nil {
			c.classes[w.soc] = &[6]int{}
		}
		if c.classes[w.soc][w.grade] += by; *c.classes[w.soc] == [6]int{} {
			delete(c.classes, w.soc)
		}
	}
}

func (c *toxicity) entry(g *group) any {
	e := ToxicityEntry{Arm: g.arm, N: g.n, Treated: c.treated, Terms: []TermEntry{}, SOCs: []SOCEntry{}}
	m := &c.b.memo
	for _, term := range slices.Sorted(maps.Keys(c.terms)) {
		t := c.terms[term]
		if t.entry == nil || t.entry.Any.Of != g.n {
			w := m.worst(&t.grades, g.n)
			t.entry = &TermEntry{
				Term: term, SOC: c.soc(term), Any: w.Any, Ge3: w.Ge3, ByGrade: map[string]Proportion{}, Episodes: t.episodes,
				Emergent: m.worst(&t.emergent, g.n), Onset: quantile(&t.onset), Duration: quantile(&t.duration), PatientDays: t.patientDays, Ongoing: t.ongoing,
			}
			for grade := 1; grade <= 5; grade++ {
				t.entry.ByGrade[strconv.Itoa(grade)] = m.proportion(t.grades[grade], g.n)
			}
		}
		e.Terms = append(e.Terms, *t.entry)
	}
	for _, name := range slices.Sorted(maps.Keys(c.classes)) {
		w := m.worst(c.classes[name], g.n)
		e.SOCs = append(e.SOCs, SOCEntry{name, w.Any, w.Ge3})
	}
	if !g.asTreated {
		e.Stopping = standings(c.b.p, g.arm, c.stopping)
	}
	return e
}

func (b *Board) compareToxicity(l *live) any {
	x, y, ok := pair[ToxicityEntry](l.panel)
	if !ok {
		return nil
	}
	cmp := ToxicityComparison{Descriptive: b.descriptive(), Terms: []TermComparison{}}
	// Terms are in order, and the total names every one.
	next := func(terms *[]TermEntry, name string) (t TermEntry) {
		if len(*terms) > 0 && (*terms)[0].Term == name {
			t, *terms = (*terms)[0], (*terms)[1:]
		}
		return t
	}
	for _, t := range l.panel.All.(ToxicityEntry).Terms {
		s, u := next(&x.Terms, t.Term), next(&y.Terms, t.Term)
		cmp.Terms = append(cmp.Terms, TermComparison{t.Term, b.memo.fisherP(s.Any.N, x.N, u.Any.N, y.N), b.memo.fisherP(s.Ge3.N, x.N, u.Ge3.N, y.N)})
	}
	return cmp
}
