package server_test

import (
	"testing"
	"testing/synctest"
	"time"
)

// A gatesHub has a method that returns when its gate is opened.
type gatesHub struct{ gates [2]chan struct{} }

func (h gatesHub) Wait(gate int) { <-h.gates[gate] }

// The goroutine of a call that has waited for its permit leads, corks the
// connection, and is then kept by the call. It must not cork it once more when that
// returns: nobody would write what is sent until the client says something.
func TestNothingIsHeldBackAfterACallThatHasWaitedAndThenKeptItsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gates := [2]chan struct{}{make(chan struct{}), make(chan struct{})}
		hub := newHub(gatesHub{gates}, nil)
		c := openFake(t, hub)
		c.say(`{"protocol":"json","version":1}`)
		c.say(`{"type":1,"invocationId":"0","target":"Wait","arguments":[0]}` + "\x1e" + `{"type":1,"invocationId":"1","target":"Wait","arguments":[1]}`)
		for _, gate := range gates {
			time.Sleep(time.Second) // the call has begun, and keeps its goroutine
			close(gate)
		}
		time.Sleep(time.Second)
		if n := c.count(`"type":3`); n != 2 {
			t.Fatalf("%d calls are answered, want 2", n)
		}
		if err := hub.Clients().All().Send(t.Context(), "News"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if c.count("News") != 1 {
			t.Error("what was sent after the calls has not come")
		}
		c.end(t, hub)
	})
}
