package consumers_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/trialwatch/trialwatch/consumers"
	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

func (w *ward) aggregate(fence bool) func() {
	return w.start(consumers.NewAggregate(consumers.AggregateConfig{
		JetStream: w.js, Protocols: []*protocol.Protocol{w.proto}, Logger: zerolog.Nop(), Metrics: consumers.NewMetrics(prometheus.NewRegistry()), WithoutFence: !fence,
	}).Run)
}

// admit sends that the patient is in hospital.
func (w *ward) admit() {
	w.send("Encounter", `{"resourceType":"Encounter","id":"stay","status":"in-progress","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"IMP"},`+
		`"subject":{"reference":"Patient/canary-patient"},"period":{"start":"1999-12-30T08:00:00-06:00"}}`)
}

// temperature sends a temperature of a patient, by id.
func (w *ward) temperature(patient string, day int, clock string) {
	w.send("Observation", fmt.Sprintf(`{"resourceType":"Observation","id":"t-%s-%d-%s","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8310-5"}]},"subject":{"reference":"Patient/%s"},`+
		`"effectiveDateTime":"2000-01-%02dT%s-06:00","valueQuantity":{"value":36.8,"system":"http://unitsofmeasure.org","code":"Cel"}}`, patient, day, clock[:2], patient, day, clock))
}

// onIL2 lets the patient have a dose on January 4 at 08:00, and then nothing is sent.
func (w *ward) onIL2() {
	w.admit()
	w.enrol()
	w.until(4, "08:05:00")
	w.dose("d1", 4, "08:00:00")
	w.until(4, "08:06:00")
}

// look runs the aggregate stage until an instant. It looks every second, so it runs only where something is to be seen.
func (w *ward) look(day int, clock string) {
	stop := w.aggregate(true)
	w.until(day, clock)
	stop()
}

// A site falls silent: the clock tells of it, at the very instant, and the next message ends it. Nobody sends anything in between.
func TestSilentSiteIsToldByTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t)
		defer w.intake()()
		defer w.watch()()
		w.onIL2()
		w.until(4, "20:04:57")
		w.look(4, "20:04:59")
		w.want(rules.FeedStale)
		w.look(4, "20:05:03")
		w.want(rules.FeedStale, "04 20:05 opened 1")
		w.want(missed, "04 18:00 opened 1", "04 20:05 updated 2")
		w.until(5, "07:00:00")
		w.temperature("somebody-else", 5, "07:00:00") // who is in no trial, but the feed is alive
		w.look(5, "07:00:05")
		w.want(rules.FeedStale, "04 20:05 opened 1", "05 07:00 resolved 2")
	})
}

// One patient falls silent while the site goes on: it is his alert, by the clock.
func TestSilentPatientIsToldByTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t)
		defer w.intake()()
		defer w.watch()()
		w.onIL2()
		for _, clock := range []string{"10:00:00", "13:00:00", "16:00:00", "19:00:00"} {
			w.until(4, clock)
			w.temperature("somebody-else", 4, clock)
		}
		w.until(4, "20:04:59")
		w.want(rules.FeedStale)
		w.until(4, "20:05:01")
		w.want(rules.FeedStale, "04 20:05 opened 1")
		w.until(4, "22:00:00")
		w.temperature("canary-patient", 4, "22:00:00")
		w.look(4, "22:00:03")
		w.want(rules.FeedStale, "04 20:05 opened 1", "04 22:00 resolved 2")
	})
}

// Messages that wait for intake are no silence: intake is down over the instant.
func TestQueueOfIntakeIsNoSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t)
		stop := w.intake()
		defer w.watch()()
		w.onIL2()
		w.until(4, "16:00:00")
		stop()
		w.until(4, "16:05:00")
		w.dose("d2", 4, "16:00:00")
		w.until(4, "20:10:00")
		w.look(4, "20:10:03")
		w.want(rules.FeedStale)
		defer w.intake()()
		w.until(5, "04:05:01")
		w.look(5, "04:05:04")
		w.want(rules.FeedStale, "05 04:05 opened 1")
	})
}

