package r4json

import (
	"reflect"
	"sync"

	rpb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/resources/bundle_and_contained_resource_go_proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// resourceType is a resource of R4, as a member of the oneof in ContainedResource.
type resourceType struct {
	*alternative
	plan *plan
}

// resourceTypes are the resources of R4 by type.
var resourceTypes = sync.OnceValue(func() table[*resourceType] {
	m := map[string]*resourceType{}
	holder := reflect.TypeFor[rpb.ContainedResource]()
	choices := alternatives(holder, 0)
	fields := descriptorOf(holder).Fields()
	for i := range fields.Len() {
		a := choices[fields.Get(i).Number()]
		m[string(fields.Get(i).Message().Name())] = &resourceType{a, planOf(a.wrapper.Field(0).Type.Elem())}
	}
	return newTable(m)
})

// document reads a whole document: one resource, and nothing after it.
func (d *decoding) document() *rpb.ContainedResource {
	r := &rpb.ContainedResource{}
	if !d.resource(r) {
		return nil
	}
	if d.peek(); d.at < len(d.data) {
		d.giveUp(Syntax)
	}
	return r
}

// resource reads a resource of whatever type it says that it is.
func (d *decoding) resource(r *rpb.ContainedResource) bool {
	typ, ok := d.typeAhead()
	if !ok {
		return false
	}
	types := resourceTypes()
	a := types.find(typ)
	if a == nil {
		return d.giveUp(ResourceType)
	}
	wrapper := reflect.New(a.wrapper)
	assign(&r.OneofResource, wrapper.Interface())
	x := reflect.New(a.plan.goType)
	wrapper.Elem().Field(0).Set(x)
	return d.object(a.plan, x.Elem())
}

// typeAhead finds the resourceType of the object that comes next, and stays before it. It mostly stands first; where it does not, what comes before it
// is passed twice.
func (d *decoding) typeAhead() (typ []byte, ok bool) {
	d.peek()
	at, depth := d.at, d.depth
	if !d.open('{') {
		return nil, false
	}
	for name := d.member(true); name != nil; name = d.member(false) {
		if string(name) != "resourceType" {
			if !d.skip() {
				return nil, false
			}
			continue
		}
		typ, _, ok = d.quoted() // with an escape it is no type's name
		d.at, d.depth = at, depth
		return typ, ok
	}
	return nil, d.giveUp(ResourceType)
}

// resourceIn reads a resource of a Bundle.
func (d *decoding) resourceIn(e *element, m reflect.Value) bool {
	r := &rpb.ContainedResource{}
	return d.resource(r) && e.put(m, reflect.ValueOf(r))
}

// contained reads a resource within another. The proto keeps it serialised. jsonformat does not validate it; here it is read as any other, so one that is
// not valid goes to jsonformat.
func (d *decoding) contained(e *element, m reflect.Value) bool {
	r := &rpb.ContainedResource{}
	if !d.resource(r) {
		return false
	}
	x, err := anypb.New(r)
	if err != nil {
		return d.giveUp(Text)
	}
	return e.put(m, reflect.ValueOf(x))
}
