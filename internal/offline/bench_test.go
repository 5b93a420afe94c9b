package offline_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trialwatch/trialwatch/internal/offline"
	"github.com/trialwatch/trialwatch/internal/offline/offlinetest"
	"github.com/trialwatch/trialwatch/internal/sim"
)

func answer(t testing.TB, lines [][]byte) (offline.Result, []byte) {
	t.Helper()
	e := offlinetest.New(t)
	if err := e.Read("feed", bytes.NewReader(bytes.Join(lines, []byte("\n"))), nil); err != nil {
		t.Fatal(err)
	}
	r := e.At(e.Latest())
	var out bytes.Buffer
	if err := r.Write(&out); err != nil {
		t.Fatal(err)
	}
	return r, out.Bytes()
}

// sharedLines reads the public job of 50,000 Observations that other systems were measured on too.
func sharedLines(t testing.TB) (lines [][]byte, dir string) {
	t.Helper()
	shared := os.Getenv("TRIALWATCH_SHARED")
	if shared == "" {
		t.Skip("the job of 50,000 Observations is not part of the project: TRIALWATCH_SHARED does not name its place")
	}
	dir = filepath.Join(shared, "bench")
	read := func(name string) {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var r io.Reader = f
		if strings.HasSuffix(name, ".gz") {
			if r, err = gzip.NewReader(f); err != nil {
				t.Fatal(err)
			}
		}
		s := bufio.NewScanner(r)
		s.Buffer(nil, 1<<20)
		for s.Scan() {
			lines = append(lines, bytes.Clone(s.Bytes()))
		}
		if s.Err() != nil {
			t.Fatal(s.Err())
		}
	}
	read("enrolments.ndjson")
	read("events.ndjson.gz")
	return lines, dir
}

// An independent program has listed every temperature above 38.3 Cel that qualifies for febrile neutropenia. Our evidence must list the same, and
// the order of the lines must not matter.
func TestFebrileNeutropeniaOfFiftyThousandObservations(t *testing.T) {
	lines, dir := sharedLines(t)
	data, err := os.ReadFile(filepath.Join(dir, "expected-fn.json"))
	if err != nil {
		t.Fatal(err)
	}
	var expected struct {
		Qualifying map[string][]string `json:"qualifyingAbove38.3"`
	}
	if err := json.Unmarshal(data, &expected); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for _, ids := range expected.Qualifying {
		for _, id := range ids {
			want["Observation/"+id] = true
		}
	}
	r, out := answer(t, lines)
	got := map[string]bool{}
	for _, f := range r.Findings {
		if f.Rule != "tox.febrile-neutropenia" || f.Grade == nil {
			continue
		}
		for _, e := range f.Evidence {
			var value float64
			var unit string
			if e.Role != "temperature" {
				continue
			}
			if _, err := fmt.Sscanf(e.Value, "%g %s", &value, &unit); err != nil {
				t.Fatalf("evidence %q: %v", e.Value, err)
			}
			if strings.Contains(unit, "F") {
				value = (value - 32) * 5 / 9
			}
			if value > 38.3 { // the list holds no readings that qualify only as part of a sustained fever
				got[e.Ref] = true
			}
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("qualifying temperatures (-want +got):\n%s", diff)
	}
	t.Logf("%d temperatures of %d patients, as expected", len(got), len(expected.Qualifying))

	rand.New(rand.NewPCG(1, 2)).Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	if _, shuffled := answer(t, lines); !bytes.Equal(out, shuffled) {
		t.Error("shuffled lines give other bytes")
	}
}

func cohort(seed uint64, patientsPerArm int) [][]byte {
	var lines [][]byte
	for _, e := range sim.Cohort(sim.Config{Seed: seed, PatientsPerArm: patientsPerArm}) {
		line, err := json.Marshal(map[string]any{"receivedAt": e.At.Format(time.RFC3339Nano), "resource": json.RawMessage(e.Data)})
		if err == nil { // the broken ones are named by their line, which is what order changes
			lines = append(lines, line)
		}
	}
	return lines
}

// A whole cohort with all its mess, shuffled and with a third of the lines sent twice: the same bytes.
func TestOrderAndRepetitionDoNotMatter(t *testing.T) {
	for seed := range uint64(3) {
		lines := cohort(seed+1, 1)
		withoutPlaces := func(out []byte) string { // refused lines are named by their place in the file
			at := bytes.Index(out, []byte(`{"kind":"refused"`))
			if at < 0 {
				at = len(out)
			}
			return string(out[:at])
		}
		_, want := answer(t, lines)
		r := rand.New(rand.NewPCG(seed, 9))
		for range 10 {
			again := slices.Clone(lines)
			for range len(lines) / 3 {
				again = append(again, lines[r.IntN(len(lines))])
			}
			r.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
			_, got := answer(t, again)
			if diff := cmp.Diff(withoutPlaces(want), withoutPlaces(got)); diff != "" {
				t.Fatalf("seed %d (-in order +shuffled):\n%s", seed+1, diff)
			}
		}
	}
}

// BenchmarkEvaluate is the whole of evaluate over a simulated cohort, in lines a CPU second of the process; fhir's benchmark shows google/fhir's
// own decoder beside ours in one run.
func BenchmarkEvaluate(b *testing.B) {
	lines := cohort(1, 3)
	before, n := cpu(b), 0
	for b.Loop() {
		answer(b, lines)
		n += len(lines)
	}
	b.ReportMetric(float64(n)/(cpu(b)-before), "lines/cpu-s")
}

// BenchmarkEvaluateJob is the whole of evaluate over the public job of 50,000 Observations, which other systems were measured on too.
func BenchmarkEvaluateJob(b *testing.B) {
	lines, _ := sharedLines(b)
	before, n := cpu(b), 0
	for b.Loop() {
		answer(b, lines)
		n += len(lines)
	}
	b.ReportMetric(float64(n)/(cpu(b)-before), "lines/cpu-s")
}

// cpu is the process's CPU time so far, in seconds.
func cpu(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}
