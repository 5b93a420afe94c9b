// Command trialwatch watches a running clinical trial: FHIR resources in, CTCAE grades and protocol checks, alerts and arm aggregates out.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // the zones of sites, in a container that has no zone files

	"github.com/spf13/cobra"
)

// Exit codes of the contract.
const (
	exitDone  = 0
	exitInput = 1 // found something wrong with the input, or could not do what was asked
	exitUsage = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process: what tests call.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var u usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &u):
		fmt.Fprintf(stderr, "trialwatch: %v\n", err)
		return exitUsage
	case errors.Is(err, errReported):
		return exitInput
	}
	fmt.Fprintf(stderr, "trialwatch: %v\n", err)
	return exitInput
}

// errReported ends a command with status 1 after it has said itself what is wrong.
var errReported = errors.New("already reported")

// usageError is a command line that cannot be understood.
type usageError struct{ error }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "trialwatch",
		Short: "Watch a running clinical trial: FHIR in, CTCAE grades and protocol checks, alerts and arm aggregates out",
		Long: `trialwatch reads FHIR R4 resources from NATS JetStream, grades toxicity by CTCAE, compares what was given with
what the protocol planned, tells coordinators what needs a look, takes it back when the data are corrected, and
keeps aggregates by arm. It is a watch, not the record: every alert shows its evidence and asks for review.

Try it:  trialwatch demo`,
		SilenceUsage: true, SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(newDemo(), newServe(), newIngest(), newEvaluate(), newReport(), newExplain(), newGrade(), newAlerts(), newAggregates(), newDeadLetters(), newProtocol(), newSchema())
	for _, c := range root.Commands() {
		wrapArgs(c)
	}
	return root
}

// wrapArgs makes wrong arguments usage errors, as wrong flags are.
func wrapArgs(c *cobra.Command) {
	check := c.Args
	if c.HasSubCommands() {
		check = cobra.NoArgs
		c.RunE = func(c *cobra.Command, _ []string) error {
			_ = c.Help()
			return usageError{fmt.Errorf("%s needs a subcommand", c.CommandPath())}
		}
	}
	if check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usageError{fmt.Errorf("%s: %w (see %s --help)", c.Name(), err, c.CommandPath())}
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		wrapArgs(sub)
	}
}
