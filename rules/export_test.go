package rules

import "github.com/trialwatch/trialwatch/rules/protocol"

// Report lets a test's own rule say something.
func (c *Case) Report(key string) {
	c.report(Finding{Rule: "test", Key: key, Onset: c.Enrolment.Start.Start})
}

// Recalled is how many parts the last answer did not have to work out.
func (m *Memo) Recalled() int { return len(m.parts) - m.worked }

// Lay is lay for doses on some days, of which the first few were given before the enrolment.
func Lay(given, days []int, window, before int) []int {
	list := make([]dosed, len(given))
	for i, day := range given {
		list[i] = dosed{day: day, before: i < before}
	}
	return lay(list, &protocol.Regimen{Days: days, WindowDays: window})
}
