package review

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/trialwatch/trialwatch/rules"
)

// Patient writes the proof of everything that is found of one patient, for a terminal.
func Patient(w io.Writer, e *rules.Explanation) error {
	out := &errWriter{w: w}
	p := &patient{out: out, e: e}
	out.line("%s  %s %s, site %s, %s  as of %s", e.Subject, e.Study, e.Protocol.Version, e.Site, e.Arm, e.AsOf.Format("2006-01-02 15:04 MST"))
	p.facts()
	p.baselines()
	p.courses()
	p.assessments()
	out.line("\nFINDINGS  %d", len(e.Findings))
	for i := range e.Findings {
		p.finding(i+1, &e.Findings[i])
	}
	if len(e.Findings) == 0 {
		out.line("  nothing")
	}
	return out.err
}

type patient struct {
	out *errWriter
	e   *rules.Explanation
}

func clock(t time.Time) string { return t.Format("2006-01-02 15:04") }

// table aligns rows of cells separated by tabs.
func (p *patient) table(indent string, rows [][]string) {
	t := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(t, strings.TrimRight(indent+strings.Join(r, "\t"), "\t "))
	}
	if err := t.Flush(); err != nil && p.out.err == nil {
		p.out.err = err
	}
}

// record is a fact as its reference, version and notes.
func record(f *rules.FactProof) string {
	s := f.Ref
	if f.Version != "" {
		s += " version " + f.Version
	}
	if len(f.Notes) > 0 {
		s += " (" + strings.Join(f.Notes, "; ") + ")"
	}
	return s
}

// value is a fact's value as it was sent, and as it is compared.
func sent(f *rules.FactProof) string {
	if f.Canonical != "" {
		return f.Value + " = " + f.Canonical
	}
	return f.Value
}

func (p *patient) facts() {
	e := p.e
	arm := "no assigned arm"
	if e.ArmAsSent != "" {
		arm = fmt.Sprintf("assigned arm %q, which is %s", e.ArmAsSent, e.Arm)
	}
	rows := [][]string{{"enrolled", e.Enrolment.Value + ", " + arm, e.Enrolment.At.Format(time.DateOnly), record(&e.Enrolment)}}
	if e.Enrolment.At.IsZero() || e.Enrolment.At.Year() < 1900 {
		rows[0][2] = "no start"
	}
	if e.OffStudy != nil {
		rows = append(rows, []string{"left the study", "", clock(*e.OffStudy), ""})
	}
	if e.Day0 != nil {
		rows = append(rows, []string{"day 0", e.Day0.Fact.Role + " until " + clock(e.Day0.End), clock(e.Day0.Start), record(&e.Day0.Fact)})
	} else {
		rows = append(rows, []string{"day 0", "none yet", "", ""})
	}
	switch {
	case e.Treated == nil:
		rows = append(rows, []string{"treated", "not yet", "", ""})
	case e.LastTreatment != nil:
		rows = append(rows, []string{"treated", "last dose of a study treatment " + clock(*e.LastTreatment), clock(*e.Treated), ""})
	}
	if w := e.DosingWeight; w != nil {
		rows = append(rows, []string{"dosing weight", sent(w), clock(w.At), record(w)})
	}
	p.table("  ", rows)
}

func (p *patient) baselines() {
	if len(p.e.Baselines) == 0 {
		return
	}
	p.out.line("\nBASELINES")
	var rows [][]string
	for i := range p.e.Baselines {
		b := &p.e.Baselines[i]
		if b.Fact == nil {
			rows = append(rows, []string{b.Analyte, "none", "", "", b.Why})
			continue
		}
		flag := b.Flag
		if b.Normal != "" {
			flag += " (" + b.Normal + ")"
		}
		rows = append(rows, []string{b.Analyte, sent(b.Fact), clock(b.Fact.At), flag, b.Why + ", " + b.Fact.Ref})
	}
	p.table("  ", rows)
}

