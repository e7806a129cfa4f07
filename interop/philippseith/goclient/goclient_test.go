package goclient

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/philippseith/signalr"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/hubwire/hubwire/backplane"
	"github.com/hubwire/hubwire/server"
)

// limit bounds each wait of a test.
const limit = time.Minute

// The client stops taking a stream at its error, which may overtake items: its
// own goroutine waits for ever then, with the next item. And it never ends reading an
// event stream. Source: PullStream, newInvokeResultChan and clientSSEConnection of
// v0.11.0.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/philippseith/signalr.newInvokeResultChan.func1"),
		goleak.IgnoreAnyFunction("github.com/philippseith/signalr.(*clientSSEConnection).Read"))
}

// A mode is how a client is connected, and to how many nodes: a random one of them
// gets each request.
type mode struct {
	transport signalr.TransportType
	format    signalr.TransferFormatType
	nodes     int
}

var modes = map[string]mode{
	"json":                    {signalr.TransportWebSockets, signalr.TransferFormatText, 1},
	"messagepack":             {signalr.TransportWebSockets, signalr.TransferFormatBinary, 1},
	"json on any node":        {signalr.TransportWebSockets, signalr.TransferFormatText, 3},
	"messagepack on any node": {signalr.TransportWebSockets, signalr.TransferFormatBinary, 3},
}

// point is a value with a name for each of its fields in both protocols.
type point struct {
	X    int     `json:"x" msgpack:"x"`
	Y    float64 `json:"y" msgpack:"y"`
	Text string  `json:"text" msgpack:"text"`
}

// hub has what the client calls.
type hub struct{}

func (hub) Add(a, b int) int        { return a + b }
func (hub) Echo(text string) string { return text }
func (hub) Mirror(p point) point    { return point{-p.X, -p.Y, p.Text} }
func (hub) Transport(call *server.Call) string {
	return call.Transport().String()
}
func (hub) ID(call *server.Call) string { return call.ConnectionID() }
func (hub) Nothing()                    {}
func (hub) Refuse(why string) error     { return server.NewHubError("%s", why) }

func (hub) Join(call *server.Call, group string) error {
	return call.Groups().Add(call.Context(), call.ConnectionID(), group)
}

func (hub) Leave(call *server.Call, group string) error {
	return call.Groups().Remove(call.Context(), call.ConnectionID(), group)
}

func (hub) Say(call *server.Call, group, text string) error {
	return call.Clients().Group(group).Send(call.Context(), "Heard", text)
}

func (hub) SayToAll(call *server.Call, text string) error {
	return call.Clients().All().Send(call.Context(), "Heard", text)
}

func (hub) Count(to int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := 0; i < to && yield(i); i++ {
		}
	}
}

func (hub) CountAndFail(to int) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := range to {
			if !yield(i, nil) {
				return
			}
		}
		yield(0, errors.New("kept on the server"))
	}
}

func (hub) Concat(texts <-chan string) string {
	var all strings.Builder
	for text := range texts {
		all.WriteString(text)
	}
	return all.String()
}

// receiver has what the hub calls.
type receiver struct{ heard chan string }

// Heard takes a message.
func (r *receiver) Heard(text string) { r.heard <- text }

// Double returns a client result.
func (r *receiver) Double(n int) int { return 2 * n }

// A client is a started client, and what it has heard.
type client struct {
	signalr.Client
	t     *testing.T
	heard chan string
}

// quiet throws the client's log away.
type quiet struct{}

// Log implements signalr.StructuredLogger.
func (quiet) Log(...any) error { return nil }

// hubs are those of all nodes.
type hubs []*server.Hub

// ServeHTTP implements http.Handler: a random node gets each request.
func (h hubs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h[rand.IntN(len(h))].ServeHTTP(w, r)
}

