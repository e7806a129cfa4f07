package fleet

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"

	"github.com/hubwire/hubwire/internal/transport"
)

// tokenPrefix is what every sealed token begins with, so that proxies can route by it.
const tokenPrefix = "hw1."

// Sizes of the parts of a sealed token, in bytes.
const (
	nonceSize = 12
	timeSize  = 6 // milliseconds
	whoSize   = 8
	macSize   = 16
	rawSize   = nonceSize + timeSize + 1 + whoSize
)

// Flags of a sealed token.
const (
	flagVersion1 = 1 << iota
	flagStateful
)

// A Key is a secret that all nodes of a fleet share. It signs tokens and messages.
type Key []byte

// sum is an HMAC of parts, for one purpose.
func (k Key) sum(purpose string, parts ...string) []byte {
	h := hmac.New(sha256.New, k)
	var n [4]byte
	for _, p := range append([]string{purpose}, parts...) {
		binary.BigEndian.PutUint32(n[:], uint32(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	return h.Sum(nil)
}

// encoding needs no escaping in a URL: clients do not escape.
var encoding = base64.RawURLEncoding.Strict()

// Seal implements transport.Cluster. A token is
//
//	hw1. base64url(nonce, time, flags, hash of the user, HMAC)
//
// and is good for one hub of one fleet, or one raw endpoint beside it, and the route
// at which it was negotiated.
func (f *Fleet) Seal(t transport.Ticket, where, who string) (token, id string, ok bool) {
	return f.sealToken(f.hub(), t, where, who)
}

func (f *Fleet) sealToken(in realm, t transport.Ticket, where, who string) (token, id string, ok bool) {
	keys := f.keyList()
	if len(keys) == 0 {
		return "", "", false
	}
	key, raw := keys[0], make([]byte, rawSize, rawSize+macSize)
	_, _ = rand.Read(raw[:nonceSize]) // never fails
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(t.Issued.UnixMilli()))
	copy(raw[nonceSize:], ms[8-timeSize:])
	if t.Version > 0 {
		raw[nonceSize+timeSize] |= flagVersion1
	}
	if t.Stateful {
		raw[nonceSize+timeSize] |= flagStateful
	}
	copy(raw[nonceSize+timeSize+1:], in.sum(key, "user", who))
	mac := in.sum(key, "token", where, string(raw))[:macSize]
	token = tokenPrefix + encoding.EncodeToString(append(raw, mac...))
	return token, key.idOf(token, raw, t.Version), true
}

// Open implements transport.Cluster.
func (f *Fleet) Open(token, where, who string) (t transport.Ticket, ok bool) {
	return f.openToken(f.hub(), token, where, who)
}

func (f *Fleet) openToken(in realm, token, where, who string) (t transport.Ticket, ok bool) {
	text, ok := strings.CutPrefix(token, tokenPrefix)
	if !ok || len(text) != encoding.EncodedLen(rawSize+macSize) {
		return t, false
	}
	b, err := encoding.DecodeString(text)
	if err != nil {
		return t, false
	}
	raw, mac := b[:rawSize], b[rawSize:]
	for _, key := range f.keyList() {
		if !hmac.Equal(mac, in.sum(key, "token", where, string(raw))[:macSize]) {
			continue
		}
		var ms [8]byte
		copy(ms[8-timeSize:], raw[nonceSize:])
		flags := raw[nonceSize+timeSize]
		t.Issued = time.UnixMilli(int64(binary.BigEndian.Uint64(ms[:])))
		t.Stateful = flags&flagStateful != 0
		if flags&flagVersion1 != 0 {
			t.Version = 1
		}
		t.SameUser = hmac.Equal(raw[nonceSize+timeSize+1:], in.sum(key, "user", who)[:whoSize])
		t.ID = key.idOf(token, raw, t.Version)
		return t, true
	}
	return t, false
}

// idOf is the public id that belongs to a token: neither can be derived from the
// other. In version 0 they are the same.
func (k Key) idOf(token string, raw []byte, version int) string {
	if version == 0 {
		return token
	}
	return encoding.EncodeToString(k.sum("id", string(raw[:nonceSize]))[:16])
}
