package ctcae_test

import (
	"fmt"
	"testing"

	"github.com/trialwatch/trialwatch/rules/ctcae"
	"github.com/trialwatch/trialwatch/rules/decimal"
)

func graded(g ctcae.Grading) string {
	switch {
	case g.Ungradable:
		return "ungradable"
	case g.Min != g.Max:
		return fmt.Sprintf("%d-%d", g.Min, g.Max)
	}
	return fmt.Sprint(g.Min)
}

func limits(t testing.TB, v ctcae.Version, term, analyte string) *ctcae.Limits {
	t.Helper()
	c, err := ctcae.Find(v, term)
	if err != nil {
		t.Fatal(err)
	}
	l := c.Of(analyte)
	if l == nil {
		t.Fatalf("%s is not graded from %s", term, analyte)
	}
	return l
}

// Every limit from both sides, in every version. "<1500 - 1000" of the criteria is 1.0 ≤ x < 1.5: the limit itself has the milder grade.
func TestNeutrophilCountDecreased(t *testing.T) {
	for _, tt := range []struct {
		comparator, value, lln string
		v4, v5, v6             string
	}{
		{"", "2.0", "2.0", "0", "0", "0"},
		{"", "1.99", "2.0", "1", "1", "0"}, // version 6.0 no longer reads the lower limit of normal
		{"", "1.5", "2.0", "1", "1", "0"},
		{"", "1.499", "2.0", "2", "2", "1"},
		{"", "1.0", "2.0", "2", "2", "1"},
		{"", "0.999", "2.0", "3", "3", "2"},
		{"", "0.5", "2.0", "3", "3", "2"},
		{"", "0.499", "2.0", "4", "4", "3"},
		{"", "0.40", "2.0", "4", "4", "3"}, // scenario S11
		{"", "0.1", "2.0", "4", "4", "3"},
		{"", "0.0999", "2.0", "4", "4", "4"},
		{"", "0.08", "2.0", "4", "4", "4"}, // scenario S11
		{"", "0", "2.0", "4", "4", "4"},
		// A laboratory whose normal begins below 1.5: 1.4 is grade 2 by its number, whatever is normal there.
		{"", "1.4", "1.3", "2", "2", "1"},
		{"", "1.6", "1.3", "0", "0", "0"},
		// No limit of normal: what is below 1.5 is certain, what is above may be normal or grade 1. Ungradable is not grade 0.
		{"", "1.499", "", "2", "2", "1"},
		{"", "1.5", "", "ungradable", "ungradable", "0"},
		{"", "9.9", "", "ungradable", "ungradable", "0"},
		// Comparators: a bound decides where all values that it allows agree.
		{"<", "0.1", "2.0", "4", "4", "4"}, // "<0.1" is below 0.1
		{"<", "0.5", "2.0", "4", "4", "3-4"},
		{"<=", "0.5", "2.0", "3-4", "3-4", "2-4"},
		{"<", "2.0", "2.0", "1-4", "1-4", "0-4"},
		{">", "1.5", "2.0", "0-1", "0-1", "0"},
		{">", "2.0", "2.0", "0", "0", "0"},
		{">=", "0.5", "2.0", "0-3", "0-3", "0-2"},
		{">", "0.5", "", "0-3", "0-3", "0-2"},
	} {
		var lln ctcae.Operand
		if tt.lln != "" {
			lln = ctcae.Known(decimal.MustRound(tt.lln))
		}
		for version, want := range map[ctcae.Version]string{ctcae.V4: tt.v4, ctcae.V5: tt.v5, ctcae.V6: tt.v6} {
			in := ctcae.Input{Value: ctcae.Of(decimal.Must(tt.value), tt.comparator).Rounded(), LLN: lln}
			got := graded(limits(t, version, "Neutrophil count decreased", "neutrophils").Grade(&in))
			if got != want {
				t.Errorf("%s%s 10*9/L, LLN %q, version %s: grade %s, want %s", tt.comparator, tt.value, tt.lln, version, got, want)
			}
		}
	}
}

// 38.0 to 39.0 is grade 1, both included; above 39.0 to 40.0 is grade 2; above 40.0 grade 3.
func TestFever(t *testing.T) {
	for _, version := range []ctcae.Version{ctcae.V4, ctcae.V5, ctcae.V6} {
		for _, tt := range []struct{ value, want string }{
			{"36.6", "0"}, {"37.9", "0"}, {"37.99", "0"}, {"38.0", "1"}, {"38.3", "1"}, {"39.0", "1"}, {"39.01", "2"}, {"40.0", "2"}, {"40.01", "3"}, {"42.0", "3"},
		} {
			in := ctcae.Input{Value: ctcae.Point(decimal.MustRound(tt.value))}
			if got := graded(limits(t, version, "Fever", "temperature").Grade(&in)); got != tt.want {
				t.Errorf("%s Cel, version %s: grade %s, want %s", tt.value, version, got, tt.want)
			}
		}
	}
}
