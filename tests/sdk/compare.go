package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Differences between the direct run and one through Weir that are meant.
var (
	// onlyFramed are headers about this hop, not about the reply.
	onlyFramed = []string{"date", "content-length", "transfer-encoding", "connection", "keep-alive"}
	// ofStreams are headers that Weir writes on every stream, for buffers on the way.
	ofStreams = []string{"cache-control", "x-accel-buffering"}
	// asksUsage are the cases whose streams do not ask for usage: Weir asks
	// upstream in their place, so the mock sees another body, and its ids,
	// which follow from the body, are others.
	asksUsage = []string{"stream_plain", "abort", "truncated"}
)

// sound checks the direct run's result by itself, so that a comparison with
// it says something. It returns what is wrong, or "".
func sound(l line) string {
	if m, ok := l.Seen.(map[string]any); ok && m["raised"] != nil {
		return fmt.Sprintf("raised %v", m["raised"])
	}
	var got []int
	for _, h := range l.HTTP {
		got = append(got, h.Status)
	}
	want := []int{200} // of bad_key and unknown_model too: the mock takes any
	switch name := strings.TrimPrefix(l.Case, "claude_"); {
	case name == "retry_429":
		want = []int{429, 200}
	case name == "retry_500", name == "absorbed":
		want = []int{500, 500, 200}
	case name == "exhausted":
		want = []int{500, 500, 500}
	case name == "error_stream":
		want = []int{500}
	case strings.HasPrefix(name, "error_"):
		status, _ := strconv.Atoi(strings.TrimPrefix(name, "error_"))
		want = []int{status}
		got = slices.Compact(got)
	case strings.HasSuffix(name, "tools") && name != "stream_tools":
		if len(got) < 2 {
			return fmt.Sprintf("no tool loop: statuses %v", got)
		}
		got = slices.Compact(got)
	case name == "timeout":
		want = nil // no answer
	case name == "abort":
		if text := texts(l.Seen); len(text) != 3 {
			return fmt.Sprintf("aborted after %d pieces of text", len(text))
		}
	}
	if !slices.Equal(got, want) {
		return fmt.Sprintf("statuses %v, want %v", got, want)
	}
	return ""
}

// texts finds the list of pieces in an abort's result.
func texts(seen any) []any {
	if m, ok := seen.(map[string]any); ok {
		seen = m["text"]
	}
	list, _ := seen.([]any)
	return list
}

// compare returns how a result through Weir differs from the direct one.
func compare(direct, through line) (diffs []string) {
	switch {
	case strings.HasSuffix(direct.Case, "truncated"):
		return truncated(direct, through)
	case direct.Case == "absorbed", direct.Case == "exhausted":
		return retriedHere(direct, through)
	case direct.Case == "model_list":
		return listed(through)
	}
	diff(&diffs, "seen", direct.Seen, through.Seen)
	diff(&diffs, "usage", plain(direct.Usage), plain(through.Usage))
	if len(direct.HTTP) != len(through.HTTP) {
		return append(diffs, fmt.Sprintf("http: %d exchanges, directly %d", len(through.HTTP), len(direct.HTTP)))
	}
	for i := range direct.HTTP {
		d, t := direct.HTTP[i], through.HTTP[i]
		at := fmt.Sprintf("http[%d]", i)
		if d.Status != t.Status {
			diffs = append(diffs, fmt.Sprintf("%s: status %d, directly %d", at, t.Status, d.Status))
		}
		diff(&diffs, at+".headers", headers(direct.Case, d), headers(direct.Case, t))
	}
	for i, gap := range direct.Gaps { // the retry-after of a second; Google's SDKs do not read it
		if direct.Case == "retry_429" && gap > 0 && through.Gaps[i] == 0 {
			diffs = append(diffs, "did not wait for retry-after")
		}
	}
	return diffs
}

// truncated compares streams that the upstream ended early: the same text, but
// through Weir never without an error.
func truncated(direct, through line) (diffs []string) {
	d, _ := direct.Seen.(map[string]any)
	t, _ := through.Seen.(map[string]any)
	diff(&diffs, "seen.text", d["text"], t["text"])
	if t["failed"] == nil {
		diffs = append(diffs, fmt.Sprintf("a truncated stream looks whole: %s", short(through.Seen)))
	}
	return diffs
}

// retriedHere compares a case that Weir itself retries: the same end, but the SDK sees
// only that, once.
func retriedHere(direct, through line) (diffs []string) {
	for _, l := range []line{direct, through} {
		if m, ok := l.Seen.(map[string]any); ok {
			delete(m, "retries") // of the SDK
		}
	}
	diff(&diffs, "seen", direct.Seen, through.Seen)
	diff(&diffs, "usage", plain(direct.Usage), plain(through.Usage))
	last := direct.HTTP[len(direct.HTTP)-1].Status
	if len(through.HTTP) != 1 || through.HTTP[0].Status != last {
		diffs = append(diffs, fmt.Sprintf("http: %d exchanges, want one of status %d", len(through.HTTP), last))
	}
	return diffs
}

// listed checks a list of models, which is Weir's own: it only must be one
// that the SDK can read.
func listed(through line) []string {
	if names, ok := through.Seen.([]any); !ok || len(names) == 0 || names[0] == "" {
		return []string{"no list of models: " + short(through.Seen)}
	}
	return nil
}

// headers are those that must be the same.
func headers(name string, e exchange) any {
	m := map[string]any{}
	for _, h := range e.Headers {
		k, v := h[0], h[1]
		if slices.Contains(onlyFramed, k) || strings.HasPrefix(k, "x-weir-") || k == "trailer" && v == "X-Weir-Cost-Usd" ||
			slices.Contains(ofStreams, k) && strings.HasPrefix(e.header("content-type"), "text/event-stream") {
			continue
		}
		if k == "x-request-id" && slices.Contains(asksUsage, name) {
			v = "some id"
		}
		if old, ok := m[k]; ok {
			v = old.(string) + ", " + v
		}
		m[k] = v
	}
	return m
}

// plain turns a value into what encoding/json makes of it.
func plain(v any) any {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	var out any
	if err := json.Unmarshal(b, &out); err != nil {
		return err.Error()
	}
	return out
}

// diff notes, by path, where two JSON values differ: at most ten places.
func diff(out *[]string, at string, want, got any) {
	if len(*out) >= 10 || reflect.DeepEqual(want, got) {
		return
	}
	switch w := want.(type) {
	case map[string]any:
		if g, ok := got.(map[string]any); ok {
			keys := slices.Collect(maps.Keys(w))
			for k := range g {
				if _, both := w[k]; !both {
					keys = append(keys, k)
				}
			}
			slices.Sort(keys)
			for _, k := range keys {
				diff(out, at+"."+k, w[k], g[k])
			}
			return
		}
	case []any:
		if g, ok := got.([]any); ok && len(g) == len(w) {
			for i := range w {
				diff(out, fmt.Sprintf("%s[%d]", at, i), w[i], g[i])
			}
			return
		}
	}
	*out = append(*out, fmt.Sprintf("%s: %s, directly %s", at, short(got), short(want)))
}

func short(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	if len(b) > 400 {
		return fmt.Sprintf("%s… (%d bytes)", b[:400], len(b))
	}
	return string(b)
}
