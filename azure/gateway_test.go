package azure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/azure/gateway"
	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/internal/memnet"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// A backed is servers of one hub behind our own gateway, on a network in memory.
type backed struct {
	*testing.T
	ctx   context.Context
	mu    sync.Mutex // guards hosts
	hosts map[string]*memnet.Link
	hubs  []*server.Hub
}

// serve serves h at host until the test ends.
func (b *backed) serve(host string, h http.Handler) {
	l := memnet.Listen()
	web := &http.Server{Handler: h, ErrorLog: slog.NewLogLogger(slog.NewTextHandler(io.Discard, nil), slog.LevelInfo)}
	served := make(chan error, 1)
	go func() { served <- web.Serve(l) }()
	b.mu.Lock()
	b.hosts[host] = l.Link(nil)
	b.mu.Unlock()
	b.Cleanup(func() {
		_ = web.Close() // clients may have left some
		<-served
	})
}

func (b *backed) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, _ := net.SplitHostPort(address)
	b.mu.Lock()
	link := b.hosts[host]
	b.mu.Unlock()
	if link == nil {
		return nil, fmt.Errorf("no host %q", host)
	}
	return link.DialContext(ctx, network, address)
}

// newBacked starts a gateway, which ends with the test.
func newBacked(t *testing.T) *backed {
	b := &backed{T: t, ctx: t.Context(), hosts: map[string]*memnet.Link{}}
	g, err := gateway.New(&gateway.Options{AccessKeys: []string{testKey}, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = g.Shutdown(ctx)
	})
	b.serve("service", g)
	return b
}

var quiet = slog.New(slog.DiscardHandler)

// userOfQuery is who a query says: ?user=u&role=r&expires=60.
func userOfQuery(r *http.Request) (user server.User, _ error) {
	q := r.URL.Query()
	user.ID = q.Get("user")
	if q.Has("role") {
		user.Claims = map[string]any{"role": q.Get("role")}
	}
	if seconds, err := strconv.Atoi(q.Get("expires")); err == nil {
		user.Expires = time.Now().Add(time.Duration(seconds) * time.Second)
	}
	return user, nil
}

// addServer adds a server of the hub, with its app at the host "app" and its
// number. It ends with the test.
func (b *backed) addServer(o Options) *server.Hub {
	i := len(b.hubs)
	o.ConnectionString = "Endpoint=http://service;AccessKey=" + testKey + ";Version=1.0;"
	o.Transport = &http.Transport{DialContext: b.dial}
	o.serverID = fmt.Sprint("server-", i)
	h, err := NewHub(&Chat{}, &o, &server.Options{
		Logger: quiet, EnableDetailedErrors: true,
		MaximumGroupNameLength: -1, // the suite of lifetime managers has long ones
		Authenticate:           userOfQuery,
		Endpoint:               server.EndpointOptions{EnableAuthenticationRefresh: true, CloseOnAuthenticationExpiration: true},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.hubs = append(b.hubs, h)
	chatHub.Store(h)
	mux := http.NewServeMux()
	server.Mount(mux, "/chat", h)
	b.serve(fmt.Sprint("app", i), mux)
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = h.Shutdown(ctx)
	})
	return h
}

// behindGateway runs f beside a gateway and two servers of the hub that are connected
// to it.
func behindGateway(t *testing.T, f func(b *backed)) {
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(time.Minute) }) // fake: all that waits has ended
		b := newBacked(t)
		for range 2 {
			b.addServer(Options{InitialConnections: 2})
		}
		settle()
		f(b)
	})
}

// client connects a client by way of the app i, and returns it with what it gets.
func (b *backed) client(i int, user, transport string, codec protocol.Codec) (*hubclient.Client, chan string) {
	b.Helper()
	got := make(chan string, 100)
	var c *hubclient.Client
	ready := make(chan struct{})
	c = b.dialAs(i, user, transport, codec, func(m *protocol.Invocation) {
		if m.InvocationID == "" {
			got <- fmt.Sprint(m.Target)
			return
		}
		<-ready
		go func() {
			_ = c.Write(&protocol.Completion{InvocationID: m.InvocationID, Kind: protocol.ResultValue, Result: "well"})
		}()
	})
	close(ready)
	return c, got
}

// dialAs connects a client by way of the app i until the test ends.
func (b *backed) dialAs(i int, user, transport string, codec protocol.Codec, receive func(*protocol.Invocation)) *hubclient.Client {
	b.Helper()
	return b.dialWith(i, "user="+url.QueryEscape(user), transport, codec, receive)
}

