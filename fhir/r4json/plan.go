package r4json

import (
	"reflect"
	"strings"
	"sync"

	apb "github.com/google/fhir/go/proto/google/fhir/proto/annotations_go_proto"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// plan says how one message is read. It is made empty, and filled when a document first needs it: an extension alone reaches all types of FHIR, and
// most of them never come.
type plan struct {
	goType   reflect.Type // the generated struct
	once     sync.Once
	elements table[*element] // by name
	first    *guess
	// required are the fields without which jsonformat refuses the message.
	required []int
}

// element is one element of a message under one of its names: "value", or "valueQuantity" and "valueString" of a choice, or the "_value" of what a
// primitive has beside its value.
type element struct {
	kind      kind
	extension bool         // "_value"
	repeated  bool         // a slice of pointers, else one pointer
	slot      uint8        // of the proto field, for noticing what comes twice; the types of a choice share one
	field     int          // where the pointer is in the struct: of the message or, in a choice, of the alternative's wrapper
	choice    *alternative // nil if this is no choice
	goType    reflect.Type // what is pointed to
	plan      *plan        // of goType; of a primitive, for its id and extensions
	codes     *codeSet     // of an enumerated code
	targets   map[string]bool
	class     class  // of its strings
	quoted    []byte // the name in quotes
	next      *guess // the element after it
}

// plans are shared by all decoders, as the descriptors are: making those of the usual types takes tens of milliseconds.
var plans = struct {
	sync.Mutex
	of map[reflect.Type]*plan
}{of: map[reflect.Type]*plan{}}

func planOf(t reflect.Type) *plan {
	plans.Lock()
	defer plans.Unlock()
	p := plans.of[t]
	if p == nil {
		p = &plan{goType: t}
		plans.of[t] = p
	}
	return p
}

// maxSlots is the number of bits for noticing what comes twice; the last is that of resourceType. No R4 message has more elements: a test says so.
const maxSlots = 64

// fill makes the plan, unless it has been made.
func (p *plan) fill() { p.once.Do(p.build) }

// build makes the plan from the descriptor. Of two elements with one name the later wins, as it does in jsonformat.
func (p *plan) build() {
	names := elementNames{}
	d := descriptorOf(p.goType)
	inStruct := fieldsByNumber(p.goType)
	fields := d.Fields()
	slot := uint8(0)
	for i := range fields.Len() {
		f := fields.Get(i)
		at, ok := inStruct[f.Number()]
		switch {
		case f.Message() == nil: // the value of a primitive, which is no member in JSON
			continue
		case p.goType == referenceType && f.Name() == "uri":
			names[f.JSONName()] = &element{kind: kindLiteralReference, slot: slot}
		case !ok: // of a oneof: what Reference.reference is resolved to
			continue
		case isChoice(f.Message()):
			names.addChoice(f, slot, p.goType.Field(at).Type.Elem(), at)
		default:
			names.add(f.JSONName(), newElement(f, p.goType.Field(at).Type, at, slot))
		}
		slot++
		if ok && isRequired(f) {
			p.required = append(p.required, at)
		}
	}
	if isResource(d) {
		names["resourceType"] = &element{kind: kindResourceType, slot: maxSlots - 1}
	}
	for name, e := range names {
		e.quoted, e.next = []byte(`"`+name+`"`), &guess{}
	}
	p.first = &guess{}
	p.elements = newTable(names)
}

// elementNames are the elements of a message in the making.
type elementNames map[string]*element

// add adds an element and, if it is a primitive, its "_name".
func (m elementNames) add(name string, e *element) {
	if e == nil {
		return
	}
	m[name] = e
	if e.kind.primitive() {
		beside := *e
		beside.extension = true
		m["_"+name] = &beside
	}
}

// addChoice adds the alternatives of a choice, each by its own name.
func (m elementNames) addChoice(f protoreflect.FieldDescriptor, slot uint8, holder reflect.Type, at int) {
	choices := alternatives(holder, at)
	fields := f.Message().Fields()
	for i := range fields.Len() {
		alt := fields.Get(i)
		c := choices[alt.Number()]
		if c == nil {
			continue
		}
		e := newElement(alt, c.wrapper.Field(0).Type, 0, slot)
		if e == nil {
			continue
		}
		e.choice = c
		m.add(f.JSONName()+upperFirst(alt.JSONName()), e)
	}
}

// newElement is the element of a proto field whose Go field has the given type; nil if it is of a kind that no plan is made for.
func newElement(f protoreflect.FieldDescriptor, t reflect.Type, at int, slot uint8) *element {
	e := &element{slot: slot, field: at}
	if t.Kind() == reflect.Slice {
		e.repeated, t = true, t.Elem()
	}
	e.goType = t.Elem()
	if e.kind = kindOf(f, e.goType); e.kind == kindUnknown {
		return nil
	}
	if e.kind != kindContained && e.kind != kindResource {
		e.plan = planOf(e.goType)
	}
	e.class = classOf(f, e.kind)
	switch e.kind {
	case kindEnum:
		e.codes = &codeSet{goType: e.goType}
	case kindReference:
		e.targets = targets(f)
	}
	return e
}

// classOf says whether a field is one where a feed repeats itself.
func classOf(f protoreflect.FieldDescriptor, k kind) class {
	switch k {
	case kindURI, kindURL, kindCanonical:
		return classURI
	case kindCode:
		return classCode
	case kindString:
		if labels[f.FullName()] {
			return classLabel
		}
	}
	return classNone
}

// labels are strings that say of a code or quantity what it is, and nothing of a person.
var labels = map[protoreflect.FullName]bool{
	"google.fhir.r4.core.Coding.display":      true,
	"google.fhir.r4.core.Quantity.unit":       true,
	"google.fhir.r4.core.SimpleQuantity.unit": true,
}

// targets are the resource types that a reference may name; nil for any.
func targets(f protoreflect.FieldDescriptor) map[string]bool {
	names, _ := proto.GetExtension(f.Options(), apb.E_ValidReferenceType).([]string)
	var m map[string]bool
	for _, n := range names {
		if n == "Resource" {
			return nil
		}
		if m == nil {
			m = map[string]bool{}
		}
		m[n] = true
	}
	return m
}

func isChoice(d protoreflect.MessageDescriptor) bool {
	return proto.HasExtension(d.Options(), apb.E_IsChoiceType)
}

func isRequired(f protoreflect.FieldDescriptor) bool {
	return proto.GetExtension(f.Options(), apb.E_ValidationRequirement) == apb.Requirement_REQUIRED_BY_FHIR
}

func isResource(d protoreflect.MessageDescriptor) bool {
	return proto.GetExtension(d.Options(), apb.E_StructureDefinitionKind) == apb.StructureDefinitionKindValue_KIND_RESOURCE
}

func isPrimitive(d protoreflect.MessageDescriptor) bool {
	return proto.GetExtension(d.Options(), apb.E_StructureDefinitionKind) == apb.StructureDefinitionKindValue_KIND_PRIMITIVE_TYPE
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
