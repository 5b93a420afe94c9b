package site_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/trialwatch/trialwatch/rules/site"
)

func TestGaps(t *testing.T) {
	start := time.Date(2026, 2, 16, 8, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name  string
		came  [][3]int // first, last, minute
		now   int      // minute
		want  string
		wakes int // minute, 0 for never
	}{
		{"nothing", nil, 60, "", 0},
		{"it need not start at 1", [][3]int{{100, 200, 0}}, 60, "", 0},
		{"one after the other", [][3]int{{1, 5, 0}, {6, 9, 1}, {7, 7, 2}}, 60, "", 0},
		{"not yet a gap", [][3]int{{1, 5, 0}, {8, 9, 10}}, 14, "", 15},
		{"a gap", [][3]int{{1, 5, 0}, {8, 9, 10}}, 15, "6-7 since 10", 0},
		{"filled late", [][3]int{{1, 5, 0}, {8, 9, 10}, {6, 7, 40}}, 60, "", 0},
		{"half filled", [][3]int{{1, 5, 0}, {9, 9, 10}, {7, 7, 40}}, 60, "6-6 since 10, 8-8 since 10", 0},
		{"two, one of them new", [][3]int{{1, 5, 0}, {8, 9, 10}, {20, 20, 58}}, 60, "6-7 since 10", 63},
		{"a later number came first", [][3]int{{1, 5, 0}, {20, 20, 10}, {8, 19, 30}}, 60, "6-7 since 10", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(1, 2))
			for range 20 { // in any order, and twice
				s := site.New("main")
				for range 2 {
					for _, i := range rnd.Perm(len(tt.came)) {
						c := tt.came[i]
						s.Count("engine", site.Numbers{First: uint64(c[0]), Last: uint64(c[1]), At: start.Add(time.Duration(c[2]) * time.Minute)})
					}
				}
				gaps, next := s.Gaps(start.Add(time.Duration(tt.now) * time.Minute))
				var got []string
				for _, g := range gaps {
					got = append(got, fmt.Sprintf("%d-%d since %.0f", g.First, g.Last, g.At.Sub(start).Minutes()))
				}
				wakes := 0
				if !next.IsZero() {
					wakes = int(next.Sub(start).Minutes())
				}
				if got := strings.Join(got, ", "); got != tt.want || wakes != tt.wakes {
					t.Fatalf("got %q, wakes at %d; want %q at %d", got, wakes, tt.want, tt.wakes)
				}
			}
		})
	}
}
