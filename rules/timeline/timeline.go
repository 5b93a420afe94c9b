package timeline

import (
	"reflect"
	"slices"
	"strings"
	"time"
)

// Timeline is one patient's facts in clinical time. The zero value is not ready: use [New]. It is not safe for concurrent use.
type Timeline struct {
	// Site is what the site of the patient sent, about anybody; nil where nobody knows.
	Site *Feed

	resources  map[Ref]*Resource
	series     map[string]*series
	doses      list     // with Dose
	encounters list     // with Encounter
	others     list     // Procedure, Response, AdverseEvent, Order, Enrolment, Person
	names      revision // of the names of the series
	doubts     revision // of what is doubtful
	receipts   revision // of when something came
	heard      *Feed    // nil until somebody asks
}

// series is never empty: it goes with its last point.
type series struct {
	points   []Point
	revision revision
}

// list are facts of one kind in clinical time.
type list struct {
	facts    []*Fact
	revision revision
}

// Point is one usable or unusable value on the timeline.
type Point struct {
	*Result
	Fact *Fact
	// Doubtful: a newer version of the resource was refused, so the value may be out of date.
	Doubtful bool
}

// New returns an empty timeline.
func New() *Timeline {
	return &Timeline{resources: map[Ref]*Resource{}, series: map[string]*series{}}
}

// Apply adds a version of a resource and reports whether the picture changed. The greatest version wins whatever the order of arrival; a void
// takes the resource away; a repetition changes nothing, unless it carries an earlier receipt.
func (t *Timeline) Apply(f *Fact) bool {
	r := t.resources[f.Ref]
	if r == nil {
		r = &Resource{}
		t.resources[f.Ref] = r
	}
	before, wasDoubtful := r.Current()
	n := len(r.versions)
	if !r.Add(f) {
		return false
	}
	switch t.receipts++; {
	case len(r.versions) == n:
		t.heard = nil // a version came earlier than was thought
	case t.heard != nil && f.State != Refused:
		t.heard.Hear(f.ReceivedAt)
	}
	after, doubtful := r.Current()
	if before == after && wasDoubtful == doubtful {
		return false
	}
	if wasDoubtful || doubtful || inDoubt(before) || inDoubt(after) {
		t.doubts++
	}
	t.remove(before)
	t.insert(after, doubtful)
	return true
}

// Forget takes every version of a resource away, as if none had come.
func (t *Timeline) Forget(ref Ref) {
	if r := t.resources[ref]; r != nil {
		f, doubtful := r.Current()
		if doubtful || inDoubt(f) {
			t.doubts++
		}
		t.remove(f)
		t.receipts++
		t.heard = nil
		delete(t.resources, ref)
	}
}

// Heard is when something came about the patient that could be read: each version once, at its first receipt. The caller must not change it.
func (t *Timeline) Heard() *Feed {
	if t.heard != nil {
		return t.heard
	}
	f := &Feed{}
	for _, r := range t.resources {
		for _, v := range r.versions {
			if v.State != Refused {
				f.Hear(v.ReceivedAt)
			}
		}
	}
	t.heard = f
	return f
}

// Empty reports whether the timeline shows nothing.
func (t *Timeline) Empty() bool {
	return len(t.series) == 0 && len(t.doses.facts)+len(t.encounters.facts)+len(t.others.facts) == 0
}

// Series returns the points of an analyte in clinical time, ties by resource. The caller must not change it.
func (t *Timeline) Series(analyte string) []Point {
	if s := t.series[analyte]; s != nil {
		return s.points
	}
	return nil
}

