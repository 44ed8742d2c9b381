package proxy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// A reference is found wherever it lies in a body that is kept in a file.
func TestReferencesAcrossPiecesOfAFile(t *testing.T) {
	g, mock := keptRig(t, nil)
	one := g.respond("claude-haiku-4-5", false, `,"store":true,"input":"hello"`)
	var item struct{ ID string }
	if err := json.Unmarshal(one.Output[len(one.Output)-1], &item); err != nil {
		t.Fatal(err)
	}
	head := `{"model":"gpt-4o-mini","input":[{"role":"user","content":"`
	ref := fmt.Sprintf("\"},{\n        \"id\": %q,\n        \"type\": \"item_reference\"\n      }", item.ID)
	border := 64 << 10 // the end of a piece
	for _, at := range []int{3, 10, 30, 66} {
		fill := border - len(head) - strings.Index(ref, "_weir_") - at
		body := head + strings.Repeat("x", fill) + ref + `,{"role":"user","content":"` + strings.Repeat("y ", 1<<20) + `"}]}`
		resp, got := g.post("/v1/responses", body)
		sent := mock.Requests()
		if last := string(sent[len(sent)-1].Body); resp.StatusCode != 200 || strings.Contains(last, "item_reference") {
			t.Errorf("at %d: %d %.200s; the reference went upstream: %t", at, resp.StatusCode, got, strings.Contains(last, "item_reference"))
		}
	}
}

// What is referred to many times counts as often.
func TestReferencesToOneLargeItem(t *testing.T) {
	text := strings.Repeat("z", 1<<20)
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request, body string) {
		says(200, `{"id":"m","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"`+text+`"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}`)(w, r, body)
	})
	g := newRig(t, Settings{Providers: []ProviderSettings{at("anthropic", "anthropic", v.url)}}, keeping)
	one := g.respond("anthropic/m", false, `,"store":true,"input":"hello"`)
	var item struct{ ID string }
	if err := json.Unmarshal(one.Output[len(one.Output)-1], &item); err != nil {
		t.Fatal(err)
	}
	ref := fmt.Sprintf(`,{"type":"item_reference","id":%q}`, item.ID)
	for n, status := range map[int]int{3: 200, 70: 400} {
		resp, got := g.post("/v1/responses", `{"model":"anthropic/m","input":[`+strings.Repeat(ref, n)[1:]+`]}`)
		if resp.StatusCode != status || status == 400 && !strings.Contains(got, "64 MiB") {
			t.Errorf("%d references: %d %.200s", n, resp.StatusCode, got)
		}
	}
}
