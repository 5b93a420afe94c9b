package protocol

import (
	"slices"
	"strconv"

	"github.com/trialwatch/trialwatch/rules/ctcae"
	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/document"
)

// Stopping is a boundary for the share of patients with toxicity, watched by its posterior probability. It is met once at least Minimum patients count
// and P(share > Limit | Prior and the patients) is above Cut.
type Stopping struct {
	ID     string         `yaml:"id"`
	Title  string         `yaml:"title"`
	Counts ToxicityCount  `yaml:"counts"`
	Limit  decimal.Number `yaml:"limit"`
	Prior  Prior          `yaml:"prior"`
	Cut    decimal.Number `yaml:"cut"`
	// Minimum is how many patients must count before the boundary can be met.
	Minimum int    `yaml:"minimum"`
	Per     string `yaml:"per"` // [PerArm]: each arm for itself; or [PerTrial]: all patients with an arm together
	Cite    string `yaml:"cite"`
}

// What a boundary is for.
const (
	PerArm   = "arm"
	PerTrial = "trial"
)

// ToxicityCount says which toxicities make a patient one with toxicity.
type ToxicityCount struct {
	Terms    []string `yaml:"terms"`    // in kebab case; none: every term
	AtLeast  int      `yaml:"atLeast"`  // grade
	Expected bool     `yaml:"expected"` // those that the protocol expects count as well
	// Within is how long after the first treatment a toxicity must have reached the grade to count; a patient without one counts once that time is over. 0:
	// every toxicity under treatment, and a patient counts from the first treatment on.
	Within Duration `yaml:"within"`

	rules []string // ids of Terms in the pinned version
}

// Prior is a beta distribution.
type Prior struct {
	Alpha decimal.Number `yaml:"alpha"`
	Beta  decimal.Number `yaml:"beta"`
}

// Has reports whether toxicities of a rule count.
func (t *ToxicityCount) Has(rule string) bool {
	return len(t.Terms) == 0 || slices.Contains(t.rules, rule)
}

// stopping judges the boundaries. Any term can count: what no data show a clinician may grade.
func (f *file) stopping(p *Protocol) {
	one := decimal.Int(1)
	for i := range p.Stopping {
		s, at := &p.Stopping[i], func(fields ...string) []string {
			return append([]string{"stopping", strconv.Itoa(i)}, fields...)
		}
		if len(p.Treatments) == 0 {
			f.at(at("id"), "boundary %s: patients count from their first treatment, and treatments are missing", s.ID)
		}
		if slices.ContainsFunc(p.Stopping[:i], func(o Stopping) bool { return o.ID == s.ID }) {
			f.at(at("id"), "boundary %s stands here twice", s.ID)
		}
		for j, term := range s.Counts.Terms {
			l := ctcae.List(p.CTCAE, term)
			if l == nil {
				f.at(at("counts", "terms", strconv.Itoa(j)), "boundary %s: CTCAE %s has no term %q%s", s.ID, p.CTCAE, term, document.DidYouMean(term, ctcae.Names()))
				continue
			}
			s.Counts.rules = append(s.Counts.rules, "tox."+l.Slug)
		}
		for _, share := range []struct {
			key   string
			value decimal.Number
		}{{"limit", s.Limit}, {"cut", s.Cut}} {
			if share.value.Sign() <= 0 || !share.value.Less(one) {
				f.at(at(share.key), "boundary %s: a share lies between 0 and 1: want 0.30, not 30", s.ID)
			}
		}
		for _, weight := range []struct {
			key   string
			value decimal.Number
		}{{"alpha", s.Prior.Alpha}, {"beta", s.Prior.Beta}} {
			if weight.value.Sign() <= 0 {
				f.at(at("prior", weight.key), "boundary %s: %s of the prior is above 0", s.ID, weight.key)
			}
		}
	}
}
