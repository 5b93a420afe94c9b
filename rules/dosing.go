package rules

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// This file compares what went into a patient with what the regimen says: amount, route and arm. Amounts are compared in 15 significant digits.

// amount is a dose in the base unit of a regimen: "[iU]", "mg" or "mL".
type amount struct {
	value decimal.Rounded
	unit  string
}

// dosingWeight is the weight by which doses are calculated, in kg: the last at or before the first given dose of the first of the protocol's drugs that
// was given. It is fixed for the course. nil: there is none.
func (c *Case) dosingWeight() *timeline.Point {
	for _, drug := range c.Protocol.Dosing.Weight {
		first := c.firstGiven(drug)
		if first.IsZero() {
			continue
		}
		var last *timeline.Point
		for _, p := range c.results(timeline.Weight, false) {
			if p.Value.Comparator == "" && !p.Fact.At.Start.After(first) {
				last = &p
			}
		}
		if last != nil {
			return last
		}
	}
	return nil
}

// dose judges the amounts and routes of the given doses of one patient.
type dose struct {
	c         *Case
	weight    *timeline.Point
	surface   *surface
	unweighed *timeline.Fact // the first dose that needed a weight and had none
}

// per is what a unit is divided by: "", "kg" or "m2", and the unit without it.
func per(unit string) (base, by string) {
	base, by, _ = strings.Cut(unit, "/")
	return base, by
}

// multiple is what a dose per kg or per m2 is multiplied by; ok is false where it is not known.
func (d *dose) multiple(by string) (m decimal.Rounded, text string, ok bool) {
	switch by {
	case "":
		return decimal.MustRound("1"), "", true
	case "kg":
		if d.weight == nil {
			return m, "", false
		}
		return d.weight.Value.Value.Round(), " × " + d.weight.Value.String(), true
	}
	if d.surface == nil {
		return m, "", false
	}
	return d.surface.m2, " × " + d.surface.text, true
}

// expected is the dose of a regimen for the patient, and how it is calculated.
func (d *dose) expected(r *protocol.Regimen, at time.Time) (a amount, how string, ok bool) {
	base, by := per(r.Dose.Unit)
	m, text, ok := d.multiple(by)
	if !ok {
		return a, "", false
	}
	planned, why, _ := d.planned(r, at)
	a = amount{planned.Mul(m), base}
	if text != "" {
		how = fmt.Sprintf(" (%s %s%s%s)", planned, r.Dose.Unit, text, why)
	}
	return a, how, true
}

// given is the amount of a record in a base unit; ok is false where it is not known or does not convert.
func (d *dose) given(f *timeline.Fact, base string) (a amount, ok bool) {
	if f.Dose.Amount == nil {
		return a, false
	}
	unit, by := per(f.Dose.Dimension)
	m, _, ok := d.multiple(by)
	if !ok {
		return a, false
	}
	v := f.Dose.Amount.Value.Round().Mul(m)
	// The strength of the product that was given goes before the protocol's.
	if s := f.Dose.Strength; s != nil && unit == s.PerDimension && unit != base {
		in, err := v.Mul(s.Amount.Value.Round()).Quo(s.Per.Value.Round())
		if err != nil {
			return a, false
		}
		v, unit = in, s.Dimension
	}
	if unit == base {
		return amount{v, base}, true
	}
	for i := range d.c.Protocol.Dosing.Strengths {
		s := &d.c.Protocol.Dosing.Strengths[i]
		if s.Drug != f.Dose.Drug {
			continue
		}
		from, to := s.Of, s.Is
		if from.Unit != unit {
			from, to = to, from
		}
		if from.Unit != unit || to.Unit != base {
			continue
		}
		one, err := v.Quo(from.Value.Round())
		return amount{one.Mul(to.Value.Round()), base}, err == nil
	}
	return a, false
}

// cumulate adds up what was given of a regimen.
func (d *dose) cumulate(k *course) {
	if k.regimen.Dose == nil {
		return
	}
	base, _ := per(k.regimen.Dose.Unit)
	var sum decimal.Rounded
	for _, f := range k.records {
		if !f.Dose.Given() {
			continue
		}
		if a, ok := d.given(f, base); ok {
			sum = sum.Add(a.value)
		} else {
			k.unmeasured++
		}
	}
	k.amount = sum.Float()
	if d.weight == nil {
		return
	}
	if kg, err := sum.Quo(d.weight.Value.Value.Round()); err == nil {
		k.perKg = kg.Float()
	}
}

