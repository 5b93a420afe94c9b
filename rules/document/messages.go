package document

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/trialwatch/trialwatch/rules/decimal"
)

// MaxErrors is how many errors of one file are told: who has more has another file in hand.
const MaxErrors = 50

// Report writes every error as "file:line:column: message" with its line and a caret below.
func (es Errors) Report() string {
	var b strings.Builder
	for _, e := range es {
		b.WriteString(e.Report())
	}
	return b.String()
}

// Report writes the error with its line and a caret below.
func (e *Error) Report() string {
	text := e.Error() + "\n"
	if e.Excerpt != "" {
		text += "    " + strings.ReplaceAll(e.Excerpt, "\n", "\n    ") + "\n"
	}
	return text
}

// shownColumns is how much of a line an excerpt shows.
const shownColumns = 140

// Excerpt is a line with its number and a caret under a column, which counts characters from 1. Of a long line only what is around the column is
// shown. Tabs stay tabs, so that the caret stands where a terminal shows the character.
func Excerpt(number, column int, line string) string {
	runes := []rune(strings.TrimRight(line, "\r"))
	from, dots := 0, ""
	if column > shownColumns {
		from, dots = column-shownColumns/2, "…"
	}
	to, more := len(runes), ""
	if to > from+shownColumns {
		to, more = from+shownColumns, "…"
	}
	from = min(from, to)
	prefix := strconv.Itoa(number) + " | " + dots
	var caret strings.Builder
	caret.WriteString(strings.Repeat(" ", utf8.RuneCountInString(prefix)))
	for i := from; i < column-1; i++ {
		if i < to && runes[i] == '\t' {
			caret.WriteByte('\t')
		} else {
			caret.WriteByte(' ')
		}
	}
	return prefix + string(runes[from:to]) + more + "\n" + caret.String() + "^"
}

// leaves turns what the schema says into errors for people.
func (f *File) leaves(ve *jsonschema.ValidationError) {
	for _, cause := range ve.Causes {
		f.leaves(cause)
	}
	if len(ve.Causes) > 0 || len(f.errs) > MaxErrors {
		return
	}
	where := ve.InstanceLocation
	report := func(key bool, format string, args ...any) {
		line, column := f.position(where, key)
		f.add(line, column, fmt.Sprintf(format, args...))
	}
	last := "the " + f.kind.Noun
	if len(where) > 0 {
		last = pathText(where)
	}
	switch k := ve.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		known := f.kind.properties(ve.SchemaURL)
		for _, prop := range k.Properties {
			if len(f.errs) > MaxErrors {
				return
			}
			line, column := f.position(append(slices.Clone(where), prop), true)
			f.add(line, column, fmt.Sprintf("unknown key %s%s", quote(prop), DidYouMean(prop, known)))
		}
	case *kind.FalseSchema:
		report(true, "%q %s", where[len(where)-1], f.kind.Misplaced)
	case *kind.Required:
		report(false, "%s lacks %s", last, strings.Join(k.Missing, ", "))
	case *kind.Type:
		f.wrongType(where, last, k)
	case *kind.Enum:
		var want []string
		for _, w := range k.Want {
			want = append(want, fmt.Sprint(w))
		}
		hint := ""
		if got, ok := k.Got.(string); ok {
			hint = DidYouMean(got, want)
		}
		report(false, "%s: %s is none of %s%s", last, quote(fmt.Sprint(k.Got)), strings.Join(want, ", "), hint)
	case *kind.Const:
		report(false, "%s: want %v, got %s", last, k.Want, quote(fmt.Sprint(k.Got)))
	case *kind.Pattern:
		got := quote(k.Got)
		switch def := ve.SchemaURL[strings.LastIndexByte(ve.SchemaURL, '/')+1:]; def {
		case "duration":
			report(false, "%s: %s is no duration: want ISO 8601 such as PT8H, PT30M or P5D (no months, no years)", last, got)
		case "decimal":
			report(false, "%s: %s is no decimal number such as \"38.3\"", last, got)
		case "url":
			report(false, "%s: %s is no URL such as https://ehr.example.org/fhir", last, got)
		case "id":
			report(false, "%s: %s is no id: want small letters, digits and hyphens, such as arm-1", last, got)
		default:
			if strings.Contains(k.Want, "[|]") {
				report(false, "%s: %s is no code: want \"system|code\"", last, got)
				return
			}
			report(false, "%s: %s does not match %s", last, got, k.Want)
		}
	case *kind.MinLength:
		report(false, "%s: at least %d characters", last, k.Want)
	case *kind.MinItems:
		report(false, "%s: at least %d of them", last, k.Want)
	default:
		report(false, "%s: %s", last, ve.ErrorKind.LocalizedString(message.NewPrinter(language.English)))
	}
}

