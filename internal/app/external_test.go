package app_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trialwatch/trialwatch/consumers"
	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/deployments/protocols"
	"github.com/trialwatch/trialwatch/internal/app"
	"github.com/trialwatch/trialwatch/internal/natstest"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// natsCLI is the version of the ordinary nats client that the test installs, unless TRIALWATCH_NATS_CLI names a binary.
const natsCLI = "github.com/nats-io/natscli/nats@v0.5.1"

// TestExternalBroker runs the program as a site does: a nats-server of its own with the configuration that we ship, "trialwatch serve" beside it, a feed
// by "trialwatch ingest". What the commands then print must be what "trialwatch evaluate" says of the same files.
func TestExternalBroker(t *testing.T) {
	e := newExternal(t)
	t.Run("a ward", func(t *testing.T) {
		name := filepath.Join(t.TempDir(), "ward.ndjson")
		var b strings.Builder
		received := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		for i, l := range ward(5, 8, 1500) {
			fmt.Fprintf(&b, `{"receivedAt":%q,"site":"main","resource":%s}`+"\n", received.Add(time.Duration(i)*time.Second).Format(time.RFC3339), l)
		}
		// What is refused must not stop what is good.
		b.WriteString(`{"resourceType":"Observation","id":"nobody","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8310-5"}]},"effectiveDateTime":"2026-02-20T10:00:00Z","valueQuantity":{"value":40,"unit":"Cel"}}` + "\n")
		if err := os.WriteFile(name, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		e.compare(t, 1, name)
	})
	t.Run("a hundred patients", func(t *testing.T) {
		if testing.Short() {
			t.Skip("50,000 events: not with -short")
		}
		shared := os.Getenv("TRIALWATCH_SHARED")
		if shared == "" {
			t.Skip("TRIALWATCH_SHARED is not set: it names the folder whose bench/ holds enrolments.ndjson and events.ndjson.gz")
		}
		e.compare(t, 0, filepath.Join(shared, "bench", "enrolments.ndjson"), filepath.Join(shared, "bench", "events.ndjson.gz"))
	})
}

// external is what both inputs need: the programs.
type external struct{ server, trialwatch string }

func newExternal(t *testing.T) *external {
	t.Helper()
	e := &external{server: natstest.Build(t), trialwatch: filepath.Join(t.TempDir(), "trialwatch")}
	if out, err := exec.Command("go", "build", "-o", e.trialwatch, "github.com/trialwatch/trialwatch/cmd/trialwatch").CombinedOutput(); err != nil {
		t.Fatalf("build trialwatch: %v\n%s", err, out)
	}
	return e
}

// as is the environment of a role of the shipped configuration.
func as(role string) []string {
	return append(os.Environ(), app.UserEnv+"="+role, app.PasswordEnv+"=p-"+role)
}

// compare sends files through a broker and through evaluate. refusedStatus is the exit status of evaluate: 1 where lines are refused.
func (e *external) compare(t *testing.T, refusedStatus int, files ...string) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	broker := e.broker(t)
	data := t.TempDir()
	stop := e.serve(t, broker.URL, data)
	js := e.jetStream(t, broker.URL)
	natstest.Eventually(t, ctx, "the streams exist", func() bool {
		_, err := js.Stream(ctx, wire.StreamAggregates)
		return err == nil
	})

	t.Logf("ingest: %s", e.run(t, ctx, broker.URL, "ehr", append([]string{"ingest"}, files...)...))
	e.settle(t, ctx, js)

	// Each command with the least of rights that it needs.
	alerts := e.run(t, ctx, broker.URL, "coordinator", "alerts", "list", "--all", "--output", "json")
	panels := e.run(t, ctx, broker.URL, "dashboard", "aggregates", "show", "--output", "json")
	asOf := latestAsOf(t, panels)
	cmd := exec.CommandContext(ctx, e.trialwatch, append([]string{"evaluate", "--as-of", asOf}, files...)...)
	evaluated, _ := cmd.Output()
	if got := cmd.ProcessState.ExitCode(); got != refusedStatus {
		t.Errorf("evaluate ends with status %d, want %d", got, refusedStatus)
	}
	want := settled(evaluated)
	if len(want) < 20 {
		t.Fatalf("evaluate finds only %d lines: this test would see little", len(want))
	}
	if diff := cmp.Diff(want, settled(append(slices.Clone(alerts), panels...))); diff != "" {
		t.Errorf("the live path does not say what evaluate says (-evaluate +live):\n%s", diff)
	} else {
		t.Logf("%d findings and panels are the same, byte for byte but for detected, asOf and the panel feed; as of %s", len(want), asOf)
	}
	t.Run("with the nats client", func(t *testing.T) {
		e.natsClient(t, ctx, broker.URL, alerts, panels)
	})
	t.Run("from a backup", func(t *testing.T) {
		// As docs/operations.md says: serve is stopped, the streams are copied one after another, and site.key is kept.
		stop()
		dir := filepath.Join(t.TempDir(), "backup")
		e.nats(t, ctx, broker.URL, "backup", "account", dir, "--force")
		second := e.broker(t)
		e.nats(t, ctx, second.URL, "backup", "restore", "account", dir)
		e.serve(t, second.URL, data)
		js := e.jetStream(t, second.URL)
		e.settle(t, ctx, js)
		if got := e.run(t, ctx, second.URL, "coordinator", "alerts", "list", "--all", "--output", "json"); !bytes.Equal(got, alerts) {
			t.Errorf("after a restore the alerts differ:\n%s", cmp.Diff(settled(alerts), settled(got)))
		}
	})
}

