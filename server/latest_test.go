package server_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// A tickerHub has callers who want the latest only, if their query says so.
type tickerHub struct{ burstHub }

func (tickerHub) OnConnected(call *server.Call) error {
	switch call.Request().URL.Query().Get("want") {
	case "latest":
		call.SetSlowClientPolicy(server.DropOldest)
	case "all":
		call.SetSlowClientPolicy(server.CloseSlow)
	}
	return nil
}

func TestAClientThatWantsTheLatestGetsItAndEveryAnswer(t *testing.T) {
	for _, test := range []struct {
		query  string
		policy server.SlowClientPolicy
	}{{"", server.DropOldest}, {"?want=latest", server.CloseSlow}} {
		h := tickerHub{burstHub{make(chan error, 10)}}
		hub := newHub(h, &server.Options{SlowClients: test.policy, DropOldestLimit: 1 << 20})
		url := serve(t, hub)
		c := dial(t, url, test.query)
		c.handshake()
		c.call("1", "Echo", `["here"]`, `"result":"here"`)
		const messages = 3000
		for i := range messages { // 60 MB, which nobody reads
			if err := hub.Clients().All().Send(t.Context(), "M", i, strings.Repeat("x", 20_000)); err != nil {
				t.Fatal(err)
			}
			if i == messages/2 { // its answer waits among the texts
				c.send(echo("2", "answer"))
				if err := hub.Clients().All().Send(t.Context(), "M", -1, "marks the place"); err != nil {
					t.Fatal(err)
				}
			}
		}
		stats := hub.QueueStats()
		if stats.Dropped == 0 || stats.Bytes > 1<<20+40_000 {
			t.Errorf("%+v after 60 MB, want most of them dropped", stats)
		}
		last, answered, got := -1, false, 0
		for last < messages-1 || !answered {
			m, _, err := protocol.JSON{}.Next([]byte(c.receive() + "\x1e"))
			if err != nil {
				t.Fatal(err)
			}
			switch m := m.(type) {
			case *protocol.Completion:
				answered = true
			case *protocol.Invocation:
				n := 0
				if err := (protocol.JSON{}).Unmarshal(m.RawArguments[0], &n); err != nil || n != -1 && n <= last {
					t.Fatalf("%d behind %d, %v", n, last, err)
				}
				last = max(last, n)
				got++
			}
		}
		if uint64(got)+stats.Dropped < messages || stats.TooSlow != 0 {
			t.Errorf("%d received, %+v; want %d received or dropped, none closed", got, stats, messages)
		}
	}
}

func TestAStatefulClientIsClosedThoughItWantsTheLatest(t *testing.T) {
	h := tickerHub{burstHub{make(chan error, 10)}}
	hub := newHub(h, &server.Options{
		SlowClients: server.DropOldest, DropOldestLimit: 1000, QueueLimit: server.NewQueueLimit(1 << 20),
		Endpoint: server.EndpointOptions{AllowStatefulReconnects: true},
	})
	url := serve(t, hub)
	c := dial(t, url, negotiateStateful(t, hub))
	c.send(handshake2)
	c.expect(`{}`)
	c.send(echo("1", "here"))
	c.expect(answer("1", "here"))
	_ = c.conn.Close() // what it misses is kept
	for range 1000 {
		if err := hub.Clients().All().Send(t.Context(), "M", strings.Repeat("x", 20_000)); err != nil {
			t.Fatal(err)
		}
		select {
		case cause := <-h.ended:
			if !errors.Is(cause, server.ErrTooSlow) {
				t.Errorf("OnDisconnected got %v, want ErrTooSlow", cause)
			}
			if got := hub.QueueStats(); got.Bytes != 0 || got.Dropped != 0 || got.TooSlow != 1 {
				t.Errorf("%+v, want nothing queued or dropped, one closed", got)
			}
			return
		default:
		}
	}
	t.Error("20 MB are kept for a client without a socket")
}

func TestAStatefulClientIsTooSlowWhenItAcknowledgesNothingOfMuch(t *testing.T) {
	for _, test := range []struct {
		name string
		size int
		acks bool
		ends bool
	}{
		{"much, no Ack", 200_000, false, true},
		{"much, with Acks", 200_000, true, false},
		{"little, no Ack", 1000, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, hub := newBurstHub(&server.Options{Endpoint: server.EndpointOptions{AllowStatefulReconnects: true}})
				c := &bigFake{fakeClient: newFake()}
				openConn(hub, "/hub"+negotiateStateful(t, hub), c)
				c.say(handshake2)
				synctest.Wait()
				var ended time.Duration
				for i := range 50 { // a message each 10 s
					if err := hub.Clients().All().Send(t.Context(), "M", strings.Repeat("x", test.size)); err != nil {
						t.Fatal(err)
					}
					time.Sleep(10 * time.Second)
					if test.acks {
						c.say(`{"type":8,"sequenceId":` + itoa(i+1) + `}`)
					}
					synctest.Wait()
					select {
					case cause := <-h.ended:
						if ended = time.Since(c.start); !errors.Is(cause, server.ErrTooSlow) {
							t.Errorf("OnDisconnected got %v, want ErrTooSlow", cause)
						}
					default:
						continue
					}
					break
				}
				if (ended != 0) != test.ends || ended > 70*time.Second {
					t.Errorf("ended after %v, want an end: %v", ended, test.ends)
				}
				if test.ends {
					if got := hub.QueueStats(); got.Bytes != 0 || got.TooSlow != 1 {
						t.Errorf("%+v, want nothing queued, one closed", got)
					}
				}
				c.end(t, hub)
			})
		})
	}
}

// A bigFake takes frames of any size.
type bigFake struct{ *fakeClient }

func (c *bigFake) Write(p []byte) (int, error) { return len(p), nil }
