package consumers_test

import (
	"encoding/json"
	"fmt"
	"slices"
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

// Two trials at once that have nothing in common, and a patient in either: each is judged by its own protocol, drugs and clocks, and whoever is in both by both.
func TestTwoTrials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t)
		const file = "osi-daily/protocol.yaml"
		text, err := protocols.FS.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		daily, err := protocol.Parse(file, text)
		if err != nil {
			t.Fatal(err)
		}
		both := []*protocol.Protocol{w.proto, daily}
		cfg := fhir.Config{Zone: w.zone, Reads: rules.Reads(both...)}
		for _, c := range daily.Concepts() {
			cfg.Concepts = append(cfg.Concepts, fhir.Concept{Name: c.Concept, Codes: c.Codes, Texts: c.Texts})
		}
		if w.decoder, err = fhir.New(cfg); err != nil {
			t.Fatal(err)
		}
		defer w.intake()()
		metrics := consumers.NewMetrics(prometheus.NewRegistry())
		defer w.start(consumers.NewWatch(consumers.WatchConfig{
			JetStream: w.js, Protocols: both, SiteKey: []byte("key"), Worker: "ward", Logger: zerolog.Nop(), Metrics: metrics,
		}).Run)()

		enrol := func(id, subject, patient, study, arm string) {
			w.send("ResearchSubject", fmt.Sprintf(`{"resourceType":"ResearchSubject","id":%q,"status":"on-study","identifier":[{"system":"urn:osi-daily:subject","value":%q}],"study":{"reference":"ResearchStudy/%s"},`+
				`"individual":{"reference":"Patient/%s"},"assignedArm":%q,"period":{"start":"1999-12-28"}}`, id, subject, study, patient, arm))
		}
		enrol("rs-1", "S-001", "p1", "til-il2", "arm-1")
		enrol("rs-2", "A-01", "p2", "osi-daily", "dl-2")
		enrol("rs-3", "S-003", "p3", "til-il2", "arm-2")
		enrol("rs-4", "A-03", "p3", "osi-daily", "dl-1")
		for _, p := range []string{"p1", "p2", "p3"} {
			w.send("Observation", fmt.Sprintf(`{"resourceType":"Observation","id":"anc-%s","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"751-8"}]},"subject":{"reference":"Patient/%s"},`+
				`"effectiveDateTime":"1999-12-31T17:00:00-06:00","valueQuantity":{"value":0.3,"unit":"10*9/L"}}`, p, p))
			// A tablet of 40 mg in the morning of January 1 in Adelaide, which is the evening before in Chicago.
			w.send("MedicationAdministration", fmt.Sprintf(`{"resourceType":"MedicationAdministration","id":"m-%s","status":"completed","subject":{"reference":"Patient/%s"},`+
				`"medicationCodeableConcept":{"text":"Osimertinib"},"effectiveDateTime":"2000-01-01T08:00:00+10:30","dosage":{"dose":{"value":40,"unit":"mg","code":"mg","system":"http://unitsofmeasure.org"}}}`, p, p))
		}
		// The second tablet never comes. January 2 is over at 13:30 UTC in Adelaide, at 07:30 in Chicago.
		w.until(2, "07:29:59")
		if got := w.told(missed); got != nil {
			t.Errorf("told %q before the day is over", got)
		}
		w.until(2, "07:30:02")
		var got []string
		if err := consumers.ReadAll(t.Context(), w.js, wire.StreamOut, "alerts.>", func(m jetstream.Msg) error {
			var e wire.CloudEvent
			err := json.Unmarshal(m.Data(), &e)
			grade := ""
			if e.Data.Grade != nil {
				grade = fmt.Sprintf(" grade %d by %s", *e.Data.Grade, e.Data.CTCAE)
			}
			got = append(got, fmt.Sprintf("%s %s %s%s", e.Data.Study, e.Data.Subject, e.Data.Rule, grade))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		slices.Sort(got)
		want := []string{
			"osi-daily A-01 dev.dose-missed",
			"osi-daily A-01 dev.dose-wrong", // 40 mg where 80 was planned
			"osi-daily A-01 tox.neutrophil-count-decreased grade 3 by 6.0",
			"osi-daily A-03 dev.dose-missed",
			"osi-daily A-03 tox.neutrophil-count-decreased grade 3 by 6.0",
			"til-il2 S-001 tox.neutrophil-count-decreased grade 4 by 5.0",
			"til-il2 S-003 tox.neutrophil-count-decreased grade 4 by 5.0",
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("told (-want +got):\n%s", d)
		}
		// Panels are made every second: not for all of the days before.
		defer w.start(consumers.NewAggregate(consumers.AggregateConfig{JetStream: w.js, Protocols: both, Logger: zerolog.Nop(), Metrics: metrics}).Run)()
		w.until(2, "07:30:05")
		enrolled := map[string]string{}
		if err := consumers.ReadLast(t.Context(), w.js, wire.StreamAggregates, "aggregates.*.enrolment", func(m jetstream.Msg) error {
			var p struct {
				Study string
				All   struct{ Enrolled, Treated int }
			}
			err := json.Unmarshal(m.Data(), &p)
			enrolled[p.Study] = fmt.Sprintf("%d enrolled, %d treated", p.All.Enrolled, p.All.Treated)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(map[string]string{"til-il2": "2 enrolled, 0 treated", "osi-daily": "2 enrolled, 2 treated"}, enrolled); d != "" {
			t.Errorf("enrolment (-want +got):\n%s", d)
		}
	})
}
