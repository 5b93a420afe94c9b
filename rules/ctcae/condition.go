package ctcae

import (
	"fmt"
	"strings"

	"github.com/trialwatch/trialwatch/rules/decimal"
)

// operands is a set of what a condition can read.
type operands uint8

const (
	value operands = 1 << iota
	lln
	uln
	baseline
	change
	threshold
)

var operandOf = map[string]operands{"value": value, "LLN": lln, "ULN": uln, "baseline": baseline, "change": change, "threshold": threshold}

// missing is how the lack of an operand is told.
func (o operands) missing() Reason {
	switch {
	case o&lln != 0:
		return NoLLN
	case o&uln != 0:
		return NoULN
	case o&baseline != 0:
		return NoBaseline
	case o&change != 0:
		return NoChange
	case o&threshold != 0:
		return NoThreshold
	}
	return NoValue
}

type comparison uint8

const (
	less comparison = iota
	lessOrEqual
	greater
	greaterOrEqual
)

var comparisons = map[string]comparison{"<": less, "<=": lessOrEqual, ">": greater, ">=": greaterOrEqual}

// Condition compares the value, or its change from baseline, with a limit: a number, a limit of normal or the baseline, multiplied or shifted.
//
//	< 0.5    > 3 x ULN    >= baseline    > ULN + 40    <= baseline - 20    change <= -75 %    < threshold
type Condition struct {
	left  operands // value or change
	cmp   comparison
	right operands        // 0: plus is the limit
	times decimal.Rounded // 0: once
	plus  decimal.Rounded
}

func parseCondition(text string) (Condition, error) {
	fields := strings.Fields(strings.TrimSuffix(text, " %"))
	bad := func() (Condition, error) {
		return Condition{}, fmt.Errorf("%q is not a condition such as \"> 3 x ULN\"", text)
	}
	c := Condition{left: value}
	if len(fields) > 0 && fields[0] == "change" {
		c.left, fields = change, fields[1:]
	}
	if len(fields) < 2 || (c.left == change) != strings.HasSuffix(text, " %") {
		return bad()
	}
	cmp, ok := comparisons[fields[0]]
	if !ok {
		return bad()
	}
	c.cmp, fields = cmp, fields[1:]
	if n, err := decimal.ParseRounded(fields[0]); err == nil {
		switch {
		case len(fields) == 1:
			c.plus = n
			return c, nil
		case len(fields) == 3 && fields[1] == "x" && n.Sign() > 0:
			c.times, fields = n, fields[2:]
		default:
			return bad()
		}
	}
	if c.right, ok = operandOf[fields[0]]; !ok || c.right == value || c.right == change {
		return bad()
	}
	switch {
	case len(fields) == 1:
		return c, nil
	case len(fields) == 3 && (fields[1] == "+" || fields[1] == "-") && c.times == (decimal.Rounded{}):
		n, err := decimal.ParseRounded(fields[2])
		if err != nil || n.Sign() <= 0 {
			return bad()
		}
		if c.plus = n; fields[1] == "-" {
			c.plus = n.Neg()
		}
		return c, nil
	}
	return bad()
}

// holds answers whether a condition is met; missing is what it would have to know.
func (c *Condition) holds(in *Input) (answer Answer, missing operands) {
	left := in.Value
	if c.left == change {
		if !in.Change.Known {
			return Undecided, change
		}
		left = Point(in.Change.Number)
	}
	limit, missing := c.limit(in)
	if missing != 0 {
		return Undecided, missing
	}
	switch c.cmp {
	case less:
		return left.below(limit), 0
	case lessOrEqual:
		return not(left.above(limit)), 0
	case greater:
		return left.above(limit), 0
	}
	return not(left.below(limit)), 0
}

// holds answers for all conditions of a step together: one that is not met decides, whatever else is unknown.
func (s *Step) holds(in *Input) (answer Answer, missing operands) {
	answer = Yes
	for i := range s.All {
		a, m := s.All[i].holds(in)
		switch {
		case m != 0:
			missing |= m
		case a == No:
			return No, 0
		case a == Undecided:
			answer = Undecided
		}
	}
	if missing != 0 {
		return Undecided, missing
	}
	return answer, 0
}

// limit is the number with which a condition compares; missing is what it would have to know.
func (c *Condition) limit(in *Input) (limit decimal.Rounded, missing operands) {
	limit = c.plus
	if c.right != 0 {
		o := in.operand(c.right)
		if !o.Known {
			return limit, c.right
		}
		limit = o.Number
		if c.times != (decimal.Rounded{}) {
			limit = limit.Mul(c.times)
		}
		if c.plus != (decimal.Rounded{}) {
			limit = limit.Add(c.plus)
		}
	}
	return limit, 0
}
