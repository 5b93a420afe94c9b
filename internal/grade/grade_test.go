package grade_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/trialwatch/trialwatch/internal/grade"
	"github.com/trialwatch/trialwatch/rules/ctcae"
	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/unit"
)

var header = []string{"version", "term", "direction", "unit", "value", "lln", "uln", "baseline", "baseline_indicator", "pct_change"}

// run grades a table and returns its rows without the header, and what was refused.
func run(t testing.TB, input string, explain bool) (rows [][]string, counts grade.Counts, refused []grade.Refusal) {
	t.Helper()
	var out bytes.Buffer
	counts, err := grade.Run(&out, strings.NewReader(input), grade.Options{Explain: explain, Refused: func(r grade.Refusal) { refused = append(refused, r) }})
	if err != nil {
		t.Fatal(err)
	}
	rows, err = csv.NewReader(&out).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows[1:], counts, refused
}

func table(rows ...[]string) string {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Write(header)
	w.WriteAll(rows)
	return b.String()
}

func readCSV(t testing.TB, path string) (head []string, rows [][]string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return all[0], all[1:]
}

// TestBoundaries holds every term and version to testdata/boundaries.csv: below, at and above each limit, without a result, a limit of normal or a baseline,
// with a wrong unit, with a normal, abnormal and missing baseline. The last column says why. The expectations were not made by this engine: those of the
// laboratory terms are the reference implementation's criteria evaluated apart, the others were written from the published text.
func TestBoundaries(t *testing.T) {
	_, rows := readCSV(t, "testdata/boundaries.csv")
	var input [][]string
	var wants [][]string
	covered := map[string]bool{}
	for _, r := range rows {
		for v := range strings.FieldsSeq(r[1]) {
			input = append(input, []string{v, r[0], "", r[2], r[3], r[4], r[5], r[6], r[7], r[8]})
			wants = append(wants, []string{r[9], r[10], r[11]})
			covered[v+" "+r[0]] = true
		}
	}
	got, _, refused := run(t, table(input...), true)
	if len(refused) > 0 {
		t.Fatalf("refused: %+v", refused[0])
	}
	if len(got) != len(input) {
		t.Fatalf("%d rows, want %d", len(got), len(input))
	}
	for i, r := range got {
		least, why, g := r[len(header)], r[len(header)+2], r[len(r)-1]
		if g != wants[i][1] || g != "" && least != wants[i][0] {
			t.Errorf("%s\n  (%s)\n  grade %q, at least %q, because %s; want %q, at least %q", strings.Join(input[i], ","), wants[i][2], g, least, why, wants[i][1], wants[i][0])
		}
	}
	for _, v := range []ctcae.Version{ctcae.V4, ctcae.V5, ctcae.V6} {
		for _, c := range ctcae.All(v) {
			single := slices.ContainsFunc(c.Limits, func(l ctcae.Limits) bool { _, ok := unit.Of(l.Analyte); return ok })
			if single && !covered[string(v)+" "+c.Term] {
				t.Errorf("no boundary of %s in version %s is tried", c.Term, v)
			}
		}
	}
	t.Logf("%d rows of %d pairs of version and term", len(input), len(covered))
}

// TestReferenceSample compares with rows that the reference implementation (R, admiral) graded. The rows in which we differ on purpose are told by what they are.
func TestReferenceSample(t *testing.T) {
	dir := os.Getenv("TRIALWATCH_SHARED")
	if dir == "" {
		t.Skip("TRIALWATCH_SHARED is not set: the reference rows are not part of the project")
	}
	data, err := os.ReadFile(filepath.Join(dir, "ctcae", "grid_sample.csv"))
	if err != nil {
		t.Skip(err)
	}
	head, err := csv.NewReader(bytes.NewReader(data)).Read()
	if err != nil {
		t.Fatal(err)
	}
	column := func(name string) int { return slices.Index(head, name) }
	rows, _, refused := run(t, string(data), false)
	if len(refused) > 0 || len(rows) == 0 {
		t.Fatalf("%d rows, refused: %+v", len(rows), refused)
	}
	differ := 0
	for _, r := range rows {
		if r[len(r)-1] == r[column("expected")] {
			continue
		}
		differ++
		flagged := r[column("baseline_indicator")] != "" && r[column("baseline")] == "" && r[len(r)-1] == ""
		ggt := r[column("term")] == "GGT increased" && r[column("version")] == "5.0" && r[len(r)-1] == "1"
		if !flagged && !ggt {
			t.Errorf("%s: grade %q", strings.Join(r[:len(r)-1], ","), r[len(r)-1])
		}
	}
	t.Logf("%d of %d rows agree, the others are the deliberate differences of docs/ctcae.md", len(rows)-differ, len(rows))
}

