package fleet

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/hubwire/hubwire/internal/transport"
)

// tunnel passes the bytes of a WebSocket on. m is its first answer.
func (a *ask) tunnel(m *message) error {
	conn, rw, err := a.rc.Hijack()
	if err != nil {
		a.cancel()
		if errors.Is(err, http.ErrNotSupported) {
			return transport.ErrAway
		}
		return nil // the client is gone
	}
	_ = conn.SetDeadline(time.Time{}) // the HTTP server's own
	wants := make(chan uint64, 1)
	ended := make(chan struct{})
	go func() { // ends when conn is closed
		defer close(ended)
		a.readClient(rw, wants)
	}()
	a.writeClient(conn, m, wants, ended)
	_ = conn.Close() // however it ended
	close(wants)
	<-ended
	a.cancel()
	return nil
}

// cancel tells the owner that the client is gone.
func (a *ask) cancel() {
	_, _ = a.tell(&message{kind: kindCancel, id: a.id}) // an owner that misses it learns it with the next piece
}

// reader is what readClient reads.
type reader interface{ Read(p []byte) (int, error) }

// readClient sends the client's bytes, one piece for each number in wants.
func (a *ask) readClient(from reader, wants <-chan uint64) {
	buf := make([]byte, pieceSize)
	for n := range wants {
		k, err := from.Read(buf)
		m := &message{kind: kindPiece, id: a.id, n: n, body: buf[:k]}
		if err != nil {
			m.flags |= flagLast
		}
		receivers, failed := a.tell(m)
		if err != nil || failed != nil || receivers == 0 {
			return
		}
	}
}

// writeClient writes what the owner sends, beginning with m, until one side ends.
func (a *ask) writeClient(conn net.Conn, m *message, wants chan<- uint64, ended <-chan struct{}) {
	probe := time.NewTicker(probeTime)
	defer probe.Stop()
	for wanted := uint64(0); ; {
		switch {
		case m == nil:
		case m.kind == kindWant && m.n > wanted:
			wanted = m.n
			select {
			case wants <- m.n:
			default: // more than an owner sends
			}
		case m.kind == kindAnswer && m.n == a.got-1:
			_ = conn.SetWriteDeadline(time.Now().Add(clientTime)) // has no effect on a closed one
			if _, err := conn.Write(m.body); err != nil || m.has(flagLast) {
				return
			}
			if receivers, err := a.tell(&message{kind: kindAck, id: a.id, n: m.n}); err != nil || receivers == 0 {
				return
			}
		case m.kind == kindGone:
			return
		}
		m = nil
		select {
		case m = <-a.in:
			a.silent = 0
			if m.kind == kindAnswer {
				switch {
				case m.n > a.got:
					return // one was lost
				case m.n < a.got: // it came twice: go-redis has published it again
					m = nil
				default:
					a.got++
				}
			}
		case <-ended:
			return
		case <-a.broken():
			return
		case <-a.fleet.ctx.Done():
			return
		case <-probe.C:
			if a.probe() != nil {
				return
			}
		}
	}
}

// pump passes the bytes of a WebSocket between its connection here and the asker.
func (s *served) pump() {
	stop := context.AfterFunc(s.ctx, func() { _ = s.tunnel.Close() }) // ends both directions
	defer stop()
	in := make(chan struct{})
	go func() { // ends with the context at the latest
		defer close(in)
		buf := make([]byte, pieceSize)
		for {
			n, err := s.body.Read(buf)
			if n > 0 {
				if _, err := s.tunnel.Write(buf[:n]); err != nil {
					break
				}
			}
			if err != nil {
				break
			}
		}
		_ = s.tunnel.Close()
	}()
	s.head = s.withURL(nil)
	buf := make([]byte, pieceSize)
	for {
		n, err := s.tunnel.Read(buf)
		if err != nil {
			break
		}
		s.deadline = time.Now().Add(2 * clientTime)
		if s.send(kindAnswer, flagRaw|flagNeedAck, buf[:n]) != nil || s.awaitAck(s.sent-1) != nil {
			break
		}
	}
	_ = s.tunnel.Close()
	_ = s.send(kindAnswer, flagRaw|flagLast, nil) // the asker probes
	s.end()
	<-in
}
