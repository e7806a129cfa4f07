package gateway_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/azure/gateway"
	"github.com/hubwire/hubwire/azure/internal/wire"
	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/internal/memnet"
	"github.com/hubwire/hubwire/protocol"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const key = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"

// A world is a gateway on a network in memory, inside a synctest bubble.
type world struct {
	*testing.T
	g    *gateway.Gateway
	net  *memnet.Listener
	link *memnet.Link
	ctx  context.Context
}

// inWorld runs f beside a gateway that nobody has connected to.
func inWorld(t *testing.T, o *gateway.Options, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		if o == nil {
			o = &gateway.Options{}
		}
		if o.AccessKeys == nil {
			o.AccessKeys = []string{key}
		}
		o.InstanceID = "instance-1"
		if o.Logger == nil {
			o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
		}
		g, err := gateway.New(o)
		if err != nil {
			t.Fatal(err)
		}
		w := &world{T: t, g: g, net: memnet.Listen()}
		w.link = w.net.Link(nil)
		web := &http.Server{Handler: g, ErrorLog: slog.NewLogLogger(o.Logger.Handler(), slog.LevelInfo)}
		served := make(chan error, 1)
		go func() { served <- web.Serve(w.net) }()
		var stop context.CancelFunc
		w.ctx, stop = context.WithTimeout(t.Context(), time.Hour)
		f(w)
		stop()
		over, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = g.Shutdown(over) // a test may leave some that do not read
		if err := web.Close(); err != nil {
			t.Error(err)
		}
		<-served
		time.Sleep(time.Second) // net/http waits for those that it has refused
	})
}

// stats are the gateway's numbers once nothing goes on any more.
func (w *world) stats() gateway.Stats {
	synctest.Wait()
	return w.g.Stats()
}

