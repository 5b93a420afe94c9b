package alert_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/alert"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

var day0 = time.Date(2026, 2, 16, 0, 0, 0, 0, time.UTC)

func at(hour int) time.Time { return day0.Add(time.Duration(hour) * time.Hour) }

// fn is a febrile neutropenia from an hour to another; to 0 is open.
func fn(from, to int) rules.Finding { return finding("tox.febrile-neutropenia", "-", from, to, 3, "") }

func finding(rule, key string, from, to, grade int, message string) rules.Finding {
	f := rules.Finding{
		Kind: "finding", Rule: rule, Study: "til-il2", Site: "main", Subject: "S-001", Arm: "arm-1", Status: rules.Open, Grade: &grade, GradeMax: &grade, Current: &grade,
		Onset: at(from), Detected: at(from), Urgency: rules.Urgent, Evidence: []rules.Evidence{}, Message: message, Key: key,
	}
	f.ID = rules.FindingID(rule, f.Study, f.Subject, key, f.Onset)
	if to > 0 {
		end := at(to)
		f.End, f.Status = &end, rules.Resolved
	}
	return f
}

func judgedBy(f rules.Finding, version string) rules.Finding {
	f.Protocol = protocol.Pin{Version: version, Hash: "of " + version}
	return f
}

// step evaluates once: findings at an hour, and what is told, one line a transition.
func step(told []alert.Told, hour int, findings ...rules.Finding) ([]alert.Told, []string) {
	var lines []string
	for _, e := range alert.Diff(told, findings, alert.Cause{Now: at(hour), Reason: "Observation/x"}) {
		told = alert.Fold(told, e)
		_, onset, _ := strings.Cut(e.Alert, "2026-02-")
		line := fmt.Sprintf("%s %s v%d", onset, e.Transition, e.Version)
		if !e.Material {
			line += " immaterial"
		}
		if name, ok := strings.CutPrefix(e.Reason, "merged into "); ok {
			_, onset, _ := strings.Cut(name, "2026-02-")
			line += " merged into " + onset[:len("16T00")]
		}
		lines = append(lines, line)
	}
	return told, lines
}

