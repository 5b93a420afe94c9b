package timeline_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/trialwatch/trialwatch/rules/timeline"
)

// What was read holds until just that changes.
func TestReadsHoldUntilWhatWasReadChanges(t *testing.T) {
	start := time.Date(2026, 2, 16, 9, 0, 0, 0, time.UTC)
	fact := func(ref, version string, f timeline.Fact) *timeline.Fact {
		f.Ref, f.Version, f.ReceivedAt, f.At.Start = timeline.RefOf(ref, "1"), timeline.Version{ID: version, Digest: version}, start, start
		return &f
	}
	result := func(analyte string) timeline.Fact {
		return timeline.Fact{Results: []timeline.Result{{Analyte: analyte}}}
	}
	reads := []struct {
		name string
		read func(*timeline.View)
	}{
		{"platelets", func(v *timeline.View) { v.Series(timeline.Platelets) }},
		{"temperature", func(v *timeline.View) { v.Series(timeline.Temperature) }},
		{"analytes", func(v *timeline.View) { v.Analytes() }},
		{"doses", func(v *timeline.View) { v.Doses() }},
		{"encounters", func(v *timeline.View) { v.Encounters() }},
		{"others", func(v *timeline.View) { v.Others() }},
		{"doubtful", func(v *timeline.View) { v.Doubtful(timeline.RefOf("Procedure", "1")) }},
	}
	// One that is not there is read as the names of those that are.
	all := []string{"platelets", "temperature", "analytes"}
	tl := timeline.New()
	for _, step := range []struct {
		name    string
		changes *timeline.Fact
		ends    []string // of reads
	}{
		{"the first platelets", fact("Plt", "1", result(timeline.Platelets)), all},
		{"the same again", fact("Plt", "1", result(timeline.Platelets)), nil},
		{"corrected platelets", fact("Plt", "2", result(timeline.Platelets)), all},
		{"they were another's", fact("Plt", "3", result(timeline.Temperature)), all},
		{"a refused version", fact("Plt", "4", timeline.Fact{State: timeline.Refused}), append(all, "doubtful")},
		{"a void", fact("Plt", "5", timeline.Fact{State: timeline.Void}), append(all, "doubtful")},
		{"a dose", fact("Dose", "1", timeline.Fact{Dose: &timeline.Dose{}}), []string{"doses"}},
		{"an encounter", fact("Enc", "1", timeline.Fact{Encounter: &timeline.Encounter{}}), []string{"encounters"}},
		{"a response", fact("Resp", "1", timeline.Fact{Response: &timeline.Response{}}), []string{"others"}},
		{"a procedure", fact("Procedure", "1", timeline.Fact{Procedure: &timeline.Procedure{}}), []string{"others"}},
		{"doubt of it", fact("Procedure", "2", timeline.Fact{State: timeline.Refused}), []string{"others", "doubtful"}},
	} {
		v := tl.View()
		held := make([]timeline.Reads, len(reads))
		for i, r := range reads {
			v.Note(&held[i])
			r.read(&v)
		}
		tl.Apply(step.changes)
		var ended []string
		for i, r := range reads {
			if !held[i].Hold() {
				ended = append(ended, r.name)
			}
		}
		if got, want := fmt.Sprint(ended), fmt.Sprint(step.ends); got != want {
			t.Errorf("%s: %s ended, want %s", step.name, got, want)
		}
	}
}
