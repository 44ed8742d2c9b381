package wire

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

const (
	chatReply      = `{"id":"c1","object":"chat.completion","created":1,"model":"m-1","service_tier":"default","choices":[{"index":0,"message":{"role":"assistant","content":"Hi \"you\"","refusal":null,"tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},"logprobs":null,"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":10,"completion_tokens":3,"total_tokens":13}}`
	messagesReply  = `{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"text","text":"Hi"},{"type":"tool_use","id":"t","name":"f","input":{"a":"b"}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":5,"output_tokens":7,"service_tier":"priority"}}`
	responsesReply = `{"id":"resp_1","object":"response","status":"completed","error":null,"incomplete_details":null,"model":"gpt-x","metadata":{"usage":"x"},"output":[{"type":"reasoning","summary":[]},{"type":"message","content":[{"type":"output_text","text":"Hi"}]}],"usage":{"input_tokens":9,"output_tokens":5,"total_tokens":14}}`
	geminiReply    = `{"candidates":[{"content":{"parts":[{"text":"Hi"}],"role":"model"},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":4,"candidatesTokenCount":2,"totalTokenCount":6},"modelVersion":"gemini-x","responseId":"r1"}`
)

var replySeeds = []struct {
	api  API
	text string
}{
	{Chat, chatReply},
	{Messages, messagesReply},
	{Responses, responsesReply},
	{Generate, geminiReply},
	{StreamGenerate, "[" + geminiReply + ",\r\n" + geminiReply + "]"},
	{Chat, ""},
	{Chat, "<html>"},
	{Chat, "0"},
	{Chat, "-"},
	{Chat, chatReply + "x"},
	{Chat, chatReply[:100]},
	{Chat, `{"error":{"message":"m"}}`},
	{Embeddings, `{"object":"list","data":[{"embedding":[0.1,2]}],"model":"e","usage":{"prompt_tokens":8,"total_tokens":8}}`},
	{Chat, `{"choices":[{"message":{"content":"` + strings.Repeat("long ", 300_000) + `"}}]}`},
	{Responses, `{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"usage":{"input_tokens":1,"output_tokens":2}}`},
	{Chat, `{"model":"` + strings.Repeat("m", maxShort+9) + `"}`},
}

func replyState(r *Reply) string {
	x := r.Reading()
	u, _ := x.Usage.MarshalJSON()
	return fmt.Sprintf("usage %s %v final %v raw %q model %q stop %q tier %q id %q text %q cut %v err %+v whole %v", u, x.HasUsage, x.Final, x.RawUsage, x.ServedModel, x.StopReason, x.ServiceTier, x.ID, x.Text, x.TextTruncated, x.Err, r.Whole())
}

// The law of replies: how the text is cut changes nothing of the reading.
func checkReplyLaw(t *testing.T, api API, text []byte, seed uint64) {
	t.Helper()
	whole := NewReply(api)
	whole.Feed(text)
	want := replyState(whole)
	r := rand.New(rand.NewPCG(seed, 4))
	for _, most := range []int{1 + len(text)/20, 1 + len(text)} {
		cut := NewReply(api)
		for rest := text; len(rest) > 0; {
			n := min(1+r.IntN(most), len(rest))
			cut.Feed(rest[:n])
			rest = rest[n:]
		}
		if got := replyState(cut); got != want {
			t.Fatalf("%v %.300q in pieces:\n%.900s\nwhole:\n%.900s", api, text, got, want)
		}
	}
	if whole.Whole() != accepts(text) && len(text) > 0 {
		t.Fatalf("%.300q: whole %v", text, whole.Whole())
	}
	_ = CheckReply(api, "application/json", text, true, whole)
}

func TestReplyLaws(t *testing.T) {
	for i, seed := range replySeeds {
		checkReplyLaw(t, seed.api, []byte(seed.text), uint64(i))
	}
	for _, seed := range replySeeds[:5] {
		whole := NewReply(seed.api)
		whole.Feed([]byte(seed.text))
		for i := range seed.text {
			cut := NewReply(seed.api)
			cut.Feed([]byte(seed.text[:i]))
			cut.Feed([]byte(seed.text[i:]))
			if a, b := replyState(cut), replyState(whole); a != b {
				t.Fatalf("cut at %d:\n%s\n%s", i, a, b)
			}
		}
	}
}

