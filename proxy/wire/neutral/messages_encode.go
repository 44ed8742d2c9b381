package neutral

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// The output limits, in tokens, of requests that give none: Anthropic wants
// one. Where a model thinks as much as it likes, its thoughts count, too.
const (
	defaultOutput         = 8192
	defaultOutputOld      = 4096 // of models that can't say more
	defaultOutputAdaptive = 32_000
)

// maxCacheMarks is how many blocks may have a cache_control.
const maxCacheMarks = 4

// messagesWriter writes one request for an upstream.
type messagesWriter struct {
	jsonw
	r   *Request
	n   *Notes
	own bool // the request came in this dialect: it goes back as it was
	// foreign says that such a request holds other vendors' seals, which this
	// one does not take.
	foreign bool
	model   claude
	plan    messagesPlan
	skip    int // cache marks to leave out

	calls   int      // calls without an id, so far
	waiting []string // the names that such calls got, not yet answered
}

// encodeMessagesRequest writes a body for an Anthropic upstream.
func encodeMessagesRequest(r *Request, n *Notes) ([]byte, error) {
	r = r.forTarget(n, Messages, false)
	w := &messagesWriter{r: r, n: n, own: r.From == Messages, model: claudeOf(r.Model)}
	w.b = make([]byte, 0, 1024+bulk(r.Turns))
	if w.own {
		w.plan = ownPlan(r)
		w.stripSeals()
	} else {
		w.note()
		w.makePlan()
		w.countMarks()
	}
	system, turns := w.arrange()
	w.obj()
	w.strKey("model", r.Model)
	w.intIf("max_tokens", w.plan.maxTokens)
	w.tools()
	w.choice()
	w.system(system)
	w.turns(turns)
	w.sampling()
	w.strsIf("stop_sequences", w.stops())
	w.thinking()
	w.outputConfig()
	w.metadata()
	w.strIf("service_tier", w.tier())
	w.rawIf("cache_control", r.Cache)
	if r.Stream {
		w.boolKey("stream", true)
	}
	w.rest()
	w.endObj()
	return w.b, n.Err()
}

// name is what the client calls a feature.
func (w *messagesWriter) name(feature string) string { return memberName(w.r.From, feature) }

func (w *messagesWriter) drop(feature string) { w.n.Drop(w.name(feature)) }

func (w *messagesWriter) refuse(feature, why string, args ...any) {
	w.n.Refuse(w.name(feature), why, args...)
}

// note notes what this dialect has no word for.
func (w *messagesWriter) note() {
	r := w.r
	for _, f := range []struct {
		given   bool
		feature string
	}{
		{given(r.FrequencyPenalty), FeatureFrequency},
		{given(r.PresencePenalty), FeaturePresence},
		{given(r.Seed), FeatureSeed},
		{r.Verbosity != "", FeatureVerbosity},
		{r.CacheKey != "", FeatureCacheKey},
		{r.Store != nil && *r.Store, FeatureStore},
	} {
		if f.given {
			w.drop(f.feature)
		}
	}
	if r.N > 1 {
		w.refuse(FeatureN, "an Anthropic model gives one answer for each request; send several requests")
	}
	if r.Logprobs || r.TopLogprobs != nil {
		w.refuse(FeatureLogprobs, "Anthropic models do not tell log probabilities; leave it out")
	}
	if r.Previous != "" {
		w.refuse(FeaturePrevious, "an Anthropic upstream keeps no replies; send the whole conversation")
	}
	if w.tier() == "" && r.ServiceTier != "" {
		w.drop(FeatureTier)
	}
	for k := range r.Metadata {
		if k != "user_id" || r.User != "" {
			w.drop(FeatureMetadata)
		}
	}
	noteRest(r, w.n)
}

// rest writes the members that this dialect has beyond the form.
func (w *messagesWriter) rest() {
	for _, m := range w.r.Rest {
		if w.own && len(m.Value) != 0 && !strings.HasPrefix(m.Name, "metadata.") && !strings.HasPrefix(m.Name, "output_config.") {
			w.member(m)
		}
	}
}

// restOf writes the members that addRest has kept under a name.
func (w *messagesWriter) restOf(at string) {
	for _, m := range w.r.Rest {
		if name, ok := strings.CutPrefix(m.Name, at); ok && w.own && len(m.Value) != 0 {
			w.member(Member{Name: name, Value: m.Value})
		}
	}
}

