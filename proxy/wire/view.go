package wire

import (
	"bytes"
	"io"
	"math"
	"strconv"
	"sync"

	"weir/internal/capability"
)

// A View is what Weir has to know of a request's body. The body itself stays
// as it came; spans are places in it.
type View struct {
	Model        string
	ModelSpan    Span // of the value, quotes included; empty: no model member
	Stream       bool
	IncludeUsage bool  // the client asked for usage in the stream itself
	MaxOutput    int64 // tokens; 0: not given
	N            int64 // choices asked for, or made to choose from (best_of); 0: not given
	ServiceTier  string
	User         string            // OpenAI user or safety_identifier, Anthropic metadata.user_id
	Metadata     map[string]string // the string values, at most maxMetadata
	Previous     string            // id of an object that must be at the same account: previous_response_id, input_file_id
	Weir         Span              // value of the "weir" member; empty: none
	Priced       PriceWords        // what else decides a price

	Texts    []Span // the texts that a model reads, as written, without quotes; at most maxTexts
	TextRest int64  // bytes of further texts
	TokenIDs int64  // tokens of input or prompt that came as numbers
	Media    int64  // bytes of strings that are data or addresses and not text
	Long     []Span // the long ones of those in the conversation, without quotes: what Shrink can cut out
	Messages int    // messages, input items or contents
	Aside    int64  // bytes of Texts and TextRest that a model may never see: earlier thoughts, the words of schemas
	Shrinks  bool   // the upstream is asked to cut what does not fit into the window

	// Needs are what the request asks of a model beside text: tools, input and
	// output that is no text, a JSON schema.
	Needs capability.Set

	root   memberPlaces
	stream streamOptions
}

// PriceWords are words of a request that decide what it costs, beside the
// service tier: "" where it has none, or one that is no plain word.
type PriceWords struct {
	SearchContextSize string // how much a search of the web reads: low, medium, high
	SearchType        string // Perplexity's
	Speed             string // Anthropic's: fast
	Residency         string // Anthropic's inference_geo
}

// memberPlaces are the places in the root object that edits need.
type memberPlaces struct {
	object             bool
	members            int
	end                int64 // after the last member's value, or the opening brace where there is none
	weirFrom, weirTo   int64 // what to take out with the weir member
	weirFirst, weirSet bool
}

// streamOptions is what was written of stream_options.
type streamOptions struct {
	value   Span // empty: absent
	kind    valueKind
	usage   Span      // value of include_usage; empty: absent
	of      valueKind // include_usage's
	members int
	end     int64 // after its last member's value
}

const (
	maxTexts       = 1 << 16
	maxMetadata    = 16
	maxMetadataLen = 512
	maxModelLen    = 4 << 10
)

// ReadView reads a whole body. Its error is a *SyntaxError.
func ReadView(api API, body []byte) (View, error) {
	r := newViewReader(api)
	defer viewReaders.Put(r)
	err := r.s.feed(body)
	if err == nil {
		err = r.s.close()
	}
	return r.view, err
}

// ScanView reads a body in pieces, holding no more than one of them. Its error
// is a *SyntaxError, or the reader's own.
func ScanView(api API, body io.Reader) (View, error) {
	r := newViewReader(api)
	defer viewReaders.Put(r)
	buf := make([]byte, 64<<10)
	for {
		n, err := body.Read(buf)
		if serr := r.s.feed(buf[:n]); serr != nil {
			return r.view, serr
		}
		if err == io.EOF {
			return r.view, r.s.close()
		}
		if err != nil {
			return r.view, err
		}
	}
}

// A viewReader fills a View from the scanner's reports.
type viewReader struct {
	api   API
	s     scanner
	view  View
	needs needs
	seen  [numKeys/64 + 1]uint64 // root members met, by key
}

// viewReaders keeps readers for their stacks.
var viewReaders = sync.Pool{New: func() any { return new(viewReader) }}

func newViewReader(api API) *viewReader {
	r := viewReaders.Get().(*viewReader)
	if cap(r.s.stack) > 1<<10 {
		r.s.stack = nil
	}
	*r = viewReader{api: api, s: r.s}
	r.s.reset(r)
	return r
}

