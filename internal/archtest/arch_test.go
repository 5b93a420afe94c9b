package archtest_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/trialwatch/trialwatch/"

// pure is what the standard library offers to code without a world around it. regexp and encoding/json are pure; os, net, log and sync are not.
var pure = []string{
	"bytes", "cmp", "container/heap", "crypto/sha256", "embed", "encoding/binary", "encoding/hex", "encoding/json", "errors", "fmt", "hash/fnv", "io", "iter", "maps", "math",
	"math/big", "math/bits", "path", "reflect", "slices", "sort", "strconv", "strings", "time", "unicode", "unicode/utf8",
}

// folders lists what each folder may import besides the standard library (which is free unless core is set), and why no more. A folder that is not
// listed is not judged; every folder that is must exist.
var folders = []struct {
	path string
	core bool // only the pure part of the standard library, and no clock
	may  []string
	why  string
}{
	{"rules/decimal", true, nil, "numbers know nothing else"},
	{"rules/timeline", true, []string{module + "rules/decimal"}, "facts are what everything else is about"},
	{"rules/unit", true, []string{module + "rules/decimal", module + "rules/timeline"}, "a unit is a fact about an analyte, whoever reads it"},
	{
		"rules/ctcae", true,
		[]string{module + "rules/decimal", "github.com/goccy/go-yaml", "sync"},
		"criteria are data that a clinician can review without the engine; they are embedded, and read once",
	},
	{
		"rules/document", true,
		[]string{module + "rules/decimal", "github.com/goccy/go-yaml", "github.com/santhosh-tekuri/jsonschema/v6", "golang.org/x/text"},
		"what is wrong with a file is told by its place, whatever the file is about",
	},
	{
		"rules/protocol", true,
		[]string{module + "rules/decimal", module + "rules/document", module + "rules/unit", module + "rules/ctcae", module + "rules/timeline"},
		"a protocol is data: it names criteria and concepts",
	},
	{
		"rules", true,
		[]string{module + "rules/decimal", module + "rules/timeline", module + "rules/unit", module + "rules/ctcae", module + "rules/protocol"},
		"the same facts must give the same bytes: no I/O, no clock, no logger, no broker, no FHIR",
	},
	{"rules/alert", true, []string{module + "rules"}, "what to tell is a function of what was told and what is found"},
	{"rules/site", true, []string{module + "rules"}, "who is who is a function of the facts"},
	{"rules/trial", true, []string{module + "rules"}, "what is true of a trial is a function of what stands of its patients and feeds"},
	{"rules/stat", true, []string{"gonum.org/v1/gonum/mathext"}, "statistics know numbers, not patients"},
	{"rules/aggregate", true, []string{module + "rules"}, "a panel is a function of the patients' contributions"},
	{
		"fhir", false,
		[]string{module + "rules/timeline", module + "rules/decimal", module + "rules/unit", module + "rules/ctcae", module + "fhir/r4json", module + "fhir/internal/jsonscan", "github.com/google/fhir/go", "github.com/go-json-experiment/json", "github.com/goccy/go-yaml", "google.golang.org/protobuf"},
		"fhir turns bytes into facts; it neither judges nor moves them",
	},
	{
		"fhir/r4json", false,
		[]string{module + "fhir/internal/jsonscan", "github.com/google/fhir/go", "google.golang.org/protobuf"},
		"decoding is of use to others: it knows nothing of trials, and no other JSON library",
	},
	{
		"fhir/sitefile", false,
		[]string{module + "fhir", module + "rules/document", module + "rules/protocol", module + "rules/unit"},
		"a site file says how a site speaks FHIR, and is read as a protocol is",
	},
	{"fhir/internal/jsonscan", true, []string{"unicode/utf16"}, "finding the end of a token needs nothing"},
	{"consumers/wire", false, []string{module + "rules", "github.com/nats-io/nats.go"}, "the contract depends on what is published, not on how it is made"},
	{
		"consumers", false,
		[]string{
			module + "consumers/wire", module + "fhir", module + "rules", "github.com/nats-io/nats.go", "github.com/synadia-io/orbit.go", "github.com/rs/zerolog",
			"github.com/prometheus/client_golang", "github.com/go-json-experiment/json",
		},
		"the stages do not know who starts them, nor the page",
	},
	{"internal/web", false, []string{module + "consumers/wire", module + "rules", "github.com/rs/zerolog", "github.com/go-json-experiment/json"}, "the page shows published messages: no FHIR, no broker"},
	{"internal/feed", false, nil, "reading lines knows no FHIR"},
	{"internal/sim", false, []string{"github.com/goccy/go-yaml"}, "a feed made by the code that reads it would never surprise it"},
}