// comparison is how a given dose lies to the expected one.
type comparison int

const (
	unknownAmount comparison = iota
	asPlanned
	tooMuch
	tooLittle
	unitSlip
)

// compare compares a record with a regimen. A dose that is recorded per kg is compared with a regimen per kg without a weight.
func (d *dose) compare(f *timeline.Fact, r *protocol.Regimen) (is comparison, text string) {
	if r.Dose == nil || f.Dose.Amount == nil {
		return unknownAmount, ""
	}
	var given, expected decimal.Rounded
	var how, unit string
	if f.Dose.Dimension == r.Dose.Unit {
		given, unit = f.Dose.Amount.Value.Round(), r.Dose.Unit
		expected, how, _ = d.planned(r, f.At.Start)
		if how != "" {
			how = " (" + strings.TrimPrefix(how, ", ") + ")"
		}
	} else {
		e, calculated, ok := d.expected(r, f.At.Start)
		if !ok {
			return unknownAmount, ""
		}
		g, ok := d.given(f, e.unit)
		if !ok {
			return unknownAmount, ""
		}
		given, expected, how, unit = g.value, e.value, calculated, e.unit
	}
	hundred := decimal.MustRound("100")
	tolerance := d.c.Protocol.Dosing.Tolerance.Round()
	most, least := expected.Mul(hundred.Add(tolerance)), expected.Mul(hundred.Add(tolerance.Neg()))
	percent := given.Mul(hundred)
	slip := d.c.Protocol.Dosing.UnitSlip.Round()
	amount := f.Dose.Amount.String()
	if s := f.Dose.Strength; s != nil && s.PerDimension == f.Dose.Dimension {
		amount += " of " + s.String()
	}
	text = fmt.Sprintf("%s given, %s expected%s", amount, show(expected, unit), how)
	switch {
	case expected.Sign() <= 0:
		return unknownAmount, ""
	case given.Sign() > 0 && (given.Cmp(expected.Mul(slip)) >= 0 || given.Mul(slip).Cmp(expected) <= 0):
		return unitSlip, text + ": unit suspect"
	case percent.Cmp(most) > 0:
		return tooMuch, text + ": " + difference(given, expected) + " % over"
	case percent.Cmp(least) < 0:
		return tooLittle, text + ": " + difference(given, expected) + " % under"
	}
	return asPlanned, text
}

// show writes an amount as people say it, in six digits; what is compared is not rounded.
func show(v decimal.Rounded, unit string) string {
	n := v.Float()
	if million := "[iU]"; n >= 1e6 && strings.HasPrefix(unit, million) {
		n, unit = n/1e6, "MIU"+strings.TrimPrefix(unit, million)
	}
	return strconv.FormatFloat(n, 'g', 6, 64) + " " + unit
}

// difference is how far a lies from b, in percent of b with one decimal.
func difference(a, b decimal.Rounded) string {
	return strconv.FormatFloat(math.Abs(a.Float()-b.Float())/b.Float()*100, 'f', 1, 64)
}

// belongs reports whether a given dose is of another arm's regimen and not of this arm's: by its route and its amount, each as far as it is known. A drug that no
// regimen of this arm names is of the other arm.
func (d *dose) belongs(f *timeline.Fact) (other *protocol.Regimen) {
	c := d.c
	on := c.local(f.At.Start)
	var own []*protocol.Regimen
	named := false
	for _, r := range c.Protocol.RegimensOf(c.Arm) {
		if r.Drug == f.Dose.Drug {
			named = true
			if r.InForce.At(on) {
				own = append(own, r)
			}
		}
	}
	if named && len(own) == 0 {
		return nil // a drug of this arm, at a time of which the protocol says nothing
	}
	fits := func(r *protocol.Regimen) (yes, told bool) {
		yes = true
		if f.Dose.Route != "" && r.Route != "" {
			told, yes = true, f.Dose.Route == r.Route
		}
		switch is, _ := d.compare(f, r); is {
		case unknownAmount:
		case asPlanned:
			told = true
		default:
			told, yes = true, false
		}
		return yes, told
	}
	for _, r := range own {
		if yes, told := fits(r); yes || !told {
			return nil
		}
		if r.Route == "" || f.Dose.Route == "" || r.Route == f.Dose.Route {
			return nil // by the right route: a wrong dose of this arm
		}
		if is, _ := d.compare(f, r); is == asPlanned {
			return nil // the right dose by a wrong route
		}
	}
	for i := range c.Protocol.Regimens {
		r := &c.Protocol.Regimens[i]
		if r.Arm == c.Arm || r.Arm == protocol.AllArms || r.Drug != f.Dose.Drug || !r.InForce.At(on) {
			continue
		}
		if yes, told := fits(r); yes && told || len(own) == 0 {
			return r
		}
	}
	return nil
}

