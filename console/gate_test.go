package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestToken(t *testing.T) {
	d := open(t)
	check := func(want int, headers ...string) {
		t.Helper()
		r := d.send("GET", "/api/v1/keys", "", headers...)
		if r.status != want {
			t.Errorf("%q: got %d %s, want %d", headers, r.status, r.body, want)
		}
		if want == 401 && (r.header.Get("Www-Authenticate") == "" || !strings.Contains(r.body, `{"error":{"code":"unauthorized"`)) {
			t.Errorf("%q: %v %s", headers, r.header, r.body)
		}
	}
	check(401)
	check(200, withToken)
	check(200, "Authorization: bearer "+adminToken)
	check(401, "Authorization: Bearer ")
	check(401, "Authorization: Bearer wrong")
	check(401, "Authorization: Basic "+adminToken)
	check(401, "Authorization: Bearer "+adminToken+"x")
	check(401, "X-Api-Key: "+adminToken)
	cookie := d.login()
	check(200, "Cookie: "+cookie)
	check(401, "Cookie: "+cookie, "Authorization: Bearer wrong") // what is shown counts
	check(401, "Cookie: weir_admin="+adminToken)
	check(401, "Cookie: weir_admin=99999999999."+strings.SplitN(cookie, ".", 2)[1])
	check(401, "Cookie: weir_admin=")
	for _, path := range []string{"/api/v1/openapi.json", "/api/v1/costs", "/api/v1/nothing"} {
		if r := d.send("GET", path, ""); r.status != 401 {
			t.Errorf("%s without a token: %d", path, r.status)
		}
	}
}

// A write by cookie has to come from Weir's own pages.
func TestForgery(t *testing.T) {
	d := open(t)
	cookie := d.login()
	check := func(want int, headers ...string) {
		t.Helper()
		headers = append(headers, "Content-Type: application/json")
		if r := d.send("POST", "/api/v1/keys", `{}`, headers...); r.status != want {
			t.Errorf("%q: got %d %s, want %d", headers, r.status, r.body, want)
		}
	}
	check(403, "Cookie: "+cookie)
	check(201, "Cookie: "+cookie, "Origin: "+d.url)
	check(201, "Cookie: "+cookie, "Sec-Fetch-Site: same-origin")
	check(403, "Cookie: "+cookie, "Sec-Fetch-Site: same-site")
	check(403, "Cookie: "+cookie, "Origin: http://127.0.0.1:1")
	check(403, "Cookie: "+cookie, "Origin: null", "Sec-Fetch-Site: same-origin")
	check(201, withToken)
	check(201, withToken, "Cookie: "+cookie)
}

func TestLogin(t *testing.T) {
	d := open(t)
	form := "Content-Type: application/x-www-form-urlencoded"
	r := d.send("POST", "/login", url.Values{"token": {"wrong"}}.Encode(), form)
	if r.status != 401 || r.header.Get("Set-Cookie") != "" || !strings.Contains(r.body, "This is not the admin token.") {
		t.Errorf("a wrong token: %d %v", r.status, r.header)
	}
	r = d.send("POST", "/login", url.Values{"token": {adminToken}}.Encode(), form)
	for _, want := range []string{"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=604800"} {
		if !strings.Contains(r.header.Get("Set-Cookie"), want) {
			t.Errorf("the cookie lacks %s: %s", want, r.header.Get("Set-Cookie"))
		}
	}
	r = d.send("GET", "/?token="+adminToken, "")
	if r.status != http.StatusSeeOther || r.header.Get("Location") != "/" || r.header.Get("Set-Cookie") == "" {
		t.Errorf("a link: %d %v", r.status, r.header)
	}
	if r := d.send("GET", "/?token=wrong", ""); r.status != 401 || r.header.Get("Set-Cookie") != "" {
		t.Errorf("a wrong link: %d %v", r.status, r.header)
	}
	cookie := "Cookie: " + d.login()
	if r := d.send("POST", "/logout", "", cookie, "Origin: "+d.url); r.status != http.StatusSeeOther || !strings.Contains(r.header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("logout: %d %v", r.status, r.header)
	}
	if r := d.send("POST", "/logout", "", cookie, "Origin: http://evil.example"); r.status != 403 {
		t.Errorf("a forged logout: %d", r.status)
	}
}

func TestPage(t *testing.T) {
	d := open(t)
	ids := d.record(60)
	if r := d.send("GET", "/", ""); r.status != 200 || !strings.Contains(r.body, `name="token"`) || strings.Contains(r.body, ids[59]) {
		t.Errorf("without a login: %d %s", r.status, r.body)
	}
	cookie := "Cookie: " + d.login()
	page := func(path string) string {
		t.Helper()
		r := d.send("GET", path, "", cookie)
		csp := r.header.Get("Content-Security-Policy")
		if r.status != 200 || !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || r.header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: %d %v", path, r.status, r.header)
		}
		for _, outside := range []string{"<script>alert", "src=\"http", "href=\"http", "@import", adminToken} {
			if strings.Contains(r.body, outside) {
				t.Errorf("%s holds %s", path, outside)
			}
		}
		return r.body
	}
	has := func(body string, parts ...string) {
		t.Helper()
		for _, p := range parts {
			if !strings.Contains(body, p) {
				t.Errorf("the page lacks %s:\n%s", p, body)
			}
		}
	}
	body := page("/")
	has(body, ids[59], ids[10], "http://127.0.0.1:8080/v1", "<b>60</b>", "20 ms", "&lt;script&gt;alert", "mock / m", "older", `http-equiv="refresh"`)
	if strings.Contains(body, ids[9]) {
		t.Error("the first page has more than 50 calls")
	}
	has(page("/?before="+ids[10]), ids[9], ids[0], "rate_limited")
	body = page("/?outcome=error&model=&customer=other")
	has(body, ids[0], "<option selected>error", `value="other"`)
	if strings.Contains(body, ids[1]) || strings.Contains(body, `http-equiv="refresh"`) {
		t.Error("the filter passes other calls, or the page is fetched anew")
	}
	has(page("/?outcome=%22%3E%3Cscript%3Ealert"), "Outcome wants ok, error, aborted or interrupted.<")
	has(page("/calls/"+ids[0]), "rate_limited", "other", "&#34;prompt_tokens&#34;:10", "Bodies were not kept")
	if r := d.send("GET", "/calls/call_none", "", cookie); r.status != 404 || !strings.Contains(r.body, "No such call") {
		t.Errorf("no call: %d", r.status)
	}
	if r := d.send("GET", "/calls/"+ids[0], ""); strings.Contains(r.body, "rate_limited") {
		t.Error("a call is shown without a login")
	}
}
