package aggregate

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// Board keeps the panels of a study while its patients change: only panels to which a changed contribution counts are made again. They are always those
// that [Panels] makes from scratch. Use [NewBoard]; not safe for concurrent use.
type Board struct {
	p        *protocol.Protocol
	patients map[string]*rules.Summary
	made     map[string]Panel // by name; a panel that is not here is to be made
	tests    rankSums
}

// NewBoard returns the board of a study without patients.
func NewBoard(p *protocol.Protocol) *Board {
	return &Board{p: p, patients: map[string]*rules.Summary{}, made: map[string]Panel{}, tests: rankSums{}}
}

// Set takes in what a patient, whatever names him, contributes now. The zero Summary is somebody who contributes nothing.
func (b *Board) Set(patient string, s rules.Summary) {
	old := cmp.Or(b.patients[patient], &rules.Summary{})
	if s.Enrolled {
		b.patients[patient] = &s
	} else {
		delete(b.patients, patient)
	}
	for _, name := range Names {
		if touches(name, old, &s) {
			delete(b.made, name)
		}
	}
}

// touches reports whether a panel counts a change of a contribution.
func touches(panel string, old, now *rules.Summary) bool {
	if old.Enrolled != now.Enrolled || old.Arm != now.Arm || old.ActualAs != now.ActualAs || old.Site != now.Site {
		return true
	}
	switch panel {
	case Enrolment:
		return old.Treated != now.Treated || old.OffStudy != now.OffStudy || old.Evaluable != now.Evaluable || old.Assessed != now.Assessed || !slices.Equal(old.Started, now.Started)
	case Toxicity:
		return old.Treated != now.Treated || !slices.Equal(old.Toxicity, now.Toxicity) || !slices.EqualFunc(old.Stopping, now.Stopping, rules.Counted.Equal)
	case Deviations:
		return !slices.Equal(old.Events, now.Events)
	case Exposure:
		return !slices.EqualFunc(old.Exposure, now.Exposure, rules.Exposure.Equal)
	case Stay:
		return !equal(old.Stay, now.Stay)
	case Response:
		return old.Best != now.Best || old.Assessed != now.Assessed || old.Unconfirmed != now.Unconfirmed
	case Survival:
		return !equal(old.PFS, now.PFS) || !equal(old.OS, now.OS) || !equal(old.DOR, now.DOR)
	case Biomarkers:
		return !slices.Equal(old.Markers, now.Markers)
	}
	return false
}

func equal[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }

// Panels returns every panel, as [Panels] does. Entries are shared with earlier answers: nobody may change them.
func (b *Board) Panels(feed []SiteRow, asOf time.Time) []Panel {
	var c *cohort
	out := make([]Panel, 0, len(Names))
	for _, m := range makers(b.p) {
		panel, ok := b.made[m.name]
		if !ok {
			if c == nil {
				c = newCohort(b.p, slices.Collect(maps.Values(b.patients)))
				c.tests = b.tests
			}
			panel = m.make(c)
			b.made[m.name] = panel
		}
		out = append(out, panel)
	}
	return finish(b.p, append(out, feedPanel(feed)), asOf)
}

// rankSums remembers the last comparison of each place: an exact one of mid-sized arms takes milliseconds, and a changed patient changes few of them.
type rankSums map[string]*rankSumOf

type rankSumOf struct {
	a, b []float64 // sorted
	test RankSumTest
}

// of compares two groups of values, which it sorts. place names what is compared.
func (r rankSums) of(place string, a, b []float64) RankSumTest {
	slices.Sort(a)
	slices.Sort(b)
	was := r[place]
	if was == nil || !slices.Equal(was.a, a) || !slices.Equal(was.b, b) {
		was = &rankSumOf{a, b, rankSum(a, b)}
		r[place] = was
	}
	return was.test
}
