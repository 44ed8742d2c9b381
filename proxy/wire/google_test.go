package wire

import (
	"net/http"
	"testing"
)

// TestMatchGoogle: google-genai for Python says v1 where the other SDKs say
// v1beta, and shares /v1/files and /v1/models with OpenAI.
func TestMatchGoogle(t *testing.T) {
	sdk := http.Header{"X-Goog-Api-Client": {"google-genai-sdk/3.6.1 gl-python/3.11.7"}}
	check := func(method, path string, h http.Header, api API, d Dialect, model string) {
		t.Helper()
		e := Match(method, path, h)
		if e.API != api || e.Dialect != d || e.Model != model {
			t.Errorf("Match(%s %s) = %s of %s, model %q; want %s of %s, %q", method, path, e.API, e.Dialect.Name(), e.Model, api, d.Name(), model)
		}
		if !e.ModelSpan.Empty() && path[e.ModelSpan.Start:e.ModelSpan.End] != model {
			t.Errorf("Match(%s %s): the span holds %q", method, path, path[e.ModelSpan.Start:e.ModelSpan.End])
		}
	}
	check("POST", "/v1/models/gemini-2.5-flash:generateContent", nil, Generate, Gemini, "gemini-2.5-flash")
	check("POST", "/v1/models/mock/gemini-2.5-flash:streamGenerateContent", nil, StreamGenerate, Gemini, "mock/gemini-2.5-flash")
	check("POST", "/v1/models/gemini-embedding-001:batchEmbedContents", sdk, BatchEmbed, Gemini, "gemini-embedding-001")
	check("GET", "/v1/models", sdk, Models, Gemini, "")
	check("GET", "/v1/files/abc", sdk, Files, Gemini, "")
	check("POST", "/upload/v1/files", sdk, Files, Gemini, "")
	check("POST", "/v1beta/models/gemini-2.5-flash:countTokens", nil, CountTokens, Gemini, "gemini-2.5-flash")

	check("GET", "/v1/models", nil, Models, OpenAI, "")
	check("GET", "/v1/models/ft:gpt-4o:acme::abc", nil, Models, OpenAI, "ft:gpt-4o:acme::abc")
	check("GET", "/v1/files/abc", nil, Files, OpenAI, "")
	check("POST", "/v1/chat/completions", nil, Chat, OpenAI, "")
}
