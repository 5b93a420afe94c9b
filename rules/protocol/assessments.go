package protocol

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/trialwatch/trialwatch/rules/document"
	"github.com/trialwatch/trialwatch/rules/timeline"
	"github.com/trialwatch/trialwatch/rules/unit"
)

// Assessment is an examination that the trial asks for: what shows that it was made, and on which days.
type Assessment struct {
	ID    string   `yaml:"id"`
	Title string   `yaml:"title"`
	Any   []string `yaml:"any"`  // a result of one of these shows it
	All   []string `yaml:"all"`  // or it takes a result of each of these
	Arms  []string `yaml:"arms"` // nil: every arm
	// OnceRecorded: judged from the day of the first result of it that was ever sent.
	OnceRecorded bool `yaml:"onceRecorded"`
	// From is what its days are counted from: [Enrolled], the first given dose of a drug, or "" for day 0.
	From string `yaml:"from"`
	Due  []Due  `yaml:"due"` // in the order of time
	// WindowDays is how many site-local days before and after the day that is due are in time, Window the same of what is due after hours.
	WindowDays int      `yaml:"windowDays"`
	Window     Duration `yaml:"window"`
	Missed     string   `yaml:"missed"` // importance, "" for minor
	InForce    *InForce `yaml:"inForce"`
	Cite       string   `yaml:"cite"`

	// Needs are the results that it takes: one of each list. A quantity counts as a mass and in moles.
	Needs [][]string `yaml:"-"`
	// Times are when it is due, in order, in study days or in hours.
	Times []AssessmentTime `yaml:"-"`
}

// Due is one time at which an assessment is due, or several: a day, days from one to another, or hours after the start of what is counted from.
type Due struct {
	Day       *int     `yaml:"day"`
	First     *int     `yaml:"firstDay"`
	Last      *int     `yaml:"lastDay"`
	EveryDays int      `yaml:"everyDays"` // 0: every day
	After     Duration `yaml:"after"`
}

// AssessmentTime is when an assessment is due: on a study day, or so long after the start where After is not 0.
type AssessmentTime struct {
	Day   int
	After Duration
}

// Label is a time in words: "day 3", "4 h".
func (t AssessmentTime) Label() string {
	h, m := int(t.After.D()/time.Hour), int(t.After.D()%time.Hour/time.Minute)
	switch {
	case t.After == 0:
		return fmt.Sprintf("day %d", t.Day)
	case m == 0:
		return fmt.Sprintf("%d h", h)
	case h == 0:
		return fmt.Sprintf("%d min", m)
	}
	return fmt.Sprintf("%d h %d min", h, m)
}

// ByHours reports whether the assessment is due after hours rather than on days.
func (a *Assessment) ByHours() bool { return len(a.Times) > 0 && a.Times[0].After > 0 }

// In reports whether an arm has the assessment.
func (a *Assessment) In(arm string) bool {
	return arm != Unassigned && (a.Arms == nil || slices.Contains(a.Arms, arm))
}

// maxTimes is how often one assessment is due at most.
const maxTimes = 1000

// assessments judges what is to be examined, and when.
func (f *file) assessments(p *Protocol, drug func(string, ...string)) {
	for i := range p.Assessments {
		a := &p.Assessments[i]
		at := func(fields ...string) []string {
			return append([]string{"assessments", strconv.Itoa(i)}, fields...)
		}
		if slices.ContainsFunc(p.Assessments[:i], func(o Assessment) bool { return o.ID == a.ID && o.InForce.meets(a.InForce) }) {
			f.at(at("id"), "assessment %s stands here twice", a.ID)
		}
		for j, arm := range a.Arms {
			if !slices.Contains(armIDs(p), arm) {
				f.at(at("arms", strconv.Itoa(j)), "assessment %s: there is no arm %q%s", a.ID, arm, document.DidYouMean(arm, armIDs(p)))
			}
		}
		if a.From != "" && a.From != Enrolled {
			drug(a.From, at("from")...)
		}
		f.needs(p, a, at)
		if f.due(a, at) {
			f.assessmentWindows(a, at)
		}
	}
}

// needs finds what shows that an assessment was made.
func (f *file) needs(p *Protocol, a *Assessment, at func(...string) []string) {
	switch {
	case a.Any == nil && a.All == nil:
		f.at(at("id"), "assessment %s: nothing shows that it was made: name one of any, or all of all", a.ID)
	case a.Any != nil && a.All != nil:
		f.at(at("all"), "assessment %s: any and all contradict each other", a.ID)
	}
	known := analytes()
	if p.Response != nil {
		known = append(known, timeline.TumorResponse)
	}
	if p.Biomarkers != nil {
		for i := range p.Biomarkers.Markers {
			known = append(known, p.Biomarkers.Markers[i].Reads())
		}
	}
	for _, list := range []struct {
		field string
		names []string
	}{{"any", a.Any}, {"all", a.All}} {
		for j, name := range list.names {
			if name == timeline.TumorResponse && p.Response == nil {
				f.at(at(list.field, strconv.Itoa(j)), "assessment %s: there is no block response, so that no assessment of the tumour is read", a.ID)
				continue
			}
			if !slices.Contains(known, name) {
				f.at(at(list.field, strconv.Itoa(j)), "assessment %s: nothing is read as %q%s", a.ID, name, document.DidYouMean(name, known))
			}
		}
	}
	either := func(names ...string) (all []string) {
		for _, name := range names {
			all = append(all, name)
			if u, ok := unit.Of(name); ok && u.Sibling != "" && !slices.Contains(names, u.Sibling) {
				all = append(all, u.Sibling)
			}
		}
		return all
	}
	if a.Any != nil {
		a.Needs = [][]string{either(a.Any...)}
		return
	}
	for _, name := range a.All {
		a.Needs = append(a.Needs, either(name))
	}
}

