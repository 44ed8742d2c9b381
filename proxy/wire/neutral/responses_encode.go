package neutral

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// responsesWriter writes one request for an upstream.
type responsesWriter struct {
	jsonw
	r      *Request
	n      *Notes
	own    bool     // the request came in this dialect: it goes back as it was
	custom []string // the ids of calls of custom tools
}

// encodeResponsesRequest writes a body for an upstream that speaks this API.
func encodeResponsesRequest(r *Request, n *Notes) ([]byte, error) {
	r = r.forTarget(n, Responses, true)
	w := &responsesWriter{r: r, n: n, own: r.From == Responses}
	w.b = make([]byte, 0, responsesSize(r))
	w.obj()
	w.strKey("model", r.Model)
	w.input()
	w.tools()
	w.choice()
	w.boolIf("parallel_tool_calls", r.Parallel)
	w.limits()
	w.reasoning()
	w.text()
	w.include()
	w.account()
	if r.Stream {
		w.boolKey("stream", true)
	}
	w.unsaid()
	w.rest()
	w.endObj()
	return w.b, n.Err()
}

// responsesSize is a first guess at a body's size, so that large pictures are
// copied once.
func responsesSize(r *Request) int {
	size := 1024
	var add func(parts []Part)
	add = func(parts []Part) {
		for i := range parts {
			p := &parts[i]
			size += 96 + len(p.Text) + len(p.Text)/16 + len(p.Raw)
			if p.Media != nil {
				size += len(p.Media.Data) + len(p.Media.URL)
			}
			if p.Call != nil {
				size += len(p.Call.Args) + len(p.Call.Args)/8
			}
			if p.Thought != nil {
				size += len(p.Thought.Sealed) + len(p.Thought.Text)
			}
			if p.Result != nil {
				add(p.Result.Parts)
			}
		}
	}
	for i := range r.Turns {
		add(r.Turns[i].Parts)
	}
	for i := range r.Tools {
		size += 128 + len(r.Tools[i].Description) + len(r.Tools[i].Schema) + len(r.Tools[i].Raw)
	}
	return size
}

// drop notes a feature by the client's name for it, refuse refuses it.
func (w *responsesWriter) drop(feature string) { w.n.Drop(memberName(w.r.From, feature)) }

func (w *responsesWriter) refuse(feature, why string, args ...any) {
	w.n.Refuse(memberName(w.r.From, feature), why, args...)
}

// input writes the turns as items.
func (w *responsesWriter) input() {
	turns := w.r.Turns
	if len(turns) > 0 && turns[0].ID == instructionsID && turns[0].Role == System {
		w.strKey("instructions", plainText(turns[0].Parts))
		turns = turns[1:]
	}
	if len(turns) == 0 && (w.own && (w.r.Previous != "" || len(w.r.Rest) > 0)) {
		return
	}
	for i := range turns {
		for j := range turns[i].Parts {
			if c := turns[i].Parts[j].Call; c != nil && c.Custom {
				w.custom = append(w.custom, c.ID)
			}
		}
	}
	w.arrKey("input")
	if w.r.Format.Kind == JSONObject && !w.own && !saysJSON(w.r.Turns) {
		w.lit(`{"type":"message","role":"developer","content":"Answer with one JSON object."}`)
	}
	for i := range turns {
		w.turn(&turns[i])
	}
	w.endArr()
}

// turn writes a turn: its calls, results and reasoning are items of their own,
// and what stands between them is a message.
func (w *responsesWriter) turn(t *Turn) {
	if t.Name != "" {
		w.drop(FeatureName)
	}
	said := slices.ContainsFunc(t.Parts, isContent)
	if !said && (len(t.Parts) == 0 || t.ID != "" || t.Extra != nil) {
		w.message(t, nil, true)
	}
	first := true
	for i := 0; i < len(t.Parts); {
		p := &t.Parts[i]
		if !isContent(*p) {
			w.item(p)
			i++
			continue
		}
		end := i + 1
		for end < len(t.Parts) && isContent(t.Parts[end]) {
			end++
		}
		w.message(t, t.Parts[i:end], first)
		first = false
		i = end
	}
}

