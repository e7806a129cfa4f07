package server_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hubwire/hubwire/server"
)

// testHub has a method of every shape.
type testHub struct {
	sync.Mutex // Lock and Unlock must not be reachable
	release    chan struct{}
	ended      chan error
}

func newTestHub() *testHub {
	return &testHub{release: make(chan struct{}), ended: make(chan error, 100)}
}

func (h *testHub) Echo(text string) string { return text }
func (h *testHub) Add(a, b int) int        { return a + b }
func (h *testHub) Nothing()                {}
func (h *testHub) Fails() error            { return errors.New("secret") }
func (h *testHub) FailsTyped() error {
	return server.WithErrorType("InvalidOperationException", errors.New("typed"))
}
func (h *testHub) FailsHub() (int, error)                        { return 0, server.NewHubError("told %d", 1) }
func (h *testHub) Panics() int                                   { panic("oh") }
func (h *testHub) Wait(call *server.Call) string                 { <-h.release; return "waited" }
func (h *testHub) ID(call *server.Call) string                   { return call.ConnectionID() }
func (h *testHub) Renamed() string                               { return "renamed" }
func (h *testHub) Secret() string                                { return "secret" }
func (h *testHub) Abort(call *server.Call)                       { call.Abort() }
func (h *testHub) Bad() func()                                   { return nil }
func (h *testHub) OnDisconnected(call *server.Call, cause error) { h.ended <- cause }
func (h *testHub) SendAll(call *server.Call, text string) error {
	return call.Clients().All().Send(call.Context(), "M", text)
}
func (h *testHub) SendCaller(call *server.Call, text string) error {
	return call.Clients().Caller().Send(call.Context(), "M", text)
}
func (h *testHub) Join(call *server.Call, group string) error {
	return call.Groups().Add(call.Context(), call.ConnectionID(), group)
}
func (h *testHub) SendOthersInGroup(call *server.Call, group, text string) error {
	return call.Clients().OthersInGroup(group).Send(call.Context(), "M", text)
}
func (h *testHub) Ask(call *server.Call) (int, error) {
	return server.Invoke[int](call.Context(), call.Clients().Caller(), "Question", "q")
}

func (h *testHub) Count(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

func (h *testHub) CountThenFail(n int) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := range n {
			if !yield(i, nil) {
				return
			}
		}
		yield(0, server.NewHubError("no more"))
	}
}

func (h *testHub) Endless(call *server.Call) (<-chan int, error) {
	ch := make(chan int)
	go func() {
		defer close(ch)
		for i := 0; ; i++ {
			select {
			case ch <- i:
			case <-call.Context().Done():
				return
			}
		}
	}()
	return ch, nil
}

func (h *testHub) NilStream() <-chan int { return nil }

func (h *testHub) Sum(items <-chan int) int {
	sum := 0
	for i := range items {
		sum += i
	}
	return sum
}

func (h *testHub) SumSeq(items iter.Seq2[int, error]) (int, error) {
	sum := 0
	for i, err := range items {
		if err != nil {
			return 0, err
		}
		sum += i
	}
	return sum, nil
}

func (h *testHub) SumErr(call *server.Call, items <-chan int) string {
	n := 0
	for range items {
		n++
	}
	return fmt.Sprintf("%d %v", n, call.UploadError())
}

func (h *testHub) Upper(items <-chan string) <-chan string {
	out := make(chan string)
	go func() {
		defer close(out)
		for s := range items {
			out <- strings.ToUpper(s)
		}
	}()
	return out
}

func testOptions() *server.Options {
	return &server.Options{Methods: map[string]server.MethodOptions{
		"Renamed": {Name: "other"},
		"Secret":  {Authorize: server.RequireUser},
	}}
}

// goodHub is testHub without the method that cannot be served.
type goodHub struct{ *testHub }

func (goodHub) Bad() {}

