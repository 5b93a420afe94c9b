package main

import (
	"testing"

	"github.com/trialwatch/trialwatch/rules"
	"github.com/trialwatch/trialwatch/rules/alert"
)

// What scrolls by in a demo is what a coordinator would act upon: thirty terms of fourteen patients would be a flood otherwise.
func TestWorthALine(t *testing.T) {
	event := func(rule string, transition alert.Transition, urgency rules.Urgency, grade int, message string) alert.Event {
		return alert.Event{Transition: transition, Material: true, Finding: rules.Finding{Rule: rule, Urgency: urgency, GradeMax: &grade, Message: message}}
	}
	const tox, dose = "tox.creatinine-increased", "dev.dose-missed"
	for name, tt := range map[string]struct {
		before, now alert.Event
		want        bool
	}{
		"opened, routine":                  {alert.Event{}, event(tox, alert.Opened, rules.Routine, 2, "a"), true},
		"opened, expected or grade 1":      {alert.Event{}, event(tox, alert.Opened, rules.Log, 1, "a"), false},
		"worse":                            {event(tox, alert.Opened, rules.Routine, 2, "a"), event(tox, alert.Updated, rules.Prompt, 3, "b"), true},
		"worse, and only now worth a look": {event(tox, alert.Opened, rules.Log, 1, "a"), event(tox, alert.Updated, rules.Routine, 2, "b"), true},
		"worse of the same urgency":        {event(tox, alert.Opened, rules.Urgent, 4, "a"), event(tox, alert.Updated, rules.Urgent, 5, "b"), true},
		"a new worst value, same grade":    {event(tox, alert.Opened, rules.Routine, 2, "a"), event(tox, alert.Updated, rules.Routine, 2, "b"), false},
		"one more dose missed":             {event(dose, alert.Opened, rules.Prompt, 0, "a"), event(dose, alert.Updated, rules.Prompt, 0, "b"), true},
		"one more result is ungradable":    {event("data.ungradable", alert.Opened, rules.Routine, 0, "a"), event("data.ungradable", alert.Updated, rules.Routine, 0, "b"), false},
		"the same words":                   {event(dose, alert.Opened, rules.Prompt, 0, "a"), event(dose, alert.Updated, rules.Prompt, 0, "a"), false},
		"the end of something prompt":      {event(dose, alert.Opened, rules.Prompt, 0, "a"), event(dose, alert.Resolved, rules.Prompt, 0, "a"), true},
		"the end of something routine":     {event(tox, alert.Opened, rules.Routine, 2, "a"), event(tox, alert.Resolved, rules.Routine, 2, "a"), false},
		"taken back":                       {event(tox, alert.Opened, rules.Log, 1, "a"), event(tox, alert.Retracted, rules.Log, 1, "a"), true},
	} {
		if got := worthALine(&tt.now, &tt.before); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
	detail := event(tox, alert.Updated, rules.Urgent, 4, "b")
	if detail.Material = false; worthALine(&detail, &alert.Event{}) {
		t.Error("news in the evidence alone has a line")
	}
}
