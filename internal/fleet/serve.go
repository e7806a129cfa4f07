package fleet

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/hubwire/hubwire/internal/transport"
)

// served is the owner's side of an exchange: the ResponseWriter and the body of a
// request that another node received. It belongs to the goroutine that serves the
// request, except for what told delivers.
type served struct {
	fleet *Fleet
	id    exchangeID
	link  *link  // by which the asker is reached; nil: the Bus
	asker string // its channel
	ctx   context.Context
	end   context.CancelFunc

	pieces chan *message // of the body; filled by told
	acks   chan uint64   // of pieces of the answer; filled by told
	waits  chan struct{} // the asker's client still waits; filled by told

	header   http.Header
	head     []byte // of the answer, until it is sent
	status   int
	upgrade  bool // the request is the handshake of a WebSocket
	buf      []byte
	length   int64  // of the answer's body; -1: not known
	written  int64  // of it
	sent     uint64 // pieces
	over     bool   // the last one was sent
	failed   error
	deadline time.Time     // of writes
	tunnel   net.Conn      // the other end of the connection that Hijack returned
	pumped   chan struct{} // closed when all its bytes were passed on; nil without Hijack

	body requestBody
}

// take serves a request of another node, which came over via.
func (f *Fleet) take(connection string, m *message, via *link) {
	asker := f.nodeChannel(m.from)
	f.mu.Lock()
	serve := f.owned[connection]
	switch {
	case f.closed:
		f.mu.Unlock()
		return
	case !f.isNewLocked(m.id):
		s := f.serving[m.id]
		f.mu.Unlock()
		if via != nil || s != nil && s.link == nil {
			return // a replay
		}
		if s != nil { // the asker lost the link
			s.end()
		}
		f.say(nil, asker, &message{kind: kindGone, id: m.id})
		return
	case serve == nil: // it has just ended
		f.mu.Unlock()
		f.say(via, asker, &message{kind: kindEnded, id: m.id})
		return
	case len(f.serving) >= mostServed, len(f.seen[0]) >= mostSeen:
		f.mu.Unlock()
		f.say(via, asker, &message{kind: kindBusy, id: m.id})
		return
	}
	f.seen[0][m.id] = struct{}{}
	s := &served{fleet: f, id: m.id, link: via, asker: asker, header: http.Header{}, length: -1, pieces: make(chan *message, 1), acks: make(chan uint64, 1), waits: make(chan struct{}, 1)}
	ctx := f.ctx
	if via != nil {
		ctx = via.ctx
	}
	s.ctx, s.end = context.WithCancel(ctx)
	f.serving[m.id] = s
	f.counts.served.Add(1)
	f.running.Go(func() { s.run(m, serve) })
	f.mu.Unlock()
	if m.has(flagNeedAck) {
		f.say(via, asker, &message{kind: kindTaken, id: m.id})
	}
}

// run serves the request.
func (s *served) run(m *message, serve transport.ForwardHandler) {
	defer func() {
		s.fleet.mu.Lock()
		delete(s.fleet.serving, s.id)
		s.fleet.mu.Unlock()
		s.end()
	}()
	r, user, err := s.request(m)
	if err != nil {
		s.fleet.refuse(s.asker, err)
		return
	}
	defer func() {
		if v := recover(); v != nil {
			if v != http.ErrAbortHandler {
				s.fleet.log.Error("panic while serving a request of another node", "panic", v, "stack", string(debug.Stack()))
			}
			s.failed = nil
			_ = s.send(kindAnswer, flagLast|flagBroken, nil) // the asker probes
		}
	}()
	serve(s, r, user)
	if s.pumped != nil {
		<-s.pumped
		return
	}
	s.finish()
}

// request returns the request in m.
func (s *served) request(m *message) (r *http.Request, user []byte, err error) {
	u := unpacker{rest: m.head}
	r = &http.Request{}
	var target, who string
	for _, to := range [...]*string{&r.Method, &target, &r.RequestURI, &r.Proto, &r.Host, &r.RemoteAddr, &r.Pattern, &who} {
		*to = u.text()
	}
	length, size := binary.Varint(u.rest)
	if size <= 0 {
		return nil, nil, errMessage
	}
	u.rest = u.rest[size:]
	r.ContentLength, r.Header = length, u.header()
	if u.broken {
		return nil, nil, errMessage
	}
	if r.URL, err = url.ParseRequestURI(target); err != nil {
		return nil, nil, fmt.Errorf("request of another node: %w", err)
	}
	r.ProtoMajor, r.ProtoMinor, _ = http.ParseHTTPVersion(r.Proto)
	s.upgrade = isUpgrade(r)
	s.body = requestBody{served: s, rest: m.body, last: m.has(flagLast), next: 1}
	r.Body = &s.body
	return r.WithContext(s.ctx), []byte(who), nil
}