// wrongArm reports given doses of another arm's regimen, each alone: the dose, slot and over rules are silent for it, and the slots of the assigned arm run
// on. It returns those records.
func (c *Case) wrongArm(d *dose) map[*timeline.Fact]bool {
	if c.Arm == protocol.Unassigned {
		return nil
	}
	wrong := map[*timeline.Fact]bool{}
	for _, f := range c.Timeline.Doses() {
		if f.Dose.Problem != nil || !f.Dose.Given() || !c.usable(f) {
			continue
		}
		r := d.belongs(f)
		if r == nil {
			continue
		}
		wrong[f] = true
		route := ""
		if f.Dose.Route != "" {
			route = " " + f.Dose.Route
		}
		value := ""
		if f.Dose.Amount != nil {
			value = " " + f.Dose.Amount.String()
		}
		c.report(Finding{
			Rule: "dev.arm-wrong", Key: f.Ref.String(), Onset: f.At.Start, Detected: later(f.KnownAt(), c.armKnownAt()), Importance: Important,
			NeedsReview: c.Timeline.Doubtful(f.Ref), Evidence: []Evidence{factEvidence(f, "dose", strings.TrimSpace(f.Dose.Status+value+route))},
			Message: fmt.Sprintf("%s%s%s is the %s of %s; the patient is assigned to %s. Review.", f.Dose.Drug, value, route, r.Title, r.Arm, c.Arm),
		})
	}
	return wrong
}

// amounts judges the given doses of a course: amount, route, and what lies beyond the ceiling.
func (c *Case) amounts(d *dose, k *course) {
	r := k.regimen
	reported := map[string]bool{}
	report := func(f Finding, record *timeline.Fact) {
		// Two doses of one minute, or of one day of which only the date is known, may both be wrong: the second has a key of its own.
		if id := f.Rule + " " + f.Onset.UTC().String(); reported[id] {
			f.Key += ":" + record.Ref.String()
		} else {
			reported[id] = true
		}
		c.report(f)
	}
	for _, f := range k.extra {
		report(Finding{
			Rule: "dev.dose-over", Key: r.ID, Onset: f.At.Start, Detected: later(f.KnownAt(), k.known), Importance: Important, NeedsReview: c.Timeline.Doubtful(f.Ref),
			Evidence: []Evidence{factEvidence(f, "dose", f.Dose.Status)},
			Message:  fmt.Sprintf("%s given beyond the %d doses of the protocol. Review.", r.Title, r.Slots()),
		}, f)
	}
	// What a dose of a named day was can be judged long before day 0 says which day that was: its finding is of its own time, and stays so.
	due := map[*timeline.Fact]*slot{}
	for i := range k.slots {
		if s := &k.slots[i]; s.record != nil && r.Schedule != "days" {
			due[s.record] = s
		}
	}
	for _, f := range k.records {
		if !f.Dose.Given() {
			continue
		}
		finding := Finding{Key: r.ID, Onset: f.At.Start, Detected: f.KnownAt(), Importance: Important, NeedsReview: c.Timeline.Doubtful(f.Ref)}
		name := r.Title
		if s := due[f]; s != nil {
			finding.Onset, finding.Detected = s.due, later(f.KnownAt(), s.known)
			name = fmt.Sprintf("%s dose %d of %d", r.Title, s.number, r.Slots())
		}
		if f.Dose.Route != "" && r.Route != "" && f.Dose.Route != r.Route {
			g := finding
			g.Rule = "dev.route-wrong"
			g.Evidence = []Evidence{factEvidence(f, "route", f.Dose.Route)}
			g.Message = fmt.Sprintf("%s given %s, planned %s. Review.", name, f.Dose.Route, r.Route)
			report(g, f)
		}
		if r.Dose == nil || f.Dose.Amount == nil {
			continue
		}
		is, text := d.compare(f, r)
		switch is {
		case unknownAmount:
			_, by := per(r.Dose.Unit)
			_, by2 := per(f.Dose.Dimension)
			switch lacking := func(by string) bool { return by == "kg" && d.weight == nil || by == "m2" && d.surface == nil }; {
			case lacking(by) || lacking(by2):
				if d.unweighed == nil {
					d.unweighed = f
				}
			default:
				c.inconvertible(f, r)
			}
			continue
		case asPlanned:
			continue
		case tooMuch:
			if slices.Contains(k.extra, f) {
				continue // that is said of it already
			}
			finding.Rule = "dev.dose-over"
		default:
			finding.Rule = "dev.dose-wrong"
		}
		finding.Evidence = []Evidence{factEvidence(f, "dose", f.Dose.Amount.String())}
		var rests []timeline.Point
		switch _, by := per(r.Dose.Unit); {
		case f.Dose.Dimension == r.Dose.Unit:
		case by == "kg":
			rests = append(rests, *d.weight)
		case by == "m2":
			rests = append(rests, d.surface.from...)
		}
		if _, _, from := d.planned(r, f.At.Start); from != nil {
			rests = append(rests, from...)
		}
		for _, p := range rests {
			finding.Evidence = append(finding.Evidence, evidence(p, p.Analyte))
			finding.Detected = later(finding.Detected, p.Fact.ReceivedAt)
			finding.NeedsReview = finding.NeedsReview || review(p)
		}
		finding.Message = name + ": " + text + ". Review."
		report(finding, f)
	}
}

