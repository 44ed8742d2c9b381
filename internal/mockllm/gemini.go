package mockllm

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

var partMembers = parseMembers(`text:s inlineData:o inline_data:o fileData:o file_data:o functionCall:o function_call:o
	functionResponse:o function_response:o executableCode:o codeExecutionResult:o thought:b thoughtSignature:s
	thought_signature:s videoMetadata:o video_metadata:o mediaResolution:* partMetadata:o toolCall:o toolResponse:o`)

var generationMembers = parseMembers(`candidateCount:i stopSequences:a maxOutputTokens:i temperature:n topP:n topK:n seed:i
	presencePenalty:n frequencyPenalty:n responseMimeType:s responseSchema:o responseJsonSchema:* _responseJsonSchema:*
	responseLogprobs:b logprobs:i enableEnhancedCivicAnswers:b responseModalities:a speechConfig:o thinkingConfig:o
	mediaResolution:s imageConfig:o routingConfig:o audioTimestamp:b responseFormat:* translationConfig:o`)

func camel(name string) string {
	first, rest, ok := strings.Cut(name, "_")
	if !ok || first == "" {
		return name
	}
	return first + strings.ToUpper(rest[:1]) + camel(rest[1:])
}

// checkGenerate is what the API refuses beyond unknown members.
func checkGenerate(c *call) *fault {
	contents := c.body.get("contents")
	if len(contents.items()) == 0 {
		return badArgument("* GenerateContentRequest.contents: contents is not specified\n")
	}
	for _, kid := range c.generation().kids {
		types, known := generationMembers.types[camel(kid.key)]
		switch {
		case !known && !c.s.opts.Lax:
			return badArgument("Invalid JSON payload received. Unknown name \"%s\" at 'generation_config': Cannot find field.", kid.key)
		case known && kid.kind != null && !takes(types, &kid):
			return badArgument("Invalid value at 'generation_config.%s' (%s), %s", kid.key, types, kid.raw)
		}
	}
	if t := c.generation().get("temperature"); t.kind == number && (t.float(0) < 0 || t.float(0) > 2) {
		return badArgument("Unable to submit request because it has a temperature value of %s but the supported range is from 0.0 (inclusive) to 2.0 (inclusive).", t.raw)
	}
	return c.checkContents(contents.items())
}

func (c *call) generation() *node { return c.body.either("generationConfig", "generation_config") }

func (c *call) checkContents(contents []node) *fault {
	for i := range contents {
		content, at := &contents[i], "contents["+strconv.Itoa(i)+"]"
		for _, kid := range content.kids {
			if kid.key != "role" && kid.key != "parts" && !c.s.opts.Lax {
				return badArgument("Invalid JSON payload received. Unknown name \"%s\" at '%s': Cannot find field.", kid.key, at)
			}
		}
		role := content.get("role").text
		if !slices.Contains([]string{"", "user", "model", "function"}, role) {
			return badArgument("Please use a valid role: user, model.")
		}
		parts := content.get("parts").items()
		if len(parts) == 0 {
			return badArgument("* GenerateContentRequest.%s.parts: contents.parts must not be empty.\n", at)
		}
		answers := 0
		for j := range parts {
			for _, kid := range parts[j].kids {
				if types, ok := partMembers.types[kid.key]; !ok && !c.s.opts.Lax {
					return badArgument("Invalid JSON payload received. Unknown name \"%s\" at '%s.parts[%d]': Cannot find field.", kid.key, at, j)
				} else if ok && kid.kind != null && !takes(types, &kid) {
					return badArgument("Invalid value at '%s.parts[%d].%s' (TYPE_STRING), %s", at, j, kid.key, kid.raw)
				}
			}
			if f := checkSignature(&parts[j], at, j); f != nil {
				return f
			}
			if parts[j].either("functionResponse", "function_response").kind == object {
				answers++
			}
		}
		if answers == 0 {
			continue
		}
		if i == 0 || answers != functionCalls(&contents[i-1]) {
			return badArgument("Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.")
		}
	}
	return nil
}

func functionCalls(content *node) int {
	n := 0
	for _, p := range content.get("parts").items() {
		if p.either("functionCall", "function_call").kind == object {
			n++
		}
	}
	return n
}

// checkSignature takes back the signatures that the mock has made, and the
// word that Google documents for none.
func checkSignature(part *node, at string, j int) *fault {
	s := part.either("thoughtSignature", "thought_signature")
	if s.kind != text || s.text == "skip_thought_signature_validator" || s.text == "context_engineering_is_the_way_to_go" {
		return nil
	}
	name := part.either("functionCall", "function_call").get("name").text
	// SDKs write base64 with either alphabet.
	got := strings.NewReplacer("-", "+", "_", "/").Replace(s.text)
	if name != "" && got != signature(name) || name == "" && got != signature(part.get("text").text) {
		return badArgument("Thought signature is not valid at '%s.parts[%d]'.", at, j)
	}
	return nil
}

