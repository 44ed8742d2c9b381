package config

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"weir/costs"
	"weir/internal/capability"
)

// table is the file: every key there is, and every key there will be.
var table = object(
	key("listen", "Address of the data plane, host:port. Default 127.0.0.1:8080.", text, func(c *Config) *string { return &c.Listen }),
	key("hosts", "Further names that the data listener answers to, beside its address and, on loopback, localhost.", list(text), func(c *Config) *[]string { return &c.Hosts }),
	key("tls", "Certificate of the data listener. Without one it speaks plain HTTP.", tlsShape, func(c *Config) *TLS { return &c.TLS }),
	key("admin", "The admin listener: console, admin API, metrics.", adminShape, func(c *Config) *Admin { return &c.Admin }),
	key("auth", "Who may call: keys (a virtual key wk-…), passthrough (the client's own provider key), off (anyone). Default off, which only a loopback listener may have without writing it out.",
		oneOf(map[string]Auth{"off": AuthOff, "keys": AuthKeys, "passthrough": AuthPassthrough}), func(c *Config) *Auth { return &c.Auth }),
	key("secret", "Pepper of the key hashes, and what kept responses are sealed with. Replicas share it. Default: $WEIR_SECRET, else made once in the data directory.", secret, secretField),
	fileOf("secret", secretField),
	key("data", "Directory of what Weir makes for itself. Default: the directory of the SQLite store, else ./data.", text, func(c *Config) *string { return &c.DataDir }),
	key("store", "Where calls and keys are kept: sqlite:PATH. Default sqlite:./data/weir.db.", text, func(c *Config) *string { return &c.Store }),
	key("redis", "Where several processes count limits together: redis://[user:password@]host:port[/number], rediss:// for TLS, unix://path; ?addr=host:port for each further node of a cluster. Default: each process counts alone.", secret, redisField),
	fileOf("redis", redisField),
	key("redis_prefix", "What the names of all keys there begin with, so that several Weirs share one server. Default weir:.", text, func(c *Config) *string { return &c.RedisPrefix }),
	key("spool", "The durable queue in front of the store.", spoolShape, func(c *Config) *Spool { return &c.Spool }),
	key("keepalive", "Silence before a stream gets a ping. Default 15s; 0 = never.", duration, func(c *Config) *time.Duration { return &c.Keepalive }),
	key("max_body", "Largest request body. Default 256MiB.", size, func(c *Config) *int64 { return &c.MaxBody }),
	key("body_timeout", "Time for a whole request body. Default 5m.", duration, func(c *Config) *time.Duration { return &c.BodyTimeout }),
	key("drain", "Reading a stream on to its usage after its client has gone. Default: not at all.", drainShape, func(c *Config) *Drain { return &c.Drain }),
	key("shutdown", "Time that calls under way have to end at a stop. Default 30s.", duration, func(c *Config) *time.Duration { return &c.Shutdown }),
	key("discover", "Add the providers whose key is in the environment. Default: on where the file names no providers.", onOff, func(c *Config) *bool { return &c.Discover }),
	key("providers", "The upstream accounts, by name.", dict(providerShape, func(p *Provider) *string { return &p.Name }), func(c *Config) *[]Provider { return &c.Providers }),
	key("routes", "Names that clients ask for. The first that matches wins.", list(routeShape), func(c *Config) *[]Route { return &c.Routes }),
	key("limits", "Ceilings for what callers may ask for, each counted by the values of one scope.", list(limitShape), func(c *Config) *[]Limit { return &c.Limits }),
	key("alerts", "Whom to tell when budgets run out, and which keys run away.", alertsShape, func(c *Config) *Alerts { return &c.Alerts }),
	key("models", "What models can do, by name or glob, where it is other than docs/models.md says; the first that speaks of a thing counts.", modelsShape, func(c *Config) *[]capability.Said { return &c.Models }),
	key("prices", "What calls cost, beside the price book that Weir brings along.", pricesShape, func(c *Config) *Prices { return &c.Prices }),
	key("capture", "Keeping request and reply bodies.", captureShape, func(c *Config) *Capture { return &c.Capture }),
	key("responses", "State of the Responses API (store, previous_response_id) for upstreams that have none.", responsesShape, func(c *Config) *Responses { return &c.Responses }),
	key("telemetry", "OpenTelemetry traces.", telemetryShape, func(c *Config) *Telemetry { return &c.Telemetry }),
	key("log", "Weir's own log, on stderr.", logShape, func(c *Config) *Log { return &c.Log }),
	refused[Config]("budgets", "not a key: they are limits in dollars", "limits: [{scope: customer, usd_per_month: $25}]"),
	absent[Config]("cache"), absent[Config]("prompts"), absent[Config]("evals"),
	absent[Config]("drift"), absent[Config]("pools"), absent[Config]("embeddings"),
)

