package costs

import (
	"fmt"
	"strconv"
)

// A Meter names one leaf of a Usage. Leaves are disjoint: no meter counts
// what another one counts, so the sum of the token meters is the vendor's total.
//
// The numbers are written to spools: they are given for good, and a new meter
// takes the next one. The names are written to stores, and are for good, too.
type Meter uint8

// The leaf meters. Those named Input… and Output… count tokens.
const (
	// Input is text input read at the full rate: neither from a cache nor written to one.
	Input Meter = iota
	// InputCacheRead is input served from the vendor's prompt cache.
	InputCacheRead
	// InputCacheWrite is input written to the vendor's cache where the vendor names no lifetime.
	InputCacheWrite
	// InputCacheWrite5m is input written to a cache for five minutes (Anthropic ephemeral_5m).
	InputCacheWrite5m
	// InputCacheWrite1h is input written to a cache for one hour (Anthropic ephemeral_1h).
	InputCacheWrite1h
	// InputAudio is uncached audio input.
	InputAudio
	// InputImage is uncached image input; Google counts the pages of a document here.
	InputImage
	// InputVideo is uncached video input.
	InputVideo
	// InputCacheReadAudio is audio input served from the vendor's cache.
	InputCacheReadAudio
	// InputCacheReadImage is image input served from the vendor's cache.
	InputCacheReadImage
	// InputCacheReadVideo is video input served from the vendor's cache.
	InputCacheReadVideo
	// InputTool is text that the vendor's own tools put into the prompt (Gemini toolUsePromptTokenCount).
	InputTool
	// Output is visible text output; accepted and rejected predictions are in it.
	Output
	// OutputReasoning is output spent on reasoning or thinking.
	OutputReasoning
	// OutputAudio is audio output.
	OutputAudio
	// OutputImage is image output.
	OutputImage
	// InputCacheWrite30m is input written to a cache for thirty minutes.
	InputCacheWrite30m
	// InputCacheWrite12h is input written to a cache for twelve hours.
	InputCacheWrite12h
	// InputToolAudio is audio that the vendor's own tools put into the prompt.
	InputToolAudio
	// InputToolImage is pictures that the vendor's own tools put into the prompt.
	InputToolImage
	// InputToolVideo is video that the vendor's own tools put into the prompt.
	InputToolVideo
	// OutputVideo is video output.
	OutputVideo
	// OutputCitation is what a searching model reads of its sources, billed beside its output (Perplexity citation_tokens).
	OutputCitation

	// Requests counts requests where the vendor bills them by piece.
	Requests
	// WebSearches counts web searches that the vendor made.
	WebSearches
	// WebFetches counts web pages that the vendor fetched.
	WebFetches
	// GroundedPrompts counts prompts that Google grounded in search, however many queries that took (Gemini 2.5 and older).
	GroundedPrompts
	// SearchQueries counts the search queries of a grounded prompt (Gemini 3 and newer).
	SearchQueries
	// FileSearches counts searches of stored files and collections.
	FileSearches
	// XSearches counts searches of X posts (xAI).
	XSearches
	// AttachmentSearches counts searches of files that came with the messages (xAI).
	AttachmentSearches
	// CodeSessions counts containers that ran the model's code.
	CodeSessions
	// CodeRuns counts runs of the model's code where the vendor bills the run.
	CodeRuns
	// Images counts pictures that were made.
	Images
	// ImagePixels counts pixels of pictures that were read (Voyage).
	ImagePixels
	// VideoPixels counts pixels of videos that were read (Voyage).
	VideoPixels
	// AudioMicros is the length of audio that was read, in microseconds.
	AudioMicros
	// AudioOutMicros is the length of audio that was made, in microseconds.
	AudioOutMicros
	// VideoMicros is the length of video that was made, in microseconds.
	VideoMicros
	// GPUPrefillMicros is the time that GPUs took to read the prompt, in microseconds.
	GPUPrefillMicros
	// GPUDecodeMicros is the time that GPUs took to write the output, in microseconds.
	GPUDecodeMicros
	// GPUMicros is other time of GPUs, in microseconds: loading a model, or all of it where the engine does not tell reading from writing.
	GPUMicros
	// Characters counts characters of text that was spoken or translated.
	Characters
	// Pages counts pages of documents that were read.
	Pages
	// RerankUnits counts search units of a reranking (Cohere: a query with up to 100 documents).
	RerankUnits
	// Classifications counts texts that were classified (Cohere).
	Classifications
	// CacheStorageTokenHours counts tokens kept in a cache, times hours (Gemini explicit caches).
	CacheStorageTokenHours
	// TextMessages counts text messages of a live session where the vendor bills the message (xAI).
	TextMessages
	// ImagesRead counts pictures that were read where the vendor bills the picture (Cohere).
	ImagesRead
	numMeters
)

// A Unit is what a meter counts in.
type Unit uint8

// The units.
const (
	Tokens     Unit = iota
	Pieces          // requests, searches, pictures, characters, pages …
	Micros          // microseconds
	TokenHours      // tokens times hours
)

type direction uint8

