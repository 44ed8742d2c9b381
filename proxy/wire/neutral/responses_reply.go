package neutral

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"weir/proxy/wire"
)

// responsesReply is a response object, whole or within a stream's event.
type responsesReply struct {
	ID        string     `json:"id"`
	Model     string     `json:"model"`
	CreatedAt rawValue   `json:"created_at"`
	Status    string     `json:"status"`
	Tier      string     `json:"service_tier"`
	Output    []rawValue `json:"output"`
	Usage     rawValue   `json:"usage"`
	Error     rawValue   `json:"error"`
	Detail    struct {
		Reason string `json:"reason"`
	} `json:"incomplete_details"`
}

// created is the time in Unix seconds, which some write as a float.
func (m *responsesReply) created() int64 {
	n, err := strconv.ParseFloat(string(m.CreatedAt), 64)
	if err != nil || n < 0 || n > 1<<53 {
		return 0
	}
	return int64(n)
}

// rawStop is why the model stopped, in the API's words.
func (m *responsesReply) rawStop() string {
	if m.Status == "incomplete" && m.Detail.Reason != "" {
		return m.Detail.Reason
	}
	return m.Status
}

// stop is why the model stopped. calls and refused say what is in the output.
func (m *responsesReply) stop(calls, refused bool) StopReason {
	switch m.Status {
	case "completed":
		switch {
		case calls:
			return StopTools
		case refused:
			return StopRefusal
		}
		return StopEnd
	case "incomplete":
		switch m.Detail.Reason {
		case "content_filter":
			return StopFilter
		case "steered", "max_messages":
			return StopPause
		}
		return StopLength
	case "failed", "cancelled":
		return StopFault
	}
	return StopUnknown
}

// told says what of an output decides why it stopped.
func told(parts []Part) (calls, refused bool) {
	for i := range parts {
		calls = calls || parts[i].Kind == Call
		refused = refused || parts[i].Kind == Refusal
	}
	return calls, refused
}

// decodeResponsesReply reads an upstream's whole reply.
func decodeResponsesReply(body []byte) (*Reply, error) {
	var m responsesReply
	if err := decode(body, &m); err != nil {
		return nil, err
	}
	reply := &Reply{ID: m.ID, Model: m.Model, Created: m.created(), ServiceTier: m.Tier, From: Responses}
	var in responsesInput
	for i, item := range m.Output {
		if err := in.read(jsontext.Value(item)); err != nil {
			return nil, within(err, indexed("output", i))
		}
	}
	c := Candidate{RawStop: m.rawStop()}
	for i := range in.turns {
		c.Parts = append(c.Parts, in.turns[i].Parts...)
	}
	c.Stop = m.stop(told(c.Parts))
	if in.logprobs != nil {
		c.Logprobs = responsesLogprobs(in.logprobs)
	}
	reply.Choices = []Candidate{c}
	if usage := m.Usage.kept(); usage != nil {
		reply.Usage, reply.HasUsage = wire.ReadUsage(wire.Responses, usage), true
	}
	return reply, nil
}

// responsesLogprobs makes OpenAI's form of log probabilities of a list of them.
func responsesLogprobs(list jsontext.Value) jsontext.Value {
	w := jsonw{}
	w.obj()
	w.rawKey("content", list)
	w.nullKey("refusal")
	w.endObj()
	return w.b
}

// logprobElements are the elements of the list in that form.
func logprobElements(form jsontext.Value) []byte {
	var o struct {
		Content rawValue `json:"content"`
		Refusal rawValue `json:"refusal"`
	}
	if decode(form, &o) != nil {
		return nil
	}
	list := jsontext.Value(o.Content)
	if list.Kind() != '[' {
		list = jsontext.Value(o.Refusal)
	}
	if list.Kind() != '[' {
		return nil
	}
	w := jsonw{line: true}
	_ = eachElement(list, func(_ int, v jsontext.Value) error { // valid: it was decoded
		w.raw(v)
		return nil
	})
	return w.b
}

// encodeResponsesReply writes a reply for a client that asked r. It is what a
// stream of the same parts ends with.
func encodeResponsesReply(reply *Reply, r *Request) []byte {
	e := newResponsesEncoder(r)
	e.quiet = true
	e.take(&Event{Kind: Begin, ID: reply.ID, Model: reply.Model, Created: reply.Created, Tier: reply.ServiceTier})
	if len(reply.Choices) > 0 {
		c := &reply.Choices[0]
		if len(c.Logprobs) > 0 {
			e.take(&Event{Kind: LogprobsDelta, Logprobs: c.Logprobs})
		}
		for i := range c.Parts {
			e.whole(i, &c.Parts[i])
		}
		e.take(&Event{Kind: Stop, Reason: c.Stop, RawStop: c.RawStop})
	}
	if reply.HasUsage {
		e.take(&Event{Kind: Count, Usage: reply.Usage})
	}
	e.settle()
	w := jsonw{}
	e.response(&w, e.status())
	return w.b
}

