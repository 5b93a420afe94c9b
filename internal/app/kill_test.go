package app_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server/ats"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trialwatch/trialwatch/consumers"
	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/deployments/protocols"
	"github.com/trialwatch/trialwatch/internal/app"
	"github.com/trialwatch/trialwatch/internal/natstest"
	"github.com/trialwatch/trialwatch/internal/offline"
	"github.com/trialwatch/trialwatch/rules/alert"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// The test binary is its own processor: started with this variable it runs the app until it is killed.
const processorEnv = "TRIALWATCH_TEST_PROCESSOR"

func TestMain(m *testing.M) {
	if os.Getenv(processorEnv) != "" {
		processor()
		return
	}
	ats.Register() // a ticker of the broker that must not be born inside a bubble
	os.Exit(m.Run())
}

func processor() {
	var cfg struct {
		URL, Dir     string
		WithoutFence bool
	}
	if err := json.Unmarshal([]byte(os.Getenv(processorEnv)), &cfg); err != nil {
		panic(err)
	}
	p, err := protocols.TIL()
	if err != nil {
		panic(err)
	}
	o := app.DefaultOptions()
	o.DataDir, o.NATS, o.Protocols, o.WithoutFence = cfg.Dir, cfg.URL, []*protocol.Protocol{p}, cfg.WithoutFence
	o.Stages = []string{app.StageIntake, app.StageWatch, app.StageAggregate}
	a, err := app.New(o)
	if err != nil {
		panic(err)
	}
	if err := a.Run(context.Background()); err != nil {
		panic(err)
	}
}

// child is a processor in a process of its own.
type child struct{ cmd *exec.Cmd }

func startProcessor(t *testing.T, url, dir string, withoutFence bool) *child {
	t.Helper()
	cfg, err := json.Marshal(map[string]any{"URL": url, "Dir": dir, "WithoutFence": withoutFence})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), processorEnv+"="+string(cfg))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &child{cmd}
}

func (c *child) kill() { _ = c.cmd.Process.Signal(syscall.SIGKILL); _ = c.cmd.Wait() }

// ward writes the feed of a small ward: counts, temperatures, doses, corrections, voids and repetitions, in the order of their receipt.
func ward(seed uint64, patients, events int) []string {
	r := rand.New(rand.NewPCG(seed, 7))
	start := time.Date(2026, 2, 16, 9, 0, 0, 0, time.FixedZone("", -6*3600))
	var lines []string
	for p := range patients {
		arm := "arm-1"
		if p%2 == 1 {
			arm = "arm-2"
		}
		lines = append(lines,
			fmt.Sprintf(`{"resourceType":"ResearchSubject","id":"rs-%d","meta":{"versionId":"1"},"identifier":[{"system":"urn:s","value":"S-%03d"}],"status":"on-study","period":{"start":"2026-01-01"},"study":{"reference":"ResearchStudy/til-il2"},"individual":{"reference":"Patient/p%d"},"assignedArm":"%s"}`, p, p, p, arm),
			fmt.Sprintf(`{"resourceType":"Procedure","id":"til-%d","meta":{"versionId":"1"},"status":"completed","code":{"text":"TIL infusion"},"subject":{"reference":"Patient/p%d"},"performedDateTime":"%s"}`, p, p, start.Format(time.RFC3339)))
	}
	for len(lines) < events {
		p, i := r.IntN(patients), len(lines)
		at := start.Add(time.Duration(i) * 10 * 24 * time.Hour / time.Duration(events)).Format(time.RFC3339)
		version, status := 1, "final"
		id := i
		if r.IntN(10) == 0 { // a new version of an earlier one
			id, version = max(2*patients, i-1-r.IntN(200)), 2
			status = []string{"corrected", "entered-in-error"}[r.IntN(2)]
		}
		switch id % 4 {
		case 0:
			lines = append(lines, fmt.Sprintf(`{"resourceType":"Observation","id":"o%d","meta":{"versionId":"%d"},"status":"%s","code":{"coding":[{"system":"http://loinc.org","code":"751-8"}]},"subject":{"reference":"Patient/p%d"},"effectiveDateTime":"%s","valueQuantity":{"value":%d.%d,"unit":"10*3/uL"}}`, id, version, status, p, at, r.IntN(2), r.IntN(10)))
		case 1:
			if status == "final" || status == "corrected" {
				status = []string{"completed", "not-done"}[r.IntN(2)]
			}
			lines = append(lines, fmt.Sprintf(`{"resourceType":"MedicationAdministration","id":"m%d","meta":{"versionId":"%d"},"status":"%s","medicationCodeableConcept":{"text":"aldesleukin"},"subject":{"reference":"Patient/p%d"},"effectiveDateTime":"%s"}`, id, version, status, p, at))
		default:
			lines = append(lines, fmt.Sprintf(`{"resourceType":"Observation","id":"o%d","meta":{"versionId":"%d"},"status":"%s","code":{"coding":[{"system":"http://loinc.org","code":"8310-5"}]},"subject":{"reference":"Patient/p%d"},"effectiveDateTime":"%s","valueQuantity":{"value":%d.%d,"unit":"Cel"}}`, id, version, status, p, at, 36+r.IntN(4), r.IntN(10)))
		}
		if r.IntN(20) == 0 {
			lines = append(lines, lines[len(lines)-1]) // a repetition
		}
	}
	return lines
}

