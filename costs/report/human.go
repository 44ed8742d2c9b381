package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"weir/costs"
)

// Cents is an amount for people. What is there but less than a cent is not
// $0.00; what is below nothing by less than a cent is told in digits that count.
func Cents(m costs.Money) string {
	nano, _ := size(m).Parts()
	cents := nano / 1e7
	if nano%1e7 >= 5e6 {
		cents++
	}
	sign := ""
	if m.Sign() < 0 {
		sign = "-"
	}
	switch {
	case cents > 0 || m.IsZero():
		return fmt.Sprintf("%s$%s.%02d", sign, Count(cents/100), cents%100)
	case m.Sign() < 0:
		return small(m)
	}
	return "<$0.01"
}

// small is a price of one thing, which is often less than a cent: two digits
// that count.
func small(m costs.Money) string {
	d := math.Abs(dollars(m))
	if d >= 1 || m.IsZero() {
		return Cents(m)
	}
	if d < 1e-9 {
		return "<$0.000000001"
	}
	digits := min(1-int(math.Floor(math.Log10(d))), 12)
	text := "$" + strconv.FormatFloat(d, 'f', max(digits, 2), 64)
	if m.Sign() < 0 {
		return "-" + text
	}
	return text
}

// signed is a change for people. One of less than a cent is told in digits
// that count.
func signed(m costs.Money) string {
	text := Cents(m)
	if text == "<$0.01" {
		text = small(m)
	}
	if m.Sign() > 0 {
		return "+" + text
	}
	return text
}

// Cost is what a sum cost for people: unknown is not $0.00, and an amount of
// which a part is unpriced is a lower bound.
func Cost(s *costs.Sum) string {
	switch {
	case !Known(s):
		return "unknown"
	case s.Unpriced > 0:
		return "≥ " + atLeast(s.Cost)
	}
	return Cents(s.Cost)
}

// atLeast is a lower bound: it is never rounded up. Of less than a dollar two
// digits count, so that what is left off is little.
func atLeast(m costs.Money) string {
	nano, _ := m.Parts()
	step := int64(1e7)
	for step > 1 && nano < 10*step {
		step /= 10
	}
	if step == 1 {
		return small(m)
	}
	return small(costs.MoneyOf(nano-nano%step, 0))
}

// atMost is an upper bound: it is never rounded down. The text has its sign.
func atMost(m costs.Money) string {
	const cent = int64(1e7)
	nano := m.NanoUp()
	if m.Sign() < 0 && nano > -cent {
		return "≤ " + small(m)
	}
	if rest := nano % cent; rest > 0 {
		nano += cent - rest
	} else {
		nano -= rest
	}
	return "≤ " + Cents(costs.MoneyOf(nano, 0))
}

// Count writes a number with commas.
func Count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// short writes a large number with a letter.
func short(n int64) string {
	for _, unit := range []struct {
		size int64
		name string
	}{{1e12, "T"}, {1e9, "B"}, {1e6, "M"}, {1e3, "k"}} {
		if n >= unit.size {
			return strconv.FormatFloat(float64(n)/float64(unit.size), 'f', 1, 64) + unit.name
		}
	}
	return strconv.FormatInt(n, 10)
}

// share is a part in percent. A part of nothing has none.
func share(part, whole costs.Money) string {
	if whole.Sign() <= 0 {
		return "–"
	}
	return percent(dollars(part) / dollars(whole))
}

// shareAtMost is a part in percent that is an upper bound: it is never rounded down.
func shareAtMost(part, whole costs.Money) string {
	if whole.Sign() <= 0 {
		return "–"
	}
	p := math.Ceil(dollars(part)/dollars(whole)*1000) / 10
	if p >= 10 {
		p = math.Ceil(p)
	}
	return "≤ " + percent(p/100)
}

func percent(f float64) string {
	p := f * 100
	switch {
	case p == 0:
		return "0%"
	case math.Abs(p) < 0.1:
		return "<0.1%"
	case p > 99.5 && p < 100:
		return ">99%" // a little is left
	case math.Abs(p) < 10:
		return strconv.FormatFloat(p, 'f', 1, 64) + "%"
	}
	return strconv.FormatFloat(p, 'f', 0, 64) + "%"
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Count(n) + " " + many
}

// title is a breakdown's name: "by customer and model".
func (t *Table) title() string {
	if len(t.By) == 0 {
		return "in all"
	}
	return "by " + strings.Join(t.By, " and ")
}
