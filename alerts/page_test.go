package alerts

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the event in docs/alerts.md anew")

// TestEventInPage: the event that docs/alerts.md shows is what webhooks get.
func TestEventInPage(t *testing.T) {
	const page = "../docs/alerts.md"
	e := budget(80, "20.13", "block")
	e.Forecast = Foresee(e, lately("month", "14"), e.At)
	e.Text = e.Say()
	body, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(text), "```json\n")
	_, tail, closed := strings.Cut(rest, "```\n")
	if !found || !closed {
		t.Fatal("docs/alerts.md shows no event")
	}
	want := head + "```json\n" + string(body) + "\n```\n" + tail
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if string(text) != want {
		t.Error("docs/alerts.md shows another event: go test ./alerts -run Page -update")
	}
}
