package rules

// Report lets a test's own rule say something.
func (c *Case) Report(key string) {
	c.report(Finding{Rule: "test", Key: key, Onset: c.Enrolment.Start.Start})
}

// Recalled is how many parts the last answer did not have to work out.
func (m *Memo) Recalled() int { return len(m.parts) - m.worked }
