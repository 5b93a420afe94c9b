// Package aggregate turns the standings of all patients into what a dashboard shows: counts by arm, and nothing about one patient.
//
// A panel is a pure function of the patients' contributions: their order does not matter. No subject id is read here, so none can leak.
package aggregate

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/ctcae"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// Names of the panels.
const (
	Enrolment  = "enrolment"
	Toxicity   = "toxicity"
	Deviations = "deviations"
	Exposure   = "exposure"
	Feed       = "feed"
)

// Panel is one published table. Arms holds one entry an arm in the protocol's order, and All is the same over all arms; an entry is one of
// the …Entry types.
type Panel struct {
	Kind     string       `json:"kind"` // "aggregate"
	Study    string       `json:"study"`
	Name     string       `json:"panel"`
	AsOf     time.Time    `json:"asOf"`
	Through  uint64       `json:"through,omitempty"` // last OUT sequence that is in it; only where it is published
	Protocol protocol.Pin `json:"protocol"`
	Arms     []any        `json:"arms,omitempty"`
	All      any          `json:"all,omitempty"`
	Sites    []SiteRow    `json:"sites,omitempty"` // of the panel feed
}

// EnrolmentEntry counts patients. AsTreated counts those who were treated as in this arm though assigned to another.
type EnrolmentEntry struct {
	Arm        string `json:"arm,omitempty"`
	Enrolled   int    `json:"enrolled"`
	Treated    int    `json:"treated"`
	OnStudy    int    `json:"onStudy"`
	OffStudy   int    `json:"offStudy"`
	Evaluable  int    `json:"evaluable"` // treated, with a result that could be graded
	AsTreated  int    `json:"asTreated,omitempty"`
	Unassigned int    `json:"unassigned,omitempty"` // of All: enrolled without a known arm, in no other panel
}

// ToxicityEntry counts a patient once a term, at the worst grade.
type ToxicityEntry struct {
	Arm     string      `json:"arm,omitempty"`
	N       int         `json:"n"` // enrolled with an assigned arm
	Treated int         `json:"treated"`
	Terms   []TermEntry `json:"terms"` // by term; terms with none are left out
}

// TermEntry is one CTCAE term.
type TermEntry struct {
	Term     string                `json:"term"`
	SOC      string                `json:"soc,omitempty"` // system organ class in the protocol's version of CTCAE
	Any      Proportion            `json:"any"`
	Ge3      Proportion            `json:"ge3"`
	ByGrade  map[string]Proportion `json:"byGrade"` // "1" to "5"
	Episodes int                   `json:"episodes"`
}

// DeviationsEntry counts deviations from the protocol.
type DeviationsEntry struct {
	Arm          string         `json:"arm,omitempty"`
	N            int            `json:"n"`
	ByRule       []RuleEntry    `json:"byRule"`
	ByImportance map[string]int `json:"byImportance"` // events: important, minor, query
}

// RuleEntry is one rule.
type RuleEntry struct {
	Rule     string     `json:"rule"`
	Events   int        `json:"events"`
	Patients Proportion `json:"patients"`
}

// ExposureEntry says what was given of what was due.
type ExposureEntry struct {
	Arm      string         `json:"arm,omitempty"`
	N        int            `json:"n"`
	Regimens []RegimenEntry `json:"regimens"`
}

// RegimenEntry is one regimen over the patients whose course has begun: a dose was given, held, refused or missed.
type RegimenEntry struct {
	Regimen string      `json:"regimen"`
	Given   Quantile    `json:"given"` // doses a patient
	Total   Total       `json:"total"`
	Slots   []SlotEntry `json:"slots"`
}

// Total counts doses.
type Total struct {
	Given   int `json:"given"`
	Held    int `json:"held"`
	Refused int `json:"refused"`
	Missed  int `json:"missed"`
}

// SlotEntry counts patients by what became of one dose.
type SlotEntry struct {
	Slot    int `json:"slot"`
	Given   int `json:"given"`
	Held    int `json:"held"`
	Refused int `json:"refused"`
	Missed  int `json:"missed"`
	Pending int `json:"pending"`
}

// SiteRow is what a site's feed has sent. NotRelevant is null where it is not known.
type SiteRow struct {
	Site        string    `json:"site"`
	LastEvent   time.Time `json:"lastEvent,omitzero"`
	Facts       uint64    `json:"facts"`
	NotRelevant *uint64   `json:"notRelevant"`
	DeadLetters uint64    `json:"deadLetters"`
}

