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

// The attack. Somebody reads every publication of two counts of which one is a part of the other (any grade, grade 3 or more), and knows more than he should: how many
// are enrolled at any time, the algorithm, and that between two publications each number moves by one at most. He tries every history that could be behind what
// he has read, forwards and backwards, and lists for each count and time the values that are left. Suppression by n holds if there are always n of them.

// publisher is an algorithm that the attack is tried on.
type publisher struct {
	first func(count, enrolled, whole, below int, random func(int) int) Cell
	next  func(c Cell, count, enrolled, whole, below int, rests bool) Cell
}

var ours = publisher{firstCell, Cell.next}

// moment is the truth at one publication.
type moment struct{ enrolled, whole, part int }

// shown is what is published of it.
type shown struct{ whole, part int }

// publish runs a publisher over a history.
func (p publisher) publish(history []moment, below int, random func(int) int) (out []shown) {
	var whole, part Cell
	for i, m := range history {
		if i == 0 {
			whole = p.first(m.whole, m.enrolled, unbounded, below, random)
			part = p.first(m.part, m.enrolled, whole.AtLeast, below, random)
		} else {
			rests := resting(out, below)
			whole = p.next(whole, m.whole, m.enrolled, unbounded, below, rests)
			part = p.next(part, m.part, m.enrolled, whole.AtLeast, below, rests)
		}
		out = append(out, shown{whole.AtLeast, part.AtLeast})
	}
	return out
}

// resting reports whether one of the two bounds has moved so lately that neither may.
func resting(published []shown, below int) bool {
	for i := len(published) - 1; i > 0; i-- {
		if published[i] != published[i-1] {
			return rests(len(published)+1, i+1, below)
		}
	}
	return false
}

