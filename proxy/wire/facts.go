package wire

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"weir/costs"
)

// A Reading is what replies and streams say about themselves.
type Reading struct {
	Usage    costs.Usage
	HasUsage bool   // some usage has come
	Final    bool   // and it is the reply's last word
	RawUsage []byte // the usage object as it was written; of an Anthropic stream the last one

	ServedModel string
	StopReason  string // as the vendor wrote it
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
	api  API
	read *Reading

	// Of the text being read:
	base     int    // 1 where the root is an array of replies (Gemini)
	kind     string // the root's "type"
	itemKind string // item.type, content_block.type
	choices  int    // elements of choices
	hasUsage bool
	content  bool // something a user would see
	finished bool // a stop reason
	rootCode string
	rootMsg  string
	errRaw   []byte
}

func (f *facts) reset(api API, r *Reading) { *f = facts{api: api, read: r} }

// begin implements visitor.
func (f *facts) begin(s *scanner, kind valueKind) int {
	d := s.depth() - f.base
	if d <= 0 {
		if kind == kindArray && s.depth() == 0 {
			f.base = 1
		}
		return 0
	}
	switch kind {
	case kindObject:
		return f.beginObject(s, d)
	case kindString:
		if d > 2 && isTextKey(s.key()) {
			return 6*maxText + 2
		}
		if d <= 2 && (isTextKey(s.key()) || s.key() == keyDelta) {
			return 6*maxText + 2
		}
		return maxShort
	case kindNumber:
		return 32
	}
	return 0
}

func (f *facts) beginObject(s *scanner, d int) int {
	k := s.key()
	switch {
	case k == keyError && d <= 2:
		return maxRaw
	case d <= 2 && (k == keyUsage || k == keyUsageMetadata):
		return maxRaw
	case k == keyChoices && d == 2:
		f.choices++
	case k == keyParts && f.rootKey(s) == keyCandidates:
		f.content = true
	}
	return 0
}

func (f *facts) rootKey(s *scanner) key { return s.stack[f.base].key }

// isTextKey reports whether a string under the name is output of the model.
func isTextKey(k key) bool {
	switch k {
	case keyContent, keyText, keyReasoning, keyReasoningContent, keyRefusal, keyArguments, keyName,
		keyPartialJson, keyThinking, keyMessage:
		return true
	}
	return false
}

// end implements visitor.
func (f *facts) end(s *scanner, kind valueKind, _ Span, raw []byte) error {
	d := s.depth() - f.base
	if d <= 0 || kind == kindNull || kind == kindArray {
		return nil
	}
	k := s.key()
	switch {
	case (k == keyUsage || k == keyUsageMetadata) && kind == kindObject && d <= 2:
		f.usage(raw)
		return nil
	case k == keyError && d <= 2:
		f.errRaw = append(f.errRaw[:0], raw...)
		return nil
	case kind == kindObject:
		return nil
	}
	switch d {
	case 1:
		f.rootMember(k, kind, raw)
	case 2:
		f.innerMember(f.rootKey(s), k, kind, raw)
	default:
		f.deepMember(s, d, k, kind, raw)
	}
	return nil
}

func (f *facts) rootMember(k key, kind valueKind, raw []byte) {
	r := f.read
	switch k {
	case keyType:
		f.kind = text(raw)
	case keyId, keyResponseId:
		f.setID(raw)
	case keyModel, keyModelVersion:
		f.served(raw)
	case keyServiceTier:
		r.ServiceTier = text(raw)
	case keyDelta:
		if kind == kindString {
			f.output(raw)
		}
	case keySequenceNumber:
		r.Sequence = integer(raw)
	case keyStopReason, keyStatus:
		f.stop(k, raw)
	case keyCode:
		f.rootCode = text(raw)
	case keyMessage:
		f.rootMsg = text(raw)
	}
}

// stop takes a stop reason, or the status of a Responses object.
func (f *facts) stop(k key, raw []byte) {
	reason := text(raw)
	if reason == "" || k == keyStatus && (f.api != Responses || reason == "in_progress" || reason == "queued") {
		return
	}
	f.read.StopReason, f.finished = reason, true
}

func (f *facts) innerMember(root, k key, kind valueKind, raw []byte) {
	switch root {
	case keyResponse, keyMessage:
		switch k {
		case keyId:
			f.setID(raw)
		case keyModel:
			f.served(raw)
		case keyServiceTier:
			f.read.ServiceTier = text(raw)
		case keyStatus:
			f.stop(k, raw)
		}
	case keyDelta:
		if k == keyStopReason {
			f.stop(k, raw)
		} else if kind == kindString && isTextKey(k) {
			f.output(raw)
		}
	case keyItem, keyContentBlock:
		if k == keyType {
			f.itemKind = text(raw)
		}
	case keyPromptFeedback:
		if k == keyBlockReason {
			f.read.StopReason, f.finished, f.content = text(raw), true, true
		}
	}
}

