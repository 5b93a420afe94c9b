package fhir

import (
	"bytes"
	"slices"
	"sync"

	"github.com/trialwatch/trialwatch/fhir/internal/jsonscan"
)

const (
	quickDepth   = 64 // of recursion
	quickMembers = 40 // of one object, whose names are compared one with another
)

// quickscan does what strictscan does, several times cheaper, for a resource in which nothing is to be refused. It returns nil where it is not sure.
func quickscan(data []byte, lim Limits) *document {
	if len(data) > lim.ResourceBytes {
		return nil
	}
	q := quicks.Get().(*quick)
	defer q.done()
	q.data, q.lim, q.doc = data, lim, &document{members: make([]member, 0, 24)}
	if q.next() != '{' || !q.value(0) || q.next() != 0 || q.at < len(data) || q.tokens > lim.Tokens {
		return nil
	}
	q.doc.compact = !q.blanks
	return q.doc
}

var quicks = sync.Pool{New: func() any { return &quick{names: make([]string, 0, 64), usual: new([256]string)} }}

// done lets go of the document and keeps the room for names.
func (q *quick) done() {
	clear(q.names[:cap(q.names)])
	*q = quick{names: q.names[:0], usual: q.usual}
	quicks.Put(q)
}

// quick is a place in the bytes. Its methods read one thing each and are false where they are not sure.
type quick struct {
	data   []byte
	at     int
	lim    Limits
	tokens int
	blanks bool     // there was one between two tokens
	names  []string // of the objects that are open
	doc    *document
	// usual are names of elements that came before: looking one up here costs a tenth of what it does among all of them.
	usual *[256]string
}

// next is the byte at which the next token begins, 0 at the end.
func (q *quick) next() byte {
	at := jsonscan.Space(q.data, q.at)
	if at != q.at {
		q.at, q.blanks = at, true
	}
	if at == len(q.data) {
		return 0
	}
	return q.data[q.at]
}

// value reads the value that begins at once.
func (q *quick) value(depth int) bool {
	q.tokens++
	switch c := q.next(); c {
	case '{', '[':
		if depth >= q.lim.Depth || depth >= quickDepth {
			return false
		}
		q.tokens++ // the closing one
		q.at++
		if c == '{' {
			return q.object(depth + 1)
		}
		return q.array(depth + 1)
	case '"':
		_, ok := q.text()
		return ok
	case 't':
		return q.word("true")
	case 'f':
		return q.word("false")
	case 'n':
		return q.word("null")
	}
	end, _, ok := jsonscan.Number(q.data, q.at)
	q.at = end
	return ok
}

func (q *quick) word(w string) bool {
	ok := jsonscan.Word(q.data, q.at, w)
	q.at += len(w)
	return ok
}

// text reads a string and returns what stands between its quotes.
func (q *quick) text() ([]byte, bool) {
	end, escapes, fault := jsonscan.String(q.data, q.at)
	if fault != jsonscan.None || end-q.at-2 > q.lim.StringBytes {
		return nil, false
	}
	s := q.data[q.at+1 : end-1]
	q.at = end
	return s, !escapes || validEscapes(s)
}

func validEscapes(s []byte) bool {
	for i := bytes.IndexByte(s, '\\'); i >= 0; {
		_, end, ok := jsonscan.Escaped(s, i+1)
		if !ok {
			return false
		}
		next := bytes.IndexByte(s[end:], '\\')
		if next < 0 {
			return true
		}
		i = end + next
	}
	return true
}

// array reads what follows a bracket.
func (q *quick) array(depth int) bool {
	if q.next() == ']' {
		q.at++
		return true
	}
	for n := 1; n <= q.lim.ArrayLen; n++ {
		if !q.value(depth) {
			return false
		}
		switch q.next() {
		case ']':
			q.at++
			return true
		case ',':
			q.at++
		default:
			return false
		}
	}
	return false
}

// object reads what follows a brace.
func (q *quick) object(depth int) bool {
	first := len(q.names)
	if q.next() == '}' {
		q.at++
		return true
	}
	for n := 1; n <= min(quickMembers, q.lim.ArrayLen); n++ {
		if !q.member(depth, first) {
			return false
		}
		switch q.next() {
		case '}':
			q.at++
			q.names = q.names[:first]
			return true
		case ',':
			q.at++
		default:
			return false
		}
	}
	return false
}

// member reads a name and its value; first is where the names of its object begin.
func (q *quick) member(depth, first int) bool {
	q.tokens++
	if q.next() != '"' {
		return false
	}
	text, ok := q.text()
	if !ok || q.next() != ':' {
		return false
	}
	name, ok := q.name(text)
	if !ok {
		return false
	}
	if slices.Contains(q.names[first:], name) {
		return false
	}
	q.names = append(q.names, name)
	q.at++
	q.next()
	start := q.at
	if !q.value(depth) {
		return false
	}
	if depth == 1 {
		q.doc.members = append(q.doc.members, member{name, q.data[start:q.at]})
	}
	return true
}

// name returns the name of a member, if there is nothing to be said against it.
func (q *quick) name(text []byte) (string, bool) {
	if len(text) == 0 {
		return "", true
	}
	usual := &q.usual[uint8(jsonscan.Mix(text))]
	if *usual == string(text) {
		return *usual, true
	}
	if s, ok := r4.elements[string(text)]; ok {
		*usual = s
		return s, true
	}
	return string(text), checkName(text) == nil
}