// bulk is about how many bytes the turns' texts and media are.
func bulk(turns []Turn) (n int) {
	for i := range turns {
		for j := range turns[i].Parts {
			p := &turns[i].Parts[j]
			n += 64 + len(p.Text) + len(p.Raw)
			if p.Media != nil {
				n += len(p.Media.Data) + len(p.Media.Text)
			}
			if p.Call != nil {
				n += len(p.Call.Args)
			}
			if p.Result != nil {
				n += bulk([]Turn{{Parts: p.Result.Parts}})
			}
		}
	}
	return n
}

// arrange parts the system's turns from the others. In requests of other
// dialects turns of the same role become one, tool results first.
func (w *messagesWriter) arrange() (system []Part, turns []Turn) {
	all := w.r.Turns
	if w.own {
		if w.foreign {
			all = ownTurns(all)
		}
		if len(all) > 0 && all[0].Role == System && all[0].Extra == nil {
			return all[0].Parts, all[1:]
		}
		return nil, all
	}
	for len(all) > 0 && (all[0].Role == System || all[0].Role == Developer) {
		if len(all) == 1 {
			break // there must be something to answer
		}
		for i := range all[0].Parts {
			if p := &all[0].Parts[i]; p.Kind == Text && strings.TrimSpace(p.Text) != "" {
				system = append(system, *p)
			} else if p.Kind != Text {
				w.refuse(FeatureSystem, "instructions for Anthropic models are text; put the rest into a user's turn")
			}
		}
		all = all[1:]
	}
	for i := range all {
		t := &all[i]
		if t.Name != "" {
			w.drop(FeatureName)
		}
		role := t.Role
		if role == System || role == Developer {
			role = User
			w.drop(FeatureLateSystem)
		}
		parts := w.kept(t.Parts, role)
		if last := len(turns) - 1; last >= 0 && turns[last].Role == role {
			turns[last].Parts = append(turns[last].Parts, parts...)
		} else if len(parts) > 0 {
			turns = append(turns, Turn{Role: role, Parts: parts})
		}
	}
	for i := range turns {
		resultsFirst(turns[i].Parts)
	}
	return system, turns
}

// kept are the parts of another dialect's turn that can be written here. A
// block of white space is an error, and left out beside others.
func (w *messagesWriter) kept(parts []Part, role Role) []Part {
	kept := make([]Part, 0, len(parts))
	for i := range parts {
		blank := parts[i].Kind == Text && len(parts) > 1 && strings.TrimSpace(parts[i].Text) == ""
		if !blank && w.keeps(&parts[i], role) {
			kept = append(kept, parts[i])
		}
	}
	return kept
}

func (w *messagesWriter) keeps(p *Part, role Role) bool {
	switch p.Kind {
	case Text, Refusal:
		return p.Text != ""
	case Image:
		if role == Assistant {
			w.refuse(FeatureImages, "Anthropic models take no pictures in their own turns; put them into a user's turn")
			return false
		}
	case Audio:
		w.refuse(FeatureAudio, "Anthropic models do not hear; send a transcript")
		return false
	case Video:
		w.refuse(FeatureVideo, "Anthropic models do not see videos; send pictures of it")
		return false
	case Thinking:
		t := p.Thought
		if t.From == Messages && (t.Signature != "" || t.Sealed != "") {
			return true
		}
		if t.Text != "" || t.Signature != "" || t.Sealed != "" {
			w.drop(FeatureThoughts)
		}
		return false
	case Opaque:
		switch {
		case p.From == Messages:
		case role == Assistant:
			w.drop(FeatureVendorTools)
			return false
		default:
			w.refuse(FeatureVendorTools, "a part that only its own vendor knows cannot go to an Anthropic model")
			return false
		}
	}
	return true
}

// resultsFirst moves tool results before all else, both in their order: they
// must stand directly behind their calls.
func resultsFirst(parts []Part) {
	at := 0
	for i := range parts {
		if parts[i].Kind != Result {
			continue
		}
		p := parts[i]
		copy(parts[at+1:i+1], parts[at:i])
		parts[at] = p
		at++
	}
}

