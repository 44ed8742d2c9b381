package neutral

import (
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"weir/internal/mockllm"
)

// FuzzAcross: for any pair of dialects a conversation comes back from the
// other one as it was, a reply is the same after two translations of its
// stream, and a stream that is cut off anywhere before its end does not look
// whole.
func FuzzAcross(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(holdAcross))
}

// TestAcross runs the same laws on drawn input.
func TestAcross(t *testing.T) { rapid.Check(t, holdAcross) }

func holdAcross(t *rapid.T) {
	a := byAPI(rapid.SampledFrom(apis).Draw(t, "a"))
	b := byAPI(rapid.SampledFrom(slices.DeleteFunc(slices.Clone(apis), func(api API) bool { return api == a.API })).Draw(t, "b"))
	first := cross(t, drawTalk(t, a.API), a)
	if got, want := said(cross(t, cross(t, first, b), a)), said(first); !slices.Equal(got, want) {
		t.Fatalf("%s → %s → %s:\n got %q\nwant %q", a.API, b.API, a.API, got, want)
	}

	asked := func(c *Codec) *Request {
		return &Request{Model: "m", From: c.API, Stream: true, IncludeUsage: true}
	}
	reply := drawAnswer(t, a.API, b.API)
	var there []byte
	e := a.NewEncoder(asked(a))
	tellAll(func(n int) int { return rapid.IntRange(1, n).Draw(t, "piece") }, reply, func(ev *Event) { there = e.Append(there, ev) })
	back := through(t, b, a, asked(a), through(t, a, b, asked(b), there))
	if got, want := plainly(rebuildStream(t, a, back)), plainly(reply); !reflect.DeepEqual(got, want) {
		t.Fatalf("%s → %s → %s:\n%s\n got %+v\nwant %+v", a.API, b.API, a.API, back, got, want)
	}
	holdCut(t, a, b, asked(b), there)
}

// holdCut cuts a stream off between two of its events and carries what is left.
func holdCut(t *rapid.T, upstream, client *Codec, asked *Request, stream []byte) {
	events, err := mockllm.Events(stream)
	if err != nil {
		t.Fatal(err)
	}
	cut := rapid.IntRange(0, len(events)-1).Draw(t, "cut")
	d, e := upstream.NewDecoder(), client.NewEncoder(asked)
	stopped := false
	var out []byte
	emit := func(ev *Event) {
		stopped = stopped || ev.Kind == Stop
		out = e.Append(out, ev)
	}
	for _, ev := range events[:cut] {
		if err := d.Event(ev.Name, []byte(ev.Data), emit); err != nil {
			t.Fatal(err)
		}
	}
	d.End(emit)
	if _, err := mockllm.ReadStream(streams[client.API], out); err == nil && !stopped {
		t.Fatalf("%s → %s: cut after %d of %d events, and looks whole:\n%s", upstream.API, client.API, cut, len(events), out)
	}
}
