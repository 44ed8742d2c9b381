package neutral

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// responsesInput reads a list of items, or the one text, into turns. It reads
// a reply's output as well.
type responsesInput struct {
	turns    []Turn
	unknown  []string       // names of members that Extra or Raw holds
	spoke    bool           // the last turn is the model's and has a message
	results  bool           // the last turn is of tool results
	logprobs jsontext.Value // of the first text that has them
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (in *responsesInput) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	raw, err := dec.ReadValue()
	if err != nil {
		return err
	}
	switch raw.Kind() {
	case 'n':
		return nil
	case '"':
		text, _ := textOf(raw)
		in.turns = append(in.turns, Turn{Parts: []Part{{Kind: Text, Text: text}}})
		return nil
	case '[':
		return eachElement(raw, in.item)
	}
	return &CannotCarry{Member: "input", Msg: "must be a string or an array"}
}

func (in *responsesInput) item(i int, raw jsontext.Value) error {
	return within(in.read(raw), indexed("input", i))
}

// read takes one item.
func (in *responsesInput) read(raw jsontext.Value) error {
	if raw.Kind() != '{' {
		return &CannotCarry{Msg: "must be an object"}
	}
	switch kind := itemKind(raw); kind {
	case "", "message":
		return in.message(raw)
	case "function_call", "custom_tool_call":
		return in.call(raw)
	case "function_call_output", "custom_tool_call_output":
		return in.output(raw)
	case "reasoning":
		return in.reasoning(raw)
	default:
		p := Part{Kind: Opaque, Raw: raw.Clone(), From: Responses}
		if isOutputItem(kind) {
			in.result(p)
		} else {
			in.assistant(p)
		}
	}
	return nil
}

// itemKind is blockType, quick where type comes first, with white space or without.
func itemKind(raw jsontext.Value) string {
	rest, ok := bytes.CutPrefix(raw, []byte{'{'})
	if !ok {
		return ""
	}
	rest, ok = bytes.CutPrefix(bytes.TrimLeft(rest, " \n\t\r"), []byte(`"type"`))
	if !ok {
		return blockType(raw)
	}
	rest, ok = bytes.CutPrefix(bytes.TrimLeft(rest, " \n\t\r"), []byte{':'})
	if !ok {
		return blockType(raw)
	}
	rest, ok = bytes.CutPrefix(bytes.TrimLeft(rest, " \n\t\r"), []byte{'"'})
	if !ok {
		return blockType(raw)
	}
	if end := bytes.IndexAny(rest, "\"\\"); end >= 0 && rest[end] == '"' {
		return string(rest[:end])
	}
	return blockType(raw)
}

// assistant adds a part to the model's turn.
func (in *responsesInput) assistant(p Part) {
	in.results = false
	if n := len(in.turns); n == 0 || in.turns[n-1].Role != Assistant {
		in.turns, in.spoke = append(in.turns, Turn{Role: Assistant}), false
	}
	last := &in.turns[len(in.turns)-1]
	last.Parts = append(last.Parts, p)
}

// result adds a part to the user's turn of results.
func (in *responsesInput) result(p Part) {
	if !in.results {
		in.turns, in.results = append(in.turns, Turn{}), true
	}
	last := &in.turns[len(in.turns)-1]
	last.Parts = append(last.Parts, p)
}

func (in *responsesInput) message(raw jsontext.Value) error {
	var m struct {
		Type    string           `json:"type"`
		ID      string           `json:"id"`
		Role    string           `json:"role"`
		Status  string           `json:"status"` // only means something in a reply
		Content responsesContent `json:"content"`
		Rest    jsontext.Value   `json:",embed"`
	}
	if err := decode(raw, &m); err != nil {
		return err
	}
	in.note("input.", m.Rest)
	in.unknown = append(in.unknown, m.Content.unknown...)
	if in.logprobs == nil {
		in.logprobs = m.Content.logprobs
	}
	t := Turn{ID: m.ID, Parts: m.Content.parts, Extra: extra(m.Rest)}
	in.results = false
	switch m.Role {
	case "user":
	case "system":
		t.Role = System
	case "developer":
		t.Role = Developer
	case "assistant":
		n := len(in.turns)
		if n > 0 && in.turns[n-1].Role == Assistant && !in.spoke {
			last := &in.turns[n-1]
			last.ID, last.Extra, last.Parts = t.ID, t.Extra, append(last.Parts, t.Parts...)
			in.spoke = true
			return nil
		}
		t.Role, in.spoke = Assistant, true
	default:
		return &CannotCarry{Member: "role", Msg: "must be user, assistant, system or developer"}
	}
	in.turns = append(in.turns, t)
	return nil
}

