package aggregate_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/aggregate"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// crowd is a trial of n patients, each with some of everything.
func crowd(p *protocol.Protocol, n int) []rules.Summary {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	ps := make([]rules.Summary, n)
	for i := range ps {
		s := &ps[i]
		*s = rules.Summary{
			Enrolled: true, Treated: true, Evaluable: true, Arm: p.Arms[i%len(p.Arms)].ID, Site: fmt.Sprint("site-", i%40), Started: p.Treatments,
			Best: timeline.Categories[r.IntN(5)], Assessed: true,
			PFS: &rules.Followed{Days: 1 + r.IntN(1500), Event: r.IntN(2) == 0}, OS: &rules.Followed{Days: 1 + r.IntN(2000), Event: r.IntN(3) == 0},
			Stay: &rules.Stay{Days: 10 + r.IntN(20), Readmissions: r.IntN(2)},
		}
		for j := range p.Terms {
			if t := &p.Terms[j]; r.IntN(3) == 0 {
				g := 1 + r.IntN(4)
				s.Toxicity = append(s.Toxicity, rules.TermGrade{Term: t.Criterion.Term, Grade: g, Episodes: 1, Emergent: g, Onset: r.IntN(30), Days: 1 + r.IntN(20)})
			}
		}
		for _, rule := range []string{"dev.dose-late", "dev.dose-missed", "dev.dose-wrong"} {
			s.Events = append(s.Events, rules.RuleEvents{Rule: rule, Importance: rules.Minor, Events: 1 + r.IntN(3)})
		}
		for j := range p.Regimens {
			if p.Regimens[j].Arm == s.Arm || p.Regimens[j].Arm == protocol.AllArms {
				given := r.IntN(15)
				s.Exposure = append(s.Exposure, rules.Exposure{Regimen: p.Regimens[j].ID, Given: given, Planned: 15, Slots: []string{"given", "held", "missed"}, Amount: float64(given) * 5e7, PerKg: float64(given) * 720000})
			}
		}
		for _, m := range p.Biomarkers.Markers {
			for _, w := range p.Biomarkers.Windows {
				s.Markers = append(s.Markers, rules.MarkerValue{Marker: m.ID, Window: w.ID, Value: float64(r.IntN(10000)) / 100})
			}
		}
	}
	return ps
}

func BenchmarkPanels(b *testing.B) {
	p := til(b)
	for _, n := range []int{14, 98, 1000, 10_000} {
		ps := crowd(p, n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			begin := cpu(b)
			for b.Loop() {
				aggregate.Panels(p, ps, nil, asOf)
			}
			b.ReportMetric(float64(cpu(b)-begin)/float64(b.N)/1e6, "cpu-ms/op")
		})
	}
}

// One patient of many changes, in one way at a time; in CPU time, with how many times dearer the panels are from scratch in the same run.
func BenchmarkBoard(b *testing.B) {
	p := til(b)
	for _, n := range []int{98, 1000, 10_000} {
		ps := crowd(p, n)
		board := aggregate.NewBoard(p)
		for i := range ps {
			board.Set(fmt.Sprint(i), ps[i])
		}
		board.Panels(nil, asOf)
		begin := cpu(b)
		aggregate.Panels(p, ps, nil, asOf)
		scratch := cpu(b) - begin
		other := func(s *rules.Summary, i int) *rules.Summary { // somebody else in the same arm
			o := ps[(i*len(p.Arms)+slices.IndexFunc(ps, func(o rules.Summary) bool { return o.Arm == s.Arm }))%n]
			return &o
		}
		for _, change := range []struct {
			name  string
			apply func(*rules.Summary, int)
		}{
			{"toxicity", func(s *rules.Summary, i int) {
				s.Toxicity = append([]rules.TermGrade{}, s.Toxicity...)
				s.Toxicity[0].Grade = 1 + i%4
			}},
			{"deviations", func(s *rules.Summary, i int) { s.Events = s.Events[:i%2] }},
			{"exposure", func(s *rules.Summary, i int) { s.Exposure = other(s, i).Exposure }},
			{"stay", func(s *rules.Summary, i int) { s.Stay = &rules.Stay{Days: 5 + i%30} }},
			{"response", func(s *rules.Summary, i int) { s.Best = timeline.Categories[i%5] }},
			{"survival", func(s *rules.Summary, i int) { s.OS = &rules.Followed{Days: 100 + i%1000} }},
			{"biomarker", func(s *rules.Summary, i int) {
				s.Markers = append([]rules.MarkerValue{}, s.Markers...)
				s.Markers[0].Value = float64(i % 97)
			}},
			{"window", func(s *rules.Summary, i int) { // every marker of one day
				s.Markers = append([]rules.MarkerValue{}, s.Markers...)
				for j := range s.Markers {
					if s.Markers[j].Window == "week-1" {
						s.Markers[j].Value = float64((i + j) % 97)
					}
				}
			}},
			{"enrolled", func(s *rules.Summary, i int) { // comes, and is gone with the next
				*s = rules.Summary{Enrolled: i%2 == 0, Arm: s.Arm, Site: s.Site}
			}},
			{"arm", func(s *rules.Summary, i int) { s.Arm = p.Arms[i%len(p.Arms)].ID }},
			{"everything", func(s *rules.Summary, i int) { *s = *other(s, i) }},
			{"nothing", func(*rules.Summary, int) {}},
		} {
			b.Run(fmt.Sprintf("%d/%s", n, change.name), func(b *testing.B) {
				for i := range 10 { // as the last one left them
					board.Set(fmt.Sprint(i), ps[i])
				}
				board.Panels(nil, asOf)
				i := 0
				next := func() {
					i++
					s := ps[i%10]
					change.apply(&s, i/10)
					board.Set(fmt.Sprint(i%10), s)
					board.Panels(nil, asOf)
				}
				for range 20 { // from what the ten were to what they become in turn
					next()
				}
				begin := cpu(b)
				for b.Loop() {
					next()
				}
				took := float64(cpu(b) - begin)
				b.ReportMetric(took/float64(b.N)/1e3, "cpu-µs/op")
				b.ReportMetric(float64(scratch)*float64(b.N)/took, "from-scratch/op")
			})
		}
	}
}

// cpu is what the process has used: other work on the machine does not count.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
