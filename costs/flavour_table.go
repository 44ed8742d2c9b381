package costs

import "strings"

// A flavour is the table row of an API: the rules by which its usage objects
// are read.
//
// A side's total is shared out. Parts that are inside of it are taken from
// it, parts that are beside it are added to it, and what no part takes goes
// to the side's rest. Paths are alternatives, split by "|": the first that is
// there counts.
type flavour struct {
	name    string
	in, out side
	total   string  // the vendor's sum of both sides: what the identity goes by
	gauges  []gauge // meters that are not parts of a total
	loose   string  // where this is there, the total counts what no side does, by the vendor's own rule
	unnamed bool    // a total that is larger than both sides has output in it that no member names
	byFit   bool    // the input's cached tokens are inside of it wherever they fit, whatever the sum says
	omits   bool    // members whose count is 0 are left out
	merge   bool    // later objects of a reply overwrite earlier ones member by member
	request bool    // the vendor bills each request
	special special // what the table can't say
}

type side struct {
	total string
	rest  Meter
	parts []part
}

// A part of a side.
type part struct {
	meter Meter
	path  string
	place place
	of    []part // its shares, always inside of it; what none takes is meter's
	quiet bool   // meter stays unknown where the shares take all
	also  Meter  // this count has those of that meter in it, too; 0: none
}

// A place is where a part is, seen from its side's total. The two that go by
// the total are where they are said to be, unless only the other place makes
// the vendor's sum of both sides come out.
type place uint8

const (
	inside      place = iota
	beside            // and in the vendor's sum of both sides
	apart             // beside, and not in that sum either
	insideByAll       // inside, unless the sum says beside
	besideByAll       // beside, unless the sum says inside
)

type gauge struct {
	meter Meter
	path  string
}

// Where OpenAI's members are, in the spellings of its APIs and of those who
// have taken them over.
const (
	inDetails   = "prompt_tokens_details|input_tokens_details|input_token_details"
	outDetails  = "completion_tokens_details|output_tokens_details|output_token_details"
	promptPaths = "prompt_tokens|input_tokens"
	outputPaths = "completion_tokens|output_tokens"
	writeSplit  = "prompt_tokens_details.cache_write_tokens_details|input_tokens_details.cache_write_tokens_details|input_token_details.cache_write_tokens_details"
)

// under returns the paths of a member in each of some objects, and others.
func under(objects, member string, others ...string) string {
	var paths []string
	for object := range strings.SplitSeq(objects, "|") {
		paths = append(paths, object+"."+member)
	}
	return strings.Join(append(paths, others...), "|")
}

// openAIInput is the input of OpenAI's APIs: cached and written tokens are
// part of it, and so are the tokens of each modality, cached ones included.
func openAIInput(cache place, total string, otherReads, otherWrites []string) side {
	return side{total, Input, []part{
		{meter: InputCacheRead, path: under(inDetails, "cached_tokens", otherReads...), place: cache, of: []part{
			{meter: InputCacheReadAudio, path: under(inDetails, "cached_tokens_details.audio_tokens", "cached_tokens_details.audio_tokens")},
			{meter: InputCacheReadImage, path: under(inDetails, "cached_tokens_details.image_tokens", "cached_tokens_details.image_tokens")},
		}},
		{meter: InputCacheWrite, path: under(inDetails, "cache_write_tokens", otherWrites...), place: cache, quiet: true, of: []part{
			{meter: InputCacheWrite30m, path: under(writeSplit, "ttl_30m_tokens")},
			{meter: InputCacheWrite12h, path: under(writeSplit, "ttl_12h_tokens")},
		}},
		{meter: InputAudio, path: under(inDetails, "audio_tokens"), also: InputCacheReadAudio},
		{meter: InputImage, path: under(inDetails, "image_tokens"), also: InputCacheReadImage},
	}}
}

