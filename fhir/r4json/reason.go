package r4json

// Reason is why a document was not decoded here. It says nothing of what is wrong with it, or that anything is: jsonformat judges.
type Reason uint8

// Reasons.
const (
	None           Reason = iota // it was decoded
	Syntax                       // not JSON as strictly read: broken, a byte order mark, a control character, more than one value
	Text                         // no valid UTF-8, or half a surrogate pair
	TooDeep                      // nested deeper than 64
	ResourceType                 // no resourceType, or one that R4 has not
	UnknownElement               // a name that is no element here, in another case, or with an escape
	Duplicate                    // one element twice
	Choice                       // two values of one choice
	Shape                        // an object, array, string, number or boolean where another is expected
	Null                         // a null; jsonformat refuses it, though FHIR allows it in arrays
	Value                        // a primitive that is not surely valid: a date, code, number, URI, identifier
	Required                     // a required element is absent
	Reference                    // a reference to a type that the element may not name, or that R4 may not have
	Extension                    // an extension of a primitive that changes what the primitive is
	reasons
)

var reasonNames = [reasons]string{
	None: "none", Syntax: "syntax", Text: "text", TooDeep: "too-deep", ResourceType: "resource-type", UnknownElement: "unknown-element", Duplicate: "duplicate",
	Choice: "choice", Shape: "shape", Null: "null", Value: "value", Required: "required", Reference: "reference", Extension: "extension",
}

// String is the reason as a word. The words are labels of metrics: do not rename them.
func (r Reason) String() string {
	if r < reasons {
		return reasonNames[r]
	}
	return "unknown"
}
