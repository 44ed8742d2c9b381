package report

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"weir/costs"
)

func TestMoverCauses(t *testing.T) {
	check := func(name string, before, now []Part, cause string) {
		t.Helper()
		movers := Movers(before, now, 10)
		if len(movers) != 1 || movers[0].Cause() != cause {
			t.Errorf("%s: %+v, want one mover by %q", name, movers, cause)
		}
	}
	part := func(model string, calls, tokens int64, usd string) Part {
		return Part{Group: "acme", Model: model, Calls: calls, Tokens: tokens, Cost: costs.USD(usd)}
	}
	old := []Part{part("small", 100, 100_000, "1"), part("large", 100, 100_000, "10")}
	check("twice the calls", old, []Part{part("small", 200, 200_000, "2"), part("large", 200, 200_000, "20")}, "more calls")
	check("longer calls", old, []Part{part("small", 100, 300_000, "3"), part("large", 100, 300_000, "30")}, "more tokens a call")
	check("all by the large one", old, []Part{part("large", 200, 200_000, "20")}, "dearer models")
	check("a price cut", old, []Part{part("small", 100, 100_000, "0.5"), part("large", 100, 100_000, "5")}, "a cheaper token (price, tier or more cache hits)")
	check("a new customer", nil, old, "new")
	check("one that left", old, nil, "gone")
	dark := Part{Group: "acme", Model: "dark", Calls: 100, Tokens: 100_000, Unpriced: 100}
	check("one whose calls have no price now", old, []Part{dark}, "not known whole: a part has no price")
	check("one whose calls had no price", []Part{dark}, old, "not known whole: a part has no price")
}

// A reader who adds up what is shown gets the change: no cents are left out.
func TestMoverWhyShowsEachCent(t *testing.T) {
	m := Mover{
		Before: costs.USD("7.99"), Now: costs.USD("61.25"), Change: costs.USD("53.26"),
		Volume: costs.USD("6.16"), TokensPerCall: costs.USD("27.16"), Mix: costs.USD("22.25"), Price: costs.USD("-2.31"),
	}
	if want, got := "more tokens a call: +$6.16 calls, +$27.16 tokens a call, +$22.25 models, -$2.31 price of a token", m.why(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	m.Mix, m.Price = costs.USD("20"), costs.USD("0.004")
	if want, got := "more tokens a call: +$6.16 calls, +$27.16 tokens a call, +$20.00 models", m.why(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// The causes add up to the change, to the last digit.
func TestMoverCausesAddUp(t *testing.T) {
	parts := rapid.SliceOf(rapid.Custom(func(t *rapid.T) Part {
		return Part{
			Group:  rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "group"),
			Model:  rapid.SampledFrom([]string{"m", "n", "o"}).Draw(t, "model"),
			Calls:  rapid.Int64Range(0, 1e6).Draw(t, "calls"),
			Tokens: rapid.Int64Range(0, 1e12).Draw(t, "tokens"),
			Cost:   costs.MoneyOf(rapid.Int64Range(0, 1e15).Draw(t, "nano"), rapid.Int64Range(0, 1e9-1).Draw(t, "atto")),
		}
	}))
	rapid.Check(t, func(t *rapid.T) {
		before, now := parts.Draw(t, "before"), parts.Draw(t, "now")
		change := costs.Money{}
		for _, m := range Movers(before, now, 100) {
			change = change.Add(m.Change)
			if got := m.Volume.Add(m.TokensPerCall).Add(m.Mix).Add(m.Price); got != m.Change || m.Now.Sub(m.Before) != m.Change {
				t.Fatalf("%+v: the causes add up to %v", m, got)
			}
		}
		want := costs.Money{}
		for _, p := range now {
			want = want.Add(p.Cost)
		}
		for _, p := range before {
			want = want.Sub(p.Cost)
		}
		if change != want {
			t.Fatalf("the movers' changes are %v, the totals' %v", change, want)
		}
	})
}

func TestMoversAreSortedAndLimited(t *testing.T) {
	var now []Part
	for i := range 20 {
		now = append(now, Part{Group: fmt.Sprint(i), Calls: 1, Tokens: 1, Cost: costs.USD(fmt.Sprint(i))})
	}
	movers := Movers(nil, now, 3)
	if len(movers) != 3 || movers[0].Group != "19" || movers[2].Group != "17" {
		t.Errorf("%+v, want the three largest, the largest first", movers)
	}
}

// A quotient that does not end is rounded half to even at 12 digits.
func TestPerOne(t *testing.T) {
	check := func(usd string, n int64, want string) {
		t.Helper()
		if got := perOne(costs.USD(usd), n).String(); got != want {
			t.Errorf("%s / %d = %s, want %s", usd, n, got, want)
		}
	}
	check("1", 3, "0.333333333333")
	check("2", 3, "0.666666666667")
	check("-2", 3, "-0.666666666667")
	check("0.000000000001", 2, "0")
	check("0.000000000003", 2, "0.000000000002")
	check("5", 0, "0")
}
