package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/hubtest"
	"github.com/hubwire/hubwire/internal/race"
	"github.com/hubwire/hubwire/server"
)

// An eventList is what an observer was told, without times.
type eventList struct {
	mu   sync.Mutex
	list []string
}

func (e *eventList) add(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, fmt.Sprintf(format, args...))
}

func (e *eventList) take() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := e.list
	e.list = nil
	return list
}

func (e *eventList) observer() *server.Observer {
	return &server.Observer{
		ConnectionStarted: func(hub string, t server.Transport) { e.add("%s: %v started", hub, t) },
		ConnectionEnded: func(c server.ConnectionEnd) {
			e.add("%s: %v ended %s after %v", c.Hub, c.Transport, c.Status, c.Duration.Round(time.Second))
		},
		HandshakeRefused: func(hub string, t server.Transport, why server.HandshakeRefusal) {
			e.add("%s: %v refused %s", hub, t, why)
		},
		ClientTooSlow: func(hub string, t server.Transport) { e.add("%s: %v too slow", hub, t) },
		Calls: func(hub, method string) func(server.CallEnd) {
			return func(c server.CallEnd) {
				e.add("%s: call %q %s stream=%v %v", hub, method, c.Outcome, c.Stream, c.Duration.Round(time.Second))
			}
		},
		StreamStarted: func(hub, method string) { e.add("%s: stream %q", hub, method) },
	}
}

// A watchedHub has methods for every outcome.
type watchedHub struct{}

func (watchedHub) Nothing()                           {}
func (watchedHub) Add(a, b int) int                   { return a + b }
func (watchedHub) Wait(call *server.Call, s int)      { time.Sleep(time.Duration(s) * time.Second) }
func (watchedHub) Fail() error                        { return errors.New("no") }
func (watchedHub) Panic()                             { panic("no") }
func (watchedHub) Private()                           {}
func (watchedHub) Upload(items <-chan int) error      { return nil }
func (watchedHub) Count(call *server.Call) <-chan int { return countUp(call.Context()) }
func (watchedHub) Broken() iter.Seq2[int, error] {
	return func(yield func(int, error) bool) { yield(0, errors.New("no")) }
}

func countUp(ctx context.Context) <-chan int {
	items := make(chan int)
	go func() {
		defer close(items)
		for i := 0; ; i++ {
			select {
			case items <- i:
			case <-ctx.Done():
				return
			}
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return
			}
		}
	}()
	return items
}

func watchedOptions(o *server.Observer) *server.Options {
	return &server.Options{
		Observer: o, Logger: slog.New(slog.DiscardHandler),
		Methods: map[string]server.MethodOptions{"Private": {Authorize: server.RequireUser}},
	}
}

func TestAnObserverIsToldWhatBecomesOfEachCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := &eventList{}
		c := hubtest.New(t, watchedHub{}, watchedOptions(events.observer())).Connect()
		events.take()
		for _, one := range []struct {
			call func() error
			want string
		}{
			{func() error { return c.Invoke(nil, "nothing") }, `call "Nothing" ok stream=false 0s`},
			{func() error { return c.Invoke(nil, "Wait", 3) }, `call "Wait" ok stream=false 3s`},
			{func() error { return c.Invoke(nil, "Fail") }, `call "Fail" error stream=false 0s`},
			{func() error { return c.Invoke(nil, "Panic") }, `call "Panic" error stream=false 0s`},
			{func() error { return c.Invoke(nil, "Nobody") }, `call "" unknown_method stream=false 0s`},
			{func() error { return c.Invoke(nil, "Add", 1) }, `call "Add" invalid_arguments stream=false 0s`},
			{func() error { return c.Invoke(nil, "Private") }, `call "Private" unauthorized stream=false 0s`},
			{func() error { return c.Invoke(nil, "Count") }, `call "Count" refused stream=true 0s`},
			{func() error { return c.Invoke(nil, "Upload") }, `call "Upload" refused stream=false 0s`},
		} {
			_ = one.call() // the answer is the concern of other tests
			if got := events.take(); len(got) != 1 || got[0] != "server_test.watchedHub: "+one.want {
				t.Errorf("events %q, want %q", got, one.want)
			}
		}
	})
}

func TestAnObserverSeesHowLongAStreamIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := &eventList{}
		c := hubtest.New(t, watchedHub{}, watchedOptions(events.observer())).Connect()
		events.take()
		stream := c.Stream("Count")
		time.Sleep(4500 * time.Millisecond)
		stream.Cancel()
		synctest.Wait()
		want := []string{`server_test.watchedHub: stream "Count"`, `server_test.watchedHub: call "Count" canceled stream=true 5s`}
		if got := events.take(); !slices.Equal(got, want) {
			t.Errorf("events %q, want %q", got, want)
		}
	})
}