// begin implements visitor.
func (r *viewReader) begin(s *scanner, kind valueKind) int {
	switch s.depth() {
	case 0:
		if kind == kindObject {
			r.view.root.object = true
		}
		return 0
	case 1:
		return r.beginMember(s)
	case 2:
		if keep := r.beginInner(s, kind); keep > 0 {
			return keep
		}
	}
	if kind == kindString && wantsWord(s) {
		return maxWord
	}
	return 0
}

// beginMember is told of a member of the root object.
func (r *viewReader) beginMember(s *scanner) int {
	if s.stack[0].kind != kindObject {
		return 0
	}
	root := &r.view.root
	if root.weirSet && root.weirFirst && root.members == 1 {
		root.weirTo = s.keyStart
	}
	switch s.key() {
	case keyModel, keyServiceTier, keyUser, keySafetyIdentifier, keyPreviousResponseID, keyInputFileID:
		return maxModelLen
	case keySpeed, keyInferenceGeo:
		return maxWord
	case keyStream, keyMaxTokens, keyMaxCompletionTokens, keyMaxOutputTokens, keyN, keyBestOf, keyTruncation:
		return 32
	case keyWeir:
		root.weirFirst = root.members == 0
		root.weirFrom = root.end
		if root.weirFirst {
			root.weirFrom = s.keyStart
		}
	}
	return 0
}

func (r *viewReader) beginInner(s *scanner, kind valueKind) int {
	switch s.stack[0].key {
	case keyMessages, keyInput, keyContents, keyRequests:
		if kind == kindObject && s.stack[1].kind == kindArray {
			r.view.Messages++
		}
	case keyStreamOptions:
		if s.key() == keyIncludeUsage {
			return 8
		}
	case keyMetadata:
		return maxMetadataLen + 2
	case keyGenerationConfig, keyGenerationConfigSnake:
		if kind == kindNumber {
			return 32
		}
	}
	return 0
}

// end implements visitor.
func (r *viewReader) end(s *scanner, kind valueKind, span Span, raw []byte) error {
	switch kind {
	case kindString:
		r.text(s, span)
	case kindNumber:
		r.tokenID(s)
	}
	switch s.depth() {
	case 0:
		if r.view.root.members == 0 {
			r.view.root.end = span.Start + 1
		}
		r.view.Needs = r.needs.set()
		return nil
	case 1:
		if s.stack[0].kind == kindObject {
			return r.member(s, kind, span, raw)
		}
		return nil
	case 2:
		r.innerMember(s, kind, span, raw)
	}
	if k := s.key(); kind == kindString && (k == keySearchContextSize || k == keySearchType) {
		r.searchWord(s, raw)
	}
	r.need(s, kind, raw)
	return nil
}

// member takes a whole member of the root object.
func (r *viewReader) member(s *scanner, kind valueKind, span Span, raw []byte) error {
	v, k := &r.view, s.key()
	v.root.members++
	v.root.end = span.End
	if k == keyNone {
		return nil
	}
	bit := uint64(1) << (k % 64)
	if r.seen[k/64]&bit != 0 && isActedOn(k) {
		return &SyntaxError{Offset: span.Start, Msg: "a member that may be given once is given twice", Unfit: true}
	}
	r.seen[k/64] |= bit
	switch k {
	case keyModel:
		if kind == kindString {
			if raw == nil {
				return &SyntaxError{Offset: span.Start, Msg: "the model's name is too long", Unfit: true}
			}
			v.Model, v.ModelSpan = text(raw), span
		}
	case keyStream:
		v.Stream = kind == kindTrue
	case keyServiceTier:
		v.ServiceTier = text(raw)
	case keySpeed:
		v.Priced.Speed = plainWord(raw)
	case keyInferenceGeo:
		v.Priced.Residency = plainWord(raw)
	case keyUser, keySafetyIdentifier:
		if u := text(raw); u != "" {
			v.User = u
		}
	case keyPreviousResponseID, keyInputFileID:
		v.Previous = text(raw)
	case keyMaxTokens, keyMaxCompletionTokens, keyMaxOutputTokens:
		v.MaxOutput = max(v.MaxOutput, integer(raw))
	case keyN, keyBestOf: // what is not the best is billed, too
		v.N = max(v.N, integer(raw))
	case keyWeir:
		v.Weir, v.root.weirSet = span, true
		v.root.weirTo = span.End
	case keyStreamOptions:
		v.stream.value, v.stream.kind = span, kind
	case keyTruncation:
		v.Shrinks = v.Shrinks || kind == kindString && text(raw) != "disabled"
	case keyContextManagement, keyTransforms, keyTruncate, keyTruncatePromptTokens:
		v.Shrinks = v.Shrinks || kind != kindNull && kind != kindFalse
	}
	return nil
}

