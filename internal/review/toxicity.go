package review

import (
	"fmt"
	"slices"
	"strings"

	"github.com/trialwatch/trialwatch/rules/ctcae"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/timeline"
	"github.com/trialwatch/trialwatch/rules/unit"
)

func toxicity(d *document, p *protocol.Protocol) {
	d.add(heading{2, "Monitored CTCAE terms"})
	if len(p.Toxicity) == 0 {
		d.add(paragraph{text: "None."})
		return
	}
	d.add(paragraph{text: fmt.Sprintf("%s, graded by %s. A value on a limit has the milder grade unless the limit is included (≥, ≤). The worst grade whose condition is met counts.",
		plural(len(p.Terms), "term", "terms"), plain(p.CTCAE.Source()))})
	t := table{"terms", []string{"term", "from", "grade 1", "grade 2", "grade 3", "grade 4", "remarks"}, nil}
	for i := range p.Terms {
		t.rows = append(t.rows, termRows(p, &p.Terms[i])...)
	}
	d.add(t)
	var missing []string
	for i := range p.Toxicity {
		x := &p.Toxicity[i]
		if !slices.ContainsFunc(p.Terms, func(t protocol.Term) bool { return t.Toxicity == x }) {
			missing = append(missing, code(x.Term))
		}
	}
	if len(missing) > 0 {
		d.add(paragraph{text: strong("Not graded") + ", because CTCAE " + string(p.CTCAE) + " has no such term: " + strings.Join(missing, ", ") + "."})
	}
}

// termRows is one row for each group of analytes with the same limits, and one for each way in which a baseline changes them.
func termRows(p *protocol.Protocol, t *protocol.Term) [][]string {
	c := t.Criterion
	name := plain(c.Term) + " " + code("tox."+c.Slug)
	if t.Term != c.Slug {
		name += " (in the file: " + code(t.Term) + ")"
	}
	var rows [][]string
	var done []*ctcae.Limits
	for i := range c.Limits {
		l := &c.Limits[i]
		if slices.ContainsFunc(done, l.Same) {
			continue
		}
		done = append(done, l)
		var from []string
		for j := i; j < len(c.Limits); j++ {
			if l.Same(&c.Limits[j]) {
				from = append(from, analyteUnit(c.Limits[j].Analyte))
			}
		}
		add := func(when string, steps []ctcae.Step) {
			row := []string{"", strings.Join(from, ", ") + when, "", "", "", "", ""}
			for g := 1; g <= 4; g++ {
				row[1+g] = gradeText(t, steps, g)
			}
			rows = append(rows, row)
		}
		add("", l.Steps)
		for _, other := range []struct {
			when  string
			steps []ctcae.Step
		}{{"if the baseline is high", l.IfHigh}, {"if the baseline is low", l.IfLow}, {"if the baseline is above the upper limit", l.IfAboveULN}} {
			if other.steps != nil {
				add(", "+other.when, other.steps)
			}
		}
	}
	if len(rows) == 0 {
		rows = append(rows, []string{"", "by a rule", "", "", "", "", ""})
	}
	rows[0][0], rows[0][6] = name, remarks(p, t)
	return rows
}

func analyteUnit(analyte string) string {
	if u, ok := unit.Of(analyte); ok && u.Canonical != "1" {
		return code(analyte) + " in " + u.Canonical
	}
	if strings.HasPrefix(analyte, timeline.UrineOutput+"-") { // a sum over so many hours, by a rule
		return code(analyte) + " in mL"
	}
	return code(analyte)
}

// gradeText is what gives a grade, with the protocol's threshold in place of its name.
func gradeText(t *protocol.Term, steps []ctcae.Step, grade int) string {
	var parts []string
	for i := range steps {
		if steps[i].Grade == grade {
			parts = append(parts, conditionText(t, steps[i].Text))
		}
	}
	return strings.Join(parts, "; or ")
}

func conditionText(t *protocol.Term, text string) string {
	if t.Threshold != nil {
		text = strings.ReplaceAll(text, "threshold", quantity(*t.Threshold))
	}
	return strings.NewReplacer(" x ", " × ", ">=", "≥", "<=", "≤").Replace(text)
}

