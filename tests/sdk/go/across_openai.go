package main

import (
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/shared"
)

// chatting is a conversation by openai-go with Chat Completions.
type chatting struct {
	official
	c   *Case
	req openai.ChatCompletionNewParams
}

func acrossOpenAI(c *Case, model string) talk {
	t := &chatting{official: official{ctx: ctx}, c: c}
	t.official.c = t.connect(key)
	t.req.Model, t.req.Messages = model, []openai.ChatCompletionMessageParamUnion{openai.SystemMessage(system)}
	return t
}

func (t *chatting) say(text, image string) {
	parts := []openai.ChatCompletionContentPartUnionParam{openai.TextContentPart(text)}
	if image != "" {
		url := openai.ChatCompletionContentPartImageImageURLParam{URL: "data:image/png;base64," + image}
		parts = append(parts, openai.ImageContentPart(url))
	}
	t.req.Messages = append(t.req.Messages, openai.UserMessage(parts))
}

func (t *chatting) give(calls []asked) {
	for _, k := range calls {
		t.req.Messages = append(t.req.Messages, openai.ToolMessage(toolResults[k.Name], k.id))
	}
}

func (t *chatting) wish(w want) openai.ChatCompletionNewParams {
	req := t.req
	if w.tools {
		for _, name := range toolNames {
			req.Tools = append(req.Tools, openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{
				Name: name, Description: openai.String("Of a city"), Parameters: citySchema,
			}))
		}
	}
	if w.force {
		req.ToolChoice.OfAuto = openai.String("required")
	}
	if w.schema {
		req.ResponseFormat.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{
			Name: "trip", Schema: citySchema, Strict: openai.Bool(true),
		}}
	}
	if w.think {
		req.ReasoningEffort = shared.ReasoningEffortMedium
	}
	if w.short {
		req.MaxCompletionTokens = openai.Int(fewTokens)
	}
	return req
}

func (t *chatting) ask(stream bool, w want) (turn, error) {
	var r openai.ChatCompletion
	req := t.wish(w)
	if stream {
		req.StreamOptions.IncludeUsage = openai.Bool(true)
		acc, _, _, err := t.read(req, 0)
		if err != nil {
			return turn{}, err
		}
		r = acc.ChatCompletion
	} else {
		got, err := t.official.c.Chat.Completions.New(t.ctx, req)
		if err != nil {
			return turn{}, err
		}
		r = *got
	}
	t.used(t.c, req.Model, r.Usage)
	m := r.Choices[0].Message
	t.req.Messages = append(t.req.Messages, m.ToParam())
	said := turn{Text: m.Content, Calls: []asked{}, Finish: r.Choices[0].FinishReason}
	for _, k := range m.ToolCalls {
		said.Calls = append(said.Calls, asked{k.Function.Name, decoded(k.Function.Arguments), k.ID})
	}
	return said, nil
}

func (t *chatting) pieces(limit int) ([]string, error) {
	_, _, text, err := t.read(t.wish(want{}), limit)
	return text, err
}

func (t *chatting) wrong(err error) any {
	seen := t.official.wrong(err).(map[string]any)
	if fields, ok := seen["error"].(map[string]any); ok {
		for _, own := range []string{"raw", "text", "code", "param"} { // the vendor's own words
			delete(fields, own)
		}
	}
	return seen
}
