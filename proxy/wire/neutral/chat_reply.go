package neutral

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"weir/proxy/wire"
)

// A chatReply is a whole reply or one chunk of a stream.
type chatReply struct {
	ID          chatWord       `json:"id"`
	Model       string         `json:"model"`
	Created     jsontext.Value `json:"created"`
	Choices     []chatChoice   `json:"choices"`
	Usage       jsontext.Value `json:"usage"`
	ServiceTier string         `json:"service_tier"`
	Fingerprint string         `json:"system_fingerprint"`
	Groq        *chatGroq      `json:"x_groq"`
	Error       jsontext.Value `json:"error"`
	Object      string         `json:"object"`
}

// chatGroq is where Groq's streams tell the usage.
type chatGroq struct {
	Usage jsontext.Value `json:"usage"`
	Error string         `json:"error"`
}

type chatChoice struct {
	Index        int            `json:"index"`
	Message      *chatMessage   `json:"message"`
	Delta        *chatMessage   `json:"delta"`
	FinishReason string         `json:"finish_reason"`
	StopReason   jsontext.Value `json:"stop_reason"` // vLLM: the stop string that was met, or a token's number
	Logprobs     jsontext.Value `json:"logprobs"`
}

// created is a time that some servers write as a fraction or a string.
func (c *chatReply) created() int64 {
	text, _, _ := strings.Cut(strings.Trim(string(c.Created), `"`), ".")
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}

// usage is the usage object, wherever it stands; nil: none.
func (c *chatReply) usage() jsontext.Value {
	if given(c.Usage) {
		return c.Usage
	}
	if c.Groq != nil && given(c.Groq.Usage) {
		return c.Groq.Usage
	}
	return nil
}

func decodeChatReply(body []byte) (*Reply, error) {
	var c chatReply
	if err := decode(body, &c); err != nil {
		return nil, err
	}
	out := &Reply{
		From: Chat, ID: string(c.ID), Model: c.Model, Created: c.created(), ServiceTier: c.ServiceTier, Fingerprint: c.Fingerprint,
		Choices: make([]Candidate, 0, len(c.Choices)),
	}
	if raw := c.usage(); raw != nil {
		out.Usage, out.HasUsage = wire.ReadUsage(wire.Chat, raw), true
	}
	for i := range c.Choices {
		out.Choices = append(out.Choices, c.Choices[i].candidate(out.ID, i))
	}
	return out, nil
}

func (c *chatChoice) candidate(reply string, choice int) Candidate {
	m := c.Message
	if m == nil {
		m = c.Delta // some servers answer with one chunk
	}
	out := Candidate{RawStop: c.FinishReason, Logprobs: number(c.Logprobs)}
	if m != nil {
		var d chatTurns
		var t Turn
		d.said(m, &t, "")
		out.Parts = t.Parts
		for i := range m.Images {
			if p := m.Images[i].shown(); p.Media != nil {
				out.Parts = append(out.Parts, p)
			}
		}
	}
	calls, refused := 0, false
	for i := range out.Parts {
		p := &out.Parts[i]
		if p.Raw != nil && p.Kind != Opaque {
			p.Raw, p.From = nil, "" // members of requests only
			if p.Cites != nil {
				p.From = Chat
			}
		}
		switch p.Kind {
		case Call:
			if p.Call.ID == "" || m.FunctionCall != nil && strings.HasPrefix(p.Call.ID, legacyCall) {
				p.Call.ID = madeCallID(reply, choice, calls)
			}
			calls++
		case Refusal:
			refused = true
		}
	}
	out.Stop = chatStop(c.FinishReason, calls > 0, refused)
	if s, ok := textOf(c.StopReason); ok && s != "" && out.Stop == StopEnd {
		out.Stop, out.StopSequence = StopSequence, s
	}
	return out
}

// shown is a picture of a reply.
func (x *chatPart) shown() Part {
	p := x.part()
	p.Raw, p.From = nil, ""
	return p
}

