package server_test

import (
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/hubtest"
	"github.com/hubwire/hubwire/server"
)

// A streamHub streams to its clients in every way there is.
type streamHub struct{ open atomic.Int32 }

func (*streamHub) Echo(text string) string { return text }

func (*streamHub) Channel(n int) <-chan int { return numbers(n) }

func (*streamHub) Seq(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := 0; i < n && yield(i); i++ {
		}
	}
}

func (*streamHub) Seq2(n int) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := range n {
			if !yield(i, nil) {
				return
			}
		}
	}
}

func (*streamHub) ChannelOrError(n int) (<-chan int, error) {
	if n < 0 {
		return nil, server.NewHubError("negative")
	}
	return numbers(n), nil
}

func (*streamHub) CountThenFail(n int) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := range n {
			if !yield(i, nil) {
				return
			}
		}
		yield(0, server.NewHubError("no more"))
	}
}

func (*streamHub) CountThenPanic(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
		panic("oh")
	}
}

func (*streamHub) Nil() <-chan int { return nil }

// Endless streams until it is no longer wanted.
func (h *streamHub) Endless(call *server.Call) iter.Seq[int] {
	return func(yield func(int) bool) {
		h.open.Add(1)
		defer h.open.Add(-1)
		for i := 0; yield(i); i++ {
			select {
			case <-time.After(100 * time.Millisecond):
			case <-call.Context().Done():
				return
			}
		}
	}
}

// Silent streams nothing, and ends with its context.
func (h *streamHub) Silent(call *server.Call) <-chan int {
	ch := make(chan int)
	h.open.Add(1)
	go func() {
		defer h.open.Add(-1)
		defer close(ch)
		<-call.Context().Done()
	}()
	return ch
}

func TestStreamsToTheClient(t *testing.T) {
	forEachMode(t, func(t *testing.T, m mode) {
		c := m.connect(m.node(t, &streamHub{}, nil))
		for _, method := range []string{"Channel", "Seq", "Seq2", "ChannelOrError"} {
			for _, n := range []int{0, 1, 50} {
				if got := hubtest.List[int](c, method, n); !slices.Equal(got, slices.Collect(all(numbers(n)))) {
					t.Errorf("%s(%d) = %v", method, n, got)
				}
			}
		}
		for _, test := range []struct {
			name, method string
			args         []any
			items        int
			want         string
		}{
			{"items, then an error", "CountThenFail", []any{2}, 2, "An error occurred on the server while streaming results. HubException: no more"},
			{"an error at once", "CountThenFail", []any{0}, 0, "An error occurred on the server while streaming results. HubException: no more"},
			{"items, then a panic", "CountThenPanic", []any{2}, 2, "An error occurred on the server while streaming results."},
			{"an error instead of a stream", "ChannelOrError", []any{-1}, 0, threw("ChannelOrError", "HubException: negative")},
			{"nil is no stream", "Nil", nil, 0, "The value returned by the streaming method 'Nil' is not a ChannelReader<> or IAsyncEnumerable<>."},
			{"an ordinary method does not stream", "Echo", []any{"x"}, 0, "The client attempted to invoke the non-streaming 'Echo' method with a streaming invocation."},
			{"an unknown method", "NoSuch", nil, 0, failedToInvoke("NoSuch", "HubException: Method does not exist.")},
			{"arguments that do not fit", "Channel", []any{"x"}, 0, failedToInvoke("Channel", "")},
		} {
			s, n := c.Stream(test.method, test.args...), 0
			for item := 0; s.Next(&item); n++ {
				if item != n {
					t.Errorf("%s: item %d is %d", test.name, n, item)
				}
			}
			if n != test.items {
				t.Errorf("%s: %d items, want %d", test.name, n, test.items)
			}
			wantError(t, test.name, s.Err(), test.want)
			wantResult(t, c, "still here", "Echo", "still here")
		}
	})
}

