package neutral

import (
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"weir/costs"
	"weir/proxy/wire"
)

type geminiReply struct {
	Candidates     []geminiCandidate `json:"candidates,omitzero"`
	PromptFeedback *struct {
		BlockReason string `json:"blockReason,case:ignore"`
	} `json:"promptFeedback,omitzero,case:ignore"`
	UsageMetadata jsontext.Value `json:"usageMetadata,omitzero,case:ignore"`
	ModelVersion  string         `json:"modelVersion,omitzero,case:ignore"`
	ResponseID    string         `json:"responseId,omitzero,case:ignore"`
	Error         jsontext.Value `json:"error,omitzero"` // in a stream that has begun
}

type geminiCandidate struct {
	Content           geminiContent `json:"content,omitzero"`
	FinishReason      string        `json:"finishReason,omitzero,case:ignore"`
	Index             int           `json:"index,omitzero"`
	GroundingMetadata *struct {
		GroundingChunks []struct {
			Web struct {
				URI   string `json:"uri"`
				Title string `json:"title"`
			} `json:"web"`
		} `json:"groundingChunks,case:ignore"`
	} `json:"groundingMetadata,omitzero,case:ignore"`
	Logprobs *geminiLogprobs `json:"logprobsResult,omitzero,case:ignore"`
}

// cites are the web pages that an answer was grounded on.
func (c *geminiCandidate) cites() []Citation {
	if c.GroundingMetadata == nil {
		return nil
	}
	var list []Citation
	for _, g := range c.GroundingMetadata.GroundingChunks {
		if g.Web.URI != "" {
			list = append(list, Citation{URL: g.Web.URI, Title: g.Web.Title})
		}
	}
	return list
}

// geminiStops are the finish reasons with a meaning of their own; every other
// one is a fault of the model or of the request.
var geminiStops = map[string]StopReason{
	"STOP": StopEnd, "MAX_TOKENS": StopLength, "CONTINUATION": StopPause,
	"SAFETY": StopFilter, "RECITATION": StopFilter, "BLOCKLIST": StopFilter, "PROHIBITED_CONTENT": StopFilter,
	"SPII": StopFilter, "IMAGE_SAFETY": StopFilter, "IMAGE_PROHIBITED_CONTENT": StopFilter, "IMAGE_RECITATION": StopFilter, "LANGUAGE": StopFilter,
	"MALFORMED_FUNCTION_CALL": StopFault, "UNEXPECTED_TOOL_CALL": StopFault, "TOO_MANY_TOOL_CALLS": StopFault, "MALFORMED_RESPONSE": StopFault,
	"MISSING_THOUGHT_SIGNATURE": StopFault, "OTHER": StopFault, "NO_IMAGE": StopFault, "IMAGE_OTHER": StopFault, "ESCALATION": StopFault,
}

// geminiStop reads a finish reason. calls says that the model wants tools called.
func geminiStop(reason string, calls bool) StopReason {
	stop, ok := geminiStops[reason]
	switch {
	case reason == "":
		return StopUnknown
	case !ok:
		return StopFault
	case stop == StopEnd && calls:
		return StopTools
	}
	return stop
}

// writeGeminiStop is its inverse; raw is the upstream's own word.
func writeGeminiStop(stop StopReason, raw string) string {
	if own, ok := geminiStops[raw]; ok && (own == stop || own == StopEnd && stop == StopTools) {
		return raw
	}
	switch stop {
	case StopLength, StopContext, StopPause:
		return "MAX_TOKENS"
	case StopFilter, StopRefusal:
		return "SAFETY"
	case StopFault:
		return "OTHER"
	}
	return "STOP"
}

// replyIDs gives ids to a reply's calls: they differ from those of other
// replies, since clients match results by them.
func replyIDs(reply string, first string) *callIDs {
	h := fnv.New64a()
	_, _ = h.Write([]byte(reply + "\x00" + first)) // a hash never fails
	return &callIDs{prefix: strconv.FormatUint(h.Sum64(), 36) + "_"}
}

// decodeGenerateReply reads a whole reply of Gemini's.
func decodeGenerateReply(body []byte) (*Reply, error) {
	var in geminiReply
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	r := &Reply{ID: in.ResponseID, Model: in.ModelVersion, From: Generate}
	if given(in.UsageMetadata) {
		r.Usage, r.HasUsage = wire.ReadUsage(wire.Generate, in.UsageMetadata), true
	}
	ids := replyIDs(in.ResponseID, firstCall(&in))
	for i := range in.Candidates {
		c := &in.Candidates[i]
		p := partReader{ids: ids}
		p.read(c.Content.Parts)
		calls := false
		for j := range p.parts {
			calls = calls || p.parts[j].Kind == Call
		}
		if cites := c.cites(); len(cites) > 0 {
			p.cite(cites)
		}
		r.Choices = append(r.Choices, Candidate{Parts: p.parts, Stop: geminiStop(c.FinishReason, calls), RawStop: c.FinishReason, Logprobs: c.Logprobs.neutral()})
	}
	if len(r.Choices) == 0 && in.PromptFeedback != nil {
		r.Choices = []Candidate{{Stop: StopFilter, RawStop: in.PromptFeedback.BlockReason}}
	}
	return r, nil
}

