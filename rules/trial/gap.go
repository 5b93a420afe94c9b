package trial

import (
	"fmt"

	"github.com/trialwatch/trialwatch/rules"
)

// gaps reports numbers that a source has passed over: messages that were sent and never came, of whomever they were. The finding goes when they come.
//
// Source: design; nothing may be lost in silence.
func gaps(c *Case) {
	for _, g := range c.Gaps {
		n := "1 message"
		if g.Last > g.First {
			n = fmt.Sprintf("%d messages", g.Last-g.First+1)
		}
		c.report(rules.Finding{
			Rule: "data.gap", Site: g.Site, Key: fmt.Sprintf("%s:%s:%d", g.Site, g.Source, g.First), Onset: g.At, Detected: g.Told(),
			Evidence: []rules.Evidence{{Role: "next number", At: g.At, Value: fmt.Sprint(g.Last + 1)}},
			Message:  fmt.Sprintf("Site %s: %s of source %s never came, numbers %d to %d: what was in them is not known. Send them again. Review.", g.Site, n, g.Source, g.First, g.Last),
		})
	}
}
