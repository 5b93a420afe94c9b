package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/trialwatch/trialwatch/consumers"
	"github.com/trialwatch/trialwatch/consumers/wire"
	"github.com/trialwatch/trialwatch/internal/app"
	"github.com/trialwatch/trialwatch/internal/feed"
	"github.com/trialwatch/trialwatch/internal/sim"
	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/aggregate"
	"github.com/trialwatch/trialwatch/rules/alert"
)

// demoFlags are the flags of demo.
type demoFlags struct {
	lasts  time.Duration
	seed   uint64
	speed  float64
	listen string
	cohort string
}

const (
	demoSpeed = 4 * 3600            // four hours a second
	demoSpan  = 16 * 24 * time.Hour // what a demo of a given length shows: from the day before the first infusion to the end of the last low-dose course
	demoTick  = 40 * time.Millisecond
	// demoLead is how far, in real time, the feed runs ahead of the system's clock. In fast motion the few milliseconds on the way would otherwise
	// be hours of silence.
	demoLead = 300 * time.Millisecond

	// The published cohort takes six and a half years, which go by in a minute: weeks pass while a message is on its way, so that the feed must be further ahead.
	publishedFor  = time.Minute
	publishedLead = 3 * time.Second
)

func newDemo() *cobra.Command {
	var f demoFlags
	c := &cobra.Command{
		Use:   "demo [--cohort default|published] [--for 60s] [--seed N] [--speed X] [--listen ADDR]",
		Short: "Watch a simulated trial: everything real but the patients",
		Long: `demo runs the whole system with a broker of its own in a temporary folder, and sends it a simulated cohort as FHIR
JSON, in fast motion: late, corrected, repeated, misdirected and broken messages too. The page, whose address is
printed, shows the aggregates by arm. Nothing is left behind.

Here scroll by the alerts that a coordinator would want to see: what is opened, gets worse or is taken back, and what
ends that was urgent or prompt. The others (toxicity that the protocol expects, grade 1, the end of what was routine,
news in the evidence alone) are counted at midnight; "trialwatch alerts watch" tells all of them.

--cohort published plays fourteen other synthetic patients over six and a half years, in a minute. They were made so that
their facts agree with the abstract after which the shipped trial is modelled: the page, and the terminal at the end, show
its figures beside what the system found. None of them is a patient of that trial.`,
		Example: `  trialwatch demo
  trialwatch demo --for 60s --seed 7
  trialwatch demo --cohort published`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case f.lasts < 0:
				return usageError{errors.New("--for: want a positive time such as 60s")}
			case f.cohort != "default" && f.cohort != "published":
				return usageError{fmt.Errorf("--cohort %q: want default or published", f.cohort)}
			case f.cohort == "published" && c.Flags().Changed("seed"):
				return usageError{errors.New("--seed: the published cohort has its own")}
			case f.speed < 0 || c.Flags().Changed("speed") && f.speed == 0:
				return usageError{errors.New("--speed: want a positive number")}
			}
			return runDemo(c, f, c.Flags().Changed("listen"))
		},
	}
	c.Flags().DurationVar(&f.lasts, "for", 0, "end after this time (default: run until interrupted)")
	c.Flags().Uint64Var(&f.seed, "seed", 1, "another seed is another cohort")
	c.Flags().StringVar(&f.cohort, "cohort", "default", "default, or published: synthetic patients whose figures are those of the paper")
	c.Flags().Float64Var(&f.speed, "speed", 0, "how many times faster than life (default: 14400, for the published cohort a minute in all; with --for, what shows sixteen days, or all of it)")
	c.Flags().StringVar(&f.listen, "listen", "127.0.0.1:8080", "address of the page; where it is taken, another port is")
	return c
}

