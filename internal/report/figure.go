package report

import (
	"fmt"
	"html"
	"html/template"
	"strings"

	"github.com/trialwatch/trialwatch/rules/aggregate"
)

// Figure is a Kaplan-Meier plot with the numbers at risk.
type Figure struct {
	Title, Months string
	Curves        []Curve
}

// Curve is one arm.
type Curve struct {
	Name   string
	Points []aggregate.CurvePoint
}

// strokes tell arms apart in colour and in print without it.
var strokes = []struct{ colour, dash string }{{"#0b5c7a", ""}, {"#b4560f", "7 4"}, {"#5b3f8c", "2 3"}, {"#2f6b3a", "9 3 2 3"}}

const (
	figureWidth, plotHeight = 720, 250
	plotLeft, plotRight     = 64, 12
	plotTop, riskLine       = 12, 17
)

// atRisk is how many are followed at a month: those whose time is not before it.
func atRisk(points []aggregate.CurvePoint, month float64) int {
	for _, p := range points[1:] { // the first is everybody at 0
		if p.Months >= month {
			return p.AtRisk
		}
	}
	if month == 0 {
		return points[0].AtRisk
	}
	return 0
}

// SVG draws the figure. It refers to nothing outside.
func (f *Figure) SVG() template.HTML {
	last := 0.0
	for _, c := range f.Curves {
		if n := len(c.Points); n > 0 {
			last = max(last, c.Points[n-1].Months)
		}
	}
	step := 60
	for _, s := range []int{3, 6, 12, 24} {
		if last <= float64(8*s) {
			step = s
			break
		}
	}
	months := (int(last)/step + 1) * step
	x := func(month float64) float64 {
		return plotLeft + month/float64(months)*(figureWidth-plotLeft-plotRight)
	}
	y := func(share float64) float64 { return plotTop + (1-share)*plotHeight }
	bottom := y(0)
	height := int(bottom) + 62 + riskLine*len(f.Curves)

	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img" aria-label="%s, Kaplan-Meier curves">`, figureWidth, height, html.EscapeString(f.Title))
	for i := range 5 {
		s := float64(i) / 4
		fmt.Fprintf(&b, `<path class="grid" d="M%d %.1fH%d"/><text class="axis" x="%d" y="%.1f" text-anchor="end">%.0f %%</text>`, plotLeft, y(s), figureWidth-plotRight, plotLeft-6, y(s)+4, 100*s)
	}
	for m := 0; m <= months; m += step {
		fmt.Fprintf(&b, `<path class="tick" d="M%.1f %.1fv5"/><text class="axis" x="%.1f" y="%.1f" text-anchor="middle">%d</text>`, x(float64(m)), bottom, x(float64(m)), bottom+18, m)
	}
	fmt.Fprintf(&b, `<text class="axis" x="%d" y="%.1f" text-anchor="middle">%s</text><text class="axis" x="0" y="%.1f">At risk</text>`,
		(plotLeft+figureWidth-plotRight)/2, bottom+35, html.EscapeString(f.Months), bottom+35)
	for i, c := range f.Curves {
		s := strokes[i%len(strokes)]
		var path, censored strings.Builder
		for j, p := range c.Points {
			if j == 0 {
				fmt.Fprintf(&path, "M%.1f %.1f", x(p.Months), y(p.Survival))
			} else {
				fmt.Fprintf(&path, "H%.1fV%.1f", x(p.Months), y(p.Survival))
			}
			if p.Censored > 0 {
				fmt.Fprintf(&censored, "M%.1f %.1fv10", x(p.Months), y(p.Survival)-5)
			}
		}
		fmt.Fprintf(&b, `<path class="curve" stroke="%s" stroke-dasharray="%s" d="%s"/><path class="censored" stroke="%s" d="%s"/>`, s.colour, s.dash, path.String(), s.colour, censored.String())
		line := plotTop + 14 + 18*i
		fmt.Fprintf(&b, `<path class="curve" stroke="%s" stroke-dasharray="%s" d="M%d %dh34"/><text x="%d" y="%d">%s</text>`,
			s.colour, s.dash, figureWidth-230, line, figureWidth-188, line+4, html.EscapeString(c.Name))
		risk := int(bottom) + 52 + riskLine*i
		fmt.Fprintf(&b, `<path class="curve" stroke="%s" stroke-dasharray="%s" d="M0 %dh34"/>`, s.colour, s.dash, risk-4)
		for m := 0; m <= months && len(c.Points) > 0; m += step {
			fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%d</text>`, x(float64(m)), risk, atRisk(c.Points, float64(m)))
		}
	}
	b.WriteString("</svg>")
	return template.HTML(b.String()) //nolint:gosec // numbers, and names that are escaped above
}
