package review

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/rules/ctcae"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/timeline"
	"github.com/trialwatch/trialwatch/rules/unit"
)

// ProtocolMarkdown writes a protocol for its author's review, in Markdown.
func ProtocolMarkdown(p *protocol.Protocol) string { return explain(p).markdown() }

// ProtocolHTML writes the same as one page of HTML that needs nothing from elsewhere and prints well.
func ProtocolHTML(p *protocol.Protocol) string { return explain(p).html() }

// The keys of a protocol in words. What is not listed here is not explained, unless the code below says it; TestEveryKeyIsExplained knows.
var (
	trialFields = []field{
		{"study", "Study", "token of findings and NATS subjects"},
		{"version", "Version of the protocol file", "stands in every aggregate"},
		{"source", "Source", ""},
		{"references", "How a ResearchSubject names the study", "any of these"},
		{"subjectSystem", "System of the subject's identifier", "that identifier names the subject"},
		{"ctcae", "CTCAE version", "pinned: the same value can have another grade in another version"},
		{"timezone", "Time zone", "of study days, midnights and dates without a time"},
		{"day0", "Day 0", "the site-local calendar day on which the first of these starts"},
		{"treatments", "Study treatments", "a patient is treated from the first that is given; baselines lie before it"},
		{"afterOffStudy", "Graded after the end of the study", "expectations stop at once"},
		{"emergentFor", "Treatment-emergent", "up to so long after the last dose of a treatment"},
		{"futureTolerance", "Clinical time after receipt", "further than this is a charting error: the fact is not used"},
		{"medicationWait", "Waiting for a Medication", "for so long an administration may wait for the Medication that says what was given, before it is reported"},
	}
	regimenFields = []field{
		{"drug", "Drug", ""},
		{"dose", "Dose", "planned"},
		{"route", "Route", "planned"},
		{"schedule", "Schedule", ""},
		{"firstWithin", "First dose", "due so long after the end of the infusion of day 0, at the latest"},
		{"every", "Interval", "elapsed time after the dose that was given, or after the due time of one that was not; a change of the clock does not matter"},
		{"doses", "Doses", "a ceiling: to stop earlier is normal"},
		{"tolerance", "In time", "before or after the due time, bounds included; beyond is early or late"},
		{"missedAfter", "Missed", "so long after the due time with no record"},
		{"minGap", "Shortest gap", "between two given doses; a shorter one is an important deviation, exactly this is not"},
		{"maxGap", "Longest gap", "so long after the last given dose the course is over"},
		{"course", "Course", "so long after the first given dose the course is over"},
		{"firstDay", "First day", "study day on which the first dose is due; days are site-local calendar days"},
		{"lastDay", "Last day", "study day; one dose a day until then"},
		{"everyDays", "Every so many days", "after the day of the dose before, or after the due day of one that was not given"},
		{"windowDays", "Window, days", "either side of the due day; a dose belongs to the cycle to which it is nearest, and is missed at the midnight that ends its window"},
		{"forDays", "For so many days", "from the first due day"},
		{"missed", "Importance of a missed dose", "in place of minor"},
		{"cite", "Source", ""},
	}
	preconditionFields = []field{
		{"before", "Treatment that waits", ""},
		{"after", "What must have ended", "the end of its last dose, else its start"},
		{"moreThan", "More than", "exactly this is too soon"},
		{"atMost", "At most", "exactly this is in time"},
		{"cite", "Source", ""},
	}
	prohibitedFields = []field{
		{"drugs", "Drugs", ""},
		{"exceptRoutes", "Routes that are exempt", "a route that the feed does not tell excuses nothing"},
		{"exceptFor", "Reasons that are exempt", "by the reason of the record; none excuses nothing"},
		{"cite", "Source", ""},
	}
	dosingFields = []field{
		{"weight", "Dosing weight", "the last at or before the first dose of the first of these that was given; fixed for the course"},
		{"tolerance", "Tolerance, percent", "exactly this is inside; more is too much or too little"},
		{"unitSlip", "Slip of the unit", "a dose so many times too large or too small is taken for one"},
		{"cite", "Source", ""},
	}
	feverFields = []field{
		{"neutrophilsBelow", "Neutropenic below", "the value itself is not neutropenic"},
		{"single", "One temperature", "is a criterion by itself"},
		{"sustained", "Sustained temperature", "at least"},
		{"sustainedFor", "Sustained for longer than", "since the first reading of a run; exactly this is not sustained"},
		{"readingGap", "Gap within a run of readings", "at most; exactly this does not break the run"},
		{"lookback", "Age of the count", "at most, before the temperature"},
		{"lookahead", "Count after the temperature", "at most so long after it"},
		{"episodeGap", "One episode", "readings at most so far apart, with no count at or above the limit between"},
		{"possibleSustainedGap", "Possible sustained fever", "two sustained readings further apart than a run allows, at most this: a candidate for review"},
		{"expected", "Expected", "febrile neutropenia is urgent either way"},
		{"cite", "Source", ""},
	}
)

