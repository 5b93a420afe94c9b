package review

import (
	"fmt"
	"slices"
	"strings"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/ctcae"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/site"
)

// ruleText is a rule in the words of docs/rules.md, with the protocol's numbers.
type ruleText struct {
	id         string
	says       string
	importance string // of a deviation
	// parameters are the protocol's numbers that the rule reads, and why it does not run, "" where it does.
	parameters func(*protocol.Protocol) (text, idle string)
	source     func(*protocol.Protocol) string
}

func fixed(s string) func(*protocol.Protocol) string {
	return func(*protocol.Protocol) string { return s }
}

func always(text string) func(*protocol.Protocol) (string, string) {
	return func(*protocol.Protocol) (string, string) { return text, "" }
}

// ofRegimens lists what a rule reads of each regimen of some schedules, nil for all.
func ofRegimens(schedules []string, text func(*protocol.Regimen) string) func(*protocol.Protocol) (string, string) {
	return func(p *protocol.Protocol) (string, string) {
		var parts []string
		for i := range p.Regimens {
			if r := &p.Regimens[i]; schedules == nil || slices.Contains(schedules, r.Schedule) {
				parts = append(parts, code(r.Arm+"/"+r.ID)+" "+text(r))
			}
		}
		if len(parts) == 0 {
			return "", "no such regimen"
		}
		return strings.Join(parts, "; "), ""
	}
}

// ofWindows lists the regimens whose doses have a window.
func ofWindows(text func(*protocol.Regimen) string) func(*protocol.Protocol) (string, string) {
	return ofRegimens([]string{"interval", "cycle", "days"}, text)
}

// Where each regimen and each hold criterion has a source of its own, the table points to it.
func citesOfRegimens(*protocol.Protocol) string { return "cited with each regimen" }

func citesOfHolds(*protocol.Protocol) string { return "cited with each criterion" }

func holdNames(p *protocol.Protocol) (string, string) {
	var names []string
	for i := range p.Holds {
		names = append(names, plain(p.Holds[i].Title))
	}
	if len(p.Regimens) == 0 {
		return "", "no regimen"
	}
	return or(strings.Join(names, ", "), "no criterion"), ""
}

// dosed are the parameters of a rule that needs the block dosing.
func dosed(text func(*protocol.Protocol) string) func(*protocol.Protocol) (string, string) {
	return func(p *protocol.Protocol) (string, string) {
		switch {
		case p.Dosing == nil:
			return "", "no block dosing"
		case len(p.Regimens) == 0:
			return "", "no regimen"
		}
		return text(p), ""
	}
}

// amounts are the planned doses and the tolerance.
func amounts(p *protocol.Protocol) (text, idle string) {
	return dosed(func(p *protocol.Protocol) string {
		var parts []string
		for i := range p.Regimens {
			if r := &p.Regimens[i]; r.Dose != nil {
				parts = append(parts, code(r.Arm+"/"+r.ID)+" "+quantity(*r.Dose))
			}
		}
		return or(strings.Join(parts, "; "), "no regimen has a dose") + "; ± " + number(p.Dosing.Tolerance) + " %"
	})(p)
}

func routes(p *protocol.Protocol) string {
	var parts []string
	for i := range p.Regimens {
		if r := &p.Regimens[i]; r.Route != "" {
			parts = append(parts, code(r.Arm+"/"+r.ID)+" "+plain(r.Route))
		}
	}
	return or(strings.Join(parts, "; "), "no regimen has a route")
}

func citeOfDosing(p *protocol.Protocol) string { return plain(p.Dosing.Cite) }

