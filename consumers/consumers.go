// Package consumers is the shell around the pure core: stages that read from JetStream and write to it.
//
//   - [Intake] turns FHIR resources into facts, or into dead letters with the reason.
//   - [Watch] keeps the timelines, evaluates, and commits alerts, standings and its position in the input in one atomic batch.
//   - [Aggregate] turns standings into panels by arm, and [Pool] those into what is shown to who may not see the arms.
//
// Each stage has New(config) and Run(ctx). No payload and no patient's name reaches a log line: keys are hashed, reasons are short codes.
package consumers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/trialwatch/trialwatch/consumers/wire"
)

// Limits of one atomic batch. The server refuses more than 1,000 messages.
const (
	batchMessages = 900
	batchBytes    = 4 << 20
)

// publishBatch publishes messages to one stream in one atomic batch and returns the sequence of the last.
func publishBatch(ctx context.Context, js jetstream.JetStream, msgs []*nats.Msg) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for _, m := range msgs {
		if m.Header == nil {
			m.Header = nats.Header{} // the batch's own headers go there
		}
	}
	// One round trip a batch: the answer to the last message speaks for all.
	ack, err := jetstreamext.PublishMsgBatch(ctx, js, msgs, jetstreamext.BatchFlowControl{AckFirst: false})
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// PublishAll publishes any number of messages to one stream, in as few atomic batches as the limits allow: one synced write for hundreds of
// messages. After an error some batches may be stored and the others are not.
func PublishAll(ctx context.Context, js jetstream.JetStream, msgs []*nats.Msg) error {
	for len(msgs) > 0 {
		n, size := 0, 0
		for n < len(msgs) && n < batchMessages && (n == 0 || size+msgs[n].Size() <= batchBytes) {
			size += msgs[n].Size()
			n++
		}
		if _, err := publishBatch(ctx, js, msgs[:n]); err != nil {
			return err
		}
		msgs = msgs[n:]
	}
	return nil
}

