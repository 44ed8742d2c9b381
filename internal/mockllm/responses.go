package mockllm

import (
	"strconv"
	"strings"
)

// checkResponses is what the API refuses beyond unknown members.
func checkResponses(c *call) *fault {
	b := &c.body
	if !b.has("input") && !b.has("prompt") && !b.has("previous_response_id") && !b.has("conversation") {
		return refuse("", "missing_required_parameter", "One of 'input', 'previous_response_id', 'prompt', or 'conversation' must be provided.")
	}
	if b.has("stream_options") && !b.get("stream").isTrue() {
		return refuse("stream_options", "", "The 'stream_options' parameter is only allowed when 'stream' is enabled.")
	}
	if b.has("stream_options") && c.b.NoStreamOptions {
		return c.vendor.unknown("stream_options")
	}
	if f := checkTools(b.get("tools"), ""); f != nil {
		return f
	}
	if f := c.ranges(); f != nil {
		return f
	}
	if f := checkFormat(b.in("text", "format"), "text.format"); f != nil {
		return f
	}
	return c.checkInput()
}

// checkInput holds the items against the rules of tool calls.
func (c *call) checkInput() *fault {
	known, open := map[string]bool{}, []string{}
	if previous := c.body.get("previous_response_id").text; previous != "" {
		kept := c.s.objects.get("responses", previous)
		if kept == nil {
			return refuse("previous_response_id", "previous_response_not_found", "Previous response with id '%s' not found.", previous)
		}
		for _, item := range kept.node().get("output").kids {
			if callID := item.get("call_id").text; callID != "" {
				known[callID] = true
				open = append(open, callID)
			}
		}
	}
	input := c.body.get("input").kids
	for i := range input {
		item, at := &input[i], "input["+strconv.Itoa(i)+"]"
		if item.kind != object {
			return invalidType(at, "o", item)
		}
		switch t := item.get("type").text; {
		case t == "" || t == "message":
			switch role := item.get("role").text; role {
			case "user", "assistant", "system", "developer":
			default:
				return invalidValue(at+".role", role, "assistant", "system", "developer", "user")
			}
			if !item.has("content") {
				return refuse(at+".content", "missing_required_parameter", "Missing required parameter: '%s.content'.", at)
			}
		case t == "function_call" || t == "custom_tool_call":
			known[item.get("call_id").text] = true
			open = append(open, item.get("call_id").text)
		case t == "function_call_output" || t == "custom_tool_call_output":
			callID := item.get("call_id").text
			if !known[callID] && !c.body.has("conversation") {
				return refuse("input", "", "No tool call found for function call output with call_id %s.", callID)
			}
			delete(known, callID)
		case t == "reasoning" && i+1 == len(input):
			return refuse("input", "", "Item '%s' of type 'reasoning' was provided without its required following item.", item.get("id").text)
		}
	}
	for _, callID := range open {
		if known[callID] {
			return refuse("input", "", "No tool output found for function call %s.", callID)
		}
	}
	return nil
}

// askResponses reads a Responses request.
func askResponses(c *call) *ask {
	b := &c.body
	input := b.get("input")
	a := &ask{
		prompt: weigh(input) + weigh(b.get("instructions")) + weigh(b.get("tools")) + 3,
		limit:  b.get("max_output_tokens").int(0),
		single: b.get("parallel_tool_calls").raw == "false",
		last:   input.text,
	}
	for i := range input.kids {
		switch item := &input.kids[i]; item.get("type").text {
		case "", "message":
			if item.get("role").text == "user" {
				a.last, a.result, a.answered = textOf(item.get("content")), "", false
			}
		case "function_call_output", "custom_tool_call_output":
			a.result, a.answered = join(a.result, textOf(item.get("output"))), true
		}
	}
	for _, t := range b.get("tools").kids {
		switch t.get("type").text {
		case "function":
			a.tools = append(a.tools, tool{t.get("name").text, t.get("parameters"), false})
		case "custom":
			a.tools = append(a.tools, tool{t.get("name").text, &none, true})
		}
	}
	a.choose(b.get("tool_choice"))
	switch format := b.in("text", "format"); format.get("type").text {
	case "json_schema":
		a.schema = format.get("schema")
	case "json_object":
		a.jsonMode = true
	}
	effort := b.in("reasoning", "effort").text
	a.think = effort != "none" && (effort != "" || b.in("reasoning").has("summary"))
	return a
}

