package sim

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// draw is the blood of one morning.
type draw struct {
	day         int
	at          time.Time
	neutrophils float64 // 10*9/L
	creatinine  float64 // mg/dL
	corrected   float64 // neutrophils once the laboratory has found that the specimen was another patient's, else 0
	at2         time.Time
}

// scale is how a laboratory reports an analyte.
type scale struct {
	code     string // LOINC
	unit     string // UCUM
	words    string // the unit where it is spelt and not coded
	factor   float64
	decimals int
	low      string // limits of normal, "" where there is none
	high     string
	least    string // below it the laboratory writes "<", "": never
}

// analyte is a measurement, as most laboratories of the United States report it and as the others do. Where the second has no code, both do as the first.
type analyte struct {
	name   string
	us, si scale
}

var (
	leukocytes  = analyte{name: "Leukocytes", us: scale{"6690-2", "10*3/uL", "K/uL", 1, 2, "4.0", "11.0", "0.1"}}
	lymphocytes = analyte{name: "Lymphocytes", us: scale{"731-0", "10*3/uL", "K/uL", 1, 2, "1.0", "4.8", "0.05"}}
	platelets   = analyte{name: "Platelets", us: scale{"777-3", "10*3/uL", "K/uL", 1, 0, "150", "400", "5"}}
	hemoglobin  = analyte{name: "Hemoglobin", us: scale{"718-7", "g/dL", "gm/dL", 1, 1, "12.0", "16.0", ""}, si: scale{"718-7", "g/L", "g/L", 10, 0, "120", "160", ""}}

	sodium     = analyte{name: "Sodium", us: scale{"2951-2", "mmol/L", "mEq/L", 1, 0, "135", "145", ""}}
	potassium  = analyte{name: "Potassium", us: scale{"2823-3", "mmol/L", "mEq/L", 1, 1, "3.4", "5.1", ""}}
	calcium    = analyte{name: "Calcium", us: scale{"17861-6", "mg/dL", "mg/dL", 1, 1, "8.5", "10.5", ""}, si: scale{"2000-8", "mmol/L", "mmol/L", 0.2495, 2, "2.12", "2.62", ""}}
	albumin    = analyte{name: "Albumin", us: scale{"1751-7", "g/dL", "gm/dL", 1, 1, "3.5", "5.0", ""}, si: scale{"1751-7", "g/L", "g/L", 10, 0, "35", "50", ""}}
	magnesium  = analyte{name: "Magnesium", us: scale{"19123-9", "mg/dL", "mg/dL", 1, 1, "1.6", "2.6", ""}, si: scale{"2601-3", "mmol/L", "mmol/L", 0.4114, 2, "0.66", "1.07", ""}}
	phosphate  = analyte{name: "Phosphate", us: scale{"2777-1", "mg/dL", "mg/dL", 1, 1, "2.5", "4.5", ""}, si: scale{"14879-1", "mmol/L", "mmol/L", 0.3229, 2, "0.81", "1.45", ""}}
	glucose    = analyte{name: "Glucose", us: scale{"2345-7", "mg/dL", "mg/dL", 1, 0, "70", "140", ""}, si: scale{"14749-6", "mmol/L", "mmol/L", 0.0555, 1, "3.9", "7.8", ""}}
	creatinine = analyte{name: "Creatinine", us: scale{"2160-0", "mg/dL", "mg/dL", 1, 1, "0.6", "1.2", ""}, si: scale{"14682-9", "umol/L", "umol/L", 88.4, 0, "53", "106", ""}}
	alt        = analyte{name: "Alanine aminotransferase", us: scale{"1742-6", "U/L", "IU/L", 1, 0, "", "45", ""}}
	ast        = analyte{name: "Aspartate aminotransferase", us: scale{"1920-8", "U/L", "IU/L", 1, 0, "", "40", ""}}
	alp        = analyte{name: "Alkaline phosphatase", us: scale{"6768-6", "U/L", "IU/L", 1, 0, "40", "129", ""}}
	ggt        = analyte{name: "Gamma glutamyl transferase", us: scale{"2324-2", "U/L", "IU/L", 1, 0, "", "60", ""}}
	bilirubin  = analyte{name: "Bilirubin", us: scale{"1975-2", "mg/dL", "mg/dL", 1, 1, "0.2", "1.2", "0.2"}, si: scale{"14631-6", "umol/L", "umol/L", 17.1, 0, "3", "21", "3"}}

	lipase  = analyte{name: "Lipase", us: scale{"3040-3", "U/L", "IU/L", 1, 0, "13", "60", ""}}
	amylase = analyte{name: "Amylase", us: scale{"1798-8", "U/L", "IU/L", 1, 0, "28", "100", ""}}
	cpk     = analyte{name: "Creatine kinase", us: scale{"2157-6", "U/L", "IU/L", 1, 0, "30", "200", ""}}
	inr     = analyte{name: "INR", us: scale{"6301-6", "{INR}", "", 1, 1, "0.9", "1.1", ""}}
	tsh     = analyte{name: "Thyrotropin", us: scale{"3016-3", "m[IU]/L", "uIU/mL", 1, 2, "0.40", "4.50", "0.01"}}
)

