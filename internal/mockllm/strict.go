package mockllm

import (
	"slices"
	"strings"
)

// What the mock is strict about, by dialect, is listed in docs/mock.md under
// "What it refuses"; the tables here are the first half of it.

// members are those that a JSON object may have: name to the types it takes.
type members struct {
	types    map[string]string
	required []string
}

// parseMembers reads "name:types" words. Types are letters: s string,
// n number, i integer, b boolean, a array, o object, * any; ! = required.
// null is taken for whatever is not required.
func parseMembers(spec string) *members {
	m := &members{types: map[string]string{}}
	for _, word := range strings.Fields(spec) {
		name, types, _ := strings.Cut(word, ":")
		if t, ok := strings.CutSuffix(types, "!"); ok {
			types = t
			m.required = append(m.required, name)
		}
		m.types[name] = types
	}
	return m
}

var (
	chatMembers = parseMembers(`model:s! messages:a! audio:o frequency_penalty:n function_call:so functions:a logit_bias:o
		logprobs:b max_completion_tokens:i max_tokens:i metadata:o modalities:a moderation:o n:i parallel_tool_calls:b prediction:o
		presence_penalty:n prompt_cache_key:s prompt_cache_retention:s prompt_cache_options:o reasoning_effort:s response_format:o
		safety_identifier:s seed:i service_tier:s stop:sa store:b stream:b stream_options:o temperature:n tool_choice:so
		tools:a top_logprobs:i top_p:n user:s verbosity:s web_search_options:o`)
	responsesMembers = parseMembers(`model:s background:b context_management:a conversation:so include:a input:sa instructions:sa
		max_output_tokens:i max_tool_calls:i metadata:o moderation:o parallel_tool_calls:b previous_response_id:s prompt:o
		prompt_cache_key:s prompt_cache_retention:s prompt_cache_options:o reasoning:o safety_identifier:s service_tier:s store:b
		stream:b stream_options:o temperature:n text:o tool_choice:so tools:a top_logprobs:i top_p:n truncation:s user:s
		client_metadata:o`)
	completionsMembers = parseMembers(`model:s! prompt:sa! best_of:i echo:b frequency_penalty:n logit_bias:o logprobs:i
		max_tokens:i n:i presence_penalty:n seed:i stop:sa stream:b stream_options:o suffix:s temperature:n top_p:n user:s`)
	embeddingsMembers  = parseMembers(`model:s! input:sa! dimensions:i encoding_format:s user:s`)
	moderationsMembers = parseMembers(`input:sa! model:s`)
	imagesMembers      = parseMembers(`prompt:s! model:s background:s moderation:s n:i output_compression:i output_format:s
		partial_images:i quality:s response_format:s size:s stream:b style:s user:s`)
	speechMembers = parseMembers(`model:s! input:s! voice:so! instructions:s response_format:s speed:n stream_format:s`)

	messagesMembers = parseMembers(`model:s! messages:a! max_tokens:i! cache_control:o container:so context_management:o
		fallbacks:a inference_geo:s mcp_servers:a metadata:o output_config:o output_format:o service_tier:s speed:s
		stop_sequences:a stream:b system:sa temperature:n thinking:o tool_choice:o tools:a top_k:i top_p:n`)
	countTokensMembers = parseMembers(`model:s! messages:a! cache_control:o context_management:o mcp_servers:a output_config:o
		output_format:o speed:s system:sa thinking:o tool_choice:o tools:a`)

	generateMembers = parseMembers(`contents:ao cachedContent:s cached_content:s generationConfig:o generation_config:o
		labels:o model:s safetySettings:a safety_settings:a serviceTier:s service_tier:s store:b systemInstruction:*
		system_instruction:* toolConfig:o tool_config:o tools:*`)
)

// english and pydantic name types as the vendors do.
var (
	english = map[string]string{
		"s": "a string", "n": "a decimal", "i": "an integer", "b": "a boolean", "a": "an array", "o": "an object",
		"so": "one of a string or object", "sa": "one of a string or array of strings", "ao": "an array", "null": "null",
	}
	pydantic = map[string]string{
		"s": "string", "n": "number", "i": "integer", "b": "boolean", "a": "list", "o": "dictionary",
		"so": "string", "sa": "string", "ao": "list",
	}
)

// typeName is the letter of a value's type.
func typeName(n *node) string {
	switch n.kind {
	case text:
		return "s"
	case number:
		if n.isInt() {
			return "i"
		}
		return "n"
	case boolean:
		return "b"
	case array:
		return "a"
	case object:
		return "o"
	}
	return "null"
}

func takes(types string, n *node) bool {
	t := typeName(n)
	return types == "*" || strings.Contains(types, t) || t == "i" && strings.Contains(types, "n")
}

// strict checks the body as the vendor does: the members first, then what the
// API has of its own.
func (c *call) strict() *fault {
	a := c.api
	if a.strict != nil {
		if f := c.members(a.strict); f != nil {
			return f
		}
	}
	if a.check != nil {
		return a.check(c)
	}
	return nil
}

func (c *call) members(m *members) *fault {
	if c.body.kind != object {
		return c.vendor.mistyped("body", "o", &c.body)
	}
	for _, name := range m.required {
		if name == "model" && c.model != "" {
			continue // in the path
		}
		if !c.body.has(name) {
			return c.vendor.missing(name)
		}
	}
	for i := range c.body.kids {
		kid := &c.body.kids[i]
		types, known := m.types[kid.key]
		switch {
		case !known:
			if !c.s.opts.Lax {
				return c.vendor.unknown(kid.key)
			}
		case kid.kind == null:
			if slices.Contains(m.required, kid.key) {
				return c.vendor.mistyped(kid.key, types, kid)
			}
		case !takes(types, kid):
			return c.vendor.mistyped(kid.key, types, kid)
		}
	}
	if c.body.has("model") && c.body.get("model").text == "" {
		return c.vendor.missing("model")
	}
	return nil
}

// between checks a number's range, in OpenAI's words.
func (c *call) between(name string, low, high float64) *fault {
	n := c.body.get(name)
	if n.kind != number {
		return nil
	}
	word := "decimal"
	if n.isInt() && c.api.strict != nil && c.api.strict.types[name] == "i" {
		word = "integer"
	}
	switch v := n.float(0); {
	case v < low:
		return refuse(name, word+"_below_min_value", "Invalid '%s': %s below minimum value. Expected a value >= %v, but got %s instead.", name, word, low, n.raw)
	case v > high:
		return refuse(name, word+"_above_max_value", "Invalid '%s': %s above maximum value. Expected a value <= %v, but got %s instead.", name, word, high, n.raw)
	}
	return nil
}
