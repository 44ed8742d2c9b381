package neutral

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
)

// openAIMembers are members that Responses and chat write alike.
var openAIMembers = []string{"safety_identifier", "prompt_cache_retention", "prompt_cache_options", "moderation"}

func encodeChatRequest(r *Request, n *Notes) ([]byte, error) {
	openAI := openAIModel(r.known())
	r = r.forTarget(n, Chat, openAI)
	e := chatWriter{r: r, n: n, openAI: openAI}
	e.w.b = make([]byte, 0, e.size())
	e.w.obj()
	e.w.strKey("model", r.Model)
	e.messages()
	e.tools()
	e.sampling()
	e.reasoning()
	e.format()
	e.account()
	if r.Stream {
		e.w.boolKey("stream", true)
	}
	e.streamOptions()
	e.rest()
	e.w.endObj()
	if err := n.Err(); err != nil {
		return nil, err
	}
	return e.w.b, nil
}

// A chatWriter writes one request.
type chatWriter struct {
	w      jsonw
	r      *Request
	n      *Notes
	openAI bool // the model is OpenAI's own
}

// size is a first guess at the body's size, so that large pictures are copied once.
func (e *chatWriter) size() int {
	size := 1024
	for i := range e.r.Turns {
		for j := range e.r.Turns[i].Parts {
			p := &e.r.Turns[i].Parts[j]
			size += 64 + len(p.Text) + len(p.Text)/16
			if p.Media != nil {
				size += len(p.Media.Data) + len(p.Media.URL)
			}
		}
	}
	for i := range e.r.Tools {
		size += 128 + len(e.r.Tools[i].Description) + len(e.r.Tools[i].Schema)
	}
	return size
}

// own reports whether the client speaks chat itself: then its own words go back.
func (e *chatWriter) own() bool { return e.r.From == Chat }

// drop notes that a feature is left out, in the client's words.
func (e *chatWriter) drop(feature string) { e.n.Drop(memberName(e.r.From, feature)) }

func (e *chatWriter) refuse(feature, why string, args ...any) {
	e.n.Refuse(memberName(e.r.From, feature), why, args...)
}

func (e *chatWriter) tools() {
	r, w := e.r, &e.w
	if len(r.Tools) == 0 { // OpenAI refuses a choice among none
		if e.own() {
			e.choice()
			w.boolIf("parallel_tool_calls", r.Parallel)
		}
		return
	}
	if r.Legacy && e.own() {
		e.functions()
		return
	}
	wrote := false
	for i := range r.Tools {
		t := &r.Tools[i]
		if e.offersAll() && !r.Choice.offers(t) {
			continue
		}
		if t.Raw != nil && t.From != Chat {
			e.refuse(FeatureVendorTools, "the tool %q is run by another vendor; this model's API takes functions only", t.Name)
			continue
		}
		if !wrote {
			w.arrKey("tools")
			wrote = true
		}
		e.tool(t)
	}
	if !wrote {
		return
	}
	w.endArr()
	e.choice()
	w.boolIf("parallel_tool_calls", r.Parallel)
}

func (e *chatWriter) tool(t *Tool) {
	w := &e.w
	if t.Raw != nil {
		w.raw(t.Raw)
		return
	}
	w.obj()
	if t.Custom {
		w.strKey("type", "custom")
		w.objKey("custom")
		w.strKey("name", t.Name)
		w.strIf("description", t.Description)
		w.rawIf("format", e.grammar(t))
	} else {
		w.strKey("type", "function")
		w.objKey("function")
		e.function(t)
	}
	w.endObj()
	if t.Cache != nil {
		e.mark(t.Cache)
	}
	w.endObj()
}

// offersAll reports whether the server knows no choice among several tools,
// which is OpenAI's: the tools that are sent are those that may be called.
func (e *chatWriter) offersAll() bool { return !e.openAI && !e.own() }

// grammar is a custom tool's format: Responses has its members a level higher.
func (e *chatWriter) grammar(t *Tool) []byte {
	if t.From != Responses || t.Grammar == nil {
		return t.Grammar
	}
	var flat struct {
		Type       string `json:"type"`
		Definition string `json:"definition"`
		Syntax     string `json:"syntax"`
	}
	if decode(t.Grammar, &flat) != nil || flat.Type != "grammar" {
		return t.Grammar
	}
	w := jsonw{}
	w.obj()
	w.strKey("type", "grammar")
	w.objKey("grammar")
	w.strKey("definition", flat.Definition)
	w.strKey("syntax", flat.Syntax)
	w.endObj()
	w.endObj()
	return w.b
}

func (e *chatWriter) function(t *Tool) {
	w := &e.w
	w.strKey("name", t.Name)
	w.strIf("description", t.Description)
	w.rawIf("parameters", t.Schema)
	w.boolIf("strict", t.Strict)
	if e.own() {
		w.members(members(t.Extra))
	}
}

// mark writes a cache mark back to a client's own dialect; OpenAI has none.
func (e *chatWriter) mark(cache []byte) {
	if e.own() {
		e.w.rawKey("cache_control", cache)
		return
	}
	e.drop(FeatureCacheMarks)
}

