package rules

import (
	"slices"
	"time"

	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// Memo remembers the last answer for one patient in one study, and what each part of it rests on, so that the next answer works out anew only the parts
// that a new fact or the time can have changed. It never says anything else than [Evaluate]. The zero value remembers nothing.
//
// What a part rests on is noted while it reads the timeline, never declared. A part holds as long as nothing that it read has changed, and until the first
// instant for which it asked to be woken.
type Memo struct {
	timeline *timeline.Timeline
	protocol *protocol.Protocol
	now      time.Time // of the last answer
	future   time.Time // when the next fact's time comes
	patient  patient
	parts    map[partKey]*part
	round    uint64 // of answers
	worked   int    // parts that the last answer worked out
	split    bool   // the part that is being worked out consists of parts
}

type partKey struct{ rule, of string }

// part is what one part of a rule came to.
type part struct {
	value    any
	findings []Finding
	next     time.Time
	reads    timeline.Reads
	round    uint64 // when it was last asked for
}

// Evaluate says what [Evaluate] says.
func (m *Memo) Evaluate(tl *timeline.Timeline, p *protocol.Protocol, now time.Time) Answer {
	before := *m
	*m = Memo{} // nothing is remembered of an evaluation that panics
	c := newCase(tl, p, now)
	if c == nil {
		return Answer{Next: nextEnrolment(tl, p, now)}
	}
	if before.timeline != tl || before.protocol != p || before.patient != c.patient || now.Before(before.now) || !before.future.IsZero() && !now.Before(before.future) {
		before.parts = map[partKey]*part{}
	}
	next := Memo{timeline: tl, protocol: p, now: now, future: c.next, patient: c.patient, parts: before.parts, round: before.round + 1}
	c.memo = &next
	a := c.answer()
	for key, p := range next.parts {
		if p.round != next.round {
			delete(next.parts, key)
		}
	}
	*m = next
	return a
}

// recall works out one part of a rule, or recalls it. run may report, ask to be woken and return a value; the value and what was reported are not changed
// afterwards. Anything else that it leaves behind is lost when the part is recalled. A part that consists of others is always run: they are recalled.
func recall[T any](c *Case, rule, of string, run func() T) T {
	m := c.memo
	if m == nil {
		return run()
	}
	defer func() { m.split = true }() // for the part around this one
	key := partKey{rule, of}
	if p := m.parts[key]; p != nil && (p.next.IsZero() || c.Now.Before(p.next)) && p.reads.Hold() {
		p.round = m.round
		c.findings = append(c.findings, p.findings...)
		c.wake(p.next)
		return p.value.(T)
	}
	m.split = false
	p := &part{round: m.round}
	from, next := len(c.findings), c.next
	c.next = time.Time{}
	outside := c.Timeline.Note(&p.reads)
	value := run()
	c.Timeline.Note(outside)
	p.value, p.findings, p.next = value, slices.Clone(c.findings[from:]), c.next
	c.next = next
	c.wake(p.next)
	if !m.split {
		m.parts[key] = p
		m.worked++
	}
	return value
}

// part is [recall] for a part that only reports.
func (c *Case) part(rule, of string, run func()) {
	recall(c, rule, of, func() struct{} { run(); return struct{}{} })
}

// shared is a value that several parts read, made when the first one asks; nobody changes it. What it rests on is noted for each of them.
type shared[T any] struct {
	made  bool
	value T
	next  time.Time
	reads timeline.Reads
}

func (s *shared[T]) get(c *Case, run func() T) T {
	if c.memo == nil {
		if !s.made {
			s.made, s.value = true, run()
		}
		return s.value
	}
	if !s.made {
		s.made = true
		next := c.next
		c.next = time.Time{}
		outside := c.Timeline.Note(&s.reads)
		s.value = run()
		c.Timeline.Note(outside)
		s.next, c.next = c.next, next
	}
	c.Timeline.Also(&s.reads)
	c.wake(s.next)
	return s.value
}
