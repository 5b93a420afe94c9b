package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/trialwatch/trialwatch/rules/aggregate"
)

// outcomeTables print the panels of what became of the patients.
var outcomeTables = map[string]func(w io.Writer, body []byte) error{
	aggregate.Stay: func(w io.Writer, body []byte) error {
		es, err := entries[aggregate.StayEntry](body)
		fmt.Fprintln(w, "  ARM\tDAYS IN HOSPITAL\tONGOING\tREADMITTED")
		for _, e := range es {
			fmt.Fprintf(w, "  %s\t%s\t%d\t%s\n", armName(e.Arm), quantile(e.Days), e.Ongoing, proportion(e.Readmitted))
		}
		var c aggregate.StayComparison
		return compared(body, err, &c, func() { fmt.Fprintf(w, "  rank sum P %s%s\n", shown(c.Days.RankSumP), only(c.Descriptive)) })
	},
	aggregate.Response: func(w io.Writer, body []byte) error {
		es, err := entries[aggregate.ResponseEntry](body)
		fmt.Fprintln(w, "  ARM\tN\tCR\tPR\tSD\tPD\tNE\tORR\tDCR\tUNCONFIRMED")
		for _, e := range es {
			b := e.Best
			fmt.Fprintf(w, "  %s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%d\n", armName(e.Arm), e.N, b.CR, b.PR, b.SD, b.PD, b.NE, proportion(e.ORR), proportion(e.DCR), e.Unconfirmed)
		}
		var c aggregate.ResponseComparison
		return compared(body, err, &c, func() {
			fmt.Fprintf(w, "  Fisher P: ORR %s, DCR %s%s\n", shown(c.ORR.FisherP), shown(c.DCR.FisherP), only(c.Descriptive))
		})
	},
	aggregate.Survival: func(w io.Writer, body []byte) error {
		es, err := entries[aggregate.SurvivalEntry](body)
		fmt.Fprintln(w, "  ARM\t\tEVENTS\tMEDIAN, MONTHS\tFOLLOW-UP\tRATES")
		for _, e := range es {
			for _, x := range []struct {
				name string
				c    aggregate.SurvivalCurve
			}{{"PFS", e.PFS}, {"OS", e.OS}} {
				var rates []string
				for _, r := range x.c.Rates {
					rates = append(rates, fmt.Sprintf("%d months %s (%s–%s)", r.Months, shown(r.Estimate), shown(r.Low), shown(r.High)))
				}
				fmt.Fprintf(w, "  %s\t%s\t%d/%d\t%s (%s–%s)\t%s\t%s\n", armName(e.Arm), x.name, x.c.Events, x.c.N, shown(x.c.Median), shown(x.c.Low), shown(x.c.High), shown(x.c.FollowUp), strings.Join(rates, ", "))
			}
		}
		var c aggregate.SurvivalComparison
		return compared(body, err, &c, func() {
			fmt.Fprintf(w, "  log-rank P: PFS %s, OS %s%s\n", shown(c.PFS.LogRankP), shown(c.OS.LogRankP), only(c.Descriptive))
		})
	},
	aggregate.Biomarkers: func(w io.Writer, body []byte) error {
		es, err := entries[aggregate.BiomarkersEntry](body)
		fmt.Fprintln(w, "  ARM\tMARKER\tWINDOW\tN\tMEDIAN\tQUARTILES\tUNIT")
		for _, e := range es {
			for _, m := range e.Markers {
				fmt.Fprintf(w, "  %s\t%s\t%s\t%d\t%s\t%s–%s\t%s\n", armName(e.Arm), m.Marker, m.Window, m.N, shown(m.Median), shown(m.Q1), shown(m.Q3), m.Unit)
			}
		}
		return err
	},
}

// compared reads the comparison of the arms, where there is one, and lets it be printed.
func compared(body []byte, err error, to any, show func()) error {
	var p struct {
		Comparison json.RawMessage `json:"comparison"`
	}
	if err == nil {
		err = json.Unmarshal(body, &p)
	}
	if err != nil || p.Comparison == nil {
		return err
	}
	if err := json.Unmarshal(p.Comparison, to); err != nil {
		return err
	}
	show()
	return nil
}

// shown writes what may not be reached.
func shown(v *float64) string {
	if v == nil {
		return "NA"
	}
	return fmt.Sprintf("%g", *v)
}

func only(descriptive bool) string {
	if descriptive {
		return ", a description only: too few patients"
	}
	return ""
}
