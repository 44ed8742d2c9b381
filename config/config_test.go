package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// environ is an Env from name, value pairs.
func environ(pairs ...string) Env {
	return func(name string) (string, bool) {
		for i := 0; i+1 < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

func parse(t *testing.T, text string, env ...string) *Config {
	t.Helper()
	c, err := Parse("weir.yaml", []byte(text), environ(env...))
	if err != nil {
		t.Fatalf("Parse:\n%v\nof\n%s", err, text)
	}
	return c
}

// The contract's own example, as it stands there but for what later issues bring.
const contractExample = `
listen: 127.0.0.1:8080
admin: {listen: 127.0.0.1:8081, token: ${WEIR_ADMIN_TOKEN:-}}
auth: keys                              # keys | passthrough | off
secret: ${WEIR_SECRET:-}                # HMAC pepper, and {more: words}
store: sqlite:./data/weir.db            # or postgres://…
spool: {dir: ./data/spool, max: 4GiB, when_full: refuse}
redis: ${REDIS_URL:-}
keepalive: 15s
providers:
  openai:    {kind: openai, api_key: ${OPENAI_API_KEY:-}}
  claude:    {kind: anthropic, api_key: ${ANTHROPIC_API_KEY:-}}
  groq:      {kind: openai, base_url: https://api.groq.com/openai/v1, api_key: ${GROQ_API_KEY:-}}
  azure:     {kind: azure, base_url: https://x.openai.azure.com, api_key: …, deployments: {gpt-4o: my-deployment}}
  mock:      {kind: mock}
routes:                                  # the first route that matches wins; globs allowed
  - model: fast                          # what clients ask for
    targets: [{provider: openai, model: gpt-4o-mini, weight: 90}, {provider: claude, model: claude-haiku-4-5, weight: 10}]
    fallbacks: [{provider: groq, model: llama-3.3-70b-versatile}]
    retries: 2
    timeouts: {connect: 3s, ttft: 60s, idle: 30s, total: 30m}
limits:   [{scope: key, requests_per_minute: 600, tokens_per_minute: 1M, concurrent: 50}, {scope: customer, usd_per_month: $25, action: block}]
capture:  {bodies: off, retention: 30d}
telemetry: {otlp: ${OTEL_EXPORTER_OTLP_ENDPOINT:-}}
`

func TestContractExample(t *testing.T) {
	c := parse(t, contractExample, "OPENAI_API_KEY", "sk-1", "WEIR_ADMIN_TOKEN", "t0ken")
	got := fmt.Sprint(c.Listen, c.Admin.Listen, string(c.Admin.Token), c.Auth, string(c.Secret), c.Store, c.Spool, c.Keepalive, c.Capture, c.Telemetry)
	want := "127.0.0.1:8080127.0.0.1:8081t0kenkeyssqlite:./data/weir.db{./data/spool 4294967296 refuse} 15s {false 262144 720h0m0s} { 1}"
	if strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if len(c.Providers) != 5 || string(c.Providers[0].APIKey) != "sk-1" || c.Providers[3].Deployments["gpt-4o"] != "my-deployment" {
		t.Errorf("providers: %+v", c.Providers)
	}
	r := c.Routes[0]
	if r.Model != "fast" || r.Targets[1] != (Target{"claude", "claude-haiku-4-5", 10}) || r.Retries != 2 || r.Timeouts.Total != 30*time.Minute {
		t.Errorf("route: %+v", r)
	}
	if l := c.Limits; len(l) != 2 || l[0].Slots != 50 || l[1].USD != [3]int64{0, 0, 25_000_000_000} || l[1].Action != "block" {
		t.Errorf("limits: %+v", l)
	}
}

// TestProblems lists what is wrong with a file and how that is said.
func TestProblems(t *testing.T) {
	check := func(text string, want ...string) {
		t.Helper()
		_, err := Parse("weir.yaml", []byte(text), environ("EMPTY", ""))
		var ps Problems
		if !errors.As(err, &ps) {
			t.Errorf("Parse(%q) = %v, want problems", text, err)
			return
		}
		if got := ps.Error(); got != strings.Join(want, "\n") {
			t.Errorf("Parse(%q)\ngot  %s\nwant %s", text, got, strings.Join(want, "\n     "))
		}
	}
	check("listn: x", `weir.yaml:1: unknown key "listn" (did you mean "listen"?)`)
	check("\n\nadmin:\n  tokn: x", `weir.yaml:4: admin: unknown key "tokn" (did you mean "token"?)`)
	check("zzzzzzzz: 1", `weir.yaml:1: unknown key "zzzzzzzz"`)
	check("auth: key", `weir.yaml:1: auth: want one of keys, off, passthrough, got "key" (did you mean "keys"?)`)
	check("keepalive: 15", `weir.yaml:1: keepalive: want a duration like 30s, 5m or 30d, got "15"`)
	check("keepalive: -1s", `weir.yaml:1: keepalive: want a duration like 30s, 5m or 30d, got "-1s"`)
	check("max_body: 4X", `weir.yaml:1: max_body: want a size like 4MiB or 64KiB, got "4X"`)
	check("max_body: 0", `weir.yaml:1: max_body: want at least one byte`)
	check("listen: 8080", `weir.yaml:1: listen: want host:port, got "8080"`)
	check("listen: 127.0.0.1:99999", `weir.yaml:1: listen: want host:port, got "127.0.0.1:99999"`)
	check("listen: 0.0.0.0:8080", `weir.yaml:1: listen: 0.0.0.0:8080 can be reached from other machines, and auth is not written`)
	check("listen: :8080", `weir.yaml:1: listen: :8080 can be reached from other machines, and auth is not written`)
	check("listen: :8080\nauth: ${EMPTY}", `weir.yaml:1: listen: :8080 can be reached from other machines, and auth is not written`)
	check("listen: 127.0.0.1:8081", `weir.yaml: admin.listen: the data plane listens at 127.0.0.1:8081 too: want two addresses`)
	check("listen: [a, b]", `weir.yaml:1: listen: want a text, got a list`)
	check("routes: {model: x", `weir.yaml:1: not YAML: did not find expected ',' or '}'`)
	check("a: b: c", `weir.yaml:1: not YAML: mapping values are not allowed in this context`)
	check("auth: off\n---\nauth: keys", `weir.yaml:3: a second document: want one per file`)
	check("auth: off\nlisten: 127.0.0.1:1\nauth: keys", `weir.yaml:3: the key "auth" is here twice, first in line 1`)
	check("[1, 2]", `weir.yaml:1: want a mapping, got a list`)
	check("just words", `weir.yaml:1: want a mapping, got "just words"`)
	check("? [a]\n: b", `weir.yaml:1: want a name as key, got a list`)
	check("auth: !!binary b2Zm", `weir.yaml:1: auth: the tag !!binary: want a plain value`)
	check("secret: ${NONE}", `weir.yaml:1: secret: NONE is not set in the environment (${NONE:-} allows that)`)
	check("secret: ${NONE:?make one with openssl}", `weir.yaml:1: secret: NONE is not set in the environment: make one with openssl`)
	check("secret: ${EMPTY:?}", `weir.yaml:1: secret: EMPTY is not set in the environment: it is needed`)
	check("secret: ${A-b}", `weir.yaml:1: secret: ${A-b}: want ${NAME}, ${NAME:-default} or ${NAME:?why}`)
	check("secret: a${OPEN", `weir.yaml:1: secret: a ${ without its }`)
	check("secret_file: /nowhere/x", `weir.yaml:1: secret_file: open /nowhere/x: no such file or directory`)
	check("cache: {exact: {ttl: 24h}}\nredis: x:6379", "weir.yaml:1: cache: not in this version", "weir.yaml:2: redis: want redis://[user:password@]host:port, rediss://… or unix://path")
	check("budgets: {acme: $25}", "weir.yaml:1: budgets: not a key: they are limits in dollars")
	check("redis_prefix: '{a}'", "weir.yaml:1: redis_prefix: want at most 64 bytes without braces and spaces")
	check("store: postgres://u:secret@h/db", "weir.yaml:1: store: postgres: not in this version")
	check("store: mysql:x", "weir.yaml:1: store: want sqlite:PATH")
	check("store: 'sqlite::memory:'", "weir.yaml:1: store: want a plain path after sqlite:")
	check("telemetry: {sample: 1.5}", "weir.yaml:1: telemetry.sample: want a share from 0 to 1, or from 0% to 100%")
	check("telemetry: {sample: NaN}", "weir.yaml:1: telemetry.sample: want a share from 0 to 1, or from 0% to 100%")
	check("tls: {cert: a.pem}", "weir.yaml:1: tls: want cert and key, or neither")
	check("tls: {cert: /nowhere.pem, key: /nowhere.pem}", "weir.yaml:1: tls: open /nowhere.pem: no such file or directory")
	check("body_timeout: 0", "weir.yaml:1: body_timeout: want more than 0")
	check("admin: {hosts: ['http://x']}", `weir.yaml:1: hosts: want a name like weir.example.com, got "http://x"`)
	// All at once, by line.
	check("kepalive: 1s\nlisten: x\nmax_body: y",
		`weir.yaml:1: unknown key "kepalive" (did you mean "keepalive"?)`,
		`weir.yaml:2: listen: want host:port, got "x"`,
		`weir.yaml:3: max_body: want a size like 4MiB or 64KiB, got "y"`)
}

func TestProviderProblems(t *testing.T) {
	check := func(provider string, want ...string) {
		t.Helper()
		_, err := Parse("f", []byte("providers:\n  p: "+provider), nil)
		if err == nil || err.Error() != strings.Join(want, "\n") {
			t.Errorf("provider %s\ngot  %v\nwant %s", provider, err, strings.Join(want, "\n"))
		}
	}
	check("{kind: opnai}", `f:2: providers.p.kind: unknown kind "opnai" (did you mean "openai"?)`)
	check("{kind: bedrock}", `f:2: providers.p.kind: bedrock: not in this version`)
	check("{}", `f:2: providers.p: kind is missing`)
	check("", `f:2: providers.p: kind is missing`)
	check("{kind: azure}", `f:2: providers.p: kind azure needs a base_url`)
	check("{kind: openai, deployments: {a: b}}", `f:2: providers.p: api_version and deployments are for kind azure`)
	check("{kind: openai, base_url: api.x.com}", `f:2: providers.p.base_url: want a URL like https://host/v1`)
	check("{kind: openai, base_url: 'https://u:p@x.com'}", `f:2: providers.p.base_url: a URL must not carry a password: use api_key or headers`)
	check("{kind: openai, base_url: 'https://x.com/v1?a=b'}", `f:2: providers.p.base_url: want a URL without ? and #`)
	check("{kind: openai, apis: [chat, respones]}", `f:2: providers.p.apis[1]: want one of chat, responses, completions, embeddings, moderations, images, speech, transcriptions, rerank, messages, generate, got "respones" (did you mean "responses"?)`)
	check("{kind: gemini, apis: chat}", `f:2: providers.p.apis: a provider of kind gemini is never asked by chat`)
	check("{kind: vllm, apis: [chat, generate]}", `f:2: providers.p.apis: a provider of kind vllm is never asked by generate`)
	check("{kind: openai, base_url: 'http://localhost:8080/v1'}", `f:2: providers.p.base_url: this is Weir's own address: calls would go in a circle`)
	check(`{kind: openai, api_key: "a\nb"}`, `f:2: providers.p.api_key: holds a character that no header can`)
	check(`{kind: openai, headers: {"a b": c}}`, `f:2: providers.p.headers: "a b" cannot be sent as a header`)
	check("{kind: openai, models: ['[']}", `f:2: providers.p.models: "[" is not a name or glob`)
	check("{kind: vllm, replicas: [http://a]}", "f:2: providers.p.replicas: not in this version")
	check("{kind: vllm, gpu_hour: -$2.50}", `f:2: providers.p.gpu_hour: want dollars like $2.50, got "-$2.50"`)
	check("{kind: vllm, price_context: {regoin: eu}}", `f:2: providers.p.price_context: unknown key "regoin" (did you mean "region"?)`)
	check("{kind: vllm, price_context: {region: 'a,b=c'}}", `f:2: providers.p.price_context.region: want a word of letters, digits, dots and dashes, got "a,b=c"`)
	check("{kind: vllm, price_context: {gpus: 0}}", `f:2: providers.p.price_context.gpus: want a whole number from 1 to 1000000000000000, like 600, 50k or 1M, got "0"`)
	check("{kind: vllm, gpu_hour: €2.50}", `f:2: providers.p.gpu_hour: want dollars like $2.50, got "€2.50"`)
	check("{kind: openai, api_key: a, api_key_file: b}", "f:2: providers.p.api_key_file: api_key is given too: want one of the two")
	_, err := Parse("f", []byte("providers: {a/b: {kind: mock}}"), nil)
	if err == nil || err.Error() != `f:1: providers: the name "a/b": want letters, digits, dots, dashes` {
		t.Error(err)
	}
}

func TestRouteProblems(t *testing.T) {
	check := func(route string, want ...string) {
		t.Helper()
		_, err := Parse("f", []byte("providers: {a: {kind: mock}, b: {kind: mock}}\nroutes:\n - "+route), nil)
		if err == nil || err.Error() != strings.Join(want, "\n") {
			t.Errorf("route %s\ngot  %v\nwant %s", route, err, strings.Join(want, "\n"))
		}
	}
	check("{model: x}", "f:3: routes[0]: it has no targets")
	check("{targets: {provider: a}}", "f:3: routes[0]: model is missing")
	check("{model: '[x', targets: {provider: a}}", `f:3: routes[0].model: "[x" is not a name or glob`)
	check("{model: x, targets: [{provider: aa}]}", `f:3: routes[0].targets[0].provider: unknown provider "aa"`)
	check("{model: x, targets: [{model: y}]}", `f:3: routes[0].targets[0]: provider is missing`)
	check("{model: x, targets: [{provider: a, weight: 0}, {provider: b, weight: 0}]}", `f:3: routes[0].targets: all weights are 0`)
	check("{model: x, targets: [{provider: a, weight: -1}]}", `f:3: routes[0].targets[0].weight: want a whole number from 0 to 2147483647, got "-1"`)
	check("{model: x, targets: [{provider: a, weight: NaN}]}", `f:3: routes[0].targets[0].weight: want a whole number from 0 to 2147483647, got "NaN"`)
	check("{model: x, targets: [{provider: a}, {provider: a}]}", `f:3: routes[0].targets[1]: the same provider and model as targets[0]`)
	check("{model: x, targets: [{provider: a}], fallbacks: [{provider: a}]}", `f:3: routes[0].fallbacks[0]: the same provider and model as targets[0]`)
	check("{model: x, targets: [{provider: a}], fallbacks: [{provider: b, weight: 3}]}", `f:3: routes[0].fallbacks[0].weight: fallbacks go in order, without weights`)
	check("{model: x, targets: [{provider: a}], retries: 99}", `f:3: routes[0].retries: want at most 10`)
	check("{model: x, targets: [{provider: a}], timeouts: {tftt: 1s}}", `f:3: routes[0].timeouts: unknown key "tftt" (did you mean "ttft"?)`)
	check("{model: x, targets: [{provider: a}], timeouts: {total: 0}}", `f:3: routes[0].timeouts: want more than 0`)
	check("{model: x, targets: [{provider: a}], timeouts: {room: 0}}", `f:3: routes[0].timeouts.room: want more than 0`)
	check("{model: x, targets: [{provider: a}], hedge: 1s}", `f:3: routes[0].hedge: not in this version`)
}

func TestWarnings(t *testing.T) {
	check := func(text string, want ...string) {
		t.Helper()
		c := parse(t, text)
		if got := Problems(c.Warnings).Error(); got != strings.Join(want, "\n") {
			t.Errorf("warnings of %q\ngot  %s\nwant %s", text, got, strings.Join(want, "\n"))
		}
	}
	check("providers: {m: {kind: mock}}")
	check("auth: off", "weir.yaml: there are no providers")
	check("providers:\n  o: {kind: openai}", "weir.yaml:2: providers.o: it has no api_key, so calls to it are refused")
	check("auth: passthrough\nproviders:\n  o: {kind: openai}")
	check("providers:\n  o: {kind: openai, api_key: k, base_url: 'http://far.example.com/v1'}", "weir.yaml:2: providers.o.base_url: the key goes over the network in the clear")
	check("providers:\n  o: {kind: openai, api_key: k, base_url: 'http://10.0.0.5:8000/v1'}")
	two := "providers: {o: {kind: openai, api_key: k}, c: {kind: anthropic, api_key: k}, m: {kind: mock}}\nroutes:\n"
	check(two+" - {model: x, targets: [{provider: o}, {provider: c}]}", "weir.yaml:3: routes[0]: its targets speak openai and anthropic: conversations are carried from one to the other, other calls (embeddings, images, …) pass over it")
	check(two + " - {model: x, targets: [{provider: o}, {provider: m}]}")
	check(two+" - {model: 'g*', targets: [{provider: o}]}\n - {model: 'gpt/4', targets: [{provider: o}]}",
		`weir.yaml:4: routes[1]: it is never reached: "g*" in line 3 matches all that it does`)
	check(two+" - {model: 'g*', targets: [{provider: o}]}\n - {model: 'gp*', targets: [{provider: o}]}",
		`weir.yaml:4: routes[1]: it is never reached: "g*" in line 3 matches all that it does`)
	check(two + " - {model: 'gp*', targets: [{provider: o}]}\n - {model: 'g*', targets: [{provider: o}]}")
}

func TestDefaults(t *testing.T) {
	check := func(text, want string, env ...string) {
		t.Helper()
		c := parse(t, text, env...)
		if got := fmt.Sprintf("%s %s %s %s", c.DataDir, c.Store, c.Spool.Dir, c.Auth); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	check("", "data sqlite:data/weir.db data/spool off")
	check("# nothing\n", "data sqlite:data/weir.db data/spool off")
	check("data: /x", "/x sqlite:/x/weir.db /x/spool off")
	check("store: sqlite:/y/z.db", "/y sqlite:/y/z.db /y/spool off")
	check("store: sqlite:/y/z.db\ndata: /x\nspool: {dir: /s}", "/x sqlite:/y/z.db /s off")
	check("auth: ${A:-keys}", "data sqlite:data/weir.db data/spool keys")
	check("auth: ${A:-keys}", "data sqlite:data/weir.db data/spool passthrough", "A", "passthrough")
	check("auth: false", "data sqlite:data/weir.db data/spool off")
}

func TestNoFile(t *testing.T) {
	c, err := Load("", environ("OPENAI_API_KEY", "sk-o", "GOOGLE_API_KEY", "g", "OLLAMA_HOST", "0.0.0.0", "AZURE_OPENAI_API_KEY", "z",
		"WEIR_ADMIN_TOKEN", "adm", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://otel:4318"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range c.Providers {
		got = append(got, p.Name+" "+p.Kind+" "+p.BaseURL+" "+string(p.APIKey)+" "+p.From)
	}
	want := "openai openai  sk-o OPENAI_API_KEY\ngemini gemini  g GOOGLE_API_KEY\nollama ollama http://127.0.0.1:11434/v1  OLLAMA_HOST"
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
	if c.Auth != AuthOff || string(c.Admin.Token) != "adm" || c.Telemetry.OTLP != "http://otel:4318" {
		t.Errorf("%+v", c)
	}
}

// TestDiscover: who is taken from the environment, and where a key may go.
func TestDiscover(t *testing.T) {
	check := func(text, want string, env ...string) {
		t.Helper()
		c := parse(t, text, env...)
		var got []string
		for _, p := range c.Providers {
			got = append(got, p.Name+"="+string(p.APIKey)+"@"+p.BaseURL)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: got %q, want %q", text, strings.Join(got, " "), want)
		}
	}
	check("auth: off", "groq=g@https://api.groq.com/openai/v1", "GROQ_API_KEY", "g")
	check("providers: {mock: {kind: mock}}", "mock=@", "GROQ_API_KEY", "g")
	check("discover: on\nproviders: {mock: {kind: mock}}", "mock=@ groq=g@https://api.groq.com/openai/v1", "GROQ_API_KEY", "g")
	check("discover: off", "", "GROQ_API_KEY", "g")
	check("providers: {groq: {}}", "groq=g@https://api.groq.com/openai/v1", "GROQ_API_KEY", "g")
	check("providers: {o: {kind: openai}}", "o=sk@", "OPENAI_API_KEY", "sk")
	check("providers: {claude: {}}", "claude=ak@", "ANTHROPIC_API_KEY", "ak")
	check("providers: {mock: }", "mock=@")
	// A key of the environment never goes to a host that isn't its vendor's.
	check("providers: {openai: {kind: openai, base_url: 'http://10.1.1.1/v1'}}", "openai=@http://10.1.1.1/v1", "OPENAI_API_KEY", "sk")
	check("providers: {groq: {kind: openai}}", "groq=@", "GROQ_API_KEY", "g")
	check("auth: passthrough\nproviders: {o: {kind: openai}}", "o=@", "OPENAI_API_KEY", "sk")
	check("providers: {o: {kind: openai, api_key: mine}}", "o=mine@", "OPENAI_API_KEY", "sk")
	// A base URL that points SDKs at this very Weir is none of ours.
	check("auth: off", "openai=sk@", "OPENAI_API_KEY", "sk", "OPENAI_BASE_URL", "http://localhost:8080/v1")
	check("auth: off", "openai=sk@http://other:9/v1", "OPENAI_API_KEY", "sk", "OPENAI_BASE_URL", "http://other:9/v1")
	check("auth: off", "azure=k@https://r.openai.azure.com", "AZURE_OPENAI_API_KEY", "k", "AZURE_OPENAI_ENDPOINT", "https://r.openai.azure.com")
	check("auth: off", "ollama=@https://o.example.com/v1", "OLLAMA_HOST", "https://o.example.com/")
}

func TestExpand(t *testing.T) {
	check := func(s, want string) {
		t.Helper()
		c := parse(t, "secret: "+s, "A", "one", "B", "${A}", "E", "", "Q", `a: "b" {c}`)
		if string(c.Secret) != want {
			t.Errorf("%s: got %q, want %q", s, string(c.Secret), want)
		}
	}
	check("${A}", "one")
	check("x${A}y${A}", "xoneyone")
	check("${B}", "${A}") // a value is not looked at again
	check("${E:-two}", "two")
	check("${NO:-${A}}", "one")
	check("${NO:-a: b, {c} # d}", "a: b, {c} # d")
	check(`"${A} ${NO:-\"q\"}"`, `one "q"`)
	check("'${NO:-it''s}'", "it's")
	check("${Q}", `a: "b" {c}`)
	check("$${A}", "${A}")
	check("$25", "$25")
	check("$A", "$A")
	check("|\n  ${A}\n", "one")
	check("&x ${A}", "one")
}

func TestAliases(t *testing.T) {
	c := parse(t, `
providers:
  a: &p {kind: openai, base_url: 'https://a.example.com/v1', api_key: k, headers: {x: y}}
  b: {<<: *p, base_url: 'https://b.example.com/v1'}
  c: *p
`)
	if c.Providers[1].BaseURL != "https://b.example.com/v1" || string(c.Providers[1].APIKey) != "k" || c.Providers[2].BaseURL != "https://a.example.com/v1" {
		t.Errorf("%+v", c.Providers)
	}
	bomb := "routes: &a [&t {model: x, targets: [&u {provider: m}" + strings.Repeat(", *u", 5000) + "]}" + strings.Repeat(", *t", 5000) + "]"
	start := time.Now()
	_, err := Parse("f", []byte(bomb), nil)
	if err == nil || !strings.Contains(err.Error(), "aliases make more than") {
		t.Errorf("bomb: %.200v", err)
	}
	if d := time.Since(start); d > 30*time.Second {
		t.Errorf("a bomb of %d bytes took %v", len(bomb), d)
	}
	for _, text := range []string{"&a [*a]", "admin: &a {listen: *a}", "a: &b\n  <<: *b", "routes: &r [*r]", "&a *a"} {
		if _, err := Parse("f", []byte(text), nil); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

func TestSecretFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte("  sk-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := parse(t, "secret_file: "+path+"\nadmin: {token_file: "+path+"}\nproviders: {o: {kind: openai, api_key_file: "+path+"}, p: {kind: openai, api_key: '${NO:-}', api_key_file: "+path+"}}")
	for _, s := range []Secret{c.Secret, c.Admin.Token, c.Providers[0].APIKey, c.Providers[1].APIKey} {
		if string(s) != "sk-file" {
			t.Errorf("got %q", string(s))
		}
	}
}

// TestSecretsNeverShow plants secrets in every place that takes one.
func TestSecretsNeverShow(t *testing.T) {
	c := parse(t, `
secret: CANARY1
admin: {token: CANARY2}
providers: {o: {kind: openai, api_key: CANARY3, headers: {x-key: CANARY4}}}
`)
	b, err := json.Marshal(c.Redacted())
	if err != nil {
		t.Fatal(err)
	}
	whole, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{string(b), string(whole), fmt.Sprint(c), fmt.Sprintf("%+v %#v %q %x", c, c, c.Secret, c.Secret)} {
		if strings.Contains(shown, "CANARY") || strings.Contains(shown, fmt.Sprintf("%x", "CANARY")) {
			t.Errorf("a secret shows: %s", shown)
		}
	}
	if !strings.Contains(string(b), `"api_key":"(set)"`) || !strings.Contains(string(b), `"keepalive":"15s"`) {
		t.Errorf("redacted: %s", b)
	}
	c = parse(t, "routes: [{model: x, targets: [{provider: o}], timeouts: {idle: 45s}}]\nproviders: {o: {kind: openai}}\ndrain: {time: 5s}")
	if b, err = json.Marshal(c.Redacted()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"timeouts":{"connect":"3s","idle":"45s","room":"2s","total":"30m","ttft":"1m (streams only)"}`, `"drain":{"bytes":"1MiB","time":"5s"}`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the defaults in effect do not show: no %s in %s", want, b)
		}
	}
	for _, text := range []string{"secret: [CANARY]", "admin: {token: {CANARY: x}}", "store: postgres://u:CANARY@h/d", "redis: http://:CANARY@h", "redis: 'redis://:CANARY/x@h'"} {
		if _, err := Parse("f", []byte(text), nil); err == nil || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestWords(t *testing.T) {
	check := func(s string, want time.Duration) {
		t.Helper()
		got, err := ParseDuration(s)
		if err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", s, got, err, want)
		}
		if back, err := ParseDuration(showDuration(got)); err != nil || back != want {
			t.Errorf("%q is shown as %q", s, showDuration(got))
		}
	}
	check("30s", 30*time.Second)
	check("1h30m", 90*time.Minute)
	check("2w", 14*24*time.Hour)
	check("1d12h", 36*time.Hour)
	check("0", 0)
	check("0s", 0)
	check("1.5s", 1500*time.Millisecond)
	for _, s := range []string{"", "d", "1", "1x", "-1s", "99999999999d", "1d-2s", "NaN"} {
		if d, err := ParseDuration(s); err == nil {
			t.Errorf("ParseDuration(%q) = %v", s, d)
		}
	}
	size := func(s string, want int64) {
		t.Helper()
		got, err := parseBytes(s)
		if err != nil || got != want {
			t.Errorf("parseBytes(%q) = %v, %v, want %v", s, got, err, want)
		}
		if back, err := parseBytes(showBytes(got)); err != nil || back != want {
			t.Errorf("%q is shown as %q", s, showBytes(got))
		}
	}
	size("4MiB", 4<<20)
	size("4 MiB", 4<<20)
	size("4MB", 4e6)
	size("7", 7)
	size("7B", 7)
	size("0", 0)
	for _, s := range []string{"", "MiB", "-1", "1.5MiB", "4M", "99999999TiB"} {
		if n, err := parseBytes(s); err == nil {
			t.Errorf("parseBytes(%q) = %v", s, n)
		}
	}
}

func TestLimits(t *testing.T) {
	big := "# " + strings.Repeat("x", maxFile)
	if _, err := Parse("f", []byte(big), nil); err == nil || err.Error() != "f: the file is larger than 4 MiB" {
		t.Errorf("%.100v", err)
	}
	if _, err := Parse("f", []byte("a: \xff"), nil); err == nil || err.Error() != "f: the file is not UTF-8 text" {
		t.Error(err)
	}
	if _, err := Parse("f", []byte("\na: \uE003"), nil); err == nil || !strings.HasPrefix(err.Error(), "f:2: the private characters") {
		t.Error(err)
	}
	if _, err := Load("/nowhere/weir.yaml", nil); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	parse(t, "\uFEFFauth: off")
}
