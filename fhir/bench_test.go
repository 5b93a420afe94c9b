package fhir_test

import (
	"testing"

	"github.com/google/fhir/go/fhirversion"
	"github.com/google/fhir/go/jsonformat"

	"github.com/trialwatch/trialwatch/fhir"
)

// BenchmarkDecode shows in one run what looking first saves: the same Observation read by a rule, read by none, and given whole to the parser.
func BenchmarkDecode(b *testing.B) {
	for _, bm := range []struct {
		name, data string
		want       fhir.Kind
	}{
		{"relevant", fhir.ChartedObservation, fhir.Accepted},
		{"notRelevant", with(fhir.ChartedObservation, "751-8", "1863-0"), fhir.NotRelevant},
	} {
		b.Run(bm.name, func(b *testing.B) {
			d := newDecoder(b)
			m := fhir.Message{Data: []byte(bm.data), Site: "main"}
			b.ReportAllocs()
			b.SetBytes(int64(len(m.Data)))
			for b.Loop() {
				if out := d.Decode(m); out[0].Kind != bm.want {
					b.Fatalf("got %s, want %s", out[0].Kind, bm.want)
				}
			}
		})
	}
	b.Run("googleFHIR", func(b *testing.B) {
		u, err := jsonformat.NewUnmarshaller(chicago.String(), fhirversion.R4)
		if err != nil {
			b.Fatal(err)
		}
		data := []byte(fhir.ChartedObservation)
		b.ReportAllocs()
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if _, err := u.UnmarshalR4(data); err != nil {
				b.Fatal(err)
			}
		}
	})
}
