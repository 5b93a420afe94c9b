// Package grade grades rows of a table by CTCAE: CSV in, the same rows with a column grade out. It is the engine of the live system over values that
// somebody has already paired with their limits of normal and their baseline.
//
// Columns, in any order, missing ones are empty: version, term, direction, unit, value, lln, uln, baseline, baseline_indicator, pct_change. Others are passed
// through. Every number of a row is in the row's unit; pct_change is in percent. A row is taken as post-baseline.
package grade

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/trialwatch/trialwatch/rules/ctcae"
	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/unit"
)

// Options of [Run]. The zero value grades and tells nothing else.
type Options struct {
	// Explain adds the columns grade_min, grade_max and why before the column grade.
	Explain bool
	// Refused is called for every row that is not one, or whose cells cannot be read; nil: nobody is told.
	Refused func(Refusal)
}

// Refusal is a row that could not be read. It is written with an empty grade if it has its columns, and left out if it is no row.
type Refusal struct {
	Line   int    // of the input, from 1
	Column string // "" where it is not about one
	Why    string
}

// Counts are what became of the rows.
type Counts struct {
	Rows       int // read, the header not counted
	Graded     int
	Ungradable int // read, and the criteria give no grade
	Refused    int
}

// ErrHeader says that the input has no header that can be used.
var ErrHeader = errors.New("the first line must name the columns: version, term, direction, unit, value, lln, uln, baseline, baseline_indicator, pct_change")

// The columns that are read.
const (
	colVersion = iota
	colTerm
	colDirection
	colUnit
	colValue
	colLLN
	colULN
	colBaseline
	colIndicator
	colChange
	columns
)

var names = [columns]string{"version", "term", "direction", "unit", "value", "lln", "uln", "baseline", "baseline_indicator", "pct_change"}

// Run grades the rows of r and writes them to w. It returns what it counted, and an error if the header cannot be used or w cannot be written. Rows
// are independent: one that is wrong does not touch another.
func Run(w io.Writer, r io.Reader, opt Options) (Counts, error) {
	in := csv.NewReader(bufio.NewReaderSize(r, 256<<10))
	in.ReuseRecord = true
	buffer := bufio.NewWriterSize(w, 256<<10)
	out := csv.NewWriter(buffer)
	header, err := in.Read()
	if err == io.EOF {
		return Counts{}, ErrHeader
	}
	if err != nil {
		return Counts{}, fmt.Errorf("line 1: %w", err)
	}
	t := table{opt: opt, in: in, criteria: map[cell]*way{}, width: len(header)}
	if err := t.readHeader(header); err != nil {
		return Counts{}, err
	}
	added := []string{"grade"}
	if opt.Explain {
		added = []string{"grade_min", "grade_max", "why", "grade"}
	}
	row := make([]string, 0, len(header)+len(added))
	row = append(append(row, header...), added...)
	if err := out.Write(row); err != nil {
		return t.counts, err
	}
	for {
		record, err := in.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			var pe *csv.ParseError
			if !errors.As(err, &pe) {
				return t.counts, err
			}
			t.counts.Rows++
			t.refuseBroken(pe, len(record))
			continue
		}
		t.counts.Rows++
		g := t.grade(record)
		row = append(row[:0], record...)
		if opt.Explain {
			row = append(row, t.explain(&g)...)
		}
		row = append(row, text(g.Grading))
		if err := out.Write(row); err != nil {
			return t.counts, err
		}
	}
	out.Flush()
	return t.counts, errors.Join(out.Error(), buffer.Flush())
}

// cell is what the criterion of a row depends on.
type cell struct{ version, term, direction, unit string }

// way is how rows of one version, term, direction and unit are graded.
type way struct {
	limits *ctcae.Limits
	unit   unit.Unit
	factor decimal.Rounded // of the unit; the zero value: 1
	shifts bool            // the unit has an offset, as degrees Fahrenheit
	column string          // what of the cell is wrong
	why    string          // why nothing can be graded, "" if something can
	wrong  bool            // the row is refused, not only without a grade
}