// wrongType says what is wanted in the words of YAML, and what to do about a number that wants quotes.
func (f *File) wrongType(where []string, last string, k *kind.Type) {
	words := map[string]string{
		"string": "text", "array": "a list", "object": "keys with values", "integer": "a whole number", "number": "a number", "boolean": "true or false", "null": "nothing",
	}
	word := func(t string) string {
		if w, ok := words[t]; ok {
			return w
		}
		return t
	}
	var want []string
	for _, t := range k.Want {
		want = append(want, word(t))
	}
	line, column := f.position(where, false)
	text := fmt.Sprintf("%s: want %s, got %s", last, strings.Join(want, " or "), word(k.Got))
	if len(want) == 1 && want[0] == "text" && (k.Got == "number" || k.Got == "integer") {
		text = fmt.Sprintf("%s: want text, got a number: put it in quotes", last)
	}
	f.add(line, column, text)
}

// pathText writes a path as people read it: regimens[0].every.
func pathText(path []string) string {
	var b strings.Builder
	for _, p := range path {
		switch _, err := strconv.Atoi(p); {
		case err == nil:
			b.WriteString("[" + p + "]")
		case b.Len() > 0:
			b.WriteString("." + p)
		default:
			b.WriteString(p)
		}
	}
	return b.String()
}

// quote quotes a text from the file, a long one shortened.
func quote(s string) string {
	if r := []rune(s); len(r) > 60 {
		s = string(r[:60]) + "…"
	}
	return strconv.Quote(s)
}

// properties are the keys that a schema knows, for suggestions.
func (k *Kind) properties(schemaURL string) []string {
	var node any
	if json.Unmarshal(k.Schema, &node) != nil {
		return nil
	}
	_, pointer, _ := strings.Cut(schemaURL, "#")
	for step := range strings.SplitSeq(strings.Trim(pointer, "/"), "/") {
		switch n := node.(type) {
		case map[string]any:
			if step != "" {
				node = n[step]
			}
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(n) {
				return nil
			}
			node = n[i]
		}
	}
	object, _ := node.(map[string]any)
	known, _ := object["properties"].(map[string]any)
	return slices.Sorted(maps.Keys(known))
}

// one takes the only document of a file.
func (f *File) one(tree *ast.File) error {
	var docs []*ast.DocumentNode
	for _, d := range tree.Docs {
		if d.Body != nil && d.Body.Type() != ast.CommentType {
			docs = append(docs, d)
		}
	}
	switch len(docs) {
	case 0:
		return f.fail(1, 1, "the file holds no "+f.kind.Noun)
	case 1:
		f.root = docs[0].Body
		return nil
	}
	second := docs[1]
	line, column := 1, 1
	if second.Start != nil {
		line, column = second.Start.Position.Line, second.Start.Position.Column
	}
	return f.fail(line, column, fmt.Sprintf("want one YAML document, got %d", len(docs)))
}

// numbers finds decimals with more digits than can be compared exactly, which a schema cannot count. The YAML library says that there is one, not where.
func (f *File) numbers() {
	for _, n := range ast.Filter(ast.StringType, f.root) {
		text := n.GetToken().Value
		if _, err := decimal.Parse(text); errors.Is(err, decimal.ErrRange) {
			pos := n.GetToken().Position
			f.add(pos.Line, pos.Column, quote(text)+": "+err.Error())
		}
	}
}

// DidYouMean suggests the nearest of some names as the end of a message, "" where none is near.
func DidYouMean(name string, names []string) string {
	if len(name) > 80 {
		return ""
	}
	best, least := "", len(name)/3+1
	for _, n := range names {
		if d := distance(strings.ToLower(name), strings.ToLower(n)); d < least {
			best, least = n, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(": did you mean %q?", best)
}

// distance is the number of insertions, deletions, replacements and swaps of neighbours between two names.
func distance(a, b string) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j-1]+cost, row[j]+1, next[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
