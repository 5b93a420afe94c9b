package site_test

import (
	"testing"
	"time"

	"github.com/trialwatch/trialwatch/rules/alert"
	"github.com/trialwatch/trialwatch/rules/site"
)

// A day is the site's: of a trial run from Chicago, a site in Hawaii misses a daily dose at its own midnight, and reads times on its own clocks.
func TestDaysAreTheSites(t *testing.T) {
	honolulu, err := time.LoadLocation("Pacific/Honolulu")
	if err != nil {
		t.Fatal(err)
	}
	ps := trial(t)
	for _, tt := range []struct {
		name string
		zone *time.Location
		want string // when the first daily dose, of February 18, is missed
	}{
		{"the protocol's clocks", nil, "2026-02-19T00:00:00-06:00"},
		{"the site's own", honolulu, "2026-02-19T00:00:00-10:00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := site.New("main")
			s.Zone = tt.zone
			e := enrolled("rs-1", "Patient/p1", "S-001")
			e.Enrolment.AssignedArm = "arm-2"
			s.Apply(e)
			s.Apply(infusion("til", "Patient/p1")) // on the 17th at noon UTC: the same day on both clocks
			p := s.Patient("Patient/p1")
			p.Evaluate(ps, alert.Cause{Now: noon.Add(-24 * time.Hour)})
			if got := p.Next.In(zoneOf(t, tt.zone)).Format(time.RFC3339); got != tt.want {
				t.Errorf("the dose is missed at %s, want %s", got, tt.want)
			}
			fever := temperature("t", 1, "Patient/p1", "38.6", -20)
			s.Apply(fever)
			for _, f := range p.Answer(ps[0], noon.Add(-19*time.Hour)).Findings {
				if f.Rule == "tox.fever" && f.Onset.Location().String() != zoneOf(t, tt.zone).String() {
					t.Errorf("the onset is shown as %s", f.Onset)
				}
			}
		})
	}
	if ps[0].Zone.String() != "America/Chicago" {
		t.Errorf("the protocol's own clocks are %s now", ps[0].Zone)
	}
}

func zoneOf(t *testing.T, zone *time.Location) *time.Location {
	if zone == nil {
		return trial(t)[0].Zone
	}
	return zone
}
