package hubtest_test

import (
	"errors"
	"iter"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/hubtest"
	"github.com/hubwire/hubwire/server"
)

// inBothWorlds runs a test in a bubble of synctest and outside of one, for each
// way to connect.
func inBothWorlds(t *testing.T, run func(t *testing.T, opts []hubtest.Option)) {
	for name, opts := range modes {
		t.Run(name, func(t *testing.T) { run(t, opts) })
		t.Run(name+", in a bubble", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { run(t, opts) })
		})
	}
}

func deskOptions() *server.Options {
	return &server.Options{Endpoint: server.EndpointOptions{AllowStatefulReconnects: true}}
}

func TestAClientCallsAndIsCalled(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, opts []hubtest.Option) {
		n := hubtest.New(t, newDesk(), deskOptions())
		c := n.Connect(slices.Concat(opts, []hubtest.Option{
			hubtest.User(server.User{ID: "alice"}), hubtest.Header("X-Test", "yes"), hubtest.Query("room", "a b&c"),
		})...)
		if got := hubtest.Result[int](c, "Add", 1, 2); got != 3 {
			t.Errorf("Add = %d", got)
		}
		for method, want := range map[string]string{"User": "alice"} {
			if got := hubtest.Result[string](c, method); got != want {
				t.Errorf("%s = %q, want %q", method, got, want)
			}
		}
		if got := hubtest.Result[string](c, "Header", "X-Test"); got != "yes" {
			t.Errorf("the header is %q", got)
		}
		if got := hubtest.Result[string](c, "Query", "room"); got != "a b&c" {
			t.Errorf("the query is %q", got)
		}
		if got := hubtest.Result[string](c, "ID"); got != c.ID() && c.ID() != "" {
			t.Errorf("the id is %q, the client's %q", got, c.ID())
		}
		err := c.Invoke(nil, "Fail")
		if call, ok := errors.AsType[*hubtest.CallError](err); !ok || !strings.HasSuffix(call.Text, "HubException: sold out") {
			t.Errorf("Fail: %v", err)
		}
		c.Send("Note", Note{ID: 1, Text: "<x>", Tags: []string{"a"}, More: map[string]any{"f": 1.5}})
		c.Expect("Noted", Note{ID: 1, Text: "<x>", Tags: []string{"a"}, More: map[string]any{"f": 1.5}}, 1)
		c.Do("Note", Note{ID: 2})
		var note Note
		var id int
		c.Next().Scan(&note, &id)
		if note.ID != 2 || id != 2 {
			t.Errorf("received %v, %d", note, id)
		}
		c.ExpectNone()
	})
}

func TestMessagesReachWhomTheyAreFor(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, opts []hubtest.Option) {
		n := hubtest.New(t, newDesk(), deskOptions())
		a, b, other := n.Connect(opts...), n.Connect(opts...), n.Connect()
		a.Do("Join", "g")
		b.Do("Join", "g")
		for _, text := range []string{"1", "2", "3"} {
			other.Do("Tell", "g", text)
		}
		for _, c := range []*hubtest.Client{a, b} {
			c.Expect("Told", "1")
			c.Expect("Told", "2")
			c.Expect("Told", "3")
			c.ExpectNone()
		}
		other.ExpectNone()
		if err := n.Hub().Clients().All().Send(t.Context(), "Bye"); err != nil {
			t.Error(err)
		}
		for _, c := range []*hubtest.Client{a, b, other} {
			c.Expect("Bye")
		}
	})
}

func TestTheHubAsksAndTheClientAnswers(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, opts []hubtest.Option) {
		n := hubtest.New(t, newDesk(), deskOptions())
		c := n.Connect(slices.Concat(opts, []hubtest.Option{hubtest.Handle("question", func(q string) string { return "to " + q })})...)
		if got := hubtest.Result[string](c, "Ask", "this"); got != "to this" {
			t.Errorf("Ask = %q", got)
		}
		c.On("Question", func(q string) (string, error) {
			var text string
			err := c.Invoke(&text, "Echo", q+"?") // a handler may call the hub
			return text, err
		})
		if got := hubtest.Result[string](c, "Ask", "that"); got != "that?" {
			t.Errorf("Ask = %q", got)
		}
		c.On("Question", func(q string) error { return errLost })
		if err := c.Invoke(nil, "Ask", "x"); err == nil || !strings.HasSuffix(err.Error(), "HubException: lost it") {
			t.Errorf("Ask of a client that fails: %v", err)
		}
		held := n.Connect(opts...)
		call := held.Start("Ask", "slowly")
		question := held.Expect("Question", "slowly")
		held.Do("Nothing") // the hub does not wait for the answer alone
		question.Answer("at last")
		var text string
		if err := call.Wait(&text); err != nil || text != "at last" {
			t.Errorf("Ask = %q, %v", text, err)
		}
		call = held.Start("Ask", "in vain")
		held.Next().AnswerError("no")
		if err := call.Wait(nil); err == nil || !strings.HasSuffix(err.Error(), "HubException: no") {
			t.Errorf("Ask that is answered with an error: %v", err)
		}
	})
}

