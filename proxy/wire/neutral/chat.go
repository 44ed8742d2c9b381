package neutral

import (
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"weir/proxy/wire"
)

// chatCodec is OpenAI's chat completions, as OpenAI documents them and as the
// many servers have them that are only compatible. Where those differ the
// decoders take every form, and the encoders write OpenAI's.
var chatCodec = register(&Codec{
	API:           Chat,
	DecodeRequest: worded(Chat, decodeChatRequest),
	EncodeRequest: encodeChatRequest,
	DecodeReply:   decodeChatReply,
	EncodeReply:   encodeChatReply,
	NewDecoder:    func() Decoder { return &chatDecoder{} },
	NewEncoder:    func(r *Request) Encoder { return newChatEncoder(r) },
	Fields:        chatFields,
}, wire.Chat)

var chatFields = []Field{
	{FeatureSystem, "messages.role", Carried, ""},
	{FeatureLateSystem, "messages.role", Carried, ""},
	{FeatureDeveloper, "messages.role", Carried, "a system message where the model is not OpenAI's"},
	{FeatureName, "messages.name", Carried, ""},
	{FeatureImages, "messages.content.image_url", Carried, ""},
	{FeatureImageDetail, "messages.content.image_url.detail", Carried, ""},
	{FeatureAudio, "messages.content.input_audio", Carried, "inline; by URL refused"},
	{FeatureVideo, "messages.content.video_url", Carried, "vLLM's and OpenRouter's video_url; OpenAI has no video"},
	{FeatureFiles, "messages.content.file", Carried, "inline; plain text as a text part; by URL refused"},
	{FeatureFileIDs, "messages.content.file.file_id", Refused, "a file's id means nothing to another vendor; carried from Responses"},
	{FeatureTools, "tools", Carried, ""},
	{FeatureCustomTools, "tools.custom", Carried, "where the model is not OpenAI's " + customNote},
	{FeatureClientTools, "", Mapped, clientNote},
	{FeatureVendorTools, "tools", Refused, "chat completions run no tools"},
	{FeatureStrictTools, "tools.function.strict", Carried, ""},
	{FeatureChoice, "tool_choice", Carried, ""},
	{FeatureChoiceOf, "tool_choice.allowed_tools", Carried, "the other tools are left out where the model is not OpenAI's"},
	{FeatureParallel, "parallel_tool_calls", Carried, ""},
	{FeatureToolImages, "messages.content", Mapped, "a user message after the tool messages, which take text only"},
	{FeatureToolFailed, "", Dropped, "tool messages have no mark for it"},
	{FeatureThoughts, "messages.reasoning_content", Dropped, "chat completions take no reasoning back"},
	{FeatureReasoning, "reasoning_effort", Mapped, "a budget as the nearest effort; none for models that do not reason"},
	{FeatureSummary, "reasoning.exclude", Dropped, "a server that shows reasoning always does"},
	{FeatureMaxOutput, "max_completion_tokens", Carried, "max_tokens where the model is not OpenAI's"},
	{FeatureTemperature, "temperature", Carried, "dropped for OpenAI's models that reason: they refuse it"},
	{FeatureTopP, "top_p", Carried, "dropped for OpenAI's models that reason: they refuse it"},
	{FeatureTopK, "top_k", Carried, "dropped for OpenAI's own models: they refuse it"},
	{FeatureFrequency, "frequency_penalty", Carried, ""},
	{FeaturePresence, "presence_penalty", Carried, ""},
	{FeatureSeed, "seed", Carried, ""},
	{FeatureStop, "stop", Carried, ""},
	{FeatureN, "n", Carried, ""},
	{FeatureLogprobs, "logprobs", Carried, ""},
	{FeatureJSON, "response_format", Carried, "with an instruction where no message speaks of JSON, as OpenAI demands it"},
	{FeatureSchema, "response_format", Carried, ""},
	{FeatureVerbosity, "verbosity", Carried, "dropped for models that are not OpenAI's"},
	{FeatureUser, "user", Carried, ""},
	{FeatureMetadata, "metadata", Dropped, "chat completions take it only with store: true"},
	{FeatureTier, "service_tier", Carried, "standard as default"},
	{FeatureCacheKey, "prompt_cache_key", Carried, ""},
	{FeatureCacheMarks, "messages.content.cache_control", Dropped, "OpenAI caches by itself"},
	{FeatureAutoCache, "cache_control", Dropped, "OpenAI caches by itself"},
	{FeatureStore, "store", Carried, ""},
	{FeaturePrevious, "", Refused, "chat completions keep no state: send the whole conversation"},
	{FeatureCitations, "messages.annotations", Dropped, "chat completions take none back"},
	{FeatureIncludeUsage, "stream_options.include_usage", Carried, ""},
}

