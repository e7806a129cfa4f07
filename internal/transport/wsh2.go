package transport

import (
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// An h2Stream is a WebSocket's bytes on a stream of HTTP/2 (RFC 8441): an
// extended CONNECT, whose request body is what the client writes. net/http lets
// such requests through where GODEBUG has http2xconnect=1; elsewhere clients
// use HTTP/1.1, or another transport. The handler of the request stays until
// the stream is closed: the stream ends with it.
type h2Stream struct {
	w    http.ResponseWriter
	rc   *http.ResponseController
	r    *http.Request
	done chan struct{} // closed by Close

	mu     sync.Mutex // held while writing
	ending sync.Mutex // held while done is closed, or a deadline is set: beside a write that waits, which that is to end
	closed sync.Once
}

// isExtendedConnect reports whether r asks for a WebSocket over HTTP/2.
func isExtendedConnect(r *http.Request) bool {
	return r.ProtoMajor == 2 && r.Method == http.MethodConnect && r.Header.Get(":protocol") == "websocket" &&
		hasElement(r.Header["Sec-Websocket-Version"], "13")
}

// upgradeH2 answers 200 and makes the stream a socket.
func (e *Endpoint) upgradeH2(w http.ResponseWriter, r *http.Request, protocol string) (*socket, *h2Stream, error) {
	rc := http.NewResponseController(w)
	e.clearDeadlines(w, r, rc)
	if protocol != "" {
		w.Header()["Sec-WebSocket-Protocol"] = []string{protocol}
	}
	w.WriteHeader(http.StatusOK)
	if err := rc.Flush(); err != nil {
		return nil, nil, err
	}
	stream := &h2Stream{w: w, rc: rc, r: r, done: make(chan struct{})}
	return &socket{net: stream}, stream, nil
}

func (s *h2Stream) Read(p []byte) (int, error) { return s.r.Body.Read(p) }

func (s *h2Stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.done:
		return 0, net.ErrClosed
	default:
	}
	n, err := s.w.Write(p)
	if err == nil {
		err = s.rc.Flush()
	}
	return n, err
}

// Close ends the stream: a write that waits fails, then the handler returns.
func (s *h2Stream) Close() error {
	s.closed.Do(func() {
		_ = s.rc.SetReadDeadline(time.Now()) // without effect on a stream that has ended
		if !s.mu.TryLock() {                 // the client does not read: the stream is reset
			_ = s.rc.SetWriteDeadline(time.Now())
			s.mu.Lock()
		}
		s.ending.Lock()
		close(s.done)
		s.ending.Unlock()
		s.mu.Unlock()
	})
	return nil
}

func (s *h2Stream) LocalAddr() net.Addr {
	addr, _ := s.r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return addr
}

func (s *h2Stream) RemoteAddr() net.Addr { return h2Addr(s.r.RemoteAddr) }

func (s *h2Stream) SetDeadline(t time.Time) error {
	if err := s.SetReadDeadline(t); err != nil {
		return err
	}
	return s.SetWriteDeadline(t)
}

func (s *h2Stream) SetReadDeadline(t time.Time) error { return s.set(s.rc.SetReadDeadline, t) }

func (s *h2Stream) SetWriteDeadline(t time.Time) error { return s.set(s.rc.SetWriteDeadline, t) }

// set sets a deadline before the handler returns: net/http panics after that.
func (s *h2Stream) set(deadline func(time.Time) error, t time.Time) error {
	s.ending.Lock()
	defer s.ending.Unlock()
	select {
	case <-s.done:
		return os.ErrClosed
	default:
		return deadline(t)
	}
}

type h2Addr string

func (h2Addr) Network() string  { return "tcp" }
func (a h2Addr) String() string { return string(a) }
