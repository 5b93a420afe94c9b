package consumers

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trialwatch/trialwatch/fhir"
)

// parses is the metric of how resources were parsed. The decoder counts; it is asked when somebody scrapes.
type parses struct {
	of   atomic.Pointer[fhir.Decoder] // nil in a process without intake
	desc *prometheus.Desc
}

func newParses() *parses {
	return &parses{desc: prometheus.NewDesc("trialwatch_parses_total", "Resources parsed, by why the fast decoder left one to google/fhir; none if it did not.", []string{"reason"}, nil)}
}

// Describe implements prometheus.Collector.
func (p *parses) Describe(to chan<- *prometheus.Desc) { to <- p.desc }

// Collect implements prometheus.Collector.
func (p *parses) Collect(to chan<- prometheus.Metric) {
	d := p.of.Load()
	if d == nil {
		return
	}
	for reason, n := range d.Parses() {
		to <- prometheus.MustNewConstMetric(p.desc, prometheus.CounterValue, float64(n), reason)
	}
}
