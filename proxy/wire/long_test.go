package wire

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// padded is an event of exactly n bytes.
func padded(n int, head, tail string) string {
	return head + strings.Repeat("x", n-len(head)-len(tail)) + tail
}

// The law of the meter holds for events around and beyond the most that is held.
func TestLongEvents(t *testing.T) {
	const head, tail = `data: {"choices":[{"delta":{"content":"`, "\"}}]}\n\n"
	end := responsesEvent("response.completed", `"sequence_number":7,"response":{"id":"r","model":"m","status":"completed","output":[{"type":"image_generation_call","result":"`+
		strings.Repeat("QUJD", 600<<10)+`"}],"usage":{"input_tokens":5,"output_tokens":6,"total_tokens":11}}`)
	for _, c := range []struct {
		api  API
		text string
	}{
		{Chat, chatStream + padded(maxEvent-1, head, tail) + chatStream},
		{Chat, padded(maxEvent, head, tail) + chatStream},
		{Chat, "\xef\xbb\xbf" + padded(maxEvent+1, head, tail) + chatStream},
		{Chat, padded(maxEvent+1, head, "\"}}]}\r\r") + chatStream},
		{Chat, padded(maxEvent+9, head, "\"}}]}\r\n\r\n") + chatStream},
		{Chat, padded(maxEvent+9, head, "\"}}]}\n\r") + chatStream},
		{Chat, padded(3*maxEvent, "id: 1\n: c\ndata: {\"choices\":[],\ndata: \"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2},\"pad\":\"", "\"\ndata\ndata:}\n\n") + chatStream},
		{Chat, padded(maxEvent+100, ": ", "\n\n") + chatStream},
		{Chat, padded(maxEvent+100, "data: ", "\n\n") + chatStream},
		{Chat, padded(maxEvent+100, head, "") + "\"}}]}"},
		{Chat, padded(maxEvent+100, head, "")},
		{Responses, responsesStream + end},
		{Responses, strings.TrimSuffix(end, "\n\n")},
		{Messages, padded(maxEvent+5, "event: content_block_delta\ndata: {\"delta\":{\"type\":\"text_delta\",\"text\":\"", "\"}}\n\n") + messagesStream},
		{Messages, padded(maxEvent+5, "data: {\"type\":\"error\",\"error\":{\"message\":\"boom\",\"pad\":\"", "\"}}\n\n")},
	} {
		for _, strip := range []bool{false, true} {
			checkStream(t, c.api, StreamOptions{StripUsage: strip}, []byte(c.text), 9)
		}
	}
	s := NewStream(Responses, StreamOptions{})
	s.Feed([]byte(end))
	if r := s.Reading(); !s.Done() || !r.Final || r.StopReason != "completed" || r.Sequence != 7 || r.Usage != ReadUsage(Responses, []byte(`{"input_tokens":5,"output_tokens":6}`)) {
		t.Errorf("a long last event reads %s", state(s))
	}
}

// holds is the memory that a stream has taken.
func holds(s *Stream) int {
	return cap(s.held) + cap(s.out) + cap(s.event.lines) + cap(s.read.Text) + cap(s.read.RawUsage) + cap(s.scan.kept) + cap(s.scan.name) +
		cap(s.facts.errRaw) + cap(s.facts.kind) + cap(s.facts.itemKind) + cap(s.pattern.text) + cap(s.long.field) + cap(s.long.name) + 32*cap(s.scan.stack)
}

// Whatever comes, what is held is bounded, and so is what is kept of the text.
func TestStreamMemoryIsBounded(t *testing.T) {
	piece := bytes.Repeat([]byte("a"), 32<<10)
	lines := bytes.Repeat([]byte("data: aaaaaaaaaaaaaaaaaaaaaaaaa\n"), 1<<10)
	for _, c := range []struct {
		head  string
		piece []byte
	}{
		{"", piece},
		{": ", piece},
		{"data: ", piece},
		{`data: {"choices":[{"delta":{"content":"`, piece},
		{`data: {"model":"`, piece},
		{`data: {"usage":{"`, piece},
		{`data: {"error":{"message":"`, piece},
		{"event: ", piece},
		{"", lines},
		{"data: ", bytes.Repeat([]byte("["), 32<<10)},
		{"data: ", bytes.Repeat([]byte(`{"a":`), 6<<10)},
		{"", bytes.Repeat([]byte("\r"), 32<<10)},
		{"", []byte(deltaChunk(`{"content":"` + strings.Repeat("text ", 6<<10) + `"}`))},
	} {
		s := NewStream(Chat, StreamOptions{})
		s.Feed([]byte(c.head))
		for range 300 { // some 10 MiB
			s.Feed(c.piece)
			if len(s.Held()) > maxEvent+len(c.piece) || len(s.Reading().Text) > maxText {
				t.Fatalf("%q: holds %d bytes and %d of text", c.head, len(s.Held()), len(s.Reading().Text))
			}
		}
		if n := holds(s); n > 12<<20 {
			t.Errorf("%q: takes %d bytes", c.head, n)
		}
		s.Reset(Chat, StreamOptions{})
		if n := holds(s); n > 1<<20 {
			t.Errorf("%q: keeps %d bytes after Reset", c.head, n)
		}
	}
}

