package r4json_test

import (
	"encoding/json"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	rpb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/resources/bundle_and_contained_resource_go_proto"
	"google.golang.org/protobuf/proto"
)

// BenchmarkRatios states how many times the CPU time of r4json the other ways take, each the median of rounds in which all take turns: other work on the
// machine falls on all of them. Above 1, r4json is cheaper.
func BenchmarkRatios(b *testing.B) {
	all := examples(b)
	sets := map[string][][]byte{
		"Observation": {all["observation.lab.json"]}, "MedicationAdministration": {all["medicationadministration.dose.json"]},
	}
	for _, name := range []string{"Observation", "MedicationAdministration"} {
		b.Run("of="+name, func(b *testing.B) { ratios(b, sets[name], 1000, true) })
	}
	b.Run("of=corpora", func(b *testing.B) {
		documents := map[string][][]byte{}
		u := judge(b)
		corpora(b, func(corpus, _ string, data []byte) {
			if _, err := u.UnmarshalR4(data); err == nil && corpus != "badinput/google-fhir" {
				documents[corpus] = append(documents[corpus], data)
			}
		})
		for corpus, list := range documents {
			b.Run(corpus, func(b *testing.B) { ratios(b, list, 1, false) })
		}
	})
}

const rounds = 15 // a median of fewer moves with the machine's other work

func ratios(b *testing.B, documents [][]byte, times int, handmade bool) {
	d, u := newDecoder(b), judge(b)
	var wire [][]byte
	for _, data := range documents {
		m, err := u.UnmarshalR4(data)
		if err != nil {
			b.Fatal(err)
		}
		w, err := proto.Marshal(m)
		if err != nil {
			b.Fatal(err)
		}
		wire = append(wire, w)
	}
	ways := []struct {
		name string
		do   func(i int) error
	}{
		{"r4json", func(i int) error { _, err := d.UnmarshalR4(documents[i]); return err }},
		{"jsonformat", func(i int) error { _, err := u.UnmarshalR4(documents[i]); return err }},
		{"protoUnmarshal", func(i int) error { return proto.Unmarshal(wire[i], &rpb.ContainedResource{}) }},
		{"encodingJSON", func(i int) error { return json.Unmarshal(documents[i], &small{}) }},
	}
	if !handmade { // the small struct is for two types
		ways = ways[:3]
	}
	for b.Loop() {
		took := make([][]time.Duration, len(ways))
		for range rounds {
			for w, way := range ways {
				runtime.GC()
				before := cpu(b)
				for range times {
					for i := range documents {
						if err := way.do(i); err != nil {
							b.Fatal(err)
						}
					}
				}
				took[w] = append(took[w], cpu(b)-before)
			}
		}
		base := median(took[0])
		b.ReportMetric(float64(base.Microseconds())/float64(times*len(documents)), "cpu-us/doc")
		for w, way := range ways[1:] {
			b.ReportMetric(float64(median(took[w+1]))/float64(base), "x-"+way.name)
		}
	}
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// cpu is the process's CPU time so far.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
