package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/openai/openai-go/v3"
)

// acrossOpenAICases lists the conversations and the embeddings of openai-go.
func acrossOpenAICases() ([]*Case, error) {
	cases, err := across(acrossOpenAI, keptScenarios...)
	if err != nil {
		return nil, err
	}
	var targets map[string]map[string]string
	if err := json.Unmarshal([]byte(os.Getenv("SDK_TARGETS")), &targets); err != nil {
		return nil, fmt.Errorf("read SDK_TARGETS: %w", err)
	}
	for _, target := range slices.Sorted(maps.Keys(targets)) {
		for name, texts := range map[string]int{"embeddings": 2, "embeddings_many": 150} {
			cases = append(cases, &Case{name: target + ":" + name, run: func(c *Case) (any, error) {
				return embed(c, targets[target]["embed"], texts)
			}})
		}
	}
	return cases, nil
}

// embed asks for the vectors of so many texts and of one with the case's name,
// whose vector cannot be compared.
func embed(c *Case, model string, count int) (any, error) {
	var texts []string
	for i := range count {
		texts = append(texts, fmt.Sprintf("word%d of %d", i, i%7))
	}
	o := official{ctx: ctx}
	sdk := o.connect(key)
	r, err := sdk.Embeddings.New(ctx, openai.EmbeddingNewParams{
		Model: model, Dimensions: openai.Int(16),
		Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: append(texts, tagged("the last"))},
	})
	if err != nil {
		return map[string]any{"error": err.Error()}, nil
	}
	c.used(model, r.Usage.PromptTokens, 0)
	vectors := [][]float64{}
	for _, d := range r.Data[:len(r.Data)-1] {
		vectors = append(vectors, d.Embedding)
	}
	return map[string]any{"count": len(r.Data), "vectors": vectors}, nil
}