// madeCallID is the id of a call that came without one: the same in a stream
// and in a whole reply.
func madeCallID(reply string, choice, n int) string {
	id := "call_" + strings.TrimPrefix(reply, "chatcmpl-") + "_" + strconv.Itoa(n)
	if choice > 0 {
		id += "_" + strconv.Itoa(choice)
	}
	return id
}

// chatStop is what a finish_reason means. Some servers say stop on tool calls.
func chatStop(word string, calls, refused bool) StopReason {
	switch word {
	case "length", "max_tokens":
		return StopLength
	case "tool_calls", "function_call", "tool_use":
		return StopTools
	case "content_filter", "safety":
		return StopFilter
	case "model_length": // Mistral
		return StopContext
	case "error", "insufficient_system_resource", "abort": // OpenRouter and Mistral, DeepSeek, SGLang
		return StopFault
	case "refusal":
		return StopRefusal
	}
	switch {
	case calls:
		return StopTools
	case word == "":
		return StopUnknown
	case refused:
		return StopRefusal
	}
	return StopEnd
}

// chatFinish is a stop reason in chat's words. The five are all that the
// SDKs' types allow: what broke off for another reason than length is
// content_filter, so that it does not look whole.
func chatFinish(s StopReason, calls, refused, legacy bool) string {
	switch s {
	case StopLength, StopContext, StopPause: // of a pause, too, there is more to come
		return "length"
	case StopFilter, StopFault:
		return "content_filter"
	case StopRefusal:
		if !refused {
			return "content_filter"
		}
	}
	switch {
	case calls && legacy:
		return "function_call"
	case calls:
		return "tool_calls"
	}
	return "stop"
}

// chatReplyID is a reply's id as chat clients know them.
func chatReplyID(id string) string {
	if strings.HasPrefix(id, "chatcmpl") {
		return id
	}
	return "chatcmpl-" + id
}

func encodeChatReply(reply *Reply, r *Request) []byte {
	w := jsonw{b: make([]byte, 0, 1024)}
	w.obj()
	w.strKey("id", chatReplyID(reply.ID))
	w.strKey("object", "chat.completion")
	w.intKey("created", reply.Created)
	w.strKey("model", reply.Model)
	w.arrKey("choices")
	for i := range reply.Choices {
		w.candidate(&reply.Choices[i], i, r)
	}
	w.endArr()
	if reply.HasUsage {
		w.key("usage")
		w.b = appendChatUsage(w.b, reply.Usage)
	}
	w.strIf("service_tier", chatTier(reply.ServiceTier))
	w.strIf("system_fingerprint", reply.Fingerprint)
	w.endObj()
	return w.b
}

// chatTier is a service tier in chat's words; "" for one that it has none for.
func chatTier(tier string) string {
	switch tier {
	case "auto", "default", "flex", "scale", "priority", "fast":
		return tier
	case "standard", "STANDARD", "on_demand": // Anthropic, Gemini, Groq
		return "default"
	}
	return ""
}

func (w *jsonw) candidate(c *Candidate, index int, r *Request) {
	var m chatAnswer
	stand := newStandIns(r)
	for i := range c.Parts {
		m.take(stand.part(&c.Parts[i]))
	}
	w.obj()
	w.intKey("index", int64(index))
	w.objKey("message")
	w.strKey("role", "assistant")
	m.write(w, r)
	w.endObj()
	w.rawKey("logprobs", c.Logprobs)
	w.strKey("finish_reason", chatFinish(c.Stop, len(m.calls) > 0, m.refused, r.Legacy))
	w.endObj()
}

// A chatAnswer gathers the parts of a reply by the member that they belong to.
type chatAnswer struct {
	text     strings.Builder
	worded   bool // there is a text, be it empty
	refusal  string
	refused  bool
	thought  strings.Builder
	thoughts []*Thought
	calls    []*ToolCall
	cites    []Citation // with places in all of the text
	audio    *Media
	images   []*Media
	runes    int64 // of text
}

