package app_test

import (
	"strings"
	"testing"

	"github.com/trialwatch/trialwatch/deployments/protocols"
	"github.com/trialwatch/trialwatch/fhir/sitefile"
	"github.com/trialwatch/trialwatch/internal/app"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// Two files of one site are refused wherever they come together: which of them holds would depend on their order.
func TestTwoFilesOfOneSite(t *testing.T) {
	p, err := protocols.TIL()
	if err != nil {
		t.Fatal(err)
	}
	o := app.DefaultOptions()
	o.DataDir, o.Protocols = t.TempDir(), []*protocol.Protocol{p}
	o.Sites = []*sitefile.Site{{Name: "main"}, {Name: "lake"}}
	if _, err := app.New(o); err != nil {
		t.Errorf("two sites: %v", err)
	}
	o.Sites[1] = &sitefile.Site{Name: "main"}
	const want = "two site files of site main"
	if _, err := app.New(o); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := app.NewDecoder(o.Protocols, nil, o.Sites...); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}
