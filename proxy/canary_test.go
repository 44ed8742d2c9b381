package proxy

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"weir/ledger"
)

// Secrets are planted wherever a client or an operator may write one. After
// many outcomes none is in a log, a metric, a span, an error body, the spool
// or the database.
func TestPlantedSecretsDoNotLeak(t *testing.T) {
	const (
		provider = "sk-canary-provider-1111111111"
		inBody   = "canary-in-body-2222222222"
		inReply  = "canary-in-reply-3333333333"
		vendorK  = "sk-canary-client-4444444444"
		inHeader = "canary-in-header-5555555555"
		inQuery  = "canary-in-query-6666666666"
		inCookie = "canary-in-cookie-7777777777"
		inURL    = "canary-in-userinfo-8888888888"
	)
	reply := strings.Replace(chatReply, "hello", inReply, 1)
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request, body string) {
		switch {
		case strings.Contains(body, "case-401"):
			says(401, `{"error":{"message":"Incorrect API key provided: `+strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")+`"}}`)(w, r, body)
		case strings.Contains(body, "case-500"):
			says(500, `{"error":{"message":"boom"}}`)(w, r, body)
		case strings.Contains(body, "case-html"):
			fmt.Fprint(w, "<html>"+inReply+" "+r.Header.Get("Authorization"))
		case strings.Contains(body, "case-cut"):
			sse(w, chunk(inReply))
			panic(http.ErrAbortHandler)
		case strings.Contains(body, "case-event"):
			sse(w, `data: {"error":{"message":"`+r.Header.Get("Authorization")+`"}}`+"\n\n")
		case strings.Contains(body, "case-hang"):
			<-r.Context().Done()
		case strings.Contains(body, `"stream":true`):
			sse(w, chunk(inReply), stopChunk, usageChunk, doneEvent)
		default:
			says(200, reply)(w, r, body)
		}
	})
	spans := tracetest.NewInMemoryExporter()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	metrics := prometheus.NewRegistry()
	var k keyring
	p := ProviderSettings{Name: "up", Kind: "openai", BaseURL: strings.Replace(v.url, "http://", "http://"+inURL+":"+inURL+"@", 1) + "/v1", APIKey: provider, Models: []string{"*"}}
	dead := p
	dead.Name, dead.BaseURL = "dead", "http://"+inURL+"@127.0.0.1:1/v1"
	ro := route("m*", []string{"up"}, nil)
	ro.Timeouts = Timeouts{TTFT: 200 * time.Millisecond, Total: time.Second}
	g := newRig(t, Settings{Auth: AuthKeys, Providers: []ProviderSettings{p, dead}, Routes: []RouteSettings{ro, route("dead", []string{"dead"}, nil)}}, k.option(t), func(o *Options) {
		o.Metrics, o.Tracer = NewMetrics(metrics), tracer.Tracer("weir")
	})
	token := k.make(t, ledger.KeySpec{Name: "one"})
	var shown strings.Builder // all that clients see of errors
	calls := 0
	ask := func(path, model, word string, stream bool, headers ...string) {
		body := fmt.Sprintf(`{"model":%q,"stream":%v,"messages":[{"role":"user","content":"%s %s"}]}`, model, stream, inBody, word)
		resp, got := g.post(path+"?x="+inQuery, body, append(headers, "X-Weir-Timeout", "500ms", "X-Secret", inHeader, "Cookie", "s="+inCookie, "Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")...)
		if resp.StatusCode >= 400 || strings.Contains(got, "broken") {
			fmt.Fprintln(&shown, strings.ReplaceAll(got, chunk(inReply), ""), resp.Header)
		}
	}
	good := []string{"Authorization", "Bearer " + token}
	const chat = "/v1/chat/completions"
	for _, stream := range []bool{false, true} {
		for _, word := range []string{"", "case-401", "case-500", "case-html", "case-cut", "case-event", "case-hang"} {
			ask(chat, "m1", word, stream, good...)
			ask("/providers/up"+chat, "m1", word, stream && word != "case-event" && word != "case-html", good...)
			calls += 2
		}
		ask(chat, "dead", "", stream, good...)
		ask(chat, "nobody/x", "", stream, good...)
		ask("/v1/messages", "m1", "", stream, good...)
		calls += 3
		ask(chat, "m1", "", stream, "Authorization", "Bearer "+vendorK)
		ask(chat, "m1", "", stream, "Authorization", "Bearer "+token+"x")
		ask(chat, "m1", "", stream, "X-Api-Key", vendorK, "Authorization", "Bearer "+token)
		ask("/nowhere", "m1", "", stream, good...)
	}
	resp, got := g.post(chat+"?key="+token, `{"model":"m1","messages":"`+inBody+`"`)
	fmt.Fprintln(&shown, got, resp.Header)
	calls++
	g.calls(calls)

	if err := tracer.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	g.shut()
	places := map[string]string{"errors": shown.String(), "logs": g.log.String(), "metrics": figures(t, metrics), "spans": fmt.Sprintf("%+v", spans.GetSpans()), "spool and store": g.everythingKept()}
	for place, text := range places {
		if len(text) == 0 && place != "logs" {
			t.Errorf("%s: empty, so nothing is proved", place)
		}
		for _, secret := range []string{provider, inBody, inReply, vendorK, inHeader, inQuery, inCookie, inURL, token, token[8:]} {
			if i := strings.Index(text, secret); i >= 0 && !(place == "errors" && secret == inReply && strings.Contains(text, "<html>")) {
				t.Errorf("%s show %s: …%.300s", place, secret, text[max(0, i-150):])
			}
		}
	}
}