// functions writes the older forms back.
func (e *chatWriter) functions() {
	w := &e.w
	w.arrKey("functions")
	for i := range e.r.Tools {
		w.obj()
		e.function(&e.r.Tools[i])
		w.endObj()
	}
	w.endArr()
	switch c := e.r.Choice; c.Mode {
	case SayAuto:
		w.strKey("function_call", "auto")
	case Never:
		w.strKey("function_call", "none")
	case Required:
		w.strKey("function_call", "required")
	case Only:
		w.objKey("function_call")
		w.strKey("name", strings.Join(c.Names, ","))
		w.endObj()
	}
}

func (e *chatWriter) choice() {
	w, c := &e.w, &e.r.Choice
	switch {
	case c.Raw != nil && c.From == Chat:
		w.rawKey("tool_choice", c.Raw)
	case c.Raw != nil:
		e.refuse(FeatureChoice, "this form of choice is another vendor's own")
	case c.Mode == Only && len(c.Names) == 1:
		w.objKey("tool_choice")
		e.named(c.Names[0])
		w.endObj()
	case len(c.Names) > 0 && e.offersAll():
		w.strKey("tool_choice", map[bool]string{true: "required", false: "auto"}[c.Mode == Only])
	case len(c.Names) > 0:
		w.objKey("tool_choice")
		w.strKey("type", "allowed_tools")
		w.objKey("allowed_tools")
		w.strKey("mode", map[bool]string{true: "required", false: "auto"}[c.Mode == Only || c.Mode == Required])
		w.arrKey("tools")
		for _, name := range c.Names {
			w.obj()
			e.named(name)
			w.endObj()
		}
		w.endArr()
		w.endObj()
		w.endObj()
	case c.Mode == SayAuto:
		w.strKey("tool_choice", "auto")
	case c.Mode == Never:
		w.strKey("tool_choice", "none")
	case c.Mode == Required:
		w.strKey("tool_choice", "required")
	}
}

// named writes the members that point to a tool.
func (e *chatWriter) named(name string) {
	kind := "function"
	if slices.ContainsFunc(e.r.Tools, func(t Tool) bool { return t.Name == name && t.Custom }) {
		kind = "custom"
	}
	e.w.strKey("type", kind)
	e.w.objKey(kind)
	e.w.strKey("name", name)
	e.w.endObj()
}

// ChatLimit is the name that the output limit has in a chat request for a
// model: OpenAI's own want the newer one, other servers know the older one.
func ChatLimit(model string) string {
	if openAIModel(model) {
		return "max_completion_tokens"
	}
	return "max_tokens"
}

func (e *chatWriter) sampling() {
	r, w := e.r, &e.w
	name := r.Target.Limit
	if name == "" {
		name = ChatLimit(r.known())
	}
	w.intIf(name, r.MaxOutput)
	fixed := !e.own() && reasoningModel(r.known()) && !r.Reasoning.off()
	e.unless(fixed && string(r.Temperature) != "1", "temperature", r.Temperature, FeatureTemperature)
	e.unless(fixed && string(r.TopP) != "1", "top_p", r.TopP, FeatureTopP)
	e.unless(!e.own() && e.openAI, "top_k", r.TopK, FeatureTopK)
	w.rawIf("frequency_penalty", r.FrequencyPenalty)
	w.rawIf("presence_penalty", r.PresencePenalty)
	w.rawIf("seed", r.Seed)
	w.strsIf("stop", r.Stop)
	if r.N != 0 {
		w.intKey("n", r.N)
	}
	if r.Logprobs || r.TopLogprobs != nil && !e.own() {
		w.boolKey("logprobs", true)
	}
	w.intIf("top_logprobs", r.TopLogprobs)
}

// unless writes a value, or notes it where the model would refuse it.
func (e *chatWriter) unless(refused bool, name string, v []byte, feature string) {
	switch {
	case len(v) == 0:
	case refused:
		e.drop(feature)
	default:
		e.w.rawKey(name, v)
	}
}

func (e *chatWriter) reasoning() {
	q, w := &e.r.Reasoning, &e.w
	if e.own() {
		w.strIf("reasoning_effort", q.Effort)
		e.thinking()
		return
	}
	effort := q.effort()
	switch {
	case !q.given():
	case e.openAI && !reasoningModel(e.r.known()):
		if !q.off() {
			e.drop(FeatureReasoning)
		}
	case effort != "":
		w.strKey("reasoning_effort", effort)
	}
	unasked := e.r.From == Messages && !q.Adapt // thinking with a budget is shown by itself
	if q.Summary != "" || q.Show && !unasked {
		e.drop(FeatureSummary)
	}
}

