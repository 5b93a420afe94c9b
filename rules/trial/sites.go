package trial

import (
	"cmp"
	"slices"
	"strings"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// twoSites reports a subject who is enrolled at two sites at one time: two people under one name, or one person who is counted and dosed twice. A patient
// who left the study at one site before the other enrolled him has moved, and is none.
//
// Source: ICH E6(R3), unambiguous identification of participants.
func twoSites(c *Case) {
	by := map[string][]Member{}
	for _, m := range c.Members {
		if m.Identifier != "" {
			by[m.Identifier] = append(by[m.Identifier], m)
		}
	}
	for _, members := range by {
		slices.SortFunc(members, func(a, b Member) int {
			return cmp.Or(a.In.From.Compare(b.In.From), strings.Compare(a.Site, b.Site), strings.Compare(a.Ref, b.Ref))
		})
		f := rules.Finding{Rule: "data.two-sites", Subject: members[0].Subject, NeedsReview: true}
		var both timeline.Span
		involved := make([]bool, len(members))
		for i, a := range members {
			for j, b := range members[:i] {
				overlap, ok := a.In.And(b.In)
				if a.Site == b.Site || !ok {
					continue
				}
				involved[i], involved[j] = true, true
				switch {
				case both.From.IsZero():
					both = overlap
				case overlap.To.IsZero() || !both.To.IsZero() && overlap.To.After(both.To):
					both.To = overlap.To
				}
				if overlap.From.Before(both.From) {
					both.From = overlap.From
				}
			}
		}
		var names []string
		for i, m := range members {
			if !involved[i] {
				continue
			}
			if m.Known.After(f.Detected) {
				f.Detected = m.Known
			}
			f.Evidence = append(f.Evidence, rules.Evidence{Ref: m.Ref, Version: m.Version, Role: "enrolment", At: m.In.From, Value: "site " + m.Site})
			names = append(names, m.Site)
		}
		if len(names) == 0 {
			continue
		}
		f.Onset = both.From
		if !both.To.IsZero() && !c.Now.Before(both.To) {
			f.End = &both.To
		}
		slices.Sort(names)
		f.Message = "Enrolled at one time at the sites " + strings.Join(slices.Compact(names), " and ") + ": two people under one name, or one who is counted twice. Review."
		c.report(f)
	}
}
