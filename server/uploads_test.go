package server_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/hubtest"
	"github.com/hubwire/hubwire/server"
)

// An uploadHub takes streams of its clients in every way there is.
type uploadHub struct{ ended chan string }

func newUploadHub() uploadHub { return uploadHub{make(chan string, 100)} }

func (uploadHub) Echo(text string) string { return text }

func (uploadHub) Channel(items <-chan int) (sum int) {
	for i := range items {
		sum += i
	}
	return sum
}

func (uploadHub) Seq2(items iter.Seq2[int, error]) (sum int, err error) {
	for i, err := range items {
		if err != nil {
			return 0, err
		}
		sum += i
	}
	return sum, nil
}

// Both takes two streams, and arguments around them.
func (uploadHub) Both(prefix string, numbers <-chan int, texts <-chan string, suffix string) string {
	n := 0
	for range numbers {
		n++
	}
	return fmt.Sprint(prefix, n, strings.Join(slices.Collect(func(yield func(string) bool) {
		for text := range texts {
			if !yield(text) {
				return
			}
		}
	}), "+"), suffix)
}

func (uploadHub) Reason(call *server.Call, items <-chan int) string {
	n := 0
	for range items {
		n++
	}
	return fmt.Sprintf("%d %v", n, call.UploadError())
}

func (uploadHub) Upper(texts <-chan string) <-chan string {
	out := make(chan string)
	go func() {
		defer close(out)
		for text := range texts {
			out <- strings.ToUpper(text)
		}
	}()
	return out
}

// First returns without reading on.
func (uploadHub) First(items <-chan int) int { return <-items }

// Watch notes how its stream ends.
func (h uploadHub) Watch(call *server.Call, items <-chan int) {
	for range items {
	}
	h.ended <- fmt.Sprint(call.UploadError())
}

// failing is a stream that ends with an error.
func failing(n int, text string) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := range n {
			if !yield(i, nil) {
				return
			}
		}
		yield(0, errors.New(text))
	}
}

func TestStreamsFromTheClient(t *testing.T) {
	forEachMode(t, func(t *testing.T, m mode) {
		c := m.connect(m.node(t, newUploadHub(), nil))
		for _, n := range []int{0, 1, 100} { // StreamBufferCapacity is 10
			wantResult(t, c, n*(n-1)/2, "Channel", numbers(n))
			wantResult(t, c, n*(n-1)/2, "Seq2", numbers(n))
		}
		wantResult(t, c, "a3x+yb", "Both", "a", numbers(3), slices.Values([]string{"x", "y"}), "b")
		wantError(t, "an iterator yields the client's error", c.Invoke(nil, "Seq2", failing(2, "lost it")), threw("Seq2", "HubException: lost it"))
		wantResult(t, c, "2 lost it", "Reason", failing(2, "lost it"))
		wantResult(t, c, "1 Failed to bind Stream message.", "Reason", slices.Values([]any{1, "x", 2}))
		texts := make(chan string)
		s := c.Stream("Upper", texts)
		for _, text := range []string{"a", "b", "c"} {
			var got string
			if texts <- text; !s.Next(&got) || got != strings.ToUpper(text) {
				t.Errorf("Upper of %s is %s, %v", text, got, s.Err())
			}
		}
		close(texts)
		var got string
		if s.Next(&got) || s.Err() != nil {
			t.Errorf("Upper ends with %q, %v", got, s.Err())
		}
	})
}

// Many uploads at a time do not get into each other's way, nor do calls beside
// them wait, as streams are not counted.
func TestUploadsOfOneClientRunSideBySide(t *testing.T) {
	forEachMode(t, func(t *testing.T, m mode) {
		c := m.connect(m.node(t, newUploadHub(), nil))
		const uploads = 20
		var streams []chan int
		var calls []*hubtest.Pending
		for range uploads {
			items := make(chan int)
			streams, calls = append(streams, items), append(calls, c.Start("Channel", items))
		}
		for i := range 15 {
			for n, items := range streams {
				items <- i * n
			}
			wantResult(t, c, "x", "Echo", "x")
		}
		for n := range uploads { // the last one is the first to end
			at := uploads - 1 - n
			close(streams[at])
			var got int
			if err := calls[at].Wait(&got); err != nil || got != 105*at {
				t.Errorf("the sum of stream %d is %d, %v; want %d", at, got, err, 105*at)
			}
		}
	})
}

// A method may return before its stream has ended: what still comes is dropped.
func TestItemsThatNobodyReadsAreDropped(t *testing.T) {
	forEachMode(t, func(t *testing.T, m mode) {
		c := m.connect(m.node(t, newUploadHub(), nil))
		for range 3 {
			items := make(chan int)
			call := c.Start("First", items)
			items <- 7
			var got int
			if err := call.Wait(&got); err != nil || got != 7 {
				t.Errorf("First = %d, %v", got, err)
			}
			close(items)
		}
		wantResult(t, c, 7, "First", slices.Values(append([]int{7}, make([]int, 100)...)))
		wantResult(t, c, "x", "Echo", "x")
	})
}

// A stream whose client is gone ends, and the method sees why.
func TestAnUploadEndsWithItsClient(t *testing.T) {
	forEachMode(t, func(t *testing.T, m mode) {
		for name, end := range map[string]func(n *hubtest.Node, c *hubtest.Client){
			"the client leaves":    func(_ *hubtest.Node, c *hubtest.Client) { c.Close() },
			"the network is cut":   func(_ *hubtest.Node, c *hubtest.Client) { c.Cut() },
			"the hub is shut down": func(n *hubtest.Node, _ *hubtest.Client) { _ = n.Hub().Shutdown(context.Background()) },
		} {
			h := newUploadHub()
			n := m.node(t, h, nil)
			c := m.connect(n)
			items := make(chan int)
			c.Send("Watch", items)
			items <- 1
			time.Sleep(time.Second)
			end(n, c)
			time.Sleep(time.Minute)
			select {
			case reason := <-h.ended:
				if reason == "<nil>" {
					t.Errorf("%s: the stream ends as if its client had ended it", name)
				}
			default:
				t.Errorf("%s: the stream goes on", name)
			}
			close(items)
			synctest.Wait()
		}
	})
}

// Below: what clients see on the wire.

func TestUploadsOnTheWire(t *testing.T) {
	url := serve(t, newHub(newUploadHub(), nil))
	item := func(v string) string { return `{"type":2,"invocationId":"s","item":` + v + `}` }
	const end = `{"type":3,"invocationId":"s"}`
	up := func(id string) string {
		return `{"type":1,"invocationId":"` + id + `","target":"Channel","arguments":[],"streamIds":["s"]}`
	}
	t.Run("items of unknown streams are ignored", func(t *testing.T) {
		c := connect(t, url)
		c.send(`{"type":2,"invocationId":"u","item":1}`, `{"type":3,"invocationId":"u"}`, up("1"), end)
		c.expect(`{"type":3,"invocationId":"1","result":0}`)
	})
	t.Run("an id in use is refused and the first stream goes on", func(t *testing.T) {
		c := connect(t, url)
		c.send(up("1"), item("1"), up("2"))
		c.expect(`{"type":3,"invocationId":"2","error":"` + threw("Channel", "HubException: Stream ID 's' is already in use.") + `"}`)
		c.send(item("2"), end)
		c.expect(`{"type":3,"invocationId":"1","result":3}`)
	})
	t.Run("an id is free again after the end", func(t *testing.T) {
		c := connect(t, url)
		for range 3 {
			c.send(up("1"), item("4"), end)
			c.expect(`{"type":3,"invocationId":"1","result":4}`)
		}
	})
}
