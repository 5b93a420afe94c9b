package consumers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/rules/site"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// This file notices that facts are gone from beneath what was told of them. To judge by what is left would take back every alert that rests on the rest, so the watch
// does not: what stands stands, the loss is told, and nobody is judged until the facts are back or somebody has accepted the loss by its name.
//
// Nothing expires in FACTS, so its numbers have no holes: a hole is a loss. A stream that was made anew has none either, but it is known by the fact that was the
// last to be read: it is missing, or another one was stored at another time under its number. A restored copy keeps both.

const lookAfter = 5 * time.Minute // between two looks whether all facts are still there, and, while some are not, whether they are back

var errLost = errors.New("facts that were stored are gone")

// loss is what is gone of the facts, nil if nothing is. stamp asks for the last fact that was read as well, which takes longer.
func (s *session) loss(ctx context.Context, stamp bool) (*site.Loss, *jetstream.StreamInfo, error) {
	stream, err := s.cfg.JetStream.Stream(ctx, wire.StreamFacts)
	if err != nil {
		return nil, nil, fmt.Errorf("end of the facts: %w", err)
	}
	info := stream.CachedInfo()
	read := s.seen.Facts
	for _, st := range s.sites {
		read = max(read, st.facts)
	}
	l := &site.Loss{Stream: wire.StreamFacts}
	missing := holes(info)
	switch {
	case info.State.LastSeq < read:
		l.Messages = read - info.State.LastSeq
	case missing > s.seen.Holes:
		l.Messages = missing - s.seen.Holes
	case stamp && !s.seen.At.IsZero():
		at, err := stampOf(ctx, s.cfg.JetStream, s.seen.Facts)
		if err != nil {
			return nil, nil, err
		}
		if !at.Equal(s.seen.At) {
			l.Messages = read // none of them is known to be the one that was read
		}
	}
	if l.Messages == 0 {
		return nil, info, nil
	}
	// Facts may be added while nobody is judged, so neither their number nor the last is part of the name.
	name := sha256.Sum256(fmt.Append(nil, info.Created.UnixNano(), s.seen.At.UnixNano(), read, missing))
	l.Token = hex.EncodeToString(name[:4])
	return l, info, nil
}

// holes is how many messages a stream has had and has no more.
func holes(info *jetstream.StreamInfo) uint64 { return info.State.LastSeq - info.State.Msgs }

// stampOf is when a fact was stored, zero if it is not there.
func stampOf(ctx context.Context, js jetstream.JetStream, seq uint64) (at time.Time, err error) {
	r, pending, err := read(ctx, js, wire.StreamFacts, jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: seq})
	if err != nil || pending == 0 {
		return at, err
	}
	defer r.stop()
	select {
	case <-ctx.Done():
		return at, ctx.Err()
	case err := <-r.err:
		return at, err
	case m := <-r.msgs:
		meta, err := m.Metadata()
		if err != nil || meta.Sequence.Stream != seq {
			return at, err
		}
		return meta.Timestamp.UTC(), nil
	}
}

// guard returns once all facts are there, or the loss of some has been accepted.
func (s *session) guard(ctx context.Context) error {
	for {
		loss, info, err := s.loss(ctx, true)
		switch {
		case err != nil:
			return err
		case loss == nil:
			return s.judge(ctx)
		case loss.Token == s.cfg.AcceptLoss:
			return s.accept(ctx, info)
		}
		if err := s.refuse(ctx, loss); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookAfter):
		}
	}
}

// refuse tells of a loss, once.
func (s *session) refuse(ctx context.Context, loss *site.Loss) error {
	s.cfg.Metrics.lost.Set(float64(loss.Messages))
	s.cfg.Logger.Error().Uint64("facts", loss.Messages).Str("token", loss.Token).Msg("facts that were stored are gone: nobody is judged, and what stands stands")
	if s.cfg.Lost != nil {
		s.cfg.Lost(fmt.Sprintf("facts that were stored are gone (at least %d): nobody is judged. Restore them, or accept the loss: --accept-loss %s", loss.Messages, loss.Token))
	}
	if slices.ContainsFunc(s.losses, func(l site.Loss) bool { return l.Token == loss.Token && l.To.IsZero() }) {
		return nil
	}
	s.endLosses()
	loss.Span = timeline.Span{From: s.cfg.Clock.Now().UTC()}
	s.losses = append(s.losses, *loss)
	return s.commitSites(ctx)
}

// judge lets the watch go on by what is there.
func (s *session) judge(ctx context.Context) error {
	s.cfg.Metrics.lost.Set(0)
	if s.cfg.Lost != nil {
		s.cfg.Lost("")
	}
	if s.endLosses() {
		return s.commitSites(ctx)
	}
	return nil
}

// accept makes what is there that by which is judged. The checkpoints say so before anybody is judged: a crash in between goes on from them.
func (s *session) accept(ctx context.Context, info *jetstream.StreamInfo) error {
	at, err := stampOf(ctx, s.cfg.JetStream, info.State.LastSeq)
	if err != nil {
		return err
	}
	s.seen = wire.Seen{Facts: info.State.LastSeq, At: at, Holes: holes(info)}
	for _, st := range s.sites {
		st.facts = s.seen.Facts
	}
	s.cfg.Logger.Warn().Uint64("facts_seq", s.seen.Facts).Str("token", s.cfg.AcceptLoss).Msg("the loss of facts was accepted: everybody is judged by what is there")
	s.endLosses()
	if err := s.commitSites(ctx); err != nil {
		return err
	}
	return s.judge(ctx)
}

// endLosses ends the losses that last, and reports whether there were any.
func (s *session) endLosses() (any bool) {
	for i := range s.losses {
		if l := &s.losses[i]; l.To.IsZero() {
			l.To, any = s.cfg.Clock.Now().UTC(), true
		}
	}
	return any
}

func (s *session) commitSites(ctx context.Context) error {
	b := &batch{session: s}
	for _, st := range s.sites {
		b.touch(st)
	}
	return b.commit(ctx, false)
}

// whole looks whether the facts are still all there: who reads some of them again, or goes on behind a hole, would judge by less than there was.
func (s *session) whole(ctx context.Context) error {
	s.looked = time.Now()
	loss, _, err := s.loss(ctx, false)
	if err == nil && loss != nil {
		err = errLost
	}
	return err
}

// AcceptsLoss reports whether facts are gone and token is the name of that loss.
func AcceptsLoss(ctx context.Context, js jetstream.JetStream, token string) (bool, error) {
	s := &session{cfg: &WatchConfig{JetStream: js}, sites: map[string]*watched{}}
	if err := s.recover(ctx); err != nil {
		return false, err
	}
	loss, _, err := s.loss(ctx, true)
	return loss != nil && loss.Token == token, err
}
