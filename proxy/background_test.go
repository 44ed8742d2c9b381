package proxy

import (
	"fmt"
	"testing"
)

// An id that was taken and is added again counts from then on.
func TestBackgroundRing(t *testing.T) {
	var b background
	b.add("again")
	b.take("again")
	for i := range maxBackground - 2 {
		b.add(fmt.Sprint(i))
	}
	b.add("again")
	b.add("x")
	b.add("y")
	if !b.awaits("again") {
		t.Error("the newest went for its own old place")
	}
	for i := range 2 * maxBackground { // those taken leave no trace
		id := fmt.Sprint("t", i)
		b.add(id)
		b.take(id)
	}
	if !b.awaits("again") || !b.awaits("5") {
		t.Error("those that are awaited went for those that are not")
	}
}
