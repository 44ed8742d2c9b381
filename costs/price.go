package costs

import (
	"fmt"
	"math/big"
	"math/bits"
	"strings"
)

// A rate is what a meter costs: usd for each `per` of its counts.
type rate struct {
	usd Money
	per int64
}

// rateUnits are the units that a price may name after a slash, by what the
// meter counts in. The first is the one that vendors quote, and the default.
var rateUnits = map[Unit][]struct {
	name string
	per  int64
}{
	Tokens:     {{"M", 1e6}, {"k", 1e3}, {"1", 1}},
	TokenHours: {{"M", 1e6}, {"1", 1}},
	Micros:     {{"h", 3_600_000_000}, {"min", 60_000_000}, {"s", 1_000_000}},
	Pieces:     {{"k", 1e3}, {"1", 1}, {"M", 1e6}, {"B", 1e9}},
}

// quotedUnits are the pieces that vendors quote otherwise than by the thousand.
var quotedUnits = map[Meter]string{Characters: "M", Images: "1", CodeSessions: "1", ImagePixels: "B", VideoPixels: "B"}

// perUnit returns the count of a unit of a meter; "" is the usual one.
func perUnit(m Meter, unit string) (per int64, ok bool) {
	units := rateUnits[m.Unit()]
	if unit == "" {
		unit = quotedUnits[m]
	}
	if unit == "" {
		return units[0].per, true
	}
	for _, u := range units {
		if u.name == unit || "1"+u.name == unit {
			return u.per, true
		}
	}
	return 0, false
}

// unitName is how a rate's unit reads: "M tokens", "h", "k requests".
func (r rate) unitName(m Meter) string {
	name := fmt.Sprint(r.per)
	for _, u := range rateUnits[m.Unit()] {
		if u.per == r.per {
			name = u.name
		}
	}
	switch m.Unit() {
	case Micros:
		return name
	case Tokens:
		return name + " tokens"
	}
	return name + " " + m.String()
}

// parseRate reads a price of a meter: "1.25", "$10/k", "0.006/min".
func parseRate(m Meter, text string) (rate, error) {
	amount, unit, _ := strings.Cut(text, "/")
	usd, err := ParseUSD(strings.TrimSpace(amount))
	if err != nil {
		return rate{}, err
	}
	if usd.Sign() < 0 {
		return rate{}, fmt.Errorf("a price cannot be negative: %s", text)
	}
	per, ok := perUnit(m, strings.TrimSpace(unit))
	if !ok {
		var names []string
		for _, u := range rateUnits[m.Unit()] {
			names = append(names, u.name)
		}
		return rate{}, fmt.Errorf("%s has no unit %q: want one of %s", m, unit, strings.Join(names, ", "))
	}
	return rate{usd, per}, nil
}

// A factor multiplies prices, exactly.
type factor struct{ num, den int64 }

var one = factor{1, 1}

// parseFactor reads "0.5", "1.1" or, as a discount, "12.5%" off.
func parseFactor(text string) (factor, error) {
	digits, percent := strings.CutSuffix(text, "%")
	m, err := ParseUSD(digits)
	if err != nil || strings.Contains(digits, "$") {
		return factor{}, fmt.Errorf("want a number like 0.5 or 12.5%%, got %q", text)
	}
	if percent {
		m = USD("100").Sub(m)
	}
	nano, atto := m.Parts()
	if m.Sign() < 0 || atto != 0 || m.Cmp(USD("1000")) > 0 || percent && m.Cmp(USD("100")) > 0 {
		return factor{}, fmt.Errorf("want a factor of 0 to 1000 with up to 9 digits, or 0%% to 100%%, got %q", text)
	}
	f := factor{nano, nanoUnits}
	if percent {
		f.den *= 100
	}
	return f.reduced(), nil
}

func (f factor) reduced() factor {
	a, b := f.num, f.den
	for b != 0 {
		a, b = b, a%b
	}
	return factor{f.num / a, f.den / a}
}

// String is the factor as a decimal, or a fraction where it doesn't end.
func (f factor) String() string {
	r := big.NewRat(f.num, f.den)
	if digits, exact := r.FloatPrec(); exact {
		return r.FloatString(digits)
	}
	return r.RatString()
}

// A sum adds up amounts exactly: those that are whole units of Money, and the
// rest as fractions.
type sum struct {
	whole Money
	rest  *big.Rat // in units of 1e-18 dollars; nil is 0
}

