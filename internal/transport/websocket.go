package transport

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
)

// Close codes that a server sends.
const (
	closeNormal   = 1000
	closeProtocol = 1002
	closeInvalid  = 1007
	closeInternal = 1011
)

// A socket is one WebSocket under a connection, or its event stream.
type socket struct {
	conn   *Conn
	net    net.Conn
	raw    syscall.RawConn // nil: net can only be used blocking
	events bool            // it is an event stream, see events.go

	parking
	dead  atomic.Bool // cut: stop reading
	again bool        // it replaces another socket, and the App does not know yet; guarded by conn.mu

	writer // owned by the goroutine that has set writing
	reader // owned by the goroutine that has set conn.reading
}

// serveWebSocket upgrades r and leaves the connection to a goroutine of its own.
func (e *Endpoint) serveWebSocket(w http.ResponseWriter, r *http.Request, c *Conn, user any) {
	if !e.mayServe(w, r, c, WebSockets, user) {
		return
	}
	protocol, ok := e.subProtocol(r)
	if !ok {
		answer(w, r, http.StatusInternalServerError, noType, "")
		return
	}
	first, status := c.activateSocket(r, user)
	if status != 0 {
		answer(w, r, status, textPlain, "")
		return
	}
	var stream *h2Stream
	var s *socket
	var err error
	if r.ProtoMajor == 2 {
		s, stream, err = e.upgradeH2(w, r, protocol)
	} else {
		s, err = e.upgrade(w, r, protocol)
	}
	if err != nil {
		if errors.Is(err, http.ErrNotSupported) {
			e.lacks(w, needHijack)
		} else {
			e.log.Error("WebSocket upgrade failed", "connection", c.ID(), "error", err)
		}
		c.deactivate(first, err)
		answer(w, r, http.StatusInternalServerError, noType, "")
		return
	}
	s.conn = c
	switch {
	case stream != nil:
		go c.serveSocket(s, first, false)
		<-stream.done
	case s.raw == nil || e.opts.Readers == ReadersGoroutine:
		go c.serveSocket(s, first, false) // net/http's goroutine would be kept to the end
	default:
		c.serveSocket(s, first, true)
	}
}

// subProtocol asks the selector which of the offered subprotocols to speak.
func (e *Endpoint) subProtocol(r *http.Request) (protocol string, ok bool) {
	lines := r.Header["Sec-Websocket-Protocol"]
	if e.opts.SubProtocol == nil || len(lines) == 0 {
		return "", true
	}
	var offered []string
	for one := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		if one = strings.Trim(one, " \t"); one != "" {
			offered = append(offered, one)
		}
	}
	ok = e.guard("SubProtocol", func() { protocol = e.opts.SubProtocol(offered) })
	return protocol, ok
}

// rawConn returns nil for connections that are no socket of the system: TLS,
// wrappers, and those of tests.
func rawConn(conn net.Conn) syscall.RawConn {
	if !haveRaw {
		return nil
	}
	var raw syscall.RawConn
	var err error
	switch conn := conn.(type) {
	case *net.TCPConn:
		raw, err = conn.SyscallConn()
	case *net.UnixConn:
		raw, err = conn.SyscallConn()
	}
	if err != nil {
		return nil
	}
	return raw
}

// serveSocket makes s the socket of c and reads until another goroutine goes on
// or there is nothing more to read. It is the reader's goroutine; lent says that it is
// net/http's, see readAll.
func (c *Conn) serveSocket(s *socket, first, lent bool) {
	defer c.survive()
	reads, ok := c.attach(s)
	if !ok && first {
		c.deactivate(true, ErrClosed)
	}
	if !reads {
		return
	}
	if first {
		c.start()
	}
	c.read(lent)
}
