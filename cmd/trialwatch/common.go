package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/trialwatch/trialwatch/deployments/protocols"
	"github.com/trialwatch/trialwatch/fhir/sitefile"
	"github.com/trialwatch/trialwatch/internal/app"
	"github.com/trialwatch/trialwatch/rules/document"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// defaultData is where a running trialwatch keeps its data, unless --data or TRIALWATCH_DATA names another place.
func defaultData() string {
	if dir := os.Getenv("TRIALWATCH_DATA"); dir != "" {
		return dir
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".local", "share", "trialwatch")
	}
	return "trialwatch-data"
}

// brokerFlags say how a command that operates a running system finds its broker.
type brokerFlags struct{ data, url, creds string }

func (b *brokerFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&b.data, "data", defaultData(), "data directory of the running trialwatch (nats.json in it says where its broker is)")
	c.Flags().StringVar(&b.url, "nats", "", "URL of the broker, in place of the one in the data directory; its user and password: TRIALWATCH_NATS_USER, TRIALWATCH_NATS_PASSWORD")
	c.Flags().StringVar(&b.creds, "creds", "", "credentials file for --nats")
}

// connect returns a JetStream of the running system and what closes it.
func (b *brokerFlags) connect() (jetstream.JetStream, func(), error) {
	var access app.Access
	var err error
	if b.url == "" {
		access, err = app.ReadAccess(b.data)
	} else {
		access, err = app.NewAccess(b.url, b.creds)
	}
	if err != nil {
		return nil, nil, err
	}
	nc, err := access.Connect("trialwatch-cli")
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	return js, nc.Close, nil
}

// outputFlag is --output.
type outputFlag string

func (o *outputFlag) add(c *cobra.Command) {
	*o = "table"
	c.Flags().Var(o, "output", "table or json")
}

func (o *outputFlag) String() string { return string(*o) }
func (o *outputFlag) Type() string   { return "format" }

// Set accepts the two formats.
func (o *outputFlag) Set(s string) error {
	if s != "table" && s != "json" {
		return errors.New("want table or json")
	}
	*o = outputFlag(s)
	return nil
}

// loadProtocols reads protocol files; with none it takes the shipped trial. What is wrong with them is printed with the place.
func loadProtocols(stderr io.Writer, files []string) ([]*protocol.Protocol, error) {
	if len(files) == 0 {
		p, err := protocols.TIL()
		return []*protocol.Protocol{p}, err
	}
	var ps []*protocol.Protocol
	failed := false
	for _, name := range files {
		p, _, err := readProtocol(name)
		var errs protocol.Errors
		switch {
		case errors.As(err, &errs):
			failed = true
			fmt.Fprint(stderr, errs.Report())
		case err != nil:
			return nil, err
		default:
			ps = append(ps, p)
		}
	}
	if failed {
		return nil, errReported
	}
	return ps, nil
}

// loadSites reads site files. What is wrong with them is printed with the place.
func loadSites(stderr io.Writer, files []string, ps []*protocol.Protocol) ([]*sitefile.Site, error) {
	var concepts []string
	for _, p := range ps {
		for _, c := range p.Concepts() {
			concepts = append(concepts, c.Concept)
		}
	}
	var sites []*sitefile.Site
	failed := false
	for _, name := range files {
		data, err := readBounded(name, sitefile.MaxBytes)
		if err != nil {
			return nil, err
		}
		s, err := sitefile.Parse(name, data, concepts...)
		var errs document.Errors
		switch {
		case errors.As(err, &errs):
			failed = true
			fmt.Fprint(stderr, errs.Report())
		case err != nil:
			return nil, err
		default:
			sites = append(sites, s)
		}
	}
	if failed {
		return nil, errReported
	}
	return sites, nil
}

// readProtocol reads one protocol file and returns its text as well.
func readProtocol(name string) (p *protocol.Protocol, text []byte, err error) {
	if text, err = readBounded(name, protocol.MaxBytes); err != nil {
		return nil, nil, err
	}
	p, err = protocol.Parse(name, text)
	return p, text, err
}

// readBounded reads a file. Of one that is too large no more is read than it takes to say so.
func readBounded(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most+1))
}

// newLogger writes for people on a terminal and JSON elsewhere.
func newLogger(w io.Writer, level string) (zerolog.Logger, error) {
	l, err := zerolog.ParseLevel(level)
	if err != nil {
		return zerolog.Nop(), usageError{fmt.Errorf("--log-level %q: want debug, info, warn or error", level)}
	}
	if terminal(w) {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: time.TimeOnly}
	}
	return zerolog.New(w).Level(l).With().Timestamp().Logger(), nil
}

// terminal reports whether w is a terminal.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// openInput opens a file, or standard input for "-".
func openInput(c *cobra.Command, name string) (io.ReadCloser, int64, error) {
	if name == "-" {
		return io.NopCloser(c.InOrStdin()), 0, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// until waits for ctx, or for a time if it is positive.
func until(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, d)
}
