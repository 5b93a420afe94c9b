package decimal_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/cockroachdb/apd/v3"
	"pgregory.net/rapid"

	"github.com/trialwatch/trialwatch/rules/decimal"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		text string
		want string // of String, or the error
	}{
		{"0", "0"},
		{"-0", "0"},
		{"0.0", "0"},
		{"0e999999", "0"}, // nothing, however large its exponent
		{"0.420", "21/50"},
		{"38.3", "383/10"},
		{"-3", "-3"},
		{"1.0E3", "1000"},
		{"1e+3", "1000"},
		{"1e-3", "1/1000"},
		{"100000000000000000000", decimal.ErrRange.Error()}, // 1e20
		{"1000000000000000000", "1000000000000000000"},      // 1e18, the largest power that is kept
		{"9223372036854775807", decimal.ErrRange.Error()},   // 19 digits
		{"999999999999999999", "999999999999999999"},        // 18 digits
		{"0.000000000000000001", "1/1000000000000000000"},
		{"0.0000000000000000001", decimal.ErrRange.Error()},
		{"1e19", decimal.ErrRange.Error()},
		{"1e9999999", decimal.ErrRange.Error()},
		{"12e18", decimal.ErrRange.Error()},
		{"0.500000000000000000000000000000", "1/2"}, // trailing zeros are no digits
		{"", decimal.ErrSyntax.Error()},
		{"-", decimal.ErrSyntax.Error()},
		{".5", decimal.ErrSyntax.Error()},
		{"5.", decimal.ErrSyntax.Error()},
		{"+5", decimal.ErrSyntax.Error()},
		{"05", decimal.ErrSyntax.Error()},
		{"--5", decimal.ErrSyntax.Error()},
		{"1e", decimal.ErrSyntax.Error()},
		{"1e+", decimal.ErrSyntax.Error()},
		{"1e++1", decimal.ErrSyntax.Error()},
		{"1e+-1", decimal.ErrSyntax.Error()},
		{"1e1.5", decimal.ErrSyntax.Error()},
		{"1,5", decimal.ErrSyntax.Error()},
		{"1 5", decimal.ErrSyntax.Error()},
		{"0x10", decimal.ErrSyntax.Error()},
		{"1_000", decimal.ErrSyntax.Error()},
		{"NaN", decimal.ErrSyntax.Error()},
		{"Infinity", decimal.ErrSyntax.Error()},
		{"٣", decimal.ErrSyntax.Error()}, // a digit, but not one of JSON's
	} {
		t.Run(tt.text, func(t *testing.T) {
			n, err := decimal.Parse(tt.text)
			got := n.String()
			if err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// TestNoFloatSurprises: what a float gets wrong at the limits of a grade.
func TestNoFloatSurprises(t *testing.T) {
	three, uln := decimal.Must("3.0"), decimal.Must("1.1")
	limit, err := three.Mul(uln)
	if err != nil || limit.Cmp(decimal.Must("3.3")) != 0 {
		t.Errorf("3.0 x 1.1: got %s (%v), want exactly 3.3", limit, err)
	}
	fahrenheit := func(s string) decimal.Number {
		n, err := decimal.Must(s).Add(decimal.Int(-32))
		if err != nil {
			t.Fatal(err)
		}
		if n, err = n.Mul(decimal.New(5, 9)); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, tt := range []struct {
		degF string
		want int // against 38.3 Cel
	}{{"101.0", 1}, {"100.94", 0}, {"100.9", -1}} {
		if got := fahrenheit(tt.degF).Cmp(decimal.Must("38.3")); got != tt.want {
			t.Errorf("%s degF against 38.3 Cel: got %d, want %d", tt.degF, got, tt.want)
		}
	}
	if got := fahrenheit("100.4"); got.Cmp(decimal.Must("38")) != 0 {
		t.Errorf("100.4 degF: got %s Cel, want exactly 38", got)
	}
}

// TestEdges: where an int64 ends, the answer is an error and never another number.
func TestEdges(t *testing.T) {
	big, small := decimal.Int(math.MaxInt64), decimal.New(1, math.MaxInt64)
	for _, tt := range []struct {
		name string
		got  func() (decimal.Number, error)
		want string
	}{
		{"the largest plus one", func() (decimal.Number, error) { return big.Add(decimal.Int(1)) }, "range"},
		{"the largest plus nothing", func() (decimal.Number, error) { return big.Add(decimal.Number{}) }, "9223372036854775807"},
		{"the largest minus itself", func() (decimal.Number, error) { return big.Add(big.Neg()) }, "0"},
		{"minus the largest twice", func() (decimal.Number, error) { return big.Neg().Add(big.Neg()) }, "range"},
		{"the least int64, which has no opposite", func() (decimal.Number, error) { return decimal.Int(-1 << 62).Add(decimal.Int(-1 << 62)) }, "range"},
		{"the largest times two", func() (decimal.Number, error) { return big.Mul(decimal.Int(2)) }, "range"},
		{"the largest times its inverse", func() (decimal.Number, error) { return big.Mul(small) }, "1"},
		{"the smallest times a half", func() (decimal.Number, error) { return small.Mul(decimal.New(1, 2)) }, "range"},
		{"the smallest plus a third", func() (decimal.Number, error) { return small.Add(decimal.New(1, 2)) }, "range"},
		{"the zero value is 0", func() (decimal.Number, error) { return decimal.Number{}.Add(decimal.Number{}) }, "0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, err := tt.got()
			got := n.String()
			if errors.Is(err, decimal.ErrRange) {
				got = "range"
			}
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	if big.Cmp(small) != 1 || small.Cmp(big) != -1 || big.Neg().Cmp(small) != -1 || small.Cmp(small) != 0 {
		t.Error("the largest and the smallest are not in order")
	}
}

// decimals draws numbers as laboratories send them, and longer ones.
func decimals(t *rapid.T, name string) string {
	digits := rapid.StringMatching(`[1-9][0-9]{0,8}|0`).Draw(t, name+" whole")
	text := rapid.SampledFrom([]string{"", "-"}).Draw(t, name+" sign") + digits
	if rapid.Bool().Draw(t, name+" has a fraction") {
		text += "." + rapid.StringMatching(`[0-9]{1,6}`).Draw(t, name+" fraction")
	}
	if rapid.Bool().Draw(t, name+" has an exponent") {
		text += fmt.Sprintf("e%d", rapid.IntRange(-3, 3).Draw(t, name+" exponent"))
	}
	return text
}

// TestAgainstAPD compares with an arbitrary-precision decimal: order, sum and product are the same wherever ours gives one.
func TestAgainstAPD(t *testing.T) {
	context := apd.BaseContext.WithPrecision(60)
	rapid.Check(t, func(t *rapid.T) {
		x, y := decimals(t, "x"), decimals(t, "y")
		a, b := decimal.Must(x), decimal.Must(y)
		p, q := oracle(t, x), oracle(t, y)
		if got, want := a.Cmp(b), p.Cmp(q); got != want {
			t.Fatalf("%s against %s: got %d, want %d", x, y, got, want)
		}
		if got, want := a.Sign(), p.Sign(); got != want {
			t.Fatalf("sign of %s: got %d, want %d", x, got, want)
		}
		if got, want := a.Less(b), b.Cmp(a) > 0; got != want {
			t.Fatalf("%s < %s: got %t, want %t", x, y, got, want)
		}
		for _, op := range []struct {
			name string
			got  func() (decimal.Number, error)
			want func(d *apd.Decimal) (apd.Condition, error)
		}{
			{"+", func() (decimal.Number, error) { return a.Add(b) }, func(d *apd.Decimal) (apd.Condition, error) { return context.Add(d, p, q) }},
			{"x", func() (decimal.Number, error) { return a.Mul(b) }, func(d *apd.Decimal) (apd.Condition, error) { return context.Mul(d, p, q) }},
		} {
			got, err := op.got()
			if errors.Is(err, decimal.ErrRange) {
				continue // too long to be kept: said, not rounded
			} else if err != nil {
				t.Fatal(err)
			}
			want := new(apd.Decimal)
			if _, err := op.want(want); err != nil {
				t.Fatal(err)
			}
			// Ours is a ratio: compare numerator with denominator times the oracle.
			num, den, _ := strings.Cut(got.String()+"/1", "/")
			den, _, _ = strings.Cut(den, "/")
			scaled := new(apd.Decimal)
			if _, err := context.Mul(scaled, want, oracle(t, den)); err != nil {
				t.Fatal(err)
			}
			if oracle(t, num).Cmp(scaled) != 0 {
				t.Fatalf("%s %s %s: got %s, want %s", x, op.name, y, got, want)
			}
		}
		var back decimal.Number
		text, err := a.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		if err := back.UnmarshalText(text); err != nil || back.Cmp(a) != 0 {
			t.Fatalf("%s written and read: got %s (%v)", x, back, err)
		}
	})
}

func oracle(t *rapid.T, text string) *apd.Decimal {
	d, _, err := apd.NewFromString(text)
	if err != nil {
		t.Fatalf("the oracle does not read %q: %v", text, err)
	}
	return d
}

// TestParseOfAnything draws any text: what is read equals what the oracle reads, and what is refused is refused with a reason.
func TestParseOfAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.RuneFrom([]rune("0123456789.eE+-"))).Draw(t, "text")
		n, err := decimal.Parse(text)
		if err != nil {
			if !errors.Is(err, decimal.ErrSyntax) && !errors.Is(err, decimal.ErrRange) {
				t.Fatalf("%q: got the error %v", text, err)
			}
			return
		}
		if n.Sign() == 0 && strings.Trim(text[:strings.IndexAny(text+"e", "eE")], "-0.") == "" {
			return // nothing, with an exponent that the oracle may find too large
		}
		num, den, ok := strings.Cut(n.String(), "/")
		if !ok {
			den = "1"
		}
		scaled := new(apd.Decimal)
		if _, err := apd.BaseContext.WithPrecision(80).Mul(scaled, oracle(t, text), oracle(t, den)); err != nil {
			t.Fatal(err)
		}
		if oracle(t, num).Cmp(scaled) != 0 {
			t.Fatalf("%q: got %s", text, n)
		}
	})
}

func TestUnmarshalTextRefuses(t *testing.T) {
	for _, text := range []string{"", "1/0", "1/-2", "a/2", "1/b", "1/2/3"} {
		var n decimal.Number
		if err := n.UnmarshalText([]byte(text)); !errors.Is(err, decimal.ErrSyntax) {
			t.Errorf("%q: got %s, %v; want %v", text, n, err, decimal.ErrSyntax)
		}
	}
}
