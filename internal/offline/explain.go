package offline

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/site"
)

// Explain proves what is found of a subject at an instant, in every study and site that has one of that name, sorted by study and site. subjects are all
// that are enrolled, sorted: for somebody who has misspelt one.
func (e *Evaluator) Explain(subject string, now time.Time) (es []*rules.Explanation, subjects []string) {
	for _, p := range e.patients(now) {
		for _, proto := range e.protocols {
			who := p.Answer(proto, now).Subject
			if who == "" {
				continue
			}
			subjects = append(subjects, who)
			if who == subject {
				es = append(es, p.Explain(proto, now))
			}
		}
	}
	slices.SortStableFunc(es, func(a, b *rules.Explanation) int {
		return strings.Compare(a.Study+"\x00"+a.Site, b.Study+"\x00"+b.Site)
	})
	slices.Sort(subjects)
	return es, slices.Compact(subjects)
}

// Record is one record of a patient as it stands: for people who want to see what was known.
type Record struct {
	At       time.Time // clinical time
	Received time.Time
	Text     string // "neutrophils 0.08 10*3/uL"
	Ref      string
	Lasting  bool // it matters however long ago it was: an enrolment, the infusion of day 0
}

// Records are what stands of a subject at an instant, in clinical time.
func (e *Evaluator) Records(subject string, now time.Time) []Record {
	var rs []Record
	for _, p := range e.patients(now) {
		if !slices.ContainsFunc(e.protocols, func(proto *protocol.Protocol) bool { return p.Answer(proto, now).Subject == subject }) {
			continue
		}
		for _, name := range p.Timeline.Analytes() {
			for _, q := range p.Timeline.Series(name) {
				text := name + " " + q.Value.String()
				if q.Problem != nil {
					text = name + " not used: " + q.Problem.Reason
				}
				rs = append(rs, Record{q.Fact.At.Start, q.Fact.ReceivedAt, text, q.Fact.Ref.String(), false})
			}
		}
		for _, f := range p.Timeline.Doses() {
			text := cmp.Or(f.Dose.Drug, "unknown drug") + " " + f.Dose.Status
			if f.Dose.Amount != nil {
				text += " " + f.Dose.Amount.String()
			}
			rs = append(rs, Record{f.At.Start, f.ReceivedAt, strings.TrimSpace(text + " " + f.Dose.Route), f.Ref.String(), false})
		}
		for _, f := range p.Timeline.Others() {
			switch {
			case f.Enrolment != nil:
				rs = append(rs, Record{f.At.Start, f.ReceivedAt, strings.TrimSpace("enrolment " + f.Enrolment.Status + " " + f.Enrolment.AssignedArm), f.Ref.String(), true})
			case f.Procedure != nil:
				rs = append(rs, Record{f.At.Start, f.ReceivedAt, f.Procedure.Kind + " " + f.Procedure.Status, f.Ref.String(), true})
			}
		}
	}
	slices.SortStableFunc(rs, func(a, b Record) int { return cmp.Or(a.At.Compare(b.At), strings.Compare(a.Ref, b.Ref)) })
	return rs
}

// patients are everybody of whom something was received, by site.
func (e *Evaluator) patients(now time.Time) []*site.Patient {
	sites := map[string]*site.Site{}
	for i := range e.items {
		f := e.items[i].fact
		if f.ReceivedAt.After(now) {
			continue
		}
		if sites[f.Site] == nil {
			sites[f.Site] = e.site(f.Site)
		}
		sites[f.Site].Apply(f)
	}
	var ps []*site.Patient
	for _, name := range sortedKeys(sites) {
		ps = append(ps, sites[name].Patients()...)
	}
	return ps
}
