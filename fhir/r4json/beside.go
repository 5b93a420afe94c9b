package r4json

import (
	"reflect"

	dtpb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/datatypes_go_proto"
)

// beside reads the "_value" of a primitive: its id and extensions. A primitive that has only those is marked by an extension of google/fhir's own, since
// its proto cannot tell an absent value from an empty one. valued says that "value" stands in the object too.
func (d *decoding) beside(b beside, m reflect.Value, valued bool) bool {
	after, depth := d.at, d.depth
	d.at, d.depth = b.at, depth+1 // as deep as it stands in the object
	ok := d.besideElement(b.e, m, valued)
	d.at, d.depth = after, depth
	return ok
}

func (d *decoding) besideElement(e *element, m reflect.Value, valued bool) bool {
	if e.choice != nil {
		wrapper, made, same := e.choice.chosen(m)
		switch {
		case !made:
			wrapper = e.choice.choose(m)
		case !same:
			return d.giveUp(Choice)
		}
		m = wrapper
	}
	f := m.Field(e.field)
	if !e.repeated {
		if f.IsNil() {
			f.Set(reflect.New(e.goType))
		}
		return d.besideValue(e, f.Elem())
	}
	if valued && f.Len() == 0 { // [] beside a list: jsonformat takes it or not, as the order of a map will have it
		return d.giveUp(Extension)
	}
	return d.besideAll(e, f)
}

// besideAll reads the array that runs along the values. FHIR lets either be null where only the other has something to say; jsonformat does not read
// those, so they are given up.
func (d *decoding) besideAll(e *element, values reflect.Value) bool {
	length := values.Len()
	if !d.open('[') {
		return false
	}
	n := 0
	for first := true; d.more(first, ']'); first = false {
		if length == 0 { // there are no values
			push(values, reflect.New(e.goType))
		}
		if n >= values.Len() {
			return d.giveUp(Extension)
		}
		if !d.besideValue(e, values.Index(n).Elem()) {
			return false
		}
		n++
	}
	if d.reason == None && n != values.Len() {
		return d.giveUp(Extension)
	}
	return d.reason == None
}

// besideValue reads one object into the primitive that it belongs to.
func (d *decoding) besideValue(e *element, x reflect.Value) bool {
	extensions := x.FieldByName("Extension")
	if !extensions.IsValid() { // Xhtml has none
		return d.giveUp(Extension)
	}
	if !d.object(e.plan, x) {
		return false
	}
	if hasValue(x) {
		return true
	}
	if e.kind.patterned() {
		return d.giveUp(Value)
	}
	list := extensions.Addr().Interface().(*[]*dtpb.Extension)
	*list = append(*list, noValue())
	return true
}

// hasValue reports whether a primitive has a value that its proto can tell from none.
func hasValue(x reflect.Value) bool {
	if precision := x.FieldByName("Precision"); precision.IsValid() {
		return !precision.IsZero()
	}
	value := x.FieldByName("Value")
	if value.Kind() == reflect.Slice {
		return value.Len() > 0
	}
	return !value.IsZero()
}

// noValue is the mark of a primitive without a value.
func noValue() *dtpb.Extension {
	return &dtpb.Extension{
		Url:   &dtpb.Uri{Value: internal + "StructureDefinition/primitiveHasNoValue"},
		Value: &dtpb.Extension_ValueX{Choice: &dtpb.Extension_ValueX_Boolean{Boolean: &dtpb.Boolean{Value: true}}},
	}
}
