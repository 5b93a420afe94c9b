package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/trialwatch/trialwatch/internal/offline"
	"github.com/trialwatch/trialwatch/rules/alert"
)

func newEvaluate() *cobra.Command {
	var feed feedFlags
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
			e, now, err := feed.read(c, args)
			if err != nil {
				return err
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
	feed.add(c)
	c.Flags().BoolVar(&history, "history", false, "print the alert events in the order in which they would have been told")
	return c
}
