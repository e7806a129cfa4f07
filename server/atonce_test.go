package server_test

import (
	"context"
	"iter"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/hubwire/hubwire/internal/race"
	"github.com/hubwire/hubwire/server"
)

// meetingHub has calls that wait until so many run at once.
type meetingHub struct {
	mu   sync.Mutex
	here int
	all  chan struct{}
}

func (h *meetingHub) Meet(ctx context.Context, n int) error {
	h.mu.Lock()
	if h.all == nil {
		h.all = make(chan struct{})
	}
	all := h.all
	if h.here++; h.here == n {
		h.here, h.all = 0, nil
		close(all)
	}
	h.mu.Unlock()
	select {
	case <-all:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Calls that wait run at once, up to the bound, and do not hold each other up once it
// is seen that they wait.
func TestCallsThatWaitRunAtOnce(t *testing.T) {
	for _, m := range modes {
		if m.parallel == 1 {
			continue
		}
		inBubble(t, m.name, func(t *testing.T) {
			n := m.node(t, &meetingHub{}, &server.Options{})
			c := m.connect(n)
			for round := range 10 {
				began := time.Now()
				var calls sync.WaitGroup
				for range m.parallel {
					calls.Go(func() {
						if err := c.Invoke(nil, "Meet", m.parallel); err != nil {
							t.Errorf("round %d: %v", round, err)
						}
					})
				}
				calls.Wait()
				if took := time.Since(began); round >= 3 && took > 0 {
					t.Errorf("round %d took %v", round, took)
				}
				synctest.Wait()
			}
		})
	}
}

// tickingHub has streams that take as long as they are told.
type tickingHub struct{}

func (tickingHub) Tick(call *server.Call, wait time.Duration) iter.Seq[int] {
	return func(yield func(int) bool) {
		time.Sleep(wait)
		yield(1)
	}
}

// Streams have goroutines once one was long, and none once many were short.
func TestStreamsHaveGoroutinesWhileTheyAreLong(t *testing.T) {
	for _, m := range modes {
		inBubble(t, m.name, func(t *testing.T) {
			n := m.node(t, tickingHub{}, &server.Options{})
			c := m.connect(n)
			stream := func(wait time.Duration) {
				s, item := c.Stream("Tick", wait), 0
				if !s.Next(&item) || s.Next(&item) {
					t.Fatalf("the stream is not one item: %v", s.Err())
				}
				synctest.Wait()
			}
			for _, wait := range []time.Duration{0, time.Second, 0} {
				for range 200 {
					stream(wait)
				}
				if got := n.Hub().NeedsGoroutines("Tick"); got != (wait > 0) {
					t.Errorf("streams of %v have goroutines: %t", wait, got)
				}
			}
		})
	}
}

// waitingHub has calls that wait until they are told.
type waitingHub struct{ begun, over chan struct{} }

func (h *waitingHub) Wait() {
	h.begun <- struct{}{}
	<-h.over
}

func (h *waitingHub) Stream() iter.Seq[int] {
	h.Wait()
	return func(func(int) bool) {}
}

// Late waits, and so does its result while it is encoded.
func (h *waitingHub) Late() waitingResult {
	h.Wait()
	return waitingResult{h}
}

type waitingResult struct{ hub *waitingHub }

func (r waitingResult) MarshalJSON() ([]byte, error) {
	r.hub.Wait()
	return []byte(`"late"`), nil
}

func (h *waitingHub) Nap() { time.Sleep(5 * time.Millisecond) }

func (h *waitingHub) Echo(text string) string { return text }

// patient has hubs that do not ping, nor expect it.
func patient() *server.Options {
	return &server.Options{KeepAliveInterval: time.Hour, ClientTimeoutInterval: 3 * time.Hour}
}

// Quiet clients have no goroutines of their own on Linux. A call of one that waits holds up
// none of the others, though nothing detaches it, once such calls were seen to take long.
func TestACallThatWaitsHoldsUpNoOtherClient(t *testing.T) {
	before := runtime.GOMAXPROCS(1) // all clients are read by one goroutine
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
	h := &waitingHub{begun: make(chan struct{}), over: make(chan struct{})}
	hub := newHub(h, patient())
	url := serve(t, hub)
	var clients []*client
	for range 10 {
		clients = append(clients, connect(t, url))
	}
	hub.DetachNothing()
	t.Cleanup(func() { close(h.over) }) // before the node is closed
	hub.SetLong("Wait")
	hub.SetLong("Stream")
	for i, c := range clients[:len(clients)-1] {
		c.send([]string{
			`{"type":1,"target":"Wait","arguments":[]}`,
			`{"type":4,"invocationId":"2","target":"Stream","arguments":[]}`,
		}[i%2])
		<-h.begun
		for _, other := range clients[i+1:] {
			other.send(`{"type":1,"invocationId":"1","target":"Echo","arguments":["x"]}`)
			other.expect(`{"type":3,"invocationId":"1","result":"x"}`)
		}
	}
}

// A user's id that takes time to find, as from a database, is found while others are read.
func TestAUserIDThatWaitsHoldsUpNoOtherClient(t *testing.T) {
	before := runtime.GOMAXPROCS(1) // all clients are read by one goroutine
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
	h := &waitingHub{begun: make(chan struct{}), over: make(chan struct{})}
	opts := patient()
	opts.UserID = func(r *http.Request, _ server.User) string {
		if r.URL.Query().Has("slow") {
			h.Wait()
		}
		return "x"
	}
	url := serve(t, newHub(h, opts))
	quiet, late := connect(t, url), dial(t, url, "?slow")
	t.Cleanup(func() { close(h.over) }) // before the node is closed
	late.send(`{"protocol":"json","version":1}`)
	<-h.begun
	quiet.call("1", "Echo", `["x"]`, `"result":"x"`)
	h.over <- struct{}{}
	late.expect(`{}`)
}

// A call that has waited writes its own answer. What others send its client goes out meanwhile,
// however long it takes to encode that.
func TestAnAnswerThatWaitsHoldsUpNothingElse(t *testing.T) {
	h := &waitingHub{begun: make(chan struct{}), over: make(chan struct{})}
	hub := newHub(h, patient())
	c := connect(t, serve(t, hub))
	c.send(`{"type":1,"invocationId":"1","target":"Late","arguments":[]}`)
	<-h.begun
	if err := wsutil.WriteClientMessage(c.conn, ws.OpPing, []byte("detached")); err != nil {
		t.Fatal(err)
	}
	if pong := c.frame(); pong != "detached" { // another goroutine reads
		t.Fatalf("a ping was answered by %q", pong)
	}
	h.over <- struct{}{}
	<-h.begun
	if err := hub.Clients().All().Send(t.Context(), "Sent"); err != nil {
		t.Error(err)
	}
	c.expect(`{"type":1,"target":"Sent","arguments":[]}`)
	h.over <- struct{}{}
	c.expect(`{"type":3,"invocationId":"1","result":"late"}`)
}

// The read buffer of a call that was detached is used again.
func TestACallThatWaitsAllocatesNoReadBuffer(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector drops what pools keep")
	}
	c := connect(t, serve(t, newHub(&waitingHub{}, patient())))
	const calls = 100
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range calls {
		c.send(`{"type":1,"invocationId":"1","target":"Nap","arguments":[]}`)
		c.expect(`{"type":3,"invocationId":"1","result":null}`)
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / calls; each > 16<<10 {
		t.Errorf("a call has allocated %d bytes, of which 32 KiB are a read buffer", each)
	}
}
