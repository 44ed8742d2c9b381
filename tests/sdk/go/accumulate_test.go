package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/openai/openai-go/v3"
)

// accumulated are the files of a client's API: streams that were carried from
// another one, and the same replies whole.
func accumulated(t *testing.T, api string, each func(t *testing.T, events [][]byte, whole []byte)) {
	files, err := filepath.Glob("../../../proxy/wire/neutral/testdata/accumulated/" + api + "-of-*.sse")
	if err != nil || len(files) != 6 {
		t.Fatalf("%d streams: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".sse"), func(t *testing.T) {
			stream, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			whole, err := os.ReadFile(strings.TrimSuffix(file, ".sse") + ".golden")
			if err != nil {
				t.Fatal(err)
			}
			var events [][]byte
			for line := range bytes.Lines(stream) {
				if data, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("data: ")); ok && string(data) != "[DONE]" {
					events = append(events, data)
				}
			}
			each(t, events, whole)
		})
	}
}

// TestAccumulateOpenAI: the accumulator makes the whole reply of the stream.
func TestAccumulateOpenAI(t *testing.T) {
	type call struct{ ID, Name, Args string }
	type said struct {
		Text, Finish string
		Calls        []call
		In, Out      int64
	}
	plain := func(c *openai.ChatCompletion) said {
		m := c.Choices[0].Message
		s := said{Text: m.Content, Finish: c.Choices[0].FinishReason, In: c.Usage.PromptTokens, Out: c.Usage.CompletionTokens}
		for _, x := range m.ToolCalls {
			s.Calls = append(s.Calls, call{x.ID, x.Function.Name, x.Function.Arguments})
		}
		return s
	}
	accumulated(t, "chat", func(t *testing.T, events [][]byte, whole []byte) {
		var acc openai.ChatCompletionAccumulator
		for _, data := range events {
			var chunk openai.ChatCompletionChunk
			if err := json.Unmarshal(data, &chunk); err != nil {
				t.Fatal(err)
			}
			if !acc.AddChunk(chunk) {
				t.Fatalf("the accumulator refuses %s", data)
			}
		}
		var reply openai.ChatCompletion
		if err := json.Unmarshal(whole, &reply); err != nil {
			t.Fatal(err)
		}
		if got, want := plain(&acc.ChatCompletion), plain(&reply); !reflect.DeepEqual(got, want) || want.Text == "" {
			t.Errorf("\n got %+v\nwant %+v", got, want)
		}
	})
}

// TestAccumulateAnthropic: Accumulate makes the whole message of the stream.
func TestAccumulateAnthropic(t *testing.T) {
	type block struct {
		Type, Text, Thinking, Signature, Data, ID, Name, Input string
		Cites                                                  []string
	}
	type said struct {
		Blocks          []block
		Stop            anthropic.StopReason
		In, Cached, Out int64
	}
	plain := func(t *testing.T, m *anthropic.Message) said {
		s := said{Stop: m.StopReason, In: m.Usage.InputTokens, Cached: m.Usage.CacheReadInputTokens, Out: m.Usage.OutputTokens}
		for _, b := range m.Content {
			x := block{Type: b.Type, Text: b.Text, Thinking: b.Thinking, Signature: b.Signature, Data: b.Data, ID: b.ID, Name: b.Name}
			if b.Type == "tool_use" {
				var compact bytes.Buffer
				if err := json.Compact(&compact, b.Input); err != nil {
					t.Fatalf("input %q: %v", b.Input, err)
				}
				x.Input = compact.String()
			}
			for _, c := range b.Citations {
				x.Cites = append(x.Cites, c.Type+" "+c.URL)
			}
			s.Blocks = append(s.Blocks, x)
		}
		return s
	}
	accumulated(t, "messages", func(t *testing.T, events [][]byte, whole []byte) {
		var acc, reply anthropic.Message
		for _, data := range events {
			var e anthropic.MessageStreamEventUnion
			if err := json.Unmarshal(data, &e); err != nil {
				t.Fatal(err)
			}
			if err := acc.Accumulate(e); err != nil {
				t.Fatalf("%v: %s", err, data)
			}
		}
		if err := json.Unmarshal(whole, &reply); err != nil {
			t.Fatal(err)
		}
		if got, want := plain(t, &acc), plain(t, &reply); !reflect.DeepEqual(got, want) || len(want.Blocks) == 0 {
			t.Errorf("\n got %+v\nwant %+v", got, want)
		}
	})
}
