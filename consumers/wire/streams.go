package wire

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Sizes are the byte limits of the streams. A full stream refuses publishers with an error, which is better than a full disk: the broker turns
// itself off on that.
type Sizes struct {
	FHIR, Facts, DeadLetters, Out, Aggregates, Pooled, Pooling int64
}

// DefaultSizes sum to less than 16 GiB. Panels replace one another, and a stream of less than 32 MiB costs the broker half the buffer.
func DefaultSizes() Sizes {
	const gib = 1 << 30
	return Sizes{FHIR: 6 * gib, Facts: 4 * gib, DeadLetters: gib, Out: 4 * gib, Aggregates: 24 << 20, Pooled: 24 << 20, Pooling: 8 << 20}
}

// MaxMessage is the largest NATS message that we publish. It is the default limit of a nats-server.
const MaxMessage = 1 << 20

// MaxFHIR is the largest FHIR message that we accept. Its dead letter is a copy with headers, and must fit MaxMessage: one that does not would stop
// the intake for good.
const MaxFHIR = MaxMessage - 16<<10

// Streams returns the configuration of every stream. Nothing expires but what an operator says; messages are deleted by nobody, and streams with
// roll-ups are the only ones that can be purged, since the server asks for it.
func Streams(sizes Sizes, replicas int) []jetstream.StreamConfig {
	base := func(name, subject string, bytes int64) jetstream.StreamConfig {
		return jetstream.StreamConfig{
			Name: name, Subjects: []string{subject}, Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy,
			Discard: jetstream.DiscardNew, MaxBytes: bytes, MaxMsgSize: MaxMessage, Replicas: replicas, DenyDelete: true,
		}
	}
	fhir := base(StreamFHIR, "fhir.>", sizes.FHIR)
	fhir.DenyPurge, fhir.AllowAtomicPublish, fhir.MaxMsgSize = true, true, MaxFHIR
	facts := base(StreamFacts, "facts.>", sizes.Facts)
	facts.DenyPurge, facts.AllowAtomicPublish = true, true
	dead := base(StreamDeadLetters, "deadletters.>", sizes.DeadLetters)
	dead.DenyPurge, dead.AllowAtomicPublish = true, true
	out := base(StreamOut, "", sizes.Out)
	out.Subjects = []string{"alerts.>", "standings.>", "checkpoints.>"}
	out.AllowAtomicPublish, out.AllowRollup = true, true
	aggregates := base(StreamAggregates, "aggregates.>", sizes.Aggregates)
	aggregates.AllowRollup, aggregates.AllowAtomicPublish = true, true
	pooled := base(StreamPooled, "pooled.>", sizes.Pooled)
	pooled.AllowRollup, pooled.AllowAtomicPublish = true, true
	pooling := base(StreamPooling, "pooling.>", sizes.Pooling)
	pooling.AllowRollup, pooling.AllowAtomicPublish = true, true
	return []jetstream.StreamConfig{fhir, facts, dead, out, aggregates, pooled, pooling}
}

// EnsureStreams creates the streams that are missing and leaves those that are there as they are: limits are the operator's to change.
func EnsureStreams(ctx context.Context, js jetstream.JetStream, sizes Sizes, replicas int) error {
	for _, cfg := range Streams(sizes, replicas) {
		if _, err := js.Stream(ctx, cfg.Name); err == nil {
			continue
		}
		if _, err := js.CreateStream(ctx, cfg); err != nil {
			return fmt.Errorf("stream %s: %w", cfg.Name, err)
		}
	}
	return nil
}
