package review

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/trialwatch/trialwatch/rules/protocol"
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
		{"day0", "Day 0", "the site-local calendar day of the first of these: the start of a procedure, a given dose, or the enrolment"},
		{"treatments", "Study treatments", "a patient is treated from the first that is given; baselines lie before it"},
		{"afterOffStudy", "Graded after the end of the study", "expectations stop at once"},
		{"emergentFor", "Treatment-emergent", "up to so long after the last dose of a treatment"},
		{"futureTolerance", "Clinical time after receipt", "further than this is a charting error: the fact is not used"},
		{"feedStaleAfter", "Silence of a feed", "for so long nothing may come about a patient in hospital on a running course, or from a site with one"},
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
		{"days", "Study days", "one dose on each; days are site-local calendar days"},
		{"windowDays", "Window, days", "either side of the due day; a dose is missed at the midnight that ends its window"},
		{"forDays", "For so many days", "from the first due day"},
		{"parts", "In parts", "any given record of a day fills it; amounts are not compared, and no record is one too many"},
		{"expectedWith", "Expected with", "only once one of these is recorded as given"},
		{"missed", "Importance of a missed dose", "in place of minor"},
		{"inForce", "In force", "in site-local days; what is due or given outside is not judged by this"},
		{"cite", "Source", ""},
	}
	assessmentFields = []field{
		{"any", "Shown by a result of", "one of these"},
		{"all", "Shown by results of", "each of these"},
		{"onceRecorded", "Only once recorded", "judged from the day of the first result that was ever sent of the patient"},
		{"from", "Days are counted from", "in place of day 0"},
		{"windowDays", "Window, days", "either side of the day that is due, in site-local days; it is missed at the midnight that ends the window"},
		{"window", "Window", "either side of the due time, bounds included; it is missed at the end of the window"},
		{"missed", "Importance", "in place of minor"},
		{"inForce", "In force", "in site-local days; what is due outside is not judged by this"},
		{"cite", "Source", ""},
	}
	preconditionFields = []field{
		{"before", "Treatment that waits", ""},
		{"after", "What must have ended", "the end of its last dose, else its start"},
		{"moreThan", "More than", "exactly this is too soon"},
		{"atMost", "At most", "exactly this is in time"},
		{"inForce", "In force", "in site-local days; what is due or given outside is not judged by this"},
		{"cite", "Source", ""},
	}
	prohibitedFields = []field{
		{"drugs", "Drugs", ""},
		{"exceptRoutes", "Routes that are exempt", "a route that the feed does not tell excuses nothing"},
		{"exceptFor", "Reasons that are exempt", "by the reason of the record; none excuses nothing"},
		{"inForce", "In force", "in site-local days; what is due or given outside is not judged by this"},
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
	assessments(d, p)
	dosing(d, p)
	notGiven(d, p)
	holds(d, p)
	preconditions(d, p)
	prohibited(d, p)
	toxicity(d, p)
	expectedness(d, p)
	neutropenia(d, p)
	normal(d, p)
	outcomes(d, p)
	stopping(d, p)
	blinding(d, p)
	codes(d, p)
	ruleTable(d, p)
	granted(d)
	return d
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
		if h.InForce != nil {
			back += "; in force " + value(reflect.ValueOf(h.InForce))
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

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
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
