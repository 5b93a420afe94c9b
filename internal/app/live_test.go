package app_test

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/trialwatch/trialwatch/consumers"
	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/internal/app"
	"github.com/trialwatch/trialwatch/internal/natstest"
	"github.com/trialwatch/trialwatch/rules/alert"
)

// BenchmarkLive runs "trialwatch serve" as a process and says what an event costs it on its way from the broker to the committed effect, in CPU time of the
// process: with the broker within it, and with a nats-server of its own, by stage. Run it with -benchtime 1x. The feed is that of TRIALWATCH_SHARED, else a ward.
func BenchmarkLive(b *testing.B) {
	trialwatch, server := buildTrialwatch(b), natstest.Build(b)
	feed := liveFeed(b)
	for _, tt := range []struct {
		name     string
		external bool
		stages   [][]string // one process after another
	}{
		{"embedded", false, [][]string{app.AllStages}},
		{"external", true, [][]string{app.AllStages}},
		{"effect", true, [][]string{{app.StageIntake, app.StageWatch}}}, // durable: alerts and standings, no panels
		{"stages", true, [][]string{{app.StageIntake}, {app.StageWatch}}},
	} {
		b.Run(tt.name, func(b *testing.B) {
			for range b.N {
				url := ""
				if tt.external {
					url = natstest.Start(b, server, b.TempDir()).URL
				}
				dir := b.TempDir()
				for i, stages := range tt.stages {
					s := startServe(b, trialwatch, url, dir, stages...)
					before := s.cpu()
					if i == 0 {
						if err := consumers.PublishAll(b.Context(), s.js, feed()); err != nil {
							b.Fatal(err)
						}
					}
					s.settle(b, stages)
					unit := ""
					if len(tt.stages) > 1 {
						unit = "-" + stages[0]
					}
					b.ReportMetric(float64(len(feed()))/(s.cpu()-before).Seconds(), "events/CPU-s"+unit)
					b.ReportMetric(s.peak(), "MB-peak"+unit)
					s.stop()
				}
			}
		})
	}
}

// BenchmarkLatency publishes single results at a rate and says how long it is from there to the alert that each opens, as a reader of the broker sees it.
func BenchmarkLatency(b *testing.B) {
	trialwatch := buildTrialwatch(b)
	for _, rate := range []int{300, 2000} {
		b.Run(fmt.Sprint(rate), func(b *testing.B) {
			for range b.N {
				s := startServe(b, trialwatch, "", b.TempDir(), app.AllStages...)
				ms := s.latencies(b, rate, 5*time.Second)
				b.ReportMetric(ms[len(ms)/2], "ms-p50")
				b.ReportMetric(ms[len(ms)*99/100], "ms-p99")
				b.ReportMetric(float64(len(ms)), "alerts")
				s.stop()
			}
		})
	}
}

const inpatients = 500

