package r4json_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"

	apb "github.com/google/fhir/go/proto/google/fhir/proto/annotations_go_proto"
	rpb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/resources/bundle_and_contained_resource_go_proto"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// generator writes valid documents of any resource type. It knows the model from the descriptors alone, by other code than the decoder's, so that the two
// can disagree.
type generator struct {
	rnd *rand.Rand
	b   bytes.Buffer
	// full puts every element of the resource into the document, else some.
	full bool
}

func resourceTypes() []protoreflect.MessageDescriptor {
	var all []protoreflect.MessageDescriptor
	fields := (&rpb.ContainedResource{}).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		all = append(all, fields.Get(i).Message())
	}
	return all
}

// document is a resource of a type.
func (g *generator) document(d protoreflect.MessageDescriptor) []byte {
	g.b.Reset()
	g.resource(d, 0)
	return bytes.Clone(g.b.Bytes())
}

func (g *generator) resource(d protoreflect.MessageDescriptor, depth int) {
	g.object(d, depth, fmt.Sprintf(`"resourceType":%q`, d.Name()))
}

// object writes an object with the members given and some of the message's elements, in a random order.
func (g *generator) object(d protoreflect.MessageDescriptor, depth int, first string) {
	g.b.WriteByte('{')
	members := []func(){}
	if first != "" {
		members = append(members, func() { g.b.WriteString(first) })
	}
	fields := d.Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		required := proto.GetExtension(f.Options(), apb.E_ValidationRequirement) == apb.Requirement_REQUIRED_BY_FHIR
		if f.Message() == nil || !required && !g.takes(f, depth) || d.Name() == "Reference" && f.ContainingOneof() != nil && f.Name() != "uri" {
			continue
		}
		if d.Name() == "Reference" && f.Name() == "uri" {
			continue // written by reference, which knows the types that may be named
		}
		name := f.JSONName()
		if proto.HasExtension(f.Message().Options(), apb.E_IsChoiceType) {
			alternatives := f.Message().Fields()
			f = alternatives.Get(g.rnd.IntN(alternatives.Len()))
			name += strings.ToUpper(f.JSONName()[:1]) + f.JSONName()[1:]
		}
		if f.Message().Name() == "ReferenceId" {
			continue
		}
		members = append(members, func() { g.member(name, f, depth) })
	}
	g.rnd.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	for i, write := range members {
		if i > 0 {
			g.b.WriteByte(',')
		}
		write()
	}
	g.b.WriteByte('}')
}

// takes decides on an optional element: all of a full document's own, and ever fewer below.
func (g *generator) takes(f protoreflect.FieldDescriptor, depth int) bool {
	switch f.Message().Name() {
	case "Any":
		return f.JSONName() == "contained" && depth < 2 && g.rnd.IntN(4) == 0
	case "Extension":
		return depth < 4 && g.rnd.IntN(12) == 0
	}
	if g.full && depth == 0 {
		return true
	}
	return depth < 6 && g.rnd.IntN(2+2*depth) == 0
}

func (g *generator) member(name string, f protoreflect.FieldDescriptor, depth int) {
	primitive := isPrimitive(f.Message())
	beside := primitive && f.Message().Name() != "Xhtml" && depth < 4 && g.rnd.IntN(10) == 0
	n := 1
	if f.IsList() {
		n += g.rnd.IntN(3)
	}
	fmt.Fprintf(&g.b, "%q:", name)
	g.list(f.IsList(), n, func() { g.value(f, depth) })
	if beside {
		fmt.Fprintf(&g.b, ",%q:", "_"+name)
		g.list(f.IsList(), n, func() {
			fmt.Fprintf(&g.b, `{"id":"i%d","extension":[{"url":"http://example.org/e","valueString":"x"}]}`, g.rnd.IntN(9))
		})
	}
}

func (g *generator) list(repeated bool, n int, write func()) {
	if !repeated {
		write()
		return
	}
	g.b.WriteByte('[')
	for i := range n {
		if i > 0 {
			g.b.WriteString(" ,\n")
		}
		write()
	}
	g.b.WriteByte(']')
}

func isPrimitive(d protoreflect.MessageDescriptor) bool {
	return proto.GetExtension(d.Options(), apb.E_StructureDefinitionKind) == apb.StructureDefinitionKindValue_KIND_PRIMITIVE_TYPE
}

