package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/trialwatch/trialwatch/internal/offline"
	"github.com/trialwatch/trialwatch/internal/report"
)

func newReport() *cobra.Command {
	var feed feedFlags
	var broker brokerFlags
	var cutoff, session, out, csv string
	var times bool
	c := &cobra.Command{
		Use:   "report [--protocol FILE] [--site-file FILE]… [--cutoff RFC3339] [--as-of RFC3339] [--session open|closed] [--out FILE] [--csv DIR] [FILE…|-]\n  trialwatch report --data DIR|--nats URL [--protocol FILE] [--site-file FILE]…",
		Short: "Write the tables and figures of a safety board at a data cut-off",
		Long: `report reads FHIR R4 resources as evaluate does and writes one HTML page that loads nothing and prints on A4, and with
--csv every table as a file. The same input, cut-off and receipt give the same bytes.

--cutoff is a clinical time: what happened after it is left out, however early it was sent. --as-of is a receipt: what was
received after it was not known. The default of both is the latest receipt in the input. To report as the board would
have on the day, give the day of the data base lock as --as-of and an earlier cut-off.

With --data or --nats it reads what a running trialwatch has stored in place of files, and writes the same bytes as from
the files that were sent, with the same protocol, site files, --cutoff and --as-of; without these two times, as of the
instant as of which the system last judged. Give it the protocol file that runs there: it tells if that is another. It
reads all facts and messages, which only the role operator may. What intake has not read yet is in no table: it tells how
much that is. While facts are gone and nobody has accepted that, it refuses.

The open session pools the arms and leaves out response, survival and immune monitoring. The closed session shows the
arms: it is for unblinded members only. --times, of the closed session, adds a file with the times and values of single
patients, without their names, for statistics to be computed again; read docs/security.md first.`,
		Example: `  trialwatch report --cutoff 2026-06-30T23:59:59-05:00 --out open.html events.ndjson
  trialwatch report --session closed --out closed.html --csv tables/ events.ndjson
  trialwatch report --data /var/lib/trialwatch --protocol /etc/trialwatch/protocol.yaml --cutoff 2026-06-30T23:59:59-05:00 --out open.html`,
		RunE: func(c *cobra.Command, args []string) error {
			s := report.Session(session)
			switch {
			case s != report.Open && s != report.Closed:
				return usageError{fmt.Errorf("--session %q: want open or closed", session)}
			case times && (s != report.Closed || csv == ""):
				return usageError{errors.New("--times shows single patients: it needs --session closed and --csv")}
			case len(feed.protocols) > 1:
				return usageError{errors.New("report is of one study: give one --protocol")}
			}
			cut, err := parseTime("--cutoff", cutoff)
			if err != nil {
				return err
			}
			live, err := broker.live(c, args)
			if err != nil {
				return err
			}
			read := func() (*offline.Evaluator, time.Time, error) { return feed.read(c, args) }
			if live {
				read = func() (*offline.Evaluator, time.Time, error) {
					return feed.readLive(c, &broker, func(s *stored) error { return s.whole(c) })
				}
			}
			e, received, err := read()
			if err != nil {
				return err
			}
			if cut.IsZero() {
				cut = received
			}
			if cut.After(received) {
				return usageError{fmt.Errorf("--cutoff %s lies after %s, until when what was received counts (--as-of): nobody knows yet what happened by then",
					cut.Format(time.RFC3339), received.Format(time.RFC3339))}
			}
			result := e.CutAt(cut, received)
			p := e.Protocols()[0]
			r, err := report.New(report.Options{Protocol: p, Panels: result.Panels, Session: s, Cutoff: cut, Received: received})
			if err != nil {
				return err
			}
			if err := writeReport(c, r, out); err != nil {
				return err
			}
			if csv != "" {
				if err := r.CSV(csv); err != nil {
					return err
				}
			}
			if times {
				if err := report.Times(csv, p, result.Summaries[0]); err != nil {
					return err
				}
			}
			if n := len(result.Refused); n > 0 && live {
				fmt.Fprintf(c.ErrOrStderr(), "trialwatch: of what was sent %d could not be used: they are in no table; deadletters list names them\n", n)
			} else if n > 0 {
				fmt.Fprintf(c.ErrOrStderr(), "trialwatch: %d lines or entries could not be used and are in no table; evaluate names them\n", n)
				return errReported
			}
			return nil
		},
	}
	feed.add(c)
	broker.add(c)
	c.Flags().StringVar(&cutoff, "cutoff", "", "data cut-off by clinical time, RFC 3339 (default: --as-of)")
	c.Flags().StringVar(&session, "session", string(report.Open), "open (arms pooled) or closed (by arm)")
	c.Flags().StringVarP(&out, "out", "o", "-", "file of the page, - for standard output")
	c.Flags().StringVar(&csv, "csv", "", "directory for the tables as CSV, made if it is not there")
	c.Flags().BoolVar(&times, "times", false, "closed session: also "+report.TimesFile+", times and values of single patients")
	return c
}

func writeReport(c *cobra.Command, r *report.Report, out string) error {
	if out == "-" {
		return r.HTML(c.OutOrStdout())
	}
	f, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) // not for everybody on the machine
	if err != nil {
		return err
	}
	if err := r.HTML(f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
