package review

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/trialwatch/trialwatch/internal/offline"
	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// Difference is what lies between two protocols: what they say, how their CTCAE versions grade and, where events were read, what is found.
type Difference struct {
	Old, New *protocol.Protocol
	Changes  []protocol.Change
	Terms    []protocol.TermChange
	// Past is what the new one judges otherwise in the past without saying so.
	Past []protocol.Unsaid
	// Events says that findings were compared: on these files, as of this instant.
	Events   []string
	AsOf     time.Time
	Findings []offline.FindingChange
	Same     int // findings that are the same
	Refused  int // lines that could not be used
}

// Differ compares two protocols. The caller adds what is found.
func Differ(old, new *protocol.Protocol) *Difference {
	return &Difference{Old: old, New: new, Changes: protocol.Diff(old, new), Terms: protocol.DiffCriteria(old, new), Past: protocol.DiffPast(old, new)}
}

// Any reports whether there is any difference.
func (d *Difference) Any() bool { return len(d.Changes) > 0 || len(d.Terms) > 0 || len(d.Findings) > 0 }

// Renamed are the rules of terms that have another name in the new version of the CTCAE: old id to new id.
func (d *Difference) Renamed() map[string]string {
	slug := func(p *protocol.Protocol, term string) string {
		for i := range p.Terms {
			if p.Terms[i].Criterion.Term == term {
				return "tox." + p.Terms[i].Criterion.Slug
			}
		}
		return ""
	}
	renamed := map[string]string{}
	for _, t := range d.Terms {
		if t.Term != "" && t.NewTerm != "" && t.Term != t.NewTerm {
			renamed[slug(d.Old, t.Term)] = slug(d.New, t.NewTerm)
		}
	}
	return renamed
}

