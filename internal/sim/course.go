package sim

import (
	"math"
	"math/rand/v2"
	"time"
)

// body is what a patient brings and how strongly it answers to the treatment. Everything in it, and whatever is drawn from it later, comes from
// the patient's own source of chance.
type body struct {
	chance         *rand.Rand
	weight, height float64 // kg and cm before treatment
	leak           float64 // how vessels answer to IL-2: 1 is strongly
	liver          float64 // how the liver does
	metastases     bool    // in the liver: its enzymes are abnormal before anything is given
	diabetes       bool
	bold           bool    // whose doctors go on with IL-2 at few platelets
	hemoglobin     float64 // g/dL before treatment, as the next
	platelets      float64 // 10*9/L
	lymphocytes    float64 // 10*9/L
	albumin        float64 // g/dL
	potassium      float64 // mmol/L
	noCount        int     // study day on which nobody orders a blood count, 0: it is drawn every day
	systolic       float64 // mm[Hg]
	pulse          float64 // /min
}

func newBody(seed uint64, i int) body {
	r := rand.New(rand.NewPCG(seed, uint64(i+1)<<32)) // another than that of sim.go, for every patient
	between := func(low, high float64) float64 { return low + (high-low)*r.Float64() }
	b := body{
		chance: r, height: between(158, 190), leak: between(0.65, 1.15), liver: between(0.3, 1.3), hemoglobin: between(12.2, 14.8), platelets: between(170, 320),
		lymphocytes: between(1.3, 2.2), albumin: between(3.8, 4.5), potassium: between(3.8, 4.5), systolic: between(106, 132), pulse: between(62, 82),
	}
	b.weight = math.Round(10*between(21.5, 29.5)*b.height*b.height/1e4) / 10 // by a body mass index
	// By place in the cohort, not by chance: a small one too should show a baseline that is not normal, in either arm.
	b.metastases, b.diabetes = i%7 == 3, i%9 == 5
	if b.metastases {
		b.hemoglobin -= 1.6
	}
	b.bold = r.IntN(10) == 0
	forgotten := rand.New(rand.NewPCG(seed, uint64(i+1)<<32+1)) // again another
	if forgotten.IntN(3) == 0 {
		b.noCount = 3 + forgotten.IntN(10)
	}
	return b
}

// surface is that of the body in m2, after Mosteller.
func (b *body) surface() float64 { return math.Sqrt(b.height * b.weight / 3600) }

// noise is normal with a standard deviation.
func (b *body) noise(deviation float64) float64 { return deviation * b.chance.NormFloat64() }

// il2Effect is how much IL-2 weighs at an instant: every dose adds, and wears off within days. After eight doses of the high-dose course it is about 1,
// in the low-dose course it stays at about 0.2. A patient's vessels answer by leak.
func (p *patient) il2Effect(at time.Time) float64 {
	dose := 0.075
	if p.highDose {
		dose = 0.2
	}
	sum := 0.0
	for _, g := range p.given {
		if since := at.Sub(g).Hours(); since > 0 {
			sum += dose * math.Exp(-since/48)
		}
	}
	return p.leak * sum
}

// flooded is the effect of the fluid that is given with cyclophosphamide: 1 on its second day.
func flooded(day float64) float64 { return math.Exp(-math.Pow((day+5.7)/1.1, 2)) }

// ramp rises from 0 at the one day to 1 at the other.
func ramp(day, from, to float64) float64 { return min(1, max(0, (day-from)/(to-from))) }

// dayOf is the study day of an instant, with its fraction.
func (p *patient) dayOf(at time.Time) float64 { return at.Sub(p.day0).Hours() / 24 }

// kilograms is the weight at an instant: fluid comes with the leak and goes with it, and appetite is poor for two weeks.
func (p *patient) kilograms(at time.Time) float64 {
	day := p.dayOf(at)
	gain := 0.125*p.il2Effect(at) + 0.012*flooded(day) - 0.04*ramp(day, 0, 14)
	return p.weight * (1 + min(gain, 0.125) + p.noise(0.003))
}
