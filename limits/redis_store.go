package limits

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed redis.lua
var redisLua string

var redisScript = redis.NewScript(redisLua)

// A store keeps the counts on Redis. Each of its steps is one run of
// redis.lua, atomic, in one round trip, on the keys of one hash tag: those of
// a project, or those that all projects share. Its methods are a Limiter's,
// with the error where Redis did not do it.
type store struct {
	client   redis.UniversalClient
	prefix   string
	deadline time.Duration // of a step
	now      func() time.Time
	cross    func(Crossing)
	later    func(sh *share, how string, used Use)          // is told what could not be ended
	known    func(p *heldPart, project string, spent int64) // is told sums of money
	epoch    atomic.Pointer[string]                         // of the counts that are trusted
	single   bool                                           // the server is no cluster: each step sees the epoch
	max      int                                            // values of a tag
	plans    plans
	tags     tags
	skew     atomic.Int64 // nanoseconds that the server's clock is ahead of ours
	id       string       // of this process, for its leases
	leases   atomic.Uint64
}

// A share is what a call holds under one hash tag.
type share struct {
	id, project string
	shared      bool
	parts       []heldPart
	next        *share

	mu    sync.Mutex // guards the following fields
	extra []Hold     // of the memory that counts while Redis fails: of further attempts
	ended bool
}

// A heldPart is what a share holds of one count.
type heldPart struct {
	plan  *plan
	value string
	since int64
}

// errPeriod: the server's clock is in another period of the calendar than ours.
var errPeriod = errors.New("the server's clock is in another period")

// errEmptied: the counts are not those that were there before.
var errEmptied = errors.New("the server has lost its data")

// The codes of redis.lua.
const (
	codeDone   = 1
	codePeriod = -1
	codeEpoch  = -2
)

// An answer is what redis.lua replied.
type answer struct {
	code     int64
	now, raw int64 // microseconds
	numbers  []any
}

func (a *answer) int(i int) int64 {
	n, _ := a.numbers[i].(int64)
	return n
}

// tick is the answer's moment, in microseconds.
func (a *answer) tick() tick { return tick{a.now, a.raw} }

// run runs one step. It takes at most the deadline, whatever the caller's
// context says: a step that was cut short is a state that nobody knows.
func (s *store) run(ctx context.Context, project string, shared bool, op string, args []any) (a answer, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.deadline)
	defer cancel()
	if op == "reserve" || op == "correct" { // what makes counts
		if err := s.sayTag(ctx, project, shared); err != nil {
			return a, err
		}
	}
	var now any = ""
	if s.now != nil {
		now = s.now().UnixMicro()
	}
	keys, epoch := append(make([]string, 0, 2), s.tagKey(project, shared)), ""
	if s.single {
		epoch = *s.epoch.Load()
		keys = append(keys, s.epochKey())
	}
	began := time.Now()
	reply, err := redisScript.Run(ctx, s.client, keys, append([]any{op, now, epoch}, args...)...).Slice()
	if err != nil {
		return a, fmt.Errorf("run %s: %w", op, err)
	}
	if len(reply) != 5 {
		return a, fmt.Errorf("run %s: %d parts in the reply, want 5", op, len(reply))
	}
	a.code, _ = reply[0].(int64)
	a.now, _ = reply[1].(int64)
	a.raw, _ = reply[2].(int64)
	a.numbers, _ = reply[3].([]any)
	if s.now == nil {
		s.skew.Store(a.raw*1000 - began.Add(time.Since(began)/2).UnixNano())
	}
	told, _ := reply[4].([]any)
	s.tellExpired(project, told)
	switch a.code {
	case codePeriod:
		return a, errPeriod
	case codeEpoch:
		return a, errEmptied
	}
	return a, nil
}

// clock is the server's time as far as is known.
func (s *store) clock() time.Time {
	if s.now != nil {
		return s.now()
	}
	return time.Now().Add(time.Duration(s.skew.Load()))
}

