package neutral

import (
	"strings"
)

func (e *chatWriter) messages() {
	e.w.arrKey("messages")
	turns := e.r.Turns
	if !e.own() {
		e.results(turns)
	}
	for i := 0; i < len(turns); i++ {
		t := &turns[i]
		switch t.Role {
		case System:
			e.message("system", t)
		case Developer:
			role := "developer"
			if !e.openAI && !e.own() { // templates of other servers know no developer
				role = "system"
			}
			e.message(role, t)
		case Assistant:
			run := e.run(turns[i:])
			i += run - 1
			e.assistant(joined(turns[i+1-run : i+1]))
			if !e.own() {
				e.results(turns[i+1:])
			}
		default:
			e.user(t)
		}
	}
	if e.r.Format.Kind == JSONObject && !e.own() && !saysJSON(turns) {
		e.w.obj()
		e.w.strKey("role", "system")
		e.w.strKey("content", "Answer in JSON.")
		e.w.endObj()
	}
	e.w.endArr()
}

// run counts the model's turns at the start of turns. Other dialects have a
// turn for each call; chat has one message with all calls that are answered together.
func (e *chatWriter) run(turns []Turn) int {
	n := 1
	for !e.own() && n < len(turns) && turns[n].Role == Assistant {
		n++
	}
	return n
}

// joined is several turns of the model as one.
func joined(turns []Turn) *Turn {
	if len(turns) == 1 {
		return &turns[0]
	}
	t := Turn{Role: Assistant, Name: turns[0].Name}
	for i := range turns {
		t.Parts = append(t.Parts, turns[i].Parts...)
	}
	return &t
}

// results writes the tool results that come before the model's next turn:
// tool messages must follow their calls at once.
func (e *chatWriter) results(turns []Turn) {
	for i := range turns {
		if turns[i].Role == Assistant {
			return
		}
		for j := range turns[i].Parts {
			if turns[i].Parts[j].Kind == Result {
				e.result(&turns[i].Parts[j], &turns[i])
			}
		}
	}
}

// head begins a message.
func (e *chatWriter) head(role string, t *Turn) {
	e.w.obj()
	e.w.strKey("role", role)
	if t.Name != "" {
		e.w.strKey("name", t.Name)
	}
}

// tail ends a message, with the members that only chat knows.
func (e *chatWriter) tail(t *Turn) {
	if e.own() {
		e.w.members(members(t.Extra))
	}
	e.w.endObj()
}

// message writes a message of content only.
func (e *chatWriter) message(role string, t *Turn) {
	e.head(role, t)
	e.content(t.Parts, role == "user")
	e.tail(t)
}

// user writes a user's turn. A foreign one's results are out already; what
// they show, and a tool message can't, is said with the rest.
func (e *chatWriter) user(t *Turn) {
	results := 0
	for i := range t.Parts {
		if t.Parts[i].Kind == Result {
			results++
			if e.own() {
				e.result(&t.Parts[i], t)
			}
		}
	}
	if results == 0 {
		e.message("user", t)
		return
	}
	rest := make([]Part, 0, len(t.Parts)-results)
	for i := range t.Parts {
		p := &t.Parts[i]
		if p.Kind != Result {
			rest = append(rest, *p)
			continue
		}
		if media := mediaOnly(p.Result.Parts); media != nil {
			rest = append(rest, Part{Kind: Text, Text: "From the result of tool call " + chatCallID(e.r.known(), p.Result.ID) + ":"})
			rest = append(rest, media...)
		}
	}
	if len(rest) > 0 {
		said := Turn{Name: t.Name, Parts: rest}
		e.message("user", &said)
	}
}

// mediaOnly are a tool result's pictures and files, which a tool message can't hold.
func mediaOnly(parts []Part) []Part {
	var list []Part
	for i := range parts {
		if parts[i].Media != nil && parts[i].Media.Text == "" {
			list = append(list, parts[i])
		}
	}
	return list
}