// chaos runs the job under kills and freezes and says what it found.
type verdict struct {
	kills, zombies, alerts, versions int
	violations                       []string
	state, oracle                    string
}

// runChaos publishes a feed while processors are killed. A frozen one is woken after its successor has taken over, and is then a zombie.
func runChaos(t *testing.T, bin string, seed uint64, events, kills int, withoutFence bool) verdict {
	t.Helper()
	var v verdict
	broker := natstest.Start(t, bin, t.TempDir())
	dir := t.TempDir()
	nc, err := nats.Connect(broker.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	if err := wire.EnsureStreams(ctx, js, wire.DefaultSizes(), 1); err != nil {
		t.Fatal(err)
	}
	lines := ward(seed, 12, events)
	r := rand.New(rand.NewPCG(seed, 8))
	part := len(lines)/kills + 1
	publish := func(n int) {
		n = min(n, len(lines))
		var msgs []*nats.Msg
		for _, l := range lines[:n] {
			kind := strings.SplitN(l, `"`, 5)[3]
			msgs = append(msgs, &nats.Msg{Subject: wire.FHIR("main", kind), Data: []byte(l)})
		}
		if err := consumers.PublishAll(ctx, js, msgs); err != nil {
			t.Fatal(err)
		}
		lines = lines[n:]
	}
	var zombie *child
	current := startProcessor(t, broker.URL, dir, withoutFence)
	// A freeze is only a zombie if it works when it wakes up: it is left alone for a while, then killed like everybody.
	for v.kills < kills {
		publish(part)
		wait(ctx, time.Duration(150+r.IntN(350))*time.Millisecond)
		if zombie != nil {
			zombie.kill()
			v.kills++
			zombie = nil
		}
		if v.kills%4 == 3 {
			awaitCommit(ctx, js, current) // who has not begun has nothing to do wrong when it wakes
			zombie = current
			_ = zombie.cmd.Process.Signal(syscall.SIGSTOP)
			current = startProcessor(t, broker.URL, dir, withoutFence)
			publish(part)
			wait(ctx, time.Duration(500+r.IntN(300))*time.Millisecond)
			_ = zombie.cmd.Process.Signal(syscall.SIGCONT)
			v.zombies++
			continue
		}
		current.kill()
		v.kills++
		current = startProcessor(t, broker.URL, dir, withoutFence)
	}
	if zombie != nil {
		zombie.kill()
	}
	publish(len(lines))
	settle(ctx, t, js)
	current.kill()

	// What was told: every alert's versions are 1, 2, 3 … without a gap or a repetition.
	versions := map[string]int{}
	last := map[string]alert.Event{}
	if err := consumers.ReadAll(ctx, js, wire.StreamOut, "alerts.>", func(m jetstream.Msg) error {
		var ce wire.CloudEvent
		if err := json.Unmarshal(m.Data(), &ce); err != nil {
			return err
		}
		e := ce.Data
		if e.Version != versions[e.Alert]+1 {
			v.violations = append(v.violations, fmt.Sprintf("%s: version %d after %d", e.Alert, e.Version, versions[e.Alert]))
		}
		versions[e.Alert] = e.Version
		last[e.Alert] = e
		v.versions++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	v.alerts = len(versions)
	v.state, v.oracle = told(last), oracle(ctx, t, js)
	return v
}

// awaitCommit waits until the last checkpoint is a processor's own, at most for a few seconds: there may be nothing to commit.
func awaitCommit(ctx context.Context, js jetstream.JetStream, c *child) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		var last wire.Checkpoint
		err := consumers.ReadLast(ctx, js, wire.StreamOut, "checkpoints.main", func(m jetstream.Msg) error { return json.Unmarshal(m.Data(), &last) })
		if err == nil && strings.HasSuffix(last.Worker, fmt.Sprintf("-%d", c.cmd.Process.Pid)) {
			return
		}
		wait(ctx, 20*time.Millisecond)
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// settle waits until intake has acknowledged everything and the watch has passed the last fact.
func settle(ctx context.Context, t *testing.T, js jetstream.JetStream) {
	t.Helper()
	for {
		consumer, err := js.Consumer(ctx, wire.StreamFHIR, "intake")
		if err == nil {
			info, err := consumer.Info(ctx)
			if err == nil && info.NumPending == 0 && info.NumAckPending == 0 {
				facts, err := js.Stream(ctx, wire.StreamFacts)
				if err == nil {
					var c wire.Checkpoint
					if err := consumers.ReadLast(ctx, js, wire.StreamOut, "checkpoints.main", func(m jetstream.Msg) error { return json.Unmarshal(m.Data(), &c) }); err == nil && c.Facts >= facts.CachedInfo().State.LastSeq {
						return
					}
				}
			}
		}
		if ctx.Err() != nil {
			t.Fatal("the processor never reached the end of its input")
		}
		wait(ctx, 100*time.Millisecond)
	}
}

// told is what stands, as text: every alert that is not retracted, without what may differ.
func told(last map[string]alert.Event) string {
	lines := map[string]string{}
	for _, e := range last {
		if e.Transition != alert.Retracted {
			f := e.Finding
			f.Kind, f.Detected = "finding", time.Time{}
			b, _ := json.Marshal(f)
			lines[f.ID] = string(b)
		}
	}
	b, _ := json.MarshalIndent(lines, "", " ")
	return string(b)
}

// oracle evaluates offline what the FHIR stream really holds.
func oracle(ctx context.Context, t *testing.T, js jetstream.JetStream) string {
	t.Helper()
	var feed bytes.Buffer
	w := bufio.NewWriter(&feed)
	if err := consumers.ReadAll(ctx, js, wire.StreamFHIR, "fhir.>", func(m jetstream.Msg) error {
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, `{"receivedAt":"%s","site":"main","resource":%s}`+"\n", meta.Timestamp.Format(time.RFC3339Nano), m.Data())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	p, err := protocols.TIL()
	if err != nil {
		t.Fatal(err)
	}
	d, err := app.NewDecoder([]*protocol.Protocol{p}, nil)
	if err != nil {
		t.Fatal(err)
	}
	e := offline.New(d, []*protocol.Protocol{p})
	if err := e.Read("stream", &feed, nil); err != nil {
		t.Fatal(err)
	}
	last := map[string]alert.Event{}
	for _, f := range e.At(time.Now()).Findings {
		last[f.ID] = alert.Event{Transition: alert.Opened, Finding: f}
	}
	return told(last)
}

// TestKillsAndZombiesLoseAndRepeatNothing kills the processor 60 times with SIGKILL during a job, and freezes it so that it wakes as a zombie beside
// its successor. Then the same with the fence taken away, to show that the test can see what the fence is for.
func TestKillsAndZombiesLoseAndRepeatNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("kills processes for a minute: skipped with -short")
	}
	bin := natstest.Build(t)
	v := runChaos(t, bin, 1, 10_000, 60, false)
	t.Logf("seed 1: %d events, %d kills, %d zombies, %d alerts, %d versions, %d violations, final state %s", 10_000, v.kills, v.zombies, v.alerts, v.versions, len(v.violations),
		map[bool]string{true: "identical", false: "different"}[v.state == v.oracle])
	if len(v.violations) > 0 {
		t.Errorf("%d versions told twice or skipped, the first: %s", len(v.violations), v.violations[0])
	}
	if d := cmp.Diff(v.oracle, v.state); d != "" {
		t.Errorf("final state (-offline +live):\n%.4000s", d)
	}
	if v.kills < 60 || v.zombies < 10 || v.alerts < 50 {
		t.Errorf("the test exercised too little: %+v", v)
	}
	t.Run("control without the fence", func(t *testing.T) {
		for seed := uint64(1); seed <= 3; seed++ {
			v := runChaos(t, bin, seed, 3000, 16, true)
			t.Logf("seed %d: %d zombies, %d violations", seed, v.zombies, len(v.violations))
			if len(v.violations) > 0 || v.state != v.oracle {
				return
			}
		}
		t.Error("without the fence nothing went wrong: this test cannot see what the fence protects from")
	})
}