// Streams of one client run side by side, whatever its calls do, and each has
// its own items in their order.
func TestStreamsOfOneClientRunSideBySide(t *testing.T) {
	forEachMode(t, func(t *testing.T, m mode) {
		h := &streamHub{}
		c := m.connect(m.node(t, h, nil))
		const streams, items = 20, 30
		var open []*hubtest.Stream
		for range streams {
			open = append(open, c.Stream("Endless"))
		}
		for want := range items {
			for i, s := range open {
				var got int
				if !s.Next(&got) || got != want {
					t.Fatalf("stream %d: item %d is %d, %v", i, want, got, s.Err())
				}
			}
			wantResult(t, c, "x", "Echo", "x")
		}
		if n := h.open.Load(); n != streams {
			t.Errorf("%d streams are open, want %d", n, streams)
		}
		for _, s := range open {
			s.Cancel()
		}
		for i, s := range open {
			for item := 0; s.Next(&item); {
			}
			if s.Err() != nil {
				t.Errorf("stream %d, cancelled, ends with %v", i, s.Err())
			}
		}
		synctest.Wait()
		if n := h.open.Load(); n != 0 {
			t.Errorf("%d streams go on", n)
		}
	})
}

// A stream ends with what it is for: when it is cancelled, when its client
// leaves, when the network breaks, when the hub is shut down.
func TestAStreamEndsWithItsClient(t *testing.T) {
	endings := map[string]func(t *testing.T, n *hubtest.Node, c *hubtest.Client, s *hubtest.Stream){
		"it is cancelled":    func(_ *testing.T, _ *hubtest.Node, _ *hubtest.Client, s *hubtest.Stream) { s.Cancel() },
		"the client leaves":  func(_ *testing.T, _ *hubtest.Node, c *hubtest.Client, _ *hubtest.Stream) { c.Close() },
		"the network is cut": func(_ *testing.T, _ *hubtest.Node, c *hubtest.Client, _ *hubtest.Stream) { c.Cut() },
		"the hub is shut down": func(t *testing.T, n *hubtest.Node, _ *hubtest.Client, _ *hubtest.Stream) {
			_ = n.Hub().Shutdown(t.Context())
		},
	}
	forEachMode(t, func(t *testing.T, m mode) {
		for name, end := range endings {
			for _, method := range []string{"Endless", "Silent"} {
				h := &streamHub{}
				n := m.node(t, h, nil)
				c := m.connect(n)
				s := c.Stream(method)
				time.Sleep(time.Second)
				if got := h.open.Load(); got != 1 {
					t.Fatalf("%s, %s: %d streams are open", method, name, got)
				}
				end(t, n, c, s)
				time.Sleep(time.Minute) // a connection without requests lives for a while
				if got := h.open.Load(); got != 0 {
					t.Errorf("%s, %s: it goes on", method, name)
				}
			}
		}
	})
}

// Below: what clients see on the wire.

func TestStreamsOnTheWire(t *testing.T) {
	url := serve(t, newHub(&streamHub{}, nil))
	for _, test := range []struct {
		name, call string
		want       []string
	}{
		{"items, then the end", `"Channel","arguments":[2]`, []string{`{"type":2,"invocationId":"1","item":0}`, `{"type":2,"invocationId":"1","item":1}`, `{"type":3,"invocationId":"1"}`}},
		{"items, then an error", `"CountThenFail","arguments":[1]`, []string{`{"type":2,"invocationId":"1","item":0}`, `{"type":3,"invocationId":"1","error":"An error occurred on the server while streaming results. HubException: no more"}`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := connect(t, url)
			c.send(`{"type":4,"invocationId":"1","target":` + test.call + `}`)
			c.expect(test.want...)
		})
	}
	t.Run("an id in use is refused, and a cancelled stream ends without an error", func(t *testing.T) {
		c := connect(t, url)
		c.send(`{"type":4,"invocationId":"1","target":"Endless","arguments":[]}`)
		c.expect(`{"type":2,"invocationId":"1","item":0}`, `{"type":2,"invocationId":"1","item":1}`)
		c.send(`{"type":4,"invocationId":"1","target":"Channel","arguments":[1]}`, `{"type":5,"invocationId":"1"}`)
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
	t.Run("an id is free again after the end", func(t *testing.T) {
		c := connect(t, url)
		for range 3 {
			c.send(`{"type":4,"invocationId":"1","target":"Channel","arguments":[1]}`)
			c.expect(`{"type":2,"invocationId":"1","item":0}`, `{"type":3,"invocationId":"1"}`)
		}
	})
}
