package consumers

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/fhir"
)

// This file reads again what was read by a decoder that knew fewer codes. Which decoder that was is noted at the consumer of intake, where it outlives every process.

// relevanceKey is where the metadata of the consumer of intake say what was relevant to what it has read: see [fhir.Decoder.Relevance].
const relevanceKey = "trialwatch-relevance"

// consumer is the durable consumer of intake. What it has read by keeps its name; one that is made now has read nothing.
func (in *Intake) consumer(ctx context.Context) (jetstream.Consumer, error) {
	metadata := map[string]string{relevanceKey: in.decoder.Load().Relevance()}
	there, err := in.cfg.JetStream.Consumer(ctx, wire.StreamFHIR, IntakeConsumer)
	switch {
	case err == nil:
		metadata = there.CachedInfo().Config.Metadata
	case !errors.Is(err, jetstream.ErrConsumerNotFound):
		return nil, fmt.Errorf("consumer of %s: %w", wire.StreamFHIR, err)
	}
	return in.setConsumer(ctx, metadata)
}

func (in *Intake) setConsumer(ctx context.Context, metadata map[string]string) (jetstream.Consumer, error) {
	consumer, err := in.cfg.JetStream.CreateOrUpdateConsumer(ctx, wire.StreamFHIR, jetstream.ConsumerConfig{
		Durable: IntakeConsumer, AckPolicy: jetstream.AckExplicitPolicy, AckWait: intakeAckWait, MaxAckPending: 20 * intakeBatch, Metadata: metadata,
	})
	if err != nil {
		return nil, fmt.Errorf("consumer of %s: %w", wire.StreamFHIR, err)
	}
	return consumer, nil
}

// Reread reads all stored resources again if they were read by a decoder to which other things were relevant, and publishes the facts and dead letters that are missing. It returns the
// last fact there is then: who judges by the new codes reads that far first. A crash leaves the name of the old decoder, so the next start reads again; facts
// that are there already are not repeated.
//
// With all set it reads them again whoever has read them, for facts that are gone.
func (in *Intake) Reread(ctx context.Context, all bool) (through uint64, err error) {
	consumer, err := in.consumer(ctx)
	if err != nil {
		return 0, err
	}
	metadata, relevance := consumer.CachedInfo().Config.Metadata, in.decoder.Load().Relevance()
	if all || metadata[relevanceKey] != relevance {
		log := in.cfg.Logger.Info
		log().Msg("resources are read again: facts are gone, or other codes are relevant than when they were read")
		n, err := in.readAgain(ctx)
		if err != nil {
			return 0, fmt.Errorf("read again: %w", err)
		}
		if metadata == nil {
			metadata = map[string]string{}
		}
		metadata[relevanceKey] = relevance
		if _, err := in.setConsumer(ctx, metadata); err != nil {
			return 0, err
		}
		log().Int("facts", n).Msg("resources were read again")
	}
	stream, err := in.cfg.JetStream.Stream(ctx, wire.StreamFacts)
	if err != nil {
		return 0, fmt.Errorf("end of the facts: %w", err)
	}
	return stream.CachedInfo().State.LastSeq, nil
}

// digest is a fact with its subject, or the place of a dead letter in FHIR.
type digest [16]byte

func digestOf(parts ...string) (d digest) {
	h := sha256.New()
	for _, p := range parts {
		_, _ = io.WriteString(h, p)
		_, _ = h.Write([]byte{0})
	}
	copy(d[:], h.Sum(nil))
	return d
}

func digestOfFact(m *nats.Msg) digest { return digestOf(m.Subject, string(m.Data)) }

func digestOfDeadLetter(header nats.Header) digest {
	return digestOf(header.Get(wire.HeaderFHIRSeq), header.Get(wire.HeaderEntry))
}

func (in *Intake) readAgain(ctx context.Context) (published int, err error) {
	known := map[digest]bool{}
	if err := ReadAll(ctx, in.cfg.JetStream, wire.StreamFacts, "facts.>", func(m jetstream.Msg) error {
		known[digestOfFact(&nats.Msg{Subject: m.Subject(), Data: m.Data()})] = true
		return nil
	}); err != nil {
		return 0, err
	}
	if err := ReadAll(ctx, in.cfg.JetStream, wire.StreamDeadLetters, "deadletters.>", func(m jetstream.Msg) error {
		known[digestOfDeadLetter(m.Headers())] = true
		return nil
	}); err != nil {
		return 0, err
	}
	var msgs []jetstream.Msg
	publish := func() error {
		decoded, meta := in.decodeAll(msgs)
		var dead, facts []*nats.Msg
		add := func(to *[]*nats.Msg, m *nats.Msg, d digest) {
			if !known[d] {
				known[d] = true
				*to = append(*to, m)
			}
		}
		for i, outcomes := range decoded {
			site := wire.Site(msgs[i].Subject())
			for j := range outcomes {
				o := &outcomes[j]
				if o.Kind == fhir.DeadLetter {
					m := deadLetter(site, meta[i], o)
					add(&dead, m, digestOfDeadLetter(m.Header))
				}
				if o.Fact != nil {
					m, err := in.fact(site, o.Fact)
					if err != nil {
						return err
					}
					add(&facts, m, digestOfFact(m))
				}
			}
		}
		marks, err := in.marks(msgs, meta)
		if err != nil {
			return err
		}
		facts = append(facts, marks...) // that a number came is true however often it is told
		msgs, published = msgs[:0], published+len(facts)
		if err := PublishAll(ctx, in.cfg.JetStream, dead); err != nil {
			return err
		}
		return PublishAll(ctx, in.cfg.JetStream, facts)
	}
	if err := ReadAll(ctx, in.cfg.JetStream, wire.StreamFHIR, "fhir.>", func(m jetstream.Msg) error {
		if msgs = append(msgs, m); len(msgs) < intakeBatch {
			return nil
		}
		return publish()
	}); err != nil {
		return published, err
	}
	return published, publish()
}
