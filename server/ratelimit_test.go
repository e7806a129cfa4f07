package server_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/hubtest"
	"github.com/hubwire/hubwire/server"
)

// A rateHub says why its clients end.
type rateHub struct{ ended chan error }

func newRateHub() rateHub { return rateHub{make(chan error, 100)} }

func (rateHub) Echo(text string) string { return text }

func (h rateHub) OnDisconnected(_ *server.Call, cause error) { h.ended <- cause }

func limitedBy(o server.RateLimitOptions) *server.Options {
	return &server.Options{RateLimit: server.NewRateLimit(o), Endpoint: server.EndpointOptions{ClientAddress: byAddress}}
}

const tooManyCalls = "Failed to invoke 'Echo' due to an error on the server. HubException: The client makes too many calls."

func isRefused(err error) bool {
	refused, ok := errors.AsType[*hubtest.CallError](err)
	return ok && refused.Text == tooManyCalls
}

// Who shares a rate with whom: a connection with nobody, a user with his other
// connections, an address with its other clients. Connect calls the hub once, to
// know that it is connected.
func TestCallsOverARateFailUntilTimeHasPassed(t *testing.T) {
	four, five := server.Rate{CallsPerSecond: 1, CallBurst: 4}, server.Rate{CallsPerSecond: 1, CallBurst: 5}
	alice, bob := hubtest.User(server.User{ID: "alice"}), hubtest.User(server.User{ID: "bob"})
	here, there := hubtest.Header("X-Address", "here"), hubtest.Header("X-Address", "there")
	for _, test := range []struct {
		name         string
		limit        server.RateLimitOptions
		shares, free []hubtest.Option // nil shares: nobody does
	}{
		{"of a connection", server.RateLimitOptions{PerConnection: four}, nil, []hubtest.Option{alice, here}},
		{"of a user", server.RateLimitOptions{PerUser: five}, []hubtest.Option{alice, there}, []hubtest.Option{bob, here}},
		{"of an address", server.RateLimitOptions{PerAddress: five}, []hubtest.Option{bob, here}, []hubtest.Option{alice, there}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				opts := limitedBy(test.limit)
				n := hubtest.New(t, newRateHub(), opts)
				c := n.Connect(alice, here)
				for range 2 {
					c.Do("Echo", "x")
				}
				if test.shares != nil {
					c = n.Connect(test.shares...)
				}
				c.Do("Echo", "x")
				for range 2 {
					if err := c.Invoke(nil, "Echo", "x"); !isRefused(err) {
						t.Fatalf("a call over the limit: %v", err)
					}
				}
				n.Connect(test.free...).Do("Echo", "x")
				time.Sleep(time.Second)
				c.Do("Echo", "x")
				if err := c.Invoke(nil, "Echo", "x"); !isRefused(err) {
					t.Errorf("a second call after a second: %v", err)
				}
				if test.shares != nil { // coming back changes nothing
					c.Close()
					if err := n.Connect(test.shares...).Invoke(nil, "Echo", "x"); !isRefused(err) {
						t.Errorf("the first call of a new connection: %v", err)
					}
				}
				if got := opts.RateLimit.Stats(); got.CallsRefused < 3 || got.Closed != 0 {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}

func TestAClientThatGoesOnCallingOverItsRateIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book, log := newLogBook()
		hub, opts := newRateHub(), limitedBy(server.RateLimitOptions{PerConnection: server.Rate{CallsPerSecond: 1, CallBurst: 2}}) // Connect calls, too
		opts.Logger = log
		var refused atomic.Int32
		opts.Observer = &server.Observer{Calls: func(string, string) func(server.CallEnd) {
			return func(end server.CallEnd) {
				if end.Outcome == server.CallRefused {
					refused.Add(1)
				}
			}
		}}
		c := hubtest.New(t, hub, opts).Connect()
		c.Do("Echo", "x")
		for range 1000 {
			c.Send("NoSuchMethod") // counts, too, and has no answer
		}
		if err := c.Invoke(nil, "Echo", "x"); !errors.Is(err, hubtest.ErrClosed) {
			t.Errorf("call 1001 over the limit: %v", err)
		}
		closed, ok := errors.AsType[*hubtest.CloseError](c.Wait())
		if !ok || closed.Text != "The client makes too many calls." || closed.AllowReconnect {
			t.Errorf("closed: %v", closed)
		}
		if cause := <-hub.ended; !errors.Is(cause, server.ErrRateLimit) {
			t.Errorf("OnDisconnected got %v", cause)
		}
		if got := opts.RateLimit.Stats(); got.CallsRefused != 1001 || got.Closed != 1 || refused.Load() != 1001 {
			t.Errorf("%+v, and the observer was told of %d refused calls, want 1,001", got, refused.Load())
		}
		book.wait(t, `level=INFO msg="call refused" hub=rateHub reason="the rate of its connection" connection=\S+ user=""`)
	})
}

