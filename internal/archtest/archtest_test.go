package archtest_test

import (
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/trialwatch/trialwatch/internal/archtest"
)

func TestBorders(t *testing.T) {
	broken, err := archtest.Check(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range broken {
		t.Error(b)
	}
}

// TestBordersHold crosses every border once: a rule that cannot fail protects nothing.
func TestBordersHold(t *testing.T) {
	const module = "github.com/trialwatch/trialwatch/"
	for _, tt := range []struct{ name, file, source, want string }{
		{"nothing wrong", "rules/a.go", `import "strings"`, ""},
		{"the core and its own", "rules/site/a.go", `import "` + module + `rules/alert"`, ""},
		{"the core and the broker", "rules/a.go", `import "github.com/nats-io/nats.go"`, "rules may not import github.com/nats-io/nats.go: the core is pure"},
		{"the core and FHIR", "rules/site/a.go", `import "` + module + `fhir"`, "the core is pure"},
		{"the core and files", "rules/protocol/a.go", `import "os"`, "it takes bytes, not files"},
		{"the core and the network", "rules/alert/a.go", `import "net/http"`, "the core is pure"},
		{"the core and a logger", "rules/a.go", `import "github.com/rs/zerolog"`, "the core is pure"},
		{"the core and chance", "rules/a.go", `import "math/rand/v2"`, "the core is pure"},
		{"YAML in the wrong place", "rules/a.go", `import "github.com/goccy/go-yaml"`, "the core is pure"},
		{"YAML in its place", "rules/protocol/a.go", `import "github.com/goccy/go-yaml/ast"`, ""},
		{"statistics in the wrong place", "rules/a.go", `import "gonum.org/v1/gonum/stat/distuv"`, "the core is pure"},
		{"statistics in their place", "rules/aggregate/a.go", `import "gonum.org/v1/gonum/stat/distuv"`, ""},
		{"facts and rules", "rules/timeline/a.go", `import "` + module + `rules"`, "facts know nothing of the rules"},
		{"the core and the clock", "rules/a.go", "import \"time\"\nvar x = time.Now()", "rules may not use time.Now: now is an argument"},
		{"the clock as a value", "rules/a.go", "import \"time\"\nvar clock = time.Now", "rules may not use time.Now"},
		{"the clock under another name", "rules/a.go", "import t \"time\"\nvar x = t.Since(t.Time{})", "rules may not use time.Since"},
		{"a duration is no clock", "rules/a.go", "import \"time\"\nvar x = time.Hour", ""},
		{"the core prints", "rules/a.go", "import \"fmt\"\nfunc f() { fmt.Println() }", "the core returns what it has to say"},
		{"the core formats", "rules/a.go", "import \"fmt\"\nvar x = fmt.Sprint()", ""},
		{"the core and goroutines", "rules/a.go", "func f() { go f() }", "may not start goroutines"},
		{"a test may read the clock", "rules/a_test.go", "import \"time\"\nvar x = time.Now()", ""},
		{"FHIR outside fhir", "consumers/a.go", `import "github.com/google/fhir/go/jsonformat"`, "only fhir knows the FHIR model"},
		{"FHIR in a command", "cmd/trialwatch/a.go", `import "github.com/google/fhir/go/jsonformat"`, "only fhir knows the FHIR model"},
		{"FHIR in fhir", "fhir/a.go", `import "github.com/google/fhir/go/jsonformat"`, ""},
		{"fhir and the rules", "fhir/a.go", `import "` + module + `rules"`, "it knows no rule"},
		{"consumers and internal", "consumers/a.go", `import "` + module + `internal/app"`, "never the other way round"},
		{"the contract and what runs", "consumers/wire/a.go", `import "` + module + `consumers"`, "depends on nothing that runs"},
		{"the dashboard and timelines", "internal/web/a.go", `import "` + module + `rules/timeline"`, "the dashboard shows what is published"},
		{"the dashboard and the stages", "internal/web/a.go", `import "` + module + `consumers"`, "the dashboard shows what is published"},
		{"the dashboard and the contract", "internal/web/a.go", `import "` + module + `consumers/wire"`, ""},
		{"the dashboard and other modules", "internal/web/a.go", `import "github.com/rs/zerolog"`, ""},
		{"a like-named folder", "rulesets/a.go", `import "os"`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := fstest.MapFS{tt.file: {Data: []byte("package a\n" + tt.source + "\n")}}
			for _, folder := range archtest.Folders() {
				if root[folder] == nil {
					root[folder] = &fstest.MapFile{Mode: fs.ModeDir}
				}
			}
			broken, err := archtest.Check(root)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(broken, "\n")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want it to say %q", got, tt.want)
			}
		})
	}
}

func TestARuleForAFolderThatIsGone(t *testing.T) {
	if _, err := archtest.Check(fstest.MapFS{"main.go": {Data: []byte("package main")}}); err == nil {
		t.Error("no error")
	}
}
