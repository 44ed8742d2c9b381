package costs

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// Money is an exact amount of US dollars: a 128-bit whole number of 1e-18
// dollars, up to 1.7e20 dollars either way. The zero Money is $0. Sums that
// leave that range stay at its end: a nonsensical figure must not turn into a
// credit. Money is comparable with ==.
type Money struct {
	hi int64 // two's complement, the upper half
	lo uint64
}

// Money's scale: units in a dollar, and in the two parts that stores keep.
const (
	moneyDigits = 18
	nanoUnits   = 1_000_000_000 // of 1e-18 dollars in 1e-9 dollars
)

var (
	maxMoney = Money{math.MaxInt64, math.MaxUint64}
	minMoney = maxMoney.Neg() // the one below has no opposite
)

// errMoney is what every text that isn't an amount is refused with.
var errMoney = errors.New("want an amount in dollars like 0.0379055 or $25")

// maxMoneyText bounds what ParseUSD reads.
const maxMoneyText = 64

// ParseUSD reads an amount of dollars as people and price files write it:
// "0.0379055", "$25", "-1.5", "1e-7". It never goes by way of a float. What
// has digits below 1e-18 dollars is an error, not rounded.
func ParseUSD(s string) (Money, error) {
	digits, neg, err := moneyText(s)
	if err != nil {
		return Money{}, err
	}
	mantissa, power, _ := strings.Cut(strings.ToLower(digits), "e")
	exp := 0
	if len(mantissa) < len(digits) {
		if exp, err = strconv.Atoi(power); err != nil || exp < -99 || exp > 99 {
			return Money{}, fmt.Errorf("read %q: %w", s, errMoney)
		}
	}
	whole, fraction, point := strings.Cut(mantissa, ".")
	if whole == "" && fraction == "" || point && fraction == "" {
		return Money{}, fmt.Errorf("read %q: %w", s, errMoney)
	}
	m, err := scaled(whole+fraction, exp-len(fraction)+moneyDigits)
	if err != nil {
		return Money{}, fmt.Errorf("read %q: %w", s, err)
	}
	if neg {
		m = m.Neg()
	}
	return m, nil
}

// moneyText takes the sign and the dollar off an amount.
func moneyText(s string) (digits string, neg bool, err error) {
	if len(s) > maxMoneyText {
		return "", false, fmt.Errorf("read an amount of %d characters: %w", len(s), errMoney)
	}
	digits, neg = strings.CutPrefix(s, "-")
	return strings.TrimPrefix(digits, "$"), neg, nil
}

// scaled returns digits × 10^exp units.
func scaled(digits string, exp int) (Money, error) {
	var m Money
	for exp < 0 { // the last digits are below the smallest unit
		last := len(digits) - 1
		if last >= 0 && digits[last] != '0' {
			return Money{}, errors.New("finer than 1e-18 dollars")
		}
		if last >= 0 {
			digits = digits[:last]
		}
		exp++
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return Money{}, errMoney
		}
	}
	for i := 0; i < len(digits)+exp; i++ {
		var d uint64
		if i < len(digits) {
			d = uint64(digits[i] - '0')
		}
		if i >= len(digits) && m.IsZero() {
			break
		}
		over, lo := bits.Mul64(m.lo, 10)
		lo, carry := bits.Add64(lo, d, 0)
		if top, hi := bits.Mul64(uint64(m.hi), 10); top != 0 || hi+over+carry > math.MaxInt64 || hi > math.MaxInt64 {
			return Money{}, errors.New("more than 1.7e20 dollars")
		}
		m = Money{int64(uint64(m.hi)*10 + over + carry), lo}
	}
	return m, nil
}

// USD is ParseUSD for amounts that are known to be right; it panics on others.
func USD(s string) Money {
	m, err := ParseUSD(s)
	if err != nil {
		panic(err)
	}
	return m
}

