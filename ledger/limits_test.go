package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestSetLimits(t *testing.T) {
	dir := t.TempDir()
	db := openStore(t, dir)
	s, ctx := NewLimits(db), t.Context()
	fine := func([]SetLimit) error { return nil }
	one := func(scope, value, entry string) SetLimit {
		return SetLimit{LimitID: LimitID{Scope: scope, Value: value, Measure: "usd_per_month", Action: "block"}, Entry: json.RawMessage(entry)}
	}
	list := func() (out string) {
		all, err := s.List(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range all {
			out += l.String() + " " + string(l.Entry) + " " + l.Actor + "\n"
			if time.Since(l.At) > time.Minute {
				t.Errorf("set at %s", l.At)
			}
		}
		return out
	}
	if err := s.Set(ctx, "ann", []SetLimit{one("key", "", `{"a":1}`), one("customer", "acme", `{"b":1}`)}, fine); err != nil {
		t.Fatal(err)
	}
	if err := s.Set(ctx, "bob", []SetLimit{one("key", "", `{"a":2}`)}, fine); err != nil {
		t.Fatal(err)
	}
	if got, want := list(), "customer usd_per_month block acme {\"b\":1} ann\nkey usd_per_month block {\"a\":2} bob\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}

	no := errors.New("no")
	err := s.Set(ctx, "bob", []SetLimit{one("key", "", `{"a":3}`), one("key", "x", `{}`)}, func(all []SetLimit) error {
		if len(all) != 3 {
			t.Errorf("checked: %v", all)
		}
		return no
	})
	if !errors.Is(err, no) || !strings.Contains(list(), `{"a":2}`) || strings.Contains(list(), "key usd_per_month block x") {
		t.Errorf("%v\n%s", err, list())
	}

	was, err := s.Unset(ctx, "bob", one("key", "", "").LimitID)
	if err != nil || string(was.Entry) != `{"a":2}` || was.Actor != "bob" {
		t.Errorf("%+v, %v", was, err)
	}
	if _, err := s.Unset(ctx, "bob", was.LimitID); !errors.Is(err, ErrNoSuchLimit) {
		t.Error(err)
	}
	var audited string
	err = db.Reader().QueryRow(`SELECT group_concat(actor || ' ' || action || ' ' || object, '; ') FROM audit`).Scan(&audited)
	want := "ann limit.set key usd_per_month block; ann limit.set customer usd_per_month block acme; bob limit.set key usd_per_month block; bob limit.unset key usd_per_month block"
	if err != nil || audited != want {
		t.Errorf("audited %s, %v", audited, err)
	}
}

// TestFollowLimits: another process's change is seen within a second.
func TestFollowLimits(t *testing.T) {
	dir := t.TempDir()
	mine, others := NewLimits(openStore(t, dir)), NewLimits(openStore(t, dir))
	ctx, cancel := context.WithCancel(t.Context())
	var seen atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		mine.Follow(ctx, slog.New(slog.DiscardHandler), func(ctx context.Context) error {
			all, err := mine.List(ctx)
			seen.Store(int64(len(all)))
			return err
		})
	}()
	defer func() { cancel(); <-done }()
	began := time.Now()
	l := SetLimit{LimitID: LimitID{Scope: "key", Measure: "concurrent", Action: "block"}, Entry: json.RawMessage(`{}`)}
	if err := others.Set(ctx, "x", []SetLimit{l}, func([]SetLimit) error { return nil }); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a limit that another process set", func() bool { return seen.Load() == 1 })
	if _, err := others.Unset(ctx, "x", l.LimitID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a limit that another process took back", func() bool { return seen.Load() == 0 })
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("both took %s", d)
	}
}
