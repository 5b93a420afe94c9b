// Package ctcae grades measurements by the Common Terminology Criteria for Adverse Events of the US National Cancer Institute, versions
// 4.03, 5.0 and 6.0. The criteria are data (criteria.go): one record a term and version, with its source, that a clinician can check without
// reading code. A version is pinned by the protocol, per trial: the same value has different grades in different versions.
//
// What cannot be graded is ungradable, which is not grade 0: a count of 1.6 without a lower limit of normal may be normal or grade 1.
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

// Grading is what a measurement says of a grade: Min..Max, equal where it is certain. Ungradable is not grade 0.
type Grading struct {
	Min, Max   int
	Ungradable bool
}

// Certain reports whether the grade is one number.
func (g Grading) Certain() bool { return !g.Ungradable && g.Min == g.Max }

// Grade grades a value by a criterion. lln and uln are the limits of normal in the criterion's unit, nil where they are not known.
// The worst grade whose limit the value crosses counts. A comparator gives a range of grades.
func (c Criterion) Grade(value Interval, lln, uln *decimal.Number) Grading {
	lo, hi := -1, -1 // the least grade still possible so far, the worst possible
	for _, s := range c.Steps {
		limit := s.Limit
		switch s.Times {
		case "LLN":
			limit = lln
		case "ULN":
			limit = uln
		}
		if limit == nil {
			// A worse grade may already be certain; what lies beyond this step cannot be told.
			if hi >= 0 {
				return Grading{Min: 0, Max: hi}
			}
			return Grading{Ungradable: true}
		}
		answer := crosses(value, s, *limit)
		if answer != No && hi < 0 {
			hi = s.Grade
		}
		if answer == Yes {
			lo = s.Grade
			break
		}
	}
	if lo < 0 {
		lo = 0
	}
	if hi < 0 {
		hi = 0
	}
	return Grading{Min: lo, Max: hi}
}

func crosses(value Interval, s Step, limit decimal.Number) Answer {
	switch s.Comparator {
	case "<":
		return value.Below(limit)
	case ">":
		return value.Above(limit)
	case ">=":
		return value.AtLeast(limit)
	}
	panic("ctcae: unknown comparator " + s.Comparator)
}
