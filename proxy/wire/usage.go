package wire

import (
	"strings"

	"weir/costs"
)

// ReadUsage turns a vendor's usage object into leaf meters. Members that are
// absent stay unknown; a zero is a zero.
func ReadUsage(api API, raw []byte) costs.Usage {
	u, _ := readUsage(api, raw, costs.Usage{})
	return u
}

// readUsage reads a usage object over what earlier ones of the same reply
// said, and the service tier where one is in it.
func readUsage(api API, raw []byte, before costs.Usage) (costs.Usage, string) {
	var c usageCounts
	c.s.v = &c
	if c.s.feed(raw) != nil || c.s.close() != nil {
		return before, ""
	}
	switch api {
	case Messages:
		return c.anthropic(before), c.tier
	case Generate, StreamGenerate, Embed, BatchEmbed:
		return c.gemini(), c.tier
	}
	return c.openAI(), c.tier
}

// usageCounts are the numbers of a usage object, by member, and by the object
// they are in where that is not the root.
type usageCounts struct {
	s     scanner
	n     map2
	tier  string
	modal [4]modalities // of Gemini's details, by detailKind
	name  string        // the modality being read
}

type modalities struct{ audio, image, video, text int64 }

// map2 is a small table of numbers by two keys: a usage object has few.
type map2 struct {
	entries [32]struct {
		parent, key key
		n           int64
	}
	len int
}

func (m *map2) put(parent, k key, n int64) {
	if m.len < len(m.entries) {
		e := &m.entries[m.len]
		e.parent, e.key, e.n = parent, k, n
		m.len++
	}
}

func (m *map2) get(parent, k key) (int64, bool) {
	for i := m.len - 1; i >= 0; i-- {
		if e := &m.entries[i]; e.parent == parent && e.key == k {
			return e.n, true
		}
	}
	return 0, false
}

// begin implements visitor.
func (c *usageCounts) begin(_ *scanner, kind valueKind) int {
	if kind == kindNumber || kind == kindString {
		return 64
	}
	return 0
}

// end implements visitor.
func (c *usageCounts) end(s *scanner, kind valueKind, _ Span, raw []byte) error {
	d := s.depth()
	switch {
	case kind == kindString && d == 1 && s.key() == keyServiceTier:
		c.tier = text(raw)
	case kind == kindString && s.key() == keyModality:
		c.name = text(raw)
	case kind != kindNumber:
	case d == 1:
		c.n.put(keyNone, s.key(), integer(raw))
	case d == 2:
		c.n.put(s.stack[0].key, s.key(), integer(raw))
	case d == 3 && s.key() == keyTokenCount:
		c.modality(s.stack[0].key, integer(raw))
	}
	return nil
}

const (
	ofPrompt = iota
	ofCache
	ofOutput
	ofTool
)

// modality takes one entry of a Gemini details list. An entry names its
// modality before its count, as Google writes it.
func (c *usageCounts) modality(list key, n int64) {
	i := 0
	switch list {
	case keyPromptTokensDetailsCamel:
		i = ofPrompt
	case keyCacheTokensDetails:
		i = ofCache
	case keyCandidatesTokensDetails:
		i = ofOutput
	case keyToolUsePromptTokensDetails:
		i = ofTool
	default:
		return
	}
	m := &c.modal[i]
	switch strings.ToUpper(c.name) {
	case "AUDIO":
		m.audio += n
	case "IMAGE":
		m.image += n
	case "VIDEO":
		m.video += n
	default:
		m.text += n
	}
}

// openAI reads chat and Responses usage: details are parts of the totals.
func (c *usageCounts) openAI() costs.Usage {
	var u costs.Usage
	first := func(keys ...key) (int64, bool) {
		for _, k := range keys {
			if n, ok := c.n.get(keyNone, k); ok {
				return n, true
			}
		}
		return 0, false
	}
	part := func(parents [2]key, k key) int64 {
		for _, p := range parents {
			if n, ok := c.n.get(p, k); ok {
				return n
			}
		}
		return 0
	}
	in := [2]key{keyPromptTokensDetails, keyInputTokensDetails}
	out := [2]key{keyCompletionTokensDetails, keyOutputTokensDetails}
	total, hasTotal := c.n.get(keyNone, keyTotalTokens)
	n, ok := first(keyPromptTokens, keyInputTokens)
	output, hasOut := first(keyCompletionTokens, keyOutputTokens)
	if !ok && hasTotal && !hasOut { // embeddings and rerankers of some servers
		n, ok = total, true
	}
	if ok {
		rest := n
		rest = setPart(&u, costs.InputCacheRead, part(in, keyCachedTokens), rest)
		rest = setPart(&u, costs.InputCacheWrite, part(in, keyCacheWriteTokens), rest)
		rest = setPart(&u, costs.InputAudio, part(in, keyAudioTokens), rest)
		rest = setPart(&u, costs.InputImage, part(in, keyImageTokens), rest)
		u.Set(costs.Input, rest)
	}
	if hasOut {
		rest := output
		rest = setPart(&u, costs.OutputReasoning, part(out, keyReasoningTokens), rest)
		rest = setPart(&u, costs.OutputAudio, part(out, keyAudioTokens), rest)
		rest = setPart(&u, costs.OutputImage, part(out, keyImageTokens), rest)
		u.Set(costs.Output, rest)
	}
	return u
}

