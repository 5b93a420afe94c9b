package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/trialwatch/trialwatch/consumers"
	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/internal/offline"
	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/aggregate"
	"github.com/trialwatch/trialwatch/rules/alert"
	"github.com/trialwatch/trialwatch/rules/trial"
)

func newAlerts() *cobra.Command {
	c := &cobra.Command{Use: "alerts", Short: "Alerts of a running trialwatch"}
	c.AddCommand(newAlertsList(), newAlertsWatch())
	return c
}

func newAlertsList() *cobra.Command {
	var broker brokerFlags
	var output outputFlag
	var all bool
	c := &cobra.Command{
		Use:   "list [--all] [--output table|json]",
		Short: "List what is open now, or with --all what has ended too",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			js, closeConn, err := broker.connect()
			if err != nil {
				return err
			}
			defer closeConn()
			latest := map[string]alert.Event{}
			if err := consumers.ReadAll(c.Context(), js, wire.StreamOut, "alerts.>", func(m jetstream.Msg) error {
				e, err := readAlert(m.Data())
				if err == nil {
					latest[e.Alert] = e
				}
				return err
			}); err != nil {
				return err
			}
			var fs []rules.Finding
			for _, e := range latest {
				if e.Transition != alert.Retracted && (all || e.Status == rules.Open) {
					f := e.Finding
					f.Kind = "finding"
					fs = append(fs, f)
				}
			}
			slices.SortFunc(fs, func(a, b rules.Finding) int { return a.Compare(&b) })
			if output == "json" {
				out := offline.NewPrinter(c.OutOrStdout())
				for i := range fs {
					out.Print(&fs[i])
				}
				return out.Flush()
			}
			return printFindings(c.OutOrStdout(), fs)
		},
	}
	broker.add(c)
	output.add(c)
	c.Flags().BoolVar(&all, "all", false, "what has ended too")
	return c
}

func printFindings(w io.Writer, fs []rules.Finding) error {
	if len(fs) == 0 {
		_, err := fmt.Fprintln(w, "nothing is open")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	// Of one site nobody needs its name, unless something is of the site and of no patient.
	named := slices.ContainsFunc(fs, func(f rules.Finding) bool { return f.Subject == trial.Nobody || f.Site != fs[0].Site })
	siteOf := func(s string) string {
		if named {
			return s + "\t"
		}
		return ""
	}
	fmt.Fprintln(t, "URGENCY\tSTATUS\t"+siteOf("SITE")+"SUBJECT\tARM\tRULE\tONSET\tMESSAGE")
	for _, f := range fs {
		fmt.Fprintf(t, "%s\t%s\t%s%s\t%s\t%s\t%s\t%s\n", f.Urgency, f.Status, siteOf(f.Site), f.Subject, f.Arm, f.Rule, f.Onset.Format("2006-01-02 15:04"), f.Message)
	}
	return t.Flush()
}

func newAlertsWatch() *cobra.Command {
	var broker brokerFlags
	var output outputFlag
	var all bool
	c := &cobra.Command{
		Use:   "watch [--all] [--output table|json]",
		Short: "Follow alert transitions as they are told, until interrupted",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			js, closeConn, err := broker.connect()
			if err != nil {
				return err
			}
			defer closeConn()
			out := c.OutOrStdout()
			return consumers.FollowAlerts(c.Context(), js, zerolog.Nop(), all, func(data []byte) error {
				e, err := readAlert(data)
				if err != nil {
					return err
				}
				if output == "json" {
					line, err := wire.Encode(e)
					if err != nil {
						return err
					}
					_, err = fmt.Fprintf(out, "%s\n", line)
					return err
				}
				_, err = fmt.Fprintln(out, eventLine(e))
				return err
			})
		},
	}
	broker.add(c)
	output.add(c)
	c.Flags().BoolVar(&all, "all", false, "from the beginning, not only what is told from now on")
	return c
}

// eventLine is a transition as one line.
func eventLine(e alert.Event) string {
	line := fmt.Sprintf("%s  %-9s %-7s %s  %s", e.At.Format("2006-01-02 15:04"), e.Transition, e.Urgency, e.Subject, e.Message)
	if e.Transition == alert.Retracted {
		line += "  (" + e.Reason + ")"
	}
	return line
}

