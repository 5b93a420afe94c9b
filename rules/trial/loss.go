package trial

import (
	"fmt"

	"github.com/trialwatch/trialwatch/rules"
)

// losses reports stored messages that are gone. While facts are, nobody is judged: what stood would be taken back for want of evidence.
//
// Source: design; nothing may be lost in silence.
func losses(c *Case) {
	for _, l := range c.Losses {
		n := "1 message"
		if l.Messages > 1 {
			n = fmt.Sprintf("%d messages", l.Messages)
		}
		f := rules.Finding{
			Rule: "data.gap", Key: l.Token, Onset: l.From, Detected: l.From, Evidence: []rules.Evidence{{Role: "noticed", At: l.From}},
			Message: fmt.Sprintf("At least %s of the stored facts are gone: nobody is judged since %s, and what stood stands. Restore them, or accept the loss: serve --accept-loss %s.", n, c.minute(l.From), l.Token),
		}
		if !l.To.IsZero() {
			f.End = &l.To
			f.Message = fmt.Sprintf("At least %s of the stored facts were gone: nobody was judged from %s to %s.", n, c.minute(l.From), c.minute(l.To))
		}
		c.report(f)
	}
}