// openAIOutput is the output of OpenAI's APIs. Predictions, accepted or not,
// are billed as output and are in it.
func openAIOutput(reasoning place, others ...string) side {
	return side{outputPaths, Output, []part{
		{meter: OutputReasoning, path: under(outDetails, "reasoning_tokens", others...), place: reasoning},
		{meter: OutputAudio, path: under(outDetails, "audio_tokens")},
		{meter: OutputImage, path: under(outDetails, "image_tokens")},
	}}
}

// likeOpenAI is a row in OpenAI's own shape, in which everything is inside.
func likeOpenAI(name string) flavour {
	return flavour{
		name: name, total: "total_tokens",
		in: openAIInput(inside, promptPaths, nil, nil), out: openAIOutput(inside),
	}
}

// with changes a row.
func (f flavour) with(change func(*flavour)) flavour {
	change(&f)
	return f
}

// ofCompatible is the row of servers that nobody knows, in OpenAI's shape. The
// total tells what is beside: reasoning (xAI), the cache (Anthropic's figures
// under OpenAI's names), or output without a name (thinking, at Google).
var ofCompatible = flavour{
	name: "openai-compatible", total: "total_tokens", unnamed: true,
	in: openAIInput(insideByAll, promptPaths,
		[]string{"cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens"}, []string{"cache_creation_input_tokens"}),
	out: openAIOutput(insideByAll, "reasoning_tokens"),
}

// ofAnthropic: input_tokens are the rest of the prompt, beside what was read
// from the cache and written to it. The split by lifetime may come in
// message_start alone. thinking_tokens is an estimate of a part of the output.
var ofAnthropic = flavour{
	name: "anthropic messages", merge: true,
	in: side{"input_tokens", Input, []part{
		{meter: InputCacheRead, path: "cache_read_input_tokens", place: beside},
		{meter: InputCacheWrite, path: "cache_creation_input_tokens", place: beside, quiet: true, of: []part{
			{meter: InputCacheWrite5m, path: "cache_creation.ephemeral_5m_input_tokens"},
			{meter: InputCacheWrite1h, path: "cache_creation.ephemeral_1h_input_tokens"},
		}},
	}},
	out: side{"output_tokens", Output, []part{
		{meter: OutputReasoning, path: "output_tokens_details.thinking_tokens"},
	}},
	gauges: []gauge{
		{WebSearches, "server_tool_use.web_search_requests"},
		{WebFetches, "server_tool_use.web_fetch_requests"},
	},
}

// geminiShares are Google's lists by modality. It charges a document as
// pictures of its pages.
func geminiShares(list string, audio, image, video Meter) []part {
	return []part{
		{meter: audio, path: list + "[AUDIO]"},
		{meter: image, path: list + "[IMAGE,DOCUMENT]"},
		{meter: video, path: list + "[VIDEO]"},
	}
}

// ofGemini: cached tokens are inside of the prompt's, thoughts and the results
// of tools beside. Some versions have counted the thoughts among the candidates'.
var ofGemini = flavour{
	name: "google generateContent", total: "totalTokenCount", omits: true,
	in: side{"promptTokenCount", Input, []part{
		{meter: InputCacheRead, path: "cachedContentTokenCount", of: geminiShares("cacheTokensDetails", InputCacheReadAudio, InputCacheReadImage, InputCacheReadVideo)},
		{meter: InputAudio, path: "promptTokensDetails[AUDIO]", also: InputCacheReadAudio},
		{meter: InputImage, path: "promptTokensDetails[IMAGE,DOCUMENT]", also: InputCacheReadImage},
		{meter: InputVideo, path: "promptTokensDetails[VIDEO]", also: InputCacheReadVideo},
		{meter: InputTool, path: "toolUsePromptTokenCount", place: beside, of: geminiShares("toolUsePromptTokensDetails", InputToolAudio, InputToolImage, InputToolVideo)},
	}},
	out: side{"candidatesTokenCount|responseTokenCount", Output, []part{
		{meter: OutputReasoning, path: "thoughtsTokenCount", place: besideByAll},
		{meter: OutputAudio, path: "candidatesTokensDetails[AUDIO]|responseTokensDetails[AUDIO]"},
		{meter: OutputImage, path: "candidatesTokensDetails[IMAGE,DOCUMENT]|responseTokensDetails[IMAGE,DOCUMENT]"},
		{meter: OutputVideo, path: "candidatesTokensDetails[VIDEO]|responseTokensDetails[VIDEO]"},
	}},
}

