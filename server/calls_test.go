package server_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/hubtest"
	"github.com/hubwire/hubwire/server"
)

// A callHub has methods of every shape that is called and answered.
type callHub struct {
	sync.Mutex // Lock and Unlock must not be reachable
	release    chan struct{}
}

func newCallHub() *callHub { return &callHub{release: make(chan struct{})} }

func (h *callHub) Echo(text string) string     { return text }
func (h *callHub) Add(a, b int) int            { return a + b }
func (h *callHub) Nothing()                    {}
func (h *callHub) Fails() error                { return errors.New("secret") }
func (h *callHub) FailsHub() (int, error)      { return 0, server.NewHubError("told %d", 1) }
func (h *callHub) Panics() int                 { panic("oh") }
func (h *callHub) ID(call *server.Call) string { return call.ConnectionID() }
func (h *callHub) Renamed() string             { return "renamed" }
func (h *callHub) Secret() string              { return "secret" }
func (h *callHub) Wait() string                { <-h.release; return "waited" }
func (h *callHub) Until(call *server.Call) error {
	<-call.Context().Done()
	return call.Context().Err()
}
func (h *callHub) Count(n int) <-chan int                      { return numbers(n) }
func (h *callHub) Sum(items <-chan int) int                    { return len(slices.Collect(all(items))) }
func (h *callHub) OnDisconnected(call *server.Call, err error) {}
func (h *callHub) FailsTyped() error {
	return server.WithErrorType("InvalidOperationException", errors.New("typed"))
}

func (h *callHub) Tell(call *server.Call, text string) error {
	return call.Clients().Caller().Send(call.Context(), "M", text)
}

// numbers is a channel of the first n numbers.
func numbers(n int) <-chan int {
	ch := make(chan int, n)
	for i := range n {
		ch <- i
	}
	close(ch)
	return ch
}

func all(items <-chan int) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for i := range items {
			if !yield(i) {
				return
			}
		}
	}
}

func callOptions() *server.Options {
	return &server.Options{Methods: map[string]server.MethodOptions{
		"Renamed": {Name: "other"},
		"Secret":  {Authorize: server.RequireUser},
	}}
}

func TestCallsAreAnswered(t *testing.T) {
	const unknown = "HubException: Method does not exist."
	list := func(args ...any) []any { return args }
	forEachMode(t, func(t *testing.T, m mode) {
		c := m.connect(m.node(t, newCallHub(), callOptions()))
		for _, test := range []struct {
			name, method string
			args         []any
			want         any
		}{
			{"a result is sent", "Echo", list("hi"), "hi"},
			{"names match without case", "eCHO", list("hi"), "hi"},
			{"a method without result answers null", "Nothing", nil, nil},
			{"several arguments are bound in order", "Add", list(1, 2), 3},
			{"a renamed method is known by its name", "OTHER", nil, "renamed"},
		} {
			var got any
			if err := c.Invoke(&got, test.method, test.args...); err != nil || fmt.Sprint(got) != fmt.Sprint(test.want) {
				t.Errorf("%s: %v, %v; want %v", test.name, got, err, test.want)
			}
		}
		for _, test := range []struct {
			name, method string
			args         []any
			want         string
		}{
			{"an error stays secret", "Fails", nil, threw("Fails", "")},
			{"an error with a type stays secret", "FailsTyped", nil, threw("FailsTyped", "")},
			{"a hub error is told", "FailsHub", nil, threw("FailsHub", "HubException: told 1")},
			{"a panic is an error", "Panics", nil, threw("Panics", "")},
			{"an unknown method is an error", "NoSuch", nil, failedToInvoke("NoSuch", unknown)},
			{"the Go name of a renamed method is unknown", "Renamed", nil, failedToInvoke("Renamed", unknown)},
			{"embedded methods of others are unknown", "Lock", nil, failedToInvoke("Lock", unknown)},
			{"hooks are unknown", "OnDisconnected", list(nil), failedToInvoke("OnDisconnected", unknown)},
			{"too few arguments are an error", "add", list(1), failedToInvoke("Add", "")},
			{"too many arguments are an error", "Add", list(1, 2, 3), failedToInvoke("Add", "")},
			{"an argument of the wrong type is an error", "Add", list("1", 2), failedToInvoke("Add", "")},
			{"null for a number is an error", "Add", list(nil, 2), failedToInvoke("Add", "")},
			{"who is not allowed is told so", "Secret", nil, "Failed to invoke 'Secret' because user is unauthorized"},
			{"a streaming method needs a streaming call", "Count", list(1), "The client attempted to invoke the streaming 'Count' method with a non-streaming invocation."},
			{"a stream too few is an error", "Sum", nil, threw("Sum", "HubException: Client sent 0 stream(s), Hub method expects 1.")},
			{"a stream too many is an error", "Nothing", list(numbers(1)), threw("Nothing", "HubException: Client sent 1 stream(s), Hub method expects 0.")},
		} {
			wantError(t, test.name, c.Invoke(nil, test.method, test.args...), test.want)
			wantResult(t, c, "still here", "Echo", "still here")
		}
	})
}

