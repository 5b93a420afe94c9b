package rules_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// dosesAsPlanned is one dose of each schedule of the shipped trial, given when it was due, and when it is judged.
var dosesAsPlanned = []struct {
	schedule, arm, drug, when, now string
	amount, dimension, route       string
}{
	{"interval", "arm-1", timeline.Aldesleukin, "d1 08:00", "d1 15:00", "50400000", "[iU]", "IV"},
	{"daily", "arm-2", timeline.Aldesleukin, "d1 08:00", "d2 00:00", "2000000", "[iU]", "SC"},
	{"days", "arm-1", timeline.Cyclophosphamide, "d-7 08:00", "d1 00:00", "4200", "mg", "IV"},
	{"cycle", "arm-2", timeline.Pembrolizumab, "d21 08:00", "d25 00:00", "200", "mg", "IV"},
}

// What becomes of a dose that is odd, in every schedule: in the order of dosesAsPlanned, "=" for the same as the one before. A dose that does not count leaves its slot
// missed: as a question where it is the only record, for cyclophosphamide as important, since the dose of day -6 is recorded.
func TestOddDoses(t *testing.T) {
	const (
		nothing, missed = "", "dev.dose-missed query"
		ungradable      = "data.ungradable"
	)
	unit := func(value, dimension string) func(*timeline.Fact) {
		return func(f *timeline.Fact) {
			f.Dose.Amount, f.Dose.Dimension = &timeline.Quantity{Value: decimal.Must(value), Text: value, Unit: dimension}, dimension
		}
	}
	unread := func(reason string) func(*timeline.Fact) {
		return func(f *timeline.Fact) {
			f.Dose.Amount, f.Dose.Dimension, f.Dose.AmountProblem = nil, "", &timeline.Problem{Reason: reason}
		}
	}
	status := func(status string) func(*timeline.Fact) {
		return func(f *timeline.Fact) { f.Dose.Status = status }
	}
	late := func(d time.Duration) func(*timeline.Fact) {
		return func(f *timeline.Fact) { f.ReceivedAt = f.At.Start.Add(d) }
	}
	both := func(fs ...func(*timeline.Fact)) func(*timeline.Fact) {
		return func(f *timeline.Fact) {
			for _, fn := range fs {
				fn(f)
			}
		}
	}
	for _, tt := range []struct {
		name  string
		build func(*timeline.Fact)
		want  [4]string
	}{
		{"as planned", func(*timeline.Fact) {}, [4]string{nothing, "=", "=", "="}},
		{"without an amount: it counts, nothing is compared", both(unread(""), func(f *timeline.Fact) { f.Dose.AmountProblem = nil }), [4]string{nothing, "=", "=", "="}},
		{"an amount without a unit, or with one that is not known", unread(timeline.ProblemUnitMissing), [4]string{"data.unit-missing", "=", "=", "="}},
		{"an amount without a value, or a rate alone", unread(timeline.ProblemValueAbsent), [4]string{ungradable, "=", "=", "="}},
		{"an amount of too many digits", unread(timeline.ProblemValueRange), [4]string{ungradable, "=", "=", "="}},
		{"an amount below 0", unread(timeline.ProblemImplausible), [4]string{"data.implausible", "=", "=", "="}},
		{"an amount of 0: recorded as given, and none of it", unit("0", "[iU]"), [4]string{"dev.dose-wrong important", "=", "data.ungradable", "="}},
		{"0 mg", unit("0", "mg"), [4]string{"dev.dose-wrong important", "=", "=", "="}},
		{"a thousandfold", func(f *timeline.Fact) {
			v, _ := f.Dose.Amount.Value.Mul(decimal.Int(1000))
			f.Dose.Amount.Value = v
		}, [4]string{"dev.dose-wrong important", "=", "=", "="}},
		{"three times as much", func(f *timeline.Fact) {
			v, _ := f.Dose.Amount.Value.Mul(decimal.Int(3))
			f.Dose.Amount.Value = v
		}, [4]string{"dev.dose-over important", "=", "=", "="}},
		{"per kg, as planned for 70 kg", func(f *timeline.Fact) {
			v, _ := f.Dose.Amount.Value.Quo(decimal.Int(70))
			f.Dose.Amount.Value, f.Dose.Dimension = v, f.Dose.Dimension+"/kg"
		}, [4]string{nothing, "=", "=", ungradable}}, // without cyclophosphamide or IL-2 there is no dosing weight
		{"in mL: 18 MIU in 1 mL by the protocol; of the others nobody says how much that is", func(f *timeline.Fact) {
			unit(map[string]string{"arm-1": "2.8", "arm-2": "0.1112"}[map[string]string{"IV": "arm-1", "SC": "arm-2"}[f.Dose.Route]], "mL")(f)
		}, [4]string{nothing, "=", ungradable, "="}},
		{"in mL of a product that says what it holds", func(f *timeline.Fact) {
			f.Dose.Strength = &timeline.Strength{Amount: *f.Dose.Amount, Dimension: f.Dose.Dimension, Per: timeline.Quantity{Value: decimal.Int(5)}, PerDimension: "mL"}
			unit("5", "mL")(f)
		}, [4]string{nothing, "=", "=", "="}},
		{"a route that is not known", func(f *timeline.Fact) { f.Dose.Route, f.Dose.RouteUnknown = "", true }, [4]string{ungradable, "=", "=", "="}},
		{"no route", func(f *timeline.Fact) { f.Dose.Route = "" }, [4]string{nothing, "=", "=", "="}},
		{"another route", func(f *timeline.Fact) { f.Dose.Route = "PO" }, [4]string{"dev.route-wrong important", "=", "=", "="}},

		{"a date without a time", func(f *timeline.Fact) {
			f.At = timeline.Time{Start: time.Date(f.At.Start.Year(), f.At.Start.Month(), f.At.Start.Day(), 0, 0, 0, 0, zone), Date: f.At.Start.Format(time.DateOnly)}
		}, [4]string{"data.timing-unknown", nothing, "=", "="}},
		{"24 h after its receipt: it waits for its time, and counts then", late(-24 * time.Hour), [4]string{nothing, "=", "=", "="}},
		{"a minute more is no time that can be believed", late(-24*time.Hour - time.Minute), [4]string{"data.implausible, " + missed, "=", "data.implausible, dev.dose-missed important", "data.implausible, " + missed}},

		{"in progress: it counts", status("in-progress"), [4]string{nothing, "=", "=", "="}},
		{"not done", status("not-done"), [4]string{"dev.dose-held-unsupported query", "=", "=", "="}},
		{"on hold", status("on-hold"), [4]string{"dev.dose-held-unsupported query", "=", "=", "="}},
		{"stopped with some of it in: what was left out shows in the amount", status("stopped"), [4]string{nothing, "=", "=", "="}},
		{"stopped with nothing in", both(status("stopped"), unit("0", "mg")), [4]string{"dev.dose-held-unsupported query", "=", "=", "="}},
		{"stopped, and nobody says how much went in", both(status("stopped"), unread(""), func(f *timeline.Fact) { f.Dose.AmountProblem = nil }), [4]string{"dev.dose-held-unsupported query", "=", "=", "="}},
		{"stopped with an amount that cannot be read: it is asked for", both(status("stopped"), unread(timeline.ProblemUnitMissing)), [4]string{"data.unit-missing, dev.dose-held-unsupported query", "=", "=", "="}},
		{"a status that is not known", both(status("unknown"), func(f *timeline.Fact) { f.Dose.Problem = &timeline.Problem{Reason: timeline.ProblemStatusUnknown} }), [4]string{"data.ungradable, " + missed, "=", "data.ungradable, dev.dose-missed important", "data.ungradable, " + missed}},
		{"entered in error", func(f *timeline.Fact) { f.State, f.Dose = timeline.Void, nil }, [4]string{missed, "=", "dev.dose-missed important", missed}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			expected := ""
			for i, d := range dosesAsPlanned {
				if tt.want[i] != "=" {
					expected = tt.want[i]
				}
				c := enrolled(d.arm).til()
				c.lab(timeline.Weight, "70", "d-8 06:00", "").Results[0].Value.Unit = "kg"
				if d.schedule == "days" {
					c.on(timeline.Cyclophosphamide, -6).on(timeline.Fludarabine, -5, -4, -3, -2, -1)
				}
				f := c.record(d.drug, "completed", d.when)
				f.Ref = timeline.RefOf("MedicationAdministration", "odd")
				amount(f, d.amount, d.dimension, d.route)
				tt.build(f)
				if got := strings.Join(aboutOdd(c.evaluate(trial(t), at(d.now)).Findings, d.drug), ", "); got != expected {
					t.Errorf("%s: %q, want %q", d.schedule, got, expected)
				}
			}
		})
	}
}

