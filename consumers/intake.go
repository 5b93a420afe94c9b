package consumers

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/fhir"
	"github.com/trialwatch/trialwatch/rules/site"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// IntakeConfig is what [NewIntake] needs. All fields but TrustReceivedAt are required.
type IntakeConfig struct {
	JetStream jetstream.JetStream
	Decoder   *fhir.Decoder
	SiteKey   []byte // of wire.PatientKey
	Logger    zerolog.Logger
	Metrics   *Metrics
	// TrustReceivedAt lets the header Trialwatch-Received-At replace the broker's time: only for demo and replays.
	TrustReceivedAt bool
}

// Intake reads FHIR resources and writes facts and dead letters. It keeps no state: any number of workers may run, and a crash repeats facts and
// dead letters, which does no harm.
type Intake struct {
	cfg     IntakeConfig
	decoder atomic.Pointer[fhir.Decoder]
}

// NewIntake returns an intake.
func NewIntake(cfg IntakeConfig) *Intake {
	in := &Intake{cfg: cfg}
	in.Use(cfg.Decoder)
	return in
}

// Use reads what comes from here on by another decoder. What was read before is read again by [Intake.Reread].
func (in *Intake) Use(d *fhir.Decoder) {
	in.cfg.Metrics.parses.of.Store(d)
	in.decoder.Store(d)
}

// ReasonNoSite is that of a dead letter which was sent under the name that stands for no site.
const ReasonNoSite fhir.Reason = "no-site"

// IntakeConsumer is the durable consumer by which intake reads FHIR: what it has pending is not in FACTS.
const IntakeConsumer = "intake"

const (
	intakeBatch   = 500
	intakeAckWait = time.Minute
	intakeWait    = 20 * time.Second // for the next message, before asking the broker anew
)

// Run reads until ctx ends, and then returns nil.
func (in *Intake) Run(ctx context.Context) error {
	return forever(ctx, in.cfg.Logger, in.run)
}

func (in *Intake) run(ctx context.Context) error {
	consumer, err := in.consumer(ctx)
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		msgs, err := fetch(ctx, consumer)
		if err != nil {
			return err
		}
		if len(msgs) == 0 {
			continue
		}
		if err := in.take(ctx, msgs); err != nil {
			for _, m := range msgs {
				_ = m.NakWithDelay(time.Second) // if this is lost too, AckWait brings the message back
			}
			return err
		}
	}
	return nil
}

// fetch returns what is there at once, or else waits for one message.
func fetch(ctx context.Context, consumer jetstream.Consumer) (msgs []jetstream.Msg, err error) {
	read := func(batch jetstream.MessageBatch, err error) error {
		if err != nil {
			return err
		}
		for m := range batch.Messages() {
			msgs = append(msgs, m)
		}
		if err := batch.Error(); err != nil && !errors.Is(err, nats.ErrTimeout) && !errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return err
		}
		return nil
	}
	if err := read(consumer.FetchNoWait(intakeBatch)); err != nil || len(msgs) > 0 {
		return msgs, err
	}
	wait, cancel := context.WithTimeout(ctx, intakeWait)
	defer cancel()
	if err := read(consumer.Fetch(1, jetstream.FetchContext(wait))); err != nil {
		return msgs, err
	}
	return msgs, nil
}

// take decodes messages and publishes what became of them: dead letters first, then facts, then the acknowledgements. A crash in between repeats
// some of it, and nothing is lost.
func (in *Intake) take(ctx context.Context, msgs []jetstream.Msg) error {
	decoded, meta := in.decodeAll(msgs)
	var dead, facts []*nats.Msg
	for i, outcomes := range decoded {
		site := wire.Site(msgs[i].Subject())
		in.cfg.Metrics.received(site, in.receivedAt(msgs[i], meta[i]))
		for j := range outcomes {
			o := &outcomes[j]
			in.cfg.Metrics.resource(site, o)
			if o.Kind == fhir.DeadLetter {
				dead = append(dead, deadLetter(site, meta[i], o))
				in.cfg.Logger.Info().Str("site", site).Uint64("fhir_seq", meta[i].Sequence.Stream).Str("reason", string(o.Reason)).Msg("dead letter")
			}
			if o.Fact != nil {
				m, err := in.fact(site, o.Fact)
				if err != nil {
					return err
				}
				facts = append(facts, m)
			}
		}
	}
	marks, err := in.marks(msgs, meta)
	if err != nil {
		return err
	}
	facts = append(facts, marks...)
	if err := PublishAll(ctx, in.cfg.JetStream, dead); err != nil {
		return fmt.Errorf("dead letters: %w", err)
	}
	if err := PublishAll(ctx, in.cfg.JetStream, facts); err != nil {
		return fmt.Errorf("facts: %w", err)
	}
	for _, m := range msgs {
		if err := m.Ack(); err != nil {
			return fmt.Errorf("acknowledge: %w", err)
		}
	}
	return nil
}

