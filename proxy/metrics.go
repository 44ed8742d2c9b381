package proxy

import (
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"weir/costs"
	"weir/ledger"
)

// Metrics are the data plane's figures for Prometheus. Every label is bounded:
// names that clients choose are counted up to maxLabelModels, then as "other".
type Metrics struct {
	requests   *prometheus.CounterVec
	errors     *prometheus.CounterVec
	attempts   *prometheus.CounterVec
	tokens     *prometheus.CounterVec
	units      *prometheus.CounterVec
	costs      *prometheus.CounterVec
	priced     *prometheus.CounterVec
	drift      *prometheus.CounterVec
	limited    *prometheus.CounterVec
	held       *prometheus.CounterVec
	duration   *prometheus.HistogramVec
	ttft       *prometheus.HistogramVec
	inFlight   prometheus.Gauge
	unrecorded prometheus.Counter
	registry   prometheus.Registerer

	mu     sync.Mutex // guards the following field
	models map[string]bool
	cells  sync.Map // of cellKey to *cell: looking labels up costs more than counting
}

var meters = costs.Meters()

// maxLabelModels bounds the model names that are told apart.
const maxLabelModels = 200

type cellKey struct {
	api, provider, model, outcome, class string
	status                               int
}

// A cell holds the series that one kind of call counts in.
type cell struct {
	requests, errors prometheus.Counter
	duration, ttft   prometheus.Observer
	tokens           []prometheus.Counter // and units, by meter; made at first use
	mu               sync.Mutex           // guards tokens
}

// NewMetrics registers the figures; with nil nobody reads them.
func NewMetrics(r prometheus.Registerer) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	seconds := func(name, help string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: name, Help: help, Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600},
		}, []string{"api", "provider"})
	}
	m := &Metrics{
		requests:   counter("weir_requests_total", "Calls that have ended.", "api", "provider", "model", "status", "outcome"),
		errors:     counter("weir_errors_total", "Calls that ended in an error, by its class.", "api", "provider", "class"),
		attempts:   counter("weir_attempts_total", "Tries at upstreams, by how they ended.", "provider", "result"),
		tokens:     counter("weir_tokens_total", "Tokens by leaf meter; the sum over meters is the total.", "provider", "model", "meter"),
		units:      counter("weir_units_total", "What is used that is no token, by leaf meter: searches, pictures, microseconds of audio.", "provider", "model", "meter"),
		costs:      counter("weir_cost_usd_total", "What attempts cost, about; the exact figures are the ledger's.", "provider", "source"),
		priced:     counter("weir_priced_attempts_total", "Attempts by where their cost comes from; unpriced: it is not known.", "provider", "source"),
		drift:      counter("weir_cost_drift_total", "Attempts whose provider charges more than 1 % more or less than the price book says.", "provider"),
		limited:    counter("weir_limited_total", "Calls that met a limit that was reached, by what it does then.", "scope", "measure", "action"),
		held:       counter("weir_upstream_limit_total", "Requests not sent, since the provider has said that its own limit is reached: avoided; of those, waited and refused.", "provider", "action"),
		duration:   seconds("weir_request_duration_seconds", "From a call's arrival to its reply's last byte."),
		ttft:       seconds("weir_ttft_seconds", "From a call's arrival to its first content."),
		inFlight:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "weir_requests_in_flight", Help: "Calls under way."}),
		unrecorded: prometheus.NewCounter(prometheus.CounterOpts{Name: "weir_unrecorded_calls_total", Help: "Calls whose end could not be written to the spool."}),
		models:     make(map[string]bool),
		registry:   r,
	}
	if r != nil {
		r.MustRegister(m.requests, m.errors, m.attempts, m.tokens, m.units, m.costs, m.priced, m.drift, m.limited, m.held, m.duration, m.ttft, m.inFlight, m.unrecorded)
	}
	return m
}

// charged counts what an attempt cost.
func (m *Metrics) charged(provider string, c *ledger.Charge) {
	m.priced.WithLabelValues(provider, string(c.CostSource)).Inc()
	if c.Cost.Known {
		nano, _ := c.Cost.Parts()
		m.costs.WithLabelValues(provider, string(c.CostSource)).Add(float64(max(nano, 0)) / 1e9)
	}
	if c.Drifts() {
		m.drift.WithLabelValues(provider).Inc()
	}
}

