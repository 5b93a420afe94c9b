package timeline

import (
	"slices"
	"time"
)

// Span is a time, its start included and its end not. A zero To is one without an end.
type Span struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to,omitzero"`
}

// Contains reports whether an instant lies in the span.
func (s Span) Contains(t time.Time) bool {
	return !t.Before(s.From) && (s.To.IsZero() || t.Before(s.To))
}

// And is the time that two spans share; ok is false where they share none.
func (s Span) And(o Span) (both Span, ok bool) {
	if both = s; o.From.After(both.From) {
		both.From = o.From
	}
	if both.To.IsZero() || !o.To.IsZero() && o.To.Before(both.To) {
		both.To = o.To
	}
	return both, both.To.IsZero() || both.From.Before(both.To)
}

// ShortestSilence is the shortest time between two receipts that a [Feed] keeps.
const ShortestSilence = time.Hour

// Feed is when something came, reduced to the silences between. It is the same whatever the order in which it hears. The zero value has heard nothing.
type Feed struct {
	first, last time.Time
	silences    []Span
	receipts    revision
}

// Hear takes a receipt in.
func (f *Feed) Hear(at time.Time) {
	f.receipts++
	switch {
	case f.last.IsZero():
		f.first, f.last = at, at
	case at.After(f.last):
		f.silences = append(f.silences, long(f.last, at)...)
		f.last = at
	case at.Before(f.first):
		f.silences = slices.Insert(f.silences, 0, long(at, f.first)...)
		f.first = at
	default:
		if i, ok := f.within(at); ok {
			s := f.silences[i]
			f.silences = slices.Replace(f.silences, i, i+1, append(long(s.From, at), long(at, s.To)...)...)
		}
	}
}

func long(from, to time.Time) []Span {
	if to.Sub(from) < ShortestSilence {
		return nil
	}
	return []Span{{from, to}}
}

// within finds the silence of which an instant is neither the start nor the end.
func (f *Feed) within(t time.Time) (i int, ok bool) {
	i, _ = slices.BinarySearchFunc(f.silences, t, func(s Span, t time.Time) int {
		if s.To.After(t) {
			return 1
		}
		return -1
	})
	return i, i < len(f.silences) && f.silences[i].From.Before(t)
}

// Last is the latest receipt, zero if nothing came.
func (f *Feed) Last() time.Time { return f.last }

// Silences are the times without a receipt, of at least so long each: between two receipts, and after the last one, where it has no end. now says how long
// that one is.
func (f *Feed) Silences(atLeast time.Duration, now time.Time) []Span {
	var all []Span
	for _, s := range f.silences {
		if s.To.Sub(s.From) >= atLeast {
			all = append(all, s)
		}
	}
	if !f.last.IsZero() && now.Sub(f.last) >= atLeast {
		all = append(all, Span{From: f.last})
	}
	return all
}

// Steady is the instant at which the feed is due to have gone on for so long since an instant, or since it spoke again after a silence as long as that, and
// the first instant from then on at which it does speak, zero if it has not. d must be at least [ShortestSilence].
func (f *Feed) Steady(since time.Time, d time.Duration) (due, spoke time.Time) {
	for _, s := range f.silences {
		if s.To.After(since) && s.From.Before(since.Add(d)) && s.To.Sub(s.From) >= d {
			since = s.To
		}
	}
	if due = since.Add(d); due.After(f.last) {
		return due, time.Time{}
	}
	if i, ok := f.within(due); ok {
		return due, f.silences[i].To
	}
	return due, due
}
