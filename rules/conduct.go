package rules

import (
	"fmt"
	"slices"
	"time"

	"github.com/trialwatch/trialwatch/rules/timeline"
)

// preconditions judges how long before the infusion of day 0 another treatment ended.
//
// Source: the protocol's preconditions, each with its citation.
func preconditions(c *Case) {
	if c.Day0.IsZero() {
		return
	}
	for i := range c.Protocol.Intervals {
		n := &c.Protocol.Intervals[i]
		if !n.InForce.At(c.local(c.Day0)) {
			continue
		}
		var last *timeline.Fact
		var ended time.Time
		for _, f := range c.Timeline.Doses() {
			if f.Dose.Drug == n.After && f.Dose.Problem == nil && f.Dose.Given() && c.usable(f) && !f.At.DateOnly() && f.At.Start.Before(c.Day0) {
				if end := later(f.At.Start, f.End); !end.Before(ended) {
					last, ended = f, end
				}
			}
		}
		if last == nil {
			continue // nothing says when it was: no finding
		}
		gap := c.Day0.Sub(ended)
		why := ""
		switch {
		case gap <= n.MoreThan.D():
			why = "more than " + span(n.MoreThan.D())
		case n.AtMost > 0 && gap > n.AtMost.D():
			why = "at most " + span(n.AtMost.D())
		default:
			continue
		}
		c.report(Finding{
			Rule: "dev.til-precondition", Key: n.ID, Onset: c.Day0, Detected: later(last.KnownAt(), c.Day0Fact.KnownAt()), Importance: Important,
			NeedsReview: c.Timeline.Doubtful(last.Ref) || c.Timeline.Doubtful(c.Day0Fact.Ref),
			Evidence:    []Evidence{factEvidence(last, n.After, last.Dose.Status), factEvidence(c.Day0Fact, n.Before, "start")},
			Message:     fmt.Sprintf("%s: %s, planned %s. Review.", n.Title, span(gap), why),
		})
	}
}

// prohibited reports co-medication that the trial forbids, but for the routes and reasons that it allows.
//
// Source: the protocol's prohibited co-medication, each with its citation.
func prohibited(c *Case) {
	for i := range c.Protocol.Prohibited {
		n := &c.Protocol.Prohibited[i]
		for _, f := range c.Timeline.Doses() {
			if !slices.Contains(n.Drugs, f.Dose.Drug) || f.Dose.Problem != nil || !f.Dose.Given() || !c.usable(f) || !n.InForce.At(c.local(f.At.Start)) || !c.OffStudy.IsZero() && f.At.Start.After(c.OffStudy) {
				continue
			}
			day, ok := c.recordDay(f)
			if !ok || day < n.FromDay || f.Dose.Route != "" && slices.Contains(n.Routes, f.Dose.Route) ||
				slices.ContainsFunc(f.Dose.For, func(why string) bool { return slices.Contains(n.For, why) }) {
				continue
			}
			value := ""
			if f.Dose.Amount != nil {
				value = " " + f.Dose.Amount.String()
			}
			c.report(Finding{
				Rule: "dev.conmed-prohibited", Key: f.Ref.String(), Onset: f.At.Start, Detected: later(f.KnownAt(), c.Day0Fact.KnownAt()), Importance: Important,
				NeedsReview: c.Timeline.Doubtful(f.Ref), Evidence: []Evidence{factEvidence(f, f.Dose.Drug, f.Dose.Status+value)},
				Message: fmt.Sprintf("%s%s on day %d: %s. Review.", f.Dose.Drug, value, day, n.Title),
			})
		}
	}
}
