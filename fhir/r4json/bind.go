package r4json

import (
	"reflect"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// descriptorOf is the descriptor of a generated struct.
func descriptorOf(t reflect.Type) protoreflect.MessageDescriptor {
	return reflect.Zero(reflect.PointerTo(t)).Interface().(proto.Message).ProtoReflect().Descriptor()
}

// fieldsByNumber are the fields of a generated struct by the number in their tag, `protobuf:"bytes,19,opt,name=effective,proto3"`. Those of a oneof
// are not among them: their field holds an interface.
func fieldsByNumber(t reflect.Type) map[protoreflect.FieldNumber]int {
	m := map[protoreflect.FieldNumber]int{}
	for i := range t.NumField() {
		parts := strings.Split(t.Field(i).Tag.Get("protobuf"), ",")
		if len(parts) < 2 {
			continue
		}
		if n, err := strconv.Atoi(parts[1]); err == nil {
			m[protoreflect.FieldNumber(n)] = i
		}
	}
	return m
}

// alternative is one member of a oneof: field[parent].oneof = &wrapper{value}.
type alternative struct {
	parent  int          // where the struct with the oneof is in its parent
	holder  reflect.Type // the struct with the oneof
	oneof   int          // where the interface is in it
	wrapper reflect.Type // the struct whose only field is the value
}

// alternatives are the members of the only oneof of a struct by number. The generated code does not tell the type of a wrapper, so each member is set
// once, to see what stands there.
func alternatives(holder reflect.Type, parent int) map[protoreflect.FieldNumber]*alternative {
	all := map[protoreflect.FieldNumber]*alternative{}
	oneof := -1
	for i := range holder.NumField() {
		if _, ok := holder.Field(i).Tag.Lookup("protobuf_oneof"); ok {
			oneof = i
		}
	}
	if oneof < 0 {
		return all
	}
	v := reflect.New(holder)
	m := v.Interface().(proto.Message).ProtoReflect()
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.ContainingOneof() == nil || f.Message() == nil {
			continue
		}
		m.Set(f, m.NewField(f))
		all[f.Number()] = &alternative{parent, holder, oneof, v.Elem().Field(oneof).Elem().Elem().Type()}
	}
	return all
}

// choose makes an alternative, hangs it into its parent and returns the wrapper, for the value to be put in.
func (a *alternative) choose(parent reflect.Value) reflect.Value {
	holder, wrapper := reflect.New(a.holder), reflect.New(a.wrapper)
	holder.Elem().Field(a.oneof).Set(wrapper)
	parent.Field(a.parent).Set(holder)
	return wrapper.Elem()
}

// chosen returns the wrapper of an alternative that has been made; ok is false if there is none, same is false if it is another alternative's.
func (a *alternative) chosen(parent reflect.Value) (wrapper reflect.Value, ok, same bool) {
	holder := parent.Field(a.parent)
	if holder.IsNil() {
		return reflect.Value{}, false, false
	}
	wrapper = holder.Elem().Field(a.oneof).Elem().Elem()
	return wrapper, true, wrapper.Type() == a.wrapper
}

// assign stores a wrapper in the interface of a oneof. It is several times cheaper than reflect's Set, which looks through the methods of both each time;
// the interface's type is the generated code's own and cannot be named here, only inferred.
func assign[T any](oneof *T, wrapper any) { *oneof = wrapper.(T) }

// put stores a pointer to what an element is made of in its field: appended if the element is repeated.
func (e *element) put(message, x reflect.Value) bool {
	f := message.Field(e.field)
	if e.repeated {
		push(f, x)
	} else {
		f.Set(x)
	}
	return true
}

// push appends to a slice.
func push(slice, x reflect.Value) {
	n := slice.Len()
	slice.Grow(1)
	slice.SetLen(n + 1)
	slice.Index(n).Set(x)
}