func TestDetailedErrors(t *testing.T) {
	forEachMode(t, func(t *testing.T, m mode) {
		opts := callOptions()
		opts.EnableDetailedErrors = true
		c := m.connect(m.node(t, newCallHub(), opts))
		for _, test := range []struct {
			method string
			args   []any
			want   string
		}{
			{"Fails", nil, threw("Fails", "Exception: secret")},
			{"FailsTyped", nil, threw("FailsTyped", "InvalidOperationException: typed")},
			{"Add", []any{1}, failedToInvoke("Add", "InvalidDataException: Invocation provides 1 argument(s) but target expects 2.")},
			{"Add", []any{1, map[string]int{}}, failedToInvoke("Add", "InvalidDataException: Error binding arguments. Make sure that the types of the provided values match the types of the hub method being invoked.")},
		} {
			wantError(t, test.method, c.Invoke(nil, test.method, test.args...), test.want)
		}
	})
}

func TestCallsWithoutAnAnswerAreMade(t *testing.T) {
	forEachMode(t, func(t *testing.T, m mode) {
		n := m.node(t, newCallHub(), callOptions())
		c := m.connect(n)
		c.Send("NoSuch")
		c.Send("Add", "x")
		c.Send("Fails")
		c.Send("Tell", "made")
		c.Expect("M", "made")
		wantResult(t, c, "x", "Echo", "x")
		c.ExpectNone()
	})
}

// A busyHub counts how many of its calls run.
type busyHub struct {
	mu      sync.Mutex
	began   []int
	running int
	most    int
	gates   map[int]chan struct{}
}

func newBusyHub() *busyHub { return &busyHub{gates: map[int]chan struct{}{}} }

func (h *busyHub) gate(n int) chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gates[n] == nil {
		h.gates[n] = make(chan struct{})
	}
	return h.gates[n]
}

// Work returns when its gate is opened.
func (h *busyHub) Work(n int) int {
	h.mu.Lock()
	h.began = append(h.began, n)
	h.running++
	h.most = max(h.most, h.running)
	h.mu.Unlock()
	<-h.gate(n)
	h.mu.Lock()
	h.running--
	h.mu.Unlock()
	return n
}

func (h *busyHub) Quick(n int) int { return n }

func (h *busyHub) state() (began []int, running int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.began), h.running
}

// So many calls of one client run at a time as the options say; the others wait
// and begin in their order, each when one returns.
func TestCallsOfOneClientRunSoManyAtATime(t *testing.T) {
	const calls = 10
	forEachMode(t, func(t *testing.T, m mode) {
		h := newBusyHub()
		n := m.node(t, h, nil)
		c, other := m.connect(n), m.connect(n)
		var pending []*hubtest.Pending
		for i := range calls {
			pending = append(pending, c.Start("Work", i))
		}
		for done := range calls {
			time.Sleep(time.Second) // every call that may begin has begun
			began, running := h.state()
			if want := min(m.parallel, calls-done); running != want || len(began) != min(calls, done+m.parallel) {
				t.Fatalf("after %d calls %d run, %v have begun; want %d at a time", done, running, began, want)
			}
			wantResult(t, other, -1, "Quick", -1) // another client does not wait
			close(h.gate(done))
			var got int
			if err := pending[done].Wait(&got); err != nil || got != done {
				t.Errorf("Work(%d) = %d, %v", done, got, err)
			}
		}
		if began, _ := h.state(); m.parallel == 1 && !slices.IsSorted(began) {
			t.Errorf("they began in the order %v", began)
		}
		if h.most != m.parallel {
			t.Errorf("%d ran at a time, want %d", h.most, m.parallel)
		}
	})
}

