package mockllm

import (
	"errors"
	"fmt"
	"strings"

	"weir/proxy/wire"
)

// An Event is one server-sent event.
type Event struct {
	Name string // of its event line; "" = none
	Data string // its data lines, joined by line feeds
	ID   string
}

// Events cuts a stream into its events by the HTML standard. What is left
// without its blank line is an error.
func Events(stream []byte) ([]Event, error) {
	var events []Event
	var e Event
	var data []string
	text := strings.TrimPrefix(string(stream), "\xef\xbb\xbf")
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	lines := strings.Split(text, "\n")
	for _, line := range lines[:len(lines)-1] {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			if data != nil {
				e.Data = strings.Join(data, "\n")
				events = append(events, e)
			}
			e, data = Event{}, nil
		case name == "data":
			data = append(data, value)
		case name == "event":
			e.Name = value
		case name == "id":
			e.ID = value
		}
	}
	if last := lines[len(lines)-1]; last != "" || data != nil {
		return events, errors.New("the stream ends within an event")
	}
	return events, nil
}

// Told is what a stream has said.
type Told struct {
	Text      string // of choice 0
	Reasoning string
	Calls     []ToldCall
	Stop      string // the stop reason as written; "" = none has come
	Usage     string // the last usage, as written; "" = none has come
	Failure   string // the error told in the stream, as written; "" = none
}

// A ToldCall is a call of a tool.
type ToldCall struct {
	ID, Name, Arguments string
	free                bool // the arguments are the free text of a custom tool
}

// ReadStream reads a whole stream of an API and holds it against the API's
// grammar. A stream that ends by an error event is well-formed; one that just
// ends is not.
func ReadStream(api wire.API, stream []byte) (Told, error) {
	if api == wire.StreamGenerate || api == wire.Generate {
		stream = elements(stream)
	}
	events, err := Events(stream)
	if err != nil {
		return Told{}, err
	}
	var g grammar
	switch api {
	case wire.Chat:
		g = &chatGrammar{object: "chat.completion.chunk"}
	case wire.Completions:
		g = &chatGrammar{object: "text_completion"}
	case wire.Responses:
		g = &responsesGrammar{}
	case wire.Messages:
		g = &messagesGrammar{}
	case wire.Generate, wire.StreamGenerate:
		g = &generateGrammar{}
	default:
		return Told{}, fmt.Errorf("no grammar for %s", api)
	}
	for i, e := range events {
		if err := readEvent(g, e); err != nil {
			return *g.told(), fmt.Errorf("event %d (%s): %w", i, e.Data[:min(len(e.Data), 200)], err)
		}
	}
	if err := g.end(); err != nil {
		return *g.told(), fmt.Errorf("end of the stream after %d events: %w", len(events), err)
	}
	return *g.told(), nil
}

// elements turns Gemini's array form into events.
func elements(stream []byte) []byte {
	n, err := parse(string(stream))
	if err != nil || n.kind != array {
		return stream
	}
	var b []byte
	for i := range n.kids {
		data := strings.NewReplacer("\r", "", "\n", "").Replace(n.kids[i].raw)
		b = fmt.Appendf(b, "data: %s\n\n", data)
	}
	return b
}

// A grammar reads the events of one stream.
type grammar interface {
	event(name string, n *node) error
	mark() error // [DONE]
	end() error
	told() *Told
}

func readEvent(g grammar, e Event) error {
	if g.told().Failure != "" {
		return errors.New("an event follows the error")
	}
	if e.Data == "[DONE]" {
		return g.mark()
	}
	n, err := parse(e.Data)
	if err != nil {
		return fmt.Errorf("the data is no JSON: %w", err)
	}
	if n.kind != object {
		return errors.New("the data is no object")
	}
	return g.event(e.Name, &n)
}

var errMark = errors.New("[DONE] does not belong here")

// call finds a call by its key, or begins it.
func (t *Told) call(calls map[int]int, key int) (c *ToldCall, begun bool) {
	i, ok := calls[key]
	if !ok {
		i = len(t.Calls)
		calls[key] = i
		t.Calls = append(t.Calls, ToldCall{})
	}
	return &t.Calls[i], !ok
}

func (t *Told) wholeArguments() error {
	for _, c := range t.Calls {
		if _, err := parse(c.Arguments); err != nil && !c.free && t.Stop != "length" {
			return fmt.Errorf("the arguments of %s are no JSON: %q", c.Name, c.Arguments)
		}
	}
	return nil
}

// Chat and legacy completions.

type chatGrammar struct {
	Told
	object   string
	head     string // id, created and model of the first chunk
	began    map[int]bool
	finished map[int]bool
	calls    map[int]int
	done     bool
}

