package neutral

import "github.com/go-json-experiment/json/jsontext"

// messagesRequest is the body of POST /v1/messages.
type messagesRequest struct {
	Model         string            `json:"model"`
	MaxTokens     *int64            `json:"max_tokens"`
	System        messagesContent   `json:"system"`
	Messages      messagesTurns     `json:"messages"`
	Tools         messagesTools     `json:"tools"`
	ToolChoice    *messagesChoice   `json:"tool_choice"`
	Temperature   jsontext.Value    `json:"temperature"`
	TopP          jsontext.Value    `json:"top_p"`
	TopK          jsontext.Value    `json:"top_k"`
	StopSequences []string          `json:"stop_sequences"`
	Thinking      jsontext.Value    `json:"thinking"`
	OutputConfig  *messagesOutput   `json:"output_config"`
	OutputFormat  *messagesFormat   `json:"output_format"` // of the beta
	Metadata      *messagesMetadata `json:"metadata"`
	ServiceTier   string            `json:"service_tier"`
	CacheControl  jsontext.Value    `json:"cache_control"`
	Stream        bool              `json:"stream"`
	Rest          jsontext.Value    `json:",embed"`
}

// messagesTurns reads the messages.
type messagesTurns struct {
	turns   []Turn
	unknown []string // names of members that Extra or Raw holds
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (m *messagesTurns) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	raw, err := dec.ReadValue()
	if err != nil {
		return err
	}
	*m = messagesTurns{}
	if raw.Kind() == 'n' {
		return nil
	}
	if raw.Kind() != '[' {
		return &CannotCarry{Msg: "must be an array"}
	}
	return eachElement(raw, m.turn)
}

func (m *messagesTurns) turn(i int, raw jsontext.Value) error {
	at := indexed("", i)
	var t struct {
		Role    string          `json:"role"`
		Content messagesContent `json:"content"`
		Rest    jsontext.Value  `json:",embed"`
	}
	if err := decodeAt(raw, &t, at); err != nil {
		return err
	}
	turn := Turn{Parts: t.Content.parts}
	switch t.Role {
	case "user":
	case "assistant":
		turn.Role = Assistant
	case "system": // after the first words, of newer models
		turn.Role = System
	default:
		return &CannotCarry{Member: at + ".role", Msg: "must be user, assistant or system"}
	}
	m.unknown = append(m.unknown, t.Content.unknown...)
	if turn.Extra = extra(t.Rest); turn.Extra != nil {
		for _, x := range members(t.Rest) {
			m.unknown = append(m.unknown, "messages."+x.Name)
		}
	}
	m.turns = append(m.turns, turn)
	return nil
}

// extra is an object of unknown members, or nil where there are none.
func extra(rest jsontext.Value) jsontext.Value {
	if len(rest) == 0 || len(members(rest)) == 0 {
		return nil
	}
	return rest
}

// messagesTools reads the tools: functions, and Anthropic's own.
type messagesTools struct {
	tools   []Tool
	unknown []string
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (m *messagesTools) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	raw, err := dec.ReadValue()
	if err != nil {
		return err
	}
	*m = messagesTools{}
	if raw.Kind() == 'n' {
		return nil
	}
	if raw.Kind() != '[' {
		return &CannotCarry{Msg: "must be an array"}
	}
	return eachElement(raw, m.tool)
}

func (m *messagesTools) tool(i int, raw jsontext.Value) error {
	var t struct {
		Type         string         `json:"type"`
		Name         string         `json:"name"`
		Description  string         `json:"description"`
		InputSchema  jsontext.Value `json:"input_schema"`
		Strict       *bool          `json:"strict"`
		CacheControl jsontext.Value `json:"cache_control"`
		Rest         jsontext.Value `json:",embed"`
	}
	if err := decodeAt(raw, &t, indexed("", i)); err != nil {
		return err
	}
	if t.Type != "" && t.Type != "custom" {
		m.tools = append(m.tools, Tool{Name: t.Name, Raw: raw.Clone(), From: Messages, Cache: orNil(t.CacheControl)})
		return nil
	}
	tool := Tool{Name: t.Name, Description: t.Description, Strict: t.Strict, Cache: orNil(t.CacheControl)}
	tool.Schema, tool.Extra = orNil(t.InputSchema), extra(t.Rest)
	for _, x := range members(t.Rest) {
		m.unknown = append(m.unknown, "tools."+x.Name)
	}
	m.tools = append(m.tools, tool)
	return nil
}

type messagesChoice struct {
	Type            string         `json:"type"`
	Name            string         `json:"name"`
	DisableParallel *bool          `json:"disable_parallel_tool_use"`
	Rest            jsontext.Value `json:",embed"`
}

type messagesOutput struct {
	Effort string          `json:"effort"`
	Format *messagesFormat `json:"format"`
	Rest   jsontext.Value  `json:",embed"`
}

type messagesFormat struct {
	Type   string         `json:"type"`
	Schema jsontext.Value `json:"schema"`
	Rest   jsontext.Value `json:",embed"`
}

