package neutral

import (
	"bytes"
	"fmt"
	"testing"

	"weir/costs"
)

// accumulated are replies of an upstream with what the SDKs' accumulators put
// together: reasoning with its seal and parallel calls, and words with sources.
func accumulated(upstream API) map[string]*Reply {
	thought := seals[upstream].thought
	switch upstream {
	case Chat: // which seals nothing
		thought = Thought{Text: "why", From: Chat}
	case Generate: // which seals the call
		thought.Signature = ""
	}
	calls := []Part{
		{Kind: Thinking, Thought: &thought},
		{Text: "I look \u2028 \"at\" é "},
		{Kind: Call, Call: &ToolCall{ID: "call_1", Name: "f", Args: `{"city":"Köln","n":1.0}`, Signature: seals[upstream].call, From: upstream}},
		{Kind: Call, Call: &ToolCall{ID: "call_2", Name: "g"}},
	}
	cited := []Part{{Text: "It is so.", From: Messages, Cites: []Citation{{URL: "https://x", Title: "X", Quote: "q"}}}}
	replies := map[string]*Reply{}
	for name, c := range map[string]Candidate{"calls": {Stop: StopTools, Parts: calls}, "cited": {Stop: StopEnd, Parts: cited}} {
		r := &Reply{ID: "abc", Model: "m", Created: 1, From: upstream, HasUsage: true, Choices: []Candidate{c}}
		r.Usage.Set(costs.Input, 30)
		r.Usage.Set(costs.InputCacheRead, 20)
		r.Usage.Set(costs.Output, 9)
		replies[name] = r
	}
	return replies
}

// TestAccumulated writes what clients of the SDKs get, as a stream and whole.
// tests/sdk/go feeds these files to the SDKs' accumulators, which make the
// whole reply of the stream.
func TestAccumulated(t *testing.T) {
	for _, client := range []API{Chat, Messages} {
		for _, upstream := range others(client) {
			for name, reply := range accumulated(upstream) {
				stream, whole := carriedBoth(t, byAPI(upstream), byAPI(client), reply)
				file := fmt.Sprintf("testdata/accumulated/%s-of-%s-%s", client, upstream, name)
				holdGolden(t, file+".sse", bytes.TrimRight(stream, "\n"))
				holdGolden(t, file+".golden", whole)
			}
		}
	}
}

// carriedBoth carries a reply as a stream and whole.
func carriedBoth(t *testing.T, upstream, client *Codec, reply *Reply) (stream, whole []byte) {
	t.Helper()
	theirs := &Request{Model: "m", From: upstream.API, Stream: true, IncludeUsage: true}
	asked := &Request{Model: "m", From: client.API, Stream: true, IncludeUsage: true}
	served, err := upstream.DecodeReply(upstream.EncodeReply(reply, theirs))
	if err != nil {
		t.Fatal(err)
	}
	e := upstream.NewEncoder(theirs)
	tellAll(func(n int) int { return min(n, 5) }, reply, func(ev *Event) {
		switch p := ev.Part; {
		case ev.Kind == Open && p.Cites != nil: // they come as deltas
			bare := *p
			bare.Cites = nil
			ev.Part = &bare
		case ev.Kind == Close && reply.Choices[0].Parts[ev.Index].Cites != nil:
			stream = e.Append(stream, &Event{Kind: CiteDelta, Index: ev.Index, Part: &reply.Choices[0].Parts[ev.Index]})
		}
		stream = e.Append(stream, ev)
	})
	return through(t, upstream, client, asked, stream), client.EncodeReply(served, asked)
}
