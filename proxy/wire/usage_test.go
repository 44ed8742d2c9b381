package wire

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"weir/costs"
)

var apisByName = map[string]API{
	"chat": Chat, "responses": Responses, "messages": Messages, "generate": Generate,
	"embeddings": Embeddings, "images": Images, "transcriptions": Transcriptions, "rerank": Rerank,
}

// costs/testdata/usage.json has usage objects as the vendors send them, and
// what their leaves are. A reply that holds one reads as the flavour says.
func TestReplyReadsUsage(t *testing.T) {
	var rows []struct {
		Vendor, Provider, API, Note string
		Usage                       json.RawMessage
		Want                        costs.Usage
	}
	data, err := os.ReadFile("../../costs/testdata/usage.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &rows); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, row := range rows {
		api, ok := apisByName[row.API]
		if !ok {
			continue // not an API of ours
		}
		seen++
		member := "usage"
		if api == Generate {
			member = "usageMetadata"
		}
		if strings.HasPrefix(string(row.Usage), `{"meta"`) {
			row.Usage = row.Usage[len(`{"meta":`) : len(row.Usage)-1]
			member = "meta"
		}
		r := NewReply(api)
		r.SetVendor(row.Provider, "m")
		r.Feed([]byte(`{"` + member + `":` + string(row.Usage) + `}`))
		if got := r.Reading(); got.Usage != row.Want || got.Inconsistent {
			t.Errorf("%s (%s): %s\n got %s\nwant %s", row.Vendor, row.Note, row.Usage, got.Usage.AppendJSON(nil), row.Want.AppendJSON(nil))
		}
	}
	if seen < 50 {
		t.Errorf("%d rows are of our APIs", seen)
	}
}

// What is no number that can be counted is unknown, and never zero.
func TestReadUsageOfNonsense(t *testing.T) {
	check := func(api API, raw, want string) {
		t.Helper()
		if got := string(ReadUsage(api, []byte(raw)).AppendJSON(nil)); got != want {
			t.Errorf("%s = %s, want %s", raw, got, want)
		}
	}
	check(Chat, `{}`, `{}`)
	check(Chat, `null`, `{}`)
	check(Chat, `{"prompt_tokens":`, `{}`)
	check(Chat, `[]`, `{}`)
	check(Chat, `{"prompt_tokens":null,"completion_tokens":"5"}`, `{}`)
	check(Chat, `{"prompt_tokens":-1,"completion_tokens":1.5}`, `{}`)
	check(Chat, `{"prompt_tokens":12.0,"completion_tokens":1e2}`, `{"input":12,"output":100}`)
	check(Chat, `{"prompt_tokens":99999999999999999999,"completion_tokens":9223372036854775807}`, `{}`)
	check(Chat, `{"prompt_tokens":5,"prompt_tokens_details":{"cached_tokens":-3}}`, `{"input":5}`)
	check(Chat, `{"prompt_tokens":5,"prompt_tokens_details":{"cached_tokens":9}}`, `{"input":0,"input_cache_read":5}`)
	check(Chat, `{"prompt_tokens":5,"prompt_tokens_details":null,"completion_tokens_details":[1]}`, `{"input":5}`)
	check(Messages, `{"input_tokens":-5,"output_tokens":3}`, `{"output":3}`)
	check(Generate, `{"promptTokenCount":5,"cachedContentTokenCount":9}`, `{"input":0,"input_cache_read":5}`)
	check(Chat, `{"usage":{"prompt_tokens":5}}`, `{}`)
}

// Over one reply later figures overwrite earlier ones, member by member at
// Anthropic and as a whole elsewhere.
func TestUsageOverAStream(t *testing.T) {
	check := func(api API, want string, raws ...string) {
		t.Helper()
		f := costs.FlavourOf("", api.String(), nil)
		var u costs.Usage
		for _, raw := range raws {
			u = f.Read([]byte(raw), u).Usage
		}
		if got := string(u.AppendJSON(nil)); got != want {
			t.Errorf("%s = %s, want %s", raws, got, want)
		}
	}
	const split = `{"input_tokens":5,"cache_creation_input_tokens":30,"cache_creation":{"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":10},"output_tokens":1}`
	check(Messages, `{"input":5,"input_cache_write_5m":20,"input_cache_write_1h":10,"output":7}`, split, `{"output_tokens":7}`)
	check(Messages, `{"input":5,"input_cache_write_5m":20,"input_cache_write_1h":10,"output":7}`, split, `{"cache_creation_input_tokens":30,"output_tokens":7}`)
	check(Messages, `{"input":5,"input_cache_write":4,"input_cache_write_5m":20,"input_cache_write_1h":10,"output":7}`, split, `{"cache_creation_input_tokens":34,"output_tokens":7}`)
	check(Messages, `{"input":5,"input_cache_write_5m":0,"input_cache_write_1h":0,"output":1}`, split, `{"cache_creation_input_tokens":0}`)
	check(Messages, `{"input":5,"input_cache_write_5m":0,"input_cache_write_1h":30,"output":1}`, split, `{"cache_creation_input_tokens":30,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":30}}`)
	check(Messages, `{"input":5,"input_cache_write":0,"input_cache_write_5m":20,"input_cache_write_1h":10,"output":1}`, `{"cache_creation_input_tokens":30}`, split)
	check(Messages, `{"output":6,"output_reasoning":4}`, `{"output_tokens":9,"output_tokens_details":{"thinking_tokens":4}}`, `{"output_tokens":10}`)
	check(Messages, `{"output":2,"output_reasoning":8}`, `{"output_tokens":9,"output_tokens_details":{"thinking_tokens":4}}`, `{"output_tokens":10,"output_tokens_details":{"thinking_tokens":8}}`)
	check(Messages, `{"input":5}`, `{"input_tokens":5}`, `nonsense`)
	check(Chat, `{"input":9,"output":2}`, `{"prompt_tokens":9,"prompt_tokens_details":{"cached_tokens":3},"completion_tokens":1}`, `{"prompt_tokens":9,"completion_tokens":2}`)
	check(Generate, `{"input":4,"output":2}`, `{"promptTokenCount":4,"thoughtsTokenCount":3}`, `{"promptTokenCount":4,"candidatesTokenCount":2}`)
}

