package main

import (
	"fmt"
	"io"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/trialwatch/trialwatch/internal/grade"
)

func newGrade() *cobra.Command {
	var explain bool
	c := &cobra.Command{
		Use:   "grade [--explain] [FILE|-]",
		Short: "Grade a table of results by CTCAE: CSV in, the same rows with a column grade out",
		Long: `grade reads CSV with a header and writes the same rows with a last column grade: 0 to 4, empty where there is no
grade. Columns, in any order, missing ones are empty:

  version             4.03, 5.0 or 6.0
  term                the CTCAE term
  direction           L, H or empty
  unit                of every number in the row; empty where only ratios are compared
  value               the result; a comparator may stand before it (<0.1)
  lln, uln            limits of normal
  baseline            value before treatment
  baseline_indicator  NORMAL, HIGH, LOW or empty: how the baseline lay to its limits of normal
  pct_change          change from baseline, percent

A row is taken as post-baseline. Where a grade depends on symptoms or treatment, it is the worst that the value allows;
--explain adds the range and the reason. Ungradable is not grade 0: without the limit that decides there is no grade.
A row that cannot be read is named by line and column, and keeps an empty grade; the others count, and the exit status is 1.`,
		Example: `  trialwatch grade labs.csv > graded.csv
  trialwatch grade --explain - < labs.csv`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			debug.SetGCPercent(400) // a batch job
			name := "-"
			if len(args) == 1 {
				name = args[0]
			}
			f, _, err := openInput(c, name)
			if err != nil {
				return err
			}
			defer f.Close()
			counts, err := grade.Run(c.OutOrStdout(), f, grade.Options{Explain: explain, Refused: func(r grade.Refusal) { tellRefusal(c.ErrOrStderr(), name, r) }})
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			fmt.Fprintf(c.ErrOrStderr(), "%d rows: %d graded, %d without a grade, %d refused\n", counts.Rows, counts.Graded, counts.Ungradable, counts.Refused)
			if counts.Refused > 0 {
				return errReported
			}
			return nil
		},
	}
	c.Flags().BoolVar(&explain, "explain", false, "add the columns grade_min, grade_max and why before the grade")
	return c
}

func tellRefusal(w io.Writer, name string, r grade.Refusal) {
	column := ""
	if r.Column != "" {
		column = r.Column + ": "
	}
	fmt.Fprintf(w, "%s:%d: refused: %s%s\n", name, r.Line, column, r.Why)
}
