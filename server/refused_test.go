package server_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/server"
)

// A guardedHub has a method of each kind, all with an Authorize.
type guardedHub struct{}

func (guardedHub) Plain(int)                              {}
func (guardedHub) Stream(int) <-chan int                  { return nil }
func (guardedHub) Items(context.Context, int, <-chan int) {}
func (guardedHub) Open(ctx context.Context)               { <-ctx.Done() }

// TestTheContextOfARefusedCallEnds: Authorize may use it before the call is refused,
// and a client must not make contexts that live as long as its connection.
func TestTheContextOfARefusedCallEnds(t *testing.T) {
	for name, test := range map[string]struct {
		denied bool
		call   string
		before string // a record that comes first
	}{
		"a plain call that is denied":         {denied: true, call: `{"type":1,"invocationId":"1","target":"Plain","arguments":[1]}`},
		"a plain call that wants a stream":    {call: `{"type":4,"invocationId":"1","target":"Plain","arguments":[1]}`},
		"a stream that is denied":             {denied: true, call: `{"type":4,"invocationId":"1","target":"Stream","arguments":[1]}`},
		"a stream that is called as a method": {call: `{"type":1,"invocationId":"1","target":"Stream","arguments":[1]}`},
		"a stream with an id in use": {
			call:   `{"type":4,"invocationId":"open","target":"Stream","arguments":[1]}`,
			before: `{"type":1,"invocationId":"open","target":"Open","arguments":[]}`,
		},
		"a stream that nobody opened":   {call: `{"type":4,"invocationId":"1","target":"Stream","arguments":[1],"streamIds":["s"]}`},
		"an upload that is denied":      {denied: true, call: `{"type":1,"invocationId":"1","target":"Items","arguments":[1],"streamIds":["s"]}`},
		"an upload that wants a stream": {call: `{"type":4,"invocationId":"1","target":"Items","arguments":[1],"streamIds":["s"]}`},
		"an upload without its stream":  {call: `{"type":1,"invocationId":"1","target":"Items","arguments":[1]}`},
		"one stream more than there may be": {
			call:   `{"type":4,"invocationId":"1","target":"Stream","arguments":[1]}`,
			before: `{"type":1,"invocationId":"2","target":"Items","arguments":[1],"streamIds":["s"]}`,
		},
	} {
		inBubble(t, name, func(t *testing.T) {
			var mu sync.Mutex
			var last context.Context
			guarded := server.MethodOptions{Authorize: func(call *server.Call) error {
				mu.Lock()
				defer mu.Unlock()
				last = call.Context()
				if test.denied {
					return errors.New("no")
				}
				return nil
			}}
			hub := newHub(guardedHub{}, &server.Options{
				MaximumStreamsPerClient:             1,
				MaximumParallelInvocationsPerClient: 2,
				Methods:                             map[string]server.MethodOptions{"Plain": guarded, "Stream": guarded, "Items": guarded},
			})
			c := openFake(t, hub)
			c.say(`{"protocol":"json","version":1}`)
			if test.before != "" {
				c.say(test.before)
				time.Sleep(time.Second) // it keeps its goroutine
			}
			c.say(test.call)
			synctest.Wait()
			mu.Lock()
			if last == nil || last.Err() == nil {
				t.Errorf("the context of the call is %v, want one that has ended", last)
			}
			mu.Unlock()
			c.end(t, hub)
		})
	}
}

// keptHub has methods that stream, of which Authorize keeps the Call.
type keptHub struct{}

func (keptHub) Numbers() <-chan int          { return numbers(1) }
func (keptHub) Sum(items <-chan int) (n int) { return n + <-items }

// TestAuthorizeMayGiveItsCallToAGoroutine, which uses it while the call begins. The race
// detector finds what is wrong.
func TestAuthorizeMayGiveItsCallToAGoroutine(t *testing.T) {
	var tasks sync.WaitGroup
	defer tasks.Wait()
	done, cancel := context.WithCancel(t.Context())
	cancel()
	guarded := server.MethodOptions{Authorize: func(call *server.Call) error {
		tasks.Go(func() {
			for range 30 {
				_ = call.Clients().Caller().Invoke(done, nil, "Q")
				_, _, _ = call.Arguments(), call.UploadError(), call.Context().Err()
			}
		})
		return nil
	}}
	c := connect(t, serve(t, newHub(keptHub{}, &server.Options{Methods: map[string]server.MethodOptions{"Numbers": guarded, "Sum": guarded}})))
	for range 20 {
		for _, records := range [][]string{
			{`{"type":4,"invocationId":"1","target":"Numbers","arguments":[]}`},
			{`{"type":1,"invocationId":"1","target":"Sum","arguments":[],"streamIds":["s"]}`, `{"type":2,"invocationId":"s","item":1}`},
		} {
			c.send(records...)
			for !strings.HasPrefix(c.receive(), `{"type":3`) { // items, and questions
			}
		}
	}
}
