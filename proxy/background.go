package proxy

import (
	"sync"

	"weir/costs"
	"weir/ledger"
	"weir/proxy/wire"
)

// maxBackground bounds the responses under way in the background whose usage
// is awaited; the oldest are given up first.
const maxBackground = 10_000

// A background remembers the responses that were begun and left to run on
// (`background: true`). Their usage comes with the first look at them after
// they have ended, and is counted there, once. It is memory alone: what was
// begun before a restart stays unmetered.
type background struct {
	mu      sync.Mutex // guards the following fields
	awaited map[string]bool
	order   []string // of awaited, a ring
	next    int
}

func (b *background) add(id string) {
	if id == "" || len(id) > maxObjectID {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.awaited == nil {
		b.awaited = make(map[string]bool)
	}
	if b.awaited[id] {
		return
	}
	if len(b.order) < maxBackground {
		b.order = append(b.order, id)
	} else {
		delete(b.awaited, b.order[b.next])
		b.order[b.next] = id
		b.next = (b.next + 1) % maxBackground
	}
	b.awaited[id] = true
}

func (b *background) awaits(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.awaited[id]
}

// take reports whether the response was awaited, once.
func (b *background) take(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.awaited[id]
	delete(b.awaited, id)
	return was
}

// looked is the usage of a request that makes nothing: none, but of a response
// that has ended in the background.
func (a *attempt) looked(r *wire.Reading) (costs.Usage, ledger.UsageSource) {
	if a.api == wire.StoredResponses && r.HasUsage && a.c.p.background.take(a.x.Endpoint.ID) {
		return r.Usage, ledger.FromProvider
	}
	return costs.Usage{}, ""
}
