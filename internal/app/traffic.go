package app

import (
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// demoUsers is how many callers the demo's traffic has at once; each makes a
// call, waits a little, and makes the next.
const demoUsers = 16

// traffic makes calls like those of a few customers' products.
type traffic struct {
	base    string
	client  *http.Client
	calls   atomic.Int64
	ok      atomic.Int64
	errors  atomic.Int64
	cut     atomic.Int64
	aborted atomic.Int64
}

// Counts are how the calls of a Demo ended, as its callers saw them.
type Counts struct {
	Calls   int64 // begun
	OK      int64
	Errors  int64 // an HTTP error
	Cut     int64 // a stream that broke
	Aborted int64 // the caller left
}

func newTraffic(base string) *traffic {
	return &traffic{base: base, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: demoUsers}}}
}

func (t *traffic) counts() Counts {
	return Counts{t.calls.Load(), t.ok.Load(), t.errors.Load(), t.cut.Load(), t.aborted.Load()}
}

var (
	demoCustomers = []string{"acme", "acme", "acme", "globex", "globex", "initech", "umbrella", "hooli"}
	demoFeatures  = []string{"support-chat", "support-chat", "summarize", "search", "agent"}
	demoPrompts   = []string{
		"Where is my order 4711?", "Sum up this ticket in two lines: the printer is on fire again.",
		"Translate to German: the weir holds the water back.", "Which plan has single sign-on?",
		"Write a haiku about a slow database.", "Plan the steps to rotate our keys.",
	}
	demoFaults = []string{"limited", "broken", "refused", "cut", "cut"}
)

// user makes one call after the other until ctx ends.
func (t *traffic) user(ctx context.Context) {
	for ctx.Err() == nil {
		t.call(ctx)
		select {
		case <-ctx.Done():
		case <-time.After(200*time.Millisecond + rand.N(1200*time.Millisecond)):
		}
	}
}

// call makes one call and reads its reply, or leaves in the middle.
func (t *traffic) call(ctx context.Context) {
	t.calls.Add(1)
	leaves := rand.IntN(20) == 0
	if leaves {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 250*time.Millisecond+rand.N(500*time.Millisecond))
		defer cancel()
	}
	resp, err := t.client.Do(t.request(ctx))
	if err != nil {
		t.gone(ctx)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case ctx.Err() != nil:
		t.gone(ctx)
	case err != nil || strings.Contains(string(body), `"error":{`) && resp.StatusCode == http.StatusOK:
		t.cut.Add(1)
	case resp.StatusCode >= 400:
		t.errors.Add(1)
	default:
		t.ok.Add(1)
	}
}

func (t *traffic) gone(ctx context.Context) {
	if ctx.Err() != nil {
		t.aborted.Add(1)
	} else {
		t.errors.Add(1)
	}
}

// request is a random call in one of the dialects.
func (t *traffic) request(ctx context.Context) *http.Request {
	stream, prompt := rand.IntN(3) > 0, pick(demoPrompts)
	header := http.Header{}
	var path string
	var body any
	message := []any{map[string]any{"role": "user", "content": prompt}}
	switch rand.IntN(10) {
	case 0, 1, 2:
		path, header = "/v1/messages", http.Header{"Anthropic-Version": {"2023-06-01"}}
		body = map[string]any{"model": pick([]string{"claude-haiku-4-5", "claude-haiku-4-5", "claude-sonnet-4-5", "claude-opus-4-5"}), "max_tokens": 1024, "stream": stream, "messages": message}
	case 3, 4:
		path = "/v1beta/models/gemini-2.5-flash:generateContent"
		if stream {
			path = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
		}
		body = map[string]any{"contents": []any{map[string]any{"role": "user", "parts": []any{map[string]any{"text": prompt}}}}}
	case 5:
		path, body = "/v1/embeddings", map[string]any{"model": "text-embedding-3-small", "input": prompt}
	case 6:
		path, body = "/v1/responses", map[string]any{"model": "assistant", "input": prompt, "stream": stream}
	default:
		path, body = "/v1/chat/completions", map[string]any{"model": "assistant", "messages": message, "stream": stream}
	}
	return t.signed(ctx, path, header, body)
}

// signed makes the request and says who it is for.
func (t *traffic) signed(ctx context.Context, path string, header http.Header, body any) *http.Request {
	text, err := json.Marshal(body)
	if err != nil { // it is made of maps and texts
		panic(err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.base+path, strings.NewReader(string(text)))
	if err != nil { // the base URL is that of a listener
		panic(err)
	}
	r.Header = header
	header.Set("Content-Type", "application/json")
	header.Set("User-Agent", "weir-demo")
	header.Set("X-Weir-Customer", pick(demoCustomers))
	header.Set("X-Weir-Feature", pick(demoFeatures))
	header.Set("X-Weir-Tags", pick([]string{"env=prod", "env=prod", "env=staging"})+",plan="+pick([]string{"free", "team", "enterprise"}))
	if rand.IntN(12) == 0 {
		header.Set("X-Demo", pick(demoFaults))
	}
	return r
}

func pick(list []string) string { return list[rand.IntN(len(list))] }
