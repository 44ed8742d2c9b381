package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"weir/costs"
	"weir/ledger"
)

// An id that was taken and is added again counts from then on.
func TestBackgroundRing(t *testing.T) {
	b := background{objects: newObjects(nil, slog.Default())}
	defer b.objects.close()
	add := func(id string) { b.add(id, "up") }
	take := func(id string) bool { return b.take(context.Background(), id) }
	add("again")
	if !take("again") || take("again") {
		t.Error("it was not awaited once")
	}
	for i := range maxBackground - 2 {
		add(fmt.Sprint(i))
	}
	add("again")
	add("x")
	add("y")
	if !b.awaits(context.Background(), "again") {
		t.Error("the newest went for its own old place")
	}
	for i := range 2 * maxBackground { // those taken leave no trace
		id := fmt.Sprint("t", i)
		add(id)
		take(id)
	}
	if !b.awaits(context.Background(), "again") || !b.awaits(context.Background(), "5") {
		t.Error("those that are awaited went for those that are not")
	}
}

// What runs on is awaited over a restart, and counted once by all the
// processes of one store.
func TestBackgroundOverARestart(t *testing.T) {
	p := openaiAt(mockRules(t, map[string]any{"usage_json": json.RawMessage(`{"input_tokens":1000,"output_tokens":100,"total_tokens":1100}`)}))
	p.PriceAs = "openai"
	settings := Settings{Providers: []ProviderSettings{p}, Prices: costs.Builtin()}
	db := newStore(t, t.TempDir())
	t.Cleanup(func() { _ = db.Close() })
	shared := func(o *Options) { o.Objects = ledger.NewObjects(db) }
	first := newRig(t, settings, shared, pricedOn923)
	_, text := first.post("/v1/responses", `{"model":"gpt-5.6-sol","input":"later","background":true}`)
	path := "/v1/responses/" + idIn(t, text)
	eventually(t, "the store's row", func() bool {
		_, ok, err := ledger.NewObjects(db).Provider(t.Context(), awaitedPrefix+idIn(t, text))
		return ok && err == nil
	})
	second := newRig(t, settings, shared, pricedOn923)
	for _, look := range []struct {
		at   *rig
		want string
	}{{second, "0.006"}, {second, ""}, {first, ""}} {
		resp, text := look.at.do("GET", path, "")
		if got := resp.Header.Get(costHeader); got != look.want {
			t.Errorf("told %q, want %q: %s", got, look.want, text)
		}
		eventually(t, "the store's word", func() bool {
			who, _, _ := ledger.NewObjects(db).Provider(t.Context(), awaitedPrefix+idIn(t, text))
			return who == counted
		})
	}
}

func pricedOn923(o *Options) { o.PricedAt = func(time.Time) time.Time { return day923 } }

// A response of the background runs on where its stream breaks off: it is
// paid for whole at a later look, and not in part before.
func TestBackgroundStreamThatBreaksOff(t *testing.T) {
	response := func(status, usage string) string {
		return `{"id":"resp_1","object":"response","status":"` + status + `","background":true,"model":"gpt-5.6-sol","output":[],"usage":` + usage + `}`
	}
	p := openaiAt(upstreamServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, response("completed", `{"input_tokens":1000,"output_tokens":100,"total_tokens":1100}`))
			return
		}
		sse(w, "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":"+response("in_progress", "null")+"}\n\n",
			"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":1,\"delta\":\"some words\"}\n\n")
		<-r.Context().Done()
	}))
	p.PriceAs = "openai"
	g := newTill(t, false, Settings{Providers: []ProviderSettings{p}})
	g.leaves("/v1/responses", `{"model":"gpt-5.6-sol","input":"hi","background":true,"stream":true}`, 2)
	eventually(t, "the end of the stream's call", func() bool { return len(g.stored()) == 1 })
	for _, want := range []string{"0.006", ""} {
		if told, text := g.buys("GET", "/v1/responses/resp_1", ""); told != want {
			t.Errorf("told %q, want %q: %s", told, want, text)
		}
	}
	g.holds("aborted : [unpriced  wasted]", "ok 0.006: [computed 0.006]", "ok : [ ]")
}
