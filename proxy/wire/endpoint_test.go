package wire

import (
	"net/http"
	"testing"
)

var versioned = http.Header{"Anthropic-Version": {"2023-06-01"}}

// openai is what is expected of one of OpenAI's paths.
func openai(api API, e Endpoint) Endpoint { e.API, e.Dialect = api, OpenAI; return e }

func checkMatch(t *testing.T, method, path string, h http.Header, want Endpoint) {
	t.Helper()
	got := Match(method, path, h)
	if span := got.ModelSpan; !span.Empty() {
		if raw := path[span.Start:span.End]; unescape(raw) != got.Model {
			t.Errorf("%s %s: the model's place holds %q", method, path, raw)
		}
		got.ModelSpan = Span{}
	}
	if got != want {
		t.Errorf("%s %s = %+v, want %+v", method, path, got, want)
	}
}

func TestMatch(t *testing.T) {
	body := Endpoint{NeedsModel: true, JSON: true, Metered: true}
	form := Endpoint{NeedsModel: true, Multipart: true, Metered: true}
	for _, slash := range []string{"", "/"} {
		post := func(path string, want Endpoint) { t.Helper(); checkMatch(t, "POST", path+slash, nil, want) }
		post("/v1/chat/completions", openai(Chat, body))
		post("/v1/responses", openai(Responses, Endpoint{JSON: true, Metered: true}))
		post("/v1/completions", openai(Completions, body))
		post("/v1/embeddings", openai(Embeddings, body))
		post("/v1/moderations", openai(Moderations, Endpoint{JSON: true}))
		post("/v1/images/generations", openai(Images, Endpoint{JSON: true, Metered: true}))
		post("/v1/images/edits", openai(Images, Endpoint{Multipart: true, Metered: true}))
		post("/v1/images/variations", openai(Images, Endpoint{Multipart: true, Metered: true}))
		post("/v1/audio/speech", openai(Speech, Endpoint{NeedsModel: true, JSON: true}))
		post("/v1/audio/transcriptions", openai(Transcriptions, form))
		post("/v1/audio/translations", openai(Transcriptions, form))
		post("/v1/rerank", openai(Rerank, body))
		post("/v1/batches", openai(Batches, Endpoint{JSON: true}))
		post("/v1/messages", Endpoint{API: Messages, Dialect: Anthropic, NeedsModel: true, JSON: true, Metered: true})
		post("/v1/messages/count_tokens", Endpoint{API: MessagesCount, Dialect: Anthropic, NeedsModel: true, JSON: true})
		post("/v1/messages/batches", Endpoint{API: Batches, Dialect: Anthropic})

		get := func(path string, h http.Header, want Endpoint) { t.Helper(); checkMatch(t, "GET", path+slash, h, want) }
		get("/v1/models", nil, openai(Models, Endpoint{}))
		get("/v1/models/gpt-4o", nil, openai(Models, Endpoint{Model: "gpt-4o"}))
		get("/v1/models/meta-llama/Llama-3.3-70B", nil, openai(Models, Endpoint{Model: "meta-llama/Llama-3.3-70B"}))
		get("/v1/models/meta-llama%2FLlama", nil, openai(Models, Endpoint{Model: "meta-llama/Llama"}))
		get("/v1/models", versioned, Endpoint{API: Models, Dialect: Anthropic})
		get("/v1/models/claude-x", versioned, Endpoint{API: Models, Dialect: Anthropic, Model: "claude-x"})
		get("/v1/files", nil, openai(Files, Endpoint{}))
		get("/v1/files/file-1/content", nil, openai(Files, Endpoint{ID: "file-1"}))
		get("/v1/files/file_1", versioned, Endpoint{API: Files, Dialect: Anthropic, ID: "file_1"})
		get("/v1/batches/batch_1", nil, openai(Batches, Endpoint{ID: "batch_1"}))
		get("/v1/messages/batches/msgbatch_1/results", nil, Endpoint{API: Batches, Dialect: Anthropic, ID: "msgbatch_1"})
		get("/v1/responses/resp_1", nil, openai(StoredResponses, Endpoint{ID: "resp_1"}))
		get("/v1/responses/resp_1/input_items", nil, openai(StoredResponses, Endpoint{ID: "resp_1"}))
		get("/v1beta/models", nil, Endpoint{API: Models, Dialect: Gemini})
		get("/v1beta/models/gemini-x", nil, Endpoint{API: Models, Dialect: Gemini, Model: "gemini-x"})
		get("/v1beta/files/abc", nil, Endpoint{API: Files, Dialect: Gemini, ID: "abc"})
		get("/v1beta/files/abc:download", nil, Endpoint{API: Files, Dialect: Gemini, ID: "abc"})
		get("/v1beta/cachedContents/abc", nil, Endpoint{API: CachedContents, Dialect: Gemini, ID: "abc"})
		get("/v1beta/batches/abc", nil, Endpoint{API: Batches, Dialect: Gemini, ID: "abc"})
	}
	checkMatch(t, "POST", "/v1/responses/resp_1/cancel", nil, openai(StoredResponses, Endpoint{ID: "resp_1"}))
	checkMatch(t, "DELETE", "/v1/responses/resp_1", nil, openai(StoredResponses, Endpoint{ID: "resp_1"}))
	checkMatch(t, "POST", "/v1/responses/input_tokens", nil, openai(Raw, Endpoint{JSON: true}))
	checkMatch(t, "POST", "/v1/responses/compact", nil, openai(Raw, Endpoint{JSON: true}))
	checkMatch(t, "POST", "/v1/files", nil, openai(Files, Endpoint{}))
	checkMatch(t, "POST", "/v1/batches/batch_1/cancel", nil, openai(Batches, Endpoint{ID: "batch_1"}))
	checkMatch(t, "POST", "/v1/messages/batches/b/cancel", nil, Endpoint{API: Batches, Dialect: Anthropic, ID: "b"})
	checkMatch(t, "HEAD", "/v1/models", nil, openai(Models, Endpoint{}))
}

