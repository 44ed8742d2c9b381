//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// An ask is a sort of request, by what it says of its output.
type ask struct {
	name    string
	allowed int64 // max_tokens; 0: it does not say
}

// The asks. With a strict budget every request has an output limit: without
// one the most that it may use is the model's own limit.
var (
	openAsks   = []ask{{"open", 0}, {"open", 0}, {"wide", 800}, {"cut", 200}, {"small", 64}}
	strictAsks = []ask{{"cut", 200}, {"middle", 400}, {"wide", 800}, {"small", 64}}
	small      = ask{"small", 64}
)

// limitsAsked are the output limits of all asks.
func limitsAsked() (list []int64) {
	for _, a := range append(append([]ask{}, openAsks...), strictAsks...) {
		if !slices.Contains(list, a.allowed) {
			list = append(list, a.allowed)
		}
	}
	return list
}

const model = "gpt-4o"

// prompt is what all clients send.
var prompt = strings.Repeat("9 7 3 1 ", 40)

const customer = "acme"

// rampTime is in which the clients come.
const rampTime = 2 * time.Second

// A refusal is one that a budget was the reason of.
type refusal struct {
	spent                 bool // for good, not only by what others hold
	limit, used, asked    int64
	small, unintelligible bool
	text                  string
}

// A load is the clients of a run and what they were told.
type load struct {
	r        *run
	done     chan struct{} // closed when all clients have ended
	answered atomic.Int64
	aborted  atomic.Int64
	failed   atomic.Int64 // 5xx, or a broken connection
	odd      atomic.Int64 // answers that nobody expects

	mu       sync.Mutex
	whole    map[string]bool // ids of calls whose answers clients have in full
	refusals []refusal
	early    int // of them, before clients came again
	oddText  string
}

func newLoad(r *run) *load {
	return &load{r: r, done: make(chan struct{}), whole: map[string]bool{}}
}

// run returns when each client was told that the budget is spent even for the
// smallest request.
func (l *load) run(ctx context.Context) {
	var all sync.WaitGroup
	for i := range l.r.o.clients {
		dice := rand.New(rand.NewPCG(l.r.dice.Uint64(), uint64(i)))
		c := &client{l: l, dice: dice, home: i % len(l.r.c.servers)}
		if i < len(l.r.c.servers) { // the first ones come alone: prices and vocabularies are read at the first call
			c.ask(ctx, small)
		}
		all.Go(func() {
			sleep(ctx, time.Duration(dice.IntN(int(rampTime))))
			c.work(ctx)
		})
	}
	all.Wait()
	close(l.done)
	l.mu.Lock()
	l.early = len(l.refusals)
	l.mu.Unlock()
}

// again is run with a few clients, who ask for little.
func (l *load) again(ctx context.Context) {
	var all sync.WaitGroup
	for i := range 20 {
		dice := rand.New(rand.NewPCG(l.r.dice.Uint64(), uint64(i)))
		all.Go(func() { (&client{l: l, dice: dice, home: i, poor: true}).work(ctx) })
	}
	all.Wait()
}

// A client asks again and again.
type client struct {
	l    *load
	dice *rand.Rand
	home int  // the server that it asks first
	poor bool // the budget is spent but for small requests
	told int  // how often in a row others' reservations stood in the way
}

