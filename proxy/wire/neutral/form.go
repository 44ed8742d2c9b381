// Package neutral carries a conversation from one vendor's dialect to another.
// Each API (chat completions, responses, messages, generateContent) has one
// codec between its JSON and the neutral form of this file, so that a new one
// is one more codec and never a pair for each of the others. A call whose
// dialect is its upstream's own never comes here: its bytes pass.
//
// What a target cannot be told is noted, and so comes back to the client as
// x-weir-dropped-params; what would change the meaning is refused.
package neutral

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"weir/costs"
	"weir/proxy/wire"
)

// A Request is what a client asks for. Nil pointers, empty strings and nil
// slices mean "not given".
type Request struct {
	Model  string
	Stream bool

	Turns []Turn // system turns among them, where the client put them
	Tools []Tool
	// Choice says which tools may or must be called; the zero Choice: the model decides.
	Choice   Choice
	Parallel *bool // several tool calls in one turn

	MaxOutput        *int64
	Temperature      jsontext.Value // numbers as the client wrote them
	TopP             jsontext.Value
	TopK             jsontext.Value
	FrequencyPenalty jsontext.Value
	PresencePenalty  jsontext.Value
	Seed             jsontext.Value
	Stop             []string
	N                int64 // choices; 0: one
	Logprobs         bool
	TopLogprobs      *int64

	Format    Format
	Reasoning Reasoning
	Verbosity string // low, medium, high

	User         string // an end user's id
	Metadata     map[string]string
	ServiceTier  string // auto, default, flex, priority …
	CacheKey     string // OpenAI prompt_cache_key
	Store        *bool
	Previous     string         // previous_response_id
	IncludeUsage bool           // chat streams: the client wants the usage chunk
	Cache        jsontext.Value // automatic caching of the whole prompt: Anthropic's cache_control at the root

	// Legacy: a chat client that offers its tools as functions, and so reads
	// calls as function_call.
	Legacy bool

	// Rest are the members of the client's request that have no place above,
	// in order. The dialect that they come from takes them back; others note
	// them. One without a Value only names what is kept in a Turn's or Tool's
	// Extra, or in a Part's Raw, so that it is noted, too.
	Rest []Member
	// wrong are words that no request of its own dialect may have: other targets
	// are not sent them.
	wrong []wrongWord
	From  API // whose request this is

	// Target is what is known of the upstream that the request is written for,
	// beyond its API. The zero Target takes all that its API has.
	Target Target

	// Whole returns a string of the request in full, where long data is held
	// elsewhere and a word stands for it (wire.Shrink); nil: nothing is. A codec
	// that makes anything of a Media's Data or Text but a copy has to ask it.
	Whole func(string) string
}

// whole is s in full.
func (r *Request) whole(s string) string {
	if r.Whole == nil {
		return s
	}
	return r.Whole(s)
}

// A Target is an upstream that does not take all that its API has.
type Target struct {
	NoStreamOptions bool   // chat: stream_options is refused
	Limit           string // chat: the name of the output limit; "" = by the model, as ChatLimit
	NoSummary       bool   // responses: it does not show its reasoning, asked or not
	NoSeals         bool   // responses: it gives no reasoning in sealed form
	NoThoughts      bool   // responses: it does not take back the reasoning of earlier turns
	Model           string // the model's own name, where the request's is an account's for it (an Azure deployment); "" = the same
}

// known is the name by which it is known what the model takes.
func (r *Request) known() string {
	if r.Target.Model != "" {
		return r.Target.Model
	}
	return r.Model
}

// A Member is one member of a JSON object, its value as written.
type Member struct {
	Name  string
	Value jsontext.Value
}

// An API is one codec's name.
type API string

// The APIs that conversations are carried between.
const (
	Chat      API = "chat"
	Responses API = "responses"
	Messages  API = "messages"
	Generate  API = "generate"
)

// A Role says who speaks in a turn.
type Role uint8

// The roles. Tool results are parts of a user's turn.
const (
	User Role = iota
	Assistant
	System    // instructions of who built the application
	Developer // OpenAI's newer name for them, kept apart so that it goes back as it came
)

