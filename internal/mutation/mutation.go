// Package mutation changes a protocol one parameter at a time, so that its author sees which parameters no scenario pins.
//
// The file is read as a tree and changed as text, in one place: everything else stays as it is, comments and layout included. Numbers go one unit of their last
// digit up and down, durations a minute, dates a day; a comparison with its bound becomes the one without, and back; a word becomes every other word that its schema allows, or the
// next ones that the file uses in such a place; entries of lists and optional keys are left out. Titles, labels, citations, ids and words for texts are free text and stay.
package mutation

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/trialwatch/trialwatch/rules/document"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// Mutant is a protocol with one change.
type Mutant struct {
	Path         string // "regimens[arm-1/il2].every"
	Line, Column int    // from 1, of what is changed
	Change       string // "PT8H → PT8H1M", "left out"
	Excerpt      string // the line as it is, with a caret
	Text         []byte // the file with the change
}

// Name is what a mutant is called where it is listed: its path and change.
func (m *Mutant) Name() string { return m.Path + ": " + m.Change }

// freeText are the keys whose values are words for people, or names, and no parameters.
var freeText = map[string]bool{"study": true, "title": true, "version": true, "source": true, "cite": true, "label": true, "id": true, "texts": true}

// concepts are the keys of one vocabulary: what is given.
var concepts = map[string]bool{"drug": true, "drugs": true, "before": true, "after": true, "day0": true, "from": true, "treatments": true, "weight": true}

// sameButTheBound are comparisons of one direction, one with its bound and one without.
var sameButTheBound = map[string]string{"atLeast": "above", "above": "atLeast", "atMost": "below", "below": "atMost", "moreThan": "atLeast"}

// Of returns the mutants of a protocol file that has no error, in the order of the file. Some of them do not lint.
func Of(text []byte) ([]Mutant, error) {
	tree, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, fmt.Errorf("mutation: %w", err)
	}
	if len(tree.Docs) != 1 {
		return nil, fmt.Errorf("mutation: want one document, not %d", len(tree.Docs))
	}
	m := &mutator{text: text, lines: strings.SplitAfter(string(text), "\n"), words: map[string][]string{}}
	at := 0
	for _, line := range m.lines {
		m.starts = append(m.starts, at)
		at += len(line)
	}
	if err := json.Unmarshal(protocol.Schema, &m.schema); err != nil {
		return nil, fmt.Errorf("mutation: the schema: %w", err)
	}
	m.collect("", tree.Docs[0].Body)
	m.walk(tree.Docs[0].Body, "", "", m.schema)
	return m.mutants, m.err
}

type mutator struct {
	text    []byte
	lines   []string
	starts  []int // of each line, in bytes
	schema  map[string]any
	words   map[string][]string // used in the file, by vocabulary
	mutants []Mutant
	err     error
}

// vocabulary is the set of words to which the value of a key belongs.
func vocabulary(key string) string {
	if concepts[key] {
		return "concept"
	}
	return key
}

// collect notes the words that the file uses, by vocabulary.
func (m *mutator) collect(key string, n ast.Node) {
	switch n := n.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			m.collect(v.Key.GetToken().Value, v.Value)
		}
	case *ast.SequenceNode:
		for _, v := range n.Values {
			m.collect(key, v)
		}
	case *ast.StringNode:
		if v := vocabulary(key); !dateText.MatchString(n.Value) && !slices.Contains(m.words[v], n.Value) {
			m.words[v] = append(m.words[v], n.Value)
		}
	}
}

// otherWords is how many other words of the file a word becomes: the nearest are the likeliest slips.
const otherWords = 3

// walk makes the mutants of a node. key is that under which it stands, schema what it must match.
func (m *mutator) walk(n ast.Node, path, key string, schema map[string]any) {
	schema = m.resolve(schema)
	switch n := n.(type) {
	case *ast.MappingNode:
		required, _ := schema["required"].([]any)
		for i, v := range n.Values {
			k := v.Key.GetToken().Value
			if freeText[k] {
				continue
			}
			at := strings.TrimPrefix(path+"."+k, ".")
			if other := sameButTheBound[k]; other != "" {
				m.replace(at, v.Key.GetToken(), k+" → "+other, other)
			}
			if !slices.Contains(required, any(k)) {
				m.leaveOutKey(at, n, i)
			}
			m.walk(v.Value, at, k, m.property(schema, k))
		}
	case *ast.SequenceNode:
		items, _ := schema["items"].(map[string]any)
		for i, v := range n.Values {
			at := path + "[" + label(n, i) + "]"
			m.leaveOutEntry(at, n, i)
			if _, plain := v.(ast.ScalarNode); !plain {
				m.walk(v, at, key, items)
			}
		}
	default:
		m.scalar(n, path, key, schema)
	}
}

