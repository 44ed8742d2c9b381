package mockllm

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var toolName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,128}$`)

// checkChat is what the API refuses beyond unknown members.
func checkChat(c *call) *fault {
	b := &c.body
	if f := c.streamOptions(); f != nil {
		return f
	}
	messages := b.get("messages")
	if len(messages.kids) == 0 {
		return refuse("messages", "empty_array", "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.")
	}
	if f := checkOrder(messages.kids); f != nil {
		return f
	}
	if f := checkTools(b.get("tools"), "function"); f != nil {
		return f
	}
	if b.has("tool_choice") && !b.has("tools") {
		return refuse("tool_choice", "", "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.")
	}
	if b.has("parallel_tool_calls") && !b.has("tools") {
		return refuse("parallel_tool_calls", "", "Invalid value for 'parallel_tool_calls': 'parallel_tool_calls' is only allowed when 'tools' are specified.")
	}
	if b.has("top_logprobs") && !b.get("logprobs").isTrue() {
		return refuse("top_logprobs", "", "Invalid value for 'top_logprobs': 'top_logprobs' is only allowed when 'logprobs' is enabled.")
	}
	if f := c.ranges(); f != nil {
		return f
	}
	return checkFormat(b.get("response_format"), "response_format")
}

var numberRanges = []struct {
	name      string
	low, high float64
}{
	{"temperature", 0, 2},
	{"top_p", 0, 1},
	{"presence_penalty", -2, 2},
	{"frequency_penalty", -2, 2},
	{"n", 1, 128},
	{"max_tokens", 1, 1e9},
	{"max_completion_tokens", 1, 1e9},
	{"max_output_tokens", 16, 1e9},
	{"top_logprobs", 0, 20},
}

func (c *call) ranges() *fault {
	for _, r := range numberRanges {
		if f := c.between(r.name, r.low, r.high); f != nil {
			return f
		}
	}
	return nil
}

func (c *call) streamOptions() *fault {
	if !c.body.has("stream_options") {
		return nil
	}
	if c.b.NoStreamOptions {
		return c.vendor.unknown("stream_options")
	}
	if !c.body.get("stream").isTrue() {
		return refuse("stream_options", "", "The 'stream_options' parameter is only allowed when 'stream' is enabled.")
	}
	options := c.body.get("stream_options")
	for _, kid := range options.kids {
		if kid.key != "include_usage" && kid.key != "include_obfuscation" && !c.s.opts.Lax {
			return refuse("stream_options."+kid.key, "unknown_parameter", "Unknown parameter: 'stream_options.%s'.", kid.key)
		}
	}
	return nil
}

// checkOrder holds messages against the rules of roles and tool calls.
func checkOrder(messages []node) *fault {
	open := map[string]bool{} // calls that wait for their result
	order := []string{}
	for i := range messages {
		m, at := &messages[i], "messages["+strconv.Itoa(i)+"]"
		if m.kind != object {
			return invalidType(at, "o", m)
		}
		role := m.get("role")
		if role.kind == absent {
			return refuse(at+".role", "missing_required_parameter", "Missing required parameter: '%s.role'.", at)
		}
		if !slices.Contains([]string{"system", "assistant", "user", "function", "tool", "developer"}, role.text) {
			return invalidValue(at+".role", role.text, "system", "assistant", "user", "function", "tool", "developer")
		}
		if role.text == "tool" {
			callID := m.get("tool_call_id").text
			if !open[callID] {
				return refuse("messages.["+strconv.Itoa(i)+"].role", "", "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.")
			}
			delete(open, callID)
			continue
		}
		for _, callID := range order {
			if open[callID] {
				return unanswered(i, callID)
			}
		}
		calls := m.get("tool_calls").kids
		content := m.get("content")
		if content.kind == absent && len(calls) == 0 && !m.has("function_call") && !m.has("refusal") && !m.has("audio") {
			return refuse(at+".content", "missing_required_parameter", "Missing required parameter: '%s.content'.", at)
		}
		if content.kind == null && role.text != "assistant" || content.kind == number || content.kind == boolean || content.kind == object {
			return invalidType(at+".content", "sa", content)
		}
		order = order[:0]
		for j := range calls {
			callID := calls[j].get("id").text
			open[callID] = true
			order = append(order, callID)
		}
	}
	for _, callID := range order {
		if open[callID] {
			return unanswered(len(messages), callID)
		}
	}
	return nil
}

func unanswered(i int, callID string) *fault {
	return refuse("messages.["+strconv.Itoa(i)+"].role", "", "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: %s", callID)
}

// checkTools checks names. inner is the member that holds a function's, "" if
// it stands in the tool itself.
func checkTools(tools *node, inner string) *fault {
	for i := range tools.kids {
		t, at := &tools.kids[i], "tools["+strconv.Itoa(i)+"]"
		if !t.has("type") {
			return refuse(at+".type", "missing_required_parameter", "Missing required parameter: '%s.type'.", at)
		}
		if t.get("type").text != "function" {
			continue
		}
		f := t
		if inner != "" {
			f, at = t.get(inner), at+"."+inner
		}
		name := f.get("name")
		if name.kind == absent {
			return refuse(at+".name", "missing_required_parameter", "Missing required parameter: '%s.name'.", at)
		}
		if !toolName.MatchString(name.text) {
			return refuse(at+".name", "invalid_value", "Invalid '%s.name': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.", at)
		}
		if p := f.get("parameters"); p.kind == object && p.has("type") && p.get("type").text != "object" {
			return refuse(at+".parameters", "invalid_function_parameters", "Invalid schema for function '%s': schema must be a JSON Schema of 'type: \"object\"', got 'type: \"%s\"'.", name.text, p.get("type").text)
		}
	}
	return nil
}

func checkFormat(f *node, at string) *fault {
	if f.kind == absent || f.kind == null {
		return nil
	}
	switch t := f.get("type").text; t {
	case "text", "json_object":
		return nil
	case "json_schema":
		holder, name := f, at
		if at == "response_format" {
			holder, name = f.get("json_schema"), at+".json_schema"
		}
		if !holder.has("name") {
			return refuse(name+".name", "missing_required_parameter", "Missing required parameter: '%s.name'.", name)
		}
		if holder.get("strict").isTrue() && holder.in("schema").get("type").text == "object" && holder.in("schema", "additionalProperties").raw != "false" {
			return refuse(at, "invalid_json_schema", "Invalid schema for response_format '%s': In context=(), 'additionalProperties' is required to be supplied and to be false.", holder.get("name").text)
		}
		return nil
	default:
		return invalidValue(at+".type", t, "json_object", "json_schema", "text")
	}
}

// askChat reads a chat request.
func askChat(c *call) *ask {
	b := &c.body
	a := &ask{
		prompt: weigh(b.get("messages")) + weigh(b.get("tools")) + 3,
		limit:  b.get("max_completion_tokens").int(b.get("max_tokens").int(0)),
		single: b.get("parallel_tool_calls").raw == "false",
	}
	messages := b.get("messages").kids
	for i := range messages {
		switch m := &messages[i]; m.get("role").text {
		case "user":
			a.last, a.result, a.answered = textOf(m.get("content")), "", false
		case "tool", "function":
			a.result, a.answered = join(a.result, textOf(m.get("content"))), true
		}
	}
	for _, t := range b.get("tools").kids {
		f, custom := t.get("function"), t.get("type").text == "custom"
		if custom {
			f = t.get("custom")
		}
		a.tools = append(a.tools, tool{f.get("name").text, f.get("parameters"), custom})
	}
	a.choose(b.get("tool_choice"))
	for _, s := range b.get("stop").items() {
		a.stops = append(a.stops, s.text)
	}
	switch format := b.get("response_format"); format.get("type").text {
	case "json_schema":
		a.schema = format.in("json_schema", "schema")
	case "json_object":
		a.jsonMode = true
	}
	effort := b.get("reasoning_effort").text
	a.think = c.b.ReasoningField != "" || effort != "" && effort != "none" && effort != "minimal"
	return a
}

// choose reads OpenAI's tool_choice, of either API.
func (a *ask) choose(n *node) {
	a.choice = "auto"
	switch {
	case n.text == "none":
		a.choice = "none"
	case n.text == "required":
		a.choice = "any"
	case n.kind == object && (n.get("type").text == "function" || n.get("type").text == "custom"):
		a.choice = "named"
		a.named = n.in(n.get("type").text, "name").text + n.get("name").text
	}
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "\n" + b
}

// serveChat answers a chat request.
func serveChat(c *call) *fault {
	a := askChat(c)
	n := max(c.body.get("n").int(1), 1)
	answers := make([]*answer, n)
	for i := range answers {
		answers[i] = c.respond(a, i)
	}
	w := &chatWriter{c: c, id: c.id("chatcmpl-", 0), answers: answers, logprobs: c.body.get("logprobs").isTrue()}
	if c.streams() {
		w.stream()
	} else {
		w.whole()
	}
	return nil
}

type chatWriter struct {
	c        *call
	id       string
	answers  []*answer
	logprobs bool
	prefix   raw // of a chunk, up to its choices
	piece    raw // the choice being written
	running  int // tokens so far, for usage on every chunk
	told     int // chunks with such a usage
}

func (w *chatWriter) finish(a *answer) string {
	if w.c.b.Stop != "" {
		return w.c.b.Stop
	}
	return [...]string{"stop", "length", "tool_calls", "stop", "stop"}[a.stop]
}

// usage is the usage of the reply, with out tokens of output.
func (w *chatWriter) usage(out int) raw {
	return w.c.usageOr(func() raw { return w.counted(out) })
}

func (w *chatWriter) counted(out int) raw {
	in, thought := w.answers[0].in, 0
	for _, a := range w.answers {
		thought += a.thought
	}
	return w.c.chatUsage(in, out, min(thought, out))
}

func (w *chatWriter) out() int {
	sum := 0
	for _, a := range w.answers {
		sum += a.out
	}
	return sum
}

func (c *call) chatUsage(in, out, thought int) raw {
	in = max(in, c.b.CachedTokens+c.b.CacheWrite)
	if c.b.NoDetails {
		return obj("prompt_tokens", in, "completion_tokens", out, "total_tokens", in+out)
	}
	return obj("prompt_tokens", in, "completion_tokens", out, "total_tokens", in+out,
		"prompt_tokens_details", obj("cached_tokens", c.b.CachedTokens, "cache_write_tokens", when(c.b.CacheWrite > 0, c.b.CacheWrite), "audio_tokens", 0),
		"completion_tokens_details", obj("reasoning_tokens", thought, "audio_tokens", 0, "accepted_prediction_tokens", 0, "rejected_prediction_tokens", 0))
}

// tier is the service tier that served the request.
func (c *call) tier() string {
	asked := c.body.get("service_tier").text
	switch {
	case c.b.ServiceTier != "":
		return c.b.ServiceTier
	case asked == "fast":
		return "priority"
	case asked == "" || asked == "auto":
		return "default"
	}
	return asked
}

func (w *chatWriter) whole() {
	c := w.c
	choices := make([]raw, len(w.answers))
	for i, a := range w.answers {
		choices[i] = obj("index", i, "message", w.message(a, i), "logprobs", w.probsOf(a.text...), "finish_reason", w.finish(a),
			"content_filter_results", when(c.azure, filterResults))
	}
	c.json(c.beside(obj("id", w.id, "object", "chat.completion", "created", c.created(), "model", c.served(),
		"choices", choices, "usage", c.wholeUsage(func() raw { return w.usage(w.out()) }), "service_tier", c.tier(), "system_fingerprint", "fp_mock",
		"prompt_filter_results", when(c.azure, promptFilter))))
}

// wholeUsage is the usage member of a whole reply.
func (c *call) wholeUsage(usage func() raw) any {
	switch c.b.Usage {
	case "none":
		return omit{}
	case "null":
		return nil
	}
	return c.usageOr(usage)
}

// served is the model that the reply names.
func (c *call) served() string { return cmp.Or(c.b.ServedModel, c.model) }

func (w *chatWriter) message(a *answer, choice int) raw {
	field := w.c.b.ReasoningField
	var calls []raw
	for i := range a.calls {
		calls = append(calls, w.toolCall(&a.calls[i], choice, i, a.calls[i].arguments()))
	}
	kv := []any{"role", "assistant", "content", orNull(a.calls == nil && a.refusal == nil, a.said())}
	if field != "" && len(a.thinking) > 0 {
		kv = append(kv, field, a.thoughts())
	}
	return obj(append(kv, "refusal", orNull(a.refusal != nil, strings.Join(a.refusal, "")), "annotations", raw("[]"),
		"tool_calls", when(calls != nil || w.c.b.ToolShape == "empty", calls))...)
}

func (w *chatWriter) toolCall(t *toolCall, choice, i int, args string) raw {
	id := w.c.id("call_", 100+choice*100+i)
	if t.custom {
		return obj("id", id, "type", "custom", "custom", obj("name", t.name, "input", args))
	}
	return obj("id", id, "type", "function", "function", obj("name", t.name, "arguments", args))
}

func (w *chatWriter) probs(pieces []string) raw {
	most := w.c.body.get("top_logprobs").int(0)
	items := make([]raw, len(pieces))
	for i, p := range pieces {
		var top []raw
		for j := range most {
			t := p
			if j > 0 {
				t = loremWords[j%len(loremWords)]
			}
			top = append(top, obj("token", t, "logprob", -0.5*float64(j)-0.125, "bytes", byteList(t)))
		}
		items[i] = obj("token", p, "logprob", -0.125, "bytes", byteList(p), "top_logprobs", list(top...))
	}
	return obj("content", list(items...), "refusal", nil)
}

func byteList(s string) raw {
	b := make([]int, len(s))
	for i := range b {
		b[i] = int(s[i])
	}
	return list(b...)
}
