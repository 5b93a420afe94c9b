package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/trialwatch/trialwatch/fhir"
	"github.com/trialwatch/trialwatch/fhir/sitefile"
	"github.com/trialwatch/trialwatch/internal/app"
	"github.com/trialwatch/trialwatch/internal/offline"
	"github.com/trialwatch/trialwatch/internal/review"
	"github.com/trialwatch/trialwatch/internal/scenario"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

func newProtocol() *cobra.Command {
	c := &cobra.Command{Use: "protocol", Short: "Tools for people who write protocols"}
	c.AddCommand(newProtocolLint(), newProtocolTest(), newProtocolMutate(), newProtocolExplain(), newProtocolDiff())
	return c
}

func newProtocolLint() *cobra.Command {
	var output outputFlag
	c := &cobra.Command{
		Use:   "lint [--output table|json] FILE…",
		Short: "Check protocol files: every error with its line and a caret",
		Long: `lint reads protocol files as serve and evaluate would and prints everything that is wrong with them at once, each with file, line,
column, the line itself and a caret. Where a name is near to one that exists, it says which.

A note is no error: a term that the pinned CTCAE version does not have, or a dose that can never be due. Exit status 0 with notes, 1 with
errors. --output json prints one JSON line for each error, note and file that is in order, for editors and CI.`,
		Example: `  trialwatch protocol lint my-trial/protocol.yaml
  trialwatch protocol lint --output json protocols/*.yaml`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			failed := false
			for _, name := range args {
				p, _, err := readProtocol(name)
				var errs protocol.Errors
				if err != nil && !errors.As(err, &errs) {
					return err
				}
				failed = failed || err != nil
				if output == "json" {
					err = lintJSON(c.OutOrStdout(), name, p, errs)
				} else {
					err = lintText(c.OutOrStdout(), c.ErrOrStderr(), p, errs)
				}
				if err != nil {
					return err
				}
			}
			if failed {
				return errReported
			}
			return nil
		},
	}
	output.add(c)
	return c
}

// lintText prints what is wrong with a file, or its notes and what it is.
func lintText(stdout, stderr io.Writer, p *protocol.Protocol, errs protocol.Errors) error {
	if p == nil {
		_, err := fmt.Fprint(stderr, errs.Report())
		return err
	}
	for _, n := range p.Notes {
		note := *n
		note.Message = "note: " + n.Message
		fmt.Fprint(stdout, note.Report())
	}
	_, err := fmt.Fprintf(stdout, "%s %s: ok (CTCAE %s, %d arms, %d regimens, hash %s)\n", p.Study, p.Version, p.CTCAE, len(p.Arms), len(p.Regimens), p.Hash[:16])
	return err
}

// lintJSON prints the same as JSON lines.
func lintJSON(w io.Writer, name string, p *protocol.Protocol, errs protocol.Errors) error {
	type line struct {
		Kind    string `json:"kind"` // error, note or ok
		File    string `json:"file"`
		Line    int    `json:"line,omitempty"` // from 1; left out where it belongs to no place
		Column  int    `json:"column,omitempty"`
		Message string `json:"message,omitempty"`
		Study   string `json:"study,omitempty"` // of a file that is in order
		Version string `json:"version,omitempty"`
		Hash    string `json:"hash,omitempty"`
	}
	out := offline.NewPrinter(w)
	for _, e := range errs {
		out.Print(line{Kind: "error", File: name, Line: e.Line, Column: e.Column, Message: e.Message})
	}
	if p != nil {
		for _, n := range p.Notes {
			out.Print(line{Kind: "note", File: name, Line: n.Line, Column: n.Column, Message: n.Message})
		}
		out.Print(line{Kind: "ok", File: name, Study: p.Study, Version: p.Version, Hash: p.Hash})
	}
	return out.Flush()
}

func newProtocolExplain() *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "explain [--format md|html] FILE",
		Short: "Write a protocol file out for review: schedule, limits and every rule with its source",
		Long: `explain writes what trialwatch reads in a protocol file, for the people who sign it: arms, the calendar of study days, every
window and limit, the hold criteria, every monitored CTCAE term with its limits in the pinned version, what is expected, and every rule
that runs with its parameters, urgency and source; rules that do not run are named with the reason.

Markdown for a pull request, or one page of HTML that needs nothing from elsewhere and prints on A4. The same file gives the same bytes.`,
		Example: `  trialwatch protocol explain deployments/protocols/til-il2/protocol.yaml | less
  trialwatch protocol explain --format html my-trial/protocol.yaml > my-trial.html`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			write, ok := map[string]func(*protocol.Protocol) string{"md": review.ProtocolMarkdown, "html": review.ProtocolHTML}[format]
			if !ok {
				return usageError{fmt.Errorf("--format %q: want md or html", format)}
			}
			ps, err := loadProtocols(c.ErrOrStderr(), args)
			if err != nil {
				return err
			}
			_, err = io.WriteString(c.OutOrStdout(), write(ps[0]))
			return err
		},
	}
	c.Flags().StringVar(&format, "format", "md", "md or html")
	return c
}

