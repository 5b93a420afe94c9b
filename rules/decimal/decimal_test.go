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

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		text, want string
		err        error
	}{
		{"0", "0", nil},
		{"-0", "0", nil},
		{"0.420", "21/50", nil},
		{"38.3", "383/10", nil},
		{"-3", "-3", nil},
		{"1.0E3", "1000", nil},
		{"1e-2", "1/100", nil},
		{"123456789012345678", "123456789012345678", nil},
		{"1234567890123456789", "", decimal.ErrRange}, // 19 digits
		{"1.0000000000000000000000000000", "1", nil},  // trailing zeros are no digits
		{"9223372036854775808", "", decimal.ErrRange},
		{"1e999", "", decimal.ErrRange}, // must not allocate a thousand digits, either
		{"1e-999", "", decimal.ErrRange},
		{"0e999", "0", nil},
		{"0.12345678901234567890123", "", decimal.ErrRange},
		{"", "", decimal.ErrSyntax},
		{"-", "", decimal.ErrSyntax},
		{"+1", "", decimal.ErrSyntax},
		{"01", "", decimal.ErrSyntax},
		{"1.", "", decimal.ErrSyntax},
		{".5", "", decimal.ErrSyntax},
		{"0,5", "", decimal.ErrSyntax}, // a decimal comma is not guessed at
		{"1e", "", decimal.ErrSyntax},
		{"1e+-1", "", decimal.ErrSyntax},
		{"NaN", "", decimal.ErrSyntax},
		{"Infinity", "", decimal.ErrSyntax},
		{"0x10", "", decimal.ErrSyntax},
		{"1 ", "", decimal.ErrSyntax},
		{"١", "", decimal.ErrSyntax},
	} {
		got, err := decimal.Parse(tt.text)
		if !errors.Is(err, tt.err) || tt.err == nil && (err != nil || got.String() != tt.want) {
			t.Errorf("Parse(%q) = %s, %v, want %s, %v", tt.text, got, err, tt.want, tt.err)
		}
	}
}

// 101.0 [degF] is 38.333… Cel, which no decimal can write and every threshold must be compared with exactly.
func TestFahrenheitIsExact(t *testing.T) {
	limit := decimal.Must("38.3")
	for _, tt := range []struct {
		fahrenheit string
		want       int
	}{{"100.9", -1}, {"100.94", 0}, {"100.95", 1}, {"101.0", 1}} {
		f, err := decimal.Must(tt.fahrenheit).Add(decimal.Int(-32))
		if err != nil {
			t.Fatal(err)
		}
		c, err := f.Mul(decimal.New(5, 9))
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Cmp(limit); got != tt.want {
			t.Errorf("%s [degF] compared with 38.3 Cel: %d, want %d", tt.fahrenheit, got, tt.want)
		}
	}
}

// The zero value and every way to write a number agree.
func TestZeroValueIsZero(t *testing.T) {
	var zero decimal.Number
	if zero.Cmp(decimal.Int(0)) != 0 || zero.Sign() != 0 || zero.String() != "0" {
		t.Errorf("the zero value is %s", zero)
	}
	if sum, err := zero.Add(decimal.Must("1.5")); err != nil || sum.Cmp(decimal.New(3, 2)) != 0 {
		t.Errorf("0 + 1.5 = %s, %v", sum, err)
	}
}

// drawDecimal makes up a decimal number such as a laboratory could send.
func drawDecimal(t *rapid.T, name string) string {
	s := fmt.Sprint(rapid.IntRange(-9999999, 9999999).Draw(t, name))
	if n := rapid.IntRange(0, 6).Draw(t, name+" decimals"); n > 0 {
		sign, digits := "", strings.TrimPrefix(s, "-")
		if digits != s {
			sign = "-"
		}
		digits = strings.Repeat("0", max(0, n+1-len(digits))) + digits
		s = sign + digits[:len(digits)-n] + "." + digits[len(digits)-n:]
	}
	return s
}

// An independent implementation of decimals gives the same comparisons, sums and products.
func TestAgreesWithAPD(t *testing.T) {
	ctx := apd.BaseContext.WithPrecision(60)
	rapid.Check(t, func(t *rapid.T) {
		x, y := drawDecimal(t, "x"), drawDecimal(t, "y")
		a, b := decimal.Must(x), decimal.Must(y)
		p, _, err := apd.NewFromString(x)
		if err != nil {
			t.Fatal(err)
		}
		q, _, err := apd.NewFromString(y)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := a.Cmp(b), p.Cmp(q); got != want {
			t.Fatalf("%s compared with %s: %d, want %d", x, y, got, want)
		}
		var r apd.Decimal
		if _, err := ctx.Add(&r, p, q); err != nil {
			t.Fatal(err)
		}
		if got, err := a.Add(b); err == nil && got.Cmp(decimal.Must(r.Text('f'))) != 0 {
			t.Fatalf("%s + %s = %s, want %s", x, y, got, r.Text('f'))
		}
		if _, err := ctx.Mul(&r, p, q); err != nil {
			t.Fatal(err)
		}
		if got, err := a.Mul(b); err == nil {
			if want, err := decimal.Parse(r.Text('f')); err == nil && got.Cmp(want) != 0 {
				t.Fatalf("%s * %s = %s, want %s", x, y, got, want)
			}
		}
	})
}

// What is written is read again as the same number.
func TestTextRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := decimal.New(rapid.Int64().Draw(t, "num"), rapid.Int64Range(1, 1<<62).Draw(t, "den"))
		text, err := n.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var again decimal.Number
		if err := again.UnmarshalText(text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if again.Cmp(n) != 0 {
			t.Fatalf("%s read as %s", text, again)
		}
	})
}
