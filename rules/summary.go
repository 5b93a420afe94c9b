package rules

import (
	"slices"
	"strings"

	"github.com/trialwatch/trialwatch/rules/timeline"
)

// Summary is a patient's contribution to the aggregates of one study: no name, no times, no evidence. The zero value contributes nothing.
type Summary struct {
	Enrolled bool   `json:"enrolled"`
	Site     string `json:"site,omitempty"`
	Arm      string `json:"arm,omitempty"`      // assigned
	ActualAs string `json:"actualAs,omitempty"` // arm as treated where it is known and differs
	Treated  bool   `json:"treated,omitempty"`
	OffStudy bool   `json:"offStudy,omitempty"`
	// Evaluable: treated, with at least one temperature or count that could be graded.
	Evaluable bool         `json:"evaluable,omitempty"`
	Toxicity  []TermGrade  `json:"toxicity,omitempty"` // by term
	Exposure  []Exposure   `json:"exposure,omitempty"` // by regimen
	Events    []RuleEvents `json:"events,omitempty"`   // deviations, by rule
	Started   []string     `json:"started,omitempty"`  // treatments of which a dose was given, in the order of the protocol

	// Best is the best overall response so far, "" where the protocol has none. Assessed says that some assessment that counts could be evaluated, and
	// Unconfirmed that a better response than Best was seen and nothing has confirmed it.
	Best        timeline.Category `json:"best,omitempty"`
	Assessed    bool              `json:"assessed,omitempty"`
	Unconfirmed bool              `json:"unconfirmed,omitempty"`
	PFS         *Followed         `json:"pfs,omitempty"` // nil before the start of survival
	OS          *Followed         `json:"os,omitempty"`
	DOR         *Followed         `json:"dor,omitempty"`  // from the first response that counts; nil without one
	Stay        *Stay             `json:"stay,omitempty"` // nil where no stay counts
	Markers     []MarkerValue     `json:"markers,omitempty"`
	Stopping    []Counted         `json:"stopping,omitempty"` // by stopping boundary
}

// Equal reports whether two contributions are the same.
func (s *Summary) Equal(o *Summary) bool {
	return s.Enrolled == o.Enrolled && s.Site == o.Site && s.Arm == o.Arm && s.ActualAs == o.ActualAs && s.Treated == o.Treated && s.OffStudy == o.OffStudy && s.Evaluable == o.Evaluable &&
		s.Best == o.Best && s.Assessed == o.Assessed && s.Unconfirmed == o.Unconfirmed &&
		same(s.PFS, o.PFS) && same(s.OS, o.OS) && same(s.DOR, o.DOR) && same(s.Stay, o.Stay) && slices.Equal(s.Markers, o.Markers) &&
		slices.Equal(s.Toxicity, o.Toxicity) && slices.Equal(s.Events, o.Events) && slices.Equal(s.Started, o.Started) &&
		slices.EqualFunc(s.Stopping, o.Stopping, Counted.Equal) &&
		slices.EqualFunc(s.Exposure, o.Exposure, Exposure.Equal)
}

// same compares what may not be there.
func same[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }

// TermGrade is the worst grade of a term without preliminary results.
type TermGrade struct {
	Term     string `json:"term"`
	Grade    int    `json:"grade"` // 1 to 5
	Episodes int    `json:"episodes"`
	// Emergent is the worst grade of a treatment-emergent episode, 0 if there is none, and Onset the day of the first of them since the first study treatment.
	Emergent int `json:"emergent,omitempty"`
	Onset    int `json:"onset,omitempty"`
	// Days are those of episodes that have ended, each at least one; Open counts those that have not.
	Days int `json:"days,omitempty"`
	Open int `json:"open,omitempty"`
}

// Exposure is a course of a regimen.
type Exposure struct {
	Regimen string `json:"regimen"`
	Given   int    `json:"given"`             // doses, those outside any slot included
	Planned int    `json:"planned,omitempty"` // doses of the regimen at most, 0 where that is not said
	Held    int    `json:"held"`
	Refused int    `json:"refused"`
	Missed  int    `json:"missed"`
	// Slots are the states of the slots from the first: given, held, refused, missed, pending, or "" for one that is not judged.
	Slots []string `json:"slots"`
	// Amount is what was given in all, in the base unit of the regimen's dose, and PerKg the same by the dosing weight, 0 where that is not known. Unmeasured
	// counts given doses whose amount is not known: they are not in it.
	Amount     float64 `json:"amount,omitempty"`
	PerKg      float64 `json:"perKg,omitempty"`
	Unmeasured int     `json:"unmeasured,omitempty"`
}

// Equal reports whether two courses went the same way.
func (x Exposure) Equal(y Exposure) bool {
	return slices.Equal(x.Slots, y.Slots) && x.Regimen == y.Regimen && x.Given == y.Given && x.Planned == y.Planned && x.Held == y.Held && x.Refused == y.Refused &&
		x.Missed == y.Missed && x.Amount == y.Amount && x.PerKg == y.PerKg && x.Unmeasured == y.Unmeasured
}