// askGenerate reads a generateContent request.
func askGenerate(c *call) *ask {
	b, g := &c.body, c.generation()
	system := b.either("systemInstruction", "system_instruction")
	get := func(name, snake string) *node { return g.either(name, snake) }
	a := &ask{
		prompt: weigh(b.get("contents")) + weigh(system) + weigh(b.get("tools")) + 3,
		limit:  get("maxOutputTokens", "max_output_tokens").int(0),
		choice: "auto",
	}
	for _, content := range b.get("contents").items() {
		if content.get("role").text == "model" {
			continue
		}
		a.result, a.answered = "", false
		var said []string
		for _, p := range content.get("parts").items() {
			if t := p.get("text"); t.kind == text {
				said = append(said, t.text)
			}
			if r := p.either("functionResponse", "function_response"); r.kind == object {
				a.result, a.answered = join(a.result, resultText(r.get("response"))), true
			}
		}
		if said != nil {
			a.last = strings.Join(said, "\n")
		}
	}
	for _, t := range b.get("tools").items() {
		for _, f := range t.either("functionDeclarations", "function_declarations").items() {
			a.tools = append(a.tools, tool{f.get("name").text, f.either("parameters", "parametersJsonSchema", "parameters_json_schema"), false})
		}
	}
	calling := b.either("toolConfig", "tool_config").either("functionCallingConfig", "function_calling_config")
	switch strings.ToUpper(calling.get("mode").text) {
	case "NONE":
		a.choice = "none"
	case "ANY":
		a.choice = "any"
		if names := calling.either("allowedFunctionNames", "allowed_function_names").kids; len(names) > 0 {
			a.choice, a.named = "named", names[0].text
		}
	}
	for _, s := range get("stopSequences", "stop_sequences").kids {
		a.stops = append(a.stops, s.text)
	}
	schema := g.either("responseSchema", "response_schema", "responseJsonSchema", "response_json_schema", "_responseJsonSchema")
	switch {
	case schema.kind == object:
		a.schema = schema
	case get("responseMimeType", "response_mime_type").text == "application/json":
		a.jsonMode = true
	}
	thinking := get("thinkingConfig", "thinking_config")
	budget := thinking.either("thinkingBudget", "thinking_budget")
	a.think = thinking.kind == object && budget.raw != "0"
	return a
}

// resultText is the text of a function's response: its one string, or all of it.
func resultText(n *node) string {
	if len(n.kids) == 1 && n.kids[0].kind == text {
		return n.kids[0].text
	}
	return n.raw
}

type generateWriter struct {
	c       *call
	answers []*answer
}

func serveGenerate(c *call) *fault {
	a := askGenerate(c)
	if name := c.body.either("cachedContent", "cached_content").text; name != "" {
		kept := c.s.objects.get("cachedContents", strings.TrimPrefix(name, "cachedContents/"))
		if kept == nil {
			return geminiLost(c, name)
		}
		a.prompt += kept.tokens
		c.b.CachedTokens = max(c.b.CachedTokens, kept.tokens)
	}
	w := &generateWriter{c: c}
	for i := range min(max(c.generation().either("candidateCount", "candidate_count").int(1), 1), 8) {
		w.answers = append(w.answers, c.respond(a, i))
	}
	switch {
	case c.b.Refuse:
		w.refuse()
	case !c.streams():
		var candidates []raw
		for i, r := range w.answers {
			candidates = append(candidates, w.candidate(i, w.parts(r), w.stop(r)))
		}
		out, thought := w.totals()
		c.json(c.beside(w.response(candidates, c.wholeUsage(func() raw { return w.usage(out, thought) }))))
	case c.r.URL.Query().Get("alt") == "sse":
		w.stream(func(chunk raw, tokens int) { c.o.event("", chunk, tokens) })
		c.o.finish()
	default:
		w.array()
	}
	return nil
}

// refuse answers as for a prompt that the filter has stopped: no candidates.
func (w *generateWriter) refuse() {
	w.answers[0].out, w.answers[0].thought = 0, 0
	reply := obj("promptFeedback", obj("blockReason", "PROHIBITED_CONTENT"),
		"usageMetadata", w.c.wholeUsage(func() raw { return w.usage(0, 0) }), "modelVersion", w.c.served(), "responseId", w.c.id("", 0))
	switch {
	case !w.c.streams():
		w.c.json(reply)
	case w.c.r.URL.Query().Get("alt") == "sse":
		w.c.o.event("", reply, 0)
		w.c.o.finish()
	default:
		w.c.json(list(reply))
	}
}

func (w *generateWriter) totals() (out, thought int) {
	for _, a := range w.answers {
		out += a.out - a.thought
		thought += a.thought
	}
	return out, thought
}

func (w *generateWriter) stop(a *answer) string {
	if w.c.b.Stop != "" {
		return w.c.b.Stop
	}
	return [...]string{"STOP", "MAX_TOKENS", "STOP", "STOP", "PROHIBITED_CONTENT"}[a.stop]
}

