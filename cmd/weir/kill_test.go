package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The law: whatever the moment of a kill -9, a call whose answer a client has
// in full is in the ledger once, as it was answered; and a call that was under
// way is there at most once, as interrupted where the upstream had it.
//
// WEIR_KILLS sets how many times the server is killed; make soak takes hundreds.
func TestKilledServerLosesNoAnswer(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills a server many times")
	}
	kills, err := strconv.Atoi(os.Getenv("WEIR_KILLS"))
	if err != nil {
		kills = 12
	}
	up := newPacedUpstream(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "weir.yaml")
	data, admin := freeAddress(t), freeAddress(t)
	writeConfig(t, file, fmt.Sprintf("auth: off\nlisten: %s\nadmin: {listen: %s, token: a-token-for-this-test}\n"+
		"store: sqlite:%s/weir.db\nproviders:\n  up: {kind: openai, base_url: %s/v1, api_key: sk-up, models: [\"*\"]}\n", data, admin, dir, up.URL))

	answered := map[string]int{} // call id → output tokens that the client was told
	for range kills {
		server := startServer(t, file, "http://"+data+"/healthz")
		stop := make(chan struct{})
		done := make(chan map[string]int)
		go func() { done <- hammer("http://"+data, stop) }()
		time.Sleep(time.Duration(rand.IntN(400)) * time.Millisecond)
		if err := server.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = server.Wait() // it was killed
		close(stop)
		for id, n := range <-done {
			answered[id] = n
		}
	}
	last := startServer(t, file, "http://"+data+"/healthz")
	defer func() { _ = last.Process.Kill(); _ = last.Wait() }()
	checkLedger(t, file, answered, int(up.asked()))
}

// checkLedger holds the ledger against what clients were answered.
func checkLedger(t *testing.T, file string, answered map[string]int, asked int) {
	t.Helper()
	rows := listedCalls(t, file)
	// The calls that the last kill cut become rows a moment after the start,
	// once all the ends that were written before are stored.
	for deadline := time.Now().Add(30 * time.Second); len(rows) < asked && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
		rows = listedCalls(t, file)
	}
	seen := map[string]string{}
	for _, r := range rows {
		if before, twice := seen[r.ID]; twice {
			t.Errorf("%s is in the ledger twice: %s and %s", r.ID, before, r.Outcome)
		}
		seen[r.ID] = r.Outcome
		want, whole := answered[r.ID]
		if whole && (r.Outcome != "ok" || r.Usage["output"] != want) {
			t.Errorf("%s was answered with %d tokens, the ledger has %s with %d", r.ID, want, r.Outcome, r.Usage["output"])
		}
	}
	interrupted := 0
	for _, outcome := range seen {
		if outcome == "interrupted" {
			interrupted++
		}
	}
	for id := range answered {
		if seen[id] == "" {
			t.Errorf("%s was answered and is not in the ledger", id)
		}
	}
	if len(seen) < asked {
		t.Errorf("the upstream was asked %d times, the ledger has %d calls", asked, len(seen))
	}
	t.Logf("%d answered, %d interrupted, %d in the ledger, %d asked of the upstream", len(answered), interrupted, len(seen), asked)
	if len(answered) == 0 || interrupted == 0 {
		t.Errorf("%d answered and %d interrupted calls prove nothing", len(answered), interrupted)
	}
}

// A listedCall is a row of weir calls list.
type listedCall struct {
	ID      string
	Outcome string
	Usage   map[string]int
}

func listedCalls(t *testing.T, file string) (rows []listedCall) {
	t.Helper()
	out, err := weir(t, "calls", "list", "--config", file, "--json", "--limit", "1000000").Output()
	if err != nil {
		t.Fatalf("calls list: %v", err)
	}
	if err := json.Unmarshal(out, &rows); err != nil {
		t.Fatal(err)
	}
	return rows
}

// hammer sends calls, streamed and not, until stop, and returns those whose
// answer came in full.
func hammer(base string, stop chan struct{}) map[string]int {
	var mu sync.Mutex
	var wg sync.WaitGroup
	whole := map[string]int{}
	for i := range 6 {
		wg.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if id, n, ok := oneCall(client, base, i%2 == 0); ok {
					mu.Lock()
					whole[id] = n
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return whole
}

// oneCall reports whether a call's answer came whole, by the answer's own end.
func oneCall(client *http.Client, base string, stream bool) (id string, tokens int, ok bool) {
	body := fmt.Sprintf(`{"model":"m","stream":%v,"messages":[{"role":"user","content":"hi"}]}`, stream)
	resp, err := client.Post(base+"/v1/chat/completions", "application/json", strings.NewReader(body))
	if err != nil {
		time.Sleep(2 * time.Millisecond) // the server is dead
		return "", 0, false
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	id = resp.Header.Get("X-Weir-Call-Id")
	if stream {
		// The terminator is the answer's end, whatever becomes of the connection.
		return id, bytes.Count(text, []byte(`"content":"w`)), bytes.HasSuffix(text, []byte("data: [DONE]\n\n"))
	}
	var reply struct {
		Usage struct {
			Tokens int `json:"completion_tokens"`
		}
	}
	whole := err == nil && resp.StatusCode == http.StatusOK && json.Unmarshal(text, &reply) == nil
	return id, reply.Usage.Tokens, whole
}

// A pacedUpstream answers a little later, so that a kill finds calls under way.
type pacedUpstream struct {
	*httptest.Server
	mu sync.Mutex
	n  int64
}

func (u *pacedUpstream) asked() int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.n
}

func newPacedUpstream(t *testing.T) *pacedUpstream {
	u := &pacedUpstream{}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		u.mu.Lock()
		u.n++
		words := int(u.n%7) + 1
		u.mu.Unlock()
		if !bytes.Contains(body, []byte(`"stream":true`)) {
			time.Sleep(time.Duration(rand.IntN(8)) * time.Millisecond)
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"w"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":%d,"total_tokens":%d}}`, words, words+1)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range words {
			fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"w%d \"}}]}\n\n", i)
			w.(http.Flusher).Flush()
			time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
		}
		fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":%d,\"total_tokens\":%d}}\n\ndata: [DONE]\n\n", words, words+1)
	}))
	t.Cleanup(u.Close)
	return u
}

// weir is a command line of this test's own binary, as weir.
func weir(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath("weir") // testscript.Main has put one on PATH
	if err != nil {
		t.Fatal(err)
	}
	return exec.Command(path, args...)
}

func startServer(t *testing.T, file, health string) *exec.Cmd {
	t.Helper()
	cmd := weir(t, "serve", "--config", file)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.Copy(&said, stderr)
	}()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		resp, err := http.Get(health)
		if err == nil {
			resp.Body.Close()
			return cmd
		}
	}
	_ = cmd.Process.Kill()
	<-drained
	t.Fatalf("the server does not start: %s", said.String())
	return nil
}

func writeConfig(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
