package rules_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// on adds a given dose at 08:00 of each of some study days.
func (c *chart) on(drug string, days ...int) *chart {
	for _, day := range days {
		c.drug(drug, fmt.Sprintf("d%d 08:00", day))
	}
	return c
}

// lymphodepletion adds all of its doses, without amounts.
func (c *chart) lymphodepletion() *chart {
	return c.on(timeline.Cyclophosphamide, -7, -6).on(timeline.Fludarabine, -5, -4, -3, -2, -1)
}

// record adds a record of a drug with a status.
func (c *chart) record(drug, status, when string, reasons ...string) *timeline.Fact {
	f := c.dose(fmt.Sprintf("%s-%d", drug, c.n), status, when, reasons...)
	f.Dose.Drug = drug
	return f
}

// chemotherapy writes what is told of lymphodepletion: rule, regimen, status, importance, onset, and when it was detected.
func chemotherapy(fs []rules.Finding) (lines []string) {
	for _, f := range fs {
		about := f.Key
		for _, e := range f.Evidence {
			if strings.Contains(e.Ref, timeline.Cyclophosphamide) || strings.Contains(e.Ref, timeline.Fludarabine) {
				about, _, _ = strings.Cut(strings.TrimPrefix(e.Ref, "MedicationAdministration/"), "-")
			}
		}
		if f.Rule != "dev.til-precondition" && f.Rule != "data.ungradable" && (about == timeline.Cyclophosphamide || about == timeline.Fludarabine) {
			lines = append(lines, strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s %s, detected %s", f.Rule, about, f.Status, f.Importance, f.Onset.Format("01-02T15:04"), f.Detected.Format("01-02T15:04"))), " "))
		}
	}
	return lines
}

const (
	cy  = timeline.Cyclophosphamide
	flu = timeline.Fludarabine
)

// Day 0 is 2026-02-16: cyclophosphamide is due on 02-09 and 02-10, fludarabine on 02-11 to 02-15, each a day either side. TIL is received at 09:05 of day 0.
func TestLymphodepletion(t *testing.T) {
	told := func(rule, regimen, status, importance, onset string) string {
		return fmt.Sprintf("%s %s %s %s %s, detected 02-16T09:05", rule, regimen, status, importance, onset)
	}
	missed := func(regimen, status, importance, onset string) string {
		return told("dev.dose-missed", regimen, status, importance, onset+"T00:00")
	}
	full := func(c *chart) *chart { return c.on(flu, -5, -4, -3, -2, -1) }
	both := func(c *chart) *chart { return c.on(cy, -7, -6) }
	refused := "http://snomed.info/sct|182895007"
	for _, tt := range []struct {
		name  string
		build func(*chart)
		now   string
		want  []string
		says  string
	}{
		{"all on their days", func(c *chart) { c.lymphodepletion() }, "d1 00:00", nil, ""},
		{"none of it recorded: it may have been given elsewhere", func(*chart) {}, "d1 00:00", nil, ""},
		{"refused, and nothing given: the records speak for themselves, nothing else is expected", func(c *chart) { c.record(cy, "not-done", "d-7 08:00", refused) }, "d1 00:00", []string{told("dev.dose-refused", cy, "open", "minor", "02-09T00:00")}, ""},
		{"a lone cyclophosphamide", func(c *chart) { c.on(cy, -7) }, "d0 12:00", []string{missed(cy, "resolved", "important", "02-10"), missed(flu, "open", "query", "02-11")}, "Fludarabine: nothing is recorded, first dose due 2026-02-11."},
		{"nothing of cyclophosphamide: one query", func(c *chart) { full(c) }, "d1 00:00", []string{missed(cy, "resolved", "query", "02-09")}, "Cyclophosphamide: nothing is recorded, first dose due 2026-02-09."},
		{"a day without fludarabine", func(c *chart) { both(c).on(flu, -5, -4, -2, -1) }, "d1 00:00", []string{missed(flu, "resolved", "important", "02-13")}, "Fludarabine dose 3 of 5, due 2026-02-13: no record."},
		{"two days that follow each other are one silence", func(c *chart) { both(c).on(flu, -5, -2, -1) }, "d1 00:00", []string{missed(flu, "resolved", "important", "02-12")}, "Fludarabine doses 2 to 3 of 5, due 2026-02-12"},
		{"two days that do not are two", func(c *chart) { both(c).on(flu, -5, -3, -1) }, "d1 00:00", []string{missed(flu, "resolved", "important", "02-12"), missed(flu, "resolved", "important", "02-14")}, ""},
		{"the last day may be made up on day 0", func(c *chart) { both(c).on(flu, -5, -4, -3, -2) }, "d0 23:59", nil, ""},
		{"and is missed at the midnight after it", func(c *chart) { both(c).on(flu, -5, -4, -3, -2) }, "d1 00:00", []string{"dev.dose-missed fludarabine resolved important 02-15T00:00, detected 02-17T00:00"}, ""},

		{"cyclophosphamide a day late", func(c *chart) { full(c).on(cy, -6, -5) }, "d1 00:00", nil, ""},
		{"a day early", func(c *chart) { full(c).on(cy, -8, -7) }, "d1 00:00", nil, ""},
		{"the first a day early, the second a day late", func(c *chart) { full(c).on(cy, -8, -5) }, "d1 00:00", nil, ""},
		{"the cells a day later than planned: all is a day early", func(c *chart) { c.on(cy, -8, -7).on(flu, -6, -5, -4, -3, -2) }, "d1 00:00", nil, ""},
		{"the second two days late", func(c *chart) { full(c).on(cy, -7, -4) }, "d1 00:00", []string{told("dev.dose-late", cy, "open", "minor", "02-10T00:00")}, "Cyclophosphamide dose 2 of 2 given 2 days late (due 2026-02-10)."},
		{"both two days late", func(c *chart) { full(c).on(cy, -5, -4) }, "d1 00:00", []string{told("dev.dose-late", cy, "open", "minor", "02-09T00:00"), told("dev.dose-late", cy, "open", "minor", "02-10T00:00")}, "2 days late"},
		{"the first two days early", func(c *chart) { full(c).on(cy, -9, -6) }, "d1 00:00", []string{told("dev.dose-early", cy, "open", "minor", "02-09T00:00")}, "2 days early"},
		{"after the cells", func(c *chart) { both(c).on(flu, -5, -4, -3, -2, 2) }, "d3 00:00", []string{"dev.dose-late fludarabine open minor 02-15T00:00, detected 02-18T08:05"}, "3 days late"},
		{"a day left out and made up at the end: each a day late, none missed", func(c *chart) { both(c).on(flu, -5, -4, -2, -1, 0) }, "d1 00:00", nil, ""},

		{"six doses of fludarabine", func(c *chart) { both(full(c)).on(flu, -6) }, "d1 00:00", []string{"dev.dose-over fludarabine open important 02-10T08:00, detected 02-16T09:05"}, "beyond the 5 doses"},
		{"a third cyclophosphamide in the window of the second", func(c *chart) { both(full(c)).on(cy, -5) }, "d1 00:00", []string{"dev.dose-over cyclophosphamide open important 02-11T08:00, detected 02-16T09:05"}, ""},
		{"two of one day count twice, and fill no other day", func(c *chart) { both(c).on(flu, -5, -4, -3, -3, -1) }, "d1 00:00", []string{"data.possible-duplicate fludarabine open 02-13T08:00, detected 02-13T08:05", missed(flu, "resolved", "important", "02-14")}, "is recorded twice on one day: both count"},

		{"a refused day", func(c *chart) { both(c).on(flu, -5, -4, -2, -1).record(flu, "not-done", "d-3 08:00", refused) }, "d1 00:00", []string{told("dev.dose-refused", flu, "open", "minor", "02-13T00:00")}, ""},
		{"a held day", func(c *chart) { both(c).on(flu, -5, -4, -2, -1).record(flu, "on-hold", "d-3 08:00") }, "d1 00:00", []string{told("dev.dose-held-unsupported", flu, "open", "query", "02-13T00:00")}, ""},
		{"held on a day, given the next: nothing is left to ask", func(c *chart) { full(c).on(cy, -6, -5).record(cy, "on-hold", "d-7 08:00") }, "d1 00:00", nil, ""},
		{"a record of not giving a day beside accounts for it", func(c *chart) { both(c).on(flu, -5, -4, -3, -2).record(flu, "not-done", "d0 08:00", refused) }, "d1 00:00", []string{told("dev.dose-refused", flu, "open", "minor", "02-15T00:00")}, ""},
		{"two days beside does not", func(c *chart) { both(c).on(flu, -5, -4, -3, -2).record(flu, "not-done", "d1 08:00", refused) }, "d2 00:00", []string{"dev.dose-missed fludarabine resolved important 02-15T00:00, detected 02-17T00:00"}, ""},
		{"a silence ends with a refused day", func(c *chart) { both(c).on(flu, -5, -2, -1).record(flu, "not-done", "d-3 08:00", refused) }, "d1 00:00", []string{missed(flu, "resolved", "important", "02-12"), told("dev.dose-refused", flu, "open", "minor", "02-13T00:00")}, ""},

		{"stopped on its third day: that day is accounted for, the rest is not expected", func(c *chart) { both(c).on(flu, -5, -4).record(flu, "stopped", "d-3 08:00") }, "d1 00:00", []string{told("dev.dose-held-unsupported", flu, "open", "query", "02-13T00:00")}, ""},
		{"stopped with some of the dose in", func(c *chart) { amount(both(c).on(flu, -5, -4).record(flu, "stopped", "d-3 08:00"), "20", "mg", "IV") }, "d1 00:00", nil, ""},
		{"the order stopped: what was due before stays missed", func(c *chart) { both(c).on(flu, -5, -4).order("o", "stopped", "d-3 12:00").Order.Drug = flu }, "d1 00:00", []string{missed(flu, "resolved", "important", "02-13")}, ""},
		{"the order stopped the evening before", func(c *chart) { both(c).on(flu, -5, -4).order("o", "stopped", "d-4 20:00").Order.Drug = flu }, "d1 00:00", nil, ""},
		{"another order still active", func(c *chart) {
			both(c).on(flu, -5, -4, -3, -2).order("o", "stopped", "d-4 20:00").Order.Drug = flu
			c.order("o2", "active", "d-4 20:00").Order.Drug = flu
		}, "d1 00:00", []string{"dev.dose-missed fludarabine resolved important 02-15T00:00, detected 02-17T00:00"}, ""},

		{"enrolled on day -4: what was due before is not judged", func(c *chart) { c.enrolledOn("d-4 00:00").on(flu, -4, -3, -2, -1) }, "d1 00:00", nil, ""},
		{"but what is due on that day is", func(c *chart) { c.enrolledOn("d-4 00:00").on(flu, -3, -2, -1) }, "d1 00:00", []string{missed(flu, "resolved", "important", "02-12")}, "dose 2 of 5"},
		{"given before the enrolment, days early: not judged", func(c *chart) { c.enrolledOn("d-4 00:00").on(cy, -9, -8).on(flu, -7, -4, -3, -2, -1) }, "d1 00:00", nil, ""},
		{"refused before the enrolment: not judged", func(c *chart) {
			c.enrolledOn("d-4 00:00").on(flu, -5, -4, -3, -2, -1).record(cy, "not-done", "d-7 08:00", refused)
		}, "d1 00:00", nil, ""},
		{"a treatment long before the enrolment is none of this one", func(c *chart) { both(full(c)).on(cy, -40).on(flu, -40) }, "d1 00:00", nil, ""},
		{"and fills no day of it", func(c *chart) { full(c).on(cy, -40, -7) }, "d1 00:00", []string{missed(cy, "resolved", "important", "02-10")}, ""},

		{"a date is enough", func(c *chart) {
			for _, f := range both(full(c)).facts[2:] {
				f.At = timeline.Time{Start: time.Date(f.At.Start.Year(), f.At.Start.Month(), f.At.Start.Day(), 0, 0, 0, 0, zone), Date: f.At.Start.Format(time.DateOnly)}
			}
		}, "d1 00:00", nil, ""},
		{"a minute to midnight is still that day", func(c *chart) {
			full(c).drug(cy, "d-9 23:59")
			c.drug(cy, "d-6 23:59")
		}, "d1 00:00", []string{told("dev.dose-early", cy, "open", "minor", "02-09T00:00")}, ""},
		{"a minute later the next", func(c *chart) {
			full(c).drug(cy, "d-8 00:00")
			c.drug(cy, "d-6 23:59")
		}, "d1 00:00", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := enrolled("arm-1").til()
			tt.build(c)
			fs := c.evaluate(trial(t), at(tt.now)).Findings
			want(t, chemotherapy(fs), tt.want...)
			if !slices.ContainsFunc(fs, func(f rules.Finding) bool { return strings.Contains(f.Message, tt.says) }) && tt.says != "" {
				t.Errorf("no finding says %q: %v", tt.says, fs)
			}
		})
	}
}

