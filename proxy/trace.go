package proxy

import (
	"context"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"

	"weir/costs"
	"weir/ledger"
	"weir/proxy/wire"
)

// Spans follow OpenTelemetry's semantic conventions for generative AI: one
// server span for each Call and below it one client span for each Attempt.
// They never hold content, credentials or metadata. Without a tracer nothing
// here allocates.

// A callTrace is a Call's span; zero: tracing is off.
type callTrace struct {
	span trace.Span
	ctx  context.Context
}

type attemptSpan struct {
	span trace.Span
	ctx  context.Context
}

var traceContext propagation.TraceContext

// startTrace opens the call's span, below the client's where it sent one.
func (p *Proxy) startTrace(r *http.Request, x *Exchange) {
	parent := r.Header.Get("Traceparent")
	if p.tracer == nil {
		x.call.TraceID = traceID(parent)
		return
	}
	ctx := traceContext.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	x.trace.ctx, x.trace.span = p.tracer.Start(ctx, operation(x.Endpoint.API), trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(x.Start))
	x.call.TraceID = x.trace.span.SpanContext().TraceID().String()
}

// traceID reads the trace id of a W3C traceparent: 00-{32 hex}-{16 hex}-{flags}.
func traceID(parent string) string {
	if len(parent) < 55 || parent[2] != '-' || parent[35] != '-' {
		return ""
	}
	id := parent[3:35]
	if _, err := hex.DecodeString(id); err != nil || strings.Trim(id, "0") == "" {
		return ""
	}
	return strings.ToLower(id)
}

// endTrace describes the call on its span and ends it.
func (p *Proxy) endTrace(x *Exchange) {
	s := x.trace.span
	if s == nil {
		return
	}
	c := x.call
	s.SetName(spanName(x.Endpoint.API, c.AskedModel))
	s.SetAttributes(
		semconv.GenAIOperationNameKey.String(operation(x.Endpoint.API)),
		semconv.HTTPRequestMethodKey.String(c.Method),
		semconv.HTTPResponseStatusCode(c.Status),
		attribute.String("weir.call.id", c.ID),
		attribute.String("weir.outcome", string(c.Outcome)),
		attribute.Int("weir.attempts", len(c.Attempts)),
	)
	setText(s, semconv.GenAIRequestModelKey, c.AskedModel)
	setText(s, semconv.GenAIResponseModelKey, c.ServedModel)
	setText(s, "weir.route", c.Route)
	setText(s, "weir.provider", c.Provider)
	setText(s, "weir.key.id", c.KeyID)
	setUsage(s, c.Usage, c.UsageSource)
	if c.Outcome != ledger.OK {
		s.SetAttributes(semconv.ErrorTypeKey.String(c.ErrorClass))
		if c.Outcome == ledger.Failed && c.Status >= 500 {
			s.SetStatus(codes.Error, c.ErrorClass)
		}
	}
	s.End()
}

// startAttemptTrace opens the attempt's span.
func (p *Proxy) startAttemptTrace(a *attempt) {
	if p.tracer == nil {
		return
	}
	x, provider := a.x, a.target.Provider
	attrs := []attribute.KeyValue{
		semconv.GenAIOperationNameKey.String(operation(a.api)),
		semconv.GenAIProviderNameKey.String(provider.kind.system),
		semconv.ServerAddress(provider.base.Hostname()),
		attribute.String("weir.provider", provider.Name),
		attribute.Int("weir.attempt", a.record.N),
	}
	if port, err := strconv.Atoi(provider.base.Port()); err == nil {
		attrs = append(attrs, semconv.ServerPort(port))
	}
	if n := x.View.MaxOutput; n > 0 {
		attrs = append(attrs, semconv.GenAIRequestMaxTokens(int(n)))
	}
	if n := x.View.N; n > 1 {
		attrs = append(attrs, semconv.GenAIRequestChoiceCount(int(n)))
	}
	a.span.ctx, a.span.span = p.tracer.Start(x.trace.ctx, spanName(a.api, a.record.Model),
		trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(a.start), trace.WithAttributes(attrs...))
	setText(a.span.span, semconv.GenAIRequestModelKey, a.record.Model)
}

// injectTrace makes the attempt's span the parent of what the upstream does.
// Without a tracer the client's own traceparent passes untouched.
func (p *Proxy) injectTrace(a *attempt, h http.Header) {
	if a.span.span == nil {
		return
	}
	traceContext.Inject(a.span.ctx, propagation.HeaderCarrier(h))
}

// endAttemptTrace describes how the attempt went and ends its span.
func (p *Proxy) endAttemptTrace(a *attempt) {
	s := a.span.span
	if s == nil {
		return
	}
	rec := a.record
	if rec.Status > 0 {
		s.SetAttributes(semconv.HTTPResponseStatusCode(rec.Status))
	}
	setText(s, semconv.GenAIResponseModelKey, rec.ServedModel)
	setUsage(s, rec.Usage, rec.UsageSource)
	if rec.StopReason != "" {
		s.SetAttributes(semconv.GenAIResponseFinishReasons(rec.StopReason))
	}
	if rec.ErrorClass != "" {
		s.SetAttributes(semconv.ErrorTypeKey.String(rec.ErrorClass))
		s.SetStatus(codes.Error, rec.ErrorClass)
	}
	s.End()
}

func setText(s trace.Span, key attribute.Key, value string) {
	if value != "" {
		s.SetAttributes(key.String(value))
	}
}

// setUsage sets the totals, cached input included, as the conventions want.
func setUsage(s trace.Span, u costs.Usage, source ledger.UsageSource) {
	if n, ok := u.Input(); ok {
		s.SetAttributes(semconv.GenAIUsageInputTokens(int(n)))
	}
	if n, ok := u.Output(); ok {
		s.SetAttributes(semconv.GenAIUsageOutputTokens(int(n)))
	}
	setText(s, "weir.usage.source", string(source))
}

// operation is the convention's name of what an API does; its own name where
// the convention has none.
func operation(api wire.API) string {
	switch api {
	case wire.Chat, wire.Responses, wire.Messages:
		return "chat"
	case wire.Completions:
		return "text_completion"
	case wire.Generate, wire.StreamGenerate:
		return "generate_content"
	case wire.Embeddings, wire.Embed, wire.BatchEmbed:
		return "embeddings"
	}
	return api.String()
}

func spanName(api wire.API, model string) string {
	if model == "" {
		return operation(api)
	}
	return operation(api) + " " + model
}
