// Package app is where the parts meet: it starts the broker, the stages and the web server, and stops them in reverse order. The command line, the demo
// and the tests all run this one App.
package app

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/trialwatch/trialwatch/consumers"
	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/fhir/sitefile"
	"github.com/trialwatch/trialwatch/internal/web"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// Stages of a process.
const (
	StageIntake    = "intake"
	StageWatch     = "watch"
	StageAggregate = "aggregate"
	StageWeb       = "web"
)

// AllStages are the stages that a process runs by default.
var AllStages = []string{StageIntake, StageWatch, StageAggregate, StageWeb}

// Options of an [App]. Start from [DefaultOptions].
type Options struct {
	DataDir string // keys, nats.json and the embedded broker's store; must be set
	NATS    string // URL of an external broker; "" = embedded
	Creds   string // credentials file for it, "" = none
	Listen  string // address of the web server, "" = 127.0.0.1:8080; port 0 = any
	// ListenPooled is the address of a second page, for who may not see the arms: pooled panels only, and no alerts. "" = none.
	ListenPooled string
	Stages       []string
	Protocols    []*protocol.Protocol
	BaseURLs     []string // the sites' own FHIR base URLs
	Sites        []*sitefile.Site
	// Files are where Protocols and Sites were read from, in their order; when they change they are read again. The zero value is none.
	Files Files
	// Reload, if not nil, asks to look at the files at once.
	Reload   <-chan os.Signal
	Sizes    wire.Sizes
	Replicas int
	Clock    consumers.Clock
	// TrustReceivedAt lets a message's header set its receipt: only demo and replays.
	TrustReceivedAt bool
	// Unsynced lets the embedded broker acknowledge before the disk has it. Only a demo, whose data live in a temporary folder, may.
	Unsynced bool
	// AcceptLoss names a loss of facts: what can be read again from FHIR is, and everybody is judged by what there is then.
	AcceptLoss string
	// AcceptProtocol is the start of the hash of a protocol that may judge the past in another way than the one by which it was judged, "" = none may.
	AcceptProtocol string
	Demo           bool // the page says that the data are simulated
	// Beside makes a table of the page that puts the aggregates beside other figures, nil: none.
	Beside func(panels map[string][]byte) (*web.Beside, error)
	Logger zerolog.Logger
	// CaughtUp, if not nil, is called when the watch has read all facts that were there at its start.
	CaughtUp func()
	// StopTimeout bounds how long Stop takes.
	StopTimeout time.Duration
	// WithoutFence is for the test that shows what the fence is for.
	WithoutFence bool
}

// DefaultOptions returns options that lack only a data directory and protocols.
func DefaultOptions() Options {
	return Options{
		Listen: "127.0.0.1:8080", Stages: slices.Clone(AllStages), Sizes: wire.DefaultSizes(), Replicas: 1,
		Logger: zerolog.Nop(), StopTimeout: 10 * time.Second,
	}
}

func (o *Options) validate() error {
	var errs []error
	if o.DataDir == "" {
		errs = append(errs, errors.New("no data directory"))
	}
	if len(o.Protocols) == 0 {
		errs = append(errs, errors.New("no protocol"))
	}
	seen := map[string]bool{}
	for _, p := range o.Protocols {
		if seen[p.Study] {
			errs = append(errs, fmt.Errorf("two protocols of study %s", p.Study))
		}
		seen[p.Study] = true
	}
	if n := len(o.Files.Protocols); n > 0 && n != len(o.Protocols) {
		errs = append(errs, fmt.Errorf("%d protocols and %d files of them", len(o.Protocols), n))
	}
	if n := len(o.Files.Sites); n > 0 && n != len(o.Sites) {
		errs = append(errs, fmt.Errorf("%d sites and %d files of them", len(o.Sites), n))
	}
	if err := eachOnce(o.Sites); err != nil {
		errs = append(errs, err)
	}
	for _, s := range o.Stages {
		if !slices.Contains(AllStages, s) {
			errs = append(errs, fmt.Errorf("unknown stage %q: want some of %v", s, AllStages))
		}
	}
	if n := len(o.AcceptProtocol); n > 0 && n < 16 {
		errs = append(errs, fmt.Errorf("%d digits of the hash of a protocol that is accepted: want at least 16", n))
	}
	if o.NATS == "" && o.Creds != "" {
		errs = append(errs, errors.New("credentials are for an external broker: name its URL"))
	}
	return errors.Join(errs...)
}
