package proxy

import (
	"net/http"
	"net/url"
	"strings"

	"weir/proxy/wire"
)

// A kind is how to speak to one sort of upstream. To add one, write a file
// like kind_azure.go and a row here.
type kind struct {
	dialect wire.Dialect // nil: speaks them all
	base    string       // the vendor's own base URL; "" = must be configured
	keyless bool         // serves without a key
	models  []string     // globs of the names that only this vendor serves
	system  string       // OpenTelemetry's gen_ai.provider.name
	local   bool         // an inference engine: its management paths are closed to callers

	can apiSet // the APIs that it may be asked by at all
	// has is what a provider of the kind is taken to have, and what it may
	// have, where the configuration does not say; nil: all that it can.
	has func(*Provider) (surely, perhaps apiSet)
	// limit is the name of the output limit that its chat completions take;
	// "" = by the model.
	limit string

	// url returns where a request goes. path is the client's own, cleaned, and
	// model the target's.
	url func(p *Provider, e wire.Endpoint, path, model string) *url.URL
	// modelsPath lists what the account serves, with the headers that it
	// needs; "" = there is no list, or none worth asking for.
	modelsPath   string
	modelsHeader map[string]string

	// authorize puts the provider's key on a request.
	authorize func(h http.Header, key string)
}

var kinds = map[string]kind{
	"openai":    openaiKind,
	"azure":     azureKind,
	"anthropic": anthropicKind,
	"gemini":    geminiKind,
	"ollama":    ollamaKind,
	"vllm":      vllmKind,
	"mock":      mockKind,
}

func bearer(h http.Header, key string) { h.Set("Authorization", "Bearer "+key) }

// openaiURL hangs what follows /v1 under the base URL, which by custom ends in /v1.
func openaiURL(p *Provider, _ wire.Endpoint, path, _ string) *url.URL {
	return under(p.base, strings.TrimPrefix(path, "/v1"))
}

// rootURL keeps the client's whole path; a base URL written with the version
// at its end means the same.
func rootURL(version string) func(*Provider, wire.Endpoint, string, string) *url.URL {
	return func(p *Provider, _ wire.Endpoint, path, _ string) *url.URL {
		if strings.HasSuffix(p.base.Path, version) {
			path = strings.TrimPrefix(path, version)
		}
		return under(p.base, path)
	}
}

// under hangs an escaped path below a base URL, keeping its escapes as they are.
func under(base *url.URL, path string) *url.URL {
	u := *base
	u.RawPath = base.EscapedPath() + path
	plain, err := url.PathUnescape(u.RawPath)
	if err != nil { // the server has parsed this path already, so it can be
		plain = u.RawPath
	}
	u.Path = plain
	return &u
}

var openaiKind = kind{
	dialect: wire.OpenAI, base: "https://api.openai.com/v1",
	models: []string{
		"gpt-*", "o1*", "o3*", "o4*", "chatgpt-*", "codex-*", "text-embedding-3-*", "text-embedding-ada-*",
		"omni-moderation-*", "text-moderation-*", "dall-e-*", "whisper-*", "tts-*", "sora-*", "ft:*", "davinci-002", "babbage-002",
	},
	system: "openai", modelsPath: "/v1/models",
	can: openAIs | messages, has: openaiHas,
	url: openaiURL, authorize: bearer,
}

// openaiHas knows OpenAI's own host, and nothing of others of the kind.
func openaiHas(p *Provider) (surely, perhaps apiSet) {
	if p.ownKind() {
		return openAIs, 0
	}
	return compatible(p)
}

var ollamaKind = kind{
	dialect: wire.OpenAI, base: "http://127.0.0.1:11434/v1", keyless: true, local: true,
	system: "ollama", modelsPath: "/v1/models",
	can: openAIs | messages, has: compatible,
	limit: "max_tokens", // the newer name it takes and heeds not (ollama/ollama#7125)
	url:   openaiURL, authorize: bearer,
}

var vllmKind = kind{
	dialect: wire.OpenAI, base: "http://127.0.0.1:8000/v1", keyless: true, local: true,
	system: "vllm", modelsPath: "/v1/models",
	can: openAIs | messages, has: compatible,
	limit: "max_tokens", // before 0.6.4 it refuses the newer name
	url:   openaiURL, authorize: bearer,
}

var anthropicKind = kind{
	dialect: wire.Anthropic, base: "https://api.anthropic.com",
	models: []string{"claude-*"},
	system: "anthropic", modelsPath: "/v1/models", modelsHeader: map[string]string{"Anthropic-Version": "2023-06-01"},
	can: messages | of(wire.Chat),
	has: func(*Provider) (surely, perhaps apiSet) { return messages, 0 },
	url: rootURL("/v1"),
	authorize: func(h http.Header, key string) {
		// OAuth tokens are bearer tokens, API keys are not.
		if strings.HasPrefix(key, "sk-ant-oat") {
			bearer(h, key)
			return
		}
		h.Set("X-Api-Key", key)
	},
}

var mockKind = kind{keyless: true, can: worded, system: "mock", modelsPath: "/v1/models", url: mockURL, authorize: bearer}

// mockURL is the client's path, with the target's model where it names one.
func mockURL(p *Provider, e wire.Endpoint, path, model string) *url.URL {
	return under(p.base, modelPath(e, path, model))
}
