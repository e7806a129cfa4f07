package hubclient

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

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

// open returns the address of a shop.
func open(t *testing.T) string {
	t.Helper()
	hub := server.MustHub(shop{}, &server.Options{UserID: func(r *http.Request, _ server.User) string { return r.URL.Query().Get("user") }})
	routes := http.NewServeMux()
	routes.Handle("/hub", hub)
	web := httptest.NewServer(routes)
	t.Cleanup(func() {
		if err := hub.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		web.Close()
	})
	return web.URL
}

// connect returns a client of a new shop, and a context for its calls.
func connect(t *testing.T, o Options) (*Client, context.Context) {
	t.Helper()
	address := open(t)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	c, err := Dial(ctx, address, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, ctx
}

var codecs = []protocol.Codec{protocol.JSON{}, protocol.MessagePack{}}

func TestAClientCallsAndIsCalled(t *testing.T) {
	for _, codec := range codecs {
		t.Run(codec.Name(), func(t *testing.T) {
			var got []int32
			c, ctx := connect(t, Options{Codec: codec, User: "böb & co", Receive: func(target string, args []protocol.Raw) {
				var n int32
				if err := codec.Unmarshal(args[0], &n); err != nil || target != "N" {
					t.Errorf("%s: %v", target, err)
				}
				got = append(got, n)
			}})
			var user, text string
			if err := c.Invoke(ctx, &user, "Who"); err != nil || user != "böb & co" {
				t.Errorf("Who: %q, %v", user, err)
			}
			for _, want := range []string{"", strings.Repeat("x", 126), strings.Repeat("x", 30_000)} {
				if err := c.Invoke(ctx, &text, "Echo", want); err != nil || text != want {
					t.Errorf("Echo of %d letters: %d, %v", len(want), len(text), err)
				}
			}
			if err := c.Invoke(ctx, nil, "Count", 3); err != nil {
				t.Errorf("Count: %v", err)
			}
			c.Close() // what the reader has noted may be looked at
			if want := []int32{0, 1, 2}; !slices.Equal(got, want) {
				t.Errorf("received %v, want %v", got, want)
			}
			if err := c.Err(); err != nil {
				t.Errorf("after Close: %v", err)
			}
		})
	}
}

func TestACallEndsWithTheReason(t *testing.T) {
	c, ctx := connect(t, Options{})
	if err := c.Invoke(ctx, nil, "Fail"); err == nil || !strings.Contains(err.Error(), "sold out") {
		t.Errorf("Fail: %v", err)
	}
	short, cancel := context.WithCancel(ctx)
	cancel()
	if err := c.Invoke(short, nil, "Nothing"); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("a call that is given up: %v", err)
	}
	if err := c.Invoke(ctx, nil, "Leave"); !errors.Is(err, ErrClosed) {
		t.Errorf("a call that ends the connection: %v", err)
	}
	<-c.Done()
	if c.Err() == nil {
		t.Error("the server has ended the connection, and the client has no error")
	}
	if err := c.Invoke(ctx, nil, "Nothing"); !errors.Is(err, ErrClosed) {
		t.Errorf("a call after the end: %v", err)
	}
}

func TestDialSaysWhyItFails(t *testing.T) {
	notFound := httptest.NewServer(http.NotFoundHandler())
	defer notFound.Close()
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer silent.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if _, err := Dial(ctx, notFound.URL, Options{}); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("no hub there: %v", err)
	}
	if _, err := Dial(ctx, silent.URL, Options{}); err == nil {
		t.Error("a server that does not answer: no error")
	}
}
