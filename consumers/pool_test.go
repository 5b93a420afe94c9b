package consumers_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/trialwatch/trialwatch/consumers"
	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/deployments/protocols"
	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/aggregate"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// blind makes a ward's trial one in which not everybody may see the arms.
func (w *ward) blind(lines ...string) {
	w.t.Helper()
	text, err := protocols.FS.ReadFile(protocols.Shipped)
	if err != nil {
		w.t.Fatal(err)
	}
	blinding := "\nblinding:\n  unblinded: [safety-board]\n  cite: a test\n"
	for _, l := range lines {
		blinding += "  " + l + "\n"
	}
	if w.proto, err = protocol.Parse("protocol.yaml", append(text, blinding...)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *ward) pool(change ...func(*consumers.PoolConfig)) func() {
	cfg := consumers.PoolConfig{JetStream: w.js, Protocols: []*protocol.Protocol{w.proto}, Logger: zerolog.Nop()}
	for _, c := range change {
		c(&cfg)
	}
	return w.start(consumers.NewPool(cfg).Run)
}

// shows publishes all panels as the aggregate stage would now, of so many patients, every second one in each arm.
func (w *ward) shows(patients int) {
	w.t.Helper()
	var ps []rules.Summary
	for i := range patients {
		ps = append(ps, rules.Summary{Enrolled: true, Treated: true, Arm: []string{"arm-1", "arm-2"}[i%2], Exposure: []rules.Exposure{{Regimen: "il2", Given: 3}}})
	}
	for _, panel := range aggregate.Panels(w.proto, ps, []aggregate.SiteRow{{Site: "main"}}, time.Now()) {
		panel.Through = 77
		data, err := wire.Encode(panel)
		if err != nil {
			w.t.Fatal(err)
		}
		if _, err := w.js.Publish(w.t.Context(), wire.Aggregates(w.proto.Study, panel.Name), data); err != nil {
			w.t.Fatal(err)
		}
	}
	synctest.Wait()
	<-time.After(time.Millisecond)
	synctest.Wait()
}

// pooled reads what is published of a panel: the enrolled, and as of when on the clocks of the trial.
func (w *ward) pooled() (enrolled string, panels int) {
	w.t.Helper()
	if err := consumers.ReadLast(w.t.Context(), w.js, wire.StreamPooled, "pooled.>", func(m jetstream.Msg) error {
		var p struct {
			AsOf time.Time
			All  struct{ Enrolled int }
		}
		panels++
		err := json.Unmarshal(m.Data(), &p)
		if strings.HasSuffix(m.Subject(), ".enrolment") {
			enrolled = fmt.Sprintf("%d at %s", p.All.Enrolled, p.AsOf.In(w.zone).Format("02 15:04:05"))
		}
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return enrolled, panels
}

func (w *ward) wantPooled(want string) {
	w.t.Helper()
	if got, _ := w.pooled(); got != want {
		w.t.Errorf("at %s the pooled panels show %q, want %q", time.Now().In(w.zone).Format("Jan 02 15:04:05"), got, want)
	}
}

// stored is how many messages were ever published into POOLED.
func (w *ward) stored() uint64 {
	w.t.Helper()
	s, err := w.js.Stream(w.t.Context(), wire.StreamPooled)
	if err != nil {
		w.t.Fatal(err)
	}
	return s.CachedInfo().State.LastSeq
}

// Without a period pooled panels follow the others, and a restart or the same panels once more tell nothing new.
func TestPooledPanelsFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t)
		w.blind()
		stop := w.pool()
		w.shows(3)
		w.wantPooled("3 at 31 18:00:00")
		if _, n := w.pooled(); n != len(aggregate.Pooled) {
			t.Errorf("%d pooled panels, want %d", n, len(aggregate.Pooled))
		}
		before := w.stored()
		w.shows(3)
		if w.stored() != before {
			t.Error("the same panels are published anew at once")
		}
		w.until(1, "00:00:00")
		w.shows(4)
		w.wantPooled("4 at 01 00:00:00")
		stop()
		before = w.stored()
		defer w.pool()()
		w.until(1, "00:00:02")
		if w.stored() != before {
			t.Error("a new worker publishes what stands")
		}
		w.shows(6)
		w.wantPooled("6 at 01 00:00:02")
	})
}

