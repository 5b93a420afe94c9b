package r4json

import (
	"bytes"
	"reflect"
	"sync"

	apb "github.com/google/fhir/go/proto/google/fhir/proto/annotations_go_proto"
	dtpb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/datatypes_go_proto"
	"google.golang.org/protobuf/proto"
)

// namedType is a resource type that a reference can name.
type namedType struct {
	*alternative
	target string
}

// referenceTypes are the resource types that a reference can name, each as a member of the oneof in Reference.
var referenceTypes = sync.OnceValue(func() table[*namedType] {
	m := map[string]*namedType{}
	choices := alternatives(referenceType, 0)
	fields := descriptorOf(referenceType).Fields()
	for i := range fields.Len() {
		if typ, _ := proto.GetExtension(fields.Get(i).Options(), apb.E_ReferencedFhirType).(string); typ != "" {
			m[typ] = &namedType{choices[fields.Get(i).Number()], typ}
		}
	}
	return newTable(m)
})

// referenceTo reads a Reference, and checks that it names what the element may refer to.
func (d *decoding) referenceTo(e *element, m reflect.Value) bool {
	outer := d.target // the assigner of a reference's identifier is a reference too
	d.target = ""
	r := &dtpb.Reference{}
	e.put(m, reflect.ValueOf(r))
	ok := d.object(e.plan, reflect.ValueOf(r).Elem())
	if ok && d.target != "" && e.targets != nil && !e.targets[d.target] {
		ok = d.giveUp(Reference)
	}
	d.target = outer
	return ok
}

// literalReference reads Reference.reference: "#id" is a fragment, "Type/id" and "Type/id/_history/version" are an id by type, anything else a URI.
func (d *decoding) literalReference(m reflect.Value) bool {
	raw, plain, ok := d.quoted()
	switch {
	case !ok:
		return false
	case !plain || len(raw) > maxText:
		return d.giveUp(Reference)
	}
	r := m.Addr().Interface().(*dtpb.Reference)
	if len(raw) > 0 && raw[0] == '#' {
		r.Reference = &dtpb.Reference_Fragment{Fragment: &dtpb.String{Value: string(raw[1:])}}
		return true
	}
	typ, id, history, typed := splitReference(raw)
	if !typed {
		r.Reference = &dtpb.Reference_Uri{Uri: &dtpb.String{Value: string(raw)}}
		return true
	}
	types := referenceTypes()
	a := types.find(typ)
	if a == nil { // jsonformat keeps it as a URI, or refuses it if another version of FHIR has the type
		return d.giveUp(Reference)
	}
	target := &dtpb.ReferenceId{Value: d.copied(id)}
	if history != nil {
		version := string(history)
		if !validID(version) {
			return d.giveUp(Value)
		}
		target.History = &dtpb.Id{Value: version}
	}
	wrapper := reflect.New(a.wrapper)
	wrapper.Elem().Field(0).Set(reflect.ValueOf(target))
	assign(&r.Reference, wrapper.Interface())
	d.target = a.target
	return true
}

// splitReference takes a reference apart where it has two parts, or four of which the third is _history. Where it names no version, history is nil.
func splitReference(ref []byte) (typ, id, history []byte, ok bool) {
	typ, rest, ok := bytes.Cut(ref, []byte("/"))
	if !ok {
		return nil, nil, nil, false
	}
	id, rest, more := bytes.Cut(rest, []byte("/"))
	if !more {
		return typ, id, nil, true
	}
	history, ok = bytes.CutPrefix(rest, []byte("_history/"))
	if !ok || bytes.IndexByte(history, '/') >= 0 {
		return nil, nil, nil, false
	}
	return typ, id, history, true
}