func (e *chatWriter) result(p *Part, t *Turn) {
	w, r := &e.w, p.Result
	w.obj()
	if e.own() && e.r.Legacy && strings.HasPrefix(r.ID, legacyCall) {
		w.strKey("role", "function")
		w.strKey("name", r.Name)
	} else {
		w.strKey("role", "tool")
		w.strKey("tool_call_id", chatCallID(e.r.known(), r.ID))
		if e.own() {
			w.strIf("name", r.Name)
		}
	}
	texts := r.Parts
	if media := mediaOnly(r.Parts); media != nil {
		texts = make([]Part, 0, len(r.Parts))
		for i := range r.Parts {
			if r.Parts[i].Media == nil || r.Parts[i].Media.Text != "" {
				texts = append(texts, r.Parts[i])
			}
		}
	}
	e.content(texts, true)
	if r.Failed {
		e.drop(FeatureToolFailed)
	}
	if r.Cache != nil {
		e.mark(r.Cache)
	} else if p.Cache != nil {
		e.mark(p.Cache)
	}
	e.tail(t)
}

// assistant writes what the model has said.
func (e *chatWriter) assistant(t *Turn) {
	w := &e.w
	e.head("assistant", t)
	s := e.sortOut(t.Parts)
	if s.refusal != nil && len(s.texts) == 0 {
		w.nullKey("content")
	} else if len(s.texts) > 0 || len(s.calls) == 0 && s.audio == nil {
		e.content(s.texts, false)
	} else {
		w.nullKey("content")
	}
	if s.refusal != nil {
		w.strKey("refusal", s.refusal.Text)
	}
	if s.audio != nil {
		w.objKey("audio")
		w.strKey("id", s.audio.FileID)
		w.endObj()
	}
	e.thoughts(s.thoughts)
	e.cites(s.texts)
	e.calls(s.calls)
	e.tail(t)
}

// sorted are an assistant's parts by the member that they belong to.
type sorted struct {
	texts    []Part // and what else stays in content
	refusal  *Part
	audio    *Media
	thoughts []*Thought
	calls    []*ToolCall
}

func (e *chatWriter) sortOut(parts []Part) sorted {
	var s sorted
	refusals := 0
	for i := range parts {
		if parts[i].Kind == Refusal {
			refusals++
		}
	}
	for i := range parts {
		p := &parts[i]
		switch {
		case p.Kind == Call:
			s.calls = append(s.calls, p.Call)
			if p.Cache != nil && !e.own() {
				e.drop(FeatureCacheMarks)
			}
		case p.Kind == Thinking:
			s.thoughts = append(s.thoughts, p.Thought)
		case p.Kind == Refusal && refusals == 1 && p.Cache == nil && !textAfter(parts[i:]):
			s.refusal = p
		case p.Kind == Audio && p.Media.FileID != "" && s.audio == nil:
			s.audio = p.Media
		case p.Media != nil && !e.own():
			e.refuse(FeatureImages, "this model's API takes no pictures or files in what the model said")
		default:
			s.texts = append(s.texts, *p)
		}
	}
	return s
}

func textAfter(parts []Part) bool {
	for i := range parts {
		if parts[i].Kind == Text {
			return true
		}
	}
	return false
}

// thoughts writes earlier reasoning back to those that gave it: servers of this
// API take its plain text where they know it, and no seal of another vendor.
func (e *chatWriter) thoughts(list []*Thought) {
	text := ""
	for _, t := range list {
		switch {
		case e.own() && t.Format != "": // in the details
		case t.From == Chat && t.Sealed == "" && (e.own() || !e.openAI):
			if text != "" && t.Text != "" {
				text += "\n\n"
			}
			text += t.Text
		case !e.own():
			e.drop(FeatureThoughts)
		}
	}
	if e.own() {
		e.w.strIf("reasoning_content", text)
		e.w.details(list)
		return
	}
	e.w.strIf("reasoning_content", text)
}

// details writes the seals of reasoning, with the text that each belongs to.
func (w *jsonw) details(list []*Thought) {
	at := 0
	for _, t := range list {
		if !sealed(t) && t.Format == "" {
			continue
		}
		if at == 0 {
			w.arrKey("reasoning_details")
		}
		w.detail(t, at)
		at++
	}
	if at > 0 {
		w.endArr()
	}
}

// sealed reports whether a thought must come back with more than its text.
func sealed(t *Thought) bool { return t.Signature != "" || t.Sealed != "" }

