package costs

import "strings"

// A shape is the form of a usage object: which members it has.
type shape uint8

const (
	shapeByMembers shape = iota // the object's own members say it
	shapeChat                   // prompt_tokens
	shapeResponses              // input_tokens
	shapeAnthropic
	shapeGemini
	shapeConverse
	shapeConverseIn // of models whose input has the cached tokens in it, whatever the total says
	shapeImages
	shapeRealtime
	shapeByTime
	shapeOllama
	shapeCohere
	shapeCohereTokens
	shapeVoyage
	shapeOcr
	numShapes
)

// shapeOfAPI are the shapes of APIs that have one. Those of others are told by
// the members of each object: embeddings and rankings differ by vendor, and
// transcriptions are by token or by length.
var shapeOfAPI = map[string]shape{
	"chat": shapeChat, "completions": shapeChat, "responses": shapeResponses, "messages": shapeAnthropic, "generate": shapeGemini,
	"images": shapeImages, "realtime": shapeRealtime, "converse": shapeConverse, "ollama": shapeOllama, "ocr": shapeOcr,
}

type vendor uint8

const (
	vendorAny vendor = iota
	vendorOpenAI
	vendorAzure
	vendorAnthropic
	vendorGoogle
	vendorAws
	vendorMistral
	vendorDeepSeek
	vendorXAI
	vendorGroq
	vendorOpenRouter
	vendorDeepInfra
	vendorPerplexity
	vendorCohere
	vendorVoyage
	numVendors
)

// vendors are the ids of price books, and other names of the same vendors.
var vendors = map[string]vendor{
	"openai": vendorOpenAI, "azure": vendorAzure, "azure-openai": vendorAzure, "anthropic": vendorAnthropic,
	"google": vendorGoogle, "gemini": vendorGoogle, "google-vertex": vendorGoogle, "vertex": vendorGoogle, "vertex-ai": vendorGoogle,
	"aws": vendorAws, "bedrock": vendorAws, "aws-bedrock": vendorAws, "amazon-bedrock": vendorAws,
	"mistral": vendorMistral, "mistralai": vendorMistral, "deepseek": vendorDeepSeek, "x-ai": vendorXAI, "xai": vendorXAI, "groq": vendorGroq,
	"openrouter": vendorOpenRouter, "deepinfra": vendorDeepInfra, "perplexity": vendorPerplexity,
	"cohere": vendorCohere, "voyageai": vendorVoyage, "voyage": vendorVoyage,
}

func vendorOf(id string) vendor {
	if v, ok := vendors[id]; ok {
		return v
	}
	return vendors[strings.ToLower(id)]
}

// familyRules are the families of a vendor's models that count in another way.
var familyRules = []familyRule{
	// Measured on openai.gpt-5.6: the input of Converse streams has the cached
	// tokens in it, and the total counts them twice; that of whole replies has not.
	{vendorAws, shapeConverse, shapeConverseIn, "openai.", ""},
	{vendorOpenAI, shapeResponses, shapeImages, "", "gpt-image"},
	{vendorOpenAI, shapeResponses, shapeImages, "", "chatgpt-image"},
	{vendorAzure, shapeResponses, shapeImages, "", "gpt-image"},
}

type familyRule struct {
	vendor   vendor
	from, to shape
	prefix   string // of the model's name, behind a region
	inside   string // or anywhere in it
}

func (r familyRule) matches(model string) bool {
	return r.prefix != "" && (strings.HasPrefix(model, r.prefix) || strings.Contains(model, "."+r.prefix)) ||
		r.inside != "" && strings.Contains(model, r.inside)
}

// memberShapes are what members say of an object's shape; the first row that
// is there decides.
var memberShapes = []struct {
	shape shape
	paths places
}{
	{shapeGemini, pathsOf("promptTokenCount|candidatesTokenCount|totalTokenCount|responseTokenCount|trafficType|thoughtsTokenCount")},
	{shapeConverse, pathsOf("inputTokens|outputTokens|totalTokens|cacheReadInputTokens|cacheWriteInputTokens")},
	{shapeOllama, pathsOf("prompt_eval_count|eval_count|prompt_eval_duration|eval_duration")},
	{shapeCohere, pathsOf("billed_units.input_tokens|billed_units.output_tokens|billed_units.search_units|billed_units.classifications|billed_units.images|billed_units.image_tokens")},
	{shapeCohere, pathsOf("meta.billed_units.input_tokens|meta.billed_units.output_tokens|meta.billed_units.search_units|meta.billed_units.classifications|meta.billed_units.images|meta.billed_units.image_tokens")},
	{shapeCohereTokens, pathsOf("tokens.input_tokens|tokens.output_tokens|meta.tokens.input_tokens|meta.tokens.output_tokens")},
	{shapeOcr, pathsOf("pages_processed|usage_info.pages_processed")},
	{shapeByTime, pathsOf("seconds")},
	{shapeVoyage, pathsOf("image_pixels|video_pixels|text_tokens")},
	{shapeChat, pathsOf("prompt_tokens|completion_tokens|prompt_audio_seconds")},
	{shapeAnthropic, pathsOf("cache_creation_input_tokens|cache_read_input_tokens|cache_creation.ephemeral_5m_input_tokens|cache_creation.ephemeral_1h_input_tokens|server_tool_use.web_search_requests|server_tool_use.web_fetch_requests|inference_geo")},
	{shapeRealtime, pathsOf("billable_audio_seconds|input_text_messages")},
	{shapeResponses, pathsOf("input_tokens|output_tokens")},
}

var (
	imagesInput = pathsOf("input_tokens_details.text_tokens|input_tokens_details.image_tokens")
	notImages   = pathsOf("input_tokens_details.cached_tokens|output_tokens_details.reasoning_tokens|output_tokens_details.text_tokens|output_tokens_details.image_tokens")
)

// shapeOf tells an object's shape by its members.
func (f Flavour) shapeOf(o *found) shape {
	for i := range memberShapes {
		row := &memberShapes[i]
		if !o.hasAny(row.paths) {
			continue
		}
		switch {
		case row.shape != shapeResponses:
			return row.shape
		case f.vendor == vendorAnthropic:
			return shapeAnthropic
		case o.hasAny(imagesInput) && !o.hasAny(notImages):
			return shapeImages // the only ones that split their input and not their output
		}
		return shapeResponses
	}
	return shapeChat
}