// A client over its bytes is not read: it only sees that things take longer, on
// every transport.
func TestAClientOverItsBytesIsHeldBack(t *testing.T) {
	for _, transport := range []server.Transport{server.WebSockets, server.ServerSentEvents, server.LongPolling} {
		t.Run(transport.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				book, log := newLogBook()
				opts := limitedBy(server.RateLimitOptions{PerUser: server.Rate{BytesPerSecond: 1000, ByteBurst: 1000}})
				opts.Logger = log
				n := hubtest.New(t, newRateHub(), opts)
				alice, bob := n.Connect(hubtest.Over(transport), hubtest.User(server.User{ID: "alice"})), n.Connect(hubtest.User(server.User{ID: "bob"}))
				time.Sleep(5 * time.Second) // its handshake no longer counts
				text := strings.Repeat("x", 6000)
				began := time.Now()
				answered := make(chan error, 1)
				var got string
				go func() { answered <- alice.Invoke(&got, "Echo", text) }()
				bob.Do("Echo", "not held back")
				if took := time.Since(began); took > time.Second {
					t.Errorf("another user was held back for %v", took)
				}
				if err := <-answered; err != nil || got != text {
					t.Fatalf("Echo: %v, %d bytes", err, len(got))
				}
				if took := time.Since(began); took < 5*time.Second || took > 6*time.Second {
					t.Errorf("6,000 bytes at 1,000 a second took %v, want 5 s and a little more for the frame", took)
				}
				if got := opts.RateLimit.Stats(); got.Pauses == 0 || got.Closed != 0 {
					t.Errorf("%+v", got)
				}
				book.wait(t, `level=INFO msg="client held back" hub=rateHub reason="the rate of its user" connection=\S+ for=\S+`)
			})
		})
	}
}

func TestAClientThatWouldBeHeldBackForTooLongIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, opts := newRateHub(), limitedBy(server.RateLimitOptions{PerConnection: server.Rate{BytesPerSecond: 100, ByteBurst: 100}})
		c := hubtest.New(t, hub, opts).Connect()
		if err := c.Invoke(nil, "Echo", strings.Repeat("x", 2000)); !errors.Is(err, hubtest.ErrClosed) {
			t.Errorf("Echo: %v", err)
		}
		closed, ok := errors.AsType[*hubtest.CloseError](c.Wait())
		if !ok || closed.Text != "The client sends too much." || !closed.AllowReconnect {
			t.Errorf("closed: %v", closed)
		}
		if cause := <-hub.ended; !errors.Is(cause, server.ErrRateLimit) {
			t.Errorf("OnDisconnected got %v", cause)
		}
		if got := opts.RateLimit.Stats(); got.Closed != 1 {
			t.Errorf("%+v", got)
		}
	})
}

// Memory: users and addresses without connections are forgotten once what they
// have used has come again, and before that where there are too many.
func TestOnlySoManyUsersAndAddressesAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := server.Rate{CallsPerSecond: 0.001, CallBurst: 5}
		opts := limitedBy(server.RateLimitOptions{PerUser: slow, PerAddress: slow, MaximumIdle: 2})
		n := hubtest.New(t, newRateHub(), opts)
		count := func(want int) {
			t.Helper()
			synctest.Wait()
			if got := opts.RateLimit.Stats(); got.Users != want || got.Addresses != want {
				t.Errorf("%d users and %d addresses are remembered, want %d", got.Users, got.Addresses, want)
			}
		}
		var clients []*hubtest.Client
		for i := range 5 {
			name := fmt.Sprint(i)
			c := n.Connect(hubtest.User(server.User{ID: name}), hubtest.Header("X-Address", name))
			clients = append(clients, c)
			c.Do("Echo", "x")
		}
		count(5) // those that are connected are always known
		for _, c := range clients {
			c.Close()
		}
		time.Sleep(time.Second)
		count(2)
		c := n.Connect(hubtest.User(server.User{ID: "quiet"}), hubtest.Header("X-Address", "quiet"))
		count(3)
		time.Sleep(time.Hour)
		c.Close()
		time.Sleep(time.Second)
		count(2) // there is nothing to remember of it
	})
}

func TestARawConnectionOverItsBytesIsHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := server.NewRateLimit(server.RateLimitOptions{PerConnection: server.Rate{BytesPerSecond: 1000, ByteBurst: 1000}})
		arrived := make(chan time.Time, 1)
		h := server.NewConnectionHandler(func(c *server.Connection) error {
			_, err := io.ReadFull(c, make([]byte, 4000))
			arrived <- time.Now()
			return err
		}, &server.ConnectionOptions{RateLimit: limit})
		n := hubtest.Serve(t, h)
		d := negotiatedAt(t, n, "/hub")
		if status, _ := d.ask("GET", d.url+d.id, ""); status != http.StatusOK {
			t.Fatalf("the first poll is answered %d", status)
		}
		began := time.Now()
		if status, body := d.ask("POST", d.url+d.id, strings.Repeat("x", 4000)); status != http.StatusOK {
			t.Fatalf("POST is answered %d %s", status, body)
		}
		if took := (<-arrived).Sub(began); took != 3*time.Second {
			t.Errorf("4,000 bytes at 1,000 a second took %v, want 3 s", took)
		}
		if got := limit.Stats(); got.Pauses == 0 {
			t.Errorf("%+v", got)
		}
		if err := h.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestARateLimitIsMadeByItsFunction(t *testing.T) {
	if _, err := server.NewHub(newRateHub(), &server.Options{RateLimit: &server.RateLimit{}}); err == nil {
		t.Error("NewHub takes an empty RateLimit")
	}
}