var redisField = func(c *Config) *Secret { return &c.Redis }

var secretField = func(c *Config) *Secret { return &c.Secret }

var tlsShape = object(
	key("cert", "Path of the certificate chain, PEM.", text, func(t *TLS) *string { return &t.Cert }),
	key("key", "Path of the private key, PEM.", text, func(t *TLS) *string { return &t.Key }),
)

var adminToken = func(a *Admin) *Secret { return &a.Token }

var adminShape = object(
	key("listen", "Address of the admin listener, host:port. Default 127.0.0.1:8081.", text, func(a *Admin) *string { return &a.Listen }),
	key("hosts", "Further names that the admin listener answers to.", list(text), func(a *Admin) *[]string { return &a.Hosts }),
	key("token", "What the admin API wants as Authorization: Bearer. Default: $WEIR_ADMIN_TOKEN, else made once in the data directory.", secret, adminToken),
	fileOf("token", adminToken),
)

var spoolShape = object(
	key("dir", "Its directory, one process at a time. Default: spool in the data directory.", text, func(s *Spool) *string { return &s.Dir }),
	key("max", "Its largest size. Default 4GiB.", size, func(s *Spool) *int64 { return &s.Max }),
	key("when_full", "refuse: no further calls. serve: calls go on, bodies are dropped. Default refuse.",
		chosen("refuse", "serve"), func(s *Spool) *string { return &s.WhenFull }),
)

var drainShape = object(
	key("time", "At most so long. 0 = the upstream is cancelled at once.", duration, func(d *Drain) *time.Duration { return &d.Time }),
	key("bytes", "At most so much. Default 1MiB.", standing(size, "1MiB"), func(d *Drain) *int64 { return &d.Bytes }),
)

var apiKey = func(p *Provider) *Secret { return &p.APIKey }

var providerShape = object(
	key("kind", "How to speak to it. May be left out where the provider has a well-known name (openai, claude, groq, …).", kindShape, func(p *Provider) *string { return &p.Kind }),
	key("base_url", "Where it is, with its /v1 for OpenAI-compatible ones. Default: the vendor's own.", urlShape, func(p *Provider) *string { return &p.BaseURL }),
	key("api_key", "Its key. Default: the vendor's variable in the environment, where base_url is the vendor's own and auth is not passthrough.", secret, apiKey),
	fileOf("api_key", apiKey),
	key("api_version", "Azure: the data-plane version.", text, func(p *Provider) *string { return &p.APIVersion }),
	key("deployments", "Azure: model → deployment.", lookup(text), func(p *Provider) *map[string]string { return &p.Deployments }),
	providerModels,
	key("headers", "Headers sent with every request.", lookup(secret), func(p *Provider) *map[string]Secret { return &p.Headers }),
	key("apis", "The APIs that it is asked by, all of them: "+strings.Join(apiNames, ", ")+". Default: what its kind is known to have; for OpenAI-compatible servers beside OpenAI's own it is found out whether they have the Responses API.",
		list(apiShape), func(p *Provider) *[]string { return &p.APIs }),
	key("price_as", "Whose prices it has: a provider of the price book, free (known to cost nothing), or none. Default: by the host of base_url, by kind where there is no base_url, else none.", text, func(p *Provider) *string { return &p.PriceAs }),
	key("gpu_hour", "Self-hosted: what an hour of one of its GPUs costs. Calls are then priced by the time of the GPUs, where the engine reports it.", dollars, func(p *Provider) *costs.Money { return &p.GPUHour }),
	key("price_context", "What else decides its prices, where neither its host nor its replies say it.", priceContextShape, func(p *Provider) *costs.Terms { return &p.PriceTerms }),
	absent[Provider]("replicas"),
)

var priceContextShape = object(
	key("region", "Where it runs: regional, datazone or global at Azure, a region of a cloud. Default: by the host of base_url.", plainWord, func(t *costs.Terms) *string { return &t.Region }),
	key("residency", "Where the data stay: us, eu … Default: by the host of base_url.", plainWord, func(t *costs.Terms) *string { return &t.Residency }),
	key("endpoint", "Which of the vendor's endpoints: vertex.", plainWord, func(t *costs.Terms) *string { return &t.Endpoint }),
	key("tier", "The tier that serves where replies name none but the standard one: provisioned for prepaid units.", plainWord, func(t *costs.Terms) *string { return &t.Tier }),
	key("gpus", "Self-hosted: how many GPUs work at once on a call. Default 1.", standing(word("a whole number", `[1-9]\d*`, number, parseCount, func(n int64) any { return n }), "1"), func(t *costs.Terms) *int64 { return &t.GPUs }),
)

