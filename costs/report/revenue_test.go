package report

import (
	"strings"
	"testing"

	"weir/costs"
)

func TestReadRevenue(t *testing.T) {
	got, err := ReadRevenue("r.csv", strings.NewReader("\uFEFFplan,Customer,revenue\nPro,acme,\"$1,200.50\"\nPro,globex,0\nadd-on,acme,0.25\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got["acme"] != (Paid{costs.USD("1200.75"), 2}) || got["globex"] != (Paid{Line: 3}) {
		t.Errorf("got %v, want acme at 1200.75 and globex at 0", got)
	}
}

func TestReadRevenueNamesTheLine(t *testing.T) {
	check := func(file, want string) {
		t.Helper()
		_, err := ReadRevenue("r.csv", strings.NewReader(file))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want an error with %q", file, err, want)
		}
	}
	check("", "r.csv: the file is empty")
	check("who,what\na,1\n", `r.csv:1: want the columns customer and revenue`)
	check("customer,revenue\nacme,12\nglobex,1.2.3\n", "r.csv:3: revenue of globex")
	check("customer,revenue\nacme,\"5,50\"\n", `r.csv:2: revenue of acme: read "5,50": a comma`)
	check("customer,revenue\nacme,\"1.234,50\"\n", `r.csv:2: revenue of acme: read "1.234,50"`)
	check("customer,revenue\nacme,\"12,34,567\"\n", `r.csv:2: revenue of acme`)
	check("customer,revenue\nacme,-5\n", "r.csv:2: revenue of acme is negative")
	check("customer,revenue,currency\nacme,5,EUR\n", `r.csv:2: currency "EUR"`)
	check("customer,revenue\n,5\n", "r.csv:2: the row names no customer")
	check("customer,revenue\nacme\n", "r.csv:2: the row has 1 columns")
	check("customer,revenue\n\"acme,5\n", "r.csv")
}

func TestUnknownCustomersAreNamedWithTheirLines(t *testing.T) {
	revenue, err := ReadRevenue("r.csv", strings.NewReader("customer,revenue\nacme,12\nglobx,1\nacne,3\n"))
	if err != nil {
		t.Fatal(err)
	}
	err = revenue.Unknown("r.csv", func(c string) bool { return c == "acme" })
	want := "r.csv:3: unknown customer \"globx\": no call has named it\nr.csv:4: unknown customer \"acne\": no call has named it"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want\n%s", err, want)
	}
	if err := revenue.Unknown("r.csv", func(string) bool { return true }); err != nil {
		t.Errorf("all are known: %v", err)
	}
}
