package consumers_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/trialwatch/trialwatch/consumers"
	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/deployments/protocols"
	"github.com/trialwatch/trialwatch/fhir"
	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// edited is the shipped trial with some lines changed.
func edited(t *testing.T, edits ...string) *protocol.Protocol {
	t.Helper()
	data, err := protocols.FS.ReadFile(protocols.Shipped)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for i := 0; i < len(edits); i += 2 {
		if strings.Count(text, edits[i]) != 1 {
			t.Fatalf("%q does not stand in the protocol once", edits[i])
		}
		text = strings.Replace(text, edits[i], edits[i+1], 1)
	}
	p, err := protocol.Parse("edited.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const (
	noFever   = "  - { term: fever, episodeGap: PT24H }\n"
	noTension = "  - { term: hypertension, episodeGap: PT24H }\n"
)

func (w *ward) newWatch() *consumers.Watch {
	return consumers.NewWatch(consumers.WatchConfig{
		JetStream: w.js, Protocols: []*protocol.Protocol{w.proto}, SiteKey: []byte("key"), Worker: "ward", Logger: zerolog.Nop(),
		Metrics: consumers.NewMetrics(prometheus.NewRegistry()),
	})
}

func (w *ward) newIntake(p *protocol.Protocol) *consumers.Intake {
	return consumers.NewIntake(consumers.IntakeConfig{
		JetStream: w.js, Decoder: decoderOf(w.t, p), SiteKey: []byte("key"), Logger: zerolog.Nop(), Metrics: consumers.NewMetrics(prometheus.NewRegistry()),
	})
}

func decoderOf(t *testing.T, p *protocol.Protocol) *fhir.Decoder {
	t.Helper()
	d, err := fhir.New(fhir.Config{Zone: p.Zone, Reads: rules.Reads(p)})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// patients enrols so many, each with a fever.
func (w *ward) patients(n int) {
	for i := range n {
		w.send("ResearchSubject", fmt.Sprintf(`{"resourceType":"ResearchSubject","id":"rs-%d","status":"on-study","identifier":[{"value":"S-%04d"}],`+
			`"study":{"reference":"ResearchStudy/til-il2"},"individual":{"reference":"Patient/p%d"},"assignedArm":"arm-1","period":{"start":"1999-12-28"}}`, i, i, i))
		w.send("Observation", fmt.Sprintf(`{"resourceType":"Observation","id":"t-%d","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8310-5"}]},`+
			`"subject":{"reference":"Patient/p%d"},"effectiveDateTime":"1999-12-31T17:00:00-06:00","valueQuantity":{"value":39.4,"unit":"Cel"}}`, i, i))
	}
}

// stories is what was told of each alert in turn: "opened 1 (reason)".
func (w *ward) stories() map[string][]string {
	w.t.Helper()
	stories := map[string][]string{}
	if err := consumers.ReadAll(w.t.Context(), w.js, wire.StreamOut, "alerts.>", func(m jetstream.Msg) error {
		var e wire.CloudEvent
		err := json.Unmarshal(m.Data(), &e)
		reason := ""
		if _, why, ok := strings.Cut(e.Data.Reason, "protocol "); ok {
			reason = " (protocol " + why + ")"
		}
		name := e.Data.Subject + " " + e.Data.Rule
		stories[name] = append(stories[name], fmt.Sprintf("%s %d%s by %s", e.Data.Transition, e.Data.Version, reason, e.Data.Protocol.Version))
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return stories
}

func (w *ward) wantStories(want map[string][]string) {
	w.t.Helper()
	if d := cmp.Diff(want, w.stories()); d != "" {
		w.t.Errorf("stories (-want +got):\n%s", d)
	}
}

// pins counts the standings by the protocol that judged them.
func (w *ward) pins() map[string]int {
	w.t.Helper()
	pins := map[string]int{}
	if err := consumers.ReadLast(w.t.Context(), w.js, wire.StreamOut, "standings.>", func(m jetstream.Msg) error {
		var st wire.PatientStanding
		err := json.Unmarshal(m.Data(), &st)
		for _, s := range st.Studies {
			pins[s.Protocol]++
		}
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return pins
}

func reasonOf(a, b *protocol.Protocol) string {
	return fmt.Sprintf(" (protocol %.8s → %.8s)", a.Hash, b.Hash)
}

// Another protocol judges everybody again, once; who comes to the same is told nothing, and a restart finds nothing left to do.
func TestReloadTellsWhatIsOtherOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t)
		a := w.proto
		b := edited(t, "version: 1.0.0", "version: 1.1.0", noFever, "")
		defer w.intake()()
		watch := w.newWatch()
		stop := w.start(watch.Run)
		w.patients(2)
		w.until(1, "08:00:00")
		opened := "opened 1 by 1.0.0"
		w.wantStories(map[string][]string{"S-0000 tox.fever": {opened}, "S-0001 tox.fever": {opened}})
		watch.Use([]*protocol.Protocol{b}, 0)
		w.until(1, "08:01:00")
		retracted := "retracted 2" + reasonOf(a, b) + " by 1.1.0"
		want := map[string][]string{"S-0000 tox.fever": {opened, retracted}, "S-0001 tox.fever": {opened, retracted}}
		w.wantStories(want)
		watch.Use([]*protocol.Protocol{b}, 0)
		w.until(1, "08:02:00")
		stop()
		w.proto = b
		defer w.watch()()
		w.until(1, "08:03:00")
		w.wantStories(want)
		if d := cmp.Diff(map[string]int{b.Hash: 2}, w.pins()); d != "" {
			t.Errorf("standings by protocol (-want +got):\n%s", d)
		}
	})
}

// The first of two changes is never judged by, or is undone by the second: what stands in the end is the second, and no version is left out.
func TestTwoReloadsFastAfterAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t)
		a, b := w.proto, edited(t, noFever, "")
		c := edited(t, "version: 1.0.0", "version: 1.2.0", noTension, "")
		defer w.intake()()
		watch := w.newWatch()
		defer w.start(watch.Run)()
		w.patients(1)
		w.until(1, "08:00:00")
		watch.Use([]*protocol.Protocol{b}, 0)
		watch.Use([]*protocol.Protocol{c}, 0)
		w.until(1, "08:01:00")
		got := w.stories()["S-0000 tox.fever"]
		never := []string{"opened 1 by 1.0.0"}
		undone := append(slices.Clone(never), "retracted 2"+reasonOf(a, b)+" by 1.0.0", "opened 3"+reasonOf(b, c)+" by 1.2.0")
		if !slices.Equal(got, never) && !slices.Equal(got, undone) {
			t.Errorf("told %q, want %q or %q", got, never, undone)
		}
		if d := cmp.Diff(map[string]int{c.Hash: 1}, w.pins()); d != "" {
			t.Errorf("standings by protocol (-want +got):\n%s", d)
		}
	})
}

