// Package sim makes up a cohort of trial patients as an EHR would send them: FHIR R4 JSON in the order of receipt.
//
// It is for demo, soak tests and benchmarks. The courses are plausible, not real: counts fall after lymphodepletion and recover about ten days
// after the infusion, fevers come while they are low, high-dose IL-2 is given as tolerated, and some doses are held, refused, late or
// forgotten; what IL-2 does to vessels, kidneys and liver follows the doses that were given (course.go). The feed is a real one in its mess: late,
// corrected, repeated, sent to the wrong patient, taken back, or broken. The same seed gives the same bytes.
//
// Enrolment, doses, neutrophils, creatinine and temperatures are drawn from one source of chance; everything else from another, a patient its own:
// what is added to the one changes nothing in the other.
package sim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Config of a cohort. The zero value is seven patients an arm, all of whose first day 0 is in the week of 2026-02-16.
type Config struct {
	Seed uint64
	// PatientsPerArm; 0 means 7, as in the trial.
	PatientsPerArm int
	// Day0 is the first patient's day of infusion, local midnight in the site's zone; others follow within six days. Zero means 2026-02-16 in Chicago.
	Day0 time.Time
	// Clean leaves out the mess: no late, corrected, repeated, misdirected, voided or broken message.
	Clean bool
	// Script, if not nil, says how each patient fares, and the seed and the number of patients. Such a cohort is clean.
	Script *Script
}

// Event is one message of the feed.
type Event struct {
	At   time.Time // receipt
	Type string    // resource type
	Data []byte    // FHIR JSON; broken on purpose where the note says so
	Note string    // what is odd about it, in words for somebody who watches; "" for the ordinary
}

// Cohort returns the feed of a cohort in the order of receipt.
func Cohort(cfg Config) []Event {
	patients := 2 * cmp.Or(cfg.PatientsPerArm, 7)
	if cfg.Script != nil {
		cfg.Seed, cfg.Clean, patients = cfg.Script.Seed, true, len(cfg.Script.Patients)
	}
	cfg.PatientsPerArm = patients / 2
	if cfg.Day0.IsZero() {
		zone, err := time.LoadLocation("America/Chicago")
		if err != nil {
			zone = time.FixedZone("CST", -6*3600)
		}
		cfg.Day0 = time.Date(2026, 2, 16, 0, 0, 0, 0, zone)
	}
	c := &cohort{Rand: rand.New(rand.NewPCG(cfg.Seed, 0x7472_6961_6c)), cfg: cfg}
	for i := range patients {
		c.patient(i)
	}
	if !cfg.Clean {
		c.strays()
	}
	slices.SortStableFunc(c.events, func(a, b Event) int { return a.At.Compare(b.At) })
	return c.events
}

type cohort struct {
	*rand.Rand
	cfg    Config
	events []Event
	serial int
	charts int // resources of labs.go and bedside.go, whose ids are their own
}

// patient is one person's course.
type patient struct {
	*cohort
	ref, subject string
	highDose     bool
	day0         time.Time // local midnight
	fahrenheit   bool      // the ward's thermometers
	nadir        float64   // lowest neutrophils, 10*9/L
	recovery     float64   // day on which they are back at 1.0
	fevers       []span
	kidney       float64 // how creatinine answers to IL-2
	given        []time.Time

	body
	lab   laboratory
	draws []draw    // of the mornings
	temps []reading // of the ward

	script *PatientScript // nil where chance says how the patient fares
}

type span struct{ from, to time.Time }

func (c *cohort) patient(i int) {
	p := &patient{
		cohort: c, ref: fmt.Sprintf("Patient/sim-%04x", c.Uint32N(1<<16)), subject: fmt.Sprintf("S-%03d", i+1), highDose: i%2 == 0,
		day0: c.cfg.Day0.AddDate(0, 0, i*6/(2*c.cfg.PatientsPerArm)), fahrenheit: c.IntN(4) == 0,
		nadir: 0.02 + 0.2*c.Float64(), recovery: 8.5 + 4*c.Float64(), kidney: c.Float64(),
	}
	p.body = newBody(c.cfg.Seed, i)
	p.lab = newLaboratory(p, i)
	for range 1 + c.IntN(2) {
		if c.Float64() < 0.62 {
			from := p.at(1+c.IntN(6), 0, 0).Add(time.Duration(c.IntN(24*60)) * time.Minute)
			p.fevers = append(p.fevers, span{from, from.Add(time.Duration(4+c.IntN(20)) * time.Hour)})
		}
	}
	if c.cfg.Script != nil {
		p.follow(&c.cfg.Script.Patients[i])
	}
	p.enrol()
	p.treatment()
	p.counts()
	p.il2()
	p.vitals()
	p.bloods()
	p.bedside()
	if p.script != nil {
		p.afterwards()
		return
	}
	p.discharge(p.at(14, 15, 0))
}

