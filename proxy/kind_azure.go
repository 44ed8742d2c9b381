package proxy

import (
	"net/http"
	"net/url"
	"strings"

	"weir/proxy/wire"
)

// Azure OpenAI has two URL forms. A base URL that ends in /openai/v1 is the
// newer one: OpenAI's own paths under it. Any other is the resource's host:
// /openai/deployments/{deployment}/…?api-version=…, where the deployment
// stands for the model; what has no model (files, batches) is under /openai.
// Both take the key as api-key; the model given here is the deployment already.
var azureKind = kind{
	dialect:   wire.OpenAI,
	system:    "azure.ai.openai", // its list of models is not that of its deployments
	can:       openAIs,
	has:       azureHas,
	limit:     "max_completion_tokens",
	url:       azureURL,
	authorize: func(h http.Header, key string) { h.Set("Api-Key", key) },
}

// azureHas: the Responses API is in the newer form, and in the data-plane
// versions from 2025-03-01-preview on.
func azureHas(p *Provider) (surely, perhaps apiSet) {
	if strings.HasSuffix(p.base.Path, "/openai/v1") || p.version >= "2025-03-01" {
		return openAIs, 0
	}
	return compatible(p)
}

// azureVersion is the data-plane version asked where the configuration names none.
const azureVersion = "2024-10-21"

func azureURL(p *Provider, e wire.Endpoint, path, model string) *url.URL {
	if strings.HasPrefix(path, "/openai/") { // raw: Azure's own path, version and all
		root := *p.base
		root.Path = strings.TrimSuffix(root.Path, "/openai/v1")
		root.RawPath = ""
		return under(&root, path)
	}
	rest := strings.TrimPrefix(path, "/v1")
	if strings.HasSuffix(p.base.Path, "/openai/v1") {
		u := under(p.base, rest)
		if p.version != "" {
			u.RawQuery = "api-version=" + url.QueryEscape(p.version)
		}
		return u
	}
	prefix := "/openai"
	if model != "" && e.API != wire.Responses && e.API != wire.Models {
		prefix = "/openai/deployments/" + url.PathEscape(model)
	}
	u := under(p.base, strings.TrimSuffix(prefix, "/")+rest)
	version := p.version
	if version == "" {
		version = azureVersion
	}
	u.RawQuery = "api-version=" + url.QueryEscape(version)
	return u
}