func TestCallsAreAnswered(t *testing.T) {
	url := serve(t, newHub(goodHub{newTestHub()}, testOptions()))
	const threw = `"error":"An unexpected error occurred invoking '%s' on the server.%s"`
	for _, test := range []struct{ name, target, args, want string }{
		{"a result is sent", "Echo", `["hi"]`, `"result":"hi"`},
		{"names match without case", "echo", `["hi"]`, `"result":"hi"`},
		{"a method without result answers null", "Nothing", `[]`, `"result":null`},
		{"several arguments are bound in order", "Add", `[1,2]`, `"result":3`},
		{"an error stays secret", "Fails", `[]`, fmt.Sprintf(threw, "Fails", "")},
		{"a hub error is told", "FailsHub", `[]`, fmt.Sprintf(threw, "FailsHub", " HubException: told 1")},
		{"a panic is an error", "Panics", `[]`, fmt.Sprintf(threw, "Panics", "")},
		{"an unknown method is an error", "NoSuch", `[]`, `"error":"Failed to invoke 'NoSuch' due to an error on the server. HubException: Method does not exist."`},
		{"the Go name of a renamed method is unknown", "Renamed", `[]`, `"error":"Failed to invoke 'Renamed' due to an error on the server. HubException: Method does not exist."`},
		{"a renamed method is known by its name", "OTHER", `[]`, `"result":"renamed"`},
		{"embedded methods of others are unknown", "Lock", `[]`, `"error":"Failed to invoke 'Lock' due to an error on the server. HubException: Method does not exist."`},
		{"hooks are unknown", "OnDisconnected", `[null]`, `"error":"Failed to invoke 'OnDisconnected' due to an error on the server. HubException: Method does not exist."`},
		{"too few arguments are an error", "add", `[1]`, `"error":"Failed to invoke 'Add' due to an error on the server."`},
		{"an argument of the wrong type is an error", "Add", `["1",2]`, `"error":"Failed to invoke 'Add' due to an error on the server."`},
		{"who is not allowed is told so", "Secret", `[]`, `"error":"Failed to invoke 'Secret' because user is unauthorized"`},
		{"a streaming method needs a streaming call", "Count", `[1]`, `"error":"The client attempted to invoke the streaming 'Count' method with a non-streaming invocation."`},
		{"a stream too few is an error", "Sum", `[]`, fmt.Sprintf(threw, "Sum", " HubException: Client sent 0 stream(s), Hub method expects 1.")},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := connect(t, url)
			c.call("1", test.target, test.args, test.want)
			c.call("2", "Echo", `["still here"]`, `"result":"still here"`)
		})
	}
}

func TestDetailedErrors(t *testing.T) {
	opts := testOptions()
	opts.EnableDetailedErrors = true
	c := connect(t, serve(t, newHub(goodHub{newTestHub()}, opts)))
	c.call("1", "Fails", `[]`, `"error":"An unexpected error occurred invoking 'Fails' on the server. Exception: secret"`)
	c.call("2", "FailsTyped", `[]`, `"error":"An unexpected error occurred invoking 'FailsTyped' on the server. InvalidOperationException: typed"`)
	c.call("3", "Add", `[1]`, `"error":"Failed to invoke 'Add' due to an error on the server. InvalidDataException: Invocation provides 1 argument(s) but target expects 2."`)
	c.call("4", "Add", `[1,{}]`, `"error":"Failed to invoke 'Add' due to an error on the server. InvalidDataException: Error binding arguments. Make sure that the types of the provided values match the types of the hub method being invoked."`)
}

func TestNonBlockingCallsAreNeverAnswered(t *testing.T) {
	c := connect(t, serve(t, newHub(goodHub{newTestHub()}, testOptions())))
	c.send(
		`{"type":1,"target":"NoSuch","arguments":[]}`,
		`{"type":1,"target":"Add","arguments":["x"]}`,
		`{"type":1,"target":"Fails","arguments":[]}`,
		`{"type":1,"target":"Echo","arguments":["x"]}`,
	)
	c.call("1", "Echo", `["y"]`, `"result":"y"`)
}

func TestSendsToTheCallerStandBeforeTheResult(t *testing.T) {
	c := connect(t, serve(t, newHub(goodHub{newTestHub()}, testOptions())))
	c.send(`{"type":1,"invocationId":"1","target":"SendCaller","arguments":["x"]}`)
	c.expect(`{"type":1,"target":"M","arguments":["x"]}`, `{"type":3,"invocationId":"1","result":null}`)
}

