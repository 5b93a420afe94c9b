package consumers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server/ats"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/trialwatch/trialwatch/consumers"
	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/deployments/protocols"
	"github.com/trialwatch/trialwatch/fhir"
	"github.com/trialwatch/trialwatch/internal/natstest"
	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// The tests of this file run a real JetStream inside a testing/synctest bubble: hours and days pass in milliseconds, and nobody waits.
// ats.Register starts the server's clock goroutine outside of every bubble.
func TestMain(m *testing.M) {
	ats.Register()
	os.Exit(m.Run())
}

// ward is a running system in a bubble. The clock starts at 2000-01-01T00:00:00Z, which is day 0 18:00 the evening before in Chicago.
type ward struct {
	t       *testing.T
	js      jetstream.JetStream
	zone    *time.Location
	decoder *fhir.Decoder
	proto   *protocol.Protocol
	zones   map[string]*time.Location // of sites, for the watch
}

func newWard(t *testing.T) *ward {
	proto, err := protocols.TIL()
	if err != nil {
		t.Fatal(err)
	}
	decoder, err := fhir.New(fhir.Config{Zone: proto.Zone, Reads: rules.Reads(proto)})
	if err != nil {
		t.Fatal(err)
	}
	w := &ward{t: t, js: natstest.InProcess(t), zone: proto.Zone, decoder: decoder, proto: proto}
	if err := wire.EnsureStreams(t.Context(), w.js, wire.DefaultSizes(), 1); err != nil {
		t.Fatal(err)
	}
	return w
}

// start runs a stage; the function returned stops it and waits.
func (w *ward) start(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := run(ctx); err != nil {
			w.t.Error(err)
		}
	})
	return func() { cancel(); wg.Wait() }
}

func (w *ward) intake() func() {
	return w.start(consumers.NewIntake(consumers.IntakeConfig{
		JetStream: w.js, Decoder: w.decoder, SiteKey: []byte("key"), Logger: zerolog.Nop(), Metrics: consumers.NewMetrics(prometheus.NewRegistry()),
	}).Run)
}

func (w *ward) watch() func() {
	return w.start(consumers.NewWatch(consumers.WatchConfig{
		JetStream: w.js, Protocols: []*protocol.Protocol{w.proto}, SiteKey: []byte("key"), Worker: "ward", Logger: zerolog.Nop(),
		Metrics: consumers.NewMetrics(prometheus.NewRegistry()), Zones: w.zones,
	}).Run)
}

// until lets time pass until an instant on a day of January 2000, on the clocks of the site.
func (w *ward) until(day int, clock string) {
	w.t.Helper()
	at, err := time.ParseInLocation("15:04:05", clock, w.zone)
	if err != nil {
		w.t.Fatal(err)
	}
	instant := time.Date(2000, 1, day, at.Hour(), at.Minute(), at.Second(), 0, w.zone)
	if instant.Before(time.Now()) {
		w.t.Fatalf("day %d %s is over", day, clock)
	}
	<-time.After(time.Until(instant))
	synctest.Wait()
}

// send publishes a resource now.
func (w *ward) send(resourceType, resource string) {
	w.t.Helper()
	if _, err := w.js.Publish(w.t.Context(), wire.FHIR("main", resourceType), []byte(resource)); err != nil {
		w.t.Fatal(err)
	}
}

// enrol sends a patient of arm 1 who gets the TIL infusion on January 3 at 10:00, so that January 4 is day 1.
func (w *ward) enrol() {
	w.enrolment()
	w.until(3, "10:30:00")
	w.send("Procedure", `{"resourceType":"Procedure","id":"til","status":"completed","subject":{"reference":"Patient/canary-patient"},"code":{"text":"TIL infusion"},`+
		`"performedPeriod":{"start":"2000-01-03T10:00:00-06:00","end":"2000-01-03T10:30:00-06:00"}}`)
}

func (w *ward) enrolment() {
	w.send("ResearchSubject", `{"resourceType":"ResearchSubject","id":"rs-1","status":"on-study","identifier":[{"value":"S-001"}],`+
		`"study":{"reference":"ResearchStudy/til-il2"},"individual":{"reference":"Patient/canary-patient"},"assignedArm":"arm-1","period":{"start":"1999-12-28"}}`)
}

