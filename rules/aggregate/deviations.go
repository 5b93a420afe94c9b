package aggregate

import (
	"maps"
	"slices"

	"github.com/trialwatch/trialwatch/rules"
)

// DeviationsEntry counts deviations from the protocol.
type DeviationsEntry struct {
	Arm          string         `json:"arm,omitempty"`
	N            int            `json:"n"`
	ByRule       []RuleEntry    `json:"byRule"`
	ByImportance map[string]int `json:"byImportance"` // events: important, minor, query
	// ByCategory are events by the categories of CDISC's protocol deviations: administration, assignment, excluded-medication, other.
	ByCategory map[string]int `json:"byCategory"`
	BySite     []SiteEntry    `json:"bySite"`
}

// SiteEntry is the deviations of one site.
type SiteEntry struct {
	Site     string     `json:"site"`
	Events   int        `json:"events"`
	Patients Proportion `json:"patients"` // of the site's patients
}

// RuleEntry is one rule.
type RuleEntry struct {
	Rule     string     `json:"rule"`
	Events   int        `json:"events"`
	Patients Proportion `json:"patients"`
}

// categories of deviations that are none of administering the study product: CDISC CRF terms of domain DV.
var categories = map[string]string{
	"dev.arm-wrong": "assignment", "dev.route-wrong": "assignment", "dev.conmed-prohibited": "excluded-medication", "dev.assessment-missed": "other",
}

func (c *cohort) deviations() Panel { return c.panel(Deviations, deviations) }

func deviations(g group) any {
	e := DeviationsEntry{
		Arm: g.arm, N: len(g.ps), ByRule: []RuleEntry{}, ByImportance: map[string]int{string(rules.Important): 0, string(rules.Minor): 0, string(rules.Query): 0},
		ByCategory: map[string]int{"administration": 0, "assignment": 0, "excluded-medication": 0, "other": 0}, BySite: []SiteEntry{},
	}
	type count struct{ events, patients, of int }
	byRule, bySite := map[string]*count{}, map[string]*count{}
	of := func(m map[string]*count, name string) *count {
		if m[name] == nil {
			m[name] = &count{}
		}
		return m[name]
	}
	for _, s := range g.ps {
		site := of(bySite, s.Site)
		site.of++
		if len(s.Events) > 0 {
			site.patients++
		}
		last := ""
		for i := range s.Events { // sorted by rule
			ev := &s.Events[i]
			rule := of(byRule, ev.Rule)
			rule.events += ev.Events
			site.events += ev.Events
			if ev.Rule != last {
				rule.patients++
			}
			last = ev.Rule
			e.ByImportance[string(ev.Importance)] += ev.Events
			category, ok := categories[ev.Rule]
			if !ok {
				category = "administration"
			}
			e.ByCategory[category] += ev.Events
		}
	}
	for _, name := range slices.Sorted(maps.Keys(byRule)) {
		e.ByRule = append(e.ByRule, RuleEntry{Rule: name, Events: byRule[name].events, Patients: NewProportion(byRule[name].patients, e.N)})
	}
	for _, name := range slices.Sorted(maps.Keys(bySite)) {
		e.BySite = append(e.BySite, SiteEntry{name, bySite[name].events, NewProportion(bySite[name].patients, bySite[name].of)})
	}
	return e
}
