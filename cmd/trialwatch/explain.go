package main

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trialwatch/trialwatch/internal/app"
	"github.com/trialwatch/trialwatch/internal/offline"
	"github.com/trialwatch/trialwatch/internal/review"
)

func newExplain() *cobra.Command {
	var subject, asOf string
	var files, siteFiles []string
	var output outputFlag
	c := &cobra.Command{
		Use:   "explain --subject S [--protocol FILE]… [--site-file FILE]… [--as-of RFC3339] [--output table|json] [FILE…|-]",
		Short: "Prove everything that is found of one patient",
		Long: `explain reads files of FHIR resources as evaluate does and shows, for one patient, how what is found came about: the enrolment, the arm, day 0 and
the baselines that are used; the doses that were expected, when each was in time and what filled it; and each finding with its proof: the
results with their times, versions and conversions, every limit that they were compared with and how that came out, the rule and its source.

--output json prints the same as one JSON line for each study and site in which there is a subject of that name. Exit status 1 says that
nobody of that name is enrolled.`,
		Example: `  trialwatch explain --subject S-001 enrolments.ndjson events.ndjson
  trialwatch explain --subject S-001 --as-of 2026-02-19T14:15:00-06:00 --output json feed.ndjson | jq .findings`,
		RunE: func(c *cobra.Command, args []string) error {
			debug.SetGCPercent(400) // a batch job
			if subject == "" {
				return usageError{errors.New("explain: --subject: whom?")}
			}
			ps, err := loadProtocols(c.ErrOrStderr(), files)
			if err != nil {
				return err
			}
			sites, err := loadSites(c.ErrOrStderr(), siteFiles, ps)
			if err != nil {
				return err
			}
			now, err := parseAsOf(asOf)
			if err != nil {
				return err
			}
			decoder, err := app.NewDecoder(ps, nil, sites...)
			if err != nil {
				return usageError{err}
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
			found, subjects := e.Explain(subject, now)
			if len(found) == 0 {
				return nobody(subject, subjects)
			}
			if output == "json" {
				out := offline.NewPrinter(c.OutOrStdout())
				for _, x := range found {
					out.Print(x)
				}
				return out.Flush()
			}
			for i, x := range found {
				if i > 0 {
					fmt.Fprintln(c.OutOrStdout())
				}
				if err := review.Patient(c.OutOrStdout(), x); err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().StringVar(&subject, "subject", "", "the subject, as findings name it")
	c.Flags().StringArrayVar(&files, "protocol", nil, "protocol file, more than one for several studies (default: the shipped trial)")
	c.Flags().StringArrayVar(&siteFiles, "site-file", nil, "site file: zone, base URLs, identifiers, codes, units and limits of normal of one site (repeatable)")
	c.Flags().StringVar(&asOf, "as-of", "", "the evaluating now, RFC 3339 (default: the latest receipt in the input)")
	output.add(c)
	return c
}

// shownSubjects is how many subjects are named to somebody who asked for another.
const shownSubjects = 10

func nobody(subject string, subjects []string) error {
	if len(subjects) == 0 {
		return fmt.Errorf("nobody is enrolled in these files: no ResearchSubject of the study")
	}
	more := ""
	if len(subjects) > shownSubjects {
		subjects, more = subjects[:shownSubjects], fmt.Sprintf(" and %d more", len(subjects)-shownSubjects)
	}
	return fmt.Errorf("no subject %q is enrolled: there are %s%s", subject, strings.Join(subjects, ", "), more)
}
