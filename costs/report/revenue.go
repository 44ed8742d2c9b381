package report

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"weir/costs"
)

// Revenue is what customers paid in the report's time, by customer.
type Revenue map[string]Paid

// Paid is what one customer paid.
type Paid struct {
	Amount costs.Money
	Line   int // of the file, where the customer stands first
}

// of is a customer's revenue; nil where the file has none.
func (r Revenue) of(customer string) *costs.Money {
	if paid, ok := r[customer]; ok {
		return &paid.Amount
	}
	return nil
}

// Unknown is an error that names the customers, each with its line, that are
// not known: a name that is written otherwise than the calls have it would show
// a customer without costs. name is the file's.
func (r Revenue) Unknown(name string, known func(customer string) bool) error {
	var unknown []string
	for customer := range r {
		if !known(customer) {
			unknown = append(unknown, customer)
		}
	}
	slices.SortFunc(unknown, func(a, b string) int { return cmp.Compare(r[a].Line, r[b].Line) })
	var errs []error
	for i, customer := range unknown {
		if i == maxUnknown {
			errs = append(errs, fmt.Errorf("%s: and %d more", name, len(unknown)-i))
			break
		}
		errs = append(errs, fmt.Errorf("%s:%d: unknown customer %q: no call has named it", name, r[customer].Line, customer))
	}
	return errors.Join(errs...)
}

const (
	maxRevenueBytes = 16 << 20
	maxRevenueRows  = 200_000
	maxUnknown      = 10 // that are named
)

// ReadRevenue reads a CSV file whose first line names its columns: customer,
// and revenue, usd or amount; others are passed over. Several rows of one
// customer add up. Amounts are dollars, "$1,200.50" among them; a column
// currency may only say USD. Its errors name the line.
func ReadRevenue(name string, r io.Reader) (Revenue, error) {
	in := csv.NewReader(io.LimitReader(r, maxRevenueBytes))
	in.FieldsPerRecord, in.TrimLeadingSpace = -1, true
	header, err := in.Read()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: the file is empty: want a line \"customer,revenue\", then one for each customer", name)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	columns, err := revenueColumns(header)
	if err != nil {
		return nil, fmt.Errorf("%s:1: %w", name, err)
	}
	revenue := Revenue{}
	for rows := 0; ; rows++ {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			return revenue, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		line, _ := in.FieldPos(0)
		if rows == maxRevenueRows {
			return nil, fmt.Errorf("%s:%d: more than %d rows", name, line, maxRevenueRows)
		}
		if err := columns.add(revenue, row, line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, line, err)
		}
	}
}

// revenueAt is where the columns stand; currency -1: there is none.
type revenueAt struct{ customer, amount, currency int }

func revenueColumns(header []string) (revenueAt, error) {
	at := revenueAt{-1, -1, -1}
	for i, column := range header {
		switch strings.ToLower(strings.TrimSpace(strings.TrimPrefix(column, "\uFEFF"))) {
		case "customer", "customer_id":
			at.customer = i
		case "revenue", "revenue_usd", "usd", "amount":
			at.amount = i
		case "currency":
			at.currency = i
		}
	}
	if at.customer < 0 || at.amount < 0 {
		return at, fmt.Errorf("want the columns customer and revenue, got %q", strings.Join(header, ","))
	}
	return at, nil
}

func (at revenueAt) add(revenue Revenue, row []string, line int) error {
	if len(row) <= max(at.customer, at.amount, at.currency) {
		return fmt.Errorf("the row has %d columns, the first line more", len(row))
	}
	if at.currency >= 0 && !strings.EqualFold(strings.TrimSpace(row[at.currency]), "USD") {
		return fmt.Errorf("currency %q: revenue is read in USD alone", row[at.currency])
	}
	customer := strings.TrimSpace(row[at.customer])
	if customer == "" {
		return errors.New("the row names no customer")
	}
	amount, err := parseRevenue(strings.TrimSpace(row[at.amount]))
	if err != nil {
		return fmt.Errorf("revenue of %s: %w", customer, err)
	}
	if amount.Sign() < 0 {
		return fmt.Errorf("revenue of %s is negative: %s", customer, row[at.amount])
	}
	paid, again := revenue[customer]
	if !again {
		paid.Line = line
	}
	paid.Amount = paid.Amount.Add(amount)
	revenue[customer] = paid
	return nil
}

// byThousands are amounts with a comma before every three digits.
var byThousands = regexp.MustCompile(`^\$?\d{1,3}(,\d{3})+(\.\d*)?$`)

// parseRevenue reads dollars, "1,234.50" among them. Of "5,50" nobody can
// tell whether it is 5.50 or 550, and so it is neither.
func parseRevenue(text string) (costs.Money, error) {
	if !strings.Contains(text, ",") {
		return costs.ParseUSD(text)
	}
	if !byThousands.MatchString(text) {
		return costs.Money{}, fmt.Errorf("read %q: a comma may only stand before three digits, and the decimals follow a point: 1,234.50", text)
	}
	return costs.ParseUSD(strings.ReplaceAll(text, ",", ""))
}
