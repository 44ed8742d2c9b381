package neutral

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// The codec of Anthropic's Messages API (platform.claude.com/docs/en/api/messages).
//
// A block with members that have no place in a Part is kept whole as its Raw,
// and goes back to its own dialect as that. Blocks of other kinds than those
// of readBlock (server tools, container uploads …) are Opaque.
//
// The seals of other vendors travel in the two opaque strings that a client
// sends back: a thinking block's signature and a redacted_thinking block's
// data (see seal.go).

// messagesContent reads a list of blocks, or the string that stands for one.
type messagesContent struct {
	parts   []Part
	unknown []string // names of members that a part's Raw has beyond what is read
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (c *messagesContent) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	raw, err := dec.ReadValue()
	if err != nil {
		return err
	}
	*c = messagesContent{}
	switch raw.Kind() {
	case 'n':
		return nil
	case '"':
		if text, _ := textOf(raw); text != "" {
			c.parts = []Part{{Kind: Text, Text: text}}
		}
		return nil
	case '[':
		return eachElement(raw, c.block)
	}
	return &CannotCarry{Msg: "must be a string or an array"}
}

func (c *messagesContent) block(i int, raw jsontext.Value) error {
	p, unknown, err := readBlock(raw)
	if err != nil {
		return within(err, indexed("", i))
	}
	c.parts = append(c.parts, p)
	c.unknown = append(c.unknown, unknown...)
	return nil
}

// eachElement hands the elements of an array to f: bytes of array itself.
func eachElement(array jsontext.Value, f func(i int, v jsontext.Value) error) error {
	dec := jsontext.NewDecoder(bytes.NewBuffer(array), lenient)
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for i := 0; dec.PeekKind() != ']'; i++ {
		v, err := dec.ReadValue()
		if err != nil {
			return err
		}
		if err := f(i, v); err != nil {
			return err
		}
	}
	return nil
}

// indexed is the path of an element of an array.
func indexed(array string, i int) string { return array + "[" + strconv.Itoa(i) + "]" }

// within puts the path of the place before the member that an error names.
func within(err error, at string) error {
	if c, ok := err.(*CannotCarry); ok {
		return &CannotCarry{Member: joinPath(at, c.Member), Msg: c.Msg}
	}
	return err
}

// blockType is the type of a block; "" = none.
func blockType(raw jsontext.Value) string {
	if rest, ok := bytes.CutPrefix(raw, []byte(`{"type":"`)); ok {
		if kind, _, ok := bytes.Cut(rest, []byte{'"'}); ok && !bytes.ContainsRune(kind, '\\') {
			return string(kind)
		}
	}
	var head struct {
		Type jsontext.Value `json:"type"`
	}
	if decode(raw, &head) != nil {
		return ""
	}
	kind, _ := textOf(head.Type)
	return kind
}

// readBlock reads a content block of a request or of a reply. unknown are the
// names of its members that only Raw has.
func readBlock(raw jsontext.Value) (p Part, unknown []string, err error) {
	if raw.Kind() != '{' {
		return p, nil, &CannotCarry{Msg: "must be an object"}
	}
	var rest jsontext.Value
	var inner []string
	switch kind := blockType(raw); kind {
	case "":
		return p, nil, &CannotCarry{Member: "type", Msg: "must be a string"}
	case "text":
		p, rest, err = readText(raw)
	case "image", "document":
		p, rest, inner, err = readMedia(raw)
	case "search_result":
		p, err = readSearchResult(raw)
	case "tool_use":
		p, rest, err = readToolUse(raw)
	case "tool_result":
		p, rest, inner, err = readToolResult(raw)
	case "thinking", "redacted_thinking":
		p, err = readThinking(raw)
	default:
		return Part{Kind: Opaque, Raw: raw.Clone(), From: Messages}, nil, nil
	}
	if err != nil {
		return Part{}, nil, err
	}
	unknown = inner
	for _, m := range members(rest) {
		unknown = append(unknown, "messages.content."+m.Name)
	}
	if len(unknown) > 0 {
		p.Raw, p.From = raw.Clone(), Messages
	}
	return p, unknown, nil
}