func (g *chatGrammar) told() *Told { return &g.Told }

func (g *chatGrammar) mark() error {
	if g.done {
		return errMark
	}
	g.done = true
	return nil
}

func (g *chatGrammar) end() error {
	switch {
	case g.Failure != "":
		return nil
	case !g.done:
		return errors.New("no [DONE]")
	case len(g.began) == 0 || len(g.began) != len(g.finished):
		return errors.New("a choice has no finish_reason")
	}
	return g.wholeArguments()
}

func (g *chatGrammar) event(name string, n *node) error {
	if g.began == nil {
		g.began, g.finished, g.calls = map[int]bool{}, map[int]bool{}, map[int]int{}
	}
	switch {
	case name != "":
		return errors.New("an event line")
	case g.done:
		return errors.New("a chunk follows [DONE]")
	case n.has("error"):
		g.Failure = n.get("error").raw
		return nil
	case n.get("choices").kind != array:
		return errors.New("no list of choices")
	}
	if u := n.get("usage"); u.kind == object {
		g.Usage = u.raw
	}
	if n.has("prompt_filter_results") && len(n.get("choices").kids) == 0 {
		return nil // Azure's first chunk has nothing else
	}
	head := n.get("id").raw + n.get("created").raw + n.get("model").raw
	if g.head == "" {
		g.head = head
	}
	switch {
	case head != g.head:
		return errors.New("id, created or model differ from the first chunk's")
	case n.get("object").text != g.object:
		return fmt.Errorf("object is not %s", g.object)
	}
	for i := range n.get("choices").kids {
		if err := g.choice(&n.get("choices").kids[i]); err != nil {
			return err
		}
	}
	return nil
}

func (g *chatGrammar) choice(c *node) error {
	i := c.get("index").int(-1)
	delta, finish := c.get("delta"), c.get("finish_reason")
	switch {
	case i < 0:
		return errors.New("a choice without index")
	case finish.kind == absent && delta.kind != absent:
		return errors.New("a choice without finish_reason")
	case g.finished[i]:
		return errors.New("a choice goes on after its finish_reason")
	case g.object == "text_completion":
		if i == 0 {
			g.Text += c.get("text").text
		}
	case !g.began[i] && delta.get("role").text != "assistant":
		return errors.New("the first delta of a choice has no role")
	}
	g.began[i] = true
	if finish.kind == text {
		g.finished[i] = true
	}
	if i != 0 {
		return nil
	}
	if finish.kind == text {
		g.Stop = finish.text
	}
	g.Text += delta.get("content").text
	g.Reasoning += delta.either("reasoning_content", "reasoning").text
	return g.toolCalls(delta.get("tool_calls"))
}

func (g *chatGrammar) toolCalls(n *node) error {
	for i := range n.kids {
		t := &n.kids[i]
		at := t.get("index").int(-1)
		if at < 0 {
			return errors.New("a tool call without index")
		}
		call, begun := g.call(g.calls, at)
		switch {
		case begun && (t.get("id").text == "" || t.get("type").text == "" || t.in("function", "name").text+t.in("custom", "name").text == ""):
			return errors.New("the first piece of a tool call lacks id, type or name")
		case !begun && t.get("id").text != "":
			return errors.New("a later piece of a tool call has an id")
		case begun && at != len(g.calls)-1:
			return errors.New("the indexes of tool calls have a gap")
		case begun:
			call.ID, call.Name = t.get("id").text, t.in("function", "name").text+t.in("custom", "name").text
		}
		call.free = call.free || t.has("custom")
		call.Arguments += t.in("function", "arguments").text + t.in("custom", "input").text
	}
	return nil
}

// Messages.

type messagesGrammar struct {
	Told
	began, ended bool
	open         string // the kind of the block that is open
	next         int
	input        string
}

var deltasOf = map[string]string{
	"text": "text_delta citations_delta", "thinking": "thinking_delta signature_delta", "tool_use": "input_json_delta",
	"server_tool_use": "input_json_delta", "mcp_tool_use": "input_json_delta", "compaction": "compaction_delta",
}

func (g *messagesGrammar) told() *Told { return &g.Told }
func (g *messagesGrammar) mark() error { return errMark }

func (g *messagesGrammar) end() error {
	if !g.ended && g.Failure == "" {
		return errors.New("no message_stop")
	}
	return nil
}

