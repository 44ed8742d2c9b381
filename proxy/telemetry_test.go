package proxy

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// traced is an option that keeps spans in memory.
func traced(t *testing.T) (*tracetest.InMemoryExporter, func(*Options)) {
	t.Helper()
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	t.Cleanup(func() { provider.Shutdown(context.Background()) })
	return spans, func(o *Options) { o.Tracer = provider.Tracer("weir") }
}

func attrs(s tracetest.SpanStub) map[string]string {
	out := make(map[string]string)
	for _, kv := range s.Attributes {
		out[string(kv.Key)] = kv.Value.String()
	}
	return out
}

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// One span per call and one per attempt below it, by the conventions for
// generative AI; the upstream is told of the attempt's.
func TestSpans(t *testing.T) {
	bad, good := newVendor(t, failing(500)), newVendor(t, says(200, chatReply))
	spans, option := traced(t)
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiNamed("bad", bad), openaiNamed("good", good)}, Routes: []RouteSettings{route("gpt-4o", []string{"bad"}, []string{"good"})}}, option)
	g.post("/v1/chat/completions", `{"model":"gpt-4o","max_tokens":7,"n":2,"messages":[]}`, "Traceparent", traceparent, "Tracestate", "vendor=1")
	eventually(t, "three spans", func() bool { return len(spans.GetSpans()) == 3 })
	got := spans.GetSpans()
	first, second, call := got[0], got[1], got[2]
	if call.Name != "chat gpt-4o" || call.SpanKind != trace.SpanKindServer || call.SpanContext.TraceID().String() != traceparent[3:35] || call.Parent.SpanID().String() != traceparent[36:52] {
		t.Errorf("call span %+v", call)
	}
	for i, s := range []tracetest.SpanStub{first, second} {
		if s.Name != "chat gpt-4o" || s.SpanKind != trace.SpanKindClient || s.Parent.SpanID() != call.SpanContext.SpanID() || s.SpanContext.TraceID() != call.SpanContext.TraceID() {
			t.Errorf("attempt span %d: %+v", i, s)
		}
	}
	check := func(s tracetest.SpanStub, want map[string]string) {
		t.Helper()
		have := attrs(s)
		for k, v := range want {
			if have[k] != v {
				t.Errorf("%s: %s = %q, want %q", s.Name, k, have[k], v)
			}
		}
	}
	c := g.one()
	check(call, map[string]string{
		"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.response.model": "gpt-4o-2024-08-06", "gen_ai.usage.input_tokens": "9", "gen_ai.usage.output_tokens": "2",
		"http.response.status_code": "200", "http.request.method": "POST", "weir.call.id": c.ID, "weir.provider": "good", "weir.route": "gpt-4o", "weir.attempts": "2", "weir.outcome": "ok", "weir.usage.source": "provider",
	})
	check(first, map[string]string{"weir.provider": "bad", "weir.attempt": "1", "http.response.status_code": "500", "error.type": "upstream_error", "gen_ai.provider.name": "openai", "server.address": "127.0.0.1"})
	check(second, map[string]string{"weir.provider": "good", "weir.attempt": "2", "gen_ai.request.max_tokens": "7", "gen_ai.request.choice.count": "2", "gen_ai.response.finish_reasons": `["stop"]`, "gen_ai.usage.output_tokens": "2"})
	if first.Status.Code != codes.Error || second.Status.Code == codes.Error || call.Status.Code == codes.Error {
		t.Errorf("statuses %v, %v, %v", first.Status, second.Status, call.Status)
	}
	if c.TraceID != traceparent[3:35] {
		t.Errorf("trace id %s", c.TraceID)
	}
	want := fmt.Sprintf("00-%s-%s-01", traceparent[3:35], second.SpanContext.SpanID())
	if up := good.last().header; up.Get("Traceparent") != want || up.Get("Tracestate") != "vendor=1" {
		t.Errorf("upstream saw %v", up)
	}
}

// A call that fails, or that nobody waits for, still ends its span.
func TestSpansOfFailures(t *testing.T) {
	spans, option := traced(t)
	hung := newVendor(t, silent(chunk("x")))
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiNamed("a", hung)}}, option)
	g.post("/v1/chat/completions", `{"model":"m\u00ff\ud800"`)
	ctx, cancel := context.WithCancel(context.Background())
	resp := g.send(ctx, "POST", "/v1/chat/completions", streamBody, "Content-Type", "application/json")
	nextEvent(t, bufio.NewReader(resp.Body))
	cancel()
	resp.Body.Close()
	eventually(t, "three spans", func() bool { return len(spans.GetSpans()) == 3 })
	got := spans.GetSpans()
	if a := attrs(got[0]); a["error.type"] != "invalid_request" || a["weir.outcome"] != "error" {
		t.Errorf("refused: %v", a)
	}
	if a := attrs(got[2]); a["error.type"] != "client_gone" || a["weir.outcome"] != "aborted" || a["gen_ai.usage.output_tokens"] == "" {
		t.Errorf("aborted: %v", a)
	}
}

