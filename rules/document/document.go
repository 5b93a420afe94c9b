// Package document reads strict YAML files and says everything that is wrong with one at once, each with line, column and a caret.
//
// A file is read in three steps: its syntax, its shape by a JSON Schema, and what the schema cannot say, which the caller checks and reports with
// [File.At].
package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Error is one thing wrong with a file.
type Error struct {
	File         string
	Line, Column int    // from 1; 0 where the error belongs to no place
	Message      string // without the place
	Excerpt      string // the line with a caret under the column, "" where there is none
}

// Error writes "file:line:column: message".
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Message
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

// Errors are all things wrong with a file, in the order of their places.
type Errors []*Error

// Error writes one error a line.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Kind is a kind of file.
type Kind struct {
	Noun     string // in messages: "protocol", "site file"
	Schema   []byte // JSON Schema
	MaxBytes int    // of the largest file that is read
	// Misplaced is said of a key that the schema allows elsewhere: "does not belong to this schedule".
	Misplaced string
}

// File is a file that is being read. It collects what is wrong. Use [Kind.Read].
type File struct {
	Name string
	Doc  any // the document as plain data

	kind  *Kind
	data  []byte
	lines []string
	root  ast.Node
	errs  Errors
}

// Read reads the syntax and checks the shape. The error is an [Errors] and means that there is no document to look into; otherwise what is wrong with its shape
// is in the file: see [File.Err].
func (k *Kind) Read(name string, data []byte) (*File, error) {
	f := &File{Name: name, kind: k}
	if len(data) > k.MaxBytes {
		return nil, f.fail(0, 0, fmt.Sprintf("the file is larger than %d KiB", k.MaxBytes>>10))
	}
	f.data = bytes.TrimPrefix(data, []byte("\ufeff"))
	f.lines = strings.Split(string(f.data), "\n")
	if line, column, why := tooMuch(f.data); why != "" {
		return nil, f.fail(line, column, why)
	}
	tree, err := parser.ParseBytes(f.data, 0)
	if err != nil {
		return nil, f.syntax(err)
	}
	if err := f.one(tree); err != nil {
		return nil, err
	}
	// Anchors and aliases would let a small file grow without bound, and a reviewer read one thing and the program another.
	for _, unwanted := range []ast.NodeType{ast.AnchorType, ast.AliasType, ast.MergeKeyType} {
		if bad := ast.Filter(unwanted, f.root); len(bad) > 0 {
			tk := bad[0].GetToken()
			return nil, f.fail(tk.Position.Line, tk.Position.Column, "anchors and aliases are not allowed in a "+k.Noun+": write it out")
		}
	}
	if err := yaml.Unmarshal(f.data, &f.Doc); err != nil {
		return nil, f.syntax(err)
	}
	f.validate()
	return f, nil
}

// Decode reads the document into v, which has a place for every key that the schema allows.
func (f *File) Decode(v any) error {
	if err := yaml.UnmarshalWithOptions(f.data, v, yaml.Strict()); err != nil {
		if f.numbers(); len(f.errs) > 0 {
			return f.sorted()
		}
		return f.syntax(err)
	}
	return nil
}

// Err returns everything that is wrong so far as [Errors], in the order of the places, or nil.
func (f *File) Err() error {
	if len(f.errs) == 0 {
		return nil
	}
	return f.sorted()
}

// Note makes a remark about a path of keys and indices that is no error of the file.
func (f *File) Note(path []string, format string, args ...any) *Error {
	line, column := f.position(path, false)
	return f.error(line, column, fmt.Sprintf(format, args...))
}

func (f *File) add(line, column int, msg string) {
	f.errs = append(f.errs, f.error(line, column, msg))
}

// error is a message with its place and, where there is one, the line with a caret.
func (f *File) error(line, column int, msg string) *Error {
	e := &Error{File: f.Name, Line: line, Column: column, Message: msg}
	if line >= 1 && line <= len(f.lines) && column >= 1 {
		e.Excerpt = Excerpt(line, column, f.lines[line-1])
	}
	return e
}

func (f *File) fail(line, column int, msg string) error { f.add(line, column, msg); return f.errs }

func (f *File) sorted() Errors {
	slices.SortStableFunc(f.errs, func(a, b *Error) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	if len(f.errs) > MaxErrors {
		f.errs = append(f.errs[:MaxErrors:MaxErrors], &Error{File: f.Name, Message: "and more"})
	}
	return f.errs
}

// syntax turns an error of the YAML library into ours.
func (f *File) syntax(err error) error {
	var ye yaml.Error
	if errors.As(err, &ye) && ye.GetToken() != nil {
		pos := ye.GetToken().Position
		return f.fail(pos.Line, pos.Column, ye.GetMessage())
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	return f.fail(0, 0, first)
}

// At reports an error at a path of keys and indices: of its value, or of the nearest thing around it that is there.
func (f *File) At(path []string, format string, args ...any) {
	line, column := f.position(path, false)
	f.add(line, column, fmt.Sprintf(format, args...))
}

// position finds a path in the document: the value, or its key.
func (f *File) position(path []string, key bool) (line, column int) {
	node := f.root
	best := start(node, node.GetToken().Position)
	for i, step := range path {
		last := i == len(path)-1
		switch n := node.(type) {
		case *ast.MappingNode:
			found := false
			for _, v := range n.Values {
				if v.Key.GetToken().Value == step {
					best, node, found = v.Key.GetToken().Position, v.Value, true
					if !last || !key {
						best = start(v.Value, best)
					}
					break
				}
			}
			if !found {
				return best.Line, best.Column
			}
		case *ast.SequenceNode:
			j, err := strconv.Atoi(step)
			if err != nil || j >= len(n.Values) {
				return best.Line, best.Column
			}
			node = n.Values[j]
			best = start(node, best)
		default:
			return best.Line, best.Column
		}
	}
	return best.Line, best.Column
}

// start is where a value begins: a mapping at its first key, for its own token is a colon.
func start(n ast.Node, fallback *token.Position) *token.Position {
	switch v := n.(type) {
	case *ast.MappingNode:
		if len(v.Values) > 0 {
			return v.Values[0].Key.GetToken().Position
		}
	case nil:
		return fallback
	}
	if tk := n.GetToken(); tk != nil {
		return tk.Position
	}
	return fallback
}

// validate checks the document against the schema, all errors at once.
func (f *File) validate() {
	schema, err := f.kind.compiled()
	if err != nil {
		f.add(0, 0, "internal: "+err.Error())
		return
	}
	// The validator wants JSON's types.
	raw, err := json.Marshal(f.Doc)
	if err != nil {
		f.add(0, 0, "the document is not plain data: "+err.Error())
		return
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		f.add(0, 0, err.Error())
		return
	}
	var ve *jsonschema.ValidationError
	if err := schema.Validate(value); errors.As(err, &ve) {
		f.leaves(ve)
	} else if err != nil {
		f.add(0, 0, err.Error())
	}
}

func (k *Kind) compiled() (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(k.Schema))
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("file.json", doc); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	return c.Compile("file.json")
}