// bedrock is Converse, whose cached tokens are beside the input's for most
// models. Of families that include them the total tells.
func bedrock(name string, cache place) flavour {
	return flavour{
		name: name, total: "totalTokens",
		in: side{"inputTokens", Input, []part{
			{meter: InputCacheRead, path: "cacheReadInputTokens|cacheReadInputTokenCount|cacheReadTokens", place: cache},
			{meter: InputCacheWrite, path: "cacheWriteInputTokens|cacheWriteInputTokenCount|cacheWriteTokens", place: cache, quiet: true, of: []part{
				{meter: InputCacheWrite5m, path: "cacheDetails[5m]"},
				{meter: InputCacheWrite30m, path: "cacheDetails[30m]"},
				{meter: InputCacheWrite1h, path: "cacheDetails[1h]"},
				{meter: InputCacheWrite12h, path: "cacheDetails[12h]"},
			}},
		}},
		out: side{"outputTokens", Output, nil},
	}
}

// shapes are the flavours by the shape of the usage object. A vendor that
// counts differently in a shape has its own in vendorFlavours.
var shapes = [numShapes]flavour{
	shapeChat:      ofCompatible,
	shapeResponses: ofCompatible,
	shapeAnthropic: ofAnthropic,
	shapeGemini:    ofGemini,
	shapeConverse:  bedrock("bedrock converse", besideByAll),
	shapeConverseIn: bedrock("bedrock converse, input with its cached tokens", insideByAll).with(func(f *flavour) {
		f.byFit = true
	}),
	shapeImages: likeOpenAI("openai images").with(func(f *flavour) {
		f.special = imageOutput
	}),
	shapeRealtime: likeOpenAI("openai realtime").with(func(f *flavour) {
		f.gauges = []gauge{{AudioMicros, "billable_audio_seconds"}, {TextMessages, "input_text_messages"}}
	}),
	shapeByTime: {name: "audio by its length", gauges: []gauge{{AudioMicros, "seconds"}}},
	shapeOllama: {
		name: "ollama",
		in:   side{"prompt_eval_count", Input, []part{{meter: InputCacheRead, path: "prompt_eval_cached_count"}}},
		out:  side{"eval_count", Output, nil},
		gauges: []gauge{
			{GPUPrefillMicros, "prompt_eval_duration"},
			{GPUDecodeMicros, "eval_duration"},
			{GPUMicros, "load_duration"},
		},
	},
	shapeCohere: {
		name: "cohere billed units",
		in: side{"billed_units.input_tokens|meta.billed_units.input_tokens", Input, []part{
			{meter: InputImage, path: "billed_units.image_tokens|meta.billed_units.image_tokens", place: beside},
		}},
		out: side{"billed_units.output_tokens|meta.billed_units.output_tokens", Output, nil},
		gauges: []gauge{
			{RerankUnits, "billed_units.search_units|meta.billed_units.search_units"},
			{Classifications, "billed_units.classifications|meta.billed_units.classifications"},
			{ImagesRead, "billed_units.images|meta.billed_units.images"},
		},
	},
	shapeCohereTokens: {
		name: "cohere tokens",
		in: side{"tokens.input_tokens|meta.tokens.input_tokens", Input, []part{
			{meter: InputCacheRead, path: "cached_tokens|meta.cached_tokens"},
		}},
		out: side{"tokens.output_tokens|meta.tokens.output_tokens", Output, nil},
	},
	// Voyage's total has the tokens in it that pictures were made into; they
	// are billed by the pixel.
	shapeVoyage: {
		name:   "voyage",
		in:     side{"text_tokens|total_tokens", Input, nil},
		gauges: []gauge{{ImagePixels, "image_pixels"}, {VideoPixels, "video_pixels"}},
	},
	shapeOcr: {name: "pages", gauges: []gauge{{Pages, "pages_processed|usage_info.pages_processed"}}},
}

