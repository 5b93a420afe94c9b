package r4json

import (
	"bytes"
	"sync/atomic"

	"github.com/trialwatch/trialwatch/fhir/internal/jsonscan"
)

// table finds what belongs to a name. A lookup in a Go map is a tenth of the whole decoding, most of it hashing.
type table[V any] struct {
	rows []row[V] // a power of two, at least half of it empty
}

type row[V any] struct {
	name  string // "" if the row is empty
	value V
}

func newTable[V any](values map[string]V) table[V] {
	size := 4
	for size < 2*len(values) {
		size *= 2
	}
	t := table[V]{make([]row[V], size)}
	for name, v := range values {
		i := jsonscan.Mix(name) & (size - 1)
		for t.rows[i].name != "" {
			i = (i + 1) & (size - 1)
		}
		t.rows[i] = row[V]{name, v}
	}
	return t
}

// find returns the value of a name; none has the zero value.
func (t *table[V]) find(name []byte) (v V) {
	if len(name) == 0 {
		return v
	}
	for i := jsonscan.Mix(name) & (len(t.rows) - 1); ; i = (i + 1) & (len(t.rows) - 1) {
		row := &t.rows[i]
		if row.name == string(name) {
			return row.value
		}
		if row.name == "" {
			return v
		}
	}
}

// guess is the element that a member of an object was the last time: the first of its message, or the one after another. A feed says the same in
// the same order again and again, so most names are compared with one and not looked for. It is shared by all documents, and right or wrong without harm.
type guess struct {
	last atomic.Pointer[element]
}

// named reads the name of a member and the colon behind it, and returns the element.
func (d *decoding) named(p *plan, g *guess) *element {
	d.peek()
	if last := g.last.Load(); last != nil && bytes.HasPrefix(d.data[d.at:], last.quoted) {
		d.at += len(last.quoted)
		if !d.colon() {
			return nil
		}
		return last
	}
	name := d.name()
	if name == nil {
		return nil
	}
	e := p.elements.find(name)
	if e == nil {
		d.giveUp(UnknownElement)
		return nil
	}
	g.last.Store(e)
	return e
}
