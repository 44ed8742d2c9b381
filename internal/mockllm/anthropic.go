package mockllm

import "strconv"

// askMessages reads a Messages request.
func askMessages(c *call) *ask {
	b := &c.body
	a := &ask{
		prompt: weigh(b.get("messages")) + weigh(b.get("system")) + weigh(b.get("tools")) + 3,
		limit:  b.get("max_tokens").int(0),
		think:  thinks(b),
		choice: "auto",
	}
	messages := b.get("messages").kids
	for i := range messages {
		m := &messages[i]
		if m.get("role").text != "user" {
			continue
		}
		a.result, a.answered = "", false
		content := m.get("content")
		if content.kind == text {
			a.last = content.text
		}
		for j := range content.kids {
			switch block := &content.kids[j]; block.get("type").text {
			case "tool_result":
				a.result, a.answered = join(a.result, textOf(block.get("content"))), true
			case "text":
				a.last = block.get("text").text
			}
		}
	}
	for _, t := range b.get("tools").kids {
		if kind := t.get("type").text; kind == "" || kind == "custom" {
			a.tools = append(a.tools, tool{t.get("name").text, t.get("input_schema"), false})
		}
	}
	choice := b.get("tool_choice")
	switch choice.get("type").text {
	case "any", "none":
		a.choice = choice.get("type").text
	case "tool":
		a.choice, a.named = "named", choice.get("name").text
	}
	a.single = choice.get("disable_parallel_tool_use").isTrue()
	for _, s := range b.get("stop_sequences").kids {
		a.stops = append(a.stops, s.text)
	}
	if schema := b.in("output_config", "format", "schema"); schema.kind == object {
		a.schema = schema
	} else if schema := b.in("output_format", "schema"); schema.kind == object {
		a.schema = schema
	}
	return a
}

// cacheable is how many tokens stand before the last block that is marked to
// be cached, and for how long the mark says.
func cacheable(b *node) (n int, ttl string) {
	sum := 0
	see := func(blocks []node) {
		for i := range blocks {
			sum += weigh(&blocks[i])
			if mark := blocks[i].get("cache_control"); mark.kind == object {
				n, ttl = sum, mark.get("ttl").text
			}
		}
	}
	see(b.get("tools").kids)
	see(b.get("system").items())
	for _, m := range b.get("messages").kids {
		see(m.get("content").items())
	}
	if mark := b.get("cache_control"); mark.kind == object {
		n, ttl = sum, mark.get("ttl").text
	}
	return n, ttl
}

type messagesWriter struct {
	c     *call
	a     *answer
	piece raw // the delta being written
}

func serveMessages(c *call) *fault {
	w := &messagesWriter{c: c, a: c.respond(askMessages(c), 0)}
	if c.streams() {
		w.stream()
		return nil
	}
	c.json(c.beside(w.message(w.blocks(), w.stop(), w.a.out)))
	return nil
}

func serveCountTokens(c *call) *fault {
	n := askMessages(c).prompt
	if c.b.InputTokens > 0 {
		n = c.b.InputTokens
	}
	c.json(obj("input_tokens", n))
	return nil
}

func (w *messagesWriter) stop() string {
	if w.c.b.Stop != "" {
		return w.c.b.Stop
	}
	return [...]string{"end_turn", "max_tokens", "tool_use", "stop_sequence", "refusal"}[w.a.stop]
}

// usage is disjoint: the input does not hold what was cached. At the end of a
// stream it lacks what has been said at the beginning for good: how long the
// cache holds what was written, and the tier.
func (w *messagesWriter) usage(out int, atEnd bool) any {
	switch w.c.b.Usage {
	case "none":
		return omit{}
	case "null":
		return nil
	}
	if r := w.c.replayed(-1); r != nil {
		return r
	}
	b := &w.c.b
	written, ttl := cacheable(&w.c.body)
	if b.CacheWrite > 0 || b.CachedTokens > 0 {
		written = b.CacheWrite
	}
	short, long := written, 0
	if ttl == "1h" {
		short, long = 0, written
	}
	in := w.a.in
	if b.InputTokens == 0 {
		in = max(in-written-b.CachedTokens, 1)
	}
	if w.c.b.NoDetails {
		return obj("input_tokens", in, "output_tokens", out)
	}
	var details any = omit{}
	if w.a.thought > 0 && out > 1 {
		details = obj("thinking_tokens", w.a.thought)
	}
	return obj("input_tokens", in, "cache_creation_input_tokens", written, "cache_read_input_tokens", b.CachedTokens,
		"cache_creation", when(!atEnd, obj("ephemeral_5m_input_tokens", short, "ephemeral_1h_input_tokens", long)),
		"output_tokens", out, "output_tokens_details", details, "service_tier", when(!atEnd, w.tier()))
}

