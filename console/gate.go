package console

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	cookieName = "weir_admin"
	cookieLife = 7 * 24 * time.Hour
)

// A gate knows who may come in: by the token, or by a cookie that the token
// was given for. The cookie does not hold the token, since a browser sends it
// to every port of the host.
type gate struct {
	token [sha256.Size]byte
	key   []byte // of the cookies' signatures
}

func newGate(token string) gate {
	sum := sha256.Sum256([]byte(token))
	m := hmac.New(sha256.New, []byte(token))
	m.Write([]byte("weir console cookie v1"))
	return gate{token: sum, key: m.Sum(nil)}
}

// is takes the same time for every token.
func (g *gate) is(token string) bool {
	got := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(g.token[:], got[:]) == 1
}

func (g *gate) sign(until string) string {
	m := hmac.New(sha256.New, g.key)
	m.Write([]byte(until))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// cookie is good until a time, for this token only.
func (g *gate) cookie(r *http.Request, now time.Time) *http.Cookie {
	until := strconv.FormatInt(now.Add(cookieLife).Unix(), 10)
	return &http.Cookie{
		Name: cookieName, Value: until + "." + g.sign(until), Path: "/", MaxAge: int(cookieLife.Seconds()),
		HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode,
	}
}

func (g *gate) holds(r *http.Request, now time.Time) bool {
	for _, c := range r.CookiesNamed(cookieName) {
		until, sig, _ := strings.Cut(c.Value, ".")
		end, err := strconv.ParseInt(until, 10, 64)
		if err == nil && now.Unix() < end && subtle.ConstantTimeCompare([]byte(g.sign(until)), []byte(sig)) == 1 {
			return true
		}
	}
	return false
}

// bearer is the token of an Authorization header; shown says there was one.
func bearer(r *http.Request) (token string, shown bool) {
	header := r.Header.Get("Authorization")
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "bearer") {
		return "", header != ""
	}
	return strings.TrimSpace(token), true
}

// guard lets only those through that show the token or its cookie. A write by
// cookie has to come from a page of this very origin: pages on other ports of
// the host are of the same site to a browser, and it sends them the cookie.
func (c *Console) guard(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, shown := bearer(r)
		switch {
		case shown && c.gate.is(token):
		case !shown && c.gate.holds(r, time.Now()):
			if r.Method != http.MethodGet && r.Method != http.MethodHead && !sameOrigin(r) {
				fail(w, http.StatusForbidden, "foreign_origin", "A write by cookie has to come from a page of Weir's own.")
				return
			}
		default:
			w.Header().Set("Www-Authenticate", `Bearer realm="weir"`)
			fail(w, http.StatusUnauthorized, "unauthorized", "The admin API wants the admin token as Authorization: Bearer.")
			return
		}
		next(w, r)
	})
}

func sameOrigin(r *http.Request) bool {
	if origin := r.Header.Get("Origin"); origin != "" {
		u, err := url.Parse(origin)
		return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
	}
	return r.Header.Get("Sec-Fetch-Site") == "same-origin"
}

// login trades the token for a cookie.
func (c *Console) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if !c.gate.is(strings.TrimSpace(r.PostFormValue("token"))) {
		c.serveLogin(w, http.StatusUnauthorized, "This is not the admin token.")
		return
	}
	http.SetCookie(w, c.gate.cookie(r, time.Now()))
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (c *Console) logout(w http.ResponseWriter, r *http.Request) {
	if !sameOrigin(r) {
		fail(w, http.StatusForbidden, "foreign_origin", "This has to come from a page of Weir's own.")
		return
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
