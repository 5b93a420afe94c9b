package consumers

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestClockStandsStillAtItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin := time.Date(2018, 2, 1, 0, 0, 0, 0, time.UTC)
		end := origin.Add(100 * time.Hour)
		c := NewClock(origin, 3600).StopAt(end) // an hour a second
		time.Sleep(40 * time.Second)
		if got, want := c.Now(), origin.Add(40*time.Hour); !got.Equal(want) {
			t.Errorf("after 40 s: %v, want %v", got, want)
		}
		if got := c.Until(end); got != 60*time.Second {
			t.Errorf("the end is %v away, want a minute", got)
		}
		time.Sleep(time.Hour)
		if got := c.Now(); !got.Equal(end) {
			t.Errorf("after the end: %v, want %v", got, end)
		}
		if c.Until(end) != 0 {
			t.Error("the end has come")
		}
		if got := c.Until(end.Add(time.Nanosecond)); got < time.Hour {
			t.Errorf("what never comes is %v away: whoever waits for it would spin", got)
		}
	})
}
