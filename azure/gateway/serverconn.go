package gateway

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/internal/transport"
)

// An appServer is a process that serves a hub, and has one connection or more.
type appServer struct {
	id    string
	conns []*serverConn // guarded by hub.mu
}

// A serverConn is one connection of an app server. Its messages are executed by the
// goroutine that reads it, in order.
type serverConn struct {
	conn             *transport.Conn
	hub              *hub
	server           string // its id
	endpoint, target string // see serverToken
	begun            time.Time
	stateful         bool // it lets its clients reconnect statefully; set by greet

	reader  wire.Reader // owned by Receive
	greeted atomic.Bool // the handshake is done
	heard   atomic.Bool // something came since the last Tick

	// Owned by Tick.
	lastPing, lastHeard time.Time

	// Guarded by hub.mu.
	clients   map[*client]struct{}
	carries   bool // it may have clients: it is not weak, and not over
	leaving   bool // its app server shuts down
	mayMove   bool // clients may be moved to it, and away from it
	connected bool // it is among the hub's
}

type serverApp serverConn

var _ interface {
	transport.App
	transport.SlowApp
} = (*serverApp)(nil)

func (g *Gateway) newServerConn(conn *transport.Conn) transport.App {
	who := conn.User().(*serverToken)
	now := time.Now()
	return (*serverApp)(&serverConn{
		conn: conn, hub: who.hub, server: who.server, endpoint: who.endpoint, target: who.target,
		begun: now, lastPing: now, lastHeard: now,
		reader:  wire.Reader{MaxFrameSize: g.opts.MaximumMessageSize},
		clients: map[*client]struct{}{},
	})
}

// queue appends a message to the queue, and never blocks. It may be called with locks
// held that ending a connection takes: call conn.Relieve later, without them.
func (s *serverConn) queue(m wire.Message) {
	_ = s.conn.Queue(frameOf(m)) // once it has ended, its clients are told
}

// send is queue for callers that hold no lock.
func (s *serverConn) send(m wire.Message) { _ = s.conn.Send(frameOf(m)) }

// around is how much more than its payload a message of a client's bytes takes.
const around = 64

func frameOf(m wire.Message) transport.Frame {
	size := around
	if data, ok := m.(*wire.ConnectionData); ok {
		size += len(data.Payload)
	}
	return transport.BuildFrame(wire.Append(transport.NewFrameBuffer(size), m), true)
}

// Start implements transport.App.
func (a *serverApp) Start() {}

// Receive implements transport.App. It never keeps the goroutine.
func (a *serverApp) Receive(p []byte, _ bool) bool {
	s := (*serverConn)(a)
	s.heard.Store(true)
	for m, err := range s.reader.Messages(p) {
		var bad *wire.FrameError
		switch {
		case errors.As(err, &bad) && s.greeted.Load():
			s.hub.g.often.Warn("message of an app server skipped", "hub", s.hub.name, "server", s.server, "error", err)
			continue
		case err != nil:
			s.hub.g.log.Warn("app server cut off", "hub", s.hub.name, "server", s.server, "error", err)
			s.conn.Abort(err)
			return true
		}
		if !s.greeted.Load() {
			if !s.greet(m) {
				return true
			}
			continue
		}
		s.hub.g.counts.in.Add(1)
		s.dispatch(m)
	}
	return true
}

// greet answers the first message, which must be a handshake request.
func (s *serverConn) greet(m wire.Message) bool {
	hello, ok := m.(*wire.HandshakeRequest)
	elsewhere := s.hub.g.fleet != nil && s.target != "" && s.target != s.hub.g.opts.InstanceID
	if !ok || hello.Version != wire.ProtocolVersion || s.hub.g.hooks != nil || elsewhere {
		text := "The first message is no handshake request."
		switch {
		case s.hub.g.hooks != nil:
			text = "The service is in serverless mode, in which it takes no app servers."
		case ok && elsewhere:
			text = "The connection is for another gateway."
		case ok:
			text = "The protocol version is not supported."
		}
		s.hub.g.log.Warn("app server refused", "hub", s.hub.name, "server", s.server, "reason", text)
		s.send(&wire.HandshakeResponse{ErrorMessage: &text})
		s.conn.Finish()
		return false
	}
	welcome, id := "", s.conn.ID()
	s.hub.mu.Lock()
	s.carries = hello.ConnectionType != wire.ConnectionWeak
	s.stateful = hello.AllowStatefulReconnects
	s.mayMove = hello.MigrationLevel >= wire.MigrationOnShutdown
	s.queue(&wire.HandshakeResponse{ErrorMessage: &welcome, ConnectionID: &id}) // nothing may come before it
	s.hub.connectLocked(s)
	first := len(s.hub.servers) == 1 && len(s.hub.servers[s.server].conns) == 1
	s.hub.mu.Unlock()
	s.greeted.Store(true)
	if first && s.hub.g.fleet != nil {
		s.hub.g.fleet.greetSoon(letterHello)
	}
	s.conn.Relieve()
	s.hub.g.log.Info("app server connected", "hub", s.hub.name, "server", s.server, "connection", id, "type", hello.ConnectionType, "remote", s.conn.Request().RemoteAddr)
	return true
}

// Ended implements transport.App.
func (a *serverApp) Ended(cause error) {
	s := (*serverConn)(a)
	s.over(cause)
	s.conn.Finish()
}

// Shutdown implements transport.App: of the gateway, when its clients are gone.
func (a *serverApp) Shutdown() {
	s := (*serverConn)(a)
	s.over(nil)
	s.conn.Finish()
}

// TooSlow implements transport.SlowApp.
func (a *serverApp) TooSlow() {
	s := (*serverConn)(a)
	s.hub.g.log.Warn("app server cut off", "hub", s.hub.name, "server", s.server, "error", transport.ErrTooSlow)
	s.over(transport.ErrTooSlow)
	s.conn.Finish()
}

// over takes the connection out of the hub. Its clients are told that they may
// connect again.
func (s *serverConn) over(cause error) {
	s.hub.mu.Lock()
	known := s.connected
	s.hub.disconnectLocked(s)
	lost := make([]*client, 0, len(s.clients))
	for c := range s.clients {
		lost = append(lost, c)
	}
	s.hub.mu.Unlock()
	if !known {
		return
	}
	s.hub.g.log.Info("app server disconnected", "hub", s.hub.name, "server", s.server, "connection", s.conn.ID(), "clients", len(lost), "error", cause)
	if len(lost) > 0 {
		s.hub.g.counts.lost.Add(1)
	}
	for _, c := range lost {
		c.leave(textLost, true)
	}
}

// Tick implements transport.App: the service pings first, and app servers answer.
func (a *serverApp) Tick(now time.Time) (rest time.Duration) {
	s := (*serverConn)(a)
	if s.heard.Swap(false) {
		s.lastHeard = now
	}
	switch {
	case !s.greeted.Load():
		if now.Sub(s.begun) > handshakeTimeout {
			s.conn.Abort(transport.ErrTimeout)
		}
	case now.Sub(s.lastHeard) > serverTimeout:
		s.hub.g.log.Warn("app server cut off", "hub", s.hub.name, "server", s.server, "error", "it said nothing for too long")
		s.conn.Abort(transport.ErrTimeout)
	case now.Sub(s.lastPing) >= pingInterval:
		s.lastPing = now
		s.send(&wire.Ping{})
	}
	return 0
}
