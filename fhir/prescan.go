package fhir

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// document is a JSON object whose members have been checked but not parsed.
type document struct {
	members []member
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
// large, so what is refused here is cheap.
func prescan(data []byte, lim Limits) (*document, *problem) {
	if len(data) > lim.ResourceBytes {
		return nil, refuse(ReasonTooLarge, "%d bytes, more than %d", len(data), lim.ResourceBytes)
	}
	return scan(data, lim, len(data))
}

// scan is prescan without the limit on the size: a Bundle may be larger than one of its entries.
func scan(data []byte, lim Limits, maxString int) (*document, *problem) {
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
			if kind == '"' && len(value)-2 > min(lim.StringBytes, maxString) {
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
	var se *jsontext.SyntacticError
	if errors.As(err, &se) {
		return "broken at byte " + strconv.FormatInt(se.ByteOffset, 10)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "ends too early"
	}
	return "broken"
}
