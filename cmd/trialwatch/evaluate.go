package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/trialwatch/trialwatch/internal/app"
	"github.com/trialwatch/trialwatch/internal/offline"
	"github.com/trialwatch/trialwatch/rules/alert"
)

func newEvaluate() *cobra.Command {
	var files, siteFiles []string
	var asOf string
	var history bool
	c := &cobra.Command{
		Use:   "evaluate [--protocol FILE]… [--site-file FILE]… [--as-of RFC3339] [--history] [FILE…|-]",
		Short: "Evaluate files of FHIR resources without a broker",
		Long: `evaluate reads FHIR R4 resources (NDJSON, one JSON document, Bundles; gzip too) and prints, as JSON lines, what is
true of the patients, then the aggregates by arm, then the lines that could not be used. The order and repetition of
lines do not matter. Exit status 1 says that some lines were refused; the others still count.`,
		Example: `  trialwatch evaluate --protocol deployments/protocols/til-il2/protocol.yaml enrolments.ndjson events.ndjson
  trialwatch evaluate --history - < feed.ndjson`,
		RunE: func(c *cobra.Command, args []string) error {
			ctx, done := context.WithCancel(c.Context())
			defer done()
			go batchMemory.bound(ctx)
			ps, err := loadProtocols(c.ErrOrStderr(), files)
			if err != nil {
				return err
			}
			sites, err := loadSites(c.ErrOrStderr(), siteFiles, ps)
			if err != nil {
				return err
			}
			decoder, err := app.NewDecoder(ps, nil, sites...)
			if err != nil {
				return usageError{err}
			}
			now, err := parseAsOf(asOf)
			if err != nil {
				return err
			}
			e := offline.New(decoder, ps)
			e.Zones = app.Zones(sites)
			if len(args) == 0 {
				args = []string{"-"}
			}
			for _, name := range args {
				if err := readInto(c, e, name); err != nil {
					return err
				}
			}
			if now.IsZero() {
				now = e.Latest()
			}
			result := e.At(now)
			if history {
				out := offline.NewPrinter(c.OutOrStdout())
				err := e.History(now, func(ev alert.Event) error { out.Print(&ev); return nil })
				if err := errors.Join(err, out.Flush()); err != nil {
					return err
				}
				result.Findings, result.Panels = nil, nil
			}
			if err := result.Write(c.OutOrStdout()); err != nil {
				return err
			}
			if len(result.Refused) > 0 {
				return errReported
			}
			return nil
		},
	}
	c.Flags().StringArrayVar(&files, "protocol", nil, "protocol file, more than one for several studies (default: the shipped trial)")
	c.Flags().StringArrayVar(&siteFiles, "site-file", nil, "site file: zone, base URLs, identifiers, codes, units and limits of normal of one site (repeatable)")
	c.Flags().StringVar(&asOf, "as-of", "", "the evaluating now, RFC 3339 (default: the latest receipt in the input)")
	c.Flags().BoolVar(&history, "history", false, "print the alert events in the order in which they would have been told")
	return c
}

// parseAsOf reads --as-of; the zero time says that it was not given.
func parseAsOf(asOf string) (now time.Time, err error) {
	if asOf == "" {
		return now, nil
	}
	if now, err = time.Parse(time.RFC3339, asOf); err != nil {
		return now, usageError{fmt.Errorf("--as-of %q: want a time such as 2026-02-19T14:15:00-06:00", asOf)}
	}
	return now, nil
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