// aboutOdd are the rules of what is told of the record "odd" and of slots of its drug without a record.
func aboutOdd(fs []rules.Finding, drug string) (told []string) {
	for _, f := range fs {
		odd := slices.ContainsFunc(f.Evidence, func(e rules.Evidence) bool { return e.Ref == "MedicationAdministration/odd" })
		slot := f.Rule == "dev.dose-missed" && (f.Key == drug || f.Key == "il2" && drug == timeline.Aldesleukin)
		if odd || slot {
			told = append(told, strings.TrimSpace(f.Rule+" "+string(f.Importance)))
		}
	}
	slices.Sort(told)
	return told
}

// A dose on hold that is given after all, under the same record, was given: the newest version counts, whichever came first.
func TestOnHoldThenGiven(t *testing.T) {
	for _, d := range dosesAsPlanned {
		c := enrolled(d.arm).til()
		c.lab(timeline.Weight, "70", "d-8 06:00", "").Results[0].Value.Unit = "kg"
		if d.schedule == "days" {
			c.on(timeline.Cyclophosphamide, -6).on(timeline.Fludarabine, -5, -4, -3, -2, -1)
		}
		f := c.record(d.drug, "completed", d.when)
		f.Ref, f.Version.ID = timeline.RefOf("MedicationAdministration", "odd"), "2"
		amount(f, d.amount, d.dimension, d.route)
		held := *f
		dose := *f.Dose
		dose.Status, dose.Amount = "on-hold", nil
		held.Dose, held.Version = &dose, timeline.Version{ID: "1", Digest: "held"}
		c.facts = append(c.facts, &held)
		if got := aboutOdd(c.evaluate(trial(t), at(d.now)).Findings, d.drug); got != nil {
			t.Errorf("%s: %v, want nothing", d.schedule, got)
		}
	}
}