// isContent reports whether a part stands in a message.
func isContent(p Part) bool {
	switch p.Kind {
	case Call, Result, Thinking:
		return false
	case Opaque:
		kind := itemKind(p.Raw)
		return p.From == Responses && !isOutputItem(kind) && (strings.HasPrefix(kind, "input_") || strings.HasPrefix(kind, "output_"))
	}
	return true
}

var responsesRoles = [...]string{User: "user", Assistant: "assistant", System: "system", Developer: "developer"}

// message writes one message; the first of a turn has the turn's id.
func (w *responsesWriter) message(t *Turn, parts []Part, first bool) {
	w.obj()
	w.strKey("type", "message")
	if first && w.own {
		w.strIf("id", t.ID)
		if t.ID != "" && t.Role == Assistant {
			w.strKey("status", "completed")
		}
	}
	w.strKey("role", responsesRoles[t.Role])
	w.key("content")
	w.content(parts, t.Role, t.ID == "" || t.Role != Assistant)
	if first && w.own {
		w.members(members(t.Extra))
	}
	w.endObj()
}

// content writes parts, or where short allows it a single text as it is.
func (w *responsesWriter) content(parts []Part, role Role, short bool) {
	if short && len(parts) == 0 {
		w.str("")
		return
	}
	if short && len(parts) == 1 && parts[0].Kind == Text && parts[0].Raw == nil && len(parts[0].Cites) == 0 {
		w.mark(parts[0].Cache)
		w.str(parts[0].Text)
		return
	}
	w.arr()
	for i := range parts {
		w.part(&parts[i], role)
	}
	w.endArr()
}

// mark notes another vendor's cache mark.
func (w *responsesWriter) mark(cache jsontext.Value) {
	if len(cache) != 0 && !w.own {
		w.drop(FeatureCacheMarks)
	}
}

func (w *responsesWriter) part(p *Part, role Role) {
	if p.From == Responses && p.Raw != nil {
		w.raw(p.Raw)
		return
	}
	w.mark(p.Cache)
	switch p.Kind {
	case Text:
		if role != Assistant {
			w.obj()
			w.strKey("type", "input_text")
			w.strKey("text", p.Text)
			w.endObj()
			return
		}
		w.outputText(p.Text, w.citations(p), nil)
	case Refusal:
		w.refusal(p.Text)
	case Image:
		w.image(p.Media, role)
	case File:
		w.file(p.Media, role)
	case Audio:
		w.audioPart(p.Media)
	case Video:
		w.refuse(FeatureVideo, "the Responses API takes no video; leave it out, or send the call to a Gemini model")
	default:
		w.refuse(FeatureVendorTools, "a part that only %s knows; leave it out", vendorOf(p.From))
	}
}

// vendorOf names whose API it is, for messages.
func vendorOf(api API) string {
	switch api {
	case Messages:
		return "Anthropic"
	case Generate:
		return "Google"
	}
	return "OpenAI"
}

// citations are a text's annotations, of URLs where another vendor wrote them.
func (w *responsesWriter) citations(p *Part) []byte {
	list := appendAnnotations(nil, p.Cites, p.From, utf8.RuneCountInString(p.Text))
	if len(p.Cites) > 0 && len(list) == 0 {
		w.drop(FeatureCitations)
	}
	return list
}

// appendAnnotations appends citations as the elements of a list. One of a whole
// part is of all its characters.
func appendAnnotations(dst []byte, cites []Citation, from API, characters int) []byte {
	w := jsonw{b: dst, line: true}
	for i := range cites {
		c := cites[i]
		if c.Start == 0 && c.End == 0 {
			c.End = int64(characters)
		}
		switch {
		case from == Responses && c.Raw != nil:
			w.raw(c.Raw)
		case c.URL != "":
			w.obj()
			w.strKey("type", "url_citation")
			w.strKey("url", c.URL)
			w.strKey("title", c.Title)
			w.intKey("start_index", c.Start)
			w.intKey("end_index", c.End)
			w.endObj()
		}
	}
	return w.b
}

