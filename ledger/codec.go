package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"weir/costs"
)

// Calls and bodies are kept in the spool as runs of tagged fields: a varint
// with the tag and, in its lowest bit, whether a length and bytes follow or a
// number. Zero fields are left out; a reader passes over tags it does not
// know, so that an older Weir can read a newer one's spool. Encoding a call
// takes well under a microsecond, and needs no reflection to read back.

type field uint64

const (
	fID field = iota + 1
	fStart
	fProject
	fKey
	fCustomer
	fFeature
	fSession
	fUser
	fTag
	fMetadata
	fUserAgent
	fTrace
	fDialect
	fAPI
	fMethod
	fPath
	fAskedModel
	fRoute
	fStream
	fProvider
	fModel
	fServedModel
	fStatus
	fOutcome
	fErrorClass
	fStopReason
	fUsage
	fUsageSource
	fQueue
	fTTFT
	fTotal
	fBytesIn
	fBytesOut
	fDropped
	fAttempt
	fN
	fServiceTier
	fRequestID
	fRawUsage
	fAt
	fRequest
	fResponse
	fTruncated
	fExpires
	fPrevious
	fSealed
	fCost
	fCostSource
	fComputed
	fList
	fCharged
	fBook
	fPriceLine
	fWhy
	fInconsistent
	fTerms
)

var meters = costs.Meters()

// An encoder appends fields.
type encoder struct{ b []byte }

func (e *encoder) str(f field, s string) {
	if s == "" {
		return
	}
	e.b = binary.AppendUvarint(e.b, uint64(f)<<1|1)
	e.b = binary.AppendUvarint(e.b, uint64(len(s)))
	e.b = append(e.b, s...)
}

func (e *encoder) bytes(f field, p []byte) {
	if len(p) == 0 {
		return
	}
	e.b = binary.AppendUvarint(e.b, uint64(f)<<1|1)
	e.b = binary.AppendUvarint(e.b, uint64(len(p)))
	e.b = append(e.b, p...)
}

func (e *encoder) num(f field, n int64) {
	if n == 0 {
		return
	}
	e.b = binary.AppendUvarint(e.b, uint64(f)<<1)
	e.b = binary.AppendVarint(e.b, n)
}

func (e *encoder) flag(f field, set bool) {
	if set {
		e.num(f, 1)
	}
}

// pairs writes a map in the order of its keys, so that equal calls are equal bytes.
func (e *encoder) pairs(f field, m map[string]string) {
	if len(m) == 0 {
		return
	}
	var few [16]string
	keys := few[:0]
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		at := e.beginNested(f)
		e.b = binary.AppendUvarint(e.b, uint64(len(k)))
		e.b = append(append(e.b, k...), m[k]...)
		e.endNested(at)
	}
}

// beginNested begins bytes whose length is known only at their end.
func (e *encoder) beginNested(f field) (at int) {
	e.b = binary.AppendUvarint(e.b, uint64(f)<<1|1)
	e.b = append(e.b, 0x80, 0x80, 0x80, 0x80, 0)
	return len(e.b)
}

// endNested fills in the length, as a varint of always five bytes.
func (e *encoder) endNested(at int) {
	n := len(e.b) - at
	for i := at - 5; n > 0; i++ {
		e.b[i] |= byte(n & 0x7f)
		n >>= 7
	}
}

func (e *encoder) usage(f field, u costs.Usage) {
	if u.IsZero() {
		return
	}
	at := e.beginNested(f)
	for m, n := range u.All {
		e.b = binary.AppendUvarint(e.b, uint64(m))
		e.b = binary.AppendVarint(e.b, n)
	}
	e.endNested(at)
}

// appendCall appends a call's fields to dst.
func appendCall(dst []byte, c *Call) []byte {
	e := encoder{dst}
	e.str(fID, c.ID)
	e.num(fStart, micros(c.Start))
	e.str(fProject, c.ProjectID)
	e.str(fKey, c.KeyID)
	e.str(fCustomer, c.Customer)
	e.str(fFeature, c.Feature)
	e.str(fSession, c.Session)
	e.str(fUser, c.User)
	e.pairs(fTag, c.Tags)
	e.pairs(fMetadata, c.Metadata)
	e.str(fUserAgent, c.UserAgent)
	e.str(fTrace, c.TraceID)
	e.str(fDialect, c.Dialect)
	e.str(fAPI, c.API)
	e.str(fMethod, c.Method)
	e.str(fPath, c.Path)
	e.str(fAskedModel, c.AskedModel)
	e.str(fRoute, c.Route)
	e.flag(fStream, c.Stream)
	e.str(fProvider, c.Provider)
	e.str(fModel, c.Model)
	e.str(fServedModel, c.ServedModel)
	e.num(fStatus, int64(c.Status))
	e.str(fOutcome, string(c.Outcome))
	e.str(fErrorClass, c.ErrorClass)
	e.str(fStopReason, c.StopReason)
	e.usage(fUsage, c.Usage)
	e.str(fUsageSource, string(c.UsageSource))
	e.num(fQueue, int64(c.Queue))
	e.num(fTTFT, int64(c.TTFT))
	e.num(fTotal, int64(c.Total))
	e.num(fBytesIn, c.BytesIn)
	e.num(fBytesOut, c.BytesOut)
	for _, d := range c.Dropped {
		e.str(fDropped, d)
	}
	for i := range c.Attempts {
		e.attempt(&c.Attempts[i])
	}
	return e.b
}

