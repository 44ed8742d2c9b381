package neutral

import (
	"bytes"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// An apiWord is a member of a client's requests that takes one of a few words.
// The form has room for more than those, and a word that none of the codecs
// knows would be lost without a sound, or read as another: so each is held
// against its API's own list on its way into another dialect.
type apiWord struct {
	path  string // [] stands for each element of an array
	words string // those that the API takes, by spaces
	fate  Fate   // of any other: Refused, or Dropped where it only says how the answer is made
	clear func(r *Request)
	list  []string // words, taken apart
}

// A wrongWord is a member whose word its API does not have.
type wrongWord struct {
	member, msg string
	of          *apiWord // nil: refused, and there is nothing to leave out
}

const (
	openAITiers    = "auto default flex scale priority fast"
	imageDetails   = "auto low high original"
	threeLevels    = "low medium high"
	openAIEfforts  = "none minimal low medium high xhigh max"
	openAIGrammars = "lark regex"
	summaryWords   = "auto concise detailed"
	itemKinds      = "message function_call function_call_output custom_tool_call custom_tool_call_output reasoning item_reference " +
		"file_search_call computer_call computer_call_output web_search_call tool_search_call tool_search_output additional_tools " +
		"configuration_update compaction compaction_summary compaction_trigger image_generation_call code_interpreter_call local_shell_call " +
		"local_shell_call_output shell_call shell_call_output apply_patch_call apply_patch_call_output mcp_list_tools " +
		"mcp_approval_request mcp_approval_response mcp_call program program_output"
	itemStates   = "in_progress completed incomplete failed searching interpreting generating calling queued cancelled"
	itemTexts    = "input_text input_image input_file input_audio output_text refusal text summary_text reasoning_text"
	choiceKinds  = "function custom allowed_tools file_search web_search web_search_preview web_search_preview_2025_03_11 computer computer_use computer_use_preview image_generation code_interpreter mcp shell local_shell apply_patch tool_search programmatic_tool_calling"
	messageKinds = "text image document search_result thinking redacted_thinking tool_use tool_result server_tool_use " +
		"web_search_tool_result web_fetch_tool_result advisor_tool_result code_execution_tool_result bash_code_execution_tool_result " +
		"text_editor_code_execution_tool_result tool_search_tool_result mcp_tool_use mcp_tool_result container_upload compaction " +
		"tool_addition tool_removal mcp_tool_listing fallback"
	resultKinds = "text image document search_result tool_reference web_search_result code_execution_output bash_code_execution_output browser_state"
	sourceKinds = "base64 url file text content"
)

// apiWords are the words of each API (openai-go, anthropic-sdk-go and
// google-genai have them as types; the sounds of chat are OpenRouter's, too).
var apiWords = map[API][]apiWord{
	Chat: {
		{path: "messages[].content[].type", words: "text image_url input_audio file refusal video_url thinking", fate: Refused},
		{path: "messages[].content[].image_url.detail", words: imageDetails, fate: Dropped, clear: clearDetail},
		{path: "messages[].content[].input_audio.format", words: "wav mp3 aiff aac ogg flac m4a pcm16 pcm24 webm opus", fate: Refused},
		{path: "messages[].tool_calls[].type", words: "function custom", fate: Refused},
		{path: "tool_choice.type", words: "function custom allowed_tools", fate: Refused},
		{path: "tool_choice.allowed_tools.mode", words: "auto required", fate: Refused},
		{path: "tool_choice.allowed_tools.tools[].type", words: "function custom", fate: Refused},
		{path: "tools[].custom.format.type", words: "text grammar", fate: Refused},
		{path: "tools[].custom.format.grammar.syntax", words: openAIGrammars, fate: Refused},
		{path: "modalities[]", words: "text audio image", fate: Refused},
		{path: "reasoning_effort", words: openAIEfforts, fate: Refused, clear: clearEffort},
		{path: "reasoning.effort", words: openAIEfforts, fate: Refused, clear: clearEffort},
		{path: "thinking.type", words: "enabled disabled adaptive", fate: Refused},
		{path: "verbosity", words: threeLevels, fate: Refused, clear: clearVerbosity},
		{path: "service_tier", words: openAITiers, fate: Dropped, clear: clearTier},
	},
	Responses: {
		{path: "input[].type", words: itemKinds, fate: Refused},
		{path: "input[].status", words: itemStates, fate: Dropped},
		{path: "input[].content[].type", words: itemTexts, fate: Refused},
		{path: "input[].content[].detail", words: imageDetails, fate: Dropped, clear: clearDetail},
		{path: "input[].output[].type", words: itemTexts, fate: Refused},
		{path: "input[].output[].detail", words: imageDetails, fate: Dropped, clear: clearDetail},
		{path: "tool_choice.type", words: choiceKinds, fate: Refused},
		{path: "tool_choice.mode", words: "auto required", fate: Refused},
		{path: "tools[].format.type", words: "text grammar", fate: Refused},
		{path: "tools[].format.syntax", words: openAIGrammars, fate: Refused},
		{path: "reasoning.effort", words: openAIEfforts, fate: Refused, clear: clearEffort},
		{path: "reasoning.summary", words: summaryWords, fate: Dropped, clear: clearSummary},
		{path: "reasoning.generate_summary", words: summaryWords, fate: Dropped, clear: clearSummary},
		{path: "text.verbosity", words: threeLevels, fate: Refused, clear: clearVerbosity},
		{path: "service_tier", words: openAITiers + " ultrafast", fate: Dropped, clear: clearTier},
		{path: "truncation", words: "auto disabled", fate: Dropped},
	},
	Messages: {
		{path: "system[].type", words: "text", fate: Refused},
		{path: "messages[].content[].type", words: messageKinds, fate: Refused},
		{path: "messages[].content[].source.type", words: sourceKinds, fate: Refused},
		{path: "messages[].content[].content[].type", words: resultKinds, fate: Refused},
		{path: "messages[].content[].content[].source.type", words: sourceKinds, fate: Refused},
		{path: "thinking.type", words: "enabled disabled adaptive between_tools", fate: Refused},
		{path: "thinking.display", words: "summarized omitted updates", fate: Dropped},
		{path: "output_config.effort", words: "low medium high xhigh max", fate: Refused, clear: clearEffort},
		{path: "service_tier", words: "auto standard_only", fate: Dropped, clear: clearTier},
	},
	Generate: {
		{path: "systemInstruction.role", words: "system user model", fate: Dropped},
		{path: "contents[].role", words: "user model function", fate: Refused},
		{path: "toolConfig.functionCallingConfig.mode", words: "MODE_UNSPECIFIED AUTO ANY NONE VALIDATED", fate: Refused},
		{path: "generationConfig.thinkingConfig.thinkingLevel", words: "THINKING_LEVEL_UNSPECIFIED MINIMAL LOW MEDIUM HIGH", fate: Refused, clear: clearEffort},
		{path: "serviceTier", words: "unspecified standard flex priority", fate: Dropped, clear: clearTier},
	},
}

func clearEffort(r *Request)    { r.Reasoning.Effort = "" }
func clearSummary(r *Request)   { r.Reasoning.Summary = "" }
func clearVerbosity(r *Request) { r.Verbosity = "" }
func clearTier(r *Request)      { r.ServiceTier = "" }

// clearDetail leaves out the details of pictures that are none.
func clearDetail(r *Request) {
	details := strings.Fields(imageDetails)
	var plain func([]Part) []Part
	plain = func(parts []Part) []Part {
		parts = slices.Clone(parts)
		for i := range parts {
			p := &parts[i]
			if p.Media != nil && p.Media.Detail != "" && !slices.Contains(details, p.Media.Detail) {
				m := *p.Media
				m.Detail, p.Media = "", &m
			}
			if p.Result != nil {
				told := *p.Result
				told.Parts, p.Result = plain(told.Parts), &told
			}
		}
		return parts
	}
	r.Turns = slices.Clone(r.Turns)
	for i := range r.Turns {
		r.Turns[i].Parts = plain(r.Turns[i].Parts)
	}
}

// A wordTree finds the words of one API by the members that lead to them.
type wordTree struct {
	next map[string]*wordTree // by member; "[]": of each element
	word *apiWord
}

var wordTrees = func() map[API]*wordTree {
	trees := map[API]*wordTree{}
	for api, list := range apiWords {
		trees[api] = &wordTree{}
		for i := range list {
			list[i].list = strings.Fields(list[i].words)
			at := trees[api]
			for step := range strings.SplitSeq(strings.ReplaceAll(list[i].path, "[]", ".[]"), ".") {
				at = at.step(googled(api, step))
			}
			at.word = &list[i]
		}
	}
	return trees
}()

func (t *wordTree) step(name string) *wordTree {
	if t.next == nil {
		t.next = map[string]*wordTree{}
	}
	if t.next[name] == nil {
		t.next[name] = &wordTree{}
	}
	return t.next[name]
}

// googled is a member's name by which it is found: Google takes each in
// either spelling.
func googled(api API, name string) string {
	if api != Generate {
		return name
	}
	return strings.ToLower(strings.ReplaceAll(name, "_", ""))
}

// worded is a decoder of requests that holds their words against the API's.
func worded(api API, read func([]byte, string, bool) (*Request, error)) func([]byte, string, bool) (*Request, error) {
	return func(body []byte, model string, stream bool) (*Request, error) {
		r, err := read(body, model, stream)
		if err == nil {
			w := wordReader{api: api, dec: jsontext.NewDecoder(bytes.NewBuffer(body), lenient), r: r}
			w.value(wordTrees[api])
		}
		return r, err
	}
}

// A wordReader goes through a body that is known to be sound.
type wordReader struct {
	api API
	dec *jsontext.Decoder
	r   *Request
}

// value reads one value below t; nil: nothing there is of interest.
func (w *wordReader) value(t *wordTree) {
	kind := w.dec.PeekKind()
	switch {
	case t == nil, kind == '[' && t.next["[]"] == nil, kind == '{' && t.next == nil:
		_ = w.dec.SkipValue()
	case kind == '{':
		w.object(t)
	case kind == '[':
		_, err := w.dec.ReadToken()
		for err == nil && w.dec.PeekKind() != ']' && w.dec.PeekKind() != 0 {
			w.value(t.next["[]"])
		}
		_, _ = w.dec.ReadToken()
	case kind == '"' && t.word != nil:
		if tok, err := w.dec.ReadToken(); err == nil {
			w.hold(t.word, tok.String())
		}
	default:
		_ = w.dec.SkipValue()
	}
}

func (w *wordReader) object(t *wordTree) {
	_, err := w.dec.ReadToken()
	for err == nil && w.dec.PeekKind() != '}' && w.dec.PeekKind() != 0 {
		var name jsontext.Token
		if name, err = w.dec.ReadToken(); err == nil {
			w.value(t.next[googled(w.api, name.String())])
		}
	}
	_, _ = w.dec.ReadToken()
}

// hold notes a word that the API does not have. "" is as if it were not there.
func (w *wordReader) hold(of *apiWord, word string) {
	same := func(s string) bool { return s == word || w.api == Generate && strings.EqualFold(s, word) }
	if word == "" || slices.ContainsFunc(of.list, same) || len(w.r.wrong) >= maxDropped {
		return
	}
	w.r.wrong = append(w.r.wrong, wrongWord{plainPath(w.dec.StackPointer()), "must be " + anyOf(of.list), of})
}

// wrongly notes what is wrong with a member that no list of words tells.
func (r *Request) wrongly(member, msg string) {
	if len(r.wrong) < maxDropped {
		r.wrong = append(r.wrong, wrongWord{member: member, msg: msg})
	}
}

// plainPath is a JSON pointer as errors name members: messages[0].role.
func plainPath(at jsontext.Pointer) string {
	path := ""
	for name := range at.Tokens() {
		if strings.Trim(name, "0123456789") == "" {
			path += "[" + name + "]"
			continue
		}
		path = joinPath(path, name)
	}
	return path
}

func anyOf(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// wellSpoken returns r without the words that its own API does not have.
func (r *Request) wellSpoken() *Request {
	if len(r.wrong) == 0 {
		return r
	}
	told := *r
	for _, w := range r.wrong {
		if w.of != nil && w.of.clear != nil {
			w.of.clear(&told)
		}
	}
	return &told
}

// noteWrong notes or refuses those words.
func (r *Request) noteWrong(n *Notes) {
	for _, w := range r.wrong {
		if w.of != nil && w.of.fate == Dropped {
			n.Drop(w.member)
		} else {
			n.Refuse(w.member, "%s", w.msg)
		}
	}
}