func (c *client) work(ctx context.Context) {
	asks := openAsks
	if c.l.r.strict {
		asks = strictAsks
	}
	for ctx.Err() == nil {
		a := asks[c.dice.IntN(len(asks))]
		if c.poor {
			a = small
		}
		for try := range 4 { // what fails is asked again, as SDKs do
			pause, spent, again := c.ask(ctx, a)
			if spent && a == small {
				return
			}
			c.poor = c.poor || spent
			sleep(ctx, pause)
			if !again || try == 3 {
				break
			}
			c.home++ // by another process
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// ask makes one request. spent says that the budget does not admit it any
// more, again that it failed and may be tried anew.
func (c *client) ask(ctx context.Context, a ask) (pause time.Duration, spent, again bool) {
	if c.dice.IntN(8) == 0 { // a client that goes away
		var leave context.CancelFunc
		ctx, leave = context.WithTimeout(ctx, time.Duration(10+c.dice.IntN(900))*time.Millisecond)
		defer leave()
	}
	l := c.l
	resp, err := l.r.c.client.Do(c.request(ctx, a))
	if err != nil {
		l.broke(ctx)
		return time.Duration(100+c.dice.IntN(400)) * time.Millisecond, false, true
	}
	text, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	switch {
	case err != nil:
		l.broke(ctx)
		return 20 * time.Millisecond, false, false // the answer had begun
	case resp.StatusCode == http.StatusOK:
		if strings.Contains(string(text), `"error":`) {
			l.failed.Add(1) // a stream that was told to be broken
			return 0, false, false
		}
		l.answered.Add(1)
		c.told = 0
		l.mu.Lock()
		l.whole[resp.Header.Get("X-Weir-Call-Id")] = true
		l.mu.Unlock()
		return time.Duration(c.dice.IntN(30)) * time.Millisecond, false, false
	case resp.StatusCode == http.StatusTooManyRequests && bytes.Contains(text, []byte("Budget reached")):
		spent = l.refused(text, a)
		return c.patience(resp.Header, spent), spent, false
	case resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests:
		l.failed.Add(1)
		return 50 * time.Millisecond, false, true
	}
	l.strange(fmt.Sprintf("%s %s", resp.Status, text))
	return time.Second, false, false
}

// patience is how long a client waits that was refused: what it was told, and
// longer each time, as SDKs do.
func (c *client) patience(h http.Header, spent bool) time.Duration {
	if spent {
		return 0
	}
	ms, _ := strconv.Atoi(h.Get("Retry-After-Ms")) // without it it asks again soon
	c.told++
	return time.Duration(min(max(ms, 100), 1000)*min(c.told, 6)+c.dice.IntN(500)) * time.Millisecond
}

func (l *load) broke(ctx context.Context) {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		l.aborted.Add(1)
		return
	}
	l.failed.Add(1)
}

func (l *load) strange(text string) {
	l.odd.Add(1)
	l.mu.Lock()
	l.oddText = text
	l.mu.Unlock()
}

// request is the ask's, half of them for a stream, at the client's server.
func (c *client) request(ctx context.Context, a ask) *http.Request {
	body := map[string]any{"model": model, "messages": []any{map[string]string{"role": "user", "content": prompt}}}
	if a.allowed > 0 {
		body["max_tokens"] = a.allowed
	}
	if c.dice.IntN(2) == 0 {
		body["stream"] = true
	}
	text, _ := json.Marshal(body) // of strings and numbers
	servers := c.l.r.c.servers
	at := c.home % len(servers)
	req, _ := http.NewRequestWithContext(ctx, http.MethodPost, servers[at].url+"/v1/chat/completions", bytes.NewReader(text))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+c.l.r.c.key)
	req.Header.Set("X-Weir-Customer", customer)
	req.Header.Set("X-Weir-Tags", fmt.Sprintf("ask=%s,process=%d", a.name, at))
	return req
}

// refusalText is what limits.Decision.Reason says of a budget.
var refusalText = regexp.MustCompile(`limit \$([0-9.]+), used \$([0-9.]+), this call may cost \$([0-9.]+)\.`)

// refused notes a refusal, and reports whether the budget is spent for the ask.
func (l *load) refused(text []byte, a ask) (spent bool) {
	var reply struct {
		Error struct{ Code, Message string }
	}
	f := refusal{text: string(text), small: a == small}
	m := refusalText.FindStringSubmatch(string(text))
	if json.Unmarshal(text, &reply) != nil || m == nil {
		f.unintelligible = true
	} else {
		f.spent = reply.Error.Code == "insufficient_quota"
		f.limit, f.used, f.asked = nano(m[1]), nano(m[2]), nano(m[3])
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refusals = append(l.refusals, f)
	return f.spent
}

// nano reads dollars of at most nine decimals.
func nano(text string) int64 {
	whole, rest, _ := strings.Cut(text, ".")
	n, err := strconv.ParseInt(whole+(rest + "000000000")[:9], 10, 64)
	if err != nil {
		return -1
	}
	return n
}
