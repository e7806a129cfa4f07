package server_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// A pacedConn takes what is written to it after a pause, or when it is closed.
type pacedConn struct {
	*fakeClient
	pause  atomic.Int64 // a time.Duration
	closed chan struct{}
}

func (c *pacedConn) Write(p []byte) (int, error) {
	select {
	case <-time.After(time.Duration(c.pause.Load())):
	case <-c.closed:
		return 0, errors.New("closed")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent = append(c.sent, event{time.Since(c.start), string(p)})
	return len(p), nil
}

func (c *pacedConn) Close() error {
	select {
	case <-c.closed:
	default:
		close(c.closed)
	}
	return nil
}

// openPaced opens a WebSocket in a bubble that takes 16 KiB after each pause.
func openPaced(t *testing.T, hub *server.Hub, pause time.Duration) *pacedConn {
	t.Helper()
	c := &pacedConn{fakeClient: newFake(), closed: make(chan struct{})}
	openConn(hub, "/hub", c)
	c.say(`{"protocol":"json","version":1}`)
	synctest.Wait()
	c.pause.Store(int64(pause))
	return c
}

// A loopManager is a LifetimeManager whose sends come back as another message,
// as those through a backplane do.
type loopManager struct{ server.LifetimeManager }

func (m loopManager) Send(ctx context.Context, to server.Audience, msg *server.Message) error {
	b, err := msg.Bytes(protocol.JSON{})
	if err != nil {
		return err
	}
	back := server.NewEncodedMessage(server.Encoded{Protocol: "json", Bytes: b})
	if msg.IsWaiting() {
		back.WaitFor(msg)
	}
	return m.LifetimeManager.Send(ctx, to, back)
}

func TestASendThatIsWaitingIsHeldBackByClientsThatReadAndByNoOther(t *testing.T) {
	for name, manager := range map[string]server.LifetimeManager{
		"in process": nil,
		"sends that come back as another message": loopManager{server.NewLifetimeManager()},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := newHub(benchHub{}, &server.Options{LifetimeManager: manager, SlowClientTimeout: -1})
				fast, slow := openPaced(t, hub, 0), openPaced(t, hub, 100*time.Millisecond)
				start := time.Now()
				const messages = 100
				text := strings.Repeat("x", 16<<10-100)
				to := hub.Clients().All().Waiting()
				for range messages {
					if err := to.Send(t.Context(), "M", text); err != nil {
						t.Fatal(err)
					}
					if got := hub.QueueStats().Bytes; got > 32<<10 {
						t.Fatalf("%d bytes wait beyond what is free", got)
					}
				}
				if took := time.Since(start); took < 9*time.Second || took > 11*time.Second {
					t.Errorf("%d sends took %v, want the time of the slow client, 10 s", messages, took)
				}
				stuck := openPaced(t, hub, 1000*time.Hour)
				slow.pause.Store(0)
				start = time.Now()
				for range messages {
					if err := to.Send(t.Context(), "M", text); err != nil {
						t.Fatal(err)
					}
				}
				if took := time.Since(start); took > 3*time.Second {
					t.Errorf("%d sends took %v with a client that takes nothing, want no more than two ticks", messages, took)
				}
				close(slow.in)
				close(stuck.in)
				fast.end(t, hub)
			})
		})
	}
}

func TestASendThatIsWaitingEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := newHub(benchHub{}, nil)
		c := openPaced(t, hub, time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		var err error
		sent := 0
		for ; err == nil && sent < 100; sent++ {
			err = hub.Clients().All().Waiting().Send(ctx, "M", strings.Repeat("x", 30_000))
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after %d sends: %v, want the error of the context", sent, err)
		}
		c.pause.Store(0)
		time.Sleep(time.Minute)
		if n := c.count(`"target":"M"`); n != sent {
			t.Errorf("%d messages came, want all %d that were sent", n, sent)
		}
		c.end(t, hub)
	})
}
