package scenario_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEveryScenario says that no scenario of the specification by example is without a story beside the protocol. Those whose numbers the specification leaves
// out have stories too.
func TestEveryScenario(t *testing.T) {
	dir := os.Getenv("TRIALWATCH_SHARED")
	if dir == "" {
		t.Skip("TRIALWATCH_SHARED is not set: it names the directory with scenarios.md, which is not copied into the project")
	}
	text, err := os.ReadFile(filepath.Join(dir, "scenarios.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`(?m)^\*\*(S\d\d) `).FindAllStringSubmatch(string(text), -1)
	if len(named) < 18 {
		t.Fatalf("%d scenarios are named", len(named))
	}
	want := map[string]bool{"s03": true, "s08": true, "s10": true, "s12": true, "s15": true, "s19": true, "s21": true}
	for _, m := range named {
		want[strings.ToLower(m[1])] = true
	}
	for number := range want {
		files, err := filepath.Glob(filepath.Join(trials, "til-il2", "scenarios", number+"-*.txtar"))
		if err != nil || len(files) == 0 {
			t.Errorf("%s has no story (%v)", number, err)
		}
	}
}
