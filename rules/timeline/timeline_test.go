package timeline_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

var noon = time.Date(2026, 2, 19, 12, 0, 0, 0, time.UTC)

// version is a version of one resource: versionId, minutes after noon of lastUpdated (absent if negative) and of receipt, and a digest by which
// the test knows it again.
func version(id string, updated, received int, digest string) *timeline.Fact {
	f := &timeline.Fact{
		Ref: timeline.Ref{Type: "Observation", ID: "o"}, Version: timeline.Version{ID: id, Digest: digest}, ReceivedAt: noon.Add(time.Duration(received) * time.Minute),
		At:      timeline.Time{Start: noon},
		Results: []timeline.Result{{Analyte: timeline.Temperature, Value: timeline.Quantity{Value: decimal.Must("38"), Text: "38"}}},
	}
	if updated >= 0 {
		f.Version.LastUpdated = noon.Add(time.Duration(updated) * time.Minute)
	}
	return f
}

func in(state timeline.State, f *timeline.Fact) *timeline.Fact {
	f.State, f.Results = state, nil
	return f
}

// everyOrder calls fn with every order of versions.
func everyOrder(vs []*timeline.Fact, fn func([]*timeline.Fact)) {
	if len(vs) == 0 {
		fn(nil)
		return
	}
	for i := range vs {
		rest := slices.Delete(slices.Clone(vs), i, i+1)
		everyOrder(rest, func(tail []*timeline.Fact) { fn(append([]*timeline.Fact{vs[i]}, tail...)) })
	}
}

// shows is what a timeline shows of the resource: the digest of the version, with a ? if it may be out of date, or nothing.
func shows(tl *timeline.Timeline) string {
	s := tl.Series(timeline.Temperature)
	switch {
	case len(s) == 0:
		return "nothing"
	case len(s) > 1:
		return fmt.Sprintf("%d points", len(s))
	case s[0].Doubtful:
		return s[0].Fact.Version.Digest + "?"
	}
	return s[0].Fact.Version.Digest
}

func TestWhichVersionCounts(t *testing.T) {
	for _, tt := range []struct {
		name     string
		versions []*timeline.Fact
		want     string
	}{
		{"one", []*timeline.Fact{version("1", 0, 0, "a")}, "a"},
		{"the greater number, though updated earlier", []*timeline.Fact{version("1", 60, 0, "a"), version("2", 10, 1, "b")}, "b"},
		{"numbers are numbers", []*timeline.Fact{version("9", 60, 0, "a"), version("10", 10, 1, "b")}, "b"},
		{"of any length", []*timeline.Fact{version("99999999999999999999", 60, 0, "a"), version("100000000000000000000", 10, 1, "b")}, "b"},
		{"leading zeros are nothing", []*timeline.Fact{version("010", 10, 0, "a"), version("9", 60, 1, "b")}, "a"},
		{"a version that is no number: the later update", []*timeline.Fact{version("1", 60, 0, "a"), version("W/2", 10, 1, "b")}, "a"},
		{"a version that is missing: the later update", []*timeline.Fact{version("", 60, 0, "a"), version("2", 10, 1, "b")}, "a"},
		{"no update is the earliest", []*timeline.Fact{version("", -1, 5, "a"), version("", 0, 1, "b")}, "b"},
		{"neither: the later receipt", []*timeline.Fact{version("", -1, 5, "a"), version("", -1, 1, "b")}, "a"},
		{"one receipt: the greater digest", []*timeline.Fact{version("", -1, 1, "a"), version("", -1, 1, "b")}, "b"},
		{"one number with two contents: the later update", []*timeline.Fact{version("3", 5, 0, "b"), version("3", 6, 0, "a")}, "a"},
		{
			// By pairs this is a circle: b is after a by number, c after b and a after c by update. Over the whole set, which is not all
			// numbers, a was updated last.
			"the whole set, never by pairs", []*timeline.Fact{version("1", 60, 0, "a"), version("2", 10, 1, "b"), version("x", 30, 2, "c")}, "a",
		},
		{"a void is a version", []*timeline.Fact{version("1", 0, 0, "a"), in(timeline.Void, version("2", 1, 1, "b"))}, "nothing"},
		{"a greater version after a void", []*timeline.Fact{version("1", 0, 0, "a"), in(timeline.Void, version("2", 1, 1, "b")), version("3", 2, 2, "c")}, "c"},
		{"a refused version never wins, and casts doubt", []*timeline.Fact{version("1", 0, 0, "a"), in(timeline.Refused, version("2", 1, 1, "b"))}, "a?"},
		{"a refused version that is older does not", []*timeline.Fact{version("2", 1, 1, "a"), in(timeline.Refused, version("1", 0, 0, "b"))}, "a"},
		{"a greater version dispels the doubt", []*timeline.Fact{version("1", 0, 0, "a"), in(timeline.Refused, version("2", 1, 1, "b")), version("3", 2, 2, "c")}, "c"},
		{"only a refused one", []*timeline.Fact{in(timeline.Refused, version("1", 0, 0, "a"))}, "nothing"},
		{"a repetition", []*timeline.Fact{version("1", 0, 0, "a"), version("1", 0, 9, "a")}, "a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			everyOrder(tt.versions, func(vs []*timeline.Fact) {
				tl := timeline.New()
				for _, v := range vs {
					tl.Apply(v)
				}
				if got := shows(tl); got != tt.want {
					var order []string
					for _, v := range vs {
						order = append(order, v.Version.Digest)
					}
					t.Errorf("in the order %v: got %s, want %s", order, got, tt.want)
				}
			})
		})
	}
}

