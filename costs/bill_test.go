package costs

import "testing"

// Requests that are billed together cross thresholds alone.
func TestBill(t *testing.T) {
	var b Bill
	if c := b.Charge(); c.Status != Unpriced || c.Why == "" {
		t.Errorf("empty: %+v", c)
	}
	add := func(model string, input, output int64) {
		u := used(input, output)
		b.Add(Builtin().Charge(u, Terms{Provider: "openai", Model: model, At: someDay, Batch: true}))
	}
	check := func(status Status, list, least string, lines, missing int) {
		t.Helper()
		c := b.Charge()
		sum := Money{}
		for _, l := range c.Lines {
			sum = sum.Add(l.Amount)
		}
		if c.Status != status || c.List != USD(list) || c.Contracted != c.List || c.AtLeast != USD(least) || len(c.Lines) != lines || len(c.Missing) != missing || sum != c.List.Add(c.AtLeast) {
			t.Errorf("%s %s, %s at the least, %d lines, missing %v (%s)\n%s", c.Status, c.List, c.AtLeast, len(c.Lines), c.Missing, c.Why, linesText(c))
		}
	}
	add("gpt-5", 1000, 100)
	check(Priced, "0.001125", "0", 2, 0)
	add("gpt-5", 1000, 100)
	check(Priced, "0.00225", "0", 2, 0)
	add("gpt-4o", 1000, 0)
	check(Priced, "0.0035", "0", 3, 0)
	add("gpt-9", 1000, 0)
	check(Unpriced, "0", "0.0035", 3, 0)
	add("gpt-4o", 1000, 0)
	check(Unpriced, "0", "0.00475", 3, 0)
}
