package scenario

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/internal/offline"
)

// entry is one alert or finding of a section: its first line, and what is indented below.
type entry struct {
	head string
	body []string
}

func entries(text string) []entry {
	var es []entry
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, " ") && len(es) > 0 {
			es[len(es)-1].body = append(es[len(es)-1].body, strings.TrimSpace(line))
			continue
		}
		es = append(es, entry{head: line})
	}
	return es
}

func (e entry) text() string { return strings.Join(append([]string{e.head}, e.body...), "\n    ") }

// name is what an entry is about whatever it says of it: subject and rule, "S-001 dev.dose-missed of il2".
func (e entry) name() string {
	what, _, _ := strings.Cut(e.head, ",")
	fields := strings.Fields(what)
	for i, f := range fields {
		if i > 0 && strings.Contains(f, ".") {
			return strings.Join(fields[i-1:], " ")
		}
	}
	return what
}

func (e entry) subject() string { return strings.Fields(e.name() + " ?")[0] }

// transition is "opened" and so on, or the state of a finding.
func (e entry) transition() string {
	before, _, _ := strings.Cut(e.head, e.name())
	fields := strings.Fields(before)
	if len(fields) == 0 {
		return ""
	}
	return fields[len(fields)-1]
}

// at is the instant that an entry is about: when an alert is told, else the onset of a finding.
func (e entry) at(zone *time.Location) time.Time {
	for _, text := range []string{e.head, afterOnset(e.head)} {
		if len(text) >= len(layout) {
			if t, err := time.ParseInLocation(layout, text[:len(layout)], zone); err == nil {
				return t
			}
		}
	}
	return time.Time{}
}

const layout = "2006-01-02 15:04"

func afterOnset(s string) string {
	_, after, _ := strings.Cut(s, "onset ")
	return after
}

// mismatch is an entry that was wanted and not said, one that was said and not wanted, or both of one story.
type mismatch struct{ want, got *entry }

// compareEntries pairs what is wanted and not said with what is said and not wanted: of one subject and rule, first of one transition, the nearest in order.
func compareEntries(want, got []entry) []mismatch {
	left := func(as, bs []entry) []*entry {
		counts := map[string]int{}
		for _, b := range bs {
			counts[b.text()]++
		}
		var rest []*entry
		for i := range as {
			if text := as[i].text(); counts[text] > 0 {
				counts[text]--
			} else {
				rest = append(rest, &as[i])
			}
		}
		return rest
	}
	missing, extra := left(want, got), left(got, want)
	var ms []mismatch
	for _, exact := range []bool{true, false} {
		missing = slices.DeleteFunc(missing, func(w *entry) bool {
			i := slices.IndexFunc(extra, func(g *entry) bool { return g.name() == w.name() && (!exact || g.transition() == w.transition()) })
			if i < 0 {
				return false
			}
			ms = append(ms, mismatch{w, extra[i]})
			extra = slices.Delete(extra, i, i+1)
			return true
		})
	}
	for _, w := range missing {
		ms = append(ms, mismatch{want: w})
	}
	for _, g := range extra {
		ms = append(ms, mismatch{got: g})
	}
	return ms
}

