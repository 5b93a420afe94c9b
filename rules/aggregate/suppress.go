package aggregate

import (
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/rules/protocol"
)

// Bound is all that is shown of a count of patients under suppression: at a time it was at least so many of those who were enrolled then.
type Bound struct {
	Group   string    `json:"group,omitempty"` // the term, rule or regimen; "" of the panels that have none
	Count   string    `json:"count"`           // what is counted: see the constants
	AtLeast int       `json:"atLeast"`         // a multiple of the protocol's suppressBelow, above 0
	Of      int       `json:"of"`              // enrolled with a known arm
	AsOf    time.Time `json:"asOf"`            // when that was so
}

// What is counted under suppression. Each is a part of all enrolled; those that are a part of another as well are named after it.
const (
	CountTreated    = "treated"
	CountEvaluable  = "evaluable" // of treated
	CountOffStudy   = "offStudy"
	CountAnyGrade   = "anyGrade"
	CountGrade3     = "grade3OrMore" // of anyGrade
	CountPatients   = "patients"     // with a deviation
	CountBegun      = "begun"        // a regimen
	CountCompleted  = "completed"    // of begun
	CountStayed     = "stayed"       // in hospital
	CountDischarged = "discharged"   // of stayed
	CountReadmitted = "readmitted"   // of discharged
)

// Suppressed is what was published of a study under suppression, and what must not be published: how far each count was from its bound. [Suppress] makes it.
type Suppressed struct {
	Below    int             `json:"below"` // the protocol's suppressBelow
	Study    string          `json:"study"`
	AsOf     time.Time       `json:"asOf"`
	Protocol protocol.Pin    `json:"protocol"`
	Enrolled int             `json:"enrolled"`
	Number   int             `json:"number"` // of this publication, from 1
	Cells    map[string]Cell `json:"cells"`  // by panel, group and count, with a newline between
}

// Cell is one count. The bound goes up by Suppressed.Below for each time that the count is as much above AtLeast + Offset, and down when it is as much below it: so a bound
// that moves tells that as many patients have changed, and, as the offset is secret, not what the count is.
type Cell struct {
	AtLeast int       `json:"atLeast"`
	Offset  int       `json:"offset"` // secret
	Of      int       `json:"of"`
	AsOf    time.Time `json:"asOf"`
	Moved   int       `json:"moved,omitempty"` // number of the publication in which the bound moved, 0: it never did
}

// rests reports whether a bound, or that of a part or whole of the same count, moved so lately that none of them may. Without a rest a count that rises and falls at once
// crosses two limits in known steps, and the order in which a whole and its part do tells one by the other. In twice below publications one patient at a time can do either.
func rests(number, moved, below int) bool { return moved > 0 && number-moved <= 2*below }

// unbounded is the bound of what is a part of nothing but the enrolled.
const unbounded = math.MaxInt

// ceiling is the highest bound that may be shown of a count: as many enrolled are left above it as suppression asks for, so that "nearly all" is never "all"; and it is
// not above the bound of what the count is a part of.
func ceiling(enrolled, whole, below int) int {
	return min(max(enrolled-below+1, 0)/below*below, whole)
}

// firstCell is a count of the first publication. random returns a number from 0 up to and without n.
func firstCell(count, enrolled, whole, below int, random func(n int) int) Cell {
	c := Cell{AtLeast: min(count/below*below, ceiling(enrolled, whole, below))}
	if c.Offset = count - c.AtLeast; c.AtLeast == 0 {
		c.Offset += random(below) // when a trial begins everybody knows that a count is 0
	}
	return c
}

// next is the same count at a later publication. It depends on the count only where that has moved by at least below since the bound was set, and on nothing that is not
// published while it rests.
func (c Cell) next(count, enrolled, whole, below int, rests bool) Cell {
	most := ceiling(enrolled, whole, below)
	switch anchor := c.AtLeast + c.Offset; {
	case !rests && c.AtLeast > 0 && count <= anchor-below:
		c.AtLeast = min(c.AtLeast-below, count/below*below, most)
	case c.AtLeast > most: // an enrolment was taken back, or what this is a part of has become less
		c.AtLeast = most
	case !rests && count >= anchor+below:
		c.AtLeast = min(c.AtLeast+(count-anchor)/below*below, most)
	}
	return c
}

// tallied is a count by its name, and the name of what it is a part of, "" for all enrolled.
type tallied struct {
	name, whole string
	n           int
}

// Counts of which one is a part of the other, of several parts too, have one first name: that of the whole which is a part of none.
func root(name string, list []tallied) string {
	for {
		i := slices.IndexFunc(list, func(t tallied) bool { return t.name == name })
		if i < 0 || list[i].whole == "" {
			return name
		}
		name = list[i].whole
	}
}

func cellName(panel, group, count string) string { return panel + "\n" + group + "\n" + count }

