package neutral

import (
	"slices"
	"strings"
)

// generateWriter writes one request for Gemini.
type generateWriter struct {
	jsonw
	r         *Request
	n         *Notes
	model     geminiModel
	own       bool              // the request is of Gemini's own dialect
	names     map[string]string // of tools, by the id of the call
	order     map[string]int    // of calls, by their ids
	declaring bool              // a tool of functions is open
}

// encodeGenerate writes a generateContent body.
func encodeGenerate(r *Request, n *Notes) ([]byte, error) {
	r = r.forTarget(n, Generate, false).showing()
	w := &generateWriter{r: r, n: n, model: geminiNamed(r.Model), own: r.From == Generate, names: map[string]string{}, order: map[string]int{}}
	w.b = make([]byte, 0, 2048+bulk(r.Turns))
	w.obj()
	w.turns()
	w.tools()
	w.choice()
	w.config()
	w.rest()
	w.endObj()
	w.unsaid()
	return w.b, n.Err()
}

// geminiModel is what a model's name says. 0: it says no version, as
// gemini-flash-latest.
type geminiModel struct {
	major, minor int
	pro, lite    bool
}

func geminiNamed(name string) (m geminiModel) {
	_, rest, ok := strings.Cut(name, "gemini-")
	if !ok {
		return m
	}
	m.pro, m.lite = strings.Contains(rest, "pro"), strings.Contains(rest, "lite")
	if rest == "" || rest[0] < '0' || rest[0] > '9' {
		return m
	}
	m.major = int(rest[0] - '0')
	if len(rest) > 2 && rest[1] == '.' && rest[2] >= '0' && rest[2] <= '9' {
		m.minor = int(rest[2] - '0')
	}
	return m
}

// drop and refuse note a feature by the name that the client knows.
func (w *generateWriter) drop(feature string) { w.n.Drop(memberName(w.r.From, feature)) }

func (w *generateWriter) refuse(feature, why string, args ...any) {
	w.n.Refuse(memberName(w.r.From, feature), why, args...)
}

// turns writes systemInstruction and contents. Gemini wants roles to take
// turns, and contents: where a client has only sent instructions, the last of
// them is what the user says.
func (w *generateWriter) turns() {
	list := w.r.Turns
	lead := 0
	for lead < len(list) && list[lead].Role >= System {
		lead++
	}
	if lead == len(list) && lead > 0 && !w.own {
		lead--
	}
	w.instruction(list[:lead])
	w.arrKey("contents")
	for i := lead; i < len(list); {
		end := i + 1
		for !w.own && end < len(list) && (list[end].Role == Assistant) == (list[i].Role == Assistant) {
			end++
		}
		w.content(list[i:end])
		i = end
	}
	w.endArr()
}

func (w *generateWriter) instruction(turns []Turn) {
	start := len(w.b)
	w.objKey("systemInstruction")
	w.arrKey("parts")
	empty := len(w.b)
	for i := range turns {
		w.named(&turns[i])
		w.parts(turns[i].Parts, anyPart)
	}
	if len(w.b) == empty {
		w.b = w.b[:start]
		return
	}
	w.endArr()
	w.endObj()
}

// Which of a turn's parts to write.
type pass uint8

const (
	anyPart pass = iota
	results
	noResults
)

// content writes turns of one role as one content, results first. Gemini takes
// no content without parts: one of which nothing can be sent is left out.
func (w *generateWriter) content(turns []Turn) {
	start := len(w.b)
	w.obj()
	passes := []pass{anyPart}
	switch {
	case turns[0].Role == Assistant:
		w.strKey("role", "model")
	case w.own:
		w.strKey("role", "user")
	default:
		w.strKey("role", "user")
		passes = []pass{results, noResults}
	}
	w.arrKey("parts")
	empty := len(w.b)
	for i := range turns {
		w.named(&turns[i])
		if turns[i].Role >= System {
			w.drop(FeatureLateSystem)
		}
	}
	for _, pass := range passes {
		if pass == results {
			w.parts(w.answers(turns), pass)
			continue
		}
		for i := range turns {
			w.parts(turns[i].Parts, pass)
		}
	}
	if len(w.b) == empty {
		w.b = w.b[:start]
		return
	}
	w.endArr()
	w.endObj()
}

// answers are the results of some turns, in the order of their calls: those
// whose ids Gemini is not told are matched by it.
func (w *generateWriter) answers(turns []Turn) []Part {
	var list []Part
	known, made := true, false
	for i := range turns {
		for _, p := range turns[i].Parts {
			if p.Kind == Result {
				list = append(list, p)
				_, ok := w.order[p.Result.ID]
				known, made = known && ok, made || strings.HasPrefix(p.Result.ID, madeID)
			}
		}
	}
	if known && made {
		slices.SortStableFunc(list, func(a, b Part) int { return w.order[a.Result.ID] - w.order[b.Result.ID] })
	}
	return list
}

func (w *generateWriter) named(t *Turn) {
	if t.Name != "" {
		w.drop(FeatureName)
	}
}

