package consumers

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/alert"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/site"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// WatchConfig is what [NewWatch] needs. All fields but Zones, and those from CaughtUp on, are required.
type WatchConfig struct {
	JetStream jetstream.JetStream
	Protocols []*protocol.Protocol
	SiteKey   []byte
	Clock     Clock
	Worker    string // names this process in checkpoints
	// Zones are those of sites whose clocks are not the protocol's, by site.
	Zones   map[string]*time.Location
	Logger  zerolog.Logger
	Metrics *Metrics
	// CaughtUp, if not nil, is called each time the worker has reached the end of the facts as it was at its start.
	CaughtUp func()
	// Behind, if not nil, is called each time the worker starts to read: at its start, and whenever it recovers.
	Behind func()
	// Lost, if not nil, is told why nobody is judged while facts are gone, and "" when they are not.
	Lost func(why string)
	// AcceptLoss names a loss of facts that is accepted, so that everybody is judged by those that are left.
	AcceptLoss string
	// WithoutFence leaves out the expected sequence of the checkpoint. It exists so that a test can show that the fence is needed.
	WithoutFence bool
}

// Watch keeps the timelines of all sites, evaluates them, and commits what is new. One worker is active: a second one is fenced by the
// checkpoint, drops its memory and recovers.
type Watch struct {
	cfg   WatchConfig
	asked chan struct{} // to use other protocols

	mu        sync.Mutex
	protocols []*protocol.Protocol
	next      *change // nil: none
}

// change is other protocols, and the fact that must have been read before they judge.
type change struct {
	protocols []*protocol.Protocol
	after     uint64
}

// NewWatch returns a watch.
func NewWatch(cfg WatchConfig) *Watch {
	return &Watch{cfg: cfg, protocols: cfg.Protocols, asked: make(chan struct{}, 1)}
}

// Use lets other protocols judge, once the fact after has been read: every patient is evaluated again, and what comes to something else is told with the reason
// "protocol <old> → <new>". Of several calls the last counts. What a crash leaves undone the next start finds, since each standing names the protocol that judged it.
func (w *Watch) Use(protocols []*protocol.Protocol, after uint64) {
	w.mu.Lock()
	w.next = &change{protocols, after}
	w.mu.Unlock()
	select {
	case w.asked <- struct{}{}:
	default: // it has not looked since the last
	}
}

// current are the protocols that judge when so much has been read, and whether they are others than before.
func (w *Watch) current(read uint64) (ps []*protocol.Protocol, changed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.next != nil && read >= w.next.after {
		w.protocols, w.next, changed = w.next.protocols, nil, true
	}
	return w.protocols, changed
}

// Run works until ctx ends, and then returns nil.
func (w *Watch) Run(ctx context.Context) error {
	return forever(ctx, w.cfg.Logger, func(ctx context.Context) error {
		if w.cfg.Behind != nil {
			w.cfg.Behind()
		}
		s := &session{cfg: &w.cfg, watch: w, sites: map[string]*watched{}}
		s.load = func(name, identity string) ([]*timeline.Fact, error) { return s.facts(ctx, name, identity) }
		return s.run(ctx)
	})
}

// session is one life of a worker: everything in memory, from recovery to the first error.
type session struct {
	cfg       *WatchConfig
	watch     *Watch
	sites     map[string]*watched
	protocols []*protocol.Protocol
	hash      string // of the protocols
	caughtUp  bool
	now       time.Time // the last evaluating now: it never runs backwards
	received  time.Time // the latest receipt read: now, while catching up
	read      uint64    // sequence of the last fact read
	timers    timers
	dirty     map[*site.Patient]work
	backlog   uint64 // facts of before the start that are still to be read
	idle      int    // facts read since the last commit
	silence   silence
	seen      wire.Seen
	losses    []site.Loss
	looked    time.Time // when it was last looked whether all facts are there
	load      func(site, identity string) ([]*timeline.Fact, error)
}