type table struct {
	opt      Options
	in       *csv.Reader
	at       [columns]int // index of a column, -1: it is not there
	width    int
	criteria map[cell]*way
	last     cell
	lastWay  *way
	counts   Counts
}

func (t *table) readHeader(header []string) error {
	header[0] = strings.TrimPrefix(header[0], "\ufeff")
	for i := range t.at {
		t.at[i] = -1
	}
	known := 0
	for i, h := range header {
		name := strings.ToLower(strings.TrimSpace(h))
		if slices.Contains([]string{"grade", "grade_min", "grade_max", "why"}, name) && (name == "grade" || t.opt.Explain) {
			return fmt.Errorf("line 1: the input already has a column %s", name)
		}
		c := slices.Index(names[:], name)
		if c < 0 {
			continue
		}
		if t.at[c] >= 0 {
			return fmt.Errorf("line 1: the column %s is there twice", name)
		}
		t.at[c] = i
		known++
	}
	if known == 0 {
		if len(header) == 1 && strings.Contains(header[0], ";") {
			return fmt.Errorf("line 1: %w; columns are separated by commas, not semicolons", ErrHeader)
		}
		return fmt.Errorf("line 1: %w", ErrHeader)
	}
	return nil
}

func (t *table) refuse(r Refusal) {
	t.counts.Refused++
	if t.opt.Refused != nil {
		t.opt.Refused(r)
	}
}

// refuseBroken refuses what is no row of the table.
func (t *table) refuseBroken(pe *csv.ParseError, fields int) {
	r := Refusal{Line: pe.StartLine}
	switch {
	case errors.Is(pe.Err, csv.ErrFieldCount):
		r.Why = fmt.Sprintf("%d columns, the header has %d", fields, t.width)
	case pe.Line > pe.StartLine:
		r.Why = fmt.Sprintf("a quote that is not closed takes in lines %d to %d", pe.StartLine, pe.Line)
	default:
		r.Why = fmt.Sprintf("column %d: %v", pe.Column, pe.Err)
	}
	t.refuse(r)
}

// graded is a grade with what --explain tells of it.
type graded struct {
	ctcae.Grading
	limits *ctcae.Limits
	why    string // where there is no grade
}

func (t *table) cell(record []string, c int) string {
	if t.at[c] < 0 {
		return ""
	}
	return record[t.at[c]]
}

// grade grades one row, or refuses it.
func (t *table) grade(record []string) graded {
	no := func(column, why string) graded {
		line, _ := t.in.FieldPos(0)
		t.refuse(Refusal{Line: line, Column: column, Why: why})
		return graded{Grading: ctcae.Grading{Ungradable: true}, why: "refused: " + why}
	}
	w := t.way(record)
	if w.wrong {
		return no(w.column, w.why)
	}
	var in ctcae.Input
	v := t.cell(record, colValue)
	if !missing(v) {
		number, comparator := v, ""
		if c := v[0]; c == '<' || c == '>' || c >= 0x80 {
			number, comparator = splitComparator(v)
		}
		n, why := w.read(number)
		if why != "" {
			return no("value", why)
		}
		in.Value = bounds(n, comparator)
	}
	for _, o := range [...]struct {
		column int
		to     *ctcae.Operand
	}{{colLLN, &in.LLN}, {colULN, &in.ULN}, {colBaseline, &in.Baseline}} {
		s := t.cell(record, o.column)
		if missing(s) {
			continue
		}
		n, why := w.read(s)
		if why != "" {
			return no(names[o.column], why)
		}
		if n.Sign() < 0 {
			return no(names[o.column], "a negative number")
		}
		*o.to = ctcae.Known(n)
	}
	if s := t.cell(record, colChange); !missing(s) {
		n, err := decimal.ParseRounded(strings.TrimSpace(s))
		if err != nil {
			return no("pct_change", notNumber(err))
		}
		in.Change = ctcae.Known(n)
	}
	switch s := t.cell(record, colIndicator); s {
	case "":
	case "NORMAL":
		in.Flag = ctcae.FlagNormal
	case "HIGH":
		in.Flag = ctcae.FlagHigh
	case "LOW":
		in.Flag = ctcae.FlagLow
	default:
		switch s = strings.ToUpper(strings.TrimSpace(s)); {
		case missing(s):
		case s == "NORMAL":
			in.Flag = ctcae.FlagNormal
		case s == "HIGH":
			in.Flag = ctcae.FlagHigh
		case s == "LOW":
			in.Flag = ctcae.FlagLow
		default:
			return no("baseline_indicator", "want NORMAL, HIGH, LOW or nothing")
		}
	}
	g := graded{limits: w.limits, why: w.why}
	if w.why != "" {
		g.Grading = ctcae.Grading{Ungradable: true}
	} else {
		g.Grading = w.limits.Grade(&in)
		if g.Why == ctcae.ByComparator {
			g.Ungradable = true
		}
	}
	if g.Ungradable {
		t.counts.Ungradable++
	} else {
		t.counts.Graded++
	}
	return g
}