func (c *chart) enrolledOn(when string) *chart {
	c.facts[0].At.Start = at(when)
	c.facts[0].Enrolment.Start = c.facts[0].At
	return c
}

// Nothing is judged before day 0 is known; then at once, detected with the receipt of the cells, or of the first dose that makes the rest expected.
func TestLymphodepletionWaitsForDay0(t *testing.T) {
	build := func(til, lone string) *chart {
		c := enrolled("arm-1").til()
		c.facts[1].ReceivedAt = at(til)
		if lone != "" {
			c.on(cy, -7).facts[2].ReceivedAt = at(lone)
		}
		return c
	}
	for _, tt := range []struct {
		name, til, dose, now string
		want                 []string
	}{
		{"the cells are charted on day 3: nothing before", "d3 08:00", "d-7 08:05", "d3 07:59", nil},
		{"all then", "d3 08:00", "d-7 08:05", "d3 08:00", []string{"dev.dose-missed cyclophosphamide resolved important 02-10T00:00, detected 02-19T08:00", "dev.dose-missed fludarabine resolved query 02-11T00:00, detected 02-19T08:00"}},
		{"the dose is charted after the cells", "d0 09:05", "d4 08:00", "d4 08:00", []string{"dev.dose-missed cyclophosphamide resolved important 02-10T00:00, detected 02-20T08:00", "dev.dose-missed fludarabine resolved query 02-11T00:00, detected 02-20T08:00"}},
		{"no cells at all", "d400 00:00", "d-7 08:05", "d60 00:00", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want(t, chemotherapy(build(tt.til, tt.dose).evaluate(trial(t), at(tt.now)).Findings), tt.want...)
		})
	}
}

