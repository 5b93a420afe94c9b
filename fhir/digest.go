package fhir

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"sync"

	"github.com/trialwatch/trialwatch/fhir/internal/jsonscan"
)

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
	for at := 0; at < len(data); {
		quote := bytes.IndexByte(data[at:], '"')
		if quote < 0 {
			return appendTokens(to, data[at:])
		}
		to = appendTokens(to, data[at:at+quote])
		end, _, _ := jsonscan.String(data, at+quote)
		to = append(to, data[at+quote:end]...)
		at = end
	}
	return to
}

// appendTokens appends what stands between two strings.
func appendTokens(to, data []byte) []byte {
	for _, c := range data {
		if c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			to = append(to, c)
		}
	}
	return to
}
