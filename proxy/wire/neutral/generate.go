package neutral

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"weir/proxy/wire"
)

// The codec of Gemini's generateContent and streamGenerateContent
// (ai.google.dev/api/generate-content). Requests are read in both spellings
// that Google takes, camelCase and snake_case.
//
// Gemini's calls need no ids: where one came without, calls and results are
// matched by name, in order, under ids of our own (madeID), which are not sent
// to Gemini. Other ids are, so that results of parallel calls of one function
// find theirs. A thoughtSignature on a part of text or media, where there is no
// thought's text to hang it on, is a Thinking part without text right after it.
var generateCodec = register(&Codec{
	API:           Generate,
	DecodeRequest: worded(Generate, decodeGenerate),
	EncodeRequest: encodeGenerate,
	DecodeReply:   decodeGenerateReply,
	EncodeReply:   encodeGenerateReply,
	NewDecoder:    func() Decoder { return &generateDecoder{} },
	NewEncoder:    func(r *Request) Encoder { return &generateEncoder{asked: r} },
	Fields:        generateFields,
}, wire.Generate, wire.StreamGenerate)

type geminiContent struct {
	Role  string         `json:"role,omitzero"`
	Parts []geminiPart   `json:"parts,omitzero"`
	Rest  jsontext.Value `json:",embed"`
}

type geminiPart struct {
	Text             *string         `json:"text,omitzero"`
	Thought          bool            `json:"thought,omitzero"`
	ThoughtSignature string          `json:"thoughtSignature,omitzero,case:ignore"`
	InlineData       *geminiBlob     `json:"inlineData,omitzero,case:ignore"`
	FileData         *geminiFile     `json:"fileData,omitzero,case:ignore"`
	FunctionCall     *geminiCall     `json:"functionCall,omitzero,case:ignore"`
	FunctionResponse *geminiResponse `json:"functionResponse,omitzero,case:ignore"`
	Rest             jsontext.Value  `json:",embed"`
}

type geminiBlob struct {
	MimeType    string         `json:"mimeType,case:ignore"`
	Data        string         `json:"data"`
	DisplayName string         `json:"displayName,omitzero,case:ignore"`
	Rest        jsontext.Value `json:",embed"`
}

type geminiFile struct {
	MimeType    string         `json:"mimeType,omitzero,case:ignore"`
	FileURI     string         `json:"fileUri,case:ignore"`
	DisplayName string         `json:"displayName,omitzero,case:ignore"`
	Rest        jsontext.Value `json:",embed"`
}

type geminiCall struct {
	ID   string         `json:"id,omitzero"`
	Name string         `json:"name"`
	Args jsontext.Value `json:"args,omitzero"`
	Rest jsontext.Value `json:",embed"`
}

type geminiResponse struct {
	ID       string         `json:"id,omitzero"`
	Name     string         `json:"name"`
	Response jsontext.Value `json:"response,omitzero"`
	Parts    []geminiPart   `json:"parts,omitzero"`
	Rest     jsontext.Value `json:",embed"`
}

// madeID begins the ids that we give to calls which came without one.
const madeID = "call_made_"

// sealedHead is sealPrefix in base64, which has none of the letters that the
// two alphabets of base64 differ in.
var sealedHead = base64.StdEncoding.EncodeToString([]byte(sealPrefix))

// signature is a thoughtSignature, as the seal of its vendor. Gemini's field
// is bytes, so that a foreign seal stands in it as base64, which Google's SDKs
// send back in either alphabet.
func signature(s string) (from API, seal string) {
	if !strings.HasPrefix(s, sealedHead) {
		return Generate, s
	}
	s = strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(s), "=")
	raw, err := base64.RawStdEncoding.DecodeString(s)
	if err != nil {
		return Generate, s
	}
	return Unwrap(Generate, string(raw))
}

// writeSignature is the inverse of signature.
func writeSignature(from API, seal string) string {
	if from == Generate || seal == "" {
		return seal
	}
	return base64.StdEncoding.EncodeToString([]byte(Wrap(from, seal)))
}

// partReader turns Gemini's parts into neutral ones.
type partReader struct {
	parts   []Part
	ids     *callIDs
	unknown []string // names of members that a part's Raw keeps
}

func (r *partReader) read(list []geminiPart) {
	for i := range list {
		r.part(&list[i])
	}
}

func (r *partReader) part(p *geminiPart) {
	switch {
	case p.FunctionCall != nil:
		r.call(p)
		return
	case p.FunctionResponse != nil:
		r.name(inContents, p.Rest)
		r.add(Part{Kind: Result, Result: r.result(p.FunctionResponse)}, "contents.parts.functionResponse.", p.FunctionResponse.Rest)
		return
	case p.InlineData != nil:
		b := p.InlineData
		r.name(inContents+"inlineData.", b.Rest)
		r.add(Part{Kind: mediaKind(b.MimeType), Media: &Media{MIME: b.MimeType, Data: b.Data, Name: b.DisplayName}}, inContents, p.Rest)
	case p.FileData != nil:
		r.file(p)
	case p.Text != nil && p.Thought:
		r.thought(*p.Text, p.ThoughtSignature)
		return
	case p.Text != nil:
		if *p.Text != "" {
			r.add(Part{Kind: Text, Text: *p.Text}, inContents, p.Rest)
		}
	case len(p.Rest) > len("{}"):
		r.parts = append(r.parts, Part{Kind: Opaque, Raw: p.opaque(), From: Generate})
		return
	}
	if p.ThoughtSignature != "" {
		from, seal := signature(p.ThoughtSignature)
		r.parts = append(r.parts, Part{Kind: Thinking, Thought: &Thought{Signature: seal, From: from}})
	}
}