// laboratory is how the results of a patient are written.
type laboratory struct {
	si     bool
	spelt  bool // units in words, without a code
	flags  bool // says of each result where it lies
	ranges map[string]rangeStyle
}

type rangeStyle int

const (
	structured rangeStyle = iota
	inWords
	missing
)

func newLaboratory(p *patient, i int) laboratory {
	l := laboratory{si: i%5 == 2, spelt: p.chance.IntN(5) == 0, flags: p.chance.IntN(2) == 0, ranges: map[string]rangeStyle{}}
	for _, a := range []*analyte{
		&leukocytes, &lymphocytes, &platelets, &hemoglobin, &sodium, &potassium, &calcium, &albumin, &magnesium, &phosphate, &glucose, &alt, &ast, &alp, &ggt,
		&bilirubin, &lipase, &amylase, &cpk, &inr, &tsh,
	} {
		switch n := p.chance.IntN(40); {
		case n < 4:
			l.ranges[a.name] = inWords
		case n == 4 && !p.cfg.Clean:
			l.ranges[a.name] = missing
		}
	}
	return l
}

// result is a measurement, given in the unit of the first scale, as this patient's laboratory writes it.
func (p *patient) result(a *analyte, at time.Time, v float64) resource {
	s := &a.us
	if p.lab.si && a.si.code != "" {
		s = &a.si
	}
	in := func(value string) *quantity {
		if p.lab.spelt {
			return &quantity{Value: json.Number(value), Unit: s.words}
		}
		return &quantity{Value: json.Number(value), Unit: s.unit, System: ucum, Code: s.unit}
	}
	q := in(string(number(v*s.factor, s.decimals)))
	if s.least != "" && v*s.factor < mustFloat(s.least) {
		q = in(s.least)
		q.Comparator = "<"
	}
	r := resource{
		ResourceType: "Observation", Status: "final", Code: code(loinc, s.code, a.name), Subject: &reference{p.ref}, Effective: stamp(at), Value: q,
	}
	switch p.lab.ranges[a.name] {
	case structured:
		l := limits{}
		if s.low != "" {
			l.Low = in(s.low)
		}
		if s.high != "" {
			l.High = in(s.high)
		}
		r.Range = []limits{l}
	case inWords:
		text := s.low + " - " + s.high
		if s.low == "" {
			text = "<=" + s.high
		}
		r.Range = []limits{{Text: text}}
	}
	if p.lab.flags {
		f := "N"
		switch value := mustFloat(string(q.Value)); {
		case s.high != "" && value > mustFloat(s.high):
			f = "H"
		case s.low != "" && value < mustFloat(s.low):
			f = "L"
		}
		r.Flag = []concept{{Coding: []coding{{System: "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", Code: f}}}}
	}
	return r
}

// bloods are the counts and the chemistry of every morning, and what is measured less often.
func (p *patient) bloods() {
	c := p.newCells()
	haemolysed := p.chance.IntN(24) - 17 // day on which a potassium is false, in one of four
	for i := range p.draws {
		d := &p.draws[i]
		sent := len(p.events)
		if p.cells(&c, d); p.forgets(d.day) {
			p.events = p.events[:sent]
		}
		p.chemistry(d, d.day == haemolysed && d.day > 0)
		switch d.day {
		case -8, 3, 7, 14:
			p.seldom(d)
		case 21:
			p.thyroid(d)
		}
	}
	p.thyroid(&draw{day: -9, at: p.at(-9, 10, 15)})
}

// cells is the state of the marrow from one morning to the next.
type cells struct {
	lowest, lowestDay float64 // of platelets
	transfused        float64 // what is left of platelets given
	hemoglobin        float64
	back              float64 // day on which lymphocytes are back
}

