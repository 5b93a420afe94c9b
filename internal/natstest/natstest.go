// Package natstest gives tests a real broker: in the process for virtual time, or as a process of its own for kills. There are no mocks.
package natstest

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// InProcess starts a broker without a network in this process and returns a connection to it. It works inside a testing/synctest bubble, if
// TestMain has called ats.Register outside of it.
func InProcess(t testing.TB) jetstream.JetStream {
	t.Helper()
	s, err := server.NewServer(&server.Options{JetStream: true, StoreDir: t.TempDir(), DontListen: true, NoLog: true, NoSigs: true, MaxPayload: 2 << 20})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the broker does not get ready")
	}
	nc, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close(); s.Shutdown(); s.WaitForShutdown() })
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// Process is a nats-server of its own.
type Process struct {
	URL     string
	Monitor string // URL of its monitoring
	cmd     *exec.Cmd
}

// Build builds the nats-server that go.mod pins and returns its path.
func Build(t testing.TB) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "nats-server")
	if out, err := exec.Command("go", "build", "-o", bin, "github.com/nats-io/nats-server/v2").CombinedOutput(); err != nil {
		t.Fatalf("build nats-server: %v\n%s", err, out)
	}
	return bin
}

// Start starts a nats-server process with JetStream on a free loopback port. It dies with the test.
func Start(t testing.TB, bin, storeDir string) *Process {
	t.Helper()
	conf := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(conf, []byte("max_payload: 2097152\njetstream { store_dir: "+`"`+storeDir+`"`+", sync_interval: always }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return StartConfig(t, bin, conf)
}

// StartConfig starts a nats-server process with a configuration file and more environment, but on free loopback ports. It dies with the test.
func StartConfig(t testing.TB, bin, conf string, env ...string) *Process {
	t.Helper()
	ports := t.TempDir()
	var said bytes.Buffer
	cmd := exec.Command(bin, "-c", conf, "-a", "127.0.0.1", "-p", "-1", "-m", "-1", "--ports_file_dir", ports)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	p := &Process{cmd: cmd}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for p.URL == "" {
		select {
		case <-ctx.Done():
			t.Fatal("nats-server has not said on which port it listens")
		case <-ended:
			t.Fatalf("nats-server ended at once:\n%s", &said)
		case <-time.After(20 * time.Millisecond):
		}
		files, _ := filepath.Glob(filepath.Join(ports, "*.ports"))
		for _, f := range files {
			var listens struct {
				Nats       []string `json:"nats"`
				Monitoring []string `json:"monitoring"`
			}
			if data, err := os.ReadFile(f); err == nil && json.Unmarshal(data, &listens) == nil && len(listens.Nats) > 0 && len(listens.Monitoring) > 0 {
				p.URL, p.Monitor = listens.Nats[0], listens.Monitoring[0]
			}
		}
	}
	return p
}

// Eventually waits until a condition holds, and fails the test when ctx ends before.
func Eventually(t testing.TB, ctx context.Context, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("not within the time: %s", what)
		case <-tick.C:
		}
	}
}
