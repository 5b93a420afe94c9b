// Package report writes what a safety board reads: every aggregate of a trial at a data cut-off, as one HTML page that loads nothing and as CSV.
//
// It reads panels as they are published and nothing else, so no patient can be in it; [Times] is the one exception, and has to be asked for. What it writes
// depends on its arguments alone, to the byte.
package report

import (
	"cmp"
	_ "embed"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/rules/aggregate"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// Session is for whom a report is.
type Session string

// The open session shows what [aggregate.Pool] leaves; the closed session is for those who may see the arms.
const (
	Open   Session = "open"
	Closed Session = "closed"
)

// Options of a report.
type Options struct {
	Protocol *protocol.Protocol
	Panels   []aggregate.Panel // of its study
	Session  Session
	Cutoff   time.Time // by clinical time
	Received time.Time // until when what was received counts
}

// Report is ready to be written. Use [New].
type Report struct {
	Options
	Tables []Table
}

// New makes the tables.
func New(o Options) (*Report, error) {
	m := &maker{p: o.Protocol, closed: o.Session == Closed, panels: map[string][]byte{}}
	add := func(name string, panel any) error { // as it is published
		data, err := json.Marshal(panel)
		m.panels[name] = data
		return err
	}
	if m.closed {
		for i := range o.Panels {
			if p := &o.Panels[i]; p.Study == o.Protocol.Study {
				m.err = cmp.Or(m.err, add(p.Name, p))
			}
		}
	} else {
		pooled := aggregate.Pool(o.Protocol, o.Panels)
		if b := o.Protocol.Blinding; b != nil && b.SuppressBelow > 0 {
			// A report is a first publication: nobody is asked what was written before.
			return &Report{Options: o, Tables: suppressed(o.Protocol, aggregate.Suppress(o.Protocol, pooled, nil, func(int) int { return 0 }).Panels())}, nil
		}
		for _, p := range pooled {
			m.err = cmp.Or(m.err, add(p.Name, p))
		}
	}
	r := &Report{Options: o}
	for _, section := range []func() []Table{m.disposition, m.exposure, m.toxicity, m.stopping, m.deviations, m.stay, m.response, m.survival, m.biomarkers, m.feed} {
		r.Tables = append(r.Tables, section()...)
	}
	return r, m.err
}

//go:embed report.html
var page string

//go:embed report.css
var style string

// HTML writes the report as one page.
func (r *Report) HTML(w io.Writer) error {
	t, err := template.New("report").Funcs(template.FuncMap{"arms": arms, "groups": groups}).Parse(page)
	if err != nil {
		return err
	}
	return t.Execute(w, struct {
		*Report
		Style     template.CSS
		Masthead  []fact
		Signature string
	}{r, template.CSS(style), r.facts(), r.signature()}) //nolint:gosec // our own style sheet
}

type fact struct{ Name, Value string }

const clock = "2 January 2006 15:04 MST"

func (r *Report) facts() []fact {
	p := r.Protocol
	session := "Open: arms pooled, without response, survival and immune monitoring"
	switch {
	case r.Session == Closed && p.Blinding != nil:
		session = "Closed: by arm, for these only: " + strings.Join(p.Blinding.Unblinded, ", ")
	case r.Session == Closed:
		session = "Closed: by arm, for unblinded members only"
	case p.Blinding != nil:
		session = "Open: arms pooled, without response, survival and immune monitoring, and without what only some arms are given"
		if p.Blinding.SuppressBelow > 0 {
			session += fmt.Sprintf("; counts in steps of %d", p.Blinding.SuppressBelow)
		}
	}
	return []fact{
		{"Session", session},
		{"Data cut-off", r.Cutoff.In(p.Zone).Format(clock) + ", by clinical time"},
		{"Received until", r.Received.In(p.Zone).Format(clock)},
		{"Protocol", fmt.Sprintf("%s version %s", p.Study, p.Version)},
		{"Protocol hash", "SHA-256 " + p.Hash},
		{"Toxicity", "CTCAE " + string(p.CTCAE)},
		{"Source", p.Source},
	}
}

// signature stands under every table, so that one that is cut out still says what it is.
func (r *Report) signature() string {
	p := r.Protocol
	return fmt.Sprintf("%s %s, protocol %.12s · CTCAE %s · cut-off %s · received until %s · %s session", p.Study, p.Version, p.Hash, p.CTCAE,
		r.Cutoff.In(p.Zone).Format("2006-01-02 15:04 MST"), r.Received.In(p.Zone).Format("2006-01-02 15:04 MST"), r.Session)
}

// armHead is the columns of one arm.
type armHead struct {
	Head string
	Span int
}

// arms are the heads of a table with several columns an arm, nil of others.
func arms(t Table) (hs []armHead) {
	for _, c := range t.Columns {
		switch {
		case c.Sub == "":
			return nil
		case len(hs) > 0 && hs[len(hs)-1].Head == c.Head:
			hs[len(hs)-1].Span++
		default:
			hs = append(hs, armHead{c.Head, 1})
		}
	}
	return hs
}

// rowGroup is the rows under one heading.
type rowGroup struct {
	Name string
	Rows []textRow
}

type textRow struct {
	Label string
	Sub   bool
	Cells []textCell
}

type textCell struct {
	Main, Sub string
	None      bool // nobody: drawn faintly
	First     bool // of the columns of an arm
}

// Width is how many columns the table has with that of the labels.
func (t Table) Width() int { return len(t.Columns) + 1 }

// Short reports whether a table should be kept on one page.
func (t Table) Short() bool { return len(t.Rows) <= 20 && len(t.Figures) == 0 }

func groups(t Table) (gs []rowGroup) {
	for _, r := range t.Rows {
		if len(gs) == 0 || gs[len(gs)-1].Name != r.Group {
			gs = append(gs, rowGroup{Name: r.Group})
		}
		row := textRow{Label: r.Label, Sub: r.Sub}
		for i := range r.Values {
			v := &r.Values[i]
			main, sub := v.text()
			if t.Columns[i].Sub != "" { // little room, and limits stand in other tables
				main, sub = v.short(), ""
			}
			row.Cells = append(row.Cells, textCell{main, sub, v.N != nil && *v.N == 0, i > 0 && t.Columns[i].Sub != "" && t.Columns[i].Arm != t.Columns[i-1].Arm})
		}
		g := &gs[len(gs)-1]
		g.Rows = append(g.Rows, row)
	}
	return gs
}

// CSV writes a file a table into a directory, which it makes, and about.csv, which says of what they are.
func (r *Report) CSV(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	p := r.Protocol
	about := [][]string{
		{"name", "value"},
		{"study", p.Study},
		{"protocol version", p.Version},
		{"protocol sha256", p.Hash},
		{"ctcae", string(p.CTCAE)},
		{"session", string(r.Session)},
		{"cutoff", r.Cutoff.In(p.Zone).Format(time.RFC3339)},
		{"received until", r.Received.In(p.Zone).Format(time.RFC3339)},
	}
	if p.Survival != nil {
		about = append(about, []string{"days of a month", monthDays(p)})
	}
	for _, t := range r.Tables {
		about = append(about, []string{"table " + t.ID, t.Title + ". " + t.Note})
		if err := writeCSV(dir, t.ID, t.records()); err != nil {
			return err
		}
	}
	return writeCSV(dir, "about", about)
}

// monthDays is how many days a month has, as the protocol says it.
func monthDays(p *protocol.Protocol) string {
	return strconv.FormatFloat(p.Survival.MonthDays.Float(), 'g', -1, 64)
}

func writeCSV(dir, name string, lines [][]string) error {
	f, err := os.OpenFile(filepath.Join(dir, name+".csv"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	w := csv.NewWriter(f)
	if err := w.WriteAll(lines); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
