package aggregate

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/trialwatch/trialwatch/rules/protocol"
)

// The attack. Somebody reads every publication of counts of which each is a part of the one before (any grade, grade 3 or more; stayed, discharged, readmitted), and
// knows more than he should: how many are enrolled at any time, the algorithm, and that between two publications each number moves by one at most. He tries every
// history that could be behind what he has read, forwards and backwards, and lists for each count and time the values that are left. Suppression by n holds if there
// are always n of them.

// publisher is an algorithm that the attack is tried on.
type publisher struct {
	first func(count, enrolled, whole, below int, random func(int) int) Cell
	next  func(c Cell, count, enrolled, whole, below int, rests bool) Cell
}

var ours = publisher{firstCell, Cell.next}

// moment is the truth at one publication.
type moment struct {
	enrolled int
	counts   []int // a whole before its part
}

// publish runs a publisher over a history and returns the bounds.
func (p publisher) publish(history []moment, below int, random func(int) int) (out [][]int) {
	cells := make([]Cell, len(history[0].counts))
	for i, m := range history {
		rests, whole := resting(out, below), unbounded
		var shown []int
		for k, count := range m.counts {
			if i == 0 {
				cells[k] = p.first(count, m.enrolled, whole, below, random)
			} else {
				cells[k] = p.next(cells[k], count, m.enrolled, whole, below, rests)
			}
			whole = cells[k].AtLeast
			shown = append(shown, whole)
		}
		out = append(out, shown)
	}
	return out
}

// resting reports whether one of the bounds has moved so lately that none may.
func resting(published [][]int, below int) bool {
	for i := len(published) - 1; i > 0; i-- {
		if !slices.Equal(published[i], published[i-1]) {
			return rests(len(published)+1, i+1, below)
		}
	}
	return false
}

// nested lists all counts of which each is a part of the one before, of at most so many.
func nested(counts, most int) (all [][]int) {
	if counts == 0 {
		return [][]int{nil}
	}
	for n := range most + 1 {
		for _, parts := range nested(counts-1, n) {
			all = append(all, append([]int{n}, parts...))
		}
	}
	return all
}

// left is how many values of a count are open at the time that leaves the fewest. Of fewer enrolled than suppression asks for there are fewer values anyway, which is added.
func (p publisher) left(t interface{ Fatalf(string, ...any) }, history []moment, published [][]int, below int) (fewest int) {
	most := 0
	for _, m := range history {
		most = max(most, m.enrolled)
	}
	states := nested(len(history[0].counts), most)
	near := make([][]int, len(states)) // by state, those that one patient more or fewer of each count makes of it
	for i, x := range states {
		for j, y := range states {
			if step(x, y) {
				near[i] = append(near[i], j)
			}
		}
	}
	rest := make([]bool, len(history))
	values := make([][]map[int]bool, len(history)) // that are left, by time and count
	for i := range history {
		rest[i] = resting(published[:i], below)
		for range history[i].counts {
			values[i] = append(values[i], map[int]bool{})
		}
	}
	for _, offsets := range p.offsets(history[0].enrolled, published[0], below) {
		fits := func(i int, state []int) bool {
			whole := unbounded
			for k, count := range state {
				c := Cell{AtLeast: published[0][k], Offset: offsets[k]}
				switch {
				case count > history[i].enrolled, i == 0 && !p.could(count, history[0].enrolled, whole, below, c):
					return false
				case i > 0:
					c.AtLeast = published[i-1][k]
					if p.next(c, count, history[i].enrolled, whole, below, rest[i]).AtLeast != published[i][k] {
						return false
					}
				}
				whole = published[i][k]
			}
			return true
		}
		reached := make([][]bool, len(history))
		from := func(set []bool, state int) bool {
			return slices.ContainsFunc(near[state], func(j int) bool { return set[j] })
		}
		for i := range history {
			reached[i] = make([]bool, len(states))
			for j, state := range states {
				reached[i][j] = (i == 0 || from(reached[i-1], j)) && fits(i, state)
			}
		}
		for i, set := range slices.Backward(reached) {
			for j, state := range states {
				if set[j] = set[j] && (i == len(history)-1 || from(reached[i+1], j)); set[j] {
					for k, count := range state {
						values[i][k][count] = true
					}
				}
			}
		}
	}
	fewest = math.MaxInt
	for i, m := range history {
		for k, count := range m.counts {
			if !values[i][k][count] {
				t.Fatalf("the attack is wrong: at %d the truth is not among what it finds", i)
			}
			fewest = min(fewest, len(values[i][k])+max(below-m.enrolled-1, 0))
		}
	}
	return fewest
}