// Two records of one minute: the same dose in whatever units is one dose, anything else is two.
func TestTwoRecordsOfOneMinute(t *testing.T) {
	for _, tt := range []struct {
		name      string
		second    func(*timeline.Fact)
		given     int
		duplicate bool
	}{
		{"of one amount", func(*timeline.Fact) {}, 1, true},
		{"in milligrams: 3.08 mg are 50.4 MIU", func(f *timeline.Fact) { amount(f, "3.08", "mg", "IV") }, 1, true},
		{"in millilitres: 2.8 mL are 50.4 MIU", func(f *timeline.Fact) { amount(f, "2.8", "mL", "IV") }, 1, true},
		{"per kilogram", func(f *timeline.Fact) { amount(f, "720000", "[iU]/kg", "IV") }, 1, true},
		{"of a little less", func(f *timeline.Fact) { amount(f, "3.07", "mg", "IV") }, 2, false},
		{"without an amount", func(f *timeline.Fact) { f.Dose.Amount, f.Dose.Dimension = nil, "" }, 2, false},
		{"a minute later", func(f *timeline.Fact) { f.At.Start = f.At.Start.Add(time.Minute) }, 2, false},
		{"not given", func(f *timeline.Fact) { f.Dose.Status = "not-done" }, 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := enrolled("arm-1").til()
			c.lab(timeline.Weight, "70", "d-8 06:00", "").Results[0].Value.Unit = "kg"
			amount(c.dose("m1", "completed", "d1 08:00"), "50400000", "[iU]", "IV")
			tt.second(amount(c.dose("m2", "completed", "d1 08:00"), "50400000", "[iU]", "IV"))
			a := c.evaluate(trial(t), at("d1 09:00"))
			duplicate := slices.ContainsFunc(a.Findings, func(f rules.Finding) bool { return f.Rule == "data.possible-duplicate" })
			if given := a.Summary.Exposure[0].Given; given != tt.given || duplicate != tt.duplicate {
				t.Errorf("%d given, duplicate %v: want %d and %v", given, duplicate, tt.given, tt.duplicate)
			}
		})
	}
}

// Nothing that was due before the enrolment is judged, in any schedule: it is not early, late, held, refused or missed. What was given counts.
func TestDosesBeforeTheEnrolment(t *testing.T) {
	for _, d := range dosesAsPlanned {
		for _, status := range []string{"completed", "not-done", ""} {
			c := enrolled(d.arm).til().enrolledOn("d22 08:00")
			c.facts[0].ReceivedAt = at("d-8 08:00")
			if status != "" {
				f := c.record(d.drug, status, d.when)
				f.Ref = timeline.RefOf("MedicationAdministration", "odd")
				if d.schedule == "interval" {
					f.At.Start = at("d1 15:00") // late
				}
			}
			a := c.evaluate(trial(t), at("d22 09:00"))
			if got := aboutOdd(a.Findings, d.drug); got != nil {
				t.Errorf("%s, %s: %v, want nothing", d.schedule, status, got)
			}
			given := 0
			for _, e := range a.Summary.Exposure {
				given += e.Given
			}
			if want := map[string]int{"completed": 1}[status]; given != want {
				t.Errorf("%s, %s: %d given, want %d", d.schedule, status, given, want)
			}
		}
	}
	// The last slot before and the first after the instant of the enrolment.
	for start, want := range map[string]string{"d1 08:00": "dev.dose-late minor", "d1 10:01": ""} {
		c := enrolled("arm-1").til().enrolledOn(start)
		c.record(timeline.Aldesleukin, "completed", "d1 11:30").Ref = timeline.RefOf("MedicationAdministration", "odd")
		if got := fmt.Sprint(strings.Join(aboutOdd(c.evaluate(trial(t), at("d1 12:00")).Findings, timeline.Aldesleukin), ", ")); got != want {
			t.Errorf("enrolled at %s: %q, want %q", start, got, want)
		}
	}
}
