package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"

	oai "github.com/sashabaranov/go-openai"
)

// sashabaranov is github.com/sashabaranov/go-openai, which does not retry.
func sashabaranov() []*Case {
	s := &sasha{ctx: context.Background()}
	s.c = s.connect(key)
	return []*Case{
		{name: "chat", run: s.chat},
		{name: "stream", run: s.stream},
		{name: "stream_plain", run: s.streamPlain},
		{name: "tools", run: s.tools},
		{name: "structured", run: s.structured},
		{name: "embeddings", run: s.embeddings},
		{name: "error_400", run: s.refused("400")},
		{name: "error_401", run: s.refused("401")},
		{name: "error_404", run: s.refused("404")},
		{name: "error_429", run: s.refused("429")},
		{name: "error_500", run: s.refused("500")},
		{name: "error_stream", run: s.refusedStream},
		{name: "abort", run: s.abort},
		{name: "truncated", run: s.truncated},
		{name: "model_list", run: s.modelList},
		{name: "unknown_model", run: s.refused("unknown")},
		{name: "bad_key", run: s.badKey},
	}
}

type sasha struct {
	ctx context.Context
	c   *oai.Client
}

func (s *sasha) connect(key string) *oai.Client {
	cfg := oai.DefaultConfig(key)
	cfg.BaseURL, cfg.HTTPClient = base+"/v1", client
	return oai.NewClientWithConfig(cfg)
}

func (s *sasha) ask(model string) oai.ChatCompletionRequest {
	return oai.ChatCompletionRequest{Model: model, Messages: []oai.ChatCompletionMessage{
		{Role: oai.ChatMessageRoleSystem, Content: system},
		{Role: oai.ChatMessageRoleUser, Content: prompt},
	}}
}

func (s *sasha) wrong(err error) any {
	fields := map[string]any{}
	if e := new(oai.APIError); errors.As(err, &e) {
		fields["class"], fields["status"], fields["code"], fields["type"], fields["param"] = "APIError", e.HTTPStatusCode, e.Code, e.Type, e.Param
	} else if e := new(oai.RequestError); errors.As(err, &e) {
		fields["class"], fields["status"] = "RequestError", e.HTTPStatusCode
	}
	return wrong(err, fields)
}

func (s *sasha) used(c *Case, model string, u oai.Usage) {
	c.used(model, int64(u.PromptTokens), int64(u.CompletionTokens))
}

func (s *sasha) chat(c *Case) (any, error) {
	req := s.ask(models["chat"])
	req.Temperature = 0.2
	r, err := s.c.CreateChatCompletion(s.ctx, req)
	if err != nil {
		return nil, err
	}
	s.used(c, models["chat"], r.Usage)
	return map[string]any{"reply": r, "limits": r.GetRateLimitHeaders()}, nil
}

// read reads a stream to its end, or to so many chunks with text.
func (s *sasha) read(req oai.ChatCompletionRequest, texts int) (chunks []oai.ChatCompletionStreamResponse, text []string, err error) {
	stream, err := s.c.CreateChatCompletionStream(s.ctx, req)
	if err != nil {
		return nil, nil, err
	}
	defer stream.Close()
	for {
		k, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return chunks, text, nil
		}
		if err != nil {
			return chunks, text, err
		}
		chunks = append(chunks, k)
		if len(k.Choices) > 0 && k.Choices[0].Delta.Content != "" {
			text = append(text, k.Choices[0].Delta.Content)
		}
		if texts > 0 && len(text) == texts {
			return chunks, text, nil
		}
	}
}

func (s *sasha) stream(c *Case) (any, error) {
	req := s.ask(models["chat"])
	req.StreamOptions = &oai.StreamOptions{IncludeUsage: true}
	chunks, text, err := s.read(req, 0)
	if err != nil {
		return nil, err
	}
	if u := chunks[len(chunks)-1].Usage; u != nil {
		s.used(c, models["chat"], *u)
	}
	return map[string]any{"text": strings.Join(text, ""), "chunks": chunks}, nil
}

