package wire

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"weir/costs"
)

// A Reading is what replies and streams say about themselves.
type Reading struct {
	costs.Reading        // of the usage objects so far
	HasUsage      bool   // some usage has come
	Final         bool   // and it is the reply's last word
	RawUsage      []byte // the usage object as it was written; of an Anthropic stream a list of the first and the last one

	ServedModel string
	StopReason  string // as the vendor wrote it
	Pending     bool   // it is a response or a batch that has not ended
	Background  bool   // it is a response that runs on without its client
	ServiceTier string // that was used
	ID          string // of the reply
	Sequence    int64  // Responses streams: the last sequence_number

	Text          []byte // output text so far, decoded, at most maxText bytes: for estimates
	TextTruncated bool
	Err           *Failure // an error inside a reply or stream
}

const (
	maxText  = 1 << 20
	maxRaw   = 64 << 10 // of a usage or error object
	maxShort = 4 << 10  // of ids and names
)

// facts collects a Reading from JSON texts: whole replies, and the data of
// stream events, whose members have the same names and places.
type facts struct {
	api      API
	flavour  costs.Flavour
	read     *Reading
	extras   *extras // nil: there have been none
	firstRaw int     // length of the reply's first usage object

	// Of the text being read:
	base       int    // 1 where the root is an array of replies (Gemini)
	kind       []byte // the root's "type"
	itemKind   []byte // type of item, content_block or delta
	hasChoices bool   // the root has a list of choices
	choices    int    // elements of it
	hasUsage   bool
	content    bool // something a user would see
	finished   bool // a stop reason
	reasoned   bool // the stop reason is better than a status
	flat       bool // the root says that it is an error itself
	rootCode   string
	rootStatus int64
	rootMsg    string
	errRaw     []byte // the error member; nil: none
	item       item   // the output item being read, or that an event tells

	// For the pattern of the next event:
	hasText bool
	dropped bool // a delta was no text
	textAt  int  // length of Reading.Text before this text
	holes   [maxHoles]hole
	nHoles  int // may be more than there is room for
}

func (f *facts) reset(api API, r *Reading) {
	f.item.clear()
	*f = facts{
		api: api, flavour: f.flavour, read: r, extras: f.extras, firstRaw: f.firstRaw,
		kind: f.kind[:0], itemKind: f.itemKind[:0], item: f.item, textAt: len(r.Text),
	}
	if f.extras != nil {
		f.extras.newQueries = 0
	}
}

// begin implements visitor.
func (f *facts) begin(s *scanner, kind valueKind) int {
	d := s.depth() - f.base
	if d <= 0 {
		if kind == kindArray && s.depth() == 0 {
			f.base = 1
		}
		return 0
	}
	if d == 2 && f.rootKey(s) == keyChoices {
		f.choices++
	}
	switch kind {
	case kindObject:
		if f.isUsage(s, d) || f.isErrorMember(s, d) {
			return maxRaw
		}
		if d == 6 && f.rootKey(s) == keyCandidates && s.stack[f.base+4].key == keyParts {
			f.content = true // a function call, a picture, code: all but text are objects
		}
	case kindArray:
		if d == 1 && s.key() == keyChoices {
			f.hasChoices = true
		}
	case kindString:
		switch {
		case f.isText(s, d):
			return 6*maxText + 2
		case d == 1 && s.key() == keyMessage:
			return maxRaw
		}
		return maxShort
	case kindNumber:
		return 32
	case kindTrue:
		return len("true")
	}
	return 0
}

func (f *facts) rootKey(s *scanner) key { return s.stack[f.base].key }

// parentKey is the member name of the container of the value being read.
func parentKey(s *scanner) key {
	if n := len(s.stack); n > 1 {
		return s.stack[n-2].key
	}
	return keyNone
}

// isUsage reports whether a value is where vendors put usage: at the root, in
// a Responses response, an Anthropic message, Groq's x_groq, a choice
// (Moonshot), or the meta of embeddings and rankings (Cohere).
func (f *facts) isUsage(s *scanner, d int) bool {
	switch s.key() {
	case keyUsage, keyUsageMetadata:
	case keyMeta:
		return d == 1 && (f.api == Rerank || f.api == Embeddings)
	default:
		return false
	}
	switch f.rootKey(s) {
	case keyResponse, keyMessage, keyXGroq:
		return d == 2
	case keyChoices:
		return d == 3
	}
	return d == 1
}

// isErrorMember reports whether a value is an error of the reply itself: one
// inside an output item is a tool's.
func (f *facts) isErrorMember(s *scanner, d int) bool {
	return s.key() == keyError && (d == 1 || d == 2 && f.rootKey(s) == keyResponse)
}

