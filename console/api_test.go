package console_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/ledger"
)

func callID(at time.Time, n int) string {
	return fmt.Sprintf("call_%012x7%03x8%015x", at.UnixMilli(), n, n)
}

func TestKeys(t *testing.T) {
	d := open(t)
	if got := rows(d.call("GET", "/keys", "", 200)); len(got) != 0 {
		t.Fatalf("keys at first: %v", got)
	}
	made := d.call("POST", "/keys", `{"name":"ci","project":"web","models":["gpt-*"],"customer":"acme","tags":{"env":"test"},"expires_in":"30d"}`, 201)
	secret, id := made["secret"].(string), made["id"].(string)
	if !strings.HasPrefix(secret, "wk-") || made["status"] != "active" || made["project"] != "web" || made["expires"] == nil {
		t.Errorf("made: %v", made)
	}
	works := func(token string) bool { _, err := d.ring.Lookup(token); return err == nil }
	if !works(secret) {
		t.Error("the key does not work at once")
	}
	list := rows(d.call("GET", "/keys", "", 200))
	if len(list) != 1 || list[0]["id"] != id || list[0]["secret"] != nil {
		t.Errorf("listed: %v", list)
	}
	for _, ref := range []string{id, "ci"} {
		if k := d.call("GET", "/keys/"+ref, "", 200); k["id"] != id || k["secret"] != nil {
			t.Errorf("%s: %v", ref, k)
		}
	}
	if k := d.call("POST", "/keys/ci/pause", "", 200); k["status"] != "paused" || works(secret) {
		t.Errorf("paused: %v, works: %v", k, works(secret))
	}
	if k := d.call("POST", "/keys/ci/resume", "", 200); k["status"] != "active" || !works(secret) {
		t.Errorf("resumed: %v, works: %v", k, works(secret))
	}
	turned := d.call("POST", "/keys/ci/rotate", `{"grace":"1h"}`, 200)
	if next := turned["secret"].(string); next == secret || !works(next) || !works(secret) {
		t.Errorf("rotated: %v", turned)
	}
	turned = d.call("POST", "/keys/"+id+"/rotate", "", 200)
	if works(secret) || !works(turned["secret"].(string)) {
		t.Error("rotated without grace: the old secret works, or the new one does not")
	}
	if k := d.call("DELETE", "/keys/"+id, "", 200); k["status"] != "revoked" || works(turned["secret"].(string)) {
		t.Errorf("revoked: %v", k)
	}
	d.refused("POST", "/keys/"+id+"/pause", "", 409, "conflict", "revoked")
	d.call("POST", "/keys/"+id+"/revoke", "", 200)
	d.refused("GET", "/keys/none", "", 404, "not_found", "No such key: none.")
	d.refused("POST", "/keys/none/revoke", "", 404, "not_found", "no such key")
}

