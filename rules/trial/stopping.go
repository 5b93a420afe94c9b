package trial

import (
	"fmt"
	"math"
	"strconv"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/aggregate"
)

// stoppingBoundaries reports every time in which a stopping boundary was met, of an arm or of the trial. It ends when so many patients without toxicity have come
// into the count that it is met no more.
//
// Source: Thall, Simon and Estey, Stat Med 1995;14:357, with the protocol's numbers.
func stoppingBoundaries(c *Case) {
	if len(c.Protocol.Stopping) == 0 {
		return
	}
	patients := make([]*rules.Summary, len(c.Members))
	for i := range c.Members {
		patients[i] = &c.Members[i].Summary
	}
	for _, s := range aggregate.Stops(c.Protocol, patients) {
		key, where := s.Boundary, "the trial"
		if s.Arm != "" {
			key, where = s.Boundary+"."+s.Arm, s.Arm
		}
		f := rules.Finding{
			Rule: rules.StoppingBoundary, Arm: s.Arm, Key: key, Onset: s.Onset, Detected: s.Known, NeedsReview: true,
			Evidence: []rules.Evidence{
				{Role: "patients", At: s.Onset, Value: fmt.Sprintf("%d of %d", s.Patients, s.Of)},
				{Role: "posterior", At: s.Onset, Value: strconv.FormatFloat(s.Posterior, 'f', 3, 64)},
			},
			Message: fmt.Sprintf("Stopping boundary met in %s: %s in %d of %d patients. The probability that its rate is above %s %% is %.3f, more than %g; the boundary is %d of %d. Pause and review.",
				where, s.Title, s.Patients, s.Of, strconv.FormatFloat(math.Round(s.Limit*1e4)/100, 'f', -1, 64), s.Posterior, s.Cut, *s.Stop, s.Of),
		}
		if !s.End.IsZero() {
			f.End = &s.End
			f.Message = "Met no more, as more patients count. Before: " + f.Message
		}
		c.report(f)
	}
}
