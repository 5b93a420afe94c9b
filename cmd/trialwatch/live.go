package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/trialwatch/trialwatch/consumers"
	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/fhir"
	"github.com/trialwatch/trialwatch/internal/app"
	"github.com/trialwatch/trialwatch/internal/offline"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/site"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// readLive reads what a running trialwatch has stored: the facts that its watch judges, and the instant as of which it last did. The protocols are files all the same,
// since only their hashes are stored; stderr is told where they are not those that run. more, if not nil, reads what else a command needs.
func (f *feedFlags) readLive(c *cobra.Command, broker *brokerFlags, more func(*stored) error) (e *offline.Evaluator, now time.Time, err error) {
	ps, sites, asOf, err := f.load(c)
	if err != nil {
		return nil, now, err
	}
	js, closeConn, err := broker.connect()
	if err != nil {
		return nil, now, err
	}
	defer closeConn()
	decoder, err := app.NewDecoder(ps, nil, sites...)
	if err != nil {
		return nil, now, usageError{err}
	}
	e = offline.New(decoder, ps)
	e.Zones = app.Zones(sites)
	if err := consumers.ReadAll(c.Context(), js, wire.StreamFacts, "facts.>", func(m jetstream.Msg) error {
		fact := new(timeline.Fact)
		if json.Unmarshal(m.Data(), fact) == nil && fact.Ref.Type() != "" { // else the watch skips it too
			e.Add(fact)
		}
		return nil
	}); err != nil {
		return nil, now, fmt.Errorf("facts of the running trialwatch: %w", err)
	}
	now = e.Latest()
	var running []string
	var losses []site.Loss
	if err := consumers.ReadLast(c.Context(), js, wire.StreamOut, wire.CheckpointFilter, func(m jetstream.Msg) error {
		var cp wire.Checkpoint
		if err := json.Unmarshal(m.Data(), &cp); err != nil {
			return fmt.Errorf("checkpoint: %w", err)
		}
		if cp.Now.After(now) {
			now = cp.Now // time alone has made something true since the last fact
		}
		running, losses = append(running, strings.Split(cp.Protocol, "+")...), append(losses, cp.Losses...)
		return nil
	}); err != nil {
		return nil, now, err
	}
	otherProtocols(c.ErrOrStderr(), ps, running)
	if !asOf.IsZero() {
		now = asOf
	}
	if more != nil {
		err = more(&stored{js, e, losses})
	}
	return e, now, err
}

// stored is what was read of a running trialwatch.
type stored struct {
	js     jetstream.JetStream
	e      *offline.Evaluator
	losses []site.Loss
}

// whole makes sure that the facts are those of the whole trial, and counts what else was sent: what no rule reads, and what cannot be used.
func (s *stored) whole(c *cobra.Command) error {
	for _, l := range s.losses {
		if l.To.IsZero() {
			return fmt.Errorf("at least %d of the stored facts are gone: what is left is not the trial; restore them, or accept the loss: serve --accept-loss %s", l.Messages, l.Token)
		}
	}
	if len(s.losses) > 0 {
		fmt.Fprintf(c.ErrOrStderr(), "trialwatch: stored facts are gone, and their loss was accepted: they are in no table\n")
	}
	intake, err := s.js.Consumer(c.Context(), wire.StreamFHIR, consumers.IntakeConsumer)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound): // intake has never run: there are no facts either
	case err != nil:
		return fmt.Errorf("queue of intake: %w", err)
	default:
		if info := intake.CachedInfo(); info.NumPending > 0 || info.NumAckPending > 0 {
			fmt.Fprintf(c.ErrOrStderr(), "trialwatch: %d messages wait for intake: what is in them is in no table\n", info.NumPending+uint64(info.NumAckPending))
		}
	}
	stream, err := s.js.Stream(c.Context(), wire.StreamFHIR)
	if err != nil {
		return fmt.Errorf("messages of the running trialwatch: %w", err)
	}
	state := stream.CachedInfo().State
	s.e.NotRelevantUnknown = state.FirstSeq > 1 || state.NumDeleted > 0
	return consumers.ReadAll(c.Context(), s.js, wire.StreamFHIR, "fhir.>", func(m jetstream.Msg) error {
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		received := meta.Timestamp
		if t, err := time.Parse(time.RFC3339Nano, m.Headers().Get(wire.HeaderReceivedAt)); err == nil { // as intake does for those who may set it
			received = t
		}
		s.e.Count(fhir.Message{Data: m.Data(), Site: wire.Site(m.Subject()), ReceivedAt: received}, wire.StreamFHIR, int(meta.Sequence.Stream)) //nolint:gosec // no stream is that long
		return nil
	})
}

// otherProtocols tells which protocols explain though another file runs.
func otherProtocols(stderr io.Writer, ps []*protocol.Protocol, running []string) {
	for _, p := range ps {
		if len(running) > 0 && !slices.Contains(running, p.Hash[:16]) {
			fmt.Fprintf(stderr, "trialwatch: %s %s (%.8s) is not the file that runs: what is shown may not be what was told\n", p.Study, p.Version, p.Hash)
		}
	}
}

// live reports whether a command shall read a running trialwatch: a broker or its data directory is named, and no file.
func (b *brokerFlags) live(c *cobra.Command, files []string) (bool, error) {
	named := c.Flags().Changed("data") || c.Flags().Changed("nats")
	if named && len(files) > 0 {
		return false, usageError{errors.New(c.Name() + ": either files or a running trialwatch (--data, --nats), not both")}
	}
	return named, nil
}
