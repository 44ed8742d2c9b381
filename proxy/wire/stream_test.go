package wire

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// told is all that a stream says, and what it let go in total.
func told(api API, o StreamOptions, text []byte, size func() int) (string, []byte) {
	s := NewStream(api, o)
	var out []byte
	for len(text) > 0 {
		n := min(max(size(), 1), len(text))
		piece := bytes.Clone(text[:n])
		out = append(out, s.Feed(piece)...)
		for i := range piece {
			piece[i] = '#' // the stream may not hold on to it
		}
		text = text[n:]
	}
	out = append(out, s.End()...)
	return state(s), append(out, s.Held()...)
}

func state(s *Stream) string {
	r := s.Reading()
	u, _ := r.Usage.MarshalJSON()
	return fmt.Sprintf("usage %s %v final %v raw %q model %q stop %q tier %q id %q seq %d text %q cut %v err %+v content %v events %d done %v finished %v sawID %v held %q",
		u, r.HasUsage, r.Final, r.RawUsage, r.ServedModel, r.StopReason, r.ServiceTier, r.ID, r.Sequence, r.Text, r.TextTruncated, r.Err,
		s.Content(), s.Events(), s.Done(), s.Finished(), s.SawID(), s.Held())
}

func chunk(choices, rest string) string {
	return `data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m-1","choices":[` + choices + `]` + rest + "}\n\n"
}

func deltaChunk(delta string) string {
	return chunk(`{"index":0,"delta":`+delta+`,"finish_reason":null}`, "")
}

const usageChunk = `,"usage":{"prompt_tokens":10,"completion_tokens":3,"total_tokens":13}`

// chatStream is a whole chat stream with usage asked for.
var chatStream = deltaChunk(`{"role":"assistant","content":""}`) + deltaChunk(`{"content":"hel"}`) + deltaChunk(`{"content":"lo\n"}`) + deltaChunk(`{"content":"é\u00e9"}`) +
	chunk(`{"index":0,"delta":{},"finish_reason":"stop"}`, "") + chunk("", usageChunk) + "data: [DONE]\n\n"

var messagesStream = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"claude-x\",\"usage\":{\"input_tokens\":25,\"cache_creation_input_tokens\":3000,\"cache_read_input_tokens\":7,\"cache_creation\":{\"ephemeral_5m_input_tokens\":2000,\"ephemeral_1h_input_tokens\":1000},\"output_tokens\":1,\"service_tier\":\"standard\"}}}\n\n" +
	"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\n" +
	"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" you\"}}\n\n" +
	"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n" +
	"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"input_tokens\":25,\"cache_creation_input_tokens\":3000,\"output_tokens\":15}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"

func responsesEvent(kind, rest string) string {
	return "event: " + kind + "\ndata: {\"type\":\"" + kind + "\"," + rest + "}\n\n"
}

var responsesStream = responsesEvent("response.created", `"sequence_number":0,"response":{"id":"resp_1","model":"gpt-x","status":"in_progress","usage":null,"error":null,"incomplete_details":null}`) +
	responsesEvent("response.output_item.added", `"sequence_number":1,"item":{"type":"message","status":"in_progress"}`) +
	responsesEvent("response.content_part.added", `"sequence_number":2,"part":{"type":"output_text","text":""}`) +
	responsesEvent("response.output_text.delta", `"sequence_number":3,"item_id":"i","output_index":0,"delta":"He","logprobs":[],"obfuscation":"ab"`) +
	responsesEvent("response.output_text.delta", `"sequence_number":4,"item_id":"i","output_index":0,"delta":"llo","logprobs":[],"obfuscation":"abcdef"`) +
	responsesEvent("response.output_text.done", `"sequence_number":5,"item_id":"i","text":"Hello"`) +
	responsesEvent("response.completed", `"sequence_number":6,"response":{"id":"resp_1","model":"gpt-x","status":"completed","service_tier":"default","output":[{"type":"message","content":[{"type":"output_text","text":"Hello"}]}],"usage":{"input_tokens":9,"input_tokens_details":{"cached_tokens":4},"output_tokens":5,"output_tokens_details":{"reasoning_tokens":2},"total_tokens":14}}`)

