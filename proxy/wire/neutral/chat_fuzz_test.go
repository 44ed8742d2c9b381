package neutral

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// No request panics, and one that is read is written as JSON that is read
// again and says the same.
func FuzzChatRequest(f *testing.F) {
	for _, body := range chatBodies {
		f.Add([]byte(body))
	}
	f.Add([]byte(`{"messages":[{"role":"tool","tool_call_id":null,"content":null,"tool_calls":[{}]},{"role":"assistant","function_call":{},"audio":{}}],"tools":[{}],"functions":[{}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := chatCodec.DecodeRequest(body, "", false)
		if err != nil {
			return
		}
		for _, from := range []API{Chat, Messages} {
			r.From = from
			out, err := chatCodec.EncodeRequest(r, &Notes{Lossy: true})
			if err != nil {
				t.Fatal(err)
			}
			if !json.Valid(out) {
				t.Fatalf("%s: not JSON: %s", body, out)
			}
			again, err := chatCodec.DecodeRequest(out, "", false)
			if err != nil {
				t.Fatalf("%s: %v: %s", body, err, out)
			}
			if from != Chat {
				continue
			}
			twice, _ := chatCodec.EncodeRequest(again, &Notes{Lossy: true})
			third, err := chatCodec.DecodeRequest(twice, "", false)
			if err != nil {
				t.Fatal(err)
			}
			if thrice, _ := chatCodec.EncodeRequest(third, &Notes{Lossy: true}); !bytes.Equal(twice, thrice) {
				t.Fatalf("%s\nsecond %s\nthird  %s", body, twice, thrice)
			}
		}
	})
}

func FuzzChatReply(f *testing.F) {
	f.Add([]byte(`{"id":1,"created":1.5,"choices":[{"message":{"content":[{"type":"text","text":"a"}],"tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}],"annotations":[1]},"finish_reason":null}],"usage":{"prompt_tokens":1}}`))
	f.Add([]byte(`{"choices":[{"message":{"content":[{"type":"text","text":"a","x":1},{"type":"image_url","image_url":{"url":"data:a;base64,b"}},{"type":"odd","y":{}}],"function_call":{"name":"f"},"images":[{}],"audio":{"id":"a"}},"finish_reason":"stop","stop_reason":"x"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		reply, err := chatCodec.DecodeReply(body)
		if err != nil {
			return
		}
		for _, r := range []*Request{{From: Chat}, {From: Chat, Legacy: true}} {
			out := chatCodec.EncodeReply(reply, r)
			if !json.Valid(out) {
				t.Fatalf("%s: not JSON: %s", body, out)
			}
			if _, err := chatCodec.DecodeReply(out); err != nil {
				t.Fatalf("%s: %v: %s", body, err, out)
			}
		}
	})
}

// Whatever a server streams, the events are well-formed, and a client's
// chunks made of them are read as the same.
func FuzzChatStream(f *testing.F) {
	f.Add(strings.Join([]string{
		chatDelta(`{"content":"a","tool_calls":[]}`), chatDelta(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}]}`),
		chatDelta(`{"content":"b","reasoning":"c"}`), chatDelta(`{"tool_calls":[{"index":1,"function":{"arguments":"}"}}]}`), chatFinished("stop"), "[DONE]",
	}, "\n"))
	f.Add(chatDelta(`{"reasoning_details":[{"type":"reasoning.encrypted","data":"x","index":3},{"summary":"s"}],"audio":{"data":"AA=="},"images":[{"image_url":"u"}],"annotations":[{}]}`))
	f.Add(`{"choices":[{"index":-1,"delta":{"content":"x"}},{"index":7,"message":{"content":"x"},"finish_reason":"x"}]}`)
	f.Fuzz(func(t *testing.T, lines string) {
		h := &chatHeard{t: t, open: map[[2]int]*Part{}, stopped: map[int]bool{}}
		d, enc := chatCodec.NewDecoder(), chatCodec.NewEncoder(&Request{IncludeUsage: true})
		var out []byte
		emit := func(e *Event) {
			if e.Choice < 64 {
				h.emit(e)
			}
			out = enc.Append(out, e)
		}
		for line := range strings.SplitSeq(lines, "\n") {
			if d.Event("", []byte(line), emit) != nil {
				return
			}
		}
		d.End(emit)
		for event := range strings.SplitSeq(string(out), "\n\n") {
			data, ok := strings.CutPrefix(event, "data: ")
			if event != "" && (!ok || data != "[DONE]" && !json.Valid([]byte(data))) {
				t.Fatalf("event %q", event)
			}
		}
	})
}

func BenchmarkChatRequest(b *testing.B) {
	var body []byte
	for _, x := range chatBodies[1:3] {
		if len(x) > len(body) {
			body = []byte(x)
		}
	}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := chatCodec.DecodeRequest(body, "", false)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := chatCodec.EncodeRequest(r, &Notes{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkChatStreamEvent(b *testing.B) {
	d, enc := chatCodec.NewDecoder(), chatCodec.NewEncoder(&Request{})
	data := []byte(chatDelta(`{"content":"some words"}`))
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		err := d.Event("", data, func(e *Event) { out = enc.Append(out[:0], e) })
		if err != nil {
			b.Fatal(err)
		}
	}
}
