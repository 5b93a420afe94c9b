package review

import (
	"fmt"
	"strings"

	"github.com/trialwatch/trialwatch/rules/protocol"
)

// assessments explains what is to be examined, and when.
func assessments(d *document, p *protocol.Protocol) {
	if len(p.Assessments) == 0 {
		return
	}
	d.add(heading{2, "Assessments"}, paragraph{soft: true, text: "A result on a day shows that it was examined, whether or not its value can be used; a quantity counts as a mass and in moles."})
	for i := range p.Assessments {
		a := &p.Assessments[i]
		var due []string
		for j := range a.Due {
			due = append(due, dueInWords(&a.Due[j]))
		}
		facts := append([][]string{{"Whose", whose(p, a), ""}, {"Due", strings.Join(due, "; "), plural(len(a.Times), "time", "times") + ", " + inTime(a)}}, rows(a, assessmentFields)...)
		d.add(heading{3, plain(a.Title) + " · " + code(a.ID)}, table{"facts", []string{"parameter", "value", "meaning"}, facts})
	}
}

// whose are the arms of an assessment.
func whose(p *protocol.Protocol, a *protocol.Assessment) string {
	if a.Arms == nil {
		return armTitle(p, protocol.AllArms)
	}
	var titles []string
	for _, id := range a.Arms {
		titles = append(titles, armTitle(p, id))
	}
	return strings.Join(titles, ", ")
}

// dueInWords is when an assessment is due, as the file says it.
func dueInWords(d *protocol.Due) string {
	var parts []string
	if d.Day != nil {
		parts = append(parts, "day "+dayName(*d.Day))
	}
	if d.First != nil && d.Last != nil {
		every := "every day"
		if d.EveryDays > 1 {
			every = fmt.Sprintf("every %d days", d.EveryDays)
		}
		parts = append(parts, fmt.Sprintf("day %s to %s, %s", dayName(*d.First), dayName(*d.Last), every))
	}
	if d.After > 0 {
		parts = append(parts, span(d.After)+" after the start")
	}
	return strings.Join(parts, ", ")
}

// inTime is the window of an assessment in words.
func inTime(a *protocol.Assessment) string {
	switch {
	case a.ByHours():
		return "within " + span(a.Window)
	case a.WindowDays > 0:
		return "within " + plural(a.WindowDays, "day", "days")
	}
	return "on the day"
}

// daysOf is the study days of an assessment up to a day, with their windows.
func daysOf(a *protocol.Assessment, until int) map[int]mark {
	marks := map[int]mark{}
	if a.ByHours() {
		return marks
	}
	for _, t := range a.Times {
		for day := t.Day - a.WindowDays; day <= min(t.Day+a.WindowDays, until); day++ {
			marks[day] = mark{"·", "may"}
		}
		if t.Day <= until {
			marks[t.Day] = mark{"×", "due"}
		}
	}
	return marks
}