func (p *patient) newCells() cells {
	c := cells{lowest: 14 + 40*p.chance.Float64(), lowestDay: 5 + 3*p.chance.Float64(), hemoglobin: p.hemoglobin, back: 9 + 5*p.chance.Float64()}
	if !p.highDose {
		c.lowest *= 1.6 // IL-2 lowers them too
	}
	return c
}

func (p *patient) cells(c *cells, d *draw) {
	day, effect := float64(d.day), p.il2Effect(d.at)
	lymph := p.lymphocytes * math.Pow(0.03/p.lymphocytes, ramp(day, -7, -1))
	if day > 3 {
		lymph = 0.03 * math.Pow(1.1/0.03, ramp(day, 3, c.back))
	}
	lymph *= math.Exp(p.noise(0.12))
	plt := p.platelets * math.Pow(c.lowest/p.platelets, ramp(day, -4, c.lowestDay))
	if day > c.lowestDay {
		plt = min(c.lowest*math.Exp(0.24*(day-c.lowestDay)), p.platelets)
	}
	c.transfused *= 0.6
	plt = plt*math.Exp(p.noise(0.06)) + c.transfused
	if plt < 15 {
		c.transfused += 25 // seen tomorrow
	}
	if enough := 52 + 12*p.chance.Float64(); !p.bold && p.dosedWithin(d.at, 26*time.Hour) {
		plt = max(plt, enough) // IL-2 is held at 50 and below, so platelets are given to go on
	}
	switch {
	case day > 10:
		c.hemoglobin = min(c.hemoglobin+0.09, max(c.hemoglobin, p.hemoglobin))
	case day > -7:
		c.hemoglobin -= 0.24
	}
	hb := c.hemoglobin - 0.9*effect - 0.5*flooded(day) + p.noise(0.15) // thinned by the fluid
	if hb < 7.6 {
		c.hemoglobin += 1.3 // two units of red cells
	}
	white := func(neutrophils float64) float64 { return neutrophils*1.1 + lymph + 0.02 + 0.25*effect*ramp(day, 4, 8) }

	received := time.Duration(40+p.chance.IntN(35)) * time.Minute
	for _, r := range []struct {
		*analyte
		value, corrected float64
	}{
		{&leukocytes, white(d.neutrophils), white(d.corrected)},
		{&lymphocytes, lymph, lymph},
		{&platelets, plt, plt},
		{&hemoglobin, hb, hb},
	} {
		if d.corrected == 0 {
			p.report(p.result(r.analyte, d.at, r.value), d.at, received)
			continue
		}
		// Every count of the tube was another patient's, who has more of some and less of others.
		first := p.result(r.analyte, d.at, r.value*(0.8+0.5*p.chance.Float64()))
		if r.analyte == &leukocytes {
			first = p.result(r.analyte, d.at, r.value)
		}
		first.ID = p.nextID("lab")
		p.version(first, 1, d.at.Add(received), "")
		again := p.result(r.analyte, d.at, r.corrected)
		again.ID, again.Status = first.ID, "corrected"
		p.version(again, 2, d.at2, "")
	}
}

// dosedWithin reports whether IL-2 was given within a span after an instant.
func (p *patient) dosedWithin(at time.Time, span time.Duration) bool {
	return slices.ContainsFunc(p.given, func(g time.Time) bool { return g.After(at) && g.Sub(at) < span })
}

func (p *patient) chemistry(d *draw, haemolysed bool) {
	day, effect := float64(d.day), p.il2Effect(d.at)
	answer := p.liver * effect
	alb := p.albumin - 0.3*ramp(day, -6, 0) - 1.25*min(effect, 1.2) + 0.3*ramp(day, 9, 20) + p.noise(0.08)
	sugar := 96.0
	enzymes := [4]float64{24, 22, 75, 28} // ALT, AST, ALP, GGT before treatment
	if p.metastases {
		enzymes = [4]float64{92, 71, 205, 168}
	}
	if p.diabetes {
		sugar = 158
	}
	vary := func() float64 { return math.Exp(p.noise(0.07)) }

	received := time.Duration(50+p.chance.IntN(50)) * time.Minute
	for _, r := range []struct {
		*analyte
		value float64
	}{
		{&sodium, 139 - 6.5*effect - 3*flooded(day) + p.noise(1.1)},
		{&potassium, p.potassium - 0.5*flooded(day) - 0.4*effect + 0.3*max(0, d.creatinine-1) + p.noise(0.18)},
		{&calcium, 9.45 - 0.8*(4-alb) - 0.2*effect + p.noise(0.12)},
		{&albumin, alb},
		{&magnesium, 2.05 - 0.5*effect - 0.15*flooded(day) + p.noise(0.09)},
		{&phosphate, max(0.8, 3.5-1.6*effect+p.noise(0.22))},
		{&glucose, sugar + 26*effect + p.noise(9)},
		{&alt, enzymes[0] * (1 + 4.5*answer) * vary()},
		{&ast, enzymes[1] * (1 + 4*answer) * vary()},
		{&alp, enzymes[2] * (1 + 0.9*answer) * vary()},
		{&ggt, enzymes[3] * (1 + 1.3*answer) * vary()},
		{&bilirubin, 0.55 + 2.9*answer + 0.1*math.Abs(p.noise(1))},
	} {
		if r.analyte == &potassium && haemolysed && !p.cfg.Clean {
			p.haemolysed(d.at, r.value)
			continue
		}
		p.report(p.result(r.analyte, d.at, r.value), d.at, received)
	}
}