var geminiStream = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hel\"}],\"role\":\"model\"}}],\"usageMetadata\":{\"promptTokenCount\":4,\"totalTokenCount\":4},\"modelVersion\":\"gemini-x\",\"responseId\":\"r1\"}\r\n\r\n" +
	"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"lo\"}],\"role\":\"model\"},\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":4,\"candidatesTokenCount\":2,\"thoughtsTokenCount\":6,\"totalTokenCount\":12},\"modelVersion\":\"gemini-x\",\"responseId\":\"r1\"}\r\n\r\n"

var streamSeeds = []struct {
	api  API
	text string
}{
	{Chat, chatStream},
	{Messages, messagesStream},
	{Responses, responsesStream},
	{StreamGenerate, geminiStream},
	{Chat, ""},
	{Chat, "\n"},
	{Chat, "\r"},
	{Chat, "\xef\xbb\xbf" + chatStream},
	{Chat, "\xef\xbb"},
	{Chat, "\xef\xbb\xbf"},
	{Chat, strings.ReplaceAll(chatStream, "\n", "\r")},
	{Chat, strings.ReplaceAll(chatStream, "\n", "\r\n")},
	{Chat, strings.Replace(chatStream, "\n\n", "\r\n\n", 2)},
	{Chat, strings.Replace(chatStream, "\n\n", "\n\r", 2)},
	{Chat, ": ping\n\n: OPENROUTER PROCESSING\n\n" + chatStream},
	{Chat, "id: 1\nretry: 10\n" + chatStream},
	{Chat, "retry: 5\n\ndata\n\ndata:\n\ndata: \n\nevent: x\n\n" + chatStream},
	{Chat, "data: {\"choices\":[{\"delta\":\ndata: {\"content\":\"x\"}}]}\n\n"},
	{Chat, "data:{\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n"},
	{Chat, "data: [DONE]\n\ndata: [DONE]\n\n" + deltaChunk(`{"content":"late"}`)},
	{Chat, strings.TrimSuffix(chatStream, "\n\n")},
	{Chat, strings.TrimSuffix(chatStream, "\n")},
	{Chat, strings.TrimSuffix(strings.ReplaceAll(chatStream, "\n", "\r"), "\r")},
	{Chat, chatStream[:len(chatStream)-30]},
	{Chat, ": cut"},
	{Chat, deltaChunk(`{"content":"a"}`) + "data: {\"error\":{\"message\":\"boom\",\"code\":\"x\"}}\n\n"},
	{Chat, "data: not json\n\n" + chatStream},
	{Chat, "data: {\"choices\":[]}\n\ndata: {\"usage\":null}\n\n"},
	{Completions, "data: {\"choices\":[{\"text\":\"a\"}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n"},
	{Chat, deltaChunk(`{"content":"`+strings.Repeat("long ", 15<<10)+`"}`) + chatStream},
	{Messages, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n"},
}

// The law of the meter: how a stream is cut changes neither what is read nor
// what is let go; and without anything stripped that is the stream itself, up
// to an event that never ended.
func checkStream(t *testing.T, api API, o StreamOptions, text []byte, seed uint64) {
	t.Helper()
	want, out := told(api, o, text, whole1(len(text)))
	if !o.StripUsage && !bytes.HasPrefix(append(out, "\n\n"...), text) {
		t.Fatalf("%v %.300q let go %.300q", api, text, out)
	}
	r := rand.New(rand.NewPCG(seed, 3))
	sizes := []func() int{func() int { return 1 + r.IntN(1+len(text)/20) }, func() int { return 1 + r.IntN(1+len(text)) }}
	if len(text) < 10_000 {
		sizes = append(sizes, whole1(1), func() int { return 1 + r.IntN(7) }, func() int { return 1 + r.IntN(300) })
	}
	for _, size := range sizes {
		got, cutOut := told(api, o, text, size)
		if got != want {
			t.Fatalf("%v %.400q in pieces:\n%.1500s\nwhole:\n%.1500s", api, text, got, want)
		}
		if !bytes.Equal(out, cutOut) {
			t.Fatalf("%v %.400q in pieces let go\n%.900q\nwhole:\n%.900q", api, text, cutOut, out)
		}
	}
}

func TestStreamLaws(t *testing.T) {
	for i, seed := range streamSeeds {
		for _, strip := range []bool{false, true} {
			checkStream(t, seed.api, StreamOptions{StripUsage: strip}, []byte(seed.text), uint64(i))
		}
	}
	r := rand.New(rand.NewPCG(5, 6))
	for range 1000 { // broken streams
		seed := streamSeeds[r.IntN(len(streamSeeds))]
		p := []byte(seed.text)
		if len(p) == 0 || len(p) > 5000 {
			continue
		}
		for range 1 + r.IntN(3) {
			p[r.IntN(len(p))] = "\n\r:{}[]\", \\d"[r.IntN(12)]
		}
		checkStream(t, seed.api, StreamOptions{StripUsage: r.IntN(2) == 0}, p, r.Uint64())
	}
}

func FuzzStream(f *testing.F) {
	for i, seed := range streamSeeds {
		f.Add(uint8(seed.api), i%2 == 0, []byte(seed.text), uint64(i))
	}
	f.Fuzz(func(t *testing.T, api uint8, strip bool, text []byte, seed uint64) {
		checkStream(t, API(api)%(CachedContents+1), StreamOptions{StripUsage: strip}, text, seed)
	})
}

// Every way of cutting these streams in two says the same.
func TestStreamEveryCut(t *testing.T) {
	for _, seed := range streamSeeds[:12] {
		text := []byte(seed.text)
		want, out := told(seed.api, StreamOptions{StripUsage: true}, text, whole1(len(text)))
		for i := 1; i < len(text); i++ {
			n := i
			got, cutOut := told(seed.api, StreamOptions{StripUsage: true}, text, func() int { defer func() { n = len(text) }(); return n })
			if got != want || !bytes.Equal(out, cutOut) {
				t.Fatalf("%v cut at %d:\n%s\n%s", seed.api, i, got, want)
			}
		}
	}
}

// The pattern may not say other than the parser: with it and without it a
// stream reads the same.
func TestPatternIsTheParser(t *testing.T) {
	deltas := []string{`"a"`, `""`, `" b\n"`, `"é😀"`, `"\u00e9\ud83d\ude00"`, `null`, `12`, `"x\"y"`, `{"a":"b"}`, `["x"]`, `"` + strings.Repeat("z", 5000) + `"`, `"bad \x"`, "\"ctl\x01\"", "\"\xff\"", `"a","content":"b"`, `"a"},"logprobs":{"content":"c"`}
	frames := []struct {
		api  API
		text string
	}{
		{Chat, "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":%s}}],\"obfuscation\":%s}\n\n"},
		{Chat, "data: {\"choices\":[{\"delta\":{\"content\":\"x\",\"reasoning\":%s,\"tool_calls\":[{\"function\":{\"arguments\":%s}}]}}],\"usage\":null}\n\n"},
		{Chat, "data: {\"choices\":[{\"delta\":{\"content\":%s},\"finish_reason\":%s}]}\n\n"},
		{Messages, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":%s,\"x\":%s}}\n\n"},
		{Responses, "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":12,\"delta\":%s,\"obfuscation\":%s}\n\n"},
		{Responses, "event: response.audio.delta\ndata: {\"type\":\"response.audio.delta\",\"sequence_number\":1e1,\"delta\":%s,\"obfuscation\":%s}\n\n"},
		{StreamGenerate, "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":%s}]}}],\"x\":%s}\n\n"},
	}
	r := rand.New(rand.NewPCG(7, 8))
	for range 250 {
		var text []byte
		frame := frames[r.IntN(len(frames))]
		for range 12 {
			if r.IntN(6) == 0 {
				frame = frames[r.IntN(len(frames))]
			}
			text = fmt.Appendf(text, frame.text, deltas[r.IntN(len(deltas))], deltas[r.IntN(len(deltas))])
		}
		with, without := NewStream(frame.api, StreamOptions{}), NewStream(frame.api, StreamOptions{})
		for ev := range bytes.SplitAfterSeq(text, []byte("\n\n")) {
			with.Feed(ev)
			without.pattern.text = nil
			without.Feed(ev)
			if a, b := state(with), state(without); a != b {
				t.Fatalf("after %.300q:\n%.900s\n%.900s", ev, a, b)
			}
		}
	}
}

