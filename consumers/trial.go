package consumers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/rules/alert"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/site"
	"github.com/trialwatch/trialwatch/rules/trial"
)

// teller tells what is true of a trial and of no single patient, and remembers it. What it told, and how far it had read, is committed in the batch that
// tells it, fenced by the sequence of the checkpoint before: of two aggregate stages one is refused, drops its memory and recovers.
type teller struct {
	cfg   *AggregateConfig
	told  map[string][]alert.Told // by study
	fence uint64                  // sequence of the checkpoint in OUT, 0 if there is none
	now   time.Time               // the latest evaluating now of a site's checkpoint: it never runs backwards
	facts uint64                  // how much of FACTS is in what was read

	feeds  map[string]*wire.Checkpoint // by site, the last
	losses []site.Loss                 // of the last of all
}

func newTeller(ctx context.Context, cfg *AggregateConfig) (*teller, error) {
	t := &teller{cfg: cfg, told: map[string][]alert.Told{}, feeds: map[string]*wire.Checkpoint{}}
	err := readLast(ctx, cfg.JetStream, wire.StreamOut, []string{wire.Checkpoints(wire.NoSite)}, func(m jetstream.Msg) error {
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		var c wire.TrialCheckpoint
		if err := json.Unmarshal(m.Data(), &c); err != nil {
			return fmt.Errorf("checkpoint of OUT sequence %d cannot be read: %w", meta.Sequence.Stream, err)
		}
		t.fence, t.now = meta.Sequence.Stream, c.Now
		for _, s := range c.Studies {
			t.told[s.Study] = s.Told
		}
		return nil
	})
	return t, err
}

// take reads the checkpoint of a site: it ends the batch of a commit, so between two of them nothing is half told.
func (t *teller) take(m jetstream.Msg) error {
	name := wire.Site(m.Subject())
	if name == wire.NoSite {
		return nil // our own
	}
	var c wire.Checkpoint
	if err := json.Unmarshal(m.Data(), &c); err != nil {
		return fmt.Errorf("checkpoint of %s cannot be read: %w", m.Subject(), err)
	}
	t.feeds[name], t.losses = &c, c.Losses
	t.facts = max(t.facts, c.Facts)
	if c.Now.After(t.now) {
		t.now = c.Now
	}
	for _, l := range c.Losses { // while they last nobody is judged, and the site's now stands still
		for _, at := range []time.Time{l.From, l.To} {
			if at.After(t.now) {
				t.now = at
			}
		}
	}
	return nil
}

// tell commits what is new of every study, in as few batches as the limits allow.
func (t *teller) tell(ctx context.Context, protocols []*protocol.Protocol, patients map[string]wire.PatientStanding, through uint64) error {
	var msgs []*nats.Msg
	size := 0
	for _, p := range protocols {
		state := t.state(p.Study, patients)
		events := alert.Diff(t.told[p.Study], trial.Findings(p, state, t.now), alert.Cause{Now: t.now, Reason: trial.Reason, Input: t.facts, Protocol: p.Pin()})
		for _, e := range events {
			m, err := alertMessage(e)
			if err != nil {
				return err
			}
			if len(msgs)+1 >= batchMessages || size+m.Size()+wire.MaxMessage >= batchBytes {
				// What was told so far stands; the rest follows in the next batch, and a crash in between finds it again.
				if err := t.commit(ctx, msgs, through); err != nil {
					return err
				}
				msgs, size = nil, 0
			}
			msgs, size = append(msgs, m), size+m.Size()
			t.told[p.Study] = alert.Fold(t.told[p.Study], e)
			t.cfg.Metrics.transitions.WithLabelValues(e.Rule, string(e.Transition)).Inc()
		}
	}
	if len(msgs) == 0 {
		return nil
	}
	return t.commit(ctx, msgs, through)
}

// state is what there is to judge of a study.
func (t *teller) state(study string, patients map[string]wire.PatientStanding) *trial.State {
	s := &trial.State{Losses: t.losses}
	for subject, p := range patients {
		for _, st := range p.Studies {
			if st.Study == study && st.Summary.Enrolled {
				s.Members = append(s.Members, trial.Member{Site: wire.Site(subject), Membership: st.Member, Summary: st.Summary})
			}
		}
	}
	for name, c := range t.feeds {
		s.Add(name, c.Silences, c.Gaps)
	}
	return s
}

func (t *teller) commit(ctx context.Context, msgs []*nats.Msg, through uint64) error {
	c := wire.TrialCheckpoint{Through: through, Now: t.now}
	for study, told := range t.told {
		c.Studies = append(c.Studies, wire.TrialStanding{Study: study, Told: told})
	}
	slices.SortFunc(c.Studies, func(a, b wire.TrialStanding) int { return strings.Compare(a.Study, b.Study) })
	data, err := wire.Encode(c)
	if err != nil {
		return err
	}
	last, err := publishBatch(ctx, t.cfg.JetStream, append(msgs, fenced(rollup(wire.Checkpoints(wire.NoSite), data), t.fence, t.cfg.WithoutFence)))
	if err != nil {
		t.cfg.Metrics.fenced.Inc()
		return fmt.Errorf("commit of %d messages of the trial refused: %w", len(msgs)+1, err)
	}
	t.cfg.Metrics.commits.Inc()
	t.fence = last
	return nil
}
