//go:build linux

package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"weir/costs"
	"weir/proxy/wire"
	"weir/proxy/wire/neutral"
)

// The aims of a translation across dialects, in µs.
const (
	maxRequestUS = 50 // a request of 1.5 KB
	maxChunkUS   = 10 // a piece of a stream
)

// dialects are the APIs that conversations are carried between, each with a
// model of its own.
var dialects = []struct {
	api   wire.API
	model string
}{
	{wire.Chat, "gpt-4o"}, {wire.Responses, "gpt-4o"}, {wire.Messages, "claude-sonnet-4-5"}, {wire.Generate, "gemini-2.5-flash"},
}

// A translation is one pair: a client's dialect and an upstream's, with the
// times of its runs in µs. The work is the codecs' alone, in this process and
// on one core.
type translation struct {
	client, upstream       *neutral.Codec
	name, model            string
	request                []byte // of the client
	reply                  []byte // of the upstream
	asked                  *neutral.Request
	opens, chunk           []string // of the upstream's stream: name and data by turns
	requests, chunks, each []float64
	allocs                 float64 // of a request
}

// translations makes every pair ready.
func translations() ([]*translation, error) {
	var list []*translation
	for _, client := range dialects {
		for _, up := range dialects {
			if client.api == up.api {
				continue
			}
			t := &translation{client: neutral.For(client.api), upstream: neutral.For(up.api), model: up.model}
			t.name = fmt.Sprintf("%s to %s", t.client.API, t.upstream.API)
			asked := talk(t.client.API, client.model)
			var err error
			if t.request, err = t.client.EncodeRequest(asked, &neutral.Notes{}); err != nil {
				return nil, fmt.Errorf("%s: %w", t.name, err)
			}
			if t.asked, err = t.client.DecodeRequest(t.request, client.model, true); err != nil {
				return nil, fmt.Errorf("%s: %w", t.name, err)
			}
			t.reply = t.upstream.EncodeReply(answer(), talk(t.upstream.API, up.model))
			t.opens, t.chunk = pieces[t.upstream.API].opens, pieces[t.upstream.API].chunk
			list = append(list, t)
		}
	}
	return list, nil
}

// talk is a request of about 1.5 KB: instructions, a tool loop and two tools.
func talk(from neutral.API, model string) *neutral.Request {
	text := func(s string, times int) []neutral.Part { return []neutral.Part{{Text: strings.Repeat(s, times)}} }
	schema := jsontext.Value(`{"type":"object","properties":{"city":{"type":"string","description":"A city"},"unit":{"type":"string","enum":["c","f"]}},"required":["city"]}`)
	limit := int64(500)
	return &neutral.Request{
		From: from, Model: model, MaxOutput: &limit, Temperature: jsontext.Value("0.2"),
		Turns: []neutral.Turn{
			{Role: neutral.System, Parts: text("Be brief and kind. ", 12)},
			{Parts: text("What is the weather? ", 10)},
			{Role: neutral.Assistant, Parts: []neutral.Part{{Text: "Let me see."}, {Kind: neutral.Call, Call: &neutral.ToolCall{ID: "call_1", Name: "get_weather", Args: `{"city":"Paris","unit":"c"}`}}}},
			{Parts: []neutral.Part{{Kind: neutral.Result, Result: &neutral.ToolResult{ID: "call_1", Parts: text(`{"temperature":18,"sky":"clear"}`, 1)}}}},
			{Parts: text("And tomorrow?", 1)},
		},
		Tools: []neutral.Tool{{Name: "get_weather", Description: "The weather of a city", Schema: schema}, {Name: "get_time", Description: "The time in a city", Schema: schema}},
	}
}

// answer is a reply of 600 bytes of text and a tool call.
func answer() *neutral.Reply {
	r := &neutral.Reply{ID: "r1", Model: "m", Created: 1, HasUsage: true, Choices: []neutral.Candidate{{
		Stop: neutral.StopTools,
		Parts: []neutral.Part{
			{Text: strings.Repeat("Some words of an answer. ", 24)},
			{Kind: neutral.Call, Call: &neutral.ToolCall{ID: "call_1", Name: "get_weather", Args: `{"city":"Paris","unit":"c"}`}},
		},
	}}}
	r.Usage.Set(costs.Input, 300)
	r.Usage.Set(costs.Output, 150)
	return r
}

