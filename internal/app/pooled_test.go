package app_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/trialwatch/trialwatch/consumers"
	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/deployments/protocols"
	"github.com/trialwatch/trialwatch/internal/app"
	"github.com/trialwatch/trialwatch/internal/sim"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// TestPooledListener runs the whole system with both pages and a cohort, and reads everything that the one for who may not see the arms ever says.
func TestPooledListener(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	text, err := protocols.FS.ReadFile(protocols.Shipped)
	if err != nil {
		t.Fatal(err)
	}
	p, err := protocol.Parse("protocol.yaml", append(text, "\nblinding: { unblinded: [safety-board], cite: a test }\n"...))
	if err != nil {
		t.Fatal(err)
	}
	o := app.DefaultOptions()
	o.DataDir, o.Protocols, o.Listen, o.ListenPooled, o.Unsynced, o.TrustReceivedAt = t.TempDir(), []*protocol.Protocol{p}, "127.0.0.1:0", "127.0.0.1:0", true, true
	cohort := sim.Cohort(sim.Config{Seed: 7, PatientsPerArm: 3})
	o.Clock = consumers.NewClock(cohort[len(cohort)-1].At.Add(time.Minute), 1)
	a := started(t, o)
	get := func(addr, path string) (int, string) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, fmt.Sprint(resp.Header) + string(body)
	}
	// Its stream from before the first patient on.
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+a.PooledAddr()+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	var msgs []*nats.Msg
	for _, e := range cohort {
		m := &nats.Msg{Subject: wire.FHIR("main", e.Type), Data: e.Data, Header: nats.Header{}}
		m.Header.Set(wire.HeaderReceivedAt, e.At.Format(time.RFC3339Nano))
		msgs = append(msgs, m)
	}
	if err := consumers.PublishAll(ctx, a.JetStream(), msgs); err != nil {
		t.Fatal(err)
	}
	var sent strings.Builder
	buf := make([]byte, 64<<10)
	for !strings.Contains(sent.String(), "Febrile neutropenia") || !strings.Contains(sent.String(), "Cyclophosphamide given") {
		n, err := stream.Body.Read(buf)
		sent.Write(buf[:n])
		if err != nil {
			t.Fatalf("the stream ended before the panels were there: %v\n%.2000s", err, sent.String())
		}
	}
	for path, want := range map[string]int{"/": 200, "/static/page.js": 200, "/static/page.css": 200, "/healthz": 200, "/metrics": 404, "/readyz": 404, "/alerts": 404} {
		status, body := get(a.PooledAddr(), path)
		if status != want {
			t.Errorf("%s: status %d, want %d", path, status, want)
		}
		sent.WriteString(body)
	}
	all := strings.ReplaceAll(sent.String(), p.Title, "")
	for _, arm := range p.Arms {
		for _, word := range append([]string{arm.ID, arm.Title}, arm.Aliases...) {
			if strings.Contains(all, word) {
				t.Errorf("the pooled page says %q", word)
			}
		}
	}
	for _, word := range []string{"IL-2", "S-0", "Needs a look", "Latest alerts", "Review."} {
		if strings.Contains(all, word) {
			t.Errorf("the pooled page says %q", word)
		}
	}
	// The other page is what it was: the words are there to be found.
	if _, body := get(a.Addr(), "/"); !strings.Contains(body, p.Arms[0].ID) || !strings.Contains(body, "S-0") || !strings.Contains(body, "for safety-board only") {
		t.Error("the page with the arms does not show them: this test sees nothing")
	}
}
