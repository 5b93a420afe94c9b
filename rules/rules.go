// Package rules is the clinical core of trialwatch: what is true of a patient, given a timeline, a protocol and an instant.
//
//	findings = Evaluate(timeline, protocol, now)
//
// Evaluate is a pure function. It does no I/O, reads no clock, logs nothing and does not depend on the order of a map, so the same facts give the
// same bytes whatever the order in which they arrived. Package alert turns the difference between two answers into alerts.
//
// A rule is one documented function in one file and one row in [All]. docs/rules.md explains each with its source.
package rules

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/rules/ctcae"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// Rule is one family of findings.
type Rule struct {
	IDs   []string // the ids of the findings that it can report
	Reads []string // the concepts that it reads, whatever the protocol: intake keeps nothing that no rule of a loaded protocol reads
	Eval  func(*Case)
}

// All are the rules, in no particular order: none reads another's findings. What clinicians graded is laid over what they find: see [adverseEvents].
var All = []Rule{
	{append(toxicityIDs(), "data.ungradable"), nil, toxicity},
	{[]string{"tox.febrile-neutropenia"}, append([]string{timeline.Temperature, timeline.Vasopressor}, countConcepts...), febrileNeutropenia},
	{
		[]string{
			"dev.dose-missed", "dev.dose-wrong", "dev.dose-over", "dev.route-wrong", "dev.arm-wrong", "dev.dosed-despite-hold", "dev.dose-early", "dev.dose-late", "dev.dose-refused", "dev.dose-held-unsupported", "log.dose-held",
			"data.timing-unknown", "data.possible-duplicate",
		},
		nil,
		doses,
	},
	{[]string{FeedStale}, []string{timeline.Inpatient}, feedStale},
	{[]string{"data.unit-missing", "data.implausible", "data.ungradable", "data.timing-unknown"}, nil, dataQuality},
	{[]string{"data.implausible", "data.ungradable"}, nil, responseQuality},
	{[]string{"data.ungradable"}, nil, undatedDeath},
	{[]string{"dev.assessment-missed"}, nil, assessments},
	{[]string{"data.not-on-study"}, nil, notOnStudy},
	{[]string{"dev.til-precondition"}, nil, preconditions},
	{[]string{"dev.conmed-prohibited"}, nil, prohibited},
	{[]string{"data.ungradable"}, nil, unresolvedMedications},
	{[]string{"data.ungradable", "data.implausible"}, []string{timeline.Inpatient}, unplacedStays},
	{[]string{"data.arm-changed"}, nil, armChanged},
	{append(listedIDs(), "data.ungradable", "data.implausible"), []string{timeline.ClinicianGrade}, adverseEvents},
}

// toxicityIDs are the ids of all terms that some version of the CTCAE grades.
func toxicityIDs() []string {
	var ids []string
	for _, v := range []ctcae.Version{ctcae.V4, ctcae.V5, ctcae.V6} {
		for _, c := range ctcae.All(v) {
			if c.Graded() && !slices.Contains(ids, "tox."+c.Slug) {
				ids = append(ids, "tox."+c.Slug)
			}
		}
	}
	return ids
}

// Reads returns the concepts that the rules read for a set of protocols.
func Reads(protocols ...*protocol.Protocol) map[string]bool {
	reads := map[string]bool{}
	for _, r := range All {
		for _, name := range r.Reads {
			reads[name] = true
		}
	}
	for _, p := range protocols {
		if p.Day0 != protocol.Enrolled {
			reads[p.Day0] = true
		}
		for i := range p.Assessments {
			for _, names := range p.Assessments[i].Needs {
				for _, name := range names {
					reads[name] = true
				}
			}
			if from := p.Assessments[i].From; from != "" && from != protocol.Enrolled {
				reads[from] = true
			}
		}
		for _, name := range p.Treatments {
			reads[name] = true
		}
		for _, r := range p.Regimens {
			reads[r.Drug] = true
			for _, name := range r.ExpectedWith {
				reads[name] = true
			}
			if len(r.Renal) > 0 {
				reads[timeline.CreatinineMass], reads[timeline.CreatinineMolar] = true, true
			}
			if r.Dose != nil && p.Dosing != nil && strings.Contains(r.Dose.Unit, "/") {
				reads[timeline.Weight] = true
				reads[timeline.Height] = reads[timeline.Height] || strings.HasSuffix(r.Dose.Unit, "/m2")
			}
		}
		for _, n := range p.Intervals {
			reads[n.After] = true
		}
		for _, n := range p.Prohibited {
			for _, name := range n.Drugs {
				reads[name] = true
			}
		}
		if r := p.Response; r != nil {
			reads[timeline.TumorResponse], reads[r.From] = true, true
			for _, name := range r.EndedBy {
				reads[name] = true
			}
		}
		if s := p.Survival; s != nil && s.From != protocol.Enrolled {
			reads[s.From] = true
		}
		if b := p.Biomarkers; b != nil {
			for i := range b.Markers {
				reads[b.Markers[i].Reads()] = true
			}
		}
		for i := range p.Holds {
			for _, l := range []*protocol.Limits{p.Holds[i].Relative, p.Holds[i].Absolute} {
				if l != nil {
					l.Each(func(_, _ string, _ int, limit *protocol.Limit) { reads[limit.Analyte] = true })
				}
			}
		}
		for i := range p.Terms {
			for _, name := range termReads(&p.Terms[i]) {
				reads[name] = true
			}
			if w := p.Terms[i].Expected; w != nil {
				reads[w.From] = true
			}
		}
	}
	return reads
}