// What cannot be read is named by line and column, and nothing else suffers.
func TestBadInput(t *testing.T) {
	anc := func(change func(map[string]string)) []string {
		cells := map[string]string{"version": "5.0", "term": "Neutrophil count decreased", "unit": "10*9/L", "value": "0.4", "lln": "1.8"}
		change(cells)
		row := make([]string, len(header))
		for i, h := range header {
			row[i] = cells[h]
		}
		return row
	}
	set := func(column, text string) []string { return anc(func(c map[string]string) { c[column] = text }) }
	for _, tt := range []struct {
		row     []string
		grade   string
		refused string // column, "" if the row is read
		why     string // part of the explanation
	}{
		{set("value", "0.4"), "4", "", "grade 4"},
		{set("value", " 0.4 "), "4", "", ""},
		{set("value", "4e-1"), "4", "", ""},
		{set("value", "NaN"), "", "value", "not a number"},
		{set("value", "Inf"), "", "value", "not a number"},
		{set("value", "1e999"), "", "value", "out of range"},
		{set("value", "0,4"), "", "value", "not a number"}, // a decimal comma could be a thousands separator
		{set("value", "pending"), "", "value", "not a number"},
		{set("value", "0x1p-2"), "", "value", "not a number"},
		{set("value", "<"), "", "value", "not a number"},
		{set("value", "<0.1"), "4", "", "grade 4"},                            // all that it can be is below 0.5
		{set("value", "< 0.1"), "4", "", ""},                                  //
		{set("value", "≤0.4"), "4", "", ""},                                   //
		{set("value", "<1.0"), "", "", "the comparator leaves"},               // 3 or 4
		{set("value", ">100"), "0", "", "no grade's condition"},               // above every limit
		{set("value", ">1.0"), "", "", "the comparator leaves"},               // 0 to 2
		{set("value", "-0.4"), "", "", "negative"},                            // a count is not
		{set("value", ""), "", "", "no value"},                                //
		{set("value", "NA"), "", "", "no value"},                              // as R writes it
		{set("value", "."), "", "", "no value"},                               // as SAS writes it
		{set("unit", ""), "", "", "no unit"},                                  //
		{set("unit", "mg/dL"), "", "", "is none of 10*9/L"},                   //
		{set("unit", "%"), "", "", "is none of"},                              // a percentage is no count
		{set("unit", "K/uL"), "4", "", ""},                                    //
		{set("lln", "-1"), "", "lln", "negative"},                             //
		{set("lln", "1.8 (calc)"), "", "lln", "not a number"},                 //
		{set("uln", "1.0"), "", "", "above the upper one"},                    // 1.8 to 1.0 is upside down
		{set("version", "3.0"), "", "version", "not one of"},                  //
		{set("version", ""), "", "version", "not one of"},                     //
		{set("version", "5"), "4", "", ""},                                    // as a spreadsheet writes 5.0
		{set("version", "4"), "", "version", "not one of"},                    // 4.0 or 4.03: a guess
		{set("term", "Neutropenia"), "", "term", "no version of CTCAE"},       //
		{set("term", "Thrombocytopenia"), "", "term", "it is one of 6.0"},     //
		{set("term", "Febrile neutropenia"), "", "term", "not graded from"},   // it takes two measurements
		{set("term", "neutrophil  count DECREASED"), "4", "", ""},             //
		{set("term", "neutrophil-count-decreased"), "4", "", ""},              //
		{set("direction", "L"), "4", "", ""},                                  //
		{set("direction", "H"), "", "direction", "when the value is low"},     //
		{set("direction", "down"), "", "direction", "not L, H"},               //
		{set("baseline_indicator", "abnormal"), "", "baseline_indicator", ""}, //
		{set("baseline_indicator", "high"), "4", "", ""},                      //
		{set("pct_change", "ten"), "", "pct_change", "not a number"},          //
	} {
		rows, counts, refused := run(t, table(tt.row, set("value", "0.6")), true)
		name := strings.Join(tt.row, ",")
		if len(rows) != 2 || rows[1][len(rows[1])-1] != "3" || counts.Rows != 2 {
			t.Errorf("%s: the row behind it suffered: %v", name, rows)
			continue
		}
		if got := rows[0][len(rows[0])-1]; got != tt.grade {
			t.Errorf("%s: grade %q, want %q", name, got, tt.grade)
		}
		if why := rows[0][len(header)+2]; !strings.Contains(why, tt.why) {
			t.Errorf("%s: explained as %q, want %q in it", name, why, tt.why)
		}
		switch {
		case tt.refused == "" && len(refused) > 0:
			t.Errorf("%s: refused: %+v", name, refused)
		case tt.refused != "" && (len(refused) != 1 || refused[0].Line != 2 || refused[0].Column != tt.refused):
			t.Errorf("%s: refused %+v, want line 2, column %s", name, refused, tt.refused)
		}
	}
}

