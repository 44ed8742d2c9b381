package wire

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// An API is one operation, or family of operations, of a dialect.
type API uint8

// The APIs. Raw is every path that Weir passes without knowing it.
const (
	Raw API = iota
	Chat
	Responses
	Completions
	Embeddings
	Moderations
	Images
	Speech
	Transcriptions
	Rerank
	Messages
	MessagesCount
	Generate
	StreamGenerate
	Embed
	BatchEmbed
	CountTokens
	Models
	Files
	Batches
	StoredResponses
	CachedContents
)

var apiNames = [...]string{
	Raw: "raw", Chat: "chat", Responses: "responses", Completions: "completions",
	Embeddings: "embeddings", Moderations: "moderations", Images: "images", Speech: "speech",
	Transcriptions: "transcriptions", Rerank: "rerank", Messages: "messages",
	MessagesCount: "count_tokens", Generate: "generate", StreamGenerate: "generate",
	Embed: "embeddings", BatchEmbed: "embeddings", CountTokens: "count_tokens", Models: "models",
	Files: "files", Batches: "batches", StoredResponses: "responses_stored", CachedContents: "cached_contents",
}

// String is the API's stable lower-case word, for records and metrics.
func (a API) String() string { return apiNames[a] }

// APIs are the words of all APIs, sorted.
func APIs() []string {
	words := slices.Clone(apiNames[:])
	slices.Sort(words)
	return slices.Compact(words)
}

// An Endpoint is what a request's method, path and headers say.
type Endpoint struct {
	API       API
	Dialect   Dialect
	Model     string // from the path, unescaped; "" where the body names it
	ModelSpan Span   // of Model inside the path, as it is escaped there
	ID        string // of the object that the path names: a file, batch or stored response
	Stream    bool   // the reply is a stream
	NeedsModel,
	JSON, // the body is JSON to be viewed
	Metered, // the reply's usage can be read
	Multipart bool // the body may be a form with the model in it
}

// openAIPosts are the operations below /v1 that carry a model, with their
// first path elements.
var openAIPosts = map[string]Endpoint{
	"chat/completions":     {API: Chat, NeedsModel: true, JSON: true, Metered: true},
	"responses":            {API: Responses, JSON: true, Metered: true},
	"completions":          {API: Completions, NeedsModel: true, JSON: true, Metered: true},
	"embeddings":           {API: Embeddings, NeedsModel: true, JSON: true, Metered: true},
	"moderations":          {API: Moderations, JSON: true},
	"images/generations":   {API: Images, JSON: true, Metered: true},
	"images/edits":         {API: Images, Multipart: true, Metered: true},
	"images/variations":    {API: Images, Multipart: true, Metered: true},
	"audio/speech":         {API: Speech, NeedsModel: true, JSON: true},
	"audio/transcriptions": {API: Transcriptions, NeedsModel: true, Multipart: true, Metered: true},
	"audio/translations":   {API: Transcriptions, NeedsModel: true, Multipart: true, Metered: true},
	"rerank":               {API: Rerank, NeedsModel: true, JSON: true, Metered: true},
	"batches":              {API: Batches, JSON: true},
}

// Match says which API a request means. path is clean, as it was escaped by
// the client, and begins with a slash. Where OpenAI and Anthropic share a
// path, the anthropic-version header tells them apart.
func Match(method, path string, h http.Header) Endpoint {
	if rest, ok := strings.CutPrefix(path, "/v1beta/"); ok {
		return matchGemini(method, rest, len("/v1beta/"))
	}
	for _, upload := range [...]string{"/upload/v1beta/", "/upload/v1/"} { // media uploads of Google's SDKs
		if rest, ok := strings.CutPrefix(path, upload); ok {
			return matchGemini(method, rest, len(upload))
		}
	}
	rest, ok := strings.CutPrefix(path, "/v1/")
	if !ok {
		return Endpoint{Dialect: guess(h)}
	}
	if isGoogle(rest, h) {
		return matchGemini(method, rest, len("/v1/"))
	}
	rest = strings.TrimSuffix(rest, "/")
	switch first, _, _ := strings.Cut(rest, "/"); first {
	case "messages":
		return matchAnthropic(method, rest)
	case "chat", "responses", "completions", "embeddings", "moderations", "images", "audio", "rerank", "batches":
		return matchOpenAI(method, rest)
	}
	if guess(h) == Anthropic {
		return matchAnthropic(method, rest)
	}
	return matchOpenAI(method, rest)
}

// isGoogle reports whether a path below /v1 is Gemini's: google-genai for
// Python speaks v1, not v1beta, since its release 3. Its requests name the
// client, and no other API has a verb behind a model's colon.
func isGoogle(rest string, h http.Header) bool {
	first, name, _ := strings.Cut(rest, "/")
	return h.Get("X-Goog-Api-Client") != "" || (first == "models" || first == "tunedModels") && isVerb(name)
}

