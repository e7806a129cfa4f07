package fleet

import (
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"net/http"
	"time"
)

// Kinds of messages between nodes.
type kind byte

const (
	kindAsk     kind = iota + 1 // a request, with the first piece of its body
	kindPiece                   // the next piece of its body
	kindAck                     // piece n of the answer was written to the client
	kindCancel                  // the client is gone
	kindProbe                   // does the owner still serve the exchange?
	kindAnswer                  // a piece of the answer; the first one has its head
	kindWant                    // asks for piece n of the body
	kindGone                    // the owner does not serve the exchange any more
	kindBusy                    // or it cannot: it serves too many
	kindEnded                   // or the connection has just ended
	kindTaken                   // the owner serves it, in answer to flagNeedAck; with that: does the client still wait?
	kindHello                   // a node asks for a link; see dial
	kindWelcome                 // and another one gives it
	kindBeat                    // a link is alive
)

// exchangeID identifies an exchange. It cannot be guessed.
type exchangeID [16]byte

// A message belongs to an exchange. Which fields are used depends on its kind.
type message struct {
	kind  kind
	flags byte
	id    exchangeID
	n     uint64    // number of the piece
	time  time.Time // when it was sent
	from  string    // the node
	head  []byte    // of the request or of the answer
	body  []byte
}

// Flags of a message.
const (
	flagLast    = 1 << iota // no more pieces follow
	flagBroken              // none follow because of an error
	flagNeedAck             // the next piece follows an ack
	flagRaw                 // an answer: bytes of a connection that was upgraded
)

// stillWaits is the n of an ack that says that the client waits, and has no answer.
const stillWaits = ^uint64(0)

func (m *message) has(flag byte) bool { return m.flags&flag != 0 }

var errMessage = errors.New("message that no node of this fleet has sent")

// version is the first byte of every message.
const version = 1

// seal writes m for channel, signed with key.
func (m *message) seal(key Key, base, channel string) []byte {
	b := make([]byte, 0, 64+len(m.from)+len(m.head)+len(m.body)+macSize)
	b = append(b, version, byte(m.kind), m.flags)
	b = append(b, m.id[:]...)
	b = binary.AppendUvarint(b, m.n)
	b = binary.AppendVarint(b, m.time.UnixMilli())
	b = appendText(b, m.from)
	b = appendText(b, string(m.head))
	b = append(b, m.body...)
	return append(b, key.sum("message", base, channel, string(b))[:macSize]...)
}

// openMessage reads a message that seal wrote for channel with one of keys. It
// aliases b.
func openMessage(b []byte, keys []Key, base, channel string) (*message, error) {
	const fixed = 3 + len(exchangeID{})
	if len(b) < fixed+macSize || b[0] != version {
		return nil, errMessage
	}
	mac := b[len(b)-macSize:]
	b = b[:len(b)-macSize]
	signed := false
	for _, key := range keys {
		signed = signed || hmac.Equal(mac, key.sum("message", base, channel, string(b))[:macSize])
	}
	if !signed {
		return nil, errMessage
	}
	m := &message{kind: kind(b[1]), flags: b[2]}
	copy(m.id[:], b[3:])
	u := unpacker{rest: b[fixed:]}
	m.n = u.number()
	ms, size := binary.Varint(u.rest)
	if size <= 0 {
		return nil, errMessage
	}
	u.rest = u.rest[size:]
	m.time = time.UnixMilli(ms)
	m.from = u.text()
	m.head = []byte(u.text())
	m.body = u.rest
	if u.broken {
		return nil, errMessage
	}
	return m, nil
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// An unpacker reads numbers and length-prefixed texts.
type unpacker struct {
	rest   []byte
	broken bool
}

func (u *unpacker) number() uint64 {
	n, size := binary.Uvarint(u.rest)
	if size <= 0 {
		u.broken, u.rest = true, nil
		return 0
	}
	u.rest = u.rest[size:]
	return n
}

func (u *unpacker) text() string {
	n := u.number()
	if n > uint64(len(u.rest)) {
		u.broken, u.rest = true, nil
		return ""
	}
	s := string(u.rest[:n])
	u.rest = u.rest[n:]
	return s
}

func appendHeader(b []byte, h http.Header) []byte {
	b = binary.AppendUvarint(b, uint64(len(h)))
	for name, values := range h {
		b = binary.AppendUvarint(appendText(b, name), uint64(len(values)))
		for _, v := range values {
			b = appendText(b, v)
		}
	}
	return b
}

// header reads what appendHeader wrote. A name without values is kept: it tells
// net/http not to set the header itself.
func (u *unpacker) header() http.Header {
	h := http.Header{}
	for n := u.number(); n > 0 && !u.broken; n-- {
		name, count := u.text(), u.number()
		if count > uint64(len(u.rest)) { // each takes at least a byte
			u.broken = true
			break
		}
		var values []string
		for range count {
			values = append(values, u.text())
		}
		h[name] = values
	}
	return h
}
