package mockllm

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"strings"
)

func checkCompletions(c *call) *fault {
	if f := c.streamOptions(); f != nil {
		return f
	}
	return c.ranges()
}

// prompts are the texts of a prompt or an input: a string, strings, tokens, or
// lists of tokens.
func prompts(n *node) []string {
	if n.kind == text {
		return []string{n.text}
	}
	if len(n.kids) > 0 && n.kids[0].kind == number {
		return []string{n.raw}
	}
	out := make([]string, len(n.kids))
	for i := range n.kids {
		out[i] = n.kids[i].text
		if n.kids[i].kind != text {
			out[i] = n.kids[i].raw
		}
	}
	return out
}

// serveCompletions answers a legacy completion: n choices of each prompt.
func serveCompletions(c *call) *fault {
	limit := c.body.get("max_tokens").int(16)
	var stops []string
	for _, s := range c.body.get("stop").items() {
		stops = append(stops, s.text)
	}
	var answers []*answer
	in := 0
	for _, p := range prompts(c.body.get("prompt")) {
		in += tokens(p)
		for i := range max(c.body.get("n").int(1), 1) {
			answers = append(answers, c.respond(&ask{last: p, limit: limit, stops: stops, prompt: tokens(p)}, i))
		}
	}
	if c.b.InputTokens > 0 {
		in = c.b.InputTokens
	}
	w := &chatWriter{c: c, id: c.id("cmpl-", 0), answers: answers}
	out := w.out()
	usage := func() raw { return c.usageOr(func() raw { return c.chatUsage(in, out, 0) }) }
	choice := func(i int, text string, finish any) raw {
		return obj("text", text, "index", i, "logprobs", nil, "finish_reason", finish)
	}
	if !c.streams() {
		choices := make([]raw, len(answers))
		for i, a := range answers {
			choices[i] = choice(i, a.said(), w.finish(a))
		}
		c.json(c.beside(obj("id", w.id, "object", "text_completion", "created", c.created(), "model", c.served(),
			"choices", choices, "usage", c.wholeUsage(usage), "system_fingerprint", "fp_mock")))
		return nil
	}
	w.prefix = obj("id", w.id, "object", "text_completion", "created", c.created(), "model", c.served())
	w.prefix = append(w.prefix[:len(w.prefix)-1], `,"choices":[`...)
	for i, a := range answers {
		for _, p := range a.text {
			w.chunk(choice(i, p, nil), nil, 1)
		}
		var last raw
		if c.b.Usage == "finish" {
			last = usage()
		}
		w.chunk(choice(i, "", w.finish(a)), last, 0)
	}
	if w.asked() {
		w.chunk(nil, usage(), 0)
	}
	c.done()
	return nil
}

// maxInputs is how many inputs one embeddings request may have.
const maxInputs = 2048

func checkEmbeddings(c *call) *fault {
	input := c.body.get("input")
	texts := prompts(input)
	switch {
	case len(texts) == 0, input.kind == text && input.text == "":
		return refuse("input", "", "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference.")
	case input.kind == array && slices.ContainsFunc(input.kids, isNoInput):
		return refuse("input", "", "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference.")
	case len(texts) > maxInputs:
		return refuse("input", "array_above_max_length", "Invalid 'input': array too long. Expected an array with maximum length %d, but got an array with length %d instead.", maxInputs, len(texts))
	}
	switch f := c.body.get("encoding_format"); f.text {
	case "", "float", "base64":
	default:
		return invalidValue("encoding_format", f.text, "float", "base64")
	}
	if in := inputTokens(input); in > maxInputTokens {
		return refuse("", "max_tokens_per_request", "Requested %d tokens, max %d tokens per request", in, maxInputTokens)
	}
	if most, known := dimensions[c.model]; known && c.body.has("dimensions") {
		switch n := c.body.get("dimensions").int(1); {
		case most == 0:
			return refuse("", "", "This model does not support specifying dimensions.")
		case n > most:
			return refuse("", "", "Invalid value for 'dimensions' = %d. Must be less than or equal to %d.", n, most)
		}
	}
	return c.between("dimensions", 1, 10000)
}

// maxInputTokens is how many tokens the inputs of one request may have together.
const maxInputTokens = 300_000

// dimensions are the most that OpenAI's own models have; 0: they cannot be chosen.
var dimensions = map[string]int{"text-embedding-ada-002": 0, "text-embedding-3-small": 1536, "text-embedding-3-large": 3072}

// isNoInput reports whether an element of a list of inputs is empty.
func isNoInput(n node) bool {
	return n.kind == text && n.text == "" || n.kind == array && len(n.kids) == 0
}

