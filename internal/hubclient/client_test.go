package hubclient

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/hubwire/hubwire/internal/memnet"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shop is a hub with a method for each way to answer.
type shop struct{}

func (shop) Echo(text string) string      { return text }
func (shop) Fail() error                  { return &server.HubError{Message: "sold out"} }
func (shop) Leave(call *server.Call)      { call.Abort() }
func (shop) Who(call *server.Call) string { return call.UserID() }
func (shop) Nothing()                     {}
func (shop) Count(call *server.Call, to int32) error {
	for n := range to {
		if err := call.Clients().Caller().Send(call.Context(), "N", n); err != nil {
			return err
		}
	}
	return nil
}

func (shop) Wait(call *server.Call) { <-call.Context().Done() }

func (shop) Numbers(to int32) iter.Seq[int32] {
	return func(yield func(int32) bool) {
		for n := int32(0); n < to && yield(n); n++ {
		}
	}
}

func (shop) Sum(numbers iter.Seq2[int32, error]) (sum int32, err error) {
	for n, err := range numbers {
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// open returns the address of a shop.
func open(t *testing.T) string {
	t.Helper()
	hub := server.MustHub(shop{}, &server.Options{UserID: func(r *http.Request, _ server.User) string { return r.URL.Query().Get("user") }})
	routes := http.NewServeMux()
	server.Mount(routes, "/hub", hub)
	web := httptest.NewServer(routes)
	t.Cleanup(func() {
		if err := hub.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		web.Close()
	})
	return web.URL + "/hub"
}

// connect returns a client of a new shop, and a context for its calls.
func connect(t *testing.T, o Options) (*Client, context.Context) {
	t.Helper()
	o.URL = open(t) + o.URL
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	c, err := Dial(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, ctx
}

// modes are the ways to be a client.
var modes = map[string]Options{
	"WebSockets, json":                      {ConnOptions: ConnOptions{Transport: WebSockets}},
	"WebSockets without negotiation, json":  {ConnOptions: ConnOptions{SkipNegotiation: true}},
	"WebSockets, messagepack":               {Codec: protocol.MessagePack{}},
	"ServerSentEvents, json":                {ConnOptions: ConnOptions{Transport: ServerSentEvents}},
	"LongPolling, json":                     {ConnOptions: ConnOptions{Transport: LongPolling}},
	"LongPolling, messagepack":              {ConnOptions: ConnOptions{Transport: LongPolling}, Codec: protocol.MessagePack{}},
	"WebSockets without pings, messagepack": {PingInterval: -1, Codec: protocol.MessagePack{}},
}

func forEachMode(t *testing.T, run func(t *testing.T, o Options)) {
	for name, o := range modes {
		t.Run(name, func(t *testing.T) { run(t, o) })
	}
}

// A load balancer knows a client by a cookie: that of the first answer must come
// with everything after it.
func TestAClientWithAJarKeepsItsCookies(t *testing.T) {
	forEachMode(t, func(t *testing.T, o Options) {
		hub := server.MustHub(shop{}, nil)
		first := make(chan struct{}, 1)
		first <- struct{}{}
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			cookie, err := r.Cookie("NODE")
			select {
			case <-first:
				w.Header().Set("Set-Cookie", "NODE=n1; Path=/")
			default:
				if err != nil || cookie.Value != "n1" {
					t.Errorf("%s %s comes without the cookie: %v", r.Method, r.URL.Path, err)
				}
			}
			r.URL.Path = strings.TrimPrefix(r.URL.Path, "/hub")
			hub.ServeHTTP(w, r)
		}))
		t.Cleanup(func() {
			if err := hub.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
			web.Close()
		})
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		o.URL, o.Jar = web.URL+"/hub", jar
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		c, err := Dial(ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.Invoke(ctx, nil, "Nothing"); err != nil {
			t.Error(err)
		}
		at, err := url.Parse(web.URL)
		if cookies := jar.Cookies(at); err != nil || len(cookies) != 1 {
			t.Errorf("the jar has %v, %v", cookies, err)
		}
	})
}

func TestAClientCallsAndIsCalled(t *testing.T) {
	forEachMode(t, func(t *testing.T, o Options) {
		var got []int32
		var c *Client
		o.URL = "?user=b%C3%B6b+%26+co"
		o.Receive = func(m *protocol.Invocation) {
			var n int32
			if err := c.codec.Unmarshal(m.RawArguments[0], &n); err != nil || m.Target != "N" {
				t.Errorf("%s: %v", m.Target, err)
			}
			got = append(got, n)
		}
		c, ctx := connect(t, o)
		var user, text string
		if err := c.Invoke(ctx, &user, "Who"); err != nil || user != "böb & co" {
			t.Errorf("Who: %q, %v", user, err)
		}
		for _, want := range []string{"", strings.Repeat("x", 126), strings.Repeat("x", 30_000)} {
			if err := c.Invoke(ctx, &text, "Echo", want); err != nil || text != want {
				t.Errorf("Echo of %d letters: %d, %v", len(want), len(text), err)
			}
		}
		if err := c.Send("Count", []any{3}); err != nil {
			t.Errorf("Count: %v", err)
		}
		if err := c.Invoke(ctx, nil, "Nothing"); err != nil { // calls keep their order
			t.Errorf("Nothing: %v", err)
		}
		c.Close() // what the reader has noted may be looked at
		if want := []int32{0, 1, 2}; !slices.Equal(got, want) {
			t.Errorf("received %v, want %v", got, want)
		}
		if err := c.Err(); err != nil {
			t.Errorf("after Close: %v", err)
		}
		if (c.ID() == "") != o.SkipNegotiation {
			t.Errorf("the id is %q", c.ID())
		}
	})
}

func TestStreamsGoBothWays(t *testing.T) {
	numbers := func(end error) Upload {
		return func(<-chan struct{}) iter.Seq2[any, error] {
			return func(yield func(any, error) bool) {
				if yield(1, nil) && yield(2, nil) && end != nil {
					yield(nil, end)
				}
			}
		}
	}
	forEachMode(t, func(t *testing.T, o Options) {
		c, ctx := connect(t, o)
		call, err := c.Stream("Numbers", []any{3})
		if err != nil {
			t.Fatal(err)
		}
		for want := int32(0); ; want++ {
			var n int32
			more, err := call.Next(ctx, &n)
			if err != nil || more != (want < 3) || more && n != want {
				t.Errorf("item %d: %d, %t, %v", want, n, more, err)
			}
			if !more {
				break
			}
		}
		for _, test := range []struct {
			end  error
			want string
		}{{nil, ""}, {errors.New("lost it"), "An unexpected error occurred invoking 'Sum' on the server. HubException: lost it"}} {
			call, err := c.Start("Sum", nil, numbers(test.end))
			if err != nil {
				t.Fatal(err)
			}
			var sum int32
			switch err := call.Wait(ctx, &sum); {
			case test.end == nil && (err != nil || sum != 3):
				t.Errorf("Sum: %d, %v", sum, err)
			case test.end != nil && (err == nil || err.Error() != test.want):
				t.Errorf("Sum with an error: %v", err)
			}
		}
		call, err = c.Start("Wait", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := call.Cancel(); err != nil {
			t.Fatal(err)
		}
		if err := call.Wait(ctx, nil); err != nil {
			t.Errorf("a call that was cancelled: %v", err)
		}
	})
}

func TestACallEndsWithTheReason(t *testing.T) {
	forEachMode(t, func(t *testing.T, o Options) {
		c, ctx := connect(t, o)
		if err := c.Invoke(ctx, nil, "Fail"); err == nil || !strings.Contains(err.Error(), "sold out") {
			t.Errorf("Fail: %v", err)
		}
		short, cancel := context.WithCancel(ctx)
		cancel()
		if err := c.Invoke(short, nil, "Nothing"); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("a call that is given up: %v", err)
		}
		if err := c.Invoke(ctx, nil, "Leave"); !errors.Is(err, ErrClosed) && o.Transport != LongPolling {
			t.Errorf("a call that ends the connection: %v", err)
		}
		<-c.Done()
		if err := c.Invoke(ctx, nil, "Nothing"); !errors.Is(err, ErrClosed) {
			t.Errorf("a call after the end: %v", err)
		}
	})
}

func TestDialSaysWhyItFails(t *testing.T) {
	notFound := httptest.NewServer(http.NotFoundHandler())
	defer notFound.Close()
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer silent.Close()
	hub := open(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	over, end := context.WithCancel(ctx)
	end()
	forEachMode(t, func(t *testing.T, o Options) {
		o.URL = notFound.URL
		_, err := Dial(ctx, o)
		if refused, ok := errors.AsType[*StatusError](err); !ok || refused.Code != http.StatusNotFound {
			t.Errorf("no hub there: %v", err)
		}
		o.URL = silent.URL
		if _, err := Dial(over, o); !errors.Is(err, context.Canceled) {
			t.Errorf("a context that is done: %v", err)
		}
		o.URL, o.Codec = hub, unknown{}
		_, err = Dial(ctx, o)
		if refused, ok := errors.AsType[*HandshakeError](err); !ok || refused.Text != "The protocol 'unknown' is not supported." {
			t.Errorf("a protocol that the server does not know: %v", err)
		}
	})
}

type unknown struct{ protocol.JSON }

func (unknown) Name() string { return "unknown" }

// A stateful client gets what was sent while its network was away, once.
func TestAStatefulConnectionGoesOn(t *testing.T) {
	for _, codec := range []protocol.Codec{protocol.JSON{}, protocol.MessagePack{}} {
		t.Run(codec.Name(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := server.MustHub(shop{}, &server.Options{Endpoint: server.EndpointOptions{AllowStatefulReconnects: true}})
				network := memnet.Listen()
				web := &http.Server{Handler: hub}
				go func() { _ = web.Serve(network) }()
				link := network.Link(nil)
				var got []string
				c, err := Dial(t.Context(), Options{
					ConnOptions: ConnOptions{URL: "http://hub.test/", DialContext: link.DialContext, StatefulReconnect: true},
					Codec:       codec,
					Receive:     func(m *protocol.Invocation) { got = append(got, m.Target) },
				})
				if err != nil {
					t.Fatal(err)
				}
				send := func(target string) {
					if err := hub.Clients().All().Send(t.Context(), target); err != nil {
						t.Error(err)
					}
				}
				send("one")
				time.Sleep(5 * time.Second)
				send("two") // no Ack of it goes out
				synctest.Wait()
				link.Cut()
				synctest.Wait()
				send("three")
				call, err := c.Start("Echo", []any{"from the other side"})
				if err != nil {
					t.Fatal(err)
				}
				link.Restore()
				if err := c.Resume(t.Context()); err != nil {
					t.Fatal(err)
				}
				var text string
				if err := call.Wait(t.Context(), &text); err != nil || text != "from the other side" {
					t.Errorf("Echo: %q, %v", text, err)
				}
				send("four")
				synctest.Wait()
				if want := []string{"one", "two", "three", "four"}; !slices.Equal(got, want) {
					t.Errorf("received %v, want %v", got, want)
				}
				c.Close()
				if err := errors.Join(hub.Shutdown(t.Context()), web.Close()); err != nil {
					t.Error(err)
				}
				if n := network.Open(); n != 0 {
					t.Errorf("%d connections are open", n)
				}
			})
		})
	}
}