func explain(p *protocol.Protocol) *document {
	d := &document{title: plain(p.Title)}
	d.add(paragraph{text: fmt.Sprintf("What trialwatch reads in this protocol file (SHA-256 %s…), for its author and the investigator to check. It is generated: correct the file, not this page.",
		code(p.Hash[:min(16, len(p.Hash))])), soft: true})
	d.add(heading{2, "The trial"}, table{"facts", []string{"what", "value", "meaning"}, rows(p, trialFields)})
	for _, n := range p.Notes {
		d.add(paragraph{text: strong("Note") + fmt.Sprintf(" (line %d): %s.", n.Line, plain(n.Message))})
	}
	arms(d, p)
	schedule(d, p)
	dosing(d, p)
	notGiven(d, p)
	holds(d, p)
	preconditions(d, p)
	prohibited(d, p)
	toxicity(d, p)
	expectedness(d, p)
	neutropenia(d, p)
	normal(d, p)
	codes(d, p)
	ruleTable(d, p)
	granted(d)
	return d
}

func arms(d *document, p *protocol.Protocol) {
	t := table{"arms", []string{"arm", "title", "also called", "regimens"}, nil}
	for _, a := range p.Arms {
		var also, regimens []string
		for _, n := range a.Aliases {
			also = append(also, plain(n))
		}
		for _, r := range p.RegimensOf(a.ID) {
			regimens = append(regimens, plain(r.Title))
		}
		t.rows = append(t.rows, []string{code(a.ID), plain(a.Title), strings.Join(also, " · "), or(strings.Join(regimens, ", "), "none")})
	}
	d.add(heading{2, "Arms"}, t, paragraph{soft: true, text: "A feed may use the id, the title or any other name of an arm, case and spaces do not matter. A patient whose arm is none of these is " +
		code(protocol.Unassigned) + ": toxicity and data rules run, dose rules do not."})
}

// maxCalendar is how many study days a calendar shows at most.
const maxCalendar = 32

func schedule(d *document, p *protocol.Protocol) {
	d.add(heading{2, "Schedule"})
	if len(p.Regimens) == 0 {
		d.add(paragraph{text: "No regimen: no dose is expected."})
		return
	}
	if c, ok := calendarOf(p); ok {
		d.add(c, paragraph{soft: true, text: "A number is how many doses a study day has; “≤” marks days on which doses can fall, depending on what was given before. Day 0 is marked; cycles go on after the last column."})
	}
	for i := range p.Regimens {
		r := &p.Regimens[i]
		d.add(heading{3, fmt.Sprintf("%s · %s · %s", armTitle(p, r.Arm), plain(r.Title), code(r.Arm+"/"+r.ID))}, paragraph{text: inWords(r)})
		d.add(table{"facts", []string{"parameter", "value", "meaning"}, rows(r, regimenFields)})
		if len(r.Renal) > 0 {
			t := table{"renal", []string{"creatinine clearance, mL/min", "dose", "source"}, nil}
			for i := range r.Renal {
				x := &r.Renal[i]
				dose := number(x.Dose)
				if r.Dose != nil {
					dose += " " + plain(r.Dose.Unit)
				}
				t.rows = append(t.rows, []string{number(x.AtLeast) + " to below " + number(x.Below), dose, plain(x.Cite)})
			}
			d.add(paragraph{text: "For a reduced creatinine clearance (Cockcroft and Gault, from the last creatinine before the dose, the dosing weight, age and sex; not adjusted where one of them is not known):"}, t)
		}
		if t, more := dueTable(r); len(t.rows) > 0 {
			d.add(paragraph{text: "If every dose is given when it is due:"}, t)
			if more > 0 {
				d.add(paragraph{soft: true, text: fmt.Sprintf("… and %d more.", more)})
			}
		}
	}
}