func readAlert(data []byte) (alert.Event, error) {
	var ce wire.CloudEvent
	err := json.Unmarshal(data, &ce)
	return ce.Data, err
}

func newAggregates() *cobra.Command {
	c := &cobra.Command{Use: "aggregates", Short: "Aggregates of a running trialwatch, by arm or pooled"}
	c.AddCommand(newAggregatesShow(), newAggregatesWatch())
	return c
}

// panelsFlag says which panels are read.
type panelsFlag struct{ pooled bool }

func (p *panelsFlag) add(c *cobra.Command) {
	c.Flags().BoolVar(&p.pooled, "pooled", false, "the panels for who may not see the arms, of trials with blinding: all that the role masked of a broker may read")
}

// source is where they lie.
func (p *panelsFlag) source() (stream, subjects string) {
	if p.pooled {
		return wire.StreamPooled, "pooled.>"
	}
	return wire.StreamAggregates, "aggregates.>"
}

func newAggregatesShow() *cobra.Command {
	var broker brokerFlags
	var output outputFlag
	var which panelsFlag
	c := &cobra.Command{
		Use:   "show [--pooled] [--output table|json]",
		Short: "Show every panel",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			js, closeConn, err := broker.connect()
			if err != nil {
				return err
			}
			defer closeConn()
			type shown struct {
				panel aggregate.Panel
				body  []byte
			}
			var panels []shown
			stream, subjects := which.source()
			if err := consumers.ReadLast(c.Context(), js, stream, subjects, func(m jetstream.Msg) error {
				var p aggregate.Panel
				if err := json.Unmarshal(m.Data(), &p); err != nil {
					return err
				}
				panels = append(panels, shown{p, bytes.Clone(m.Data())})
				return nil
			}); err != nil {
				return err
			}
			if len(panels) == 0 {
				return errors.New("no aggregates yet")
			}
			slices.SortStableFunc(panels, func(a, b shown) int {
				if d := strings.Compare(a.panel.Study, b.panel.Study); d != 0 {
					return d
				}
				return slices.Index(aggregate.Names, a.panel.Name) - slices.Index(aggregate.Names, b.panel.Name)
			})
			for _, p := range panels {
				if err := printPanel(c.OutOrStdout(), output, p.body); err != nil {
					return err
				}
			}
			return nil
		},
	}
	broker.add(c)
	output.add(c)
	which.add(c)
	return c
}

func newAggregatesWatch() *cobra.Command {
	var broker brokerFlags
	var output outputFlag
	var which panelsFlag
	c := &cobra.Command{
		Use:   "watch [--pooled] [--output table|json]",
		Short: "Follow the panels as they change, until interrupted",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			js, closeConn, err := broker.connect()
			if err != nil {
				return err
			}
			defer closeConn()
			stream, subjects := which.source()
			return consumers.Follow(c.Context(), js, zerolog.Nop(), stream, subjects, func(data []byte) error {
				return printPanel(c.OutOrStdout(), output, data)
			})
		},
	}
	broker.add(c)
	output.add(c)
	which.add(c)
	return c
}

// through is where a published panel says up to which message it reaches: the position in a stream, which an offline evaluation does not have.
var through = regexp.MustCompile(`,"through":[0-9]+`)

func printPanel(w io.Writer, output outputFlag, body []byte) error {
	if output == "json" {
		if at := through.FindIndex(body); at != nil {
			body = slices.Concat(body[:at[0]], body[at[1]:])
		}
		_, err := fmt.Fprintf(w, "%s\n", body)
		return err
	}
	return printTable(w, body)
}

