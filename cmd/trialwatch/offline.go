package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/trialwatch/trialwatch/fhir/sitefile"
	"github.com/trialwatch/trialwatch/internal/app"
	"github.com/trialwatch/trialwatch/internal/offline"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// feedFlags say how a command that needs no broker reads files of FHIR resources.
type feedFlags struct {
	protocols, sites []string
	asOf             string
}

func (f *feedFlags) add(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.protocols, "protocol", nil, "protocol file, more than one for several studies (default: the shipped trial)")
	c.Flags().StringArrayVar(&f.sites, "site-file", nil, "site file: zone, base URLs, identifiers, codes, units and limits of normal of one site (repeatable)")
	c.Flags().StringVar(&f.asOf, "as-of", "", "the evaluating now, RFC 3339 (default: the latest receipt in the input)")
}

// load reads what the flags name, for a job that keeps nearly all that it reads.
func (f *feedFlags) load(c *cobra.Command) (ps []*protocol.Protocol, sites []*sitefile.Site, asOf time.Time, err error) {
	go batchMemory.bound(c.Context())
	if asOf, err = parseTime("--as-of", f.asOf); err != nil {
		return nil, nil, asOf, err
	}
	if ps, err = loadProtocols(c.ErrOrStderr(), f.protocols); err != nil {
		return nil, nil, asOf, err
	}
	sites, err = loadSites(c.ErrOrStderr(), f.sites, ps)
	return ps, sites, asOf, err
}

// read reads the named files, or standard input if none is named, and says as of when they are evaluated.
func (f *feedFlags) read(c *cobra.Command, names []string) (e *offline.Evaluator, now time.Time, err error) {
	ps, sites, now, err := f.load(c)
	if err != nil {
		return nil, now, err
	}
	if len(names) == 0 {
		names = []string{"-"}
	}
	if e, err = readFeed(c, ps, sites, names); err != nil {
		return nil, now, err
	}
	if now.IsZero() {
		now = e.Latest()
	}
	return e, now, nil
}

// readFeed reads files as a set of protocols and sites makes of them.
func readFeed(c *cobra.Command, ps []*protocol.Protocol, sites []*sitefile.Site, names []string) (*offline.Evaluator, error) {
	decoder, err := app.NewDecoder(ps, nil, sites...)
	if err != nil {
		return nil, usageError{err}
	}
	e := offline.New(decoder, ps)
	e.Zones = app.Zones(sites)
	for _, name := range names {
		if err := readInto(c, e, name); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// parseTime reads a flag with a time; the zero time says that it was not given.
func parseTime(flag, value string) (t time.Time, err error) {
	if value == "" {
		return t, nil
	}
	if t, err = time.Parse(time.RFC3339, value); err != nil {
		return t, usageError{fmt.Errorf("%s %q: want a time such as 2026-02-19T14:15:00-06:00", flag, value)}
	}
	return t, nil
}

func readInto(c *cobra.Command, e *offline.Evaluator, name string) error {
	f, size, err := openInput(c, name)
	if err != nil {
		return err
	}
	defer f.Close()
	p := newProgress(c.ErrOrStderr(), "reading "+name, size)
	defer p.done()
	return e.Read(name, p.reader(f), p.show)
}