// Analytes returns the names of all series, sorted.
func (t *Timeline) Analytes() []string {
	names := make([]string, 0, len(t.series))
	for n := range t.series {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Doses returns the administrations in clinical time, ties by resource. The caller must not change it.
func (t *Timeline) Doses() []*Fact { return t.doses.facts }

// Encounters returns the encounters in clinical time, ties by resource. The caller must not change it.
func (t *Timeline) Encounters() []*Fact { return t.encounters.facts }

// Others returns procedures, tumour responses, adverse events, enrolments and persons in clinical time, ties by resource. The caller must not change it.
func (t *Timeline) Others() []*Fact { return t.others.facts }

// Versions are the versions of a resource that could be read, the greatest last.
func (t *Timeline) Versions(ref Ref) []*Fact {
	r := t.resources[ref]
	if r == nil {
		return nil
	}
	vs := slices.DeleteFunc(slices.Clone(r.versions), func(f *Fact) bool { return f.State == Refused })
	numeric := r.numeric()
	slices.SortFunc(vs, func(a, b *Fact) int {
		switch {
		case less(a, b, numeric):
			return -1
		case less(b, a, numeric):
			return 1
		}
		return 0
	})
	return vs
}

// Doubtful reports whether a newer version of a resource was refused, or of the Medication that says what it gave.
func (t *Timeline) Doubtful(ref Ref) bool {
	r := t.resources[ref]
	if r == nil {
		return false
	}
	f, doubtful := r.Current()
	return doubtful || inDoubt(f)
}

// inDoubt reports that the Medication is doubtful which says what a fact gave.
func inDoubt(f *Fact) bool {
	return f != nil && (f.Dose != nil && f.Dose.Doubtful || f.Procedure != nil && f.Procedure.Doubtful || f.Order != nil && f.Order.Doubtful)
}

func (t *Timeline) remove(f *Fact) {
	if f == nil {
		return
	}
	for i := range f.Results {
		name := f.Results[i].Analyte
		s := t.series[name]
		if s == nil {
			continue // its points went with an earlier result of the fact
		}
		s.points = slices.DeleteFunc(s.points, func(p Point) bool { return p.Fact == f })
		s.revision++
		if len(s.points) == 0 {
			delete(t.series, name)
			t.names++
		}
	}
	if l := t.listOf(f); l != nil {
		l.facts = slices.DeleteFunc(l.facts, func(g *Fact) bool { return g == f })
		l.revision++
	}
}

func (t *Timeline) insert(f *Fact, doubtful bool) {
	if f == nil {
		return
	}
	for i := range f.Results {
		p := Point{Result: &f.Results[i], Fact: f, Doubtful: doubtful}
		s := t.series[p.Analyte]
		if s == nil {
			s = &series{}
			t.series[p.Analyte] = s
			t.names++
		}
		at, _ := slices.BinarySearchFunc(s.points, f, func(q Point, f *Fact) int { return compare(q.Fact, f) })
		for at < len(s.points) && s.points[at].Fact == f { // components of one resource with one analyte keep their order
			at++
		}
		s.points = slices.Insert(s.points, at, p)
		s.revision++
	}
	if l := t.listOf(f); l != nil {
		at, _ := slices.BinarySearchFunc(l.facts, f, compare)
		l.facts = slices.Insert(l.facts, at, f)
		l.revision++
	}
}

// listOf is the list that holds a fact, nil for one that has results, or that no list is for.
func (t *Timeline) listOf(f *Fact) *list {
	switch {
	case f.Dose != nil:
		return &t.doses
	case f.Encounter != nil:
		return &t.encounters
	case f.Procedure != nil || f.Response != nil || f.AdverseEvent != nil || f.Order != nil || f.Enrolment != nil || f.Person != nil:
		return &t.others
	}
	return nil
}

// compare orders facts by clinical time, then resource.
func compare(a, b *Fact) int {
	if c := a.At.Start.Compare(b.At.Start); c != 0 {
		return c
	}
	return a.Ref.Compare(b.Ref)
}

// Resource is the set of versions seen of one resource. The zero value is empty.
type Resource struct {
	versions []*Fact
}

// Add takes a version in and reports whether the set changed. A repetition with an earlier receipt replaces the version; so does one of the same receipt that
// says something else: the resource was read again by somebody who knows more of it, and the later reading counts.
func (r *Resource) Add(f *Fact) bool {
	for i, v := range r.versions {
		if v.Version.ID == f.Version.ID && v.Version.Digest == f.Version.Digest && v.Version.LastUpdated.Equal(f.Version.LastUpdated) &&
			v.State == f.State && v.Patient == f.Patient {
			if f.ReceivedAt.After(v.ReceivedAt) || f.ReceivedAt.Equal(v.ReceivedAt) && reflect.DeepEqual(f, v) {
				return false
			}
			r.versions[i] = f
			return true
		}
	}
	r.versions = append(r.versions, f)
	return true
}

// Versions returns the versions in the order of their arrival. The caller must not change it.
func (r *Resource) Versions() []*Fact { return r.versions }

// Latest returns the greatest version that could be read, nil if there is none. It may be a void.
func (r *Resource) Latest() *Fact {
	f, _ := r.greatest()
	return f
}

// Current returns what the resource says now, nil if nothing, and whether a refused version is greater.
func (r *Resource) Current() (f *Fact, doubtful bool) {
	f, refused := r.greatest()
	if f == nil || f.State == Void {
		return nil, false
	}
	return f, refused != nil
}

func (r *Resource) greatest() (usable, refused *Fact) {
	if len(r.versions) == 1 { // nearly always
		if f := r.versions[0]; f.State != Refused {
			return f, nil
		}
		return nil, nil
	}
	numeric := r.numeric()
	for _, v := range r.versions {
		if v.State != Refused && (usable == nil || less(usable, v, numeric)) {
			usable = v
		}
	}
	for _, v := range r.versions {
		if v.State == Refused && usable != nil && less(usable, v, numeric) {
			refused = v
		}
	}
	return usable, refused
}

// numeric reports whether all versions have numeric ids.
func (r *Resource) numeric() bool {
	for _, v := range r.versions {
		if !isNumber(v.Version.ID) {
			return false
		}
	}
	return true
}

// less orders two versions of a set; numeric says that all versions of the set have numeric ids.
func less(a, b *Fact, numeric bool) bool {
	if numeric {
		if c := compareNumbers(a.Version.ID, b.Version.ID); c != 0 {
			return c < 0
		}
	}
	if c := a.Version.LastUpdated.Compare(b.Version.LastUpdated); c != 0 {
		return c < 0
	}
	if c := a.ReceivedAt.Compare(b.ReceivedAt); c != 0 {
		return c < 0
	}
	if c := strings.Compare(a.Version.Digest, b.Version.Digest); c != 0 {
		return c < 0
	}
	// One digest in two states or for two patients: a void is the safer reading.
	if a.State != b.State {
		return b.State == Void
	}
	return a.Patient.Identity() < b.Patient.Identity()
}

func isNumber(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// compareNumbers compares digit strings of any length.
func compareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// Visible reports whether a clinical time has come: facts of the future wait.
func (f *Fact) Visible(now time.Time) bool { return !f.At.Start.After(now) }
