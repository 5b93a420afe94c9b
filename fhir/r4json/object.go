package r4json

import (
	"reflect"
	"strings"
	"time"
)

// decoding is one document on its way into a message. It gives up at the first thing that it does not vouch for; what it has built by then is dropped.
type decoding struct {
	scanner
	zone  *time.Location
	known *interned
	// target is the type that the reference now being read names, "" where it names none.
	target string
	piece  strings.Builder // what short strings are cut from: see copied
}

// beside is a "_value" that was passed and is read after all values: what it does to its primitive depends on the value.
type beside struct {
	e  *element
	at int
}

// object reads a JSON object into a message, and checks what jsonformat checks of one.
func (d *decoding) object(p *plan, m reflect.Value) bool {
	if !d.open('{') {
		return false
	}
	p.fill()
	var seen, seenBeside uint64
	var later []beside
	next := p.first
	for first := true; d.more(first, '}'); first = false {
		e := d.named(p, next)
		if e == nil {
			return false
		}
		next = e.next
		bit := uint64(1) << e.slot
		if e.extension {
			if seenBeside&bit != 0 {
				return d.giveUp(Duplicate)
			}
			seenBeside |= bit
			d.peek()
			later = append(later, beside{e, d.at})
			if !d.skip() {
				return false
			}
			continue
		}
		switch {
		case seen&bit == 0:
		case e.choice != nil:
			return d.giveUp(Choice)
		default:
			return d.giveUp(Duplicate)
		}
		seen |= bit
		if !d.element(e, m) {
			return false
		}
	}
	if d.reason != None {
		return false
	}
	for _, b := range later {
		if !d.beside(b, m, seen&(1<<b.e.slot) != 0) {
			return false
		}
	}
	for _, field := range p.required {
		if m.Field(field).IsNil() {
			return d.giveUp(Required)
		}
	}
	return true
}

// element reads the value of a member.
func (d *decoding) element(e *element, m reflect.Value) bool {
	if e.choice != nil {
		m = e.choice.choose(m)
	}
	if !e.repeated {
		return d.value(e, m)
	}
	if !d.open('[') {
		return false
	}
	for first := true; d.more(first, ']'); first = false {
		if !d.value(e, m) {
			return false
		}
	}
	return d.reason == None
}

// value reads one value of an element, or one of several, and puts it into its field.
func (d *decoding) value(e *element, m reflect.Value) bool {
	switch e.kind {
	case kindMessage:
		x := reflect.New(e.goType)
		e.put(m, x)
		return d.object(e.plan, x.Elem())
	case kindReference:
		return d.referenceTo(e, m)
	case kindLiteralReference:
		return d.literalReference(m)
	case kindContained:
		return d.contained(e, m)
	case kindResource:
		return d.resourceIn(e, m)
	case kindResourceType: // read before
		_, _, ok := d.quoted()
		return ok
	}
	return d.primitive(e, m)
}