// Begun reports whether the course has begun: a dose was given, held, refused or missed.
func (x *Exposure) Begun() bool { return x.Given+x.Held+x.Refused+x.Missed > 0 }

// RuleEvents counts the deviations of one rule and importance.
type RuleEvents struct {
	Rule       string     `json:"rule"`
	Importance Importance `json:"importance"`
	Events     int        `json:"events"`
}

func (c *Case) summarize() {
	s := &c.summary
	s.Enrolled, s.Site, s.Arm, s.OffStudy = true, c.Site, c.Arm, !c.OffStudy.IsZero()
	if actual := c.Protocol.ArmOf(c.Enrolment.ActualArm); c.Enrolment.ActualArm != "" && actual != c.Arm {
		s.ActualAs = actual
	}
	for _, concept := range c.Protocol.Treatments {
		if !c.firstGiven(concept).IsZero() {
			s.Treated, s.Started = true, append(s.Started, concept)
		}
	}
	s.Evaluable = s.Treated && recall(c, "summary", "evaluable", func() bool { return len(c.results(timeline.Temperature, false)) > 0 || len(c.counts(false)) > 0 })
	for i := range c.findings {
		f := &c.findings[i]
		switch family, _, _ := strings.Cut(f.Rule, "."); {
		case family == "tox" && f.ConfirmedGrade > 0:
			s.addTerm(c.termGrade(f))
		case family == "dev":
			s.addEvent(f.Rule, f.Importance)
		}
	}
	c.outcomes(s)
	s.Stopping = c.counted()
	slices.SortFunc(s.Toxicity, func(a, b TermGrade) int { return strings.Compare(a.Term, b.Term) })
	slices.SortFunc(s.Events, func(a, b RuleEvents) int {
		return strings.Compare(a.Rule+" "+string(a.Importance), b.Rule+" "+string(b.Importance))
	})
	for i := range c.courses {
		k := &c.courses[i]
		e := s.exposure(k.regimen.ID)
		e.Given, e.Planned, e.Amount, e.PerKg, e.Unmeasured = k.given, k.regimen.Slots(), k.amount, k.perKg, k.unmeasured // all versions of a regimen see all its doses
		for _, slot := range k.slots {
			switch slot.state {
			case slotHeld:
				e.Held++
			case slotRefused:
				e.Refused++
			case slotMissed:
				e.Missed++
			}
			for len(e.Slots) < slot.number {
				e.Slots = append(e.Slots, string(slotNotJudged))
			}
			e.Slots[slot.number-1] = string(slot.state)
		}
	}
}

// exposure is that to a regimen, whose versions are courses of their own.
func (s *Summary) exposure(regimen string) *Exposure {
	i := slices.IndexFunc(s.Exposure, func(e Exposure) bool { return e.Regimen == regimen })
	if i < 0 {
		i = len(s.Exposure)
		s.Exposure = append(s.Exposure, Exposure{Regimen: regimen, Slots: []string{}})
	}
	return &s.Exposure[i]
}

// termGrade is what one episode contributes.
func (c *Case) termGrade(f *Finding) TermGrade {
	t := TermGrade{Term: f.Term, Grade: f.ConfirmedGrade, Episodes: 1}
	if f.TreatmentEmergent != nil && *f.TreatmentEmergent || f.TreatmentEmergent == nil && c.onTreatment(f.Onset) {
		t.Emergent, t.Onset = t.Grade, max(0, c.daysSince(c.Treated, f.Onset)) // one that only grew worse began before
	}
	if f.End == nil {
		t.Open = 1
	} else {
		t.Days = max(1, c.daysSince(f.Onset, *f.End))
	}
	return t
}

func (s *Summary) addTerm(t TermGrade) {
	i := slices.IndexFunc(s.Toxicity, func(u TermGrade) bool { return u.Term == t.Term })
	if i < 0 {
		s.Toxicity = append(s.Toxicity, t)
		return
	}
	u := &s.Toxicity[i]
	if t.Emergent > 0 && (u.Emergent == 0 || t.Onset < u.Onset) {
		u.Onset = t.Onset
	}
	u.Grade, u.Emergent = max(u.Grade, t.Grade), max(u.Emergent, t.Emergent)
	u.Episodes, u.Days, u.Open = u.Episodes+t.Episodes, u.Days+t.Days, u.Open+t.Open
}

func (s *Summary) addEvent(rule string, importance Importance) {
	for i := range s.Events {
		if e := &s.Events[i]; e.Rule == rule && e.Importance == importance {
			e.Events++
			return
		}
	}
	s.Events = append(s.Events, RuleEvents{Rule: rule, Importance: importance, Events: 1})
}