func (b *backed) dialWith(i int, query, transport string, codec protocol.Codec, receive func(*protocol.Invocation)) *hubclient.Client {
	b.Helper()
	c, err := hubclient.Dial(b.ctx, hubclient.Options{
		ConnOptions: hubclient.ConnOptions{URL: fmt.Sprintf("http://app%d/chat?%s", i, query), DialContext: b.dial, Transport: transport},
		Codec:       codec,
		Receive:     receive,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Abort)
	return c
}

func (b *backed) invoke(c *hubclient.Client, method string, args ...any) string {
	b.Helper()
	var result any
	if err := c.Invoke(b.ctx, &result, method, args...); err != nil {
		return "error " + err.Error()
	}
	return fmt.Sprint(result)
}

// settle waits until all that was sent has arrived: what is written to many
// WebSockets is written in rounds, between which a moment passes.
func settle() {
	time.Sleep(time.Second) // fake
	synctest.Wait()
}

func count(got chan string) (n int) {
	settle()
	for len(got) > 0 {
		<-got
		n++
	}
	return n
}

func TestClientsOfTheGatewayCallTheHubOverEveryTransport(t *testing.T) {
	for _, transport := range []string{"WebSockets", "ServerSentEvents", "LongPolling"} {
		for _, codec := range []protocol.Codec{protocol.JSON{}, protocol.MessagePack{}} {
			if transport == "ServerSentEvents" && codec.Binary() {
				continue
			}
			t.Run(transport+" "+codec.Name(), func(t *testing.T) {
				behindGateway(t, func(b *backed) {
					c, _ := b.client(0, "u1", transport, codec)
					if got := b.invoke(c, "Echo", "hello"); got != "hello" {
						b.Errorf("Echo: %s", got)
					}
					if got := b.invoke(c, "Large", 100_000); len(got) != 100_000 {
						b.Errorf("Large: %d bytes", len(got))
					}
					if got := b.invoke(c, "ThrowHub"); !strings.Contains(got, "HubException: told") {
						b.Errorf("ThrowHub: %s", got)
					}
					call, err := c.Stream("Count", []any{3, 0})
					if err != nil {
						b.Fatal(err)
					}
					sum := 0
					for item := 0; ; sum += item {
						if ok, err := call.Next(b.ctx, &item); !ok {
							if err != nil {
								b.Error(err)
							}
							break
						}
					}
					if sum != 6 {
						b.Errorf("items of a stream: %d in sum", sum)
					}
				})
			})
		}
	}
}

func TestClientsOfTwoServersAreReachedByGroupsUsersAndResults(t *testing.T) {
	behindGateway(t, func(b *backed) {
		c0, got0 := b.client(0, "u1", "WebSockets", protocol.JSON{})
		c1, got1 := b.client(1, "u2", "WebSockets", protocol.MessagePack{})
		for _, c := range []*hubclient.Client{c0, c1} {
			if got := b.invoke(c, "Join", "g"); got != "<nil>" {
				b.Errorf("Join: %s", got)
			}
		}
		both := func(what string, send error, want0, want1 int) {
			b.Helper()
			if n0, n1 := count(got0), count(got1); n0 != want0 || n1 != want1 || send != nil {
				b.Errorf("%s: %v, received by %d and %d, want %d and %d", what, send, n0, n1, want0, want1)
			}
		}
		for i, h := range b.hubs {
			both(fmt.Sprint("all, from ", i), h.Clients().All().Send(b.ctx, "M", 1), 1, 1)
			both("a group", h.Clients().Group("g").Send(b.ctx, "M", 1), 1, 1)
			both("a group but one", h.Clients().GroupExcept("g", c0.ID()).Send(b.ctx, "M", 1), 0, 1)
			both("a user", h.Clients().User("u2").Send(b.ctx, "M", 1), 0, 1)
			both("a client", h.Clients().Client(c0.ID()).Send(b.ctx, "M", 1), 1, 0)
			for _, c := range []*hubclient.Client{c0, c1} {
				answer, err := server.Invoke[string](b.ctx, h.Clients().Client(c.ID()), "Ask", "?")
				if err != nil || answer != "well" {
					b.Errorf("a result, from %d: %q, %v", i, answer, err)
				}
			}
			_, err := server.Invoke[string](b.ctx, h.Clients().Client("nobody"), "Ask", "?")
			if hub, gone := new(server.HubError), new(server.ConnectionError); !errors.As(err, &hub) && !errors.As(err, &gone) {
				b.Errorf("a result of nobody: %v", err)
			}
		}
		if got := b.invoke(c0, "Leave", "g"); got != "<nil>" {
			b.Errorf("Leave: %s", got)
		}
		both("a group that one has left", b.hubs[1].Clients().Group("g").Send(b.ctx, "M", 1), 0, 1)
	})
}

func TestAServerThatShutsDownLetsItsClientsReconnect(t *testing.T) {
	behindGateway(t, func(b *backed) {
		c, _ := b.client(0, "u1", "WebSockets", protocol.JSON{})
		if got := b.invoke(c, "Echo", "x"); got != "x" {
			b.Errorf("Echo: %s", got)
		}
		for _, h := range b.hubs {
			if err := h.Shutdown(b.ctx); err != nil {
				b.Error(err)
			}
		}
		<-c.Done()
		for _, h := range b.hubs {
			if Health(h) == nil {
				b.Error("a hub that is shut down is well")
			}
		}
	})
}
