package alerts

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"weir/internal/sqldb"
)

// Options are what a Desk works with. DB is needed.
type Options struct {
	DB *sqldb.DB
	// Fill adds what an event's text needs and who met it does not know: the
	// names of keys and projects, the forecast. It may ask the store. nil: nothing.
	Fill    func(ctx context.Context, e *Event)
	Metrics *Metrics     // nil: metrics that nobody reads
	Log     *slog.Logger // nil: slog.Default()

	pace  time.Duration                 // between two posts to a webhook; tests make these small
	again func(tries int) time.Duration // how long to wait before a further try
	lease time.Duration
	look  time.Duration
}

// A Desk takes events and tells them. Nobody waits for it: what it cannot take
// is dropped, and counted.
type Desk struct {
	o       Options
	queue   chan Event
	pending atomic.Int64 // events that are taken and not yet kept
	stop    chan struct{}
	work    context.Context // ends when a stop has no more patience
	cut     context.CancelFunc
	workers sync.WaitGroup
	once    sync.Once

	mu    sync.Mutex // guards the following fields
	posts map[string]*post
	told  map[string]bool // ids that are in the store, as far as this process knows
}

// A post is what tells events to one webhook.
type post struct {
	hook Webhook
	wake chan struct{}
	stop chan struct{}
}

const (
	maxQueue = 1024
	maxTold  = 1 << 17 // about 10 MB

	// tellPace is between two posts to one webhook: Slack takes one a second.
	tellPace = time.Second
	// tellLease is how long a try may take before another process makes it.
	tellLease = 3 * postTime
	// tellLook is how often a post looks for what another process left.
	tellLook = 15 * time.Second
	// tellTime is how long it is tried to tell an event.
	tellTime = 24 * time.Hour
	maxPause = time.Hour
	// storeTime bounds what the store may take.
	storeTime = 10 * time.Second
	fillTime  = 10 * time.Second
)

// pauseAfter is how long to wait after a number of tries: 2 s, and twice as long
// each time, up to an hour.
func pauseAfter(tries int) time.Duration {
	return min(time.Second<<min(tries, 20), maxPause)
}

// Open returns a Desk that tells the given webhooks. What an earlier process
// left untold is told first.
func Open(o Options, hooks []Webhook) *Desk {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(nil)
	}
	if o.pace == 0 {
		o.pace, o.again, o.lease, o.look = tellPace, pauseAfter, tellLease, tellLook
	}
	d := &Desk{o: o, queue: make(chan Event, maxQueue), stop: make(chan struct{}), posts: map[string]*post{}, told: map[string]bool{}}
	d.work, d.cut = context.WithCancel(context.Background())
	if err := d.recall(); err != nil {
		o.Log.Warn("what was told already is looked up one by one", "err", err)
	}
	d.Apply(hooks)
	d.workers.Go(d.run)
	return d
}

// recall reads what was told last, so that thresholds that are passed anew at a
// start, as the sums of budgets are corrected, do not fill the queue.
func (d *Desk) recall() error {
	ctx, cancel := context.WithTimeout(d.work, storeTime)
	defer cancel()
	ids, err := lastIDs(ctx, d.o.DB, maxTold/2)
	for _, id := range ids {
		d.told[id] = true
	}
	return err
}

// Apply swaps the webhooks. Deliveries to one that has another URL now go
// there; those to one that is gone are given up when their time is over.
func (d *Desk) Apply(hooks []Webhook) {
	d.mu.Lock()
	defer d.mu.Unlock()
	wanted := map[string]bool{}
	for _, h := range hooks {
		wanted[h.Name] = true
		if old := d.posts[h.Name]; old != nil {
			if old.hook.same(&h) {
				continue
			}
			close(old.stop)
		}
		p := &post{hook: h, wake: make(chan struct{}, 1), stop: make(chan struct{})}
		d.posts[h.Name] = p
		d.workers.Go(func() { d.deliver(p) })
	}
	for name, p := range d.posts {
		if !wanted[name] {
			close(p.stop)
			delete(d.posts, name)
		}
	}
}

func (h *Webhook) same(o *Webhook) bool {
	return h.URL == o.URL && h.Format == o.Format && string(h.Secret) == string(o.Secret) && maps.Equal(h.Headers, o.Headers) && slices.Equal(h.Kinds, o.Kinds)
}

// Tell takes an event. It never waits: where too many wait it is dropped. An
// event that was told already is not told again.
func (d *Desk) Tell(e Event) {
	if d.isTold(e.ID) {
		return
	}
	d.pending.Add(1)
	select {
	case d.queue <- e:
	default:
		d.pending.Add(-1)
		d.o.Metrics.dropped.Inc()
	}
}

func (d *Desk) isTold(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.told[id]
}

// run keeps what is told.
func (d *Desk) run() {
	for {
		select {
		case e := <-d.queue:
			d.keep(&e)
			d.pending.Add(-1)
		case <-d.stop:
			for { // what was taken before the stop is kept, as far as there is time
				select {
				case e := <-d.queue:
					d.keep(&e)
					d.pending.Add(-1)
				default:
					return
				}
			}
		}
	}
}

// keep puts an event into the store, and wakes those who tell it. While the
// store fails it tries again.
func (d *Desk) keep(e *Event) {
	if d.isTold(e.ID) {
		return
	}
	for tries := 1; ; tries++ {
		told, err := d.record(e)
		if err == nil {
			d.remember(e.ID)
			if told {
				d.o.Metrics.told.WithLabelValues(string(e.Kind)).Inc()
				d.o.Log.Warn("alert", "kind", e.Kind, "alert", e.ID, "text", e.Text)
				d.wake()
			}
			return
		}
		if tries == 1 {
			d.o.Log.Error("an alert waits for the store", "alert", e.ID, "kind", e.Kind, "err", err)
		}
		if !d.wait(d.o.again(min(tries, 5)), nil) { // it may be the last chance to say it
			d.o.Metrics.dropped.Inc()
			d.o.Log.Error("an alert could not be kept", "alert", e.ID, "kind", e.Kind, "err", err)
			return
		}
	}
}

