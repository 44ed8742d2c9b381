package main

import (
	"fmt"
	"slices"
	"strings"
)

// embedPaths begin the paths that embeddings are asked by; Anthropic has none,
// nor has a server of Responses alone.
var embedPaths = map[string]string{"openai": "/v1/embeddings", "gemini": "/v1beta/models/"}

// embedModels are the models that embeddings are asked of; some cannot do it.
var embedModels = map[string]string{"openai": "text-embedding-3-small", "anthropic": "claude-haiku-5-5", "gemini": "gemini-embedding-001", "responses": "gpt-4.1-mini"}

// embedLeft are what Gemini's clients say of embeddings that OpenAI's API has no word for.
var embedLeft = []string{"taskType"}

// judgeEmbeddings holds a case of embeddings to the same one at home: the mock
// makes the same vectors for either API, so that they have to be equal bit for bit.
// At a model that has none the call is refused, and nothing is sent.
func (x crossing) judgeEmbeddings(p program, l line) (wrong []string) {
	to, name, _ := strings.Cut(l.Case, ":")
	home := p.home(name)
	var got []int
	for _, h := range l.HTTP {
		got = append(got, h.Status)
		for member := range strings.SplitSeq(h.header("x-weir-dropped-params"), ", ") {
			if member != "" && !(home == "gemini" && slices.Contains(embedLeft, member)) {
				wrong = append(wrong, "left out: "+member)
			}
		}
	}
	sent := x.sent[p.name+"/"+l.Case]
	if embedPaths[to] == "" {
		if len(got) == 0 || slices.ContainsFunc(got, func(s int) bool { return s != 400 }) || len(sent) != 0 {
			wrong = append(wrong, fmt.Sprintf("statuses %v with %d requests upstream, want a 400 and none", got, len(sent)))
		}
		return wrong
	}
	want, ok := x.lines[p.name][home+":"+name]
	if !ok {
		return append(wrong, "there is no run at "+home)
	}
	diff(&wrong, "seen", want.Seen, l.Seen)
	if got = slices.Compact(got); !slices.Equal(got, []int{200}) {
		wrong = append(wrong, fmt.Sprintf("statuses %v: %s", got, short(l.Seen)))
	}
	for i, u := range l.Usage {
		if u.In != nil && *u.In <= 0 {
			wrong = append(wrong, fmt.Sprintf("usage[%d]: %s", i, short(u)))
		}
	}
	if len(sent) != 1 { // the input with the case's name
		wrong = append(wrong, fmt.Sprintf("%d requests upstream with the case's name", len(sent)))
	}
	for _, r := range sent {
		if to != home && !strings.HasPrefix(r.path, embedPaths[to]) {
			wrong = append(wrong, "asked upstream by "+r.path)
		}
	}
	return wrong
}