// reserve is Limiter's. A demand on limits of both kinds takes two steps.
func (s *store) reserve(ctx context.Context, d *Demand) (Decision, error) {
	rules := d.Rules[:min(len(d.Rules), MaxRules)]
	var own, common []Rule
	for i := range rules {
		if rules[i].Limit.Scope.Shared() {
			common = append(common, rules[i])
		} else {
			own = append(own, rules[i])
		}
	}
	switch {
	case len(rules) == 0:
		return Decision{}, nil
	case len(own) == 0:
		return s.reserveShare(ctx, d, common, true)
	}
	first, err := s.reserveShare(ctx, d, own, false)
	if err != nil || len(common) == 0 || first.Refused != nil {
		return first, err
	}
	second, err := s.reserveShare(ctx, d, common, true)
	if far := first.Hold.far; far != nil && second.Refused != nil {
		if s.end(ctx, far, "release", &Use{}) != nil {
			s.later(far, "release", Use{})
		}
	} else if far != nil {
		far.next, second.Hold.far = second.Hold.far, far
	}
	second.join(&first)
	return second, err
}

// join adds to a decision what another part of its demand said.
func (d *Decision) join(first *Decision) {
	for i := range first.Tightest {
		if st := first.Tightest[i]; st.Limit != nil {
			d.Note(st)
		}
	}
	if first.Over != nil && (d.Over == nil || severity(first.Over.Action) > severity(d.Over.Action)) {
		d.Over = first.Over
	}
}

// periodTries bounds the tries to agree with the server on the period.
const periodTries = 3

// reserveShare reserves what is under one hash tag.
func (s *store) reserveShare(ctx context.Context, d *Demand, rules []Rule, shared bool) (Decision, error) {
	sh := &share{id: s.id + "." + strconv.FormatUint(s.leases.Add(1), 36), project: d.Project, shared: shared}
	if shared {
		sh.project = ""
	}
	var err error
	for range periodTries {
		now := s.clock()
		sh.parts = sh.parts[:0]
		from, to := int64(0), int64(MaxUSD)
		for i := range rules {
			p := heldPart{plan: s.plans.of(rules[i].Limit, rules[i].Name), value: rules[i].Value}
			if rules[i].Limit.Dimension == USD {
				since, until := rules[i].Limit.Span(now)
				p.since = since.Unix()
				from, to = max(from, since.UnixMicro()), min(to, until.UnixMicro())
			}
			sh.parts = append(sh.parts, p)
		}
		args := append(make([]any, 0, 5+9*len(rules)), sh.id, LeaseTime.Microseconds(), from, to, s.max)
		for i := range sh.parts {
			args = sh.parts[i].ask(args, d)
		}
		var a answer
		if a, err = s.run(ctx, sh.project, shared, "reserve", args); err == nil {
			return s.decide(sh, d, &a)
		}
		if !errors.Is(err, errPeriod) {
			break
		}
	}
	return Decision{Hold: Hold{far: sh}}, err // what to take back
}

// The flags of a rule.
const (
	flagBlocks = 1 << iota
	flagLeaves
	flagUnpriced
	flagPerCall
)

// ask appends what redis.lua takes for a rule.
func (p *heldPart) ask(args []any, d *Demand) []any {
	pl, l := p.plan, p.plan.limit
	flags := pl.flags
	if l.unpriced(d) {
		flags |= flagUnpriced
	}
	return append(args, p.suffix(), pl.kind, l.Amount, pl.micro.Window.Nanoseconds(), l.burst(), p.end(), l.asked(d), flags, pl.meta(p.value))
}

// suffix is the count's part of its key: hashes of the limit's name and of the
// value, which may be long, and the begin of the period.
func (p *heldPart) suffix() string {
	sum := sha256.Sum256([]byte(p.value))
	text := p.plan.hash + "." + base64.RawURLEncoding.EncodeToString(sum[:16])
	if p.since != 0 {
		text += "." + strconv.FormatInt(p.since, 10)
	}
	return text
}

// end is the period's, in microseconds; 0: it has none.
func (p *heldPart) end() int64 {
	if p.plan.limit.Dimension != USD {
		return 0
	}
	_, until := p.plan.limit.Span(time.Unix(p.since, 0))
	return until.UnixMicro()
}

// state is the count as the numbers of a reply from i on have it.
func (p *heldPart) state(a *answer, i int) (c counter, wait time.Duration) {
	c = counter{held: a.int(i), until: a.int(i + 1), spent: a.int(i + 2), end: p.end()}
	return c, time.Duration(a.int(i+3)) * time.Microsecond
}

// meet notes a limit that is full.
func (p *heldPart) meet(out *Decision, d *Demand, c *counter, wait time.Duration, now tick) {
	l, asked := p.plan.limit, p.plan.limit.asked(d)
	why := Reached
	switch {
	case l.unpriced(d):
		why = Unpriced
	case l.Dimension == USD && c.spent+asked > l.Amount:
		why = Spent
	}
	if out.meet(l, wait, why) {
		out.Value, out.Asked, out.Used = p.value, asked, c.used(&p.plan.micro, now)
	}
}