// cite puts citations on the last text, or on one without words at the end
// where other things than its seal follow it.
func (r *partReader) cite(cites []Citation) {
	last := len(r.parts) - 1
	if last > 0 && bareSeal(&r.parts[last]) {
		last--
	}
	if last < 0 || r.parts[last].Kind != Text {
		r.parts = append(r.parts, Part{})
		last = len(r.parts) - 1
	}
	r.parts[last].Cites, r.parts[last].From = cites, Generate
}

// firstCall tells replies without an id apart.
func firstCall(in *geminiReply) string {
	for i := range in.Candidates {
		for j := range in.Candidates[i].Content.Parts {
			if c := in.Candidates[i].Content.Parts[j].FunctionCall; c != nil {
				args := c.Args.Clone()
				_ = args.Compact() // of valid JSON; streams and whole replies are spaced differently
				return c.Name + "(" + string(args) + ")"
			}
		}
	}
	return ""
}

// encodeGenerateReply writes a reply for a client of Gemini's API.
func encodeGenerateReply(reply *Reply, r *Request) []byte {
	var w jsonw
	w.obj()
	w.arrKey("candidates")
	for i := range reply.Choices {
		c := &reply.Choices[i]
		w.obj()
		w.objKey("content")
		w.arrKey("parts")
		for j := range c.Parts {
			writeReplyPart(&w, c.Parts, j)
		}
		w.endArr()
		w.strKey("role", "model")
		w.endObj()
		w.strKey("finishReason", writeGeminiStop(c.Stop, c.RawStop))
		w.intKey("index", int64(i))
		w.webCites(allCites(c.Parts))
		w.logprobs(readLogprobs(c.Logprobs))
		w.endObj()
	}
	w.endArr()
	writeTail(&w, reply.Usage, reply.HasUsage, modelOr(reply.Model, r), reply.ID)
	w.endObj()
	return w.b
}

func allCites(parts []Part) (list []Citation) {
	for i := range parts {
		list = append(list, parts[i].Cites...)
	}
	return list
}

func modelOr(served string, r *Request) string {
	if served != "" || r == nil {
		return served
	}
	return r.Model
}

func writeTail(w *jsonw, u costs.Usage, known bool, model, id string) {
	if known {
		w.key("usageMetadata")
		w.b = appendGenerateUsage(w.b, u)
	}
	w.strIf("modelVersion", model)
	w.strIf("responseId", id)
}

// writeReplyPart writes a part of the model's for Gemini's clients.
func writeReplyPart(w *jsonw, parts []Part, i int) {
	p := &parts[i]
	switch p.Kind {
	case Text, Refusal:
		if p.Text == "" {
			return
		}
		w.obj()
		w.strKey("text", p.Text)
		w.strIf("thoughtSignature", hanging(parts, i))
		w.endObj()
	case Thinking:
		if i > 0 && hanging(parts, i-1) != "" {
			return // written with the part before it
		}
		writeThought(w, p.Thought.Text, p.Thought.From, p.Thought.seal())
	case Call:
		writeCall(w, p.Call, p.Call.Args)
	case Image, Audio, Video, File:
		writeReplyMedia(w, p, hanging(parts, i))
	case Opaque:
		if p.From == Generate {
			w.raw(p.Raw)
		}
	}
}

func writeReplyMedia(w *jsonw, p *Part, seal string) {
	m := p.Media
	if m.Data == "" && m.URL == "" {
		return
	}
	w.obj()
	if m.Data != "" {
		w.objKey("inlineData")
		w.strKey("mimeType", mimeOf(p))
		w.strKey("data", m.Data)
	} else {
		w.objKey("fileData")
		w.strKey("mimeType", mimeOf(p))
		w.strKey("fileUri", m.URL)
	}
	w.endObj()
	w.strIf("thoughtSignature", seal)
	w.endObj()
}

func writeThought(w *jsonw, text string, from API, seal string) {
	if text == "" && seal == "" {
		return
	}
	w.obj()
	w.strKey("text", text)
	if text != "" || from != Generate {
		w.boolKey("thought", true)
	}
	w.strIf("thoughtSignature", writeSignature(from, seal))
	w.endObj()
}

func writeCall(w *jsonw, c *ToolCall, args string) {
	w.obj()
	w.objKey("functionCall")
	if !strings.HasPrefix(c.ID, madeID) {
		w.strIf("id", c.ID)
	}
	w.strKey("name", c.Name)
	w.key("args")
	switch {
	case args == "":
		w.empty()
	case isObject(args):
		w.raw([]byte(args))
	default: // free text, or what is no JSON: the words stay
		w.freeText(args)
	}
	w.endObj()
	if c.Signature != "" {
		w.strKey("thoughtSignature", writeSignature(c.From, c.Signature))
	}
	w.endObj()
}
