package neutral

import (
	"slices"
	"strings"
)

// weighty are the members of a dialect's requests without a place in the form
// that say what is asked for, and not only how it is made. To leave one out is
// a change of meaning.
var weighty = map[API][]string{
	Chat:      {"audio", "modalities", "response_format", "web_search_options"},
	Responses: {"background", "conversation", "prompt", "text.format"},
	Messages:  {"container", "mcp_servers"},
	Generate:  {"cachedContent", "generationConfig.responseModalities", "generationConfig.speechConfig", "generationConfig.imageConfig"},
}

// weightless are values of theirs that ask for what every dialect does.
var weightless = []string{"null", "false", "{}", "[]", `["text"]`, `["TEXT"]`}

// noteRest notes or refuses the members of a foreign request's Rest; carried
// are those that the target knows by the same name and takes as they are.
func noteRest(r *Request, n *Notes, carried ...string) {
	for _, m := range r.Rest {
		if slices.Contains(carried, m.Name) {
			continue
		}
		bare := strings.Join(strings.Fields(string(m.Value)), "")
		switch {
		case len(bare) != 0 && slices.Contains(weightless, bare):
		case slices.Contains(weighty[r.From], m.Name):
			n.Refuse(m.Name, "this model's API has nothing like it; leave it out, or send the call to a model that has it")
		default:
			n.Drop(m.Name)
		}
	}
}