// With a period of a day pooled panels change at the local midnight and at no other time, however much happens, and whoever is started in between.
func TestPooledPanelsChangeAtMidnightOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t)
		w.blind("publishEvery: P1D")
		stop := w.pool()
		w.shows(3) // the first are shown at once: nobody has seen any yet
		w.wantPooled("3 at 31 18:00:00")
		for i, clock := range []string{"00:00:00", "00:00:07", "00:41:00"} {
			w.until(1, clock)
			w.shows(4 + i)
			w.wantPooled("4 at 01 00:00:00")
		}
		stop()
		w.shows(8)
		defer w.pool()() // a restart is no reason
		w.until(1, "01:00:00")
		w.wantPooled("4 at 01 00:00:00")
		w.shows(9)
		w.wantPooled("4 at 01 00:00:00")
	})
}

// A panel that is not brought up to date in the new period is waited for: all are of one time.
func TestPooledPanelsAreOfOnePeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t)
		w.blind("publishEvery: PT1H")
		defer w.pool()()
		w.shows(3)
		w.until(1, "00:00:30")
		for _, panel := range aggregate.Panels(w.proto, nil, nil, time.Now()) {
			if panel.Name == aggregate.Feed {
				continue
			}
			data, err := wire.Encode(panel)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.js.Publish(t.Context(), wire.Aggregates(w.proto.Study, panel.Name), data); err != nil {
				t.Fatal(err)
			}
		}
		w.until(1, "00:10:00")
		w.wantPooled("3 at 31 18:00:00")
		w.shows(5)
		w.wantPooled("5 at 01 00:10:00")
	})
}

// Who may not see the arms never gets a panel of a trial without blinding, nor one that another protocol made.
func TestWhatIsNotPooled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t)
		defer w.pool()()
		w.shows(3)
		if _, n := w.pooled(); n != 0 {
			t.Errorf("%d panels of an open trial are pooled", n)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t)
		open := w.proto
		w.blind()
		defer w.pool()()
		w.proto = open
		w.shows(3) // by the protocol of before, which hid less
		if _, n := w.pooled(); n != 0 {
			t.Errorf("%d panels of another protocol are pooled", n)
		}
	})
}

// What cannot be read is skipped, and what stood before it is not shown as if it still stood.
func TestForeignPanelsAreSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t)
		w.blind()
		defer w.pool()()
		w.shows(3)
		w.until(1, "00:00:00")
		if _, err := w.js.Publish(t.Context(), wire.Aggregates(w.proto.Study, aggregate.Toxicity), []byte(`{"panel":"toxicity","all":7}`)); err != nil {
			t.Fatal(err)
		}
		w.wantPooled("3 at 31 18:00:00")
		w.until(1, "00:00:10")
		w.shows(4)
		w.wantPooled("4 at 01 00:00:10")
	})
}

// Two workers at once publish every period once: without the fence each publishes its own, and the second snapshot tells what happened between the two.
func TestTwoPoolsPublishOnce(t *testing.T) {
	run := func(without bool) (sequence uint64) {
		synctest.Test(t, func(t *testing.T) {
			w := newWard(t)
			w.blind("publishEvery: PT1H")
			for range 2 {
				defer w.pool(func(c *consumers.PoolConfig) { c.WithoutFence = without })()
			}
			synctest.Wait()
			w.shows(3)
			for hour := range 4 {
				w.until(1, fmt.Sprintf("%02d:00:03", hour))
				w.shows(4 + hour)
			}
			<-time.After(time.Minute)
			w.wantPooled("7 at 01 03:00:00")
			sequence = w.stored()
		})
		return sequence
	}
	if got, want := run(false), uint64(5*len(aggregate.Pooled)); got != want {
		t.Errorf("%d messages in five periods, want %d", got, want)
	}
	if got := run(true); got <= uint64(5*len(aggregate.Pooled)) {
		t.Errorf("without the fence %d messages: this test sees nothing", got)
	}
}