// told handles a message of the asker. It never blocks.
func (s *served) told(m *message) {
	switch m.kind {
	case kindPiece:
		select {
		case s.pieces <- m:
		default: // more than was asked for
		}
	case kindAck:
		if m.n == stillWaits {
			select {
			case s.waits <- struct{}{}:
			default: // as is known already
			}
			return
		}
		select {
		case s.acks <- m.n:
		default:
		}
	case kindCancel:
		s.end()
	}
}

// Header implements http.ResponseWriter.
func (s *served) Header() http.Header { return s.header }

// WriteHeader implements http.ResponseWriter.
func (s *served) WriteHeader(status int) {
	if s.status != 0 || status < 200 {
		return
	}
	s.status = status
	s.head = s.withURL(appendHeader(binary.AppendUvarint(nil, uint64(status)), s.header))
	if n, err := strconv.ParseInt(s.header.Get("Content-Length"), 10, 64); err == nil {
		s.length = n
	}
}

// withURL completes the head of an answer over the Bus: the next time the asker can
// use a link.
func (s *served) withURL(head []byte) []byte {
	if s.link != nil || s.fleet.url == "" {
		return head
	}
	return appendText(head, s.fleet.url)
}

// Write implements http.ResponseWriter. It blocks until the asker has written the
// previous piece.
func (s *served) Write(p []byte) (int, error) {
	s.WriteHeader(http.StatusOK)
	n := len(p)
	for len(p) > 0 && s.failed == nil {
		k := min(len(p), pieceSize-len(s.buf))
		s.buf = append(s.buf, p[:k]...)
		s.written += int64(k)
		if p = p[k:]; len(s.buf) == pieceSize {
			s.failed = s.sendPiece()
		}
	}
	return n - len(p), s.failed
}

// FlushError implements the Flusher of http.ResponseController. Its error is nil
// when the client has been given all that was written; transport.ErrUndelivered
// means that it may not have been.
func (s *served) FlushError() error {
	s.WriteHeader(http.StatusOK)
	if s.failed == nil && (len(s.buf) > 0 || s.sent == 0) {
		s.failed = s.sendPiece()
	}
	return s.failed
}

// SetWriteDeadline implements http.ResponseController's.
func (s *served) SetWriteDeadline(t time.Time) error {
	s.deadline = t
	return nil
}

// SetReadDeadline implements http.ResponseController's: the asker reads the body
// at the pace that a client must keep.
func (s *served) SetReadDeadline(time.Time) error { return nil }

// finish sends what is left.
func (s *served) finish() {
	s.WriteHeader(http.StatusOK)
	if s.failed != nil || s.over {
		return
	}
	_ = s.send(kindAnswer, flagLast, s.buf) // the asker probes
}

// sendPiece sends what is in buf, and waits until the client has been given it.
func (s *served) sendPiece() error {
	flags := byte(flagNeedAck)
	if s.length >= 0 && s.written >= s.length && s.status != 0 {
		flags |= flagLast
		s.over = true
	}
	n := s.sent
	err := s.send(kindAnswer, flags, s.buf)
	s.buf = s.buf[:0]
	if err != nil {
		return err
	}
	return s.awaitAck(n)
}

// send sends a piece of the answer.
func (s *served) send(k kind, flags byte, body []byte) error {
	m := &message{kind: k, flags: flags, id: s.id, n: s.sent, head: s.head, body: body}
	s.head = nil
	s.sent++
	receivers, err := s.fleet.publish(s.fleet.ctx, s.link, s.asker, m)
	if err != nil || receivers == 0 {
		return errors.Join(transport.ErrUndelivered, err)
	}
	return nil
}

