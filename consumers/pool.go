package consumers

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/rules/aggregate"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// PoolConfig is what [NewPool] needs. All fields but the last two are required.
type PoolConfig struct {
	JetStream jetstream.JetStream
	Protocols []*protocol.Protocol
	Logger    zerolog.Logger
	// WithoutFence leaves out the expected sequences. It exists so that a test can show that the fence is needed.
	WithoutFence bool
	// Crash, if not nil, is called between what is written down under suppression and what is published of it; an error ends the stage there. It is for tests.
	Crash func() error
}

// Pool reads the panels and publishes, for every protocol with blinding, what is shown to who may not see the arms: into a stream of its own, so that nobody who
// reads that needs a right on the other. All panels of a study that are due go out in one atomic batch, fenced by the sequence of each one before: of two workers
// one is refused, drops its memory and reads what is published. What is due depends on the panels' own times and on nothing else.
//
// Under suppression what will be published is first written down, with what must not be, into POOLING, fenced likewise, and then published from there: after a crash in between
// the same is published.
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

// suppressedState is what was last written down of a study under suppression.
type suppressedState struct {
	seq uint64 // in POOLING
	*aggregate.Suppressed
}

// memory is what stands on the broker.
type memory struct {
	last       map[string]aggregate.Panel // by subject
	published  map[string]*pooledState    // by subject
	suppressed map[string]suppressedState // by study
}

func (p *Pool) run(ctx context.Context) error {
	published := map[string]*pooledState{}
	mem := &memory{last: map[string]aggregate.Panel{}, published: published, suppressed: map[string]suppressedState{}}
	if err := readLast(ctx, p.cfg.JetStream, wire.StreamPooling, []string{"pooling.>"}, func(m jetstream.Msg) error {
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		var s aggregate.Suppressed
		if err := json.Unmarshal(m.Data(), &s); err != nil {
			return fmt.Errorf("POOLING sequence %d cannot be read: %w", meta.Sequence.Stream, err)
		}
		mem.suppressed[s.Study] = suppressedState{meta.Sequence.Stream, &s}
		return nil
	}); err != nil {
		return err
	}
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
	panels, _, err := read(ctx, p.cfg.JetStream, wire.StreamAggregates, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, FilterSubjects: []string{"aggregates.>"},
	})
	if err != nil {
		return err
	}
	defer panels.stop()
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
			protocols := *p.protocols.Load()
			if pools(protocols, m.Subject()) { // of a trial without blinding nothing is even read
				panel, err := aggregate.Read(m.Data())
				if err != nil {
					p.cfg.Logger.Error().Err(err).Uint64("sequence", meta.Sequence.Stream).Msg("panel skipped")
					delete(mem.last, m.Subject()) // what stood before it is not what stands
				} else {
					mem.last[m.Subject()] = panel
				}
			}
			if meta.NumPending > 0 {
				continue
			}
			for _, proto := range protocols {
				if proto.Blinding == nil {
					continue
				}
				if err := p.publish(ctx, proto, mem); err != nil {
					return err
				}
			}
		}
	}
}

// pools reports whether a subject is that of a panel that some protocol wants pooled. One that wants it from now on has all panels within refreshEvery.
func pools(protocols []*protocol.Protocol, subject string) bool {
	return slices.ContainsFunc(protocols, func(p *protocol.Protocol) bool {
		return p.Blinding != nil && slices.ContainsFunc(aggregate.Pooled, func(name string) bool { return subject == wire.Aggregates(p.Study, name) })
	})
}

// publish publishes the panels of a study that are due.
func (p *Pool) publish(ctx context.Context, proto *protocol.Protocol, mem *memory) error {
	var panels []aggregate.Panel
	period := func(at time.Time) int64 { return proto.Blinding.Period(at, proto.Zone) }
	for _, name := range aggregate.Pooled {
		panel, ok := mem.last[wire.Aggregates(proto.Study, name)]
		if !ok || panel.Protocol != proto.Pin() {
			return nil // not made yet, or by another protocol
		}
		panels = append(panels, panel)
	}
	every := proto.Blinding.PublishEvery > 0
	// In one period everything is of one time: what is not brought up to date in it yet is waited for.
	if every && slices.ContainsFunc(panels, func(x aggregate.Panel) bool { return period(x.AsOf) != period(panels[0].AsOf) }) {
		return nil
	}
	pooled := aggregate.Pool(proto, panels)
	for i := range pooled {
		if every { // the second at which somebody looked would say what the minute of an alert says
			pooled[i].AsOf = pooled[i].AsOf.Truncate(time.Minute)
		}
	}
	if proto.Blinding.SuppressBelow > 0 {
		var err error
		if pooled, err = p.suppress(ctx, proto, pooled, mem); err != nil {
			return err
		}
	}
	var msgs []*nats.Msg
	var next []*pooledState
	for _, panel := range pooled {
		subject := wire.Pooled(proto.Study, panel.Name)
		was := mem.published[subject]
		if was == nil {
			was = &pooledState{}
			mem.published[subject] = was
		}
		if was.seq > 0 && period(panel.AsOf) <= period(was.asOf) {
			continue
		}
		bare := panel
		bare.AsOf = time.Time{}
		body, err := wire.Encode(bare)
		if err != nil {
			return err
		}
		if !every && bytes.Equal(body, was.body) && panel.AsOf.Sub(was.asOf) < refreshEvery {
			continue
		}
		data, err := wire.Encode(panel)
		if err != nil {
			return err
		}
		msgs, next = append(msgs, fenced(rollup(subject, data), was.seq, p.cfg.WithoutFence)), append(next, &pooledState{asOf: panel.AsOf, body: body})
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
		mem.published[m.Subject] = next[i]
	}
	return nil
}

// suppress returns what is published of a study under suppression: what is written down, or what is written down now if a period is over.
func (p *Pool) suppress(ctx context.Context, proto *protocol.Protocol, pooled []aggregate.PooledPanel, mem *memory) ([]aggregate.PooledPanel, error) {
	was := mem.suppressed[proto.Study]
	if s := was.Suppressed; s != nil && s.Below == proto.Blinding.SuppressBelow {
		// What was written down before a crash is published first: between two publications a bound moves once.
		shown := mem.published[wire.Pooled(proto.Study, aggregate.Enrolment)]
		if shown == nil || shown.asOf.Before(s.AsOf) || proto.Blinding.Period(pooled[0].AsOf, proto.Zone) <= proto.Blinding.Period(s.AsOf, proto.Zone) {
			return s.Panels(), nil
		}
	}
	before := was.Suppressed
	if before != nil && before.Below != proto.Blinding.SuppressBelow {
		before = nil // bounds of other steps say nothing of these
	}
	s := aggregate.Suppress(proto, pooled, before, secret)
	data, err := wire.Encode(s)
	if err != nil {
		return nil, err
	}
	ack, err := p.cfg.JetStream.PublishMsg(ctx, fenced(rollup(wire.Pooling(proto.Study), data), was.seq, p.cfg.WithoutFence))
	if err != nil {
		return nil, fmt.Errorf("write down what is published of %s: %w", proto.Study, err)
	}
	mem.suppressed[proto.Study] = suppressedState{ack.Sequence, s}
	if p.cfg.Crash != nil {
		if err := p.cfg.Crash(); err != nil {
			return nil, err
		}
	}
	return s.Panels(), nil
}

// secret is a number from 0 up to and without n that nobody can guess.
func secret(n int) int {
	v, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
	if err != nil {
		panic(err) // the system's source of randomness never fails
	}
	return int(v.Int64())
}