// decide makes a decision of the counts as they were before it.
func (s *store) decide(sh *share, d *Demand, a *answer) (out Decision, err error) {
	if len(a.numbers) != 4*len(sh.parts) {
		return out, fmt.Errorf("run reserve: %d numbers in the reply, want %d", len(a.numbers), 4*len(sh.parts))
	}
	now := a.tick()
	taken := make([]heldPart, 0, len(sh.parts))
	for i := range sh.parts {
		p := &sh.parts[i]
		c, wait := p.state(a, 4*i)
		if wait >= 0 {
			p.meet(&out, d, &c, wait, now)
		}
		if a.code == codeDone && (wait < 0 || !p.plan.limit.leaves()) {
			s.take(sh, p, &c, p.plan.limit.asked(d), now)
			taken = append(taken, *p)
		}
		out.Note(p.plan.standing(&c, sh.project, p.value, p.since, now))
	}
	switch {
	case out.Refused != nil:
	case a.code != codeDone:
		return out, errors.New("the reservation was taken back before it came")
	default:
		sh.parts = taken
		out.Hold = Hold{far: sh}
	}
	return out, nil
}

// take does to a count what redis.lua did, and tells of thresholds.
func (s *store) take(sh *share, p *heldPart, c *counter, asked int64, now tick) {
	m := &p.plan.micro
	before := c.used(m, now)
	if m.Dimension == Requests {
		c.charge(m, asked, now)
	} else {
		c.held += asked
	}
	if m.Dimension != USD {
		s.passed(p, sh.project, before, c.used(m, now), now)
	}
}

// passed tells of a soft threshold that was passed.
func (s *store) passed(p *heldPart, project string, before, after int64, now tick) {
	l := p.plan.limit
	if s.cross == nil || len(l.Soft) == 0 {
		return
	}
	percent := l.Crossed(before, after)
	if percent == 0 {
		return
	}
	since := time.Unix(p.since, 0)
	if w := l.Window; w > 0 {
		wall := now.wall * int64(time.Microsecond)
		since = time.Unix(0, wall-wall%int64(w))
	}
	s.cross(Crossing{Limit: l, Project: project, Value: p.value, Since: since.UTC(), Percent: percent, Used: after})
}

// topUp is Limiter's, for one share.
func (s *store) topUp(ctx context.Context, sh *share, more, most Use) (out Decision, err error) {
	d := Demand{Use: more, Most: most}
	args := append(make([]any, 0, 1+3*len(sh.parts)), sh.id)
	for i := range sh.parts {
		l := sh.parts[i].plan.limit
		flags := sh.parts[i].plan.flags
		if l.unpriced(&d) {
			flags |= flagUnpriced
		}
		args = append(args, l.asked(&d), l.burst(), flags)
	}
	a, err := s.run(ctx, sh.project, sh.shared, "topup", args)
	if err != nil || a.code != codeDone {
		return out, err
	}
	if len(a.numbers) != 4*len(sh.parts) {
		return out, fmt.Errorf("run topup: %d numbers in the reply, want %d", len(a.numbers), 4*len(sh.parts))
	}
	for i := range sh.parts {
		p := &sh.parts[i]
		if c, wait := p.state(&a, 4*i); wait >= 0 {
			p.meet(&out, &d, &c, wait, a.tick())
		}
	}
	return out, nil
}

// heartbeat is Limiter's, for one share.
func (s *store) heartbeat(ctx context.Context, sh *share) (bool, error) {
	a, err := s.run(ctx, sh.project, sh.shared, "beat", []any{sh.id, LeaseTime.Microseconds()})
	return a.code == codeDone, err
}

// end ends what a share holds: it is to "settle", to "release", or to "cancel"
// also where Redis has not heard of it yet.
func (s *store) end(ctx context.Context, sh *share, how string, used *Use) error {
	args := append(make([]any, 0, 2+2*len(sh.parts)), sh.id, how)
	for i := range sh.parts {
		l := sh.parts[i].plan.limit
		n, least := int64(0), 0
		if !l.perCall() {
			n = l.of(used)
		}
		if l.Dimension == USD && used.Unpriced > 0 && l.Ceiling == 0 {
			least = 1 // unknown is never nothing
		}
		args = append(args, n, least)
	}
	a, err := s.run(ctx, sh.project, sh.shared, "settle", args)
	if err != nil {
		return err
	}
	for i := range min(len(sh.parts), len(a.numbers)/2) {
		if p := &sh.parts[i]; p.plan.limit.Dimension == USD {
			s.known(p, sh.project, a.int(2*i+1))
			s.passed(p, sh.project, a.int(2*i), a.int(2*i+1), a.tick())
		}
	}
	return nil
}

