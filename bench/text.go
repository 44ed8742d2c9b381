//go:build linux

package main

import (
	"fmt"
	"strconv"
	"strings"
)

// What is sent and answered. Bodies vary from request to request, at one
// length, so that nothing in between can live off a repetition.

const (
	bodies     = 64   // different request bodies
	bodySize   = 1500 // bytes of each
	replySize  = 1024 // bytes of the plain reply's JSON
	chunks     = 50   // content events of a stream
	stampDigit = 16   // hex digits of the time of sending in each event
)

// A shape is a kind of answer. Its name is the end of the model's name, so that
// it reaches the mock through whatever lies between.
type shape struct {
	name    string
	stream  bool
	pauseUS int64 // between the events of a stream
}

var shapes = []shape{
	{name: "json"},
	{name: "burst", stream: true},
	{name: "pace2", stream: true, pauseUS: 2_000},
	{name: "pace20", stream: true, pauseUS: 20_000},
	{name: "slow", stream: true, pauseUS: 100_000},
}

func shapeByName(name string) (shape, bool) {
	for _, s := range shapes {
		if s.name == name {
			return s, true
		}
	}
	return shape{}, false
}

// Model names: gpt-4o-plain-json, gpt-4o-tls-burst … They count as gpt-4o,
// whose encoding is public, so Weir counts their tokens exactly.
const modelStem = "gpt-4o-"

func modelName(tls bool, s shape) string {
	if tls {
		return modelStem + "tls-" + s.name
	}
	return modelStem + "plain-" + s.name
}

// shapeOf reads the shape out of a request's body.
func shapeOf(body string) (shape, bool) {
	_, rest, ok := strings.Cut(body, `"model":"`)
	if !ok {
		return shape{}, false
	}
	name, _, _ := strings.Cut(rest, `"`)
	return shapeByName(name[strings.LastIndexByte(name, '-')+1:])
}

// requestBodies makes the bodies for a model.
func requestBodies(tls bool, s shape) [][]byte {
	out := make([][]byte, bodies)
	for i := range out {
		head := fmt.Sprintf(`{"model":"%s","messages":[{"role":"system","content":"You are a helpful assistant that answers questions about the harbour of a small town."},{"role":"user","content":"`, modelName(tls, s))
		tail := `"}],"temperature":0.2,"max_tokens":256}`
		if s.stream {
			tail = `"}],"temperature":0.2,"max_tokens":256,"stream":true}`
		}
		out[i] = []byte(head + prose(uint32(i+1), bodySize-len(head)-len(tail)) + tail)
	}
	return out
}

var words = strings.Fields(`the a harbour master counts boats and sails before night falls over water while old men
	mend nets near stone walls where gulls cry about weather that nobody expected because 1987 was quiet with only
	three storms in spring however captain says engines need care, oil, patience and money. Which of these vessels
	carries grain to northern islands? It depends on tide and wind; most prefer Tuesday morning when market opens
	early, so children run along quay shouting names they've learned from letters of their grandfathers' ships`)

// prose makes n bytes of something that reads and tokenizes like English.
func prose(seed uint32, n int) string {
	var b strings.Builder
	for b.Len() < n {
		seed = seed*1664525 + 1013904223
		b.WriteString(words[int(seed>>16)%len(words)])
		b.WriteByte(' ')
	}
	return b.String()[:n-1] + "."
}

// plainReply is the JSON of the answer that is no stream.
func plainReply() []byte {
	head := `{"id":"chatcmpl-bench0123456789","object":"chat.completion","created":1764000000,"model":"gpt-4o-2024-08-06","choices":[{"index":0,"message":{"role":"assistant","content":"`
	tail := `","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":330,"completion_tokens":128,"total_tokens":458,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}},"service_tier":"default","system_fingerprint":"fp_bench"}`
	return []byte(head + prose(7, replySize-len(head)-len(tail)) + tail)
}

// The events of a stream. The stamp is the hole for the time of sending.
const (
	eventHead = `data: {"id":"chatcmpl-bench0123456789","object":"chat.completion.chunk","created":1764000000,"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_bench","choices":[{"index":0,"delta":{"content":"`
	eventTail = `"},"logprobs":null,"finish_reason":null}]}` + "\n\n"
	lastEvent = `data: {"id":"chatcmpl-bench0123456789","object":"chat.completion.chunk","created":1764000000,"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_bench","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}` + "\n\n"
	useEvent  = `data: {"id":"chatcmpl-bench0123456789","object":"chat.completion.chunk","created":1764000000,"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_bench","choices":[],"usage":{"prompt_tokens":330,"completion_tokens":50,"total_tokens":380}}` + "\n\n"
	doneEvent = "data: [DONE]\n\n"

	eventSize  = len(eventHead) + stampDigit + len(eventTail)
	streamSize = chunks*eventSize + len(lastEvent) + len(doneEvent) // as a client sees it that asked for no usage
	events     = chunks + 2                                         // with the last ones
)

const hexDigits = "0123456789abcdef"

// putStamp writes t into the 16 bytes of dst.
func putStamp(dst []byte, t int64) {
	for i := stampDigit - 1; i >= 0; i-- {
		dst[i] = hexDigits[t&15]
		t >>= 4
	}
}

// readStamp returns the time of sending in an event; 0 where it has none.
func readStamp(event []byte) int64 {
	if len(event) != eventSize {
		return 0
	}
	t, err := strconv.ParseInt(string(event[len(eventHead):len(eventHead)+stampDigit]), 16, 64)
	if err != nil {
		return 0
	}
	return t
}