// watched is a site and the fence of its checkpoint.
type watched struct {
	*site.Site
	facts   uint64 // what the checkpoint says
	fence   uint64 // sequence of the checkpoint in OUT, 0 if there is none
	pending uint64 // the last fact read of the site

	silences []site.Silence // as last told
	gaps     []site.Gap     // as last told
	heard    bool           // something came, or time has come, since they were looked at
	next     time.Time      // at which time alone makes one more
}

// work is why a patient is evaluated.
type work struct {
	site   *watched
	reason string
}

const (
	gatherFacts = 5000                  // facts a commit takes at most: who is behind evaluates a patient once for many of them
	gatherWait  = 2 * time.Millisecond  // for another fact, once there is one: what comes together is told together,
	gatherMost  = 50 * time.Millisecond // but nobody waits longer for it
	idleFacts   = 5000                  // facts without anything to tell after which the checkpoint moves on all the same,
	idleWait    = time.Second           // or when so long no other came
)

func (s *session) run(ctx context.Context) error {
	s.judgeBy(s.watch.current(0))
	s.dirty = map[*site.Patient]work{}
	if err := s.recover(ctx); err != nil {
		return err
	}
	if err := s.guard(ctx); err != nil {
		return err
	}
	s.looked = time.Now()
	// Sequences of an empty stream start at 1, so a reader of all facts needs no start.
	facts, pending, err := read(ctx, s.cfg.JetStream, wire.StreamFacts, jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy})
	if err != nil {
		return err
	}
	defer facts.stop()
	s.cfg.Logger.Info().Uint64("facts", pending).Int("sites", len(s.sites)).Msg("watch reads the facts")
	if s.backlog = pending; pending == 0 {
		s.reachEnd()
	}
	for {
		if err := s.gather(ctx, facts); err != nil {
			return err
		}
		s.judgeBy(s.watch.current(s.read))
		if err := s.evaluateAndCommit(ctx); err != nil {
			return err
		}
	}
}

// judgeBy lets protocols judge from here on. Once all facts of before were read every patient is evaluated again; until then nobody is anyway.
func (s *session) judgeBy(protocols []*protocol.Protocol, changed bool) {
	if s.protocols != nil && !changed {
		return
	}
	hashes := make([]string, len(protocols))
	for i, p := range protocols {
		hashes[i] = p.Hash[:16]
	}
	slices.Sort(hashes)
	s.protocols, s.hash = protocols, strings.Join(hashes, "+")
	if s.caughtUp {
		s.cfg.Logger.Info().Str("protocols", s.hash).Msg("every patient is evaluated by other protocols")
		s.evaluateAll()
	}
}

