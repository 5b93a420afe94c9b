package mutation_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trialwatch/trialwatch/fhir"
	"github.com/trialwatch/trialwatch/internal/app"
	"github.com/trialwatch/trialwatch/internal/mutation"
	"github.com/trialwatch/trialwatch/internal/scenario"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

const (
	shipped = "../../deployments/protocols/til-il2"
	second  = "../../deployments/protocols/osi-daily"
)

// TestOf takes one part of a protocol after the other and lists all that becomes of it: what changes, and where.
func TestOf(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string // path: change, and the line or lines as they become ("" where a line is gone)
	}{
		{"a number up and down by its last digit", "dosing:\n  tolerance: \"10\" # percent\n", []string{
			`dosing.tolerance: 10 → 9 | dosing:;  tolerance: "9" # percent`,
			`dosing.tolerance: 10 → 11 | dosing:;  tolerance: "11" # percent`,
		}},
		{"decimals", "febrileNeutropenia: { sustained: { value: \"38.0\", unit: Cel } }\n", []string{
			`febrileNeutropenia.sustained.value: 38.0 → 37.9 | febrileNeutropenia: { sustained: { value: "37.9", unit: Cel } }`,
			`febrileNeutropenia.sustained.value: 38.0 → 38.1 | febrileNeutropenia: { sustained: { value: "38.1", unit: Cel } }`,
		}},
		{"below zero", "prohibited:\n  - { fromDay: 0 }\n", []string{
			"prohibited[0].fromDay: 0 → -1 | prohibited:;  - { fromDay: -1 }",
			"prohibited[0].fromDay: 0 → 1 | prohibited:;  - { fromDay: 1 }",
		}},
		{"durations by a minute", "study: x\nafterOffStudy: P30D\n", []string{
			"afterOffStudy: left out | study: x",
			"afterOffStudy: P30D → P29DT23H59M | study: x;afterOffStudy: P29DT23H59M",
			"afterOffStudy: P30D → P30DT1M | study: x;afterOffStudy: P30DT1M",
		}},
		{"dates by a day", "holds:\n  - id: a\n    inForce: { from: 2026-03-01 }\n", []string{
			"holds[a].inForce: left out | holds:;  - id: a",
			"holds[a].inForce.from: 2026-03-01 → 2026-02-28 | holds:;  - id: a;    inForce: { from: 2026-02-28 }",
			"holds[a].inForce.from: 2026-03-01 → 2026-03-02 | holds:;  - id: a;    inForce: { from: 2026-03-02 }",
		}},
		{"a switch", "holds:\n  - id: a\n    sincePrevious: true\n", []string{
			"holds[a].sincePrevious: left out | holds:;  - id: a",
			"holds[a].sincePrevious: true → false | holds:;  - id: a;    sincePrevious: false",
		}},
		{"words of the schema", "regimens:\n  - { arm: a, id: x, missed: minor }\n", []string{
			"regimens[a/x].missed: left out | regimens:;  - { arm: a, id: x }",
			"regimens[a/x].missed: minor → important | regimens:;  - { arm: a, id: x, missed: important }",
		}},
		{"a comparison with and without its bound", "holds:\n  - { id: a, relative: { label: words – many, above: [{ analyte: alt, value: \"3\", of: ULN }] } }\n", []string{
			"holds[a].relative: left out | holds:;  - { id: a }",
			`holds[a].relative.above: above → atLeast | holds:;  - { id: a, relative: { label: words – many, atLeast: [{ analyte: alt, value: "3", of: ULN }] } }`,
			"holds[a].relative.above: left out | holds:;  - { id: a, relative: { label: words – many } }",
			`holds[a].relative.above[alt].value: 3 → 2 | holds:;  - { id: a, relative: { label: words – many, above: [{ analyte: alt, value: "2", of: ULN }] } }`,
			`holds[a].relative.above[alt].value: 3 → 4 | holds:;  - { id: a, relative: { label: words – many, above: [{ analyte: alt, value: "4", of: ULN }] } }`,
			`holds[a].relative.above[alt].of: left out | holds:;  - { id: a, relative: { label: words – many, above: [{ analyte: alt, value: "3" }] } }`,
			`holds[a].relative.above[alt].of: ULN → baseline | holds:;  - { id: a, relative: { label: words – many, above: [{ analyte: alt, value: "3", of: baseline }] } }`,
		}},
		{"entries of lists", "treatments: [til, aldesleukin]\nholds:\n  # first\n  - id: a # with a comment\n    title: x\n  - id: b\n", []string{
			"treatments: left out | holds:;  # first;  - id: a # with a comment;    title: x;  - id: b",
			"treatments[til]: left out | treatments: [aldesleukin];holds:;  # first;  - id: a # with a comment;    title: x;  - id: b",
			"treatments[aldesleukin]: left out | treatments: [til];holds:;  # first;  - id: a # with a comment;    title: x;  - id: b",
			"holds: left out | treatments: [til, aldesleukin]",
			"holds[a]: left out | treatments: [til, aldesleukin];holds:;  # first;  - id: b",
			"holds[b]: left out | treatments: [til, aldesleukin];holds:;  # first;  - id: a # with a comment;    title: x",
		}},
		{"words of the file, of one vocabulary", "day0: til\npreconditions:\n  - { id: a, title: free, cite: \"1\", before: til, after: fludarabine, moreThan: PT0M }\n", []string{
			"day0: til → fludarabine | day0: fludarabine;preconditions:;  - { id: a, title: free, cite: \"1\", before: til, after: fludarabine, moreThan: PT0M }",
			"preconditions: left out | day0: til",
			"preconditions[a].before: til → fludarabine | day0: til;preconditions:;  - { id: a, title: free, cite: \"1\", before: fludarabine, after: fludarabine, moreThan: PT0M }",
			"preconditions[a].after: fludarabine → til | day0: til;preconditions:;  - { id: a, title: free, cite: \"1\", before: til, after: til, moreThan: PT0M }",
			"preconditions[a].moreThan: moreThan → atLeast | day0: til;preconditions:;  - { id: a, title: free, cite: \"1\", before: til, after: fludarabine, atLeast: PT0M }",
			"preconditions[a].moreThan: PT0M → PT1M | day0: til;preconditions:;  - { id: a, title: free, cite: \"1\", before: til, after: fludarabine, moreThan: PT1M }",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mutants, err := mutation.Of([]byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, m := range mutants {
				got = append(got, m.Name()+" | "+strings.ReplaceAll(strings.TrimSuffix(string(m.Text), "\n"), "\n", ";"))
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

func load(t *testing.T, dir string) (*scenario.Runner, []*scenario.Scenario, []mutation.Mutant) {
	t.Helper()
	text, err := os.ReadFile(dir + "/protocol.yaml")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(dir + "/scenarios/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios beside the protocol (%v)", err)
	}
	var stories []*scenario.Scenario
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s, err := scenario.Parse(file, data)
		if err != nil {
			t.Fatal(err)
		}
		stories = append(stories, s)
	}
	mutants, err := mutation.Of(text)
	if err != nil {
		t.Fatal(err)
	}
	return &scenario.Runner{
		File: "protocol.yaml", Protocol: text,
		NewDecoder: func(ps []*protocol.Protocol) (*fhir.Decoder, error) { return app.NewDecoder(ps, nil) },
	}, stories, mutants
}

// TestPlacesOfMutants: line and column of every change of the shipped protocol are those of what differs, and nothing but that line, or lines that are left out, differs.
func TestPlacesOfMutants(t *testing.T) {
	r, _, mutants := load(t, shipped)
	if len(mutants) < 500 {
		t.Fatalf("only %d changes: the walk no longer sees the protocol", len(mutants))
	}
	lines := strings.Split(string(r.Protocol), "\n")
	for i := range mutants {
		m := &mutants[i]
		changed := strings.Split(string(m.Text), "\n")
		first := 0
		for first < len(changed) && changed[first] == lines[first] {
			first++
		}
		if first+1 < m.Line || first+1 > m.Line && len(changed) == len(lines) {
			t.Errorf("%s: line %d differs first, not %d", m.Name(), first+1, m.Line)
		}
		if gone := len(lines) - len(changed); !slices.Equal(changed[m.Line:], lines[m.Line+gone:]) && gone == 0 {
			t.Errorf("%s: more than line %d differs", m.Name(), m.Line)
		}
	}
}

// TestChangesAreNoticed tries some changes of the first trial's protocol and all of the second's, which is small; make mutation tries all of both.
func TestChangesAreNoticed(t *testing.T) {
	r, stories, mutants := load(t, shipped)
	noticed(t, r, stories, mutation.Sample(mutants, 40, rand.New(rand.NewPCG(1, 1))), 20)
	r, stories, mutants = load(t, second)
	noticed(t, r, stories, mutants, 80)
}

// noticed holds that no change survives, and that at least so many were noticed.
func noticed(t *testing.T, r *scenario.Runner, stories []*scenario.Scenario, mutants []mutation.Mutant, least int) {
	t.Helper()
	verdicts, err := mutation.Run(r, stories, mutants)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for i := range verdicts {
		switch v := &verdicts[i]; {
		case v.Survives():
			t.Errorf("line %d: %s: no scenario notices", v.Line, v.Name())
		case v.Noticed != "":
			n++
		}
	}
	if n < least {
		t.Errorf("only %d of %d were noticed: the others do not lint, and say too little", n, len(mutants))
	}
}

// TestRun: a change that a story notices, one that no story does, one that nobody could run, and one that says the same.
func TestRun(t *testing.T) {
	r, stories, mutants := load(t, shipped)
	want := map[string]string{
		"regimens[arm-1/il2].missedAfter: PT2H → PT2H1M":                "noticed",
		"regimens[arm-1/il2].every: left out":                           "invalid",
		"preconditions[fludarabine].before: til → fludarabine":          "invalid",
		"medicationWait: left out":                                      "same",
		"febrileNeutropenia.single.comparator: > → >=":                  "noticed",
		"notGiven.refused[http://snomed.info/sct|182895007]: left out":  "noticed",
		"toxicity[neutrophil-count-decreased].expected: left out":       "noticed",
		"preconditions[fludarabine].moreThan: PT24H → P1DT1M":           "noticed",
		"holds[creatinine].absolute.atLeast[creatinine-mass]: left out": "noticed",
	}
	mutants = slices.DeleteFunc(mutants, func(m mutation.Mutant) bool { _, asked := want[m.Name()]; return !asked })
	verdicts, err := mutation.Run(r, stories, mutants)
	if err != nil {
		t.Fatal(err)
	}
	if len(verdicts) != len(want) {
		t.Errorf("%d of %d changes: the protocol has others now", len(verdicts), len(want))
	}
	without, err := mutation.Run(r, nil, mutants)
	if err != nil {
		t.Fatal(err)
	}
	for i := range verdicts {
		got := map[bool]string{true: "survives"}[verdicts[i].Survives()]
		switch v := &verdicts[i]; {
		case v.Invalid != "":
			got = "invalid"
		case v.Same:
			got = "same"
		case v.Noticed != "":
			got = "noticed"
		}
		if w := want[verdicts[i].Name()]; w != "" && got != w {
			t.Errorf("%s: got %s, want %s", verdicts[i].Name(), got, w)
		}
		if got == "noticed" && !without[i].Survives() {
			t.Errorf("%s: noticed by no scenario at all: %+v", verdicts[i].Name(), without[i])
		}
	}
}
