package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trialwatch/trialwatch/fhir"
	"github.com/trialwatch/trialwatch/internal/app"
	"github.com/trialwatch/trialwatch/internal/scenario"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

func newProtocol() *cobra.Command {
	c := &cobra.Command{Use: "protocol", Short: "Tools for people who write protocols"}
	c.AddCommand(newProtocolLint(), newProtocolTest())
	return c
}

func newProtocolLint() *cobra.Command {
	return &cobra.Command{
		Use:   "lint FILE…",
		Short: "Check protocol files: every error with its line and a caret",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			ps, err := loadProtocols(c.ErrOrStderr(), args)
			for _, p := range ps {
				fmt.Fprintf(c.OutOrStdout(), "%s %s: ok (CTCAE %s, %d arms, %d regimens, hash %s)\n", p.Study, p.Version, p.CTCAE, len(p.Arms), len(p.Regimens), p.Hash[:16])
			}
			return err
		},
	}
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
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	if _, err := protocol.Parse(file, text); err != nil {
		printProtocolErrors(c.ErrOrStderr(), err)
		return 0, errReported
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
