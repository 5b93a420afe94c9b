package r4json

import (
	"encoding/base64"
	"reflect"
	"strconv"

	dtpb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/datatypes_go_proto"
)

// primitive reads the value of a primitive.
func (d *decoding) primitive(e *element, m reflect.Value) bool {
	if e.kind <= kindUUID {
		return d.stringLike(e, m)
	}
	switch e.kind {
	case kindBoolean:
		x, ok := d.boolean()
		return ok && e.put(m, reflect.ValueOf(&dtpb.Boolean{Value: x}))
	case kindInteger:
		x, ok := d.integer(-1<<31, 1<<31-1)
		return ok && e.put(m, reflect.ValueOf(&dtpb.Integer{Value: int32(x)}))
	case kindPositiveInt:
		x, ok := d.integer(1, 1<<31-1)
		return ok && e.put(m, reflect.ValueOf(&dtpb.PositiveInt{Value: uint32(x)}))
	case kindUnsignedInt:
		x, ok := d.integer(0, 1<<31-1)
		return ok && e.put(m, reflect.ValueOf(&dtpb.UnsignedInt{Value: uint32(x)}))
	case kindDecimal: // it stays as it is written
		x, ok := d.number()
		return ok && e.put(m, reflect.ValueOf(&dtpb.Decimal{Value: d.copied(x)}))
	case kindDate, kindDateTime, kindInstant, kindTime:
		return d.temporal(e, m)
	case kindBase64:
		x, ok := d.base64()
		return ok && e.put(m, reflect.ValueOf(&dtpb.Base64Binary{Value: x}))
	case kindEnum, kindCodeString:
		return d.code(e, m)
	}
	return d.giveUp(Shape)
}

// stringLike reads what is a string with or without a pattern.
func (d *decoding) stringLike(e *element, m reflect.Value) bool {
	var s string
	var ok bool
	if e.class == classNone {
		s, ok = d.text()
	} else {
		s, ok = d.repeated(e.class)
	}
	if !ok {
		return false
	}
	switch e.kind {
	case kindString:
		return e.put(m, reflect.ValueOf(&dtpb.String{Value: s}))
	case kindMarkdown:
		return e.put(m, reflect.ValueOf(&dtpb.Markdown{Value: s}))
	case kindXhtml: // the only primitive of which jsonformat requires a value
		if s == "" {
			return d.giveUp(Required)
		}
		return e.put(m, reflect.ValueOf(&dtpb.Xhtml{Value: s}))
	case kindURI:
		return e.put(m, reflect.ValueOf(&dtpb.Uri{Value: s}))
	case kindURL:
		return e.put(m, reflect.ValueOf(&dtpb.Url{Value: s}))
	case kindCanonical:
		return e.put(m, reflect.ValueOf(&dtpb.Canonical{Value: s}))
	case kindCode:
		return e.put(m, reflect.ValueOf(&dtpb.Code{Value: s}))
	case kindID:
		return d.sure(validID(s)) && e.put(m, reflect.ValueOf(&dtpb.Id{Value: s}))
	case kindOID:
		return d.sure(validOID(s)) && e.put(m, reflect.ValueOf(&dtpb.Oid{Value: s}))
	case kindUUID:
		return d.sure(validUUID(s)) && e.put(m, reflect.ValueOf(&dtpb.Uuid{Value: s}))
	}
	return d.giveUp(Shape)
}

// sure gives up at a value that is not surely valid.
func (d *decoding) sure(valid bool) bool { return valid || d.giveUp(Value) }

func (d *decoding) boolean() (x, ok bool) {
	switch c := d.peek(); c {
	case 't':
		return true, d.word("true")
	case 'f':
		return false, d.word("false")
	default:
		return false, d.unexpected(c)
	}
}

// integer reads a number without fraction and exponent.
func (d *decoding) integer(low, high int64) (int64, bool) {
	raw, ok := d.number()
	if !ok {
		return 0, false
	}
	x, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || x < low || x > high || raw[0] == '-' && x == 0 {
		return 0, d.giveUp(Value)
	}
	return x, true
}

// base64 reads binary data. Blanks are kept by jsonformat as an extension, and an escape is not resolved by it: both are left to it.
func (d *decoding) base64() ([]byte, bool) {
	raw, plain, ok := d.quoted()
	if !ok {
		return nil, false
	}
	x := make([]byte, base64.StdEncoding.DecodedLen(len(raw)))
	n, err := base64.StdEncoding.Decode(x, raw)
	if !plain || err != nil || n == 0 {
		return nil, d.giveUp(Value)
	}
	return x[:n:n], true
}

// code reads a code of a list.
func (d *decoding) code(e *element, m reflect.Value) bool {
	if e.kind == kindCodeString {
		s, ok := d.text()
		if !ok {
			return false
		}
		x := reflect.New(e.goType)
		x.Elem().FieldByName("Value").SetString(s)
		e.put(m, x)
		return true
	}
	raw, _, ok := d.quoted()
	if !ok {
		return false
	}
	n := e.codes.find(raw)
	if n == 0 {
		return d.giveUp(Value)
	}
	x := reflect.New(e.goType)
	x.Elem().Field(e.codes.field).SetInt(int64(n))
	e.put(m, x)
	return true
}
