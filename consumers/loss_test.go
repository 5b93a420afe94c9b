package consumers_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/trialwatch/trialwatch/consumers"
	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

const lossRule = "data.gap"

// watchAccepting runs a watch that accepts a loss; why is what it last said of one.
func (w *ward) watchAccepting(token string) (stop func(), why *string) {
	why = new(string)
	return w.start(consumers.NewWatch(consumers.WatchConfig{
		JetStream: w.js, Protocols: []*protocol.Protocol{w.proto}, SiteKey: []byte("key"), Worker: "ward", Logger: zerolog.Nop(),
		Metrics: consumers.NewMetrics(prometheus.NewRegistry()), AcceptLoss: token, Lost: func(s string) { *why = s },
	}).Run), why
}

// token is the name of the loss that was told last.
func (w *ward) token() (token string) {
	w.t.Helper()
	if err := consumers.ReadAll(w.t.Context(), w.js, wire.StreamOut, "checkpoints.main", func(m jetstream.Msg) error {
		var c wire.Checkpoint
		err := json.Unmarshal(m.Data(), &c)
		if n := len(c.Losses); n > 0 {
			token = c.Losses[n-1].Token
		}
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return token
}

// facts makes the stream of facts anew, one that can be purged.
func (w *ward) facts() jetstream.Stream {
	w.t.Helper()
	if err := w.js.DeleteStream(w.t.Context(), wire.StreamFacts); err != nil {
		w.t.Fatal(err)
	}
	for _, cfg := range wire.Streams(wire.DefaultSizes(), 1) {
		if cfg.Name == wire.StreamFacts {
			cfg.DenyPurge = false
			s, err := w.js.CreateStream(w.t.Context(), cfg)
			if err != nil {
				w.t.Fatal(err)
			}
			return s
		}
	}
	panic("no stream of facts")
}

const lowPlatelets = "tox.platelet-count-decreased"

// platelets sends a count of the patient, taken on the evening before January 1, which is when the ward begins.
func (w *ward) platelets(id string, value int) {
	w.send("Observation", fmt.Sprintf(`{"resourceType":"Observation","id":%q,"status":"final","code":{"coding":[{"system":"http://loinc.org","code":"777-3"}]},"subject":{"reference":"Patient/canary-patient"},`+
		`"effectiveDateTime":"1999-12-31T17:%s:00-06:00","valueQuantity":{"value":%d,"unit":"10*3/uL"},"referenceRange":[{"low":{"value":140,"unit":"10*3/uL"}}]}`, id, id, value))
}

func purge(w *ward, facts jetstream.Stream, opts ...jetstream.StreamPurgeOpt) {
	if err := facts.Purge(w.t.Context(), opts...); err != nil {
		w.t.Fatal(err)
	}
}

// The facts beneath an alert are gone. What stands is not taken back, and the loss is told once, however often the stages start; when it has been accepted,
// and what the broker still has of the resources was read again, everybody is judged as before.
func TestLostFactsTakeNothingBack(t *testing.T) {
	for _, tt := range []struct {
		name string
		lose func(w *ward, facts jetstream.Stream)
		live bool // the watch runs meanwhile
		lost bool
	}{
		{"nothing is lost", func(*ward, jetstream.Stream) {}, false, false},
		{"purged", func(w *ward, facts jetstream.Stream) { purge(w, facts) }, false, true},
		{"purged but for the last fact", func(w *ward, facts jetstream.Stream) { purge(w, facts, jetstream.WithPurgeKeep(1)) }, false, true},
		{"purged while the watch runs", func(w *ward, facts jetstream.Stream) { purge(w, facts) }, true, true},
		{"made anew", func(w *ward, _ jetstream.Stream) { w.facts() }, false, true},
		{"made anew while the watch runs", func(w *ward, _ jetstream.Stream) { w.facts() }, true, true},
		{"made anew, and filled beyond where it was", func(w *ward, _ jetstream.Stream) {
			w.facts()
			defer w.intake()()
			for _, id := range []string{"11", "12", "13", "14"} {
				w.platelets(id, 200)
			}
			w.after(time.Second)
		}, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWard(t)
				facts := w.facts()
				stopIntake, stopWatch := w.intake(), w.watch()
				w.enrolment()
				w.platelets("30", 20)
				w.after(time.Second)
				told := w.told(lowPlatelets)
				if len(told) != 1 {
					t.Fatalf("told %v, want one", told)
				}
				if !tt.live {
					stopIntake()
					stopWatch()
				}
				tt.lose(w, facts)
				if tt.live {
					w.after(6 * time.Minute)
					if w.token() == "" {
						t.Error("the watch has not noticed while it ran")
					}
					stopIntake()
					stopWatch()
				}
				for range 2 {
					stop, why := w.watchAccepting("another")
					w.aggregateFor(3 * time.Second)
					stop()
					if lost := strings.Contains(*why, "facts that were stored are gone"); lost != tt.lost {
						t.Errorf("the watch says %q", *why)
					}
				}
				w.want(lowPlatelets, told...)
				if !tt.lost {
					w.want(lossRule)
					return
				}
				if got := w.told(lossRule); len(got) != 1 || !strings.HasSuffix(got[0], " opened 1") {
					t.Errorf("told %v, want one", got)
				}

				in := consumers.NewIntake(consumers.IntakeConfig{JetStream: w.js, Decoder: w.decoder, SiteKey: []byte("key"), Logger: zerolog.Nop(), Metrics: consumers.NewMetrics(prometheus.NewRegistry())})
				accepts, err := consumers.AcceptsLoss(t.Context(), w.js, w.token())
				if err != nil || !accepts {
					t.Fatalf("%s is not the name of the loss: %v", w.token(), err)
				}
				if _, err := in.Reread(t.Context(), true); err != nil {
					t.Fatal(err)
				}
				stop, _ := w.watchAccepting(w.token())
				w.aggregateFor(20 * time.Second) // it may have to start anew in between
				stop()
				w.want(lowPlatelets, told...)
				if got := w.told(lossRule); len(got) != 2 || !strings.HasSuffix(got[1], " resolved 2") {
					t.Errorf("told %v, want it resolved", got)
				}
				// From here on it is as if nothing had been: a new start refuses nothing, and what is new is told.
				defer w.intake()()
				stop, why := w.watchAccepting("")
				defer stop()
				w.platelets("30", 200) // corrected
				w.after(time.Second)
				if got := w.told(lowPlatelets); len(got) != 2 || !strings.HasSuffix(got[1], " retracted 2") {
					t.Errorf("told %v, want it retracted", got)
				}
				if *why != "" {
					t.Errorf("after it was accepted the watch says %q", *why)
				}
			})
		})
	}
}

func (w *ward) after(d time.Duration) { <-time.After(d); synctest.Wait() }

// aggregateFor runs the aggregate stage so long.
func (w *ward) aggregateFor(d time.Duration) {
	stop := w.aggregate(true)
	w.after(d)
	stop()
}
