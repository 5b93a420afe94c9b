package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/trialwatch/trialwatch/rules/aggregate"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// panel is the arms and the total of one panel as they were published.
type panel[E, C any] struct {
	Arms       []E                 `json:"arms"`
	All        E                   `json:"all"`
	Comparison *C                  `json:"comparison"`
	Sites      []aggregate.SiteRow `json:"sites"`
}

// maker turns panels into tables.
type maker struct {
	p      *protocol.Protocol
	closed bool
	panels map[string][]byte
	err    error
}

func read[E, C any](m *maker, name string) (p panel[E, C], ok bool) {
	data := m.panels[name]
	if data == nil {
		return p, false
	}
	if err := json.Unmarshal(data, &p); err != nil {
		m.err = cmp.Or(m.err, fmt.Errorf("panel %s: %w", name, err))
		return p, false
	}
	return p, true
}

// table makes a table with a row for every call of add. In the open session the arms are not there, nor is their comparison.
func (m *maker) table(id, title, note string) *Table {
	t := &Table{ID: id, Title: title, Note: note}
	if m.closed {
		for _, a := range m.p.Arms {
			t.Columns = append(t.Columns, Column{Arm: a.ID, Head: cmp.Or(a.Title, a.ID)})
		}
	}
	t.Columns = append(t.Columns, Column{Arm: allArms, Head: "All"})
	return t
}

// split makes several columns of each.
func (t *Table) split(subs ...string) *Table {
	arms := t.Columns
	t.Columns = nil
	for _, c := range arms {
		for _, sub := range subs {
			t.Columns = append(t.Columns, Column{c.Arm, c.Head, sub})
		}
	}
	return t
}

// entries are those of the columns: the arms in the closed session, and all.
func entries[E, C any](m *maker, p *panel[E, C]) []*E {
	var es []*E
	if m.closed {
		for i := range p.Arms {
			es = append(es, &p.Arms[i])
		}
	}
	return append(es, &p.All)
}

// compared adds a column for the comparison of the arms.
func (t *Table) compared(descriptive bool) {
	t.Descriptive = descriptive
	t.Columns = append(t.Columns, Column{Arm: comparison, Head: "Comparison"})
}

// row adds a row with a value of each entry, and the comparison if there is a column for it.
func row[E any](t *Table, group, label string, sub bool, es []*E, value func(*E) Value, compare ...Value) {
	r := Row{Group: group, Label: label, Sub: sub}
	for _, e := range es {
		r.Values = append(r.Values, value(e))
	}
	if last := len(t.Columns) - 1; t.Columns[last].Arm == comparison {
		if r.Values = append(r.Values, Value{}); len(compare) > 0 {
			r.Values[last] = compare[0]
		}
	}
	t.Rows = append(t.Rows, r)
}

func share(p aggregate.Proportion) Value {
	return Value{Statistic: "percent", N: &p.N, Of: &p.Of, Main: p.Percent, Low: p.Low, High: p.High, decimals: 1}
}

func median(q aggregate.Quantile) Value {
	return Value{Statistic: "median", Of: &q.Of, Main: q.Median, Low: q.Low, High: q.High, Min: q.Min, Max: q.Max, decimals: -1}
}

func pValue(test string, p *float64) Value {
	return Value{Statistic: "p, " + test, Main: p, decimals: -1}
}

func (m *maker) disposition() []Table {
	p, ok := read[aggregate.EnrolmentEntry, struct{}](m, aggregate.Enrolment)
	if !ok {
		return nil
	}
	t := m.table("disposition", "Disposition", "All patients enrolled with a known arm, by the arm as assigned. A step counts those of whom it is recorded at least once.")
	es := entries(m, &p)
	for i, step := range p.All.Flow {
		row(t, "", m.step(step.Step), step.Step != "enrolled", es, func(e *aggregate.EnrolmentEntry) Value {
			if e.Flow[i].N > e.Enrolled {
				return count(e.Flow[i].N)
			}
			return share(aggregate.NewProportion(e.Flow[i].N, e.Enrolled))
		})
	}
	for _, c := range []struct {
		label string
		of    func(*aggregate.EnrolmentEntry) int
	}{
		{"Treated", func(e *aggregate.EnrolmentEntry) int { return e.Treated }},
		{"On study", func(e *aggregate.EnrolmentEntry) int { return e.OnStudy }},
		{"Off study", func(e *aggregate.EnrolmentEntry) int { return e.OffStudy }},
		{"Evaluable for safety", func(e *aggregate.EnrolmentEntry) int { return e.Evaluable }},
		{"Treated as in this arm, assigned to another", func(e *aggregate.EnrolmentEntry) int { return e.AsTreated }},
		{"Without a known arm, in no other table", func(e *aggregate.EnrolmentEntry) int { return e.Unassigned }},
	} {
		if slices.ContainsFunc(es, func(e *aggregate.EnrolmentEntry) bool { return c.of(e) > 0 }) || c.label == "On study" {
			row(t, "", c.label, false, es, func(e *aggregate.EnrolmentEntry) Value { return count(c.of(e)) })
		}
	}
	return []Table{*t}
}