func TestAnObserverIsToldOfEachConnectionOnceAndHowItEnded(t *testing.T) {
	type end struct {
		name   string
		end    func(*hubtest.Node, *hubtest.Client)
		status string
	}
	ends := []end{
		{"the client leaves", func(_ *hubtest.Node, c *hubtest.Client) { c.Close() }, "normal_closure after 7s"},
		{"the connection is cut", func(_ *hubtest.Node, c *hubtest.Client) { c.Cut() }, ""},
		{"the hub is shut down", func(n *hubtest.Node, _ *hubtest.Client) { _ = n.Hub().Shutdown(context.Background()) }, "app_shutdown after 7s"},
	}
	for _, transport := range []server.Transport{server.WebSockets, server.ServerSentEvents, server.LongPolling} {
		for _, e := range ends {
			t.Run(fmt.Sprintf("%v, %s", transport, e.name), func(t *testing.T) {
				events := &eventList{}
				synctest.Test(t, func(t *testing.T) {
					node := hubtest.New(t, watchedHub{}, watchedOptions(events.observer()))
					c := node.Connect(hubtest.Over(transport))
					time.Sleep(7 * time.Second)
					e.end(node, c)
					time.Sleep(time.Minute)
				})
				status := e.status
				if status == "" { // a client that polls has 15 seconds to come back, and one passes until that is seen
					status = "normal_closure after 7s"
					if transport == server.LongPolling {
						status = "timeout after 23s"
					}
				}
				// hubtest calls a method that there is not, to know that it is connected.
				got := slices.DeleteFunc(events.take(), func(s string) bool { return strings.Contains(s, "call") })
				want := []string{fmt.Sprintf("server_test.watchedHub: %v started", transport), fmt.Sprintf("server_test.watchedHub: %v ended %s", transport, status)}
				if !slices.Equal(got, want) {
					t.Errorf("events %q, want %q", got, want)
				}
			})
		}
	}
}

