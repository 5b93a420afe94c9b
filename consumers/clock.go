package consumers

import "time"

// Clock is where now comes from. The zero value is the wall clock. With a speed it starts at an instant and runs that many times faster, for demo
// and replays, which pace their feed by the same clock.
type Clock struct {
	started time.Time // wall time at which the clock showed origin
	origin  time.Time
	speed   float64
	end     time.Time // at which it stands still, zero: never
}

// NewClock returns a clock that shows origin now and runs speed times as fast as the wall clock. speed must be positive.
func NewClock(origin time.Time, speed float64) Clock {
	return Clock{started: time.Now(), origin: origin, speed: speed}
}

// StopAt returns the same clock, which stands still from an instant on.
func (c Clock) StopAt(t time.Time) Clock {
	c.end = t
	return c
}

// Now is the clock's time.
func (c Clock) Now() time.Time {
	if c.speed == 0 {
		return time.Now()
	}
	now := c.origin.Add(time.Duration(float64(time.Since(c.started)) * c.speed))
	if !c.end.IsZero() && now.After(c.end) {
		return c.end
	}
	return now
}

// Until is how long to wait, in real time, until the clock shows t; never negative.
func (c Clock) Until(t time.Time) time.Duration {
	if !c.end.IsZero() && t.After(c.end) {
		return 24 * time.Hour // it never does; whoever waits asks again
	}
	d := t.Sub(c.Now())
	if c.speed != 0 {
		d = time.Duration(float64(d) / c.speed)
	}
	return max(d, 0)
}
