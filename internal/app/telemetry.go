package app

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"weir/config"
)

// openTelemetry sets the figures of the process up, and the tracer where the
// configuration has an endpoint for it.
func (a *App) openTelemetry(c *config.Config) error {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "weir_build_info", Help: "1.", ConstLabels: prometheus.Labels{"version": a.o.Version, "go": runtime.Version()},
	})
	build.Set(1)
	a.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), build)
	a.reloads = newReloadMetrics(a.registry)
	if c.Telemetry.OTLP == "" {
		return nil
	}
	provider, err := newTracing(a.stopping, c.Telemetry, a.o.Version)
	if err != nil {
		return err
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { a.log.Warn("traces", "err", err) }))
	a.tracer = provider.Tracer("weir")
	a.onStop("tracing", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, traceTime)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil { // nobody may be there; no reason for a bad exit
			a.log.Warn("traces are lost", "err", err)
		}
		return nil
	})
	return nil
}

// traceTime is how long a stop waits for the last traces to be taken.
const traceTime = 3 * time.Second

func newTracing(ctx context.Context, t config.Telemetry, version string) (*sdktrace.TracerProvider, error) {
	var options []otlptracehttp.Option
	if t.OTLP != os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") { // which the exporter reads by itself, with its siblings
		endpoint, err := traceEndpoint(t.OTLP)
		if err != nil {
			return nil, err
		}
		options = append(options, otlptracehttp.WithEndpointURL(endpoint))
	}
	exporter, err := otlptracehttp.New(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("open traces: %w", err)
	}
	res, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "weir"), attribute.String("service.version", version)),
		resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("open traces: %w", err)
	}
	return sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter), sdktrace.WithResource(res),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(t.Sample))),
	), nil
}

// traceEndpoint adds the path of traces, as OTEL_EXPORTER_OTLP_ENDPOINT means it.
func traceEndpoint(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil {
		return "", fmt.Errorf("read telemetry.otlp: %w", err)
	}
	if !strings.HasSuffix(u.Path, "/v1/traces") {
		u.Path = strings.TrimRight(u.Path, "/") + "/v1/traces"
	}
	return u.String(), nil
}