// at is a time of day on a study day, by the clocks of the site.
func (p *patient) at(day, hour, minute int) time.Time {
	d := p.day0
	return time.Date(d.Year(), d.Month(), d.Day()+day, hour, minute, 0, 0, d.Location())
}

// send adds the first version of a resource, received a few minutes after it happened, and now and then some mess.
func (p *patient) send(r resource, at time.Time, delay time.Duration) {
	p.serial++
	if r.ID == "" {
		r.ID = fmt.Sprintf("%s-%05d", map[string]string{"Observation": "obs", "MedicationAdministration": "adm", "Procedure": "prc"}[r.ResourceType], p.serial)
	}
	note := ""
	if delay == 0 {
		delay = time.Duration(2+p.IntN(8)) * time.Minute
		if !p.cfg.Clean && p.IntN(40) == 0 {
			delay = time.Duration(60+p.IntN(300)) * time.Minute
			if delay > 3*time.Hour {
				note = fmt.Sprintf("%s of %s arrives %d h %02d min late", what(r), p.subject, int(delay.Hours()), int(delay.Minutes())%60)
			}
		}
	}
	received := at.Add(delay)
	p.version(r, 1, received, note)
	if !p.cfg.Clean && p.IntN(60) == 0 {
		p.version(r, 1, received.Add(time.Duration(1+p.IntN(90))*time.Minute), "")
		p.events[len(p.events)-1].Data = p.events[len(p.events)-2].Data // a repetition is the same bytes
	}
}

func (p *patient) version(r resource, n int, received time.Time, note string) {
	r.Meta = meta{fmt.Sprint(n), stamp(received.Truncate(time.Second))}
	p.events = append(p.events, Event{received, r.ResourceType, encode(r), note})
}

func what(r resource) string {
	switch {
	case r.Medication != nil:
		return "a dose (" + r.Medication.Text + ")"
	case r.Code != nil:
		return "a result (" + strings.ToLower(r.Code.Text) + ")"
	}
	return "a " + r.ResourceType
}

func (p *patient) enrol() {
	p.send(p.enrolment(), p.at(-10, 9, p.IntN(50)), time.Minute)
	p.send(p.admission(), p.at(-7, 7, 30), time.Minute)
}

func (p *patient) enrolment() resource {
	arm := "Arm-2"
	if p.highDose {
		arm = "Arm-1"
	}
	return resource{
		ResourceType: "ResearchSubject", ID: "rs-" + p.subject, Identifier: []identifier{{"urn:til-il2:subject", p.subject}}, Status: "on-study",
		Study: &reference{"ResearchStudy/til-il2"}, Individual: &reference{p.ref}, AssignedArm: arm, Period: &period{Start: p.at(-10, 0, 0).Format(time.DateOnly)},
	}
}

func (p *patient) admission() resource {
	return resource{
		ResourceType: "Encounter", ID: "enc-" + p.subject, Status: "in-progress", Class: &coding{"http://terminology.hl7.org/CodeSystem/v3-ActCode", "IMP", ""},
		Subject: &reference{p.ref}, Period: &period{Start: stamp(p.at(-7, 7, 30))},
	}
}

// discharge ends the stay in hospital.
func (p *patient) discharge(at time.Time) {
	r := p.admission()
	r.Status, r.Period.End = "finished", stamp(at)
	p.version(r, 2, at.Add(20*time.Minute), "")
}

func (p *patient) drug(name, rx, status string, at time.Time, dose quantity, route *concept) resource {
	return resource{
		ResourceType: "MedicationAdministration", Status: status, Medication: code(rxNorm, rx, name), Subject: &reference{p.ref}, Effective: stamp(at),
		Dosage: &dosage{Route: route, Dose: dose},
	}
}

func intravenous() *concept { return code(snomed, "47625008", "Intravenous") }

// treatment is lymphodepletion, the infusion and pembrolizumab.
func (p *patient) treatment() {
	mg := func(v float64) quantity { return quantity{Value: number(v, 0), Unit: "mg", System: ucum, Code: "mg"} }
	for day := -7; day <= -6; day++ {
		at := p.at(day, 10, p.IntN(30))
		p.send(p.drug("cyclophosphamide", "3002", "completed", at, mg(60*p.weight), intravenous()), at, 0)
	}
	for day := -5; day <= -1; day++ {
		at := p.at(day, 9, p.IntN(40))
		p.send(p.drug("fludarabine", "24698", "completed", at, mg(25*p.surface()), intravenous()), at, 0)
	}
	start := p.at(0, 10, p.IntN(40))
	p.send(resource{
		ResourceType: "Procedure", Status: "completed", Code: &concept{Text: "Tumor infiltrating lymphocytes infusion"}, Subject: &reference{p.ref},
		Performed: &period{stamp(start), stamp(start.Add(35 * time.Minute))},
	}, start.Add(35*time.Minute), 0)
	if p.script != nil {
		p.pembrolizumab(mg(200))
		return
	}
	at := p.at(21, 11, p.IntN(60))
	p.send(p.drug("pembrolizumab", "1547545", "completed", at, mg(200), intravenous()), at, 0)
}

