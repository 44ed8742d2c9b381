package alerts

import "github.com/prometheus/client_golang/prometheus"

// Metrics are a Desk's figures for Prometheus. Webhooks are named as they are
// configured.
type Metrics struct {
	told    *prometheus.CounterVec // by kind
	dropped prometheus.Counter
	tried   *prometheus.CounterVec // by webhook and state
	waiting *prometheus.GaugeVec   // by webhook
}

// NewMetrics registers the figures; with nil nobody reads them.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		told:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "weir_alerts_total", Help: "Alerts that this process told first."}, []string{"kind"}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{Name: "weir_alerts_dropped_total", Help: "Alerts that were lost: too many waited, or the store took none."}),
		tried:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "weir_alert_deliveries_total", Help: "Tries to tell a webhook."}, []string{"webhook", "state"}),
		waiting: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "weir_alerts_waiting", Help: "Deliveries that wait, of all processes."}, []string{"webhook"}),
	}
	if r != nil {
		r.MustRegister(m.told, m.dropped, m.tried, m.waiting)
	}
	return m
}
