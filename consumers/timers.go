package consumers

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/rules/site"
)

// silence is up to when nothing more is to come: intake had no resource left at an instant, and all facts that there were then have been read. A
// dose is missed when its record has not been sent, not when it waits in a queue of ours.
type silence struct {
	at       time.Time // when intake had nothing left
	through  uint64    // last fact that there was then
	askAgain time.Time // not before
	behind   time.Time // since when intake has been seen to be behind, zero if it is not
}

const (
	listenAgain = 200 * time.Millisecond
	behindWarn  = time.Minute // intake behind for so long is worth a warning, since timers wait for it
)

// listen asks whether intake has anything left that was sent before due.
func (s *session) listen(ctx context.Context, due time.Time) error {
	q := &s.silence
	q.askAgain = time.Now().Add(listenAgain)
	if !q.at.Before(due) {
		return nil // known; the facts up to q.through are still being read
	}
	now := s.cfg.Clock.Now()
	intake, err := s.cfg.JetStream.Consumer(ctx, wire.StreamFHIR, IntakeConsumer)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound): // intake has never run: there is nothing to wait for
	case err != nil:
		return fmt.Errorf("queue of intake: %w", err)
	default:
		if info := intake.CachedInfo(); info.NumPending > 0 || info.NumAckPending > 0 {
			if q.behind.IsZero() {
				q.behind = time.Now()
			}
			if behind := time.Since(q.behind); behind > behindWarn {
				s.cfg.Logger.Warn().Uint64("pending", info.NumPending).Int("unacknowledged", info.NumAckPending).Dur("for", behind).
					Msg("timers wait: intake is behind")
				q.behind = time.Now()
			}
			return nil
		}
	}
	stream, err := s.cfg.JetStream.Stream(ctx, wire.StreamFacts)
	if err != nil {
		return fmt.Errorf("end of the facts: %w", err)
	}
	q.at, q.through, q.behind = now, stream.CachedInfo().State.LastSeq, time.Time{}
	return nil
}

// nextDue is the first instant at which time alone can change something, of a patient or of a site's feed.
func (s *session) nextDue() (due time.Time, ok bool) {
	due, ok = s.timers.next()
	for _, st := range s.sites {
		if !st.next.IsZero() && (!ok || st.next.Before(due)) {
			due, ok = st.next, true
		}
	}
	return due, ok
}

// timers are the instants at which patients must be evaluated again. An entry that no longer says what its patient says is stale and skipped.
type timers struct {
	heap timerHeap
}

type timer struct {
	at      time.Time
	patient *site.Patient
	site    *watched
}

// set follows the patient's Next.
func (t *timers) set(p *site.Patient, st *watched) {
	if !p.Next.IsZero() {
		heap.Push(&t.heap, timer{p.Next, p, st})
	}
}

// next is the first instant that still counts.
func (t *timers) next() (time.Time, bool) {
	for len(t.heap) > 0 {
		if top := t.heap[0]; top.patient.Next.Equal(top.at) {
			return top.at, true
		}
		heap.Pop(&t.heap)
	}
	return time.Time{}, false
}

// due takes out the timers that have come.
func (t *timers) due(now time.Time) []timer {
	var due []timer
	for {
		at, ok := t.next()
		if !ok || at.After(now) {
			return due
		}
		due = append(due, heap.Pop(&t.heap).(timer))
	}
}

type timerHeap []timer

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h timerHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *timerHeap) Push(x any)        { *h = append(*h, x.(timer)) }
func (h *timerHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
