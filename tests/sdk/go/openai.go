package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
	"github.com/openai/openai-go/v3/shared"
)

// openaiGo is github.com/openai/openai-go.
func openaiGo() []*Case {
	s := &official{ctx: context.Background()}
	s.c = s.connect(key)
	return []*Case{
		{name: "chat", run: s.chat},
		{name: "stream", run: s.stream},
		{name: "stream_plain", run: s.streamPlain},
		{name: "tools", run: s.tools},
		{name: "structured", run: s.structured},
		{name: "responses", run: s.responses},
		{name: "responses_stream", run: s.responsesStream},
		{name: "embeddings", run: s.embeddings},
		{name: "error_400", run: s.refused("400")},
		{name: "error_401", run: s.refused("401")},
		{name: "error_404", run: s.refused("404")},
		{name: "error_429", run: s.refused("429", option.WithMaxRetries(0))},
		{name: "error_500", run: s.refused("500")},
		{name: "error_stream", run: s.refusedStream},
		{name: "retry_429", run: s.retried("retry_429")},
		{name: "retry_500", run: s.retried("retry_500")},
		{name: "absorbed", run: s.retried("absorbed")},
		{name: "exhausted", run: s.refused("exhausted")},
		{name: "abort", run: s.abort},
		{name: "truncated", run: s.truncated},
		{name: "timeout", run: s.refused("late", option.WithMaxRetries(0), option.WithRequestTimeout(time.Second))},
		{name: "model_list", run: s.modelList},
		{name: "unknown_model", run: s.refused("unknown")},
		{name: "bad_key", run: s.refused("chat", option.WithAPIKey(badKey))},
	}
}

type official struct {
	ctx context.Context
	c   openai.Client
}

func (s *official) connect(key string) openai.Client {
	return openai.NewClient(option.WithBaseURL(base+"/v1"), option.WithAPIKey(key), option.WithHTTPClient(client))
}

func (s *official) ask(model string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{Model: model, Messages: []openai.ChatCompletionMessageParamUnion{
		openai.SystemMessage(system), openai.UserMessage(prompt),
	}}
}

func (s *official) wrong(err error) any {
	fields := map[string]any{}
	if e := new(openai.Error); errors.As(err, &e) {
		fields["class"], fields["status"], fields["raw"] = "Error", e.StatusCode, e.RawJSON()
		fields["code"], fields["type"], fields["param"], fields["text"] = e.Code, e.Type, e.Param, e.Message
	}
	return wrong(err, fields)
}

func (s *official) used(c *Case, model string, u openai.CompletionUsage) {
	c.used(model, u.PromptTokens, u.CompletionTokens)
}

func (s *official) chat(c *Case) (any, error) {
	req := s.ask(models["chat"])
	req.Temperature = openai.Float(0.2)
	r, err := s.c.Chat.Completions.New(s.ctx, req)
	if err != nil {
		return nil, err
	}
	s.used(c, models["chat"], r.Usage)
	return map[string]any{"text": r.Choices[0].Message.Content, "raw": r.RawJSON()}, nil
}

// read reads a stream to its end, or to so many chunks with text.
func (s *official) read(req openai.ChatCompletionNewParams, texts int, opts ...option.RequestOption) (acc openai.ChatCompletionAccumulator, raw, text []string, err error) {
	stream := s.c.Chat.Completions.NewStreaming(s.ctx, req, opts...)
	defer stream.Close()
	for stream.Next() {
		k := stream.Current()
		acc.AddChunk(k)
		raw = append(raw, k.RawJSON())
		if len(k.Choices) > 0 && k.Choices[0].Delta.Content != "" {
			text = append(text, k.Choices[0].Delta.Content)
		}
		if texts > 0 && len(text) == texts {
			break
		}
	}
	return acc, raw, text, stream.Err()
}

func (s *official) stream(c *Case) (any, error) {
	req := s.ask(models["chat"])
	req.StreamOptions.IncludeUsage = openai.Bool(true)
	acc, raw, _, err := s.read(req, 0)
	if err != nil {
		return nil, err
	}
	s.used(c, models["chat"], acc.Usage)
	return map[string]any{"text": acc.Choices[0].Message.Content, "finish": acc.Choices[0].FinishReason, "raw": raw}, nil
}

// streamPlain does not ask for usage: the one that the proxy asks for must not show.
func (s *official) streamPlain(c *Case) (any, error) {
	acc, raw, text, err := s.read(s.ask(models["chat"]), 0)
	if err != nil {
		return nil, err
	}
	c.usage = append(c.usage, usage{Model: models["chat"]})
	return map[string]any{"text": text, "chunks": len(raw), "finish": acc.Choices[0].FinishReason, "usage": acc.JSON.Usage.Valid()}, nil
}