// deepMember takes what is inside of choices, candidates, content and output.
func (f *facts) deepMember(s *scanner, d int, k key, kind valueKind, raw []byte) {
	switch f.rootKey(s) {
	case keyChoices, keyCandidates:
		if d == 3 && (k == keyFinishReason || k == keyFinishReasonCamel) {
			if reason := text(raw); reason != "" {
				f.read.StopReason, f.finished, f.content = reason, true, true
			}
			return
		}
	case keyContent, keyOutput:
	default:
		return
	}
	if kind == kindString && isTextKey(k) {
		f.output(raw)
	}
}

func (f *facts) setID(raw []byte) {
	if f.read.ID == "" {
		f.read.ID = text(raw)
	}
}

func (f *facts) served(raw []byte) {
	if m := text(raw); m != "" {
		f.read.ServedModel = m
	}
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
		r.Text = append(r.Text, in...)
	} else {
		r.Text = unquote(r.Text, in)
	}
	if len(r.Text) > maxText {
		r.Text, r.TextTruncated = r.Text[:maxText], true
	}
}

// usage takes a usage object. Later ones overwrite what they name.
func (f *facts) usage(raw []byte) {
	if raw == nil || bytes.Equal(raw, []byte("{}")) {
		return
	}
	f.hasUsage = true
	r := f.read
	u, tier := readUsage(f.api, raw, r.Usage)
	r.Usage, r.HasUsage = u, true
	r.RawUsage = append(r.RawUsage[:0], raw...)
	if tier != "" {
		r.ServiceTier = tier
	}
}

// failure reads an error object, or string, of any vendor.
func (f *facts) failure() *Failure {
	if f.errRaw == nil && f.kind != "error" {
		return nil
	}
	out := &Failure{Message: f.rootMsg, Code: f.rootCode}
	if len(f.errRaw) > 0 && f.errRaw[0] == '"' {
		out.Message = text(f.errRaw)
	} else if f.errRaw != nil {
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

// ReadFailure reads the body of an error reply, in any vendor's shape. A body
// that has none gives a Failure with the status alone.
func ReadFailure(status int, body []byte) Failure {
	var shape struct {
		Error   json.RawMessage `json:"error"`
		Message string          `json:"message"`
		Detail  json.RawMessage `json:"detail"`
	}
	out := Failure{Status: status}
	body = bytes.TrimSpace(body)
	if len(body) > 0 && body[0] == '[' { // Gemini's compatible endpoint: [{"error":…}]
		body = bytes.TrimSuffix(bytes.TrimPrefix(body, []byte("[")), []byte("]"))
	}
	if err := json.Unmarshal(body, &shape); err != nil {
		return out
	}
	out.Message = shape.Message
	switch {
	case len(shape.Error) > 0 && shape.Error[0] == '{':
		out.fill(shape.Error)
	case len(shape.Error) > 0 && shape.Error[0] == '"':
		out.Message = text(shape.Error)
	case out.Message == "" && len(shape.Detail) > 0 && shape.Detail[0] == '"':
		out.Message = text(shape.Detail)
	}
	out.Status = status
	return out
}

func (f *Failure) fill(raw []byte) {
	var e struct {
		Message string          `json:"message"`
		Type    string          `json:"type"`
		Status  string          `json:"status"`
		Param   string          `json:"param"`
		Code    json.RawMessage `json:"code"`
	}
	if err := json.Unmarshal(raw, &e); err != nil && e.Message == "" {
		return // a member of an odd type: what could be read stays
	}
	f.Message, f.Type, f.Param = e.Message, e.Type, e.Param
	if e.Status != "" {
		f.Type = e.Status
	}
	if len(e.Code) > 0 && e.Code[0] == '"' {
		f.Code = text(e.Code)
	} else if n, err := strconv.Atoi(string(e.Code)); err == nil && n >= 400 && n < 600 {
		f.Status = n
	}
}

// statusOf is the HTTP status that an in-band error would have had.
func statusOf(kind, code string) int {
	for _, word := range []string{kind, code} {
		switch {
		case strings.Contains(word, "overloaded"):
			return 529
		case strings.Contains(word, "rate_limit"), strings.Contains(word, "quota"), word == "RESOURCE_EXHAUSTED":
			return 429
		case strings.Contains(word, "invalid"), word == "INVALID_ARGUMENT":
			return 400
		case strings.Contains(word, "timeout"), word == "DEADLINE_EXCEEDED":
			return 504
		}
	}
	return 500
}
