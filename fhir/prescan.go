package fhir

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"strconv"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// document is a JSON object whose members have been checked but not parsed.
type document struct {
	members []member
	compact bool // known to have no blanks between its tokens
}

// member is one top-level member: its name without quotes and the bytes of its value.
type member struct {
	name  string
	value []byte
}

// get returns the bytes of a member, nil if there is none.
func (d *document) get(name string) []byte {
	for i := range d.members {
		if d.members[i].name == name {
			return d.members[i].value
		}
	}
	return nil
}

var decoders = sync.Pool{New: func() any { return new(jsontext.Decoder) }}

// prescan checks a resource in one pass without building anything but the list of its members. It allocates nothing for a value, however
// large, so what is refused here is cheap. What is good is mostly known by a quicker pass; a refusal is always this one's.
func prescan(data []byte, lim Limits) (*document, *problem) {
	if doc := quickscan(data, lim); doc != nil {
		return doc, nil
	}
	return strictscan(data, lim)
}

func strictscan(data []byte, lim Limits) (*document, *problem) {
	if len(data) > lim.ResourceBytes {
		return nil, refuse(ReasonTooLarge, "%d bytes, more than %d", len(data), lim.ResourceBytes)
	}
	dec := decoders.Get().(*jsontext.Decoder)
	defer decoders.Put(dec)
	dec.Reset(bytes.NewBuffer(data))
	if dec.PeekKind() != '{' {
		if _, err := dec.ReadValue(); err != nil {
			return nil, refuse(ReasonNotJSON, "%s", syntax(err))
		}
		return nil, refuse(ReasonNotFHIR, "a resource is a JSON object")
	}
	doc := &document{members: make([]member, 0, 24)}
	lengths := make([]int, 0, 33) // elements so far of every open array, -1 for an object
	for tokens := 1; ; tokens++ {
		if tokens > lim.Tokens {
			return nil, refuse(ReasonTooComplex, "more than %d JSON tokens", lim.Tokens)
		}
		kind := dec.PeekKind()
		if n := len(lengths); n > 0 && lengths[n-1] >= 0 && kind != ']' {
			if lengths[n-1]++; lengths[n-1] > lim.ArrayLen {
				return nil, refuse(ReasonTooComplex, "an array of more than %d elements", lim.ArrayLen)
			}
		}
		top := len(lengths) == 1
		isName := false
		if n := len(lengths); n > 0 && lengths[n-1] < 0 {
			_, length := dec.StackIndex(n)
			isName = length%2 == 0 && kind == '"'
			if isName && length/2 >= int64(lim.ArrayLen) {
				return nil, refuse(ReasonTooComplex, "an object of more than %d members", lim.ArrayLen)
			}
		}
		switch kind {
		case '{', '[':
			before := dec.InputOffset()
			if _, err := dec.ReadToken(); err != nil {
				return nil, syntaxProblem(err)
			}
			if len(lengths) >= lim.Depth {
				return nil, refuse(ReasonTooDeep, "nested more than %d deep", lim.Depth)
			}
			if top {
				doc.members[len(doc.members)-1].value = data[before:] // cut at its end
			}
			if kind == '[' {
				lengths = append(lengths, 0)
			} else {
				lengths = append(lengths, -1)
			}
		case '}', ']':
			if _, err := dec.ReadToken(); err != nil {
				return nil, syntaxProblem(err)
			}
			lengths = lengths[:len(lengths)-1]
			switch len(lengths) {
			case 1:
				m := &doc.members[len(doc.members)-1]
				start := len(data) - len(m.value)
				m.value = trimValue(data[start:dec.InputOffset()])
			case 0:
				if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
					return nil, refuse(ReasonNotJSON, "more than one JSON value")
				}
				return doc, nil
			}
		default:
			value, err := dec.ReadValue()
			if err != nil {
				return nil, syntaxProblem(err)
			}
			if kind == '"' && len(value)-2 > lim.StringBytes {
				return nil, refuse(ReasonTooLarge, "a string of %d bytes, more than %d", len(value)-2, lim.StringBytes)
			}
			if isName {
				name := value[1 : len(value)-1]
				if p := checkName(name); p != nil {
					return nil, p
				}
				if top {
					doc.members = append(doc.members, member{name: intern(name)})
				}
			} else if top {
				end := dec.InputOffset()
				doc.members[len(doc.members)-1].value = data[end-int64(len(value)) : end]
			}
		}
	}
}