func armTitle(p *protocol.Protocol, id string) string {
	if id == protocol.AllArms {
		return "Every arm"
	}
	for _, a := range p.Arms {
		if a.ID == id {
			return plain(a.Title)
		}
	}
	return plain(id)
}

// inWords is a regimen in a sentence or two.
func inWords(r *protocol.Regimen) string {
	what := plain(r.Title)
	if r.Dose != nil {
		what += " " + quantity(*r.Dose)
	}
	if r.Route != "" {
		what += " " + plain(r.Route)
	}
	switch r.Schedule {
	case "interval":
		return fmt.Sprintf("%s every %s, at most %s. The first is due within %s of the end of the infusion of day 0. The course ends after %s, %s after the first or %s after the last given dose, with a %s record, or with the study, whichever comes first.",
			what, span(r.Every), plural(r.Doses, "dose", "doses"), span(r.FirstWithin), plural(r.Doses, "dose", "doses"), span(r.Course), span(r.MaxGap), code("stopped"))
	case "daily":
		return fmt.Sprintf("%s once a site-local calendar day, study days %s to %s (%s). A day without a record is missed at the midnight that ends it, and is not made up. A %s record or the end of the study ends it earlier.",
			what, dayName(r.FirstDay), dayName(r.LastDay), plural(r.Slots(), "dose", "doses"), code("stopped"))
	case "cycle":
		return fmt.Sprintf("%s on study day %s, then every %s, within %s either side, for %s (%s at most). A cycle is missed at the midnight that ends its window.",
			what, dayName(r.FirstDay), plural(r.EveryDays, "day", "days"), plural(r.WindowDays, "day", "days"), plural(r.ForDays, "day", "days"), plural(r.Slots(), "dose", "doses"))
	case "given":
		return what + ". Nothing is expected on any day: amounts and routes of what is given are compared."
	}
	return what + "."
}

// mark is what stands on a study day of the calendar.
type mark struct{ cell, kind string }

// marksOf is the study days of a regimen up to a day, nil for a schedule that has none.
func marksOf(r *protocol.Regimen, until int) map[int]mark {
	const day = 24 * time.Hour
	marks := map[int]mark{}
	switch r.Schedule {
	case "daily":
		for d := r.FirstDay; d <= min(r.LastDay, until); d++ {
			marks[d] = mark{"1", "due"}
		}
	case "interval":
		if r.Every <= 0 {
			return nil
		}
		// The infusion may end at the last minute of day 0.
		span := r.FirstWithin.D() + min(r.Course.D(), time.Duration(r.Doses-1)*r.Every.D())
		n := int((day + r.Every.D() - 1) / r.Every.D())
		for d := range min(int((span+day-1)/day), until) + 1 {
			marks[d] = mark{fmt.Sprintf("≤%d", min(n, r.Doses)), "may"}
		}
	case "cycle":
		for due := r.FirstDay; r.EveryDays > 0 && due <= min(r.FirstDay+r.ForDays, until); due += r.EveryDays {
			for d := due - r.WindowDays; d <= min(due+r.WindowDays, until); d++ {
				marks[d] = mark{"≤1", "may"}
			}
			marks[due] = mark{"1", "due"}
		}
	}
	return marks
}

// calendarOf begins with the first study day of any regimen, and ends where the regimens end or after a page's width.
func calendarOf(p *protocol.Protocol) (c calendar, ok bool) {
	all := make([]map[int]mark, len(p.Regimens))
	for i := range p.Regimens {
		for d := range marksOf(&p.Regimens[i], maxCalendar) {
			c.first = min(c.first, d)
		}
	}
	last := 0
	for i := range p.Regimens {
		all[i] = marksOf(&p.Regimens[i], c.first+maxCalendar-1)
		for d := range all[i] {
			last, ok = max(last, d), true
		}
	}
	c.days = last - c.first + 1
	for i := range p.Regimens {
		if len(all[i]) == 0 {
			continue
		}
		r := &p.Regimens[i]
		row := calendarRow{name: armTitle(p, r.Arm) + ": " + plain(r.Title), cells: make([]string, c.days), kind: make([]string, c.days)}
		for d, m := range all[i] {
			row.cells[d-c.first], row.kind[d-c.first] = m.cell, m.kind
		}
		c.rows = append(c.rows, row)
	}
	return c, ok
}

