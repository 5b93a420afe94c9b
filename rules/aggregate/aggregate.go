// Package aggregate turns the standings of all patients into what a dashboard shows: counts by arm, and nothing about one patient.
//
// A panel is a pure function of the patients' contributions: their order does not matter, nor what they were before. It is made of counts, of which a contribution is
// taken out and put in again when it changes, so a patient costs what changes and not what all the others have. No subject id is read here, so none can leak.
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

// Panels makes every panel of a study. asOf is shown in the study's zone.
func Panels(p *protocol.Protocol, patients []rules.Summary, feed []SiteRow, asOf time.Time) []Panel {
	b := NewBoard(p)
	for i := range patients {
		b.change(nobody, &patients[i])
	}
	return b.Panels(feed, asOf)
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

// enrolment counts patients by how far they have come.
type enrolment struct {
	b                                               *Board
	treated, onStudy, offStudy, evaluable, assessed int
	started                                         map[string]int
}

func (c *enrolment) change(out, in *rules.Summary) {
	c.count(out, -1)
	c.count(in, 1)
}

func (c *enrolment) count(s *rules.Summary, by int) {
	if !s.Enrolled {
		return
	}
	add := func(n *int, is bool) {
		if is {
			*n += by
		}
	}
	add(&c.treated, s.Treated)
	add(&c.offStudy, s.OffStudy)
	add(&c.onStudy, !s.OffStudy)
	add(&c.evaluable, s.Evaluable)
	add(&c.assessed, s.Assessed)
	for _, step := range s.Started {
		c.started[step] += by
	}
}

func (c *enrolment) entry(g *group) any {
	e := EnrolmentEntry{
		Arm: g.arm, Enrolled: g.n, Treated: c.treated, OnStudy: c.onStudy, OffStudy: c.offStudy, Evaluable: c.evaluable, AsTreated: c.b.others[g.arm],
		Flow: []StepEntry{{"enrolled", g.n}},
	}
	if g.arm == "" {
		e.Unassigned = c.b.unassigned
	}
	for _, step := range c.b.p.Treatments {
		e.Flow = append(e.Flow, StepEntry{step, c.started[step]})
	}
	if c.b.p.Response != nil {
		e.Flow = append(e.Flow, StepEntry{"assessed", c.assessed})
	}
	return e
}