// forever runs a stage until ctx ends, starting it anew after an error: a stage drops its memory and recovers, it never retries blind.
func forever(ctx context.Context, log zerolog.Logger, stage func(context.Context) error) error {
	wait := 100 * time.Millisecond
	for {
		started := time.Now()
		err := stage(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(started) > 30*time.Second {
			wait = 100 * time.Millisecond
		}
		log.Warn().Err(err).Dur("again_in", wait).Msg("stage starts anew")
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = min(2*wait, 5*time.Second)
	}
}

// errGap says that the broker skipped a message: whatever was read since the checkpoint is read again.
var errGap = errors.New("the broker skipped a message")

// reader delivers every message of a stream from a sequence on, in order, over a channel.
type reader struct {
	msgs   chan jetstream.Msg
	err    chan error // receives one error when the reader has failed
	cancel context.CancelFunc
	done   chan struct{}
}

// read starts a reader with an ephemeral consumer. pending is how many messages there were at the start.
func read(ctx context.Context, js jetstream.JetStream, stream string, cfg jetstream.ConsumerConfig) (r *reader, pending uint64, err error) {
	cfg.AckPolicy = jetstream.AckNonePolicy
	cfg.InactiveThreshold = time.Minute
	cfg.MemoryStorage = true
	cfg.Replicas = 1
	if len(cfg.FilterSubjects) == 1 {
		// A single filter becomes part of the subject of the request, where a broker can allow it to a role that may not read the rest of the stream.
		cfg.FilterSubject, cfg.FilterSubjects = cfg.FilterSubjects[0], nil
	}
	consumer, err := js.CreateConsumer(ctx, stream, cfg)
	if err != nil {
		return nil, 0, fmt.Errorf("read %s: %w", stream, err)
	}
	pending = consumer.CachedInfo().NumPending
	it, err := consumer.Messages(jetstream.PullMaxMessages(200), jetstream.PullExpiry(10*time.Second), jetstream.PullHeartbeat(5*time.Second))
	if err != nil {
		return nil, 0, fmt.Errorf("read %s: %w", stream, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	r = &reader{msgs: make(chan jetstream.Msg, 16), err: make(chan error, 1), cancel: cancel, done: make(chan struct{})}
	stop := context.AfterFunc(ctx, it.Stop)
	go func() {
		defer close(r.done)
		defer stop()
		defer it.Stop()
		for want := uint64(1); ; want++ {
			msg, err := it.Next()
			if err == nil {
				var meta *jetstream.MsgMetadata
				if meta, err = msg.Metadata(); err == nil && meta.Sequence.Consumer != want {
					err = fmt.Errorf("%w: %s consumer sequence %d, want %d", errGap, stream, meta.Sequence.Consumer, want)
				}
			}
			if err != nil {
				r.err <- fmt.Errorf("read %s: %w", stream, err)
				return
			}
			select {
			case r.msgs <- msg:
			case <-ctx.Done():
				return
			}
		}
	}()
	return r, pending, nil
}

// stop ends the reader and waits for it.
func (r *reader) stop() {
	r.cancel()
	<-r.done
}

// Follow gives fn the last message of every subject that matches and then every new one, until ctx ends; then it returns nil. An error of fn is
// logged and the message skipped: a page must not go dark for one message.
func Follow(ctx context.Context, js jetstream.JetStream, log zerolog.Logger, stream, subject string, fn func([]byte) error) error {
	return follow(ctx, js, log, stream, subject, jetstream.DeliverLastPerSubjectPolicy, fn)
}

// FollowAlerts gives fn every alert message that is told from now on, and before them, if asked to, all that were.
func FollowAlerts(ctx context.Context, js jetstream.JetStream, log zerolog.Logger, all bool, fn func([]byte) error) error {
	policy := jetstream.DeliverNewPolicy
	if all {
		policy = jetstream.DeliverAllPolicy
	}
	return follow(ctx, js, log, wire.StreamOut, "alerts.>", policy, fn)
}

func follow(ctx context.Context, js jetstream.JetStream, log zerolog.Logger, stream, subject string, policy jetstream.DeliverPolicy, fn func([]byte) error) error {
	next := uint64(0) // after an error go on behind the last message
	return forever(ctx, log, func(ctx context.Context) error {
		cfg := jetstream.ConsumerConfig{DeliverPolicy: policy, FilterSubjects: []string{subject}}
		if next > 0 && policy != jetstream.DeliverLastPerSubjectPolicy {
			cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, next
		}
		r, _, err := read(ctx, js, stream, cfg)
		if err != nil {
			return err
		}
		defer r.stop()
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case err := <-r.err:
				return err
			case m := <-r.msgs:
				if err := fn(m.Data()); err != nil {
					log.Error().Err(err).Str("stream", stream).Msg("message skipped")
				}
				if meta, err := m.Metadata(); err == nil {
					next = meta.Sequence.Stream + 1
				}
			}
		}
	})
}

// ReadAll gives fn every message of a stream that matches and was there at the start, in order.
func ReadAll(ctx context.Context, js jetstream.JetStream, stream, subject string, fn func(jetstream.Msg) error) error {
	return readThrough(ctx, js, stream, jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy, FilterSubjects: []string{subject}}, fn)
}

// ReadLast gives fn the last message of every subject that matches, in the order of the stream.
func ReadLast(ctx context.Context, js jetstream.JetStream, stream, subject string, fn func(jetstream.Msg) error) error {
	return readLast(ctx, js, stream, []string{subject}, fn)
}

func readLast(ctx context.Context, js jetstream.JetStream, stream string, subjects []string, fn func(jetstream.Msg) error) error {
	return readThrough(ctx, js, stream, jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, FilterSubjects: subjects}, fn)
}

// readThrough reads until the broker says that nothing more is pending.
func readThrough(ctx context.Context, js jetstream.JetStream, stream string, cfg jetstream.ConsumerConfig, fn func(jetstream.Msg) error) error {
	r, pending, err := read(ctx, js, stream, cfg)
	if err != nil {
		return err
	}
	defer r.stop()
	for pending > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-r.err:
			return err
		case m := <-r.msgs:
			if err := fn(m); err != nil {
				return err
			}
			meta, err := m.Metadata()
			if err != nil {
				return err
			}
			pending = meta.NumPending
		}
	}
	return nil
}
