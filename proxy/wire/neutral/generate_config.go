package neutral

import (
	"slices"
	"strings"
)

// config writes generationConfig, where there is anything to say in it.
func (w *generateWriter) config() {
	r := w.r
	start := len(w.b)
	w.objKey("generationConfig")
	empty := len(w.b)
	w.rawIf("temperature", r.Temperature)
	w.rawIf("topP", r.TopP)
	w.rawIf("topK", r.TopK)
	if r.N > 0 {
		w.intKey("candidateCount", r.N)
	}
	w.intIf("maxOutputTokens", r.MaxOutput)
	w.strsIf("stopSequences", r.Stop)
	w.rawIf("presencePenalty", r.PresencePenalty)
	w.rawIf("frequencyPenalty", r.FrequencyPenalty)
	w.rawIf("seed", r.Seed)
	if r.Logprobs {
		w.boolKey("responseLogprobs", true)
		w.intIf("logprobs", r.TopLogprobs)
	}
	w.format()
	w.thinking()
	if w.shown() != nil {
		w.lit(`"responseModalities":["TEXT","IMAGE"]`)
	}
	w.within(inConfig)
	if len(w.b) == empty {
		w.b = w.b[:start]
		return
	}
	w.endObj()
}

// shown is the member by which a chat client asks for pictures beside the
// text; nil: it does not.
func (w *generateWriter) shown() []string {
	for _, m := range w.r.Rest {
		var kinds []string
		if w.r.From == Chat && m.Name == "modalities" && decode(m.Value, &kinds) == nil && slices.Contains(kinds, "image") && !slices.Contains(kinds, "audio") {
			return []string{m.Name}
		}
	}
	return nil
}

func (w *generateWriter) format() {
	switch f := &w.r.Format; f.Kind {
	case SayText:
		if w.r.From == Generate {
			w.strKey("responseMimeType", "text/plain")
		}
	case JSONObject:
		w.strKey("responseMimeType", "application/json")
	case JSONSchema:
		w.strKey("responseMimeType", "application/json")
		w.rawIf("responseJsonSchema", f.Schema)
	}
}

// thinking writes how much the model may think: in words from Gemini 3 on, in
// tokens before it (ai.google.dev/gemini-api/docs/thinking). Models before 2.5
// do not think.
func (w *generateWriter) thinking() {
	t := &w.r.Reasoning
	show := t.Show || t.Summary != ""
	if !t.given() && !show {
		return
	}
	if m := w.model; !w.own && m.major > 0 && (m.major < 2 || m.major == 2 && m.minor < 5) {
		if !t.off() {
			w.drop(FeatureReasoning)
		}
		return
	}
	w.objKey("thinkingConfig")
	if show {
		w.boolKey("includeThoughts", true)
	}
	switch {
	case w.own:
		w.intIf("thinkingBudget", t.Budget)
		w.strIf("thinkingLevel", t.Effort)
	case w.model.major >= 3:
		w.level(t.effort())
	case t.given():
		n, ok := t.tokens()
		if !ok {
			n = -1 // the model decides
		}
		w.intKey("thinkingBudget", w.model.budget(n))
	}
	w.endObj()
}

// level says how much to think in a word. It cannot be switched off.
func (w *generateWriter) level(effort string) {
	levels := []string{"minimal", "low", "medium", "high"}
	if w.model.pro {
		levels = levels[1:]
	}
	switch effort {
	case "": // the model decides
	case "none":
		w.strKey("thinkingLevel", levels[0])
	default:
		w.strKey("thinkingLevel", nearestEffort(effort, levels...))
	}
}

// budget is the number of tokens that the model takes which is nearest to n:
// Pro up to 32768 and never without, Flash up to 24576, Flash-Lite from 512 on.
func (m geminiModel) budget(n int64) int64 {
	switch {
	case n < 0 || m.major == 0:
		return n
	case m.pro:
		return min(max(n, 128), 32768)
	case m.lite && n > 0:
		return min(max(n, 512), 24576)
	}
	return min(n, 24576)
}

// rest gives Gemini's own members back, and notes those of others.
func (w *generateWriter) rest() {
	if !w.own {
		noteRest(w.r, w.n, w.shown()...)
		return
	}
	w.stringsObj("labels", w.r.Metadata)
	w.strIf("serviceTier", w.r.ServiceTier)
	for _, m := range w.r.Rest {
		if len(m.Value) > 0 && !strings.Contains(m.Name, ".") {
			w.member(m)
		}
	}
}

// unsaid notes what Gemini has no word for.
func (w *generateWriter) unsaid() {
	r := w.r
	drop := func(said bool, feature string) {
		if said {
			w.drop(feature)
		}
	}
	drop(r.Parallel != nil && !*r.Parallel && len(r.Tools) > 0, FeatureParallel)
	drop(len(r.Metadata) > 0 && !w.own, FeatureMetadata)
	drop(r.ServiceTier != "" && r.ServiceTier != "auto" && r.ServiceTier != "default" && !w.own, FeatureTier)
	drop(r.Verbosity != "", FeatureVerbosity)
	drop(r.User != "", FeatureUser)
	drop(r.CacheKey != "", FeatureCacheKey)
	drop(given(r.Cache), FeatureAutoCache)
	drop(r.Store != nil && *r.Store, FeatureStore)
	if r.Previous != "" {
		w.refuse(FeaturePrevious, "an earlier reply is kept by the vendor that gave it: send the whole conversation")
	}
}

