package scenario_test

import (
	"flag"
	"os"
	"path"
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

const trials = "../../deployments/protocols"

func runner(t testing.TB) *scenario.Runner { return runnerOf(t, path.Dir(protocols.Shipped)) }

func runnerOf(t testing.TB, trial string) *scenario.Runner {
	t.Helper()
	text, err := protocols.FS.ReadFile(path.Join(trial, "protocol.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return &scenario.Runner{
		File: "protocol.yaml", Protocol: text,
		NewDecoder: func(ps []*protocol.Protocol) (*fhir.Decoder, error) { return app.NewDecoder(ps, nil) },
	}
}

// TestShipped runs the stories that ship with each trial.
func TestShipped(t *testing.T) {
	folders, err := filepath.Glob(trials + "/*/protocol.yaml")
	if err != nil || len(folders) < 2 {
		t.Fatalf("%d trials (%v)", len(folders), err)
	}
	for _, folder := range folders {
		trial := filepath.Base(filepath.Dir(folder))
		t.Run(trial, func(t *testing.T) { stories(t, trial) })
	}
}

func stories(t *testing.T, trial string) {
	files, err := filepath.Glob(filepath.Join(trials, trial, "scenarios", "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios beside the protocol (%v)", err)
	}
	r := runnerOf(t, trial)
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

const story = `A count and a fever.

-- feed --
# The count is 0.08, the temperature 38.6.
{"receivedAt":"2026-02-02T08:00:00-06:00","resource":{"resourceType":"ResearchSubject","id":"rs-1","status":"on-study","study":{"reference":"ResearchStudy/til-il2"},"individual":{"reference":"Patient/p-1"},"assignedArm":"Arm-1","identifier":[{"value":"S-001","system":"urn:x"}]}}
{"receivedAt":"2026-02-19T14:15:00-06:00","resource":{"resourceType":"Observation","id":"t-1","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8310-5"}]},"subject":{"reference":"Patient/p-1"},"effectiveDateTime":"2026-02-19T14:10:00-06:00","valueQuantity":{"value":38.6,"unit":"Cel"}}}
-- want --
2026-02-19 14:15 opened S-001 tox.fever, onset 2026-02-19 14:10, grade 1, log (Observation/t-1)
-- want-final --
open S-001 tox.fever, onset 2026-02-19 14:10, grade 1, log, detected 2026-02-19 14:15
    Fever grade 1: worst 38.6 Cel. Review.
    2026-02-19 14:10 temperature 38.6 Cel Observation/t-1
`

// TestFailuresAreReadable changes one thing in a story that holds and looks for the words that its author needs.
func TestFailuresAreReadable(t *testing.T) {
	for _, tt := range []struct{ name, old, new, want string }{
		{"it holds", "", "", ""},
		{"a wanted alert has another grade", "grade 1, log (", "grade 3, prompt (", `section "want" differs: 1 not as wanted`},
		{"what was said is shown", "grade 1, log (", "grade 3, prompt (", "said    2026-02-19 14:15 opened S-001 tox.fever, onset 2026-02-19 14:10, grade 1, log"},
		{"and in what they differ", "grade 1, log (", "grade 3, prompt (", "that is grade 1, log in place of grade 3, prompt"},
		{"what was wanted is shown", "worst 38.6", "worst 39.6", "wanted  … Fever grade 1: worst 39.6 Cel. Review."},
		{"an alert that was not told", "opened S-001 tox.fever,", "opened S-001 tox.anemia,", "wanted, and not said:\n    2026-02-19 14:15 opened S-001 tox.anemia"},
		{"an alert that nobody asked for", "2026-02-19 14:15 opened S-001 tox.fever, onset 2026-02-19 14:10, grade 1, log (Observation/t-1)\n", "", "said, and not wanted:\n    2026-02-19 14:15 opened S-001 tox.fever"},
		{"told at another time", "2026-02-19 14:15 opened", "2026-02-19 14:20 opened", "that is 2026-02-19 14:15 in place of 2026-02-19 14:20"},
		{"what was known", "grade 1, log (", "grade 3, prompt (", "      2026-02-19 14:10  temperature 38.6 Cel  Observation/t-1\n    > 2026-02-19 14:15  here"},
		{"a line is refused", `"resourceType":"Observation"`, `"resourceType":"Observation","nonsense":1`, "feed line 2 was refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := scenario.Parse("story.txtar", []byte(strings.Replace(story, tt.old, tt.new, 1)))
			if err != nil {
				t.Fatal(err)
			}
			out, err := runner(t).Run(s)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(out.Failures, "\n")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("got %q\nwant it to hold %q", got, tt.want)
			}
		})
	}
}

// TestUnusableFiles lists what Parse and Run say of a file that is no scenario: all at once, in words.
func TestUnusableFiles(t *testing.T) {
	for _, tt := range []struct{ name, file, want string }{
		{"no story", strings.TrimPrefix(story, "A count and a fever."), "tell the story"},
		{"no feed", "A story.\n-- want --\n-- want-final --\n", `the section "feed" is missing`},
		{"nothing wanted", "A story.\n-- feed --\n{}\n", `the section "want" is missing`},
		{"a misspelt section", strings.Replace(story, "-- want-final --", "-- final --", 1), `unknown section "final": want one of`},
		{"a section twice", story + "-- want --\n", `section "want" stands there twice`},
		{"an instant without a zone", story + "-- as-of --\n2026-02-19 15:00\n", "as-of: want one time such as"},
		{"a final at no instant", story + "-- want-final later --\n", `section "want-final later"`},
		{"a patch without a target", story + "-- protocol.patch --\nctcae 6\n", `want "old text => new text"`},
		{"a patch that is not in the protocol", story + "-- protocol.patch --\nctcae: 7 => ctcae: 6\n", `"ctcae: 7" stands in the protocol 0 times`},
		{"a patch that breaks the protocol", story + "-- protocol.patch --\nctcae: \"5.0\" => ctcae: \"5.1\"\n", "the protocol: protocol.yaml:"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := scenario.Parse("story.txtar", []byte(tt.file))
			if err == nil {
				_, err = runner(t).Run(s)
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v\nwant an error that holds %q", err, tt.want)
			}
		})
	}
}

// TestGoldenIsTheAnswer: what -update writes is the file with the wanted sections set right, and nothing else changed.
func TestGoldenIsTheAnswer(t *testing.T) {
	s, err := scenario.Parse("story.txtar", []byte(strings.Replace(story, "grade 1, log (", "grade 3, prompt (", 1)))
	if err != nil {
		t.Fatal(err)
	}
	out, err := runner(t).Run(s)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(out.Golden); got != story {
		t.Errorf("rewritten:\n%s\nwant:\n%s", got, story)
	}
}