func TestSlowCallHoldsUpOnlyOrdinaryCalls(t *testing.T) {
	hub := newTestHub()
	c := connect(t, serve(t, newHub(goodHub{hub}, testOptions())))
	c.send(
		`{"type":1,"invocationId":"1","target":"Wait","arguments":[]}`,
		`{"type":6}`,
		`{"type":4,"invocationId":"2","target":"Count","arguments":[2]}`,
		`{"type":1,"invocationId":"3","target":"NoSuch","arguments":[]}`,
	)
	got := map[string]int{}
	for range 4 {
		got[c.receive()]++
	}
	for _, want := range []string{
		`{"type":2,"invocationId":"2","item":0}`, `{"type":2,"invocationId":"2","item":1}`, `{"type":3,"invocationId":"2"}`,
		`{"type":3,"invocationId":"3","error":"Failed to invoke 'NoSuch' due to an error on the server. HubException: Method does not exist."}`,
	} {
		if got[want] != 1 {
			t.Errorf("received %v, want %s", got, want)
		}
	}
	c.send(
		`{"type":1,"invocationId":"4","target":"Echo","arguments":["a"]}`,
		`{"type":1,"invocationId":"5","target":"NoSuch","arguments":[]}`,
	)
	close(hub.release)
	c.expect(`{"type":3,"invocationId":"1","result":"waited"}`, `{"type":3,"invocationId":"4","result":"a"}`,
		`{"type":3,"invocationId":"5","error":"Failed to invoke 'NoSuch' due to an error on the server. HubException: Method does not exist."}`)
}

func TestOneThousandCallsInOneFrameKeepTheirOrder(t *testing.T) {
	c := connect(t, serve(t, newHub(goodHub{newTestHub()}, testOptions())))
	var calls []string
	for i := range 1000 {
		calls = append(calls, fmt.Sprintf(`{"type":1,"invocationId":"%d","target":"Add","arguments":[%d,1]}`, i, i))
	}
	c.send(calls...)
	for i := range 1000 {
		c.expect(fmt.Sprintf(`{"type":3,"invocationId":"%d","result":%d}`, i, i+1))
	}
}

func TestClientResult(t *testing.T) {
	url := serve(t, newHub(goodHub{newTestHub()}, testOptions()))
	ask := func(t *testing.T) *client {
		c := connect(t, url)
		c.send(`{"type":1,"invocationId":"1","target":"Ask","arguments":[]}`)
		return c
	}
	for _, test := range []struct{ name, answer, want string }{
		{"a result", `"result":42`, `"result":42`},
		{"an error", `"error":"no"`, `"error":"An unexpected error occurred invoking 'Ask' on the server. HubException: no"`},
		{"neither", ``, `"error":"An unexpected error occurred invoking 'Ask' on the server. HubException: Exception of type 'Microsoft.AspNetCore.SignalR.HubException' was thrown."`},
	} {
		t.Run(test.name+" reaches the method", func(t *testing.T) {
			c := ask(t)
			id := c.question(`"target":"Question","arguments":["q"]`)
			c.call("2", "Echo", `["meanwhile"]`, `"result":"meanwhile"`)
			answer := test.answer
			if answer != "" {
				answer = "," + answer
			}
			c.send(`{"type":3,"invocationId":"` + id + `"` + answer + `}`)
			c.expect(`{"type":3,"invocationId":"1",` + test.want + `}`)
		})
	}
	t.Run("an answer from another connection closes that one", func(t *testing.T) {
		c, other := ask(t), connect(t, url)
		id := c.question(`"target":"Question","arguments":["q"]`)
		other.send(`{"type":3,"invocationId":"` + id + `","result":1}`)
		other.expect(`{"type":7,"error":"Connection closed with an error.","allowReconnect":true}`, `close 1000`)
		c.send(`{"type":3,"invocationId":"` + id + `","result":2}`)
		c.expect(`{"type":3,"invocationId":"1","result":2}`)
	})
}