// vendorFlavours are the rows of vendors that count in their own way in a
// shape that others have, too.
var vendorFlavours = map[Flavour]flavour{
	{vendorOpenAI, shapeChat}:      likeOpenAI("openai chat"),
	{vendorOpenAI, shapeResponses}: likeOpenAI("openai responses"),
	{vendorAzure, shapeChat}:       likeOpenAI("azure chat"),
	{vendorAzure, shapeResponses}:  likeOpenAI("azure responses"),
	{vendorGroq, shapeChat}:        likeOpenAI("groq chat"),
	{vendorOpenRouter, shapeChat}:  likeOpenAI("openrouter chat"),
	{vendorDeepInfra, shapeChat}:   likeOpenAI("deepinfra chat"),
	{vendorAnthropic, shapeChat}: ofCompatible.with(func(f *flavour) {
		f.name, f.unnamed, f.out = "anthropic, openai-compatible", false, openAIOutput(inside)
	}),
	// Google's thinking is in the total alone where no detail tells it.
	{vendorGoogle, shapeChat}: ofCompatible.with(func(f *flavour) {
		f.name, f.in = "google, openai-compatible", openAIInput(inside, promptPaths, nil, nil)
	}),
	{vendorDeepSeek, shapeChat}: likeOpenAI("deepseek chat").with(func(f *flavour) {
		f.in = openAIInput(inside, promptPaths, []string{"prompt_cache_hit_tokens"}, nil)
		f.special = hitAndMiss
	}),
	{vendorMistral, shapeChat}: likeOpenAI("mistral chat").with(func(f *flavour) {
		f.in = openAIInput(inside, promptPaths, []string{"num_cached_tokens"}, nil)
		f.gauges, f.loose, f.special = []gauge{{AudioMicros, "prompt_audio_seconds"}}, "prompt_audio_seconds", audioBeside
	}),
	{vendorXAI, shapeChat}:      xAIFlavour("x-ai chat", besideByAll),
	{vendorXAI, shapeResponses}: xAIFlavour("x-ai responses", insideByAll),
	// Perplexity's searching models read and think beside what its totals say.
	{vendorPerplexity, shapeChat}: likeOpenAI("perplexity").with(func(f *flavour) {
		f.request = true
		f.out = side{outputPaths, Output, []part{
			{meter: OutputReasoning, path: "reasoning_tokens", place: apart},
			{meter: OutputCitation, path: "citation_tokens", place: apart},
		}}
		f.gauges = []gauge{{WebSearches, "num_search_queries"}}
	}),
	{vendorVoyage, shapeChat}: {
		name:   "voyage",
		in:     side{"text_tokens|prompt_tokens|total_tokens", Input, nil},
		gauges: []gauge{{ImagePixels, "image_pixels"}, {VideoPixels, "video_pixels"}},
	},
}

// xAIFlavour: reasoning is beside the completion in chat and inside of the
// output in Responses, unless the total says otherwise. text_tokens have the
// cached ones in them and are not read. The tools that are counted succeeded,
// which is what is billed.
func xAIFlavour(name string, reasoning place) flavour {
	return likeOpenAI(name).with(func(f *flavour) {
		f.out = openAIOutput(reasoning)
		f.gauges = []gauge{
			{WebSearches, "server_side_tool_usage_details.web_search_calls"},
			{XSearches, "server_side_tool_usage_details.x_search_calls"},
			{CodeRuns, "server_side_tool_usage_details.code_interpreter_calls"},
			{FileSearches, "server_side_tool_usage_details.file_search_calls"},
			{AttachmentSearches, "server_side_tool_usage_details.document_search_calls"},
			{Images, "server_side_tool_usage_details.image_generation_calls"},
		}
	})
}
