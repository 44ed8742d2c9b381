package wire

import (
	"bytes"

	"weir/costs"
)

// ReadUsage turns a vendor's usage object into leaf meters. Members that are
// absent stay unknown; a zero is a zero.
func ReadUsage(api API, raw []byte) costs.Usage {
	return new(usageCounts).read(api, raw, costs.Usage{})
}

// read reads a usage object over what earlier ones of the same reply said.
// The service tier, where one is in it, is then in tier.
func (c *usageCounts) read(api API, raw []byte, before costs.Usage) costs.Usage {
	c.n.len, c.tier, c.modal = 0, "", [3]modalities{}
	c.s.reset(c)
	if c.s.feed(raw) != nil || c.s.close() != nil {
		return before
	}
	switch api {
	case Messages:
		return c.anthropic(before)
	case Generate, StreamGenerate, Embed, BatchEmbed:
		return c.gemini()
	}
	return c.openAI(api)
}

// usageCounts are the numbers of a usage object, by member, and by the object
// they are in where that is not the root.
type usageCounts struct {
	s     scanner
	n     countTable
	tier  string
	modal [3]modalities // of Gemini's details, by list
	entry struct {      // of such a list, being read
		modality modality
		count    int64
	}
}

type modality uint8

const (
	asText modality = iota
	asAudio
	asImage
	asVideo
)

type modalities [4]int64

// A countTable is a small table of numbers by two keys: a usage object has few.
type countTable struct {
	entries [32]struct {
		parent, key key
		n           int64
	}
	len int
}

func (t *countTable) put(parent, k key, n int64) {
	if k != keyNone && t.len < len(t.entries) {
		e := &t.entries[t.len]
		e.parent, e.key, e.n = parent, k, n
		t.len++
	}
}

func (t *countTable) get(parent, k key) (int64, bool) {
	for i := t.len - 1; i >= 0; i-- {
		if e := &t.entries[i]; e.parent == parent && e.key == k {
			return e.n, true
		}
	}
	return 0, false
}

// first returns the first of some counts of the root that is there.
func (t *countTable) first(keys ...key) (int64, bool) {
	for _, k := range keys {
		if n, ok := t.get(keyNone, k); ok {
			return n, true
		}
	}
	return 0, false
}

// maxCount is the largest number of tokens that is believed; sums of a few
// such do not overflow.
const maxCount = 1 << 53

// begin implements visitor.
func (c *usageCounts) begin(s *scanner, kind valueKind) int {
	if kind == kindNumber || kind == kindString {
		return 64
	}
	if kind == kindObject && s.depth() == 2 {
		c.entry.modality, c.entry.count = asText, 0
	}
	return 0
}

// end implements visitor.
func (c *usageCounts) end(s *scanner, kind valueKind, _ Span, raw []byte) error {
	d := s.depth()
	switch kind {
	case kindString:
		switch {
		case d == 1 && s.key() == keyServiceTier:
			c.tier = text(raw)
		case s.key() == keyModality:
			c.entry.modality = parseModality(inner(raw))
		}
	case kindNumber:
		n, ok := count(raw)
		switch {
		case !ok || n > maxCount:
		case d == 1:
			c.n.put(keyNone, s.key(), n)
		case d == 3 && s.key() == keyTokenCount:
			c.entry.count = n
		case d == 2, d == 3 && parentKey(s) == keyCachedTokensDetails:
			c.n.put(parentKey(s), s.key(), n)
		}
	case kindObject:
		if d == 2 && s.stack[1].kind == kindArray {
			c.listEntry(s.stack[0].key)
		}
	}
	return nil
}

const (
	ofPrompt = iota
	ofCache
	ofOutput
)

// listEntry takes one entry of a Gemini details list.
func (c *usageCounts) listEntry(list key) {
	i := 0
	switch list {
	case keyPromptTokensDetailsCamel:
		i = ofPrompt
	case keyCacheTokensDetails:
		i = ofCache
	case keyCandidatesTokensDetails:
		i = ofOutput
	default:
		return
	}
	c.modal[i][c.entry.modality] += c.entry.count
}

// parseModality reads google.ai.generativelanguage.Modality. Google charges a
// document as pictures of its pages.
func parseModality(name []byte) modality {
	switch string(bytes.ToUpper(name)) {
	case "AUDIO":
		return asAudio
	case "IMAGE", "DOCUMENT":
		return asImage
	case "VIDEO":
		return asVideo
	}
	return asText
}

