package mockllm_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"weir/internal/mockllm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A mock is a running server and a client of it.
type mock struct {
	*mockllm.Server
	t      *testing.T
	url    string
	client *http.Client
}

func start(t *testing.T, o mockllm.Options) *mock {
	t.Helper()
	s := mockllm.New(o)
	h := httptest.NewServer(s)
	t.Cleanup(func() {
		s.Close()
		h.Client().CloseIdleConnections()
		h.Close()
	})
	return &mock{s, t, h.URL, h.Client()}
}

// A reply is a whole one; err is what reading its body came to.
type reply struct {
	status int
	header http.Header
	body   string
	err    error
}

// send makes a request; headers are "name: value". Bodies that look like JSON
// are sent as such, and Anthropic's paths get its version.
func (m *mock) send(method, path, body string, headers ...string) reply {
	m.t.Helper()
	r, err := http.NewRequestWithContext(m.t.Context(), method, m.url+path, strings.NewReader(body))
	if err != nil {
		m.t.Fatal(err)
	}
	if strings.HasPrefix(body, "{") {
		r.Header.Set("Content-Type", "application/json")
	}
	if strings.Contains(path, "/v1/messages") {
		r.Header.Set("Anthropic-Version", "2023-06-01")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if r.Header.Del(name); value != "" {
			r.Header.Set(name, value)
		}
	}
	return m.do(r)
}

func (m *mock) do(r *http.Request) reply {
	m.t.Helper()
	res, err := m.client.Do(r)
	if err != nil {
		return reply{err: err}
	}
	defer func() { _ = res.Body.Close() }()
	var b bytes.Buffer
	_, err = io.Copy(&b, res.Body)
	return reply{res.StatusCode, res.Header, b.String(), err}
}

func (m *mock) post(path, body string, headers ...string) reply {
	m.t.Helper()
	return m.send(http.MethodPost, path, body, headers...)
}

func (m *mock) get(path string, headers ...string) reply {
	m.t.Helper()
	return m.send(http.MethodGet, path, "", headers...)
}