func (g *messagesGrammar) event(name string, n *node) error {
	kind := n.get("type").text
	switch {
	case name != kind:
		return fmt.Errorf("the event line says %q, the type is %q", name, kind)
	case kind == "ping":
		return nil
	case g.ended:
		return errors.New("an event follows message_stop")
	case kind == "error":
		g.Failure = n.get("error").raw
		return nil
	case !g.began && kind != "message_start":
		return errors.New("message_start is not the first")
	}
	if u := n.get("usage"); u.kind == object {
		g.Usage = u.raw
	}
	switch kind {
	case "message_start":
		return g.start(n.get("message"))
	case "content_block_start", "content_block_delta", "content_block_stop":
		return g.block(kind, n)
	case "message_delta":
		g.Stop = n.in("delta", "stop_reason").text
		if g.open != "" || g.Stop == "" {
			return errors.New("message_delta within a block, or without stop_reason")
		}
	case "message_stop":
		if g.Stop == "" {
			return errors.New("message_stop without message_delta")
		}
		g.ended = true
	}
	return nil
}

func (g *messagesGrammar) start(m *node) error {
	switch {
	case g.began:
		return errors.New("a second message_start")
	case m.get("type").text != "message", m.get("role").text != "assistant", m.get("id").text == "", m.get("content").kind != array:
		return errors.New("message_start holds no message")
	}
	g.began = true
	if u := m.get("usage"); u.kind == object {
		g.Usage = u.raw
	}
	return nil
}

func (g *messagesGrammar) block(kind string, n *node) error {
	at := n.get("index").int(-1)
	if kind == "content_block_start" {
		block := n.get("content_block")
		if g.open != "" || at != g.next || g.Stop != "" {
			return errors.New("a block begins within another, out of order, or after the end")
		}
		g.open = block.get("type").text
		if g.open == "tool_use" {
			g.Calls = append(g.Calls, ToldCall{ID: block.get("id").text, Name: block.get("name").text})
			if g.Calls[len(g.Calls)-1].ID == "" {
				return errors.New("a tool_use without id")
			}
		}
		return nil
	}
	if g.open == "" || at != g.next {
		return errors.New("no such block is open")
	}
	if kind == "content_block_stop" {
		g.next++
		return g.close()
	}
	delta := n.get("delta")
	if allowed, ok := deltasOf[g.open]; ok && !strings.Contains(allowed, delta.get("type").text) {
		return fmt.Errorf("a %s in a block of %s", delta.get("type").text, g.open)
	}
	g.Text += delta.get("text").text
	g.Reasoning += delta.get("thinking").text
	g.input += delta.get("partial_json").text
	return nil
}

func (g *messagesGrammar) close() error {
	if g.open == "tool_use" {
		call := &g.Calls[len(g.Calls)-1]
		call.Arguments = g.input
		if g.input != "" {
			if n, err := parse(g.input); err != nil || n.kind != object {
				return fmt.Errorf("the input of %s is no object: %q", call.Name, g.input)
			}
		}
	}
	g.open, g.input = "", ""
	return nil
}

// Gemini.

type generateGrammar struct {
	Told
	last string
}

func (g *generateGrammar) told() *Told { return &g.Told }
func (g *generateGrammar) mark() error { return errMark }

func (g *generateGrammar) end() error {
	if g.Stop == "" && g.Failure == "" {
		return errors.New("no finishReason")
	}
	return nil
}

func (g *generateGrammar) event(name string, n *node) error {
	switch {
	case name != "":
		return errors.New("an event line")
	case n.has("error"):
		g.Failure = n.get("error").raw
		return nil
	case n.get("candidates").kind != array && !n.has("promptFeedback") && !n.has("usageMetadata"):
		return errors.New("neither candidates nor promptFeedback")
	case g.last != "" && n.get("responseId").text != g.last:
		return errors.New("responseId differs from the first chunk's")
	}
	g.last = n.get("responseId").text
	if u := n.get("usageMetadata"); u.kind == object {
		g.Usage = u.raw
	}
	if blocked := n.in("promptFeedback", "blockReason"); blocked.kind == text {
		g.Stop = blocked.text
	}
	for i := range n.get("candidates").kids {
		c := &n.get("candidates").kids[i]
		if c.get("index").int(0) != 0 {
			continue
		}
		if g.Stop != "" {
			return errors.New("a candidate goes on after its finishReason")
		}
		g.Stop = c.get("finishReason").text
		for _, p := range c.in("content", "parts").kids {
			g.part(&p)
		}
	}
	return nil
}

func (g *generateGrammar) part(p *node) {
	switch call := p.get("functionCall"); {
	case call.kind == object:
		g.Calls = append(g.Calls, ToldCall{ID: call.get("id").text, Name: call.get("name").text, Arguments: call.get("args").raw})
	case p.get("thought").isTrue():
		g.Reasoning += p.get("text").text
	default:
		g.Text += p.get("text").text
	}
}
