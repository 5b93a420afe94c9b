package sim

import (
	"embed"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

//go:embed cohorts/*.yaml
var cohorts embed.FS

// Script says how every patient of a cohort fares. What it does not say is made up as in any cohort: counts, chemistry, vital signs. Days are study days.
type Script struct {
	Seed     uint64          `yaml:"seed"`
	Markers  []MarkerScript  `yaml:"markers"`
	Patients []PatientScript `yaml:"patients"`
}

// PatientScript is one patient.
type PatientScript struct {
	Arm    string        `yaml:"arm"`  // "arm-1" or "arm-2"
	Day0   string        `yaml:"day0"` // date of the infusion
	Fevers []FeverScript `yaml:"fevers"`
	IL2    struct {
		Doses                 int   `yaml:"doses"` // given
		Held, Refused, Missed []int // slots from 1
	} `yaml:"il2"`
	Discharged    int          `yaml:"discharged"`    // day; admission is on day -7
	Pembrolizumab int          `yaml:"pembrolizumab"` // doses given, from day 21 on every 21 days
	Scans         []ScanScript `yaml:"scans"`
	Visits        []int        `yaml:"visits"`   // days on which the patient was seen later
	OffStudy      int          `yaml:"offStudy"` // day, 0: on study
	Died          int          `yaml:"died"`     // day, 0: alive
}

// FeverScript is a fever that begins at an hour of a day.
type FeverScript struct {
	Day, Hour, Hours int
}

// ScanScript is an assessment of the tumour: CR, PR, SD, PD or NE.
type ScanScript struct {
	Day      int
	Response string
}

// MarkerScript is a biomarker: what a patient has before treatment, or has infused, and by what that is multiplied in a window. Values are drawn evenly
// between two numbers.
type MarkerScript struct {
	Code     string             `yaml:"code"`
	Unit     string             `yaml:"unit"`
	Baseline between            `yaml:"baseline"`
	Infusion between            `yaml:"infusion"`
	Arm1     map[string]between `yaml:"arm-1"`
	Arm2     map[string]between `yaml:"arm-2"`
}

type between [2]float64

// Published is the script of the cohort whose facts agree with the published ones of the trial after which this one is modelled.
func Published() (*Script, error) {
	const name = "cohorts/published.yaml"
	data, err := cohorts.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var s Script
	if err := yaml.UnmarshalWithOptions(data, &s, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for i := range s.Patients {
		if _, err := time.Parse(time.DateOnly, s.Patients[i].Day0); err != nil {
			return nil, fmt.Errorf("%s: patient %d: day0: %w", name, i+1, err)
		}
	}
	return &s, nil
}

const firstPembrolizumab, pembrolizumabEvery = 21, 21

// mornings are the days on which blood is drawn: daily from before treatment until day 14, with every dose of pembrolizumab, and when the patient is seen later.
func (s *PatientScript) mornings() []int {
	var days []int
	for day := -8; day <= 14; day++ {
		days = append(days, day)
	}
	for n := range s.Pembrolizumab {
		days = append(days, firstPembrolizumab+n*pembrolizumabEvery)
	}
	days = append(days, s.Visits...)
	slices.Sort(days)
	return slices.Compact(days)
}

// follow makes a patient fare as a script says.
func (p *patient) follow(s *PatientScript) {
	p.script, p.highDose, p.bold = s, s.Arm == "arm-1", false
	date, err := time.ParseInLocation(time.DateOnly, s.Day0, p.cfg.Day0.Location())
	if err != nil {
		panic(err) // Published has read it
	}
	p.day0, p.kidney, p.leak = date, min(p.kidney, 0.35), min(p.leak, 0.85) // hardly anything forbids a dose that the script gives
	p.noCount, p.fevers = 0, nil
	for _, f := range s.Fevers {
		from := p.at(f.Day, f.Hour, 0)
		p.fevers = append(p.fevers, span{from, from.Add(time.Duration(f.Hours) * time.Hour)})
	}
}

// discharged reports whether a patient has gone home before an instant.
func (p *patient) discharged(at time.Time) bool { return at.After(p.at(p.script.Discharged, 12, 0)) }

// atHome reports whether a patient who has been discharged is not seen at an instant: once a day, until day 14, he is.
func (p *patient) atHome(at time.Time) bool { return p.discharged(at) && at.Hour() != 8 }

// scriptedIL2 gives what the script gives.
func (p *patient) scriptedIL2() {
	s := p.script.IL2
	slot := 0
	due := func() time.Time { return p.at(1+slot, 9, 0) }
	last := 14
	if p.highDose {
		next := p.at(1, 8, 0)
		due = func() time.Time { return next.Add(time.Duration(slot) * 8 * time.Hour) }
		last = 15
	}
	for given := 0; slot < last && given < s.Doses; slot++ {
		at := due().Add(time.Duration(p.IntN(20)) * time.Minute)
		switch {
		case slices.Contains(s.Held, slot+1):
			p.held(due(), true)
			again := due().Add(7 * time.Hour) // before the next dose
			p.send(p.result(&creatinine, again, 1.9), again, 15*time.Minute)
			continue
		case slices.Contains(s.Missed, slot+1):
			continue
		}
		p.send(p.aldesleukin("completed", at), at, 0)
		p.given = append(p.given, at)
		given++
	}
	for ; slices.Contains(s.Refused, slot+1); slot++ {
		p.declined(due(), due().Add(10*time.Minute))
	}
	if p.highDose && slot < last {
		p.stopIL2(due())
	}
}

// pembrolizumab is given as often as the script says.
func (p *patient) pembrolizumab(dose quantity) {
	for n := range p.script.Pembrolizumab {
		at := p.at(firstPembrolizumab+n*pembrolizumabEvery, 11, p.IntN(60))
		p.send(p.drug("pembrolizumab", "1547545", "completed", at, dose, intravenous()), at, 0)
	}
}

// afterwards is what is known of a patient beside the bedside: discharge, assessments, immune monitoring, later visits, the end of the study and death.
func (p *patient) afterwards() {
	s := p.script
	p.discharge(p.at(s.Discharged, 14, p.chance.IntN(90)))
	for _, scan := range s.Scans {
		at := p.at(scan.Day, 10, p.chance.IntN(180))
		p.chart(resource{
			ResourceType: "Observation", Status: "final", Code: code("urn:trialwatch:observation", "recist-overall-response", "Overall response by RECIST 1.1"), Subject: &reference{p.ref},
			Effective: stamp(at), Category: code("urn:trialwatch:recist-1.1", scan.Response, scan.Response),
		}, at)
	}
	p.immune()

	end := p.enrolment()
	end.Status = "off-study"
	if s.Died > 0 {
		died := p.at(s.Died, 0, 0).Format(time.DateOnly)
		p.version(resource{ResourceType: "Patient", ID: strings.TrimPrefix(p.ref, "Patient/"), Deceased: died}, 1, p.at(s.Died+1, 9, p.chance.IntN(60)), "")
	}
	if s.OffStudy > 0 {
		end.Period.End = p.at(s.OffStudy, 0, 0).Format(time.DateOnly)
		p.version(end, 2, p.at(s.OffStudy, 16, p.chance.IntN(60)), "")
	}
}

// immune is the monitoring of blood before treatment, in the first week and before pembrolizumab, and what was infused.
func (p *patient) immune() {
	draw := func(b between) float64 { return b[0] + (b[1]-b[0])*p.chance.Float64() }
	for _, m := range p.cfg.Script.Markers {
		report := func(day int, v float64) {
			at := p.at(day, 6, 10)
			p.report(resource{
				ResourceType: "Observation", Status: "final", Code: code("urn:trialwatch:biomarker", m.Code, m.Code), Subject: &reference{p.ref}, Effective: stamp(at),
				Value: &quantity{Value: number(v, 1), Unit: m.Unit, System: ucum, Code: m.Unit},
			}, at, 30*time.Hour)
		}
		if m.Infusion[1] > 0 {
			report(0, draw(m.Infusion))
			continue
		}
		before := draw(m.Baseline)
		report(-9, before)
		windows := m.Arm2
		if p.highDose {
			windows = m.Arm1
		}
		for _, w := range []struct {
			name string
			day  int
		}{{"week-1", 6}, {"week-3", 20}} {
			v := before * draw(windows[w.name])
			if m.Unit == "%" {
				v = min(v, 97)
			}
			report(w.day, v)
		}
	}
}