func isVerb(name string) bool {
	_, verb, ok := cutVerb(strings.TrimSuffix(name, "/"))
	_, known := geminiVerbs[verb]
	return ok && known
}

func guess(h http.Header) Dialect {
	if h.Get("Anthropic-Version") != "" {
		return Anthropic
	}
	return OpenAI
}

func matchOpenAI(method, rest string) Endpoint {
	if e, ok := openAIPosts[rest]; ok && method == http.MethodPost {
		e.Dialect = OpenAI
		return e
	}
	first, id, _ := strings.Cut(rest, "/")
	e := Endpoint{Dialect: OpenAI}
	switch first {
	case "models":
		return matchModels(e, method, id, len("/v1/models/"))
	case "files":
		e.API = Files
	case "batches":
		e.API = Batches
	case "responses":
		e.API = StoredResponses
		if id == "input_tokens" || id == "compact" {
			e.API, e.JSON = Raw, method == http.MethodPost
			return e
		}
	}
	if e.API != Raw {
		e.ID = objectID(id)
	}
	return e
}

func matchModels(e Endpoint, method, id string, at int) Endpoint {
	if method == http.MethodGet || method == http.MethodHead {
		e.API, e.Model = Models, unescape(id)
		if id != "" {
			e.ModelSpan = Span{int64(at), int64(at + len(id))}
		}
	}
	return e
}

func matchAnthropic(method, rest string) Endpoint {
	e := Endpoint{Dialect: Anthropic}
	switch {
	case rest == "messages" && method == http.MethodPost:
		e.API, e.NeedsModel, e.JSON, e.Metered = Messages, true, true, true
		return e
	case rest == "messages/count_tokens" && method == http.MethodPost:
		e.API, e.NeedsModel, e.JSON = MessagesCount, true, true
		return e
	}
	first, id, _ := strings.Cut(rest, "/")
	switch first {
	case "models":
		return matchModels(e, method, id, len("/v1/models/"))
	case "files":
		e.API = Files
	case "messages":
		if second, batch, _ := strings.Cut(id, "/"); second == "batches" {
			e.API, id = Batches, batch
		}
	}
	if e.API != Raw {
		e.ID = objectID(id)
	}
	return e
}

var geminiVerbs = map[string]Endpoint{
	"generateContent":       {API: Generate, JSON: true, Metered: true},
	"streamGenerateContent": {API: StreamGenerate, JSON: true, Metered: true, Stream: true},
	"embedContent":          {API: Embed, JSON: true, Metered: true},
	"batchEmbedContents":    {API: BatchEmbed, JSON: true, Metered: true},
	"countTokens":           {API: CountTokens, JSON: true},
}

// matchGemini reads models/{model}:{verb}. Gemini's model names have no colon
// but tuned ones may have a slash.
func matchGemini(method, rest string, at int) Endpoint {
	first, name, _ := strings.Cut(strings.TrimSuffix(rest, "/"), "/")
	e := Endpoint{Dialect: Gemini}
	switch first {
	case "models", "tunedModels":
		at += len(first) + 1
	case "files":
		e.API, e.ID = Files, objectID(name)
		return e
	case "cachedContents":
		e.API, e.ID = CachedContents, objectID(name)
		return e
	case "batches":
		e.API, e.ID = Batches, objectID(name)
		return e
	default:
		return e
	}
	model, verb, ok := cutVerb(name)
	if !ok {
		if first != "models" {
			return e
		}
		return matchModels(e, method, name, at)
	}
	if known, ok := geminiVerbs[verb]; ok && method == http.MethodPost {
		e = known
		e.Dialect, e.NeedsModel = Gemini, true
	}
	e.Model, e.ModelSpan = unescape(model), Span{int64(at), int64(at + len(model))}
	return e
}

// cutVerb cuts {model}:{verb} at its last colon, which may be escaped.
func cutVerb(name string) (model, verb string, ok bool) {
	if i := strings.LastIndexByte(name, ':'); i >= 0 {
		return name[:i], name[i+1:], true
	}
	if i := max(strings.LastIndex(name, "%3A"), strings.LastIndex(name, "%3a")); i >= 0 {
		return name[:i], name[i+3:], true
	}
	return name, "", false
}

// unescape is a part of a path as it is meant; one that is escaped badly is
// taken as it stands.
func unescape(part string) string {
	if plain, err := url.PathUnescape(part); err == nil {
		return plain
	}
	return part
}

// objectID is the id at the start of a path's rest: what follows it after a
// slash or a colon is done to the object.
func objectID(rest string) string {
	if i := strings.IndexAny(rest, "/:"); i >= 0 {
		rest = rest[:i]
	}
	return unescape(rest)
}