// isActedOn reports whether Weir acts on a root member, so that two of a kind
// would leave open which one counts.
func isActedOn(k key) bool {
	switch k {
	case keyModel, keyStream, keyStreamOptions, keyWeir, keyMaxTokens, keyMaxCompletionTokens,
		keyMaxOutputTokens, keyN, keyBestOf, keyMetadata, keyUser, keySafetyIdentifier, keyServiceTier,
		keyPreviousResponseID, keyInputFileID:
		return true
	}
	return false
}

// searchWord takes what a request says of a search of the web: in
// web_search_options, or in a tool of a Responses request.
func (r *viewReader) searchWord(s *scanner, raw []byte) {
	switch d, root := s.depth(), s.stack[0].key; {
	case d == 2 && root == keyWebSearchOptions:
	case d == 3 && root == keyTools && s.stack[1].kind == kindArray:
	default:
		return
	}
	if s.key() == keySearchType {
		r.view.Priced.SearchType = plainWord(raw)
	} else {
		r.view.Priced.SearchContextSize = plainWord(raw)
	}
}

// plainWord is a string of lower-case letters, digits, - and _, else "".
func plainWord(raw []byte) string {
	if len(raw) < 3 || raw[0] != '"' {
		return ""
	}
	for _, c := range inner(raw) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return ""
		}
	}
	return string(inner(raw))
}

func (r *viewReader) innerMember(s *scanner, kind valueKind, span Span, raw []byte) {
	v := &r.view
	switch s.stack[0].key {
	case keyStreamOptions:
		v.stream.members++
		v.stream.end = span.End
		if s.key() == keyIncludeUsage {
			v.stream.usage, v.stream.of, v.IncludeUsage = span, kind, kind == kindTrue
		}
	case keyMetadata:
		if kind != kindString || raw == nil || s.nameCut || len(v.Metadata) >= maxMetadata {
			return
		}
		if r.api == Messages && s.key() == keyUserID {
			v.User = text(raw)
		}
		if v.Metadata == nil {
			v.Metadata = make(map[string]string)
		}
		v.Metadata[string(s.name)] = text(raw)
	case keyGenerationConfig, keyGenerationConfigSnake:
		switch s.key() {
		case keyMaxOutputTokens, keyMaxOutputTokensCamel:
			v.MaxOutput = integer(raw)
		case keyCandidateCount:
			v.N = integer(raw)
		}
	}
}

// text sorts a string value: text that the model reads, media, or neither.
func (r *viewReader) text(s *scanner, span Span) {
	if s.depth() == 0 {
		return
	}
	switch s.stack[0].key {
	case keyMessages, keyInput, keyPrompt, keySystem, keyInstructions, keyContents, keyContent,
		keySystemInstruction, keySystemInstructionSnake, keyRequests, keyTools, keyDocuments, keyQuery:
	default:
		return
	}
	switch s.key() {
	case keyType, keyRole, keyID, keyToolCallID, keyToolUseID, keyCallID, keyMediaType, keyMimeType,
		keyMimeTypeCamel, keyFormat, keyDetail, keySignature, keyEncryptedContent, keyThoughtSignature, keyModel:
		return
	case keyData, keyURL, keyFileData, keyImageURL, keyFileURI, keyFileURISnake, keyB64JSON, keyBytes:
		r.view.Media += span.Len() - 2
		r.long(s, span)
		return
	}
	if isAside(s) {
		r.view.Aside += span.Len() - 2
	}
	if len(r.view.Texts) >= maxTexts {
		r.view.TextRest += span.Len() - 2
		return
	}
	if r.view.Texts == nil {
		r.view.Texts = make([]Span, 0, 8)
	}
	r.view.Texts = append(r.view.Texts, Span{span.Start + 1, span.End - 1})
}

