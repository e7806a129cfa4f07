package azure

import (
	"context"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/internal/transport"
	"github.com/hubwire/hubwire/server"
)

// Headers of OpenConnection and CloseConnection.
const (
	headerInstance    = "Asrs-Instance-Id"
	headerMigrateFrom = "Asrs-Migrate-From"
	headerMigrateTo   = "Asrs-Migrate-To"
	headerForwarded   = "X-Forwarded-For"
)

// A client is one client of the hub, connected to the service: the link of a virtual
// connection.
type client struct {
	s        *service
	id       string
	instance string // of the service that it is connected to
	opened   *conn  // the service connection on which it was opened

	// Owned by the goroutine that reads the service connection. A client that is
	// rerouted has two of them, one after the other.
	input   sync.Mutex
	partial []byte // the beginning of a hub message

	conn atomic.Pointer[transport.Conn] // set by open

	// Guarded by mu, a leaf but for conn.mu. transport.Conn's lock may be held.
	mu       sync.Mutex
	via      *conn // carries its messages to the service
	paused   bool
	left     bool // the service has released it: no CloseConnection is sent
	silent   bool // nothing more is sent to it
	swallow  bool // drop the answer to the handshake: the client has had one from another server
	groups   map[string]struct{}
	receiver server.Receiver
}

type clientKey struct{}

// openedBy returns the connection on which the client of a call was opened, or nil
// outside a call.
func openedBy(ctx context.Context) *conn {
	if cl, ok := ctx.Value(clientKey{}).(*client); ok {
		return cl.opened
	}
	return nil
}

// open begins a virtual connection.
func (s *service) open(c *conn, m *wire.OpenConnection) {
	cl := &client{s: s, id: m.ConnectionID, opened: c, via: c}
	header := headerOf(m.Headers)
	cl.instance = header.Get(headerInstance)
	cl.swallow = header.Get(headerMigrateFrom) != ""
	if before := s.add(cl); before != nil {
		s.log.Warn("the service reused the id of a client; the earlier client is ended", "connection", m.ConnectionID)
		before.drop()
	}
	c.clients.Add(1)
	ctx := context.WithValue(s.ctx, clientKey{}, cl)
	conn, err := s.endpoint.Open(transport.Virtual{
		ID:      m.ConnectionID,
		Request: requestOf(ctx, header, wire.Text(m.QueryString)),
		User:    userOf(m.Claims),
		Link:    cl,
	})
	if err != nil {
		s.log.Info("client refused", "connection", m.ConnectionID, "error", err)
		cl.Closed(true)
		return
	}
	cl.conn.Store(conn)
	conn.Ready() // what was not taken before waits for it
}

// received passes bytes of a client to the hub.
func (s *service) received(m *wire.ConnectionData) {
	cl := s.client(m.ConnectionID)
	if cl == nil || cl.conn.Load() == nil {
		s.log.Debug("data for an unknown client", "connection", m.ConnectionID)
		return
	}
	cl.input.Lock()
	defer cl.input.Unlock()
	p := m.Payload
	if m.IsPartial || len(cl.partial) > 0 {
		cl.partial = append(cl.partial, p...)
		// A message too long for the hub is passed on as it arrives; the hub refuses it.
		if m.IsPartial && len(cl.partial) <= s.hub.messageSize {
			return
		}
		p, cl.partial = cl.partial, nil
	}
	if err := cl.conn.Load().Received(p, s.opts.MaximumWaitingInput); err != nil {
		s.log.Warn("client closed", "reason", "too much input waits for its calls", "connection", cl.id, "bytes", s.opts.MaximumWaitingInput)
		cl.conn.Load().Abort(err)
	}
}

// forgetPartial forgets the beginning of a hub message: the client has reconnected,
// and sends it again.
func (cl *client) forgetPartial() {
	cl.input.Lock()
	defer cl.input.Unlock()
	cl.partial = nil
}

// closed handles that a client has left, or has been moved to another server.
func (s *service) closed(m *wire.CloseConnection) {
	cl := s.client(m.ConnectionID)
	if cl == nil || cl.conn.Load() == nil {
		return
	}
	if headerOf(m.Headers).Get(headerMigrateTo) != "" {
		cl.drop()
		return
	}
	cl.leave()
}