// serveResponses answers a Responses request.
func serveResponses(c *call) *fault {
	a := askResponses(c)
	w := &responsesWriter{c: c, a: c.respond(a, 0), id: c.id("resp_", 0)}
	w.plan()
	whole := c.beside(w.response(w.status(), w.done()))
	s := &stored{kind: "responses", id: w.id, body: whole, content: []byte(c.body.get("input").raw)}
	if c.body.get("background").isTrue() && !c.streams() { // it has ended the next time that it is looked at
		s.body, s.later = w.response("queued", raw("[]")), whole
		c.s.objects.put(s)
		c.json(c.s.objects.show(s))
		return nil
	}
	if c.body.get("store").raw != "false" {
		c.s.objects.put(s)
	}
	if c.streams() {
		w.stream(whole)
		return nil
	}
	c.json(whole)
	return nil
}

type responsesWriter struct {
	c     *call
	a     *answer
	id    string
	items []outputItem
	next  int // sequence_number
}

// An outputItem is one of the reply's, as it begins and as it ends.
type outputItem struct {
	id          string
	begun, done raw
	stream      func(w *responsesWriter, at int)
}

func (w *responsesWriter) status() string {
	if w.a.stop == stopLength {
		return "incomplete"
	}
	return "completed"
}

// plan lays out the items of the output.
func (w *responsesWriter) plan() {
	c, a := w.c, w.a
	if len(a.thinking) > 0 {
		w.items = append(w.items, w.reasoning())
	}
	for i := range a.calls {
		w.items = append(w.items, w.toolCall(i))
	}
	if a.calls != nil {
		return
	}
	id := c.id("msg_", 2)
	message := func(status string, content raw) raw {
		return obj("id", id, "type", "message", "status", status, "content", content, "role", "assistant")
	}
	w.items = append(w.items, outputItem{
		id: id, begun: message("in_progress", raw("[]")), done: message(w.status(), list(w.part(a.text, a.refusal))),
		stream: (*responsesWriter).streamText,
	})
}

// part is the message's one part, with the pieces that it has so far.
func (w *responsesWriter) part(text, refusal []string) raw {
	if w.a.refusal != nil {
		return obj("type", "refusal", "refusal", strings.Join(refusal, ""))
	}
	return outputText(strings.Join(text, ""))
}

func outputText(s string) raw {
	return obj("type", "output_text", "annotations", raw("[]"), "logprobs", raw("[]"), "text", s)
}

func (w *responsesWriter) reasoning() outputItem {
	id, body := w.c.id("rs_", 3), &w.c.body
	var summary, sealed any = raw("[]"), omit{}
	if body.in("reasoning").has("summary") {
		summary = list(obj("type", "summary_text", "text", w.a.thoughts()))
	}
	for _, include := range body.get("include").kids {
		if include.text == "reasoning.encrypted_content" {
			sealed = signature(w.a.thoughts())
		}
	}
	return outputItem{
		id: id, begun: obj("id", id, "type", "reasoning", "summary", raw("[]"), "encrypted_content", sealed),
		done:   obj("id", id, "type", "reasoning", "summary", summary, "encrypted_content", sealed),
		stream: (*responsesWriter).streamSummary,
	}
}

func (w *responsesWriter) toolCall(i int) outputItem {
	t := &w.a.calls[i]
	id, callID := w.c.id("fc_", 10+i), w.c.id("call_", 100+i)
	item := func(status, args string) raw {
		if t.custom {
			return obj("id", id, "type", "custom_tool_call", "status", status, "call_id", callID, "name", t.name, "input", args)
		}
		return obj("id", id, "type", "function_call", "status", status, "arguments", args, "call_id", callID, "name", t.name)
	}
	return outputItem{
		id: id, begun: item("in_progress", ""), done: item(w.status(), t.arguments()),
		stream: func(w *responsesWriter, at int) { w.streamArguments(t, id, at) },
	}
}

func (w *responsesWriter) done() raw {
	items := make([]raw, len(w.items))
	for i := range w.items {
		items[i] = w.items[i].done
	}
	return list(items...)
}

// echoed returns a member of the request, or what stands for it in the reply.
func (w *responsesWriter) echoed(name, otherwise string) raw {
	if n := w.c.body.get(name); n.kind != absent {
		return raw(n.raw)
	}
	return raw(otherwise)
}