// neutrophils is the count on a day, in 10*9/L: it falls from the second day of fludarabine, and comes back about ten days after the infusion.
func (p *patient) neutrophils(day float64) float64 {
	v := 4.2
	switch {
	case day >= p.recovery:
		v = min(1.0+0.9*(day-p.recovery), 4.5)
	case day > 0:
		v = p.nadir * math.Pow(1.0/p.nadir, math.Pow(day/p.recovery, 3))
	case day > -5:
		v = 4.2 * math.Pow(p.nadir/4.2, (day+5)/5)
	}
	return v * (0.85 + 0.3*p.Float64())
}

// mornings are the days on which blood is drawn.
func (p *patient) mornings() (days []int) {
	for day := -8; day <= 22; day++ {
		if day <= 14 || day%3 == 0 {
			days = append(days, day)
		}
	}
	if p.script != nil {
		days = p.script.mornings()
	}
	return days
}

// counts are the neutrophils and the creatinine of every morning.
func (p *patient) counts() {
	mixedUp := p.IntN(5) // some laboratories mix up a specimen on the first days
	for _, day := range p.mornings() {
		at := p.at(day, 5, 30+p.IntN(60))
		v := p.neutrophils(float64(day))
		p.draws = append(p.draws, draw{day: day, at: at, neutrophils: v})
		r := resource{
			ResourceType: "Observation", Status: "final", Code: code(loinc, "751-8", "Neutrophils"), Subject: &reference{p.ref}, Effective: stamp(at),
			Issued: stamp(at.Add(40 * time.Minute)), Value: p.count(v),
		}
		r.Range = normal(r.Value)
		sent := len(p.events)
		p.send(r, at, 45*time.Minute+time.Duration(p.IntN(30))*time.Minute)
		if p.forgets(day) {
			p.events = p.events[:sent]
		}
		p.creatinine(day, at)
		if p.cfg.Clean || r.Value == nil || p.forgets(day) {
			continue
		}
		if mixedUp == 0 && day == 2+p.IntN(3) {
			mixedUp = -1
			r.ID = p.lastID("Observation", "751-8")
			v = 1.6 + p.Float64()
			r.Status, r.Value = "corrected", &quantity{Value: number(v, 2), Unit: "10*3/uL", System: ucum, Code: "10*3/uL"}
			r.Range = normal(r.Value)
			later := at.Add(time.Duration(7+p.IntN(5)) * time.Hour)
			p.version(r, 2, later, "the laboratory corrects a neutrophil count of "+p.subject+": the specimen was another patient's")
			d := &p.draws[len(p.draws)-1]
			d.corrected, d.at2 = v, later
		}
	}
}

// forgets reports whether nobody orders a blood count on a day.
func (p *patient) forgets(day int) bool { return !p.cfg.Clean && day > 0 && day == p.noCount }

// count is a neutrophil count as this or that analyser reports it.
func (p *patient) count(v float64) *quantity {
	switch n := p.IntN(20); {
	case v < 0.1 && n < 8:
		return &quantity{Value: "0.1", Comparator: "<", Unit: "10*3/uL", System: ucum, Code: "10*3/uL"}
	case n < 3:
		return &quantity{Value: number(v*1000, 0), Unit: "/uL", System: ucum, Code: "/uL"}
	case n == 3:
		return &quantity{Value: number(v, 2), Unit: "K/uL"}
	case n == 4 && !p.cfg.Clean:
		return &quantity{Value: number(v, 2)} // no unit: nobody may guess
	}
	return &quantity{Value: number(v, 2), Unit: "10*3/uL", System: ucum, Code: "10*3/uL"}
}

// normal is the laboratory's range of a count, in the count's own unit: 1.8 to 7.7 10*9/L.
func normal(count *quantity) []limits {
	low, high := *count, *count
	low.Comparator, high.Comparator = "", ""
	low.Value, high.Value = "1.8", "7.7"
	if count.Code == "/uL" {
		low.Value, high.Value = "1800", "7700"
	}
	return []limits{{Low: &low, High: &high}}
}

// lastID is the id of this patient's last resource with a code.
func (p *patient) lastID(resourceType, code string) string {
	for _, e := range slices.Backward(p.events) {
		var r resource
		if e.Type == resourceType && json.Unmarshal(e.Data, &r) == nil && r.Subject.Reference == p.ref && r.Code.Coding[0].Code == code {
			return r.ID
		}
	}
	return ""
}

