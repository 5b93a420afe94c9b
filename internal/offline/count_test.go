package offline_test

import (
	"testing"
	"time"

	"github.com/trialwatch/trialwatch/fhir"
	"github.com/trialwatch/trialwatch/internal/offline/offlinetest"
	"github.com/trialwatch/trialwatch/rules/aggregate"
)

// A message whose facts somebody else has decoded counts once where no rule reads it, or it cannot be used, and adds no fact. Where not all messages are
// there, how many no rule reads is not known.
func TestCountAddsNoFact(t *testing.T) {
	e := offlinetest.New(t)
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for i, data := range []string{
		`{"resourceType":"Encounter","id":"irrelevant","status":"planned","class":{"code":"AMB"}}`,
		`{"resourceType":"Encounter","id":"irrelevant","status":"planned","class":{"code":"AMB"}}`,
		`{"resourceType":"Observation"`,
		`{"resourceType":"ResearchSubject","id":"rs-1","status":"on-study","study":{"reference":"ResearchStudy/til-il2"},"individual":{"reference":"Patient/p1"},"assignedArm":"arm-1","period":{"start":"2026-02-01"}}`,
	} {
		e.Count(fhir.Message{Data: []byte(data), Site: "main", ReceivedAt: at}, "FHIR", i+1)
	}
	feed := func() aggregate.SiteRow {
		r := e.At(at)
		for _, p := range r.Panels {
			if p.Name == aggregate.Enrolment && p.All.(aggregate.EnrolmentEntry).Enrolled > 0 {
				t.Error("somebody is enrolled by what was only counted")
			}
			if p.Name == aggregate.Feed && len(p.Sites) == 1 {
				return p.Sites[0]
			}
		}
		t.Fatal("no feed")
		return aggregate.SiteRow{}
	}
	row := feed()
	if row.Facts != 0 || row.DeadLetters != 1 || row.NotRelevant == nil || *row.NotRelevant != 1 {
		t.Errorf("%+v, want no fact, one message that no rule reads and one dead letter", row)
	}
	if e.NotRelevantUnknown = true; feed().NotRelevant != nil {
		t.Error("what is not known is shown as a number")
	}
	if !e.Latest().IsZero() {
		t.Error("what is only counted sets the time of the facts")
	}
}