// unweighed reports once that doses could not be compared because nothing says what the patient weighed.
func (c *Case) unweighed(d *dose) {
	if f := d.unweighed; f != nil {
		why := fmt.Sprintf("No weight at or before the first dose of %s: doses by weight cannot be compared.", join(c.Protocol.Dosing.Weight))
		if d.weight != nil {
			why = "No height: doses by body surface cannot be compared."
		}
		c.report(Finding{
			Rule: "data.ungradable", Key: "dosing-weight", Onset: f.At.Start, Detected: f.KnownAt(),
			Evidence: []Evidence{factEvidence(f, "dose", f.Dose.Amount.String())},
			Message:  why,
		})
	}
}

// surface is the body surface area by which doses are calculated.
type surface struct {
	m2    decimal.Rounded
	text  string
	from  []timeline.Point
	after time.Time // receipt of what it is calculated from
}

// bodySurface is the area by Mosteller: √(height in cm × weight in kg / 3600), of the dosing weight and the last height before the first dose by which it is
// calculated, else the first after it: a height does not change.
//
// Source: Mosteller, N Engl J Med 1987;317:1098.
func (c *Case) bodySurface(weight *timeline.Point) *surface {
	if weight == nil {
		return nil
	}
	var height *timeline.Point
	for _, p := range c.results(timeline.Height, false) {
		if p.Value.Comparator == "" && p.Value.Value.Sign() > 0 && (height == nil || !p.Fact.At.Start.After(weight.Fact.At.Start)) {
			height = &p
		}
	}
	if height == nil {
		return nil
	}
	m2 := math.Sqrt(height.Value.Value.Float() * weight.Value.Value.Float() / 3600)
	r, err := decimal.ParseRounded(strconv.FormatFloat(m2, 'g', decimal.Digits, 64))
	if err != nil {
		return nil
	}
	return &surface{m2: r, text: strconv.FormatFloat(m2, 'f', 4, 64) + " m2", from: []timeline.Point{*height, *weight}, after: later(height.Fact.ReceivedAt, weight.Fact.ReceivedAt)}
}

// clearance is the creatinine clearance in mL/min by Cockcroft and Gault, from the last creatinine before a dose, the dosing weight, age and sex; ok is false where one
// of them is not known.
//
// Source: Cockcroft and Gault, Nephron 1976;16:31. 1 mg/dL of creatinine is 88.42 umol/L.
func (c *Case) clearance(weight *timeline.Point, at time.Time) (ml float64, from []timeline.Point, ok bool) {
	var creatinine *timeline.Point
	mgdl := 0.0
	for _, a := range []struct {
		name string
		per  float64
	}{{timeline.CreatinineMass, 1}, {timeline.CreatinineMolar, 88.42}} {
		for _, p := range c.results(a.name, false) {
			if p.Value.Comparator == "" && p.Value.Value.Sign() > 0 && !p.Fact.At.Start.After(at) && (creatinine == nil || !p.Fact.At.Start.Before(creatinine.Fact.At.Start)) {
				creatinine, mgdl = &p, p.Value.Value.Float()/a.per
			}
		}
	}
	if creatinine == nil || weight == nil {
		return 0, nil, false
	}
	for _, f := range c.Timeline.Others() {
		if f.Person == nil || f.Person.Sex == "" || f.Person.Born == "" {
			continue
		}
		born, err := time.Parse(time.DateOnly, f.Person.Born)
		if err != nil {
			continue
		}
		on := c.local(at)
		age := on.Year() - born.Year()
		if on.YearDay() < time.Date(on.Year(), born.Month(), born.Day(), 0, 0, 0, 0, time.UTC).YearDay() {
			age--
		}
		ml = float64(140-age) * weight.Value.Value.Float() / (72 * mgdl)
		if f.Person.Sex == "female" {
			ml *= 0.85
		}
		return ml, []timeline.Point{*creatinine}, ml > 0
	}
	return 0, nil, false
}

