package ctcae

import "github.com/trialwatch/trialwatch/rules/decimal"

// Bounds is what is known of a value, in 15 significant digits: between Low and High. The zero value is a value that is not known at all.
type Bounds struct {
	Low, High         decimal.Rounded
	HasLow, HasHigh   bool // without: unbounded
	LowOpen, HighOpen bool // the bound itself is not included
}

// Point is a value that is known exactly.
func Point(v decimal.Rounded) Bounds { return Bounds{Low: v, High: v, HasLow: true, HasHigh: true} }

// Rounded returns the interval in 15 significant digits.
func (i Interval) Rounded() Bounds {
	b := Bounds{LowOpen: i.LowOpen, HighOpen: i.HighOpen}
	if i.Low != nil {
		b.Low, b.HasLow = i.Low.Round(), true
	}
	if i.High != nil {
		if b.HighOpen || i.High != i.Low {
			b.High, b.HasHigh = i.High.Round(), true
		} else {
			b.High, b.HasHigh = b.Low, true
		}
	}
	return b
}

// Below answers whether the value is < limit.
func (b Bounds) Below(limit decimal.Rounded) Answer { return b.below(limit) }

// Above answers whether the value is > limit.
func (b Bounds) Above(limit decimal.Rounded) Answer { return b.above(limit) }

// AtLeast answers whether the value is >= limit.
func (b Bounds) AtLeast(limit decimal.Rounded) Answer { return not(b.below(limit)) }

// AtMost answers whether the value is <= limit.
func (b Bounds) AtMost(limit decimal.Rounded) Answer { return not(b.above(limit)) }

func (b *Bounds) below(limit decimal.Rounded) Answer {
	if b.HasHigh {
		if c := b.High.Cmp(limit); c < 0 || c == 0 && b.HighOpen {
			return Yes
		}
	}
	if b.HasLow && b.Low.Cmp(limit) >= 0 {
		return No
	}
	return Undecided
}

func (b *Bounds) above(limit decimal.Rounded) Answer {
	if b.HasLow {
		if c := b.Low.Cmp(limit); c > 0 || c == 0 && b.LowOpen {
			return Yes
		}
	}
	if b.HasHigh && b.High.Cmp(limit) <= 0 {
		return No
	}
	return Undecided
}

// Operand is a number that may not be known. The zero value is not known.
type Operand struct {
	Number decimal.Rounded
	Known  bool
}

// Known is an operand that is.
func Known(n decimal.Rounded) Operand { return Operand{n, true} }

// Flag says how a baseline lies to its own limits of normal.
type Flag uint8

// Flags. FlagUnknown counts as normal, as the absence of a flag does in the reference implementation.
const (
	FlagUnknown Flag = iota
	FlagNormal
	FlagHigh
	FlagLow
)

// Assumed is a set of assumptions of a criterion: see [Criterion.Assumption].
type Assumed uint8

// Input is one measurement and what it is compared with, all in the canonical unit of the analyte.
type Input struct {
	Value     Bounds
	LLN, ULN  Operand // limits of normal
	Baseline  Operand
	Flag      Flag    // of the baseline
	Change    Operand // from baseline, percent
	Threshold Operand // the protocol's, where the CTCAE name none
	// AtBaseline marks a sample that no baseline precedes: what compares with a baseline does not count, so that an abnormal baseline sample
	// is graded by its limits of normal and never against itself.
	AtBaseline bool
	// Holds and Fails are the assumptions that are known to hold and known not to; of the others the grade depends.
	Holds, Fails Assumed
}

func (in *Input) operand(o operands) *Operand {
	switch o {
	case lln:
		return &in.LLN
	case uln:
		return &in.ULN
	case baseline:
		return &in.Baseline
	}
	return &in.Threshold
}

func (in *Input) has(o operands) bool {
	return (o&lln == 0 || in.LLN.Known) && (o&uln == 0 || in.ULN.Known) && (o&baseline == 0 || in.Baseline.Known) &&
		(o&change == 0 || in.Change.Known) && (o&threshold == 0 || in.Threshold.Known)
}

// Reason is why a measurement has no grade.
type Reason uint8

// Reasons. The zero value is none: there is a grade.
const (
	NoValue Reason = iota + 1
	NegativeValue
	NoLLN
	NoULN
	NoBaseline
	NoChange
	NoThreshold
	RangeTurned
	FlagWithout
	ByComparator
	NotThisTerm
)