// A whole is a vendor's total that is being shared out to leaf meters: what
// no part takes is left for the last one, so that the sum stays the total.
type whole struct {
	u    *costs.Usage
	left int64
}

// part gives n to a meter, or what is left if that is less.
func (w *whole) part(m costs.Meter, n int64) {
	n = min(max(n, 0), w.left)
	w.u.Set(m, n)
	w.left -= n
}

// detail is part for a count that may be absent, and then stays unknown.
func (w *whole) detail(m costs.Meter, n int64, ok bool) {
	if ok {
		w.part(m, n)
	}
}

// details are the parts of OpenAI's totals, from either spelling of the object
// that holds them.
type details struct {
	t      *countTable
	places [3]key
}

func (d details) get(k key) (int64, bool) {
	for _, p := range d.places {
		if n, ok := d.t.get(p, k); ok {
			return n, true
		}
	}
	return 0, false
}

// openAI reads the usage of chat, Responses, embeddings, images and
// transcriptions, and of the many that have taken over their shape. Details
// are parts of the totals, with these exceptions, which the identity
// total = input + output + x tells:
//   - x is the reasoning tokens: they are beside completion_tokens (xAI chat);
//   - x is the cached and written tokens: they are beside prompt_tokens
//     (Anthropic's figures under OpenAI's names);
//   - x is anything else: output that no member names (thinking, at Gemini's
//     OpenAI-compatible endpoint).
func (c *usageCounts) openAI(api API) costs.Usage {
	var u costs.Usage
	in := details{&c.n, [3]key{keyPromptTokensDetails, keyInputTokensDetails, keyInputTokenDetails}}
	out := details{&c.n, [3]key{keyCompletionTokensDetails, keyOutputTokensDetails, keyOutputTokenDetails}}
	total, hasTotal := c.n.get(keyNone, keyTotalTokens)
	input, hasIn := c.n.first(keyPromptTokens, keyInputTokens)
	output, hasOut := c.n.first(keyCompletionTokens, keyOutputTokens)
	if !hasIn && hasTotal && !hasOut { // embeddings and rerankers of some servers
		input, hasIn = total, true
	}
	read, hasRead := in.get(keyCachedTokens)
	if !hasRead {
		read, hasRead = c.n.first(keyCachedTokens, keyPromptCacheHitTokens, keyCacheReadInputTokens)
	}
	written, hasWritten := in.get(keyCacheWriteTokens)
	if !hasWritten {
		written, hasWritten = c.n.first(keyCacheCreationInputTokens)
	}
	reasoning, hasReasoning := out.get(keyReasoningTokens)
	if hasTotal && hasIn && hasOut {
		switch extra := total - input - output; {
		case extra <= 0:
		case extra == read+written && extra != reasoning:
			input += extra
		default:
			output += extra
			if !hasReasoning {
				reasoning, hasReasoning = extra, true
			}
		}
	}
	if hasIn {
		w := whole{&u, input}
		c.openAIInput(&w, in, read, hasRead)
		w.detail(costs.InputCacheWrite, written, hasWritten)
		u.Set(costs.Input, w.left)
	}
	if hasOut {
		w := whole{&u, output}
		w.detail(costs.OutputReasoning, reasoning, hasReasoning)
		n, ok := out.get(keyAudioTokens)
		w.detail(costs.OutputAudio, n, ok)
		n, ok = out.get(keyImageTokens)
		if _, split := out.get(keyTextTokens); api == Images && !ok && !split {
			n, ok = w.left, true // what an image model puts out is pictures
		}
		w.detail(costs.OutputImage, n, ok)
		u.Set(costs.Output, w.left)
	}
	return u
}

// openAIInput shares out the cached input and the input by modality.
// cached_tokens_details says which modality the cached tokens are of.
func (c *usageCounts) openAIInput(w *whole, in details, read int64, hasRead bool) {
	cachedAudio, hasCachedAudio := c.n.get(keyCachedTokensDetails, keyAudioTokens)
	cachedImage, hasCachedImage := c.n.get(keyCachedTokensDetails, keyImageTokens)
	if hasRead {
		cached := whole{w.u, min(read, w.left)}
		w.left -= cached.left
		cached.detail(costs.InputCacheReadAudio, cachedAudio, hasCachedAudio)
		cached.detail(costs.InputCacheReadImage, cachedImage, hasCachedImage)
		w.u.Set(costs.InputCacheRead, cached.left)
	}
	n, ok := in.get(keyAudioTokens)
	w.detail(costs.InputAudio, n-cachedAudio, ok)
	n, ok = in.get(keyImageTokens)
	w.detail(costs.InputImage, n-cachedImage, ok)
}

