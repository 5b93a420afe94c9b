package decimal

import (
	"math/bits"
	"strconv"
)

// Digits is how many significant digits a [Rounded] keeps.
const Digits = 15

// maxExponent bounds |log10| of a Rounded: what a 64-bit float of the sender can hold.
const maxExponent = 308

// Rounded is a decimal number rounded to 15 significant digits, half to even. It is what CTCAE limits are compared in: 15 digits are all that a
// 64-bit float of a sending system carries truly, so that 0.1 × 3 of one system and 0.3 of another are one number, and 3 × ULN is what it is on
// paper. The reference implementation (R, admiral) compares likewise.
//
// The zero value is 0. Rounded values are comparable with ==; arithmetic does not allocate.
type Rounded struct {
	coef int64 // 0, or of magnitude 10^14 to 10^15−1
	exp  int32 // value = coef × 10^exp
}

const (
	least = 100_000_000_000_000   // 10^14, the least coefficient
	over  = 1_000_000_000_000_000 // 10^15, the first that is too large
)

var powers = func() (p [20]uint64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1] * 10
	}
	return p
}()

// MustRound is [ParseRounded] of text that is known to be good, such as a limit in a table; it panics otherwise.
func MustRound(text string) Rounded {
	r, err := ParseRounded(text)
	if err != nil {
		panic("decimal: " + strconv.Quote(text) + ": " + err.Error())
	}
	return r
}

// ParseRounded reads a decimal number: "-0.42", "3.", ".5", "1e+05". It returns [ErrSyntax] for anything else (NaN, Inf, a decimal comma, digits
// grouped, blanks) and [ErrRange] for a number beyond 10^308.
func ParseRounded(text string) (Rounded, error) {
	var d digits
	i, negative, seen := 0, false, false
	if i < len(text) && text[i] == '-' {
		negative = true
		i++
	}
	for ; i < len(text) && isDigit(text[i]); i++ {
		d.push(text[i] - '0')
		seen = true
	}
	if i < len(text) && text[i] == '.' {
		for i++; i < len(text) && isDigit(text[i]); i++ {
			d.push(text[i] - '0')
			d.exp--
			seen = true
		}
	}
	if !seen {
		return Rounded{}, ErrSyntax
	}
	if i < len(text) && (text[i] == 'e' || text[i] == 'E') {
		i++
		down := false
		if i < len(text) && (text[i] == '+' || text[i] == '-') {
			down = text[i] == '-'
			i++
		}
		e, from := 0, i
		for ; i < len(text) && isDigit(text[i]); i++ {
			e = min(e*10+int(text[i]-'0'), 1<<20)
		}
		if i == from {
			return Rounded{}, ErrSyntax
		}
		if down {
			e = -e
		}
		d.exp += e
	}
	if i != len(text) {
		return Rounded{}, ErrSyntax
	}
	if d.coef == 0 {
		return Rounded{}, nil
	}
	if size := d.exp + d.n - 1; size > maxExponent || size < -maxExponent {
		return Rounded{}, ErrRange
	}
	return d.rounded(negative), nil
}

func isDigit(c byte) bool { return c-'0' <= 9 }

// digits collects the significant digits of a number, most significant first.
type digits struct {
	coef   uint64 // the first 15 of them
	n      int    // how many there are in coef
	exp    int    // of the last digit in coef
	next   byte   // the 16th
	after  bool   // any digit behind it is not 0
	beyond bool   // there is a 16th
}

func (d *digits) push(c byte) {
	switch {
	case d.n < Digits:
		if d.coef == 0 && c == 0 {
			return // a leading zero; the caller counts the places behind the point
		}
		d.coef = d.coef*10 + uint64(c)
		d.n++
	case !d.beyond:
		d.next, d.beyond = c, true
		d.exp++
	default:
		d.after = d.after || c != 0
		d.exp++
	}
}

func (d *digits) rounded(negative bool) Rounded {
	if d.next > 5 || d.next == 5 && (d.after || d.coef&1 == 1) {
		d.coef++
	}
	d.coef *= powers[Digits-d.n]
	d.exp -= Digits - d.n
	if d.coef == over {
		d.coef, d.exp = least, d.exp+1
	}
	r := Rounded{int64(d.coef), int32(d.exp)}
	if negative {
		r.coef = -r.coef
	}
	return r
}

// Round returns a rounded to 15 significant digits.
func (a Number) Round() Rounded {
	a = a.norm()
	if a.num == 0 {
		return Rounded{}
	}
	num, den := abs(a.num), uint64(a.den)
	if r, ok := short(num, den); ok {
		if a.num < 0 {
			r.coef = -r.coef
		}
		return r
	}
	var d digits
	whole, rest := num/den, num%den
	var text [20]byte
	for _, c := range strconv.AppendUint(text[:0], whole, 10) {
		d.push(c - '0')
	}
	// 18 digits of the fraction at a time: the remainder is below den, so that each quotient fits in 64 bits.
	for rest != 0 && !d.beyond {
		hi, lo := bits.Mul64(rest, powers[18])
		var q uint64
		q, rest = bits.Div64(hi, lo, den)
		for place := 17; place >= 0; place-- {
			d.push(byte(q / powers[place] % 10))
			d.exp--
		}
	}
	d.after = d.after || rest != 0
	return d.rounded(a.num < 0)
}

// short is num/den where that is a decimal of few digits, as nearly every measured value is. num is not 0.
func short(num, den uint64) (r Rounded, ok bool) {
	for places, unit := range powers[:7] {
		if unit%den != 0 {
			continue
		}
		hi, n := bits.Mul64(num, unit/den)
		if hi != 0 || n >= over {
			return r, false
		}
		exp := -places
		for _, step := range [...]int{8, 4, 2, 1} {
			for n < least/powers[step-1] {
				n, exp = n*powers[step], exp-step
			}
		}
		return Rounded{coef: int64(n), exp: int32(exp)}, true
	}
	return r, false
}

