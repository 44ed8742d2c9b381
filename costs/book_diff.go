package costs

import (
	"errors"
	"fmt"
	"time"
)

// A RowChange is what differs between two books at one price row.
type RowChange struct {
	ID       string `json:"id"`   // of the row
	Kind     string `json:"kind"` // added, removed, changed
	Provider string `json:"provider"`
	Model    string `json:"model"`
	Meter    Meter  `json:"meter"`
	Unit     string `json:"unit"`
	When     string `json:"when,omitzero"`
	Old      *Money `json:"old_usd"` // nil: there was none
	New      *Money `json:"new_usd"`
}

// Changes calls yield with the rows in which two books differ, in the order of
// the new book, what is gone last, until it returns false.
func Changes(old, now *Book, yield func(RowChange) bool) {
	before := map[string]PriceRow{}
	var order []string
	old.Rows(RowQuery{At: time.Unix(0, 0)}, func(r PriceRow) bool {
		if _, twice := before[r.ID]; !twice {
			before[r.ID], order = r, append(order, r.ID)
		}
		return true
	})
	seen := map[string]bool{}
	more := true
	now.Rows(RowQuery{At: time.Unix(0, 0)}, func(r PriceRow) bool {
		if seen[r.ID] {
			return true
		}
		seen[r.ID] = true
		was, there := before[r.ID]
		switch {
		case !there:
			more = yield(r.change("added", nil, &r.USD))
		case was.USD != r.USD || was.Unit != r.Unit:
			more = yield(r.change("changed", &was.USD, &r.USD))
		}
		return more
	})
	for _, id := range order {
		if r := before[id]; more && !seen[id] {
			more = yield(r.change("removed", &r.USD, nil))
		}
	}
}

func (r *PriceRow) change(kind string, old, now *Money) RowChange {
	return RowChange{ID: r.ID, Kind: kind, Provider: r.Provider, Model: r.Model, Meter: r.Meter, Unit: r.Unit, When: r.When, Old: old, New: now}
}

// Check reads all of a book, and says what of its base cannot be read. A book
// is used without those models: their calls are unpriced.
func (b *Book) Check() error {
	b.Warm()
	var faults []error
	for _, id := range b.ids {
		for _, f := range b.providers[id].faults {
			faults = append(faults, fmt.Errorf("read prices: %s", f))
		}
	}
	return errors.Join(faults...)
}
