package proxy

import (
	"net/http"
	"net/url"
	"strings"

	"weir/proxy/wire"
)

// Gemini names the model in the path: /v1beta/models/{model}:generateContent.
var geminiKind = kind{
	dialect: wire.Gemini, base: "https://generativelanguage.googleapis.com",
	models: []string{"gemini-*", "gemma-*", "text-embedding-00*", "gemini-embedding-*", "imagen-*", "veo-*"},
	system: "gcp.gemini", modelsPath: "/v1beta/models",
	can: of(wire.Generate, wire.StreamGenerate, wire.CountTokens, wire.Embed, wire.BatchEmbed),
	url: geminiURL,
	authorize: func(h http.Header, key string) {
		// OAuth access tokens begin with "ya29."; API keys have a header of their own.
		if strings.HasPrefix(key, "ya29.") {
			bearer(h, key)
			return
		}
		h.Set("X-Goog-Api-Key", key)
	},
}

func geminiURL(p *Provider, e wire.Endpoint, path, model string) *url.URL {
	path = modelPath(e, path, model)
	if rest, ok := strings.CutPrefix(path, "/v1/"); ok && strings.HasSuffix(p.base.Path, "/v1beta") {
		path = "/v1beta/" + rest // a version in the base URL wins over the client's
	}
	return rootURL("/v1beta")(p, e, path, model)
}

// modelPath puts the target's model in the place of the asked one.
func modelPath(e wire.Endpoint, path, model string) string {
	if model == "" || model == e.Model || e.ModelSpan.Empty() {
		return path
	}
	return path[:e.ModelSpan.Start] + model + path[e.ModelSpan.End:]
}