// maxMembers is far above the elements of a Bundle or of an entry.
const maxMembers = 64

// shallow lists the members of an object and leaves open what is within them: a name twice is refused here only at this level, and neither
// depth nor text is looked at. It is for Bundles, whose entries are scanned each by itself.
func shallow(data []byte) (*document, *problem) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if dec.PeekKind() != '{' {
		if _, err := dec.ReadValue(); err != nil {
			return nil, syntaxProblem(err)
		}
		return nil, refuse(ReasonNotFHIR, "a resource is a JSON object")
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, syntaxProblem(err)
	}
	doc := &document{}
	for dec.PeekKind() != '}' {
		name, err := dec.ReadValue()
		if err != nil {
			return nil, syntaxProblem(err)
		}
		m := member{name: intern(name[1 : len(name)-1])}
		if p := checkName(name[1 : len(name)-1]); p != nil {
			return nil, p
		}
		if doc.get(m.name) != nil {
			return nil, refuse(ReasonDuplicateKey, "an object has one key twice")
		}
		if len(doc.members) == maxMembers {
			return nil, refuse(ReasonTooComplex, "an object of more than %d members", maxMembers)
		}
		value, err := dec.ReadValue()
		if err != nil {
			return nil, syntaxProblem(err)
		}
		end := dec.InputOffset()
		m.value = data[end-int64(len(value)) : end]
		doc.members = append(doc.members, m)
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, syntaxProblem(err)
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, refuse(ReasonNotJSON, "more than one JSON value")
	}
	return doc, nil
}

// elements are the elements of an array that shallow has passed; none if the value is no array.
func elements(array []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		dec := jsontext.NewDecoder(bytes.NewBuffer(array), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
		if dec.PeekKind() != '[' {
			return
		}
		if _, err := dec.ReadToken(); err != nil {
			return
		}
		for dec.PeekKind() != ']' {
			value, err := dec.ReadValue()
			if err != nil {
				return
			}
			end := dec.InputOffset()
			if !yield(array[end-int64(len(value)) : end]) {
				return
			}
		}
	}
}

// trimValue cuts what stands before a value: the colon and blanks after the name.
func trimValue(v []byte) []byte { return bytes.TrimLeft(v, ": \t\r\n") }

// checkName refuses a name that is an element's in another case: the parser would take "Status" for "status", and so would a reader who
// trusts it, but nobody who follows the standard.
func checkName(name []byte) *problem {
	if bytes.IndexByte(name, '\\') >= 0 {
		return refuse(ReasonBadName, "an element name with an escape")
	}
	if _, exact := r4.elements[string(name)]; exact {
		return nil
	}
	if len(name) <= 64 {
		if right, ok := r4.folded[string(bytes.ToLower(name))]; ok {
			return refuse(ReasonBadName, "an element name in another case than %q", right)
		}
	}
	return nil
}

func intern(name []byte) string {
	if s, ok := r4.elements[string(name)]; ok {
		return s
	}
	return string(name)
}

func syntaxProblem(err error) *problem {
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return refuse(ReasonDuplicateKey, "an object has one key twice")
	}
	return refuse(ReasonNotJSON, "%s", syntax(err))
}

// syntax says where the JSON breaks; the library's words can quote the data.
func syntax(err error) string {
	if se, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return "broken at byte " + strconv.FormatInt(se.ByteOffset, 10)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "ends too early"
	}
	return "broken"
}
