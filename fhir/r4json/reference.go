package r4json

import (
	"reflect"
	"strings"
	"sync"

	apb "github.com/google/fhir/go/proto/google/fhir/proto/annotations_go_proto"
	dtpb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/datatypes_go_proto"
	"google.golang.org/protobuf/proto"
)

// referenceTypes are the resource types that a reference can name, each as a member of the oneof in Reference.
var referenceTypes = sync.OnceValue(func() map[string]*alternative {
	m := map[string]*alternative{}
	choices := alternatives(referenceType, 0)
	fields := descriptorOf(referenceType).Fields()
	for i := range fields.Len() {
		if typ, _ := proto.GetExtension(fields.Get(i).Options(), apb.E_ReferencedFhirType).(string); typ != "" {
			m[typ] = choices[fields.Get(i).Number()]
		}
	}
	return m
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
	s, ok := d.text()
	if !ok {
		return false
	}
	r := m.Addr().Interface().(*dtpb.Reference)
	if strings.HasPrefix(s, "#") {
		r.Reference = &dtpb.Reference_Fragment{Fragment: &dtpb.String{Value: s[1:]}}
		return true
	}
	typ, id, history, typed := splitReference(s)
	if !typed {
		r.Reference = &dtpb.Reference_Uri{Uri: &dtpb.String{Value: s}}
		return true
	}
	a := referenceTypes()[typ]
	if a == nil { // jsonformat keeps it as a URI, or refuses it if another version of FHIR has the type
		return d.giveUp(Reference)
	}
	target := &dtpb.ReferenceId{Value: strings.Clone(id)}
	if history != nil {
		if !validID(*history) {
			return d.giveUp(Value)
		}
		target.History = &dtpb.Id{Value: strings.Clone(*history)}
	}
	wrapper := reflect.New(a.wrapper)
	wrapper.Elem().Field(0).Set(reflect.ValueOf(target))
	m.Field(a.oneof).Set(wrapper)
	d.target = typ
	return true
}

// splitReference takes a reference apart where it has two parts, or four of which the third is _history.
func splitReference(s string) (typ, id string, history *string, ok bool) {
	typ, rest, ok := strings.Cut(s, "/")
	if !ok {
		return "", "", nil, false
	}
	id, rest, more := strings.Cut(rest, "/")
	if !more {
		return typ, id, nil, true
	}
	version, ok := strings.CutPrefix(rest, "_history/")
	if !ok || strings.Contains(version, "/") {
		return "", "", nil, false
	}
	return typ, id, &version, true
}
