package mockllm

import (
	"strconv"
	"strings"
)

// stream sends the answer as chunks.
func (w *chatWriter) stream() {
	c := w.c
	if c.azure {
		c.o.event("", obj("choices", raw("[]"), "created", 0, "id", "", "model", "", "object", "", "prompt_filter_results", promptFilter), 0)
	}
	w.prefix = obj("id", w.id, "object", "chat.completion.chunk", "created", c.created(), "model", c.served(),
		"service_tier", c.tier(), "system_fingerprint", "fp_mock")
	w.prefix = append(w.prefix[:len(w.prefix)-1], `,"choices":[`...)
	for i, a := range w.answers {
		w.choice(i, a)
	}
	if w.asked() {
		w.chunk(nil, w.usage(w.out()), 0)
	}
	c.done()
}

// done sends the end mark of a stream.
func (c *call) done() {
	if !c.b.NoDone {
		c.o.event("", []byte("[DONE]"), 0)
	}
	if c.b.TwoDone {
		c.o.event("", []byte("[DONE]"), 0)
	}
	c.o.finish()
}

// asked reports whether a chunk with the usage ends the stream.
func (w *chatWriter) asked() bool {
	switch w.c.b.Usage {
	case "":
		return w.c.body.in("stream_options", "include_usage").isTrue()
	case "always":
		return true
	}
	return false
}

// chunk sends one chunk. choice is nil for none.
func (w *chatWriter) chunk(choice, usage raw, tokens int) {
	b := append(append(w.prefix, choice...), ']')
	w.running += tokens
	last := usage != nil
	switch {
	case usage != nil:
		b = append(append(b, `,"usage":`...), usage...)
	case w.c.b.Usage == "every":
		b = append(append(b, `,"usage":`...), w.runningUsage()...)
	case w.asked() || w.c.b.Usage == "null":
		b = append(b, `,"usage":null`...)
	}
	b = append(b, '}')
	w.prefix = b[:len(w.prefix)]
	if last {
		b = w.c.beside(b)
	}
	w.c.o.event("", b, tokens)
}

// runningUsage is the usage of a chunk where every chunk has one.
func (w *chatWriter) runningUsage() raw {
	w.told++
	if r := w.c.replayed(w.told - 1); r != nil {
		return r
	}
	return w.counted(w.running)
}

func (w *chatWriter) delta(i int, delta, probs, finish any, usage raw, tokens int) {
	choice := obj("index", i, "delta", delta, "logprobs", probs, "finish_reason", finish,
		"content_filter_results", when(w.c.azure, orFilter(finish)))
	w.chunk(choice, usage, tokens)
}

func (w *chatWriter) choice(i int, a *answer) {
	var content any = ""
	if a.calls != nil || a.refusal != nil {
		content = nil
	}
	w.delta(i, obj("role", "assistant", "content", content, "refusal", nil), nil, nil, nil, 0)
	if field := w.c.b.ReasoningField; field != "" {
		for _, p := range a.thinking {
			w.delta(i, obj(field, p), nil, nil, nil, 1)
		}
	}
	if w.c.azure && w.c.b.AsyncFilter {
		w.filter(i)
	}
	for _, p := range a.text {
		w.text(i, p)
	}
	for _, p := range a.refusal {
		w.delta(i, obj("refusal", p), nil, nil, nil, 1)
	}
	w.calls(i, a)
	var usage raw
	if w.c.b.Usage == "finish" {
		usage = w.usage(w.out())
	}
	w.delta(i, raw("{}"), nil, w.finish(a), usage, 0)
}

// text sends a piece of text; most chunks are no more than that.
func (w *chatWriter) text(i int, p string) {
	if w.logprobs || w.c.azure || w.c.b.ToolShape == "empty" {
		w.delta(i, obj("content", p, "tool_calls", when(w.c.b.ToolShape == "empty", raw("[]"))), w.probsOf(p), nil, nil, 1)
		return
	}
	b := append(w.piece[:0], `{"index":`...)
	b = strconv.AppendInt(b, int64(i), 10)
	b = append(b, `,"delta":{"content":`...)
	b = append(appendString(b, p), `},"logprobs":null,"finish_reason":null}`...)
	w.chunk(b, nil, 1)
	w.piece = b
}

// filter is Azure's chunk of a filter that runs beside the stream.
func (w *chatWriter) filter(i int) {
	w.chunk(obj("index", i, "finish_reason", nil, "content_filter_results", filterResults,
		"content_filter_offsets", obj("check_offset", 44, "start_offset", 44, "end_offset", 198)), nil, 0)
}

func (w *chatWriter) calls(i int, a *answer) {
	for j := range a.calls {
		t := &a.calls[j]
		at := j
		if w.c.b.ToolShape == "zero" {
			at = 0
		}
		head := w.toolCall(t, i, j, "")
		w.delta(i, obj("tool_calls", list(append(raw(`{"index":`), append(appendValue(nil, at), append(raw{','}, head[1:]...)...)...))), nil, nil, nil, 0)
		for _, p := range t.args {
			inner := obj("index", at, "function", obj("arguments", p))
			if t.custom {
				inner = obj("index", at, "custom", obj("input", p))
			}
			w.delta(i, obj("tool_calls", list(inner)), nil, nil, nil, 1)
		}
	}
}

func (w *chatWriter) probsOf(pieces ...string) any {
	if !w.logprobs {
		return nil
	}
	return w.probs(pieces)
}

// Azure's additions.

var filterResults = func() raw {
	safe := obj("filtered", false, "severity", "safe")
	return obj("hate", safe, "self_harm", safe, "sexual", safe, "violence", safe)
}()

var promptFilter = list(obj("prompt_index", 0, "content_filter_results", filterResults))

func orFilter(finish any) raw {
	if finish != nil {
		return raw("{}")
	}
	return filterResults
}

// failStream tells an error inside a stream.
func (c *call) failStream() {
	status := c.b.Status
	if status == 0 {
		status = 500
		if c.vendor == anthropic {
			status = 529
		}
	}
	f := c.vendor.usual(c, status)
	if e := c.b.Error; e != nil && e.Message != "" {
		f.msg = e.Message
	}
	switch {
	case c.vendor == anthropic:
		c.o.event("error", c.vendor.write(c, f), 0)
	case c.vendor == openAI && strings.HasPrefix(c.rest, "responses"):
		c.o.event("error", obj("type", "error", "code", "server_error", "message", f.msg, "param", nil, "sequence_number", c.o.events), 0)
	default:
		c.o.event("", c.vendor.write(c, f), 0)
	}
}