// Lines that are no rows are named, and left out; the others are graded.
func TestBrokenRows(t *testing.T) {
	good := "5.0,Anemia,,g/L,75,120\n"
	head := "version,term,direction,unit,value,lln\n"
	for _, tt := range []struct {
		name, body string
		rows       int
		refused    []string
	}{
		{"too few columns", "5.0,Anemia\n" + good, 1, []string{"line 2: 2 columns, the header has 6"}},
		{"too many columns", good + "5.0,Anemia,,g/L,75,120,extra\n" + good, 2, []string{"line 3: 7 columns, the header has 6"}},
		{"a quote within a cell", good + `5.0,An"emia,,g/L,75,120` + "\n" + good, 2, []string{`line 3: column 7: bare " in non-quoted-field`}},
		{"a quote that never closes", good + `5.0,"Anemia,,g/L,75,120` + "\n" + good, 1, []string{"line 3: a quote that is not closed takes in lines 3 to 4"}},
		{"empty lines", "\n" + good + "\n\n" + good, 2, nil},
		{"carriage returns", strings.ReplaceAll(good+good, "\n", "\r\n"), 2, nil},
		{"no end of line", strings.TrimSuffix(good, "\n"), 1, nil},
	} {
		rows, _, refused := run(t, head+tt.body, false)
		var told []string
		for _, r := range refused {
			told = append(told, fmt.Sprintf("line %d: %s", r.Line, r.Why))
		}
		if !slices.Equal(told, tt.refused) || len(rows) != tt.rows {
			t.Errorf("%s: %d rows, refused %q; want %d rows and %q", tt.name, len(rows), told, tt.rows, tt.refused)
		}
		for _, r := range rows {
			if r[len(r)-1] != "3" {
				t.Errorf("%s: row %v, want grade 3", tt.name, r)
			}
		}
	}
}

func TestHeaders(t *testing.T) {
	for header, want := range map[string]string{
		"":                                "the first line must name the columns",
		"a,b,c\n1,2,3\n":                  "the first line must name the columns",
		"5.0,Anemia,L,g/L,75\n":           "the first line must name the columns",
		"version;term;unit;value\n":       "not semicolons",
		"version,term,value,value\n":      "the column value is there twice",
		"version,term,unit,value,grade\n": "already has a column grade",
	} {
		if _, err := grade.Run(&bytes.Buffer{}, strings.NewReader(header), grade.Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", header, err, want)
		}
	}
	// Any order, any case, a byte order mark, columns of somebody else, and not all of ours.
	rows, _, _ := run(t, "\ufeffValue,subject,UNIT,Term,version\n75,\"S-001, arm 1\",g/L,Anemia,5.0\n", false)
	if got := rows[0]; !slices.Equal(got, []string{"75", "S-001, arm 1", "g/L", "Anemia", "5.0", "3"}) {
		t.Errorf("got %q", got)
	}
}

