package protocol

import (
	"strconv"
	"time"
)

// maxWindowDays is how far a dose of a named day may lie from it at most: what is longer is no window around a day.
const maxWindowDays = 28

// days judges the named study days of a regimen: each once, in their order, where a dose can be expected.
func (f *file) days(p *Protocol, i int) {
	r := &p.Regimens[i]
	if r.Schedule != "days" {
		return
	}
	at := func(field ...string) []string { return append([]string{"regimens", strconv.Itoa(i)}, field...) }
	if r.WindowDays > maxWindowDays {
		f.at(at("windowDays"), "regimen %s: a window of %d days is no window: at most %d", r.ID, r.WindowDays, maxWindowDays)
	}
	if r.Parts && r.Dose != nil {
		f.at(at("dose"), "regimen %s: a dose is compared record by record, and a part of one is no dose: leave out dose, or parts", r.ID)
	}
	for j, day := range r.Days {
		switch {
		case j > 0 && day == r.Days[j-1]:
			f.at(at("days", strconv.Itoa(j)), "regimen %s: day %d stands here twice: a day has one dose", r.ID, day)
		case j > 0 && day < r.Days[j-1]:
			f.at(at("days", strconv.Itoa(j)), "regimen %s: day %d is before day %d: want them in their order", r.ID, day, r.Days[j-1])
		case day < 0 && p.Day0 == Enrolled:
			p.Notes = append(p.Notes, f.Note(at("days", strconv.Itoa(j)), "regimen %s: day %d is before the enrolment, which is day 0: it is never judged", r.ID, day))
		}
	}
}

// windows finds times that contradict each other: windows that nothing can meet, and doses that can never be due.
func (f *file) windows(p *Protocol) {
	for i := range p.Regimens {
		r := &p.Regimens[i]
		at := func(field string) []string { return []string{"regimens", strconv.Itoa(i), field} }
		if r.Schedule != "interval" || r.Every <= 0 {
			continue
		}
		last := time.Duration(r.Doses-1) * r.Every.D()
		switch {
		case r.MinGap >= r.Every:
			f.at(at("minGap"), "regimen %s: minGap is as long as the interval, so that every dose in time would come too soon", r.ID)
		case r.MaxGap < r.Every+r.MissedAfter:
			f.at(at("maxGap"), "regimen %s: the course would end before the next dose can be missed", r.ID)
		case r.Course <= 0:
			f.at(at("course"), "regimen %s: the course must be longer than 0", r.ID)
		case r.Course.D() <= last:
			// A dose due at the very end of the course is not expected.
			expected := int((r.Course.D()-1)/r.Every.D()) + 1
			p.Notes = append(p.Notes, f.Note(at("course"), "regimen %s: the course of %s ends before dose %d of %d is due in time", r.ID, r.Course, expected+1, r.Doses))
		}
	}
	if fn := p.FN; fn != nil {
		at := func(field string) []string { return []string{"febrileNeutropenia", field} }
		if fn.PossibleSustainedGap < fn.ReadingGap {
			f.at(at("possibleSustainedGap"), "readings that make a candidate (at most %s apart) would be nearer than those of a run (at most %s)", fn.PossibleSustainedGap, fn.ReadingGap)
		}
		if fn.Lookback <= 0 && fn.Lookahead <= 0 {
			f.at(at("lookback"), "no neutrophil count can belong to a temperature: lookback and lookahead are both 0")
		}
	}
	for i := range p.Holds {
		if h := &p.Holds[i]; h.Lookback <= 0 {
			f.at([]string{"holds", strconv.Itoa(i), "lookback"}, "hold %s: no value is looked at: lookback must be longer than 0", h.ID)
		}
	}
}