// Who judges by new codes first reads what they have made facts of.
func TestReloadWaitsForTheFacts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t)
		b := edited(t, "version: 1.0.0", "version: 1.1.0", noFever, "")
		defer w.intake()()
		watch := w.newWatch()
		defer w.start(watch.Run)()
		w.patients(1)
		w.until(1, "08:00:00")
		watch.Use([]*protocol.Protocol{b}, 3) // two facts are there
		w.until(1, "09:00:00")
		w.wantStories(map[string][]string{"S-0000 tox.fever": {"opened 1 by 1.0.0"}})
		w.send("Observation", `{"resourceType":"Observation","id":"anc","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"751-8"}]},`+
			`"subject":{"reference":"Patient/p0"},"effectiveDateTime":"2000-01-01T08:00:00-06:00","valueQuantity":{"value":2.0,"unit":"10*3/uL"}}`)
		w.until(1, "09:01:00")
		if got := w.stories()["S-0000 tox.fever"]; len(got) != 2 {
			t.Errorf("told %q, want the fever taken back", got)
		}
	})
}

// A processor dies while patients are judged again: some are done, and some are not. The next one tells the rest, and nothing twice.
func TestKilledWhilePatientsAreJudgedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t)
		a, b := w.proto, edited(t, "version: 1.0.0", "version: 1.1.0", noFever, "")
		defer w.intake()()
		watch := w.newWatch()
		stop := w.start(watch.Run)
		const n = 1000
		w.patients(n)
		w.until(1, "08:00:00")
		// There is room in OUT for the first of several commits.
		out, err := w.js.Stream(t.Context(), wire.StreamOut)
		if err != nil {
			t.Fatal(err)
		}
		cfg := out.CachedInfo().Config
		cfg.MaxMsgs = int64(out.CachedInfo().State.Msgs) + 901
		if _, err := w.js.UpdateStream(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		watch.Use([]*protocol.Protocol{b}, 0)
		w.until(1, "08:01:00")
		stop()
		if done := w.pins()[b.Hash]; done == 0 || done == n {
			t.Fatalf("%d of %d are judged by the new protocol: the test stops nowhere in the middle", done, n)
		}
		cfg.MaxMsgs = -1
		if _, err := w.js.UpdateStream(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		w.proto = b
		defer w.watch()()
		w.until(1, "08:02:00")
		want := map[string][]string{}
		for i := range n {
			want[fmt.Sprintf("S-%04d tox.fever", i)] = []string{"opened 1 by 1.0.0", "retracted 2" + reasonOf(a, b) + " by 1.1.0"}
		}
		w.wantStories(want)
		if d := cmp.Diff(map[string]int{b.Hash: n}, w.pins()); d != "" {
			t.Errorf("standings by protocol (-want +got):\n%s", d)
		}
	})
}

