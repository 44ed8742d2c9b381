package costs

import "slices"

// A Bill is what several requests cost together, each by its own prices: a
// threshold is crossed by one of them, not by their sum. The zero Bill is empty.
type Bill struct {
	charge Charge
	lines  map[billLine]int // places in charge.Lines
	any    bool
}

type billLine struct {
	meter         Meter
	row, contract string
}

// Add adds a request's charge.
func (b *Bill) Add(c Charge) {
	lines := c.Lines
	c.Lines = nil
	if !b.any {
		b.charge, b.any, b.lines = c, true, map[billLine]int{}
	} else {
		kept := b.charge.Lines
		b.charge.join(c)
		b.charge.Lines = kept
		slices.Sort(b.charge.Missing)
		b.charge.Missing = slices.Compact(b.charge.Missing)
	}
	for i := range lines {
		l := &lines[i]
		k := billLine{l.Meter, l.Row, l.Contract}
		at, ok := b.lines[k]
		if !ok {
			b.lines[k] = len(b.charge.Lines)
			b.charge.Lines = append(b.charge.Lines, *l)
			continue
		}
		sum := &b.charge.Lines[at]
		sum.Quantity, sum.Billed = plus(sum.Quantity, l.Quantity), plus(sum.Billed, l.Billed)
		sum.Amount, sum.Contracted = sum.Amount.Add(l.Amount), sum.Contracted.Add(l.Contracted)
	}
}

// Charge is the sum. Of an empty bill nothing is known.
func (b *Bill) Charge() Charge {
	if !b.any {
		return Charge{Status: Unpriced, Why: "nothing is known of what it used"}
	}
	return b.charge
}