// isText reports whether a string is output of the model.
func (f *facts) isText(s *scanner, d int) bool {
	switch f.rootKey(s) {
	case keyDelta:
		return d == 1 || d == 2 && isTextKey(s.key())
	case keyChoices, keyCandidates, keyContent, keyOutput:
		return d > 2 && isTextKey(s.key())
	}
	return false
}

func isTextKey(k key) bool {
	switch k {
	case keyContent, keyText, keyReasoning, keyReasoningContent, keyRefusal, keyArguments, keyName,
		keyPartialJSON, keyThinking, keyInput, keyTranscript:
		return true
	}
	return false
}

// end implements visitor.
func (f *facts) end(s *scanner, kind valueKind, span Span, raw []byte) error {
	d := s.depth() - f.base
	if d <= 0 || kind == kindNull || kind == kindArray {
		return nil
	}
	switch {
	case kind == kindObject && f.isUsage(s, d):
		f.usage(raw)
	case f.isErrorMember(s, d):
		f.errorMember(kind, raw)
	case kind == kindObject:
		f.endObject(s, d)
	case kind == kindString && f.isText(s, d):
		if len(raw) != 2 {
			f.hasText = true
			f.addHole(holeText, span)
		}
		f.output(raw)
	case d == 1:
		f.rootMember(s.key(), span, raw)
	case d == 2:
		f.innerMember(s, raw)
	default:
		f.deepMember(s, d, raw)
	}
	return nil
}

// endObject is at the end of an object that was not kept.
func (f *facts) endObject(s *scanner, d int) {
	switch f.rootKey(s) {
	case keyOutput, keyResponse:
		if d+1 == f.itemDepth(s) {
			f.endItem()
		}
	case keyData:
		if d == 2 && f.api == Images {
			f.more().images++
		}
	}
}

// errorMember takes an error as an object or a string. Some servers always
// write the member, and leave it empty where there is none.
func (f *facts) errorMember(kind valueKind, raw []byte) {
	switch {
	case raw == nil && kind == kindObject:
		f.errRaw = append(f.errRaw[:0], "{}"...) // too long to be told
	case kind == kindObject && len(raw) > 2, kind == kindString && len(raw) > 2:
		f.errRaw = append(f.errRaw[:0], raw...)
	}
}

func (f *facts) rootMember(k key, span Span, raw []byte) {
	r := f.read
	switch k {
	case keyType:
		f.kind = appendShort(f.kind[:0], raw)
	case keyObject:
		f.flat = string(raw) == `"error"`
	case keyID, keyResponseID:
		f.setID(raw)
	case keyName:
		f.resourceName(raw)
	case keyModel, keyModelVersion:
		setText(&r.ServedModel, raw)
	case keyServiceTier:
		setText(&r.ServiceTier, raw)
	case keySequenceNumber:
		r.Sequence = integer(raw)
		f.addHole(holeSequence, span)
	case keyObfuscation:
		if len(raw) > 1 && raw[0] == '"' {
			f.addHole(holeString, span)
		}
	case keyStopReason, keyStatus:
		f.stop(k, raw)
	case keyProcessingStatus:
		f.read.Pending = f.api == Batches && string(raw) != `"ended"`
	case keyCode:
		f.rootCode = text(raw)
		f.rootStatus = integer(raw)
	case keyMessage:
		f.rootMsg = text(raw)
	case keyDuration:
		f.duration(raw)
	}
}

// stop takes a stop reason, or the status of a Responses object. What a
// status "incomplete" is for stands in incomplete_details.
func (f *facts) stop(k key, raw []byte) {
	reason := text(raw)
	if f.api == Batches && k == keyStatus {
		f.read.Pending = reason == "validating" || reason == "in_progress" || reason == "finalizing" || reason == "cancelling"
		return
	}
	if reason == "" || k == keyStatus && f.api != Responses {
		return
	}
	f.read.Pending = k == keyStatus && (reason == "in_progress" || reason == "queued")
	if f.read.Pending {
		return
	}
	f.finished = true
	if k == keyReason {
		f.reasoned = true
	} else if f.reasoned {
		return
	}
	f.read.StopReason = reason
}

