package protocol_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trialwatch/trialwatch/rules/protocol"
)

// Every change of what is due, held, forbidden or preceded says from when, or that it means the past; words are free.
func TestDiffPast(t *testing.T) {
	const (
		daily   = "    firstDay: 1\n    lastDay: 14\n"
		longer  = "    firstDay: 1\n    lastDay: 21\n"
		hold    = "holds:\n"
		another = "  - { id: rate, title: heart rate, drugs: [aldesleukin], lookback: PT4H, absolute: { label: above 130, above: [{ analyte: heart-rate, value: \"130\", unit: /min }] }, cite: a table"
	)
	in := func(days, what string) string { return days + "    inForce: " + what + "\n" }
	// The line after it in the file is the citation of the last.
	until := in(daily, "{ until: 2026-05-01 }") + "    cite: design default\n  - id: il2\n    title: IL-2\n    arm: arm-b\n    drug: aldesleukin\n    schedule: daily\n"
	holdWith := func(inForce string) string { return hold + another + inForce + " }\n" }
	for _, tt := range []struct {
		name     string
		old, new []string
		want     []string
	}{
		{"the same", nil, nil, nil},
		{"words", nil, []string{"title: IL-2", "title: Interleukin 2", "cite: design default", "cite: design defaults"}, nil},
		{"a threshold of a toxicity, which has no slots", nil, []string{`value: "38.3"`, `value: "38.4"`}, nil},
		{"a longer course", nil, []string{daily, longer}, []string{"regimens[arm-b/il2]"}},
		{"from a day, with the old one until then", nil, []string{daily, until + in(longer, "{ from: 2026-05-01 }")}, nil},
		{"from a day, and the old one is gone", nil, []string{daily, in(longer, "{ from: 2026-05-01 }")}, []string{"regimens[arm-b/il2]"}},
		{"retroactive", nil, []string{daily, in(longer, "{ retroactive: true }")}, nil},
		{"what already began is changed again", []string{daily, in(daily, "{ from: 2026-05-01 }")}, []string{daily, in(longer, "{ from: 2026-05-01 }")}, []string{"regimens[arm-b/il2]"}},
		{"a tolerance", nil, []string{"tolerance: PT1H", "tolerance: PT30M"}, []string{"regimens[arm-a/il2]"}},
		{"a hold more", nil, []string{hold, holdWith("")}, []string{"holds[rate]"}},
		{"a hold more, from a day", nil, []string{hold, holdWith(", inForce: { from: 2026-05-01 }")}, nil},
		{"a hold less", []string{hold, holdWith("")}, nil, []string{"holds[rate]"}},
		{"a hold that ends", []string{hold, holdWith("")}, []string{hold, holdWith(", inForce: { until: 2026-05-01 }")}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, u := range protocol.DiffPast(small(t, tt.old...), small(t, tt.new...)) {
				got = append(got, u.Path)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}
