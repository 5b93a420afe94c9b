package fhir

import (
	"strings"

	bundlepb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/resources/bundle_and_contained_resource_go_proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// r4 is what we know of R4 by name, read from the model rather than written down again.
var r4 = readModel()

type model struct {
	types    map[string]map[string]bool // resource type → its top-level element names
	elements map[string]string          // every element name of the types that rules read → itself
	folded   map[string]string          // the same in lower case → the right one
}

// readTypes are the resources that rules read.
var readTypes = []string{"Observation", "MedicationAdministration", "Procedure", "ResearchSubject", "Encounter", "AdverseEvent", "MedicationRequest", "Patient", "Medication", "Bundle"}

func readModel() model {
	m := model{types: map[string]map[string]bool{}, elements: map[string]string{}, folded: map[string]string{}}
	fields := (&bundlepb.ContainedResource{}).ProtoReflect().Descriptor().Fields()
	byName := map[string]protoreflect.MessageDescriptor{}
	for i := range fields.Len() {
		d := fields.Get(i).Message()
		m.types[string(d.Name())] = nil
		byName[string(d.Name())] = d
	}
	seen := map[protoreflect.FullName]bool{}
	for _, t := range readTypes {
		names := map[string]bool{"resourceType": true}
		for _, n := range elementNames(byName[t]) {
			names[n], names["_"+n] = true, true
		}
		m.types[t] = names
		m.collect(byName[t], seen)
	}
	m.add("resourceType")
	return m
}

func (m *model) add(name string) {
	m.elements[name] = name
	m.folded[strings.ToLower(name)] = name
}

// collect adds the names of all elements below a message.
func (m *model) collect(d protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) {
	if seen[d.FullName()] {
		return
	}
	seen[d.FullName()] = true
	// The value[x] of an extension reaches all of FHIR: its names are added, what is below is not.
	for _, n := range elementNames(d) {
		m.add(n)
		m.add("_" + n)
	}
	if d.Name() == "Extension" || d.Name() == "ContainedResource" {
		return
	}
	fields := d.Fields()
	for i := range fields.Len() {
		if msg := fields.Get(i).Message(); msg != nil && msg.FullName() != "google.protobuf.Any" {
			m.collect(msg, seen)
		}
	}
}

// elementNames are the JSON names of a message's elements, a choice type once for each of its types.
func elementNames(d protoreflect.MessageDescriptor) []string {
	var names []string
	fields := d.Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		msg := f.Message()
		if msg != nil && msg.Oneofs().Len() == 1 && strings.HasSuffix(string(msg.Name()), "X") {
			choices := msg.Fields()
			for j := range choices.Len() {
				n := strings.TrimSuffix(choices.Get(j).JSONName(), "Value") // stringValue: the proto name avoids a keyword
				names = append(names, f.JSONName()+strings.ToUpper(n[:1])+n[1:])
			}
			continue
		}
		names = append(names, f.JSONName())
	}
	return names
}
