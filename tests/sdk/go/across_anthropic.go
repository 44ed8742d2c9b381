package main

import (
	"encoding/json"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
)

// messaging is a conversation by anthropic-sdk-go.
type messaging struct {
	claude
	c   *Case
	req anthropic.MessageNewParams
}

func acrossAnthropic(c *Case, model string) talk {
	t := &messaging{claude: claude{ctx: ctx}, c: c}
	t.claude.c = anthropic.NewClient(option.WithBaseURL(base), option.WithAPIKey(key), option.WithHTTPClient(client))
	t.req = anthropic.MessageNewParams{Model: model, MaxTokens: 4000, System: []anthropic.TextBlockParam{{Text: system}}}
	return t
}

func (t *messaging) say(text, image string) {
	blocks := []anthropic.ContentBlockParamUnion{anthropic.NewTextBlock(text)}
	if image != "" {
		blocks = append(blocks, anthropic.NewImageBlockBase64("image/png", image))
	}
	t.req.Messages = append(t.req.Messages, anthropic.NewUserMessage(blocks...))
}

func (t *messaging) give(calls []asked) {
	var results []anthropic.ContentBlockParamUnion
	for _, k := range calls {
		results = append(results, anthropic.NewToolResultBlock(k.id, toolResults[k.Name], false))
	}
	t.req.Messages = append(t.req.Messages, anthropic.NewUserMessage(results...))
}

func (t *messaging) wish(w want) anthropic.MessageNewParams {
	req := t.req
	if w.tools {
		for _, name := range toolNames {
			req.Tools = append(req.Tools, anthropic.ToolUnionParam{OfTool: &anthropic.ToolParam{
				Name: name, Description: anthropic.String("Of a city"),
				InputSchema: anthropic.ToolInputSchemaParam{Properties: citySchema["properties"], Required: []string{"city", "days"}},
			}})
		}
	}
	if w.force {
		req.ToolChoice.OfAny = &anthropic.ToolChoiceAnyParam{}
	}
	if w.schema {
		req.OutputConfig.Format = anthropic.JSONOutputFormatParam{Schema: citySchema}
	}
	if w.think {
		req.Thinking = anthropic.ThinkingConfigParamOfEnabled(2048)
	}
	if w.short {
		req.MaxTokens = fewTokens
	}
	return req
}

func (t *messaging) ask(stream bool, w want) (turn, error) {
	var r anthropic.Message
	req := t.wish(w)
	if stream {
		acc, _, _, err := t.read(req, 0)
		if err != nil {
			return turn{}, err
		}
		r = acc
	} else {
		got, err := t.claude.c.Messages.New(t.ctx, req)
		if err != nil {
			return turn{}, err
		}
		r = *got
	}
	t.used(t.c, req.Model, r.Usage)
	t.req.Messages = append(t.req.Messages, r.ToParam())
	said, thought := turn{Calls: []asked{}, Finish: string(r.StopReason)}, ""
	for _, b := range r.Content {
		switch b.Type {
		case "text":
			said.Text += b.Text
		case "thinking":
			thought += b.Thinking
		case "tool_use":
			said.Calls = append(said.Calls, asked{b.Name, json.RawMessage(b.Input), b.ID})
		}
	}
	said.Thought = thought
	return said, nil
}

func (t *messaging) pieces(limit int) ([]string, error) {
	_, _, text, err := t.read(t.wish(want{}), limit)
	return text, err
}

func (t *messaging) wrong(err error) any {
	seen := t.claude.wrong(err).(map[string]any)
	if fields, ok := seen["error"].(map[string]any); ok {
		delete(fields, "raw") // with the vendor's own words
		delete(fields, "request_id")
	}
	return seen
}