func (w *generateWriter) parts(parts []Part, which pass) {
	calls := 0
	for i := range parts {
		p := &parts[i]
		if which != anyPart && (which == results) != (p.Kind == Result) {
			if which == noResults {
				w.besides(p.Result)
			}
			continue
		}
		w.part(parts, i, calls == 0)
		if p.Kind == Call {
			calls++
		}
		w.marks(p)
	}
}

func (w *generateWriter) part(parts []Part, i int, firstCall bool) {
	p := &parts[i]
	switch p.Kind {
	case Text, Refusal:
		if p.Text == "" {
			return
		}
		w.obj()
		w.strKey("text", p.Text)
		w.strIf("thoughtSignature", hanging(parts, i))
		w.extra(p)
		w.endObj()
	case Thinking:
		w.thought(parts, i)
	case Call:
		w.call(p, firstCall)
	case Result:
		w.result(p)
	case Image, Audio, Video, File:
		w.media(p, hanging(parts, i))
	default:
		if p.From == Generate {
			w.raw(p.Raw)
			return
		}
		w.drop(FeatureVendorTools)
	}
}

// extra writes those members of a part that only Gemini knows.
func (w *generateWriter) extra(p *Part) {
	if w.own && p.From == Generate {
		w.members(members(p.Raw))
	}
}

// bareSeal reports whether a part is a Gemini signature that may hang on the
// part before it.
func bareSeal(p *Part) bool {
	return p.Kind == Thinking && p.Thought.From == Generate && p.Thought.Text == "" && p.Thought.Signature != ""
}

// carries reports whether a part is written and takes a signature that
// follows it.
func carries(p *Part) bool {
	switch p.Kind {
	case Text, Refusal:
		return p.Text != ""
	case Image, Audio, Video, File:
		return true
	}
	return false
}

// hanging is the signature that is written with the i-th part.
func hanging(parts []Part, i int) string {
	if i+1 < len(parts) && carries(&parts[i]) && bareSeal(&parts[i+1]) {
		return parts[i+1].Thought.Signature
	}
	return ""
}

func (w *generateWriter) thought(parts []Part, i int) {
	t := parts[i].Thought
	switch {
	case t.From != Generate:
		if t.Text != "" || t.seal() != "" {
			w.drop(FeatureThoughts)
		}
	case i > 0 && hanging(parts, i-1) != "":
		// written with the part before it
	default:
		writeThought(&w.jsonw, t.Text, Generate, t.Signature)
	}
}

// marks notes what stands on a part beside its content.
func (w *generateWriter) marks(p *Part) {
	if given(p.Cache) {
		w.drop(FeatureCacheMarks)
	}
	if len(p.Cites) > 0 {
		w.drop(FeatureCitations)
	}
}

// skipValidator stands for the signature of a call that Gemini has not made:
// ai.google.dev/gemini-api/docs/thought-signatures. From Gemini 3 on the first
// call of a turn must have one.
const skipValidator = "skip_thought_signature_validator"

func (w *generateWriter) call(p *Part, first bool) {
	c := p.Call
	w.names[c.ID] = c.Name
	w.order[c.ID] = len(w.order)
	w.obj()
	w.objKey("functionCall")
	w.id(c.ID)
	w.strKey("name", c.Name)
	w.key("args")
	switch {
	case c.Custom:
		w.freeText(c.Args)
	case strings.TrimSpace(c.Args) == "":
		w.empty()
	case isObject(c.Args):
		w.raw([]byte(c.Args))
	default:
		w.freeText(c.Args)
		w.refuse(FeatureTools, "the arguments of the call of %q are no JSON object, and Gemini takes nothing else", c.Name)
	}
	w.endObj()
	switch {
	case c.Signature != "" && c.From == Generate:
		w.strKey("thoughtSignature", c.Signature)
	case first && !w.own && w.model.major >= 3:
		w.strKey("thoughtSignature", skipValidator)
	}
	w.extra(p)
	w.endObj()
}

// id writes an id that we have not made.
func (w *generateWriter) id(id string) {
	if !strings.HasPrefix(id, madeID) {
		w.strIf("id", id)
	}
}

func (w *generateWriter) result(p *Part) {
	t := p.Result
	name := t.Name
	if name == "" {
		name = w.names[t.ID]
	}
	if name == "" {
		name = t.ID
	}
	w.obj()
	w.objKey("functionResponse")
	w.id(t.ID)
	w.strKey("name", name)
	w.key("response")
	text := resultText(t)
	switch {
	case t.Failed:
		w.obj()
		w.strKey("error", text)
		w.endObj()
	case isObject(text) && !isWrapped([]byte(text)):
		w.raw([]byte(text))
	default:
		w.obj()
		w.strKey("output", text)
		w.endObj()
	}
	if w.mediaInside() {
		w.resultMedia(t)
	}
	w.extra(p)
	w.endObj()
	w.endObj()
	if given(t.Cache) {
		w.drop(FeatureCacheMarks)
	}
}

