package review

import (
	"fmt"
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/rules/protocol"
)

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
	if c, ok := calendarOf(p); ok {
		d.add(c, paragraph{soft: true, text: "A number is how many doses a study day has; “≤” marks days on which doses can fall, depending on what was given before; “×” is an assessment, “·” its window. Day 0 is marked; cycles and assessments go on after the last column."})
	}
	if len(p.Regimens) == 0 {
		d.add(paragraph{text: "No regimen: no dose is expected."})
		return
	}
	for i := range p.Regimens {
		r := &p.Regimens[i]
		d.add(heading{3, fmt.Sprintf("%s · %s · %s", armTitle(p, r.Arm), plain(r.Title), code(r.Arm+"/"+r.ID)) + times(r.InForce)}, paragraph{text: inWords(r)})
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

// times is when an entry holds, "" for always.
func times(in *protocol.InForce) string {
	if text := in.String(); text != "" {
		return ", " + plain(text)
	}
	return ""
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
	case "days":
		var days []string
		for _, d := range r.Days {
			days = append(days, dayName(d))
		}
		text := fmt.Sprintf("%s on the study days %s (%s), within %s either side. A dose is missed at the midnight that ends the window of its day; what is past when day 0 becomes known is judged at once.",
			what, strings.Join(days, ", "), plural(r.Slots(), "dose", "doses"), plural(r.WindowDays, "day", "days"))
		if r.Parts {
			text += " A day may have several parts: any given record fills it."
		}
		if r.ExpectedWith != nil {
			var drugs []string
			for _, d := range r.ExpectedWith {
				drugs = append(drugs, code(d))
			}
			text += " Nothing is expected until one of " + strings.Join(drugs, ", ") + " is recorded as given."
		}
		return text
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
	case "days":
		for _, due := range r.Days {
			for d := due - r.WindowDays; d <= min(due+r.WindowDays, until); d++ {
				if _, marked := marks[d]; !marked {
					marks[d] = mark{"≤1", "may"}
				}
			}
			if due <= until {
				marks[due] = mark{"1", "due"}
			}
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
	type line struct {
		name  string
		marks func(until int) map[int]mark
	}
	var lines []line
	for i := range p.Regimens {
		r := &p.Regimens[i]
		lines = append(lines, line{armTitle(p, r.Arm) + ": " + plain(r.Title) + times(r.InForce), func(until int) map[int]mark { return marksOf(r, until) }})
	}
	for i := range p.Assessments {
		if a := &p.Assessments[i]; a.From == "" || a.From == p.Day0 {
			lines = append(lines, line{whose(p, a) + ": " + plain(a.Title) + times(a.InForce), func(until int) map[int]mark { return daysOf(a, until) }})
		}
	}
	for _, l := range lines {
		for d := range l.marks(maxCalendar) {
			c.first = min(c.first, d)
		}
	}
	last := 0
	for _, l := range lines {
		for d := range l.marks(c.first + maxCalendar - 1) {
			last, ok = max(last, d), true
		}
	}
	c.days = last - c.first + 1
	for _, l := range lines {
		marks := l.marks(c.first + maxCalendar - 1)
		if len(marks) == 0 {
			continue
		}
		row := calendarRow{name: l.name, cells: make([]string, c.days), kind: make([]string, c.days)}
		for d, m := range marks {
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

// dueTable is the doses of a regimen, of an interval in hours from the first and of cycles and named days in study days, and how many were left out.
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
	if r.Schedule == "days" {
		t = table{"due", []string{"dose", "due on day", "in time from day", "to", "missed from"}, nil}
		for n, due := range r.Days {
			if n >= maxDue {
				return t, len(r.Days) - maxDue
			}
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