func TestStreamsGoBothWays(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, opts []hubtest.Option) {
		n := hubtest.New(t, newDesk(), deskOptions())
		c := n.Connect(opts...)
		if got := hubtest.List[int](c, "Count", 3); !slices.Equal(got, []int{0, 1, 2}) {
			t.Errorf("Count = %v", got)
		}
		var last error
		for _, err := range hubtest.Items[int](c, "CountAndFail", 2) {
			last = err
		}
		if last == nil || !strings.HasSuffix(last.Error(), "HubException: no more") {
			t.Errorf("CountAndFail ends with %v", last)
		}
		for n := range hubtest.Items[int](c, "Endless") {
			if n == 5 {
				break
			}
		}
		s := c.Stream("Endless")
		var item int
		for want := range 3 {
			if !s.Next(&item) || item != want {
				t.Errorf("item %d is %d, %v", want, item, s.Err())
			}
		}
		s.Cancel()
		for s.Next(&item) {
		}
		if s.Err() != nil {
			t.Errorf("a stream that was cancelled: %v", s.Err())
		}
		if got := hubtest.Result[int](c, "Sum", slices.Values([]int{1, 2, 3})); got != 6 {
			t.Errorf("Sum = %d", got)
		}
		numbers := make(chan int)
		call := c.Start("Sum", numbers)
		for n := range 4 {
			numbers <- n
		}
		close(numbers)
		var sum int
		if err := call.Wait(&sum); err != nil || sum != 6 {
			t.Errorf("Sum = %d, %v", sum, err)
		}
		failing := iter.Seq2[int, error](func(yield func(int, error) bool) {
			if yield(1, nil) {
				yield(0, errLost)
			}
		})
		if err := c.Invoke(nil, "Sum", failing); err == nil || !strings.HasSuffix(err.Error(), "HubException: lost it") {
			t.Errorf("Sum of a stream that fails: %v", err)
		}
	})
}

func TestACallCanBeCancelled(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, opts []hubtest.Option) {
		c := hubtest.New(t, newDesk(), deskOptions()).Connect(opts...)
		call := c.Start("Wait")
		call.Cancel()
		if err := call.Wait(nil); err != nil {
			t.Errorf("Wait: %v", err)
		}
	})
}

func TestTheEndOfAConnectionHasAReason(t *testing.T) {
	t.Run("the server aborts", func(t *testing.T) {
		c := hubtest.New(t, newDesk(), nil).Connect()
		if err := c.Invoke(nil, "Leave"); !errors.Is(err, hubtest.ErrClosed) {
			t.Errorf("Leave: %v", err)
		}
		c.Wait()
		if err := c.Invoke(nil, "Nothing"); !errors.Is(err, hubtest.ErrClosed) {
			t.Errorf("a call after the end: %v", err)
		}
	})
	t.Run("the hub is shut down", func(t *testing.T) {
		n := hubtest.New(t, newDesk(), nil)
		c := n.Connect()
		if err := n.Hub().Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if end, ok := errors.AsType[*hubtest.CloseError](c.Wait()); !ok || !end.AllowReconnect || end.Text != "" {
			t.Errorf("the end is %v", end)
		}
	})
	for name, opts := range modes {
		if strings.Contains(name, "stateful") {
			continue // it waits for Reconnect
		}
		t.Run("the network is cut, "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				desk := newDesk()
				c := hubtest.New(t, desk, nil).Connect(opts...)
				c.Do("Nothing")
				c.Cut()
				if err := c.Wait(); err == nil {
					t.Error("the client has no error")
				}
				<-desk.ended
			})
		})
	}
	t.Run("OnConnected refuses", func(t *testing.T) {
		n := hubtest.New(t, refusing{}, nil)
		end, ok := errors.AsType[*hubtest.CloseError](n.Connect().Wait())
		if !ok || !strings.HasSuffix(end.Text, "not today") {
			t.Errorf("the end is %v", end)
		}
	})
}

type refusing struct{}

func (refusing) OnConnected(*server.Call) error { return server.NewHubError("not today") }

