package gateway

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/internal/replay"
	"github.com/hubwire/hubwire/internal/transport"
	"github.com/hubwire/hubwire/protocol"
)

// Texts that clients see. The first two are ASP.NET Core's.
const (
	textCanceled  = "Handshake was canceled."
	textMalformed = "An unexpected error occurred during connection handshake."
	textNoServer  = "No server available. No app server of this hub is connected to the service."
	textLost      = "The connection to the app server was lost."
)

// maxHandshake bounds what a client sends before its handshake request is whole.
const maxHandshake = 4 << 10

// maxPiece bounds how many of a client's bytes are sent to an app server at once, so
// that no client holds up the others of the same connection for long.
const maxPiece = 16 << 10

// A client is a client's connection: bytes to and from the app server that has it.
type client struct {
	conn   *transport.Conn
	hub    *hub
	who    *clientToken
	opened time.Time // when its transport was

	// Set by the handshake, before others know the client; while mu is held, for
	// what ends one that nobody knows.
	codec   protocol.Codec
	asked   string // the protocol, as the client wrote it
	version int
	replay  *replay.Buffer // nil: no stateful reconnect

	// Owned by Receive. early is of a handshake request that is not whole, and later
	// of a message, where messages are looked at; seen is for protocol.Missing.
	early []byte
	seen  int

	groups map[string]membership // guarded by hub.mu

	// mu guards what follows, and keeps what an app server is told of the client in
	// order. It is never held while waiting for anything.
	mu      sync.Mutex
	server  *serverConn // nil: none has been chosen yet
	ended   bool        // on our side; nothing more goes to the app server
	ready   atomic.Bool // the handshake is accepted; set while mu is held, and never taken back
	held    *held       // what is sent before that; nil: nothing
	closing bool        // the app server has said farewell
	moving  bool        // to another app server, at the next border
	border  border
	partial []byte  // of a hub message that comes in parts
	served  *served // by the gateway itself; nil: by an app server, or not yet

	refreshed *refreshedAuth // nil: nothing but its token
}

// clientApp is a client as its transport sees it.
type clientApp client

var _ interface {
	transport.App
	transport.SlowApp
	transport.Reconnector
} = (*clientApp)(nil)

func (g *Gateway) newClient(conn *transport.Conn) transport.App {
	who := conn.User().(*clientToken)
	return (*clientApp)(&client{conn: conn, hub: who.hub, who: who, opened: time.Now()})
}

// ID and Codec make a client a members.Member.
func (c *client) ID() string            { return c.conn.ID() }
func (c *client) Codec() protocol.Codec { return c.codec }

// Start implements transport.App.
func (a *clientApp) Start() {}

// Receive implements transport.App. It never keeps the goroutine: one that reads goes on,
// also after the client has ended, since it is who sees the close frame and the end of TCP.
func (a *clientApp) Receive(p []byte, isReader bool) bool {
	return (*client)(a).take(p) || isReader
}

// take handles what the client has said, and reports false once it has ended.
func (c *client) take(p []byte) bool {
	if c.codec == nil {
		if p = c.handshake(p); p == nil {
			return true
		}
	}
	if c.hub.g.hooks != nil {
		return c.receive(p)
	}
	if c.replay != nil {
		return c.receiveStateful(p)
	}
	return c.forwardAll(p)
}

// handshake reads the handshake request from what has come, and finds an app
// server for the client. It returns what follows the request, and nil while that
// is not whole, or once it is refused.
func (c *client) handshake(p []byte) (rest []byte) {
	if len(c.early) > 0 {
		p = append(c.early, p...)
	}
	req, rest, err := protocol.ParseHandshakeRequest(p[:min(len(p), maxHandshake)])
	switch {
	case errors.Is(err, protocol.ErrIncomplete) && len(p) < maxHandshake:
		c.early = append(c.early[:0:0], p...)
		return nil
	case errors.Is(err, protocol.ErrIncomplete):
		c.refuse(textCanceled, false)
		return nil
	case err != nil:
		c.refuse(textMalformed, false)
		return nil
	}
	codec := dialectOf(req.Protocol)
	if codec.Binary() && c.conn.TextOnly() {
		c.refuse("Cannot use the '"+codec.Name()+"' protocol on the current transport. The transport does not support 'Binary' transfer format.", false)
		return nil
	}
	if c.hub.g.hooks != nil {
		if text := c.refusalOf(req, codec); text != "" {
			c.refuse(text, false)
			return nil
		}
	}
	whole := p[:min(len(p), maxHandshake)]
	rest = p[len(whole)-len(rest):]
	c.early = nil
	again := newReplay(c.conn, codec, req.Version)
	c.mu.Lock()
	c.asked, c.version, c.codec, c.replay = req.Protocol, req.Version, codec, again
	c.border = newBorder(codec)
	c.mu.Unlock()
	if c.hub.g.hooks != nil {
		c.hub.welcome(c)
	} else if !c.hub.open(c) {
		c.refuse(textNoServer, codec.Binary())
		return nil
	}
	return rest
}