func newProtocolDiff() *cobra.Command {
	var events, siteFiles []string
	var asOf string
	var output outputFlag
	c := &cobra.Command{
		Use:   "diff [--events FILE]… [--site-file FILE]… [--as-of RFC3339] [--output table|json] OLD NEW",
		Short: "What changes between two protocol files, and what would be found otherwise",
		Long: `diff compares what two protocol files say, key by key: a window or limit that changed, a term more or less, another arm. Entries belong
together by their id or term, not by their place; comments, layout and the order of plain lists are no difference. Where the files pin
different versions of the CTCAE, it lists every monitored term whose limits differ.

With --events it evaluates the files of FHIR resources by both protocols, as evaluate does, and lists the findings that would appear,
vanish or change.

Exit status 0 says that the protocols are the same, 1 that they differ (or that something could not be read), 2 a wrong command line.`,
		Example: `  trialwatch protocol diff deployments/protocols/til-il2/protocol.yaml amended.yaml
  trialwatch protocol diff --events enrolments.ndjson --events events.ndjson old.yaml new.yaml
  trialwatch protocol diff --output json old.yaml new.yaml | jq 'select(.kind == "rule-change")'`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			ps, err := loadProtocols(c.ErrOrStderr(), args)
			if err != nil {
				return err
			}
			d := review.Differ(ps[0], ps[1])
			if len(events) > 0 {
				go batchMemory.bound(c.Context())
				now, err := parseTime("--as-of", asOf)
				if err != nil {
					return err
				}
				sites, err := loadSites(c.ErrOrStderr(), siteFiles, ps)
				if err != nil {
					return err
				}
				if err := compareFindings(c, d, events, sites, now); err != nil {
					return err
				}
			}
			if output == "json" {
				out := offline.NewPrinter(c.OutOrStdout())
				d.Print(out)
				err = out.Flush()
			} else {
				err = d.Write(c.OutOrStdout())
			}
			if err == nil && d.Any() {
				err = errReported
			}
			return err
		},
	}
	c.Flags().StringArrayVar(&events, "events", nil, "file of FHIR resources to evaluate by both protocols, more than one for several files")
	c.Flags().StringArrayVar(&siteFiles, "site-file", nil, "site file for the events (repeatable)")
	c.Flags().StringVar(&asOf, "as-of", "", "the evaluating now, RFC 3339 (default: the latest receipt in the events)")
	output.add(c)
	return c
}

// compareFindings evaluates files by both protocols. Each reads them with its own codes.
func compareFindings(c *cobra.Command, d *review.Difference, files []string, sites []*sitefile.Site, now time.Time) error {
	if slices.Contains(files, "-") {
		return usageError{errors.New("--events -: the events are read twice, which standard input cannot be")}
	}
	evaluators := make([]*offline.Evaluator, 2)
	for i, p := range []*protocol.Protocol{d.Old, d.New} {
		e, err := readFeed(c, []*protocol.Protocol{p}, sites, files)
		if err != nil {
			return err
		}
		evaluators[i] = e
	}
	if now.IsZero() {
		now = evaluators[0].Latest()
		if t := evaluators[1].Latest(); t.After(now) {
			now = t
		}
	}
	old, new := evaluators[0].At(now), evaluators[1].At(now)
	d.Events, d.AsOf, d.Refused = files, now, len(new.Refused)
	d.Findings, d.Same = offline.Compare(old.Findings, new.Findings, d.Renamed(), now)
	return nil
}

