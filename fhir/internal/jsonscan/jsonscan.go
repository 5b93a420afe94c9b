// Package jsonscan finds the ends of JSON tokens. It is what the pre-scan of a resource and its decoder have in common: functions from a place in the
// bytes to the place behind a token, strict, without allocation and without state; and [Mix], by which both look for a name.
package jsonscan

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// Fault is what is wrong with a token.
type Fault uint8

// Faults.
const (
	None    Fault = iota
	Broken        // it ends too early, or has a byte that no such token has
	NotUTF8       // a string with bytes that are no text
)

// Space returns the first place from at on that is not white space; len(data) if there is none.
func Space(data []byte, at int) int {
	for at < len(data) && (data[at] == ' ' || data[at] == '\n' || data[at] == '\r' || data[at] == '\t') {
		at++
	}
	return at
}

// special marks the bytes of eight that do not stand for themselves within a string: quote, backslash, control characters, and what is not ASCII. The
// lowest mark is true; those above it may not be.
func special(eight uint64) uint64 {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	quote, backslash := eight^(ones*'"'), eight^(ones*'\\')
	below := (eight - ones*' ') &^ eight
	return (eight | below | (quote-ones)&^quote | (backslash-ones)&^backslash) & high
}

// plain returns a number of bytes at the beginning, a multiple of 32, that all stand for themselves within a string.
func plain(data []byte) (n int) {
	for ; n+32 <= len(data); n += 32 {
		b := data[n : n+32]
		if special(binary.LittleEndian.Uint64(b))|special(binary.LittleEndian.Uint64(b[8:]))|special(binary.LittleEndian.Uint64(b[16:]))|special(binary.LittleEndian.Uint64(b[24:])) != 0 {
			break
		}
	}
	return n
}

// String reads the string whose opening quote is at data[at], and returns the place behind its closing quote. What stands behind a backslash is not looked
// at: see [Escaped].
func String(data []byte, at int) (end int, escapes bool, f Fault) {
	ascii := true
	for i := at + 1; i < len(data); i++ {
		if i+8 <= len(data) {
			marks := special(binary.LittleEndian.Uint64(data[i:]))
			if marks == 0 {
				i += 7
				if i-at > 64 { // a long one: a document in base64, a narrative
					i += plain(data[i+1:])
				}
				continue
			}
			i += bits.TrailingZeros64(marks) / 8
		}
		switch c := data[i]; {
		case c == '"':
			if !ascii && !utf8.Valid(data[at+1:i]) {
				return i, escapes, NotUTF8
			}
			return i + 1, escapes, None
		case c == '\\':
			escapes = true
			i++ // whatever is escaped, it is not the end
		case c >= utf8.RuneSelf:
			ascii = false
		case c < ' ':
			return i, escapes, Broken
		}
	}
	return len(data), escapes, Broken
}

// Mix is a number by which a name that is not empty is looked for in a table. Names of FHIR differ in their length and in three of their bytes
// more often than not, and a hash of all bytes would cost more than the comparison after it.
func Mix[S string | []byte](name S) int {
	n := len(name)
	return n*7 + int(name[0])*3 + int(name[n/2])*5 + int(name[n-1])*11
}

// short are the escapes of one letter.
var short = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// Escaped reads the escape behind the backslash at s[at-1]: one letter, a hexadecimal, or a pair of them that are two halves of a surrogate. It is not ok
// if there is no such escape.
func Escaped(s []byte, at int) (r rune, end int, ok bool) {
	if at >= len(s) {
		return 0, at, false
	}
	if c := short[s[at]]; c != 0 {
		return rune(c), at + 1, true
	}
	r, ok = hex4(s[at:])
	if !ok || !utf16.IsSurrogate(r) {
		return r, at + 5, ok
	}
	at += 5
	if at >= len(s) || s[at] != '\\' {
		return 0, at, false
	}
	low, ok := hex4(s[at+1:])
	r = utf16.DecodeRune(r, low)
	return r, at + 6, ok && r != utf8.RuneError
}

// hex4 reads the "u00e9" of an escape.
func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 5 || b[0] != 'u' {
		return 0, false
	}
	for _, c := range b[1:5] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// Number reads the number that begins at data[at], and returns the place behind it and the digits of its exponent.
func Number(data []byte, at int) (end, exponent int, ok bool) {
	i := at
	if i < len(data) && data[i] == '-' {
		i++
	}
	whole := i
	if i = digits(data, i); i == whole || data[whole] == '0' && i > whole+1 {
		return i, 0, false
	}
	if i < len(data) && data[i] == '.' {
		i++
		fraction := i
		if i = digits(data, i); i == fraction {
			return i, 0, false
		}
	}
	if i < len(data) && (data[i] == 'e' || data[i] == 'E') {
		i++
		if i < len(data) && (data[i] == '+' || data[i] == '-') {
			i++
		}
		first := i
		if i = digits(data, i); i == first {
			return i, 0, false
		}
		exponent = i - first
	}
	return i, exponent, true
}

// digits returns the place behind the digits from at on.
func digits(data []byte, at int) int {
	for at < len(data) && '0' <= data[at] && data[at] <= '9' {
		at++
	}
	return at
}

// Word reports whether a word stands at data[at].
func Word(data []byte, at int, word string) bool {
	end := at + len(word)
	return end <= len(data) && string(data[at:end]) == word
}