func runDemo(c *cobra.Command, f demoFlags, listenFixed bool) error {
	ctx, cancel := until(c.Context(), f.lasts)
	defer cancel()
	ps, err := loadProtocols(c.ErrOrStderr(), nil)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "trialwatch-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	proto := ps[0]
	play, err := f.show(proto)
	if err != nil {
		return err
	}

	o := app.DefaultOptions()
	o.DataDir, o.Protocols, o.Unsynced, o.Demo, o.TrustReceivedAt = dir, ps, true, true, true
	o.Listen = f.listen
	o.Logger = zerolog.New(zerolog.ConsoleWriter{Out: c.ErrOrStderr(), TimeFormat: time.TimeOnly}).Level(zerolog.ErrorLevel)
	clock := consumers.NewClock(play.origin, play.speed) // of the feed
	o.Clock = consumers.NewClock(play.origin.Add(-play.lead()), play.speed)
	if play.paper != nil {
		o.Clock, o.Beside = o.Clock.StopAt(play.end()), play.beside // the trial is over: nothing more happens, years on
	}
	a, err := startDemo(ctx, o, listenFixed)
	if err != nil {
		return err
	}
	screen := &screen{w: c.OutOrStdout(), colour: terminal(c.OutOrStdout()) && os.Getenv("NO_COLOR") == "", zone: proto.Zone, panels: map[string][]byte{}, open: map[string]alert.Event{}, show: play}
	screen.say(`%s
%s
  %s · one second is %s of the trial
  page    %s   (aggregates by arm, latest alerts, live)
  broker  %s   (embedded; nothing is left behind)
  Below: alerts that want a look, what is odd in the feed, and the arms at midnight (FN: patients with febrile neutropenia).

`, screen.paint(bold, "trialwatch demo"), proto.Title, play.what, shortly(time.Duration(play.speed*float64(time.Second))), screen.paint(bold, "http://"+a.Addr()), a.Access().URL)

	run, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = consumers.FollowAlerts(run, a.JetStream(), o.Logger, true, screen.alert)
	})
	wg.Go(func() {
		_ = consumers.Follow(run, a.JetStream(), o.Logger, wire.StreamAggregates, "aggregates.>", screen.panel)
	})
	sent, err := screen.play(run, a.JetStream(), clock)
	if err == nil && sent == len(play.cohort) && ctx.Err() == nil {
		screen.finished(ctx, o.Clock)
	}
	if err == nil {
		err = a.Wait(ctx)
	} else {
		err = errors.Join(err, a.Stop())
	}
	stop()
	wg.Wait()
	if err != nil {
		return err
	}
	return screen.end(sent)
}

// startDemo starts the app, on any free port if the usual one is taken and nobody asked for it.
func startDemo(ctx context.Context, o app.Options, listenFixed bool) (*app.App, error) {
	for {
		a, err := app.New(o)
		if err != nil {
			return nil, err
		}
		if err = a.Start(ctx); err == nil {
			return a, nil
		}
		_ = a.Stop()
		if listenFixed || o.Listen == "127.0.0.1:0" {
			return nil, err
		}
		o.Listen = "127.0.0.1:0"
	}
}

func patientsOf(cohort []sim.Event) int {
	n := 0
	for _, e := range cohort {
		if e.Type == "ResearchSubject" {
			n++
		}
	}
	return n
}

// screen is the terminal of a demo.
type screen struct {
	w      io.Writer
	colour bool
	zone   *time.Location

	mu     sync.Mutex
	show   *show
	panels map[string][]byte
	open   map[string]alert.Event
	told   int
	quiet  int    // told, but not worth a line
	hushed int    // of these, before the day began
	stands string // where the arms stood when that was printed last
}

const (
	bold   = "1"
	dim    = "2"
	red    = "1;31"
	yellow = "33"
	green  = "32"
)

func (s *screen) paint(style, text string) string {
	if !s.colour {
		return text
	}
	return "\033[" + style + "m" + text + "\033[0m"
}

func (s *screen) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.w, format, args...)
}

// alert prints a transition that somebody would be told of.
func (s *screen) alert(data []byte) error {
	e, err := readAlert(data)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told++
	before := s.open[e.Alert]
	if s.open[e.Alert] = e; e.Status != rules.Open || e.Transition == alert.Retracted {
		delete(s.open, e.Alert)
	}
	if !worthALine(&e, &before) {
		s.quiet++
		return nil
	}
	style := map[rules.Urgency]string{rules.Urgent: red, rules.Prompt: yellow}[e.Urgency]
	switch e.Transition {
	case alert.Resolved, alert.Retracted:
		style = green
	}
	what := e.Message
	if e.Transition == alert.Retracted {
		what = "taken back: " + e.Message
	}
	fmt.Fprintf(s.w, "%s  %s  %s  %-5s  %s\n", e.At.In(s.zone).Format(s.show.stamp), s.paint(style, fmt.Sprintf("%-9s %-7s", e.Transition, e.Urgency)),
		e.Subject, e.Arm, what)
	return nil
}

// worthALine reports whether a coordinator would want to see a transition; before is what was told of the alert last. Another worst value
// of the same grade, or another result that cannot be used, is none.
func worthALine(e, before *alert.Event) bool {
	switch {
	case !e.Material:
		return false
	case e.Transition == alert.Retracted:
		return true
	case e.Urgency == rules.Log:
		return false
	case e.Transition == alert.Resolved:
		return e.Urgency != rules.Routine
	case e.Transition == alert.Updated && strings.HasPrefix(e.Rule, "dev."):
		return e.Message != before.Message
	case e.Transition == alert.Updated:
		return e.Urgency != before.Urgency || e.GradeMax != nil && before.GradeMax != nil && *e.GradeMax > *before.GradeMax
	}
	return true
}

