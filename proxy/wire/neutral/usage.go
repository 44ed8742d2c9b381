package neutral

import (
	"math"

	"weir/costs"
)

// What a call used is kept in leaf meters, none of which is part of another.
// The dialects tell totals beside their parts:
//
//	            cached input       written to the cache   reasoning
//	chat        in prompt_tokens   in prompt_tokens       in completion_tokens
//	responses   in input_tokens    in input_tokens        in output_tokens
//	messages    beside             beside                 in output_tokens
//	generate    in promptTokenCount   (no such)           beside candidatesTokenCount
//
// Details that are not known are left out; the members that a dialect's
// clients count on are 0 then. A meter that a dialect has no name for is in
// the total that it belongs to.

// tally adds up meters; known is false where none of them is.
func tally(u costs.Usage, meters ...costs.Meter) (sum int64, known bool) {
	for _, m := range meters {
		if n, ok := u.Get(m); ok {
			sum, known = cappedSum(sum, n), true
		}
	}
	return sum, known
}

// cappedSum adds counts, which are not negative; no sum overflows.
func cappedSum(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// tallyKey writes the sum of meters, if one of them is known.
func (w *jsonw) tallyKey(name string, u costs.Usage, meters ...costs.Meter) {
	if n, ok := tally(u, meters...); ok {
		w.intKey(name, n)
	}
}

// The meters that more than one dialect sums up.
var (
	cacheReads  = []costs.Meter{costs.InputCacheRead, costs.InputCacheReadAudio, costs.InputCacheReadImage, costs.InputCacheReadVideo}
	cacheWrites = []costs.Meter{costs.InputCacheWrite, costs.InputCacheWrite5m, costs.InputCacheWrite30m, costs.InputCacheWrite1h, costs.InputCacheWrite12h}
	toolInputs  = []costs.Meter{costs.InputTool, costs.InputToolAudio, costs.InputToolImage, costs.InputToolVideo}
)

// appendChatUsage appends the usage object of a chat completion.
func appendChatUsage(dst []byte, u costs.Usage) []byte {
	w := jsonw{b: dst}
	in, _ := u.Input()
	out, _ := u.Output()
	w.obj()
	w.intKey("prompt_tokens", in)
	w.intKey("completion_tokens", out)
	w.intKey("total_tokens", cappedSum(in, out))
	_, read := tally(u, cacheReads...)
	_, written := tally(u, cacheWrites...)
	_, heard := tally(u, costs.InputAudio, costs.InputImage)
	if read || written || heard {
		w.objKey("prompt_tokens_details")
		w.tallyKey("cached_tokens", u, cacheReads...)
		w.tallyKey("cache_write_tokens", u, cacheWrites...)
		w.tallyKey("audio_tokens", u, costs.InputAudio)
		w.tallyKey("image_tokens", u, costs.InputImage)
		w.endObj()
	}
	if _, ok := tally(u, costs.OutputReasoning, costs.OutputAudio); ok {
		w.objKey("completion_tokens_details")
		w.tallyKey("reasoning_tokens", u, costs.OutputReasoning)
		w.tallyKey("audio_tokens", u, costs.OutputAudio)
		w.endObj()
	}
	w.endObj()
	return w.b
}

// appendResponsesUsage appends the usage object of a response. Its SDKs want
// both details, whether known or not.
func appendResponsesUsage(dst []byte, u costs.Usage) []byte {
	w := jsonw{b: dst}
	in, _ := u.Input()
	out, _ := u.Output()
	read, _ := tally(u, cacheReads...)
	written, _ := tally(u, cacheWrites...)
	reasoning, _ := u.Get(costs.OutputReasoning)
	w.obj()
	w.intKey("input_tokens", in)
	w.objKey("input_tokens_details")
	w.intKey("cached_tokens", read)
	w.intKey("cache_write_tokens", written)
	w.endObj()
	w.intKey("output_tokens", out)
	w.objKey("output_tokens_details")
	w.intKey("reasoning_tokens", reasoning)
	w.endObj()
	w.intKey("total_tokens", cappedSum(in, out))
	w.endObj()
	return w.b
}

// appendMessagesUsage appends the usage object of an Anthropic message. Its
// clients add the three input counts up, so all three are always there.
func appendMessagesUsage(dst []byte, u costs.Usage) []byte {
	w := jsonw{b: dst}
	in, _ := tally(u, append([]costs.Meter{costs.Input, costs.InputAudio, costs.InputImage, costs.InputVideo}, toolInputs...)...)
	written, _ := tally(u, cacheWrites...)
	read, _ := tally(u, cacheReads...)
	out, _ := u.Output()
	w.obj()
	w.intKey("input_tokens", in)
	w.intKey("cache_creation_input_tokens", written)
	w.intKey("cache_read_input_tokens", read)
	short, hasShort := u.Get(costs.InputCacheWrite5m)
	long, hasLong := u.Get(costs.InputCacheWrite1h)
	if hasShort || hasLong {
		w.objKey("cache_creation")
		w.intKey("ephemeral_5m_input_tokens", short)
		w.intKey("ephemeral_1h_input_tokens", long)
		w.endObj()
	}
	w.intKey("output_tokens", out)
	if n, ok := u.Get(costs.OutputReasoning); ok {
		w.objKey("output_tokens_details")
		w.intKey("thinking_tokens", n)
		w.endObj()
	}
	w.endObj()
	return w.b
}

// appendGenerateUsage appends the usageMetadata of a Gemini reply. Its lists
// by modality are written where there is more than text.
func appendGenerateUsage(dst []byte, u costs.Usage) []byte {
	w := jsonw{b: dst}
	in, _ := u.Input()
	out, _ := u.Output()
	tool, _ := tally(u, toolInputs...)
	w.obj()
	w.intKey("promptTokenCount", in-tool)
	w.tallyKey("cachedContentTokenCount", u, cacheReads...)
	w.tallyKey("candidatesTokenCount", u, costs.Output, costs.OutputAudio, costs.OutputImage, costs.OutputVideo, costs.OutputCitation)
	w.tallyKey("toolUsePromptTokenCount", u, toolInputs...)
	w.tallyKey("thoughtsTokenCount", u, costs.OutputReasoning)
	w.intKey("totalTokenCount", cappedSum(in, out))
	cached := modalCounts(u, costs.InputCacheRead, costs.InputCacheReadAudio, costs.InputCacheReadImage, costs.InputCacheReadVideo)
	prompt := modalCounts(u, costs.Input, costs.InputAudio, costs.InputImage, costs.InputVideo)
	written, _ := tally(u, cacheWrites...)
	prompt[0] = cappedSum(prompt[0], written)
	for i := range prompt {
		prompt[i] = cappedSum(prompt[i], cached[i])
	}
	w.modalities("promptTokensDetails", prompt)
	w.modalities("cacheTokensDetails", cached)
	candidates := modalCounts(u, costs.Output, costs.OutputAudio, costs.OutputImage, costs.OutputVideo)
	cited, _ := u.Get(costs.OutputCitation)
	candidates[0] = cappedSum(candidates[0], cited)
	w.modalities("candidatesTokensDetails", candidates)
	w.modalities("toolUsePromptTokensDetails", modalCounts(u, toolInputs...))
	w.endObj()
	return w.b
}

// modalityNames are Gemini's, text first.
var modalityNames = [...]string{"TEXT", "AUDIO", "IMAGE", "VIDEO"}

// modalCounts are the counts of meters in the order of modalityNames.
func modalCounts(u costs.Usage, meters ...costs.Meter) (counts [len(modalityNames)]int64) {
	for i, m := range meters {
		counts[i], _ = u.Get(m)
	}
	return counts
}

// modalities writes counts as a list, where they are not of text alone.
func (w *jsonw) modalities(name string, counts [len(modalityNames)]int64) {
	if counts[1] == 0 && counts[2] == 0 && counts[3] == 0 {
		return
	}
	w.arrKey(name)
	for i, n := range counts {
		if n != 0 {
			w.obj()
			w.strKey("modality", modalityNames[i])
			w.intKey("tokenCount", n)
			w.endObj()
		}
	}
	w.endArr()
}
