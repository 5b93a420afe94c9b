package scenario

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestOrdersPlayed: every order of few lines, as many as were asked for of many, every line again, and all of them again.
func TestOrdersPlayed(t *testing.T) {
	for _, tt := range []struct{ lines, ask, orders int }{{1, 0, 1}, {2, 0, 2}, {4, 0, 24}, {7, 0, 5040}, {8, 0, DefaultOrders}, {8, 30, 30}, {3, 30, 6}} {
		r := Runner{Orders: tt.ask}
		orders, distinct, again, all := 0, map[string]bool{}, map[int]map[int]bool{}, 0
		for what, order := range r.orders(tt.lines) {
			counts := map[int]int{}
			for _, n := range order {
				counts[n]++
			}
			if len(counts) != tt.lines {
				t.Fatalf("%d lines: %s leaves one out: %v", tt.lines, what, order)
			}
			switch len(order) {
			case tt.lines:
				orders++
				distinct[fmt.Sprint(order)] = true
			case tt.lines + 1:
				for n, times := range counts {
					if times == 2 {
						if again[n] == nil {
							again[n] = map[int]bool{}
						}
						again[n][slices.Index(order, n)] = true
					}
				}
			case 2 * tt.lines:
				all++
			}
		}
		if orders != tt.orders || tt.lines <= AllOrders && len(distinct) != orders {
			t.Errorf("%d lines, %d asked for: %d orders, %d distinct; want %d", tt.lines, tt.ask, orders, len(distinct), tt.orders)
		}
		if tt.lines > 1 && (len(again) != tt.lines || all != 4) {
			t.Errorf("%d lines: %d of them came twice, and all of them %d times; want each, and 4", tt.lines, len(again), all)
		}
	}
}

// TestOrderThatMatters: an answer that depends on the order, or on how often a line comes, is told with the order.
func TestOrderThatMatters(t *testing.T) {
	s, err := Parse("story.txtar", []byte("A story.\n-- feed --\n"+
		`{"resourceType":"Patient","id":"a"}`+"\n"+`{"receivedAt":"2026-02-02T08:00:00Z","resource":{"resourceType":"Observation","id":"b"}}`+"\n"+`{"resourceType":"Observation","id":"c"}`+"\n-- want --\n-- want-final --\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		answer func([]int) string
		want   []string
	}{
		{"nothing depends on it", func([]int) string { return "same" }, nil},
		{"the last line wins", func(o []int) string { return fmt.Sprint(o[len(o)-1]) }, []string{"order matters: when the lines come in another order", " 1 Patient/a\n", " 3 Observation/c\n   2 Observation/b\n"}},
		{"line 2 counts twice", func(o []int) string { return fmt.Sprint(strings.Count(fmt.Sprint(o), "2")) }, []string{"when line 2 comes twice", " 2 Observation/b\n   2 Observation/b\n"}},
		{"all twice", func(o []int) string { return fmt.Sprint(len(o) > 4) }, []string{"when every line comes twice"}},
	} {
		_, why, err := new(Runner).converges(s, func(o []int) ([]byte, error) { return []byte(tt.answer(o)), nil })
		if err != nil {
			t.Fatal(err)
		}
		if tt.want == nil && why != "" {
			t.Errorf("%s: got %q", tt.name, why)
		}
		for _, w := range tt.want {
			if !strings.Contains(why, w) {
				t.Errorf("%s: got\n%s\nwant it to hold %q", tt.name, why, w)
			}
		}
	}
}
