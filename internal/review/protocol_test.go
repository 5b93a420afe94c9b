package review_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trialwatch/trialwatch/deployments/protocols"
	"github.com/trialwatch/trialwatch/internal/golden"
	"github.com/trialwatch/trialwatch/internal/review"
	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/trial"
)

func parse(t *testing.T, name string) *protocol.Protocol {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	p, err := protocol.Parse(name, data)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func shipped(t *testing.T) *protocol.Protocol {
	t.Helper()
	p, err := protocols.TIL()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestProtocolPages compares the pages of two small trials: one with every block, one with none that can be left out.
func TestProtocolPages(t *testing.T) {
	for _, name := range []string{"everything", "least"} {
		p := parse(t, name+".yaml")
		golden.Equal(t, "testdata/"+name+".md", review.ProtocolMarkdown(p))
		golden.Equal(t, "testdata/"+name+".html", review.ProtocolHTML(p))
		if review.ProtocolHTML(p) != review.ProtocolHTML(parse(t, name+".yaml")) {
			t.Error("the same protocol gives another page")
		}
	}
}

// TestEveryKeyIsExplained changes every key of a protocol, one at a time, and wants another page: a key that nobody explains is one that nobody reviews. A new
// key of the struct is found by reflection, so that it fails here until it is said in words.
func TestEveryKeyIsExplained(t *testing.T) {
	p := filled(t)
	before := review.ProtocolMarkdown(p)
	explained := map[string]bool{}
	var order []string
	keys(reflect.ValueOf(p).Elem(), "", func(path string, v reflect.Value) {
		if _, seen := explained[path]; !seen {
			order = append(order, path)
		}
		// One element in which it shows is enough: an interval has no first day.
		if explained[path] {
			return
		}
		was := reflect.New(v.Type()).Elem()
		was.Set(v)
		change(t, path, v)
		explained[path] = review.ProtocolMarkdown(p) != before
		v.Set(was)
	})
	if review.ProtocolMarkdown(p) != before {
		t.Fatal("the test did not put everything back")
	}
	if len(order) < 60 {
		t.Errorf("only %d keys: the walk no longer sees the protocol", len(order))
	}
	for _, path := range order {
		if !explained[path] {
			t.Errorf("%s is not explained: another value gives the same page. Say it in internal/review", path)
		}
	}
}

// filled is the shipped trial with every optional block and list in it.
func filled(t *testing.T) *protocol.Protocol {
	t.Helper()
	p := shipped(t)
	fill(reflect.ValueOf(p).Elem())
	return p
}

func yamlKey(f reflect.StructField) string {
	key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	if key == "-" {
		return ""
	}
	return key
}

func leaf(v reflect.Value) bool {
	switch v.Interface().(type) {
	case decimal.Number, protocol.Duration:
		return true
	}
	return v.Kind() != reflect.Struct && v.Kind() != reflect.Pointer && (v.Kind() != reflect.Slice || v.Type().Elem().Kind() == reflect.String)
}

func fill(v reflect.Value) {
	switch {
	case leaf(v):
	case v.Kind() == reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		fill(v.Elem())
	case v.Kind() == reflect.Slice:
		if v.Len() == 0 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
		for i := range v.Len() {
			fill(v.Index(i))
		}
	default:
		for i := range v.NumField() {
			if yamlKey(v.Type().Field(i)) != "" {
				fill(v.Field(i))
			}
		}
	}
}

// keys visits every key of a protocol that holds a value: "regimens[].every".
func keys(v reflect.Value, path string, visit func(string, reflect.Value)) {
	switch {
	case leaf(v):
		visit(path, v)
	case v.Kind() == reflect.Pointer:
		keys(v.Elem(), path, visit)
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			keys(v.Index(i), path+"[]", visit)
		}
	default:
		for i := range v.NumField() {
			if key := yamlKey(v.Type().Field(i)); key != "" {
				keys(v.Field(i), strings.TrimPrefix(path+"."+key, "."), visit)
			}
		}
	}
}

func change(t *testing.T, path string, v reflect.Value) {
	t.Helper()
	switch v.Interface().(type) {
	case decimal.Number:
		v.Set(reflect.ValueOf(decimal.Must("12345.6")))
		return
	case protocol.Duration:
		v.Set(reflect.ValueOf(protocol.Duration(4321 * time.Minute)))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "-another")
	case reflect.Int:
		v.SetInt(v.Int() + 7)
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Slice:
		v.Set(reflect.Append(v, reflect.ValueOf("urn:another|1").Convert(v.Type().Elem())))
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"dev.dose-missed": "log"}))
	default:
		t.Fatalf("%s: the test cannot change a %s", path, v.Kind())
	}
}

// TestEveryRuleIsExplained: the page has a row for every rule id, and one for no other.
func TestEveryRuleIsExplained(t *testing.T) {
	p := shipped(t)
	page := review.ProtocolMarkdown(p)
	_, table, _ := strings.Cut(page, "## Every rule that runs")
	table, _, _ = strings.Cut(table, "## What holds for every trial")
	rows := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` ").FindAllStringSubmatch(table, -1) {
		rows[m[1]] = true
	}
	want := map[string]bool{"tox.…": true, "data.evaluation-failed": true}
	for _, r := range trial.All {
		for _, id := range r.IDs {
			want[id] = true
		}
	}
	for _, r := range rules.All {
		for _, id := range r.IDs {
			if !strings.HasPrefix(id, "tox.") || id == "tox.febrile-neutropenia" {
				want[id] = true
			}
		}
	}
	if d := cmp.Diff(want, rows); d != "" {
		t.Errorf("rows of the rules (-rules.All +page):\n%s", d)
	}
	// And every term that the trial monitors has its row of limits.
	for _, term := range p.Terms {
		if !strings.Contains(page, "`tox."+term.Criterion.Slug+"`") {
			t.Errorf("no row for %s", term.Criterion.Term)
		}
	}
}

// TestPagesHoldWhatTheyAreGiven: nothing in a protocol becomes markup.
func TestPagesHoldWhatTheyAreGiven(t *testing.T) {
	p := filled(t)
	hostile := "<script>alert(1)</script> | `x` **b** [l](javascript:x)\n# h\x01\x02\x03"
	for nth, total := 0, 1; nth < total; nth++ {
		total = 0
		keys(reflect.ValueOf(p).Elem(), "", func(_ string, v reflect.Value) {
			if v.Kind() == reflect.String {
				v.SetString(hostile)
			}
			total++
		})
	}
	page := review.ProtocolHTML(p)
	if strings.Contains(page, "<script") || strings.ContainsAny(page, "\x01\x02\x03\x04") {
		t.Error("a title became markup")
	}
	text := review.ProtocolMarkdown(p)
	for i, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "# h") || strings.Contains(regexp.MustCompile("`[^`]*`").ReplaceAllString(line, ""), "<script") && !strings.Contains(line, `\<script`) {
			t.Errorf("line %d: %s", i+1, line)
		}
	}
}
