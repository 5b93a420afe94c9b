// Package archtest keeps the borders between the folders true: who may import whom, and what the core may not call. Each rule has its reason,
// which is what somebody reads who crosses a border.
//
// It reads the source files itself rather than asking the go command, so that the test cache sees every file on which the verdict depends.
package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

const module = "github.com/trialwatch/trialwatch/"

// pure is what the core may take from the standard library: nothing that reads a clock, a file, the network or chance. (time is there for
// its types; the calls are listed in forbiddenCalls.)
var pure = []string{
	"bytes", "cmp", "crypto/sha256", "encoding/hex", "encoding/json", "errors", "fmt", "iter", "maps", "math", "math/bits", "slices", "strconv",
	"strings", "time", "unicode", "unicode/utf8",
}

// allowed lists folders that may import nothing but what stands there. A folder includes its subfolders; of several that fit, the deepest
// holds. Only imports below scope are judged, all of them if scope is "". An entry ending in "/" stands for all packages below it.
var allowed = []struct {
	folder, scope string
	imports       []string
	why           string
}{
	{"rules", "", slices.Concat(pure, []string{module + "rules/"}), "the core is pure: the same facts give the same bytes, today and in a replay"},
	{
		"rules/protocol", "",
		slices.Concat(pure, []string{module + "rules/", "embed", "github.com/goccy/go-yaml/", "github.com/santhosh-tekuri/jsonschema/v6/", "golang.org/x/text/"}),
		"only rules/protocol reads YAML and schemas (x/text words the schema's errors); it takes bytes, not files",
	},
	{
		"rules/aggregate", "", slices.Concat(pure, []string{module + "rules/", "gonum.org/v1/gonum/stat/distuv"}),
		"only rules/aggregate needs a statistics library, and of it the quantiles of distributions",
	},
	{"rules/decimal", "", pure, "decimal stands below everything"},
	{"rules/timeline", "", slices.Concat(pure, []string{module + "rules/decimal"}), "facts know nothing of the rules that read them"},
	{"rules/ctcae", "", slices.Concat(pure, []string{module + "rules/decimal"}), "criteria are data"},
	{"fhir", module, []string{module + "rules/timeline", module + "rules/decimal"}, "fhir turns bytes into facts; it knows no rule, no broker and no command"},
	{"consumers/wire", module, []string{module + "rules/"}, "the published contract depends on nothing that runs"},
	{
		"internal/web", module, []string{module + "consumers/wire", module + "rules", module + "rules/aggregate", module + "rules/alert"},
		"the dashboard shows what is published, as any other subscriber could",
	},
}

// forbidden lists imports that a folder may not have; "" is every folder, except the one named.
var forbidden = []struct{ folder, except, imp, why string }{
	{"", "fhir", "github.com/google/fhir/", "only fhir knows the FHIR model: what leaves it are facts"},
	{"consumers", "", module + "internal/", "consumers are put together by internal/app, never the other way round"},
	{"consumers", "", module + "cmd/", "consumers are put together by commands, never the other way round"},
	{"fhir", "", "github.com/nats-io/", "fhir converts bytes; consumers move them"},
	{"internal/offline", "", "github.com/nats-io/", "offline evaluation needs no broker"},
	{"internal/scenario", "", "github.com/nats-io/", "scenarios need no broker"},
}

// forbiddenCalls lists what code below a folder may not call, by package.
var forbiddenCalls = []struct {
	folder, pkg string
	names       []string
	why         string
}{
	{"rules", "time", []string{"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "Tick", "NewTicker", "NewTimer"}, "now is an argument: a replay must be able to choose it"},
	{"rules", "fmt", []string{"Print", "Printf", "Println", "Scan", "Scanf", "Scanln"}, "the core returns what it has to say"},
}

// Check reads all files of a module that are not tests and returns what breaks a rule, each with the reason, sorted. The error says that the files
// could not be read, or that a rule names a folder that is gone.
func Check(root fs.FS) ([]string, error) {
	for _, folder := range Folders() {
		if _, err := fs.Stat(root, folder); err != nil {
			return nil, fmt.Errorf("a rule names a folder that is gone: %w", err)
		}
	}
	var broken []string
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		src, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, name, src, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		b, err := checkFile(files, path.Dir(name), file)
		broken = append(broken, b...)
		return err
	})
	slices.Sort(broken)
	return broken, err
}

// Folders are those that rules name, sorted.
func Folders() []string {
	var names []string
	for _, r := range allowed {
		names = append(names, r.folder)
	}
	for _, r := range forbidden {
		names = append(names, r.folder, r.except)
	}
	for _, r := range forbiddenCalls {
		names = append(names, r.folder)
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(s string) bool { return s == "" })
}

func checkFile(files *token.FileSet, dir string, file *ast.File) ([]string, error) {
	var broken []string
	add := func(pos token.Pos, format string, args ...any) {
		broken = append(broken, files.Position(pos).String()+": "+fmt.Sprintf(format, args...))
	}
	names := map[string]string{} // of packages in this file
	for _, spec := range file.Imports {
		imp, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		local := path.Base(imp)
		if spec.Name != nil {
			local = spec.Name.Name
		}
		names[local] = imp
		deepest := -1
		for i, r := range allowed {
			if below(dir, r.folder) && (deepest < 0 || len(r.folder) > len(allowed[deepest].folder)) {
				deepest = i
			}
		}
		if deepest >= 0 {
			r := &allowed[deepest]
			if strings.HasPrefix(imp, r.scope) && !slices.ContainsFunc(r.imports, func(ok string) bool { return matches(imp, ok) }) {
				add(spec.Pos(), "%s may not import %s: %s", r.folder, imp, r.why)
			}
		}
		for _, r := range forbidden {
			if below(dir, r.folder) && (r.except == "" || !below(dir, r.except)) && matches(imp, r.imp) {
				add(spec.Pos(), "%s may not import %s: %s", dir, imp, r.why)
			}
		}
	}
	for _, r := range forbiddenCalls {
		if !below(dir, r.folder) {
			continue
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && names[x.Name] == r.pkg && slices.Contains(r.names, s.Sel.Name) {
					add(s.Pos(), "%s may not use %s.%s: %s", r.folder, r.pkg, s.Sel.Name, r.why)
				}
			}
			return true
		})
	}
	if below(dir, "rules") {
		ast.Inspect(file, func(n ast.Node) bool {
			if g, ok := n.(*ast.GoStmt); ok {
				add(g.Pos(), "rules may not start goroutines: their order would be in the answer")
			}
			return true
		})
	}
	return broken, nil
}

// below reports whether a folder is another one or lies in it; everything lies in "".
func below(dir, folder string) bool {
	return folder == "" || dir == folder || strings.HasPrefix(dir, folder+"/")
}

// matches reports whether an import is the one named, or, where the name ends in "/", it or one below it.
func matches(imp, name string) bool {
	stem, all := strings.CutSuffix(name, "/")
	return imp == stem || all && strings.HasPrefix(imp, name)
}