func (g *generator) value(f protoreflect.FieldDescriptor, depth int) {
	d := f.Message()
	switch {
	case d.Name() == "Any" || d.Name() == "ContainedResource":
		all := resourceTypes()
		g.resource(all[g.rnd.IntN(len(all))], depth+2)
	case d.Name() == "Reference":
		g.reference(f, depth)
	case isPrimitive(d):
		g.b.WriteString(g.primitive(d))
	default:
		g.object(d, depth+1, "")
	}
}

func (g *generator) reference(f protoreflect.FieldDescriptor, depth int) {
	typ := "Patient"
	if may, _ := proto.GetExtension(f.Options(), apb.E_ValidReferenceType).([]string); len(may) > 0 && may[0] != "Resource" {
		typ = may[g.rnd.IntN(len(may))]
	}
	g.object(f.Message(), depth+1, fmt.Sprintf(`"reference":%q`, g.pick(typ+"/a.b-1", typ+"/x_y/_history/2", "#c", "http://example.org/fhir/"+typ+"/1", "urn:uuid:0f2c1a7e-3a55-4a0c-9a57-1f6f6a3f5f01", typ, "", typ+"?identifier=a|b")))
}

func (g *generator) pick(from ...string) string { return from[g.rnd.IntN(len(from))] }

// primitive is a valid value as JSON.
func (g *generator) primitive(d protoreflect.MessageDescriptor) string {
	switch d.Name() {
	case "String", "Markdown":
		return g.pick(`"plain"`, `""`, `" "`, `"tab\t \"q\" \\ \/ \n"`, `"é \u00e9 \ud83d\ude00 €"`, `"<b>&amp;</b>"`)
	case "Xhtml":
		return `"<div xmlns=\"http://www.w3.org/1999/xhtml\">x<\/div>"`
	case "Uri", "Url", "Canonical":
		return g.pick(`"http://example.org/a/b|1.0"`, `"urn:oid:1.2.3"`, `"https://x.y:80/p?q=1#f"`, `""`, `"a/b"`, `"#f"`, `"http://example.org/%41"`, `"mailto:a@b.c"`)
	case "Code":
		return g.pick(`"c"`, `"a b"`, `"10*3/uL"`, `"é"`)
	case "Id":
		return g.pick(`"a"`, `"A-1.z"`, `"`+strings.Repeat("x", 64)+`"`)
	case "Oid":
		return `"urn:oid:1.2.840.10"`
	case "Uuid":
		return `"urn:uuid:0f2c1a7e-3a55-4a0c-9a57-1f6f6a3f5f01"`
	case "Boolean":
		return g.pick("true", "false")
	case "Integer":
		return g.pick("0", "-1", "2147483647", "-2147483648", "7")
	case "PositiveInt":
		return g.pick("1", "2147483647")
	case "UnsignedInt":
		return g.pick("0", "2147483647")
	case "Decimal":
		return g.pick("0", "-0.0", "0.420", "1.0E3", "1e-9", "12345678901234567890.1234567890", "-0")
	case "Date":
		return g.pick(`"2024-02-29"`, `"1970-01"`, `"0001"`, `"9999-12-31"`, `"2026-07-01"`)
	case "DateTime":
		return g.pick(`"2024-02-29T23:59:59Z"`, `"2026-07"`, `"1850"`, `"2300-01-01T00:00:00.25-13:30"`, `"2026-03-08T02:30:00.123456789+14:00"`, `"2026-11-01"`, `"1600-01-01T00:00:00.9-00:00"`)
	case "Instant":
		return g.pick(`"2024-02-29T23:59:59Z"`, `"2026-03-08T02:30:00.1+00:00"`, `"2026-03-08T02:30:00.1234-06:00"`)
	case "Time":
		return g.pick(`"00:00:00"`, `"23:59:59.999"`, `"12:00:00.1234567"`)
	case "Base64Binary":
		return g.pick(`"AA=="`, `"AAECAw=="`, `"YWJj"`)
	}
	value := d.Fields().ByName("value")
	if value.Kind() != protoreflect.EnumKind {
		return `"en-US"`
	}
	values := value.Enum().Values()
	v := values.Get(1 + g.rnd.IntN(values.Len()-1))
	if code, _ := proto.GetExtension(v.Options(), apb.E_FhirOriginalCode).(string); code != "" {
		return fmt.Sprintf("%q", code)
	}
	return fmt.Sprintf("%q", strings.ReplaceAll(strings.ToLower(string(v.Name())), "_", "-"))
}
