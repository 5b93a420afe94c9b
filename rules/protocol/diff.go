package protocol

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/trialwatch/trialwatch/rules/ctcae"
	"github.com/trialwatch/trialwatch/rules/decimal"
)

// Operation is what became of a key between two protocols.
type Operation string

// Operations.
const (
	Changed   Operation = "changed"
	Added     Operation = "added"
	Removed   Operation = "removed"
	Reordered Operation = "reordered"
)

// Change is one difference between two protocols. Old is "" for what was added, New for what was removed.
type Change struct {
	Path string    `json:"path"` // "regimens[arm-1/il2].every"
	Op   Operation `json:"op"`
	Old  string    `json:"old"`
	New  string    `json:"new"`
}

// Diff returns the differences in what two protocols say, in the order of the file. Comments, layout, another spelling of the same duration or number and
// the order of plain lists are none. Entries of a list belong together by their id, term or analyte, not by their place.
func Diff(old, new *Protocol) []Change {
	var d differ
	d.compare("", reflect.ValueOf(old).Elem(), reflect.ValueOf(new).Elem())
	return d.changes
}

type differ struct{ changes []Change }

func (d *differ) add(path string, op Operation, old, new string) {
	d.changes = append(d.changes, Change{path, op, old, new})
}

func (d *differ) compare(path string, a, b reflect.Value) {
	switch {
	case isLeaf(a):
		if x, y := inline(a), inline(b); x != y {
			// A text or a duration that is not there is empty; a day or a number may be 0.
			_, absent := reflect.TypeAssert[Duration](a)
			absent = absent || a.Kind() == reflect.String
			switch {
			case absent && a.IsZero():
				d.add(path, Added, "", y)
			case absent && b.IsZero():
				d.add(path, Removed, x, "")
			default:
				d.add(path, Changed, x, y)
			}
		}
	case a.Kind() == reflect.Pointer:
		switch {
		case a.IsNil() && b.IsNil():
		case a.IsNil():
			d.add(path, Added, "", inline(b.Elem()))
		case b.IsNil():
			d.add(path, Removed, inline(a.Elem()), "")
		default:
			d.compare(path, a.Elem(), b.Elem())
		}
	case a.Kind() == reflect.Map:
		d.maps(path, a, b)
	case a.Kind() == reflect.Slice && isLeaf(reflect.Zero(a.Type().Elem())):
		d.words(path, a, b)
	case a.Kind() == reflect.Slice:
		d.entries(path, a, b)
	default:
		for i := range a.NumField() {
			if key := keyOf(a.Type().Field(i)); key != "" {
				d.compare(strings.TrimPrefix(path+"."+key, "."), a.Field(i), b.Field(i))
			}
		}
	}
}

// isLeaf reports a value that is compared as a whole.
func isLeaf(v reflect.Value) bool {
	switch v.Interface().(type) {
	case decimal.Number, Duration:
		return true
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Struct:
		return false
	}
	return true
}

func (d *differ) maps(path string, a, b reflect.Value) {
	keys := map[string]bool{}
	for _, m := range []reflect.Value{a, b} {
		for _, k := range m.MapKeys() {
			keys[k.String()] = true
		}
	}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		x, y := a.MapIndex(reflect.ValueOf(k)), b.MapIndex(reflect.ValueOf(k))
		at := path + "[" + k + "]"
		switch {
		case !x.IsValid():
			d.add(at, Added, "", inline(y))
		case !y.IsValid():
			d.add(at, Removed, inline(x), "")
		default:
			d.compare(at, x, y)
		}
	}
}

// words compares lists of plain values, in which the order says nothing.
func (d *differ) words(path string, a, b reflect.Value) {
	x, y := texts(a), texts(b)
	for _, w := range x {
		if !slices.Contains(y, w) {
			d.add(path, Removed, w, "")
		}
	}
	for _, w := range y {
		if !slices.Contains(x, w) {
			d.add(path, Added, "", w)
		}
	}
}

func texts(v reflect.Value) []string {
	out := make([]string, v.Len())
	for i := range out {
		out[i] = inline(v.Index(i))
	}
	return out
}