func TestAnObserverIsToldOfAClientThatIsTooSlow(t *testing.T) {
	for name, sendTimeout := range map[string]time.Duration{"it takes nothing": 0, "something waits for too long": -1} {
		events := &eventList{}
		synctest.Test(t, func(t *testing.T) {
			opts := watchedOptions(events.observer())
			opts.Endpoint.TransportSendTimeout = sendTimeout
			node := hubtest.New(t, watchedHub{}, opts)
			c := node.Connect()
			c.StopReading()
			for range 200 {
				if err := node.Hub().Clients().All().Send(t.Context(), "M", strings.Repeat("x", 100<<10)); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(3 * time.Minute)
			c.StartReading()
		})
		got, want := events.take(), "server_test.watchedHub: WebSockets too slow"
		if n := len(got); n == 0 || len(slices.DeleteFunc(got, func(s string) bool { return s != want })) != 1 {
			t.Errorf("%s: %d events without exactly one %q", name, n, want)
		}
	}
}

func TestAnObserverIsToldWhyAHandshakeIsRefused(t *testing.T) {
	for handshake, want := range map[string]server.HandshakeRefusal{
		`{"protocol":"xml","version":1}` + "\x1e":   server.HandshakeUnknownProtocol,
		`{"protocol":"json","version":99}` + "\x1e": server.HandshakeUnknownVersion,
		"hello\x1e":                 server.HandshakeMalformed,
		strings.Repeat("x", 40<<10): server.HandshakeTooLong,
		`{"protocol":"json","version":1,"user":"bad"}` + "\x1e": server.HandshakeUserID,
		"": server.HandshakeTimedOut,
		`{"protocol":"messagepack","version":1,"event stream":0}` + "\x1e": server.HandshakeNeedsBinary,
	} {
		t.Run(string(want), func(t *testing.T) {
			events := &eventList{}
			synctest.Test(t, func(t *testing.T) {
				opts := watchedOptions(events.observer())
				opts.UserID = func(*http.Request, server.User) string {
					if want == server.HandshakeUserID {
						panic("no user")
					}
					return ""
				}
				over := server.LongPolling
				if want == server.HandshakeNeedsBinary {
					over = server.ServerSentEvents
				}
				shakeBadly(t, hubtest.New(t, watchedHub{}, opts), over, handshake)
				time.Sleep(time.Minute)
			})
			if got := events.take(); !slices.ContainsFunc(got, func(s string) bool { return strings.HasSuffix(s, "refused "+string(want)) }) || len(got) != 3 {
				t.Errorf("events %q, want that the handshake is refused: %s", got, want)
			}
		})
	}
}

func TestTrafficIsCountedByTransportAndProtocolOnlyWhereThereIsAnObserver(t *testing.T) {
	count := func(o *server.Observer) (list []server.Traffic) {
		synctest.Test(t, func(t *testing.T) {
			node := hubtest.New(t, watchedHub{}, watchedOptions(o))
			for _, opts := range [][]hubtest.Option{{}, {hubtest.MessagePack()}, {hubtest.Over(server.LongPolling)}} {
				c := node.Connect(opts...)
				for range 10 {
					hubtest.Result[int](c, "Add", 1, 2)
				}
			}
			list = node.Hub().Traffic()
		})
		return list
	}
	if got := count(nil); got != nil {
		t.Errorf("Traffic without an observer = %+v", got)
	}
	got := count(&server.Observer{})
	call := len(`{"type":1,"invocationId":"1","target":"Add","arguments":[1,2]}`) + 1
	answer := len(`{"type":3,"invocationId":"1","result":3}`) + 1
	if len(got) != 3 {
		t.Fatalf("Traffic = %+v, want three rows", got)
	}
	for _, row := range got {
		// Clients may have pinged, which hubtest does to know that they are connected.
		if row.MessagesReceived < 10 || row.MessagesSent < 10 {
			t.Errorf("%v, %s: %d messages received and %d sent, want at least 10 each", row.Transport, row.Protocol, row.MessagesReceived, row.MessagesSent)
		}
		if row.Protocol == "json" && (row.BytesReceived < uint64(10*call) || row.BytesSent < uint64(10*answer)) {
			t.Errorf("%v, %s: %d bytes received and %d sent, want at least %d and %d", row.Transport, row.Protocol, row.BytesReceived, row.BytesSent, 10*call, 10*answer)
		}
	}
}

// panicking returns an observer every function of which panics.
func panicking(calls *eventList) *server.Observer {
	return &server.Observer{
		Hub:               func(*server.Hub) { calls.add("Hub"); panic("no") },
		ConnectionStarted: func(string, server.Transport) { calls.add("ConnectionStarted"); panic("no") },
		ConnectionEnded:   func(server.ConnectionEnd) { calls.add("ConnectionEnded"); panic("no") },
		HandshakeRefused:  func(string, server.Transport, server.HandshakeRefusal) { calls.add("HandshakeRefused"); panic("no") },
		ClientTooSlow:     func(string, server.Transport) { calls.add("ClientTooSlow"); panic("no") },
		Calls: func(_, method string) func(server.CallEnd) {
			if method == "Nothing" {
				panic("no")
			}
			return func(server.CallEnd) { calls.add("Calls"); panic("no") }
		},
		StreamStarted: func(string, string) { calls.add("StreamStarted"); panic("no") },
		Trace: func(ctx context.Context, o server.Operation) (context.Context, func(error)) {
			if o.Kind != server.OperationMethod {
				panic("no")
			}
			return nil, func(error) { calls.add("end of Trace"); panic("no") }
		},
	}
}

func TestAnObserverThatPanicsEndsNothing(t *testing.T) {
	calls := &eventList{}
	synctest.Test(t, func(t *testing.T) {
		node := hubtest.New(t, watchedHub{}, watchedOptions(panicking(calls)))
		c := node.Connect()
		c.Do("Nothing")
		if got := hubtest.Result[int](c, "Add", 1, 2); got != 3 {
			t.Errorf("Add(1, 2) = %d", got)
		}
		stream, first := c.Stream("Count"), 0
		stream.Next(&first)
		stream.Cancel()
		shakeBadly(t, node, server.LongPolling, "hello\x1e")
		c.Close()
	})
	got := calls.take()
	for _, name := range []string{"Hub", "ConnectionStarted", "ConnectionEnded", "HandshakeRefused", "Calls", "StreamStarted", "end of Trace"} {
		if !slices.Contains(got, name) {
			t.Errorf("Observer.%s was not called", name)
		}
	}
}

type traceKey struct{}

// A tracedHub tells what context its code is run with.
type tracedHub struct{ seen *eventList }

func value(ctx context.Context) any { return ctx.Value(traceKey{}) }

func (h tracedHub) OnConnected(c *server.Call) error {
	h.seen.add("OnConnected %v", value(c.Context()))
	return nil
}
func (h tracedHub) OnDisconnected(c *server.Call, _ error) {
	h.seen.add("OnDisconnected %v", value(c.Context()))
}
func (h tracedHub) Call(c *server.Call)         { h.seen.add("Call %v", value(c.Context())) }
func (h tracedHub) Context(ctx context.Context) { h.seen.add("Context %v", value(ctx)) }
func (h tracedHub) Plain(string) error          { return server.NewHubError("no") }
func (h tracedHub) Stream(c *server.Call) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		h.seen.add("Stream %v", value(c.Context()))
		yield(1, nil)
	}
}