// countMarks finds out how many cache marks are too many. The last ones stay:
// each of them stands for all before it.
func (w *messagesWriter) countMarks() {
	marks := 0
	count := func(v jsontext.Value) {
		if given(v) {
			marks++
		}
	}
	count(w.r.Cache)
	for i := range w.r.Tools {
		count(w.r.Tools[i].Cache)
	}
	for i := range w.r.Turns {
		for j := range w.r.Turns[i].Parts {
			p := &w.r.Turns[i].Parts[j]
			count(p.Cache)
			if p.Result != nil {
				count(p.Result.Cache)
			}
		}
	}
	if w.skip = max(0, marks-maxCacheMarks); w.skip > 0 {
		w.drop(FeatureCacheMarks)
	}
}

func (w *messagesWriter) cache(mark jsontext.Value) {
	switch {
	case !given(mark):
	case w.skip > 0:
		w.skip--
	default:
		w.rawKey("cache_control", mark)
	}
}

// tools writes the tools: of those that one of several must be called of,
// only these.
func (w *messagesWriter) tools() {
	if len(w.r.Tools) == 0 {
		return
	}
	w.arrKey("tools")
	for i := range w.r.Tools {
		t := &w.r.Tools[i]
		switch {
		case !w.own && !w.r.Choice.offers(t):
		case len(t.Raw) == 0:
			w.tool(t)
		case t.From == Messages:
			w.raw(t.Raw)
		case isWebSearch(t):
			w.search(t)
		default:
			w.refuse(FeatureVendorTools, "the tool %s is run by another vendor; offer a function instead", t.Name)
		}
	}
	w.endArr()
}

// search writes another vendor's search as Anthropic's.
func (w *messagesWriter) search(t *Tool) {
	s := searchOf(t)
	if s.others {
		w.drop(FeatureVendorTools)
	}
	w.obj()
	w.strKey("type", "web_search_20250305")
	w.strKey("name", "web_search")
	w.rawIf("allowed_domains", s.allowed)
	w.rawIf("blocked_domains", s.blocked)
	w.rawIf("user_location", s.location)
	w.endObj()
}

func (w *messagesWriter) tool(t *Tool) {
	w.obj()
	w.strKey("name", t.Name)
	w.strIf("description", t.Description)
	switch {
	case given(t.Schema):
		w.key("input_schema")
		w.schema(t.Schema)
	case !w.own:
		w.key("input_schema")
		w.lit(`{"type":"object","properties":{}}`)
	}
	switch {
	case w.own:
		w.boolIf("strict", t.Strict)
	case t.Strict == nil || !*t.Strict:
	case w.model.schemas:
		w.boolKey("strict", true)
	default:
		w.drop(FeatureStrictTools)
	}
	w.cache(t.Cache)
	w.members(members(t.Extra))
	w.endObj()
}

// schema writes a tool's schema. Anthropic wants its type said.
func (w *messagesWriter) schema(schema jsontext.Value) {
	var head struct {
		Type jsontext.Value `json:"type"`
	}
	if w.own || schema.Kind() != '{' || decode(schema, &head) != nil || given(head.Type) {
		w.raw(schema)
		return
	}
	w.obj()
	w.strKey("type", "object")
	for _, m := range members(schema) {
		if m.Name != "type" {
			w.member(m)
		}
	}
	w.endObj()
}

func (w *messagesWriter) choice() {
	c, parallel := w.r.Choice, w.r.Parallel
	if len(w.r.Tools) == 0 && !w.own {
		return
	}
	if len(c.Raw) != 0 {
		w.refuse(FeatureChoice, "the tool is run by another vendor; choose a function instead")
		c = Choice{}
	}
	mode := c.Mode
	if (mode == Required || mode == Only) && !w.own && !w.model.forced {
		w.refuse(FeatureChoice, "%s cannot be made to call a tool; use auto and ask for it in words", w.r.Model)
		mode = SayAuto
	}
	single := parallel != nil && !*parallel
	if mode == Auto && (single || parallel != nil && w.own) {
		mode = SayAuto
	}
	if mode == Auto {
		return
	}
	w.objKey("tool_choice")
	switch {
	case mode == SayAuto:
		w.strKey("type", "auto")
	case mode == Never:
		w.strKey("type", "none")
	case mode == Only && len(c.Names) == 1:
		w.strKey("type", "tool")
		w.strKey("name", c.Names[0])
	default:
		w.strKey("type", "any")
	}
	if parallel != nil && (single || w.own) && (mode != Never || w.own) {
		w.boolKey("disable_parallel_tool_use", single)
	}
	w.endObj()
}

