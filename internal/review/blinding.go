package review

import (
	"slices"

	"github.com/trialwatch/trialwatch/rules/protocol"
)

var blindingFields = []field{
	{"unblinded", "May see the arms", "trialwatch asks nobody who he is: who gives out passwords and reports must keep to this"},
	{"publishEvery", "Pooled panels are published every", "on the clocks of the trial, whatever happens in between"},
	{"suppressBelow", "Counts in steps of", "pooled panels say of a count of patients only that it is at least a multiple of this, and nothing else: no events, doses, medians or ranges"},
	{"cite", "Source", ""},
}

// blinding explains who may see the arms, and what the others are shown.
func blinding(d *document, p *protocol.Protocol) {
	if p.Blinding == nil {
		return
	}
	d.add(heading{2, "Who may see the arms"}, table{"facts", []string{"what", "value", "meaning"}, rows(p.Blinding, blindingFields)})
	var hidden []string
	for i := range p.Regimens {
		if name := code(p.Regimens[i].ID); p.TellsArms(p.Regimens[i].ID) && !slices.Contains(hidden, name) {
			hidden = append(hidden, name)
		}
	}
	d.add(paragraph{text: "Everybody else gets the arms pooled, without comparisons, response, survival and biomarkers."})
	if len(hidden) > 0 {
		d.add(paragraph{text: "Nor are they told who was given what only some arms are given, or not alike; left out of the exposure:"}, list(hidden))
	}
	var steps []string
	for _, t := range p.Treatments {
		if p.TreatmentTellsArms(t) {
			steps = append(steps, code(t))
		}
	}
	if len(steps) > 0 {
		d.add(paragraph{text: "Left out of the steps of the trial:"}, list(steps))
	}
}