// missing reports an empty cell: nothing, or what R and SAS write for it.
func missing(s string) bool { return s == "" || s == "NA" || s == "." || strings.TrimSpace(s) == "" }

func splitComparator(s string) (number, comparator string) {
	for _, c := range [...]struct{ text, means string }{{"<=", "<="}, {">=", ">="}, {"≤", "<="}, {"≥", ">="}, {"<", "<"}, {">", ">"}} {
		if rest, ok := strings.CutPrefix(s, c.text); ok {
			return rest, c.means
		}
	}
	return s, ""
}

func bounds(n decimal.Rounded, comparator string) ctcae.Bounds {
	switch comparator {
	case "<", "<=":
		return ctcae.Bounds{High: n, HasHigh: true, HighOpen: comparator == "<"}
	case ">", ">=":
		return ctcae.Bounds{Low: n, HasLow: true, LowOpen: comparator == ">"}
	}
	return ctcae.Point(n)
}

// read reads a number of the row's unit; why says what is wrong with it.
func (w *way) read(s string) (n decimal.Rounded, why string) {
	n, err := decimal.ParseRounded(s)
	if err != nil {
		if n, err = decimal.ParseRounded(strings.TrimSpace(s)); err != nil {
			return n, notNumber(err)
		}
	}
	switch {
	case w.shifts:
		exact, err := decimal.Parse(n.String())
		if err == nil {
			exact, err = w.unit.Canonical(exact)
		}
		if err != nil {
			return n, notNumber(err)
		}
		return exact.Round(), ""
	case w.factor != (decimal.Rounded{}):
		return n.Mul(w.factor), ""
	}
	return n, ""
}

func notNumber(err error) string {
	if errors.Is(err, decimal.ErrRange) {
		return "a number out of range"
	}
	return "not a number such as 0.45"
}

// way finds how a row is graded. Rows of one kind usually stand together.
func (t *table) way(record []string) *way {
	c := cell{t.cell(record, colVersion), t.cell(record, colTerm), t.cell(record, colDirection), t.cell(record, colUnit)}
	if c == t.last && t.lastWay != nil {
		return t.lastWay
	}
	w := t.criteria[c]
	if w == nil {
		// The strings are parts of a record's line: keep copies, not the lines.
		c = cell{strings.Clone(c.version), strings.Clone(c.term), strings.Clone(c.direction), strings.Clone(c.unit)}
		w = newWay(c)
		if len(t.criteria) < maxWays {
			t.criteria[c] = w
		}
	}
	t.last, t.lastWay = c, w
	return w
}

