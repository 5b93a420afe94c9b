package fhir_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trialwatch/trialwatch/fhir"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

func bundleOf(entries ...string) string {
	return `{"resourceType":"Bundle","type":"batch","timestamp":"2026-02-20T13:00:00Z","entry":[` + strings.Join(entries, ",") + `]}`
}

func entryOf(resource string) string { return `{"resource":` + resource + `}` }

// Every entry is judged by itself: whatever is wrong with one, the others are what they are alone.
func TestBundleEntriesAreJudgedAlone(t *testing.T) {
	d := newDecoder(t)
	for _, tt := range []struct{ name, entry, want string }{
		{"a status of no code", entryOf(with(observation, "final", "Final")), "dead letter invalid-code" + markO1},
		{"a key twice", entryOf(add(observation, `"status":"final"`)), "dead letter duplicate-key"},
		{"a key twice within", entryOf(with(observation, `"value":0.45`, `"value":45,"value":0.45`)), "dead letter duplicate-key"},
		{"a name in another case", entryOf(with(observation, `"status"`, `"Status"`)), "dead letter bad-name"},
		{"not UTF-8", entryOf(with(observation, "final", "fin\xffal")), "dead letter not-json"},
		{"half a surrogate pair", entryOf(with(observation, "final", `fin\ud800al`)), "dead letter not-json"},
		{"too deep", entryOf(add(observation, `"extension":`+strings.Repeat("[", 1000)+strings.Repeat("]", 1000))), "dead letter too-deep"},
		{"too many elements", entryOf(add(observation, `"extension":[0`+strings.Repeat(",0", 2000)+`]`)), "dead letter too-complex"},
		{"too long a string", entryOf(add(observation, `"language":"`+strings.Repeat("x", 64<<10+1)+`"`)), "dead letter too-large"},
		{"too large", entryOf(add(observation, `"note":["`+strings.Repeat("x", 256<<10)+`"]`)), "dead letter too-large"},
		{"too large, and of a type that nothing reads", entryOf(`{"resourceType":"Binary","data":"` + strings.Repeat("x", 256<<10) + `"}`), "not relevant"},
		{"no object", entryOf("[]"), "dead letter not-fhir"},
		{"null", entryOf("null"), "dead letter not-fhir"},
		{"a type that R4 has not", entryOf(with(observation, "Observation", "Observations")), "dead letter not-fhir"},
		{"the entry no object", "7", "dead letter not-fhir"},
		{"two resources in one entry", `{"resource":` + observation + `,"resource":` + observation + `}`, "dead letter duplicate-key"},
		{"Resource", `{"Resource":` + observation + `}`, "dead letter bad-name"},
		{"a Bundle in a Bundle", entryOf(bundleOf(entryOf(observation))), "not relevant"},
		{"a void", entryOf(with(observation, "final", "entered-in-error")), `void Observation/o1 of "Patient/p1"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			good := with(observation, `"o1"`, `"o2"`)
			out := d.Decode(fhir.Message{Data: []byte(bundleOf(entryOf(good), tt.entry, entryOf(tilProcedure))), Site: "main"})
			want := []string{anc045, tt.want, infusion + "completed"}
			if len(out) != len(want) {
				t.Fatalf("got %d outcomes, want %d", len(out), len(want))
			}
			for i := range out {
				if got := summary(&out[i]); got != want[i] {
					t.Errorf("entry %d: got %s (%s), want %s", i, got, out[i].Detail, want[i])
				}
				if out[i].Entry != i {
					t.Errorf("got entry %d, want %d", out[i].Entry, i)
				}
			}
			if got := string(out[0].Raw); got != good {
				t.Errorf("got raw bytes %s, want those of the entry alone", got)
			}
		})
	}
}

// What is wrong with the Bundle itself leaves no entry to trust.
func TestBrokenBundles(t *testing.T) {
	d := newDecoder(t)
	whole := bundleOf(entryOf(observation))
	for _, tt := range []struct{ name, data, want string }{
		{"cut off", whole[:len(whole)-2], "dead letter not-json"},
		{"two", whole + whole, "dead letter not-json"},
		{"entry twice", add(whole, `"entry":[]`), "dead letter duplicate-key"},
		{"Entry", with(whole, `"entry"`, `"Entry"`), "dead letter bad-name"},
		{"empty", bundleOf(), "not relevant"},
		{"no entries", `{"resourceType":"Bundle","type":"batch"}`, "not relevant"},
		{"entry no array", `{"resourceType":"Bundle","entry":{}}`, "not relevant"},
		{"entries without resources", bundleOf(`{"fullUrl":"urn:x"}`, `{"response":{"status":"200"}}`), "not relevant"},
	} {
		o := one(t, d, tt.data)
		if got := summary(&o); got != tt.want {
			t.Errorf("%s: got %s (%s), want %s", tt.name, got, o.Detail, tt.want)
		}
		if o.Entry != -1 {
			t.Errorf("%s: got entry %d, want -1", tt.name, o.Entry)
		}
	}
}

// A DELETE takes back what it names. It has no version but its receipt.
func TestBundleDelete(t *testing.T) {
	d := newDecoder(t)
	request := func(method, url string) string {
		return fmt.Sprintf(`{"request":{"method":%q,"url":%q}}`, method, url)
	}
	for _, tt := range []struct{ name, entry, want string }{
		{"relative", request("DELETE", "Observation/o9"), `void Observation/o9 of ""`},
		{"own base URL", request("DELETE", ownBase+"/Observation/o9"), `void Observation/o9 of ""`},
		{"a patient", request("DELETE", "Patient/p9"), `void Patient/p9 of "Patient/p9"`},
		{"with a resource that cannot be read", `{"resource":{"a":1,"a":1},"request":{"method":"DELETE","url":"Observation/o9"}}`, `void Observation/o9 of ""`},
		{"what nothing reads", request("DELETE", "Appointment/e9"), "not relevant"},
		{"what does not exist", request("DELETE", "Nonsense/e9"), "not relevant"},
		{"a version", request("DELETE", "Observation/o9/_history/1"), "not relevant"},
		{"by search", request("DELETE", "Observation?subject=p1"), "not relevant"},
		{"a write is no deletion", request("PUT", "Observation/o9"), "not relevant"},
	} {
		out := d.Decode(fhir.Message{Data: []byte(bundleOf(tt.entry)), Site: "main"})
		if len(out) != 1 {
			t.Fatalf("%s: got %d outcomes, want 1", tt.name, len(out))
		}
		if got := summary(&out[0]); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
		want := time.Date(2026, 2, 20, 13, 0, 0, 0, time.UTC)
		if f := out[0].Fact; f != nil && (!f.Version.LastUpdated.Equal(want) || !f.ReceivedAt.Equal(want) || f.Version.Digest == "" || out[0].Entry != 0) {
			t.Errorf("%s: got version %+v received %s entry %d, want the Bundle's timestamp %s and entry 0", tt.name, f.Version, f.ReceivedAt, out[0].Entry, want)
		}
	}
}

// A history tells a deletion and what was stored after it in one Bundle: the deletion is as new as the server says, or it would take back what
// came later.
func TestHistoryOfADeletion(t *testing.T) {
	d := newDecoder(t)
	deletion := `{"request":{"method":"DELETE","url":"Observation/o1"},"response":{"status":"204","lastModified":"2026-02-20T12:04:00Z"}}`
	later := with(observation, `"versionId":"2",`, "")
	for _, received := range []time.Time{{}, time.Date(2026, 2, 20, 15, 0, 0, 0, time.UTC)} {
		tl := timeline.New()
		out := d.Decode(fhir.Message{Data: []byte(bundleOf(entryOf(later), deletion)), Site: "main", ReceivedAt: received})
		for _, o := range out {
			tl.Apply(o.Fact)
		}
		if len(tl.Series(timeline.Neutrophils)) != 1 {
			t.Errorf("received %s: the earlier deletion has taken back the later version", received)
		}
		if f := out[1].Fact; !received.IsZero() && !f.ReceivedAt.Equal(received) {
			t.Errorf("got receipt %s, want %s", f.ReceivedAt, received)
		}
		tl = timeline.New()
		for _, o := range d.Decode(fhir.Message{Data: []byte(bundleOf(entryOf(with(later, "12:05", "12:03")), deletion)), Site: "main", ReceivedAt: received}) {
			tl.Apply(o.Fact)
		}
		if len(tl.Series(timeline.Neutrophils)) != 0 {
			t.Errorf("received %s: the later deletion has not taken back the earlier version", received)
		}
	}
}

// The decoder is shared by all workers.
func TestDecodersAreSafeTogether(t *testing.T) {
	d := newDecoder(t)
	want := make([]string, len(allRows))
	for i, r := range allRows {
		o := one(t, d, r.data)
		want[i] = summary(&o)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i, r := range allRows {
				if o := d.Decode(fhir.Message{Data: []byte(r.data), Site: "main"}); summary(&o[0]) != want[i] {
					t.Errorf("%s: got %s, want %s", r.name, summary(&o[0]), want[i])
				}
			}
		})
	}
	wg.Wait()
}

// References that mean something only within the Bundle are found there.
func TestBundleReferences(t *testing.T) {
	const uuid = "urn:uuid:6f5b1a3e-0000-4000-8000-000000000001"
	person := `{"fullUrl":"` + uuid + `","resource":` + patient + `}`
	d := newDecoder(t)
	for _, tt := range []struct{ name, data, want string }{
		{"urn:uuid", bundleOf(entryOf(with(observation, "Patient/p1", uuid)), person), anc045},
		{"urn:uuid of nobody in it", bundleOf(entryOf(with(observation, "Patient/p1", uuid))), with(anc045, "Patient/p1", uuid)},
		{"of a dead letter", bundleOf(entryOf(with(observation, "Patient/p1", uuid, "final", "Final")), person), "dead letter invalid-code" + markO1},
		{"somebody else's server", bundleOf(entryOf(with(observation, "Patient/p1", "https://other.example.org/Patient/p1")), `{"fullUrl":"https://other.example.org/Patient/p1","resource":`+patient+`}`), anc045},
		{"contained is of its own resource", bundleOf(entryOf(with(observation, "Patient/p1", "#p")), entryOf(add(patient, `"contained":[`+with(patient, `"p1"`, `"p"`)+`]`))), `dead letter no-patient marks Observation/o1 of ""`},
	} {
		out := d.Decode(fhir.Message{Data: []byte(tt.data), Site: "main"})
		if got := summary(&out[0]); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

// A Bundle may be larger than a resource.
func TestLargeBundle(t *testing.T) {
	entries := make([]string, 2500)
	for i := range entries {
		entries[i] = entryOf(with(observation, `"o1"`, fmt.Sprintf(`"o%d"`, i)))
	}
	out := newDecoder(t).Decode(fhir.Message{Data: []byte(bundleOf(entries...)), Site: "main"})
	if len(out) != len(entries) {
		t.Fatalf("got %d outcomes, want %d", len(out), len(entries))
	}
	for i := range out {
		if out[i].Kind != fhir.Accepted || out[i].Entry != i || out[i].Ref.ID() != fmt.Sprintf("o%d", i) {
			t.Fatalf("entry %d: got %s %s entry %d, want its fact", i, out[i].Kind, out[i].Ref, out[i].Entry)
		}
	}
}

// Where a message has no receipt of its own the resource says when.
func TestReceipt(t *testing.T) {
	d := newDecoder(t)
	noMeta := with(observation, `"meta":{"versionId":"2","lastUpdated":"2026-02-20T12:05:00Z"},`, "")
	for _, tt := range []struct{ name, data, want string }{
		{"lastUpdated", observation, "2026-02-20T12:05:00Z"},
		{"issued", add(noMeta, `"issued":"2026-02-20T12:04:00Z"`), "2026-02-20T12:04:00Z"},
		{"clinical time", noMeta, "2026-02-20T12:00:00Z"},
		{"period", with(noMeta, `"effectiveDateTime":"2026-02-20T06:00:00-06:00"`, `"effectivePeriod":{"start":"2026-02-20T05:00:00-06:00"}`), "2026-02-20T11:00:00Z"},
		{"nothing", `{"resourceType":"Appointment"}`, "1970-01-01T00:00:00Z"},
		{"nothing that can be read", "{", "1970-01-01T00:00:00Z"},
		{"a Bundle of nothing", `{"resourceType":"Bundle"}`, "1970-01-01T00:00:00Z"},
		{"the Bundle's timestamp", bundleOf(entryOf(noMeta)), "2026-02-20T13:00:00Z"},
		{"the Bundle's lastUpdated", add(bundleOf(entryOf(noMeta)), `"meta":{"lastUpdated":"2026-02-20T14:00:00Z"}`), "2026-02-20T14:00:00Z"},
		{"the entry's lastUpdated", bundleOf(entryOf(observation)), "2026-02-20T12:05:00Z"},
	} {
		o := one(t, d, tt.data)
		if got := o.ReceivedAt.UTC().Format(time.RFC3339); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
		if o.Fact != nil && !o.Fact.ReceivedAt.Equal(o.ReceivedAt) {
			t.Errorf("%s: the fact was received %s, the message %s", tt.name, o.Fact.ReceivedAt, o.ReceivedAt)
		}
	}
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for _, o := range d.Decode(fhir.Message{Data: []byte(bundleOf(entryOf(observation), entryOf("[]"))), Site: "main", ReceivedAt: at}) {
		if !o.ReceivedAt.Equal(at) {
			t.Errorf("got %s, want the receipt of the message", o.ReceivedAt)
		}
	}
	for _, o := range d.Decode(fhir.Message{Data: []byte(bundleOf()), Site: "main", ReceivedAt: at}) {
		if !o.ReceivedAt.Equal(at) {
			t.Errorf("an empty Bundle: got %s, want the receipt of the message", o.ReceivedAt)
		}
	}
}

// A repetition in another layout is the same version; another value is not.
func TestVersion(t *testing.T) {
	d := newDecoder(t)
	a := one(t, d, observation).Fact.Version
	if a.ID != "2" || a.LastUpdated.UTC().Format(time.RFC3339) != "2026-02-20T12:05:00Z" || len(a.Digest) != 64 {
		t.Errorf("got %+v, want versionId 2, lastUpdated and a SHA-256", a)
	}
	if b := one(t, d, strings.ReplaceAll(observation, `,"`, ",\n  \"")).Fact.Version; b != a {
		t.Errorf("in another layout: got %+v, want %+v", b, a)
	}
	if b := one(t, d, with(observation, "0.45", "0.46")).Fact.Version; b.Digest == a.Digest {
		t.Error("another value has the same digest")
	}
}

