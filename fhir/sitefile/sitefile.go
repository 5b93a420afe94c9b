// Package sitefile reads site files: how one site speaks FHIR. Its zone, base URLs, identifier systems, local codes and units, and its limits of normal.
//
// Reading is as strict as that of a protocol: see package rules/document.
package sitefile

import (
	_ "embed"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/fhir"
	"github.com/trialwatch/trialwatch/rules/document"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/unit"
)

// Schema is the JSON Schema of a site file.
//
//go:embed schema.json
var Schema []byte

// MaxBytes is the size of the largest site file that is read.
const MaxBytes = 256 << 10

// Site is one site. It is not changed after [Parse].
type Site struct {
	Name        string                  `yaml:"site"`
	Title       string                  `yaml:"title"`
	Timezone    string                  `yaml:"timezone"` // "" = the protocol's
	BaseURLs    []string                `yaml:"baseURLs"`
	Identifiers []fhir.IdentifierSystem `yaml:"patientIdentifiers"`
	Codes       []protocol.Code         `yaml:"codes"`
	Units       []Units                 `yaml:"units"`
	Normal      []protocol.Normal       `yaml:"normal"`

	Zone *time.Location `yaml:"-"` // of Timezone, nil for the protocol's
}

// Units are a site's spellings of the units of an analyte.
type Units struct {
	Analyte   string            `yaml:"analyte"`
	Spellings map[string]string `yaml:"spellings"` // the site's → one that the analyte has
}

// Parse reads a site file. The error is a [document.Errors] with everything that is wrong. name is used in errors only; concepts are those that protocols
// know beside the shipped ones.
func Parse(name string, data []byte, concepts ...string) (*Site, error) {
	f, err := kind.Read(name, data)
	if err != nil {
		return nil, err
	}
	shaped := f.Err() == nil
	s := &Site{}
	if doc, ok := f.Doc.(map[string]any); ok {
		if zone, ok := doc["timezone"].(string); ok {
			s.Zone = location(f, zone)
		}
	}
	if !shaped {
		return nil, f.Err()
	}
	zone := s.Zone
	if err := f.Decode(s); err != nil {
		return nil, err
	}
	s.Zone = zone
	c := &checker{File: f, site: s}
	if err := c.codes(concepts); err != nil {
		return nil, err
	}
	if s.Name == "-" {
		f.At([]string{"site"}, `no site can be called "-": it stands for no single site`)
	}
	c.baseURLs()
	c.identifiers()
	c.units()
	protocol.CheckNormal(f, "normal", s.Normal)
	if err := f.Err(); err != nil {
		return nil, err
	}
	return s, nil
}

var kind = document.Kind{Noun: "site file", Schema: Schema, MaxBytes: MaxBytes, Misplaced: "does not belong here"}

// FHIR is what the site tells the decoder.
func (s *Site) FHIR() fhir.Site {
	out := fhir.Site{Zone: s.Zone, BaseURLs: s.BaseURLs, Identifiers: s.Identifiers, Units: map[string]map[string]string{}, Normal: map[string]fhir.Range{}}
	for _, c := range s.Codes {
		out.Concepts = append(out.Concepts, fhir.Concept{Name: c.Concept, Codes: c.Codes, Texts: c.Texts})
	}
	for _, u := range s.Units {
		out.Units[u.Analyte] = u.Spellings
	}
	for _, n := range s.Normal {
		out.Normal[n.Analyte] = fhir.Range{Low: n.LowValue, High: n.HighValue}
	}
	return out
}

func location(f *document.File, name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" || name == "" {
		f.At([]string{"timezone"}, "unknown time zone %q: want a name of the IANA database, such as America/Chicago", name)
		return nil
	}
	return zone
}

// checker finds what a schema cannot.
type checker struct {
	*document.File
	site *Site
}

func (c *checker) baseURLs() {
	seen := map[string]bool{}
	for i, url := range c.site.BaseURLs {
		url = strings.TrimSuffix(url, "/")
		if seen[url] {
			c.At([]string{"baseURLs", strconv.Itoa(i)}, "%s stands here twice", url)
		}
		seen[url] = true
	}
}

