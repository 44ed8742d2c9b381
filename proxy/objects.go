package proxy

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"weir/proxy/wire"
)

// Objects remember which provider account made an object: a file, a batch, a
// stored response. A request that names the object must go to the same account.
type Objects interface {
	// Provider returns the account that made the object; ok is false where that is unknown.
	Provider(ctx context.Context, id string) (provider string, ok bool, err error)
	// Remember keeps it.
	Remember(ctx context.Context, id, provider string) error
}

// objects puts a bounded memory in front of the store: new objects are known
// at once, and the store is written in the background.
type objects struct {
	store Objects // nil: memory alone
	log   *slog.Logger
	queue chan object
	done  chan struct{}

	mu     sync.Mutex // guards the following fields
	recent map[string]string
	order  []string // of recent, a ring
	next   int
	closed bool
}

type object struct{ id, provider string }

const (
	recentObjects = 10_000
	objectQueue   = 4096                   // further ones are known in memory alone
	storeWait     = 100 * time.Millisecond // for a look into the store
	storeTime     = 10 * time.Second       // for a write in the background
)

func newObjects(store Objects, log *slog.Logger) *objects {
	o := &objects{store: store, log: log, recent: make(map[string]string), done: make(chan struct{}), queue: make(chan object, objectQueue)}
	go o.write()
	return o
}

func (o *objects) write() {
	defer close(o.done)
	for one := range o.queue {
		ctx, cancel := context.WithTimeout(context.Background(), storeTime)
		if err := o.store.Remember(ctx, one.id, one.provider); err != nil {
			o.log.Warn("an object's provider is known in memory alone", "err", err)
		}
		cancel()
	}
}

func (o *objects) close() {
	o.mu.Lock()
	if !o.closed {
		o.closed = true
		close(o.queue)
	}
	o.mu.Unlock()
	<-o.done
}

func (o *objects) remember(id, provider string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || o.recent[id] == provider {
		return
	}
	if len(o.order) < recentObjects {
		o.order = append(o.order, id)
	} else {
		delete(o.recent, o.order[o.next])
		o.order[o.next] = id
		o.next = (o.next + 1) % recentObjects
	}
	o.recent[id] = provider
	if o.store == nil {
		return
	}
	select {
	case o.queue <- object{id, provider}:
	default:
	}
}

// provider looks an object up. A store that does not answer in time is as one
// that does not know.
func (o *objects) provider(ctx context.Context, id string) string {
	o.mu.Lock()
	p, ok := o.recent[id]
	o.mu.Unlock()
	if ok || o.store == nil {
		return p
	}
	return o.stored(ctx, id)
}

// last is provider past what is remembered here, which another process may
// have changed since, unless it is final.
func (o *objects) last(ctx context.Context, id, final string) string {
	o.mu.Lock()
	p := o.recent[id]
	o.mu.Unlock()
	if p == final || o.store == nil {
		return p
	}
	if kept := o.stored(ctx, id); kept != "" {
		return kept
	}
	return p
}

// stored is what the store has.
func (o *objects) stored(ctx context.Context, id string) string {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	p, ok, err := o.store.Provider(ctx, id)
	if err != nil {
		o.log.Warn("the store was asked for an object's provider in vain", "err", err)
	}
	if !ok {
		return ""
	}
	return p
}

// pinByObject finds the account that made the object which the request names.
func (p *Proxy) pinByObject(r *http.Request, x *Exchange) {
	if x.Pinned != "" {
		return
	}
	for _, id := range [...]string{x.Endpoint.ID, x.View.Previous} {
		if id == "" || len(id) > maxObjectID || isKept(id) {
			continue
		}
		if owner := p.objects.provider(r.Context(), objectID(id)); owner != "" && x.state.byName[owner] != nil {
			x.owner = owner
			return
		}
	}
}

// maxObjectID bounds the ids that are remembered; vendors' have under 100 bytes.
const maxObjectID = 512

// objectID is an id without the collection that Gemini writes before it.
func objectID(id string) string {
	for _, prefix := range [...]string{"files/", "cachedContents/", "batches/"} {
		if len(id) > len(prefix) && id[:len(prefix)] == prefix {
			return id[len(prefix):]
		}
	}
	return id
}

// makesObject reports whether the reply may speak of an object that it made.
func (a *attempt) makesObject() bool {
	switch a.api {
	case wire.Files, wire.Batches, wire.Responses, wire.CachedContents:
		return a.c.r.Method == http.MethodPost
	}
	return false
}

// remember notes who made the object that a reply speaks of.
func (p *Proxy) remember(a *attempt) {
	if !a.makesObject() {
		return
	}
	if id := a.reading().ID; id != "" && len(id) <= maxObjectID {
		p.objects.remember(objectID(id), a.target.Provider.Name)
	}
}