func TestStreamReading(t *testing.T) {
	check := func(api API, text, want string) {
		t.Helper()
		s := NewStream(api, StreamOptions{})
		s.Feed([]byte(text))
		s.End()
		r := s.Reading()
		u, _ := r.Usage.MarshalJSON()
		got := fmt.Sprintf("%s|%s|%s|%s|%q|%v%v", u, r.ServedModel, r.StopReason, r.ID, r.Text, r.Final, s.Done())
		if got != want {
			t.Errorf("%.100q...:\n got %s\nwant %s", text, got, want)
		}
	}
	check(Chat, chatStream, `{"input":10,"output":3}|m-1|stop|c1|"hello\néé"|truetrue`)
	check(Messages, messagesStream, `{"input":25,"input_cache_read":7,"input_cache_write_5m":2000,"input_cache_write_1h":1000,"output":15}|claude-x|end_turn|msg_1|"Hi you"|truetrue`)
	check(Responses, responsesStream, `{"input":5,"input_cache_read":4,"output":3,"output_reasoning":2}|gpt-x|completed|resp_1|"Hello"|truetrue`)
	check(StreamGenerate, geminiStream, `{"input":4,"output":2,"output_reasoning":6}|gemini-x|STOP|r1|"Hello"|truetrue`)

	// Usage may come with any chunk, the last that is not null wins.
	check(Chat, chunk(`{"delta":{"content":"a"},"finish_reason":"stop"}`, usageChunk)+"data: [DONE]\n\n", `{"input":10,"output":3}|m-1|stop|c1|"a"|truetrue`)
	check(Chat, chunk(`{"delta":{"content":"a"}}`, `,"usage":{"prompt_tokens":10,"completion_tokens":1}`)+chunk(`{"delta":{"content":"b"}}`, `,"usage":{"prompt_tokens":10,"completion_tokens":2}`), `{"input":10,"output":2}|m-1||c1|"ab"|falsefalse`)
	check(Chat, chunk("", usageChunk)+chunk("", `,"usage":null`)+chunk("", `,"usage":{}`), `{"input":10,"output":3}|m-1||c1|""|falsefalse`)
	check(Chat, chunk("", `,"usage":{"prompt_tokens":0,"completion_tokens":0}`), `{"input":0,"output":0}|m-1||c1|""|falsefalse`)
	check(Chat, chunk(`{"delta":{},"finish_reason":"stop"}`, `,"x_groq":{"id":"g","usage":{"prompt_tokens":4,"completion_tokens":5}}`), `{"input":4,"output":5}|m-1|stop|c1|""|truefalse`)
	check(Chat, chunk(`{"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":4,"completion_tokens":5}}`, ""), `{"input":4,"output":5}|m-1|stop|c1|""|truefalse`)
	check(Chat, chunk(`{"delta":{"usage":{"prompt_tokens":4}}}`, `,"metadata":{"usage":{"prompt_tokens":9}}`), `{}|m-1||c1|""|falsefalse`)
	// A message_delta without the cache's figures leaves those of message_start; zeros overwrite.
	check(Messages, strings.Replace(messagesStream, `"input_tokens":25,"cache_creation_input_tokens":3000,"output_tokens":15`, `"output_tokens":15`, 1), `{"input":25,"input_cache_read":7,"input_cache_write_5m":2000,"input_cache_write_1h":1000,"output":15}|claude-x|end_turn|msg_1|"Hi you"|truetrue`)
	check(Messages, strings.Replace(messagesStream, `"cache_creation_input_tokens":3000,"output_tokens":15`, `"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0`, 1), `{"input":25,"input_cache_read":0,"input_cache_write_5m":0,"input_cache_write_1h":0,"output":0}|claude-x|end_turn|msg_1|"Hi you"|truetrue`)
	// Cut before its end, the usage so far is there and not final.
	check(Messages, messagesStream[:900], `{"input":25,"input_cache_read":7,"input_cache_write_5m":2000,"input_cache_write_1h":1000,"output":1}|claude-x||msg_1|"Hi you"|falsefalse`)
	// A reason beats a status, whichever comes first.
	for _, r := range []string{`"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}`, `"incomplete_details":{"reason":"max_output_tokens"},"status":"incomplete"`} {
		check(Responses, responsesEvent("response.incomplete", `"response":{`+r+`,"usage":{"input_tokens":1,"output_tokens":2}}`), `{"input":1,"output":2}||max_output_tokens||""|truetrue`)
	}
	check(Chat, deltaChunk(`{"tool_calls":[{"index":0,"id":"t","type":"function","function":{"name":"f","arguments":"{}"}}]}`)+deltaChunk(`{"reasoning_content":"r"}`)+deltaChunk(`{"refusal":"no"}`), `{}|m-1||c1|"f{}rno"|falsefalse`)
	check(StreamGenerate, "data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"},\"usageMetadata\":{\"promptTokenCount\":3}}\n\n", `{"input":3}||SAFETY||""|truetrue`)
	check(Responses, responsesEvent("response.audio.delta", `"delta":"QUJD"`), `{}||||""|falsefalse`)
	check(Transcriptions, "data: {\"type\":\"transcript.text.delta\",\"delta\":\"Hi\"}\n\ndata: {\"type\":\"transcript.text.done\",\"text\":\"Hi\",\"usage\":{\"type\":\"tokens\",\"input_tokens\":14,\"input_token_details\":{\"text_tokens\":0,\"audio_tokens\":14},\"output_tokens\":4,\"total_tokens\":18}}\n\n",
		`{"input":0,"input_audio":14,"output":4}||||"Hi"|truetrue`)
	check(Images, "event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"b64_json\":\"QUJD\",\"usage\":{\"input_tokens\":50,\"input_tokens_details\":{\"text_tokens\":10,\"image_tokens\":40},\"output_tokens\":60,\"total_tokens\":110}}\n\n",
		`{"input":10,"input_image":40,"output":0,"output_image":60}||||""|truetrue`)
}