// broker starts a nats-server with the configuration that we ship.
func (e *external) broker(t *testing.T) *natstest.Process {
	t.Helper()
	return natstest.StartConfig(t, e.server, filepath.Join("..", "..", "deployments", "nats", "nats-server.conf"),
		"NATS_STORE="+t.TempDir(), "TRIALWATCH_PASSWORD=p-trialwatch", "EHR_PASSWORD=p-ehr", "COORDINATOR_PASSWORD=p-coordinator",
		"DASHBOARD_PASSWORD=p-dashboard", "MASKED_PASSWORD=p-masked", "OPERATOR_PASSWORD=p-operator", "SYS_PASSWORD=p-sys")
}

// run runs a command of trialwatch as a role and returns what it prints.
func (e *external) run(t *testing.T, ctx context.Context, url, role string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(ctx, e.trialwatch, append(args, "--nats", url)...)
	cmd.Env = as(role)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("trialwatch %s as %s: %v\n%s", strings.Join(args, " "), role, err, &stderr)
	}
	return out
}

// nats runs the ordinary client as the operator and returns what it prints.
func (e *external) nats(t *testing.T, ctx context.Context, url string, args ...string) []byte {
	t.Helper()
	bin := installNATS(t)
	cmd := exec.CommandContext(ctx, bin, append([]string{"--server", url, "--user", "operator", "--password", "p-operator", "--timeout", "20s", "--no-context"}, args...)...)
	home := t.TempDir() // the client looks for a context of the user's
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("nats %s: %v\n%s%s", strings.Join(args, " "), err, out, &stderr)
	}
	return out
}

// serve starts "trialwatch serve" and returns what stops it, at the latest with the test. Its log must not hold the password.
func (e *external) serve(t *testing.T, url, dir string) (stop func()) {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command(e.trialwatch, "serve", "--nats", strings.Replace(url, "://", "://trialwatch:p-trialwatch@", 1), "--data", dir, "--listen", "127.0.0.1:0", "--trust-received-at")
	cmd.Stderr = &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("serve: %v", err)
		}
		if strings.Contains(said.String(), "p-trialwatch") {
			t.Error("the log of serve holds the password of the URL")
		}
		if t.Failed() {
			t.Logf("serve said:\n%s", &said)
		}
	})
	t.Cleanup(stop)
	// Before it has said how to reach the broker it may not even listen to signals.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	natstest.Eventually(t, ctx, "serve runs", func() bool {
		access, err := app.ReadAccess(dir)
		return err == nil && access.URL == url
	})
	return stop
}