// leave ends a client that has left. What its calls still send is sent on.
func (cl *client) leave() {
	cl.mu.Lock()
	cl.left = true
	cl.mu.Unlock()
	cl.conn.Load().Left()
}

// drop ends a client that this server no longer serves.
func (cl *client) drop() {
	cl.mu.Lock()
	cl.left, cl.silent = true, true
	cl.mu.Unlock()
	if conn := cl.conn.Load(); conn != nil {
		conn.Abort(transport.ErrLost)
	}
}

// lost drops the clients of a service connection that has ended.
func (s *service) lost(c *conn) {
	for _, cl := range s.all(func(cl *client) bool { return cl.through() == c }) {
		cl.drop()
	}
}

// offline drops those clients of c that are connected to an instance of the service
// that has died, and the client results awaited from there. An empty instance means
// all of c.
func (s *service) offline(c *conn, instance string) {
	of := func(cl *client) bool {
		return cl.through() == c && (instance == "" || cl.instance == instance)
	}
	for _, cl := range s.all(of) {
		if cl.conn.Load() != nil {
			cl.leave()
		}
	}
	s.instanceGone(instance)
}

func (cl *client) through() *conn {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	return cl.via
}

// Write implements transport.Link.
func (cl *client) Write(f transport.Frame) bool {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	switch {
	case cl.silent:
		return true
	case cl.swallow && f.Kind() == transport.KindHandshake:
		cl.swallow = false
		return true
	case cl.paused:
		return false
	}
	return cl.via.data(cl, f)
}

// ready lets waiting bytes continue.
func (cl *client) ready() {
	if conn := cl.conn.Load(); conn != nil {
		conn.Ready()
	}
}

// Closed implements transport.Link.
func (cl *client) Closed(bool) {
	cl.s.remove(cl)
	cl.mu.Lock()
	via, left := cl.via, cl.left
	cl.left, cl.silent = true, true
	cl.mu.Unlock()
	via.clients.Add(-1)
	if !left {
		via.control(&wire.CloseConnection{ConnectionID: cl.id})
	}
}

// pause stops sending to the client, until resume.
func (cl *client) pause() {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if cl.paused {
		return
	}
	cl.paused = true
	cl.via.control(&wire.ConnectionFlowControl{ConnectionID: cl.id, ConnectionType: wire.FlowClient, Operation: wire.FlowPauseAck})
}

// resume continues sending, through c.
func (cl *client) resume(c *conn) {
	cl.mu.Lock()
	if !cl.paused {
		cl.mu.Unlock()
		return
	}
	cl.via.clients.Add(-1)
	c.clients.Add(1)
	cl.via, cl.paused = c, false
	cl.mu.Unlock()
	cl.ready()
}

func headerOf(headers []wire.Header) http.Header {
	h := make(http.Header, len(headers))
	for _, one := range headers {
		name := textproto.CanonicalMIMEHeaderKey(one.Name)
		h[name] = append(h[name], one.Values...)
	}
	return h
}

// requestOf is a client's request as the service describes it, without the token.
func requestOf(ctx context.Context, header http.Header, query string) *http.Request {
	query = strings.TrimPrefix(query, "?")
	path := "/"
	if values, err := url.ParseQuery(query); err == nil || len(values) > 0 {
		if op := values["asrs.op"]; len(op) > 0 && strings.HasPrefix(op[0], "/") {
			path = op[0]
		}
	}
	r := &http.Request{
		Method: http.MethodGet, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		URL:    &url.URL{Path: path, RawQuery: withoutToken(query)},
		Header: header, Host: header.Get("Host"), Body: http.NoBody,
		RemoteAddr: remoteAddr(header.Get(headerForwarded)),
	}
	r.RequestURI = r.URL.RequestURI()
	header.Del("Host")
	return r.WithContext(ctx)
}

func withoutToken(query string) string {
	if !strings.Contains(query, "access_token=") {
		return query
	}
	pairs := strings.Split(query, "&")
	kept := pairs[:0]
	for _, pair := range pairs {
		if !strings.HasPrefix(pair, "access_token=") {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}

// remoteAddr is the first address of X-Forwarded-For, as http.Request has it; the
// port is not known.
func remoteAddr(forwarded string) string {
	first, _, _ := strings.Cut(forwarded, ",")
	first = strings.TrimSpace(first)
	if net.ParseIP(first) == nil {
		return ""
	}
	return net.JoinHostPort(first, "0")
}