func (in *Intake) decodeAll(msgs []jetstream.Msg) ([][]fhir.Outcome, []*jetstream.MsgMetadata) {
	decoded := make([][]fhir.Outcome, len(msgs))
	meta := make([]*jetstream.MsgMetadata, len(msgs))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(msgs) {
					return
				}
				decoded[i], meta[i] = in.decode(msgs[i])
			}
		})
	}
	wg.Wait()
	return decoded, meta
}

// marks are the numbers that senders gave to messages, by site and source. They follow the facts, so that what they count has been told.
func (in *Intake) marks(msgs []jetstream.Msg, meta []*jetstream.MsgMetadata) (out []*nats.Msg, err error) {
	type source struct{ site, name string }
	came := map[source][]site.Numbers{}
	for i, m := range msgs {
		from := source{wire.Site(m.Subject()), m.Headers().Get(wire.HeaderSource)}
		if from.name == "" || from.site == wire.NoSite {
			continue
		}
		n, err := strconv.ParseUint(m.Headers().Get(wire.HeaderSequence), 10, 64)
		if err != nil || !sourceName.MatchString(from.name) {
			in.cfg.Logger.Warn().Str("site", from.site).Uint64("fhir_seq", meta[i].Sequence.Stream).Msg("the source or the number of a message cannot be used: it is not counted")
			continue
		}
		at := in.receivedAt(m, meta[i])
		if all := came[from]; len(all) > 0 && all[len(all)-1].Last+1 == n {
			all[len(all)-1].Last = n
			continue
		}
		came[from] = append(came[from], site.Numbers{First: n, Last: n, At: at})
	}
	for from, numbers := range came {
		data, err := json.Marshal(wire.Marks{Source: from.name, Numbers: numbers})
		if err != nil {
			return nil, fmt.Errorf("encode marks: %w", err)
		}
		out = append(out, &nats.Msg{Subject: wire.Feed(from.site), Data: data})
	}
	return out, nil
}

