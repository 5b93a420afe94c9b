package rules

import (
	"fmt"
	"time"

	"github.com/trialwatch/trialwatch/rules/timeline"
)

// FeedStale is the rule of feeds that have fallen silent.
const FeedStale = "data.feed-stale"

// silence is a time in which nothing came about a patient who was in hospital on a running course when it became too long.
type silence struct {
	timeline.Span           // from the last receipt to the next, without an end while it lasts
	stale         time.Time // when it became too long
}

// feedStale reports a patient in hospital on a running course of whom nothing comes while the site goes on sending. A site that falls silent as a whole
// speaks for all of its patients at once, by a finding of its own: so the site must have gone on for half of the time without a word of this one, and after a silence of its own it has as long to tell of everybody.
//
// Source: design default; "no news" must not be read as "no dose was missed".
func feedStale(c *Case) {
	c.listens = recall(c, "feed", "", c.reportSilences)
}

// reportSilences reports them and says whether the answer can change when the site sends something about anybody.
func (c *Case) reportSilences() (listens bool) {
	for _, s := range c.quiet() {
		opens := s.stale
		if site := c.Timeline.Site(); site != nil {
			due, spoke := site.Steady(s.From, c.Protocol.FeedStaleAfter.D()/2)
			if opens = later(opens, spoke); spoke.IsZero() || !s.To.IsZero() && !opens.Before(s.To) {
				c.wake(due)
				listens = listens || !due.After(c.Now)
				continue
			}
		}
		f := Finding{
			Rule: FeedStale, Onset: s.From, Detected: opens, Evidence: []Evidence{{Role: "last receipt", At: s.From}},
			Message: fmt.Sprintf("In hospital on a running course, and nothing has come about this patient since %s, while the site went on sending. What seems missed may have been given. Review.", c.minute(s.From)),
		}
		if !s.To.IsZero() {
			f.Message = fmt.Sprintf("In hospital on a running course, and nothing came about this patient from %s to %s, while the site went on sending.", c.minute(s.From), c.minute(s.To))
			c.endsAt(&f, s.To)
		}
		c.report(f)
	}
	return listens
}

func (c *Case) minute(t time.Time) string { return c.local(t).Format("2006-01-02 15:04") }

// quiet are the silences of the patient's feed.
func (c *Case) quiet() []silence { return c.silences.get(c, c.findSilences) }

func (c *Case) findSilences() (all []silence) {
	watched := c.watched()
	if len(watched) == 0 {
		return nil
	}
	at := func(t time.Time) bool {
		for _, w := range watched {
			if w.Contains(t) {
				return true
			}
		}
		return false
	}
	heard, allowed := c.Timeline.Heard(), c.Protocol.FeedStaleAfter.D()
	for _, s := range heard.Silences(allowed, c.Now) {
		if stale := s.From.Add(allowed); at(stale) {
			all = append(all, silence{s, stale})
		}
	}
	if stale := heard.Last().Add(allowed); at(stale) {
		c.wake(stale)
	}
	return all
}

// underSilence softens what is reported for want of a record that was expected between two instants, if the feed was silent then: the record may have been
// made and not sent.
func (c *Case) underSilence(f *Finding, from, to time.Time) {
	for _, s := range c.quiet() {
		if !to.After(s.From) || !s.To.IsZero() && !from.Before(s.To) {
			continue
		}
		f.Softened, f.NeedsReview = true, true
		if s.To.IsZero() {
			f.Message += fmt.Sprintf(" The feed is stale: nothing has come about the patient since %s.", c.minute(s.From))
		} else {
			f.Message += fmt.Sprintf(" The feed was stale: nothing came about the patient from %s to %s.", c.minute(s.From), c.minute(s.To))
		}
		return
	}
}

// watched is when the patient was in hospital while a course ran in which a dose a day or more is expected: from the first record of a dose to the end of the
// course. The spans may overlap.
func (c *Case) watched() []timeline.Span {
	var spans []timeline.Span
	stays := c.stays()
	if len(stays) == 0 {
		return nil
	}
	courses := c.walk().courses
	for i := range courses {
		k := &courses[i]
		if k.end.IsZero() || len(k.records) == 0 || k.regimen.Schedule != "interval" && k.regimen.Schedule != "daily" {
			continue
		}
		begin := later(k.records[0].At.Start, c.Enrolment.Start.Start)
		for j := range stays {
			s := timeline.Span{From: later(begin, stays[j].start.Start), To: k.end}
			if out := stays[j].out(); !out.IsZero() && out.Before(s.To) {
				s.To = out
			}
			if s.From.Before(s.To) {
				spans = append(spans, s)
			}
		}
	}
	return spans
}