// doseClock is a time of a schedule: hours do not matter where days are counted.
func doseClock(schedule string, t time.Time) string {
	if schedule == "interval" {
		return clock(t)
	}
	return t.Format(time.DateOnly)
}

func (p *patient) courses() {
	for i := range p.e.Courses {
		k := &p.e.Courses[i]
		if k.Schedule == "given" && len(k.Outside) == 0 {
			continue // nothing is expected and nothing was given
		}
		if k.Schedule == "days" && len(k.Slots)+len(k.Outside) == 0 {
			continue // nothing is expected yet, or nothing at all
		}
		ends := "no end is known yet"
		if k.Ends != nil {
			ends = "expectations end " + clock(*k.Ends)
			if !k.Ends.After(p.e.AsOf) {
				ends = "expectations ended " + clock(*k.Ends)
			}
		}
		if k.Schedule == "given" {
			ends = "nothing is expected"
		}
		in := ""
		if k.InForce != "" {
			in = " (" + k.InForce + ")"
		}
		p.out.line("\nEXPECTED  %s%s: %d given, %s", k.Title, in, k.Given, ends)
		var rows [][]string
		for j := range k.Slots {
			s := &k.Slots[j]
			row := []string{fmt.Sprint(s.Number), "due " + doseClock(k.Schedule, s.Due), s.State, "", "", ""}
			switch {
			case s.Record != nil:
				row[3] = clock(s.Record.At)
				row[4] = s.Record.Value
				if s.Timing != "" {
					row[4] = s.Record.Value + ", " + s.Timing
				}
				row[5] = record(s.Record)
				if planned, _, ok := strings.Cut(s.Amount, "as planned"); ok && planned == "" {
					row[4] += ", as planned"
				} else if s.Amount != "" {
					row[4] += "; " + s.Amount
				}
			case s.State == "pending" || s.State == "missed":
				row[4] = "no record; missed from " + clock(s.MissedFrom)
			}
			rows = append(rows, row)
		}
		if len(rows) > 0 {
			p.table("  ", rows)
		} else if len(k.Outside) == 0 {
			p.out.line("  none yet")
		}
		rows = nil
		for j := range k.Outside {
			f := &k.Outside[j]
			rows = append(rows, []string{"–", clock(f.At), f.Value, record(f)})
		}
		p.table("  ", rows)
	}
}

func (p *patient) assessments() {
	for i := range p.e.Assessments {
		a := &p.e.Assessments[i]
		in := ""
		if a.InForce != "" {
			in = " (" + a.InForce + ")"
		}
		p.out.line("\nASSESSED  %s%s", a.Title, in)
		due := func(t time.Time) string { return t.Format(time.DateOnly) }
		if a.ByHours {
			due = clock
		}
		var rows [][]string
		for j := range a.Times {
			rows = append(rows, visitRow(&a.Times[j], due))
		}
		if len(rows) == 0 {
			p.out.line("  none yet")
		}
		p.table("  ", rows)
	}
}

// visitRow is one time of an assessment: when it was due, what became of it, the results, and where they stand.
func visitRow(v *rules.VisitProof, due func(time.Time) string) []string {
	state := v.State
	if v.Timing != "" && v.Timing != "in time" {
		state = v.Timing
	}
	var shown, refs []string
	for i := range v.Shown {
		f := &v.Shown[i]
		shown, refs = append(shown, clock(f.At)+" "+f.Role+" "+sent(f)), append(refs, record(f))
	}
	switch {
	case len(v.Missing) == 0:
	case len(v.Shown) == 0:
		refs = append(refs, "no record; missed from "+clock(v.To))
	default:
		refs = append(refs, "no "+strings.Join(v.Missing, ", "))
	}
	return []string{v.Label, "due " + due(v.Due), state, strings.Join(shown, "; "), strings.Join(refs, "; ")}
}

