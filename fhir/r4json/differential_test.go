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
