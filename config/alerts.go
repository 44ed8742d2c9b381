package config

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/costs"
)

// Alerts say whom to tell what happens, and which keys run away.
type Alerts struct {
	Webhooks []Webhook
	Runaway  Runaway
}

// A Webhook is where alerts are told. One without a URL is off.
type Webhook struct {
	Name    string // default: the URL's host
	URL     Secret
	Format  string            // slack | json; default slack for Slack's own host
	Secret  Secret            // bodies are signed with it; "" = they are not
	Headers map[string]Secret // sent with each alert
	Kinds   []string          // only these; none: all
}

// A Runaway is when a key that asks the same again and again runs away. The
// zero Runaway is off.
type Runaway struct {
	Repeats int           // of one prompt; 0: off
	Within  time.Duration // default 10m
	Spend   costs.Money   // by them; default $1
	Action  string        // alert | pause; default alert
}

// alertKinds are the kinds of the package alerts.
var alertKinds = []string{
	"budget_threshold", "budget_reached", "budget_refused", "limit_threshold", "runaway_loop", "key_paused", "limiter_degraded", "limiter_recovered",
	"price_drift", "test",
}

// AlertKinds returns the kinds that a webhook can be kept to.
func AlertKinds() []string { return slices.Clone(alertKinds) }

var (
	webhookURL    = func(w *Webhook) *Secret { return &w.URL }
	webhookSecret = func(w *Webhook) *Secret { return &w.Secret }
)

var alertsShape = object(
	key("webhooks", "Where alerts are told. See docs/alerts.md.", list(webhookShape), func(a *Alerts) *[]Webhook { return &a.Webhooks }),
	key("runaway", "Keys that ask the same again and again, as a program in a loop does. Default: nobody looks.", runawayShape, func(a *Alerts) *Runaway { return &a.Runaway }),
)

var webhookShape = object(
	key("name", "What it is called in lists and logs. Default: its host.", text, func(w *Webhook) *string { return &w.Name }),
	key("url", "Where alerts are posted to. It is kept as a secret. Without one the webhook is off.", secret, webhookURL),
	fileOf("url", webhookURL),
	key("format", "slack ({\"text\": …}, which many others take too) or json (the whole event). Default: slack for hooks.slack.com, else json.",
		chosen("json", "slack"), func(w *Webhook) *string { return &w.Format }),
	key("secret", "Bodies are signed with it, as Standard Webhooks say: whsec_ and base64, or any text.", secret, webhookSecret),
	fileOf("secret", webhookSecret),
	key("headers", "Headers sent with each alert.", lookup(secret), func(w *Webhook) *map[string]Secret { return &w.Headers }),
	key("kinds", "Only alerts of these kinds: "+strings.Join(alertKinds, ", ")+". Default: all.", list(chosen(alertKinds...)), func(w *Webhook) *[]string { return &w.Kinds }),
)

var runawayShape = object(
	key("repeats", "So many calls of one key with one prompt are a loop. 0, the default, is off.", whole, func(r *Runaway) *int { return &r.Repeats }),
	key("within", "In this time. Default 10m.", duration, func(r *Runaway) *time.Duration { return &r.Within }),
	key("spend", "And they cost so much together, as far as is known; $0: whatever they cost. Default $1.", dollars, func(r *Runaway) *costs.Money { return &r.Spend }),
	key("action", "alert: it is told. pause: the key is paused, and it is told. Default alert.",
		chosen("alert", "pause"), func(r *Runaway) *string { return &r.Action }),
)

// The bounds of alerts.
const (
	maxWebhooks = 16
	maxRepeats  = 1_000_000
	maxWithin   = 24 * time.Hour
)

func (c *Config) validateAlerts(d *decoder) {
	names := map[string]bool{}
	a := &c.Alerts
	for i := range a.Webhooks {
		w := &a.Webhooks[i]
		where := "alerts.webhooks[" + strconv.Itoa(i) + "]"
		if w.URL == "" {
			d.warn(w, "write url: https://…", "%s: it has no url and is off", where)
			continue
		}
		if !w.validate(d, where) {
			continue
		}
		if names[w.Name] {
			d.at(w, "give each one a name of its own", "%s: another webhook has the name %q", where, clip(w.Name))
		}
		names[w.Name] = true
	}
	if len(a.Webhooks) > maxWebhooks {
		d.at(&a.Webhooks, "", "alerts.webhooks: %d of them: want at most %d", len(a.Webhooks), maxWebhooks)
	}
	a.Webhooks = slices.DeleteFunc(a.Webhooks, func(w Webhook) bool { return w.URL == "" })
	c.validateRunaway(d)
}

// validate checks a webhook and fills in its defaults. What is said of its URL
// does not have it.
func (w *Webhook) validate(d *decoder, where string) bool {
	u, err := url.Parse(string(w.URL))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Fragment != "" {
		d.at(&w.URL, "", "%s.url: want a URL like https://host/path", where)
		return false
	}
	if u.Scheme == "http" && !isPrivateHost(string(w.URL)) {
		d.warn(&w.URL, "use https", "%s.url: alerts go over the network in the clear", where)
	}
	if w.Name == "" {
		w.Name = u.Hostname()
	}
	if !providerName.MatchString(w.Name) {
		d.at(&w.Name, "", "%s.name: %q: want letters, digits, dots, dashes", where, clip(w.Name))
	}
	if w.Format == "" {
		w.Format = "json"
		if u.Hostname() == "hooks.slack.com" {
			w.Format = "slack"
		}
	}
	if key, ok := strings.CutPrefix(string(w.Secret), "whsec_"); ok {
		if b, err := base64.StdEncoding.DecodeString(key); err != nil || len(b) == 0 {
			d.at(&w.Secret, "printf 'whsec_%s\\n' \"$(openssl rand -base64 32)\" makes one", "%s.secret: want base64 behind whsec_", where)
		}
	}
	for name, value := range w.Headers {
		if !headerName.MatchString(name) || !isHeaderValue(string(value)) {
			d.at(&w.Headers, "", "%s.headers: %q cannot be sent as a header", where, clip(name))
		}
	}
	return true
}

func (c *Config) validateRunaway(d *decoder) {
	r := &c.Alerts.Runaway
	said := func(field any) bool { _, yes := d.lines[field]; return yes }
	if !said(&r.Repeats) {
		if said(&r.Within) || said(&r.Spend) || said(&r.Action) {
			d.at(r, "repeats: 50", "alerts.runaway: repeats is missing")
		}
		return
	}
	if r.Repeats == 1 || r.Repeats > maxRepeats {
		d.at(&r.Repeats, "", "alerts.runaway.repeats: want 2 to %d, or 0 for off", maxRepeats)
	}
	if !said(&r.Within) {
		r.Within = 10 * time.Minute
	}
	if r.Within < time.Second || r.Within > maxWithin {
		d.at(&r.Within, "", "alerts.runaway.within: want 1s to 24h")
	}
	if !said(&r.Spend) {
		r.Spend, _ = costs.ParseUSD("1")
	}
	if r.Action == "" {
		r.Action = "alert"
	}
	if c.Auth == AuthOff && r.Repeats > 0 {
		d.warn(r, "with auth: keys callers have keys", "alerts.runaway: with auth: off no call has a key: nobody is looked at")
	}
}