// printTable prints a panel for people.
func printTable(w io.Writer, body []byte) error {
	var head aggregate.Panel
	if err := json.Unmarshal(body, &head); err != nil {
		return err
	}
	pooled := ""
	if head.Kind == "pooled" {
		pooled = ", all arms together"
	}
	fmt.Fprintf(w, "%s  %s%s  as of %s\n", head.Study, strings.ToUpper(head.Name), pooled, head.AsOf.Format("2006-01-02 15:04 MST"))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	var suppressed aggregate.PooledPanel
	if err := json.Unmarshal(body, &suppressed); err != nil {
		return err
	}
	if suppressed.SuppressBelow > 0 {
		return printBounds(t, &suppressed)
	}
	if rows, ok := outcomeTables[head.Name]; ok {
		if err := rows(t, body); err != nil {
			return err
		}
	}
	switch head.Name {
	case aggregate.Enrolment:
		es, err := entries[aggregate.EnrolmentEntry](body)
		if err != nil {
			return err
		}
		fmt.Fprintln(t, "  ARM\tENROLLED\tTREATED\tON STUDY\tOFF STUDY\tEVALUABLE")
		for _, e := range es {
			fmt.Fprintf(t, "  %s\t%d\t%d\t%d\t%d\t%d\n", armName(e.Arm), e.Enrolled, e.Treated, e.OnStudy, e.OffStudy, e.Evaluable)
		}
	case aggregate.Toxicity:
		es, err := entries[aggregate.ToxicityEntry](body)
		if err != nil {
			return err
		}
		fmt.Fprintln(t, "  ARM\tTERM\tANY GRADE\tGRADE ≥3\tEPISODES\tONSET, DAYS\tPATIENT-DAYS")
		for _, e := range es {
			for _, x := range e.Terms {
				fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%d\t%s\t%d\n", armName(e.Arm), x.Term, proportion(x.Any), proportion(x.Ge3), x.Episodes, quantile(x.Onset), x.PatientDays)
			}
		}
		printStopping(t, es)
	case aggregate.Deviations:
		es, err := entries[aggregate.DeviationsEntry](body)
		if err != nil {
			return err
		}
		fmt.Fprintln(t, "  ARM\tRULE\tEVENTS\tPATIENTS")
		for _, e := range es {
			for _, x := range e.ByRule {
				fmt.Fprintf(t, "  %s\t%s\t%d\t%s\n", armName(e.Arm), x.Rule, x.Events, proportion(x.Patients))
			}
		}
	case aggregate.Exposure:
		es, err := entries[aggregate.ExposureEntry](body)
		if err != nil {
			return err
		}
		fmt.Fprintln(t, "  ARM\tREGIMEN\tDOSES A PATIENT\tGIVEN\tHELD\tREFUSED\tMISSED\tCUMULATIVE")
		for _, e := range es {
			for _, x := range e.Regimens {
				amount := "none"
				if x.Cumulative.Median != nil {
					amount = fmt.Sprintf("median %g %s", *x.Cumulative.Median, x.Unit)
				}
				fmt.Fprintf(t, "  %s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\n", armName(e.Arm), x.Regimen, quantile(x.Given), x.Total.Given, x.Total.Held, x.Total.Refused, x.Total.Missed, amount)
			}
		}
	case aggregate.Feed:
		fmt.Fprintln(t, "  SITE\tLAST EVENT\tFACTS\tNOT RELEVANT\tDEAD LETTERS")
		for _, s := range head.Sites {
			irrelevant := "not known"
			if s.NotRelevant != nil {
				irrelevant = strconv.FormatUint(*s.NotRelevant, 10)
			}
			fmt.Fprintf(t, "  %s\t%s\t%d\t%s\t%d\n", s.Site, s.LastEvent.Format("2006-01-02 15:04"), s.Facts, irrelevant, s.DeadLetters)
		}
	}
	fmt.Fprintln(t)
	return t.Flush()
}

// printBounds shows what is left of a panel under suppression.
func printBounds(t *tabwriter.Writer, p *aggregate.PooledPanel) error {
	if p.Enrolled != nil {
		fmt.Fprintf(t, "  %d enrolled\n", *p.Enrolled)
	}
	if len(p.Bounds) > 0 {
		fmt.Fprintln(t, "  OF\tCOUNT\tAT LEAST\tAS OF")
	}
	for _, b := range p.Bounds {
		fmt.Fprintf(t, "  %s\t%s\t%d of %d\t%s\n", cmp.Or(b.Group, "patients"), b.Count, b.AtLeast, b.Of, b.AsOf.Format("2006-01-02 15:04 MST"))
	}
	fmt.Fprintf(t, "  Counts are shown in steps of %d; what is not listed is too few, or not shown at all.\n\n", p.SuppressBelow)
	return t.Flush()
}