// From FHIR to the pooled panels, through every stage: no arm, no position, no subject.
func TestPooledPanelsFromTheFeedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t)
		w.blind()
		defer w.intake()()
		defer w.watch()()
		defer w.start(consumers.NewAggregate(consumers.AggregateConfig{
			JetStream: w.js, Protocols: []*protocol.Protocol{w.proto}, Logger: zerolog.Nop(), Metrics: consumers.NewMetrics(prometheus.NewRegistry()),
		}).Run)()
		defer w.pool()()
		w.enrolment()
		<-time.After(20 * time.Second)
		got := 0
		if err := consumers.ReadLast(t.Context(), w.js, wire.StreamPooled, "pooled.>", func(m jetstream.Msg) error {
			got++
			for _, word := range []string{"arm-1", "arm-2", `"arms"`, "S-001", "canary", "through", "comparison", "il2\""} {
				if body := strings.ReplaceAll(string(m.Data()), `"study":"til-il2"`, ""); strings.Contains(body, word) {
					t.Errorf("%s says %s: %s", m.Subject(), word, body)
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if got != len(aggregate.Pooled) {
			t.Errorf("%d pooled panels", got)
		}
		if s, _ := w.pooled(); !strings.HasPrefix(s, "1 at") {
			t.Errorf("the pooled panels show %s", s)
		}
	})
}

// written is what is written down of suppression, and how often it was.
func (w *ward) written() (s *aggregate.Suppressed, times uint64) {
	w.t.Helper()
	if err := consumers.ReadLast(w.t.Context(), w.js, wire.StreamPooling, "pooling.>", func(m jetstream.Msg) error {
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		times, s = meta.Sequence.Stream, &aggregate.Suppressed{}
		return json.Unmarshal(m.Data(), s)
	}); err != nil {
		w.t.Fatal(err)
	}
	return s, times
}

// bounds is what is published under suppression, in words, and the body of every panel.
func (w *ward) bounds() (said string, bodies []string) {
	w.t.Helper()
	if err := consumers.ReadLast(w.t.Context(), w.js, wire.StreamPooled, "pooled.>", func(m jetstream.Msg) error {
		var p aggregate.PooledPanel
		err := json.Unmarshal(m.Data(), &p)
		if p.Name == aggregate.Enrolment {
			said = fmt.Sprintf("%d enrolled at %s", *p.Enrolled, p.AsOf.In(w.zone).Format("02 15:04:05"))
		}
		for _, b := range p.Bounds {
			said += fmt.Sprintf(", %s %s at least %d of %d", b.Group, b.Count, b.AtLeast, b.Of)
		}
		bodies = append(bodies, string(m.Data()))
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return said, bodies
}

// Under suppression a bound is published and nothing else; it stays where it is over restarts until five patients more have been treated, and is never drawn anew.
func TestSuppressedPanels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t)
		w.blind("publishEvery: PT1H", "suppressBelow: 5")
		stop := w.pool()
		w.shows(16)
		wants := func(want string) {
			t.Helper()
			said, bodies := w.bounds()
			if said != want {
				t.Errorf("%s\nwant %s", said, want)
			}
			if len(bodies) != len(aggregate.Pooled) {
				t.Errorf("%d panels", len(bodies))
			}
			for _, body := range bodies {
				for _, word := range []string{`"all"`, `"percent"`, "offset", `"n"`, "arm-", "median", "main"} {
					if strings.Contains(body, word) {
						t.Errorf("%s in %s", word, body)
					}
				}
			}
		}
		// Of 16 at least 10 is the most that leaves five or more above it open.
		wants("16 enrolled at 31 18:00:00,  treated at least 10 of 16")
		before, _ := w.written()
		stop()
		stop = w.pool()
		w.until(1, "00:00:03")
		w.shows(20) // four more treated: nothing moves
		wants("20 enrolled at 01 00:00:00,  treated at least 10 of 16")
		after, _ := w.written()
		for name, c := range before.Cells {
			if after.Cells[name] != c {
				t.Errorf("%q: %+v became %+v", name, c, after.Cells[name])
			}
		}
		stop()
		defer w.pool()()
		w.until(1, "01:00:03")
		w.shows(21)
		wants("21 enrolled at 01 01:00:00,  treated at least 15 of 21")
	})
}

