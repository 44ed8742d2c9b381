package mockllm

import (
	"crypto/subtle"
	"net/http"
	"strings"
)

// What an API takes as its body.
const (
	wantsNothing = iota
	wantsJSON
	wantsForm
	wantsEither
	wantsObject // a form, JSON, or the bytes of a file
	wantsEcho
)

// An api is one operation.
type api struct {
	body   int
	serve  func(c *call) *fault
	strict *members // of a JSON body; nil = anything goes
	check  func(c *call) *fault
}

// openAIPosts are the operations by their path after /v1/.
var openAIPosts, anthropicPosts, geminiVerbs map[string]*api

var echo, socket, objectsAPI, modelsAPI *api

func init() {
	openAIPosts = map[string]*api{
		"chat/completions":     {wantsJSON, serveChat, chatMembers, checkChat},
		"responses":            {wantsJSON, serveResponses, responsesMembers, checkResponses},
		"completions":          {wantsJSON, serveCompletions, completionsMembers, checkCompletions},
		"embeddings":           {wantsJSON, serveEmbeddings, embeddingsMembers, checkEmbeddings},
		"moderations":          {wantsJSON, serveModerations, moderationsMembers, nil},
		"images/generations":   {wantsJSON, serveImages, imagesMembers, nil},
		"images/edits":         {wantsEither, serveImages, nil, checkImageForm},
		"images/variations":    {wantsForm, serveImages, nil, checkImageForm},
		"audio/speech":         {wantsJSON, serveSpeech, speechMembers, nil},
		"audio/transcriptions": {wantsForm, serveTranscription, nil, checkAudioForm},
		"audio/translations":   {wantsForm, serveTranscription, nil, checkAudioForm},
		"rerank":               {wantsJSON, serveRerank, nil, checkRerank},
	}
	anthropicPosts = map[string]*api{
		"messages":              {wantsJSON, serveMessages, messagesMembers, checkMessages},
		"messages/count_tokens": {wantsJSON, serveCountTokens, countTokensMembers, checkMessages},
	}
	geminiVerbs = map[string]*api{
		"generateContent":       {wantsJSON, serveGenerate, generateMembers, checkGenerate},
		"streamGenerateContent": {wantsJSON, serveGenerate, generateMembers, checkGenerate},
		"embedContent":          {wantsJSON, serveEmbed, nil, checkEmbed},
		"batchEmbedContents":    {wantsJSON, serveBatchEmbed, nil, checkBatchEmbed},
		"countTokens":           {wantsJSON, serveGeminiCount, nil, nil},
	}
	echo = &api{body: wantsEcho, serve: serveEcho}
	socket = &api{serve: serveSocket}
	objectsAPI = &api{body: wantsObject, serve: serveObjects}
	modelsAPI = &api{serve: serveModels}
}

// route finds the vendor and the API of a request.
func (c *call) route() {
	c.path = c.r.URL.Path
	c.vendor, c.api = openAI, echo
	c.azurePath()
	if rest, ok := strings.CutPrefix(c.path, "/v1beta/openai/"); ok {
		c.path = "/v1/" + rest
	}
	version, rest, ok := strings.Cut(strings.TrimPrefix(c.path, "/"), "/")
	if !ok {
		return
	}
	c.rest = strings.TrimSuffix(rest, "/")
	switch {
	case strings.EqualFold(c.r.Header.Get("Upgrade"), "websocket"):
		c.api = socket
	case version == "v1beta" || version == "v1alpha" || version == "upload" || version == "v1" && (geminiVerb(rest) != "" || c.r.Header.Get("X-Goog-Api-Client") != ""):
		c.vendor = gemini
		c.routeGemini()
	case version != "v1":
	case rest == "messages" || strings.HasPrefix(rest, "messages/"),
		c.r.Header.Get("Anthropic-Version") != "" && openAIPosts[c.rest] == nil:
		c.vendor = anthropic
		c.routeObjects(anthropicPosts)
	default:
		c.routeObjects(openAIPosts)
	}
}

// azurePath turns Azure's two forms of URLs into OpenAI's.
func (c *call) azurePath() {
	rest, ok := strings.CutPrefix(c.path, "/openai/")
	if !ok {
		return
	}
	c.azure = true
	if deployed, ok := strings.CutPrefix(rest, "deployments/"); ok {
		c.model, rest, _ = strings.Cut(deployed, "/")
	}
	c.path = "/v1/" + strings.TrimPrefix(rest, "v1/")
}

func (c *call) routeObjects(posts map[string]*api) {
	if a := posts[c.rest]; a != nil && c.r.Method == http.MethodPost {
		c.api = a
		return
	}
	first, second, _ := strings.Cut(c.rest, "/")
	switch {
	case first == "models" && c.r.Method == http.MethodGet:
		c.api, c.model = modelsAPI, second
	case first == "files", first == "batches",
		first == "responses" && second != "" && second != "input_tokens" && second != "compact",
		strings.HasPrefix(c.rest, "messages/batches"):
		c.api = objectsAPI
	}
}

func geminiVerb(rest string) string {
	i := strings.LastIndexByte(rest, ':')
	if i < 0 || geminiVerbs[rest[i+1:]] == nil {
		return ""
	}
	return rest[i+1:]
}

func (c *call) routeGemini() {
	if strings.HasPrefix(c.path, "/upload/") {
		c.rest = strings.TrimPrefix(strings.TrimPrefix(c.rest, "v1beta/"), "v1/")
	}
	first, name, _ := strings.Cut(c.rest, "/")
	verb := geminiVerb(c.rest)
	switch {
	case verb != "" && c.r.Method == http.MethodPost:
		c.api = geminiVerbs[verb]
		c.model = strings.TrimSuffix(name, ":"+verb)
	case first == "models" && c.r.Method == http.MethodGet:
		c.api, c.model = modelsAPI, name
	case first == "files", first == "cachedContents":
		c.api = objectsAPI
	}
}

// admit checks what comes before the body is looked at: the key, the version.
func (c *call) admit() *fault {
	if keys := c.s.opts.Keys; len(keys) > 0 && !c.allowed(keys) {
		f := c.vendor.usual(c, http.StatusUnauthorized)
		if c.vendor == gemini {
			f = fault{status: 400, typ: "INVALID_ARGUMENT", code: "API_KEY_INVALID", msg: "API key not valid. Please pass a valid API key."}
		}
		return &f
	}
	if c.vendor == anthropic && c.r.Header.Get("Anthropic-Version") == "" {
		return invalid("anthropic-version: header is required")
	}
	if c.azure && strings.Contains(c.r.URL.Path, "/deployments/") && c.r.URL.Query().Get("api-version") == "" {
		return &fault{status: http.StatusNotFound, msg: "Resource not found"}
	}
	return nil
}

func (c *call) allowed(keys []string) bool {
	for _, got := range c.vendor.credentials(c) {
		for _, k := range keys {
			if subtle.ConstantTimeCompare([]byte(got), []byte(k)) == 1 {
				return true
			}
		}
	}
	return false
}