// left is how many values of each count every time leaves open. fewest is the least of all, less what no suppression can: of fewer enrolled there are fewer values.
func (p publisher) left(t interface{ Fatalf(string, ...any) }, history []moment, published []shown, below, steps int) (fewest int) {
	most := 0
	for _, m := range history {
		most = max(most, m.enrolled)
	}
	size, rest := most+1, make([]bool, len(history))
	for i := range history {
		rest[i] = resting(published[:i], below)
	}
	wholes, parts := make([]map[int]bool, len(history)), make([]map[int]bool, len(history))
	for i := range history {
		wholes[i], parts[i] = map[int]bool{}, map[int]bool{}
	}
	at := func(whole, part int) int { return whole*size + part }
	offsets := most + 1 + below
	for ow := range offsets {
		for op := range offsets {
			fits := func(i, whole, part int) bool {
				if part > whole || whole > history[i].enrolled {
					return false
				}
				if i == 0 {
					return p.could(whole, history[0].enrolled, unbounded, below, Cell{AtLeast: published[0].whole, Offset: ow}) &&
						p.could(part, history[0].enrolled, published[0].whole, below, Cell{AtLeast: published[0].part, Offset: op})
				}
				w := p.next(Cell{AtLeast: published[i-1].whole, Offset: ow}, whole, history[i].enrolled, unbounded, below, rest[i])
				q := p.next(Cell{AtLeast: published[i-1].part, Offset: op}, part, history[i].enrolled, w.AtLeast, below, rest[i])
				return w.AtLeast == published[i].whole && q.AtLeast == published[i].part
			}
			forwards := make([][]bool, len(history))
			alive := true
			for i := 0; i < len(history) && alive; i++ {
				forwards[i] = make([]bool, size*size)
				alive = false
				for whole := range size {
					for part := range whole + 1 {
						if (i == 0 || near(forwards[i-1], whole, part, size, steps)) && fits(i, whole, part) {
							forwards[i][at(whole, part)], alive = true, true
						}
					}
				}
			}
			if !alive {
				continue
			}
			for i, set := range slices.Backward(forwards) {
				for whole := range size {
					for part := range whole + 1 {
						j := at(whole, part)
						set[j] = set[j] && (i == len(history)-1 || near(forwards[i+1], whole, part, size, steps))
						if set[j] {
							wholes[i][whole], parts[i][part] = true, true
						}
					}
				}
			}
		}
	}
	fewest = math.MaxInt
	for i, m := range history {
		if !wholes[i][m.whole] || !parts[i][m.part] {
			t.Fatalf("the attack is wrong: at %d the truth is not among what it finds", i)
		}
		for _, n := range []int{len(wholes[i]), len(parts[i])} {
			if m.enrolled+1 < below {
				n += below - m.enrolled - 1
			}
			fewest = min(fewest, n)
		}
	}
	return fewest
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

// near reports whether a pair of counts can come from one of a set, or lead to it, by so many patients each at most.
func near(set []bool, whole, part, size, steps int) bool {
	for w := max(whole-steps, 0); w <= min(whole+steps, size-1); w++ {
		for p := max(part-steps, 0); p <= min(part+steps, size-1); p++ {
			if set[w*size+p] {
				return true
			}
		}
	}
	return false
}

// drawHistory draws a trial that fills, with numbers that mostly grow and are sometimes corrected. draw returns a number from 0 up to and without n.
func drawHistory(below int, draw func(name string, n int) int) []moment {
	enrolled := draw("enrolled", 2*below+3)
	whole := draw("whole", enrolled+1)
	m := moment{enrolled, whole, draw("part", whole+1)}
	history := []moment{m}
	for range 1 + draw("publications", 40) {
		move := func(name string) int { return []int{0, 1, 1, 1, 0, -1}[draw(name, 6)] }
		last := m
		m.enrolled = min(max(m.enrolled+move("enrolled"), 0), 3*below+2)
		m.whole = min(max(m.whole+move("whole"), 0), m.enrolled)
		m.part = min(max(m.part+move("part"), 0), m.whole)
		if last.whole-m.whole > 1 || last.part-m.part > 1 { // an enrolment and a correction at once
			m = last
		}
		history = append(history, m)
	}
	return history
}

// However a small trial goes, whoever reads all that is published of it is left with n values of every count at every time.
func TestAttackOnSuppression(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		below := rapid.IntRange(3, 4).Draw(t, "below")
		draw := func(name string, n int) int { return rapid.IntRange(0, n-1).Draw(t, name) }
		history := drawHistory(below, draw)
		published := ours.publish(history, below, func(n int) int { return draw("offset", n) })
		if got := ours.left(t, history, published, below, 1); got < below {
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
			{6, 4, 3}, {6, 4, 3}, {6, 4, 3}, {6, 4, 3}, {6, 4, 3}, {6, 4, 3}, {6, 4, 3}, {6, 5, 3}, {7, 6, 4}, {8, 7, 5}, {8, 6, 6}, {8, 5, 5}, {8, 4, 4}, {8, 4, 4},
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
					history = drawHistory(below, func(_ string, n int) int { return r.IntN(n) })
				} else {
					below, draw, tries = 3, none, 1
				}
				left := tt.left(t, history, tt.publish(history, below, draw), below, 1)
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
	term := TermEntry{Term: "Fever", Any: NewProportion(m.whole, m.enrolled), Ge3: NewProportion(m.part, m.enrolled)}
	tox := ToxicityEntry{N: m.enrolled, Terms: []TermEntry{term}}
	if m.whole == 0 {
		tox.Terms = nil // as it is left out
	}
	return []PooledPanel{{Name: Enrolment, AsOf: at, All: EnrolmentEntry{Enrolled: m.enrolled}}, {Name: Toxicity, AsOf: at, All: tox}}
}

// What Suppress makes of panels is what the attack attacks, and every bound was true when it was set.
func TestSuppressIsWhatIsAttacked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		below := rapid.IntRange(3, 5).Draw(t, "below")
		p := &protocol.Protocol{Blinding: &protocol.Blinding{SuppressBelow: below}}
		history := drawHistory(below, func(name string, n int) int { return rapid.IntRange(0, n-1).Draw(t, name) })
		offset := rapid.IntRange(0, below-1).Draw(t, "offset")
		random := func(int) int { return offset }
		want := ours.publish(history, below, random)
		var s *Suppressed
		for i, m := range history {
			before := s
			s = Suppress(p, panelsOf(m, time.Unix(int64(i), 0)), s, random)
			got := shown{}
			for _, panel := range s.Panels() {
				for _, b := range panel.Bounds {
					count := map[string]*int{CountAnyGrade: &got.whole, CountGrade3: &got.part}[b.Count]
					truth := map[string]int{CountAnyGrade: m.whole, CountGrade3: m.part}[b.Count]
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
			if got != want[i] {
				t.Fatalf("publication %d shows %v, the attack saw %v: %v", i, got, want[i], history)
			}
		}
	})
}