// whole takes a part that is there at once.
func (e *responsesEncoder) whole(i int, p *Part) {
	e.take(&Event{Kind: Open, Index: i, Part: p})
	switch p.Kind {
	case Text, Refusal:
		e.take(&Event{Kind: TextDelta, Index: i, Text: p.Text})
		if len(p.Cites) > 0 {
			e.take(&Event{Kind: CiteDelta, Index: i, Part: p})
		}
	case Thinking:
		e.take(&Event{Kind: TextDelta, Index: i, Text: p.Thought.Text})
	case Call:
		e.take(&Event{Kind: ArgsDelta, Index: i, Text: p.Call.Args})
	}
	e.take(&Event{Kind: Close, Index: i, Part: p})
}

// echo writes what a response repeats of its request, with the defaults of
// what was not said. Every member is there that the SDKs' types want.
func (r *Request) echo() []byte {
	w := jsonw{line: true}
	rest := func(name, otherwise string) {
		v := jsontext.Value(otherwise)
		for _, m := range r.Rest {
			if m.Name == name && len(m.Value) != 0 {
				v = m.Value
			}
		}
		w.rawKey(name, v)
	}
	rest("background", "false")
	instructions := ""
	if len(r.Turns) > 0 && r.Turns[0].ID == instructionsID {
		instructions = plainText(r.Turns[0].Parts)
	}
	w.strNull("instructions", instructions)
	w.key("max_output_tokens")
	w.intOrNull(r.MaxOutput)
	rest("max_tool_calls", "null")
	w.boolKey("parallel_tool_calls", r.Parallel == nil || *r.Parallel)
	w.strNull("previous_response_id", r.Previous)
	w.strNull("prompt_cache_key", r.CacheKey)
	w.objKey("reasoning")
	w.strNull("effort", r.Reasoning.Effort)
	w.strNull("summary", r.Reasoning.Summary)
	w.endObj()
	w.strNull("safety_identifier", r.User)
	w.boolKey("store", r.Store != nil && *r.Store)
	w.rawOr("temperature", r.Temperature, "1.0")
	w.echoText(r)
	w.echoTools(r)
	w.key("top_logprobs")
	if r.TopLogprobs == nil {
		w.int(0)
	} else {
		w.int(*r.TopLogprobs)
	}
	w.rawOr("top_p", r.TopP, "1.0")
	rest("truncation", `"disabled"`)
	if len(r.Metadata) == 0 {
		w.key("metadata")
		w.empty()
	}
	w.stringsObj("metadata", r.Metadata)
	return w.b
}

func (w *jsonw) intOrNull(n *int64) {
	if n == nil {
		w.null()
		return
	}
	w.int(*n)
}

// rawOr writes a value, or otherwise where it is not given.
func (w *jsonw) rawOr(name string, v jsontext.Value, otherwise string) {
	if !given(v) {
		v = jsontext.Value(otherwise)
	}
	w.rawKey(name, v)
}

func (w *jsonw) echoText(r *Request) {
	w.objKey("text")
	f := r.Format
	if f.Kind == FreeText {
		f.Kind = SayText
	}
	w.format(&f)
	if r.Verbosity == "" {
		w.strKey("verbosity", "medium")
	}
	w.strIf("verbosity", r.Verbosity)
	w.endObj()
}

func (w *jsonw) echoTools(r *Request) {
	at := len(w.b)
	w.toolChoice(&r.Choice, r.Tools)
	if len(w.b) == at {
		w.strKey("tool_choice", "auto")
	}
	w.arrKey("tools")
	for i := range r.Tools {
		t := &r.Tools[i]
		switch {
		case t.Raw == nil:
			w.echoTool(t)
		case t.From == Responses:
			w.raw(t.Raw)
		}
	}
	w.endArr()
}

// echoTool writes a tool with every member that its type has. Strict is this
// API's default.
func (w *jsonw) echoTool(t *Tool) {
	if t.Custom {
		w.ourTool(t, true)
		return
	}
	w.obj()
	w.strKey("type", "function")
	w.strKey("name", t.Name)
	w.strNull("description", t.Description)
	w.rawKey("parameters", t.Schema)
	w.boolKey("strict", t.Strict == nil || *t.Strict)
	if t.From == Responses {
		w.members(members(t.Extra))
	}
	w.endObj()
}