// outputText writes a model's text. annotations and logprobs are the elements
// of their lists.
func (w *jsonw) outputText(text string, annotations, logprobs []byte) {
	w.obj()
	w.strKey("type", "output_text")
	w.listKey("annotations", annotations)
	w.listKey("logprobs", logprobs)
	w.strKey("text", text)
	w.endObj()
}

// listKey writes a list of elements that are written already.
func (w *jsonw) listKey(name string, elements []byte) {
	w.arrKey(name)
	w.b = append(w.b, elements...)
	w.endArr()
}

func (w *jsonw) refusal(text string) {
	w.obj()
	w.strKey("type", "refusal")
	w.strKey("refusal", text)
	w.endObj()
}

// fileID writes a file's id, which another vendor's file has not here. ok is
// false where there is none.
func (w *responsesWriter) fileID(id string) (ok bool) {
	if id == "" {
		return false
	}
	if !w.own && w.r.From != Chat {
		w.refuse(FeatureFileIDs, "the file %s is at another vendor; send it inline or by URL", id)
	}
	w.strKey("file_id", id)
	return true
}

func (w *responsesWriter) image(m *Media, role Role) {
	if role == Assistant {
		w.refuse(FeatureImages, "the Responses API takes no picture in a model's turn; send it in a user's")
		return
	}
	w.obj()
	w.strKey("type", "input_image")
	if !w.fileID(m.FileID) || m.URL != "" || m.Data != "" {
		w.mediaKey("image_url", m, "image/png")
	}
	switch {
	case m.Detail != "":
		w.strKey("detail", m.Detail)
	case !w.own: // the SDKs' types want it
		w.strKey("detail", "auto")
	}
	w.endObj()
}

// mediaKey writes the address of a media, which may be the data itself.
func (w *jsonw) mediaKey(name string, m *Media, otherwise string) {
	if m.Data == "" {
		w.strKey(name, m.URL)
		return
	}
	if m.MIME != "" {
		otherwise = m.MIME
	}
	w.strKey(name, DataURL(otherwise, ""))
	w.b = w.b[:len(w.b)-1] // the closing quote
	at := len(w.b) - 1
	w.b = appendQuoted(w.b[:at], m.Data)
	w.b[at] = ',' // over the data's own opening quote
}

// file writes a document. OpenAI wants a name with data.
func (w *responsesWriter) file(m *Media, role Role) {
	if len(m.Extra) != 0 && !w.own {
		w.n.Drop("messages.content.citations")
	}
	if m.Text != "" && m.Data == "" {
		w.textFile(m, role)
		return
	}
	if role == Assistant {
		w.refuse(FeatureFiles, "the Responses API takes no document in a model's turn; send it in a user's")
		return
	}
	w.obj()
	w.strKey("type", "input_file")
	w.fileID(m.FileID)
	name := m.Name
	if m.Data != "" {
		if name == "" && !w.own {
			name = fileName(m)
		}
		w.strIf("filename", name)
		if m.MIME != "" || !w.own {
			w.mediaKey("file_data", m, "application/pdf")
		} else {
			w.strKey("file_data", m.Data)
		}
	} else {
		w.strIf("filename", name)
		w.strIf("file_url", m.URL)
	}
	w.strIf("detail", m.Detail)
	w.endObj()
}

// textFile writes a document of plain text as a text, its title above it.
func (w *responsesWriter) textFile(m *Media, role Role) {
	text := m.Text
	if title := m.Title + m.Name; title != "" {
		if m.Title != "" {
			title = m.Title
		}
		text = title + "\n\n" + text
	}
	w.part(&Part{Kind: Text, Text: text}, role)
}

