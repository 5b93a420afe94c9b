package fhir_test

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/trialwatch/trialwatch/fhir"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

var update = flag.Bool("update", false, "write testdata/decisions.tsv anew")

const decisions = "testdata/decisions.tsv"

// decision is what became of one resource, in words without anything of its content: the kind, and why.
func decision(o *fhir.Outcome) (kind, reason string, err error) {
	switch o.Kind {
	case fhir.NotRelevant:
		if o.Fact != nil || o.Reason != "" || o.Detail != "" {
			return "", "", fmt.Errorf("not relevant, but with fact %v, reason %q, detail %q", o.Fact, o.Reason, o.Detail)
		}
		return "not relevant", "", nil
	case fhir.DeadLetter:
		if o.Reason == "" || o.Detail == "" || o.Fact != nil && o.Fact.State != timeline.Refused {
			return "", "", fmt.Errorf("dead letter with fact %v, reason %q, detail %q", o.Fact, o.Reason, o.Detail)
		}
		return "dead letter", string(o.Reason), nil
	case fhir.Accepted:
		f := o.Fact
		if f == nil || o.Reason != "" || o.Detail != "" || f.Ref != o.Ref {
			return "", "", fmt.Errorf("accepted with fact %v, reason %q, detail %q", f, o.Reason, o.Detail)
		}
		if f.State == timeline.Void {
			return "void", "", nil
		}
		said := 0
		for _, set := range []bool{len(f.Results) > 0, f.Dose != nil, f.Procedure != nil, f.Response != nil, f.AdverseEvent != nil, f.Order != nil, f.Enrolment != nil, f.Encounter != nil, f.Person != nil, f.Product != nil} {
			if set {
				said++
			}
		}
		if said != 1 || f.State != timeline.Usable || f.Owner() == "" {
			return "", "", fmt.Errorf("the fact says %d things, wants 1; state %q, owner %q", said, f.State, f.Owner())
		}
		var problems []string
		for i := range f.Results {
			if p := f.Results[i].Problem; p != nil {
				problems = append(problems, p.Reason)
			}
		}
		if f.Dose != nil && f.Dose.Problem != nil {
			problems = append(problems, f.Dose.Problem.Reason)
		}
		if f.AdverseEvent != nil && f.AdverseEvent.Problem != nil {
			problems = append(problems, f.AdverseEvent.Problem.Reason)
		}
		if f.Encounter != nil && f.Encounter.Problem != nil {
			problems = append(problems, f.Encounter.Problem.Reason)
		}
		if len(problems) > 0 {
			return "fact with a reason", strings.Join(problems, ","), nil
		}
		return "fact", "", nil
	}
	return "", "", fmt.Errorf("kind %d", o.Kind)
}

// sharedData is where the public example and hostile files stand: they are not part of the project.
func sharedData(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("TRIALWATCH_SHARED")
	if dir == "" {
		t.Skip("TRIALWATCH_SHARED is not set: it names the directory with fhir-corpus and badinput, public example files that are not copied into the project")
	}
	return dir
}

// corpus calls use for every resource of the corpora: each line of an NDJSON file, the whole of another.
func corpus(t testing.TB, use func(name string, data []byte)) {
	t.Helper()
	root := sharedData(t)
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
			name = filepath.ToSlash(name)
			if !strings.HasSuffix(name, ".ndjson") {
				use(name, data)
				return nil
			}
			number := 0
			for line := range bytes.Lines(data) {
				if number++; len(bytes.TrimSpace(line)) > 0 {
					use(fmt.Sprintf("%s:%d", name, number), line)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Every resource of the corpora ends in exactly one way, and in the way that was reviewed: with google/fhir parsing everything, and with package r4json
// before it. Run with -update after a change, and read the diff.
func TestCorpus(t *testing.T) {
	t.Run("fast", func(t *testing.T) {
		d := newDecoder(t)
		testCorpus(t, d)
		t.Logf("parsed by reason for which google/fhir was asked: %v", d.Parses())
	})
	t.Run("google", func(t *testing.T) {
		d := newDecoder(t)
		if err := d.WithoutFastPath(); err != nil {
			t.Fatal(err)
		}
		testCorpus(t, d)
		if n := d.Parses(); len(n) > 0 {
			t.Errorf("the fast path was used: %v", n)
		}
	})
}

func testCorpus(t *testing.T, d *fhir.Decoder) {
	var b strings.Builder
	b.WriteString("# file[:line][#entry]\tdecision\treason\n")
	corpus(t, func(name string, data []byte) {
		before := bytes.Clone(data)
		defer func() {
			if r := recover(); r != nil {
				t.Errorf("%s: panic: %v", name, r)
			}
		}()
		out := d.Decode(fhir.Message{Data: data, Site: "main"})
		if len(out) == 0 {
			t.Errorf("%s: no outcome", name)
		}
		for i := range out {
			o := &out[i]
			kind, reason, err := decision(o)
			if err != nil {
				t.Errorf("%s: entry %d: %v", name, o.Entry, err)
			}
			if o.ReceivedAt.IsZero() || len(o.Detail) > 200 || !utf8.ValidString(o.Detail) {
				t.Errorf("%s: entry %d: received %s, detail %q", name, o.Entry, o.ReceivedAt, o.Detail)
			}
			at := name
			if o.Entry >= 0 {
				at += fmt.Sprintf("#%d", o.Entry)
			}
			fmt.Fprintf(&b, "%s\t%s\t%s\n", strings.NewReplacer("\t", " ", "\n", " ").Replace(at), kind, reason)
		}
		if !bytes.Equal(before, data) {
			t.Errorf("%s: the message was changed", name)
		}
	})
	if *update {
		if err := os.WriteFile(decisions, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	golden, err := os.ReadFile(decisions)
	if err != nil {
		t.Fatal(err)
	}
	got, want := strings.Split(b.String(), "\n"), strings.Split(string(golden), "\n")
	shown := 0
	for i := range max(len(got), len(want)) {
		g, w := "nothing", "nothing"
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w && shown < 20 {
			shown++
			t.Errorf("row %d:\ngot  %s\nwant %s", i+1, g, w)
		}
	}
}