// Without a tracer the client's own context passes through.
func TestTraceContextWithoutATracer(t *testing.T) {
	v := newVendor(t, says(200, chatReply))
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}})
	for parent, want := range map[string]string{traceparent: traceparent[3:35], "00-00000000000000000000000000000000-b7ad6b7169203331-01": "", "junk": "", strings.ToUpper(traceparent): traceparent[3:35]} {
		g.post("/v1/chat/completions", chatBody, "Traceparent", parent)
		if got := v.last().header.Get("Traceparent"); got != parent {
			t.Errorf("upstream saw %q", got)
		}
		calls := g.calls(len(v.seen()))
		if c := calls[len(calls)-1]; c.TraceID != want {
			t.Errorf("%s: trace id %q, want %q", parent, c.TraceID, want)
		}
	}
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	v := newVendor(t, says(200, chatReply))
	bad := newVendor(t, failing(503))
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiNamed("good", v), openaiNamed("bad", bad)}, Routes: []RouteSettings{route("both", []string{"bad"}, []string{"good"}), route("bad", []string{"bad"}, nil)}},
		func(o *Options) { o.Metrics = NewMetrics(registry) })
	g.post("/v1/chat/completions", `{"model":"both"}`)
	g.post("/v1/chat/completions", `{"model":"both"}`)
	g.post("/v1/chat/completions", `{"model":"bad"}`)
	g.post("/v1/chat/completions", `{`)
	g.calls(4)
	want := strings.TrimSpace(`
weir_attempts_total{provider="bad",result="upstream_error"} 3
weir_attempts_total{provider="good",result="ok"} 2
weir_errors_total{api="chat",class="invalid_request",provider=""} 1
weir_errors_total{api="chat",class="upstream_error",provider="bad"} 1
weir_requests_in_flight 0
weir_requests_total{api="chat",model="",outcome="error",provider="",status="400"} 1
weir_requests_total{api="chat",model="",outcome="error",provider="bad",status="503"} 1
weir_requests_total{api="chat",model="both",outcome="ok",provider="good",status="200"} 2
weir_tokens_total{meter="input",model="both",provider="good"} 10
weir_tokens_total{meter="input_cache_read",model="both",provider="good"} 8
weir_tokens_total{meter="output",model="both",provider="good"} 4
weir_ttft_seconds_count{api="chat",provider="good"} 2
weir_request_duration_seconds_count{api="chat",provider="good"} 2
weir_unrecorded_calls_total 0
weir_store_up 1`)
	eventually(t, "the calls' end", func() bool { return strings.Contains(figures(t, registry), "weir_requests_in_flight 0\n") })
	got := figures(t, registry)
	for line := range strings.SplitSeq(want, "\n") {
		if !strings.Contains(got, line+"\n") {
			t.Errorf("no %s", line)
		}
	}
	for _, name := range []string{"weir_attempts_total{", "weir_errors_total{", "weir_requests_total{", "weir_tokens_total{"} {
		if a, b := strings.Count(got, "\n"+name), strings.Count("\n"+want, "\n"+name); a != b {
			t.Errorf("%d series of %s, want %d:\n%s", a, name, b, got)
		}
	}
}

// figures are what Prometheus would be told.
func figures(t *testing.T, r *prometheus.Registry) string {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// Ten thousand names cost no more series than a few hundred, and a name that
// is no text is no panic.
func TestMetricLabelsAreBounded(t *testing.T) {
	m := NewMetrics(prometheus.NewRegistry())
	for i := range 10_000 {
		if label := m.model(fmt.Sprintf("junk-%d", i)); i > maxLabelModels && label != "other" {
			t.Fatalf("%d: %s", i, label)
		}
	}
	if m.model("junk-1") != "junk-1" || m.model("") != "" {
		t.Error("a known name is kept")
	}
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request, body string) {
		reply := chatReply
		if strings.Contains(body, "gpt-4o") {
			reply = strings.Replace(reply, "gpt-4o-2024-08-06", "\xff\xfe", 1)
		}
		says(200, reply)(w, r, body)
	})
	registry := prometheus.NewRegistry()
	g := newRig(t, Settings{Providers: []ProviderSettings{openaiAt(v.url)}}, func(o *Options) { o.Metrics = NewMetrics(registry) })
	for range 3 {
		if resp, got := g.post("/v1/chat/completions", chatBody, "User-Agent", "\xff"); resp.StatusCode >= 500 && !strings.Contains(got, "upstream_invalid") {
			t.Errorf("%d %s", resp.StatusCode, got)
		}
		g.do("GET", "/v1beta/models/%ff%fe:generateContent", "")
		g.do("POST", "/v1beta/models/%ff%fe:generateContent", "{}", "X-Weir-Provider", "up")
	}
	for i := range 300 {
		g.post("/v1/chat/completions", fmt.Sprintf(`{"model":"up/junk-%d"}`, i))
	}
	if n := strings.Count(figures(t, registry), "\nweir_requests_total{"); n < 10 || n > maxLabelModels+20 {
		t.Errorf("%d series", n)
	}
}