// detail writes one thought and its seal.
func (w *jsonw) detail(t *Thought, index int) {
	from, format := t.From, chatFormats[t.From]
	if t.Format != "" { // a chat server's own, which stays bare
		from, format = Chat, t.Format
	}
	kind, words := "reasoning.text", "text"
	switch {
	case t.Sealed != "":
		kind = "reasoning.encrypted"
	case t.Summary && t.Format != "":
		kind = "reasoning.summary"
	}
	if t.Summary {
		words = "summary"
	}
	w.obj()
	w.strKey("type", kind)
	w.strIf("id", t.ID)
	w.strIf(words, t.Text)
	if t.Sealed != "" {
		w.strKey("data", wrapped(from, t.Sealed))
	}
	if t.Signature != "" {
		w.strKey("signature", wrapped(from, t.Signature))
	}
	w.strIf("format", format)
	w.intKey("index", int64(index))
	w.endObj()
}

// wrapped is a seal as a chat client keeps it.
func wrapped(from API, seal string) string {
	if from == Chat || from == "" {
		return seal
	}
	return Wrap(from, seal)
}

func (e *chatWriter) cites(texts []Part) {
	for i := range texts {
		if len(texts[i].Cites) == 0 {
			continue
		}
		if !e.own() {
			e.drop(FeatureCitations)
			continue
		}
		e.w.arrKey("annotations")
		for _, c := range texts[i].Cites {
			e.w.raw(c.Raw)
		}
		e.w.endArr()
		return
	}
}

func (e *chatWriter) calls(calls []*ToolCall) {
	w := &e.w
	if len(calls) == 0 {
		return
	}
	if c := calls[0]; e.own() && e.r.Legacy && len(calls) == 1 && strings.HasPrefix(c.ID, legacyCall) {
		w.objKey("function_call")
		w.strKey("name", c.Name)
		w.strKey("arguments", c.Args)
		w.endObj()
		return
	}
	w.arrKey("tool_calls")
	for _, c := range calls {
		w.obj()
		id := chatCallID(e.r.known(), c.ID)
		if e.own() && c.Signature != "" && c.From != Generate {
			id = CallWithSeal(c.ID, c.From, c.Signature)
		}
		w.strKey("id", id)
		w.callBody(c, c.Args)
		if c.Signature != "" && c.From == Generate && (e.own() || strings.Contains(baseModel(e.r.known()), "gemini")) {
			w.googleSeal(c.Signature)
		}
		w.endObj()
	}
	w.endArr()
}

// callBody writes what a call is, beside its id. Arguments that were not
// given are an empty object.
func (w *jsonw) callBody(c *ToolCall, args string) {
	if c.Custom {
		w.strKey("type", "custom")
		w.objKey("custom")
		w.strKey("name", c.Name)
		w.strKey("input", args)
		w.endObj()
		return
	}
	w.strKey("type", "function")
	w.objKey("function")
	w.strKey("name", c.Name)
	if args == "" {
		args = "{}"
	}
	w.strKey("arguments", args)
	w.endObj()
}

// googleSeal writes a seal on a call as Google's compatible endpoint does.
func (w *jsonw) googleSeal(seal string) {
	w.objKey("extra_content")
	w.objKey("google")
	w.strKey("thought_signature", seal)
	w.endObj()
	w.endObj()
}

// content writes the content member: one plain text as a string, all else as parts.
func (e *chatWriter) content(parts []Part, media bool) {
	w := &e.w
	switch {
	case len(parts) == 0:
		w.strKey("content", "")
		return
	case len(parts) == 1 && parts[0].Kind == Text && (parts[0].Cache == nil || !e.own()) && parts[0].Raw == nil:
		if parts[0].Cache != nil {
			e.drop(FeatureCacheMarks)
		}
		w.strKey("content", parts[0].Text)
		return
	}
	w.arrKey("content")
	for i := range parts {
		e.part(&parts[i], media)
	}
	w.endArr()
}