// Write writes the difference for a terminal.
func (d *Difference) Write(w io.Writer) error {
	out := &errWriter{w: w}
	name := func(p *protocol.Protocol) string { return fmt.Sprintf("%s %s (%.8s)", p.Study, p.Version, p.Hash) }
	out.line("%s → %s", name(d.Old), name(d.New))
	if len(d.Changes) == 0 {
		out.line("\nthe rules are the same")
		if d.Old.Hash != d.New.Hash {
			out.line("the files are not: comments, layout or spelling. A running trialwatch takes the new file for another protocol and evaluates every patient again")
		}
	} else {
		out.line("\nRULES  %s", plural(len(d.Changes), "difference", "differences"))
		t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		for _, c := range d.Changes {
			switch c.Op {
			case protocol.Added:
				fmt.Fprintf(t, "  + %s\t%s\n", c.Path, c.New)
			case protocol.Removed:
				fmt.Fprintf(t, "  - %s\t%s\n", c.Path, c.Old)
			case protocol.Reordered:
				fmt.Fprintf(t, "  ~ %s\tin another order: %s\n", c.Path, c.New)
			default:
				fmt.Fprintf(t, "  ~ %s\t%s → %s\n", c.Path, cmp.Or(c.Old, "none"), cmp.Or(c.New, "none"))
			}
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	if len(d.Past) > 0 {
		out.line("\nPAST  %s the past without saying so: a running trialwatch refuses the file", plural(len(d.Past), "entry changes", "entries change"))
		for _, u := range d.Past {
			out.line("  ! %s %s", u.Path, u.Text)
		}
	}
	d.writeTerms(out)
	d.writeFindings(out)
	return out.err
}

func (d *Difference) writeTerms(out *errWriter) {
	if d.Old.CTCAE == d.New.CTCAE {
		return
	}
	out.line("\nCTCAE %s → %s  %s of %d graded otherwise", d.Old.CTCAE, d.New.CTCAE, plural(len(d.Terms), "term", "terms"), len(d.Old.Terms))
	for _, t := range d.Terms {
		switch {
		case t.NewTerm == "":
			out.line("  - %s: CTCAE %s has no such term", t.Term, d.New.CTCAE)
			continue
		case t.Term == "":
			out.line("  + %s: CTCAE %s has no such term", t.NewTerm, d.Old.CTCAE)
			continue
		case t.Term != t.NewTerm:
			out.line("  ~ %s → %s", t.Term, t.NewTerm)
		default:
			out.line("  ~ %s", t.Term)
		}
		tab := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		for _, l := range t.Limits {
			where := ""
			if l.Analyte != "" {
				where = fmt.Sprintf("%s grade %d", l.Analyte, l.Grade)
			}
			if l.Baseline != "" {
				where += ", baseline " + l.Baseline
			}
			fmt.Fprintf(tab, "      %s\t%s → %s\n", where, cmp.Or(l.Old, "none"), cmp.Or(l.New, "none"))
		}
		if err := tab.Flush(); err != nil && out.err == nil {
			out.err = err
		}
	}
}

func (d *Difference) writeFindings(out *errWriter) {
	if d.Events == nil {
		return
	}
	counts := map[string]int{}
	for _, f := range d.Findings {
		counts[f.Change]++
	}
	out.line("\nFINDINGS  of %s as of %s", strings.Join(d.Events, ", "), d.AsOf.In(d.New.Zone).Format("2006-01-02 15:04"))
	out.line("  %d appear, %d vanish, %d change, %d are the same", counts[offline.Appears], counts[offline.Vanishes], counts[offline.Changes], d.Same)
	if d.Refused > 0 {
		out.line("  %s could not be used: see trialwatch evaluate", plural(d.Refused, "line", "lines"))
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, c := range d.Findings {
		mark, f := "~", c.New
		switch c.Change {
		case offline.Appears:
			mark = "+"
		case offline.Vanishes:
			mark, f = "-", c.Old
		}
		what := strings.Join(c.What, ", ")
		if what == "" {
			what = summary(f)
		}
		fmt.Fprintf(t, "  %s %s\t%s\t%s\t%s\n", mark, f.Subject, f.Onset.Format("2006-01-02 15:04"), f.Rule, what)
	}
	if err := t.Flush(); err != nil && out.err == nil {
		out.err = err
	}
}

// summary is a finding in a few words.
func summary(f *rules.Finding) string {
	var parts []string
	if g := offline.GradeText(f); g != "" {
		parts = append(parts, "grade "+g)
	}
	parts = append(parts, string(f.Urgency))
	if f.Expected {
		parts = append(parts, "expected")
	}
	if f.Importance != "" {
		parts = append(parts, string(f.Importance))
	}
	return strings.Join(parts, ", ")
}

// Print writes the difference as JSON lines: one of kind protocol-diff, then changes, terms and findings.
func (d *Difference) Print(out *offline.Printer) {
	type version struct {
		Study   string `json:"study"`
		Version string `json:"version"`
		CTCAE   string `json:"ctcae"`
		Hash    string `json:"hash"`
	}
	of := func(p *protocol.Protocol) version { return version{p.Study, p.Version, string(p.CTCAE), p.Hash} }
	head := struct {
		Kind   string     `json:"kind"`
		Old    version    `json:"old"`
		New    version    `json:"new"`
		Differ bool       `json:"differ"`
		AsOf   *time.Time `json:"asOf"` // null where no events were read
		Same   *int       `json:"sameFindings"`
	}{Kind: "protocol-diff", Old: of(d.Old), New: of(d.New), Differ: d.Any()}
	if d.Events != nil {
		at := d.AsOf.In(d.New.Zone)
		head.AsOf, head.Same = &at, &d.Same
	}
	out.Print(head)
	for _, c := range d.Changes {
		out.Print(struct {
			Kind string `json:"kind"`
			protocol.Change
		}{"rule-change", c})
	}
	for _, u := range d.Past {
		out.Print(struct {
			Kind string `json:"kind"`
			protocol.Unsaid
		}{"past-change", u})
	}
	for _, t := range d.Terms {
		if t.Limits == nil {
			t.Limits = []protocol.LimitChange{}
		}
		out.Print(struct {
			Kind string `json:"kind"`
			protocol.TermChange
		}{"term-change", t})
	}
	for _, f := range d.Findings {
		out.Print(f)
	}
}

// errWriter keeps the first error of a writer.
type errWriter struct {
	w   io.Writer
	err error
}

// Write writes unless something failed before.
func (e *errWriter) Write(p []byte) (int, error) {
	if e.err != nil {
		return 0, e.err
	}
	n, err := e.w.Write(p)
	e.err = err
	return n, err
}

func (e *errWriter) line(format string, args ...any) { fmt.Fprintf(e, format+"\n", args...) }
