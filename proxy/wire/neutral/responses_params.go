package neutral

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// tools writes the tools.
func (w *responsesWriter) tools() {
	if len(w.r.Tools) == 0 {
		return
	}
	at := len(w.b)
	w.arrKey("tools")
	begun := len(w.b)
	for i := range w.r.Tools {
		w.tool(&w.r.Tools[i])
	}
	if len(w.b) == begun {
		w.b = w.b[:at]
		return
	}
	w.endArr()
}

func (w *responsesWriter) tool(t *Tool) {
	w.mark(t.Cache)
	switch {
	case t.Raw == nil:
		w.ourTool(t, w.own)
	case t.From == Responses:
		w.raw(t.Raw)
	case isWebSearch(t):
		w.search(t)
	default:
		w.refuse(FeatureVendorTools, "the tool %s is run by %s; offer a function instead", t.Name, vendorOf(t.From))
	}
}

// search writes another vendor's search as OpenAI's.
func (w *responsesWriter) search(t *Tool) {
	s := searchOf(t)
	if s.others {
		w.drop(FeatureVendorTools)
	}
	w.obj()
	w.strKey("type", "web_search")
	if s.bounded() {
		w.objKey("filters")
		w.rawIf("allowed_domains", s.allowed)
		w.rawIf("blocked_domains", s.blocked)
		w.endObj()
	}
	w.rawIf("user_location", s.location)
	w.endObj()
}

// isWebSearch reports whether a tool of another vendor is its web search.
func isWebSearch(t *Tool) bool {
	return strings.HasPrefix(blockType(t.Raw), "web_search") ||
		slices.ContainsFunc(members(t.Raw), func(m Member) bool { return m.Name == "googleSearch" || m.Name == "google_search" })
}

// ourTool writes a tool that the client runs. as says that it is written as it
// came; where not, a schema that is not said to be strict is not: this API
// takes it to be.
func (w *jsonw) ourTool(t *Tool, as bool) {
	w.obj()
	if t.Custom {
		w.strKey("type", "custom")
		w.strKey("name", t.Name)
		w.strIf("description", t.Description)
		w.grammar(t.Grammar)
	} else {
		w.strKey("type", "function")
		w.strKey("name", t.Name)
		w.strIf("description", t.Description)
		switch {
		case given(t.Schema):
			w.rawKey("parameters", t.Schema)
		case !as:
			w.key("parameters")
			w.lit(`{"type":"object","properties":{}}`)
		}
		if t.Strict == nil && !as {
			w.boolKey("strict", false)
		}
		w.boolIf("strict", t.Strict)
	}
	if t.From == Responses {
		w.members(members(t.Extra))
	}
	w.endObj()
}

// grammar writes a custom tool's format, which chat completions nest.
func (w *jsonw) grammar(format jsontext.Value) {
	if len(format) == 0 {
		return
	}
	list := members(format)
	i := slices.IndexFunc(list, func(m Member) bool { return m.Name == "grammar" && m.Value.Kind() == '{' })
	if i < 0 {
		w.rawKey("format", format)
		return
	}
	w.objKey("format")
	w.strKey("type", "grammar")
	w.members(members(list[i].Value))
	w.endObj()
}

func (w *responsesWriter) choice() {
	c := &w.r.Choice
	if c.Raw != nil && c.From != Responses {
		w.refuse(FeatureChoice, "this way to choose a tool is only %s's; choose a function, or leave it to the model", vendorOf(c.From))
		return
	}
	if len(w.r.Tools) > 0 || w.own {
		w.toolChoice(c, w.r.Tools)
	}
}

// toolChoice writes tool_choice, if it is given.
func (w *jsonw) toolChoice(c *Choice, tools []Tool) {
	named := func(name string) {
		kind := "function"
		if slices.ContainsFunc(tools, func(t Tool) bool { return t.Name == name && t.Custom }) {
			kind = "custom"
		}
		w.strKey("type", kind)
		w.strKey("name", name)
	}
	switch {
	case c.Raw != nil:
		w.rawKey("tool_choice", c.Raw)
	case c.Mode == Only && len(c.Names) == 1:
		w.objKey("tool_choice")
		named(c.Names[0])
		w.endObj()
	case len(c.Names) > 0:
		mode := "auto"
		if c.Mode == Only {
			mode = "required"
		}
		w.objKey("tool_choice")
		w.strKey("type", "allowed_tools")
		w.strKey("mode", mode)
		w.arrKey("tools")
		for _, name := range c.Names {
			w.obj()
			named(name)
			w.endObj()
		}
		w.endArr()
		w.endObj()
	case c.Mode == Never:
		w.strKey("tool_choice", "none")
	case c.Mode == Required, c.Mode == Only:
		w.strKey("tool_choice", "required")
	case c.Mode == SayAuto:
		w.strKey("tool_choice", "auto")
	}
}

func (w *responsesWriter) limits() {
	r := w.r
	if n := r.MaxOutput; n != nil {
		limit := *n
		if !w.own && limit < leastOutput {
			limit = leastOutput
			w.drop(FeatureMaxOutput)
		}
		w.intKey("max_output_tokens", limit)
	}
	fixed := !w.own && reasoningModel(r.known()) && !r.Reasoning.off()
	w.unless(fixed && string(r.Temperature) != "1", "temperature", r.Temperature, FeatureTemperature)
	w.unless(fixed && string(r.TopP) != "1", "top_p", r.TopP, FeatureTopP)
	w.intIf("top_logprobs", r.TopLogprobs)
}

// unless writes a value, or notes it where the model would refuse it.
func (w *responsesWriter) unless(refused bool, name string, v jsontext.Value, feature string) {
	switch {
	case len(v) == 0:
	case refused:
		w.drop(feature)
	default:
		w.rawKey(name, v)
	}
}