// entries compares lists of blocks: those of one name belong together; of several with one name first those that are equal, then in their order.
func (d *differ) entries(path string, a, b reflect.Value) {
	names, olds, news := []string{}, map[string][]reflect.Value{}, map[string][]reflect.Value{}
	for _, side := range []struct {
		list reflect.Value
		by   map[string][]reflect.Value
	}{{a, olds}, {b, news}} {
		for i := range side.list.Len() {
			v := side.list.Index(i)
			name := nameOf(v, i)
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
			side.by[name] = append(side.by[name], v)
		}
	}
	for _, name := range names {
		x, y := unequal(olds[name], news[name]), unequal(news[name], olds[name])
		for i := range max(len(x), len(y)) {
			at := path + "[" + name + "]"
			switch {
			case i >= len(x):
				d.add(at, Added, "", inline(y[i]))
			case i >= len(y):
				d.add(at, Removed, inline(x[i]), "")
			default:
				d.compare(at, x[i], y[i])
			}
		}
	}
	if x, y := order(a, b), order(b, a); strings.Join(x, ", ") != strings.Join(y, ", ") {
		d.add(path, Reordered, strings.Join(x, ", "), strings.Join(y, ", "))
	}
}

// unequal are the entries that the other side has not just so.
func unequal(vs, others []reflect.Value) []reflect.Value {
	var left []reflect.Value
	used := map[int]bool{}
	for _, v := range vs {
		text, found := inline(v), false
		for i, o := range others {
			if !used[i] && inline(o) == text {
				used[i], found = true, true
				break
			}
		}
		if !found {
			left = append(left, v)
		}
	}
	return left
}

// order is the names of a list that the other has as well.
func order(list, other reflect.Value) []string {
	var names []string
	for i := range list.Len() {
		name := nameOf(list.Index(i), i)
		for j := range other.Len() {
			if nameOf(other.Index(j), j) == name {
				names = append(names, name)
				break
			}
		}
	}
	return names
}

// nameOf is what an entry of a list is called: by its arm and id, or the first other key that names things, else by its place.
func nameOf(v reflect.Value, place int) string {
	get := func(key string) string {
		for i := range v.NumField() {
			if keyOf(v.Type().Field(i)) == key && v.Field(i).Kind() == reflect.String {
				return v.Field(i).String()
			}
		}
		return ""
	}
	if id := get("id"); id != "" {
		if arm := get("arm"); arm != "" {
			return arm + "/" + id
		}
		return id
	}
	for _, key := range []string{"term", "analyte", "concept", "drug", "title"} {
		if name := get(key); name != "" {
			return name
		}
	}
	return fmt.Sprint(place)
}

func keyOf(f reflect.StructField) string {
	key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	if key == "-" {
		return ""
	}
	return key
}

// inline writes a value as the file would in one line, so that equal values have equal texts.
func inline(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case decimal.Number:
		return x.Round().String()
	case Duration:
		return x.String()
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return ""
		}
		return inline(v.Elem())
	case reflect.Slice:
		var parts []string
		for i := range v.Len() {
			parts = append(parts, inline(v.Index(i)))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case reflect.Map:
		var parts []string
		for _, k := range v.MapKeys() {
			parts = append(parts, k.String()+": "+inline(v.MapIndex(k)))
		}
		slices.Sort(parts)
		return "{ " + strings.Join(parts, ", ") + " }"
	case reflect.Struct:
		var parts []string
		for i := range v.NumField() {
			if key := keyOf(v.Type().Field(i)); key != "" && !v.Field(i).IsZero() {
				parts = append(parts, key+": "+inline(v.Field(i)))
			}
		}
		return "{ " + strings.Join(parts, ", ") + " }"
	}
	return fmt.Sprint(v.Interface())
}

// TermChange is a monitored term that two CTCAE versions grade differently.
type TermChange struct {
	Term    string        `json:"term"`    // as the old version calls it, "" if it has none
	NewTerm string        `json:"newTerm"` // as the new version does, "" if it has none
	Limits  []LimitChange `json:"limits"`  // nil: only the name differs, or one version has no such term
}