func newProtocolTest() *cobra.Command {
	var o testOptions
	var run string
	c := &cobra.Command{
		Use:   "test [--run REGEXP] [--orders N] [--seed N] [--update] DIR…",
		Short: "Run the clinical scenarios of a protocol",
		Long: `test runs every DIR/scenarios/*.txtar against DIR/protocol.yaml: what is sent step by step, what must be told, and what must stand at
the end. Each story must come out the same in every order of what is sent, and with what is sent sent again: every order there is of at
most 7 lines, --orders of a longer feed; each line twice, at four places; and all lines twice. What was played is counted.

Of a story that no longer holds it says which alert was wanted and not said, said and not wanted, or said otherwise and in what, and shows
what was known of the patient around that time. --update rewrites what is wanted with what was said: read the difference before you keep it.

Exit status 0 says that every story holds, 1 that one does not or that something could not be read, 2 a wrong command line.`,
		Example: `  trialwatch protocol test deployments/protocols/til-il2
  trialwatch protocol test --run 's1[34]-' deployments/protocols/til-il2`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			if o.only, err = regexp.Compile(run); err != nil {
				return usageError{fmt.Errorf("--run: %w", err)}
			}
			if o.orders < 1 {
				return usageError{fmt.Errorf("--orders %d: want at least 1", o.orders)}
			}
			failed := 0
			for _, dir := range args {
				n, err := testProtocol(c, dir, &o)
				if err != nil {
					return err
				}
				failed += n
			}
			if failed > 0 {
				return errReported
			}
			return nil
		},
	}
	c.Flags().BoolVar(&o.update, "update", false, "rewrite what is wanted with what was said")
	c.Flags().IntVar(&o.orders, "orders", scenario.DefaultOrders, "orders to play of a feed of more than 7 lines")
	c.Flags().Uint64Var(&o.seed, "seed", 0, "of the orders that are drawn")
	c.Flags().StringVar(&run, "run", "", "only the stories whose name matches this regular expression")
	return c
}

// testOptions are the flags of protocol test.
type testOptions struct {
	only   *regexp.Regexp
	update bool
	orders int
	seed   uint64
}

// testProtocol runs the scenarios of one directory and returns how many failed.
func testProtocol(c *cobra.Command, dir string, o *testOptions) (failed int, err error) {
	r, names, err := loadScenarios(c, dir, o.only)
	if err != nil {
		return 0, err
	}
	r.Orders, r.Seed = o.orders, o.seed
	every, orders, repeated := 0, 0, 0
	for _, name := range names {
		out, err := testScenario(r, name, o.update)
		problems := out.Failures
		if err != nil {
			problems = []string{err.Error()}
		}
		orders, repeated = orders+out.Played.Orders, repeated+out.Played.Repeated
		if out.Played.Every() {
			every++
		}
		short := storyName(name)
		if len(problems) == 0 {
			fmt.Fprintf(c.OutOrStdout(), "ok    %-40s %s\n", short, played(out.Played))
			continue
		}
		failed++
		fmt.Fprintf(c.OutOrStdout(), "FAIL  %s\n      %s\n", short, strings.ReplaceAll(strings.Join(problems, "\n"), "\n", "\n      "))
	}
	fmt.Fprintf(c.OutOrStdout(), "%d scenarios, %d failed; played in %d orders (of %d scenarios in every one, of the others in %d each, seed %d) and %d times with repetitions\n",
		len(names), failed, orders, every, o.orders, o.seed, repeated)
	return failed, nil
}

// loadScenarios reads the protocol of a directory and finds its scenarios whose name matches.
func loadScenarios(c *cobra.Command, dir string, only *regexp.Regexp) (*scenario.Runner, []string, error) {
	file := filepath.Join(dir, "protocol.yaml")
	_, text, err := readProtocol(file)
	if errs, ok := errors.AsType[protocol.Errors](err); ok {
		fmt.Fprint(c.ErrOrStderr(), errs.Report())
		return nil, nil, errReported
	}
	if err != nil {
		return nil, nil, err
	}
	names, err := filepath.Glob(filepath.Join(dir, "scenarios", "*.txtar"))
	if err != nil {
		return nil, nil, err
	}
	if len(names) == 0 {
		return nil, nil, fmt.Errorf("%s holds no scenarios: want some in %s", dir, filepath.Join(dir, "scenarios", "*.txtar"))
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !only.MatchString(storyName(name)) })
	if len(names) == 0 {
		return nil, nil, fmt.Errorf("%s: no scenario is called so: --run %s", dir, only)
	}
	return &scenario.Runner{
		File: file, Protocol: text,
		NewDecoder: func(ps []*protocol.Protocol) (*fhir.Decoder, error) { return app.NewDecoder(ps, nil) },
	}, names, nil
}

// played says in how many ways a story came out the same: "7 lines: all 5040 orders, 32 repetitions".
func played(p scenario.Played) string {
	of := ""
	if p.Every() {
		of = "all "
	}
	return fmt.Sprintf("%2d lines: %s%d orders, %d repetitions", p.Lines, of, p.Orders, p.Repeated)
}

func storyName(file string) string { return strings.TrimSuffix(filepath.Base(file), ".txtar") }

func readScenario(name string) (*scenario.Scenario, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return scenario.Parse(name, data)
}

func testScenario(r *scenario.Runner, name string, update bool) (out scenario.Outcome, err error) {
	s, err := readScenario(name)
	if err != nil {
		return out, err
	}
	if out, err = r.Run(s); err != nil || !update {
		return out, err
	}
	out.Failures = nil
	return out, os.WriteFile(name, out.Golden, 0o644)
}
