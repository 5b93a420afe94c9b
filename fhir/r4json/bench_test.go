package r4json_test

import (
	"encoding/json"
	"testing"

	rpb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/resources/bundle_and_contained_resource_go_proto"
	"google.golang.org/protobuf/proto"
)

// small are the twenty fields of an Observation or MedicationAdministration that somebody who wants few would decode by hand.
type small struct {
	ResourceType, ID, Status string
	Meta                     struct{ VersionID, LastUpdated string }
	Code, Medication         concept
	Subject                  struct{ Reference string }
	EffectiveDateTime        string
	EffectivePeriod          struct{ Start, End string }
	ValueQuantity            quantity
	Interpretation           []concept
	ReferenceRange           []struct{ Low, High quantity }
	Dosage                   struct {
		Route concept
		Dose  quantity
	}
}

type concept struct {
	Coding []struct{ System, Code, Display string }
	Text   string
}

type quantity struct {
	Value      json.Number
	Unit, Code string
}

// BenchmarkDecode compares in one run what it costs to get at the same two resources. The ratio to jsonformat is the sense of this package; proto.Unmarshal
// of the same message is what the protos themselves cost.
func BenchmarkDecode(b *testing.B) {
	all := examples(b)
	for _, resource := range []struct{ name, file string }{
		{"Observation", "observation.lab.json"}, {"MedicationAdministration", "medicationadministration.dose.json"},
	} {
		data := all[resource.file]
		d, u := newDecoder(b), judge(b)
		message, err := u.UnmarshalR4(data)
		if err != nil {
			b.Fatal(err)
		}
		wire, err := proto.Marshal(message)
		if err != nil {
			b.Fatal(err)
		}
		for _, way := range []struct {
			name string
			do   func() error
		}{
			{"r4json", func() error { _, err := d.UnmarshalR4(data); return err }},
			{"jsonformat", func() error { _, err := u.UnmarshalR4(data); return err }},
			{"protoUnmarshal", func() error { return proto.Unmarshal(wire, &rpb.ContainedResource{}) }},
			{"encodingJSON", func() error { return json.Unmarshal(data, &small{}) }},
		} {
			b.Run("resource="+resource.name+"/way="+way.name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(data)))
				for b.Loop() {
					if err := way.do(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
