package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/trialwatch/trialwatch/consumers"
	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/deployments/protocols"
	"github.com/trialwatch/trialwatch/internal/app"
	"github.com/trialwatch/trialwatch/internal/natstest"
	"github.com/trialwatch/trialwatch/internal/sim"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/site"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// TestReportOfARunningSystem sends a cohort to a whole system and to a file: at the same cut-off and receipt the reports of both are the same bytes.
func TestReportOfARunningSystem(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	p, err := protocols.TIL()
	if err != nil {
		t.Fatal(err)
	}
	cohort := sim.Cohort(sim.Config{Seed: 7, PatientsPerArm: 2})
	start, end := cohort[0].At, cohort[len(cohort)-1].At
	o := app.DefaultOptions()
	o.DataDir, o.Protocols, o.Listen, o.Unsynced, o.TrustReceivedAt = t.TempDir(), []*protocol.Protocol{p}, "127.0.0.1:0", true, true
	o.Clock = consumers.NewClock(end.Add(time.Minute), 1)
	a, err := app.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var lines bytes.Buffer
	var msgs []*nats.Msg
	send := func(kind string, at time.Time, data []byte) {
		if !json.Valid(data) {
			return // a line of a file with it would not say when it was received
		}
		m := &nats.Msg{Subject: wire.FHIR("main", kind), Data: data, Header: nats.Header{}}
		m.Header.Set(wire.HeaderReceivedAt, at.Format(time.RFC3339Nano))
		msgs = append(msgs, m)
		fmt.Fprintf(&lines, `{"receivedAt":%q,"resource":%s}`+"\n", at.Format(time.RFC3339Nano), data)
	}
	for _, e := range cohort {
		send(e.Type, e.At, e.Data)
	}
	for i := range 3 { // what no rule reads, twice, and what cannot be used
		send("Observation", start.Add(time.Hour), fmt.Appendf(nil, `{"resourceType":"Observation","id":"other-%d","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"30525-0"}]},"subject":{"reference":"Patient/x"},"effectiveDateTime":"2026-02-19"}`, i%2))
		send("Observation", start.Add(time.Hour), fmt.Appendf(nil, `{"resourceType":"Observation","id":"timeless-%d","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8310-5"}]},"subject":{"reference":"Patient/x"},"valueQuantity":{"value":39.4,"unit":"Cel"}}`, i%2))
	}
	if err := consumers.PublishAll(ctx, a.JetStream(), msgs); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, ctx, "intake has read everything", func() bool {
		in, err := a.JetStream().Consumer(ctx, wire.StreamFHIR, consumers.IntakeConsumer)
		return err == nil && in.CachedInfo().NumPending == 0 && in.CachedInfo().NumAckPending == 0
	})
	file := filepath.Join(t.TempDir(), "feed.ndjson")
	if err := os.WriteFile(file, lines.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	report := func(args ...string) (page, tables, stderr string) {
		t.Helper()
		dir := t.TempDir()
		var out, errs bytes.Buffer
		args = append([]string{"report", "--out", filepath.Join(dir, "report.html"), "--csv", filepath.Join(dir, "csv")}, args...)
		if code := run(ctx, args, strings.NewReader(""), &out, &errs); code == exitUsage {
			t.Fatalf("%v: %s", args, &errs)
		}
		html, err := os.ReadFile(filepath.Join(dir, "report.html"))
		if err != nil {
			t.Fatalf("%v: %v: %s", args, err, &errs)
		}
		names, err := filepath.Glob(filepath.Join(dir, "csv", "*.csv"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			tables += filepath.Base(name) + "\n" + string(data)
		}
		return string(html), tables, errs.String()
	}
	for _, tt := range []struct {
		name  string
		flags []string
	}{
		{"everything", []string{"--as-of", end.Format(time.RFC3339), "--session", "closed", "--times"}},
		{"an earlier cut-off", []string{"--as-of", end.Format(time.RFC3339), "--cutoff", start.Add(end.Sub(start) / 2).Format(time.RFC3339), "--session", "closed"}},
		{"as on the day", []string{"--as-of", start.Add(end.Sub(start) / 3).Format(time.RFC3339)}},
	} {
		wantPage, wantTables, _ := report(append(tt.flags, file)...)
		page, tables, stderr := report(append(tt.flags, "--data", o.DataDir)...)
		if page != wantPage || tables != wantTables {
			t.Errorf("%s: the running system reports otherwise than the file:\n%s", tt.name, firstDifference(wantTables, tables))
		}
		if !strings.Contains(stderr, "could not be used") {
			t.Errorf("%s: nothing is said of what could not be used: %q", tt.name, stderr)
		}
		if !strings.Contains(tables, "currency,,main,all,,count,2,") { // two that no rule reads, and two that are refused
			t.Errorf("%s: the table of data currency does not count what else was sent:\n%s", tt.name, tables)
		}
	}
	if code := run(ctx, []string{"report", "--data", o.DataDir, file}, strings.NewReader(""), new(bytes.Buffer), new(bytes.Buffer)); code != exitUsage {
		t.Errorf("files and a running system: exit %d, want %d", code, exitUsage)
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return fmt.Sprintf("file:   %s\nsystem: %s", w[i], g[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(g), len(w))
}

// What is left after a loss is not the trial, unless somebody has accepted that.
func TestReportRefusesWhatIsNotWhole(t *testing.T) {
	at := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	lost := stored{losses: []site.Loss{{Token: "t-1", Messages: 4, Span: timeline.Span{From: at}}}}
	err := lost.whole(&cobra.Command{})
	if err == nil || !strings.Contains(err.Error(), "4 of the stored facts are gone") || !strings.Contains(err.Error(), "--accept-loss t-1") {
		t.Errorf("%v", err)
	}
}