const (
	neither direction = iota
	inward            // into the model
	outward           // out of it
)

var meterTable = [numMeters]struct {
	name string
	unit Unit
	dir  direction
}{
	Input:                  {"input", Tokens, inward},
	InputCacheRead:         {"input_cache_read", Tokens, inward},
	InputCacheWrite:        {"input_cache_write", Tokens, inward},
	InputCacheWrite5m:      {"input_cache_write_5m", Tokens, inward},
	InputCacheWrite1h:      {"input_cache_write_1h", Tokens, inward},
	InputAudio:             {"input_audio", Tokens, inward},
	InputImage:             {"input_image", Tokens, inward},
	InputVideo:             {"input_video", Tokens, inward},
	InputCacheReadAudio:    {"input_cache_read_audio", Tokens, inward},
	InputCacheReadImage:    {"input_cache_read_image", Tokens, inward},
	InputCacheReadVideo:    {"input_cache_read_video", Tokens, inward},
	InputTool:              {"input_tool", Tokens, inward},
	Output:                 {"output", Tokens, outward},
	OutputReasoning:        {"output_reasoning", Tokens, outward},
	OutputAudio:            {"output_audio", Tokens, outward},
	OutputImage:            {"output_image", Tokens, outward},
	InputCacheWrite30m:     {"input_cache_write_30m", Tokens, inward},
	InputCacheWrite12h:     {"input_cache_write_12h", Tokens, inward},
	InputToolAudio:         {"input_tool_audio", Tokens, inward},
	InputToolImage:         {"input_tool_image", Tokens, inward},
	InputToolVideo:         {"input_tool_video", Tokens, inward},
	OutputVideo:            {"output_video", Tokens, outward},
	OutputCitation:         {"output_citation", Tokens, outward},
	Requests:               {"requests", Pieces, neither},
	WebSearches:            {"web_searches", Pieces, neither},
	WebFetches:             {"web_fetches", Pieces, neither},
	GroundedPrompts:        {"grounded_prompts", Pieces, neither},
	SearchQueries:          {"search_queries", Pieces, neither},
	FileSearches:           {"file_searches", Pieces, neither},
	XSearches:              {"x_searches", Pieces, neither},
	AttachmentSearches:     {"attachment_searches", Pieces, neither},
	CodeSessions:           {"code_sessions", Pieces, neither},
	CodeRuns:               {"code_runs", Pieces, neither},
	Images:                 {"images", Pieces, neither},
	ImagePixels:            {"image_pixels", Pieces, neither},
	VideoPixels:            {"video_pixels", Pieces, neither},
	AudioMicros:            {"audio_us", Micros, neither},
	AudioOutMicros:         {"audio_out_us", Micros, neither},
	VideoMicros:            {"video_us", Micros, neither},
	GPUPrefillMicros:       {"gpu_prefill_us", Micros, neither},
	GPUDecodeMicros:        {"gpu_decode_us", Micros, neither},
	GPUMicros:              {"gpu_us", Micros, neither},
	Characters:             {"characters", Pieces, neither},
	Pages:                  {"pages", Pieces, neither},
	RerankUnits:            {"rerank_units", Pieces, neither},
	Classifications:        {"classifications", Pieces, neither},
	CacheStorageTokenHours: {"cache_storage_token_hours", TokenHours, neither},
	TextMessages:           {"text_messages", Pieces, neither},
	ImagesRead:             {"images_read", Pieces, neither},
}

// inputMeters and outputMeters are the token meters by direction, a bit each.
var inputMeters, outputMeters = metersOf(inward), metersOf(outward)

func metersOf(dir direction) (set uint64) {
	for m, row := range meterTable {
		if row.dir == dir {
			set |= 1 << m
		}
	}
	return set
}

var meterByName = func() map[string]Meter {
	m := make(map[string]Meter, numMeters)
	for i, row := range meterTable {
		m[row.name] = Meter(i)
	}
	return m
}()

// Meters returns every meter in its fixed order, the order of columns and reports.
func Meters() []Meter {
	all := make([]Meter, numMeters)
	for i := range all {
		all[i] = Meter(i)
	}
	return all
}

// String returns the meter's name as it stands in JSON, columns and metrics.
func (m Meter) String() string {
	if m < numMeters {
		return meterTable[m].name
	}
	return "meter(" + strconv.Itoa(int(m)) + ")"
}

// IsInput reports whether the meter counts tokens that went into the model.
func (m Meter) IsInput() bool { return m < numMeters && meterTable[m].dir == inward }

// IsOutput reports whether the meter counts tokens that came out of the model.
func (m Meter) IsOutput() bool { return m < numMeters && meterTable[m].dir == outward }

// Unit is what the meter counts in.
func (m Meter) Unit() Unit {
	if m < numMeters {
		return meterTable[m].unit
	}
	return Pieces
}

// ParseMeter is the inverse of Meter.String.
func ParseMeter(name string) (Meter, error) {
	if m, ok := meterByName[name]; ok {
		return m, nil
	}
	return 0, fmt.Errorf("unknown meter %q", name)
}
