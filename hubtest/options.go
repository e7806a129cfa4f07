package hubtest

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// An Option says what is special about a client, or about a Call. Without any,
// a client is anonymous and speaks JSON over WebSockets.
type Option func(*config)

type config struct {
	user      *server.User
	header    http.Header
	query     url.Values
	path      string
	transport server.Transport
	codec     protocol.Codec
	direct    bool
	stateful  bool
	patience  time.Duration
	handlers  map[string]any

	// For Call.
	items  map[any]any
	method string
}

func newConfig(t testing.TB, opts []Option) *config {
	t.Helper()
	c := &config{
		header: http.Header{}, query: url.Values{}, path: "/hub", transport: server.WebSockets, codec: protocol.JSON{},
		patience: patience, handlers: map[string]any{}, items: map[any]any{},
	}
	for _, o := range opts {
		o(c)
	}
	return c
}

// User makes the client that user, without any token. The hub must be served by
// New, or use Authenticate; else Connect fails the test.
func User(user server.User) Option { return func(c *config) { c.user = &user } }

// Header adds a header to every request of the client.
func Header(name, value string) Option { return func(c *config) { c.header.Add(name, value) } }

// Query adds a parameter to the client's address.
func Query(name, value string) Option { return func(c *config) { c.query.Add(name, value) } }

// At is the route of the hub, for Serve with a handler that has several. The
// default is /hub.
func At(path string) Option { return func(c *config) { c.path = path } }

// Over makes the client use one transport: server.WebSockets, which is the
// default, server.ServerSentEvents or server.LongPolling.
func Over(transport server.Transport) Option { return func(c *config) { c.transport = transport } }

// MessagePack makes the client speak MessagePack.
func MessagePack() Option { return Protocol(protocol.MessagePack{}) }

// Protocol makes the client speak a hub protocol. The default is JSON.
func Protocol(codec protocol.Codec) Option { return func(c *config) { c.codec = codec } }

// SkipNegotiation opens the WebSocket at once. The client's ID is then empty.
func SkipNegotiation() Option { return func(c *config) { c.direct = true } }

// Stateful makes a client that can go on with its connection after Cut; see
// Reconnect. The endpoint must have AllowStatefulReconnects.
func Stateful() Option { return func(c *config) { c.stateful = true } }

// Patience is how long the client waits for an answer, a message, or the end
// before that fails the test. The default is 10 seconds, which inside a synctest
// bubble are those of its clock: a method that takes an hour there needs more.
func Patience(d time.Duration) Option { return func(c *config) { c.patience = d } }

// Handle answers calls of the client's method target with f from the first
// message on; see Client.On. With Call it programs a client result.
func Handle(target string, f any) Option { return func(c *config) { c.handlers[target] = f } }
