package review

import (
	"strconv"
	"strings"

	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

var (
	responseFields = []field{
		{"codes", "Code of the assessment", "any of these"},
		{"from", "Counts from", "the day after the first of this treatment; what was assessed until then is a baseline"},
		{"endedBy", "Ended by", "no assessment after the first of these counts"},
		{"cite", "Source", ""},
	}
	survivalFields = []field{
		{"from", "Start", "the local day of the first of this; a patient without it is not counted"},
		{"monthDays", "Days of a month", ""},
		{"months", "Rates at month", ""},
		{"cite", "Source", ""},
	}
	categoryTitles = map[timeline.Category]string{
		timeline.CR: "complete response", timeline.PR: "partial response", timeline.SD: "stable disease", timeline.PD: "progressive disease", timeline.NE: "not evaluable",
	}
)

// outcomes explains response, survival, biomarkers and how arms are compared.
func outcomes(d *document, p *protocol.Protocol) {
	if r := p.Response; r != nil {
		facts := rows(r, responseFields)
		confirm := []string{"Confirmation", "none", "a response counts as soon as it is seen"}
		if r.ConfirmAfterDays > 0 {
			confirm = []string{"Confirmed after days", strconv.Itoa(r.ConfirmAfterDays), "a second assessment, at least so many days later and not worse, confirms a response; one that is not confirmed is stable disease if it lasted long enough"}
		}
		facts = append(facts, confirm,
			[]string{"Not evaluable between", strconv.Itoa(r.NotEvaluableBetween), "so many assessments that could not be evaluated may lie between a response and what confirms it"},
			[]string{"Stable after days", strconv.Itoa(r.StableAfterDays), "stable disease counts once it is seen so many days after the start, that day included"})
		t := table{"categories", []string{"category", "codes of the value"}, nil}
		for _, c := range timeline.Categories {
			t.rows = append(t.rows, []string{string(c) + ", " + categoryTitles[c], strings.Join(codeList(r.Categories.Of(c)), ", ")})
		}
		d.add(heading{2, "Response"}, table{"facts", []string{"what", "value", "meaning"}, facts}, t,
			paragraph{soft: true, text: "Best overall response by RECIST 1.1. Nothing counts after the first progression. Who has no assessment that counts is not evaluable, and stays in the denominator."})
	}
	if s := p.Survival; s != nil {
		d.add(heading{2, "Survival"}, table{"facts", []string{"what", "value", "meaning"}, rows(s, survivalFields)},
			paragraph{soft: true, text: "Progression-free survival ends with progression or death, and is censored at the last assessment that could be evaluated. Overall survival ends with death, and is censored when the patient was last known alive."})
	}
	if b := p.Biomarkers; b != nil {
		markers := table{"markers", []string{"marker", "codes", "measured in"}, nil}
		for i := range b.Markers {
			m := &b.Markers[i]
			in := plain(m.Unit)
			if m.Analyte != "" {
				in = "as " + code(m.Analyte)
			}
			markers.rows = append(markers.rows, []string{plain(m.Title) + " " + code(m.ID), or(strings.Join(codeList(m.Codes), ", "), "those of the analyte"), in})
		}
		windows := table{"windows", []string{"window", "study days", "of several values"}, nil}
		for i := range b.Windows {
			w := &b.Windows[i]
			windows.rows = append(windows.rows, []string{plain(w.Title) + " " + code(w.ID), dayName(w.FromDay) + " to " + dayName(w.ToDay), or(w.Take, "last")})
		}
		d.add(heading{2, "Biomarkers"}, markers, windows, paragraph{soft: true, text: "Source: " + plain(b.Cite)})
	}
	if p.DescriptiveBelow > 0 {
		d.add(heading{2, "Comparison of arms"}, paragraph{text: "A comparison with an arm of fewer than " + strconv.Itoa(p.DescriptiveBelow) + " patients is marked as a description: its p-value decides nothing."})
	}
}