// Calls that return at once are answered in their order where one runs at a
// time, and each once in any case, however long their queue is.
func TestManyCallsAreEachAnsweredOnce(t *testing.T) {
	forEachMode(t, func(t *testing.T, m mode) {
		c := m.connect(m.node(t, newBusyHub(), nil))
		var pending []*hubtest.Pending
		for i := range 300 {
			pending = append(pending, c.Start("Quick", i))
		}
		for i, p := range pending {
			var got int
			if err := p.Wait(&got); err != nil || got != i {
				t.Fatalf("Quick(%d) = %d, %v", i, got, err)
			}
		}
	})
}

func TestACancelledCallIsAnsweredAndItsContextEnds(t *testing.T) {
	forEachMode(t, func(t *testing.T, m mode) {
		c := m.connect(m.node(t, newCallHub(), callOptions()))
		first, second := c.Start("Until"), c.Start("Until")
		synctest.Wait()
		first.Cancel()
		wantError(t, "the call", first.Wait(nil), threw("Until", ""))
		time.Sleep(time.Second)
		select {
		case <-second.Done():
			t.Error("the other call has ended, too")
		default:
		}
		second.Cancel()
		wantError(t, "the other call", second.Wait(nil), threw("Until", ""))
		first.Cancel() // too late: nothing happens
		wantResult(t, c, "x", "Echo", "x")
	})
}

// Below: what clients see on the wire.

func TestNonBlockingCallsAreNeverAnswered(t *testing.T) {
	c := connect(t, serve(t, newHub(newCallHub(), callOptions())))
	c.send(
		`{"type":1,"target":"NoSuch","arguments":[]}`,
		`{"type":1,"target":"Add","arguments":["x"]}`,
		`{"type":1,"target":"Fails","arguments":[]}`,
		`{"type":1,"target":"Echo","arguments":["x"]}`,
	)
	c.call("1", "Echo", `["y"]`, `"result":"y"`)
}

func TestAMethodWithoutResultAnswersNull(t *testing.T) {
	c := connect(t, serve(t, newHub(newCallHub(), callOptions())))
	c.call("1", "Nothing", `[]`, `"result":null`)
	c.call("2", "Fails", `[]`, `"error":"`+threw("Fails", "")+`"`)
}

func TestSendsToTheCallerStandBeforeTheResult(t *testing.T) {
	c := connect(t, serve(t, newHub(newCallHub(), callOptions())))
	c.send(`{"type":1,"invocationId":"1","target":"Tell","arguments":["x"]}`)
	c.expect(`{"type":1,"target":"M","arguments":["x"]}`, `{"type":3,"invocationId":"1","result":null}`)
}

func TestSlowCallHoldsUpOnlyOrdinaryCalls(t *testing.T) {
	hub := newCallHub()
	c := connect(t, serve(t, newHub(hub, callOptions())))
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
	noSuch := func(id string) string {
		return `{"type":3,"invocationId":"` + id + `","error":"` + failedToInvoke("NoSuch", "HubException: Method does not exist.") + `"}`
	}
	for _, want := range []string{
		`{"type":2,"invocationId":"2","item":0}`, `{"type":2,"invocationId":"2","item":1}`, `{"type":3,"invocationId":"2"}`, noSuch("3"),
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
	c.expect(`{"type":3,"invocationId":"1","result":"waited"}`, `{"type":3,"invocationId":"4","result":"a"}`, noSuch("5"))
}

func TestOneThousandCallsInOneFrameKeepTheirOrder(t *testing.T) {
	c := connect(t, serve(t, newHub(newCallHub(), callOptions())))
	var calls []string
	for i := range 1000 {
		calls = append(calls, fmt.Sprintf(`{"type":1,"invocationId":"%d","target":"Add","arguments":[%d,1]}`, i, i))
	}
	c.send(calls...)
	for i := range 1000 {
		c.expect(fmt.Sprintf(`{"type":3,"invocationId":"%d","result":%d}`, i, i+1))
	}
}
