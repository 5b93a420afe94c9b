package decimal_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/apd/v3"
	"pgregory.net/rapid"

	"github.com/trialwatch/trialwatch/rules/decimal"
)

func TestParseRounded(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"0", "0"},
		{"-0", "0"},
		{"0.000", "0"},
		{"0e5", "0"},
		{"1", "1"},
		{"-1.50", "-1.5"},
		{".5", "0.5"},
		{"5.", "5"},
		{"007", "7"},
		{"1e+05", "100000"},
		{"1E-3", "0.001"},
		{"0.420", "0.42"},
		{"1500", "1500"},
		{"123456789012345", "123456789012345"},
		// 16 and 17 digits: what a float prints of a number that was shorter.
		{"120.00000000000001", "120"},
		{"52.499999999999993", "52.5"},
		{"0.30000000000000004", "0.3"},
		{"999999999999999.9", "1000000000000000"},
		{"99999999999999.95", "100000000000000"},
		// Half goes to even, a trace above half goes up.
		{"1.000000000000005", "1"},
		{"1.000000000000015", "1.00000000000002"},
		{"1.0000000000000050000001", "1.00000000000001"},
		{"1.00000000000000500000000", "1"},
		{"0.00000000000000000000012345", "1.2345e-22"},
		{"12345e20", "1.2345e24"},
		{"1e308", "1e308"},
		{"0.0000000001e310", "1e300"},
	} {
		got, err := decimal.ParseRounded(tt.text)
		if err != nil || got.String() != tt.want {
			t.Errorf("%q is %s (%v), want %s", tt.text, got, err, tt.want)
		}
	}
	for text, want := range map[string]error{
		"": decimal.ErrSyntax, "-": decimal.ErrSyntax, ".": decimal.ErrSyntax, "+1": decimal.ErrSyntax, "NaN": decimal.ErrSyntax, "Inf": decimal.ErrSyntax, "1,5": decimal.ErrSyntax,
		"1 000": decimal.ErrSyntax, " 1": decimal.ErrSyntax, "1e": decimal.ErrSyntax, "1e+": decimal.ErrSyntax, "0x1": decimal.ErrSyntax, "<0.1": decimal.ErrSyntax, "1.2.3": decimal.ErrSyntax,
		"--1": decimal.ErrSyntax, "1e999": decimal.ErrRange, "1e309": decimal.ErrRange, "1e-309": decimal.ErrRange, "1e99999999999999999999": decimal.ErrRange,
	} {
		if got, err := decimal.ParseRounded(text); !errors.Is(err, want) {
			t.Errorf("%q is %s with error %v, want %v", text, got, err, want)
		}
	}
}

var fifteen = apd.Context{Precision: decimal.Digits, MaxExponent: apd.MaxExponent, MinExponent: apd.MinExponent, Rounding: apd.RoundHalfEven}

func big(t rapid.TB, text string) *apd.Decimal {
	d, _, err := apd.NewFromString(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Every operation gives what a decimal library of arbitrary precision gives after rounding to 15 digits.
func TestRoundedIsDecimalArithmetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.Custom(func(t *rapid.T) string {
			digits := rapid.StringMatching(`-?[0-9]{1,18}`).Draw(t, "digits")
			return digits + "e" + fmt.Sprint(rapid.IntRange(-24, 12).Draw(t, "exponent"))
		})
		x, y := number.Draw(t, "x"), number.Draw(t, "y")
		a, b := decimal.MustRound(x), decimal.MustRound(y)
		var p, q, r apd.Decimal
		round := func(to, from *apd.Decimal) {
			if _, err := fifteen.Round(to, from); err != nil {
				t.Fatal(err)
			}
		}
		round(&p, big(t, x))
		round(&q, big(t, y))
		same := func(what string, got decimal.Rounded, want *apd.Decimal) {
			if back := big(t, got.String()); back.Cmp(want) != 0 {
				t.Fatalf("%s of %s and %s: got %s, want %s", what, x, y, got, want)
			}
		}
		same("value", a, &p)
		if got, want := a.Cmp(b), p.Cmp(&q); got != want {
			t.Fatalf("%s compared with %s: %d, want %d", x, y, got, want)
		}
		if got, want := a == b, p.Cmp(&q) == 0; got != want {
			t.Fatalf("%s == %s: %v", x, y, got)
		}
		if _, err := fifteen.Mul(&r, &p, &q); err != nil {
			t.Fatal(err)
		}
		same("product", a.Mul(b), &r)
		if _, err := fifteen.Add(&r, &p, &q); err != nil {
			t.Fatal(err)
		}
		same("sum", a.Add(b), &r)
		if q.Sign() != 0 {
			if _, err := fifteen.Quo(&r, &p, &q); err != nil {
				t.Fatal(err)
			}
			ratio, err := a.Quo(b)
			if err != nil {
				t.Fatal(err)
			}
			same("quotient", ratio, &r)
		}
		if a.Sign() != p.Sign() || a.Neg().Sign() != -p.Sign() {
			t.Fatalf("sign of %s: %d", x, a.Sign())
		}
	})
}

// A ratio is rounded as its decimal expansion is.
func TestNumberRounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		num := rapid.Int64Range(-1<<62, 1<<62).Draw(t, "num")
		den := rapid.OneOf(rapid.Int64Range(1, 1<<62), rapid.SampledFrom([]int64{1, 9, 10, 1000, 1e9, 1e18})).Draw(t, "den")
		got := decimal.New(num, den).Round()
		var want apd.Decimal
		if _, err := fifteen.Quo(&want, apd.New(num, 0), apd.New(den, 0)); err != nil {
			t.Fatal(err)
		}
		if back := big(t, got.String()); back.Cmp(&want) != 0 {
			t.Fatalf("%d/%d is %s, want %s", num, den, got, &want)
		}
	})
	for num := int64(-300); num <= 300; num++ {
		for den := int64(1); den <= 130; den++ {
			var want apd.Decimal
			if _, err := fifteen.Quo(&want, apd.New(num, 0), apd.New(den, 0)); err != nil {
				t.Fatal(err)
			}
			if got := decimal.New(num, den).Round(); big(t, got.String()).Cmp(&want) != 0 {
				t.Fatalf("%d/%d is %s, want %s", num, den, got, &want)
			}
		}
	}
	if got := (decimal.Number{}).Round(); got != (decimal.Rounded{}) {
		t.Errorf("the zero number rounds to %s", got)
	}
}

func FuzzParseRounded(f *testing.F) {
	for _, s := range []string{"0.45", "-1e5", "1e999", "NaN", "1,5", "120.00000000000001"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := decimal.ParseRounded(s)
		if err != nil {
			return
		}
		if strings.Trim(s, "0123456789.eE+-") != "" {
			t.Fatalf("%q was read as %s", s, r)
		}
		again, err := decimal.ParseRounded(r.String())
		if err != nil || again != r {
			t.Fatalf("%q is %s, which reads as %s (%v)", s, r, again, err)
		}
	})
}

func BenchmarkRounded(b *testing.B) {
	value, uln, times := decimal.MustRound("120.00000000000001"), decimal.MustRound("40.0"), decimal.MustRound("3")
	b.ReportAllocs()
	for b.Loop() {
		if value.Cmp(uln.Mul(times)) > 0 {
			b.Fatal("120 is not above 3 times 40")
		}
	}
}
