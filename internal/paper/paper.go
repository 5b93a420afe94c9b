// Package paper compares the aggregates of the synthetic cohort that the demo plays with what was published of the trial after which the shipped one is
// modelled. The paper's figures are data (hasanov-2025.yaml); the cohort is data of package sim; no figure stands in code.
package paper

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/trialwatch/trialwatch/rules/aggregate"
	"github.com/trialwatch/trialwatch/rules/stat"
)

//go:embed hasanov-2025.yaml
var hasanov []byte

// Abstract is what a publication says.
type Abstract struct {
	Cite    string   `yaml:"cite"`
	Figures []Figure `yaml:"figures"`
}

// Figure is one figure of the paper and where it stands in the aggregates.
type Figure struct {
	Figure string `yaml:"figure"`
	Arm    string `yaml:"arm"` // "": a comparison of the arms; "all": of all patients
	Panel  string `yaml:"panel"`
	At     string `yaml:"at"` // field of the arm's entry, or the term of a toxicity
	As     string `yaml:"as"` // how it is written, see [Figure.Here]
	Paper  string `yaml:"paper"`
	// Unsaid: the paper does not say how it was computed. It is shown, and not counted among those that agree or differ.
	Unsaid bool `yaml:"unsaid"`
}

// Row is a figure beside what the aggregates say: "" while they say nothing.
type Row struct {
	Figure, Arm, Paper, Here string
	Unsaid                   bool // as of its [Figure]
}

// Agrees reports whether the aggregates say what the paper says.
func (r Row) Agrees() bool { return r.Here == r.Paper }

// Read reads the paper's figures.
func Read() (*Abstract, error) {
	var p Abstract
	if err := yaml.UnmarshalWithOptions(hasanov, &p, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("hasanov-2025.yaml: %w", err)
	}
	return &p, nil
}

// Compare puts what panels say, by name, beside the paper.
func (p *Abstract) Compare(panels map[string][]byte) ([]Row, error) {
	var rows []Row
	for i := range p.Figures {
		f := &p.Figures[i]
		here, err := f.Here(panels[f.Panel])
		if err != nil {
			return nil, fmt.Errorf("%s, %s: %w", f.Figure, f.Arm, err)
		}
		rows = append(rows, Row{f.Figure, f.Arm, f.Paper, here, f.Unsaid})
	}
	return rows, nil
}

// Here is the figure in a panel, written as the paper writes it; "" where the panel says nothing.
func (f *Figure) Here(panel []byte) (string, error) {
	entry, err := f.entry(panel)
	if err != nil || entry == nil {
		return "", err
	}
	switch f.As {
	case "count":
		n, err := read[int](entry)
		return strconv.Itoa(n), err
	case "proportion":
		p, err := read[aggregate.Proportion](entry)
		return fmt.Sprintf("%d/%d", p.N, p.Of), err
	case "grade-3":
		t, err := read[aggregate.TermEntry](entry)
		p := t.ByGrade["3"]
		if p.Percent == nil {
			return "", err
		}
		return fmt.Sprintf("%.0f %%", *p.Percent), err
	case "responses":
		b, err := read[aggregate.Best](entry)
		return fmt.Sprintf("%d, %d, %d, %d", b.PR, b.SD, b.PD, b.NE), err
	case "median":
		q, err := read[aggregate.Quantile](entry)
		return f.number(q.Median, f.Paper), err
	case "limits":
		c, err := read[aggregate.SurvivalCurve](entry)
		median, rest, _ := strings.Cut(f.Paper, " (")
		low, high, _ := strings.Cut(strings.TrimSuffix(rest, ")"), "–")
		return fmt.Sprintf("%s (%s–%s)", f.number(c.Median, median), f.number(c.Low, low), f.number(c.High, high)), err
	case "duration": // of one response: to its end, or as far as it was followed
		c, err := read[aggregate.SurvivalCurve](entry)
		if c.Median == nil && c.FollowUp != nil {
			return fmt.Sprintf("> %d", int(*c.FollowUp)), err
		}
		return f.number(c.Median, f.Paper), err
	case "observed": // to the event or the last contact, whichever came
		c, err := read[aggregate.SurvivalCurve](entry)
		var times []float64
		for _, p := range c.Curve {
			for range p.Events + p.Censored {
				times = append(times, p.Months)
			}
		}
		return f.number(stat.Median(times).Value, f.Paper), err
	case "follow-up":
		c, err := read[aggregate.SurvivalCurve](entry)
		return f.number(c.FollowUp, f.Paper), err
	case "p":
		t, err := read[aggregate.LogRankTest](entry)
		return f.number(t.LogRankP, f.Paper), err
	}
	return "", fmt.Errorf("unknown way of writing %q", f.As)
}

// number is written with as many decimals as in the paper.
func (f *Figure) number(v *float64, like string) string {
	if v == nil {
		return "NA"
	}
	_, decimals, _ := strings.Cut(like, ".")
	return strconv.FormatFloat(*v, 'f', len(decimals), 64)
}

// entry is the part of a panel in which the figure stands, nil where it has none.
func (f *Figure) entry(data []byte) (json.RawMessage, error) {
	if data == nil {
		return nil, nil
	}
	panel, err := read[struct {
		Arms       []map[string]json.RawMessage `json:"arms"`
		All        map[string]json.RawMessage   `json:"all"`
		Comparison map[string]json.RawMessage   `json:"comparison"`
	}](data)
	if err != nil || f.Arm == "" {
		return panel.Comparison[f.At], err
	}
	if f.Arm == "all" {
		return panel.All[f.At], nil
	}
	for _, entry := range panel.Arms {
		if arm, err := read[string](entry["arm"]); err != nil || arm != f.Arm {
			continue
		}
		if f.Panel != aggregate.Toxicity {
			return entry[f.At], nil
		}
		terms, err := read[[]json.RawMessage](entry["terms"])
		if err != nil {
			return nil, err
		}
		for _, term := range terms {
			if t, err := read[aggregate.TermEntry](term); err != nil || t.Term == f.At {
				return term, err
			}
		}
	}
	return nil, nil
}

func read[T any](data []byte) (v T, err error) {
	err = json.Unmarshal(data, &v)
	return v, err
}
