package consumers_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/trialwatch/trialwatch/consumers"
)

// described collects the names of what is registered.
type described map[string]bool

func (d described) Register(c prometheus.Collector) error { d.MustRegister(c); return nil }
func (d described) Unregister(prometheus.Collector) bool  { return false }

// MustRegister notes every name.
func (d described) MustRegister(cs ...prometheus.Collector) {
	name := regexp.MustCompile(`fqName: "([^"]+)"`)
	for _, c := range cs {
		descs := make(chan *prometheus.Desc, 16)
		c.Describe(descs)
		close(descs)
		for desc := range descs {
			d[name.FindStringSubmatch(desc.String())[1]] = true
		}
	}
}

// TestEveryMetricIsDocumented: an operator finds every metric in docs/operations.md, and none that is not there.
func TestEveryMetricIsDocumented(t *testing.T) {
	registered := described{}
	consumers.NewMetrics(registered)
	text, err := os.ReadFile(filepath.Join("..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := described{}
	for _, m := range regexp.MustCompile(`trialwatch_[a-z_]+`).FindAllString(string(text), -1) {
		documented[m] = true
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(registered)), slices.Sorted(maps.Keys(documented))); diff != "" {
		t.Errorf("-registered +documented:\n%s", diff)
	}
}
