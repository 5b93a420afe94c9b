package ctcae_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/trialwatch/trialwatch/rules/ctcae"
	"github.com/trialwatch/trialwatch/rules/decimal"
)

// interval reads "<0.5".
func interval(text string) ctcae.Interval {
	digits := strings.TrimLeft(text, "<>=")
	return ctcae.Of(decimal.Must(digits), text[:len(text)-len(digits)])
}

func show(g ctcae.Grading) string {
	switch {
	case g.Ungradable:
		return "ungradable"
	case g.Certain():
		return fmt.Sprint(g.Min)
	}
	return fmt.Sprintf("%d to %d", g.Min, g.Max)
}

// TestNeutrophils stands at every limit of every version, in 10*9/L. A value on a limit belongs to the lower grade.
func TestNeutrophils(t *testing.T) {
	for _, tt := range []struct{ value, lln, v4, v5, v6 string }{
		{"0", "", "4", "4", "4"},
		{"0.0999", "", "4", "4", "4"},
		{"0.1", "", "4", "4", "3"},
		{"0.08", "", "4", "4", "4"},
		{"0.40", "", "4", "4", "3"}, // the count that tells the versions apart
		{"0.4999", "", "4", "4", "3"},
		{"0.5", "", "3", "3", "2"},
		{"0.9999", "", "3", "3", "2"},
		{"1.0", "", "2", "2", "1"},
		{"1.4999", "", "2", "2", "1"},
		{"1.5", "", "ungradable", "ungradable", "0"}, // grade 1 ends at the lower limit of normal, which 6.0 no longer reads
		{"1.5", "1.5", "0", "0", "0"},
		{"1.5", "1.8", "1", "1", "0"},
		{"1.7999", "1.8", "1", "1", "0"},
		{"1.8", "1.8", "0", "0", "0"},
		{"1.8", "2.0", "1", "1", "0"},
		{"1.2", "1.0", "2", "2", "1"}, // a limit of normal below 1.5 does not make grade 2 normal
		// What a comparator leaves open is a range.
		{"<0.1", "", "4", "4", "4"},
		{"<=0.1", "", "4", "4", "3 to 4"},
		{"<0.5", "", "4", "4", "3 to 4"},
		{"<=0.5", "", "3 to 4", "3 to 4", "2 to 4"},
		{"<1.0", "", "3 to 4", "3 to 4", "2 to 4"},
		{">1.0", "1.8", "0 to 2", "0 to 2", "0 to 1"},
		{">1.5", "1.8", "0 to 1", "0 to 1", "0"},
		{">1.8", "1.8", "0", "0", "0"},
		{">1.0", "", "0 to 2", "0 to 2", "0 to 1"},
	} {
		for _, version := range []struct {
			v    ctcae.Version
			want string
		}{{ctcae.V4, tt.v4}, {ctcae.V5, tt.v5}, {ctcae.V6, tt.v6}} {
			t.Run(fmt.Sprintf("%s lln %s in %s", tt.value, tt.lln, version.v), func(t *testing.T) {
				var lln *decimal.Number
				if tt.lln != "" {
					n := decimal.Must(tt.lln)
					lln = &n
				}
				if got := show(ctcae.NeutrophilCountDecreased(version.v).Grade(interval(tt.value), lln, nil)); got != version.want {
					t.Errorf("got %s, want %s", got, version.want)
				}
			})
		}
	}
}

// TestFever stands at every limit, in Cel. The limits are the same in all versions; grade 4 is a matter of time and no reading's.
func TestFever(t *testing.T) {
	for _, version := range []ctcae.Version{ctcae.V4, ctcae.V5, ctcae.V6} {
		for _, tt := range []struct{ value, want string }{
			{"36.6", "0"},
			{"37.99", "0"},
			{"38.0", "1"}, // 38.0 to 39.0
			{"39.0", "1"},
			{"39.01", "2"}, // above 39.0 to 40.0
			{"40.0", "2"},
			{"40.01", "3"}, // above 40.0
			{"43", "3"},
			{">40.0", "3"},
			{">=40.0", "2 to 3"},
			{"<38.0", "0"},
			{"<38.1", "0 to 1"},
		} {
			t.Run(fmt.Sprintf("%s in %s", tt.value, version), func(t *testing.T) {
				if got := show(ctcae.Fever(version).Grade(interval(tt.value), nil, nil)); got != tt.want {
					t.Errorf("got %s, want %s", got, tt.want)
				}
			})
		}
	}
}

// TestComparisons: a comparison is decided only where all values that are possible agree.
func TestComparisons(t *testing.T) {
	one := decimal.Must("1.0")
	for _, tt := range []struct{ value, below, above, atLeast string }{
		{"0.999", "yes", "no", "no"},
		{"1.0", "no", "no", "yes"},
		{"1.001", "no", "yes", "yes"},
		{"<1.0", "yes", "no", "no"},
		{"<=1.0", "open", "no", "open"},
		{"<2.0", "open", "open", "open"},
		{">1.0", "no", "yes", "yes"},
		{">=1.0", "no", "open", "yes"},
		{">0.5", "open", "open", "open"},
	} {
		t.Run(tt.value, func(t *testing.T) {
			words := map[ctcae.Answer]string{ctcae.Yes: "yes", ctcae.No: "no", ctcae.Undecided: "open"}
			v := interval(tt.value)
			got := []string{words[v.Below(one)], words[v.Above(one)], words[v.AtLeast(one)]}
			if want := []string{tt.below, tt.above, tt.atLeast}; fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("below, above and at least 1.0: got %v, want %v", got, want)
			}
		})
	}
}

// TestSources: every criterion names what it was taken from, and its grades run from the worst down.
func TestSources(t *testing.T) {
	for _, v := range []ctcae.Version{ctcae.V4, ctcae.V5, ctcae.V6} {
		for _, c := range []ctcae.Criterion{ctcae.NeutrophilCountDecreased(v), ctcae.Fever(v)} {
			if !strings.HasPrefix(c.Source, "CTCAE v"+string(v)+", ") || !strings.HasSuffix(c.Source, c.Term) {
				t.Errorf("%s in %s: source %q", c.Term, v, c.Source)
			}
			if want := strings.ReplaceAll(strings.ToLower(c.Term), " ", "-"); c.Slug != want {
				t.Errorf("%s: slug %q, want %q", c.Term, c.Slug, want)
			}
			for i := 1; i < len(c.Steps); i++ {
				if c.Steps[i].Grade != c.Steps[i-1].Grade-1 {
					t.Errorf("%s in %s: grade %d after %d", c.Term, v, c.Steps[i].Grade, c.Steps[i-1].Grade)
				}
			}
		}
	}
	if ctcae.Version("5").Known() || !ctcae.V6.Known() {
		t.Error("versions are known by their exact names")
	}
}
