package neutral

import (
	"bytes"
	"os"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"weir/internal/mockllm"
)

// openAISpec compiles schemas of OpenAI's published OpenAPI description, where
// that stands beside the checkout or WEIR_OPENAI_SPEC says where it is.
//
// Its own errors are put right: its oneOfs overlap (a message's text is two of
// its alternatives at once), so they are read as anyOf; and it has nullable and
// $recursiveRef, which are of older drafts than the one that it says to follow.
func openAISpec(t *testing.T) func(name string) *jsonschema.Schema {
	file := os.Getenv("WEIR_OPENAI_SPEC")
	if file == "" {
		file = "../../../../shared/data/openai-openapi.yaml"
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Skip("no OpenAPI description of OpenAI's: ", err)
	}
	var doc any
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	plain, err := json.Marshal(mendSpec(doc))
	if err != nil {
		t.Fatal(err)
	}
	root, err := jsonschema.UnmarshalJSON(bytes.NewReader(plain))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("file:///openai.json", root); err != nil {
		t.Fatal(err)
	}
	return func(name string) *jsonschema.Schema {
		s, err := c.Compile("file:///openai.json#/components/schemas/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

func mendSpec(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			switch k {
			case "oneOf":
				out["anyOf"] = mendSpec(x)
			case "$recursiveAnchor":
			case "$recursiveRef":
				out["$ref"] = "#/components/schemas/CompoundFilter"
			default:
				out[k] = mendSpec(x)
			}
		}
		if out["nullable"] == true {
			return map[string]any{"anyOf": []any{out, map[string]any{"type": "null"}}}
		}
		return out
	case []any:
		for i := range v {
			v[i] = mendSpec(v[i])
		}
	}
	return v
}

// What is written for OpenAI's clients and upstreams is what OpenAI says it is.
func TestOpenAISpec(t *testing.T) {
	schema := openAISpec(t)
	response, event, create := schema("Response"), schema("ResponseStreamEvent"), schema("CreateResponse")
	chat, chunk, ask := schema("CreateChatCompletionResponse"), schema("CreateChatCompletionStreamResponse"), schema("CreateChatCompletionRequest")
	embed, vectors := schema("CreateEmbeddingRequest"), schema("CreateEmbeddingResponse")
	shapes := responsesShapes(t)
	check := func(t *rapid.T, s *jsonschema.Schema, text []byte) {
		t.Helper()
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if err := s.Validate(v); err != nil {
			t.Fatalf("%v\nin %s", err, text)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		r := mustDecodeResponses(t, rapid.SampledFrom(shapes).Draw(t, "request"))
		reply := drawResponsesReply(t)
		check(t, response, encodeResponsesReply(&reply, r))
		events, err := mockllm.Events(tell(t, r, inParts(t, reply)))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			check(t, event, []byte(e.Data))
		}

		talk := drawConversation(t)
		talk.From = Messages
		body, err := encodeResponsesRequest(talk, &Notes{})
		if err != nil {
			t.Fatal(err)
		}
		check(t, create, body)
		if body, err = chatCodec.EncodeRequest(talk, &Notes{}); err != nil {
			t.Fatal(err)
		}
		check(t, ask, body)

		sums := drawEmbed(t)
		sums.From, sums.Base64 = rapid.SampledFrom([]API{Embeddings, EmbedContent}).Draw(t, "asker"), false
		check(t, embed, encodeEmbeddings(sums, sums.Inputs, &Notes{}))
		if body, err = encodeEmbeddingsReply(drawVectors(t, len(sums.Inputs)), sums); err != nil {
			t.Fatal(err)
		}
		check(t, vectors, body)

		asked := &Request{From: Chat, Model: "m", IncludeUsage: true}
		answer := drawChatAnswer(t, Messages)
		check(t, chat, chatCodec.EncodeReply(answer, asked))
		enc := chatCodec.NewEncoder(asked)
		var sse []byte
		tellChat(t, answer, func(e *Event) { sse = enc.Append(sse, e) })
		if events, err = mockllm.Events(sse); err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if e.Data != "[DONE]" {
				check(t, chunk, []byte(e.Data))
			}
		}
	})
}
