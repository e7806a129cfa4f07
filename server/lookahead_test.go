package server_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// cancelHub has methods that only a cancellation ends.
type cancelHub struct{ begun chan string }

func (h *cancelHub) UntilCancelled(name string, ctx context.Context) string {
	h.begun <- name
	<-ctx.Done()
	return name + " was cancelled"
}

func (h *cancelHub) SumUntilCancelled(ctx context.Context, items <-chan int) int {
	h.begun <- "sum"
	<-ctx.Done()
	sum := 0
	for range 10 { // what has found space before
		sum += <-items
	}
	return sum
}

func (*cancelHub) Echo(text string) string { return text }

// serveCancel serves a cancelHub, and tells which calls have begun.
func serveCancel(t *testing.T, parallel int) (url string, begun chan string) {
	begun = make(chan string, 10)
	return serve(t, newHub(&cancelHub{begun}, &server.Options{MaximumParallelInvocationsPerClient: parallel})), begun
}

func callUntil(id, name string) string {
	return fmt.Sprintf(`{"type":1,"invocationId":"%s","target":"UntilCancelled","arguments":["%s"]}`, id, name)
}

func callEcho(id string) string {
	return fmt.Sprintf(`{"type":1,"invocationId":"%s","target":"Echo","arguments":["%s"]}`, id, id)
}

func callCancel(id string) string { return fmt.Sprintf(`{"type":5,"invocationId":"%s"}`, id) }

func answerOf(id, value string) string {
	return fmt.Sprintf(`{"type":3,"invocationId":"%s","result":"%s"}`, id, value)
}

// TestACancellationIsReadWhileACallWaits: ASP.NET Core 11 reads nothing while a
// call waits for a permit, so that it hangs here.
func TestACancellationIsReadWhileACallWaits(t *testing.T) {
	for _, pieces := range []string{"one frame", "many"} {
		t.Run(pieces, func(t *testing.T) {
			url, begun := serveCancel(t, 1)
			c := connect(t, url)
			records := []string{callUntil("1", "first"), callEcho("2"), callEcho("3"), callCancel("1"), callEcho("4")}
			if pieces == "one frame" {
				c.send(records...)
			} else {
				for _, r := range records {
					c.send(r)
				}
			}
			c.expect(answerOf("1", "first was cancelled"), answerOf("2", "2"), answerOf("3", "3"), answerOf("4", "4"))
			<-begun
		})
	}
}

// plainCancelHub has a method that takes no context, and finds it in its Call.
type plainCancelHub struct{}

func (plainCancelHub) Until(call *server.Call) { <-call.Context().Done() }

// TestACancellationRightBehindItsCallIsSeen, though the call has a goroutine of its
// own that has not begun.
func TestACancellationRightBehindItsCallIsSeen(t *testing.T) {
	call := func(id string) string {
		return fmt.Sprintf(`{"type":1,"invocationId":"%s","target":"Until","arguments":[]}`, id)
	}
	for name, records := range map[string][]string{
		"dispatched": {call("1"), callCancel("1"), call("2"), callCancel("2"), call("3"), callCancel("3")},
		"read ahead": {call("1"), call("2"), call("3"), callCancel("1"), callCancel("2"), callCancel("3")},
	} {
		inBubble(t, name, func(t *testing.T) {
			hub := newHub(plainCancelHub{}, &server.Options{MaximumParallelInvocationsPerClient: 2})
			for !hub.NeedsGoroutines("Until") {
				hub.SetLong("Until")
			}
			c := openFake(t, hub)
			c.say(`{"protocol":"json","version":1}`)
			for i := 1; i <= 20; i++ {
				c.say(strings.Join(records, "\x1e"))
				time.Sleep(time.Second)
				if got := c.count(`"type":3`); got != 3*i {
					t.Fatalf("%d calls of %d were cancelled", got, 3*i)
				}
			}
			c.end(t, hub)
		})
	}
}

func (plainCancelHub) Echo(text string) string { return text }

// TestALeaderThatWaitsIsNotWatched, though it has run a call before: there would be
// too few slots for those that run some, and the watch would never end.
func TestALeaderThatWaitsIsNotWatched(t *testing.T) {
	inBubble(t, "for a permit", func(t *testing.T) {
		hub := newHub(plainCancelHub{}, &server.Options{MaximumParallelInvocationsPerClient: 2})
		for !hub.NeedsGoroutines("Until") {
			hub.SetLong("Until")
		}
		c := openFake(t, hub)
		c.say(`{"protocol":"json","version":1}`)
		until := func(id string) string {
			return fmt.Sprintf(`{"type":1,"invocationId":"%s","target":"Until","arguments":[]}`, id)
		}
		c.say(strings.Join([]string{until("1"), until("2"), until("3"), callEcho("4"), until("5"), until("6")}, "\x1e"))
		c.say(callCancel("1")) // 3 has its permit, on a goroutine of its own
		c.say(callCancel("2")) // 4 has it, and when it is over 5; the leader waits with 6
		time.Sleep(time.Second)
		if got := c.count(answerOf("4", "4")); got != 1 {
			t.Fatalf("%d answers to the short call, want 1", got)
		}
		if hub.IsWatching() {
			t.Error("a leader that waits is watched")
		}
		c.end(t, hub)
	})
}