// note names members that only this dialect knows.
func (in *responsesInput) note(at string, rest jsontext.Value) (any bool) {
	for _, m := range members(rest) {
		in.unknown, any = append(in.unknown, at+m.Name), true
	}
	return any
}

func (in *responsesInput) call(raw jsontext.Value) error {
	var c struct {
		Type      string         `json:"type"`
		ID        string         `json:"id"`
		CallID    string         `json:"call_id"`
		Name      string         `json:"name"`
		Arguments rawValue       `json:"arguments"`
		Input     string         `json:"input"`
		Status    string         `json:"status"`
		Rest      jsontext.Value `json:",embed"`
	}
	if err := decode(raw, &c); err != nil {
		return err
	}
	call := &ToolCall{Item: c.ID, Name: c.Name, Custom: c.Type == "custom_tool_call"}
	call.ID, call.From, call.Signature = SplitCall(Responses, c.CallID)
	call.Args = c.Input
	if !call.Custom {
		call.Args = textOrRaw(c.Arguments)
	}
	p := Part{Kind: Call, Call: call}
	if in.note("input.", c.Rest) {
		p.Raw, p.From = raw.Clone(), Responses
	}
	in.assistant(p)
	return nil
}

// textOrRaw is the text of a string; the value itself where a server has
// written the object that belongs into the string.
func textOrRaw(v rawValue) string {
	if text, ok := textOf(jsontext.Value(v)); ok {
		return text
	}
	return string(v.kept())
}

func (in *responsesInput) output(raw jsontext.Value) error {
	var o struct {
		Type   string           `json:"type"`
		ID     string           `json:"id"`
		CallID string           `json:"call_id"`
		Name   string           `json:"name"`
		Output responsesContent `json:"output"`
		Status string           `json:"status"`
		Rest   jsontext.Value   `json:",embed"`
	}
	if err := decode(raw, &o); err != nil {
		return err
	}
	result := &ToolResult{Name: o.Name, Parts: o.Output.parts, Custom: o.Type == "custom_tool_call_output"}
	result.ID, _, _ = SplitCall(Responses, o.CallID)
	in.unknown = append(in.unknown, o.Output.unknown...)
	p := Part{Kind: Result, Result: result}
	if in.note("input.", o.Rest) {
		p.Raw, p.From = raw.Clone(), Responses
	}
	in.result(p)
	return nil
}

func (in *responsesInput) reasoning(raw jsontext.Value) error {
	type text struct {
		Text string `json:"text"`
	}
	var o struct {
		ID        string `json:"id"`
		Summary   []text `json:"summary"`
		Content   []text `json:"content"`
		Encrypted string `json:"encrypted_content"`
	}
	if err := decode(raw, &o); err != nil {
		return err
	}
	t := &Thought{ID: o.ID, Summary: len(o.Summary) > 0}
	texts := o.Content
	if t.Summary {
		texts = o.Summary
	}
	words := make([]string, len(texts))
	for i := range texts {
		words[i] = texts[i].Text
	}
	t.Text = strings.Join(words, "\n\n")
	t.readSeal(o.Encrypted)
	in.assistant(Part{Kind: Thinking, Thought: t})
	return nil
}

// responsesContent reads a message's content or a tool's output: a text, or parts.
type responsesContent struct {
	parts    []Part
	unknown  []string
	logprobs jsontext.Value
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (c *responsesContent) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	raw, err := dec.ReadValue()
	if err != nil {
		return err
	}
	switch raw.Kind() {
	case 'n':
		return nil
	case '"':
		if text, _ := textOf(raw); text != "" {
			c.parts = []Part{{Kind: Text, Text: text}}
		}
		return nil
	case '[':
		return eachElement(raw, c.part)
	}
	return &CannotCarry{Member: "content", Msg: "must be a string or an array"}
}

