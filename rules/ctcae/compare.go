package ctcae

// Comparison is one step of a criterion as it came out for one measurement: for people who want to see why. [Limits.Grade] does not need it.
type Comparison struct {
	Grade int
	Text  string // as written in the criterion: "> 3 x ULN if symptomatic"
	// Limits are the numbers that the conditions came to, in the canonical unit, "" where one could not be calculated; a change from baseline in percent.
	Limits []string
	Answer Answer
	// Missing is what the step would have to know, "" where nothing is missing.
	Missing Reason
	// Assumes is what the step assumes beyond the data, "" for nothing; Settled is what is known of it: Undecided while nothing is.
	Assumes string
	Settled Answer
}

// Compare returns every step that applies to a measurement, worst grade first, as it came out, and by which baseline the steps were picked: "", "high", "low" or
// "above ULN".
func (l *Limits) Compare(in *Input) (cs []Comparison, baseline string) {
	steps, by := l.pick(in)
	for i := range steps {
		s := &steps[i]
		c := Comparison{Grade: s.Grade, Text: s.Text, Settled: Yes}
		var missing operands
		c.Answer, missing = s.holds(in)
		if missing != 0 {
			c.Missing = missing.missing()
		}
		for j := range s.All {
			c.Limits = append(c.Limits, s.All[j].limitText(in))
		}
		if s.assumes >= 0 {
			c.Assumes, c.Settled = l.of.Assumptions[s.assumes], Undecided
			switch bit := Assumed(1) << s.assumes; {
			case in.Fails&bit != 0:
				c.Settled = No
			case in.Holds&bit != 0:
				c.Settled = Yes
			}
		}
		cs = append(cs, c)
	}
	return cs, map[which]string{ifHigh: "high", ifLow: "low", ifAboveULN: "above ULN"}[by]
}

// limitText is the number with which a condition compares, "" if it is not known.
func (c *Condition) limitText(in *Input) string {
	limit, missing := c.limit(in)
	if missing != 0 {
		return ""
	}
	return limit.String()
}
