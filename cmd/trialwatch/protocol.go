package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trialwatch/trialwatch/fhir"
	"github.com/trialwatch/trialwatch/internal/app"
	"github.com/trialwatch/trialwatch/internal/offline"
	"github.com/trialwatch/trialwatch/internal/scenario"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

func newProtocol() *cobra.Command {
	c := &cobra.Command{Use: "protocol", Short: "Tools for people who write protocols"}
	c.AddCommand(newProtocolLint(), newProtocolTest())
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

func newProtocolTest() *cobra.Command {
	var update bool
	c := &cobra.Command{
		Use:   "test DIR…",
		Short: "Run the clinical scenarios of a protocol",
		Long: `test runs every DIR/scenarios/*.txtar against DIR/protocol.yaml: what is sent step by step, what must be told, and what must stand at
the end. Each story is also played in shuffled order and with repetitions, and must come out the same. --update rewrites what is
wanted with what was said: read the difference before you keep it.`,
		Example: `  trialwatch protocol test deployments/protocols/til-il2`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			failed := 0
			for _, dir := range args {
				n, err := testProtocol(c, dir, update)
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
	c.Flags().BoolVar(&update, "update", false, "rewrite what is wanted with what was said")
	return c
}

// testProtocol runs the scenarios of one directory and returns how many failed.
func testProtocol(c *cobra.Command, dir string, update bool) (failed int, err error) {
	file := filepath.Join(dir, "protocol.yaml")
	_, text, err := readProtocol(file)
	var errs protocol.Errors
	if errors.As(err, &errs) {
		fmt.Fprint(c.ErrOrStderr(), errs.Report())
		return 0, errReported
	}
	if err != nil {
		return 0, err
	}
	names, err := filepath.Glob(filepath.Join(dir, "scenarios", "*.txtar"))
	if err != nil {
		return 0, err
	}
	if len(names) == 0 {
		return 0, fmt.Errorf("%s holds no scenarios: want some in %s", dir, filepath.Join(dir, "scenarios", "*.txtar"))
	}
	r := &scenario.Runner{
		File: file, Protocol: text,
		NewDecoder: func(ps []*protocol.Protocol) (*fhir.Decoder, error) { return app.NewDecoder(ps, nil) },
	}
	for _, name := range names {
		problems, err := testScenario(r, name, update)
		if err != nil {
			problems = []string{err.Error()}
		}
		short := strings.TrimSuffix(filepath.Base(name), ".txtar")
		if len(problems) == 0 {
			fmt.Fprintf(c.OutOrStdout(), "ok    %s\n", short)
			continue
		}
		failed++
		fmt.Fprintf(c.OutOrStdout(), "FAIL  %s\n      %s\n", short, strings.ReplaceAll(strings.Join(problems, "\n"), "\n", "\n      "))
	}
	fmt.Fprintf(c.OutOrStdout(), "%d scenarios, %d failed\n", len(names), failed)
	return failed, nil
}

func testScenario(r *scenario.Runner, name string, update bool) ([]string, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	s, err := scenario.Parse(name, data)
	if err != nil {
		return nil, err
	}
	out, err := r.Run(s)
	if err != nil || !update {
		return out.Failures, err
	}
	return nil, os.WriteFile(name, out.Golden, 0o644)
}