// maxDue is how many doses a table shows.
const maxDue = 24

// maxCycles is how many cycles a table shows.
const maxCycles = 6

// dueTable is the doses of a regimen, of an interval in hours from the first and of cycles in study days, and how many were left out.
func dueTable(r *protocol.Regimen) (t table, more int) {
	if r.Schedule == "cycle" && r.EveryDays > 0 {
		t = table{"due", []string{"cycle", "due on day", "in time from day", "to", "missed from"}, nil}
		for n := range r.Slots() {
			if n >= maxCycles {
				return t, r.Slots() - maxCycles
			}
			due := r.FirstDay + n*r.EveryDays
			t.rows = append(t.rows, []string{fmt.Sprint(n + 1), dayName(due), dayName(due - r.WindowDays), dayName(due + r.WindowDays), "day " + dayName(due+r.WindowDays+1) + ", 00:00"})
		}
		return t, 0
	}
	if r.Schedule != "interval" || r.Every <= 0 {
		return t, 0
	}
	t = table{"due", []string{"dose", "due", "in time from", "to", "missed from"}, nil}
	for n := range r.Doses {
		due := time.Duration(n) * r.Every.D()
		switch {
		case n > 0 && due >= r.Course.D():
			return t, 0
		case n >= maxDue:
			more++
			continue
		}
		at := func(d time.Duration) string { return "+" + hours(due+d) }
		row := []string{fmt.Sprint(n + 1), at(0), at(-r.Tolerance.D()), at(r.Tolerance.D()), at(r.MissedAfter.D())}
		if n == 0 {
			row = []string{"1", "by " + span(r.FirstWithin) + " after the infusion", "the infusion", span(r.FirstWithin+r.Tolerance) + " after it", span(r.FirstWithin+r.MissedAfter) + " after it"}
		}
		t.rows = append(t.rows, row)
	}
	t.head[1] = "due after dose 1"
	return t, more
}

func dosing(d *document, p *protocol.Protocol) {
	d.add(heading{2, "What a dose should have been"})
	if p.Dosing == nil {
		d.add(paragraph{text: "The block " + code("dosing") + " is not there: amounts and routes of doses are not compared with the plan."})
		return
	}
	d.add(table{"facts", []string{"parameter", "value", "meaning"}, rows(p.Dosing, dosingFields)})
	if len(p.Dosing.Strengths) == 0 {
		d.add(paragraph{text: "No strength of a product: an amount is compared only where it is charted in the unit of the plan."})
		return
	}
	t := table{"strengths", []string{"drug", "so much of the product", "is", "source"}, nil}
	for i := range p.Dosing.Strengths {
		s := &p.Dosing.Strengths[i]
		t.rows = append(t.rows, []string{code(s.Drug), quantity(s.Of), quantity(s.Is), plain(s.Cite)})
	}
	d.add(t)
}

func notGiven(d *document, p *protocol.Protocol) {
	n := p.NotGiven
	d.add(heading{2, "Doses that are not given"}, table{"facts", []string{"what", "reason of the record", "rule"}, [][]string{
		{"refused", or(strings.Join(codeList(n.Refused), ", "), "no code: no record counts as refused"), code("dev.dose-refused")},
		{"unavailable", or(strings.Join(codeList(n.Unavailable), ", "), "no code"), code("dev.dose-held-unsupported") + ", said in the message"},
		{"held", "any other reason, or none", code("log.dose-held") + " where a criterion below supports it, else " + code("dev.dose-held-unsupported")},
	}})
	if n.Cite != "" {
		d.add(paragraph{soft: true, text: "Source: " + plain(n.Cite)})
	}
}

func codeList(codes []string) []string {
	var out []string
	for _, c := range codes {
		out = append(out, code(c))
	}
	return out
}

