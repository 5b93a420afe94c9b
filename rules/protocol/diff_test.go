package protocol_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trialwatch/trialwatch/rules/protocol"
)

func small(t *testing.T, replace ...string) *protocol.Protocol {
	t.Helper()
	data, err := os.ReadFile("testdata/nothing-is-wrong.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(text, replace[i]) {
			t.Fatalf("%q is not in the file: the row tests nothing", replace[i])
		}
		text = strings.Replace(text, replace[i], replace[i+1], 1)
	}
	p, err := protocol.Parse("p.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDiff(t *testing.T) {
	type changes = []protocol.Change
	for _, tt := range []struct {
		name    string
		replace []string
		want    changes
	}{
		{"the same", nil, nil},
		{"a comment and layout", []string{"study: small", "# a word\nstudy:   small"}, nil},
		{"the same duration", []string{"course: P5D", "course: PT120H"}, nil},
		{"the same number", []string{`value: "1.0", unit: 10*9/L`, `value: "1.00", unit: 10*9/L`}, nil},
		{"the order of names", []string{"treatments: [til, aldesleukin]", "treatments: [aldesleukin, til]"}, nil},
		{"a window", []string{"tolerance: PT1H", "tolerance: PT90M"}, changes{{"regimens[arm-a/il2].tolerance", protocol.Changed, "PT1H", "PT1H30M"}}},
		{"a threshold", []string{`value: "38.3"`, `value: "38.4"`}, changes{{"febrileNeutropenia.single.value", protocol.Changed, "38.3", "38.4"}}},
		{"a limit of one unit family", []string{`value: "265"`, `value: "260"`}, changes{{"holds[creatinine].absolute.atLeast[creatinine-molar].value", protocol.Changed, "265", "260"}}},
		{"a term more", []string{"toxicity:\n", "toxicity:\n  - { term: anemia }\n"}, changes{{"toxicity[anemia]", protocol.Added, "", "{ term: anemia }"}}},
		{"a term less", []string{"  - { term: fever, episodeGap: PT24H }\n", ""}, changes{{"toxicity[fever]", protocol.Removed, "{ term: fever, episodeGap: P1D }", ""}}},
		{"a block less", []string{"afterOffStudy: P30D\n", ""}, changes{{"afterOffStudy", protocol.Removed, "P30D", ""}}},
		{"an expectation less", []string{", expected: { from: til, toDay: 21 }", ""}, changes{{"toxicity[neutrophil-count-decreased].expected", protocol.Removed, "{ from: til, toDay: 21 }", ""}}},
		{"who may see the arms", []string{"toxicity:\n", "blinding: { unblinded: [board], cite: x }\ntoxicity:\n"}, changes{{"blinding", protocol.Added, "", "{ unblinded: [board], cite: x }"}}},
		{"an alias", []string{"aliases: [A, HD]", "aliases: [HD, A1]"}, changes{{"arms[arm-a].aliases", protocol.Removed, "A", ""}, {"arms[arm-a].aliases", protocol.Added, "", "A1"}}},
		{"an urgency", []string{"afterOffStudy", "urgency: { tox.fever: urgent }\nafterOffStudy"}, changes{{"urgency[tox.fever]", protocol.Added, "", "urgent"}}},
		{
			"the order of terms",
			[]string{"  - { term: fever, episodeGap: PT24H }\n", "", "normal:\n", "  - { term: fever, episodeGap: PT24H }\nnormal:\n"},
			changes{{"toxicity", protocol.Reordered, "neutrophil-count-decreased, fever, hypotension", "neutrophil-count-decreased, hypotension, fever"}},
		},
		{"a first day of 0", []string{"firstDay: 1", "firstDay: 0"}, changes{{"regimens[arm-b/il2].firstDay", protocol.Changed, "1", "0"}}},
		{"the version of the CTCAE", []string{`"5.0"`, `"6.0"`}, changes{{"ctcae", protocol.Changed, "5.0", "6.0"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, protocol.Diff(small(t), small(t, tt.replace...))); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

// TestDiffOfTheShipped compares every key that the shipped trial has.
func TestDiffOfTheShipped(t *testing.T) {
	text, err := os.ReadFile("../../deployments/protocols/til-il2/protocol.yaml")
	if err != nil {
		t.Fatal(err)
	}
	read := func(text string) *protocol.Protocol {
		p, err := protocol.Parse("p.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	months := "months: [6, 12, 60]"
	if !strings.Contains(string(text), months) {
		t.Fatalf("%q is not in the file: the test changes nothing", months)
	}
	for _, tt := range []struct {
		text string
		want []protocol.Change
	}{
		{string(text), nil},
		{strings.Replace(string(text), "days: [-7, -6]", "days: [-8, -7]", 1), []protocol.Change{{"regimens[all/cyclophosphamide].days", protocol.Removed, "-6", ""}, {"regimens[all/cyclophosphamide].days", protocol.Added, "", "-8"}}},
		{strings.Replace(string(text), months, "months: [6, 18, 60]", 1), []protocol.Change{{"survival.months", protocol.Removed, "12", ""}, {"survival.months", protocol.Added, "", "18"}}},
	} {
		if d := cmp.Diff(tt.want, protocol.Diff(read(string(text)), read(tt.text))); d != "" {
			t.Errorf("(-want +got)\n%s", d)
		}
	}
}

// TestDiffCriteria re-pins the CTCAE of a protocol.
func TestDiffCriteria(t *testing.T) {
	more := []string{"toxicity:\n", "toxicity:\n  - { term: platelet-count-decreased }\n  - { term: cpk-increased }\n"}
	old, repinned := small(t, more...), small(t, append(more, `"5.0"`, `"6.0"`)...)
	type limits = []protocol.LimitChange
	want := []protocol.TermChange{
		{Term: "Platelet count decreased", NewTerm: "Thrombocytopenia", Limits: limits{
			{Analyte: "platelets", Grade: 4, Old: "< 25", New: "< 10"},
		}},
		{Term: "CPK increased"},
		{Term: "Neutrophil count decreased", NewTerm: "Neutrophil count decreased", Limits: limits{
			{Analyte: "neutrophils", Grade: 1, Old: "< LLN", New: "< 1.5"},
			{Analyte: "neutrophils", Grade: 2, Old: "< 1.5", New: "< 1.0"},
			{Analyte: "neutrophils", Grade: 3, Old: "< 1.0", New: "< 0.5"},
			{Analyte: "neutrophils", Grade: 4, Old: "< 0.5", New: "< 0.1"},
		}},
	}
	if d := cmp.Diff(want, protocol.DiffCriteria(old, repinned)); d != "" {
		t.Errorf("5.0 to 6.0 (-want +got)\n%s", d)
	}
	if got := protocol.DiffCriteria(old, old); got != nil {
		t.Errorf("the same version: %v", got)
	}
	back := protocol.DiffCriteria(repinned, old)
	if last := back[len(back)-1]; last.Term != "" || last.NewTerm != "CPK increased" {
		t.Errorf("6.0 to 5.0 ends with %+v, want the term that only 5.0 has", last)
	}
}