// identifiers looks for a system that would have two names.
func (c *checker) identifiers() {
	seen := map[string]string{}
	for i, id := range c.site.Identifiers {
		for j, name := range append([]string{id.System}, id.Aliases...) {
			path := []string{"patientIdentifiers", strconv.Itoa(i), "system"}
			if j > 0 {
				path = []string{"patientIdentifiers", strconv.Itoa(i), "aliases", strconv.Itoa(j - 1)}
			}
			if other, taken := seen[name]; taken {
				c.At(path, "%s is already a name of the system %s", name, other)
			}
			seen[name] = id.System
		}
	}
}

// codes checks that every code means one thing, and none another than it does everywhere. more are concepts of protocols.
func (c *checker) codes(more []string) error {
	shipped, err := fhir.Shipped()
	if err != nil {
		return err
	}
	everywhere := map[string][]string{} // code → concepts
	names := slices.Clone(more)
	for _, f := range unit.All() {
		names = append(names, f.Analyte)
	}
	for _, concept := range shipped {
		names = append(names, concept.Name)
		for _, code := range concept.Codes {
			everywhere[code] = append(everywhere[code], concept.Name)
		}
	}
	here := map[string]string{}
	for i := range c.site.Codes {
		m := &c.site.Codes[i]
		at := func(field ...string) []string { return append([]string{"codes", strconv.Itoa(i)}, field...) }
		if !slices.Contains(names, m.Concept) {
			c.At(at("concept"), "unknown concept %q%s", m.Concept, document.DidYouMean(m.Concept, names))
			continue
		}
		if len(m.Codes)+len(m.Texts) == 0 {
			c.At(at("concept"), "%s has neither codes nor texts", m.Concept)
		}
		if _, measured := unit.Of(m.Concept); measured && len(m.Texts) > 0 {
			c.At(at("texts"), "%s is measured: it is known by codes only, words name drugs and procedures", m.Concept)
		}
		for j, text := range m.Texts {
			if text != strings.ToLower(text) {
				c.At(at("texts", strconv.Itoa(j)), "%q is compared in lower case: want %q", text, strings.ToLower(text))
			}
		}
		for j, code := range m.Codes {
			if known := everywhere[code]; len(known) > 0 && !slices.Contains(known, m.Concept) {
				c.At(at("codes", strconv.Itoa(j)), "%s is %s everywhere: a site cannot make it %s", code, strings.Join(known, " and "), m.Concept)
			}
			if other, taken := here[code]; taken && other != m.Concept {
				c.At(at("codes", strconv.Itoa(j)), "%s is already %s", code, other)
			}
			here[code] = m.Concept
		}
	}
	return nil
}

// units checks that a local spelling stands for a unit of its analyte, and for no other than the analyte's own table says.
func (c *checker) units() {
	seen := map[string]bool{}
	for i := range c.site.Units {
		u := &c.site.Units[i]
		at := func(field ...string) []string { return append([]string{"units", strconv.Itoa(i)}, field...) }
		family, ok := unit.Of(u.Analyte)
		if !ok {
			var names []string
			for _, f := range unit.All() {
				names = append(names, f.Analyte)
			}
			c.At(at("analyte"), "unknown analyte %q%s", u.Analyte, document.DidYouMean(u.Analyte, names))
			continue
		}
		if seen[u.Analyte] {
			c.At(at("analyte"), "the units of %s stand here twice", u.Analyte)
		}
		seen[u.Analyte] = true
		byMeaning := map[string]string{} // normalised spelling → what it stands for
		for _, spelling := range slices.Sorted(maps.Keys(u.Spellings)) {
			known := u.Spellings[spelling]
			if _, ok := family.Find(known); !ok {
				c.At(at("spellings", spelling), "%s is not measured in %q: want one of %s", u.Analyte, known, strings.Join(family.Spellings(), ", "))
				continue
			}
			if _, err := family.With(map[string]string{spelling: known}); err != nil {
				c.At(at("spellings", spelling), "%v", err)
				continue
			}
			if other, taken := byMeaning[unit.Spelling(spelling)]; taken && other != known {
				c.At(at("spellings", spelling), "%q is read as another spelling of this list, which stands for %q", spelling, other)
			}
			byMeaning[unit.Spelling(spelling)] = known
		}
	}
}
