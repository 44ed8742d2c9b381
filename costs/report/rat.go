package report

import (
	"math/big"

	"weir/costs"
)

var attoUnits = big.NewInt(1e18)

// rat is an amount as a fraction.
func rat(m costs.Money) *big.Rat {
	nano, atto := m.Parts()
	n := new(big.Int).Mul(big.NewInt(nano), big.NewInt(1e9))
	return new(big.Rat).SetFrac(n.Add(n, big.NewInt(atto)), attoUnits)
}

// picoMoney rounds a fraction of dollars to 12 digits, half to even.
func picoMoney(r *big.Rat) costs.Money {
	scaled := new(big.Rat).Mul(r, new(big.Rat).SetInt64(1e12))
	quotient, rest := new(big.Int).DivMod(scaled.Num(), scaled.Denom(), new(big.Int))
	switch rest.Lsh(rest, 1).Cmp(scaled.Denom()) {
	case 1:
		quotient.Add(quotient, big.NewInt(1))
	case 0:
		quotient.Add(quotient, big.NewInt(int64(quotient.Bit(0))))
	}
	nano, pico := new(big.Int).DivMod(quotient, big.NewInt(1000), new(big.Int))
	return costs.MoneyOf(nano.Int64(), pico.Int64()*1e6)
}

// perOne divides an amount among n; 0 where there is none.
func perOne(m costs.Money, n int64) costs.Money {
	if n <= 0 {
		return costs.Money{}
	}
	return picoMoney(new(big.Rat).Quo(rat(m), new(big.Rat).SetInt64(n)))
}