// remarks are what the limits of a term do not say.
func remarks(p *protocol.Protocol, t *protocol.Term) string {
	c := t.Criterion
	var parts []string
	if t.Expected != nil {
		parts = append(parts, strong("Expected")+" "+windowText(t.Expected))
	}
	if t.EpisodeGap > 0 {
		parts = append(parts, "Readings less than "+span(t.EpisodeGap)+" apart are one episode")
	}
	if t.Threshold != nil {
		parts = append(parts, "Threshold of this protocol: "+quantity(*t.Threshold))
	}
	if c.Candidate != "" {
		parts = append(parts, strong("Proposed only")+": "+c.Candidate)
	}
	if c.ByRule != "" {
		parts = append(parts, upperFirst(c.ByRule))
	}
	if len(c.Assumptions) > 0 {
		parts = append(parts, "What the data may not tell leaves a range of grades: "+strings.Join(c.Assumptions, "; "))
	}
	for i := range c.Limits {
		if n := p.NormalOf(c.Limits[i].Analyte); n != nil {
			parts = append(parts, "Limits of normal of the site stand below")
			break
		}
	}
	if len(c.Clinician) > 0 {
		var gs []string
		for _, g := range c.Clinician {
			gs = append(gs, fmt.Sprint(g))
		}
		parts = append(parts, "Grade "+strings.Join(gs, ", ")+": a clinician's")
	}
	if t.Threshold == nil || !strings.Contains(c.Note, "threshold") { // said above, with its number
		parts = append(parts, c.Note)
	}
	return sentence(parts...)
}

func windowText(w *protocol.Window) string {
	return fmt.Sprintf("from the first %s to the end of day %s", code(w.From), dayName(w.ToDay))
}

func expectedness(d *document, p *protocol.Protocol) {
	d.add(heading{2, "What is expected"})
	byWindow := map[protocol.Window][]string{}
	var order []protocol.Window
	for i := range p.Toxicity {
		x := &p.Toxicity[i]
		if x.Expected == nil {
			continue
		}
		if byWindow[*x.Expected] == nil {
			order = append(order, *x.Expected)
		}
		byWindow[*x.Expected] = append(byWindow[*x.Expected], code(x.Term))
	}
	var l list
	for _, w := range order {
		l = append(l, upperFirst(windowText(&w))+": "+strings.Join(byWindow[w], ", "))
	}
	if p.FN != nil && p.FN.Expected {
		l = append(l, "Febrile neutropenia, always; it is urgent all the same")
	}
	if len(l) == 0 {
		d.add(paragraph{text: "Nothing: every toxicity is told by its grade."})
		return
	}
	d.add(l, paragraph{soft: true, text: "Expected toxicity is found and counted like any other, of any grade, and told as " + code("log") + ". The day of onset decides. Whatever is not listed is unexpected."})
}

func neutropenia(d *document, p *protocol.Protocol) {
	d.add(heading{2, "Febrile neutropenia"})
	fn := p.FN
	if fn == nil {
		d.add(paragraph{text: "The block " + code("febrileNeutropenia") + " is not there: the rule does not run."})
		return
	}
	d.add(paragraph{text: fmt.Sprintf("Grade 3 where one temperature is %s, or temperatures of at least %s last longer than %s, in a patient whose latest count of at most %s ago, or first count within %s after, is below %s.",
		single(fn.Single), quantity(fn.Sustained), span(fn.SustainedFor), span(fn.Lookback), span(fn.Lookahead), quantity(fn.NeutrophilsBelow))})
	d.add(table{"facts", []string{"parameter", "value", "meaning"}, rows(fn, feverFields)})
}

func normal(d *document, p *protocol.Protocol) {
	d.add(heading{2, "Limits of normal"})
	if len(p.Normal) == 0 {
		d.add(paragraph{text: "The protocol names none: a result counts with its own reference range. A result without one has no grade where the limit of normal decides, which is told as " + code("data.ungradable") + " and never as grade 0."})
		return
	}
	t := table{"normal", []string{"analyte", "low", "high", "unit", "source"}, nil}
	for i := range p.Normal {
		n := &p.Normal[i]
		row := []string{code(n.Analyte), "–", "–", plain(n.Unit), or(plain(n.Cite), "–")}
		if n.Low != nil {
			row[1] = number(*n.Low)
		}
		if n.High != nil {
			row[2] = number(*n.High)
		}
		t.rows = append(t.rows, row)
	}
	d.add(t, paragraph{soft: true, text: "They count for results that name none of their own."})
}
