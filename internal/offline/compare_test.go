package offline_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trialwatch/trialwatch/internal/offline"
	"github.com/trialwatch/trialwatch/rules"
)

func TestCompare(t *testing.T) {
	at := func(hour int) time.Time { return time.Date(2026, 2, 19, hour, 0, 0, 0, time.UTC) }
	finding := func(rule, subject string, hour, grade int, change ...func(*rules.Finding)) rules.Finding {
		f := rules.Finding{
			Kind: "finding", Rule: rule, Study: "s", Site: "main", Subject: subject, Arm: "a", Status: rules.Open, Onset: at(hour), Urgency: rules.Routine,
			Grade: new(grade), GradeMax: new(grade), Message: "words", Evidence: []rules.Evidence{{Ref: "Observation/1"}},
		}
		for _, c := range change {
			c(&f)
		}
		f.ID = rules.FindingID(f.Rule, f.Study, f.Subject, "-", f.Onset)
		return f
	}
	ended := func(hour int) func(*rules.Finding) {
		return func(f *rules.Finding) { f.Status, f.End = rules.Resolved, new(at(hour)) }
	}
	type fs = []rules.Finding
	for _, tt := range []struct {
		name     string
		old, new fs
		renamed  map[string]string
		want     []string // change, and what
		same     int
	}{
		{"the same", fs{finding("tox.fever", "1", 6, 2)}, fs{finding("tox.fever", "1", 6, 2)}, nil, nil, 1},
		{"other words", fs{finding("tox.fever", "1", 6, 2)}, fs{finding("tox.fever", "1", 6, 2, func(f *rules.Finding) { f.Message, f.Evidence = "other", nil })}, nil, nil, 1},
		{"another version alone", fs{finding("tox.fever", "1", 6, 2)}, fs{finding("tox.fever", "1", 6, 2, func(f *rules.Finding) { f.CTCAE = "6.0" })}, nil, nil, 1},
		{"one more", nil, fs{finding("tox.fever", "1", 6, 2)}, nil, []string{"appears"}, 0},
		{"one more that has ended", nil, fs{finding("tox.fever", "1", 6, 2, ended(9))}, nil, []string{"appears"}, 0},
		{"one less", fs{finding("tox.fever", "1", 6, 2, ended(9))}, nil, nil, []string{"vanishes"}, 0},
		{"another grade", fs{finding("tox.fever", "1", 6, 2)}, fs{finding("tox.fever", "1", 6, 3)}, nil, []string{"changes grade 2 → 3"}, 0},
		{"ended earlier", fs{finding("tox.fever", "1", 6, 2)}, fs{finding("tox.fever", "1", 6, 2, ended(9))}, nil, []string{"changes status open → resolved", "end none → 2026-02-19 09:00"}, 0},
		{"began later", fs{finding("tox.fever", "1", 6, 2)}, fs{finding("tox.fever", "1", 8, 2)}, nil, []string{"changes onset 2026-02-19 06:00 → 2026-02-19 08:00"}, 0},
		{"of another patient", fs{finding("tox.fever", "1", 6, 2)}, fs{finding("tox.fever", "2", 6, 2)}, nil, []string{"vanishes", "appears"}, 0},
		{"two become one", fs{finding("tox.fever", "1", 6, 2, ended(8)), finding("tox.fever", "1", 10, 2)}, fs{finding("tox.fever", "1", 6, 2)}, nil, []string{
			"changes status resolved → open", "end 2026-02-19 08:00 → none", "vanishes",
		}, 0},
		{
			"a term by another name",
			fs{finding("tox.platelet-count-decreased", "1", 6, 4), finding("tox.fever", "1", 6, 1)},
			fs{finding("tox.thrombocytopenia", "1", 6, 3), finding("tox.fever", "1", 6, 1)},
			map[string]string{"tox.platelet-count-decreased": "tox.thrombocytopenia"},
			[]string{"changes grade 4 → 3"},
			1,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			changes, same := offline.Compare(tt.old, tt.new, tt.renamed, at(12))
			var got []string
			for _, c := range changes {
				first := c.Change
				for i, w := range c.What {
					if i == 0 {
						first += " " + w
						continue
					}
					got = append(got, first)
					first = w
				}
				got = append(got, first)
			}
			if d := cmp.Diff(tt.want, got); d != "" || same != tt.same {
				t.Errorf("%d the same, want %d; (-want +got)\n%s", same, tt.same, d)
			}
		})
	}
}
