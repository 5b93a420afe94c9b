package report

import (
	"fmt"
	"strconv"
	"strings"
)

// Table is one table of a report: a row a measure, a column an arm. It is written as HTML for people and as CSV for programs from the same values.
type Table struct {
	ID, Title string
	// Note says who is counted and how. Descriptive tables say that their arms are too small for more.
	Note        string
	Descriptive bool
	Columns     []Column
	Rows        []Row
	Figures     []Figure
}

// Column is an arm, all of them, or their comparison; of a table by grade, one grade of an arm.
type Column struct {
	Arm  string // as in the panels, [allArms] or [comparison]
	Head string // of the arm
	Sub  string // "" but for tables with several columns an arm
}

const (
	allArms    = "all"
	comparison = "comparison"
)

// Row is one measure. Group stands above the rows of a kind; Sub rows belong to the row above.
type Row struct {
	Group, Label string
	Sub          bool
	Values       []Value // one a column
}

// Value is one figure of a table. The zero value is an empty cell.
type Value struct {
	// Statistic is what Main is, as the CSV names it: "count", "percent", "median", …
	Statistic string
	N, Of     *int
	Main      *float64
	Low, High *float64 // 95 % limits, but quartiles of a median with the statistic "median, quartiles"
	Min, Max  *float64
	// Text is of what is no number.
	Text     string
	decimals int // of Main, Low and High; -1: as many as there are
}

func count(n int) Value { return Value{Statistic: "count", N: &n, decimals: -1} }

// text is the figure as people read it, and what qualifies it.
func (v *Value) text() (main, sub string) {
	switch v.Statistic {
	case "":
		return "", ""
	case "text":
		return v.Text, ""
	case "count":
		return strconv.Itoa(*v.N), ""
	case "at least":
		return fmt.Sprintf("at least %d of %d", *v.N, *v.Of), ""
	case "events":
		return fmt.Sprintf("%d/%d", *v.N, *v.Of), ""
	case "percent":
		main = fmt.Sprintf("%d/%d", *v.N, *v.Of)
		if v.Main != nil {
			main += fmt.Sprintf(" (%.1f %%)", *v.Main)
			sub = fmt.Sprintf("%.1f–%.1f", *v.Low, *v.High)
		}
		return main, sub
	case "median":
		if v.Main == nil {
			return "NA", ""
		}
		main = v.figure(v.Main)
		if v.Min != nil {
			main += fmt.Sprintf(" (%s–%s)", v.figure(v.Min), v.figure(v.Max))
		}
		return main, v.limits() + v.of()
	case "median, quartiles":
		if v.Main == nil {
			return "NA", ""
		}
		return fmt.Sprintf("%s (%s–%s)", v.figure(v.Main), v.figure(v.Low), v.figure(v.High)), strings.TrimPrefix(v.of(), ", ")
	}
	if strings.HasPrefix(v.Statistic, "p,") {
		return v.probability(), ""
	}
	main = v.figure(v.Main)
	if v.Statistic == "posterior" || v.Statistic == "cut" || v.Statistic == "reverse KM median" { // without limits
		return main, ""
	}
	if v.Main == nil && v.Low == nil && v.High == nil {
		return main, strings.TrimPrefix(v.of(), ", ")
	}
	return main, v.limits() + v.of()
}

// short is the figure where there is little room.
func (v *Value) short() string {
	switch {
	case v.Statistic == "percent" && v.Main != nil:
		return fmt.Sprintf("%d (%.0f %%)", *v.N, *v.Main)
	case v.Statistic == "median" && *v.Of == 0:
		return "–"
	}
	main, _ := v.text()
	return main
}

func (v *Value) limits() string { return v.figure(v.Low) + "–" + v.figure(v.High) }

func (v *Value) of() string {
	if v.Of == nil {
		return ""
	}
	return fmt.Sprintf(", of %d", *v.Of)
}

// probability has three decimals: more would say more than there is.
func (v *Value) probability() string {
	switch {
	case v.Main == nil:
		return "p NA"
	case *v.Main < 0.001:
		return "p <0.001"
	}
	return fmt.Sprintf("p %.3f", *v.Main)
}

func (v *Value) figure(f *float64) string {
	switch {
	case f == nil:
		return "NA"
	case *f >= 1e6: // international units
		return strconv.FormatFloat(*f/1e6, 'g', 4, 64) + " million"
	case v.decimals < 0:
		return strconv.FormatFloat(*f, 'g', -1, 64)
	}
	return strconv.FormatFloat(*f, 'f', v.decimals, 64)
}

// csvHead names the columns of every CSV file of a report: the same for all, one line a figure. What is empty does not apply or is not reached.
var csvHead = []string{"table", "group", "row", "arm", "part", "statistic", "n", "of", "value", "low", "high", "min", "max", "text"}

// records are the lines of the CSV file.
func (t *Table) records() [][]string {
	lines := [][]string{csvHead}
	whole := func(n *int) string {
		if n == nil {
			return ""
		}
		return strconv.Itoa(*n)
	}
	number := func(f *float64) string {
		if f == nil {
			return ""
		}
		return strconv.FormatFloat(*f, 'g', -1, 64)
	}
	for _, r := range t.Rows {
		for i := range r.Values {
			v := &r.Values[i]
			if v.Statistic == "" {
				continue
			}
			lines = append(lines, []string{
				t.ID, r.Group, r.Label, t.Columns[i].Arm, t.Columns[i].Sub, v.Statistic, whole(v.N), whole(v.Of), number(v.Main), number(v.Low), number(v.High), number(v.Min), number(v.Max), v.Text,
			})
		}
	}
	return lines
}
