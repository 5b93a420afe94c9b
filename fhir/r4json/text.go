package r4json

import (
	"unicode/utf8"

	"github.com/trialwatch/trialwatch/fhir/internal/jsonscan"
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

// unescape resolves escapes. Control characters other than white space, and half a surrogate pair, are not sure to be taken.
func (s *scanner) unescape(raw []byte) (string, bool) {
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			out = append(out, raw[i])
			i++
			continue
		}
		r, end, ok := jsonscan.Escaped(raw, i+1)
		if !ok || r < ' ' && r != '\t' && r != '\n' && r != '\r' {
			return "", s.giveUp(Text)
		}
		out = utf8.AppendRune(out, r)
		i = end
	}
	return string(out), true
}
