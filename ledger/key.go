package ledger

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"hash/crc32"
	"math/big"
	"strings"
	"sync"
	"time"
)

// A Key is a virtual key: what a client shows, and what it may do with it.
// The secret itself is kept nowhere. Zero times mean "never" or "not".
type Key struct {
	ID        string            `json:"id"` // "key_" and 16 hex digits
	Name      string            `json:"name"`
	ProjectID string            `json:"project_id,omitzero"` // empty: of no project
	Project   string            `json:"project,omitzero"`    // its name
	Prefix    string            `json:"prefix"`              // the token's first 8 characters
	Models    []string          `json:"models,omitzero"`     // names or globs; none: every model
	Customer  string            `json:"customer,omitzero"`   // for calls that name none
	Tags      map[string]string `json:"tags,omitzero"`       // under the call's own
	Created   time.Time         `json:"created"`
	Expires   time.Time         `json:"expires,omitzero"`
	Paused    time.Time         `json:"paused,omitzero"`
	Revoked   time.Time         `json:"revoked,omitzero"`
	OldUntil  time.Time         `json:"old_until,omitzero"` // a rotated key's former secret works until then
	Pepper    string            `json:"-"`                  // names the secret under which the key was hashed
}

// Status is active, paused, expired or revoked.
func (k *Key) Status(now time.Time) string {
	switch {
	case !k.Revoked.IsZero():
		return "revoked"
	case !k.Expires.IsZero() && !now.Before(k.Expires):
		return "expired"
	case !k.Paused.IsZero():
		return "paused"
	}
	return "active"
}

// Why a key is not accepted. Clients are told unknown and malformed in the
// same words.
var (
	ErrKeyUnknown   = errors.New("unknown key")
	ErrKeyMalformed = errors.New("malformed key")
	ErrKeyRevoked   = errors.New("key is revoked")
	ErrKeyExpired   = errors.New("key has expired")
	ErrKeyPaused    = errors.New("key is paused")
)

// A token is "wk-", 32 random bytes in base 62, and their CRC-32 in base 62.
// The checksum lets a scanner, or us, tell a token from what only looks like
// one without asking a store.
const (
	tokenPrefix = "wk-"
	tokenBody   = 43 // 62^43 > 2^256
	tokenSum    = 6  // 62^6 > 2^32
	tokenLen    = len(tokenPrefix) + tokenBody + tokenSum
	shownLen    = 8
)

func newToken() string {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails: crypto/rand ends the process first
	body := new(big.Int).SetBytes(secret[:]).Text(62)
	body = tokenPrefix + strings.Repeat("0", tokenBody-len(body)) + body
	sum := tokenChecksum(body)
	return body + string(sum[:])
}

// tokenChecksum is the CRC-32 in the digits that big.Int.Text uses.
func tokenChecksum(body string) (out [tokenSum]byte) {
	const digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	n := ^uint32(0) // crc32.ChecksumIEEE would make a copy on the heap
	for i := range len(body) {
		n = crc32.IEEETable[byte(n)^body[i]] ^ n>>8
	}
	n = ^n
	for i := range out {
		out[tokenSum-1-i] = digits[n%62]
		n /= 62
	}
	return out
}

// wellFormed reports whether the checksum is that of a token of ours.
func wellFormed(token string) bool {
	if len(token) != tokenLen || token[:len(tokenPrefix)] != tokenPrefix {
		return false
	}
	body, sum := token[:tokenLen-tokenSum], token[tokenLen-tokenSum:]
	want := tokenChecksum(body)
	return string(want[:]) == sum
}

// A keyHash turns tokens into what is stored of them.
type keyHash struct {
	macs   sync.Pool
	pepper string // 8 hex digits that name the secret
	onSum  func() // tests count sums; nil otherwise
}

func newKeyHash(secret []byte) *keyHash {
	// The secret has other uses; each gets a key of its own.
	key := derive(secret, "weir virtual keys v1")
	h := &keyHash{pepper: hex.EncodeToString(derive(secret, "weir pepper name v1")[:4])}
	h.macs.New = func() any { return &macState{mac: hmac.New(sha256.New, key)} }
	return h
}

// A macState is what one sum needs, kept so that a lookup allocates nothing.
type macState struct {
	mac hash.Hash
	in  [tokenLen]byte
	out [sha256.Size]byte
}

func derive(secret []byte, use string) []byte {
	m := hmac.New(sha256.New, secret)
	m.Write([]byte(use))
	return m.Sum(nil)
}

// sum is the token's HMAC-SHA256. It takes the same time for every token:
// what is longer than one of ours can only be wrong and is cut, and what is
// shorter fills the same single block.
func (h *keyHash) sum(token string) [32]byte {
	if h.onSum != nil {
		h.onSum()
	}
	m := h.macs.Get().(*macState)
	defer h.macs.Put(m)
	m.mac.Reset()
	m.mac.Write(m.in[:copy(m.in[:], token)])
	m.mac.Sum(m.out[:0])
	return m.out
}

// newID makes an id for what is made seldom: a prefix and 64 random bits.
func newID(prefix string) string {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return prefix + hex.EncodeToString(b[:])
}