func (p *patient) finding(n int, f *rules.Proof) {
	head := []string{f.Rule, string(f.Status), string(f.Urgency)}
	if f.Grade != nil || f.GradeMax != nil {
		head = slices.Insert(head, 1, "grade "+gradeOf(&f.Finding))
	}
	if f.Importance != "" {
		head = append(head, string(f.Importance))
	}
	if f.NeedsReview {
		head = append(head, "needs review")
	}
	until := "open"
	if f.End != nil {
		until = clock(*f.End)
	}
	p.out.line("\n%d. %s", n, strings.Join(head, ", "))
	p.out.line("   %s – %s, known %s", clock(f.Onset), until, clock(f.Detected))
	p.out.line("   %s", f.Message)
	p.out.line("   id %s", f.ID)
	for _, b := range f.Because {
		p.out.line("   • %s", b)
	}
	for i := range f.Steps {
		p.step(&f.Steps[i])
	}
	p.holds(f)
	p.out.line("   evidence")
	var rows [][]string
	for i := range f.Facts {
		x := &f.Facts[i]
		received := ""
		if !x.Received.IsZero() {
			received = "received " + clock(x.Received)
		}
		rows = append(rows, []string{clock(x.At), x.Role, sent(x), received, record(x)})
	}
	p.table("     ", rows)
	if f.Source != "" {
		p.out.line("   source  %s", f.Source)
	}
}

func gradeOf(f *rules.Finding) string {
	switch {
	case f.Grade == nil:
		return fmt.Sprintf("up to %d", *f.GradeMax)
	case f.GradeMax != nil && *f.Grade != *f.GradeMax:
		return fmt.Sprintf("%d to %d", *f.Grade, *f.GradeMax)
	}
	return fmt.Sprint(*f.Grade)
}

var answerMark = map[string]string{"yes": "met", "no": "not met", "undecided": "undecided"}

// step is an instant of a toxicity: the worst limit that is met, and the milder ones that it makes idle, are what a reader asks for.
func (p *patient) step(s *rules.InstantProof) {
	line := clock(s.At) + "  " + s.Value
	if s.Compared != "" && s.Compared != s.Value {
		line += ", compared as " + s.Compared
	}
	line += "  → grade " + s.Grade
	if s.Ends {
		line += ", which ends the episode"
	}
	p.out.line("   %s", line)
	var with []string
	for _, name := range []string{"LLN", "ULN", "baseline", "change", "threshold"} {
		if v, ok := s.Operands[name]; ok {
			if name == "change" {
				v += " %"
			}
			with = append(with, name+" "+v)
		}
	}
	if s.Baseline != "" {
		with = append(with, "limits for a baseline that is "+s.Baseline)
	}
	if len(with) > 0 {
		p.out.line("      with %s", strings.Join(with, ", "))
	}
	var rows [][]string
	for i := range s.Limits {
		l := &s.Limits[i]
		answer := cmp.Or(answerMark[l.Answer], l.Answer)
		if l.Assumes != "" {
			answer += map[string]string{"yes": ", and that is so", "no": ", and that is not so", "undecided": ", and the data do not tell"}[l.Settled]
		}
		number := ""
		if text := strings.Join(l.Limits, " and "); text != "" && !strings.Contains(l.Text, text) {
			number = "= " + text
		}
		rows = append(rows, []string{fmt.Sprintf("grade %d", l.Grade), l.Text, number, answer})
	}
	p.table("      ", rows)
}

func (p *patient) holds(f *rules.Proof) {
	if len(f.Holds) == 0 {
		return
	}
	p.out.line("   criteria for holding, the last value in the look-back")
	var rows [][]string
	for i := range f.Holds {
		h := &f.Holds[i]
		if h.Value == "" {
			rows = append(rows, []string{h.Title, "no value since " + clock(h.From), "", ""})
			continue
		}
		at := ""
		if len(h.Facts) > 0 {
			at = clock(h.Facts[len(h.Facts)-1].At)
		}
		rows = append(rows, []string{h.Title, h.Value, at, cmp.Or(h.Met, "not met") + "  [" + strings.Join(h.Limits, "; ") + "]"})
	}
	p.table("     ", rows)
}