// fileName makes a name for a document without one.
func fileName(m *Media) string {
	if m.Title != "" && strings.Contains(m.Title, ".") {
		return m.Title
	}
	_, kind, ok := strings.Cut(m.MIME, "/")
	if !ok || strings.ContainsAny(kind, ".+;") || kind == "plain" {
		kind = "txt"
		if !ok {
			kind = "pdf"
		}
	}
	return "document." + kind
}

func (w *responsesWriter) audioPart(m *Media) {
	if !w.own {
		w.refuse(FeatureAudio, "the Responses API takes no audio; leave it out, or send the call to a model that hears")
		return
	}
	w.obj()
	w.strKey("type", "input_audio")
	w.objKey("input_audio")
	w.strKey("data", m.Data)
	w.strKey("format", strings.TrimPrefix(m.MIME, "audio/"))
	w.endObj()
	w.endObj()
}

// item writes a part that is an item of its own.
func (w *responsesWriter) item(p *Part) {
	if p.From == Responses && p.Raw != nil {
		w.raw(p.Raw)
		return
	}
	w.mark(p.Cache)
	switch p.Kind {
	case Call:
		w.call(p.Call)
	case Result:
		w.mark(p.Result.Cache)
		w.result(p.Result)
	case Thinking:
		w.thought(p.Thought)
	default:
		w.refuse(FeatureVendorTools, "a part that only %s knows; leave it out", vendorOf(p.From))
	}
}

// callID is a call's id as this request has it.
func (w *responsesWriter) callID(id string, from API, signature string) string {
	if !w.own {
		return responsesCallID(id)
	}
	if signature != "" && from == Responses {
		return id + callSeal + Wrap(from, signature)
	}
	return CallWithSeal(id, from, signature)
}

func (w *responsesWriter) call(c *ToolCall) {
	w.obj()
	kind, member, args := "function_call", "arguments", orEmpty(c.Args)
	if c.Custom {
		kind, member, args = "custom_tool_call", "input", c.Args
	}
	w.strKey("type", kind)
	if w.own {
		w.strIf("id", c.Item)
	}
	w.strKey("call_id", w.callID(c.ID, c.From, c.Signature))
	w.strKey("name", c.Name)
	w.strKey(member, args)
	w.endObj()
}

func (w *responsesWriter) result(o *ToolResult) {
	if o.Failed {
		w.drop(FeatureToolFailed)
	}
	w.obj()
	kind := "function_call_output"
	if o.Custom || slices.Contains(w.custom, o.ID) {
		kind = "custom_tool_call_output"
	}
	w.strKey("type", kind)
	w.strKey("call_id", w.callID(o.ID, "", ""))
	if w.own {
		w.strIf("name", o.Name)
	}
	w.key("output")
	w.content(o.Parts, User, true)
	w.endObj()
}

// thought writes reasoning back to whose it is.
func (w *responsesWriter) thought(t *Thought) {
	if !w.own && (t.From != Responses || t.Sealed == "" || w.r.Target.NoThoughts) {
		w.drop(FeatureThoughts)
		return
	}
	w.obj()
	w.strKey("type", "reasoning")
	w.strIf("id", t.ID)
	w.arrKey("summary")
	shown := t.Text != "" || t.Summary
	if shown && (t.Summary || !w.own) {
		w.summaryText(t.Text)
	}
	w.endArr()
	if shown && !t.Summary && w.own {
		w.arrKey("content")
		w.obj()
		w.strKey("type", "reasoning_text")
		w.strKey("text", t.Text)
		w.endObj()
		w.endArr()
	}
	w.strIf("encrypted_content", responsesSeal(t))
	w.endObj()
}

func (w *jsonw) summaryText(text string) {
	w.obj()
	w.strKey("type", "summary_text")
	w.strKey("text", text)
	w.endObj()
}