// usage: thoughts stand beside the candidates' tokens, cached ones are in the
// prompt's. Counts that are 0 are left out, as Google does.
func (w *generateWriter) usage(out, thought int) raw {
	b := &w.c.b
	in := max(w.answers[0].in, b.CachedTokens)
	modal := func(n int) raw { return list(obj("modality", "TEXT", "tokenCount", n)) }
	return obj("promptTokenCount", in, "cachedContentTokenCount", when(b.CachedTokens > 0, b.CachedTokens),
		"candidatesTokenCount", when(out > 0, out), "totalTokenCount", in+out+thought,
		"promptTokensDetails", when(!b.NoDetails, modal(in)), "cacheTokensDetails", when(b.CachedTokens > 0, modal(b.CachedTokens)),
		"thoughtsTokenCount", when(thought > 0, thought), "trafficType", when(b.ServiceTier != "", b.ServiceTier))
}

func (w *generateWriter) thoughts() bool {
	return w.c.generation().either("thinkingConfig", "thinking_config").either("includeThoughts", "include_thoughts").isTrue()
}

func (w *generateWriter) call(i int, t *toolCall) raw {
	var signed any = omit{}
	if i == 0 {
		signed = signature(t.name) // with parallel calls only the first has one
	}
	args := t.arguments()
	if _, err := parse(args); err != nil {
		args = "{}"
	}
	return obj("functionCall", obj("name", t.name, "args", raw(args), "id", w.c.id("", 100+i)), "thoughtSignature", signed)
}

func (w *generateWriter) parts(a *answer) []raw {
	var parts []raw
	if t := a.thoughts(); t != "" && w.thoughts() {
		parts = append(parts, obj("text", t, "thought", true))
	}
	if a.text != nil {
		parts = append(parts, obj("text", a.said()))
	}
	for i := range a.calls {
		parts = append(parts, w.call(i, &a.calls[i]))
	}
	return parts
}

func (w *generateWriter) candidate(i int, parts []raw, stop string) raw {
	return obj("content", obj("parts", when(parts != nil, parts), "role", "model"),
		"finishReason", when(stop != "", stop), "index", i)
}

func (w *generateWriter) response(candidates []raw, usage any) raw {
	return obj("candidates", candidates, "usageMetadata", usage, "modelVersion", w.c.served(), "responseId", w.c.id("", 0))
}

// stream sends the answer in chunks, each a response with the usage so far.
func (w *generateWriter) stream(send func(chunk raw, tokens int)) {
	out, thought, told := 0, 0, 0
	usage := func(last bool) any {
		switch w.c.b.Usage {
		case "none":
			return omit{}
		case "null":
			return nil
		case "finish":
			if !last {
				return omit{}
			}
		}
		switch told++; {
		case last && w.c.b.UsageJSON != nil:
			return w.c.replayed(-1)
		case w.c.b.UsageJSON != nil:
			return w.c.replayed(told - 1)
		case last:
			out, thought = w.totals()
		}
		return w.usage(out, thought)
	}
	for i, a := range w.answers {
		piece := func(part raw) { send(w.response([]raw{w.candidate(i, []raw{part}, "")}, usage(false)), 1) }
		if w.thoughts() {
			for _, p := range a.thinking {
				thought++
				piece(obj("text", p, "thought", true))
			}
		}
		for _, p := range a.text {
			out++
			piece(obj("text", p))
		}
		var rest []raw
		for j := range a.calls {
			rest = append(rest, w.call(j, &a.calls[j]))
		}
		if rest == nil && !w.c.b.Silent {
			rest = []raw{obj("text", "")}
		}
		end := w.response([]raw{w.candidate(i, rest, w.stop(a))}, usage(i+1 == len(w.answers)))
		if i+1 == len(w.answers) {
			end = w.c.beside(end)
		}
		send(end, 0)
	}
}

// array is the stream without alt=sse: one JSON array, an element a chunk.
func (w *generateWriter) array() {
	o := &w.c.o
	o.stream = true
	o.begin(http.StatusOK, gemini.jsonType, -1)
	before := "["
	w.stream(func(chunk raw, tokens int) {
		if cut := o.b.CutEvents; cut != nil && o.events >= *cut {
			o.stop()
		}
		o.pace(tokens)
		o.events++
		o.write(append([]byte(before), chunk...))
		before = ",\r\n"
	})
	o.write([]byte("\n]\n"))
	o.finish()
}

func serveGeminiCount(c *call) *fault {
	b := &c.body
	if inner := b.either("generateContentRequest", "generate_content_request"); inner.kind == object {
		b = inner
	}
	if len(b.get("contents").items()) == 0 {
		return badArgument("* CountTokensRequest.contents: contents is not specified\n")
	}
	n := weigh(b.get("contents")) + weigh(b.either("systemInstruction", "system_instruction")) + weigh(b.get("tools")) + 3
	c.json(obj("totalTokens", n, "promptTokensDetails", list(obj("modality", "TEXT", "tokenCount", n))))
	return nil
}