// The reply begins at the first event that a user would see.
func checkContent(t *testing.T, api API, ev string, want bool) {
	t.Helper()
	s := NewStream(api, StreamOptions{})
	s.Feed([]byte(ev))
	if s.Content() != want || (s.Events() > 0) != want {
		t.Errorf("%s: content %v, %d events; want %v", ev, s.Content(), s.Events(), want)
	}
}

func TestStreamContentOfChunks(t *testing.T) {
	check := func(api API, ev string, want bool) { t.Helper(); checkContent(t, api, ev, want) }
	check(Chat, deltaChunk(`{"role":"assistant","content":""}`), false)
	check(Chat, deltaChunk(`{"role":"assistant","content":null,"tool_calls":[]}`), false)
	check(Chat, deltaChunk(`{"content":"a"}`), true)
	check(Chat, deltaChunk(`{"reasoning":"a"}`), true)
	check(Chat, deltaChunk(`{"reasoning_content":"a"}`), true)
	check(Chat, deltaChunk(`{"refusal":"a"}`), true)
	check(Chat, deltaChunk(`{"tool_calls":[{"index":0,"function":{"name":"f","arguments":""}}]}`), true)
	check(Chat, deltaChunk(`{"tool_calls":[{"index":0,"type":"custom","custom":{"input":"x"}}]}`), true)
	check(Chat, deltaChunk(`{"function_call":{"name":"f"}}`), true)
	check(Chat, deltaChunk(`{"audio":{"data":"QUJD"}}`), true)
	check(Chat, deltaChunk(`{"audio":{"id":"a","data":""}}`), false)
	check(Chat, deltaChunk(`{"images":[{"image_url":{"url":"data:x"}}]}`), true)
	check(Chat, deltaChunk(`{"content":[{"type":"text","text":"a"}]}`), true)
	check(Chat, chunk(`{"delta":{},"finish_reason":"stop"}`, ""), true)
	check(Chat, chunk("", `,"prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}}]`), false)
	check(Chat, chunk(`{"index":0,"content_filter_offsets":{"check_offset":1},"content_filter_result":{"error":{"code":"c","message":"m"}}}`, ""), false)
	check(Chat, chunk("", usageChunk), false)
	check(Chat, ": ping\n\n", false)
	check(Chat, "data: [DONE]\n\n", false)
	check(Chat, "data: plain\n\n", true)
	check(Completions, "data: {\"choices\":[{\"text\":\"a\"}]}\n\n", true)
}