// resolve follows references within the schema.
func (m *mutator) resolve(schema map[string]any) map[string]any {
	for {
		ref, ok := schema["$ref"].(string)
		if !ok {
			return schema
		}
		var at any = m.schema
		for step := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
			at = at.(map[string]any)[step]
		}
		schema = at.(map[string]any)
	}
}

func (m *mutator) property(schema map[string]any, key string) map[string]any {
	if ps, ok := schema["properties"].(map[string]any); ok {
		if p, ok := ps[key].(map[string]any); ok {
			return p
		}
	}
	p, _ := schema["additionalProperties"].(map[string]any)
	return p
}

// label is how people call an entry of a list: by its arm and id, its term, its concept, or itself; by its place where that names several.
func label(n *ast.SequenceNode, i int) string {
	name := func(n ast.Node) string {
		switch n := n.(type) {
		case *ast.StringNode:
			return n.Value
		case *ast.MappingNode:
			words := map[string]string{}
			for _, v := range n.Values {
				if s, ok := v.Value.(*ast.StringNode); ok {
					words[v.Key.GetToken().Value] = s.Value
				}
			}
			switch {
			case words["id"] != "" && words["arm"] != "":
				return words["arm"] + "/" + words["id"]
			case words["id"] != "":
				return words["id"]
			case words["term"] != "":
				return words["term"]
			case words["concept"] != "":
				return words["concept"]
			}
			return words["analyte"]
		}
		return ""
	}
	mine := name(n.Values[i])
	for j, v := range n.Values {
		if mine == "" || j != i && name(v) == mine {
			return strconv.Itoa(i)
		}
	}
	return mine
}

var (
	decimalText  = regexp.MustCompile(`^-?[0-9]+([.][0-9]+)?$`)
	dateText     = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)
	durationText = regexp.MustCompile(`^P(?:([0-9]+)D)?(?:T(?:([0-9]+)H)?(?:([0-9]+)M)?)?$`)
)

// scalar changes one value.
func (m *mutator) scalar(n ast.Node, path, key string, schema map[string]any) {
	tk := n.GetToken()
	to := func(value string) { m.replace(path, tk, tk.Value+" → "+value, value) }
	enum, _ := schema["enum"].([]any)
	switch {
	case len(enum) > 0:
		for _, other := range enum {
			if fmt.Sprint(other) != tk.Value {
				to(fmt.Sprint(other))
			}
		}
	case tk.Type == token.BoolType:
		to(map[string]string{"true": "false", "false": "true"}[tk.Value])
	case durationText.MatchString(tk.Value):
		for _, step := range []time.Duration{-time.Minute, time.Minute} {
			if d := duration(tk.Value) + step; d >= 0 {
				to(protocol.Duration(d).String())
			}
		}
	case dateText.MatchString(tk.Value):
		if day, err := time.Parse(time.DateOnly, tk.Value); err == nil {
			for _, step := range []int{-1, 1} {
				to(day.AddDate(0, 0, step).Format(time.DateOnly))
			}
		}
	case decimalText.MatchString(tk.Value):
		for _, step := range []int64{-1, 1} {
			to(stepped(tk.Value, step))
		}
	case key == "timezone":
		to(map[bool]string{true: "Etc/UTC", false: "America/New_York"}[tk.Value != "Etc/UTC"])
	default:
		words := m.words[vocabulary(key)]
		at := slices.Index(words, tk.Value)
		for i := 1; i <= otherWords && i < len(words); i++ {
			to(words[(at+i)%len(words)])
		}
	}
}

func duration(text string) time.Duration {
	var total time.Duration
	for i, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute} {
		n, _ := strconv.Atoi(durationText.FindStringSubmatch(text)[i+1])
		total += time.Duration(n) * unit
	}
	return total
}

// stepped is a decimal one unit of its last digit further: "38.3" and 1 give "38.4".
func stepped(text string, step int64) string {
	whole, fraction, _ := strings.Cut(text, ".")
	n, err := strconv.ParseInt(whole+fraction, 10, 64)
	if err != nil {
		return text
	}
	n += step
	sign := ""
	if n < 0 {
		sign, n = "-", -n
	}
	digits := fmt.Sprintf("%0*d", len(fraction)+1, n)
	if fraction == "" {
		return sign + digits
	}
	return sign + digits[:len(digits)-len(fraction)] + "." + digits[len(digits)-len(fraction):]
}

// offset is where a token begins in the text.
func (m *mutator) offset(tk *token.Token) int {
	at := m.starts[tk.Position.Line-1]
	for range tk.Position.Column - 1 {
		_, size := utf8.DecodeRune(m.text[at:])
		at += size
	}
	return at
}

