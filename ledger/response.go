package ledger

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// A Response is a reply of the Responses API that Weir keeps for its client,
// where the upstream keeps none, with the input that it answers.
type Response struct {
	ID       string    // ResponsePrefix and 32 hex digits of a UUIDv7
	Scope    string    // whose it is; "" = everybody's
	Created  time.Time // UTC
	Expires  time.Time
	Previous string // the response that this one continues; "" = none
	Model    string // as the client asked for it
	Input    []byte // JSON array of the request's own items
	Body     []byte // the response object as the client got it
}

// ResponsePrefix begins the ids of responses that Weir keeps itself.
const ResponsePrefix = "resp_weir_"

// MaxResponse is how many bytes of input and reply together can be kept: a
// record of the spool holds them.
const MaxResponse = 56 << 20

// A sealedResponse is a Response as it lies in the spool and in the store.
type sealedResponse struct {
	id, scope, previous, model string
	created, expires           time.Time
	sealed                     []byte // input and body; nil: deleted
}

// A sealer keeps what was said from whoever reads the store's file.
type sealer struct {
	aead   cipher.AEAD
	scopes []byte
}

func newSealer(secret []byte) (s sealer, err error) {
	key, err := hkdf.Key(sha256.New, secret, nil, "weir kept responses 1", 32)
	if err != nil {
		return s, fmt.Errorf("derive the key of kept responses: %w", err)
	}
	if s.scopes, err = hkdf.Key(sha256.New, secret, nil, "weir response scopes 1", 32); err != nil {
		return s, fmt.Errorf("derive the key of response scopes: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err == nil {
		s.aead, err = cipher.NewGCMWithRandomNonce(block)
	}
	return s, err
}

// scope is whose a client's responses are that is known by its credential alone.
func (s sealer) scope(credential string) string {
	mac := hmac.New(sha256.New, s.scopes)
	mac.Write([]byte(credential))
	return "client:" + hex.EncodeToString(mac.Sum(nil)[:16])
}

func (s sealer) seal(r *Response) *sealedResponse {
	out := &sealedResponse{
		id: r.ID, scope: r.Scope, previous: r.Previous, model: r.Model, created: r.Created, expires: r.Expires,
	}
	e := encoder{make([]byte, 0, len(r.Input)+len(r.Body)+32)}
	e.bytes(fRequest, r.Input)
	e.bytes(fResponse, r.Body)
	out.sealed = s.aead.Seal(nil, nil, e.b, out.place())
	return out
}

// place is what a sealed content belongs to: nobody can move it to another row.
func (r *sealedResponse) place() []byte {
	return []byte(r.id + "\x00" + r.scope + "\x00" + r.previous)
}

// ErrSealed says that a kept response was sealed under another secret than
// Weir has now, or was damaged.
var ErrSealed = errors.New("the kept response cannot be unsealed: the secret is another one than it was kept under, or its row is damaged")

func (s sealer) open(r *sealedResponse) (*Response, error) {
	out := &Response{
		ID: r.id, Scope: r.scope, Previous: r.previous, Model: r.model, Created: r.created, Expires: r.expires,
	}
	plain, err := s.aead.Open(nil, nil, r.sealed, r.place())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", r.id, ErrSealed)
	}
	err = eachField(plain, func(tag field, _ int64, b []byte) error {
		switch tag {
		case fRequest:
			out.Input = b
		case fResponse:
			out.Body = b
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", r.id, err)
	}
	return out, nil
}

// A keptStep is one record of kept responses: one is kept, or deleted.
type keptStep struct {
	forget bool
	r      *sealedResponse // of a deletion only the id counts
}

func appendKept(dst []byte, r *sealedResponse) []byte {
	e := encoder{dst}
	e.str(fID, r.id)
	e.str(fProject, r.scope)
	e.num(fAt, micros(r.created))
	e.num(fExpires, micros(r.expires))
	e.str(fPrevious, r.previous)
	e.str(fModel, r.model)
	e.bytes(fSealed, r.sealed)
	return e.b
}

func decodeKept(kind recordKind, p []byte) (keptStep, error) {
	r := &sealedResponse{}
	err := eachField(p, func(tag field, n int64, b []byte) error {
		switch tag {
		case fID:
			r.id = string(b)
		case fProject:
			r.scope = string(b)
		case fAt:
			r.created = fromMicros(n)
		case fExpires:
			r.expires = fromMicros(n)
		case fPrevious:
			r.previous = string(b)
		case fModel:
			r.model = string(b)
		case fSealed:
			r.sealed = append([]byte(nil), b...)
		}
		return nil
	})
	if err == nil && r.id == "" {
		err = fmt.Errorf("%w: a response without an id", errMalformed)
	}
	return keptStep{kind == recForgotten, r}, err
}