// The end of the study ends expectations on the days after it, and a death does.
func TestLymphodepletionAfterTheEnd(t *testing.T) {
	c := enrolled("arm-1").til().on(cy, -7, -6).on(flu, -5, -4)
	e := *c.facts[0].Enrolment
	e.Status, e.EndsAt = "withdrawn", at("d-3 12:00")
	c.facts[0].Enrolment = &e
	want(t, chemotherapy(c.evaluate(trial(t), at("d1 00:00")).Findings), "dev.dose-missed fludarabine resolved important 02-13T00:00, detected 02-16T09:05")
	e.EndsAt = at("d-4 20:00")
	want(t, chemotherapy(c.evaluate(trial(t), at("d1 00:00")).Findings))
}

// An amount or a route can be judged before day 0 is known. What was told stays as it was when the cells come: the same finding, of the time of the dose.
func TestAmountsOfLymphodepletionStay(t *testing.T) {
	c := enrolled("arm-1")
	c.lab(timeline.Weight, "70", "d-8 06:00", "").Results[0].Value.Unit = "kg"
	amount(c.drug(cy, "d-7 08:00"), "5000", "mg", "PO")
	before := c.evaluate(trial(t), at("d-6 00:00")).Findings
	c.til().on(cy, -6).on(flu, -5, -4, -3, -2, -1)
	if d := cmp.Diff(before, c.evaluate(trial(t), at("d1 00:00")).Findings); d != "" || len(before) != 2 {
		t.Errorf("%d findings before the cells; after them (-before +after):\n%s", len(before), d)
	}
}

