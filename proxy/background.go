package proxy

import (
	"context"
	"slices"
	"sync"

	"weir/costs"
	"weir/ledger"
	"weir/proxy/wire"
)

// maxBackground bounds the responses and batches under way whose usage
// is awaited; the oldest are given up first.
const maxBackground = 10_000

// A background remembers the responses that were begun and left to run on
// (`background: true`), and the batches. Their usage comes with the first look
// at them after they have ended, and is counted there, once. Memory knows them
// at once; the store has them over restarts, and for other processes.
type background struct {
	objects *objects

	mu      sync.Mutex // guards the following fields
	awaited map[string]uint64
	order   []begun // oldest first, and among them some that are awaited no more
	last    uint64
}

// A begun is a response by its number: an id may be awaited a second time.
type begun struct {
	id string
	n  uint64
}

// awaitedPrefix stands before the ids of what is awaited among the objects,
// and counted is the provider of those whose usage has been counted.
const (
	awaitedPrefix = "awaited:"
	counted       = "(counted)"
)

func (b *background) add(id, provider string) {
	if id == "" || len(id) > maxObjectID {
		return
	}
	b.objects.remember(awaitedPrefix+id, provider)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.awaited == nil {
		b.awaited = make(map[string]uint64)
	}
	if b.awaited[id] != 0 {
		return
	}
	if len(b.order) == 2*maxBackground {
		b.order = slices.DeleteFunc(b.order, func(o begun) bool { return b.awaited[o.id] != o.n })
	}
	for len(b.awaited) >= maxBackground {
		if oldest := b.order[0]; b.awaited[oldest.id] == oldest.n {
			delete(b.awaited, oldest.id)
		}
		b.order = b.order[1:]
	}
	b.last++
	b.awaited[id] = b.last
	b.order = append(b.order, begun{id, b.last})
}

func (b *background) awaits(ctx context.Context, id string) bool {
	b.mu.Lock()
	is := b.awaited[id] != 0
	b.mu.Unlock()
	if is || id == "" || len(id) > maxObjectID {
		return is
	}
	provider := b.objects.provider(ctx, awaitedPrefix+id)
	return provider != "" && provider != counted
}

// take reports whether the response was awaited, once.
func (b *background) take(ctx context.Context, id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	is := b.awaited[id] != 0
	delete(b.awaited, id)
	switch b.objects.last(ctx, awaitedPrefix+id, counted) {
	case "":
	case counted: // here, or by another process
		return false
	default:
		is = true
	}
	if is {
		b.objects.remember(awaitedPrefix+id, counted)
	}
	return is
}

// looked is the usage of a request that makes nothing: none, but of a response
// that has ended in the background.
func (a *attempt) looked(r *wire.Reading) (costs.Usage, ledger.UsageSource) {
	if a.runsOn() && r.HasUsage && !r.Pending && a.c.p.background.take(a.c.r.Context(), a.x.Endpoint.ID) {
		return r.Usage, ledger.FromProvider
	}
	return costs.Usage{}, ""
}

// runsOn reports whether the request names what may run on without a client: a
// stored response, or a batch.
func (a *attempt) runsOn() bool { return a.api == wire.StoredResponses || a.api == wire.Batches }
