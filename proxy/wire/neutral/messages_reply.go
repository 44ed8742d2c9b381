package neutral

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"weir/proxy/wire"
)

// messagesCodec speaks Anthropic's Messages API.
var messagesCodec = register(&Codec{
	API:           Messages,
	DecodeRequest: worded(Messages, decodeMessagesRequest),
	EncodeRequest: encodeMessagesRequest,
	DecodeReply:   decodeMessagesReply,
	EncodeReply:   encodeMessagesReply,
	NewDecoder:    func() Decoder { return &messagesDecoder{} },
	NewEncoder:    func(r *Request) Encoder { return newMessagesEncoder(r) },
	Fields:        messagesFields,
}, wire.Messages)

// messagesReply is a message, whole or as it begins in a stream.
type messagesReply struct {
	ID           string          `json:"id"`
	Model        string          `json:"model"`
	Content      messagesContent `json:"content"`
	StopReason   string          `json:"stop_reason"`
	StopSequence string          `json:"stop_sequence"`
	Usage        jsontext.Value  `json:"usage"`
}

// tier is the service tier that a usage object tells, in our words.
func (m *messagesReply) tier() string {
	var u struct {
		Tier string `json:"service_tier"`
	}
	if !given(m.Usage) || decode(m.Usage, &u) != nil {
		return ""
	}
	if u.Tier == "standard" {
		return "default"
	}
	return u.Tier
}

func decodeMessagesReply(body []byte) (*Reply, error) {
	var m messagesReply
	if err := decode(body, &m); err != nil {
		return nil, err
	}
	reply := &Reply{ID: m.ID, Model: m.Model, ServiceTier: m.tier(), From: Messages}
	reply.Choices = []Candidate{{
		Parts: m.Content.parts, Stop: messagesStop(m.StopReason), StopSequence: m.StopSequence, RawStop: m.StopReason,
	}}
	if given(m.Usage) {
		reply.Usage, reply.HasUsage = wire.ReadUsage(wire.Messages, m.Usage), true
	}
	return reply, nil
}

// messagesStops are Anthropic's reasons to stop.
var messagesStops = []struct {
	word   string
	reason StopReason
}{
	{"end_turn", StopEnd},
	{"max_tokens", StopLength},
	{"stop_sequence", StopSequence},
	{"tool_use", StopTools},
	{"pause_turn", StopPause},
	{"refusal", StopRefusal},
	{"model_context_window_exceeded", StopContext},
	{"refusal", StopFilter}, // this and the next one are only to be written
	{"refusal", StopFault},  // so that it does not look whole
}

func messagesStop(word string) StopReason {
	for _, s := range messagesStops {
		if s.word == word {
			return s.reason
		}
	}
	return StopUnknown
}

// stopWord is a reason in Anthropic's words.
func stopWord(reason StopReason, calls bool) string {
	for _, s := range messagesStops {
		if s.reason == reason && (reason != StopEnd || !calls) {
			return s.word
		}
	}
	if calls {
		return "tool_use"
	}
	return "end_turn"
}

// messagesReplyID is an id as this dialect's clients know them.
func messagesReplyID(id string) string {
	if strings.HasPrefix(id, "msg_") {
		return id
	}
	return "msg_" + id
}

// encodeMessagesReply writes a message. Of several choices it is the first.
func encodeMessagesReply(reply *Reply, _ *Request) []byte {
	w := jsonw{b: make([]byte, 0, 1024)}
	var c Candidate
	if len(reply.Choices) > 0 {
		c = reply.Choices[0]
	}
	w.obj()
	w.strKey("id", messagesReplyID(reply.ID))
	w.strKey("type", "message")
	w.strKey("role", "assistant")
	w.strKey("model", reply.Model)
	w.arrKey("content")
	calls := false
	for i := range c.Parts {
		w.messagesPart(&c.Parts[i])
		calls = calls || c.Parts[i].Kind == Call
	}
	w.endArr()
	w.strKey("stop_reason", stopWord(c.Stop, calls))
	w.strNull("stop_sequence", c.StopSequence)
	w.key("usage")
	w.b = appendMessagesUsage(w.b, reply.Usage)
	w.tierIn(reply.ServiceTier)
	w.endObj()
	return w.b
}

// tierIn adds the service tier to the usage object that w ends with.
func (w *jsonw) tierIn(tier string) {
	if tier == "" {
		return
	}
	w.b = w.b[:len(w.b)-1]
	if tier == "default" {
		tier = "standard"
	}
	w.strKey("service_tier", tier)
	w.endObj()
}

// messagesPart writes a block of a message for a client. Anthropic's have no
// pictures: such a part is left out (LeftOut).
func (w *jsonw) messagesPart(p *Part) {
	switch p.Kind {
	case Text, Refusal:
		if p.Text == "" && len(p.Cites) == 0 {
			return
		}
		w.obj()
		w.strKey("type", "text")
		w.strKey("text", p.Text)
		if len(p.Cites) > 0 {
			w.arrKey("citations")
			for i := range p.Cites {
				w.messagesCitation(p, &p.Cites[i])
			}
			w.endArr()
		}
		w.endObj()
	case Call:
		if len(p.Raw) != 0 && p.From == Messages {
			w.raw(p.Raw)
			return
		}
		w.obj()
		w.strKey("type", "tool_use")
		w.strKey("id", clientCallID(p.Call))
		w.strKey("name", p.Call.Name)
		w.key("input")
		w.messagesInput(p.Call)
		w.endObj()
	case Thinking:
		if t := p.Thought; t.Text != "" || t.Signature != "" || t.Sealed != "" {
			w.thinkingBlock(t)
		}
	case Opaque:
		if p.From == Messages {
			w.raw(p.Raw)
		}
	}
}

// clientCallID is a call's id with the seal that another vendor has put on the call.
func clientCallID(c *ToolCall) string { return CallWithSeal(c.ID, c.From, c.Signature) }

// messagesInput writes a call's arguments. Such as are no object, which a model may
// have got wrong or not finished, are shown as they are.
func (w *jsonw) messagesInput(c *ToolCall) {
	switch {
	case c.Custom:
		w.obj()
		w.strKey("input", c.Args)
		w.endObj()
	case strings.TrimSpace(c.Args) == "":
		w.empty()
	case isObject(c.Args):
		w.raw([]byte(c.Args))
	default:
		w.obj()
		w.strKey("_raw", c.Args)
		w.endObj()
	}
}

// messagesCitation writes one citation: another dialect's as a web search's.
func (w *jsonw) messagesCitation(p *Part, c *Citation) {
	if p.From == Messages && len(c.Raw) != 0 {
		w.raw(c.Raw)
		return
	}
	w.obj()
	w.strKey("type", "web_search_result_location")
	w.strKey("url", c.URL)
	w.strNull("title", c.Title)
	w.strKey("cited_text", c.Quote)
	w.strKey("encrypted_index", "")
	w.endObj()
}
