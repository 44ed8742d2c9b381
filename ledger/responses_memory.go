package ledger

import "sync"

// unshipped are the steps of kept responses that are in the spool and not in
// the store yet. It holds their contents as far as it has room; what it has let
// go of is read from the spool.
type unshipped struct {
	mu    sync.Mutex // guards the following fields
	byID  map[string]*unshippedResponse
	order []string // of contents and deletions, the oldest first
	bytes int      // of contents
	max   int      // of bytes; 0: maxUnshipped
}

type unshippedResponse struct {
	steps   int             // that are not in the store
	r       *sealedResponse // nil: let go of, or deleted
	deleted bool
}

const (
	maxUnshipped      = 64 << 20 // bytes of contents
	maxUnshippedSteps = 100_000
)

// add notes a step that is about to be written.
func (u *unshipped) add(k keptStep) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.byID == nil {
		u.byID = map[string]*unshippedResponse{}
	}
	e := u.byID[k.r.id]
	if e == nil {
		e = &unshippedResponse{}
		u.byID[k.r.id] = e
	}
	e.steps++
	u.drop(e)
	if e.deleted = e.deleted || k.forget; !e.deleted {
		e.r = k.r
		u.bytes += len(k.r.sealed)
	}
	u.order = append(u.order, k.r.id)
	u.shrink()
}

// drop lets go of an entry's content.
func (u *unshipped) drop(e *unshippedResponse) {
	if e.r != nil {
		u.bytes -= len(e.r.sealed)
		e.r = nil
	}
}

// shrink keeps the bounds: the oldest contents go first, and then all that is
// known of the oldest.
func (u *unshipped) shrink() {
	limit := maxUnshipped
	if u.max > 0 {
		limit = u.max
	}
	for len(u.order) > 0 && (u.bytes > limit || len(u.order) > maxUnshippedSteps) {
		e := u.byID[u.order[0]]
		if e != nil {
			u.drop(e)
			if !e.deleted {
				delete(u.byID, u.order[0])
			}
		}
		u.order = u.order[1:]
	}
	for len(u.order) > 0 && u.byID[u.order[0]] == nil { // shipped
		u.order = u.order[1:]
	}
}

// done notes that a step is in the store, or was not written at all.
func (u *unshipped) done(k keptStep) {
	u.mu.Lock()
	defer u.mu.Unlock()
	e := u.byID[k.r.id]
	if e == nil {
		return
	}
	if e.steps--; e.steps > 0 {
		return
	}
	u.drop(e)
	delete(u.byID, k.r.id)
	u.shrink()
}

// get returns what is not shipped of a response; nil: nothing, or no more than
// that it is deleted.
func (u *unshipped) get(id string) (r *sealedResponse, deleted bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	e := u.byID[id]
	if e == nil {
		return nil, false
	}
	return e.r, e.deleted
}