// The stages are down over the instant, and start again and again: what is told of the site is neither lost nor told twice.
func TestSilenceOfASiteSurvivesRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t)
		defer w.intake()()
		stopWatch := w.watch()
		w.onIL2()
		w.until(4, "20:10:00")
		w.want(rules.FeedStale)
		for _, clock := range []string{"20:10:03", "20:11:00", "20:11:10"} {
			w.look(4, clock)
			w.want(rules.FeedStale, "04 20:05 opened 1")
			stopWatch()
			stopWatch = w.watch()
		}
		stopWatch()
		w.until(4, "20:30:00")
		w.temperature("canary-patient", 4, "20:30:00")
		w.until(4, "20:40:00")
		w.look(4, "20:40:03")
		w.want(rules.FeedStale, "04 20:05 opened 1")
		defer w.watch()()
		w.until(4, "20:41:00")
		for _, clock := range []string{"20:41:03", "20:41:10"} {
			w.look(4, clock)
			w.want(rules.FeedStale, "04 20:05 opened 1", "04 20:30 resolved 2")
		}
	})
}

// Somebody publishes under the name that stands for no site: it is a dead letter, and what is told of the trial goes on.
func TestNoSiteIsNamedAsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t)
		defer w.intake()()
		defer w.watch()()
		w.onIL2()
		stray := nats.NewMsg("fhir." + wire.NoSite + ".ResearchSubject")
		stray.Data = []byte(`{"resourceType":"ResearchSubject","id":"rs-9","status":"on-study","study":{"reference":"ResearchStudy/til-il2"},"individual":{"reference":"Patient/stray"}}`)
		stray.Header.Set(wire.HeaderSource, "engine")
		stray.Header.Set(wire.HeaderSequence, "1")
		if _, err := w.js.PublishMsg(t.Context(), stray); err != nil {
			t.Fatal(err)
		}
		w.until(4, "20:04:57")
		w.look(4, "20:05:01")
		w.want(rules.FeedStale, "04 20:05 opened 1")
		dead, err := w.js.Stream(t.Context(), wire.StreamDeadLetters)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := dead.GetLastMsgForSubject(t.Context(), wire.DeadLetters(wire.NoSite, string(consumers.ReasonNoSite))); err != nil {
			t.Errorf("no dead letter: %v", err)
		}
	})
}

// A source that numbers its messages has lost two of them. It is told after five minutes, and taken back when they come.
func TestGapOfASource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t)
		defer w.intake()()
		stopWatch := w.watch()
		number := func(n string) {
			m := &nats.Msg{Subject: wire.FHIR("main", "Appointment"), Data: []byte(`{"resourceType":"Appointment"}`), Header: nats.Header{}}
			m.Header.Set(wire.HeaderSource, "engine-1")
			m.Header.Set(wire.HeaderSequence, n)
			if _, err := w.js.PublishMsg(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		w.enrol()
		w.until(3, "11:00:00")
		for _, n := range []string{"7", "8", "11", "not a number"} {
			number(n)
		}
		w.until(3, "11:04:59")
		w.look(3, "11:04:59")
		w.want("data.gap")
		w.until(3, "11:05:01")
		w.look(3, "11:05:04")
		w.want("data.gap", "03 11:05 opened 1")
		stopWatch()
		defer w.watch()()
		w.until(3, "11:20:00")
		w.look(3, "11:20:03")
		w.want("data.gap", "03 11:05 opened 1")
		number("10")
		number("9")
		w.until(3, "11:21:00")
		w.look(3, "11:21:03")
		w.want("data.gap", "03 11:05 opened 1", "03 11:20 retracted 2")
	})
}

// Two aggregate stages work at once, and the fence lets one of them tell. Without it both do, which shows that the fence is needed.
func TestTwoAggregatesTellOnce(t *testing.T) {
	for _, fence := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := newWard(t)
			defer w.intake()()
			defer w.watch()()
			w.onIL2()
			w.until(4, "20:05:01")
			first, second := w.aggregate(fence), w.aggregate(fence)
			w.until(4, "20:05:05")
			first()
			second()
			told := w.told(rules.FeedStale)
			if once := len(told) == 1; once != fence {
				t.Errorf("fence %v: told %v", fence, told)
			}
		})
	}
}
