package aggregate_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/aggregate"
)

// Patients come, change, are corrected and go, in any order: the board always shows what the panels made from scratch show, and a correction that takes back a
// change takes it back there too.
func TestBoardIsWhatPanelsFromScratchAre(t *testing.T) {
	p := til(t)
	pool := append(cohort(), crowd(p, 12)...)
	pool[len(pool)-1].Arm, pool[len(pool)-2].ActualAs = "unassigned", "arm-2"
	text := func(t *rapid.T, panels []aggregate.Panel) string {
		data, err := json.MarshalIndent(panels, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	rapid.Check(t, func(t *rapid.T) {
		board, now := aggregate.NewBoard(p), map[string]rules.Summary{}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			name := fmt.Sprint("patient-", rapid.IntRange(0, 5).Draw(t, "patient"))
			s := now[name] // one part of what somebody else contributes, or all of it
			from := pool[rapid.IntRange(0, len(pool)-1).Draw(t, "from")]
			switch rapid.IntRange(0, 10).Draw(t, "part") {
			case 0:
				s.Toxicity = from.Toxicity
			case 1:
				s.Events = from.Events
			case 2:
				s.Exposure = from.Exposure
			case 3:
				s.Stay = from.Stay
			case 4:
				s.Best, s.Assessed, s.Unconfirmed = from.Best, from.Assessed, from.Unconfirmed
			case 5:
				s.PFS, s.OS = from.PFS, from.OS
			case 6:
				s.Markers = from.Markers
			case 7:
				s.Treated, s.OffStudy, s.Evaluable, s.Started = from.Treated, from.OffStudy, from.Evaluable, from.Started
			case 8:
				s = rules.Summary{}
			default:
				s = from
			}
			board.Set(name, s)
			now[name] = s
			if rapid.Bool().Draw(t, "look") {
				board.Panels(nil, asOf)
			}
		}
		var all []rules.Summary
		for _, s := range now {
			all = append(all, s)
		}
		if diff := cmp.Diff(text(t, aggregate.Panels(p, all, nil, asOf)), text(t, board.Panels(nil, asOf))); diff != "" {
			t.Fatalf("(-from scratch +board):\n%s", diff)
		}
	})
}
