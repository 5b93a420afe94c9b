package scenario

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/trialwatch/trialwatch/internal/offline"
)

// A feed of at most AllOrders lines is played in every order: seven have 5,040. Of a longer one a [Runner] plays a sample, DefaultOrders where it does not say how
// many.
const (
	AllOrders     = 7
	DefaultOrders = 200
)

// Played counts the feeds in which a story was played.
type Played struct {
	Lines    int // of the feed
	Orders   int // feeds that hold every line once
	Repeated int // feeds that hold lines again
}

// Every reports whether the orders were all that there are.
func (p Played) Every() bool { return p.Lines <= AllOrders }

// converges plays the lines in other orders and with repetitions and compares the answers to the byte. What differs first is told.
func (r *Runner) converges(s *Scenario, answer func(order []int) ([]byte, error)) (played Played, why string, err error) {
	played.Lines = len(s.feed)
	var want []byte
	for what, order := range r.orders(len(s.feed)) {
		got, err := answer(order)
		switch {
		case err != nil:
			return played, "", err
		case want == nil: // the first order is the feed's own
			want = got
		case !bytes.Equal(got, want):
			d := diff.Diff("feed in its order", want, "feed in this order", got)
			return played, fmt.Sprintf("order matters: %s, the answer is another. The order is\n%s\n%s", what, indent(s.named(order)), indent(string(d))), nil
		}
		if len(order) == len(s.feed) {
			played.Orders++
		} else {
			played.Repeated++
		}
	}
	return played, "", nil
}

// orders are the feeds to play, as numbers of lines from 1, each with what is done to it: first the lines as they stand; then every other order of few lines and a
// sample of many, every line again at several places, and all of them again.
func (r *Runner) orders(n int) iter.Seq2[string, []int] {
	return func(yield func(string, []int) bool) {
		random := rand.New(rand.NewPCG(r.Seed, 1))
		lines := make([]int, n)
		for i := range lines {
			lines[i] = i + 1
		}
		shuffled := func(lines []int) []int {
			lines = slices.Clone(lines)
			random.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
			return lines
		}
		if n <= AllOrders {
			for order, ok := slices.Clone(lines), true; ok; ok = nextOrder(order) {
				if !yield("when the lines come in another order", order) {
					return
				}
			}
		} else {
			if !yield("as they stand", lines) {
				return
			}
			for i := range cmp.Or(r.Orders, DefaultOrders) - 1 {
				if !yield(fmt.Sprintf("when the lines come in another order (sample %d of seed %d)", i+2, r.Seed), shuffled(lines)) {
					return
				}
			}
		}
		for i, line := range lines {
			other := shuffled(lines)
			for _, again := range [][]int{
				slices.Insert(slices.Clone(lines), i+1, line),
				slices.Insert(slices.Clone(lines), 0, line),
				slices.Insert(slices.Clone(lines), n, line),
				slices.Insert(other, random.IntN(n+1), line),
			} {
				if !yield(fmt.Sprintf("when line %d comes twice", line), again) {
					return
				}
			}
		}
		var each []int
		for _, line := range lines {
			each = append(each, line, line)
		}
		twice := slices.Concat(lines, lines)
		backwards := slices.Clone(twice)
		slices.Reverse(backwards)
		for _, again := range [][]int{each, twice, backwards, shuffled(twice)} {
			if !yield("when every line comes twice", again) {
				return
			}
		}
	}
}

// nextOrder makes the next order in the sense of a dictionary, and says whether there was one.
func nextOrder(order []int) bool {
	i := len(order) - 2
	for i >= 0 && order[i] >= order[i+1] {
		i--
	}
	if i < 0 {
		return false
	}
	j := len(order) - 1
	for order[j] <= order[i] {
		j--
	}
	order[i], order[j] = order[j], order[i]
	slices.Reverse(order[i+1:])
	return true
}

// named writes an order with what each line is: "3 Observation/anc-1".
func (s *Scenario) named(order []int) string {
	var b strings.Builder
	for _, n := range order {
		var line struct {
			ResourceType, ID string
			Resource         *struct{ ResourceType, ID string }
		}
		name := ""
		if json.Unmarshal([]byte(s.feed[n-1]), &line) == nil {
			if line.Resource != nil {
				line.ResourceType, line.ID = line.Resource.ResourceType, line.Resource.ID
			}
			name = strings.TrimSuffix(line.ResourceType+"/"+line.ID, "/")
		}
		fmt.Fprintf(&b, "%2d %s\n", n, name)
	}
	return b.String()
}

// lines writes all that may not depend on the order of lines. The panels are left out: they follow from it.
func lines(a offline.Answer) ([]byte, error) {
	var b bytes.Buffer
	out := offline.NewPrinter(&b)
	for i := range a.Findings {
		out.Print(&a.Findings[i])
	}
	for _, patients := range a.Summaries {
		for i := range patients {
			out.Print(&patients[i])
		}
	}
	for i := range a.Feed {
		out.Print(&a.Feed[i])
	}
	err := out.Flush()
	return b.Bytes(), err
}
