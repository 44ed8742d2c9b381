//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"

	"weir/internal/mockllm"
	"weir/internal/tokens"
)

// An upstream is weir's mock with moods: answers of several prices, errors, and
// connections that break. It sends few events and says in its usage that they
// were many, so that two cores can play all parts.
type upstream struct {
	addr   string
	mock   *mockllm.Server
	server *http.Server
	ended  chan struct{}

	mu   sync.Mutex
	dice *rand.Rand
}

// moods are what a request may meet, each with its share of a hundred, its
// output in tokens, and the mock's rule for it.
var moods = []struct {
	name  string
	share int
	used  int64
	rule  string
}{
	{"short", 30, 120, "words: 12, ttft: 30ms, tokens_per_second: 60"},
	{"usual", 32, 300, "words: 20, ttft: 80ms, tokens_per_second: 40"},
	{"long", 20, 700, "words: 30, latency: 120ms, tokens_per_second: 30"},
	{"slow", 6, 300, "words: 20, latency: 1500ms, tokens_per_second: 10"},
	{"error", 5, 0, "status: 500"},
	{"busy", 2, 0, "status: 429, headers: {retry-after-ms: '50'}"},
	{"drop", 2, 0, "drop: reset"},
	{"cut", 3, 300, "words: 30, tokens_per_second: 40, cut_events: 12, how: reset"},
}

const moodHeader = "X-Overshoot-Mood"

// moodRules are the mock's rules for all moods under all output limits.
func moodRules() ([]mockllm.Rule, error) {
	e, _, _ := tokens.For(model)
	doc := "rules:\n"
	for _, m := range moods {
		for _, allowed := range limitsAsked() {
			doc += fmt.Sprintf("  - {match: {header: {%s: %s.%d}}, %s", moodHeader, m.name, allowed, m.rule)
			if used := m.used; used > 0 {
				if allowed > 0 {
					used = min(used, allowed)
				}
				in := e.Count(prompt)
				doc += fmt.Sprintf(", usage_json: {prompt_tokens: %d, completion_tokens: %d, total_tokens: %d}", in, used, in+used)
			}
			doc += "}\n"
		}
	}
	return mockllm.ParseRules([]byte(doc))
}

func startUpstream(seed uint64) (*upstream, error) {
	rules, err := moodRules()
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the upstream: %w", err)
	}
	u := &upstream{
		addr: ln.Addr().String(), mock: mockllm.New(mockllm.Options{Rules: rules}), ended: make(chan struct{}),
		dice: rand.New(rand.NewPCG(seed, 2)),
	}
	u.server = &http.Server{Handler: u}
	go func() {
		defer close(u.ended)
		if err := u.server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			fmt.Println("the upstream ended:", err)
		}
	}()
	return u, nil
}

// maxBody is far above what the clients send.
const maxBody = 1 << 20

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		var said struct {
			Allowed int64 `json:"max_tokens"`
		}
		if err = errors.Join(err, json.Unmarshal(body, &said)); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.Header.Set(moodHeader, fmt.Sprint(u.mood(), ".", said.Allowed))
	}
	u.mock.ServeHTTP(w, r)
}

func (u *upstream) mood() string {
	u.mu.Lock()
	n := u.dice.IntN(100)
	u.mu.Unlock()
	for _, m := range moods {
		if n -= m.share; n < 0 {
			return m.name
		}
	}
	return moods[0].name
}

func (u *upstream) end() {
	_ = u.server.Close() // its connections are cut
	u.mock.Close()
	<-u.ended
}
