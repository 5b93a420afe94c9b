package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/trialwatch/trialwatch/rules/alert"
	"github.com/trialwatch/trialwatch/rules/site"
)

// CloudEvent is an alert on NATS: CloudEvents 1.0, structured JSON.
type CloudEvent struct {
	SpecVersion     string      `json:"specversion"` // "1.0"
	ID              string      `json:"id"`          // <alert>@<version>: the idempotency key
	Source          string      `json:"source"`      // /studies/<study>/sites/<site>
	Type            string      `json:"type"`        // trialwatch.alert.<transition>.v1
	Subject         string      `json:"subject"`     // <alert>
	Time            time.Time   `json:"time"`
	DataContentType string      `json:"datacontenttype"`
	Data            alert.Event `json:"data"`
}

// NewCloudEvent wraps an alert event.
func NewCloudEvent(e alert.Event) CloudEvent {
	return CloudEvent{
		SpecVersion: "1.0", ID: fmt.Sprintf("%s@%d", e.Alert, e.Version), Source: "/studies/" + e.Study + "/sites/" + e.Site,
		Type: "trialwatch.alert." + string(e.Transition) + ".v1", Subject: e.Alert, Time: e.At, DataContentType: "application/json", Data: e,
	}
}

// PatientStanding is what stands of a patient in all studies: the body of standings.<site>.<patient-key>.
type PatientStanding struct {
	Identity string           `json:"identity"` // in the payload only
	Studies  []*site.Standing `json:"studies"`
}

// Checkpoint is how far a site's facts were read and told: the body of checkpoints.<site>.
type Checkpoint struct {
	Facts    uint64    `json:"facts"`    // sequence in FACTS
	Now      time.Time `json:"now"`      // the evaluating now of the commit; it never runs backwards
	Protocol string    `json:"protocol"` // hashes of the loaded protocols
	Worker   string    `json:"worker"`   // who wrote it
	// Silences are those of the site that the trial must know of.
	Silences []site.Silence `json:"silences,omitempty"`
	Gaps     []site.Gap     `json:"gaps,omitempty"`
	// Seen and Losses are of all sites; those of the latest checkpoint hold.
	Seen   Seen        `json:"seen,omitzero"`
	Losses []site.Loss `json:"losses,omitempty"`
}

// Seen is by what the watch knows FACTS again.
type Seen struct {
	Facts uint64    `json:"facts"`       // sequence of the last fact that was read, of any site
	At    time.Time `json:"at,omitzero"` // when the broker stored it
	Holes uint64    `json:"holes"`       // facts that are gone, and whose loss was accepted
}

// Marks are the numbers of messages of one source that intake has read: the body of facts.<site>.feed.
type Marks struct {
	Source  string         `json:"source"`
	Numbers []site.Numbers `json:"numbers"`
}

// TrialCheckpoint is what was told of no single patient: the body of checkpoints.-, written in the batch that tells it.
type TrialCheckpoint struct {
	Through uint64          `json:"through"` // last OUT sequence that was judged
	Now     time.Time       `json:"now"`     // the evaluating now; it never runs backwards
	Studies []TrialStanding `json:"studies"`
}

// TrialStanding is what was told of a study.
type TrialStanding struct {
	Study string       `json:"study"`
	Told  []alert.Told `json:"told"` // sorted by alert
}

// Encode writes JSON without HTML escapes, so that a person reads "<0.1" and not "\u003c0.1".
func Encode(v any) ([]byte, error) {
	b := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(b)
	b.Reset()
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.Clone(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

// buffers are room in which messages are written, so that each is allocated once and in its size.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}
