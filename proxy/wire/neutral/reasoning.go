package neutral

import "slices"

// How much a model thinks is said in words by OpenAI, Gemini 3 and newer
// Claudes, and in tokens by Gemini 2.5 and older Claudes. One table turns one
// into the other for all codecs. Its words up to high are those of Google's
// own OpenAI-compatible endpoint (ai.google.dev/gemini-api/docs/openai); xhigh
// and max are the most that Gemini 2.5 Pro takes.
//
//	none      0
//	minimal   1024
//	low       1024
//	medium    8192
//	high      24576
//	xhigh     32768
//	max       32768
//
// Tokens become the words that every thinking model knows, low, medium and
// high, at the middles between their budgets: minimal, xhigh and max are said
// only where a client has said them.

// efforts are all of the words, in order.
var efforts = []string{"none", "minimal", "low", "medium", "high", "xhigh", "max"}

// effortBudgets are their tokens.
var effortBudgets = []int64{0, 1024, 1024, 8192, 24576, 32768, 32768}

// The budgets, in tokens, from which on a budget is medium and high.
const (
	fromMedium = (1024 + 8192) / 2
	fromHigh   = (8192 + 24576) / 2
)

// effortTokens is the thinking budget of an effort; ok is false for a word
// that is none of the efforts.
func effortTokens(effort string) (tokens int64, ok bool) {
	i := slices.Index(efforts, effort)
	if i < 0 {
		return 0, false
	}
	return effortBudgets[i], true
}

// budgetEffort is the effort of a thinking budget: none for 0, "" for a
// negative one, which leaves it to the model.
func budgetEffort(tokens int64) string {
	switch {
	case tokens < 0:
		return ""
	case tokens == 0:
		return "none"
	case tokens < fromMedium:
		return "low"
	case tokens < fromHigh:
		return "medium"
	}
	return "high"
}

// nearestEffort is the word of has that is nearest to effort: itself, or the
// next lower one, or where there is none the lowest. none is never made of
// another word. A word that is none of the efforts stays as it is: the target
// may know it.
func nearestEffort(effort string, has ...string) string {
	want := slices.Index(efforts, effort)
	if want < 0 || slices.Contains(has, effort) {
		return effort
	}
	best, lowest := "", ""
	for _, word := range efforts[1:] {
		if !slices.Contains(has, word) {
			continue
		}
		if lowest == "" {
			lowest = word
		}
		if slices.Index(efforts, word) < want {
			best = word
		}
	}
	if best == "" {
		return lowest
	}
	return best
}

// given reports whether the client has said how much to think.
func (r *Reasoning) given() bool {
	return r.Effort != "" || r.Budget != nil || r.Off || r.Adapt
}

// off reports whether the client wants no thinking at all.
func (r *Reasoning) off() bool {
	return r.Off || r.Effort == "none" || r.Effort == "" && r.Budget != nil && *r.Budget == 0
}

// effort says how much to think in a word: the client's own, or its budget's.
// "" = the model decides, or nothing was said.
func (r *Reasoning) effort() string {
	switch {
	case r.off():
		return "none"
	case r.Effort != "":
		return r.Effort
	case r.Budget != nil:
		return budgetEffort(*r.Budget)
	}
	return ""
}

// tokens says how much to think in tokens: the client's own number, or its
// word's. ok is false where the model decides or nothing was said.
func (r *Reasoning) tokens() (n int64, ok bool) {
	switch {
	case r.off():
		return 0, true
	case r.Budget != nil:
		return *r.Budget, *r.Budget > 0
	}
	return effortTokens(r.Effort)
}