func holds(d *document, p *protocol.Protocol) {
	d.add(heading{2, "What supports holding a dose"})
	if len(p.Holds) == 0 {
		d.add(paragraph{text: "No criterion: every dose that is held is a query."})
		return
	}
	t := table{"holds", []string{"criterion", "of doses of", "relative", "absolute", "looks back", "source"}, nil}
	for i := range p.Holds {
		h := &p.Holds[i]
		back := span(h.Lookback)
		if h.SincePrevious {
			back += ", no further than the dose before"
		}
		t.rows = append(t.rows, []string{plain(h.Title) + " " + code(h.ID), strings.Join(codeList(h.Drugs), ", "), limits(h.Relative), limits(h.Absolute), back, plain(h.Cite)})
	}
	d.add(t, paragraph{soft: true, text: "The last value before the dose within the look-back decides. Values are never converted between mass and moles: each has a limit of its own. A dose that is given although a criterion stood is " +
		code("dev.dosed-despite-hold") + ": important with an absolute criterion or three relative ones, else minor."})
}

func limits(l *protocol.Limits) string {
	if l == nil {
		return "–"
	}
	var parts []string
	l.Each(func(comparison, _ string, _ int, x *protocol.Limit) {
		limit := number(x.Value) + " " + plain(x.Unit)
		if x.Of != "" {
			limit = number(x.Value) + " × " + plain(x.Of+" "+x.Unit)
		}
		parts = append(parts, code(x.Analyte)+" "+strings.NewReplacer(">=", "≥", "<=", "≤").Replace(comparison)+" "+strings.TrimSpace(limit))
	})
	return plain(l.Label) + ": " + strings.Join(parts, " or ")
}

func preconditions(d *document, p *protocol.Protocol) {
	if len(p.Intervals) == 0 {
		return
	}
	d.add(heading{2, "What must lie between treatments"})
	for i := range p.Intervals {
		x := &p.Intervals[i]
		d.add(heading{3, plain(x.Title) + " · " + code(x.ID)}, table{"facts", []string{"parameter", "value", "meaning"}, rows(x, preconditionFields)})
	}
}

func prohibited(d *document, p *protocol.Protocol) {
	if len(p.Prohibited) == 0 {
		return
	}
	d.add(heading{2, "Prohibited co-medication"})
	for i := range p.Prohibited {
		x := &p.Prohibited[i]
		from := [][]string{{"From study day", dayName(x.FromDay), ""}}
		d.add(heading{3, plain(x.Title) + " · " + code(x.ID)}, table{"facts", []string{"parameter", "value", "meaning"}, append(from, rows(x, prohibitedFields)...)})
	}
}

func toxicity(d *document, p *protocol.Protocol) {
	d.add(heading{2, "Monitored CTCAE terms"})
	if len(p.Toxicity) == 0 {
		d.add(paragraph{text: "None."})
		return
	}
	d.add(paragraph{text: fmt.Sprintf("%s, graded by %s. A value on a limit has the milder grade unless the limit is included (≥, ≤). The worst grade whose condition is met counts.",
		plural(len(p.Terms), "term", "terms"), plain(p.CTCAE.Source()))})
	t := table{"terms", []string{"term", "from", "grade 1", "grade 2", "grade 3", "grade 4", "remarks"}, nil}
	for i := range p.Terms {
		t.rows = append(t.rows, termRows(p, &p.Terms[i])...)
	}
	d.add(t)
	var missing []string
	for i := range p.Toxicity {
		x := &p.Toxicity[i]
		if !slices.ContainsFunc(p.Terms, func(t protocol.Term) bool { return t.Toxicity == x }) {
			missing = append(missing, code(x.Term))
		}
	}
	if len(missing) > 0 {
		d.add(paragraph{text: strong("Not graded") + ", because CTCAE " + string(p.CTCAE) + " has no such term: " + strings.Join(missing, ", ") + "."})
	}
}

