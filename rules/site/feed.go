package site

import (
	"slices"
	"time"

	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// Silence is a time in which a site sent nothing while patients of a study were in hospital on a running course.
type Silence struct {
	Study         string `json:"study"`
	timeline.Span        // from the last receipt to the next, without an end while it lasts
	// Patients is how many were in hospital on a running course when the silence became too long.
	Patients int `json:"patients"`
}

// hear takes a receipt in. Patients who wait for the site to speak are then evaluated again.
func (s *Site) hear(at time.Time, changed map[string]bool) {
	s.feed.Hear(at)
	for p := range s.listening {
		changed[p.Identity] = true
	}
}

// Silences are the times in which the site sent nothing for longer than the protocol allows, as the patients' last answers have it, and the first instant at
// which time alone makes one more, zero if there is none. Where nobody was in hospital on a running course no silence is too long.
func (s *Site) Silences(p *protocol.Protocol, now time.Time) (all []Silence, next time.Time) {
	allowed := p.FeedStaleAfter.D()
	for _, span := range s.feed.Silences(allowed, now) {
		if n := s.watchedAt(p.Study, span.From.Add(allowed)); n > 0 {
			all = append(all, Silence{p.Study, span, n})
		}
	}
	if stale := s.feed.Last().Add(allowed); stale.After(now) && s.watchedAt(p.Study, stale) > 0 {
		next = stale
	}
	return all, next
}

// AllSilences are those of all studies.
func (s *Site) AllSilences(protocols []*protocol.Protocol, now time.Time) (all []Silence, next time.Time) {
	for _, p := range protocols {
		silences, at := s.Silences(p, now)
		all = append(all, silences...)
		if next.IsZero() || !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	return all, next
}

func (s *Site) watchedAt(study string, t time.Time) (n int) {
	for _, p := range s.patients {
		for _, w := range p.watched[study] {
			if w.Contains(t) {
				n++
				break
			}
		}
	}
	return n
}

// SameSilences reports whether two lists say the same.
func SameSilences(a, b []Silence) bool {
	return slices.EqualFunc(a, b, func(x, y Silence) bool {
		return x.Study == y.Study && x.Patients == y.Patients && x.From.Equal(y.From) && x.To.Equal(y.To)
	})
}