// Two doses of one minute, or of one day of which only the date is known, and one beyond the ceiling: every finding has a name of its own.
func TestNoTwoFindingsHaveOneName(t *testing.T) {
	for _, arm := range []string{"arm-1", "arm-2"} {
		c := enrolled(arm).til()
		c.lab(timeline.Weight, "70", "d-8 06:00", "").Results[0].Value.Unit = "kg"
		for i := range 20 {
			amount(c.drug(cy, "d-7 08:00"), fmt.Sprint(5000+100*(i%4)), "mg", "IV")
			f := amount(c.dose(fmt.Sprint("il2-", i), "completed", fmt.Sprintf("d%d 08:00", 1+i/3)), fmt.Sprint(90_000_000+1000*i), "[iU]", []string{"IV", "PO"}[i%2])
			if i%3 > 0 {
				f.At = timeline.Time{Start: at(fmt.Sprintf("d%d 00:00", 1+i/3)), Date: at(fmt.Sprintf("d%d 00:00", 1+i/3)).Format(time.DateOnly)}
			}
		}
		for i := range 17 {
			amount(c.dose(fmt.Sprint("late-", i), "completed", fmt.Sprintf("d%d 16:00", 8+i)), "99000000", "[iU]", "IV")
		}
		seen, doses := map[string]bool{}, 0
		for _, f := range c.evaluate(trial(t), at("d30 00:00")).Findings {
			if seen[f.ID] {
				t.Errorf("%s: two findings are called %s", arm, f.ID)
			}
			seen[f.ID] = true
			if strings.HasPrefix(f.Rule, "dev.dose-") {
				doses++
			}
		}
		if doses < 20 {
			t.Errorf("%s: only %d findings of doses: this test sees little", arm, doses)
		}
	}
}

