package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/trialwatch/trialwatch/internal/offline"
	"github.com/trialwatch/trialwatch/internal/review"
)

func newExplain() *cobra.Command {
	var subject string
	var feed feedFlags
	var broker brokerFlags
	var output outputFlag
	c := &cobra.Command{
		Use:   "explain --subject S [--protocol FILE]… [--site-file FILE]… [--as-of RFC3339] [--output table|json] [FILE…|-]\n  trialwatch explain --subject S --data DIR|--nats URL [--protocol FILE]… [--site-file FILE]…",
		Short: "Prove everything that is found of one patient",
		Long: `explain reads files of FHIR resources as evaluate does and shows, for one patient, how what is found came about: the enrolment, the arm, day 0 and
the baselines that are used; the doses that were expected, when each was in time and what filled it; and each finding with its proof: the
results with their times, versions and conversions, every limit that they were compared with and how that came out, the rule and its source.

With --data or --nats it reads what a running trialwatch has stored in place of files, and shows the same as of the instant as of which that
last judged. Give it the protocol files that run there: it tells if they are others. It reads the facts of everybody, which only the role
operator may, and holds them in memory.

--output json prints the same as one JSON line for each study and site in which there is a subject of that name. Exit status 1 says that
nobody of that name is enrolled.`,
		Example: `  trialwatch explain --subject S-001 enrolments.ndjson events.ndjson
  trialwatch explain --subject S-001 --data /var/lib/trialwatch --protocol /etc/trialwatch/protocol.yaml
  trialwatch explain --subject S-001 --as-of 2026-02-19T14:15:00-06:00 --output json feed.ndjson | jq .findings`,
		RunE: func(c *cobra.Command, args []string) error {
			if subject == "" {
				return usageError{errors.New("explain: --subject: whom?")}
			}
			live, err := broker.live(c, args)
			if err != nil {
				return err
			}
			read := func() (*offline.Evaluator, time.Time, error) { return feed.read(c, args) }
			if live {
				read = func() (*offline.Evaluator, time.Time, error) { return feed.readLive(c, &broker, nil) }
			}
			e, now, err := read()
			if err != nil {
				return err
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
	feed.add(c)
	broker.add(c)
	output.add(c)
	return c
}

// shownSubjects is how many subjects are named to somebody who asked for another.
const shownSubjects = 10

func nobody(subject string, subjects []string) error {
	if len(subjects) == 0 {
		return errors.New("nobody is enrolled: no ResearchSubject of the study was read")
	}
	more := ""
	if len(subjects) > shownSubjects {
		subjects, more = subjects[:shownSubjects], fmt.Sprintf(" and %d more", len(subjects)-shownSubjects)
	}
	return fmt.Errorf("no subject %q is enrolled: there are %s%s", subject, strings.Join(subjects, ", "), more)
}
