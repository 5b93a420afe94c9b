// Package aggregate turns the standings of all patients into what a dashboard shows: counts by arm, and nothing about one patient.
//
// A panel is a pure function of the patients' contributions: their order does not matter. No subject id is read here, so none can leak.
package aggregate

import (
	"slices"
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// Names of the panels.
const (
	Enrolment  = "enrolment"
	Toxicity   = "toxicity"
	Deviations = "deviations"
	Exposure   = "exposure"
	Stay       = "stay"
	Response   = "response"
	Survival   = "survival"
	Biomarkers = "biomarkers"
	Feed       = "feed"
)

// Names are the panels in the order in which they are shown. A protocol without a block for one has none of it.
var Names = []string{Enrolment, Toxicity, Deviations, Exposure, Stay, Response, Survival, Biomarkers, Feed}

// Panel is one published table. Arms holds one entry an arm in the protocol's order, by the arm as assigned, and All is the same over all arms; an entry is
// one of the …Entry types. AsTreated holds the entries by the arm as treated, and is there only where somebody was treated otherwise than assigned.
// Comparison is one of the …Comparison types, of two arms as assigned; it is not there where the protocol has more or fewer.
type Panel struct {
	Kind       string       `json:"kind"` // "aggregate"
	Study      string       `json:"study"`
	Name       string       `json:"panel"`
	AsOf       time.Time    `json:"asOf"`
	Through    uint64       `json:"through,omitempty"` // last OUT sequence that is in it; only where it is published
	Protocol   protocol.Pin `json:"protocol"`
	Arms       []any        `json:"arms,omitempty"`
	AsTreated  []any        `json:"asTreated,omitempty"`
	All        any          `json:"all,omitempty"`
	Comparison any          `json:"comparison,omitempty"`
	Sites      []SiteRow    `json:"sites,omitempty"` // of the panel feed
}

// EnrolmentEntry counts patients. AsTreated counts those who were treated as in this arm though assigned to another.
type EnrolmentEntry struct {
	Arm        string      `json:"arm,omitempty"`
	Enrolled   int         `json:"enrolled"`
	Treated    int         `json:"treated"`
	OnStudy    int         `json:"onStudy"`
	OffStudy   int         `json:"offStudy"`
	Evaluable  int         `json:"evaluable"` // treated, with a result that could be graded
	AsTreated  int         `json:"asTreated,omitempty"`
	Unassigned int         `json:"unassigned,omitempty"` // of All: enrolled without a known arm, in no other panel
	Flow       []StepEntry `json:"flow"`
}

// StepEntry counts the patients who came as far as a step of the trial: enrolled, each treatment of the protocol in its order, assessed for response.
type StepEntry struct {
	Step string `json:"step"`
	N    int    `json:"n"`
}

// SiteRow is what a site's feed has sent. NotRelevant is null where it is not known.
type SiteRow struct {
	Site        string    `json:"site"`
	LastEvent   time.Time `json:"lastEvent,omitzero"`
	Facts       uint64    `json:"facts"`
	NotRelevant *uint64   `json:"notRelevant"`
	DeadLetters uint64    `json:"deadLetters"`
}

// group is the patients of one arm, or of all.
type group struct {
	arm string // "" of all
	ps  []*rules.Summary
}

// cohort is a trial's patients with a known arm, grouped once for all panels.
type cohort struct {
	p          *protocol.Protocol
	assigned   []group // an arm each, in the order of the protocol
	treated    []group // by the arm as treated, nil where nobody was treated otherwise
	all        group
	others     map[string]int // by arm: treated so though assigned to another
	unassigned int
	tests      rankSums
}

func newCohort(p *protocol.Protocol, patients []*rules.Summary) *cohort {
	c := &cohort{p: p, others: map[string]int{}, tests: rankSums{}}
	treated := make([]group, len(p.Arms))
	for i, a := range p.Arms {
		c.assigned, treated[i].arm = append(c.assigned, group{arm: a.ID}), a.ID
	}
	index := func(arm string) int {
		return slices.IndexFunc(p.Arms, func(a protocol.Arm) bool { return a.ID == arm })
	}
	for _, s := range patients {
		if !s.Enrolled {
			continue
		}
		at := index(s.Arm)
		if s.ActualAs != "" {
			c.others[s.ActualAs]++
		}
		if s.Arm == protocol.Unassigned {
			c.unassigned++
		}
		if at < 0 {
			continue
		}
		c.assigned[at].ps = append(c.assigned[at].ps, s)
		c.all.ps = append(c.all.ps, s)
		if as := index(s.ActualAs); as >= 0 {
			at = as
		}
		treated[at].ps = append(treated[at].ps, s)
	}
	for i := range treated {
		if c.others[treated[i].arm] > 0 {
			c.treated = treated
		}
	}
	return c
}

// panel makes one panel from what makes an entry of a group.
func (c *cohort) panel(name string, entry func(group) any) Panel {
	out := Panel{Name: name, All: entry(c.all)}
	for _, g := range c.assigned {
		out.Arms = append(out.Arms, entry(g))
	}
	for _, g := range c.treated {
		out.AsTreated = append(out.AsTreated, entry(g))
	}
	return out
}

// maker makes one panel.
type maker struct {
	name string
	make func(*cohort) Panel
}

// makers are the panels of a protocol in the order of [Names], but for the feed's.
func makers(p *protocol.Protocol) []maker {
	list := []maker{
		{Enrolment, (*cohort).enrolment}, {Toxicity, (*cohort).toxicity}, {Deviations, (*cohort).deviations}, {Exposure, (*cohort).exposure}, {Stay, (*cohort).stay},
	}
	if p.Response != nil {
		list = append(list, maker{Response, (*cohort).response})
	}
	if p.Survival != nil {
		list = append(list, maker{Survival, (*cohort).survival})
	}
	if p.Biomarkers != nil {
		list = append(list, maker{Biomarkers, (*cohort).biomarkers})
	}
	return list
}

// Panels makes every panel of a study. asOf is shown in the study's zone.
func Panels(p *protocol.Protocol, patients []rules.Summary, feed []SiteRow, asOf time.Time) []Panel {
	list := make([]*rules.Summary, len(patients))
	for i := range patients {
		list[i] = &patients[i]
	}
	c := newCohort(p, list)
	var out []Panel
	for _, m := range makers(p) {
		out = append(out, m.make(c))
	}
	return finish(p, append(out, feedPanel(feed)), asOf)
}

func feedPanel(feed []SiteRow) Panel {
	sites := slices.Clone(feed)
	slices.SortFunc(sites, func(a, b SiteRow) int { return strings.Compare(a.Site, b.Site) })
	return Panel{Name: Feed, Sites: sites}
}

// finish writes on each panel what all have in common.
func finish(p *protocol.Protocol, panels []Panel, asOf time.Time) []Panel {
	for i := range panels {
		panels[i].Kind, panels[i].Study, panels[i].AsOf, panels[i].Protocol = "aggregate", p.Study, asOf.In(p.Zone), p.Pin()
	}
	return panels
}

func (c *cohort) enrolment() Panel {
	out := c.panel(Enrolment, func(g group) any {
		e := EnrolmentEntry{Arm: g.arm, Enrolled: len(g.ps), AsTreated: c.others[g.arm]}
		if g.arm == "" {
			e.Unassigned = c.unassigned
		}
		started := map[string]int{}
		assessed := 0
		for _, s := range g.ps {
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
			if s.Assessed {
				assessed++
			}
			for _, step := range s.Started {
				started[step]++
			}
		}
		e.Flow = append(e.Flow, StepEntry{"enrolled", e.Enrolled})
		for _, step := range c.p.Treatments {
			e.Flow = append(e.Flow, StepEntry{step, started[step]})
		}
		if c.p.Response != nil {
			e.Flow = append(e.Flow, StepEntry{"assessed", assessed})
		}
		return e
	})
	out.AsTreated = nil // it is counted beside each arm
	return out
}