// dose sends a dose of IL-2 that was given on a day of January at a time.
func (w *ward) dose(id string, day int, clock string) {
	w.send("MedicationAdministration", fmt.Sprintf(`{"resourceType":"MedicationAdministration","id":%q,"status":"completed","subject":{"reference":"Patient/canary-patient"},`+
		`"medicationCodeableConcept":{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"70223"}]},`+
		`"effectiveDateTime":"2000-01-%02dT%s-06:00","dosage":{"dose":{"value":50.4,"unit":"10*6.[iU]","system":"http://unitsofmeasure.org","code":"10*6.[iU]"}}}`, id, day, clock))
}

// told reads the whole log of a rule: "time on the site's clocks, transition, version".
func (w *ward) told(rule string) []string {
	w.t.Helper()
	var lines []string
	if err := consumers.ReadAll(w.t.Context(), w.js, wire.StreamOut, "alerts.>", func(m jetstream.Msg) error {
		var e wire.CloudEvent
		if err := json.Unmarshal(m.Data(), &e); err != nil {
			return err
		}
		if e.Data.Rule == rule {
			lines = append(lines, fmt.Sprintf("%s %s %d", e.Data.At.In(w.zone).Format("02 15:04"), e.Data.Transition, e.Data.Version))
		}
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
	return lines
}

func (w *ward) want(rule string, want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.told(rule)); diff != "" {
		w.t.Errorf("%s at %s (-want +got):\n%s", rule, time.Now().In(w.zone).Format("Jan 02 15:04:05"), diff)
	}
}

const missed = "dev.dose-missed"

// S13: slot 4 is due on January 5 at 08:00, and nothing comes. Nobody sends anything at 10:00 either: time alone opens the alert, at the very
// instant, and a record charted late takes it back.
func TestMissedDoseOpensByTimerAndIsRetractedByLateCharting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t)
		defer w.intake()()
		defer w.watch()()
		w.enrol()
		w.until(4, "08:05:00")
		w.dose("d1", 4, "08:00:00")
		w.until(4, "16:05:00")
		w.dose("d2", 4, "16:00:00")
		w.until(5, "00:05:00")
		w.dose("d3", 5, "00:00:00")
		w.until(5, "09:59:59")
		w.want(missed)
		w.until(5, "10:00:01")
		w.want(missed, "05 10:00 opened 1")
		w.until(5, "16:05:00")
		w.dose("d5", 5, "16:00:00") // in time: it is slot 5, and it ends the silence
		w.until(5, "19:59:00")
		w.want(missed, "05 10:00 opened 1", "05 16:05 resolved 2")
		w.until(5, "20:00:00")
		w.dose("d4", 5, "08:05:00") // charted twelve hours late: slot 4 was given after all
		w.until(5, "20:01:00")
		w.want(missed, "05 10:00 opened 1", "05 16:05 resolved 2", "05 20:00 retracted 3")
	})
}

// The record of a dose that lies in the queue of intake is no silence: intake is down over the instant at which the dose would be missed.
func TestTimersWaitForTheQueueOfIntake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t)
		stopIntake := w.intake()
		defer w.watch()()
		w.enrol()
		w.until(4, "08:05:00")
		w.dose("d1", 4, "08:00:00")
		w.until(4, "15:00:00")
		stopIntake()
		w.until(4, "16:05:00")
		w.dose("d2", 4, "16:00:00")
		w.until(4, "19:00:00")
		w.want(missed) // missed at 18:00, had nobody looked at the queue
		defer w.intake()()
		w.until(4, "20:00:00")
		w.want(missed)
		w.until(5, "02:00:01")
		w.want(missed, "05 02:00 opened 1")
	})
}

// The watch is down over the instant. The one that comes after reads what there is, tells it once, and goes on with the versions.
func TestTimersAreRebuiltAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t)
		defer w.intake()()
		stop := w.watch()
		w.enrol()
		w.until(4, "08:05:00")
		w.dose("d1", 4, "08:00:00")
		w.until(4, "17:00:00")
		stop()
		w.until(4, "18:30:00")
		w.want(missed)
		stop = w.watch()
		w.until(4, "18:31:00")
		w.want(missed, "04 18:30 opened 1")
		stop()
		w.until(4, "19:00:00")
		w.dose("d2", 4, "16:10:00")
		w.until(4, "19:30:00")
		defer w.watch()()
		w.until(4, "19:31:00")
		w.want(missed, "04 18:30 opened 1", "04 19:00 retracted 2")
	})
}

