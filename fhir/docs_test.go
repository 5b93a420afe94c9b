package fhir_test

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/trialwatch/trialwatch/fhir"
	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/timeline"
	"github.com/trialwatch/trialwatch/rules/unit"
)

func feedsPage(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../docs/feeds.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// constants are the values of the string constants that match a pattern in a source file.
func constants(t *testing.T, file, pattern string) []string {
	t.Helper()
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for _, m := range regexp.MustCompile(pattern).FindAllSubmatch(source, -1) {
		values = append(values, string(m[1]))
	}
	if len(values) == 0 {
		t.Fatalf("%s has no %s", file, pattern)
	}
	return values
}

// An engineer works from the page alone: every code and reason that the code has stands there.
func TestFeedsPageIsComplete(t *testing.T) {
	page := feedsPage(t)
	for _, reason := range constants(t, "fhir.go", `(?m)^\tReason\w+\s+Reason = "([a-z0-9-]+)"`) {
		if !strings.Contains(page, "| `"+reason+"` |") {
			t.Errorf("docs/feeds.md has no reason %s", reason)
		}
	}
	for _, reason := range constants(t, "../rules/timeline/fact.go", `(?m)^\tProblem\w+\s+= "([a-z-]+)"`) {
		if !strings.Contains(page, "| `"+reason+"` |") {
			t.Errorf("docs/feeds.md has no reason %s", reason)
		}
	}
	for _, code := range constants(t, "codes.yaml", `http://[a-z0-9./]+\|([A-Z0-9-]+)`) {
		if !strings.Contains(page, code) {
			t.Errorf("docs/feeds.md has no code %s", code)
		}
	}
	// The words of drugs by which something is known, and what makes them something else, are too many for the page: it names the concept.
	for _, name := range constants(t, "codes.yaml", `(?m)^  - name: ([a-z0-9-]+)`) {
		if regexp.MustCompile(`\s` + name + `[,.]`).MatchString(page) {
			continue // routes and indications stand in a sentence
		}
		if _, measured := unit.Of(name); !measured && name != timeline.TIL && !strings.Contains(page, "| "+name+" |") {
			t.Errorf("docs/feeds.md has no row for %s", name)
		}
	}
}

// rowsOf are the cells of a table of the page, without its head.
func rowsOf(t *testing.T, page, head string) [][]string {
	t.Helper()
	_, table, ok := strings.Cut(page, "\n"+head+"\n")
	if !ok {
		t.Fatalf("docs/feeds.md has no table %s", head)
	}
	table, _, _ = strings.Cut(table, "\n\n")
	var rows [][]string
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if !strings.HasPrefix(cells[0], "---") {
			rows = append(rows, cells)
		}
	}
	return rows
}

var quoted = regexp.MustCompile("`([^`]+)`")

// ticked are the words in backticks.
func ticked(cell string) []string {
	var words []string
	for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
		words = append(words, m[1])
	}
	return words
}