// gather waits for facts or a timer, and takes in what is there. It returns with the patients that must be evaluated in s.dirty.
func (s *session) gather(ctx context.Context, facts *reader) error {
	var timer <-chan time.Time
	due, ok := s.nextDue()
	if ok && s.caughtUp {
		timer = time.After(max(s.cfg.Clock.Until(due), time.Until(s.silence.askAgain)))
	}
	var idle <-chan time.Time
	if s.idle > 0 {
		idle = time.After(idleWait)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-facts.err:
		return err
	case <-s.watch.asked:
	case <-timer:
		if err := s.listen(ctx, due); err != nil {
			return err
		}
	case <-time.After(time.Until(s.looked.Add(lookAfter))):
		if err := s.whole(ctx); err != nil {
			return err
		}
	case <-idle:
		s.idle = idleFacts
	case m := <-facts.msgs:
		begun := time.Now()
		more, err := s.take(ctx, m)
		for n, quiet := 1, false; err == nil && !quiet && n < gatherFacts && (more || time.Since(begun) < gatherMost); n++ {
			var silence <-chan time.Time
			if !more {
				silence = time.After(gatherWait)
			}
			select {
			case m := <-facts.msgs:
				more, err = s.take(ctx, m)
			case <-silence:
				quiet = true
			case err = <-facts.err:
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		if err != nil {
			return err
		}
	}
	s.tick()
	if !s.caughtUp {
		return nil
	}
	for _, st := range s.sites {
		st.heard = st.heard || !st.next.IsZero() && !st.next.After(s.now)
	}
	for _, p := range s.timers.due(s.now) {
		if _, ok := s.dirty[p.patient]; !ok {
			s.dirty[p.patient] = work{p.site, site.Timer}
		}
	}
	return nil
}

// tick moves now: to the latest receipt that was read, and to the last silence once all facts of before it were. So now never passes
// something that has been sent and not yet read.
func (s *session) tick() {
	now := s.received
	if s.caughtUp && s.read >= s.silence.through && s.silence.at.After(now) {
		now = s.silence.at
	}
	if now.After(s.now) {
		s.now = now
	}
}

// take reads one fact into its site, notices the last of those from before the start, and reports whether there were more when it was sent.
func (s *session) take(ctx context.Context, m jetstream.Msg) (more bool, err error) {
	meta, err := m.Metadata()
	if err != nil {
		return false, err
	}
	if meta.Sequence.Stream != s.read+1 {
		if err := s.whole(ctx); err != nil {
			return false, err
		}
	}
	if err := s.apply(m, meta); err != nil {
		return false, err
	}
	if s.idle++; s.backlog > 0 {
		if s.backlog--; s.backlog == 0 {
			s.reachEnd()
		}
	}
	return meta.NumPending > 0, nil
}

func (s *session) apply(m jetstream.Msg, meta *jetstream.MsgMetadata) error {
	st := s.site(wire.Site(m.Subject()))
	s.read = meta.Sequence.Stream
	st.pending, st.heard = s.read, true
	if s.read > s.seen.Facts {
		s.seen.Facts, s.seen.At = s.read, meta.Timestamp.UTC()
	}
	if wire.IsFeed(m.Subject()) {
		return s.count(st, m)
	}
	f := new(timeline.Fact)
	if err := json.Unmarshal(m.Data(), f); err != nil || f.Ref.Type() == "" {
		// Only intake writes here, so this is a foreign writer or a newer one. It stays in the stream for a build that can read it; to stop would
		// leave every other patient unwatched.
		s.cfg.Metrics.unreadable.Inc()
		s.cfg.Logger.Error().Uint64("facts_seq", s.read).Msg("fact cannot be read: skipped")
		return nil
	}
	if f.ReceivedAt.After(s.received) {
		s.received = f.ReceivedAt
	}
	for _, p := range st.Apply(f) {
		if s.read > st.facts {
			s.dirty[p] = work{st, f.Reason()}
		}
	}
	return st.Err()
}

// count takes in the numbers of messages that came. They are no word of anybody: a feed whose messages nobody can read is silent.
func (s *session) count(st *watched, m jetstream.Msg) error {
	var marks wire.Marks
	if err := json.Unmarshal(m.Data(), &marks); err != nil || marks.Source == "" {
		s.cfg.Metrics.unreadable.Inc()
		s.cfg.Logger.Error().Uint64("facts_seq", s.read).Msg("marks of a feed cannot be read: skipped")
		return nil
	}
	for _, n := range marks.Numbers {
		st.Count(marks.Source, n)
		if n.At.After(s.received) {
			s.received = n.At
		}
	}
	return nil
}

// facts reads again what was read of an identity: the facts of people who are in no trial are not held, nor are Medications that nobody refers to.
func (s *session) facts(ctx context.Context, siteName, identity string) (fs []*timeline.Fact, err error) {
	subject := wire.Facts(siteName, wire.PatientKey(s.cfg.SiteKey, siteName, identity))
	err = ReadAll(ctx, s.cfg.JetStream, wire.StreamFacts, subject, func(m jetstream.Msg) error {
		meta, err := m.Metadata()
		if err != nil || meta.Sequence.Stream > s.read {
			return err // what comes later is read in its turn
		}
		f := new(timeline.Fact)
		if json.Unmarshal(m.Data(), f) == nil && f.Ref.Type() != "" { // else it was skipped before
			fs = append(fs, f)
		}
		return nil
	})
	if err == nil {
		err = s.whole(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("facts that are needed now: %w", err)
	}
	return fs, nil
}

// reachEnd is called once, at the end of the facts as it was at the start: from here on time counts, and timers fire.
func (s *session) reachEnd() {
	s.caughtUp = true
	s.evaluateAll()
	s.cfg.Logger.Info().Uint64("facts_seq", s.read).Msg("watch has caught up")
	if s.cfg.CaughtUp != nil {
		s.cfg.CaughtUp()
	}
}

// evaluateAll evaluates everybody though no fact is new: time passed, or the protocols are others.
func (s *session) evaluateAll() {
	for _, st := range s.sites {
		st.heard = true
		for _, p := range st.Patients() {
			if _, ok := s.dirty[p]; !ok {
				s.dirty[p] = work{st, site.Timer}
			}
		}
	}
}

func (s *session) site(name string) *watched {
	st := s.sites[name]
	if st == nil {
		st = &watched{Site: site.New(name)}
		st.Zone = s.cfg.Zones[name]
		st.Park(func(identity string) ([]*timeline.Fact, error) { return s.load(name, identity) })
		s.sites[name] = st
	}
	return st
}

// recover reads what was told and the fences. One consumer delivers both in the order in which they were committed, so a checkpoint never comes
// before the standings that it belongs to; a standing newer than the checkpoint is caught by the fence.
func (s *session) recover(ctx context.Context) error {
	return readLast(ctx, s.cfg.JetStream, wire.StreamOut, []string{"standings.>", wire.CheckpointFilter}, func(m jetstream.Msg) error {
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		name := wire.Site(m.Subject())
		if name == wire.NoSite {
			return nil // the aggregate's
		}
		if strings.HasPrefix(m.Subject(), "checkpoints.") {
			var c wire.Checkpoint
			if err := json.Unmarshal(m.Data(), &c); err != nil {
				return fmt.Errorf("checkpoint of OUT sequence %d cannot be read: %w", meta.Sequence.Stream, err)
			}
			st := s.site(name)
			st.facts, st.fence, st.silences, st.gaps = c.Facts, meta.Sequence.Stream, c.Silences, c.Gaps
			s.seen, s.losses = c.Seen, c.Losses
			if c.Now.After(s.now) {
				s.now = c.Now
			}
			return nil
		}
		var standing wire.PatientStanding
		if err := json.Unmarshal(m.Data(), &standing); err != nil {
			return fmt.Errorf("standing of OUT sequence %d cannot be read: %w", meta.Sequence.Stream, err)
		}
		s.site(name).Restore(standing.Identity, standing.Studies)
		return nil
	})
}

// evaluateAndCommit answers for every dirty patient and commits what is new, in as few batches as the limits allow. The checkpoint passes the facts
// read only in the last of them, when nothing of them is left to tell.
func (s *session) evaluateAndCommit(ctx context.Context) error {
	patients := make([]*site.Patient, 0, len(s.dirty))
	for p := range s.dirty {
		patients = append(patients, p)
	}
	slices.SortFunc(patients, func(a, b *site.Patient) int {
		if c := strings.Compare(s.dirty[a].site.Name, s.dirty[b].site.Name); c != 0 {
			return c
		}
		return strings.Compare(a.Identity, b.Identity)
	})
	b := &batch{session: s}
	for _, p := range patients {
		if err := s.tell(ctx, b, p, s.dirty[p]); err != nil {
			return err
		}
	}
	clear(s.dirty)
	s.lookAtFeeds(b)
	if len(b.msgs) == 0 && len(b.touched) == 0 && s.idle < idleFacts {
		return nil
	}
	for _, st := range s.sites {
		if st.pending > st.facts {
			b.touch(st)
		}
	}
	return b.commit(ctx, true)
}

// lookAtFeeds looks for sites that have fallen silent. Only now is it known of every patient whether he is in hospital on a running course.
func (s *session) lookAtFeeds(b *batch) {
	if !s.caughtUp {
		return
	}
	for _, st := range s.sites {
		if !st.heard {
			continue
		}
		st.heard = false
		var silences []site.Silence
		silences, st.next = st.AllSilences(s.protocols, s.now)
		gaps, at := st.Gaps(s.now)
		if !at.IsZero() && (st.next.IsZero() || at.Before(st.next)) {
			st.next = at
		}
		if !site.SameSilences(silences, st.silences) || !site.SameGaps(gaps, st.gaps) {
			st.silences, st.gaps = silences, gaps
			b.touch(st)
		}
	}
}

// tell evaluates one patient and adds its events and standing to the batch, committing whenever the batch is full.
func (s *session) tell(ctx context.Context, b *batch, p *site.Patient, w work) error {
	s.cfg.Metrics.evaluations.Inc()
	evaluations := s.evaluate(p, alert.Cause{Now: s.now, Reason: w.reason, Input: s.read})
	s.timers.set(p, w.site)
	changed := false
	for i := range evaluations {
		e := &evaluations[i]
		changed = changed || e.Changed
		for n := 0; n < len(e.Events); {
			m, err := alertMessage(e.Events[n])
			if err != nil {
				return err
			}
			if !b.fits(m.Size()) {
				// What was told so far stands; the rest follows in the next batch, and a crash in between finds it again.
				e.Commit(n)
				e.Events, n = e.Events[n:], 0
				if err := b.standing(p, w.site); err != nil {
					return err
				}
				if err := b.commit(ctx, false); err != nil {
					return err
				}
			}
			b.add(m, w.site)
			s.cfg.Metrics.transitions.WithLabelValues(e.Events[n].Rule, string(e.Events[n].Transition)).Inc()
			n++
		}
		e.Commit(len(e.Events))
	}
	if !changed {
		return nil
	}
	return b.standing(p, w.site)
}

// evaluate answers for a patient. A panic in the core stops nobody else: it becomes a finding of its own, the checkpoint moves on, and the
// next build of the program evaluates again.
func (s *session) evaluate(p *site.Patient, cause alert.Cause) (es []site.Evaluation) {
	defer func() {
		if v := recover(); v != nil {
			s.cfg.Metrics.panics.Inc()
			// The panic's value may quote data: only where it happened is logged.
			s.cfg.Logger.Error().Str("stack", string(debug.Stack())).Msg("evaluation failed")
			es = failed(p, s.protocols, cause)
		}
	}()
	return p.Evaluate(s.protocols, cause)
}

// failed opens data.evaluation-failed beside what stands; the next evaluation that succeeds retracts it.
func failed(p *site.Patient, protocols []*protocol.Protocol, cause alert.Cause) []site.Evaluation {
	var es []site.Evaluation
	for _, proto := range protocols {
		f, ok := rules.EvaluationFailed(p.Timeline, proto, cause.Now)
		if !ok {
			continue
		}
		st := p.Standing(proto.Study)
		told := slices.ContainsFunc(st.Told, func(t alert.Told) bool { return t.Finding.Rule == f.Rule && t.Transition != alert.Retracted })
		if told {
			continue
		}
		es = append(es, site.Evaluation{
			Standing: st, Changed: true, Protocol: st.Protocol, Answer: rules.Answer{Summary: st.Summary, Member: st.Member},
			Events: alert.Diff(nil, []rules.Finding{f}, cause),
		})
	}
	return es
}