func TestTheContextOfATraceReachesEveryPieceOfUserCode(t *testing.T) {
	seen := &eventList{}
	kinds := []string{"method", "connected", "disconnected", "refreshed"}
	observer := &server.Observer{Trace: func(ctx context.Context, o server.Operation) (context.Context, func(error)) {
		name := kinds[o.Kind] + " " + o.Call.Method()
		return context.WithValue(ctx, traceKey{}, name), func(err error) { seen.add("end of %s: %v", name, err) }
	}}
	synctest.Test(t, func(t *testing.T) {
		c := hubtest.New(t, tracedHub{seen}, &server.Options{Observer: observer, Logger: slog.New(slog.DiscardHandler), Filters: []server.Filter{{
			Invoke: func(call *server.Call, next func(*server.Call) (any, error)) (any, error) {
				seen.add("filter %v", value(call.Context()))
				return next(call)
			},
		}}}).Connect()
		c.Do("Call")
		c.Do("Context")
		_ = c.Invoke(nil, "Plain", "x")
		hubtest.List[int](c, "Stream")
		c.Close()
	})
	want := []string{
		"OnConnected connected ", "end of connected : <nil>",
		"filter method Call", "Call method Call", "end of method Call: <nil>",
		"filter method Context", "Context method Context", "end of method Context: <nil>",
		"filter method Plain", "end of method Plain: no",
		"filter method Stream", "Stream method Stream", "end of method Stream: <nil>",
		"OnDisconnected disconnected ", "end of disconnected : <nil>",
	}
	if got := seen.take(); !slices.Equal(got, want) {
		t.Errorf("seen\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// shakeBadly opens a connection and says something else than a handshake that the
// hub accepts, or nothing.
func shakeBadly(t *testing.T, node *hubtest.Node, over server.Transport, handshake string) {
	t.Helper()
	ask := func(method, address, accept, body string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), method, node.URL()+address, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", accept)
		answer, err := node.HTTPClient().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { answer.Body.Close() })
		return answer
	}
	var negotiated struct{ ConnectionToken string }
	if err := json.NewDecoder(ask("POST", "/hub/negotiate?negotiateVersion=1", "", "").Body).Decode(&negotiated); err != nil {
		t.Fatal(err)
	}
	address, accept := "/hub?id="+negotiated.ConnectionToken, ""
	if over == server.ServerSentEvents {
		accept = "text/event-stream"
	}
	opened := ask("GET", address, accept, "")
	if handshake != "" {
		ask("POST", address, "", handshake)
	}
	if over == server.ServerSentEvents {
		_, _ = io.ReadAll(opened.Body) // up to the end of the connection
		return
	}
	for ask("GET", address, "", "").StatusCode == http.StatusOK {
	}
}

// Of an observer that is told nothing, and of none, a call notices nothing.
func TestACallThatNobodyObservesAllocatesWhatItAlwaysDid(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates, too")
	}
	for name, opts := range map[string]*server.Options{
		"no observer":       {},
		"an empty observer": {Observer: &server.Observer{}},
		"four at once":      {MaximumParallelInvocationsPerClient: 4}, // what is short needs no goroutine
	} {
		var records atomic.Int64
		reached := make(chan struct{}, 1)
		c := openMemory(t, newHub(benchHub{}, opts), "json", 1, &records, reached)[0]
		c.wanted, c.end = 16, '!'
		template := bytes.Repeat(clientFrame(`{"type":1,"invocationId":"17","target":"Echo","arguments":["x!"]}`), 16)
		batch := make([]byte, len(template))
		got := testing.AllocsPerRun(200, func() {
			records.Store(0)
			copy(batch, template)
			c.in <- batch
			<-reached
		})
		if got > 16*echoAllocations {
			t.Errorf("%s: 16 calls allocate %v times, want at most %d", name, got, 16*echoAllocations)
		}
	}
}

// echoAllocations is how often a call of Echo allocates: its id, which many share,
// its text, and its answer. The answer's bytes are memory that is used again.
const echoAllocations = 3

// Of a long answer the same is true: only the text that the method gets is new memory.
func TestALongAnswerAllocatesLittleButItsText(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates, too")
	}
	const length, calls = 3_000, 500
	var records atomic.Int64
	reached := make(chan struct{}, 1)
	c := openMemory(t, newHub(benchHub{}, nil), "json", 1, &records, reached)[0]
	c.wanted, c.end = 1, '!'
	template := clientFrame(`{"type":1,"invocationId":"17","target":"Echo","arguments":["` + strings.Repeat("x", length-1) + `!"]}`)
	frame := make([]byte, len(template))
	call := func() {
		records.Store(0)
		copy(frame, template) // the last one was unmasked where it is
		c.in <- frame
		<-reached
	}
	var before, after runtime.MemStats
	call()
	runtime.ReadMemStats(&before)
	for range calls {
		call()
	}
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc - before.TotalAlloc) / calls; got > 3*length/2 {
		t.Errorf("a call with a text of %d bytes allocates %d", length, got)
	}
}