// refuse ends a client that no app server knows.
func (c *client) refuse(text string, binary bool) {
	c.mu.Lock()
	over := c.ended
	c.ended = true
	c.mu.Unlock()
	if over {
		return
	}
	c.hub.g.counts.refused.Add(1)
	c.hub.g.often.Info("client refused", "hub", c.hub.name, "connection", c.conn.ID(), "reason", text)
	b := protocol.AppendHandshakeResponse(transport.NewFrameBuffer(64), text)
	_ = c.conn.SendLast(transport.BuildFrame(b, binary)) // it may be gone
	c.conn.Finish()
}

// openMessage is what an app server is told of the client. migrateFrom is the id
// of the app server that had it before; empty for none.
func (c *client) openMessage(migrateFrom string) *wire.OpenConnection {
	r := c.conn.Request()
	query := "?" + withoutSecrets(r.URL.RawQuery)
	m := &wire.OpenConnection{
		ConnectionID: c.conn.ID(),
		Claims:       c.claimsLocked(),
		Headers:      c.hub.g.headersOf(r),
		QueryString:  &query,
		Protocol:     &c.asked,
	}
	if migrateFrom != "" {
		m.Headers = append(m.Headers, wire.Header{Name: headerMigrateFrom, Values: []string{migrateFrom}})
	}
	return m
}

// hello is the client's handshake request; another app server than the first gets
// it again.
func (c *client) hello() *wire.ConnectionData {
	return &wire.ConnectionData{
		ConnectionID: c.conn.ID(),
		Payload:      protocol.AppendHandshakeRequest(nil, protocol.HandshakeRequest{Protocol: c.asked, Version: c.version}),
	}
}

// Headers that the service adds.
const (
	headerInstance    = "Asrs-Instance-Id"
	headerMigrateFrom = "Asrs-Migrate-From"
	headerMigrateTo   = "Asrs-Migrate-To"
	headerForwarded   = "X-Forwarded-For"
)

// headersOf are the headers of a client's request as its app server sees them:
// without credentials of the service, and without what belongs to one connection.
func (g *Gateway) headersOf(r *http.Request) []wire.Header {
	from := []string{hostOf(r.RemoteAddr)}
	if earlier := r.Header[headerForwarded]; g.opts.TrustForwardedFor && len(earlier) > 0 {
		from = []string{strings.Join(append(earlier[:len(earlier):len(earlier)], from[0]), ", ")}
	}
	list := make([]wire.Header, 0, len(r.Header)+3)
	list = append(list, wire.Header{Name: "Host", Values: []string{r.Host}}, wire.Header{Name: headerForwarded, Values: from},
		wire.Header{Name: headerInstance, Values: []string{g.opts.InstanceID}})
	for name, values := range r.Header {
		switch name {
		case "Host", headerForwarded, "Authorization", "Connection", "Upgrade", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding":
			continue
		}
		if strings.HasPrefix(name, "Sec-Websocket-") || strings.HasPrefix(name, "Asrs-") {
			continue
		}
		list = append(list, wire.Header{Name: name, Values: values})
	}
	return list
}

func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