// step reports whether each number of one is at most one from that of the other.
func step(a, b []int) bool {
	for k := range a {
		if a[k]-b[k] > 1 || b[k]-a[k] > 1 {
			return false
		}
	}
	return true
}

// offsets are all secrets that could be behind the first publication.
func (p publisher) offsets(enrolled int, shown []int, below int) [][]int {
	all := [][]int{nil}
	whole := unbounded
	for _, bound := range shown {
		found := map[int]bool{}
		for count := range enrolled + 1 {
			for drawn := range below {
				if c := p.first(count, enrolled, whole, below, func(int) int { return drawn }); c.AtLeast == bound {
					found[c.Offset] = true
				}
			}
		}
		var longer [][]int
		for _, before := range all {
			for offset := range found {
				longer = append(longer, append(slices.Clone(before), offset))
			}
		}
		all, whole = longer, bound
	}
	return all
}

// could reports whether some drawn number makes a cell the first.
func (p publisher) could(count, enrolled, whole, below int, cell Cell) bool {
	for drawn := range below {
		if p.first(count, enrolled, whole, below, func(int) int { return drawn }) == cell {
			return true
		}
	}
	return false
}

// drawHistory draws a trial that fills, with numbers that mostly grow, or rise and fall. draw returns a number from 0 up to and without n.
func drawHistory(counts, below int, draw func(name string, n int) int) []moment {
	most := 3*below + 2
	if counts > 2 {
		most = 2*below + 3 // histories are many enough
	}
	m := moment{enrolled: draw("enrolled", 2*below+3)}
	for whole := m.enrolled; len(m.counts) < counts; whole = m.counts[len(m.counts)-1] {
		m.counts = append(m.counts, draw("count", whole+1))
	}
	moves := [][]int{{0, 1, 1, 1, 0, -1}, {0, 1, -1}}[draw("moves", 2)]
	history := []moment{m}
	for range 1 + draw("publications", 40) {
		last := m
		m = moment{enrolled: min(max(m.enrolled+moves[draw("enrolled", len(moves))], 0), most)}
		whole := m.enrolled
		for k := range counts {
			whole = min(max(last.counts[k]+moves[draw("count", len(moves))], 0), whole)
			m.counts = append(m.counts, whole)
		}
		if !step(m.counts, last.counts) { // an enrolment and a correction at once
			m = last
		}
		history = append(history, m)
	}
	return history
}

// However a small trial goes, whoever reads all that is published of it is left with n values of every count at every time.
func TestAttackOnSuppression(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string, n int) int { return rapid.IntRange(0, n-1).Draw(t, name) }
		counts, below := 2+draw("counts", 2), 3
		if counts == 2 {
			below += draw("below", 2)
		}
		history := drawHistory(counts, below, draw)
		published := ours.publish(history, below, func(n int) int { return draw("offset", n) })
		if got := ours.left(t, history, published, below); got < below {
			t.Fatalf("%d values are left of a count, want %d: %v shown as %v", got, below, history, published)
		}
	})
}

// Each part of the algorithm is needed: without it the same attack finds counts out. How often says that the attack sees something.
func TestAttackWithoutEachProtection(t *testing.T) {
	none := func(int) int { return 0 }
	plain := func(count, enrolled, whole, below int) Cell {
		return Cell{AtLeast: min(count/below*below, ceiling(enrolled, whole, below))}
	}
	exact := func(count, below int) Cell {
		if count < below {
			count = 0
		}
		return Cell{AtLeast: count}
	}
	for _, tt := range []struct {
		name string
		publisher
		history []moment // nil: many drawn ones
	}{
		{"without the ceiling, so that a full house shows", publisher{
			func(count, _, whole, below int, random func(int) int) Cell {
				return firstCell(count, 1000, whole, below, random)
			},
			func(c Cell, count, _, whole, below int, rests bool) Cell {
				return c.next(count, 1000, whole, below, rests)
			},
		}, nil},
		{"without the order of whole and part", publisher{
			func(count, enrolled, _, below int, random func(int) int) Cell {
				return firstCell(count, enrolled, unbounded, below, random)
			},
			func(c Cell, count, enrolled, _, below int, rests bool) Cell {
				return c.next(count, enrolled, unbounded, below, rests)
			},
		}, nil},
		{"without hysteresis, so that one patient moves a bound", publisher{
			func(count, enrolled, whole, below int, _ func(int) int) Cell {
				return plain(count, enrolled, whole, below)
			},
			func(_ Cell, count, enrolled, whole, below int, _ bool) Cell {
				return plain(count, enrolled, whole, below)
			},
		}, nil},
		{"without the secret of the first bound", publisher{
			func(count, enrolled, whole, below int, _ func(int) int) Cell {
				return firstCell(count, enrolled, whole, below, none)
			},
			Cell.next,
		}, nil},
		// Three more and three fewer at once.
		{"without a rest", publisher{firstCell, func(c Cell, count, enrolled, whole, below int, _ bool) Cell {
			return c.next(count, enrolled, whole, below, false)
		}}, []moment{
			{6, []int{4, 3}}, {6, []int{5, 3}}, {7, []int{6, 4}}, {8, []int{7, 5}}, {8, []int{6, 6}}, {8, []int{5, 5}}, {8, []int{4, 4}}, {8, []int{4, 4}},
		}},
		{"with counts that are large enough as they are", publisher{
			func(count, _, _, below int, _ func(int) int) Cell { return exact(count, below) },
			func(_ Cell, count, _, _, below int, _ bool) Cell { return exact(count, below) },
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			broken, pinned, tries := 0, 0, 300
			for seed := range tries {
				r := rand.New(rand.NewPCG(uint64(seed), 5))
				below, history, draw := 3+seed%2, tt.history, r.IntN
				if history == nil {
					history = drawHistory(2, below, func(_ string, n int) int { return r.IntN(n) })
				} else {
					below, draw, tries = 3, none, 1
				}
				left := tt.left(t, history, tt.publish(history, below, draw), below)
				if left < below {
					broken++
				}
				if left == 1 {
					pinned++
				}
				if tries == 1 {
					break
				}
			}
			t.Logf("of %d trials %d give a count away to less than n values, %d exactly", tries, broken, pinned)
			if broken == 0 {
				t.Error("the attack finds nothing: it would not find it with the protection either")
			}
		})
	}
}

