// Package ctcae grades measurements by the Common Terminology Criteria for Adverse Events of the US National Cancer Institute, versions
// 4.03, 5.0 and 6.0. The criteria are data: a file a measurement under criteria/, all versions side by side, that a clinician can check
// without reading code; docs/ctcae.md tabulates them. A version is pinned by the protocol, per trial: the same value has different grades in
// different versions.
//
// [Find] or [Resolve] a criterion, take the limits of the analyte ([Criterion.Of]) and [Limits.Grade] what was measured.
//
// What cannot be graded is ungradable, which is not grade 0: a count of 1.6 without a lower limit of normal may be normal or grade 1. Where a
// grade depends on symptoms or treatment, the answer is a range.
package ctcae

import "github.com/trialwatch/trialwatch/rules/decimal"

// Version is a published version of the CTCAE.
type Version string

// The versions that this package holds.
const (
	V4 Version = "4.03"
	V5 Version = "5.0"
	V6 Version = "6.0"
)

// Known reports whether v is one of the versions held here.
func (v Version) Known() bool { return v == V4 || v == V5 || v == V6 }

// Source is the publication of a version.
func (v Version) Source() string {
	switch v {
	case V4:
		return "CTCAE v4.03 (NCI, 2010-06-14)"
	case V5:
		return "CTCAE v5.0 (NCI, 2017-11-27)"
	case V6:
		return "CTCAE v6.0 (NCI, 2025, errata of 2026-01-20)"
	}
	return "CTCAE v" + string(v)
}

// Interval is the set of values that a measurement allows. "<0.1" is everything up to and without 0.1. A nil bound is unbounded.
type Interval struct {
	Low, High         *decimal.Number
	LowOpen, HighOpen bool // the bound itself is not included
}

// Exactly is the interval of one value.
func Exactly(v decimal.Number) Interval { return Interval{Low: &v, High: &v} }

// Of is the interval of a value with a FHIR comparator ("", "<", "<=", ">=", ">").
func Of(v decimal.Number, comparator string) Interval {
	switch comparator {
	case "<":
		return Interval{High: &v, HighOpen: true}
	case "<=":
		return Interval{High: &v}
	case ">":
		return Interval{Low: &v, LowOpen: true}
	case ">=":
		return Interval{Low: &v}
	}
	return Exactly(v)
}

// Answer is the answer to a comparison with an interval.
type Answer int

// Answers. Undecided: some values of the interval satisfy the comparison and some do not.
const (
	Undecided Answer = iota
	Yes
	No
)

// String is "yes", "no" or "undecided".
func (a Answer) String() string {
	switch a {
	case Yes:
		return "yes"
	case No:
		return "no"
	}
	return "undecided"
}

// Below answers whether the value is < limit.
func (i Interval) Below(limit decimal.Number) Answer {
	if i.High != nil {
		if c := i.High.Cmp(limit); c < 0 || c == 0 && i.HighOpen {
			return Yes
		}
	}
	if i.Low != nil && i.Low.Cmp(limit) >= 0 {
		return No
	}
	return Undecided
}

// Above answers whether the value is > limit.
func (i Interval) Above(limit decimal.Number) Answer {
	if i.Low != nil {
		if c := i.Low.Cmp(limit); c > 0 || c == 0 && i.LowOpen {
			return Yes
		}
	}
	if i.High != nil && i.High.Cmp(limit) <= 0 {
		return No
	}
	return Undecided
}

// AtLeast answers whether the value is >= limit.
func (i Interval) AtLeast(limit decimal.Number) Answer { return not(i.Below(limit)) }

func not(a Answer) Answer {
	switch a {
	case Yes:
		return No
	case No:
		return Yes
	}
	return Undecided
}
