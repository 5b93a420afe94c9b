package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/trialwatch/trialwatch/consumers"
	"github.com/trialwatch/trialwatch/internal/paper"
	"github.com/trialwatch/trialwatch/internal/sim"
	"github.com/trialwatch/trialwatch/internal/web"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// show is what a demo plays, and how fast.
type show struct {
	what   string // in words
	cohort []sim.Event
	origin time.Time // what came before is sent at once
	speed  float64
	ahead  time.Duration // how far, in real time, the feed runs ahead of the system's clock
	period string        // layout of what is summed up on a line: a day, or a month
	stamp  string        // layout of the times of alerts
	paper  *paper.Abstract
}

// lead is how far the feed runs ahead in the time of the trial.
func (s *show) lead() time.Duration { return time.Duration(s.speed * float64(s.ahead)) }

// end is when the last message is received.
func (s *show) end() time.Time { return s.cohort[len(s.cohort)-1].At }

// show makes the cohort that was asked for.
func (f *demoFlags) show(p *protocol.Protocol) (*show, error) {
	s := &show{speed: f.speed, ahead: demoLead, period: "Mon 2 Jan", stamp: "02 Jan 15:04"}
	span := demoSpan
	if f.cohort == "published" {
		script, err := sim.Published()
		if err != nil {
			return nil, err
		}
		if s.paper, err = paper.Read(); err != nil {
			return nil, err
		}
		s.cohort = sim.Cohort(sim.Config{Script: script})
		s.origin = s.cohort[0].At.Add(-time.Hour)
		s.what = fmt.Sprintf("%d synthetic patients in two arms, made after the figures of a paper; none is a patient of that trial", len(script.Patients))
		s.ahead, s.period, s.stamp = publishedLead, "Jan 2006", "2006-01-02"
		span = s.end().Sub(s.origin)
		if s.speed == 0 && f.lasts == 0 {
			s.speed = span.Seconds() / publishedFor.Seconds()
		}
	} else {
		day0 := time.Date(2026, 2, 16, 0, 0, 0, 0, p.Zone)
		s.cohort = sim.Cohort(sim.Config{Seed: f.seed, Day0: day0})
		s.origin = day0.Add(-6 * time.Hour)
		s.what = fmt.Sprintf("%d patients in two arms, simulated · seed %d", patientsOf(s.cohort), f.seed)
	}
	switch {
	case s.speed == 0 && f.lasts > 0:
		s.speed = span.Seconds() / max(f.lasts-2*s.ahead, f.lasts/2).Seconds()
	case s.speed == 0:
		s.speed = demoSpeed
	}
	return s, nil
}

// shortly is a duration in the unit in which people think of it.
func shortly(d time.Duration) string {
	if d >= 48*time.Hour {
		return fmt.Sprintf("%.0f days", d.Hours()/24)
	}
	return d.Round(time.Minute).String()
}

// beside is the table of the page: the paper's figures, and what the aggregates say.
func (s *show) beside(panels map[string][]byte) (*web.Beside, error) {
	rows, err := s.paper.Compare(panels)
	if err != nil {
		return nil, err
	}
	b := &web.Beside{
		Title: "The paper and this system",
		Note: "Figures of " + s.paper.Cite + ", and what is found of the synthetic patients who were made to agree with them. None of them is a patient of that trial. " +
			"Of its follow-up the paper does not say how it was computed: it is shown both ways, and not counted.",
	}
	for _, r := range rows {
		b.Rows = append(b.Rows, web.BesideRow{Figure: r.Figure, Arm: r.Arm, There: r.Paper, Here: r.Here, Agrees: r.Agrees(), Uncounted: r.Unsaid})
	}
	return b, nil
}

// finished waits until the system's clock has reached the end of the feed, and says so.
func (s *screen) finished(ctx context.Context, clock consumers.Clock) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(clock.Until(s.show.end()) + 2*time.Second): // aggregates are published once a second
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.show.paper != nil {
		s.compared()
	}
	fmt.Fprintln(s.w, "The cohort has come to its end. The page stays until you press Ctrl-C.")
}

// compared prints the paper's figures and those found here. The caller holds the lock.
func (s *screen) compared() {
	b, err := s.show.beside(s.panels)
	if err != nil {
		return // what is printed below shows the same panels
	}
	fmt.Fprintf(s.w, "\n%s\n%s\n\n", s.paint(bold, b.Title), b.Note)
	printBeside(s.w, b)
}

func printBeside(w io.Writer, b *web.Beside) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  FIGURE\tARM\tPAPER\tHERE\t")
	agree, counted := 0, 0
	for _, r := range b.Rows {
		sign := "differs"
		switch {
		case r.Uncounted:
			sign = "not counted"
		case r.Agrees:
			sign = "✓"
			agree++
		}
		if !r.Uncounted {
			counted++
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\n", r.Figure, r.Arm, r.There, r.Here, sign)
	}
	_ = t.Flush()
	fmt.Fprintf(w, "\n  %d of %d figures agree.\n\n", agree, counted)
}
