package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trialwatch/trialwatch/internal/mutation"
	"github.com/trialwatch/trialwatch/internal/offline"
	"github.com/trialwatch/trialwatch/internal/scenario"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

func newProtocolMutate() *cobra.Command {
	var path, run string
	var sample int
	var seed uint64
	var output outputFlag
	c := &cobra.Command{
		Use:   "mutate [--path REGEXP] [--run REGEXP] [--sample N] [--output table|json] DIR",
		Short: "Which parameters of a protocol no scenario pins",
		Long: `mutate changes DIR/protocol.yaml in one place at a time and plays DIR/scenarios/*.txtar by what comes out. A change that no scenario notices
is a parameter that nothing pins: it is shown with its line and what it was changed to.

Numbers go one unit of their last digit up and down, durations a minute, dates a day; atLeast becomes above, below becomes atMost, and
back; a word becomes the others that its schema allows, or the next ones that the file uses in such a place; true becomes false; entries
of lists and optional keys are left out. Titles, labels, citations, ids, versions and words for texts are left as they are.

What does not lint is not tried, and counted by the reason; what says the same as before (a default in words) is counted too. Nothing is
written. Exit status 0 says that a scenario notices every change, 1 that one goes unnoticed or that something could not be read, 2 a wrong
command line.`,
		Example: `  trialwatch protocol mutate deployments/protocols/til-il2
  trialwatch protocol mutate --path 'febrileNeutropenia' deployments/protocols/til-il2
  trialwatch protocol mutate --output json deployments/protocols/til-il2 | jq 'select(.noticedBy == "s13-silent-miss")'`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			places, err := regexp.Compile(path)
			if err != nil {
				return usageError{fmt.Errorf("--path: %w", err)}
			}
			only, err := regexp.Compile(run)
			if err != nil {
				return usageError{fmt.Errorf("--run: %w", err)}
			}
			if sample < 0 {
				return usageError{fmt.Errorf("--sample %d: want 0, for all of them, or more", sample)}
			}
			r, stories, err := loadStories(c, args[0], only)
			if err != nil {
				return err
			}
			mutants, err := mutation.Of(r.Protocol)
			if err != nil {
				return err
			}
			mutants = slices.DeleteFunc(mutants, func(m mutation.Mutant) bool { return !places.MatchString(m.Path) })
			if len(mutants) == 0 {
				return fmt.Errorf("%s: nothing to change: --path %s", r.File, path)
			}
			mutants = mutation.Sample(mutants, sample, rand.New(rand.NewPCG(seed, 1)))
			verdicts, err := mutation.Run(r, stories, mutants)
			if err != nil {
				return err
			}
			if output == "json" {
				err = mutantsJSON(c.OutOrStdout(), verdicts)
			} else {
				err = mutantsText(c.OutOrStdout(), r.File, verdicts, len(stories))
			}
			if err == nil && slices.ContainsFunc(verdicts, func(v mutation.Verdict) bool { return v.Survives() }) {
				err = errReported
			}
			return err
		},
	}
	c.Flags().StringVar(&path, "path", "", "only places whose path matches this regular expression, such as 'regimens|dosing'")
	c.Flags().StringVar(&run, "run", "", "only the stories whose name matches this regular expression")
	c.Flags().IntVar(&sample, "sample", 0, "try so many changes, drawn at random (0 = all)")
	c.Flags().Uint64Var(&seed, "seed", 0, "of the sample")
	output.add(c)
	return c
}

// loadStories reads the scenarios of a directory. They hold by the protocol as it is: of one that does not, nothing could be said.
func loadStories(c *cobra.Command, dir string, only *regexp.Regexp) (*scenario.Runner, []*scenario.Scenario, error) {
	r, names, err := loadScenarios(c, dir, only)
	if err != nil {
		return nil, nil, err
	}
	p, err := protocol.Parse(r.File, r.Protocol)
	if err != nil {
		return nil, nil, err
	}
	decoder, err := r.NewDecoder([]*protocol.Protocol{p})
	if err != nil {
		return nil, nil, err
	}
	var stories []*scenario.Scenario
	var errs []error
	for _, name := range names {
		s, err := readScenario(name)
		if err == nil {
			var fails bool
			if fails, err = r.Notices(s, r.Protocol, p, decoder); fails {
				err = fmt.Errorf("%s does not hold: see protocol test", s.Name)
			}
		}
		stories, errs = append(stories, s), append(errs, err)
	}
	return r, stories, errors.Join(errs...)
}

// mutantsText prints every change that goes unnoticed, and counts the others.
func mutantsText(w io.Writer, file string, verdicts []mutation.Verdict, stories int) error {
	noticed, same, unnoticed, reasons := 0, 0, 0, map[string]int{}
	for i := range verdicts {
		switch v := &verdicts[i]; {
		case v.Invalid != "":
			reasons[v.Invalid]++
		case v.Same:
			same++
		case v.Noticed != "":
			noticed++
		default:
			unnoticed++
			e := protocol.Error{File: file, Line: v.Line, Column: v.Column, Message: v.Name() + ": no scenario notices", Excerpt: v.Excerpt}
			fmt.Fprint(w, e.Report())
		}
	}
	_, err := fmt.Fprintf(w, "%d changes by %d scenarios: %d noticed, %d not; %d say the same as before; %d do not lint and were not tried\n",
		len(verdicts), stories, noticed, unnoticed, same, len(verdicts)-noticed-unnoticed-same)
	if err != nil {
		return err
	}
	for _, reason := range slices.SortedFunc(maps.Keys(reasons), func(a, b string) int {
		if d := reasons[b] - reasons[a]; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	}) {
		if _, err := fmt.Fprintf(w, "%5d  %s\n", reasons[reason], reason); err != nil {
			return err
		}
	}
	return nil
}

// mutantsJSON prints a line for every change.
func mutantsJSON(w io.Writer, verdicts []mutation.Verdict) error {
	type line struct {
		Kind      string `json:"kind"` // mutant
		Path      string `json:"path"`
		Line      int    `json:"line"`
		Column    int    `json:"column"`
		Change    string `json:"change"`
		Verdict   string `json:"verdict"`             // noticed, unnoticed, same or invalid
		NoticedBy string `json:"noticedBy,omitempty"` // the first scenario that does
		Reason    string `json:"reason,omitempty"`    // of one that does not lint
	}
	out := offline.NewPrinter(w)
	for i := range verdicts {
		v := &verdicts[i]
		verdict := "unnoticed"
		switch {
		case v.Invalid != "":
			verdict = "invalid"
		case v.Same:
			verdict = "same"
		case v.Noticed != "":
			verdict = "noticed"
		}
		out.Print(line{"mutant", v.Path, v.Line, v.Column, v.Change, verdict, v.Noticed, v.Invalid})
	}
	return out.Flush()
}