func TestStreamContentOfEvents(t *testing.T) {
	check := func(api API, ev string, want bool) { t.Helper(); checkContent(t, api, ev, want) }
	event := func(kind, rest string) string { return responsesEvent(kind, `"sequence_number":1`+rest) }
	check(Messages, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"content\":[]}}\n\n", false)
	check(Messages, "event: ping\ndata: {\"type\": \"ping\"}\n\n", false)
	block := func(typ string) string {
		return "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"" + typ + "\"}}\n\n"
	}
	check(Messages, block("text"), false)
	check(Messages, block("thinking"), false)
	check(Messages, block("tool_use"), true)
	check(Messages, block("redacted_thinking"), true)
	delta := func(d string) string { return "data: {\"type\":\"content_block_delta\",\"delta\":" + d + "}\n\n" }
	check(Messages, delta(`{"type":"text_delta","text":""}`), false)
	check(Messages, delta(`{"type":"text_delta","text":"a"}`), true)
	check(Messages, delta(`{"type":"thinking_delta","thinking":"a"}`), true)
	check(Messages, delta(`{"type":"signature_delta","signature":"a"}`), true)
	check(Messages, delta(`{"type":"input_json_delta","partial_json":"{"}`), true)
	check(Messages, "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n", true)
	check(Responses, event("response.created", `,"response":{"output":[]}`), false)
	check(Responses, event("response.in_progress", ``), false)
	check(Responses, event("response.output_item.added", `,"item":{"type":"message"}`), false)
	check(Responses, event("response.output_item.added", `,"item":{"type":"reasoning"}`), false)
	check(Responses, event("response.output_item.added", `,"item":{"type":"function_call"}`), true)
	check(Responses, event("response.content_part.added", ``), false)
	check(Responses, event("response.output_text.delta", `,"delta":""`), false)
	check(Responses, event("response.output_text.delta", `,"delta":"a"`), true)
	check(Responses, event("response.reasoning_summary_text.delta", `,"delta":"a"`), true)
	check(Responses, event("response.refusal.delta", `,"delta":"a"`), true)
	check(Responses, event("response.function_call_arguments.done", `,"arguments":"{}"`), true)
	check(Responses, event("response.completed", ``), true)
	part := func(p string) string {
		return "data: {\"candidates\":[{\"content\":{\"parts\":[" + p + "],\"role\":\"model\"}}]}\n\n"
	}
	check(StreamGenerate, part(``), false)
	check(StreamGenerate, part(`{"text":""}`), false)
	check(StreamGenerate, part(`{"text":"a","thought":true}`), true)
	check(StreamGenerate, part(`{"functionCall":{"name":"f","args":{}}}`), true)
	check(StreamGenerate, part(`{"inlineData":{"mimeType":"image/png","data":"QUJD"}}`), true)
	check(StreamGenerate, "data: {\"usageMetadata\":{\"promptTokenCount\":1}}\n\n", false)
}