func TestStreamsToTheClient(t *testing.T) {
	url := serve(t, newHub(goodHub{newTestHub()}, testOptions()))
	for _, test := range []struct {
		name, call string
		want       []string
	}{
		{"items, then the end", `"Count","arguments":[2]`, []string{`{"type":2,"invocationId":"1","item":0}`, `{"type":2,"invocationId":"1","item":1}`, `{"type":3,"invocationId":"1"}`}},
		{"items, then an error", `"CountThenFail","arguments":[1]`, []string{`{"type":2,"invocationId":"1","item":0}`, `{"type":3,"invocationId":"1","error":"An error occurred on the server while streaming results. HubException: no more"}`}},
		{"nil is no stream", `"NilStream","arguments":[]`, []string{`{"type":3,"invocationId":"1","error":"The value returned by the streaming method 'NilStream' is not a ChannelReader<> or IAsyncEnumerable<>."}`}},
		{"an ordinary method does not stream", `"Echo","arguments":["x"]`, []string{`{"type":3,"invocationId":"1","error":"The client attempted to invoke the non-streaming 'Echo' method with a streaming invocation."}`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := connect(t, url)
			c.send(`{"type":4,"invocationId":"1","target":` + test.call + `}`)
			c.expect(test.want...)
			c.call("2", "Echo", `["still here"]`, `"result":"still here"`)
		})
	}
	t.Run("a cancelled stream ends without an error", func(t *testing.T) {
		c := connect(t, url)
		c.send(`{"type":4,"invocationId":"1","target":"Endless","arguments":[]}`)
		c.expect(`{"type":2,"invocationId":"1","item":0}`, `{"type":2,"invocationId":"1","item":1}`)
		c.send(`{"type":4,"invocationId":"1","target":"Count","arguments":[1]}`, `{"type":5,"invocationId":"1"}`)
		inUse := `{"type":3,"invocationId":"1","error":"Invocation ID '1' is already in use."}`
		for seen := 0; seen < 2; {
			switch r := c.receive(); {
			case r == inUse, r == `{"type":3,"invocationId":"1"}`:
				seen++
			case !strings.HasPrefix(r, `{"type":2,`):
				t.Fatalf("received %s", r)
			}
		}
	})
}

func TestStreamsFromTheClient(t *testing.T) {
	url := serve(t, newHub(goodHub{newTestHub()}, testOptions()))
	item := func(v string) string { return `{"type":2,"invocationId":"s","item":` + v + `}` }
	const end, broken = `{"type":3,"invocationId":"s"}`, `{"type":3,"invocationId":"s","error":"lost it"}`
	up := func(target string) string {
		return `{"type":1,"invocationId":"1","target":"` + target + `","arguments":[],"streamIds":["s"]}`
	}
	for _, test := range []struct {
		name string
		send []string
		want string
	}{
		{"a channel gets the items", []string{up("Sum"), item("1"), item("2"), end}, `"result":3`},
		{"an iterator gets the items", []string{up("SumSeq"), item("1"), item("2"), end}, `"result":3`},
		{"an iterator yields the client's error", []string{up("SumSeq"), item("1"), broken}, `"error":"An unexpected error occurred invoking 'SumSeq' on the server. HubException: lost it"`},
		{"UploadError tells the client's error", []string{up("SumErr"), item("1"), broken}, `"result":"1 lost it"`},
		{"an item of the wrong type ends the stream", []string{up("SumErr"), item("1"), item(`"x"`), item("2")}, `"result":"1 Failed to bind Stream message."`},
		{"items of unknown streams are ignored", []string{`{"type":2,"invocationId":"u","item":1}`, `{"type":3,"invocationId":"u"}`, up("Sum"), end}, `"result":0`},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := connect(t, url)
			c.send(test.send...)
			c.expect(`{"type":3,"invocationId":"1",` + test.want + `}`)
		})
	}
	t.Run("both ways", func(t *testing.T) {
		c := connect(t, url)
		c.send(`{"type":4,"invocationId":"1","target":"Upper","arguments":[],"streamIds":["s"]}`, item(`"a"`), item(`"b"`), end)
		c.expect(`{"type":2,"invocationId":"1","item":"A"}`, `{"type":2,"invocationId":"1","item":"B"}`, `{"type":3,"invocationId":"1"}`)
	})
	t.Run("an id in use is refused and the first stream goes on", func(t *testing.T) {
		c := connect(t, url)
		c.send(up("Sum"), item("1"), `{"type":1,"invocationId":"2","target":"Sum","arguments":[],"streamIds":["s"]}`)
		c.expect(`{"type":3,"invocationId":"2","error":"An unexpected error occurred invoking 'Sum' on the server. HubException: Stream ID 's' is already in use."}`)
		c.send(item("2"), end)
		c.expect(`{"type":3,"invocationId":"1","result":3}`)
	})
}