// responsesPart is a part of any kind.
type responsesPart struct {
	Type        string     `json:"type"`
	Text        string     `json:"text"`
	Refusal     string     `json:"refusal"`
	Annotations []rawValue `json:"annotations"`
	Logprobs    rawValue   `json:"logprobs"`
	ImageURL    string     `json:"image_url"`
	Detail      string     `json:"detail"`
	FileID      string     `json:"file_id"`
	FileData    string     `json:"file_data"`
	FileURL     string     `json:"file_url"`
	Filename    string     `json:"filename"`
	InputAudio  struct {
		Data   string `json:"data"`
		Format string `json:"format"`
	} `json:"input_audio"`
	Breakpoint jsontext.Value `json:"prompt_cache_breakpoint"`
	Rest       jsontext.Value `json:",embed"`
}

func (c *responsesContent) part(i int, raw jsontext.Value) error {
	var x responsesPart
	if err := decodeAt(raw, &x, indexed("content", i)); err != nil {
		return err
	}
	p := Part{}
	switch x.Type {
	case "input_text", "output_text", "text", "summary_text", "reasoning_text":
		p.Text = x.Text
		x.cite(&p)
		if c.logprobs == nil && len(x.Logprobs) > len("[]") {
			c.logprobs = x.Logprobs.kept()
		}
	case "refusal":
		p.Kind, p.Text = Refusal, x.Refusal
	case "input_image":
		p.Kind, p.Media = Image, x.media(x.ImageURL)
	case "input_file":
		p.Kind, p.Media = File, x.file()
	case "input_audio":
		p.Kind, p.Media = Audio, &Media{MIME: "audio/" + x.InputAudio.Format, Data: x.InputAudio.Data}
	default:
		if !strings.HasPrefix(x.Type, "input_") && !strings.HasPrefix(x.Type, "output_") {
			return &CannotCarry{Member: indexed("content", i) + ".type", Msg: "must be input_text, input_image, input_file, output_text or refusal"}
		}
		p.Kind, p.Raw, p.From = Opaque, raw.Clone(), Responses
		c.parts = append(c.parts, p)
		return nil
	}
	if given(x.Breakpoint) {
		p.Cache = jsontext.Value(`{"type":"ephemeral"}`)
	}
	for _, m := range members(x.Rest) {
		c.unknown = append(c.unknown, "input.content."+m.Name)
	}
	if given(x.Breakpoint) || extra(x.Rest) != nil {
		p.Raw, p.From = raw.Clone(), Responses
	}
	c.parts = append(c.parts, p)
	return nil
}

// media is an image at an address, which may hold it, or with an id.
func (x *responsesPart) media(url string) *Media {
	m := &Media{URL: url, FileID: x.FileID, Detail: x.Detail}
	if mime, data, ok := ParseDataURL(url); ok {
		m.URL, m.MIME, m.Data = "", mime, data
	}
	return m
}

// file is a document. Its data is a data URL, or base64 alone.
func (x *responsesPart) file() *Media {
	m := &Media{URL: x.FileURL, FileID: x.FileID, Name: x.Filename, Detail: x.Detail}
	if mime, data, ok := ParseDataURL(x.FileData); ok {
		m.MIME, m.Data = mime, data
	} else {
		m.Data = x.FileData
	}
	return m
}

// cite reads the annotations of a text.
func (x *responsesPart) cite(p *Part) {
	for _, raw := range x.Annotations {
		p.Cites, p.From = append(p.Cites, readAnnotation(raw)), Responses
	}
}

// readAnnotation reads one annotation; of its own kinds only Raw tells all.
func readAnnotation(raw rawValue) Citation {
	var a struct {
		URL   string `json:"url"`
		Title string `json:"title"`
		Start int64  `json:"start_index"`
		End   int64  `json:"end_index"`
	}
	c := Citation{Raw: raw.kept()}
	if decode(raw, &a) == nil {
		c.URL, c.Title, c.Start, c.End = a.URL, a.Title, a.Start, a.End
	}
	return c
}
