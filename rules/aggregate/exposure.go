package aggregate

import (
	"slices"
	"strings"

	"github.com/trialwatch/trialwatch/rules/protocol"
)

// ExposureEntry says what was given of what was due.
type ExposureEntry struct {
	Arm      string         `json:"arm,omitempty"`
	N        int            `json:"n"`
	Regimens []RegimenEntry `json:"regimens"`
}

// RegimenEntry is one regimen over the patients whose course has begun: a dose was given, held, refused or missed.
type RegimenEntry struct {
	Regimen string   `json:"regimen"`
	Given   Quantile `json:"given"` // doses a patient; of a regimen in cycles, cycles
	// Completed are those who had as many doses as the regimen has at most.
	Completed Proportion `json:"completed"`
	// Cumulative is what a patient was given in all, in Unit, and PerKg the same by the dosing weight. A patient is in neither while the amount of some dose is
	// not known: Unmeasured counts them.
	Unit       string      `json:"unit,omitempty"`
	Cumulative Quantile    `json:"cumulative"`
	PerKg      Quantile    `json:"perKg"`
	Unmeasured int         `json:"unmeasured"`
	Total      Total       `json:"total"`
	Slots      []SlotEntry `json:"slots"`
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

// ExposureComparison compares the doses a patient of two arms, regimen by regimen; only regimens that both arms have.
type ExposureComparison struct {
	Descriptive bool                `json:"descriptive"`
	Regimens    []RegimenComparison `json:"regimens"`
}

// RegimenComparison is one regimen.
type RegimenComparison struct {
	Regimen string      `json:"regimen"`
	Given   RankSumTest `json:"given"`
}

// exposure is by the arm as assigned alone: what is due is the assigned arm's, whatever was given.
func (c *cohort) exposure() Panel {
	out := c.panel(Exposure, func(g group) any {
		e := ExposureEntry{Arm: g.arm, N: len(g.ps), Regimens: []RegimenEntry{}}
		for _, r := range c.regimens(g.arm) {
			e.Regimens = append(e.Regimens, regimen(r, g))
		}
		return e
	})
	out.AsTreated = nil
	if len(c.assigned) == 2 {
		compared := ExposureComparison{Descriptive: c.descriptive(), Regimens: []RegimenComparison{}}
		for _, r := range c.regimens(c.assigned[0].arm) {
			if slices.ContainsFunc(c.regimens(c.assigned[1].arm), func(o *protocol.Regimen) bool { return o.ID == r.ID }) {
				compared.Regimens = append(compared.Regimens, RegimenComparison{r.ID, c.tests.of("exposure "+r.ID, given(r.ID, c.assigned[0]), given(r.ID, c.assigned[1]))})
			}
		}
		out.Comparison = compared
	}
	return out
}

// regimens are those of an arm, of every arm for "", each once.
func (c *cohort) regimens(arm string) (list []*protocol.Regimen) {
	seen := map[string]bool{}
	for i := range c.p.Regimens {
		r := &c.p.Regimens[i]
		if !seen[r.ID] && (arm == "" || r.Arm == arm || r.Arm == protocol.AllArms) {
			seen[r.ID] = true
			list = append(list, r)
		}
	}
	return list
}

// given are the doses of each patient whose course has begun.
func given(id string, g group) (doses []float64) {
	for _, s := range g.ps {
		for i := range s.Exposure {
			if x := &s.Exposure[i]; x.Regimen == id && x.Begun() {
				doses = append(doses, float64(x.Given))
			}
		}
	}
	return doses
}

func regimen(r *protocol.Regimen, g group) RegimenEntry {
	row := RegimenEntry{Regimen: r.ID, Slots: []SlotEntry{}, Given: NewQuantile(given(r.ID, g))}
	if r.Dose != nil {
		row.Unit, _, _ = strings.Cut(r.Dose.Unit, "/")
	}
	var amounts, perKg []float64
	begun, completed := 0, 0
	for _, s := range g.ps {
		for i := range s.Exposure {
			x := &s.Exposure[i]
			if x.Regimen != r.ID {
				continue
			}
			row.Total.Given += x.Given
			row.Total.Held += x.Held
			row.Total.Refused += x.Refused
			row.Total.Missed += x.Missed
			for i, state := range x.Slots {
				if i == len(row.Slots) {
					row.Slots = append(row.Slots, SlotEntry{Slot: i + 1})
				}
				row.Slots[i].count(state)
			}
			if !x.Begun() {
				continue
			}
			begun++
			if x.Planned > 0 && x.Given >= x.Planned {
				completed++
			}
			switch {
			case x.Unmeasured > 0:
				row.Unmeasured++
			case r.Dose != nil:
				amounts = append(amounts, x.Amount)
				if x.PerKg > 0 || x.Amount == 0 {
					perKg = append(perKg, x.PerKg)
				}
			}
		}
	}
	row.Completed, row.Cumulative, row.PerKg = NewProportion(completed, begun), NewQuantile(amounts), NewQuantile(perKg)
	return row
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
