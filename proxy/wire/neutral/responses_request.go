package neutral

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// responsesRequest is the body of POST /v1/responses.
type responsesRequest struct {
	Model        string              `json:"model"`
	Input        responsesInput      `json:"input"`
	Instructions string              `json:"instructions"`
	Stream       bool                `json:"stream"`
	Tools        responsesTools      `json:"tools"`
	ToolChoice   rawValue            `json:"tool_choice"`
	Parallel     *bool               `json:"parallel_tool_calls"`
	MaxOutput    *int64              `json:"max_output_tokens"`
	Temperature  jsontext.Value      `json:"temperature"`
	TopP         jsontext.Value      `json:"top_p"`
	TopLogprobs  *int64              `json:"top_logprobs"`
	Text         *responsesText      `json:"text"`
	Reasoning    *responsesReasoning `json:"reasoning"`
	Include      []string            `json:"include"`
	Store        *bool               `json:"store"`
	Previous     string              `json:"previous_response_id"`
	Conversation jsontext.Value      `json:"conversation"`
	Prompt       jsontext.Value      `json:"prompt"`
	Background   bool                `json:"background"`
	Truncation   string              `json:"truncation"`
	Metadata     map[string]string   `json:"metadata"`
	CacheKey     string              `json:"prompt_cache_key"`
	Safety       string              `json:"safety_identifier"`
	User         string              `json:"user"`
	ServiceTier  string              `json:"service_tier"`
	Rest         jsontext.Value      `json:",embed"`
}

type responsesText struct {
	Format    *responsesFormat `json:"format"`
	Verbosity string           `json:"verbosity"`
	Rest      jsontext.Value   `json:",embed"`
}

type responsesFormat struct {
	Type        string         `json:"type"`
	Name        string         `json:"name"`
	Description string         `json:"description"`
	Schema      jsontext.Value `json:"schema"`
	Strict      *bool          `json:"strict"`
	Rest        jsontext.Value `json:",embed"`
}

type responsesReasoning struct {
	Effort          string         `json:"effort"`
	Summary         string         `json:"summary"`
	GenerateSummary string         `json:"generate_summary"` // as it was called at first
	Rest            jsontext.Value `json:",embed"`
}

// decodeResponsesRequest reads a client's body; its model and stream stand in it.
func decodeResponsesRequest(body []byte, _ string, _ bool) (*Request, error) {
	var m responsesRequest
	if err := decode(body, &m); err != nil {
		return nil, err
	}
	r := &Request{
		From: Responses, Model: m.Model, Stream: m.Stream, Turns: m.Input.turns, Tools: m.Tools.tools,
		Parallel: m.Parallel, MaxOutput: m.MaxOutput, Temperature: orNil(m.Temperature), TopP: orNil(m.TopP),
		TopLogprobs: m.TopLogprobs, User: m.Safety, Metadata: m.Metadata, ServiceTier: m.ServiceTier,
		CacheKey: m.CacheKey, Store: m.Store, Previous: m.Previous, IncludeUsage: true,
	}
	if m.Instructions != "" {
		text := Turn{Role: System, ID: instructionsID, Parts: []Part{{Kind: Text, Text: m.Instructions}}}
		r.Turns = append([]Turn{text}, r.Turns...)
	}
	m.state(r)
	r.Rest = append(r.Rest, members(m.Rest)...)
	for _, name := range append(m.Input.unknown, m.Tools.unknown...) {
		r.Rest = append(r.Rest, Member{Name: name})
	}
	switch {
	case r.User == "":
		r.User = m.User
	case m.User != "":
		r.Rest = append(r.Rest, Member{"user", appendQuoted(nil, m.User)})
	}
	if m.Truncation != "" && m.Truncation != "disabled" {
		r.Rest = append(r.Rest, Member{"truncation", appendQuoted(nil, m.Truncation)})
	}
	m.include(r)
	m.reasoning(r)
	if err := m.text(r); err != nil {
		return nil, err
	}
	return r, m.choice(r)
}

// state keeps the members that lean on what OpenAI has stored, or stores.
func (m *responsesRequest) state(r *Request) {
	keep := func(name string, value jsontext.Value) {
		if given(value) {
			r.Rest = append(r.Rest, Member{name, value})
		}
	}
	keep("conversation", m.Conversation)
	keep("prompt", m.Prompt)
	if m.Background {
		keep("background", jsontext.Value("true"))
	}
}

func (m *responsesRequest) include(r *Request) {
	var others []string
	for _, word := range m.Include {
		switch word {
		case includeSealed:
			r.Reasoning.Sealed = true
		case includeLogprobs:
			r.Logprobs = true
		default:
			others = append(others, word)
		}
	}
	if others != nil {
		w := jsonw{}
		w.arr()
		for _, word := range others {
			w.str(word)
		}
		w.endArr()
		r.Rest = append(r.Rest, Member{"include", w.b})
	}
}

