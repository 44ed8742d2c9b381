package limits

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

// A RedisState is how a Redis works.
type RedisState struct {
	Failing   bool      // decisions are taken in this process
	Repairing bool      // those on budgets are, until their sums are corrected
	Since     time.Time // of this state
	Why       string    // it fails
	Local     int64     // decisions taken in this process, in this outage or the last one
	Replicas  int       // that live, as far as is known
	Waiting   int       // ends of calls that Redis is still to be told of
	Dropped   int64     // of them, beyond the bound: Redis counts their estimates
	Last      Outage    // that is over
}

// An Outage is a time in which Redis failed. A zero one never was.
type Outage struct {
	From, To time.Time
	Why      string
	Local    int64 // decisions taken in this process
}

//go:embed redis_hello.lua
var helloLua string

var helloScript = redis.NewScript(helloLua)

const (
	aliveEvery  = time.Second            // a process says that it lives
	aliveFor    = 15 * time.Second       // without which it is taken for dead
	probeFirst  = 100 * time.Millisecond // after a failure, then twice as long each time
	probeMost   = time.Second
	maxFailures = 3 // in a row, and for failTime, before no step is tried any more
	failTime    = 100 * time.Millisecond
	calmFor     = 30 * time.Second // a Redis that fails again within it is probed twice as often before it is trusted
	maxCalm     = 32
	maxWhy      = 200 // bytes of an error
)

func (s *store) epochKey() string { return s.prefix + "{all}:epoch" }

// hello says that this process lives, and learns the epoch, how many live, and
// what time it is there. It reports whether the epoch is another one.
func (s *store) hello(ctx context.Context, patience time.Duration) (replicas int64, other bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := time.Now()
	keys := []string{s.prefix + "{all}:alive", s.epochKey()}
	reply, err := helloScript.Run(ctx, s.client, keys, s.id, int64(aliveFor/time.Second), rand.Text(), tagKeep.Milliseconds()).Slice()
	if err != nil {
		return 0, false, fmt.Errorf("say hello: %w", err)
	}
	if len(reply) != 4 {
		return 0, false, fmt.Errorf("say hello: %d parts in the reply, want 4", len(reply))
	}
	epoch, _ := reply[0].(string)
	fresh, _ := reply[1].(int64)
	replicas, _ = reply[2].(int64)
	at, _ := reply[3].(int64)
	s.skew.Store(at*1000 - began.Add(time.Since(began)/2).UnixNano())
	known := *s.epoch.Load()
	if other = known != epoch && (known != "" || fresh == 1); other || known == "" {
		s.epoch.Store(&epoch)
		s.forgetTags()
		_ = redisScript.Load(ctx, s.client).Err() // so that the first call need not; else it does
	}
	return replicas, other, nil
}

// bye says that this process lives no more.
func (s *store) bye() {
	ctx, cancel := context.WithTimeout(context.Background(), s.deadline)
	defer cancel()
	_ = s.client.ZRem(ctx, s.prefix+"{all}:alive", s.id).Err() // else it is found out
}

// State tells how it works.
func (r *Redis) State() RedisState {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state()
}

// state needs mu.
func (r *Redis) state() RedisState {
	waiting, dropped := r.late.counts()
	return RedisState{
		Failing: r.failing.Load(), Repairing: r.repairing.Load(), Since: r.since, Why: r.why, Local: r.decided.Load(),
		Replicas: int(r.replicas.Load()), Waiting: waiting, Dropped: dropped, Last: r.last,
	}
}

// hello keeps what Redis says of the replicas, and asks for a repair where the
// counts are not those that were there before.
func (r *Redis) hello(ctx context.Context, patience time.Duration) error {
	replicas, other, err := r.store.hello(ctx, patience)
	if err != nil {
		return err
	}
	r.replicas.Store(max(1, replicas))
	if other && !r.failing.Load() {
		ask := r.mistrust("the server has lost its data, or is a new one")
		if r.recovered != nil {
			r.log.Info("Redis has no counts of before: budgets are decided on in this process until the ledger has corrected them")
		}
		r.tell()
		ask()
	}
	return nil
}