func readText(raw jsontext.Value) (Part, jsontext.Value, error) {
	var b struct {
		Type         string           `json:"type"`
		Text         string           `json:"text"`
		Citations    []jsontext.Value `json:"citations"`
		CacheControl jsontext.Value   `json:"cache_control"`
		Rest         jsontext.Value   `json:",embed"`
	}
	if err := decode(raw, &b); err != nil {
		return Part{}, nil, err
	}
	p := Part{Kind: Text, Text: b.Text, Cache: orNil(b.CacheControl)}
	for i, c := range b.Citations {
		cite, err := readCitation(c)
		if err != nil {
			return Part{}, nil, within(err, indexed("citations", i))
		}
		p.Cites, p.From = append(p.Cites, cite), Messages
	}
	return p, b.Rest, nil
}

// orNil is v, or nil where it is null.
func orNil(v jsontext.Value) jsontext.Value {
	if !given(v) {
		return nil
	}
	return v
}

// readCitation reads any of the five locations. Each is of the whole block.
func readCitation(raw jsontext.Value) (Citation, error) {
	var c struct {
		URL           string `json:"url"`
		Source        string `json:"source"`
		Title         string `json:"title"`
		DocumentTitle string `json:"document_title"`
		CitedText     string `json:"cited_text"`
	}
	if err := decode(raw, &c); err != nil {
		return Citation{}, err
	}
	cite := Citation{URL: c.URL, Title: c.Title, Quote: c.CitedText, Raw: raw.Clone()}
	if cite.URL == "" {
		cite.URL = c.Source
	}
	if cite.Title == "" {
		cite.Title = c.DocumentTitle
	}
	return cite, nil
}

// messagesSource is where an image or a document is.
type messagesSource struct {
	Type      string          `json:"type"`
	MediaType string          `json:"media_type"`
	Data      string          `json:"data"`
	URL       string          `json:"url"`
	FileID    string          `json:"file_id"`
	Content   messagesContent `json:"content"`
	Rest      jsontext.Value  `json:",embed"`
}

// readMedia reads an image or a document. A document made of blocks is their
// text to other dialects.
func readMedia(raw jsontext.Value) (Part, jsontext.Value, []string, error) {
	var b struct {
		Type         string          `json:"type"`
		Source       *messagesSource `json:"source"`
		Title        string          `json:"title"`
		Context      jsontext.Value  `json:"context"`
		Citations    jsontext.Value  `json:"citations"`
		CacheControl jsontext.Value  `json:"cache_control"`
		Rest         jsontext.Value  `json:",embed"`
	}
	if err := decode(raw, &b); err != nil {
		return Part{}, nil, nil, err
	}
	s := b.Source
	if s == nil {
		return Part{}, nil, nil, &CannotCarry{Member: "source", Msg: "must be an object"}
	}
	m := &Media{Title: b.Title}
	p := Part{Kind: Image, Media: m, Cache: orNil(b.CacheControl)}
	if b.Type == "document" {
		p.Kind, m.Extra = File, documentExtra(b.Citations, b.Context)
	}
	switch s.Type {
	case "base64":
		m.MIME, m.Data = s.MediaType, s.Data
	case "url":
		m.URL = s.URL
	case "file":
		m.FileID = s.FileID
	case "text":
		m.MIME, m.Text = "text/plain", s.Data
	case "content":
		if m.Text = plainText(s.Content.parts); m.Text == "" {
			return Part{Kind: Opaque, Raw: raw.Clone(), From: Messages}, nil, nil, nil
		}
		m.MIME, p.Raw, p.From = "text/plain", raw.Clone(), Messages
	default:
		return Part{Kind: Opaque, Raw: raw.Clone(), From: Messages}, nil, nil, nil
	}
	var unknown []string
	for _, x := range members(s.Rest) {
		unknown = append(unknown, "messages.content.source."+x.Name)
	}
	return p, b.Rest, unknown, nil
}

// documentExtra is what a document says beside its source and title, as one object.
func documentExtra(citations, context jsontext.Value) jsontext.Value {
	if !given(citations) && !given(context) {
		return nil
	}
	var w jsonw
	w.obj()
	w.rawIf("context", orNil(context))
	w.rawIf("citations", orNil(citations))
	w.endObj()
	return w.b
}

// plainText joins the texts of parts by blank lines.
func plainText(parts []Part) string {
	var texts []string
	for i := range parts {
		if parts[i].Kind == Text && parts[i].Text != "" {
			texts = append(texts, parts[i].Text)
		}
	}
	return strings.Join(texts, "\n\n")
}

