package limits

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
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
	Deadline time.Duration // of a step; 0: 40 ms
	Log      *slog.Logger  // nil: slog.Default()

	// MaxValues bounds the values of a project that have counts at once; those
	// beyond it share one for each limit. 0: 262,144.
	MaxValues int

	// Changed is told of each change of the state; it must not block. nil: nobody is.
	Changed func(RedisState)

	// Recovered is told that Redis answers again, or that it has lost its data:
	// the sums of budgets are to be corrected, and then done is to be called.
	// Until then budgets are decided on in this process. It must not block. nil:
	// they are trusted at once.
	Recovered func(done func())
}

// Redis keeps the counts of many processes on Redis 7 or newer, or on Valkey.
// Open it with OpenRedis. While Redis fails, decisions are taken in the
// process, as each limit's OnFailure has it.
type Redis struct {
	store     store
	local     fallback
	late      lateQueue
	log       *slog.Logger
	changed   func(RedisState)
	recovered func(done func())

	replicas  atomic.Int64 // that live, this one among them
	failing   atomic.Bool  // no step is tried
	repairing atomic.Bool  // budgets are decided on in this process
	failures  atomic.Int64 // of steps, in a row
	failedAt  atomic.Int64 // Unix nanoseconds of the first of them
	decided   atomic.Int64 // locally, in this outage or the last one

	mu     sync.Mutex // guards the following fields
	since  time.Time  // of the state
	why    string     // of the failure
	last   Outage
	repair uint64 // counts the repairs that were asked for
	calm   int    // probes in a row that must succeed before Redis is asked again

	wake  chan struct{}
	dials *dialer
	stop  context.CancelFunc
	done  chan struct{} // closed when the watch has ended
}

const (
	stepTime    = 40 * time.Millisecond // of a step: decisions are to take less than 50
	poolSize    = 64                    // connections
	dialTimeout = time.Second           // in the background: no call waits for longer than its step's deadline
	prefix      = "weir:"
)

// OpenRedis returns a Redis. An error means that the URL is none: a server that
// does not answer within a second is one that fails.
func OpenRedis(o RedisOptions) (*Redis, error) {
	stopping, stop := context.WithCancel(context.Background())
	dials := &dialer{stopping: stopping}
	client, err := newClient(dials, o.URL)
	if err != nil {
		stop()
		return nil, err
	}
	if o.Prefix == "" {
		o.Prefix = prefix
	}
	if o.MaxValues == 0 {
		o.MaxValues = maxCounters
	}
	if o.Deadline == 0 {
		o.Deadline = stepTime
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	r := &Redis{
		log: o.Log, changed: o.Changed, recovered: o.Recovered, since: time.Now(), calm: 1,
		wake: make(chan struct{}, 1), dials: dials, stop: stop, done: make(chan struct{}),
	}
	r.local.memory = NewMemory(o.Options)
	r.replicas.Store(1)
	s := &r.store
	s.client, s.prefix, s.deadline, s.now, s.cross, s.max = client, o.Prefix, o.Deadline, o.Now, o.Crossed, o.MaxValues
	s.id = strings.ToLower(rand.Text()[:12])
	s.epoch.Store(new(string))
	_, s.single = client.(*redis.Client)
	s.later, s.known = r.later, r.known
	if err := r.hello(stopping, max(s.deadline, dialTimeout)); err != nil {
		r.trip(err)
	}
	go r.watch(stopping)
	return r, nil
}

// Close tells Redis what it was not told of yet, as far as one second goes, and
// ends the connections.
func (r *Redis) Close() error {
	r.stop()
	<-r.done
	if !r.failing.Load() {
		r.flush(time.Second)
		r.store.bye()
	}
	err := r.store.client.Close()
	if r.failing.Load() && r.dials.failed.Load() >= poolSize {
		time.Sleep(dialRetry + dialRetry/20)
	}
	return err
}

// errURL says nothing of what was written: it may have a password in it.
var errURL = errors.New("the URL of Redis is not of the form redis://[user:password@]host:port[/number], rediss://… for TLS, or unix://…")

// quiet turns the client library's own log off: what happens is said once.
var quiet = sync.OnceFunc(logging.Disable)

// newClient makes a client that does what it is told, once, and within the
// context's deadline.
func newClient(d *dialer, text string) (redis.UniversalClient, error) {
	quiet()
	u, err := url.Parse(text)
	if err != nil {
		return nil, errURL
	}
	if u.Query().Has("addr") {
		return newCluster(d, text)
	}
	o, err := redis.ParseURL(text)
	if err != nil {
		return nil, errURL
	}
	o.Dialer = d.dial(o.TLSConfig)
	o.DialTimeout, o.DialerRetries = dialTimeout, 1
	o.MaxRetries, o.ContextTimeoutEnabled = -1, true
	o.Protocol, o.DisableIdentity, o.PipelinePoolSize = 2, true, -1
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	if o.PoolSize == 0 {
		o.PoolSize = poolSize
	}
	return redis.NewClient(o), nil
}

func newCluster(d *dialer, text string) (redis.UniversalClient, error) {
	o, err := redis.ParseClusterURL(text)
	if err != nil {
		return nil, errURL
	}
	o.Dialer = d.dial(o.TLSConfig)
	o.DialTimeout, o.DialerRetries = dialTimeout, 1
	o.MaxRetries, o.ContextTimeoutEnabled = -1, true
	o.Protocol, o.DisableIdentity, o.PipelinePoolSize = 2, true, -1
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	if o.PoolSize == 0 {
		o.PoolSize = poolSize
	}
	return redis.NewClusterClient(o), nil
}

// A dialer dials until stopping ends: the client dials in the background.
type dialer struct {
	stopping context.Context
	failed   atomic.Int64 // in all
}

// dialRetry is how often the client's own goroutine that dials after poolSize
// failures looks whether it is to end.
const dialRetry = time.Second

// dial is the dialer's function, over TLS where there is a config.
func (d *dialer) dial(config *tls.Config) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (c net.Conn, err error) {
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		defer context.AfterFunc(d.stopping, cancel)()
		if config != nil {
			c, err = (&tls.Dialer{Config: config}).DialContext(ctx, network, addr)
		} else {
			c, err = (&net.Dialer{}).DialContext(ctx, network, addr)
		}
		if err != nil {
			d.failed.Add(1)
		}
		return c, err
	}
}