// thinking writes the forms of other servers back.
func (e *chatWriter) thinking() {
	q, w := &e.r.Reasoning, &e.w
	kind := "enabled"
	switch {
	case q.Show:
		w.objKey("reasoning")
		w.intIf("max_tokens", q.Budget)
		if q.Off {
			w.boolKey("enabled", false)
		}
		w.endObj()
		return
	case q.Off:
		kind = "disabled"
	case q.Adapt:
		kind = "adaptive"
	case q.Budget == nil:
		return
	}
	w.objKey("thinking")
	w.strKey("type", kind)
	w.intIf("budget_tokens", q.Budget)
	w.endObj()
}

func (e *chatWriter) format() {
	w, f := &e.w, &e.r.Format
	switch f.Kind {
	case SayText:
		w.objKey("response_format")
		w.strKey("type", "text")
		w.endObj()
	case JSONObject:
		w.objKey("response_format")
		w.strKey("type", "json_object")
		w.endObj()
	case JSONSchema:
		name := f.Name
		if name == "" {
			name = "response"
		}
		w.objKey("response_format")
		w.strKey("type", "json_schema")
		w.objKey("json_schema")
		w.strKey("name", name)
		w.strIf("description", f.Description)
		w.rawIf("schema", f.Schema)
		w.boolIf("strict", f.Strict)
		w.endObj()
		w.endObj()
	}
}

// account writes what is for the account and its bookkeeping.
func (e *chatWriter) account() {
	r, w := e.r, &e.w
	if r.Verbosity != "" {
		if e.own() || e.openAI {
			w.strKey("verbosity", r.Verbosity)
		} else {
			e.drop(FeatureVerbosity)
		}
	}
	w.strIf("user", r.User)
	switch stores := r.Store != nil && *r.Store; {
	case len(r.Metadata) == 0:
	case e.own() || stores:
		w.stringsObj("metadata", r.Metadata)
	default:
		e.drop(FeatureMetadata)
	}
	switch tier := r.ServiceTier; {
	case tier == "":
	case e.own() || slices.Contains([]string{"auto", "default", "flex", "scale", "priority", "fast"}, tier):
		w.strKey("service_tier", tier)
	case strings.HasPrefix(tier, "standard"):
		w.strKey("service_tier", "default")
	default:
		e.drop(FeatureTier)
	}
	w.strIf("prompt_cache_key", r.CacheKey)
	if r.Cache != nil {
		if e.own() {
			w.rawKey("cache_control", r.Cache)
		} else {
			e.drop(FeatureAutoCache)
		}
	}
	if r.Store != nil && (*r.Store || e.own()) { // false is what chat completions do unasked
		w.boolKey("store", *r.Store)
	}
	if r.Previous != "" {
		e.refuse(FeaturePrevious, "this model's API keeps no earlier replies; send the whole conversation")
	}
}

// streamOptions asks for the usage, whatever the client wants to see of it.
func (e *chatWriter) streamOptions() {
	w, r := &e.w, e.r
	var rest []Member
	for _, m := range r.Rest {
		if name, ok := strings.CutPrefix(m.Name, streamOption); ok && e.own() {
			rest = append(rest, Member{name, m.Value})
		}
	}
	usage := r.Stream && (r.IncludeUsage || !e.own()) && !r.Target.NoStreamOptions
	if !usage && rest == nil {
		return
	}
	w.objKey("stream_options")
	if usage {
		w.boolKey("include_usage", true)
	}
	w.members(rest)
	w.endObj()
}

func (e *chatWriter) rest() {
	if e.own() {
		for _, m := range e.r.Rest {
			if m.Value != nil && !strings.HasPrefix(m.Name, streamOption) {
				e.w.member(m)
			}
		}
		return
	}
	var carried []string
	if e.r.From == Responses {
		carried = openAIMembers
	}
	for _, m := range e.r.Rest {
		if m.Value != nil && slices.Contains(carried, m.Name) {
			e.w.member(m)
		}
	}
	noteRest(e.r, e.n, carried...)
}

// chatCallID is a call's id as OpenAI takes it: at most 40 bytes. A longer one
// becomes a hash of itself, the same for the call and for its result. Mistral's
// take nine letters and digits.
func chatCallID(model, id string) string {
	if isMistral(model) && !mistralID(id) {
		sum := sha256.Sum256([]byte(id))
		return hex.EncodeToString(sum[:])[:9]
	}
	if len(id) <= 40 {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "call_" + hex.EncodeToString(sum[:16])
}

func mistralID(id string) bool {
	return len(id) == 9 && strings.IndexFunc(id, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	}) < 0
}

// isMistral reports whether a model is one of Mistral's own.
func isMistral(model string) bool {
	name := strings.ToLower(baseModel(model))
	return slices.ContainsFunc([]string{"mistral", "ministral", "magistral", "codestral", "devstral", "pixtral", "open-mi"},
		func(p string) bool { return strings.HasPrefix(name, p) })
}

// saysJSON reports whether any text of the conversation speaks of JSON.
func saysJSON(turns []Turn) bool {
	for i := range turns {
		for j := range turns[i].Parts {
			text := turns[i].Parts[j].Text
			if strings.Contains(text, "JSON") || strings.Contains(text, "json") || bytes.Contains(bytes.ToLower([]byte(text)), []byte("json")) {
				return true
			}
		}
	}
	return false
}
