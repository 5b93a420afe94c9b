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
	"github.com/trialwatch/trialwatch/internal/app"
	"github.com/trialwatch/trialwatch/internal/offline"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// readLive reads what a running trialwatch has stored: the facts that its watch judges, and the instant as of which it last did. The protocols are files all the same,
// since only their hashes are stored; stderr is told where they are not those that run.
func (f *feedFlags) readLive(c *cobra.Command, broker *brokerFlags) (e *offline.Evaluator, now time.Time, err error) {
	ps, sites, asOf, err := f.load(c)
	if err != nil {
		return nil, now, err
	}
	js, closeConn, err := broker.connect()
	if err != nil {
		return nil, now, err
	}
	defer closeConn()
	e = offline.New(nil, ps)
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
	if err := consumers.ReadLast(c.Context(), js, wire.StreamOut, wire.CheckpointFilter, func(m jetstream.Msg) error {
		var cp wire.Checkpoint
		if err := json.Unmarshal(m.Data(), &cp); err != nil {
			return fmt.Errorf("checkpoint: %w", err)
		}
		if cp.Now.After(now) {
			now = cp.Now // time alone has made something true since the last fact
		}
		running = append(running, strings.Split(cp.Protocol, "+")...)
		return nil
	}); err != nil {
		return nil, now, err
	}
	otherProtocols(c.ErrOrStderr(), ps, running)
	if !asOf.IsZero() {
		now = asOf
	}
	return e, now, nil
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