func (f *facts) innerMember(s *scanner, raw []byte) {
	switch k := s.key(); f.rootKey(s) {
	case keyResponse, keyMessage:
		switch k {
		case keyID:
			f.setID(raw)
		case keyModel:
			setText(&f.read.ServedModel, raw)
		case keyServiceTier:
			setText(&f.read.ServiceTier, raw)
		case keyStatus:
			f.stop(k, raw)
		case keyBackground:
			f.read.Background = f.read.Background || string(raw) == "true"
		}
	case keyDelta:
		switch k {
		case keyStopReason:
			f.stop(k, raw)
		case keyType:
			f.itemKind = appendShort(f.itemKind[:0], raw)
		}
	case keyItem:
		f.itemMember(s, 0, raw)
		if k == keyType {
			f.itemKind = appendShort(f.itemKind[:0], raw)
		}
	case keyContentBlock:
		if k == keyType {
			f.itemKind = appendShort(f.itemKind[:0], raw)
		}
	case keyPromptFeedback:
		if k == keyBlockReason {
			f.choiceStop(raw)
		}
	case keyIncompleteDetails:
		if k == keyReason {
			f.stop(k, raw)
		}
	case keyFile:
		if k == keyName {
			f.resourceName(raw)
		}
	case keyTimings:
		f.timing(k, raw)
	case keyRequestCounts:
		if n, ok := count(raw); ok && k == keyCompleted && f.api == Batches {
			f.more().requests = n
		}
	}
}

// timing takes how long an engine read and wrote, in milliseconds.
func (f *facts) timing(k key, raw []byte) {
	if k != keyPromptMS && k != keyPredictedMS {
		return
	}
	n, ok := costs.ParseMillis(raw)
	switch {
	case !ok:
	case k == keyPromptMS:
		f.more().prefill = n
	default:
		f.more().decode = n
	}
}

// deepMember takes what is inside of choices, candidates and a response.
func (f *facts) deepMember(s *scanner, d int, raw []byte) {
	k := s.key()
	switch f.rootKey(s) {
	case keyChoices, keyCandidates:
		switch {
		case d == 3 && (k == keyFinishReason || k == keyFinishReasonCamel):
			f.choiceStop(raw)
		case k == keyData && parentKey(s) == keyAudio, k == keyURL && parentKey(s) == keyImageURL:
			f.content = f.content || len(raw) != 2 // sound and pictures are no text
		case k == keyWebSearchQueries && len(raw) > 2:
			e := f.more()
			e.newQueries++
			e.queries = max(e.queries, e.newQueries)
		}
	case keyResponse:
		switch below := d - f.itemDepth(s); {
		case d == 3 && k == keyReason && parentKey(s) == keyIncompleteDetails:
			f.stop(k, raw)
		case k == keyNumRequests:
			f.toolUsage(s, d, raw)
		case below < d:
			f.itemMember(s, below, raw)
		}
	case keyItem, keyOutput:
		f.itemMember(s, d-f.itemDepth(s), raw)
	case keyToolUsage:
		if k == keyNumRequests {
			f.toolUsage(s, d, raw)
		}
	}
}

// choiceStop takes the stop reason of a choice or candidate.
func (f *facts) choiceStop(raw []byte) {
	if reason := text(raw); reason != "" {
		f.read.StopReason, f.finished, f.content = reason, true, true
	}
}

// resourceName takes the name of an object that has no id: Gemini's.
func (f *facts) resourceName(raw []byte) {
	switch f.api {
	case Files, Batches, CachedContents:
		if bytes.HasPrefix(raw, []byte(`"files/`)) || bytes.HasPrefix(raw, []byte(`"cachedContents/`)) || bytes.HasPrefix(raw, []byte(`"batches/`)) {
			f.setID(raw)
		}
	}
}

func (f *facts) setID(raw []byte) {
	if f.read.ID == "" {
		f.read.ID = text(raw)
	}
}

// setText sets *dst to a string value, without an allocation where it is that
// already. Anything but a string, and an empty one, changes nothing.
func setText(dst *string, raw []byte) {
	if len(raw) > 2 && string(inner(raw)) == *dst {
		return
	}
	if t := text(raw); t != "" {
		*dst = t
	}
}

// appendShort appends a string value that is a short word.
func appendShort(dst, raw []byte) []byte {
	if len(raw) < 2 || raw[0] != '"' || len(raw) > maxField+2 {
		return dst
	}
	return unquote(dst, inner(raw))
}

// output takes text of the model, for estimates.
func (f *facts) output(raw []byte) {
	if raw == nil {
		f.content, f.read.TextTruncated = true, true
		return
	}
	in := inner(raw)
	if len(in) == 0 {
		return
	}
	f.content = true
	r := f.read
	if len(r.Text) >= maxText {
		r.TextTruncated = true
		return
	}
	if bytes.IndexByte(in, '\\') < 0 {
		r.Text = append(r.Text, in[:min(len(in), maxText+1-len(r.Text))]...)
	} else {
		r.Text = unquote(r.Text, in)
	}
	if len(r.Text) > maxText {
		r.Text, r.TextTruncated = r.Text[:maxText], true
	}
}