// sourceName is what a source may be called: it is shown to people and part of findings.
var sourceName = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`)

func (in *Intake) decode(m jetstream.Msg) ([]fhir.Outcome, *jetstream.MsgMetadata) {
	meta, err := m.Metadata()
	if err != nil { // not a JetStream message: cannot happen on a consumer
		meta = &jetstream.MsgMetadata{}
	}
	site, received := wire.Site(m.Subject()), in.receivedAt(m, meta)
	if site == wire.NoSite { // its checkpoint would be that of the trial
		return []fhir.Outcome{{Kind: fhir.DeadLetter, Reason: ReasonNoSite, Detail: "no site is named " + wire.NoSite, Entry: -1, Raw: m.Data(), ReceivedAt: received}}, meta
	}
	return in.decoder.Load().Decode(fhir.Message{Data: m.Data(), Site: site, ReceivedAt: received}), meta
}

// receivedAt is the broker's time of a message, or what a trusted publisher says.
func (in *Intake) receivedAt(m jetstream.Msg, meta *jetstream.MsgMetadata) time.Time {
	if h := m.Headers().Get(wire.HeaderReceivedAt); h != "" && in.cfg.TrustReceivedAt {
		if t, err := time.Parse(time.RFC3339Nano, h); err == nil {
			return t
		}
	}
	return meta.Timestamp
}

func (in *Intake) fact(site string, f *timeline.Fact) (*nats.Msg, error) {
	data, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encode a fact: %w", err)
	}
	return &nats.Msg{Subject: wire.Facts(site, wire.PatientKey(in.cfg.SiteKey, site, f.Owner())), Data: data}, nil
}

// deadLetter holds its own copy of the bytes; the headers say why, and nothing from the resource but its type.
func deadLetter(site string, meta *jetstream.MsgMetadata, o *fhir.Outcome) *nats.Msg {
	m := &nats.Msg{Subject: wire.DeadLetters(site, string(o.Reason)), Data: o.Raw, Header: nats.Header{}}
	m.Header.Set(wire.HeaderReason, string(o.Reason))
	m.Header.Set(wire.HeaderDetail, o.Detail)
	m.Header.Set(wire.HeaderFHIRSeq, strconv.FormatUint(meta.Sequence.Stream, 10))
	m.Header.Set(wire.HeaderEntry, strconv.Itoa(o.Entry))
	m.Header.Set(wire.HeaderReceivedOf, meta.Timestamp.UTC().Format(time.RFC3339Nano))
	if o.Ref.Type() != "" {
		m.Header.Set(wire.HeaderResource, o.Ref.Type())
	}
	return m
}

// Metrics are the counters of all stages. Labels never hold anything about a patient.
type Metrics struct {
	resources   *prometheus.CounterVec
	transitions *prometheus.CounterVec
	commits     prometheus.Counter
	fenced      prometheus.Counter
	panics      prometheus.Counter
	evaluations prometheus.Counter
	unreadable  prometheus.Counter
	lost        prometheus.Gauge
	parses      *parses
	reloads     *prometheus.CounterVec
	refused     prometheus.Gauge
	notRelevant sync.Map // site → *atomic.Uint64
	lastEvent   sync.Map // site → time.Time, the latest receipt
}

// NewMetrics registers the counters.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		resources:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "trialwatch_resources_total", Help: "FHIR resources read, by site and what became of them."}, []string{"site", "outcome", "reason"}),
		transitions: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "trialwatch_alert_transitions_total", Help: "Alert transitions committed."}, []string{"rule", "transition"}),
		commits:     prometheus.NewCounter(prometheus.CounterOpts{Name: "trialwatch_commits_total", Help: "Atomic batches committed by the watch."}),
		fenced:      prometheus.NewCounter(prometheus.CounterOpts{Name: "trialwatch_commits_refused_total", Help: "Commits refused, by the fence on the checkpoint or otherwise; the worker recovered."}),
		panics:      prometheus.NewCounter(prometheus.CounterOpts{Name: "trialwatch_evaluations_failed_total", Help: "Evaluations that panicked."}),
		evaluations: prometheus.NewCounter(prometheus.CounterOpts{Name: "trialwatch_evaluations_total", Help: "Evaluations of one patient."}),
		unreadable:  prometheus.NewCounter(prometheus.CounterOpts{Name: "trialwatch_facts_unreadable_total", Help: "Messages in FACTS that this build cannot read; they were skipped."}),
		lost:        prometheus.NewGauge(prometheus.GaugeOpts{Name: "trialwatch_facts_lost", Help: "Stored facts that are gone, at least; while it is not 0 nobody is judged."}),
		parses:      newParses(),
		reloads:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "trialwatch_protocol_reloads_total", Help: "Changed protocol and site files, by what became of them."}, []string{"result"}),
		refused:     prometheus.NewGauge(prometheus.GaugeOpts{Name: "trialwatch_protocol_refused", Help: "1 while the protocol and site files are not those that run: they were refused."}),
	}
	r.MustRegister(m.resources, m.transitions, m.commits, m.fenced, m.panics, m.evaluations, m.unreadable, m.lost, m.parses, m.reloads, m.refused)
	return m
}

// Reload notes what became of changed files, and whether they are those that run.
func (m *Metrics) Reload(result string, refused bool) {
	m.reloads.WithLabelValues(result).Inc()
	m.refused.Set(map[bool]float64{true: 1}[refused])
}

func (m *Metrics) resource(site string, o *fhir.Outcome) {
	m.resources.WithLabelValues(site, o.Kind.String(), string(o.Reason)).Inc()
	if o.Kind == fhir.NotRelevant {
		n, _ := m.notRelevant.LoadOrStore(site, new(atomic.Uint64))
		n.(*atomic.Uint64).Add(1)
	}
}

// received notes a receipt; intake runs one batch at a time, so nothing is lost between the two steps that matters.
func (m *Metrics) received(site string, at time.Time) {
	if last, ok := m.LastEvent(site); !ok || at.After(last) {
		m.lastEvent.Store(site, at)
	}
}

// LastEvent is the latest receipt of a site that this process has seen.
func (m *Metrics) LastEvent(site string) (t time.Time, ok bool) {
	v, ok := m.lastEvent.Load(site)
	if !ok {
		return t, false
	}
	return v.(time.Time), true
}

// NotRelevant is how many resources of a site this process has seen that no rule reads; ok is false if it has seen none.
func (m *Metrics) NotRelevant(site string) (n uint64, ok bool) {
	v, ok := m.notRelevant.Load(site)
	if !ok {
		return 0, false
	}
	return v.(*atomic.Uint64).Load(), true
}