// termRows is one row for each group of analytes with the same limits, and one for each way in which a baseline changes them.
func termRows(p *protocol.Protocol, t *protocol.Term) [][]string {
	c := t.Criterion
	name := plain(c.Term) + " " + code("tox."+c.Slug)
	if t.Term != c.Slug {
		name += " (in the file: " + code(t.Term) + ")"
	}
	var rows [][]string
	var done []*ctcae.Limits
	for i := range c.Limits {
		l := &c.Limits[i]
		if slices.ContainsFunc(done, l.Same) {
			continue
		}
		done = append(done, l)
		var from []string
		for j := i; j < len(c.Limits); j++ {
			if l.Same(&c.Limits[j]) {
				from = append(from, analyteUnit(c.Limits[j].Analyte))
			}
		}
		add := func(when string, steps []ctcae.Step) {
			row := []string{"", strings.Join(from, ", ") + when, "", "", "", "", ""}
			for g := 1; g <= 4; g++ {
				row[1+g] = gradeText(t, steps, g)
			}
			rows = append(rows, row)
		}
		add("", l.Steps)
		for _, other := range []struct {
			when  string
			steps []ctcae.Step
		}{{"if the baseline is high", l.IfHigh}, {"if the baseline is low", l.IfLow}, {"if the baseline is above the upper limit", l.IfAboveULN}} {
			if other.steps != nil {
				add(", "+other.when, other.steps)
			}
		}
	}
	if len(rows) == 0 {
		rows = append(rows, []string{"", "by a rule", "", "", "", "", ""})
	}
	rows[0][0], rows[0][6] = name, remarks(p, t)
	return rows
}

func analyteUnit(analyte string) string {
	if u, ok := unit.Of(analyte); ok && u.Canonical != "1" {
		return code(analyte) + " in " + u.Canonical
	}
	if strings.HasPrefix(analyte, timeline.UrineOutput+"-") { // a sum over so many hours, by a rule
		return code(analyte) + " in mL"
	}
	return code(analyte)
}

// gradeText is what gives a grade, with the protocol's threshold in place of its name.
func gradeText(t *protocol.Term, steps []ctcae.Step, grade int) string {
	var parts []string
	for i := range steps {
		if steps[i].Grade == grade {
			parts = append(parts, conditionText(t, steps[i].Text))
		}
	}
	return strings.Join(parts, "; or ")
}

func conditionText(t *protocol.Term, text string) string {
	if t.Threshold != nil {
		text = strings.ReplaceAll(text, "threshold", quantity(*t.Threshold))
	}
	return strings.NewReplacer(" x ", " × ", ">=", "≥", "<=", "≤").Replace(text)
}

