package mockllm

import (
	"net/http"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"
)

// listed are the models that the lists hold, by dialect.
var listed = map[string][]string{
	"openai": {
		"gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-5", "gpt-5-mini", "gpt-image-1", "gpt-4o-mini-tts", "whisper-1",
		"text-embedding-3-small", "text-embedding-3-large", "omni-moderation-latest", "mock-fast", "mock-embed",
	},
	"anthropic": {"claude-opus-4-5", "claude-sonnet-4-5", "claude-haiku-4-5", "claude-mock-fast"},
	"gemini":    {"gemini-2.5-pro", "gemini-2.5-flash", "gemini-embedding-001", "gemini-mock-fast"},
}

func (c *call) models() []string {
	return append(slices.Clone(listed[c.vendor.name]), c.s.opts.Models...)
}

func serveModels(c *call) *fault {
	all := c.models()
	if c.model != "" {
		if !slices.Contains(all, c.model) && !strings.Contains(c.model, "mock") {
			f := c.vendor.usual(c, http.StatusNotFound)
			if c.vendor == openAI {
				f.msg = "The model '" + c.model + "' does not exist"
			}
			return &f
		}
		c.json(c.about(c.model))
		return nil
	}
	data := make([]raw, len(all))
	for i, m := range all {
		data[i] = c.about(m)
	}
	switch c.vendor {
	case openAI:
		c.json(obj("object", "list", "data", data))
	case anthropic:
		c.json(obj("data", data, "has_more", false, "first_id", all[0], "last_id", all[len(all)-1]))
	default:
		c.json(obj("models", data))
	}
	return nil
}

func (c *call) about(model string) raw {
	switch c.vendor {
	case openAI:
		return obj("id", model, "object", "model", "created", epoch, "owned_by", "mock")
	case anthropic:
		return obj("type", "model", "id", model, "display_name", model, "created_at", rfc3339(epoch))
	}
	verbs := list("generateContent", "countTokens")
	if strings.Contains(model, "embed") {
		verbs = list("embedContent", "countTokens")
	}
	return obj("name", "models/"+model, "version", "001", "displayName", model, "description", "A model of the mock.",
		"inputTokenLimit", 1048576, "outputTokenLimit", 65536, "supportedGenerationMethods", verbs)
}

// secretHeaders are not echoed.
var secretHeaders = []string{"Authorization", "X-Api-Key", "Api-Key", "X-Goog-Api-Key", "Cookie"}

// serveEcho answers what no API knows with what came, so that raw
// pass-through can be looked at.
func serveEcho(c *call) *fault {
	var names []string
	for name := range c.r.Header {
		names = append(names, name)
	}
	sort.Strings(names)
	var headers []any
	for _, name := range names {
		value := any(list(c.r.Header[name]...))
		if slices.Contains(secretHeaders, name) {
			value = list("(a secret)")
		}
		headers = append(headers, strings.ToLower(name), value)
	}
	f := &c.form.files[0]
	var body any
	if utf8.Valid(f.head) {
		body = string(f.head)
	}
	query := c.r.URL.Query()
	query.Del("key")
	c.json(obj("object", "echo", "method", c.r.Method, "path", c.r.URL.Path, "query", query.Encode(),
		"headers", obj(headers...), "size", f.size, "body", body))
	return nil
}