// setPart sets the meter of a part and returns what is left of the whole. A
// part larger than the rest is cut to it, so that the sum stays the total.
func setPart(u *costs.Usage, m costs.Meter, n, rest int64) int64 {
	n = min(max(n, 0), rest)
	if n > 0 {
		u.Set(m, n)
	}
	return rest - n
}

// anthropic reads a Messages usage, which is disjoint as it comes. Within a
// stream later figures overwrite earlier ones, member by member.
func (c *usageCounts) anthropic(u costs.Usage) costs.Usage {
	set := func(m costs.Meter, k key) {
		if n, ok := c.n.get(keyNone, k); ok {
			u.Set(m, n)
		}
	}
	set(costs.Input, keyInputTokens)
	set(costs.InputCacheRead, keyCacheReadInputTokens)
	written, hasWritten := c.n.get(keyNone, keyCacheCreationInputTokens)
	short, hasShort := c.n.get(keyCacheCreation, keyEphemeral5mInputTokens)
	long, hasLong := c.n.get(keyCacheCreation, keyEphemeral1hInputTokens)
	switch {
	case hasShort || hasLong:
		u.Set(costs.InputCacheWrite5m, short)
		u.Set(costs.InputCacheWrite1h, long)
		if rest := written - short - long; rest > 0 {
			u.Set(costs.InputCacheWrite, rest)
		}
	case hasWritten:
		// A total without its split says nothing new where the split is known.
		s, _ := u.Get(costs.InputCacheWrite5m)
		l, _ := u.Get(costs.InputCacheWrite1h)
		if s+l != written {
			u.Set(costs.InputCacheWrite, max(written-s-l, 0))
		}
	}
	if n, ok := c.n.get(keyNone, keyOutputTokens); ok {
		thinking, _ := c.n.get(keyOutputTokensDetails, keyThinkingTokens)
		rest := setPart(&u, costs.OutputReasoning, thinking, n)
		u.Set(costs.Output, rest)
	}
	return u
}

// gemini reads usageMetadata: cached tokens are part of the prompt's, thoughts
// and tool results are beside the candidates' and the prompt's.
func (c *usageCounts) gemini() costs.Usage {
	var u costs.Usage
	if n, ok := c.n.get(keyNone, keyPromptTokenCount); ok {
		prompt, cache := c.modal[ofPrompt], c.modal[ofCache]
		rest := n
		cached, _ := c.n.get(keyNone, keyCachedContentTokenCount)
		cached = min(cached, rest)
		rest -= cached
		cached = setPart(&u, costs.InputCacheReadAudio, cache.audio, cached)
		cached = setPart(&u, costs.InputCacheReadImage, cache.image, cached)
		cached = setPart(&u, costs.InputCacheReadVideo, cache.video, cached)
		setPart(&u, costs.InputCacheRead, cached, cached)
		rest = setPart(&u, costs.InputAudio, prompt.audio-cache.audio, rest)
		rest = setPart(&u, costs.InputImage, prompt.image-cache.image, rest)
		rest = setPart(&u, costs.InputVideo, prompt.video-cache.video, rest)
		u.Set(costs.Input, rest)
	}
	if n, ok := c.n.get(keyNone, keyToolUsePromptTokenCount); ok {
		u.Set(costs.InputTool, n)
	}
	if n, ok := c.n.get(keyNone, keyCandidatesTokenCount); ok {
		rest := setPart(&u, costs.OutputAudio, c.modal[ofOutput].audio, n)
		rest = setPart(&u, costs.OutputImage, c.modal[ofOutput].image, rest)
		u.Set(costs.Output, rest)
	}
	if n, ok := c.n.get(keyNone, keyThoughtsTokenCount); ok {
		u.Set(costs.OutputReasoning, n)
	}
	return u
}