// ruleTexts are the rules but for the graded terms, which have a table of their own. TestEveryRuleIsExplained holds them to rules.All.
var ruleTexts = []ruleText{
	{
		"tox.febrile-neutropenia", "fever of a neutropenic patient: grade 3, or a candidate for review; grade 4 is a clinician's, and a vasopressor asks for one", "",
		func(p *protocol.Protocol) (string, string) {
			if p.FN == nil {
				return "", "no block febrileNeutropenia"
			}
			return "see above", ""
		},
		func(p *protocol.Protocol) string { return plain(p.FN.Cite) },
	},
	{
		"dev.dose-missed", "nothing is recorded of a dose that was due; consecutive silent doses are one finding, of a regimen without any record one dose is asked for", "minor unless the regimen says important; query where nothing at all is recorded",
		ofRegimens(nil, func(r *protocol.Regimen) string {
			switch r.Schedule {
			case "interval":
				return span(r.MissedAfter) + " after the due time"
			case "cycle", "days":
				return "at the midnight that ends its window"
			case "given":
				return "never"
			}
			return "at the midnight that ends the day"
		}), citesOfRegimens,
	},
	{
		"dev.dose-early", "given before the window of its due time", "minor; important if the gap to the dose before is too short",
		ofWindows(func(r *protocol.Regimen) string {
			if r.Schedule != "interval" {
				return "more than " + plural(r.WindowDays, "day", "days") + " early"
			}
			return "more than " + span(r.Tolerance) + " early; gap below " + span(r.MinGap)
		}), citesOfRegimens,
	},
	{
		"dev.dose-late", "given after the window of its due time", "minor",
		ofWindows(func(r *protocol.Regimen) string {
			if r.Schedule != "interval" {
				return "more than " + plural(r.WindowDays, "day", "days") + " late"
			}
			return "more than " + span(r.Tolerance) + " late"
		}), citesOfRegimens,
	},
	{
		"dev.dose-refused", "not given, with a reason that means refusal", "minor",
		func(p *protocol.Protocol) (string, string) {
			if len(p.Regimens) == 0 {
				return "", "no regimen"
			}
			if len(p.NotGiven.Refused) == 0 {
				return "", "no code means refusal"
			}
			return plural(len(p.NotGiven.Refused), "code", "codes"), ""
		},
		func(p *protocol.Protocol) string { return plain(p.NotGiven.Cite) },
	},
	{"dev.dose-over", "more given than planned: above the tolerance, or a dose beyond the ceiling of the course", "important", amounts, citeOfDosing},
	{"dev.dose-wrong", "less given than planned, below the tolerance; or an amount that looks like a slip of the unit", "important", func(p *protocol.Protocol) (string, string) {
		text, idle := amounts(p)
		if idle == "" {
			text += "; slip from a factor of " + number(p.Dosing.UnitSlip)
		}
		return text, idle
	}, citeOfDosing},
	{"dev.route-wrong", "given by another route than the regimen's, where both are known", "important", dosed(routes), citesOfRegimens},
	{"dev.arm-wrong", "a dose of another arm's regimen; reported alone, the assigned arm's doses run on", "important", func(p *protocol.Protocol) (string, string) {
		if len(p.Arms) < 2 {
			return "", "one arm"
		}
		return dosed(func(*protocol.Protocol) string { return "drug, amount and route of each arm's regimens" })(p)
	}, citesOfRegimens},
	{"dev.dosed-despite-hold", "given although a criterion for holding the dose stood", "important with an absolute criterion or three relative ones, else minor", func(p *protocol.Protocol) (string, string) {
		if len(p.Holds) == 0 {
			return "", "no criterion"
		}
		return holdNames(p)
	}, citesOfHolds},
	{"dev.dose-held-unsupported", "not given, and the data show no criterion for holding it", "query", holdNames, citesOfHolds},
	{"log.dose-held", "not given, and a criterion supports it: no deviation", "none", func(p *protocol.Protocol) (string, string) {
		if len(p.Holds) == 0 {
			return "", "no criterion"
		}
		return holdNames(p)
	}, citesOfHolds},
	{"dev.til-precondition", "the treatment of day 0 began too soon or too late after another had ended", "important", func(p *protocol.Protocol) (string, string) {
		var parts []string
		for i := range p.Intervals {
			x := &p.Intervals[i]
			text := code(x.ID) + " more than " + span(x.MoreThan)
			if x.AtMost > 0 {
				text += ", at most " + span(x.AtMost)
			}
			parts = append(parts, text)
		}
		if parts == nil {
			return "", "no preconditions"
		}
		return strings.Join(parts, "; "), ""
	}, fixed("cited with each")},
	{"dev.conmed-prohibited", "a prohibited drug was given", "important", func(p *protocol.Protocol) (string, string) {
		var parts []string
		for i := range p.Prohibited {
			parts = append(parts, code(p.Prohibited[i].ID)+" from day "+dayName(p.Prohibited[i].FromDay))
		}
		if parts == nil {
			return "", "nothing is prohibited"
		}
		return strings.Join(parts, "; "), ""
	}, fixed("cited with each")},
	{
		"dev.assessment-missed", "an examination that the protocol asks for was not made, or out of its window; consecutive ones are one finding, of one that was never sent one is asked for",
		"minor unless the assessment says important; query where nothing of it was ever sent",
		func(p *protocol.Protocol) (string, string) {
			var parts []string
			for i := range p.Assessments {
				parts = append(parts, code(p.Assessments[i].ID)+" "+inTime(&p.Assessments[i]))
			}
			if parts == nil {
				return "", "no assessment"
			}
			return strings.Join(parts, "; "), ""
		}, fixed("cited with each assessment"),
	},
	{"data.unit-missing", "a value without a unit that is known for it: not used", "", always("the units of each analyte"), fixed("docs/feeds.md")},
	{
		"data.implausible", "a value beyond what is believed, or a clinical time after its receipt: not used; a code and a unit that contradict each other: used, for review", "",
		func(p *protocol.Protocol) (string, string) {
			return "further than " + span(p.FutureTolerance) + " after receipt", ""
		}, fixed("design default"),
	},
	{"data.ungradable", "a result of a monitored term that has no grade and may hide one; doses by weight of a patient without a weight; an amount or a route of a dose that cannot be read or compared; administrations whose Medication has not come; a stay in hospital without a start; a death without a day; a tumour assessment that names no category; an adverse event without a term or a grade of the pinned CTCAE", "", func(p *protocol.Protocol) (string, string) {
		return plural(len(p.Normal), "limit of normal of the site", "limits of normal of the site") + "; Medications " + span(p.MedicationWait) + " after receipt", ""
	}, fixed("design default")},
	{"data.timing-unknown", "a date without a time where hours matter", "", always("–"), fixed("design default")},
	{"data.possible-duplicate", "two records that may be of one dose", "", always("–"), fixed("design default")},
	{"data.not-on-study", "a study drug given after the patient left the study", "", func(p *protocol.Protocol) (string, string) {
		if len(p.Treatments) == 0 {
			return "", "no treatments"
		}
		return plural(len(p.Treatments), "treatment", "treatments"), ""
	}, fixed("ICH E6(R3)")},
	{"data.gap", "messages that a source has numbered and that never came", "", always("told " + span(protocol.Duration(site.GapAfter)) + " after a later one came"), fixed("design default")},
	{"data.arm-changed", "an assigned arm that is another one than before", "", always("names of the arms"), fixed("ICH E9, 5.2.1")},
	{"data.two-sites", "a subject who is enrolled at two sites at one time", "", func(p *protocol.Protocol) (string, string) {
		if p.SubjectSystem == "" {
			return "identifiers of any system", ""
		}
		return "identifier of " + code(p.SubjectSystem), ""
	}, fixed("ICH E6(R3)")},
	{rules.FeedStale, "a site with a patient in hospital on a running course, or such a patient, of whom nothing comes; missed doses are routine then", "", func(p *protocol.Protocol) (string, string) {
		return "for " + span(p.FeedStaleAfter), ""
	}, fixed("design default")},
	{
		rules.StoppingBoundary, "so many patients have such a toxicity that an arm, or the trial, should pause", "",
		func(p *protocol.Protocol) (string, string) {
			var ids []string
			for i := range p.Stopping {
				ids = append(ids, code(p.Stopping[i].ID))
			}
			if ids == nil {
				return "", "no boundary"
			}
			return strings.Join(ids, ", "), ""
		}, fixed("cited with each boundary"),
	},
}

