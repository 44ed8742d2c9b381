package neutral

import (
	"slices"
	"strings"
)

// An ownMember is a member of one dialect's requests that has no place in the
// form, with what becomes of it in every other dialect but those that the note names.
type ownMember struct {
	name string
	fate Fate
	note string
}

// ownMembers are those that the vendors document today. Of what is not here,
// each is dropped and named.
var ownMembers = map[API][]ownMember{
	Chat: {
		{"audio", Refused, "the models speak in chat completions alone"},
		{"logit_bias", Dropped, "its numbers are of one model's tokens"},
		{"modalities", Refused, "but for text; with image it is Gemini's responseModalities"},
		{"moderation", Dropped, "carried to Responses"},
		{"prediction", Dropped, "it only speeds the answer up"},
		{"prompt_cache_options", Dropped, "carried to Responses"},
		{"prompt_cache_retention", Dropped, "carried to Responses"},
		{"response_format", Refused, "a form that is only one server's"},
		{"safety_identifier", Mapped, "as the end user's id, where user does not give one"},
		{searchMember, Mapped, "as the vendor's web search; Gemini has none beside functions"},
	},
	Responses: {
		{"access_programs", Dropped, "of OpenAI's account"},
		{"background", Refused, "but for false"},
		{"background_options", Dropped, "of background"},
		{"context_management", Dropped, "the whole conversation is sent"},
		{"conversation", Refused, "OpenAI keeps it"},
		{"image", Dropped, "how pictures are read"},
		{"include", Dropped, "but for reasoning.encrypted_content and message.output_text.logprobs"},
		{"max_tool_calls", Dropped, "of tools that OpenAI runs"},
		{"moderation", Dropped, "carried to chat completions"},
		{"prompt", Refused, "OpenAI keeps it"},
		{"prompt_cache_options", Dropped, "carried to chat completions"},
		{"prompt_cache_retention", Dropped, "carried to chat completions"},
		{"stream_options", Dropped, "how the stream is padded"},
		{"text.format", Refused, "a form that is only one server's"},
		{"truncation", Dropped, "auto: what is too long is an error"},
	},
	Messages: {
		{"billing_policy", Dropped, "of Anthropic's account"},
		{"compaction", Refused, "it asks for a summary in the place of an answer"},
		{"container", Refused, "of code that Anthropic runs"},
		{"context_management", Dropped, "the whole conversation is sent"},
		{"diagnostics", Dropped, "of Anthropic's cache"},
		{"fallback_credit_token", Dropped, "of fallbacks"},
		{"fallbacks", Dropped, "a route's own fallbacks stand in for them"},
		{"inference_geo", Refused, "but for global: other vendors are not told where to compute"},
		{"mcp_servers", Refused, "Anthropic calls them"},
		{"speed", Dropped, "but for standard"},
		{"thread", Refused, "Anthropic keeps it"},
		{"user_profile_id", Dropped, "of Anthropic's account"},
		{"workspace_id", Dropped, "of Anthropic's account"},
	},
	Generate: {
		{"cachedContent", Refused, "Google keeps it"},
		{"continuationToken", Refused, "Google keeps what it continues"},
		{"generationConfig.audioTimestamp", Dropped, "of sound alone"},
		{"generationConfig.enableEnhancedCivicAnswers", Dropped, "Google's own"},
		{"generationConfig.imageConfig", Refused, "pictures are asked for"},
		{"generationConfig.mediaResolution", Dropped, "there is one resolution, or a detail of each picture"},
		{"generationConfig.responseModalities", Refused, "but for text"},
		{"generationConfig.routingConfig", Dropped, "Google's own"},
		{"generationConfig.speechConfig", Refused, "speech is asked for"},
		{"modelArmorConfig", Refused, "it screens what is sent, and no other vendor does"},
		{"safetySettings", Dropped, "the filters of other vendors are not set by a request"},
		{"store", Dropped, "Google's logs"},
	},
}

// weightless are values of theirs that ask for what every dialect does.
var weightless = []string{"null", "false", "{}", "[]", `["text"]`, `["TEXT"]`}

// standard are values of single members that do.
var standard = map[string]string{"inference_geo": `"global"`, "speed": `"standard"`}

// noteRest notes or refuses the members of a foreign request's Rest; carried
// are those that the target knows by the same name and takes as they are.
func noteRest(r *Request, n *Notes, carried ...string) {
	for _, m := range r.Rest {
		if slices.Contains(carried, m.Name) {
			continue
		}
		bare := strings.Join(strings.Fields(string(m.Value)), "")
		switch {
		case len(bare) != 0 && (slices.Contains(weightless, bare) || bare == standard[m.Name]):
		case weighty(r.From, m.Name):
			n.Refuse(m.Name, "this model's API has nothing like it; leave it out, or send the call to a model that has it")
		default:
			n.Drop(m.Name)
		}
	}
}

// weighty reports whether to leave a member out is a change of meaning: it says
// what is asked for, and not only how it is made. Google takes names in either spelling.
func weighty(from API, name string) bool {
	if from == Generate {
		name = strings.ReplaceAll(name, "_", "")
	}
	return slices.ContainsFunc(ownMembers[from], func(m ownMember) bool {
		return (m.fate == Refused || m.name == searchMember) && (m.name == name || from == Generate && strings.EqualFold(m.name, name))
	})
}