// printStopping shows where each arm, or the trial, stands by the stopping boundaries.
func printStopping(t io.Writer, es []aggregate.ToxicityEntry) {
	head := "  ARM\tSTOPPING BOUNDARY\tPATIENTS\tPROBABILITY\tSTOP AT\tMET\n"
	for _, e := range es {
		for _, x := range e.Stopping {
			stop, met := "–", "no"
			if x.Stop != nil {
				stop = fmt.Sprintf("%d/%d", *x.Stop, x.Of)
			}
			if x.Met {
				met = "YES"
			}
			fmt.Fprintf(t, "%s  %s\t%s\t%d/%d\t%.3f of %g\t%s\t%s\n", head, armName(e.Arm), x.Title, x.Patients, x.Of, x.Posterior, x.Cut, stop, met)
			head = ""
		}
	}
}

// entries are the arms of a panel and the total.
func entries[E any](body []byte) ([]E, error) {
	var p struct {
		Arms []E `json:"arms"`
		All  E   `json:"all"`
	}
	err := json.Unmarshal(body, &p)
	return append(p.Arms, p.All), err
}

func armName(arm string) string {
	if arm == "" {
		return "all"
	}
	return arm
}

func proportion(p aggregate.Proportion) string {
	if p.Percent == nil {
		return fmt.Sprintf("%d/%d", p.N, p.Of)
	}
	return fmt.Sprintf("%d/%d  %.1f %% (%.1f–%.1f)", p.N, p.Of, *p.Percent, *p.Low, *p.High)
}

func quantile(q aggregate.Quantile) string {
	if q.Median == nil {
		return "none"
	}
	return fmt.Sprintf("median %g, range %g–%g, of %d", *q.Median, *q.Min, *q.Max, q.Of)
}

// deadLetter is one line of deadletters list.
type deadLetter struct {
	Kind     string `json:"kind"` // "deadletter"
	Sequence uint64 `json:"sequence"`
	Site     string `json:"site"`
	Reason   string `json:"reason"`
	Detail   string `json:"detail"`
	Type     string `json:"resourceType,omitempty"`
	Entry    string `json:"entry,omitempty"`
	FHIRSeq  string `json:"fhirSequence"`
	Received string `json:"receivedAt"`
	Bytes    int    `json:"bytes"`
}

func newDeadLetters() *cobra.Command {
	c := &cobra.Command{Use: "deadletters", Short: "What was refused, and why"}
	var broker brokerFlags
	var output outputFlag
	list := &cobra.Command{
		Use:   "list [--output table|json]",
		Short: "List what was refused: reason and place, never the content",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			js, closeConn, err := broker.connect()
			if err != nil {
				return err
			}
			defer closeConn()
			var ds []deadLetter
			if err := consumers.ReadAll(c.Context(), js, wire.StreamDeadLetters, "deadletters.>", func(m jetstream.Msg) error {
				meta, err := m.Metadata()
				if err != nil {
					return err
				}
				h := m.Headers()
				d := deadLetter{
					Kind: "deadletter", Sequence: meta.Sequence.Stream, Site: wire.Site(m.Subject()), Reason: h.Get(wire.HeaderReason), Detail: h.Get(wire.HeaderDetail),
					Type: h.Get(wire.HeaderResource), FHIRSeq: h.Get(wire.HeaderFHIRSeq), Received: h.Get(wire.HeaderReceivedOf), Bytes: len(m.Data()),
				}
				if e := h.Get(wire.HeaderEntry); e != "-1" {
					d.Entry = e
				}
				ds = append(ds, d)
				return nil
			}); err != nil {
				return err
			}
			if output == "json" {
				out := offline.NewPrinter(c.OutOrStdout())
				for i := range ds {
					out.Print(&ds[i])
				}
				return out.Flush()
			}
			if len(ds) == 0 {
				fmt.Fprintln(c.OutOrStdout(), "no dead letters")
				return nil
			}
			t := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "SEQ\tRECEIVED\tSITE\tTYPE\tREASON\tDETAIL")
			for _, d := range ds {
				received := d.Received
				if at, err := time.Parse(time.RFC3339Nano, received); err == nil {
					received = at.Format("2006-01-02 15:04:05Z")
				}
				fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\n", d.Sequence, received, d.Site, d.Type, d.Reason, d.Detail)
			}
			return t.Flush()
		},
	}
	broker.add(list)
	output.add(list)
	c.AddCommand(list)
	return c
}
