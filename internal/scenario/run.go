package scenario

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/trialwatch/trialwatch/fhir"
	"github.com/trialwatch/trialwatch/internal/offline"
	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/alert"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// Runner runs the scenarios of one protocol.
type Runner struct {
	File       string // of the protocol, for errors
	Protocol   []byte // its text
	NewDecoder func([]*protocol.Protocol) (*fhir.Decoder, error)
	Orders     int    // of a feed of more than [AllOrders] lines, 0 for [DefaultOrders]
	Seed       uint64 // of the orders
}

// Outcome is what became of a scenario.
type Outcome struct {
	// Failures are written for the protocol's author: what is wrong and, line by line, what was wanted (-) and said (+).
	Failures []string
	Played   Played
	// Golden is the file with the sections that are wanted as they came out.
	Golden []byte
}

// Run plays a scenario. The error says that it could not be played at all.
func (r *Runner) Run(s *Scenario) (Outcome, error) {
	text, err := s.patched(r.Protocol)
	if err != nil {
		return Outcome{}, fmt.Errorf("%s: %w", s.Name, err)
	}
	p, err := protocol.Parse(r.File, text)
	if err != nil {
		return Outcome{}, fmt.Errorf("%s: the protocol: %w", s.Name, err)
	}
	decoder, err := r.NewDecoder([]*protocol.Protocol{p})
	if err != nil {
		return Outcome{}, fmt.Errorf("%s: %w", s.Name, err)
	}
	e := offline.New(decoder, []*protocol.Protocol{p})
	if err := e.Read(sectionFeed, strings.NewReader(strings.Join(s.feed, "\n")+"\n"), nil); err != nil {
		return Outcome{}, fmt.Errorf("%s: %w", s.Name, err)
	}
	now := cmp.Or(s.asOf, e.Latest())
	var events []alert.Event
	if err := e.History(now, func(ev alert.Event) error { events = append(events, ev); return nil }); err != nil {
		return Outcome{}, fmt.Errorf("%s: %w", s.Name, err)
	}
	final := e.At(now)

	var out Outcome
	for _, line := range final.Refused {
		out.Failures = append(out.Failures, fmt.Sprintf("feed line %d was refused: %s: %s\n  %.120s", line.Line, line.Reason, line.Detail, s.feed[line.Line-1]))
	}
	got := map[string]string{sectionHistory: history(told(events, s.aside), p.Zone)}
	for _, f := range s.archive.Files {
		name, at, timed := strings.Cut(f.Name, " ")
		result := final
		if timed {
			instant, err := time.Parse(time.RFC3339, at)
			if err != nil {
				continue // not one of ours: Parse has said so
			}
			result = e.At(instant)
		}
		switch name {
		case sectionFinal:
			got[f.Name] = findings(about(result.Findings, s.aside), p.Zone)
		case sectionAggregates:
			got[f.Name] = aggregates(result.Panels, s.aside)
		}
	}
	shown := false
	known := func(subject string, at time.Time) []string {
		if shown {
			return nil // once is enough: the sections tell one story
		}
		shown = true
		return around(e.Records(subject, now), at, p.Zone)
	}
	for _, f := range s.archive.Files {
		text, asked := got[f.Name]
		want := strip(f.Data)
		switch {
		case !asked || want == text:
		case strings.HasPrefix(f.Name, sectionAggregates):
			d := diff.Diff("wanted", []byte(want), "said", []byte(text))
			out.Failures = append(out.Failures, fmt.Sprintf("section %q differs:\n%s", f.Name, indent(string(d))))
		default:
			out.Failures = append(out.Failures, differ(f.Name, want, text, p.Zone, known))
		}
	}
	if why := foldsTo(events, final.Findings); why != "" {
		out.Failures = append(out.Failures, "the alert events do not end at the findings: "+why)
	}
	var why string
	out.Played, why, err = r.converges(s, func(order []int) ([]byte, error) { return lines(e.InOrder(order).AnswerAt(now)) })
	if err != nil {
		return Outcome{}, fmt.Errorf("%s: %w", s.Name, err)
	}
	if why != "" {
		out.Failures = append(out.Failures, why)
	}
	out.Golden = s.format(got)
	return out, nil
}

// foldsTo says how the last word told of every alert differs from the findings, "" if it does not. When a finding was detected may differ:
// it is not a change worth an event.
func foldsTo(events []alert.Event, want []rules.Finding) string {
	last := map[string]alert.Event{}
	for _, ev := range events {
		if got, next := ev.Version, last[ev.Alert].Version+1; got != next {
			return fmt.Sprintf("%s has version %d after %d", ev.Alert, got, next-1)
		}
		last[ev.Alert] = ev
	}
	var told []string
	for _, ev := range last {
		if ev.Transition != alert.Retracted {
			told = append(told, digest(ev.Finding))
		}
	}
	var found []string
	for _, f := range want {
		found = append(found, digest(f))
	}
	slices.Sort(told)
	slices.Sort(found)
	if slices.Equal(told, found) {
		return ""
	}
	return "\n" + indent(string(diff.Diff("found", []byte(strings.Join(found, "\n")+"\n"), "told", []byte(strings.Join(told, "\n")+"\n"))))
}

func digest(f rules.Finding) string {
	f.Kind, f.Detected = "", time.Time{}
	data, err := json.Marshal(f)
	if err != nil {
		panic("scenario: a finding is plain data: " + err.Error())
	}
	return string(data)
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  ")
}

// strip takes sentences and blank lines out of a section.
func strip(data []byte) string {
	var b strings.Builder
	for line := range strings.Lines(string(data)) {
		if t := strings.TrimSpace(line); t != "" && !strings.HasPrefix(t, "#") {
			b.WriteString(strings.TrimRight(line, " \t\r\n") + "\n")
		}
	}
	return b.String()
}