// withoutSecrets is a query without the client's token and connection token.
func withoutSecrets(query string) string {
	kept := make([]string, 0, 8)
	for pair := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		if !strings.EqualFold(name, "access_token") && !strings.EqualFold(name, "id") {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}

// until is a context that ends with a channel; no client has one but while it
// waits.
type until struct {
	context.Context
	done <-chan struct{}
}

func (u until) Done() <-chan struct{} { return u.done }

func (u until) Err() error {
	select {
	case <-u.done:
		return context.Canceled
	default:
		return nil
	}
}

// beforeWait is called by the goroutine that reads the client, before it blocks: then
// it reads for no others, and what is sent to the client is still written.
func (c *client) beforeWait() {
	c.conn.BeforeWait()
	c.conn.Uncork()
}

// forwardAll sends bytes of the client to its app server, and reports false when one of
// them has ended.
func (c *client) forwardAll(p []byte) bool {
	for len(p) > 0 {
		n, ok := c.forward(p[:min(len(p), maxPiece)])
		if !ok {
			return false
		}
		p = p[n:]
	}
	return true
}

// forward sends bytes of the client to its app server, or the beginning of them, and
// blocks while that does not keep up. ok is false when one of them has ended.
func (c *client) forward(p []byte) (n int, ok bool) {
	c.mu.Lock()
	server, ended := c.server, c.ended
	c.mu.Unlock()
	if ended {
		return 0, false // it may have had no server yet
	}
	if server.conn.WouldWait() {
		c.beforeWait()
		if server.conn.AwaitSpace(until{context.Background(), c.conn.Done()}) != nil {
			return 0, c.hasMoved(server) // then the other one gets p
		}
	}
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return 0, false
	}
	n = c.border.pass(p, c.moving)
	server = c.server // it may be another one by now
	server.queue(&wire.ConnectionData{ConnectionID: c.conn.ID(), Payload: p[:n]})
	move := c.moving && c.border.reached()
	c.mu.Unlock()
	server.conn.Relieve()
	if move {
		c.hub.move(c)
	}
	return n, true
}

// hasMoved reports whether the client has gone on to another app server than from.
func (c *client) hasMoved(from *serverConn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.ended && c.server != from
}

// Ended implements transport.App.
func (a *clientApp) Ended(cause error) {
	c := (*client)(a)
	text := ""
	if cause != nil {
		text = cause.Error()
	}
	c.end(text, true)
	c.conn.Finish()
}

// Shutdown implements transport.App.
func (a *clientApp) Shutdown() { (*client)(a).leave("", true) }

// TooSlow implements transport.SlowApp.
func (a *clientApp) TooSlow() { (*client)(a).leave("", true) }

// Tick implements transport.App.
func (a *clientApp) Tick(now time.Time) (rest time.Duration) {
	c := (*client)(a)
	c.mu.Lock()
	waits := c.server == nil && !c.ready.Load() && !c.ended
	s, closeAt := c.served, c.closeAtLocked()
	again := c.replay
	if !c.ready.Load() || c.ended {
		again = nil
	}
	c.mu.Unlock()
	switch {
	case waits && now.Sub(c.opened) > c.who.handshakeTimeout():
		c.refuse(textCanceled, false)
	case now.After(closeAt):
		c.leave("", true)
	case s != nil:
		s.tick(c, now)
	case again != nil && again.Tick(now, c.hub.g.opts.SlowClientTimeout):
		c.conn.TooSlow()
	}
	return 0
}

// leave ends a client with a Close from the gateway itself.
func (c *client) leave(text string, allowReconnect bool) {
	told := "" // an app server hears of no reason
	if c.hub.g.hooks != nil {
		told = text
	}
	if !c.end(told, true) {
		return
	}
	c.mu.Lock()
	codec := c.codec
	c.mu.Unlock()
	if !c.ready.Load() { // it waits for the answer to its handshake
		b := protocol.AppendHandshakeResponse(transport.NewFrameBuffer(64), textCanceled)
		_ = c.conn.SendLast(transport.BuildFrame(b, codec != nil && codec.Binary())) // it may be gone
	} else if f, ok := closeFrame(codec, text, allowReconnect); ok {
		_ = c.conn.SendLast(f)
	}
	c.conn.Finish()
}

// end takes the client from its app server and out of the hub, and tells the app
// server if that does not know it, or the upstream. It reports false if that was done before.
func (c *client) end(text string, tell bool) bool {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return false
	}
	c.ended = true
	c.takeParts()
	c.takeHeld()
	if c.server != nil && tell {
		c.server.queue(&wire.CloseConnection{ConnectionID: c.conn.ID(), ErrorMessage: text})
	}
	if c.served != nil {
		c.hub.g.hooks.end(&c.served.queue, text)
	}
	again := c.replay
	c.mu.Unlock()
	if again != nil {
		again.Drop()
	}
	c.hub.forget(c)
	return true
}
