package protocol

import (
	"slices"
	"strconv"
	"time"
)

// Blinding says that not everybody may see the arms.
type Blinding struct {
	// Unblinded are the roles that may, such as the safety board. Everywhere else the arms are pooled.
	Unblinded []string `yaml:"unblinded"`
	// PublishEvery is how often the pooled panels are published: whole days, or hours of which a day has a whole number, on the clocks of the trial's zone. 0: as
	// they change.
	PublishEvery Duration `yaml:"publishEvery"`
	// SuppressBelow lets pooled panels say no more of a count than at least which multiple of this number it is. 0: they say what it is.
	SuppressBelow int    `yaml:"suppressBelow"`
	Cite          string `yaml:"cite"`
}

// Period numbers the spans of PublishEvery: it is the same for all instants of one span, and later for later ones. Where the clock is put back an hour comes twice
// and is one span. Of no PublishEvery every second is a span.
func (b *Blinding) Period(at time.Time, zone *time.Location) int64 {
	every := b.PublishEvery.D()
	if every == 0 {
		return at.Unix()
	}
	const day = 24 * time.Hour
	at = at.In(zone)
	y, m, d := at.Date()
	days := time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / int64(day/time.Second)
	if every >= day {
		return days / int64(every/day)
	}
	return days*int64(day/every) + int64(time.Duration(at.Hour())*time.Hour/every)
}

// blinding judges who may see the arms.
func (f *file) blinding(p *Protocol) {
	if p.Blinding == nil {
		return
	}
	for i, role := range p.Blinding.Unblinded {
		if slices.Contains(p.Blinding.Unblinded[:i], role) {
			f.at([]string{"blinding", "unblinded", strconv.Itoa(i)}, "role %s stands here twice", role)
		}
	}
	const day = 24 * time.Hour
	if every := p.Blinding.PublishEvery.D(); every%day != 0 && (every%time.Hour != 0 || day%every != 0) {
		f.at([]string{"blinding", "publishEvery"}, "pooled panels are published every so many days, or every 1, 2, 3, 4, 6, 8 or 12 hours, not every %s", p.Blinding.PublishEvery)
	}
	if p.Blinding.SuppressBelow > 0 && p.Blinding.PublishEvery == 0 {
		f.at([]string{"blinding", "suppressBelow"}, "suppressBelow needs publishEvery: what is published as it changes tells by its minute what is suppressed")
	}
}

// TellsArms reports whether who had a regimen is thereby known to be in one arm and not in another: it is not the same in all of them.
func (p *Protocol) TellsArms(regimen string) bool {
	return slices.ContainsFunc(p.Regimens, func(r Regimen) bool { return r.ID == regimen && r.Arm != AllArms })
}

// TreatmentTellsArms is the same of a treatment: some arm has a regimen of it, and another has none. How much of it an arm gets is another matter.
func (p *Protocol) TreatmentTellsArms(concept string) bool {
	var with []string
	for i := range p.Regimens {
		if p.Regimens[i].Drug == concept {
			with = append(with, p.Regimens[i].Arm)
		}
	}
	if len(with) == 0 || slices.Contains(with, AllArms) {
		return false
	}
	return slices.ContainsFunc(p.Arms, func(a Arm) bool { return !slices.Contains(with, a.ID) })
}
