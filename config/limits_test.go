package config

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestCeilings(t *testing.T) {
	c, err := Parse("weir.yaml", []byte("limits: [{scope: key, requests_per_minute: 600, tokens_per_day: 1.5M, concurrent: 50}, {scope: tag, tag: team, output_tokens_per_hour: 50k, burst: 2k, action: shadow}]"), nil)
	if err != nil {
		t.Fatal(err)
	}
	got := map[Rate]int64{}
	for r, n := range c.Limits[0].All {
		got[r] = n
	}
	if len(got) != 2 || got[Rate{"requests", time.Minute}] != 600 || got[Rate{"tokens", 24 * time.Hour}] != 1_500_000 || c.Limits[0].Slots != 50 || c.Limits[0].Action != "block" {
		t.Errorf("%+v", c.Limits[0])
	}
	for r, n := range c.Limits[1].All {
		if r != (Rate{"output_tokens", time.Hour}) || n != 50_000 || c.Limits[1].Burst != 2000 || c.Limits[1].Action != "shadow" {
			t.Errorf("%+v", c.Limits[1])
		}
	}
}

func TestBadCeilings(t *testing.T) {
	check := func(entry string, want string) {
		t.Helper()
		_, err := Parse("weir.yaml", []byte("auth: off\nlimits:\n  - {scope: global, concurrent: 9}\n  - "+entry), nil)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "weir.yaml:4: ") {
			t.Errorf("%s\ngot  %v\nwant weir.yaml:4: … %s", entry, err, want)
		}
	}
	for _, bad := range []string{"0", "-1", "-5k", "NaN", ".inf", "1e3", "0.5", "1.5", "9999999999999999999999", "2000000000000000", "1MM", "k", "ten"} {
		check("{scope: key, requests_per_minute: "+bad+"}", "requests_per_minute: want a whole number from 1 to 1000000000000000")
	}
	check("{scope: global, concurrent: 5}", "global concurrent is limited in line 3 already")
	check("{concurrent: 5}", "limits[1]: scope is missing")
	check("{scope: keys, concurrent: 5}", `(did you mean "key"?)`)
	check("{scope: key}", "limits[1]: it limits nothing")
	check("{scope: tag, concurrent: 5}", "limits[1]: scope tag needs the name of the tag")
	check("{scope: key, tag: x, concurrent: 5}", "limits[1].tag: it is for scope tag")
	check("{scope: key, concurrent: 5, burst: 3}", "limits[1].burst: it belongs to one rate, and the entry has 0")
	check("{scope: key, requests_per_day: 5, tokens_per_day: 5, burst: 3}", "and the entry has 2")
	for _, bad := range []string{"$0", "0", "-1", "-$5", "$-5", "NaN", ".inf", "1e3", "$9000000.01", "$9000001", "99999999999999999999999999", "€5", "$", "5$", "ten", "$1.2.3"} {
		check("{scope: key, usd_per_month: "+bad+"}", "usd_per_month: want dollars like $25 or $0.50, more than 0 and at most $9000000")
	}
	check("{scope: key, usd_per_day: $0.0000000001}", "usd_per_day: want dollars of at most 9 decimals")
	check("{scope: key, concurrent: 5, zone: Europe/Berlin}", "limits[1].zone: it is for budgets, and the entry has none")
	check("{scope: key, usd_per_day: 1, zone: Europe/Belrin}", `zone: want a time zone like UTC or Europe/Berlin, got "Europe/Belrin"`)
	check("{scope: key, usd_per_day: 1, zone: Local}", "zone: want a time zone like UTC or Europe/Berlin")
	check("{scope: key, usd_per_day: 1, zone: ../UTC}", "zone: want a time zone like UTC or Europe/Berlin")
	check("{scope: key, concurrent: 5, unpriced: $1}", "limits[1].unpriced: it is for budgets")
	check("{scope: key, concurrent: 5, exposure: $1}", "limits[1].exposure: it is for budgets")
	check("{scope: key, usd_per_day: 5, exposure: $1, on_store_failure: closed}", "limits[1].exposure: it is for on_store_failure: local")
	check("{scope: key, usd_per_day: 5, on_store_failure: close}", `(did you mean "closed"?)`)
	check("{scope: key, usd_per_day: 5, strict: maybe}", "strict: want on or off")
	check("{scope: key, requests_per_day: 5, strict: on}", "limits[1].strict: it is for limits of tokens and dollars")
	check("{scope: key, usd_per_day: 5, soft: [0%]}", `soft[0]: want 1% to 100%, got "0%"`)
	check("{scope: key, usd_per_day: 5, soft: [101]}", `soft[0]: want 1% to 100%, got "101"`)
	check("{scope: key, usd_per_day: 5, soft: [0.5]}", `soft[0]: want 1% to 100%, got "0.5"`)
	check("{scope: key, usd_per_day: 5, soft: [-5]}", `soft[0]: want 1% to 100%, got "-5"`)
	check("{scope: key, usd_per_day: 5, soft: [80%, 50%]}", "limits[1].soft: want percents that ascend, got 50% after 80%")
	check("{scope: key, usd_per_day: 5, soft: [80%, 80%]}", "limits[1].soft: want percents that ascend, got 80% after 80%")
	check("{scope: key, usd_per_day: 5, action: downgrade}", "limits[1]: action downgrade needs downgrade_to")
	check("{scope: key, usd_per_day: 5, downgrade_to: x}", "limits[1].downgrade_to: it is for action downgrade")
	check("{scope: provider, usd_per_day: 5, action: downgrade, downgrade_to: x}", "scope provider cannot have it")
	check("{scope: model, value: x, usd_per_day: 5, action: downgrade, downgrade_to: x}", "it is the model that is limited")
	check("{scope: key, usd_per_day: 5, queue: 5s}", "limits[1].queue: it is for action queue")
	check("{scope: key, concurrent: 5, action: queue, queue: 0}", "limits[1].queue: want 1ms to 10m")
	check("{scope: key, concurrent: 5, action: queue, queue: 11m}", "limits[1].queue: want 1ms to 10m")
	check("{scope: key, concurrent: 5, action: queue, queue: -1s}", "queue: want a duration")
	check("{scope: global, value: x, concurrent: 5}", "limits[1].value: global has no values")
	check("{scope: key, value: \"a\\nb\", concurrent: 5}", "limits[1].value: want a text of up to 120 bytes without control characters")
	check("{scope: key, concurrent: 5, action: blok}", `(did you mean "block"?)`)
	check("{scope: key, requests_per_second: 5}", `unknown key "requests_per_second"`)
}