func (e *encoder) attempt(a *Attempt) {
	at := e.beginNested(fAttempt) // an empty attempt is one, too
	e.num(fN, int64(a.N))
	e.str(fProvider, a.Provider)
	e.str(fModel, a.Model)
	e.str(fAPI, a.API)
	e.num(fStart, int64(a.Start))
	e.num(fTTFT, int64(a.TTFT))
	e.num(fTotal, int64(a.Total))
	e.num(fStatus, int64(a.Status))
	e.str(fErrorClass, a.ErrorClass)
	e.str(fStopReason, a.StopReason)
	e.str(fServedModel, a.ServedModel)
	e.str(fServiceTier, a.ServiceTier)
	e.str(fRequestID, a.RequestID)
	e.usage(fUsage, a.Usage)
	e.str(fUsageSource, string(a.UsageSource))
	e.bytes(fRawUsage, a.RawUsage)
	e.flag(fInconsistent, a.Inconsistent)
	e.charge(&a.Charge)
	e.endNested(at)
}

func (e *encoder) charge(c *Charge) {
	e.str(fCostSource, string(c.CostSource))
	e.amount(fCost, c.Cost)
	e.amount(fComputed, c.Computed)
	e.amount(fList, c.List)
	e.amount(fCharged, c.Charged)
	e.str(fBook, c.Book)
	e.str(fWhy, c.Why)
	e.str(fTerms, c.Terms)
	for i := range c.Lines {
		l := &c.Lines[i]
		at := e.beginNested(fPriceLine)
		e.b = binary.AppendUvarint(e.b, uint64(l.Meter))
		e.money(l.Amount)
		e.b = append(e.b, l.Row...)
		e.endNested(at)
	}
}

func (e *encoder) amount(f field, a Amount) {
	if a.Known {
		at := e.beginNested(f)
		e.money(a.Money)
		e.endNested(at)
	}
}

func (e *encoder) money(m costs.Money) {
	nano, atto := m.Parts()
	e.b = binary.AppendVarint(binary.AppendVarint(e.b, nano), atto)
}

func appendBodies(dst []byte, b *Bodies) []byte {
	e := encoder{dst}
	e.str(fID, b.CallID)
	e.num(fAt, micros(b.At))
	e.bytes(fRequest, b.Request)
	e.bytes(fResponse, b.Response)
	e.flag(fTruncated, b.Truncated)
	return e.b
}

var errMalformed = errors.New("malformed record")

// eachField reads fields; f gets the number, or the bytes, which it must copy
// to keep.
func eachField(p []byte, f func(tag field, n int64, b []byte) error) error {
	for len(p) > 0 {
		head, n := binary.Uvarint(p)
		if n <= 0 {
			return errMalformed
		}
		p = p[n:]
		if head&1 == 0 {
			v, n := binary.Varint(p)
			if n <= 0 {
				return errMalformed
			}
			p = p[n:]
			if err := f(field(head>>1), v, nil); err != nil {
				return err
			}
			continue
		}
		size, n := binary.Uvarint(p)
		if n <= 0 || size > uint64(len(p)-n) {
			return errMalformed
		}
		b := p[n : n+int(size)]
		p = p[n+int(size):]
		if err := f(field(head>>1), 0, b); err != nil {
			return err
		}
	}
	return nil
}

// decodeCall reads a call back.
func decodeCall(p []byte) (*Call, error) {
	c := &Call{}
	err := eachField(p, func(tag field, n int64, b []byte) error {
		if tag == fAttempt {
			a, err := decodeAttempt(b)
			c.Attempts = append(c.Attempts, a)
			return err
		}
		if s := c.stringField(tag); s != nil {
			*s = string(b)
			return nil
		}
		return c.setField(tag, n, b)
	})
	if err == nil && c.ID == "" {
		err = fmt.Errorf("%w: a call without an id", errMalformed)
	}
	c.settle()
	return c, err
}

// stringField is the place of a plain text field; nil for another one.
func (c *Call) stringField(tag field) *string {
	switch tag {
	case fID:
		return &c.ID
	case fProject:
		return &c.ProjectID
	case fKey:
		return &c.KeyID
	case fCustomer:
		return &c.Customer
	case fFeature:
		return &c.Feature
	case fSession:
		return &c.Session
	case fUser:
		return &c.User
	case fUserAgent:
		return &c.UserAgent
	case fTrace:
		return &c.TraceID
	case fDialect:
		return &c.Dialect
	case fAPI:
		return &c.API
	case fMethod:
		return &c.Method
	case fPath:
		return &c.Path
	case fAskedModel:
		return &c.AskedModel
	case fRoute:
		return &c.Route
	case fProvider:
		return &c.Provider
	case fModel:
		return &c.Model
	case fServedModel:
		return &c.ServedModel
	case fOutcome:
		return (*string)(&c.Outcome)
	case fErrorClass:
		return &c.ErrorClass
	case fStopReason:
		return &c.StopReason
	case fUsageSource:
		return (*string)(&c.UsageSource)
	}
	return nil
}