// haemolysed sends a potassium that is too high because the cells broke in the tube, and what it was of a second one, hours later.
func (p *patient) haemolysed(at time.Time, v float64) {
	r := p.result(&potassium, at, 6.2+0.7*p.chance.Float64())
	r.ID = p.nextID("lab")
	p.version(r, 1, at.Add(55*time.Minute), "")
	again := p.result(&potassium, at, v)
	again.ID, again.Status = r.ID, "amended"
	p.version(again, 2, at.Add(time.Duration(150+p.chance.IntN(120))*time.Minute), "the laboratory amends a potassium of "+p.subject+": the specimen was haemolysed")
}

func (p *patient) seldom(d *draw) {
	effect := p.il2Effect(d.at)
	received := time.Duration(90+p.chance.IntN(120)) * time.Minute
	for _, r := range []struct {
		*analyte
		value float64
	}{
		{&lipase, 34 * (1 + 1.1*effect*p.liver) * math.Exp(p.noise(0.2))},
		{&amylase, 58 * (1 + 0.7*effect*p.liver) * math.Exp(p.noise(0.15))},
		{&cpk, 95 * (1 + 2.4*effect) * math.Exp(p.noise(0.4))},
		{&inr, 1.0 + 0.4*effect*p.liver + math.Abs(p.noise(0.05))},
	} {
		p.report(p.result(r.analyte, d.at, r.value), d.at, received)
	}
}

// thyroid is sent elsewhere to be measured, and comes the next day. IL-2 inflames the gland of some.
func (p *patient) thyroid(d *draw) {
	v := 1.8 * math.Exp(p.noise(0.35))
	if d.day > 0 && p.chance.IntN(5) == 0 {
		v *= 4
	}
	p.report(p.result(&tsh, d.at, v), d.at, time.Duration(20+p.chance.IntN(10))*time.Hour)
}

// report sends a result of the laboratory, and now and then as one meets it: preliminary first, late, or twice.
func (p *patient) report(r resource, at time.Time, delay time.Duration) {
	r.ID = p.nextID("lab")
	version, note := 1, ""
	if !p.cfg.Clean {
		switch n := p.chance.IntN(600); {
		case n < 6:
			early := r
			early.Status = "preliminary"
			p.version(early, 1, at.Add(delay), "")
			version, delay = 2, delay+time.Duration(60+p.chance.IntN(180))*time.Minute
		case n == 6:
			delay += time.Duration(4+p.chance.IntN(20)) * time.Hour
			note = fmt.Sprintf("a result (%s) of %s arrives %d h late", strings.ToLower(r.Code.Text), p.subject, int(delay.Hours()))
		}
	}
	p.version(r, version, at.Add(delay), note)
	p.sometimesAgain(at.Add(delay))
}

// sometimesAgain repeats the message that was sent last: the same bytes.
func (p *patient) sometimesAgain(received time.Time) {
	if p.cfg.Clean || p.chance.IntN(100) > 0 {
		return
	}
	last := p.events[len(p.events)-1]
	last.At, last.Note = received.Add(time.Duration(1+p.chance.IntN(90))*time.Minute), ""
	p.events = append(p.events, last)
}

func (c *cohort) nextID(kind string) string {
	c.charts++
	return fmt.Sprintf("%s-%05d", kind, c.charts)
}

// mustFloat reads a number that we wrote.
func mustFloat(s string) float64 {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		panic(err)
	}
	return v
}
