// Package decimal holds exact numbers for clinical comparisons.
//
// A Number is a ratio of two 64-bit integers: wide enough for every decimal that a laboratory sends and for the exact result of a unit
// conversion (101.0 [degF] is 345/9 Cel, which no decimal can write), and free of allocation. Numbers never round: what does not fit is an
// error, so a threshold is never crossed by arithmetic.
package decimal

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// ErrSyntax says that a text is not a JSON number.
var ErrSyntax = errors.New("not a decimal number")

// ErrRange says that a number has too many digits to be kept exactly.
var ErrRange = errors.New("too many digits to compare exactly")

// Number is an exact rational. The zero value is 0. Numbers are values: copy and compare them with [Number.Cmp], not with ==.
type Number struct {
	num int64
	den int64 // > 0, or 0 in the zero value, which means 1
}

// New returns num/den. It panics unless den > 0: callers pass constants.
func New(num, den int64) Number {
	if den <= 0 {
		panic("decimal: denominator must be positive")
	}
	return reduce(num, den)
}

// Int returns the whole number n.
func Int(n int64) Number { return Number{n, 1} }

// Must parses text that is known to be good, such as a constant in a table, and panics otherwise.
func Must(text string) Number {
	n, err := Parse(text)
	if err != nil {
		panic(fmt.Sprintf("decimal: %q: %v", text, err))
	}
	return n
}

// Parse reads a number in JSON syntax ("0.420", "-3", "1.0E3"). It returns [ErrSyntax] or [ErrRange]; trailing zeros do not count
// towards the range.
func Parse(text string) (Number, error) {
	mantissa, exponent := text, 0
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		e, plus := strings.CutPrefix(text[i+1:], "+")
		if e == "" || e[0] == '+' || plus && e[0] == '-' || len(e) > 6 {
			if len(e) > 6 && allDigits(strings.TrimPrefix(e, "-")) {
				return Number{}, ErrRange
			}
			return Number{}, ErrSyntax
		}
		v, err := strconv.Atoi(e)
		if err != nil {
			return Number{}, ErrSyntax
		}
		mantissa, exponent = text[:i], v
	}
	negative := strings.HasPrefix(mantissa, "-")
	mantissa = strings.TrimPrefix(mantissa, "-")
	whole, fraction, dotted := strings.Cut(mantissa, ".")
	if whole == "" || !allDigits(whole) || len(whole) > 1 && whole[0] == '0' || dotted && (fraction == "" || !allDigits(fraction)) {
		return Number{}, ErrSyntax
	}
	fraction = strings.TrimRight(fraction, "0")
	digits := strings.TrimLeft(whole+fraction, "0")
	exponent -= len(fraction)
	for strings.HasSuffix(digits, "0") {
		digits, exponent = digits[:len(digits)-1], exponent+1
	}
	if digits == "" {
		return Number{0, 1}, nil
	}
	if len(digits) > 18 || exponent > 18 || exponent < -18 {
		return Number{}, ErrRange
	}
	coefficient, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return Number{}, ErrRange
	}
	if negative {
		coefficient = -coefficient
	}
	if exponent < 0 {
		return reduce(coefficient, pow10(-exponent)), nil
	}
	num, ok := mul(coefficient, pow10(exponent))
	if !ok {
		return Number{}, ErrRange
	}
	return Number{num, 1}, nil
}

// Cmp compares a with b exactly: -1 if a < b, 0 if equal, +1 if a > b.
func (a Number) Cmp(b Number) int {
	a, b = a.norm(), b.norm()
	if as, bs := sign(a.num), sign(b.num); as != bs {
		if as < bs {
			return -1
		}
		return 1
	} else if as == 0 {
		return 0
	}
	// |a.num| * b.den against |b.num| * a.den in 128 bits.
	h1, l1 := bits.Mul64(abs(a.num), uint64(b.den))
	h2, l2 := bits.Mul64(abs(b.num), uint64(a.den))
	c := 0
	switch {
	case h1 != h2:
		c = 1
		if h1 < h2 {
			c = -1
		}
	case l1 != l2:
		c = 1
		if l1 < l2 {
			c = -1
		}
	}
	return c * sign(a.num)
}

// Less reports a < b.
func (a Number) Less(b Number) bool { return a.Cmp(b) < 0 }

// Sign is -1, 0 or +1.
func (a Number) Sign() int { return sign(a.num) }

