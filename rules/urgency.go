package rules

import "github.com/trialwatch/trialwatch/rules/protocol"

// UrgencyOf is how soon a finding of a rule asks to be looked at in a trial: the protocol's urgency for the rule, else the default of
// docs/rules.md. byGrade says that it depends on the grade and on what is expected, as for a graded toxicity; the urgency is then "".
func UrgencyOf(p *protocol.Protocol, rule string) (u Urgency, byGrade bool) {
	c := Case{Protocol: p}
	u = c.urgency(&Finding{Rule: rule})
	if len(rule) > 4 && rule[:4] == "tox." && p.Urgency[rule] == "" && rule != "tox.febrile-neutropenia" {
		return "", true
	}
	return u, false
}
