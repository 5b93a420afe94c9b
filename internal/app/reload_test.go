package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/trialwatch/trialwatch/consumers"
	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/deployments/protocols"
	"github.com/trialwatch/trialwatch/internal/app"
	"github.com/trialwatch/trialwatch/internal/natstest"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// lockedBuffer is a log that a test reads while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write adds to the log.
func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) has(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), s)
}

// TestChangedFiles changes the protocol of a running app as people and clusters do, well and badly.
func TestChangedFiles(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	data, err := protocols.FS.ReadFile(protocols.Shipped)
	if err != nil {
		t.Fatal(err)
	}
	shipped := string(data)
	edit := func(old, new string) string {
		if strings.Count(shipped, old) != 1 {
			t.Fatalf("%q does not stand in the protocol once", old)
		}
		return strings.Replace(shipped, old, new, 1)
	}
	// As Kubernetes mounts it: the file is a link into a directory that is a link.
	dir := t.TempDir()
	volume := func(name, text string) {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "protocol.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := func(name, to string) {
		temporary := filepath.Join(dir, "..tmp")
		if err := os.Symlink(to, temporary); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(temporary, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	volume("..1", shipped)
	link("..data", "..1")
	link("protocol.yaml", filepath.Join("..data", "protocol.yaml"))
	file := filepath.Join(dir, "protocol.yaml")
	p, err := protocol.Parse(file, data)
	if err != nil {
		t.Fatal(err)
	}
	var log lockedBuffer
	hangUp := make(chan os.Signal, 1)
	o := app.DefaultOptions()
	o.DataDir, o.Protocols, o.Listen, o.Files, o.Reload, o.Logger = t.TempDir(), []*protocol.Protocol{p}, "127.0.0.1:0", app.Files{Protocols: []string{file}}, hangUp, zerolog.New(&log)
	a := started(t, o)
	get := func(path string) string {
		resp, err := http.Get("http://" + a.Addr() + path)
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.Status + "\n" + string(body)
	}
	for kind, resource := range map[string]string{
		"ResearchSubject": `{"resourceType":"ResearchSubject","id":"rs-1","identifier":[{"system":"urn:s","value":"S-001"}],"status":"on-study","period":{"start":"2026-01-01"},"study":{"reference":"ResearchStudy/til-il2"},"individual":{"reference":"Patient/p1"},"assignedArm":"arm-1"}`,
		"Observation":     `{"resourceType":"Observation","id":"t-1","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8310-5"}]},"subject":{"reference":"Patient/p1"},"effectiveDateTime":"` + time.Now().Add(-time.Hour).UTC().Format(time.RFC3339) + `","valueQuantity":{"value":38.6,"unit":"Cel"}}`,
	} {
		if _, err := a.JetStream().Publish(ctx, wire.FHIR("main", kind), []byte(resource)); err != nil {
			t.Fatal(err)
		}
	}
	// told is the last transition of the fever with the version of the protocol that judged.
	told := func() (last string) {
		_ = consumers.ReadAll(ctx, a.JetStream(), wire.StreamOut, "alerts.>", func(m jetstream.Msg) error {
			var e wire.CloudEvent
			err := json.Unmarshal(m.Data(), &e)
			if e.Data.Rule == "tox.fever" {
				last = string(e.Data.Transition) + " by " + e.Data.Protocol.Version
			}
			return err
		})
		return last
	}
	eventually := func(what string, ok func() bool) { t.Helper(); natstest.Eventually(t, ctx, what, ok) }
	eventually("the fever is told", func() bool { return told() == "opened by 1.0.0" })
	eventually("ready", func() bool { return get("/readyz") == "200 OK\nready\n" })

	const fever = "  - { term: fever, episodeGap: PT24H }\n"
	volume("..2", strings.Replace(edit(fever, ""), "version: 1.0.0", "version: 1.1.0", 1))
	link("..data", "..2") // nobody says so
	eventually("the fever is taken back", func() bool { return told() == "retracted by 1.1.0" })
	eventually("the panels are those of the new protocol", func() bool { return strings.Contains(get("/"), "protocol til-il2 1.1.0") })

	// An editor writes a new file and renames it over the old one; this one is broken.
	volume("..2", shipped) // not yet looked at
	if err := os.WriteFile(filepath.Join(dir, "..2", "new"), []byte(edit("ctcae: \"5.0\"", "ctcae: \"5.1\"")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "..2", "new"), filepath.Join(dir, "..2", "protocol.yaml")); err != nil {
		t.Fatal(err)
	}
	hangUp <- syscall.SIGHUP
	refused := "The changed protocol or site file was refused, see the log. What runs is til-il2 1.1.0"
	eventually("it is refused", func() bool { return strings.HasPrefix(get("/readyz"), "200 OK\nready\n"+refused) })
	if !strings.Contains(get("/"), refused) || !strings.Contains(get("/metrics"), "trialwatch_protocol_refused 1") {
		t.Error("neither the page nor the metrics say that the file was refused")
	}
	if !log.has("protocol.yaml:") || !log.has("5.1") {
		t.Errorf("the log does not say what is wrong, and where:\n%s", log.b.String())
	}

	// One that is in order, and judges the past without saying so.
	volume("..2", strings.Replace(edit("    tolerance: PT1H    # either", "    tolerance: PT30M    # either"), fever, "", 1))
	hangUp <- syscall.SIGHUP
	eventually("the past is refused", func() bool { return log.has("regimens[arm-1/il2] is another and does not say from when") })
	if err := os.Remove(filepath.Join(dir, "..2", "protocol.yaml")); err != nil {
		t.Fatal(err)
	}
	hangUp <- syscall.SIGHUP
	eventually("no file is refused", func() bool { return log.has("no such file") })
	volume("..2", strings.Replace(edit(fever, fever+"  - { term: chills, episodeGap: PT24H }\n"), "study: til-il2", "study: another", 1))
	hangUp <- syscall.SIGHUP
	eventually("another study is refused", func() bool { return log.has("the study is another and was til-il2") })
	if got := told(); got != "retracted by 1.1.0" {
		t.Errorf("told %q meanwhile", got)
	}

	// And two good ones, one right after the other: the second stands.
	volume("..2", strings.Replace(shipped, "version: 1.0.0", "version: 1.2.0", 1))
	hangUp <- syscall.SIGHUP
	volume("..2", strings.Replace(shipped, "version: 1.0.0", "version: 1.3.0", 1))
	hangUp <- syscall.SIGHUP
	eventually("the fever is told again", func() bool { return strings.HasPrefix(told(), "opened by 1.") })
	eventually("the last file runs", func() bool {
		return get("/readyz") == "200 OK\nready\n" && strings.Contains(get("/"), "protocol til-il2 1.3.0")
	})
	if !strings.Contains(get("/metrics"), "trialwatch_protocol_refused 0") {
		t.Error("the metrics still say that the file was refused")
	}
}

// TestStartWithAnotherFile starts an app anew with a protocol that would judge the past in another way.
func TestStartWithAnotherFile(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	shipped, err := protocols.FS.ReadFile(protocols.Shipped)
	if err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	file := filepath.Join(t.TempDir(), "protocol.yaml")
	version := func(n, old, new string) *protocol.Protocol {
		text := strings.Replace(strings.Replace(string(shipped), "version: 1.0.0", "version: "+n, 1), old, new, 1)
		p, err := protocol.Parse(file, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	plain, strict, next := version("1.0.0", "", ""), version("2.0.0", "    tolerance: PT1H    # either", "    tolerance: PT30M    # either"), version("2.1.0", "    tolerance: PT1H    # either", "    tolerance: PT30M    # either")
	refused := "The changed protocol or site file was refused"
	for _, tt := range []struct {
		name         string
		given        *protocol.Protocol
		accept       string
		runs, logged string
		refused      bool
		stored       string // in the place of what is stored before the start
	}{
		{name: "the first", given: plain, runs: "1.0.0"},
		{name: "the same", given: plain, runs: "1.0.0"},
		{name: "judges the past", given: strict, runs: "1.0.0", refused: true, logged: "regimens[arm-1/il2] is another and does not say from when"},
		{name: "still does", given: strict, runs: "1.0.0", refused: true, logged: "serve --accept-protocol " + strict.Hash[:16]},
		{name: "another one is accepted", given: strict, accept: next.Hash[:16], runs: "1.0.0", refused: true},
		{name: "is accepted", given: strict, accept: strict.Hash[:16], runs: "2.0.0"},
		{name: "needs it once", given: strict, runs: "2.0.0"},
		{name: "changes nothing of the past", given: next, runs: "2.1.0"},
		{name: "back to the first", given: plain, runs: "2.1.0", refused: true},
		{name: "after what nobody can read", given: plain, runs: "1.0.0", stored: "study: [", logged: "nothing says whether this one judges the past"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile(file, tt.given.File, 0o600); err != nil {
				t.Fatal(err)
			}
			var log lockedBuffer
			start := func() *app.App {
				o := app.DefaultOptions()
				o.DataDir, o.Protocols, o.Listen, o.Files, o.AcceptProtocol = data, []*protocol.Protocol{tt.given}, "127.0.0.1:0", app.Files{Protocols: []string{file}}, tt.accept
				o.Logger = zerolog.New(&log)
				a, err := app.New(o)
				if err != nil {
					t.Fatal(err)
				}
				if err := a.Start(ctx); err != nil {
					t.Fatal(err, a.Stop())
				}
				return a
			}
			a := start()
			if tt.stored != "" {
				if err := consumers.KeepProtocol(ctx, a.JetStream(), &protocol.Protocol{Study: tt.given.Study, File: []byte(tt.stored)}); err != nil {
					t.Fatal(err)
				}
				if err := a.Stop(); err != nil {
					t.Fatal(err)
				}
				a = start()
			}
			var page string
			natstest.Eventually(t, ctx, "the page names the protocol", func() bool {
				resp, err := http.Get("http://" + a.Addr() + "/")
				if err != nil {
					return false
				}
				defer resp.Body.Close()
				body, _ := io.ReadAll(resp.Body)
				page = string(body)
				return strings.Contains(page, "protocol til-il2 "+tt.runs)
			})
			if strings.Contains(page, refused) != tt.refused {
				t.Errorf("the page says that the file was refused: %v, want %v", !tt.refused, tt.refused)
			}
			if err := a.Stop(); err != nil {
				t.Error(err)
			}
			if tt.logged != "" && !log.has(tt.logged) {
				t.Errorf("the log does not say %q:\n%s", tt.logged, log.b.String())
			}
		})
	}
	o := app.DefaultOptions()
	o.DataDir, o.Protocols, o.AcceptProtocol = data, []*protocol.Protocol{plain}, plain.Hash[:15]
	if _, err := app.New(o); err == nil || !strings.Contains(err.Error(), "at least 16") {
		t.Errorf("fifteen digits of a hash: %v", err)
	}
}
