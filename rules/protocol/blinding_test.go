package protocol_test

import (
	"testing"
	"time"

	"github.com/trialwatch/trialwatch/rules/protocol"
)

// Periods begin on the clocks of the trial, at midnight and at whole hours after it, also on the days on which the clocks change.
func TestPeriod(t *testing.T) {
	adelaide, err := time.LoadLocation("Australia/Adelaide")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		every time.Duration
		zone  *time.Location
		a, b  string
		later int64
	}{
		{"one day", 24 * time.Hour, time.UTC, "2026-02-19T00:00:00Z", "2026-02-19T23:59:59Z", 0},
		{"midnight is of the new day", 24 * time.Hour, time.UTC, "2026-02-19T23:59:59Z", "2026-02-20T00:00:00Z", 1},
		{"midnight of the trial", 24 * time.Hour, adelaide, "2026-02-19T13:29:59Z", "2026-02-19T13:30:00Z", 1},
		{"a day of 25 hours", 24 * time.Hour, adelaide, "2026-04-05T00:00:00+10:30", "2026-04-05T23:59:59+09:30", 0},
		{"and the next", 24 * time.Hour, adelaide, "2026-04-05T23:59:59+09:30", "2026-04-06T00:00:00+09:30", 1},
		{"the hour that comes twice", time.Hour, adelaide, "2026-04-05T02:10:00+10:30", "2026-04-05T02:50:00+09:30", 0},
		{"the hour that is left out", time.Hour, adelaide, "2026-10-04T01:59:59+09:30", "2026-10-04T03:00:00+10:30", 2},
		{"hours", 8 * time.Hour, time.UTC, "2026-02-19T08:00:00Z", "2026-02-19T15:59:59Z", 0},
		{"the last hours of a day", 8 * time.Hour, time.UTC, "2026-02-19T23:59:59Z", "2026-02-20T00:00:00Z", 1},
		{"weeks", 7 * 24 * time.Hour, time.UTC, "2026-02-19T00:00:00Z", "2026-02-26T00:00:00Z", 1},
		{"none", 0, time.UTC, "2026-02-19T00:00:00Z", "2026-02-19T00:00:01Z", 1},
	} {
		b := &protocol.Blinding{PublishEvery: protocol.Duration(tt.every)}
		at := func(s string) int64 {
			i, err := time.Parse(time.RFC3339, s)
			if err != nil {
				t.Fatal(err)
			}
			return b.Period(i, tt.zone)
		}
		if got := at(tt.b) - at(tt.a); got != tt.later {
			t.Errorf("%s: %s is %d periods after %s, want %d", tt.name, tt.b, got, tt.a, tt.later)
		}
	}
}
