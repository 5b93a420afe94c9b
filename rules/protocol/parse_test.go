package protocol_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/trialwatch/trialwatch/deployments/protocols"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

func shipped(t *testing.T) string {
	t.Helper()
	data, err := protocols.FS.ReadFile(protocols.Shipped)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestShippedProtocolParses(t *testing.T) {
	p, err := protocol.Parse("protocol.yaml", []byte(shipped(t)))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.Regimens[0].Every.D().Hours(), 8.0; got != want {
		t.Errorf("every = %v h, want %v", got, want)
	}
	if got, want := p.ArmOf(" high-DOSE   IL-2 "), "arm-1"; got != want {
		t.Errorf("arm = %q, want %q", got, want)
	}
	if got, want := p.ArmOf("arm-9"), protocol.Unassigned; got != want {
		t.Errorf("arm = %q, want %q", got, want)
	}
}

// TestErrorsNameLineAndColumn breaks the shipped file in one place at a time.
func TestErrorsNameLineAndColumn(t *testing.T) {
	for _, tt := range []struct{ name, old, new, want string }{
		{"unknown key", "ctcae: \"5.0\"", "ctcae: \"5.0\"\nctace: x", `unknown key "ctace"`},
		{"unknown ctcae version", `ctcae: "5.0"`, `ctcae: "5.1"`, "ctcae"},
		{"unknown zone", "America/Chicago", "America/Chicgo", "unknown time zone"},
		{"arm that is not there", "arm: arm-2", "arm: arm-3", `there is no arm "arm-3"`},
		{"alias of another arm", "aliases: [Arm 2,", "aliases: [HD,", "is also one of arm-1"},
		{"bare number", `value: "38.3"`, `value: 38.3`, "single"},
		{"bad duration", "every: PT8H", "every: 8h", "every"},
		{"missed before late", "missedAfter: PT2H", "missedAfter: PT0H", "missed before it is late"},
		{"key of the other schedule", "schedule: daily", "schedule: daily\n    every: PT8H", "does not belong"},
		{"unit", "unit: umol/L }\n    absolute", "unit: mg/dL }\n    absolute", "is compared in umol/L"},
		{"lacks a citation", "    cite: Dutcher et al., J Immunother Cancer 2014;2:26, table 3\n", "", "lacks cite"},
		{"not yaml", "arms:", "arms: [", ""},
		{"anchor", "study: til-il2", "study: &a til-il2", "anchors"},
		{"two documents", "# After the end", "---\n# After the end", "one YAML document"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(shipped(t), tt.old, tt.new, 1)
			if text == shipped(t) {
				t.Fatal("the shipped file no longer has this text: the row tests nothing")
			}
			_, err := protocol.Parse("p.yaml", []byte(text))
			var errs protocol.Errors
			ok := errors.As(err, &errs)
			if !ok || len(errs) == 0 {
				t.Fatalf("got %v, want Errors", err)
			}
			for _, e := range errs {
				if e.Line == 0 || e.Column == 0 || !strings.Contains(e.Excerpt, "^") {
					t.Errorf("%v has no place", e)
				}
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %q in it", err, tt.want)
			}
		})
	}
}

func TestAllErrorsAtOnce(t *testing.T) {
	text := strings.NewReplacer("America/Chicago", "Nowhere", "arm: arm-2", "arm: arm-7", "term: fever", "term: feverr").Replace(shipped(t))
	_, err := protocol.Parse("p.yaml", []byte(text))
	if got, want := len(func() protocol.Errors {
		var target protocol.Errors
		_ = errors.As(err, &target)
		return target
	}()), 3; got != want {
		t.Errorf("got %d errors, want %d:\n%v", got, want, err)
	}
}

func FuzzParse(f *testing.F) {
	data, err := os.ReadFile("../../deployments/protocols/til-il2/protocol.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte("study: [a"))
	f.Add([]byte("a: &x [*x, *x]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := protocol.Parse("f.yaml", data)
		if (p == nil) == (err == nil) {
			t.Fatalf("got %v and %v: want one of them", p, err)
		}
	})
}