func (c *Call) setField(tag field, n int64, b []byte) (err error) {
	switch tag {
	case fStart:
		c.Start = fromMicros(n)
	case fTag:
		c.Tags, err = addPair(c.Tags, b)
	case fMetadata:
		c.Metadata, err = addPair(c.Metadata, b)
	case fStream:
		c.Stream = n != 0
	case fStatus:
		c.Status = int(n)
	case fUsage:
		c.Usage, err = decodeUsage(b)
	case fQueue:
		c.Queue = time.Duration(n)
	case fTTFT:
		c.TTFT = time.Duration(n)
	case fTotal:
		c.Total = time.Duration(n)
	case fBytesIn:
		c.BytesIn = n
	case fBytesOut:
		c.BytesOut = n
	case fDropped:
		c.Dropped = append(c.Dropped, string(b))
	}
	return err
}

func decodeAttempt(p []byte) (a Attempt, err error) {
	err = eachField(p, func(tag field, n int64, b []byte) (err error) {
		switch tag {
		case fN:
			a.N = int(n)
		case fProvider:
			a.Provider = string(b)
		case fModel:
			a.Model = string(b)
		case fAPI:
			a.API = string(b)
		case fStart:
			a.Start = time.Duration(n)
		case fTTFT:
			a.TTFT = time.Duration(n)
		case fTotal:
			a.Total = time.Duration(n)
		case fStatus:
			a.Status = int(n)
		case fErrorClass:
			a.ErrorClass = string(b)
		case fStopReason:
			a.StopReason = string(b)
		case fServedModel:
			a.ServedModel = string(b)
		case fServiceTier:
			a.ServiceTier = string(b)
		case fRequestID:
			a.RequestID = string(b)
		case fUsage:
			a.Usage, err = decodeUsage(b)
		case fUsageSource:
			a.UsageSource = UsageSource(b)
		case fRawUsage:
			a.RawUsage = append([]byte(nil), b...)
		case fInconsistent:
			a.Inconsistent = n != 0
		default:
			err = a.setField(tag, b)
		}
		return err
	})
	return a, err
}

func (c *Charge) setField(tag field, b []byte) (err error) {
	switch tag {
	case fCostSource:
		c.CostSource = CostSource(b)
	case fCost:
		c.Cost, err = decodeAmount(b)
	case fComputed:
		c.Computed, err = decodeAmount(b)
	case fList:
		c.List, err = decodeAmount(b)
	case fCharged:
		c.Charged, err = decodeAmount(b)
	case fBook:
		c.Book = string(b)
	case fWhy:
		c.Why = string(b)
	case fTerms:
		c.Terms = string(b)
	case fPriceLine:
		m, n := binary.Uvarint(b)
		if n <= 0 {
			return errMalformed
		}
		amount, rest, err := decodeMoney(b[n:])
		if err != nil || m >= uint64(len(meters)) { // a newer Weir's
			return err
		}
		c.Lines = append(c.Lines, PriceLine{costs.Meter(m), string(rest), amount})
	}
	return err
}

func decodeAmount(b []byte) (Amount, error) {
	m, _, err := decodeMoney(b)
	return Known(m), err
}

func decodeMoney(b []byte) (m costs.Money, rest []byte, err error) {
	nano, n := binary.Varint(b)
	if n <= 0 {
		return m, nil, errMalformed
	}
	atto, k := binary.Varint(b[n:])
	if k <= 0 {
		return m, nil, errMalformed
	}
	return costs.MoneyOf(nano, atto), b[n+k:], nil
}

func decodeBodies(p []byte) (*Bodies, error) {
	out := &Bodies{}
	err := eachField(p, func(tag field, n int64, b []byte) error {
		switch tag {
		case fID:
			out.CallID = string(b)
		case fAt:
			out.At = fromMicros(n)
		case fRequest:
			out.Request = append([]byte(nil), b...)
		case fResponse:
			out.Response = append([]byte(nil), b...)
		case fTruncated:
			out.Truncated = n != 0
		}
		return nil
	})
	if err == nil && out.CallID == "" {
		err = fmt.Errorf("%w: bodies without a call", errMalformed)
	}
	return out, err
}

func decodeUsage(p []byte) (u costs.Usage, err error) {
	for len(p) > 0 {
		m, n := binary.Uvarint(p)
		if n <= 0 {
			return u, errMalformed
		}
		v, k := binary.Varint(p[n:])
		if k <= 0 {
			return u, errMalformed
		}
		p = p[n+k:]
		if m < uint64(len(meters)) {
			u.Set(costs.Meter(m), v)
		}
	}
	return u, nil
}

// addPair reads a key behind its length, and the value that follows it.
func addPair(m map[string]string, b []byte) (map[string]string, error) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return m, errMalformed
	}
	if m == nil {
		m = make(map[string]string)
	}
	b = b[n:]
	m[string(b[:size])] = string(b[size:])
	return m, nil
}
