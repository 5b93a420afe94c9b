package site

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Numbers are consecutive numbers of messages of a source, both ends included, and when the first of them came.
type Numbers struct {
	First uint64    `json:"first"`
	Last  uint64    `json:"last"`
	At    time.Time `json:"at"`
}

// Gap is numbers that a source of a site has passed over: messages that never came.
type Gap struct {
	Source  string `json:"source"`
	Numbers        // At is when a later number came
}

// Told is when a gap is told.
func (g *Gap) Told() time.Time { return g.At.Add(GapAfter) }

// GapAfter is how long a number may come after a later one: publishers work side by side (design default).
const GapAfter = 5 * time.Minute

// Count takes numbers of a source in. They may come in any order and any number of times.
func (s *Site) Count(source string, n Numbers) {
	n.At = n.At.UTC()
	all := slices.Concat(s.sources[source], []Numbers{n})
	slices.SortFunc(all, func(a, b Numbers) int { return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(a.Last, b.Last)) })
	merged := all[:1]
	for _, n := range all[1:] {
		last := &merged[len(merged)-1]
		if n.First > last.Last+1 {
			merged = append(merged, n)
			continue
		}
		last.Last = max(last.Last, n.Last)
		if n.At.Before(last.At) {
			last.At = n.At
		}
	}
	s.sources[source] = merged
}

// Gaps are the numbers that have not come though a later one did at least [GapAfter] ago, by source, and the first instant at which time alone makes more, zero if
// there is none. What came before the first number is not known and no gap.
func (s *Site) Gaps(now time.Time) (gaps []Gap, next time.Time) {
	for source, came := range s.sources {
		var since time.Time // when the first number behind the gap came
		for i := len(came) - 1; i > 0; i-- {
			if since.IsZero() || came[i].At.Before(since) {
				since = came[i].At
			}
			if told := since.Add(GapAfter); told.After(now) {
				if next.IsZero() || told.Before(next) {
					next = told
				}
				continue
			}
			gaps = append(gaps, Gap{source, Numbers{came[i-1].Last + 1, came[i].First - 1, since}})
		}
	}
	slices.SortFunc(gaps, func(a, b Gap) int { return cmp.Or(strings.Compare(a.Source, b.Source), cmp.Compare(a.First, b.First)) })
	return gaps, next
}

// SameGaps reports whether two lists say the same.
func SameGaps(a, b []Gap) bool {
	return slices.EqualFunc(a, b, func(x, y Gap) bool {
		return x.Source == y.Source && x.First == y.First && x.Last == y.Last && x.At.Equal(y.At)
	})
}