// latencies enrols patients, publishes low and normal platelets of them in turn, and returns the sorted times, in ms, until the alert of each low one.
func (s *served) latencies(b *testing.B, rate int, span time.Duration) []float64 {
	b.Helper()
	var enrolments []*nats.Msg
	for p := range inpatients {
		enrolments = append(enrolments, fhirMsg("ResearchSubject", fmt.Sprintf(`{"resourceType":"ResearchSubject","id":"rs-%d","identifier":[{"system":"urn:s","value":"S-%d"}],"status":"on-study","period":{"start":"2026-01-01"},"study":{"reference":"ResearchStudy/til-il2"},"individual":{"reference":"Patient/p%d"},"assignedArm":"arm-1"}`, p, p, p)))
	}
	if err := consumers.PublishAll(b.Context(), s.js, enrolments); err != nil {
		b.Fatal(err)
	}
	s.settle(b, app.AllStages)

	var mu sync.Mutex
	sent, took := map[string]time.Time{}, map[string]float64{}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	go func() {
		_ = consumers.FollowAlerts(ctx, s.js, zerolog.Nop(), true, func(data []byte) error {
			now := time.Now()
			var e struct{ Data alert.Event }
			if err := json.Unmarshal(data, &e); err != nil || e.Data.Transition != alert.Opened {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			for _, x := range e.Data.Evidence {
				if at, ok := sent[x.Ref]; ok {
					took[x.Ref] = now.Sub(at).Seconds() * 1000
				}
			}
			return nil
		})
	}()
	n := int(span.Seconds()) * rate
	begin, clinical := time.Now(), time.Now().Add(-48*time.Hour)
	low := 0
	for i := range n {
		time.Sleep(time.Until(begin.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		p, round := i%inpatients, i/inpatients
		value := 150
		if round%2 == 0 {
			value, low = 60, low+1
		}
		body := fmt.Sprintf(`{"resourceType":"Observation","id":"plt-%d","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"777-3"}]},"subject":{"reference":"Patient/p%d"},"effectiveDateTime":%q,"valueQuantity":{"value":%d,"unit":"10*3/uL"},"referenceRange":[{"low":{"value":140,"unit":"10*3/uL"}}]}`,
			i, p, clinical.Add(time.Duration(round)*time.Minute).UTC().Format(time.RFC3339), value)
		mu.Lock()
		sent[fmt.Sprintf("Observation/plt-%d", i)] = time.Now()
		mu.Unlock()
		if _, err := s.js.PublishMsgAsync(fhirMsg("Observation", body)); err != nil {
			b.Fatal(err)
		}
	}
	natstest.Eventually(b, b.Context(), "every alert has come", func() bool { mu.Lock(); defer mu.Unlock(); return len(took) >= low })
	var ms []float64
	for _, d := range took {
		ms = append(ms, d)
	}
	slices.Sort(ms)
	return ms
}

func fhirMsg(kind, body string) *nats.Msg {
	return &nats.Msg{Subject: wire.FHIR("main", kind), Data: []byte(body)}
}

// liveFeed returns what makes the messages of the feed.
func liveFeed(b *testing.B) func() []*nats.Msg {
	b.Helper()
	var lines []string
	if shared := os.Getenv("TRIALWATCH_SHARED"); shared == "" {
		lines = ward(1, 50, 20_000)
	} else {
		for _, name := range []string{"enrolments.ndjson", "events.ndjson.gz"} {
			f, err := os.Open(filepath.Join(shared, "bench", name))
			if err != nil {
				b.Fatal(err)
			}
			scanner := bufio.NewScanner(f)
			if strings.HasSuffix(name, ".gz") {
				z, err := gzip.NewReader(f)
				if err != nil {
					b.Fatal(err)
				}
				scanner = bufio.NewScanner(z)
			}
			for scanner.Scan() {
				lines = append(lines, scanner.Text())
			}
			f.Close()
		}
	}
	return func() []*nats.Msg {
		var msgs []*nats.Msg
		for _, l := range lines {
			var of struct{ ResourceType string }
			if err := json.Unmarshal([]byte(l), &of); err != nil {
				b.Fatal(err)
			}
			msgs = append(msgs, fhirMsg(of.ResourceType, l))
		}
		return msgs
	}
}

func buildTrialwatch(tb testing.TB) string {
	tb.Helper()
	bin := filepath.Join(tb.TempDir(), "trialwatch")
	if out, err := exec.Command("go", "build", "-o", bin, "github.com/trialwatch/trialwatch/cmd/trialwatch").CombinedOutput(); err != nil {
		tb.Fatalf("build trialwatch: %v\n%s", err, out)
	}
	return bin
}

// served is a "trialwatch serve" that runs.
type served struct {
	cmd  *exec.Cmd
	js   jetstream.JetStream
	stop func()
}

// startServe starts one; url "" is a broker of its own.
func startServe(b *testing.B, bin, url, dir string, stages ...string) *served {
	b.Helper()
	args := []string{"serve", "--data", dir, "--listen", "127.0.0.1:0", "--stages", strings.Join(stages, ",")}
	if url != "" {
		args = append(args, "--nats", url)
	}
	_ = os.Remove(filepath.Join(dir, "nats.json"))
	s := &served{cmd: exec.Command(bin, args...)}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	var conn *nats.Conn
	s.stop = sync.OnceFunc(func() {
		if conn != nil {
			conn.Close()
		}
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		_ = s.cmd.Wait()
	})
	b.Cleanup(s.stop)
	natstest.Eventually(b, b.Context(), "serve has its streams", func() bool {
		access, err := app.ReadAccess(dir)
		if err != nil {
			return false
		}
		if conn == nil {
			if conn, err = access.Connect("bench"); err != nil {
				return false
			}
			if s.js, err = jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(20_000)); err != nil {
				b.Fatal(err)
			}
		}
		_, err = s.js.Stream(b.Context(), wire.StreamAggregates)
		return err == nil
	})
	return s
}

// settle waits until the stages have done all that there is to do.
func (s *served) settle(b *testing.B, stages []string) {
	b.Helper()
	natstest.Eventually(b, b.Context(), "everything is committed", func() bool {
		if slices.Contains(stages, app.StageIntake) {
			in, err := s.js.Consumer(b.Context(), wire.StreamFHIR, "intake")
			if err != nil || in.CachedInfo().NumPending > 0 || in.CachedInfo().NumAckPending > 0 {
				return false
			}
		}
		if !slices.Contains(stages, app.StageWatch) {
			return true
		}
		facts, err1 := s.js.Stream(b.Context(), wire.StreamFacts)
		out, err2 := s.js.Stream(b.Context(), wire.StreamOut)
		if err1 != nil || err2 != nil {
			return false
		}
		m, err := out.GetLastMsgForSubject(b.Context(), wire.Checkpoints("main"))
		var c wire.Checkpoint
		return err == nil && json.Unmarshal(m.Data, &c) == nil && c.Facts == facts.CachedInfo().State.LastSeq
	})
}

// cpu is what the process has used so far.
func (s *served) cpu() time.Duration {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100
}

// peak is the most memory that the process has had, in MB.
func (s *served) peak() float64 {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	_, rest, _ := strings.Cut(string(data), "VmHWM:")
	kb, _ := strconv.Atoi(strings.Fields(rest)[0])
	return float64(kb) / 1024
}