func TestAudit(t *testing.T) {
	d := open(t)
	d.call("POST", "/projects", `{"name":"web"}`, 201)
	d.call("POST", "/keys", `{"name":"ci"}`, 201)
	d.call("POST", "/keys/ci/revoke", "", 200)
	rows, err := d.db.Reader().QueryContext(t.Context(), `SELECT actor || ' ' || action FROM audit ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var got []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		got = append(got, s)
	}
	if want := []string{"admin api project.create", "admin api key.create", "admin api key.revoke"}; rows.Err() != nil || !slices.Equal(got, want) {
		t.Errorf("audited: %q, %v", got, rows.Err())
	}
}

func TestBadBodies(t *testing.T) {
	d := open(t)
	check := func(body, sub string) {
		t.Helper()
		d.refused("POST", "/keys", body, 400, "invalid_request", sub)
	}
	check(`{"nmae":"x"}`, `unknown field "nmae"`)
	check(`{"name":7}`, "cannot be read")
	check(`{"name":"a","name":"b"}`, `"name" is given twice`)
	check(`{"name":"a","tags":{"x":"1","x":"2"}}`, `"x" is given twice`)
	check(`{"name":"a","models":[]}`, "models is empty")
	check(`{"name":"x"`, "cannot be read")
	check(`{"name":"x"} {}`, "Something follows")
	check(`{"expires_in":"soon"}`, "expires_in wants")
	check(`{"expires_in":"1h","expires":"2027-01-01T00:00:00Z"}`, "no expires beside it")
	check(`{"models":["gpt-*",""]}`, "name among the models is empty")
	check(`{"expires":"2020-01-01T00:00:00Z"}`, "expired already")
	check(`{"name":"a\nb"}`, "name wants a text")
	check(`{"name":"`+strings.Repeat("x", 201)+`"}`, "name wants a text")
	check(`{"tags":{"a":"\u0000"}}`, "models or tags wants a text")
	check(`{"models":[`+strings.Repeat(`"m",`, 100)+`"m"]}`, "up to 100 models")
	d.refused("POST", "/keys", `{"name":"`+strings.Repeat("x", 70000)+`"}`, 413, "request_too_large", "65536")
	d.refused("POST", "/projects", `{}`, 400, "invalid_request", "needs a name")
	d.call("POST", "/projects", `{"name":"web"}`, 201)
	d.refused("POST", "/projects", `{"name":"web"}`, 409, "conflict", "has this name already")
	d.call("POST", "/keys", `{"name":"x"}`, 201)
	d.refused("POST", "/keys", `{"name":"x"}`, 409, "conflict", "has this name already")
	d.refused("POST", "/keys/x/rotate", `{"grace":"-1h"}`, 400, "invalid_request", "grace wants")
	r := d.send("POST", "/api/v1/keys", `{"name":"x"}`, withToken, "Content-Type: text/plain")
	if r.status != 400 || !strings.Contains(r.body, "application/json") {
		t.Errorf("a form: %d %s", r.status, r.body)
	}
	if got := rows(d.call("GET", "/keys", "", 200)); len(got) != 1 {
		t.Errorf("keys: %v", got)
	}
}

func TestCalls(t *testing.T) {
	d := open(t)
	ids := d.record(25)
	check := func(query string, want ...int) map[string]any {
		t.Helper()
		v := d.call("GET", "/calls"+query, "", 200)
		var got, wanted []string
		for _, row := range rows(v) {
			got = append(got, row["id"].(string))
		}
		for _, i := range want {
			wanted = append(wanted, ids[i])
		}
		if !slices.Equal(got, wanted) {
			t.Errorf("%s: got %q, want %q", query, got, wanted)
		}
		return v
	}
	for _, stored := range []bool{false, true} { // from the spool, then from the store
		if stored {
			d.flush()
		}
		v := check("?limit=3", 24, 23, 22)
		check("?limit=2&before="+v["next"].(string), 21, 20)
		check("?outcome=error", 0)
		check("?status=4xx", 0)
		check("?status=429&customer=other", 0)
		check("?customer=nobody")
		check("?tag=env=test&limit=1", 24)
		check("?tag=env&tag=other")
		check("?until=1h")
		v = check("?since=1h&outcome=error&attempts=true", 0)
		if v["next"] != nil || rows(v)[0]["attempts"] == nil {
			t.Errorf("the last page: %v", v)
		}
		call := d.call("GET", "/calls/"+ids[0], "", 200)
		attempts := call["attempts"].([]any)
		if call["error_class"] != "rate_limited" || len(attempts) != 1 || fmt.Sprint(attempts[0].(map[string]any)["raw_usage"]) != "map[prompt_tokens:10]" || call["bodies"] != nil {
			t.Errorf("the call: %v", call)
		}
	}
	d.refused("GET", "/calls?limit=0", "", 400, "invalid_request", "limit wants a number from 1 to 1000")
	d.refused("GET", "/calls?before=call_zzz", "", 400, "invalid_request", "before wants")
	d.call("GET", "/calls?before=call_00000000000070008000000000000000", "", 200)
	d.refused("GET", "/calls?since=yesterday", "", 400, "invalid_request", "since wants")
	d.refused("GET", "/calls?status=nine", "", 400, "invalid_request", "status wants")
	d.refused("GET", "/calls?outcome=fine", "", 400, "invalid_request", "outcome wants")
	d.refused("GET", "/calls?custumer=x", "", 400, "invalid_request", `"custumer"`)
	d.refused("GET", "/calls?key=none", "", 404, "not_found", "No such key")
	d.refused("GET", "/calls/call_none", "", 404, "not_found", "No such call")
}

func TestBodies(t *testing.T) {
	d := open(t)
	ids := d.record(1)
	d.recorder.Bodies(&ledger.Bodies{CallID: ids[0], At: time.Now(), Request: []byte(`{"q":"<b>"}`), Response: []byte("\xff\xfe")})
	d.flush()
	call := d.call("GET", "/calls/"+ids[0], "", 200)
	bodies := call["bodies"].(map[string]any)
	if bodies["request"] != `{"q":"<b>"}` || bodies["response_base64"] != "//4=" {
		t.Errorf("bodies: %v", bodies)
	}
	if call := d.call("GET", "/calls/"+ids[0]+"?bodies=false", "", 200); call["bodies"] != nil {
		t.Errorf("without them: %v", call)
	}
	for _, row := range rows(d.call("GET", "/calls", "", 200)) {
		if row["bodies"] != nil {
			t.Error("a list holds bodies")
		}
	}
}

func TestUsage(t *testing.T) {
	d := open(t)
	d.record(5)
	d.flush()
	v := rows(d.call("GET", "/usage?by=customer", "", 200))
	if len(v) != 2 || fmt.Sprint(v[0]["group"]) != "map[customer:acme]" || v[0]["calls"] != 4.0 || v[0]["input"] != 11.0+12+13+14 {
		t.Errorf("by customer: %v", v)
	}
	v = rows(d.call("GET", "/usage?outcome=error", "", 200))
	if len(v) != 1 || v[0]["calls"] != 1.0 {
		t.Errorf("errors: %v", v)
	}
	d.refused("GET", "/usage?by=moon", "", 400, "invalid_request", "by wants some of hour, project")
	d.refused("GET", "/usage?by=model,model", "", 400, "invalid_request", "each once")
	d.refused("GET", "/usage?moon=full", "", 400, "invalid_request", `"moon"`)
}

func TestDataPlane(t *testing.T) {
	d := open(t)
	if v := rows(d.call("GET", "/routes", "", 200)); len(v) != 1 || v[0]["model"] != "fast" {
		t.Errorf("routes: %v", v)
	}
	if v := rows(d.call("GET", "/providers", "", 200)); len(v) != 1 || v[0]["has_key"] != true {
		t.Errorf("providers: %v", v)
	}
	if v := d.call("GET", "/config", "", 200); v["secret"] != "(set)" {
		t.Errorf("config: %v", v)
	}
	if v := d.call("GET", "/status", "", 200); v["version"] != "v1" || v["ready"] != true {
		t.Errorf("status: %v", v)
	}
}

// What later versions bring is refused by its name; what nothing is for is
// told apart from a wrong method.
func TestNothing(t *testing.T) {
	d := open(t)
	for _, name := range []string{"cache", "prompts", "evals", "drift", "pools", "prices", "feedback"} {
		d.refused("GET", "/"+name, "", 501, "not_in_this_version", name+": not in this version")
		d.refused("POST", "/"+name+"/x/y", "{}", 501, "not_in_this_version", name+": not in this version")
	}
	d.refused("GET", "/nothing", "", 404, "not_found", "openapi.json")
	d.refused("PUT", "/keys", "{}", 405, "method_not_allowed", "GET and POST")
	d.refused("POST", "/calls", "{}", 405, "method_not_allowed", "GET")
	for _, path := range []string{"/nothing", "/v1/models", "/api"} {
		if r := d.send("GET", path, ""); r.status != 404 || !strings.Contains(r.body, `{"error":{"code":"not_found"`) {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	if r := d.send(http.MethodPut, "/api/v1/keys", "", withToken); r.header.Get("Allow") != "GET, POST" {
		t.Errorf("Allow: %q", r.header.Get("Allow"))
	}
}
