package fhir_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/trialwatch/trialwatch/fhir"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// FuzzDecode: whatever bytes arrive, each resource ends in exactly one way, what is shown of it is short, and its fact can be written, read
// and applied. It is the same with google/fhir parsing everything.
func FuzzDecode(f *testing.F) {
	for _, r := range allRows {
		if len(r.data) < 4<<10 { // large seeds only slow the search
			f.Add([]byte(r.data))
			f.Add([]byte(bundleOf(entryOf(r.data))))
		}
	}
	f.Add([]byte(bundleOf(`{"request":{"method":"DELETE","url":"Observation/o9"}}`, `{"fullUrl":"urn:uuid:1","resource":`+patient+`}`)))
	d, slow := newDecoder(f), newDecoder(f)
	if err := slow.WithoutFastPath(); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		out := d.Decode(fhir.Message{Data: data, Site: "main"})
		if !bytes.Equal(before, data) {
			t.Fatal("the message was changed")
		}
		if len(out) == 0 {
			t.Fatal("no outcome")
		}
		entry := -1
		for i := range out {
			o := &out[i]
			if _, _, err := decision(o); err != nil {
				t.Error(err)
			}
			if len(o.Detail) > 200 || !utf8.ValidString(o.Detail) || len(o.Ref.ID()) > 256 || len(o.Ref.Type()) > 64 {
				t.Errorf("shows too much or no text: detail %q, ref %q", o.Detail, o.Ref)
			}
			if o.ReceivedAt.IsZero() {
				t.Error("no receipt")
			}
			if o.Entry < entry || o.Entry == entry && i > 0 {
				t.Errorf("entry %d after %d", o.Entry, entry)
			}
			entry = o.Entry
			if o.Fact == nil {
				continue
			}
			written, err := json.Marshal(o.Fact)
			if err != nil {
				t.Fatalf("the fact cannot be written: %v", err)
			}
			var read timeline.Fact
			if err := json.Unmarshal(written, &read); err != nil {
				t.Fatalf("the fact cannot be read again: %v\n%s", err, written)
			}
			again, err := json.Marshal(&read)
			if err != nil || !bytes.Equal(written, again) {
				t.Errorf("the fact changes when written and read\n%s\n%s", written, again)
			}
			timeline.New().Apply(o.Fact)
		}
		second := d.Decode(fhir.Message{Data: data, Site: "main"})
		if !slices.EqualFunc(out, second, func(a, b fhir.Outcome) bool { return summary(&a) == summary(&b) && a.Detail == b.Detail }) {
			t.Error("decoded again it is something else")
		}
		google := slow.Decode(fhir.Message{Data: data, Site: "main"})
		if a, b := all(t, out), all(t, google); a != b {
			t.Errorf("with google/fhir parsing it is something else\n%s\n%s", a, b)
		}
		if _, err := fhir.Split(data, fhir.Limits{}); err != nil && (len(err.Error()) > 200 || !utf8.ValidString(err.Error())) {
			t.Errorf("Split shows %q", err)
		}
	})
}

// all is everything that is said of resources.
func all(t *testing.T, out []fhir.Outcome) string {
	data, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