// dropText takes back what was taken for text: a delta can be sound, too.
func (f *facts) dropText() {
	f.read.Text, f.dropped = f.read.Text[:f.textAt], true
}

// isError reports whether the text is, or has, an error, by its own words.
func (f *facts) isError() bool { return f.errRaw != nil || f.flat || string(f.kind) == "error" }

// failure reads an error object, or string, of any vendor. kind is the type
// of the event, or of the reply.
func (f *facts) failure(kind string) *Failure {
	if !f.isError() && kind != "error" {
		return nil
	}
	out := &Failure{Message: f.rootMsg, Code: f.rootCode}
	switch {
	case f.errRaw == nil:
		out.Status = errorStatus(f.rootStatus)
	case f.errRaw[0] == '"':
		out.Message = text(f.errRaw)
	default:
		out.fill(f.errRaw)
	}
	if out.Message == "" {
		out.Message = "The upstream reported an error without a message."
	}
	if out.Status == 0 {
		out.Status = statusOf(out.Type, out.Code)
	}
	return out
}

// errorStatus is a code as an HTTP status; 0 where it is none of an error.
func errorStatus(code int64) int {
	if code < 400 || code > 599 {
		return 0
	}
	return int(code)
}

// ReadFailure reads the body of an error reply, in any vendor's shape. A body
// that has none gives a Failure with the status alone.
func ReadFailure(status int, body []byte) Failure {
	var shape struct {
		Error  json.RawMessage `json:"error"`
		Detail json.RawMessage `json:"detail"`
	}
	out := Failure{Status: status}
	body = bytes.TrimSpace(body)
	if len(body) > 0 && body[0] == '[' { // Gemini's compatible endpoint: [{"error":…}]
		var list []json.RawMessage
		if json.Unmarshal(body, &list) != nil || len(list) == 0 {
			return out
		}
		body = list[0]
	}
	if json.Unmarshal(body, &shape) != nil {
		return out
	}
	switch {
	case len(shape.Error) > 0 && shape.Error[0] == '{':
		out.fill(shape.Error)
	case len(shape.Error) > 0 && shape.Error[0] == '"':
		out.Message = unquoted(shape.Error)
	default:
		out.fill(body) // flat, as old vLLM has it
		if out.Message == "" && len(shape.Detail) > 0 && shape.Detail[0] == '"' {
			out.Message = unquoted(shape.Detail)
		}
	}
	out.Status = status
	return out
}

// unquoted is the text of a JSON string that encoding/json has accepted,
// which lets bytes pass that are not UTF-8.
func unquoted(raw []byte) string { return strings.ToValidUTF8(text(raw), "\uFFFD") }

// fill takes the members of an error object that are of the right type.
func (f *Failure) fill(raw []byte) {
	var e map[string]json.RawMessage
	if json.Unmarshal(raw, &e) != nil {
		return
	}
	f.Message, f.Type, f.Param = unquoted(e["message"]), unquoted(e["type"]), unquoted(e["param"])
	if status := unquoted(e["status"]); status != "" {
		f.Type = status
	}
	f.Code = unquoted(e["code"])
	if status := errorStatus(integer(e["code"])); status != 0 {
		f.Status = status
	}
}

// statusOf is the HTTP status that an in-band error would have had, by the
// words of OpenAI, Anthropic and google.rpc.Code.
func statusOf(kind, code string) int {
	for _, word := range []string{code, kind} {
		if status := statusOfWord(strings.ToLower(word)); status != 0 {
			return status
		}
	}
	return 500
}

func statusOfWord(word string) int {
	has := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(word, part) })
	}
	switch {
	case has("overloaded"):
		return 529
	case has("rate_limit", "quota", "resource_exhausted", "too_many_requests"):
		return 429
	case has("api_key", "authentication", "unauthenticated"):
		return 401
	case has("permission"):
		return 403
	case has("not_found"):
		return 404
	case has("timeout", "deadline_exceeded"):
		return 504
	case has("billing"):
		return 402
	case has("too_large"):
		return 413
	case has("unavailable"):
		return 503
	case has("invalid", "context_length", "failed_precondition", "content_filter", "content_policy", "badrequest", "bad_request"):
		return 400
	}
	return 0
}
