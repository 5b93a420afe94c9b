package r4json

import (
	"hash/maphash"
	"sync/atomic"
)

// interned keeps the systems and codes that a feed says over and over, each once. The latest of those that fall on one place stays, so it never grows, and
// it holds nothing but URIs, codes and offsets from UTC.
type interned struct {
	seed  maphash.Seed
	table [1024]atomic.Pointer[string]
}

// maxInterned is longer than the systems and codes that repeat.
const maxInterned = 96

func newInterned() *interned { return &interned{seed: maphash.MakeSeed()} }

// get returns the bytes as a string.
func (t *interned) get(b []byte) string {
	if len(b) > maxInterned {
		return string(b)
	}
	at := &t.table[maphash.Bytes(t.seed, b)%uint64(len(t.table))]
	if p := at.Load(); p != nil && *p == string(b) {
		return *p
	}
	s := string(b)
	at.Store(&s)
	return s
}
