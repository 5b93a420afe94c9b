package timeline_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trialwatch/trialwatch/rules/timeline"
)

var noon = time.Date(2026, 2, 19, 12, 0, 0, 0, time.UTC)

// version is one version of Observation/o: an id, the hour of lastUpdated (-1 = absent), the hour of receipt and what it says.
type version struct {
	id                string
	updated, received int
	says              string // a value, "void" or "refused"
}

func (v version) fact() *timeline.Fact {
	f := &timeline.Fact{
		Ref: timeline.RefOf("Observation", "o"), Version: timeline.Version{ID: v.id, Digest: v.says}, ReceivedAt: noon.Add(time.Duration(v.received) * time.Hour),
		Site: "main", Patient: timeline.Patient{Reference: "Patient/p"}, At: timeline.Time{Start: noon},
	}
	if v.updated >= 0 {
		f.Version.LastUpdated = noon.Add(time.Duration(v.updated) * time.Hour)
	}
	switch v.says {
	case "void":
		f.State = timeline.Void
	case "refused":
		f.State = timeline.Refused
	default:
		f.Results = []timeline.Result{{Analyte: timeline.Neutrophils, Value: timeline.Quantity{Text: v.says}}}
	}
	return f
}

func shows(tl *timeline.Timeline) string {
	var parts []string
	for _, p := range tl.Series(timeline.Neutrophils) {
		text := p.Value.Text
		if p.Doubtful {
			text += " doubtful"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

// permutations calls fn with every order of the versions.
func permutations(vs []version, fn func([]version)) {
	var walk func(int)
	vs = slices.Clone(vs)
	walk = func(i int) {
		if i == len(vs) {
			fn(vs)
			return
		}
		for j := i; j < len(vs); j++ {
			vs[i], vs[j] = vs[j], vs[i]
			walk(i + 1)
			vs[i], vs[j] = vs[j], vs[i]
		}
	}
	walk(0)
}

// Which version counts, for every order of arrival.
func TestGreatestVersionWins(t *testing.T) {
	for _, tt := range []struct {
		name     string
		versions []version
		want     string
	}{
		{"one", []version{{"1", 0, 0, "0.4"}}, "0.4"},
		{"a newer versionId", []version{{"1", 0, 0, "0.4"}, {"2", 1, 1, "1.8"}}, "1.8"},
		{"numbers are numbers", []version{{"9", 0, 0, "0.4"}, {"10", 1, 1, "1.8"}}, "1.8"},
		{"a newer versionId wins whatever lastUpdated says", []version{{"1", 5, 0, "0.4"}, {"2", 1, 1, "1.8"}}, "1.8"},
		{"without numbers lastUpdated decides", []version{{"b", 1, 3, "1.8"}, {"a", 2, 1, "0.4"}}, "0.4"},
		{"no lastUpdated is the earliest", []version{{"", -1, 9, "0.4"}, {"", 1, 1, "1.8"}}, "1.8"},
		{"then receipt", []version{{"", -1, 1, "0.4"}, {"", -1, 2, "1.8"}}, "1.8"},
		// One id that is no number turns the whole set to lastUpdated, never pair by pair: 10 > 9 and W/1 > 10 and 9 > W/1 would be a circle.
		{"mixed ids are compared as a set", []version{{"9", 3, 1, "0.3"}, {"10", 1, 2, "0.1"}, {"W/1", 2, 3, "0.2"}}, "0.3"},
		{"a void takes the resource away", []version{{"1", 0, 0, "0.4"}, {"2", 1, 1, "void"}}, ""},
		{"a void of an older version does not", []version{{"1", 0, 0, "void"}, {"2", 1, 1, "0.4"}}, "0.4"},
		{"what was voided can come back", []version{{"1", 0, 0, "0.4"}, {"2", 1, 1, "void"}, {"3", 2, 2, "1.8"}}, "1.8"},
		{"a refused newer version leaves doubt", []version{{"1", 0, 0, "0.4"}, {"2", 1, 1, "refused"}}, "0.4 doubtful"},
		{"a refused older version does not", []version{{"1", 0, 0, "refused"}, {"2", 1, 1, "0.4"}}, "0.4"},
		{"doubt ends with a version that can be read", []version{{"1", 0, 0, "0.4"}, {"2", 1, 1, "refused"}, {"3", 2, 2, "1.8"}}, "1.8"},
		{"refused alone shows nothing", []version{{"1", 0, 0, "refused"}}, ""},
	} {
		n := 0
		permutations(tt.versions, func(vs []version) {
			n++
			tl := timeline.New()
			for _, v := range append(slices.Clone(vs), vs...) { // everything twice
				tl.Apply(v.fact())
			}
			if got := shows(tl); got != tt.want {
				t.Errorf("%s, in the order %v: shows %q, want %q", tt.name, vs, got, tt.want)
			}
		})
		if n == 0 {
			t.Errorf("%s: nothing was tried", tt.name)
		}
	}
}

// Apply says whether the picture changed: what does not change is not evaluated again.
func TestApplyReportsChange(t *testing.T) {
	tl := timeline.New()
	for i, tt := range []struct {
		v    version
		want bool
	}{
		{version{"1", 0, 0, "0.4"}, true},
		{version{"1", 0, 0, "0.4"}, false}, // a repetition
		{version{"0", 0, 5, "9.9"}, false}, // an older version that comes late
		{version{"3", 2, 6, "refused"}, true},
		{version{"2", 1, 7, "1.8"}, true},
		{version{"4", 3, 8, "void"}, true},
		{version{"2", 1, 7, "1.8"}, false},
	} {
		if got := tl.Apply(tt.v.fact()); got != tt.want {
			t.Errorf("step %d, %v: changed %v, want %v", i+1, tt.v, got, tt.want)
		}
	}
	if !tl.Empty() {
		t.Error("a timeline whose only resource is void is not empty")
	}
}

// Series are in clinical time, ties by resource, whatever the order of arrival.
func TestSeriesIsInClinicalTime(t *testing.T) {
	var vs []version
	for i := range 5 {
		vs = append(vs, version{"1", 0, i, fmt.Sprint(i)})
	}
	permutations(vs, func(order []version) {
		tl := timeline.New()
		for _, v := range order {
			f := v.fact()
			f.Ref = timeline.RefOf("Observation", "o"+v.says)
			f.At.Start = noon.Add(-time.Duration(v.received/2) * time.Hour) // 0 and 1 at noon, 2 and 3 before, 4 first
			tl.Apply(f)
		}
		if got, want := shows(tl), "4, 2, 3, 0, 1"; got != want {
			t.Fatalf("in the order %v: %s, want %s", order, got, want)
		}
	})
}

// Facts are stored: what was stored in another shape is still read.
func TestRefAsStored(t *testing.T) {
	for _, stored := range []string{`"Observation/anc-1"`, `"Observation\u002fanc-1"`, `{"type":"Observation","id":"anc-1"}`} {
		var r timeline.Ref
		if err := json.Unmarshal([]byte(stored), &r); err != nil || r != timeline.RefOf("Observation", "anc-1") || r.Type() != "Observation" || r.ID() != "anc-1" {
			t.Errorf("%s: %q of type %q with id %q, %v", stored, r, r.Type(), r.ID(), err)
		}
	}
	for _, broken := range []string{`7`, `["Observation"]`, `{"type":7}`} {
		if r := timeline.Ref("before"); json.Unmarshal([]byte(broken), &r) == nil {
			t.Errorf("%s was read as %q", broken, r)
		}
	}
	if r := timeline.RefOf("", ""); r != "" || r.Type() != "" || r.ID() != "" {
		t.Errorf("no resource is named %q", r)
	}
}