// Every spelling of a unit gives the same grade for the same quantity: a threshold does not depend on the laboratory's habits.
func TestGradesDoNotDependOnTheSpellingOfTheUnit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom(ctcae.All(rapid.SampledFrom([]ctcae.Version{ctcae.V4, ctcae.V5, ctcae.V6}).Draw(t, "version"))).Draw(t, "criterion")
		l := rapid.SampledFrom(append(slices.Clone(c.Limits), ctcae.Limits{})).Draw(t, "limits")
		f, ok := unit.Of(l.Analyte)
		if !ok {
			return
		}
		// The canonical value has few digits, so that every unit can write it exactly.
		v := decimal.New(rapid.Int64Range(0, 4000).Draw(t, "value"), 8)
		uln := decimal.New(rapid.Int64Range(1, 2000).Draw(t, "uln"), 8)
		want := ""
		for i, s := range f.Spellings() {
			u, _ := f.Find(s)
			if !u.Scales() || l.Analyte == "urate-molar" && strings.HasPrefix(s, "m") {
				continue
			}
			text := func(n decimal.Number) string {
				q, err := n.Quo(u.Factor())
				if err != nil {
					t.Fatal(err)
				}
				return q.Round().String()
			}
			input := table([]string{string(c.Version), c.Term, "", s, text(v), text(decimal.New(1, 8)), text(uln), text(uln), "", ""})
			var out bytes.Buffer
			if _, err := grade.Run(&out, strings.NewReader(input), grade.Options{}); err != nil {
				t.Fatal(err)
			}
			rows, err := csv.NewReader(&out).ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			got := rows[1][len(rows[1])-1]
			if i == 0 {
				want = got
			}
			if got != want {
				t.Fatalf("%s %s of %s: grade %q in %s, %q in %s", c.Version, c.Term, v, got, s, want, f.Spellings()[0])
			}
		}
	})
}

// FuzzRun: whatever arrives, nothing panics, what is written is CSV, every row has its columns, and every grade is one.
func FuzzRun(f *testing.F) {
	f.Add(table([]string{"5.0", "Anemia", "L", "g/L", "75", "120", "", "", "", ""}))
	f.Add("version,term,unit,value\n5.0,Fever,[degF],104.1\n6.0,Anemia,furlong,\"1\n2\"\n")
	f.Add("value\n\"\n")
	f.Fuzz(func(t *testing.T, input string) {
		var out bytes.Buffer
		counts, err := grade.Run(&out, strings.NewReader(input), grade.Options{Explain: len(input)%2 == 0})
		if err != nil {
			return
		}
		if counts.Graded+counts.Ungradable+counts.Refused != counts.Rows {
			t.Fatalf("%+v", counts)
		}
		rows, err := csv.NewReader(&out).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows[1:] {
			if g := r[len(r)-1]; g != "" {
				if n, err := strconv.Atoi(g); err != nil || n < 0 || n > 4 {
					t.Fatalf("grade %q", g)
				}
			}
		}
	})
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestAFailedWriteIsTold(t *testing.T) {
	if _, err := grade.Run(failing{}, strings.NewReader(table([]string{"5.0", "Anemia", "", "g/L", "75", "120", "", "", "", ""})), grade.Options{}); err == nil {
		t.Error("no error")
	}
}

// BenchmarkRun is the whole command in rows a CPU second: reading, grading and writing CSV. Beside it the same without grading, by the CSV library alone.
func BenchmarkRun(b *testing.B) {
	_, rows := readCSV(b, "testdata/boundaries.csv")
	var input [][]string
	for _, r := range rows {
		input = append(input, []string{strings.Fields(r[1])[0], r[0], "", r[2], r[3], r[4], r[5], r[6], r[7], r[8]})
	}
	for len(input) < 200_000 { // so that finding the criteria does not count
		input = append(input, input[:len(rows)]...)
	}
	text := table(input...)
	bench := func(name string, run func() error) {
		b.Run(name, func(b *testing.B) {
			before := cpu(b)
			for b.Loop() {
				if err := run(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*float64(len(input))/(cpu(b)-before), "rows/cpu-s")
		})
	}
	bench("grade", func() error {
		_, err := grade.Run(discard{}, strings.NewReader(text), grade.Options{})
		return err
	})
	bench("csv-alone", func() error {
		r, w := csv.NewReader(strings.NewReader(text)), csv.NewWriter(discard{})
		r.ReuseRecord = true
		for {
			record, err := r.Read()
			if errors.Is(err, io.EOF) {
				w.Flush()
				return w.Error()
			}
			if err == nil {
				err = w.Write(record)
			}
			if err != nil {
				return err
			}
		}
	})
}

// cpu is the process's CPU time so far, in seconds.
func cpu(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
