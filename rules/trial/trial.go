// Package trial says what is true of a trial and of no single patient: a site that has fallen silent, one subject at two sites, a gap in a
// feed, a stopping boundary that is met.
//
// [Findings] is pure, as rules.Evaluate is: a function of what stands of the patients, of the feeds and of now. Its findings have the subject "-" where they
// are nobody's and the site "-" where they are of no single site, so they take the way of every other alert.
package trial

import (
	"cmp"
	"slices"
	"time"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/site"
)

// Nobody is the subject of a finding of no one patient, and the site of one of no single site.
const Nobody = "-"

// Reason is why a finding of a trial changed: something that stands of its patients or feeds did.
const Reason = "standings"

// Member is a patient of the trial.
type Member struct {
	Site string
	rules.Membership
	rules.Summary
}

// State is what there is to judge. The order of its parts does not matter.
type State struct {
	Members  []Member
	Silences []Silence // of any study
	Gaps     []Gap
	Losses   []site.Loss
}

// Add takes what there is to say of the feed of a site in.
func (s *State) Add(name string, silences []site.Silence, gaps []site.Gap) {
	for _, gap := range gaps {
		s.Gaps = append(s.Gaps, Gap{name, gap})
	}
	for _, silence := range silences {
		s.Silences = append(s.Silences, Silence{name, silence})
	}
}

// Silence is one of a site.
type Silence struct {
	Site string
	site.Silence
}

// Gap is one of a feed of a site.
type Gap struct {
	Site string
	site.Gap
}

// Rule is one family of findings.
type Rule struct {
	IDs  []string // the ids of the findings that it can report
	Eval func(*Case)
}

// All are the rules, in no particular order.
var All = []Rule{
	{[]string{rules.FeedStale}, silentSites},
	{[]string{"data.two-sites"}, twoSites},
	{[]string{"data.gap"}, gaps},
	{[]string{rules.StoppingBoundary}, stoppingBoundaries},
	{[]string{"data.gap"}, losses},
}

// Case is one trial at one instant: what a rule reads, and where it reports.
type Case struct {
	*State
	Protocol *protocol.Protocol
	Now      time.Time

	findings []rules.Finding
}

// Findings says what is true of a trial at an instant, sorted as it is printed.
func Findings(p *protocol.Protocol, s *State, now time.Time) []rules.Finding {
	c := &Case{State: s, Protocol: p, Now: now}
	for _, r := range All {
		r.Eval(c)
	}
	slices.SortFunc(c.findings, func(a, b rules.Finding) int { return a.Compare(&b) })
	return c.findings
}

// report completes a finding with what every finding of the case shares. The rule has set the rest.
func (c *Case) report(f rules.Finding) {
	f.Kind, f.Study, f.Arm, f.Protocol = "finding", c.Protocol.Study, cmp.Or(f.Arm, Nobody), c.Protocol.Pin()
	f.Site, f.Subject, f.Key = cmp.Or(f.Site, Nobody), cmp.Or(f.Subject, Nobody), cmp.Or(f.Key, Nobody)
	f.ID = rules.FindingID(f.Rule, f.Study, f.Subject, f.Key, f.Onset)
	f.Onset, f.Detected = f.Onset.In(c.Protocol.Zone), f.Detected.In(c.Protocol.Zone)
	f.Status = rules.Open
	if f.End != nil {
		end := f.End.In(c.Protocol.Zone)
		f.Status, f.End = rules.Resolved, &end
	}
	for i := range f.Evidence {
		f.Evidence[i].At = f.Evidence[i].At.In(c.Protocol.Zone)
	}
	f.Urgency, _ = rules.UrgencyOf(c.Protocol, f.Rule)
	c.findings = append(c.findings, f)
}

func (c *Case) minute(t time.Time) string { return t.In(c.Protocol.Zone).Format("2006-01-02 15:04") }