// streamPlain does not ask for usage: the one that the proxy asks for must not show.
func (s *sasha) streamPlain(c *Case) (any, error) {
	chunks, _, err := s.read(s.ask(models["chat"]), 0)
	c.usage = append(c.usage, usage{Model: models["chat"]})
	for i := range chunks {
		chunks[i].ID, chunks[i].Created = "", 0
	}
	return chunks, err
}

func (s *sasha) tools(c *Case) (any, error) {
	req := s.ask(models["tools"])
	req.Tools = []oai.Tool{{Type: oai.ToolTypeFunction, Function: &oai.FunctionDefinition{
		Name: "get_weather", Description: "The weather of a city", Parameters: citySchema,
	}}}
	var turns []any
	for range 4 {
		r, err := s.c.CreateChatCompletion(s.ctx, req)
		if err != nil {
			return nil, err
		}
		s.used(c, models["tools"], r.Usage)
		m := r.Choices[0].Message
		turns = append(turns, map[string]any{"finish": r.Choices[0].FinishReason, "message": m})
		if len(m.ToolCalls) == 0 {
			break
		}
		req.Messages = append(req.Messages, m)
		for _, t := range m.ToolCalls {
			turns = append(turns, decoded(t.Function.Arguments))
			req.Messages = append(req.Messages, oai.ChatCompletionMessage{Role: oai.ChatMessageRoleTool, ToolCallID: t.ID, Content: "blue"})
		}
	}
	return turns, nil
}

func (s *sasha) structured(c *Case) (any, error) {
	schema, err := json.Marshal(citySchema)
	if err != nil {
		return nil, err
	}
	req := s.ask(models["chat"])
	req.ResponseFormat = &oai.ChatCompletionResponseFormat{
		Type:       oai.ChatCompletionResponseFormatTypeJSONSchema,
		JSONSchema: &oai.ChatCompletionResponseFormatJSONSchema{Name: "trip", Schema: json.RawMessage(schema), Strict: true},
	}
	r, err := s.c.CreateChatCompletion(s.ctx, req)
	if err != nil {
		return nil, err
	}
	s.used(c, models["chat"], r.Usage)
	return decoded(r.Choices[0].Message.Content), nil
}

func (s *sasha) embeddings(c *Case) (any, error) {
	r, err := s.c.CreateEmbeddings(s.ctx, oai.EmbeddingRequestStrings{
		Input: []string{"one", "two words"}, Model: oai.EmbeddingModel(models["embed"]),
	})
	if err != nil {
		return nil, err
	}
	c.used(models["embed"], int64(r.Usage.PromptTokens), 0)
	return r, nil
}

func (s *sasha) refused(purpose string) func(*Case) (any, error) {
	return func(*Case) (any, error) {
		_, err := s.c.CreateChatCompletion(s.ctx, s.ask(models[purpose]))
		return s.wrong(err), nil
	}
}

func (s *sasha) refusedStream(*Case) (any, error) {
	req := s.ask(models["500"])
	req.StreamOptions = &oai.StreamOptions{IncludeUsage: true}
	_, _, err := s.read(req, 0)
	return s.wrong(err), nil
}

func (s *sasha) abort(*Case) (any, error) {
	_, text, err := s.read(s.ask(models["slow"]), 3)
	return text, err
}

// truncated is a stream that the upstream ends early and cleanly: through Weir that is told.
func (s *sasha) truncated(*Case) (any, error) {
	_, text, err := s.read(s.ask(models["truncated"]), 0)
	return broken(text, err), nil
}

func (s *sasha) modelList(*Case) (any, error) {
	r, err := s.c.ListModels(s.ctx)
	ids := []string{}
	for _, m := range r.Models {
		ids = append(ids, m.ID)
	}
	return ids, err
}

func (s *sasha) badKey(*Case) (any, error) {
	_, err := s.connect(badKey).CreateChatCompletion(s.ctx, s.ask(models["chat"]))
	return s.wrong(err), nil
}
