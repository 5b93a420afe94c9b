package r4json

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/fhir/go/fhirversion"
	"github.com/google/fhir/go/jsonformat"
	rpb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/resources/bundle_and_contained_resource_go_proto"
)

// Decoder reads resources. Create it with [New]; safe for concurrent use.
type Decoder struct {
	zone   *time.Location
	google *jsonformat.Unmarshaller
	known  *interned
	counts [reasons]atomic.Uint64
}

// New returns a decoder for values that were written in a zone of the IANA database: dates without a time begin there. It fails if the zone is not
// known.
func New(zone string) (*Decoder, error) {
	google, err := jsonformat.NewUnmarshaller(zone, fhirversion.R4)
	if err != nil {
		return nil, fmt.Errorf("r4json: %w", err)
	}
	return &Decoder{zone: google.TimeZone, google: google, known: newInterned()}, nil
}

// Decode reads one resource. The message is nil if and only if the reason is not [None]; then nothing is said of the document, and jsonformat is to be
// asked. It keeps no part of data.
func (d *Decoder) Decode(data []byte) (*rpb.ContainedResource, Reason) {
	w := decoding{scanner: scanner{data: data}, zone: d.zone, known: d.known}
	r := w.document()
	d.counts[w.reason].Add(1)
	if w.reason != None {
		return nil, w.reason
	}
	return r, None
}

// UnmarshalR4 reads one resource as jsonformat's method of this name does, with the same results and errors. The errors can quote the resource.
func (d *Decoder) UnmarshalR4(data []byte) (*rpb.ContainedResource, error) {
	if r, reason := d.Decode(data); reason == None {
		return r, nil
	}
	return d.google.UnmarshalR4(data)
}

// Counts are the documents so far by reason; those under [None] were decoded without jsonformat. Reasons without a document are left out.
func (d *Decoder) Counts() map[Reason]uint64 {
	m := map[Reason]uint64{}
	for r := range reasons {
		if n := d.counts[r].Load(); n > 0 {
			m[r] = n
		}
	}
	return m
}