func (s *official) tools(c *Case) (any, error) {
	req := s.ask(models["tools"])
	req.Tools = []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{
		Name: "get_weather", Description: openai.String("The weather of a city"), Parameters: citySchema,
	})}
	var turns []any
	for range 4 {
		r, err := s.c.Chat.Completions.New(s.ctx, req)
		if err != nil {
			return nil, err
		}
		s.used(c, models["tools"], r.Usage)
		m := r.Choices[0].Message
		turns = append(turns, map[string]any{"finish": r.Choices[0].FinishReason, "message": m.RawJSON()})
		if len(m.ToolCalls) == 0 {
			break
		}
		req.Messages = append(req.Messages, m.ToParam())
		for _, t := range m.ToolCalls {
			turns = append(turns, decoded(t.Function.Arguments))
			req.Messages = append(req.Messages, openai.ToolMessage("blue", t.ID))
		}
	}
	return turns, nil
}

func (s *official) structured(c *Case) (any, error) {
	req := s.ask(models["chat"])
	req.ResponseFormat.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{
		Name: "trip", Schema: citySchema, Strict: openai.Bool(true),
	}}
	r, err := s.c.Chat.Completions.New(s.ctx, req)
	if err != nil {
		return nil, err
	}
	s.used(c, models["chat"], r.Usage)
	return decoded(r.Choices[0].Message.Content), nil
}

func (s *official) question() responses.ResponseNewParams {
	return responses.ResponseNewParams{
		Model: models["chat"], Instructions: openai.String(system),
		Input: responses.ResponseNewParamsInputUnion{OfString: openai.String(prompt)},
	}
}

func (s *official) responses(c *Case) (any, error) {
	r, err := s.c.Responses.New(s.ctx, s.question())
	if err != nil {
		return nil, err
	}
	c.used(models["chat"], r.Usage.InputTokens, r.Usage.OutputTokens)
	return map[string]any{"text": r.OutputText(), "raw": r.RawJSON()}, nil
}

func (s *official) responsesStream(c *Case) (any, error) {
	stream := s.c.Responses.NewStreaming(s.ctx, s.question())
	defer stream.Close()
	var raw []string
	for stream.Next() {
		e := stream.Current()
		raw = append(raw, e.RawJSON())
		if e.Type == "response.completed" {
			c.used(models["chat"], e.Response.Usage.InputTokens, e.Response.Usage.OutputTokens)
		}
	}
	return raw, stream.Err()
}

func (s *official) embeddings(c *Case) (any, error) {
	r, err := s.c.Embeddings.New(s.ctx, openai.EmbeddingNewParams{
		Model: models["embed"], Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"one", "two words"}},
	})
	if err != nil {
		return nil, err
	}
	c.used(models["embed"], r.Usage.PromptTokens, 0)
	return json.RawMessage(r.RawJSON()), nil
}

func (s *official) refused(purpose string, opts ...option.RequestOption) func(*Case) (any, error) {
	return func(*Case) (any, error) {
		_, err := s.c.Chat.Completions.New(s.ctx, s.ask(models[purpose]), opts...)
		return s.wrong(err), nil
	}
}

func (s *official) refusedStream(*Case) (any, error) {
	req := s.ask(models["500"])
	req.StreamOptions.IncludeUsage = openai.Bool(true)
	_, _, _, err := s.read(req, 0, option.WithMaxRetries(0))
	return s.wrong(err), nil
}

func (s *official) retried(purpose string) func(*Case) (any, error) {
	return func(c *Case) (any, error) {
		r, err := s.c.Chat.Completions.New(s.ctx, s.ask(models[purpose]))
		if err != nil {
			return nil, err
		}
		s.used(c, models[purpose], r.Usage)
		return r.Choices[0].Message.Content, nil
	}
}

// truncated is a stream that the upstream ends early and cleanly: through Weir that is told.
func (s *official) truncated(*Case) (any, error) {
	_, _, text, err := s.read(s.ask(models["truncated"]), 0)
	return broken(text, err), nil
}

func (s *official) modelList(*Case) (any, error) {
	ids := []string{}
	pages := s.c.Models.ListAutoPaging(s.ctx)
	for pages.Next() {
		ids = append(ids, pages.Current().ID)
	}
	return ids, pages.Err()
}

func (s *official) abort(*Case) (any, error) {
	_, _, text, err := s.read(s.ask(models["slow"]), 3)
	return text, err
}
