package aggregate

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/trialwatch/trialwatch/rules/protocol"
)

// Pooled are the panels that are shown to who may not see the arms, in their order. Response, survival and biomarkers are none of them: what is to be expected
// of one arm is known before the trial, and the rest is the other's.
var Pooled = []string{Enrolment, Toxicity, Deviations, Exposure, Stay, Feed}

// PooledPanel is what somebody is shown who may not see the arms: the total of a panel and nothing else of it. It does not say how many messages are behind it.
type PooledPanel struct {
	Kind     string       `json:"kind"` // "pooled"
	Study    string       `json:"study"`
	Name     string       `json:"panel"`
	AsOf     time.Time    `json:"asOf"`
	Protocol protocol.Pin `json:"protocol"`
	All      any          `json:"all,omitempty"`
	Sites    []SiteRow    `json:"sites,omitempty"` // of the panel feed
	// Under suppression these stand in the place of All and Sites: see [Suppress]. Enrolled is of the panel enrolment.
	SuppressBelow int     `json:"suppressBelow,omitempty"`
	Enrolled      *int    `json:"enrolled,omitempty"`
	Bounds        []Bound `json:"bounds,omitempty"`
}

// Pool makes of the panels of a study what is shown to who may not see the arms. Under a protocol with blinding it also leaves out what only some arms have: its
// count is the count of an arm. Panels that are not shown are left out; those given are not changed.
func Pool(p *protocol.Protocol, panels []Panel) []PooledPanel {
	var out []PooledPanel
	for i := range panels {
		panel := &panels[i]
		if panel.Study != p.Study || !slices.Contains(Pooled, panel.Name) {
			continue
		}
		out = append(out, PooledPanel{
			Kind: "pooled", Study: panel.Study, Name: panel.Name, AsOf: panel.AsOf, Protocol: panel.Protocol, All: poolEntry(p, panel.All), Sites: slices.Clone(panel.Sites),
		})
	}
	return out
}

func poolEntry(p *protocol.Protocol, entry any) any {
	if p.Blinding == nil {
		return entry
	}
	switch e := entry.(type) {
	case EnrolmentEntry:
		e.Flow = slices.DeleteFunc(slices.Clone(e.Flow), func(s StepEntry) bool { return p.TreatmentTellsArms(s.Step) })
		return e
	case ToxicityEntry:
		e.Stopping = nil // for those who decide
		return e
	case ExposureEntry:
		e.Regimens = slices.DeleteFunc(slices.Clone(e.Regimens), func(r RegimenEntry) bool { return p.TellsArms(r.Regimen) })
		return e
	}
	return entry
}

// Read reads a published panel. Of its entries only All is read, as one of the …Entry types, and only of a panel that can be pooled.
func Read(data []byte) (Panel, error) {
	var p struct {
		Panel
		All        json.RawMessage `json:"all"`
		Arms       json.RawMessage `json:"arms"`
		AsTreated  json.RawMessage `json:"asTreated"`
		Comparison json.RawMessage `json:"comparison"`
	}
	if err := json.Unmarshal(data, &p); err != nil {
		return Panel{}, fmt.Errorf("panel: %w", err)
	}
	read := map[string]func() (any, error){
		Enrolment: entryOf[EnrolmentEntry](p.All), Toxicity: entryOf[ToxicityEntry](p.All), Deviations: entryOf[DeviationsEntry](p.All),
		Exposure: entryOf[ExposureEntry](p.All), Stay: entryOf[StayEntry](p.All),
	}[p.Name]
	if read == nil {
		return p.Panel, nil
	}
	var err error
	if p.Panel.All, err = read(); err != nil {
		return Panel{}, fmt.Errorf("panel %s of %s: all: %w", p.Name, p.Study, err)
	}
	return p.Panel, nil
}

func entryOf[E any](data []byte) func() (any, error) {
	return func() (any, error) {
		var e E
		err := json.Unmarshal(data, &e)
		return e, err
	}
}