func (e *external) jetStream(t *testing.T, url string) jetstream.JetStream {
	t.Helper()
	nc, err := app.Access{URL: url, User: "trialwatch", Password: "p-trialwatch"}.Connect("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// settle waits until every stage has read what the one before it wrote.
func (e *external) settle(t *testing.T, ctx context.Context, js jetstream.JetStream) {
	t.Helper()
	natstest.Eventually(t, ctx, "intake has read all", func() bool {
		c, err := js.Consumer(ctx, wire.StreamFHIR, "intake")
		if err != nil {
			return false
		}
		info := c.CachedInfo()
		return info.NumPending == 0 && info.NumAckPending == 0
	})
	natstest.Eventually(t, ctx, "the checkpoint is at the last fact", func() bool {
		facts, err := js.Stream(ctx, wire.StreamFacts)
		if err != nil {
			return false
		}
		var at wire.Checkpoint
		err = consumers.ReadLast(ctx, js, wire.StreamOut, wire.Checkpoints("main"), func(m jetstream.Msg) error { return json.Unmarshal(m.Data(), &at) })
		return err == nil && at.Facts == facts.CachedInfo().State.LastSeq
	})
	natstest.Eventually(t, ctx, "the panels are through the last standing", func() bool {
		var last uint64
		through := uint64(1 << 60)
		return consumers.ReadLast(ctx, js, wire.StreamOut, "standings.>", func(m jetstream.Msg) error {
			meta, err := m.Metadata()
			last = max(last, meta.Sequence.Stream)
			return err
		}) == nil && consumers.ReadLast(ctx, js, wire.StreamAggregates, "aggregates.>", func(m jetstream.Msg) error {
			var p struct {
				Through uint64 `json:"through"`
			}
			err := json.Unmarshal(m.Data(), &p)
			through = min(through, p.Through)
			return err
		}) == nil && last > 0 && through != 1<<60 && through >= last
	})
}

var mayDiffer = regexp.MustCompile(`"(detected|asOf)":"[^"]*"`)

// settled are the lines that must agree: findings and panels but the feed, without the two fields that depend on when somebody looked.
func settled(out []byte) (lines []string) {
	for l := range strings.Lines(string(out)) {
		if strings.HasPrefix(l, `{"kind":"refused"`) || strings.Contains(l, `"panel":"feed"`) {
			continue
		}
		lines = append(lines, mayDiffer.ReplaceAllString(l, `"$1":"…"`))
	}
	return lines
}

func latestAsOf(t *testing.T, panels []byte) string {
	t.Helper()
	var latest time.Time
	for l := range bytes.Lines(panels) {
		var p struct {
			AsOf time.Time `json:"asOf"`
		}
		if err := json.Unmarshal(l, &p); err != nil {
			t.Fatal(err)
		}
		if p.AsOf.After(latest) {
			latest = p.AsOf
		}
	}
	return latest.Format(time.RFC3339)
}

// natsClient reads the same with the client that every NATS operator has, and knows nothing of trialwatch but the subjects.
func (e *external) natsClient(t *testing.T, ctx context.Context, url string, alerts, panels []byte) {
	var subjects map[string]int
	if err := json.Unmarshal(e.nats(t, ctx, url, "stream", "subjects", wire.StreamOut, "alerts.>", "--json"), &subjects); err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, n := range subjects {
		count += n
	}

	// An alert stands as its last version says, unless that takes it back.
	type event struct {
		ID   string          `json:"id"`
		Spec string          `json:"specversion"`
		Data json.RawMessage `json:"data"`
	}
	standing := map[string]map[string]any{}
	raw := e.nats(t, ctx, url, "sub", "alerts.>", "--stream", wire.StreamOut, "--all", "--raw", "--count", strconv.Itoa(count))
	events := 0
	for l := range bytes.Lines(raw) {
		if len(bytes.TrimSpace(l)) == 0 {
			continue
		}
		var ce event
		var data map[string]any
		if err := json.Unmarshal(l, &ce); err != nil {
			t.Fatalf("%v: %s", err, l)
		}
		if err := json.Unmarshal(ce.Data, &data); err != nil {
			t.Fatal(err)
		}
		id := fmt.Sprint(data["alert"])
		if want := fmt.Sprintf("%s@%v", id, data["version"]); ce.Spec != "1.0" || ce.ID != want {
			t.Fatalf("CloudEvents %s %s, want 1.0 %s", ce.Spec, ce.ID, want)
		}
		if had := standing[id]; had != nil && data["version"].(float64) != had["version"].(float64)+1 {
			t.Errorf("%s: version %v after %v", id, data["version"], had["version"])
		}
		standing[id] = data
		events++
	}
	if events != count {
		t.Errorf("the nats client has read %d alert messages of %d", events, count)
	}
	got := map[string]any{}
	for _, data := range standing {
		if data["transition"] == "retracted" {
			continue
		}
		for _, k := range []string{"alert", "transition", "version", "at", "input", "reason", "material"} {
			delete(data, k)
		}
		data["kind"] = "finding"
		got[fmt.Sprint(data["id"])] = data
	}
	want := map[string]any{}
	s := bufio.NewScanner(bytes.NewReader(alerts))
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		var f map[string]any
		if err := json.Unmarshal(s.Bytes(), &f); err != nil {
			t.Fatal(err)
		}
		want[fmt.Sprint(f["id"])] = f
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the nats client reads other alerts than the command prints (-command +client):\n%s", diff)
	}

	through := regexp.MustCompile(`,"through":[0-9]+`)
	lines := settled(panels)
	read := settled(through.ReplaceAll(e.nats(t, ctx, url, "sub", "aggregates.>", "--stream", wire.StreamAggregates, "--last-per-subject", "--raw", "--count", strconv.Itoa(len(lines)+1)), nil))
	read = slices.DeleteFunc(read, func(l string) bool { return strings.TrimSpace(l) == "" })
	slices.Sort(lines)
	slices.Sort(read)
	if diff := cmp.Diff(lines, read); diff != "" {
		t.Errorf("the nats client reads other panels than the command prints (-command +client):\n%s", diff)
	}
	t.Logf("the nats client read %d alert messages of %d alerts, and %d panels", events, len(standing), len(read))
}

// installNATS returns the nats client. It is no dependency of the module: it would bring two hundred others.
func installNATS(t *testing.T) string {
	t.Helper()
	if bin := os.Getenv("TRIALWATCH_NATS_CLI"); bin != "" {
		return bin
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = t.TempDir()
	}
	dir := filepath.Join(cache, "trialwatch-test", "natscli-v0.5.1")
	bin := filepath.Join(dir, "nats")
	if _, err := os.Stat(bin); err == nil {
		return bin
	}
	cmd := exec.CommandContext(t.Context(), "go", "install", natsCLI)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("the nats client cannot be installed (TRIALWATCH_NATS_CLI may name one): %v\n%s", err, out)
	}
	return bin
}

