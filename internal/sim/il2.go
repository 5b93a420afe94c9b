package sim

import (
	"fmt"
	"math"
	"time"
)

// il2 is the course of aldesleukin.
func (p *patient) il2() {
	switch {
	case p.script != nil:
		p.scriptedIL2()
	case p.highDose:
		p.everyEightHours()
	default:
		p.everyDay()
	}
}

// everyEightHours gives up to fifteen doses as tolerated, and says when the course is stopped. A dose is held on a high creatinine.
func (p *patient) everyEightHours() {
	due := p.at(1, 8, 0)
	doses := 6 + p.IntN(10)
	for slot := 1; slot <= doses; slot++ {
		at := due.Add(time.Duration(p.IntN(50)-15) * time.Minute)
		day := int(at.Sub(p.at(0, 0, 0)).Hours() / 24)
		switch n := p.IntN(100); {
		case slot > 2 && p.highDose && p.kidney > 0.8 && day >= 3 && day <= 4:
			p.held(due, true)
			due = due.Add(8 * time.Hour)
			continue
		case slot > 1 && n < 2:
			p.held(due, false)
			due = due.Add(8 * time.Hour)
			continue
		case slot > 1 && n < 11: // forgotten, or charted much later
			if n < 7 && !p.cfg.Clean {
				p.version(p.aldesleukin("completed", at), 1, at.Add(time.Duration(4+p.IntN(7))*time.Hour),
					"a dose of IL-2 of "+p.subject+" is charted hours after it was given")
				p.given = append(p.given, at)
				due = at.Add(8 * time.Hour)
				continue
			}
			due = due.Add(8 * time.Hour)
			continue
		case slot > 1 && n < 15:
			at = due.Add(time.Duration(70+p.IntN(90)) * time.Minute) // late
		}
		p.send(p.aldesleukin("completed", at), at, 0)
		p.given = append(p.given, at)
		due = at.Add(8 * time.Hour)
	}
	if doses < 15 {
		p.stopIL2(due)
	}
}

// stopIL2 says that no more doses are given.
func (p *patient) stopIL2(due time.Time) {
	r := p.aldesleukin("stopped", due)
	r.Dosage = nil
	r.StatusReason = []concept{*code(snomed, "373147003", "Contraindicated")}
	p.send(r, due, 0)
}

// everyDay gives a low dose for fourteen days.
func (p *patient) everyDay() {
	for day := 1; day <= 14; day++ {
		at := p.at(day, 9, p.IntN(60))
		switch n := p.IntN(100); {
		case n < 4 && day > 1: // forgotten
			continue
		case n < 7:
			p.declined(p.at(day, 9, 0), at)
			continue
		}
		p.send(p.aldesleukin("completed", at), at, 0)
		p.given = append(p.given, at)
	}
}

// declined sends the record of a dose that the patient did not want.
func (p *patient) declined(due, at time.Time) {
	r := p.aldesleukin("not-done", due)
	r.Dosage = nil
	r.StatusReason = []concept{*code(snomed, "182895007", "Drug declined by patient")}
	p.send(r, at, 0)
}

// held sends the record of a dose that was not given, with the creatinine that supports it or without any.
func (p *patient) held(due time.Time, supported bool) {
	if supported {
		at := due.Add(-30 * time.Minute)
		p.send(p.result(&creatinine, at, math.Round(10*(2.5+0.4*p.Float64()))/10), at, 15*time.Minute)
	}
	r := p.aldesleukin("not-done", due)
	r.Dosage = nil
	r.StatusReason = []concept{*code(snomed, "373147003", "Contraindicated")}
	p.send(r, due, 0)
}

// aldesleukin is one dose: 720,000 IU for each kg of the weight before treatment in the one arm, 2 million IU in the other.
func (p *patient) aldesleukin(status string, at time.Time) resource {
	million, route := math.Round(0.72*p.weight*10)/10, intravenous()
	if !p.highDose {
		million, route = 2, code(snomed, "34206005", "Subcutaneous")
	}
	dose := quantity{Value: number(million, 1), Unit: "MIU", System: ucum, Code: "10*6.[iU]"}
	if p.IntN(4) == 0 {
		dose = quantity{Value: number(million*1e6, 0), Unit: "IU", System: ucum, Code: "[iU]"}
	}
	r := p.drug("aldesleukin", "70223", status, at, dose, route)
	p.serial++
	r.ID = fmt.Sprintf("adm-%05d", p.serial)
	return r
}