// A chatRequest is the body of a request. What is not here is in Rest.
type chatRequest struct {
	Model               string            `json:"model"`
	Messages            []chatMessage     `json:"messages"`
	Stream              bool              `json:"stream"`
	StreamOptions       *chatStreamOption `json:"stream_options"`
	Tools               []chatTool        `json:"tools"`
	Functions           []chatFunctionDef `json:"functions"`
	ToolChoice          jsontext.Value    `json:"tool_choice"`
	FunctionCall        jsontext.Value    `json:"function_call"`
	ParallelToolCalls   *bool             `json:"parallel_tool_calls"`
	MaxCompletionTokens *int64            `json:"max_completion_tokens"`
	MaxTokens           *int64            `json:"max_tokens"`
	Temperature         jsontext.Value    `json:"temperature"`
	TopP                jsontext.Value    `json:"top_p"`
	TopK                jsontext.Value    `json:"top_k"`
	FrequencyPenalty    jsontext.Value    `json:"frequency_penalty"`
	PresencePenalty     jsontext.Value    `json:"presence_penalty"`
	Seed                jsontext.Value    `json:"seed"`
	Stop                chatStrings       `json:"stop"`
	N                   int64             `json:"n"`
	Logprobs            bool              `json:"logprobs"`
	TopLogprobs         *int64            `json:"top_logprobs"`
	ResponseFormat      *chatFormat       `json:"response_format"`
	ReasoningEffort     string            `json:"reasoning_effort"`
	Reasoning           *chatReasoning    `json:"reasoning"`
	Thinking            *chatThinking     `json:"thinking"`
	Verbosity           string            `json:"verbosity"`
	User                string            `json:"user"`
	Metadata            map[string]string `json:"metadata"`
	ServiceTier         string            `json:"service_tier"`
	PromptCacheKey      string            `json:"prompt_cache_key"`
	CacheControl        jsontext.Value    `json:"cache_control"`
	Store               *bool             `json:"store"`
	Rest                jsontext.Value    `json:",embed"`
}

type chatStreamOption struct {
	IncludeUsage bool           `json:"include_usage"`
	Rest         jsontext.Value `json:",embed"`
}

// chatReasoning is OpenRouter's, chatThinking DeepSeek's and Anthropic's compatible endpoint's.
type chatReasoning struct {
	Effort    string         `json:"effort"`
	MaxTokens *int64         `json:"max_tokens"`
	Exclude   bool           `json:"exclude"`
	Enabled   *bool          `json:"enabled"`
	Rest      jsontext.Value `json:",embed"`
}

type chatThinking struct {
	Type         string         `json:"type"`
	BudgetTokens *int64         `json:"budget_tokens"`
	Rest         jsontext.Value `json:",embed"`
}

type chatFormat struct {
	Type       string `json:"type"`
	JSONSchema *struct {
		Name        string         `json:"name"`
		Description string         `json:"description"`
		Schema      jsontext.Value `json:"schema"`
		Strict      *bool          `json:"strict"`
		Rest        jsontext.Value `json:",embed"`
	} `json:"json_schema"`
	Rest jsontext.Value `json:",embed"`
}

type chatTool struct {
	Type         string           `json:"type"`
	Function     *chatFunctionDef `json:"function"`
	Custom       *chatCustomDef   `json:"custom"`
	CacheControl jsontext.Value   `json:"cache_control"`
	Rest         jsontext.Value   `json:",embed"`
}

