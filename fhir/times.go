package fhir

import (
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/rules/timeline"
)

// parseTime reads a FHIR dateTime or instant. A date is its site-local day; a year or a month is too wide to place; a time without an offset is
// refused, since guessing one could move it over a threshold.
func parseTime(element, s string, zone *time.Location) (timeline.Time, *problem) {
	switch len(s) {
	case 0:
		return timeline.Time{}, refuse(ReasonNoTime, "%s is empty", element)
	case 4, 7:
		if _, err := time.Parse("2006-01"[:len(s)], s); err == nil {
			return timeline.Time{}, refuse(ReasonNoTime, "%s names no day", element)
		}
	case 10:
		t, err := time.ParseInLocation(time.DateOnly, s, zone)
		if err != nil {
			return timeline.Time{}, refuse(ReasonInvalidTime, "%s is no date", element)
		}
		return timeline.Time{Start: t, Date: s}, inRange(element, t)
	}
	// The parser accepts a comma in seconds, FHIR does not.
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || strings.ContainsAny(s, ", ") {
		if _, err := time.Parse("2006-01-02T15:04:05", strings.SplitN(s, ".", 2)[0]); err == nil {
			return timeline.Time{}, refuse(ReasonInvalidTime, "%s has no offset", element)
		}
		return timeline.Time{}, refuse(ReasonInvalidTime, "%s is no time", element)
	}
	return timeline.Time{Start: t}, inRange(element, t)
}

func inRange(element string, t time.Time) *problem {
	if y := t.Year(); y < 1900 || y > 2200 {
		return refuse(ReasonInvalidTime, "%s: year out of range", element)
	}
	return nil
}

// period is a FHIR Period.
type period struct {
	Start string `json:"start"`
	End   string `json:"end"`
}

// span reads a dateTime or a Period: the clinical time and, of a Period, its end. Where the Period has no start its end stands for it.
func span(element, at string, p *period, zone *time.Location) (start timeline.Time, end time.Time, prob *problem) {
	if at != "" {
		start, prob = parseTime(element+"DateTime", at, zone)
		return start, end, prob
	}
	if p == nil {
		return start, end, refuse(ReasonNoTime, "no %s", element)
	}
	if p.End != "" {
		e, prob := parseTime(element+"Period.end", p.End, zone)
		if prob != nil {
			return start, end, prob
		}
		end = e.Start
		if p.Start == "" {
			return e, end, nil
		}
	}
	start, prob = parseTime(element+"Period.start", p.Start, zone)
	return start, end, prob
}
