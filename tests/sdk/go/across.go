package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// The scenarios that every SDK runs against the models of every vendor; see
// python/across.py.

const (
	// picture is a PNG of one pixel, as base64.
	picture   = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
	askTools  = "Use get_weather and get_time in Paris."
	fewTokens = 16
)

var (
	toolNames   = []string{"get_weather", "get_time"}
	toolResults = map[string]string{"get_weather": "sky-blue", "get_time": "at-noon"}
)

// A want is what a turn is asked with.
type want struct{ tools, force, schema, think, short bool }

// A turn is what the model says. Thought is nil where the SDK cannot show it.
type turn struct {
	Text    string  `json:"text"`
	Calls   []asked `json:"calls"`
	Finish  string  `json:"finish"`
	Thought any     `json:"thought"`
	IDs     string  `json:"ids"` // unlike: each once, none empty
}

type asked struct {
	Name string `json:"name"`
	Args any    `json:"args"`
	id   string
}

// A talk is a conversation with a model by way of an SDK.
type talk interface {
	say(text, image string) // image is base64 of a PNG, or ""
	give(calls []asked)     // the tools' results
	ask(stream bool, w want) (turn, error)
	pieces(limit int) ([]string, error) // of a stream; limit 0: all
	wrong(err error) any
}

// A scenario is one that only some SDKs have.
type scenario struct {
	name string
	run  func(c *Case, model string) (any, error)
}

// across lists the cases of every target.
func across(open func(c *Case, model string) talk, more ...scenario) ([]*Case, error) {
	var targets map[string]map[string]string
	if err := json.Unmarshal([]byte(os.Getenv("SDK_TARGETS")), &targets); err != nil {
		return nil, fmt.Errorf("read SDK_TARGETS: %w", err)
	}
	var cases []*Case
	for _, target := range slices.Sorted(maps.Keys(targets)) {
		add := func(name, purpose string, fn func(talk) (any, error)) {
			cases = append(cases, &Case{name: target + ":" + name, run: func(c *Case) (any, error) {
				return fn(open(c, targets[target][purpose]))
			}})
		}
		for _, s := range more {
			cases = append(cases, &Case{name: target + ":" + s.name, run: func(c *Case) (any, error) {
				return s.run(c, targets[target]["chat"])
			}})
		}
		for end, stream := range map[string]bool{"": false, "_stream": true} {
			add("chat"+end, "chat", func(t talk) (any, error) { return once(t, prompt, "", stream, want{}) })
			add("tools"+end, "chat", func(t talk) (any, error) { return loop(t, stream) })
			add("thinking"+end, "think", func(t talk) (any, error) { return thinking(t, stream) })
			add("error_400"+end, "400", func(t talk) (any, error) {
				_, err := once(t, prompt, "", stream, want{})
				return t.wrong(err), nil
			})
		}
		plain := func(t talk) (any, error) { return once(t, prompt, "", false, want{}) }
		add("prefixed", "prefixed", plain)
		add("retry_429", "retry_429", plain)
		add("structured", "chat", func(t talk) (any, error) { return once(t, prompt, "", false, want{schema: true}) })
		add("short", "long", func(t talk) (any, error) { return once(t, prompt, "", false, want{short: true}) })
		add("image", "chat", func(t talk) (any, error) { return once(t, "What is in this picture?", picture, false, want{}) })
		add("abort", "slow", func(t talk) (any, error) {
			t.say(tagged(prompt), "")
			text, err := t.pieces(3)
			return map[string]any{"text": text}, err
		})
		for _, status := range []string{"401", "404"} {
			add("error_"+status, status, func(t talk) (any, error) {
				_, err := once(t, prompt, "", false, want{})
				return t.wrong(err), nil
			})
		}
		add("failing", "failing", func(t talk) (any, error) {
			t.say(tagged(prompt), "")
			text, err := t.pieces(0)
			return map[string]any{"text": len(text) > 0, "failed": fmt.Sprintf("%T", err)}, nil
		})
		add("truncated", "truncated", func(t talk) (any, error) {
			t.say(tagged(prompt), "")
			text, err := t.pieces(0)
			return map[string]any{"text": strings.Join(text, ""), "failed": err != nil}, nil
		})
	}
	return cases, nil
}

// tagged is a text with the name of its case, so that the runner finds it at the upstream.
func tagged(text string) string {
	return fmt.Sprintf("%s [%s/%s]", text, os.Getenv("SDK_NAME"), watch.now.name)
}

// once is a question and its answer.
func once(t talk, text, image string, stream bool, w want) (turn, error) {
	t.say(tagged(text), image)
	return told(t, stream, w)
}

// told asks for a turn and checks its calls' ids.
func told(t talk, stream bool, w want) (turn, error) {
	r, err := t.ask(stream, w)
	ids := map[string]bool{}
	for _, k := range r.Calls {
		ids[k.id] = k.id != ""
	}
	r.IDs = "unlike"
	if len(ids) != len(r.Calls) || ids[""] {
		r.IDs = fmt.Sprint(ids)
	}
	if len(r.Calls) > 0 {
		t.give(r.Calls)
	}
	return r, err
}

// loop is of three turns: two calls at once, two more that are forced, and the answer.
func loop(t talk, stream bool) (any, error) {
	t.say(tagged(askTools), "")
	var turns []turn
	for _, w := range []want{{tools: true}, {tools: true, force: true}, {tools: true}} {
		r, err := told(t, stream, w)
		if err != nil {
			return nil, err
		}
		turns = append(turns, r)
	}
	return turns, nil
}

// thinking is two questions, each answered by calls and then by words, with thoughts before.
func thinking(t talk, stream bool) (any, error) {
	var turns []turn
	for _, text := range []string{askTools, "And get_weather in Rome?"} {
		t.say(tagged(text), "")
		for range 2 {
			r, err := told(t, stream, want{tools: true, think: true})
			if err != nil {
				return nil, err
			}
			turns = append(turns, r)
		}
	}
	return turns, nil
}
