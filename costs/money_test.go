package costs

import (
	"encoding/json"
	"math"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func bigOf(m Money) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(m.hi), 64)
	return n.Add(n, new(big.Int).SetUint64(m.lo))
}

// ratOf is an amount in dollars.
func ratOf(m Money) *big.Rat {
	return new(big.Rat).SetFrac(bigOf(m), new(big.Int).Exp(big.NewInt(10), big.NewInt(moneyDigits), nil))
}

// anyMoney draws from the whole range, most of them of a believable size.
func anyMoney(t *rapid.T) Money {
	if rapid.Bool().Draw(t, "small") {
		return MoneyOf(rapid.Int64Range(-1e15, 1e15).Draw(t, "nano"), rapid.Int64Range(0, nanoUnits-1).Draw(t, "atto"))
	}
	m := Money{rapid.Int64().Draw(t, "hi"), rapid.Uint64().Draw(t, "lo")}
	if m.Cmp(minMoney) < 0 {
		return minMoney
	}
	return m
}

func clampBig(n *big.Int) *big.Int {
	if high := bigOf(maxMoney); n.Cmp(high) > 0 {
		return high
	}
	if low := bigOf(minMoney); n.Cmp(low) < 0 {
		return low
	}
	return n
}

func TestMoneyAgainstBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyMoney(t), anyMoney(t)
		check := func(what string, got Money, want *big.Int) {
			t.Helper()
			if bigOf(got).Cmp(clampBig(want)) != 0 {
				t.Errorf("%v %s %v = %v, want %v", a, what, b, bigOf(got), want)
			}
		}
		check("+", a.Add(b), new(big.Int).Add(bigOf(a), bigOf(b)))
		check("-", a.Sub(b), new(big.Int).Sub(bigOf(a), bigOf(b)))
		check("neg", a.Neg(), new(big.Int).Neg(bigOf(a)))
		if got, want := a.Cmp(b), bigOf(a).Cmp(bigOf(b)); got != want {
			t.Errorf("%v.Cmp(%v) = %d, want %d", a, b, got, want)
		}
		if got, want := a.Sign(), bigOf(a).Sign(); got != want {
			t.Errorf("%v.Sign() = %d, want %d", a, got, want)
		}
		back, err := ParseUSD(a.String())
		if err != nil || back != a {
			t.Errorf("ParseUSD(%q) = %v, %v", a.String(), back, err)
		}
		r, ok := new(big.Rat).SetString(a.String())
		if !ok || r.Cmp(ratOf(a)) != 0 {
			t.Errorf("%q is not %v", a.String(), ratOf(a))
		}
	})
}

func TestMoneyParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Money {
			return MoneyOf(rapid.Int64Range(-1e14, 1e14).Draw(t, "nano"), rapid.Int64Range(0, nanoUnits-1).Draw(t, "atto"))
		}), 0, 50).Draw(t, "list")
		var nanos, attos int64
		var sum Money
		for _, m := range list {
			nano, atto := m.Parts()
			if atto < 0 || atto >= nanoUnits || MoneyOf(nano, atto) != m {
				t.Fatalf("%v.Parts() = %d, %d", m, nano, atto)
			}
			nanos, attos, sum = nanos+nano, attos+atto, sum.Add(m)
		}
		if got := MoneyOf(nanos, attos); got != sum {
			t.Errorf("sums of the parts make %v, want %v", got, sum)
		}
	})
	check := func(m Money, nano, atto int64) {
		t.Helper()
		if n, a := m.Parts(); n != nano || a != atto {
			t.Errorf("%v.Parts() = %d, %d, want %d, %d", m, n, a, nano, atto)
		}
	}
	check(USD("-0.000000000000000001"), -1, nanoUnits-1)
	check(USD("9223372036.854775807"), math.MaxInt64, 0)
	check(USD("9223372037"), math.MaxInt64, nanoUnits-1)
	up := func(m Money, want int64) {
		t.Helper()
		if n := m.NanoUp(); n != want {
			t.Errorf("%v.NanoUp() = %d, want %d", m, n, want)
		}
	}
	up(USD("0.000000001"), 1)
	up(USD("0.000000001000000001"), 2)
	up(USD("-0.000000000000000001"), 0)
	up(USD("9223372037"), math.MaxInt64)
	check(USD("-99999999999"), math.MinInt64, 0)
	check(maxMoney, math.MaxInt64, nanoUnits-1)
}

func TestParseUSD(t *testing.T) {
	check := func(text, want string) {
		t.Helper()
		if got, err := ParseUSD(text); err != nil || got.String() != want {
			t.Errorf("ParseUSD(%q) = %v, %v, want %s", text, got, err, want)
		}
	}
	check("0", "0")
	check("-0", "0")
	check("$25", "25")
	check("-$1.50", "-1.5")
	check("0.0379055", "0.0379055")
	check("1e-7", "0.0000001")
	check("2.5E+2", "250")
	check("0.000000000000000001", "0.000000000000000001")
	check("1.0000000000000000000000", "1")
	check(".5", "0.5")
	check("170141183460469231731.687303715884105727", "170141183460469231731.687303715884105727")
	check("100000000000000000000", "100000000000000000000")

	refuse := func(text string) {
		t.Helper()
		if got, err := ParseUSD(text); err == nil {
			t.Errorf("ParseUSD(%q) = %v, want an error", text, got)
		}
	}
	for _, text := range []string{
		"", "$", "-", ".", "1.", "1,5", "1 ", "+1", "--1", "€1", "1e", "1e999", "0x1", "NaN", "Inf", "1_0",
		"0.0000000000000000001", "1e-19", "170141183460469231731.687303715884105728", "1e21", strings.Repeat("1", 65),
	} {
		refuse(text)
	}
}

func TestMoneyInJSON(t *testing.T) {
	b, err := json.Marshal(map[string]Money{"usd": USD("0.0379055")})
	if err != nil || string(b) != `{"usd":"0.0379055"}` {
		t.Errorf("Marshal = %s, %v", b, err)
	}
	var back map[string]Money
	if err := json.Unmarshal(b, &back); err != nil || back["usd"] != USD("0.0379055") {
		t.Errorf("Unmarshal = %v, %v", back, err)
	}
}

// A float on the way would show in the last digits.
func FuzzParseUSD(f *testing.F) {
	for _, seed := range []string{"0.1", "$25", "-1e-18", "1e-19", "99999999999999999999.999999999999999999", "1e20", "0e99", strings.Repeat("0", 64)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := ParseUSD(text)
		if err != nil {
			return
		}
		sign, digits := "", strings.TrimPrefix(text, "-")
		if digits != text {
			sign = "-"
		}
		want, ok := new(big.Rat).SetString(sign + strings.TrimPrefix(digits, "$"))
		if !ok || ratOf(m).Cmp(want) != 0 {
			t.Fatalf("ParseUSD(%q) = %v, want %v", text, m, want)
		}
		if back, err := ParseUSD(m.String()); err != nil || back != m {
			t.Fatalf("ParseUSD(%q) = %v, %v", m.String(), back, err)
		}
	})
}
