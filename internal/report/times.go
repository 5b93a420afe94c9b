package report

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

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
		table, group, row string // in which the measure stands
		arm               int
		value             float64
		event             string // "1", "0", or "" of a measure that is no time to an event
	}
	m := &maker{p: p}
	var lines []line
	for i := range patients {
		s := &patients[i]
		arm := slices.IndexFunc(p.Arms, func(a protocol.Arm) bool { return a.ID == s.Arm })
		if arm < 0 {
			continue
		}
		for _, f := range []struct {
			group string
			of    *rules.Followed
		}{{pfsName, s.PFS}, {osName, s.OS}, {dorName, s.DOR}} {
			if f.of != nil {
				event := "0"
				if f.of.Event {
					event = "1"
				}
				lines = append(lines, line{"survival", f.group, "", arm, float64(f.of.Days), event})
			}
		}
		if s.Stay != nil && !s.Stay.Ongoing {
			lines = append(lines, line{"stay", "", "Days", arm, float64(s.Stay.Days), ""})
		}
		for _, v := range s.Markers {
			lines = append(lines, line{"biomarkers", m.marker(v.Marker), m.window(v.Window), arm, v.Value, ""})
		}
	}
	slices.SortFunc(lines, func(a, b line) int {
		return cmp.Or(strings.Compare(a.table, b.table), strings.Compare(a.group, b.group), strings.Compare(a.row, b.row), a.arm-b.arm, cmp.Compare(a.value, b.value), cmp.Compare(a.event, b.event))
	})
	records := [][]string{{"table", "group", "row", "arm", "part", "value", "event"}}
	for _, l := range lines {
		records = append(records, []string{l.table, l.group, l.row, p.Arms[l.arm].ID, "", strconv.FormatFloat(l.value, 'g', -1, 64), l.event})
	}
	return writeCSV(dir, "times", records)
}