// TestReceiptIsTheFirst: of a version that comes twice the earlier receipt counts, whichever is read first.
func TestReceiptIsTheFirst(t *testing.T) {
	everyOrder([]*timeline.Fact{version("1", 0, 3, "a"), version("1", 0, 1, "a"), version("1", 0, 2, "a")}, func(vs []*timeline.Fact) {
		tl := timeline.New()
		for _, v := range vs {
			tl.Apply(v)
		}
		if got, want := tl.Series(timeline.Temperature)[0].Fact.ReceivedAt, noon.Add(time.Minute); !got.Equal(want) {
			t.Errorf("got a receipt at %s, want %s", got, want)
		}
	})
}

func TestApplyReportsChanges(t *testing.T) {
	tl := timeline.New()
	for _, tt := range []struct {
		name string
		f    *timeline.Fact
		want bool
	}{
		{"new", version("2", 0, 0, "b"), true},
		{"again", version("2", 0, 1, "b"), false},
		{"older", version("1", 0, 0, "a"), false},
		{"newer", version("3", 0, 0, "c"), true},
		{"a refused one casts doubt", in(timeline.Refused, version("5", 0, 0, "e")), true},
		{"void", in(timeline.Void, version("6", 0, 0, "f")), true},
		{"void again", in(timeline.Void, version("7", 0, 0, "g")), false},
	} {
		if got := tl.Apply(tt.f); got != tt.want {
			t.Errorf("%s: got %t, want %t", tt.name, got, tt.want)
		}
	}
	if !tl.Empty() {
		t.Error("after a void the timeline is not empty")
	}
}

// TestOrderAndRepetitionDoNotMatter draws versions of a few resources that share times, numbers and digests.
func TestOrderAndRepetitionDoNotMatter(t *testing.T) {
	picture := func(fs []*timeline.Fact) string {
		tl := timeline.New()
		for _, f := range fs {
			tl.Apply(f)
		}
		s := ""
		for _, p := range tl.Series(timeline.Temperature) {
			s += fmt.Sprintf("%s %s %s %s %t\n", p.Fact.Ref, p.Fact.At.Start, p.Fact.Version.Digest, p.Fact.ReceivedAt, p.Doubtful)
		}
		return s
	}
	rapid.Check(t, func(t *rapid.T) {
		fs := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) *timeline.Fact {
			// The digest is that of the content, so it says all that a resource does.
			id := rapid.SampledFrom([]string{"", "1", "2", "10", "x"}).Draw(t, "versionId")
			updated := rapid.IntRange(-1, 2).Draw(t, "lastUpdated")
			hour := rapid.IntRange(0, 1).Draw(t, "hour")
			resource := rapid.SampledFrom([]string{"o", "p"}).Draw(t, "resource")
			state := rapid.SampledFrom([]timeline.State{timeline.Usable, timeline.Usable, timeline.Void, timeline.Refused}).Draw(t, "state")
			f := version(id, updated, rapid.IntRange(0, 2).Draw(t, "received"), fmt.Sprint(id, updated, hour, resource, state))
			f.Ref.ID, f.At.Start = resource, noon.Add(time.Duration(hour)*time.Hour)
			if state != timeline.Usable {
				in(state, f)
			}
			return f
		}), 1, 6).Draw(t, "facts")
		want := picture(fs)
		shuffled := rapid.Permutation(append(slices.Clone(fs), fs[0], fs[len(fs)-1])).Draw(t, "order")
		if got := picture(shuffled); got != want {
			t.Fatalf("got\n%swant\n%s", got, want)
		}
	})
}

func TestSeriesIsInClinicalTime(t *testing.T) {
	tl := timeline.New()
	for i, hour := range []int{3, 1, 2, 1} {
		f := version("1", 0, i, fmt.Sprint(i))
		f.Ref.ID, f.At.Start = fmt.Sprint("o", 9-i), noon.Add(time.Duration(hour)*time.Hour)
		tl.Apply(f)
	}
	got := ""
	for _, p := range tl.Series(timeline.Temperature) {
		got += p.Fact.Ref.ID + " "
	}
	if want := "o6 o8 o7 o9 "; got != want { // o6 and o8 share an hour: by id
		t.Errorf("got %s, want %s", got, want)
	}
}