type chatFunctionDef struct {
	Name        string         `json:"name"`
	Description string         `json:"description"`
	Parameters  jsontext.Value `json:"parameters"`
	Strict      *bool          `json:"strict"`
	Rest        jsontext.Value `json:",embed"`
}

type chatCustomDef struct {
	Name        string         `json:"name"`
	Description string         `json:"description"`
	Format      jsontext.Value `json:"format"`
	Rest        jsontext.Value `json:",embed"`
}

// A chatMessage is a message of a request or of a reply, and a stream's delta.
type chatMessage struct {
	Role             string           `json:"role"`
	Content          chatContent      `json:"content"`
	Name             string           `json:"name"`
	ToolCalls        []chatCall       `json:"tool_calls"`
	ToolCallID       string           `json:"tool_call_id"`
	Refusal          string           `json:"refusal"`
	FunctionCall     *chatFunction    `json:"function_call"`
	Audio            *chatAudio       `json:"audio"`
	ReasoningContent jsontext.Value   `json:"reasoning_content"` // DeepSeek, older vLLM, and Weir
	Reasoning        jsontext.Value   `json:"reasoning"`         // vLLM, Groq, OpenRouter
	ReasoningDetails []chatDetail     `json:"reasoning_details"` // OpenRouter, and Weir
	Annotations      []jsontext.Value `json:"annotations"`
	Images           []chatPart       `json:"images"` // OpenRouter's pictures of a model
	CacheControl     jsontext.Value   `json:"cache_control"`
	Rest             jsontext.Value   `json:",embed"`
}

// A chatCall is a tool call, or a fragment of one.
type chatCall struct {
	Index    *int          `json:"index"`
	ID       chatWord      `json:"id"`
	Type     string        `json:"type"`
	Function *chatFunction `json:"function"`
	Custom   *struct {
		Name  string         `json:"name"`
		Input string         `json:"input"`
		Rest  jsontext.Value `json:",embed"`
	} `json:"custom"`
	ExtraContent *struct {
		Google struct {
			ThoughtSignature string `json:"thought_signature"`
		} `json:"google"`
	} `json:"extra_content"`
	Rest jsontext.Value `json:",embed"`
}

type chatFunction struct {
	Name      string         `json:"name"`
	Arguments chatArgs       `json:"arguments"`
	Rest      jsontext.Value `json:",embed"`
}

type chatAudio struct {
	ID         string         `json:"id"`
	Data       string         `json:"data"`
	Transcript string         `json:"transcript"`
	ExpiresAt  jsontext.Value `json:"expires_at"`
}

// A chatDetail is one piece of reasoning with its seal.
type chatDetail struct {
	Type      string `json:"type"`
	ID        string `json:"id"`
	Text      string `json:"text"`
	Summary   string `json:"summary"`
	Signature string `json:"signature"`
	Data      string `json:"data"`
	Format    string `json:"format"`
	Index     int    `json:"index"`
}

// A chatPart is one part of a message's content.
type chatPart struct {
	Type       string   `json:"type"`
	Text       string   `json:"text"`
	Refusal    string   `json:"refusal"`
	ImageURL   *chatURL `json:"image_url"`
	VideoURL   *chatURL `json:"video_url"`
	InputAudio *struct {
		Data   string         `json:"data"`
		Format string         `json:"format"`
		Rest   jsontext.Value `json:",embed"`
	} `json:"input_audio"`
	File *struct {
		Data string         `json:"file_data"`
		ID   string         `json:"file_id"`
		Name string         `json:"filename"`
		Rest jsontext.Value `json:",embed"`
	} `json:"file"`
	Thinking     chatContent    `json:"thinking"` // Mistral's reasoning
	CacheControl jsontext.Value `json:"cache_control"`
	Breakpoint   jsontext.Value `json:"prompt_cache_breakpoint"`
	Rest         jsontext.Value `json:",embed"`
}