// inputTokens counts texts as the mock always does, and token ids one by one.
func inputTokens(n *node) (sum int) {
	if n.kind == number {
		return 1
	}
	if n.kind == text {
		return tokens(n.text)
	}
	for i := range n.kids {
		sum += inputTokens(&n.kids[i])
	}
	return sum
}

// vector is a unit vector that follows from a text: equal texts have equal
// ones, texts that share words have near ones.
func vector(s string, dimensions int) []float32 {
	v := make([]float32, dimensions)
	for w := range strings.FieldsSeq(strings.ToLower(s)) {
		h := uint64(newHasher(w))
		for range 8 {
			h = h*6364136223846793005 + 1442695040888963407
			sign := float32(1)
			if h>>63 == 1 {
				sign = -1
			}
			v[(h>>20)%uint64(dimensions)] += sign
		}
	}
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	if sum == 0 {
		v[0], sum = 1, 1
	}
	norm := float32(1 / math.Sqrt(sum))
	for i := range v {
		v[i] *= norm
	}
	return v
}

func floats(v []float32) raw {
	b := raw{'['}
	for i, x := range v {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendFloat(b, float64(x), 'g', -1, 32)
	}
	return append(b, ']')
}

func packed(v []float32) string {
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return base64.StdEncoding.EncodeToString(b)
}

func serveEmbeddings(c *call) *fault {
	size := c.body.get("dimensions").int(1536)
	in := inputTokens(c.body.get("input"))
	var data []raw
	for i, s := range prompts(c.body.get("input")) {
		v := vector(s, size)
		var value any = floats(v)
		if c.body.get("encoding_format").text == "base64" && !c.b.Floats {
			value = packed(v)
		}
		data = append(data, obj("object", "embedding", "index", i, "embedding", value))
	}
	usage := func() raw { return obj("prompt_tokens", in, "total_tokens", in) }
	c.json(c.beside(obj("object", "list", "data", data, "model", c.served(), "usage", c.wholeUsage(usage))))
	return nil
}

var moderationKinds = []string{
	"harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm",
	"self-harm/intent", "self-harm/instructions", "sexual", "sexual/minors", "violence", "violence/graphic",
}

// serveModerations flags what names violence, and nothing else.
func serveModerations(c *call) *fault {
	input := c.body.get("input")
	texts := prompts(input)
	if len(input.kids) > 0 && input.kids[0].kind == object {
		texts = []string{textOf(input)}
	}
	var results []raw
	for _, s := range texts {
		flagged := strings.Contains(strings.ToLower(s), "violence")
		var categories, scores, applied []any
		for _, kind := range moderationKinds {
			hit := flagged && kind == "violence"
			score := 0.0001
			if hit {
				score = 0.98
			}
			categories = append(categories, kind, hit)
			scores = append(scores, kind, score)
			applied = append(applied, kind, list("text"))
		}
		results = append(results, obj("flagged", flagged, "categories", obj(categories...),
			"category_scores", obj(scores...), "category_applied_input_types", obj(applied...)))
	}
	model := c.model
	if model == "" {
		model = "omni-moderation-latest"
	}
	c.json(obj("id", c.id("modr-", 0), "model", model, "results", results))
	return nil
}

func checkRerank(c *call) *fault {
	for _, name := range []string{"model", "query", "documents"} {
		if !c.body.has(name) {
			return c.vendor.missing(name)
		}
	}
	return nil
}

// serveRerank orders documents by the words that they share with the query,
// in the shape of Cohere's and Jina's APIs.
func serveRerank(c *call) *fault {
	query := c.body.get("query").text
	in := tokens(query)
	type hit struct {
		index int
		score float64
		text  string
	}
	var hits []hit
	q := vector(query, 256)
	for i, d := range c.body.get("documents").kids {
		s := d.text + d.get("text").text
		in += tokens(s)
		var dot float64
		for j, x := range vector(s, 256) {
			dot += float64(x) * float64(q[j])
		}
		hits = append(hits, hit{i, math.Round(max(dot, 0)*1e4) / 1e4, s})
	}
	slices.SortStableFunc(hits, func(a, b hit) int { return cmp.Compare(b.score, a.score) })
	hits = hits[:min(len(hits), max(c.body.get("top_n").int(len(hits)), 0))]
	var results []raw
	for _, h := range hits {
		results = append(results, obj("index", h.index, "relevance_score", h.score,
			"document", when(c.body.get("return_documents").isTrue(), obj("text", h.text))))
	}
	c.json(c.beside(obj("id", c.id("rerank-", 0), "model", c.served(), "results", list(results...),
		"meta", obj("billed_units", obj("search_units", 1)),
		"usage", c.wholeUsage(func() raw { return obj("prompt_tokens", in, "total_tokens", in) }))))
	return nil
}