// add adds an amount.
func (s *sum) add(a amount) {
	if a.rest == nil {
		s.whole = s.whole.Add(a.whole)
		return
	}
	if s.rest == nil {
		s.rest = new(big.Rat)
	}
	s.rest.Add(s.rest, a.rest)
}

// money is the sum: exact where it ends within 18 digits, else rounded to
// 12 digits, half to even.
func (s *sum) money() Money {
	if s.rest == nil {
		return s.whole
	}
	return s.whole.Add(rounded(s.rest))
}

// An amount is one line's part of a charge.
type amount struct {
	whole Money
	rest  *big.Rat // the amount, where it isn't a whole number of units
}

func (a amount) money() Money {
	if a.rest == nil {
		return a.whole
	}
	return rounded(a.rest)
}

// rounded turns units into Money. What has no end within 18 digits is rounded
// to 12, half to even.
func rounded(units *big.Rat) Money {
	if units.IsInt() {
		return moneyOfBig(units.Num())
	}
	step := big.NewInt(1_000_000) // 1e-12 dollars
	den := new(big.Int).Mul(units.Denom(), step)
	q, r := new(big.Int).QuoRem(units.Num(), den, new(big.Int))
	r.Abs(r.Lsh(r, 1))
	if c := r.Cmp(den); c > 0 || c == 0 && q.Bit(0) == 1 {
		q.Add(q, big.NewInt(int64(units.Sign())))
	}
	return moneyOfBig(q.Mul(q, step))
}

func moneyOfBig(n *big.Int) Money {
	m := maxMoney
	if mag := new(big.Int).Abs(n); mag.BitLen() < 127 {
		m = Money{int64(new(big.Int).Rsh(mag, 64).Uint64()), new(big.Int).And(mag, new(big.Int).SetUint64(1<<64-1)).Uint64()}
	}
	if n.Sign() < 0 {
		return m.Neg()
	}
	return m
}

// times returns n counts at a rate. A price book's figures stay far below
// 2^127 units: one multiplication and one division of whole numbers, which
// nearly always leaves no rest.
func (r rate) times(n int64) amount { return scale(r.usd, uint64(n), uint64(r.per)) }

// by multiplies an amount.
func (a amount) by(f factor) amount {
	if f == one {
		return a
	}
	if a.rest == nil {
		return scale(a.whole, uint64(f.num), uint64(f.den))
	}
	return exact(new(big.Rat).Mul(a.rest, big.NewRat(f.num, f.den)))
}

// less compares amounts.
func (a amount) less(b amount) bool {
	if a.rest == nil && b.rest == nil {
		return a.whole.Cmp(b.whole) < 0
	}
	return a.rat().Cmp(b.rat()) < 0
}

func (a amount) rat() *big.Rat {
	if a.rest != nil {
		return a.rest
	}
	return new(big.Rat).SetInt(bigInt(a.whole))
}

// scale returns m × num / den, exactly. m is not negative.
func scale(m Money, num, den uint64) amount {
	if p, ok := m.mul(num); ok {
		if q, rest := p.div(den); rest == 0 {
			return amount{whole: q}
		}
	}
	n := bigInt(m)
	n.Mul(n, new(big.Int).SetUint64(num))
	return exact(new(big.Rat).SetFrac(n, new(big.Int).SetUint64(den)))
}

func exact(units *big.Rat) amount {
	if units.IsInt() {
		return amount{whole: moneyOfBig(units.Num())}
	}
	return amount{rest: units}
}

func bigInt(m Money) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(m.hi), 64)
	return n.Add(n, new(big.Int).SetUint64(m.lo))
}

// mul multiplies an amount that is not negative; false is overflow.
func (m Money) mul(n uint64) (Money, bool) {
	top, hi := bits.Mul64(uint64(m.hi), n)
	over, lo := bits.Mul64(m.lo, n)
	hi, carry := bits.Add64(hi, over, 0)
	return Money{int64(hi), lo}, top == 0 && carry == 0 && hi>>63 == 0
}

// div divides an amount that is not negative.
func (m Money) div(d uint64) (q Money, rest uint64) {
	hi := uint64(m.hi) / d
	lo, rest := bits.Div64(uint64(m.hi)%d, m.lo, d)
	return Money{int64(hi), lo}, rest
}