// Add returns a+b, or [ErrRange].
func (a Number) Add(b Number) (Number, error) {
	a, b = a.norm(), b.norm()
	g := gcd(uint64(a.den), uint64(b.den))
	bd := b.den / int64(g)
	x, ok1 := mul(a.num, bd)
	y, ok2 := mul(b.num, a.den/int64(g))
	d, ok3 := mul(a.den, bd)
	s := x + y
	// The least int64 has no opposite, so it is no number here.
	if s == math.MinInt64 || !ok1 || !ok2 || !ok3 || (x > 0) == (y > 0) && x != 0 && y != 0 && (s > 0) != (x > 0) {
		return Number{}, ErrRange
	}
	return reduce(s, d), nil
}

// Neg returns -a.
func (a Number) Neg() Number { a = a.norm(); return Number{-a.num, a.den} }

// Mul returns a*b, or [ErrRange].
func (a Number) Mul(b Number) (Number, error) {
	a, b = a.norm(), b.norm()
	a, b = reduce(a.num, a.den), reduce(b.num, b.den)
	// Cross-reducing first keeps intermediate products as small as the result.
	c, d := reduce(a.num, b.den), reduce(b.num, a.den)
	n, ok1 := mul(c.num, d.num)
	m, ok2 := mul(c.den, d.den)
	if !ok1 || !ok2 {
		return Number{}, ErrRange
	}
	return Number{n, m}, nil
}

// Quo returns a/b. It returns [ErrRange] if b is 0 or the result does not fit.
func (a Number) Quo(b Number) (Number, error) {
	b = b.norm()
	switch {
	case b.num == 0:
		return Number{}, ErrRange
	case b.num < 0:
		return a.Mul(Number{-b.den, -b.num})
	}
	return a.Mul(Number{b.den, b.num})
}

// Float returns the nearest float64, for display and statistics, never for a comparison with a threshold.
func (a Number) Float() float64 { a = a.norm(); return float64(a.num) / float64(a.den) }

// String writes "num" or "num/den" in lowest terms.
func (a Number) String() string {
	a = a.norm()
	a = reduce(a.num, a.den)
	if a.den == 1 {
		return strconv.FormatInt(a.num, 10)
	}
	return strconv.FormatInt(a.num, 10) + "/" + strconv.FormatInt(a.den, 10)
}

// MarshalText writes what [Number.String] writes.
func (a Number) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalYAML reads a decimal number. The YAML library would lay the whole file out anew for each UnmarshalText.
func (a *Number) UnmarshalYAML(read func(any) error) error {
	var text string
	if err := read(&text); err != nil {
		return err
	}
	return a.UnmarshalText([]byte(text))
}

// UnmarshalText reads what [Number.MarshalText] wrote, or a decimal number.
func (a *Number) UnmarshalText(text []byte) error {
	num, den, ratio := strings.Cut(string(text), "/")
	if !ratio {
		n, err := Parse(num)
		if errors.Is(err, ErrRange) { // a computed number may have a digit more than one that is sent
			if whole, wrong := strconv.ParseInt(num, 10, 64); wrong == nil {
				n, err = Int(whole), nil
			}
		}
		if err != nil {
			return err
		}
		*a = n
		return nil
	}
	n, err1 := strconv.ParseInt(num, 10, 64)
	d, err2 := strconv.ParseInt(den, 10, 64)
	if err1 != nil || err2 != nil || d <= 0 {
		return ErrSyntax
	}
	*a = reduce(n, d)
	return nil
}

func (a Number) norm() Number {
	if a.den == 0 {
		a.den = 1
	}
	return a
}

func reduce(num, den int64) Number {
	if num == 0 {
		return Number{0, 1}
	}
	g := int64(gcd(abs(num), uint64(den)))
	return Number{num / g, den / g}
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func mul(a, b int64) (int64, bool) {
	hi, lo := bits.Mul64(abs(a), abs(b))
	if hi != 0 || lo > 1<<63-1 {
		return 0, false
	}
	if (a < 0) != (b < 0) {
		return -int64(lo), true
	}
	return int64(lo), true
}

func pow10(n int) int64 {
	p := int64(1)
	for range n {
		p *= 10
	}
	return p
}

func abs(n int64) uint64 {
	if n < 0 {
		return uint64(-(n + 1)) + 1
	}
	return uint64(n)
}

func sign(n int64) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
