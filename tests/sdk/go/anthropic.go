package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
)

// anthropicGo is github.com/anthropics/anthropic-sdk-go.
func anthropicGo() []*Case {
	s := &claude{ctx: context.Background()}
	s.c = anthropic.NewClient(option.WithBaseURL(base), option.WithAPIKey(key), option.WithHTTPClient(client))
	return []*Case{
		{name: "chat", run: s.chat},
		{name: "stream", run: s.stream},
		{name: "tools", run: s.tools},
		{name: "structured", run: s.structured},
		{name: "count_tokens", run: s.countTokens},
		{name: "error_400", run: s.refused("400")},
		{name: "error_401", run: s.refused("401")},
		{name: "error_404", run: s.refused("404")},
		{name: "error_429", run: s.refused("429", option.WithMaxRetries(0))},
		{name: "error_529", run: s.refused("529")},
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

type claude struct {
	ctx context.Context
	c   anthropic.Client
}

func (s *claude) ask(model string) anthropic.MessageNewParams {
	return anthropic.MessageNewParams{
		Model: model, MaxTokens: 200,
		System:   []anthropic.TextBlockParam{{Text: system}},
		Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(prompt))},
	}
}

func (s *claude) wrong(err error) any {
	fields := map[string]any{}
	if e := new(anthropic.Error); errors.As(err, &e) {
		fields["class"], fields["status"], fields["type"] = "Error", e.StatusCode, e.Type()
		fields["request_id"], fields["raw"] = e.RequestID, e.RawJSON()
	}
	return wrong(err, fields)
}

func (s *claude) used(c *Case, model string, u anthropic.Usage) {
	c.used(model, u.InputTokens+u.CacheCreationInputTokens+u.CacheReadInputTokens, u.OutputTokens)
}

func (s *claude) chat(c *Case) (any, error) {
	req := s.ask(models["chat"])
	req.Temperature = anthropic.Float(0.2)
	r, err := s.c.Messages.New(s.ctx, req)
	if err != nil {
		return nil, err
	}
	s.used(c, models["chat"], r.Usage)
	return r.RawJSON(), nil
}

// read reads a stream to its end, or to so many pieces of text.
func (s *claude) read(req anthropic.MessageNewParams, texts int, opts ...option.RequestOption) (acc anthropic.Message, raw, text []string, err error) {
	stream := s.c.Messages.NewStreaming(s.ctx, req, opts...)
	defer stream.Close()
	for stream.Next() {
		e := stream.Current()
		if err := acc.Accumulate(e); err != nil {
			return acc, raw, text, err
		}
		raw = append(raw, e.RawJSON())
		if e.Type == "content_block_delta" {
			text = append(text, e.Delta.Text)
		}
		if texts > 0 && len(text) == texts {
			break
		}
	}
	return acc, raw, text, stream.Err()
}

func (s *claude) stream(c *Case) (any, error) {
	acc, raw, _, err := s.read(s.ask(models["chat"]), 0)
	if err != nil {
		return nil, err
	}
	s.used(c, models["chat"], acc.Usage)
	return map[string]any{"text": acc.Content[0].Text, "stop": acc.StopReason, "raw": raw}, nil
}

func (s *claude) tools(c *Case) (any, error) {
	req := s.ask(models["tools"])
	req.Tools = []anthropic.ToolUnionParam{{OfTool: &anthropic.ToolParam{
		Name: "get_weather", Description: anthropic.String("The weather of a city"),
		InputSchema: anthropic.ToolInputSchemaParam{Properties: citySchema["properties"], Required: []string{"city", "days"}},
	}}}
	var turns []any
	for range 4 {
		r, err := s.c.Messages.New(s.ctx, req)
		if err != nil {
			return nil, err
		}
		s.used(c, models["tools"], r.Usage)
		turns = append(turns, r.RawJSON())
		var results []anthropic.ContentBlockParamUnion
		for _, b := range r.Content {
			if b.Type == "tool_use" {
				results = append(results, anthropic.NewToolResultBlock(b.ID, "blue", false))
			}
		}
		if len(results) == 0 {
			break
		}
		req.Messages = append(req.Messages, r.ToParam(), anthropic.NewUserMessage(results...))
	}
	return turns, nil
}

func (s *claude) structured(c *Case) (any, error) {
	req := s.ask(models["chat"])
	req.OutputConfig.Format = anthropic.JSONOutputFormatParam{Schema: citySchema}
	r, err := s.c.Messages.New(s.ctx, req)
	if err != nil {
		return nil, err
	}
	s.used(c, models["chat"], r.Usage)
	return decoded(r.Content[0].Text), nil
}

func (s *claude) countTokens(*Case) (any, error) {
	r, err := s.c.Messages.CountTokens(s.ctx, anthropic.MessageCountTokensParams{
		Model: models["chat"], Messages: s.ask("").Messages,
	})
	if err != nil {
		return nil, err
	}
	return json.RawMessage(r.RawJSON()), nil
}

func (s *claude) refused(purpose string, opts ...option.RequestOption) func(*Case) (any, error) {
	return func(*Case) (any, error) {
		_, err := s.c.Messages.New(s.ctx, s.ask(models[purpose]), opts...)
		return s.wrong(err), nil
	}
}

func (s *claude) refusedStream(*Case) (any, error) {
	_, _, _, err := s.read(s.ask(models["500"]), 0, option.WithMaxRetries(0))
	return s.wrong(err), nil
}

func (s *claude) retried(purpose string) func(*Case) (any, error) {
	return func(c *Case) (any, error) {
		r, err := s.c.Messages.New(s.ctx, s.ask(models[purpose]))
		if err != nil {
			return nil, err
		}
		s.used(c, models[purpose], r.Usage)
		return r.Content[0].Text, nil
	}
}

// truncated is a stream that the upstream ends early and cleanly: through Weir that is told.
func (s *claude) truncated(*Case) (any, error) {
	_, _, text, err := s.read(s.ask(models["truncated"]), 0)
	return broken(text, err), nil
}

func (s *claude) modelList(*Case) (any, error) {
	ids := []string{}
	pages := s.c.Models.ListAutoPaging(s.ctx, anthropic.ModelListParams{})
	for pages.Next() {
		ids = append(ids, pages.Current().ID)
	}
	return ids, pages.Err()
}

func (s *claude) abort(*Case) (any, error) {
	_, _, text, err := s.read(s.ask(models["slow"]), 3)
	return text, err
}
