package consumers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/aggregate"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// AggregateConfig is what [NewAggregate] needs. All fields but the last are required.
type AggregateConfig struct {
	JetStream jetstream.JetStream
	Protocols []*protocol.Protocol
	Clock     Clock
	Logger    zerolog.Logger
	Metrics   *Metrics
	// WithoutFence leaves out the expected sequence of the checkpoint. It exists so that a test can show that the fence is needed.
	WithoutFence bool
}

// Aggregate reads standings and publishes panels by arm: at most one a second a panel, and only what changed. A panel is a pure function of the
// standings, so two workers publish the same; the expected sequence of the subject keeps an old one from overwriting a new one. It also tells what is
// true of a trial and of no single patient: see teller.
type Aggregate struct {
	cfg       AggregateConfig
	protocols atomic.Pointer[[]*protocol.Protocol]
}

// NewAggregate returns an aggregate stage.
func NewAggregate(cfg AggregateConfig) *Aggregate {
	a := &Aggregate{cfg: cfg}
	a.Use(cfg.Protocols)
	return a
}

// Use makes the panels by other protocols from here on.
func (a *Aggregate) Use(protocols []*protocol.Protocol) { a.protocols.Store(&protocols) }

// publishEvery is the shortest time between two publications of a panel. A panel that has not changed is published anew after refreshEvery, so
// that its asOf says that somebody still looks.
const (
	publishEvery = time.Second
	refreshEvery = 5 * time.Second
)

// Run works until ctx ends, and then returns nil.
func (a *Aggregate) Run(ctx context.Context) error {
	return forever(ctx, a.cfg.Logger, a.run)
}

// panelState is what was last published of a panel.
type panelState struct {
	seq  uint64 // in AGGREGATES
	body []byte // without asOf and through
	at   time.Time
}

func (a *Aggregate) run(ctx context.Context) error {
	published := map[string]*panelState{}
	if err := readLast(ctx, a.cfg.JetStream, wire.StreamAggregates, []string{"aggregates.>"}, func(m jetstream.Msg) error {
		meta, err := m.Metadata()
		if err == nil {
			published[m.Subject()] = &panelState{seq: meta.Sequence.Stream}
		}
		return err
	}); err != nil {
		return err
	}
	teller, err := newTeller(ctx, &a.cfg)
	if err != nil {
		return err
	}
	// One consumer delivers both in the order in which they were committed.
	standings, pending, err := read(ctx, a.cfg.JetStream, wire.StreamOut, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, FilterSubjects: []string{"standings.>", "checkpoints.>"},
	})
	if err != nil {
		return err
	}
	defer standings.stop()
	left := pending // of what was there at the start: the half of it would be told, and taken back
	patients := map[string]wire.PatientStanding{}
	through := uint64(0)
	whole := false // no commit of a site is half read
	take := func(m jetstream.Msg) error {
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		through, pending, left = meta.Sequence.Stream, meta.NumPending, left-min(left, 1)
		if whole = strings.HasPrefix(m.Subject(), "checkpoints."); whole {
			return teller.take(m)
		}
		var st wire.PatientStanding
		if err := json.Unmarshal(m.Data(), &st); err != nil {
			return fmt.Errorf("standing of OUT sequence %d cannot be read: %w", meta.Sequence.Stream, err)
		}
		for _, s := range st.Studies {
			s.Told = nil // alerts are the watch's memory, not ours
		}
		patients[m.Subject()] = st
		return nil
	}
	tick := time.NewTicker(publishEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-standings.err:
			return err
		case m := <-standings.msgs:
			if err := take(m); err != nil {
				return err
			}
		case <-tick.C:
			if pending > 1000 {
				continue // still reading what was there: half a cohort is not worth showing
			}
			if left == 0 && whole {
				if err := teller.tell(ctx, *a.protocols.Load(), patients, through); err != nil {
					return err
				}
			}
			if err := a.publish(ctx, patients, through, published); err != nil {
				return err
			}
		}
	}
}

func (a *Aggregate) publish(ctx context.Context, patients map[string]wire.PatientStanding, through uint64, published map[string]*panelState) error {
	feed, err := a.feed(ctx)
	if err != nil {
		return err
	}
	keys := make([]string, 0, len(patients))
	for k := range patients {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	now := a.cfg.Clock.Now().Truncate(time.Second)
	for _, p := range *a.protocols.Load() {
		var summaries []rules.Summary
		for _, k := range keys {
			for _, s := range patients[k].Studies {
				if s.Study == p.Study {
					summaries = append(summaries, s.Summary)
				}
			}
		}
		for _, panel := range aggregate.Panels(p, summaries, feed, now) {
			subject := wire.Aggregates(p.Study, panel.Name)
			bare := panel
			bare.AsOf = time.Time{}
			body, err := wire.Encode(bare)
			if err != nil {
				return err
			}
			was := published[subject]
			if was == nil {
				was = &panelState{}
				published[subject] = was
			}
			if bytes.Equal(was.body, body) && time.Since(was.at) < refreshEvery {
				continue
			}
			panel.Through = through
			data, err := wire.Encode(panel)
			if err != nil {
				return err
			}
			m := &nats.Msg{Subject: subject, Data: data, Header: nats.Header{}}
			m.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
			m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(was.seq, 10))
			ack, err := a.cfg.JetStream.PublishMsg(ctx, m)
			if err != nil {
				// Another worker was faster, or the broker is away: start anew from what is published.
				return fmt.Errorf("publish %s: %w", subject, err)
			}
			was.seq, was.body, was.at = ack.Sequence, body, time.Now()
		}
	}
	return nil
}

// feed asks the broker what every site has sent.
func (a *Aggregate) feed(ctx context.Context) ([]aggregate.SiteRow, error) {
	rows := map[string]*aggregate.SiteRow{}
	row := func(subject string) *aggregate.SiteRow {
		name := wire.Site(subject)
		if rows[name] == nil {
			rows[name] = &aggregate.SiteRow{Site: name}
			if n, ok := a.cfg.Metrics.NotRelevant(name); ok {
				rows[name].NotRelevant = &n
			}
			if t, ok := a.cfg.Metrics.LastEvent(name); ok {
				rows[name].LastEvent = t
			}
		}
		return rows[name]
	}
	for stream, filter := range map[string]string{wire.StreamFHIR: "fhir.>", wire.StreamFacts: "facts.>", wire.StreamDeadLetters: "deadletters.>"} {
		s, err := a.cfg.JetStream.Stream(ctx, stream)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		info, err := s.Info(ctx, jetstream.WithSubjectFilter(filter))
		if err != nil {
			return nil, err
		}
		for subject, n := range info.State.Subjects {
			r := row(subject)
			switch {
			case strings.HasPrefix(subject, "facts."):
				r.Facts += n
			case strings.HasPrefix(subject, "deadletters."):
				r.DeadLetters += n
			default:
				if r.LastEvent.IsZero() {
					r.LastEvent = info.State.LastTime // intake runs elsewhere: the stream's last time, exact where there is one site
				}
			}
		}
	}
	out := make([]aggregate.SiteRow, 0, len(rows))
	for _, r := range rows {
		out = append(out, *r)
	}
	return out, nil
}