// due writes out when an assessment is due, and reports whether that is in order.
func (f *file) due(a *Assessment, at func(...string) []string) bool {
	for j, d := range a.Due {
		at := func(field string) []string { return at("due", strconv.Itoa(j), field) }
		var more []AssessmentTime
		switch {
		case d.Day != nil && d.First == nil && d.Last == nil && d.After == 0 && d.EveryDays == 0:
			more = []AssessmentTime{{Day: *d.Day}}
		case d.Day == nil && d.First == nil && d.Last == nil && d.EveryDays == 0 && d.After > 0:
			more = []AssessmentTime{{After: d.After}}
		case d.Day == nil && d.First != nil && d.Last != nil && d.After == 0:
			every := max(d.EveryDays, 1)
			if *d.Last < *d.First {
				f.at(at("lastDay"), "assessment %s: last day %d is before first day %d", a.ID, *d.Last, *d.First)
				return false
			}
			if beyond := (*d.Last - *d.First) % every; beyond > 0 {
				f.at(at("lastDay"), "assessment %s is never due on day %d: every %d days from day %d, the last is day %d", a.ID, *d.Last, every, *d.First, *d.Last-beyond)
				return false
			}
			if n := (*d.Last-*d.First)/every + 1; n+len(a.Times) > maxTimes {
				f.at(at("lastDay"), "assessment %s would be due %d times: want %d at most", a.ID, n+len(a.Times), maxTimes)
				return false
			}
			for day := *d.First; day <= *d.Last; day += every {
				more = append(more, AssessmentTime{Day: day})
			}
		default:
			f.At([]string{"assessments", at("")[1], "due", strconv.Itoa(j)}, "assessment %s: want a day, or a firstDay with a lastDay, or a time after which it is due", a.ID)
			return false
		}
		if n := len(a.Times); n > 0 {
			last, next := a.Times[n-1], more[0]
			field := "day"
			switch {
			case d.First != nil:
				field = "firstDay"
			case d.After > 0:
				field = "after"
			}
			switch {
			case (last.After > 0) != (next.After > 0):
				f.at(at(field), "assessment %s is due on days or after hours, not both", a.ID)
				return false
			case next == last:
				f.at(at(field), "assessment %s is due twice on %s", a.ID, next.Label())
				return false
			case next.Day < last.Day || next.After < last.After:
				f.at(at(field), "assessment %s: %s stands after %s: write them in the order of time", a.ID, next.Label(), last.Label())
				return false
			}
		}
		a.Times = append(a.Times, more...)
	}
	return true
}

// assessmentWindows finds windows that no result, or more than one due time, can have.
func (f *file) assessmentWindows(a *Assessment, at func(...string) []string) {
	switch {
	case a.ByHours() && a.WindowDays > 0:
		f.at(at("windowDays"), "assessment %s is due after hours: its window is written as window: PT1H", a.ID)
		return
	case a.ByHours() && a.Window <= 0:
		f.at(at("id"), "assessment %s is due after hours: without a window no result is in time", a.ID)
		return
	case !a.ByHours() && a.Window > 0:
		f.at(at("window"), "assessment %s is due on days: its window is written as windowDays", a.ID)
		return
	}
	for i := 1; i < len(a.Times); i++ {
		last, next := a.Times[i-1], a.Times[i]
		if a.ByHours() && next.After.D()-last.After.D() <= 2*a.Window.D() {
			f.at(at("window"), "assessment %s: the windows of %s and %s overlap: a result could be of both", a.ID, last.Label(), next.Label())
			return
		}
		if !a.ByHours() && next.Day-last.Day <= 2*a.WindowDays {
			f.at(at("windowDays"), "assessment %s: the windows of %s (to %d) and %s (from %d) overlap: a result could be of both",
				a.ID, last.Label(), last.Day+a.WindowDays, next.Label(), next.Day-a.WindowDays)
			return
		}
	}
	if a.From == Enrolled && !a.ByHours() && len(a.Times) > 0 && a.Times[0].Day < 0 {
		f.at(at("due"), "assessment %s: %s lies before the enrolment, and nothing before it is judged", a.ID, a.Times[0].Label())
	}
}