// scalarEnd is where the text of a scalar ends.
func (m *mutator) scalarEnd(tk *token.Token) int {
	at := m.offset(tk)
	switch tk.Type {
	case token.DoubleQuoteType, token.SingleQuoteType:
		quote := m.text[at]
		for i := at + 1; i < len(m.text); i++ {
			switch {
			case m.text[i] == '\\' && quote == '"':
				i++
			case m.text[i] == quote:
				return i + 1
			}
		}
	}
	return at + len(tk.Value)
}

// span is the text of a node, from its first byte to after its last.
func (m *mutator) span(n ast.Node) (from, to int) {
	switch n := n.(type) {
	case *ast.MappingNode:
		last := n.Values[len(n.Values)-1]
		if n.IsFlowStyle {
			return m.offset(n.Start), m.offset(n.End) + 1
		}
		_, to = m.span(last.Value)
		return m.offset(n.Values[0].Key.GetToken()), to
	case *ast.SequenceNode:
		if n.IsFlowStyle {
			return m.offset(n.Start), m.offset(n.End) + 1
		}
		from, _ = m.span(n.Values[0])
		_, to = m.span(n.Values[len(n.Values)-1])
		return from, to
	}
	return m.offset(n.GetToken()), m.scalarEnd(n.GetToken())
}

func (m *mutator) add(path string, place *token.Position, change string, text []byte) {
	line := strings.TrimRight(m.lines[place.Line-1], "\r\n")
	m.mutants = append(m.mutants, Mutant{path, place.Line, place.Column, change, document.Excerpt(place.Line, place.Column, line), text})
}

// splice is the text with another value of a scalar; nil where the tree and the text do not agree about it.
func (m *mutator) splice(tk *token.Token, value string) []byte {
	from, to := m.offset(tk), m.scalarEnd(tk)
	if quote := m.text[from]; tk.Type == token.DoubleQuoteType || tk.Type == token.SingleQuoteType {
		from, to = from+1, to-1
		if strings.ContainsRune(value, rune(quote)) {
			return nil
		}
	} else if strings.ContainsAny(value, `[]{},:#"'`) {
		value = strconv.Quote(value)
	}
	if string(m.text[from:to]) != tk.Value {
		m.err = fmt.Errorf("mutation: line %d, column %d: expected %q, found %q", tk.Position.Line, tk.Position.Column, tk.Value, m.text[from:to])
		return nil
	}
	return slices.Concat(m.text[:from], []byte(value), m.text[to:])
}

func (m *mutator) replace(path string, tk *token.Token, change, value string) {
	if text := m.splice(tk, value); text != nil {
		m.add(path, tk.Position, change, text)
	}
}

// leaveOut cuts part i of n out: parts in one line with a comma, others with their lines.
func (m *mutator) leaveOut(path string, i, n int, flow bool, part func(int) (from, to int), place *token.Position) {
	if n == 1 {
		return // an empty list is another question: to leave the key out asks it
	}
	from, to := part(i)
	switch {
	case flow && i < n-1, !flow && i < n-1 && strings.TrimSpace(string(m.text[m.starts[place.Line-1]:from])) == "-":
		to, _ = part(i + 1) // also the first key of an entry: the next takes its place after the dash
	case flow:
		_, from = part(i - 1)
	default:
		from = m.starts[place.Line-1]
		for to < len(m.text) && m.text[to-1] != '\n' {
			to++ // a comment after it goes with it
		}
	}
	m.add(path, place, "left out", slices.Concat(m.text[:from], m.text[to:]))
}

func (m *mutator) leaveOutKey(path string, n *ast.MappingNode, i int) {
	m.leaveOut(path, i, len(n.Values), n.IsFlowStyle, func(i int) (from, to int) {
		_, to = m.span(n.Values[i].Value)
		return m.offset(n.Values[i].Key.GetToken()), to
	}, n.Values[i].Key.GetToken().Position)
}

func (m *mutator) leaveOutEntry(path string, n *ast.SequenceNode, i int) {
	if !n.IsFlowStyle && len(n.Values) > 1 {
		from, to := m.span(n.Values[i])
		line := strings.Count(string(m.text[:from]), "\n")
		from = m.starts[line]
		for to < len(m.text) && m.text[to-1] != '\n' {
			to++
		}
		place := &token.Position{Line: line + 1, Column: strings.IndexByte(m.lines[line], '-') + 1}
		m.add(path, place, "left out", slices.Concat(m.text[:from], m.text[to:]))
		return
	}
	place := n.Values[i].GetToken().Position
	if v, ok := n.Values[i].(*ast.MappingNode); ok && v.IsFlowStyle {
		place = v.Start.Position
	}
	m.leaveOut(path, i, len(n.Values), true, func(i int) (int, int) { return m.span(n.Values[i]) }, place)
}
