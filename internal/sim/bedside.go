package sim

import (
	"math"
	"time"
)

// reading is a temperature of the ward.
type reading struct {
	at      time.Time
	celsius float64
}

// bedside is what nurses chart besides temperatures: pressure, pulse, oxygen, weight, urine; and two examinations of the heart.
func (p *patient) bedside() {
	p.screening()
	bolus := time.Time{}
	for i, t := range p.temps {
		if p.dayOf(t.at) > 8 && i%2 == 1 && (p.script == nil || !p.discharged(t.at)) {
			continue // not so ill: half as often
		}
		if low := p.signs(t, false); low && t.at.Sub(bolus) > 12*time.Hour && p.chance.IntN(3) > 0 {
			bolus = t.at.Add(time.Duration(15+p.chance.IntN(40)) * time.Minute)
			p.fluid(bolus)
		}
	}
	p.beforeDoses()
	for _, d := range p.draws {
		at := p.at(d.day, 6, 40+p.chance.IntN(40))
		p.chart(p.measure("29463-7", "Body weight", at, p.mass(p.kilograms(at))), at)
	}
	p.urine()
	p.heart()
}

// screening is the visit before admission.
func (p *patient) screening() {
	at := p.at(-9, 9, p.chance.IntN(60))
	p.signs(reading{at, 36.7}, false)
	p.chart(p.measure("29463-7", "Body weight", at, p.mass(p.weight*(1+p.noise(0.004)))), at)
	p.chart(p.measure("8302-2", "Body height", at, &quantity{Value: number(p.height, 1), Unit: "cm", System: ucum, Code: "cm"}), at)
}

// beforeDoses is the look at the patient before a high dose is given: after fluid, so that nothing forbids it, and now and then all the same.
func (p *patient) beforeDoses() {
	if !p.highDose {
		return
	}
	for _, g := range p.given {
		at := g.Add(-time.Duration(10+p.chance.IntN(20)) * time.Minute)
		p.signs(reading{at, p.celsiusAt(at)}, p.chance.IntN(20) > 0)
	}
}

// celsiusAt is the last temperature before an instant.
func (p *patient) celsiusAt(at time.Time) float64 {
	celsius := 36.8
	for _, t := range p.temps {
		if t.at.Before(at) {
			celsius = t.celsius
		}
	}
	return celsius
}

// signs sends a set of vital signs, and reports whether the pressure is low. Where it is fit for IL-2, nothing is beyond the criteria for holding a dose.
func (p *patient) signs(t reading, fit bool) (low bool) {
	effect := p.il2Effect(t.at)
	since := 24.0
	for _, g := range p.given {
		if h := t.at.Sub(g).Hours(); h > 0 {
			since = min(since, h)
		}
	}
	fever := max(0, t.celsius-37)
	sys := p.systolic - 30*effect + p.noise(6)
	pulse := p.pulse + 17*effect + 9*fever + p.noise(4)
	if p.highDose && since > 2 && since < 6 { // pressure falls some hours after each dose
		sys -= 5
		pulse += 5
	}
	sys = max(sys, 68)
	oxygen := min(100, 97.6-5.2*effect*p.liver-0.4*fever+p.noise(0.7))
	if fit {
		sys, pulse, oxygen = max(sys, 92+math.Abs(p.noise(4))), min(pulse, 118), max(oxygen, 92)
	}

	pressure := p.measure("85354-9", "Blood pressure panel", t.at, nil)
	for _, c := range []struct {
		code, name string
		value      float64
	}{{"8480-6", "Systolic blood pressure", sys}, {"8462-4", "Diastolic blood pressure", 0.45*sys + 20 + p.noise(4)}} {
		pressure.Components = append(pressure.Components, component{*code(loinc, c.code, c.name), quantity{Value: number(c.value, 0), Unit: "mmHg", System: ucum, Code: "mm[Hg]"}})
	}
	p.chart(pressure, t.at)
	rate := &quantity{Value: number(pulse, 0), Unit: "/min", System: ucum, Code: "/min"}
	if p.lab.spelt {
		rate = &quantity{Value: number(pulse, 0), Unit: "bpm"}
	}
	p.chart(p.measure("8867-4", "Heart rate", t.at, rate), t.at)
	p.chart(p.measure("59408-5", "Oxygen saturation by pulse oximetry", t.at, &quantity{Value: number(oxygen, 0), Unit: "%", System: ucum, Code: "%"}), t.at)
	return math.Round(sys) < 90
}