func FuzzReply(f *testing.F) {
	for i, seed := range replySeeds {
		f.Add(uint8(seed.api), []byte(seed.text), uint64(i))
	}
	f.Fuzz(func(t *testing.T, api uint8, text []byte, seed uint64) {
		checkReplyLaw(t, API(api)%(CachedContents+1), text, seed)
	})
}

func TestReplyReading(t *testing.T) {
	check := func(api API, body, want string) {
		t.Helper()
		r := NewReply(api)
		r.Feed([]byte(body))
		x := r.Reading()
		got := fmt.Sprintf("%s|%s|%s|%s|%s|%q|%v", x.Usage.AppendJSON(nil), x.ServedModel, x.StopReason, x.ID, x.ServiceTier, x.Text, x.Final)
		if got != want {
			t.Errorf("%.80s:\n got %s\nwant %s", body, got, want)
		}
	}
	check(Chat, chatReply, `{"input":10,"output":3}|m-1|tool_calls|c1|default|"Hi \"you\"f{\"a\":1}"|true`)
	check(Messages, messagesReply, `{"input":5,"output":7}|claude-x|tool_use|msg_1|priority|"hmHif"|true`)
	check(Responses, responsesReply, `{"input":9,"output":5}|gpt-x|completed|resp_1||"Hi"|true`)
	check(Generate, geminiReply, `{"input":4,"output":2}|gemini-x|STOP|r1||"Hi"|true`)
	check(StreamGenerate, "["+geminiReply+","+geminiReply+"]", `{"input":4,"output":2}|gemini-x|STOP|r1||"HiHi"|true`)
	check(Files, `{"file":{"name":"files/f1","displayName":"files/no"}}`, `{}|||files/f1||""|false`)
	check(CachedContents, `{"model":"models/m","name":"cachedContents/c1"}`, `{}|models/m||cachedContents/c1||""|false`)
	check(Files, `{"name":"a.txt","file":{"name":"x"},"id":"file-1"}`, `{}|||file-1||""|false`)
	check(Chat, `{"name":"files/f1"}`, `{}|||||""|false`)
	check(Embeddings, replySeeds[12].text, `{"input":8}|e||||""|true`)
	check(Responses, replySeeds[14].text, `{"input":1,"output":2}||max_output_tokens|||""|true`)
	check(Chat, chatReply[:len(chatReply)-1], `{"input":10,"output":3}|m-1|tool_calls|c1|default|"Hi \"you\"f{\"a\":1}"|false`)
	check(Completions, `{"choices":[{"text":"a","finish_reason":"length"},{"text":"b"}],"usage":{"prompt_tokens":0,"completion_tokens":0}}`, `{"input":0,"output":0}||length|||"ab"|true`)
	check(Chat, `{"choices":[{"message":{"content":null,"reasoning_content":"r","audio":{"transcript":"t","data":"QUJD"}}}]}`, `{}|||||"rt"|false`)
}

// The text that is kept for estimates is bounded, and says so.
func TestReplyTextIsBounded(t *testing.T) {
	for _, content := range []string{strings.Repeat("a", maxText+1), strings.Repeat(`\u0061`, maxText+1), strings.Repeat(`\u0061`, 2*maxText), strings.Repeat("a", 8*maxText)} {
		r := NewReply(Chat)
		text := []byte(`{"choices":[{"message":{"content":"` + content + `"}}]}`)
		for len(text) > 0 {
			n := min(32<<10, len(text))
			r.Feed(text[:n])
			text = text[n:]
		}
		x := r.Reading()
		if len(x.Text) > maxText || !x.TextTruncated {
			t.Errorf("%d bytes of text, cut %v", len(x.Text), x.TextTruncated)
		}
		if n := cap(r.scan.kept) + cap(x.Text); n > 16<<20 {
			t.Errorf("takes %d bytes", n)
		}
		r.Reset(Chat)
		if n := cap(r.scan.kept) + cap(r.read.Text); n > 2*maxIdle {
			t.Errorf("keeps %d bytes", n)
		}
	}
}