func TestWaysAConnectionEnds(t *testing.T) {
	hub := newTestHub()
	url := serve(t, newHub(goodHub{hub}, testOptions()))
	const closedWithError = `{"type":7,"error":"Connection closed with an error.","allowReconnect":true}`
	for _, test := range []struct {
		name, send string
		want       []string
		cause      string
	}{
		{"Abort", `{"type":1,"target":"Abort","arguments":[]}`, []string{`{"type":7}`, "close 1000"}, "<nil>"},
		{"the client's Close", `{"type":7}`, []string{`{"type":7}`, "close 1000"}, "<nil>"},
		{"the client's Close with an error", `{"type":7,"error":"mine"}`, []string{`{"type":7}`, "close 1000"}, "mine"},
		{"a malformed message", `x`, []string{closedWithError, "close 1000"}, "Error reading JSON."},
		{"a message over the limit", strings.Repeat("x", 40000), []string{closedWithError, "close 1000"}, "The maximum message size of 32768B was exceeded. The message size can be configured in AddHubOptions."},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := connect(t, url)
			c.send(test.send)
			c.expect(test.want...)
			if got := fmt.Sprint(<-hub.ended); got != test.cause {
				t.Errorf("OnDisconnected got %q, want %q", got, test.cause)
			}
		})
	}
}

func TestGroupsAndOthers(t *testing.T) {
	hub := newHub(goodHub{newTestHub()}, testOptions())
	url := serve(t, hub)
	a, b, c := connect(t, url), connect(t, url), connect(t, url)
	a.call("1", "Join", `["g"]`, `"result":null`)
	b.call("1", "Join", `["g"]`, `"result":null`)
	c.call("1", "Nothing", `[]`, `"result":null`)
	a.call("2", "SendOthersInGroup", `["g","x"]`, `"result":null`)
	b.expect(`{"type":1,"target":"M","arguments":["x"]}`)
	if err := hub.Clients().All().Send(t.Context(), "M", "all"); err != nil {
		t.Fatal(err)
	}
	for _, client := range []*client{a, b, c} {
		client.expect(`{"type":1,"target":"M","arguments":["all"]}`)
	}
	if err := hub.Clients().All().Send(t.Context(), "M", func() {}); err == nil {
		t.Error("Send of a func = nil, want an error")
	}
	a.call("3", "Echo", `["unharmed"]`, `"result":"unharmed"`)
}

func TestBadHubsAreRefusedWithReasons(t *testing.T) {
	err := refusal(newTestHub(), nil)
	var bad *server.HubTypeError
	if !errors.As(err, &bad) || !strings.Contains(err.Error(), "method Bad: a result of type func() cannot be sent") {
		t.Errorf("NewHub = %v, want the reason against Bad", err)
	}
	defer func() {
		if _, ok := recover().(*server.HubTypeError); !ok {
			t.Error("NewHub did not panic with a *HubTypeError")
		}
	}()
	server.MustHub(newTestHub(), nil)
}

func TestShutdownSaysFarewell(t *testing.T) {
	hub := newHub(goodHub{newTestHub()}, testOptions())
	c := connect(t, serve(t, hub))
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
		defer cancel()
		done <- hub.Shutdown(ctx)
	}()
	c.expect(`{"type":7,"allowReconnect":true}`, "close 1000")
	_ = c.conn.Close()
	if err := <-done; err != nil {
		t.Errorf("Shutdown = %v", err)
	}
}