func TestDiff(t *testing.T) {
	type look struct {
		hour     int
		findings []rules.Finding
		want     []string
	}
	one := func(f rules.Finding) []rules.Finding { return []rules.Finding{f} }
	for _, tt := range []struct {
		name  string
		looks []look
	}{
		{"nothing new is not told again", []look{
			{1, one(fn(1, 0)), []string{"16T01:00:00Z opened v1"}},
			{2, one(fn(1, 0)), nil},
		}},
		{"an end is told once", []look{
			{1, one(fn(1, 0)), []string{"16T01:00:00Z opened v1"}},
			{9, one(fn(1, 8)), []string{"16T01:00:00Z resolved v2"}},
			{10, one(fn(1, 8)), nil},
		}},
		{"what opens already ended is told twice, so that nobody sees an end without a beginning", []look{
			{9, one(fn(1, 8)), []string{"16T01:00:00Z opened v1", "16T01:00:00Z resolved v2"}},
		}},
		{"taken back and come again goes on with the versions", []look{
			{1, one(fn(1, 0)), []string{"16T01:00:00Z opened v1"}},
			{2, nil, []string{"16T01:00:00Z retracted v2"}},
			{3, nil, nil},
			{4, one(fn(1, 0)), []string{"16T01:00:00Z opened v3"}},
		}},
		{"ended and open again", []look{
			{9, one(fn(1, 8)), []string{"16T01:00:00Z opened v1", "16T01:00:00Z resolved v2"}},
			{10, one(fn(1, 0)), []string{"16T01:00:00Z opened v3"}},
		}},
		{"a new grade matters, new words do not", []look{
			{1, one(finding("tox.fever", "-", 1, 0, 1, "38.4 Cel")), []string{"16T01:00:00Z opened v1"}},
			{2, one(finding("tox.fever", "-", 1, 0, 1, "38.5 Cel")), []string{"16T01:00:00Z updated v2 immaterial"}},
			{3, one(finding("tox.fever", "-", 1, 0, 2, "39.1 Cel")), []string{"16T01:00:00Z updated v3"}},
		}},
		{"another protocol that comes to the same is no news", []look{
			{1, one(judgedBy(fn(1, 0), "1.0.0")), []string{"16T01:00:00Z opened v1"}},
			{2, one(judgedBy(fn(1, 0), "1.1.0")), nil},
		}},
		{"a moved onset is the same alert under its old name", []look{
			{8, one(fn(6, 0)), []string{"16T06:00:00Z opened v1"}},
			{9, one(fn(2, 0)), []string{"16T06:00:00Z updated v2"}}, // a late result: it began at 02:00
			{10, one(fn(2, 0)), nil},
			{11, one(fn(6, 0)), []string{"16T06:00:00Z updated v3"}}, // and that result is taken back
		}},
		{"two become one: the longer overlap goes on, the other says where it went", []look{
			{30, []rules.Finding{fn(1, 4), fn(10, 0)}, []string{"16T01:00:00Z opened v1", "16T01:00:00Z resolved v2", "16T10:00:00Z opened v1"}},
			{31, one(fn(2, 0)), []string{"16T01:00:00Z retracted v3 merged into 16T10", "16T10:00:00Z updated v2"}},
		}},
		{"of two equal overlaps the earlier onset goes on", []look{
			{30, []rules.Finding{fn(1, 4), fn(10, 13)}, []string{"16T01:00:00Z opened v1", "16T01:00:00Z resolved v2", "16T10:00:00Z opened v1", "16T10:00:00Z resolved v2"}},
			{31, one(fn(0, 20)), []string{"16T10:00:00Z retracted v3 merged into 16T01", "16T01:00:00Z updated v3"}},
		}},
		{"one becomes two: the name goes with the longer overlap, the other is new", []look{
			{30, one(fn(1, 0)), []string{"16T01:00:00Z opened v1"}},
			{31, []rules.Finding{fn(2, 5), fn(9, 0)}, []string{"16T02:00:00Z opened v1", "16T02:00:00Z resolved v2", "16T01:00:00Z updated v2"}},
		}},
		{"another key is another story", []look{
			{1, one(finding("dev.dose-missed", "il2", 1, 0, 1, "")), []string{"16T01:00:00Z opened v1"}},
			{2, one(finding("dev.dose-missed", "other", 1, 0, 1, "")), []string{"16T01:00:00Z retracted v2", "16T01:00:00Z opened v1"}},
		}},
		{"no overlap is another alert", []look{
			{5, one(fn(1, 4)), []string{"16T01:00:00Z opened v1", "16T01:00:00Z resolved v2"}},
			{9, one(fn(8, 0)), []string{"16T01:00:00Z retracted v3", "16T08:00:00Z opened v1"}},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var told []alert.Told
			for _, l := range tt.looks {
				var got []string
				told, got = step(told, l.hour, l.findings...)
				if diff := cmp.Diff(l.want, got); diff != "" {
					t.Errorf("at hour %d (-want +got):\n%s", l.hour, diff)
				}
			}
		})
	}
}

// However the findings change from one look to the next: what was told always ends as what is found, each alert's versions run 1, 2, 3 …, the
// life of an alert makes sense, and a second look at the same tells nothing.
func TestToldFollowsFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var told []alert.Told
		versions := map[string]int{}
		last := map[string]alert.Transition{}
		var before []rules.Finding
		hour := 0
		for range rapid.IntRange(1, 8).Draw(t, "looks") {
			hour += rapid.IntRange(0, 12).Draw(t, "hours")
			found := draw(t, hour)
			slices.SortFunc(found, func(a, b rules.Finding) int { return a.Compare(&b) })
			cause := alert.Cause{Now: at(hour)}
			events := alert.Diff(told, found, cause)
			if diff := cmp.Diff(events, alert.DiffSince(before, told, found, cause)); diff != "" {
				t.Fatalf("who knows what was found before tells something else (-Diff +DiffSince):\n%s", diff)
			}
			before = found
			for _, e := range events {
				if versions[e.Alert]++; e.Version != versions[e.Alert] {
					t.Fatalf("%s has version %d, want %d", e.Alert, e.Version, versions[e.Alert])
				}
				was := last[e.Alert]
				switch e.Transition {
				case alert.Opened:
					if was == alert.Opened || was == alert.Updated && e.Status == rules.Open && statusOf(told, e.Alert) == rules.Open {
						t.Fatalf("%s opened while open", e.Alert)
					}
				default:
					if was == "" || was == alert.Retracted {
						t.Fatalf("%s %s after %q", e.Alert, e.Transition, was)
					}
				}
				last[e.Alert] = e.Transition
				told = alert.Fold(told, e)
			}
			var stands, want []string
			for _, x := range told {
				if x.Transition != alert.Retracted {
					stands = append(stands, x.Finding.ID+" "+string(x.Finding.Status))
				}
			}
			for _, f := range found {
				want = append(want, f.ID+" "+string(f.Status))
			}
			slices.Sort(stands)
			slices.Sort(want)
			if diff := cmp.Diff(want, stands); diff != "" {
				t.Fatalf("what stands is not what is found (-found +told):\n%s", diff)
			}
			if again := alert.Diff(told, found, cause); len(again) != 0 {
				t.Fatalf("a second look tells %d more, the first %s %s", len(again), again[0].Alert, again[0].Transition)
			}
		}
	})
}

