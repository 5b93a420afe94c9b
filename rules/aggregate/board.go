package aggregate

import (
	"slices"
	"time"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/stat"
)

// Board keeps the panels of a study while its patients change: only what a changed contribution counts to is counted again. The panels are always those that
// [Panels] makes from scratch, to the byte. Use [NewBoard]; not safe for concurrent use.
type Board struct {
	p        *protocol.Protocol
	patients map[string]*rules.Summary
	// groups are the arms as assigned in the order of the protocol, all of them, and the arms as treated.
	groups     []*group
	others     map[string]int // by arm: treated so though assigned to another
	unassigned int
	panels     []*live
	memo       memo
}

// group is the patients of one arm, or of all.
type group struct {
	arm       string // "" of all
	asTreated bool
	n         int
}

// counts is what a panel counts of one group. A contribution that is put in and taken out again leaves no trace.
type counts interface {
	// change takes out what a patient contributed and puts in what he contributes now. Either is [nobody]'s where he comes or goes.
	change(out, in *rules.Summary)
	entry(*group) any
}

// live is one panel while it changes.
type live struct {
	name    string
	touches func(out, in *rules.Summary) bool // of a patient who stays in his groups
	counts  []counts                          // of each group; without those as treated where the panel does not have them
	entries []any                             // nil: to be made
	compare func(*live) any                   // nil: nothing is compared
	panel   Panel
	made    uint64 // so often
}

var nobody = &rules.Summary{}

// NewBoard returns the board of a study without patients.
func NewBoard(p *protocol.Protocol) *Board {
	b := &Board{p: p, patients: map[string]*rules.Summary{}, others: map[string]int{}}
	for i := range p.Arms {
		b.groups = append(b.groups, &group{arm: p.Arms[i].ID})
	}
	b.groups = append(b.groups, &group{})
	for i := range p.Arms {
		b.groups = append(b.groups, &group{arm: p.Arms[i].ID, asTreated: true})
	}
	assigned := b.groups[:len(p.Arms)+1]
	add := func(name string, groups []*group, of func(*group) counts, compare func(*live) any, touches func(out, in *rules.Summary) bool) {
		l := &live{name: name, touches: touches, entries: make([]any, len(groups)), compare: compare}
		for _, g := range groups {
			l.counts = append(l.counts, of(g))
		}
		b.panels = append(b.panels, l)
	}
	// Who was treated as in which arm is counted beside the arms in the first panel, and what is due, in exposure, is the assigned arm's.
	add(Enrolment, assigned, func(*group) counts { return &enrolment{b: b, started: map[string]int{}} }, nil, func(out, in *rules.Summary) bool {
		return out.Treated != in.Treated || out.OffStudy != in.OffStudy || out.Evaluable != in.Evaluable || out.Assessed != in.Assessed || !slices.Equal(out.Started, in.Started)
	})
	socs := b.classes()
	add(Toxicity, b.groups, func(*group) counts { return newToxicity(b, socs) }, b.compareToxicity, func(out, in *rules.Summary) bool {
		return out.Treated != in.Treated || !slices.Equal(out.Toxicity, in.Toxicity) || !slices.EqualFunc(out.Stopping, in.Stopping, rules.Counted.Equal)
	})
	add(Deviations, b.groups, func(*group) counts { return newDeviations(b) }, nil, func(out, in *rules.Summary) bool { return !slices.Equal(out.Events, in.Events) })
	add(Exposure, assigned, func(g *group) counts { return newExposure(b, g) }, b.compareExposure(), func(out, in *rules.Summary) bool {
		return !slices.EqualFunc(out.Exposure, in.Exposure, rules.Exposure.Equal)
	})
	add(Stay, b.groups, func(*group) counts { return &stay{b: b} }, b.compareStay(), func(out, in *rules.Summary) bool { return !equal(out.Stay, in.Stay) })
	if p.Response != nil {
		add(Response, b.groups, func(*group) counts { return &response{b: b} }, b.compareResponse, func(out, in *rules.Summary) bool {
			return out.Best != in.Best || out.Assessed != in.Assessed || out.Unconfirmed != in.Unconfirmed
		})
	}
	if p.Survival != nil {
		add(Survival, b.groups, func(*group) counts { return newSurvival(p) }, b.compareSurvival, func(out, in *rules.Summary) bool {
			return !equal(out.PFS, in.PFS) || !equal(out.OS, in.OS) || !equal(out.DOR, in.DOR)
		})
	}
	if p.Biomarkers != nil {
		places := placesOf(p)
		add(Biomarkers, b.groups, func(*group) counts { return newBiomarkers(places) }, b.compareBiomarkers(places), func(out, in *rules.Summary) bool { return !slices.Equal(out.Markers, in.Markers) })
	}
	return b
}

func equal[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }

// Set takes in what a patient, whatever names him, contributes now. The zero Summary is somebody who contributes nothing. What the contribution points at must not change.
func (b *Board) Set(patient string, s rules.Summary) {
	was := b.patients[patient]
	if was == nil {
		was = nobody
	}
	if s.Enrolled {
		b.patients[patient] = &s
	} else {
		delete(b.patients, patient)
	}
	b.change(was, &s)
}

func (b *Board) change(out, in *rules.Summary) {
	if !in.Enrolled {
		in = nobody
	}
	if !out.Enrolled {
		out = nobody
	}
	moved := out.Enrolled != in.Enrolled || out.Arm != in.Arm || out.ActualAs != in.ActualAs || out.Site != in.Site
	from, to := b.in(out), b.in(in)
	if moved {
		b.count(out, from, -1)
		b.count(in, to, 1)
	}
	for _, l := range b.panels {
		if !moved && !l.touches(out, in) {
			continue
		}
		l.panel = Panel{}
		if moved && l.name == Enrolment {
			clear(l.entries) // they count beside their own patients those of other arms
		}
		for _, g := range from {
			if g < len(l.counts) {
				here := nobody
				if slices.Contains(to[:], g) {
					here = in
				}
				l.change(g, out, here)
			}
		}
		for _, g := range to {
			if g < len(l.counts) && !slices.Contains(from[:], g) {
				l.change(g, nobody, in)
			}
		}
	}
}

