package consumers

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// Nothing is told of the trial before all that was there at the start has been read, nor between the standings of a commit and its checkpoint; and no panel
// is shown of half a cohort.
func TestPlace(t *testing.T) {
	p := place{pending: 2003, left: 2003}
	if p.judgeable() || p.showable() {
		t.Error("at the start nothing has been read")
	}
	for i, step := range []struct {
		subject             string
		pending             uint64
		judgeable, showable bool
	}{
		{"standings.a.1", 1001, false, false},
		{"standings.a.2", 1000, false, true},
		{"checkpoints.a", 999, false, true}, // there is more of what was there
		{"standings.b.1", 0, false, true},   // the last of it, of a commit that is half read
		{"checkpoints.b", 0, true, true},
		{"standings.a.1", 1, false, true}, // new
		{"checkpoints.a", 0, true, true},
		{"checkpoints.-", 0, true, true}, // the trial's own
	} {
		if i == 3 {
			p.left = 2 // the others have been passed
		}
		p.move(step.subject, &jetstream.MsgMetadata{NumPending: step.pending, Sequence: jetstream.SequencePair{Stream: uint64(i)}})
		if p.judgeable() != step.judgeable || p.showable() != step.showable || p.through != uint64(i) {
			t.Errorf("after %d, %s: judgeable %v, showable %v, through %d", i, step.subject, p.judgeable(), p.showable(), p.through)
		}
	}
}
