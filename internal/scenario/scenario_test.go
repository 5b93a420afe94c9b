package scenario_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trialwatch/trialwatch/deployments/protocols"
	"github.com/trialwatch/trialwatch/fhir"
	"github.com/trialwatch/trialwatch/internal/app"
	"github.com/trialwatch/trialwatch/internal/scenario"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

var update = flag.Bool("update", false, "rewrite the wanted sections of the scenarios as they come out; review the difference")

const shipped = "../../deployments/protocols/til-il2"

func runner(t testing.TB) *scenario.Runner {
	t.Helper()
	text, err := protocols.FS.ReadFile(protocols.Shipped)
	if err != nil {
		t.Fatal(err)
	}
	return &scenario.Runner{
		File: "protocol.yaml", Protocol: text,
		NewDecoder: func(ps []*protocol.Protocol) (*fhir.Decoder, error) { return app.NewDecoder(ps, nil) },
	}
}

// TestShipped runs the stories that ship with the trial.
func TestShipped(t *testing.T) {
	files, err := filepath.Glob(shipped + "/scenarios/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios beside the protocol (%v)", err)
	}
	r := runner(t)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s, err := scenario.Parse(filepath.Base(file), data)
			if err != nil {
				t.Fatal(err)
			}
			out, err := r.Run(s)
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(file, out.Golden, 0o644); err != nil {
					t.Fatal(err)
				}
				if s, err = scenario.Parse(file, out.Golden); err != nil {
					t.Fatal(err)
				}
				if out, err = r.Run(s); err != nil { // what no golden can mend still fails
					t.Fatal(err)
				}
			}
			for _, f := range out.Failures {
				t.Error(f)
			}
		})
	}
}