// An event in small pieces takes time in proportion: this one would take
// minutes if it were looked through again with every piece.
func TestSmallPiecesOfALargeEvent(t *testing.T) {
	for _, pad := range []string{"x", "\rdata: "} {
		text := []byte("data: {\"choices\":[]}" + strings.Repeat(pad, (maxEvent-100)/len(pad)) + "\n\n")
		s := NewStream(Chat, StreamOptions{})
		n := 0
		for len(text) > 0 {
			k := min(8, len(text))
			n += len(s.Feed(text[:k]))
			text = text[k:]
		}
		if n == 0 || len(s.Held()) > 0 {
			t.Errorf("%q: let go %d, holds %d", pad, n, len(s.Held()))
		}
	}
}

// A stream's chunks cost no allocation each.
func TestFeedAllocatesNothing(t *testing.T) {
	check := func(name string, api API, chunks ...string) {
		t.Helper()
		s := NewStream(api, StreamOptions{})
		var pieces [][]byte
		for _, c := range chunks {
			pieces = append(pieces, []byte(c))
		}
		feed := func() {
			for _, p := range pieces {
				s.Feed(p)
			}
			s.read.Text = s.read.Text[:0]
		}
		feed()
		if n := testing.AllocsPerRun(100, feed); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	check("chat", Chat, benchChunk)
	check("chat with tier", Chat, chunk(`{"index":0,"delta":{"content":"a"}}`, `,"service_tier":"default"`))
	check("continuous usage", Chat, chunk(`{"index":0,"delta":{"content":"a"}}`, usageChunk), chunk(`{"index":0,"delta":{"content":"a"}}`, `,"usage":{"prompt_tokens":10,"completion_tokens":4}`))
	check("messages", Messages, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}\n\n", "event: ping\ndata: {\"type\": \"ping\"}\n\n")
	check("gemini", StreamGenerate, "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hel\"}],\"role\":\"model\"}}],\"usageMetadata\":{\"promptTokenCount\":4,\"totalTokenCount\":4},\"modelVersion\":\"g\"}\r\n\r\n")
	check("in halves", Chat, benchChunk[:90], benchChunk[90:])
}

// A stream that is used again says nothing of its first life.
func TestStreamReset(t *testing.T) {
	s := NewStream(Chat, StreamOptions{})
	r := rand.New(rand.NewPCG(1, 9))
	for range 200 {
		first, second := streamSeeds[r.IntN(len(streamSeeds))], streamSeeds[r.IntN(len(streamSeeds))]
		s.Reset(first.api, StreamOptions{StripUsage: true})
		s.Feed([]byte(first.text[:r.IntN(1+len(first.text))]))
		s.Reset(second.api, StreamOptions{})
		s.Feed([]byte(second.text))
		fresh := NewStream(second.api, StreamOptions{})
		fresh.Feed([]byte(second.text))
		if a, b := state(s), state(fresh); a != b {
			t.Fatalf("%.200q after %.200q:\n%s\nfresh:\n%s", second.text, first.text, a, b)
		}
	}
}

const benchChunk = "data: {\"id\":\"chatcmpl-123456789\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"gpt-4o-2024-08-06\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" hello\"},\"finish_reason\":null}]}\n\n"

func BenchmarkFeed(b *testing.B) {
	run := func(name string, api API, text string, alike bool) {
		b.Run(name, func(b *testing.B) {
			s := NewStream(api, StreamOptions{})
			p := []byte(text)
			b.ReportAllocs()
			for b.Loop() {
				if !alike {
					s.pattern.text = s.pattern.text[:0]
				}
				s.read.Text = s.read.Text[:0]
				s.Feed(p)
			}
		})
	}
	run("alike", Chat, benchChunk, true)
	run("parsed", Chat, benchChunk, false)
	run("responses", Responses, responsesEvent("response.output_text.delta", `"sequence_number":12,"item_id":"msg_0123456789","output_index":0,"content_index":0,"delta":" hello","logprobs":[],"obfuscation":"abcdefgh"`), true)
	run("gemini", StreamGenerate, geminiStream, true)
}