// LimitChange is one grade of one analyte with other limits. "" is none.
type LimitChange struct {
	Analyte  string `json:"analyte"` // "" where it is no limit of an analyte
	Baseline string `json:"baseline,omitempty"`
	Grade    int    `json:"grade"`
	Old      string `json:"old"`
	New      string `json:"new"`
}

// DiffCriteria returns the terms that both protocols monitor and whose criterion differs because they pin different versions of the CTCAE, in the order of
// the old file; then those of the old file that only the new version grades.
func DiffCriteria(old, new *Protocol) []TermChange {
	if old.CTCAE == new.CTCAE {
		return nil
	}
	var changes []TermChange
	asked := func(p *Protocol, key string) bool {
		return slices.ContainsFunc(p.Toxicity, func(t Toxicity) bool {
			return slices.ContainsFunc([]ctcae.Version{ctcae.V4, ctcae.V5, ctcae.V6}, func(v ctcae.Version) bool {
				c, _ := ctcae.Resolve(v, t.Term)
				return c != nil && c.Key == key
			})
		})
	}
	find := func(p *Protocol, key string) *ctcae.Criterion {
		for i := range p.Terms {
			if p.Terms[i].Criterion.Key == key {
				return p.Terms[i].Criterion
			}
		}
		return nil
	}
	for i := range old.Terms {
		a := old.Terms[i].Criterion
		b := find(new, a.Key)
		switch {
		case b != nil:
			if limits := limitChanges(a, b); limits != nil || a.Term != b.Term {
				changes = append(changes, TermChange{a.Term, b.Term, limits})
			}
		case asked(new, a.Key):
			changes = append(changes, TermChange{Term: a.Term})
		}
	}
	for i := range new.Terms {
		b := new.Terms[i].Criterion
		if find(old, b.Key) == nil && asked(old, b.Key) {
			changes = append(changes, TermChange{NewTerm: b.Term})
		}
	}
	return changes
}

func limitChanges(a, b *ctcae.Criterion) []LimitChange {
	var analytes []string
	for _, c := range []*ctcae.Criterion{a, b} {
		for i := range c.Limits {
			if !slices.Contains(analytes, c.Limits[i].Analyte) {
				analytes = append(analytes, c.Limits[i].Analyte)
			}
		}
	}
	var changes []LimitChange
	for _, analyte := range analytes {
		x, y := a.Of(analyte), b.Of(analyte)
		if x == nil {
			x = &ctcae.Limits{}
		}
		if y == nil {
			y = &ctcae.Limits{}
		}
		for _, l := range []struct {
			baseline string
			old, new []ctcae.Step
		}{{"", x.Steps, y.Steps}, {"high", x.IfHigh, y.IfHigh}, {"low", x.IfLow, y.IfLow}, {"above ULN", x.IfAboveULN, y.IfAboveULN}} {
			if l.old == nil && l.new == nil {
				continue
			}
			if l.old == nil {
				l.old = x.Steps // without steps of its own an abnormal baseline is like any other
			}
			if l.new == nil {
				l.new = y.Steps
			}
			for grade := 1; grade <= 4; grade++ {
				if s, t := stepTexts(l.old, grade), stepTexts(l.new, grade); s != t {
					changes = append(changes, LimitChange{analyte, l.baseline, grade, s, t})
				}
			}
		}
	}
	for _, text := range []struct{ old, new string }{{a.ByRule, b.ByRule}, {proposed(a), proposed(b)}} {
		if text.old != text.new {
			changes = append(changes, LimitChange{Old: text.old, New: text.new})
		}
	}
	return changes
}

func proposed(c *ctcae.Criterion) string {
	if c.Candidate == "" {
		return ""
	}
	return "proposed only: " + c.Candidate
}

func stepTexts(steps []ctcae.Step, grade int) string {
	var parts []string
	for i := range steps {
		if steps[i].Grade == grade {
			parts = append(parts, steps[i].Text)
		}
	}
	return strings.Join(parts, "; or ")
}