// TestLargestMessage: the largest message that the broker takes becomes a dead letter, and what comes after it is read.
func TestLargestMessage(t *testing.T) {
	a := startEmbedded(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	js := a.JetStream()
	body := func(n int) []byte {
		b := []byte(`{"resourceType":"Observation","id":"big","note":[{"text":"`)
		b = append(b, bytes.Repeat([]byte("x"), n-len(b)-4)...)
		return append(b, `"}]}`...)
	}
	if _, err := js.Publish(ctx, wire.FHIR("main", "Observation"), body(wire.MaxFHIR+1)); err == nil {
		t.Fatal("the broker takes a message that is larger than its dead letter may be")
	}
	if _, err := js.Publish(ctx, wire.FHIR("main", "Observation"), body(wire.MaxFHIR)); err != nil {
		t.Fatal(err)
	}
	small := `{"resourceType":"ResearchSubject","id":"rs-1","identifier":[{"system":"urn:s","value":"S-001"}],"status":"on-study","period":{"start":"2026-01-01"},"study":{"reference":"ResearchStudy/til-il2"},"individual":{"reference":"Patient/p1"},"assignedArm":"arm-1"}`
	if _, err := js.Publish(ctx, wire.FHIR("main", "ResearchSubject"), []byte(small)); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, ctx, "a dead letter and a fact", func() bool {
		dead, err := js.Stream(ctx, wire.StreamDeadLetters)
		if err != nil {
			return false
		}
		facts, err := js.Stream(ctx, wire.StreamFacts)
		return err == nil && dead.CachedInfo().State.Msgs == 1 && facts.CachedInfo().State.Msgs == 1
	})
}

