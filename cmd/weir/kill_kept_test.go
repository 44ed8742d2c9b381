package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A conversation that Weir keeps outlives a kill -9 at any moment: what was
// answered whole can be read and gone on from by the next process.
func TestKilledServerKeepsConversations(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills a server many times")
	}
	up := newPacedUpstream(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "weir.yaml")
	data, admin := freeAddress(t), freeAddress(t)
	writeConfig(t, file, fmt.Sprintf("auth: off\nlisten: %s\nadmin: {listen: %s, token: a-token-for-this-test}\nresponses: {state: on}\n"+
		"store: sqlite:%s/weir.db\nproviders:\n  up: {kind: openai, base_url: %s/v1, api_key: sk-up, models: [\"*\"], apis: [chat]}\n", data, admin, dir, up.URL))
	var kept []string
	for range 5 {
		server := startServer(t, file, "http://"+data+"/healthz")
		done, answered := make(chan []string), make(chan bool, 1)
		go func() { done <- converse("http://"+data, kept, answered) }()
		select {
		case <-answered: // a slow machine has something to lose, too
		case <-time.After(30 * time.Second):
			t.Fatal("no turn was answered in 30 s")
		}
		time.Sleep(time.Duration(50+rand.IntN(200)) * time.Millisecond)
		if err := server.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = server.Wait() // it was killed
		kept = <-done
	}
	last := startServer(t, file, "http://"+data+"/healthz")
	defer func() { _ = last.Process.Kill(); _ = last.Wait() }()
	for _, id := range kept {
		resp, err := http.Get("http://" + data + "/v1/responses/" + id)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || !strings.Contains(string(text), id) {
			t.Errorf("%s: %d %s", id, resp.StatusCode, text)
		}
	}
	if id := turn("http://"+data, kept[len(kept)-1], false); id == "" {
		t.Error("the conversation cannot go on")
	}
	t.Logf("a conversation of %d turns over 6 processes", len(kept)+1)
	if len(kept) < 6 {
		t.Errorf("%d turns prove nothing", len(kept))
	}
}

// converse goes on with a conversation until the server is dead, and returns
// the ids of all its answers that came whole. It says when the first has come.
func converse(base string, ids []string, answered chan<- bool) []string {
	for {
		previous := ""
		if len(ids) > 0 {
			previous = ids[len(ids)-1]
		}
		id := turn(base, previous, len(ids)%2 == 0)
		if id == "" {
			return ids
		}
		ids = append(ids, id)
		select {
		case answered <- true:
		default:
		}
	}
}

// turn is the id of the answer to one more turn; "": it did not come whole.
func turn(base, previous string, stream bool) string {
	body := fmt.Sprintf(`{"model":"m","stream":%v,"input":"go on"}`, stream)
	if previous != "" {
		body = fmt.Sprintf(`{"model":"m","stream":%v,"input":"go on","previous_response_id":%q}`, stream, previous)
	}
	resp, err := http.Post(base+"/v1/responses", "application/json", strings.NewReader(body))
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if stream { // its last event is the answer's end, whatever becomes of the connection
		_, data, ok := strings.Cut(string(text), "event: response.completed\ndata: ")
		if !ok || !strings.HasSuffix(data, "\n\n") {
			return ""
		}
		var e struct{ Response struct{ ID string } }
		if json.Unmarshal([]byte(data), &e) != nil {
			return ""
		}
		return e.Response.ID
	}
	var r struct{ ID string }
	if err != nil || resp.StatusCode != 200 || json.Unmarshal(text, &r) != nil {
		return ""
	}
	return r.ID
}
