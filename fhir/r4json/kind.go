package r4json

import (
	"reflect"

	apb "github.com/google/fhir/go/proto/google/fhir/proto/annotations_go_proto"
	dtpb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/datatypes_go_proto"
	rpb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/resources/bundle_and_contained_resource_go_proto"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// kind is how a value is read.
type kind uint8

const (
	kindUnknown kind = iota

	kindString // primitives, from here ...
	kindMarkdown
	kindXhtml
	kindURI
	kindURL
	kindCanonical
	kindCode
	kindID
	kindOID
	kindUUID
	kindBoolean
	kindInteger
	kindPositiveInt
	kindUnsignedInt
	kindDecimal
	kindDate
	kindDateTime
	kindInstant
	kindTime
	kindBase64
	kindEnum       // a code of a closed list
	kindCodeString // ... to here: a code of a list too long to be an enum

	kindMessage
	kindReference
	kindLiteralReference // Reference.reference
	kindContained        // a resource within another, which the proto keeps serialised
	kindResource         // a resource in a Bundle
	kindResourceType
)

func (k kind) primitive() bool { return k >= kindString && k <= kindCodeString }

// patterned reports whether an absent value of this kind is refused, as the empty string does not match its pattern.
func (k kind) patterned() bool { return k >= kindCode && k <= kindUUID }

var (
	referenceType = reflect.TypeFor[dtpb.Reference]()

	kindOfType = map[reflect.Type]kind{
		reflect.TypeFor[dtpb.String]():           kindString,
		reflect.TypeFor[dtpb.Markdown]():         kindMarkdown,
		reflect.TypeFor[dtpb.Xhtml]():            kindXhtml,
		reflect.TypeFor[dtpb.Uri]():              kindURI,
		reflect.TypeFor[dtpb.Url]():              kindURL,
		reflect.TypeFor[dtpb.Canonical]():        kindCanonical,
		reflect.TypeFor[dtpb.Code]():             kindCode,
		reflect.TypeFor[dtpb.Id]():               kindID,
		reflect.TypeFor[dtpb.Oid]():              kindOID,
		reflect.TypeFor[dtpb.Uuid]():             kindUUID,
		reflect.TypeFor[dtpb.Boolean]():          kindBoolean,
		reflect.TypeFor[dtpb.Integer]():          kindInteger,
		reflect.TypeFor[dtpb.PositiveInt]():      kindPositiveInt,
		reflect.TypeFor[dtpb.UnsignedInt]():      kindUnsignedInt,
		reflect.TypeFor[dtpb.Decimal]():          kindDecimal,
		reflect.TypeFor[dtpb.Date]():             kindDate,
		reflect.TypeFor[dtpb.DateTime]():         kindDateTime,
		reflect.TypeFor[dtpb.Instant]():          kindInstant,
		reflect.TypeFor[dtpb.Time]():             kindTime,
		reflect.TypeFor[dtpb.Base64Binary]():     kindBase64,
		referenceType:                            kindReference,
		reflect.TypeFor[rpb.ContainedResource](): kindResource,
	}
)

// kindOf says how a field of a type is read.
func kindOf(f protoreflect.FieldDescriptor, t reflect.Type) kind {
	if k, ok := kindOfType[t]; ok {
		return k
	}
	d := f.Message()
	switch {
	case t == reflect.TypeFor[anypb.Any]():
		if f.JSONName() == "contained" {
			return kindContained
		}
		return kindUnknown // Parameters.parameter.resource, which jsonformat does not read either
	case !isPrimitive(d):
		return kindMessage
	case !proto.HasExtension(d.Options(), apb.E_FhirValuesetUrl):
		return kindUnknown // a ReferenceId
	}
	if d.Fields().ByName("value").Kind() == protoreflect.EnumKind {
		return kindEnum
	}
	return kindCodeString
}
