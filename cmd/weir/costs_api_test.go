package main

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"strings"
	"testing"

	"weir/console"
	"weir/internal/sqldb"
	"weir/ledger"
	"weir/migrations"
)

// The admin API's costs are the rows of weir costs report, to the digit and the
// command, page by page.
func TestCostsOfTheAPIAreTheReports(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := firstError(os.WriteFile("weir.yaml", []byte("auth: off\ndata: data\n"), 0o600), os.Mkdir("data", 0o700)); err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.Open("sqlite:data/weir.db")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	calls := spendingCalls(rand.New(rand.NewPCG(4, 5)), 200)
	if err := firstError(migrations.Up(t.Context(), db), ledger.Import(t.Context(), db, calls)); err != nil {
		t.Fatal(err)
	}
	api, err := console.New(console.Options{
		Token: "t", DB: db, Keys: ledger.NewKeys(db, []byte("s")), Calls: ledger.NewCalls(db, ""),
		Config: func() any { return nil }, Status: func() console.Status { return console.Status{} },
	})
	if err != nil {
		t.Fatal(err)
	}
	get := func(query url.Values) (data []any, next string) {
		t.Helper()
		r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1/api/v1/costs?"+query.Encode(), nil)
		r.Header.Set("Authorization", "Bearer t")
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		var page struct {
			Data []any  `json:"data"`
			Next string `json:"next"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%v: %d %s", query, w.Code, w.Body)
		}
		return page.Data, page.Next
	}
	check := func(by, zone, where string) {
		t.Helper()
		args := []string{"costs", "report", "--json", "--since", "2026-01-02", "--until", "2036-01-02", "--tz", zone, "--by", by}
		query := url.Values{"since": {"2026-01-02"}, "until": {"2036-01-02"}, "tz": {zone}, "by": {strings.ReplaceAll(by, "+", ",")}, "limit": {"7"}}
		if name, value, ok := strings.Cut(where, "="); ok {
			args = append(args, "--where", where)
			query.Set(name, value)
		}
		var want, got []any
		if err := json.Unmarshal([]byte(runWeir(t, args...)), &want); err != nil {
			t.Fatal(err)
		}
		for {
			data, next := get(query)
			if got = append(got, data...); next == "" {
				break
			}
			query.Set("before", next)
		}
		if !reflect.DeepEqual(got, want) || len(want) == 0 {
			t.Errorf("by %s in %s, %s: the API has %d rows, the report %d:\n%v\n%v", by, zone, where, len(got), len(want), got, want)
		}
	}
	for _, zone := range []string{"UTC", "America/New_York", "Asia/Kolkata"} {
		for _, by := range []string{"total", "customer", "provider+model", "day", "day+customer", "tag:env", "source+feature"} {
			check(by, zone, "")
			check(by, zone, "feature=chat")
		}
	}
}