// inContents begins the names of a part's members.
const inContents = "contents.parts."

// add adds a part with those of its members that only Gemini knows; at is
// where they stand.
func (r *partReader) add(p Part, at string, rest jsontext.Value) {
	if list := members(rest); len(list) > 0 {
		p.Raw, p.From = rest.Clone(), Generate
		for _, m := range list {
			r.unknown = append(r.unknown, at+m.Name)
		}
	}
	r.parts = append(r.parts, p)
}

// name notes members that nothing keeps.
func (r *partReader) name(at string, rest jsontext.Value) {
	for _, m := range members(rest) {
		r.unknown = append(r.unknown, at+m.Name)
	}
}

// opaque is a part of an unknown kind as it was written, but for the order.
func (p *geminiPart) opaque() jsontext.Value {
	if p.ThoughtSignature == "" && !p.Thought {
		return p.Rest.Clone()
	}
	var w jsonw
	w.obj()
	w.members(members(p.Rest))
	if p.Thought {
		w.boolKey("thought", true)
	}
	w.strIf("thoughtSignature", p.ThoughtSignature)
	w.endObj()
	return w.b
}

// file reads a part that is kept elsewhere: at Google, or at any address.
func (r *partReader) file(p *geminiPart) {
	f := p.FileData
	r.name(inContents+"fileData.", f.Rest)
	m := &Media{MIME: f.MimeType, URL: f.FileURI, Name: f.DisplayName}
	if isGoogleFile(f.FileURI) {
		m.URL, m.FileID = "", f.FileURI
	}
	kind := mediaKind(f.MimeType)
	if f.MimeType == "" {
		kind = mediaKind(typeByName(f.FileURI))
	}
	if isYouTube(f.FileURI) {
		kind = Video
	}
	r.add(Part{Kind: kind, Media: m}, inContents, p.Rest)
}

// thought joins the pieces of one thought: its words come before its seal.
func (r *partReader) thought(text, sealed string) {
	from, seal := signature(sealed)
	if n := len(r.parts); n > 0 && r.parts[n-1].Kind == Thinking {
		if t := r.parts[n-1].Thought; t.Signature == "" {
			t.Text += text
			if sealed != "" {
				t.setSeal(from, seal)
			}
			return
		}
	}
	t := &Thought{Text: text}
	t.setSeal(from, seal)
	r.parts = append(r.parts, Part{Kind: Thinking, Thought: t})
}

func (r *partReader) call(p *geminiPart) {
	c := p.FunctionCall
	r.name(inContents+"functionCall.", c.Rest)
	call := &ToolCall{ID: c.ID, Name: c.Name, Args: string(c.Args)}
	if call.ID == "" {
		call.ID = r.ids.made()
	}
	r.ids.called(c.Name, call.ID)
	if p.ThoughtSignature != "" {
		call.From, call.Signature = signature(p.ThoughtSignature)
	}
	r.add(Part{Kind: Call, Call: call}, inContents, p.Rest)
}

// result reads a tool's answer. {"output": "…"} and {"error": "…"}, as Google's
// SDKs write plain text, are that text; any other object stays as it is.
func (r *partReader) result(f *geminiResponse) *ToolResult {
	res := &ToolResult{ID: f.ID, Name: f.Name}
	if res.ID == "" {
		res.ID = r.ids.first(f.Name)
	}
	r.ids.answered(f.Name, res.ID)
	text := string(f.Response)
	if isWrapped(f.Response) {
		m := members(f.Response)[0]
		text, _ = textOf(m.Value)
		res.Failed = m.Name == "error"
	}
	if text != "" {
		res.Parts = append(res.Parts, Part{Kind: Text, Text: text})
	}
	inner := partReader{ids: r.ids}
	inner.read(f.Parts)
	r.unknown = append(r.unknown, inner.unknown...)
	res.Parts = append(res.Parts, inner.parts...)
	return res
}

// isWrapped reports whether a function's response is plain text in the form of
// Google's SDKs.
func isWrapped(response jsontext.Value) bool {
	list := members(response)
	return len(list) == 1 && list[0].Value.Kind() == '"' && (list[0].Name == "output" || list[0].Name == "error")
}

// callIDs gives ids to calls without one, and finds the calls that results
// without one answer: by name and in order.
type callIDs struct {
	prefix  string
	n       int
	pending map[string][]string // ids of calls without a result yet, by name
}

func (c *callIDs) made() string {
	c.n++
	return madeID + c.prefix + itoa(c.n)
}

func (c *callIDs) called(name, id string) {
	if c.pending == nil {
		c.pending = make(map[string][]string)
	}
	c.pending[name] = append(c.pending[name], id)
}

// first is the id of the first call of a tool that has no result yet; for an
// orphan, which the upstream judges, a new one.
func (c *callIDs) first(name string) string {
	if list := c.pending[name]; len(list) > 0 {
		return list[0]
	}
	return c.made()
}

func (c *callIDs) answered(name, id string) {
	list := c.pending[name]
	if i := slices.Index(list, id); i >= 0 {
		c.pending[name] = slices.Delete(list, i, i+1)
	}
}
