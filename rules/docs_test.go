package rules_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trialwatch/trialwatch/rules"
	ofTrials "github.com/trialwatch/trialwatch/rules/trial"
)

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
