package trial

import (
	"fmt"

	"github.com/trialwatch/trialwatch/rules"
)

// silentSites reports a site that sends nothing while patients are in hospital on a running course: one finding for all of them, whose missed doses are
// then told as routine.
//
// Source: design default; the failure to avoid is fifteen patients, each with an alarm a dose.
func silentSites(c *Case) {
	for _, s := range c.Silences {
		if s.Study != c.Protocol.Study {
			continue
		}
		f := rules.Finding{
			Rule: rules.FeedStale, Site: s.Site, Key: s.Site, Onset: s.From, Detected: s.From.Add(c.Protocol.FeedStaleAfter.D()),
			Evidence: []rules.Evidence{{Role: "last receipt", At: s.From}},
			Message: fmt.Sprintf("Site %s has sent nothing since %s, with %s. What seems missed may have been given. Review.",
				s.Site, c.minute(s.From), inHospital(s.Patients)),
		}
		if !s.To.IsZero() {
			f.End = &s.To
			f.Message = fmt.Sprintf("Site %s sent nothing from %s to %s, with %s.", s.Site, c.minute(s.From), c.minute(s.To), inHospital(s.Patients))
		}
		c.report(f)
	}
}

func inHospital(n int) string {
	if n == 1 {
		return "1 patient in hospital on a running course"
	}
	return fmt.Sprintf("%d patients in hospital on a running course", n)
}