// kidneyAt is the creatinine on a day, mg/dL: high doses of IL-2 raise it for as long as they are given.
func (p *patient) kidneyAt(day int) float64 {
	v := 0.9 + 0.1*p.Float64()
	if p.highDose && day >= 2 && day <= 7 {
		v += (0.5 + 1.5*p.kidney) * float64(min(day, 8-day)) / 3
	}
	return v
}

func (p *patient) creatinine(day int, at time.Time) {
	v := math.Round(10*p.kidneyAt(day)) / 10 // as one that reports mg/dL rounds: the limits of holding a dose are the same in either unit
	p.draws[len(p.draws)-1].creatinine = v
	p.send(p.result(&creatinine, at, v), at, 50*time.Minute)
}

// vitals are temperatures every four hours from two days before the infusion on; the other vital signs are taken beside them.
func (p *patient) vitals() {
	misdirected := p.IntN(4)
	for at := p.at(-2, 8, 0); at.Before(p.at(14, 0, 0)); at = at.Add(4 * time.Hour) {
		if p.script != nil && p.atHome(at) {
			continue
		}
		t := at.Add(time.Duration(p.IntN(25)) * time.Minute)
		celsius := 36.5 + 0.7*p.Float64()
		for _, f := range p.fevers {
			if t.After(f.from) && t.Before(f.to) {
				celsius = 38.1 + 1.4*p.Float64()
			}
		}
		for _, g := range p.given { // a dose of IL-2 is answered by a short rise
			if since := t.Sub(g); p.highDose && since > time.Hour && since < 5*time.Hour {
				celsius = max(celsius, 37.0+0.9*p.Float64())
			}
		}
		p.temps = append(p.temps, reading{t, celsius})
		r := p.temperature(t, celsius)
		if !p.cfg.Clean && misdirected == 0 && celsius > 38.3 {
			misdirected = -1
			p.misdirect(r, t)
			continue
		}
		p.send(r, t, 0)
	}
}

func (p *patient) temperature(at time.Time, celsius float64) resource {
	r := resource{
		ResourceType: "Observation", Status: "final", Code: code(loinc, "8310-5", "Body temperature"), Subject: &reference{p.ref}, Effective: stamp(at),
		Value: &quantity{Value: number(celsius, 1), Unit: "Cel", System: ucum, Code: "Cel"},
	}
	if p.fahrenheit {
		r.Value = &quantity{Value: number(celsius*9/5+32, 1), Unit: "degF", System: ucum, Code: "[degF]"}
	}
	return r
}

// misdirect sends a fever to this patient that was somebody else's, and moves it an hour later; or takes it back.
func (p *patient) misdirect(r resource, at time.Time) {
	p.serial++
	r.ID = fmt.Sprintf("obs-%05d", p.serial)
	p.version(r, 1, at.Add(4*time.Minute), "")
	later := at.Add(time.Duration(50+p.IntN(60)) * time.Minute)
	if p.IntN(2) == 0 {
		r.Subject = &reference{"Patient/sim-ward"} // who is not in the trial
		p.version(r, 2, later, "a temperature of "+p.subject+" was another patient's: it is moved there")
		return
	}
	r.Status, r.Value = "entered-in-error", nil
	p.version(r, 2, later, "a temperature of "+p.subject+" was entered in error: it is taken back")
}

// strays are what every feed carries besides: people who are not in the trial, results that no rule reads, and lines that are broken.
func (c *cohort) strays() {
	p := &patient{cohort: c, ref: "Patient/sim-ward", subject: "nobody in the trial", day0: c.cfg.Day0}
	for at := p.at(-1, 7, 0); at.Before(p.at(15, 0, 0)); at = at.Add(6 * time.Hour) {
		p.send(p.temperature(at, 36.5+2*p.Float64()), at, 0)
		p.send(resource{
			ResourceType: "Observation", Status: "final", Code: code(loinc, "2951-2", "Sodium"), Subject: &reference{p.ref}, Effective: stamp(at),
			Value: &quantity{Value: number(135+8*p.Float64(), 0), Unit: "mmol/L", System: ucum, Code: "mmol/L"},
		}, at, 0)
	}
	for day := 1; day < 14; day += 4 {
		at := p.at(day, 12, 0)
		data := encode(p.temperature(at, 37))
		c.events = append(c.events, Event{at, "Observation", data[:len(data)-20], "a message is cut off on the way"})
		r := p.temperature(at, 37)
		r.ID, r.Effective = fmt.Sprintf("obs-untimed-%d", day), ""
		c.events = append(c.events, Event{at.Add(3 * time.Hour), "Observation", encode(r), "a result without a time has no place on a timeline"})
	}
}