func (m *responsesRequest) reasoning(r *Request) {
	o := m.Reasoning
	if o == nil {
		return
	}
	r.Reasoning.Effort, r.Reasoning.Summary = o.Effort, o.Summary
	if o.Summary == "" {
		r.Reasoning.Summary = o.GenerateSummary
	}
	r.Reasoning.Show = r.Reasoning.Summary != ""
	r.addRest("reasoning.", o.Rest)
}

func (m *responsesRequest) text(r *Request) error {
	if m.Text == nil {
		return nil
	}
	r.Verbosity = m.Text.Verbosity
	r.addRest("text.", m.Text.Rest)
	f := m.Text.Format
	if f == nil {
		return nil
	}
	if f.Type == "text" || f.Type == "json_object" || f.Type == "json_schema" {
		r.noteWithin("text.format.", f.Rest)
	}
	switch f.Type {
	case "text":
		r.Format.Kind = SayText
	case "json_object":
		r.Format.Kind = JSONObject
	case "json_schema":
		if !given(f.Schema) {
			return &CannotCarry{Member: "text.format.schema", Msg: "must be an object"}
		}
		r.Format = Format{Kind: JSONSchema, Name: f.Name, Description: f.Description, Schema: f.Schema, Strict: f.Strict}
	default: // a grammar, of some servers
		w := jsonw{}
		w.obj()
		w.strKey("type", f.Type)
		w.members(members(f.Rest))
		w.endObj()
		r.Rest = append(r.Rest, Member{"text.format", w.b})
	}
	return nil
}

func (m *responsesRequest) choice(r *Request) error {
	raw := jsontext.Value(m.ToolChoice)
	if !given(raw) {
		return nil
	}
	if word, ok := textOf(raw); ok {
		switch word {
		case "auto":
			r.Choice.Mode = SayAuto
		case "none":
			r.Choice.Mode = Never
		case "required":
			r.Choice.Mode = Required
		default:
			return &CannotCarry{Member: "tool_choice", Msg: "must be none, auto, required or an object"}
		}
		return nil
	}
	type named struct {
		Type string `json:"type"`
		Name string `json:"name"`
	}
	var o struct {
		named
		Mode  string  `json:"mode"`
		Tools []named `json:"tools"`
	}
	if err := decodeAt(raw, &o, "tool_choice"); err != nil {
		return err
	}
	isFunction := func(n named) bool { return (n.Type == "function" || n.Type == "custom") && n.Name != "" }
	switch {
	case isFunction(o.named):
		r.Choice = Choice{Mode: Only, Names: []string{o.Name}}
	case o.Type == "allowed_tools":
		r.Choice.Mode = SayAuto
		if o.Mode == "required" {
			r.Choice.Mode = Only
		}
		for _, t := range o.Tools {
			if !isFunction(t) {
				r.Choice = Choice{Raw: m.ToolChoice.kept(), From: Responses}
				return nil
			}
			r.Choice.Names = append(r.Choice.Names, t.Name)
		}
	default:
		if o.Type == "" {
			r.wrongly("tool_choice.type", "must be given, as function")
		}
		r.Choice = Choice{Raw: m.ToolChoice.kept(), From: Responses}
	}
	return nil
}

// responsesTools reads the tools: functions, custom ones, and OpenAI's own.
type responsesTools struct {
	tools   []Tool
	unknown []string // names of members that Extra holds
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (l *responsesTools) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	raw, err := dec.ReadValue()
	if err != nil || raw.Kind() == 'n' {
		return err
	}
	if raw.Kind() != '[' {
		return &CannotCarry{Member: "tools", Msg: "must be an array"}
	}
	return eachElement(raw, l.tool)
}

func (l *responsesTools) tool(i int, raw jsontext.Value) error {
	var t struct {
		Type        string         `json:"type"`
		Name        string         `json:"name"`
		Description string         `json:"description"`
		Parameters  jsontext.Value `json:"parameters"`
		Strict      *bool          `json:"strict"`
		Format      jsontext.Value `json:"format"`
		Rest        jsontext.Value `json:",embed"`
	}
	if kind := itemKind(raw); kind != "function" && kind != "custom" {
		if kind == "" {
			return &CannotCarry{Member: indexed("tools", i) + ".type", Msg: "must be a string"}
		}
		l.tools = append(l.tools, Tool{Name: kind, Raw: raw.Clone(), From: Responses})
		return nil
	}
	if err := decodeAt(raw, &t, indexed("tools", i)); err != nil {
		return err
	}
	tool := Tool{Name: t.Name, Description: t.Description, Strict: t.Strict, Custom: t.Type == "custom", From: Responses}
	tool.Schema, tool.Grammar, tool.Extra = orNil(t.Parameters), orNil(t.Format), extra(t.Rest)
	for _, m := range members(t.Rest) {
		l.unknown = append(l.unknown, "tools."+m.Name)
	}
	l.tools = append(l.tools, tool)
	return nil
}

// isOutputItem reports whether an item that only OpenAI knows comes from the
// client's side: what a tool has said, or an answer to a question.
func isOutputItem(kind string) bool {
	return strings.HasSuffix(kind, "_output") || strings.HasSuffix(kind, "_response")
}