var reasons = [...]string{
	NoValue:       "no value",
	NegativeValue: "a negative value",
	NoLLN:         "no lower limit of normal",
	NoULN:         "no upper limit of normal",
	NoBaseline:    "no baseline value",
	NoChange:      "no change from baseline",
	NoThreshold:   "no threshold in the protocol",
	RangeTurned:   "the lower limit of normal is above the upper one",
	FlagWithout:   "the baseline is flagged abnormal and has no value",
	ByComparator:  "the comparator leaves more than one grade",
	NotThisTerm:   "the value belongs to another term",
}

// String says it in words, "" for none.
func (r Reason) String() string { return reasons[r] }

// Grading is what a measurement says of a grade. Ungradable is not grade 0.
type Grading struct {
	// Min is the least grade that the data allow and Max the worst. They differ where a comparator leaves several, or where a grade depends on
	// what the data do not tell.
	Min, Max int8
	// Worst is the worst grade that is met under every assumption of the criterion, the grade of a table that assumes the worst case. It is
	// below Max only where a comparator leaves several.
	Worst      int8
	Ungradable bool
	Why        Reason
	Step       *Step // that gave Worst, nil for grade 0
}

// Certain reports whether the grade is one number.
func (g Grading) Certain() bool { return !g.Ungradable && g.Min == g.Max }

// Assumes is what Worst assumes beyond the data, "" for nothing.
func (l *Limits) Assumes(g Grading) string {
	if g.Step == nil || g.Step.assumes < 0 || g.Min == g.Worst {
		return ""
	}
	return l.of.Assumptions[g.Step.assumes]
}

// Grade grades a measurement. The worst grade whose condition is met counts; what is unknown is never met. It is 0 only where every condition could
// be judged, otherwise there is no grade. It does not allocate.
func (l *Limits) Grade(in *Input) Grading {
	c := l.of
	if !in.Value.HasLow && !in.Value.HasHigh {
		return without(NoValue)
	}
	if in.Value.HasHigh && in.Value.High.Sign() < 0 {
		return without(NegativeValue)
	}
	if in.LLN.Known && in.ULN.Known && in.LLN.Number.Cmp(in.ULN.Number) > 0 {
		return without(RangeTurned)
	}
	optional := c.optional
	if in.AtBaseline {
		optional |= baseline | change
	}
	if need := c.needs &^ optional; !in.has(need) {
		for o := lln; o <= threshold; o <<= 1 {
			if need&o != 0 && !in.has(o) {
				return without(o.missing())
			}
		}
	}
	if l.Ungradable != nil {
		if a, _ := l.Ungradable.holds(in); a != No {
			return without(NotThisTerm)
		}
	}
	steps, by := l.pick(in)
	flagged := by == ifHigh || by == ifLow
	g := Grading{Min: -1, Max: -1, Worst: -1}
	var unknown operands
	for i := range steps {
		s := &steps[i]
		assumed := s.assumes >= 0
		if assumed {
			bit := Assumed(1) << s.assumes
			if in.Fails&bit != 0 {
				continue
			}
			assumed = in.Holds&bit == 0
		}
		answer, missing := s.holds(in)
		if missing != 0 {
			if flagged && missing&baseline != 0 {
				return without(FlagWithout) // a milder grade that is met would hide a worse one
			}
			if missing&^optional != 0 {
				unknown |= missing &^ optional
			}
			continue
		}
		if answer == No {
			continue
		}
		if g.Max < 0 {
			g.Max = int8(s.Grade)
		}
		if answer == Yes {
			if g.Worst < 0 {
				g.Worst, g.Step = int8(s.Grade), s
			}
			if !assumed {
				g.Min = int8(s.Grade)
				break
			}
		}
	}
	if g.Worst < 0 && unknown != 0 && g.Max < 0 {
		return without(unknown.missing())
	}
	g.Min, g.Max, g.Worst = max(g.Min, 0), max(g.Max, 0), max(g.Worst, 0)
	if g.Worst < g.Max {
		g.Why = ByComparator
	}
	return g
}

// which says by what the baseline says a ladder of limits was picked.
type which uint8

const (
	ifNormal which = iota
	ifHigh
	ifLow
	ifAboveULN
)

// pick returns the steps that apply to a measurement.
func (l *Limits) pick(in *Input) ([]Step, which) {
	switch {
	case in.AtBaseline:
	case in.Flag == FlagHigh && l.IfHigh != nil:
		return l.IfHigh, ifHigh
	case in.Flag == FlagLow && l.IfLow != nil:
		return l.IfLow, ifLow
	case l.IfAboveULN != nil && in.Baseline.Known && in.ULN.Known && in.Baseline.Number.Cmp(in.ULN.Number) > 0:
		return l.IfAboveULN, ifAboveULN
	}
	return l.Steps, ifNormal
}

func without(r Reason) Grading { return Grading{Ungradable: true, Why: r} }
