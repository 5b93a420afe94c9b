package site_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/site"
	"github.com/trialwatch/trialwatch/rules/timeline"
)

// stories are the joins and corrections of one site; each is tried in the order given and then in every other.
var stories = []struct {
	name  string
	facts func() []*timeline.Fact
	want  []string // findings
	told  []string // in the order given
}{
	{
		"a result that names an identifier only is joined through the Patient resource",
		func() []*timeline.Fact {
			return []*timeline.Fact{
				enrolled("rs-1", "Patient/p1", "S-001"), count("n", 1, "Patient/p1", "0.4", 0), temperature("t", 1, "urn:mrn|42", "38.6", 1), person("p1", 1, "", "urn:mrn|42"),
			}
		},
		[]string{"Patient/p1: S-001 tox.neutrophil-count-decreased", "Patient/p1: S-001 tox.febrile-neutropenia", "Patient/p1: S-001 tox.fever"},
		[]string{"opened S-001 tox.neutrophil-count-decreased", "opened S-001 tox.febrile-neutropenia", "opened S-001 tox.fever"},
	},
	{
		"the Patient resource loses the identifier: the result leaves",
		func() []*timeline.Fact {
			return []*timeline.Fact{
				enrolled("rs-1", "Patient/p1", "S-001"), person("p1", 1, "", "urn:mrn|42"), temperature("t", 1, "urn:mrn|42", "38.6", 1), person("p1", 2, ""),
			}
		},
		[]string{},
		[]string{"opened S-001 tox.fever", "retracted S-001 tox.fever, no longer supported: Patient/p1 version 2"},
	},
	{
		"the wrong patient: a new version moves the result",
		func() []*timeline.Fact {
			return []*timeline.Fact{
				enrolled("rs-1", "Patient/p1", "S-001"), enrolled("rs-2", "Patient/p2", "S-002"),
				temperature("t", 1, "Patient/p1", "38.6", 1), temperature("t", 2, "Patient/p2", "38.6", 1),
			}
		},
		[]string{"Patient/p2: S-002 tox.fever"},
		[]string{"opened S-001 tox.fever", "retracted S-001 tox.fever, no longer supported: Observation/t version 2", "opened S-002 tox.fever"},
	},
	{
		"and back again with a third version",
		func() []*timeline.Fact {
			return []*timeline.Fact{
				enrolled("rs-1", "Patient/p1", "S-001"), enrolled("rs-2", "Patient/p2", "S-002"),
				temperature("t", 1, "Patient/p1", "38.6", 1), temperature("t", 2, "Patient/p2", "38.6", 1), temperature("t", 3, "Patient/p1", "38.7", 1),
			}
		},
		[]string{"Patient/p1: S-001 tox.fever"},
		[]string{
			"opened S-001 tox.fever", "retracted S-001 tox.fever, no longer supported: Observation/t version 2", "opened S-002 tox.fever",
			"opened S-001 tox.fever", "retracted S-002 tox.fever, no longer supported: Observation/t version 3",
		},
	},
	{
		"two records of one person: the link joins them",
		func() []*timeline.Fact {
			return []*timeline.Fact{
				enrolled("rs-1", "Patient/p1", "S-001"), count("n", 1, "Patient/p1", "0.4", 0), temperature("t", 1, "Patient/old", "38.6", 1), person("old", 2, "Patient/p1"),
			}
		},
		[]string{"Patient/p1: S-001 tox.neutrophil-count-decreased", "Patient/p1: S-001 tox.febrile-neutropenia", "Patient/p1: S-001 tox.fever"},
		[]string{"opened S-001 tox.neutrophil-count-decreased", "opened S-001 tox.febrile-neutropenia", "opened S-001 tox.fever"},
	},
	{
		"both records were enrolled: what was told of the replaced one is taken back, and the link is the reason",
		func() []*timeline.Fact {
			first := enrolled("rs-0", "Patient/old", "S-000")
			first.At.Start = first.At.Start.Add(-24 * time.Hour) // the later enrolment is the one that counts
			return []*timeline.Fact{first, enrolled("rs-1", "Patient/p1", "S-001"), temperature("t", 1, "Patient/old", "38.6", 1), person("old", 2, "Patient/p1")}
		},
		[]string{"Patient/p1: S-001 tox.fever"},
		[]string{"opened S-000 tox.fever", "retracted S-000 tox.fever, no longer supported: Patient/old version 2, replaced by Patient/p1", "opened S-001 tox.fever"},
	},
	{
		"a chain of links ends at the last record",
		func() []*timeline.Fact {
			return []*timeline.Fact{
				enrolled("rs-1", "Patient/p3", "S-001"), temperature("t", 1, "Patient/p1", "38.6", 1), person("p1", 1, "Patient/p2"), person("p2", 1, "Patient/p3"),
			}
		},
		[]string{"Patient/p3: S-001 tox.fever"},
		[]string{"opened S-001 tox.fever"},
	},
	{
		"a circle of links ends somewhere, and always at the same record",
		func() []*timeline.Fact {
			return []*timeline.Fact{
				enrolled("rs-1", "Patient/p2", "S-001"), temperature("t", 1, "Patient/p1", "38.6", 1), person("p1", 1, "Patient/p2"), person("p2", 1, "Patient/p1"),
			}
		},
		[]string{"Patient/p1: S-001 tox.fever"},
		nil,
	},
	{
		"an identifier of a record that was replaced",
		func() []*timeline.Fact {
			return []*timeline.Fact{
				enrolled("rs-1", "Patient/p1", "S-001"), temperature("t", 1, "urn:mrn|42", "38.6", 1), person("old", 1, "Patient/p1", "urn:mrn|42"), count("n", 1, "Patient/p1", "0.4", 0),
			}
		},
		[]string{"Patient/p1: S-001 tox.neutrophil-count-decreased", "Patient/p1: S-001 tox.febrile-neutropenia", "Patient/p1: S-001 tox.fever"},
		nil,
	},
	{
		"a void leaves a tombstone: the version that it took back does not come again",
		func() []*timeline.Fact {
			return []*timeline.Fact{
				enrolled("rs-1", "Patient/p1", "S-001"), temperature("t", 1, "Patient/p1", "38.6", 1), void(temperature("t", 2, "Patient/p1", "38.6", 1)),
				temperature("t", 1, "Patient/p1", "38.6", 1),
			}
		},
		[]string{},
		[]string{"opened S-001 tox.fever", "retracted S-001 tox.fever, no longer supported: Observation/t version 2"},
	},
	{
		"a void that names nobody, as a DELETE does",
		func() []*timeline.Fact {
			return []*timeline.Fact{
				enrolled("rs-1", "Patient/p1", "S-001"), temperature("t", 1, "Patient/p1", "38.6", 1), void(temperature("t", 2, "", "38.6", 1)),
			}
		},
		[]string{},
		[]string{"opened S-001 tox.fever", "retracted S-001 tox.fever, no longer supported: Observation/t version 2"},
	},
	{
		"only the replaced record was enrolled: the story of its alert goes on under the other",
		func() []*timeline.Fact {
			return []*timeline.Fact{
				enrolled("rs-1", "Patient/old", "S-001"), temperature("t", 1, "Patient/old", "38.6", 1), person("old", 2, "Patient/p1"), temperature("t2", 1, "Patient/p1", "39.6", 2),
			}
		},
		[]string{"Patient/p1: S-001 tox.fever"},
		nil,
	},
	{
		"a link that is taken back",
		func() []*timeline.Fact {
			return []*timeline.Fact{
				enrolled("rs-1", "Patient/old", "S-001"), temperature("t", 1, "Patient/old", "38.6", 1), person("old", 2, "Patient/p1"), person("old", 3, ""),
				temperature("t2", 1, "Patient/p1", "39.6", 2),
			}
		},
		[]string{"Patient/old: S-001 tox.fever"},
		nil,
	},
	{
		"a link between two enrolled records that is taken back",
		func() []*timeline.Fact {
			first := enrolled("rs-0", "Patient/old", "S-000")
			first.At.Start = first.At.Start.Add(-24 * time.Hour)
			return []*timeline.Fact{
				first, enrolled("rs-1", "Patient/p1", "S-001"), temperature("t", 1, "Patient/old", "38.6", 1), person("old", 2, "Patient/p1"), person("old", 3, ""),
			}
		},
		[]string{"Patient/old: S-000 tox.fever"},
		[]string{
			"opened S-000 tox.fever", "retracted S-000 tox.fever, no longer supported: Patient/old version 2, replaced by Patient/p1", "opened S-001 tox.fever",
			"opened S-000 tox.fever", "retracted S-001 tox.fever, no longer supported: Patient/old version 3",
		},
	},
	{
		"the enrolment and the result named the wrong patient: the alert is the subject's, its versions go on",
		func() []*timeline.Fact {
			second := enrolled("rs-1", "Patient/p2", "S-001")
			second.Version.ID, second.Version.Digest = "2", "rs-1/2"
			return []*timeline.Fact{
				enrolled("rs-1", "Patient/p1", "S-001"), temperature("t", 1, "Patient/p1", "38.6", 1), second, temperature("t", 2, "Patient/p2", "38.6", 1),
			}
		},
		[]string{"Patient/p2: S-001 tox.fever"},
		nil,
	},
	{
		"a link and a wrong patient at once",
		func() []*timeline.Fact {
			return []*timeline.Fact{
				enrolled("rs-1", "Patient/p1", "S-001"), enrolled("rs-2", "Patient/p2", "S-002"), person("old", 1, "Patient/p1"),
				temperature("t", 1, "Patient/old", "38.6", 1), temperature("t", 2, "Patient/p2", "38.6", 1), count("n", 1, "Patient/old", "0.4", 0),
			}
		},
		[]string{"Patient/p1: S-001 tox.neutrophil-count-decreased", "Patient/p2: S-002 tox.fever"},
		nil,
	},
	{
		"two Patient resources claim one identifier: the smaller reference has it",
		func() []*timeline.Fact {
			return []*timeline.Fact{
				enrolled("rs-1", "Patient/p1", "S-001"), enrolled("rs-2", "Patient/p2", "S-002"), person("p2", 1, "", "urn:mrn|42"), temperature("t", 1, "urn:mrn|42", "38.6", 1),
				person("p1", 1, "", "urn:mrn|42"),
			}
		},
		[]string{"Patient/p1: S-001 tox.fever"},
		[]string{"opened S-002 tox.fever", "opened S-001 tox.fever", "retracted S-002 tox.fever, no longer supported: Patient/p1 version 1"},
	},
	{
		"the Patient resource that carried the identifier is deleted",
		func() []*timeline.Fact {
			deleted := void(person("p1", 2, ""))
			deleted.Person = nil
			return []*timeline.Fact{
				enrolled("rs-1", "Patient/p1", "S-001"), person("p1", 1, "", "urn:mrn|42"), temperature("t", 1, "urn:mrn|42", "38.6", 1), deleted,
			}
		},
		[]string{},
		[]string{"opened S-001 tox.fever", "retracted S-001 tox.fever, no longer supported: Patient/p1 version 2"},
	},
	{
		"a version that could not be read marks the older one for review, whomever it names",
		func() []*timeline.Fact {
			refused := temperature("t", 2, "Patient/p2", "38.6", 1)
			refused.State, refused.Results = timeline.Refused, nil
			return []*timeline.Fact{enrolled("rs-1", "Patient/p1", "S-001"), enrolled("rs-2", "Patient/p2", "S-002"), temperature("t", 1, "Patient/p1", "38.6", 1), refused}
		},
		[]string{"Patient/p1: S-001 tox.fever, for review"},
		[]string{"opened S-001 tox.fever", "updated S-001 tox.fever"},
	},
	{
		"one dose charted under both records of one person counts once",
		func() []*timeline.Fact {
			dose := func(id, patient string) *timeline.Fact {
				f := given(id, 1, patient, "", timeline.Aldesleukin, -24)
				f.Dose.Medication, f.Dose.Dimension, f.Dose.Amount = "", "[iU]", &timeline.Quantity{Value: decimal.Must("50400000"), Text: "50.4", Unit: "MIU"}
				return f
			}
			return []*timeline.Fact{
				enrolled("rs-1", "Patient/p1", "S-001"), infusion("til", "Patient/old"), dose("m", "Patient/p1"), dose("m2", "Patient/old"), person("old", 2, "Patient/p1"),
			}
		},
		[]string{"Patient/p1: S-001 data.possible-duplicate", "Patient/p1: S-001 data.ungradable", "Patient/p1: S-001 dev.dose-missed"},
		nil,
	},
	{
		"the administration comes before the Medication: the dose was late, and is known to have been when the Medication comes",
		func() []*timeline.Fact {
			return []*timeline.Fact{enrolled("rs-1", "Patient/p1", "S-001"), infusion("til", "Patient/p1"), given("m", 1, "Patient/p1", "x", "", 0), product("x", 1, timeline.Aldesleukin)}
		},
		[]string{"Patient/p1: S-001 dev.dose-late"},
		[]string{"opened S-001 dev.dose-missed", "retracted S-001 dev.dose-missed, no longer supported: Medication/x version 1", "opened S-001 dev.dose-late"},
	},
	{
		"a corrected Medication changes what was given to everybody",
		func() []*timeline.Fact {
			return []*timeline.Fact{
				enrolled("rs-1", "Patient/p1", "S-001"), infusion("til", "Patient/p1"), given("m", 1, "Patient/p1", "x", "", 0),
				enrolled("rs-2", "Patient/p2", "S-002"), infusion("til-2", "Patient/p2"), product("x", 1, "other"), product("x", 2, timeline.Aldesleukin),
			}
		},
		[]string{"Patient/p1: S-001 dev.dose-late", "Patient/p2: S-002 dev.dose-missed"},
		nil,
	},
	{
		"a Medication that is corrected to another drug takes the dose back",
		func() []*timeline.Fact {
			return []*timeline.Fact{
				enrolled("rs-1", "Patient/p1", "S-001"), infusion("til", "Patient/p1"), product("x", 1, timeline.Aldesleukin), given("m", 1, "Patient/p1", "x", "", 0),
				product("x", 2, "other"),
			}
		},
		[]string{"Patient/p1: S-001 dev.dose-missed"},
		[]string{
			"opened S-001 dev.dose-missed", "retracted S-001 dev.dose-missed, no longer supported: MedicationAdministration/m version 1", "opened S-001 dev.dose-late",
			"retracted S-001 dev.dose-late, no longer supported: Medication/x version 2", "opened S-001 dev.dose-missed",
		},
	},
	{
		"a Medication that is voided leaves its administrations waiting",
		func() []*timeline.Fact {
			return []*timeline.Fact{
				enrolled("rs-1", "Patient/p1", "S-001"), infusion("til", "Patient/p1"), product("x", 1, timeline.Aldesleukin), given("m", 1, "Patient/p1", "x", "", -24),
				void(product("x", 2, "")),
			}
		},
		[]string{"Patient/p1: S-001 data.ungradable", "Patient/p1: S-001 dev.dose-missed"},
		nil,
	},
	{
		"the display stands in while there is no Medication, and where its codes mean nothing",
		func() []*timeline.Fact {
			return []*timeline.Fact{
				enrolled("rs-1", "Patient/p1", "S-001"), infusion("til", "Patient/p1"), given("m", 1, "Patient/p1", "x", timeline.Aldesleukin, 0), product("x", 1, ""),
				given("m2", 1, "Patient/p1", "y", timeline.Aldesleukin, 8),
			}
		},
		[]string{"Patient/p1: S-001 dev.dose-late"},
		nil,
	},
	{
		"a Medication whose codes mean nothing and no display: a drug that nobody reads, as in a CodeableConcept",
		func() []*timeline.Fact {
			return []*timeline.Fact{
				enrolled("rs-1", "Patient/p1", "S-001"), infusion("til", "Patient/p1"), given("m", 1, "Patient/p1", "x", "", -24), product("x", 1, ""),
			}
		},
		[]string{"Patient/p1: S-001 dev.dose-missed"},
		nil,
	},
	{
		"a Medication goes before the display",
		func() []*timeline.Fact {
			return []*timeline.Fact{
				enrolled("rs-1", "Patient/p1", "S-001"), infusion("til", "Patient/p1"), given("m", 1, "Patient/p1", "x", timeline.Aldesleukin, 0), product("x", 1, "other"),
			}
		},
		[]string{"Patient/p1: S-001 dev.dose-missed"},
		nil,
	},
	{
		"the cells are a Medication too: with it comes day 0",
		func() []*timeline.Fact {
			return []*timeline.Fact{enrolled("rs-1", "Patient/p1", "S-001"), given("til", 1, "Patient/p1", "x", "", -48), product("x", 1, timeline.TIL)}
		},
		[]string{"Patient/p1: S-001 dev.dose-missed"},
		[]string{"opened S-001 data.ungradable", "retracted S-001 data.ungradable, no longer supported: Medication/x version 1", "opened S-001 dev.dose-missed"},
	},
	{
		"an administration that is corrected to another Medication",
		func() []*timeline.Fact {
			return []*timeline.Fact{
				enrolled("rs-1", "Patient/p1", "S-001"), infusion("til", "Patient/p1"), given("m", 1, "Patient/p1", "y", "", 0), product("y", 1, "other"),
				given("m", 2, "Patient/p1", "x", "", 0), product("x", 1, timeline.Aldesleukin),
			}
		},
		[]string{"Patient/p1: S-001 dev.dose-late"},
		nil,
	},
	{
		"an administration that moves to another patient takes its Medication along",
		func() []*timeline.Fact {
			return []*timeline.Fact{
				enrolled("rs-1", "Patient/p1", "S-001"), given("m", 1, "Patient/p1", "x", "", 0), product("x", 1, timeline.Aldesleukin),
				enrolled("rs-2", "Patient/p2", "S-002"), infusion("til", "Patient/p2"), given("m", 2, "Patient/p2", "x", "", 0),
			}
		},
		[]string{"Patient/p2: S-002 dev.dose-late"},
		nil,
	},
	{
		"a stopped order by a Medication ends what is expected, when that comes",
		func() []*timeline.Fact {
			return []*timeline.Fact{enrolled("rs-1", "Patient/p1", "S-001"), infusion("til", "Patient/p1"), ordered("q", 1, "Patient/p1", "x", "stopped", -36), product("x", 1, timeline.Aldesleukin)}
		},
		[]string{},
		[]string{"opened S-001 dev.dose-missed", "retracted S-001 dev.dose-missed, no longer supported: Medication/x version 1"},
	},
	{
		"but not while another order by the same Medication is in force",
		func() []*timeline.Fact {
			return []*timeline.Fact{
				enrolled("rs-1", "Patient/p1", "S-001"), infusion("til", "Patient/p1"), ordered("q", 1, "Patient/p1", "x", "stopped", -36), ordered("r", 1, "Patient/p1", "x", "active", -36),
				product("x", 1, timeline.Aldesleukin),
			}
		},
		[]string{"Patient/p1: S-001 dev.dose-missed"},
		nil,
	},
	{
		"an order by a Medication that is corrected to another drug says nothing of this one",
		func() []*timeline.Fact {
			return []*timeline.Fact{
				enrolled("rs-1", "Patient/p1", "S-001"), infusion("til", "Patient/p1"), ordered("q", 1, "Patient/p1", "x", "stopped", -36), product("x", 1, timeline.Aldesleukin), product("x", 2, "other"),
			}
		},
		[]string{"Patient/p1: S-001 dev.dose-missed"},
		nil,
	},
	{
		"an order by a Medication that is taken back waits again, and so does one whose Medication never comes",
		func() []*timeline.Fact {
			return []*timeline.Fact{
				enrolled("rs-1", "Patient/p1", "S-001"), infusion("til", "Patient/p1"), ordered("q", 1, "Patient/p1", "x", "stopped", -36), product("x", 1, timeline.Aldesleukin), void(product("x", 2, "")),
				ordered("r", 1, "Patient/p1", "y", "active", -36),
			}
		},
		[]string{"Patient/p1: S-001 dev.dose-missed"},
		nil,
	},
	{
		"records are joined, and the Medication comes last",
		func() []*timeline.Fact {
			return []*timeline.Fact{
				enrolled("rs-1", "Patient/p1", "S-001"), infusion("til", "urn:mrn|42"), person("p1", 1, "", "urn:mrn|42"), given("m", 1, "Patient/old", "x", "", 0),
				person("old", 2, "Patient/p1"), product("x", 1, timeline.Aldesleukin),
			}
		},
		[]string{"Patient/p1: S-001 dev.dose-late"},
		nil,
	},
}

