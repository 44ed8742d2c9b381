package wire

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Each line of a batch's results tells its own usage, wherever it is cut.
func TestLines(t *testing.T) {
	check := func(api API, vendor, text string, want ...string) {
		t.Helper()
		for size := range len(text) + 1 {
			var got []string
			l := NewLines(api, vendor, func(r *Reading) { got = append(got, r.ServedModel+" "+string(r.Usage.AppendJSON(nil))+r.ServiceTier) })
			for piece := range slices.Chunk([]byte(text), max(size, 1)) {
				l.Feed(piece)
			}
			l.End()
			if !slices.Equal(got, want) {
				t.Fatalf("in pieces of %d:\n got %q\nwant %q", size, got, want)
			}
		}
	}
	message := func(model string, in, out int) string {
		return fmt.Sprintf(`{"custom_id":"usage","result":{"type":"succeeded","message":{"id":"m","type":"message","model":%q,"content":[{"type":"text","text":"{\"usage\":{\"input_tokens\":9}}\n"}],"usage":{"input_tokens":%d,"output_tokens":%d,"service_tier":"batch"}}}}`, model, in, out)
	}
	check(Messages, "anthropic", strings.Join([]string{
		message("a", 1, 2),
		`{"custom_id":"2","result":{"type":"errored","error":{"type":"error","error":{"type":"invalid_request","message":"usage"}}}}`,
		`{"custom_id":"3","result":{"type":"expired"},"usage":{"input_tokens":7}}`, `not JSON`, ``, message("b", 3, 4),
	}, "\n"), `a {"input":1,"output":2}batch`, `b {"input":3,"output":4}batch`)
	check(Batches, "openai", `{"id":"1","custom_id":"c","response":{"status_code":200,"body":{"id":"r","model":"m","service_tier":"default","usage":{"prompt_tokens":5,"completion_tokens":6,"prompt_tokens_details":{"cached_tokens":2}}}},"error":null}`+"\n",
		`m {"input":3,"input_cache_read":2,"output":6}default`)
	check(Messages, "anthropic", message("a", 1, 2)[:150])
}

// Nonsense neither breaks the reader nor reads otherwise in pieces.
func FuzzLines(f *testing.F) {
	f.Add([]byte(`{"result":{"message":{"model":"m","usage":{"input_tokens":1}}}}`+"\n"), 3)
	f.Add([]byte(`[[[{"usage":{"input_tokens":1}}]]]`+"\n"+`{"response":{"body":{"output":[{"type":"web_search_call"}],"usage":{"input_tokens":2}}}}`), 1)
	f.Add([]byte("\n\n{\"a\":{\"b\":{\"tool_usage\":{\"web_search\":{\"num_requests\":3}},\"choices\":[{}],\"error\":{\"message\":\"x\"}}}}"), 7)
	f.Fuzz(func(t *testing.T, text []byte, size int) {
		for _, api := range []API{Messages, Batches} {
			read := func(size int) (got []string) {
				l := NewLines(api, "", func(r *Reading) { got = append(got, r.ServedModel+string(r.Usage.AppendJSON(nil))) })
				for piece := range slices.Chunk(text, max(size, 1)) {
					l.Feed(piece)
				}
				l.End()
				return got
			}
			if whole, cut := read(len(text)), read(size%64); !slices.Equal(whole, cut) {
				t.Errorf("%q: %q whole, %q in pieces", text, whole, cut)
			}
		}
	})
}