// sign makes a token of claims, whose values are texts or lists of texts.
func sign(with string, claims map[string]any) string {
	if claims["exp"] == nil {
		claims["exp"] = time.Now().Add(time.Hour).Unix()
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT","kid":"-1"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	mac := hmac.New(sha256.New, []byte(with))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// A client is one of the gateway, and what it was called with.
type client struct {
	*hubclient.Client
	calls hubclient.Queue[*protocol.Invocation]
}

// next is the next call of the server: its target and its first argument.
func (c *client) next(w *world) string {
	w.Helper()
	m, ok := c.calls.Next(w.ctx.Done())
	if !ok {
		w.Fatal("the client is not called")
	}
	return m.Target
}

type clientOptions struct {
	hub    string
	claims map[string]any
	codec  protocol.Codec
	mode   string
	link   *memnet.Link

	stateful bool                                                    // it may come back after a loss
	dial     func(context.Context, string, string) (net.Conn, error) // in place of link's
}

// dial connects a client; user "" is nobody.
func (w *world) dial(user string, o clientOptions) (*client, error) {
	if o.hub == "" {
		o.hub = "chat"
	}
	claims := map[string]any{"aud": "http://127.0.0.1/client/?hub=" + o.hub, "nameid": user}
	if user != "" {
		claims["asrs.s.uid"] = user
	}
	for name, value := range o.claims {
		claims[name] = value
	}
	if o.link == nil {
		o.link = w.link
	}
	return w.dialWith(sign(key, claims), o)
}

// dialWith is dial with a token.
func (w *world) dialWith(token string, o clientOptions) (*client, error) {
	c := &client{}
	if o.dial == nil {
		o.dial = o.link.DialContext
	}
	var err error
	c.Client, err = hubclient.Dial(w.ctx, hubclient.Options{
		ConnOptions: hubclient.ConnOptions{
			URL:         "http://gateway/client/?hub=" + o.hub + "&asrs.op=%2Fchat",
			DialContext: o.dial,
			Header:      http.Header{"Authorization": {"Bearer " + token}},
			Transport:   o.mode,

			StatefulReconnect: o.stateful,
		},
		Codec: o.codec,
		Receive: func(m *protocol.Invocation) {
			c.calls.Put(m)
		},
	})
	return c, err
}

func (w *world) client(user string) *client {
	w.Helper()
	return w.clientWith(user, clientOptions{})
}

func (w *world) clientWithToken(token string) *client {
	w.Helper()
	c, err := w.dialWith(token, clientOptions{hub: "chat", link: w.link})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(c.Abort)
	return c
}

func (w *world) clientWith(user string, o clientOptions) *client {
	w.Helper()
	c, err := w.dial(user, o)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(c.Abort)
	return c
}

// A fakeServer is an app server with one connection. It answers handshakes, and
// calls of the method Echo; what it gets is in the queue.
type fakeServer struct {
	w    *world
	id   string
	conn *hubclient.Conn
	got  hubclient.Queue[wire.Message]
	over chan struct{} // closed when the connection has ended

	mu      sync.Mutex
	clients map[string]*fakeClient
	mute    bool // serves no clients

	silent atomic.Bool // answers no pings
}

// A fakeClient is a client as its app server sees it.
type fakeClient struct {
	open  *wire.OpenConnection
	codec protocol.Codec
	in    []byte
}

type serverOptions struct {
	hub   string
	hello *wire.HandshakeRequest
	link  *memnet.Link
	mute  bool

	endpoint string // host of the connection string; empty: 127.0.0.1
	target   string // gateway that the connection is for
}

func (w *world) server(id string) *fakeServer {
	w.Helper()
	return w.serverWith(id, serverOptions{})
}

func (w *world) serverWith(id string, o serverOptions) *fakeServer {
	w.Helper()
	if o.hub == "" {
		o.hub = "chat"
	}
	if o.hello == nil {
		o.hello = &wire.HandshakeRequest{Version: 1, MigrationLevel: 1}
	}
	s := w.connectServer(id, o)
	s.send(o.hello)
	if m, ok := s.next().(*wire.HandshakeResponse); !ok || wire.Text(m.ErrorMessage) != "" {
		w.Fatalf("the handshake of the app server is answered by %#v", m)
	}
	return s
}

// connectServer is serverWith without a handshake.
func (w *world) connectServer(id string, o serverOptions) *fakeServer {
	w.Helper()
	if o.link == nil {
		o.link = w.link
	}
	if o.endpoint == "" {
		o.endpoint = "127.0.0.1"
	}
	conn, err := hubclient.Open(w.ctx, hubclient.ConnOptions{
		URL:             "http://gateway/server/?hub=" + o.hub + "&cid=1&target=" + o.target,
		DialContext:     o.link.DialContext,
		Header:          http.Header{"Authorization": {"Bearer " + sign(key, map[string]any{"aud": "http://" + o.endpoint + "/server/?hub=" + o.hub, "nameid": id})}},
		SkipNegotiation: true, Binary: true,
	})
	if err != nil {
		w.Fatal(err)
	}
	s := &fakeServer{w: w, id: id, conn: conn, mute: o.mute, clients: map[string]*fakeClient{}, over: make(chan struct{})}
	go s.read()
	w.Cleanup(func() {
		_ = conn.Close() // it may have ended
		<-s.over
	})
	return s
}

func (s *fakeServer) send(messages ...wire.Message) {
	var b []byte
	for _, m := range messages {
		b = wire.Append(b, m)
	}
	_ = s.conn.Write(b) // a connection that has ended shows by what does not come
}

func (s *fakeServer) read() {
	defer close(s.over)
	defer s.got.End()
	reader := wire.Reader{MaxFrameSize: -1}
	for {
		p, err := s.conn.Read()
		if err != nil {
			return
		}
		for m, err := range reader.Messages(p) {
			if err != nil {
				s.w.Error(err)
				return
			}
			s.receive(m)
		}
	}
}

func (s *fakeServer) receive(m wire.Message) {
	switch m := m.(type) {
	case *wire.Ping:
		if len(m.Messages) == 0 {
			if s.silent.Load() {
				return
			}
			s.send(&wire.Ping{Messages: []string{"#client", "0"}})
			return // tests that want them look at the others
		}
	case *wire.ConnectionData:
		m.Payload = append([]byte(nil), m.Payload...)
	case *wire.ClientInvocation:
		for i := range m.Payloads {
			m.Payloads[i].Bytes = append([]byte(nil), m.Payloads[i].Bytes...)
		}
	case *wire.ClientCompletion:
		m.Payload = append([]byte(nil), m.Payload...)
	case *wire.Ack:
		m.Payload = append([]byte(nil), m.Payload...)
	}
	s.got.Put(m)
	if !s.mute {
		s.serve(m)
	}
}

// serve is what a hub does.
func (s *fakeServer) serve(m wire.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch m := m.(type) {
	case *wire.OpenConnection:
		s.clients[m.ConnectionID] = &fakeClient{open: m}
	case *wire.CloseConnection:
		delete(s.clients, m.ConnectionID)
	case *wire.ConnectionData:
		if c := s.clients[m.ConnectionID]; c != nil {
			c.in = append(c.in, m.Payload...)
			s.serveClient(c)
		}
	}
}

func (s *fakeServer) serveClient(c *fakeClient) {
	id := c.open.ConnectionID
	if c.codec == nil {
		hello, rest, err := protocol.ParseHandshakeRequest(c.in)
		if err != nil {
			return
		}
		c.codec = protocol.Codec(protocol.JSON{})
		if hello.Protocol == "messagepack" {
			c.codec = protocol.MessagePack{}
		}
		c.in = rest
		moved := false
		for _, h := range c.open.Headers {
			moved = moved || h.Name == "Asrs-Migrate-From"
		}
		if !moved {
			s.send(&wire.ConnectionData{ConnectionID: id, Payload: []byte("{}\x1e"), DataType: wire.DataHandshake})
		}
	}
	for {
		m, rest, err := c.codec.Next(c.in)
		if err != nil {
			return
		}
		if call, ok := m.(*protocol.Invocation); ok && call.Target == "Echo" {
			answer, err := c.codec.Append(nil, &protocol.Completion{InvocationID: call.InvocationID, Kind: protocol.ResultValue, RawResult: call.RawArguments[0]})
			if err != nil {
				s.w.Error(err)
			}
			s.send(&wire.ConnectionData{ConnectionID: id, Payload: answer, DataType: wire.DataInvocation})
		}
		c.in = rest
	}
}

// next is the next message that is no keep-alive.
func (s *fakeServer) next() wire.Message {
	s.w.Helper()
	m, ok := s.got.Next(s.w.ctx.Done())
	if !ok {
		s.w.Fatal("the app server gets nothing more")
	}
	return m
}

// await takes messages until one is of type M.
func await[M wire.Message](s *fakeServer) M {
	s.w.Helper()
	for {
		if m, ok := s.next().(M); ok {
			return m
		}
	}
}

// both are the payloads of a call in both protocols.
func both(target string, arguments ...any) []wire.Payload {
	list := []wire.Payload{}
	for _, codec := range []protocol.Codec{protocol.JSON{}, protocol.MessagePack{}} {
		b, err := codec.Append(nil, &protocol.Invocation{Target: target, Arguments: arguments})
		if err != nil {
			panic(err)
		}
		list = append(list, wire.Payload{Protocol: strings.ToUpper(codec.Name()[:1]) + codec.Name()[1:], Bytes: b})
	}
	return list
}

// ask sends a message and returns the status of its ack.
func (s *fakeServer) ask(m wire.Message) int {
	s.w.Helper()
	s.send(m)
	return await[*wire.Ack](s).Status
}

// quiet waits until nothing goes on any more, and takes what the app server has got.
func (s *fakeServer) quiet() []wire.Message {
	synctest.Wait()
	return s.got.All()
}

// count is how many clients the app server has.
func (s *fakeServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.clients)
}

func (s *fakeServer) has(c *client) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clients[c.ID()] != nil
}
