package main

import (
	"errors"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/responses"
)

// keptScenarios have conversations that the server keeps: see kept in python/across_openai.py.
var keptScenarios = []scenario{
	{"responses_kept", func(c *Case, model string) (any, error) { return newKeeping(c, model).run(false) }},
	{"responses_kept_stream", func(c *Case, model string) (any, error) { return newKeeping(c, model).run(true) }},
}

// keeping is such a conversation by openai-go with Responses.
type keeping struct {
	official
	c   *Case
	req responses.ResponseNewParams
}

func newKeeping(c *Case, model string) *keeping {
	k := &keeping{official: official{ctx: ctx}, c: c}
	k.official.c = k.connect(key)
	k.req = responses.ResponseNewParams{Model: model, Instructions: openai.String(system), Store: openai.Bool(true)}
	for _, name := range toolNames {
		k.req.Tools = append(k.req.Tools, responses.ToolUnionParam{OfFunction: &responses.FunctionToolParam{
			Name: name, Description: openai.String("Of a city"), Parameters: citySchema, Strict: openai.Bool(true),
		}})
	}
	return k
}

func (k *keeping) respond(stream bool) (*responses.Response, error) {
	if !stream {
		r, err := k.official.c.Responses.New(k.ctx, k.req)
		if err == nil {
			k.c.used(k.req.Model, r.Usage.InputTokens, r.Usage.OutputTokens)
		}
		return r, err
	}
	s := k.official.c.Responses.NewStreaming(k.ctx, k.req)
	defer s.Close()
	var r *responses.Response
	for s.Next() {
		if e := s.Current(); e.Type == "response.completed" {
			r = &e.Response
			k.c.used(k.req.Model, r.Usage.InputTokens, r.Usage.OutputTokens)
		}
	}
	if r == nil && s.Err() == nil {
		return nil, errors.New("a stream without response.completed")
	}
	return r, s.Err()
}

func (k *keeping) run(stream bool) (any, error) {
	k.req.Input.OfString = openai.String(tagged(askTools))
	var seen []any
	var replies []*responses.Response
	var stored []bool
	for range 3 {
		r, err := k.respond(stream)
		if err != nil {
			return nil, err
		}
		replies, stored = append(replies, r), append(stored, r.JSON.ExtraFields["store"].Raw() == "true")
		said := turn{Text: r.OutputText(), Calls: []asked{}, Finish: string(r.Status), IDs: "unlike"}
		k.req.Input = responses.ResponseNewParamsInputUnion{}
		for _, item := range r.Output {
			if item.Type != "function_call" {
				continue
			}
			said.Calls = append(said.Calls, asked{item.Name, decoded(item.Arguments.OfString), item.CallID})
			result := responses.ResponseInputItemParamOfFunctionCallOutput(toolResults[item.Name])
			result.OfFunctionCallOutput.CallID = openai.String(item.CallID)
			k.req.Input.OfInputItemList = append(k.req.Input.OfInputItemList, result)
		}
		if len(said.Calls) == 0 {
			k.req.Input.OfString = openai.String("Hello again.")
		}
		k.req.PreviousResponseID = openai.String(r.ID)
		seen = append(seen, said)
	}
	kept, err := k.look(replies[1], replies[2])
	if err != nil {
		return nil, err
	}
	kept["stored"] = stored
	return append(seen, kept), nil
}

// look is what is kept of a conversation's last two replies, and deletes the last.
func (k *keeping) look(middle, last *responses.Response) (map[string]any, error) {
	api := k.official.c.Responses
	again, err := api.Get(k.ctx, last.ID, responses.ResponseGetParams{})
	if err != nil {
		return nil, err
	}
	items, err := api.InputItems.List(k.ctx, middle.ID, responses.InputItemListParams{Order: responses.InputItemListParamsOrderAsc})
	if err != nil {
		return nil, err
	}
	types, ids := []string{}, map[string]bool{}
	for _, i := range items.Data {
		types, ids[i.ID] = append(types, i.Type), true
	}
	if err := api.Delete(k.ctx, last.ID); err != nil {
		return nil, err
	}
	_, err = api.Get(k.ctx, last.ID, responses.ResponseGetParams{})
	gone := 0
	if e := new(openai.Error); errors.As(err, &e) {
		gone = e.StatusCode
	}
	return map[string]any{
		"follows": last.PreviousResponseID == middle.ID, "gone": gone, "items": types, "ids": len(ids) == len(types),
		"same": again.ID == last.ID && again.OutputText() == last.OutputText() && again.Status == last.Status,
	}, nil
}
