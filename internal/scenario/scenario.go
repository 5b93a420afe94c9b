// Package scenario runs clinical stories: what a site sends, step by step, and what trialwatch must say.
//
// A scenario is a text archive (txtar) beside the protocol that it is about. Its comment tells the story; its sections are
//
//	protocol.patch     optional: "old text => new text" a line, each found exactly once in the protocol file; a \n in the new text begins a line
//	feed               what is sent: a sentence after "#" before each step, then its lines, as evaluate reads them
//	as-of              optional: the instant at which the story ends (default: the latest receipt in the feed)
//	leaves-aside       optional: rules, one a line, of which the story says nothing: what they find is left out of what is wanted
//	want               every alert event in the order in which it is told, timers included, one a line
//	want-final         the findings at the end, one a line with its message below
//	want-aggregates    optional: the counts by arm at the end
//
// want-final and want-aggregates may be asked at another instant as well: "-- want-final 2026-02-19T14:15:00-06:00 --". Times in the
// sections that are wanted are those of the study's clocks.
//
// Beside what it asks for, every scenario is held to two things: the same lines in any order and with repetitions give the same findings and contributions
// to the aggregates to the byte (every order of at most [AllOrders] lines, a sample of more), and the alert events told in turn end at exactly the findings.
package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/trialwatch/trialwatch/rules"
)

// Names of the sections.
const (
	sectionPatch      = "protocol.patch"
	sectionFeed       = "feed"
	sectionAsOf       = "as-of"
	sectionAside      = "leaves-aside"
	sectionHistory    = "want"
	sectionFinal      = "want-final"
	sectionAggregates = "want-aggregates"
)

// Scenario is one story. Use [Parse].
type Scenario struct {
	Name  string // the file's name without its ending
	Story string // the archive's comment

	patches []patch
	feed    []string // lines, without sentences and blanks
	asOf    time.Time
	aside   []string // rules
	archive *txtar.Archive
}

type patch struct{ old, new string }

// Parse reads a scenario. file is its path: it names the scenario and stands in errors.
func Parse(file string, data []byte) (*Scenario, error) {
	a := txtar.Parse(data)
	s := &Scenario{Name: strings.TrimSuffix(path.Base(file), ".txtar"), Story: string(a.Comment), archive: a}
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(file+": "+format, args...)) }
	if strings.TrimSpace(s.Story) == "" {
		fail("tell the story in a sentence or two before the first section")
	}
	seen := map[string]bool{}
	for _, f := range a.Files {
		if seen[f.Name] {
			fail("section %q stands there twice", f.Name)
		}
		seen[f.Name] = true
		switch name, at, timed := strings.Cut(f.Name, " "); {
		case f.Name == sectionPatch:
			for line := range content(f.Data) {
				from, to, ok := strings.Cut(line, "=>")
				if from, to = strings.TrimSpace(from), strings.TrimSpace(to); !ok || from == "" {
					fail(`protocol.patch: want "old text => new text", got %q`, line)
					continue
				}
				s.patches = append(s.patches, patch{from, strings.ReplaceAll(to, `\n`, "\n")})
			}
		case f.Name == sectionFeed:
			for line := range content(f.Data) {
				s.feed = append(s.feed, line)
			}
		case f.Name == sectionAsOf:
			t, err := time.Parse(time.RFC3339, strings.TrimSpace(string(f.Data)))
			if err != nil {
				fail("as-of: want one time such as 2026-02-19T14:15:00-06:00, got %q", strings.TrimSpace(string(f.Data)))
			}
			s.asOf = t
		case f.Name == sectionAside:
			for rule := range content(f.Data) {
				if !slices.ContainsFunc(rules.All, func(r rules.Rule) bool { return slices.Contains(r.IDs, rule) }) {
					fail("leaves-aside: there is no rule %q", rule)
				}
				s.aside = append(s.aside, rule)
			}
		case f.Name == sectionHistory:
		case name == sectionFinal || name == sectionAggregates:
			if _, err := time.Parse(time.RFC3339, at); timed && err != nil {
				fail("section %q: want a time such as 2026-02-19T14:15:00-06:00 after %s", f.Name, name)
			}
		default:
			fail("unknown section %q: want one of %s", f.Name, strings.Join(sections, ", "))
		}
	}
	if len(s.feed) == 0 {
		fail("the section %q is missing or empty: nothing is sent", sectionFeed)
	}
	for _, name := range []string{sectionHistory, sectionFinal} {
		if !seen[name] {
			fail("the section %q is missing; it may be empty, if nothing is to be said", name)
		}
	}
	return s, errors.Join(errs...)
}

var sections = []string{sectionPatch, sectionFeed, sectionAsOf, sectionAside, sectionHistory, sectionFinal, sectionAggregates}

// content yields the lines of a section but for blank ones and sentences.
func content(data []byte) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for line := range strings.Lines(string(data)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") && !yield(line) {
				return
			}
		}
	}
}

// patched returns the protocol's text with the patches applied.
func (s *Scenario) patched(protocol []byte) ([]byte, error) {
	var errs []error
	for _, p := range s.patches {
		if n := bytes.Count(protocol, []byte(p.old)); n != 1 {
			errs = append(errs, fmt.Errorf("protocol.patch: %q stands in the protocol %d times, want once", p.old, n))
			continue
		}
		protocol = bytes.Replace(protocol, []byte(p.old), []byte(p.new), 1)
	}
	return protocol, errors.Join(errs...)
}

// format writes the archive with other contents of the sections that are wanted.
func (s *Scenario) format(got map[string]string) []byte {
	a := txtar.Archive{Comment: s.archive.Comment, Files: slices.Clone(s.archive.Files)}
	for i := range a.Files {
		if text, ok := got[a.Files[i].Name]; ok {
			a.Files[i].Data = []byte(text)
		}
	}
	return txtar.Format(&a)
}
