package consumers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/rules/aggregate"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// PoolConfig is what [NewPool] needs. All fields but the last are required.
type PoolConfig struct {
	JetStream jetstream.JetStream
	Protocols []*protocol.Protocol
	Logger    zerolog.Logger
	// WithoutFence leaves out the expected sequences. It exists so that a test can show that the fence is needed.
	WithoutFence bool
}

// Pool reads the panels and publishes, for every protocol with blinding, what is shown to who may not see the arms: into a stream of its own, so that nobody who
// reads that needs a right on the other. All panels of a study that are due go out in one atomic batch, fenced by the sequence of each one before: of two workers
// one is refused, drops its memory and reads what is published. What is due depends on the panels' own times and on nothing else.
type Pool struct {
	cfg       PoolConfig
	protocols atomic.Pointer[[]*protocol.Protocol]
}

// NewPool returns the stage that pools.
func NewPool(cfg PoolConfig) *Pool {
	p := &Pool{cfg: cfg}
	p.Use(cfg.Protocols)
	return p
}

// Use pools by other protocols from here on.
func (p *Pool) Use(protocols []*protocol.Protocol) { p.protocols.Store(&protocols) }

// Run works until ctx ends, and then returns nil.
func (p *Pool) Run(ctx context.Context) error {
	return forever(ctx, p.cfg.Logger, p.run)
}

// pooledState is what was last published of a panel.
type pooledState struct {
	seq  uint64 // in POOLED
	asOf time.Time
	body []byte // without asOf; nil: not by this worker
}

func (p *Pool) run(ctx context.Context) error {
	published := map[string]*pooledState{}
	if err := readLast(ctx, p.cfg.JetStream, wire.StreamPooled, []string{"pooled.>"}, func(m jetstream.Msg) error {
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		var head aggregate.PooledPanel
		if err := json.Unmarshal(m.Data(), &head); err != nil {
			return fmt.Errorf("pooled panel of POOLED sequence %d cannot be read: %w", meta.Sequence.Stream, err)
		}
		published[m.Subject()] = &pooledState{seq: meta.Sequence.Stream, asOf: head.AsOf}
		return nil
	}); err != nil {
		return err
	}
	panels, pending, err := read(ctx, p.cfg.JetStream, wire.StreamAggregates, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, FilterSubjects: []string{"aggregates.>"},
	})
	if err != nil {
		return err
	}
	defer panels.stop()
	last := map[string]aggregate.Panel{} // by subject
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-panels.err:
			return err
		case m := <-panels.msgs:
			meta, err := m.Metadata()
			if err != nil {
				return err
			}
			panel, err := aggregate.Read(m.Data())
			if err != nil {
				p.cfg.Logger.Error().Err(err).Uint64("sequence", meta.Sequence.Stream).Msg("panel skipped")
				delete(last, m.Subject()) // what stood before it is not what stands
			} else {
				last[m.Subject()] = panel
			}
			if pending = meta.NumPending; pending > 0 {
				continue
			}
			for _, proto := range *p.protocols.Load() {
				if proto.Blinding == nil {
					continue
				}
				if err := p.publish(ctx, proto, last, published); err != nil {
					return err
				}
			}
		}
	}
}

// publish publishes the panels of a study that are due.
func (p *Pool) publish(ctx context.Context, proto *protocol.Protocol, last map[string]aggregate.Panel, published map[string]*pooledState) error {
	var panels []aggregate.Panel
	period := func(at time.Time) int64 { return proto.Blinding.Period(at, proto.Zone) }
	for _, name := range aggregate.Pooled {
		panel, ok := last[wire.Aggregates(proto.Study, name)]
		if !ok || panel.Protocol != proto.Pin() {
			return nil // not made yet, or by another protocol
		}
		panels = append(panels, panel)
	}
	// In one period everything is of one time: what is not brought up to date in it yet is waited for.
	if proto.Blinding.PublishEvery > 0 && slices.ContainsFunc(panels, func(x aggregate.Panel) bool { return period(x.AsOf) != period(panels[0].AsOf) }) {
		return nil
	}
	var msgs []*nats.Msg
	var next []*pooledState
	for _, panel := range aggregate.Pool(proto, panels) {
		subject := wire.Pooled(proto.Study, panel.Name)
		was := published[subject]
		if was == nil {
			was = &pooledState{}
			published[subject] = was
		}
		if was.seq > 0 && period(panel.AsOf) <= period(was.asOf) {
			continue
		}
		asOf := panel.AsOf
		panel.AsOf = time.Time{}
		body, err := wire.Encode(panel)
		if err != nil {
			return err
		}
		if proto.Blinding.PublishEvery == 0 && bytes.Equal(body, was.body) && asOf.Sub(was.asOf) < refreshEvery {
			continue
		}
		// With a period the second at which somebody looked would say what the minute of an alert says.
		if panel.AsOf = asOf; proto.Blinding.PublishEvery > 0 {
			panel.AsOf = asOf.Truncate(time.Minute)
		}
		data, err := wire.Encode(panel)
		if err != nil {
			return err
		}
		m := &nats.Msg{Subject: subject, Data: data, Header: nats.Header{}}
		m.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
		if !p.cfg.WithoutFence {
			m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(was.seq, 10))
		}
		msgs, next = append(msgs, m), append(next, &pooledState{asOf: panel.AsOf, body: body})
	}
	if len(msgs) == 0 {
		return nil
	}
	sequence, err := publishBatch(ctx, p.cfg.JetStream, msgs)
	if err != nil {
		// Another worker was faster, or the broker is away: start anew from what is published.
		return fmt.Errorf("publish the pooled panels of %s: %w", proto.Study, err)
	}
	for i, m := range msgs {
		next[i].seq = sequence - uint64(len(msgs)-1-i)
		published[m.Subject] = next[i]
	}
	return nil
}