// Panels makes every panel of a study. asOf is shown in the study's zone.
func Panels(p *protocol.Protocol, patients []rules.Summary, feed []SiteRow, asOf time.Time) []Panel {
	panel := func(name string, entry func(arm string, ps []rules.Summary) any) Panel {
		out := Panel{Kind: "aggregate", Study: p.Study, Name: name, AsOf: asOf.In(p.Zone), Protocol: p.Pin()}
		if entry == nil {
			return out
		}
		var assigned []rules.Summary
		for _, a := range p.Arms {
			var ps []rules.Summary
			for _, s := range patients {
				if s.Enrolled && s.Arm == a.ID {
					ps = append(ps, s)
				}
			}
			assigned = append(assigned, ps...)
			out.Arms = append(out.Arms, entry(a.ID, ps))
		}
		out.All = entry("", assigned)
		return out
	}
	enrolment := panel(Enrolment, enrolment)
	count := func(entry any, as string, unassigned bool) any {
		e := entry.(EnrolmentEntry)
		for _, s := range patients {
			if as != "" && s.Enrolled && s.ActualAs == as {
				e.AsTreated++
			}
			if unassigned && s.Enrolled && s.Arm == protocol.Unassigned {
				e.Unassigned++
			}
		}
		return e
	}
	for i, a := range p.Arms {
		enrolment.Arms[i] = count(enrolment.Arms[i], a.ID, false)
	}
	enrolment.All = count(enrolment.All, "", true)
	feedPanel := panel(Feed, nil)
	feedPanel.Sites = slices.Clone(feed)
	slices.SortFunc(feedPanel.Sites, func(a, b SiteRow) int { return strings.Compare(a.Site, b.Site) })
	return []Panel{
		enrolment, panel(Toxicity, func(arm string, ps []rules.Summary) any { return toxicity(p.CTCAE, arm, ps) }), panel(Deviations, deviations),
		panel(Exposure, func(arm string, ps []rules.Summary) any { return exposure(p, arm, ps) }), feedPanel,
	}
}

func enrolment(arm string, ps []rules.Summary) any {
	e := EnrolmentEntry{Arm: arm, Enrolled: len(ps)}
	for _, s := range ps {
		if s.Treated {
			e.Treated++
		}
		if s.OffStudy {
			e.OffStudy++
		} else {
			e.OnStudy++
		}
		if s.Evaluable {
			e.Evaluable++
		}
	}
	return e
}

func toxicity(version ctcae.Version, arm string, ps []rules.Summary) any {
	e := ToxicityEntry{Arm: arm, N: len(ps), Terms: []TermEntry{}}
	type tally struct {
		grades   [6]int
		episodes int
	}
	tallies := map[string]*tally{}
	var terms []string
	for _, s := range ps {
		if s.Treated {
			e.Treated++
		}
		for _, t := range s.Toxicity {
			if tallies[t.Term] == nil {
				tallies[t.Term] = &tally{}
				terms = append(terms, t.Term)
			}
			tallies[t.Term].grades[t.Grade]++
			tallies[t.Term].episodes += t.Episodes
		}
	}
	slices.Sort(terms)
	for _, term := range terms {
		g := tallies[term].grades
		row := TermEntry{Term: term, ByGrade: map[string]Proportion{}, Episodes: tallies[term].episodes}
		if c, err := ctcae.Find(version, term); err == nil {
			row.SOC = c.SOC
		}
		any, ge3 := 0, 0
		for grade := 1; grade <= 5; grade++ {
			row.ByGrade[strconv.Itoa(grade)] = NewProportion(g[grade], e.N)
			any += g[grade]
			if grade >= 3 {
				ge3 += g[grade]
			}
		}
		row.Any, row.Ge3 = NewProportion(any, e.N), NewProportion(ge3, e.N)
		e.Terms = append(e.Terms, row)
	}
	return e
}

func deviations(arm string, ps []rules.Summary) any {
	e := DeviationsEntry{Arm: arm, N: len(ps), ByRule: []RuleEntry{}, ByImportance: map[string]int{"important": 0, "minor": 0, "query": 0}}
	events, patients := map[string]int{}, map[string]int{}
	var names []string
	for _, s := range ps {
		last := ""
		for _, ev := range s.Events { // sorted by rule
			if events[ev.Rule] == 0 {
				names = append(names, ev.Rule)
			}
			events[ev.Rule] += ev.Events
			if ev.Rule != last {
				patients[ev.Rule]++
			}
			last = ev.Rule
			e.ByImportance[string(ev.Importance)] += ev.Events
		}
	}
	slices.Sort(names)
	for _, name := range names {
		e.ByRule = append(e.ByRule, RuleEntry{Rule: name, Events: events[name], Patients: NewProportion(patients[name], e.N)})
	}
	return e
}

func exposure(p *protocol.Protocol, arm string, ps []rules.Summary) any {
	e := ExposureEntry{Arm: arm, N: len(ps), Regimens: []RegimenEntry{}}
	seen := map[string]bool{}
	for _, r := range p.Regimens {
		if seen[r.ID] || arm != "" && r.Arm != arm && r.Arm != protocol.AllArms {
			continue
		}
		seen[r.ID] = true
		row := RegimenEntry{Regimen: r.ID, Slots: []SlotEntry{}}
		var given []float64
		for _, s := range ps {
			for _, x := range s.Exposure {
				if x.Regimen != r.ID {
					continue
				}
				row.Total.Given += x.Given
				row.Total.Held += x.Held
				row.Total.Refused += x.Refused
				row.Total.Missed += x.Missed
				if x.Given+x.Held+x.Refused+x.Missed > 0 {
					given = append(given, float64(x.Given))
				}
				for i, state := range x.Slots {
					if i == len(row.Slots) {
						row.Slots = append(row.Slots, SlotEntry{Slot: i + 1})
					}
					row.Slots[i].count(state)
				}
			}
		}
		row.Given = NewQuantile(given)
		e.Regimens = append(e.Regimens, row)
	}
	return e
}

func (s *SlotEntry) count(state string) {
	switch state {
	case "given":
		s.Given++
	case "held":
		s.Held++
	case "refused":
		s.Refused++
	case "missed":
		s.Missed++
	case "pending":
		s.Pending++
	}
}
