package consumers

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/rules/alert"
	"github.com/trialwatch/trialwatch/rules/site"
)

// batch is one commit in the making.
type batch struct {
	session *session
	msgs    []*nats.Msg
	size    int
	touched []*watched
}

// fits reports whether a message and what must follow it still fit. The reserve is for the patient's standing and the checkpoints.
func (b *batch) fits(size int) bool {
	reserve := 2 + len(b.session.sites)
	return len(b.msgs)+reserve < batchMessages && b.size+size+wire.MaxMessage < batchBytes
}

func (b *batch) add(m *nats.Msg, st *watched) {
	b.msgs = append(b.msgs, m)
	b.size += m.Size()
	b.touch(st)
}

func (b *batch) touch(st *watched) {
	if !slices.Contains(b.touched, st) {
		b.touched = append(b.touched, st)
	}
}

func (b *batch) standing(p *site.Patient, st *watched) error {
	body := wire.PatientStanding{Identity: p.Identity}
	for _, proto := range b.session.protocols {
		if standing := p.Standings[proto.Study]; standing != nil {
			body.Studies = append(body.Studies, standing)
		}
	}
	data, err := wire.Encode(body)
	if err != nil {
		return fmt.Errorf("encode a standing: %w", err)
	}
	b.add(rollup(wire.Standings(st.Name, wire.PatientKey(b.session.cfg.SiteKey, st.Name, p.Identity)), data), st)
	return nil
}

// rollup is a message that takes the place of the one before on its subject.
func rollup(subject string, data []byte) *nats.Msg {
	m := &nats.Msg{Subject: subject, Data: data, Header: nats.Header{}}
	m.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
	return m
}

// fenced has a message refused unless the last one on its subject has a sequence. without leaves the fence out, for the tests that show what it is for.
func fenced(m *nats.Msg, last uint64, without bool) *nats.Msg {
	if !without {
		m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(last, 10))
	}
	return m
}

// commit publishes the batch with the checkpoints of the sites that it touches, each fenced by the sequence of the one before. advance lets the
// checkpoints pass the facts that were read.
func (b *batch) commit(ctx context.Context, advance bool) error {
	if len(b.touched) == 0 {
		return nil
	}
	s := b.session
	for _, st := range b.touched {
		facts := st.facts
		if advance {
			facts = max(st.pending, st.facts)
		}
		data, err := wire.Encode(wire.Checkpoint{Facts: facts, Now: s.now, Protocol: s.hash, Worker: s.cfg.Worker, Silences: st.silences, Gaps: st.gaps, Seen: s.seen, Losses: s.losses})
		if err != nil {
			return err
		}
		b.msgs = append(b.msgs, fenced(rollup(wire.Checkpoints(st.Name), data), st.fence, s.cfg.WithoutFence))
	}
	last, err := publishBatch(ctx, s.cfg.JetStream, b.msgs)
	if err != nil {
		s.cfg.Metrics.fenced.Inc()
		return fmt.Errorf("commit of %d messages refused: %w", len(b.msgs), err)
	}
	s.cfg.Metrics.commits.Inc()
	for i, st := range b.touched {
		st.fence = last - uint64(len(b.touched)-1-i)
		if advance {
			st.facts = max(st.pending, st.facts)
		}
	}
	s.idle = 0
	b.msgs, b.size, b.touched = nil, 0, nil
	return nil
}

func alertMessage(e alert.Event) (*nats.Msg, error) {
	data, err := wire.Encode(wire.NewCloudEvent(e))
	if err != nil {
		return nil, fmt.Errorf("encode an alert: %w", err)
	}
	m := &nats.Msg{Subject: wire.Alerts(e.Study, e.Site, e.Subject), Data: data, Header: nats.Header{}}
	m.Header.Set(wire.HeaderRule, e.Rule)
	m.Header.Set(wire.HeaderUrgency, string(e.Urgency))
	m.Header.Set(wire.HeaderTransition, string(e.Transition))
	m.Header.Set(wire.HeaderMaterial, strconv.FormatBool(e.Material))
	return m, nil
}
