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

// deviations counts events, and patients with one.
type deviations struct {
	b                        *Board
	byRule, bySite           map[string]*happened
	byImportance, byCategory map[string]int
}

// happened counts events, and those of so many patients who have had one.
type happened struct{ events, patients, of int }

func newDeviations(b *Board) *deviations {
	return &deviations{
		b: b, byRule: map[string]*happened{}, bySite: map[string]*happened{},
		byImportance: map[string]int{string(rules.Important): 0, string(rules.Minor): 0, string(rules.Query): 0},
		byCategory:   map[string]int{"administration": 0, "assignment": 0, "excluded-medication": 0, "other": 0},
	}
}

func (c *deviations) change(out, in *rules.Summary) {
	c.count(out, -1)
	c.count(in, 1)
}

func (c *deviations) count(s *rules.Summary, by int) {
	if !s.Enrolled {
		return
	}
	at := func(m map[string]*happened, name string) *happened {
		if m[name] == nil {
			m[name] = &happened{}
		}
		return m[name]
	}
	site := at(c.bySite, s.Site)
	site.of += by
	if len(s.Events) > 0 {
		site.patients += by
	}
	last := ""
	for i := range s.Events { // sorted by rule
		e := &s.Events[i]
		n := by * e.Events
		rule := at(c.byRule, e.Rule)
		rule.events += n
		site.events += n
		if i == 0 || e.Rule != last {
			rule.patients += by
		}
		last = e.Rule
		if rule.patients == 0 {
			delete(c.byRule, e.Rule)
		}
		c.byImportance[string(e.Importance)] += n
		category, ok := categories[e.Rule]
		if !ok {
			category = "administration"
		}
		c.byCategory[category] += n
	}
	if site.of == 0 {
		delete(c.bySite, s.Site)
	}
}

func (c *deviations) entry(g *group) any {
	e := DeviationsEntry{Arm: g.arm, N: g.n, ByRule: []RuleEntry{}, ByImportance: maps.Clone(c.byImportance), ByCategory: maps.Clone(c.byCategory), BySite: []SiteEntry{}}
	for _, name := range slices.Sorted(maps.Keys(c.byRule)) {
		e.ByRule = append(e.ByRule, RuleEntry{Rule: name, Events: c.byRule[name].events, Patients: c.b.memo.proportion(c.byRule[name].patients, g.n)})
	}
	for _, name := range slices.Sorted(maps.Keys(c.bySite)) {
		site := c.bySite[name]
		e.BySite = append(e.BySite, SiteEntry{name, site.events, c.b.memo.proportion(site.patients, site.of)})
	}
	return e
}