// A percentage with one decimal gives the count back, whatever is hidden beside it: of no trial of up to 500 patients have two counts the same.
func TestPercentagesGiveCountsBack(t *testing.T) {
	for enrolled := 1; enrolled <= 500; enrolled++ {
		seen := map[float64]bool{}
		for n := range enrolled + 1 {
			p := *NewProportion(n, enrolled).Percent
			if seen[p] {
				t.Fatalf("of %d enrolled %.1f %% are several counts", enrolled, p)
			}
			seen[p] = true
		}
	}
}

// panelsOf are pooled panels of a trial in which so many have a toxicity, and have it at grade 3 or more.
func panelsOf(m moment, at time.Time) []PooledPanel {
	term := TermEntry{Term: "Fever", Any: NewProportion(m.counts[0], m.enrolled), Ge3: NewProportion(m.counts[1], m.enrolled)}
	tox := ToxicityEntry{N: m.enrolled, Terms: []TermEntry{term}}
	if m.counts[0] == 0 {
		tox.Terms = nil // as it is left out
	}
	return []PooledPanel{{Name: Enrolment, AsOf: at, All: EnrolmentEntry{Enrolled: m.enrolled}}, {Name: Toxicity, AsOf: at, All: tox}}
}

// What Suppress makes of panels is what the attack attacks, and every bound was true when it was set.
func TestSuppressIsWhatIsAttacked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		below := rapid.IntRange(3, 5).Draw(t, "below")
		p := &protocol.Protocol{Blinding: &protocol.Blinding{SuppressBelow: below}}
		history := drawHistory(2, below, func(name string, n int) int { return rapid.IntRange(0, n-1).Draw(t, name) })
		offset := rapid.IntRange(0, below-1).Draw(t, "offset")
		random := func(int) int { return offset }
		want := ours.publish(history, below, random)
		var s *Suppressed
		for i, m := range history {
			before := s
			s = Suppress(p, panelsOf(m, time.Unix(int64(i), 0)), s, random)
			got := []int{0, 0}
			for _, panel := range s.Panels() {
				for _, b := range panel.Bounds {
					count := map[string]*int{CountAnyGrade: &got[0], CountGrade3: &got[1]}[b.Count]
					truth := map[string]int{CountAnyGrade: m.counts[0], CountGrade3: m.counts[1]}[b.Count]
					was, _ := before.cell(cellName(Toxicity, "Fever", b.Count))
					*count = b.AtLeast
					switch set := b.AsOf.Equal(time.Unix(int64(i), 0)); {
					case set && (truth < b.AtLeast || b.Of != m.enrolled):
						t.Fatalf("publication %d says at least %d of %d where it is %d of %d", i, b.AtLeast, b.Of, truth, m.enrolled)
					case set != (i == 0 || was.AtLeast != b.AtLeast):
						t.Fatalf("publication %d: the bound %d is of %s", i, b.AtLeast, b.AsOf)
					case b.AtLeast%below != 0:
						t.Fatalf("bound %d", b.AtLeast)
					}
				}
			}
			if !slices.Equal(got, want[i]) {
				t.Fatalf("publication %d shows %v, the attack saw %v: %v", i, got, want[i], history)
			}
		}
	})
}
