package r4json_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/fhir/go/fhirversion"
	"github.com/google/fhir/go/jsonformat"
	"google.golang.org/protobuf/proto"

	"github.com/trialwatch/trialwatch/fhir/r4json"
)

// A zone with summer time, so that a date is a different instant in winter and summer.
const zone = "America/Chicago"

// judge is jsonformat, which has the last word.
func judge(t testing.TB) *jsonformat.Unmarshaller {
	t.Helper()
	u, err := jsonformat.NewUnmarshaller(zone, fhirversion.R4)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func newDecoder(t testing.TB) *r4json.Decoder {
	t.Helper()
	d, err := r4json.New(zone)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// differ compares a decoder with jsonformat on one document. The reason is why it was given up; the error is a disagreement: what was decoded is refused by
// jsonformat, or is another message there.
func differ(d *r4json.Decoder, u *jsonformat.Unmarshaller, data []byte) (r4json.Reason, error) {
	before := bytes.Clone(data)
	got, reason := d.Decode(data)
	if !bytes.Equal(before, data) {
		return reason, fmt.Errorf("the document was changed")
	}
	if (got == nil) == (reason == r4json.None) {
		return reason, fmt.Errorf("message %v with reason %s", got != nil, reason)
	}
	if reason != r4json.None {
		return reason, nil
	}
	want, err := u.UnmarshalR4(data)
	if err != nil {
		return reason, fmt.Errorf("decoded, but jsonformat refuses it: %w", err)
	}
	if !proto.Equal(got, want) {
		return reason, fmt.Errorf("decoded as another message\ngot  %v\nwant %v", got, want)
	}
	return reason, nil
}

// examples are our own documents: testdata/*.json.
func examples(t testing.TB) map[string][]byte {
	t.Helper()
	m := map[string][]byte{}
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		m[filepath.Base(f)] = data
	}
	return m
}

// corpora calls use for every document of the public example and hostile files: each line of an NDJSON file, the whole of another.
func corpora(t testing.TB, use func(corpus, name string, data []byte)) {
	t.Helper()
	root := os.Getenv("TRIALWATCH_SHARED")
	if root == "" {
		t.Skip("TRIALWATCH_SHARED is not set: it names the directory with fhir-corpus and badinput, public example files that are not copied into the project")
	}
	for _, dir := range []string{"fhir-corpus", "badinput"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			name, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			parts := strings.Split(filepath.ToSlash(name), "/")
			corpus := strings.Join(parts[:2], "/")
			if !strings.HasSuffix(name, ".ndjson") {
				use(corpus, name, data)
				return nil
			}
			for line := range bytes.Lines(data) {
				if len(bytes.TrimSpace(line)) > 0 {
					use(corpus, name, line)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Every document of the public corpora is decoded as jsonformat decodes it, or is given up.
func TestCorporaAgree(t *testing.T) {
	d, u := newDecoder(t), judge(t)
	type tally struct {
		documents, valid, decoded int
		reasons                   map[r4json.Reason]int
	}
	tallies := map[string]*tally{}
	corpora(t, func(corpus, name string, data []byte) {
		if tallies[corpus] == nil {
			tallies[corpus] = &tally{reasons: map[r4json.Reason]int{}}
		}
		c := tallies[corpus]
		c.documents++
		reason, err := differ(d, u, data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if reason == r4json.None {
			c.valid++
			c.decoded++
			return
		}
		if _, err := u.UnmarshalR4(data); err == nil {
			c.valid++
			c.reasons[reason]++
			t.Logf("%s: given up: %s", name, reason)
		}
	})
	for _, name := range slices.Sorted(maps.Keys(tallies)) {
		c := tallies[name]
		t.Logf("%s: %d documents, %d valid to jsonformat, %d of them decoded without it (%.1f %%); the others: %v",
			name, c.documents, c.valid, c.decoded, 100*float64(c.decoded)/float64(max(c.valid, 1)), c.reasons)
	}
}

// Our own examples use what is rare elsewhere, and none is given up.
func TestExamplesAgree(t *testing.T) {
	d, u := newDecoder(t), judge(t)
	for name, data := range examples(t) {
		if reason, err := differ(d, u, data); err != nil || reason != r4json.None {
			t.Errorf("%s: %s, %v", name, reason, err)
		}
	}
}

// Every resource type with every element, and with random ones, is decoded as jsonformat decodes it. Generated documents are valid, so none is given up.
func TestEveryTypeAgrees(t *testing.T) {
	d, u := newDecoder(t), judge(t)
	rounds := 6
	if testing.Short() {
		rounds = 1
	}
	for i, typ := range resourceTypes() {
		for round := range rounds {
			seed := [2]uint64{uint64(i), uint64(round)}
			g := &generator{rnd: rand.New(rand.NewPCG(seed[0], seed[1])), full: round%2 == 0}
			data := g.document(typ)
			reason, err := differ(d, u, data)
			if err != nil {
				t.Errorf("%s, seed %d: %v\n%.2000s", typ.Name(), seed, err, data)
			}
			if reason != r4json.None {
				_, err := u.UnmarshalR4(data)
				t.Errorf("%s, seed %d: given up: %s; jsonformat says %v\n%.2000s", typ.Name(), seed, reason, err, data)
			}
		}
	}
}

// What mutants have found, and what is known to be read in two ways. Each is given up, for the reason shown.
func TestGivenUp(t *testing.T) {
	d, u := newDecoder(t), judge(t)
	for _, row := range []struct {
		data string
		want r4json.Reason
	}{
		{`{"resourceType":"Basic","code":{},"text":{"status":"empty","div":""}}`, r4json.Required},             // an empty narrative
		{`{"resourceType":"Basic","code":{},"meta":{"profile":[],"_profile":[{"id":"x"}]}}`, r4json.Extension}, // taken or not, as a map's order will have it
		{`{"resourceType":"Basic","code":null}`, r4json.Null},
		{`{"resourceType":"Basic"}`, r4json.Required},
		{`{"resourceType":"Basic","Code":{}}`, r4json.UnknownElement},
		{`{"resourceType":"Basic","code":{},"\u0063ode":{}}`, r4json.UnknownElement},
		{`{"resourceType":"Basic","code":{},"code":{}}`, r4json.Duplicate},
		{`{"resourceType":"Basic","resourceType":"Basic","code":{}}`, r4json.Duplicate},
		{`{"resourceType":"Thing"}`, r4json.ResourceType},
		{`{"code":{}}`, r4json.ResourceType},
		{`{"resourceType":"Basic","code":{"text":1}}`, r4json.Shape},
		{`{"resourceType":"Basic","code":{"text":"\u0000"}}`, r4json.Text},
		{`{"resourceType":"Basic","code":{"text":"\ud800"}}`, r4json.Text},
		{"{\"resourceType\":\"Basic\",\"code\":{\"text\":\"\xff\"}}", r4json.Text},
		{"\xef\xbb\xbf" + `{"resourceType":"Basic","code":{}}`, r4json.Syntax},
		{`{"resourceType":"Basic","code":{}} {}`, r4json.Syntax},
		{"{\"resourceType\":\"Basic\",\"code\":{}}\x00", r4json.Syntax},
		{`{"resourceType":"Basic","code":{},"subject":{"reference":"Sequence/1"}}`, r4json.Reference}, // a type of STU3
		{`{"resourceType":"ResearchSubject","status":"on-study","study":{"reference":"Patient/1"},"individual":{}}`, r4json.Reference},
		{`{"resourceType":"Basic","code":{},"created":"2026-02-29"}`, r4json.Value},
		{`{"resourceType":"Basic","code":{},"id":"a_b"}`, r4json.Value},
		{`{"resourceType":"Patient","gender":"FEMALE"}`, r4json.Value}, // jsonformat takes it
		{`{"resourceType":"Binary","contentType":"a/b","data":"QU JD"}`, r4json.Value},
		{`{"resourceType":"Patient","deceasedBoolean":true,"deceasedDateTime":"2026"}`, r4json.Choice},
		{`{"resourceType":"Patient","deceasedBoolean":true,"_deceasedDateTime":{"id":"x"}}`, r4json.Choice},
		{`{"resourceType":"Basic","code":{"extension":[{"url":"u","valueDecimal":1e400}]}}`, r4json.Value},
		{`{"resourceType":"Basic","code":` + strings.Repeat(`{"extension":[`, 40) + strings.Repeat(`]}`, 40) + `}`, r4json.TooDeep},
	} {
		if reason, err := differ(d, u, []byte(row.data)); err != nil || reason != row.want {
			t.Errorf("%.100s: %s, want %s; %v", row.data, reason, row.want, err)
		}
	}
}

// What a decoder remembers of other documents makes no difference, whoever uses it meanwhile: what was said as the display of a code is not thereby a
// code or a URI, and members may come in any order.
func TestMemoryMakesNoDifference(t *testing.T) {
	d, u := newDecoder(t), judge(t)
	words := []string{"a  b", " x", "x ", "x", "a b", "http://[", "%zz", "http://a b", "http://loinc.org", "a\\u0020\\u0020b", "+01:00", "https://g.co/fhir/x"}
	var wg sync.WaitGroup
	var decoded atomic.Int64
	for worker := range uint64(4) {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(worker, 5))
			for range 2000 {
				members := []string{}
				for _, name := range []string{"system", "code", "display", "version"} {
					if rnd.IntN(4) > 0 {
						members = append(members, fmt.Sprintf(`"%s":"%s"`, name, words[rnd.IntN(len(words))]))
					}
				}
				rnd.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
				data := `{"resourceType":"Basic","code":{"coding":[{` + strings.Join(members, []string{",", " , "}[rnd.IntN(2)]) + `}]}}`
				reason, err := differ(d, u, []byte(data))
				if err != nil {
					t.Errorf("%s: %v", data, err)
				}
				if reason == r4json.None {
					decoded.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := decoded.Load(); n < 1000 {
		t.Errorf("only %d of 8000 were decoded: nothing is shown by the others", n)
	}
}
