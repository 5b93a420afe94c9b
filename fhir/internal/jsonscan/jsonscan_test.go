package jsonscan_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/trialwatch/trialwatch/fhir/internal/jsonscan"
)

func TestTokens(t *testing.T) {
	for _, s := range []string{
		`""`, `"a"`, `"\""`, `"\\"`, `"é"`, `"\u00e9"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\ud83dx"`, `"\ude00\ud83d"`, `"\ud83d\u0041"`, `"\x"`, `"\u12"`, `"\u12g4"`, `"\`, `"`, `"\"`, "\"\n\"", "\"\xff\"", "\"\x7f\"", `"a"b`,
		`0`, `-0`, `01`, `-`, `1.`, `.1`, `1.5`, `1e5`, `1E+05`, `1e`, `1e-`, `1.5e10`, `--1`, `1x`, `true`, `truex`, `tru`, `null`, `false`,
	} {
		if got, want := token([]byte(s)), json.Valid([]byte(s)) && utf8.ValidString(s) && !loneSurrogate[s]; got != want {
			t.Errorf("%q: %v, want %v", s, got, want)
		}
	}
}

// Every byte at every place among eight and more, and in a string so long that it is read by 32.
func TestStringBytes(t *testing.T) {
	for length := range 140 {
		for at := range length {
			for c := range 256 {
				s := []byte(`"` + strings.Repeat("x", length) + `"  `)
				s[1+at] = byte(c)
				end, escapes, f := jsonscan.String(s, 0)
				switch {
				case c == '"':
					if end != at+2 || escapes || f != jsonscan.None {
						t.Fatalf("%q: end %d, %v", s, end, f)
					}
				case c == '\\' && at == length-1: // it takes the closing quote
					if f != jsonscan.Broken {
						t.Fatalf("%q: %v", s, f)
					}
				case c < ' ' && f == jsonscan.Broken, c >= 0x80 && f == jsonscan.NotUTF8:
				case c < ' ' || c >= 0x80 || f != jsonscan.None || end != length+2 || escapes != (c == '\\'):
					t.Fatalf("%q: end %d, escapes %v, %v", s, end, escapes, f)
				}
			}
		}
	}
}

// encoding/json takes half a surrogate pair for U+FFFD.
var loneSurrogate = map[string]bool{`"\ud83d"`: true, `"\ud83dx"`: true, `"\ude00\ud83d"`: true, `"\ud83d\u0041"`: true}

// token reports whether data are one valid token.
func token(data []byte) bool {
	switch data[0] {
	case '"':
		end, escapes, f := jsonscan.String(data, 0)
		if f != jsonscan.None || end != len(data) {
			return false
		}
		for i := 1; escapes && i < end-1; i++ {
			if data[i] == '\\' {
				_, next, ok := jsonscan.Escaped(data[:end-1], i+1)
				if !ok {
					return false
				}
				i = next - 1
			}
		}
		return true
	case 't':
		return jsonscan.Word(data, 0, "true") && len(data) == 4
	case 'f':
		return jsonscan.Word(data, 0, "false") && len(data) == 5
	case 'n':
		return jsonscan.Word(data, 0, "null") && len(data) == 4
	}
	end, _, ok := jsonscan.Number(data, 0)
	return ok && end == len(data)
}
