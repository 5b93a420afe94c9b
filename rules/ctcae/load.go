package ctcae

import (
	"embed"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"

	"github.com/trialwatch/trialwatch/rules/decimal"
)

//go:embed criteria/*.yaml
var files embed.FS

// Criterion is how one term is graded in one version. It is not changed after loading and safe for concurrent use.
type Criterion struct {
	Version   Version
	Term      string // as published; glucose and calcium, which have two ladders, with the second in parentheses
	Slug      string // the term in kebab case, as in rule ids
	SOC       string // system organ class
	Direction string // "low", "high", or "none" where no single value is graded
	Limits    []Limits
	// Assumptions are what the data may not tell and a grade can depend on, such as "symptomatic"; at most eight.
	Assumptions []string
	// Candidate says why every grade is a proposal that a clinician must settle, "" where the data decide.
	Candidate string
	Clinician []int  // grades that exist and that no data give
	ByRule    string // what a rule adds to the limits, in words
	// RuleGrades are the grades that the rule gives or, where Candidate is set, proposes.
	RuleGrades []int
	Note       string
	Key        string // of the measurement, the same in all versions: the name of its file without the ending

	needs, optional operands
}

// Source names the publication and where in it the term stands.
func (c *Criterion) Source() string { return c.Version.Source() + ", " + c.SOC + ", " + c.Term }

// Limits are the steps of one analyte, in its canonical unit: mass and molar concentrations have limits of their own.
type Limits struct {
	Analyte string // a name of package timeline
	// Steps apply while the baseline is normal or unknown; the others in place of them where the baseline is flagged high or low, or lies above
	// the upper limit of normal. Worst grade first. nil: Steps apply there too.
	Steps, IfHigh, IfLow, IfAboveULN []Step
	Ungradable                       *Condition // values that have no grade, nil: none

	of *Criterion
}

// Absolute reports whether a limit is a number in a unit, so that a value without a known unit cannot be compared.
func (l *Limits) Absolute() bool {
	if l.Ungradable != nil {
		return true
	}
	for _, steps := range [][]Step{l.Steps, l.IfHigh, l.IfLow, l.IfAboveULN} {
		for i := range steps {
			for _, c := range steps[i].All {
				if c.left == value && (c.right == 0 || c.plus != (decimal.Rounded{})) {
					return true
				}
			}
		}
	}
	return false
}

// Same reports whether two analytes of a criterion have the same steps.
func (l *Limits) Same(o *Limits) bool {
	same := func(a, b Step) bool { return a.Grade == b.Grade && a.Text == b.Text }
	return slices.EqualFunc(l.Steps, o.Steps, same) && slices.EqualFunc(l.IfHigh, o.IfHigh, same) && slices.EqualFunc(l.IfLow, o.IfLow, same) &&
		slices.EqualFunc(l.IfAboveULN, o.IfAboveULN, same)
}

// ReadsChange reports whether a grade depends on the change from baseline.
func (l *Limits) ReadsChange() bool {
	for i := range l.Steps {
		for j := range l.Steps[i].All {
			if l.Steps[i].All[j].left == change {
				return true
			}
		}
	}
	return false
}

// ReadsBaseline reports whether a grade depends on the baseline, or on how it lay to its limits of normal.
func (l *Limits) ReadsBaseline() bool {
	if l.IfHigh != nil || l.IfLow != nil || l.IfAboveULN != nil {
		return true
	}
	for i := range l.Steps {
		if slices.ContainsFunc(l.Steps[i].All, func(c Condition) bool { return c.left == change || c.right == baseline }) {
			return true
		}
	}
	return false
}

// ReadsThreshold reports whether a grade depends on a threshold of the protocol.
func (c *Criterion) ReadsThreshold() bool {
	for i := range c.Limits {
		for j := range c.Limits[i].Steps {
			if slices.ContainsFunc(c.Limits[i].Steps[j].All, func(k Condition) bool { return k.right == threshold }) {
				return true
			}
		}
	}
	return false
}

// Criterion is the one that the limits belong to.
func (l *Limits) Criterion() *Criterion { return l.of }

// Step is one way to a grade: all conditions hold.
type Step struct {
	Grade int
	All   []Condition // one or two
	Text  string      // as written in the criterion: "> 5 x ULN if symptomatic"

	assumes int // index in Assumptions, -1: nothing
}

// Graded reports whether data give a grade, or propose one: some terms are a clinician's alone.
func (c *Criterion) Graded() bool { return len(c.Limits) > 0 || c.ByRule != "" }

// Of returns the limits of an analyte, nil if the term is not graded from it.
func (c *Criterion) Of(analyte string) *Limits {
	for i := range c.Limits {
		if c.Limits[i].Analyte == analyte {
			return &c.Limits[i]
		}
	}
	return nil
}