// long keeps the place of a string that is long and may be data. Only the
// conversation's are: what else a request says may come back in the reply.
func (r *viewReader) long(s *scanner, span Span) {
	if span.Len()-2 < minLong {
		return
	}
	switch s.stack[0].key {
	case keyMessages, keyInput, keyContents:
		r.view.Long = append(r.view.Long, Span{span.Start + 1, span.End - 1})
	}
}

// isAside reports whether a text may be one that the model never sees.
func isAside(s *scanner) bool {
	switch s.key() {
	case keyThinking, keyReasoning, keyReasoningContent:
		return true
	}
	return s.stack[0].key == keyTools || s.depth() == 5 && s.stack[2].key == keySummary
}

// tokenID counts the tokens of a prompt or input that is written as a list of
// numbers, or as lists of them.
func (r *viewReader) tokenID(s *scanner) {
	d := s.depth()
	if d < 2 || d > 3 || s.stack[1].kind != kindArray || s.stack[d-1].kind != kindArray {
		return
	}
	if k := s.stack[0].key; k == keyInput || k == keyPrompt {
		r.view.TokenIDs++
	}
}

// EachText calls f with the plain text of every text of the body. f must not
// keep it.
func (v *View) EachText(body []byte, f func(text []byte)) {
	var buf []byte
	for _, span := range v.Texts {
		raw := body[span.Start:span.End]
		if bytes.IndexByte(raw, '\\') >= 0 {
			buf = unquote(buf[:0], raw)
			raw = buf
		}
		f(raw)
	}
}

// integer is count, with 0 for what is none.
func integer(raw []byte) int64 {
	n, _ := count(raw)
	return n
}

// count reads a number that is whole and not negative, however it is written:
// some servers count in floating point (12.0, 1e3). Above 2^53 only plain
// digits are exact, and only those are read.
func count(raw []byte) (int64, bool) {
	if len(raw) == 0 || len(raw) > 64 {
		return 0, false
	}
	if digits(raw) == len(raw) {
		if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
			return n, true
		}
		return 0, false
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || f < 0 || f > 1<<53 || f != math.Trunc(f) {
		return 0, false
	}
	return int64(f), true
}

// Want is what an upstream needs changed in a body.
type Want struct {
	Model        string // "" = as it is
	IncludeUsage bool   // set stream_options.include_usage
	DropWeir     bool   // take the "weir" member out
}

// Edits returns the point edits that change the viewed body as wanted, in
// order; nil where nothing is to change. An added member goes last.
func (v *View) Edits(w Want) []Edit {
	if !v.root.object {
		return nil
	}
	var edits []Edit
	if w.Model != "" && w.Model != v.Model && !v.ModelSpan.Empty() {
		edits = append(edits, Edit{v.ModelSpan, appendQuoted(nil, w.Model)})
	}
	drops := w.DropWeir && v.root.weirSet
	if drops {
		edits = append(edits, Edit{Span{v.root.weirFrom, v.root.weirTo}, nil})
	}
	if w.IncludeUsage && !v.IncludeUsage {
		if e, ok := v.askUsage(drops); ok {
			edits = append(edits, e)
		}
	}
	sortEdits(edits)
	return edits
}

// askUsage is the edit that sets include_usage. Where the client wrote a value
// of the wrong type there is none: the upstream is to say so.
func (v *View) askUsage(drops bool) (e Edit, ok bool) {
	const member = `"include_usage":true`
	o := &v.stream
	switch {
	case !o.usage.Empty():
		return Edit{o.usage, []byte("true")}, o.of == kindFalse || o.of == kindNull
	case o.kind == kindNull, o.kind == kindObject && o.members == 0:
		return Edit{o.value, []byte("{" + member + "}")}, true
	case o.kind == kindObject:
		return Edit{Span{o.end, o.end}, []byte("," + member)}, true
	case !o.value.Empty():
		return Edit{}, false
	}
	added := `"stream_options":{` + member + "}"
	left := v.root.members
	if drops {
		left--
	}
	if left > 0 {
		added = "," + added
	}
	return Edit{Span{v.root.end, v.root.end}, []byte(added)}, true
}

// sortEdits orders at most three edits by place.
func sortEdits(edits []Edit) {
	for i := 1; i < len(edits); i++ {
		for j := i; j > 0 && edits[j].Span.Start < edits[j-1].Span.Start; j-- {
			edits[j], edits[j-1] = edits[j-1], edits[j]
		}
	}
}
