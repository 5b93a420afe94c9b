package main

import (
	"strings"
	"testing"

	"github.com/trialwatch/trialwatch/rules"
)

// The list names the site where there is more than one, or where something is of a site and of no patient.
func TestListNamesTheSite(t *testing.T) {
	patient := func(site string) rules.Finding { return rules.Finding{Site: site, Subject: "S-001", Arm: "arm-1"} }
	for _, tt := range []struct {
		name string
		fs   []rules.Finding
		want bool
	}{
		{"one site", []rules.Finding{patient("north"), patient("north")}, false},
		{"two sites", []rules.Finding{patient("north"), patient("south")}, true},
		{"of a site", []rules.Finding{{Site: "north", Subject: "-", Arm: "-"}}, true},
	} {
		var b strings.Builder
		if err := printFindings(&b, tt.fs); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(b.String(), "SITE") && strings.Contains(b.String(), "north"); got != tt.want {
			t.Errorf("%s:\n%s", tt.name, &b)
		}
	}
}
