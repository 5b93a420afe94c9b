package aggregate_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/aggregate"
)

func text(t require, panels []aggregate.Panel) []byte {
	data, err := json.MarshalIndent(panels, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

type require interface{ Fatal(...any) }

// pool is contributions of every kind: no part of them is the same in all.
func pool(t testing.TB) []rules.Summary {
	p := til(t)
	ps := append(cohort(), crowd(p, 12)...)
	n := len(ps)
	ps[n-1].Arm, ps[n-2].ActualAs, ps[n-3].ActualAs = "unassigned", "arm-2", "arm-1"
	for i := range ps {
		ps[i].Unconfirmed = i%4 == 1
		if i%3 == 0 {
			ps[i].DOR = &rules.Followed{Days: 20 * i, Event: i%2 == 0}
		}
		for j := range i % 3 {
			c := rules.Counted{Boundary: p.Stopping[0].ID, From: asOf.Add(time.Duration(i) * time.Hour)}
			if j == 0 {
				c.Toxic, c.Known = c.From.Add(time.Hour), c.From.Add(2*time.Hour)
			}
			ps[i].Stopping = append(ps[i].Stopping, c)
		}
	}
	return ps
}

// Kinds of change beside that of one part of a contribution.
const leaves, becomes = -1, -2

// Patients come, change, move to another arm, are corrected and go, in any order: the board always shows, to the byte, what the panels made from scratch show, and a
// correction that takes back a change takes it back there too.
func TestBoardIsWhatPanelsFromScratchAre(t *testing.T) {
	p, all := til(t), pool(t)
	names := []string{"a", "b", "c", "d", "e", "f"}
	kinds := []int{leaves, becomes, becomes, becomes}
	for part := range reflect.TypeFor[rules.Summary]().NumField() {
		kinds = append(kinds, part)
	}
	rapid.Check(t, func(t *rapid.T) {
		board, now := aggregate.NewBoard(p), map[string]rules.Summary{}
		for range rapid.IntRange(10, 40).Draw(t, "steps") {
			name := rapid.SampledFrom(names).Draw(t, "patient")
			s := now[name]
			from := rapid.SampledFrom(all).Draw(t, "from")
			switch part := rapid.SampledFrom(kinds).Draw(t, "kind"); part {
			case leaves:
				s = rules.Summary{}
			case becomes:
				s = from
			default: // one part of what somebody else contributes
				reflect.ValueOf(&s).Elem().Field(part).Set(reflect.ValueOf(from).Field(part))
			}
			board.Set(name, s)
			now[name] = s
			if rapid.Bool().Draw(t, "look") {
				board.Panels(nil, asOf)
			}
		}
		var patients []rules.Summary
		for _, s := range now {
			patients = append(patients, s)
		}
		if diff := cmp.Diff(string(text(t, aggregate.Panels(p, patients, nil, asOf))), string(text(t, board.Panels(nil, asOf)))); diff != "" {
			t.Fatalf("(-from scratch +board):\n%s", diff)
		}
	})
}

// Each part of a contribution shows in some panel, and on a board that had the rest of it before.
func TestEveryPartOfAContributionShows(t *testing.T) {
	p, all := til(t), pool(t)
	want := text(t, aggregate.Panels(p, all, nil, asOf))
	for part := range reflect.TypeFor[rules.Summary]().NumField() {
		name, shown := reflect.TypeFor[rules.Summary]().Field(part).Name, 0
		for i, from := range all[5:15] {
			changed, of := slices.Clone(all), i+7
			board := aggregate.NewBoard(p)
			for j, s := range all {
				board.Set(fmt.Sprint(j), s)
			}
			board.Panels(nil, asOf)
			reflect.ValueOf(&changed[of]).Elem().Field(part).Set(reflect.ValueOf(from).Field(part))
			board.Set(fmt.Sprint(of), changed[of])
			got := text(t, board.Panels(nil, asOf))
			if !bytes.Equal(got, text(t, aggregate.Panels(p, changed, nil, asOf))) {
				t.Errorf("%s of patient %d changes, and the board is not what panels from scratch are", name, of)
			}
			if !bytes.Equal(got, want) {
				shown++
			}
		}
		if shown == 0 {
			t.Errorf("no panel shows %s", name)
		}
	}
}

// A panel that is made anew has another number, and one that has not changed keeps its own: whoever publishes them goes by that.
func TestMadeSaysWhatHasChanged(t *testing.T) {
	p, all := til(t), pool(t)
	board := aggregate.NewBoard(p)
	for i, s := range all {
		board.Set(fmt.Sprint(i), s)
	}
	before := board.Panels(nil, asOf)
	made := func() map[string]uint64 {
		m := map[string]uint64{}
		for _, panel := range before {
			m[panel.Name] = board.Made(panel.Name)
		}
		return m
	}
	was := made()
	s := all[0]
	s.Stay = &rules.Stay{Days: 99}
	board.Set("0", s)
	board.Set("1", all[1]) // as it was
	board.Panels(nil, asOf.Add(time.Hour))
	want := maps.Clone(was)
	want[aggregate.Stay]++
	if diff := cmp.Diff(want, made()); diff != "" {
		t.Errorf("after a stay has changed (-want +got):\n%s", diff)
	}
	if was[aggregate.Feed] != 0 || was[aggregate.Survival] == 0 {
		t.Errorf("%v: the feed is made each time, the others are counted", was)
	}
}