// shutdown ends all of them.
func (h hubs) shutdown(ctx context.Context) error {
	errs := make([]error, len(h))
	var ends sync.WaitGroup
	for i, one := range h {
		ends.Go(func() { errs[i] = one.Shutdown(ctx) })
	}
	ends.Wait()
	return errors.Join(errs...)
}

// serve mounts the hub of so many nodes and returns it with its URL.
func serve(t *testing.T, nodes int) (hubs, string) {
	t.Helper()
	h := hubs{server.MustHub(hub{}, nil)}
	if nodes > 1 {
		h = fleet(t, nodes)
	}
	mux := http.NewServeMux()
	server.Mount(mux, "/hub", h)
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if err := h.shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	return h, web.URL + "/hub"
}

// fleet returns the hub on nodes of which each serves any request.
func fleet(t *testing.T, nodes int) (h hubs) {
	t.Helper()
	addr := miniredis.RunT(t).Addr()
	for range nodes {
		client := redis.NewClient(&redis.Options{Addr: addr})
		bus, err := backplane.New(client, &backplane.Options{HubName: "Interop.Hub", AnyNode: &backplane.AnyNode{}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := errors.Join(bus.Close(), client.Close()); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		if err := bus.Ready(ctx); err != nil {
			t.Fatal(err)
		}
		h = append(h, server.MustHub(hub{}, &server.Options{LifetimeManager: bus}))
	}
	return h
}

// connect starts a client.
func connect(t *testing.T, url string, m mode) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*limit)
	over, hangUp := caller()
	conn, err := signalr.NewHTTPConnection(ctx, url, signalr.WithHTTPClient(over), signalr.WithTransports(m.transport))
	if err != nil {
		cancel()
		hangUp()
		t.Fatal(err)
	}
	c := &client{t: t, heard: make(chan string, 1000)}
	c.Client, err = signalr.NewClient(ctx, signalr.WithConnection(conn), signalr.WithReceiver(&receiver{c.heard}), signalr.TransferFormat(m.format), signalr.Logger(quiet{}, false))
	if err != nil {
		cancel()
		hangUp()
		t.Fatal(err)
	}
	c.Start()
	t.Cleanup(func() {
		c.Stop()
		cancel()
		hangUp()
	})
	if err := next(t, c.WaitForState(ctx, signalr.ClientConnected)); err != nil {
		t.Fatal(err)
	}
	return c
}

// caller returns an HTTP client and what closes its connections, WebSockets
// too: the client's Stop leaves them open.
func caller() (*http.Client, func()) {
	var mu sync.Mutex
	var conns []net.Conn
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err == nil {
			mu.Lock()
			defer mu.Unlock()
			conns = append(conns, conn)
		}
		return conn, err
	}
	return &http.Client{Transport: patient{&http.Transport{DialContext: dial}}}, func() {
		mu.Lock()
		defer mu.Unlock()
		for _, conn := range conns {
			// An error means that the connection has ended before.
			_ = conn.Close()
		}
	}
}

// mostAgain is how often a request is sent again.
const mostAgain = 3

// patient sends a request again that is answered 503. A node does that when another
// one or Redis was too slow for it, on a machine that has other work: clients are to
// try again then, and this one does not.
type patient struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (p patient) RoundTrip(r *http.Request) (*http.Response, error) {
	for left := mostAgain; ; left-- {
		answer, err := p.RoundTripper.RoundTrip(r)
		if err != nil || answer.StatusCode != http.StatusServiceUnavailable || left == 0 || r.Body != nil && r.GetBody == nil {
			return answer, err
		}
		_ = answer.Body.Close() // what it has is not read
		r = r.Clone(r.Context())
		if r.GetBody != nil {
			if r.Body, err = r.GetBody(); err != nil {
				return nil, err
			}
		}
	}
}