// restOf writes the members of Rest below a name.
func (w *responsesWriter) restOf(at string) {
	for _, m := range w.r.Rest {
		if name, ok := strings.CutPrefix(m.Name, at); ok && w.own && len(m.Value) != 0 {
			w.member(Member{name, m.Value})
		}
	}
}

func (w *responsesWriter) reasoning() {
	q := &w.r.Reasoning
	effort, summary := q.Effort, q.Summary
	if !w.own {
		effort, summary = w.effort(), ""
		switch {
		case !q.Show, !reasoningModel(w.r.known()), q.off():
		case w.r.Target.NoSummary:
			w.drop(FeatureSummary)
		default:
			summary = "auto"
		}
	}
	at := len(w.b)
	w.objKey("reasoning")
	begun := len(w.b)
	w.strIf("effort", effort)
	w.strIf("summary", summary)
	w.restOf("reasoning.")
	if len(w.b) == begun {
		w.b = w.b[:at]
		return
	}
	w.endObj()
}

// effort is how much to think in OpenAI's words: "" where the model decides,
// or cannot think. The least of models that cannot stop thinking is theirs.
func (w *responsesWriter) effort() string {
	q := &w.r.Reasoning
	name := baseModel(w.r.known())
	switch {
	case !q.given():
		return ""
	case openAIModel(w.r.known()) && !reasoningModel(w.r.known()):
		if !q.off() {
			w.drop(FeatureReasoning)
		}
		return ""
	case q.off() && oSeries(name):
		w.drop(FeatureReasoning)
		return "low"
	case q.off() && (name == "gpt-5" || strings.HasPrefix(name, "gpt-5-")):
		w.drop(FeatureReasoning)
		return "minimal"
	}
	return q.effort()
}

func (w *responsesWriter) text() {
	r := w.r
	at := len(w.b)
	w.objKey("text")
	begun := len(w.b)
	w.format(&r.Format)
	w.strIf("verbosity", r.Verbosity)
	w.restOf("text.")
	if len(w.b) == begun {
		w.b = w.b[:at]
		return
	}
	w.endObj()
}

// format writes the member format, if it is given.
func (w *jsonw) format(f *Format) {
	switch f.Kind {
	case SayText:
		w.objKey("format")
		w.strKey("type", "text")
		w.endObj()
	case JSONObject:
		w.objKey("format")
		w.strKey("type", "json_object")
		w.endObj()
	case JSONSchema:
		name := f.Name
		if name == "" {
			name = "response"
		}
		w.objKey("format")
		w.strKey("type", "json_schema")
		w.strKey("name", name)
		w.strIf("description", f.Description)
		w.rawIf("schema", f.Schema)
		w.boolIf("strict", f.Strict)
		w.endObj()
	}
}

// include asks for what the reply must have: other dialects' clients can only
// send reasoning back that is sealed.
func (w *responsesWriter) include() {
	r := w.r
	var words []string
	if !r.Target.NoSeals && (r.Reasoning.Sealed || !w.own && reasoningModel(r.known()) && w.store() != nil && !*w.store()) {
		words = append(words, includeSealed)
	}
	if r.Logprobs || r.TopLogprobs != nil && !w.own {
		words = append(words, includeLogprobs)
	}
	if w.own {
		for _, m := range r.Rest {
			if m.Name == "include" {
				var others []string
				if decode(m.Value, &others) == nil {
					words = append(words, others...)
				}
			}
		}
	}
	w.strsIf("include", words)
}

// store is whether OpenAI is to keep the reply: for clients of other dialects
// only where they say so.
func (w *responsesWriter) store() *bool {
	if w.r.Store == nil && !w.own {
		return new(bool)
	}
	return w.r.Store
}

func (w *responsesWriter) account() {
	r := w.r
	w.boolIf("store", w.store())
	w.strIf("previous_response_id", r.Previous)
	w.strIf("prompt_cache_key", r.CacheKey)
	w.strIf("safety_identifier", r.User)
	tier := r.ServiceTier
	if !w.own {
		tier = chatTier(tier)
	}
	w.strIf("service_tier", tier)
	w.stringsObj("metadata", r.Metadata)
}

// unsaid notes what this API has no word for.
func (w *responsesWriter) unsaid() {
	r := w.r
	for _, f := range []struct {
		given   bool
		feature string
	}{
		{given(r.TopK), FeatureTopK},
		{given(r.FrequencyPenalty), FeatureFrequency},
		{given(r.PresencePenalty), FeaturePresence},
		{given(r.Seed), FeatureSeed},
		{given(r.Cache), FeatureAutoCache},
	} {
		if f.given {
			w.drop(f.feature)
		}
	}
	if len(r.Stop) > 0 {
		w.refuse(FeatureStop, "the Responses API cannot stop at a sequence; leave it out, or send the call to another API's model")
	}
	if r.N > 1 {
		w.refuse(FeatureN, "the Responses API gives one answer for each request; send several requests")
	}
}

// rest writes members of this dialect back, and notes those of others.
func (w *responsesWriter) rest() {
	if !w.own {
		var carried []string
		if w.r.From == Chat {
			carried = openAIMembers
		}
		for _, m := range w.r.Rest {
			if m.Value != nil && slices.Contains(carried, m.Name) {
				w.member(m)
			}
		}
		noteRest(w.r, w.n, carried...)
		return
	}
	for _, m := range w.r.Rest {
		if len(m.Value) != 0 && m.Name != "include" && !strings.HasPrefix(m.Name, "text.") && !strings.HasPrefix(m.Name, "reasoning.") {
			w.member(m)
		}
	}
}
