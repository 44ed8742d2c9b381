package neutral

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"weir/proxy/wire"
)

// responsesCodec is OpenAI's Responses API (platform.openai.com/docs/api-reference/responses).
//
// Its conversation is a flat list of items. What a model puts out between two
// inputs (reasoning, a message, calls) is one turn here, and a second message
// begins another one; the outputs of tools that follow each other are one
// user's turn. The request's instructions are a system turn with the ID
// "instructions", and only such a one becomes instructions again.
var responsesCodec = register(&Codec{
	API:           Responses,
	DecodeRequest: worded(Responses, decodeResponsesRequest),
	EncodeRequest: encodeResponsesRequest,
	DecodeReply:   decodeResponsesReply,
	EncodeReply:   encodeResponsesReply,
	NewDecoder:    func() Decoder { return &responsesDecoder{} },
	NewEncoder:    func(r *Request) Encoder { return newResponsesEncoder(r) },
	Fields:        responsesFields,
}, wire.Responses)

var responsesFields = []Field{
	{FeatureSystem, "instructions", Carried, "as input items, but for instructions of this API's own"},
	{FeatureLateSystem, "input.role", Carried, ""},
	{FeatureDeveloper, "input.role", Carried, ""},
	{FeatureName, "", Dropped, "messages have no names"},
	{FeatureImages, "input.content.image_url", Carried, ""},
	{FeatureImageDetail, "input.content.detail", Carried, ""},
	{FeatureAudio, "input.content.input_audio", Refused, "the Responses API takes no audio"},
	{FeatureVideo, "", Refused, "the Responses API takes no video"},
	{FeatureFiles, "input.content.input_file", Carried, "plain text as a text part"},
	{FeatureFileIDs, "input.content.file_id", Refused, "a file's id means nothing to another vendor; carried from chat completions"},
	{FeatureTools, "tools", Carried, ""},
	{FeatureCustomTools, "tools", Carried, ""},
	{FeatureClientTools, "tools", Mapped, clientNote},
	{FeatureVendorTools, "tools", Refused, "but for web search, which becomes OpenAI's"},
	{FeatureStrictTools, "tools.strict", Carried, "not given is false, which is not this API's default"},
	{FeatureChoice, "tool_choice", Carried, ""},
	{FeatureChoiceOf, "tool_choice", Carried, "allowed_tools"},
	{FeatureParallel, "parallel_tool_calls", Carried, ""},
	{FeatureToolImages, "input.output", Carried, ""},
	{FeatureToolFailed, "", Dropped, "outputs have no mark for it"},
	{FeatureThoughts, "input.encrypted_content", Dropped, "only reasoning that OpenAI has sealed is taken back"},
	{FeatureReasoning, "reasoning.effort", Mapped, "a budget as the nearest effort; none for models that do not reason"},
	{FeatureSummary, "reasoning.summary", Mapped, "auto"},
	{FeatureMaxOutput, "max_output_tokens", Mapped, "at least 16, the least that the API takes"},
	{FeatureTemperature, "temperature", Carried, "dropped for OpenAI's models that reason: they refuse it"},
	{FeatureTopP, "top_p", Carried, "dropped for OpenAI's models that reason: they refuse it"},
	{FeatureTopK, "", Dropped, "no such member"},
	{FeatureFrequency, "", Dropped, "no such member"},
	{FeaturePresence, "", Dropped, "no such member"},
	{FeatureSeed, "", Dropped, "no such member"},
	{FeatureStop, "", Refused, "the API cannot stop at a sequence"},
	{FeatureN, "", Refused, "the API gives one answer"},
	{FeatureLogprobs, "top_logprobs", Carried, "by include message.output_text.logprobs"},
	{FeatureJSON, "text.format", Carried, "with an instruction where no message speaks of JSON, as OpenAI demands it"},
	{FeatureSchema, "text.format", Carried, ""},
	{FeatureVerbosity, "text.verbosity", Carried, ""},
	{FeatureUser, "safety_identifier", Carried, ""},
	{FeatureMetadata, "metadata", Carried, ""},
	{FeatureTier, "service_tier", Carried, "standard as default"},
	{FeatureCacheKey, "prompt_cache_key", Carried, ""},
	{FeatureCacheMarks, "input.content.prompt_cache_breakpoint", Dropped, "OpenAI caches by itself"},
	{FeatureAutoCache, "", Dropped, "OpenAI caches by itself"},
	{FeatureStore, "store", Carried, "not given is false, which is not this API's default"},
	{FeaturePrevious, "previous_response_id", Carried, ""},
	{FeatureCitations, "input.content.annotations", Mapped, "those of URLs; others are left out"},
	{FeatureIncludeUsage, "", Carried, "the stream always ends with it"},
}

const (
	// instructionsID marks the turn that is a request's instructions.
	instructionsID = "instructions"
	// Values of include.
	includeSealed   = "reasoning.encrypted_content"
	includeLogprobs = "message.output_text.logprobs"
	// leastOutput is the least max_output_tokens that OpenAI takes.
	leastOutput = 16
	// maxResponsesID is the longest id, of an item or a call, that OpenAI takes.
	maxResponsesID = 64
	// madeThought begins the ids of reasoning items that hold no seal of
	// OpenAI's: one that comes back is nobody's.
	madeThought = "rs_weir_"
)

// responsesSeal is a thought's seal as encrypted_content for a client.
func responsesSeal(t *Thought) string {
	if t.From == Responses || t.From == "" {
		return t.Sealed
	}
	if seal := t.seal(); seal != "" {
		return Wrap(t.From, seal)
	}
	return ""
}

// readSeal is its inverse.
func (t *Thought) readSeal(encrypted string) {
	if encrypted == "" {
		if !strings.HasPrefix(t.ID, madeThought) {
			t.From = Responses
		}
		return
	}
	from, seal := Unwrap(Responses, encrypted)
	if from == Responses {
		t.From, t.Sealed = from, seal
		return
	}
	t.setSeal(from, seal)
}

// responsesID is the id of a reply for a client: the upstream's own where it
// has this API's form.
func responsesID(id string) string {
	if strings.HasPrefix(id, "resp_") {
		return id
	}
	if id == "" {
		return "resp_weir"
	}
	return "resp_" + plainID(id)
}

// plainID makes an id of letters, digits, - and _ only.
func plainID(id string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9', r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r == '-', r == '_':
			return r
		}
		return '_'
	}, id)
}

// itemID is the id of the n-th item of a reply, no longer than a client may
// send it back.
func itemID(prefix, reply string, n int) string {
	stem := strings.TrimPrefix(reply, "resp_")
	return prefix + stem[:min(len(stem), 44)] + "_" + strconv.Itoa(n)
}

// responsesCallID is a call's id for an upstream: one that is too long
// becomes its hash, the same for the call and its output.
func responsesCallID(id string) string {
	if len(id) <= maxResponsesID {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "call_" + hex.EncodeToString(sum[:24])
}

// A rawValue is a JSON value as it stands in what is being read: bytes of that.
type rawValue jsontext.Value

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (v *rawValue) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	raw, err := dec.ReadValue()
	*v = rawValue(raw)
	return err
}

// kept is a copy of the value, nil for null.
func (v rawValue) kept() jsontext.Value {
	if !given(jsontext.Value(v)) {
		return nil
	}
	return bytes.Clone(v)
}