// maxWays bounds what is remembered: a table with a new unit in every row must not grow without end.
const maxWays = 10_000

func newWay(c cell) *way {
	wrong := func(column, why string) *way { return &way{column: column, why: why, wrong: true} }
	version := ctcae.Version(strings.TrimSpace(c.version))
	switch version { // as tools write numbers
	case "5":
		version = ctcae.V5
	case "6":
		version = ctcae.V6
	}
	if !version.Known() {
		return wrong("version", fmt.Sprintf("%s is not one of 4.03, 5.0, 6.0", quote(c.version)))
	}
	criterion, err := ctcae.Find(version, c.term)
	if err != nil {
		return wrong("term", err.Error())
	}
	direction := map[string]string{"": "", "l": "low", "h": "high", "na": ""}
	if d, ok := direction[strings.ToLower(strings.TrimSpace(c.direction))]; !ok {
		return wrong("direction", fmt.Sprintf("%s is not L, H or nothing", quote(c.direction)))
	} else if d != "" && d != criterion.Direction {
		return wrong("direction", fmt.Sprintf("%s is graded when the value is %s", criterion.Term, criterion.Direction))
	}
	single := slices.DeleteFunc(slices.Clone(criterion.Limits), func(l ctcae.Limits) bool { _, ok := unit.Of(l.Analyte); return !ok })
	if len(single) == 0 {
		return wrong("term", criterion.Term+" is not graded from one value")
	}
	name := strings.TrimSpace(c.unit)
	if missing(name) {
		for i := range single {
			if f, _ := unit.Of(single[i].Analyte); f.Bare || !single[i].Absolute() {
				return &way{limits: criterion.Of(single[i].Analyte)}
			}
		}
		return &way{limits: &single[0], why: "no unit"}
	}
	var want []string
	var found *way
	for i := range single {
		f, _ := unit.Of(single[i].Analyte)
		u, ok := f.Find(name)
		if !ok {
			want = append(want, f.Canonical)
			continue
		}
		w := &way{limits: criterion.Of(single[i].Analyte), unit: u, shifts: !u.Scales()}
		if factor := u.Factor().Round(); factor != decimal.MustRound("1") {
			w.factor = factor
		}
		if found != nil && !found.limits.Same(w.limits) {
			return &way{limits: w.limits, why: fmt.Sprintf("a row does not say whether it is %s or %s", found.limits.Analyte, w.limits.Analyte)}
		}
		if found == nil {
			found = w
		}
	}
	if found != nil {
		return found
	}
	return &way{limits: &single[0], why: fmt.Sprintf("the unit %s is none of %s", quote(name), strings.Join(want, ", "))}
}

// quote makes a cell fit to show: short and printable.
func quote(s string) string {
	if len(s) > 40 {
		s = s[:40] + "…"
	}
	return fmt.Sprintf("%q", s)
}

// text is a grade as it is written: the worst that is met, as a table that assumes the worst case has it.
func text(g ctcae.Grading) string {
	if g.Ungradable {
		return ""
	}
	return digit[g.Worst]
}

var digit = [...]string{"0", "1", "2", "3", "4", "5"}

// explain is the columns grade_min, grade_max and why.
func (t *table) explain(g *graded) []string {
	switch {
	case g.why != "":
		return []string{"", "", g.why}
	case g.Ungradable && g.Why == ctcae.ByComparator:
		return []string{digit[g.Min], digit[g.Max], g.Why.String()}
	case g.Ungradable:
		return []string{"", "", g.Why.String()}
	}
	c := g.limits.Criterion()
	why := "no grade's condition is met"
	if g.Step != nil {
		why = fmt.Sprintf("grade %d: value %s", g.Worst, strings.TrimPrefix(g.Step.Text, "value "))
	}
	if c.Candidate != "" {
		why += " (a proposal: " + c.Candidate + ")"
	}
	return []string{digit[g.Min], digit[g.Max], why + "; " + c.Source()}
}