type messagesMetadata struct {
	UserID string         `json:"user_id"`
	Rest   jsontext.Value `json:",embed"`
}

// decodeMessagesRequest reads a client's body; its model and stream stand in it.
func decodeMessagesRequest(body []byte, _ string, _ bool) (*Request, error) {
	var m messagesRequest
	if err := decode(body, &m); err != nil {
		return nil, err
	}
	r := &Request{
		From: Messages, Model: m.Model, Stream: m.Stream, Turns: m.Messages.turns, Tools: m.Tools.tools,
		MaxOutput: m.MaxTokens, Temperature: orNil(m.Temperature), TopP: orNil(m.TopP), TopK: orNil(m.TopK),
		Stop: m.StopSequences, ServiceTier: m.ServiceTier, Cache: orNil(m.CacheControl), IncludeUsage: true,
	}
	m.leadingSystem(r)
	if m.ServiceTier == "standard_only" {
		r.ServiceTier = "default"
	}
	r.Rest = members(m.Rest)
	for _, names := range [][]string{m.System.unknown, m.Messages.unknown, m.Tools.unknown} {
		for _, name := range names {
			r.Rest = append(r.Rest, Member{Name: name})
		}
	}
	if m.Metadata != nil {
		r.User = m.Metadata.UserID
		r.addRest("metadata.", m.Metadata.Rest)
	}
	if err := m.choice(r); err != nil {
		return nil, err
	}
	if err := m.reasoning(r); err != nil {
		return nil, err
	}
	return r, m.output(r)
}

// leadingSystem makes one turn of the system member and of system messages
// before all others, which say the same.
func (m *messagesRequest) leadingSystem(r *Request) {
	parts := m.System.parts
	for len(r.Turns) > 0 && r.Turns[0].Role == System && r.Turns[0].Extra == nil {
		parts = append(parts, r.Turns[0].Parts...)
		r.Turns = r.Turns[1:]
	}
	if len(parts) > 0 {
		r.Turns = append([]Turn{{Role: System, Parts: parts}}, r.Turns...)
	}
}

// addRest keeps members of an object that is otherwise taken apart.
func (r *Request) addRest(at string, rest jsontext.Value) {
	for _, x := range members(rest) {
		x.Name = at + x.Name
		r.Rest = append(r.Rest, x)
	}
}

func (m *messagesRequest) choice(r *Request) error {
	c := m.ToolChoice
	if c == nil {
		return nil
	}
	if c.DisableParallel != nil {
		parallel := !*c.DisableParallel
		r.Parallel = &parallel
	}
	r.noteWithin("tool_choice.", c.Rest)
	switch c.Type {
	case "auto":
		r.Choice.Mode = SayAuto
	case "none":
		r.Choice.Mode = Never
	case "any":
		r.Choice.Mode = Required
	case "tool":
		r.Choice.Mode, r.Choice.Names = Only, []string{c.Name}
	default:
		return &CannotCarry{Member: "tool_choice.type", Msg: "must be auto, any, tool or none"}
	}
	return nil
}

// reasoning reads thinking. Thoughts are shown unless it says otherwise; a
// display that is said is kept as Summary.
func (m *messagesRequest) reasoning(r *Request) error {
	if !given(m.Thinking) {
		return nil
	}
	var t struct {
		Type    string         `json:"type"`
		Budget  *int64         `json:"budget_tokens"`
		Display string         `json:"display"`
		Rest    jsontext.Value `json:",embed"`
	}
	if err := decodeAt(m.Thinking, &t, "thinking"); err != nil {
		return err
	}
	r.noteWithin("thinking.", t.Rest)
	switch t.Type {
	case "enabled":
		if t.Budget == nil {
			return &CannotCarry{Member: "thinking.budget_tokens", Msg: "must be an integer"}
		}
		r.Reasoning.Budget = t.Budget
	case "adaptive":
		r.Reasoning.Adapt = true
	case "disabled", "between_tools":
		r.Reasoning.Off = true
		return nil
	default:
		r.Rest = append(r.Rest, Member{Name: "thinking", Value: m.Thinking})
		return nil
	}
	r.Reasoning.Show = t.Display != "omitted"
	if t.Display == "summarized" {
		r.Reasoning.Summary = "auto"
	}
	return nil
}

// output reads output_config, and output_format, as it was called at first.
func (m *messagesRequest) output(r *Request) error {
	format, at := m.OutputFormat, "output_format"
	if c := m.OutputConfig; c != nil {
		r.Reasoning.Effort = c.Effort
		r.addRest("output_config.", c.Rest)
		if c.Format != nil {
			format, at = c.Format, "output_config.format"
		}
	}
	if format == nil {
		return nil
	}
	if format.Type != "json_schema" || !given(format.Schema) {
		return &CannotCarry{Member: at, Msg: "must be a json_schema with its schema"}
	}
	r.Format = Format{Kind: JSONSchema, Schema: format.Schema}
	r.noteWithin(at+".", format.Rest)
	return nil
}