func TestWhoIsRefusedLearnsWhy(t *testing.T) {
	byToken := func(r *http.Request) (server.User, error) {
		if r.Header.Get("Authorization") != "Bearer good" {
			return server.User{}, server.ErrUnauthorized
		}
		return server.User{ID: "bob"}, nil
	}
	for name, opts := range map[string]*server.Options{
		"of the hub":      {Authenticate: byToken, Endpoint: server.EndpointOptions{AllowedTransports: server.WebSockets}},
		"of the endpoint": {Endpoint: server.EndpointOptions{Authenticate: byToken, AllowedTransports: server.WebSockets}},
	} {
		t.Run(name, func(t *testing.T) {
			n := hubtest.New(t, newDesk(), opts)
			_, err := n.TryConnect()
			if refused, ok := errors.AsType[*hubtest.RefusedError](err); !ok || refused.Status != http.StatusUnauthorized {
				t.Errorf("without a token: %v", err)
			}
			if _, err := n.TryConnect(hubtest.Header("Authorization", "Bearer good"), hubtest.Over(server.LongPolling)); err == nil {
				t.Error("a transport that is not allowed connects")
			}
			for want, o := range map[string]hubtest.Option{"bob": hubtest.Header("Authorization", "Bearer good"), "carol": hubtest.User(server.User{ID: "carol"})} {
				if got := hubtest.Result[string](n.Connect(o), "User"); got != want {
					t.Errorf("the user is %q, want %q", got, want)
				}
			}
		})
	}
}

func TestAStatefulClientGoesOnAfterACut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := hubtest.New(t, newDesk(), deskOptions())
		c := n.Connect(hubtest.Stateful())
		c.Do("Join", "g")
		c.Cut()
		synctest.Wait()
		n.Connect().Do("Tell", "g", "while you were out")
		id := c.ID()
		c.Reconnect()
		c.Expect("Told", "while you were out")
		if got := hubtest.Result[string](c, "ID"); got != id || c.ID() != id {
			t.Errorf("the id is %q, then %q", id, got)
		}
	})
}

func TestAnyOtherClientConnectsAnew(t *testing.T) {
	inBothWorlds(t, func(t *testing.T, opts []hubtest.Option) {
		n := hubtest.New(t, newDesk(), deskOptions())
		c := n.Connect(opts...)
		c.Do("Note", Note{ID: 1})
		c.Cut()
		c.Reconnect()
		c.Do("Note", Note{ID: 2})
		c.Expect("Noted", Note{ID: 1}, 1)
		c.Expect("Noted", Note{ID: 2}, 2)
	})
}

func TestTimeIsTheBubbles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := hubtest.New(t, newDesk(), nil)
		c := n.Connect(hubtest.Patience(2 * time.Hour))
		start := time.Now()
		if got := hubtest.Result[string](c, "Sleep", time.Hour); got != "rested" || time.Since(start) != time.Hour {
			t.Errorf("Sleep = %q after %v", got, time.Since(start))
		}
		c.Delay(3 * time.Second)
		start = time.Now()
		c.Do("Nothing")
		if took := time.Since(start); took != 6*time.Second {
			t.Errorf("a call over a slow network took %v", took)
		}
	})
}

func TestAClientThatDoesNotReadIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		desk := newDesk()
		n := hubtest.New(t, desk, nil)
		slow, other := n.Connect(), n.Connect()
		slow.StopReading()
		other.Do("Burst", 100) // more than the network takes
		for i := range 100 {
			other.Expect("Burst", i, strings.Repeat("x", 10_000))
		}
		start := time.Now()
		if err := <-desk.ended; err == nil || time.Since(start) > time.Minute {
			t.Errorf("OnDisconnected(%v) after %v", err, time.Since(start))
		}
	})
}

// A slowToConnect hub takes its time.
type slowToConnect struct{ connected *atomic.Bool }

func (h slowToConnect) OnConnected(*server.Call) error {
	time.Sleep(time.Second)
	h.connected.Store(true)
	return nil
}

func TestAClientThatConnectIsDoneWithIsKnown(t *testing.T) {
	for name, opts := range modes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := slowToConnect{&atomic.Bool{}}
				n := hubtest.New(t, h, deskOptions())
				c := n.Connect(opts...)
				if !h.connected.Load() {
					t.Error("OnConnected has not returned")
				}
				if err := n.Hub().Clients().All().Send(t.Context(), "M"); err != nil {
					t.Error(err)
				}
				c.Expect("M")
			})
		})
	}
}