// Every analyte stands on the page with exactly its codes and the range in which it is believed.
func TestAnalytesOfTheFeedsPage(t *testing.T) {
	source, err := os.ReadFile("codes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	codes := map[string][]string{}
	for _, concept := range strings.Split(string(source), "\n  - name: ")[1:] {
		name := regexp.MustCompile(`^[a-z0-9-]+`).FindString(concept)
		for _, m := range regexp.MustCompile(`http://loinc\.org\|([0-9-]+)`).FindAllStringSubmatch(concept, -1) {
			codes[name] = append(codes[name], m[1])
		}
	}
	var shown []string
	for _, row := range rowsOf(t, feedsPage(t), "| what | analyte | LOINC (`http://loinc.org`) | believed |") {
		name := ticked(row[1])[0]
		shown = append(shown, name)
		f, ok := unit.Of(name)
		if !ok {
			t.Errorf("docs/feeds.md has the analyte %s, which there is not", name)
			continue
		}
		want := strings.Join(codes[name], ", ")
		if name == timeline.ICEScore {
			want = "none known: the protocol names its own code"
		}
		if row[2] != want || want == "" {
			t.Errorf("docs/feeds.md has for %s the codes %s, codes.yaml %s", name, row[2], want)
		}
		var low, top, canonical string
		if n, err := fmt.Sscanf(row[3], "%s to %s `%s", &low, &top, &canonical); n != 3 || err != nil {
			t.Errorf("docs/feeds.md says that %s is believed %s", name, row[3])
			continue
		}
		if decimal.Must(low).Cmp(f.Low) != 0 || decimal.Must(top).Cmp(f.Top) != 0 || canonical != f.Canonical+"`" {
			t.Errorf("docs/feeds.md believes %s %s, the code %s to %s %s", name, row[3], f.Low, f.Top, f.Canonical)
		}
	}
	slices.Sort(shown)
	var all []string
	for _, f := range unit.All() {
		all = append(all, f.Analyte)
	}
	if !slices.Equal(shown, all) {
		t.Errorf("docs/feeds.md shows %v, there are %v", shown, all)
	}
}

// Every reason can happen, and the tables show how.
func TestEveryReasonHasARow(t *testing.T) {
	d := newDecoder(t)
	var seen []string
	for _, r := range allRows {
		seen = append(seen, string(one(t, d, r.data).Reason))
	}
	for _, reason := range constants(t, "fhir.go", `(?m)^\tReason\w+\s+Reason = "([a-z0-9-]+)"`) {
		if !slices.Contains(seen, reason) {
			t.Errorf("no row ends as %s", reason)
		}
	}
}

// Every unit of an analyte is on the page, with its factor, and no other.
func TestUnitsOfTheFeedsPage(t *testing.T) {
	page := feedsPage(t)
	shown := map[string][]string{}
	for _, row := range rowsOf(t, page, "| analytes | units |") {
		if strings.HasPrefix(row[0], "dose") {
			continue
		}
		for _, name := range ticked(row[0]) {
			f, ok := unit.Of(name)
			if !ok {
				t.Errorf("docs/feeds.md has the analyte %s, which there is not", name)
				continue
			}
			if got := strings.HasSuffix(row[1], ", or none"); got != f.Bare {
				t.Errorf("docs/feeds.md says that %s needs no unit: %v, the code %v", name, got, f.Bare)
			}
			for part := range strings.SplitSeq(row[1], ";") {
				want := unit.Scaled(1, 1)
				factor, _, scaled := strings.Cut(part, ":")
				if rest, ok := strings.CutPrefix(strings.TrimSpace(factor), "× "); scaled && ok {
					one, err := want.Canonical(decimal.Must(rest))
					if err != nil {
						t.Fatal(err)
					}
					for _, spelling := range ticked(part) {
						if u, ok := f.Find(spelling); !ok || u.Factor().Cmp(one) != 0 || !u.Scales() {
							t.Errorf("docs/feeds.md has %s of %s with %s, the code with %s (%v)", spelling, name, rest, u.Factor(), ok)
						}
					}
				} else if scaled {
					if got := strings.TrimSpace(factor); got != "(x − 32) × 5/9" || name != timeline.Temperature {
						t.Errorf("docs/feeds.md has a formula for %s: %s", name, got)
					}
				} else {
					for _, spelling := range ticked(part) {
						if u, ok := f.Find(spelling); !ok || u != want {
							t.Errorf("docs/feeds.md has %s of %s as the canonical unit, the code as %+v (%v)", spelling, name, u, ok)
						}
					}
				}
				shown[name] = append(shown[name], ticked(part)...)
			}
		}
	}
	for _, f := range unit.All() {
		if got, want := shown[f.Analyte], f.Spellings(); !slices.Equal(got, want) {
			t.Errorf("docs/feeds.md has for %s the units %v, the code %v", f.Analyte, got, want)
		}
	}
	for _, spelling := range []string{"[iU]", "IU", "U", "unit", "units", "10*6.[iU]", "10*6IU", "MIU", "million units", "10*3.[iU]", "kIU", "mg", "g", "ug", "mcg", "mL", "L"} {
		if !strings.Contains(page, "`"+spelling+"`") {
			t.Errorf("docs/feeds.md has no unit of dose %s", spelling)
		}
		if o := one(t, newDecoder(t), with(administration, "IU/kg", spelling)); o.Fact.Dose.Amount == nil {
			t.Errorf("a dose in %s has no amount", spelling)
		}
	}
}

// The resource of the page is good.
func TestExampleOfTheFeedsPage(t *testing.T) {
	_, example, ok := strings.Cut(feedsPage(t), "```json\n")
	if !ok {
		t.Fatal("docs/feeds.md has no example")
	}
	example, _, _ = strings.Cut(example, "```")
	o := one(t, newDecoder(t), string(bytes.TrimSpace([]byte(example))))
	if want := `fact of "Patient/p1" at 2026-02-19T12:00:00Z neutrophils=2/25`; summary(&o) != want {
		t.Errorf("got %s, want %s", summary(&o), want)
	}
}

// The limits of the page are those of the code.
func TestLimitsOfTheFeedsPage(t *testing.T) {
	l := fhir.DefaultLimits()
	if l != (fhir.Limits{ResourceBytes: 256 << 10, Depth: 32, Tokens: 50_000, StringBytes: 64 << 10, ArrayLen: 2000}) {
		t.Errorf("got %+v: change docs/feeds.md too", l)
	}
	if want := "| a resource or entry | 256 KiB, 32 deep, 50,000 tokens, 2,000 elements or members, strings of 64 KiB |"; !strings.Contains(feedsPage(t), want) {
		t.Errorf("docs/feeds.md has no row %s", want)
	}
}

// What the shipped trial reads under codes of its own stands on the page: an EHR engineer works from it alone.
func TestOutcomesOfTheFeedsPage(t *testing.T) {
	data, err := os.ReadFile("../deployments/protocols/til-il2/protocol.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, err := protocol.Parse("protocol.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	page := feedsPage(t)
	for _, c := range p.Concepts() {
		for _, full := range c.Codes {
			system, code, _ := strings.Cut(full, "|")
			named := strings.Contains(page, "`"+code+"`") || strings.Contains(page, "| "+code+" |") || strings.Contains(page, system+"|"+code) || strings.Contains(page, "LOINC "+code)
			if !named || !strings.Contains(page, system) {
				t.Errorf("docs/feeds.md has no %s of %s", full, c.Concept)
			}
		}
	}
	rows := map[string][]string{}
	for _, r := range rowsOf(t, page, "| unit in the protocol | read | believed |") {
		rows[ticked(r[0])[0]] = r
	}
	for _, k := range unit.Kinds() {
		r := rows[k.Canonical]
		if r == nil || r[2] != k.Low.String()+" to "+k.Top.String() {
			t.Errorf("docs/feeds.md says %q of markers in %s, want %s to %s", r, k.Canonical, k.Low, k.Top)
			continue
		}
		if k.Canonical == "10*9/L" {
			continue // it points to another table
		}
		if want, got := k.Spellings(), ticked(r[1]); !slices.Equal(got, want) {
			t.Errorf("docs/feeds.md reads %s in %q, want %q", k.Canonical, got, want)
		}
	}
}