// watch adds the recorder's own figures.
func (m *Metrics) watch(rec *ledger.Recorder) {
	if m.registry == nil {
		return
	}
	gauge := func(name, help string, read func(ledger.SpoolStats) float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return read(rec.Stats()) }))
	}
	gauge("weir_spool_bytes", "Size of the spool on disk.", func(s ledger.SpoolStats) float64 { return float64(s.Bytes) })
	gauge("weir_spool_backlog_bytes", "Spool bytes that are not in the store yet.", func(s ledger.SpoolStats) float64 { return float64(s.Backlog) })
	gauge("weir_spool_held_bytes", "Bytes of records that wait in memory since the spool's disk takes none.", func(s ledger.SpoolStats) float64 { return float64(s.Held) })
	gauge("weir_spool_dropped_bodies", "Captured bodies dropped since the start because the spool was full.", func(s ledger.SpoolStats) float64 { return float64(s.DroppedBodies) })
	gauge("weir_spool_adopted_rows", "Rows since the start that were in the spools of dead processes.", func(s ledger.SpoolStats) float64 { return float64(s.Adopted) })
	gauge("weir_spool_rejected_rows", "Rows since the start that the store would not take; they are kept beside the spool.", func(s ledger.SpoolStats) float64 { return float64(s.Rejected) })
	gauge("weir_store_up", "1 where the last batch reached the store.", func(s ledger.SpoolStats) float64 {
		if s.Err != nil {
			return 0
		}
		return 1
	})
}

// model bounds the label.
func (m *Metrics) model(name string) string {
	if name == "" {
		return ""
	}
	name = clip(name) // a label that is not UTF-8 is a panic
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.models[name]:
		return name
	case len(m.models) < maxLabelModels:
		m.models[name] = true
		return name
	}
	return "other"
}

// observe counts a call that has ended.
func (m *Metrics) observe(c *ledger.Call) {
	model := c.Model
	if c.Outcome != ledger.OK && c.ServedModel == "" {
		model = "" // a name that no upstream has confirmed could be anything
	}
	k := cellKey{c.API, c.Provider, m.model(model), string(c.Outcome), c.ErrorClass, c.Status}
	found, ok := m.cells.Load(k)
	if !ok {
		found, _ = m.cells.LoadOrStore(k, m.newCell(k))
	}
	cell := found.(*cell)
	cell.requests.Inc()
	if cell.errors != nil {
		cell.errors.Inc()
	}
	cell.duration.Observe(c.Total.Seconds())
	if c.TTFT > 0 {
		cell.ttft.Observe(c.TTFT.Seconds())
	}
	for i, n := range c.Usage.All {
		if n > 0 {
			m.token(cell, k, i).Add(float64(n))
		}
	}
}

func (m *Metrics) newCell(k cellKey) *cell {
	c := &cell{
		requests: m.requests.WithLabelValues(k.api, k.provider, k.model, strconv.Itoa(k.status), k.outcome),
		duration: m.duration.WithLabelValues(k.api, k.provider),
		ttft:     m.ttft.WithLabelValues(k.api, k.provider),
		tokens:   make([]prometheus.Counter, len(meters)),
	}
	if k.class != "" {
		c.errors = m.errors.WithLabelValues(k.api, k.provider, k.class)
	}
	return c
}

func (m *Metrics) token(c *cell, k cellKey, i costs.Meter) prometheus.Counter {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tokens[i] == nil {
		of := m.units
		if i.Unit() == costs.Tokens {
			of = m.tokens
		}
		c.tokens[i] = of.WithLabelValues(k.provider, k.model, i.String())
	}
	return c.tokens[i]
}

func (m *Metrics) attempt(provider, result string) {
	m.attempts.WithLabelValues(provider, result).Inc()
}

// heldBack counts a request that was not sent since the upstream would have
// refused it.
func (m *Metrics) heldBack(provider, action string) {
	m.held.WithLabelValues(provider, action).Inc()
}
