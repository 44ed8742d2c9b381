package wire

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestQuick(t *testing.T) {
	body := []byte(`{"model":"gpt-4o","messages":[{"role":"user","content":"hi \"there\""}],"stream":true,"weir":{"a":1}}`)
	v, err := ReadView(Chat, body)
	if err != nil {
		t.Fatal(err)
	}
	out := Apply(nil, body, v.Edits(Want{Model: "x", IncludeUsage: true, DropWeir: true}))
	if !json.Valid(out) {
		t.Fatal(string(out))
	}
	t.Log(string(out), v.Texts)
	s := NewStream(Chat, StreamOptions{StripUsage: true})
	in := "data: {\"id\":\"c1\",\"model\":\"m\",\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"hel\"}}]}\n\ndata: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":3}}\n\ndata: [DONE]\n\n"
	var got strings.Builder
	for i := range len(in) {
		got.Write(s.Feed([]byte{in[i]}))
	}
	r := s.Reading()
	u, _ := r.Usage.MarshalJSON()
	t.Log(got.String(), string(u), r.Final, r.StopReason, string(r.Text), s.Events())
}
func BenchmarkView(b *testing.B) {
	body := []byte(`{"model":"gpt-4o","messages":[{"role":"user","content":"` + strings.Repeat("hello world ", 120) + `"}],"stream":true}`)
	b.ReportAllocs()
	for b.Loop() {
		ReadView(Chat, body)
	}
}
func BenchmarkChunk(b *testing.B) {
	s := NewStream(Chat, StreamOptions{})
	c := []byte("data: {\"id\":\"chatcmpl-123456789\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"gpt-4o-2024-08-06\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" hello\"},\"finish_reason\":null}]}\n\n")
	b.ReportAllocs()
	for b.Loop() {
		s.Feed(c)
	}
}
