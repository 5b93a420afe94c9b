package sitefile_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trialwatch/trialwatch/fhir/sitefile"
	"github.com/trialwatch/trialwatch/internal/golden"
	"github.com/trialwatch/trialwatch/rules/document"
)

// TestBadFiles: testdata holds files named for what is wrong with them, and beside each what is said.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/site.*.yaml")
	if err != nil || len(files) < 12 {
		t.Fatalf("%d bad files (%v), want a dozen", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "site."), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s, err := sitefile.Parse(filepath.Base(file), data)
			var errs document.Errors
			if s != nil || !errors.As(err, &errs) || len(errs) == 0 {
				t.Fatalf("got %v and %v, want errors", s, err)
			}
			for _, e := range errs {
				if e.Line == 0 {
					t.Errorf("%v has no place", e)
				}
			}
			golden.Equal(t, strings.TrimSuffix(file, ".yaml")+".txt", errs.Report())
		})
	}
}

func TestTooLarge(t *testing.T) {
	_, err := sitefile.Parse("site.yaml", []byte("site: main\n"+strings.Repeat("# ", sitefile.MaxBytes)))
	if err == nil || !strings.Contains(err.Error(), "larger than 256 KiB") {
		t.Errorf("got %v, want that it is too large", err)
	}
}

func example(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile("../../deployments/sites/main.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// The example that is shipped is good, and a protocol's own concept may have codes of a site.
func TestExample(t *testing.T) {
	s, err := sitefile.Parse("main.yaml", example(t))
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != "main" || s.Zone.String() != "America/Chicago" || len(s.FHIR().Units["neutrophils"]) != 2 || s.FHIR().Normal["alt"].High.String() != "40" {
		t.Errorf("got %+v", s)
	}
	own := []byte("site: main\ncodes: [{ concept: prednisone, codes: [\"urn:x|P\"] }]\n")
	if _, err := sitefile.Parse("own.yaml", own); err == nil {
		t.Error("a concept that nobody knows is no error")
	}
	if _, err := sitefile.Parse("own.yaml", own, "prednisone"); err != nil {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(example(f))
	f.Add([]byte("site: [a"))
	f.Add([]byte("site: x\nunits: [{analyte: alt, spellings: {\"\": U/L}}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := sitefile.Parse("f.yaml", data)
		if (s == nil) == (err == nil) {
			t.Fatalf("got %v and %v: want one of them", s, err)
		}
	})
}
