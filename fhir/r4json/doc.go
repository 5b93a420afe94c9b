// Package r4json decodes FHIR R4 JSON into the protos of google/fhir/go, many times cheaper than that library's own jsonformat, and with the same
// result: [Decoder.Decode] answers with a message that is proto.Equal to what jsonformat's validating Unmarshaller makes of the same bytes, or
// with none. Whatever it is not sure of it gives up, and says why ([Reason]); jsonformat then decides. So errors have one author, and a gap here
// costs time, never correctness. [Decoder.UnmarshalR4] does both steps and counts them ([Decoder.Counts]).
//
// It knows every resource type, contained resources and Bundles, because it knows none by name: for each message a plan (plan.go) is made from
// its descriptor, when a document first needs it. A plan says of every element name where in the Go struct the value goes and how it is read. One
// pass over the bytes with a scanner of our own (scan.go) fills the structs through reflect, without unsafe.
//
// What is given up on purpose, though jsonformat accepts it: names in another case ("Status") and with escapes, one name twice, codes in another
// spelling than their own ("FINAL"), base64 with blanks, numbers with an exponent of three digits, nesting deeper than 64, more than one megabyte in
// one string, and contained resources that would not be valid by themselves.
//
// Decoded strings are copies: a message that is kept does not keep its document.
package r4json