// Answer is what [Evaluate] says.
type Answer struct {
	Subject  string    // of the patient in the study, "" for somebody who is not enrolled
	Findings []Finding // sorted as they are printed
	Summary  Summary   // the patient's contribution to the aggregates
	Member   Membership
	// Watched is when the patient was in hospital on a running course, so that the site's feed must not fall silent.
	Watched []timeline.Span
	// Listens says that the answer can change when the site sends something about anybody.
	Listens bool
	// Next is the first instant after now at which the answer can change with no new fact, zero if there is none.
	Next time.Time
}

// Evaluate says what is true of a patient in a study at an instant. A patient without a ResearchSubject of the study gives the zero Answer,
// whatever else is known: somebody who is not enrolled is no error and nobody's business.
func Evaluate(tl *timeline.Timeline, p *protocol.Protocol, now time.Time) Answer {
	c := newCase(tl, p, now)
	if c == nil {
		return Answer{Next: nextEnrolment(tl, p, now)}
	}
	return c.answer()
}

func (c *Case) answer() Answer {
	c.evaluate()
	c.summarize()
	return Answer{Subject: c.Subject, Findings: c.findings, Summary: c.summary, Member: c.membership(), Watched: recall(c, "answer", "watched", c.watched), Listens: c.listens, Next: c.next}
}

// Membership is the place of a patient in a study, by which sites are compared. The zero value is nobody's.
type Membership struct {
	Subject    string        `json:"subject,omitempty"`
	Identifier string        `json:"identifier,omitempty"` // "system|value" that the subject is taken from; "" where only the resource has a name
	Ref        string        `json:"ref,omitempty"`        // the ResearchSubject
	Version    string        `json:"version,omitempty"`
	In         timeline.Span `json:"in,omitzero"` // on study
	Known      time.Time     `json:"known,omitzero"`
}

func (c *Case) membership() Membership {
	return Membership{
		Subject: c.Subject, Identifier: subjectIdentifier(c.enrolled, c.Protocol), Ref: c.enrolled.Ref.String(), Version: c.enrolled.Version.ID,
		In:    timeline.Span{From: cmp.Or(c.Enrolment.Start.Start, c.enrolled.ReceivedAt).UTC(), To: c.OffStudy.UTC()},
		Known: c.enrolled.ReceivedAt.UTC(), // in UTC, so that two can be compared
	}
}

// evaluate runs the rules, lays over them what clinicians graded, and sorts what they report.
func (c *Case) evaluate() {
	for i := range All {
		c.part("rule", strconv.Itoa(i), func() { All[i].Eval(c) })
	}
	c.clinicians()
	slices.SortFunc(c.findings, func(a, b Finding) int { return a.Compare(&b) })
}

// EvaluationFailed is the finding that stands beside what was told of a patient whose evaluation panicked. It reads nothing but the enrolment;
// ok is false for somebody who is not enrolled.
func EvaluationFailed(tl *timeline.Timeline, p *protocol.Protocol, now time.Time) (f Finding, ok bool) {
	enrolled := enrolment(tl, p, now)
	if enrolled == nil {
		return f, false
	}
	f = Finding{
		Kind: "finding", Rule: "data.evaluation-failed", Study: p.Study, Site: enrolled.Site, Subject: subject(enrolled, p), Arm: p.ArmOf(enrolled.Enrolment.AssignedArm),
		Status: Open, Onset: now.In(p.Zone), Detected: now.In(p.Zone), Urgency: Urgent, NeedsReview: true, Evidence: []Evidence{},
		Message: "The evaluation of this patient failed: what stands may be out of date. Tell the operator.", Protocol: p.Pin(),
	}
	f.ID = FindingID(f.Rule, f.Study, f.Subject, "-", f.Onset)
	return f, true
}