// imports reads the source itself rather than asking the go command: the test cache sees every file that the verdict depends on.
func imports(t *testing.T, root fs.FS, folder string, visit func(file string, f *ast.File)) {
	t.Helper()
	entries, err := fs.ReadDir(root, folder)
	if err != nil {
		t.Errorf("a rule names a folder that is gone: %v", err)
		return
	}
	for _, e := range entries {
		if e.IsDir() || path.Ext(e.Name()) != ".go" || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		name := path.Join(folder, e.Name())
		src, err := fs.ReadFile(root, name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, src, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		visit(name, f)
	}
}

func within(imp string, allowed []string) bool {
	return slices.ContainsFunc(allowed, func(a string) bool { return imp == a || strings.HasPrefix(imp, a+"/") })
}

func TestImports(t *testing.T) {
	root := os.DirFS("../..")
	for _, folder := range folders {
		imports(t, root, folder.path, func(file string, f *ast.File) {
			for _, spec := range f.Imports {
				imp, err := strconv.Unquote(spec.Path.Value)
				if err != nil {
					t.Fatal(err)
				}
				first, _, _ := strings.Cut(imp, "/")
				switch {
				case strings.Contains(first, "."):
					if !within(imp, folder.may) {
						t.Errorf("%s imports %s: %s", file, imp, folder.why)
					}
				case folder.core && !slices.Contains(pure, imp) && !slices.Contains(folder.may, imp):
					t.Errorf("%s imports %s, which is not pure: %s", file, imp, folder.why)
				}
			}
		})
	}
}

// Time is an argument: below the consumers nobody asks a clock.
func TestCoreReadsNoClock(t *testing.T) {
	root := os.DirFS("../..")
	clock := []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}
	for _, folder := range folders {
		if !folder.core && folder.path != "fhir" && folder.path != "fhir/r4json" {
			continue
		}
		imports(t, root, folder.path, func(file string, f *ast.File) {
			ast.Inspect(f, func(n ast.Node) bool {
				if sel, ok := n.(*ast.SelectorExpr); ok {
					if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "time" && slices.Contains(clock, sel.Sel.Name) {
						t.Errorf("%s calls time.%s: now is an argument", file, sel.Sel.Name)
					}
				}
				return true
			})
		})
	}
}

// Only one package knows FHIR's model, so that its traps are handled in one place.
func TestOnlyFHIRKnowsTheModel(t *testing.T) {
	root := os.DirFS("../..")
	var seen []string
	err := fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if strings.HasPrefix(d.Name(), ".") && p != "." {
			return fs.SkipDir
		}
		imports(t, root, p, func(file string, f *ast.File) {
			for _, spec := range f.Imports {
				if strings.HasPrefix(spec.Path.Value, `"github.com/google/fhir/`) {
					seen = append(seen, p)
					if p != "fhir" && p != "fhir/r4json" { // the second decodes the model, and knows nothing of what it means
						t.Errorf("%s imports %s: only package fhir knows FHIR", file, spec.Path.Value)
					}
				}
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) == 0 {
		t.Error("nobody imports google/fhir: the test looks in the wrong place")
	}
}

// A trial is data: no code but the vocabulary of drugs knows one of a trial, and none knows the trial, its arms or its regimens.
func TestNoCodeKnowsATrial(t *testing.T) {
	root := os.DirFS("../..")
	// The drugs and procedures of the shipped trials, as the vocabulary has them. Infusions of cells are known beyond any trial, since feeds chart them in two ways: only those
	// who read them may say so.
	drugs := map[string][]string{
		"Aldesleukin": {"rules/protocol/parse.go"}, "Cyclophosphamide": {"rules/protocol/parse.go"}, "Fludarabine": {"rules/protocol/parse.go"}, "Pembrolizumab": {"rules/protocol/parse.go"},
		"TIL": {"rules/protocol/parse.go", "fhir/medication.go", "rules/site/medication.go"},
	}
	names := regexp.MustCompile(`til-il2|osi-daily|\barm-[12]\b|\bdl-[12]\b|aldesleukin|cyclophosphamide|fludarabine|pembrolizumab|osimertinib|rifampicin|\bil-?2\b`)
	seen := 0
	for _, folder := range []string{
		"rules", "rules/aggregate", "rules/alert", "rules/ctcae", "rules/decimal", "rules/document", "rules/protocol", "rules/site", "rules/unit", "fhir", "fhir/sitefile", "consumers", "consumers/wire",
		"internal/app", "internal/offline", "internal/review", "internal/web",
	} {
		imports(t, root, folder, func(file string, f *ast.File) {
			seen++
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.SelectorExpr:
					if pkg, ok := n.X.(*ast.Ident); ok && pkg.Name == "timeline" && drugs[n.Sel.Name] != nil && !slices.Contains(drugs[n.Sel.Name], file) {
						t.Errorf("%s names timeline.%s: drugs are the protocol's", file, n.Sel.Name)
					}
				case *ast.BasicLit:
					// An example in a message helps, and decides nothing.
					if n.Kind == token.STRING && names.MatchString(strings.ToLower(n.Value)) && !strings.Contains(n.Value, "such as arm-1") {
						t.Errorf("%s says %s: that is the protocol's", file, n.Value)
					}
				}
				return true
			})
		})
	}
	if seen < 60 {
		t.Errorf("only %d files were looked at", seen)
	}
}
