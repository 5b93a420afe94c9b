package r4json

import (
	"net/url"
	"regexp"
	"strings"
)

// validID: [A-Za-z0-9\-\.]{1,64}.
func validID(s string) bool {
	if len(s) == 0 || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !alphanumeric(c) && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// validCode: [^\s]+(\s[^\s]+)*, words with one blank between them.
func validCode(s string) bool {
	blank := true // before the first word
	for i := range len(s) {
		switch s[i] {
		case ' ', '\t', '\n', '\r':
			if blank {
				return false
			}
			blank = true
		default:
			blank = false
		}
	}
	return !blank
}

// The rare ones are matched as jsonformat does.
var (
	oid  = regexp.MustCompile(`^urn:oid:[0-2](\.(0|[1-9][0-9]*))+$`)
	uuid = regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
)

func validOID(s string) bool  { return oid.MatchString(s) }
func validUUID(s string) bool { return uuid.MatchString(s) }

// internal are the URLs by which google/fhir keeps in extensions what its protos have no field for.
const internal = "https://g.co/fhir/"

// validURI reports whether net/url parses a string, which is all that jsonformat asks of one. That costs more than all the rest of a URI, so the usual
// ones are known by their characters: a host without port, a path, a fragment or a query, nothing escaped.
func validURI(s string) bool {
	if strings.HasPrefix(s, internal) {
		return false
	}
	rest, ok := strings.CutPrefix(s, "http://")
	if !ok {
		rest, ok = strings.CutPrefix(s, "https://")
	}
	if !ok {
		if rest, ok = strings.CutPrefix(s, "urn:"); ok && !strings.HasPrefix(rest, "/") && harmless(rest) {
			return true
		}
		_, err := url.Parse(s)
		return err == nil
	}
	i := 0
	for i < len(rest) && (alphanumeric(rest[i]) || rest[i] == '-' || rest[i] == '.') {
		i++
	}
	if i > 0 && (i == len(rest) || rest[i] == '/') && harmless(rest[i:]) {
		return true
	}
	_, err := url.Parse(s)
	return err == nil
}

// harmless reports whether a string has only characters that no rule of net/url refuses after the host.
func harmless(s string) bool {
	for i := range len(s) {
		if !inPath[s[i]] {
			return false
		}
	}
	return true
}

var inPath = func() (t [256]bool) {
	for c := range t {
		t[c] = alphanumeric(byte(c)) || strings.IndexByte("-._~/:|=+", byte(c)) >= 0
	}
	return t
}()

func alphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