// anthropic reads a Messages usage, which is disjoint as it comes. Within a
// stream later figures overwrite earlier ones, member by member.
func (c *usageCounts) anthropic(u costs.Usage) costs.Usage {
	if n, ok := c.n.get(keyNone, keyInputTokens); ok {
		u.Set(costs.Input, n)
	}
	if n, ok := c.n.get(keyNone, keyCacheReadInputTokens); ok {
		u.Set(costs.InputCacheRead, n)
	}
	c.anthropicWrites(&u)
	if n, ok := c.n.get(keyNone, keyOutputTokens); ok {
		thinking, has := c.n.get(keyOutputTokensDetails, keyThinkingTokens)
		if !has {
			thinking, has = u.Get(costs.OutputReasoning)
		}
		w := whole{&u, n}
		w.detail(costs.OutputReasoning, thinking, has)
		u.Set(costs.Output, w.left)
	}
	return u
}

// anthropicWrites shares out cache_creation_input_tokens by lifetime. The
// split may come in message_start alone; it holds while the total is its sum.
func (c *usageCounts) anthropicWrites(u *costs.Usage) {
	total, hasTotal := c.n.get(keyNone, keyCacheCreationInputTokens)
	short, hasShort := c.n.get(keyCacheCreation, keyEphemeral5mInputTokens)
	long, hasLong := c.n.get(keyCacheCreation, keyEphemeral1hInputTokens)
	if !hasShort && !hasLong {
		if !hasTotal {
			return
		}
		short, hasShort = u.Get(costs.InputCacheWrite5m)
		long, hasLong = u.Get(costs.InputCacheWrite1h)
		if short+long > total {
			short, long = 0, 0 // it was of another total
		}
	}
	if !hasTotal {
		total = short + long
	}
	w := whole{u, total}
	w.detail(costs.InputCacheWrite5m, short, hasShort)
	w.detail(costs.InputCacheWrite1h, long, hasLong)
	if _, known := u.Get(costs.InputCacheWrite); known || w.left > 0 || !hasShort && !hasLong {
		u.Set(costs.InputCacheWrite, w.left)
	}
}

// gemini reads usageMetadata: cached tokens are part of the prompt's, thoughts
// and tool results are beside the candidates' and the prompt's.
func (c *usageCounts) gemini() costs.Usage {
	var u costs.Usage
	if n, ok := c.n.get(keyNone, keyPromptTokenCount); ok {
		c.geminiPrompt(whole{&u, n})
	}
	if n, ok := c.n.get(keyNone, keyToolUsePromptTokenCount); ok {
		u.Set(costs.InputTool, n)
	}
	if n, ok := c.n.get(keyNone, keyCandidatesTokenCount); ok {
		out := &c.modal[ofOutput]
		w := whole{&u, n}
		w.detail(costs.OutputAudio, out[asAudio], out[asAudio] > 0)
		w.detail(costs.OutputImage, out[asImage], out[asImage] > 0)
		u.Set(costs.Output, w.left)
	}
	if n, ok := c.n.get(keyNone, keyThoughtsTokenCount); ok {
		u.Set(costs.OutputReasoning, n)
	}
	return u
}

func (c *usageCounts) geminiPrompt(w whole) {
	prompt, cache := &c.modal[ofPrompt], &c.modal[ofCache]
	if n, ok := c.n.get(keyNone, keyCachedContentTokenCount); ok {
		cached := whole{w.u, min(n, w.left)}
		w.left -= cached.left
		cached.detail(costs.InputCacheReadAudio, cache[asAudio], cache[asAudio] > 0)
		cached.detail(costs.InputCacheReadImage, cache[asImage], cache[asImage] > 0)
		cached.detail(costs.InputCacheReadVideo, cache[asVideo], cache[asVideo] > 0)
		w.u.Set(costs.InputCacheRead, cached.left)
	} else {
		*cache = modalities{}
	}
	w.detail(costs.InputAudio, prompt[asAudio]-cache[asAudio], prompt[asAudio] > 0)
	w.detail(costs.InputImage, prompt[asImage]-cache[asImage], prompt[asImage] > 0)
	w.detail(costs.InputVideo, prompt[asVideo]-cache[asVideo], prompt[asVideo] > 0)
	w.u.Set(costs.Input, w.left)
}