// plainWord is one that stands in a price's context.
var plainWord = word("a word", `[A-Za-z0-9._-]+`, nil, func(s string) (string, error) {
	if strings.ContainsFunc(s, func(r rune) bool {
		return r != '.' && r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) {
		return "", fmt.Errorf("want a word of letters, digits, dots and dashes, got %q", clip(s))
	}
	return strings.ToLower(s), nil
}, func(s string) any { return s })

var routeShape = object(
	key("model", "The name that clients ask for, or a glob.", text, func(r *Route) *string { return &r.Model }),
	key("targets", "Where it may go, by weight.", list(targetShape), func(r *Route) *[]Target { return &r.Targets }),
	key("fallbacks", "Where it goes next when the targets fail, in order.", list(targetShape), func(r *Route) *[]Target { return &r.Fallbacks }),
	key("retries", "Further tries after the first. Default 0.", whole, func(r *Route) *int { return &r.Retries }),
	key("timeouts", "Bounds of one attempt, and of the whole call.", timeoutsShape, func(r *Route) *Timeouts { return &r.Timeouts }),
	key("lossy", "Across dialects: what cannot be told to a target and would change the meaning is a 400 (refuse), or is left out and said (allow). Default refuse.",
		oneOf(map[string]bool{"refuse": false, "allow": true}), func(r *Route) *bool { return &r.Lossy }),
	absent[Route]("hedge"), absent[Route]("hedging"), absent[Route]("cache"), absent[Route]("limits"), absent[Route]("strategy"),
)

var targetShape = object(
	key("provider", "A name from providers.", text, func(t *Target) *string { return &t.Provider }),
	key("model", "The model asked of it. Default: the name that the client asked for.", text, func(t *Target) *string { return &t.Model }),
	key("weight", "Only the ratio counts. Default 1; 0 = only where the others cannot.", whole, func(t *Target) *int { return &t.Weight }),
)

var timeoutsShape = object(
	key("connect", "TCP and TLS. Default 3s.", standing(duration, "3s"), func(t *Timeouts) *time.Duration { return &t.Connect }),
	key("ttft", "On a stream: to the first content, default 60s. On a plain call: to the headers, only where written.", standing(duration, "1m (streams only)"), func(t *Timeouts) *time.Duration { return &t.TTFT }),
	key("idle", "Between two reads of a stream. Default 30s.", standing(duration, "30s"), func(t *Timeouts) *time.Duration { return &t.Idle }),
	key("total", "The whole call. Default 30m.", standing(duration, "30m"), func(t *Timeouts) *time.Duration { return &t.Total }),
	key("room", "For a provider that has said that its own limit is reached, where no other target is left. Default 2s.", standing(duration, "2s"), func(t *Timeouts) *time.Duration { return &t.Room }),
)

var captureShape = object(
	key("bodies", "Keep request and reply bodies. Default off.", onOff, func(c *Capture) *bool { return &c.Bodies }),
	key("max_bytes", "Of each body. Default 256KiB.", size, func(c *Capture) *int64 { return &c.MaxBytes }),
	key("retention", "How long they are kept. Default 30d.", duration, func(c *Capture) *time.Duration { return &c.Retention }),
)

var responsesShape = object(
	key("state", "Keep every reply whose request does not say store: false; off: only where it says store: true. Default off.", onOff, func(r *Responses) *bool { return &r.State }),
	key("retention", "How long a reply is kept, from when it was asked for. Default 30d.", duration, func(r *Responses) *time.Duration { return &r.Retention }),
)

var telemetryShape = object(
	key("otlp", "OTLP/HTTP endpoint. Default: $OTEL_EXPORTER_OTLP_ENDPOINT, else no traces.", urlShape, func(t *Telemetry) *string { return &t.OTLP }),
	key("sample", "Share of the traces that begin here. Default 1.", share, func(t *Telemetry) *float64 { return &t.Sample }),
)

var logShape = object(
	key("level", "Default info.", oneOf(map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}), func(l *Log) *slog.Level { return &l.Level }),
	key("format", "Default json.", chosen("json", "text"), func(l *Log) *string { return &l.Format }),
)