func TestStories(t *testing.T) {
	for _, tt := range stories {
		t.Run(tt.name, func(t *testing.T) {
			r := start(trial(t))
			r.apply(tt.facts()...)
			if d := cmp.Diff(tt.want, r.findings()); d != "" {
				t.Errorf("findings (-want +got):\n%s", d)
			}
			if d := cmp.Diff(tt.told, r.events); tt.told != nil && d != "" {
				t.Errorf("told (-want +got):\n%s", d)
			}
		})
	}
}

// TestOrderDoesNotMatter tries every order of every story: the findings are the same to the byte, and what was told has come to them.
func TestOrderDoesNotMatter(t *testing.T) {
	for _, tt := range stories {
		t.Run(tt.name, func(t *testing.T) {
			ps := trial(t)
			in := start(ps)
			in.apply(tt.facts()...)
			want := in.state()
			permutations(tt.facts(), func(facts []*timeline.Fact) bool {
				for name, r := range map[string]*run{"held": start(ps), "parked": startParking(ps)} {
					r.apply(facts...)
					r.apply(facts[0]) // a repetition
					got := r.state()
					if got != want || r.err != nil {
						var order []string
						for _, f := range facts {
							order = append(order, f.Ref.String()+"@"+f.Version.ID)
						}
						t.Errorf("in the order %s, facts %s (-in order given +in this):\n%s\n%v", strings.Join(order, ", "), name, cmp.Diff(want, got), r.err)
						return false
					}
				}
				return true
			})
		})
	}
}

// permutations calls fn with every order of facts until it returns false.
func permutations(facts []*timeline.Fact, fn func([]*timeline.Fact) bool) {
	var visit func(k int) bool
	visit = func(k int) bool {
		if k == len(facts) {
			return fn(facts)
		}
		for i := k; i < len(facts); i++ {
			facts[k], facts[i] = facts[i], facts[k]
			ok := visit(k + 1)
			facts[k], facts[i] = facts[i], facts[k]
			if !ok {
				return false
			}
		}
		return true
	}
	visit(0)
}

func TestRepetitionChangesNothing(t *testing.T) {
	s := site.New("main")
	s.Apply(enrolled("rs-1", "Patient/p1", "S-001"))
	f := temperature("t", 1, "Patient/p1", "38.6", 1)
	if got := len(s.Apply(f)); got != 1 {
		t.Errorf("a new result: got %d patients changed, want 1", got)
	}
	if got := len(s.Apply(f)); got != 0 {
		t.Errorf("the same result again: got %d patients changed, want 0", got)
	}
}
