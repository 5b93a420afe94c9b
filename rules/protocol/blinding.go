package protocol

import (
	"slices"
	"strconv"
)

// Blinding says that not everybody may see the arms.
type Blinding struct {
	// Unblinded are the roles that may, such as the safety board. Everywhere else the arms are pooled.
	Unblinded []string `yaml:"unblinded"`
	Cite      string   `yaml:"cite"`
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