// record writes an event to the store, unless it is there.
func (d *Desk) record(e *Event) (told bool, err error) {
	ctx, cancel := context.WithTimeout(d.work, storeTime)
	defer cancel()
	if there, err := known(ctx, d.o.DB, e.ID); err != nil || there {
		return false, err
	}
	if e.Text == "" {
		d.fill(e)
		e.Text = e.Say()
	}
	return insert(ctx, d.o.DB, e, d.hooks(e.Kind))
}

func (d *Desk) fill(e *Event) {
	if d.o.Fill == nil {
		return
	}
	ctx, cancel := context.WithTimeout(d.work, fillTime)
	defer cancel()
	d.o.Fill(ctx, e)
}

// remember notes that an event is in the store; what is forgotten is looked up there.
func (d *Desk) remember(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.told) >= maxTold {
		clear(d.told)
	}
	d.told[id] = true
}

// hooks are the names of the webhooks that want a kind.
func (d *Desk) hooks(k Kind) (names []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, p := range d.posts {
		if len(p.hook.Kinds) == 0 || slices.Contains(p.hook.Kinds, k) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (d *Desk) wake() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.posts {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
}

// deliver tells one webhook what waits for it, one event after the other.
func (d *Desk) deliver(p *post) {
	failed := false
	for {
		wait, tried, err := d.one(p)
		if err != nil && !failed {
			d.o.Log.Error("alerts wait for the store", "webhook", p.hook.Name, "err", err)
		}
		failed = err != nil
		d.measure(p)
		if tried && !d.pause(p) || !tried && !d.wait(wait, p) {
			return
		}
	}
}

// one tries the first delivery that is due. Where there is none it returns how
// long to wait.
func (d *Desk) one(p *post) (wait time.Duration, tried bool, err error) {
	ctx, cancel := context.WithTimeout(d.work, storeTime)
	c, due, err := next(ctx, d.o.DB, p.hook.Name, time.Now(), d.o.lease)
	cancel()
	switch {
	case err != nil:
		return d.o.look, false, err
	case c == nil && due.IsZero():
		return d.o.look, false, nil
	case c == nil:
		return max(min(time.Until(due), d.o.look), time.Millisecond), false, nil
	}
	return 0, true, d.try(p, c)
}

// try tells an event, and notes how that went.
func (d *Desk) try(p *post, c *claim) error {
	now := time.Now()
	out := Delivery{Webhook: p.hook.Name, State: Delivered, Tries: c.tries + 1, At: now}
	due := now
	if now.Sub(c.event.At) > tellTime {
		out.State, out.Tries, out.Answer = GivenUp, c.tries, "not told within a day"
	} else {
		a := p.hook.Post(d.work, c.event)
		out.Answer = a.Summary()
		switch {
		case a.Err == nil:
		case d.work.Err() != nil: // cut by a stop: it does not count as a try
			out.State, out.Tries = Pending, c.tries
		default:
			out.State, due = Pending, time.Now().Add(max(d.o.again(out.Tries), a.After))
		}
	}
	d.o.Metrics.tried.WithLabelValues(p.hook.Name, out.State).Inc()
	switch {
	case out.State == GivenUp:
		d.o.Log.Error("an alert could not be told", "webhook", p.hook.Name, "alert", c.event.ID, "tries", out.Tries)
	case out.State == Pending && out.Tries == 1:
		d.o.Log.Warn("an alert is told later", "webhook", p.hook.Name, "alert", c.event.ID, "why", out.Answer)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.work), storeTime)
	defer cancel()
	return note(ctx, d.o.DB, c.event.ID, &out, due)
}

// pause waits for the pace of posts, whatever comes meanwhile; false: it is
// time to stop.
func (d *Desk) pause(p *post) bool { return d.wait(d.o.pace, &post{stop: p.stop}) }

// wait waits, until there is news; false: it is time to stop.
func (d *Desk) wait(long time.Duration, p *post) bool {
	timer := time.NewTimer(long)
	defer timer.Stop()
	var wake, stop chan struct{}
	if p != nil {
		wake, stop = p.wake, p.stop
	}
	select {
	case <-d.stop:
		return false
	case <-stop:
		return false
	case <-wake:
		return true
	case <-timer.C:
		return true
	}
}

// measure shows how many deliveries wait for a webhook, of all processes.
func (d *Desk) measure(p *post) {
	ctx, cancel := context.WithTimeout(d.work, storeTime)
	defer cancel()
	if n, err := waiting(ctx, d.o.DB, p.hook.Name); err == nil {
		d.o.Metrics.waiting.WithLabelValues(p.hook.Name).Set(float64(n))
	}
}

// Flush returns when all that was taken before is in the store.
func (d *Desk) Flush(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for d.pending.Load() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Close keeps what was taken, ends the tries under way when ctx ends, and
// waits for them. What was not told yet waits in the store for the next start.
func (d *Desk) Close(ctx context.Context) error {
	d.once.Do(func() { close(d.stop) })
	done := make(chan struct{})
	go func() { d.workers.Wait(); close(done) }()
	defer d.cut()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		d.cut()
		<-done
		return errors.New("alerts were cut")
	}
}
