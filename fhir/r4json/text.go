package r4json

import (
	"unicode/utf16"
	"unicode/utf8"
)

// maxText is the size of a FHIR string in bytes.
const maxText = 1 << 20

// text reads a string as a copy.
func (s *scanner) text() (string, bool) {
	raw, plain, ok := s.quoted()
	if !ok {
		return "", false
	}
	if len(raw) > maxText {
		return "", s.giveUp(Value)
	}
	if plain {
		return string(raw), true
	}
	return s.unescape(raw)
}

// repeated reads a string that the feed is likely to have said before.
func (d *decoding) repeated() (string, bool) {
	raw, plain, ok := d.quoted()
	switch {
	case !ok:
		return "", false
	case plain && len(raw) <= maxText:
		return d.known.get(raw), true
	case len(raw) > maxText:
		return "", d.giveUp(Value)
	}
	return d.unescape(raw)
}

// short are the escapes of one letter. \b and \f are characters that no FHIR string has.
var short = [256]byte{'"': '"', '\\': '\\', '/': '/', 'n': '\n', 'r': '\r', 't': '\t'}

// unescape resolves escapes. Control characters other than white space, and half a surrogate pair, are not sure to be taken.
func (s *scanner) unescape(raw []byte) (string, bool) {
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			out = append(out, raw[i])
			continue
		}
		i++ // quoted has seen that something follows
		if c := short[raw[i]]; c != 0 {
			out = append(out, c)
			continue
		}
		r, ok := hex4(raw[i:])
		if !ok {
			return "", s.giveUp(Text)
		}
		i += 4
		if utf16.IsSurrogate(r) {
			if len(raw) < i+3 || raw[i+1] != '\\' {
				return "", s.giveUp(Text)
			}
			low, ok := hex4(raw[i+2:])
			if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
				return "", s.giveUp(Text)
			}
			i += 6
		}
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' {
			return "", s.giveUp(Text)
		}
		out = utf8.AppendRune(out, r)
	}
	return string(out), true
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