// Assumption is the bit of an assumption in [Input.Holds] and [Input.Fails], 0 if the criterion makes none of that name.
func (c *Criterion) Assumption(name string) Assumed {
	if i := slices.Index(c.Assumptions, name); i >= 0 {
		return 1 << i
	}
	return 0
}

// All returns every criterion of a version, sorted by term.
func All(v Version) []*Criterion { return slices.Clone(library().byVersion[v]) }

// Find returns the criterion of a term in a version. The term is given as published, in any case, or in kebab case. The error says which
// versions have it.
func Find(v Version, term string) (*Criterion, error) {
	if !v.Known() {
		return nil, fmt.Errorf("CTCAE version %q is not one of 4.03, 5.0, 6.0", string(v))
	}
	lib := library()
	if c := lib.byName[v][fold(term)]; c != nil {
		return c, nil
	}
	var others []string
	for _, o := range []Version{V4, V5, V6} {
		if lib.byName[o][fold(term)] != nil {
			others = append(others, string(o))
		}
	}
	if len(others) > 0 {
		return nil, fmt.Errorf("CTCAE %s has no term %q that is graded here: it is one of %s", v, term, strings.Join(others, ", "))
	}
	return nil, fmt.Errorf("no version of CTCAE has a term %q that is graded here", term)
}

// Resolve returns what a version makes of a term that any version knows: the criterion of the same measurement, under whatever name the version has
// for it ("platelet-count-decreased" is Thrombocytopenia in 6.0). It is nil where the version has nothing of the kind; known says whether
// some version has.
func Resolve(v Version, slug string) (c *Criterion, known bool) {
	lib := library()
	file, known := lib.fileOf[slug]
	if !known {
		return nil, false
	}
	return lib.byFile[file][v], true
}

// Slugs returns every slug that [Resolve] knows, sorted.
func Slugs() []string { return slices.Sorted(maps.Keys(library().fileOf)) }

// index is the criteria as they are looked up.
type index struct {
	byVersion map[Version][]*Criterion
	byName    map[Version]map[string]*Criterion
	byFile    map[string]map[Version]*Criterion
	fileOf    map[string]string // by slug
}

// library reads the embedded criteria once. That they can be read is a test's business.
var library = sync.OnceValue(func() *index {
	lib := &index{byVersion: map[Version][]*Criterion{}, byName: map[Version]map[string]*Criterion{}, byFile: map[string]map[Version]*Criterion{}, fileOf: map[string]string{}}
	entries, err := files.ReadDir("criteria")
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		data, err := files.ReadFile(path.Join("criteria", e.Name()))
		if err != nil {
			panic(err)
		}
		cs, err := parse(e.Name(), data)
		if err != nil {
			panic("ctcae: " + err.Error())
		}
		for _, c := range cs {
			lib.add(c)
		}
	}
	for _, cs := range lib.byVersion {
		slices.SortFunc(cs, func(a, b *Criterion) int { return strings.Compare(a.Term, b.Term) })
	}
	return lib
})

func (lib *index) add(c *Criterion) {
	lib.byVersion[c.Version] = append(lib.byVersion[c.Version], c)
	if lib.byName[c.Version] == nil {
		lib.byName[c.Version] = map[string]*Criterion{}
	}
	for _, name := range []string{fold(c.Term), c.Slug} {
		if other := lib.byName[c.Version][name]; other != nil && other != c {
			panic(fmt.Sprintf("ctcae: %s and %s both have %q in version %s", other.Key, c.Key, name, c.Version))
		}
		lib.byName[c.Version][name] = c
	}
	if lib.byFile[c.Key] == nil {
		lib.byFile[c.Key] = map[Version]*Criterion{}
	}
	lib.byFile[c.Key][c.Version] = c
	lib.fileOf[c.Slug] = c.Key
}

func fold(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), " ")) }

// slugOf is a term in kebab case.
func slugOf(term string) string {
	var b strings.Builder
	dash := false
	for _, r := range strings.ToLower(term) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			if dash && b.Len() > 0 {
				b.WriteByte('-')
			}
			b.WriteRune(r)
			dash = false
			continue
		}
		dash = true
	}
	return b.String()
}

// file is a criterion as it is written: one file a measurement and direction, all versions side by side.
type file struct {
	Term      string  `yaml:"term"`
	SOC       string  `yaml:"soc"`
	Direction string  `yaml:"direction"`
	Versions  []entry `yaml:"versions"`
}

type entry struct {
	In         []Version         `yaml:"in"`
	Term       string            `yaml:"term"` // where the version has another
	SOC        string            `yaml:"soc"`
	Needs      []string          `yaml:"needs"`    // not graded without
	Optional   []string          `yaml:"optional"` // where it is unknown, what reads it does not count
	Candidate  string            `yaml:"candidate"`
	Limits     map[string]ladder `yaml:"limits"`
	High       map[string]ladder `yaml:"ifBaselineHigh"`
	Low        map[string]ladder `yaml:"ifBaselineLow"`
	AboveULN   map[string]ladder `yaml:"ifBaselineAboveULN"`
	Ungradable map[string]string `yaml:"ungradable"`
	Clinician  []int             `yaml:"clinician"`
	ByRule     string            `yaml:"byRule"`
	RuleGrades []int             `yaml:"ruleGrades"`
	Note       string            `yaml:"note"`
}

