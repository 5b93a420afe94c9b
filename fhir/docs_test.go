package fhir_test

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/trialwatch/trialwatch/fhir"
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

// Every unit on the page is read as the page says.
func TestUnitsOfTheFeedsPage(t *testing.T) {
	page := feedsPage(t)
	for _, tt := range []struct{ row, loinc, value, canonical string }{
		{"| counts of cells, 10*9/L |", anc, "0.5", "1/2"},
		{"| counts of cells, a thousandth of that |", anc, "500", "1/2"},
		{"| percentages |", percent, "50", "50"},
		{"| temperature |", temp, "", ""},
		{"| creatinine |", creatMass, "", ""},
	} {
		_, row, ok := strings.Cut(page, "\n"+tt.row)
		if !ok {
			t.Fatalf("docs/feeds.md has no row %s", tt.row)
		}
		units, _, _ := strings.Cut(row, "|")
		found := regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(units, -1)
		if len(found) == 0 {
			t.Errorf("%s names no unit", tt.row)
		}
		for _, m := range found {
			value := tt.value
			if value == "" {
				switch unit := strings.ToLower(m[1]); {
				case strings.Contains(unit, "f"):
					value = "100"
				case unit == "umol/l":
					value = "141"
				case unit == "mmol/l":
					value = "0.141"
				case unit == "mg/dl":
					value = "1.6"
				default:
					value = "37"
				}
			}
			r := resultOf(t, lab(tt.loinc, quantity(value, m[1], "")))
			if r.Problem != nil || tt.canonical != "" && r.Value.Value.String() != tt.canonical {
				t.Errorf("%s %s: got %s, problem %v, want %s", value, m[1], r.Value.Value, r.Problem, tt.canonical)
			}
		}
	}
	for _, unit := range []string{"[iU]", "IU", "U", "unit", "units", "10*6.[iU]", "10*6IU", "MIU", "million units", "10*3.[iU]", "kIU", "mg", "g", "ug", "mcg", "mL", "L"} {
		if !strings.Contains(page, "`"+unit+"`") {
			t.Errorf("docs/feeds.md has no unit of dose %s", unit)
		}
		if o := one(t, newDecoder(t), with(administration, "IU/kg", unit)); o.Fact.Dose.Amount == nil {
			t.Errorf("a dose in %s has no amount", unit)
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