// step is a step of the trial in words.
func (m *maker) step(id string) string {
	switch id {
	case "enrolled":
		return "Enrolled"
	case "assessed":
		return "Assessed for response"
	case m.p.Day0:
		return strings.ToUpper(id) + ", infusion"
	}
	return capital(id)
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func (m *maker) exposure() []Table {
	p, ok := read[aggregate.ExposureEntry, aggregate.ExposureComparison](m, aggregate.Exposure)
	if !ok {
		return nil
	}
	t := m.table("exposure", "Exposure", "Patients whose course has begun. Doses a patient: median (range), 95 % limits by order statistics. Held and refused doses are accounted for; missed ones have no record.")
	es := entries(m, &p)
	if m.closed && p.Comparison != nil {
		t.compared(p.Comparison.Descriptive)
	}
	for _, all := range p.All.Regimens {
		if all.Given.Of == 0 {
			continue
		}
		of := func(value func(*aggregate.RegimenEntry) Value) func(*aggregate.ExposureEntry) Value {
			return func(e *aggregate.ExposureEntry) Value {
				for i := range e.Regimens {
					if e.Regimens[i].Regimen == all.Regimen {
						return value(&e.Regimens[i])
					}
				}
				return Value{}
			}
		}
		var test []Value
		if m.closed && p.Comparison != nil {
			for _, c := range p.Comparison.Regimens {
				if c.Regimen == all.Regimen {
					test = append(test, pValue("rank sum", c.Given.RankSumP))
				}
			}
		}
		group := m.regimen(all.Regimen)
		row(t, group, "Doses a patient", false, es, of(func(r *aggregate.RegimenEntry) Value { return median(r.Given) }), test...)
		row(t, group, "Full course", true, es, of(func(r *aggregate.RegimenEntry) Value { return share(r.Completed) }))
		if all.Cumulative.Of > 0 {
			row(t, group, "Cumulative dose, "+all.Unit, true, es, of(func(r *aggregate.RegimenEntry) Value {
				if r.Unit != all.Unit {
					return Value{}
				}
				return median(r.Cumulative)
			}))
		}
		for word, n := range aggregate.Outcomes() {
			if n(all.Total) > 0 {
				row(t, group, "Doses "+word, true, es, of(func(r *aggregate.RegimenEntry) Value { return count(n(r.Total)) }))
			}
		}
	}
	return []Table{*t}
}

func (m *maker) regimen(id string) string {
	for _, r := range m.p.Regimens {
		if r.ID == id {
			return r.Title
		}
	}
	return id
}

// toxicity is the table of worst grades, that of when they began and how long they lasted, and the comparison of the arms.
func (m *maker) toxicity() []Table {
	p, ok := read[aggregate.ToxicityEntry, aggregate.ToxicityComparison](m, aggregate.Toxicity)
	if !ok {
		return nil
	}
	es := entries(m, &p)
	classes := slices.Clone(p.All.SOCs)
	slices.SortStableFunc(classes, func(a, b aggregate.SOCEntry) int { return cmp.Or(b.Ge3.N-a.Ge3.N, b.Any.N-a.Any.N) })
	terms := func(soc string) (ts []aggregate.TermEntry) {
		for _, t := range p.All.Terms {
			if t.SOC == soc {
				ts = append(ts, t)
			}
		}
		slices.SortStableFunc(ts, func(a, b aggregate.TermEntry) int { return cmp.Or(b.Ge3.N-a.Ge3.N, b.Any.N-a.Any.N) })
		return ts
	}
	grades := m.table("toxicity", "Toxicity by system organ class and term, worst grade",
		"All patients enrolled in the arm, each counted once a term, and once a class, at the worst CTCAE grade: n (%), and counts by grade. Terms that nobody has are left out.").split("any", "≥3", "1", "2", "3", "4", "5")
	times := m.table("toxicity-time", "Treatment-emergent toxicity: onset and duration",
		"Patients with a treatment-emergent episode, of all enrolled in the arm: n (%). Days from the first study treatment to the first episode, and days that a patient spent in episodes that have ended: median (range).").
		split("patients", "onset", "duration")
	compare := m.table("toxicity-comparison", "Toxicity: comparison of the arms", "Patients, of all enrolled in the arm, at any grade and at grade 3 or worse. Two-sided p of Fisher's exact test, not adjusted for the number of tests.")
	if p.Comparison != nil {
		compare.compared(p.Comparison.Descriptive)
	}
	compare = compare.split("any", "≥3")
	for _, class := range classes {
		r := Row{Group: class.SOC, Label: "Any of these"}
		for _, e := range es {
			any, ge3 := aggregate.NewProportion(0, e.N), aggregate.NewProportion(0, e.N)
			for _, c := range e.SOCs {
				if c.SOC == class.SOC {
					any, ge3 = c.Any, c.Ge3
				}
			}
			r.Values = append(r.Values, share(any), share(ge3), Value{}, Value{}, Value{}, Value{}, Value{})
		}
		grades.Rows = append(grades.Rows, r)
		for _, term := range terms(class.SOC) {
			worst, time, test := Row{Group: class.SOC, Label: term.Term, Sub: true}, Row{Group: class.SOC, Label: term.Term}, Row{Group: class.SOC, Label: term.Term}
			for _, e := range es {
				x := m.term(e, term.Term)
				worst.Values = append(worst.Values, share(x.Any), share(x.Ge3))
				for grade := 1; grade <= 5; grade++ {
					worst.Values = append(worst.Values, count(x.ByGrade[strconv.Itoa(grade)].N))
				}
				time.Values = append(time.Values, share(x.Emergent.Any), median(x.Onset), median(x.Duration))
				test.Values = append(test.Values, share(x.Any), share(x.Ge3))
			}
			grades.Rows = append(grades.Rows, worst)
			if term.Emergent.Any.N > 0 {
				times.Rows = append(times.Rows, time)
			}
			if p.Comparison == nil {
				continue
			}
			for _, c := range p.Comparison.Terms {
				if c.Term == term.Term {
					test.Values = append(test.Values, pValue("Fisher", c.Any), pValue("Fisher", c.Ge3))
					compare.Rows = append(compare.Rows, test)
				}
			}
		}
	}
	if m.closed && p.Comparison != nil {
		return []Table{*grades, *times, *compare}
	}
	return []Table{*grades, *times}
}

// term is the entry of a term in an arm; of one that nobody has it is nobody.
func (m *maker) term(e *aggregate.ToxicityEntry, name string) aggregate.TermEntry {
	for i := range e.Terms {
		if e.Terms[i].Term == name {
			return e.Terms[i]
		}
	}
	none := aggregate.NewProportion(0, e.N)
	return aggregate.TermEntry{Term: name, Any: none, Ge3: none, Emergent: aggregate.Worst{Any: none, Ge3: none}}
}

// stopping is where each arm, or the trial, stands by the protocol's stopping boundaries: for those who decide, in the closed session.
func (m *maker) stopping() []Table {
	p, ok := read[aggregate.ToxicityEntry, struct{}](m, aggregate.Toxicity)
	if !ok || !m.closed || len(m.p.Stopping) == 0 {
		return nil
	}
	t := m.table("stopping", "Stopping boundaries", "Patients with such a toxicity, of those who count from the first study treatment on. A boundary is crossed when the probability that the true share is above the limit, "+
		"by a beta prior and these patients, is above the cut (Thall, Simon and Estey 1995). It asks for a pause until somebody has looked, and decides nothing.")
	es := entries(m, &p)
	for i := range m.p.Stopping {
		b := &m.p.Stopping[i]
		cells := func(value func(aggregate.StoppingEntry) Value) func(*aggregate.ToxicityEntry) Value {
			return func(e *aggregate.ToxicityEntry) Value {
				for _, s := range e.Stopping {
					if s.Boundary == b.ID {
						return value(s)
					}
				}
				return Value{} // the boundary is not for this column
			}
		}
		row(t, b.Title, "Patients", false, es, cells(func(s aggregate.StoppingEntry) Value { return Value{Statistic: "events", N: &s.Patients, Of: &s.Of} }))
		row(t, b.Title, fmt.Sprintf("Probability of a share above %g", b.Limit.Float()), true, es, cells(func(s aggregate.StoppingEntry) Value {
			return Value{Statistic: "posterior", Main: &s.Posterior, decimals: 3}
		}))
		row(t, b.Title, "Cut", true, es, cells(func(s aggregate.StoppingEntry) Value { return Value{Statistic: "cut", Main: &s.Cut, decimals: -1} }))
		row(t, b.Title, "Stop at", true, es, cells(func(s aggregate.StoppingEntry) Value {
			if s.Stop == nil {
				return Value{Statistic: "text", Text: fmt.Sprintf("none of %d", s.Of)}
			}
			return Value{Statistic: "events", N: s.Stop, Of: &s.Of}
		}))
		row(t, b.Title, "Crossed", true, es, cells(func(s aggregate.StoppingEntry) Value {
			if s.Met {
				return Value{Statistic: "text", Text: "YES"}
			}
			return Value{Statistic: "text", Text: "no"}
		}))
	}
	return []Table{*t}
}

func (m *maker) deviations() []Table {
	p, ok := read[aggregate.DeviationsEntry, struct{}](m, aggregate.Deviations)
	if !ok {
		return nil
	}
	es := entries(m, &p)
	t := m.table("deviations", "Deviations from the protocol", "Patients with at least one of all enrolled in the arm; events count every one. Importance after ICH E3 Q&A, categories after CDISC.")
	for _, all := range p.All.ByRule {
		of := func(value func(aggregate.RuleEntry) Value) func(*aggregate.DeviationsEntry) Value {
			return func(e *aggregate.DeviationsEntry) Value {
				for _, r := range e.ByRule {
					if r.Rule == all.Rule {
						return value(r)
					}
				}
				return value(aggregate.RuleEntry{Patients: aggregate.NewProportion(0, e.N)})
			}
		}
		row(t, "By kind", deviation(all.Rule), false, es, of(func(r aggregate.RuleEntry) Value { return share(r.Patients) }))
		row(t, "By kind", "events", true, es, of(func(r aggregate.RuleEntry) Value { return count(r.Events) }))
	}
	for _, importance := range []string{"important", "minor", "query"} {
		row(t, "Events by importance", capital(importance), false, es, func(e *aggregate.DeviationsEntry) Value { return count(e.ByImportance[importance]) })
	}
	for _, category := range []string{"administration", "assignment", "excluded-medication", "other"} {
		row(t, "Events by category", capital(strings.ReplaceAll(category, "-", " ")), false, es, func(e *aggregate.DeviationsEntry) Value { return count(e.ByCategory[category]) })
	}
	if len(p.All.BySite) > 1 {
		for _, site := range p.All.BySite {
			row(t, "Patients by site", site.Site, false, es, func(e *aggregate.DeviationsEntry) Value {
				for _, s := range e.BySite {
					if s.Site == site.Site {
						return share(s.Patients)
					}
				}
				return Value{}
			})
		}
	}
	return []Table{*t}
}

// deviation is a rule in words: dev.dose-held-unsupported is "Dose held unsupported".
func deviation(rule string) string {
	return capital(strings.ReplaceAll(strings.TrimPrefix(rule, "dev."), "-", " "))
}

func (m *maker) stay() []Table {
	p, ok := read[aggregate.StayEntry, aggregate.StayComparison](m, aggregate.Stay)
	if !ok {
		return nil
	}
	t := m.table("stay", "Stay in hospital", "The stay that holds day 0, from the day of admission to that of discharge, of patients whose stay has ended: median (range), 95 % limits by order statistics.")
	es := entries(m, &p)
	var test []Value
	if m.closed && p.Comparison != nil {
		t.compared(p.Comparison.Descriptive)
		test = append(test, pValue("rank sum", p.Comparison.Days.RankSumP))
	}
	row(t, "", "Days", false, es, func(e *aggregate.StayEntry) Value { return median(e.Days) }, test...)
	row(t, "", "Still in hospital", false, es, func(e *aggregate.StayEntry) Value { return count(e.Ongoing) })
	row(t, "", "Readmitted", false, es, func(e *aggregate.StayEntry) Value { return share(e.Readmitted) })
	return []Table{*t}
}

func (m *maker) response() []Table {
	p, ok := read[aggregate.ResponseEntry, aggregate.ResponseComparison](m, aggregate.Response)
	if !ok {
		return nil
	}
	t := m.table("response", "Best overall response (RECIST 1.1)", "All patients enrolled in the arm; who could not be evaluated, or was never assessed, stays in the denominator. Exact (Clopper-Pearson) 95 % limits.")
	es := entries(m, &p)
	var orr, dcr []Value
	if p.Comparison != nil {
		t.compared(p.Comparison.Descriptive)
		orr, dcr = []Value{pValue("Fisher", p.Comparison.ORR.FisherP)}, []Value{pValue("Fisher", p.Comparison.DCR.FisherP)}
	}
	row(t, "", "Objective response (CR or PR)", false, es, func(e *aggregate.ResponseEntry) Value { return share(e.ORR) }, orr...)
	row(t, "", "Disease control (CR, PR or SD)", false, es, func(e *aggregate.ResponseEntry) Value { return share(e.DCR) }, dcr...)
	for _, c := range []struct {
		label string
		of    func(aggregate.Best) int
	}{
		{"Complete response", func(b aggregate.Best) int { return b.CR }},
		{"Partial response", func(b aggregate.Best) int { return b.PR }},
		{"Stable disease", func(b aggregate.Best) int { return b.SD }},
		{"Progressive disease", func(b aggregate.Best) int { return b.PD }},
		{"Not evaluable", func(b aggregate.Best) int { return b.NE }},
	} {
		row(t, "", c.label, true, es, func(e *aggregate.ResponseEntry) Value { return share(aggregate.NewProportion(c.of(e.Best), e.N)) })
	}
	row(t, "", "Better response seen, not confirmed", false, es, func(e *aggregate.ResponseEntry) Value { return count(e.Unconfirmed) })
	return []Table{*t}
}

const (
	pfsName = "Progression-free survival"
	osName  = "Overall survival"
	dorName = "Duration of response"
)

func (m *maker) survival() []Table {
	p, ok := read[aggregate.SurvivalEntry, aggregate.SurvivalComparison](m, aggregate.Survival)
	if !ok {
		return nil
	}
	t := m.table("survival", "Survival", fmt.Sprintf("Months from %s (a month has %s days), by the arm as assigned. Kaplan-Meier; limits of Brookmeyer and Crowley, log-log; NA: not reached. Log-rank test, two-sided.",
		m.from(), monthDays(m.p)))
	es := entries(m, &p)
	if p.Comparison != nil {
		t.compared(p.Comparison.Descriptive)
	}
	for _, end := range []struct {
		name  string
		curve func(*aggregate.SurvivalEntry) *aggregate.SurvivalCurve
		test  func() *float64
	}{
		{pfsName, func(e *aggregate.SurvivalEntry) *aggregate.SurvivalCurve { return &e.PFS }, func() *float64 { return p.Comparison.PFS.LogRankP }},
		{osName, func(e *aggregate.SurvivalEntry) *aggregate.SurvivalCurve { return &e.OS }, func() *float64 { return p.Comparison.OS.LogRankP }},
		{dorName, func(e *aggregate.SurvivalEntry) *aggregate.SurvivalCurve { return &e.DOR }, nil},
	} {
		var test []Value
		if p.Comparison != nil && end.test != nil {
			test = append(test, pValue("log-rank", end.test()))
		}
		curve := func(value func(*aggregate.SurvivalCurve) Value) func(*aggregate.SurvivalEntry) Value {
			return func(e *aggregate.SurvivalEntry) Value { return value(end.curve(e)) }
		}
		row(t, end.name, "Events", false, es, curve(func(c *aggregate.SurvivalCurve) Value {
			return Value{Statistic: "events", N: &c.Events, Of: &c.N}
		}))
		row(t, end.name, "Median, months", false, es, curve(func(c *aggregate.SurvivalCurve) Value {
			return Value{Statistic: "KM median", Main: c.Median, Low: c.Low, High: c.High, decimals: 2}
		}), test...)
		row(t, end.name, "Median follow-up, months", true, es, curve(func(c *aggregate.SurvivalCurve) Value {
			return Value{Statistic: "reverse KM median", Main: c.FollowUp, decimals: 2}
		}))
		if end.test == nil {
			continue
		}
		for i, rate := range p.All.PFS.Rates {
			row(t, end.name, fmt.Sprintf("At %d months", rate.Months), true, es, curve(func(c *aggregate.SurvivalCurve) Value {
				r := c.Rates[i]
				return Value{Statistic: "KM share", N: &r.AtRisk, Main: r.Estimate, Low: r.Low, High: r.High, decimals: 3}
			}))
		}
		f := Figure{Title: end.name, Months: "Months from " + m.from()}
		for i, e := range es {
			if c := t.Columns[i]; c.Arm != allArms || len(es) == 1 {
				f.Curves = append(f.Curves, Curve{c.Head, end.curve(e).Curve})
			}
		}
		t.Figures = append(t.Figures, f)
	}
	return []Table{*t}
}

// from is the start of survival in words.
func (m *maker) from() string {
	switch m.p.Survival.From {
	case protocol.Enrolled:
		return "enrolment"
	case m.p.Day0:
		return "the infusion of " + strings.ToUpper(m.p.Day0)
	}
	return "the first " + m.p.Survival.From
}

func (m *maker) biomarkers() []Table {
	p, ok := read[aggregate.BiomarkersEntry, aggregate.BiomarkersComparison](m, aggregate.Biomarkers)
	if !ok {
		return nil
	}
	t := m.table("biomarkers", "Immune monitoring", "Patients with a value in the window: median (quartiles). Two-sided p of the rank-sum test, not adjusted for the number of tests.")
	es := entries(m, &p)
	if p.Comparison != nil {
		t.compared(p.Comparison.Descriptive)
	}
	for _, all := range p.All.Markers {
		var test []Value
		if p.Comparison != nil {
			for _, c := range p.Comparison.Markers {
				if c.Marker == all.Marker && c.Window == all.Window {
					test = append(test, pValue("rank sum", c.RankSumP))
				}
			}
		}
		row(t, m.marker(all.Marker), m.window(all.Window), false, es, func(e *aggregate.BiomarkersEntry) Value {
			for _, x := range e.Markers {
				if x.Marker == all.Marker && x.Window == all.Window {
					return Value{Statistic: "median, quartiles", Of: &x.N, Main: x.Median, Low: x.Q1, High: x.Q3, decimals: -1}
				}
			}
			return Value{}
		}, test...)
	}
	return []Table{*t}
}

// marker is a biomarker in words, with its unit.
func (m *maker) marker(id string) string {
	for i := range m.p.Biomarkers.Markers {
		if x := &m.p.Biomarkers.Markers[i]; x.ID == id {
			if unit := x.Measured(); unit != "" && unit != "1" {
				return x.Title + ", " + unit
			}
			return x.Title
		}
	}
	return id
}

func (m *maker) window(id string) string {
	for _, w := range m.p.Biomarkers.Windows {
		if w.ID == id {
			return w.Title
		}
	}
	return id
}

// feed says how current the data are, so that a quiet table is not read as a safe one.
func (m *maker) feed() []Table {
	p, ok := read[struct{}, struct{}](m, aggregate.Feed)
	if !ok {
		return nil
	}
	t := &Table{ID: "currency", Title: "Data currency", Note: "What each site has sent, up to the receipt named above. Refused messages are in no other table."}
	for _, c := range []string{"Last message", "Facts", "Not relevant", "Refused"} {
		t.Columns = append(t.Columns, Column{Arm: allArms, Head: c})
	}
	for _, s := range p.Sites {
		last := Value{Statistic: "text", Text: "none"}
		if !s.LastEvent.IsZero() {
			last.Text = s.LastEvent.In(m.p.Zone).Format("2006-01-02 15:04 MST")
		}
		notRelevant := Value{Statistic: "text", Text: "NA"}
		if s.NotRelevant != nil {
			notRelevant = count(int(*s.NotRelevant))
		}
		t.Rows = append(t.Rows, Row{Label: s.Site, Values: []Value{last, count(int(s.Facts)), notRelevant, count(int(s.DeadLetters))}})
	}
	return []Table{*t}
}