// differ writes for the protocol's author how a section differs, and what was known of the patient around the first difference.
func differ(section, want, got string, zone *time.Location, known func(subject string, at time.Time) []string) string {
	ms := compareEntries(entries(want), entries(got))
	var b strings.Builder
	fmt.Fprintf(&b, "section %q differs", section)
	if len(ms) == 0 {
		b.WriteString(": the same, in another order\n" + indent("wanted:\n"+want+"said:\n"+got))
		return b.String()
	}
	fmt.Fprintf(&b, ": %d not as wanted\n", len(ms))
	var first *entry
	for _, m := range ms {
		e := cmp.Or(m.want, m.got)
		if at := e.at(zone); !at.IsZero() && (first == nil || at.Before(first.at(zone))) {
			first = e
		}
		switch {
		case m.got == nil:
			fmt.Fprintf(&b, "  wanted, and not said:\n%s\n", indent(indent(m.want.text())))
		case m.want == nil:
			fmt.Fprintf(&b, "  said, and not wanted:\n%s\n", indent(indent(m.got.text())))
		default:
			fmt.Fprintf(&b, "  %s:\n    wanted  %s\n    said    %s\n", m.want.name(), m.want.head, m.got.head)
			if parts := otherParts(m.want.head, m.got.head); parts != "" {
				fmt.Fprintf(&b, "    that is %s\n", parts)
			}
			for _, line := range m.want.body {
				if !slices.Contains(m.got.body, line) {
					fmt.Fprintf(&b, "    wanted  … %s\n", line)
				}
			}
			for _, line := range m.got.body {
				if !slices.Contains(m.want.body, line) {
					fmt.Fprintf(&b, "    said    … %s\n", line)
				}
			}
		}
	}
	if first != nil {
		if lines := known(first.subject(), first.at(zone)); len(lines) > 0 {
			fmt.Fprintf(&b, "  what was known of %s around %s:\n%s\n", first.subject(), first.at(zone).Format(layout), indent(indent(strings.Join(lines, "\n"))))
		}
	}
	return strings.TrimRight(b.String(), "\n")
}

// otherParts is where two first lines differ, in their own words.
func otherParts(want, got string) string {
	split := func(s string) []string {
		head, reason, _ := strings.Cut(s, " (")
		first, rest, _ := strings.Cut(head, ",")
		var parts []string
		// Before the name stand the instant and what was told; of a finding its state.
		if before, _, ok := strings.Cut(first, entry{head: s}.name()); ok {
			before = strings.TrimSpace(before)
			if len(before) > len(layout) {
				parts = append(parts, before[:len(layout)], strings.TrimSpace(before[len(layout):]))
			} else {
				parts = append(parts, before)
			}
		}
		for p := range strings.SplitSeq(rest, ",") {
			parts = append(parts, strings.TrimSpace(p))
		}
		if reason != "" {
			parts = append(parts, "("+reason)
		}
		return parts
	}
	x, y := split(want), split(got)
	var lost, found []string
	for _, p := range x {
		if !slices.Contains(y, p) {
			lost = append(lost, p)
		}
	}
	for _, p := range y {
		if !slices.Contains(x, p) {
			found = append(found, p)
		}
	}
	if len(lost)+len(found) == 0 {
		return ""
	}
	return fmt.Sprintf("%s in place of %s", cmp.Or(strings.Join(found, ", "), "nothing"), cmp.Or(strings.Join(lost, ", "), "nothing"))
}

// Of a timeline at most shownRecords are shown, of shownSpan on either side of the instant that is asked for.
const (
	shownRecords = 14
	shownSpan    = 36 * time.Hour
)

// around writes the records nearest to an instant in clinical time, with the instant marked among them.
func around(records []offline.Record, at time.Time, zone *time.Location) []string {
	near := slices.DeleteFunc(slices.Clone(records), func(r offline.Record) bool { return r.At.Sub(at).Abs() > shownSpan && !r.Lasting })
	slices.SortStableFunc(near, func(a, b offline.Record) int { return cmp.Compare(a.At.Sub(at).Abs(), b.At.Sub(at).Abs()) })
	hidden := max(len(near)-shownRecords, 0)
	near = near[:len(near)-hidden]
	slices.SortStableFunc(near, func(a, b offline.Record) int { return a.At.Compare(b.At) })
	var lines []string
	marked := false
	mark := func() { lines, marked = append(lines, "> "+at.In(zone).Format(layout)+"  here"), true }
	for _, r := range near {
		if !marked && r.At.After(at) {
			mark()
		}
		when := r.At.In(zone).Format(layout)
		if r.At.IsZero() {
			when = "no start        "
		}
		line := fmt.Sprintf("  %s  %s  %s", when, r.Text, r.Ref)
		if d := r.Received.Sub(r.At); d > time.Hour && !r.Lasting {
			line += ", received " + r.Received.In(zone).Format(layout)
		}
		lines = append(lines, line)
	}
	if !marked {
		mark()
	}
	if hidden > 0 {
		lines = append(lines, fmt.Sprintf("  and %d more", hidden))
	}
	return lines
}