// Whatever differs between two findings, same says so where the fingerprint does: a field that it forgets would be a change that nobody is told of.
func TestSameIsAsStrictAsTheFingerprint(t *testing.T) {
	full := func() *rules.Finding {
		f := fn(1, 2)
		f.BaselineGrade, f.TreatmentEmergent = new(1), new(true)
		f.Evidence = []rules.Evidence{{Ref: "Observation/a", At: at(1)}}
		return &f
	}
	if !alert.Same(full(), full()) {
		t.Fatal("two equal findings are not the same")
	}
	changed := 0
	check := func(name string, change func(reflect.Value), field func(*rules.Finding) reflect.Value) {
		a, b := full(), full()
		change(field(b))
		digest, _ := alert.Digest(*a)
		other, _ := alert.Digest(*b)
		if digest != other {
			changed++
			if alert.Same(a, b) {
				t.Errorf("another %s is the same finding", name)
			}
		}
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[rules.Finding]()) {
		check(f.Name, another, func(x *rules.Finding) reflect.Value { return reflect.ValueOf(x).Elem().FieldByIndex(f.Index) })
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[rules.Evidence]()) {
		check("evidence."+f.Name, another, func(x *rules.Finding) reflect.Value {
			return reflect.ValueOf(&x.Evidence[0]).Elem().FieldByIndex(f.Index)
		})
	}
	if changed < 25 {
		t.Errorf("only %d fields changed the fingerprint: this test sees little", changed)
	}
}

// another sets a value to another one.
func another(v reflect.Value) {
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		*x = x.Add(time.Hour)
		return
	case **time.Time:
		*x = new((*x).Add(time.Hour))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int:
		v.SetInt(v.Int() + 1)
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		p.Elem().Set(v.Elem())
		another(p.Elem())
		v.Set(p)
	case reflect.Slice:
		v.SetZero()
	case reflect.Struct:
		another(v.Field(0))
	default:
		panic("a field of a new kind: " + v.Type().String())
	}
}

func statusOf(told []alert.Told, name string) rules.Status {
	for _, x := range told {
		if x.Alert == name {
			return x.Finding.Status
		}
	}
	return ""
}

// draw makes up findings of two rules that do not overlap within a rule.
func draw(t *rapid.T, hour int) []rules.Finding {
	var fs []rules.Finding
	for _, rule := range []string{"tox.fever", "dev.dose-missed"} {
		from := 0
		for range rapid.IntRange(0, 3).Draw(t, "episodes") {
			from += rapid.IntRange(1, 8).Draw(t, "from")
			to := from + rapid.IntRange(1, 8).Draw(t, "to")
			if to > hour {
				to = 0 // still open
			}
			fs = append(fs, finding(rule, "-", from, to, rapid.IntRange(1, 3).Draw(t, "grade"), rapid.SampledFrom([]string{"", "words"}).Draw(t, "message")))
			if to == 0 {
				break
			}
			from = to
		}
	}
	slices.SortFunc(fs, func(a, b rules.Finding) int { return a.Compare(&b) })
	return fs
}

// What is told says by which protocol it was judged; of a retraction that is the one that no longer supports it.
func TestEventsNameTheProtocol(t *testing.T) {
	f := judgedBy(fn(1, 0), "1.0.0")
	opened := alert.Diff(nil, []rules.Finding{f}, alert.Cause{Now: at(1), Protocol: f.Protocol})
	told := alert.Fold(nil, opened[0])
	retracted := alert.Diff(told, nil, alert.Cause{Now: at(2), Protocol: protocol.Pin{Version: "1.1.0"}})
	if got, want := []string{opened[0].Protocol.Version, retracted[0].Protocol.Version}, []string{"1.0.0", "1.1.0"}; !slices.Equal(got, want) {
		t.Errorf("opened and retracted by %q, want %q", got, want)
	}
}
