package review

import (
	"fmt"
	"strings"

	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/stat"
)

var (
	stoppingFields = []field{
		{"limit", "Limit", "the share of patients with such a toxicity that must not be exceeded"},
		{"cut", "Cut", "the boundary is met when the share is above the limit with more than this probability"},
		{"minimum", "Patients at least", "with fewer the boundary is not met"},
		{"per", "Per", "each arm for itself, or the trial: all patients with an assigned arm"},
		{"cite", "Source", ""},
	}
	countFields = []field{
		{"atLeast", "Grade at least", "without preliminary results"},
		{"terms", "Terms", "no others count"},
		{"expected", "Expected toxicities count", ""},
		{"within", "Within", "of the first treatment; a patient without such a toxicity counts once this is over"},
	}
)

// stopping explains the stopping boundaries, each with its table.
func stopping(d *document, p *protocol.Protocol) {
	if len(p.Stopping) == 0 {
		return
	}
	d.add(heading{2, "Stopping boundaries"})
	for i := range p.Stopping {
		s := &p.Stopping[i]
		facts := rows(&s.Counts, countFields)
		if len(s.Counts.Terms) == 0 {
			facts = append(facts, []string{"Terms", "any", "graded from data or by a clinician"})
		}
		if s.Counts.Within == 0 {
			facts = append(facts, []string{"Within", "no end", "every toxicity from the first treatment on counts, and a patient counts from then on"})
		}
		facts = append(facts, []string{"Prior", "beta(" + number(s.Prior.Alpha) + ", " + number(s.Prior.Beta) + ")", "as if so many with and so many without such a toxicity had been seen before"})
		facts = append(facts, rows(s, stoppingFields)...)
		d.add(heading{3, plain(s.Title) + " · " + code(s.ID)}, table{"facts", []string{"what", "value", "meaning"}, facts}, paragraph{text: "Met by " + boundaries(s) + "."})
	}
}

// boundaries lists the boundary for up to so many patients that a safety board can check it.
func boundaries(s *protocol.Stopping) string {
	const most = 30
	prior := stat.Beta{Alpha: s.Prior.Alpha.Float(), Beta: s.Prior.Beta.Float()}
	var parts []string
	for of := s.Minimum; of <= most; {
		n, ok := prior.Boundary(s.Limit.Float(), s.Cut.Float(), of)
		last := of
		for ; last < most; last++ {
			if m, also := prior.Boundary(s.Limit.Float(), s.Cut.Float(), last+1); m != n && (ok || also) || ok != also {
				break
			}
		}
		switch {
		case ok && last > of:
			parts = append(parts, fmt.Sprintf("%d of %d to %d", n, of, last))
		case ok:
			parts = append(parts, fmt.Sprintf("%d of %d", n, of))
		}
		of = last + 1
	}
	if len(parts) == 0 {
		return fmt.Sprintf("no number of up to %d patients", most)
	}
	return strings.Join(parts, ", ") + " patients"
}