// ladder is the grades of an analyte: one text, or several of which any suffices.
type ladder map[int]any

// parse reads one file of criteria. Errors name the file, the version and the text.
func parse(name string, data []byte) ([]*Criterion, error) {
	var f file
	if err := yaml.UnmarshalWithOptions(data, &f, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if f.Term == "" || f.SOC == "" || !slices.Contains([]string{"low", "high", "none"}, f.Direction) || len(f.Versions) == 0 {
		return nil, fmt.Errorf("%s: term, soc, direction (low, high or none) and versions are all needed", name)
	}
	var all []*Criterion
	for i := range f.Versions {
		e := &f.Versions[i]
		for _, v := range e.In {
			c, err := e.criterion(&f, v)
			if err != nil {
				return nil, fmt.Errorf("%s, version %s: %w", name, v, err)
			}
			c.Key = strings.TrimSuffix(name, ".yaml")
			all = append(all, c)
		}
	}
	return all, nil
}

func (e *entry) criterion(f *file, v Version) (*Criterion, error) {
	if !v.Known() {
		return nil, fmt.Errorf("unknown version")
	}
	c := &Criterion{
		Version: v, Term: f.Term, SOC: f.SOC, Direction: f.Direction, Candidate: e.Candidate, Clinician: e.Clinician, ByRule: e.ByRule,
		RuleGrades: e.RuleGrades, Note: e.Note,
	}
	if e.Term != "" {
		c.Term = e.Term
	}
	if e.SOC != "" {
		c.SOC = e.SOC
	}
	c.Slug = slugOf(c.Term)
	for _, s := range []struct {
		names []string
		to    *operands
	}{{e.Needs, &c.needs}, {e.Optional, &c.optional}} {
		for _, n := range s.names {
			o, ok := operandOf[n]
			if !ok || o == value {
				return nil, fmt.Errorf("%q is nothing that a criterion can need", n)
			}
			*s.to |= o
		}
	}
	for _, names := range slices.Sorted(maps.Keys(e.Limits)) {
		for analyte := range strings.SplitSeq(names, ", ") {
			l := Limits{Analyte: analyte, of: c}
			for _, col := range []struct {
				from map[string]ladder
				to   *[]Step
			}{{e.Limits, &l.Steps}, {e.High, &l.IfHigh}, {e.Low, &l.IfLow}, {e.AboveULN, &l.IfAboveULN}} {
				steps, err := c.steps(col.from[names])
				if err != nil {
					return nil, fmt.Errorf("%s: %w", names, err)
				}
				*col.to = steps
			}
			if text := e.Ungradable[names]; text != "" {
				cond, err := parseCondition(text)
				if err != nil {
					return nil, err
				}
				l.Ungradable = &cond
			}
			c.Limits = append(c.Limits, l)
		}
	}
	for _, m := range []map[string]ladder{e.High, e.Low, e.AboveULN} {
		for names := range m {
			if e.Limits[names] == nil {
				return nil, fmt.Errorf("%s has limits for an abnormal baseline and none for a normal one", names)
			}
		}
	}
	return c, nil
}

// steps compiles a ladder, worst grade first.
func (c *Criterion) steps(l ladder) ([]Step, error) {
	var steps []Step
	for _, grade := range slices.Backward(slices.Sorted(maps.Keys(l))) {
		if grade < 1 || grade > 4 {
			return nil, fmt.Errorf("grade %d is not one that a value can give", grade)
		}
		var texts []string
		switch v := l[grade].(type) {
		case string:
			texts = []string{v}
		case []any:
			for _, x := range v {
				s, ok := x.(string)
				if !ok {
					return nil, fmt.Errorf("grade %d: %v is no text", grade, x)
				}
				texts = append(texts, s)
			}
		default:
			return nil, fmt.Errorf("grade %d: want a text or a list of texts", grade)
		}
		for _, text := range texts {
			s := Step{Grade: grade, Text: text, assumes: -1}
			body, assumption, assumed := strings.Cut(text, " if ")
			if assumed {
				if s.assumes = slices.Index(c.Assumptions, assumption); s.assumes < 0 {
					if s.assumes = len(c.Assumptions); s.assumes == 8 {
						return nil, fmt.Errorf("more than eight assumptions")
					}
					c.Assumptions = append(c.Assumptions, assumption)
				}
			}
			for part := range strings.SplitSeq(body, " and ") {
				cond, err := parseCondition(part)
				if err != nil {
					return nil, fmt.Errorf("grade %d: %w", grade, err)
				}
				s.All = append(s.All, cond)
			}
			steps = append(steps, s)
		}
	}
	return steps, nil
}