// mediaInside reports whether results have their pictures in them, which
// models before Gemini 3 refuse.
func (w *generateWriter) mediaInside() bool { return w.own || w.model.major >= 3 }

func (w *generateWriter) resultMedia(t *ToolResult) {
	start := len(w.b)
	w.arrKey("parts")
	empty := len(w.b)
	for i := range t.Parts {
		if carries(&t.Parts[i]) && t.Parts[i].Kind != Text && t.Parts[i].Kind != Refusal {
			w.media(&t.Parts[i], "")
		}
	}
	if len(w.b) == empty {
		w.b = w.b[:start]
		return
	}
	w.endArr()
}

// besides writes a result's pictures after the results, for models that take
// none in them.
func (w *generateWriter) besides(t *ToolResult) {
	for i := range t.Parts {
		switch p := &t.Parts[i]; p.Kind {
		case Image, Audio, Video, File:
			if !w.mediaInside() {
				w.media(p, "")
			}
			w.marks(p)
		case Opaque:
			w.drop(FeatureVendorTools)
		case Text:
			w.marks(p)
		}
	}
}

// resultText joins a result's texts.
func resultText(t *ToolResult) string {
	text := ""
	for i := range t.Parts {
		if p := &t.Parts[i]; p.Kind == Text || p.Kind == Refusal {
			if text != "" {
				text += "\n"
			}
			text += p.Text
		}
	}
	return text
}

func (w *generateWriter) tools() {
	start := len(w.b)
	w.arrKey("tools")
	empty := len(w.b)
	for i := range w.r.Tools {
		t := &w.r.Tools[i]
		switch {
		case !w.own && !w.r.Choice.offers(t): // AUTO takes no names
		case t.Raw != nil && t.From == Generate:
			w.declared()
			w.raw(t.Raw)
		case t.Raw != nil && isWebSearch(t) && len(w.r.Tools) == 1: // Gemini does not search beside functions
			w.search(t)
		case t.Raw != nil:
			w.refuse(FeatureVendorTools, "a tool that another vendor runs cannot be had from Gemini")
		default:
			w.function(t)
		}
	}
	if len(w.b) == empty {
		w.b = w.b[:start]
		return
	}
	w.declared()
	w.endArr()
}

// search writes another vendor's search as Google's, which looks everywhere.
func (w *generateWriter) search(t *Tool) {
	s := searchOf(t)
	switch {
	case s.bounded():
		w.refuse(FeatureVendorTools, "Google's search cannot be kept to some domains")
	case s.others || s.location != nil:
		w.drop(FeatureVendorTools)
	}
	w.lit(`{"googleSearch":{}}`)
}

// declared ends the tool that holds the functions, if one is open.
func (w *generateWriter) declared() {
	if w.declaring {
		w.endArr()
		w.endObj()
		w.declaring = false
	}
}

// function writes a declaration; those that stand together share one tool.
func (w *generateWriter) function(t *Tool) {
	if !w.declaring {
		w.obj()
		w.arrKey("functionDeclarations")
		w.declaring = true
	}
	w.obj()
	w.strKey("name", t.Name)
	w.strIf("description", t.Description)
	if given(t.Schema) {
		w.rawKey("parametersJsonSchema", t.Schema)
	}
	if w.own {
		w.members(members(t.Extra))
	}
	w.endObj()
	if t.Strict != nil && *t.Strict {
		w.drop(FeatureStrictTools)
	}
	if given(t.Cache) {
		w.drop(FeatureCacheMarks)
	}
}

func (w *generateWriter) choice() {
	c := &w.r.Choice
	if c.Raw != nil && c.From != Generate {
		w.refuse(FeatureChoice, "this choice of tools cannot be told to Gemini")
	}
	start := len(w.b)
	w.objKey("toolConfig")
	empty := len(w.b)
	mode := map[ChoiceMode]string{SayAuto: "AUTO", Never: "NONE", Required: "ANY", Only: "ANY"}[c.Mode]
	if w.own && slices.ContainsFunc(w.r.Rest, func(m Member) bool { return m.Name == validated }) {
		mode = "VALIDATED"
	}
	if mode != "" && (w.own || len(w.r.Tools) > 0) {
		w.objKey("functionCallingConfig")
		w.strKey("mode", mode)
		if mode == "ANY" || mode == "VALIDATED" {
			w.strsIf("allowedFunctionNames", c.Names)
		}
		w.endObj()
	}
	w.within(inToolConfig)
	if len(w.b) == empty {
		w.b = w.b[:start]
		return
	}
	w.endObj()
}

// within writes those of the request's own members that stood in an object.
func (w *generateWriter) within(object string) {
	if !w.own {
		return
	}
	for _, m := range w.r.Rest {
		if name, ok := strings.CutPrefix(m.Name, object); ok && len(m.Value) > 0 && !strings.Contains(name, ".") {
			w.member(Member{Name: name, Value: m.Value})
		}
	}
}