// pieces are one piece of text as each upstream streams it, and what comes before.
var pieces = map[neutral.API]struct{ opens, chunk []string }{
	neutral.Chat: {nil, []string{"", `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":" hello"},"logprobs":null,"finish_reason":null}],"usage":null}`}},
	neutral.Responses: {
		[]string{
			"response.created", `{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","status":"in_progress","model":"m","output":[]}}`,
			"response.output_item.added", `{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"id":"msg_1","type":"message","role":"assistant","content":[]}}`,
			"response.content_part.added", `{"type":"response.content_part.added","sequence_number":2,"item_id":"msg_1","output_index":0,"content_index":0,"part":{"type":"output_text","text":"","annotations":[]}}`,
		},
		[]string{"response.output_text.delta", `{"type":"response.output_text.delta","sequence_number":3,"item_id":"msg_1","output_index":0,"content_index":0,"delta":" hello","logprobs":[]}`},
	},
	neutral.Messages: {
		[]string{
			"message_start", `{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"usage":{"input_tokens":3,"output_tokens":1}}}`,
			"content_block_start", `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
		},
		[]string{"content_block_delta", `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" hello"}}`},
	},
	neutral.Generate: {nil, []string{"", `{"candidates":[{"content":{"parts":[{"text":" hello"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5},"modelVersion":"m","responseId":"r"}`}},
}

const (
	runs      = 41  // of each pair, short ones: other work on the machine spoils some, and no median
	perRun    = 60  // requests or replies
	chunksRun = 500 // of one stream
)

// run does one short run of each kind.
func (t *translation) run() error {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	for range perRun {
		r, err := t.client.DecodeRequest(t.request, t.model, false)
		if err != nil {
			return err
		}
		r.Model = t.model
		if _, err := t.upstream.EncodeRequest(r, &neutral.Notes{Lossy: true}); err != nil {
			return err
		}
	}
	t.requests = append(t.requests, since(start, perRun))
	runtime.ReadMemStats(&after)
	t.allocs = float64(after.Mallocs-before.Mallocs) / perRun
	start = time.Now()
	for range perRun {
		r, err := t.upstream.DecodeReply(t.reply)
		if err != nil {
			return err
		}
		t.client.EncodeReply(r, t.asked)
	}
	t.each = append(t.each, since(start, perRun))
	return t.stream()
}

// stream carries one stream of many pieces.
func (t *translation) stream() error {
	d, e := t.upstream.NewDecoder(), t.client.NewEncoder(t.asked)
	var out []byte
	emit := func(ev *neutral.Event) { out = e.Append(out, ev) }
	tell := func(events []string) error {
		for i := 0; i < len(events); i += 2 {
			if err := d.Event(events[i], []byte(events[i+1]), emit); err != nil {
				return err
			}
		}
		return nil
	}
	if err := tell(t.opens); err != nil {
		return err
	}
	start := time.Now()
	for range chunksRun {
		out = out[:0]
		if err := tell(t.chunk); err != nil {
			return err
		}
	}
	t.chunks = append(t.chunks, since(start, chunksRun))
	if !strings.Contains(string(out), "hello") {
		return fmt.Errorf("a piece was not carried: %.200s", out)
	}
	return nil
}

func since(start time.Time, n int) float64 {
	return float64(time.Since(start).Nanoseconds()) / 1000 / float64(n)
}

// translate measures every pair and checks the aims.
func translate(w io.Writer, o options) error {
	list, err := translations()
	if err != nil {
		return fmt.Errorf("translation: %w", err)
	}
	n := runs
	if o.quick {
		n = 3
	}
	for range n {
		for _, t := range list { // by turns, so that a busy second spoils one run of each
			if err := t.run(); err != nil {
				return fmt.Errorf("translation: %s: %w", t.name, err)
			}
		}
	}
	fmt.Fprintf(w, "\ntranslation, one core: medians of %d runs of %d requests, %d replies and %d chunks (the fastest run)\n", n, perRun, perRun, chunksRun)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "client to upstream\tbytes\tµs/request\t\tallocs\tµs/chunk\t\tµs/reply\t\t")
	var missed []string
	for _, t := range list {
		request, chunk, reply := median(t.requests), median(t.chunks), median(t.each)
		fmt.Fprintf(tw, "%s\t%d\t%.1f\t(%.1f)\t%.0f\t%.2f\t(%.2f)\t%.1f\t(%.1f)\t\n", t.name, len(t.request),
			request, slices.Min(t.requests), t.allocs, chunk, slices.Min(t.chunks), reply, slices.Min(t.each))
		if request > maxRequestUS || chunk > maxChunkUS {
			missed = append(missed, t.name)
		}
	}
	tw.Flush() //nolint:errcheck // w keeps its own errors
	if missed == nil {
		missed = []string{"none"}
	}
	_, err = fmt.Fprintf(w, "over %d µs a request or %d µs a chunk: %s\n", maxRequestUS, maxChunkUS, strings.Join(missed, ", "))
	return err
}
