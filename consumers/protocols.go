package consumers

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// KeepProtocol stores the file by which a study is judged, in the place of the one before.
func KeepProtocol(ctx context.Context, js jetstream.JetStream, p *protocol.Protocol) error {
	if _, err := js.PublishMsg(ctx, rollup(wire.ProtocolFile(p.Study), p.File)); err != nil {
		return fmt.Errorf("the protocol of %s cannot be stored: %w", p.Study, err)
	}
	return nil
}

// KeptProtocol is the file by which a study was judged last, nil if none is stored.
func KeptProtocol(ctx context.Context, js jetstream.JetStream, study string) ([]byte, error) {
	s, err := js.Stream(ctx, wire.StreamOut)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", wire.StreamOut, err)
	}
	m, err := s.GetLastMsgForSubject(ctx, wire.ProtocolFile(study))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the stored protocol of %s: %w", study, err)
	}
	return m.Data, nil
}