// Nothing but the usage-only chunk is taken out.
func TestStreamStrips(t *testing.T) {
	check := func(api API, text, want string) {
		t.Helper()
		s, out := told(api, StreamOptions{StripUsage: true}, []byte(text), whole1(len(text)))
		if string(out) != want {
			t.Errorf("%q let go %q, want %q (%s)", text, out, want, s)
		}
	}
	same := func(api API, text string) { t.Helper(); check(api, text, text) }
	only := chunk("", usageChunk)
	check(Chat, chatStream, strings.Replace(chatStream, only, "", 1))
	check(Completions, chatStream, strings.Replace(chatStream, only, "", 1))
	check(Chat, "\xef\xbb\xbf"+only+"data: [DONE]\n\n", "data: [DONE]\n\n")
	check(Chat, only+only, "")
	check(Chat, strings.TrimSuffix(only, "\n"), "")
	same(Chat, chunk(`{"delta":{},"finish_reason":"stop"}`, usageChunk))
	same(Chat, chunk("", `,"usage":null`))
	same(Chat, chunk("", `,"usage":{}`))
	same(Chat, chunk("", `,"prompt_filter_results":[]`))
	same(Chat, "data: {\"usage\":{\"prompt_tokens\":1}}\n\n")
	same(Chat, chunk("", usageChunk+`,"error":{"message":"m"}`))
	same(Chat, ": ping\n\n")
	same(Responses, responsesStream)
	same(Messages, messagesStream)
	same(StreamGenerate, geminiStream)
}

