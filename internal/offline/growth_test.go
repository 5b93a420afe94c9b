package offline_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"

	"github.com/trialwatch/trialwatch/internal/offline/offlinetest"
	"github.com/trialwatch/trialwatch/internal/sim"
)

// BenchmarkGrowth is the whole of evaluate over 1,000 patients of one site with full courses, about 900 facts each, and over twice as many: the CPU seconds of
// both, and how many times the one the other takes. With -short there are a tenth of the patients.
func BenchmarkGrowth(b *testing.B) {
	patients := 1000
	if testing.Short() {
		patients = 100
	}
	small, facts := trialFile(b, patients)
	large, _ := trialFile(b, 2*patients)
	var one, two float64
	for b.Loop() {
		one += evaluateFile(b, small)
		two += evaluateFile(b, large)
	}
	b.ReportMetric(float64(facts), "facts")
	b.ReportMetric(one/float64(b.N), "cpu-s")
	b.ReportMetric(two/float64(b.N), "cpu-s-of-twice")
	b.ReportMetric(two/one, "times")
}

func evaluateFile(b *testing.B, name string) (seconds float64) {
	b.Helper()
	f, err := os.Open(name)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	runtime.GC()
	before := cpu(b)
	e := offlinetest.New(b)
	if err := e.Read(name, f, nil); err != nil {
		b.Fatal(err)
	}
	r := e.At(e.Latest())
	if err := r.Write(io.Discard); err != nil {
		b.Fatal(err)
	}
	seconds = cpu(b) - before
	if len(r.Refused) > 0 || len(r.Findings) == 0 {
		b.Fatalf("got %d refused lines and %d findings, want none and some", len(r.Refused), len(r.Findings))
	}
	return seconds
}

// names are what tells one simulated cohort from another.
var names = regexp.MustCompile(`"Patient/sim-|"id":"|"value":"S-`)

// trialFile writes what a site sends of so many patients, in cohorts of twenty that are alike in nothing but their size. Each patient has a Patient resource with
// a record number, as in a hospital. Every line is a fact.
func trialFile(b *testing.B, patients int) (name string, lines int) {
	b.Helper()
	const size = 20
	name = filepath.Join(b.TempDir(), fmt.Sprint(patients, ".ndjson"))
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	reference := regexp.MustCompile(`"Patient/([^"]+)"`)
	for n := range patients / size {
		for _, e := range sim.Cohort(sim.Config{Seed: uint64(n + 1), PatientsPerArm: size / 2, Clean: true}) {
			line := names.ReplaceAll(e.Data, fmt.Appendf(nil, "${0}%d-", n))
			lines++
			if e.Type == "ResearchSubject" {
				lines++
				id := reference.FindSubmatch(line)[1]
				fmt.Fprintf(w, `{"resourceType":"Patient","id":"%s","meta":{"versionId":"1","lastUpdated":"%s"},"identifier":[{"system":"urn:mrn","value":"%[1]s"}]}`+"\n", id, e.At.Format("2006-01-02T15:04:05Z07:00"))
			}
			_, _ = w.Write(append(bytes.TrimSpace(line), '\n')) // Flush says what went wrong
		}
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	return name, lines
}