// correctBatch is how many sums one step takes.
const correctBatch = 200

// correct is Limiter's.
func (s *store) correct(ctx context.Context, l *Limit, since time.Time, spent []Sum) error {
	byProject := map[string][]*Sum{}
	for i := range spent {
		project := spent[i].Project
		if l.Scope.Shared() {
			project = ""
		}
		byProject[project] = append(byProject[project], &spent[i])
	}
	for project, sums := range byProject {
		for len(sums) > 0 {
			n := min(len(sums), correctBatch)
			if err := s.correctShare(ctx, l, since, project, sums[:n]); err != nil {
				return err
			}
			sums = sums[n:]
		}
	}
	return nil
}

// shipTime is how long it takes at most until what a call spent is in the
// ledger, the spool of a process that died among it.
const shipTime = 3 * time.Minute

// lower lowers the sums of a budget's period that have stood above what the
// ledger knows for longer than shipTime, and returns by how much.
func (s *store) lower(ctx context.Context, l *Limit, since time.Time, spent []Sum) (lowered []Sum, err error) {
	type whose struct{ project, value string }
	known := make(map[whose]*Sum, len(spent))
	for i := range spent {
		known[whose{spent[i].Project, spent[i].Value}] = &spent[i]
	}
	list, err := s.statusOf(ctx, nil, l.Scope.Shared())
	if err != nil {
		return nil, err
	}
	above, name := map[string][]*Sum{}, l.Name()
	for i := range list {
		st := &list[i]
		if st.Limit.Dimension != USD || !st.Since.Equal(since) || st.Limit.Name() != name {
			continue
		}
		sum := Sum{Project: st.Project, Value: st.Value}
		if k := known[whose{st.Project, st.Value}]; k != nil {
			sum = *k
		}
		if sum.Unpriced > 0 && l.Ceiling == 0 { // nobody knows what they cost
			continue
		}
		above[sum.Project] = append(above[sum.Project], &sum)
	}
	for project, sums := range above {
		for len(sums) > 0 {
			n := min(len(sums), correctBatch)
			if lowered, err = s.lowerShare(ctx, lowered, l, since, project, sums[:n]); err != nil {
				return lowered, err
			}
			sums = sums[n:]
		}
	}
	return lowered, nil
}

func (s *store) lowerShare(ctx context.Context, out []Sum, l *Limit, since time.Time, project string, sums []*Sum) ([]Sum, error) {
	p := heldPart{plan: s.plans.of(l, l.Name()), since: since.Unix()}
	args := append(make([]any, 0, 1+3*len(sums)), shipTime.Microseconds())
	for _, sum := range sums {
		p.value = sum.Value
		args = append(args, p.suffix(), p.end(), l.of(&Use{USD: sum.USD, Unpriced: sum.Unpriced}))
	}
	a, err := s.run(ctx, project, l.Scope.Shared(), "lower", args)
	if err != nil {
		return out, err
	}
	for i := range min(len(sums), len(a.numbers)/2) {
		if by := a.int(2*i) - a.int(2*i+1); by > 0 {
			out = append(out, Sum{Project: project, Value: sums[i].Value, USD: by})
		}
	}
	return out, nil
}

func (s *store) correctShare(ctx context.Context, l *Limit, since time.Time, project string, sums []*Sum) error {
	p := heldPart{plan: s.plans.of(l, l.Name()), since: since.Unix()}
	args := append(make([]any, 0, 1+4*len(sums)), s.max)
	for _, sum := range sums {
		p.value = sum.Value
		args = append(args, p.suffix(), p.end(), l.of(&Use{USD: sum.USD, Unpriced: sum.Unpriced}), p.plan.meta(p.value))
	}
	a, err := s.run(ctx, project, l.Scope.Shared(), "correct", args)
	if err != nil {
		return err
	}
	for i := range min(len(sums), len(a.numbers)/2) {
		p.value = sums[i].Value
		s.passed(&p, project, a.int(2*i), a.int(2*i+1), a.tick())
	}
	return nil
}