func TestStreamErrors(t *testing.T) {
	check := func(api API, text string, want Failure) {
		t.Helper()
		s := NewStream(api, StreamOptions{StripUsage: true})
		if out := s.Feed([]byte(text)); string(out) != text {
			t.Errorf("%s let go %q", text, out)
		}
		if f := s.Failed(); f == nil || *f != want {
			t.Errorf("%s failed with %+v, want %+v", text, f, want)
		}
		if s.Content() {
			t.Errorf("%s is content", text)
		}
	}
	const none = "The upstream reported an error without a message."
	check(Chat, "data: {\"error\":{\"message\":\"m\",\"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n", Failure{Status: 500, Message: "m", Type: "server_error"})
	check(Chat, "data: {\"error\":{\"message\":\"m\",\"code\":429}}\n\n", Failure{Status: 429, Message: "m"})
	check(Chat, "data: {\"error\":{\"code\":\"rate_limit_exceeded\"}}\n\n", Failure{Status: 429, Message: none, Code: "rate_limit_exceeded"})
	check(Chat, "data: {\"error\":\"broken\"}\n\n", Failure{Status: 500, Message: "broken"})
	check(Chat, "data: {\"id\":\"c\",\"choices\":[],\"error\":{\"message\":\"m\",\"metadata\":{\"x\":1}},\"usage\":{\"prompt_tokens\":1}}\n\n", Failure{Status: 500, Message: "m"})
	check(Chat, "data: {\"object\":\"error\",\"message\":\"too long\",\"type\":\"BadRequestError\",\"code\":400}\n\n", Failure{Status: 400, Message: "too long"})
	check(Chat, "event: error\ndata: {\"message\":\"m\"}\n\n", Failure{Status: 500, Message: "m"})
	check(Messages, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n", Failure{Status: 529, Type: "overloaded_error", Message: "Overloaded"})
	check(Responses, "event: error\ndata: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"m\",\"param\":null,\"sequence_number\":3}\n\n", Failure{Status: 500, Code: "server_error", Message: "m"})
	check(Responses, responsesEvent("response.failed", `"response":{"id":"r","status":"failed","error":{"code":"rate_limit_exceeded","message":"m"}}`), Failure{Status: 429, Code: "rate_limit_exceeded", Message: "m"})
	check(StreamGenerate, "data: {\"error\":{\"code\":503,\"message\":\"m\",\"status\":\"UNAVAILABLE\"}}\n\n", Failure{Status: 503, Type: "UNAVAILABLE", Message: "m"})

	ok := func(api API, text string) {
		t.Helper()
		s := NewStream(api, StreamOptions{})
		s.Feed([]byte(text))
		if f := s.Failed(); f != nil {
			t.Errorf("%s failed with %+v", text, f)
		}
	}
	ok(Chat, chunk("", `,"error":null`))
	ok(Chat, chunk("", `,"error":""`))
	ok(Chat, chunk("", `,"error":{}`))
	ok(Chat, chunk("", `,"error":0`))
	ok(Responses, responsesEvent("response.output_item.done", `"item":{"type":"mcp_call","error":"tool broke"}`))
	ok(Chat, chunk(`{"delta":{},"content_filter_result":{"error":{"message":"m"}}}`, ""))
}

// A failed response ends its stream, and so does what it says it is.
func TestStreamDone(t *testing.T) {
	check := func(api API, text string, done, finished bool) {
		t.Helper()
		s := NewStream(api, StreamOptions{})
		s.Feed([]byte(text))
		s.End()
		if s.Done() != done || s.Finished() != finished {
			t.Errorf("%.200s: done %v, finished %v; want %v, %v", text, s.Done(), s.Finished(), done, finished)
		}
	}
	check(Responses, responsesEvent("response.failed", `"response":{"status":"failed","error":{"message":"m"}}`), true, false)
	check(Responses, responsesEvent("response.failed", `"response":{}`), true, true)
	check(Responses, responsesEvent("response.incomplete", `"response":{}`), true, true)
	check(Responses, responsesEvent("response.in_progress", `"response":{"status":"in_progress"}`), false, false)
	check(Messages, "data: {\"type\":\"message_start\",\"message\":{\"stop_reason\":null}}\n\n", false, false)
	check(Messages, "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"}}\n\n", false, true)
	check(Messages, "event: message_stop\ndata: {\"type\":\"message_stop\"}", true, false)
	check(Chat, "data: [DONE]", true, false)
	check(Chat, "data: [DONE]\n", true, false)
	check(Chat, chunk(`{"delta":{},"finish_reason":"length"}`, ""), false, true)
	check(Chat, chunk(`{"delta":{},"finish_reason":null}`, ""), false, false)
}