func TestBudgets(t *testing.T) {
	c, err := Parse("weir.yaml", []byte(`auth: keys
limits:
  - {scope: key, usd_per_day: $0.50, usd_per_month: 25, zone: Europe/Berlin, unpriced: $0.10, strict: on, exposure: $1, requests_per_day: 9}
  - {scope: key, value: key_1, usd_per_month: $9000000, soft: [], on_store_failure: closed}
  - {scope: key, usd_per_month: $20, action: warn, soft: 90}
  - {scope: model, value: big, usd_per_week: 0.000000001, action: downgrade, downgrade_to: small, soft: [50%, 80%]}
  - {scope: customer, concurrent: 2, action: queue}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range c.Limits {
		for _, l := range c.Limits[i].Ceilings() {
			b, err := json.Marshal(&l.Limit)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, l.Measure+" "+string(b))
		}
	}
	want := []string{
		`requests_per_day {"action":"block","requests_per_day":9,"scope":"key"}`,
		`usd_per_day {"action":"block","exposure":"$1","scope":"key","soft":["50%","80%","100%"],"strict":"on","unpriced":"$0.1","usd_per_day":"$0.5","zone":"Europe/Berlin"}`,
		`usd_per_month {"action":"block","exposure":"$1","scope":"key","soft":["50%","80%","100%"],"strict":"on","unpriced":"$0.1","usd_per_month":"$25","zone":"Europe/Berlin"}`,
		`usd_per_month {"action":"block","on_store_failure":"closed","scope":"key","soft":[],"usd_per_month":"$9000000","value":"key_1"}`,
		`usd_per_month {"action":"warn","scope":"key","soft":["90%"],"usd_per_month":"$20"}`,
		`usd_per_week {"action":"downgrade","downgrade_to":"small","scope":"model","soft":["50%","80%"],"usd_per_week":"$0.000000001","value":"big"}`,
		`concurrent {"action":"queue","concurrent":2,"queue":"10s","scope":"customer"}`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(c.Warnings) != 0 && !strings.Contains(c.Warnings[0].Error(), "no providers") {
		t.Error(c.Warnings)
	}
}

// TestManyValues: those of one scope and dimension are one ceiling of a call.
func TestManyValues(t *testing.T) {
	text := "limits:"
	for i := range 100 {
		text += fmt.Sprintf("\n  - {scope: customer, value: c%d, usd_per_day: 1}", i)
	}
	for i := range MaxLimits - 1 {
		text += fmt.Sprintf("\n  - {scope: tag, tag: t%d, usd_per_day: 1}", i)
	}
	if _, err := Parse("f", []byte(text), nil); err != nil {
		t.Error(err)
	}
	if _, err := Parse("f", []byte(text+"\n  - {scope: key, concurrent: 1}"), nil); err == nil || !strings.Contains(err.Error(), "f:2: limits: 33 ceilings for one call: want at most 32") {
		t.Error(err)
	}
}

// TestWarnedLimits: what is allowed and hardly meant.
func TestWarnedLimits(t *testing.T) {
	check := func(entry, want string) {
		t.Helper()
		c, err := Parse("f", []byte("auth: off\nproviders: {a: {kind: mock}}\nlimits:\n  - "+entry), nil)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, w := range c.Warnings {
			got += w.Error() + "\n"
		}
		if want == "" && got != "" || !strings.Contains(got, want) || want != "" && !strings.HasPrefix(got, "f:4: limits[0]") {
			t.Errorf("%s\ngot  %q\nwant %q", entry, got, want)
		}
	}
	check("{scope: customer, usd_per_day: 5}", "")
	check("{scope: provider, value: a, usd_per_day: 5}", "")
	check("{scope: key, usd_per_day: 5}", "with auth: off no call has a key")
	check("{scope: customer, usd_per_day: 5, action: queue}", "calls wait only while others hold money")
	check("{scope: session, usd_per_day: 5}", "who names another one has another budget")
	check("{scope: provider, value: b, usd_per_day: 5}", `there is no provider "b"`)
	check("{scope: target, value: b, usd_per_day: 5}", `"b" is no target`)
}

// TestLoneLimit: an entry that does not stand in the file is held to the same
// rules, and is text as it stands.
func TestLoneLimit(t *testing.T) {
	check := func(entry, want string) {
		t.Helper()
		l, err := ParseLimit([]byte(entry))
		got := ""
		if err != nil {
			got = err.Error()
		} else if b, err := json.Marshal(l); err == nil {
			got = string(b)
		}
		if got != want {
			t.Errorf("%s\ngot  %s\nwant %s", entry, got, want)
		}
	}
	check(`{"scope":"customer","value":"${HOME}","usd_per_month":"$25","soft":[50,"80%"],"strict":true}`,
		`{"action":"block","scope":"customer","soft":["50%","80%"],"strict":"on","usd_per_month":"$25","value":"${HOME}"}`)
	check(`{"scope":"key","requests_per_minute":600}`, `{"action":"block","requests_per_minute":600,"scope":"key"}`)
	check(`{"scope":"key","usd_per_month":0}`, `usd_per_month: want dollars like $25 or $0.50, more than 0 and at most $9000000, got "0"`)
	check(`{"scope":"key","usd_per_month":1e3}`, `usd_per_month: want dollars like $25 or $0.50, more than 0 and at most $9000000, got "1e3"`)
	check(`{"scope":"key","requests_per_minute":-600}`, `requests_per_minute: want a whole number from 1 to 1000000000000000, like 600, 50k or 1M, got "-600"`)
	check(`{"scope":"key"}`, "it limits nothing")
	check(`{"requests_per_minute":600}`, "scope is missing")
	check(`{"scope":"key","concurrent":5,"burst":3}`, "burst: it belongs to one rate, and the entry has 0")
	check(`{"scope":"key","concurrent":{"a":1}}`, "concurrent: want a number, got a mapping")
	check(`{"scope":"key","concurent":5}`, `unknown key "concurent" (did you mean "concurrent"?)`)
	check(`[]`, "want one JSON object of a limit's keys")
}

// FuzzLimit: an entry that is read is shown in a way that is read as the same.
func FuzzLimit(f *testing.F) {
	f.Add([]byte(`{"scope":"customer","value":"${HOME}","usd_per_month":"$25","soft":[50,"80%"],"strict":true,"zone":"Asia/Tokyo"}`))
	f.Add([]byte(`{"scope":"tag","tag":"a","tokens_per_day":"1.5M","burst":9,"action":"queue","queue":"1m"}`))
	f.Add([]byte(`{"scope":"model","usd_per_day":0.5,"action":"downgrade","downgrade_to":"x","on_store_failure":"open","soft":[]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := ParseLimit(text)
		if err != nil {
			return
		}
		for _, c := range l.Ceilings() {
			shown, err := json.Marshal(&c.Limit)
			if err != nil {
				t.Fatal(err)
			}
			again, err := ParseLimit(shown)
			if err != nil {
				t.Fatalf("%s: %v", shown, err)
			}
			back, err := json.Marshal(again)
			if err != nil || string(back) != string(shown) {
				t.Fatalf("%s came back as %s: %v", shown, back, err)
			}
		}
	})
}
