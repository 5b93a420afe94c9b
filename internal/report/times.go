package report

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// TimesFile is the file of [Times].
const TimesFile = "times.csv"

// Times writes what a statistician needs to compute curves and rank tests again: a line a patient and measure. Lines are sorted by their values within an arm, and a
// measure does not tell which line of another is the same patient's; yet in small arms somebody who knows one value of a patient may find the patient. Whoever
// asks for it must be allowed to see individual data.
func Times(dir string, p *protocol.Protocol, patients []rules.Summary) error {
	type line struct {
		measure string
		arm     int
		value   float64
		event   string // "1", "0", or "" of a measure that is no time to an event
	}
	var lines []line
	for i := range patients {
		s := &patients[i]
		arm := slices.IndexFunc(p.Arms, func(a protocol.Arm) bool { return a.ID == s.Arm })
		if arm < 0 {
			continue
		}
		for _, f := range []struct {
			measure string
			of      *rules.Followed
		}{{"Progression-free survival", s.PFS}, {"Overall survival", s.OS}, {"Duration of response", s.DOR}} {
			if f.of != nil {
				event := "0"
				if f.of.Event {
					event = "1"
				}
				lines = append(lines, line{f.measure, arm, float64(f.of.Days), event})
			}
		}
		if s.Stay != nil && !s.Stay.Ongoing {
			lines = append(lines, line{"stay", arm, float64(s.Stay.Days), ""})
		}
		for _, v := range s.Markers {
			lines = append(lines, line{v.Marker + " " + v.Window, arm, v.Value, ""})
		}
	}
	slices.SortFunc(lines, func(a, b line) int {
		return cmp.Or(cmp.Compare(a.measure, b.measure), a.arm-b.arm, cmp.Compare(a.value, b.value), cmp.Compare(a.event, b.event))
	})
	records := [][]string{{"measure", "arm", "value", "event"}}
	for _, l := range lines {
		records = append(records, []string{l.measure, p.Arms[l.arm].ID, strconv.FormatFloat(l.value, 'g', -1, 64), l.event})
	}
	return writeCSV(dir, "times", records)
}