// Sign is -1, 0 or +1.
func (a Rounded) Sign() int { return sign(a.coef) }

// Cmp compares a with b: -1 if a < b, 0 if equal, +1 if a > b.
func (a Rounded) Cmp(b Rounded) int {
	if a.exp == b.exp || a.coef == 0 || b.coef == 0 || (a.coef < 0) != (b.coef < 0) {
		switch {
		case a.coef < b.coef:
			return -1
		case a.coef > b.coef:
			return 1
		}
		return 0
	}
	if (a.exp < b.exp) == (a.coef > 0) {
		return -1
	}
	return 1
}

// Neg returns -a.
func (a Rounded) Neg() Rounded { a.coef = -a.coef; return a }

// Mul returns a × b, rounded.
func (a Rounded) Mul(b Rounded) Rounded {
	if a.coef == 0 || b.coef == 0 {
		return Rounded{}
	}
	hi, lo := bits.Mul64(abs(a.coef), abs(b.coef)) // 10^28 to 10^30
	unit, exp := uint64(least), a.exp+b.exp+14
	q, r := bits.Div64(hi, lo, unit)
	if q >= over {
		unit, exp = over, exp+1
		q, r = bits.Div64(hi, lo, unit)
	}
	return settle(q, r, unit, exp, (a.coef < 0) != (b.coef < 0))
}

// Quo returns a / b, rounded. It returns [ErrRange] if b is 0.
func (a Rounded) Quo(b Rounded) (Rounded, error) {
	if b.coef == 0 {
		return Rounded{}, ErrRange
	}
	if a.coef == 0 {
		return Rounded{}, nil
	}
	// With 10^15 before the division the quotient has 15 or 16 digits.
	hi, lo := bits.Mul64(abs(a.coef), over)
	q, r := bits.Div64(hi, lo, abs(b.coef))
	exp, unit := a.exp-b.exp-15, abs(b.coef)
	if q >= over {
		r += q % 10 * unit
		q, unit, exp = q/10, unit*10, exp+1
	}
	return settle(q, r, unit, exp, (a.coef < 0) != (b.coef < 0)), nil
}

// Float returns the nearest float64, for display and where a result is rounded anyway, such as a square root.
func (a Rounded) Float() float64 {
	f, err := strconv.ParseFloat(strconv.FormatInt(a.coef, 10)+"e"+strconv.Itoa(int(a.exp)), 64)
	if err != nil {
		return 0 // beyond a float; nothing that is measured is
	}
	return f
}

// Add returns a + b, rounded.
func (a Rounded) Add(b Rounded) Rounded {
	if a.coef == 0 {
		return b
	}
	if b.coef == 0 {
		return a
	}
	if a.exp < b.exp {
		a, b = b, a
	}
	d := a.exp - b.exp
	if d > Digits+1 {
		return a // b lies below half of a's last digit
	}
	hi, lo := bits.Mul64(abs(a.coef), powers[d])
	negative := a.coef < 0
	if (a.coef < 0) == (b.coef < 0) {
		var carry uint64
		lo, carry = bits.Add64(lo, abs(b.coef), 0)
		hi += carry
	} else {
		var borrow uint64
		lo, borrow = bits.Sub64(lo, abs(b.coef), 0)
		if borrow > hi { // |b| > |a|: only where both have one exponent
			lo, negative, borrow = -lo, !negative, 0
		}
		hi -= borrow
	}
	exp, unit, rest := b.exp, uint64(1), uint64(0)
	for hi > 0 || lo >= over {
		var r, low uint64
		hi, r = hi/10, hi%10
		low, r = bits.Div64(r, lo, 10)
		lo = low
		if unit < powers[18] {
			rest += r * unit
			unit *= 10
		} else if r != 0 { // further down than matters: only whether anything is there
			rest |= 1
		}
		exp++
	}
	if lo == 0 {
		return Rounded{}
	}
	for lo < least {
		lo *= 10
		exp--
	}
	return settle(lo, rest, unit, exp, negative)
}

// settle rounds q + r/unit half to even.
func settle(q, r, unit uint64, exp int32, negative bool) Rounded {
	if twice := 2 * r; unit > 1 && (twice > unit || twice == unit && q&1 == 1) {
		if q++; q == over {
			q, exp = least, exp+1
		}
	}
	c := int64(q)
	if negative {
		c = -c
	}
	return Rounded{c, exp}
}

// String writes a plain decimal without trailing zeros: "0.42", "1500". Numbers beyond 10^21 or below 10^-9 have an exponent.
func (a Rounded) String() string {
	if a.coef == 0 {
		return "0"
	}
	text := strconv.FormatUint(abs(a.coef), 10)
	n := len(text)
	for n > 1 && text[n-1] == '0' {
		n--
	}
	text, exp := text[:n], int(a.exp)+Digits-n
	sign := ""
	if a.coef < 0 {
		sign = "-"
	}
	point := len(text) + exp // digits before the point
	switch {
	case point > 21 || point < -8:
		mantissa := text[:1]
		if len(text) > 1 {
			mantissa += "." + text[1:]
		}
		return sign + mantissa + "e" + strconv.Itoa(point-1)
	case exp >= 0:
		return sign + text + zeros[:exp]
	case point > 0:
		return sign + text[:point] + "." + text[point:]
	}
	return sign + "0." + zeros[:-point] + text
}

const zeros = "0000000000000000000000000"
