// Package unit holds the units in which each analyte is read, and the range in which a value is believed.
//
// A unit means nothing without its analyte: G/L is giga per litre of cells and gram per litre of haemoglobin, and one mEq/L is one mmol/L of
// sodium but half a mmol/L of calcium. So every analyte has a [Family] of its own, and the tables are closed: a spelling that is not in the family is
// not guessed. Conversions are exact and stay within a family. Mass and molar concentrations of one substance are two families, siblings, that are
// never converted into each other, because the limits with which they are compared were rounded apart.
//
// The tables are built once and never changed, so everything here is safe for concurrent use.
package unit

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/trialwatch/trialwatch/rules/decimal"
)

// Unit turns a value into the canonical unit of its family: (value + offset) × factor. Units of the tables can be compared with ==. The zero
// value is no unit: it turns every value into 0.
type Unit struct {
	offset, factor decimal.Number
}

// Scaled returns the unit of which one is num/den canonical units. It panics unless den > 0: callers pass constants.
func Scaled(num, den int64) Unit { return Unit{decimal.Int(0), decimal.New(num, den)} }

// Canonical converts a value, exactly. It returns [decimal.ErrRange] if the result has too many digits to be kept so.
func (u Unit) Canonical(v decimal.Number) (decimal.Number, error) {
	v, err := v.Add(u.offset)
	if err != nil {
		return v, err
	}
	return v.Mul(u.factor)
}

// Factor is how many canonical units one of this unit is. It means nothing where [Unit.Scales] is false.
func (u Unit) Factor() decimal.Number { return u.factor }

// Scales reports whether the unit has no offset, so that a multiple of a value is the same multiple in every unit. Degrees do not scale.
func (u Unit) Scales() bool { return u.offset.Sign() == 0 }

// Family is the units of one analyte.
type Family struct {
	Analyte   string // a constant of package timeline
	Canonical string // UCUM code of the canonical unit
	// Low and Top bound the values that are believed, both included, in the canonical unit. They are wide: they catch a slip of the unit or the
	// keyboard, not a sick patient. Low is never negative.
	Low, Top decimal.Number
	// Sibling is the analyte that is the same quantity as a mass where this one counts moles, and the other way round; "" if there is none.
	Sibling string
	// Counts is what tells siblings apart, "mass" or "moles"; "" where there is no sibling.
	Counts string
	// Bare says that the quantity has no dimension (pH, INR, a score), so that a missing unit says all there is to say. Everywhere else a missing
	// unit is a problem.
	Bare bool

	spellings []string
	units     map[string]Unit // by [Spelling]
}

// Find returns the unit of a spelling, and whether the family has it. The spelling may be written in any way that [Spelling] makes one. "" is a
// unit of a bare family only.
func (f *Family) Find(spelling string) (Unit, bool) {
	u, ok := f.units[Spelling(spelling)]
	return u, ok
}

// With returns the family with spellings of one site beside its own, each for one that the family knows: {"Tsd/ul": "10*3/uL"}. A spelling that the family
// or its sibling already reads is refused unless it says the same.
func (f *Family) With(local map[string]string) (*Family, error) {
	g := *f
	g.units = maps.Clone(f.units)
	g.spellings = slices.Clone(f.spellings)
	for _, spelling := range slices.Sorted(maps.Keys(local)) {
		known, ok := f.Find(local[spelling])
		if !ok {
			return nil, fmt.Errorf("%s is not measured in %q", f.Analyte, local[spelling])
		}
		if Spelling(spelling) == "" {
			return nil, errors.New("a unit without a name")
		}
		if u, taken := g.Find(spelling); taken && u != known {
			return nil, fmt.Errorf("%q is already another unit of %s than %q", spelling, f.Analyte, local[spelling])
		}
		if sibling, ok := Of(f.Sibling); ok {
			if _, taken := sibling.Find(spelling); taken {
				return nil, fmt.Errorf("%q is a unit of %s", spelling, f.Sibling)
			}
		}
		g.units[Spelling(spelling)] = known
		g.spellings = append(g.spellings, spelling)
	}
	return &g, nil
}

// Spellings returns the spellings that the family reads, in the order of the tables, the canonical one first: for documents and messages. Each
// stands for all that [Spelling] makes equal to it.
func (f *Family) Spellings() []string { return slices.Clone(f.spellings) }

// Of returns the family of an analyte. ok is false for a name that is no analyte.
func Of(analyte string) (f *Family, ok bool) {
	f, ok = byAnalyte[analyte]
	return f, ok
}

// Kind returns the family of what a protocol measures under a name of its own, by its canonical unit: a share of cells is in "%", whatever cells they
// are. ok is false for a unit in which none is measured.
func Kind(canonical string) (f *Family, ok bool) {
	f, ok = kinds[canonical]
	return f, ok
}

// Kinds returns the families of [Kind], in the order of the tables.
func Kinds() []*Family { return slices.Clone(kindList) }

// All returns every family, sorted by analyte.
func All() []*Family { return slices.Clone(sorted) }

// Spelling normalises a unit: lower case, no blanks, no {annotation} beside something else, both micro signs and "mc" as u, ^ as *, superscripts as
// digits, and the many ways to write a power of ten as 10*3. It is for comparing: what it returns need not be a unit that anybody writes.
func Spelling(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	if i := strings.IndexByte(s, '{'); i >= 0 {
		// An annotation that stands alone is kept: {INR} is a unit, and of nothing but an INR.
		if j := strings.IndexByte(s[i:], '}'); j >= 0 && j+1 < len(s) {
			s = s[:i] + s[i+j+1:]
		}
	}
	clean := true
	for i := range len(s) {
		c := s[i]
		clean = clean && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '/' || c == '[' || c == ']' || c == '%' || c == '*' || c == '.')
	}
	if !clean {
		s = unclean.Replace(s)
	}
	if strings.Contains(s, "mc") {
		s = micro.Replace(s)
	}
	s = strings.TrimPrefix(s, "x10")
	if len(s) > 1 && s[0] == 'e' && s[1] >= '0' && s[1] <= '9' { // x10e3
		s = "*" + s[1:]
	}
	if strings.HasPrefix(s, "*") {
		s = "10" + s
	}
	if rest, ok := strings.CutPrefix(s, "10e"); ok {
		s = "10*" + rest
	}
	if rest, ok := strings.CutPrefix(s, "cells/"); ok {
		s = "/" + rest
	}
	return s
}

var (
	// A superscript is an exponent after 10 and a plain digit in mm³.
	unclean = strings.NewReplacer(" ", "", "\u00a0", "", "µ", "u", "μ", "u", "^", "*", "10³", "10*3", "10⁶", "10*6", "10⁹", "10*9", "³", "3", "×", "x")
	micro   = strings.NewReplacer("mcl", "ul", "mcmol", "umol", "mcg", "ug", "mciu", "uiu", "mckat", "ukat")
)