// tally lists the counts of pooled panels, a whole before its parts, and says how many are enrolled. What is not listed is not published under suppression: numbers of
// events and of doses, days, medians and ranges, since they are single patients' or sums of few; system organ classes and sites, which are sums of what is listed.
func tallyOf(panels []PooledPanel) (enrolled int, list []tallied) {
	for i := range panels {
		name := panels[i].Name
		add := func(group, count, whole string, n int) {
			t := tallied{name: cellName(name, group, count), n: n}
			if whole != "" {
				t.whole = cellName(name, group, whole)
			}
			list = append(list, t)
		}
		switch e := panels[i].All.(type) {
		case EnrolmentEntry:
			enrolled = e.Enrolled
			add("", CountTreated, "", e.Treated)
			add("", CountEvaluable, CountTreated, e.Evaluable)
			add("", CountOffStudy, "", e.OffStudy)
		case ToxicityEntry:
			for j := range e.Terms {
				add(e.Terms[j].Term, CountAnyGrade, "", e.Terms[j].Any.N)
				add(e.Terms[j].Term, CountGrade3, CountAnyGrade, e.Terms[j].Ge3.N)
			}
		case DeviationsEntry:
			for _, r := range e.ByRule {
				add(r.Rule, CountPatients, "", r.Patients.N)
			}
		case ExposureEntry:
			for j := range e.Regimens {
				add(e.Regimens[j].Regimen, CountBegun, "", e.Regimens[j].Completed.Of)
				add(e.Regimens[j].Regimen, CountCompleted, CountBegun, e.Regimens[j].Completed.N)
			}
		case StayEntry:
			add("", CountStayed, "", e.Days.Of+e.Ongoing)
			add("", CountDischarged, CountStayed, e.Days.Of)
			add("", CountReadmitted, CountDischarged, e.Readmitted.N)
		}
	}
	return enrolled, list
}

// Suppress makes what is published of pooled panels under a protocol with suppressBelow, from them and from what was published before (nil: nothing). random returns a
// number from 0 up to and without n, which nobody can guess.
func Suppress(p *protocol.Protocol, panels []PooledPanel, was *Suppressed, random func(n int) int) *Suppressed {
	below := p.Blinding.SuppressBelow
	s := &Suppressed{Below: below, Study: p.Study, Protocol: p.Pin(), Cells: map[string]Cell{}}
	for i := range panels {
		if panels[i].AsOf.After(s.AsOf) {
			s.AsOf = panels[i].AsOf
		}
	}
	var list []tallied
	s.Enrolled, list = tallyOf(panels)
	list = append(list, was.gone(list)...)
	moved := map[string]int{} // of a whole and all its parts, the last
	if s.Number = 1; was != nil {
		s.Number = was.Number + 1
		for name, c := range was.Cells {
			moved[root(name, list)] = max(moved[root(name, list)], c.Moved)
		}
	}
	for _, t := range list {
		rests := rests(s.Number, moved[root(t.name, list)], below)
		whole := unbounded
		if t.whole != "" {
			whole = s.Cells[t.whole].AtLeast
		}
		var cell Cell
		before, known := was.cell(t.name)
		switch {
		case was == nil:
			cell = firstCell(t.n, s.Enrolled, whole, below, random)
		case known:
			cell = before.next(t.n, s.Enrolled, whole, below, rests)
		default: // it was not shown, as if it had been 0
			cell = Cell{Offset: random(below)}.next(t.n, s.Enrolled, whole, below, rests)
		}
		if !known || cell.AtLeast != before.AtLeast {
			cell.Of, cell.AsOf = s.Enrolled, s.AsOf
		}
		if was != nil && cell.AtLeast != before.AtLeast {
			cell.Moved = s.Number
		}
		s.Cells[t.name] = cell
	}
	return s
}

func (s *Suppressed) cell(name string) (Cell, bool) {
	if s == nil {
		return Cell{}, false
	}
	c, ok := s.Cells[name]
	return c, ok
}

// gone are the counts of before that are in no list any more: they are 0.
func (s *Suppressed) gone(list []tallied) (gone []tallied) {
	if s == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(s.Cells)) {
		if !slices.ContainsFunc(list, func(t tallied) bool { return t.name == name }) {
			gone = append(gone, tallied{name: name})
		}
	}
	return gone
}

// Panels is what is published: of every panel but the feed's the bounds above 0, sorted. The feed says what each site has sent, and so what was done to few: it is empty.
func (s *Suppressed) Panels() []PooledPanel {
	var out []PooledPanel
	for _, name := range Pooled {
		panel := PooledPanel{Kind: "pooled", Study: s.Study, Name: name, AsOf: s.AsOf, Protocol: s.Protocol, SuppressBelow: s.Below}
		if name == Enrolment {
			panel.Enrolled = &s.Enrolled
		}
		for _, key := range slices.Sorted(maps.Keys(s.Cells)) {
			parts := strings.Split(key, "\n")
			if c := s.Cells[key]; parts[0] == name && c.AtLeast > 0 {
				panel.Bounds = append(panel.Bounds, Bound{parts[1], parts[2], c.AtLeast, c.Of, c.AsOf})
			}
		}
		out = append(out, panel)
	}
	return out
}
