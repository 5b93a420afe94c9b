package review_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/trialwatch/trialwatch/internal/golden"
	"github.com/trialwatch/trialwatch/internal/offline/offlinetest"
	"github.com/trialwatch/trialwatch/internal/review"
)

// TestPatients explains the patient of some stories that ship with the trial.
func TestPatients(t *testing.T) {
	for _, story := range []string{"s02-fahrenheit-101-0", "s04-fever-first", "s13-silent-miss", "s14-held-without-a-criterion", "s16-creatinine", "s22-lymphodepletion", "s23-alt-without-a-limit"} {
		t.Run(story, func(t *testing.T) {
			data, err := os.ReadFile("../../deployments/protocols/til-il2/scenarios/" + story + ".txtar")
			if err != nil {
				t.Fatal(err)
			}
			e := offlinetest.New(t)
			for _, f := range txtar.Parse(data).Files {
				if f.Name != "feed" {
					continue
				}
				var feed strings.Builder
				for line := range strings.Lines(string(f.Data)) {
					if !strings.HasPrefix(line, "#") {
						feed.WriteString(line)
					}
				}
				if err := e.Read("feed", strings.NewReader(feed.String()), nil); err != nil {
					t.Fatal(err)
				}
			}
			es, subjects := e.Explain("S-001", e.Latest())
			if len(es) != 1 {
				t.Fatalf("%d explanations, subjects %v", len(es), subjects)
			}
			var out bytes.Buffer
			if err := review.Patient(&out, es[0]); err != nil {
				t.Fatal(err)
			}
			golden.Equal(t, "testdata/patient-"+story+".txt", out.String())
		})
	}
}