// Awaited implements transport.ForwardWriter. Its error is transport.ErrUndelivered,
// also if nothing is heard for a probeTime: a client that waits all the same is given
// an empty answer, and asks again.
func (s *served) Awaited() error {
	again, late := time.NewTicker(askerTime), time.NewTimer(probeTime)
	defer again.Stop()
	defer late.Stop()
	select {
	case <-s.waits: // as it was earlier
	default:
	}
	for {
		if err := s.askWhetherAwaited(); err != nil {
			return errors.Join(transport.ErrUndelivered, err)
		}
		select {
		case <-s.waits:
			return nil
		case <-again.C: // Redis may count an asker for a moment that has died
		case <-late.C: // or not count at all
			return transport.ErrUndelivered
		case <-s.ctx.Done():
			return transport.ErrUndelivered
		}
	}
}

// askWhetherAwaited asks whether the client still waits: the asker answers with an ack
// or a cancel. The error says that there is no asker.
func (s *served) askWhetherAwaited() error {
	receivers, err := s.fleet.probe(s.ctx, s.link, s.asker, &message{kind: kindTaken, flags: flagNeedAck, id: s.id})
	if err == nil && receivers == 0 {
		err = transport.ErrNobody
	}
	return err
}

// awaitAck waits until the asker has written piece n to its client.
func (s *served) awaitAck(n uint64) error {
	var late <-chan time.Time
	if !s.deadline.IsZero() {
		timer := time.NewTimer(time.Until(s.deadline))
		defer timer.Stop()
		late = timer.C
	}
	probe := time.NewTicker(askerTime)
	defer probe.Stop()
	for {
		select {
		case got := <-s.acks:
			if got == n {
				return nil
			}
		case <-s.ctx.Done(): // canceled
			select {
			case got := <-s.acks:
				if got == n {
					return nil
				}
			default:
			}
			return transport.ErrUndelivered
		case <-probe.C:
			receivers, err := s.fleet.probe(s.ctx, s.link, s.asker, &message{kind: kindTaken, id: s.id})
			if err != nil || receivers == 0 {
				return errors.Join(transport.ErrUndelivered, err)
			}
		case <-late:
			return os.ErrDeadlineExceeded
		}
	}
}

// Hijack implements http.Hijacker, for the handshakes of WebSockets. The connection
// that it returns ends with the exchange.
func (s *served) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if !s.upgrade || s.status != 0 {
		return nil, nil, http.ErrNotSupported
	}
	own, given := net.Pipe()
	s.tunnel, s.pumped = own, make(chan struct{})
	go func() { // run waits for it
		defer close(s.pumped)
		s.pump()
	}()
	return given, bufio.NewReadWriter(bufio.NewReader(given), bufio.NewWriter(given)), nil
}

// requestBody is the body of a request that another node received. It asks for a
// piece when the previous one has been read.
type requestBody struct {
	served *served
	mu     sync.Mutex
	rest   []byte
	last   bool
	broken bool
	next   uint64
}

// Read implements io.Reader.
func (b *requestBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.rest) == 0 {
		switch {
		case b.broken:
			return 0, io.ErrUnexpectedEOF
		case b.last:
			return 0, io.EOF
		}
		m, err := b.served.nextPiece(b.next)
		if err != nil {
			return 0, err
		}
		b.next++
		b.rest, b.last, b.broken = m.body, m.has(flagLast), m.has(flagBroken)
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// Close implements io.Closer.
func (b *requestBody) Close() error { return nil }

// nextPiece asks for piece n of the body and waits for it, for as long as the asker
// waits for its client. A WebSocket needs no questions: its own pings show what lives.
func (s *served) nextPiece(n uint64) (*message, error) {
	receivers, err := s.fleet.publish(s.ctx, s.link, s.asker, &message{kind: kindWant, id: s.id, n: n})
	if err != nil || receivers == 0 {
		return nil, errors.Join(io.ErrUnexpectedEOF, err)
	}
	var again <-chan time.Time
	if s.tunnel == nil {
		probe := time.NewTicker(probeTime)
		defer probe.Stop()
		again = probe.C
	}
	for {
		select {
		case m := <-s.pieces:
			if m.n == n {
				return m, nil
			}
		case <-again:
			if err := s.askWhetherAwaited(); err != nil {
				return nil, errors.Join(io.ErrUnexpectedEOF, err)
			}
		case <-s.ctx.Done():
			return nil, io.ErrUnexpectedEOF
		}
	}
}