// What ended without its blank line goes on where it is whole, and stays held
// where it was cut off.
func TestStreamEnd(t *testing.T) {
	check := func(text, rest, held string) {
		t.Helper()
		s := NewStream(Chat, StreamOptions{})
		s.Feed([]byte(text))
		if out := s.End(); string(out) != rest || string(s.Held()) != held {
			t.Errorf("%q ends with %q and holds %q, want %q and %q", text, out, s.Held(), rest, held)
		}
	}
	const ev = `data: {"choices":[{"delta":{"content":"a"}}]}`
	check("", "", "")
	check(ev+"\n\n", "", "")
	check(ev+"\n", ev+"\n\n", "")
	check(ev, ev+"\n\n", "")
	check(ev+"\r", ev+"\r\n\n", "")
	check(ev+"\r\r", ev+"\r\r", "")
	check(ev+"\r\n\r", ev+"\r\n\r", "")
	check(ev[:20], "", ev[:20])
	check(ev[:20]+"\n", "", ev[:20]+"\n")
	check("data: [DONE]", "data: [DONE]", "")
	check("data: [DONE]\n", "data: [DONE]\n", "")
	check(": ping", ": ping\n\n", "")
	check(ev+"\n\n"+ev[:9], "", ev[:9])
}

func TestStreamSawID(t *testing.T) {
	check := func(text string, want bool) {
		t.Helper()
		s := NewStream(Chat, StreamOptions{})
		s.Feed([]byte(text))
		if s.SawID() != want {
			t.Errorf("%q: SawID %v", text, s.SawID())
		}
	}
	check("id: 1\ndata: {}\n\n", true)
	check("id\n", true)
	check("data: {\"id\":1}\n\n", false)
	check("idx: 1\n\n", false)
}
