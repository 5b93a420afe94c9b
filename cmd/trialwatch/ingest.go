package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/trialwatch/trialwatch/consumers"
	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/fhir"
	"github.com/trialwatch/trialwatch/internal/feed"
)

func newIngest() *cobra.Command {
	var broker brokerFlags
	var site string
	var output outputFlag
	c := &cobra.Command{
		Use:   "ingest [--site S] FILE…|-",
		Short: "Publish FHIR resources to a running trialwatch",
		Long: `ingest publishes the resources of NDJSON files, single JSON documents and Bundles (entry by entry) to the broker and
returns when the broker has them on disk. It refuses what cannot be published at all and names the line; what is not
usable for another reason becomes a dead letter or a data finding: see "trialwatch deadletters list".`,
		Example: `  trialwatch ingest enrolments.ndjson events.ndjson
  trialwatch ingest --site houston - < feed.ndjson`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if site == wire.NoSite {
				return usageError{errors.New(`--site -: no site can be called so, it stands for no single site`)}
			}
			js, closeConn, err := broker.connect()
			if err != nil {
				return err
			}
			defer closeConn()
			in := &ingester{ctx: c.Context(), js: js, stderr: c.ErrOrStderr(), json: output == "json", site: site}
			for _, name := range args {
				if err := in.file(c, name); err != nil {
					in.report(c.OutOrStdout())
					return err
				}
			}
			in.report(c.OutOrStdout())
			if in.refused > 0 {
				return errReported
			}
			return nil
		},
	}
	broker.add(c)
	output.add(c)
	c.Flags().StringVar(&site, "site", "", "site of lines that name none (default main)")
	return c
}

// ingester publishes in atomic batches: one synced write for hundreds of resources.
type ingester struct {
	ctx      context.Context
	js       jetstream.JetStream
	stderr   io.Writer
	json     bool
	site     string
	batch    []*nats.Msg
	size     int
	accepted int
	refused  int
}

const (
	ingestMessages = 900
	ingestBytes    = 4 << 20
)

func (in *ingester) file(c *cobra.Command, name string) error {
	f, size, err := openInput(c, name)
	if err != nil {
		return err
	}
	defer f.Close()
	p := newProgress(in.stderr, "publishing "+name, size)
	defer p.done()
	lines := 0
	err = feed.Read(name, p.reader(f), feed.MaxLine, func(l feed.Line) error {
		lines++
		p.show(lines)
		return in.line(l)
	})
	if err != nil {
		return err
	}
	return in.flush()
}

func (in *ingester) line(l feed.Line) error {
	if l.Site == feed.DefaultSite && in.site != "" {
		l.Site = in.site
	}
	switch {
	case l.TooLong != "":
		in.refuse(l, "too-large", l.TooLong)
		return nil
	case l.Envelope != nil:
		in.refuse(l, "not-fhir", l.Envelope.Error())
		return nil
	}
	parts, err := fhir.Split(l.Data, fhir.Limits{})
	if err != nil {
		reason, detail := reasonOf(err)
		in.refuse(l, reason, detail)
		return nil
	}
	for i, part := range parts {
		if part.Err != nil {
			reason, detail := reasonOf(part.Err)
			in.refuse(l, reason, fmt.Sprintf("entry %d: %s", i, detail))
			continue
		}
		const headers = 4096 // ours and those of the batch
		if len(part.Data) > wire.MaxFHIR-headers {
			in.refuse(l, "too-large", fmt.Sprintf("entry %d: %d bytes, more than a message can hold", i, len(part.Data)))
			continue
		}
		m := &nats.Msg{Subject: wire.FHIR(l.Site, part.Type), Data: part.Data}
		if !l.ReceivedAt.IsZero() {
			m.Header = nats.Header{}
			m.Header.Set(wire.HeaderReceivedAt, l.ReceivedAt.Format(time.RFC3339Nano))
		}
		if len(in.batch) == ingestMessages || in.size+m.Size() > ingestBytes {
			if err := in.flush(); err != nil {
				return err
			}
		}
		in.batch = append(in.batch, m)
		in.size += m.Size()
	}
	return nil
}

// reasonOf takes an error of [fhir.Split] apart: "reason: detail".
func reasonOf(err error) (reason, detail string) {
	reason, detail, _ = strings.Cut(err.Error(), ": ")
	return reason, detail
}

func (in *ingester) flush() error {
	if len(in.batch) == 0 {
		return nil
	}
	if err := consumers.PublishAll(in.ctx, in.js, in.batch); err != nil {
		return fmt.Errorf("publish: %w (the last %d resources are not known to be stored: send the file again, repetition does no harm)", err, len(in.batch))
	}
	in.accepted += len(in.batch)
	in.batch, in.size = nil, 0
	return nil
}

func (in *ingester) refuse(l feed.Line, reason, detail string) {
	in.refused++
	if in.json {
		line, _ := wire.Encode(map[string]any{"kind": "refused", "file": l.File, "line": l.Number, "reason": reason, "detail": detail})
		fmt.Fprintf(in.stderr, "%s\n", line)
		return
	}
	fmt.Fprintf(in.stderr, "%s:%d: %s: %s\n", l.File, l.Number, reason, detail)
}

func (in *ingester) report(w io.Writer) {
	if in.json {
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": "ingested", "accepted": in.accepted, "refused": in.refused})
		return
	}
	fmt.Fprintf(w, "%d accepted, %d refused\n", in.accepted, in.refused)
}
