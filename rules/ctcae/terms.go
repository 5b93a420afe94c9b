package ctcae

import (
	_ "embed"
	"maps"
	"slices"
	"strings"
	"sync"
)

// terms.tsv is every term of the three versions with the MedDRA code that NCI prints beside it and the grades that it has there; "-" where the version has no
// such term. A term that moved to another system organ class has a line for each.
//
//go:embed terms.tsv
var termsTSV string

// Listed is a term as a version lists it, whether data grade it or only a clinician does.
type Listed struct {
	Version Version
	Term    string
	Slug    string
	SOC     string
	Grades  []int
}

// Has reports whether the term has a grade in its version.
func (l *Listed) Has(grade int) bool { return slices.Contains(l.Grades, grade) }

// Source names the publication and where in it the term stands.
func (l *Listed) Source() string { return l.Version.Source() + ", " + l.SOC + ", " + l.Term }

// List returns what a version has of a term in kebab case: under its name, or under the name that the version has for the same measurement. nil: nothing.
func List(v Version, slug string) *Listed {
	all := listed().bySlug[v]
	if l := all[slug]; l != nil {
		return l
	}
	if c, _ := Resolve(v, slug); c != nil {
		return all[c.Slug]
	}
	return nil
}

// TermOfCode returns the term, in kebab case, that some version prints a MedDRA code beside, "" for none.
func TermOfCode(code string) string { return listed().ofCode[code] }

// TermOfName returns the term, in kebab case, that some version has under a name, whatever its case and punctuation, "" for none.
func TermOfName(name string) string {
	slug := slugOf(name)
	if listed().names[slug] {
		return slug
	}
	return ""
}

// Names returns every term of every version in kebab case, sorted.
func Names() []string { return slices.Sorted(maps.Keys(listed().names)) }

type listing struct {
	bySlug map[Version]map[string]*Listed
	ofCode map[string]string
	names  map[string]bool
}

// listed reads the embedded table once. That it can be read is a test's business.
var listed = sync.OnceValue(func() *listing {
	l := &listing{bySlug: map[Version]map[string]*Listed{}, ofCode: map[string]string{}, names: map[string]bool{}}
	versions := []Version{V4, V5, V6}
	for _, v := range versions {
		l.bySlug[v] = map[string]*Listed{}
	}
	lines := strings.Split(strings.TrimSpace(termsTSV), "\n")
	for _, line := range lines[1:] {
		f := strings.Split(line, "\t")
		slug := slugOf(f[0])
		l.ofCode[f[2]], l.names[slug] = slug, true
		for i, v := range versions {
			if f[3+i] == "-" {
				continue
			}
			t := &Listed{Version: v, Term: f[0], Slug: slug, SOC: f[1]}
			for _, digit := range f[3+i] {
				t.Grades = append(t.Grades, int(digit-'0'))
			}
			l.bySlug[v][slug] = t
		}
	}
	return l
})