// generateFields declares what becomes of each feature on the way to Gemini.
var generateFields = []Field{
	{Feature: FeatureSystem, Member: "systemInstruction"},
	{Feature: FeatureLateSystem, Fate: Dropped, Note: "the text is carried in a user's turn, in its place"},
	{Feature: FeatureDeveloper, Fate: Carried, Note: "as systemInstruction"},
	{Feature: FeatureName, Fate: Dropped, Note: "contents have no names"},
	{Feature: FeatureImages, Member: "contents.parts.inlineData"},
	{Feature: FeatureImageDetail, Fate: Dropped, Note: "there is one detail"},
	{Feature: FeatureAudio, Member: "contents.parts.inlineData"},
	{Feature: FeatureVideo, Member: "contents.parts.inlineData"},
	{Feature: FeatureFiles, Member: "contents.parts.inlineData"},
	{Feature: FeatureFileIDs, Member: "contents.parts.fileData", Fate: Refused, Note: "each vendor reads its own files alone"},
	{Feature: FeatureTools, Member: "tools"},
	{Feature: FeatureCustomTools, Fate: Mapped, Note: customNote},
	{Feature: FeatureClientTools, Fate: Mapped, Note: clientNote},
	{Feature: FeatureVendorTools, Member: "tools", Fate: Refused, Note: "but for web search where it is the only tool, which becomes Google's"},
	{Feature: FeatureStrictTools, Fate: Dropped, Note: "no such setting"},
	{Feature: FeatureChoice, Member: "toolConfig.functionCallingConfig"},
	{Feature: FeatureChoiceOf, Member: "toolConfig.functionCallingConfig.allowedFunctionNames", Note: "where one must be called; else the other tools are left out"},
	{Feature: FeatureParallel, Fate: Dropped, Note: "where they are not allowed: there is no such setting"},
	{Feature: FeatureToolImages, Member: "contents.parts.functionResponse.parts", Fate: Mapped, Note: "beside the results before Gemini 3"},
	{Feature: FeatureToolFailed, Member: "contents.parts.functionResponse.response.error", Fate: Mapped, Note: `{"error": …}`},
	{Feature: FeatureThoughts, Member: "contents.parts.thought", Fate: Dropped, Note: "another vendor's; its own goes back with its signature"},
	{Feature: FeatureReasoning, Member: "generationConfig.thinkingConfig", Fate: Mapped, Note: "thinkingLevel from Gemini 3 on, thinkingBudget for 2.5; dropped before"},
	{Feature: FeatureSummary, Member: "generationConfig.thinkingConfig.includeThoughts", Fate: Mapped, Note: "shown or not, in no other detail"},
	{Feature: FeatureMaxOutput, Member: "generationConfig.maxOutputTokens"},
	{Feature: FeatureTemperature, Member: "generationConfig.temperature"},
	{Feature: FeatureTopP, Member: "generationConfig.topP"},
	{Feature: FeatureTopK, Member: "generationConfig.topK"},
	{Feature: FeatureFrequency, Member: "generationConfig.frequencyPenalty"},
	{Feature: FeaturePresence, Member: "generationConfig.presencePenalty"},
	{Feature: FeatureSeed, Member: "generationConfig.seed"},
	{Feature: FeatureStop, Member: "generationConfig.stopSequences"},
	{Feature: FeatureN, Member: "generationConfig.candidateCount"},
	{Feature: FeatureLogprobs, Member: "generationConfig.responseLogprobs"},
	{Feature: FeatureJSON, Member: "generationConfig.responseMimeType"},
	{Feature: FeatureSchema, Member: "generationConfig.responseJsonSchema"},
	{Feature: FeatureVerbosity, Fate: Dropped, Note: "no such setting"},
	{Feature: FeatureUser, Fate: Dropped, Note: "no such setting"},
	{Feature: FeatureMetadata, Member: "labels", Fate: Dropped, Note: "labels are only known to Vertex AI"},
	{Feature: FeatureTier, Member: "serviceTier", Fate: Dropped, Note: "all but auto and default"},
	{Feature: FeatureCacheKey, Fate: Dropped, Note: "the cache goes by the prompt"},
	{Feature: FeatureCacheMarks, Fate: Dropped, Note: "Gemini caches by itself"},
	{Feature: FeatureAutoCache, Fate: Dropped, Note: "Gemini caches by itself"},
	{Feature: FeatureStore, Fate: Dropped, Note: "nothing is stored"},
	{Feature: FeaturePrevious, Fate: Refused, Note: "nothing is stored: send the whole conversation"},
	{Feature: FeatureCitations, Fate: Dropped, Note: "none are taken back"},
	{Feature: FeatureIncludeUsage, Fate: Carried, Note: "every chunk has it"},
}
