package protocol_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/trialwatch/trialwatch/internal/golden"
	"github.com/trialwatch/trialwatch/rules/document"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// TestBrokenFiles reads every file under testdata, which is named for what is wrong with it, and compares what its author would read.
func TestBrokenFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) < 40 {
		t.Fatalf("only %d files (%v)", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p, err := protocol.Parse(name+".yaml", data)
			got := "ok\n"
			var errs protocol.Errors
			switch {
			case errors.As(err, &errs):
				got = errs.Report()
				for _, e := range errs {
					if e.Line > 0 && !strings.Contains(e.Excerpt, "^") {
						t.Errorf("%v has no caret", e)
					}
				}
			case err != nil:
				t.Fatalf("got %v, want Errors", err)
			default:
				for _, n := range p.Notes {
					got += n.Report()
				}
			}
			golden.Equal(t, strings.TrimSuffix(file, ".yaml")+".txt", got)
		})
	}
}

// TestHugeFiles: what no person writes is refused for what it is, and costs next to nothing. The bound is memory, which a slow machine does not change;
// without the limits in front of the parser these files take up to 8 GB, or the whole stack.
func TestHugeFiles(t *testing.T) {
	bomb, err := os.ReadFile("testdata/alias-bomb.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var keys, entries strings.Builder
	for i := range 3_900 {
		fmt.Fprintf(&keys, "k%d: 1\n", i)
		fmt.Fprintf(&entries, "- e%d\n", i)
	}
	for _, tt := range []struct{ name, text, want string }{
		{"alias bomb", string(bomb), "anchors and aliases are not allowed"},
		{"10 MB", "study: " + strings.Repeat("x", 10<<20), "larger than 256 KiB"},
		{"10 MB of lines", strings.Repeat("study: x\n", 10<<20/9), "larger than 256 KiB"},
		{"brackets", strings.Repeat("[", 250<<10), "braces and brackets"},
		{"braces", strings.Repeat("{a: ", 60<<10), "braces and brackets"},
		{"brackets within closed ones in a comment", strings.Repeat("[ # ]\n", 40<<10), "braces and brackets"},
		{"lists within lists on a line", strings.Repeat("- ", 120<<10) + "x", "lists within lists"},
		{"lists within lists, indented", func() string {
			var b strings.Builder
			for i := range 700 {
				b.WriteString(strings.Repeat(" ", i) + "-\n")
			}
			return b.String()
		}(), "want keys with values"},
		{"many keys", keys.String(), "unknown key"},
		{"many entries", entries.String(), "want keys with values"},
		{"one long key", strings.Repeat("k", 250<<10) + ": 1\n", "unknown key"},
		{"one long text", "study: " + strings.Repeat("k", 250<<10) + "\n", "is no id"},
		{"many commas", "a: [" + strings.Repeat("x,", 100<<10) + "]", "more than 8000 keys, entries and lines"},
		{"many comments", strings.Repeat("#\n", 100<<10), "more than 8000 keys, entries and lines"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := protocol.Parse("huge.yaml", []byte(tt.text))
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %.300v\nwant %q in it", err, tt.want)
			}
			if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > 160 {
				t.Errorf("took %d MB in all", mb)
			}
			if err != nil && len(err.Error()) > 20<<10 {
				t.Errorf("the error is %d bytes long", len(err.Error()))
			}
			var errs protocol.Errors
			if errors.As(err, &errs) && len(errs) > document.MaxErrors+1 {
				t.Errorf("%d errors", len(errs))
			}
		})
	}
}