// next takes one item of a channel, or fails after the limit.
func next[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(limit):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// answer takes the value or the error of a call. The channel may also have an
// empty result, before or after it, before it is closed.
func answer(from <-chan signalr.InvokeResult) (value any, err error) {
	deadline := time.After(limit)
	for {
		select {
		case r, ok := <-from:
			if !ok {
				return value, err
			}
			if r.Value != nil {
				value = r.Value
			}
			if r.Error != nil {
				err = r.Error
			}
		case <-deadline:
			return nil, errors.New("no answer")
		}
	}
}

// invoke calls a method and returns the text of its result, or of its error.
func (c *client) invoke(method string, args ...any) string {
	value, err := answer(c.Invoke(method, args...))
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(value)
}

// hears fails unless the client has heard exactly these texts. The call
// before makes sure that what was sent before has arrived: order is kept.
func (c *client) hears(want ...string) {
	c.t.Helper()
	c.invoke("Echo", "barrier")
	var got []string
	for range want {
		got = append(got, next(c.t, c.heard))
	}
	if !slices.Equal(got, want) || len(c.heard) > 0 {
		c.t.Errorf("heard %q and %d more, want %q", got, len(c.heard), want)
	}
}

// items takes all items of a stream; a number may have any type.
func items(t *testing.T, from <-chan signalr.InvokeResult) (all []string, err error) {
	t.Helper()
	deadline := time.After(limit)
	for {
		select {
		case r, ok := <-from:
			if !ok {
				return all, nil
			}
			if r.Error != nil {
				return all, r.Error
			}
			all = append(all, fmt.Sprint(r.Value))
		case <-deadline:
			t.Fatalf("the stream has not ended after %d items", len(all))
		}
	}
}

func numbers(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprint(i))
	}
	return all
}

// each runs a test in each mode.
func each(t *testing.T, f func(t *testing.T, m mode)) {
	for name, m := range modes {
		t.Run(name, func(t *testing.T) { f(t, m) })
	}
}

func TestCallsAreAnswered(t *testing.T) {
	each(t, func(t *testing.T, m mode) {
		_, url := serve(t, m.nodes)
		c := connect(t, url, m)
		for _, tt := range []struct {
			name   string
			method string
			args   []any
			want   string
		}{
			{"numbers", "Add", []any{40, 2}, "42"},
			{"negative numbers", "Add", []any{-70000, -1}, "-70001"},
			{"text", "Echo", []any{"grüße \"<&>' \U0001F680"}, "grüße \"<&>' \U0001F680"},
			{"long text", "Echo", []any{strings.Repeat("漢", 5000)}, strings.Repeat("漢", 5000)},
			{"a struct", "Mirror", []any{point{1, 0.5, "p"}}, "map[text:p x:-1 y:-0.5]"},
			{"the transport", "Transport", nil, "WebSockets"},
			{"no result", "Nothing", nil, "<nil>"},
			{"any case of a name", "eCHO", []any{"x"}, "x"},
			{"an error", "Refuse", []any{"not today"}, "An unexpected error occurred invoking 'Refuse' on the server. HubException: not today"},
			{"no such method", "Nowhere", nil, "Failed to invoke 'Nowhere' due to an error on the server. HubException: Method does not exist."},
			{"a wrong argument", "Add", []any{"one", 2}, "Failed to invoke 'Add' due to an error on the server."},
		} {
			if got := c.invoke(tt.method, tt.args...); got != tt.want {
				t.Errorf("%s: %s = %q, want %q", tt.name, tt.method, got, tt.want)
			}
		}
	})
}

// The client reads an event stream in pieces, and loses an event that is in two: one
// answer at a time is whole.
func TestPostsGoToAnyNode(t *testing.T) {
	_, url := serve(t, 3)
	c := connect(t, url, mode{transport: signalr.TransportServerSentEvents, format: signalr.TransferFormatText})
	if got := c.invoke("Transport"); got != "ServerSentEvents" {
		t.Errorf("the transport is %s", got)
	}
	for _, text := range numbers(100) {
		if got := c.invoke("Echo", text); got != text {
			t.Errorf("Echo(%s) = %s", text, got)
		}
	}
}

