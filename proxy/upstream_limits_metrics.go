package proxy

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// upstreamFigures are what providers say of their limits, read when they are
// asked for.
type upstreamFigures struct {
	p    *Proxy
	left *prometheus.Desc
}

// watchUpstreams adds them to the figures of a proxy, and how many calls wait.
func (m *Metrics) watchUpstreams(p *Proxy) {
	if m.registry == nil {
		return
	}
	m.registry.MustRegister(upstreamFigures{p, prometheus.NewDesc("weir_upstream_limit_left_ratio",
		"The share that is left of a provider's own limit, by its word within the last hour; of its models the least.",
		[]string{"provider", "measure"}, nil)})
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "weir_queued_calls", Help: "Calls that wait for room at a limit, of Weir's or of a provider's.",
	}, func() float64 { return float64(p.Queued()) }))
}

// Describe implements prometheus.Collector.
func (f upstreamFigures) Describe(c chan<- *prometheus.Desc) { c <- f.left }

// Collect implements prometheus.Collector.
func (f upstreamFigures) Collect(c chan<- prometheus.Metric) {
	st, now := f.p.state.Load(), time.Now()
	if st == nil {
		return // nobody serves yet
	}
	for _, p := range st.providers {
		for i, share := range p.allowances.left(now) {
			if share >= 0 {
				c <- prometheus.MustNewConstMetric(f.left, prometheus.GaugeValue, share, p.Name, measureNames[i])
			}
		}
	}
}

// tracePassed tells the call's span of a target that was passed over.
func tracePassed(x *Exchange, provider string, wait time.Duration) {
	if x.trace.span == nil {
		return
	}
	x.trace.span.AddEvent("upstream limit reached", trace.WithAttributes(
		attribute.String("weir.provider", provider), attribute.Int64("weir.wait_ms", wait.Milliseconds())))
}