// TestACancellationIsForTheCallBeforeIt: one that follows a call with the same
// id is for that one, and is not read ahead.
func TestACancellationIsForTheCallBeforeIt(t *testing.T) {
	url, begun := serveCancel(t, 2)
	c := connect(t, url)
	c.send(callUntil("1", "first"))
	<-begun
	c.send(callUntil("9", "ninth"))
	<-begun
	c.send(callUntil("1", "second"), callCancel("1"), callCancel("9")) // the second waits for a permit
	c.expect(answerOf("9", "ninth was cancelled"),
		`{"type":3,"invocationId":"1","error":"Invocation ID '1' is already in use."}`,
		answerOf("1", "first was cancelled"))
}

// TestACancellationIsReadWhileAnUploadIsFull: items that find no space do not
// keep the server from reading what ends the method.
func TestACancellationIsReadWhileAnUploadIsFull(t *testing.T) {
	url, begun := serveCancel(t, 1)
	c := connect(t, url)
	records := []string{`{"type":1,"invocationId":"1","target":"SumUntilCancelled","arguments":[],"streamIds":["s"]}`}
	for range 20 {
		records = append(records, `{"type":2,"invocationId":"s","item":1}`)
	}
	c.send(append(records, callCancel("1"), callEcho("2"))...)
	<-begun
	got := []string{c.receive(), c.receive()}
	slices.Sort(got) // the call with the upload runs beside the other
	if want := []string{`{"type":3,"invocationId":"1","result":10}`, answerOf("2", "2")}; !slices.Equal(got, want) {
		t.Errorf("received %q, want %q", got, want)
	}
}

// A countedCodec counts how often it is asked for a message.
type countedCodec struct {
	protocol.JSON
	asked *atomic.Int64
}

func (c countedCodec) Next(buf []byte) (protocol.Message, []byte, error) {
	c.asked.Add(1)
	return c.JSON.Next(buf)
}

func (c countedCodec) Missing(buf []byte, seen int) int {
	n, _ := protocol.Missing(c.JSON, buf, seen)
	return n
}

// A slowHub takes an item every ten milliseconds.
type slowHub struct{}

func (slowHub) Slow(items <-chan int) (sum int) {
	for n := range items {
		time.Sleep(10 * time.Millisecond)
		sum += n
	}
	return sum
}

// TestWhatWaitsIsLookedAtOnce: a leader that waits for each of many items, all of
// which have come, must not make the server look at those behind it each time.
func TestWhatWaitsIsLookedAtOnce(t *testing.T) {
	const items = 500
	var upload strings.Builder
	upload.WriteString(`{"type":1,"invocationId":"1","target":"Slow","arguments":[],"streamIds":["s"]}`)
	for range items {
		upload.WriteString("\x1e" + `{"type":2,"invocationId":"s","item":1}`)
	}
	upload.WriteString("\x1e" + `{"type":3,"invocationId":"s"}`)
	for name, pieces := range map[string]int{"in one frame": 1 << 20, "in many": 100} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var asked atomic.Int64
				hub := newHub(slowHub{}, &server.Options{StreamBufferCapacity: 1, ClientTimeoutInterval: -1, Protocols: []protocol.Codec{countedCodec{asked: &asked}}})
				c := openFake(t, hub)
				c.say(`{"protocol":"json","version":1}`)
				time.Sleep(time.Second)
				for text := range slices.Chunk([]byte(upload.String()+"\x1e"), pieces) {
					c.in <- ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame(text)))
				}
				time.Sleep(time.Minute)
				if c.count(fmt.Sprintf(`"result":%d`, items)) != 1 {
					t.Errorf("no sum of %d items was answered", items)
				}
				// Each message is read ahead once and dispatched once.
				if n := asked.Load(); n > 2*(items+10) {
					t.Errorf("%d messages were looked at %d times", items+2, n)
				}
				c.end(t, hub)
			})
		})
	}
}

// TestIdsOfCancellableCallsAreReserved, and no others are.
func TestIdsOfCancellableCallsAreReserved(t *testing.T) {
	url, begun := serveCancel(t, 4)
	c := connect(t, url)
	c.send(callUntil("1", "first"))
	<-begun
	c.send(callUntil("1", "second"))
	c.expect(`{"type":3,"invocationId":"1","error":"Invocation ID '1' is already in use."}`)
	c.send(callEcho("1")) // nobody looks: it takes no context
	c.expect(answerOf("1", "1"))
	c.send(callCancel("1"))
	c.expect(answerOf("1", "first was cancelled"))
	c.send(callUntil("1", "third"))
	<-begun
	c.send(callCancel("1"))
	c.expect(answerOf("1", "third was cancelled"))
}

func TestAContextMayStandAnywhereAndIsNoArgument(t *testing.T) {
	url, begun := serveCancel(t, 1)
	c := connect(t, url)
	c.send(`{"type":1,"invocationId":"1","target":"UntilCancelled","arguments":["a",null]}`)
	c.expect(`{"type":3,"invocationId":"1","error":"Failed to invoke 'UntilCancelled' due to an error on the server."}`)
	c.send(callUntil("2", "b"))
	<-begun
	c.send(callCancel("2"))
	c.expect(answerOf("2", "b was cancelled"))
}
