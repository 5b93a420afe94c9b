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
	// The parser accepts a comma in seconds and an hour of one digit, FHIR does not.
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || strings.ContainsAny(s, ", ") || s[len("2026-02-20T06")] != ':' {
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

// span reads effective[x] or performed[x]: the clinical time and, of a Period, its end. Where the Period has no start its end stands for it.
// It goes before the parser, which would call a time without an offset an invalid resource and say no more.
func (h *head) span(element string, zone *time.Location) (start timeline.Time, end time.Time, prob *problem) {
	for _, name := range []string{element + "DateTime", element + "Instant"} {
		if raw := h.doc.get(name); raw != nil && raw[0] == '"' {
			start, prob = parseTime(name, str(raw), zone)
			return start, end, prob
		} else if raw != nil {
			return start, end, refuse(ReasonInvalidResource, "%s is no string", name)
		}
	}
	var p *period
	if raw := h.doc.get(element + "Period"); raw != nil {
		if p = new(period); !parse(raw, p) {
			return start, end, refuse(ReasonInvalidResource, "%sPeriod cannot be read", element)
		}
	}
	if p == nil {
		return start, end, refuse(ReasonNoTime, "no %s", element)
	}
	if p.End != "" {
		e, prob := parseTime(element+"Period.end", p.End, zone)
		if prob != nil {
			return start, end, prob
		}
		if end = endOf(e, zone); p.Start == "" {
			return e, end, nil
		}
	}
	if start, prob = parseTime(element+"Period.start", p.Start, zone); prob == nil && !end.IsZero() && end.Before(start.Start) {
		prob = refuse(ReasonInvalidTime, "%sPeriod ends before it starts", element)
	}
	return start, end, prob
}

// endOf is the instant at which a Period is over: FHIR counts the whole of a date-only end as part of it.
func endOf(end timeline.Time, zone *time.Location) time.Time {
	if !end.DateOnly() {
		return end.Start
	}
	local := end.Start.In(zone)
	return time.Date(local.Year(), local.Month(), local.Day()+1, 0, 0, 0, 0, zone)
}
