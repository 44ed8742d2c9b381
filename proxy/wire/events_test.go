package wire

import (
	"slices"
	"testing"
)

func TestEvents(t *testing.T) {
	check := func(in string, want ...string) {
		t.Helper()
		var got []string
		for name, data := range Events([]byte(in)) {
			got = append(got, name+"|"+string(data))
		}
		if !slices.Equal(got, want) {
			t.Errorf("Events(%q) = %q, want %q", in, got, want)
		}
	}
	check("")
	check(": ping\n\n")
	check("data: {}\n\n", "|{}")
	check("event: a\ndata:1\n\nevent: b\r\ndata: 2\r\n\r\n", "a|1", "b|2")
	check("data: x\rdata: y\r\rid: 3\n\ndata: [DONE]\n\n", "|x\ny", "|[DONE]")
	check("data: x\ndata: y\ndata:  z\n\n", "|x\ny\n z")
	check("event: only\n\ndata: last", "|last")
	check("data\n\n", "|")
}

// TestEventsAfterByteOrderMark: a mark before a stream is no part of its first
// event, which a reply in one event has nothing beside.
func TestEventsAfterByteOrderMark(t *testing.T) {
	var got []string
	for name, data := range Events([]byte(byteOrderMark + "data: one\n\nevent: e\ndata: two\n\n")) {
		got = append(got, name+"="+string(data))
	}
	if len(got) != 2 || got[0] != "=one" || got[1] != "e=two" {
		t.Errorf("got %q", got)
	}
}