func TestManyClientsGetTheirOwnAnswers(t *testing.T) {
	_, url := serve(t, 1)
	var wg sync.WaitGroup
	for n := range 20 {
		c := connect(t, url, modes[[]string{"json", "messagepack"}[n%2]])
		wg.Go(func() {
			for i := range 50 {
				text := fmt.Sprintf("client %d, call %d", n, i)
				if got := c.invoke("Echo", text); got != text {
					t.Errorf("%s: got %s", text, got)
				}
			}
		})
	}
	wg.Wait()
}

func TestSendsArriveAtAllAndInGroups(t *testing.T) {
	each(t, func(t *testing.T, m mode) {
		h, url := serve(t, m.nodes)
		a, b := connect(t, url, m), connect(t, url, m)
		send := func(method string, args ...any) {
			t.Helper()
			select {
			case err := <-a.Send(method, args...):
				if err != nil {
					t.Errorf("Send(%s): %v", method, err)
				}
			case <-time.After(limit):
				t.Errorf("Send(%s) did not return", method)
			}
			a.invoke("Echo", "barrier") // the calls of a connection run one after the other
		}
		send("SayToAll", "to all")
		a.hears("to all")
		b.hears("to all")
		b.invoke("Join", "room")
		a.invoke("Say", "room", "to one")
		a.hears()
		b.hears("to one")
		if err := h[0].Clients().Group("room").Send(t.Context(), "Heard", "from outside"); err != nil {
			t.Error(err)
		}
		b.hears("from outside")
		b.invoke("Leave", "room")
		a.invoke("Say", "room", "to nobody")
		a.hears()
		b.hears()
	})
}

func TestStreamsFromTheServer(t *testing.T) {
	each(t, func(t *testing.T, m mode) {
		_, url := serve(t, m.nodes)
		c := connect(t, url, m)
		for _, n := range []int{0, 1, 1000} {
			if got, err := items(t, c.PullStream("Count", n)); err != nil || !slices.Equal(got, numbers(n)) {
				t.Errorf("%d items: got %d, %v", n, len(got), err)
			}
		}
		// The client may let the error overtake items.
		_, err := items(t, c.PullStream("CountAndFail", 3))
		if want := "An error occurred on the server while streaming results."; err == nil || err.Error() != want {
			t.Errorf("a stream that fails: %v; want %q", err, want)
		}
	})
}

func TestStreamsToTheServer(t *testing.T) {
	each(t, func(t *testing.T, m mode) {
		_, url := serve(t, m.nodes)
		c := connect(t, url, m)
		texts := make(chan string, 500)
		for _, text := range numbers(cap(texts)) {
			texts <- text
		}
		close(texts)
		want := strings.Join(numbers(cap(texts)), "")
		if got, err := answer(c.PushStreams("Concat", texts)); err != nil || got != want {
			t.Errorf("Concat = %v, %v; want %s", got, err, want)
		}
	})
}

func TestTheServerAsksTheClient(t *testing.T) {
	each(t, func(t *testing.T, m mode) {
		h, url := serve(t, m.nodes)
		c := connect(t, url, m)
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		double := server.ClientFunction1[int, int]("Double")
		if got, err := double.Invoke(ctx, h[0].Clients().Client(c.invoke("ID")), 21); err != nil || got != 42 {
			t.Errorf("Double(21) = %d, %v; want 42", got, err)
		}
	})
}

func TestTheClientIsToldOfTheServersEnd(t *testing.T) {
	each(t, func(t *testing.T, m mode) {
		h, url := serve(t, m.nodes)
		c := connect(t, url, m)
		if got := c.invoke("Echo", "x"); got != "x" {
			t.Fatalf("Echo = %q", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		closed := c.WaitForState(ctx, signalr.ClientClosed)
		if err := h.shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := next(t, closed); err != nil {
			t.Errorf("the client was not closed: %v", err)
		}
	})
}
