package limits

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// RedisOptions are those of a Redis. URL is needed.
type RedisOptions struct {
	Options
	URL      string        // redis://[user:password@]host:port[/db], rediss:// for TLS, unix://; ?addr=host:port names further nodes of a cluster
	Prefix   string        // of all keys, so that several Weirs share one server; "": "weir:"
	Deadline time.Duration // of a step; 0: 50 ms
}

// Redis keeps the counts of many processes on Redis 7 or newer, or on Valkey.
// Open it with OpenRedis.
type Redis struct {
	store store
	local *Memory // while Redis fails
	stop  context.CancelFunc
}

const (
	stepTime    = 50 * time.Millisecond // of a step
	poolSize    = 64                    // connections
	dialTimeout = time.Second           // in the background: no call waits for longer than its step's deadline
	prefix      = "weir:"
)

// OpenRedis returns a Redis. It does not wait for the server: an error means
// that the URL is none.
func OpenRedis(o RedisOptions) (*Redis, error) {
	stopping, stop := context.WithCancel(context.Background())
	client, err := newClient(stopping, o.URL)
	if err != nil {
		stop()
		return nil, err
	}
	if o.Prefix == "" {
		o.Prefix = prefix
	}
	if o.Deadline == 0 {
		o.Deadline = stepTime
	}
	r := &Redis{local: NewMemory(o.Options), stop: stop}
	s := &r.store
	s.client, s.prefix, s.deadline, s.now, s.cross, s.max = client, o.Prefix, o.Deadline, o.Now, o.Crossed, maxCounters
	s.id = strings.ToLower(rand.Text()[:12]) + "."
	return r, nil
}

// Close ends the connections.
func (r *Redis) Close() error {
	r.stop()
	return r.store.client.Close()
}

// errURL says nothing of what was written: it may have a password in it.
var errURL = errors.New("the URL of Redis is not of the form redis://[user:password@]host:port[/number], rediss://… for TLS, or unix://…")

// quiet turns the client library's own log off: what happens is said once.
var quiet = sync.OnceFunc(logging.Disable)

// newClient makes a client that does what it is told, once, and within the
// context's deadline.
func newClient(stopping context.Context, text string) (redis.UniversalClient, error) {
	quiet()
	u, err := url.Parse(text)
	if err != nil {
		return nil, errURL
	}
	if u.Query().Has("addr") {
		return newCluster(stopping, text)
	}
	o, err := redis.ParseURL(text)
	if err != nil {
		return nil, errURL
	}
	o.Dialer = dialer(stopping, o.TLSConfig)
	o.DialTimeout, o.DialerRetries = dialTimeout, 1
	o.MaxRetries, o.ContextTimeoutEnabled = -1, true
	o.Protocol, o.DisableIdentity, o.PipelinePoolSize = 2, true, -1
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	if o.PoolSize == 0 {
		o.PoolSize = poolSize
	}
	return redis.NewClient(o), nil
}

func newCluster(stopping context.Context, text string) (redis.UniversalClient, error) {
	o, err := redis.ParseClusterURL(text)
	if err != nil {
		return nil, errURL
	}
	o.Dialer = dialer(stopping, o.TLSConfig)
	o.DialTimeout, o.DialerRetries = dialTimeout, 1
	o.MaxRetries, o.ContextTimeoutEnabled = -1, true
	o.Protocol, o.DisableIdentity, o.PipelinePoolSize = 2, true, -1
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	if o.PoolSize == 0 {
		o.PoolSize = poolSize
	}
	return redis.NewClusterClient(o), nil
}

// dialer dials until stopping ends: the client dials in the background.
func dialer(stopping context.Context, config *tls.Config) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		defer context.AfterFunc(stopping, cancel)()
		if config != nil {
			return (&tls.Dialer{Config: config}).DialContext(ctx, network, addr)
		}
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}
}

// Reserve is Limiter's.
func (r *Redis) Reserve(ctx context.Context, d *Demand) Decision {
	out, err := r.store.reserve(ctx, d)
	if err != nil {
		return r.local.Reserve(ctx, d)
	}
	return out
}

// TopUp is Limiter's.
func (r *Redis) TopUp(ctx context.Context, h Hold, more, most Use) (out Decision) {
	if h.far == nil {
		return r.local.TopUp(ctx, h, more, most)
	}
	for sh := h.far; sh != nil; sh = sh.next {
		d, err := r.store.topUp(ctx, sh, more, most)
		if err == nil && d.Refused != nil {
			return d
		}
	}
	return Decision{Hold: h}
}

// Heartbeat is Limiter's.
func (r *Redis) Heartbeat(h Hold) bool {
	if h.far == nil {
		return r.local.Heartbeat(h)
	}
	lives := true
	for sh := h.far; sh != nil; sh = sh.next {
		ok, err := r.store.heartbeat(context.Background(), sh)
		lives = lives && (ok || err != nil)
	}
	return lives
}

// Settle is Limiter's.
func (r *Redis) Settle(h Hold, used Use) { r.end(h, "settle", used) }

// Release is Limiter's.
func (r *Redis) Release(h Hold) { r.end(h, "release", Use{}) }

func (r *Redis) end(h Hold, how string, used Use) {
	if h.lease != nil {
		r.local.end(h, &used, how == "release")
	}
	for sh := h.far; sh != nil; sh = sh.next {
		_ = r.store.end(context.Background(), sh, how, &used)
	}
}

// Correct is Limiter's.
func (r *Redis) Correct(ctx context.Context, l *Limit, since time.Time, spent []Sum) error {
	return errors.Join(r.local.Correct(ctx, l, since, spent), r.store.correct(ctx, l, since, spent))
}

// Status is Limiter's.
func (r *Redis) Status(ctx context.Context) ([]Standing, error) { return r.store.status(ctx) }