// Whatever is recorded in whatever order and however often, the answer is one; each given dose fills a day, or is said to be a second of its day, or one too many.
func TestLymphodepletionInAnyOrder(t *testing.T) {
	p := trial(t)
	rapid.Check(t, func(rt *rapid.T) {
		c := enrolled("arm-1").til()
		given := 0
		for range rapid.IntRange(0, 9).Draw(rt, "records") {
			drug := rapid.SampledFrom([]string{cy, flu}).Draw(rt, "drug")
			status := rapid.SampledFrom([]string{"completed", "completed", "completed", "not-done", "on-hold"}).Draw(rt, "status")
			c.record(drug, status, fmt.Sprintf("d%d %02d:00", rapid.IntRange(-10, 3).Draw(rt, "day"), rapid.IntRange(0, 23).Draw(rt, "hour")))
			if status == "completed" {
				given++
			}
		}
		now := at("d4 00:00")
		want := state(t, p, c.facts, now)
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		again := append(slices.Clone(c.facts), c.facts[r.IntN(len(c.facts))])
		r.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
		if got := state(t, p, again, now); got != want {
			rt.Fatalf("(-want +got):\n%s", cmp.Diff(want, got))
		}
		a := c.evaluate(p, now)
		accounted := 0
		for _, e := range a.Summary.Exposure {
			if e.Regimen == cy || e.Regimen == flu {
				for _, s := range e.Slots {
					if s == "given" {
						accounted++
					}
				}
			}
		}
		for _, line := range chemotherapy(a.Findings) {
			if strings.HasPrefix(line, "dev.dose-over") || strings.HasPrefix(line, "data.possible-duplicate") {
				accounted++
			}
		}
		if accounted != given {
			rt.Fatalf("%d doses were given, and %d are accounted for: %v", given, accounted, chemotherapy(a.Findings))
		}
	})
}

// Doses lie on days in the best of all ways that keep their order, found here by trying all of them.
func TestLayIsTheBestWay(t *testing.T) {
	days := rapid.SliceOfNDistinct(rapid.IntRange(-8, 4), 0, 5, rapid.ID[int])
	rapid.Check(t, func(rt *rapid.T) {
		given, due := days.Draw(rt, "given"), days.Draw(rt, "due")
		slices.Sort(given)
		slices.Sort(due)
		window := rapid.IntRange(0, 3).Draw(rt, "window")
		before := rapid.IntRange(0, len(given)).Draw(rt, "before the enrolment")
		cost := func(on []int) (left, outside, shift int) {
			for i, to := range on {
				if to < 0 {
					left++
					continue
				}
				d := max(given[i]-due[to], due[to]-given[i])
				if shift += d; d > window {
					outside++
				}
			}
			return left, outside, shift
		}
		text := func(on []int) string {
			left, outside, shift := cost(on)
			return fmt.Sprintf("%02d left, %02d outside, %03d days", left, outside, shift)
		}
		best := "none"
		var try func(on []int, from int)
		try = func(on []int, from int) {
			if len(on) == len(given) {
				if s := text(on); best == "none" || s < best {
					best = s
				}
				return
			}
			i := len(on)
			try(append(slices.Clone(on), -1), from)
			for to := from; to < len(due); to++ {
				if d := max(given[i]-due[to], due[to]-given[i]); d <= window || i >= before {
					try(append(slices.Clone(on), to), to+1)
				}
			}
		}
		try(nil, 0)
		on := rules.Lay(given, due, window, before)
		if got := text(on); got != best {
			rt.Fatalf("given %v, due %v, window %d, %d before the enrolment: laid %v, %s; best is %s", given, due, window, before, on, got, best)
		}
	})
}

