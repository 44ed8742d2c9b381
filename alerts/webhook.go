package alerts

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A Webhook is where events are told. Its URL, headers and secret are the
// operator's and are never logged.
type Webhook struct {
	Name    string // unique among the configured ones
	URL     string
	Format  string            // slack, json
	Secret  []byte            // bodies are signed with it; empty: they are not
	Headers map[string]string // sent with each event
	Kinds   []Kind            // only these; none: all
}

// The formats.
const (
	Slack = "slack" // {"text": "…"}, as Slack, Mattermost, Rocket.Chat and Discord's /slack take it
	JSON  = "json"  // the Event
)

// ReadSecret reads the secret of a webhook: whsec_ and base64, as the
// libraries of Standard Webhooks take it, or any other text as it is.
func ReadSecret(s string) ([]byte, error) {
	text, ok := strings.CutPrefix(s, "whsec_")
	if !ok {
		return []byte(s), nil
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) == 0 {
		return nil, errors.New("want base64 behind whsec_")
	}
	return key, nil
}

// postTime bounds one try.
const postTime = 10 * time.Second

// maxSaid bounds what is read of an answer.
const maxSaid = 4 << 10

// An Answer is what a webhook said.
type Answer struct {
	Status string        // "200 OK"; empty: there was no answer
	Said   string        // the begin of its body, on one line
	Took   time.Duration // until then
	After  time.Duration // how long it wants to be left alone; 0: it does not say
	Err    error         // why the event was not taken; nil: it was
}

// Summary says in a few words how a try went, without what the webhook wrote.
func (a *Answer) Summary() string {
	if a.Status != "" {
		return a.Status
	}
	return clip(a.Err.Error(), 200)
}

// client is who asks webhooks: no redirects, since the body may only go where
// the operator said, and no connection is kept for the next event.
var client = &http.Client{
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, ForceAttemptHTTP2: true},
}

// Post tells an event, once.
func (h *Webhook) Post(ctx context.Context, e *Event) (a Answer) {
	ctx, cancel := context.WithTimeout(ctx, postTime)
	defer cancel()
	began := time.Now()
	defer func() { a.Took = time.Since(began) }()
	req, err := h.request(ctx, e, began)
	if err != nil {
		a.Err = err
		return a
	}
	resp, err := client.Do(req)
	if err != nil {
		a.Err = bare(err)
		return a
	}
	defer resp.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(resp.Body, maxSaid)) // what came of it
	a.Status, a.Said = clip(plain(resp.Status), 60), plain(strings.Join(strings.Fields(string(said)), " "))
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		a.Err = errors.New("it answers " + a.Status)
		if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
			a.After = min(time.Duration(min(seconds, 86400))*time.Second, maxPause)
		}
	}
	return a
}

func (h *Webhook) request(ctx context.Context, e *Event, now time.Time) (*http.Request, error) {
	body, err := h.body(e)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("its URL cannot be used")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "weir-alerts")
	for name, value := range h.Headers {
		req.Header.Set(name, value)
	}
	stamp := strconv.FormatInt(now.Unix(), 10)
	req.Header.Set("Webhook-Id", e.ID)
	req.Header.Set("Webhook-Timestamp", stamp)
	if len(h.Secret) > 0 {
		req.Header.Set("Webhook-Signature", sign(h.Secret, e.ID, stamp, body))
	}
	return req, nil
}

// sign is a signature by Standard Webhooks (standardwebhooks.com): the
// HMAC-SHA256 of id, timestamp and body.
func sign(secret []byte, id, stamp string, body []byte) string {
	m := hmac.New(sha256.New, secret)
	fmt.Fprintf(m, "%s.%s.%s", id, stamp, body)
	return "v1," + base64.StdEncoding.EncodeToString(m.Sum(nil))
}

func (h *Webhook) body(e *Event) ([]byte, error) {
	if h.Format == Slack {
		return json.Marshal(map[string]string{"text": slackEscapes.Replace(e.Text)})
	}
	return json.Marshal(e)
}

// slackEscapes keeps names that clients choose from being links and mentions:
// these three are all that Slack reads as control characters.
var slackEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// bare is an error without the URL, which often is a secret.
func bare(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %s", postTime)
	}
	return err
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
