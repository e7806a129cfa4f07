package backplane

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hubwire/hubwire/internal/hubclient"
	"github.com/hubwire/hubwire/internal/memnet"
	"github.com/hubwire/hubwire/protocol"
	"github.com/hubwire/hubwire/server"
)

// boundHub tells the test who has connected.
type boundHub struct{ connected chan string }

func (h *boundHub) OnConnected(call *server.Call) error {
	h.connected <- call.ConnectionID()
	return nil
}

// webClient connects a client to hub, in memory. It answers no call; asked has
// the names of the methods that were called.
func webClient(t *testing.T, hub *server.Hub) (asked *hubclient.Queue[string]) {
	t.Helper()
	l := memnet.Listen()
	mux := http.NewServeMux()
	server.Mount(mux, "/hub", hub)
	s := &http.Server{Handler: mux}
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(l) })
	asked = &hubclient.Queue[string]{}
	c, err := hubclient.Dial(t.Context(), hubclient.Options{
		ConnOptions:  hubclient.ConnOptions{URL: "http://memory/hub", DialContext: l.Link(nil).DialContext, SkipNegotiation: true},
		PingInterval: -1,
		Receive:      func(m *protocol.Invocation) { asked.Put(m.Target) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Abort()
		if err := hub.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		_ = s.Close()
		serving.Wait()
	})
	return asked
}

// The bounds of a hub hold for its connections, whichever node adds them to
// groups or invokes them.
func TestTheBoundsOfAConnectionHoldForWhatOtherNodesAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemoryRedis(t)
		r, other := m.node(t, Options{}), m.node(t, Options{})
		ready(t, r, other)
		h := &boundHub{make(chan string, 1)}
		asked := webClient(t, server.MustHub(h, &server.Options{
			LifetimeManager: r, Logger: slog.New(slog.DiscardHandler), KeepAliveInterval: -1, ClientTimeoutInterval: -1,
			MaximumGroupsPerClient: 1, MaximumGroupNameLength: 5, MaximumClientResultsPerClient: 1,
		}))
		id := <-h.connected
		for _, join := range []struct {
			group    string
			far, own error
		}{
			{"longer", ErrNoAck, server.ErrGroupNameTooLong}, {"one", nil, nil}, {"one", nil, nil}, {"two", ErrNoAck, server.ErrTooManyGroups},
		} {
			start := time.Now()
			if err := other.AddToGroup(t.Context(), id, join.group); !errors.Is(err, join.far) {
				t.Errorf("another node adds it to %s: %v, want %v", join.group, err, join.far)
			}
			if join.far != nil {
				exactly(t, m, "the end of AckTimeout", start, 30*time.Second)
			}
			if err := r.AddToGroup(t.Context(), id, join.group); !errors.Is(err, join.own) {
				t.Errorf("its node adds it to %s: %v, want %v", join.group, err, join.own)
			}
		}
		// It never answers: of the invocations of two nodes, that of the other
		// node is canceled first.
		far := make(chan error, 1)
		go func() { far <- invoke(context.Background(), other, id) }()
		if target, ok := asked.Next(t.Context().Done()); !ok || target != "ask" {
			t.Fatalf("the client is asked for %q (%v)", target, ok)
		}
		ctx, cancel := context.WithCancel(t.Context())
		own := make(chan error, 1)
		go func() { own <- invoke(ctx, r, id) }()
		if err := <-far; err == nil || err.Error() != errCanceled.Error() {
			t.Errorf("the oldest: %v, want %v", err, errCanceled)
		}
		if _, err := r.InvokeConnection(ctx, id, &protocol.Invocation{Target: "x", Arguments: []any{}}); !errors.Is(err, server.ErrTooManyClientResults) {
			t.Errorf("its node asks again: %v, want %v", err, server.ErrTooManyClientResults)
		}
		if err := invoke(t.Context(), other, id); err == nil || !strings.Contains(err.Error(), "too many calls") {
			t.Errorf("another node asks again: %v, want that there are too many", err)
		}
		cancel()
		<-own
	})
}