// What was given long before the enrolment is of an earlier treatment: no part of this exposure, and no wrong amount of it.
func TestDosesOfAnEarlierTreatment(t *testing.T) {
	c := enrolled("arm-1").til().lymphodepletion()
	c.lab(timeline.Weight, "70", "d-50 06:00", "").Results[0].Value.Unit = "kg"
	amount(c.drug(cy, "d-40 08:00"), "1000", "mg", "IV")
	a := c.evaluate(trial(t), at("d1 00:00"))
	want(t, chemotherapy(a.Findings))
	for _, e := range a.Summary.Exposure {
		if e.Regimen == cy && (e.Given != 2 || e.Amount != 0) {
			t.Errorf("%d given, %v mg: want 2 doses without an amount", e.Given, e.Amount)
		}
	}
}

// A dose in parts: any given record of a day fills it, none is a second dose or one too many, and a day counts once.
func TestDosesInParts(t *testing.T) {
	for _, tt := range []struct {
		name  string
		build func(*chart)
		given int
		want  []string
	}{
		{"none: many feeds leave it out", func(c *chart) { c.lymphodepletion() }, 0, nil},
		{"three parts a day, and some until the next morning", func(c *chart) { c.on(timeline.Mesna, -7, -7, -7, -6, -6, -6, -5) }, 3, nil},
		{"one record a day", func(c *chart) { c.on(timeline.Mesna, -7, -6) }, 2, nil},
		{"nothing on the second day", func(c *chart) { c.on(timeline.Mesna, -7, -7) }, 1, []string{"dev.dose-missed resolved minor 02-10T00:00"}},
		{"refused on the second day", func(c *chart) {
			c.on(timeline.Mesna, -7).record(timeline.Mesna, "not-done", "d-6 08:00", "http://snomed.info/sct|182895007")
		}, 1, []string{"dev.dose-refused open minor 02-10T00:00"}},
		{"a part refused, another given", func(c *chart) {
			c.on(timeline.Mesna, -7, -6).record(timeline.Mesna, "not-done", "d-6 16:00", "http://snomed.info/sct|182895007")
		}, 2, nil},
		{"days late", func(c *chart) { c.on(timeline.Mesna, -7, -3, -3) }, 2, []string{"dev.dose-late open minor 02-10T00:00"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := enrolled("arm-1").til()
			tt.build(c)
			a := c.evaluate(trial(t), at("d1 00:00"))
			var got []string
			for _, f := range a.Findings {
				if f.Key == timeline.Mesna || slices.ContainsFunc(f.Evidence, func(e rules.Evidence) bool { return strings.Contains(e.Ref, timeline.Mesna) }) {
					got = append(got, fmt.Sprintf("%s %s %s %s", f.Rule, f.Status, f.Importance, f.Onset.Format("01-02T15:04")))
				}
			}
			want(t, got, tt.want...)
			for _, e := range a.Summary.Exposure {
				if e.Regimen == timeline.Mesna && e.Given != tt.given {
					t.Errorf("%d given, want %d", e.Given, tt.given)
				}
			}
		})
	}
}

