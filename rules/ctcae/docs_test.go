package ctcae_test

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/trialwatch/trialwatch/rules/ctcae"
	"github.com/trialwatch/trialwatch/rules/unit"
)

var update = flag.Bool("update", false, "write the generated parts of docs/ctcae.md")

const page = "../../docs/ctcae.md"

// TestDocs: what docs/ctcae.md tabulates is what the criteria say. go test ./rules/ctcae -run TestDocs -update writes it.
func TestDocs(t *testing.T) {
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for name, body := range map[string]string{"table": overview(), "terms": terms()} {
		begin, end := "<!-- generated: "+name+" -->\n", "<!-- end of "+name+" -->\n"
		from, to := strings.Index(text, begin), strings.Index(text, end)
		if from < 0 || to < from {
			t.Fatalf("docs/ctcae.md has no part %q", name)
		}
		text = text[:from+len(begin)] + body + text[to:]
	}
	if *update {
		if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := gocmp.Diff(text, string(data)); d != "" {
		t.Errorf("docs/ctcae.md is not what the criteria say (-criteria +page); go test ./rules/ctcae -run TestDocs -update\n%s", d)
	}
}

// measurement is the criteria of one file, by version.
type measurement map[ctcae.Version]*ctcae.Criterion

func (m measurement) any() *ctcae.Criterion {
	return cmp.Or(m[ctcae.V5], m[ctcae.V6], m[ctcae.V4])
}

// measurements are sorted by the organ class and term of version 5.0.
func measurements() []measurement {
	byKey := map[string]measurement{}
	for _, c := range everyCriterion() {
		if byKey[c.Key] == nil {
			byKey[c.Key] = measurement{}
		}
		byKey[c.Key][c.Version] = c
	}
	var ms []measurement
	for _, m := range byKey {
		ms = append(ms, m)
	}
	slices.SortFunc(ms, func(a, b measurement) int {
		x, y := a.any(), b.any()
		return cmp.Or(strings.Compare(x.SOC, y.SOC), strings.Compare(x.Term, y.Term))
	})
	return ms
}

// overview is one row a measurement, one column a version.
func overview() string {
	var b strings.Builder
	soc := ""
	for _, m := range measurements() {
		c := m.any()
		if c.SOC != soc {
			soc = c.SOC
			fmt.Fprintf(&b, "\n**%s**\n\n| term | 4.03 | 5.0 | 6.0 |\n|---|---|---|---|\n", soc)
		}
		name := c.Term
		for _, v := range versions {
			if o := m[v]; o != nil && o.Term != c.Term {
				name += fmt.Sprintf("; in %s *%s*", v, o.Term)
			}
		}
		fmt.Fprintf(&b, "| %s |", name)
		for _, v := range versions {
			fmt.Fprintf(&b, " %s |", cellOf(m[v]))
		}
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	return b.String()
}

// cellOf says where each grade of a criterion comes from.
func cellOf(c *ctcae.Criterion) string {
	if c == nil {
		return "–"
	}
	sure, assumed := map[int]bool{}, map[int]bool{}
	for _, l := range c.Limits {
		for _, steps := range [][]ctcae.Step{l.Steps, l.IfHigh, l.IfLow, l.IfAboveULN} {
			for _, s := range steps {
				if strings.Contains(s.Text, " if ") {
					assumed[s.Grade] = true
				} else {
					sure[s.Grade] = true
				}
			}
		}
	}
	var parts []string
	list := func(word string, set map[int]bool, not map[int]bool) {
		var gs []string
		for g := 1; g <= 4; g++ {
			if set[g] && !not[g] {
				gs = append(gs, fmt.Sprint(g))
			}
		}
		if len(gs) > 0 {
			parts = append(parts, word+" "+strings.Join(gs, " "))
		}
	}
	if c.Candidate != "" {
		for g := range assumed {
			sure[g] = true
		}
		list("proposed", sure, nil)
	} else {
		list("data", sure, nil)
		list("range up to", assumed, sure)
	}
	if len(c.RuleGrades) > 0 {
		word := "by rule"
		if c.Candidate != "" {
			word = "proposed"
		}
		parts = append(parts, word+" "+strings.Trim(fmt.Sprint(c.RuleGrades), "[]"))
	}
	if len(c.Clinician) > 0 {
		gs := make([]string, len(c.Clinician))
		for i, g := range c.Clinician {
			gs[i] = fmt.Sprint(g)
		}
		parts = append(parts, "clinician "+strings.Join(gs, " "))
	}
	return strings.Join(parts, "; ")
}

// terms spells every criterion out.
func terms() string {
	var b strings.Builder
	for _, m := range measurements() {
		fmt.Fprintf(&b, "\n### %s\n", m.any().Term)
		// Versions with the same words stand together.
		var order []string
		same := map[string][]ctcae.Version{}
		for _, v := range versions {
			c := m[v]
			if c == nil {
				continue
			}
			body := criterionText(c)
			if same[body] == nil {
				order = append(order, body)
			}
			same[body] = append(same[body], v)
		}
		for _, body := range order {
			var names, sources []string
			for _, v := range same[body] {
				names = append(names, string(v))
				sources = append(sources, m[v].Source())
			}
			fmt.Fprintf(&b, "\n*%s.* %s\n\nSource: %s.\n", strings.Join(names, ", "), strings.TrimSpace(body), strings.Join(sources, "; "))
		}
	}
	b.WriteByte('\n')
	return b.String()
}

func criterionText(c *ctcae.Criterion) string {
	var b strings.Builder
	if c.Candidate != "" {
		fmt.Fprintf(&b, "Proposed only: %s. ", c.Candidate)
	}
	if c.Note != "" {
		b.WriteString(c.Note + " ")
	}
	if c.ByRule != "" {
		b.WriteString("By rule: " + c.ByRule + ". ")
	}
	if len(c.Limits) > 0 {
		b.WriteString("\n\n| measured | baseline | 1 | 2 | 3 | 4 |\n|---|---|---|---|---|---|\n")
		for _, l := range c.Limits {
			for _, col := range []struct {
				when  string
				steps []ctcae.Step
			}{{"", l.Steps}, {"flagged high", l.IfHigh}, {"flagged low", l.IfLow}, {"above ULN", l.IfAboveULN}} {
				if col.steps == nil {
					continue
				}
				name := l.Analyte
				if f, ok := unit.Of(l.Analyte); ok {
					name += ", " + f.Canonical
				}
				fmt.Fprintf(&b, "| %s | %s |", name, col.when)
				for g := 1; g <= 4; g++ {
					var texts []string
					for _, s := range col.steps {
						if s.Grade == g {
							texts = append(texts, s.Text)
						}
					}
					fmt.Fprintf(&b, " %s |", strings.Join(texts, "; or "))
				}
				b.WriteByte('\n')
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}
