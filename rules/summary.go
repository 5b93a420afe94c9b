package rules

import (
	"slices"
	"strings"

	"github.com/trialwatch/trialwatch/rules/timeline"
)

// Summary is a patient's contribution to the aggregates of one study: no name, no times, no evidence. The zero value contributes nothing.
type Summary struct {
	Enrolled bool   `json:"enrolled"`
	Arm      string `json:"arm,omitempty"`      // assigned
	ActualAs string `json:"actualAs,omitempty"` // arm as treated where it is known and differs
	Treated  bool   `json:"treated,omitempty"`
	OffStudy bool   `json:"offStudy,omitempty"`
	// Evaluable: treated, with at least one temperature or count that could be graded.
	Evaluable bool         `json:"evaluable,omitempty"`
	Toxicity  []TermGrade  `json:"toxicity,omitempty"` // by term
	Exposure  []Exposure   `json:"exposure,omitempty"` // by regimen
	Events    []RuleEvents `json:"events,omitempty"`   // deviations, by rule
}

// TermGrade is the worst grade of a term without preliminary results.
type TermGrade struct {
	Term     string `json:"term"`
	Grade    int    `json:"grade"` // 1 to 5
	Episodes int    `json:"episodes"`
}

// Exposure is a course of a regimen.
type Exposure struct {
	Regimen string `json:"regimen"`
	Given   int    `json:"given"` // doses, those outside any slot included
	Held    int    `json:"held"`
	Refused int    `json:"refused"`
	Missed  int    `json:"missed"`
	// Slots are the states of the slots from the first: given, held, refused, missed, pending, or "" for one that is not judged.
	Slots []string `json:"slots"`
}

// RuleEvents counts the deviations of one rule and importance.
type RuleEvents struct {
	Rule       string     `json:"rule"`
	Importance Importance `json:"importance"`
	Events     int        `json:"events"`
}

func (c *Case) summarize() {
	s := &c.summary
	s.Enrolled, s.Arm, s.OffStudy = true, c.Arm, !c.OffStudy.IsZero()
	if actual := c.Protocol.ArmOf(c.Enrolment.ActualArm); c.Enrolment.ActualArm != "" && actual != c.Arm {
		s.ActualAs = actual
	}
	for _, concept := range c.Protocol.Treatments {
		s.Treated = s.Treated || !c.firstGiven(concept).IsZero()
	}
	s.Evaluable = s.Treated && (len(c.results(timeline.Temperature, false)) > 0 || len(c.counts(false)) > 0)
	for i := range c.findings {
		f := &c.findings[i]
		switch family, _, _ := strings.Cut(f.Rule, "."); {
		case family == "tox" && f.ConfirmedGrade > 0:
			s.addTerm(f.Term, f.ConfirmedGrade)
		case family == "dev":
			s.addEvent(f.Rule, f.Importance)
		}
	}
	slices.SortFunc(s.Toxicity, func(a, b TermGrade) int { return strings.Compare(a.Term, b.Term) })
	slices.SortFunc(s.Events, func(a, b RuleEvents) int {
		return strings.Compare(a.Rule+" "+string(a.Importance), b.Rule+" "+string(b.Importance))
	})
	for i := range c.courses {
		k := &c.courses[i]
		e := s.exposure(k.regimen.ID)
		e.Given = k.given // all versions of a regimen see all its doses
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

func (s *Summary) addTerm(term string, grade int) {
	for i := range s.Toxicity {
		if t := &s.Toxicity[i]; t.Term == term {
			t.Grade, t.Episodes = max(t.Grade, grade), t.Episodes+1
			return
		}
	}
	s.Toxicity = append(s.Toxicity, TermGrade{Term: term, Grade: grade, Episodes: 1})
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
