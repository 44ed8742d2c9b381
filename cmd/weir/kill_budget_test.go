package main

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// TestKilledServerKeepsBudgets: a budget admits as many calls whether or not
// the server is killed among them, and whether one process makes them or two
// that share a store.
func TestKilledServerKeepsBudgets(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills servers")
	}
	// What a call reserves, what 9 cost, and a bit: the tenth is the last.
	const text = "auth: off\nproviders: {mock: {kind: mock, price_as: openai}}\nlimits: [{scope: global, usd_per_month: $0.000178}]\n"
	spend := func(base string, most int) (answered int, refused bool) {
		t.Helper()
		for answered < most {
			resp, err := http.Post(base+"/v1/chat/completions", "application/json", strings.NewReader(`{"model":"mock/gpt-4o-mini","messages":[{"role":"user","content":"hi"}]}`))
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			switch {
			case resp.StatusCode == http.StatusOK:
				answered++
			case strings.Contains(string(body), "insufficient_quota"):
				return answered, true
			default:
				t.Fatalf("%s: %s", resp.Status, body)
			}
		}
		return answered, false
	}
	serve := func(dir, name string) (base string, kill func()) {
		t.Helper()
		data, admin := freeAddress(t), freeAddress(t)
		file := filepath.Join(dir, name+".yaml")
		writeConfig(t, file, fmt.Sprintf("listen: %s\nadmin: {listen: %s}\nstore: sqlite:%s/weir.db\nspool: {dir: %s/%s}\n%s", data, admin, dir, dir, name, text))
		server := startServer(t, file, "http://"+data+"/healthz")
		return "http://" + data, func() { _ = server.Process.Kill(); _ = server.Wait() }
	}

	base, kill := serve(t.TempDir(), "whole")
	whole, refused := spend(base, 100)
	kill()
	if whole < 5 || !refused {
		t.Fatalf("%d calls prove nothing", whole)
	}

	dir := t.TempDir()
	base, kill = serve(dir, "a")
	first, _ := spend(base, 4)
	kill()
	base, kill = serve(dir, "a")
	rest, refused := spend(base, 100)
	kill()
	if first+rest != whole || !refused {
		t.Errorf("%d calls were answered before the kill and %d after it; without one it was %d", first, rest, whole)
	}

	// A second process knows what is in the store as it starts. What the first
	// one had not shipped it takes over, or learns within a minute.
	base, kill = serve(dir, "b")
	defer kill()
	if more, refused := spend(base, 100); more > rest || !refused {
		t.Errorf("a second process on the store admits %d calls more", more)
	}
}