// MoneyOf returns nano × 1e-9 + atto × 1e-18 dollars. Both may be sums of many
// Parts: what atto has beyond its column is carried over.
func MoneyOf(nano, atto int64) Money {
	m := Money{lo: magnitude(nano)}
	over, lo := bits.Mul64(m.lo, nanoUnits)
	m = Money{int64(over), lo}
	if nano < 0 {
		m = m.Neg()
	}
	small := Money{lo: magnitude(atto)}
	if atto < 0 {
		small = small.Neg()
	}
	return m.Add(small)
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

// Parts splits an amount for two columns of a store, each of which can be
// summed exactly over 1e9 rows: m = nano × 1e-9 + atto × 1e-18 dollars, with
// 0 <= atto < 1e9. Beyond 9.2 billion dollars it returns the largest parts.
func (m Money) Parts() (nano, atto int64) {
	neg := m.hi < 0
	if neg {
		m = m.Neg()
	}
	if uint64(m.hi) >= nanoUnits/2 { // the quotient has 64 bits or more
		if neg {
			return math.MinInt64, 0
		}
		return math.MaxInt64, nanoUnits - 1
	}
	q, r := bits.Div64(uint64(m.hi), m.lo, nanoUnits)
	if !neg {
		return int64(q), int64(r)
	}
	if r == 0 {
		return -int64(q), 0
	}
	return -int64(q) - 1, nanoUnits - int64(r)
}

// NanoUp is an amount in whole billionths of a dollar, rounded up, as limits and
// budgets count it.
func (m Money) NanoUp() int64 {
	nano, atto := m.Parts()
	if atto > 0 && nano < math.MaxInt64 {
		nano++
	}
	return nano
}

// Add returns m + o.
func (m Money) Add(o Money) Money {
	lo, carry := bits.Add64(m.lo, o.lo, 0)
	hi, _ := bits.Add64(uint64(m.hi), uint64(o.hi), carry)
	sum := Money{int64(hi), lo}
	if (m.hi < 0) == (o.hi < 0) && (sum.hi < 0) != (m.hi < 0) {
		sum = maxMoney
		if m.hi < 0 {
			sum = minMoney
		}
	}
	if sum.Cmp(minMoney) < 0 {
		return minMoney
	}
	return sum
}

// Sub returns m - o.
func (m Money) Sub(o Money) Money { return m.Add(o.Neg()) }

// Neg returns -m.
func (m Money) Neg() Money {
	lo, borrow := bits.Sub64(0, m.lo, 0)
	hi, _ := bits.Sub64(0, uint64(m.hi), borrow)
	return Money{int64(hi), lo}
}

// Cmp returns -1, 0 or +1 as m is less than, equal to or more than o.
func (m Money) Cmp(o Money) int {
	switch {
	case m == o:
		return 0
	case m.hi < o.hi, m.hi == o.hi && m.lo < o.lo:
		return -1
	}
	return 1
}

// Sign returns -1, 0 or +1.
func (m Money) Sign() int { return m.Cmp(Money{}) }

// IsZero reports whether m is $0.
func (m Money) IsZero() bool { return m == Money{} }

// String returns the shortest exact decimal, in dollars: "0.0379055", "-12.5", "0".
func (m Money) String() string { return string(m.Append(nil)) }

// Append appends what String returns.
func (m Money) Append(dst []byte) []byte {
	if m.hi < 0 {
		dst = append(dst, '-')
		m = m.Neg()
	}
	const dollar = 1_000_000_000_000_000_000
	// 2^127 / 1e18 has 68 bits: the upper digits come off first.
	top, rest := uint64(m.hi)/dollar, uint64(m.hi)%dollar
	q, units := bits.Div64(rest, m.lo, dollar)
	if top > 0 { // top × 2^64 + q dollars
		high, low := bits.Div64(top, q, dollar)
		dst = strconv.AppendUint(dst, high, 10)
		dst = appendPadded(dst, low)
	} else {
		dst = strconv.AppendUint(dst, q, 10)
	}
	if units == 0 {
		return dst
	}
	dst = appendPadded(append(dst, '.'), units)
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	return dst
}

// appendPadded appends n < 1e18 with all of its 18 digits.
func appendPadded(dst []byte, n uint64) []byte {
	var digits [moneyDigits]byte
	for i := len(digits) - 1; i >= 0; i-- {
		digits[i] = '0' + byte(n%10)
		n /= 10
	}
	return append(dst, digits[:]...)
}

// MarshalText is String: an amount is a string in JSON, never a number.
func (m Money) MarshalText() ([]byte, error) { return m.Append(nil), nil }

// UnmarshalText is ParseUSD.
func (m *Money) UnmarshalText(text []byte) (err error) {
	*m, err = ParseUSD(string(text))
	return err
}