// response is the response object with an output.
func (w *responsesWriter) response(status string, output raw) raw {
	c := w.c
	over := status == "completed" || status == "incomplete"
	var usage any
	if over {
		usage = c.wholeUsage(func() raw { return c.responsesUsage(w.a.in, w.a.out, w.a.thought) })
	}
	effort := c.body.in("reasoning", "effort")
	summary := c.body.in("reasoning", "summary")
	return obj("id", w.id, "object", "response", "created_at", c.created(), "status", status,
		"background", w.echoed("background", "false"), "completed_at", when(status == "completed", c.created()+1), "error", nil,
		"incomplete_details", orNull(status == "incomplete", obj("reason", "max_output_tokens")),
		"instructions", w.echoed("instructions", "null"), "max_output_tokens", w.echoed("max_output_tokens", "null"),
		"max_tool_calls", w.echoed("max_tool_calls", "null"), "model", c.served(), "output", output,
		"parallel_tool_calls", w.echoed("parallel_tool_calls", "true"),
		"previous_response_id", w.echoed("previous_response_id", "null"),
		"reasoning", obj("effort", effort, "summary", summary), "safety_identifier", w.echoed("safety_identifier", "null"),
		"service_tier", c.tier(), "store", w.echoed("store", "true"), "temperature", w.echoed("temperature", "1.0"),
		"text", w.echoed("text", `{"format":{"type":"text"},"verbosity":"medium"}`),
		"tool_choice", w.echoed("tool_choice", `"auto"`), "tools", w.echoed("tools", "[]"),
		"top_logprobs", w.echoed("top_logprobs", "0"), "top_p", w.echoed("top_p", "1.0"),
		"truncation", w.echoed("truncation", `"disabled"`), "usage", usage,
		"user", w.echoed("user", "null"), "metadata", w.echoed("metadata", "{}"))
}

func (c *call) responsesUsage(in, out, thought int) raw {
	in = max(in, c.b.CachedTokens+c.b.CacheWrite)
	if c.b.NoDetails {
		return obj("input_tokens", in, "output_tokens", out, "total_tokens", in+out)
	}
	return obj("input_tokens", in,
		"input_tokens_details", obj("cached_tokens", c.b.CachedTokens, "cache_write_tokens", c.b.CacheWrite),
		"output_tokens", out, "output_tokens_details", obj("reasoning_tokens", thought), "total_tokens", in+out)
}

// event sends an event; it numbers them, and the event line equals the type.
func (w *responsesWriter) event(kind string, tokens int, kv ...any) {
	kv = append([]any{"type", kind, "sequence_number", w.next}, kv...)
	w.next++
	w.c.o.event(kind, obj(kv...), tokens)
}

// stream sends the response as events.
func (w *responsesWriter) stream(whole raw) {
	started := w.response("in_progress", raw("[]"))
	w.event("response.created", 0, "response", started)
	w.event("response.in_progress", 0, "response", started)
	for i := range w.items {
		item := &w.items[i]
		w.event("response.output_item.added", 0, "output_index", i, "item", item.begun)
		item.stream(w, i)
		w.event("response.output_item.done", 0, "output_index", i, "item", item.done)
	}
	w.event("response."+w.status(), 0, "response", whole)
	if w.c.b.TwoDone {
		w.c.o.event("", []byte("[DONE]"), 0)
	}
	w.c.o.finish()
}

func (w *responsesWriter) streamText(at int) {
	id := w.items[at].id
	place := []any{"item_id", id, "output_index", at, "content_index", 0}
	with := func(kv ...any) []any { return append(place[:len(place):len(place)], kv...) }
	w.event("response.content_part.added", 0, with("part", w.part(nil, nil))...)
	for _, p := range w.a.refusal {
		w.event("response.refusal.delta", 1, with("delta", p)...)
	}
	if w.a.refusal != nil {
		w.event("response.refusal.done", 0, with("refusal", strings.Join(w.a.refusal, ""))...)
		w.event("response.content_part.done", 0, with("part", w.part(nil, w.a.refusal))...)
		return
	}
	for _, p := range w.a.text {
		w.event("response.output_text.delta", 1, with("delta", p, "logprobs", raw("[]"))...)
	}
	said := w.a.said()
	w.event("response.output_text.done", 0, with("text", said, "logprobs", raw("[]"))...)
	w.event("response.content_part.done", 0, with("part", outputText(said))...)
}

func (w *responsesWriter) streamSummary(at int) {
	if !w.c.body.in("reasoning").has("summary") {
		return
	}
	place := []any{"item_id", w.items[at].id, "output_index", at, "summary_index", 0}
	with := func(kv ...any) []any { return append(place[:len(place):len(place)], kv...) }
	part := func(s string) raw { return obj("type", "summary_text", "text", s) }
	w.event("response.reasoning_summary_part.added", 0, with("part", part(""))...)
	for _, p := range w.a.thinking {
		w.event("response.reasoning_summary_text.delta", 1, with("delta", p)...)
	}
	w.event("response.reasoning_summary_text.done", 0, with("text", w.a.thoughts())...)
	w.event("response.reasoning_summary_part.done", 0, with("part", part(w.a.thoughts()))...)
}

func (w *responsesWriter) streamArguments(t *toolCall, id string, at int) {
	kind, member := "response.function_call_arguments", "arguments"
	if t.custom {
		kind, member = "response.custom_tool_call_input", "input"
	}
	for _, p := range t.args {
		w.event(kind+".delta", 1, "item_id", id, "output_index", at, "delta", p)
	}
	w.event(kind+".done", 0, "item_id", id, "output_index", at, "name", when(!t.custom, t.name), member, strings.Join(t.args, ""))
}
