package protocol

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// InForce is the time in which an entry of the protocol holds, in site-local days. What lies outside of it is not judged by the entry: an amendment makes nothing
// of the past a deviation. nil holds always.
type InForce struct {
	From  string `yaml:"from"`  // the first day, "2026-05-01"; "" for always
	Until string `yaml:"until"` // the first day no more; "" for without end
	// Retroactive judges the time before From too: the amendment says so.
	Retroactive bool   `yaml:"retroactive"`
	Cite        string `yaml:"cite"`
}

// At reports whether the entry holds on the day of an instant, which is in the site's zone.
func (f *InForce) At(local time.Time) bool {
	if f == nil {
		return true
	}
	day := local.Format(time.DateOnly)
	return (f.Retroactive || day >= f.From) && (f.Until == "" || day < f.Until)
}

// String says when the entry holds, "" for always.
func (f *InForce) String() string {
	if f == nil {
		return ""
	}
	var words []string
	if since := f.since(); since != "" {
		words = append(words, "from "+since)
	}
	if f.Until != "" {
		words = append(words, "until "+f.Until)
	}
	return strings.Join(words, " ")
}

// since is the first day, "" for always.
func (f *InForce) since() string {
	if f == nil || f.Retroactive {
		return ""
	}
	return f.From
}

// meets reports whether two entries hold on one day.
func (f *InForce) meets(o *InForce) bool {
	until := func(f *InForce) string {
		if f == nil || f.Until == "" {
			return "9999"
		}
		return f.Until
	}
	return f.since() < until(o) && o.since() < until(f)
}

// times judges from when to when entries hold.
func (f *file) times(p *Protocol) {
	v := reflect.ValueOf(p).Elem()
	for i := range v.NumField() {
		list, key := v.Field(i), keyOf(v.Type().Field(i))
		for j := range entriesInForce(list) {
			at := func(field string) []string { return []string{key, strconv.Itoa(j), "inForce", field} }
			in := inForceOf(list.Index(j))
			if in == nil {
				continue
			}
			for _, d := range []struct{ field, day string }{{"from", in.From}, {"until", in.Until}} {
				if _, err := time.Parse(time.DateOnly, d.day); d.day != "" && err != nil {
					f.at(at(d.field), "there is no day %s", d.day)
				}
			}
			if in.Until != "" && in.Until <= in.From {
				f.at(at("until"), "it would end, on %s, before it begins, on %s", in.Until, in.From)
			}
		}
	}
}

// versions judges the regimens of one id in one arm: one drug, and one of them at a time.
func (f *file) versions(p *Protocol, i int) {
	r := &p.Regimens[i]
	for j := range i {
		s := &p.Regimens[j]
		if s.ID != r.ID || s.Arm != r.Arm && s.Arm != AllArms && r.Arm != AllArms {
			continue
		}
		at := func(field string) []string { return []string{"regimens", strconv.Itoa(i), field} }
		switch {
		case s.InForce.meets(r.InForce):
			f.at(at("id"), "regimen %s stands twice in %s: of two versions the one must end (inForce: until) where the other begins (inForce: from)", r.ID, r.Arm)
		case s.Drug != r.Drug:
			f.at(at("drug"), "regimen %s is of %s in its other version: another drug is another regimen", r.ID, s.Drug)
		}
	}
}

// entriesInForce is how many entries a list has that hold for a time, 0 for anything else.
func entriesInForce(list reflect.Value) int {
	if list.Kind() != reflect.Slice || list.Type().Elem().Kind() != reflect.Struct {
		return 0
	}
	if _, ok := list.Type().Elem().FieldByName("InForce"); !ok {
		return 0
	}
	return list.Len()
}

func inForceOf(entry reflect.Value) *InForce {
	in, _ := reflect.TypeAssert[*InForce](entry.FieldByName("InForce"))
	return in
}

// Unsaid is an entry that a new version of a protocol has changed without saying from when.
type Unsaid struct {
	Path string `json:"path"` // "regimens[arm-1/il2]"
	Text string `json:"text"`
}

// DiffPast returns what a new version of a protocol would judge otherwise in the past though it does not say so: entries that were added, changed or removed
// without a day from which on. Words, citations and importance are free to change.
func DiffPast(old, new *Protocol) []Unsaid {
	var unsaid []Unsaid
	a, b := reflect.ValueOf(old).Elem(), reflect.ValueOf(new).Elem()
	for i := range a.NumField() {
		key := keyOf(a.Type().Field(i))
		olds, news := byName(a.Field(i)), byName(b.Field(i))
		for _, n := range news {
			was := slices.IndexFunc(olds, func(o entry) bool { return o.name == n.name && o.text == n.text && o.in.since() == n.in.since() })
			began := slices.ContainsFunc(olds, func(o entry) bool { return o.name == n.name && o.in.since() == n.in.since() })
			if was >= 0 || n.in != nil && (n.in.Retroactive || n.in.From != "" && !began) {
				continue
			}
			what := "is new"
			if slices.ContainsFunc(olds, func(o entry) bool { return o.name == n.name }) {
				what = "is another"
			}
			unsaid = append(unsaid, Unsaid{fmt.Sprintf("%s[%s]", key, n.name), what + " and does not say from when: it would judge the past. Keep the old one with inForce: { until: … } and give the new one " +
				"inForce: { from: … }, or say inForce: { retroactive: true }"})
		}
		for _, o := range olds {
			if !slices.ContainsFunc(news, func(n entry) bool {
				return o.name == n.name && (n.in.since() == o.in.since() || n.in != nil && n.in.Retroactive)
			}) {
				unsaid = append(unsaid, Unsaid{fmt.Sprintf("%s[%s]", key, o.name), "is gone: what it found in the past would be taken back. Keep it with inForce: { until: … }"})
			}
		}
	}
	return unsaid
}

// entry is an entry that holds for a time, without what may change freely.
type entry struct {
	name, text string
	in         *InForce
}

func byName(list reflect.Value) []entry {
	var es []entry
	for i := range entriesInForce(list) {
		v := reflect.New(list.Type().Elem()).Elem()
		v.Set(list.Index(i))
		e := entry{name: nameOf(v, i), in: inForceOf(v)}
		for _, free := range []string{"InForce", "Title", "Cite", "Missed"} {
			if f := v.FieldByName(free); f.IsValid() {
				f.SetZero()
			}
		}
		e.text = inline(v)
		es = append(es, e)
	}
	return es
}