// A patient whose evaluation panics stops nobody else, is told of, and is evaluated again when something new comes.
func TestPanicOfOneEvaluationStopsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := rules.All
		defer func() { rules.All = all }()
		rules.All = append(slices.Clone(all), rules.Rule{Eval: func(c *rules.Case) {
			if c.Subject == "S-001" {
				panic("CANARY of a broken rule")
			}
		}})
		w := newWard(t)
		defer w.intake()()
		defer w.watch()()
		w.enrol()
		w.send("ResearchSubject", `{"resourceType":"ResearchSubject","id":"rs-2","status":"on-study","identifier":[{"value":"S-002"}],`+
			`"study":{"reference":"ResearchStudy/til-il2"},"individual":{"reference":"Patient/p2"},"assignedArm":"arm-2","period":{"start":"1999-12-28"}}`)
		for _, patient := range []string{"canary-patient", "p2"} {
			w.send("Observation", `{"resourceType":"Observation","id":"t-`+patient+`","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8310-5"}]},`+
				`"subject":{"reference":"Patient/`+patient+`"},"effectiveDateTime":"2000-01-03T10:00:00-06:00","valueQuantity":{"value":39.4,"unit":"Cel"}}`)
		}
		w.until(3, "11:00:00")
		w.want("data.evaluation-failed", "31 18:00 opened 1")
		w.want("tox.fever", "03 10:30 opened 1")
		rules.All = all // a new build
		w.until(3, "12:00:00")
		w.send("Observation", `{"resourceType":"Observation","id":"t-3","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8310-5"}]},`+
			`"subject":{"reference":"Patient/canary-patient"},"effectiveDateTime":"2000-01-03T11:50:00-06:00","valueQuantity":{"value":36.9,"unit":"Cel"}}`)
		w.until(3, "12:01:00")
		w.want("data.evaluation-failed", "31 18:00 opened 1", "03 12:00 retracted 2")
		w.want("tox.fever", "03 10:30 opened 1", "03 12:00 opened 1")
	})
}

// Facts of somebody who is not enrolled are forgotten and read again on the day of enrolment, with their own times.
func TestEnrolmentBringsBackWhatCameBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t)
		defer w.intake()()
		stop := w.watch()
		w.until(3, "08:40:00")
		for i, at := range []string{"03T07:00", "03T08:30"} {
			w.send("Observation", fmt.Sprintf(`{"resourceType":"Observation","id":"t-%d","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8310-5"}]},`+
				`"subject":{"reference":"Patient/canary-patient"},"effectiveDateTime":"2000-01-%s:00-06:00","valueQuantity":{"value":39.4,"unit":"Cel"}}`, i, at))
		}
		w.until(3, "09:00:00")
		w.want("tox.fever")
		stop() // a restart in between
		defer w.watch()()
		w.until(3, "09:30:00")
		w.want("tox.fever")
		w.enrol()
		w.until(3, "10:31:00")
		w.want("tox.fever", "03 09:30 opened 1", "03 10:30 updated 2") // with the infusion the message knows the study day
	})
}

// A site in Hawaii, of a trial run from Chicago: its day is over four hours later.
func TestTimersAreOnTheSitesClocks(t *testing.T) {
	honolulu, err := time.LoadLocation("Pacific/Honolulu")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t)
		w.zones = map[string]*time.Location{"main": honolulu}
		defer w.intake()()
		defer w.watch()()
		w.send("ResearchSubject", `{"resourceType":"ResearchSubject","id":"rs-1","status":"on-study","identifier":[{"value":"S-001"}],`+
			`"study":{"reference":"ResearchStudy/til-il2"},"individual":{"reference":"Patient/canary-patient"},"assignedArm":"arm-2","period":{"start":"1999-12-28"}}`)
		w.until(3, "16:30:00")
		w.send("Procedure", `{"resourceType":"Procedure","id":"til","status":"completed","subject":{"reference":"Patient/canary-patient"},"code":{"text":"TIL infusion"},`+
			`"performedPeriod":{"start":"2000-01-03T16:00:00-06:00","end":"2000-01-03T16:30:00-06:00"}}`)
		w.until(5, "03:59:59")
		w.want(missed) // of January 4
		w.until(5, "04:00:01")
		w.want(missed, "05 04:00 opened 1")
	})
}

