package transport

import (
	"errors"
	"net/http"
	"strconv"
	"time"
)

// An event stream over HTTP/1.1 is a response in chunks that does not end. Once its head is
// written it needs nothing of net/http, which would keep two goroutines and their buffers
// for it: 33 KB, ten times what a WebSocket takes. So its TCP connection is taken from
// net/http, as that of a WebSocket is; it is written and parked as one. What its client says
// there is no message and is dropped: messages come as POSTs. It ends if that is much.

// mayTakeStream reports whether the connection of a response can be taken once its head is
// written, and the head then says that it ends with the response. The goroutine of the
// request must go on with the response over HTTP/2, behind a middleware that compresses or
// hides net/http's writer, and on other servers.
func (e *Endpoint) mayTakeStream(w http.ResponseWriter, r *http.Request) bool {
	return e.opts.Readers != ReadersGoroutine && canHijack(w) && isChunked(w, r)
}

// takeStream takes the connection of a response whose head is written, or returns nil where
// it could not. To the middleware it is a response like any other, so only net/http's own
// writer is asked.
func takeStream(w http.ResponseWriter, r *http.Request) *socket {
	if !isChunked(w, r) { // a middleware has changed its mind
		return nil
	}
	conn, _, err := hijack(innermost(w)) // what it has read of the client is no message
	if err != nil {
		return nil
	}
	_ = conn.SetDeadline(time.Time{}) // fails only if it is closed already
	return &socket{net: conn, raw: rawConn(conn), events: true}
}

// isChunked reports whether net/http writes the response to r as it is, in chunks.
func isChunked(w http.ResponseWriter, r *http.Request) bool {
	if _, is := r.Context().Value(http.ServerContextKey).(*http.Server); !is || r.ProtoMajor != 1 || r.ProtoMinor < 1 {
		return false
	}
	h := w.Header()
	for _, name := range [...]string{"Content-Length", "Transfer-Encoding", "Trailer"} {
		if len(h[name]) > 0 {
			return false
		}
	}
	return h.Get("Content-Encoding") == "identity"
}

// mostOnStream is how many bytes a client may say on its stream: a request that it has sent
// too early is shorter as a rule. No client has a reason to, and to read what nobody wants is
// work that no limit of a rate sees.
const mostOnStream = 4 << 10

var errSaidTooMuch = errors.New("the client has said more on its event stream than a request has")

// saidTooMuch drops what was read, and reports whether it was too much.
func (s *socket) saidTooMuch() bool {
	s.left += int64(len(s.buf.left))
	s.release()
	return s.left > mostOnStream
}

// lastChunk ends a response.
var lastChunk = []byte("0\r\n\r\n")

// nextEventLocked takes from the outbox what to write next, as a chunk in memory: an
// event, or a piece of a long one.
func (s *socket) nextEventLocked(memory *scratch) []byte {
	q, left := &s.conn.out, &s.conn.http.eventLeft
	if *left == 0 {
		n, bytes := q.upTo(joinMost)
		q.take(n, bytes)
	}
	const room = len("7fffffffffffffff\r\n")
	b := append(memory.joined[:0], make([]byte, room)...)
	b, *left = appendEventPiece(b, q.waiting()[:q.taken], *left)
	var head [room]byte
	at := copy(b, append(strconv.AppendUint(head[:0], uint64(len(b)-room), 16), "\r\n"...))
	b = append(b[:at+copy(b[at:], b[room:])], "\r\n"...)
	if cap(b) <= 2*joinMost { // one long event must not keep so much
		memory.joined = b
	}
	return b
}
