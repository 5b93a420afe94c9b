package consumers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/aggregate"
	"github.com/trialwatch/trialwatch/rules/alert"
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
	// board made it, for the made-th time.
	board *aggregate.Board
	made  uint64
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
		DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, FilterSubjects: []string{"standings.>", wire.CheckpointFilter},
	})
	if err != nil {
		return err
	}
	defer standings.stop()
	at := place{pending: pending, left: pending}
	patients := map[string]wire.PatientStanding{}
	boards := map[*protocol.Protocol]*aggregate.Board{}
	var toldThrough uint64
	var toldBy *[]*protocol.Protocol
	take := func(m jetstream.Msg) error {
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		if at.move(m.Subject(), meta); at.whole {
			return teller.take(m)
		}
		var st wire.PatientStanding
		if err := json.Unmarshal(m.Data(), &st, withoutTold); err != nil {
			return fmt.Errorf("standing of OUT sequence %d cannot be read: %w", meta.Sequence.Stream, err)
		}
		patients[m.Subject()] = st
		for p, board := range boards {
			board.Set(m.Subject(), contribution(&st, p.Study))
		}
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
			if !at.showable() {
				continue
			}
			// All that is judged came with a message: without a new one there is nothing to tell.
			if protocols := a.protocols.Load(); at.judgeable() && (at.through != toldThrough || protocols != toldBy) {
				if err := teller.tell(ctx, *protocols, patients, at.through); err != nil {
					return err
				}
				toldThrough, toldBy = at.through, protocols
			}
			if err := a.publish(ctx, boardsOf(*a.protocols.Load(), boards, patients), at.through, published); err != nil {
				return err
			}
		}
	}
}

// place is how far OUT has been read.
type place struct {
	through uint64 // sequence
	pending uint64 // messages behind it
	left    uint64 // of what was there at the start
	whole   bool   // no commit of a site is half read: the checkpoint is the last of each
}

func (p *place) move(subject string, meta *jetstream.MsgMetadata) {
	p.through, p.pending, p.left = meta.Sequence.Stream, meta.NumPending, p.left-min(p.left, 1)
	p.whole = strings.HasPrefix(subject, "checkpoints.")
}

// showable reports whether panels are worth showing: half a cohort is not.
func (p *place) showable() bool { return p.pending <= 1000 }

// judgeable reports whether the trial may be judged: what is told of the half of what was there would be taken back.
func (p *place) judgeable() bool { return p.left == 0 && p.whole }

// withoutTold leaves the alerts of a standing unread, which are most of it: they are the watch's memory, not the aggregate's.
var withoutTold = json.WithUnmarshalers(json.UnmarshalFromFunc(func(d *jsontext.Decoder, _ *[]alert.Told) error { return d.SkipValue() }))

// contribution is what a patient contributes to a study: nothing where he is not in it.
func contribution(st *wire.PatientStanding, study string) rules.Summary {
	for _, s := range st.Studies {
		if s.Study == study {
			return s.Summary
		}
	}
	return rules.Summary{}
}

// boardsOf makes sure that every protocol in use has a board with all patients, and forgets those of others.
func boardsOf(protocols []*protocol.Protocol, boards map[*protocol.Protocol]*aggregate.Board, patients map[string]wire.PatientStanding) map[*protocol.Protocol]*aggregate.Board {
	for _, p := range protocols {
		if boards[p] != nil {
			continue
		}
		boards[p] = aggregate.NewBoard(p)
		for subject, st := range patients {
			boards[p].Set(subject, contribution(&st, p.Study))
		}
	}
	maps.DeleteFunc(boards, func(p *protocol.Protocol, _ *aggregate.Board) bool { return !slices.Contains(protocols, p) })
	return boards
}

func (a *Aggregate) publish(ctx context.Context, boards map[*protocol.Protocol]*aggregate.Board, through uint64, published map[string]*panelState) error {
	feed, err := a.feed(ctx)
	if err != nil {
		return err
	}
	now := a.cfg.Clock.Now().Truncate(time.Second)
	for p, board := range boards {
		for _, panel := range board.Panels(feed, now) {
			subject := wire.Aggregates(p.Study, panel.Name)
			was := published[subject]
			if was == nil {
				was = &panelState{}
				published[subject] = was
			}
			fresh, made := time.Since(was.at) < refreshEvery, board.Made(panel.Name)
			if fresh && made > 0 && was.made == made && was.board == board {
				continue // nothing of it has changed: it need not be written down to see that
			}
			bare := panel
			bare.AsOf = time.Time{}
			body, err := wire.Encode(bare)
			if err != nil {
				return err
			}
			was.board, was.made = board, made
			if fresh && bytes.Equal(was.body, body) {
				continue
			}
			panel.Through = through
			data, err := wire.Encode(panel)
			if err != nil {
				return err
			}
			ack, err := a.cfg.JetStream.PublishMsg(ctx, fenced(rollup(subject, data), was.seq, false))
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
			case wire.IsFeed(subject): // no facts
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