// A Turn is one speaker's parts, in order.
type Turn struct {
	Role  Role
	Name  string // a participant's name (chat)
	ID    string // of a Responses item
	Parts []Part
	Extra jsontext.Value // members that only the request's own dialect knows, as one object
}

// A Kind is what a Part is.
type Kind uint8

// The kinds of parts.
const (
	Text     Kind = iota
	Image         // Media
	Audio         // Media
	Video         // Media
	File          // Media: a document
	Call          // Call: the model calls a tool
	Result        // Result: what a tool said
	Thinking      // Thought: reasoning, shown or sealed
	Refusal       // Text: the model's own words of refusal
	Opaque        // Raw: a part that only its own dialect knows (server tools, containers, …)
)

// A Part is one piece of a turn or of a reply. Which fields count, Kind says.
type Part struct {
	Kind    Kind
	Text    string
	Media   *Media
	Call    *ToolCall
	Result  *ToolResult
	Thought *Thought
	// Cites are citations or annotations, as the dialect From wrote them; other
	// dialects get their URL citations mapped where they have such.
	Cites []Citation
	// Cache is an Anthropic cache_control mark on the part, as written.
	Cache jsontext.Value
	Raw   jsontext.Value
	From  API // of Raw and of Cites' own form
}

// Media is a picture, sound, video or document: inline, by address, or by the
// id of a file at a vendor.
type Media struct {
	MIME   string // "" = not said
	Data   string // base64
	URL    string
	FileID string
	Name   string
	Detail string // OpenAI's image detail: low, high, auto
	Text   string // a plain-text document's text, where it came as such
	Title  string
	Extra  jsontext.Value // Anthropic document: citations, context as one object; as written
}

// A ToolCall is the model's wish to have a tool called.
type ToolCall struct {
	ID   string
	Item string // Responses: the item's own id beside call_id
	Name string
	// Args is the argument text, byte for byte: a JSON object for functions,
	// free text where Custom is set. "" stands for {}.
	Args   string
	Custom bool
	// Signature is a vendor's seal on the call itself (Gemini thoughtSignature), with whose it is.
	Signature string
	From      API
}

// A ToolResult is what a tool answered.
type ToolResult struct {
	ID     string // of the call
	Name   string // of the tool; "" = look at the call with the ID
	Parts  []Part // text, pictures, files
	Failed bool
	Custom bool
	Cache  jsontext.Value
}

// A Thought is reasoning of a model. A seal is a vendor's opaque proof, or the
// reasoning itself in sealed form; it only has a meaning at the vendor From,
// and there it must come back byte for byte.
type Thought struct {
	ID        string // Responses: the item's id
	Text      string // what may be shown; summaries joined by blank lines
	Summary   bool   // Text is a summary
	Signature string // Anthropic signature, Gemini thoughtSignature
	Sealed    string // Anthropic redacted_thinking data, Responses encrypted_content
	From      API
	Format    string // chat: how a server names the form of a seal that it has itself given or handed on (OpenRouter); "" = it has not
}

// A Citation points from text to its source.
type Citation struct {
	URL, Title, Quote string
	Start, End        int64          // in characters of the part's text; 0, 0: the whole part
	Raw               jsontext.Value // as the dialect From wrote it
}

// A Tool is a function that the client offers, or with Raw a tool that the
// vendor From runs itself.
type Tool struct {
	Name        string
	Description string
	Schema      jsontext.Value // JSON Schema of the arguments, as written; nil: none
	Strict      *bool
	Custom      bool           // free-text input (OpenAI custom tools)
	Grammar     jsontext.Value // of a custom tool: its format
	Cache       jsontext.Value
	Extra       jsontext.Value // members of a function that only the request's own dialect knows, as one object
	Raw         jsontext.Value
	From        API
}

// A Choice constrains tool calls.
type Choice struct {
	Mode  ChoiceMode
	Names []string       // Only: these tools
	Raw   jsontext.Value // a form that only the dialect From has
	From  API
}

