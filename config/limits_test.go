package config

import (
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
	check("{scope: key, usd_per_month: $25}", "usd_per_month: not in this version")
	check("{scope: key, concurrent: 5, zone: Europe/Berlin}", "zone: not in this version")
	check("{scope: key, concurrent: 5, action: queue}", "queue: not in this version")
	check("{scope: key, concurrent: 5, action: blok}", `(did you mean "block"?)`)
	check("{scope: key, requests_per_second: 5}", `unknown key "requests_per_second"`)
}