// What was of no concern when it came is a fact once a protocol reads it, in a running intake and at a start; of a resource of which something was a fact already the rest
// is added. What was read once is not repeated, and what cannot be read is a dead letter like any other.
func TestNewCodesAreReadAgain(t *testing.T) {
	for name, start := range map[string]func(w *ward, running *consumers.Intake, b *protocol.Protocol) *consumers.Intake{
		"running": func(w *ward, running *consumers.Intake, b *protocol.Protocol) *consumers.Intake {
			running.Use(decoderOf(w.t, b))
			return running
		},
		"at start": func(w *ward, _ *consumers.Intake, b *protocol.Protocol) *consumers.Intake { return w.newIntake(b) },
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWard(t)
			a, b := edited(t, noTension, ""), w.proto
			w.proto = a
			running := w.newIntake(a)
			defer w.start(running.Run)()
			watch := w.newWatch()
			defer w.start(watch.Run)()
			w.patients(1)
			pressure := func(id, at string) {
				w.send("Observation", `{"resourceType":"Observation","id":"`+id+`","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"85354-9"}]},"subject":{"reference":"Patient/p0"},`+at+
					`"component":[{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},"valueQuantity":{"value":112,"unit":"mm[Hg]"}},`+
					`{"code":{"coding":[{"system":"http://loinc.org","code":"8462-4"}]},"valueQuantity":{"value":125,"unit":"mm[Hg]"}}]}`)
			}
			pressure("bp-1", `"effectiveDateTime":"1999-12-31T18:00:00-06:00",`) // its systolic pressure is read by the holds
			w.send("Observation", `{"resourceType":"Observation","id":"bp-2","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8462-4"}]},"subject":{"reference":"Patient/p0"},`+
				`"valueQuantity":{"value":130,"unit":"mm[Hg]"}}`) // without a time, but nobody looks
			w.until(1, "08:00:00")
			if got := w.stories()["S-0000 tox.hypertension"]; got != nil {
				t.Fatalf("%s: told %q before", name, got)
			}
			before := w.count(wire.StreamFacts)
			in := start(w, running, b)
			through, err := in.Reread(t.Context(), false)
			if err != nil {
				t.Fatal(err)
			}
			// All of the one, and that the other was refused.
			if got, want := w.count(wire.StreamFacts), before+2; got != want || through != want {
				t.Errorf("%s: %d facts, through %d: want %d", name, got, through, want)
			}
			if got := w.count(wire.StreamDeadLetters); got != 1 {
				t.Errorf("%s: %d dead letters, want the one without a time", name, got)
			}
			watch.Use([]*protocol.Protocol{b}, through)
			w.until(1, "08:01:00")
			if got, want := w.stories()["S-0000 tox.hypertension"], []string{"opened 1" + reasonOf(a, b) + " by 1.0.0"}; !slices.Equal(got, want) {
				t.Errorf("%s: told %q, want %q", name, got, want)
			}
			facts := w.count(wire.StreamFacts)
			if _, err := w.newIntake(b).Reread(t.Context(), false); err != nil || w.count(wire.StreamFacts) != facts {
				t.Errorf("%s: read a third time: %v, %d facts, want %d", name, err, w.count(wire.StreamFacts), facts)
			}
		})
	}
}

// count is how many messages a stream has.
func (w *ward) count(stream string) uint64 {
	w.t.Helper()
	s, err := w.js.Stream(w.t.Context(), stream)
	if err != nil {
		w.t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}
