package fhir

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"sync"

	"github.com/trialwatch/trialwatch/fhir/internal/jsonscan"
)

// digest is [digestOf] of the resource whose bytes are given, where they are known to be without blanks already.
func (d *document) digest(raw []byte) string {
	if d.compact {
		return sum(raw)
	}
	return digestOf(raw)
}

// digestOf is the SHA-256 of a resource without insignificant blanks, so that a repetition in another layout is a repetition. The resource has passed the
// pre-scan.
func digestOf(raw []byte) string {
	room := buffers.Get().(*[]byte)
	defer buffers.Put(room)
	*room = appendCompact((*room)[:0], raw)
	return sum(*room)
}

// sum is a SHA-256 in hexadecimal.
func sum(data []byte) string {
	s := sha256.Sum256(data)
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], s[:])
	return string(text[:])
}

// buffers are room for a resource. The size of most is known, so a pool of them does not keep much.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

// appendCompact appends valid JSON without the blanks between its tokens.
func appendCompact(to, data []byte) []byte {
	to = slices.Grow(to, len(data))
	n := len(to)
	room := to[:n+len(data)]
	for at := 0; at < len(data); {
		switch c := data[at]; c {
		case ' ', '\n', '\r', '\t':
			at++
		case '"':
			end, _, _ := jsonscan.String(data, at)
			n += copy(room[n:], data[at:end])
			at = end
		default:
			room[n] = c
			n++
			at++
		}
	}
	return room[:n]
}
