package fhir_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/trialwatch/trialwatch/deployments/protocols"
	"github.com/trialwatch/trialwatch/fhir"
	"github.com/trialwatch/trialwatch/internal/feed"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// Package r4json decides nothing: of every line of a feed the same becomes with it and with google/fhir parsing everything, to the last field of the fact.
func TestFeedsAreReadAlike(t *testing.T) {
	t.Run("scenarios", func(t *testing.T) {
		files, err := fs.Glob(protocols.FS, "*/scenarios/*.txtar")
		if err != nil || len(files) == 0 {
			t.Fatalf("got %d scenarios, error %v", len(files), err)
		}
		d := newPair(t)
		for _, name := range files {
			data, err := protocols.FS.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range txtar.Parse(data).Files {
				if f.Name == "feed" {
					d.compare(t, name, bytes.NewReader(f.Data))
				}
			}
		}
		d.done(t)
	})
	t.Run("fifty thousand Observations", func(t *testing.T) {
		if testing.Short() {
			t.Skip("google/fhir takes 15 seconds for them")
		}
		name := filepath.Join(sharedData(t), "bench", "events.ndjson.gz")
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		d := newPair(t)
		d.compare(t, filepath.Base(name), r)
		d.done(t)
	})
}

// pair is a decoder with the fast path and one without it. Both know the drugs and results of every shipped protocol.
type pair struct {
	fast, google *fhir.Decoder
	lines, shown int
	kinds        map[fhir.Kind]int
}

func newPair(t *testing.T) *pair {
	t.Helper()
	cfg := fhir.Config{Zone: chicago, BaseURLs: []string{ownBase}}
	files, err := fs.Glob(protocols.FS, "*/protocol.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d protocols, error %v", len(files), err)
	}
	for _, name := range files {
		data, err := protocols.FS.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		p, err := protocol.Parse(name, data)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range p.Concepts() {
			cfg.Concepts = append(cfg.Concepts, fhir.Concept{Name: c.Concept, Codes: c.Codes, Texts: c.Texts, Unit: c.Unit})
		}
	}
	d := &pair{kinds: map[fhir.Kind]int{}}
	for _, made := range []**fhir.Decoder{&d.fast, &d.google} {
		if *made, err = fhir.New(cfg); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.google.WithoutFastPath(); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *pair) compare(t *testing.T, name string, r io.Reader) {
	t.Helper()
	err := feed.Read(name, r, feed.MaxLine, func(l feed.Line) error {
		if strings.HasPrefix(string(l.Data), "#") {
			return nil // a sentence of the story
		}
		m := fhir.Message{Data: l.Data, Site: l.Site, ReceivedAt: l.ReceivedAt}
		fast, google := d.fast.Decode(m), d.google.Decode(m)
		d.lines++
		for i := range fast {
			d.kinds[fast[i].Kind]++
		}
		if !reflect.DeepEqual(google, fast) && d.shown < 10 {
			d.shown++
			t.Errorf("%s:%d (-google/fhir +r4json):\n%s", name, l.Number, cmp.Diff(text(google), text(fast)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func text(outcomes []fhir.Outcome) string {
	var b strings.Builder
	for i := range outcomes {
		o := &outcomes[i]
		fact, err := json.MarshalIndent(o.Fact, "", " ")
		fmt.Fprintf(&b, "kind %d, %q, %q, %v, entry %d, received %s, %v\n%s\n", o.Kind, o.Reason, o.Detail, o.Ref, o.Entry, o.ReceivedAt, err, fact)
	}
	return b.String()
}

// done holds that something was compared: the fast path was taken, and the other decoder never took it.
func (d *pair) done(t *testing.T) {
	t.Helper()
	if d.kinds[fhir.Accepted] == 0 || len(d.google.Parses()) > 0 {
		t.Errorf("got %d lines, of which %d are facts; the decoder without the fast path took it: %v", d.lines, d.kinds[fhir.Accepted], d.google.Parses())
	}
	t.Logf("%d lines; outcomes by kind %v; google/fhir was asked by the fast path for %v", d.lines, d.kinds, d.fast.Parses())
}