// The drug of a dose is in a Medication that comes after it, or not at all. A restart in between reads it again.
func TestMedicationComesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t)
		defer w.intake()()
		stop := w.watch()
		w.enrol()
		administration := func(id, medication string, day int, clock string) {
			w.send("MedicationAdministration", fmt.Sprintf(`{"resourceType":"MedicationAdministration","id":%q,"status":"completed","subject":{"reference":"Patient/canary-patient"},`+
				`"medicationReference":{"reference":"Medication/%s"},"effectiveDateTime":"2000-01-%02dT%s-06:00"}`, id, medication, day, clock))
		}
		medication := func(id, version, drug string) {
			w.send("Medication", fmt.Sprintf(`{"resourceType":"Medication","id":%q,"meta":{"versionId":%q},"code":{"text":%q}}`, id, version, drug))
		}
		w.until(4, "08:05:00")
		medication("canary-vial", "1", "Proleukin") // before anybody refers to it
		administration("d1", "canary-vial", 4, "08:00:00")
		administration("other", "canary-mix", 4, "08:00:00")
		w.until(4, "18:00:01")
		w.want(missed, "04 18:00 opened 1") // dose 2: so dose 1 was seen
		administration("d2", "canary-late", 4, "16:00:00")
		w.until(4, "20:00:00")
		w.want(missed, "04 18:00 opened 1")
		stop()
		medication("canary-late", "1", "Proleukin")
		w.until(4, "20:30:00")
		stop = w.watch()
		w.until(4, "21:00:00")
		w.want(missed, "04 18:00 opened 1", "04 20:00 retracted 2")
		// A correction says that it was something else, and another that it was not.
		medication("canary-late", "2", "Vancomycin")
		w.until(4, "21:30:00")
		w.want(missed, "04 18:00 opened 1", "04 20:00 retracted 2", "04 21:00 opened 3")
		medication("canary-late", "3", "Aldesleukin")
		w.until(4, "22:00:00")
		w.want(missed, "04 18:00 opened 1", "04 20:00 retracted 2", "04 21:00 opened 3", "04 21:30 retracted 4")
		// The other one never came: a day after its receipt somebody is told.
		w.until(5, "08:04:59")
		w.want("data.ungradable")
		w.until(5, "08:05:01")
		w.want("data.ungradable", "05 08:05 opened 1")
		stop()
		medication("canary-mix", "1", "Vancomycin")
		defer w.watch()()
		w.until(5, "09:00:00")
		w.want("data.ungradable", "05 08:05 opened 1", "05 08:05 retracted 2")
	})
}

// What somebody else writes into FACTS is skipped: every other patient is watched all the same.
func TestForeignFactsAreSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t)
		defer w.intake()()
		defer w.watch()()
		w.enrol()
		for _, body := range []string{"", "{", `"x"`, `{"kind":"aggregate"}`, `{"ref":7}`} {
			if _, err := w.js.Publish(t.Context(), "facts.main.foreign", []byte(body)); err != nil {
				t.Fatal(err)
			}
		}
		w.until(4, "08:05:00")
		w.dose("d1", 4, "08:00:00")
		w.until(4, "18:00:01")
		w.want(missed, "04 18:00 opened 1")
	})
}

// No word of the patient leaves the payloads: not in a subject, not in a header.
func TestSubjectsAndHeadersNameNoPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t)
		defer w.intake()()
		defer w.watch()()
		w.enrol()
		w.send("Observation", `{"resourceType":"Observation","id":"obs-1","status":"final","subject":{"reference":"Patient/canary-patient"},"code":{"text":"CANARY-NAME"}`) // not JSON
		w.send("Medication", `{"resourceType":"Medication","id":"canary-medication","code":{"text":"aldesleukin CANARY"}}`)
		w.until(4, "08:05:00")
		w.dose("d1", 4, "08:00:00")
		w.until(4, "20:00:00")
		for stream, filter := range map[string]string{wire.StreamFacts: "facts.>", wire.StreamOut: ">", wire.StreamDeadLetters: "deadletters.>"} {
			seen := 0
			if err := consumers.ReadAll(t.Context(), w.js, stream, filter, func(m jetstream.Msg) error {
				seen++
				text := m.Subject()
				for k, v := range m.Headers() {
					if strings.HasPrefix(k, "Nats-") {
						continue // the broker's own: random ids and sequences
					}
					text += " " + k + "=" + strings.Join(v, ",")
				}
				for _, canary := range []string{"canary", "CANARY", "obs-1", "rs-1"} {
					if strings.Contains(text, canary) {
						t.Errorf("%s: %q says %q", stream, text, canary)
					}
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if seen == 0 {
				t.Errorf("%s is empty", stream)
			}
		}
	})
}