// What some protocol does not read costs nothing and is nobody's dead letter.
func TestReads(t *testing.T) {
	d, err := fhir.New(fhir.Config{Reads: map[string]bool{"neutrophils": true, "creatinine-mass": true}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ data, want string }{
		{observation, anc045},
		{with(observation, "751-8", "8310-5", "final", "Final"), "not relevant"},
		{with(observation, "751-8", "14682-9", "10*3/uL", "umol/L", "0.45", "141"), with(anc045, "neutrophils=9/20", "creatinine-molar=141")},
		{administration, "not relevant"},
	} {
		if o := one(t, d, tt.data); summary(&o) != tt.want {
			t.Errorf("%s\ngot  %s\nwant %s", tt.data, summary(&o), tt.want)
		}
	}
}

// A site adds its own codes; a code that is none is an error at the start, not a silence later.
func TestConcepts(t *testing.T) {
	d, err := fhir.New(fhir.Config{Concepts: []fhir.Concept{{Name: "neutrophils", Codes: []string{"urn:lab|ANC"}}, {Name: "aldesleukin", Texts: []string{"il2 study drug"}}}})
	if err != nil {
		t.Fatal(err)
	}
	if o := one(t, d, with(observation, "http://loinc.org", "urn:lab", "751-8", "ANC")); summary(&o) != anc045 {
		t.Errorf("got %s, want %s", summary(&o), anc045)
	}
	if o := one(t, d, with(administration, `{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"70223"}]}`, `{"text":"IL2 study drug, 22 MIU"}`)); o.Kind != fhir.Accepted {
		t.Errorf("got %s, want a fact by the site's words", summary(&o))
	}
	for _, code := range []string{"ANC", "|ANC", "urn:lab|", ""} {
		if _, err := fhir.New(fhir.Config{Concepts: []fhir.Concept{{Name: "neutrophils", Codes: []string{code}}}}); err == nil {
			t.Errorf("code %q: got no error", code)
		}
	}
}

// Split gives what Decode of the whole would have given, part by part.
func TestSplit(t *testing.T) {
	const uuid = "urn:uuid:6f5b1a3e-0000-4000-8000-000000000001"
	data := bundleOf(`{"fullUrl":"`+uuid+`","resource":`+patient+`}`, entryOf(with(observation, "Patient/p1", uuid)), entryOf(add(tilProcedure, `"id":"x"`)),
		`{"request":{"method":"DELETE","url":"Observation/o9"}}`, entryOf(`{"id":"x"}`),
		entryOf(with(observation, `"value":0.45`, `"value":45,"value":0.45`)), entryOf(with(observation, "Patient/p1", "urn:uuid:of-nobody")),
		entryOf(`{"resourceType":"Binary","data":"`+strings.Repeat("x", 256<<10)+`"}`), "7", `{"fullUrl":"urn:x"}`)
	parts, err := fhir.Split([]byte("\ufeff"+data), fhir.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	d := newDecoder(t)
	got := make([]string, len(parts))
	for i, p := range parts {
		if got[i] = fmt.Sprintf("%v", p.Err); p.Err == nil {
			o := one(t, d, string(p.Data))
			got[i] = p.Type + "/" + p.ID + ": " + summary(&o)
		}
	}
	want := []string{
		`Patient/p1: fact of "Patient/p1" person [urn:mrn|77] replaced "" died ""`,
		"Observation/o1: " + anc045,
		"duplicate-key: an object has one key twice",
		`Bundle/: void Observation/o9 of ""`,
		"no resourceType",
		"Observation/o1: dead letter duplicate-key", // for the reader to judge
		"Observation/o1: " + with(anc045, "Patient/p1", "urn:uuid:of-nobody"),
		"Binary/: not relevant",
		"not-fhir: a resource is a JSON object",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	// What Decode finds in the Bundle is found in the part alone.
	for _, ref := range []string{uuid, "https://other.example.org/Patient/p1", "https://other.example.org/Patient/p1/_history/2"} {
		whole := bundleOf(entryOf(with(observation, "Patient/p1", ref)), `{"fullUrl":"`+strings.TrimSuffix(ref, "/_history/2")+`","resource":`+patient+`}`)
		if parts, err = fhir.Split([]byte(whole), fhir.Limits{}); err != nil {
			t.Fatal(err)
		}
		want := d.Decode(fhir.Message{Data: []byte(whole)})
		for i, p := range parts {
			if o := one(t, d, string(p.Data)); summary(&o) != summary(&want[i]) || i == 0 && summary(&o) != anc045 {
				t.Errorf("%s: got %s, want %s", ref, summary(&o), summary(&want[i]))
			}
		}
	}
	deletion := bundleOf(`{"request":{"method":"DELETE","url":"Observation/o1"},"response":{"lastModified":"2026-02-20T12:04:00Z"}}`)
	if parts, err = fhir.Split([]byte(deletion), fhir.Limits{}); err != nil || one(t, d, string(parts[0].Data)).Fact.Version != one(t, d, deletion).Fact.Version {
		t.Errorf("a deletion: got %+v, %v, want the version that the server says", parts, err)
	}

	// A name must not be able to end a string and add a member.
	evil := `{"fullUrl":"` + uuid + `","resource":` + with(patient, `"p1"`, `"p1\",\"type\":\"Group"`) + `}`
	if parts, err = fhir.Split([]byte(bundleOf(evil, entryOf(with(observation, "Patient/p1", uuid)))), fhir.Limits{}); err != nil || !strings.Contains(string(parts[1].Data), `{"reference":"`+uuid+`"}`) {
		t.Errorf("got %+v, %v, want the reference as it was", parts, err)
	}

	if parts, err = fhir.Split([]byte(observation), fhir.Limits{}); err != nil || len(parts) != 1 || parts[0].Type != "Observation" || string(parts[0].Data) != observation {
		t.Errorf("a bare resource: got %+v, %v, want itself", parts, err)
	}
	for _, data := range []string{"", "{", "[]", "{}", `{"a":1,"a":2}`, `{"resourceType":5}`} {
		if _, err := fhir.Split([]byte(data), fhir.Limits{}); err == nil {
			t.Errorf("%q: got no error", data)
		}
	}
}
