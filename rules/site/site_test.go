package site_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trialwatch/trialwatch/deployments/protocols"
	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/alert"
	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/protocol"
	"github.com/trialwatch/trialwatch/rules/site"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// trial is the shipped trial without its assessments, which nobody in these tests has.
func trial(t testing.TB) []*protocol.Protocol {
	t.Helper()
	text, err := protocols.FS.ReadFile(protocols.Shipped)
	if err != nil {
		t.Fatal(err)
	}
	p, err := protocol.Parse("protocol.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	p.Assessments = nil
	return []*protocol.Protocol{p}
}

var noon = time.Date(2026, 2, 19, 12, 0, 0, 0, time.UTC)

// fact is a version of a resource of a patient, at noon and so many hours; received in the order of versions.
func fact(kind, id string, version int, patient string, hours float64) *timeline.Fact {
	at := noon.Add(time.Duration(hours * float64(time.Hour)))
	f := &timeline.Fact{
		Ref: timeline.RefOf(kind, id), Site: "main", At: timeline.Time{Start: at}, ReceivedAt: at.Add(time.Duration(version) * time.Minute),
		Version: timeline.Version{ID: fmt.Sprint(version), Digest: fmt.Sprintf("%s/%s/%d", kind, id, version)},
	}
	if kind == "Medication" {
		return f // nobody's
	}
	if strings.HasPrefix(patient, "Patient/") {
		f.Patient.Reference = patient
	} else {
		f.Patient.Identifier = patient
	}
	return f
}

func enrolled(id, patient, subject string) *timeline.Fact {
	f := fact("ResearchSubject", id, 1, patient, -240)
	f.Enrolment = &timeline.Enrolment{Study: "ResearchStudy/til-il2", Status: "on-study", Identifiers: []string{"urn:x|" + subject}, AssignedArm: "arm-1", Start: f.At}
	return f
}

func temperature(id string, version int, patient, value string, hours float64) *timeline.Fact {
	f := fact("Observation", id, version, patient, hours)
	f.Results = []timeline.Result{{Analyte: timeline.Temperature, Value: timeline.Quantity{Value: decimal.Must(value), Text: value, Unit: "Cel"}}}
	return f
}

func count(id string, version int, patient, value string, hours float64) *timeline.Fact {
	f := temperature(id, version, patient, value, hours)
	f.Results[0].Analyte, f.Results[0].Value.Unit = timeline.Neutrophils, "10*3/uL"
	return f
}

func void(f *timeline.Fact) *timeline.Fact {
	f.State, f.Results, f.Dose, f.Product = timeline.Void, nil, nil, nil
	f.Order = nil
	return f
}

// person is a version of a Patient resource.
func person(id string, version int, replacedBy string, identifiers ...string) *timeline.Fact {
	f := fact("Patient", id, version, "Patient/"+id, 0)
	f.Person = &timeline.Person{Identifiers: identifiers, ReplacedBy: replacedBy}
	return f
}

// infusion is one of cells at noon, two days before: IL-2 is due within 24 h of it.
func infusion(id, patient string) *timeline.Fact {
	f := fact("Procedure", id, 1, patient, -48)
	f.Procedure = &timeline.Procedure{Kind: timeline.TIL, Status: "completed"}
	return f
}

// given is a version of an administration of what a Medication says; display is the drug that the reference's display names.
func given(id string, version int, patient, medication, display string, hours float64) *timeline.Fact {
	f := fact("MedicationAdministration", id, version, patient, hours)
	f.Dose = &timeline.Dose{Drug: display, Status: "completed", Medication: "Medication/" + medication}
	return f
}

// ordered is a version of an order of what a Medication says.
func ordered(id string, version int, patient, medication, status string, hours float64) *timeline.Fact {
	f := fact("MedicationRequest", id, version, patient, hours)
	f.Order = &timeline.Order{Status: status, Medication: "Medication/" + medication}
	return f
}

// product is a version of a Medication: a drug that rules read, "other" for another drug, "" for codes that mean nothing here.
func product(id string, version int, drug string) *timeline.Fact {
	f := fact("Medication", id, version, "", float64(version))
	f.At = timeline.Time{}
	f.Product = &timeline.Product{Drug: drug}
	if drug == "other" {
		f.Product = &timeline.Product{Other: true}
	}
	return f
}

// run applies facts one after the other and tells what changes, as the watch does.
type run struct {
	site   *site.Site
	trial  []*protocol.Protocol
	events []string // "opened S-001 tox.fever", with the reason of a retraction
	err    error

	log map[string][]*timeline.Fact // where a site that parks finds the facts of an identity again, nil if it holds all

	versions map[string]int                      // of alerts
	written  map[string]map[string]site.Standing // what a commit has written down, by patient
}

func (r *run) apply(facts ...*timeline.Fact) {
	for _, f := range facts {
		if r.log != nil {
			r.log[f.Owner()] = append(r.log[f.Owner()], f)
		}
		for _, p := range r.site.Apply(f) {
			for _, e := range p.Evaluate(r.trial, alert.Cause{Now: noon.Add(8 * time.Hour), Reason: f.Reason()}) {
				for _, ev := range e.Events {
					if r.versions[ev.Alert]++; ev.Version != r.versions[ev.Alert] {
						r.err = fmt.Errorf("%s: got version %d, want %d", ev.Alert, ev.Version, r.versions[ev.Alert])
					}
					line := fmt.Sprintf("%s %s %s", ev.Transition, ev.Subject, ev.Rule)
					if ev.Transition == alert.Retracted {
						line += ", " + ev.Reason
					}
					r.events = append(r.events, line)
				}
				e.Commit(len(e.Events))
				if e.Changed {
					r.write(p)
				}
			}
		}
	}
}

// write writes a patient's standings down, as a commit does.
func (r *run) write(p *site.Patient) {
	r.written[p.Identity] = map[string]site.Standing{}
	for study, st := range p.Standings {
		r.written[p.Identity][study] = site.Standing{Told: slices.Clone(st.Told), Summary: st.Summary}
	}
}

// enrolledWritten counts patients in what was written down: the aggregates read nothing else.
func (r *run) enrolledWritten() (n int) {
	for _, standings := range r.written {
		if standings["til-il2"].Summary.Enrolled {
			n++
		}
	}
	return n
}

// state is what is true of every patient at the end, and checks that it is what was told.
func (r *run) state() string {
	var b strings.Builder
	enrolled := 0
	defer func() {
		if n := r.enrolledWritten(); n != enrolled && r.err == nil {
			r.err = fmt.Errorf("%d patients are written down as enrolled, want %d", n, enrolled)
		}
	}()
	for _, p := range r.site.Patients() {
		answer := rules.Evaluate(p.Timeline, r.trial[0], noon.Add(8*time.Hour))
		if answer.Summary.Enrolled {
			enrolled++
		}
		var found, told []string
		for _, f := range answer.Findings {
			data, err := json.Marshal(f)
			if err != nil {
				panic(err)
			}
			fmt.Fprintf(&b, "%s %s\n", p.Identity, data)
			found = append(found, f.ID+" "+f.Message)
		}
		if st := p.Standings["til-il2"]; st != nil {
			for _, t := range st.Told {
				if t.Transition != alert.Retracted {
					told = append(told, t.Finding.ID+" "+t.Finding.Message)
				}
			}
		}
		slices.Sort(found)
		slices.Sort(told)
		if d := cmp.Diff(found, told); d != "" && r.err == nil {
			r.err = fmt.Errorf("%s: told is not what is found (-found +told):\n%s", p.Identity, d)
		}
	}
	return b.String()
}

// findings lists them as "Patient/p1: S-001 tox.fever", with ", for review" where somebody must look.
func (r *run) findings() []string {
	lines := []string{}
	for _, p := range r.site.Patients() {
		for _, f := range rules.Evaluate(p.Timeline, r.trial[0], noon.Add(8*time.Hour)).Findings {
			line := fmt.Sprintf("%s: %s %s", p.Identity, f.Subject, f.Rule)
			if f.NeedsReview {
				line += ", for review"
			}
			lines = append(lines, line)
		}
	}
	return lines
}

func start(ps []*protocol.Protocol) *run {
	return &run{site: site.New("main"), trial: ps, versions: map[string]int{}, written: map[string]map[string]site.Standing{}}
}

// startParking is a site that forgets the facts of people who are not enrolled.
func startParking(ps []*protocol.Protocol) *run {
	r := start(ps)
	r.log = map[string][]*timeline.Fact{}
	r.site.Park(func(identity string) ([]*timeline.Fact, error) { return r.log[identity], nil })
	return r
}

// What a Medication says is known when it comes, in whatever order the two came, and its receipt is the first.
func TestMedicationIsKnownWhenItComes(t *testing.T) {
	again := product("x", 1, timeline.Aldesleukin)
	again.ReceivedAt = again.ReceivedAt.Add(time.Hour)
	facts := []*timeline.Fact{enrolled("rs-1", "Patient/p1", "S-001"), given("m", 1, "Patient/p1", "x", "", 0), product("x", 1, timeline.Aldesleukin), again}
	permutations(facts, func(facts []*timeline.Fact) bool {
		r := start(trial(t))
		r.apply(facts...)
		d := r.site.Patient("Patient/p1").Timeline.Doses()[0]
		if want := product("x", 1, "").ReceivedAt; !d.KnownAt().Equal(want) || d.Dose.Drug != timeline.Aldesleukin {
			t.Errorf("%s is known at %s, want aldesleukin at %s", d.Dose.Drug, d.KnownAt(), want)
		}
		return true
	})
}

// TestNobodyOfOurs: a patient who is not enrolled has no standing, so nothing of them is ever written down.
func TestNobodyOfOurs(t *testing.T) {
	r := start(trial(t))
	r.apply(temperature("t", 1, "Patient/p9", "41", 1))
	p := r.site.Patient("Patient/p9")
	if p == nil || len(p.Standings) != 0 || len(r.events) != 0 {
		t.Errorf("got standings %v and events %v, want none", p.Standings, r.events)
	}
}

// TestRestore: a restart goes on where the last commit stood, even one that fell between the two commits of an alert that went from one
// patient to another.
func TestRestore(t *testing.T) {
	before := start(trial(t))
	facts := []*timeline.Fact{enrolled("rs-1", "Patient/old", "S-001"), temperature("t", 1, "Patient/old", "38.6", 1)}
	before.apply(facts...)
	told := before.site.Patient("Patient/old").Standings["til-il2"].Told
	standing := func() []*site.Standing { return []*site.Standing{{Study: "til-il2", Told: slices.Clone(told)}} }

	for _, tt := range []struct {
		name     string
		restored []string // patients, in the order of their commits
		link     bool
	}{
		{"nothing new", []string{"Patient/old"}, false},
		{"the link came after the last commit", []string{"Patient/old"}, true},
		{"the alert was committed with both", []string{"Patient/old", "Patient/p1"}, true},
		{"the alert was committed with the new one only", []string{"Patient/p1"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := start(trial(t))
			for _, id := range tt.restored {
				r.site.Restore(id, standing())
			}
			if tt.link {
				r.site.Apply(person("old", 2, "Patient/p1"))
			}
			for _, f := range facts {
				r.site.Apply(f)
			}
			for _, p := range r.site.Patients() {
				for _, e := range p.Evaluate(r.trial, alert.Cause{Now: noon.Add(8 * time.Hour)}) {
					for _, ev := range e.Events {
						t.Errorf("%s: told again: %s %s version %d", p.Identity, ev.Transition, ev.Alert, ev.Version)
					}
				}
			}
		})
	}
}
