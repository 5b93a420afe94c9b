package r4json_test

import (
	"math/rand/v2"
	"net/url"
	"regexp"
	"testing"

	apb "github.com/google/fhir/go/proto/google/fhir/proto/annotations_go_proto"
	dtpb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/datatypes_go_proto"
	"google.golang.org/protobuf/proto"

	"github.com/trialwatch/trialwatch/fhir/r4json"
)

// The plan of every message of R4 can be made, and the bits for what comes twice suffice.
func TestEveryPlan(t *testing.T) {
	n, problems := r4json.CheckPlans()
	t.Logf("%d messages", n)
	if n < 1000 {
		t.Errorf("only %d messages were reached", n)
	}
	for _, p := range problems {
		t.Error(p)
	}
}

// What is matched here is what jsonformat matches by the regular expressions of the model and by net/url.
func TestPatterns(t *testing.T) {
	of := func(m proto.Message) *regexp.Regexp {
		return regexp.MustCompile("^" + proto.GetExtension(m.ProtoReflect().Descriptor().Options(), apb.E_ValueRegex).(string) + "$")
	}
	id, code, oid, uuid := of(&dtpb.Id{}), of(&dtpb.Code{}), of(&dtpb.Oid{}), of(&dtpb.Uuid{})
	for _, s := range []string{"urn:oid:1.2", "urn:oid:1", "urn:oid:3.1", "urn:oid:1.02", "urn:oid:1.0", "1.2", "urn:uuid:0f2c1a7e-3a55-4a0c-9a57-1f6f6a3f5f01", "urn:uuid:0F2c1a7e-3a55-4a0c-9a57-1f6f6a3f5f01"} {
		if r4json.Pattern("oid", s) != oid.MatchString(s) || r4json.Pattern("uuid", s) != uuid.MatchString(s) {
			t.Errorf("%q: oid %v, uuid %v", s, r4json.Pattern("oid", s), r4json.Pattern("uuid", s))
		}
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	parts := []string{"http://", "https://", "urn:", "urn:oid:", "a", "B9", ".", "-", "/", "//", ":", "|", "?", "#", "%", "%41", "[", "]", " ", "\t", "é", "@", "=", "+", "_", "\x7f", "é", "80"}
	for range 200_000 {
		s := ""
		for range rnd.IntN(8) {
			s += parts[rnd.IntN(len(parts))]
		}
		if got, want := r4json.Pattern("id", s), id.MatchString(s); got != want {
			t.Fatalf("id %q: %v, want %v", s, got, want)
		}
		if got, want := r4json.Pattern("code", s), code.MatchString(s); got != want {
			t.Fatalf("code %q: %v, want %v", s, got, want)
		}
		if _, err := url.Parse(s); r4json.Pattern("uri", s) != (err == nil) {
			t.Fatalf("uri %q: %v, net/url says %v", s, r4json.Pattern("uri", s), err)
		}
	}
}
