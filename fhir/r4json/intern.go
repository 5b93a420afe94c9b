package r4json

import (
	"hash/maphash"
	"sync/atomic"
)

// class says of an element that a feed is likely to say the same there again, and what is asked of it.
type class uint8

const (
	classNone  class = iota // what is said once
	classURI                // the system of a code, a profile
	classCode               // a code
	classLabel              // the display of a code, a unit, an offset from UTC
)

// valid reports whether a string is surely one of the class.
func (c class) valid(s string) bool {
	switch c {
	case classURI:
		return validURI(s)
	case classCode:
		return validCode(s)
	}
	return true
}

// interned keeps what a feed says over and over, each once, and only what is valid. The latest of those that fall on one place stays, so it never grows.
// Nothing that is said of a person comes into it: see [class].
type interned struct {
	seed  maphash.Seed
	table [1024]atomic.Pointer[saying]
}

type saying struct {
	class class
	text  string
}

// maxInterned is longer than the systems and codes that repeat.
const maxInterned = 96

func newInterned() *interned { return &interned{seed: maphash.MakeSeed()} }

// get returns the bytes as a string, and whether it is valid.
func (t *interned) get(b []byte, c class) (string, bool) {
	if len(b) > maxInterned {
		s := string(b)
		return s, c.valid(s)
	}
	at := &t.table[(maphash.Bytes(t.seed, b)+uint64(c))%uint64(len(t.table))]
	if p := at.Load(); p != nil && p.class == c && p.text == string(b) {
		return p.text, true
	}
	s := string(b)
	if !c.valid(s) {
		return "", false
	}
	at.Store(&saying{c, s})
	return s, true
}