func (w *messagesWriter) tier() string {
	if w.c.b.ServiceTier != "" {
		return w.c.b.ServiceTier
	}
	return "standard"
}

func (w *messagesWriter) message(content raw, stop any, out int) raw {
	var sequence any
	if stop != nil && w.a.sequence != "" {
		sequence = w.a.sequence
	}
	usage := w.usage(out, false)
	if stop == nil && w.c.b.UsageJSON != nil {
		usage = w.c.begunUsage()
	}
	return obj("id", w.c.id("msg_01", 0), "type", "message", "role", "assistant", "model", w.c.served(),
		"content", content, "stop_reason", stop, "stop_sequence", sequence, "usage", usage)
}

func (w *messagesWriter) toolUse(i int, input raw) raw {
	return obj("type", "tool_use", "id", w.c.id("toolu_01", 100+i), "name", w.a.calls[i].name, "input", input)
}

func (w *messagesWriter) blocks() raw {
	var blocks []raw
	if t := w.a.thoughts(); t != "" {
		blocks = append(blocks, obj("type", "thinking", "thinking", t, "signature", signature(t)))
	}
	if w.a.text != nil {
		blocks = append(blocks, obj("type", "text", "text", w.a.said()))
	}
	for i := range w.a.calls {
		args := w.a.calls[i].arguments()
		if _, err := parse(args); err != nil {
			args = "{}" // the vendor never sends half an input
		}
		blocks = append(blocks, w.toolUse(i, raw(args)))
	}
	return list(blocks...)
}

func (w *messagesWriter) event(kind string, tokens int, kv ...any) {
	w.c.o.event(kind, obj(append([]any{"type", kind}, kv...)...), tokens)
}

// text sends a piece of text; most events are no more than that.
func (w *messagesWriter) text(at int, p string) {
	b := append(w.piece[:0], `{"type":"content_block_delta","index":`...)
	b = strconv.AppendInt(b, int64(at), 10)
	b = append(b, `,"delta":{"type":"text_delta","text":`...)
	b = append(appendString(b, p), "}}"...)
	w.c.o.event("content_block_delta", b, 1)
	w.piece = b
}

// stream sends the message as events.
func (w *messagesWriter) stream() {
	w.event("message_start", 0, "message", w.message(raw("[]"), nil, 1))
	at := 0
	block := func(begun raw, deltas func(send func(tokens int, kv ...any))) {
		w.event("content_block_start", 0, "index", at, "content_block", begun)
		if at == 0 {
			w.event("ping", 0)
		}
		deltas(func(tokens int, kv ...any) {
			w.event("content_block_delta", tokens, "index", at, "delta", obj(kv...))
		})
		w.event("content_block_stop", 0, "index", at)
		at++
	}
	if len(w.a.thinking) > 0 {
		block(obj("type", "thinking", "thinking", "", "signature", ""), func(send func(int, ...any)) {
			for _, p := range w.a.thinking {
				send(1, "type", "thinking_delta", "thinking", p)
			}
			send(0, "type", "signature_delta", "signature", signature(w.a.thoughts()))
		})
	}
	if w.a.text != nil {
		block(obj("type", "text", "text", ""), func(func(int, ...any)) {
			for _, p := range w.a.text {
				w.text(at, p)
			}
		})
	}
	for i := range w.a.calls {
		block(w.toolUse(i, raw("{}")), func(send func(int, ...any)) {
			send(0, "type", "input_json_delta", "partial_json", "")
			for _, p := range w.a.calls[i].args {
				send(1, "type", "input_json_delta", "partial_json", p)
			}
		})
	}
	var sequence any
	if w.a.sequence != "" {
		sequence = w.a.sequence
	}
	end := obj("type", "message_delta", "delta", obj("stop_reason", w.stop(), "stop_sequence", sequence), "usage", w.usage(w.a.out, true))
	w.c.o.event("message_delta", w.c.beside(end), 0)
	if !w.c.b.NoDone {
		w.event("message_stop", 0)
	}
	if w.c.b.TwoDone {
		w.event("message_stop", 0)
	}
	w.c.o.finish()
}
