package neutral

import "github.com/go-json-experiment/json/jsontext"

// Gemini lists the chosen tokens and, beside them, the likeliest ones at each
// place; the neutral form is OpenAI's, where these are members of those.

type geminiLogprobs struct {
	ChosenCandidates []geminiToken `json:"chosenCandidates,case:ignore"`
	TopCandidates    []struct {
		Candidates []geminiToken `json:"candidates"`
	} `json:"topCandidates,case:ignore"`
}

type geminiToken struct {
	Token          string         `json:"token"`
	LogProbability jsontext.Value `json:"logProbability,case:ignore"`
}

// neutral is the list in OpenAI's form; nil: there is none.
func (l *geminiLogprobs) neutral() jsontext.Value {
	if l == nil || len(l.ChosenCandidates) == 0 {
		return nil
	}
	var w jsonw
	w.obj()
	w.arrKey("content")
	for i, t := range l.ChosenCandidates {
		w.obj()
		w.token(t)
		w.arrKey("top_logprobs")
		if i < len(l.TopCandidates) {
			for _, other := range l.TopCandidates[i].Candidates {
				w.obj()
				w.token(other)
				w.endObj()
			}
		}
		w.endArr()
		w.endObj()
	}
	w.endArr()
	w.nullKey("refusal")
	w.endObj()
	return w.b
}

// token writes the members of a token that OpenAI's clients count on.
func (w *jsonw) token(t geminiToken) {
	w.strKey("token", t.Token)
	w.key("logprob")
	if len(t.LogProbability) == 0 {
		w.int(0) // Google leaves out what is 0
	} else {
		w.raw(t.LogProbability)
	}
	w.arrKey("bytes")
	for _, b := range []byte(t.Token) {
		w.int(int64(b))
	}
	w.endArr()
}

// openLogprobs is OpenAI's form, to be read.
type openLogprobs struct {
	Content []openToken `json:"content"`
}

type openToken struct {
	Token   string         `json:"token"`
	Logprob jsontext.Value `json:"logprob"`
	Top     []openToken    `json:"top_logprobs"`
}

// logprobs writes logprobsResult.
func (w *jsonw) logprobs(list []openToken) {
	if len(list) == 0 {
		return
	}
	w.objKey("logprobsResult")
	w.arrKey("chosenCandidates")
	for i := range list {
		w.candidateToken(&list[i])
	}
	w.endArr()
	w.arrKey("topCandidates")
	for i := range list {
		w.obj()
		w.arrKey("candidates")
		for j := range list[i].Top {
			w.candidateToken(&list[i].Top[j])
		}
		w.endArr()
		w.endObj()
	}
	w.endArr()
	w.endObj()
}

func (w *jsonw) candidateToken(t *openToken) {
	w.obj()
	w.strKey("token", t.Token)
	w.rawIf("logProbability", t.Logprob)
	w.endObj()
}

// readLogprobs reads OpenAI's form.
func readLogprobs(v jsontext.Value) []openToken {
	var l openLogprobs
	if !given(v) || decode(v, &l) != nil {
		return nil
	}
	return l.Content
}

// webCites writes what a text was grounded on, as Gemini's search tells it.
func (w *jsonw) webCites(cites []Citation) {
	start := len(w.b)
	w.objKey("groundingMetadata")
	w.arrKey("groundingChunks")
	empty := len(w.b)
	for i := range cites {
		if c := &cites[i]; c.URL != "" {
			w.obj()
			w.objKey("web")
			w.strKey("uri", c.URL)
			w.strIf("title", c.Title)
			w.endObj()
			w.endObj()
		}
	}
	if len(w.b) == empty {
		w.b = w.b[:start]
		return
	}
	w.endArr()
	w.endObj()
}