// beyondTheCore are findings that no rule of rules.All makes.
var beyondTheCore = []ruleText{
	{"data.evaluation-failed", "the evaluation of a patient stopped with a defect of trialwatch: what stands may be out of date", "", always("–"), fixed("–")},
}

func ruleTable(d *document, p *protocol.Protocol) {
	t := table{"rules", []string{"rule", "says", "parameters", "urgency", "importance", "source"}, nil}
	idle := table{"rules", []string{"rule", "why it does not run"}, nil}
	says := "any term, as a clinician graded it in an AdverseEvent"
	if len(p.Terms) > 0 {
		says = fmt.Sprintf("each of the %s above, by its grade; any term, as a clinician graded it in an AdverseEvent, which goes first", plural(len(p.Terms), "term", "terms"))
	}
	t.rows = append(t.rows, []string{code("tox.…"), says, "see above", byGrade(p), "–", plain(p.CTCAE.Source())})
	for _, r := range slices.Concat(ruleTexts, beyondTheCore) {
		parameters, why := r.parameters(p)
		if why != "" {
			idle.rows = append(idle.rows, []string{code(r.id), why})
			continue
		}
		u, _ := rules.UrgencyOf(p, r.id)
		urgency := string(u)
		if r.id == "tox."+ctcae.FebrileNeutropeniaSlug {
			urgency += "; a candidate prompt"
		}
		if p.Urgency[r.id] != "" {
			urgency = strong(plain(p.Urgency[r.id])) + " (set here)"
		}
		t.rows = append(t.rows, []string{code(r.id), r.says, parameters, urgency, or(r.importance, "–"), or(r.source(p), "–")})
	}
	d.add(heading{2, "Every rule that runs"}, t)
	if len(idle.rows) > 0 {
		d.add(heading{3, "Rules that do not run in this trial"}, idle)
	}
	d.add(paragraph{soft: true, text: "Grade, urgency (how soon somebody should look), expectedness and importance (of a deviation, ICH E3 Q&A R1) are four things and never folded into one."})
}

// byGrade is the urgency of a graded term, with the terms that the protocol sets another for.
func byGrade(p *protocol.Protocol) string {
	text := "expected: log; else by the worst possible grade: 4 urgent, 3 prompt, 2 routine, 1 log"
	var set []string
	for id, u := range p.Urgency {
		if strings.HasPrefix(id, "tox.") && id != "tox."+ctcae.FebrileNeutropeniaSlug {
			set = append(set, code(id)+" "+strong(plain(u)))
		}
	}
	slices.Sort(set)
	if len(set) > 0 {
		text += "; set here: " + strings.Join(set, ", ")
	}
	return text
}