func TestCheckReply(t *testing.T) {
	check := func(api API, contentType, body string, want error) {
		t.Helper()
		r := NewReply(api)
		r.Feed([]byte(body))
		if got := CheckReply(api, contentType, []byte(body), true, r); got != want {
			t.Errorf("%v %s %.60q: %v, want %v", api, contentType, body, got, want)
		}
	}
	const js = "application/json"
	check(Chat, js, chatReply, nil)
	check(Messages, js, messagesReply, nil)
	check(Responses, js, responsesReply, nil)
	check(Generate, js, geminiReply, nil)
	check(StreamGenerate, js, "["+geminiReply+"]", nil)
	check(Embeddings, js, `[[0.1,0.2]]`, nil)
	check(Chat, js, "\xef\xbb\xbf", errEmpty)
	check(Chat, js, "", errEmpty)
	check(Chat, js, " \r\n", errEmpty)
	check(Chat, "text/html", "", errEmpty)
	check(Chat, "text/html; charset=utf-8", "<!DOCTYPE html>", errHTML)
	check(Chat, js, "  <html>", errHTML)
	check(Chat, "Text/HTML", "Bad gateway", errHTML)
	check(Chat, "text/html", chatReply, nil) // mislabelled, and right
	check(Chat, "text/plain", chatReply, nil)
	check(Chat, "text/plain", "upstream request timeout", errNotJSON)
	check(Chat, js, `"text"`, errNotJSON)
	check(Chat, js, `42`, errNotJSON)
	check(Chat, js, `null`, errNotJSON)
	check(Chat, js, chatReply[:50], errNotJSON)
	check(Chat, js, chatReply+"}", errNotJSON)
	check(Chat, js, `[{"error":{"message":"m"}}]`, errShape)
	check(Chat, js, `{"error":{"message":"m"}}`, errBare)
	check(Chat, js, `{"error":"m"}`, errBare)
	check(Chat, js, `{"object":"error","message":"m","code":400}`, errBare)
	check(Messages, js, `{"type":"error","error":{"type":"overloaded_error","message":"m"}}`, errBare)
	check(Generate, js, `{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}`, errBare)
	check(StreamGenerate, js, `[{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}]`, errBare)
	check(Responses, js, `{"id":"resp_1","status":"failed","error":{"code":"server_error","message":"m"}}`, nil)
	check(Chat, js, `{"choices":[],"error":null,"id":"x"}`, nil)
	for _, api := range []API{Raw, Speech, Transcriptions, Files, Images, StoredResponses, Batches, CachedContents} {
		check(api, "audio/mpeg", "\x00\x01", nil)
		check(api, "text/html", "<html>", nil)
	}
	// A part is judged by its start alone.
	r := NewReply(Chat)
	r.Feed([]byte(chatReply[:40]))
	if err := CheckReply(Chat, js, []byte(chatReply[:40]), false, r); err != nil {
		t.Errorf("a good start: %v", err)
	}
	if err := CheckReply(Chat, js, []byte("<html"), false, nil); err != errHTML {
		t.Errorf("a web page's start: %v", err)
	}
	if err := CheckReply(Chat, js, nil, false, nil); err != nil {
		t.Errorf("nothing yet: %v", err)
	}
}

// A reply that is used again says nothing of its first life.
func TestReplyReset(t *testing.T) {
	r := NewReply(Chat)
	r.Feed([]byte(chatReply[:200]))
	r.Reset(Messages)
	r.Feed([]byte(messagesReply))
	fresh := NewReply(Messages)
	fresh.Feed([]byte(messagesReply))
	if a, b := replyState(r), replyState(fresh); a != b {
		t.Errorf("%s\nfresh: %s", a, b)
	}
}