// failed notes that a step failed. A machine that is busy for a moment makes
// many steps late at once, which is no outage. What the server has lost is
// noticed at once, and so is that nobody listens.
func (r *Redis) failed(err error) {
	now := time.Now().UnixNano()
	n := r.failures.Add(1)
	if n == 1 {
		r.failedAt.Store(now)
	}
	var dial *net.OpError
	sure := errors.As(err, &dial) && dial.Op == "dial"
	if n >= maxFailures && (sure || now-r.failedAt.Load() >= int64(failTime)) || errors.Is(err, errEmptied) {
		r.trip(err)
	}
}

// worked notes that a step did not fail.
func (r *Redis) worked() {
	if r.failures.Load() != 0 {
		r.failures.Store(0)
	}
}

// trip ends the tries until a probe succeeds.
func (r *Redis) trip(err error) {
	if !r.failing.CompareAndSwap(false, true) {
		return
	}
	now := time.Now()
	if !r.repairing.Load() { // else what may be spent is what it was
		r.local.begin()
	}
	r.decided.Store(0)
	r.mu.Lock()
	if !r.last.To.IsZero() && now.Sub(r.last.To) < calmFor {
		r.calm = min(2*r.calm, maxCalm)
	} else {
		r.calm = 1
	}
	r.since, r.why = now, clipWhy(err)
	why := r.why
	r.mu.Unlock()
	r.log.Warn("Redis fails; limits are counted in this process", "why", why)
	r.tell()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func clipWhy(err error) string {
	text := err.Error()
	return text[:min(len(text), maxWhy)]
}

// watch says that this process lives, and while Redis fails looks whether it
// answers again.
func (r *Redis) watch(ctx context.Context) {
	defer close(r.done)
	pause, good := aliveEvery, 0
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
			pause, good = probeFirst, 0
			timer.Reset(pause)
			continue
		case <-timer.C:
		}
		err := r.hello(ctx, r.store.deadline)
		failing := r.failing.Load()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && failing:
			good, pause = 0, min(2*pause, probeMost)
		case err != nil:
			r.failed(err)
		case failing:
			if good, pause = good+1, probeFirst; good >= r.calmness() {
				r.back()
				pause = aliveEvery
			}
		default:
			r.worked()
			r.flush(aliveEvery / 2)
			pause = aliveEvery
		}
		timer.Reset(pause)
	}
}

func (r *Redis) calmness() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calm
}

// back ends an outage: what Redis was not told of comes first, then it decides
// again, on budgets when their sums are right.
func (r *Redis) back() {
	if !r.flush(aliveEvery) {
		return
	}
	r.failures.Store(0)
	r.mu.Lock()
	r.last = Outage{From: r.since, To: time.Now(), Why: r.why, Local: r.decided.Load()}
	last := r.last
	r.mu.Unlock()
	ask := r.mistrust("")
	r.failing.Store(false)
	_, dropped := r.late.counts()
	r.log.Info("Redis answers again", "after", last.To.Sub(last.From).Round(time.Millisecond), "decisions", last.Local, "replicas", r.replicas.Load(), "dropped", dropped)
	r.tell()
	ask()
}

// mistrust lets budgets be decided on in this process. The function that it
// returns asks for their sums to be corrected; of several repairs the last counts.
func (r *Redis) mistrust(why string) (ask func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.since, r.why = time.Now(), ""
	if r.recovered == nil {
		return func() {}
	}
	r.why = why
	if !r.repairing.Swap(true) && !r.failing.Load() {
		r.local.begin()
	}
	r.repair++
	number := r.repair
	return func() { r.recovered(func() { r.repaired(number) }) }
}

func (r *Redis) repaired(number uint64) {
	r.mu.Lock()
	ended := number == r.repair && !r.failing.Load() && r.repairing.CompareAndSwap(true, false)
	if ended {
		r.local.begin() // what is known now is the ledger's sum
		r.since, r.why = time.Now(), ""
	}
	r.mu.Unlock()
	if ended {
		r.log.Info("budgets are decided on by Redis again")
		r.tell()
	}
}

// tell tells of a change of the state.
func (r *Redis) tell() {
	if r.changed != nil {
		r.changed(r.State())
	}
}
