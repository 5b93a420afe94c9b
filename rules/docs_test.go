package rules_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trialwatch/trialwatch/rules"
	ofTrials "github.com/trialwatch/trialwatch/rules/trial"
)

var update = flag.Bool("update", false, "write golden files anew; review the difference")

// ownSection are the terms that docs/rules.md explains beyond the table of docs/ctcae.md.
var ownSection = []string{"tox.neutrophil-count-decreased", "tox.fever", "tox.febrile-neutropenia"}

// TestEveryRuleIsDocumented: docs/rules.md has a heading for every rule id that exists, and for no other.
func TestEveryRuleIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	existing := []string{"data.evaluation-failed"} // of rules.EvaluationFailed
	for _, m := range regexp.MustCompile("(?m)^### `(.+)`$").FindAllSubmatch(page, -1) {
		documented = append(documented, string(m[1]))
	}
	for _, r := range ofTrials.All {
		existing = append(existing, r.IDs...)
	}
	for _, r := range rules.All {
		for _, id := range r.IDs {
			// The terms are tabulated in docs/ctcae.md, which another test holds to the criteria.
			if !strings.HasPrefix(id, "tox.") || slices.Contains(ownSection, id) {
				existing = append(existing, id)
			}
		}
	}
	slices.Sort(documented)
	slices.Sort(existing)
	if d := cmp.Diff(slices.Compact(existing), documented); d != "" {
		t.Errorf("headings of docs/rules.md (-rules that exist +headings):\n%s", d)
	}
	// Every file that an example names is there.
	for _, m := range regexp.MustCompile(`\b(?:s[0-9]{2}|ae)-[a-z0-9-]+`).FindAll(page, -1) {
		if _, err := os.Stat("../deployments/protocols/til-il2/scenarios/" + string(m) + ".txtar"); err != nil {
			t.Errorf("docs/rules.md names a story that is not there: %v", err)
		}
	}
}

// unseen are the rules that no story of one feed can show: they come of faults, or of several feeds. Their tests stand beside their code.
var unseen = []string{"data.evaluation-failed", "data.gap"}

// TestIndexOfRules: the table at the end of docs/rules.md is what the stories say of each rule: how urgent and important it comes out, and where. With -update it is
// written anew.
func TestIndexOfRules(t *testing.T) {
	const file = "../docs/rules.md"
	stories, err := filepath.Glob("../deployments/protocols/til-il2/scenarios/*.txtar")
	if err != nil || len(stories) == 0 {
		t.Fatalf("no stories (%v)", err)
	}
	type seen struct{ urgency, importance, stories []string }
	index := map[string]*seen{}
	told := regexp.MustCompile(`(?m)^[0-9-]+ [0-9:.]+ (?:opened|updated|resolved|retracted) \S+ ((?:tox|dev|data|log|trial)\.[a-z0-9-]+)(.*)$`)
	add := func(list *[]string, words ...string) {
		for _, w := range words {
			if !slices.Contains(*list, w) {
				*list = append(*list, w)
			}
		}
		slices.Sort(*list)
	}
	for _, story := range stories {
		data, err := os.ReadFile(story)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range told.FindAllStringSubmatch(string(data), -1) {
			s := index[m[1]]
			if s == nil {
				s = &seen{}
				index[m[1]] = s
			}
			add(&s.stories, strings.TrimSuffix(filepath.Base(story), ".txtar"))
			add(&s.urgency, regexp.MustCompile(`\b(?:urgent|prompt|routine|log)\b`).FindAllString(m[2], -1)...)
			add(&s.importance, regexp.MustCompile(`\b(?:important|minor|query)\b`).FindAllString(m[2], -1)...)
		}
	}
	for _, r := range rules.All {
		for _, id := range r.IDs {
			if index[id] == nil && !strings.HasPrefix(id, "tox.") && !slices.Contains(unseen, id) {
				t.Errorf("%s: no story shows it", id)
			}
		}
	}
	var b strings.Builder
	b.WriteString("| rule | urgency | importance | stories |\n|---|---|---|---|\n")
	for _, id := range slices.Sorted(maps.Keys(index)) {
		s := index[id]
		names := s.stories
		more := ""
		if len(names) > 3 {
			more = fmt.Sprintf(" and %d more", len(names)-3)
			names = names[:3]
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | *%s*%s |\n", id, strings.Join(s.urgency, ", "), strings.Join(s.importance, ", "), strings.Join(names, "*, *"), more)
	}
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const mark = "<!-- index of rules -->\n"
	head, _, ok := strings.Cut(string(page), mark)
	if !ok {
		t.Fatalf("docs/rules.md has no %s", mark)
	}
	if want := head + mark + b.String(); want != string(page) {
		if *update {
			if err := os.WriteFile(file, []byte(want), 0o600); err != nil {
				t.Fatal(err)
			}
			return
		}
		t.Errorf("the index of docs/rules.md (-is +the stories say); go test ./rules -run IndexOfRules -update:\n%s", cmp.Diff(string(page), want))
	}
}
