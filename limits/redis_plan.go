package limits

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"
)

// A plan is what a store makes of a limit, once.
type plan struct {
	limit *Limit
	micro Limit  // the limit with its window in microseconds: what the scripts count in
	kind  string // as redis.lua has it
	name  string
	hash  string // of the name
	def   string // the limit as JSON
	flags int
}

// kinds are the dimensions as redis.lua has them.
var kinds = [NumDimensions]string{Requests: "q", Tokens: "r", InputTokens: "r", OutputTokens: "r", Concurrent: "c", USD: "u"}

func newPlan(l *Limit, name, def string) *plan {
	sum := sha256.Sum256([]byte(name))
	p := &plan{limit: l, name: name, micro: *l, kind: kinds[l.Dimension], def: def, hash: base64.RawURLEncoding.EncodeToString(sum[:8])}
	p.micro.Window = l.Window / time.Microsecond
	if l.Blocks() {
		p.flags |= flagBlocks
	}
	if l.leaves() {
		p.flags |= flagLeaves
	}
	if l.perCall() {
		p.flags |= flagPerCall
	}
	return p
}

// maxMeta bounds what of a value is kept to show it.
const maxMeta = 256

// meta tells whose a count is.
func (p *plan) meta(value string) string { return p.def + "\n" + value[:min(len(value), maxMeta)] }

// standing is how a count stands whose times are microseconds.
func (p *plan) standing(c *counter, project, value string, since int64, now tick) Standing {
	s := c.standing(&counterKey{project: project, value: value, since: since}, &p.micro, now)
	s.Limit = p.limit
	s.Reset *= time.Microsecond
	return s
}

// maxPlans bounds the plans that are kept: reloads make new limits.
const maxPlans = 4096

// plans are those of the limits that were seen. The zero plans are empty.
type plans struct {
	mu    sync.RWMutex // guards the following fields
	byPtr map[*Limit]*plan
	byDef map[string]*plan // the last one of each definition
}

// of is a limit's plan.
func (ps *plans) of(l *Limit, name string) *plan {
	ps.mu.RLock()
	p := ps.byPtr[l]
	ps.mu.RUnlock()
	if p != nil {
		return p
	}
	p = newPlan(l, name, definition(l))
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.byPtr == nil || len(ps.byPtr) >= maxPlans {
		ps.byPtr, ps.byDef = map[*Limit]*plan{}, map[string]*plan{}
	}
	ps.byPtr[l], ps.byDef[p.def] = p, p
	return p
}

// defined is the plan of a limit that a count says it is of.
func (ps *plans) defined(def string) (*plan, error) {
	ps.mu.RLock()
	p := ps.byDef[def]
	ps.mu.RUnlock()
	if p != nil {
		return p, nil
	}
	l, err := parseDefinition(def)
	if err != nil {
		return nil, err
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.byDef == nil || len(ps.byDef) >= maxPlans {
		ps.byDef = map[string]*plan{}
	}
	p = newPlan(l, l.Name(), def)
	ps.byDef[def] = p
	return p, nil
}

// A definition is a limit as it stands beside its counts, for processes that
// have not met it.
type definitionJSON struct {
	Scope     Scope     `json:"s"`
	Tag       string    `json:"t,omitempty"`
	Value     string    `json:"v,omitempty"`
	Dimension Dimension `json:"d"`
	Amount    int64     `json:"a"`
	Window    int64     `json:"w,omitempty"`
	Period    Period    `json:"p,omitempty"`
	Zone      string    `json:"z,omitempty"`
	Burst     int64     `json:"b,omitempty"`
	Action    Action    `json:"x,omitempty"`
	Ceiling   int64     `json:"c,omitempty"`
	Soft      []int     `json:"o,omitempty"`
}

func definition(l *Limit) string {
	d := definitionJSON{
		l.Scope, l.Tag, l.Value, l.Dimension, l.Amount, int64(l.Window), l.Period, "",
		l.Burst, l.Action, l.Ceiling, l.Soft,
	}
	if l.Zone != nil {
		d.Zone = l.Zone.String()
	}
	text, err := json.Marshal(d)
	if err != nil {
		panic(err) // no value of these types makes one
	}
	return string(text)
}

func parseDefinition(text string) (*Limit, error) {
	var d definitionJSON
	if err := json.NewDecoder(strings.NewReader(text)).Decode(&d); err != nil {
		return nil, fmt.Errorf("read a limit's definition: %w", err)
	}
	l := &Limit{
		Scope: d.Scope, Tag: d.Tag, Value: d.Value, Dimension: d.Dimension, Amount: d.Amount, Window: time.Duration(d.Window),
		Period: d.Period, Burst: d.Burst, Action: d.Action, Ceiling: d.Ceiling, Soft: d.Soft,
	}
	if d.Zone != "" {
		zone, err := time.LoadLocation(d.Zone)
		if err != nil {
			return nil, fmt.Errorf("read a limit's definition: %w", err)
		}
		l.Zone = zone
	}
	rate := l.Dimension < Concurrent
	if l.Dimension >= NumDimensions || l.Amount < 1 || l.Burst < 0 || rate != (l.Window >= time.Microsecond) {
		return nil, fmt.Errorf("read a limit's definition: %q is none", text)
	}
	return l, nil
}
