package config

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAlerts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(file, []byte("https://hooks.slack.com/services/T0/hidden\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Parse("weir.yaml", []byte(`auth: keys
alerts:
  webhooks:
    - {url_file: `+file+`}
    - {name: ops, url: "${OPS}", secret: whsec_aGlkZGVu, headers: {X-Team: hidden}, kinds: [budget_reached, key_paused]}
    - {url: "${NONE:-}"}
  runaway: {repeats: 50}
`), func(name string) (string, bool) {
		if name == "OPS" {
			return "http://10.0.0.5/hidden?k=hidden", true
		}
		return "", false
	})
	if err != nil {
		t.Fatal(err)
	}
	hooks := c.Alerts.Webhooks
	if len(hooks) != 2 || hooks[0].Name != "hooks.slack.com" || hooks[0].Format != "slack" || !strings.HasSuffix(string(hooks[0].URL), "/T0/hidden") ||
		hooks[1].Name != "ops" || hooks[1].Format != "json" || string(hooks[1].URL) != "http://10.0.0.5/hidden?k=hidden" || len(hooks[1].Kinds) != 2 {
		t.Errorf("webhooks %+v", hooks)
	}
	if r := c.Alerts.Runaway; r.Repeats != 50 || r.Within != 10*time.Minute || r.Spend.String() != "1" || r.Action != "alert" {
		t.Errorf("runaway %+v", r)
	}
	if len(c.Warnings) != 2 || c.Warnings[1].Line != 6 || !strings.Contains(c.Warnings[1].What, "alerts.webhooks[2]: it has no url and is off") {
		t.Errorf("warnings %v", c.Warnings)
	}
	shown, err := json.Marshal(c.Redacted())
	if err != nil || strings.Contains(string(shown), "hidden") || !strings.Contains(string(shown), `"url":"(set)"`) || strings.Contains(fmt.Sprintf("%v %+v", c.Alerts, c.Alerts), "hidden") {
		t.Errorf("shown: %s, %v", shown, err)
	}
	if c, err := Parse("", []byte("alerts: {runaway: {repeats: 3, spend: $0, within: 1m, action: pause}}"), nil); err != nil || !c.Alerts.Runaway.Spend.IsZero() || c.Alerts.Runaway.Action != "pause" {
		t.Errorf("%+v, %v", c, err)
	}
	// Who has no key cannot run away.
	for auth, want := range map[string]int{"off": 2, "keys": 1, "passthrough": 1} { // one is that there are no providers
		c, err := Parse("", []byte("auth: "+auth+"\nalerts: {runaway: {repeats: 3}}"), nil)
		if err != nil || len(c.Warnings) != want || want == 2 && !strings.Contains(c.Warnings[0].Error()+c.Warnings[1].Error(), "with auth: off no call has a key") {
			t.Errorf("auth: %s: %v, %v", auth, c.Warnings, err)
		}
	}
	if c, err := Parse("", nil, nil); err != nil || c.Alerts.Runaway.Repeats != 0 || c.Alerts.Webhooks != nil {
		t.Errorf("%+v, %v", c.Alerts, err)
	}
}

func TestBadAlerts(t *testing.T) {
	check := func(entry string, want string) {
		t.Helper()
		_, err := Parse("weir.yaml", []byte("auth: off\nalerts:\n  "+entry), nil)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "weir.yaml:3: ") || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s\ngot  %v\nwant weir.yaml:3: … %s", entry, err, want)
		}
	}
	check("webhooks: [{url: ftp://h/hidden}]", "alerts.webhooks[0].url: want a URL like https://host/path")
	check("webhooks: [{url: 'https://%zz/hidden'}]", "want a URL like")
	check("webhooks: [{url: /hidden}]", "want a URL like")
	check("webhooks: [{url: https://h/a}, {url: https://h/hidden}]", `alerts.webhooks[1]: another webhook has the name "h"`)
	check("webhooks: [{url: https://h/a, name: a b}]", "alerts.webhooks[0].name: \"a b\": want letters")
	check("webhooks: [{url: https://h/a, secret: whsec_hidden!}]", "alerts.webhooks[0].secret: want base64 behind whsec_")
	check("webhooks: [{url: https://h/a, headers: {'a b': x}}]", "cannot be sent as a header")
	check("webhooks: [{url: https://h/a, format: slak}]", `(did you mean "slack"?)`)
	check("webhooks: [{url: https://h/a, kinds: [budget_reach]}]", `(did you mean "budget_reached"?)`)
	check("webhooks: ["+strings.Repeat("{url: https://h/a, name: a},", 17)+"]", "want at most 16")
	check("runaway: {within: 5m}", "alerts.runaway: repeats is missing")
	check("runaway: {repeats: 1}", "alerts.runaway.repeats: want 2 to")
	check("runaway: {repeats: 5, within: 25h}", "alerts.runaway.within: want 1s to 24h")
	check("runaway: {repeats: 5, spend: -1}", "alerts.runaway.spend: want dollars like $2.50")
	check("runaway: {repeats: 5, action: block}", "want one of alert, pause")
	check("slack: x", `unknown key "slack"`)
}