// readSearchResult reads a passage that the client has found: to other
// dialects it is a text document.
func readSearchResult(raw jsontext.Value) (Part, error) {
	var b struct {
		Source  string          `json:"source"`
		Title   string          `json:"title"`
		Content messagesContent `json:"content"`
	}
	if err := decode(raw, &b); err != nil {
		return Part{}, err
	}
	m := &Media{MIME: "text/plain", Text: plainText(b.Content.parts), Title: b.Title, Name: b.Source}
	return Part{Kind: File, Media: m, Raw: raw.Clone(), From: Messages}, nil
}

func readToolUse(raw jsontext.Value) (Part, jsontext.Value, error) {
	var b struct {
		Type         string         `json:"type"`
		ID           string         `json:"id"`
		Name         string         `json:"name"`
		Input        jsontext.Value `json:"input"`
		CacheControl jsontext.Value `json:"cache_control"`
		Rest         jsontext.Value `json:",embed"`
	}
	if err := decode(raw, &b); err != nil {
		return Part{}, nil, err
	}
	call := &ToolCall{Name: b.Name}
	call.ID, call.From, call.Signature = SplitCall(Messages, b.ID)
	if given(b.Input) {
		if b.Input.Kind() != '{' {
			return Part{}, nil, &CannotCarry{Member: "input", Msg: "must be an object"}
		}
		call.Args = string(b.Input)
	}
	return Part{Kind: Call, Call: call, Cache: orNil(b.CacheControl)}, b.Rest, nil
}

func readToolResult(raw jsontext.Value) (p Part, rest jsontext.Value, inner []string, err error) {
	var b struct {
		Type         string          `json:"type"`
		ToolUseID    string          `json:"tool_use_id"`
		Content      messagesContent `json:"content"`
		IsError      bool            `json:"is_error"`
		CacheControl jsontext.Value  `json:"cache_control"`
		Rest         jsontext.Value  `json:",embed"`
	}
	if err := decode(raw, &b); err != nil {
		return Part{}, nil, nil, err
	}
	r := &ToolResult{Parts: b.Content.parts, Failed: b.IsError, Cache: orNil(b.CacheControl)}
	r.ID, _, _ = SplitCall(Messages, b.ToolUseID)
	return Part{Kind: Result, Result: r}, b.Rest, b.Content.unknown, nil
}

// readThinking reads reasoning, shown or not, with whoever's seal it has.
func readThinking(raw jsontext.Value) (Part, error) {
	var b struct {
		Type      string `json:"type"`
		Thinking  string `json:"thinking"`
		Signature string `json:"signature"`
		Data      string `json:"data"`
	}
	if err := decode(raw, &b); err != nil {
		return Part{}, err
	}
	t := &Thought{Text: b.Thinking}
	if b.Type == "redacted_thinking" {
		t.unseal(b.Data, true)
	} else {
		t.unseal(b.Signature, false)
	}
	return Part{Kind: Thinking, Thought: t}, nil
}

// unseal takes a signature or, with data, the data of a redacted_thinking
// block apart. It is the inverse of messagesSeal.
func (t *Thought) unseal(seal string, data bool) {
	from, seal := Unwrap(Messages, seal)
	switch {
	case from != Messages:
		t.setSeal(from, seal)
		t.Summary = from == Responses && t.Text != ""
	case data:
		t.From, t.Sealed = from, seal
	default:
		t.From, t.Signature = from, seal
	}
}

// messagesSeal is a thought's seal as a client keeps it.
func messagesSeal(t *Thought) string {
	if t.From == Messages || t.From == "" {
		return t.Sealed + t.Signature // it has one of them
	}
	return Wrap(t.From, t.seal()) // of none, too: it says that the thought is not Anthropic's
}

// thinkingBlock writes a thought with its seal: one that shows nothing and is
// sealed itself as redacted_thinking.
func (w *jsonw) thinkingBlock(t *Thought) {
	w.obj()
	if t.Text == "" && t.Sealed != "" {
		w.strKey("type", "redacted_thinking")
		w.strKey("data", messagesSeal(t))
	} else {
		w.strKey("type", "thinking")
		w.strKey("thinking", t.Text)
		w.strKey("signature", messagesSeal(t))
	}
	w.endObj()
}