// sampling writes the numbers that a model's newest do not take, nor a
// thinking one but for those that change nothing.
func (w *messagesWriter) sampling() {
	r, m := w.r, w.model
	if w.own {
		w.rawIf("temperature", r.Temperature)
		w.rawIf("top_p", r.TopP)
		w.rawIf("top_k", r.TopK)
		return
	}
	free := m.samples && !w.plan.thinks()
	if given(r.Temperature) {
		switch t, err := strconv.ParseFloat(string(r.Temperature), 64); {
		case err != nil, free && t <= 1, t == 1:
			w.rawKey("temperature", r.Temperature)
		case free:
			w.intKey("temperature", 1) // the other vendors' scale goes up to 2
		default:
			w.drop(FeatureTemperature)
		}
	}
	if given(r.TopP) {
		p, _ := strconv.ParseFloat(string(r.TopP), 64)
		both := given(r.Temperature) && m.version >= 41 // takes one of the two
		if p >= 0.99 && !both || free && !both {
			w.rawKey("top_p", r.TopP)
		} else if p < 1 {
			w.drop(FeatureTopP)
		}
	}
	if given(r.TopK) {
		if free {
			w.rawKey("top_k", r.TopK)
		} else {
			w.drop(FeatureTopK)
		}
	}
}

func (w *messagesWriter) stops() []string {
	if w.own {
		return w.r.Stop
	}
	for i, s := range w.r.Stop {
		if strings.TrimSpace(s) == "" {
			w.refuse(FeatureStop, "stop sequence %d has white space only, which Anthropic does not take", i)
			return nil
		}
	}
	return w.r.Stop
}

func (w *messagesWriter) metadata() {
	user := w.r.User
	if user == "" {
		user = w.r.Metadata["user_id"]
	}
	at := len(w.b)
	w.objKey("metadata")
	head := len(w.b)
	w.strIf("user_id", user)
	w.restOf("metadata.")
	if len(w.b) == head {
		w.b = w.b[:at]
		return
	}
	w.endObj()
}

// tier is the service tier in this dialect's words; "" where it has none.
func (w *messagesWriter) tier() string {
	switch {
	case w.r.ServiceTier == "default", w.r.ServiceTier == "standard" && !w.own: // OpenAI and Google
		return "standard_only"
	case w.own, w.r.ServiceTier == "auto":
		return w.r.ServiceTier
	}
	return ""
}

// outputConfig writes effort and format.
func (w *messagesWriter) outputConfig() {
	at := len(w.b)
	w.objKey("output_config")
	head := len(w.b)
	w.strIf("effort", w.plan.effort)
	if f := &w.r.Format; f.Kind == JSONSchema && (w.own || w.model.schemas) {
		w.objKey("format")
		w.strKey("type", "json_schema")
		w.rawKey("schema", f.Schema)
		w.endObj()
	}
	w.restOf("output_config.")
	if len(w.b) == head {
		w.b = w.b[:at]
		return
	}
	w.endObj()
}

// formatWords asks in words for a format that the model has no setting for.
func (w *messagesWriter) formatWords() string {
	switch f := &w.r.Format; {
	case w.own:
	case f.Kind == JSONObject:
		return "Answer with one JSON object, and with nothing before or after it."
	case f.Kind == JSONSchema && !w.model.schemas:
		return "Answer with one JSON value that is valid by the following JSON Schema, and with nothing before or after it.\n" +
			string(bytes.TrimSpace(f.Schema))
	}
	return ""
}

func (w *messagesWriter) system(parts []Part) {
	words := w.formatWords()
	if len(parts) == 0 && words == "" {
		return
	}
	w.key("system")
	switch {
	case len(parts) == 0:
		w.str(words)
		return
	case words == "" && isPlain(parts):
		w.str(parts[0].Text)
		return
	}
	w.arr()
	for i := range parts {
		w.part(&parts[i])
	}
	if words != "" {
		w.text(words)
	}
	w.endArr()
}

// isPlain reports whether parts are a text alone, so that a string does.
func isPlain(parts []Part) bool {
	if len(parts) != 1 || parts[0].Kind != Text {
		return false
	}
	p := &parts[0]
	return p.Text != "" && len(p.Cache) == 0 && len(p.Cites) == 0 && len(p.Raw) == 0
}
