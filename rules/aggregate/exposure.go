package aggregate

import (
	"iter"
	"slices"
	"strings"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/stat"
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
	Given   Quantile `json:"given"` // doses a patient; of a regimen in cycles, cycles; of doses in parts, days
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

// Outcomes are what can become of a dose, each with how many a total has of it, in the order in which tables show them.
func Outcomes() iter.Seq2[string, func(Total) int] {
	return func(yield func(string, func(Total) int) bool) {
		_ = yield("given", func(t Total) int { return t.Given }) && yield("held", func(t Total) int { return t.Held }) &&
			yield("refused", func(t Total) int { return t.Refused }) && yield("missed", func(t Total) int { return t.Missed })
	}
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

// exposure counts doses of the regimens of an arm.
type exposure struct {
	b        *Board
	regimens []*course
}

// course is what patients had of one regimen.
type course struct {
	*protocol.Regimen
	begun, completed, unmeasured int
	total                        Total
	slots                        []SlotEntry
	reached                      []int // patients with so many slots, or more
	given, amounts, perKg        stat.Values
}

func newExposure(b *Board, g *group) *exposure {
	c := &exposure{b: b}
	for _, r := range regimens(b.p, g.arm) {
		c.regimens = append(c.regimens, &course{Regimen: r})
	}
	return c
}

// regimens are those of an arm, of every arm for "", each once.
func regimens(p *protocol.Protocol, arm string) (list []*protocol.Regimen) {
	seen := map[string]bool{}
	for i := range p.Regimens {
		r := &p.Regimens[i]
		if !seen[r.ID] && (arm == "" || r.Arm == arm || r.Arm == protocol.AllArms) {
			seen[r.ID] = true
			list = append(list, r)
		}
	}
	return list
}

func (c *exposure) change(out, in *rules.Summary) {
	for _, k := range c.regimens {
		for i := range out.Exposure {
			if x := &out.Exposure[i]; x.Regimen == k.ID {
				k.count(x, -1)
			}
		}
		for i := range in.Exposure {
			if x := &in.Exposure[i]; x.Regimen == k.ID {
				k.count(x, 1)
			}
		}
	}
}

func (k *course) count(x *rules.Exposure, by int) {
	k.total.Given += by * x.Given
	k.total.Held += by * x.Held
	k.total.Refused += by * x.Refused
	k.total.Missed += by * x.Missed
	for i, state := range x.Slots {
		if i == len(k.slots) {
			k.slots, k.reached = append(k.slots, SlotEntry{Slot: i + 1}), append(k.reached, 0)
		}
		k.slots[i].count(state, by)
		k.reached[i] += by
	}
	for last := len(k.slots) - 1; last >= 0 && k.reached[last] == 0; last-- {
		k.slots, k.reached = k.slots[:last], k.reached[:last]
	}
	if !x.Begun() {
		return
	}
	change := (*stat.Values).Add
	if by < 0 {
		change = (*stat.Values).Remove
	}
	k.begun += by
	change(&k.given, float64(x.Given))
	if x.Planned > 0 && x.Given >= x.Planned {
		k.completed += by
	}
	switch {
	case x.Unmeasured > 0:
		k.unmeasured += by
	case k.Dose != nil:
		change(&k.amounts, x.Amount)
		if x.PerKg > 0 || x.Amount == 0 {
			change(&k.perKg, x.PerKg)
		}
	}
}

func (c *exposure) entry(g *group) any {
	e := ExposureEntry{Arm: g.arm, N: g.n, Regimens: []RegimenEntry{}}
	for _, k := range c.regimens {
		row := RegimenEntry{
			Regimen: k.ID, Given: quantile(&k.given), Completed: c.b.memo.proportion(k.completed, k.begun), Cumulative: quantile(&k.amounts), PerKg: quantile(&k.perKg),
			Unmeasured: k.unmeasured, Total: k.total, Slots: append([]SlotEntry{}, k.slots...),
		}
		if k.Dose != nil {
			row.Unit, _, _ = strings.Cut(k.Dose.Unit, "/")
		}
		e.Regimens = append(e.Regimens, row)
	}
	return e
}

// compareExposure compares the regimens that both arms have.
func (b *Board) compareExposure() func(*live) any {
	if len(b.p.Arms) != 2 {
		return nil
	}
	type both struct {
		regimen string
		given   *stat.Pair
	}
	var pairs []both
	return func(l *live) any {
		if pairs == nil {
			x, y := l.counts[0].(*exposure), l.counts[1].(*exposure)
			for _, k := range x.regimens {
				if i := slices.IndexFunc(y.regimens, func(o *course) bool { return o.ID == k.ID }); i >= 0 {
					pairs = append(pairs, both{k.ID, stat.NewPair(&k.given, &y.regimens[i].given)})
				}
			}
		}
		compared := ExposureComparison{Descriptive: b.descriptive(), Regimens: []RegimenComparison{}}
		for _, p := range pairs {
			compared.Regimens = append(compared.Regimens, RegimenComparison{p.regimen, rankSum(p.given)})
		}
		return compared
	}
}

func (s *SlotEntry) count(state string, by int) {
	switch state {
	case "given":
		s.Given += by
	case "held":
		s.Held += by
	case "refused":
		s.Refused += by
	case "missed":
		s.Missed += by
	case "pending":
		s.Pending += by
	}
}