// remarks are what the limits of a term do not say.
func remarks(p *protocol.Protocol, t *protocol.Term) string {
	c := t.Criterion
	var parts []string
	if t.Expected != nil {
		parts = append(parts, strong("Expected")+" "+windowText(t.Expected))
	}
	if t.EpisodeGap > 0 {
		parts = append(parts, "Readings less than "+span(t.EpisodeGap)+" apart are one episode")
	}
	if t.Threshold != nil {
		parts = append(parts, "Threshold of this protocol: "+quantity(*t.Threshold))
	}
	if c.Candidate != "" {
		parts = append(parts, strong("Proposed only")+": "+c.Candidate)
	}
	if c.ByRule != "" {
		parts = append(parts, upperFirst(c.ByRule))
	}
	if len(c.Assumptions) > 0 {
		parts = append(parts, "What the data may not tell leaves a range of grades: "+strings.Join(c.Assumptions, "; "))
	}
	for i := range c.Limits {
		if n := p.NormalOf(c.Limits[i].Analyte); n != nil {
			parts = append(parts, "Limits of normal of the site stand below")
			break
		}
	}
	if len(c.Clinician) > 0 {
		var gs []string
		for _, g := range c.Clinician {
			gs = append(gs, fmt.Sprint(g))
		}
		parts = append(parts, "Grade "+strings.Join(gs, ", ")+": a clinician's")
	}
	if t.Threshold == nil || !strings.Contains(c.Note, "threshold") { // said above, with its number
		parts = append(parts, c.Note)
	}
	return sentence(parts...)
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func windowText(w *protocol.Window) string {
	return fmt.Sprintf("from the first %s to the end of day %s", code(w.From), dayName(w.ToDay))
}

func expectedness(d *document, p *protocol.Protocol) {
	d.add(heading{2, "What is expected"})
	byWindow := map[protocol.Window][]string{}
	var order []protocol.Window
	for i := range p.Toxicity {
		x := &p.Toxicity[i]
		if x.Expected == nil {
			continue
		}
		if byWindow[*x.Expected] == nil {
			order = append(order, *x.Expected)
		}
		byWindow[*x.Expected] = append(byWindow[*x.Expected], code(x.Term))
	}
	var l list
	for _, w := range order {
		l = append(l, upperFirst(windowText(&w))+": "+strings.Join(byWindow[w], ", "))
	}
	if p.FN != nil && p.FN.Expected {
		l = append(l, "Febrile neutropenia, always; it is urgent all the same")
	}
	if len(l) == 0 {
		d.add(paragraph{text: "Nothing: every toxicity is told by its grade."})
		return
	}
	d.add(l, paragraph{soft: true, text: "Expected toxicity is found and counted like any other, of any grade, and told as " + code("log") + ". The day of onset decides. Whatever is not listed is unexpected."})
}

func neutropenia(d *document, p *protocol.Protocol) {
	d.add(heading{2, "Febrile neutropenia"})
	fn := p.FN
	if fn == nil {
		d.add(paragraph{text: "The block " + code("febrileNeutropenia") + " is not there: the rule does not run."})
		return
	}
	d.add(paragraph{text: fmt.Sprintf("Grade 3 where one temperature is %s, or temperatures of at least %s last longer than %s, in a patient whose latest count of at most %s ago, or first count within %s after, is below %s.",
		single(fn.Single), quantity(fn.Sustained), span(fn.SustainedFor), span(fn.Lookback), span(fn.Lookahead), quantity(fn.NeutrophilsBelow))})
	d.add(table{"facts", []string{"parameter", "value", "meaning"}, rows(fn, feverFields)})
}

func normal(d *document, p *protocol.Protocol) {
	d.add(heading{2, "Limits of normal"})
	if len(p.Normal) == 0 {
		d.add(paragraph{text: "The protocol names none: a result counts with its own reference range. A result without one has no grade where the limit of normal decides, which is told as " + code("data.ungradable") + " and never as grade 0."})
		return
	}
	t := table{"normal", []string{"analyte", "low", "high", "unit", "source"}, nil}
	for i := range p.Normal {
		n := &p.Normal[i]
		row := []string{code(n.Analyte), "–", "–", plain(n.Unit), or(plain(n.Cite), "–")}
		if n.Low != nil {
			row[1] = number(*n.Low)
		}
		if n.High != nil {
			row[2] = number(*n.High)
		}
		t.rows = append(t.rows, row)
	}
	d.add(t, paragraph{soft: true, text: "They count for results that name none of their own."})
}

func codes(d *document, p *protocol.Protocol) {
	if len(p.Codes) == 0 {
		return
	}
	t := table{"codes", []string{"concept", "codes", "words"}, nil}
	for _, c := range p.Codes {
		var words []string
		for _, w := range c.Texts {
			words = append(words, "“"+plain(w)+"”")
		}
		t.rows = append(t.rows, []string{code(c.Concept), or(strings.Join(codeList(c.Codes), ", "), "–"), or(strings.Join(words, ", "), "–")})
	}
	d.add(heading{2, "Codes of this trial"}, t, paragraph{soft: true, text: "Beside the codes that trialwatch ships."})
}

// granted is what holds for every trial: what an author would otherwise have to know.
func granted(d *document) {
	d.add(heading{2, "What holds for every trial"}, list{
		"Clinical time decides, never the time of receipt. A late, repeated or corrected record ends in the same state; what is no longer supported is retracted.",
		"A baseline is the last value before the first study treatment; where there is none, the first after the enrolment. A sample is never graded against itself.",
		"Ungradable is not grade 0: where a limit of normal, a unit or a baseline that decides is missing, there is no grade and the site is asked.",
		"A comparator such as <0.1 counts as every value that it allows; a comparison that they do not agree on is undecided, and neither opens nor ends anything.",
		"Results of one instant: the worse grade counts. Preliminary results are graded, need review and stay out of aggregates.",
		"Nobody is judged without a ResearchSubject of the study, and no dose that was due before the start of its period is missed.",
		"Every alert asks for review. trialwatch is a watch, not the record, and decides nothing.",
	})
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
