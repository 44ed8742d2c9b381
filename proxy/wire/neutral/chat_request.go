package neutral

import (
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

func decodeChatRequest(body []byte, _ string, _ bool) (*Request, error) {
	var c chatRequest
	if err := decode(body, &c); err != nil {
		return nil, err
	}
	if c.Messages == nil {
		return nil, &CannotCarry{Member: "messages", Msg: "must be an array of messages"}
	}
	r := &Request{
		From: Chat, Model: c.Model, Stream: c.Stream, Parallel: c.ParallelToolCalls, MaxOutput: c.MaxCompletionTokens,
		Temperature: number(c.Temperature), TopP: number(c.TopP), TopK: number(c.TopK), Seed: number(c.Seed),
		FrequencyPenalty: number(c.FrequencyPenalty), PresencePenalty: number(c.PresencePenalty),
		Stop: c.Stop, N: c.N, Logprobs: c.Logprobs, TopLogprobs: c.TopLogprobs, Verbosity: c.Verbosity, User: c.User,
		Metadata: c.Metadata, ServiceTier: c.ServiceTier, CacheKey: c.PromptCacheKey, Cache: number(c.CacheControl), Store: c.Store,
		Rest: members(c.Rest),
	}
	if r.MaxOutput == nil {
		r.MaxOutput = c.MaxTokens
	}
	if o := c.StreamOptions; o != nil {
		r.IncludeUsage = o.IncludeUsage
		for _, m := range members(o.Rest) {
			r.Rest = append(r.Rest, Member{streamOption + m.Name, m.Value})
		}
	}
	c.tools(r)
	if err := c.choice(r); err != nil {
		return nil, err
	}
	c.format(r)
	c.reasoning(r)
	d := chatTurns{r: r}
	for i := range c.Messages {
		if err := d.message(&c.Messages[i], i); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// streamOption begins the names of the rest of stream_options.
const streamOption = "stream_options."

// number is a value that may be null, which is as if it were not there.
func number(v jsontext.Value) jsontext.Value {
	if given(v) {
		return v
	}
	return nil
}

func (c *chatRequest) tools(r *Request) {
	if len(c.Tools)+len(c.Functions) == 0 {
		return
	}
	r.Tools = make([]Tool, 0, len(c.Tools)+len(c.Functions))
	for i := range c.Tools {
		t := &c.Tools[i]
		at := "tools[" + strconv.Itoa(i) + "]"
		switch {
		case t.Function != nil:
			if t.Type != "" && t.Type != "function" {
				r.wrongly(at+".type", "must be function, as the tool is one")
			}
			r.Tools = append(r.Tools, t.Function.tool(r, at+".function"))
			r.Tools[i].Cache = number(t.CacheControl)
			r.noteWithin(at+".", t.Rest)
		case t.Custom != nil:
			if t.Type != "" && t.Type != "custom" {
				r.wrongly(at+".type", "must be custom, as the tool is one")
			}
			r.noteWithin(at+".", t.Rest)
			r.noteWithin(at+".custom.", t.Custom.Rest)
			r.Tools = append(r.Tools, Tool{
				Custom: true, Name: t.Custom.Name, Description: t.Custom.Description, Grammar: number(t.Custom.Format),
				Cache: number(t.CacheControl), From: Chat,
			})
		default:
			w := jsonw{}
			w.obj()
			w.strKey("type", t.Type)
			w.members(members(t.Rest))
			w.endObj()
			r.Tools = append(r.Tools, Tool{Name: t.Type, Raw: w.b, From: Chat})
		}
	}
	for i := range c.Functions {
		r.Legacy = true
		r.Tools = append(r.Tools, c.Functions[i].tool(r, "functions["+strconv.Itoa(i)+"]"))
	}
}

func (f *chatFunctionDef) tool(r *Request, at string) Tool {
	for _, m := range members(f.Rest) {
		r.Rest = append(r.Rest, Member{Name: at + "." + m.Name})
	}
	return Tool{
		Name: f.Name, Description: f.Description, Schema: number(f.Parameters), Strict: f.Strict, Extra: f.Rest, From: Chat,
	}
}

func (c *chatRequest) choice(r *Request) error {
	if given(c.FunctionCall) && !given(c.ToolChoice) {
		if _, ok := textOf(c.FunctionCall); ok {
			return readChatChoice(r, c.FunctionCall, "function_call")
		}
		var f chatFunctionDef
		if err := decodeAt(c.FunctionCall, &f, "function_call"); err != nil {
			return err
		}
		r.Choice = Choice{Mode: Only, Names: []string{f.Name}}
		return nil
	}
	if !given(c.ToolChoice) {
		return nil
	}
	return readChatChoice(r, c.ToolChoice, "tool_choice")
}

// readChatChoice reads tool_choice, or its older form at.
func readChatChoice(r *Request, v jsontext.Value, at string) error {
	if word, ok := textOf(v); ok {
		switch word {
		case "auto":
			r.Choice.Mode = SayAuto
		case "none":
			r.Choice.Mode = Never
		case "required", "any": // any is Mistral's
			r.Choice.Mode = Required
		default:
			return &CannotCarry{Member: at, Msg: "must be none, auto, required or an object"}
		}
		return nil
	}
	var o struct {
		Type         string   `json:"type"`
		Function     chatName `json:"function"`
		Custom       chatName `json:"custom"`
		AllowedTools struct {
			Mode  string     `json:"mode"`
			Tools []chatTool `json:"tools"`
		} `json:"allowed_tools"`
	}
	if err := decodeAt(v, &o, at); err != nil {
		return err
	}
	switch o.Type {
	case "function", "":
		if o.Function.Name == "" {
			r.wrongly(at, "must be none, auto, required, or an object with the name of a function")
			return nil
		}
		r.Choice = Choice{Mode: Only, Names: []string{o.Function.Name}}
	case "custom":
		if o.Custom.Name == "" {
			r.wrongly(at, "must be none, auto, required, or an object with the name of a custom tool")
			return nil
		}
		r.Choice = Choice{Mode: Only, Names: []string{o.Custom.Name}}
	case "allowed_tools":
		r.Choice.Mode = SayAuto
		if o.AllowedTools.Mode == "required" {
			r.Choice.Mode = Only
		}
		for _, t := range o.AllowedTools.Tools {
			switch {
			case t.Function != nil:
				r.Choice.Names = append(r.Choice.Names, t.Function.Name)
			case t.Custom != nil:
				r.Choice.Names = append(r.Choice.Names, t.Custom.Name)
			}
		}
	default:
		r.Choice = Choice{Raw: v, From: Chat}
	}
	return nil
}

type chatName struct {
	Name string `json:"name"`
}

func (c *chatRequest) format(r *Request) {
	f := c.ResponseFormat
	if f == nil {
		return
	}
	if s := f.JSONSchema; s != nil && f.Type == "json_schema" {
		r.noteWithin("response_format.", f.Rest)
		r.noteWithin("response_format.json_schema.", s.Rest)
	}
	switch {
	case f.Type == "text":
		r.Format.Kind = SayText
	case f.Type == "json_object":
		r.Format.Kind = JSONObject
	case f.Type == "json_schema" && f.JSONSchema != nil:
		s := f.JSONSchema
		r.Format = Format{Kind: JSONSchema, Name: s.Name, Description: s.Description, Schema: number(s.Schema), Strict: s.Strict}
	default: // a server's own, as a grammar
		w := jsonw{}
		w.obj()
		w.strKey("type", f.Type)
		w.members(members(f.Rest))
		w.endObj()
		r.Rest = append(r.Rest, Member{"response_format", w.b})
	}
}

func (c *chatRequest) reasoning(r *Request) {
	r.Reasoning.Effort = c.ReasoningEffort
	if o := c.Reasoning; o != nil {
		if r.Reasoning.Effort == "" {
			r.Reasoning.Effort = o.Effort
		}
		r.Reasoning.Budget = o.MaxTokens
		r.Reasoning.Show = !o.Exclude
		r.noteWithin("reasoning.", o.Rest)
		r.Reasoning.Off = o.Enabled != nil && !*o.Enabled
	}
	if o := c.Thinking; o != nil {
		r.noteWithin("thinking.", o.Rest)
		switch o.Type {
		case "disabled":
			r.Reasoning.Off = true
		case "adaptive":
			r.Reasoning.Adapt = true
		case "enabled":
			r.Reasoning.Budget, r.Reasoning.Adapt = o.BudgetTokens, o.BudgetTokens == nil
		}
	}
}

// chatTurns makes turns of messages.
type chatTurns struct {
	r       *Request // nil for a reply
	results bool     // the last turn is of tool results
	legacy  []string // names of calls without ids, by their number
}

func (d *chatTurns) message(m *chatMessage, i int) error {
	at := "messages[" + strconv.Itoa(i) + "]"
	wasResults := d.results
	d.results = false
	t := Turn{Name: m.Name}
	var err error
	switch m.Role {
	case "system":
		t.Role = System
	case "developer":
		t.Role = Developer
	case "user":
		t.Role = User
	case "assistant":
		t.Role = Assistant
		d.said(m, &t, at)
	case "tool", "function":
		t.Name = ""
		t.Parts = []Part{d.result(m, at)}
		d.results = true
	default:
		err = &CannotCarry{Member: at + ".role", Msg: "must be system, developer, user, assistant, tool or function"}
	}
	if err != nil {
		return err
	}
	if t.Parts == nil {
		t.Parts = d.content(&m.Content, at)
	}
	if given(m.CacheControl) && len(t.Parts) > 0 && !d.results {
		t.Parts[len(t.Parts)-1].Cache = m.CacheControl
	}
	if len(m.Rest) > 0 {
		t.Extra = m.Rest
		for _, x := range members(m.Rest) {
			d.r.Rest = append(d.r.Rest, Member{Name: at + "." + x.Name})
		}
	}
	turns := d.r.Turns
	if d.results && wasResults && t.Extra == nil {
		turns[len(turns)-1].Parts = append(turns[len(turns)-1].Parts, t.Parts...)
		return nil
	}
	d.r.Turns = append(turns, t)
	return nil
}

// result reads a message with what a tool said.
func (d *chatTurns) result(m *chatMessage, at string) Part {
	id, _, _ := SplitCall(Chat, m.ToolCallID)
	if m.Role == "function" {
		id = d.legacyID(m.Name)
	}
	return Part{Kind: Result, Result: &ToolResult{
		ID: id, Name: m.Name, Parts: d.content(&m.Content, at), Cache: number(m.CacheControl), Custom: d.isCustom(id),
	}}
}

// isCustom reports whether the call of an id was of a custom tool.
func (d *chatTurns) isCustom(id string) bool {
	for i := len(d.r.Turns) - 1; i >= 0; i-- {
		for j := range d.r.Turns[i].Parts {
			if c := d.r.Turns[i].Parts[j].Call; c != nil && c.ID == id {
				return c.Custom
			}
		}
	}
	return false
}

// Calls of the older kind have no id: they get one by their number.
func (d *chatTurns) legacyID(name string) string {
	for i := len(d.legacy) - 1; i >= 0; i-- {
		if d.legacy[i] == name {
			return legacyCall + strconv.Itoa(i)
		}
	}
	return legacyCall + name
}

// legacyCall begins the ids of calls that came without one.
const legacyCall = "call_function_"

// said reads what the model said.
func (d *chatTurns) said(m *chatMessage, t *Turn, at string) {
	parts := make([]Part, 0, 2+len(m.ToolCalls))
	thoughts := m.thoughts()
	for i := range thoughts {
		if !after(&thoughts[i]) {
			parts = append(parts, Part{Kind: Thinking, Thought: &thoughts[i]})
		}
	}
	first := len(parts)
	parts = append(parts, d.content(&m.Content, at)...)
	if cites := chatCites(m.Annotations); cites != nil && len(parts) > first {
		parts[first].Cites, parts[first].From = cites, Chat
	}
	for i := range thoughts {
		if after(&thoughts[i]) {
			parts = append(parts, Part{Kind: Thinking, Thought: &thoughts[i]})
		}
	}
	if m.Refusal != "" {
		parts = append(parts, Part{Kind: Refusal, Text: m.Refusal})
	}
	if m.Audio != nil {
		parts = append(parts, m.Audio.part())
	}
	for i := range m.ToolCalls {
		parts = append(parts, Part{Kind: Call, Call: m.ToolCalls[i].call()})
		if d.r != nil {
			m.ToolCalls[i].note(d.r, at, i)
		}
	}
	if f := m.FunctionCall; f != nil {
		id := legacyCall + strconv.Itoa(len(d.legacy))
		d.legacy = append(d.legacy, f.Name)
		parts = append(parts, Part{Kind: Call, Call: &ToolCall{ID: id, Name: f.Name, Args: f.Arguments.text}})
	}
	t.Parts = parts
}

// note names the members of a call that have no place.
func (c *chatCall) note(r *Request, at string, i int) {
	within := func(inner string, rest jsontext.Value) {
		if rest != nil {
			r.noteWithin(at+".tool_calls["+strconv.Itoa(i)+"]."+inner, rest)
		}
	}
	within("", c.Rest)
	if c.Function != nil {
		within("function.", c.Function.Rest)
	}
	if c.Custom != nil {
		within("custom.", c.Custom.Rest)
	}
}

// after reports whether a thought is only the seal of the text before it,
// as Gemini has them.
func after(t *Thought) bool { return t.From == Generate && t.Text == "" }

// call reads a call that is whole.
func (c *chatCall) call() *ToolCall {
	out := &ToolCall{}
	switch {
	case c.Function != nil:
		out.Name, out.Args = c.Function.Name, c.Function.Arguments.text
	case c.Custom != nil:
		out.Custom, out.Name, out.Args = true, c.Custom.Name, c.Custom.Input
	}
	out.ID, out.From, out.Signature = SplitCall(Chat, string(c.ID))
	if sig := c.googleSeal(); sig != "" && out.Signature == "" {
		out.Signature, out.From = sig, Generate
	}
	return out
}

func (c *chatCall) googleSeal() string {
	if c.ExtraContent == nil {
		return ""
	}
	return c.ExtraContent.Google.ThoughtSignature
}

// thoughts reads the reasoning of a message. Its details say the most; the
// plain text counts where they have none.
func (m *chatMessage) thoughts() []Thought {
	var list []Thought
	worded := false
	for i := range m.ReasoningDetails {
		if t, ok := m.ReasoningDetails[i].thought(); ok {
			list = append(list, t)
			worded = worded || t.Text != ""
		}
	}
	if text := m.reasoning(); text != "" && !worded {
		list = append([]Thought{{Text: text, From: Chat}}, list...)
	}
	return list
}

// reasoning is the plain text of reasoning, by the one name or the other.
func (m *chatMessage) reasoning() string {
	if text, _ := textOf(m.ReasoningContent); text != "" {
		return text
	}
	text, _ := textOf(m.Reasoning)
	return text
}

// thought reads a detail; ok is false for one that says nothing.
func (x *chatDetail) thought() (t Thought, ok bool) {
	t = Thought{ID: x.ID, From: x.vendor(), Text: x.Text}
	if x.Text == "" && x.Summary != "" {
		t.Text, t.Summary = x.Summary, true
	}
	if !strings.HasPrefix(x.Signature, sealPrefix) && !strings.HasPrefix(x.Data, sealPrefix) {
		t.Format = x.Format
	}
	if x.Signature != "" {
		t.From, t.Signature = x.unwrap(x.Signature)
	}
	if x.Data != "" {
		t.From, t.Sealed = x.unwrap(x.Data)
	}
	return t, t.Text != "" || t.Signature != "" || t.Sealed != ""
}

// unwrap opens a seal, whose vendor the format tells where the seal does not.
func (x *chatDetail) unwrap(s string) (API, string) {
	from, seal := Unwrap(Chat, s)
	if from == Chat {
		from = x.vendor()
	}
	return from, seal
}

func (x *chatDetail) vendor() API {
	for api, format := range chatFormats {
		if strings.EqualFold(format, x.Format) {
			return api
		}
	}
	return Chat
}

// content makes parts of a message's content. Empty texts are none.
func (d *chatTurns) content(c *chatContent, at string) []Part {
	if c.parts == nil {
		if c.text == "" {
			return nil
		}
		return []Part{{Kind: Text, Text: c.text}}
	}
	parts := make([]Part, 0, len(c.parts))
	for i := range c.parts {
		x := &c.parts[i]
		if x.Type == "thinking" {
			parts = append(parts, Part{Kind: Thinking, Thought: &Thought{Text: x.Thinking.joined(), From: Chat}})
			continue
		}
		p := x.part()
		if d.r != nil {
			x.whole(d.r, at+".content["+strconv.Itoa(i)+"].", p.Kind)
		}
		if p.Kind == Text && p.Text == "" && p.Cache == nil {
			continue
		}
		if p.Kind != Opaque && len(x.Rest) > 0 && d.r != nil {
			for _, m := range members(x.Rest) {
				d.r.Rest = append(d.r.Rest, Member{Name: at + ".content[" + strconv.Itoa(i) + "]." + m.Name})
			}
		}
		if d.r != nil {
			x.note(d.r, at, i)
		}
		parts = append(parts, p)
	}
	return parts
}

// whole notes what a part lacks to be of its type, or has beside it.
func (x *chatPart) whole(r *Request, at string, kind Kind) {
	media := x.ImageURL != nil || x.VideoURL != nil || x.InputAudio != nil || x.File != nil
	switch {
	case kind == Opaque && x.Type == "":
		r.wrongly(at+"type", "must be given")
	case kind == Opaque && slices.Contains([]string{"image_url", "video_url", "input_audio", "file"}, x.Type):
		r.wrongly(at+x.Type, "must be given")
	case (kind == Text || kind == Refusal) && media:
		r.wrongly(at+"type", "is "+x.Type+", and the part holds something else")
	}
}

// note names the members within a part's own object that have no place.
func (x *chatPart) note(r *Request, at string, i int) {
	var inner string
	var rest jsontext.Value
	switch {
	case x.ImageURL != nil:
		inner, rest = "image_url.", x.ImageURL.rest
	case x.VideoURL != nil:
		inner, rest = "video_url.", x.VideoURL.rest
	case x.InputAudio != nil:
		inner, rest = "input_audio.", x.InputAudio.Rest
	case x.File != nil:
		inner, rest = "file.", x.File.Rest
	}
	if rest != nil {
		r.noteWithin(at+".content["+strconv.Itoa(i)+"]."+inner, rest)
	}
}

// joined is all text of a content.
func (c *chatContent) joined() string {
	text := c.text
	for i := range c.parts {
		text += c.parts[i].Text
	}
	return text
}

// part reads one part of a content.
func (x *chatPart) part() Part {
	p := Part{Cache: number(x.CacheControl)}
	switch {
	case x.Type == "text":
		p.Kind, p.Text = Text, x.Text
	case x.Type == "refusal":
		p.Kind, p.Text = Refusal, x.Refusal
	case x.ImageURL != nil:
		p.Kind, p.Media = Image, mediaOf(x.ImageURL.url)
		p.Media.Detail = x.ImageURL.detail
	case x.VideoURL != nil:
		p.Kind, p.Media = Video, mediaOf(x.VideoURL.url)
	case x.InputAudio != nil:
		p.Kind, p.Media = Audio, &Media{MIME: audioMIME(x.InputAudio.Format), Data: x.InputAudio.Data}
	case x.File != nil:
		p.Kind, p.Media = File, chatFile(x.File.Data, x.File.ID, x.File.Name)
	default:
		p.Kind = Opaque
	}
	x.keep(&p)
	return p
}

// keep stores what has no place in a Part. A breakpoint of OpenAI's cache is a
// cache mark for vendors that have those.
func (x *chatPart) keep(p *Part) {
	if p.Kind != Opaque && len(x.Rest) == 0 && !given(x.Breakpoint) {
		return
	}
	w := jsonw{}
	w.obj()
	if p.Kind == Opaque {
		w.strKey("type", x.Type)
		w.strIf("text", x.Text)
	}
	if given(x.Breakpoint) {
		w.rawKey("prompt_cache_breakpoint", x.Breakpoint)
		if p.Cache == nil {
			p.Cache = jsontext.Value(`{"type":"ephemeral"}`)
		}
	}
	w.members(members(x.Rest))
	w.endObj()
	p.Raw, p.From = w.b, Chat
}

// mediaOf reads an address, which may hold the data itself.
func mediaOf(url string) *Media {
	if mime, data, ok := ParseDataURL(url); ok {
		return &Media{MIME: mime, Data: data}
	}
	return &Media{URL: url}
}

func chatFile(data, id, name string) *Media {
	m := &Media{FileID: id, Name: name}
	switch mime, inline, ok := ParseDataURL(data); {
	case ok:
		m.MIME, m.Data = mime, inline
	case strings.HasPrefix(data, "https://"), strings.HasPrefix(data, "http://"): // OpenRouter
		m.URL = data
	default:
		m.Data = data
	}
	if m.MIME == "" && strings.HasSuffix(strings.ToLower(name), ".pdf") {
		m.MIME = "application/pdf"
	}
	return m
}

// audioMIME is the type of an audio format's word.
func audioMIME(format string) string {
	if format == "mp3" {
		return "audio/mpeg"
	}
	return "audio/" + format
}

// audioFormat is the inverse of audioMIME.
func audioFormat(mime string) string {
	mime, _, _ = strings.Cut(mime, ";")
	switch mime {
	case "audio/mpeg", "audio/mp3":
		return "mp3"
	case "audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave", "":
		return "wav"
	}
	return strings.TrimPrefix(mime, "audio/")
}

// part is the model's own audio: in a request an earlier one, by its id.
func (a *chatAudio) part() Part {
	return Part{Kind: Audio, Media: &Media{FileID: a.ID, Data: a.Data, Text: a.Transcript, Extra: number(a.ExpiresAt)}}
}

// chatCites reads annotations.
func chatCites(list []jsontext.Value) []Citation {
	var cites []Citation
	for _, raw := range list {
		var a struct {
			URLCitation struct {
				URL   string `json:"url"`
				Title string `json:"title"`
				Start int64  `json:"start_index"`
				End   int64  `json:"end_index"`
			} `json:"url_citation"`
		}
		if decode(raw, &a) != nil {
			continue
		}
		u := a.URLCitation
		cites = append(cites, Citation{URL: u.URL, Title: u.Title, Start: u.Start, End: u.End, Raw: raw})
	}
	return cites
}
