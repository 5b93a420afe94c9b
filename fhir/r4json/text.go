package r4json

import (
	"bytes"
	"unicode/utf8"

	"github.com/trialwatch/trialwatch/fhir/internal/jsonscan"
)

// maxText is the size of a FHIR string in bytes.
const maxText = 1 << 20

// text reads a string as a copy.
func (d *decoding) text() (string, bool) {
	raw, plain, ok := d.quoted()
	if !ok {
		return "", false
	}
	if len(raw) > maxText {
		return "", d.giveUp(Value)
	}
	if plain {
		return d.copied(raw), true
	}
	return d.unescaped(raw)
}

// Short strings of a message are cut from pieces of this size, since one allocation is cheaper than several: whoever keeps such a string keeps the piece.
const (
	pieceSize = 192
	maxShort  = pieceSize / 3
)

// copied returns the bytes as a string that no document stands behind.
func (d *decoding) copied(raw []byte) string {
	if len(raw) > maxShort {
		return string(raw)
	}
	if d.piece.Cap()-d.piece.Len() < len(raw) {
		d.piece.Reset()
		d.piece.Grow(pieceSize)
	}
	at := d.piece.Len()
	d.piece.Write(raw)
	return d.piece.String()[at:]
}

// repeated reads a string that the feed is likely to have said before.
func (d *decoding) repeated(c class) (string, bool) {
	raw, plain, ok := d.quoted()
	if !ok {
		return "", false
	}
	var s string
	switch {
	case len(raw) > maxText:
		return "", d.giveUp(Value)
	case plain:
		s, ok = d.known.get(raw, c)
	default:
		if s, ok = d.unescaped(raw); !ok {
			return "", false
		}
		ok = c.valid(s)
	}
	return s, d.sure(ok)
}

// unescaped returns a string with its escapes resolved. Control characters other than white space, and half a surrogate pair, are not sure to be taken.
func (d *decoding) unescaped(raw []byte) (string, bool) {
	var short [256]byte // most are
	out := short[:0]
	if len(raw) > len(short) {
		out = make([]byte, 0, len(raw))
	}
	for {
		at := bytes.IndexByte(raw, '\\')
		if at < 0 {
			return d.copied(append(out, raw...)), true
		}
		r, end, ok := jsonscan.Escaped(raw, at+1)
		if !ok || r < ' ' && r != '\t' && r != '\n' && r != '\r' {
			return "", d.giveUp(Text)
		}
		out = utf8.AppendRune(append(out, raw[:at]...), r)
		raw = raw[end:]
	}
}