// offers reports whether a tool may be called, where a dialect has no word for
// a choice among several: the others are left out there.
func (c *Choice) offers(t *Tool) bool {
	if len(c.Names) == 0 || c.Mode == Only && len(c.Names) == 1 {
		return true
	}
	return slices.Contains(c.Names, t.Name)
}

// A ChoiceMode is how free the model is.
type ChoiceMode uint8

// The modes.
const (
	Auto     ChoiceMode = iota // not given
	SayAuto                    // given as auto
	Never                      // none
	Required                   // some tool
	Only                       // one of Names
)

// A Format constrains the output's text.
type Format struct {
	Kind        FormatKind
	Name        string
	Description string
	Schema      jsontext.Value // as written
	Strict      *bool
}

// A FormatKind is the sort of a Format.
type FormatKind uint8

// The formats.
const (
	FreeText   FormatKind = iota // not given
	SayText                      // given as text
	JSONObject                   // any JSON
	JSONSchema                   // by Schema
)

// Reasoning says how much a model may think.
type Reasoning struct {
	Effort  string // none, minimal, low, medium, high, xhigh, max; "" = not given
	Budget  *int64 // tokens; Gemini's -1: the model decides
	Off     bool   // explicitly none (Anthropic disabled, Gemini budget 0)
	Adapt   bool   // Anthropic adaptive
	Summary string // Responses: auto, concise, detailed
	Show    bool   // thoughts are to be shown (Gemini includeThoughts, Anthropic display summarized)
	Sealed  bool   // Responses include reasoning.encrypted_content
}

// A Reply is a whole answer.
type Reply struct {
	ID          string
	Model       string // that served
	Created     int64  // Unix seconds; 0: not said
	Choices     []Candidate
	Usage       costs.Usage
	HasUsage    bool
	ServiceTier string
	Fingerprint string
	From        API
}

// A Candidate is one of a reply's alternatives; most have one.
type Candidate struct {
	Parts        []Part
	Stop         StopReason
	StopSequence string         // that was met; "" = none, or not said
	RawStop      string         // as the vendor wrote it
	Logprobs     jsontext.Value // OpenAI's form
}

// A StopReason is why a model stopped.
type StopReason uint8

// The reasons.
const (
	StopUnknown StopReason = iota
	StopEnd                // it had said what it wanted
	StopSequence
	StopLength
	StopTools   // it wants tools called
	StopFilter  // a safety system cut it off
	StopRefusal // it refused
	StopPause   // a server tool's turn is to be continued (Anthropic pause_turn)
	StopContext // the context window is full
	StopFault   // the upstream gave up (malformed call, other)
)

// An EventKind is what a stream's Event tells.
type EventKind uint8

// The events of a stream, in the order of a well-formed one: Begin, then for
// each part Open, deltas, Close; then Stop for each choice; Count whenever the
// usage is known or known better; End last. Parts of one choice don't overlap,
// but for tool calls of dialects that interleave them.
const (
	Begin         EventKind = iota // ID, Model, Created, Tier
	Open                           // Choice, Index, Part: its kind, and of a call its id, name and seal
	TextDelta                      // Text for a Text or Refusal part, or a Thinking part's words
	ArgsDelta                      // Text for a Call part
	SealDelta                      // Part.Thought: signature or sealed form, or Part.Call.Signature
	CiteDelta                      // Part.Cites
	Close                          // Choice, Index. Part is nil or the whole part where the dialect says it again
	Stop                           // Choice, Reason, RawStop, StopSeq
	Count                          // Usage: replaces what earlier Counts said, meter by meter
	LogprobsDelta                  // Choice, Logprobs
	Keepalive                      // nothing happened yet
	Fault                          // Failure: the upstream told an error
	End                            // the terminator has come
)

// An Event is one step of a stream.
type Event struct {
	Kind     EventKind
	Choice   int
	Index    int // of the part within its choice
	Part     *Part
	Text     string
	ID       string
	Model    string
	Created  int64
	Tier     string
	Reason   StopReason
	RawStop  string
	StopSeq  string
	Usage    costs.Usage
	Logprobs jsontext.Value
	Failure  *wire.Failure
}