func (l *live) change(group int, out, in *rules.Summary) {
	l.counts[group].change(out, in)
	l.entries[group] = nil
}

// nowhere is no group.
const nowhere = 1 << 30

// in are the groups in which a patient is: his arm as assigned, all, and his arm as treated. Without a known arm he is in none.
func (b *Board) in(s *rules.Summary) [3]int {
	at := b.arm(s.Arm)
	if !s.Enrolled || at < 0 {
		return [3]int{nowhere, nowhere, nowhere}
	}
	treated := at
	if as := b.arm(s.ActualAs); as >= 0 {
		treated = as
	}
	return [3]int{at, len(b.p.Arms), len(b.p.Arms) + 1 + treated}
}

func (b *Board) arm(id string) int {
	return slices.IndexFunc(b.p.Arms, func(a protocol.Arm) bool { return a.ID == id })
}

// count counts heads.
func (b *Board) count(s *rules.Summary, in [3]int, by int) {
	for _, g := range in {
		if g != nowhere {
			b.groups[g].n += by
		}
	}
	if s.ActualAs != "" {
		b.others[s.ActualAs] += by
	}
	if s.Enrolled && s.Arm == protocol.Unassigned {
		b.unassigned += by
	}
}

// Panels returns every panel, as [Panels] does. Entries are shared with earlier answers: nobody may change them.
func (b *Board) Panels(feed []SiteRow, asOf time.Time) []Panel {
	out := make([]Panel, 0, len(b.panels)+1)
	for _, l := range b.panels {
		if l.panel.All == nil {
			l.panel = b.panel(l)
			l.made++
		}
		out = append(out, l.panel)
	}
	return finish(b.p, append(out, feedPanel(feed)), asOf)
}

// Made returns how often a panel was made. While the number stays, so does the panel but for its AsOf. It is 0 of the panel feed, which is made each time.
func (b *Board) Made(panel string) uint64 {
	for _, l := range b.panels {
		if l.name == panel {
			return l.made
		}
	}
	return 0
}

func (b *Board) panel(l *live) Panel {
	entry := func(g int) any {
		if l.entries[g] == nil {
			l.entries[g] = l.counts[g].entry(b.groups[g])
		}
		return l.entries[g]
	}
	arms := len(b.p.Arms)
	out := Panel{Name: l.name, All: entry(arms)}
	for g := range arms {
		out.Arms = append(out.Arms, entry(g))
	}
	if len(l.counts) > arms+1 && slices.ContainsFunc(b.p.Arms, func(a protocol.Arm) bool { return b.others[a.ID] > 0 }) {
		for g := arms + 1; g < len(l.counts); g++ {
			out.AsTreated = append(out.AsTreated, entry(g))
		}
	}
	if l.compare != nil {
		l.panel = out
		out.Comparison = l.compare(l)
	}
	return out
}

// descriptive reports whether some arm is smaller than the protocol wants for more than a description.
func (b *Board) descriptive() bool {
	return slices.ContainsFunc(b.groups[:len(b.p.Arms)], func(g *group) bool { return g.n < b.p.DescriptiveBelow })
}

// changes calls count with what a list had and has no more, and -1, and with what it has now and had not, and 1.
func changes[T comparable](out, in []T, count func(*T, int)) {
	for len(out) > 0 && len(in) > 0 && out[0] == in[0] {
		out, in = out[1:], in[1:]
	}
	for len(out) > 0 && len(in) > 0 && out[len(out)-1] == in[len(in)-1] {
		out, in = out[:len(out)-1], in[:len(in)-1]
	}
	for i := range out {
		count(&out[i], -1)
	}
	for i := range in {
		count(&in[i], 1)
	}
}

// memo remembers what is dear to compute of numbers alone.
type memo struct {
	proportions map[[2]int]Proportion
	tests       map[[4]int]*float64
	odds        map[[4]int]Limits
}

// memoSize is how many answers of a kind are kept: more than stand in the panels of a large trial.
const memoSize = 1 << 14

func remember[K comparable, V any](m *map[K]V, key K, of func() V) V {
	v, ok := (*m)[key]
	if !ok {
		if v = of(); *m == nil || len(*m) >= memoSize {
			*m = map[K]V{}
		}
		(*m)[key] = v
	}
	return v
}

func (m *memo) proportion(n, of int) Proportion {
	return remember(&m.proportions, [2]int{n, of}, func() Proportion { return NewProportion(n, of) })
}

func (m *memo) worst(grades *[6]int, of int) Worst {
	any, ge3 := count(grades)
	return Worst{m.proportion(any, of), m.proportion(ge3, of)}
}

func (m *memo) fisherP(n1, of1, n2, of2 int) *float64 {
	return remember(&m.tests, [4]int{n1, of1, n2, of2}, func() *float64 { return fisherP(n1, of1, n2, of2) })
}

func (m *memo) fisher(n1, of1, n2, of2 int) FisherTest {
	p := m.fisherP(n1, of1, n2, of2)
	if p == nil {
		return FisherTest{}
	}
	return FisherTest{p, remember(&m.odds, [4]int{n1, of1, n2, of2}, func() Limits { return limits(stat.OddsRatio(n1, of1, n2, of2)) })}
}