// The invariant: whatever the details say, the leaves add up to the totals.
func FuzzReadUsage(f *testing.F) {
	const maxCount = 1 << 53
	f.Add(int64(10), int64(5), int64(3), int64(2), int64(1), int64(4), int64(0))
	f.Add(int64(1<<53), int64(1<<53), int64(1<<53), int64(0), int64(7), int64(1<<53), int64(1<<53))
	f.Fuzz(func(t *testing.T, in, out, cached, written, audio, reasoning, extra int64) {
		for _, n := range []int64{in, out, cached, written, audio, reasoning, extra} {
			if n < 0 || n > maxCount/4 {
				return
			}
		}
		raw, _ := json.Marshal(map[string]any{
			"prompt_tokens": in, "completion_tokens": out, "total_tokens": in + out + extra,
			"prompt_tokens_details":     map[string]any{"cached_tokens": cached, "cache_write_tokens": written, "audio_tokens": audio},
			"completion_tokens_details": map[string]any{"reasoning_tokens": reasoning, "audio_tokens": audio},
		})
		u := ReadUsage(Chat, raw)
		gotIn, _ := u.Input()
		gotOut, _ := u.Output()
		if gotIn+gotOut != in+out+extra || gotIn != in && gotIn != in+extra {
			t.Fatalf("%s: %d in, %d out", raw, gotIn, gotOut)
		}
		raw, _ = json.Marshal(map[string]any{
			"input_tokens": in, "output_tokens": out, "cache_read_input_tokens": cached, "cache_creation_input_tokens": written,
			"cache_creation":        map[string]any{"ephemeral_5m_input_tokens": audio, "ephemeral_1h_input_tokens": extra},
			"output_tokens_details": map[string]any{"thinking_tokens": reasoning},
		})
		u = ReadUsage(Messages, raw)
		gotIn, _ = u.Input()
		gotOut, _ = u.Output()
		if gotIn != in+cached+written || gotOut != out {
			t.Fatalf("%s: %d in, %d out", raw, gotIn, gotOut)
		}
		raw, _ = json.Marshal(map[string]any{
			"promptTokenCount": in, "candidatesTokenCount": out, "cachedContentTokenCount": cached, "toolUsePromptTokenCount": written, "thoughtsTokenCount": reasoning,
			"promptTokensDetails": []any{map[string]any{"modality": "AUDIO", "tokenCount": audio}, map[string]any{"tokenCount": extra, "modality": "IMAGE"}},
			"cacheTokensDetails":  []any{map[string]any{"modality": "AUDIO", "tokenCount": extra}},
		})
		u = ReadUsage(Generate, raw)
		gotIn, _ = u.Input()
		gotOut, _ = u.Output()
		if gotIn != in+written || gotOut != out+reasoning {
			t.Fatalf("%s: %d in, %d out", raw, gotIn, gotOut)
		}
	})
}

// No bytes make it panic, and what cannot be is never negative.
func TestReadUsageNeverPanics(t *testing.T) {
	seed := `{"prompt_tokens":10,"prompt_tokens_details":{"cached_tokens":3},"promptTokensDetails":[{"modality":"AUDIO","tokenCount":4}],"x":[[{"tokenCount":1}]],"tokenCount":2}`
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		p := []byte(seed)
		for range 1 + r.IntN(4) {
			p[r.IntN(len(p))] = `{}[]",:-0e9`[r.IntN(11)]
		}
		for _, api := range apisByName {
			u := ReadUsage(api, p)
			for _, m := range costs.Meters() {
				if n, _ := u.Get(m); n < 0 {
					t.Fatalf("%s: %v = %d", p, m, n)
				}
			}
		}
	}
	if u := ReadUsage(Chat, []byte(strings.Repeat(`{"a":`, 50)+"1"+strings.Repeat("}", 50))); !u.IsZero() {
		t.Errorf("nested numbers count: %s", u.AppendJSON(nil))
	}
}