// play publishes events when the clock reaches their receipt, until ctx ends, and returns how many it has sent.
func (s *screen) play(ctx context.Context, js jetstream.JetStream, clock consumers.Clock) (sent int, err error) {
	cohort, day := s.show.cohort, ""
	for sent < len(cohort) {
		now := clock.Now()
		if d := now.In(s.zone).Format(s.show.period); d != day {
			if day = d; sent > 0 {
				s.day(day)
			}
		}
		var batch []*nats.Msg
		for ; sent < len(cohort) && !cohort[sent].At.After(now); sent++ {
			e := cohort[sent]
			m := &nats.Msg{Subject: wire.FHIR(feed.DefaultSite, e.Type), Data: e.Data, Header: nats.Header{}}
			m.Header.Set(wire.HeaderReceivedAt, e.At.Format(time.RFC3339Nano))
			batch = append(batch, m)
			if e.Note != "" && day != "" {
				s.note(e)
			}
			cohort[sent].Data = nil // sent: let it go
		}
		if err := consumers.PublishAll(ctx, js, batch); err != nil && ctx.Err() == nil {
			return sent, fmt.Errorf("publish: %w", err)
		}
		if sent == len(cohort) {
			return sent, nil
		}
		select {
		case <-ctx.Done():
			return sent, nil
		case <-time.After(max(clock.Until(cohort[sent].At), demoTick)):
		}
	}
	return sent, nil
}

// note prints what is odd about a message that is being sent.
func (s *screen) note(e sim.Event) {
	s.say("%s\n", s.paint(dim, fmt.Sprintf("%s  feed: %s", e.At.In(s.zone).Format(s.show.stamp), e.Note)))
}

func (s *screen) panel(data []byte) error {
	var p aggregate.Panel
	if err := json.Unmarshal(data, &p); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.panels[p.Name] = data
	return nil
}

// day prints where the arms stand at the beginning of a day.
func (s *screen) day(day string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	toxicity, _ := entries[aggregate.ToxicityEntry](s.panels[aggregate.Toxicity])
	exposure, _ := entries[aggregate.ExposureEntry](s.panels[aggregate.Exposure])
	var arms []string
	for i, t := range toxicity {
		if t.Arm == "" || i >= len(exposure) {
			continue
		}
		fn := "0"
		for _, term := range t.Terms {
			if term.Term == "Febrile neutropenia" {
				fn = fmt.Sprint(term.Any.N)
			}
		}
		var line strings.Builder
		fmt.Fprintf(&line, "%s  FN %s/%d", t.Arm, fn, t.N)
		for _, r := range exposure[i].Regimens {
			if r.Regimen != "il2" {
				continue // the other drugs are given as planned: they stand in the tables
			}
			fmt.Fprintf(&line, ", IL-2 %d given, %d held, %d missed", r.Total.Given, r.Total.Held, r.Total.Missed)
		}
		arms = append(arms, line.String())
	}
	if len(arms) == 0 {
		return // nothing is published yet
	}
	more := ""
	if n := s.quiet - s.hushed; n > 0 {
		more = s.paint(dim, fmt.Sprintf("  (%d more for the log)", n))
	}
	s.hushed = s.quiet
	stands := strings.Join(arms, "  │  ")
	if stands == s.stands && more == "" {
		return // quiet years
	}
	s.stands = stands
	fmt.Fprintf(s.w, "%s%s\n", s.paint(bold, fmt.Sprintf("── %-10s  %s", day, stands)), more)
}

// end prints the aggregates by arm and what was told.
func (s *screen) end(sent int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.w, "\n%s\n\n", s.paint(bold, "Where the trial stands"))
	for _, name := range []string{aggregate.Enrolment, aggregate.Toxicity, aggregate.Exposure, aggregate.Deviations} {
		if body := s.panels[name]; body != nil {
			if err := printTable(s.w, body); err != nil {
				return err
			}
		}
	}
	urgent := 0
	for _, e := range s.open {
		if e.Urgency == rules.Urgent {
			urgent++
		}
	}
	_, err := fmt.Fprintf(s.w, "%d FHIR messages sent. %d alert transitions told, %d of them for the log or of detail and not shown above.\n%d alerts are open, %d of them urgent.\n",
		sent, s.told, s.quiet, len(s.open), urgent)
	return err
}