func TestMatchGemini(t *testing.T) {
	verb := func(verb string, e Endpoint) {
		t.Helper()
		e.Dialect, e.NeedsModel, e.JSON = Gemini, true, true
		for path, model := range map[string]string{
			"/v1beta/models/gemini-x:": "gemini-x", "/v1beta/models/a/b:": "a/b", "/v1beta/tunedModels/my-1:": "my-1", "/v1beta/models/a%2Fb:": "a/b",
			"/v1beta/models/gemma:2b:": "gemma:2b", "/v1beta/models/gemini-x%3A": "gemini-x", "/v1/models/gemini-x:": "gemini-x",
		} {
			e.Model = model
			checkMatch(t, "POST", path+verb, nil, e)
		}
	}
	verb("generateContent", Endpoint{API: Generate, Metered: true})
	verb("streamGenerateContent", Endpoint{API: StreamGenerate, Metered: true, Stream: true})
	verb("embedContent", Endpoint{API: Embed, Metered: true})
	verb("batchEmbedContents", Endpoint{API: BatchEmbed, Metered: true})
	verb("countTokens", Endpoint{API: CountTokens})
	checkMatch(t, "POST", "/v1beta/models/gemini-x:predict", nil, Endpoint{Dialect: Gemini, Model: "gemini-x"})
	checkMatch(t, "GET", "/v1beta/models/gemini-x:generateContent", nil, Endpoint{Dialect: Gemini, Model: "gemini-x"})
	checkMatch(t, "POST", "/v1beta/models/bad%zz:countTokens", nil, Endpoint{API: CountTokens, Dialect: Gemini, Model: "bad%zz", NeedsModel: true, JSON: true})
}

// An OpenAI path stays OpenAI's whatever the header says; what neither is known to have is the header's.
func TestMatchRaw(t *testing.T) {
	checkMatch(t, "POST", "/v1/chat/completions", versioned, openai(Chat, Endpoint{NeedsModel: true, JSON: true, Metered: true}))
	checkMatch(t, "POST", "/v1/complete", versioned, Endpoint{Dialect: Anthropic})
	raw := func(method, path string, d Dialect) {
		t.Helper()
		checkMatch(t, method, path, nil, Endpoint{Dialect: d})
	}
	raw("GET", "/v1/chat/completions", OpenAI)
	raw("PUT", "/v1/embeddings", OpenAI)
	raw("post", "/v1/embeddings", OpenAI)
	raw("", "/v1/embeddings", OpenAI)
	raw("GET", "/v1/messages", Anthropic)
	raw("DELETE", "/v1/models/ft:gpt-4o", OpenAI)
	raw("POST", "/v1/chat/completions/x", OpenAI)
	raw("POST", "/v1/chat%2Fcompletions", OpenAI)
	raw("POST", "/v1/conversations", OpenAI)
	raw("POST", "/v1/vector_stores/vs_1/search", OpenAI)
	raw("POST", "/v1beta/openai/chat/completions", Gemini)
	raw("GET", "/v1beta/operations/x", Gemini)
	raw("GET", "/", OpenAI)
	raw("GET", "/v1", OpenAI)
	raw("GET", "/v1/", OpenAI)
	raw("GET", "/v2/chat/completions", OpenAI)
}

func TestAPINames(t *testing.T) {
	for a := Raw; a <= CachedContents; a++ {
		if a.String() == "" {
			t.Errorf("API %d has no name", a)
		}
	}
}

// Whatever the path, a match is of some dialect and its model lies in the path.
func FuzzMatch(f *testing.F) {
	for _, p := range []string{"/v1/chat/completions", "/v1beta/models/a%2Fb:generateContent", "/v1beta/models/:", "/v1/models//", "/upload/v1beta/files", "/v1/messages/batches/", "", "/v1beta/tunedModels/%3A"} {
		f.Add("POST", p)
		f.Add("GET", p)
	}
	f.Fuzz(func(t *testing.T, method, path string) {
		e := Match(method, path, nil)
		if e.Dialect == nil || e.ModelSpan.End > int64(len(path)) || e.ModelSpan.Start < 0 {
			t.Fatalf("%s %q = %+v", method, path, e)
		}
		if !e.ModelSpan.Empty() && unescape(path[e.ModelSpan.Start:e.ModelSpan.End]) != e.Model {
			t.Fatalf("%s %q = %+v", method, path, e)
		}
	})
}