// After a crash between the two what was written down is published, and nothing is drawn again: a second draw would be a second look.
func TestSuppressionAfterACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t)
		w.blind("publishEvery: PT1H", "suppressBelow: 5")
		crashes := 0
		defer w.pool(func(c *consumers.PoolConfig) {
			c.Crash = func() error {
				if crashes++; crashes <= 2 {
					return fmt.Errorf("crash %d", crashes)
				}
				return nil
			}
		})()
		w.shows(16)
		<-time.After(time.Second)
		s, times := w.written()
		if times != 1 || crashes != 1 {
			t.Errorf("written down %d times in %d crashes, want once", times, crashes)
		}
		said, bodies := w.bounds()
		if !strings.HasPrefix(said, "16 enrolled at 31 18:00:00") {
			t.Errorf("%s is published", said)
		}
		for i, panel := range s.Panels() {
			want, err := wire.Encode(panel)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(bodies, string(want)) {
				t.Errorf("panel %d is not as written down: %s", i, want)
			}
		}
	})
}

// A publication that a crash kept back over the end of its period is made up for: between two that are seen no bound moves twice.
func TestSuppressionIsPublishedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t)
		w.blind("publishEvery: PT1H", "suppressBelow: 5")
		stop := w.pool()
		w.shows(16)
		stop()
		release := make(chan struct{})
		stop = w.pool(func(c *consumers.PoolConfig) {
			c.Crash = func() error { <-release; return errors.New("crash") }
		})
		w.until(1, "00:00:03")
		w.shows(21)
		w.until(1, "01:00:03")
		w.shows(26)
		close(release)
		stop()
		if said, _ := w.bounds(); !strings.HasPrefix(said, "16 enrolled at 31 18:00:00") {
			t.Fatalf("%s is published: this test sees nothing", said)
		}
		defer w.pool()()
		<-time.After(time.Second)
		if said, _ := w.bounds(); !strings.HasPrefix(said, "21 enrolled at 01 00:00:00") {
			t.Errorf("%s is published, want what was written down at midnight", said)
		}
		w.shows(26)
		if said, _ := w.bounds(); !strings.HasPrefix(said, "26 enrolled at 01 01:00:00") {
			t.Errorf("%s is published, want what is due", said)
		}
	})
}

// Two workers write down and publish every period once.
func TestTwoPoolsSuppressOnce(t *testing.T) {
	run := func(without bool) (written, stored uint64) {
		synctest.Test(t, func(t *testing.T) {
			w := newWard(t)
			w.blind("publishEvery: PT1H", "suppressBelow: 5")
			for range 2 {
				defer w.pool(func(c *consumers.PoolConfig) { c.WithoutFence = without })()
			}
			synctest.Wait()
			w.shows(16)
			for hour := range 3 {
				w.until(1, fmt.Sprintf("%02d:00:03", hour))
				w.shows(17 + hour)
			}
			<-time.After(time.Minute)
			_, written = w.written()
			stored = w.stored()
		})
		return written, stored
	}
	if written, stored := run(false); written != 4 || stored != 4*uint64(len(aggregate.Pooled)) {
		t.Errorf("in four periods written down %d times, %d messages published", written, stored)
	}
	if written, _ := run(true); written <= 4 {
		t.Errorf("without the fence written down %d times: this test sees nothing", written)
	}
}
