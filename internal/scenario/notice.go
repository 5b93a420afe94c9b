package scenario

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/fhir"
	"github.com/trialwatch/trialwatch/internal/offline"
	"github.com/trialwatch/trialwatch/rules/alert"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// Notices reports whether a scenario fails by another text of the protocol: whether something else is said than the file wants. The feed is played as it stands, and no
// further than to the first difference. p is what the text parses to, and decoder reads for it. A scenario whose patch no longer fits, or leaves a protocol that is not in order, notices nothing: what
// it replaces it does not pin.
func (r *Runner) Notices(s *Scenario, text []byte, p *protocol.Protocol, decoder *fhir.Decoder) (noticed bool, err error) {
	if len(s.patches) > 0 {
		if text, err = s.patched(text); err != nil {
			return false, nil
		}
		if p, err = protocol.Parse(r.File, text); err != nil {
			return false, nil
		}
		if decoder, err = r.NewDecoder([]*protocol.Protocol{p}); err != nil {
			return false, fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	e := offline.New(decoder, []*protocol.Protocol{p})
	if err := e.Read(sectionFeed, strings.NewReader(strings.Join(s.feed, "\n")+"\n"), nil); err != nil {
		return false, fmt.Errorf("%s: %w", s.Name, err)
	}
	now := cmp.Or(s.asOf, e.Latest())
	for _, f := range s.archive.Files { // the findings first: they are the cheapest
		name, at, timed := strings.Cut(f.Name, " ")
		instant := now
		if timed {
			if instant, err = time.Parse(time.RFC3339, at); err != nil {
				continue // not one of ours: Parse has said so
			}
		}
		got := ""
		switch name {
		case sectionFinal:
			got = findings(about(e.AnswerAt(instant).Findings, s.aside), p.Zone)
		case sectionAggregates:
			got = aggregates(e.At(instant).Panels, s.aside)
		default:
			continue
		}
		if got != strip(f.Data) {
			return true, nil
		}
	}
	var events []alert.Event
	if err := e.History(now, func(ev alert.Event) error { events = append(events, ev); return nil }); err != nil {
		return false, fmt.Errorf("%s: %w", s.Name, err)
	}
	for _, f := range s.archive.Files {
		if f.Name == sectionHistory {
			noticed = history(told(events, s.aside), p.Zone) != strip(f.Data)
		}
	}
	return noticed, nil
}