// planned is the dose of a regimen per its unit at a time, adjusted to the kidneys where the regimen says so.
func (d *dose) planned(r *protocol.Regimen, at time.Time) (v decimal.Rounded, why string, from []timeline.Point) {
	v = r.Dose.Value.Round()
	if len(r.Renal) == 0 {
		return v, "", nil
	}
	ml, from, ok := d.c.clearance(d.weight, at)
	if !ok {
		return v, "", nil
	}
	for i := range r.Renal {
		if n := &r.Renal[i]; ml >= n.AtLeast.Float() && ml < n.Below.Float() {
			return n.Dose.Round(), fmt.Sprintf(", creatinine clearance %.2f mL/min", ml), from
		}
	}
	return v, "", from
}

// inconvertible reports an amount that no strength relates to the planned dose: 100 mL, say, of a product of which nobody says what it holds.
func (c *Case) inconvertible(f *timeline.Fact, r *protocol.Regimen) {
	base, _ := per(r.Dose.Unit)
	c.report(Finding{
		Rule: "data.ungradable", Key: f.Ref.String() + ":amount", Onset: f.At.Start, Detected: f.KnownAt(), NeedsReview: c.Timeline.Doubtful(f.Ref),
		Evidence: []Evidence{factEvidence(f, "dose", f.Dose.Amount.String())},
		Message:  fmt.Sprintf("%s, amount: nothing says how much %s %s is, so it is not compared. Review.", f.Dose.Drug, base, f.Dose.Amount),
	})
}

// unknownRoutes reports once a drug that doses of it were recorded with a route that is not known, where the protocol plans one: whether it was the right one cannot be
// told.
func (c *Case) unknownRoutes() {
	told := map[string]bool{}
	for _, r := range c.Protocol.RegimensOf(c.Arm) {
		if r.Route == "" || told[r.Drug] {
			continue
		}
		told[r.Drug] = true
		f := Finding{Rule: "data.ungradable", Key: r.Drug + ":route", Message: r.Title + " is recorded with a route that is not known: it is not compared. Review."}
		for _, d := range c.Timeline.Doses() {
			if d.Dose.Drug != r.Drug || !d.Dose.RouteUnknown || d.Dose.Problem != nil || !d.Dose.Given() || !c.usable(d) || c.elsewhere[d] {
				continue
			}
			f.Onset, f.Detected, f.Evidence = d.At.Start, d.KnownAt(), []Evidence{factEvidence(d, "dose", d.Dose.Status)}
			c.report(f)
			break // one speaks for all
		}
	}
}

// unreadAmounts reports doses whose amount was sent and could not be read: also of one that was stopped, of which only the amount could tell whether any was given.
func (c *Case) unreadAmounts() {
	for _, f := range c.Timeline.Doses() {
		if p := f.Dose.AmountProblem; p != nil && f.Dose.Problem == nil && (f.Dose.Given() || f.Dose.Status == "stopped") && c.usable(f) && c.inRegimen(f.Dose.Drug) {
			c.report(Finding{
				Rule: problemRule(p), Key: f.Ref.String() + ":amount", Onset: f.At.Start, Detected: f.KnownAt(), NeedsReview: c.Timeline.Doubtful(f.Ref),
				Evidence: []Evidence{factEvidence(f, "dose", f.Dose.Status)}, Message: f.Dose.Drug + ", amount: " + problemText(p) + " Review.",
			})
		}
	}
}

// inRegimen reports whether any regimen names a drug.
func (c *Case) inRegimen(drug string) bool {
	return slices.ContainsFunc(c.Protocol.Regimens, func(r protocol.Regimen) bool { return r.Drug == drug })
}