// part writes one part of a content.
func (e *chatWriter) part(p *Part, media bool) {
	w := &e.w
	if p.Kind == Opaque {
		e.opaque(p)
		return
	}
	if p.Kind == Call || p.Kind == Result { // where no dialect has them
		e.refuse(FeatureTools, "a tool call or result in a turn that cannot have it")
		return
	}
	if p.Kind == Thinking {
		e.drop(FeatureThoughts)
		return
	}
	if p.Media != nil && !e.canSend(p, media) {
		return
	}
	w.obj()
	switch p.Kind {
	case Refusal:
		w.strKey("type", "refusal")
		w.strKey("refusal", p.Text)
	case Image:
		w.strKey("type", "image_url")
		w.objKey("image_url")
		w.url(p.Media)
		w.strIf("detail", p.Media.Detail)
		w.endObj()
	case Video:
		w.strKey("type", "video_url")
		w.objKey("video_url")
		w.url(p.Media)
		w.endObj()
	case Audio:
		w.strKey("type", "input_audio")
		w.objKey("input_audio")
		w.strKey("data", p.Media.Data)
		w.strKey("format", audioFormat(p.Media.MIME))
		w.endObj()
	case File:
		e.file(p.Media)
	default:
		w.strKey("type", "text")
		w.strKey("text", p.Text)
	}
	e.partTail(p)
	w.endObj()
}

func (e *chatWriter) partTail(p *Part) {
	extra := members(p.Raw)
	if e.own() {
		e.w.members(extra)
		for _, m := range extra {
			if m.Name == "prompt_cache_breakpoint" {
				return
			}
		}
	}
	if p.Cache != nil {
		e.mark(p.Cache)
	}
}

func (e *chatWriter) opaque(p *Part) {
	if p.From == Chat {
		e.w.raw(p.Raw)
		return
	}
	member := map[API]string{Responses: "input", Generate: "contents"}[e.r.From]
	if member == "" {
		member = "messages"
	}
	e.refuse(member, "a part of the conversation is of a kind that only its own vendor knows: %s; leave it out, or send the call to that vendor's model", opaqueType(p))
}

// opaqueType is the type that a foreign part says it has.
func opaqueType(p *Part) string {
	for _, m := range members(p.Raw) {
		if text, ok := textOf(m.Value); ok && m.Name == "type" {
			return text
		}
	}
	return "unknown"
}

// canSend reports whether a picture or file can be told, and refuses it if not.
func (e *chatWriter) canSend(p *Part, media bool) bool {
	m := p.Media
	switch {
	case !media && !e.own():
		e.refuse(FeatureImages, "this model's API takes pictures and files from users only")
	case m.FileID != "" && p.Kind == File && (e.own() || e.r.From == Responses):
		return true
	case m.FileID != "" && m.Data == "" && m.URL == "":
		e.refuse(FeatureFileIDs, "the file %q is kept by another vendor; send its data", m.FileID)
	case p.Kind == Audio && m.Data == "":
		e.refuse(FeatureAudio, "this model's API takes audio as data, not by URL")
	case p.Kind == File && m.Data == "" && m.Text == "" && m.URL != "" && !e.own():
		e.refuse(FeatureFiles, "this model's API takes documents as data, not by URL")
	default:
		return true
	}
	return false
}

// url writes an address, or the data as one.
func (w *jsonw) url(m *Media) {
	w.key("url")
	if m.Data == "" {
		w.str(m.URL)
		return
	}
	mime := m.MIME
	if mime == "" {
		mime = "application/octet-stream"
	}
	w.dataURL(mime, m.Data)
}

// file writes a document. One of plain text is a text part: models read both alike.
func (e *chatWriter) file(m *Media) {
	w := &e.w
	if m.Text != "" && m.Data == "" && m.FileID == "" && m.URL == "" {
		text := m.Text
		if title := m.Title; title != "" {
			text = title + "\n\n" + text
		}
		w.strKey("type", "text")
		w.strKey("text", text)
		return
	}
	w.strKey("type", "file")
	w.objKey("file")
	if name := m.Name; name != "" || m.FileID == "" && !e.own() {
		if name == "" {
			name = m.Title
		}
		if name == "" {
			name = "document.pdf"
		}
		w.strKey("filename", name)
	}
	switch {
	case m.FileID != "":
		w.strKey("file_id", m.FileID)
	case m.URL != "":
		w.strKey("file_data", m.URL)
	case m.MIME == "":
		w.strKey("file_data", m.Data)
	default:
		w.key("file_data")
		w.dataURL(m.MIME, m.Data)
	}
	w.endObj()
}