// fluid is half a litre against a low pressure.
func (p *patient) fluid(at time.Time) {
	r := p.drug("", "", "completed", at, quantity{Value: "500", Unit: "mL", System: ucum, Code: "mL"}, intravenous())
	r.ID, r.Medication = p.nextID("med"), &concept{Text: "sodium chloride 0.9 % bolus"}
	p.version(r, 1, at.Add(10*time.Minute), "")
}

// mass is a weight in the unit of the ward: where it measures in Fahrenheit, it weighs in pounds.
func (p *patient) mass(kg float64) *quantity {
	if p.fahrenheit {
		return &quantity{Value: number(kg/0.45359237, 1), Unit: "lb", System: ucum, Code: "[lb_av]"}
	}
	return &quantity{Value: number(kg, 1), Unit: "kg", System: ucum, Code: "kg"}
}

// urine is charted a shift at a time while the patient is on the ward. It fails as creatinine rises.
func (p *patient) urine() {
	for day := -1; day < 9; day++ {
		for shift := range 3 {
			from, to := p.at(day, 6+8*shift, 0), p.at(day, 14+8*shift, 0)
			volume := (620 + 250*flooded(float64(day)) + p.noise(90)) * (1 - 0.9*ramp(p.creatinineAt(to), 1.1, 2.9))
			r := p.measure("9192-6", "Urine output 8 hour", from, &quantity{Value: number(max(25, math.Round(volume/5)*5), 0), Unit: "mL", System: ucum, Code: "mL"})
			r.Effective, r.During = "", &period{stamp(from), stamp(to)}
			if p.chance.IntN(40) == 0 && !p.cfg.Clean {
				continue // nobody charted it
			}
			p.chart(r, to)
		}
	}
}

// creatinineAt is the last one before an instant, mg/dL.
func (p *patient) creatinineAt(at time.Time) (v float64) {
	for _, d := range p.draws {
		if d.at.Before(at) {
			v = d.creatinine
		}
	}
	return v
}

// heart is an echocardiogram and an ECG before treatment and once after it.
func (p *patient) heart() {
	ejection, qtc := 59+7*p.chance.Float64(), 405+25*p.chance.Float64()
	for _, day := range []int{-9, 10} {
		at := p.at(day, 14, p.chance.IntN(60))
		if day > 0 {
			ejection -= min(2+20*p.il2Effect(p.at(6, 0, 0))*p.chance.Float64(), 18)
		}
		p.chart(p.measure("10230-1", "Left ventricular ejection fraction", at, &quantity{Value: number(ejection, 0), Unit: "%", System: ucum, Code: "%"}), at)
	}
	for _, day := range []int{-9, 4} {
		at := p.at(day, 15, p.chance.IntN(60))
		if day > 0 {
			qtc += 8 + 45*p.chance.Float64() // ondansetron, levofloxacin, and little magnesium
		}
		p.chart(p.measure("8636-3", "QTc interval", at, &quantity{Value: number(qtc, 0), Unit: "ms", System: ucum, Code: "ms"}), at)
	}
}

func (p *patient) measure(loincCode, name string, at time.Time, v *quantity) resource {
	return resource{ResourceType: "Observation", Status: "final", Code: code(loinc, loincCode, name), Subject: &reference{p.ref}, Effective: stamp(at), Value: v}
}

// chart sends what was charted a few minutes after it was measured, now and then at the end of the shift, and now and then twice.
func (p *patient) chart(r resource, at time.Time) {
	r.ID = p.nextID("vit")
	received := at.Add(time.Duration(2+p.chance.IntN(12)) * time.Minute)
	if !p.cfg.Clean && p.chance.IntN(80) == 0 {
		received = received.Add(time.Duration(1+p.chance.IntN(5)) * time.Hour)
	}
	p.version(r, 1, received, "")
	p.sometimesAgain(received)
}