func (a *chatAnswer) take(p *Part) {
	switch p.Kind {
	case Text:
		from := a.runes
		a.text.WriteString(p.Text)
		a.runes += int64(utf8.RuneCountInString(p.Text))
		a.worded = true
		a.cites = appendCites(a.cites, p.Cites, from, a.runes)
	case Refusal:
		a.refusal += p.Text
		a.refused = true
	case Thinking:
		if p.Thought.Text != "" && a.thought.Len() > 0 {
			a.thought.WriteString(thoughtGap)
		}
		a.thought.WriteString(p.Thought.Text)
		a.thoughts = append(a.thoughts, p.Thought)
	case Call:
		a.calls = append(a.calls, p.Call)
	case Audio:
		a.audio = p.Media
	case Image:
		a.images = append(a.images, p.Media)
	}
}

// thoughtGap parts the pieces of reasoning in one text.
const thoughtGap = "\n\n"

// appendCites appends the citations that name an address, with their places
// counted from the start of all text; a part's text is from…to of it.
func appendCites(dst, cites []Citation, from, to int64) []Citation {
	for _, c := range cites {
		if c.URL == "" {
			continue
		}
		start := from
		if from == to { // of a part without words: of all that was said
			start = 0
		}
		if c.Start == 0 && c.End == 0 {
			c.End = to - start
		}
		c.Start, c.End = min(start+c.Start, to), min(start+c.End, to)
		dst = append(dst, c)
	}
	return dst
}

func (a *chatAnswer) write(w *jsonw, r *Request) {
	if a.worded {
		w.strKey("content", a.text.String())
	} else {
		w.nullKey("content")
	}
	if a.refused {
		w.strKey("refusal", a.refusal)
	} else {
		w.nullKey("refusal")
	}
	w.strIf("reasoning_content", a.thought.String())
	w.details(a.thoughts)
	if len(a.cites) > 0 {
		w.annotations(a.cites)
	}
	if a.audio != nil {
		w.audio(a.audio)
	}
	w.images(a.images)
	if len(a.calls) == 0 {
		return
	}
	if r.Legacy {
		w.objKey("function_call")
		w.strKey("name", a.calls[0].Name)
		w.strKey("arguments", orEmpty(a.calls[0].Args))
		w.endObj()
		return
	}
	w.arrKey("tool_calls")
	for _, c := range a.calls {
		w.obj()
		w.strKey("id", CallWithSeal(c.ID, c.From, c.Signature))
		w.callBody(c, c.Args)
		if c.Signature != "" && c.From == Generate {
			w.googleSeal(c.Signature)
		}
		w.endObj()
	}
	w.endArr()
}

// orEmpty is a call's arguments, which are an object even where none were given.
func orEmpty(args string) string {
	if args == "" {
		return "{}"
	}
	return args
}

func (w *jsonw) annotations(cites []Citation) {
	w.arrKey("annotations")
	for _, c := range cites {
		w.obj()
		w.strKey("type", "url_citation")
		w.objKey("url_citation")
		w.intKey("start_index", c.Start)
		w.intKey("end_index", c.End)
		w.strKey("url", c.URL)
		w.strKey("title", c.Title)
		w.endObj()
		w.endObj()
	}
	w.endArr()
}

func (w *jsonw) audio(m *Media) {
	w.objKey("audio")
	w.strKey("id", m.FileID)
	w.strKey("data", m.Data)
	w.strKey("transcript", m.Text)
	if m.Extra != nil {
		w.rawKey("expires_at", m.Extra)
	} else {
		w.intKey("expires_at", 0)
	}
	w.endObj()
}

// images writes pictures of the model as OpenRouter does: OpenAI's own models make none here.
func (w *jsonw) images(list []*Media) {
	if len(list) == 0 {
		return
	}
	w.arrKey("images")
	for i, m := range list {
		w.image(m, i)
	}
	w.endArr()
}

func (w *jsonw) image(m *Media, index int) {
	w.obj()
	w.strKey("type", "image_url")
	w.objKey("image_url")
	w.url(m)
	w.endObj()
	w.intKey("index", int64(index))
	w.endObj()
}
