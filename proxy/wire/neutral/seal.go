package neutral

import (
	"encoding/base64"
	"strings"
)

// A vendor's seal on its own reasoning must come back to it byte for byte, by
// way of a client that speaks another dialect. Such a client keeps the opaque
// strings of its own dialect, so the seal travels inside one of them:
//
//	weir-seal-1.{api of the vendor}.{base64url of the seal}
//
// A string without the prefix is the client's own vendor's.
const sealPrefix = "weir-seal-1."

// Wrap makes a seal of the vendor that from names fit for any dialect's
// opaque strings.
func Wrap(from API, seal string) string {
	return sealPrefix + string(from) + "." + base64.RawURLEncoding.EncodeToString([]byte(seal))
}

// Unwrap is the inverse of Wrap. A string that Wrap has not made is a seal of
// the API own itself.
func Unwrap(own API, s string) (from API, seal string) {
	rest, ok := strings.CutPrefix(s, sealPrefix)
	if !ok {
		return own, s
	}
	api, text, ok := strings.Cut(rest, ".")
	if !ok {
		return own, s
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return own, s
	}
	return API(api), string(raw)
}

// CallWithSeal joins a tool call's id and a seal, for dialects whose calls
// have no place for one: clients always send the id of a call back.
func CallWithSeal(id string, from API, seal string) string {
	if seal == "" {
		return id
	}
	return id + callSeal + Wrap(from, seal)
}

// callSeal parts an id from its seal.
const callSeal = "__seal__"

// SplitCall is the inverse of CallWithSeal.
func SplitCall(own API, joined string) (id string, from API, seal string) {
	id, rest, ok := strings.Cut(joined, callSeal)
	if !ok {
		return joined, "", ""
	}
	from, seal = Unwrap(own, rest)
	return id, from, seal
}

// seal is what the vendor of a thought must have back, as one string: its
// signature, or the sealed thought with the id that belongs to it.
func (t *Thought) seal() string {
	if t.Sealed == "" {
		return t.Signature
	}
	return sealedMark + t.ID + sealedID + t.Sealed
}

const (
	sealedMark = "sealed:" // begins the seal of a sealed thought; signatures are base64
	sealedID   = "|"       // parts its id from it
)

// setSeal is the inverse of seal.
func (t *Thought) setSeal(from API, seal string) {
	t.From = from
	rest, ok := strings.CutPrefix(seal, sealedMark)
	if !ok {
		t.Signature = seal
		return
	}
	id, sealed, _ := strings.Cut(rest, sealedID)
	if id != "" {
		t.ID = id
	}
	t.Sealed = sealed
}