// wrong says what a type's own method wanted.
func wrong(want string) error { return &CannotCarry{Msg: "must be " + want} }

// chatContent is a text or a list of parts.
type chatContent struct {
	text  string
	parts []chatPart
}

// UnmarshalJSONFrom reads either form, and null.
func (c *chatContent) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	switch dec.PeekKind() {
	case '[':
		return json.UnmarshalDecode(dec, &c.parts)
	case '"', 'n':
		return json.UnmarshalDecode(dec, &c.text)
	}
	return wrong("a string or an array of parts")
}

// chatURL is an address, on its own or in an object.
type chatURL struct {
	url, detail string
	rest        jsontext.Value
}

// UnmarshalJSONFrom reads either form.
func (c *chatURL) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() == '"' {
		return json.UnmarshalDecode(dec, &c.url)
	}
	var o struct {
		URL    string         `json:"url"`
		Detail string         `json:"detail"`
		Rest   jsontext.Value `json:",embed"`
	}
	err := json.UnmarshalDecode(dec, &o)
	c.url, c.detail, c.rest = o.URL, o.Detail, o.Rest
	return err
}

// chatStrings is one string or several.
type chatStrings []string

// UnmarshalJSONFrom reads either form, and null.
func (c *chatStrings) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	switch dec.PeekKind() {
	case '[':
		return json.UnmarshalDecode(dec, (*[]string)(c))
	case 'n':
		*c = nil
		return dec.SkipValue()
	case '"':
		*c = make(chatStrings, 1)
		return json.UnmarshalDecode(dec, &(*c)[0])
	}
	return wrong("a string or an array of strings")
}

// chatWord is a string, for which some servers write a number.
type chatWord string

// UnmarshalJSONFrom reads a string, a number or null.
func (c *chatWord) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() != '0' {
		return json.UnmarshalDecode(dec, (*string)(c))
	}
	v, err := dec.ReadValue()
	*c = chatWord(v)
	return err
}

// chatArgs are the arguments of a call: a text, or as Ollama writes them the
// object itself, which then is whole.
type chatArgs struct {
	text  string
	whole bool
}

// UnmarshalJSONFrom reads either form, and null.
func (c *chatArgs) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if k := dec.PeekKind(); k == '"' || k == 'n' {
		return json.UnmarshalDecode(dec, &c.text)
	}
	v, err := dec.ReadValue()
	c.text, c.whole = string(v), true
	return err
}

// openAIModel reports whether a name is one of OpenAI's own models, which
// refuse what other servers of the API take.
func openAIModel(model string) bool {
	name := baseModel(model)
	return strings.HasPrefix(name, "gpt-") && !strings.HasPrefix(name, "gpt-oss") ||
		strings.HasPrefix(name, "chatgpt-") || strings.HasPrefix(name, "codex") || strings.HasPrefix(name, "computer-use") || oSeries(name)
}

// reasoningModel reports whether it is one of OpenAI's that reason: they take
// no temperature.
func reasoningModel(model string) bool {
	name := baseModel(model)
	if generation, ok := strings.CutPrefix(name, "gpt-"); ok && generation != "" && generation[0] >= '5' && generation[0] <= '9' {
		return !strings.Contains(name, "-chat")
	}
	return oSeries(name) || strings.HasPrefix(name, "codex")
}

// oSeries matches o1, o3-mini, o4-mini-2025-04-16 …
func oSeries(name string) bool {
	return len(name) >= 2 && name[0] == 'o' && name[1] >= '1' && name[1] <= '9' && (len(name) == 2 || name[2] == '-')
}

// baseModel leaves the account's and vendor's prefixes of a name out, and
// those of a fine-tuned model.
func baseModel(model string) string {
	model = model[strings.LastIndexByte(model, '/')+1:]
	return strings.TrimPrefix(model, "ft:")
}

// chatFormats are OpenRouter's names of the vendors' seals.
var chatFormats = map[API]string{
	Messages: "anthropic-claude-v1", Responses: "openai-responses-v1", Generate: "google-gemini-v1",
}