// TestNotReadyWhileTheWatchCannotGoOn: a watch that stands still tells nobody anything, and must not look well.
func TestNotReadyWhileTheWatchCannotGoOn(t *testing.T) {
	a := startEmbedded(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ready := func() bool {
		resp, err := http.Get("http://" + a.Addr() + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}
	natstest.Eventually(t, ctx, "ready", ready)
	// A checkpoint that nobody can read: the next commit is fenced by it, and recovery stops at it.
	if _, err := a.JetStream().Publish(ctx, wire.Checkpoints("main"), []byte("no checkpoint")); err != nil {
		t.Fatal(err)
	}
	if _, err := a.JetStream().Publish(ctx, wire.Facts("main", "x"), []byte("no fact")); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, ctx, "not ready", func() bool { return !ready() })
}

// startEmbedded starts an app with a broker of its own.
func startEmbedded(t *testing.T) *app.App {
	t.Helper()
	p, err := protocols.TIL()
	if err != nil {
		t.Fatal(err)
	}
	o := app.DefaultOptions()
	o.DataDir, o.Protocols, o.Listen = t.TempDir(), []*protocol.Protocol{p}, "127.0.0.1:0"
	return started(t, o)
}

// TestSharedDataDirectory: with an external broker processes may share a data directory, and may start at the same moment.
func TestSharedDataDirectory(t *testing.T) {
	broker := natstest.Start(t, natstest.Build(t), t.TempDir())
	dir := t.TempDir()
	p, err := protocols.TIL()
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			o := app.DefaultOptions()
			o.DataDir, o.NATS, o.Protocols, o.Stages = dir, broker.URL, []*protocol.Protocol{p}, []string{app.StageIntake}
			a, err := app.New(o)
			if err == nil {
				err = errors.Join(a.Start(t.Context()), a.Stop())
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestNewAccess(t *testing.T) {
	t.Setenv(app.UserEnv, "env-user")
	t.Setenv(app.PasswordEnv, "env-password")
	for _, row := range []struct {
		url  string
		want app.Access
	}{
		{"nats://a:4222", app.Access{URL: "nats://a:4222", User: "env-user", Password: "env-password"}},
		{"a:4222", app.Access{URL: "nats://a:4222", User: "env-user", Password: "env-password"}},
		{"nats://u:p@a:4222", app.Access{URL: "nats://a:4222", User: "u", Password: "p"}},
		{"tls://u:p@a:4222, tls://b:4222", app.Access{URL: "tls://a:4222,tls://b:4222", User: "u", Password: "p"}},
	} {
		got, err := app.NewAccess(row.url, "")
		if err != nil || got != row.want {
			t.Errorf("%s: %+v, %v, want %+v", row.url, got, err, row.want)
		}
	}
	if _, err := app.NewAccess("nats://u:s3cret@a b:4222", ""); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("a URL that cannot be read: %v", err)
	}
}
