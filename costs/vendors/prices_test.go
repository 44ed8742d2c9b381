package vendors

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFetchPrices(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/data.json", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("[1]")) })
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/data.json", http.StatusFound) })
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://prices.example/", http.StatusFound)
	})
	mux.HandleFunc("/huge", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, maxPrices+1)) })
	s := httptest.NewServer(mux)
	defer s.Close()

	check := func(from, want, problem string) {
		t.Helper()
		got, err := FetchPrices(t.Context(), from)
		if string(got) != want || (err == nil) != (problem == "") || err != nil && !strings.Contains(err.Error(), problem) {
			t.Errorf("FetchPrices(%s) = %.20q, %v, want %q, %q", from, got, err, want, problem)
		}
	}
	check(s.URL+"/data.json", "[1]", "")
	check(s.URL+"/moved", "[1]", "")
	check(s.URL+"/away", "", "want an https URL")
	check(s.URL+"/none", "", "answers 404 Not Found")
	check(s.URL+"/huge", "", "larger than")
	check("http://prices.example/data.json", "", "want an https URL")
	check("file:///etc/passwd", "", "want an https URL")
}