// Of days that are still to come the next is pending, and each turns at the midnight that ends its window.
func TestNamedDaysToCome(t *testing.T) {
	edits := []string{"    days: [-7, -6]\n    windowDays: 1 # a shift of a day is no deviation (design default)\n    expectedWith: [cyclophosphamide, fludarabine]\n", "    days: [2, 3, 9]\n    windowDays: 1\n"}
	p := trial(t, edits...)
	for _, tt := range []struct {
		now, slots, next string
		want             []string
	}{
		{"d0 12:00", "pending", "d1 12:00", nil}, // of which nothing is recorded one dose is asked for; IL-2 is missed before
		{"d3 23:59", "pending", "d4 00:00", nil},
		{"d4 00:00", "missed", "", []string{"dev.dose-missed cyclophosphamide open query 02-18T00:00, detected 02-20T00:00"}},
	} {
		a := enrolled("arm-1").til().evaluate(p, at(tt.now))
		slots := ""
		for _, e := range a.Summary.Exposure {
			if e.Regimen == cy {
				slots = strings.Join(e.Slots, " ")
			}
		}
		if slots != tt.slots {
			t.Errorf("at %s: slots %q, want %q", tt.now, slots, tt.slots)
		}
		if tt.next != "" && !a.Next.Equal(at(tt.next)) {
			t.Errorf("at %s: next %s, want %s", tt.now, a.Next, tt.next)
		}
		want(t, chemotherapy(a.Findings), tt.want...)
	}
	for _, tt := range []struct{ now, slots string }{
		{"d1 23:59", "pending"}, {"d2 09:00", "given pending"}, {"d3 00:00", "given pending pending"}, {"d4 23:59", "given pending pending"}, {"d5 00:00", "given missed pending"},
	} {
		c := enrolled("arm-1").til()
		c.drug(cy, "d2 08:00")
		for _, e := range c.evaluate(p, at(tt.now)).Summary.Exposure {
			if got := strings.Join(e.Slots, " "); e.Regimen == cy && got != tt.slots {
				t.Errorf("at %s: slots %q, want %q", tt.now, got, tt.slots)
			}
		}
	}
	// The day after the next is shown from the midnight on at which the next begins.
	four := trial(t, edits[0], strings.Replace(edits[1], "9]", "9, 10]", 1))
	c := enrolled("arm-1").til().on(cy, 2)
	for _, tt := range []struct{ now, slots, next string }{{"d8 00:00", "given missed pending", "d9 00:00"}, {"d9 00:00", "given missed pending pending", ""}} {
		a := c.evaluate(four, at(tt.now))
		if tt.next != "" && !a.Next.Equal(at(tt.next)) {
			t.Errorf("at %s: next %s, want %s", tt.now, a.Next, tt.next)
		}
		for _, e := range a.Summary.Exposure {
			if got := strings.Join(e.Slots, " "); e.Regimen == cy && got != tt.slots {
				t.Errorf("at %s: slots %q, want %q", tt.now, got, tt.slots)
			}
		}
	}
	// No answer changes between the instants for which it asks to be woken.
	for seed := range uint64(20) {
		if _, diff := memoAgrees(p, seed); diff != "" {
			t.Fatalf("seed %d (-Evaluate +Memo):\n%s", seed, diff)
		}
	}
}

// An amendment of the days judges its own time: what was due before it by the old days, what is due after it by the new ones.
func TestAmendedDays(t *testing.T) {
	old := "    days: [-7, -6]\n    windowDays: 1 # a shift of a day is no deviation (design default)\n    expectedWith: [cyclophosphamide, fludarabine]\n    missed: important\n    cite: Amtagvi USPI; J Immunother Cancer 11/Suppl 1/A873\n"
	amended := func(day string) []string {
		return []string{old, strings.Replace(old, "missed: important\n", "missed: important\n    inForce: { until: "+day+" }\n", 1) +
			"  - { id: cyclophosphamide, title: Cyclophosphamide, arm: all, drug: cyclophosphamide, route: IV, dose: { value: \"60\", unit: mg/kg }, schedule: days, days: [-6], windowDays: 0, " +
			"expectedWith: [cyclophosphamide], missed: important, inForce: { from: " + day + " }, cite: Amendment 1 }\n"}
	}
	for _, tt := range []struct {
		name, from string
		cy         []int
		want       []string
	}{
		{"before it two doses are due", "2026-03-01", []int{-6}, []string{"dev.dose-missed cyclophosphamide resolved important 02-09T00:00, detected 02-16T09:05"}},
		{"after it one", "2026-02-01", []int{-6}, nil},
		{"and a second is too many", "2026-02-01", []int{-7, -6}, []string{"dev.dose-over cyclophosphamide open important 02-09T08:00, detected 02-16T09:05"}},
		{"between the days each version takes the doses of its own time", "2026-02-10", []int{-7}, []string{"dev.dose-missed cyclophosphamide resolved important 02-10T00:00, detected 02-16T09:05"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := enrolled("arm-1").til().on(cy, tt.cy...).on(flu, -5, -4, -3, -2, -1)
			want(t, chemotherapy(c.evaluate(trial(t, amended(tt.from)...), at("d1 00:00")).Findings), tt.want...)
		})
	}
}
